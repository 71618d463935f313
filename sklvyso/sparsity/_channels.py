"""Which channels of different layers must stay or go together."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklvyso.sparsity._function_rules import reduced_axes
from sklvyso.sparsity._rules import IDENTITY, RESHAPE, SUMS
from sklvyso.sparsity._trace import Call, Trace

# Each channel by itself.
_BY_CHANNEL = (
    "max_pool",
    "avg_pool",
    "adaptive_max_pool",
    "adaptive_avg_pool",
    "interpolate",
    "upsample",
    "pad",
)
_MIXES = frozenset({"local_response_norm", "log_softmax", "softmin", "gumbel_softmax"})
_ADDITIONS = frozenset({"radd", "iadd", "rsub", "isub"})
# With a constant, each value by itself.
_WITH_CONSTANT = SUMS | frozenset(
    f"{side}{name}"
    for side in ("", "r", "i")
    for name in ("add", "sub", "mul", "div", "truediv")
)


@dataclass
class Axis:
    """Channels of a value: their numbers, and the axis that they lie on."""

    axis: int
    channels: np.ndarray


@dataclass
class Layer:
    """A layer with weights between channels.

    Attributes
    ----------
    weight : str
        Name of its weight.
    inputs, outputs : ndarray of int
        Numbers of its channels.
    source, target : int
        Numbers of the values that it reads and makes.
    transposed : bool
        Whether the weight counts inputs first.
    depthwise : bool
        Whether each output has one input, its own.
    axis : int
        Axis of the channels in both values.
    """

    weight: str
    inputs: np.ndarray
    outputs: np.ndarray
    source: int
    target: int
    transposed: bool = False
    depthwise: bool = False
    axis: int = 1


class Channels:
    """Numbers the channels of all values; those that are added share a number.

    Parameters
    ----------
    trace : Trace
        Of the module.

    Attributes
    ----------
    layers : list of Layer
        Layers whose weights can be cut.
    slices : list of (str, int, ndarray)
        Other parameters and buffers: name, axis, channels.
    axes : dict of int to Axis
        Channels of each value.
    """

    def __init__(self, trace: Trace):
        self.trace = trace
        self.layers: list[Layer] = []
        self.slices: list[tuple[str, int, np.ndarray]] = []
        self.axes: dict[int, Axis] = {}
        self._parent: list[int] = []
        self._pinned: set[int] = set()
        for value in trace.inputs:
            self._fresh(value, 1)
            self._pin(value)
        for call in trace.calls:
            self._follow(call)
        for value in trace.outputs:
            self._pin(value)

    @property
    def count(self) -> int:
        """Number of numbers given."""
        return len(self._parent)

    def roots(self, channels: np.ndarray) -> np.ndarray:
        """One number for all channels that must stay or go together."""
        return np.array([self._root(c) for c in channels], dtype=np.int64)

    def pinned(self) -> np.ndarray:
        """Whether each number must stay, shape (count,)."""
        result = np.zeros(self.count, dtype=bool)
        for channel in self._pinned:
            result[self._root(channel)] = True
        return result

    def pin_channels(self, channels: np.ndarray) -> None:
        """Let channels stay, whatever they carry."""
        self._pinned.update(int(c) for c in channels)

    # -- bookkeeping --------------------------------------------------------------

    def _root(self, channel):
        parent = self._parent
        while parent[channel] != channel:
            parent[channel] = parent[parent[channel]]
            channel = parent[channel]
        return channel

    def _unite(self, first, second):
        for a, b in zip(first, second, strict=True):
            self._parent[self._root(a)] = self._root(b)

    def _fresh(self, value, axis):
        shape = self.trace.shapes[value]
        axis = axis % len(shape)
        start = self.count
        self._parent += range(start, start + shape[axis])
        self.axes[value] = Axis(axis, np.arange(start, start + shape[axis]))
        return self.axes[value]

    def _pin(self, value):
        if value in self.axes:
            self.pin_channels(self.axes[value].channels)

    # -- calls --------------------------------------------------------------------

    def _follow(self, call: Call) -> None:
        shapes = self.trace.shapes
        name = call.name
        if name.startswith("conv"):
            self._convolution(call)
        elif name == "linear":
            self._linear(call)
        elif name in SUMS | _ADDITIONS:
            self._sum(call)
        elif call.outputs and call.inputs == call.outputs and name not in _MIXES:
            self._in_place(call)
        elif name in RESHAPE:
            self._reshape(call)
        elif name.startswith(_BY_CHANNEL) and (
            len(call.inputs) == 1
            and shapes[call.inputs[0]][:2] == shapes[call.outputs[0]][:2]
            and self.axes[call.inputs[0]].axis == 1
        ):
            self._keep(call)
        elif name in ("mean", "sum"):
            self._reduce(call)
        elif name in ("cat", "concat", "concatenate"):
            self._join(call)
        else:
            self._give_up(call)

    def _give_up(self, call):
        for value in call.inputs:
            self._pin(value)
        for value in call.outputs:
            if value not in self.axes:
                shape = self.trace.shapes[value]
                self._fresh(value, 1 if len(shape) > 1 else 0)
            self._pin(value)

    def _keep(self, call):
        before = self.axes[call.inputs[0]]
        self.axes[call.outputs[0]] = Axis(before.axis, before.channels)

    def _weight_of(self, call):
        """Name of the weight, if it is of a layer that can be cut."""
        names = [name for name, shape in call.tensors if len(shape) > 1]
        n_uses = sum(
            any(name in names for name, _ in other.tensors)
            for other in self.trace.calls
        )
        return names[0] if len(names) == 1 and n_uses == 1 else None

    def _convolution(self, call):
        weight = self._weight_of(call)
        if weight is None or len(call.inputs) != 1:
            return self._give_up(call)
        source, target = call.inputs[0], call.outputs[0]
        before, after = self.axes[source], self._fresh(target, 1)
        transposed = call.name.startswith("conv_transpose")
        shape = dict(call.tensors)[weight]
        n_in, n_out = len(before.channels), len(after.channels)
        if before.axis != 1:
            return self._give_up(call)
        n_local = shape[0] if transposed else shape[1]
        depthwise = not transposed and n_local == 1 and n_in == n_out > 1
        is_grouped = (shape[1] != n_out) if transposed else (n_local != n_in)
        if depthwise:
            self._unite(before.channels, after.channels)
        elif is_grouped:
            return self._give_up(call)
        self.layers.append(
            Layer(
                weight,
                before.channels,
                after.channels,
                source,
                target,
                transposed,
                depthwise,
            )
        )
        return None

    def _linear(self, call):
        weight = self._weight_of(call)
        if weight is None or len(call.inputs) != 1:
            return self._give_up(call)
        source, target = call.inputs[0], call.outputs[0]
        before = self.axes[source]
        if before.axis != len(self.trace.shapes[source]) - 1:
            self._pin(source)
            return self._give_up(call)
        after = self._fresh(target, -1)
        self.layers.append(
            Layer(
                weight,
                before.channels,
                after.channels,
                source,
                target,
                axis=before.axis,
            )
        )
        return None

    def _sum(self, call):
        if len(call.inputs) == 1:
            return self._in_place(call)
        shapes = {self.trace.shapes[value] for value in call.inputs}
        parts = [self.axes[value] for value in call.inputs]
        if len(shapes) > 1 or len({part.axis for part in parts}) > 1:
            return self._give_up(call)
        for part in parts[1:]:
            self._unite(parts[0].channels, part.channels)
        self._keep(call)
        return None

    def _in_place(self, call):
        """Follow a function of each value by itself, perhaps with parameters."""
        if call.inputs != call.outputs:
            return self._give_up(call)
        if call.name not in IDENTITY and call.name not in _WITH_CONSTANT:
            return self._give_up(call)
        axis = self.axes[call.inputs[0]]
        n_dims = len(self.trace.shapes[call.inputs[0]])
        n_channels = len(axis.channels)
        is_norm = call.name in ("batch_norm", "instance_norm", "prelu")
        for name, shape in call.tensors:
            if is_norm:
                if axis.axis != 1:
                    return self._give_up(call)
                if shape == (n_channels,):
                    self.slices.append((name, 0, axis.channels))
                continue
            place = axis.axis - (n_dims - len(shape))
            if place >= 0 and shape[place] == n_channels:
                self.slices.append((name, place, axis.channels))
        return None

    def _reshape(self, call):
        source, target = call.inputs[0], call.outputs[0]
        before, after = self.trace.shapes[source], self.trace.shapes[target]
        axis = self.axes[source]
        rest = int(np.prod(before[2:]))
        is_fixed = any(n > 1 for n in call.numbers if n in after) and (
            call.name in ("view", "reshape", "unflatten")
        )
        if axis.axis != 1 or is_fixed:
            return self._give_up(call)
        if after == (before[0], before[1] * rest):
            self.axes[target] = Axis(1, np.repeat(axis.channels, rest))
            return None
        if after[:2] == before[:2]:
            return self._keep(call)
        return self._give_up(call)

    def _reduce(self, call):
        source, target = call.inputs[0], call.outputs[0]
        axis = self.axes[source]
        shape = self.trace.shapes[source]
        dims = call.keywords.get("dim", call.numbers or None)
        reduced = reduced_axes(shape, dims)
        if axis.axis != 1 or 1 in reduced or 0 in reduced:
            return self._give_up(call)
        self.axes[target] = Axis(1, axis.channels)
        return None

    def _join(self, call):
        parts = [self.axes[value] for value in call.inputs]
        target = call.outputs[0]
        dim = call.keywords.get("dim", call.numbers[-1] if call.numbers else 0)
        dim %= len(self.trace.shapes[target])
        if any(part.axis != 1 for part in parts):
            return self._give_up(call)
        if dim != 1:
            for part in parts[1:]:
                self._unite(parts[0].channels, part.channels)
            return self._keep(call)
        self.axes[target] = Axis(1, np.concatenate([p.channels for p in parts]))
        return None
