"""One round: fit the light classifier, choose the next batch.

Vysogorets, Gopal, "Towards Efficient Active Learning in NLP via Pretrained
Representations", 2024, arXiv:2402.15613.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import time
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.utils.metaestimators import available_if

from sklvyso.active_learning._campaign import Campaign
from sklvyso.active_learning._strategies import INITIAL, Candidates, Choice, choose
from sklvyso.networks import set_seeds

# What the random numbers of a fit are for; the first key of their streams.
_QUERY, _CLASSIFIER, _COMMITTEE, _STOP_SET, _HOLD_OUT, _FINAL = range(6)


class Query(NamedTuple):
    """A batch, and how it was chosen."""

    rows: np.ndarray
    scores: np.ndarray | None
    strategy: str
    fallback: str
    seconds: float


def random_stream(seed: int, *key: int) -> np.random.RandomState:
    """Return random numbers that depend on a seed and a key only."""
    words = np.random.SeedSequence([seed, *key]).generate_state(4)
    return np.random.RandomState(words)


class AlignedClassifier(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose columns are those of given classes.

    Parameters
    ----------
    model : fitted classifier
        Knows some of the classes.
    classes : ndarray of shape (n_classes,)
        All of them, sorted.
    """

    def __init__(self, model, classes):
        self.model = model
        self.classes = classes

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> np.ndarray:
        """All classes."""
        return self.classes

    def predict(self, Z: Any) -> np.ndarray:
        """Labels."""
        return self.model.predict(Z)

    @available_if(lambda self: hasattr(self.model, "predict_proba"))
    def predict_proba(self, Z: Any) -> np.ndarray:
        """Probabilities, 0 for classes that the model does not know."""
        return self._spread(self.model.predict_proba(Z), 0.0)

    @available_if(lambda self: hasattr(self.model, "decision_function"))
    def decision_function(self, Z: Any) -> np.ndarray:
        """Scores, -inf for classes that the model does not know."""
        scores = self.model.decision_function(Z)
        if len(self.classes) == len(self.model.classes_):
            return scores
        if scores.ndim == 1:
            scores = np.column_stack([-scores, scores])
        return self._spread(scores, -np.inf)

    def _spread(self, values: np.ndarray, fill: float) -> np.ndarray:
        known = np.asarray(self.model.classes_)
        if np.array_equal(known, self.classes):
            return values
        whole = np.full((len(values), len(self.classes)), fill, dtype=values.dtype)
        whole[:, np.searchsorted(self.classes, known)] = values
        return whole


