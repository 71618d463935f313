"""Scores of weights from the gradients of a loss: SNIP and GraSP.

Lee, Ajanthan, Torr, "SNIP: Single-shot Network Pruning based on Connection
Sensitivity", ICLR 2019. Wang, Zhang, Grosse, "Picking Winning Tickets Before Training
by Preserving Gradient Flow", ICLR 2020.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Real
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from tqdm.auto import tqdm

from sklvyso._arguments import shown
from sklvyso.sparsity._score_arguments import LabelledRows

Loss = Callable[[Tensor, Tensor], Tensor]
Weights = Mapping[str, Tensor]
Item = TypeVar("Item")

# Within 80 columns, where tqdm cuts lines off.
_BAR_FORMAT = "{desc}|{bar:8}|{n_fmt}/{total_fmt} {unit}, {elapsed_s:.1f} s"


def progress(
    steps: Iterable[Item], total: int, description: str, unit: str, verbose: int
) -> Iterator[Item]:
    """Go through ``steps`` with a bar if ``verbose``."""
    if not isinstance(verbose, Real | np.bool_):
        raise TypeError(f"verbose must be an int. Got {shown(verbose)} instead.")
    yield from tqdm(
        steps,
        total=total,
        desc=description,
        unit=unit,
        bar_format=_BAR_FORMAT,
        disable=not verbose,
    )


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of each row, shape (n,)."""
    return nn.functional.cross_entropy(logits, y, reduction="none")


def mean_gradients(
    network: nn.Module,
    weights: Weights,
    rows: LabelledRows,
    batch_size: int,
    *,
    loss: Loss = cross_entropy,
    verbose: int = 0,
) -> list[Tensor]:
    """Return the gradient of the weighted mean loss, batch after batch.

    Parameters
    ----------
    network : torch.nn.Module
        Gives logits of shape (n, n_outputs).
    weights : mapping of str to tensor
        Used in place of the parameters of these names; they require gradients.
    rows : LabelledRows
        Data.
    batch_size : int
        Rows at once.
    loss : callable, default=cross_entropy
        Takes logits and output indices, returns one number a row.
    verbose : int, default=0
        Whether to show a bar over the batches.

    Returns
    -------
    gradients : list of tensor
        In the shapes of the weights.
    """
    tensors = list(weights.values())
    total: list[Tensor] = []
    for batch in _batches(rows, batch_size, "gradients", verbose):
        value = _weighted_loss(network, weights, batch, loss)
        total = _add(total, torch.autograd.grad(value, tensors, materialize_grads=True))
    return total


def snip_scores(
    network: nn.Module,
    weights: Weights,
    rows: LabelledRows,
    batch_size: int,
    *,
    loss: Loss = cross_entropy,
    verbose: int = 0,
) -> dict[str, np.ndarray]:
    """Return ``|w * dL/dw|``, L the weighted mean loss (SNIP).

    Parameters
    ----------
    network, weights, rows, batch_size, loss, verbose
        As :func:`mean_gradients` takes them.

    Returns
    -------
    scores : dict of str to ndarray of float64
        Higher means keep.
    """
    gradients = mean_gradients(
        network, weights, rows, batch_size, loss=loss, verbose=verbose
    )
    products = _products(weights, gradients)
    return {name: np.abs(product) for name, product in products.items()}


def grasp_scores(
    network: nn.Module,
    weights: Weights,
    rows: LabelledRows,
    batch_size: int,
    *,
    temperature: float = 200.0,
    loss: Loss = cross_entropy,
    verbose: int = 0,
) -> dict[str, np.ndarray]:
    """Return ``w * (H g)``, H and g of the weighted mean loss (GraSP).

    Parameters
    ----------
    network, weights, rows, batch_size, loss, verbose
        As :func:`mean_gradients` takes them.
    temperature : float, default=200.0
        Divides the logits.

    Returns
    -------
    scores : dict of str to ndarray of float64
        Signed; higher means keep.

    Notes
    -----
    ``g`` is the gradient over all rows before the Hessian meets it, so that the scores
    do not depend on the batches (without batch statistics). The paper's code adds up
    gradients and products of halves of a batch.
    """

    def softened(logits: Tensor, y: Tensor) -> Tensor:
        return loss(logits / temperature, y)

    tensors = list(weights.values())
    direction = mean_gradients(
        network, weights, rows, batch_size, loss=softened, verbose=verbose
    )
    total: list[Tensor] = []
    for batch in _batches(rows, batch_size, "Hessian products", verbose):
        value = _weighted_loss(network, weights, batch, softened)
        gradients = torch.autograd.grad(
            value, tensors, create_graph=True, materialize_grads=True
        )
        slope = torch.stack(
            [(g * d).sum() for g, d in zip(gradients, direction, strict=True)]
        ).sum()
        total = _add(total, torch.autograd.grad(slope, tensors, materialize_grads=True))
    return _products(weights, total)


def _batches(rows, batch_size, description, verbose):
    return progress(
        rows.batches(batch_size),
        rows.n_batches(batch_size),
        description,
        "batches",
        verbose,
    )


def _weighted_loss(network, weights, batch, loss) -> Tensor:
    X, y, weight = batch
    like = next(iter(weights.values()))
    has_tokens = any(
        isinstance(layer, nn.Embedding | nn.EmbeddingBag) for layer in network.modules()
    )
    dtype = like.dtype if X.is_floating_point() or not has_tokens else X.dtype
    X = X.to(device=like.device, dtype=dtype)
    try:
        logits = functional_call(network, dict(weights), (X,))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(
            f"module {type(network).__name__} could not process samples of X of shape "
            f"{tuple(X.shape[1:])}: {error}"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits)
        raise ValueError(
            f"module must give logits of shape (n, n_outputs). It gave {shape} instead."
        )
    if int(y.max()) >= logits.shape[1]:
        raise ValueError(
            f"y must hold indices of the {logits.shape[1]} outputs of the module. Got "
            f"{int(y.max())} instead."
        )
    losses = loss(logits, y.to(like.device))
    return losses @ weight.to(device=losses.device, dtype=losses.dtype)


def _add(total, terms):
    return [a + b for a, b in zip(total, terms, strict=True)] if total else list(terms)


def _products(weights: Weights, factors: list[Tensor]) -> dict[str, np.ndarray]:
    # In float64: a small gradient times a small weight may vanish in float32.
    return {
        name: (weight.detach().double() * factor.detach().double()).cpu().numpy()
        for (name, weight), factor in zip(weights.items(), factors, strict=True)
    }
