"""Connections of matrix products and attention."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import inspect

import torch
from torch.nn import functional as F
from torch.utils._pytree import tree_flatten

from sklvyso.sparsity._function_rules import (
    multiplied,
    record_binary_sum,
    record_linear_function,
)
from sklvyso.sparsity._recording import data, execute, replay


def record_matrix(recorder, func, name, args, kwargs):
    known = data(recorder, args, kwargs)
    softmaxed = [value in recorder.softmaxed for _, value in known]
    if not any(softmaxed) or len(known) == 1:
        return replay(recorder, func, args, kwargs, constants=True, whole=True)
    if len(known) > 2:
        raise recorder.unsupported(f"{name!r} of attention and two more has no rule.")
    leaves, spec = tree_flatten((args, kwargs))
    where = [i for i, leaf in enumerate(leaves) if recorder.value_of(leaf) is not None]

    def multiply(*factors):
        filled = [
            torch.ones(leaf.shape) if isinstance(leaf, torch.Tensor) else leaf
            for leaf in leaves
        ]
        for i, factor in zip(where, factors, strict=True):
            filled[i] = factor
        new_args, new_kwargs = spec.unflatten(filled)
        return func(*new_args, **new_kwargs)

    tensors = [tensor for tensor, _ in known]
    return multiplied(recorder, func, args, kwargs, tensors, multiply)


def record_added_product(recorder, func, name, args, kwargs):
    first, second = ("batch1", "batch2") if name == "baddbmm" else ("mat1", "mat2")
    given = dict(zip(("input", first, second), args, strict=False)) | kwargs
    multiply = torch.bmm if name == "baddbmm" else torch.matmul
    factors = (given[first], given[second])
    if not data(recorder, factors, {}):
        result = execute(recorder, func, args, kwargs)
        (known,) = data(recorder, (given["input"],), {})
        return record_linear_function(
            recorder, torch.Tensor.expand, name, (known[0], tuple(result.shape)), {}
        )
    product = record_matrix(recorder, multiply, "matmul", factors, {})
    if recorder.value_of(given["input"]) is None:
        return product
    return record_binary_sum(recorder, torch.add, "add", (product, given["input"]), {})


def record_attention(recorder, func, name, args, kwargs):
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


def record_multi_head_attention(recorder, func, name, args, kwargs):
    """Project, attend and project again, as nn.MultiheadAttention does."""
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
