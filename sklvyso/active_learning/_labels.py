"""Labels of which some are missing."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d


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


def split_labels(y: Any, missing_label: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as an array and which of them are missing.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    missing_label : object
        The marker.

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
    if hasattr(y, "isna") and hasattr(y, "dtype") and not isinstance(y, np.ndarray):
        # Nullable types of pandas become float and lose their labels otherwise.
        y = y.to_numpy(dtype=object) if y.isna().any() else np.asarray(y)
    labels = column_or_1d(y, warn=True)
    is_missing = missing_entries(labels, missing_label)
    known = labels[~is_missing]
    if known.dtype.kind == "O" and len(known):
        known = plain_labels(known)
    if known.dtype.kind == "f":
        assert_all_finite(known, input_name="y")
    if len(known):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The number of unique classes is greater")
            check_classification_targets(known)
    return labels, is_missing


def plain_labels(labels: Any) -> np.ndarray:
    """Return labels in the simplest type that holds them.

    Parameters
    ----------
    labels : sequence of labels
        Of one kind, none missing.

    Returns
    -------
    labels : ndarray of shape (n,)
        int, float, bool or str where all of them are; otherwise objects.

    Raises
    ------
    ValueError
        If kinds are mixed that have no order, such as str and int.
    """
    array = np.asarray(labels)
    if array.dtype.kind != "O":
        values = array if array.ndim == 1 else array.ravel()
        if values.dtype.kind in "US" and not all(isinstance(v, str) for v in labels):
            found = sorted({type(v).__name__ for v in labels})
            raise ValueError(f"y must hold labels of one kind. Got {found} instead.")
        return values
    simple = np.asarray(array.tolist())
    kinds = {type(v) for v in array.tolist()}
    if simple.ndim == 1 and len(kinds) == 1 and simple.dtype.kind in "iufb":
        return simple
    try:
        np.unique(array)
    except TypeError as error:
        names = sorted(each.__name__ for each in kinds)
        raise ValueError(
            f"y must hold labels of one kind. Got {names} instead."
        ) from error
    return array
