"""
Does training fail outside the Goldilocks zone?
===============================================

Positive curvature at the start was held to be what makes an initialisation trainable.
Here the same network is trained by full-batch gradient descent from many scales of one
initialisation, and its accuracy is set beside the curvature that it started with.
"""

# %%
# The rate falls with the scale, so that a step changes the weights by the same share.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from sklvyso import GoldilocksProbe, NetworkClassifier
from sklvyso.curvature import scale_parameters

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=0.3, stratify=y, random_state=0
)
start = NetworkClassifier(
    hidden_layer_sizes=(64, 32),
    module_params={"bias": False, "initialization": "kaiming_normal"},
    random_state=0,
).initialize(X_train, y_train)
scales = np.array([0.03, 0.06, 0.1, 0.18, 0.32, 0.56, 1.0, 1.8, 3.2, 5.6, 10, 18, 32])
probe = GoldilocksProbe(
    start.module_, scales=scales, n_samples=256, random_state=0
).fit(X_train, y_train)


def train(scale):
    module: nn.Module = scale_parameters(start.module_, float(scale))
    return NetworkClassifier(
        module,
        optimizer="sgd",
        momentum=0.0,
        lr=0.1 / scale,
        batch_size=-1,
        max_epochs=600,
        random_state=0,
    ).fit(X_train, y_train)


print("scale  curvature  train  test")
accuracies = []
for scale, curvature in zip(scales, probe.curvature_, strict=True):
    try:
        trained = train(scale)
        pair = trained.score(X_train, y_train), trained.score(X_test, y_test)
    except ValueError:  # the training diverged
        pair = np.nan, np.nan
    accuracies.append(pair)
    print(f"{scale:5.2f}  {curvature:9.3f}  {pair[0]:5.3f}  {pair[1]:5.3f}")

# %%
# Far to the left nothing is learned: the logits are zero, or all but. Far to the right
# the network fits the training rows lazily and generalises badly. But good training
# does not need the zone: it begins where the curvature is still near 0, and the best
# test accuracy is not where the curvature is largest.
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for label, values in zip(("train", "test"), np.transpose(accuracies), strict=True):
    ax.plot(scales, values, ".-", label=f"{label} accuracy")
ax.set_xscale("log")
ax.set_xlabel("scale of the initialisation")
ax.set_ylabel("accuracy after 600 steps")
ax.axvspan(*probe.zone_, color="tab:green", alpha=0.12, label="zone")
twin = ax.twinx()
twin.plot(scales, probe.curvature_, ":", color="0.3", label="curvature at the start")
twin.set_ylabel("positive curvature")
handles = [*ax.get_legend_handles_labels()[0], *twin.get_legend_handles_labels()[0]]
ax.legend(handles=handles, frameon=False, loc="center right")
plt.show()
