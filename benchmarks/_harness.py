"""Timing side by side, the machine, and the results file."""

import json
import os
import platform
import statistics
import time
from datetime import date
from pathlib import Path

import numpy
import sklearn
import torch

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"
STUDIES = FOLDER / "studies"


def one_thread() -> None:
    """Use one thread for torch; NumPy's is set by OMP_NUM_THREADS=1 (Makefile)."""
    torch.set_num_threads(1)


def side_by_side(contenders, *, rounds=5):
    """Time contenders in turns, after one warm-up each.

    Parameters
    ----------
    contenders : dict of str to callable
        Each does the same work.
    rounds : int
        Timed calls of each.

    Returns
    -------
    seconds : dict of str to float
        Medians.
    """
    for work in contenders.values():
        work()
    times = {name: [] for name in contenders}
    for turn in range(rounds):
        names = list(contenders)
        # Another one goes first in each round, so that none always meets a warm cache.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            contenders[name]()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def data_home():
    """Return the folder with real data, or stop with a word on how to get it."""
    home = os.environ.get("SKLVYSO_DATA")
    if not home:
        raise SystemExit("benchmarks need real data: set SKLVYSO_DATA to their folder")
    return home


def machine():
    """Describe machine and versions."""
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": numpy.__version__,
    }


def store(name, rows, *, path=RESULTS, **extra):
    """Put the rows of one benchmark into the results file."""
    path.parent.mkdir(exist_ok=True)
    results = json.loads(path.read_text()) if path.exists() else {}
    results[name] = {"rows": rows, **machine(), **extra}
    path.write_text(json.dumps(results, indent=1) + "\n")


def table(rows, columns=None):
    """Format rows (dicts) as a Markdown table."""
    columns = columns or list(rows[0])

    def cell(value):
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(cell(row.get(c, "")) for c in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
