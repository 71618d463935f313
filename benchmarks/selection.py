"""Seconds for one query of an active learner: scikit-activeml, modAL, small-text, ours.

``python -m benchmarks selection``. modAL asks for skorch 0.9.0 and needs no more of it
than an import: ``pip install --no-deps modAL-python``. Peers that are not installed are
left out.
"""

import contextlib
import ctypes
import gc
import importlib.util
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks._harness import one_thread, side_by_side, store, table
from sklvyso.active_learning._rounds import probabilities
from sklvyso.selection import (
    badge,
    central_points,
    cluster_margin,
    entropy,
    k_center_greedy,
    least_confidence,
    margin,
    top_scores,
    typical_points,
)

N_POOL, N_LABELLED, N_FEATURES, N_CLASSES, BATCH = 50_000, 500, 384, 4, 50
N_LARGE = 1_000_000
SEED = 0
PASSES = "50 passes, products"
DIFFERENCES = "50 passes, differences"


def embeddings(n_rows, out=None):
    """Return unit vectors in 200 groups of four classes, like those of texts."""
    random = np.random.default_rng(SEED)
    centres = random.standard_normal((200, N_FEATURES), dtype=np.float32)
    groups = random.integers(200, size=n_rows)
    Z = np.empty((n_rows, N_FEATURES), dtype=np.float32) if out is None else out
    for start in range(0, n_rows, 10_000):
        part = slice(start, min(start + 10_000, n_rows))
        noise = random.standard_normal(
            (part.stop - start, N_FEATURES), dtype=np.float32
        )
        rows = 0.6 * centres[groups[part]] + noise
        Z[part] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return Z, groups % N_CLASSES


class Query:
    """What a query has to work with: pool, labelled rows, a fitted classifier."""

    def __init__(self):
        self.Z, self.y = embeddings(N_LABELLED + N_POOL)
        self.labelled = np.arange(N_LABELLED)
        self.pool = self.Z[N_LABELLED:]
        self.classifier = LogisticRegression(C=10, max_iter=1000)
        self.classifier.fit(self.Z[:N_LABELLED], self.y[:N_LABELLED])
        self.distances = k_center_greedy(self.Z, 0, selected=self.labelled)[1]

    def proba(self):
        return self.classifier.predict_proba(self.pool)

    def passes(self):
        """Distances to 50 rows by the product of each with all, the plain way."""
        norms = np.einsum("ij,ij->i", self.pool, self.pool)
        nearest = np.full(N_POOL, np.inf, dtype=np.float32)
        for i in range(BATCH):
            gaps = norms + norms[i] - 2 * (self.pool @ self.pool[i])
            np.minimum(nearest, gaps, out=nearest)

    def difference_passes(self):
        nearest = np.full(N_POOL, np.inf, dtype=np.float32)
        for i in range(BATCH):
            gaps = ((self.pool - self.pool[i]) ** 2).sum(axis=1)
            np.minimum(nearest, gaps, out=nearest)


def ours(query):
    """Return the queries of this package; those that need it include predict_proba."""

    def by_score(score):
        return lambda: top_scores(score(proba()), BATCH)

    def proba():
        # As the learner computes them: rows that were checked are not checked again.
        return probabilities(query.classifier, query.pool)

    def clusters(**options):
        scores = margin(proba())
        cluster_margin(query.pool, scores, BATCH, random_state=SEED, **options)

    chosen = {"selected": query.labelled}
    carried = chosen | {"distances": query.distances}
    return {
        "least_confidence": by_score(least_confidence),
        "margin": by_score(margin),
        "entropy": by_score(entropy),
        "k_center, cold": lambda: k_center_greedy(query.Z, BATCH, **chosen),
        "k_center, carried": lambda: k_center_greedy(query.Z, BATCH, **carried),
        "badge": lambda: badge(query.pool, proba(), BATCH, random_state=SEED),
        "cluster_margin": clusters,
        "cluster_margin, prefilter": lambda: clusters(prefilter=10),
        "typical_points": lambda: typical_points(query.pool, BATCH, random_state=SEED),
        "central_points": lambda: central_points(query.pool, BATCH, random_state=SEED),
    }


