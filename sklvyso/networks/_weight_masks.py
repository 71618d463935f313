"""Weights that are held at exactly zero while a network trains."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from sklvyso.networks._arrays import as_tensor

# Integers as wide as a value: bits times 1 stay, bits times 0 are the number 0, where
# nan * 0 would be nan.
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def check_weight_masks(
    masks: Mapping[str, Any] | None, parameters: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return masks as bool tensors of their own on the CPU.

    Parameters
    ----------
    masks : mapping of str to bool array or tensor, or None
        Names of parameters to masks in their shape. None is no mask.
    parameters : mapping of str to tensor
        What may be masked.

    Returns
    -------
    masks : dict of str to bool tensor
        Copies, in the order given.

    Raises
    ------
    TypeError
        If ``masks`` is no mapping, or a mask does not hold bools.
    ValueError
        If a name is unknown, a mask has another shape than its parameter, or the
        parameter cannot be masked.
    """
    if masks is None:
        return {}
    if not isinstance(masks, Mapping):
        raise TypeError(
            "masks must be a dict of parameter names to bool arrays, or None. Got "
            f"{type(masks).__name__} instead."
        )
    return {name: _check_mask(name, mask, parameters) for name, mask in masks.items()}


def _check_mask(name, mask, parameters):
    if name not in parameters:
        raise ValueError(
            "masks must have names of parameters as keys, as in "
            f"module_.named_parameters(). Got {name!r} instead; there are "
            f"{list(parameters)}."
        )
    parameter = parameters[name]
    if is_lazy(parameter):
        raise ValueError(
            f"masks must have names of parameters with a shape. {name!r} belongs to a "
            "lazy layer: send one batch through the module first."
        )
    if parameter.element_size() not in _INTEGERS:
        raise ValueError(
            "masks must be for parameters of at most 8 bytes a value. Got a mask for "
            f"{name!r} of dtype {parameter.dtype}: use a narrower type."
        )
    tensor = mask if isinstance(mask, torch.Tensor) else as_tensor(np.asarray(mask))
    if tensor.dtype != torch.bool:
        raise TypeError(
            f"masks[{name!r}] must hold bools, True where a weight may be other than "
            f"0. Got dtype {tensor.dtype} instead: pass mask != 0."
        )
    if tensor.shape != parameter.shape:
        raise ValueError(
            f"masks[{name!r}] must have the shape of the parameter, "
            f"{tuple(parameter.shape)}. Got {tuple(tensor.shape)} instead."
        )
    return tensor.detach().to("cpu", copy=True)


def apply_masks(
    module: torch.nn.Module, masks: Mapping[str, Any] | None
) -> torch.nn.Module:
    """Set the masked weights of a module to zero, once and in place.

    Parameters
    ----------
    module : torch.nn.Module
        Its parameters change, whatever their device and type.
    masks : mapping of str to bool array or tensor, or None
        Names as in ``module.named_parameters()``; False is set to 0, also where the
        weight is nan or infinite. The other weights keep their bits.

    Returns
    -------
    module : torch.nn.Module
        The same.

    Raises
    ------
    TypeError, ValueError
        If the masks do not fit the module.

    Examples
    --------
    >>> import torch
    >>> from sklvyso.networks._weight_masks import apply_masks
    >>> layer = torch.nn.Linear(2, 1)
    >>> _ = torch.nn.init.constant_(layer.weight, torch.nan)
    >>> apply_masks(layer, {"weight": torch.tensor([[True, False]])}).weight.tolist()
    [[nan, 0.0]]
    """
    parameters = dict(module.named_parameters())
    _zeroing(parameters, check_weight_masks(masks, parameters))()
    return module


