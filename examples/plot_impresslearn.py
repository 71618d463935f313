"""
Learn task after task, forget nothing
=====================================

Images arrive from cameras that hang at different angles: one task for each angle, the
same ten classes. ``ImpressLearnClassifier`` learns a mask over a frozen random network
for the first angles; a new angle then costs a few dozen numbers, and nothing that was
learned before changes.
"""

# %%
# A stream of cameras
# -------------------
# Digits of 8 x 8 pixels, turned by 0 to 90 degrees.
from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_digits

from sklvyso import ImpressLearnClassifier, NetworkClassifier
from sklvyso.plotting import TaskDisplay

images, y = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8) / 16


@lru_cache
def camera(angle):
    turned = rotate(images, angle, axes=(1, 2), reshape=False, order=1)
    return turned.reshape(len(images), -1)


train, test = slice(0, 1300), slice(1300, None)
first = [0, 18, 36, 54, 72, 90]
later = [9, 27, 45, 63]
learner = ImpressLearnClassifier(n_impressions=len(first), random_state=0)

# %%
# One call for each camera. After each, all earlier ones are tested again.
accuracy = np.full((len(first) + len(later), len(first) + len(later)), np.nan)
angles = first + later
for step, angle in enumerate(angles):
    X = camera(angle)
    learner.partial_fit(X[train], y[train], task=angle)
    for old in range(step + 1):
        X_old = camera(angles[old])[test]
        accuracy[step, old] = learner.score(X_old, y[test], task=angles[old])
is_same = all(
    np.unique(accuracy[~np.isnan(accuracy[:, task]), task]).size == 1
    for task in range(len(angles))
)
print("every accuracy stayed exactly what it was:", is_same)
print("kinds:", learner.task_kinds_)

# %%
# A network that is trained on one camera after the other forgets the first ones.
network = NetworkClassifier(max_epochs=10, random_state=0)
network.initialize(camera(0)[train], y[train])
forgets = np.full_like(accuracy, np.nan)
for step, angle in enumerate(angles):
    network.train(camera(angle)[train], y[train])
    for old in range(step + 1):
        forgets[step, old] = network.score(camera(angles[old])[test], y[test])

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
names = [f"{angle}°" for angle in angles]
TaskDisplay.from_matrix(accuracy, names, ax=left)
left.set_title("ImpressLearnClassifier")
TaskDisplay.from_matrix(forgets, names, ax=right)
right.set_title("one network, trained on and on")
plt.show()

# %%
# What it costs
# -------------
# A mask is one bit for each weight; a task of coefficients is a number for each mask
# and layer.
TaskDisplay.from_estimator(learner)
plt.show()
report = learner.memory_report()
print("bytes of a mask:", report["total_bytes"][0])
print("bytes of a later camera:", report["total_bytes"][-1])

# %%
# How many impressions?
# ---------------------
# The more angles the masks cover, the better new ones between them are.
counts = [2, 3, 6]
combined = []
for count in counts:
    few = ImpressLearnClassifier(
        n_impressions=count, new_task="coefficients", random_state=0
    )
    seen = np.linspace(0, len(first) - 1, count).round().astype(int)
    for angle in [first[position] for position in seen]:
        few.partial_fit(camera(angle)[train], y[train], task=angle)
    scores = []
    for angle in (27, 63):
        few.partial_fit(camera(angle)[train], y[train], task=angle)
        scores.append(few.score(camera(angle)[test], y[test], task=angle))
    combined.append(float(np.mean(scores)))
own = []
dedicated = ImpressLearnClassifier(new_task="mask", random_state=0)
for angle in (27, 63):
    dedicated.partial_fit(camera(angle)[train], y[train], task=angle)
    own.append(dedicated.score(camera(angle)[test], y[test], task=angle))
TaskDisplay.from_counts(
    counts, {"coefficients": combined, "mask of its own": float(np.mean(own))}
)
plt.show()
print("accuracy at 27 and 63 degrees, by masks:", combined, "own masks:", np.mean(own))

# %%
# Which camera was it?
# --------------------
# Without a name the task is inferred, row by row or, when rows are known to come from
# one camera, for all of them together.
X = camera(27)[test]
alone = learner.predict_task(X)
together = learner.predict_task(X, groups=np.zeros(len(X)))
print("rows taken for a camera within 18 degrees:", np.mean(abs(alone - 27) <= 18))
print("all rows together:", together[0])
