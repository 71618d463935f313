"""How unevenly a classifier serves classes or groups, as numbers and as scorers.

The measures of A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
Pruning", ICLR 2025. Text, integer, boolean and whole-number float labels are taken;
predictions may hold labels that never occur in ``y_true``, they count as misses.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
from typing import Any

import numpy as np
import sklearn.metrics
from numpy.typing import ArrayLike
from sklearn import config_context
from sklearn.metrics import make_scorer

from sklvyso._group_metrics import (
    group_accuracies,
    group_accuracy_gap,
    group_accuracy_std,
    worst_group_accuracy,
)
from sklvyso._hit_rates import (
    check_labels,
    check_predictions,
    check_same_kind,
    deviation,
    hit_rates,
    lowest,
    spread,
)

__all__ = [
    "GROUP_SCORERS",
    "SCORERS",
    "class_recalls",
    "get_scorer",
    "group_accuracies",
    "group_accuracy_gap",
    "group_accuracy_gap_scorer",
    "group_accuracy_std",
    "group_accuracy_std_scorer",
    "recall_gap",
    "recall_gap_scorer",
    "recall_std",
    "recall_std_scorer",
    "worst_class_recall",
    "worst_class_recall_scorer",
    "worst_class_scorer",
    "worst_group_accuracy",
    "worst_group_accuracy_scorer",
]


def class_recalls(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> np.ndarray:
    """Compute the recall of each class.

    .. versionadded:: 0.1

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    labels : array-like of shape (n_classes,), default=None
        Classes to report, in this order, without repeats. None: the sorted distinct
        labels of ``y_true``.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. An integer weight counts as that many equal rows.

    Returns
    -------
    recalls : ndarray of shape (n_classes,), float64
        Weight of the hits of a class over the weight of the class, in [0, 1]. NaN for
        a class without weight: one of ``labels`` that ``y_true`` lacks, or one whose
        samples all weigh zero.

    Raises
    ------
    ValueError
        If the input is empty, not one-dimensional, of unequal length or not made of
        labels of one kind, or if the weights are not usable.

    See Also
    --------
    worst_class_recall : The smallest of them.
    group_accuracies : Accuracy of each group of samples.

    References
    ----------
    .. [1] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025, Algorithm 1 (recalls :math:`r_k`).

    Examples
    --------
    >>> from sklvyso.metrics import class_recalls
    >>> y_true, y_pred = ["a", "a", "b", "b", "b", "b"], ["a", "b", "b", "b", "b", "a"]
    >>> class_recalls(y_true, y_pred)
    array([0.5 , 0.75])
    >>> class_recalls(y_true, y_pred, labels=["b", "c"])
    array([0.75,  nan])
    """
    true, hits, weight = check_predictions(y_true, y_pred, sample_weight)
    classes, recalls = hit_rates(true, hits, weight)
    if labels is None:
        return recalls
    wanted = check_labels(labels, "labels")
    check_same_kind(true, wanted, "y_true", "labels")
    if len(np.unique(wanted)) < len(wanted):
        raise ValueError(f"labels must be distinct. Got {labels!r} instead.")
    position = np.searchsorted(classes, wanted).clip(max=len(classes) - 1)
    return np.where(classes[position] == wanted, recalls[position], np.nan)


def worst_class_recall(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Compute the smallest recall over the classes in ``y_true``.

    .. versionadded:: 0.1

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. Classes without weight do not count.

    Returns
    -------
    recall : float
        In [0, 1]; higher is better.

    Raises
    ------
    ValueError
        As in :func:`class_recalls`.

    See Also
    --------
    class_recalls : All of them.
    recall_gap : Best minus worst.
    worst_group_accuracy : Groups instead of classes.

    References
    ----------
    .. [1] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025 (worst-class accuracy).

    Examples
    --------
    >>> from sklvyso.metrics import worst_class_recall
    >>> worst_class_recall([0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0])
    0.5
    """
    return lowest(_class_rates(y_true, y_pred, sample_weight))


