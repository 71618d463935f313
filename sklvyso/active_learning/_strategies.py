"""Which of the unlabelled rows to ask next: names of strategies and what they do."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from sklvyso.active_learning._pool_rows import stack
from sklvyso.selection import (
    badge,
    bald,
    central_points,
    cluster_margin,
    entropy,
    k_center_greedy,
    least_confidence,
    margin,
    top_scores,
    typical_points,
    variation_ratio,
)


@dataclass
class Candidates:
    """What a strategy may look at.

    Attributes
    ----------
    pool : ndarray or sparse matrix of shape (n_pool, d)
        Representations of all rows.
    rows : ndarray of shape (n,), dtype int64
        Those that may be asked.
    labeled : ndarray of shape (n_labeled,), dtype int64
        Those that have a label.
    asked : ndarray of int
        Those that a person has seen, skipped ones too.
    n_free : int
        Rows of the pool that may be asked, before any was left out.
    proba : ndarray of shape (n, n_classes) or None
        Probabilities of the classes seen so far; None before there is a model.
    committee : callable
        Without arguments; probabilities of a committee, (n_members, n, n_classes).
    random : RandomState
        For this query only.
    prefilter : float or None
        Strategies of diversity look at ``prefilter * n_select`` most uncertain rows.
    nearest : dict
        Squared distance of each row of the pool to the nearest one of ``asked``, by the
        bytes of ``asked``; kept from query to query.
    """

    pool: Any
    rows: np.ndarray
    labeled: np.ndarray
    asked: np.ndarray
    n_free: int
    proba: np.ndarray | None
    committee: Callable[[], np.ndarray]
    random: np.random.RandomState
    prefilter: float | None
    nearest: dict[bytes, np.ndarray]

    @cached_property
    def Z(self) -> Any:
        """Representations of the rows that may be asked, shape (n, d)."""
        return self.pool[self.rows]

    @property
    def known_proba(self) -> np.ndarray:
        """Probabilities, where the strategy needs a model and there is one."""
        assert self.proba is not None
        return self.proba

    @property
    def Z_labeled(self) -> Any:
        """Representations of the rows that have a label, shape (n_labeled, d)."""
        return self.pool[self.labeled]


class Choice(NamedTuple):
    """Positions among the candidates, in order, and their scores if there are any."""

    positions: np.ndarray
    scores: np.ndarray | None


def _by_score(score: Callable[[Candidates], np.ndarray]):
    def choose(candidates: Candidates, n_select: int) -> Choice:
        scores = score(candidates)
        positions = top_scores(scores, n_select)
        return Choice(positions, scores[positions])

    return choose


def _votes(candidates: Candidates) -> np.ndarray:
    return variation_ratio(candidates.committee().argmax(axis=2))


def _random(candidates: Candidates, n_select: int) -> Choice:
    n = len(candidates.rows)
    return Choice(candidates.random.permutation(n)[:n_select], None)


def _filtered(candidates: Candidates, n_select: int) -> np.ndarray | None:
    """Return the most uncertain rows that a strategy of diversity may look at."""
    if candidates.prefilter is None or candidates.proba is None:
        return None
    n = len(candidates.rows)
    n_kept = min(n, int(np.ceil(candidates.prefilter * n_select)))
    return np.sort(top_scores(margin(candidates.proba), n_kept))


def _k_center(candidates: Candidates, n_select: int) -> Choice:
    kept = _filtered(candidates, n_select)
    n_others = candidates.pool.shape[0] - len(candidates.asked)
    is_whole = len(candidates.rows) == candidates.n_free == n_others
    if kept is None and is_whole:
        return _k_center_of_pool(candidates, n_select)
    Z = candidates.Z if kept is None else candidates.Z[kept]
    n, n_asked = Z.shape[0], len(candidates.asked)
    together = stack(Z, candidates.pool[candidates.asked]) if n_asked else Z
    selected = np.arange(n, n + n_asked) if n_asked else None
    positions, _ = k_center_greedy(together, n_select, selected=selected)
    return Choice(positions if kept is None else kept[positions], None)


def _k_center_of_pool(candidates: Candidates, n_select: int) -> Choice:
    """Choose from the whole pool, with distances of the query before if they hold."""
    asked = candidates.asked
    key = np.sort(asked).tobytes()
    picks, distances = k_center_greedy(
        candidates.pool,
        n_select,
        selected=np.sort(asked) if len(asked) else None,
        distances=candidates.nearest.get(key),
    )
    # They hold next time if just these are asked now, or after an unchanged pool.
    after = np.sort(np.concatenate([asked, picks])).tobytes()
    kept = {k: v for k, v in candidates.nearest.items() if k == key}
    candidates.nearest.clear()
    candidates.nearest.update(kept | {after: distances})
    return Choice(np.searchsorted(candidates.rows, picks), None)


def _badge(candidates: Candidates, n_select: int) -> Choice:
    kept = _filtered(candidates, n_select)
    rows = slice(None) if kept is None else kept
    proba = candidates.known_proba[rows]
    positions = badge(
        candidates.Z[rows], proba, n_select, random_state=candidates.random
    )
    return Choice(positions if kept is None else kept[positions], None)


def _cluster_margin(candidates: Candidates, n_select: int) -> Choice:
    scores = margin(candidates.known_proba)
    positions = cluster_margin(
        candidates.Z,
        scores,
        n_select,
        prefilter=candidates.prefilter,
        random_state=candidates.random,
    )
    return Choice(positions, scores[positions])


def _half_random(candidates: Candidates, n_select: int) -> Choice:
    scores = margin(candidates.known_proba)
    sure = top_scores(scores, (n_select + 1) // 2)
    others = np.setdiff1d(np.arange(len(scores)), sure)
    drawn = candidates.random.permutation(others)[: n_select - len(sure)]
    positions = np.concatenate([sure, drawn])
    return Choice(positions, scores[positions])


STRATEGIES: dict[str, Callable[[Candidates, int], Choice]] = {
    "random": _random,
    "least_confidence": _by_score(lambda c: least_confidence(c.known_proba)),
    "margin": _by_score(lambda c: margin(c.known_proba)),
    "entropy": _by_score(lambda c: entropy(c.known_proba)),
    "variation_ratio": _by_score(_votes),
    "bald": _by_score(lambda c: bald(c.committee())),
    "k_center": _k_center,
    "badge": _badge,
    "cluster_margin": _cluster_margin,
    "half_random": _half_random,
}
# The same under the names of the literature.
ALIASES = {
    "least_confident": "least_confidence",
    "breaking_ties": "margin",
    "kcenter": "k_center",
    "core_set": "k_center",
}
# These do without a model.
MODEL_FREE = {"random", "k_center"}

INITIAL: dict[str, Callable[[Any, int, Any], np.ndarray]] = {
    "random": lambda Z, n, random: random.permutation(Z.shape[0])[:n],
    "kmeans": lambda Z, n, random: central_points(Z, n, random_state=random),
    "typiclust": lambda Z, n, random: typical_points(Z, n, random_state=random),
}


def choose(strategy: Any, candidates: Candidates, n_select: int) -> tuple[Choice, str]:
    """Choose rows by a strategy that is a name or a function.

    Parameters
    ----------
    strategy : str or callable
        A name of ``STRATEGIES`` or ``ALIASES``, or ``f(proba, Z, Z_labeled, random)``
        that returns a score for each row.
    candidates : Candidates
        The rows.
    n_select : int
        How many, no more than there are.

    Returns
    -------
    choice : Choice
        Which ones.
    fallback : str
        The strategy that stepped in because there is no model of two classes yet; ""
        where none had to.

    Raises
    ------
    ValueError
        If a function returns something else than finite scores.
    """
    has_model = candidates.proba is not None and candidates.proba.shape[1] > 1
    if callable(strategy):
        if has_model:
            return _by_function(strategy, candidates, n_select), ""
        return _k_center(candidates, n_select), "k_center"
    name = ALIASES.get(strategy, strategy)
    if not has_model and name not in MODEL_FREE:
        return _k_center(candidates, n_select), "k_center"
    return STRATEGIES[name](candidates, n_select), ""


def _by_function(function: Callable, candidates: Candidates, n_select: int) -> Choice:
    scores = function(
        candidates.proba, candidates.Z, candidates.Z_labeled, candidates.random
    )
    scores = np.asarray(scores, dtype=np.float64)
    n = candidates.Z.shape[0]
    if scores.shape != (n,) or np.isnan(scores).any():
        raise ValueError(
            f"strategy must return one score for each of {n} rows, none of them NaN. "
            f"Got an array of shape {scores.shape} instead."
        )
    positions = top_scores(scores, n_select)
    return Choice(positions, scores[positions])
