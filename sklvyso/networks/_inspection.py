"""What a fitted network knows beside its predictions: features, logits, doubt."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from sklvyso._arguments import is_integer, shown
from sklvyso.networks._random import torch_seed
from sklvyso.networks._scoring import ScoringBatches, scoring_batches
from sklvyso.networks._stepwise import StepwiseTraining

_BATCH = 1024


class _Logarithm(nn.Module):
    """A module that gives probabilities, made to give logits."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.module(X).clamp_min(torch.finfo(X.dtype).tiny).log()


def logits_module(estimator: Any) -> nn.Module:
    """Return a module whose output is the logits that a fitted network trains on.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : NetworkClassifier or SkorchClassifier
        Fitted.

    Returns
    -------
    module : torch.nn.Module
        The fitted module itself, or, where a skorch net trains probabilities with
        ``NLLLoss``, the module followed by a logarithm; the parameters are shared.

    See Also
    --------
    penultimate_features : What the last layer sees.
    NetworkClassifier : What it is taken from.
    """
    module = _module_of(estimator)
    criterion = getattr(estimator.net_, "criterion_", None)
    return _Logarithm(module) if isinstance(criterion, nn.NLLLoss) else module


def penultimate_features(estimator: Any, X: ArrayLike) -> np.ndarray:
    """Return what the last linear layer of a fitted network gets.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : NetworkClassifier or SkorchClassifier
        Fitted.
    X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
        Rows or images as the estimator takes them.

    Returns
    -------
    features : ndarray of shape (n, n_penultimate), dtype float32
        Computed in evaluation mode.

    Raises
    ------
    ValueError
        If the network does not end in a linear layer on one vector a row.

    See Also
    --------
    logits_module : The module that gives logits.
    dropout_probabilities : Probabilities under dropout.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklvyso.networks import NetworkClassifier, penultimate_features
    >>> X, y = load_iris(return_X_y=True)
    >>> network = NetworkClassifier(hidden_layer_sizes=(8, 5), random_state=0)
    >>> penultimate_features(network.fit(X, y), X).shape
    (150, 5)
    """
    inputs: list[torch.Tensor] = []
    outputs: list[torch.Tensor] = []

    def remember(layer, args, output):
        inputs[:], outputs[:] = [args[0]], [output]

    module = _module_of(estimator)
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    parts = []
    with _hooked(linear, remember), _evaluating(module), torch.no_grad():
        for batch, _, _ in _unlabelled(estimator, X):
            inputs.clear()
            logits = module(batch)
            if not inputs or inputs[0].ndim != 2 or outputs[0].shape != logits.shape:
                raise ValueError(
                    "estimator must end in a torch.nn.Linear layer that maps one "
                    "vector a row to the logits, so that its features are known. Got "
                    f"{type(module).__name__} instead: pass features of your own."
                )
            parts.append(inputs[0].float().cpu())
    return torch.cat(parts).numpy()


def dropout_probabilities(
    estimator: Any, X: ArrayLike, *, n_samples: int = 10, seed: int = 0
) -> np.ndarray:
    """Return probabilities under random dropout masks of a fitted network.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : NetworkClassifier or SkorchClassifier
        Fitted; its module holds dropout layers of probability > 0.
    X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
        Rows or images as the estimator takes them.
    n_samples : int, default=10
        Passes over the rows; the dropout masks differ by row and pass.
    seed : int, default=0
        Of the masks.

    Returns
    -------
    proba : ndarray of shape (n_samples, n, n_classes), dtype float32
        All other layers are in evaluation mode.

    Raises
    ------
    ValueError
        If the module has no dropout.

    See Also
    --------
    sklvyso.selection.bald : What they are for.
    penultimate_features : Other insides of a network.
    """
    if not is_integer(n_samples) or n_samples < 1:
        raise ValueError(f"n_samples must be an int >= 1. Got {shown(n_samples)}.")
    module = logits_module(estimator)
    dropouts = dropout_layers(module)
    if not dropouts:
        raise ValueError(
            "estimator must hold dropout layers of probability > 0. Got "
            f"{type(estimator.module_).__name__} without."
        )
    batches = _unlabelled(estimator, X)
    with (
        torch_seed(seed, batches.device),
        _evaluating(module),
        torch.no_grad(),
    ):
        for layer in dropouts:
            layer.train()
        return np.stack([_pass(module, batches) for _ in range(n_samples)])


def _pass(module: nn.Module, batches: ScoringBatches) -> np.ndarray:
    """Return probabilities of all rows, shape (n, n_classes), float32."""
    proba = [torch.softmax(module(batch), dim=1).cpu() for batch, _, _ in batches]
    return torch.cat(proba).float().numpy()


def dropout_layers(module: nn.Module) -> list[nn.Module]:
    """Return the dropout layers of a module that drop anything.

    .. versionadded:: 0.1

    Parameters
    ----------
    module : torch.nn.Module
        Searched through and through.

    Returns
    -------
    layers : list of torch.nn.Module
        Those of probability > 0.

    See Also
    --------
    dropout_probabilities : Predicts with them on.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module must be a torch.nn.Module. Got {shown(module)} instead."
        )
    return [
        layer
        for layer in module.modules()
        if isinstance(layer, _DropoutNd) and layer.p > 0
    ]


def _module_of(estimator: Any) -> nn.Module:
    if not isinstance(estimator, StepwiseTraining):
        raise TypeError(
            "estimator must be a fitted NetworkClassifier or SkorchClassifier. Got "
            f"{shown(estimator)} instead."
        )
    check_is_fitted(estimator)
    return estimator.module_


def _unlabelled(estimator: Any, X: ArrayLike) -> ScoringBatches:
    try:
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)  # type: ignore[arg-type]
    except (TypeError, IndexError) as error:
        raise TypeError(
            f"X must be an array of rows or images. Got {shown(X)} instead."
        ) from error
    labels = np.repeat(estimator.classes_[:1], n_rows)
    return scoring_batches(estimator, X, labels, batch_size=_BATCH)


@contextlib.contextmanager
def _hooked(layers: list[nn.Module], hook: Any) -> Iterator[None]:
    handles = [layer.register_forward_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put all layers into evaluation mode for a block."""
    before = {layer: layer.training for layer in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for layer, mode in before.items():
            layer.training = mode
