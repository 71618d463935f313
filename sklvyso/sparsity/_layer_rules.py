"""Connections of layers with weights."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.nn import functional as F

from sklvyso.sparsity._operations import Connection, Operation
from sklvyso.sparsity._stencil import Stencil

_LINEAR = ("input", "weight", "bias")
_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = (
    "input",
    "weight",
    "bias",
    "stride",
    "padding",
    "output_padding",
    "groups",
    "dilation",
)
_BILINEAR = ("input1", "input2", "weight", "bias")


def _bind(names, args, kwargs, **defaults) -> dict[str, Any]:
    return {**defaults, **dict(zip(names, args, strict=False)), **kwargs}


def _result(recorder, func, given):
    """Shape of the result; a weight without content stands for its values."""
    if recorder.device == "meta":
        given = {
            key: value.detach().to("meta")
            if isinstance(value, torch.Tensor) and value.device.type != "meta"
            else value
            for key, value in given.items()
        }
    return func(*given.values())


def record_linear(recorder, func, name, args, kwargs):
    """Record ``linear(input, weight, bias)``."""
    given = _bind(_LINEAR, args, kwargs, input=None, weight=None, bias=None)
    given["bias"] = None
    source, weight = given["input"], given["weight"]
    result = _result(recorder, func, given)
    if source.dim() == 1:
        raise recorder.unsupported("a linear layer got a sample without batch axis.")
    places = (source.shape[:-1].numel(),)
    stencil = Stencil(
        places, places, kernel=(1,), stride=(1,), dilation=(1,), padding=(0,)
    )
    return _add(
        recorder,
        result,
        source,
        weight,
        lambda x, w: F.linear(x, w),
        stencil,
        features_last=True,
    )


def record_convolution(recorder, func, name, args, kwargs):
    """Record ``conv1d``, ``conv2d`` or ``conv3d``."""
    n_dims = int(name[-2])
    given = _bind(
        _CONVOLUTION,
        args,
        kwargs,
        input=None,
        weight=None,
        bias=None,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
    )
    given["bias"] = None
    source, weight = _batched(recorder, given["input"], n_dims), given["weight"]
    stride, dilation = (_each(given[k], n_dims) for k in ("stride", "dilation"))
    kernel = tuple(weight.shape[2:])
    padding = given["padding"]
    result = _result(recorder, func, given)
    plain = {k: given[k] for k in ("stride", "padding", "dilation", "groups")}
    if isinstance(padding, str):
        extra = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        before = [0] * n_dims if padding == "valid" else [e // 2 for e in extra]
    else:
        before = list(_each(padding, n_dims))
    stencil = _stencil(source, result, kernel, stride, dilation, before)
    return _add(
        recorder,
        result,
        source,
        weight,
        lambda x, w: func(x, w, None, **plain),
        stencil,
        groups=given["groups"],
    )


def record_transposed_convolution(recorder, func, name, args, kwargs):
    """Record ``conv_transpose1d``, ``conv_transpose2d`` or ``conv_transpose3d``."""
    n_dims = int(name[-2])
    given = _bind(
        _TRANSPOSED,
        args,
        kwargs,
        input=None,
        weight=None,
        bias=None,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        dilation=1,
    )
    given["bias"] = None
    source, weight = _batched(recorder, given["input"], n_dims), given["weight"]
    result = _result(recorder, func, given)
    plain = {
        k: given[k]
        for k in ("stride", "padding", "output_padding", "groups", "dilation")
    }
    kinds = (_each(given[k], n_dims) for k in ("stride", "dilation", "padding"))
    stencil = _stencil(result, source, weight.shape[2:], *kinds)
    return _add(
        recorder,
        result,
        source,
        weight,
        lambda x, w: func(x, w, None, **plain),
        stencil,
        groups=given["groups"],
        transposed=True,
    )


def _stencil(fine, coarse, kernel, stride, dilation, padding):
    """Connect two grids; samples in the batch axis are places of their own."""
    if len(fine) == 1:
        return Stencil(
            fine.shape[2:],
            coarse.shape[2:],
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            padding=padding,
        )
    return Stencil(
        (len(fine), *fine.shape[2:]),
        (len(fine), *coarse.shape[2:]),
        kernel=(1, *kernel),
        stride=(1, *stride),
        dilation=(1, *dilation),
        padding=(0, *padding),
    )


def _batched(recorder, source, n_dims):
    if source.dim() != n_dims + 2:
        raise recorder.unsupported("a convolution got a sample without batch axis.")
    return source


def _each(value, n):
    return (
        (int(value),) * n
        if isinstance(value, int)
        else tuple(map(int, value)) * (n if len(tuple(value)) == 1 else 1)
    )


def _add(recorder, result, source, weight, dense, stencil, **kinds):
    """Append a connection, or, for a weight without mask, a plain operation."""
    value, number = recorder.value_of(source), recorder.new_value(result)
    name = recorder.name_of(weight)
    if name is not None and value is not None:
        recorder.add(
            Connection(
                lambda v, w, c: dense(v[0], w[0]),
                [value],
                [number],
                name,
                stencil,
                **kinds,
            )
        )
        return result
    sources = [item for item in (source, weight) if recorder.value_of(item) is not None]
    n_values = len(sources)

    def run(values, weights, constants):
        if n_values == 2:
            return dense(values[0], values[1])
        other = (weights or constants)[0]
        if sources[0] is source:
            return dense(values[0], other)
        return dense(other, values[0])

    constant = [] if n_values == 2 else [weight if sources[0] is source else source]
    names = [recorder.name_of(item) for item in constant]
    masked = [n for n in names if n]
    recorder.add(
        Operation(
            run,
            [recorder.value_of(item) for item in sources],
            [number],
            masked,
            [] if masked else [item.detach() for item in constant],
            whole=True,
        )
    )
    return result


def record_bilinear(recorder, func, name, args, kwargs):
    """Record ``bilinear(input1, input2, weight)``: both inputs must be alive."""
    given = _bind(_BILINEAR, args, kwargs)
    first, second, weight = given["input1"], given["input2"], given["weight"]
    given = {"input1": first, "input2": second, "weight": weight, "bias": None}
    result = _result(recorder, func, given)
    sides = [recorder.value_of(first), recorder.value_of(second)]
    if None in sides:
        raise recorder.unsupported("a bilinear layer got an input without data.")
    number = recorder.new_value(result)
    masked = recorder.name_of(weight)
    recorder.add(
        Operation(
            lambda v, w, c: F.bilinear(v[0], v[1], (w or c)[0]),
            sides,
            [number],
            [masked] if masked else [],
            [] if masked else [weight.detach()],
            whole=True,
        )
    )
    return result


def record_embedding(recorder, func, name, args, kwargs):
    """Record ``embedding(input, weight)``: any kept entry of a row is an input."""
    given = dict(inspect.signature(F.embedding).bind(*args, **kwargs).arguments)
    index, weight = given["input"], given["weight"]
    shape = (*index.shape, weight.shape[1])
    result = recorder.empty(shape)
    if recorder.device != "meta":
        result = torch.ones(shape)
    number = recorder.new_value(result)
    masked = recorder.name_of(weight)
    recorder.add(
        Operation(
            lambda v, w, c: (w or c)[0].sum(0).expand(shape),
            [],
            [number],
            [masked] if masked else [],
            [] if masked else [weight.detach()],
            whole=True,
        )
    )
    return result
