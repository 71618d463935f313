"""DRoPSampler: prune training rows so that the worst class does not pay.

Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR 2025.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from imblearn.base import BaseSampler
from numpy.typing import ArrayLike
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import is_sequence, shown, untensored
from sklvyso._compat import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
    transformed_metadata,
)
from sklvyso._versioned import VersionedEstimator
from sklvyso.data_pruning import _inputs, _measurements, _measuring
from sklvyso.data_pruning._choosers import KEEPS
from sklvyso.data_pruning._choosing import Choice, choose, fixed_quotas, target_size
from sklvyso.data_pruning._measurements import Measurements
from sklvyso.data_pruning._measuring import CHOICES, Extras, Models, Numbers
from sklvyso.data_pruning._row_scores import SCORERS
from sklvyso.data_pruning._rules import GLOBAL_RULES
from sklvyso.data_pruning._steps import choose_by_steps
from sklvyso.networks import draw_seed

# Below this share of its uniform quota a class counts as starved, and below this
# number of errors its recall as uncertain.
_STARVED = 0.25
_FEW_ERRORS = 5
_METADATA = ("groups", "X_val", "y_val", "groups_val", "features", "scores")


class DRoPSampler(VersionedEstimator, BaseSampler):
    """Keep a fraction of the training rows, more of the classes with larger error.

    A query model measures the recall of each class on rows it has not seen; each class
    keeps rows in proportion to its error, drawn at random within the class. Average
    accuracy falls a little less or more than with random pruning, the recall of the
    worst class much less, or it rises. Other rules of how many rows a class keeps
    (``quota``) and which (``scorer``, ``keep``) are one argument away.

    - The number of kept rows is exact: ``round(density * n)``, half up.
    - Rows keep their order and container: array, list, data frame, sparse, images.
    - With ``groups`` the quotas are by group, and recall is accuracy within the group.
    - Measured once, :meth:`resample` selects at other densities for free, and
      :meth:`save` keeps recalls and scores for another day.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : classifier, skorch net, torch.nn.Module or str, default=None
        Query model, cloned for each fit; a string is a name of
        :func:`~sklvyso.networks.available_networks`. None is a fast network with one
        hidden layer on standardised columns (a logistic regression for sparse rows that
        would not fit into 1 GB when dense). Best is a model like the one trained
        afterwards.
    density : float or int, default=0.5
        Fraction of rows to keep, in (0, 1], or their number as an integer; 1 is all.
    quota : str, dict or callable, default="drop"
        Rows to keep of each class:

        - ``"drop"``: by its error.
        - ``"uniform"``: the same fraction of each.
        - ``"balanced"``: the same number of each as far as there are enough.
        - ``"auto"``: whatever a selection among all rows gives it, without regard to
          classes, apart from ``min_per_class``; plain score-based pruning.
        - ``"strategyq"``: as many as ``"auto"`` gives, but drawn at random within the
          class.
        - ``"normalize"``: as many as ``"auto"`` gives when the scores of each class
          are mapped to [0, 1] first.
        - A dict maps labels to numbers; classes not named stay whole.
        - A callable ``quota(recalls, class_counts, n_select)`` returns one integer a
          class.

        Dicts and callables overrule ``density``.
    scorer : str, callable or array-like of shape (n,), default="random"
        Which rows of a class are kept. ``"random"`` draws them (DRoP). All others give
        each row a score that is **higher for harder rows**; ``keep`` says which end
        stays:

        - ``"el2n"``: length of the error of the predicted probabilities, early in the
          training; any classifier with ``predict_proba``.
        - ``"grand"``: norm of the gradient of the row's loss with respect to all
          weights, early in the training; networks.
        - ``"forgetting"``, ``"dynamic_uncertainty"``, ``"aum"`` (minus the area under
          the margin): from a recorded training, ``training_dynamics_``; networks.
        - ``"prototype"``: distance to the mean of the class, in the penultimate layer
          of a network, in the columns of other models, or in ``features``.
        - ``"k_center"``: not a score but rows far from each other, in the same space.
        - ``"least_confidence"``, ``"margin"``, ``"entropy"``: doubt of the trained
          model, whatever the label; any classifier with ``predict_proba``.
        - ``"bald"``: disagreement between dropout masks of a network with dropout, or
          between ``n_query`` models.
        - ``"ccs"``: ``"aum"`` with ``keep="ccs"``.
        - A callable ``scorer(X, y)`` returns one number a row; an array holds them.
    keep : {"hardest", "easiest", "middle", "ccs"}, default="hardest"
        Which scores stay: the highest, the lowest, those around the median, or, with
        ``"ccs"``, all of the range evenly apart from a share of the highest (see
        :func:`coverage_selection`). Without effect on ``"random"``.
    scorer_params : dict, default=None
        Options of the scorer: ``epochs`` (share of the training as a float, or number
        of epochs as an int, after which a network scores; 0.1 for ``"el2n"`` and
        ``"grand"``, else all), ``window`` of ``"dynamic_uncertainty"`` (10 epochs),
        ``never_learned`` of ``"forgetting"`` (``"hardest"`` or ``"zero"``),
        ``n_samples`` of ``"bald"`` (10 dropout masks), ``cutoff`` (0.1) and
        ``n_strata`` (50) of ``"ccs"``.
    score_from : {"auto", "training", "held_out"}, default="auto"
        Whether probabilities that score a row come from models that were trained on it
        (the papers), or from the folds that held it out. ``"auto"`` is the first for
        networks and the second for other classifiers, whose probabilities of training
        rows may say nothing.
    allocation : {"density", "count"}, default="density"
        Whether the kept *fraction* (the paper) or the kept *number* (its reference
        code) of a class is proportional to its error. The same for balanced classes.
    recalls : array-like of shape (n_classes,) or dict, default=None
        Recalls in [0, 1], in the order of the sorted labels or by label; then nothing
        is trained for them, and ``smoothing`` does not act.
    validation : int, float or splitter, default=5
        Where the recalls come from: folds of a stratified cross-validation, the share
        of one stratified hold-out, or a scikit-learn splitter. ``X_val`` and ``y_val``
        of :meth:`fit_resample` overrule it (the paper's protocol).
    group_column : int or str, default=None
        Column of ``X`` that holds the group of each row, the road to group quotas where
        ``groups`` cannot be passed. The query model does not see it; the kept rows do.
    n_query : int, default=1
        How often the models are fitted anew, with other seeds and folds; recalls and
        scores are averaged (the paper: 5).
    smoothing : float or "auto", default="auto"
        How errors are steadied before they become quotas. ``"auto"`` pulls them to
        their common mean as far as their differences are sampling noise (what three
        standard deviations of chance explain counts as no difference); a number is
        Laplace's pseudo-count; 0 is the paper.
    uniform_mix : float, default=0.25
        Share of the uniform density that each class keeps in any case, in [0, 1];
        0 is the paper.
    min_per_class : int, default=1
        Rows that each class keeps at least; 0 is the paper.
    n_steps : int, default=1
        Steps of the pruning; at each, all is measured anew on the rows that are left.
        With several there is no ``resample`` and no ``save``.
    schedule : {"linear", "exponential"}, default="linear"
        Sizes after the steps, see :func:`pruning_sizes`.
    warm_start : bool, default=False
        Let ``fit`` and ``fit_resample`` use what the fit before measured, if data and
        measuring parameters are the same; then ``set_params(density=0.3)`` costs no
        training. Data are compared by a hash, which is made only while it is on: it
        must be on for the fit before, too.
    sampling_strategy : "auto", dict or callable, default="auto"
        imbalanced-learn's parameter. ``"auto"`` leaves the quotas to ``quota``; a dict,
        or a callable that gets ``y`` and returns one, is as ``quota=dict``.
    random_state : int, RandomState instance or None, default=None
        Seeds the query models (where their own seed is None), folds, and selection. At
        one seed the rows of a class come in one order whatever the quotas: a larger
        quota keeps the rows of a smaller one and more, so that densities and rules are
        compared without that noise.
    n_jobs : int, default=None
        Fits in parallel.
    verbose : int, default=0
        1 shows progress bars over the fits.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_kept,), dtype int64
        Positions of the kept rows, ascending.
    sampling_strategy_ : dict
        Rows kept of each class or group.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    groups_ : ndarray of shape (n_groups,)
        What the arrays below refer to: the groups, sorted; without groups the classes.
    class_counts_ : ndarray of shape (n_groups,), dtype int64
        Rows of each class or group.
    class_recalls_ : ndarray of shape (n_groups,), dtype float64
        Recalls on held-out rows, as measured or given; NaN where the quota needs none.
    class_errors_ : ndarray of shape (n_groups,), dtype float64
        Errors after smoothing, which the quotas rest on.
    class_densities_ : ndarray of shape (n_groups,), dtype float64
        Kept fraction of each class or group.
    quotas_ : ndarray of shape (n_groups,), dtype int64
        Kept rows of each class or group.
    target_size_ : int
        Kept rows in all.
    scores_ : ndarray of shape (n,), dtype float64, or None
        Score of each row, higher is harder; None for ``"random"`` and ``"k_center"``.
        After several steps, NaN for rows that were gone before the last one.
    training_dynamics_ : list of TrainingDynamics
        Records that the scores rest on.
    query_estimators_ : list of classifiers
        The models that measured recalls; empty where none were trained.
    score_estimators_ : list of classifiers
        The models that scored rows, where they are others; for ``"prototype"`` and
        ``"k_center"`` without a network only the steps before the classifier.
    quota_report_ : dict of str to ndarray
        One row a class or group, ready for ``pandas.DataFrame``: its name, ``count``,
        ``recall``, ``n_validation``, ``error``, ``density``, ``kept``.
    n_features_in_ : int
        Number of columns; of values of an image.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, when ``X`` was a data frame with string columns.

    See Also
    --------
    drop_quotas : The quota rule on its own.
    el2n, grand, forgetting_events, dynamic_uncertainty, area_under_margin,
    prototype_distance, coverage_selection : The scores on their own.
    record_training_dynamics : A recorded training on its own.
    sklvyso.plotting.DRoPDisplay : Quotas as a figure.
    imblearn.under_sampling.RandomUnderSampler : Balances counts, whatever the errors.

    Notes
    -----
    The defaults depart from the paper: its bare rule starves classes that the query
    model hardly ever gets wrong. On scikit-learn's digits, with 90 training rows a
    class, these classes then become the worst (see ``benchmarks/drop_defaults.py``).
    ``smoothing="auto"`` and ``uniform_mix=0.25`` keep the gain where classes really
    differ and fall back to nearly uniform pruning where they do not.
    ``smoothing=0, uniform_mix=0, min_per_class=0`` is the paper.

    The papers of the scores keep the hardest rows among all
    (``quota="auto", min_per_class=0``); DRoP's averages five models (``n_query=5``).
    Training dynamics are recorded in evaluation mode after each epoch; its reference
    code reads training-mode outputs of each batch.

    There is no theorem that DRoP always lowers the risk of the worst class; compare
    with ``quota="uniform"`` on validation data.

    A sampler acts in ``fit`` only and belongs into :class:`imblearn.pipeline.Pipeline`;
    scikit-learn's own Pipeline refuses samplers. ``groups``, ``X_val`` and ``y_val``
    pass through it with metadata routing (``set_fit_resample_request``).

    References
    ----------
    .. [1] Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR
       2025, Algorithm 1.

    Examples
    --------
    >>> from collections import Counter
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklvyso import DRoPSampler
    >>> from sklvyso.datasets import make_class_difficulty_blobs
    >>> X, y = make_class_difficulty_blobs(
    ...     1000, sigmas=(0.5, 2.0), random_state=0
    ... )
    >>> sampler = DRoPSampler(LogisticRegression(), density=0.3, random_state=0)
    >>> X_kept, y_kept = sampler.fit_resample(X, y)
    >>> len(y_kept)
    300
    >>> sampler.quotas_
    array([ 92, 208])
    """

    _sampling_type = "bypass"

    _needed_state = ("_measured", "class_counts_", "groups_", "sample_indices_")
    _parameter_constraints: dict[str, list] = {
        "estimator": [HasMethods(["fit", "predict"]), str, callable, None],
        "density": [
            Interval(RealNotInt, 0, 1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "quota": [
            StrOptions({"drop", "uniform", "balanced", *GLOBAL_RULES}),
            dict,
            callable,
        ],
        "scorer": [StrOptions(set(SCORERS)), callable, "array-like"],
        "keep": [StrOptions(set(KEEPS))],
        "scorer_params": [dict, None],
        "score_from": [StrOptions({"auto", "training", "held_out"})],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "schedule": [StrOptions({"linear", "exponential"})],
        "warm_start": ["boolean"],
        "allocation": [StrOptions({"density", "count"})],
        "recalls": ["array-like", dict, None],
        "validation": [
            Interval(Integral, 2, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            HasMethods(["split", "get_n_splits"]),
        ],
        "group_column": [str, Integral, None],
        "n_query": [Interval(Integral, 1, None, closed="left")],
        "smoothing": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "uniform_mix": [Interval(Real, 0, 1, closed="both")],
        "min_per_class": [Interval(Integral, 0, None, closed="left")],
        "sampling_strategy": [StrOptions({"auto"}), dict, callable],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    _data: tuple[Any, Any] | None

    def __init__(
        self,
        estimator: Any = None,
        *,
        density: float = 0.5,
        quota: Any = "drop",
        scorer: Any = "random",
        keep: str = "hardest",
        scorer_params: Mapping[str, Any] | None = None,
        score_from: str = "auto",
        allocation: str = "density",
        recalls: ArrayLike | Mapping[Any, float] | None = None,
        validation: Any = 5,
        group_column: int | str | None = None,
        n_query: int = 1,
        smoothing: float | str = "auto",
        uniform_mix: float = 0.25,
        min_per_class: int = 1,
        n_steps: int = 1,
        schedule: str = "linear",
        warm_start: bool = False,
        sampling_strategy: Any = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        super().__init__(sampling_strategy=sampling_strategy)
        self.estimator = estimator
        self.density = density
        self.quota = quota
        self.scorer = scorer
        self.keep = keep
        self.scorer_params = scorer_params
        self.score_from = score_from
        self.allocation = allocation
        self.recalls = recalls
        self.validation = validation
        self.group_column = group_column
        self.n_query = n_query
        self.smoothing = smoothing
        self.uniform_mix = uniform_mix
        self.min_per_class = min_per_class
        self.n_steps = n_steps
        self.schedule = schedule
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    # -- public -------------------------------------------------------------------

    def fit(self, X: Any, y: ArrayLike, **params: Any) -> DRoPSampler:
        """Measure and select rows; see ``sample_indices_``.

        Parameters
        ----------
        X : array-like, data frame, sparse matrix, images or texts, n rows
            Training rows.
        y : array-like of shape (n,)
            Labels.
        **params : dict
            The other arguments of :meth:`fit_resample`. They are not named here
            because a Pipeline would then want a metadata request for ``fit`` as well.

        Returns
        -------
        self : DRoPSampler
            The fitted sampler.
        """
        unknown = set(params) - set(_METADATA)
        if unknown:
            raise TypeError(
                f"fit takes {', '.join(_METADATA)} beside X and y. Got "
                f"{sorted(unknown)} too."
            )
        self._select(X, y, **params)
        return self

    def fit_resample(
        self,
        X: Any,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        groups_val: ArrayLike | None = None,
        features: ArrayLike | None = None,
        scores: ArrayLike | None = None,
    ) -> tuple[Any, Any]:
        """Measure recalls and scores, select rows, and return them.

        Parameters
        ----------
        X : array-like, data frame, sparse matrix, images or texts, n rows
            Training rows.
        y : array-like of shape (n,)
            Labels.
        groups : array-like of shape (n,), default=None
            Group of each row, for quotas by group.
        X_val : like X, default=None
            External validation rows; the query models then train on all of ``X``.
        y_val : array-like, default=None
            Their labels.
        groups_val : array-like, default=None
            Their groups; needed with both ``groups`` and ``X_val``.
        features : array-like of shape (n, d), default=None
            For the scorers ``"prototype"`` and ``"k_center"``, such as embeddings;
            then no model is trained for them.
        scores : array-like of shape (n,), default=None
            Scores of the rows, higher is harder; they take the place of ``scorer``.

        Returns
        -------
        X_resampled, y_resampled : of the kinds that came in
            The kept rows in their original order.

        Raises
        ------
        ValueError
            If parameters or data are not valid.
        """
        X_val = transformed_metadata("X_val", X_val)
        features = transformed_metadata("features", features)
        self._select(
            X,
            y,
            groups=groups,
            X_val=X_val,
            y_val=y_val,
            groups_val=groups_val,
            features=features,
            scores=scores,
        )
        return self._kept(X, y)

    def resample(
        self, X: Any = None, y: ArrayLike | None = None, **choice: Any
    ) -> tuple[Any, Any]:
        """Select rows anew from what was measured; nothing is trained.

        Parameters
        ----------
        X : like X of the fit, default=None
            The rows of the fit. None takes those, as long as the sampler has them: a
            sampler that was pickled, copied or loaded holds none.
        y : array-like of shape (n,), default=None
            Their labels; pass both or none.
        **choice : dict
            Other values of ``density``, ``quota``, ``allocation``, ``keep``,
            ``smoothing``, ``uniform_mix``, ``min_per_class``, ``sampling_strategy``,
            ``recalls`` for this selection. The parameters themselves stay as they are.

        Returns
        -------
        X_resampled, y_resampled : of the kinds that came in
            The kept rows. The fitted attributes describe them.

        Raises
        ------
        NotFittedError
            If nothing was measured yet.
        ValueError
            If a value is not valid, labels or number of columns show that the rows
            are other ones, the choice needs something that was not measured, or the
            pruning had several steps.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklvyso import DRoPSampler
        >>> sampler = DRoPSampler(random_state=0).fit(*load_iris(return_X_y=True))
        >>> for density in (0.5, 0.2):
        ...     X_kept, y_kept = sampler.resample(density=density)
        ...     print(len(y_kept))
        75
        30
        """
        measured = self._measurements()
        unknown = sorted(set(choice) - set(CHOICES))
        if unknown:
            raise TypeError(
                f"resample takes {', '.join(CHOICES)} beside X and y. Got {unknown}: "
                "what is measured changes with fit_resample only."
            )
        if (X is None) != (y is None):
            missing = "X" if X is None else "y"
            raise ValueError(f"X and y must be passed together. {missing} is None.")
        if X is None:
            X, y = self._rows_of_the_fit()
        else:
            self._check_same_rows(X, y, measured)
        settings = copy.copy(self).set_params(**choice)
        settings._check_params()
        self._take(choose(settings, measured), measured, settings)
        return self._kept(X, y)

    def save(self, path: str | os.PathLike) -> None:
        """Write recalls, scores and records to a file, without rows and models.

        Parameters
        ----------
        path : path-like
            A NumPy archive (``.npz``) that needs no pickle. It is written whole or not
            at all.

        Raises
        ------
        NotFittedError
            If nothing was measured yet.
        """
        _measurements.save(self._measurements(), path)

    def load(self, path: str | os.PathLike) -> DRoPSampler:
        """Read recalls, scores and records; ``resample(X, y)`` then selects rows.

        Parameters
        ----------
        path : path-like
            What :meth:`save` wrote. Nothing in it is executed.

        Returns
        -------
        self : DRoPSampler
            Knows what was measured, holds no rows and no models; it has selected rows
            by its own parameters. ``scorer`` must be the one that was measured or be
            left at its default, which takes what is in the file; that estimator,
            validation and ``n_query`` are the same is not checked.

        Raises
        ------
        ValueError
            If the file is damaged, or the parameters ask for what is not in it.

        Examples
        --------
        >>> import os, tempfile
        >>> from sklearn.datasets import load_iris
        >>> from sklvyso import DRoPSampler
        >>> X, y = load_iris(return_X_y=True)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "iris.npz")
        ...     DRoPSampler(random_state=0).fit(X, y).save(path)
        ...     sampler = DRoPSampler(density=0.3).load(path)
        >>> len(sampler.resample(X, y)[0])
        45
        """
        self._check_params()
        measured = _measurements.load(path)
        choice = choose(self, measured)
        self._start(measured)
        self._keep_models(Models(), False)
        self._take(choice, measured, self)
        return self

    def _fit_resample(self, X, y, **params):  # abstract in the base class
        return self.fit_resample(X, y, **params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.sampler_tags.sample_indices = True
        tags.input_tags.three_d_array = True
        own = getattr(self.estimator, "__sklearn_tags__", None)
        if own is not None and not isinstance(self.estimator, type):
            tags.input_tags.sparse = own().input_tags.sparse
        return tags

    def __getstate__(self):
        state = dict(super().__getstate__())
        state.pop("_data", None)  # training rows do not travel
        return state

    # -- steps --------------------------------------------------------------------

    def _select(self, X, y, **metadata):
        before = dict(vars(self))
        try:
            self._measure_and_choose(X, y, **metadata)
        except BaseException:
            # A failure leaves what there was: the last fit, or none.
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _measure_and_choose(
        self, X, y, groups=None, features=None, scores=None, **validation
    ):
        self._check_params()
        extras = Extras(**validation, features=features, scores=scores)
        if groups is not None and self.group_column is not None:
            raise ValueError(
                "groups must be left out where group_column names them. Got groups and "
                f"group_column={self.group_column!r}."
            )
        if extras.groups_val is not None and extras.X_val is None:
            raise ValueError("groups_val must come with X_val. X_val is None.")
        _measuring.check_scoring(self, extras)
        print_ = None
        if self.warm_start:
            print_ = _measuring.fingerprint(self, X, y, groups, vars(extras))
        rng = check_random_state(self.random_state)
        # Drawn first, so that query models and quotas do not move the selection.
        seed = draw_seed(rng)
        numbers = Numbers(rng, np.random.RandomState([seed, 1]))
        needs_numbers = self.estimator is None and _measuring.asks_models(self, extras)
        data = _inputs.validate(self, X, y, groups, needs_numbers=needs_numbers)
        if features is not None:
            extras.features = _inputs.given_features(features, len(data.y))
        known = self._known(data, seed, print_)
        n_select = None
        if fixed_quotas(self, known) is None:
            n_select = target_size(self, known.counts)
        if self.n_steps == 1:
            measured, models = _measuring.measure(self, data, extras, numbers, known)
            choice = choose(self, measured, n_select)
        else:
            n_select = self._check_steps(n_select)
            measured, models, choice = choose_by_steps(
                self, data, extras, numbers, known, n_select
            )
        is_known = hasattr(self, "_measured") and known is self._measured
        self._start(measured)
        self._keep_models(models, is_known)
        self._data = X, y
        self._take(choice, measured, self)

    def _check_params(self) -> None:
        if isinstance(self.sampling_strategy, Real) or (
            isinstance(self.sampling_strategy, str) and self.sampling_strategy != "auto"
        ):
            raise InvalidParameterError(
                "The 'sampling_strategy' parameter of DRoPSampler must be 'auto', a "
                f"dict or a callable. Got {self.sampling_strategy!r} instead. For the "
                "fraction of rows to keep use density, for other rules quota."
            )
        self._validate_params()
        if isinstance(self.validation, type):
            raise TypeError(
                "validation must be an instance. Got the class "
                f"{self.validation.__name__} instead: write "
                f"validation={self.validation.__name__}()."
            )

    def _check_steps(self, n_select: int | None) -> int:
        if n_select is None or self.recalls is not None:
            what = "recalls are given" if n_select is not None else "numbers are given"
            raise ValueError(
                f"n_steps must be 1 where {what}, since each step finds its own. Got "
                f"n_steps={self.n_steps!r} instead."
            )
        return n_select

    def _known(self, data, seed: int, print_: str | None) -> Measurements:
        """Return what is known of the rows: from the last fit, or their classes."""
        last = getattr(self, "_measured", None)
        if print_ is not None and last is not None and last.fingerprint == print_:
            return last
        return Measurements(
            classes=data.classes,
            class_codes=data.class_codes,
            group_names=data.group_names,
            codes=data.codes,
            by_group=data.by_group,
            seed=seed,
            fingerprint=print_,
        )

    def _start(self, measured: Measurements) -> None:
        """Take measurements as the fitted ones."""
        self._data = None
        self._measured = measured
        self.classes_, self.groups_ = measured.classes, measured.group_names
        self.class_counts_ = measured.counts
        self.scores_ = measured.scores
        self.training_dynamics_ = measured.dynamics

    def _keep_models(self, models: Models, is_known: bool) -> None:
        """Take models that were trained now; after a warm start others stay."""
        for name, trained in vars(models).items():
            if trained or not is_known:
                setattr(self, f"{name}_estimators_", trained)

    def _take(self, choice: Choice, measured: Measurements, settings: Any) -> None:
        """Set the attributes that describe a choice."""
        self.quotas_ = choice.quotas
        self.class_recalls_, self.class_errors_ = choice.recalls, choice.errors
        self.class_densities_ = choice.quotas / self.class_counts_
        self.target_size_ = int(choice.quotas.sum())
        self.sampling_strategy_ = dict(
            zip(self.groups_.tolist(), choice.quotas.tolist(), strict=True)
        )
        self.sample_indices_ = choice.rows
        self._report(measured, settings)

    def _kept(self, X: Any, y: Any) -> tuple[Any, Any]:
        kept = self.sample_indices_
        return _safe_indexing(_inputs.indexable(X), kept), _safe_indexing(y, kept)

    def _measurements(self) -> Measurements:
        check_is_fitted(self)
        if self.n_steps > 1:
            raise ValueError(
                "n_steps must be 1 for resample and save: several steps train anew at "
                f"each. Got n_steps={self.n_steps!r}: use fit_resample."
            )
        return self._measured

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_measured")

    def _rows_of_the_fit(self) -> tuple[Any, Any]:
        data = getattr(self, "_data", None)
        if data is None:
            raise ValueError(
                "X and y must be passed: a sampler that was pickled, copied or loaded "
                "holds no rows. Got None."
            )
        return data

    def _check_same_rows(self, X: Any, y: Any, measured: Measurements) -> None:
        n_columns = getattr(self, "n_features_in_", None)
        shape = getattr(X, "shape", ())
        if n_columns and len(shape) > 1 and math.prod(shape[1:]) != n_columns:
            raise ValueError(
                f"X must have the {n_columns} columns of the fit. Got "
                f"{math.prod(shape[1:])} instead."
            )
        X = untensored("X", X)
        n_rows = shape[0] if shape else len(X) if is_sequence(X) else None
        if n_rows != len(measured.codes):
            raise ValueError(
                f"X must be the {len(measured.codes)} rows of the fit. Got "
                f"{shown(X) if n_rows is None else f'{n_rows} rows'} instead."
            )
        labels = _inputs.as_labels(y)
        if len(labels) != len(measured.codes):
            raise ValueError(
                f"X and y must be the {len(measured.codes)} rows of the fit. Got "
                f"{len(labels)} labels instead."
            )
        if labels.dtype.names or not np.array_equal(labels, measured.y):
            raise ValueError(
                "X and y must be the rows of the fit, in its order. Got other labels: "
                "use fit_resample for other rows."
            )

    def _report(self, measured: Measurements, settings: Any) -> None:
        errors = measured.errors
        n_validation = np.zeros(len(self.groups_), dtype=np.int64)
        if errors is not None:
            n_validation = errors.n_rows.astype(np.int64)
        self.quota_report_ = {
            "group" if measured.by_group else "class": self.groups_,
            "count": self.class_counts_,
            "recall": self.class_recalls_,
            "n_validation": n_validation,
            "error": self.class_errors_,
            "density": self.class_densities_,
            "kept": self.quotas_,
        }
        is_ruled = settings.sampling_strategy == "auto" and settings.quota == "drop"
        if errors is None or not is_ruled:
            return
        uniform = self.class_counts_ * self.target_size_ / self.class_counts_.sum()
        # One row less than the bound is rounding.
        starved = (self.quotas_ + 1 < _STARVED * uniform) & (
            errors.n_wrong_rows < _FEW_ERRORS
        )
        if starved.any():
            warnings.warn(
                f"Classes {self.groups_[starved].tolist()} keep less than a quarter of "
                "their uniform share because of recalls that rest on fewer than "
                f"{_FEW_ERRORS} errors. Consider smoothing='auto' and a larger "
                "uniform_mix.",
                UserWarning,
                stacklevel=5,
            )
