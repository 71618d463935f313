"""Which rows to take of a class, given how many: at random, by score, by coverage."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from sklvyso._arguments import is_integer, is_real, read_numbers
from sklvyso.selection import k_center_greedy

KEEPS = ("hardest", "easiest", "middle", "ccs")


class Chooser(Protocol):
    """Something that takes a number of rows out of a set."""

    def choose(self, rows: np.ndarray, n_take: int) -> np.ndarray:
        """Return ``n_take`` of the ascending positions ``rows``."""
        ...


class RandomChooser:
    """Rows at random, in an order that depends on the set and the seed only.

    Parameters
    ----------
    seed : int
        Of the order.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def choose(self, rows: np.ndarray, n_take: int) -> np.ndarray:
        """Return the first rows of the order: a larger number takes more rows."""
        return np.random.RandomState(self.seed).permutation(rows)[:n_take]


class ScoreChooser:
    """Rows by score; among equal scores the later row counts as harder.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Of all rows; higher means harder.
    keep : {"hardest", "easiest", "middle"}
        The upper end, the lower end, or the ranks around the median.
    """

    def __init__(self, scores: np.ndarray, keep: str):
        self.scores = scores
        self.keep = keep

    def choose(self, rows: np.ndarray, n_take: int) -> np.ndarray:
        """Return the rows of one end, or of the middle, of the order by score."""
        scores = self.scores[rows]
        if self.keep == "hardest":
            return rows[_upper(scores, n_take)]
        if self.keep == "easiest":
            # The same order from its other end: the earlier of equal rows first.
            return rows[len(rows) - 1 - _upper(-scores[::-1], n_take)]
        first = (len(rows) - n_take) // 2
        return rows[np.argsort(scores, kind="stable")[first : first + n_take]]


class CoverageChooser:
    """Rows spread evenly over the range of the scores: CCS.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Of all rows; higher means harder.
    cutoff, n_strata
        As for :func:`coverage_selection`.
    seed : int
        Of the random choice inside a stratum.
    """

    def __init__(self, scores: np.ndarray, cutoff: float, n_strata: int, seed: int):
        self.scores = scores
        self.options: dict[str, Any] = {
            "cutoff": cutoff,
            "n_strata": n_strata,
            "random_state": seed,
        }

    def choose(self, rows: np.ndarray, n_take: int) -> np.ndarray:
        """Return rows of all difficulties but the highest."""
        if n_take == 0:
            return rows[:0]
        return rows[coverage_selection(self.scores[rows], n_take, **self.options)]


class CenterChooser:
    """Rows far from each other: greedy k-center; carries on where it stopped.

    Parameters
    ----------
    features : ndarray of shape (n, d)
        Of all rows.
    """

    def __init__(self, features: np.ndarray):
        self.features = features
        # Hash of a set of rows to its order and distances so far.
        self.orders: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}

    def choose(self, rows: np.ndarray, n_take: int) -> np.ndarray:
        """Return the first centres of a set."""
        if n_take == 0:
            return rows[:0]
        key = hash(rows.tobytes())
        order, distances = self.orders.get(key, (np.empty(0, np.int64), None))
        if len(order) < n_take:
            is_all = len(rows) == len(self.features)
            Z = self.features if is_all else self.features[rows]
            known = {"selected": order, "distances": distances} if len(order) else {}
            more, distances = k_center_greedy(Z, n_take - len(order), **known)
            order = np.concatenate([order, more])
            self.orders[key] = order, distances
        return rows[order[:n_take]]


def _upper(scores: np.ndarray, n_take: int) -> np.ndarray:
    """Return the positions of the highest scores, later ones first among equals."""
    n_rows = len(scores)
    if n_take == 0:
        return np.empty(0, np.int64)
    if n_take == n_rows:
        return np.arange(n_rows)
    threshold = np.partition(scores, n_rows - n_take)[n_rows - n_take]
    above = np.flatnonzero(scores > threshold)
    equal = np.flatnonzero(scores == threshold)
    return np.concatenate([above, equal[len(equal) - (n_take - len(above)) :]])


# Each takes a counter, and most stay empty long before.
_MOST_STRATA = 2**20


