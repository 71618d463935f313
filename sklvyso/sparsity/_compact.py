"""The same network without its dead units: fewer channels, same outputs."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.utils._pytree import tree_flatten

from sklvyso.networks import torch_seed
from sklvyso.sparsity._channels import Channels, Layer
from sklvyso.sparsity._connectivity import (
    Connectivity,
    check_sample_shape,
    kept_weights,
)
from sklvyso.sparsity._interoperability import pruned_copy
from sklvyso.sparsity._trace import Rule

_TOLERANCE = 1e-5
_N_PROBES = 4


def compact(
    module: nn.Module,
    masks: Mapping[str, ArrayLike] | None,
    input_shape: Sequence[int],
    *,
    rules: Mapping[Any, Rule] | None = None,
) -> nn.Module:
    """Take dead units and channels out of a pruned network.

    A unit or channel is dead if no active weight touches it. Its weights, bias and
    norm parameters go, in all layers that share it. Where it has no input, it is a
    constant, which moves into the biases of the next layers. Pruned weights between
    live units stay stored as zeros.

    Parameters
    ----------
    module : torch.nn.Module
        Sequential or residual network; it comes back as it was.
    masks : dict of str to array-like or None
        As in :func:`effective_masks`. They are applied to the weights.
    input_shape : sequence of int
        Torch shape of one sample.
    rules : dict or None, default=None
        As in :func:`effective_masks`. Channels of such modules stay.

    Returns
    -------
    compacted : torch.nn.Module
        A copy of the same class, in evaluation mode, on the CPU.

    Warns
    -----
    UserWarning
        If dead channels stay because their constant cannot be folded exactly: a
        convolution with zero padding sees another value at the border.

    Raises
    ------
    ValueError
        If the smaller network does not compute the same, for instance because its code
        has sizes written into it. The message says what differs.

    Notes
    -----
    The result is compared with the masked original on random inputs (absolute and
    relative tolerance 1e-5) before it is returned. Channels of grouped convolutions,
    of products (gates) and of norms across channels are not cut.

    Examples
    --------
    >>> import torch
    >>> from sklvyso.networks import make_network
    >>> from sklvyso.sparsity import compact, prune_module
    >>> net = make_network("lenet-300-100", (1, 28, 28), 10)
    >>> masks = prune_module(net, "synflow", sparsity=0.999, input_shape=(1, 28, 28))
    >>> small = compact(net, masks, (1, 28, 28))
    >>> n_before = sum(p.numel() for p in net.parameters())
    >>> sum(p.numel() for p in small.parameters()) < n_before / 2
    True
    """
    shape = check_sample_shape(input_shape)
    connectivity = Connectivity(module, shape, rules=rules)
    kept = kept_weights(module, masks, connectivity)
    original = pruned_copy(module, {name: k.mask for name, k in kept.items()})
    channels = Channels(connectivity.trace)
    flow = connectivity.flow(kept)
    inputs = _captured_inputs(original, channels, shape)
    dead = _dead_channels(channels, flow)
    dead = _keep_one_of_each(channels, dead)
    dead, n_stay = _foldable(channels, dead, flow, original, inputs)
    dead = _keep_one_of_each(channels, dead)
    if n_stay:
        warnings.warn(
            f"{n_stay} dead channels stay: they have no input, and their constant "
            "cannot be folded into the next layer, a convolution with zero padding, "
            "which sees another value at the border of the image.",
            UserWarning,
            stacklevel=2,
        )
    compacted = copy.deepcopy(original)
    for layer in channels.layers:
        _cut_layer(compacted, layer, dead, channels, flow, original, inputs)
    _cut_others(compacted, channels, dead)
    _compare(original, compacted, shape)
    return compacted


class _Dead:
    """Which channel numbers go."""

    def __init__(self, channels: Channels, flags: np.ndarray):
        self.root = channels.roots(np.arange(channels.count))
        self.flags = flags

    def of(self, numbers: np.ndarray) -> np.ndarray:
        return self.flags[self.root[numbers]]

    def revive(self, numbers: np.ndarray) -> None:
        self.flags[self.root[numbers]] = False


def _dead_channels(channels, flow) -> _Dead:
    alive = np.zeros(channels.count, dtype=bool)
    dead = _Dead(channels, alive)
    for value, axis in channels.axes.items():
        support, reach = flow.supports[value], flow.reach[value]
        if support is None or reach is None:
            continue
        others = tuple(i for i in range(support.ndim) if i != axis.axis)
        active = (support & reach).any(axis=others)
        alive[dead.root[axis.channels[active]]] = True
    dead.flags = ~(alive | channels.pinned())
    return dead


def _keep_one_of_each(channels, dead):
    """Let a layer without live outputs keep one, since tensors cannot be empty."""
    for axis in channels.axes.values():
        if dead.of(axis.channels).all():
            dead.revive(axis.channels[:1])
    return dead


def _captured_inputs(original, channels, shape):
    """Run a sample of zeros: what is constant is the same for all samples."""
    inputs: dict[str, torch.Tensor] = {}
    hooks = []
    for layer in channels.layers:
        part = original.get_submodule(layer.weight.rpartition(".")[0])

        def keep(_, args, name=layer.weight):
            inputs[name] = args[0].detach().double()

        hooks.append(part.register_forward_pre_hook(keep))
    with torch.no_grad():
        original(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    for layer in channels.layers:
        if layer.weight not in inputs:  # its weight is used without calling it
            channels.pin_channels(layer.inputs)
            channels.pin_channels(layer.outputs)
    return inputs


def _constants(layer: Layer, going: np.ndarray, flow, inputs) -> np.ndarray:
    """Values of channels that go, zero where they carry nothing that is constant."""
    value = inputs[layer.weight].numpy()
    support = flow.supports[layer.source]
    constant = np.where(support, 0.0, value)
    constant = np.moveaxis(constant, layer.axis, 0).copy()
    constant[~going] = 0
    return np.ascontiguousarray(np.moveaxis(constant, 0, layer.axis))


def _response(part: nn.Module, constant: torch.Tensor) -> torch.Tensor:
    """Run a layer without its bias, in float64."""
    twin = copy.deepcopy(part).double()
    if twin.bias is not None:
        twin.bias = None
    with torch.no_grad():
        return twin(constant)


def _foldable(channels, dead, flow, original, inputs):
    """Let channels stay whose constant is not the same wherever it is read."""
    n_stay = 0
    for layer in channels.layers:
        going = dead.of(layer.inputs)
        if layer.depthwise or layer.weight not in inputs or not going.any():
            continue
        constant = _constants(layer, going, flow, inputs)
        part = original.get_submodule(layer.weight.rpartition(".")[0])
        if _shift(part, layer, constant, flow) is not None:
            continue
        for i in np.flatnonzero(going):
            alone = np.zeros_like(constant)
            index: list[Any] = [slice(None)] * constant.ndim
            index[layer.axis] = slice(i, i + 1)
            alone[tuple(index)] = constant[tuple(index)]
            if alone.any() and _shift(part, layer, alone, flow) is None:
                dead.revive(layer.inputs[i : i + 1])
                n_stay += 1
    return dead, n_stay


def _shift(part, layer, constant, flow) -> np.ndarray | None:
    """Return what constants add to each output; None where it differs by place."""
    n_outputs = len(layer.outputs)
    if not constant.any():
        return np.zeros(n_outputs)
    response = _response(part, torch.from_numpy(constant)).numpy()
    reach = flow.reach[layer.target]
    if reach is None:
        return np.zeros(n_outputs)
    response = np.moveaxis(response, layer.axis, 0).reshape(n_outputs, -1)
    reach = np.moveaxis(reach, layer.axis, 0).reshape(n_outputs, -1)
    low = np.where(reach, response, np.inf).min(axis=1)
    high = np.where(reach, response, -np.inf).max(axis=1)
    used = reach.any(axis=1)
    spread = (high - low)[used]
    if (spread > 1e-12 * np.abs(response).max()).any():
        return None
    return np.where(used, high, 0.0)


def _cut_layer(compacted, layer, dead, channels, flow, original, inputs):
    stay_in, stay_out = ~dead.of(layer.inputs), ~dead.of(layer.outputs)
    path = layer.weight.rpartition(".")[0]
    part = compacted.get_submodule(path)
    shift = None
    if not layer.depthwise and not stay_in.all():
        constant = _constants(layer, ~stay_in, flow, inputs)
        shift = _shift(original.get_submodule(path), layer, constant, flow)
    weight = part.weight.detach()
    first, second = (stay_in, stay_out) if layer.transposed else (stay_out, stay_in)
    weight = weight[torch.from_numpy(first)]
    if not layer.depthwise:
        weight = weight[:, torch.from_numpy(second)]
    bias = None if part.bias is None else part.bias.detach().clone()
    if shift is not None and shift.any():
        bias = torch.zeros(len(layer.outputs)) if bias is None else bias
        bias = (bias.double() + torch.from_numpy(shift)).to(weight.dtype)
    part.weight = nn.Parameter(weight.clone())
    if bias is not None:
        part.bias = nn.Parameter(bias[torch.from_numpy(stay_out)].clone())
    n_in, n_out = int(stay_in.sum()), int(stay_out.sum())
    for key, n in (
        ("in_features", n_in),
        ("in_channels", n_in),
        ("out_features", n_out),
        ("out_channels", n_out),
    ):
        if hasattr(part, key):
            setattr(part, key, n)
    if layer.depthwise:
        part.groups = n_out


def _cut_others(compacted, channels, dead):
    done = set()
    for name, axis, numbers in channels.slices:
        stay = ~dead.of(numbers)
        if name in done or stay.all():
            continue
        done.add(name)
        path, _, key = name.rpartition(".")
        part = compacted.get_submodule(path)
        index: list[Any] = [slice(None)] * getattr(part, key).ndim
        index[axis] = torch.from_numpy(stay)
        tensor = getattr(part, key).detach()[tuple(index)].clone()
        if key in part._parameters:
            tensor = nn.Parameter(tensor)
        setattr(part, key, tensor)
        for attribute in ("num_features", "num_parameters"):
            if hasattr(part, attribute):
                setattr(part, attribute, int(stay.sum()))


def _compare(original, compacted, shape):
    with torch_seed(0):
        sample = torch.randn(_N_PROBES, *shape)
    with torch.no_grad():
        expected = original(sample)
        try:
            found = compacted(sample)
        except Exception as error:  # whatever the user's forward may raise
            raise ValueError(
                f"module {type(original).__name__} cannot be made smaller: its code "
                f"does not run with fewer channels. {error}"
            ) from error
    expected, found = (_tensors(result) for result in (expected, found))
    for before, after in zip(expected, found, strict=True):
        if before.shape != after.shape or not torch.allclose(
            before, after, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True
        ):
            gap = (
                (before - after).abs().max().item()
                if before.shape == after.shape
                else f"shapes {tuple(before.shape)} and {tuple(after.shape)}"
            )
            raise ValueError(
                f"module {type(original).__name__} cannot be made smaller: without its "
                f"dead channels it computes something else (difference {gap})."
            )


def _tensors(result):
    return [t for t in tree_flatten(result)[0] if isinstance(t, torch.Tensor)]
