"""What each torch function connects with what."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_flatten, tree_map

from sklvyso.sparsity._layer_rules import (
    record_bilinear,
    record_convolution,
    record_embedding,
    record_linear,
    record_transposed_convolution,
)
from sklvyso.sparsity._operations import BlockPool, Join, Operation, Reshape

# Output and input have one shape, and each output depends on the input at its place.
IDENTITY = frozenset(
    "relu relu6 leaky_relu elu selu celu gelu silu mish sigmoid tanh softplus softsign "
    "hardtanh hardsigmoid hardswish hardshrink softshrink tanhshrink logsigmoid "
    "log_sigmoid threshold rrelu prelu log_softmax softmin gumbel_softmax dropout "
    "alpha_dropout feature_alpha_dropout feature_dropout dropout1d dropout2d dropout3d "
    "batch_norm instance_norm abs neg exp exp2 log log1p log2 log10 expm1 sqrt rsqrt "
    "square reciprocal clamp clip clamp_min clamp_max sin cos tan atan arctan sinh "
    "cosh asinh erf erfc sign sgn floor round ceil trunc frac positive contiguous "
    "clone detach to float double half bfloat16 type type_as cpu cuda requires_grad "
    "masked_fill nan_to_num logit local_response_norm cumulative_identity data "
    "absolute negative sigmoid_ tanh_ real conj".split()
)
NORMS = frozenset("layer_norm group_norm rms_norm normalize".split())
# Only the shape changes.
RESHAPE = frozenset(
    "view reshape flatten unflatten squeeze unsqueeze view_as reshape_as ravel".split()
)
# Linear with coefficients >= 0: the function itself on the support.
LINEAR = frozenset(
    "permute transpose t swapaxes swapdims movedim moveaxis getitem select narrow "
    "index_select gather take_along_dim cat concat concatenate stack hstack vstack "
    "dstack column_stack chunk unsafe_chunk split unsafe_split split_with_sizes "
    "tensor_split hsplit vsplit unbind expand expand_as broadcast_to repeat "
    "repeat_interleave tile flip fliplr flipud roll rot90 pixel_shuffle "
    "pixel_unshuffle channel_shuffle native_channel_shuffle avg_pool1d avg_pool2d "
    "avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d upsample "
    "unfold fold mean sum nanmean nansum cumsum diagonal diag tril triu T mT H mH "
    "atleast_1d atleast_2d atleast_3d col2im im2col broadcast_tensors".split()
)
SUMS = frozenset("add sub subtract maximum minimum fmax fmin logaddexp hypot".split())
PRODUCTS = frozenset(
    "mul multiply div divide true_divide truediv pow floor_divide floordiv".split()
)
MATRIX = frozenset("matmul mm bmm mv dot inner einsum tensordot outer".split())
REDUCTIONS = frozenset("amax amin max min logsumexp var std norm median prod".split())
# Answers about a tensor, and new tensors that do not hold its data.
ABOUT = frozenset(
    "size dim ndimension numel nelement stride is_floating_point is_complex "
    "is_contiguous element_size get_device len storage_offset data_ptr hash repr "
    "is_same_size is_tensor result_type zeros_like ones_like rand_like randn_like "
    "full_like empty_like new_zeros new_ones new_empty new_full new_tensor eq ne gt ge "
    "lt le isnan isinf isfinite argmax argmin register_hook retain_grad format "
    "has_names is_inference is_conj is_neg sym_size bool".split()
)


def function_name(func: Callable[..., Any]) -> str:
    """Name of a torch function without the marks of its variants."""
    name = getattr(func, "__name__", type(func).__name__)
    if name == "__get__":
        return getattr(func, "__self__").__name__  # noqa: B009
    return name.strip("_")


def record(recorder, func, args, kwargs):
    """Record one call of a torch function that sees the data; return its result."""
    rule = recorder.rules.get(func)
    name = function_name(func)
    if rule is not None:
        result = _by_user(recorder, rule, name, args, kwargs)
    elif name in ABOUT or (_is_property(func) and name not in IDENTITY | LINEAR):
        return func(*args, **kwargs)
    else:
        handler = _handler(recorder, name)
        if handler is None:
            raise recorder.unsupported(f"there is no rule for the function {name!r}.")
        if "out" in kwargs:
            raise recorder.unsupported(f"{name!r} writes into out=.")
        _refuse_derived(recorder, args, kwargs)
        result = handler(recorder, func, name, args, kwargs)
    return _settle(recorder, func, result, args, kwargs)


def _is_property(func):
    return getattr(func, "__name__", "") == "__get__"


def _refuse_derived(recorder, args, kwargs):
    for item in leaves_of((args, *kwargs.values())):
        if isinstance(item, torch.Tensor) and recorder.is_derived(item):
            raise recorder.unsupported(
                "it computes with a weight that was computed from a masked weight, so "
                "that the mask does not say what is connected. Put the computation "
                "into torch.nn.utils.parametrize, whose result the mask is then for, "
                "or leave the weight out of the masks."
            )


def _settle(recorder, func, result, args, kwargs):
    """Let in-place functions return the tensor that they changed."""
    raw = getattr(func, "__name__", "")
    in_place = kwargs.get("inplace") is True or (
        raw.endswith("_") and not raw.startswith("__")
    )
    in_place |= raw.startswith("__i") and raw not in ("__invert__", "__index__")
    if not in_place or not isinstance(result, torch.Tensor):
        return result
    changed, value = args[0], recorder.value_of(result)
    if recorder.value_of(changed) == value:
        return changed
    if isinstance(changed, torch.Tensor) and changed._is_view():
        raise recorder.unsupported(f"{raw!r} changes part of a tensor in place.")
    recorder.alias(changed, value)
    return changed


# -- helpers ----------------------------------------------------------------------


def replay(recorder, func, args, kwargs, *, constants=False, whole=False, twin=None):
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
    twin : callable or None, default=None
        Stands for ``func`` at each run, not for the shape.

    Returns
    -------
    result : tensor or tuple of tensors
        Without content (or with, on the CPU).
    """
    result = execute(recorder, func, args, kwargs)
    leaves, spec = tree_flatten((args, kwargs))
    sources, factors, slots = [], [], {}
    for i, leaf in enumerate(leaves):
        value = recorder.value_of(leaf)
        if value is not None:
            slots[i] = ("value", len(sources))
            sources.append(value)
        elif constants and isinstance(leaf, torch.Tensor) and leaf.is_floating_point():
            slots[i] = ("constant", len(factors))
            factors.append(leaf.detach())
    plain = [None if i in slots else leaf for i, leaf in enumerate(leaves)]
    call = twin or func

    def run(values, weights, factors):
        filled = list(plain)
        for i, (kind, j) in slots.items():
            filled[i] = values[j] if kind == "value" else factors[j]
        new_args, new_kwargs = spec.unflatten(filled)
        found = call(*new_args, **new_kwargs)
        return found if isinstance(found, torch.Tensor) else tuple(found)

    outs = [result] if isinstance(result, torch.Tensor) else list(result)
    numbers = [recorder.new_value(out) for out in outs]
    recorder.add(Operation(run, sources, numbers, (), factors, whole=whole))
    return result


