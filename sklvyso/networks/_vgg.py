"""VGG-16 and VGG-19 with a single linear layer, for small images."""

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
    check_positive_float,
    check_positive_int,
    make_activation,
    make_norm,
)

_WIDTHS = (64, 128, 256, 512, 512)
_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    """VGG convolutions of 3x3 in five groups, then one linear layer.

    A batch ``(n, C, H, W)`` gives logits ``(n, n_outputs)``. Groups of 64, 128, 256,
    512 and 512 channels, each ended by 2x2 max pooling, and a linear layer on the 512
    channels. On 3x32x32 images, VGG-16 with 10 outputs has 14 715 584 weights and
    VGG-19 with 100 outputs 20 070 080, the networks of [1]_ and [2]_ (``"vgg16"``,
    ``"vgg19"``).

    .. versionadded:: 0.1

    Parameters
    ----------
    input_shape : tuple of int
        Torch shape of one sample, ``(C, H, W)``, 32x32 or larger.
    n_outputs : int
        Number of logits.
    depth : {16, 19}, default=16
        Number of layers with weights.
    width_multiplier : float, default=1.0
        Factor on the number of channels of each convolution, rounded, at least one.
    bias : bool, default=True
        Whether convolutions and the linear layer have a bias, beside batch
        normalization too.
    batch_norm : bool or "non-affine", default=False
        Batch normalization after each convolution, before the activation;
        ``"non-affine"`` has no scale and shift. Training such deep networks without it
        needs care with initialization and learning rate.
    activation : str or nn.Module class, default="relu"
        ``"relu"``, ``"leaky_relu"``, ``"tanh"``, ``"sigmoid"``, ``"identity"``,
        ``"swish"``, ``"gelu"``, or a class that is built without arguments.
    initialization : str, callable or None, default=None
        As ``method`` of :func:`~sklvyso.networks.initialize`. None keeps torch's own.

    Attributes
    ----------
    layers : nn.Sequential
        All but the output layer; gives ``(n, 512 * width_multiplier)``.
    classifier : nn.Linear
        The output layer.

    Notes
    -----
    Images of 64x64 and more leave the last pooling larger than 1x1. Their feature maps
    are averaged over all places, so that the linear layer keeps 512 inputs; the papers
    use 32x32 images, where nothing is left to average. Pooling rounds sizes down.
    Max pooling comes before activations it commutes with: the same numbers, less work.

    References
    ----------
    .. [1] A. Vysogorets, J. Kempe, "Connectivity Matters: Neural Network Pruning
       Through the Lens of Effective Sparsity", JMLR 24(99), 2023, experiments
       (``initialization="variance_scaling"``).
    .. [2] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025, table 1 (``initialization="xavier_normal"``).
    .. [3] K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for
       Large-Scale Image Recognition", ICLR 2015, table 1 (columns D and E).

    Examples
    --------
    >>> import torch
    >>> from sklvyso.networks._vgg import VGG
    >>> network = VGG((3, 32, 32), 10, batch_norm=True, width_multiplier=0.125)
    >>> network(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        *,
        depth: Literal[16, 19] = 16,
        width_multiplier: float = 1.0,
        bias: bool = True,
        batch_norm: BatchNorm = False,
        activation: Activation = "relu",
        initialization: Initialization = None,
    ) -> None:
        super().__init__()
        if depth not in _CONVOLUTIONS:
            raise ValueError(f"depth must be 16 or 19. Got {depth!r} instead.")
        n_channels, height, width = check_image_shape(
            input_shape,
            f"vgg{depth}, which halves images five times",
            minimum=32,
            mend="Enlarge the images, or take 'lenet-5' or 'resnet18'.",
        )
        n_outputs = check_positive_int(n_outputs, "n_outputs")
        width_multiplier = check_positive_float(width_multiplier, "width_multiplier")
        layers: list[nn.Module] = []
        for n_filters, n_convolutions in zip(
            _WIDTHS, _CONVOLUTIONS[depth], strict=True
        ):
            n_filters = max(1, round(n_filters * width_multiplier))
            for i in range(n_convolutions):
                layers.append(nn.Conv2d(n_channels, n_filters, 3, padding=1, bias=bias))
                layers.extend(make_norm(n_filters, batch_norm, n_dims=2))
                if i + 1 < n_convolutions:
                    layers.append(make_activation(activation))
                n_channels = n_filters
            layers.extend(activate_and_max_pool(activation, nn.MaxPool2d(2)))
        if max(height, width) // 32 > 1:
            layers.append(nn.AdaptiveAvgPool2d(1))
        layers.append(nn.Flatten())
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(n_channels, n_outputs, bias=bias)
        draw_weights(self, initialization, "initialization")

    def forward(self, X: Tensor) -> Tensor:
        """Logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        return self.classifier(self.layers(X))
