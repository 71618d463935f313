"""One expert an artifact, calibrated out of fold, and how they become one answer."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.utils.parallel import Parallel, delayed

from sklvyso.artifacts._combining import (
    combine_probabilities,
    expert_logits,
    fit_expert,
    out_of_fold,
    positive_probability,
    stack_inputs,
)
from sklvyso.artifacts._stacking import ExpertStacker
from sklvyso.artifacts._training_frames import progress

# Under the ROC curve out of fold, from which on an expert is listened to.
_LEAST_AREA = 0.55

Folds = Sequence[tuple[np.ndarray, np.ndarray]]


class Combination(NamedTuple):
    """How experts become one answer; parameters of the detector."""

    combine: str
    stack_method: str
    final_estimator: Any
    threshold: float
    target_fpr: float | None


class ExpertEnsemble:
    """Experts on their columns of a table of features, and their combination.

    Parameters
    ----------
    names : sequence of str
        Artifacts.
    experts : dict of str to classifier
        Prototypes by artifact; an artifact may have none.
    columns : dict of str to ndarray of int
        The columns that each expert sees.
    combination : Combination
        What comes after the experts.
    only_normal : bool
        Experts learn from their artifact and normal frames only, as in the paper.
    """

    def __init__(
        self,
        names: Sequence[str],
        experts: Mapping[str, Any],
        columns: Mapping[str, np.ndarray],
        combination: Combination,
        only_normal: bool,
    ):
        self.names = list(names)
        self.experts = dict(experts)
        self.columns = dict(columns)
        self.combination = combination
        self.only_normal = only_normal
        self.places = [k for k, name in enumerate(self.names) if name in self.experts]

    def fit(
        self,
        Z: np.ndarray,
        Y: np.ndarray,
        folds: Folds,
        sample_weight: np.ndarray | None = None,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> ExpertEnsemble:
        """Fit experts out of fold and on all rows, calibrate, combine.

        Parameters
        ----------
        Z : ndarray of shape (n, n_features)
            Features.
        Y : ndarray of bool of shape (n, n_artifacts)
            What is on each row.
        folds : sequence of (train, test)
            Row numbers.
        sample_weight : ndarray of shape (n,), default=None
            Of the rows.
        n_jobs : int, default=None
            Fits in parallel.
        verbose : int, default=0
            1 shows a progress bar.
        """
        names = [self.names[k] for k in self.places]
        jobs = [
            (self.experts[name], Z[:, self.columns[name]], Y[:, k].astype(int))
            for k, name in zip(self.places, names, strict=True)
        ]
        is_normal = ~Y.any(axis=1)
        raw = np.zeros(Y.shape)
        own_folds = [self._kept(folds, Y[:, k] | is_normal) for k in self.places]
        total = len(jobs) * len(folds)
        results = out_of_fold(jobs, own_folds, sample_weight, n_jobs)
        for job, rows, probability in progress(results, total, "experts", verbose):
            raw[rows, self.places[job]] = probability
        fitted = Parallel(n_jobs=n_jobs)(
            delayed(fit_expert)(
                *self._own_rows(job, Y[:, k] | is_normal, sample_weight)
            )
            for k, job in zip(self.places, jobs, strict=True)
        )
        self.experts_ = dict(zip(names, fitted, strict=True))
        self.calibration_ = fit_calibration(raw, Y, self.places, sample_weight)
        self.oof_ = self._calibrated(raw)
        self.final_estimator_, self.threshold_, self.oof_scores_ = finish(
            self.oof_, Y, self.places, self.names, self.combination, sample_weight
        )
        return self

    def probabilities(self, Z: np.ndarray) -> np.ndarray:
        """Return each expert's calibrated probability, (n, n_artifacts), 0 without."""
        raw = np.zeros((len(Z), len(self.names)))
        for k in self.places:
            name = self.names[k]
            raw[:, k] = positive_probability(
                self.experts_[name], Z[:, self.columns[name]]
            )
        return self._calibrated(raw)

    def corrupted(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the probability that a frame is corrupted, (n,)."""
        return combine_probabilities(
            probabilities[:, self.places],
            self.combination.combine,
            self.combination.stack_method,
            self.final_estimator_,
        )

    # -- private ------------------------------------------------------------------

    def _kept(self, folds: Folds, is_own: np.ndarray) -> Folds:
        if not self.only_normal:
            return folds
        return [(train[is_own[train]], test) for train, test in folds]

    def _own_rows(
        self, job: Any, is_own: np.ndarray, weight: np.ndarray | None
    ) -> tuple[Any, ...]:
        expert, Z, y = job
        if not self.only_normal:
            return expert, Z, y, weight
        rows = np.flatnonzero(is_own)
        return expert, Z[rows], y[rows], None if weight is None else weight[rows]

    def _calibrated(self, raw: np.ndarray) -> np.ndarray:
        scores = expert_logits(raw) * self.calibration_[:, 0] + self.calibration_[:, 1]
        probabilities = np.zeros(raw.shape)
        probabilities[:, self.places] = 1 / (1 + np.exp(-scores[:, self.places]))
        return probabilities


def fit_calibration(
    raw: np.ndarray,
    Y: np.ndarray,
    places: Sequence[int],
    sample_weight: np.ndarray | None,
) -> np.ndarray:
    """Return slope and offset of each expert's log odds, both classes alike heavy.

    An expert without skill becomes a constant: nobody should lean on its noise, nor
    turn it upside down.
    """
    logits = expert_logits(raw)
    calibration = np.array([[1.0, 0.0]] * Y.shape[1])
    for k in places:
        weight = _balanced_weight(Y[:, k], sample_weight)
        regression = LogisticRegression().fit(logits[:, [k]], Y[:, k], weight)
        slope = float(regression.coef_[0, 0])
        area = roc_auc_score(Y[:, k], logits[:, k], sample_weight=sample_weight)
        if slope > 0 and area > _LEAST_AREA:
            calibration[k] = (slope, regression.intercept_[0])
        else:
            calibration[k] = (0.0, 0.0)
    return calibration


def _balanced_weight(y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Return weights with which both classes together weigh the same."""
    # LogisticRegression(class_weight="balanced") forgets sample_weight before 1.7.
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    totals = np.bincount(y.astype(int), weights=weight, minlength=2)
    return weight * (totals.sum() / (2 * totals))[y.astype(int)]


def finish(
    probabilities: np.ndarray,
    Y: np.ndarray,
    places: Sequence[int],
    names: Sequence[str],
    combination: Combination,
    sample_weight: np.ndarray | None,
) -> tuple[Any, float, dict[str, Any]]:
    """Fit what comes after the experts, on their out-of-fold probabilities.

    Returns
    -------
    final_estimator : classifier or None
        Fitted, for ``combine="stack"``.
    threshold : float
        From which probability on a frame is flagged.
    scores : dict
        Area under the ROC curve of each expert against normal frames, balanced
        accuracy and false-positive rate of the whole.
    """
    is_normal = ~Y.any(axis=1)
    is_corrupted = (~is_normal).astype(int)
    own = probabilities[:, list(places)]
    final = None
    if combination.combine == "stack":
        final = _fit_final(own, Y, is_corrupted, combination, sample_weight)
    corrupted = combine_probabilities(
        own, combination.combine, combination.stack_method, final
    )
    threshold = combination.threshold
    if combination.target_fpr is not None:
        limit = np.quantile(
            corrupted[is_normal], 1 - combination.target_fpr, method="higher"
        )
        # A frame at the threshold is flagged.
        threshold = float(np.nextafter(limit, 2))
    areas = {}
    for k in places:
        rows = Y[:, k] | is_normal
        if Y[rows, k].any() and is_normal.any():
            areas[names[k]] = float(roc_auc_score(Y[rows, k], probabilities[rows, k]))
    scores = {
        "roc_auc": areas,
        "balanced_accuracy": balanced_accuracy_score(
            is_corrupted, corrupted >= threshold
        ),
        "false_positive_rate": float(np.mean(corrupted[is_normal] >= threshold)),
    }
    return final, threshold, scores


def _fit_final(
    own: np.ndarray,
    Y: np.ndarray,
    is_corrupted: np.ndarray,
    combination: Combination,
    sample_weight: np.ndarray | None,
) -> Any:
    final = combination.final_estimator
    final = ExpertStacker() if final is None else clone(final)
    inputs = stack_inputs(own, combination.stack_method)
    return fit_expert(final, inputs, is_corrupted, _alike_heavy(Y, sample_weight))


def _alike_heavy(Y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Weigh artifacts alike, and normal frames like all of them together."""
    weight = np.ones(len(Y)) if sample_weight is None else sample_weight.astype(float)
    kinds = np.where(Y.any(axis=1), Y.argmax(axis=1) + 1, 0)
    sums = np.bincount(kinds, weight, minlength=Y.shape[1] + 1)
    n_kinds = np.count_nonzero(sums[1:])
    shares = np.where(kinds == 0, 1.0, 1.0 / max(int(n_kinds), 1))
    return weight * shares / np.maximum(sums[kinds], 1e-12) * len(Y) / 2
