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
from sklvyso.sparsity._recording import execute, leaves_of
from sklvyso.sparsity._user_rules import by_user

# Output and input have one shape, and each output depends on the input at its place.
ACTIVATIONS = frozenset(
    "relu relu6 leaky_relu elu selu celu gelu silu mish sigmoid tanh softplus softsign "
    "hardtanh hardsigmoid hardswish hardshrink softshrink tanhshrink logsigmoid "
    "log_sigmoid threshold rrelu prelu log_softmax softmin gumbel_softmax "
    "batch_norm instance_norm abs neg exp exp2 log log1p log2 log10 expm1 sqrt rsqrt "
    "square reciprocal clamp clip clamp_min clamp_max sin cos tan atan arctan sinh "
    "cosh asinh erf erfc sign sgn floor round ceil trunc frac positive contiguous "
    "clone nan_to_num logit local_response_norm absolute negative real conj".split()
)
# What they return may be the tensor that they got, so that later changes in place
# change both.
SHARING = frozenset(
    "detach data contiguous requires_grad positive to type type_as float double half "
    "bfloat16 long int short bool cpu cuda dropout alpha_dropout feature_dropout "
    "feature_alpha_dropout dropout1d dropout2d dropout3d".split()
)
NORMS = frozenset("layer_norm group_norm rms_norm normalize".split())
IDENTITY = ACTIVATIONS | SHARING | {"masked_fill"}
# Only the shape changes.
RESHAPE = frozenset("view reshape flatten unflatten squeeze unsqueeze ravel".split())
# Linear with coefficients >= 0: the function itself on the support.
LINEAR = frozenset(
    "permute transpose t swapaxes swapdims movedim moveaxis select narrow cat "
    "concat concatenate stack hstack vstack "
    "dstack column_stack chunk unsafe_chunk split unsafe_split split_with_sizes "
    "tensor_split hsplit vsplit unbind expand broadcast_to repeat "
    "repeat_interleave tile flip fliplr flipud roll rot90 pixel_shuffle "
    "pixel_unshuffle channel_shuffle native_channel_shuffle avg_pool1d avg_pool2d "
    "avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d upsample "
    "unfold fold mean sum nanmean nansum cumsum diagonal diag tril triu T mT H mH "
    "atleast_1d atleast_2d atleast_3d col2im im2col broadcast_tensors".split()
)
SUMS = frozenset("add sub subtract maximum minimum fmax fmin logaddexp hypot".split())
COMPARISONS = frozenset(
    "eq ne gt ge lt le and or xor invert logical_and logical_or logical_xor "
    "logical_not atan2 remainder fmod".split()
)
PRODUCTS = frozenset(
    "mul multiply div divide true_divide truediv pow floor_divide floordiv".split()
)
MATRIX = frozenset("matmul mm bmm mv dot inner einsum tensordot outer".split())
REDUCTIONS = frozenset(
    "amax amin max min logsumexp var std norm median any all count_nonzero".split()
)
# Answers about a tensor, and new tensors that do not hold its data.
ABOUT = frozenset(
    "size dim ndimension numel nelement stride is_floating_point is_complex "
    "is_contiguous element_size get_device len storage_offset data_ptr hash repr "
    "is_same_size is_tensor result_type zeros_like ones_like rand_like randn_like "
    "full_like empty_like new_zeros new_ones new_empty new_full new_tensor isnan "
    "isinf isfinite argmax argmin register_hook retain_grad format item tolist "
    "has_names is_inference is_conj is_neg sym_size".split()
)
_NUMBERS = frozenset(
    "__bool__ __int__ __float__ __complex__ __index__ __len__ __format__".split()
)
_LAST_IS_INPLACE = frozenset(
    "relu relu6 leaky_relu elu celu selu hardtanh hardsigmoid hardswish silu mish "
    "threshold rrelu".split()
)
_AS = frozenset("view_as reshape_as expand_as".split())
_LAYERS = frozenset("linear bilinear embedding multi_head_attention_forward".split())


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
    if not args and "input" in kwargs and "condition" not in kwargs:
        args, kwargs = (kwargs["input"],), _without(kwargs, "input")
    leaves = leaves_of((args, *kwargs.values()))
    for item in leaves:
        recorder.check_use(item)
    if rule is not None:
        result = by_user(recorder, rule, name, args, kwargs)
        return _settle(recorder, func, result, args, kwargs)
    if _is_about(recorder, func, name, args, kwargs):
        return _about(recorder, func, name, args, kwargs)
    handler = _handler(recorder, name)
    if handler is None:
        raise recorder.unsupported(f"there is no rule for the function {name!r}.")
    if kwargs.get("out") is not None:
        raise recorder.unsupported(f"{name!r} writes into out=.")
    _refuse_weights(recorder, func, name, leaves)
    before = recorder.begin(name, args, kwargs)
    result = handler(recorder, func, name, args, kwargs)
    recorder.end(before, result)
    return _settle(recorder, func, result, args, kwargs)


