"""Connections of activations, norms, shapes, sums and products."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import torch
from torch.nn import functional as F
from torch.utils._pytree import tree_flatten

from sklvyso.sparsity._operations import Join, Operation, Reshape
from sklvyso.sparsity._recording import data, execute, replay, same_shape


def record_identity(recorder, func, name, args, kwargs):
    known = data(recorder, args, kwargs)
    source, value = known[0]
    if len(known) > 1:
        return _joined(recorder, func, args, kwargs, known)
    result = same_shape(recorder, func, args, kwargs, source)
    recorder.alias(result, value)
    return result


def record_sharing(recorder, func, name, args, kwargs):
    """Record a function that may return the tensor that it got."""
    source, value = data(recorder, args, kwargs)[0]
    if name.endswith(("dropout", "dropout1d", "dropout2d", "dropout3d")):
        is_training = args[2] if len(args) > 2 else kwargs.get("training", True)
        if not is_training:
            return source
        result = source.clone()
    elif name in _CASTS:
        result = source.to(_CASTS[name])
    elif name in ("to", "type", "type_as"):
        others = [*args[1:], *kwargs.values()]
        kinds = [o for o in others if isinstance(o, torch.dtype)]
        kinds += [o.dtype for o in others if isinstance(o, torch.Tensor)]
        result = source.to(kinds[0]) if kinds else source
    elif name == "contiguous":
        result = source.contiguous()
    else:
        return source
    if result is not source:
        recorder.alias(result, value)
    return result


_CASTS = {
    "float": torch.float32,
    "double": torch.float64,
    "half": torch.float16,
    "bfloat16": torch.bfloat16,
    "long": torch.int64,
    "int": torch.int32,
    "short": torch.int16,
    "bool": torch.bool,
}


def record_softmax(recorder, func, name, args, kwargs):
    source, value = data(recorder, args, kwargs)[0]
    result = same_shape(recorder, func, args, kwargs, source)
    number = recorder.new_value(result)
    recorder.add(Reshape(tuple(result.shape), [value], [number]))
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    dim = -1 if dim is None else dim
    # As a factor it is positive whatever its input, and each entry depends on all.
    mixed = _mix(recorder, source, lambda x: x.mean(dim, keepdim=True))
    recorder.softmaxed[number] = mixed
    return result


def follow_softmax(recorder, func, name, args, kwargs, result, record):
    """Let a softmax in another shape be known as such."""
    known = data(recorder, args, kwargs)
    outputs = [result] if isinstance(result, torch.Tensor) else list(result)
    if len(known) != 1 or known[0][1] not in recorder.softmaxed:
        return result
    mixed = recorder.softmaxed[known[0][1]]
    again = record(recorder, func, name, *_with(mixed, known[0][0], args, kwargs))
    again = [again] if isinstance(again, torch.Tensor) else list(again)
    for output, other in zip(outputs, again, strict=True):
        recorder.softmaxed[recorder.value_of(output)] = other
    return result


def _with(new, old, args, kwargs):
    leaves, spec = tree_flatten((args, kwargs))
    return spec.unflatten([new if leaf is old else leaf for leaf in leaves])


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
    result = torch.ones_like(source)
    number = recorder.new_value(result)
    recorder.add(
        Operation(lambda v, w, c: average(v[0]).expand_as(v[0]), [value], [number])
    )
    return result


def record_reshape(recorder, func, name, args, kwargs):
    result = _reshaped(recorder, func, name, args, kwargs)
    return follow_softmax(recorder, func, name, args, kwargs, result, _reshaped)


def _reshaped(recorder, func, name, args, kwargs):
    ((_, value),) = data(recorder, args, kwargs)
    result = execute(recorder, func, args, kwargs)
    number = recorder.new_value(result)
    recorder.add(Reshape(tuple(result.shape), [value], [number]))
    return result


def record_linear_function(recorder, func, name, args, kwargs):
    result = _replayed(recorder, func, name, args, kwargs)
    return follow_softmax(recorder, func, name, args, kwargs, result, _replayed)


def _replayed(recorder, func, name, args, kwargs):
    return replay(recorder, func, args, kwargs)


def record_as(recorder, func, name, args, kwargs):
    """Record a function to which its second argument gives the shape only."""
    other = args[1] if len(args) > 1 else kwargs["other"]
    change = torch.Tensor.expand if name == "expand_as" else torch.Tensor.reshape
    handler = record_linear_function if name == "expand_as" else record_reshape
    return handler(recorder, change, name, (args[0], tuple(other.shape)), {})


def record_indexing(recorder, func, name, args, kwargs):
    if len(data(recorder, args, kwargs)) > 1 or recorder.value_of(args[0]) is None:
        raise recorder.unsupported(f"{name!r} picks by values that it computed.")
    return record_linear_function(recorder, func, name, args, kwargs)


def record_multiplied(recorder, func, name, args, kwargs):
    """Record a product over an axis: all factors must be alive."""
    return replay(recorder, func, args, kwargs, whole=True)


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
    result = replay(recorder, func, args, kwargs)
    # Rounding gives neighbours that do not take part a weight of about 1e-7.
    recorder.trace.operations[-1].threshold = 1e-5
    return result


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
    given = dict(zip(("condition", "input", "other"), args, strict=False)) | kwargs
    if set(given) != {"condition", "input", "other"}:
        raise recorder.unsupported("where() with one argument has no rule.")
    condition, *sides = (given[k] for k in ("condition", "input", "other"))
    if recorder.value_of(condition) is None:
        return _joined(recorder, func, args, kwargs, data(recorder, sides, {}))
    return _chosen(recorder, func, args, kwargs, condition, sides)


def record_masked_fill(recorder, func, name, args, kwargs):
    given = dict(zip(("input", "mask", "value"), args, strict=False)) | kwargs
    if recorder.value_of(given["mask"]) is None:
        return _joined(recorder, func, args, kwargs, data(recorder, args, kwargs))
    sides = [given["input"], given["value"]]
    return _chosen(recorder, func, args, kwargs, given["mask"], sides)


def _chosen(recorder, func, args, kwargs, condition, sides):
    """Record a choice: both sides flow on; the condition counts where they do."""
    result = execute(recorder, func, args, kwargs)
    shape = tuple(result.shape)
    known = [(condition, recorder.value_of(condition)), *data(recorder, sides, {})]

    def choose(v, w, c):
        if len(v) == 1:
            return v[0].expand(shape)
        sides = sum(side.expand(shape) for side in v[1:])
        return sides + v[0] * sides

    number = recorder.new_value(result)
    values = [value for _, value in known]
    recorder.add(Operation(choose, values, [number], whole=True))
    return result


def record_product(recorder, func, name, args, kwargs):
    known = data(recorder, args[:2], kwargs)
    if len(known) == 1:
        result = _joined(recorder, func, args, kwargs, known)
        mixed = recorder.softmaxed.get(known[0][1])
        if mixed is not None and result.shape == mixed.shape:
            recorder.softmaxed[recorder.value_of(result)] = mixed
        return result
    tensors = [tensor for tensor, _ in known]
    return multiplied(recorder, func, args, kwargs, tensors, lambda x, y: x * y)


def multiplied(recorder, func, args, kwargs, tensors, multiply):
    """Record a product of two: both must be alive, a softmax is so anywhere.

    Parameters
    ----------
    recorder : Recorder
        Where to.
    func : callable
        Called with ``args`` and ``kwargs`` for the shape of the result.
    args, kwargs : tuple and dict
        Arguments of the call.
    tensors : list of two tensors
        The factors.
    multiply : callable
        Computes with tensors of zeros and ones in place of ``tensors``.

    Returns
    -------
    result : tensor
        Without content (or with, on the CPU).
    """
    result = execute(recorder, func, args, kwargs)
    values = [recorder.value_of(tensor) for tensor in tensors]
    is_open = [value in recorder.softmaxed for value in values]
    ways = [
        recorder.value_of(recorder.softmaxed[value]) if value_is_open else value
        for value, value_is_open in zip(values, is_open, strict=True)
    ]

    def run(v, w, c):
        # The way through the scores ends where there are no values to weigh.
        total = multiply(*v)
        for i in range(2):
            if is_open[i]:
                other = torch.ones_like(v[i])
                total = total + multiply(*(other if j == i else v[j] for j in range(2)))
        return total

    number = recorder.new_value(result)
    recorder.add(Operation(run, ways, [number], whole=True))
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
