"""Arrays as this room takes them: real numbers, read a few rows at a time."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

# Numbers held at a time; 1 MB in float64 stays in the cache of a core.
CHUNK_SIZE = 2**17


def as_numbers(name: str, values: ArrayLike, n_dimensions: int) -> np.ndarray:
    """Return a real array without copying what is one already.

    Parameters
    ----------
    name : str
        What the error messages call it.
    values : array-like
        Anything that NumPy can read, memory-mapped arrays and data frames included.
    n_dimensions : int
        How many dimensions it must have.

    Returns
    -------
    array : ndarray
        Of any bool, integer or float dtype.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If it has another number of dimensions or rows of unequal length.
    """
    array = read_array(name, values)
    if array.dtype.kind == "O" and array.ndim == n_dimensions:
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            pass
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be a dense array of real numbers. Got {_kind(values)} "
            f"of dtype {array.dtype} instead."
        )
    if array.ndim != n_dimensions:
        raise ValueError(
            f"{name} must have {n_dimensions} dimensions. Got an array of shape "
            f"{array.shape} instead."
        )
    return array


def read_array(name: str, values: ArrayLike) -> np.ndarray:
    """Return ``values`` as NumPy reads them, with an error that names them."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name} must be an array, its rows of equal length. Got {_kind(values)} "
            "of unequal rows instead."
        ) from error


def row_chunks(n_rows: int, row_size: int) -> Iterator[slice]:
    """Yield slices that cover the rows, each of about `CHUNK_SIZE` numbers."""
    step = max(1, CHUNK_SIZE // max(1, row_size))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def _kind(values: Any) -> str:
    return f"a {type(values).__name__}"
