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

from sklvyso.sparsity._channels import Channels, Layer
from sklvyso.sparsity._connectivity import (
    Connectivity,
    check_sample_shape,
    kept_weights,
)
from sklvyso.sparsity._folding import Dead, Folding
from sklvyso.sparsity._interoperability import pruned_copy
from sklvyso.sparsity._probing import Probe
from sklvyso.sparsity._trace import Rule

_Norm = nn.modules.batchnorm._NormBase


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
    live units stay stored as zeros. In a layer without any live unit one stays.

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
        A copy of the same class, in evaluation mode, on the CPU, without hooks. Masks
        of :mod:`torch.nn.utils.prune` and parametrisations are plain weights in it;
        half precision becomes float32.

    Warns
    -----
    UserWarning
        If dead channels stay because their constant cannot be folded exactly (a
        convolution with zero padding sees another value at the border; one channel
        then stands for all that are the same everywhere), or because the code of the
        module needs their number. It says which.

    Raises
    ------
    ValueError
        If nothing can go because the code of the module has sizes written into it. The
        message says what differs.
    UnsupportedModuleError
        As in :func:`effective_masks`.

    See Also
    --------
    effective_masks : What it takes to be dead.
    export_module : Writes the result to a file.

    Notes
    -----
    The result is compared with the masked original on random inputs before it is
    returned: in float64 where the network can, within 1e-5 (of the largest output, if
    that is above 1). Channels of grouped convolutions, of products (gates), of norms
    across channels, and of weights that several layers share are not cut.

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
    plain = pruned_copy(module, {})
    # What goes through a norm across channels matters to all of them.
    connectivity = Connectivity(plain, shape, rules=rules, norm="mix")
    kept = kept_weights(module, masks, connectivity)
    original = pruned_copy(plain, {name: k.mask for name, k in kept.items()})
    probe = Probe(original, shape)
    channels = Channels(connectivity.trace)
    folding = Folding(channels, connectivity.flow(kept), probe, original)
    dead = folding.dead()
    n_dead = dead.count
    reasons = folding.settle(dead)
    if reasons:
        warnings.warn(
            f"{n_dead - dead.count} dead channels of {type(module).__name__} stay: "
            + "; ".join(reasons)
            + ".",
            UserWarning,
            stacklevel=2,
        )
    compacted = _without(original, folding, dead, probe)
    reason = probe.difference(compacted)
    if reason is None:
        return compacted
    compacted = _without_some(original, folding, dead, probe, reason)
    warnings.warn(
        f"Some dead channels of {type(module).__name__} stay: without them {reason}.",
        UserWarning,
        stacklevel=2,
    )
    return compacted


def _without(
    original: nn.Module, folding: Folding, dead: Dead, probe: Probe
) -> nn.Module:
    """Copy a network without its dead channels."""
    compacted = copy.deepcopy(original)
    for layer in folding.channels.layers:
        merged = folding.merged_weight(layer, dead)
        if merged is not None:
            like = _tensor(compacted, layer.weight)
            _replace(compacted, layer.weight, merged.to(like))
        _cut_layer(compacted, layer, dead, folding.shift(layer, dead))
    done = set()
    for name, axis, numbers in folding.channels.slices:
        if name not in done:
            done.add(name)
            index = [slice(None)] * axis + [torch.from_numpy(~dead.of(numbers))]
            _replace(compacted, name, _tensor(compacted, name)[tuple(index)])
    _tell_sizes(compacted, probe)
    return compacted


def _without_some(original, folding, dead, probe, reason):
    """Copy a network without those dead channels that its code can do without."""
    suspects = dead.except_for(folding.channels.suspects)
    folding.settle(suspects)
    if 0 < suspects.count < dead.count:
        compacted = _without(original, folding, suspects, probe)
        if probe.difference(compacted) is None:
            return compacted
    good: list[np.ndarray] = []
    for part in dead.parts():
        alone = dead.only(part)
        folding.settle(alone)
        if alone.count and not probe.difference(
            _without(original, folding, alone, probe)
        ):
            good.append(part)
    if good:
        dead = dead.only(np.concatenate(good))
        folding.settle(dead)
        compacted = _without(original, folding, dead, probe)
        if probe.difference(compacted) is None:
            return compacted
    raise ValueError(
        f"module {type(original).__name__} cannot be made smaller: without its dead "
        f"channels {reason}."
    )


def _cut_layer(compacted, layer: Layer, dead: Dead, shift: np.ndarray) -> None:
    stay_in, stay_out = ~dead.of(layer.inputs), ~dead.of(layer.outputs)
    weight = _tensor(compacted, layer.weight)
    first, second = (stay_in, stay_out) if layer.transposed else (stay_out, stay_in)
    weight = weight[torch.from_numpy(first)]
    if not layer.depthwise:
        weight = weight[:, torch.from_numpy(second)]
    _replace(compacted, layer.weight, weight)
    path, _, key = layer.weight.rpartition(".")
    name = layer.bias
    if name is None and shift.any():
        name = f"{path}.bias" if path else "bias"
        bias = torch.from_numpy(shift)
    elif name is not None:
        bias = _tensor(compacted, name).double() + torch.from_numpy(shift)
    if name is not None:
        bias = bias[torch.from_numpy(stay_out)].to(weight.dtype)
        _replace(compacted, name, bias)
    part = compacted.get_submodule(path)
    sizes = {"in": int(stay_in.sum()), "out": int(stay_out.sum())}
    for side, n in sizes.items():
        for attribute in (f"{side}_features", f"{side}_channels"):
            if key == "weight" and hasattr(part, attribute):
                setattr(part, attribute, n)
    if layer.depthwise and hasattr(part, "groups"):
        part.groups = sizes["out"]


def _tensor(network: nn.Module, name: str) -> torch.Tensor:
    path, _, key = name.rpartition(".")
    return getattr(network.get_submodule(path), key).detach()


def _replace(network: nn.Module, name: str, tensor: torch.Tensor) -> None:
    path, _, key = name.rpartition(".")
    part = network.get_submodule(path)
    tensor = tensor.clone()
    if key in part._buffers:
        part._buffers[key] = tensor
        return
    before = part._parameters.get(key)
    is_trained = before is None or before.requires_grad
    setattr(part, key, nn.Parameter(tensor, requires_grad=is_trained))


def _tell_sizes(network: nn.Module, probe: Probe) -> None:
    """Write the new number of channels where layers keep it as a number."""
    bare = []
    for path, part in network.named_modules():
        tensor = getattr(part, "weight", None)
        if tensor is None:
            tensor = getattr(part, "running_mean", None)
        if isinstance(part, nn.PReLU):
            part.num_parameters = len(part.weight)
        elif isinstance(part, _Norm) and tensor is not None:
            part.num_features = len(tensor)
        elif isinstance(part, _Norm):
            bare.append(path)
    if bare:
        for path, n in probe.n_channels(network, bare).items():
            network.get_submodule(path).num_features = n  # type: ignore[assignment]