def execute(recorder, func, args, kwargs):
    """Call a function for the shape (or, on the CPU, the content) of its result."""
    if recorder.device == "meta" and any(
        isinstance(item, torch.Tensor) and item.device.type != "meta"
        for item in leaves_of((args, *kwargs.values()))
    ):
        args, kwargs = tree_map(to_meta, (args, kwargs))
    return func(*args, **kwargs)


def leaves_of(items):
    """Yield what nested sequences and dicts hold."""
    for item in items:
        if isinstance(item, list | tuple):
            yield from leaves_of(item)
        elif isinstance(item, dict):
            yield from leaves_of(item.values())
        else:
            yield item


def to_meta(item):
    """Return a tensor without its content; anything else as it is."""
    if isinstance(item, torch.Tensor) and item.device.type != "meta":
        return item.detach().to("meta")
    return item


def _data(recorder, args, kwargs):
    """Tensors that hold data, and their numbers."""
    found = [
        (leaf, recorder.value_of(leaf)) for leaf in leaves_of((args, *kwargs.values()))
    ]
    return [(leaf, value) for leaf, value in found if value is not None]


def _same_shape(recorder, func, args, kwargs, source):
    """Return a tensor in the shape of ``source``; its content only where needed."""
    if recorder.device == "meta":
        return recorder.empty(source.shape)
    return execute(recorder, func, args, {**kwargs, **_not_in_place(kwargs)}).view(
        source.shape
    )


