"""Split tasks: each task has classes of its own."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklvyso._compat import Interval, validate_params
from sklvyso.datasets._labelled import check_class_order, labelled_rows
from sklvyso.datasets._task_rows import stack_tasks


@validate_params(
    {
        "X": ["array-like"],
        "y": ["array-like"],
        "n_tasks": [Interval(Integral, 1, None, closed="left"), None],
        "classes_per_task": [Interval(Integral, 1, None, closed="left"), None],
        "class_order": ["array-like", None],
        "relabel": ["boolean"],
        "return_tasks": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_split_tasks(
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_tasks: int | None = None,
    classes_per_task: int | None = None,
    class_order: Sequence[Any] | None = None,
    relabel: bool = False,
    return_tasks: bool = False,
) -> Any:
    """Make a sequence of tasks from disjoint groups of classes.

    .. versionadded:: 0.1

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Features or images.

    y : array-like of shape (n_samples,)
        Labels.

    n_tasks : int, default=None
        Number of tasks. Give this or `classes_per_task`.

    classes_per_task : int, default=None
        Number of classes in each task. Give this or `n_tasks`.

    class_order : sequence of labels, default=None
        All labels; the first ones make task 0. None means ascending.

    relabel : bool, default=False
        Number the classes from 0 inside each task, in the order of `params`.

    return_tasks : bool, default=False
        If True, return a list of (X_t, y_t) instead of a Bunch.

    Returns
    -------
    tasks : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes, rows of task 0 first:

        data : ndarray of shape (n_rows, ...)
            Rows of `X`; inside a task they keep their order.
        target : ndarray of shape (n_rows,)
            Labels, or places in the class list of the task if `relabel` is True.
        task : ndarray of shape (n_rows,), dtype=int64
            Number of the task of each row.
        task_names : list of str
            Name of each task.
        n_tasks : int
            Number of tasks.
        params : list of ndarray
            The classes of each task.

    list of (X_t, y_t) : list of tuple of ndarray
        If `return_tasks` is True.

    Raises
    ------
    ValueError
        If the classes cannot be shared out evenly: none is dropped silently.

    See Also
    --------
    make_permuted_tasks : Tasks by permutation of pixels.
    make_rotated_tasks : Tasks by rotation.

    References
    ----------
    .. [1] F. Zenke, B. Poole, S. Ganguli, "Continual learning through synaptic
       intelligence", ICML 2017, section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.datasets import make_split_tasks
    >>> X, y = np.arange(6)[:, np.newaxis], np.array([3, 0, 1, 2, 0, 3])
    >>> tasks = make_split_tasks(X, y, classes_per_task=2)
    >>> tasks.target, tasks.task
    (array([0, 1, 0, 3, 2, 3]), array([0, 0, 0, 1, 1, 1]))
    """
    X, y = labelled_rows(X, y)
    labels = np.unique(y)
    order = labels
    if class_order is not None:
        order = check_class_order(class_order, labels)
    groups = np.split(order, _count_tasks(len(labels), n_tasks, classes_per_task))
    rows = [np.flatnonzero(np.isin(y, group)) for group in groups]
    targets = y
    if relabel:
        rank = np.argsort(order, kind="stable")
        places = rank[np.searchsorted(labels, y)]
        targets = (places % len(groups[0])).astype(np.int64)

    def keep(task: int, part: np.ndarray, out: np.ndarray) -> None:
        out[...] = part

    names = ["classes " + ", ".join(map(str, group.tolist())) for group in groups]
    return stack_tasks(X, targets, rows, keep, names, groups, return_tasks)


def _count_tasks(
    n_classes: int, n_tasks: int | None, classes_per_task: int | None
) -> int:
    if (n_tasks is None) == (classes_per_task is None):
        raise ValueError(
            "Exactly one of n_tasks and classes_per_task must be given. "
            f"Got {n_tasks} and {classes_per_task} instead."
        )
    name = "n_tasks" if classes_per_task is None else "classes_per_task"
    divisor = n_tasks if classes_per_task is None else classes_per_task
    assert divisor is not None
    if n_classes % divisor:
        raise ValueError(
            f"{name} must divide the number of classes, {n_classes}. "
            f"Got {divisor} instead."
        )
    return n_classes // divisor if n_tasks is None else divisor
