"""How long to train on pruned data."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral


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
        if not isinstance(value, Integral) or value < 1 or (most and value > most):
            limit = "" if most is None else f" and at most n_total={most}"
            raise ValueError(
                f"{name} must be an integer >= 1{limit}. Got {value!r} instead."
            )
    epochs, selected, total = int(max_epochs), int(n_selected), int(n_total)
    # One exact fraction: (total + selected) / (2 selected) * epochs, rounded down.
    return epochs * (total + selected) // (2 * selected)
