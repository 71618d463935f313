"""Tearing, judged with another frame of the clip at hand."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import Any

import numpy as np

from sklvyso.artifacts._combining import (
    combine_probabilities,
    expert_logits,
    fit_expert,
    out_of_fold,
    positive_probability,
)
from sklvyso.artifacts._ensemble import ExpertEnsemble, finish, fit_calibration

# Artifacts that another frame shows.
PAIRED = ("screen_tearing",)
_FEWEST = 10


class PairExpert:
    """Replaces one expert of an ensemble where the previous frame is given.

    Parameters
    ----------
    prototype : classifier
        On the features of pairs.
    name : str
        The artifact.
    """

    def __init__(self, prototype: Any, name: str):
        self.prototype = prototype
        self.name = name

    def fit(
        self,
        pairs: np.ndarray,
        Y: np.ndarray,
        folds: Any,
        ensemble: ExpertEnsemble,
        sample_weight: np.ndarray | None = None,
    ) -> PairExpert:
        """Learn from rows that have a pair; fit a final estimator for them.

        Parameters
        ----------
        pairs : ndarray of shape (n, n_pair_features)
            NaN in rows without a pair.
        Y : ndarray of bool of shape (n, n_artifacts)
            What is on each row.
        folds : sequence of (train, test)
            Of all rows.
        ensemble : ExpertEnsemble
            Fitted on the same rows.
        sample_weight : ndarray of shape (n,), default=None
            Of the rows.
        """
        self.place = ensemble.names.index(self.name)
        has_pair = ~np.isnan(pairs[:, 0])
        own_folds = [
            (train[has_pair[train]], test[has_pair[test]]) for train, test in folds
        ]
        own_folds = [fold for fold in own_folds if len(fold[0]) and len(fold[1])]
        filled = np.where(has_pair[:, None], pairs, 0)
        y = Y[:, self.place].astype(int)
        raw = np.zeros((len(Y), 1))
        jobs = [(self.prototype, filled, y)]
        for _, rows, probability in out_of_fold(jobs, [own_folds], sample_weight, None):
            raw[rows, 0] = probability
        rows = np.flatnonzero(has_pair)
        weight = None if sample_weight is None else sample_weight[rows]
        self.expert_ = fit_expert(self.prototype, filled[rows], y[rows], weight)
        [self.calibration_] = fit_calibration(raw[rows], y[rows, None] > 0, [0], weight)
        oof = ensemble.oof_[rows].copy()
        oof[:, self.place] = self._calibrated(raw[rows, 0])
        self.final_estimator_, self.threshold_, self.oof_scores_ = finish(
            oof, Y[rows], ensemble.places, ensemble.names, ensemble.combination, weight
        )
        return self

    def replaced(self, probabilities: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Return the experts' probabilities with this one's own column."""
        replaced = probabilities.copy()
        raw = positive_probability(self.expert_, pairs)
        replaced[:, self.place] = self._calibrated(raw)
        return replaced

    def corrupted(
        self, probabilities: np.ndarray, ensemble: ExpertEnsemble
    ) -> np.ndarray:
        """Return the probability that a frame is corrupted, (n,)."""
        return combine_probabilities(
            probabilities[:, ensemble.places],
            ensemble.combination.combine,
            ensemble.combination.stack_method,
            self.final_estimator_,
        )

    def _calibrated(self, raw: np.ndarray) -> np.ndarray:
        slope, offset = self.calibration_
        calibrated: np.ndarray = 1 / (
            1 + np.exp(-(expert_logits(raw) * slope + offset))
        )
        return calibrated


def can_learn(pairs: np.ndarray, Y: np.ndarray, names: list[str], name: str) -> bool:
    """Say whether there are enough pairs with and without the artifact."""
    if name not in names:
        return False
    has_pair = ~np.isnan(pairs[:, 0])
    own = Y[has_pair, names.index(name)]
    return bool(own.sum() >= _FEWEST and (~own).sum() >= _FEWEST)
