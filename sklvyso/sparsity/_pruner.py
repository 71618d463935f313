"""The estimator: prune a network to a true budget, train it, predict."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from sklvyso._arguments import check_flag
from sklvyso._compat import Interval, StrOptions
from sklvyso._validation import check_classification_targets, validate_data
from sklvyso._versioned import VersionedEstimator
from sklvyso.networks import as_rows, draw_seed
from sklvyso.sparsity import _pruner_steps as steps
from sklvyso.sparsity._compact import compact
from sklvyso.sparsity._connectivity import GRANULARITIES
from sklvyso.sparsity._export import export_module
from sklvyso.sparsity._prune_module import QUOTAS, TARGETS, Pruning, prune
from sklvyso.sparsity._report import SparsityReport
from sklvyso.sparsity._score_arguments import METHODS

DEFAULT_SPARSITY = 0.9
_TRAINED_FIRST = ("magnitude", "lamp")
# What chose the masks; it may not change while they hold.
_FIXED = (
    "pruner",
    "quota",
    "sparsity",
    "compression",
    "target",
    "exclude",
    "min_per_layer",
    "granularity",
    "apply",
)


class EffectiveSparsityPruner(ClassifierMixin, VersionedEstimator, BaseEstimator):
    """Classifier on a network that is pruned to a true budget before it is trained.

    A pruned network keeps weights that lie on no way from an input to an output: they
    are stored and trained, and carry no signal. This estimator counts what is left
    without them (the *effective* sparsity), prunes until that meets the budget, trains
    what is kept, and hands over a smaller network (:meth:`compact`).

    - Any pruner (``pruner``) with any share of layers (``quota``), aimed at effective
      or direct sparsity.
    - Pruned weights are exactly zero at all times: after each step of the optimiser,
      in ``partial_fit``, in continued training, in pickles.
    - A budget that leaves no way through the network is told before training.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : NetworkClassifier, skorch net, torch.nn.Module or str, default=None
        The network and how it is trained; cloned. None is a
        :class:`~sklvyso.NetworkClassifier`; a module, module class or registered name
        goes into one.
    pruner : str or callable, default="synflow"
        How weights are ranked, see :func:`~sklvyso.sparsity.prune_scores`:
        ``"synflow"``, ``"random"``, ``"magnitude"``, ``"lamp"``, ``"snip"``,
        ``"snip_iterative"``, ``"force"``, ``"grasp"``, or a callable.
    quota : str, array-like, dict or callable, default=None
        How layers share the budget: None ranks all weights together (``"igq"`` for
        random pruning), else ``"uniform"``, ``"uniform_plus"``, ``"erk"``,
        ``"erk_redistribute"``, ``"igq"``, ``"smart"``, ``"synflow"``, ``"snip"``, or
        layer sparsities, see :func:`~sklvyso.sparsity.layer_quotas`.
    sparsity : float, default=None
        Share of weights to remove, in [0, 1].
    compression : float, default=None
        Weights in all by weights left, >= 1: a sparsity of ``1 - 1 / compression``.
        Give one of the two; both None is a sparsity of 0.9, or that of ``quota`` where
        it is an array or a dict.
    target : {"effective", "direct"}, default="effective"
        Which sparsity meets the budget.
    dense_epochs : int, default=None
        For ``"magnitude"`` and ``"lamp"``: epochs of dense training before weights are
        ranked. None is as many as the estimator trains (the paper); 0 ranks initial
        weights. Other pruners rank initial weights always.
    rewind : {"init", "none"} or int, default="init"
        After dense training: back to the initial weights (the paper), on from the
        final ones, or back to those after this many steps of the optimiser.
    n_iterations : int or "auto", default="auto"
        Steps of iterative pruners: 100 for SynFlow, 300 for iterative SNIP, 10 for
        FORCE.
    score_batch_size : int, default=128
        Rows of a batch when scores are computed.
    n_score_samples : int, default=None
        Number of training rows for SNIP, GraSP and FORCE, drawn by class in equal
        parts. None takes all, for GraSP 25 of each class.
    exclude : sequence of str, default=()
        Regular expressions of weight names that are neither pruned nor counted.
    min_per_layer : int, default=0
        Weights that each layer keeps at least; 1 rules out layer collapse.
    granularity : {"pixel", "channel"}, default="pixel"
        As in :func:`~sklvyso.sparsity.effective_masks`.
    rules : dict, default=None
        As in :func:`~sklvyso.sparsity.effective_masks`.
    apply : {"direct", "effective"}, default="direct"
        Which weights train: all that are kept (the paper), or the active ones only.
    input_shape : tuple of int, default=None
        Shape of one sample, channels last. None leaves it to the estimator.
    max_epochs : int, default=None
        Passes over the training set. None leaves it to the estimator.
    warm_start : bool, default=False
        Let ``fit`` train the pruned network further.
    device : str or torch.device, default=None
        None leaves it to the estimator, whose ``"auto"`` is the GPU when there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the network, its training, and random choices of the pruner.
    verbose : int, default=0
        1 shows progress.

    Attributes
    ----------
    estimator_ : NetworkClassifier or SkorchClassifier
        The fitted network; its skorch net is ``estimator_.net_``.
    module_ : torch.nn.Module
        The pruned and trained module.
    masks_ : dict of str to ndarray of bool
        Weight name to kept weights, torch layout.
    effective_masks_ : dict of str to ndarray of bool
        Weight name to active weights.
    report_ : SparsityReport
        Both sparsities, as a whole and by layer.
    direct_sparsity_, effective_sparsity_ : float
        Shares of weights pruned, and without signal.
    direct_compression_, effective_compression_ : float
        1 / (1 - sparsity); inf when nothing is left.
    effective_sparsity_next_ : float
        Effective sparsity if one more weight went: above the target. nan for
        ``target="direct"``.
    n_pruned_ : int
        Number of pruned weights.
    layer_report_ : list of dict
        As ``report_.layers``.
    scores_ : dict of str to ndarray of float64
        What the weights were ranked by; higher is kept.
    collapsed_layers_ : list of str
        Layers without any kept weight.
    n_disconnected_inputs_, n_disconnected_outputs_ : int
        Input values that reach no output, outputs that no input reaches.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    input_shape_ : tuple of int
        Shape of one sample, channels last; as the module takes it for a skorch net.
    n_features_in_ : int
        Number of values of one sample.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, when ``X`` was a data frame with string columns.
    n_iter_ : int
        Epochs run.
    history_ : list of dict
        As of :class:`~sklvyso.NetworkClassifier`.

    See Also
    --------
    sklvyso.sparsity.effective_masks : Which weights of any pruned network are active.
    sklvyso.sparsity.prune_module : Masks of a module without an estimator.
    sklvyso.NetworkClassifier : The classifier that is pruned.

    Notes
    -----
    The defaults aim at the effective sparsity and start from SynFlow, which needs no
    data and leaves next to nothing inactive. The paper's plain setting is
    ``target="direct"``.

    References
    ----------
    .. [1] A. Vysogorets, J. Kempe, "Connectivity Matters: Neural Network Pruning
       Through the Lens of Effective Sparsity", JMLR 24(99), 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklvyso import EffectiveSparsityPruner, NetworkClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = NetworkClassifier(input_scale=1 / 16, lr=1e-2)
    >>> pruner = EffectiveSparsityPruner(network, compression=20, random_state=0)
    >>> pruner = pruner.fit(X_train, y_train)
    >>> round(pruner.effective_compression_, 1), pruner.score(X_test, y_test) > 0.9
    (20.0, True)
    """

    _needed_state = ("estimator_",)
    _parameter_constraints: dict[str, list] = {
        "estimator": "no_validation",  # type: ignore[dict-item]
        "pruner": [StrOptions(set(METHODS)), callable],
        "quota": [StrOptions(set(QUOTAS)), "array-like", dict, callable, None],
        "sparsity": [Interval(Real, 0, 1, closed="both"), None],
        "compression": [Interval(Real, 1, None, closed="left"), None],
        "target": [StrOptions(set(TARGETS))],
        "dense_epochs": [Interval(Integral, 0, None, closed="left"), None],
        "rewind": [
            StrOptions({"init", "none"}),
            Interval(Integral, 0, None, closed="left"),
        ],
        "n_iterations": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "score_batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_score_samples": [Interval(Integral, 1, None, closed="left"), None],
        "exclude": [tuple, list],
        "min_per_layer": [Interval(Integral, 0, None, closed="left")],
        "granularity": [StrOptions(set(GRANULARITIES))],
        "rules": [dict, None],
        "apply": [StrOptions({"direct", "effective"})],
        "input_shape": [tuple, list, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
        "device": [str, torch.device, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    estimator_: Any
    report_: SparsityReport
    masks_: dict[str, np.ndarray]

    def __init__(
        self,
        estimator: Any = None,
        *,
        pruner: str | Callable[..., Any] = "synflow",
        quota: Any = None,
        sparsity: float | None = None,
        compression: float | None = None,
        target: str = "effective",
        dense_epochs: int | None = None,
        rewind: str | int = "init",
        n_iterations: int | str = "auto",
        score_batch_size: int = 128,
        n_score_samples: int | None = None,
        exclude: Sequence[str] = (),
        min_per_layer: int = 0,
        granularity: str = "pixel",
        rules: Mapping[Any, Any] | None = None,
        apply: str = "direct",
        input_shape: Sequence[int] | None = None,
        max_epochs: int | None = None,
        warm_start: bool = False,
        device: str | torch.device | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.pruner = pruner
        self.quota = quota
        self.sparsity = sparsity
        self.compression = compression
        self.target = target
        self.dense_epochs = dense_epochs
        self.rewind = rewind
        self.n_iterations = n_iterations
        self.score_batch_size = score_batch_size
        self.n_score_samples = n_score_samples
        self.exclude = exclude
        self.min_per_layer = min_per_layer
        self.granularity = granularity
        self.rules = rules
        self.apply = apply
        self.input_shape = input_shape
        self.max_epochs = max_epochs
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ------------------------------------------------------------------

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> EffectiveSparsityPruner:
        """Prune a fresh network and train what is left.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Training rows or images.
        y : array-like of shape (n,)
            Labels of any kind.
        sample_weight : array-like of shape (n,), default=None
            Weights >= 0 of the rows, in the loss and in scores.

        Returns
        -------
        self : EffectiveSparsityPruner
            The fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are not valid, a quota cannot be met, or the training
            diverges.
        """
        self._validate_params()
        goes_on = self.warm_start and self.__sklearn_is_fitted__()
        data = self._validate_training(X, y, sample_weight, reset=not goes_on)
        if goes_on:
            self._check_unchanged()
            estimator = self.estimator_
        else:
            self._forget()
            estimator = self._pruned_estimator(*data)
        try:
            estimator.train(*data)
        except BaseException:
            # The network is that of its last whole epoch.
            if self.warm_start:
                self._keep(estimator)
            raise
        return self._keep(estimator)

    def prune(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> EffectiveSparsityPruner:
        """Prune a fresh network and do not train it.

        All attributes are there afterwards; ``partial_fit``, or ``fit`` with
        ``warm_start=True``, trains on.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Training rows or images.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights >= 0 of the rows in scores.

        Returns
        -------
        self : EffectiveSparsityPruner
            With an untrained, pruned network.
        """
        self._validate_params()
        data = self._validate_training(X, y, sample_weight, reset=True)
        self._forget()
        return self._keep(self._pruned_estimator(*data))

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> EffectiveSparsityPruner:
        """Train the pruned network for one epoch; the first call prunes it.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Training rows or images.
        y : array-like of shape (n,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed at the first call unless ``y`` holds
            them all.
        sample_weight : array-like of shape (n,), default=None
            Weights >= 0 of the rows.

        Returns
        -------
        self : EffectiveSparsityPruner
            The fitted classifier.
        """
        self._validate_params()
        first = not self.__sklearn_is_fitted__()
        X, y, weight = self._validate_training(X, y, sample_weight, reset=first)
        if first:
            estimator = self._pruned_estimator(X, y, weight, classes=classes)
        else:
            self._check_unchanged()
            estimator = self.estimator_
        estimator.partial_fit(X, y, classes=classes, sample_weight=weight)
        return self._keep(estimator)

    def _target_sparsity(self) -> float | None:
        if self.sparsity is not None and self.compression is not None:
            raise ValueError(
                "sparsity and compression exclude each other. Got sparsity="
                f"{self.sparsity!r} and compression={self.compression!r}: leave one "
                "None."
            )
        if self.compression is not None:
            return 1 - 1 / self.compression if math.isfinite(self.compression) else 1.0
        if self.sparsity is not None:
            return float(self.sparsity)
        # Layer sparsities have a total of their own.
        is_given = not (
            self.quota is None or isinstance(self.quota, str) or callable(self.quota)
        )
        return None if is_given else DEFAULT_SPARSITY

    def _validate_training(self, X, y, sample_weight, *, reset):
        rows, image_shape = as_rows(X)
        rows, y = validate_data(
            self, rows, y, dtype=(np.float32, np.uint8), reset=reset
        )
        check_classification_targets(y)
        if image_shape is not None:
            rows = rows.reshape(len(rows), *image_shape)
        return rows, y, sample_weight

    def _pruned_estimator(self, X, y, sample_weight, classes=None):
        """Make the network, choose and apply its masks."""
        sparsity = self._target_sparsity()
        rng = check_random_state(draw_seed(self.random_state))
        prototype = steps.make_estimator(self, rng)
        estimator = steps.initialized(prototype, X, y, sample_weight, classes)
        start = None
        if self.pruner in _TRAINED_FIRST and self.dense_epochs != 0:
            ranked, start = steps.train_dense(self, prototype, X, y, sample_weight)
        else:
            ranked = estimator.module_
        rows = steps.scoring_rows(self, estimator, X, y, sample_weight, rng)
        pruning = prune(
            ranked,
            self.pruner,
            sparsity=sparsity,
            target=self.target,
            quota=self.quota,
            input_shape=steps.sample_shape(estimator),
            min_per_layer=self.min_per_layer,
            granularity=self.granularity,
            rules=self.rules,
            exclude=self.exclude,
            random_state=draw_seed(rng),
            batch_size=int(self.score_batch_size),
            n_iterations=self.n_iterations,
            verbose=self.verbose,
            **rows,
        )
        if start is not None:
            estimator.module_.load_state_dict(start)
        self._store(pruning)
        self._pruned_with = {name: getattr(self, name) for name in _FIXED}
        if self.verbose:
            report = pruning.report
            tqdm.write(
                f"{report.n_kept} of {report.n_weights} weights kept, "
                f"{report.n_active} active",
                file=sys.stderr,
            )
        masks = pruning.masks
        if self.apply == "effective":
            masks = pruning.report.effective_masks
        steps.hold(estimator, masks)
        self._warn_of_cuts()
        return estimator

    def _store(self, pruning: Pruning) -> None:
        report = pruning.report
        self.report_ = report
        self.masks_ = report.masks
        self.effective_masks_ = report.effective_masks
        self.direct_sparsity_ = report.direct_sparsity
        self.effective_sparsity_ = report.effective_sparsity
        self.direct_compression_ = report.direct_compression
        self.effective_compression_ = report.effective_compression
        self.effective_sparsity_next_ = pruning.next_sparsity
        self.n_pruned_ = pruning.n_pruned
        self.layer_report_ = report.layers
        self.scores_ = pruning.scores
        self.collapsed_layers_ = report.collapsed_layers
        self.n_disconnected_inputs_ = report.n_disconnected_inputs
        self.n_disconnected_outputs_ = report.n_disconnected_outputs

    def _warn_of_cuts(self) -> None:
        report = self.report_
        if report.n_active:
            if report.n_disconnected_outputs:
                warnings.warn(
                    f"{report.n_disconnected_outputs} of the network's outputs are cut "
                    "off from all inputs: these classes get a constant score. Lower "
                    "the sparsity, or share it otherwise (quota, min_per_layer=1).",
                    UserWarning,
                    stacklevel=4,
                )
            return
        where = report.collapsed_layers or report.blocked_layers
        what = "keep no weight" if report.collapsed_layers else "pass no signal on"
        warnings.warn(
            "The pruned network is dead: no input reaches an output, and training "
            f"can only move biases. These layers {what}: {', '.join(where)}. Lower the "
            f"sparsity (it is {report.direct_sparsity:.6g} by count), share it "
            'otherwise (quota="igq", min_per_layer=1), or aim at the effective '
            'sparsity (target="effective").',
            UserWarning,
            stacklevel=4,
        )

    def _check_unchanged(self) -> None:
        for name, before in self._pruned_with.items():
            now = getattr(self, name)
            if now is not before and repr(now) != repr(before):
                raise ValueError(
                    f"{name} cannot change while a pruned network trains on "
                    f"(warm_start or partial_fit). Got {now!r} after {before!r}: fit "
                    "with warm_start=False to prune anew."
                )

    def _forget(self) -> None:
        self.__dict__.pop("estimator_", None)

    def _keep(self, estimator) -> EffectiveSparsityPruner:
        self.estimator_ = estimator
        self.classes_ = estimator.classes_
        self.input_shape_ = tuple(estimator.input_shape_)
        self.n_iter_ = estimator.n_iter_
        self.history_ = estimator.history_
        return self

    # -- predicting ---------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @property
    def module_(self) -> torch.nn.Module:
        """The pruned and trained module."""
        check_is_fitted(self)
        return self.estimator_.module_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most likely label of each row.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images.

        Returns
        -------
        labels : ndarray of shape (n,)
            Of the kind that ``fit`` got.
        """
        rows = self._validate_rows(X)
        return self.estimator_.predict(rows)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images.

        Returns
        -------
        proba : ndarray of shape (n, n_classes), dtype float32
            Columns in the order of ``classes_``.
        """
        rows = self._validate_rows(X)
        return self.estimator_.predict_proba(rows)

    def _validate_rows(self, X):
        check_is_fitted(self)
        rows, image_shape = as_rows(X)
        rows = validate_data(self, rows, dtype=(np.float32, np.uint8), reset=False)
        return rows if image_shape is None else rows.reshape(len(rows), *image_shape)

    # -- what is left -------------------------------------------------------------

    def report(self):
        """Return the sparsity of each layer as a pandas data frame.

        Returns
        -------
        frame : pandas.DataFrame
            One row a layer: ``shape``, ``n_weights``, ``kept``, ``active``,
            ``direct_sparsity``, ``effective_sparsity``.
        """
        check_is_fitted(self)
        return self.report_.to_frame()

    def compact(self) -> torch.nn.Module:
        """Return the same network without its dead units and channels.

        Returns
        -------
        module : torch.nn.Module
            As :func:`~sklvyso.sparsity.compact` gives it, in evaluation mode, on the
            CPU. It takes what ``module_`` takes.
        """
        check_is_fitted(self)
        return compact(
            self.module_,
            self.masks_,
            steps.sample_shape(self.estimator_),
            rules=self.rules,
        )

    def export(self, path: str | Path, *, compacted: bool = True) -> Path:
        """Write the network to a file.

        Parameters
        ----------
        path : str or Path
            The suffix says how: ``.pt`` or ``.safetensors`` (state dict), ``.pt2``
            (:func:`torch.export.save`), ``.onnx``.
        compacted : bool, default=True
            Whether dead units are taken out first.

        Returns
        -------
        path : Path
            Where it lies.
        """
        check_is_fitted(self)
        compacted = check_flag("compacted", compacted)
        module = self.compact() if compacted else self.module_
        return export_module(module, path, steps.sample_shape(self.estimator_))
