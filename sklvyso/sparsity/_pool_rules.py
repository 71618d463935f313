"""Connections of pooling: every value of a window counts."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from sklvyso.sparsity._operations import BlockPool, Operation
from sklvyso.sparsity._recording import execute, replay


def record_average_pool(recorder, func, name, args, kwargs):
    return _pool(recorder, func, name, args, kwargs, func)


def record_max_pool(recorder, func, name, args, kwargs):
    if kwargs.get("return_indices") or name.endswith("_with_indices"):
        raise recorder.unsupported("max pooling that returns indices has no rule.")
    return _pool(recorder, func, name, args, kwargs, None)


def _pool(recorder, func, name, args, kwargs, average):
    """Record a pooling; the average stands for the maximum (spec of the method)."""
    source = args[0] if args else kwargs["input"]
    result = execute(recorder, func, args, kwargs)
    n_dims = int(name.rstrip("d")[-1])
    window = _window(n_dims, *args[1:], **_without_input(kwargs))
    size = tuple(source.shape[-n_dims:])
    function = _mean_over(window, tuple(result.shape[-n_dims:]), n_dims)
    if average is not None:
        plain_args = args[1:]
        plain_kwargs = _without_input(kwargs)
        function = lambda x: average(x, *plain_args, **plain_kwargs)  # noqa: E731
    number = recorder.new_value(result)
    kernel, stride, padding, dilation = window
    is_block = stride == kernel and set(padding) == {0} and set(dilation) == {1}
    is_block &= all(
        o * k <= n for o, k, n in zip(result.shape[-n_dims:], kernel, size, strict=True)
    )
    value = recorder.value_of(source)
    run = lambda v, w, c: function(v[0])  # noqa: E731
    if is_block:
        recorder.add(BlockPool(run, [value], [number], kernel))
    else:
        recorder.add(Operation(run, [value], [number]))
    return result


def _without_input(kwargs):
    return {key: value for key, value in kwargs.items() if key != "input"}


def _window(n_dims, kernel_size, stride=None, padding=0, dilation=1, *args, **kwargs):
    if isinstance(dilation, bool):  # ceil_mode of average pooling
        dilation = 1
    if stride is None or (isinstance(stride, tuple | list) and not stride):
        stride = kernel_size
    return tuple(_each(v, n_dims) for v in (kernel_size, stride, padding, dilation))


def _each(value, n):
    if isinstance(value, int):
        return (value,) * n
    values = tuple(int(v) for v in value)
    return values * n if len(values) == 1 else values


def _mean_over(window, size, n_dims):
    kernel, stride, padding, dilation = window
    convolve = (F.conv1d, F.conv2d, F.conv3d)[n_dims - 1]

    def run(x):
        batched = x if x.dim() == n_dims + 2 else x.unsqueeze(0)
        n_channels = batched.shape[1]
        widths: list[int] = []
        for axis in reversed(range(n_dims)):
            reach = dilation[axis] * (kernel[axis] - 1) + 1
            need = (size[axis] - 1) * stride[axis] + reach
            after = max(0, need - batched.shape[2 + axis] - padding[axis])
            widths += [padding[axis], after]
        ones = torch.full((n_channels, 1, *kernel), 1 / math.prod(kernel))
        ones = ones.to(batched)
        result = convolve(
            F.pad(batched, widths),
            ones,
            stride=stride,
            dilation=dilation,
            groups=n_channels,
        )
        result = result[(..., *[slice(0, n) for n in size])]
        return result if x.dim() == n_dims + 2 else result.squeeze(0)

    return run


def record_adaptive_max_pool(recorder, func, name, args, kwargs):
    if kwargs.get("return_indices") or name.endswith("_with_indices"):
        raise recorder.unsupported("max pooling that returns indices has no rule.")
    n_dims = int(name.rstrip("d")[-1])
    average = (
        F.adaptive_avg_pool1d,
        F.adaptive_avg_pool2d,
        F.adaptive_avg_pool3d,
    )[n_dims - 1]
    source = args[0] if args else kwargs["input"]
    size = args[1] if len(args) > 1 else kwargs["output_size"]
    return replay(recorder, average, (source, size), {})
