"""Connections of activations, norms, shapes, sums and products."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import torch
from torch.nn import functional as F

from sklvyso.sparsity._operations import Join, Operation, Reshape
from sklvyso.sparsity._recording import data, execute, replay, same_shape


def record_identity(recorder, func, name, args, kwargs):
    ((source, value),) = data(recorder, args, kwargs)[:1]
    result = same_shape(recorder, func, args, kwargs, source)
    recorder.alias(result, value)
    return result


def record_softmax(recorder, func, name, args, kwargs):
    result = record_identity(recorder, func, name, args, kwargs)
    # A number of its own: as a factor it is positive whatever its input.
    value = recorder.new_value(result)
    source = data(recorder, args, kwargs)[0][1]
    recorder.add(Reshape(tuple(result.shape), [source], [value]))
    recorder.softmaxed.add(value)
    return result


def record_norm(recorder, func, name, args, kwargs):
    if recorder.norm == "identity":
        return record_identity(recorder, func, name, args, kwargs)
    source = args[0]
    if name == "group_norm":
        n_groups = args[1] if len(args) > 1 else kwargs["num_groups"]
        return _mix(recorder, source, lambda x: _group_mean(x, n_groups))
    if name == "normalize":
        dim = args[2] if len(args) > 2 else kwargs.get("dim", 1)
        return _mix(recorder, source, lambda x: x.mean(dim, keepdim=True))
    shape = args[1] if len(args) > 1 else kwargs["normalized_shape"]
    dims = tuple(range(-len(shape), 0))
    return _mix(recorder, source, lambda x: x.mean(dims, keepdim=True))


def _group_mean(x, n_groups):
    means = x.reshape(len(x), n_groups, -1).mean(2)
    means = means.repeat_interleave(x.shape[1] // n_groups, dim=1)
    return means.reshape(*means.shape, *[1] * (x.dim() - 2))


def _mix(recorder, source, average):
    value = recorder.value_of(source)
    result = recorder.empty(source.shape)
    if recorder.device != "meta":
        result = torch.ones(source.shape)
    number = recorder.new_value(result)
    recorder.add(
        Operation(lambda v, w, c: average(v[0]).expand_as(v[0]), [value], [number])
    )
    return result


def record_reshape(recorder, func, name, args, kwargs):
    ((_, value),) = data(recorder, args, kwargs)[:1]
    result = execute(recorder, func, args, kwargs)
    number = recorder.new_value(result)
    recorder.add(Reshape(tuple(result.shape), [value], [number]))
    return result


def record_linear_function(recorder, func, name, args, kwargs):
    return replay(recorder, func, args, kwargs)


def record_pad(recorder, func, name, args, kwargs):
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
    widths = args[1] if len(args) > 1 else kwargs["pad"]
    source = args[0] if args else kwargs["input"]
    # The padded constant holds no data.
    return replay(recorder, F.pad, (source, tuple(widths)), {"mode": mode})


def record_interpolate(recorder, func, name, args, kwargs):
    mode = args[3] if len(args) > 3 else kwargs.get("mode", "nearest")
    if mode not in (
        "nearest",
        "nearest-exact",
        "area",
        "linear",
        "bilinear",
        "trilinear",
    ):
        raise recorder.unsupported(f"interpolation of mode {mode!r} has no rule.")
    return replay(recorder, func, args, kwargs)


def record_binary_sum(recorder, func, name, args, kwargs):
    return _joined(recorder, func, args, kwargs, data(recorder, args, kwargs))


def _joined(recorder, func, args, kwargs, known):
    result = execute(recorder, func, args, kwargs)
    shape = tuple(result.shape)
    if len(known) == 1 and tuple(known[0][0].shape) == shape:
        recorder.alias(result, known[0][1])
        return result
    number = recorder.new_value(result)
    recorder.add(Join([value for _, value in known], [number], shape))
    return result


def record_where(recorder, func, name, args, kwargs):
    known = data(recorder, args[1:], kwargs)
    if recorder.value_of(args[0]) is not None or not known:
        raise recorder.unsupported("where() chooses by values that it computed.")
    return _joined(recorder, func, args, kwargs, known)


def record_product(recorder, func, name, args, kwargs):
    known = data(recorder, args[:2], kwargs)
    if len(known) == 1:
        return _joined(recorder, func, args, kwargs, known)
    result = execute(recorder, func, args, kwargs)
    number = recorder.new_value(result)
    recorder.add(
        Operation(
            lambda v, w, c: v[0] * v[1],
            [value for _, value in known],
            [number],
            whole=True,
        )
    )
    return result


def record_glu(recorder, func, name, args, kwargs):
    dim = args[1] if len(args) > 1 else kwargs.get("dim", -1)

    def gate(x):
        first, second = x.chunk(2, dim)
        return first * second

    source = args[0] if args else kwargs["input"]
    result = execute(recorder, func, args, kwargs)
    number = recorder.new_value(result)
    value = recorder.value_of(source)
    recorder.add(Operation(lambda v, w, c: gate(v[0]), [value], [number], whole=True))
    return result


def record_reduction(recorder, func, name, args, kwargs):
    known = data(recorder, args, kwargs)
    if len(known) == 2:  # torch.max(x, y)
        return record_binary_sum(recorder, func, name, args, kwargs)
    result = execute(recorder, func, args, kwargs)
    first = result if isinstance(result, torch.Tensor) else result[0]
    source, value = known[0]
    position = 2 if name == "norm" else 1
    dim = args[position] if len(args) > position else kwargs.get("dim")
    axes = reduced_axes(tuple(source.shape), dim)
    number = recorder.new_value(first)
    shape = tuple(first.shape)
    recorder.add(
        Operation(lambda v, w, c: v[0].sum(axes).reshape(shape), [value], [number])
    )
    return result


def reduced_axes(shape: tuple[int, ...], dim) -> tuple[int, ...]:
    """Return the axes that a reduction over ``dim`` takes away, all for None."""
    if dim is None or isinstance(dim, bool):
        return tuple(range(len(shape)))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(d % len(shape) for d in dims)
