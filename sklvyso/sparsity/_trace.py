"""Record the data flow of a module as a list of positive operations."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from sklvyso.sparsity._errors import UnsupportedModuleError
from sklvyso.sparsity._operations import Operation
from sklvyso.sparsity._recording import leaves_of, to_meta
from sklvyso.sparsity._rules import record
from sklvyso.sparsity._user_rules import module_rule

Rule = str | Callable[..., Any]


@dataclass
class Call:
    """One call of a torch function that sees the data.

    Attributes
    ----------
    name : str
        Name of the function.
    inputs, outputs : list of int
        Numbers of the values; one value may be both.
    tensors : list of (str, tuple of int)
        Names and shapes of parameters and buffers that take part.
    numbers : list of int
        Whole numbers among the arguments.
    keywords : dict
        Keyword arguments.
    """

    name: str
    inputs: list[int]
    outputs: list[int]
    tensors: list[tuple[str, tuple[int, ...]]]
    numbers: list[int]
    keywords: dict[str, Any]


class Trace:
    """What a module does to one sample.

    Attributes
    ----------
    operations : list of Operation
        In the order in which they run.
    shapes : list of tuple of int
        Shape of each value, with a batch axis of length 1.
    inputs, outputs : list of int
        Numbers of the values that enter and leave the module.
    calls : list of Call
        The functions themselves, in the order in which they run.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.shapes: list[tuple[int, ...]] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.calls: list[Call] = []


class Recorder(TorchFunctionMode):
    """Turns every torch function that sees the data into an operation.

    The module runs on tensors without content (or, where its code looks at values, on
    ones); Python code is followed as it is, so that control flow needs no support.

    Parameters
    ----------
    names : dict of int to str
        Names of the stand-ins of weights, by ``id``.
    paths : dict of int to str
        Paths of the modules, by ``id``.
    rules : dict of function to (str or callable)
        Rules of the user.
    device : {"meta", "cpu"}
        ``"cpu"`` computes real values.
    norm : {"identity", "mix"}
        Whether norms over units connect them.
    """

    def __init__(self, names, paths, rules, device, norm):
        super().__init__()
        self.trace = Trace()
        self.names = names
        self.paths = paths
        self.rules = rules
        self.device = device
        self.norm = norm
        self._values: dict[int, int] = {}
        self._derived: set[int] = set()
        self._held: list[Any] = []  # an id lasts as long as its object
        self.softmaxed: set[int] = set()
        self.tensor_names: dict[int, str] = {}

    # -- values -------------------------------------------------------------------

    def new_value(self, tensor: torch.Tensor) -> int:
        """Give a number to a tensor that holds data."""
        self.trace.shapes.append(tuple(tensor.shape))
        return self.alias(tensor, len(self.trace.shapes) - 1)

    def alias(self, tensor: torch.Tensor, value: int) -> int:
        """Let a tensor be one that has a number already."""
        self._values[id(tensor)] = value
        self._held.append(tensor)
        return value

    def value_of(self, item: Any) -> int | None:
        """Return the number of a tensor that holds data, else None."""
        return self._values.get(id(item)) if isinstance(item, torch.Tensor) else None

    def name_of(self, item: Any) -> str | None:
        """Return the name of the weight that a tensor stands for, else None."""
        return self.names.get(id(item)) if isinstance(item, torch.Tensor) else None

    def is_derived(self, item: Any) -> bool:
        """Say whether a tensor was computed from weights that have masks."""
        return id(item) in self._derived

    def empty(self, shape) -> torch.Tensor:
        """Make a tensor without content."""
        return torch.empty(tuple(shape), device="meta")

    def begin(self, name: str, args, kwargs) -> Call:
        """Note a call before it runs."""
        items = list(leaves_of((args, *kwargs.values())))
        values = [self.value_of(item) for item in items]
        tensors = [
            (self.tensor_names[id(item)], tuple(item.shape))
            for item in items
            if id(item) in self.tensor_names
        ]
        numbers = [
            item
            for item in leaves_of(args)
            if isinstance(item, int) and not isinstance(item, bool)
        ]
        inputs = [value for value in values if value is not None]
        return Call(name, inputs, [], tensors, numbers, dict(kwargs))

    def end(self, call: Call, result) -> None:
        """Note what a call returned."""
        found = [self.value_of(item) for item in leaves_of((result,))]
        call.outputs = [value for value in found if value is not None]
        self.trace.calls.append(call)

    def close(self) -> None:
        """Let go of the tensors."""
        self._held.clear()
        self._values.clear()

    def add(self, operation: Operation) -> None:
        """Append a step."""
        self.trace.operations.append(operation)

    # -- interception -------------------------------------------------------------

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        items = list(leaves_of((args, *kwargs.values())))
        if any(self.value_of(item) is not None for item in items):
            return record(self, func, args, kwargs)
        weights = [i for i in items if self.name_of(i) or self.is_derived(i)]
        if not weights:
            return func(*args, **kwargs)
        if self.device == "meta":
            args, kwargs = tree_map(to_meta, (args, kwargs))
        result = func(*args, **kwargs)
        for item in tree_flatten(result)[0]:
            if isinstance(item, torch.Tensor) and not self.name_of(item):
                self._derived.add(id(item))
                self._held.append(item)
        return result

    def place(self) -> str:
        """Describe the innermost module that is running, for error messages."""
        frame = sys._getframe()
        while frame is not None:
            owner = frame.f_locals.get("self")
            if id(owner) in self.paths:
                path = self.paths[id(owner)]
                kind = type(owner).__name__
                return f"{kind} {path!r}" if path else kind
            frame = frame.f_back  # type: ignore[assignment]
        return "the module"

    def unsupported(self, what: str) -> UnsupportedModuleError:
        """Return the error for a step without a rule."""
        return UnsupportedModuleError(
            f"{self.place()}: {what} Register a rule for the module, "
            'rules={TheModule: "identity"} where each output depends on the input at '
            "the same place only, or rules={TheModule: function}, where "
            "function(module, *inputs) computes with non-negative tensors what is "
            "connected with what."
        )


