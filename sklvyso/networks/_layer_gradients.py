"""Norms of per-row gradients layer by layer, from one batched pass."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn.modules.batchnorm import _BatchNorm

from sklvyso.networks._label_directions import Labels
from sklvyso.networks._layer_squares import RULES

# Bytes of what the layers take and give in one batch.
_ACTIVATION_BYTES = 2**27


class NoClosedFormError(ValueError):
    """Says why a module has no closed forms."""


@dataclass
class LayerCall:
    """What one layer took, and where its output is in the graph of autograd."""

    inputs: Tensor
    edge: GradientEdge
    n_bytes: int


class LayerwiseSquares:
    """Squared norms of per-row gradients in closed form.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.

    Raises
    ------
    NoClosedFormError
        If a trainable parameter is not that of a layer with a known rule.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        self.layers = layers_with_rules(module)

    def __call__(
        self, X: Tensor, codes: Tensor, labels: Labels
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return label weights (m, n) and squares (m, n) by name of the parameter.

        Parameters
        ----------
        X : tensor of shape (n, ...)
            A batch as the module takes it.
        codes : int64 tensor of shape (n,)
            Labels.
        labels : callable
            From logits and codes to the directions along which to differentiate.
        """
        logits, calls = self.forward(X)
        weights, directions = labels(logits.detach(), codes)
        edges = [call.edge for call in calls.values()]
        squares: dict[str, list[Tensor]] = {}
        for step, direction in enumerate(directions):
            deltas = torch.autograd.grad(
                logits,
                edges,
                direction,
                retain_graph=step + 1 < len(directions),
                allow_unused=True,
            )
            for name, delta in zip(calls, deltas, strict=True):
                for key, square in self.squares(name, calls[name], delta).items():
                    squares.setdefault(f"{name}.{key}".lstrip("."), []).append(square)
        return weights, {name: torch.stack(rows) for name, rows in squares.items()}

    def squares(
        self, name: str, call: LayerCall, delta: Tensor | None
    ) -> dict[str, Tensor]:
        """Return squares of one layer along one direction, by parameter."""
        if delta is None:  # computed, but without influence on the logits
            return {}
        layer = self.layers[name]
        with torch.no_grad():
            return RULES[type(layer)](layer, call.inputs, delta)

    def check_rows(self, X: Tensor) -> None:
        """Raise unless rows of layers are those of X, and weights enter once.

        Parameters
        ----------
        X : tensor of shape (n, ...)
            A batch as the module takes it.

        Raises
        ------
        NoClosedFormError
            If a weight enters the graph besides by its layer, or what a layer gets in
            the place of a row does not belong to that row alone.
        """
        logits, calls = self.forward(X)
        uses = leaf_uses(logits)
        for name, layer in self.layers.items():
            for parameter in layer.parameters(recurse=False):
                if uses[id(parameter)] > 1:
                    raise NoClosedFormError(
                        f"a parameter of layer {name!r} is used elsewhere too"
                    )
        generator = torch.Generator().manual_seed(0)
        signs = torch.randint(2, (len(X), 1), generator=generator) * 2.0 - 1.0
        along = torch.randn(logits.shape, generator=generator)
        signs, along = signs.to(logits), along.to(logits)
        edges = [call.edge for call in calls.values()]
        plain, flipped = (
            torch.autograd.grad(
                logits, edges, direction, retain_graph=True, allow_unused=True
            )
            for direction in (along, along * signs)
        )
        for name, delta, other in zip(calls, plain, flipped, strict=True):
            if delta is None:
                continue
            by_row = signs.reshape(len(X), *(1 for _ in delta.shape[1:]))
            gap = (other - delta * by_row).abs().max()
            if gap > 1e-4 * delta.abs().max():
                raise NoClosedFormError(f"layer {name!r} mixes rows, or reorders them")

    def batch_size(self, X: Tensor) -> int:
        """Return how many rows may come at once, measured on a few."""
        _, calls = self.forward(X)
        n_bytes = sum(call.n_bytes for call in calls.values())
        return max(1, _ACTIVATION_BYTES * len(X) // max(1, n_bytes))

    def forward(self, X: Tensor) -> tuple[Tensor, dict[str, LayerCall]]:
        """Return logits and what each layer did."""
        calls: list[tuple[str, LayerCall]] = []
        handles = []
        try:
            for name, layer in self.layers.items():

                def remember(layer, args, output, name=name):
                    calls.append((name, _recorded_call(name, len(X), args, output)))
                    # What changes a view in place leaves no way to its old place in the
                    # graph; from a copy there is one.
                    return output if output._base is None else output.clone()

                # First of all hooks: others may replace the output.
                handles.append(layer.register_forward_hook(remember, prepend=True))
            logits = self.module(X)
        finally:
            for handle in handles:
                handle.remove()
        counts = Counter(name for name, _ in calls)
        for name in self.layers:
            if counts[name] != 1:
                raise NoClosedFormError(
                    f"layer {name!r} is called {counts[name]} times in a forward pass"
                )
        return logits, dict(calls)


def leaf_uses(outputs: Tensor) -> Counter[int]:
    """Return how often each leaf enters a graph, by its ``id``.

    Parameters
    ----------
    outputs : tensor
        With its graph.

    Returns
    -------
    uses : Counter of int
        Operations that take the leaf.
    """
    uses: Counter[int] = Counter()
    seen, ahead = {outputs.grad_fn}, [outputs.grad_fn]
    while ahead:
        node = ahead.pop()
        for after, _ in () if node is None else node.next_functions:
            if after is None:
                continue
            if hasattr(after, "variable"):
                uses[id(after.variable)] += 1
            if after not in seen:
                seen.add(after)
                ahead.append(after)
    return uses


def layers_with_rules(module: nn.Module) -> dict[str, nn.Module]:
    """Return the layers with trainable parameters by name, or say what stands against.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    layers : dict of str to nn.Module
        Each has a rule, and parameters of its own only.
    """
    layers = {}
    owners: Counter[int] = Counter()
    for name, layer in module.named_modules():
        trainable = {
            key: parameter
            for key, parameter in layer.named_parameters(recurse=False)
            if parameter.requires_grad
        }
        if not trainable:
            continue
        owners.update(id(parameter) for parameter in trainable.values())
        where = f"layer {name!r}" if name else "the module itself"
        # Exactly these types: a subclass may compute something else.
        if type(layer) not in RULES:
            raise NoClosedFormError(
                f"{where}, a {type(layer).__name__}, has parameters without a rule"
            )
        if set(trainable) - {"weight", "bias"}:
            raise NoClosedFormError(f"{where} makes its weight of other parameters")
        _check_options(where, layer)
        if max(owners[id(parameter)] for parameter in trainable.values()) > 1:
            raise NoClosedFormError(f"{where} shares a parameter with another layer")
        layers[name] = layer
    return layers


def _check_options(where: str, layer: Any) -> None:
    if isinstance(layer, _BatchNorm) and layer.running_mean is None:
        raise NoClosedFormError(f"{where} normalizes with statistics of the batch")
    if isinstance(layer, nn.Embedding) and (
        layer.max_norm is not None or layer.scale_grad_by_freq
    ):
        raise NoClosedFormError(f"{where} rescales its weight or its gradient")


def _recorded_call(name: str, n_rows: int, args: Any, output: Any) -> LayerCall:
    if not args or not isinstance(args[0], Tensor):
        raise NoClosedFormError(f"layer {name!r} is called by keyword")
    inputs = args[0].detach()
    if inputs.ndim < 1 or {len(inputs), len(output)} != {n_rows}:
        raise NoClosedFormError(
            f"layer {name!r} gets inputs of shape {tuple(inputs.shape)} where the "
            f"module gets {n_rows} rows"
        )
    if not output.requires_grad:
        raise NoClosedFormError(f"layer {name!r} is cut off from the gradient")
    n_bytes = inputs.nbytes + output.nbytes
    return LayerCall(inputs, get_gradient_edge(output), n_bytes)
