"""Connections of matrix products and attention."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import inspect

import torch
from torch.nn import functional as F

from sklvyso.sparsity._function_rules import record_binary_sum
from sklvyso.sparsity._recording import data, leaves_of, replay


def record_matrix(recorder, func, name, args, kwargs):
    for item in leaves_of((args, *kwargs.values())):
        if recorder.name_of(item):
            raise recorder.unsupported(
                f"{name!r} uses a masked weight outside its layer."
            )
    known = data(recorder, args, kwargs)
    if (
        len(known) == 2
        and known[0][1] in recorder.softmaxed
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


def record_added_product(recorder, func, name, args, kwargs):
    added, *factors = args[:3]
    multiply = torch.bmm if name == "baddbmm" else torch.matmul
    product = record_matrix(recorder, multiply, "matmul", tuple(factors), {})
    if recorder.value_of(added) is None:
        return product
    return record_binary_sum(recorder, torch.add, "add", (product, added), {})


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
