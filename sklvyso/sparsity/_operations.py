"""One step of a network's data flow, and how support travels through it."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from sklvyso.sparsity._kept import KeptWeights
from sklvyso.sparsity._stencil import Stencil

# Products and sums of zeros and ones are whole numbers: half of one tells them apart
# even where a convolution is computed by an inexact fast algorithm.
_WHOLE = 0.5


class Operation:
    """A positive, differentiable function that stands for one step of a network.

    Activations, norms and biases are gone; an output value is positive exactly where
    an input value with a way to it is.

    Parameters
    ----------
    function : callable
        ``function(values, weights, constants)`` with lists of tensors >= 0 returns a
        tensor or a tuple of tensors >= 0.
    inputs, outputs : tuple of int
        Numbers of the values that go in and out.
    weights : tuple of str, default=()
        Names of the weights that may have a mask.
    constants : tuple of tensor, default=()
        Other tensors that take part; their magnitudes count in
        :class:`~sklvyso.sparsity._linear.LinearNetwork` only.
    whole : bool, default=False
        Whether 0/1 operands give whole numbers.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[int],
        outputs: Sequence[int],
        weights: Sequence[str] = (),
        constants: Sequence[torch.Tensor] = (),
        *,
        whole: bool = False,
    ):
        self.function = function
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.weights = tuple(weights)
        self.constants = tuple(constants)
        self.threshold = _WHOLE if whole else 0.0

    def run(self, values, weights, constants=None) -> tuple[torch.Tensor, ...]:
        """Compute the outputs, a tuple of tensors."""
        if constants is None:
            constants = [c.abs().to(torch.float32) for c in self.constants]
        result = self.function(values, weights, constants)
        return result if isinstance(result, tuple) else (result,)

    def forward(self, supports, kept: dict[str, KeptWeights], by_channel: bool):
        """Support of the outputs, and what ``backward`` needs."""
        values = [_positive(s) for s in supports]
        masks = [_positive(kept[name].mask) for name in self.weights]
        constants = [torch.ones(c.shape, dtype=torch.float32) for c in self.constants]
        with torch.inference_mode(False), torch.enable_grad():
            results = self.run(values, masks, constants)
        saved = (values, masks, results)
        return [(r.detach() > self.threshold).numpy() for r in results], saved

    def backward(self, saved, reach):
        """Which inputs reach a way out, and which entries of the weights lie on it."""
        values, masks, results = saved
        used = [
            (result, torch.tensor(r, dtype=result.dtype))
            for result, r in zip(results, reach, strict=True)
            if r is not None and result.requires_grad
        ]
        sources = [*values, *masks]
        if not used or not sources:
            return [None] * len(values), [None] * len(masks)
        gradients = torch.autograd.grad(
            [result for result, _ in used],
            sources,
            [r for _, r in used],
            allow_unused=True,
        )
        found = [None if g is None else (g > self.threshold).numpy() for g in gradients]
        n = len(values)
        active = [
            None if g is None else KeptWeights.from_mask(g & (mask > 0).numpy())
            for g, mask in zip(found[n:], masks, strict=True)
        ]
        return found[:n], active


class Reshape(Operation):
    """The same values in another shape."""

    def forward(self, supports, kept, by_channel):
        (support,) = supports
        return [support.reshape(self.shape)], support.shape

    def backward(self, saved, reach):
        return [None if reach[0] is None else reach[0].reshape(saved)], []

    def __init__(self, shape, inputs, outputs):
        super().__init__(lambda v, w, c: v[0].reshape(shape), inputs, outputs)
        self.shape = shape


class Join(Operation):
    """A sum of values of shapes that broadcast: alive where any of them is."""

    def __init__(self, inputs, outputs, shape):
        super().__init__(lambda v, w, c: _sum(v, shape), inputs, outputs)
        self.shape = shape

    def forward(self, supports, kept, by_channel):
        result = np.zeros(self.shape, dtype=bool)
        for support in supports:
            result |= support
        return [result], [s.shape for s in supports]

    def backward(self, saved, reach):
        if reach[0] is None:
            return [None] * len(saved), []
        return [_fold(reach[0], shape) for shape in saved], []


class BlockPool(Operation):
    """Pooling over blocks that neither overlap nor hang over the edge."""

    def __init__(self, function, inputs, outputs, block):
        super().__init__(function, inputs, outputs)
        self.block = tuple(block)

    def forward(self, supports, kept, by_channel):
        (support,) = supports
        result = support
        for axis in range(-len(self.block), 0):
            result = self._any(result, axis, self.block[axis])
        return [result], support.shape

    @staticmethod
    def _any(support, axis, size):
        index: list[Any] = [slice(None)] * support.ndim
        n = support.shape[axis] // size
        result = None
        for shift in range(size):
            index[axis] = slice(shift, shift + (n - 1) * size + 1, size)
            part = support[tuple(index)]
            result = part if result is None else result | part
        return result

    def backward(self, saved, reach):
        (result,) = reach
        if result is None:
            return [None], []
        for axis in range(-len(self.block), 0):
            result = result.repeat(self.block[axis], axis=axis)
        full = np.zeros(saved, dtype=bool)
        full[tuple(slice(0, n) for n in result.shape)] = result
        return [full], []


