"""Nested pruning orders: one permutation of all weights; the first k are pruned.

A weight has a flat position in the concatenation of all layers (C order each). An order
is an int64 array (N,) of positions, the first to be pruned first; all its prefixes are
nested masks, so that a search over k is sound.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sklvyso.sparsity._counts import check_count
from sklvyso.sparsity._quota_rules import Shapes, weight_counts
from sklvyso.sparsity._quota_values import MERGE_VALUES, family_values
from sklvyso.sparsity._quotas import (
    LayerShapes,
    QuotaMethod,
    check_shapes,
    layer_quotas,
)


def global_order(
    scores: Sequence[np.ndarray],
    *,
    min_per_layer: int = 0,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Order all weights by one ranking, the lowest score first.

    Parameters
    ----------
    scores : sequence of ndarray
        Scores of the layers, of any shapes; higher is to keep.
    min_per_layer : int, default=0
        The last so many weights of each layer move to the very end.
    names : sequence of str, default=None
        Names of the layers for messages.

    Returns
    -------
    order : ndarray of shape (N,), dtype int64
        Equal scores in the order of their flat positions.

    Raises
    ------
    ValueError
        If a score is NaN or infinite.
    """
    check_count("min_per_layer", min_per_layer)
    layers = [np.ravel(layer) for layer in scores]
    for place, layer in enumerate(layers):
        if not np.isfinite(layer).all():
            name = place if names is None else repr(names[place])
            raise ValueError(
                f"scores must be finite. Layer {name} has NaN or infinite ones. Check "
                "the weights and the data of the module."
            )
    order = _stable_argsort(np.concatenate(layers))
    if min_per_layer == 0:
        return order
    last = [_last_by_score(layer, min_per_layer) for layer in layers]
    return _move_to_end(order, _positions(last, [len(layer) for layer in layers]))


def layer_ranks(scores: np.ndarray) -> np.ndarray:
    """Order the weights of one layer, the lowest score first, shape (n_l,), int64."""
    return _stable_argsort(np.ravel(scores))


def random_ranks(counts: ArrayLike, rng: np.random.Generator) -> list[np.ndarray]:
    """Order the weights of each layer at random, list of arrays (n_l,), int64."""
    return [rng.permutation(count) for count in np.asarray(counts, dtype=np.int64)]


def quota_order(
    within: Sequence[np.ndarray],
    shapes: LayerShapes,
    method: QuotaMethod,
    sparsity: float,
    *,
    names: Sequence[str] | None = None,
    min_per_layer: int = 0,
) -> np.ndarray:
    """Merge the orders of the layers into one that follows a quota rule.

    Parameters
    ----------
    within : sequence of ndarray of int of shape (n_l,)
        Order of each layer's weights, positions within the layer.
    shapes, method, names
        As for ``layer_quotas``.
    sparsity : float
        Target, in [0, 1]. It must be within reach of the rule. The order depends on it
        only for the rules that have no closed form.
    min_per_layer : int, default=0
        The last so many weights of each layer move to the very end.

    Returns
    -------
    order : ndarray of shape (N,), dtype int64
        Keeps the order within each layer.

    Raises
    ------
    ValueError
        As ``layer_quotas``, or if ``within`` does not fit the shapes.

    Notes
    -----
    A rule with one parameter v prunes ``r_l(v)`` weights of layer l, a real number that
    grows with v. The weight that is pruned as j-th of its layer (from 0) gets the value
    of v at which ``r_l(v) = j + 1/2``, and all weights are sorted by that value, equal
    ones by layer. So at every v each layer is within half a weight of its quota; after
    exactly k weights the quotas at k may differ from that by the sum of what all layers
    were rounded by, at most ``L / 2``. Counts that are rounded anew for each k come
    closer, but their masks are not nested.

    The parameter is the sparsity for ``uniform``, that of the middle layers for
    ``uniform_plus`` (beyond its reach: the rest of the last layer, then the first), the
    force for ``igq``, the falling scale for ``erk``. All others are carried along the
    family of densities ``d_l ** v`` through their quotas d_l at the target, v = 1:
    dense at v = 0, nested, and the quotas themselves at the target. Layers with d_l = 0
    are pruned first, those with d_l = 1 last, each kind evenly.
    """
    layers, names = check_shapes(shapes, names)
    check_count("min_per_layer", min_per_layer)
    counts = weight_counts(layers)
    if [len(ranks) for ranks in within] != counts.tolist():
        raise ValueError(
            f"within must hold one order for each layer, of lengths {counts.tolist()}. "
            f"Got {[len(ranks) for ranks in within]} instead."
        )
    quotas = layer_quotas(layers, sparsity, method, names=names)
    positions = _positions(within, counts)
    if isinstance(method, str) and method in MERGE_VALUES:
        values = np.concatenate(MERGE_VALUES[method](layers))
    else:
        values = np.concatenate(family_values(counts, quotas))
    # Each layer's values rise: a merge of L runs, which the stable sort detects.
    order = positions[np.argsort(values, kind="stable")]
    if min_per_layer == 0:
        return order
    last = [ranks[max(0, len(ranks) - min_per_layer) :] for ranks in within]
    return _move_to_end(order, _positions(last, counts))


