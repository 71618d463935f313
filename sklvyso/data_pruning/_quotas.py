"""How many rows of each class to keep: the quotas of DRoP as pure numerics.

Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR 2025.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklvyso._arguments import is_choice, is_integer, is_real, read_numbers

ALLOCATIONS = ("density", "count")


def drop_densities(
    recalls: ArrayLike,
    class_counts: ArrayLike,
    n_select: int,
    *,
    allocation: str = "density",
    uniform_mix: float = 0.0,
    min_per_class: int = 0,
) -> np.ndarray:
    """Return the fraction of each class that DRoP keeps.

    .. versionadded:: 0.1

    Parameters
    ----------
    recalls : array-like of shape (n_classes,)
        Recall of each class on held-out rows, in [0, 1].
    class_counts : array-like of shape (n_classes,)
        Rows of each class, >= 1.
    n_select : int
        Rows to keep in all, from 1 to ``sum(class_counts)``.
    allocation : {"density", "count"}, default="density"
        ``"density"``, the paper's rule: the kept *fraction* of a class is proportional
        to its error. ``"count"``, what the paper's reference code does: the kept
        *number* is. They are the same for balanced classes.
    uniform_mix : float, default=0.0
        Share of the uniform density that every class gets beforehand, in [0, 1].
    min_per_class : int, default=0
        Rows that each class keeps at least, or all it has when it has fewer.

    Returns
    -------
    densities : ndarray of shape (n_classes,), dtype float64
        Kept fraction of each class in [0, 1]; ``densities @ class_counts`` is
        ``n_select``.

    Raises
    ------
    ValueError
        If an argument is out of range.

    See Also
    --------
    drop_quotas : The same in whole rows.

    Notes
    -----
    With error ``e_k = 1 - recalls[k]``, count ``N_k`` and weights ``w_k = N_k e_k``
    (``e_k`` for ``"count"``), the solution is ``n_k = min(N_k, lambda w_k)`` with the
    one ``lambda`` that spends the budget: Algorithm 1 of [1]_ as a fixed point, solved
    directly. When the classes with errors cannot absorb the budget they are kept
    whole, and the others share the rest at one common density. ``uniform_mix`` yields
    where it and ``min_per_class`` together would exceed the budget.

    References
    ----------
    .. [1] Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR
       2025, Algorithm 1.

    Examples
    --------
    >>> from sklvyso.data_pruning import drop_densities
    >>> drop_densities([0.9, 0.8, 0.5], [100, 100, 100], 80)
    array([0.1, 0.2, 0.5])
    """
    errors, counts, n_select = _check(
        recalls, class_counts, n_select, allocation, uniform_mix, min_per_class
    )
    _warn_of_perfection(errors, counts, n_select)
    return _densities(errors, counts, n_select, allocation, uniform_mix, min_per_class)


def _densities(errors, counts, n_select, allocation, uniform_mix, min_per_class):
    floors, least = _guarantees(counts, n_select, uniform_mix, min_per_class)
    weights = errors * counts if allocation == "density" else errors
    kept = floors + _fill(
        weights,
        np.maximum(least - floors, 0.0),
        counts - floors,
        n_select - floors.sum(),
        counts,
    )
    return np.clip(kept / counts, 0.0, 1.0)


def drop_quotas(
    recalls: ArrayLike,
    class_counts: ArrayLike,
    n_select: int,
    *,
    allocation: str = "density",
    uniform_mix: float = 0.0,
    min_per_class: int = 0,
) -> np.ndarray:
    """Return how many rows of each class DRoP keeps.

    .. versionadded:: 0.1

    Parameters
    ----------
    recalls : array-like of shape (n_classes,)
        Recall of each class on held-out rows, in [0, 1].
    class_counts : array-like of shape (n_classes,)
        Rows of each class, >= 1.
    n_select : int
        Rows to keep in all, from 1 to ``sum(class_counts)``.
    allocation : {"density", "count"}, default="density"
        Whether the kept fraction or the kept number is proportional to the error.
    uniform_mix : float, default=0.0
        Share of the uniform density that every class gets beforehand, in [0, 1].
    min_per_class : int, default=0
        Rows that each class keeps at least, or all it has when it has fewer.

    Returns
    -------
    quotas : ndarray of shape (n_classes,), dtype int64
        They sum to ``n_select`` exactly; each is within one row of the real solution.

    Raises
    ------
    ValueError
        If an argument is out of range.

    See Also
    --------
    drop_densities : The real solution, with formula and reference.

    Notes
    -----
    Rows left over after rounding down go to the largest fractional parts; among equal
    ones to the larger error, then to the earlier class.

    Examples
    --------
    >>> from sklvyso.data_pruning import drop_quotas
    >>> drop_quotas([0.95, 0.9, 0.1, 0.0], [500, 300, 3, 1], 80)
    array([35, 41,  3,  1])
    >>> drop_quotas([0.95, 0.9, 0.1, 0.0], [500, 300, 3, 1], 80, allocation="count")
    array([25, 51,  3,  1])
    """
    errors, counts, n_select = _check(
        recalls, class_counts, n_select, allocation, uniform_mix, min_per_class
    )
    _warn_of_perfection(errors, counts, n_select)
    densities = _densities(
        errors, counts, n_select, allocation, uniform_mix, min_per_class
    )
    whole = counts.astype(np.int64)
    return round_to_total(densities * whole, whole, n_select, errors)


def uniform_quotas(
    class_counts: ArrayLike, n_select: int, *, min_per_class: int = 0
) -> np.ndarray:
    """Return quotas in proportion to the class counts, shape (n_classes,), int64."""
    counts = np.asarray(class_counts)
    return drop_quotas(
        np.zeros(len(counts)),
        counts,
        n_select,
        uniform_mix=1.0,
        min_per_class=min_per_class,
    )


def balanced_quotas(
    class_counts: ArrayLike, n_select: int, *, min_per_class: int = 0
) -> np.ndarray:
    """Return equal quotas, capped by the counts, shape (n_classes,), int64."""
    counts = np.asarray(class_counts)
    return drop_quotas(
        np.zeros(len(counts)),
        counts,
        n_select,
        allocation="count",
        min_per_class=min_per_class,
    )


def round_to_total(
    real: np.ndarray, counts: np.ndarray, total: int, priority: np.ndarray
) -> np.ndarray:
    """Round to integers with a given sum by largest remainders.

    Parameters
    ----------
    real : ndarray of shape (n,)
        Values in [0, counts] that sum to ``total`` up to float noise.
    counts : ndarray of int of shape (n,)
        Upper bounds.
    total : int
        Wanted sum.
    priority : ndarray of shape (n,)
        Among equal fractional parts the higher one comes first.

    Returns
    -------
    rounded : ndarray of shape (n,), dtype int64
        Each within one of ``real``.
    """
    clean = np.minimum(np.round(real, 9), counts)
    floors = np.floor(clean).astype(np.int64)
    order = np.lexsort((np.arange(len(real)), -priority, -np.round(clean - floors, 9)))
    order = order[floors[order] < counts[order]]
    floors[order[: total - floors.sum()]] += 1
    return floors


def _fill(weights, lower, upper, total, counts):
    """Solve ``sum(clip(lambda * weights, lower, upper)) == total``.

    What the weighted classes cannot absorb goes to the others at a common density.
    """
    weighted = weights > 0
    if not weighted.any():
        return water_fill(counts, lower, upper, total)
    kept = lower.copy()
    room = upper[weighted].sum() + lower[~weighted].sum()
    kept[weighted] = water_fill(
        weights[weighted],
        lower[weighted],
        upper[weighted],
        min(total, room) - lower[~weighted].sum(),
    )
    if total > room and not weighted.all():
        kept[~weighted] = water_fill(
            counts[~weighted],
            lower[~weighted],
            upper[~weighted],
            total - upper[weighted].sum(),
        )
    return kept


def water_fill(
    weights: np.ndarray, lower: np.ndarray, upper: np.ndarray, total: float
) -> np.ndarray:
    """Return ``clip(level * weights, lower, upper)`` at the level that sums to total.

    Parameters
    ----------
    weights : ndarray of shape (n,)
        Positive.
    lower, upper : ndarray of shape (n,)
        Bounds, ``lower <= upper``.
    total : float
        Between ``lower.sum()`` and ``upper.sum()``; beyond them the nearer is taken.

    Returns
    -------
    amounts : ndarray of shape (n,)
        The sum as a function of the level is piecewise linear; the piece that holds
        ``total`` is found by sorting its break points, O(n log n).
    """
    if total >= upper.sum():
        return upper.astype(float)
    if total <= lower.sum():
        return lower.astype(float)
    starts, ends = lower / weights, upper / weights
    levels = np.concatenate([starts, ends])
    slopes = np.concatenate([weights, -weights])
    order = np.argsort(levels, kind="stable")
    levels, slopes = levels[order], np.cumsum(slopes[order])
    sums = lower.sum() + np.concatenate([[0], np.cumsum(slopes[:-1] * np.diff(levels))])
    piece = np.clip(np.searchsorted(sums, total, side="right"), 1, len(sums) - 1)
    middle = (levels[piece - 1] + levels[piece]) / 2
    full, empty = ends <= middle, starts >= middle
    moving = ~(full | empty)
    if not moving.any():  # float noise at a break point
        return np.clip(middle * weights, lower, upper)
    level = (total - upper[full].sum() - lower[empty].sum()) / weights[moving].sum()
    amounts = np.where(full, upper, np.where(empty, lower, level * weights))
    return np.clip(amounts, lower, upper)


def _guarantees(counts, n_select, uniform_mix, min_per_class):
    """Return what each class gets beforehand and what it needs at least."""
    least = np.minimum(float(min_per_class), counts)
    floors = float(uniform_mix) * n_select * counts / counts.sum()
    if np.maximum(floors, least).sum() > n_select:
        # The uniform share gives way: the same share of every class above its minimum.
        floors = water_fill(counts, least, np.maximum(floors, least), float(n_select))
    return floors, least


def _check(recalls, class_counts, n_select, allocation, uniform_mix, min_per_class):
    recalls = _array("recalls", recalls, np.float64)
    counts = _array("class_counts", class_counts)
    if recalls.ndim != 1 or recalls.shape != counts.shape or not len(counts):
        raise ValueError(
            "recalls and class_counts must be one-dimensional, of the same length >= "
            f"1. Got shapes {recalls.shape} and {counts.shape} instead."
        )
    if not ((recalls >= 0) & (recalls <= 1)).all():  # NaN fails too
        raise ValueError(f"recalls must lie in [0, 1]. Got {recalls.tolist()} instead.")
    if not np.issubdtype(counts.dtype, np.integer) or (counts < 1).any():
        raise ValueError(
            f"class_counts must be integers >= 1. Got {counts.tolist()} instead."
        )
    if not is_choice(allocation, ALLOCATIONS):
        raise ValueError(
            f"allocation must be 'density' or 'count'. Got {allocation!r} instead."
        )
    if not is_real(uniform_mix) or not 0 <= float(uniform_mix) <= 1:
        raise ValueError(
            f"uniform_mix must lie in [0, 1]. Got {uniform_mix!r} instead."
        )
    if not is_integer(min_per_class) or min_per_class < 0:
        raise ValueError(
            f"min_per_class must be an integer >= 0. Got {min_per_class!r} instead."
        )
    needed = sum(min(int(min_per_class), count) for count in counts.tolist())
    if not is_integer(n_select) or not max(needed, 1) <= n_select <= (counts.sum()):
        raise ValueError(
            f"n_select must be an integer from {max(needed, 1)} ({len(counts)} classes "
            f"with min_per_class={min_per_class}) to {counts.sum()}, the number of "
            f"rows. Got {n_select!r} instead."
        )
    return 1.0 - recalls, counts.astype(np.float64), int(n_select)


def _warn_of_perfection(errors, counts, n_select) -> None:
    """Warn the caller of the public function that recalls say nothing."""
    if not errors.any() and n_select < counts.sum():
        warnings.warn(
            "All recalls are 1, so that no class is harder than another: every class "
            "keeps the same fraction.",
            UserWarning,
            stacklevel=3,
        )


def _array(name: str, values: ArrayLike, dtype: Any = None) -> np.ndarray:
    try:
        array = read_numbers(name, values)
        return array if dtype is None else array.astype(dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be a list of numbers, one a class. Got {values!r} instead."
        ) from error
