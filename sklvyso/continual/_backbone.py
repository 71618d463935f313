"""The frozen network beneath all tasks, and modules that run it with other weights."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from sklvyso.continual._masks import signed_kaiming_constant
from sklvyso.networks import build_module, torch_seed

_MASKABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Backbone:
    """A module without the weights of its linear layers and convolutions.

    Parameters
    ----------
    module : torch.nn.Module
        Taken over: its weights are removed and kept in ``weights``.

    Attributes
    ----------
    names : list of str
        Layers whose weights are masked, in the order of the module; the last one is
        taken for the output layer.
    weights : list of tensor
        Frozen weights W of these layers.
    buffers : dict of str to tensor
        As a new task finds them: running statistics before any row.

    Raises
    ------
    ValueError
        If the module has trainable parameters that masks cannot stand for.
    """

    def __init__(self, module: nn.Module):
        self.module = module.eval()
        self.names, weights = [], []
        _refuse_shared(module)
        for name, layer in module.named_modules():
            if isinstance(layer, _MASKABLE) and "weight" in layer._parameters:
                weight = layer.weight
                if not weight.requires_grad:
                    continue
                self.names.append(name)
                weights.append(weight.detach().clone())
                del layer.weight
        self.weights = weights
        _refuse_trainable(module)
        if not self.names:
            raise ValueError(
                f"module {type(module).__name__} must have a linear layer or a "
                "convolution whose weight may be masked. It has none."
            )
        self.buffers = {
            name: buffer.detach().clone() for name, buffer in module.named_buffers()
        }

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the masked weights."""
        return [tuple(weight.shape) for weight in self.weights]

    def checksum(self) -> str:
        """Return a digest of the frozen weights."""
        digest = hashlib.sha256()
        for weight in self.weights:
            digest.update(np.ascontiguousarray(weight.cpu().numpy()).tobytes())
        return digest.hexdigest()[:16]

    def clone(self, buffers: Mapping[str, Any] | None = None) -> nn.Module:
        """Return the module without weights, its frozen parameters shared.

        Parameters
        ----------
        buffers : mapping of str to array, default=None
            Values that differ from those that a new task finds.

        Returns
        -------
        module : torch.nn.Module
            In evaluation mode; to be run after :func:`set_weights`.
        """
        shared = {id(value): value for value in self.module.parameters()}
        module = copy.deepcopy(self.module, shared)
        self.load_buffers(module, buffers)
        return module

    def load_buffers(
        self, module: nn.Module, buffers: Mapping[str, Any] | None
    ) -> None:
        """Set the buffers of a clone to those of a task."""
        given = dict(buffers or {})
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                value = given.get(name, self.buffers[name])
                buffer.copy_(torch.as_tensor(value))

    def changed_buffers(self, module: nn.Module) -> dict[str, np.ndarray]:
        """Return the buffers of a clone that training has moved, as arrays."""
        return {
            name: buffer.detach().cpu().numpy().copy()
            for name, buffer in module.named_buffers()
            if not torch.equal(buffer.cpu(), self.buffers[name].cpu())
        }

    def to(self, device: str) -> Backbone:
        """Move weights and frozen parameters."""
        self.module.to(device)
        self.weights = [weight.to(device) for weight in self.weights]
        return self

    def layers(self, module: nn.Module) -> list[nn.Module]:
        """Return the masked layers of a clone."""
        return [module.get_submodule(name) for name in self.names]


def set_weights(layers: Sequence[nn.Module], weights: Sequence[Tensor]) -> None:
    """Give layers of a clone their weights: plain attributes, in a graph or not.

    Parameters
    ----------
    layers : sequence of nn.Module
        From :meth:`Backbone.layers`.
    weights : sequence of tensor
        In the shapes of the backbone's.
    """
    for layer, weight in zip(layers, weights, strict=True):
        layer.__dict__["weight"] = weight


