"""What all task sets share: which rows a task sees, how tasks are stacked."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils import Bunch


def task_rows(y: np.ndarray, n_tasks: int, sampling: str) -> list[np.ndarray]:
    """Give the rows of each task.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    n_tasks : int
        Number of tasks.
    sampling : {'copy', 'partition'}
        'copy' gives every task all rows. 'partition' deals them out, class by class,
        so that class counts, and sizes, of two tasks differ by one row at most.

    Returns
    -------
    rows : list of ndarray
        Ascending row indices of each task.
    """
    if sampling == "copy":
        return [np.arange(len(y))] * n_tasks
    if len(y) < n_tasks:
        raise ValueError(
            f"n_tasks must be at most the number of rows, {len(y)}, with "
            f"sampling='partition'. Got {n_tasks} instead."
        )
    _, codes = np.unique(y, return_inverse=True)
    owner = np.empty(len(y), dtype=np.int64)
    owner[np.argsort(codes, kind="stable")] = np.arange(len(y)) % n_tasks
    return [np.flatnonzero(owner == task) for task in range(n_tasks)]


def stack_tasks(
    X: np.ndarray,
    y: np.ndarray,
    rows: Sequence[np.ndarray],
    change: Callable[[int, np.ndarray, np.ndarray], None],
    task_names: Sequence[str],
    params: Any,
    return_tasks: bool,
) -> Any:
    """Fill one array with all tasks, task 0 first.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        Rows before any change.
    y : ndarray of shape (n_samples,)
        Labels.
    rows : sequence of ndarray
        Rows of each task.
    change : callable
        ``change(task, X_task, out)`` writes the changed rows of a task to `out`.
    task_names : sequence of str
        Name of each task.
    params : object
        What makes the tasks.
    return_tasks : bool
        Whether to return a list of (X_t, y_t) instead of a Bunch.

    Returns
    -------
    tasks : Bunch or list of (ndarray, ndarray)
        The stacked tasks, or views of each.
    """
    ends = np.cumsum([len(r) for r in rows])
    starts = ends - [len(r) for r in rows]
    data = np.empty((ends[-1], *X.shape[1:]), dtype=X.dtype)
    for task, chosen in enumerate(rows):
        part = X if len(chosen) == len(X) else X[chosen]
        change(task, part, data[starts[task] : ends[task]])
    target = np.concatenate([y[chosen] for chosen in rows])
    if return_tasks:
        return [(data[i:j], target[i:j]) for i, j in zip(starts, ends, strict=True)]
    return Bunch(
        data=data,
        target=target,
        task=np.repeat(np.arange(len(rows)), [len(r) for r in rows]),
        task_names=list(task_names),
        n_tasks=len(rows),
        params=params,
    )