class Rounds:
    """The loop's moving parts, without data checks.

    Parameters
    ----------
    settings : PretrainedActiveLearner
        Its parameters are read.
    classifier : classifier
        The prototype; a clone is fitted from scratch each time.
    Z : ndarray or sparse matrix of shape (n_pool, d)
        Scaled representations.
    campaign : Campaign
        Labels so far.
    seed : int
        Of all random numbers.
    sample_weight : ndarray of shape (n_pool,) or None
        Of the rows.
    """

    def __init__(self, settings, classifier, Z, campaign, *, seed, sample_weight):
        self.settings = settings
        self.prototype = classifier
        self.Z = Z
        self.campaign: Campaign = campaign
        self.seed = seed
        self.sample_weight = sample_weight
        self.classifier: Any = None
        self.nearest: dict[bytes, np.ndarray] = {}

    def stream(self, *key: int) -> np.random.RandomState:
        """Return random numbers for one purpose."""
        return random_stream(self.seed, *key)

    # -- the light classifier -----------------------------------------------------

    def refit(self) -> float:
        """Fit the classifier on all labels; return the seconds that it took."""
        start = time.perf_counter()
        rows = self.campaign.labeled
        self.classifier = self._fitted(self.Z[rows], self.campaign.y, rows, _CLASSIFIER)
        return time.perf_counter() - start

    def _fitted(self, Z: Any, y: np.ndarray, rows: np.ndarray, *key: int) -> Any:
        if len(np.unique(y)) == 1:
            # Most classifiers refuse to learn a single class.
            return DummyClassifier(strategy="prior").fit(Z, y)
        classifier = set_seeds(clone(self.prototype), self.stream(*key))
        with warnings.catch_warnings():
            # Few labels of many classes are no regression.
            warnings.filterwarnings("ignore", "The number of unique classes is greater")
            return self._fit(classifier, Z, y, rows)

    def _fit(self, classifier: Any, Z: Any, y: np.ndarray, rows: np.ndarray) -> Any:
        if self.sample_weight is None:
            return classifier.fit(Z, y)
        return classifier.fit(Z, y, sample_weight=self.sample_weight[rows])

    def _committee_proba(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities of bootstrap refits, shape (n_members, n, n_classes)."""
        labeled, y = self.campaign.labeled, self.campaign.y
        classes = np.unique(y)
        firsts = np.array([np.flatnonzero(y == label)[0] for label in classes])
        members = []
        for member in range(self.settings.committee_size):
            key = (_COMMITTEE, self.campaign.n_asked, member)
            drawn = self.stream(*key).randint(len(y), size=len(y))
            # Every member knows every class.
            drawn = np.concatenate([drawn[: len(y) - len(firsts)], firsts])
            fitted = self._fitted(
                self.Z[labeled[drawn]], y[drawn], labeled[drawn], *key, 1
            )
            members.append(probabilities(fitted, self.Z[rows]))
        return np.stack(members)

    # -- the next batch -----------------------------------------------------------

    def query(self, n_select: int) -> Query:
        """Choose rows of the pool that have not been asked; change nothing."""
        start = time.perf_counter()
        rows = self.campaign.unlabeled
        random = self.stream(_QUERY, self.campaign.n_asked)
        subsample = self.settings.pool_subsample
        n_kept = None if subsample is None else max(int(subsample), n_select)
        if n_kept is not None and n_kept < len(rows):
            rows = np.sort(random.permutation(rows)[:n_kept])
        n_select = min(n_select, len(rows))
        if not n_select:
            name = self._name()
            seconds = time.perf_counter() - start
            return Query(np.empty(0, np.int64), None, name, "", seconds)
        if self.classifier is None:
            # Only a simulation can be stratified, and it does so by itself.
            name = self.settings.initial
            name = name if name in INITIAL else "random"
            whole = len(rows) == self.campaign.n_rows
            Z = self.Z if whole else self.Z[rows]
            choice, fallback = Choice(INITIAL[name](Z, n_select, random), None), ""
        else:
            name = self._name()
            choice, fallback = choose(
                self.settings.strategy, self._candidates(rows, random), n_select
            )
        seconds = time.perf_counter() - start
        return Query(rows[choice.positions], choice.scores, name, fallback, seconds)

    def _name(self) -> str:
        strategy = self.settings.strategy
        return strategy if isinstance(strategy, str) else _name_of(strategy)

    def _candidates(self, rows: np.ndarray, random) -> Candidates:
        candidates = Candidates(
            pool=self.Z,
            rows=rows,
            labeled=self.campaign.labeled,
            asked=self.campaign.centres,
            n_free=self.campaign.n_rows - len(self.campaign.asked),
            proba=None,
            committee=lambda: self._committee_proba(rows),
            random=random,
            prefilter=self.settings.prefilter,
            nearest=self.nearest,
        )
        if len(self.classifier.classes_) > 1:
            candidates.proba = probabilities(self.classifier, candidates.Z)
        return candidates


def probabilities(classifier: Any, Z: Any) -> np.ndarray:
    """Return probabilities of the classes that a classifier knows.

    Parameters
    ----------
    classifier : fitted classifier
        Without predict_proba its decision function is squashed.
    Z : ndarray or sparse matrix of shape (n, d)
        Rows.

    Returns
    -------
    proba : ndarray of shape (n, n_classes), dtype float64
        Rows sum to 1.
    """
    # The rows were checked when they came; looking for NaN would take a third of it.
    with config_context(assume_finite=True):
        if hasattr(classifier, "predict_proba"):
            return np.asarray(classifier.predict_proba(Z), dtype=np.float64)
        scores = np.asarray(classifier.decision_function(Z), dtype=np.float64)
    if scores.ndim == 1:
        positive = expit(scores)
        return np.column_stack([1.0 - positive, positive])
    return softmax(scores, axis=1)


def _name_of(strategy: Any) -> str:
    return getattr(strategy, "__name__", type(strategy).__name__)
