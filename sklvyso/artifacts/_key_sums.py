"""Sums over the places of a plane that share a key: rings, directions, bands."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np


class KeySums:
    """Sums of values by key, for keys that come in runs along the rows of a plane.

    Summing each run first is several times as fast as a weighted ``np.bincount`` over
    all places, and needs no index of the plane's size.

    Parameters
    ----------
    keys : ndarray of shape (H, W), integers
        Those from `n_keys` on are left out.
    n_keys : int
        Number of sums.
    weights : ndarray of shape (H, W), default=None
        Of the values; constant over long runs.
    """

    def __init__(
        self, keys: np.ndarray, n_keys: int, weights: np.ndarray | None = None
    ):
        flat = keys.ravel()
        begins = np.ones(flat.size, dtype=bool)
        begins[1:] = flat[1:] != flat[:-1]
        if weights is not None:
            begins[1:] |= weights.ravel()[1:] != weights.ravel()[:-1]
        self.n_keys = n_keys
        self._starts = np.flatnonzero(begins)
        self._keys = np.minimum(flat[self._starts], n_keys)
        self._lengths = np.diff(np.append(self._starts, flat.size))
        self._weights = None if weights is None else weights.ravel()[self._starts]
        self.totals = self._gather(self._lengths)

    def sums(self, plane: np.ndarray) -> np.ndarray:
        """Return the weighted sum of each key's values, (n_keys,) float64."""
        return self._gather(np.add.reduceat(plane.ravel(), self._starts))

    def means(self, plane: np.ndarray) -> np.ndarray:
        """Return the weighted mean of each key's values, 0 where it has none."""
        return self.sums(plane) / np.maximum(self.totals, 1e-9)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Return the value of each place's key, flat; 0 where it is left out."""
        return np.repeat(
            np.append(values, values.dtype.type(0))[self._keys], self._lengths
        )

    def _gather(self, run_sums: np.ndarray) -> np.ndarray:
        weighted = run_sums if self._weights is None else run_sums * self._weights
        return np.bincount(self._keys, weighted, self.n_keys + 1)[: self.n_keys]
