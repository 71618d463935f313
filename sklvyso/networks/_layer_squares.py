"""Closed forms: squared norms of the gradients of single layers, row by row.

A layer gets ``inputs`` and the loss has the gradient ``delta`` with respect to its
outputs; what its own parameters get follows from these two without being formed for
more than a few rows at once.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# From the layer, its inputs and delta to squared norms by name of the parameter.
Rule = Callable[[Any, Tensor, Tensor], dict[str, Tensor]]

# Numbers in the temporary tensors of one step; few enough to stay in a fast cache.
_CHUNK_SIZE = 2**20


def linear(layer: nn.Linear, inputs: Tensor, delta: Tensor) -> dict[str, Tensor]:
    """Return squares of a linear layer, on one vector a row or on many."""
    if inputs.ndim == 2:
        squared = row_square(delta)
        return _trainable(
            layer, lambda: squared * row_square(inputs), lambda: squared.clone()
        )
    inputs = inputs.flatten(1, -2)
    delta = delta.flatten(1, -2)

    def weight() -> Tensor:
        steps = _steps(len(inputs), _product_size(delta, inputs))
        return torch.cat([_product_square(delta[s], inputs[s]) for s in steps])

    return _trainable(layer, weight, lambda: row_square(delta.sum(1)))


def convolution(layer: Any, inputs: Tensor, delta: Tensor) -> dict[str, Tensor]:
    """Return squares of a convolution in one, two or three dimensions."""
    n_rows, n_outputs = delta.shape[:2]
    n_positions = delta[0, 0].numel()
    grouped = delta.reshape(
        n_rows, layer.groups, n_outputs // layer.groups, n_positions
    ).transpose(2, 3)

    def weight() -> Tensor:
        patch = layer.weight[0].numel()
        size = layer.groups * (
            patch * n_positions + min(patch * grouped.shape[3], 2 * n_positions**2)
        )
        squares = []
        for rows in _steps(n_rows, size):
            patches = _patches(layer, inputs[rows], delta.shape[2:])
            square = _product_square(grouped[rows].flatten(0, 1), patches)
            squares.append(square.reshape(-1, layer.groups).sum(1))
        return torch.cat(squares)

    return _trainable(layer, weight, lambda: row_square(delta.flatten(2).sum(2)))


def _patches(layer: Any, inputs: Tensor, positions: torch.Size) -> Tensor:
    """Return what each output position sees, (rows x groups, positions, patch)."""
    padding = _padding(layer)
    if any(padding):
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        inputs = F.pad(inputs, padding, mode=mode)
    inputs = inputs.contiguous()
    n_rows, n_channels, *_ = inputs.shape
    by_row, by_channel, *by_place = inputs.stride()
    per_group = n_channels // layer.groups
    view = inputs.as_strided(
        (n_rows, layer.groups, per_group, *layer.kernel_size, *positions),
        (
            by_row,
            per_group * by_channel,
            by_channel,
            *(s * d for s, d in zip(by_place, layer.dilation, strict=True)),
            *(s * d for s, d in zip(by_place, layer.stride, strict=True)),
        ),
    )
    patch = per_group * layer.weight[0, 0].numel()
    return view.reshape(n_rows * layer.groups, patch, -1).transpose(1, 2)


def _padding(layer: Any) -> list[int]:
    """Return the padding as :func:`torch.nn.functional.pad` wants it, last first."""
    pairs: list[int] = []
    for axis in reversed(range(len(layer.kernel_size))):
        if layer.padding == "valid":
            pairs += [0, 0]
        elif layer.padding == "same":
            total = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
            pairs += [total // 2, total - total // 2]
        else:
            pairs += [layer.padding[axis]] * 2
    return pairs


def _product_square(delta: Tensor, inputs: Tensor) -> Tensor:
    """Return ``||sum_t delta_t inputs_t^T||^2`` a row of (n, T, .) tensors.

    The product itself costs ``T o i``; the Gram form ``sum_ts (delta_t . delta_s)
    (inputs_t . inputs_s)`` costs ``T^2 (o + i)``.
    """
    if _is_gram_cheaper(delta, inputs):
        products = delta @ delta.transpose(1, 2)
        products *= inputs @ inputs.transpose(1, 2)
        return products.sum((1, 2)).clamp_min(0)  # rounding
    return row_square(inputs.transpose(1, 2) @ delta)


def _is_gram_cheaper(delta: Tensor, inputs: Tensor) -> bool:
    n_outputs, n_inputs = delta.shape[2], inputs.shape[2]
    return delta.shape[1] * (n_outputs + n_inputs) < n_outputs * n_inputs


def _product_size(delta: Tensor, inputs: Tensor) -> int:
    if _is_gram_cheaper(delta, inputs):
        return 2 * delta.shape[1] ** 2
    return delta.shape[2] * inputs.shape[2]


def batch_norm(layer: Any, inputs: Tensor, delta: Tensor) -> dict[str, Tensor]:
    """Return squares of a batch normalization that uses its running statistics."""
    delta = delta.reshape(*delta.shape[:2], -1)

    def weight() -> Tensor:
        centred = inputs.reshape(delta.shape) - layer.running_mean[:, None]
        slope = centred.mul_(delta).sum(2)
        return row_square(slope * (layer.running_var + layer.eps).rsqrt())

    return _trainable(layer, weight, lambda: row_square(delta.sum(2)))


def group_norm(layer: nn.GroupNorm, inputs: Tensor, delta: Tensor) -> dict[str, Tensor]:
    """Return squares of a group normalization."""

    def weight() -> Tensor:
        normalized = F.group_norm(inputs, layer.num_groups, eps=layer.eps)
        return row_square((normalized * delta).flatten(2).sum(2))

    return _trainable(layer, weight, lambda: row_square(delta.flatten(2).sum(2)))


def layer_norm(layer: nn.LayerNorm, inputs: Tensor, delta: Tensor) -> dict[str, Tensor]:
    """Return squares of a layer normalization."""
    shape = layer.normalized_shape
    kept = delta.ndim - len(shape)

    def summed(products: Tensor) -> Tensor:
        products = products.reshape(len(products), -1, *products.shape[kept:])
        return row_square(products.sum(1))

    def weight() -> Tensor:
        return summed(F.layer_norm(inputs, shape, eps=layer.eps) * delta)

    return _trainable(layer, weight, lambda: summed(delta))


def embedding(layer: nn.Embedding, inputs: Tensor, delta: Tensor) -> dict[str, Tensor]:
    """Return squares of a table of vectors: equal tokens share one."""
    tokens = inputs.reshape(len(inputs), -1)
    delta = delta.reshape(*tokens.shape, -1)
    if layer.padding_idx is not None:
        delta = delta.masked_fill((tokens == layer.padding_idx)[..., None], 0)
    squares = []
    for rows in _steps(len(tokens), 2 * tokens.shape[1] ** 2):
        is_same = tokens[rows, :, None] == tokens[rows, None, :]
        products = delta[rows] @ delta[rows].transpose(1, 2)
        squares.append((products * is_same).sum((1, 2)).clamp_min(0))
    return {"weight": torch.cat(squares)}


def row_square(values: Tensor) -> Tensor:
    """Return the sum of squares of each row, over all other axes."""
    return torch.linalg.vector_norm(values.flatten(1), dim=1).square()


def _trainable(
    layer: Any, weight: Callable[[], Tensor], bias: Callable[[], Tensor]
) -> dict[str, Tensor]:
    """Compute the squares of those parameters that are trained."""
    squares = {}
    own = dict(layer.named_parameters(recurse=False))
    for name, compute in (("weight", weight), ("bias", bias)):
        if name in own and own[name].requires_grad:
            squares[name] = compute()
    return squares


def _steps(n_rows: int, row_size: int) -> Iterator[slice]:
    step = max(1, _CHUNK_SIZE // max(1, row_size))
    for start in range(0, n_rows, step):
        yield slice(start, start + step)


RULES: dict[type, Rule] = {
    nn.Linear: linear,
    nn.Conv1d: convolution,
    nn.Conv2d: convolution,
    nn.Conv3d: convolution,
    nn.BatchNorm1d: batch_norm,
    nn.BatchNorm2d: batch_norm,
    nn.BatchNorm3d: batch_norm,
    nn.GroupNorm: group_norm,
    nn.LayerNorm: layer_norm,
    nn.Embedding: embedding,
}
