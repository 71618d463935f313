"""Distances to the nearest of many centres: filtered by products, settled exactly.

Each pass multiplies all rows with a block of centres, which is fast but rounds, and
keeps the pairs that can still lower a distance; those are computed from differences.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from sklvyso.selection._arrays import CHUNK_SIZE, row_chunks

# Where the squares of single precision neither overflow nor vanish.
SINGLE_RANGE = (1e-8, 1e15)
# Beyond it the squares of double precision may overflow.
LARGEST_RADIUS = 1e150
# The error bound counts rows as this share of the largest squared norm away from the
# shift at least: it covers products too small for the precision.
FLOOR = 1e-20


def squared_distances(
    rows: np.ndarray, centres: np.ndarray, *, out: np.ndarray | None = None
) -> np.ndarray:
    """Return squared Euclidean distances from differences in float64.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Any real dtype.
    centres : ndarray of shape (d,) or (n, d), dtype float64
        One for all rows, or one each.
    out : ndarray of shape (n, d), dtype float64, default=None
        Where to put the differences.

    Returns
    -------
    distances : ndarray of shape (n,), dtype float64
        Each depends on its row and centre alone, to the last bit, not on the rows
        beside it: this is what makes the picks those of the plain algorithm.
    """
    if out is None:
        differences = rows.astype(np.float64, order="C")
        differences -= centres
    else:
        differences = np.subtract(rows, centres, out=out)
    return np.einsum("ij,ij->i", differences, differences)


def mean_row(rows: np.ndarray) -> np.ndarray:
    """Return the mean of finite rows, shape (d,), float64, or raise ValueError."""
    total = np.zeros(rows.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for chunk in row_chunks(*rows.shape):
            total += rows[chunk].astype(np.float64).sum(axis=0)
    if not np.isfinite(total).all():
        raise ValueError(
            "Z must hold finite numbers, with a finite sum. Got NaN, infinity or "
            "numbers beyond the range of float64 instead."
        )
    return total / len(rows)


class NearestCentreFilter:
    """Rows, ready to have their distances lowered by block after block of centres.

    With shift ``m``, ``||x - c||^2`` is ``||x - m||^2 + ||c - m||^2
    - 2 (x - m) . (c - m)``: one matrix product a block. Its rounding error is at most
    ``slack * (||x - m||^2 + ||c - m||^2)`` with ``slack`` the textbook bound for sums
    of ``d`` products, so that no pair that lowers a distance can be missed.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Read a few rows at a time and never copied whole.

    Raises
    ------
    ValueError
        If the rows are not finite, or too far apart for float64.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        self.radius = 0.0
        with np.errstate(invalid="ignore"):
            shift = _point_amid(rows)
        is_single = rows.dtype in (np.float16, np.float32)
        self._measure(shift.astype(np.float32 if is_single else np.float64))
        low, high = SINGLE_RANGE
        if is_single and not low < self.radius < high:
            self._measure(shift)
        if not self.radius < LARGEST_RADIUS:
            mean_row(rows)  # raises for what is not finite
            raise ValueError(
                "Z must have squared distances in the range of float64. Got rows "
                f"{self.radius} away from the median instead."
            )
        self.radius = self.radius or 1.0  # of rows that are all the same

    def _measure(self, shift: np.ndarray) -> None:
        """Set the precision of the filter, squared norms and their largest."""
        self.shift = shift
        norms = np.empty(len(self.rows))
        with np.errstate(over="ignore", invalid="ignore"):
            for chunk in row_chunks(*self.rows.shape):
                centred = np.subtract(self.rows[chunk], shift, dtype=shift.dtype)
                norms[chunk] = np.einsum("ij,ij->i", centred, centred)
        self.radius = float(np.sqrt(norms.max()))
        n_terms = self.rows.shape[1]
        self.slack = float((2 * n_terms + 16) * np.finfo(shift.dtype).eps)
        self.norms = norms

    def lower(self, distances: np.ndarray, centres: np.ndarray) -> None:
        """Lower the distances to those of new centres, in place.

        Parameters
        ----------
        distances : ndarray of shape (n,), dtype float64
            Squared distance of each row to the nearest centre so far.
        centres : ndarray of shape (n_centres, d), dtype float64
            New centres.
        """
        n_features = self.rows.shape[1]
        from_shift = (centres - self.shift) / self.radius
        norms = np.einsum("ij,ij->i", from_shift, from_shift) * self.radius
        # The last column adds what depends on the centre alone.
        factors = np.empty((len(centres), n_features + 1), dtype=self.shift.dtype)
        factors[:, :-1] = from_shift
        factors[:, -1] = -norms * (1 - self.slack) / 2
        losses = (self.slack * norms)[:, None]
        for chunk in row_chunks(len(distances), n_features + 1 + len(centres)):
            if not distances[chunk].any():
                continue
            products = self._products(chunk, factors)
            row, column = self._close_pairs(
                products, distances[chunk], self.norms[chunk], losses
            )
            _settle(distances[chunk], self.rows[chunk], centres, row, column)

    def _products(self, chunk: slice, factors: np.ndarray) -> np.ndarray:
        n_rows, n_columns = chunk.stop - chunk.start, factors.shape[1]
        centred = np.empty((n_rows, n_columns), dtype=self.shift.dtype)
        np.subtract(self.rows[chunk], self.shift, out=centred[:, :-1])
        centred[:, -1] = 1.0
        return factors @ centred.T

    def _close_pairs(self, products, distances, norms, losses):
        """Return which rows and columns may lower a distance, rows ascending.

        A pair does where its product exceeds half of what the norms leave. Of several
        in a row only those can be the smallest that reach what the best is sure of.
        """
        error = self.slack * (norms / self.radius + FLOOR * self.radius)
        bounds = ((norms - distances) / self.radius - error) / 2
        bounds[distances == 0] = np.inf
        row = np.flatnonzero(products.max(axis=0) > bounds)
        if len(products) == 1:
            return row, np.zeros_like(row)
        near = products[:, row]
        sure = (near - losses).max(axis=0) - error[row]
        hit, column = np.nonzero((near >= np.maximum(sure, bounds[row])).T)
        return row[hit], column


def _point_amid(rows: np.ndarray) -> np.ndarray:
    """Return the median of some rows: outliers would draw the mean to themselves."""
    n_some = int(np.clip(CHUNK_SIZE // rows.shape[1], 16, 256))
    some = rows[:: max(1, len(rows) // n_some)][:n_some]
    return np.median(some.astype(np.float64), axis=0)


def _settle(distances, rows, centres, row, column) -> None:
    """Lower the distances of pairs of rows and centres, computed exactly."""
    for pairs in row_chunks(len(row), rows.shape[1]):
        centre = centres[0] if len(centres) == 1 else centres[column[pairs]]
        exact = squared_distances(rows[row[pairs]], centre)
        np.minimum.at(distances, row[pairs], exact)


def block_size(n_features: int) -> int:
    """Return how many centres of so many features make a block."""
    return int(np.clip(CHUNK_SIZE // max(1, n_features), 8, 256))
