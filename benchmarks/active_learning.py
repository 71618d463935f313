"""Does active learning on frozen representations pay, before and after fine-tuning?

Two parts, each a table:

``curves``
    Accuracy of the light classifier against labels, for every strategy: 50 random
    labels, then batches of 50 up to 500 (banking77: 154 and 154, up to 1,540).
``final``
    The 500 labels train the whole transformer: the same model as the encoder's, and
    another one; from a new head or from the light classifier as head (LP-FT). Six
    epochs, learning rate 5e-5, batch 16, word embeddings kept still.

all-MiniLM-L6-v2, mean pooling, 64 tokens; paraphrase-MiniLM-L3-v2 is the other model.
AG News: 4,000 texts of the pool; at most 1,500 test texts. Each cell is a file in
``benchmarks/studies/active_learning/``: a run that broke goes on, and several processes
share the work.

``python -m benchmarks.active_learning [curves] [final] [tables]``
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks._harness import STUDIES, data_home, machine, one_thread, table
from benchmarks._language_models import minilm_l3, minilm_l6
from sklvyso.active_learning import (
    PretrainedActiveLearner,
    PretrainedTextEncoder,
    TransformerTextClassifier,
)
from sklvyso.datasets import load_text_csv

CELLS = STUDIES / "active_learning"
FILE = STUDIES / "active_learning.json"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sklvyso"
SEEDS = range(5)
STRATEGIES = (
    "random",
    "least_confidence",
    "margin",
    "entropy",
    "bald",
    "k_center",
    "badge",
    "cluster_margin",
    "half_random",
)
FINAL_STRATEGIES = ("random", "margin", "badge", "cluster_margin", "half_random")
LABELS = {"banking77": 154}
N_TEST = 1500
RECIPE = {
    "max_epochs": 6,
    "min_steps": 0,
    "lr": 5e-5,
    "batch_size": 16,
    "max_length": 64,
    "freeze_embeddings": True,
}
MODELS = {"L6": minilm_l6, "L3": minilm_l3}
# In this order, so that what is there after some hours is balanced.
FINAL_PARTS = (
    (("trec", "sst2"), "L6", False),
    (("ag_news",), "L6", False),
    (("trec", "sst2"), "L3", False),
    (("trec", "sst2"), "L6", True),
    (("ag_news",), "L3", False),
    (("ag_news",), "L6", True),
)


def load(name):
    """Return training texts and labels, test texts and labels, of the first rows."""
    folder = os.path.join(data_home(), name)
    train = load_text_csv(folder, subset="train")
    test = load_text_csv(folder, subset="test", target_names=train.target_names)
    n_train = 4000 if name == "ag_news" else None
    order = np.random.RandomState(0).permutation(len(test.data))[:N_TEST]
    return (
        train.data[:n_train],
        train.target[:n_train],
        [test.data[i] for i in order],
        test.target[order],
    )


def encoder():
    """Return the encoder of all parts."""
    return PretrainedTextEncoder(minilm_l6(), max_length=64, cache_dir=CACHE, verbose=1)


class Cells:
    """Results by key, one file each, claimed before they are computed."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, *key):
        return self.folder / ("-".join(map(str, key)) + ".json")

    def read(self, *key):
        path = self.path(*key)
        return json.loads(path.read_text()) if path.exists() else None

    def compute(self, work, *key):
        """Compute a cell unless it is there or another process is at it."""
        path, claim = self.path(*key), self.path(*key).with_suffix(".claim")
        if path.exists():
            return
        try:
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            if _is_alive(claim):
                return
        claim.write_text(str(os.getpid()))
        try:
            start = time.perf_counter()
            result = work()
            result["seconds"] = round(time.perf_counter() - start, 2)
            path.write_text(json.dumps(result) + "\n")
            print(*key, {k: v for k, v in result.items() if np.isscalar(v)}, flush=True)
        finally:
            claim.unlink(missing_ok=True)


def _is_alive(claim):
    try:
        os.kill(int(claim.read_text() or os.getpid()), 0)
    except (ValueError, ProcessLookupError):
        return False
    return True


def acquire(name, strategy, seed, data):
    """Simulate one campaign; return the curve and the rows in order."""
    H, y, H_test, y_test = data
    batch = LABELS.get(name, 50)
    learner = PretrainedActiveLearner(
        oracle="y",
        strategy=strategy,
        n_initial=batch,
        batch_size=batch,
        n_queries=9,
        validation=(H_test, y_test),
        scale=None,
        classifier=light_classifier(),
        random_state=seed,
    ).fit(H, y)
    rounds = learner.history_
    return {
        "labels": [entry["n_labeled"] for entry in rounds],
        "accuracy": [round(entry["score"], 5) for entry in rounds],
        "query": sum(entry["query_seconds"] for entry in rounds),
        "fit": sum(entry["fit_seconds"] for entry in rounds),
        "rows": learner.labeled_indices_.tolist(),
        "fallbacks": sum(bool(entry["fallback"]) for entry in rounds),
    }


