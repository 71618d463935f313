"""Which channels can go, and what the constants among them add to the next layer."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from sklvyso.sparsity._channels import Channels, Layer
from sklvyso.sparsity._connectivity import Flow
from sklvyso.sparsity._probing import LayerCall, Probe

# Layers whose own forward adds their bias.
_WITH_BIAS = {nn.Linear.forward} | {
    kind.forward
    for kind in (
        nn.Conv1d,
        nn.Conv2d,
        nn.Conv3d,
        nn.ConvTranspose1d,
        nn.ConvTranspose2d,
        nn.ConvTranspose3d,
    )
}


class Dead:
    """Which channels go.

    Parameters
    ----------
    channels : Channels
        What must go together.
    flags : ndarray of bool of shape (channels.count,)
        By the number that stands for a set of channels.
    """

    def __init__(self, channels: Channels, flags: np.ndarray):
        self._channels = channels
        self._roots = channels.roots(np.arange(channels.count))
        # A number that another stands for is never asked.
        self.flags = flags & (self._roots == np.arange(channels.count))

    @property
    def count(self) -> int:
        """Number of sets of channels that go."""
        return int(self.flags.sum())

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Whether each of these channels goes."""
        return self.flags[self._roots[numbers]]

    def revive(self, numbers: np.ndarray) -> None:
        """Let channels stay."""
        self.flags[self._roots[numbers]] = False

    def only(self, roots: np.ndarray) -> Dead:
        """Let all others stay."""
        flags = np.zeros_like(self.flags)
        flags[roots] = self.flags[roots]
        return Dead(self._channels, flags)

    def except_for(self, groups: list[np.ndarray]) -> Dead:
        """Let these channels stay too."""
        result = Dead(self._channels, self.flags)
        for numbers in groups:
            result.revive(numbers)
        return result

    def parts(self) -> list[np.ndarray]:
        """Split what goes into sets that meet in no value."""
        label = np.arange(len(self.flags))
        axes = [
            np.unique(self._roots[a.channels]) for a in self._channels.axes.values()
        ]
        changed = True
        while changed:
            changed = False
            for roots in axes:
                lowest = label[roots].min()
                changed |= bool((label[roots] != lowest).any())
                label[roots] = lowest
        going = np.flatnonzero(self.flags)
        return [going[label[going] == k] for k in np.unique(label[going])]


