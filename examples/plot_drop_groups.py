"""
When a shortcut works for most rows: quotas by group
====================================================

A network that can read a shortcut will. Here the digits are coloured: for 95 % of the
rows the colour tells odd from even, for the others it lies. Trained as they come, the
network goes by the colour and fails on the rows where it lies. Pruning at random, or by
class, keeps that proportion; quotas **by group** of (label, colour) change it.
"""

# %%
# Coloured digits
# ---------------
# The test set has each colour for each label equally often, so that accuracy in the
# worst of the four groups shows whether the shape was learned.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklvyso import DRoPSampler, NetworkClassifier
from sklvyso.data_pruning import scaled_max_epochs
from sklvyso.datasets import make_spurious_groups
from sklvyso.metrics import group_accuracies

digits = load_digits()
images, is_odd = digits.images / 16, digits.target % 2


def coloured(seed):
    parts = train_test_split(
        images, is_odd, train_size=1200, stratify=is_odd, random_state=seed
    )
    return [
        make_spurious_groups(
            rows, y, correlation=correlation, n_cues=2, random_state=seed
        )
        for rows, y, correlation in (
            (parts[0], parts[2], 0.95),
            (parts[1], parts[3], 0.5),
        )
    ]


train, test = coloured(seed=0)
print("rows of the four groups:", np.bincount(train.group))

figure, axes = plt.subplots(1, 8, figsize=(8, 1.4), layout="constrained")
for ax, image in zip(axes, train.images[:8], strict=True):
    ax.imshow(image)
    ax.set_axis_off()

# %%
# Four ways to keep 30 % of the rows
# ----------------------------------
# ``groups=`` makes the sampler measure accuracy and set quotas by group; all the rest
# stays. The final network trains for the number of epochs that fits fewer rows.
network = NetworkClassifier(
    hidden_layer_sizes=(64,),
    lr=2e-3,
    lr_schedule="cosine",
    max_epochs=30,
    batch_size=64,
)
rules = {
    "all rows": None,
    "random": {"quota": "auto"},
    "DRoP by class": {},
    "DRoP by group": {},
}


def accuracies(rule, seed):
    train, test = coloured(seed)
    kept = np.arange(1200)
    if rule != "all rows":
        sampler = DRoPSampler(network, density=0.3, random_state=seed, **rules[rule])
        groups = train.group if rule == "DRoP by group" else None
        sampler.fit_resample(train.data, train.target, groups=groups)
        kept = sampler.sample_indices_
    final = NetworkClassifier(**network.get_params()).set_params(
        max_epochs=scaled_max_epochs(30, len(kept), 1200), random_state=seed
    )
    final.fit(train.data[kept], train.target[kept])
    predicted = final.predict(test.data)
    return group_accuracies(test.target, predicted, groups=test.group)


results = {
    rule: np.mean([accuracies(rule, seed) for seed in range(3)], axis=0)
    for rule in rules
}
for rule, by_group in results.items():
    print(f"{rule:14s} worst group {by_group.min():.2f}  average {by_group.mean():.2f}")

# %%
# The groups where colour and label disagree are the second and third.
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
names = ["even, own colour", "even, other", "odd, other", "odd, own colour"]
for i, (rule, by_group) in enumerate(results.items()):
    ax.bar(np.arange(4) + 0.2 * (i - 1.5), by_group, 0.18, label=rule)
ax.set_xticks(range(4), names)
ax.set_ylabel("accuracy on test rows")
ax.set_ylim(0, 1)
ax.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.15))
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# With 30 % of the rows and quotas by group the worst group is far better off than with
# all rows. In a Pipeline, ``groups`` travels as metadata, or ``group_column=`` names a
# column of ``X`` that holds them.
