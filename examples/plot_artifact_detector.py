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
# made ones a top-down shooter and a slope, kinds of scene that no other game has.
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
# between them. These settings are small to be quick; the defaults simulate more.
start = time.perf_counter()
detector = ArtifactDetector(n_simulated=2, tiles=(2, 3), cv=2, random_state=0)
detector.fit(frames[~is_new], groups=games.group[~is_new], clips=games.clip[~is_new])
print(
    f"{(~is_new).sum()} clean frames became {len(detector.training_.Z)} in "
    f"{time.perf_counter() - start:.0f} s"
)

# %%
# Judge games that it has never seen
# ----------------------------------
# Of each new game, four clips are known to be clean. The others are judged: as they
# are, and with each artifact in turn. The detector answers before and after ``adapt``,
# which puts artifacts on the clean frames and trains the experts again.
names = detector.artifacts_
simulator = ArtifactSimulator(random_state=1)
shown, groups, before, after, called, torn = [], [], [], [], [], []
for game in new_games:
    own = np.flatnonzero(games.group == game)
    known, judged = own[:8], own[8:]
    clean = frames[judged]
    # The two frames of a clip, exchanged.
    others = clean.reshape(-1, 2, *clean.shape[1:])[:, ::-1].reshape(clean.shape)
    spoiled = [simulator.corrupt(clean, name, previous=others) for name in names]
    X = np.concatenate([clean, *spoiled])
    shown += np.repeat(["normal", *names], len(judged)).tolist()
    groups += [game] * len(X)
    before += detector.adapt(None).corrupted_proba(X).tolist()
    detector.adapt(frames[known], clips=games.clip[known])
    after += detector.corrupted_proba(X).tolist()
    called += [names[k] for k in detector.predict_artifact_proba(X).argmax(axis=1)]
    tears = spoiled[names.index("screen_tearing")]
    torn += detector.corrupted_proba(tears, previous=others).tolist()
shown, called, groups = np.array(shown), np.array(called), np.array(groups)
is_flagged = {"before": np.array(before) >= 0.5, "after": np.array(after) >= 0.5}

print(f"{'share flagged':20}{'before':>8}{'after':>8}   of these named rightly")
for name in ["normal", *names]:
    rows = shown == name
    shares = [flagged[rows].mean() for flagged in is_flagged.values()]
    found = called[rows & is_flagged["after"]]
    right = f"{(found == name).mean():8.2f}" if len(found) and name != "normal" else ""
    print(f"{name:20}{shares[0]:8.2f}{shares[1]:8.2f}   {right}")
for when, flagged in is_flagged.items():
    recall = flagged[shown != "normal"].mean()
    false_alarms = flagged[shown == "normal"].mean()
    print(f"balanced accuracy {when} adapting: {(1 + recall - false_alarms) / 2:.2f}")
share = np.mean(np.array(torn) >= 0.5)
print(f"torn screens flagged when the other frame of the clip is given: {share:.2f}")

# %%
# The row "normal" holds false alarms. These numbers are rough: each share is of a
# dozen frames or so, and the two frames of a clip are alike. On a single frame most
# tears cannot be seen, by a person either; two frames show them.
#
# The same as curves, after adapting: which artifacts are told from normal frames at
# which rate of false alarms, and in which game.
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.4), layout="constrained")
ArtifactDisplay.from_predictions(shown, after, ax=left)
ArtifactDisplay.from_predictions(shown, after, groups, ax=right)
left.set_title("by artifact")
right.set_title("by game")
plt.show()

# %%
# What, and where
# ---------------
# A person looks at what is flagged. The display shows the frame, where the likeliest
# artifact is, and what the experts say; tiles as coarse as these point at a region, no
# more. Of the last game, the frames with a band of pixels and with dark shapes that are
# flagged most surely. The name can be wrong where the alarm is right: a band of narrow
# upright cells is not far from Morse code.
for name in ("line_pixelation", "shapes"):
    X = spoiled[names.index(name)]
    frame = X[detector.corrupted_proba(X).argmax()]
    ArtifactDisplay.from_detector(detector, frame)
    plt.show()

# %%
# Why? Features of the last frame that stand out, where the experts look.
for finding in detector.explain([frame])[0]:
    print(f"{finding['artifact']}: {finding['probability']:.2f}")
    for feature in finding["features"][:3]:
        print(
            f"    {feature['name']}: {feature['value']:.3g}, on normal frames "
            f"{feature['normal']:.3g}"
        )

# %%
# All artifacts here, in training and in the test, come from the same simulator. What a
# real fault looks like may differ: keep the frames that turn out to be broken, and
# judge the detector on those.
