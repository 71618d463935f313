"""Accuracy inside groups of samples; public through :mod:`sklvyso.metrics`."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from numpy.typing import ArrayLike

from sklvyso._hit_rates import (
    check_labels,
    check_predictions,
    check_same_length,
    deviation,
    hit_rates,
    lowest,
    spread,
)


def group_accuracies(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    groups: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> np.ndarray:
    """Compute the accuracy inside each group of samples.

    .. versionadded:: 0.1

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,)
        Group of each sample, such as a code for a pair (label, background). Groups
        need not nest in classes.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. An integer weight counts as that many equal rows.

    Returns
    -------
    accuracies : ndarray of shape (n_groups,), float64
        Accuracy of each group, groups sorted, in [0, 1]. NaN for a group whose samples
        all weigh zero.

    Raises
    ------
    ValueError
        If the input is empty, not one-dimensional, of unequal length or not made of
        labels of one kind, or if the weights are not usable.

    See Also
    --------
    worst_group_accuracy : The smallest of them.
    class_recalls : The same with classes as groups.

    References
    ----------
    .. [1] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025 (Waterbirds experiment).

    Examples
    --------
    >>> from sklvyso.metrics import group_accuracies
    >>> groups = ["land", "land", "water", "water"]
    >>> group_accuracies([0, 1, 0, 1], [0, 1, 1, 1], groups=groups)
    array([1. , 0.5])
    """
    true, hits, weight = check_predictions(y_true, y_pred, sample_weight)
    group = check_labels(groups, "groups")
    check_same_length(true, group, "y_true", "groups")
    return hit_rates(group, hits, weight)[1]


def worst_group_accuracy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    groups: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the smallest accuracy over groups of samples.

    .. versionadded:: 0.1

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,)
        Group of each sample.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. Groups without weight do not count.

    Returns
    -------
    accuracy : float
        In [0, 1]; higher is better.

    Raises
    ------
    ValueError
        As in :func:`group_accuracies`.

    See Also
    --------
    group_accuracies : All of them.
    worst_class_recall : Classes instead of groups.

    References
    ----------
    .. [1] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025 (Waterbirds experiment).

    Examples
    --------
    >>> from sklvyso.metrics import worst_group_accuracy
    >>> worst_group_accuracy([0, 1, 0, 1], [0, 1, 1, 1], groups=[3, 3, 5, 5])
    0.5
    """
    return lowest(_group_rates(y_true, y_pred, groups, sample_weight))


def group_accuracy_gap(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    groups: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the largest minus the smallest accuracy over groups of samples.

    .. versionadded:: 0.1

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,)
        Group of each sample.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. Groups without weight do not count.

    Returns
    -------
    gap : float
        In [0, 1]; lower is better.

    Raises
    ------
    ValueError
        As in :func:`group_accuracies`.

    See Also
    --------
    worst_group_accuracy : The lowest.
    group_accuracy_std : Their spread.

    References
    ----------
    .. [1] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025 (Waterbirds experiment).

    Examples
    --------
    >>> from sklvyso.metrics import group_accuracy_gap
    >>> group_accuracy_gap([0, 1, 0, 1], [0, 1, 1, 1], groups=[3, 3, 5, 5])
    0.5
    """
    return spread(_group_rates(y_true, y_pred, groups, sample_weight))


def group_accuracy_std(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    groups: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the standard deviation of accuracies over groups of samples.

    .. versionadded:: 0.1

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,)
        Group of each sample.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. Groups without weight do not count.

    Returns
    -------
    std : float
        Population standard deviation (``ddof=0``), in [0, 0.5]; lower is better.

    Raises
    ------
    ValueError
        As in :func:`group_accuracies`.

    See Also
    --------
    worst_group_accuracy : The lowest.
    group_accuracy_gap : Best minus worst.

    References
    ----------
    .. [1] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025 (Waterbirds experiment).

    Examples
    --------
    >>> from sklvyso.metrics import group_accuracy_std
    >>> group_accuracy_std([0, 1, 0, 1], [0, 1, 1, 1], groups=[3, 3, 5, 5])
    0.25
    """
    return deviation(_group_rates(y_true, y_pred, groups, sample_weight))


def _group_rates(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    groups: ArrayLike,
    sample_weight: ArrayLike | None,
) -> np.ndarray:
    accuracies = group_accuracies(
        y_true, y_pred, groups=groups, sample_weight=sample_weight
    )
    return accuracies[~np.isnan(accuracies)]
