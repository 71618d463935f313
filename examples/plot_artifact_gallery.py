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
# Five made games, or real ones where ``SKLVYSO_DATA`` names a folder with
# ``game_frames``. Each clip has two frames: a torn screen shows parts of both.
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import uniform_filter

from sklvyso.artifacts import ARTIFACTS, ArtifactSimulator
from sklvyso.datasets import load_game_frames, make_game_frames

if os.path.isdir(os.path.join(os.environ.get("SKLVYSO_DATA", ""), "game_frames")):
    games = load_game_frames(n_per_game=10)
else:
    games = make_game_frames(50, n_games=5, height=180, width=320, random_state=0)
first = games.frame == 0
frames, others = games.images[first], games.images[~first]
print(f"{len(frames)} clips of {len(set(games.group.tolist()))} games")

# %%
# One row an artifact: the clean frame, then severities 0.3, 0.6 and 1, which scale
# counts, sizes and opacity; at 1 they are those of the paper. All come from one seed,
# yet a stronger artifact may land elsewhere, in another colour. The last column
# enlarges the part of the strongest one that changed most: many artifacts are a pixel
# wide, which a thumbnail swallows.
severities = (0.3, 0.6, 1.0)
height, width = frames[0].shape[:2]
window = 48, 48 * width // height


def most_changed(clean, spoiled):
    change = np.abs(spoiled.astype(float) - clean).mean(axis=2)
    amount = uniform_filter(change, window, mode="constant")
    row, column = np.unravel_index(amount.argmax(), amount.shape)
    top = np.clip(row - window[0] // 2, 0, height - window[0])
    left = np.clip(column - window[1] // 2, 0, width - window[1])
    return slice(top, top + window[0]), slice(left, left + window[1])


def contact_sheet(names, start):
    _, axes = plt.subplots(
        len(names),
        2 + len(severities),
        figsize=(12, len(names) * (0.3 + 2.1 * height / width)),
        layout="constrained",
    )
    for k, (name, row) in enumerate(zip(names, axes, strict=True), start):
        # Game after game, and another clip every time.
        at = k % 5 * (len(frames) // 5) + k // 5
        frame, other = frames[[at]], others[[at]]
        row[0].imshow(frame[0])
        row[0].set_ylabel(name.replace("_", "\n"), rotation=0, ha="right", va="center")
        row[0].set_title("clean", fontsize=8)
        for severity, ax in zip(severities, row[1:], strict=False):
            simulator = ArtifactSimulator(
                severity=severity, return_mask=True, random_state=k
            )
            spoiled, mask = simulator.corrupt(frame, name, previous=other)
            ax.imshow(spoiled[0])
            ax.set_title(f"{severity:g}: {mask.mean():.2%} changed", fontsize=8)
        row[-1].imshow(spoiled[0][most_changed(frame[0], spoiled[0])])
        row[-1].set_title("1, enlarged", fontsize=8)
        for ax in row:
            ax.set(xticks=[], yticks=[])


# %%
# Artifacts of the paper
# ----------------------
names = list(ARTIFACTS)
contact_sheet(names[:7], 0)
plt.show()

# %%
contact_sheet(names[7:13], 7)
plt.show()

# %%
# Wrong textures and faults of the video path
# -------------------------------------------
contact_sheet(names[13:], 13)
plt.show()

# %%
# Nobody would notice some of these in play: a few small squares, a torn sky, a flat
# surface at a lower resolution, dots in the colour of what lies behind them. A label
# of the simulator says that pixels changed, not that a person would see it; so recall
# should be read artifact by artifact. The authors left square patches and texture
# pop-in out of their tests for this reason.
