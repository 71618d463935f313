"""Which channels of different layers must stay or go together."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections import Counter
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
    weight, bias : str, str or None
        Names of its parameters.
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
    bias: str | None
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
    suspects : list of ndarray of int
        Channels that go through a view with their number among its sizes, which the
        code may have computed or may have written into it.
    """

    def __init__(self, trace: Trace):
        self.trace = trace
        self.layers: list[Layer] = []
        self.slices: list[tuple[str, int, np.ndarray]] = []
        self.axes: dict[int, Axis] = {}
        self.suspects: list[np.ndarray] = []
        self._parent: list[int] = []
        self._pinned: set[int] = set()
        self._n_uses = Counter(
            name for call in trace.calls for name in {name for name, _ in call.tensors}
        )
        for value in trace.inputs:
            self._pin(value)
        for call in trace.calls:
            self._follow(call)
        for value in [*trace.outputs, *_unrecorded(trace)]:
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
        shape = self.trace.shapes[value] or (1,)
        axis = axis % len(shape)
        start = self.count
        self._parent += range(start, start + shape[axis])
        self.axes[value] = Axis(axis, np.arange(start, start + shape[axis]))
        return self.axes[value]

    def _pin(self, value):
        self.pin_channels(self._axis_of(value).channels)

    def _axis_of(self, value):
        """Channels of a value; of one that comes from a rule of the user, new ones."""
        if value not in self.axes:
            self._fresh(value, 1 if len(self.trace.shapes[value]) > 1 else 0)
            self._pin(value)
        return self.axes[value]

    def _slice(self, name, place, channels):
        """Let a parameter be cut; one that serves twice ties the channels."""
        for other, _, before in self.slices:
            if other == name:
                self._unite(before, channels)
        self.slices.append((name, place, channels))

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
            and self._axis_of(call.inputs[0]).axis == 1
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
            self._pin(value)

    def _keep(self, call):
        before = self._axis_of(call.inputs[0])
        self.axes[call.outputs[0]] = Axis(before.axis, before.channels)

    def _parameters_of(self, call, n_outputs) -> tuple[str, str | None] | None:
        """Names of weight and bias of a layer that can be cut, else None."""
        weights = [name for name, shape in call.tensors if len(shape) > 1]
        biases = [name for name, shape in call.tensors if len(shape) == 1]
        fits = all(shape == (n_outputs,) for _, shape in call.tensors if len(shape) < 2)
        is_used_once = all(self._n_uses[name] == 1 for name in weights + biases)
        if len(call.inputs) != 1 or len(weights) != 1 or len(biases) > 1:
            return None
        if not fits or not is_used_once:
            return None
        return weights[0], biases[0] if biases else None

    def _convolution(self, call):
        source, target = call.inputs[0], call.outputs[0]
        before = self._axis_of(source)
        parameters = self._parameters_of(call, self.trace.shapes[target][1])
        if parameters is None or before.axis != 1:
            return self._give_up(call)
        weight, bias = parameters
        after = self._fresh(target, 1)
        transposed = call.name.startswith("conv_transpose")
        shape = dict(call.tensors)[weight]
        n_in, n_out = len(before.channels), len(after.channels)
        n_local = shape[0] if transposed else shape[1]
        depthwise = not transposed and n_local == 1 and n_in == n_out > 1
        is_grouped = (shape[1] != n_out) if transposed else (n_local != n_in)
        if depthwise:
            self._unite(before.channels, after.channels)
        elif is_grouped:
            return self._give_up(call)
        ends = (before.channels, after.channels, source, target)
        self.layers.append(Layer(weight, bias, *ends, transposed, depthwise))
        return None

    def _linear(self, call):
        source, target = call.inputs[0], call.outputs[0]
        before, last = self._axis_of(source), len(self.trace.shapes[source]) - 1
        parameters = self._parameters_of(call, self.trace.shapes[target][-1])
        if parameters is None:
            return self._give_up(call)
        if before.axis != last:
            # Features behind the axis that is followed stay, and have numbers of
            # their own.
            self._pin(source)
            before = self._fresh(source, last)
            self._pin(source)
        channels = self._fresh(target, -1).channels
        ends = (before.channels, channels, source, target)
        weight, bias = parameters
        self.layers.append(Layer(weight, bias, *ends, axis=last))
        return None

    def _sum(self, call):
        if len(call.inputs) == 1:
            return self._in_place(call)
        shapes = {self.trace.shapes[value] for value in call.inputs}
        parts = [self._axis_of(value) for value in call.inputs]
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
        axis = self._axis_of(call.inputs[0])
        n_dims = len(self.trace.shapes[call.inputs[0]])
        n_channels = len(axis.channels)
        is_norm = call.name in ("batch_norm", "instance_norm", "prelu")
        for name, shape in call.tensors:
            if is_norm:
                if axis.axis != 1:
                    return self._give_up(call)
                if shape == (n_channels,):
                    self._slice(name, 0, axis.channels)
                continue
            place = axis.axis - (n_dims - len(shape))
            if place >= 0 and shape[place] == n_channels:
                self._slice(name, place, axis.channels)
        return None

    def _reshape(self, call):
        source, target = call.inputs[0], call.outputs[0]
        before, after = self.trace.shapes[source], self.trace.shapes[target]
        axis = self._axis_of(source)
        rest = int(np.prod(before[2:]))
        if axis.axis != 1:
            return self._give_up(call)
        if after[1:2] and after[1] > 1 and after[1] in call.numbers:
            self.suspects.append(axis.channels)
        if after == (before[0], before[1] * rest):
            self.axes[target] = Axis(1, np.repeat(axis.channels, rest))
            return None
        if after[:2] == before[:2]:
            return self._keep(call)
        return self._give_up(call)

    def _reduce(self, call):
        source, target = call.inputs[0], call.outputs[0]
        axis = self._axis_of(source)
        shape = self.trace.shapes[source]
        dims = call.keywords.get("dim", call.numbers or None)
        reduced = reduced_axes(shape, dims)
        if axis.axis != 1 or 1 in reduced or 0 in reduced:
            return self._give_up(call)
        self.axes[target] = Axis(1, axis.channels)
        return None

    def _join(self, call):
        parts = [self._axis_of(value) for value in call.inputs]
        target = call.outputs[0]
        shape = self.trace.shapes[target]
        dim = call.keywords.get("dim", call.numbers[-1] if call.numbers else 0)
        dim %= len(shape)
        n_channels = [len(part.channels) for part in parts]
        # Tensors without data, such as zeros, may be joined too.
        is_whole = (sum(n_channels) if dim == 1 else n_channels[0]) == shape[1]
        if any(part.axis != 1 for part in parts) or not is_whole:
            return self._give_up(call)
        if dim != 1:
            for part in parts[1:]:
                self._unite(parts[0].channels, part.channels)
            return self._keep(call)
        self.axes[target] = Axis(1, np.concatenate([p.channels for p in parts]))
        return None


def _unrecorded(trace: Trace) -> list[int]:
    """Values that go into steps without a call: those of rules of the user."""
    recorded = {value for call in trace.calls for value in call.outputs}
    return [
        value
        for operation in trace.operations
        if not recorded.issuperset(operation.outputs)
        for value in operation.inputs
    ]
