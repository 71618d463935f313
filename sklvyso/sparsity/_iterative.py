"""Pruners that score again and again: SynFlow, iterative SNIP and FORCE.

Tanaka, Kunin, Yamins, Ganguli, "Pruning neural networks without any data by iteratively
conserving synaptic flow", NeurIPS 2020. de Jorge et al., "Progressive Skeletonization:
Trimming more fat from a network at initialization", ICLR 2021.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

Gradients = Callable[[], Sequence[Tensor]]

# Well within float64: scores far below the total must be numbers, too.
_SMALLEST_TOTAL, _LARGEST_TOTAL = 1e-200, 1e200
_MOST_CORRECTIONS = 3
# What sign, exponent and 7 bits of the mantissa leave of a float64.
_TRAILING_BITS = 45


class Twin(Protocol):
    """Linear twin of a network, as SynFlow needs it."""

    def total(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of the outputs for an input of ones."""


def pruned_counts(total: int, sparsity: float, n_iterations: int) -> list[int]:
    """Return how many weights are pruned in all after each step.

    Parameters
    ----------
    total : int
        Number of weights, N.
    sparsity : float
        Fraction S to prune in the end, in [0, 1].
    n_iterations : int
        Number of steps, T.

    Returns
    -------
    counts : list of int
        ``int(N - N (1 - S)^(t / T))`` for t = 1, ..., T; for S = 1 all but one weight,
        as the schedule would have a single step otherwise.
    """
    density = max(1 - sparsity, 1 / total)
    return [
        int(total - total * density ** (t / n_iterations))
        for t in range(1, n_iterations + 1)
    ]


def lowest(scores: np.ndarray, n_lowest: int) -> np.ndarray:
    """Mark the lowest scores, of equal ones the first, without sorting.

    Parameters
    ----------
    scores : ndarray of shape (n,), dtype float64
        Non-negative, finite.
    n_lowest : int
        From 0 to n.

    Returns
    -------
    is_lowest : ndarray of shape (n,), dtype bool
        Exactly ``n_lowest`` are True.
    """
    if n_lowest == 0:
        return np.zeros(len(scores), dtype=bool)
    limit = _order_statistic(scores, n_lowest - 1)
    is_lowest = scores < limit
    missing = n_lowest - np.count_nonzero(is_lowest)
    is_lowest[np.flatnonzero(scores == limit)[:missing]] = True
    return is_lowest


def _order_statistic(scores: np.ndarray, rank: int) -> float:
    """Return the score that has ``rank`` scores before it in ascending order.

    Non-negative floats order as the integers of the same bits, so that the leading bits
    make a histogram with bins of nearly equal relative width, and one bin is left to
    partition. On millions of equal scores, as dead units have, np.partition alone was
    measured to be 20 times slower.
    """
    bins = scores.view(np.int64) >> _TRAILING_BITS
    ends = np.cumsum(np.bincount(bins))
    found = int(np.searchsorted(ends, rank, side="right"))
    candidates = scores[bins == found]
    if candidates.min() == candidates.max():
        return float(candidates[0])
    rank -= int(ends[found - 1]) if found else 0
    return float(np.partition(candidates, rank)[rank])


