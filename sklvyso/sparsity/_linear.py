"""The linear network that SynFlow scores: magnitudes only, nothing in between."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from sklvyso.sparsity._trace import Rule, record_module
from sklvyso.sparsity._weights import check_module_type, prunable_weights


class LinearNetwork:
    """A module without activations, norms and biases, and with average pooling.

    Parameters
    ----------
    module : torch.nn.Module
        Stays as it is.
    input_shape : sequence of int
        Torch shape of one sample.
    rules : mapping or None, default=None
        As in :func:`~sklvyso.sparsity.effective_masks`.

    Attributes
    ----------
    names : list of str
        Names of all prunable weights.
    """

    def __init__(
        self,
        module: nn.Module,
        input_shape: Sequence[int],
        rules: Mapping[Any, Rule] | None = None,
    ):
        module = check_module_type(module)
        self._weights = {
            name: weight.detach().cpu().abs()
            for name, weight in prunable_weights(module).items()
        }
        self.names = list(self._weights)
        self._trace = record_module(
            module, tuple(input_shape), prunable_weights(module), rules
        )

    def total(self, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Sum of all outputs for an input of ones.

        Parameters
        ----------
        weights : mapping of str to tensor
            Non-negative weights, all of one dtype and device; those that are missing
            are the magnitudes of the module's own.

        Returns
        -------
        total : tensor of shape ()
            Differentiable in ``weights``.
        """
        like = next(iter(weights.values()))
        values: list[Any] = [None] * len(self._trace.shapes)
        for value in self._trace.inputs:
            values[value] = torch.ones(self._trace.shapes[value]).to(like)
        for operation in self._trace.operations:
            results = operation.run(
                [values[value] for value in operation.inputs],
                [
                    weights[name] if name in weights else self._weights[name].to(like)
                    for name in operation.weights
                ],
                [constant.abs().to(like) for constant in operation.constants],
            )
            for value, result in zip(operation.outputs, results, strict=True):
                values[value] = result
        return sum(values[value].sum() for value in self._trace.outputs)