def borrowed_order(
    within: Sequence[np.ndarray], order_of_other: np.ndarray, counts: ArrayLike
) -> np.ndarray:
    """Prune layer by layer as far as another order does, but other weights.

    Parameters
    ----------
    within : sequence of ndarray of int of shape (n_l,)
        Order of each layer's weights, positions within the layer.
    order_of_other : ndarray of int of shape (N,)
        The order whose layer sparsities are taken, at every k.
    counts : array-like of int of shape (L,)
        Weights of each layer.

    Returns
    -------
    order : ndarray of shape (N,), dtype int64
        The j-th weight of layer l stands where the other order has its j-th of layer l.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    sizes = np.asarray(counts, dtype=np.int64)
    lengths = [len(ranks) for ranks in within]
    if lengths != sizes.tolist() or len(order_of_other) != sizes.sum():
        raise ValueError(
            f"within and order_of_other must have the weights of counts, "
            f"{sizes.tolist()}. Got lengths {lengths} and {len(order_of_other)} "
            "instead."
        )
    kind = np.uint16 if len(sizes) < 2**16 else np.int64  # 16 bits are radix sorted
    layer_of = np.repeat(np.arange(len(sizes), dtype=kind), sizes)
    places = np.argsort(layer_of[order_of_other], kind="stable")
    order = np.empty(len(places), dtype=np.int64)
    order[places] = _positions(within, sizes)
    return order


def masks_from_order(order: np.ndarray, k: int, shapes: Shapes) -> list[np.ndarray]:
    """Return the masks in which the first k weights of an order are pruned.

    Parameters
    ----------
    order : ndarray of int of shape (N,)
        Positions, the first to be pruned first.
    k : int
        Weights to prune, from 0 to N.
    shapes : sequence of tuples of int
        Shapes of the layers.

    Returns
    -------
    masks : list of ndarray of bool
        True where a weight is kept; views of one array.

    Raises
    ------
    ValueError
        If k is out of range or the shapes hold another number of weights.
    """
    counts = weight_counts(shapes)
    if len(order) != counts.sum():
        raise ValueError(
            f"order must have the {counts.sum()} weights of shapes. Got {len(order)}."
        )
    if check_count("k", k) > len(order):
        raise ValueError(f"k must be <= {len(order)} weights. Got {k} instead.")
    flat = np.ones(len(order), dtype=bool)
    flat[order[:k]] = False
    parts = np.split(flat, np.cumsum(counts)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _positions(within, counts):
    """Turn positions within layers into flat ones, layer after layer."""
    starts = np.cumsum(counts) - counts
    return np.concatenate(
        [ranks + start for ranks, start in zip(within, starts, strict=True)],
        dtype=np.int64,
    )


def _last_by_score(scores, n_last):
    """Return the positions that a stable sort of one layer puts last, in any order."""
    if n_last >= len(scores):
        return np.arange(len(scores))
    limit = np.partition(scores, len(scores) - n_last)[len(scores) - n_last]
    above = np.flatnonzero(scores > limit)
    equal = np.flatnonzero(scores == limit)
    return np.concatenate([above, equal[len(equal) - (n_last - len(above)) :]])


def _move_to_end(order, positions):
    is_last = np.zeros(len(order), dtype=bool)
    is_last[positions] = True
    moved = is_last[order]
    return np.concatenate([order[~moved], order[moved]])


def _stable_argsort(values):
    if values.dtype != np.float32 or len(values) >= 2**32:
        return np.argsort(values, kind="stable")
    # The bits of a float32, made to rise with it, and the position fit in one integer:
    # sorting those is about twice as fast as an indirect stable sort. Adding zero turns
    # -0.0 into the 0.0 that it is equal to.
    bits = (values + np.float32(0)).view(np.uint32)
    sign = np.uint32(1 << 31)
    keys = np.where(bits >= sign, ~bits, bits | sign).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(len(values), dtype=np.uint64)
    keys.sort()
    keys &= np.uint64(2**32 - 1)
    return keys.view(np.int64)
