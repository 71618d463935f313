"""Residual networks: ResNet-18, ResNet-50 and the narrow GEM-ResNet18."""

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

_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
_SMALLEST_FOR_LARGE_STEM = 128


class ResNet(nn.Module):
    """Residual network: a stem, four stages of blocks, one output layer.

    A batch ``(n, C, H, W)`` of any size gives logits ``(n, n_outputs)``. The four
    stages have ``width`` times 1, 2, 4 and 8 channels; all but the first halve the
    image. Blocks add their input: as it is, or through a 1x1 convolution at the start
    of a stage that changes the shape. Average pooling over all places precedes the
    output layer.

    - ``depth=18``: blocks of two 3x3 convolutions. On 3x64x64 images with 200 outputs
      it has 11 261 632 weights, the network of [1]_ and [2]_ (``"resnet18"``).
    - ``depth=50``: bottleneck blocks (1x1, 3x3, 1x1; the stride on the 3x3), four
      times as many output channels (``"resnet50"``, [2]_).
    - ``depth=18, width=20, convolutional_classifier=True``: GEM-ResNet18, 21 layers
      with 1 090 940 weights on 3x32x32 images with 5 outputs (``"gem-resnet18"``,
      [3]_).

    .. versionadded:: 0.1

    Parameters
    ----------
    input_shape : tuple of int
        Torch shape of one sample, ``(C, H, W)``.
    n_outputs : int
        Number of logits.
    depth : {18, 50}, default=18
        Number of layers with weights, 1x1 shortcuts not counted.
    width : int, default=64
        Channels of the stem and of the first stage.
    stem : {"auto", "small", "large"}, default="auto"
        ``"small"``: one 3x3 convolution. ``"large"``: 7x7 convolution of stride 2 and
        3x3 max pooling of stride 2. ``"auto"``: large for depth 50 on images of
        128x128 or larger, else small.
    convolutional_classifier : bool, default=False
        Whether the output layer is a 1x1 convolution in place of a linear layer.
    bias : bool, default=True
        Whether layers have a bias. A convolution that batch normalization follows
        has none in any case.
    batch_norm : bool or "non-affine", default=False
        Batch normalization after each convolution, shortcuts included;
        ``"non-affine"`` has no scale and shift. The papers normalize; without it, deep
        residual networks need a small learning rate.
    activation : str or nn.Module class, default="relu"
        ``"relu"``, ``"leaky_relu"``, ``"tanh"``, ``"sigmoid"``, ``"identity"``,
        ``"swish"``, ``"gelu"``, or a class that is built without arguments.
    initialization : str, callable or None, default=None
        As ``method`` of :func:`~sklvyso.networks.initialize`. None keeps torch's own.

    Attributes
    ----------
    stem : nn.Sequential
        First convolution; gives ``width`` channels.
    stages : nn.Sequential
        Four ``nn.Sequential`` of residual blocks.
    pool : nn.AdaptiveAvgPool2d
        Average over all places.
    classifier : nn.Linear or nn.Conv2d
        The output layer.

    References
    ----------
    .. [1] A. Vysogorets, J. Kempe, "Connectivity Matters: Neural Network Pruning
       Through the Lens of Effective Sparsity", JMLR 24(99), 2023, experiments.
    .. [2] A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data
       Pruning", ICLR 2025, table 1.
    .. [3] D. Bhardwaj, J. Kempe, A. Vysogorets, A. Teng, E. Ezekwem, "ImpressLearn:
       Continual Learning via Combined Task Impressions", arXiv 2210.01987, 2022,
       experiments (``bias=False``, ``batch_norm="non-affine"``).
    .. [4] K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image
       Recognition", CVPR 2016, table 1.

    Examples
    --------
    >>> import torch
    >>> from sklvyso.networks._resnet import ResNet
    >>> network = ResNet((1, 8, 8), 10, width=4, batch_norm=True)
    >>> network(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        *,
        depth: Literal[18, 50] = 18,
        width: int = 64,
        stem: Literal["auto", "small", "large"] = "auto",
        convolutional_classifier: bool = False,
        bias: bool = True,
        batch_norm: BatchNorm = False,
        activation: Activation = "relu",
        initialization: Initialization = None,
    ) -> None:
        super().__init__()
        if depth not in _BLOCKS:
            raise ValueError(f"depth must be 18 or 50. Got {depth!r} instead.")
        n_channels, *size = check_image_shape(input_shape, f"resnet{depth}")
        n_outputs = check_positive_int(n_outputs, "n_outputs")
        width = check_positive_int(width, "width")
        check_option(stem, "stem", ("auto", "small", "large"))
        if stem == "auto":
            is_large = depth == 50 and min(size) >= _SMALLEST_FOR_LARGE_STEM
            stem = "large" if is_large else "small"
        build_stem = _large_stem if stem == "large" else _small_stem
        self.stem = build_stem(n_channels, width, bias, batch_norm, activation)
        block = BasicBlock if depth == 18 else BottleneckBlock
        stages, n_channels = [], width
        for i, n_blocks in enumerate(_BLOCKS[depth]):
            blocks: list[nn.Module] = []
            for j in range(n_blocks):
                blocks.append(
                    block(
                        n_channels,
                        width * 2**i,
                        stride=2 if i > 0 and j == 0 else 1,
                        bias=bias,
                        batch_norm=batch_norm,
                        activation=activation,
                    )
                )
                n_channels = width * 2**i * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier: nn.Module
        self.convolutional_classifier = convolutional_classifier
        if convolutional_classifier:
            self.classifier = nn.Conv2d(n_channels, n_outputs, 1, bias=bias)
        else:
            self.classifier = nn.Linear(n_channels, n_outputs, bias=bias)
        draw_weights(self, initialization, "initialization")

    def forward(self, X: Tensor) -> Tensor:
        """Logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        features = self.pool(self.stages(self.stem(X)))
        if self.convolutional_classifier:
            return self.flatten(self.classifier(features))
        return self.classifier(self.flatten(features))