def _not_in_place(kwargs):
    return {"inplace": False} if "inplace" in kwargs else {}


# -- kinds of functions -----------------------------------------------------------


def _identity(recorder, func, name, args, kwargs):
    ((source, value),) = _data(recorder, args, kwargs)[:1]
    result = _same_shape(recorder, func, args, kwargs, source)
    recorder.alias(result, value)
    return result


def _softmax(recorder, func, name, args, kwargs):
    result = _identity(recorder, func, name, args, kwargs)
    # A number of its own: as a factor it is positive whatever its input.
    value = recorder.new_value(result)
    source = _data(recorder, args, kwargs)[0][1]
    recorder.add(Reshape(tuple(result.shape), [source], [value]))
    recorder.softmaxed.add(value)
    return result


def _norm(recorder, func, name, args, kwargs):
    if recorder.norm == "identity":
        return _identity(recorder, func, name, args, kwargs)
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


def _reshape(recorder, func, name, args, kwargs):
    ((_, value),) = _data(recorder, args, kwargs)[:1]
    result = execute(recorder, func, args, kwargs)
    number = recorder.new_value(result)
    recorder.add(Reshape(tuple(result.shape), [value], [number]))
    return result


def _linear_function(recorder, func, name, args, kwargs):
    return replay(recorder, func, args, kwargs)


def _average_pool(recorder, func, name, args, kwargs):
    return _pool(recorder, func, name, args, kwargs, func)


def _max_pool(recorder, func, name, args, kwargs):
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


def _adaptive_max_pool(recorder, func, name, args, kwargs):
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


def _pad(recorder, func, name, args, kwargs):
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
    widths = args[1] if len(args) > 1 else kwargs["pad"]
    source = args[0] if args else kwargs["input"]
    # The padded constant holds no data.
    return replay(recorder, F.pad, (source, tuple(widths)), {"mode": mode})


def _interpolate(recorder, func, name, args, kwargs):
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


def _binary_sum(recorder, func, name, args, kwargs):
    return _joined(recorder, func, args, kwargs, _data(recorder, args, kwargs))


def _joined(recorder, func, args, kwargs, data):
    result = execute(recorder, func, args, kwargs)
    shape = tuple(result.shape)
    if len(data) == 1 and tuple(data[0][0].shape) == shape:
        recorder.alias(result, data[0][1])
        return result
    number = recorder.new_value(result)
    recorder.add(Join([value for _, value in data], [number], shape))
    return result


def _where(recorder, func, name, args, kwargs):
    data = _data(recorder, args[1:], kwargs)
    if recorder.value_of(args[0]) is not None or not data:
        raise recorder.unsupported("where() chooses by values that it computed.")
    return _joined(recorder, func, args, kwargs, data)


def _product(recorder, func, name, args, kwargs):
    data = _data(recorder, args[:2], kwargs)
    if len(data) == 1:
        return _joined(recorder, func, args, kwargs, data)
    result = execute(recorder, func, args, kwargs)
    number = recorder.new_value(result)
    recorder.add(
        Operation(
            lambda v, w, c: v[0] * v[1],
            [value for _, value in data],
            [number],
            whole=True,
        )
    )
    return result


def _glu(recorder, func, name, args, kwargs):
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


def _matrix(recorder, func, name, args, kwargs):
    for item in leaves_of((args, *kwargs.values())):
        if recorder.name_of(item):
            raise recorder.unsupported(
                f"{name!r} uses a masked weight outside its layer."
            )
    data = _data(recorder, args, kwargs)
    if (
        len(data) == 2
        and data[0][1] in recorder.softmaxed
        and name in ("matmul", "bmm")
    ):
        return _attend(recorder, func, args, kwargs)
    return replay(recorder, func, args, kwargs, constants=True, whole=True)


