"""The way from arrays with channels last to tensors with channels first."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sklvyso._arguments import read_array, untensored


def as_rows(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Flatten a batch of images into rows, without a copy where there need be none.

    Parameters
    ----------
    X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
        Anything that scikit-learn takes, or a torch tensor.

    Returns
    -------
    rows : array-like of shape (n, n_features)
        ``X`` itself unless it has more than two axes.
    shape : tuple of int or None
        Shape of one image, channels last; None when ``X`` came as rows.

    Raises
    ------
    ValueError
        If ``X`` has more than four axes.

    See Also
    --------
    torch_shape : The shape that a module sees.
    """
    X = untensored("X", X)
    if isinstance(X, list | tuple) and _depth(X) > 2:
        X = read_array("X", X)
    n_axes = getattr(X, "ndim", 2)
    if n_axes <= 2:
        return X, None
    if n_axes > 4:
        raise ValueError(
            "X must have shape (n, n_features), (n, H, W) or (n, H, W, C). "
            f"Got an array of shape {X.shape} instead."
        )
    shape = tuple(int(size) for size in X.shape[1:])
    # Not -1: NumPy cannot infer it for an array without rows, whose error
    # message scikit-learn words better.
    return X.reshape(X.shape[0], math.prod(shape)), shape


def _depth(nested: Any) -> int:
    depth = 0
    while isinstance(nested, list | tuple) and depth < 8:
        depth += 1
        if not nested:
            break
        nested = nested[0]
    return depth + (nested.ndim if isinstance(nested, np.ndarray) else 0)


def resolve_input_shape(
    input_shape: Sequence[int] | None,
    image_shape: tuple[int, ...] | None,
    n_features: int,
) -> tuple[int, ...]:
    """Find the shape of one sample, channels last.

    Parameters
    ----------
    input_shape : sequence of 1 to 3 int or None
        What the user asked for: ``(n_features,)``, ``(H, W)`` or ``(H, W, C)``; one
        entry may be -1.
    image_shape : tuple of int or None
        Shape of the images that came in; None if rows came in.
    n_features : int
        Number of values of one row.

    Returns
    -------
    shape : tuple of int
        ``(n_features,)``, ``(H, W)`` or ``(H, W, C)``.

    Raises
    ------
    ValueError
        If ``input_shape`` is malformed or does not hold ``n_features`` values, or
        images come with channels first.
    """
    if image_shape is not None:
        _check_channels_last(image_shape)
    if input_shape is None:
        return image_shape if image_shape is not None else (n_features,)
    shape = _check_shape(input_shape)
    if -1 in shape:
        known = -math.prod(shape)
        if n_features % known == 0:
            shape = tuple(n_features // known if s == -1 else s for s in shape)
    if image_shape is not None and -1 not in shape:
        # (H, W) and (H, W, 1) are the same picture; rows take any of their size.
        accepted = {shape, (*shape, 1), shape[:-1] if shape[-1] == 1 else shape}
        is_row = shape == (n_features,)
        if image_shape not in accepted and not is_row:
            raise ValueError(
                f"X must hold images of shape {shape}, the input_shape of this "
                f"network. Got images of shape {image_shape}."
            )
    if -1 in shape or math.prod(shape) != n_features:
        raise ValueError(
            f"input_shape must hold as many values as a row of X. Got input_shape="
            f"{tuple(input_shape)} for rows of {n_features} values."
        )
    return shape


def _check_channels_last(image_shape: tuple[int, ...]) -> None:
    """Refuse torch's layout: a network would train on it, and learn next to nothing."""
    if len(image_shape) != 3 or image_shape[0] not in (1, 3, 4):
        return
    if min(image_shape[1:]) > 4:
        sizes = ", ".join(map(str, image_shape))
        raise ValueError(
            f"X must hold images with channels last, X.transpose(0, 2, 3, 1). Got X of "
            f"shape (n, {sizes}), which looks like channels first. Images that are "
            f"{image_shape[0]} rows high go in as rows, with input_shape=({sizes})."
        )


def _check_shape(input_shape: Any) -> tuple[int, ...]:
    shape = tuple(input_shape) if isinstance(input_shape, Sequence) else None
    if (
        shape is None
        or not 1 <= len(shape) <= 3
        or not all(
            isinstance(s, int | np.integer) and (s > 0 or s == -1) for s in shape
        )
        or shape.count(-1) > 1
    ):
        raise ValueError(
            "input_shape must be None or a tuple of one to three positive integers, "
            "channels last: (n_features,), (H, W) or (H, W, C); one of them may be "
            f"-1. Got {input_shape!r} instead."
        )
    return tuple(int(size) for size in shape)


def torch_shape(input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Turn the shape of a sample, channels last, into torch's.

    Parameters
    ----------
    input_shape : tuple of int
        ``(n_features,)``, ``(H, W)`` or ``(H, W, C)``.

    Returns
    -------
    shape : tuple of int
        ``(n_features,)``, ``(1, H, W)`` or ``(C, H, W)``.

    See Also
    --------
    takes_images : Whether there is a channel axis.
    """
    input_shape = _check_shape(input_shape)
    if len(input_shape) == 2:
        return (1, *input_shape)
    if len(input_shape) == 3:
        return (input_shape[2], input_shape[0], input_shape[1])
    return input_shape


def fold(batch: torch.Tensor, input_shape: tuple[int, ...]) -> torch.Tensor:
    """Fold rows into torch's layout, ``(n, *torch_shape(input_shape))``, contiguous."""
    if len(input_shape) == 1:
        return batch.reshape(len(batch), -1)
    channels = input_shape[2] if len(input_shape) == 3 else 1
    if channels == 1:
        return batch.reshape(len(batch), 1, *input_shape[:2])
    images = batch.reshape(len(batch), *input_shape)
    return images.permute(0, 3, 1, 2).contiguous()


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """View an array as a tensor that is only read, read-only memory maps too.

    Parameters
    ----------
    array : ndarray
        Of numbers or truth values, in any order of bytes.

    Returns
    -------
    tensor : tensor
        On the CPU; shares the memory unless a stride is negative.
    """
    with warnings.catch_warnings():
        # torch fears that we write; we never do.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        array = np.asarray(array)
        if array.dtype.kind == "f" and array.dtype.itemsize > 8:
            array = array.astype(np.float64)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if any(stride < 0 for stride in array.strides):
            array = array.copy()
        return torch.from_numpy(array)
