"""What each torch function connects with what."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from sklvyso.sparsity import _function_rules as functions
from sklvyso.sparsity import _matrix_rules as matrices
from sklvyso.sparsity import _pool_rules as pools
from sklvyso.sparsity._layer_rules import (
    record_bilinear,
    record_convolution,
    record_embedding,
    record_linear,
    record_transposed_convolution,
)
from sklvyso.sparsity._recording import leaves_of
from sklvyso.sparsity._user_rules import by_user

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
        result = by_user(recorder, rule, name, args, kwargs)
    elif name in ABOUT or (_is_property(func) and name not in IDENTITY | LINEAR):
        return func(*args, **kwargs)
    else:
        handler = _handler(recorder, name)
        if handler is None:
            raise recorder.unsupported(f"there is no rule for the function {name!r}.")
        if kwargs.get("out") is not None:
            raise recorder.unsupported(f"{name!r} writes into out=.")
        _refuse_derived(recorder, args, kwargs)
        before = recorder.begin(name, args, kwargs)
        result = handler(recorder, func, name, args, kwargs)
        recorder.end(before, result)
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


_SPECIAL: dict[str, Callable[..., Any]] = {
    "softmax": functions.record_softmax,
    "pad": functions.record_pad,
    "constant_pad_nd": functions.record_pad,
    "interpolate": functions.record_interpolate,
    "where": functions.record_where,
    "glu": functions.record_glu,
    "addmm": matrices.record_added_product,
    "baddbmm": matrices.record_added_product,
    "scaled_dot_product_attention": matrices.record_attention,
    "multi_head_attention_forward": matrices.record_multi_head_attention,
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
        return pools.record_max_pool
    if name.startswith("adaptive_max_pool"):
        return pools.record_adaptive_max_pool
    if name.startswith("avg_pool"):
        return pools.record_average_pool
    for names, handler in _KINDS:
        if name in names or (name[:1] in "ri" and name[1:] in names & _OPERATORS):
            return handler
    return None


# Names of operators such as __radd__ and __iadd__.
_OPERATORS = frozenset("add sub mul div truediv matmul pow floordiv".split())
_KINDS = (
    (IDENTITY, functions.record_identity),
    (NORMS, functions.record_norm),
    (RESHAPE, functions.record_reshape),
    (LINEAR, functions.record_linear_function),
    (SUMS, functions.record_binary_sum),
    (PRODUCTS, functions.record_product),
    (MATRIX, matrices.record_matrix),
    (REDUCTIONS, functions.record_reduction),
)