class FlatWeights:
    """Weights of all layers in one buffer, of which the layers use parts.

    Parameters
    ----------
    weights : mapping of str to tensor
        Copied.

    Attributes
    ----------
    values : tensor of shape (n_weights,)
        All weights, layer after layer.
    parts : dict of str to tensor
        Views of ``values`` in the shapes of the layers, which require gradients.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.values = torch.cat([w.detach().reshape(-1) for w in weights.values()])
        self._ends = np.cumsum([0, *(w.numel() for w in weights.values())])
        pieces = self.values.split([w.numel() for w in weights.values()])
        self.parts = {
            name: piece.detach().view(weight.shape).requires_grad_()
            for (name, weight), piece in zip(weights.items(), pieces, strict=True)
        }

    def __len__(self):
        return len(self.values)

    def remove(self, indices: np.ndarray) -> None:
        """Set the weights at some places to zero."""
        self.values[torch.from_numpy(indices).to(self.values.device)] = 0

    def scores(self, gradients: Sequence[Tensor], indices: np.ndarray) -> np.ndarray:
        """Return ``|w * gradient|`` in float64 at ascending places."""
        bounds = np.searchsorted(indices, self._ends)
        scores = np.empty(len(indices))
        for i, (part, gradient) in enumerate(
            zip(self.parts.values(), gradients, strict=True)
        ):
            where = slice(bounds[i], bounds[i + 1])
            inside = torch.from_numpy(indices[where] - self._ends[i]).to(part.device)
            weight = part.detach().reshape(-1)[inside].double()
            product = weight * gradient.detach().reshape(-1)[inside].double()
            scores[where] = product.abs().cpu().numpy()
        if not np.isfinite(scores).all():
            self._raise_not_finite(indices[~np.isfinite(scores)][0])
        return scores

    def _raise_not_finite(self, index):
        name = list(self.parts)[np.searchsorted(self._ends, index, side="right") - 1]
        raise ValueError(
            f"Scores must be finite. Those of {name!r} hold NaN or infinity: are the "
            "weights and the loss of the module finite?"
        )

    def unflatten(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Cut values of all weights into the shapes of the layers."""
        pieces = np.split(values, self._ends[1:-1])
        return {
            name: piece.reshape(tuple(part.shape))
            for (name, part), piece in zip(self.parts.items(), pieces, strict=True)
        }


def iterative_ranks(
    gradients: Gradients, weights: FlatWeights, counts: Iterable[int]
) -> dict[str, np.ndarray]:
    """Prune the lowest ``|w * gradient|`` step by step; return the order.

    Parameters
    ----------
    gradients : callable
        Takes nothing, returns the gradients at the present values of ``weights``.
    weights : FlatWeights
        Has the pruned weights at zero afterwards.
    counts : iterable of int
        Weights pruned in all after each step, non-decreasing; at least one step.

    Returns
    -------
    ranks : dict of str to ndarray of float64
        0 for the weight that was pruned first, and so on: those of one step in the
        order of their scores, then the survivors in the order of their last scores. Of
        equal scores the lower flat index comes first. All values differ, so that for
        any k the k lowest are what is pruned, nested in k.

    Notes
    -----
    Whole numbers, rather than step plus normalised score: scores of one step range over
    so many orders of magnitude that sums would make small ones equal.
    """
    alive = np.arange(len(weights))
    scores = np.zeros(len(weights))
    order = []
    for count in counts:
        scores = weights.scores(gradients(), alive)
        is_victim = lowest(scores, count - (len(weights) - len(alive)))
        victims = alive[is_victim]
        order.append(victims[np.argsort(scores[is_victim], kind="stable")])
        weights.remove(victims)
        alive, scores = alive[~is_victim], scores[~is_victim]
    order.append(alive[np.argsort(scores, kind="stable")])
    ranks = np.empty(len(weights))
    ranks[np.concatenate(order)] = np.arange(len(weights))
    return weights.unflatten(ranks)


def force_scores(
    gradients: Gradients, weights: FlatWeights, counts: Iterable[int]
) -> dict[str, np.ndarray]:
    """Prune the lowest ``|w * gradient|`` of all weights; pruned ones may return.

    Parameters
    ----------
    gradients : callable
        Takes nothing, returns the gradients at the present values of ``weights``.
    weights : FlatWeights
        Comes back with the weights of the last mask.
    counts : iterable of int
        Weights pruned in all after each step; at least one step.

    Returns
    -------
    scores : dict of str to ndarray of float64
        Those of the last step: original weight times gradient at the mask before. The
        weights of the final mask are its highest, the others follow by score, whichever
        steps they were pruned in.
    """
    original = weights.values.clone()
    everywhere = np.arange(len(weights))
    scores = np.zeros(len(weights))
    for count in counts:
        at_mask = gradients()
        weights.values.copy_(original)
        scores = weights.scores(at_mask, everywhere)
        weights.remove(np.flatnonzero(lowest(scores, count)))
    return weights.unflatten(scores)


