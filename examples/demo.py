"""The tour: prune a real training set so that the worst class does not pay.

Run by ``make demo``. Fashion-MNIST when the data home has it, otherwise scikit-learn's
digits with a long tail.
"""

import os
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from imblearn.pipeline import Pipeline
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

from sklvyso import DRoPSampler, NetworkClassifier
from sklvyso.data_pruning import scaled_max_epochs
from sklvyso.datasets import fetch_fashion_mnist, get_data_home, make_long_tailed
from sklvyso.metrics import SCORERS, class_recalls

DENSITY = 0.3
EPOCHS = 12
N_FOLDS = 3
# loky workers import torch anew, some seconds each: worth it with two cores.
N_JOBS = min(2, os.cpu_count() or 1)


def load():
    """Return name, training rows, test rows and class names."""
    try:
        settings = {"as_images": False, "download_if_missing": False}
        train = fetch_fashion_mnist(n_per_class=800, **settings)
        test = fetch_fashion_mnist(subset="test", **settings)
    except OSError:
        X, y = load_digits(return_X_y=True)
        parts = train_test_split(X, y, train_size=1000, stratify=y, random_state=0)
        X, X_test, y, y_test = parts
        X, y, _ = make_long_tailed(X, y, imbalance_factor=12)
        name = "digits with a long tail (12 to 1)"
        return name, X, y, X_test, y_test, [str(i) for i in range(10)]
    return (
        f"Fashion-MNIST (800 a class) from {get_data_home()}",
        train.data.astype(np.float32),
        train.target,
        test.data.astype(np.float32),
        test.target,
        train.target_names,
    )


def make_pipeline(sampler, n_rows):
    """Scaler, sampler, network; the network trains longer on fewer rows."""
    n_kept = n_rows if sampler is None else round(DENSITY * n_rows)
    epochs = scaled_max_epochs(EPOCHS, n_kept, n_rows)
    network = NetworkClassifier(
        hidden_layer_sizes=(128,),
        batch_size=128 if n_rows > 2000 else 32,
        max_epochs=epochs,
        lr_schedule="cosine",
        random_state=0,
    )
    steps = [("scale", StandardScaler()), ("drop", sampler), ("network", network)]
    return Pipeline([step for step in steps if step[1] is not None])


def main():
    """Search, print the table, draw the figure."""
    name, X, y, X_test, y_test, class_names = load()
    print(f"Data: {name}; {len(y)} training rows, {len(y_test)} test rows.")
    print(
        f"Each row of the table: {N_FOLDS}-fold grid search over the learning rate by "
        "worst-class recall."
    )
    samplers = {
        "full data": None,
        "random": DRoPSampler(density=DENSITY, quota="uniform", random_state=0),
        "DRoP": DRoPSampler(density=DENSITY, random_state=0),
    }
    header = ("", "kept", "average recall", "worst-class recall", "seconds")
    print("{:<10} {:>6} {:>15} {:>19} {:>8}".format(*header))
    recalls, kept = {}, {}
    for label, sampler in samplers.items():
        start = time.perf_counter()
        search = GridSearchCV(
            make_pipeline(sampler, len(y)),
            {"network__lr": [1e-3, 4e-3]},
            scoring=SCORERS,
            refit="worst_class_recall",
            cv=N_FOLDS,
            n_jobs=N_JOBS,
        ).fit(X, y)
        seconds = time.perf_counter() - start
        best = search.best_estimator_
        recalls[label] = class_recalls(y_test, best.predict(X_test))
        kept[label] = (
            np.ones(len(class_names)) if sampler is None else best[1].class_densities_
        )
        n_kept = len(y) if sampler is None else best[1].target_size_
        mean, worst = recalls[label].mean(), recalls[label].min()
        print(f"{label:<10} {n_kept:>6} {mean:>15.3f} {worst:>19.3f} {seconds:>8.1f}")
    path = draw(recalls, kept, class_names)
    print(f"Figure: {path}")


def draw(recalls, kept, class_names):
    """Draw recalls and kept fractions per class, return the file."""
    order = np.argsort(recalls["full data"])
    places = np.arange(len(order))
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(8, 6), sharex=True, layout="constrained"
    )
    width = 0.27
    colours = {"full data": "0.6", "random": "tab:orange", "DRoP": "tab:blue"}
    for i, (label, values) in enumerate(recalls.items()):
        shift = (i - 1) * width
        top.bar(places + shift, values[order], width, color=colours[label], label=label)
        if label != "full data":
            bottom.bar(
                places + (i - 1.5) * 1.5 * width,
                kept[label][order],
                1.5 * width,
                color=colours[label],
            )
    for label, values in recalls.items():
        top.axhline(values.min(), color=colours[label], linestyle=":", linewidth=1.5)
    top.set(ylabel="test recall", ylim=(0, 1))
    top.set_title(
        f"Keeping {DENSITY:.0%} of the rows (dotted: worst class)", loc="left"
    )
    top.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    bottom.set(ylabel="kept fraction of the class")
    bottom.set_xticks(places, [class_names[i] for i in order], rotation=30, ha="right")
    folder = Path("demo_output")
    folder.mkdir(exist_ok=True)
    path = folder / "drop.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
