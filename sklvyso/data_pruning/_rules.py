"""From measurements to rows: how many of each class, and which."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np

from sklvyso.data_pruning._choosers import Chooser, ScoreChooser

# Rules whose quotas come from a selection among all rows, whatever their class.
GLOBAL_RULES = ("auto", "strategyq", "normalize")


def select_rows(
    codes: np.ndarray, quotas: np.ndarray, rng: np.random.RandomState
) -> np.ndarray:
    """Draw rows of each class at random, without replacement.

    Parameters
    ----------
    codes : ndarray of int of shape (n,)
        Class of each row.
    quotas : ndarray of int of shape (n_classes,)
        Rows to draw of each class, at most as many as there are.
    rng : RandomState
        Source of randomness.

    Returns
    -------
    rows : ndarray of int64
        Ascending positions.
    """
    chosen = [
        rng.permutation(rows)[:quota]
        for rows, quota in zip(rows_by_class(codes, len(quotas)), quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def choose_rows(codes: np.ndarray, quotas: np.ndarray, chooser: Chooser) -> np.ndarray:
    """Choose rows of each class.

    Parameters
    ----------
    codes : ndarray of int of shape (n,)
        Class of each row.
    quotas : ndarray of int of shape (n_classes,)
        Rows to choose of each class, at most as many as there are.
    chooser : Chooser
        Says which.

    Returns
    -------
    rows : ndarray of int64
        Ascending positions.
    """
    chosen = [
        chooser.choose(rows, int(quota))
        for rows, quota in zip(rows_by_class(codes, len(quotas)), quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def rows_by_class(codes: np.ndarray, n_classes: int) -> list[np.ndarray]:
    """Return the ascending positions of the rows of each class, O(n)."""
    # Sixteen bits: NumPy sorts these by radix.
    small = codes.astype(np.int16) if n_classes < 2**15 else codes
    order = np.argsort(small, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes, minlength=n_classes))[:-1])


def global_selection(
    codes: np.ndarray,
    counts: np.ndarray,
    n_select: int,
    chooser: Chooser,
    *,
    min_per_class: int,
) -> np.ndarray:
    """Choose among all rows; classes fall where they fall, above a minimum.

    Parameters
    ----------
    codes : ndarray of int of shape (n,)
        Class of each row.
    counts : ndarray of int of shape (n_classes,)
        Rows of each class.
    n_select : int
        Rows to choose.
    chooser : Chooser
        Says which.
    min_per_class : int
        Rows that each class keeps at least, or all it has.

    Returns
    -------
    rows : ndarray of int64
        ``n_select`` ascending positions.
    """
    least = np.minimum(min_per_class, counts)
    n_rows, n_classes = len(codes), len(counts)
    reserved = np.empty(0, np.int64)
    is_short = np.zeros(n_classes, dtype=bool)
    while True:
        others = np.arange(n_rows)
        if len(reserved):
            others = np.setdiff1d(others, reserved, assume_unique=True)
        chosen = chooser.choose(others, n_select - len(reserved))
        chosen = np.concatenate([reserved, chosen])
        short = np.bincount(codes[chosen], minlength=n_classes) < least
        if not short.any():
            return np.sort(chosen)
        # Their first rows are set aside, and the rest is chosen anew.
        is_short |= short
        reserved = choose_rows(codes, np.where(is_short, least, 0), chooser)


def normalized_by_class(scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Map the scores of each class to [0, 1]; equal ones to 0."""
    n_classes = int(codes.max()) + 1
    low = np.full(n_classes, np.inf)
    high = np.full(n_classes, -np.inf)
    np.minimum.at(low, codes, scores)
    np.maximum.at(high, codes, scores)
    # Halves, so that the width of no range overflows.
    width = high / 2 - low / 2
    width[~(width > 0)] = 1.0
    return (scores / 2 - low[codes] / 2) / width[codes]


def normalized_quotas(
    scores: np.ndarray,
    codes: np.ndarray,
    counts: np.ndarray,
    n_select: int,
    keep: str,
    *,
    min_per_class: int,
) -> np.ndarray:
    """Return the class counts of a selection by scores normalised within classes.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Higher means harder.
    codes, counts, n_select, min_per_class
        As for :func:`global_selection`.
    keep : {"hardest", "easiest", "middle"}
        Which end is selected.

    Returns
    -------
    quotas : ndarray of shape (n_classes,), dtype int64
        They sum to ``n_select``.
    """
    chooser = ScoreChooser(normalized_by_class(scores, codes), keep)
    rows = global_selection(
        codes, counts, n_select, chooser, min_per_class=min_per_class
    )
    return np.bincount(codes[rows], minlength=len(counts))
