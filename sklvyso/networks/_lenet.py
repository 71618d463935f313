"""LeNet-5, the small convolutional network."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from sklvyso.networks._initialization import Initialization, draw_weights
from sklvyso.networks._layers import (
    Activation,
    BatchNorm,
    activate_and_max_pool,
    check_image_shape,
    check_option,
    check_positive_int,
    make_activation,
    make_norm,
)

# 16 -> conv 12 -> pool 6 -> conv 2 -> pool 1
_SMALLEST_VALID = 16


class LeNet5(nn.Module):
    """Two 5x5 convolutions with pooling, then three linear layers.

    A batch ``(n, C, H, W)`` gives logits ``(n, n_outputs)``: convolution to 6 channels,
    pooling, convolution to 16 channels, pooling, linear layers to 120, 84 and
    ``n_outputs``. On 3x32x32 images with 10 outputs it has 61 770 weights, the
    network of [1]_ and [2]_ (``"lenet-5"``).

    .. versionadded:: 0.1

    Parameters
    ----------
    input_shape : tuple of int
        Torch shape of one sample, ``(C, H, W)``.
    n_outputs : int
        Number of logits.
    pooling : {"average", "max"}, default="average"
        The 2x2 pooling after each convolution; the papers average.
    padding : {"valid", "same"}, default="valid"
        ``"valid"``: convolutions lose two pixels on each side and pooling drops an odd
        last row or column (the papers); images must be 16x16 or larger. ``"same"``:
        convolutions keep the size and pooling rounds it up; any size works.
    bias : bool, default=True
        Whether convolutions and linear layers have a bias.
    batch_norm : bool or "non-affine", default=False
        Batch normalization after each hidden layer, before the activation;
        ``"non-affine"`` has no scale and shift.
    activation : str or nn.Module class, default="relu"
        ``"relu"``, ``"leaky_relu"``, ``"tanh"``, ``"sigmoid"``, ``"identity"``,
        ``"swish"``, ``"gelu"``, or a class that is built without arguments.
    initialization : str, callable or None, default=None
        As ``method`` of :func:`~sklvyso.networks.initialize`. None keeps torch's own.

    Attributes
    ----------
    layers : nn.Sequential
        All but the output layer; gives ``(n, 84)``.
    classifier : nn.Linear
        The output layer.

    Notes
    -----
    Average pooling follows the activation. Max pooling comes before activations it
    commutes with (ReLU, leaky ReLU, identity): the same numbers, a fifth less training
    time on a CPU.

    References
    ----------
    .. [1] A. Vysogorets, J. Kempe, "Connectivity Matters: Neural Network Pruning
       Through the Lens of Effective Sparsity", JMLR 24(99), 2023, experiments.
    .. [2] A. Vysogorets, A. Dawid, J. Kempe, "Deconstructing the Goldilocks Zone of
       Neural Network Initialization", ICML 2024, experiments (``bias=False``).

    Examples
    --------
    >>> import torch
    >>> from sklvyso.networks._lenet import LeNet5
    >>> network = LeNet5((1, 8, 8), 10, padding="same")
    >>> network(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        *,
        pooling: Literal["average", "max"] = "average",
        padding: Literal["valid", "same"] = "valid",
        bias: bool = True,
        batch_norm: BatchNorm = False,
        activation: Activation = "relu",
        initialization: Initialization = None,
    ) -> None:
        super().__init__()
        check_option(pooling, "pooling", ("average", "max"))
        check_option(padding, "padding", ("valid", "same"))
        n_channels, height, width = check_image_shape(
            input_shape,
            f"lenet-5 with padding={padding!r}",
            minimum=_SMALLEST_VALID if padding == "valid" else 1,
            mend="Pass padding='same' or larger images.",
        )
        n_outputs = check_positive_int(n_outputs, "n_outputs")
        same = padding == "same"
        layers: list[nn.Module] = []
        for n_filters in (6, 16):
            layers.append(
                nn.Conv2d(n_channels, n_filters, 5, padding=2 if same else 0, bias=bias)
            )
            layers.extend(make_norm(n_filters, batch_norm, n_dims=2))
            if pooling == "max":
                pool = nn.MaxPool2d(2, ceil_mode=same)
                layers.extend(activate_and_max_pool(activation, pool))
            else:
                layers.append(make_activation(activation))
                layers.append(nn.AvgPool2d(2, ceil_mode=same))
            n_channels = n_filters
        layers.append(nn.Flatten())
        n_inputs = 16 * _size_after(height, same) * _size_after(width, same)
        for n_units in (120, 84):
            layers.append(nn.Linear(n_inputs, n_units, bias=bias))
            layers.extend(make_norm(n_units, batch_norm, n_dims=0))
            layers.append(make_activation(activation))
            n_inputs = n_units
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(84, n_outputs, bias=bias)
        draw_weights(self, initialization, "initialization")

    def forward(self, X: Tensor) -> Tensor:
        """Logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        return self.classifier(self.layers(X))


def _size_after(size: int, same: bool) -> int:
    for _ in range(2):
        size = (size + 1) // 2 if same else (size - 4) // 2
    return size
