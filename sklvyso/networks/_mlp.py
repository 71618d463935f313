"""Fully connected networks, LeNet-300-100 among them."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence
from numbers import Real

from torch import Tensor, nn

from sklvyso._arguments import is_sequence
from sklvyso.networks._initialization import Initialization, draw_weights
from sklvyso.networks._layers import (
    Activation,
    BatchNorm,
    check_input_shape,
    check_positive_int,
    make_activation,
    make_norm,
)


class MLP(nn.Module):
    """Fully connected network on flattened samples.

    A batch ``(n, *input_shape)``, or any batch that flattens to ``(n, n_inputs)`` with
    ``n_inputs = prod(input_shape)``, gives logits ``(n, n_outputs)``. Each hidden layer
    is linear, then batch normalization, activation and dropout where asked for. With
    the default hidden layers, 784 inputs and 10 outputs it is LeNet-300-100 with
    266 200 weights (``"lenet-300-100"``, used in [1]_, [2]_ and [3]_).

    .. versionadded:: 0.1

    Parameters
    ----------
    input_shape : tuple of int
        Torch shape of one sample, ``(n_features,)`` or ``(C, H, W)``.
    n_outputs : int
        Number of logits.
    hidden_layer_sizes : sequence of int, default=(300, 100)
        Width of each hidden layer. Empty: a linear model.
    dropout : float, default=0.0
        Probability in [0, 1) to drop a hidden activation in training.
    bias : bool, default=True
        Whether linear layers have a bias.
    batch_norm : bool or "non-affine", default=False
        Batch normalization after each hidden linear layer, before the activation;
        ``"non-affine"`` has no scale and shift.
    activation : str or nn.Module class, default="relu"
        ``"relu"``, ``"leaky_relu"``, ``"tanh"``, ``"sigmoid"``, ``"identity"``,
        ``"swish"``, ``"gelu"``, or a class that is built without arguments.
    initialization : str, callable or None, default=None
        As ``method`` of :func:`~sklvyso.networks.initialize`. None keeps torch's own.

    Attributes
    ----------
    layers : nn.Sequential
        Flatten and the hidden layers; gives ``(n, hidden_layer_sizes[-1])``.
    classifier : nn.Linear
        The output layer.

    References
    ----------
    .. [1] A. Vysogorets, J. Kempe, "Connectivity Matters: Neural Network Pruning
       Through the Lens of Effective Sparsity", JMLR 24(99), 2023, experiments.
    .. [2] A. Vysogorets, A. Dawid, J. Kempe, "Deconstructing the Goldilocks Zone of
       Neural Network Initialization", ICML 2024, experiments (``bias=False``,
       ``initialization="kaiming_normal"``).
    .. [3] D. Bhardwaj, J. Kempe, A. Vysogorets, A. Teng, E. Ezekwem, "ImpressLearn:
       Continual Learning via Combined Task Impressions", arXiv 2210.01987, 2022,
       experiments (``bias=False``).

    Examples
    --------
    >>> import torch
    >>> from sklvyso.networks._mlp import MLP
    >>> network = MLP((1, 28, 28), 10, bias=False)
    >>> network(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    >>> sum(parameter.numel() for parameter in network.parameters())
    266200
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        *,
        hidden_layer_sizes: Sequence[int] = (300, 100),
        dropout: float = 0.0,
        bias: bool = True,
        batch_norm: BatchNorm = False,
        activation: Activation = "relu",
        initialization: Initialization = None,
    ) -> None:
        super().__init__()
        n_inputs = math.prod(check_input_shape(input_shape))
        n_outputs = check_positive_int(n_outputs, "n_outputs")
        widths = _check_widths(hidden_layer_sizes)
        _check_dropout(dropout)
        layers: list[nn.Module] = [nn.Flatten()]
        for width in widths:
            layers.append(nn.Linear(n_inputs, width, bias=bias))
            layers.extend(make_norm(width, batch_norm, n_dims=0))
            layers.append(make_activation(activation))
            if dropout:
                layers.append(nn.Dropout(dropout))
            n_inputs = width
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(n_inputs, n_outputs, bias=bias)
        draw_weights(self, initialization, "initialization")

    def forward(self, X: Tensor) -> Tensor:
        """Logits ``(n, n_outputs)`` of a batch that flattens to ``(n, n_inputs)``."""
        return self.classifier(self.layers(X))


def _check_widths(hidden_layer_sizes: Sequence[int]) -> list[int]:
    if not is_sequence(hidden_layer_sizes):
        raise TypeError(
            "hidden_layer_sizes must be a sequence of ints, such as (300, 100). "
            f"Got {hidden_layer_sizes!r} instead."
        )
    return [
        check_positive_int(width, "each of hidden_layer_sizes")
        for width in hidden_layer_sizes
    ]


def _check_dropout(dropout: float) -> None:
    if isinstance(dropout, bool) or not isinstance(dropout, Real):
        raise TypeError(f"dropout must be a float in [0, 1). Got {dropout!r} instead.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1). Got {dropout!r} instead.")
