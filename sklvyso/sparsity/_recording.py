"""What every rule needs: run a function for its shape, record it for its data."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import torch
from torch.utils._pytree import tree_flatten, tree_map

from sklvyso.sparsity._operations import Operation


def replay(recorder, func, args, kwargs, *, constants=False, whole=False):
    """Record a function by itself, on whatever tensors hold data.

    Parameters
    ----------
    recorder : Recorder
        Where to.
    func : callable
        Called at each run with tensors >= 0 in place of those that hold data.
    args, kwargs : tuple and dict
        Arguments of the call.
    constants : bool, default=False
        Whether other floating tensors take part as factors.
    whole : bool, default=False
        As in :class:`Operation`.

    Returns
    -------
    result : tensor or tuple of tensors
        Without content (or with, on the CPU).
    """
    result = execute(recorder, func, args, kwargs)
    leaves, spec = tree_flatten((args, kwargs))
    sources: list[int] = []
    factors: list[torch.Tensor] = []
    slots: dict[int, tuple[str, int]] = {}
    for i, leaf in enumerate(leaves):
        value = recorder.value_of(leaf)
        if value is not None:
            slots[i] = ("value", len(sources))
            sources.append(value)
        elif constants and isinstance(leaf, torch.Tensor) and leaf.is_floating_point():
            slots[i] = ("constant", len(factors))
            factors.append(leaf.detach())
    plain = [
        None if i in slots else _empty_handed(recorder, leaf)
        for i, leaf in enumerate(leaves)
    ]

    def run(values, weights, factors):
        filled = list(plain)
        for i, (kind, j) in slots.items():
            filled[i] = values[j] if kind == "value" else factors[j]
        new_args, new_kwargs = spec.unflatten(filled)
        found = func(*new_args, **new_kwargs)
        return found if isinstance(found, torch.Tensor) else tuple(found)

    outs = [result] if isinstance(result, torch.Tensor) else list(result)
    numbers = [recorder.new_value(out) for out in outs]
    recorder.add(Operation(run, sources, numbers, (), factors, whole=whole))
    return result


class NeedsContentError(Exception):
    """The data flow depends on values, which the meta device has none of."""


def _empty_handed(recorder, leaf):
    """Constants carry no data: zeros for numbers; positions stay as they are."""
    if not isinstance(leaf, torch.Tensor):
        return leaf
    if leaf.is_floating_point() or leaf.is_complex():
        return torch.zeros(leaf.shape, dtype=torch.float32)
    if leaf.device.type == "meta":
        raise NeedsContentError
    return leaf.detach().clone()


def execute(recorder, func, args, kwargs):
    """Call a function for the shape (or, on the CPU, the content) of its result."""
    if recorder.device == "meta" and any(
        isinstance(item, torch.Tensor) and item.device.type != "meta"
        for item in leaves_of((args, *kwargs.values()))
    ):
        args, kwargs = tree_map(to_meta, (args, kwargs))
    return func(*args, **kwargs)


def leaves_of(items) -> list:
    """List what nested sequences and dicts hold."""
    leaves = []
    for item in items:
        if isinstance(item, (list, tuple)):  # half the time of list | tuple
            leaves += leaves_of(item)
        elif isinstance(item, dict):
            leaves += leaves_of(item.values())
        else:
            leaves.append(item)
    return leaves


def to_meta(item):
    """Return a tensor without its content; anything else as it is."""
    if isinstance(item, torch.Tensor) and item.device.type != "meta":
        return item.detach().to("meta")
    return item


def data(recorder, args, kwargs):
    """Collect the tensors that hold data, and their numbers.

    Parameters
    ----------
    recorder : Recorder
        Knows the numbers.
    args, kwargs : tuple and dict
        Arguments of a call.

    Returns
    -------
    found : list of (tensor, int)
        In the order of the arguments.
    """
    found = [
        (leaf, recorder.value_of(leaf)) for leaf in leaves_of((args, *kwargs.values()))
    ]
    return [(leaf, value) for leaf, value in found if value is not None]


def same_shape(recorder, func, args, kwargs, source):
    """Return a tensor in the shape of ``source``; its content only where needed."""
    if recorder.device == "meta":
        return recorder.empty(source.shape, source.dtype)
    try:
        result = execute(recorder, func, args, {**kwargs, **_not_in_place(kwargs)})
    except (RuntimeError, ValueError):  # statistics of a single value
        return torch.ones_like(source)
    return result.view(source.shape)


def _not_in_place(kwargs):
    return {"inplace": False} if "inplace" in kwargs else {}
