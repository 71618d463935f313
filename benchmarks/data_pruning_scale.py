"""Selection at scale: ten million rows of labels and scores; k-center without n x n."""

import resource
import time
import tracemalloc

import numpy as np
from imblearn.under_sampling import RandomUnderSampler

from benchmarks._harness import one_thread, store, table
from sklvyso import DRoPSampler
from sklvyso.selection import k_center_greedy

N_ROWS, N_CLASSES = 10_000_000, 100


def timed(work):
    """Return seconds, and the peak of traced memory of a second run in MB."""
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return seconds, peak


def selection():
    rng = np.random.RandomState(0)
    y = rng.randint(0, N_CLASSES, N_ROWS)
    scores = rng.rand(N_ROWS)
    X = np.zeros((N_ROWS, 1), dtype=np.float32)
    recalls = np.linspace(0.5, 0.95, N_CLASSES)
    work = {
        "RandomUnderSampler, imbalanced-learn": lambda: RandomUnderSampler(
            random_state=0
        ).fit_resample(X, y),
    }
    for quota in ("drop", "auto", "strategyq", "normalize"):
        sampler = DRoPSampler(
            recalls=recalls, scorer=scores, quota=quota, density=0.3, random_state=0
        )
        work[f"fit_resample, {quota} by score"] = lambda s=sampler: s.fit_resample(X, y)
    drawn = DRoPSampler(recalls=recalls, density=0.3, random_state=0)
    work["fit_resample, drop at random"] = lambda: drawn.fit_resample(X, y)
    rows = []
    for name, call in work.items():
        seconds, peak = timed(call)
        rows.append({"work": name, "seconds": seconds, "peak MB": peak})
    for choice in ({"density": 0.1}, {"density": 0.6}, {"quota": "uniform"}):
        seconds, peak = timed(lambda c=choice: drawn.resample(**c))
        rows.append(
            {"work": f"resample, {choice}", "seconds": seconds, "peak MB": peak}
        )
    return rows


def centers():
    rows = []
    for n_select in (500, 5_000, 25_000):
        Z = np.random.RandomState(0).randn(50_000, 64).astype(np.float32)
        seconds, peak = timed(lambda Z=Z, n=n_select: k_center_greedy(Z, n))
        name = f"k-center, {n_select} of 50,000 x 64"
        rows.append({"work": name, "seconds": seconds, "peak MB": peak})
    return rows


def run():
    one_thread()
    rows = selection() + centers()
    print(f"{N_ROWS:,} rows of {N_CLASSES} classes, one column of X; k-center:")
    print(table(rows))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"largest resident size of the process: {resident:.0f} MB")
    store("data_pruning_scale", rows)


if __name__ == "__main__":
    run()