class _ResidualBlock(nn.Module):
    """``activation(branch(X) + shortcut(X))`` for images ``(n, n_in, H, W)``.

    The output has ``width * expansion`` channels and sides divided by ``stride``,
    rounded up.
    """

    expansion = 1

    def __init__(
        self,
        n_in: int,
        width: int,
        *,
        stride: int,
        bias: bool,
        batch_norm: BatchNorm,
        activation: Activation,
    ) -> None:
        super().__init__()
        n_out = width * self.expansion
        branch: list[nn.Module] = []
        n_channels = n_in
        kernels = self._kernels(width, stride)
        for i, (n_filters, size, step) in enumerate(kernels):
            branch += _convolution(n_channels, n_filters, size, step, bias, batch_norm)
            if i + 1 < len(kernels):
                branch.append(make_activation(activation))
            n_channels = n_filters
        self.branch = nn.Sequential(*branch)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                *_convolution(n_in, n_out, 1, stride, bias, batch_norm)
            )
        self.activation = make_activation(activation)

    def _kernels(self, width: int, stride: int) -> list[tuple[int, int, int]]:
        """Channels, kernel size and stride of each convolution of the branch."""
        raise NotImplementedError

    def forward(self, X: Tensor) -> Tensor:
        return self.activation(self.branch(X) + self.shortcut(X))


class BasicBlock(_ResidualBlock):
    """Residual block of two 3x3 convolutions (He et al., CVPR 2016, figure 5 left)."""

    def _kernels(self, width: int, stride: int) -> list[tuple[int, int, int]]:
        return [(width, 3, stride), (width, 3, 1)]


class BottleneckBlock(_ResidualBlock):
    """Residual block of 1x1, 3x3, 1x1 convolutions (same paper, figure 5 right).

    The 3x3 convolution has the stride, not the first one as in the paper: the variant
    that today's ResNet-50 recipes use, a little more accurate.
    """

    expansion = 4

    def _kernels(self, width: int, stride: int) -> list[tuple[int, int, int]]:
        return [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]


def _convolution(
    n_in: int, n_out: int, size: int, stride: int, bias: bool, batch_norm: BatchNorm
) -> list[nn.Module]:
    # The normalization subtracts the mean, and a bias with it.
    bias = bias and not batch_norm
    convolution = nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=bias)
    return [convolution, *make_norm(n_out, batch_norm, n_dims=2)]


def _small_stem(
    n_in: int, width: int, bias: bool, batch_norm: BatchNorm, activation: Activation
) -> nn.Sequential:
    layers = _convolution(n_in, width, 3, 1, bias, batch_norm)
    return nn.Sequential(*layers, make_activation(activation))


def _large_stem(
    n_in: int, width: int, bias: bool, batch_norm: BatchNorm, activation: Activation
) -> nn.Sequential:
    layers = _convolution(n_in, width, 7, 2, bias, batch_norm)
    pool = nn.MaxPool2d(3, stride=2, padding=1)
    return nn.Sequential(*layers, *activate_and_max_pool(activation, pool))
