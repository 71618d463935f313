"""Which features speak for an artifact in every game, not only in one."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy.stats import rankdata

# How much a feature loses for speaking differently in different games.
_DISAGREEMENT = 0.5
_MAX_ROWS = 1500


def areas_under_curve(Z: np.ndarray, is_positive: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of each column by itself.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features)
        Features.
    is_positive : ndarray of bool of shape (n,)
        Both values must be there.

    Returns
    -------
    areas : ndarray of shape (n_features,)
        0.5 for a column that says nothing.
    """
    ranks = rankdata(Z, axis=0)
    n_positive = int(is_positive.sum())
    n_negative = len(Z) - n_positive
    sums = ranks[is_positive].sum(axis=0)
    return (sums - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def consistent_features(
    Z: np.ndarray,
    is_positive: np.ndarray,
    is_normal: np.ndarray,
    groups: np.ndarray | None,
    n_selected: int,
) -> np.ndarray:
    """Return the columns that tell an artifact from normal frames in all games.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features)
        Features.
    is_positive, is_normal : ndarray of bool of shape (n,)
        Frames with the artifact, and normal frames.
    groups : ndarray of shape (n,) or None
        Games.
    n_selected : int
        How many.

    Returns
    -------
    columns : ndarray of int
        Best first: by mean less half of the standard deviation, over games, of the
        distance of the area under the curve from 0.5. All columns, in order, where
        there are no more than `n_selected`.
    """
    if Z.shape[1] <= n_selected:
        return np.arange(Z.shape[1])
    games = np.zeros(len(Z), dtype=int) if groups is None else groups
    areas = []
    for game in np.unique(games):
        rows = np.flatnonzero((games == game) & (is_positive | is_normal))
        rows = rows[:: max(1, len(rows) // _MAX_ROWS)]
        positive = is_positive[rows]
        if positive.any() and not positive.all():
            areas.append(areas_under_curve(Z[rows], positive) - 0.5)
    if not areas:
        return np.arange(n_selected)
    score = np.abs(np.mean(areas, axis=0)) - _DISAGREEMENT * np.std(areas, axis=0)
    return np.argsort(-score, kind="stable")[:n_selected]
