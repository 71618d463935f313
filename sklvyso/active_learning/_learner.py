"""Pool-based active learning on representations that are computed once.

Vysogorets, Gopal, "Towards Efficient Active Learning in NLP via Pretrained
Representations", 2024, arXiv:2402.15613.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
)

from sklvyso._arguments import read_numbers, shown
from sklvyso._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _check_sample_weight,
)
from sklvyso._versioned import VersionedEstimator
from sklvyso.active_learning._answers import Answers, check_known, sort_answers
from sklvyso.active_learning._campaign import Campaign
from sklvyso.active_learning._checks import check_settings
from sklvyso.active_learning._final_stage import (
    check_probe_parts,
    with_probe_head,
)
from sklvyso.active_learning._interactive import InteractiveCampaign
from sklvyso.active_learning._labels import plain_labels, split_labels
from sklvyso.active_learning._loop import OracleLoop
from sklvyso.active_learning._predicting import LearnerPredictions
from sklvyso.active_learning._rounds import (
    _FINAL,
    _HOLD_OUT,
    AlignedClassifier,
    Query,
    Rounds,
)
from sklvyso.active_learning._strategies import ALIASES, INITIAL, STRATEGIES
from sklvyso.active_learning._vectors import _SCALERS, PoolVectors, talking_clone
from sklvyso.networks import draw_seed, set_seeds, unique_labels

# Of the default classifier: vectors of length 1 want weights this much larger.
_C_OF_UNIT_VECTORS = 10.0


class PretrainedActiveLearner(
    InteractiveCampaign,
    LearnerPredictions,
    OracleLoop,
    PoolVectors,
    ClassifierMixin,
    MetaEstimatorMixin,
    VersionedEstimator,
    BaseEstimator,
):
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
    strategy : str or callable, default="badge"
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
        Like ``n_queries`` and ``stop`` it ends loops, not campaigns by hand.
    oracle : {"y"} or callable, default=None
        ``"y"`` for simulations; or ``f(indices, X_subset)``, which returns the labels,
        with the missing mark for rows to skip.
    final_estimator : classifier of raw rows, default=None
        Fitted on the labelled rows at the end of :meth:`fit` with an oracle, or by
        :meth:`finalize`; such as a :class:`TransformerTextClassifier`.
    lp_ft : bool, default=False
        Whether the final estimator starts with the light classifier as its head
        (linear probing, then fine-tuning). It must be of the encoder's model, and takes
        pooling, layer, normalisation and length from the encoder.
    refresh_every : int, default=None
        Fine-tune the encoder by the recipe of ``final_estimator`` every so many rounds
        of the loop and encode the pool anew. None, the method of the paper, encodes
        once. Campaigns by hand do not refresh.
    classes : array-like of shape (n_classes,), default=None
        All labels that may come. None takes those that were seen; in a simulation all
        of ``y``.
    missing_label : object, default=np.nan
        Mark of a missing label in ``y``; NaN, None and pandas.NA stand for each other.
        ``-1`` on request: it is an ordinary label otherwise.
    deduplicate : bool, default=False
        Whether equal texts are asked for once. They are encoded once in any case.
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
        1 shows a progress bar over the rounds, and those of the encoder and the final
        estimator, where their own ``verbose`` is 0.

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
    held_out_indices_ : ndarray of int64
        Rows that ``validation=fraction`` held out.
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

    _needed_state = (
        "_asked_by",
        "_campaign",
        "_is_stale",
        "_last_query",
        "_pending",
        "_raw",
        "_seed",
        "_weight",
        "encoder_",
        "history_",
        "scaler_",
    )
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
        "deduplicate": ["boolean"],
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
        strategy: Any = "badge",
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
        deduplicate: bool = False,
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
        self.deduplicate = deduplicate
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
            model = self._prototype()
            tags.input_tags.sparse = get_tags(model).input_tags.sparse
        else:
            tags.input_tags = get_tags(self.encoder).input_tags
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classifier_")

    def __getstate__(self):
        state = dict(super().__getstate__())
        # Scaled vectors are made again from the representations.
        for name in ("_scaled_pool", "_rounds"):
            state.pop(name, None)
        if not self.store_representations:
            state.pop("representations_", None)
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
        check_settings(self, self._prototype(), has_weights=sample_weight is not None)
        self._forget()
        n_rows = self._start_pool(X)
        labels, is_missing = self._check_labels(y, n_rows)
        self._weight: np.ndarray | None = None
        if sample_weight is not None:
            self._weight = _checked_weights(sample_weight, n_rows)
        self._seed = draw_seed(self.random_state)
        self._fit_scaler()
        self._campaign = Campaign(n_rows)
        self._number_twins()
        is_simulation = isinstance(self.oracle, str)
        if is_simulation:
            self._true_classes = np.unique(plain_labels(labels.tolist()))
        elif labels is not None:
            for row in np.flatnonzero(~is_missing):
                self._campaign.add(int(row), labels[row], "given", None)
        self._start_rounds()
        self._judges = self._find_judges(labels, is_simulation)
        self._judge_vectors = None
        if self.oracle is not None:
            ask = self.oracle
            if is_simulation:
                ask = lambda rows, X: labels[rows]  # noqa: E731
            try:
                self._loop(ask, labels)
            finally:
                self._drop_representations()
        elif self._campaign.labels:
            self._refit()
        self._drop_representations()
        return self

    def _forget(self) -> None:
        """Remove what an earlier fit learned."""
        for name in [n for n in vars(self) if n.endswith("_") and n[0] != "_"]:
            delattr(self, name)
        for name in ("_rounds", "_scaled_pool", "_true_classes", "_classes"):
            self.__dict__.pop(name, None)

    def _number_twins(self) -> None:
        """Tell the campaign which texts are equal, if it is to know."""
        if not self.deduplicate:
            return
        if not isinstance(self._raw, list):
            raise ValueError(
                "deduplicate=True needs texts. Got rows of another kind, a "
                f"{type(self._raw).__name__}."
            )
        numbers = {text: i for i, text in enumerate(dict.fromkeys(self._raw))}
        self._campaign.twins = np.array([numbers[text] for text in self._raw])

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
            check_known(plain_labels(labels[~is_missing].tolist()), self.classes)
        return labels, is_missing

    # -- the loop -----------------------------------------------------------------

    def _start_rounds(self) -> Rounds:
        self.history_: list[dict] = []
        self.n_rounds_ = 0
        self.stop_reason_ = ""
        # How rows came to be asked: strategy and score; and the last query's cost.
        self._asked_by: dict[int, tuple[str, float | None]] = {}
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

    def _find_judges(self, labels: Any, is_simulation: bool) -> Any:
        """Return raw rows, or rows of the pool, that score the rounds; their labels."""
        if self.validation is None:
            return None
        if isinstance(self.validation, tuple | list):
            if len(self.validation) != 2:
                raise ValueError(
                    "validation must be a pair (X, y), a fraction or None. Got "
                    f"{len(self.validation)} entries instead."
                )
            X, y = self.validation
            y, is_missing = split_labels(y, self.missing_label, name="validation")
            if is_missing.any():
                raise ValueError(
                    "validation must have all labels. Got "
                    f"{int(is_missing.sum())} missing ones."
                )
            y = plain_labels(y.tolist(), name="validation")
            check_consistent_length(self._vectors(X), y)
            return X, y
        if not is_simulation:
            raise ValueError(
                "validation must be a pair (X, y) outside a simulation, where no rows "
                f"can be held out with their labels. Got {self.validation!r}."
            )
        random = self._rounds.stream(_HOLD_OUT)
        n_rows = self._campaign.n_rows
        n_held = min(max(1, round(self.validation * n_rows)), n_rows - 1)
        if self.budget is not None and self.budget < n_held + max(1, self.n_initial):
            raise ValueError(
                f"budget must pay for the {n_held} rows that validation="
                f"{self.validation} holds out and for the first batch of "
                f"{self.n_initial}. Got budget={self.budget}."
            )
        held = np.sort(random.permutation(n_rows)[:n_held])
        self._campaign.held_out = set(held.tolist())
        return held, plain_labels(labels[held].tolist())

    def _judging(self) -> tuple[Any, np.ndarray]:
        """Scaled vectors and labels of the rows that score."""
        X, y = self._judges
        if self._judge_vectors is None:
            is_held_out = bool(self._campaign.held_out)
            self._judge_vectors = self._pool()[X] if is_held_out else self._vectors(X)
        return self._judge_vectors, y

    def _remember(self, query: Query) -> None:
        """Keep how rows were chosen until their labels come."""
        scores = [None] * len(query.rows) if query.scores is None else query.scores
        for row, score in zip(query.rows.tolist(), scores, strict=True):
            value = None if score is None else float(score)
            self._asked_by[row] = query.strategy, value
        self._last_query = query

    def _take_raw(self, rows: np.ndarray) -> Any:
        return _safe_indexing(self._raw, rows)

    def _sorted_answers(self, rows: np.ndarray, answers: Any, name: str) -> Answers:
        return sort_answers(
            rows,
            answers,
            name,
            before=list(self._campaign.labels.values()),
            classes=self.classes,
            missing_label=self.missing_label,
        )

    def _accept(self, answers: Answers) -> None:
        for row, label in zip(answers.rows, answers.labels, strict=True):
            strategy, score = self._asked_by.get(row, ("given", None))
            self._campaign.add(row, label, strategy, score)
            if row not in self._pending:
                self._pending.append(row)
        for row in answers.skipped:
            self._campaign.skip(row)

    def _refit(self, oracle_seconds: float = 0.0) -> None:
        rounds = self._make_rounds()
        campaign, query = self._campaign, self._last_query
        fit_seconds = rounds.refit()
        self.classifier_ = rounds.classifier
        self._freeze_classes()
        indices = np.array(self._pending, dtype=np.int64)
        if not self.history_ and not len(indices):
            indices = campaign.labeled
        origins = [self._asked_by.get(row, ("given", None)) for row in indices.tolist()]
        names = [strategy for strategy, _ in origins]
        scores = [score for _, score in origins]
        self.history_.append(
            {
                "round": campaign.round,
                "n_labeled": len(campaign.labels),
                "indices": indices,
                "strategy": next((n for n in names if n != "given"), "given"),
                "fallback": "" if query is None else query.fallback,
                "scores": None if None in scores else np.array(scores),
                "query_seconds": 0.0 if query is None else query.seconds,
                "oracle_seconds": oracle_seconds,
                "fit_seconds": fit_seconds,
                "score": self._score_of_round(),
            }
        )
        # The next entry must not book this query again.
        self._last_query = None
        self._pending = []
        self._is_stale = False
        campaign.round += 1
        self.n_rounds_ += 1

    def _freeze_classes(self) -> None:
        """Keep the classes as they are now: labels may change before the next fit."""
        known = self._known_classes()
        models: list[Any] = [
            getattr(self, name, None) for name in ("classifier_", "final_estimator_")
        ]
        seen = [np.asarray(m.classes_) for m in models if hasattr(m, "classes_")]
        self._classes = np.unique(np.concatenate([known, *seen]))

    def _known_classes(self) -> np.ndarray:
        if self.classes is not None:
            return unique_labels(self.classes)
        if "_true_classes" in self.__dict__:
            return np.union1d(self._true_classes, self._campaign.y)
        return np.unique(self._campaign.y)

    def _score_of_round(self) -> float | None:
        if self._judges is None:
            return None
        Z, y = self._judging()
        scorer = get_scorer(self.scoring) if isinstance(self.scoring, str) else None
        model = AlignedClassifier(self.classifier_, self._classes)
        return float((scorer or self.scoring)(model, Z, y))

    def finalize(self, estimator: Any = None) -> Any:
        """Fit a final estimator on the raw labelled rows.

        Parameters
        ----------
        estimator : classifier of raw rows, default=None
            Such as a :class:`TransformerTextClassifier` of any model, also another one
            than the encoder's. None takes ``final_estimator``. Weights of rows are for
            the light classifier only.

        Returns
        -------
        final_estimator_ : classifier
            The fitted estimator, kept too; predictions come from it from now on, also
            after further labels, until it is fitted again
            (``predict_with="classifier"`` asks the light one).

        Raises
        ------
        NotFittedError
            If there is no label yet.
        ValueError
            If there is no estimator, or ``lp_ft`` does not fit to it.
        """
        self._validate_params()
        check_is_fitted(self, "history_")
        self._check_has_labels()
        if self._pending or self._is_stale or not hasattr(self, "classifier_"):
            self._refit()
        prototype = self.final_estimator if estimator is None else estimator
        if prototype is None:
            raise ValueError(
                "finalize needs an estimator: pass one, such as "
                "TransformerTextClassifier(model), or set final_estimator."
            )
        if isinstance(prototype, type) or not hasattr(prototype, "fit"):
            raise TypeError(
                f"estimator must be a classifier. Got {shown(prototype)} instead."
            )
        final = talking_clone(prototype, self.verbose)
        if self.lp_ft:
            check_probe_parts(self.encoder, final)
            final = with_probe_head(
                final, self.encoder, self.encoder_, self.scaler_, self.classifier_
            )
        random = self._make_rounds().stream(_FINAL, len(self._campaign.labels))
        final = set_seeds(final, random)
        rows = self._campaign.labeled
        self.final_estimator_ = final.fit(self._take_raw(rows), self._campaign.y)
        self._freeze_classes()
        self._drop_representations()
        return self.final_estimator_


def _checked_weights(sample_weight: ArrayLike, n_rows: int) -> np.ndarray:
    weight = read_numbers("sample_weight", sample_weight).astype(np.float64)
    weight = _check_sample_weight(
        weight if weight.ndim else np.full(n_rows, weight),
        np.empty((n_rows, 1)),
        ensure_non_negative=True,
    )
    if ((weight > 1e100) | ((weight > 0) & (weight < 1e-100))).any():
        raise ValueError(
            "sample_weight must be 0 or from 1e-100 to 1e100: sums of more extreme "
            f"weights leave float64. Got {weight.min()} to {weight.max()}."
        )
    return weight
