"""The steps of the pruner's fit: make, train densely, score, hold."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback
from torch.nn.utils import parametrize

from sklvyso.networks import (
    NetworkClassifier,
    adopt_estimator,
    scoring_batches,
    set_seeds,
    torch_shape,
)

_NEED_DATA = ("snip", "snip_iterative", "force", "grasp")
_GRASP_ROWS_PER_CLASS = 25


def make_estimator(pruner: Any, rng: np.random.RandomState) -> Any:
    """Make an unfitted estimator from the pruner's parameters.

    Parameters
    ----------
    pruner : EffectiveSparsityPruner
        ``estimator``, ``input_shape``, ``max_epochs``, ``device`` and ``verbose`` are
        read.
    rng : RandomState
        Source of its seed.

    Returns
    -------
    estimator : NetworkClassifier or SkorchClassifier
        Unfitted, seeded.
    """
    estimator = adopt_estimator(
        pruner.estimator, caller="EffectiveSparsityPruner", need="network"
    )
    if isinstance(estimator, Pipeline):
        raise TypeError(
            "estimator of EffectiveSparsityPruner must be a network. Got a Pipeline: "
            "put EffectiveSparsityPruner at the end of the Pipeline instead."
        )
    wanted = {
        name: getattr(pruner, name)
        for name in ("input_shape", "max_epochs", "device")
        if getattr(pruner, name) is not None
    }
    if pruner.verbose:
        wanted["verbose"] = pruner.verbose
    if isinstance(estimator, NetworkClassifier):
        estimator.set_params(**wanted)
    else:
        if "input_shape" in wanted:
            raise ValueError(
                "input_shape must be None with a skorch net, which takes X as its "
                f"module does. Got {pruner.input_shape!r} instead."
            )
        wanted.pop("verbose", None)
        estimator.net.set_params(**wanted)
    return set_seeds(estimator, rng)


def initialized(prototype, X, y, sample_weight, classes=None):
    """Return a clone with its initial weights."""
    estimator = clone(prototype)
    return estimator.initialize(X, y, sample_weight, classes=classes)


class WeightsAfter(Callback):
    """Keep the weights after some steps of the optimiser.

    Parameters
    ----------
    n_steps : int
        Steps to wait for.
    """

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, **kwargs):
        """Start counting."""
        self.count_ = 0
        self.state_ = copy.deepcopy(net.module_.state_dict())

    def on_batch_end(self, net, training=False, **kwargs):
        """Keep the weights when the step has come."""
        if training and self.count_ < self.n_steps:
            self.count_ += 1
            if self.count_ == self.n_steps:
                self.state_ = copy.deepcopy(net.module_.state_dict())


def train_dense(pruner: Any, prototype: Any, X, y, sample_weight):
    """Train a dense copy, whose weights are then ranked.

    Parameters
    ----------
    pruner : EffectiveSparsityPruner
        ``dense_epochs`` and ``rewind`` are read.
    prototype : estimator
        Unfitted.
    X, y, sample_weight : arrays
        Training data.

    Returns
    -------
    module : torch.nn.Module
        Trained.
    start : dict or None
        State that sparse training starts from; None for the initial one.

    Raises
    ------
    ValueError
        If there are fewer steps than ``rewind``.
    """
    dense = clone(prototype)
    is_ours = isinstance(dense, NetworkClassifier)
    holder = dense if is_ours else dense.net
    if pruner.dense_epochs is not None:
        holder.set_params(max_epochs=pruner.dense_epochs)
    steps_back = pruner.rewind if not isinstance(pruner.rewind, str) else None
    if steps_back:
        callbacks = [*(holder.callbacks or []), ("rewind", WeightsAfter(steps_back))]
        holder.set_params(callbacks=callbacks)
    dense.initialize(X, y, sample_weight)
    dense.train(X, y, sample_weight) if is_ours else dense.train(X, y)
    module = dense.module_
    if pruner.rewind == "none":
        return module, module.state_dict()
    if not steps_back:
        return module, None
    keeper = dict(dense.net_.callbacks_)["rewind"]
    if keeper.count_ < steps_back:
        raise ValueError(
            f"rewind must be at most the number of steps of the dense training, "
            f"{keeper.count_}. Got {steps_back} instead."
        )
    return module, keeper.state_


def scoring_rows(
    pruner: Any, estimator: Any, X, y, sample_weight, rng: np.random.RandomState
) -> dict[str, Any]:
    """Collect the rows on which scores are computed.

    Parameters
    ----------
    pruner : EffectiveSparsityPruner
        ``pruner``, ``quota``, ``n_score_samples`` and ``score_batch_size`` are read.
    estimator : NetworkClassifier or SkorchClassifier
        Initialised.
    X, y, sample_weight : arrays
        Training data.
    rng : RandomState
        Draws rows.

    Returns
    -------
    data : dict
        Arguments ``X``, ``y``, ``sample_weight``, ``n_samples`` of ``prune``; empty
        where no data are needed.
    """
    methods = {m for m in (pruner.pruner, pruner.quota) if isinstance(m, str)}
    if not callable(pruner.pruner) and not methods & set(_NEED_DATA):
        return {}
    n_rows = pruner.n_score_samples
    if n_rows is None and "grasp" in methods:
        n_rows = _GRASP_ROWS_PER_CLASS * len(estimator.classes_)
    chosen = None
    is_step_by_step = bool(methods & {"snip_iterative", "force"})
    if n_rows is not None and n_rows < len(y) and not is_step_by_step:
        chosen = _balanced_rows(np.asarray(y), n_rows, rng)
    batches = list(
        scoring_batches(estimator, X, y, sample_weight, batch_size=1024, rows=chosen)
    )
    inputs = torch.cat([batch.cpu() for batch, _, _ in batches])
    codes = torch.cat([codes.cpu() for _, codes, _ in batches])
    weights = [weight for _, _, weight in batches if weight is not None]
    data = {"X": inputs, "y": codes}
    if weights:
        data["sample_weight"] = torch.cat([w.cpu() for w in weights]).numpy()
    if n_rows is not None and is_step_by_step:
        data["n_samples"] = min(n_rows, len(inputs))
    return data


def _balanced_rows(y, n_rows, rng):
    """Draw rows, as many of each class as there are, or as near as possible."""
    classes, codes = np.unique(y, return_inverse=True)
    order = rng.permutation(len(y))
    turns = np.empty(len(y), dtype=np.int64)
    for code in range(len(classes)):
        rows = order[codes[order] == code]
        turns[rows] = np.arange(len(rows))
    # The first of each class, then the second of each, and so on.
    by_turn = order[np.argsort(turns[order], kind="stable")]
    return np.sort(by_turn[:n_rows])


def sample_shape(estimator: Any) -> tuple[int, ...]:
    """Torch shape of one sample, as the module takes it."""
    shape = tuple(estimator.input_shape_)
    return torch_shape(shape) if isinstance(estimator, NetworkClassifier) else shape


def hold(estimator: Any, masks: dict[str, np.ndarray]) -> None:
    """Hold pruned weights at zero, under the names of the parameters."""
    parameters = dict(estimator.module_.named_parameters())
    named = {}
    for name, mask in masks.items():
        original = f"{name}_orig"  # torch.nn.utils.prune
        key = original if original in parameters else name
        if key not in parameters:
            layer = estimator.module_.get_submodule(name.rpartition(".")[0])
            what = (
                "is parametrised"
                if parametrize.is_parametrized(layer)
                else "is no parameter"
            )
            raise ValueError(
                f"The weight {name!r} {what}, so that it cannot be held at zero. Take "
                "the parametrisation away, or name the weight in exclude."
            )
        named[key] = mask
    estimator.mask_weights(named)
