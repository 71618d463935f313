"""Which rule of data pruning serves the worst class? An honest comparison.

Every rule x density {.8, .5, .3, .1} x seeds on digits, Fashion-MNIST, its long-tailed
version, and CIFAR-10 (JPEG copy, 300 images a
class). The final network trains for `scaled_max_epochs`, on
test rows that nothing else has seen; query and score models are networks like it.

``python -m benchmarks.drop_study [data ...]`` resumes where it stopped: each cell lands
in ``benchmarks/studies/drop_study/<data>.json`` when it is done. Table and figure:
``benchmarks/studies/drop_study.json`` and ``drop_study.png``.
"""

import json
import os
import sys
import time
import warnings
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from imblearn.under_sampling import InstanceHardnessThreshold, RandomUnderSampler
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from torch import nn
from tqdm import tqdm

from benchmarks._harness import STUDIES, data_home, machine, one_thread, table
from sklvyso import DRoPSampler, NetworkClassifier
from sklvyso.data_pruning import (
    ClassDifficultyWeights,
    record_training_dynamics,
    scaled_max_epochs,
)
from sklvyso.data_pruning._rules import select_rows
from sklvyso.datasets import fetch_fashion_mnist, load_image_archive
from sklvyso.metrics import class_recalls

FOLDER = STUDIES / "drop_study"
FILE = STUDIES / "drop_study.json"
FIGURE = STUDIES / "drop_study.png"
DENSITIES = (0.8, 0.5, 0.3, 0.1)
SEEDS = {
    "digits": range(6),
    "fashion_mnist": range(6),
    "long_tailed": range(6),
    "cifar10": range(3),
}
SETS = tuple(SEEDS)
PARTS = ("train", "test")
PAPER = {"smoothing": 0, "uniform_mix": 0.0, "min_per_class": 0}
DYNAMIC = ("forgetting", "dynamic_uncertainty", "aum", "ccs")
SCORERS = (
    "el2n",
    "grand",
    *DYNAMIC,
    "prototype",
    "k_center",
    "least_confidence",
    "margin",
    "entropy",
    "bald",
)
WHOLE = ("full", "cdb_w")
RULES = (
    "random",
    "balanced",
    "random+drop paper",
    "random+drop",
    "random+drop count",
    "strategyq el2n",
    *SCORERS,
    *(f"{scorer}+drop" for scorer in SCORERS),
    "easiest el2n",
    "hardness threshold",
    "random under-sampler",
)


class SmallConvNet(nn.Sequential):
    """Three convolutions with batch normalisation, for 32 x 32 images."""

    def __init__(self, input_shape, n_outputs):
        def block(n_in, n_out, stride):
            return (
                nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1),
                nn.BatchNorm2d(n_out),
                nn.ReLU(),
            )

        super().__init__(
            *block(input_shape[0], 24, 2),
            *block(24, 48, 2),
            *block(48, 64, 1),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(256, n_outputs),
        )


def flip(batch):
    """Mirror each image with probability one half."""
    turned = torch.rand(len(batch)) < 0.5
    return torch.where(turned[:, None, None, None], batch.flip(3), batch)


