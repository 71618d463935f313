"""When a campaign has labels enough."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
import time
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

_DEFAULTS = {"kappa": 0.99, "patience": 3, "stop_set_size": 1000}
_KEYS = {"target_score", "max_time", *_DEFAULTS}
RULES = (
    "stop must be None, 'stabilized', a function of the list of rounds, or a dict with "
    "'target_score', 'max_time' (seconds), or 'kappa', 'patience' and 'stop_set_size' "
    "for the stabilisation of predictions"
)


class StopRules:
    """The rules of one loop.

    Parameters
    ----------
    stop : None, "stabilized", dict or callable
        As for the learner.
    has_validation : bool
        Whether rounds are scored.

    Raises
    ------
    ValueError
        If a rule is unknown, or a target has no scores.
    """

    def __init__(self, stop: Any, *, has_validation: bool):
        self.started = time.perf_counter()
        self.function: Callable | None = None
        rules: dict[str, Any] = {}
        if stop == "stabilized":
            rules = dict(_DEFAULTS)
        elif isinstance(stop, Mapping):
            rules = dict(stop)
        elif callable(stop):
            self.function = stop
        elif stop is not None:
            raise ValueError(f"{RULES}. Got {stop!r} instead.")
        if isinstance(stop, Mapping) and not rules:
            raise ValueError(f"{RULES}. Got an empty dict instead.")
        unknown = set(rules) - _KEYS
        if unknown:
            raise ValueError(f"{RULES}. Got the unknown {sorted(unknown)} instead.")
        self.target = _number(rules, "target_score")
        self.max_time = _number(rules, "max_time")
        self.kappa: float | None = None
        self.patience = self.stop_set_size = 0
        if set(rules) & set(_DEFAULTS):
            both = _DEFAULTS | rules
            self.kappa = _number(both, "kappa")
            if self.kappa is None or not -1 <= self.kappa <= 1:
                raise ValueError(
                    "stop['kappa'] must lie in [-1, 1], where agreement does. Got "
                    f"{both['kappa']!r} instead."
                )
            self.patience = _count(both, "patience")
            self.stop_set_size = _count(both, "stop_set_size")
        if self.max_time is not None and self.max_time < 0:
            raise ValueError(
                f"stop['max_time'] must be seconds >= 0. Got {self.max_time} instead."
            )
        if self.target is not None and not has_validation:
            raise ValueError(
                "stop={'target_score': ...} needs validation=(X, y) or a fraction. Got "
                "validation=None."
            )
        self.before: np.ndarray | None = None
        self.n_stable = 0

    def stop_set(self, n_rows: int, random: np.random.RandomState) -> np.ndarray | None:
        """Return the rows whose predictions are watched, or None."""
        if self.kappa is None:
            return None
        return np.sort(random.permutation(n_rows)[: self.stop_set_size])

    def reason(self, history: list[dict], predict: Callable[[], np.ndarray]) -> str:
        """Say why to stop now; "" to go on.

        Parameters
        ----------
        history : list of dict
            Rounds so far.
        predict : callable
            Without arguments; predictions of the watched rows.
        """
        score = history[-1]["score"] if history else None
        if self.target is not None and score is not None and score >= self.target:
            return "target_score"
        if self.max_time is not None:
            if time.perf_counter() - self.started >= self.max_time:
                return "max_time"
        if self.kappa is not None:
            now = predict()
            self._compare(now)
            if self.n_stable >= self.patience:
                return "stabilized"
        if self.function is not None and self.function(history):
            return "stop"
        return ""

    def _compare(self, now: np.ndarray) -> None:
        if self.before is not None:
            agrees = self._agree(self.before, now)
            self.n_stable = self.n_stable + 1 if agrees else 0
        self.before = now

    def _agree(self, before: np.ndarray, now: np.ndarray) -> bool:
        if np.array_equal(now, before):
            # Kappa is not defined where all predictions are one class.
            return len(np.unique(now)) > 1
        return bool(cohen_kappa_score(now, before) >= self.kappa)


def _number(rules: Mapping, name: str) -> float | None:
    value = rules.get(name)
    if value is None:
        return None
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise ValueError(f"stop[{name!r}] must be a number. Got {value!r} instead.")
    return float(value)


def _count(rules: Mapping, name: str) -> int:
    value = rules[name]
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"stop[{name!r}] must be an integer >= 1. Got {value!r} instead."
        )
    return int(value)