# -- a private copy ---------------------------------------------------------------


def _skeleton(module: nn.Module) -> tuple[nn.Module, dict[int, str]]:
    """Copy the structure of a module; tensors are shared, hooks are left out.

    Parameters
    ----------
    module : torch.nn.Module
        Stays as it is.

    Returns
    -------
    copied : torch.nn.Module
        In evaluation mode.
    paths : dict of int to str
        Path of each module of the copy, by ``id``.
    """
    if all(_is_plain(part) for part in module.modules()):
        copied = _shallow(module, {})
    else:
        copied = copy.deepcopy(module, _tensor_memo(module))
    for part in copied.modules():
        for name, value in vars(part).items():
            if "_hooks" in name and isinstance(value, OrderedDict):
                part.__dict__[name] = OrderedDict()
        part.training = False
    return copied, {id(part): path for path, part in copied.named_modules()}


_PLAIN = (bool, int, float, str, type, torch.Tensor, torch.dtype, torch.device)


def _is_plain(module):
    """Say whether a module holds no others besides those that are registered."""
    return not any(
        _holds_more(value)
        for name, value in vars(module).items()
        if name not in ("_parameters", "_buffers", "_modules")
    )


def _holds_more(value):
    if value is None or isinstance(value, _PLAIN):
        return False
    if isinstance(value, tuple | list | set):
        return any(_holds_more(item) for item in value)
    if isinstance(value, dict):
        # Hooks are left out, whatever they hold.
        return not isinstance(value, OrderedDict) and any(
            _holds_more(item) for item in value.values()
        )
    return not isinstance(value, FunctionType | BuiltinFunctionType)


def _shallow(module, known):
    if id(module) in known:
        return known[id(module)]
    copied = known[id(module)] = object.__new__(type(module))
    copied.__dict__ = dict(module.__dict__)
    for name in ("_parameters", "_buffers"):
        copied.__dict__[name] = dict(module.__dict__[name])
    copied.__dict__["_modules"] = {
        name: None if part is None else _shallow(part, known)
        for name, part in module._modules.items()
    }
    return copied


