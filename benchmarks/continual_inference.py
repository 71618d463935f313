"""Is the task of a row found when it is not given?

Ten tasks with masks of their own, and then four more that combine them, of the streams
of ``benchmarks.continual``; 40 superfluous outputs or none; single rows and groups of
32 that are known to come from one task. 192 test rows of each task.

``python -m benchmarks.continual_inference`` writes
``benchmarks/studies/continual_inference.json``.
"""

import json

import numpy as np

from benchmarks._harness import STUDIES, machine, one_thread, table
from benchmarks.continual import Parts, later, learn

FILE = STUDIES / "continual_inference.json"
STREAMS = ("rotations", "permutations")
SEEDS = range(3)
METHODS = ("exhaustive", "one_shot", "binary")
GROUPS = (1, 32)


def run():
    """Learn, infer, print the table, store it."""
    one_thread()
    shares = {}
    for stream in STREAMS:
        for seed in SEEDS:
            parts = Parts(stream, seed)
            for outputs in (40, 0):
                learner = learn(stream, seed, 10, n_superfluous=outputs)
                for task, X, _, y, _ in parts.seen:
                    learner.partial_fit(X, y, task=task)
                measure(learner, parts.seen, (stream, outputs, "10 masks"), shares)
                later(learner, parts)
                pool = "10 masks, 4 combinations"
                measure(learner, parts.tasks, (stream, outputs, pool), shares)
            print(stream, seed, flush=True)
    rows = [
        row(shares, outputs, pool, method, size)
        for outputs in (40, 0)
        for pool in ("10 masks", "10 masks, 4 combinations")
        for method in METHODS
        for size in GROUPS
    ]
    print(table(rows))
    FILE.write_text(json.dumps({**machine(), "table": rows}, indent=1) + "\n")


def row(shares, outputs, pool, method, size):
    found = {
        "superfluous": outputs,
        "tasks": pool,
        "method": method,
        "rows of a group": size,
    }
    for stream in STREAMS:
        for kind in ("masks", "combinations"):
            key = stream, outputs, pool, method, size, kind
            if key in shares:
                found[f"{stream}, {kind}"] = float(np.mean(shares[key]))
    return found


def measure(learner, tasks, key, shares):
    for method in METHODS:
        learner.set_params(task_inference=method)
        for number, (task, _, X, _, _) in enumerate(tasks):
            kind = "masks" if number < 10 else "combinations"
            for size in GROUPS:
                groups = None if size == 1 else np.arange(192) // size
                found = learner.predict_task(X[:192], groups=groups) == task
                shares.setdefault((*key, method, size, kind), []).append(found.mean())


if __name__ == "__main__":
    run()