def recall_gap(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Compute the largest minus the smallest recall over the classes in ``y_true``.

    .. versionadded:: 0.1

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. Classes without weight do not count.

    Returns
    -------
    gap : float
        In [0, 1]; lower is better.

    Raises
    ------
    ValueError
        As in :func:`class_recalls`.

    See Also
    --------
    worst_class_recall : The lowest.
    recall_std : Their spread.

    References
    ----------
    .. [1] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025 (difference of best and worst class).

    Examples
    --------
    >>> from sklvyso.metrics import recall_gap
    >>> recall_gap([0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0])
    0.25
    """
    return spread(_class_rates(y_true, y_pred, sample_weight))


def recall_std(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Compute the standard deviation of recalls over the classes in ``y_true``.

    .. versionadded:: 0.1

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. Classes without weight do not count.

    Returns
    -------
    std : float
        Population standard deviation (``ddof=0``), in [0, 0.5]; lower is better.

    Raises
    ------
    ValueError
        As in :func:`class_recalls`.

    See Also
    --------
    worst_class_recall : The lowest.
    recall_gap : Best minus worst.

    References
    ----------
    .. [1] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025 (standard deviation of class accuracies).

    Examples
    --------
    >>> from sklvyso.metrics import recall_std
    >>> recall_std([0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0])
    0.125
    """
    return deviation(_class_rates(y_true, y_pred, sample_weight))


def get_scorer(scoring: Any) -> Any:
    """Look up a scorer of this module, or one of scikit-learn.

    ``SCORERS`` holds ``"worst_class_recall"``, ``"recall_gap"`` and ``"recall_std"``
    and can be given whole: ``GridSearchCV(model, grid, scoring=SCORERS,
    refit="worst_class_recall")``. ``GROUP_SCORERS`` holds ``"worst_group_accuracy"``,
    ``"group_accuracy_gap"`` and ``"group_accuracy_std"``; these ask for ``groups`` and
    need ``sklearn.set_config(enable_metadata_routing=True)``, then
    ``GridSearchCV(...).fit(X, y, groups=groups)`` brings them. The scores of gaps and
    standard deviations are negated, so that higher is better.

    .. versionadded:: 0.1

    Parameters
    ----------
    scoring : str or callable
        A name of this module, or whatever :func:`sklearn.metrics.get_scorer` takes.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y)``. A copy, so that metadata requests set on it stay
        its own.

    Raises
    ------
    ValueError
        If no scorer has that name.

    See Also
    --------
    worst_class_recall : One of the metrics.
    worst_group_accuracy : One for groups.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklvyso.metrics import get_scorer
    >>> X, y = np.zeros((4, 1)), [0, 0, 0, 1]
    >>> model = DummyClassifier().fit(X, y)
    >>> get_scorer("recall_gap")(model, X, y), get_scorer("accuracy")(model, X, y)
    (-1.0, 0.75)
    """
    ours = {**SCORERS, **GROUP_SCORERS}
    if isinstance(scoring, str):
        if scoring in ours:
            return copy.deepcopy(ours[scoring])
        if scoring not in sklearn.metrics.get_scorer_names():
            raise ValueError(
                f"scoring must be one of {sorted(ours)} or of "
                f"sklearn.metrics.get_scorer_names(). Got {scoring!r} instead."
            )
    return sklearn.metrics.get_scorer(scoring)


def _class_rates(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None
) -> np.ndarray:
    recalls = class_recalls(y_true, y_pred, sample_weight=sample_weight)
    return recalls[~np.isnan(recalls)]


worst_class_recall_scorer = make_scorer(worst_class_recall)
worst_class_scorer = worst_class_recall_scorer
recall_gap_scorer = make_scorer(recall_gap, greater_is_better=False)
recall_std_scorer = make_scorer(recall_std, greater_is_better=False)

# scikit-learn lets a scorer request metadata only while routing is enabled. Groups are
# no option for these scorers, so they come with the request.
with config_context(enable_metadata_routing=True):
    worst_group_accuracy_scorer = make_scorer(worst_group_accuracy).set_score_request(
        groups=True
    )
    group_accuracy_gap_scorer = make_scorer(
        group_accuracy_gap, greater_is_better=False
    ).set_score_request(groups=True)
    group_accuracy_std_scorer = make_scorer(
        group_accuracy_std, greater_is_better=False
    ).set_score_request(groups=True)

SCORERS: dict[str, Any] = {
    "worst_class_recall": worst_class_recall_scorer,
    "recall_gap": recall_gap_scorer,
    "recall_std": recall_std_scorer,
}
GROUP_SCORERS: dict[str, Any] = {
    "worst_group_accuracy": worst_group_accuracy_scorer,
    "group_accuracy_gap": group_accuracy_gap_scorer,
    "group_accuracy_std": group_accuracy_std_scorer,
}
