"""From what a user passes as ``module=`` to a module that fits the data."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import inspect
import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from sklvyso.networks._registry import available_networks, make_network

# Probabilities in single precision sum to 1 within this, whatever their number.
_SUM_TOLERANCE = 1e-4


def build_module(
    source: Any,
    input_shape: tuple[int, ...],
    n_outputs: int,
    hidden_layer_sizes: tuple[int, ...] = (300, 100),
    module_params: Mapping[str, Any] | None = None,
) -> torch.nn.Module:
    """Build a module for samples of ``input_shape`` and ``n_outputs`` classes.

    Parameters
    ----------
    source : str, type, callable or torch.nn.Module
        A registered name; an ``nn.Module`` class or factory, called with those of
        ``input_shape``, ``n_inputs`` and ``n_outputs`` that its signature names; or an
        instance, which is copied with its weights.
    input_shape : tuple of int
        Torch shape of one sample: ``(C, H, W)`` or ``(n_features,)``.
    n_outputs : int
        Number of logits.
    hidden_layer_sizes : tuple of int, default=(300, 100)
        For the name ``"mlp"``.
    module_params : mapping or None, default=None
        Further keyword arguments; they win.

    Returns
    -------
    module : torch.nn.Module
        In training mode, on the CPU (an instance stays where it was).

    Raises
    ------
    ValueError
        If the name is not known, or arguments do not fit.
    TypeError
        If ``source`` is of another kind or yields something other than a module.
    """
    params = dict(module_params or {})
    if not all(isinstance(key, str) for key in params):
        raise ValueError(
            f"module_params must have names as keys. Got {list(params)} instead."
        )
    if isinstance(source, torch.nn.Module):
        if params:
            raise ValueError(
                "module_params must be None when module is an instance, which is "
                f"built already. Got {params!r} instead: pass the class."
            )
        return _finish(copy.deepcopy(source).train(), input_shape)
    if isinstance(source, str):
        return _from_name(source, input_shape, n_outputs, hidden_layer_sizes, params)
    if not callable(source):
        raise TypeError(
            "module must be a name of a network, an nn.Module class or instance, or a "
            f"callable that returns a module. Got {source!r} instead."
        )
    offered = {
        "input_shape": input_shape,
        "n_inputs": math.prod(input_shape),
        "n_outputs": n_outputs,
    }
    wanted = _named_parameters(source)
    arguments = {key: offered[key] for key in offered if key in wanted} | params
    try:
        module = source(**arguments)
    except TypeError as error:
        raise TypeError(
            f"module {_name(source)} could not be called with {sorted(arguments)}: "
            f"{error}. Its parameters may be named input_shape, n_inputs and "
            "n_outputs, which are filled in; give the others in module_params."
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            f"module {_name(source)} must return a torch.nn.Module. It returned "
            f"{type(module).__name__} instead."
        )
    return _finish(module, input_shape)


def _finish(module, input_shape):
    """Materialise lazy layers, under the seed of the fit, and look for parameters."""
    if any(is_lazy(parameter) for parameter in module.parameters()):
        mode = module.training
        with torch.no_grad():
            module.eval()(torch.zeros(1, *input_shape))
        module.train(mode)
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError(
            f"module {type(module).__name__} must have parameters that require a "
            "gradient. It has none, so that there is nothing to train."
        )
    return module


def _from_name(name, input_shape, n_outputs, hidden_layer_sizes, params):
    if name not in available_networks():
        raise ValueError(
            f"module must be one of {available_networks()}, an nn.Module class or a "
            f"callable. Got {name!r} instead."
        )
    taken = {"name", "input_shape", "n_outputs"} & set(params)
    if taken:
        raise ValueError(
            f"module_params must not hold {sorted(taken)}, which come from the data."
        )
    if name == "mlp":
        params = {"hidden_layer_sizes": hidden_layer_sizes} | params
    elif len(input_shape) != 3 and name != "lenet-300-100":
        side = math.isqrt(input_shape[0])
        example = (side, side) if side * side == input_shape[0] else ("H", "W")
        raise ValueError(
            f"module={name!r} takes images, but a row of X holds {input_shape[0]} "
            "values without a shape: pass input_shape, channels last, for instance "
            f"input_shape=({example[0]}, {example[1]}), or images of shape (n, H, W) "
            "or (n, H, W, C)."
        )
    try:
        return make_network(name, input_shape, n_outputs, **params)
    except ValueError as error:
        if len(input_shape) != 3 or not str(error).startswith("input_shape"):
            raise
        # Networks count channels first, the user of an estimator does not.
        given = (*input_shape[1:], input_shape[0])
        raise ValueError(
            f"{error} These are channels first; input_shape of the estimator is "
            f"channels last (H, W, C), here {given}."
        ) from error


def _named_parameters(source: Any) -> set[str]:
    try:
        return set(inspect.signature(source).parameters)
    except (TypeError, ValueError):  # some built-in callables have no signature
        return set()


def _name(source: Any) -> str:
    return getattr(source, "__name__", type(source).__name__)


def check_module(
    module: torch.nn.Module, one_sample: torch.Tensor, n_outputs: int
) -> None:
    """Send a sample, twice, through a module and compare the output with the classes.

    Parameters
    ----------
    module : torch.nn.Module
        Comes back in the mode in which it came.
    one_sample : tensor of shape (1, ...)
        In torch's layout.
    n_outputs : int
        Number of classes.

    Raises
    ------
    ValueError
        If the module cannot take the sample, or returns anything but (2, n_outputs).

    Warns
    -----
    UserWarning
        If the output looks like probabilities.
    """
    shape = tuple(one_sample.shape[1:])
    mode = module.training
    module.eval()
    try:
        with torch.no_grad():
            output = module(torch.cat([one_sample, one_sample]))
    except Exception as error:  # whatever the user's forward may raise
        raise ValueError(
            f"module {type(module).__name__} could not process a sample of shape "
            f"{shape} (channels first): {error} Check input_shape and module_params."
        ) from error
    finally:
        module.train(mode)
    if (
        not isinstance(output, torch.Tensor)
        or output.shape != (2, n_outputs)
        or not output.is_floating_point()
    ):
        got = getattr(output, "shape", type(output).__name__)
        got = tuple(got) if isinstance(got, torch.Size) else got
        raise ValueError(
            f"module {type(module).__name__} must return logits of shape "
            f"(n, {n_outputs}), one column a class of y. Got {got} for two samples."
        )
    is_distribution = (output >= 0).all() and (
        (output.float().sum(dim=1) - 1).abs() <= _SUM_TOLERANCE
    ).all()
    if n_outputs > 1 and is_distribution:
        warnings.warn(
            f"module {type(module).__name__} seems to end in a softmax; logits are "
            "wanted, since the loss takes the softmax itself: leave that layer out.",
            UserWarning,
            stacklevel=5,  # where the user calls fit
        )
