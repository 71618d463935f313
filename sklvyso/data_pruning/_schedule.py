"""How long to train on pruned data, and in which steps to prune them."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from sklvyso._arguments import is_choice, is_integer, is_real

SCHEDULES = ("linear", "exponential")

# Whole numbers up to here are exact in float64.
_LARGEST_EXACT = 2**53


def scaled_max_epochs(max_epochs: int, n_selected: int, n_total: int) -> int:
    """Return the epochs to train on pruned data for a fair comparison.

    With the same number of epochs a small subset gets few optimiser steps, which
    punishes pruning whatever was kept.

    .. versionadded:: 0.1

    Parameters
    ----------
    max_epochs : int
        Epochs on the full data, >= 1.
    n_selected : int
        Kept rows, from 1 to ``n_total``.
    n_total : int
        All rows.

    Returns
    -------
    max_epochs : int
        ``int((0.5 + 0.5 * n_selected / n_total) * max_epochs * n_total / n_selected)``:
        between half (few rows) and all (all rows) of the steps on the full data.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    See Also
    --------
    DRoPSampler : Prunes the rows.
    pruning_sizes : Sizes of pruning in steps.

    References
    ----------
    .. [1] Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR
       2025; rule of the reference code.

    Examples
    --------
    >>> from sklvyso.data_pruning import scaled_max_epochs
    >>> scaled_max_epochs(160, n_selected=5_000, n_total=50_000)
    880
    """
    limits = {"n_total": None, "max_epochs": None, "n_selected": n_total}
    given = {"n_total": n_total, "max_epochs": max_epochs, "n_selected": n_selected}
    for name, most in limits.items():
        value = given[name]
        if not is_integer(value) or value < 1 or (most and value > most):
            limit = "" if most is None else f" and at most n_total={most}"
            raise ValueError(
                f"{name} must be an integer >= 1{limit}. Got {value!r} instead."
            )
    epochs, selected, total = int(max_epochs), int(n_selected), int(n_total)
    # One exact fraction: (total + selected) / (2 selected) * epochs, rounded down.
    return epochs * (total + selected) // (2 * selected)


def pruning_sizes(
    n_total: int, density: float, n_steps: int = 1, *, schedule: str = "linear"
) -> np.ndarray:
    """Return how many rows remain after each of several pruning steps.

    Between the steps the query model is trained anew on the remaining rows and the
    quotas are computed anew. The paper prunes in one step.

    .. versionadded:: 0.1

    Parameters
    ----------
    n_total : int
        Rows before pruning, >= 1.
    density : float
        Fraction of rows to keep after the last step, in (0, 1].
    n_steps : int, default=1
        Number of pruning steps, >= 1.
    schedule : {"linear", "exponential"}, default="linear"
        Whether every step takes away the same number of rows or the same fraction of
        the rows that remain.

    Returns
    -------
    sizes : ndarray of shape (n_steps,), dtype int64
        Rows after each step, never increasing; the last is ``round(density * n_total)``
        half up, as ``target_size_`` of :class:`DRoPSampler`.

    Raises
    ------
    ValueError
        If an argument is out of range or no row would be left.

    See Also
    --------
    DRoPSampler : Takes each size as an integer ``density``.
    scaled_max_epochs : How long to train on the rows that remain.

    Notes
    -----
    After step ``i`` of ``I``, from 1, ``N (1 - i (1 - d) / I)`` rows remain with the
    linear and ``N d**(i / I)`` with the exponential schedule; halves are rounded up.

    References
    ----------
    .. [1] Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR
       2025; schedules of the reference code.

    Examples
    --------
    >>> from sklvyso.data_pruning import pruning_sizes
    >>> pruning_sizes(1000, 0.1, 4)
    array([775, 550, 325, 100])
    >>> pruning_sizes(1000, 0.1, 4, schedule="exponential")
    array([562, 316, 178, 100])
    """
    for name, value in {"n_total": n_total, "n_steps": n_steps}.items():
        if not is_integer(value) or value < 1:
            raise ValueError(f"{name} must be an integer >= 1. Got {value!r} instead.")
        if value > _LARGEST_EXACT:
            raise ValueError(f"{name} must be at most 2**53. Got {value!r} instead.")
    if not is_real(density) or not 0 < density <= 1:
        raise ValueError(f"density must lie in (0, 1]. Got {density!r} instead.")
    density = float(density)
    if not is_choice(schedule, SCHEDULES):
        raise ValueError(
            f"schedule must be 'linear' or 'exponential'. Got {schedule!r} instead."
        )
    progress = np.arange(1, n_steps + 1) / n_steps
    if schedule == "linear":
        fractions = (1 - progress) + progress * density
    else:
        fractions = density**progress
    # Halves are halves again after rounding: 0.145 * 100 is 14.499999999999998.
    sizes = np.floor(np.round(n_total * fractions, 9) + 0.5).astype(np.int64)
    if sizes[-1] < 1:
        raise ValueError(
            f"density must keep at least one of n_total={n_total} rows. Got "
            f"{density!r} instead."
        )
    return sizes
