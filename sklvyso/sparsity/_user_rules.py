"""Connections that the user gave."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_map

from sklvyso.sparsity._operations import Operation
from sklvyso.sparsity._recording import data


def check_rules(rules: Any) -> None:
    """Raise unless rules map module classes or functions to rules.

    Parameters
    ----------
    rules : mapping or None
        What the user gave.

    Raises
    ------
    TypeError
        If it is no mapping, or a key is of another kind.
    ValueError
        If a rule is neither "identity" nor callable.
    """
    if rules is None:
        return
    if not isinstance(rules, Mapping):
        raise TypeError(
            "rules must be a dict of module class or torch function to rule. Got "
            f"{type(rules).__name__} instead."
        )
    for key, rule in rules.items():
        is_class = isinstance(key, type) and issubclass(key, nn.Module)
        if not is_class and (isinstance(key, type | nn.Module) or not callable(key)):
            raise TypeError(
                "rules must have nn.Module classes or torch functions as keys. Got "
                f"{key!r}: pass the class itself, such as {{torch.nn.LSTM: rule}}."
            )
        if rule != "identity" and not callable(rule):
            raise ValueError(
                f'rules must map to "identity" or a function. Got {rule!r} for {key!r}.'
            )


def module_rule(recorder, module: nn.Module, rule) -> Callable[..., Any]:
    """Make the ``forward`` of a module for which the user gave a rule."""

    def forward(*args, **kwargs):
        if not data(recorder, args, kwargs):
            raise recorder.unsupported("a rule needs an input that holds data.")
        return by_user(recorder, rule, type(module).__name__, args, kwargs, module)

    return forward


def by_user(recorder, rule, name, args, kwargs, module=None):
    if rule == "identity":
        ((source, value), *_) = data(recorder, args, kwargs)
        result = recorder.empty(source.shape)
        if recorder.device != "meta":
            result = source.clone()
        recorder.alias(result, value)
        return result
    names = _masked_names(recorder, module)
    known = data(recorder, args, kwargs)
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
    ones = [torch.ones(leaf.shape) for leaf, _ in known]
    masks = [torch.ones(getattr(module, key).shape) for key in names]
    outputs = run(ones, masks, [])
    for output in _without_none(outputs):
        if not isinstance(output, torch.Tensor):
            raise TypeError(
                f"the rule of {name} must return tensors. It returned "
                f"{type(output).__name__}."
            )
    result = outputs
    if recorder.device == "meta":
        result = tree_map(
            lambda t: None if t is None else recorder.empty(t.shape), outputs
        )
    values = [recorder.new_value(t) for t in _without_none(result)]
    full = [recorder.name_of(getattr(module, key)) for key in names]
    recorder.add(
        Operation(
            lambda v, w, c: _without_none(run(v, w, c)),
            [value for _, value in known],
            values,
            full,
        )
    )
    return result


def _without_none(outputs):
    """List tensors of nested outputs; a state that nobody reads may be None."""
    return tuple(item for item in tree_flatten(outputs)[0] if item is not None)


def _masked_names(recorder, module):
    if module is None:
        return []
    return [k for k, v in vars(module).items() if recorder.name_of(v)]


def _with_weights(module, weights):
    """Return a stand-in of a module that computes with masks as its weights."""
    stand_in = object.__new__(type(module))
    stand_in.__dict__ = {**module.__dict__, **weights}
    stand_in.__dict__.pop("forward", None)
    return stand_in
