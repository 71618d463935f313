"""What the scores of rows check in their input, and how they go through it."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklvyso._arguments import read_array, read_numbers

# Numbers that are converted to float64 at once.
_CHUNK_SIZE = 2**21
_PROBABILITY_NOISE = 1e-3  # half-precision outputs sum to one only within this


def check_codes(y: ArrayLike, n_rows: int, n_classes: int) -> np.ndarray:
    """Return labels as int64 columns, or say what is wrong with them."""
    codes = read_array("y", y)
    if codes.shape != (n_rows,):
        raise ValueError(
            f"y must hold one label a row, shape ({n_rows},). Got shape {codes.shape} "
            "instead."
        )
    if codes.dtype.kind not in "iu" and codes.size:
        raise TypeError(
            "y must hold integers, the columns of the classes. Got type "
            f"{codes.dtype} instead: np.unique(y, return_inverse=True) makes them."
        )
    outside = codes[(codes < 0) | (codes >= n_classes)]
    if outside.size:
        raise ValueError(
            f"y must lie between 0 and {n_classes - 1} ({n_classes} classes). Got "
            f"{outside[0]} instead."
        )
    return codes.astype(np.int64)


def as_numbers(
    name: str, values: Any, n_dimensions: tuple[int, ...] | None = None
) -> np.ndarray:
    """Return a real array with one of these numbers of dimensions, uncopied."""
    array = read_numbers(name, values, "an array")
    if n_dimensions is not None and array.ndim not in n_dimensions:
        allowed = " or ".join(map(str, n_dimensions))
        raise ValueError(
            f"{name} must have {allowed} dimensions. Got shape {array.shape} instead."
        )
    return array


def check_probabilities(
    name: str, values: np.ndarray, *, rows_sum_to_one: bool = False
) -> None:
    """Complain about values that are no probabilities."""
    noise = _PROBABILITY_NOISE
    if not ((values >= -noise) & (values <= 1 + noise)).all():  # NaN fails too
        found = values[~((values >= -noise) & (values <= 1 + noise))][0]
        raise ValueError(
            f"{name} must hold probabilities, in [0, 1]. Got {found} instead."
        )
    if rows_sum_to_one and (np.abs(values.sum(axis=1) - 1.0) > 10 * noise).any():
        raise ValueError(
            f"{name} must have rows that sum to 1. Got sums from "
            f"{values.sum(axis=1).min():.4g} to {values.sum(axis=1).max():.4g} instead."
        )


def check_finite_scores(name: str, scores: np.ndarray) -> None:
    """Complain about input so large that what was computed of it is not finite."""
    if not np.isfinite(scores).all():
        raise ValueError(
            f"{name} must hold numbers whose squares float64 can hold. Got a row whose "
            f"score is {scores[~np.isfinite(scores)][0]} instead."
        )


def row_chunks(n_rows: int, row_size: int) -> Iterator[slice]:
    """Yield slices of rows that hold a bounded count of numbers."""
    step = max(1, _CHUNK_SIZE // max(1, row_size))
    for start in range(0, n_rows, step):
        yield slice(start, start + step)
