"""Rules that divide a budget of weights among layers, as pure numerics.

Each rule is a function of the shapes (torch layout) and the sparsity S of the whole,
0 < S < 1, and returns layer sparsities. `REACHES` says for which S there is an answer.

Vysogorets, Kempe, "Connectivity Matters: Neural Network Pruning Through the Lens of
Effective Sparsity", JMLR 24, 2023.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

Shapes = Sequence[tuple[int, ...]]

# Gale et al. prune the last layer to this sparsity at most.
LAST_LAYER_LIMIT = 0.8
# Su et al. keep this fraction of every linear layer.
SMART_LINEAR_DENSITY = 0.3


def weight_counts(shapes: Shapes) -> np.ndarray:
    """Return the number of weights of each layer, shape (L,), int64."""
    return np.array([math.prod(shape) for shape in shapes], dtype=np.int64)


def erk_weights(shapes: Shapes) -> np.ndarray:
    """Return what ERK keeps of each layer per unit of scale, shape (L,), float64.

    The density of a layer is in proportion to ``sum(shape) / prod(shape)``, so that its
    number of kept weights is in proportion to ``sum(shape)``.
    """
    return np.array([sum(shape) for shape in shapes], dtype=np.float64)


def igq_force(counts: ArrayLike, sparsity: float) -> float:
    """Return the force that compresses all layers of IGQ to a given sparsity.

    Parameters
    ----------
    counts : array-like of shape (L,)
        Weights of each layer, >= 1.
    sparsity : float
        Sparsity of the whole, in [0, 1].

    Returns
    -------
    force : float
        The root of ``sum(n / (1 + force * n)) == (1 - sparsity) * sum(n)`` to 1e-12
        relative; 0 at sparsity 0, inf at sparsity 1.
    """
    sizes = np.asarray(counts, dtype=np.float64)
    if sparsity == 0:
        return 0.0
    if sparsity == 1:
        return math.inf
    target = math.log(sparsity) - math.log1p(-sparsity)
    log_sizes = np.log(sizes)

    def excess(log_force):
        # Log odds are near linear in the logarithm of the force, and lose no digits at
        # either end.
        pressed = log_force + log_sizes
        kept = log_sizes - np.logaddexp(0.0, pressed)
        odds = np.logaddexp.reduce(pressed + kept) - np.logaddexp.reduce(kept)
        return odds - target

    # The odds of the whole lie between those of the smallest and the largest layer.
    low = target - log_sizes.max() - 1.0
    high = target - log_sizes.min() + 1.0
    return math.exp(brentq(excess, low, high, xtol=1e-14, rtol=1e-15))


def _uniform(shapes: Shapes, sparsity: float) -> np.ndarray:
    return np.full(len(shapes), sparsity)


def _uniform_plus(shapes: Shapes, sparsity: float) -> np.ndarray:
    counts = weight_counts(shapes)
    pruned = sparsity * counts.sum()
    level = pruned / max(counts[1:].sum(), 1)
    sparsities = np.zeros(len(counts))
    if len(counts) == 1:
        return sparsities
    sparsities[-1] = min(level, LAST_LAYER_LIMIT)
    if len(counts) > 2:
        rest = pruned - sparsities[-1] * counts[-1]
        sparsities[1:-1] = rest / counts[1:-1].sum()
    return sparsities


def _erk(shapes: Shapes, sparsity: float) -> np.ndarray:
    counts, weights = weight_counts(shapes), erk_weights(shapes)
    # Dense layers are the first in this order: solve for every number of them at once.
    order = np.argsort(-weights / counts, kind="stable")
    dense = np.concatenate([[0], np.cumsum(counts[order])[:-1]])
    others = np.cumsum(weights[order][::-1])[::-1]
    scales = ((1.0 - sparsity) * counts.sum() - dense) / others
    fits = scales * weights[order] <= counts[order]
    fits[-1] = True  # but for float noise
    scale = scales[np.argmax(fits)]
    return 1.0 - np.minimum(scale * weights / counts, 1.0)


def _erk_redistribute(shapes: Shapes, sparsity: float) -> np.ndarray:
    counts, weights = weight_counts(shapes), erk_weights(shapes)
    kept = (1.0 - sparsity) * counts.sum() * weights / weights.sum()
    return 1.0 - _pour(kept[::-1], counts[::-1])[::-1] / counts


def _igq(shapes: Shapes, sparsity: float) -> np.ndarray:
    counts = weight_counts(shapes)
    pressed = igq_force(counts, sparsity) * counts
    return pressed / (1.0 + pressed)


def _smart(shapes: Shapes, sparsity: float, depth_power: int = 0) -> np.ndarray:
    counts = weight_counts(shapes)
    linear = _is_linear(shapes)
    place = np.arange(1, len(shapes) + 1)
    below = len(shapes) - place + 1
    raw = (below**2 + below) / place.astype(np.float64) ** depth_power
    kept = SMART_LINEAR_DENSITY * counts
    budget = (1.0 - sparsity) * counts.sum() - kept[linear].sum()
    if not linear.all():
        shares = (raw * counts)[~linear]
        kept[~linear] = _pour(budget * shares / shares.sum(), counts[~linear])
    return 1.0 - kept / counts


def _smart_vgg(shapes: Shapes, sparsity: float) -> np.ndarray:
    return _smart(shapes, sparsity, depth_power=2)


def _pour(amounts, limits):
    """Cap amounts from first to last; the next takes what one cannot hold."""
    held = np.empty(len(amounts))
    excess = 0.0
    for place, limit in enumerate(limits):
        wanted = amounts[place] + excess
        held[place] = min(wanted, limit)
        excess = wanted - held[place]
    return held


def _is_linear(shapes):
    return np.array([len(shape) == 2 for shape in shapes])


def _reach_of_all(shapes: Shapes) -> tuple[float, float]:
    return 0.0, 1.0


def _reach_of_uniform_plus(shapes: Shapes) -> tuple[float, float]:
    counts = weight_counts(shapes)
    if len(counts) == 1:
        return 0.0, 0.0
    pruned = counts[1:-1].sum() + LAST_LAYER_LIMIT * counts[-1]
    return 0.0, float(pruned / counts.sum())


def _reach_of_erk_redistribute(shapes: Shapes) -> tuple[float, float]:
    # All excess ends in the first layer: with those behind it, it must hold its share.
    counts, weights = weight_counts(shapes), erk_weights(shapes)
    scale = (np.cumsum(counts) / np.cumsum(weights)).min()
    return float(max(0.0, 1.0 - scale * weights.sum() / counts.sum())), 1.0


def _reach_of_smart(shapes: Shapes) -> tuple[float, float]:
    counts = weight_counts(shapes)
    linear = counts[_is_linear(shapes)].sum()
    most = 1.0 - SMART_LINEAR_DENSITY * linear / counts.sum()
    least = (1.0 - SMART_LINEAR_DENSITY) * linear / counts.sum()
    return float(least), float(max(least, most))


RULES: dict[str, Callable[[Shapes, float], np.ndarray]] = {
    "uniform": _uniform,
    "uniform_plus": _uniform_plus,
    "erk": _erk,
    "erk_redistribute": _erk_redistribute,
    "igq": _igq,
    "smart": _smart,
    "smart_vgg": _smart_vgg,
}

REACHES: dict[str, Callable[[Shapes], tuple[float, float]]] = {
    "uniform": _reach_of_all,
    "uniform_plus": _reach_of_uniform_plus,
    "erk": _reach_of_all,
    "erk_redistribute": _reach_of_erk_redistribute,
    "igq": _reach_of_all,
    "smart": _reach_of_smart,
    "smart_vgg": _reach_of_smart,
}
