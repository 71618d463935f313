"""Rows with the highest scores, ties as a full stable sort leaves them."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklvyso.selection._arguments import check_n_select, check_scores, tie_ranks


def top_scores(
    scores: ArrayLike, n_select: int, *, random_state: Any = None
) -> np.ndarray:
    """Return the rows with the highest scores, best first.

    .. versionadded:: 0.1

    Parameters
    ----------
    scores : array-like of shape (n,), any real dtype
        Higher = take first, as from `margin` or `entropy`. Infinite ones are ordered
        as others are; NaN is refused.
    n_select : int
        Rows to choose, from 0 to n.
    random_state : int, RandomState instance or None, default=None
        None gives equal scores to the lowest position. Otherwise equal scores come in
        a random order, drawn once a call.

    Returns
    -------
    indices : ndarray of shape (n_select,), dtype int64
        Positions by descending score, those of equal scores as a stable sort of all
        rows gives them, so that a smaller `n_select` gives the beginning.

    Raises
    ------
    TypeError
        If `scores` does not hold real numbers, or `n_select` is no integer.
    ValueError
        If `scores` is not one-dimensional or holds NaN, or `n_select` is out of range.

    See Also
    --------
    cluster_margin : The highest scores of different regions.

    Notes
    -----
    Finding the lowest chosen score takes O(n); only the chosen are sorted.

    Examples
    --------
    >>> from sklvyso.selection import top_scores
    >>> top_scores([0.5, 0.9, 0.5, 0.1, 0.9], 3)
    array([1, 4, 0])
    """
    values = check_scores(scores)
    n_select = check_n_select(n_select, len(values), "scores")
    return highest(values, n_select, tie_ranks(len(values), random_state))


def highest(values: np.ndarray, n_select: int, ranks: np.ndarray) -> np.ndarray:
    """Return the positions of the highest values, equal ones by ascending rank."""
    if not n_select:
        return np.empty(0, dtype=np.int64)
    last = len(values) - n_select
    bar = np.partition(values, last)[last]
    above = np.flatnonzero(values > bar)
    tied = np.flatnonzero(values == bar)
    tied = tied[np.argsort(ranks[tied])]
    above = above[np.argsort(ranks[above])]
    # Sorted from behind, so that a stable ascending sort keeps the ranks when it is
    # turned round: unsigned values have no negative.
    above = above[::-1][np.argsort(values[above[::-1]], kind="stable")][::-1]
    return np.concatenate([above, tied[: n_select - len(above)]]).astype(np.int64)
