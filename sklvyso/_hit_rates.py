"""Shares of correct predictions inside classes or groups, and the checks they need."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from sklvyso._arguments import read_array, read_numbers

# Whole numbers up to here are exact in float64.
_LARGEST_EXACT = 2**53


def hit_rates(
    keys: np.ndarray, hits: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted share of hits for each distinct key.

    Parameters
    ----------
    keys : ndarray of shape (n_samples,)
        Class or group of each sample, as :func:`check_labels` returns it.
    hits : ndarray of shape (n_samples,), bool
        Whether the prediction was right.
    weight : ndarray of shape (n_samples,) or None
        Weight of each sample.

    Returns
    -------
    levels : ndarray of shape (n_levels,)
        The distinct keys, sorted.
    rates : ndarray of shape (n_levels,), float64
        Their shares, NaN where all weights are zero.
    """
    levels, codes = _encode(keys)
    n_levels = len(levels)
    cells = np.bincount(2 * codes + hits, weights=weight, minlength=2 * n_levels)
    misses, right = cells.reshape(n_levels, 2).T
    totals = misses + right
    if weight is None:
        is_present = totals > 0
    else:
        is_present = np.bincount(codes, minlength=n_levels) > 0
    with np.errstate(invalid="ignore"):
        rates = right[is_present] / totals[is_present]
    return levels[is_present], rates


def _encode(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted levels, some perhaps unused, and the position of each key in them."""
    if keys.dtype.kind == "i":
        low, high = int(keys.min()), int(keys.max())
        # Counting beats sorting as long as the counters stay about as many as rows.
        if high - low < 2 * len(keys) + 1024:
            return np.arange(low, high + 1), keys - low
    return np.unique(keys, return_inverse=True)


def lowest(rates: np.ndarray) -> float:
    """Return the smallest rate."""
    return float(rates.min())


def spread(rates: np.ndarray) -> float:
    """Return the largest minus the smallest rate."""
    return float(rates.max() - rates.min())


def deviation(rates: np.ndarray) -> float:
    """Return the standard deviation (``ddof=0``) of the rates."""
    return float(rates.std())


def check_predictions(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return checked true labels, hits and weights, each ``(n_samples,)``."""
    true = check_labels(y_true, "y_true")
    predicted = check_labels(y_pred, "y_pred")
    check_same_length(true, predicted, "y_true", "y_pred")
    check_same_kind(true, predicted, "y_true", "y_pred")
    weight = None
    if sample_weight is not None:
        weight = _check_weight(sample_weight)
        check_same_length(true, weight, "y_true", "sample_weight")
    return true, true == predicted, weight


def check_labels(values: ArrayLike, name: str) -> np.ndarray:
    """Return labels as a one-dimensional int64 or str array.

    Labels that fit neither stay uint64, float64 or bytes.
    Booleans and whole floats become integers, so that ``True == 1 == 1.0`` as in
    Python.
    """
    array = read_array(name, values)
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be one-dimensional. Got shape {array.shape} instead."
        )
    if len(array) == 0:
        raise ValueError(f"{name} must hold at least one label. Got none instead.")
    if array.dtype.kind in "OT":
        array = _from_objects(array, name)
    kind = array.dtype.kind
    if kind in "US":
        return array
    if kind == "f":
        return _from_floats(array, name)
    if kind not in "biu":
        raise ValueError(
            f"{name} must hold text, integer or boolean labels. "
            f"Got dtype {array.dtype} instead."
        )
    if kind == "u" and array.max() > np.iinfo(np.int64).max:
        return array
    return array.astype(np.int64, copy=False)


def _from_objects(array: np.ndarray, name: str) -> np.ndarray:
    values = array.tolist()
    if all(isinstance(value, str) for value in values):
        return np.array(values, dtype=str)
    if all(isinstance(value, Real | np.bool_) for value in values):
        return np.array(values)
    kinds = sorted({type(value).__name__ for value in values})
    raise ValueError(
        f"{name} must hold labels of one kind, all text or all numbers, none missing. "
        f"Got {kinds} instead."
    )


def _from_floats(array: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must not hold NaN or infinity. Got some instead.")
    if (array != np.floor(array)).any():
        raise ValueError(
            f"{name} must hold class labels. Got continuous values instead; take the "
            "output of predict, not of predict_proba or decision_function."
        )
    wide = array.astype(np.float64)  # half precision does not reach the bound
    if np.abs(wide).max() <= _LARGEST_EXACT:
        return wide.astype(np.int64)
    return wide


def _check_weight(sample_weight: ArrayLike) -> np.ndarray:
    weight = read_numbers("sample_weight", sample_weight).astype(np.float64)
    if weight.ndim != 1:
        raise ValueError(
            f"sample_weight must be one-dimensional. Got shape {weight.shape} instead."
        )
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError(
            "sample_weight must be finite and non-negative. "
            "Got NaN, infinite or negative weights instead."
        )
    if not weight.any():
        raise ValueError(
            "sample_weight must be positive for at least one sample. "
            "Got zeros only instead."
        )
    return weight


def check_same_length(
    one: np.ndarray, other: np.ndarray, name_one: str, name_other: str
) -> None:
    """Raise unless both arrays have as many rows."""
    if len(one) != len(other):
        raise ValueError(
            f"{name_one} and {name_other} must have the same length. "
            f"Got {len(one)} and {len(other)} instead."
        )


def check_same_kind(
    one: np.ndarray, other: np.ndarray, name_one: str, name_other: str
) -> None:
    """Raise unless both are text, both bytes, or both numbers.

    NumPy finds text and numbers unequal without a word: all recalls would be zero.
    """
    families = [
        {"U": "text", "S": "bytes"}.get(a.dtype.kind, "number") for a in (one, other)
    ]
    if families[0] != families[1]:
        raise ValueError(
            f"{name_one} and {name_other} must hold labels of one kind. "
            f"Got {families[0]} and {families[1]} labels instead."
        )
