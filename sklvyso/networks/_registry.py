"""Networks by name."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
from collections.abc import Sequence
from typing import Any

from torch import nn

from sklvyso.networks._layers import (
    BatchNorm,
    check_batch_norm,
    check_bool,
    check_input_shape,
    check_positive_int,
)
from sklvyso.networks._lenet import LeNet5
from sklvyso.networks._mlp import MLP
from sklvyso.networks._resnet import ResNet
from sklvyso.networks._vgg import VGG

# Name -> class and the arguments that the name stands for; those are not open to the
# caller.
_NETWORKS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "mlp": (MLP, {}),
    "lenet-300-100": (MLP, {"hidden_layer_sizes": (300, 100)}),
    "lenet-5": (LeNet5, {}),
    "vgg16": (VGG, {"depth": 16}),
    "vgg19": (VGG, {"depth": 19}),
    "resnet18": (ResNet, {"depth": 18, "convolutional_classifier": False}),
    "resnet50": (ResNet, {"depth": 50, "convolutional_classifier": False}),
    "gem-resnet18": (
        ResNet,
        {"depth": 18, "convolutional_classifier": True, "stem": "small"},
    ),
}
_DEFAULTS: dict[str, dict[str, Any]] = {"gem-resnet18": {"width": 20}}


def available_networks() -> list[str]:
    """List the names that :func:`make_network` knows.

    Returns
    -------
    names : list of str
        The names, small networks first.

    See Also
    --------
    make_network : Build one of them.

    Notes
    -----
    .. versionadded:: 0.1

    Examples
    --------
    >>> from sklvyso.networks import available_networks
    >>> available_networks()[:3]
    ['mlp', 'lenet-300-100', 'lenet-5']
    """
    return list(_NETWORKS)


def make_network(
    name: str,
    input_shape: Sequence[int],
    n_outputs: int,
    *,
    bias: bool = True,
    batch_norm: BatchNorm = False,
    **kwargs: Any,
) -> nn.Module:
    """Build a network by name.

    Parameters
    ----------
    name : str
        ``"mlp"``, ``"lenet-300-100"``, ``"lenet-5"``, ``"vgg16"``, ``"vgg19"``,
        ``"resnet18"``, ``"resnet50"`` or ``"gem-resnet18"``.
    input_shape : tuple of int
        Torch shape of one sample: ``(C, H, W)``, or ``(n_features,)`` for ``"mlp"`` and
        ``"lenet-300-100"``, which flatten images themselves.
    n_outputs : int
        Number of logits.
    bias : bool, default=True
        Whether linear layers and convolutions have a bias. Convolutions of residual
        networks have none where batch normalization follows.
    batch_norm : bool or "non-affine", default=False
        Batch normalization after each hidden layer, before the activation;
        ``"non-affine"`` has no scale and shift. False: no such layer at all, in
        residual networks too.
    **kwargs
        All take ``activation="relu"`` (``"leaky_relu"``, ``"tanh"``, ``"sigmoid"``,
        ``"identity"``, ``"swish"``, ``"gelu"`` or an ``nn.Module`` class) and
        ``initialization=None`` (see :func:`~sklvyso.networks.initialize`). Besides:

        - ``"mlp"``: ``hidden_layer_sizes=(300, 100)``, ``dropout=0.0``;
        - ``"lenet-300-100"``: ``dropout=0.0``;
        - ``"lenet-5"``: ``pooling="average"`` or ``"max"``, ``padding="valid"`` (16x16
          images or larger) or ``"same"`` (any size);
        - ``"vgg16"``, ``"vgg19"``: ``width_multiplier=1.0``;
        - ``"resnet18"``, ``"resnet50"``: ``width=64``, ``stem="auto"``, ``"small"`` or
          ``"large"``;
        - ``"gem-resnet18"``: ``width=20``.

    Returns
    -------
    network : torch.nn.Module
        Maps a batch ``(n, *input_shape)`` to logits ``(n, n_outputs)``. It has an
        output layer ``classifier``, can be pickled, copied and traced by
        ``torch.fx.symbolic_trace``.

    Raises
    ------
    ValueError
        If the name is unknown, ``n_outputs < 1``, the shape does not fit the network
        or is too small for it, or a keyword has a value out of range.
    TypeError
        If the network does not take a keyword, or an argument has a wrong type.

    See Also
    --------
    available_networks : The names.

    Notes
    -----
    Weights come from torch's global generator.

    .. versionadded:: 0.1

    References
    ----------
    .. [1] A. Vysogorets, J. Kempe, "Connectivity Matters: Neural Network Pruning
       Through the Lens of Effective Sparsity", JMLR 24(99), 2023, experiments.
    .. [2] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025, table 1.
    .. [3] A. Vysogorets, A. Dawid, J. Kempe, "Deconstructing the Goldilocks Zone of
       Neural Network Initialization", ICML 2024, experiments.
    .. [4] D. Bhardwaj, J. Kempe, A. Vysogorets, A. Teng, E. Ezekwem, "ImpressLearn:
       Continual Learning via Combined Task Impressions", arXiv 2210.01987, 2022,
       experiments.

    Examples
    --------
    >>> import torch
    >>> from sklvyso.networks import make_network
    >>> network = make_network("lenet-5", (3, 32, 32), 10, bias=False)
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> sum(parameter.numel() for parameter in network.parameters())
    61770
    """
    if not isinstance(name, str) or name not in _NETWORKS:
        raise ValueError(
            f"name must be one of {available_networks()}. Got {name!r} instead."
        )
    network_class, fixed = _NETWORKS[name]
    accepted = _keywords(network_class, fixed)
    unknown = sorted(set(kwargs) - set(accepted))
    if unknown:
        raise TypeError(
            f"Keywords of {name!r} must be among {accepted}. Got {unknown} instead."
        )
    check_input_shape(input_shape)
    check_positive_int(n_outputs, "n_outputs")
    check_batch_norm(batch_norm)
    bias = check_bool(bias, "bias")
    arguments = {**_DEFAULTS.get(name, {}), **kwargs, **fixed}
    return network_class(
        input_shape, n_outputs, bias=bias, batch_norm=batch_norm, **arguments
    )


def _keywords(network_class: type[nn.Module], fixed: dict[str, Any]) -> list[str]:
    parameters = inspect.signature(network_class).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in fixed
    ]