def flow_weights(weights: Mapping[str, Tensor]) -> FlatWeights:
    """Return the magnitudes in float64, with which SynFlow computes."""
    return FlatWeights({n: w.detach().abs().double() for n, w in weights.items()})


def synflow_scores(twin: Twin, weights: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Return ``|w| * dR/d|w|``, R the sum of the linear twin's outputs (SynFlow).

    Parameters
    ----------
    twin : object with a method ``total``
        The network without activations, norms and biases, with average pooling.
    weights : mapping of str to tensor
        Their magnitudes are used.

    Returns
    -------
    scores : dict of str to ndarray of float64
        Non-negative; higher means keep. They sum to R in every layer that all paths
        pass through.
    """
    flat = flow_weights(weights)
    gradients = flow_gradients(twin, flat.parts)
    return flat.unflatten(flat.scores(gradients, np.arange(len(flat))))


def flow_gradients(twin: Twin, magnitudes: Mapping[str, Tensor]) -> list[Tensor]:
    """Return dR/d|w|, times one factor for all layers where R leaves float64.

    Raises
    ------
    ValueError
        If R is out of range and layers cannot be rescaled, as paths around them exist.
    """
    total, gradients = _flow(twin, magnitudes, {})
    if _SMALLEST_TOTAL < total < _LARGEST_TOTAL:
        return gradients
    scales = _unit_gain(magnitudes)
    total, gradients = _rescaled_flow(twin, magnitudes, scales)
    if total == 0:
        # No path is left; slopes at the weights of zero may be anything.
        return [torch.zeros_like(gradient) for gradient in gradients]
    scales = {
        name: scales[name]
        for (name, magnitude), gradient in zip(
            magnitudes.items(), gradients, strict=True
        )
        if math.isclose(
            float((magnitude.detach() * gradient).sum()), total, rel_tol=1e-6
        )
    }
    if len(scales) < len(magnitudes):
        # Only a layer that all paths pass through changes all scores by one factor.
        total, gradients = _rescaled_flow(twin, magnitudes, scales)
    if not 0 < total < math.inf:
        raise ValueError(
            "Scores of SynFlow must be within float64. The sum of the outputs of the "
            f"linear network is {total}: scale the weights of the module."
        )
    return gradients


def _rescaled_flow(twin, magnitudes, scales):
    """Flow with rescaled layers, corrected until the total is of common size."""
    total, gradients = _flow(twin, magnitudes, scales)
    was_zero = False
    for _ in range(_MOST_CORRECTIONS if scales else 0):
        if _SMALLEST_TOTAL < total < _LARGEST_TOTAL or (was_zero and total == 0):
            break
        was_zero = total == 0
        # How far a total overflows or vanishes is unknown: take a large step.
        size = total if 0 < total < math.inf else (1e-250 if was_zero else 1e250)
        factor = math.exp(-math.log(size) / len(scales))
        scales = {name: scale * factor for name, scale in scales.items()}
        total, gradients = _flow(twin, magnitudes, scales)
    return total, gradients


def _unit_gain(magnitudes: Mapping[str, Tensor]) -> dict[str, float]:
    """Scales with which the mean sum of weights into an output is one."""
    sums = {name: float(w.detach().sum()) for name, w in magnitudes.items()}
    return {
        name: (w.shape[0] / sums[name] if sums[name] > 0 else 1.0)
        for name, w in magnitudes.items()
    }


def _flow(twin, magnitudes, scales):
    scaled = {
        name: w * scales[name] if name in scales else w
        for name, w in magnitudes.items()
    }
    total = twin.total(scaled)
    gradients = torch.autograd.grad(
        total, list(magnitudes.values()), materialize_grads=True
    )
    return float(total.detach()), list(gradients)