def scikit_activeml(query):
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge, CoreSet, TypiClust, UncertaintySampling

    y = query.y.astype(np.float64)
    y[N_LABELLED:] = np.nan
    classifier = SklearnClassifier(
        LogisticRegression(C=10, max_iter=1000), classes=np.arange(N_CLASSES)
    ).fit(query.Z, y)

    def with_classifier(strategy):
        return lambda: strategy.query(
            query.Z, y, classifier, fit_clf=False, batch_size=BATCH
        )

    return {
        name: with_classifier(UncertaintySampling(method=method, random_state=SEED))
        for name, method in (
            ("least_confidence", "least_confident"),
            ("margin", "margin_sampling"),
            ("entropy", "entropy"),
        )
    } | {
        "k_center, cold": lambda: CoreSet(random_state=SEED).query(
            query.Z, y, batch_size=BATCH
        ),
        "badge": with_classifier(Badge(random_state=SEED)),
        "typical_points": lambda: TypiClust(random_state=SEED).query(
            query.pool, np.full(N_POOL, np.nan), batch_size=BATCH
        ),
    }


def modal(query):
    from modAL.batch import uncertainty_batch_sampling
    from modAL.models import ActiveLearner
    from modAL.uncertainty import (
        entropy_sampling,
        margin_sampling,
        uncertainty_sampling,
    )

    learner = ActiveLearner(
        LogisticRegression(C=10, max_iter=1000),
        X_training=query.Z[:N_LABELLED],
        y_training=query.y[:N_LABELLED],
    )

    def call(strategy):
        return lambda: strategy(learner, query.pool, n_instances=BATCH)

    return {
        "least_confidence": call(uncertainty_sampling),
        "margin": call(margin_sampling),
        "entropy": call(entropy_sampling),
        # Ranked batches: distances and uncertainty in one score.
        "ranked batch": call(uncertainty_batch_sampling),
    }


def small_text(query):
    from small_text import (
        BreakingTies,
        GreedyCoreset,
        LeastConfidence,
        PredictionEntropy,
        SklearnClassifier,
        SklearnDataset,
    )
    from small_text.integrations.pytorch.query_strategies import BADGE

    targets = np.arange(N_CLASSES)
    dataset = SklearnDataset(query.Z, query.y, target_labels=targets)
    classifier = SklearnClassifier(
        LogisticRegression(C=10, max_iter=1000), N_CLASSES
    ).fit(dataset[:N_LABELLED])
    unlabelled = np.arange(N_LABELLED, len(query.Z))
    # The strategies on embeddings want those of unlabelled rows first.
    turned = np.vstack([query.pool, query.Z[:N_LABELLED]])

    def call(strategy, **options):
        return lambda: strategy.query(
            classifier,
            dataset,
            unlabelled,
            query.labelled,
            query.y[:N_LABELLED],
            n=BATCH,
            **options,
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a default of version 1.2
        coreset = GreedyCoreset(normalize=False)
    return {
        "least_confidence": call(LeastConfidence()),
        "margin": call(BreakingTies()),
        "entropy": call(PredictionEntropy()),
        "k_center, cold": call(coreset, embeddings=turned),
        "badge": call(BADGE(N_CLASSES), embeddings=turned),
    }


PEERS = {
    "scikit-activeml": ("skactiveml", scikit_activeml),
    "modAL": ("modAL", modal),
    "small-text": ("small_text", small_text),
}
# Long enough to be timed once, without a warm-up of their own.
LONG = {
    ("small-text", "entropy"),
    ("small-text", "k_center, cold"),
    ("small-text", "badge"),
    ("modAL", "ranked batch"),
    ("scikit-activeml", "badge"),
    ("scikit-activeml", "typical_points"),
}


@contextlib.contextmanager
def anonymous_memory():
    """Yield a list that ends with the most memory, in MB, that the block added.

    Pages of memory-mapped files are not counted: the system takes them back at will.
    """
    peak = []
    gc.collect()
    # What earlier work has freed must not hide what this one takes.
    ctypes.CDLL(None).malloc_trim(0)
    before = _anonymous()
    stop = threading.Event()

    def watch():
        most = before
        while not stop.wait(0.002):
            most = max(most, _anonymous())
        peak.append((most - before) / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        stop.set()
        watcher.join()


def _anonymous():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1])
    raise OSError("/proc/self/status does not tell anonymous memory")


