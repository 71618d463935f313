"""What a network computes on a few random samples, and what its layers see."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import contextlib
import copy
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from sklvyso.networks import torch_seed
from sklvyso.sparsity._rules import function_name

_N_SAMPLES = 4
_TOLERANCE = 1e-5
_LAYERS = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
)


class LayerCall:
    """A call of a linear function or a convolution.

    Parameters
    ----------
    function : callable
        Of torch.
    args, kwargs : tuple and dict
        Input, weight, bias, and what else it got.

    Attributes
    ----------
    source : ndarray of float64
        Input.
    weight : tensor of float64
        Weight.
    """

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]):
        names = ("input", "weight", "bias")
        given = dict(zip(names, args, strict=False)) | kwargs
        self._function = function
        self._rest = args[len(names) :]
        self._options = {k: v for k, v in kwargs.items() if k not in names}
        # Copies: what follows may change them in place.
        self.source = given["input"].detach().numpy().astype(np.float64)
        self.weight = given["weight"].detach().double().clone()

    def respond(self, source: np.ndarray, weight: torch.Tensor) -> np.ndarray:
        """Compute the same of another input and weight, without bias."""
        given = (torch.from_numpy(source), weight, None, *self._rest)
        return self._function(*given, **self._options).numpy()


class _Listener(TorchFunctionMode):
    """Keeps the last call with each weight."""

    def __init__(self, names):
        super().__init__()
        self.names = names
        self.calls: dict[str, LayerCall] = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        weight = kwargs.get("weight", args[1] if len(args) > 1 else None)
        if id(weight) in self.names and function_name(func) in _LAYERS:
            self.calls[self.names[id(weight)]] = LayerCall(func, args, kwargs)
        return func(*args, **kwargs)


class Probe:
    """Random samples, and what a network makes of them.

    It computes in float64 where the network can, so that rounding does not pass for a
    difference.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode, on the CPU; stays as it is.
    shape : tuple of int
        Of one sample.

    Attributes
    ----------
    calls : dict of str to LayerCall
        By the name of the weight.
    called : set of str
        Paths of the modules that were called.
    rounding : float
        Relative difference that counts as none.

    Raises
    ------
    ValueError
        If the network does not run.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, ...]):
        with torch_seed(0):
            normal = torch.randn(_N_SAMPLES, *shape, dtype=torch.float64)
        own = next((p.dtype for p in network.parameters()), torch.float32)
        # Networks on words take whole numbers.
        tries = [
            (torch.float64, normal, 1e-9),
            (own, normal.to(own), 1e-5),
            (own, (normal > 0).long(), 1e-5),
        ]
        for i, (dtype, sample, rounding) in enumerate(tries):
            self._dtype, self._sample, self.rounding = dtype, sample, rounding
            try:
                self._expected = self._run_listening(network)
                return
            except Exception as error:  # whatever the user's forward may raise
                if i == 0:
                    reason = error
        raise ValueError(
            f"module {type(network).__name__} must run on a batch of {_N_SAMPLES} "
            f"random samples of shape input_shape={shape}. It raised: {reason}"
        ) from reason

    def _run_listening(self, network):
        twin = copy.deepcopy(network).to(self._dtype)
        called = self.called = set()
        for path, part in twin.named_modules():
            part.register_forward_pre_hook(lambda _, __, path=path: called.add(path))
        listener = _Listener({id(p): name for name, p in twin.named_parameters()})
        with torch.no_grad(), listener:
            result = twin(self._sample.clone())
        self.calls = listener.calls
        return _tensors(result)

    def n_channels(self, network: nn.Module, paths: list[str]) -> dict[str, int]:
        """Count the channels that go into some modules of another network."""
        twin = copy.deepcopy(network).to(self._dtype)
        found: dict[str, int] = {}
        for path in paths:

            def note(part, args, path=path):
                found[path] = part.num_features = args[0].shape[1]

            twin.get_submodule(path).register_forward_pre_hook(note)
        with torch.no_grad(), contextlib.suppress(Exception):  # see difference
            twin(self._sample.clone())
        return found

    def difference(self, network: nn.Module) -> str | None:
        """Compare another network with the first.

        Parameters
        ----------
        network : torch.nn.Module
            In evaluation mode; stays as it is.

        Returns
        -------
        reason : str or None
            What differs; None where the outputs are the same.
        """
        twin = copy.deepcopy(network).to(self._dtype)
        try:
            with torch.no_grad():
                found = _tensors(twin(self._sample.clone()))
        except Exception as error:  # whatever the user's forward may raise
            return f"its code does not run with fewer channels ({error})"
        for before, after in zip(self._expected, found, strict=True):
            if before.shape != after.shape:
                return (
                    f"the shape of an output is {tuple(after.shape)}, not "
                    f"{tuple(before.shape)}"
                )
            # Normal samples make normal outputs: large ones are rounded coarsely.
            size = np.abs(before[before.isfinite()].numpy())
            scale = float(size.max(initial=1.0))
            if not torch.allclose(
                before, after, rtol=0, atol=_TOLERANCE * scale, equal_nan=True
            ):
                gap = (before - after).abs().max().item()
                return f"an output differs by {gap:.2g}"
        return None


def _tensors(result):
    tensors = [t for t in tree_flatten(result)[0] if isinstance(t, torch.Tensor)]
    return [t.double() for t in tensors]
