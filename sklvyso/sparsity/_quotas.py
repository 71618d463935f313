"""Layerwise quotas: which sparsity each layer gets when the whole gets one."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklvyso._arguments import (
    LARGEST_SIZE,
    is_integer,
    is_sequence,
    read_numbers,
    shown,
)
from sklvyso.sparsity._counts import check_sparsity
from sklvyso.sparsity._quota_rules import REACHES, RULES

# Quotas that only a run of this pruner on the module tells.
MODULE_RULES = ("synflow", "snip")
# Float noise in 1 - 1/c must not put the end of a range out of reach.
REACH_TOLERANCE = 1e-12

LayerShapes = Sequence[Sequence[int]] | Mapping[str, Sequence[int]]
QuotaMethod = str | ArrayLike | Mapping[str, float] | Callable[..., ArrayLike]


def layer_quotas(
    shapes: LayerShapes,
    sparsity: float,
    method: QuotaMethod,
    *,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the sparsity that each layer gets under a quota rule.

    .. versionadded:: 0.1

    Parameters
    ----------
    shapes : sequence of tuples of int, or mapping of str to tuple of int
        Shape of the weight of each prunable layer in forward order and torch layout:
        ``(out, in)`` or ``(out, in, *kernel)``. A mapping brings the names with it.
    sparsity : float
        Fraction S of all weights to prune, in [0, 1]; ``1 - 1/c`` for a compression c.
    method : str, array-like, mapping or callable
        Named rules divide the budget exactly:

        - ``"uniform"``: S in every layer.
        - ``"uniform_plus"``: the first layer, a convolution, is left whole and the last
          is pruned to 0.8 at most; the others share the rest evenly.
        - ``"erk"``: densities in proportion to ``sum(shape) / prod(shape)``; layers
          that would pass 1 are dense, and the others share the rest by the same rule.
        - ``"erk_redistribute"``: likewise, but from the last layer to the first, what a
          layer cannot hold goes to the one before it. For comparison with published
          results; low sparsities are out of its reach.
        - ``"igq"``: ideal gas quotas, ``F n / (1 + F n)`` for a layer of ``n`` weights,
          with one force F for all. Larger layers are pruned harder.
        - ``"smart"``: linear layers keep 0.3; the density of convolution l of L layers
          (linear ones count) is in proportion to ``(L - l + 1)^2 + (L - l + 1)``. What
          exceeds density 1 goes to the next convolutions. ``"smart_vgg"`` divides the
          proportion by ``l^2``, as its authors do for VGG.

        Custom ones are checked and returned as they are, whatever the total: an array
        of L sparsities; a mapping of name to sparsity, with every layer in it; a
        callable that gets ``(shapes, sparsity)``, with the shapes as list of tuples,
        and returns either.
    names : sequence of str, default=None
        Names of the layers, where ``shapes`` is a sequence and ``method`` a mapping.

    Returns
    -------
    sparsities : ndarray of shape (L,), dtype float64
        Pruned fraction of each layer, in [0, 1]. With a named rule,
        ``counts @ sparsities`` is ``sparsity * counts.sum()``.

    Raises
    ------
    ValueError
        If the rule has no answer for this sparsity (the message names the sparsities
        and compressions it reaches), if the rule is unknown or needs the module
        (``"synflow"``, ``"snip"``), or if custom sparsities lack a layer or leave
        [0, 1].
    TypeError
        If an argument is of a wrong type.

    See Also
    --------
    prune_module : Prunes by them.
    EffectiveSparsityPruner : Trains what is left.

    Notes
    -----
    Sparsities 0 and 1 leave nothing to divide: every named rule returns zeros and
    ones, beyond its reach too.

    References
    ----------
    .. [1] Vysogorets, Kempe, "Connectivity Matters: Neural Network Pruning Through the
       Lens of Effective Sparsity", JMLR 24, 2023 (``igq``).
    .. [2] Evci, Gale, Menick, Castro, Elsen, "Rigging the Lottery", ICML 2020
       (``erk``).
    .. [3] Gale, Elsen, Hooker, "The State of Sparsity in Deep Neural Networks", 2019
       (``uniform_plus``).
    .. [4] Su, Chen, Cai, Wu, Gao, Wang, Lee, "Sanity-Checking Pruning Methods: Random
       Tickets can Win the Jackpot", NeurIPS 2020 (``smart``).

    Examples
    --------
    >>> from sklvyso.sparsity import layer_quotas
    >>> lenet = [(300, 784), (100, 300), (10, 100)]
    >>> layer_quotas(lenet, 0.99, "igq").round(3)
    array([0.995, 0.965, 0.478])
    >>> layer_quotas(lenet, 0.99, "erk").round(3)
    array([0.992, 0.978, 0.816])
    >>> layer_quotas(lenet, 0.99, [0.99, 0.99, 0.5])
    array([0.99, 0.99, 0.5 ])
    """
    layers, names = check_shapes(shapes, names)
    sparsity = check_sparsity(sparsity)
    if isinstance(method, str):
        return _named(layers, sparsity, method)
    given = method(layers, sparsity) if callable(method) else method
    return _custom(given, names, len(layers), callable(method))


