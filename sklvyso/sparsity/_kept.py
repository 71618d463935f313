"""Kept weights of one tensor, as a list of positions or as a mask."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math

import numpy as np


class KeptWeights:
    """Which entries of a weight tensor are kept.

    Positions and mask hold the same; each is made from the other when it is asked for,
    because thin masks are handled as lists of positions and dense ones as masks.

    Parameters
    ----------
    shape : tuple of int
        Shape of the weight.
    positions : ndarray of shape (n_kept,), dtype int64
        Sorted flat positions, C order.
    mask : ndarray of bool
        In the shape of the weight. One of the two must be given.
    """

    def __init__(self, shape, *, positions=None, mask=None):
        self.shape = tuple(shape)
        self._positions = positions
        self._mask = mask
        self._count = len(positions) if positions is not None else None

    @classmethod
    def from_mask(cls, mask: np.ndarray) -> KeptWeights:
        """Kept are the entries where a bool array is True."""
        return cls(mask.shape, mask=mask)

    @classmethod
    def all_of(cls, shape) -> KeptWeights:
        """Every entry is kept."""
        return cls(shape, mask=np.ones(shape, dtype=bool))

    @property
    def size(self) -> int:
        """Number of entries of the tensor."""
        return math.prod(self.shape)

    @property
    def count(self) -> int:
        """Number of kept entries."""
        if self._count is None:
            self._count = int(np.count_nonzero(self._mask))
        return self._count

    @property
    def density(self) -> float:
        """Share of kept entries."""
        return self.count / max(self.size, 1)

    @property
    def positions(self) -> np.ndarray:
        """Sorted flat positions of kept entries, int64."""
        if self._positions is None:
            self._positions = np.flatnonzero(self._mask)
        return self._positions

    @property
    def mask(self) -> np.ndarray:
        """Bool array in the shape of the tensor."""
        if self._mask is None:
            mask = np.zeros(self.size, dtype=bool)
            mask[self._positions] = True
            self._mask = mask.reshape(self.shape)
        return self._mask

    def subset(self, chosen: np.ndarray) -> KeptWeights:
        """Keep those entries of ``positions`` where ``chosen`` is True."""
        return KeptWeights(self.shape, positions=self.positions[chosen])

    def union(self, other: KeptWeights) -> KeptWeights:
        """Keep what either keeps."""
        return KeptWeights(self.shape, mask=self.mask | other.mask)
