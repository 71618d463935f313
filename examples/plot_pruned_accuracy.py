"""
Which pruner is best? It depends on what is counted
===================================================

Networks are pruned before they are trained, by four pruners, and then compared on test
rows: once at equal *direct* compression (weights that are kept), once at equal
*effective* compression (weights that carry signal). The worst class is shown beside the
average, because pruning a network takes more from some classes than from others.
"""

# %%
# The data and the network
# ------------------------
# Handwritten digits of 8x8 pixels, a multi-layer perceptron of 50,200 weights.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklvyso import EffectiveSparsityPruner, NetworkClassifier
from sklvyso.metrics import class_recalls

X, y = load_digits(return_X_y=True)
pruners = {
    "random, uniform": {"pruner": "random", "quota": "uniform"},
    "random, ERK": {"pruner": "random", "quota": "erk"},
    "random, IGQ": {"pruner": "random", "quota": "igq"},
    "SynFlow": {"pruner": "synflow"},
}
compressions = [5, 10, 20, 40, 80, 160]
seeds = range(3)
network = NetworkClassifier(
    input_scale=1 / 16,
    module_params={"initialization": "variance_scaling"},
    lr=0.01,
    lr_schedule="cosine",
    batch_size=64,
    max_epochs=25,
)

# %%
# Prune, train, test
# ------------------
# Three seeds each. At large compressions random pruning cuts classes off from all
# inputs; a warning says so before the network is trained, and we silence it here.
results = {name: np.zeros((len(compressions), 3, len(seeds))) for name in pruners}
for seed in seeds:
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.4, stratify=y, random_state=seed
    )
    for name, settings in pruners.items():
        for i, compression in enumerate(compressions):
            model = EffectiveSparsityPruner(
                network,
                compression=compression,
                target="direct",
                random_state=seed,
                **settings,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                model.fit(X_train, y_train)
            recalls = class_recalls(y_test, model.predict(X_test))
            found = (model.effective_compression_, recalls.mean(), recalls.min())
            results[name][i, :, seed] = found

print(f"{'direct':>26} {'effective':>10} {'average':>8} {'worst':>6}")
for name, values in results.items():
    for compression, (effective, average, worst) in zip(
        compressions, values, strict=True
    ):
        print(
            f"{name:<18}{compression:>8} {np.median(effective):>10.4g} "
            f"{average.mean():>8.3f} {worst.mean():>6.3f}"
        )

# %%
# The same runs on two axes
# -------------------------
# Bands: lowest to highest of the three seeds.
figure, axes = plt.subplots(
    2, 2, figsize=(8, 6), sharex="col", sharey="row", layout="constrained"
)
for name, values in results.items():
    effective = np.median(values[:, 0], axis=1)
    for row, measure in enumerate((values[:, 1], values[:, 2])):
        for column, x in enumerate((np.array(compressions, dtype=float), effective)):
            ax = axes[row, column]
            alive = np.isfinite(x)
            ax.plot(x[alive], measure.mean(axis=1)[alive], marker=".", label=name)
            ax.fill_between(
                x[alive],
                measure.min(axis=1)[alive],
                measure.max(axis=1)[alive],
                alpha=0.2,
            )
            ax.set_xscale("log")
axes[0, 0].set_ylabel("average recall")
axes[1, 0].set_ylabel("recall of the worst class")
axes[1, 0].set_xlabel("direct compression")
axes[1, 1].set_xlabel("effective compression")
axes[0, 0].legend(frameon=False)
plt.show()

# %%
# On the left, uniform random pruning falls first, by far. On the right its curve moves
# to where its networks really are, and the distance to the other quotas shrinks: much
# of it came from weights that carry no signal. SynFlow's curve does not move; it stays
# ahead on these data. And the worst class is lost long before the average shows it.
