"""Rows drawn by k-means++ without a pass over all rows for each draw.

Arthur, Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from sklvyso.selection._nearest import block_size
from sklvyso.selection._rows import (
    Rows,
    check_norms,
    chunks_of,
    read_rows,
    row_products,
    row_size,
    squared_norms,
    zero_tolerance,
)

# Candidates drawn at a time: whatever is asked for, so that fewer choices are the
# beginning of more.
N_CANDIDATES = 64
# A candidate costs as much as this many rows of a pass.
CANDIDATE_COST = 32


class RowSpace:
    """Rows whose squared Euclidean distances come from products in float64.

    Parameters
    ----------
    rows : ndarray or CSR array of shape (n, d)
        Finite; read a few rows at a time and never copied whole.

    Attributes
    ----------
    norms : ndarray of shape (n,), dtype float64
        Squared norms of the rows.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.tolerance = zero_tolerance(rows.shape[1])
        self.norms = np.empty(rows.shape[0])
        with np.errstate(over="ignore", invalid="ignore"):
            for chunk in self.chunks():
                self.norms[chunk] = self.measure(chunk)
        check_norms(self.norms)

    def chunks(self, n_more: int = 0):
        """Return slices that cover the rows, a few MB each with what is read."""
        return chunks_of(self.rows, n_more)

    def measure(self, chunk: slice) -> np.ndarray:
        """Return the squared norms of some rows."""
        return squared_norms(read_rows(self.rows, chunk))

    def read(self, index: slice | np.ndarray):
        """Return what `products` needs of some rows."""
        return read_rows(self.rows, index)

    def products(self, points, centres) -> np.ndarray:
        """Return the inner products of points with centres, both from `read`."""
        return row_products(points, centres)

    def distances(self, points, norms, centres, centre_norms) -> np.ndarray:
        """Return squared distances, shape (n_points, n_centres); 0 where rounding."""
        scales = norms[:, None] + centre_norms
        gaps = self.products(points, centres)
        gaps *= -2.0
        gaps += scales
        scales *= self.tolerance
        gaps[gaps <= scales] = 0.0
        return gaps

    def lower(self, nearest: np.ndarray, index: np.ndarray) -> None:
        """Lower distances, in place, to those to the rows at ``index``."""
        step = block_size(row_size(self.rows))
        for start in range(0, len(index), step):
            block = index[start : start + step]
            centres, norms = self.read(block), self.norms[block]
            for chunk in self.chunks(2 * len(block)):
                gaps = self.distances(
                    self.read(chunk), self.norms[chunk], centres, norms
                )
                np.minimum(nearest[chunk], gaps.min(axis=1), out=nearest[chunk])


def spread_sample(
    space: RowSpace, first: int, n_select: int, random: np.random.RandomState
) -> np.ndarray:
    """Return distinct rows: ``first``, then each drawn by its squared distance.

    Parameters
    ----------
    space : RowSpace
        The rows and their distances.
    first : int
        Position of the first choice.
    n_select : int
        Rows to choose, from 1 to all.
    random : RandomState
        Moves on.

    Returns
    -------
    indices : ndarray of shape (n_select,), dtype int64
        In the order of choice. A row is drawn with probability proportional to its
        squared distance to the nearest row chosen before; once all of those are 0 the
        remaining rows are drawn uniformly.

    Notes
    -----
    Distances only shrink, so that those of some choices ago bound the present ones from
    above. Drawn by the old distance and accepted with probability new / old, a
    candidate has exactly the distribution of a draw by the new distances, and only
    those of candidates need computing. Candidates come in batches and are tried in
    their order. All distances are brought up to date once candidates have cost as much
    as that does.
    """
    indices = np.empty(n_select, dtype=np.int64)
    indices[0] = first
    n_chosen, n_settled, n_tried = 1, 0, 0
    nearest = np.full(len(space.norms), np.inf)
    most_pending = block_size(row_size(space.rows))
    while n_chosen < n_select:
        is_costly = CANDIDATE_COST * n_tried >= len(nearest)
        if not n_settled or is_costly or n_chosen - n_settled >= most_pending:
            space.lower(nearest, indices[n_settled:n_chosen])
            n_settled, n_tried = n_chosen, 0
        nearest[indices[:n_chosen]] = 0.0
        if not nearest.any():
            break
        candidates, bars = _draw(nearest, random)
        pending = indices[n_settled:n_chosen]
        taken = _try(space, nearest, candidates, bars, pending)[: n_select - n_chosen]
        indices[n_chosen : n_chosen + len(taken)] = taken
        n_chosen += len(taken)
        n_tried += len(candidates)
    free = np.ones(len(nearest), dtype=bool)
    free[indices[:n_chosen]] = False
    rest = random.permutation(np.flatnonzero(free)) if n_chosen < n_select else ()
    indices[n_chosen:] = rest[: n_select - n_chosen]
    return indices


def _draw(nearest, random) -> tuple[np.ndarray, np.ndarray]:
    """Return rows drawn by their distances, and what each must exceed to be taken."""
    cumulated = np.cumsum(nearest)
    points = random.random_sample(N_CANDIDATES) * cumulated[-1]
    # Rounding may put a point on the total itself, beyond all rows.
    rows = np.minimum(cumulated.searchsorted(points, side="right"), len(nearest) - 1)
    return rows, random.random_sample(N_CANDIDATES) * nearest[rows]


def _try(space, nearest, candidates, bars, pending) -> np.ndarray:
    """Return the candidates that are taken, in order; tighten their distances."""
    points, norms = space.read(candidates), space.norms[candidates]
    gaps = nearest[candidates]
    if len(pending):
        centres = space.read(pending)
        to_pending = space.distances(points, norms, centres, space.norms[pending])
        gaps = np.minimum(gaps, to_pending.min(axis=1))
    between = space.distances(points, norms, points, norms)
    taken = []
    # A distance of 0 never exceeds its bar.
    passing = np.flatnonzero(bars < gaps)
    while len(passing):
        winner = passing[0]
        taken.append(candidates[winner])
        np.minimum(gaps, between[winner], out=gaps)
        passing = passing[bars[passing] < gaps[passing]]
    nearest[candidates] = gaps
    return np.array(taken, dtype=np.int64)
