"""From real quotas to whole weights with an exact total."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from fractions import Fraction
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike


def n_kept(total: int, sparsity: float) -> int:
    """Return how many of ``total`` weights a sparsity keeps.

    Parameters
    ----------
    total : int
        Number of weights N, >= 0.
    sparsity : float
        Sparsity S in [0, 1]; ``1 - 1/c`` for a compression c.

    Returns
    -------
    kept : int
        (1 - S) N, rounded to the nearest integer, halves to the even one. A product
        within float error of a half counts as a half, so that the noise of
        ``1 - 1/c`` does not decide.

    Raises
    ------
    ValueError
        If sparsity is not in [0, 1].
    """
    # NumPy's integers would overflow within fractions.
    total = check_count("total", total)
    # Twice the exact product: near an integer it is that integer, if S is as near to
    # 1 - 1/c as two roundings leave it.
    doubled = 2 * total * (1 - Fraction(check_sparsity(sparsity)))
    nearest = round(doubled)
    if abs(doubled - nearest) <= Fraction(2 * total, 2**52):
        doubled = Fraction(nearest)
    return round(doubled / 2)


def kept_counts(
    counts: ArrayLike, quotas: ArrayLike, n_kept: int, *, min_per_layer: int = 0
) -> np.ndarray:
    """Return whole numbers of kept weights with an exact total.

    Parameters
    ----------
    counts : array-like of int of shape (L,)
        Weights of each layer.
    quotas : array-like of shape (L,)
        Layer sparsities in [0, 1] that keep ``n_kept`` weights, less than one
        off.
    n_kept : int
        Weights to keep in all.
    min_per_layer : int, default=0
        Weights that each layer keeps at least, or all it has when it has fewer. The
        other layers make room in proportion to what they keep.

    Returns
    -------
    kept : ndarray of shape (L,), dtype int64
        Largest remainders: each is the real number of kept weights rounded down, and
        what is left of the total goes to the largest fractional parts, of equal ones to
        the earlier layer. Each lies between 0 and the layer's count.

    Raises
    ------
    ValueError
        If the quotas keep another total, or ``n_kept`` is too small for
        ``min_per_layer``.

    Notes
    -----
    The masks of two budgets that are rounded apart from each other are not nested: one
    more pruned weight can raise a layer's count. Use an order of ``quota_order`` where
    masks have to be.
    """
    sizes = np.asarray(counts, dtype=np.int64)
    real = sizes * (1.0 - np.asarray(quotas, dtype=np.float64))
    check_count("n_kept", n_kept)
    if abs(real.sum() - n_kept) > 0.999:
        whole = 1.0 - real.sum() / sizes.sum()
        raise ValueError(
            f"quotas must keep n_kept={n_kept} of {sizes.sum()} weights in all. They "
            f"keep {real.sum():.10g}, a sparsity of {whole:.12g} of the whole. Ask for "
            "that sparsity, or change the quotas."
        )
    least = np.minimum(sizes, check_count("min_per_layer", min_per_layer))
    if n_kept < least.sum():
        raise ValueError(
            f"n_kept must be >= {least.sum()} to keep min_per_layer={min_per_layer} "
            f"weights in each of {len(sizes)} layers. Got {n_kept} instead. Lower the "
            "sparsity or min_per_layer."
        )
    return _largest_remainders(_raised(real, least, n_kept), sizes, n_kept)


def _raised(real, least, total):
    """Raise amounts to their minimum; the others shrink in proportion to make room."""
    held = np.zeros(len(real), dtype=bool)
    amounts = real
    while (amounts < least).any():
        held |= amounts < least
        rest = real[~held].sum()
        scale = (total - least[held].sum()) / rest if rest > 0 else 0.0
        amounts = np.where(held, least, real * min(scale, 1.0))
    return amounts


def _largest_remainders(real, upper, total):
    floors = np.floor(np.clip(real, 0, upper)).astype(np.int64)
    # Float noise must not break a tie.
    digits = max(0, 14 - len(str(int(upper.max()))))
    order = np.argsort(-np.round(real - floors, digits), kind="stable")
    order = order[floors[order] < upper[order]]
    floors[order[: total - floors.sum()]] += 1
    return floors


def check_sparsity(sparsity: float) -> float:
    """Return a sparsity in [0, 1] as float, or raise."""
    if isinstance(sparsity, bool | np.bool_) or not isinstance(sparsity, Real):
        raise TypeError(f"sparsity must be a number in [0, 1]. Got {sparsity!r}.")
    if not 0 <= sparsity <= 1:  # NaN fails too
        raise ValueError(
            f"sparsity must lie in [0, 1]. Got {sparsity!r} instead. For a compression "
            "c pass 1 - 1/c."
        )
    return float(sparsity)


def check_count(name: str, value: int) -> int:
    """Return a whole number >= 0 as int, or raise."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer >= 0. Got {value!r} instead.")
    if value < 0:
        raise ValueError(f"{name} must be >= 0. Got {value!r} instead.")
    return int(value)
