"""What the displays take: axes, words, curves."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping
from typing import Any

import numpy as np

from sklvyso._arguments import is_real, is_sequence, read_numbers, shown

# Axes add, subtract and take powers of what they show.
_LARGEST = 1e100


def check_mapping(name: str, value: Any, what: str) -> Mapping:
    """Return a mapping of names that holds something, or raise."""
    if value is None:
        raise ValueError(f"{name} must hold a curve. Got none.")
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must map names to {what}. Got {shown(value)} instead.")
    if not value:
        raise ValueError(f"{name} must hold at least one curve. Got none.")
    return value


def check_curves(name: str, curves: Any, parts: tuple[str, ...]) -> dict[Any, tuple]:
    """Return curves as float64 arrays of one length, ``len(parts)`` for each name."""
    checked = {}
    words = f"{', '.join(parts[:-1])} and {parts[-1]}"
    for label, pair in check_mapping(name, curves, words).items():
        if not is_sequence(pair) or len(pair) != len(parts):
            raise ValueError(
                f"{name} must hold {words} of one length >= 1. Got "
                f"{shown(pair)} for {label!r}."
            )
        arrays = tuple(read_numbers(f"{name}[{label!r}]", part) for part in pair)
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1 or arrays[0].ndim != 1 or not arrays[0].size:
            raise ValueError(
                f"{name} must hold {words} of one length >= 1. Got shapes "
                f"{[array.shape for array in arrays]} for {label!r}."
            )
        checked[label] = tuple(numbers(f"{name}[{label!r}]", a, 1) for a in arrays)
    return checked


def numbers(
    name: str, values: Any, n_dimensions: int, *, is_finite: bool = False
) -> np.ndarray:
    """Return float64 numbers that can be drawn; NaN and infinity leave gaps."""
    array = read_numbers(name, values).astype(np.float64)
    if array.ndim != n_dimensions or not array.size:
        raise ValueError(
            f"{name} must have {n_dimensions} dimensions and hold a number. Got shape "
            f"{array.shape} instead."
        )
    if is_finite and not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite. Got NaN or infinity.")
    if (abs(array[np.isfinite(array)]) > _LARGEST).any():
        raise ValueError(f"{name} must be at most {_LARGEST:g}. Got larger numbers.")
    return array


def check_level(name: str, value: Any) -> float:
    """Return one finite number, or raise."""
    if not is_real(value) or not abs(float(value)) <= _LARGEST:
        raise ValueError(f"{name} must be a finite number. Got {shown(value)} instead.")
    return float(value)


def check_words(**words: Any) -> None:
    """Raise unless each is a text or None."""
    for name, value in words.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a str. Got {shown(value)} instead.")
