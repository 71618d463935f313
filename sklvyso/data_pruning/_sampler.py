"""DRoPSampler: prune training rows so that the worst class does not pay.

Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR 2025.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from imblearn.base import BaseSampler
from numpy.typing import ArrayLike
from sklearn.utils import _safe_indexing, check_random_state

from sklvyso._compat import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
    transformed_metadata,
)
from sklvyso.data_pruning import _inputs
from sklvyso.data_pruning._query import default_query_model
from sklvyso.data_pruning._quotas import (
    balanced_quotas,
    drop_quotas,
    uniform_quotas,
)
from sklvyso.data_pruning._recalls import (
    HeldOutErrors,
    external_errors,
    held_out_errors,
    make_splits,
    smoothed_errors,
)
from sklvyso.networks import adopt_estimator, draw_seed

# Below this share of its uniform quota a class counts as starved, and below this
# number of errors its recall as uncertain.
_STARVED = 0.25
_FEW_ERRORS = 5


class DRoPSampler(BaseSampler):
    """Keep a fraction of the training rows, more of the classes with larger error.

    A query model measures the recall of each class on rows it has not seen; each class
    keeps rows in proportion to its error, drawn at random within the class. Average
    accuracy falls a little less or more than with random pruning, the recall of the
    worst class much less, or it rises.

    - The number of kept rows is exact: ``round(density * n)``, half up.
    - Rows keep their order and container: array, list, data frame, sparse, images.
    - With ``groups`` the quotas are by group, and recall is accuracy within the group.

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
    quota : {"drop", "uniform", "balanced"}, dict or callable, default="drop"
        Rows to keep of each class. ``"drop"``: by error. ``"uniform"``: the same
        fraction of each. ``"balanced"``: the same number of each as far as there are
        enough. A dict maps labels to numbers; classes not named stay whole. A callable
        ``quota(recalls, class_counts, n_select)`` returns one integer a class. Dicts
        and callables overrule ``density``.
    allocation : {"density", "count"}, default="density"
        Whether the kept *fraction* (the paper) or the kept *number* (its reference
        code) of a class is proportional to its error. The same for balanced classes.
    recalls : array-like of shape (n_classes,) or dict, default=None
        Recalls in [0, 1], in the order of the sorted labels or by label; then nothing
        is trained, and ``smoothing`` does not act.
    validation : int, float or splitter, default=5
        Where the recalls come from: folds of a stratified cross-validation, the share
        of one stratified hold-out, or a scikit-learn splitter. ``X_val`` and ``y_val``
        of :meth:`fit_resample` overrule it (the paper's protocol).
    group_column : int or str, default=None
        Column of ``X`` that holds the group of each row, the road to group quotas where
        ``groups`` cannot be passed. The query model does not see it; the kept rows do.
    n_query : int, default=1
        How often the query model is fitted anew, with other seeds and folds; recalls
        are averaged (the paper: 5).
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
    sampling_strategy : "auto", dict or callable, default="auto"
        imbalanced-learn's parameter. ``"auto"`` leaves the quotas to ``quota``; a dict,
        or a callable that gets ``y`` and returns one, is as ``quota=dict``.
    random_state : int, RandomState instance or None, default=None
        Seeds the query models (where their own seed is None), folds, and selection. At
        one seed the rows of a class come in one order whatever the quotas: a larger
        quota keeps the rows of a smaller one and more, so that densities and rules are
        compared without that noise.
    n_jobs : int, default=None
        Query fits in parallel.
    verbose : int, default=0
        1 shows a progress bar over the query fits.

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
    query_estimators_ : list of classifiers
        The fitted query models.
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
    imblearn.under_sampling.RandomUnderSampler : Balances counts, whatever the errors.

    Notes
    -----
    The defaults depart from the paper: its bare rule starves classes that the query
    model hardly ever gets wrong. On scikit-learn's digits, with 90 training rows a
    class, these classes then become the worst (see ``benchmarks/drop_defaults.py``).
    ``smoothing="auto"`` and ``uniform_mix=0.25`` keep the gain where classes really
    differ and fall back to nearly uniform pruning where they do not.
    ``smoothing=0, uniform_mix=0, min_per_class=0`` is the paper.

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

    _parameter_constraints: dict[str, list] = {
        "estimator": [HasMethods(["fit", "predict"]), str, callable, None],
        "density": [
            Interval(RealNotInt, 0, 1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "quota": [StrOptions({"drop", "uniform", "balanced"}), dict, callable],
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

    def __init__(
        self,
        estimator: Any = None,
        *,
        density: float = 0.5,
        quota: Any = "drop",
        allocation: str = "density",
        recalls: ArrayLike | Mapping[Any, float] | None = None,
        validation: Any = 5,
        group_column: int | str | None = None,
        n_query: int = 1,
        smoothing: float | str = "auto",
        uniform_mix: float = 0.25,
        min_per_class: int = 1,
        sampling_strategy: Any = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        super().__init__(sampling_strategy=sampling_strategy)
        self.estimator = estimator
        self.density = density
        self.quota = quota
        self.allocation = allocation
        self.recalls = recalls
        self.validation = validation
        self.group_column = group_column
        self.n_query = n_query
        self.smoothing = smoothing
        self.uniform_mix = uniform_mix
        self.min_per_class = min_per_class
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    # -- public -------------------------------------------------------------------

    def fit(self, X: Any, y: ArrayLike, **params: Any) -> DRoPSampler:
        """Measure recalls and select rows; see ``sample_indices_``.

        Parameters
        ----------
        X : array-like, data frame, sparse matrix, images or texts, n rows
            Training rows.
        y : array-like of shape (n,)
            Labels.
        **params : dict
            ``groups``, ``X_val``, ``y_val`` and ``groups_val`` of
            :meth:`fit_resample`. They are not named here because a Pipeline would then
            want a metadata request for ``fit`` as well.

        Returns
        -------
        self : DRoPSampler
            The fitted sampler.
        """
        unknown = set(params) - {"groups", "X_val", "y_val", "groups_val"}
        if unknown:
            raise TypeError(
                "fit takes groups, X_val, y_val and groups_val beside X and y. Got "
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
    ) -> tuple[Any, Any]:
        """Measure recalls, select rows, and return them.

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
        self._select(
            X, y, groups=groups, X_val=X_val, y_val=y_val, groups_val=groups_val
        )
        kept = self.sample_indices_
        return _safe_indexing(_inputs.indexable(X), kept), _safe_indexing(y, kept)

    def _fit_resample(self, X, y, **params):  # abstract in the base class
        return self.fit_resample(X, y, **params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.sampler_tags.sample_indices = True
        tags.input_tags.three_d_array = True
        return tags

    # -- steps --------------------------------------------------------------------

    def _select(self, X, y, groups=None, X_val=None, y_val=None, groups_val=None):
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
        rng = check_random_state(self.random_state)
        # Drawn first, so that query models and quotas do not move the selection.
        selection_rng = np.random.RandomState(draw_seed(rng))
        data = _inputs.validate(
            self, X, y, groups, needs_numbers=self._asks_default_model()
        )
        self.classes_, self.groups_ = data.classes, data.group_names
        self.class_counts_ = np.bincount(data.codes, minlength=len(self.groups_))
        self.query_estimators_: list = []
        fixed = self._fixed_quotas(y)
        n_select = self._n_select(len(data.codes)) if fixed is None else 0
        errors = self._measure(data, fixed, X_val, y_val, groups_val, rng)
        self.quotas_ = self._quotas(n_select) if fixed is None else fixed
        self.class_densities_ = self.quotas_ / self.class_counts_
        self.target_size_ = int(self.quotas_.sum())
        self.sampling_strategy_ = dict(
            zip(self.groups_.tolist(), self.quotas_.tolist(), strict=True)
        )
        self.sample_indices_ = select_rows(data.codes, self.quotas_, selection_rng)
        self._report(errors, by_group=data.by_group)

    def _asks_models(self) -> bool:
        return (
            self.sampling_strategy == "auto"
            and self.recalls is None
            and (self.quota == "drop" or callable(self.quota))
        )

    def _asks_default_model(self) -> bool:
        return self.estimator is None and self._asks_models()

    def _n_select(self, n_rows: int) -> int:
        if isinstance(self.density, Integral) and not isinstance(self.density, bool):
            n_select = int(self.density)
            # 1 as an integer would be one row; nobody means that.
            n_select = n_rows if n_select == 1 else n_select
        else:
            # 0.145 * 100 is 14.499999999999998 in binary
            n_select = math.floor(round(self.density * n_rows, 9) + 0.5)
        if callable(self.quota):  # it may keep what it wants
            return min(max(n_select, 1), n_rows)
        least = int(np.minimum(self.min_per_class, self.class_counts_).sum())
        if not max(least, 1) <= n_select <= n_rows:
            raise ValueError(
                f"density must keep between {max(least, 1)} rows "
                f"(min_per_class={self.min_per_class} of {len(self.groups_)} classes) "
                f"and all {n_rows} rows. Got density={self.density!r}, that is "
                f"{n_select} rows."
            )
        return n_select

    def _fixed_quotas(self, y) -> np.ndarray | None:
        """Quotas that the user gave by number, else None."""
        wanted = self.sampling_strategy
        name = "sampling_strategy"
        if callable(wanted):
            wanted = wanted(y)
            if not isinstance(wanted, dict):
                raise ValueError(
                    "sampling_strategy must return a dict of labels and numbers. It "
                    f"returned {wanted!r}."
                )
        if isinstance(wanted, str):
            wanted, name = self.quota, "quota"
        if not isinstance(wanted, dict):
            return None
        quotas = self.class_counts_.copy()
        position = {label: i for i, label in enumerate(self.groups_.tolist())}
        for label, number in wanted.items():
            key = label.item() if isinstance(label, np.generic) else label
            if key not in position:
                raise ValueError(
                    f"{name} must name classes or groups of the data, "
                    f"{list(position)}. Got {label!r}."
                )
            here = position[key]
            if (
                not isinstance(number, int | np.integer)
                or not 0 <= number <= quotas[here]
            ):
                raise ValueError(
                    f"{name} of class {label!r} must be an integer from 0 to "
                    f"{quotas[here]}, its number of rows. Got {number!r} instead."
                )
            quotas[here] = number
        if not quotas.any():
            raise ValueError(f"{name} must keep at least one row. Got {wanted!r}.")
        return quotas

    def _measure(self, data, fixed, X_val, y_val, groups_val, rng):
        """Set recalls and errors of the classes; train query models if need be."""
        n_groups = len(self.groups_)
        self.class_recalls_ = np.full(n_groups, np.nan)
        self.class_errors_ = np.full(n_groups, np.nan)
        if fixed is not None or self.quota in ("uniform", "balanced"):
            return None
        if self.recalls is not None:
            self.class_recalls_ = _inputs.given_recalls(self.recalls, self.groups_)
            self.class_errors_ = 1.0 - self.class_recalls_
            return None
        errors = self._ask_query_models(data, X_val, y_val, groups_val, rng)
        unseen = self.groups_[errors.n_asked == 0].tolist()
        if unseen:
            raise ValueError(
                f"There is no validation sample of class {unseen}, so that its recall "
                "is unknown. Use a larger validation part, validation=5 (every row is "
                "validated once), or pass recalls."
            )
        self.query_estimators_ = errors.estimators
        self.class_recalls_ = errors.recalls
        self.class_errors_ = smoothed_errors(errors, self.smoothing)
        return errors

    def _ask_query_models(self, data, X_val, y_val, groups_val, rng) -> HeldOutErrors:
        model, rows = self._query_model(data.rows, data.image_shape)
        settings = {
            "n_query": self.n_query,
            "rng": rng,
            "n_jobs": self.n_jobs,
            "verbose": self.verbose,
        }
        n_groups = len(self.groups_)
        if X_val is not None or y_val is not None:
            X_val, y_val, codes_val = _inputs.validate_external(
                self, data, X_val, y_val, groups_val
            )
            X_val = _inputs.like(
                rows, _inputs.for_model(model, X_val, data.image_shape)
            )
            return external_errors(
                model, rows, data.y, X_val, y_val, codes_val, n_groups, **settings
            )
        strata = data.codes * len(self.classes_) + data.class_codes
        strata = np.unique(strata, return_inverse=True)[1]
        groups = self.groups_[data.codes] if data.by_group else None
        splits_of = partial(make_splits, self.validation, rows, data.y, groups, strata)
        return held_out_errors(
            model,
            rows,
            data.y,
            data.codes,
            n_groups,
            splits_of=splits_of,
            **settings,
        )

    def _query_model(self, rows, image_shape):
        if self.estimator is None:
            return default_query_model(rows)
        model = adopt_estimator(self.estimator, caller=type(self).__name__)
        return model, _inputs.for_model(model, rows, image_shape)

    def _quotas(self, n_select: int) -> np.ndarray:
        counts = self.class_counts_
        if callable(self.quota):
            return _inputs.check_quotas(
                self.quota(self.class_recalls_.copy(), counts.copy(), n_select), counts
            )
        if self.quota == "uniform":
            return uniform_quotas(counts, n_select, min_per_class=self.min_per_class)
        if self.quota == "balanced":
            return balanced_quotas(counts, n_select, min_per_class=self.min_per_class)
        return drop_quotas(
            1.0 - self.class_errors_,
            counts,
            n_select,
            allocation=self.allocation,
            uniform_mix=self.uniform_mix,
            min_per_class=self.min_per_class,
        )

    def _report(self, errors: HeldOutErrors | None, *, by_group: bool) -> None:
        n_validation = np.zeros(len(self.groups_), dtype=np.int64)
        if errors is not None:
            n_validation = errors.n_rows.astype(np.int64)
        self.quota_report_ = {
            "group" if by_group else "class": self.groups_,
            "count": self.class_counts_,
            "recall": self.class_recalls_,
            "n_validation": n_validation,
            "error": self.class_errors_,
            "density": self.class_densities_,
            "kept": self.quotas_,
        }
        if errors is None or self.quota != "drop":
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
                stacklevel=4,
            )


def select_rows(
    codes: np.ndarray, quotas: np.ndarray, rng: np.random.RandomState
) -> np.ndarray:
    """Draw rows of each class at random, without replacement.

    Parameters
    ----------
    codes : ndarray of int of shape (n,)
        Class of each row.
    quotas : ndarray of int of shape (n_classes,)
        Rows to draw of each class, at most as many as there are.
    rng : RandomState
        Source of randomness.

    Returns
    -------
    rows : ndarray of int64
        Ascending positions.
    """
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(quotas)))])
    chosen = [
        rng.permutation(order[start:stop])[:quota]
        for start, stop, quota in zip(starts[:-1], starts[1:], quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))
