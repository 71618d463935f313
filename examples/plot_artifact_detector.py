"""
Find broken frames of a game that nobody has labelled
=====================================================

A test machine plays a new game all night. Which of its frames are corrupted, and by
what? ``ArtifactDetector`` learns from clean frames of other games: it draws the
artifacts itself. A few clean frames of the new game then show it what is normal there.
"""

# %%
# Clean frames, and nothing else
# ------------------------------
# Eight made games of 90 x 160 pixels, or five real ones, shrunken, where
# ``SKLVYSO_DATA`` names a folder with ``game_frames``. Two are kept for the end; of the
# made ones they are the slope and the top-down shooter, which no other game looks like.
import os
import time

import matplotlib.pyplot as plt
import numpy as np

from sklvyso.artifacts import ArtifactDetector, ArtifactSimulator, iter_frames
from sklvyso.datasets import load_game_frames, make_game_frames
from sklvyso.plotting import ArtifactDisplay

if os.path.isdir(os.path.join(os.environ.get("SKLVYSO_DATA", ""), "game_frames")):
    games = load_game_frames(n_per_game=16)
    frames = np.stack(list(iter_frames(games.images, resize=(120, 160))))
    new_games = ["extremetuxracer", "supertux"]
else:
    games = make_game_frames(128, n_games=8, random_state=0)
    frames = games.images
    new_games = [3, 4]
is_new = np.isin(games.group, new_games)
figure, axes = plt.subplots(2, 4, figsize=(11, 4), layout="constrained")
for ax in axes.flat:
    ax.set_axis_off()
for game, ax in zip(np.unique(games.group), axes.flat, strict=False):
    ax.imshow(frames[games.group == game][0])
    ax.set_title(f"{game}, new" if game in new_games else f"{game}")
plt.show()

# %%
# Learn
# -----
# ``groups`` says which game a frame is from, so that experts are judged on games that
# they have not seen; ``clips`` which frames belong together, so that screens tear
# between them. Small settings here; the defaults simulate more and take minutes.
start = time.perf_counter()
detector = ArtifactDetector(n_simulated=3, tiles=(3, 4), cv=3, random_state=0)
detector.fit(frames[~is_new], groups=games.group[~is_new], clips=games.clip[~is_new])
print(
    f"{(~is_new).sum()} clean frames became {len(detector.training_.Z)} in "
    f"{time.perf_counter() - start:.0f} s"
)

# %%
# Judge games that it has never seen
# ----------------------------------
# Of each new game, four clips are known to be clean. The others are judged: as they are,
# and with each artifact in turn. The detector answers before and after ``adapt``, which
# puts artifacts on the clean frames and trains the experts again.
names = detector.artifacts_
simulator = ArtifactSimulator(random_state=1)
shown, groups, named = [], [], []
scores = {"before": [], "after": []}
with_other = []
for game in new_games:
    own = np.flatnonzero(games.group == game)
    known, judged = own[:8], own[8:]
    # The other frame of the clip of each.
    others = frames[judged.reshape(-1, 2)[:, ::-1].ravel()]
    X = [frames[judged]]
    X += [simulator.corrupt(frames[judged], name, previous=others) for name in names]
    X = np.concatenate(X)
    shown.append(np.repeat(["normal", *names], len(judged)))
    groups.append(np.full(len(X), game))
    detector.adapt(None)
    scores["before"].append(detector.corrupted_proba(X))
    detector.adapt(frames[known], clips=games.clip[known])
    scores["after"].append(detector.corrupted_proba(X))
    named.append(np.array(names)[detector.predict_artifact_proba(X).argmax(axis=1)])
    with_other.append(
        detector.corrupted_proba(X, previous=np.tile(others, (1 + len(names), 1, 1, 1)))
    )
shown, groups, named, with_other = map(
    np.concatenate, (shown, groups, named, with_other)
)
flagged = {
    when: np.concatenate(parts) >= detector.threshold for when, parts in scores.items()
}
print(f"{'flagged':22}{'before':>8}{'after':>8}  most often called, after")
for name in ["normal", *names]:
    rows = shown == name
    calls, counts = np.unique(named[rows], return_counts=True)
    call = f"{calls[counts.argmax()]} ({counts.max()} of {rows.sum()})"
    print(
        f"{name:22}{flagged['before'][rows].mean():8.2f}"
        f"{flagged['after'][rows].mean():8.2f}  {'' if name == 'normal' else call}"
    )
for when, is_flagged in flagged.items():
    recall, false_alarms = (
        is_flagged[shown != "normal"].mean(),
        is_flagged[shown == "normal"].mean(),
    )
    print(f"balanced accuracy {when}: {(recall + 1 - false_alarms) / 2:.2f}")
t = shown == "screen_tearing"
print("tear with previous", (with_other[t]>=.5).mean(), (with_other[shown=="normal"]>=.5).mean(), with_other[t])
