"""Arguments of any kind, read or refused with an error that names them.

What a room asks of an argument beyond that (shapes, ranges) it words itself.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import sys
from collections.abc import Iterable, Mapping, Set
from numbers import Integral, Real
from typing import Any

import numpy as np

# What arrays and torch count with; more is a slip.
LARGEST_SIZE = 2**31 - 1


def untensored(name: str, values: Any) -> Any:
    """Return a torch tensor as an array, anything else as it is.

    Parameters
    ----------
    name : str
        What the error messages call it.
    values : object
        A tensor with gradients, on another device or of type bfloat16 too.

    Returns
    -------
    values : object
        An array for a tensor.

    Raises
    ------
    TypeError
        If a tensor is sparse or holds no data.
    """
    torch = sys.modules.get("torch")  # who has a tensor has imported it
    if torch is None or not isinstance(values, torch.Tensor):
        return values
    if values.layout is not torch.strided:
        raise TypeError(f"{name} must be dense. Got a sparse tensor: use to_dense().")
    if values.device.type == "meta":
        raise TypeError(
            f"{name} must hold data. Got a tensor on the device 'meta' instead."
        )
    values = values.detach().cpu()
    return (values.float() if values.dtype is torch.bfloat16 else values).numpy()


def read_array(name: str, values: Any) -> np.ndarray:
    """Return what NumPy reads in ``values``, without copying an array.

    Parameters
    ----------
    name : str
        What the error messages call it.
    values : array-like
        Data frames, tensors and memory maps too.

    Returns
    -------
    array : ndarray
        Of any dtype, object and text too.

    Raises
    ------
    ValueError
        If rows are of unequal length.
    TypeError
        If NumPy cannot read them.
    """
    values = untensored(name, values)
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name} must be an array, its rows of equal length. Got "
            f"{_kind(values)} of unequal rows instead."
        ) from error
    except (TypeError, RuntimeError) as error:  # tensors inside a list
        raise TypeError(
            f"{name} must be an array. Got {_kind(values)} that NumPy does not read "
            f"instead: {error}"
        ) from error


def read_numbers(name: str, values: Any, kind: str = "a dense array") -> np.ndarray:
    """Return a real array, without copying one of a usual dtype.

    Parameters
    ----------
    name : str
        What the error messages call it.
    values : array-like
        Numbers, in objects too.
    kind : str, default="a dense array"
        What the error messages ask for.

    Returns
    -------
    array : ndarray
        Of dtype bool, integer or float, at most eight bytes a number.

    Raises
    ------
    ValueError
        If rows are of unequal length.
    TypeError
        If it does not hold real numbers, or some are missing.
    """
    array = read_array(name, values)
    dtype = array.dtype
    if array.dtype.kind == "O" and not any(
        isinstance(value, str | bytes) for value in array.flat
    ):
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            pass
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be {kind} of real numbers. Got {_kind(values)} of dtype "
            f"{dtype} instead."
        )
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    return array


def is_choice(value: Any, choices: Iterable[str]) -> bool:
    """Say whether a value is one of some words; no array is compared with a word."""
    return isinstance(value, str) and value in choices


def is_integer(value: Any) -> bool:
    """Say whether a value is a whole number, which a truth value is not."""
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


def is_real(value: Any) -> bool:
    """Say whether a value is one real number, which a truth value is not."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def is_sequence(value: Any) -> bool:
    """Say whether a value can be run through in order; a text is one word."""
    if isinstance(value, str | bytes | Mapping | Set) or not hasattr(value, "__len__"):
        return False
    # A sparse matrix has no length, though it has the method.
    return hasattr(value, "__getitem__") and not (
        getattr(value, "ndim", 1) == 0 or hasattr(value, "nnz")
    )


def check_sequence(name: str, value: Any) -> tuple:
    """Return a sequence as a tuple, or raise."""
    if not is_sequence(value):
        raise TypeError(f"{name} must be a sequence. Got {shown(value)} instead.")
    return tuple(value)


def check_flag(name: str, value: Any) -> bool:
    """Return a truth value, or raise.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False. Got {shown(value)} instead.")
    return bool(value)


def check_path(name: str, value: Any) -> str:
    """Return a path as text, or raise; a number would be an open file.

    Raises
    ------
    TypeError
        If it is no str or path-like.
    ValueError
        If it is empty, or no file system takes it.
    """
    if isinstance(value, bytes) or not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"{name} must be a str or path-like. Got {shown(value)} instead."
        )
    text = os.fspath(value)
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a path of text. Got {text!r} instead.")
    if not text or "\0" in text:
        raise ValueError(
            f"{name} must be a path, not empty and without null characters. Got "
            f"{text!r} instead."
        )
    return text


def shown(value: Any) -> str:
    """Return how a message shows a value of any kind: short, in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:60]}... ({type(value).__name__})"


def _kind(values: Any) -> str:
    return f"a {type(values).__name__}"
