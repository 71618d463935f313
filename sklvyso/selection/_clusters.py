"""One row from each region of a pool: the most typical, central or uncertain one.

Hacohen, Dekel, Weinshall, "Active Learning on a Budget: Opposite Strategies Suit High
and Low Budgets", ICML 2022; Zhdanov, "Diverse Mini-Batch Active Learning", 2019.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklvyso.selection._arguments import (
    check_n_select,
    check_scores,
    random_generator,
)
from sklvyso.selection._diversity import k_center_greedy
from sklvyso.selection._k_means import k_means
from sklvyso.selection._rows import Rows, as_rows, check_rows, read_rows
from sklvyso.selection._spread import RowSpace
from sklvyso.selection._top import highest

# Of a larger region so many rows, drawn at random, are candidates and neighbours.
LARGEST_REGION = 1000
# Distances that differ by this share are equal, and the lowest position is chosen.
TIE_TOLERANCE = 1e-9


def central_points(
    Z: ArrayLike, n_select: int, *, random_state: Any = None
) -> np.ndarray:
    """Return the rows nearest to the centres of a k-means clustering.

    .. versionadded:: 0.1

    Parameters
    ----------
    Z : array-like or sparse of shape (n, d), any real dtype
        Finite features. A memory-mapped array is read a few rows at a time, sparse
        ones stay sparse.
    n_select : int
        Rows to choose, from 0 to n, and clusters.
    random_state : int, RandomState instance or None, default=None
        Makes the clustering reproducible. None draws anew at each call.

    Returns
    -------
    indices : ndarray of shape (n_select,), dtype int64
        Distinct positions in `Z`, the one of the largest cluster first, of clusters of
        one size the lowest position first.

    Raises
    ------
    TypeError
        If `Z` does not hold real numbers, or `n_select` is no integer.
    ValueError
        If `Z` is not a finite table with at least one column, or `n_select` out of
        range.

    See Also
    --------
    typical_points : The rows in the densest place of each cluster.
    k_center_greedy : Rows that leave no other far away, outliers first.

    Notes
    -----
    The centres are those of a random sample of 8192 rows, or of 32 for each centre if
    that is more. All rows take part in the choice; of equally near ones the lowest
    position is chosen. Where fewer rows than clusters
    differ, so that clusters are empty, `k_center_greedy` goes on from the chosen rows.

    References
    ----------
    .. [1] Zhu, Wang, Yao, Tsou, "Active Learning with Sampling by Uncertainty and
       Density for Word Sense Disambiguation and Text Classification", COLING 2008,
       section 4.1.

    Examples
    --------
    >>> from sklvyso.selection import central_points
    >>> Z = [[0.0], [1.0], [2.0], [3.0], [4.0], [90.0], [91.0], [92.0]]
    >>> central_points(Z, 2, random_state=0)
    array([2, 6])
    """
    rows = as_rows(Z)
    n_select = check_n_select(n_select, rows.shape[0])
    random = random_generator(random_state)
    if not 0 < n_select < rows.shape[0]:
        check_rows(rows)
        return np.arange(n_select)
    regions = k_means(rows, n_select, random)
    return _largest_first(rows, regions.labels, regions.distances, n_select)


def typical_points(
    Z: ArrayLike,
    n_select: int,
    *,
    n_neighbors: int = 20,
    random_state: Any = None,
) -> np.ndarray:
    """Return the most typical row of each cluster: where to begin without labels.

    .. versionadded:: 0.1

    Parameters
    ----------
    Z : array-like or sparse of shape (n, d), any real dtype
        Finite features. A memory-mapped array is read a few rows at a time, sparse
        ones stay sparse.
    n_select : int
        Rows to choose, from 0 to n, and clusters.
    n_neighbors : int, default=20
        Nearest rows of the same cluster that a row is compared with, at least 1; in
        smaller clusters all others.
    random_state : int, RandomState instance or None, default=None
        Makes the choice reproducible. None draws anew at each call.

    Returns
    -------
    indices : ndarray of shape (n_select,), dtype int64
        Distinct positions in `Z`, the one of the largest cluster first, of clusters of
        one size the lowest position first.

    Raises
    ------
    TypeError
        If `Z` does not hold real numbers, or `n_select` or `n_neighbors` is no integer.
    ValueError
        If `Z` is not a finite table with at least one column, or another argument is
        out of range.

    See Also
    --------
    central_points : The rows nearest to the centres, whatever the density there.

    Notes
    -----
    Typicality is the inverse of the mean Euclidean distance to the nearest rows of the
    cluster [1]_; at equal ones the lowest position is chosen. Clusters are those of
    `central_points`. Of a cluster of more than 1000 rows a random 1000 are candidates
    and neighbours. Where fewer rows than clusters differ, `k_center_greedy` goes on
    from the chosen rows.

    References
    ----------
    .. [1] Hacohen, Dekel, Weinshall, "Active Learning on a Budget: Opposite Strategies
       Suit High and Low Budgets", ICML 2022, section 3.2.

    Examples
    --------
    The mean of the first five rows is 3, far from their dense part.

    >>> from sklvyso.selection import typical_points
    >>> Z = [[0.0], [1.0], [2.0], [3.0], [9.0], [90.0], [91.0], [92.0]]
    >>> typical_points(Z, 2, n_neighbors=2, random_state=0)
    array([1, 6])
    """
    rows = as_rows(Z)
    n_select = check_n_select(n_select, rows.shape[0])
    n_neighbors = _check_n_neighbors(n_neighbors)
    random = random_generator(random_state)
    if not 0 < n_select < rows.shape[0]:
        check_rows(rows)
        return np.arange(n_select)
    labels = k_means(rows, n_select, random).labels
    distances = np.full(len(labels), np.inf)
    for members in _members(labels, n_select):
        if len(members) > LARGEST_REGION:
            members = np.sort(random.choice(members, LARGEST_REGION, replace=False))
        distances[members] = mean_neighbor_distances(rows, members, n_neighbors)
    return _largest_first(rows, labels, distances, n_select)


def cluster_margin(
    Z: ArrayLike,
    scores: ArrayLike,
    n_select: int,
    *,
    prefilter: float | None = None,
    random_state: Any = None,
) -> np.ndarray:
    """Return the row with the highest score of each cluster.

    .. versionadded:: 0.1

    Parameters
    ----------
    Z : array-like or sparse of shape (n, d), any real dtype
        Finite features. A memory-mapped array is read a few rows at a time, sparse
        ones stay sparse.
    scores : array-like of shape (n,), any real dtype
        Higher = take first, as from `margin`; NaN is refused.
    n_select : int
        Rows to choose, from 0 to n, and clusters.
    prefilter : float or None, default=None
        At least 1: only the ``ceil(prefilter * n_select)`` rows with the highest scores
        take part. None lets all rows take part, so that every region of `Z` is
        covered.
    random_state : int, RandomState instance or None, default=None
        Makes the clustering reproducible. None draws anew at each call.

    Returns
    -------
    indices : ndarray of shape (n_select,), dtype int64
        Distinct positions in `Z` by descending score, equal ones by position.

    Raises
    ------
    TypeError
        If `Z` or `scores` does not hold real numbers, `n_select` is no integer or
        `prefilter` no number.
    ValueError
        If `Z` is not a finite table with at least one column, or another argument is
        out of range.

    See Also
    --------
    top_scores : The highest scores, wherever they are.
    badge : Uncertainty and difference in one distance.

    Notes
    -----
    Clusters are those of `central_points`. Of equal scores in a cluster the lowest
    position is chosen. Where fewer rows than clusters differ, so that clusters are
    empty, the next highest scores of those that take part fill their places.

    References
    ----------
    .. [1] Zhdanov, "Diverse Mini-Batch Active Learning", 2019, section 3 (`prefilter`
       is its β; there the rows nearest to the centres are chosen).
    .. [2] Citovsky, DeSalvo, Gentile, Karydas, Rajagopalan, Rostamizadeh, Kumar, "Batch
       Active Learning at Scale", NeurIPS 2021, Algorithm 1 (clusters by linkage).

    Examples
    --------
    >>> from sklvyso.selection import cluster_margin
    >>> Z = [[0.0], [1.0], [2.0], [90.0], [91.0]]
    >>> scores = [-0.1, -0.2, -0.3, -0.9, -0.8]
    >>> cluster_margin(Z, scores, 2, random_state=0)
    array([0, 4])
    >>> cluster_margin(Z, scores, 2, prefilter=1, random_state=0)
    array([0, 1])
    """
    rows = as_rows(Z)
    n_rows = rows.shape[0]
    values = check_scores(scores, n_rows)
    n_select = check_n_select(n_select, n_rows)
    n_best = _n_taking_part(prefilter, n_select, n_rows)
    random = random_generator(random_state)
    best = highest(values, n_best, np.arange(n_rows))
    if not 0 < n_select < n_best:
        check_rows(rows)
        return best[:n_select]
    if n_best < n_rows:
        # In ascending order, in which a memory-mapped array is read fastest.
        sorted_best = np.sort(best)
        found = k_means(rows[sorted_best], n_select, random).labels
        labels = found[np.searchsorted(sorted_best, best)]
    else:
        labels = k_means(rows, n_select, random).labels[best]
    first = np.unique(labels, return_index=True)[1]
    is_chosen = np.zeros(n_best, dtype=bool)
    is_chosen[first] = True
    is_chosen[np.flatnonzero(~is_chosen)[: n_select - len(first)]] = True
    return best[is_chosen]


def mean_neighbor_distances(
    rows: Rows, members: np.ndarray, n_neighbors: int
) -> np.ndarray:
    """Return the mean distance of each member to its nearest other members.

    Parameters
    ----------
    rows : ndarray or CSR array of shape (n, d)
        Finite features.
    members : ndarray of int of shape (n_members,)
        Positions of the members of a cluster.
    n_neighbors : int
        Nearest ones to take, at most all others.

    Returns
    -------
    distances : ndarray of shape (n_members,), dtype float64
        0 for a single member.
    """
    n_neighbors = min(n_neighbors, len(members) - 1)
    if not n_neighbors:
        return np.zeros(len(members))
    space = RowSpace(read_rows(rows, members))
    squares = space.distances(space.rows, space.norms, space.rows, space.norms)
    np.fill_diagonal(squares, np.inf)
    squares.partition(n_neighbors - 1, axis=1)
    return np.sqrt(squares[:, :n_neighbors]).mean(axis=1)


def _members(labels: np.ndarray, n_regions: int) -> list[np.ndarray]:
    """Return the positions of the rows of each region, ascending."""
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=n_regions))
    return [part for part in np.split(order, ends[:-1]) if len(part)]


def _largest_first(
    rows: Rows, labels: np.ndarray, distances: np.ndarray, n_select: int
) -> np.ndarray:
    """Return the row of smallest distance in each region, of the largest one first."""
    smallest = np.full(n_select, np.inf)
    np.minimum.at(smallest, labels, distances)
    # Two rows are always as near to their mean as each other, but for rounding.
    is_smallest = distances <= smallest[labels] * (1 + TIE_TOLERANCE)
    tied = np.flatnonzero(is_smallest)
    found, first = np.unique(labels[tied], return_index=True)
    chosen = tied[first]
    sizes = np.bincount(labels, minlength=n_select)[found]
    chosen = chosen[np.lexsort((chosen, -sizes))]
    if len(chosen) < n_select:
        n_more = n_select - len(chosen)
        more = k_center_greedy(rows, n_more, selected=chosen)[0]
        chosen = np.concatenate([chosen, more])
    return chosen


def _n_taking_part(prefilter: Any, n_select: int, n_rows: int) -> int:
    if prefilter is None:
        return n_rows
    numbers = int | float | np.integer | np.floating
    if isinstance(prefilter, bool) or not isinstance(prefilter, numbers):
        raise TypeError(
            "prefilter must be a number or None. Got "
            f"{type(prefilter).__name__} instead."
        )
    if not prefilter >= 1:  # NaN fails too
        raise ValueError(
            "prefilter must be at least 1, to leave as many rows as are chosen. Got "
            f"{prefilter} instead."
        )
    return math.ceil(min(float(prefilter) * n_select, n_rows))


def _check_n_neighbors(n_neighbors: Any) -> int:
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, int | np.integer):
        raise TypeError(
            f"n_neighbors must be an integer. Got {type(n_neighbors).__name__} instead."
        )
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1. Got {n_neighbors} instead.")
    return int(n_neighbors)