def _attend(recorder, func, args, kwargs):
    """Attention: softmax is positive at all positions, whatever the scores."""

    def twin(weights, values):
        open_weights = torch.ones_like(weights)
        mixed = weights.mean(-1, keepdim=True).expand_as(weights)
        # The first part carries the values, the second the way through the scores,
        # which ends where there are no values to weigh.
        return torch.matmul(open_weights, values) + torch.matmul(mixed, values)

    return replay(recorder, func, args, kwargs, twin=twin)


def _added_product(recorder, func, name, args, kwargs):
    added, *factors = args[:3]
    multiply = torch.bmm if name == "baddbmm" else torch.matmul
    product = _matrix(recorder, multiply, "matmul", tuple(factors), {})
    if recorder.value_of(added) is None:
        return product
    return _binary_sum(recorder, torch.add, "add", (product, added), {})


def _reduction(recorder, func, name, args, kwargs):
    data = _data(recorder, args, kwargs)
    if len(data) == 2:  # torch.max(x, y)
        return _binary_sum(recorder, func, name, args, kwargs)
    result = execute(recorder, func, args, kwargs)
    first = result if isinstance(result, torch.Tensor) else result[0]
    source, value = data[0]
    axes = _reduced_axes(tuple(source.shape), name, args, kwargs)
    number = recorder.new_value(first)
    shape = tuple(first.shape)
    recorder.add(
        Operation(lambda v, w, c: v[0].sum(axes).reshape(shape), [value], [number])
    )
    return result


def _reduced_axes(shape, name, args, kwargs):
    position = 2 if name == "norm" else 1
    dim = args[position] if len(args) > position else kwargs.get("dim")
    if dim is None or isinstance(dim, bool):
        return tuple(range(len(shape)))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(d % len(shape) for d in dims)


def _attention(recorder, func, name, args, kwargs):
    query, key, value = (
        args[:3]
        if len(args) >= 3
        else (*args, *(kwargs[k] for k in ("query", "key", "value")[len(args) :]))
    )
    if kwargs.get("enable_gqa"):
        raise recorder.unsupported("grouped-query attention has no rule.")
    with recorder:
        scores = torch.matmul(query, key.transpose(-2, -1))
        return torch.matmul(torch.softmax(scores, dim=-1), value)


