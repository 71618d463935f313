"""Building blocks and argument checks that the network architectures share."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from torch import nn

from sklvyso._arguments import LARGEST_SIZE, is_choice, is_sequence

BatchNorm = bool | Literal["non-affine"]
Activation = str | type[nn.Module]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
    "swish": nn.SiLU,
    "gelu": nn.GELU,
}

# Non-decreasing in floating point too, so that taking the maximum first gives the
# same bits. The library routines behind tanh and sigmoid do not promise that.
_COMMUTES_WITH_MAX = (nn.ReLU, nn.LeakyReLU, nn.Identity)


def make_activation(activation: Activation) -> nn.Module:
    """Build one activation module, never in place.

    In-place activations were measured: same bits, no gain in training, and they
    overwrite the pre-activations that a forward hook may have kept.
    """
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {sorted(ACTIVATIONS)} or an nn.Module "
                f"class. Got {activation!r} instead."
            )
        return ACTIVATIONS[activation]()
    if not (isinstance(activation, type) and issubclass(activation, nn.Module)):
        raise TypeError(
            f"activation must be one of {sorted(ACTIVATIONS)} or an nn.Module class "
            f"(the class, not an instance). Got {activation!r} instead."
        )
    return activation()


def activate_and_max_pool(activation: Activation, pool: nn.Module) -> list[nn.Module]:
    """Activation and max pooling in the cheaper of two orders with equal results."""
    module = make_activation(activation)
    if type(module) in _COMMUTES_WITH_MAX:
        return [pool, module]
    return [module, pool]


def make_norm(n_channels: int, batch_norm: BatchNorm, n_dims: int) -> list[nn.Module]:
    """Batch normalization of ``n_dims`` spatial dimensions as a list of 0 or 1."""
    check_batch_norm(batch_norm)
    if not batch_norm:
        return []
    norm = nn.BatchNorm2d if n_dims == 2 else nn.BatchNorm1d
    return [norm(n_channels, affine=batch_norm != "non-affine")]


def check_batch_norm(batch_norm: BatchNorm) -> None:
    """Raise unless ``batch_norm`` is a bool or ``"non-affine"``."""
    is_word = is_choice(batch_norm, ("non-affine",))
    if not isinstance(batch_norm, bool | np.bool_) and not is_word:
        raise ValueError(
            "batch_norm must be True, False or 'non-affine'. "
            f"Got {batch_norm!r} instead."
        )


def check_bool(value: Any, name: str) -> bool:
    """Return ``value`` as a bool or raise with its ``name``."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False. Got {value!r} instead.")
    return bool(value)


def check_positive_int(value: Any, name: str) -> int:
    """Return ``value`` as a positive int or raise with its ``name``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an int of at least 1. Got {value!r} instead.")
    if value < 1:
        raise ValueError(f"{name} must be at least 1. Got {value!r} instead.")
    if int(value) > LARGEST_SIZE:
        raise ValueError(f"{name} must be at most 2**31 - 1. Got {value!r} instead.")
    return int(value)


def check_positive_float(value: Any, name: str) -> float:
    """Return ``value`` as a positive finite float or raise with its ``name``."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a positive number. Got {value!r} instead.")
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError(f"{name} must be positive and finite. Got {value!r} instead.")
    return number


def check_option(value: Any, name: str, options: Sequence[str]) -> None:
    """Raise unless ``value`` is one of ``options``."""
    if not is_choice(value, options):
        raise ValueError(
            f"{name} must be one of {list(options)}. Got {value!r} instead."
        )


def check_input_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the torch shape of one sample as a tuple of 1 or 3 positive ints."""
    rule = "input_shape must be (n_features,) or (C, H, W) with positive ints."
    if not is_sequence(input_shape):
        raise TypeError(f"{rule} Got {input_shape!r} instead.")
    shape = tuple(input_shape)
    if any(isinstance(n, bool) or not isinstance(n, Integral) for n in shape):
        raise TypeError(f"{rule} Got {input_shape!r} instead.")
    if len(shape) not in (1, 3) or min(shape) < 1:
        hint = " A grey image has the shape (1, H, W)." if len(shape) == 2 else ""
        raise ValueError(f"{rule} Got {input_shape!r} instead.{hint}")
    return tuple(int(n) for n in shape)


def check_image_shape(
    input_shape: Sequence[int], network: str, *, minimum: int = 1, mend: str = ""
) -> tuple[int, int, int]:
    """Return ``(C, H, W)`` or say that ``network`` needs (larger) images."""
    shape = check_input_shape(input_shape)
    if len(shape) != 3:
        raise ValueError(
            f"input_shape must be (C, H, W): {network} needs images. "
            f"Got {input_shape!r} instead. Fold flat rows into images, or take 'mlp'."
        )
    if min(shape[1:]) < minimum:
        raise ValueError(
            f"input_shape must be at least (C, {minimum}, {minimum}) for {network}. "
            f"Got {shape!r} instead. {mend}"
        )
    return shape[0], shape[1], shape[2]