class Connection(Operation):
    """A linear or convolutional layer: weights between channels at offsets.

    Parameters
    ----------
    function, inputs, outputs
        As in :class:`Operation`, for the dense computation.
    weight : str
        Name of the weight.
    stencil : Stencil
        Which places the kernel connects. The first axis of the weight counts channels
        of the coarse grid.
    groups : int
        Groups of channels.
    transposed : bool
        Whether data flow from the coarse to the fine grid.
    features_last : bool
        Whether channels are the last axis of the values, as for linear layers.
    """

    def __init__(
        self,
        function,
        inputs,
        outputs,
        weight: str,
        stencil: Stencil,
        *,
        groups: int = 1,
        transposed: bool = False,
        features_last: bool = False,
    ):
        super().__init__(function, inputs, outputs, (weight,), whole=True)
        self.stencil = stencil
        self.groups = groups
        self.transposed = transposed
        self.features_last = features_last

    def forward(self, supports, kept, by_channel):
        weights = kept[self.weights[0]]
        by_channel = by_channel and not self.features_last
        if not by_channel and self._is_dense(weights):
            return super().forward(supports, kept, by_channel)
        (support,) = supports
        source = self._flat(support)
        if by_channel:
            source = source.any(axis=1, keepdims=True)
        links = self.stencil.links(weights, self.groups, by_channel=by_channel)
        spread = links.to_fine if self.transposed else links.to_coarse
        result = spread(source)
        saved = (links, source, support.shape, by_channel, weights)
        return [self._unflat(result, self._output_shape(support))], saved

    def _is_dense(self, weights):
        """Say whether a dense convolution is faster, by measured nanoseconds."""
        n_places = math.prod(self.stencil.coarse)
        sparse = weights.count * (16 + 3 * -(-n_places // 64))
        return sparse > weights.size * (4 + 0.15 * n_places)

    def _output_shape(self, support):
        size = self.stencil.fine if self.transposed else self.stencil.coarse
        if self.features_last:
            return support.shape[:-1]
        return (len(support), *(size if len(support) == 1 else size[1:]))

    def backward(self, saved, reach):
        if not isinstance(saved[0], self.stencil.links_type):
            return super().backward(saved, reach)
        links, source, shape, by_channel, weights = saved
        (reached,) = reach
        if reached is None:
            return [None], [None]
        target = self._flat(reached)
        if by_channel:
            target = target.any(axis=1, keepdims=True)
        if self.transposed:
            result = links.to_coarse(target)
            used = links.used(fine=target, coarse=source)
        else:
            result = links.to_fine(target)
            used = links.used(fine=source, coarse=target)
        lead = shape[:-1] if self.features_last else (shape[0], *shape[2:])
        return [self._unflat(result, lead)], [weights.subset(used)]

    def _flat(self, support):
        """Channels first, all places in one axis."""
        if self.features_last:
            return support.reshape(-1, support.shape[-1]).T
        if len(support) > 1:  # channels or heads that were moved into the batch axis
            support = support.swapaxes(0, 1)
            return np.ascontiguousarray(support).reshape(len(support), -1)
        return support.reshape(support.shape[1], -1)

    def _unflat(self, flat, lead):
        if self.features_last:
            return np.ascontiguousarray(flat.T).reshape(*lead, len(flat))
        places = math.prod(lead)
        if flat.shape[1] != places:  # by channel: the same at all places
            flat = np.broadcast_to(flat, (len(flat), places))
        if lead[0] > 1:
            return flat.reshape(len(flat), *lead).swapaxes(0, 1)
        return flat.reshape(1, len(flat), *lead[1:])


def _positive(array: np.ndarray) -> torch.Tensor:
    with torch.inference_mode(False):
        return torch.from_numpy(np.array(array, dtype=np.float32)).requires_grad_()


def _sum(values, shape):
    total = values[0].expand(shape)
    for value in values[1:]:
        total = total + value
    return total


def _fold(reach: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo a broadcast by a logical or."""
    extra = reach.ndim - len(shape)
    if extra:
        reach = np.any(reach, axis=tuple(range(extra)))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and reach.shape[i] != 1)
    return np.any(reach, axis=axes, keepdims=True) if axes else reach
