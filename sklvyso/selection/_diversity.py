"""Rows that cover the others: greedy k-center.

Gonzalez, "Clustering to Minimize the Maximum Intercluster Distance", 1985; Sener,
Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach",
ICLR 2018.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from sklvyso._arguments import read_array
from sklvyso.selection._arguments import check_n_select, tie_ranks
from sklvyso.selection._arrays import CHUNK_SIZE, as_numbers, row_chunks
from sklvyso.selection._nearest import (
    NearestCentreFilter,
    block_size,
    mean_row,
    squared_distances,
)
from sklvyso.selection._rows import as_rows
from sklvyso.selection._spread import RowSpace

# Rows in the first contest.
FIRST_CONTEST = 512
SMALLEST_CONTEST = 16


class Contest(NamedTuple):
    """The rows with the largest distances, and what beats them from outside."""

    rows: np.ndarray  # positions, in the order of their ranks
    distance: float  # the largest distance of the other rows
    rank: float  # the best rank among the other rows at that distance


def k_center_greedy(
    Z: ArrayLike,
    n_select: int,
    *,
    selected: ArrayLike | None = None,
    distances: ArrayLike | None = None,
    random_state: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows that lie as far as possible from all rows chosen before.

    .. versionadded:: 0.1

    Parameters
    ----------
    Z : array-like or sparse of shape (n, d), any real dtype
        Finite features. A memory-mapped array is read a few rows at a time, sparse
        ones stay sparse.
    n_select : int
        Rows to choose, from 0 to ``n - len(selected)``.
    selected : array-like of int of shape (n_selected,), default=None
        Distinct positions in `Z` of the rows chosen before. They are centres and are
        not chosen again. With none, and without `distances`, the first choice is the
        row nearest to the mean of `Z`.
    distances : array-like of shape (n,), default=None
        Squared Euclidean distance of each row to the nearest centre so far, as an
        earlier call returned them: the work for `selected` is not done again. Infinite
        throughout when there is no centre. Distances without `selected` belong to
        centres outside `Z`: every row may be chosen, first the farthest.
    random_state : int, RandomState instance or None, default=None
        None gives exact ties to the lowest position. Otherwise they go to the row that
        comes first in a random order, drawn once a call.

    Returns
    -------
    indices : ndarray of shape (n_select,), dtype int64
        Distinct positions in `Z` in the order of choice, so that a smaller `n_select`
        gives the beginning.
    distances : ndarray of shape (n,), dtype float64
        Squared Euclidean distance of each row to its nearest centre, the new ones
        included; 0 for centres. Infinite when there is no centre.

    Raises
    ------
    TypeError
        If `Z` or `distances` does not hold real numbers, or `selected` integers.
    ValueError
        If `Z` is not a finite table with at least one column, or another argument is
        out of range.

    See Also
    --------
    badge : Far from each other and uncertain.
    cluster_margin : The most uncertain row of each cluster.
    typical_points : Rows in dense places.

    Notes
    -----
    The radius of the cover, ``sqrt(max(distances))``, is at most twice the smallest
    possible one when `Z` has no centre to begin with [1]_. Once all rows lie on
    centres the remaining ones count as tied.

    Distances are computed from differences in float64, whatever the dtype and the
    offset of `Z`, and the choice is the one of the plain algorithm, which passes over
    all rows for each pick. Two things make it faster. The farthest rows compete among
    themselves until the best of them falls behind the rest, which can only have come
    closer; then one matrix product, in float32 for float32 input, tells which distances
    the new centres may lower. Memory beyond `Z` is O(n) and a few MB.

    References
    ----------
    .. [1] Gonzalez, "Clustering to Minimize the Maximum Intercluster Distance",
       Theoretical Computer Science 38, 1985.
    .. [2] Sener, Savarese, "Active Learning for Convolutional Neural Networks: A
       Core-Set Approach", ICLR 2018, Algorithm 1.

    Examples
    --------
    >>> from sklvyso.selection import k_center_greedy
    >>> Z = [[0.0], [1.0], [4.0], [9.0], [10.0]]
    >>> indices, distances = k_center_greedy(Z, 3)
    >>> indices
    array([2, 4, 0])
    >>> distances
    array([0., 1., 0., 1., 0.])
    >>> more, _ = k_center_greedy(Z, 1, selected=indices, distances=distances)
    >>> more
    array([1])
    """
    rows = as_rows(Z)
    n_rows = rows.shape[0]
    taken = _check_selected(selected, n_rows)
    n_free = n_rows - int(taken.sum())
    n_select = check_n_select(n_select, n_free, "rows that are not selected")
    nearest = _check_distances(distances, n_rows)
    if not n_rows:
        return np.empty(0, dtype=np.int64), nearest
    ranks = tie_ranks(n_rows, random_state)
    if issparse(rows):
        return _pick_sparse(rows, nearest, taken, ranks, n_select), nearest
    index = NearestCentreFilter(rows)
    indices = np.empty(n_select, dtype=np.int64)
    has_centre = not np.isinf(nearest).all()
    if not has_centre and taken.any():
        _lower_to_rows(index, nearest, np.flatnonzero(taken))
    elif not has_centre and n_select:
        indices[0] = _first_of_smallest(_distances_to(rows, mean_row(rows)), ranks)
        taken[indices[0]] = True
        nearest = _distances_to(rows, rows[indices[0]].astype(np.float64))
        _pick(index, nearest, taken, ranks, indices[1:])
        return indices, nearest
    _pick(index, nearest, taken, ranks, indices)
    return indices, nearest


