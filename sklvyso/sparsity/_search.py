"""How far to prune: the largest step that still meets an effective target."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from sklvyso.sparsity._connectivity import Connectivity, Measurement
from sklvyso.sparsity._kept import KeptWeights


def as_fraction(sparsity: float) -> Fraction:
    """Return the sparsity that a user meant, such as 9/10 for 0.9.

    The nearest fraction with a denominator of at most a thousand million: a float is
    off by a rounding error that would cost one weight where the target is met exactly.
    """
    return Fraction(float(sparsity)).limit_denominator(10**9)


class NestedMasks:
    """Masks M_0 > M_1 > ... in which step k prunes the first k weights of an order.

    Parameters
    ----------
    order : ndarray of shape (n_weights,), dtype int64
        Flat positions in the concatenation of all layers, pruned first comes first.
    shapes : mapping of str to tuple of int
        Names and shapes of the layers, in order.
    """

    def __init__(self, order: np.ndarray, shapes: Mapping[str, tuple[int, ...]]):
        self.shapes = dict(shapes)
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.total = int(self.starts[-1])
        if len(order) != self.total:
            raise ValueError(
                f"order must hold each of the {self.total} weights once. Got "
                f"{len(order)} entries."
            )
        kind = np.int32 if self.total < np.iinfo(np.int32).max else np.int64
        self.rank = np.empty(self.total, dtype=kind)
        self.rank[order] = np.arange(self.total, dtype=kind)

    def _ranks(self):
        for i, (name, shape) in enumerate(self.shapes.items()):
            yield name, shape, self.rank[self.starts[i] : self.starts[i + 1]]

    def at(self, k: int, among: Mapping[str, KeptWeights] | None = None):
        """Weights that are kept at step k.

        Parameters
        ----------
        k : int
            Number of pruned weights.
        among : dict of str to KeptWeights or None, default=None
            Look at these weights only.

        Returns
        -------
        kept : dict of str to KeptWeights
            Kept weights of each layer.
        """
        kept = {}
        for name, shape, rank in self._ranks():
            if among is not None and among[name].density < 0.5:
                candidates = among[name]
                chosen = rank[candidates.positions] >= k
                kept[name] = candidates.subset(chosen)
            else:
                mask = (rank >= k).reshape(shape)
                if among is not None:
                    mask &= among[name].mask
                kept[name] = KeptWeights.from_mask(mask)
        return kept

    def masks(self, k: int) -> dict[str, np.ndarray]:
        """Bool masks at step k."""
        return {name: (r >= k).reshape(shape) for name, shape, r in self._ranks()}


def largest_step(
    nested: NestedMasks, connectivity: Connectivity, sparsity: float
) -> tuple[int, Measurement, Measurement]:
    """Find the largest number of pruned weights within an effective target.

    Parameters
    ----------
    nested : NestedMasks
        Masks by number of pruned weights.
    connectivity : Connectivity
        What measures them.
    sparsity : float
        Effective sparsity that must not be exceeded, in [0, 1].

    Returns
    -------
    k : int
        Number of pruned weights.
    at_k, at_next : Measurement
        Measurements at k and at the first step beyond the target, k + 1 (at k where
        nothing is left to prune).

    Notes
    -----
    Effective masks of nested masks are nested too, and an active weight stays so when
    inactive ones are taken away; so each measurement looks only at the weights that
    were active at the largest step known to be within the target. Comparisons are of
    whole numbers.
    """
    needed = (1 - as_fraction(sparsity)) * nested.total
    # A mask is never sparser by count than effectively.
    last = nested.total - int(-(-needed.numerator // needed.denominator))
    low, high = 0, last + 1
    at_low: Measurement | None = None
    at_high: Measurement | None = None
    middle = last
    while high - low > 1 or at_low is None:
        among = None if at_low is None else at_low.active
        found = connectivity.measure(nested.at(middle, among))
        if found.count >= needed or middle == 0:
            low, at_low = middle, found
        else:
            high, at_high = middle, found
        middle = (low + high) // 2
    if low == nested.total:
        return low, at_low, at_low
    if at_high is None or high != low + 1:
        at_high = connectivity.measure(nested.at(low + 1, at_low.active))
    return low, at_low, at_high
