"""Labels of which some are missing."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import column_or_1d

from sklvyso._arguments import shown
from sklvyso._validation import check_classification_targets


def is_missing_mark(missing_label: Any) -> bool:
    """Say whether a marker is one of NaN, None and pandas.NA, which all count alike."""
    if missing_label is None or type(missing_label).__name__ == "NAType":
        return True
    return isinstance(missing_label, float | np.floating) and np.isnan(missing_label)


def missing_entries(y: np.ndarray, missing_label: Any) -> np.ndarray:
    """Return which labels are missing, shape (n,), bool.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of any kind.
    missing_label : object
        NaN, None and pandas.NA stand for one another; any other marker for itself.
    """
    if not is_missing_mark(missing_label):
        if isinstance(missing_label, Iterable) and not isinstance(
            missing_label, str | bytes
        ):
            raise TypeError(
                "missing_label must be one value, such as NaN, None or -1. Got "
                f"{shown(missing_label)} instead."
            )
        if y.dtype.kind == "O":
            return np.array([_is_equal(label, missing_label) for label in y], bool)
        with np.errstate(all="ignore"):
            return np.asarray(y == missing_label, bool) & np.ones(len(y), bool)
    if y.dtype.kind == "f":
        return np.isnan(y)
    if y.dtype.kind == "O":
        return np.array([is_missing_mark(label) for label in y], bool)
    return np.zeros(len(y), bool)


def _is_equal(label: Any, marker: Any) -> bool:
    try:
        return bool(label == marker)
    except (TypeError, ValueError):
        return False


def object_labels(y: Any, *, name: str = "y") -> np.ndarray:
    """Return labels as they are: NumPy would make strings of NaN among strings.

    Parameters
    ----------
    y : iterable of labels
        Of any kind.
    name : str, default="y"
        What error messages call it.

    Returns
    -------
    labels : ndarray
        Of dtype object unless it was an array.

    Raises
    ------
    ValueError
        If NumPy has made a string of a NaN already.
    """
    if isinstance(y, np.ndarray):
        if y.dtype.kind == "U" and (y == "nan").any():
            raise ValueError(
                f"{name} must have its missing labels as NaN or None. Got the string "
                "'nan', which NumPy makes of NaN among strings: pass a list, or an "
                "array of dtype=object."
            )
        return y.astype(object)
    if hasattr(y, "to_numpy"):
        return y.to_numpy(dtype=object)
    if hasattr(y, "__array__"):
        return np.asarray(y).astype(object)
    items = list(y)
    labels = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        labels[i] = item
    return labels


def split_labels(
    y: Any, missing_label: Any, *, name: str = "y"
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as an array and which of them are missing.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    missing_label : object
        The marker.
    name : str, default="y"
        What error messages call it.

    Returns
    -------
    labels : ndarray of shape (n,)
        Of one kind where none is missing.
    is_missing : ndarray of shape (n,), dtype bool
        Which ones are not known.

    Raises
    ------
    ValueError
        If they are not the labels of a classification.
    """
    if isinstance(y, list | tuple) and any(isinstance(label, str) for label in y):
        y = object_labels(y, name=name)
    elif isinstance(y, np.ndarray) and y.dtype.kind == "U":
        object_labels(y, name=name)
    elif hasattr(y, "isna") and hasattr(y, "dtype"):
        # Nullable types of pandas become float and lose their labels otherwise.
        y = y.to_numpy(dtype=object) if y.isna().any() else np.asarray(y)
    labels = column_or_1d(y, warn=True)
    is_missing = missing_entries(labels, missing_label)
    known = labels[~is_missing]
    if known.dtype.kind == "O" and len(known):
        known = plain_labels(known.tolist(), name=name)
    check_labels(known, name=name)
    return labels, is_missing


def check_labels(labels: np.ndarray, *, name: str = "y") -> None:
    """Raise unless known labels are finite and those of a classification."""
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name=name)
    if not len(labels):
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater")
        check_classification_targets(labels)


def plain_labels(labels: list, *, name: str = "y") -> np.ndarray:
    """Return labels in the simplest type that holds them.

    Parameters
    ----------
    labels : list of labels
        None missing.
    name : str, default="y"
        What error messages call it.

    Returns
    -------
    labels : ndarray of shape (n,)
        int, float, bool or str where all of them are; otherwise objects.

    Raises
    ------
    ValueError
        If kinds are mixed, such as str and int, or bool and int.
    """
    kinds = {_kind(label) for label in labels}
    if len(kinds) > 1:
        found = sorted({type(label).__name__ for label in labels})
        raise ValueError(f"{name} must hold labels of one kind. Got {found} instead.")
    array = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(
            f"{name} must hold labels, one for each row. Got an array of shape "
            f"{array.shape} instead."
        )
    return array


def _kind(label: Any) -> Any:
    for kind in (str, bool | np.bool_, int | float | np.integer | np.floating):
        if isinstance(label, kind):
            return kind
    return type(label)