def make_backbone(
    source: Any,
    input_shape: tuple[int, ...],
    n_logits: int,
    hidden_layer_sizes: tuple[int, ...],
    module_params: Mapping[str, Any] | None,
    seed: int,
    state: Mapping[str, np.ndarray] | None = None,
) -> Backbone:
    """Build the frozen network.

    Parameters
    ----------
    source : None, str, class, callable or nn.Module
        None is an MLP. An instance keeps its own weights; all others get signed
        Kaiming constants, drawn from the seed layer by layer.
    input_shape : tuple of int
        Torch shape of one sample.
    n_logits : int
        Outputs.
    hidden_layer_sizes : tuple of int
        Of the MLP.
    module_params : mapping or None
        Keyword arguments of the module.
    seed : int
        Decides the weights.
    state : mapping of str to ndarray, default=None
        Parameters and buffers to put back, of a module that the seed does not rebuild.

    Returns
    -------
    backbone : Backbone
        On the CPU.
    """
    params = dict(module_params or {})
    name = "mlp" if source is None else source
    if isinstance(name, str):
        params = {"bias": False, "batch_norm": _norm_of(name)} | params
    with torch_seed(seed):
        module = build_module(
            name, input_shape, n_logits, tuple(hidden_layer_sizes), params or None
        ).cpu()
    if state is not None:
        module.load_state_dict({key: torch.tensor(v) for key, v in state.items()})
        return Backbone(module)
    backbone = Backbone(module)
    if not isinstance(source, nn.Module):
        random = np.random.RandomState(seed)
        backbone.weights = [
            torch.from_numpy(signed_kaiming_constant(shape, random_state=random))
            for shape in backbone.shapes
        ]
    return backbone


def _norm_of(name: str) -> bool | str:
    """Return whether a network by name trains with batch normalisation here."""
    return "non-affine" if name.startswith(("resnet", "gem-", "vgg")) else False


def own_state(backbone: Backbone) -> dict[str, np.ndarray]:
    """Return all that a user's module is made of, to put it back from a file."""
    state = {name: v.cpu().numpy() for name, v in backbone.module.state_dict().items()}
    for name, weight in zip(backbone.names, backbone.weights, strict=True):
        state[f"{name}.weight" if name else "weight"] = weight.cpu().numpy()
    return state


def norm_bytes(buffers: Mapping[str, np.ndarray]) -> int:
    """Return the bytes of a task's statistics."""
    return sum(value.nbytes for value in buffers.values())


def _refuse_shared(module: nn.Module) -> None:
    named = dict(module.named_parameters())
    for name, _ in module.named_parameters(remove_duplicate=False):
        if name not in named:
            raise ValueError(
                f"module {type(module).__name__} must not share parameters between "
                f"layers, because each has its own masks. {name!r} is one of another "
                "layer."
            )


def _refuse_trainable(module: nn.Module) -> None:
    """Refuse what would have to be trained for each task."""
    for name, layer in module.named_modules():
        own = [key for key, value in layer._parameters.items() if value is not None]
        own = [key for key in own if layer._parameters[key].requires_grad]
        if not own:
            continue
        where = f"{name or type(module).__name__} ({type(layer).__name__})"
        if "bias" in own and isinstance(layer, _MASKABLE):
            raise ValueError(
                f"module must have no trainable bias. {where} has one: build it with "
                "bias=False."
            )
        if isinstance(layer, _NormBase) or "Norm" in type(layer).__name__:
            # Layer norm has another word for it.
            word = "affine" if hasattr(layer, "affine") else "elementwise_affine"
            raise ValueError(
                "module must have normalisation without scale and shift. "
                f"{where} has them: build it with {word}=False "
                "(batch_norm='non-affine' of the networks by name)."
            )
        raise ValueError(
            f"module must have no trainable parameters that masks cannot stand for. "
            f"{where} has {own}: freeze them with requires_grad_(False)."
        )
