"""From scores and quotas to masks at a direct or effective target."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from sklvyso._arguments import is_choice, shown
from sklvyso.networks import draw_seed
from sklvyso.sparsity._connectivity import Connectivity, Measurement
from sklvyso.sparsity._counts import check_sparsity, kept_counts, n_kept
from sklvyso.sparsity._kept import KeptWeights
from sklvyso.sparsity._orders import (
    borrowed_order,
    global_order,
    layer_ranks,
    quota_order,
)
from sklvyso.sparsity._quota_rules import RULES
from sklvyso.sparsity._quotas import MODULE_RULES, layer_quotas
from sklvyso.sparsity._report import SparsityReport, report_of
from sklvyso.sparsity._scores import prune_scores
from sklvyso.sparsity._search import NestedMasks, largest_step
from sklvyso.sparsity._trace import Rule
from sklvyso.sparsity._weights import check_module_type, prunable_weights

TARGETS = ("effective", "direct")
QUOTAS = (*RULES, *MODULE_RULES)
Quota = str | ArrayLike | Mapping[str, float] | Callable[..., Any]


@dataclass(frozen=True)
class Pruning:
    """What pruning a module gave.

    Attributes
    ----------
    masks : dict of str to ndarray of bool
        Kept weights.
    report : SparsityReport
        Direct and effective sparsity.
    n_pruned : int
        Number of pruned weights.
    next_sparsity : float
        Effective sparsity after one more weight; nan where it was not measured.
    scores : dict of str to ndarray of float64
        What the weights were ranked by.
    quotas : ndarray of shape (n_layers,)
        Sparsity of each layer as the masks have it.
    """

    masks: dict[str, np.ndarray]
    report: SparsityReport
    n_pruned: int
    next_sparsity: float
    scores: dict[str, np.ndarray]

    @property
    def quotas(self) -> np.ndarray:
        """Sparsity of each layer."""
        return np.array([layer["direct_sparsity"] for layer in self.report.layers])


def prune_module(
    module: nn.Module,
    method: str | Callable[..., Any],
    *,
    sparsity: float | None,
    target: str = "effective",
    quota: Quota | None = None,
    input_shape: Sequence[int],
    X: ArrayLike | torch.Tensor | None = None,
    y: ArrayLike | torch.Tensor | None = None,
    sample_weight: ArrayLike | None = None,
    min_per_layer: int = 0,
    granularity: str = "pixel",
    rules: Mapping[Any, Rule] | None = None,
    exclude: Sequence[str] = (),
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
    **score_params: Any,
) -> dict[str, np.ndarray]:
    """Choose which weights of a network to keep.

    Parameters
    ----------
    module : torch.nn.Module
        Scored with the weights that it has; it comes back as it was.
    method : str or callable
        How weights are ranked, as ``method`` of :func:`prune_scores`.
    sparsity : float or None
        Share of weights to remove, in [0, 1]; ``1 - 1 / compression``. None takes that
        of ``quota`` where it is an array or a dict.
    target : {"effective", "direct"}, default="effective"
        What ``sparsity`` counts: weights that carry no signal, or pruned weights. The
        effective sparsity that is reached is the largest that does not exceed
        ``sparsity``; pruning one more weight would exceed it.
    quota : str, array-like, dict, callable or None, default=None
        How the budget is shared among layers: None ranks all weights together (random
        pruning then takes ``"igq"``); ``"uniform"``, ``"uniform_plus"``, ``"erk"``,
        ``"erk_redistribute"``, ``"igq"``, ``"smart"``, layer sparsities or a function
        as in :func:`layer_quotas`; ``"synflow"`` or ``"snip"`` for the layer
        sparsities that this method arrives at.
    input_shape : sequence of int
        Torch shape of one sample, ``(C, H, W)`` or ``(n_features,)``.
    X : array-like of shape (n, ...) or None, default=None
        Rows in torch's layout, for methods that need data.
    y : array-like of shape (n,) or None, default=None
        Output indices.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights of the rows in the loss.
    min_per_layer : int, default=0
        Weights that each layer keeps at least.
    granularity : {"pixel", "channel"}, default="pixel"
        As in :func:`effective_masks`.
    rules : dict or None, default=None
        As in :func:`effective_masks`.
    exclude : sequence of str, default=()
        Regular expressions; weights whose name matches one are neither pruned nor
        counted.
    random_state : int, RandomState instance or None, default=None
        Seeds random pruning and draws of rows.
    verbose : int, default=0
        1 shows the progress of long scoring.
    **score_params : dict
        Further parameters of :func:`prune_scores`: ``batch_size``, ``n_iterations``,
        ``n_samples``, ``device``.

    Returns
    -------
    masks : dict of str to ndarray of bool
        Weight name to kept weights, in torch's layout.

    Raises
    ------
    ValueError
        If a parameter is out of range, a quota cannot be met, or data are missing.

    See Also
    --------
    EffectiveSparsityPruner : Prunes and trains, as an estimator.
    sparsity_report : What is left.
    prune_scores : What it ranks by.

    Examples
    --------
    >>> from sklvyso.networks import make_network
    >>> from sklvyso.sparsity import prune_module, sparsity_report
    >>> net = make_network("lenet-300-100", (1, 28, 28), 10)
    >>> masks = prune_module(net, "random", quota="igq", sparsity=0.99,
    ...                      input_shape=(1, 28, 28), random_state=0)
    >>> report = sparsity_report(net, masks, (1, 28, 28))
    >>> round(report.effective_compression, 1), report.n_kept > report.n_active
    (100.0, True)
    """
    return prune(
        module,
        method,
        sparsity=sparsity,
        target=target,
        quota=quota,
        input_shape=input_shape,
        X=X,
        y=y,
        sample_weight=sample_weight,
        min_per_layer=min_per_layer,
        granularity=granularity,
        rules=rules,
        exclude=exclude,
        random_state=random_state,
        verbose=verbose,
        **score_params,
    ).masks


def prune(
    module,
    method,
    *,
    sparsity,
    target="effective",
    quota=None,
    input_shape,
    min_per_layer=0,
    granularity="pixel",
    rules=None,
    exclude=(),
    random_state=None,
    **score_params,
) -> Pruning:
    """As :func:`prune_module`, with all that was found on the way."""
    if not is_choice(target, tuple(TARGETS)):
        raise ValueError(f"target must be one of {list(TARGETS)}. Got {target!r}.")
    module = check_module_type(module)
    weights = prunable_weights(module, exclude)
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    with _naming(quota):
        sparsity = _agreed_sparsity(sparsity, quota, shapes)
    connectivity = Connectivity(
        module, input_shape, granularity=granularity, rules=rules
    )
    rng = np.random.RandomState(draw_seed(random_state))
    score_params |= {"exclude": exclude, "rules": rules, "input_shape": input_shape}

    def scores_by(how):
        return prune_scores(
            module, how, sparsity=sparsity, random_state=draw_seed(rng), **score_params
        )

    scores = scores_by(method)
    if quota is None and isinstance(method, str) and method == "random":
        quota = "igq"
    ranking = _Ranking(scores, shapes, quota, sparsity, min_per_layer)
    if target == "direct":
        with _naming(quota):
            masks = ranking.direct_masks(lambda: scores_by(quota))
        kept = {name: KeptWeights.from_mask(mask) for name, mask in masks.items()}
        found, after = connectivity.measure(kept), None
    else:
        with _naming(quota):
            nested = NestedMasks(ranking.order(lambda: scores_by(quota)), shapes)
        k, found, after = largest_step(nested, connectivity, sparsity)
        masks = nested.masks(k)
        kept = {name: KeptWeights.from_mask(mask) for name, mask in masks.items()}
    return _pruning(kept, found, after, scores)


@contextlib.contextmanager
def _naming(quota):
    """Let errors of quota rules name the parameter that the user gave."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if quota is None or "quota" in str(error):
            raise
        problem = TypeError if isinstance(error, TypeError) else ValueError
        raise problem(f"quota={shown(quota)} does not fit. {error}") from error