def extra_memory(work):
    with anonymous_memory() as peak:
        work()
    return peak[-1]


def once(work):
    """Return the seconds and extra memory of one call."""
    start = time.perf_counter()
    memory = extra_memory(work)
    return time.perf_counter() - start, memory


def compare():
    """Return the rows of the table of one query on 50,000 rows."""
    query = Query()
    works = {
        ("NumPy", PASSES): query.passes,
        ("NumPy", DIFFERENCES): query.difference_passes,
        ("scikit-learn", "predict_proba"): query.proba,
    }
    works |= {("sklvyso", name): work for name, work in ours(query).items()}
    for library, (module, queries) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{library} is not installed and left out")
            continue
        works |= {(library, name): work for name, work in queries(query).items()}
    short = {key: work for key, work in works.items() if key not in LONG}
    seconds = side_by_side(short)
    memory = {key: extra_memory(work) for key, work in short.items()}
    for key in works.keys() - short.keys():
        seconds[key], memory[key] = once(works[key])
    yardstick = seconds["NumPy", PASSES]
    rows = []
    for library, name in works:
        key, own = (library, name), seconds.get(("sklvyso", name))
        row = {"query": name, "library": library, "seconds": seconds[key]}
        row["times ours"] = seconds[key] / own if own else ""
        row["times 50 passes"] = seconds[key] / yardstick
        row["extra MB"] = round(memory[key])
        row["calls"] = 1 if key in LONG else 5
        rows.append(row)
    names = [row["query"] for row in rows]
    return sorted(rows, key=lambda row: names.index(row["query"]))


def large():
    """Return the rows of the table of a memory-mapped million."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Z.npy"
        shape = N_LARGE, N_FEATURES
        Z, y = embeddings(
            N_LARGE, np.lib.format.open_memmap(path, "w+", np.float32, shape)
        )
        classifier = LogisticRegression(C=10, max_iter=1000)
        classifier.fit(Z[:N_LABELLED], y[:N_LABELLED])
        del Z
        Z = np.load(path, mmap_mode="r")
        proba = np.vstack(
            [
                classifier.predict_proba(Z[i : i + 10_000])
                for i in range(0, N_LARGE, 10_000)
            ]
        )
        scores = margin(proba)
        chosen = {"selected": np.arange(N_LABELLED)}
        carried = chosen | {"distances": k_center_greedy(Z, 0, **chosen)[1]}
        options = {"random_state": SEED}
        works = {
            "margin, top_scores": lambda: top_scores(margin(proba), BATCH),
            "k_center, cold": lambda: k_center_greedy(Z, BATCH, **chosen),
            "k_center, carried": lambda: k_center_greedy(Z, BATCH, **carried),
            "badge": lambda: badge(Z, proba, BATCH, **options),
            "cluster_margin": lambda: cluster_margin(Z, scores, BATCH, **options),
            "typical_points": lambda: typical_points(Z, BATCH, **options),
            "central_points": lambda: central_points(Z, BATCH, **options),
        }
        for name, work in works.items():
            seconds, memory = once(work)
            rows.append({"query": name, "seconds": seconds, "extra MB": round(memory)})
    return rows


def run():
    one_thread()
    rows = compare()
    print(
        f"Seconds for a query of {BATCH} of {N_POOL:,} x {N_FEATURES}, {N_LABELLED} "
        f"labelled, {N_CLASSES} classes, with predict_proba where needed, one thread:"
    )
    print(table(rows))
    store("selection", rows)
    rows = large()
    print(f"{N_LARGE:,} x {N_FEATURES}, memory-mapped, probabilities given:")
    print(table(rows))
    store("selection_large", rows)


if __name__ == "__main__":
    run()
