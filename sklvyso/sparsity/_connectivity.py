"""Effective masks: which kept weights lie on a way from input to output."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from sklvyso.sparsity._kept import KeptWeights
from sklvyso.sparsity._trace import Rule, record_module
from sklvyso.sparsity._weights import check_masks, check_module_type, maskable_weights

GRANULARITIES = ("pixel", "channel")
NORMS = ("identity", "mix")


class Connectivity:
    """Data flow of a module, ready to be measured under many masks.

    Parameters
    ----------
    module : torch.nn.Module
        Stays as it is.
    input_shape : sequence of int
        Torch shape of one sample.
    granularity : {"pixel", "channel"}, default="pixel"
        As in :func:`effective_masks`.
    rules : mapping or None, default=None
        As in :func:`effective_masks`.
    norm : {"identity", "mix"}, default="identity"
        As in :func:`effective_masks`.
    """

    def __init__(
        self,
        module: nn.Module,
        input_shape: Sequence[int],
        *,
        granularity: str = "pixel",
        rules: Mapping[Any, Rule] | None = None,
        norm: str = "identity",
    ):
        if granularity not in GRANULARITIES:
            raise ValueError(
                f"granularity must be one of {list(GRANULARITIES)}. Got "
                f"{granularity!r} instead."
            )
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {list(NORMS)}. Got {norm!r}.")
        module = check_module_type(module)
        weights = maskable_weights(module)
        self.shapes = {name: tuple(w.shape) for name, w in weights.items()}
        self.by_channel = granularity == "channel"
        shape = check_sample_shape(input_shape)
        self.trace = record_module(module, shape, weights, rules, norm)

    def measure(self, kept: Mapping[str, KeptWeights]) -> Measurement:
        """Find the kept weights that are active.

        Parameters
        ----------
        kept : mapping of str to KeptWeights
            Weights that are not named are dense.

        Returns
        -------
        measurement : Measurement
            Active weights, and what is cut off.
        """
        complete = dict(kept)
        for name, shape in self.shapes.items():
            if name not in complete:
                complete[name] = KeptWeights.all_of(shape)
        supports, saved = self._forward(complete)
        reach, active = self._backward(supports, saved)
        for name in kept:
            if active.get(name) is None:
                nothing = np.zeros(0, dtype=np.int64)
                active[name] = KeptWeights(self.shapes[name], positions=nothing)
        return Measurement(
            {name: active[name] for name in kept},
            [reach[value] for value in self.trace.inputs],
            [supports[value] for value in self.trace.outputs],
        )

    def _forward(self, kept):
        supports: list[Any] = [None] * len(self.trace.shapes)
        for value in self.trace.inputs:
            supports[value] = np.ones(self.trace.shapes[value], dtype=bool)
        saved = []
        for operation in self.trace.operations:
            results, state = operation.forward(
                [supports[value] for value in operation.inputs], kept, self.by_channel
            )
            for value, support in zip(operation.outputs, results, strict=True):
                supports[value] = support
            saved.append(state)
        return supports, saved

    def _backward(self, supports, saved):
        reach: list[Any] = [None] * len(supports)
        for value in self.trace.outputs:
            reach[value] = np.ones(self.trace.shapes[value], dtype=bool)
        active: dict[str, KeptWeights] = {}
        for operation, state in zip(
            reversed(self.trace.operations), reversed(saved), strict=True
        ):
            into = [reach[value] for value in operation.outputs]
            found, used = operation.backward(state, into)
            for value, result in zip(operation.inputs, found, strict=True):
                if result is not None:
                    before = reach[value]
                    reach[value] = result if before is None else before | result
            for name, weights in zip(operation.weights, used, strict=True):
                if weights is not None:
                    before = active.get(name)
                    active[name] = weights if before is None else before.union(weights)
        return reach, active


class Measurement:
    """What :meth:`Connectivity.measure` found.

    Attributes
    ----------
    active : dict of str to KeptWeights
        Active weights.
    n_disconnected_inputs, n_disconnected_outputs : int
        Values of a sample that reach no output; outputs that no input reaches.
    """

    def __init__(self, active, reach_of_inputs, supports_of_outputs):
        self.active: dict[str, KeptWeights] = active
        self.input_reach = reach_of_inputs
        self.output_support = supports_of_outputs
        self.n_disconnected_outputs = sum(
            int(np.count_nonzero(~s)) for s in supports_of_outputs
        )

    @property
    def count(self) -> int:
        """Number of active weights."""
        return sum(weights.count for weights in self.active.values())


def check_sample_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the torch shape of one sample as a tuple of positive ints."""
    rule = "input_shape must be the torch shape of one sample, such as (C, H, W)"
    if isinstance(input_shape, str) or not hasattr(input_shape, "__iter__"):
        raise TypeError(f"{rule}. Got {input_shape!r} instead.")
    shape = tuple(input_shape)
    is_valid = all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0
        for n in shape
    )
    if not shape or not is_valid:
        raise ValueError(f"{rule}, with positive ints. Got {input_shape!r} instead.")
    return tuple(int(n) for n in shape)


def effective_masks(
    module: nn.Module,
    masks: Mapping[str, ArrayLike] | None,
    input_shape: Sequence[int],
    *,
    granularity: str = "pixel",
    rules: Mapping[Any, Rule] | None = None,
    norm: str = "identity",
) -> dict[str, np.ndarray]:
    """Find the kept weights that lie on a way from the input to the output."""
    connectivity = Connectivity(
        module, input_shape, granularity=granularity, rules=rules, norm=norm
    )
    checked = check_masks(masks or {}, connectivity.shapes)
    kept = {name: KeptWeights.from_mask(mask) for name, mask in checked.items()}
    active = connectivity.measure(kept).active
    return {name: active[name].mask for name in checked}