def _multi_head_attention(recorder, func, name, args, kwargs):
    """Project, attend and project again, as nn.MultiheadAttention does."""
    import inspect

    given = inspect.signature(func).bind(*args, **kwargs).arguments
    size, n_heads = given["embed_dim_to_check"], given["num_heads"]
    if given.get("bias_k") is not None or given.get("add_zero_attn"):
        raise recorder.unsupported("attention with added keys has no rule.")
    if given.get("use_separate_proj_weight"):
        weights = [given[f"{part}_proj_weight"] for part in "qkv"]
    else:
        weights = list(given["in_proj_weight"].chunk(3))

    def heads(x):
        length, n, _ = x.shape
        return x.reshape(length, n * n_heads, size // n_heads).transpose(0, 1)

    with recorder:
        query, key, value = given["query"], given["key"], given["value"]
        is_batched = query.dim() == 3
        if not is_batched:
            query, key, value = (x.unsqueeze(1) for x in (query, key, value))
        projected = [
            heads(F.linear(x, weight))
            for x, weight in zip((query, key, value), weights, strict=True)
        ]
        mixed = F.scaled_dot_product_attention(*projected)
        mixed = mixed.transpose(0, 1).reshape(query.shape)
        result = F.linear(mixed, given["out_proj_weight"])
        if not is_batched:
            result = result.squeeze(1)
    attention = None
    if given.get("need_weights", True):
        attention = recorder.empty((query.shape[1], query.shape[0], key.shape[0]))
    return result, attention


# -- rules of the user ------------------------------------------------------------


def module_rule(recorder, module: nn.Module, rule) -> Callable[..., Any]:
    """Make the ``forward`` of a module for which the user gave a rule."""

    def forward(*args, **kwargs):
        if not _data(recorder, args, kwargs):
            raise recorder.unsupported("a rule needs an input that holds data.")
        return _by_user(recorder, rule, type(module).__name__, args, kwargs, module)

    return forward


def _by_user(recorder, rule, name, args, kwargs, module=None):
    if rule == "identity":
        ((source, value), *_) = _data(recorder, args, kwargs)
        result = recorder.empty(source.shape)
        if recorder.device != "meta":
            result = source.clone()
        recorder.alias(result, value)
        return result
    if not callable(rule):
        raise ValueError(
            f'rules must map to "identity" or a function. Got {rule!r} for {name}.'
        )
    names = _masked_names(recorder, module)
    data = _data(recorder, args, kwargs)
    leaves, spec = tree_flatten((args, kwargs))

    def run(values, weights, constants):
        values = iter(values)
        filled = [
            leaf if recorder_value is None else next(values)
            for leaf, recorder_value in zip(leaves, numbers, strict=True)
        ]
        new_args, new_kwargs = spec.unflatten(filled)
        if module is None:
            return rule(*new_args, **new_kwargs)
        stand_in = _with_weights(module, dict(zip(names, weights, strict=True)))
        return rule(stand_in, *new_args, **new_kwargs)

    numbers = [recorder.value_of(leaf) for leaf in leaves]
    ones = [torch.ones(leaf.shape) for leaf, _ in data]
    masks = [torch.ones(getattr(module, key).shape) for key in names]
    outputs = run(ones, masks, [])
    for output in tree_flatten(outputs)[0]:
        if not isinstance(output, torch.Tensor):
            raise TypeError(
                f"the rule of {name} must return tensors. It returned "
                f"{type(output).__name__}."
            )
    result = outputs
    if recorder.device == "meta":
        result = tree_map(lambda t: recorder.empty(t.shape), outputs)
    tensors = [result] if isinstance(result, torch.Tensor) else list(result)
    values = [recorder.new_value(t) for t in tensors]
    full = [recorder.name_of(getattr(module, key)) for key in names]
    recorder.add(Operation(run, [value for _, value in data], values, full))
    return result


def _masked_names(recorder, module):
    if module is None:
        return []
    return [k for k, v in vars(module).items() if recorder.name_of(v)]


def _with_weights(module, weights):
    """Return a stand-in of a module that computes with masks as its weights."""
    stand_in = type(module).__new__(type(module))
    stand_in.__dict__ = {**module.__dict__, **weights}
    stand_in.__dict__.pop("forward", None)
    return stand_in


# -- the table --------------------------------------------------------------------

_SPECIAL: dict[str, Callable[..., Any]] = {
    "softmax": _softmax,
    "pad": _pad,
    "constant_pad_nd": _pad,
    "interpolate": _interpolate,
    "where": _where,
    "glu": _glu,
    "addmm": _added_product,
    "baddbmm": _added_product,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _multi_head_attention,
    "linear": record_linear,
    "bilinear": record_bilinear,
    "embedding": record_embedding,
    "conv1d": record_convolution,
    "conv2d": record_convolution,
    "conv3d": record_convolution,
    "conv_transpose1d": record_transposed_convolution,
    "conv_transpose2d": record_transposed_convolution,
    "conv_transpose3d": record_transposed_convolution,
}


def _handler(recorder, name):
    if name in _SPECIAL:
        return _SPECIAL[name]
    if name.startswith("max_pool"):
        return _max_pool
    if name.startswith("adaptive_max_pool"):
        return _adaptive_max_pool
    if name.startswith("avg_pool"):
        return _average_pool
    for names, handler in _KINDS:
        if name in names or (name[:1] in "ri" and name[1:] in names & _OPERATORS):
            return handler
    return None


# Names of operators such as __radd__ and __iadd__.
_OPERATORS = frozenset("add sub mul div truediv matmul pow floordiv".split())
_KINDS = (
    (IDENTITY, _identity),
    (NORMS, _norm),
    (RESHAPE, _reshape),
    (LINEAR, _linear_function),
    (SUMS, _binary_sum),
    (PRODUCTS, _product),
    (MATRIX, _matrix),
    (REDUCTIONS, _reduction),
)