def reachable_sparsity(shapes: LayerShapes, method: str) -> tuple[float, float]:
    """Return the lowest and the highest sparsity that a named rule can divide.

    Parameters
    ----------
    shapes : sequence of tuples of int, or mapping of str to tuple of int
        As for :func:`layer_quotas`.
    method : str
        Name of a rule.

    Returns
    -------
    low, high : float
        Both in [0, 1].

    Raises
    ------
    ValueError
        If the rule is unknown or needs the module, or the layers do not suit it.
    """
    layers, _ = check_shapes(shapes)
    _check_name(method, layers)
    return REACHES[method](layers)


def check_shapes(
    shapes: LayerShapes, names: Sequence[str] | None = None
) -> tuple[list[tuple[int, ...]], list[str] | None]:
    """Return the shapes as list of tuples of int, and the names if there are any."""
    if isinstance(shapes, Mapping):
        if names is not None:
            raise ValueError("names must be None where shapes is a mapping.")
        names, shapes = list(shapes), list(shapes.values())
    if not is_sequence(shapes) or not all(map(is_sequence, shapes)):
        raise TypeError(
            "shapes must be a list of weight shapes (out, in, *kernel). Got "
            f"{shown(shapes)} instead."
        )
    layers = [tuple(shape) for shape in shapes]
    if not layers:
        raise ValueError("shapes must hold at least one layer. Got none.")
    for place, shape in enumerate(layers):
        whole = all(is_integer(side) and 1 <= side <= LARGEST_SIZE for side in shape)
        if len(shape) < 2 or not whole:
            raise ValueError(
                f"shapes must hold weight shapes (out, in, *kernel). Got {shape} for "
                f"layer {place} instead."
            )
    if names is None:
        return layers, None
    if not is_sequence(names) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"names must be a list of names. Got {shown(names)} instead.")
    if len(names) != len(layers):
        raise ValueError(
            f"names must name every layer. Got {len(names)} for {len(layers)} layers."
        )
    return layers, list(names)


def _named(layers, sparsity, method):
    _check_name(method, layers)
    if sparsity in (0.0, 1.0):
        return np.full(len(layers), sparsity)
    low, high = REACHES[method](layers)
    if not low - REACH_TOLERANCE <= sparsity <= high + REACH_TOLERANCE:
        raise ValueError(_unreachable(method, sparsity, low, high))
    quotas = RULES[method](layers, min(max(sparsity, low), high))
    return np.clip(quotas, 0.0, 1.0)


def _check_name(method, layers):
    if method in MODULE_RULES:
        raise ValueError(
            f"method={method!r} needs the module, not only its shapes. Pass "
            f"quota={method!r} to prune_module or EffectiveSparsityPruner instead."
        )
    if method not in RULES:
        raise ValueError(
            f"method must be one of {sorted(RULES)}, an array, a mapping or a "
            f"callable. Got {method!r} instead."
        )
    if method == "uniform_plus" and len(layers[0]) < 3:
        raise ValueError(
            "method='uniform_plus' must have a convolution as the first layer. Got "
            f"shape {layers[0]} instead. Use 'uniform', 'erk' or 'igq'."
        )


def _unreachable(method, sparsity, low, high):
    # Rounded inwards, so that the sparsities of the message can be reached.
    low, high = math.ceil(low * 1e6) / 1e6, math.floor(high * 1e6) / 1e6
    compressions = [math.inf if end >= 1 else 1 / (1 - end) for end in (low, high)]
    return (
        f"sparsity must lie in [{low:g}, {high:g}], compression in "
        f"[{compressions[0]:g}, {compressions[1]:g}], for quota {method!r} on these "
        f"layers. Got sparsity {sparsity:g} instead. Take one in that range, or 'igq', "
        "which reaches all."
    )


def _custom(given: Any, names, n_layers, is_called):
    source = "the result of method" if is_called else "method"
    if isinstance(given, Mapping):
        given = _in_order(given, names, source)
    try:
        sparsities = read_numbers(source, given).astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"{source} must be an array of sparsities or a mapping, method a name or a "
            f"callable too. Got {given!r} instead."
        ) from None
    if sparsities.shape != (n_layers,):
        raise ValueError(
            f"{source} must hold one sparsity for each of {n_layers} layers. Got shape "
            f"{sparsities.shape} instead."
        )
    if not ((sparsities >= 0) & (sparsities <= 1)).all():  # NaN fails too
        raise ValueError(
            f"{source} must hold sparsities in [0, 1]. Got {sparsities.tolist()}."
        )
    return sparsities


def _in_order(given, names, source):
    if names is None:
        raise ValueError(
            f"{source} is a mapping: pass the names of the layers, as names= or with "
            "shapes as mapping of name to shape."
        )
    missing = [name for name in names if name not in given]
    unknown = [name for name in given if name not in names]
    if missing or unknown:
        raise ValueError(
            f"{source} must have the sparsity of every layer, 0.0 for one to leave "
            f"whole. Missing: {missing}. Unknown: {unknown}."
        )
    return [given[name] for name in names]
