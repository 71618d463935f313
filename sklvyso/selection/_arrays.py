"""Arrays as this room takes them: real numbers, read a few rows at a time."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from sklvyso._arguments import read_numbers

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
    array = read_numbers(name, values)
    if array.ndim != n_dimensions:
        raise ValueError(
            f"{name} must have {n_dimensions} dimensions. Got an array of shape "
            f"{array.shape} instead."
        )
    return array


def row_chunks(n_rows: int, row_size: int) -> Iterator[slice]:
    """Yield slices that cover the rows, each of about `CHUNK_SIZE` numbers."""
    step = max(1, CHUNK_SIZE // max(1, row_size))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