class Task:
    """Training and test rows of one data set at one seed, and what was measured."""

    def __init__(self, name, seed, raw):
        self.name, self.seed = name, seed
        self.X, self.y, self.X_test, self.y_test = _rows(name, seed, raw)
        self.seconds = {}
        self._samplers = {}

    def network(self, **options):
        settings = {"random_state": self.seed, "lr": 2e-3, "lr_schedule": "cosine"}
        if self.name == "cifar10":
            settings |= {"module": SmallConvNet, "max_epochs": 12, "batch_size": 64}
            settings |= {"input_scale": 1 / 255, "augment": flip, "lr": 5e-3}
        elif self.name == "digits":
            settings |= {"hidden_layer_sizes": (64,), "max_epochs": 30}
            settings |= {"input_scale": 1 / 16, "batch_size": 32}
        else:
            settings |= {"hidden_layer_sizes": (128,), "max_epochs": 16}
        return NetworkClassifier(**settings | options)

    def evaluate(self, kept, **options):
        """Train on some rows and return the measures of the study."""
        network = self.network(**options)
        epochs = scaled_max_epochs(network.max_epochs, len(kept), len(self.y))
        start = time.perf_counter()
        network.set_params(max_epochs=epochs).fit(self.X[kept], self.y[kept])
        seconds = time.perf_counter() - start
        predicted = network.predict(self.X_test)
        recalls = class_recalls(self.y_test, predicted)
        return {
            "average": float((predicted == self.y_test).mean()),
            "worst": float(recalls.min()),
            "gap": float(np.ptp(recalls)),
            "std": float(recalls.std()),
            "kept": len(kept),
            "seconds": seconds,
        }

    def _timed(self, key, work):
        start = time.perf_counter()
        result = work()
        self.seconds[key] = time.perf_counter() - start
        return result

    def sampler(self, scorer):
        """Return a sampler that has measured; each measures once."""
        if scorer not in self._samplers:
            self._samplers[scorer] = self._timed(scorer, lambda: self._fit(scorer))
        return self._samplers[scorer]

    def _fit(self, scorer):
        options = {"random_state": self.seed}
        model = self.network(random_state=None)
        if scorer == "random":
            return DRoPSampler(model, **options).fit(self.X, self.y)
        options |= {"quota": "auto", "min_per_class": 0}
        if scorer == "ccs":
            options |= {"scorer": self.dynamics.scores("aum"), "keep": "ccs"}
        elif scorer in DYNAMIC:
            options["scorer"] = self.dynamics.scores(scorer)
        else:
            options |= {"scorer": scorer, "n_query": 3 if scorer == "bald" else 1}
        return DRoPSampler(model, **options).fit(self.X, self.y)

    @cached_property
    def dynamics(self):
        """One recorded training serves four scores."""
        return self._timed(
            "dynamics",
            lambda: record_training_dynamics(self.network(), self.X, self.y)[0],
        )

    def kept(self, rule, density):
        """Return the positions that a rule keeps."""
        base = {"random": {"quota": "auto"}, "balanced": {"quota": "balanced"}}
        base |= {"random+drop paper": PAPER, "random+drop": {}}
        base |= {"random+drop count": {"allocation": "count"}}
        if rule in base:
            return self._resampled("random", density=density, **base[rule])
        if rule == "strategyq el2n":
            return self._resampled("el2n", density=density, quota="strategyq")
        if rule == "easiest el2n":
            return self._resampled("el2n", density=density, keep="easiest")
        if rule in SCORERS:
            return self._resampled(rule, density=density)
        counts = np.bincount(self.y)
        if rule == "random under-sampler":
            sizes = self._quotas(density=density, quota="balanced")
            peer = RandomUnderSampler(sampling_strategy=sizes, random_state=self.seed)
        elif rule == "hardness threshold":
            sizes = dict(enumerate(np.floor(density * counts).astype(int).tolist()))
            peer = InstanceHardnessThreshold(
                sampling_strategy=sizes, random_state=self.seed
            )
        else:
            scorer = rule.removesuffix("+drop")
            return self._resampled(scorer, quota=self._quotas(density=density))
        rows = self.X.reshape(len(self.X), -1)
        peer.fit_resample(rows, self.y)
        return np.sort(peer.sample_indices_)

    def _resampled(self, scorer, **choice):
        sampler = self.sampler(scorer)
        sampler.resample(**choice)
        return sampler.sample_indices_

    def _quotas(self, **choice):
        sampler = self.sampler("random")
        sampler.resample(**choice)
        return dict(sampler.sampling_strategy_)


def _raw(name):
    """Return training and test set, of CIFAR-10 the first images of each class."""
    home = data_home()
    if name == "digits":
        return None
    if name == "cifar10":
        path = Path(home) / "cifar10" / "cifar10-jpeg-folders.tar.xz"
        return [
            load_image_archive(path, subset=part, n_per_class=number)
            for part, number in (("train", 2000), ("test", 400))
        ]
    return [fetch_fashion_mnist(subset=part, data_home=home) for part in PARTS]


def _rows(name, seed, raw):
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        parts = train_test_split(X, y, train_size=900, stratify=y, random_state=seed)
        return (
            parts[0].astype(np.float32),
            parts[2],
            parts[1].astype(np.float32),
            parts[3],
        )
    train, test = raw
    counts = np.full(10, 300 if name == "cifar10" else 800)
    if name == "long_tailed":
        counts = np.floor(1000 * 20 ** (-np.arange(10) / 9)).astype(int)
    rows = select_rows(train.target, counts, np.random.RandomState(seed))
    y = train.target[rows]
    if name == "cifar10":
        return train.images[rows], y, test.images, test.target
    reduce = PCA(50, random_state=0).fit(train.data[rows] / 255)
    X, X_test = (
        reduce.transform(part / 255).astype(np.float32)
        for part in (train.data[rows], test.data)
    )
    return X, y, X_test, test.target


