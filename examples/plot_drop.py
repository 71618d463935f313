"""
Prune training data without hurting the worst class
===================================================

Half of a training set can often go. But random pruning takes rows from hard and rare
classes as readily as from easy ones, and these classes pay. ``DRoPSampler`` measures
the recall of each class on rows that a query model has not seen and keeps more of the
classes with larger error.
"""

# %%
# The data: handwritten digits with a long tail
# ---------------------------------------------
# Digit 0 has twelve times as many rows as digit 9. The test set is balanced.
import matplotlib.pyplot as plt
import numpy as np
from imblearn.pipeline import make_pipeline
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from sklvyso import DRoPSampler
from sklvyso.datasets import make_long_tailed
from sklvyso.metrics import class_recalls

X, y = load_digits(return_X_y=True)
X = X / 16
densities = [0.5, 0.3, 0.2]
rules = {"random": "uniform", "balanced": "balanced", "DRoP": "drop"}
worst = {rule: np.zeros((6, len(densities))) for rule in rules}
average = {rule: np.zeros((6, len(densities))) for rule in rules}

# %%
# Six splits, three rules, three densities
# ----------------------------------------
# The sampler stands in an imbalanced-learn pipeline: it acts in ``fit`` only, so that
# test rows are never pruned. ``LogisticRegression`` is query model and final model.
for seed in range(6):
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.4, stratify=y, random_state=seed
    )
    X_train, y_train, _ = make_long_tailed(X_train, y_train, imbalance_factor=12)
    for j, density in enumerate(densities):
        for name, quota in rules.items():
            sampler = DRoPSampler(
                LogisticRegression(max_iter=1000),
                density=density,
                quota=quota,
                random_state=seed,
            )
            pipe = make_pipeline(sampler, LogisticRegression(max_iter=1000))
            recalls = class_recalls(y_test, pipe.fit(X_train, y_train).predict(X_test))
            worst[name][seed, j] = recalls.min()
            average[name][seed, j] = recalls.mean()

print(f"{len(y_train)} training rows")
print(f"{'worst-class recall at density':<32}" + "".join(f"{d:>8}" for d in densities))
for name in rules:
    print(f"{name:<32}" + "".join(f"{v:>8.3f}" for v in worst[name].mean(axis=0)))

# %%
# What was kept
# -------------
# The report of the last DRoP sampler, a row a class.
report = sampler.quota_report_
for column in ("class", "count", "recall", "density", "kept"):
    values = report[column]
    shown = [f"{v:.2f}" if values.dtype.kind == "f" else str(v) for v in values]
    print(f"{column:<8}" + "".join(f"{v:>6}" for v in shown))

# %%
# The figure
# ----------
# Means over the splits; whiskers are standard errors.
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for axis, values, title in zip(
    axes, (worst, average), ("worst class", "average"), strict=True
):
    for name, table in values.items():
        error = table.std(axis=0, ddof=1) / np.sqrt(len(table))
        axis.errorbar(densities, table.mean(axis=0), error, marker="o", label=name)
    axis.set(xlabel="density (kept fraction)", ylabel="test recall", title=title)
    axis.invert_xaxis()
axes[0].legend()
plt.show()

# %%
# Random pruning loses the rare digits first; DRoP spends the same number of rows on
# the classes that the model gets wrong. Balancing the counts does better still here:
# rare and hard coincide, so that counts alone point the right way, without a query
# model. They could not tell a rare easy class from a rare hard one, nor find the hard
# class among equally large ones. ``DRoPSampler(allocation="count")`` lies between.