def _without(kwargs, key):
    return {k: v for k, v in kwargs.items() if k != key}


def _is_about(recorder, func, name, args, kwargs):
    """Say whether the result holds no data."""
    raw = getattr(func, "__name__", "")
    if name in ABOUT or raw in _NUMBERS or (name == "type" and len(args) == 1):
        return True
    if raw == "__get__":
        return name not in IDENTITY | LINEAR
    # The data give a shape or a dtype only.
    is_second = name in _AS or name in ("to", "type_as")
    return is_second and recorder.value_of(args[0]) is None


def _about(recorder, func, name, args, kwargs):
    if name in _AS or name in ("to", "type_as"):
        result = execute(recorder, func, args, kwargs)
    else:
        result = func(*args, **kwargs)
    for item in leaves_of((result,)):
        if isinstance(item, torch.Tensor):
            note = recorder.choose if name in ("argmax", "argmin") else recorder.hold
            note(item)
    return result


def takes_weights(func) -> bool:
    """Say whether a function is a layer, one of whose arguments is a weight."""
    name = function_name(func)
    return name in _LAYERS or name.startswith("conv")


def _refuse_weights(recorder, func, name, leaves):
    is_layer = takes_weights(func)
    for item in leaves:
        if not isinstance(item, torch.Tensor):
            continue
        if recorder.is_derived(item):
            raise recorder.unsupported(
                "it computes with a weight that was computed from a masked weight, so "
                "that the mask does not say what is connected. Put the computation "
                "into torch.nn.utils.parametrize, whose result the mask is then for, "
                "or leave the weight out of the masks."
            )
        if recorder.name_of(item) and not is_layer:
            raise recorder.unsupported(
                f"{name!r} uses a masked weight outside its layer."
            )
        if recorder.is_chosen(item):
            raise recorder.unsupported(
                f"{name!r} computes with positions that values decided on (argmax)."
            )


def _settle(recorder, func, result, args, kwargs):
    """Let in-place functions return the tensor that they changed."""
    raw = getattr(func, "__name__", "")
    in_place = kwargs.get("inplace") is True or (
        raw.endswith("_") and not raw.startswith("__")
    )
    in_place |= raw.startswith("__i") and raw not in ("__invert__", "__index__")
    in_place |= raw in _LAST_IS_INPLACE and len(args) > 1 and args[-1] is True
    if not in_place or not isinstance(result, torch.Tensor):
        return result
    changed, value = args[0], recorder.value_of(result)
    if not isinstance(changed, torch.Tensor):
        return result
    if recorder.value_of(changed) is None and changed._is_view():
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
    "masked_fill": functions.record_masked_fill,
    "view_as": functions.record_as,
    "reshape_as": functions.record_as,
    "expand_as": functions.record_as,
    "prod": functions.record_multiplied,
    "getitem": functions.record_indexing,
    "index_select": functions.record_indexing,
    "gather": functions.record_indexing,
    "take_along_dim": functions.record_indexing,
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
    (ACTIVATIONS, functions.record_identity),
    (SHARING, functions.record_sharing),
    (NORMS, functions.record_norm),
    (RESHAPE, functions.record_reshape),
    (LINEAR, functions.record_linear_function),
    (SUMS | COMPARISONS, functions.record_binary_sum),
    (PRODUCTS, functions.record_product),
    (MATRIX, matrices.record_matrix),
    (REDUCTIONS, functions.record_reduction),
)