def _agreed_sparsity(sparsity, quota, shapes) -> float:
    """Return the sparsity of the whole, which given layer sparsities have to have."""
    if quota is None or isinstance(quota, str) or callable(quota):
        return check_sparsity(sparsity)
    layers = layer_quotas(shapes, 0.0, quota)
    sizes = np.array([np.prod(shape) for shape in shapes.values()])
    own = float((layers * sizes).sum() / sizes.sum())
    if sparsity is None:
        return own
    if abs(float(check_sparsity(sparsity)) - own) * sizes.sum() > 1:
        raise ValueError(
            f"sparsity and quota must agree. Got sparsity={sparsity!r}, but layer "
            f"sparsities that remove {own:.10g} of all weights: pass that, or the name "
            "of a rule as quota."
        )
    return own


def _pruning(kept, found: Measurement, after: Measurement | None, scores) -> Pruning:
    report = report_of(kept, found)
    next_sparsity = np.nan if after is None else 1 - after.count / report.n_weights
    return Pruning(
        report.masks,
        report,
        report.n_weights - report.n_kept,
        float(next_sparsity),
        scores,
    )


class _Ranking:
    """In which order weights go, and how many of each layer."""

    def __init__(self, scores, shapes, quota, sparsity, min_per_layer):
        self.names = list(shapes)
        self.shapes = shapes
        self.counts = [int(np.prod(shape)) for shape in shapes.values()]
        self.scores = [scores[name].reshape(-1) for name in self.names]
        self.quota = quota
        self.sparsity = sparsity
        self.min_per_layer = min_per_layer

    def order(self, borrowed_scores):
        """Flat positions of all weights, pruned first comes first."""
        if self.quota is None:
            return self._global(self.scores)
        within = self._within()
        if is_borrowed(self.quota):
            other = borrowed_scores()
            lent = self._global([other[name].reshape(-1) for name in self.names])
            return borrowed_order(within, lent, self.counts)
        return quota_order(
            within,
            self.shapes,
            self.quota,
            self.sparsity,
            min_per_layer=self.min_per_layer,
        )

    def _global(self, scores):
        return global_order(scores, min_per_layer=self.min_per_layer, names=self.names)

    def _within(self):
        return [layer_ranks(scores) for scores in self.scores]

    def direct_masks(self, borrowed_scores):
        """Masks with an exact number of kept weights."""
        n_left = n_kept(sum(self.counts), self.sparsity)
        if self.quota is None or is_borrowed(self.quota):
            order = self.order(borrowed_scores)
            nested = NestedMasks(order, self.shapes)
            return nested.masks(nested.total - n_left)
        quotas = layer_quotas(self.shapes, self.sparsity, self.quota)
        kept = kept_counts(
            self.counts, quotas, n_left, min_per_layer=self.min_per_layer
        )
        masks = {}
        for ranks, n, size, (name, shape) in zip(
            self._within(), kept, self.counts, self.shapes.items(), strict=True
        ):
            mask = np.zeros(size, dtype=bool)
            mask[ranks[size - n :]] = True
            masks[name] = mask.reshape(shape)
        return masks


def is_borrowed(quota: Any) -> bool:
    """Say whether quotas are those that another pruner arrives at."""
    return isinstance(quota, str) and quota in MODULE_RULES
