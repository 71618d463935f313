"""
A small network that leaves no class behind
===========================================

Half of the rows, a fifth of the weights, and the worst class about as well served as
by all of both: a data sampler and a network pruner in one pipeline, searched together
by the recall of the worst class. At the end a look at the curvature of the loss, before
and after.
"""

# %%
# Rows with rare classes
# ----------------------
# Scikit-learn's digits, cut so that the last class has an eighth of the first one's
# rows.
import matplotlib.pyplot as plt
import numpy as np
from imblearn.pipeline import Pipeline
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, train_test_split

from sklvyso import (
    DRoPSampler,
    EffectiveSparsityPruner,
    GoldilocksProbe,
    NetworkClassifier,
)
from sklvyso.datasets import make_long_tailed
from sklvyso.metrics import SCORERS, class_recalls
from sklvyso.plotting import CurvatureDisplay

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X, y, train_size=1000, stratify=y, random_state=0
)
X, y, _ = make_long_tailed(X, y, imbalance_factor=8)
print("rows of each class:", np.bincount(y))

# %%
# Data and network pruned in one pipeline
# ---------------------------------------
# The sampler acts in ``fit`` only, on the training part of each fold; the pruner then
# trains what is left of the network on what is left of the rows. Which quotas, and how
# small a network, is a question like any other for a grid search.
network = NetworkClassifier(
    hidden_layer_sizes=(128, 64),
    module_params={"bias": False, "initialization": "kaiming_normal"},
    input_scale=1 / 16,
    batch_size=32,
    max_epochs=60,
    random_state=0,
)
pipe = Pipeline(
    [
        ("drop", DRoPSampler(density=0.5, random_state=0)),
        ("prune", EffectiveSparsityPruner(network, random_state=0)),
    ]
)
grid = {"drop__quota": ["uniform", "drop"], "prune__compression": [5, 10]}
search = GridSearchCV(pipe, grid, scoring=SCORERS["worst_class_recall"], cv=3).fit(X, y)
print(f"{'quotas':<10}{'compression':>12}{'worst class, three folds':>26}")
for row, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"{row['drop__quota']:<10}{row['prune__compression']:>12}{score:>26.3f}")

# %%
# On rows that nothing has seen, beside the same network with all rows and all weights:
best = search.best_estimator_
dense = network.fit(X, y)
for name, model in (("dense, all rows", dense), ("pruned twice", best)):
    recalls = class_recalls(y_test, model.predict(X_test))
    print(f"{name:<16} average {recalls.mean():.3f}, worst class {recalls.min():.3f}")
print(f"rows kept: {best['drop'].target_size_} of {len(y)}")
print(best["prune"].report_)

# %%
# The compact network holds the weights that are left and nothing else.
small = best["prune"].compact()
counts = [sum(p.numel() for p in m.parameters()) for m in (dense.module_, small)]
print("stored parameters:", counts[0], "dense,", counts[1], "compact")

# %%
# Curvature before and after
# --------------------------
# The fresh network sits in the Goldilocks zone, where the loss curves upwards far more
# than downwards. So do the trained ones, at the scale that training led to; multiplied
# by more, their loss is 0 and flat. The largest eigenvalue is the sharpness.
probes = {
    "fresh": network,
    "trained, dense": FrozenEstimator(dense),
    "trained, pruned twice": FrozenEstimator(best["prune"].estimator_),
}
figure, axes = plt.subplots(
    1, 3, figsize=(13, 3.6), sharex=True, sharey=True, layout="constrained"
)
for (name, estimator), ax in zip(probes.items(), axes, strict=True):
    probe = GoldilocksProbe(
        estimator,
        scales=np.logspace(-1, 0.5, 7),
        n_samples=256,
        n_eigenvalues=1,
        random_state=0,
    ).fit(X, y)
    CurvatureDisplay.from_estimator(probe, ax=ax)
    ax.set_title(name)
    print(
        f"{name:<22} curvature at scale 1: {probe.curvature_[4]:.2f}, largest "
        f"eigenvalue {probe.eigenvalues_[4, 0]:.2f}"
    )
plt.show()
