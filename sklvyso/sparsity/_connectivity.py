"""Effective masks: which kept weights lie on a way from input to output."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from sklvyso._arguments import is_choice, is_sequence
from sklvyso.sparsity._kept import KeptWeights
from sklvyso.sparsity._trace import Rule, record_module
from sklvyso.sparsity._weights import (
    check_masks,
    check_module_type,
    maskable_weights,
    module_masks,
    prunable_weights,
)

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
        if not is_choice(granularity, GRANULARITIES):
            raise ValueError(
                f"granularity must be one of {list(GRANULARITIES)}. Got "
                f"{granularity!r} instead."
            )
        if not is_choice(norm, NORMS):
            raise ValueError(f"norm must be one of {list(NORMS)}. Got {norm!r}.")
        module = check_module_type(module)
        weights = maskable_weights(module)
        self.prunable = list(prunable_weights(module))
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
        supports, saved = self._forward(self._complete(kept))
        reach, active = self._backward(supports, saved)
        for name in kept:
            if active.get(name) is None:
                nothing = np.zeros(0, dtype=np.int64)
                active[name] = KeptWeights(self.shapes[name], positions=nothing)
        return Measurement(
            {name: active[name] for name in kept},
            [self._reached(reach, value) for value in self.trace.inputs],
            [supports[value] for value in self.trace.outputs],
            self._blocked(supports),
        )

    def flow(self, kept: Mapping[str, KeptWeights]) -> Flow:
        """Find which activations are alive, and which reach an output."""
        supports, saved = self._forward(self._complete(kept))
        reach, _ = self._backward(supports, saved)
        return Flow(supports, reach)

    def _complete(self, kept):
        complete = dict(kept)
        for name, shape in self.shapes.items():
            if name not in complete:
                complete[name] = KeptWeights.all_of(shape)
        return complete

    def _reached(self, reach, value):
        if reach[value] is None:
            return np.zeros(self.trace.shapes[value], dtype=bool)
        return reach[value]

    def _blocked(self, supports):
        return [
            name
            for operation in self.trace.operations
            for name in operation.weights
            if not any(supports[value].any() for value in operation.outputs)
            and any(supports[value].any() for value in operation.inputs)
        ]

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


@dataclass
class Flow:
    """State of every activation.

    Attributes
    ----------
    supports : list of ndarray of bool
        By value: what an input reaches.
    reach : list of (ndarray of bool or None)
        By value: what reaches an output; None is nothing.
    """

    supports: list[Any]
    reach: list[Any]


class Measurement:
    """What :meth:`Connectivity.measure` found.

    Attributes
    ----------
    active : dict of str to KeptWeights
        Active weights.
    n_disconnected_inputs, n_disconnected_outputs : int
        Values of a sample that reach no output; outputs that no input reaches.
    blocked_layers : list of str
        Weights of layers with an input that is alive and none such output.
    """

    def __init__(self, active, inputs, outputs, blocked_layers):
        self.active: dict[str, KeptWeights] = active
        self.n_disconnected_inputs = _count_false(inputs)
        self.n_disconnected_outputs = _count_false(outputs)
        self.blocked_layers: list[str] = blocked_layers

    @property
    def count(self) -> int:
        """Number of active weights."""
        return sum(weights.count for weights in self.active.values())


def _count_false(arrays):
    return sum(int(np.count_nonzero(~array)) for array in arrays)


def check_sample_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the torch shape of one sample as a tuple of positive ints."""
    rule = "input_shape must be the torch shape of one sample, such as (C, H, W)"
    if not is_sequence(input_shape):
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
    """Find the kept weights that lie on a way from the input to the output.

    Only what is connected with what counts: a weight that is kept, whatever its value,
    carries signal if a chain of kept weights leads to it from an input value and
    another leads on to an output. Biases and norms never keep a unit alive. Activations
    do not matter.

    Parameters
    ----------
    module : torch.nn.Module
        Any feed-forward network whose Python code runs on one sample: convolutions,
        linear layers, pooling, norms, residual sums, products, attention. Only its
        structure is read; values, mode, hooks, gradients and buffers stay as they are.
    masks : dict of str to array-like or None
        Name of the weight, ``"<path of the layer>.weight"``, to bools or zeros and ones
        in its shape. Weights that are not named are dense. None reads the masks of
        :mod:`torch.nn.utils.prune`; where there are both, both must keep a weight.
    input_shape : sequence of int
        Torch shape of one sample, ``(C, H, W)`` or ``(n_features,)``.
    granularity : {"pixel", "channel"}, default="pixel"
        ``"pixel"`` is exact: nodes are single activations, and a kernel entry is active
        if any of its places in the image is on a way. ``"channel"`` takes channels as
        nodes: faster, and an upper bound of what is active (several times too many in
        deep convolutional networks of compression 1,000).
    rules : dict or None, default=None
        For modules and functions that are not known: module class or torch function to
        ``"identity"``, or to a function ``rule(module, *inputs)`` (``rule(*inputs)``
        for a torch function). It gets tensors of zeros and ones, a batch of one sample,
        must compute with operations that keep numbers >= 0 and have derivatives >= 0,
        and returns a positive number where an output is connected. The weights of
        ``module`` are then their masks.
    norm : {"identity", "mix"}, default="identity"
        Whether layer, group and RMS norms connect the values that they average over.
        The paper leaves norms out.

    Returns
    -------
    active : dict of str to ndarray of bool
        For each name in ``masks``, the active weights; each is kept too.

    Raises
    ------
    UnsupportedModuleError
        If the module does something whose connections are not known. The message names
        the module and says how to register a rule.
    ValueError
        If a mask has an unknown name, another shape or other values than 0 and 1, or
        the module cannot process a sample of this shape.
    TypeError
        If ``module`` is no module or ``masks`` no dict.

    See Also
    --------
    sparsity_report : Counts them layer by layer.
    compact : Takes dead units out.
    prune_module : Prunes to a budget of them.

    Notes
    -----
    A node a is alive from the input if one of the nodes that feed it through a kept
    weight is; it reaches the output if one of the nodes that it feeds does. A weight is
    active if the node before it is alive and the node after it reaches the output [1]_.
    Both passes work on sets (packed bits, one word operation a kept weight), so that
    depth neither underflows nor overflows, and the result depends on no random number.
    The reference code propagates random magnitudes instead and keeps max pooling in its
    VGG-19, which loses live weights.

    Attention weights count as positive at all positions: a value flows on even when the
    queries are cut off. A product needs both factors.

    References
    ----------
    .. [1] A. Vysogorets, J. Kempe, "Connectivity Matters: Neural Network Pruning
       Through the Lens of Effective Sparsity", JMLR 24(99), 2023.

    Examples
    --------
    The second hidden unit has no input, the third leads nowhere:

    >>> import numpy as np
    >>> from torch import nn
    >>> from sklvyso.sparsity import effective_masks
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> masks = {
    ...     "0.weight": np.array([[1, 0], [0, 0], [1, 1]]),
    ...     "2.weight": np.array([[1, 1, 0]]),
    ... }
    >>> active = effective_masks(net, masks, (2,))
    >>> active["0.weight"].astype(int)
    array([[1, 0],
           [0, 0],
           [0, 0]])
    >>> active["2.weight"].astype(int)
    array([[1, 0, 0]])
    """
    connectivity = Connectivity(
        module, input_shape, granularity=granularity, rules=rules, norm=norm
    )
    kept = kept_weights(module, masks, connectivity)
    active = connectivity.measure(kept).active
    names = kept if masks is None else masks
    return {name: active[name].mask for name in names}


def kept_weights(
    module: nn.Module, masks: Mapping[str, ArrayLike] | None, connectivity: Connectivity
) -> dict[str, KeptWeights]:
    """Unite the masks that are given with those that the module has.

    Parameters
    ----------
    module : torch.nn.Module
        May have masks of :mod:`torch.nn.utils.prune`.
    masks : mapping of str to array-like or None
        Further masks.
    connectivity : Connectivity
        Knows names and shapes.

    Returns
    -------
    kept : dict of str to KeptWeights
        In the order of ``masks``, then those of the module.
    """
    checked = {} if masks is None else check_masks(masks, connectivity.shapes)
    for name, own in module_masks(check_module_type(module)).items():
        checked[name] = checked[name] & own if name in checked else own
    return {name: KeptWeights.from_mask(mask) for name, mask in checked.items()}
