"""Pool-based active learning on representations that are computed once.

Vysogorets, Gopal, "Towards Efficient Active Learning in NLP via Pretrained
Representations", 2024, arXiv:2402.15613.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MaxAbsScaler, Normalizer, StandardScaler
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)
from tqdm.auto import tqdm

from sklvyso._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _check_sample_weight,
)
from sklvyso._optional import import_optional
from sklvyso.active_learning import _exchange
from sklvyso.active_learning._campaign import Campaign
from sklvyso.active_learning._final_stage import refreshed_encoder, with_probe_head
from sklvyso.active_learning._labels import (
    missing_entries,
    plain_labels,
    split_labels,
)
from sklvyso.active_learning._rounds import (
    _FINAL,
    _HOLD_OUT,
    _STOP_SET,
    Query,
    Rounds,
)
from sklvyso.active_learning._stopping import StopRules
from sklvyso.active_learning._strategies import ALIASES, INITIAL, STRATEGIES, stack
from sklvyso.active_learning._texts import as_texts
from sklvyso.networks import draw_seed, set_seeds, unique_labels

_SCALERS: dict[str, Callable[[], Any]] = {
    "l2": Normalizer,
    "standard": StandardScaler,
    "maxabs": MaxAbsScaler,
}
# Of the default classifier: vectors of length 1 want weights this much larger.
_C_OF_UNIT_VECTORS = 10.0


def _active_model_has(method: str) -> Callable[[Any], bool]:
    def check(learner: Any) -> bool:
        if hasattr(learner, "classifier_"):
            model = learner._active_model()
        else:
            model = learner.classifier or LogisticRegression()
        # A single class is predicted by a dummy, which has probabilities.
        return hasattr(model, method)

    return check


class PretrainedActiveLearner(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Active learning with a light classifier on frozen representations.

    All texts of the pool run through a frozen language model once. Each round fits only
    a light classifier on the vectors of the labelled texts, in milliseconds, and
    chooses the texts to label next; at the end the acquired labels train a model of any
    kind.

    What ``fit(X, y)`` does depends on the labels and on ``oracle``:

    - all labels known, no oracle: an ordinary classifier of all rows;
    - all labels known, ``oracle="y"``: a *simulation*. A label is revealed when its row
      is asked for; those of other rows have no influence;
    - some labels missing, no oracle: the classifier of the labelled rows. The others
      are a pool for :meth:`query`, :meth:`teach` and :meth:`skip`; ``fit(X)`` starts
      without any label;
    - ``oracle`` a function: the loop asks it.

    Without ``encoder`` the rows of ``X`` are numbers, dense or sparse.

    .. versionadded:: 0.1

    Parameters
    ----------
    encoder : transformer, default=None
        Turns raw rows into vectors, once; a :class:`PretrainedTextEncoder`, or any
        transformer, such as a TF-IDF vectorizer, which is then fitted on the pool.
        None takes ``X`` as numbers.
    classifier : classifier, default=None
        Fitted from scratch in each round. None is a
        :class:`~sklearn.linear_model.LogisticRegression` of 1,000 iterations at most,
        with C=10 after an encoder (vectors of length 1) and C=1 without.
    strategy : str or callable, default="cluster_margin"
        What to ask next. ``"random"``; the most uncertain rows by
        ``"least_confidence"``, ``"margin"``, ``"entropy"``, or of a committee by
        ``"variation_ratio"``, ``"bald"``; ``"k_center"``: those that lie farthest from
        all asked ones; ``"badge"``: uncertain and different; ``"cluster_margin"``: the
        most uncertain row of each of ``batch_size`` clusters; ``"half_random"``: half
        of the batch by margin, half at random. Or ``f(proba, Z, Z_labeled, random)``,
        which returns a score for each row of ``Z``, the highest to be asked first.
    batch_size : int, default=50
        Rows of a round.
    n_initial : int, default=50
        Rows of the first batch, before there is a model; 0 takes ``batch_size``.
    initial : {"random", "kmeans", "typiclust", "stratified"}, default="random"
        How the first batch is chosen: at random; the rows nearest to the centres of as
        many clusters; the most typical row of each. ``"stratified"`` looks at the
        labels of the whole pool, which makes a simulation too optimistic.
    n_queries : int, default=39
        Rounds after the first batch. None asks until another rule stops the loop or the
        pool is empty.
    budget : int, default=None
        Labels in all, those of the first batch and of rows held out for validation too.
    oracle : {"y"} or callable, default=None
        ``"y"`` for simulations; or ``f(indices, X_subset)``, which returns the labels,
        with the missing mark for rows to skip.
    final_estimator : classifier of raw rows, default=None
        Fitted on the labelled rows at the end of :meth:`fit` with an oracle, or by
        :meth:`finalize`; such as a :class:`TransformerTextClassifier`.
    lp_ft : bool, default=False
        Whether the final estimator starts with the light classifier as its head
        (linear probing, then fine-tuning).
    refresh_every : int, default=None
        Fine-tune the encoder by the recipe of ``final_estimator`` every so many rounds
        and encode the pool anew. None, the method of the paper, encodes once.
    classes : array-like of shape (n_classes,), default=None
        All labels that may come. None takes those that were seen; in a simulation all
        of ``y``.
    missing_label : object, default=np.nan
        Mark of a missing label in ``y``; NaN, None and pandas.NA stand for each other.
        ``-1`` on request: it is an ordinary label otherwise.
    prefilter : float, default=None
        ``"k_center"``, ``"badge"`` and ``"cluster_margin"`` look only at the
        ``prefilter * batch_size`` rows of smallest margin, >= 1.
    pool_subsample : int, default=None
        Look only at so many random rows of the pool in each round.
    committee_size : int, default=8
        Members of the committee of ``"bald"`` and ``"variation_ratio"``, refits on
        bootstrap samples.
    stop : {"stabilized"}, dict or callable, default=None
        Further rules. A dict holds ``"target_score"`` (on the validation rows),
        ``"max_time"`` (seconds), or ``"kappa"``, ``"patience"``, ``"stop_set_size"``:
        stop when the predictions of so many rows agreed by so much so many times in a
        row; ``"stabilized"`` is .99, 3, 1000 [2]_. A callable takes ``history_`` and
        says whether to stop.
    validation : tuple (X, y) or float, default=None
        Rows that score each round. A float, for simulations, holds out a part of the
        pool, whose labels count in the budget.
    scoring : str or callable, default="accuracy"
        Scorer of the rounds.
    scale : {"auto", "l2", "standard", "maxabs"}, default="auto"
        What comes between vectors and classifier: length 1, mean 0 and variance 1, or
        largest absolute value 1. ``"auto"`` is l2 after an encoder, standard for
        dense numbers, maxabs for sparse ones. None does nothing.
    store_representations : bool, default=True
        Keep the vectors of the pool. Without them :meth:`query` encodes the pool again.
    predict_with : {"auto", "classifier", "final"}, default="auto"
        Whose predictions are given; ``"auto"`` is the final estimator once there is
        one.
    random_state : int, RandomState instance or None, default=None
        Seeds everything that draws.
    verbose : int, default=0
        1 shows a progress bar over the rounds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted; columns of probabilities.
    classifier_ : classifier
        The light classifier, fitted on all labels; a dummy while there is one class.
    encoder_ : transformer
        Fitted encoder; None without one.
    scaler_ : transformer
        What came between; None for nothing.
    final_estimator_ : classifier
        The fitted final estimator, if there is one.
    representations_ : ndarray or sparse matrix of shape (n_pool, d)
        Vectors of the pool, before scaling.
    labeled_indices_ : ndarray of shape (n_labeled,), dtype int64
        Rows of the pool with a label, in the order in which the labels came.
    labeled_mask_ : ndarray of shape (n_pool,), dtype bool
        The same as a mask.
    skipped_indices_ : ndarray of int64
        Rows that were skipped.
    corrections_ : list of tuple
        Row, label before, label after, of each label that was changed.
    history_ : list of dict
        One entry a fit of the light classifier: ``round``, ``n_labeled``, ``indices``
        of the batch before it, ``strategy``, ``fallback`` ("" where there was none),
        ``scores``, ``query_seconds``, ``oracle_seconds``, ``fit_seconds``, ``score``.
    learning_curve_ : pandas.DataFrame
        The history as a table, without indices and scores.
    n_rounds_ : int
        Batches asked for, the first included.
    stop_reason_ : str
        Why the loop ended: ``"n_queries"``, ``"budget"``, ``"pool exhausted"``,
        ``"target_score"``, ``"max_time"``, ``"stabilized"``, ``"stop"``, ``"oracle
        raised"``; ``""`` where there was none.
    encode_seconds_ : float
        Time of encoding the pool.
    n_features_in_ : int
        Columns of ``X``, without encoder.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, when ``X`` was a data frame of numbers with string columns.

    See Also
    --------
    PretrainedTextEncoder : Vectors of texts, cached on disk.
    TransformerTextClassifier : A final estimator.
    sklearn.semi_supervised.SelfTrainingClassifier : Labels its pool by itself.

    Notes
    -----
    The defaults of 50 labels at the start and 39 rounds of 50 are those of the paper's
    running example (2,000 labels) [1]_; its strategies and the settings of its
    classifier are not known to us. Ties go to the row of the lower index.

    While only one class has been seen, strategies that need a model fall back to
    ``"k_center"``, which the history records.

    References
    ----------
    .. [1] Vysogorets, Gopal, "Towards Efficient Active Learning in NLP via Pretrained
       Representations", 2024, arXiv:2402.15613.
    .. [2] Bloodgood, Vijay-Shanker, "A Method for Stopping Active Learning Based on
       Stabilizing Predictions and the Need for User-Adjustable Stopping", CoNLL 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklvyso import PretrainedActiveLearner
    >>> X, y = load_digits(return_X_y=True)
    >>> learner = PretrainedActiveLearner(oracle="y", n_queries=5, random_state=0)
    >>> learner.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.88
    True
    >>> len(learner.labeled_indices_)
    300

    A person labels; nothing is known at first:

    >>> learner = PretrainedActiveLearner(n_initial=10, random_state=0).fit(X)
    >>> rows = learner.query()
    >>> learner.teach(rows, y[rows]).query(5).shape
    (5,)
    """

    _parameter_constraints: dict[str, list] = {
        "encoder": [HasMethods(["fit", "transform"]), None],
        "classifier": [HasMethods(["fit", "predict"]), None],
        "strategy": [StrOptions({*STRATEGIES, *ALIASES}), callable],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_initial": [Interval(Integral, 0, None, closed="left")],
        "initial": [StrOptions({*INITIAL, "stratified"})],
        "n_queries": [Interval(Integral, 0, None, closed="left"), None],
        "budget": [Interval(Integral, 1, None, closed="left"), None],
        "oracle": [StrOptions({"y"}), callable, None],
        "final_estimator": [HasMethods(["fit", "predict"]), None],
        "lp_ft": ["boolean"],
        "refresh_every": [Interval(Integral, 1, None, closed="left"), None],
        "classes": ["array-like", None],
        "missing_label": "no_validation",  # type: ignore[dict-item]
        "prefilter": [Interval(Real, 1, None, closed="left"), None],
        "pool_subsample": [Interval(Integral, 1, None, closed="left"), None],
        "committee_size": [Interval(Integral, 2, None, closed="left")],
        "stop": [StrOptions({"stabilized"}), dict, callable, None],
        "validation": [tuple, list, Interval(Real, 0, 1, closed="neither"), None],
        "scoring": [str, callable],
        "scale": [StrOptions({"auto", *_SCALERS}), None],
        "store_representations": ["boolean"],
        "predict_with": [StrOptions({"auto", "classifier", "final"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        encoder: Any = None,
        *,
        classifier: Any = None,
        strategy: Any = "cluster_margin",
        batch_size: int = 50,
        n_initial: int = 50,
        initial: str = "random",
        n_queries: int | None = 39,
        budget: int | None = None,
        oracle: Any = None,
        final_estimator: Any = None,
        lp_ft: bool = False,
        refresh_every: int | None = None,
        classes: ArrayLike | None = None,
        missing_label: Any = np.nan,
        prefilter: float | None = None,
        pool_subsample: int | None = None,
        committee_size: int = 8,
        stop: Any = None,
        validation: Any = None,
        scoring: Any = "accuracy",
        scale: str | None = "auto",
        store_representations: bool = True,
        predict_with: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.encoder = encoder
        self.classifier = classifier
        self.strategy = strategy
        self.batch_size = batch_size
        self.n_initial = n_initial
        self.initial = initial
        self.n_queries = n_queries
        self.budget = budget
        self.oracle = oracle
        self.final_estimator = final_estimator
        self.lp_ft = lp_ft
        self.refresh_every = refresh_every
        self.classes = classes
        self.missing_label = missing_label
        self.prefilter = prefilter
        self.pool_subsample = pool_subsample
        self.committee_size = committee_size
        self.stop = stop
        self.validation = validation
        self.scoring = scoring
        self.scale = scale
        self.store_representations = store_representations
        self.predict_with = predict_with
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        """Say what rows may be."""
        tags = super().__sklearn_tags__()
        if self.encoder is None:
            model = self.classifier or LogisticRegression()
            tags.input_tags.sparse = get_tags(model).input_tags.sparse
        else:
            tags.input_tags = get_tags(self.encoder).input_tags
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classifier_")

    def __getstate__(self):
        state = dict(super().__getstate__())
        # Scaled vectors are made again from the representations.
        state.pop("_scaled_pool", None)
        return state

    # -- fit ----------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> PretrainedActiveLearner:
        """Encode the pool, then learn from labels, a simulation or an oracle.

        Parameters
        ----------
        X : sequence of n raw rows, or array-like or sparse of shape (n, n_features)
            The pool: texts with a text encoder, numbers without encoder.
        y : array-like of shape (n,), default=None
            Labels, with the missing mark where there is none. None starts a campaign
            without labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows for the light classifier.

        Returns
        -------
        self : PretrainedActiveLearner
            The fitted learner. If the oracle raised, it keeps all labels and works on.

        Raises
        ------
        ValueError
            If parameters or data are not valid.
        """
        self._validate_params()
        self._forget()
        n_rows = self._start_pool(X)
        labels, is_missing = self._check_labels(y, n_rows)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, np.empty((n_rows, 1)), ensure_non_negative=True
            )
        self._weight = weight
        self._seed = draw_seed(self.random_state)
        self._fit_scaler(weight)
        self._campaign = Campaign(n_rows)
        is_simulation = isinstance(self.oracle, str)
        if is_simulation:
            self._true_classes = np.unique(plain_labels(labels.tolist()))
        elif labels is not None:
            for row in np.flatnonzero(~is_missing):
                self._campaign.add(int(row), labels[row], "given", None)
        self._start_rounds()
        self._validation = self._hold_out(labels, is_simulation)
        if self.oracle is not None:
            ask = self.oracle
            if is_simulation:
                ask = lambda rows, X: labels[rows]  # noqa: E731
            self._loop(ask, labels)
        elif self._campaign.labels:
            self._refit(Query(self._campaign.labeled, None, "given", "", 0.0), 0.0)
        if not self.store_representations:
            self._drop_representations()
        return self

    def _forget(self) -> None:
        """Remove what an earlier fit learned."""
        for name in [n for n in vars(self) if n.endswith("_") and n[0] != "_"]:
            delattr(self, name)
        self.__dict__.pop("_rounds", None)
        self.__dict__.pop("_true_classes", None)
        if self.budget is not None and self.budget < self.n_initial:
            raise ValueError(
                "budget must be at least n_initial. Got "
                f"budget={self.budget} and n_initial={self.n_initial}."
            )
        if self.refresh_every is not None and self.final_estimator is None:
            raise ValueError(
                "refresh_every needs a TransformerTextClassifier as final_estimator, "
                "whose recipe fine-tunes the encoder. Got final_estimator=None."
            )
        if self.initial == "stratified" and not isinstance(self.oracle, str):
            raise ValueError(
                "initial='stratified' needs the labels of a simulation (oracle='y'). "
                f"Got oracle={self.oracle!r}."
            )

    def _start_pool(self, X: Any) -> int:
        """Encode the pool; return how many rows it has."""
        start = time.perf_counter()
        if self.encoder is None:
            self.encoder_ = None
            self._raw = self._check_numbers(X, reset=True)
            self.representations_ = self._raw
        else:
            self._raw = self._raw_rows(X)
            self.encoder_ = clone(self.encoder)
            if getattr(self.encoder, "text_columns", None) is not None:
                # The rows are texts or pairs by now.
                self.encoder_.set_params(text_columns=None)
            self.representations_ = self.encoder_.fit(self._raw).transform(self._raw)
        self.encode_seconds_ = time.perf_counter() - start
        return int(self.representations_.shape[0])

    def _check_numbers(self, X: Any, *, reset: bool) -> Any:
        if isinstance(X, str) or _holds_texts(X):
            raise ValueError(
                "X must hold numbers when encoder=None. Got texts: pass "
                "encoder=PretrainedTextEncoder(model), or another transformer of texts."
            )
        return validate_data(
            self, X, accept_sparse="csr", dtype=(np.float32, np.float64), reset=reset
        )

    def _raw_rows(self, X: Any) -> Any:
        if get_tags(self.encoder).input_tags.string or _holds_texts(X):
            return as_texts(X, getattr(self.encoder, "text_columns", None))
        return X

    def _check_labels(self, y: Any, n_rows: int) -> tuple[Any, Any]:
        if y is None:
            if isinstance(self.oracle, str):
                raise ValueError(
                    "A simulation (oracle='y') requires y to be passed, but the target "
                    "y is None. A campaign without labels is fit(X) with oracle=None."
                )
            return None, None
        labels, is_missing = split_labels(y, self.missing_label)
        check_consistent_length(labels, np.empty(n_rows))
        if is_missing.all():
            raise ValueError(
                "y must hold at least one label. Got missing marks only: a campaign "
                "without labels is fit(X), with y=None."
            )
        if isinstance(self.oracle, str) and is_missing.any():
            raise ValueError(
                "oracle='y' needs all labels: y must have no missing marks. Got "
                f"{int(is_missing.sum())} of {n_rows}."
            )
        if self.classes is not None:
            _check_known(plain_labels(labels[~is_missing].tolist()), self.classes)
        return labels, is_missing

    # -- vectors ------------------------------------------------------------------

    def _fit_scaler(self, weight: np.ndarray | None) -> None:
        H = self.representations_
        is_sparse = hasattr(H, "tocsr")
        scale = self.scale
        if scale == "auto":
            scale = "standard" if not is_sparse else "maxabs"
            if self.encoder is not None:
                scale = "l2"
        if scale is None:
            self.scaler_ = None
            return
        if scale == "l2" and getattr(self.encoder_, "normalize", False) is True:
            # They have length 1 already.
            self.scaler_ = None
            return
        self.scaler_ = _SCALERS[scale]()
        if weight is not None and not weight.all():
            # A row of weight 0 is as good as absent.
            H, weight = H[np.flatnonzero(weight)], weight[weight > 0]
        if scale == "standard":
            self.scaler_.set_params(with_mean=not is_sparse)
            self.scaler_.fit(H, sample_weight=weight)
        else:
            self.scaler_.fit(H)

    def _scaled(self, H: Any) -> Any:
        return H if self.scaler_ is None else self.scaler_.transform(H)

    def _pool(self) -> Any:
        """Scaled vectors of the pool, kept until the learner is pickled."""
        if "_scaled_pool" not in self.__dict__:
            if not hasattr(self, "representations_"):
                self.representations_ = self._raw
                if self.encoder_ is not None:
                    self.representations_ = self.encoder_.transform(self._raw)
            self._scaled_pool = self._scaled(self.representations_)
        return self._scaled_pool

    def _drop_representations(self) -> None:
        del self.representations_
        self.__dict__.pop("_scaled_pool", None)
        self.__dict__.pop("_rounds", None)

    def _vectors(self, X: Any) -> Any:
        """Scaled vectors of other rows."""
        if self.encoder_ is None:
            return self._scaled(self._check_numbers(X, reset=False))
        return self._scaled(self.encoder_.transform(self._raw_rows(X)))

    # -- the loop -----------------------------------------------------------------

    def _start_rounds(self) -> Rounds:
        self.history_: list[dict] = []
        self.n_rounds_ = 0
        self.stop_reason_ = ""
        self._last_query: Query | None = None
        self._pending: list[int] = []
        self._is_stale = False
        return self._make_rounds()

    def _make_rounds(self) -> Rounds:
        if "_rounds" not in self.__dict__:
            self._rounds = Rounds(
                self,
                self._prototype(),
                self._pool(),
                self._campaign,
                seed=self._seed,
                sample_weight=self._weight,
            )
            self._rounds.classifier = getattr(self, "classifier_", None)
        return self._rounds

    def _prototype(self) -> Any:
        if self.classifier is not None:
            return self.classifier
        C = 1.0 if self.encoder is None else _C_OF_UNIT_VECTORS
        return LogisticRegression(C=C, max_iter=1000)

    def _hold_out(self, labels: Any, is_simulation: bool) -> Any:
        """Return scaled vectors and labels that score the rounds, or None."""
        if self.validation is None:
            return None
        if isinstance(self.validation, tuple | list):
            if len(self.validation) != 2:
                raise ValueError(
                    "validation must be a pair (X, y), a fraction or None. Got "
                    f"{len(self.validation)} entries instead."
                )
            X, y = self.validation
            y, is_missing = split_labels(y, self.missing_label)
            if is_missing.any():
                raise ValueError(
                    "validation must have all labels. Got "
                    f"{int(is_missing.sum())} missing ones."
                )
            Z = self._vectors(X)
            check_consistent_length(Z, y)
            return Z, plain_labels(y.tolist())
        if not is_simulation:
            raise ValueError(
                "validation must be a pair (X, y) outside a simulation, where no rows "
                f"can be held out with their labels. Got {self.validation!r}."
            )
        random = self._rounds.stream(_HOLD_OUT)
        n_rows = self._campaign.n_rows
        n_held = min(max(1, round(self.validation * n_rows)), n_rows - 1)
        held = np.sort(random.permutation(n_rows)[:n_held])
        self._campaign.held_out = set(held.tolist())
        return self._pool()[held], plain_labels(labels[held].tolist())

    def _loop(self, ask: Callable, labels: Any) -> None:
        rules = StopRules(self.stop, has_validation=self._validation is not None)
        rounds = self._rounds
        watched = rules.stop_set(self._campaign.n_rows, rounds.stream(_STOP_SET))
        if self._campaign.labels:
            self._refit(Query(self._campaign.labeled, None, "given", "", 0.0), 0.0)
        has_started = bool(self._campaign.labels)
        n_done = 0
        bar = tqdm(total=self.n_queries, desc="query ", disable=not self.verbose)
        with bar:
            while True:
                reason = self._limit(n_done, has_started)
                if not reason and rounds.classifier is not None:
                    reason = rules.reason(
                        self.history_,
                        lambda: rounds.classifier.predict(self._pool()[watched]),
                    )
                if reason:
                    break
                query = self._next_batch(labels if not has_started else None)
                if not len(query.rows):
                    reason = "pool exhausted"
                    break
                self._ask(ask, query)
                n_done += has_started
                has_started = True
                self._refresh(n_done)
                if n_done:
                    bar.update()
                bar.set_postfix(self._shown(), refresh=False)
        self.stop_reason_ = reason
        if self._campaign.labels and self.final_estimator is not None:
            self.finalize()

    def _shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"labels": len(self._campaign.labels)}
        if self.history_ and self.history_[-1]["score"] is not None:
            shown["score"] = f"{self.history_[-1]['score']:.3f}"
        return shown

    def _limit(self, n_done: int, has_started: bool) -> str:
        if self.budget is not None and self._campaign.n_paid() >= self.budget:
            return "budget"
        if has_started and self.n_queries is not None and n_done >= self.n_queries:
            return "n_queries"
        return ""

    def _next_batch(self, labels: Any) -> Query:
        n_select = self._size_of_batch()
        if self.budget is not None:
            n_select = min(n_select, self.budget - self._campaign.n_paid())
        if self.initial == "stratified" and labels is not None:
            return self._stratified(labels, n_select)
        return self._rounds.query(n_select)

    def _size_of_batch(self) -> int:
        if not self._campaign.n_asked and self.n_initial:
            return self.n_initial
        return self.batch_size

    def _stratified(self, labels: np.ndarray, n_select: int) -> Query:
        start = time.perf_counter()
        rows = self._campaign.unlabeled
        classes = np.unique(plain_labels(labels[rows].tolist()))
        if len(classes) <= n_select < len(rows) - len(classes):
            try:
                rows, _ = train_test_split(
                    rows,
                    train_size=n_select,
                    stratify=plain_labels(labels[rows].tolist()),
                    random_state=self._rounds.stream(0, 0),
                )
            except ValueError as error:
                raise ValueError(
                    "initial='stratified' needs two rows of each class at least. "
                    f"Got: {error} Use initial='random'."
                ) from error
        seconds = time.perf_counter() - start
        return Query(np.sort(rows[:n_select]), None, "stratified", "", seconds)

    def _ask(self, ask: Callable, query: Query) -> None:
        self._last_query = query
        start = time.perf_counter()
        try:
            answers = ask(query.rows, self._take_raw(query.rows))
            labels, rows, skipped = self._sorted_answers(query.rows, answers, "oracle")
        except BaseException:
            self.stop_reason_ = "oracle raised"
            raise
        seconds = time.perf_counter() - start
        self._accept(rows, labels, skipped)
        if len(rows):
            self._refit(query, seconds)
        else:
            self.n_rounds_ += 1

    def _take_raw(self, rows: np.ndarray) -> Any:
        return _safe_indexing(self._raw, rows)

    def _sorted_answers(self, rows, answers, name) -> tuple[list, list, list]:
        """Return labels, their rows, and rows without one."""
        if isinstance(answers, str) or not hasattr(answers, "__len__"):
            answers = [answers]
        if len(answers) != len(rows):
            raise ValueError(
                f"{name} must give one label for each of {len(rows)} rows. Got "
                f"{len(answers)} instead."
            )
        labels = np.empty(len(answers), dtype=object)
        labels[:] = list(answers)
        is_missing = missing_entries(labels, self.missing_label)
        known = labels[~is_missing].tolist()
        if known:
            plain = plain_labels(known)
            before = list(self._campaign.labels.values())
            if before:
                plain_labels([*before[:1], *known])  # of the same kind
            if self.classes is not None:
                _check_known(plain, self.classes)
        return known, rows[~is_missing].tolist(), rows[is_missing].tolist()

    def _accept(self, rows: list, labels: list, skipped: list) -> None:
        known = {}
        query = self._last_query
        if query is not None:
            scores = [None] * len(query.rows) if query.scores is None else query.scores
            known = dict(zip(query.rows.tolist(), scores, strict=True))
        for row, label in zip(rows, labels, strict=True):
            strategy = query.strategy if query is not None and row in known else "given"
            score = known.get(row)
            score = None if score is None else float(score)
            self._campaign.add(int(row), label, strategy, score)
            self._pending.append(int(row))
        for row in skipped:
            self._campaign.skip(int(row))

    def _refit(self, query: Query | None, oracle_seconds: float) -> None:
        rounds = self._make_rounds()
        fit_seconds = rounds.refit()
        self.classifier_ = rounds.classifier
        campaign = self._campaign
        scores = None if query is None else query.scores
        indices = np.array(self._pending, dtype=np.int64)
        if query is not None and not len(indices):
            indices = query.rows
        self.history_.append(
            {
                "round": campaign.round,
                "n_labeled": len(campaign.labels),
                "indices": indices,
                "strategy": "given" if query is None else query.strategy,
                "fallback": "" if query is None else query.fallback,
                "scores": scores,
                "query_seconds": 0.0 if query is None else query.seconds,
                "oracle_seconds": oracle_seconds,
                "fit_seconds": fit_seconds,
                "score": self._score_of_round(),
            }
        )
        self._pending = []
        self._is_stale = False
        campaign.round += 1
        self.n_rounds_ += 1

    def _score_of_round(self) -> float | None:
        if self._validation is None:
            return None
        Z, y = self._validation
        scorer = get_scorer(self.scoring) if isinstance(self.scoring, str) else None
        return float((scorer or self.scoring)(self.classifier_, Z, y))

    def _refresh(self, n_done: int) -> None:
        if self.refresh_every is None or not n_done or n_done % self.refresh_every:
            return
        rows = self._campaign.labeled
        self.encoder_ = refreshed_encoder(
            self.encoder_,
            self.final_estimator,
            self._take_raw(rows),
            self._campaign.y,
            draw_seed(self._rounds.stream(_FINAL, n_done)),
        )
        self.representations_ = self.encoder_.transform(self._raw)
        self.__dict__.pop("_scaled_pool", None)
        self._fit_scaler(None)
        classifier = self._rounds.classifier
        del self._rounds
        self._make_rounds().classifier = classifier
        self._rounds.refit()
        self.classifier_ = self._rounds.classifier

    # -- interactive --------------------------------------------------------------

    def query(
        self, n: int | None = None, X: Any = None, return_scores: bool = False
    ) -> Any:
        """Choose the rows to label next; nothing changes.

        Parameters
        ----------
        n : int, default=None
            How many; None is ``n_initial`` for the first batch, then ``batch_size``.
            Fewer come back when the pool has no more.
        X : rows like those of fit, default=None
            Choose among these instead of the pool; positions in ``X`` come back.
        return_scores : bool, default=False
            Whether to return the scores too.

        Returns
        -------
        indices : ndarray of shape (n,), dtype int64
            Positions in the pool, the first to be asked first.
        scores : ndarray of shape (n,) or None
            Only with ``return_scores``: higher was taken first. None where the strategy
            has no scores.

        Raises
        ------
        NotFittedError
            If there is no pool yet.
        """
        check_is_fitted(self, "history_")
        if n is None:
            n = self._size_of_batch()
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 0:
            raise ValueError(f"n must be an integer >= 0. Got {n!r} instead.")
        if X is not None:
            query = self._query_others(X, int(n))
        else:
            rounds = self._make_rounds()
            if rounds.classifier is None and self._campaign.labels:
                rounds.refit()
            query = rounds.query(int(n))
            self._last_query = query
        return (query.rows, query.scores) if return_scores else query.rows

    def _query_others(self, X: Any, n: int) -> Query:
        others = self._vectors(X)
        n_pool = self._campaign.n_rows
        together = Campaign(n_pool + others.shape[0])
        together.labels = dict(self._campaign.labels)
        free = [row for row in range(n_pool) if row not in together.labels]
        together.skipped = dict.fromkeys(free)
        rounds = Rounds(
            self,
            self._prototype(),
            stack(self._pool(), others),
            together,
            seed=self._seed,
            sample_weight=None,
        )
        rounds.classifier = getattr(self, "classifier_", None)
        query = rounds.query(n)
        return query._replace(rows=query.rows - n_pool)

    def teach(
        self, indices: ArrayLike, labels: ArrayLike, refit: bool = True
    ) -> PretrainedActiveLearner:
        """Take labels of rows of the pool.

        Parameters
        ----------
        indices : array-like of int of shape (n,)
            Positions in the pool, from :meth:`query` or others. A row that has a label
            is corrected.
        labels : array-like of shape (n,)
            Their labels; the missing mark skips a row.
        refit : bool, default=True
            Whether to fit the light classifier anew. False for small deliveries: the
            next one with True uses them all.

        Returns
        -------
        self : PretrainedActiveLearner
            The learner.

        Raises
        ------
        ValueError
            If an index is not in the pool or comes twice, or a label is not known.
        """
        check_is_fitted(self, "history_")
        rows = self._check_indices(indices)
        known, taught, skipped = self._sorted_answers(rows, labels, "labels")
        n_corrected = len(self._campaign.corrections)
        self._accept(taught, known, skipped)
        is_corrected = len(self._campaign.corrections) > n_corrected
        changed = self._pending or is_corrected or self._is_stale
        if refit and self._campaign.labels and changed:
            self._refit(self._last_query, 0.0)
        return self

    def skip(self, indices: ArrayLike) -> PretrainedActiveLearner:
        """Take rows out of the pool without a label.

        Parameters
        ----------
        indices : array-like of int of shape (n,)
            Positions in the pool. Rows with a label keep it. :meth:`teach` takes a
            skipped row back.

        Returns
        -------
        self : PretrainedActiveLearner
            The learner.
        """
        check_is_fitted(self, "history_")
        for row in self._check_indices(indices):
            self._campaign.skip(int(row))
        return self

    def forget(self, indices: ArrayLike) -> PretrainedActiveLearner:
        """Take labels or skips back: the rows are in the pool again.

        Parameters
        ----------
        indices : array-like of int of shape (n,)
            Positions in the pool. The light classifier is fitted anew at the next
            :meth:`teach`.

        Returns
        -------
        self : PretrainedActiveLearner
            The learner.
        """
        check_is_fitted(self, "history_")
        rows = self._check_indices(indices).tolist()
        for row in rows:
            self._campaign.forget(row)
        self._pending = [row for row in self._pending if row not in rows]
        self._is_stale = True
        if not self._campaign.labels:
            self.__dict__.pop("classifier_", None)
            self.__dict__.pop("_rounds", None)
        return self

    def pool_rows(self, indices: ArrayLike) -> Any:
        """Return raw rows of the pool, such as the texts of a :meth:`query`.

        Parameters
        ----------
        indices : array-like of int of shape (n,)
            Positions in the pool.

        Returns
        -------
        rows : list of texts, or array-like
            In the order of the indices.
        """
        check_is_fitted(self, "history_")
        return self._take_raw(self._check_indices(indices))

    def _check_indices(self, indices: ArrayLike) -> np.ndarray:
        rows = np.atleast_1d(np.asarray(indices))
        if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
            raise ValueError(
                "indices must be a sequence of positions in the pool. Got "
                f"{indices!r:.100} instead."
            )
        rows = rows.astype(np.int64)
        n_rows = self._campaign.n_rows
        outside = rows[(rows < 0) | (rows >= n_rows)]
        if len(outside):
            raise ValueError(
                f"indices must lie in [0, {n_rows - 1}], the rows of the pool. Got "
                f"{outside[:5].tolist()}."
            )
        if len(np.unique(rows)) < len(rows):
            raise ValueError("indices must be different rows. Got one of them twice.")
        return rows

    def add_to_pool(self, X: Any) -> np.ndarray:
        """Add rows without labels to the pool.

        Parameters
        ----------
        X : rows like those of fit
            New rows; only they are encoded.

        Returns
        -------
        indices : ndarray of int64
            Their positions in the pool.
        """
        check_is_fitted(self, "history_")
        self._pool()
        if self.encoder_ is None:
            new = H = self._check_numbers(X, reset=False)
            H = H.astype(self.representations_.dtype)
            self._raw = stack(self._raw, H)
            self.representations_ = self._raw
        else:
            new = self._raw_rows(X)
            H = self.encoder_.transform(new)
            if isinstance(self._raw, list):
                self._raw = [*self._raw, *new]
            else:
                self._raw = stack(np.asarray(self._raw), np.asarray(new))
            self.representations_ = stack(self.representations_, H)
        n_before = self._campaign.n_rows
        self._campaign.n_rows += int(H.shape[0])
        if self._weight is not None:
            self._weight = np.concatenate([self._weight, np.ones(H.shape[0])])
        self.__dict__.pop("_scaled_pool", None)
        self.__dict__.pop("_rounds", None)
        if not self.store_representations:
            self._drop_representations()
        return np.arange(n_before, self._campaign.n_rows)

    def finalize(self, estimator: Any = None) -> Any:
        """Fit a final estimator on the raw labelled rows.

        Parameters
        ----------
        estimator : classifier of raw rows, default=None
            Such as a :class:`TransformerTextClassifier` of any model, also another one
            than the encoder's. None takes ``final_estimator``.

        Returns
        -------
        final_estimator_ : classifier
            The fitted estimator, kept too; predictions come from it from now on.

        Raises
        ------
        NotFittedError
            If there is no label yet.
        ValueError
            If there is no estimator, or ``lp_ft`` does not fit to it.
        """
        check_is_fitted(self)
        prototype = self.final_estimator if estimator is None else estimator
        if prototype is None:
            raise ValueError(
                "finalize needs an estimator: pass one, such as "
                "TransformerTextClassifier(model), or set final_estimator."
            )
        final = clone(prototype)
        if self.lp_ft:
            final = with_probe_head(
                final, self.encoder_, self.scaler_, self.classifier_
            )
        random = self._make_rounds().stream(_FINAL, len(self._campaign.labels))
        final = set_seeds(final, random)
        rows = self._campaign.labeled
        self.final_estimator_ = final.fit(self._take_raw(rows), self._campaign.y)
        return self.final_estimator_

    # -- predictions --------------------------------------------------------------

    def _active_model(self) -> Any:
        has_final = hasattr(self, "final_estimator_")
        if self.predict_with == "final" and not has_final:
            raise ValueError(
                "predict_with='final' needs a final estimator: call finalize() first."
            )
        if has_final and self.predict_with != "classifier":
            return self.final_estimator_
        return self.classifier_

    def _check_is_trained(self) -> None:
        if hasattr(self, "history_") and not hasattr(self, "classifier_"):
            check_is_fitted(
                self,
                msg="This %(name)s has no label yet: call query() and teach() first.",
            )
        check_is_fitted(self)

    def _model_and_input(self, X: Any) -> tuple[Any, Any]:
        self._check_is_trained()
        model = self._active_model()
        if model is self.classifier_:
            return model, self._vectors(X)
        if self.encoder_ is None:
            return model, self._check_numbers(X, reset=False)
        return model, self._raw_rows(X)

    @property
    def classes_(self) -> np.ndarray:
        """Labels, sorted."""
        if self.classes is not None:
            return unique_labels(self.classes)
        if "_true_classes" in self.__dict__:
            return self._true_classes
        campaign = self.__dict__.get("_campaign")
        if campaign is None or not campaign.labels:
            raise AttributeError("There are no classes before there are labels.")
        return np.unique(campaign.y)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable classes.

        Parameters
        ----------
        X : rows like those of fit
            Rows.

        Returns
        -------
        y : ndarray of shape (n,)
            Labels.

        Raises
        ------
        NotFittedError
            If there is no label yet.
        """
        model, Z = self._model_and_input(X)
        return model.predict(Z)

    @available_if(_active_model_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : rows like those of fit
            Rows.

        Returns
        -------
        proba : ndarray of shape (n, n_classes)
            In the order of ``classes_``; 0 for classes that have not been seen.
        """
        model, Z = self._model_and_input(X)
        proba = model.predict_proba(Z)
        classes = self.classes_
        if len(model.classes_) == len(classes):
            return proba
        whole = np.zeros((len(proba), len(classes)), dtype=proba.dtype)
        whole[:, np.searchsorted(classes, model.classes_)] = proba
        return whole

    @available_if(_active_model_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of the active model, as it gives them.

        Parameters
        ----------
        X : rows like those of fit
            Rows.

        Returns
        -------
        scores : ndarray of shape (n,) or (n, n_classes)
            Of the classes that the model has seen.
        """
        model, Z = self._model_and_input(X)
        return model.decision_function(Z)

    # -- the campaign -------------------------------------------------------------

    @property
    def labeled_indices_(self) -> np.ndarray:
        """Rows with a label, in the order of the labels."""
        return self._campaign_of("labeled_indices_").labeled

    @property
    def labeled_mask_(self) -> np.ndarray:
        """Which rows have a label."""
        campaign = self._campaign_of("labeled_mask_")
        mask = np.zeros(campaign.n_rows, bool)
        mask[campaign.labeled] = True
        return mask

    @property
    def skipped_indices_(self) -> np.ndarray:
        """Rows that were skipped."""
        return np.array(list(self._campaign_of("skipped_indices_").skipped), np.int64)

    @property
    def corrections_(self) -> list[tuple]:
        """Labels that were changed."""
        return list(self._campaign_of("corrections_").corrections)

    def _campaign_of(self, name: str) -> Campaign:
        if "history_" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} has no {name} before fit.")
        return self._campaign

    @property
    def learning_curve_(self) -> Any:
        """The history as a table."""
        self._campaign_of("learning_curve_")
        pandas = import_optional("pandas", extra="frame", caller="learning_curve_")
        hidden = ("indices", "scores")
        rows = [
            {name: value for name, value in entry.items() if name not in hidden}
            for entry in self.history_
        ]
        return pandas.DataFrame(rows)

    def labeled_data(self) -> Any:
        """Return all labels with their rows and how they came.

        Returns
        -------
        table : pandas.DataFrame
            Columns index, text (or text and text_pair; row for other rows than texts),
            label, round, strategy, score, in the order of the labels.
        """
        check_is_fitted(self, "history_")
        pandas = import_optional("pandas", extra="frame", caller="labeled_data")
        columns = ["label", "round", "strategy", "score"]
        rows = [self._record(int(row)) for row in self._campaign.labeled]
        table = pandas.DataFrame(rows, columns=None if rows else ["index", *columns])
        return table.drop(columns=["skipped"], errors="ignore")

    def _record(self, row: int) -> dict[str, Any]:
        record: dict[str, Any] = {"index": row}
        if isinstance(self._raw, list) and self._raw and _is_text(self._raw[row]):
            text = self._raw[row]
            if isinstance(text, str):
                record["text"] = text
            else:
                record["text"], record["text_pair"] = text
        campaign = self._campaign
        record["label"] = campaign.labels.get(row)
        origin = campaign.origin.get(row, (None, None, None))
        record["round"], record["strategy"], record["score"] = origin
        record["skipped"] = row in campaign.skipped
        return record

    def to_jsonl(
        self, path: str | os.PathLike, indices: ArrayLike | None = None
    ) -> None:
        """Write rows of the campaign as JSON lines, for tools that annotate.

        Parameters
        ----------
        path : str or path-like
            File that is written, whole or not at all. One object a line: index, text
            (and text_pair), label (null where there is none), round, strategy, score,
            skipped.
        indices : array-like of int, default=None
            Rows, such as those of :meth:`query`. None takes all that were labelled or
            skipped.
        """
        check_is_fitted(self, "history_")
        if indices is None:
            rows = [*self._campaign.labels, *self._campaign.skipped]
        else:
            rows = self._check_indices(indices).tolist()
        _exchange.write_lines(path, (self._record(row) for row in rows))

    def from_jsonl(
        self, path: str | os.PathLike, refit: bool = True
    ) -> PretrainedActiveLearner:
        """Take the labels of a file that :meth:`to_jsonl` wrote and a tool filled in.

        Parameters
        ----------
        path : str or path-like
            Lines with index and label; lines without label are left alone, those with
            ``"skipped": true`` are skipped. A text that is there must be that of the
            pool.
        refit : bool, default=True
            Whether to fit the light classifier anew.

        Returns
        -------
        self : PretrainedActiveLearner
            The learner.

        Raises
        ------
        ValueError
            If a line is no object, lacks the index, or its text is another one; then
            no label of the file is taken.
        """
        check_is_fitted(self, "history_")
        labels: dict[int, Any] = {}
        skipped = []
        for number, record in _exchange.read_lines(path):
            row = record.get("index")
            if not isinstance(row, int) or not 0 <= row < self._campaign.n_rows:
                raise ValueError(
                    f"{path} must name rows of the pool by 'index', below "
                    f"{self._campaign.n_rows}. Got {row!r} in line {number}."
                )
            own = self._record(row)
            for name in ("text", "text_pair"):
                if name in record and name in own and record[name] != own[name]:
                    raise ValueError(
                        f"{path} must belong to this pool. Line {number} has another "
                        f"{name} for index {row}: {record[name]!r:.60}."
                    )
            if record.get("label") is not None:
                labels[row] = record["label"]
            elif record.get("skipped"):
                skipped.append(row)
        self.teach(np.array(list(labels), np.int64), list(labels.values()), refit=refit)
        return self.skip(np.array(skipped, np.int64))

    def save(self, path: str | os.PathLike) -> None:
        """Write the learner to a file, whole or not at all.

        Parameters
        ----------
        path : str or path-like
            A pickle; the language model of a PretrainedTextEncoder is not in it.
        """
        _exchange.write_pickle(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike) -> PretrainedActiveLearner:
        """Read a learner that :meth:`save` wrote, and go on.

        Parameters
        ----------
        path : str or path-like
            A file that you trust: unpickling can run any code.

        Returns
        -------
        learner : PretrainedActiveLearner
            As it was.
        """
        with open(os.path.expanduser(path), "rb") as stream:
            learner = pickle.load(stream)
        if not isinstance(learner, cls):
            raise ValueError(
                f"{path} must hold a {cls.__name__}. Got a {type(learner).__name__}."
            )
        return learner


def _is_text(item: Any) -> bool:
    return isinstance(item, str) or (
        isinstance(item, tuple) and all(isinstance(part, str) for part in item)
    )


def _holds_texts(X: Any) -> bool:
    """Say whether rows are texts by the look of the first one."""
    if isinstance(X, list | tuple) and len(X):
        return _is_text(X[0])
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind in ("U", "S"):
        return True
    if kind == "O" and getattr(X, "ndim", 0) == 1 and len(X):
        return isinstance(np.asarray(X)[0], str)
    return False


def _check_known(labels: np.ndarray, classes: ArrayLike) -> None:
    known = unique_labels(classes)
    unknown = [label for label in np.unique(labels) if label not in known]
    if unknown:
        raise ValueError(
            f"classes must hold every label. Got {unknown[:5]}, which are not among "
            f"{known.tolist()[:20]}."
        )