def run_cell(task, rule, density):
    start = time.perf_counter()
    if rule == "full":
        return task.evaluate(np.arange(len(task.y)))
    if rule == "cdb_w":
        weights = ClassDifficultyWeights(random_state=task.seed)
        return task.evaluate(np.arange(len(task.y)), callbacks=[weights])
    kept = task.kept(rule, density)
    seconds = time.perf_counter() - start
    return task.evaluate(kept) | {"seconds to select": seconds}


def run_set(name):
    """Run what is missing of one data set, cell by cell."""
    file = FOLDER / f"{name}.json"
    FOLDER.mkdir(parents=True, exist_ok=True)
    cells = json.loads(file.read_text()) if file.exists() else {}
    wanted = [(seed, rule, 1.0) for seed in SEEDS[name] for rule in WHOLE]
    wanted += [(s, rule, d) for s in SEEDS[name] for rule in RULES for d in DENSITIES]
    wanted = sorted(
        (cell for cell in wanted if "/".join(map(str, cell)) not in cells),
        key=lambda cell: cell[0],
    )
    task, raw = None, _raw(name) if wanted else None
    for seed, rule, density in tqdm(wanted, desc=name):
        if task is None or task.seed != seed:
            task = Task(name, seed, raw)
        cells[f"{seed}/{rule}/{density}"] = run_cell(task, rule, density)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps(cells, indent=0) + "\n")
        os.replace(temporary, file)


def records():
    """Return all cells as a list of dicts."""
    found = []
    for name in SETS:
        file = FOLDER / f"{name}.json"
        for key, value in json.loads(file.read_text()).items() if file.exists() else ():
            seed, rule, density = key.split("/")
            where = {"data": name, "rule": rule, "seed": int(seed)}
            found.append(where | {"density": float(density)} | value)
    return found


def summarise(cells):
    """Mean over seeds, one row a rule and density; gain over random with its error."""
    rows = []
    for name in SETS:
        for density in (1.0, *DENSITIES):
            here = [c for c in cells if c["data"] == name and c["density"] == density]
            random = {c["seed"]: c["worst"] for c in here if c["rule"] == "random"}
            for rule in WHOLE if density == 1.0 else RULES:
                runs = [c for c in here if c["rule"] == rule]
                if not runs:
                    continue
                row = {"data": name, "density": density, "rule": rule}
                row["seeds"] = len(runs)
                for key in ("average", "worst", "gap", "std", "seconds"):
                    row[key] = float(np.mean([run[key] for run in runs]))
                gains = [r["worst"] - random[r["seed"]] for r in runs if random]
                if len(gains) > 1:
                    row["worst - random"] = float(np.mean(gains))
                    spread = np.std(gains, ddof=1) / np.sqrt(len(gains))
                    row["standard error"] = float(spread)
                rows.append(row)
    return rows


def draw(cells):
    """Draw worst class and average against density, a column a data set."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from sklvyso.plotting import DRoPDisplay

    shown = ("full", "cdb_w", "random", "balanced", "random+drop", "el2n", "grand")
    shown += ("forgetting", "ccs", "el2n+drop", "hardness threshold")
    names = [name for name in SETS if any(c["data"] == name for c in cells)]
    figure, axes = pyplot.subplots(
        2, len(names), figsize=(4.2 * len(names), 7.5), squeeze=False
    )
    for column, name in zip(axes.T, names, strict=True):
        here = [c for c in cells if c["data"] == name and c["rule"] in shown]
        here.sort(key=lambda cell: shown.index(cell["rule"]))
        for ax, metric in zip(column, ("worst", "average"), strict=True):
            DRoPDisplay.from_study(here, metric=metric, ax=ax)
            ax.set_title(name.replace("_", " "))
            handles, labels = ax.get_legend_handles_labels()
            ax.get_legend().remove()
    figure.tight_layout(rect=(0, 0, 1, 0.94))
    figure.legend(handles, labels, loc="upper center", ncols=6, frameon=False)
    figure.savefig(FIGURE, dpi=110)


def run(names=SETS):
    one_thread()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for name in names:
            run_set(name)
    cells = records()
    rows = summarise(cells)
    print(table(rows))
    FILE.write_text(json.dumps({**machine(), "table": rows}) + "\n")
    draw(cells)


if __name__ == "__main__":
    run(sys.argv[1:] or SETS)