@contextlib.contextmanager
def held_at_zero(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, torch.Tensor] | Iterable[tuple[str, torch.Tensor]],
    masks: Mapping[str, Any] | None,
) -> Iterator[None]:
    """Hold masked weights at exactly zero for the steps of a ``with`` block.

    They are zero at the start of the block, after every step of the optimiser, be it
    with momentum, weight decay or fused, and at the end of the block, also after an
    error. The optimiser comes back without a hook.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its steps are followed.
    parameters : mapping of str to tensor, or iterable of pairs
        Such as ``module.named_parameters()``.
    masks : mapping of str to bool array or tensor, or None
        Parameter names to masks in the shape of the parameter, True where a weight may
        be other than 0. None or an empty dict holds nothing.

    Yields
    ------
    None
        The block runs.

    Raises
    ------
    TypeError
        If ``masks`` is no mapping, or a mask does not hold bools.
    ValueError
        If a name is unknown or a mask has another shape than its parameter.

    See Also
    --------
    NetworkClassifier : Its ``mask_weights``.

    Notes
    -----
    A step costs one multiplication of all masked tensors, on their bits as integers: a
    masked weight becomes 0 where it was nan too, and a weight that is kept stays as it
    is, nan included, so that a training that diverged is still seen.

    ``LBFGS`` evaluates its closure several times within a step. The gradients of masked
    weights are zero for it, so that they stay zero within the step as well.

    .. versionadded:: 0.1

    Examples
    --------
    >>> import torch
    >>> from sklvyso.networks import held_at_zero
    >>> layer = torch.nn.Linear(3, 1)
    >>> optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    >>> masks = {"weight": torch.tensor([[True, False, True]])}
    >>> with held_at_zero(optimizer, layer.named_parameters(), masks):
    ...     layer(torch.ones(4, 3)).sum().backward()
    ...     _ = optimizer.step()
    >>> (layer.weight == 0).tolist()
    [[False, True, False]]
    """
    if not masks and (masks is None or isinstance(masks, Mapping)):
        yield
        return
    named = dict(parameters)
    checked = check_weight_masks(masks, named)
    set_to_zero = _zeroing(named, checked)
    set_to_zero()
    handles = [optimizer.register_step_post_hook(lambda *args: set_to_zero())]
    if isinstance(optimizer, torch.optim.LBFGS):
        zero_gradients = _zeroing(named, checked, _gradient)
        handles.append(
            optimizer.register_step_pre_hook(
                lambda _, args, kwargs: _after_closure(zero_gradients, args, kwargs)
            )
        )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        # An interrupt may come between a step and its hook, and a callback may load
        # old weights.
        set_to_zero()


def _value(parameter: torch.Tensor) -> torch.Tensor | None:
    return parameter


def _gradient(parameter: torch.Tensor) -> torch.Tensor | None:
    return parameter.grad


def _zeroing(
    parameters: Mapping[str, torch.Tensor],
    masks: Mapping[str, torch.Tensor],
    part: Callable[[torch.Tensor], torch.Tensor | None] = _value,
) -> Callable[[], None]:
    """Return a function that zeroes what is masked, prepared to be called often."""
    held = [parameters[name] for name in masks]
    bits = [_bits(parameter) for parameter in held]
    # The strides of the parameters, which CUDA's fused kernel asks for.
    factors = [
        torch.empty_like(view).copy_(mask)
        for view, mask in zip(bits, masks.values(), strict=True)
    ]

    def set_to_zero() -> None:
        # Views are taken anew, because a module may have been given other storage.
        pairs = [
            (_bits(value), factor)
            for value, factor in zip(map(part, held), factors, strict=True)
            if value is not None
        ]
        if pairs:
            torch._foreach_mul_(*map(list, zip(*pairs, strict=True)))

    return set_to_zero


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().view(_INTEGERS[tensor.element_size()])


def _after_closure(action, args, kwargs):
    """Run an action after each call of the closure that an optimiser step gets."""
    # The first argument is the optimiser.
    optimizer, *positional = args
    closure = positional[0] if positional else kwargs["closure"]

    def closure_then_action():
        loss = closure()
        action()
        return loss

    return (optimizer, closure_then_action), {}
