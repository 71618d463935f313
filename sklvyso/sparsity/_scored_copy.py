"""A copy of a module on which scores are computed, so that the original rests."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from sklvyso._arguments import shown
from sklvyso.sparsity._weights import PRUNABLE_LAYERS, check_module_type

_HALF = (torch.float16, torch.bfloat16)


def scored_copy(
    module: nn.Module, device: str | torch.device | None = None
) -> nn.Module:
    """Copy a module so that each prunable weight is a plain parameter.

    Parameters
    ----------
    module : torch.nn.Module
        Is left as it is.
    device : str, torch.device or None, default=None
        Where the copy goes; None keeps the device of the module.

    Returns
    -------
    network : torch.nn.Module
        Computes what ``module`` computes in its mode, with ``"<layer>.weight"`` as the
        name of every prunable weight. Masks of :mod:`torch.nn.utils.prune` and
        parametrizations are worked into the values: masked weights are 0. Half
        precision becomes float32.

    Raises
    ------
    ValueError
        If a hook computes a weight anew in each forward pass.
    """
    module = check_module_type(module)
    # torch refuses to copy tensors with a history, such as masked weights.
    memo: dict[int, Any] = {
        id(value): value.detach().clone()
        for layer in module.modules()
        for value in vars(layer).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    network = copy.deepcopy(module, memo)
    for path, layer in network.named_modules():
        if isinstance(layer, PRUNABLE_LAYERS):
            _settle_weight(path, layer)
    if any(p.dtype in _HALF for p in network.parameters()):
        network.float()
    if device is None:
        return network
    if not isinstance(device, str | torch.device):
        raise TypeError(
            f"device must be a str, torch.device or None. Got {shown(device)} instead."
        )
    try:
        return network.to(device)
    except (RuntimeError, ValueError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device must be one that torch reaches here. Got {device!r}: {error}"
        ) from error


def _settle_weight(path: str, layer: nn.Module) -> None:
    if parametrize.is_parametrized(layer, "weight"):
        settle_parametrized(layer, "weight")
    elif hasattr(layer, "weight_mask"):
        prune.remove(layer, "weight")
    if "weight" not in layer._parameters:
        raise ValueError(
            f"module must hold its weights as parameters. The weight of {path!r} is "
            "computed by a hook: use torch.nn.utils.parametrizations for weight or "
            "spectral normalisation, or remove it."
        )


def settle_parametrized(layer: nn.Module, key: str) -> None:
    """Make a parametrised tensor of a copied layer a plain parameter, in place."""
    # Spectral normalisation moves on at each look in training mode.
    layer.parametrizations[key].eval()  # type: ignore[index,operator]
    # Parametrizations live in the class, which the copy shares with the original.
    layer.__class__ = _own_class(type(layer))
    parametrize.remove_parametrizations(layer, key, leave_parametrized=True)


def _own_class(shared: type) -> type:
    left_out = ("__dict__", "__weakref__")
    attributes = {n: v for n, v in vars(shared).items() if n not in left_out}
    return type(shared.__name__, shared.__bases__, attributes)
