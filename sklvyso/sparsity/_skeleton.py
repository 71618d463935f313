"""A private copy of a module's structure, to run it without touching the module."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType

import torch
from torch import nn
from torch.nn.utils import parametrize

_REGISTERED = ("_parameters", "_buffers", "_modules")
_PLAIN = frozenset(
    (
        *(type(None), bool, int, float, str, type, torch.Tensor, nn.Parameter),
        *(torch.dtype, torch.device, FunctionType, BuiltinFunctionType),
    )
)


class Skeleton:
    """The structure of a module in evaluation mode, without hooks and masks.

    Tensors are shared until :meth:`detach_weights` takes them away; whatever else a
    module holds, other modules in plain lists among them, is copied.

    Parameters
    ----------
    module : torch.nn.Module
        Stays as it is.

    Attributes
    ----------
    module : torch.nn.Module
        The copy.
    paths : dict of int to str
        Path of each part of the copy, by ``id``.
    """

    def __init__(self, module: nn.Module):
        originals = dict(module.named_modules())
        parts = list(originals.values())
        copies = {id(part): object.__new__(type(part)) for part in parts}
        for part in parts:
            # torch.compile's wrapper would run compiled code of the original.
            if "_orig_mod" in part._modules:
                copies[id(part)] = copies[id(part._modules["_orig_mod"])]
        for part in parts:
            if "_orig_mod" not in part._modules:
                _fill(copies[id(part)], part, copies)
        self.module = copies[id(module)]
        self._layers = {path: copies[id(part)] for path, part in originals.items()}
        self.paths = {id(part): path for path, part in self._layers.items()}

    def detach_weights(
        self, weights: Mapping[str, torch.Tensor], device: str
    ) -> dict[int, str]:
        """Replace weights by stand-ins that can be told apart, copy other tensors.

        Parameters
        ----------
        weights : mapping of str to tensor
            Names and values of the weights that may have masks.
        device : {"meta", "cpu"}
            Stand-ins on the meta device have no content.

        Returns
        -------
        names : dict of int to str
            Names of the stand-ins, and of the weights themselves, by ``id``.
        """
        names = {id(weight): name for name, weight in weights.items()}
        stand_ins: dict[int, torch.Tensor] = {}
        for name, weight in weights.items():
            if device == "meta":
                stand_in = torch.empty(weight.shape, dtype=weight.dtype, device="meta")
            else:
                stand_in = weight.detach().clone()
            stand_ins[id(weight)] = stand_in
            names[id(stand_in)] = name
            path, _, key = name.rpartition(".")
            _replace(self._layers[path], key, stand_in)
        for part in self._layers.values():
            _copy_tensors(part, stand_ins)
        # The modules hold the stand-ins, so that their ids last.
        return names


def refuse_scripts(module: nn.Module) -> None:
    """Raise TypeError if a part of a module is TorchScript, which hides its code."""
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise TypeError(
                "module must be a plain nn.Module. Got a TorchScript module at "
                f"{path!r}: use the module that it was made from."
            )


def _fill(copied, part, copies):
    copied.__dict__ = content = dict(part.__dict__)
    content["_parameters"] = dict(content["_parameters"])
    content["_buffers"] = dict(content["_buffers"])
    content["_modules"] = {
        name: None if child is None else copies[id(child)]
        for name, child in content["_modules"].items()
    }
    content["training"] = False
    if "_compiled_call_impl" in content:
        content["_compiled_call_impl"] = None
    _drop_hooks(content)
    for name, value in content.items():
        if type(value) in _PLAIN or name in _REGISTERED:
            continue
        if _holds_more(value):
            content[name] = _copy_value(value, part, copies)
        elif type(value) in (list, set, dict):
            content[name] = copy.copy(value)


def _holds_more(value):
    if type(value) in _PLAIN:
        return False
    if type(value) in (tuple, list, set):
        return any(_holds_more(item) for item in value)
    if type(value) in (dict, OrderedDict):
        return any(_holds_more(item) for item in value.values())
    return True


def _copy_value(value, part, copies):
    memo = dict(copies)
    for module in part.modules():
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            memo[id(tensor)] = tensor
    try:
        copied = copy.deepcopy(value, memo)
    except Exception:  # locks, open files and the like: nothing that data flow through
        return value
    for key, further in memo.items():
        if isinstance(further, nn.Module) and key not in copies:
            _drop_hooks(further.__dict__)
    return copied


def _drop_hooks(content):
    for name, value in content.items():
        if isinstance(value, OrderedDict) and "_hooks" in name:
            content[name] = OrderedDict()


def _replace(layer, key, tensor):
    if parametrize.is_parametrized(layer, key):
        # A property of this class would compute the weight, and others as well.
        for other in set(layer.parametrizations) - {key}:
            layer.__dict__[other] = getattr(layer, other).detach()
        layer.__class__ = parametrize.type_before_parametrizations(layer)
    layer._parameters.pop(key, None)
    layer.__dict__[key] = tensor


def _copy_tensors(part, stand_ins):
    """Put in stand-ins of shared weights; protect the rest from in-place changes."""
    for key, value in list(part._parameters.items()):
        if value is None:
            continue
        if id(value) in stand_ins:
            _replace(part, key, stand_ins[id(value)])
        elif not torch.nn.parameter.is_lazy(value):
            part._parameters[key] = stand_ins[id(value)] = nn.Parameter(
                value.detach().clone(), requires_grad=value.is_floating_point()
            )
    for key, value in part._buffers.items():
        # Masks of nn.utils.prune are large, and nothing reads them without its hooks.
        if value is not None and key != "weight_mask":
            part._buffers[key] = value.detach().clone()
