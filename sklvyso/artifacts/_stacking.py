"""The default final estimator: a few sure experts count, not the sum of all."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

_N_LARGEST = 3
_LIMIT = 6.0
_N_THRESHOLDS = 200
_SMOOTHING = 11


class ExpertStacker(ClassifierMixin, BaseEstimator):
    """Combine the log odds of experts, one an artifact, into one probability.

    The mean of the log odds of two logistic regressions: one on all experts and the
    three largest of them; one on the logarithm of the mean odds, which is exact where
    a corrupted frame has one artifact, each equally likely, and experts are right
    about theirs. An offset then puts 0.5 where the balanced accuracy on the training
    rows is best.

    Parameters
    ----------
    C : float, default=0.3
        Inverse strength of the penalty of the first regression.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Normal, corrupted.
    offset_ : float
        Log odds at which the two classes part.
    """

    def __init__(self, C: float = 0.3):
        self.C = C

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ExpertStacker:
        """Fit on the experts' log odds.

        Parameters
        ----------
        X : ndarray of shape (n, n_artifacts)
            Out-of-fold log odds.
        y : ndarray of shape (n,)
            1 for corrupted.
        sample_weight : ndarray of shape (n,), default=None
            Both classes count alike, whatever the sums of their weights.

        Returns
        -------
        self : ExpertStacker
            The fitted stacker.
        """
        X, y = np.asarray(X, dtype=np.float64), np.asarray(y)
        self.classes_ = np.unique(y)
        weight = _balanced(y, sample_weight)
        self.regressions_ = [
            LogisticRegression(C=self.C, max_iter=3000).fit(
                _with_largest(X), y, sample_weight=weight
            ),
            LogisticRegression().fit(_mean_odds(X), y, sample_weight=weight),
        ]
        self.offset_ = 0.0
        self.offset_ = _best_offset(self.decision_function(X), y, weight)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return log odds of a corrupted frame, shape (n,)."""
        check_is_fitted(self)
        X = np.asarray(X, dtype=np.float64)
        all_, mean = self.regressions_
        scores = all_.decision_function(_with_largest(X))
        scores = scores + mean.decision_function(_mean_odds(X))
        return scores / 2 - self.offset_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities of normal and corrupted, shape (n, 2)."""
        corrupted = 1 / (1 + np.exp(-self.decision_function(X)))
        return np.column_stack([1 - corrupted, corrupted])

    def predict(self, X: Any) -> np.ndarray:
        """Return the more probable class, shape (n,)."""
        return self.classes_[(self.decision_function(X) >= 0).astype(int)]


def _with_largest(X: np.ndarray) -> np.ndarray:
    if X.shape[1] <= _N_LARGEST:
        return X
    return np.column_stack([X, np.sort(X, axis=1)[:, : -_N_LARGEST - 1 : -1]])


def _mean_odds(X: np.ndarray) -> np.ndarray:
    odds = np.exp(np.clip(X, -_LIMIT, _LIMIT))
    return np.log(odds.mean(axis=1, keepdims=True))


def _balanced(y: np.ndarray, sample_weight: Any) -> np.ndarray:
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
    sums = np.bincount(y, weight, minlength=2)
    return weight / np.maximum(sums[y], 1e-12) * len(y) / 2


def _best_offset(scores: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Return where balanced accuracy, as a smooth function of the limit, is best."""
    limits = np.unique(np.quantile(scores, np.linspace(0.02, 0.98, _N_THRESHOLDS)))
    if len(limits) < _SMOOTHING:
        return 0.0
    gains = weight * np.where(y == 1, 1.0, -1.0)
    order = np.argsort(scores)
    below = np.append(0.0, np.cumsum(gains[order]))
    correct = -below[np.searchsorted(scores[order], limits)]
    half = _SMOOTHING // 2
    smooth = np.convolve(
        np.pad(correct, half, mode="edge"), np.ones(_SMOOTHING) / _SMOOTHING, "valid"
    )
    return float(limits[smooth.argmax()])
