"""
What broken graphics look like
==============================

Frames that a GPU, a driver or a game engine got wrong are rare, so that detectors learn
from made ones. ``ArtifactSimulator`` knows twenty-one ways to spoil a frame, each from
barely there to what the paper drew. Would a player report them?
"""

# %%
# Clean frames
# ------------
# Five made games, or five real ones where ``SKLVYSO_DATA`` names a folder with
# ``game_frames``. Each comes as two frames of a clip: a torn screen needs the other one.
import os

import matplotlib.pyplot as plt

from sklvyso.artifacts import ARTIFACTS, ArtifactSimulator
from sklvyso.datasets import load_game_frames, make_game_frames

if os.path.isdir(os.path.join(os.environ.get("SKLVYSO_DATA", ""), "game_frames")):
    games = load_game_frames(n_per_game=10)
else:
    games = make_game_frames(
        50, n_games=5, height=180, width=320, random_state=0
    )
first = games.frame == 0
frames, others = games.images[first], games.images[~first]
print(f"{len(frames)} clips of {len(set(games.group.tolist()))} games")

# %%
# A contact sheet
# ---------------
# One row an artifact, from left to right the clean frame and severities 0.3, 0.6 and 1.
# The first frame on which an artifact shows at all is taken; at 1 the lengths and
# counts are those of the paper.
severities = (0.3, 0.6, 1.0)


def contact_sheet(names):
    figure, axes = plt.subplots(
        len(names), 1 + len(severities), figsize=(10, 1.65 * len(names)),
        layout="constrained",
    )
    for k, (name, row) in enumerate(zip(names, axes, strict=True)):
        at = (5 * k + k // 5) % len(frames)
        frame, other = frames[[at]], others[[at]]
        row[0].imshow(frame[0])
        row[0].set_ylabel(name.replace("_", "\n"), rotation=0, ha="right", va="center")
        for severity, ax in zip(severities, row[1:], strict=True):
            simulator = ArtifactSimulator(
                severity=severity, return_mask=True, random_state=k
            )
            spoiled, mask = simulator.corrupt(frame, name, previous=other)
            ax.imshow(spoiled[0])
            ax.set_title(f"{severity:g}: {mask.mean():.1%} changed", fontsize=8)
        for ax in row:
            ax.set(xticks=[], yticks=[])
    return figure


