"""From what a user passes to checked rows, and the task of each of them."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_consistent_length, column_or_1d

from sklvyso._arguments import read_array, untensored
from sklvyso._validation import check_array, check_classification_targets, validate_data
from sklvyso.networks import as_rows, resolve_input_shape, take_column

_NO_TARGET = "ImpressLearnClassifier requires y to be passed, but the target y is None."
_NUMBERS = {"dtype": (np.float32, np.uint8)}


def checked_rows(
    estimator: Any, X: Any, y: Any, task: Any, *, reset: bool, needs_y: bool = True
) -> tuple[np.ndarray, Any, Any]:
    """Return rows without a task column, labels, and tasks as they came.

    Parameters
    ----------
    estimator : ImpressLearnClassifier
        With ``reset`` it gets ``n_features_in_`` and ``input_shape_``.
    X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
        Rows or images.
    y : array-like of shape (n,) or None
        Labels.
    task : scalar, array-like of shape (n,) or None
        As passed.
    reset : bool
        Whether these are the first rows.
    needs_y : bool, default=True
        False for rows to predict.

    Returns
    -------
    X : ndarray of shape (n, n_features), dtype float32 or uint8
        For the network.
    y : ndarray of shape (n,) or None
        Labels.
    task : scalar, ndarray of shape (n,) or None
        From the column where there is one.
    """
    column = estimator.task_column
    if task is not None and column is not None:
        raise ValueError(
            f"task must be left out where task_column={column!r} names it. Got both."
        )
    rows, image_shape = as_rows(X)
    target = {"y": y} if needs_y else {}
    if column is None:
        checked = validate_data(estimator, rows, reset=reset, **target, **_NUMBERS)
        rows, y = checked if target else (checked, None)
    else:
        loosely = {"dtype": None, "ensure_all_finite": False}
        if hasattr(rows, "iloc"):
            validate_data(estimator, rows, skip_check_array=True, reset=reset)
            if needs_y and y is None:
                raise ValueError(_NO_TARGET)
            y = column_or_1d(y, warn=True) if needs_y else None
        else:
            checked = validate_data(estimator, rows, reset=reset, **target, **loosely)
            rows, y = checked if target else (checked, None)
        rows, task = take_column(rows, column, parameter="task_column")
        rows = check_array(rows, estimator=estimator, **_NUMBERS)
        if y is not None:
            check_consistent_length(rows, y)
    if y is not None:
        check_classification_targets(y)
        y = column_or_1d(y)
    shape = estimator.input_shape if reset else estimator.input_shape_
    if image_shape is not None and column is not None:
        raise ValueError(
            f"task_column={column!r} needs rows of values. Got images: pass task."
        )
    shape = resolve_input_shape(shape, image_shape, rows.shape[1])
    if reset:
        estimator.input_shape_ = shape
    return rows, y, task


def tasks_of_rows(task: Any, n_rows: int, default: Any) -> list[Any]:
    """Return the name of each row's task.

    Parameters
    ----------
    task : scalar, array-like of shape (n,) or None
        As passed; None is ``default`` for all rows.
    n_rows : int
        Rows.
    default : object
        Name where there is none.

    Returns
    -------
    names : list of length n
        Python's own str, int and other values; whole floats become int. Missing ones
        (NaN, None) become None.
    """
    if task is None:
        return [default] * n_rows
    task = untensored("task", task)
    if is_one_name(task):
        return [task_name(task)] * n_rows
    if hasattr(task, "to_numpy"):
        task = task.to_numpy()
    values = task if isinstance(task, list) else np.asarray(task).tolist()
    if np.ndim(task) != 1 or len(values) != n_rows:
        raise ValueError(
            f"task must be one name, or one for each of the {n_rows} rows. Got shape "
            f"{np.shape(task)} instead."
        )
    return [task_name(value) for value in values]


def is_one_name(task: Any) -> bool:
    """Say whether this is one name, not one a row; ragged lists are neither."""
    if isinstance(task, str | bytes):
        return True
    return (task if hasattr(task, "ndim") else read_array("task", task)).ndim == 0


def task_name(value: Any) -> Any:
    """Return a name as a key: NumPy's scalars as Python's, whole floats as int."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() else value
    if type(value).__name__ in ("NAType", "NaTType", "NoneType"):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(
            "task must hold str or int names. Got "
            f"{value!r} ({type(value).__name__}) instead: use str(...) of it."
        )
    return value


def rows_by_task(names: list[Any]) -> dict[Any, np.ndarray]:
    """Return the rows of each task, tasks in order of first appearance.

    Parameters
    ----------
    names : list of length n
        From :func:`tasks_of_rows`.

    Returns
    -------
    rows : dict of name to int ndarray
        Ascending.

    Raises
    ------
    ValueError
        If a name is missing.
    """
    places: dict[Any, list[int]] = {}
    for row, name in enumerate(names):
        places.setdefault(name, []).append(row)
    if None in places:
        raise ValueError(
            f"task must have a name for each row to learn from. It is missing in "
            f"{len(places[None])} rows, such as row {places[None][0]}."
        )
    return {name: np.array(rows) for name, rows in places.items()}


def check_groups(groups: ArrayLike | None, is_known: np.ndarray) -> None:
    """Refuse groups where all tasks are known."""
    if groups is not None and is_known.all():
        raise ValueError(
            "groups must be left out where task is given: they say which rows share "
            "an unknown task. Got both."
        )
