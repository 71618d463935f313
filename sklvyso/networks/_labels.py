"""Labels become codes; weights of classes and samples become checked arrays."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import column_or_1d

from sklvyso._arguments import read_numbers
from sklvyso._compat import _check_sample_weight


def unique_labels(classes: ArrayLike) -> np.ndarray:
    """Return the labels that a user names, sorted, shape (n_classes,).

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        Labels of one kind.

    Returns
    -------
    labels : ndarray
        Sorted and without repetition.

    Raises
    ------
    ValueError
        If there are none, of several kinds, or missing ones.
    """
    try:
        labels = np.unique(column_or_1d(classes))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"classes must be a list of labels of one kind. Got {classes!r}: {error}"
        ) from error
    if not len(labels) or (labels.dtype.kind == "f" and np.isnan(labels).any()):
        raise ValueError(
            f"classes must hold labels, none of them missing. Got {classes!r} instead."
        )
    return labels


def encode(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return positions of labels in ``classes``, shape (n,), int64.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    classes : ndarray of shape (n_classes,)
        Known labels, sorted.

    Returns
    -------
    codes : ndarray of shape (n,), dtype int64
        ``classes[codes]`` is ``y``.

    Raises
    ------
    ValueError
        If a label is not known.
    """
    try:
        known = np.isin(y, classes)
    except TypeError as error:
        raise TypeError(
            f"y must hold labels of the kind of classes={classes.tolist()}: {error}"
        ) from error
    if not known.all():
        raise ValueError(
            "y must hold only the classes that are known, those of the first fit or of "
            f"classes=: {classes.tolist()}. Got {np.unique(y[~known]).tolist()} too."
        )
    return np.searchsorted(classes, y).astype(np.int64)


def class_weights(
    class_weight: Mapping[Any, float] | str | None,
    classes: np.ndarray,
    codes: np.ndarray,
) -> torch.Tensor | None:
    """Return the weight of each class in the loss.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        As everywhere in scikit-learn.
    classes : ndarray of shape (n_classes,)
        Labels.
    codes : ndarray of shape (n,)
        Positions in ``classes`` of the training rows.

    Returns
    -------
    weights : float32 tensor of shape (n_classes,) or None
        The largest is 1: only their ratios count.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or all are zero.
    """
    if class_weight is None:
        return None
    weights = np.ones(len(classes))
    if class_weight == "balanced":
        # Balancing needs rows, and not every class must have some.
        present = np.unique(codes)
        weights[present] = compute_class_weight(
            class_weight, classes=classes[present], y=classes[codes]
        )
    else:
        weights = compute_class_weight(class_weight, classes=classes, y=classes)
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError(
            "class_weight must hold numbers >= 0, not all zero. "
            f"Got {class_weight!r} instead."
        )
    return torch.tensor(weights / weights.max(), dtype=torch.float32)


def sample_weights(sample_weight: ArrayLike, X: np.ndarray) -> np.ndarray:
    """Return checked weights of the rows.

    Parameters
    ----------
    sample_weight : array-like of shape (n,)
        Weights >= 0.
    X : ndarray of shape (n, n_features)
        The rows.

    Returns
    -------
    weights : ndarray of shape (n,), dtype float32
        The largest is 1: only their ratios count, and huge ones would overflow.

    Raises
    ------
    ValueError
        If one is negative or not finite, or all are zero.
    """
    if sample_weight is not None:
        # A single number, which scikit-learn takes unseen, may be NaN or infinite.
        sample_weight = read_numbers("sample_weight", sample_weight)
        if not sample_weight.ndim:
            sample_weight = np.full(len(X), sample_weight)
    weights = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return (weights / weights.max()).astype(np.float32)