def coverage_selection(
    scores: ArrayLike,
    n_select: int,
    *,
    cutoff: float = 0.1,
    n_strata: int = 50,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """Select rows of all difficulties but the highest: coverage-centric (CCS).

    .. versionadded:: 0.1

    Parameters
    ----------
    scores : array-like of shape (n,)
        Difficulty, higher is harder: minus :func:`area_under_margin` in the paper.
    n_select : int
        Rows to select, from 0 to n.
    cutoff : float, default=0.1
        Share of the rows, those of the highest scores, that are dropped first as
        mislabelled or hopeless, in [0, 1); fewer where ``n_select`` needs them.
    n_strata : int, default=50
        Strata of equal width into which the range of the other scores is cut, >= 1.
    random_state : int, RandomState instance or None, default=None
        Of the choice inside the strata.

    Returns
    -------
    rows : ndarray of shape (n_select,), dtype int64
        Ascending positions.

    Raises
    ------
    ValueError
        If an argument is out of range.

    See Also
    --------
    DRoPSampler : Takes it by the name ``"ccs"``.
    area_under_margin : The scores that it covers evenly.

    Notes
    -----
    The strata are visited from the smallest to the largest; each gives its rows, at
    most the even share of the rows still wanted by the strata still to come. Strata of
    one size are visited in random order, where the reference code goes from easy to
    hard and so keeps the hardest block when there are fewer rows to select than strata.

    References
    ----------
    .. [1] Zheng, Liu, Lai, Prakash, "Coverage-centric Coreset Selection for High
       Pruning Rates", ICLR 2023, Algorithm 1.

    Examples
    --------
    >>> from sklvyso.data_pruning import coverage_selection
    >>> scores = [0.0, 0.1, 0.1, 0.2, 0.5, 0.9, 1.0, 9.0]
    >>> len(coverage_selection(scores, 3, cutoff=0.125, n_strata=3, random_state=0))
    3
    """
    values = _check_coverage(scores, n_select, cutoff, n_strata)
    rng = check_random_state(random_state)
    n_hard = min(int(cutoff * len(values)), len(values) - n_select)
    # The stable order also says which of equal scores are cut off.
    rows = np.sort(np.argsort(values, kind="stable")[: len(values) - n_hard])
    strata = _strata(values[rows], n_strata)
    order = np.argsort(strata, kind="stable")
    sizes = np.bincount(strata, minlength=n_strata)
    starts = np.cumsum(sizes) - sizes
    chosen, wanted, left = [], n_select, int((sizes > 0).sum())
    # Strata of one size come in random order: where there are fewer rows to select
    # than strata, only the last ones give any.
    for stratum in np.lexsort((rng.permutation(n_strata), sizes))[n_strata - left :]:
        start, size = starts[stratum], sizes[stratum]
        n_take = min(int(size), wanted // left)
        members = rows[order[start : start + size]]
        chosen.append(rng.permutation(members)[:n_take])
        wanted, left = wanted - n_take, left - 1
    return np.sort(np.concatenate([np.empty(0, np.int64), *chosen]))


def _strata(scores: np.ndarray, n_strata: int) -> np.ndarray:
    """Return the stratum of each score, 0 to ``n_strata - 1``."""
    low, high = scores.min(initial=np.inf), scores.max(initial=-np.inf)
    if not high > low:
        return np.zeros(len(scores), np.int64)
    place = (scores / 2 - low / 2) / (high / 2 - low / 2) * n_strata
    return np.minimum(place.astype(np.int64), n_strata - 1)


def _check_coverage(scores, n_select, cutoff, n_strata) -> np.ndarray:
    values = as_scores(scores, "scores")
    if not is_integer(n_select) or not 0 <= n_select <= len(values):
        raise ValueError(
            f"n_select must be an integer from 0 to {len(values)}, the number of "
            f"scores. Got {n_select!r} instead."
        )
    if not is_real(cutoff) or not 0 <= cutoff < 1:
        raise ValueError(f"cutoff must lie in [0, 1). Got {cutoff!r} instead.")
    if not is_integer(n_strata) or not 1 <= n_strata <= _MOST_STRATA:
        raise ValueError(
            f"n_strata must be an integer >= 1, at most {_MOST_STRATA}. "
            f"Got {n_strata!r} instead."
        )
    return values


def as_scores(values: Any, name: str, n_rows: int | None = None) -> np.ndarray:
    """Return one finite number a row, float64.

    Parameters
    ----------
    values : array-like of shape (n,)
        Scores.
    name : str
        Of the parameter or function they come from, for the error message.
    n_rows : int or None, default=None
        Required number.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        A copy.

    Raises
    ------
    ValueError
        If they are none.
    """
    try:
        scores = np.array(read_numbers(name, values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers, one a row: {error}") from error
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.ndim != 1 or (n_rows is not None and len(scores) != n_rows):
        wanted = (
            "one number a row" if n_rows is None else f"{n_rows} numbers, one a row"
        )
        raise ValueError(f"{name} must be {wanted}. Got shape {scores.shape} instead.")
    if not np.isfinite(scores).all():
        n_bad = int((~np.isfinite(scores)).sum())
        raise ValueError(
            f"{name} must be finite. Got {n_bad} of {len(scores)} that are NaN or "
            "infinite."
        )
    return scores
