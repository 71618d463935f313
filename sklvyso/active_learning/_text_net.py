"""The skorch net of texts, and the module that it trains."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from sklvyso.active_learning._backbone import Backbone
from sklvyso.active_learning._tokens import PADDING
from sklvyso.networks import BatchIterator, TrainingNet

# Batches of this many training batches are sorted by length, then cut.
_BATCHES_SORTED_AT_ONCE = 16
# Standard deviation of the weights of a new head, as BERT draws them.
_HEAD_STD = 0.02


class TextModule(torch.nn.Module):
    """Pretrained backbone, pooling, one linear head.

    Parameters
    ----------
    backbone : Backbone
        Its module becomes part of this one.
    n_outputs : int
        Logits.
    pooling, layer
        As for :meth:`Backbone.states`.
    normalize : bool
        Whether the head sees vectors of length 1.
    dropout : float
        Share of the pooled vector that is dropped in training.
    """

    def __init__(self, backbone, n_outputs, *, pooling, layer, normalize, dropout):
        super().__init__()
        self.backbone = backbone
        self.language_model = backbone.module
        self.pooling = pooling
        self.layer = layer
        self.normalize = normalize
        self.dropout = torch.nn.Dropout(dropout)
        self.head = torch.nn.Linear(backbone.width, n_outputs)
        torch.nn.init.normal_(self.head.weight, std=_HEAD_STD)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of tokens, shape (n, n_outputs)."""
        vectors = self.backbone.states(tokens, self.layer, self.pooling)
        if self.normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return self.head(self.dropout(vectors))


