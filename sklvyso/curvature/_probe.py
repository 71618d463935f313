"""GoldilocksProbe: the curvature of the loss over scales of the initialisation.

Vysogorets, Dawid, Kempe, "Deconstructing the Goldilocks Zone of Neural Network
Initialization", ICML 2024.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d
from tqdm.auto import tqdm

from sklvyso._compat import HasMethods, Interval, StrOptions
from sklvyso._validation import check_classification_targets, validate_data
from sklvyso._versioned import VersionedEstimator
from sklvyso.curvature import _exact
from sklvyso.curvature._hyperplanes import random_directions
from sklvyso.curvature._measures import (
    curvature_measures,
    homogeneity_degree,
    scale_parameters,
)
from sklvyso.curvature._operators import GaussNewtonOperator
from sklvyso.curvature._problem import (
    Problem,
    log_probabilities,
    parameter_names,
)
from sklvyso.curvature._sweep import average, find_zone, table
from sklvyso.networks import (
    NetworkClassifier,
    NoClosedFormError,
    SkorchClassifier,
    adopt_estimator,
    as_rows,
    draw_seed,
    logits_module,
    scoring_batches,
    set_seeds,
    stratified_rows,
)

_CROSS_ENTROPIES = ("CrossEntropyLoss", "NLLLoss")
_FEATURES = ("confidence", "entropy", "logit_rms", "trace_g")
# Scales from which on a peak at the edge is worth a word.
_FEWEST_FOR_EDGES = 4
# Outputs whose pairs are few enough to serve a sweep with one set of products.
_MOST_PAIRED_OUTPUTS = 20


class GoldilocksProbe(TransformerMixin, VersionedEstimator, BaseEstimator):
    """Measure the curvature of a network's loss over scales of its initialisation.

    Around a random initialisation lies a range of scales in which the Hessian of the
    training loss has far more positive than negative curvature, the Goldilocks zone.
    ``fit`` multiplies the weights by each of ``scales``, measures trace, Frobenius norm
    and positive curvature of the Hessian, of its Gauss-Newton part and of the rest, and
    marks the zone. Nothing is trained.

    - Traces are exact where mathematics allows it, everything else comes with standard
      errors; networks of at most 2,000 parameters are measured exactly.
    - The user's network is only read.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : NetworkClassifier, skorch net, nn.Module or str, default=None
        Network. A class, a name or an unfitted estimator gets a fresh initialisation
        from ``random_state`` for each of ``n_init``; an ``nn.Module`` instance is
        measured at its own weights, and so is a fitted estimator inside
        :class:`sklearn.frozen.FrozenEstimator`. None is a :class:`NetworkClassifier`.
    scale : float, default=1.0
        Scale at which :meth:`score` and :meth:`transform` measure, > 0.
    scales : array-like of shape (n_scales,), default=None
        Scales of the sweep, > 0. None is 25 of them, evenly in the logarithm from 1e-3
        to 1e3; an empty one skips the sweep.
    scale_by : {"weights", "temperature"}, default="weights"
        What ``scale`` and ``scales`` are: a factor on all trainable parameters, or the
        temperature that divides the logits.
    method : {"auto", "exact", "hutchinson"}, default="auto"
        ``"auto"``: exact where that is proved to apply, else estimated. ``"exact"``
        refuses to estimate. ``"hutchinson"`` estimates everything, as the paper does.
    n_probes : int, default=30
        Random vectors of an estimate.
    projection : int, default=None
        Dimension of a random hyperplane in which all is measured (Fort and Scherlis;
        the paper takes 50); None is the whole space.
    projection_kind : {"gaussian", "sparse"}, default="gaussian"
        How the hyperplane is drawn.
    n_projections : int, default=1
        Hyperplanes to average over; the paper takes 3. Without ``projection`` not used.
    n_eigenvalues : int, default=0
        How many eigenvalues of the Hessian to compute, the largest in magnitude. From 1
        on the spectral norms of the three matrices are measured, too.
    density_steps : int, default=0
        Lanczos steps, for each of 4 random vectors, of the spectral density of the
        Hessian; 80 resolve it well. 0 leaves it out.
    params : str or sequence of str, default=None
        Names of parameters or modules to differentiate by; None is all.
    n_samples : int, default=None
        Rows to measure on, a stratified draw; None is all.
    batch_size : int, default=None
        Rows of one graph; None for 512.
    threshold : float, default=0.5
        The zone is where the curvature is at least this share of its maximum, in
        (0, 1].
    dtype : {"float64", "float32"}, default="float64"
        In which products are computed.
    n_init : int, default=1
        Initialisations; results are means over them.
    random_state : int, RandomState instance or None, default=None
        Seeds initialisations, probes, hyperplanes and the draw of rows.
    verbose : int, default=0
        1 shows a progress bar over the scales.

    Attributes
    ----------
    scales_ : ndarray of shape (n_scales,)
        As measured, ascending.
    curvature_ : ndarray of shape (n_scales,)
        Positive curvature of the Hessian, trace over Frobenius norm.
    curvature_stderr_ : ndarray of shape (n_scales,)
        Its standard error: of the probes or, with several, over initialisations or
        hyperplanes. Of a single hyperplane of dimension d, ``sqrt(2 / (d + 1))``: how
        far the curvature in it strays where that of the whole space is 0.
    curvature_g_, curvature_f_ : ndarray of shape (n_scales,)
        The same of the Gauss-Newton part and of the rest.
    trace_, fro_norm_, loss_, accuracy_ : ndarray of shape (n_scales,)
        Of the Hessian; of the network.
    results_ : dict of str to ndarray
        All measures, ready for ``pandas.DataFrame``. For the parts ``h``, ``g`` and
        ``f``, as in ``trace_h``: trace, fro_norm, curvature, each with ``_stderr``, and
        spectral_norm; of the network: loss, accuracy, confidence, entropy, gamma (see
        :func:`gamma_statistic`), logit_rms, zero_logit_fraction, grad_norm and
        prior_mismatch, the distance of mean probabilities from class frequencies;
        frac_positive, the share of positive eigenvalues, where all are known.
    eigenvalues_ : ndarray of shape (n_scales, n_eigenvalues)
        Of the Hessian, by magnitude, descending.
    ritz_residuals_ : ndarray of shape (n_scales, n_eigenvalues)
        ``||H v - w v||`` of each.
    density_ : list of (nodes, weights)
        Spectral density of the Hessian at each scale, as from
        :func:`spectral_density`; empty without ``density_steps``.
    zone_ : tuple of float or None
        First and last scale of the zone, the unbroken range around the peak; None when
        no curvature is above 0 by three standard errors.
    best_scale_ : float
        Scale of the largest curvature; NaN without a sweep.
    degree_ : float
        L if logits are homogeneous of degree L in the weights, else NaN: measured at
        weights nearby, since biases of 0 break it as soon as they move.
    is_homogeneous_ : bool
        Whether they are: then a temperature of ``scale ** -L`` is as good as a scale.
    is_exact_trace_ : bool
        Whether the trace of the Hessian was proved to have an exact formula.
    n_parameters_ : int
        Parameters differentiated by.
    estimator_ : estimator
        The network at its first initialisation, or the given fitted one.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    n_features_in_ : int
        Values of one sample.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, when ``X`` was a data frame with string columns.

    See Also
    --------
    HessianOperator, GaussNewtonOperator : The matrices on their own.
    positive_curvature : The measure on its own.

    Notes
    -----
    The loss is the mean cross-entropy of the logits, whatever class weights or label
    smoothing the estimator trains with.

    Up to 2,000 parameters each scale takes two products for each of them; with slow
    modules, such as attention, ``method="hutchinson"`` takes ``n_probes``.

    Standard errors from few probes are a little small: of 30 probes, 2 of them cover
    about 92 % in our tests instead of 95.

    At scale ``a`` of an L-homogeneous network the Hessian is ``a^-2`` times that at
    temperature ``a^-L``: curvature, loss and confidence are the same.

    References
    ----------
    .. [1] Vysogorets, Dawid, Kempe, "Deconstructing the Goldilocks Zone of Neural
       Network Initialization", ICML 2024.
    .. [2] Fort, Scherlis, "The Goldilocks zone: Towards better understanding of neural
       network loss landscapes", AAAI 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklvyso import GoldilocksProbe, NetworkClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = NetworkClassifier(
    ...     hidden_layer_sizes=(8, 8), module_params={"bias": False}
    ... )
    >>> probe = GoldilocksProbe(network, scales=[0.01, 1.0, 100.0], random_state=0)
    >>> probe.fit(X, y).best_scale_
    1.0
    >>> probe.is_homogeneous_
    True
    """

    _needed_state = ("_seed", "classes_", "estimator_")
    _parameter_constraints: dict[str, list] = {
        "estimator": [HasMethods(["fit", "predict"]), str, callable, None],
        "scale": [Interval(Real, 0, None, closed="neither")],
        "scales": ["array-like", None],
        "scale_by": [StrOptions({"weights", "temperature"})],
        "method": [StrOptions({"auto", "exact", "hutchinson"})],
        "n_probes": [Interval(Integral, 2, None, closed="left")],
        "projection": [Interval(Integral, 1, None, closed="left"), None],
        "projection_kind": [StrOptions({"gaussian", "sparse"})],
        "n_projections": [Interval(Integral, 1, None, closed="left")],
        "n_eigenvalues": [Interval(Integral, 0, None, closed="left")],
        "density_steps": [Interval(Integral, 0, None, closed="left")],
        "params": [str, list, tuple, None],
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "threshold": [Interval(Real, 0, 1, closed="right")],
        "dtype": [StrOptions({"float64", "float32"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        scale: float = 1.0,
        scales: ArrayLike | None = None,
        scale_by: str = "weights",
        method: str = "auto",
        n_probes: int = 30,
        projection: int | None = None,
        projection_kind: str = "gaussian",
        n_projections: int = 1,
        n_eigenvalues: int = 0,
        density_steps: int = 0,
        params: str | Sequence[str] | None = None,
        n_samples: int | None = None,
        batch_size: int | None = None,
        threshold: float = 0.5,
        dtype: str = "float64",
        n_init: int = 1,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.scale = scale
        self.scales = scales
        self.scale_by = scale_by
        self.method = method
        self.n_probes = n_probes
        self.projection = projection
        self.projection_kind = projection_kind
        self.n_projections = n_projections
        self.n_eigenvalues = n_eigenvalues
        self.density_steps = density_steps
        self.params = params
        self.n_samples = n_samples
        self.batch_size = batch_size
        self.threshold = threshold
        self.dtype = dtype
        self.n_init = n_init
        self.random_state = random_state
        self.verbose = verbose

    # -- public -------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike) -> GoldilocksProbe:
        """Measure the curvature at each scale.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images as the estimator takes them.
        y : array-like of shape (n,)
            Labels.

        Returns
        -------
        self : GoldilocksProbe
            With the results.

        Raises
        ------
        ValueError
            If parameters or data are not valid.
        TypeError
            If ``estimator`` is no network.
        """
        self._validate_params()
        if self.method == "exact" and self.projection is not None:
            raise ValueError(
                "method='exact' measures the whole space. Got "
                f"projection={self.projection} too: leave one of them out."
            )
        scales = self._checked_scales()
        rng = check_random_state(self.random_state)
        self._seed = draw_seed(rng)
        y = self._validate(X, y, reset=True)
        n_init = 1 if self._is_given() else self.n_init
        sweeps = []
        networks = [self._network(X, y, rng) for _ in range(n_init)]
        bar = tqdm(
            total=len(scales) * n_init,
            desc="GoldilocksProbe",
            unit="scale",
            disable=not self.verbose,
        )
        with bar:
            for network in networks:
                module, rows, codes = self._tensors(network, X, y)
                sweeps.append(self._sweep(module, rows, codes, scales, bar))
        self.estimator_, self.classes_ = networks[0], networks[0].classes_
        self._describe(*self._tensors(networks[0], X, y))
        self._store(scales, sweeps)
        return self

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the positive curvature of the Hessian at ``scale``.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images.
        y : array-like of shape (n,)
            Labels, all in ``classes_``.

        Returns
        -------
        curvature : float
            Trace over Frobenius norm; NaN where the norm is 0. With the network of the
            first initialisation, and the same probes at each call.
        """
        check_is_fitted(self)
        self._validate_params()
        y = self._validate(X, y, reset=False)
        module, rows, codes = self._tensors(self.estimator_, X, y)
        rng = np.random.RandomState(self._seed)
        hyperplanes = self._hyperplanes(module, rng)
        measures = self._measure(
            module, rows, codes, float(self.scale), hyperplanes, rng
        )
        return measures["curvature_h"]

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return what single rows say of the network at ``scale``.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images.

        Returns
        -------
        features : ndarray of shape (n, 4), dtype float64
            Confidence, entropy in nats, root mean square of the logits, and the row's
            part in the trace of the Gauss-Newton matrix, whose mean is the trace.
        """
        check_is_fitted(self)
        labels = np.repeat(self.classes_[:1], self._validate(X, None, reset=False))
        module, rows, codes = self._tensors(self.estimator_, X, labels, draws=False)
        module, temperature = self._at(module, float(self.scale))
        problem = self._problem(module, rows, codes, temperature)
        with torch.no_grad():
            logits = torch.cat([problem.logits(part) for part, _ in problem.chunks()])
        log_proba = log_probabilities(logits, temperature)
        proba = log_proba.exp()
        entropy = -torch.where(proba > 0, proba * log_proba, 0.0).sum(1)
        size = (logits.double() / temperature).square().mean(1).sqrt()
        columns = [proba.amax(1), entropy, size]
        by_row = _exact.trace_by_row(problem)
        return np.column_stack([*(c.cpu().numpy() for c in columns), by_row])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored but for its presence, as in scikit-learn.

        Returns
        -------
        names : ndarray of shape (4,), dtype object
            ``confidence``, ``entropy``, ``logit_rms``, ``trace_g``.
        """
        check_is_fitted(self)
        return np.array(_FEATURES, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    # -- steps --------------------------------------------------------------------

    def _checked_scales(self) -> np.ndarray:
        if self.scales is None:
            return np.logspace(-3, 3, 25)
        try:
            scales = np.asarray(self.scales, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"scales must be numbers > 0. Got {self.scales!r} instead."
            ) from error
        is_positive = scales.ndim == 1 and (scales > 0).all()
        if not is_positive or not np.isfinite(scales).all():
            raise ValueError(
                f"scales must be a list of finite numbers > 0. Got {self.scales!r} "
                "instead."
            )
        return np.sort(scales)

    def _validate(self, X, y, *, reset) -> Any:
        """Check rows; return labels or, without, the number of rows."""
        rows, _ = as_rows(X)
        settings = {"dtype": (np.float32, np.uint8), "reset": reset}
        if y is None:
            return len(validate_data(self, rows, **settings))
        _, y = validate_data(self, rows, y, **settings)
        check_classification_targets(y)
        return column_or_1d(y)

    def _is_given(self) -> bool:
        """Say whether the network is measured at weights of its own."""
        return isinstance(self.estimator, FrozenEstimator | torch.nn.Module)

    def _network(self, X, y, rng):
        """Return a network with its weights, as a fitted estimator of the core."""
        if isinstance(self.estimator, FrozenEstimator):
            given = self.estimator.estimator
            if isinstance(given, NetworkClassifier | SkorchClassifier):
                check_is_fitted(given)
                return given
            raise TypeError(
                "estimator must hold a fitted NetworkClassifier or SkorchClassifier "
                f"in FrozenEstimator. Got {type(given).__name__} instead: pass the "
                "module_ of a net, and put a Pipeline's last step in the probe at the "
                "end of the other steps."
            )
        given = self.estimator
        if isinstance(given, torch.nn.Module):
            # The core feeds float32; what is measured has the type of `dtype`.
            given = scale_parameters(given, 1.0).float()
        network = adopt_estimator(given, caller=type(self).__name__, need="network")
        _check_criterion(network)
        if not isinstance(network, NetworkClassifier | SkorchClassifier):
            raise TypeError(
                "estimator must be a network, not a Pipeline: put GoldilocksProbe at "
                f"the end of the Pipeline instead. Got {type(network).__name__}."
            )
        return set_seeds(network, rng).initialize(X, y)

    def _tensors(self, network, X, y, draws=True):
        """Return module, rows and label codes in the type of the products."""
        kept = None
        if draws and self.n_samples is not None and self.n_samples < len(y):
            kept = stratified_rows(y, self.n_samples, self._seed)
        batches = scoring_batches(network, X, y, batch_size=-1, rows=kept)
        ((rows, codes, _),) = list(batches)
        dtype = getattr(torch, self.dtype)
        module = logits_module(network)
        copied = scale_parameters(module, 1.0).eval().to(dtype)
        if rows.is_floating_point():
            rows = rows.to(dtype)
        return copied, rows, codes.cpu().numpy()

    def _at(self, module, scale: float):
        """Return the module and the temperature that a scale means."""
        if self.scale_by == "temperature":
            return module, scale
        return (module if scale == 1.0 else scale_parameters(module, scale)), 1.0

    def _problem(self, module, rows, codes, temperature) -> Problem:
        return GaussNewtonOperator(
            module,
            rows,
            codes,
            params=self.params,
            temperature=temperature,
            batch_size=self.batch_size,
        ).problem

    def _measure(self, module, rows, codes, scale, hyperplanes, rng, trace_g=None):
        scaled, temperature = self._at(module, scale)
        try:
            return average(
                [
                    curvature_measures(
                        scaled,
                        rows,
                        codes,
                        params=self.params,
                        temperature=temperature,
                        batch_size=self.batch_size,
                        method=self.method,
                        n_probes=self.n_probes,
                        n_eigenvalues=int(self.n_eigenvalues),
                        density_steps=self.density_steps,
                        directions=directions,
                        random=rng,
                        trace_g=trace_g,
                    )
                    for directions in hyperplanes
                ]
            )
        except ValueError as error:
            if "finite logits" not in str(error):
                raise
            raise ValueError(
                f"scales must be such that logits stay finite. At {scale} they do not."
            ) from error

    def _hyperplanes(self, module, rng) -> list[np.ndarray | None]:
        """Return the directions of each hyperplane; [None] for the whole space."""
        if self.projection is None:
            return [None]
        named = dict(module.named_parameters())
        if self.params is None:
            count = sum(p.numel() for p in named.values() if p.requires_grad)
        else:
            names = parameter_names(module, self.params)
            count = sum(named[name].numel() for name in names)
        if self.projection > count:
            raise ValueError(
                f"projection must be at most {count}, the number of parameters. Got "
                f"{self.projection} instead."
            )
        return [
            random_directions(
                count, int(self.projection), kind=self.projection_kind, random_state=rng
            )
            for _ in range(self.n_projections)
        ]

    def _sweep(self, module, rows, codes, scales, bar) -> list[dict[str, Any]]:
        rng = np.random.RandomState(self._seed)
        hyperplanes = self._hyperplanes(module, rng) if len(scales) else []
        traces = self._sweep_traces(module, rows, codes, scales)
        measures = []
        for scale, trace_g in zip(scales, traces, strict=True):
            # The same probes at each scale: their noise does not roughen the curve.
            rng = np.random.RandomState(self._seed)
            measures.append(
                self._measure(
                    module, rows, codes, float(scale), hyperplanes, rng, trace_g
                )
            )
            bar.update()
        return measures

    def _sweep_traces(self, module, rows, codes, scales) -> list[float | None]:
        """Return exact traces of G at all scales from one set of products, if any."""
        unknown: list[float | None] = [None] * len(scales)
        if self.method == "hutchinson" or self.projection or len(scales) < 2:
            return unknown
        by_temperature = self.scale_by == "temperature"
        problem = self._problem(module, rows, codes, 1.0)
        if problem.n_outputs > _MOST_PAIRED_OUTPUTS:
            return unknown
        # Not the measured degree: that of other weights may be another one.
        degree = None if by_temperature else _exact.proved_degree(problem)
        if not by_temperature and degree is None:
            return unknown
        try:
            distances = _exact.pair_distances(problem)
        except NoClosedFormError:
            return unknown
        expected = sum(_exact.trace_by_parameter(problem).values())
        found = _exact.traces_at_temperatures(problem, distances, np.ones(1))[0]
        if not abs(found - expected) <= 1e-3 * abs(expected):
            return unknown
        temperatures = scales if degree is None else scales ** -float(degree)
        traces = _exact.traces_at_temperatures(problem, distances, temperatures)
        if not by_temperature:
            traces = traces / scales**2
        return traces.tolist()

    def _describe(self, module, rows, codes) -> None:
        problem = self._problem(module, rows, codes, 1.0)
        self.n_parameters_ = problem.n_parameters
        self.degree_ = homogeneity_degree(module, rows[:64])
        self.is_homogeneous_ = not np.isnan(self.degree_)
        self.is_exact_trace_ = (
            self.projection is None and _exact.why_not_exact(problem) is None
        )

    def _store(self, scales, sweeps) -> None:
        self.scales_ = scales
        rows = [average(same) for same in zip(*sweeps, strict=True)]
        self.results_ = {"scale": scales} | table(rows)
        shape = len(scales), int(self.n_eigenvalues)
        for name in ("eigenvalues", "ritz_residuals"):
            values = [row.get(name, ()) for row in rows]
            setattr(self, f"{name}_", np.array(values, dtype=float).reshape(shape))
        self.density_ = [row["density"] for row in rows if "density" in row]
        empty = np.empty(0)
        for attribute, name in (
            ("curvature", "curvature_h"),
            ("curvature_stderr", "curvature_h_stderr"),
            ("curvature_g", "curvature_g"),
            ("curvature_f", "curvature_f"),
            ("trace", "trace_h"),
            ("fro_norm", "fro_norm_h"),
            ("loss", "loss"),
            ("accuracy", "accuracy"),
        ):
            setattr(self, f"{attribute}_", self.results_.get(name, empty))
        self.best_scale_, self.zone_ = find_zone(
            scales, self.curvature_, self.curvature_stderr_, self.threshold
        )
        if len(scales) >= _FEWEST_FOR_EDGES and self.best_scale_ in scales[[0, -1]]:
            warnings.warn(
                f"The curvature is largest at the edge of scales, {self.best_scale_}: "
                "the zone may go on beyond.",
                UserWarning,
                stacklevel=3,
            )
        if len(scales) and np.isnan(self.curvature_).any():
            warnings.warn(
                "The curvature is not defined at scales "
                f"{scales[np.isnan(self.curvature_)].tolist()}: the Hessian is 0.",
                UserWarning,
                stacklevel=3,
            )


def _check_criterion(network: Any) -> None:
    """Refuse a skorch net that another loss than cross-entropy trains."""
    criterion = getattr(getattr(network, "net", None), "criterion", None)
    kind = criterion if isinstance(criterion, type) else type(criterion)
    if criterion is not None and kind.__name__ not in _CROSS_ENTROPIES:
        raise ValueError(
            "estimator must be trained by cross-entropy, whose curvature is measured. "
            f"Got a net with criterion {kind.__name__}: for the cross-entropy of its "
            "outputs nevertheless, pass its module."
        )
