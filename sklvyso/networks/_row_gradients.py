"""Norms of per-row gradients of any module: vectorized, or one row after another."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from sklvyso.networks._label_directions import Labels

# Bytes of the gradients that are held at once.
_GRADIENT_BYTES = 2**28


def trainable_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that require a gradient, by name.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    parameters : dict of str to Parameter
        In the order of the module.
    """
    return {
        name: parameter
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


class VectorizedSquares:
    """Squared norms of per-row gradients by :func:`torch.func.vmap`.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        self.parameters = {
            name: parameter.detach()
            for name, parameter in trainable_parameters(module).items()
        }

    def __call__(
        self, X: Tensor, codes: Tensor, labels: Labels
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return label weights (m, n) and squares (m, n) by name of the parameter."""

        def one_row(row: Tensor, code: Tensor):
            def outputs(parameters: dict[str, Tensor]) -> Tensor:
                # A copy, for modules that change their input in place.
                return functional_call(self.module, parameters, (row[None].clone(),))

            logits, pull_back = vjp(outputs, self.parameters)
            weights, directions = labels(logits, code[None])
            squares = [
                # One gradient at a time, as they take much memory.
                torch.stack([_square(part) for part in pull_back(step)[0].values()])
                for step in directions.unbind()
            ]
            return weights[:, 0], torch.stack(squares, dim=1)

        weights, squares = vmap(one_row, out_dims=(1, 2))(X, codes)
        return weights, dict(zip(self.parameters, squares, strict=True))

    def batch_size(self, X: Tensor) -> int:
        """Return how many rows may come at once."""
        n_bytes = sum(parameter.nbytes for parameter in self.parameters.values())
        return max(1, _GRADIENT_BYTES // max(1, n_bytes))


class OneByOneSquares:
    """Squared norms of per-row gradients by a loop: slow, and right for any module.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        # The parameters themselves: some modules hold on to them in ways that
        # functional_call does not reach, as the weights of a recurrent layer.
        self.parameters = trainable_parameters(module)

    def __call__(
        self, X: Tensor, codes: Tensor, labels: Labels
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return label weights (m, n) and squares (m, n) by name of the parameter."""
        rows = [
            self._one_row(X[i : i + 1], codes[i : i + 1], labels) for i in range(len(X))
        ]
        weights = torch.cat([weights for weights, _ in rows], dim=1)
        squares = torch.stack([squares for _, squares in rows], dim=2)
        return weights, dict(zip(self.parameters, squares, strict=True))

    def _one_row(self, X, codes, labels) -> tuple[Tensor, Tensor]:
        """Return label weights (m, 1) and squares (n_parameters, m)."""
        logits = self.module(X)
        weights, directions = labels(logits.detach(), codes)
        squares = []
        for step, direction in enumerate(directions):
            gradients = torch.autograd.grad(
                logits,
                list(self.parameters.values()),
                direction,
                retain_graph=step + 1 < len(directions),
                allow_unused=True,
                materialize_grads=True,
            )
            squares.append(torch.stack([_square(gradient) for gradient in gradients]))
        return weights, torch.stack(squares, dim=1)

    def batch_size(self, X: Tensor) -> int:
        """Return how many rows may come at once."""
        return 512  # of the input only


def _square(gradient: Tensor) -> Tensor:
    return torch.linalg.vector_norm(gradient).square()


@contextmanager
def borrowed(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Give a module in evaluation mode, and take it back as it was.

    Parameters
    ----------
    module : torch.nn.Module
        Its weights, buffers, flags, hooks and plain attributes are restored, and
        torch's random state, whatever the forward pass does to them.
    device : torch.device
        Where it lives.
    """
    layers = list(module.modules())
    attributes = [dict(vars(layer)) for layer in layers]
    # Dictionaries such as those of the hooks are restored in place.
    contents = [
        [(value, dict(value)) for value in saved.values() if isinstance(value, dict)]
        for saved in attributes
    ]
    tensors = [*module.parameters(), *module.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    generators = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(generators), torch.inference_mode(False):
        with torch.enable_grad():
            try:
                module.eval()
                yield
            finally:
                for layer, saved, dictionaries in zip(
                    layers, attributes, contents, strict=True
                ):
                    vars(layer).clear()
                    vars(layer).update(saved)
                    for dictionary, content in dictionaries:
                        dictionary.clear()
                        dictionary.update(content)
                with torch.no_grad():
                    for tensor, value in zip(tensors, values, strict=True):
                        if not torch.equal(tensor, value):
                            tensor.copy_(value)