class PretrainedHeadModule(torch.nn.Module):
    """A transformers model for sequence classification, head included.

    Parameters
    ----------
    backbone : Backbone
        Its module gives logits.
    """

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.backbone = backbone
        self.language_model = backbone.module

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of tokens, shape (n, n_outputs)."""
        mask = tokens[:, 0] != PADDING
        return self.language_model(**self.backbone.inputs(tokens, mask)).logits


class TextNet(TrainingNet):
    """A net whose rows are token numbers, padded only as far as a batch needs."""

    def prepare(self, batch: torch.Tensor) -> torch.Tensor:
        """Bring a batch to the device, without columns that are padding throughout."""
        used = int((batch[:, 0] != PADDING).sum(dim=1).max())
        return batch[:, :, : max(used, 1)].to(self.device, non_blocking=True)

    def get_iterator(self, dataset, training=False):
        """Iterate over batches of texts of similar length."""
        if training:
            return _LengthBatches(dataset, batch_size=self.batch_size, shuffle=True)
        # Small ones stay in the cache of the processor.
        return BatchIterator(dataset, batch_size=max(self.batch_size, 32))


class _LengthBatches(BatchIterator):
    """Random batches, each of texts of similar length."""

    def __iter__(self) -> Iterator[tuple[Any, torch.Tensor]]:
        tokens = self.dataset.all_X
        if self.dataset.rows is not None:
            tokens = tokens[self.dataset.rows]
        lengths = (tokens[:, 0] != PADDING).sum(dim=1).cpu()
        order = torch.randperm(len(self.dataset))
        size = int(self.batch_size)
        batches: list[torch.Tensor] = []
        for some in order.split(size * _BATCHES_SORTED_AT_ONCE):
            # The incomplete batch must not always be the longest texts.
            batches += some[lengths[some].argsort(stable=True)].split(size)
        for i in torch.randperm(len(batches)).tolist():
            yield self.dataset.take(batches[i].to(self.dataset.all_X.device))


class WarmUpAndDecay(Callback):
    """Let the rate rise linearly, then fall linearly to zero, step by step.

    Parameters
    ----------
    n_steps : int
        Steps of the whole training.
    warmup_ratio : float
        The part of them in which the rate rises.
    """

    def __init__(self, n_steps: int, warmup_ratio: float):
        self.n_steps = n_steps
        self.n_rising = math.ceil(warmup_ratio * n_steps)

    def on_train_begin(self, net, **kwargs):
        """Start counting."""
        self.step_ = 0

    def on_batch_begin(self, net, training=False, **kwargs):
        """Set the rate of this step."""
        if not training:
            return
        if self.step_ < self.n_rising:
            factor = (self.step_ + 1) / self.n_rising
        else:
            n_falling = max(self.n_steps - self.n_rising, 1)
            factor = max(self.n_steps - self.step_, 0) / n_falling
        for group in net.optimizer_.param_groups:
            group["lr"] = group["initial_lr"] * min(factor, 1.0)
        self.step_ += 1


class ClipGradient(Callback):
    """Scale the gradient of a step down to a norm.

    Parameters
    ----------
    largest_norm : float
        Euclidean norm over all parameters.
    """

    def __init__(self, largest_norm: float):
        self.largest_norm = largest_norm

    def on_grad_computed(self, net, named_parameters, **kwargs):
        """Clip before the optimiser steps."""
        parameters = [p for _, p in named_parameters if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(parameters, self.largest_norm)


def freeze(module: Any, *, embeddings: bool, n_layers: int) -> None:
    """Keep the word embeddings, or the lowest layers too, as they are.

    Parameters
    ----------
    module : TextModule or PretrainedHeadModule
        Changed in place.
    embeddings : bool
        Whether the table of words keeps still.
    n_layers : int
        Lowest layers that keep still; with one or more all embeddings do.

    Raises
    ------
    ValueError
        If there are not so many layers.
    """
    model = module.language_model
    if embeddings or n_layers:
        model.get_input_embeddings().requires_grad_(False)
    if not n_layers:
        return
    depth = module.backbone.n_layers
    stacks = [
        part
        for part in model.modules()
        if isinstance(part, torch.nn.ModuleList) and len(part) == depth
    ]
    if n_layers > depth or not stacks:
        raise ValueError(
            f"freeze_layers must be at most the number of layers, {depth}. Got "
            f"{n_layers} instead."
        )
    for name, part in model.named_modules():
        if name.rsplit(".", 1)[-1] == "embeddings":
            part.requires_grad_(False)
    for layer in stacks[0][:n_layers]:
        layer.requires_grad_(False)


def set_head(module: TextModule, coef: np.ndarray, intercept: np.ndarray) -> None:
    """Give the head the weights of a linear classifier.

    Parameters
    ----------
    module : TextModule
        Changed in place.
    coef : ndarray of shape (n_classes, d), or (1, d) for two classes
        As scikit-learn's linear classifiers have it.
    intercept : ndarray of shape (n_classes,) or (1,)
        Likewise.

    Raises
    ------
    ValueError
        If the shapes do not fit the head.
    """
    coef, intercept = np.atleast_2d(coef), np.ravel(intercept)
    n_outputs, width = module.head.weight.shape
    if n_outputs == 2 and len(coef) == 1:
        coef = np.vstack([np.zeros_like(coef), coef])
        intercept = np.concatenate([np.zeros(1), intercept])
    if coef.shape != (n_outputs, width) or intercept.shape != (n_outputs,):
        raise ValueError(
            "init_head must be the pair (coef, intercept) of a linear classifier on "
            f"{width} features and {n_outputs} classes. Got shapes {coef.shape} and "
            f"{intercept.shape} instead."
        )
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise ValueError("init_head must be finite. Got NaN or infinity instead.")
    with torch.no_grad():
        module.head.weight.copy_(torch.from_numpy(coef.astype(np.float32)))
        module.head.bias.copy_(torch.from_numpy(intercept.astype(np.float32)))


def ordered_logits(net: TextNet, tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return logits of rows of tokens, computed in order of length.

    Parameters
    ----------
    net : TextNet
        Trained.
    tokens : ndarray of shape (n, 2, n_tokens), dtype int32
        Padded rows.
    lengths : ndarray of shape (n,)
        Tokens of each row.

    Returns
    -------
    logits : ndarray of shape (n, n_outputs), dtype float32
        In the order of the rows.
    """
    order = np.argsort(lengths, kind="stable")
    logits = net.logits(tokens[order])
    back = np.empty_like(logits)
    back[order] = logits
    return back
