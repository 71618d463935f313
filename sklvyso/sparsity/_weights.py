"""Which tensors of a module are pruned, under which names."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from sklvyso._arguments import is_sequence, read_array, read_numbers, shown

# Layers whose ``weight`` is pruned and counted; biases and norms never are.
PRUNABLE_LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear)


def check_module_type(module: Any) -> nn.Module:
    """Return the plain module, without torch.compile's wrapper.

    Raises
    ------
    TypeError
        If it is not an nn.Module, or is a class or a TorchScript module.
    """
    if isinstance(module, type) and issubclass(module, nn.Module):
        raise TypeError(
            "module must be an nn.Module instance. Got the class "
            f"{module.__name__} instead: write {module.__name__}(...)."
        )
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module must be a torch.nn.Module. Got {type(module).__name__} instead."
        )
    if isinstance(module, torch.jit.ScriptModule):
        raise TypeError(
            "module must be a plain nn.Module. Got a TorchScript module instead: pass "
            "the module that it was made from."
        )
    return getattr(module, "_orig_mod", module)


def prunable_weights(
    module: nn.Module, exclude: Sequence[str] = ()
) -> dict[str, torch.Tensor]:
    """Collect the weights that are pruned and counted, in order of registration.

    Parameters
    ----------
    module : torch.nn.Module
        Its convolutions, transposed convolutions, linear and bilinear layers count.
    exclude : sequence of str, default=()
        Regular expressions; weights whose name matches one (from its start) are left
        out.

    Returns
    -------
    weights : dict of str to tensor
        ``"<path of the layer>.weight"`` to the weight as the layer computes with it
        before any mask of :mod:`torch.nn.utils.prune`: the values of ``weight_orig`` or
        of the parametrised tensor where there is one. A shared weight comes once,
        under its first name.

    Raises
    ------
    ValueError
        If nothing is left to prune, a pattern matches nothing, or a layer is lazy.
    """
    weights: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for path, layer in module.named_modules():
        if not isinstance(layer, PRUNABLE_LAYERS):
            continue
        name = f"{path}.weight" if path else "weight"
        weight = _weight_of(layer)
        if is_lazy(weight):
            raise ValueError(
                f"module has a lazy layer {path!r} without weights. Send one batch "
                "through the module first."
            )
        # A parametrised weight is computed anew at each access.
        key = id(layer) if parametrize.is_parametrized(layer, "weight") else id(weight)
        if key not in seen:
            seen.add(key)
            weights[name] = weight
    left = _without(weights, exclude)
    if not left:
        raise ValueError(
            f"module {type(module).__name__} must have a convolution or linear layer "
            "to prune. It has none"
            + (
                f" besides those that exclude={list(exclude)!r} names."
                if weights
                else "."
            )
        )
    return left


def _weight_of(layer: nn.Module) -> torch.Tensor:
    original = getattr(layer, "weight_orig", None)
    if original is not None:
        return original
    if not parametrize.is_parametrized(layer, "weight"):
        return layer.weight
    # Spectral normalisation moves on whenever it is looked at in training mode.
    parts = list(layer.parametrizations["weight"].modules())  # type: ignore[index]
    modes = [part.training for part in parts]
    try:
        for part in parts:
            part.training = False
        return layer.weight
    finally:
        for part, mode in zip(parts, modes, strict=True):
            part.training = mode


def maskable_weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Collect the weights that may have a mask: prunable ones and embeddings."""
    weights = prunable_weights(module)
    known = {id(weight) for weight in weights.values()}
    for path, layer in module.named_modules():
        if isinstance(layer, nn.Embedding) and id(layer.weight) not in known:
            weights[f"{path}.weight" if path else "weight"] = layer.weight
    return weights


def module_masks(module: nn.Module) -> dict[str, np.ndarray]:
    """Read the masks that :mod:`torch.nn.utils.prune` put on weights.

    Parameters
    ----------
    module : torch.nn.Module
        Prunable layers and embeddings with a buffer ``weight_mask`` count.

    Returns
    -------
    masks : dict of str to ndarray of bool
        Empty where there are none.
    """
    found = {}
    for path, layer in module.named_modules():
        mask = getattr(layer, "weight_mask", None)
        may_have = isinstance(layer, (*PRUNABLE_LAYERS, nn.Embedding))
        if may_have and isinstance(mask, torch.Tensor):
            found[f"{path}.weight" if path else "weight"] = mask.cpu().numpy() != 0
    return found


def _without(weights, exclude):
    if isinstance(exclude, str):
        raise TypeError(
            f"exclude must be a sequence of patterns. Got the string {exclude!r}: "
            f"write exclude=({exclude!r},)."
        )
    if not is_sequence(exclude) or not all(
        isinstance(pattern, str | re.Pattern) for pattern in exclude
    ):
        raise TypeError(
            f"exclude must be a sequence of patterns. Got {shown(exclude)} instead."
        )
    for pattern in exclude:
        if not any(re.match(pattern, name) for name in weights):
            raise ValueError(
                f"exclude must hold patterns of weight names. {pattern!r} matches none "
                f"of {list(weights)}."
            )
    return {
        name: weight
        for name, weight in weights.items()
        if not any(re.match(pattern, name) for pattern in exclude)
    }


def check_masks(
    masks: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Turn masks of any array kind into bool arrays, without copies where possible.

    Parameters
    ----------
    masks : mapping of str to array-like
        Zeros and ones, or bools; NumPy arrays or tensors on any device.
    shapes : mapping of str to tuple of int
        Names that may have a mask, and their shapes.

    Returns
    -------
    masks : dict of str to ndarray of bool
        In the order given.

    Raises
    ------
    TypeError
        If masks is not a mapping.
    ValueError
        If a name is unknown, or a mask has another shape or other values.
    """
    if not isinstance(masks, Mapping):
        raise TypeError(
            "masks must be a dict of parameter name to array. Got "
            f"{type(masks).__name__} instead."
        )
    checked = {}
    for name, mask in masks.items():
        if name not in shapes:
            raise ValueError(
                f"masks must have names of prunable weights. Got {name!r}; there are "
                f"{list(shapes)}."
            )
        array = _as_bool(mask, name)
        if array.shape != tuple(shapes[name]):
            raise ValueError(
                f"masks[{name!r}] must have the shape of the weight, "
                f"{tuple(shapes[name])}. Got {array.shape} instead."
            )
        checked[name] = array
    return checked


def _as_bool(mask: Any, name: str) -> np.ndarray:
    array = read_array(f"masks[{name!r}]", mask)
    if array.dtype.kind == "O" and array.ndim:
        array = read_numbers(f"masks[{name!r}]", mask)
    if array.dtype == bool:
        return array
    if array.dtype.kind not in "iuf":
        raise ValueError(
            f"masks[{name!r}] must hold zeros and ones. Got dtype {array.dtype}."
        )
    kept = array != 0
    if not (array[kept] == 1).all():
        raise ValueError(
            f"masks[{name!r}] must hold zeros and ones. Got other values, such as "
            f"{array[kept][array[kept] != 1][0]!r}."
        )
    return kept
