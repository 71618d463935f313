"""Record the data flow of a module as a list of positive operations."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from sklvyso.sparsity._errors import UnsupportedModuleError
from sklvyso.sparsity._operations import Operation
from sklvyso.sparsity._recording import leaves_of, to_meta
from sklvyso.sparsity._rules import record, takes_weights
from sklvyso.sparsity._skeleton import Skeleton, refuse_scripts
from sklvyso.sparsity._user_rules import check_rules, module_rule

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
        self._versions: dict[int, int] = {}
        self._derived: set[int] = set()
        self._chosen: set[int] = set()
        self._constants: set[int] = set()
        self._held: list[Any] = []  # an id lasts as long as its object
        # By value: the same weights of attention, each alive where any score is.
        self.softmaxed: dict[int, torch.Tensor] = {}
        self.tensor_names: dict[int, str] = {}

    # -- values -------------------------------------------------------------------

    def new_value(self, tensor: torch.Tensor) -> int:
        """Give a number to a tensor that holds data."""
        self.trace.shapes.append(tuple(tensor.shape))
        return self.alias(tensor, len(self.trace.shapes) - 1)

    def alias(self, tensor: torch.Tensor, value: int) -> int:
        """Let a tensor be one that has a number already."""
        self._values[id(tensor)] = value
        self._versions[id(tensor)] = tensor._version
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

    def is_chosen(self, item: Any) -> bool:
        """Say whether a tensor holds positions that values decided on (argmax)."""
        return id(item) in self._chosen

    def is_outdated(self, item: torch.Tensor) -> bool:
        """Say whether a tensor with data was changed in place under another name."""
        return self._versions.get(id(item), item._version) != item._version

    def is_unknown(self, item: Any) -> bool:
        """Say whether a tensor without content came from nowhere."""
        return (
            isinstance(item, torch.Tensor)
            and item.device.type == "meta"
            and not item.is_inference()
            and id(item) not in self._values
            and id(item) not in self._constants
            and id(item) not in self.tensor_names
        )

    def choose(self, item: torch.Tensor) -> None:
        """Note a tensor that holds positions which values decided on."""
        self._chosen.add(id(item))
        self.hold(item)

    def hold(self, item: torch.Tensor) -> None:
        """Note a tensor that holds no data."""
        self._constants.add(id(item))
        self._held.append(item)

    def empty(self, shape, dtype=None) -> torch.Tensor:
        """Make a tensor without content."""
        return torch.empty(tuple(shape), dtype=dtype, device="meta")

    def outputs_of(self, result: Any) -> list[int]:
        """Numbers of the tensors that a module returned."""
        leaves = tree_flatten(result)[0]
        for item in leaves:
            self.check_use(item)
        found = [self.value_of(item) for item in leaves]
        outputs = [value for value in found if value is not None]
        if not outputs:
            raise self.unsupported(
                f"it returned {type(result).__name__} without a tensor that was "
                "computed from its input by known functions."
            )
        return outputs

    def check_use(self, item: Any) -> None:
        """Refuse tensors whose data flow was not seen."""
        if not isinstance(item, torch.Tensor):
            return
        if self.value_of(item) is not None and self.is_outdated(item):
            raise self.unsupported(
                "it uses a tensor that was changed in place through a view of it."
            )
        if self.device == "meta" and self.is_unknown(item):
            raise self.unsupported(
                "it uses a tensor that no torch function returned, as a custom "
                "torch.autograd.Function does."
            )

    def begin(self, name: str, args, kwargs) -> Call:
        """Note a call before it runs."""
        items = leaves_of((args, *kwargs.values()))
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
        items = [
            item
            for item in leaves_of((args, *kwargs.values()))
            if isinstance(item, torch.Tensor)
        ]
        if any(id(item) in self._values for item in items):
            return record(self, func, args, kwargs)
        chosen = any(self.is_chosen(item) for item in items)
        named = [i for i in items if self.name_of(i) or self.is_derived(i)]
        # A layer on constants gives constants: nothing flows in.
        derived = len(named) > 1 or (named != [] and not takes_weights(func))
        if named and self.device == "meta":
            args, kwargs = tree_map(to_meta, (args, kwargs))
        result = func(*args, **kwargs)
        for item in leaves_of((result,)):
            if isinstance(item, torch.Tensor) and not self.name_of(item):
                self.hold(item)
                if derived:
                    self._derived.add(id(item))
                if chosen:
                    self._chosen.add(id(item))
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
    TypeError
        If a part of the module is TorchScript.
    """
    refuse_scripts(module)
    check_rules(rules)
    try:
        with torch.inference_mode(False):
            return _record(module, input_shape, weights, rules or {}, "meta", norm)
    except UnsupportedModuleError:
        raise
    except Exception:  # its code looks at values, which the meta device has none of
        pass
    try:
        with torch.inference_mode(False):
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
    skeleton = Skeleton(module)
    names = skeleton.detach_weights(weights, device)
    copied = skeleton.module
    of_functions = {key: r for key, r in rules.items() if not isinstance(key, type)}
    recorder = Recorder(names, skeleton.paths, of_functions, device, norm)
    tensors = [*copied.named_parameters(), *copied.named_buffers()]
    recorder.tensor_names = {id(tensor): name for name, tensor in tensors} | names
    _put_rules(copied, rules, recorder)
    dtype = next(iter(weights.values())).dtype
    with torch.enable_grad(), _same_generator(), recorder:
        sample = torch.ones((1, *input_shape), dtype=dtype, device=device)
        recorder.trace.inputs = [recorder.new_value(sample)]
        result = copied(sample)
    recorder.trace.outputs = recorder.outputs_of(result)
    recorder.close()
    return recorder.trace


@contextmanager
def _same_generator():
    """Give torch's random numbers back as they were."""
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)


def _put_rules(copied, rules, recorder):
    classes = {key: rule for key, rule in rules.items() if isinstance(key, type)}
    for part in copied.modules():
        for kind in type(part).__mro__:
            if kind in classes:
                part.__dict__["forward"] = module_rule(recorder, part, classes[kind])
                break