def light_classifier():
    """Return the default of learners with an encoder; vectors are given here."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10, max_iter=1000)


def curves(cells, names=("trec", "sst2", "ag_news", "banking77")):
    """Compute all curves."""
    for name in names:
        X, y, X_test, y_test = load(name)
        known = encoder().fit(X)
        data = known.transform(X), y, known.transform(X_test), y_test
        for seed in SEEDS:
            for strategy in STRATEGIES:
                cells.compute(
                    lambda s=strategy, r=seed, n=name, d=data: acquire(n, s, r, d),
                    *("curve", name, strategy, seed),
                )


def final(cells):
    """Compute all cells of the last stage."""
    for names, model, lp_ft in FINAL_PARTS:
        for seed in SEEDS:
            for name in names:
                data = load(name)
                for strategy in FINAL_STRATEGIES:
                    rows = cells.read("curve", name, strategy, seed)["rows"]
                    cells.compute(
                        lambda r=rows, d=data, m=model, p=lp_ft, s=seed: fine_tune(
                            r, d, m, p, s
                        ),
                        *("final", name, strategy, seed),
                        *(model, "lpft" if lp_ft else "ft"),
                    )


def fine_tune(rows, data, model, lp_ft, seed):
    """Train the whole model on the acquired rows; return its accuracy."""
    X, y, X_test, y_test = data
    source = MODELS[model]
    estimator = TransformerTextClassifier(
        source() if model == "L6" else source, random_state=seed, **RECIPE
    )
    if lp_ft:
        learner = PretrainedActiveLearner(
            encoder(), final_estimator=estimator, lp_ft=True, random_state=seed
        )
        hidden = np.full(len(y), -1)
        hidden[rows] = y[rows]
        learner.set_params(missing_label=-1).fit(X, hidden)
        estimator = learner.finalize()
    else:
        estimator.fit([X[i] for i in rows], y[rows])
    return {"accuracy": float(estimator.score(X_test, y_test))}


def curve_table(cells, name):
    """Return rows of mean accuracies, and the area under each curve."""
    rows = []
    for strategy in STRATEGIES:
        found = [cells.read("curve", name, strategy, seed) for seed in SEEDS]
        found = [cell for cell in found if cell]
        if not found:
            continue
        accuracy = np.array([cell["accuracy"] for cell in found])
        areas = accuracy.mean(axis=1)
        row = {"data": name, "strategy": strategy}
        for column in (1, 3, 5, 9):
            row[f"{found[0]['labels'][column]}"] = float(accuracy[:, column].mean())
        row["area"] = float(areas.mean())
        row["sd of area"] = float(areas.std(ddof=1))
        row["query ms a round"] = 1000 * float(np.mean([c["query"] / 9 for c in found]))
        row["fit ms a round"] = 1000 * float(np.mean([c["fit"] / 10 for c in found]))
        rows.append(row)
    return rows


def final_table(cells):
    """Return rows of final accuracies and of paired gains over random."""
    rows = []
    for names, model, lp_ft in FINAL_PARTS:
        how = "lpft" if lp_ft else "ft"
        for name in names:
            random = _by_seed(cells, name, "random", model, how)
            for strategy in FINAL_STRATEGIES:
                accuracy = _by_seed(cells, name, strategy, model, how)
                both = sorted(set(accuracy) & set(random))
                if len(both) < 2:
                    continue
                gains = np.array([accuracy[s] - random[s] for s in both])
                light = [
                    cells.read("curve", name, strategy, s)["accuracy"][-1] for s in both
                ]
                rows.append(
                    {
                        "data": name,
                        "model": model,
                        "head": "probe" if lp_ft else "new",
                        "strategy": strategy,
                        "seeds": len(both),
                        "light": float(np.mean(light)),
                        "final": float(np.mean([accuracy[s] for s in both])),
                        "gain over random": float(gains.mean()),
                        "standard error": float(
                            gains.std(ddof=1) / np.sqrt(len(gains))
                        ),
                        "worst gain": float(gains.min()),
                    }
                )
    return rows


def _by_seed(cells, name, strategy, model, how):
    found = {
        seed: cells.read("final", name, strategy, seed, model, how) for seed in SEEDS
    }
    return {seed: cell["accuracy"] for seed, cell in found.items() if cell}


def tables(cells):
    """Print and store both tables."""
    light = {
        name: curve_table(cells, name)
        for name in ("trec", "sst2", "ag_news", "banking77")
    }
    for rows in light.values():
        if rows:
            print(table(rows), end="\n\n")
    last = final_table(cells)
    if last:
        print(table(last))
    result = {**machine(), "recipe": RECIPE, "curves": light, "final": last}
    FILE.write_text(json.dumps(result, indent=1) + "\n")


def run(parts=("curves", "final", "tables")):
    """Run the named parts."""
    one_thread()
    cells = Cells(CELLS)
    for part in parts:
        {"curves": curves, "final": final, "tables": tables}[part](cells)


if __name__ == "__main__":
    run(sys.argv[1:] or ("curves", "final", "tables"))