def _pick(index, nearest, taken, ranks, indices) -> None:
    """Fill ``indices`` with the next picks; update ``nearest`` and ``taken``."""
    n_rows, n_features = index.rows.shape
    # The points of a contest and their differences are held in float64.
    largest = max(SMALLEST_CONTEST, 2 * CHUNK_SIZE // n_features)
    size = min(FIRST_CONTEST, largest)
    n_chosen = 0
    while n_chosen < len(indices):
        contest = _contest(nearest, taken, ranks, size)
        limit = min(block_size(n_features), len(indices) - n_chosen)
        winners = _compete(index.rows, nearest, ranks, contest, limit)
        indices[n_chosen : n_chosen + len(winners)] = winners
        n_chosen += len(winners)
        taken[winners] = True
        _lower_to_rows(index, nearest, winners)
        # A contest shall cost as much as the pass over all rows that follows it.
        is_short = len(winners) * size < n_rows
        size = min(2 * size, largest) if is_short else max(size // 2, SMALLEST_CONTEST)


def _contest(nearest, taken, ranks, size) -> Contest:
    """Return the ``size`` rows that are farthest, among equal ones of lowest rank."""
    free = np.flatnonzero(~taken)
    if len(free) <= size:
        return Contest(free[np.argsort(ranks[free])], -np.inf, np.inf)
    values = nearest[free]
    bar = np.partition(values, len(values) - size)[len(values) - size]
    above = free[values > bar]
    tied = free[values == bar]
    tied = tied[np.argsort(ranks[tied], kind="stable")]
    n_tied = size - len(above)
    rows = np.concatenate([above, tied[:n_tied]])
    rank = ranks[tied[n_tied]] if n_tied < len(tied) else np.inf
    return Contest(rows[np.argsort(ranks[rows])], bar, rank)


def _compete(rows, nearest, ranks, contest, limit) -> np.ndarray:
    """Return the next picks, as far as they are certain: at least one.

    Rows outside the contest can only come closer to the centres, so that a row within
    that is farther than they were is the farthest of all.
    """
    points = rows[contest.rows].astype(np.float64)
    differences = np.empty_like(points)
    gaps = nearest[contest.rows]
    winners: list[int] = []
    while len(winners) < limit:
        best = int(gaps.argmax())  # the first of equal ones has the lowest rank
        challenge = contest.distance, -contest.rank
        if (gaps[best], -ranks[contest.rows[best]]) < challenge or gaps[best] < 0:
            break
        winners.append(best)
        lowered = squared_distances(points, points[best], out=differences)
        np.minimum(gaps, lowered, out=gaps)
        gaps[best] = -1.0
    return contest.rows[winners]


def _lower_to_rows(index, nearest, centres) -> None:
    """Lower the distances to centres that are rows, a block at a time."""
    step = block_size(index.rows.shape[1])
    for start in range(0, len(centres), step):
        block = index.rows[centres[start : start + step]]
        index.lower(nearest, block.astype(np.float64))


def _pick_sparse(rows, nearest, taken, ranks, n_select) -> np.ndarray:
    """Return the picks, a pass for each; update ``nearest`` and ``taken``."""
    space = RowSpace(rows)
    if np.isinf(nearest).all():
        space.lower(nearest, np.flatnonzero(taken))
    indices = np.empty(n_select, dtype=np.int64)
    for position in range(n_select):
        if np.isinf(nearest).all():
            gaps = space.norms - 2 * (rows @ rows.mean(axis=0))  # and a constant
        else:
            gaps = np.where(taken, np.inf, -nearest)
        indices[position] = _first_of_smallest(gaps, ranks)
        taken[indices[position]] = True
        space.lower(nearest, indices[position : position + 1])
    return indices


def _distances_to(rows: np.ndarray, point: np.ndarray) -> np.ndarray:
    distances = np.empty(len(rows))
    for chunk in row_chunks(*rows.shape):
        distances[chunk] = squared_distances(rows[chunk], point)
    return distances


def _first_of_smallest(values: np.ndarray, ranks: np.ndarray) -> int:
    tied = np.flatnonzero(values == values.min())
    return int(tied[ranks[tied].argmin()])


def _check_selected(selected: ArrayLike | None, n_rows: int) -> np.ndarray:
    """Return which rows were chosen before, as a mask."""
    positions = read_array("selected", () if selected is None else selected)
    taken = np.zeros(n_rows, dtype=bool)
    if positions.ndim != 1:
        raise ValueError(
            "selected must be one-dimensional. Got an array of shape "
            f"{positions.shape} instead."
        )
    if not len(positions):
        return taken
    if positions.dtype.kind not in "iu":
        raise TypeError(
            "selected must be positions, not a mask or labels. Got dtype "
            f"{positions.dtype} instead."
        )
    if positions.min() < 0 or positions.max() >= n_rows:
        wrong = positions[(positions < 0) | (positions >= n_rows)][0]
        raise ValueError(
            f"selected must be positions from 0 to {n_rows - 1}. Got {wrong} instead."
        )
    taken[positions] = True
    if taken.sum() < len(positions):
        raise ValueError(
            f"selected must be distinct. Got {len(positions)} positions of "
            f"{taken.sum()} rows instead."
        )
    return taken


def _check_distances(distances: ArrayLike | None, n_rows: int) -> np.ndarray:
    """Return a copy in float64, infinite where there is no centre so far."""
    if distances is None:
        return np.full(n_rows, np.inf)
    nearest = as_numbers("distances", distances, 1).astype(np.float64)
    if nearest.shape != (n_rows,):
        raise ValueError(
            f"distances must have one value a row of Z, {n_rows}. Got "
            f"{len(nearest)} instead."
        )
    if not (nearest >= 0).all():  # NaN fails too
        raise ValueError(
            "distances must be >= 0, as squares are. Got "
            f"{nearest[~(nearest >= 0)][0]} instead."
        )
    return nearest