class Folding:
    """Decides which dead channels can go.

    Parameters
    ----------
    channels : Channels
        Of the trace.
    flow : Flow
        Which activations are alive.
    probe : Probe
        Inputs of the layers on random samples.
    network : torch.nn.Module
        With plain, masked weights.
    """

    def __init__(
        self, channels: Channels, flow: Flow, probe: Probe, network: nn.Module
    ):
        self.channels = channels
        self.flow = flow
        self._tolerance = probe.rounding
        self._calls: dict[str, LayerCall] = {}
        self._constants: dict[str, np.ndarray] = {}
        self._varying: dict[str, np.ndarray] = {}
        # By layer: a constant channel that stays, and those that it stands for with
        # the ratio of their constants to its own.
        self._stand_in: dict[str, int] = {}
        self._merged: dict[str, dict[int, float]] = {}
        self._takes_bias = {
            layer.weight: layer.bias is not None
            or _takes_bias(network, layer.weight, probe.called)
            for layer in channels.layers
        }
        for layer in channels.layers:
            call = probe.calls.get(layer.weight)
            shape = channels.trace.shapes[layer.source]
            if call is None or shape[0] != 1 or call.source.shape[1:] != shape[1:]:
                channels.pin_channels(layer.inputs)
                channels.pin_channels(layer.outputs)
            else:
                self._note_constants(layer, call)

    def _note_constants(self, layer: Layer, call: LayerCall) -> None:
        """Find values that no input reaches and that reach an output, by channel."""
        support, reach = self.flow.supports[layer.source], self.flow.reach[layer.source]
        if reach is None:
            reach = np.zeros_like(support)
        idle = _by_channel(layer, (~support & reach)[0])
        first = _by_channel(layer, call.source[0])
        # A value that should be constant may not be, as behind a softmax.
        spread = _by_channel(layer, np.ptp(call.source, axis=0))
        varies = spread > self._tolerance * np.abs(call.source).max(initial=1.0)
        self._calls[layer.weight] = call
        self._constants[layer.weight] = np.where(idle, first, 0.0)
        self._varying[layer.weight] = (idle & varies).any(axis=1)

    def dead(self) -> Dead:
        """Channels that nothing alive goes through, whatever their constants."""
        dead = Dead(self.channels, np.ones(self.channels.count, dtype=bool))
        for value, axis in self.channels.axes.items():
            support, reach = self.flow.supports[value], self.flow.reach[value]
            if reach is not None and support.ndim:
                others = tuple(i for i in range(support.ndim) if i != axis.axis)
                dead.revive(axis.channels[(support & reach).any(axis=others)])
        dead.revive(np.flatnonzero(self.channels.pinned()))
        for axis in self.channels.axes.values():
            if dead.of(axis.channels).all():  # tensors cannot be empty
                dead.revive(axis.channels[:1])
        return dead

    def settle(self, dead: Dead) -> list[str]:
        """Let channels stay whose constant cannot move into the next layer.

        Parameters
        ----------
        dead : Dead
            Changed in place.

        Returns
        -------
        reasons : list of str
            Why, each once; empty if all can go.
        """
        reasons: dict[str, None] = {}
        n_before = -1
        # A channel that stays may need its own inputs in turn.
        while dead.count != n_before:
            n_before = dead.count
            for layer in reversed(self.channels.layers):
                if not layer.depthwise and layer.weight in self._calls:
                    if layer.weight in self._stand_in:
                        dead.revive(layer.inputs[[self._stand_in[layer.weight]]])
                    fixed = self._fixed(layer, dead)
                    dead.revive(layer.inputs[list(fixed)])
                    reasons |= dict.fromkeys(fixed.values())
        return list(reasons)

    def shift(self, layer: Layer, dead: Dead) -> np.ndarray:
        """Return what the channels that go add to each output, in float64."""
        total = np.zeros(len(layer.outputs))
        if layer.depthwise or layer.weight not in self._calls:
            return total
        stay = ~dead.of(layer.outputs)
        going = dead.of(layer.inputs) & self._constants[layer.weight].any(axis=1)
        going[list(self._merged.get(layer.weight, ()))] = False
        if going.any():
            response, reach = self._response(layer, going, stay)
            highest = np.where(reach, response, -np.inf).max(axis=1)
            total[stay] = np.where(reach.any(axis=1), highest, 0.0)
        return total

    def _fixed(self, layer: Layer, dead: Dead) -> dict[int, str]:
        """Find inputs that should go and cannot be folded, and why."""
        stay = ~dead.of(layer.outputs)
        weight = self._calls[layer.weight].weight.numpy()
        weight = weight if layer.transposed else np.swapaxes(weight, 0, 1)
        read = (weight != 0).reshape(*weight.shape[:2], -1).any(axis=2) & stay
        going = np.flatnonzero(dead.of(layer.inputs) & read.any(axis=1))
        reasons = {int(i): self._obstacle(layer, int(i), read[i]) for i in going}
        fixed = {i: reason for i, reason in reasons.items() if reason is not None}
        self._merge(layer, list(fixed))
        return {i: r for i, r in fixed.items() if i not in self._merged[layer.weight]}

    def _merge(self, layer: Layer, columns: list[int]) -> None:
        """Let one constant channel stand for others that are constant too.

        What zero padding does at the border it does to all of them alike.
        """
        self._merged[layer.weight] = {}
        levels = {i: self._level(layer, i) for i in columns}
        steady = {i: level for i, level in levels.items() if level}
        if layer.weight not in self._stand_in:
            if len(steady) < 2:
                return
            first = min(steady)
            self._stand_in[layer.weight] = first
        chosen = self._stand_in[layer.weight]
        own = self._level(layer, chosen)
        if own:
            self._merged[layer.weight] = {
                i: level / own for i, level in steady.items() if i != chosen
            }

    def _level(self, layer: Layer, column: int) -> float | None:
        """Value of a channel that is the same at all places and for all samples."""
        if self._varying[layer.weight][column]:
            return None
        values = _by_channel(layer, self._calls[layer.weight].source[0])[column]
        support = _by_channel(layer, self.flow.supports[layer.source][0])[column]
        if support.any() or (values != values[0]).any():
            return None
        return float(values[0])

    def merged_weight(self, layer: Layer, dead: Dead) -> torch.Tensor | None:
        """Weight of a layer in which one column stands for others; None if none do."""
        going = dead.of(layer.inputs)
        ratios = {
            i: ratio
            for i, ratio in self._merged.get(layer.weight, {}).items()
            if going[i]
        }
        if not ratios:
            return None
        weight = self._calls[layer.weight].weight.clone()
        columns = weight if layer.transposed else weight.transpose(0, 1)
        for i, ratio in ratios.items():
            columns[self._stand_in[layer.weight]] += ratio * columns[i]
        return weight

    def _obstacle(self, layer: Layer, column: int, rows: np.ndarray) -> str | None:
        """Say why an input cannot be folded; None where it can."""
        constant = self._constants[layer.weight][column]
        if self._varying[layer.weight][column]:
            return f"what {layer.weight!r} reads there depends on the sample after all"
        if not constant.any():
            return None
        if not self._takes_bias[layer.weight]:
            return f"the layer of {layer.weight!r} has no bias to take their constant"
        if constant.size == 1:
            return None
        response, reach = self._response(layer, [column], rows)
        low = np.where(reach, response, np.inf).min(axis=1)
        high = np.where(reach, response, -np.inf).max(axis=1)
        if (high - low <= self._tolerance * np.abs(response).max()).all():
            return None
        return (
            "they have no input, but their constant does not add the same at all "
            f"places of the output of {layer.weight!r}, mostly because of zero padding"
        )

    def _response(self, layer, columns, rows) -> tuple[np.ndarray, np.ndarray]:
        """Run some inputs to some outputs: result and whether it reaches, by place."""
        call, axis = self._calls[layer.weight], layer.axis - 1
        places = np.moveaxis(call.source[0], axis, 0).shape[1:]
        constant = self._constants[layer.weight].reshape(-1, *places)[columns]
        constant = np.moveaxis(constant, 0, axis)[None]
        first, second = (columns, rows) if layer.transposed else (rows, columns)
        weight = call.weight[_index(first)][:, _index(second)]
        response = call.respond(np.ascontiguousarray(constant), weight)
        reach = self.flow.reach[layer.target]
        if reach is None:
            reach = np.zeros(self.channels.trace.shapes[layer.target], dtype=bool)
        return _by_channel(layer, response[0]), _by_channel(layer, reach[0])[rows]


def _by_channel(layer: Layer, values: np.ndarray) -> np.ndarray:
    """Put the channels of one sample first and its places into one axis."""
    values = np.moveaxis(values, layer.axis - 1, 0)
    return values.reshape(len(values), -1)


def _index(selected: Any) -> torch.Tensor:
    return torch.from_numpy(np.asarray(selected))


def _takes_bias(network, weight, called):
    path, _, key = weight.rpartition(".")
    forward = type(network.get_submodule(path)).forward
    return key == "weight" and path in called and forward in _WITH_BIAS