def _tensor_memo(module):
    tensors = [*module.parameters(), *module.buffers()]
    for part in module.modules():
        tensors += [v for v in vars(part).values() if isinstance(v, torch.Tensor)]
    return {id(t): t for t in tensors}


# -- recording --------------------------------------------------------------------


def record_module(
    module: nn.Module,
    input_shape: tuple[int, ...],
    weights: Mapping[str, torch.Tensor],
    rules: Mapping[Any, Rule] | None = None,
    norm: str = "identity",
) -> Trace:
    """Record what a module does to a sample.

    Parameters
    ----------
    module : torch.nn.Module
        Stays as it is.
    input_shape : tuple of int
        Torch shape of one sample.
    weights : mapping of str to tensor
        Names and values of the weights that may have masks.
    rules : mapping or None, default=None
        Module classes or torch functions, and what stands for them.
    norm : {"identity", "mix"}, default="identity"
        As in :func:`effective_masks`.

    Returns
    -------
    trace : Trace
        The data flow.

    Raises
    ------
    UnsupportedModuleError
        If there is no rule for a step.
    ValueError
        If the module cannot process a sample of this shape.
    """
    try:
        return _record(module, input_shape, weights, rules or {}, "meta", norm)
    except UnsupportedModuleError:
        raise
    except Exception:  # its code looks at values, which the meta device has none of
        pass
    try:
        return _record(module, input_shape, weights, rules or {}, "cpu", norm)
    except UnsupportedModuleError:
        raise
    except Exception as error:  # whatever the user's forward may raise
        raise ValueError(
            f"module {type(module).__name__} could not process a sample of shape "
            f"input_shape={tuple(input_shape)} (channels first, without the batch "
            f"axis): {error}"
        ) from error


def _record(module, input_shape, weights, rules, device, norm):
    copied, paths = _skeleton(module)
    names = _put_stand_ins(copied, paths, weights, device)
    of_functions = {key: r for key, r in rules.items() if not isinstance(key, type)}
    recorder = Recorder(names, paths, of_functions, device, norm)
    tensors = [*copied.named_parameters(), *copied.named_buffers()]
    recorder.tensor_names = {id(tensor): name for name, tensor in tensors} | names
    _put_rules(copied, rules, recorder)
    sample = torch.ones((1, *input_shape), device=device)
    with torch.enable_grad(), recorder:
        value = recorder.new_value(sample)
        recorder.trace.inputs = [value]
        result = copied(sample)
    found = [recorder.value_of(item) for item in tree_flatten(result)[0]]
    recorder.trace.outputs = [value for value in found if value is not None]
    recorder.close()
    return recorder.trace


def _put_stand_ins(copied, paths, weights, device):
    """Replace weights by tensors without content that can be told apart."""
    layers = {path: part for part, path in _by_path(copied, paths)}
    names: dict[int, str] = {}
    stand_ins: dict[int, torch.Tensor] = {}
    for name, weight in weights.items():
        layer = layers[name.rpartition(".")[0]]
        stand_in = weight.detach().view_as(weight)
        if device == "meta":
            stand_in = torch.empty(weight.shape, device="meta")
        stand_ins[id(weight)] = stand_in
        names[id(stand_in)] = name
        _replace(layer, name.rpartition(".")[2], stand_in)
    for part in copied.modules():  # further uses of shared weights
        for key, value in list(part._parameters.items()):
            if id(value) in stand_ins:
                _replace(part, key, stand_ins[id(value)])
    # The modules hold the stand-ins, so that their ids last.
    return names


def _by_path(copied, paths):
    return [(part, paths[id(part)]) for part in copied.modules()]


def _replace(layer, key, tensor):
    if parametrize.is_parametrized(layer, key):
        # A property of this class would compute the weight.
        layer.__class__ = parametrize.type_before_parametrizations(layer)
    layer._parameters.pop(key, None)
    layer.__dict__[key] = tensor


def _put_rules(copied, rules, recorder):
    classes = {key: rule for key, rule in rules.items() if isinstance(key, type)}
    for part in copied.modules():
        for kind in type(part).__mro__:
            if kind in classes:
                part.__dict__["forward"] = module_rule(recorder, part, classes[kind])
                break
