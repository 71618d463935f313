"""Directions of edges in numbers that depend on neither size nor contrast."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from sklvyso.artifacts._gradients import gradients, orientation_histograms
from sklvyso.artifacts._profiles import PROFILE_NAMES, largest, profile_peaks

_BINS = 18
_LEVELS = ("all", "strong", "strongest")
_CELL_QUANTILES = (0.1, 0.5, 0.9, 0.99, 1.0)
_CELL_NAMES = ("q10", "q50", "q90", "q99", "max")
_DIRECTIONS = ("horizontal", "vertical", "diagonal")

STATISTIC_NAMES = [
    *(f"{level}_o{i:02d}" for level in _LEVELS for i in range(_BINS)),
    *(f"{level}_{name}" for level in _LEVELS for name in ("peak", "entropy")),
    *(f"exact_{name}" for name in _DIRECTIONS),
    *(
        f"cell_{kind}_{name}"
        for kind in ("energy", "coherence")
        for name in _CELL_NAMES
    ),
    *(f"{axis}_{name}" for axis in ("rows", "columns") for name in PROFILE_NAMES),
    "sparsity",
    "weak_share",
]


def hog_statistics(planes: np.ndarray) -> np.ndarray:
    """Describe the gradients of a frame at full resolution.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W)
        Channels on the scale 0..255.

    Returns
    -------
    values : ndarray of shape (len(STATISTIC_NAMES),), float32
        Finite for every frame.
    """
    row_step, column_step, magnitude = gradients(planes)
    shape = magnitude.shape
    mean = float(magnitude.mean()) + 1e-3
    values: list[float] = []
    cells = orientation_histograms(
        row_step, column_step, magnitude, _BINS, _cell_size(shape)
    )
    n_strong = max(1, magnitude.size // 20)
    cut, places = largest(magnitude.ravel(), n_strong, floor=1.0)
    rows, columns, weights = (
        array.ravel()[places] for array in (row_step, column_step, magnitude)
    )
    strong = _direction_histogram(rows, columns, None)
    is_top = weights >= 2 * cut
    top = _direction_histogram(rows[is_top], columns[is_top], weights[is_top])
    histograms = [_share(cells.sum(axis=(0, 1))), strong, top]
    for histogram in histograms:
        values += histogram.tolist()
    for histogram in histograms:
        values += [histogram.max(), _entropy(histogram)]
    n_strong = max(1, len(weights))
    values += [
        np.count_nonzero(columns == 0) / n_strong,
        np.count_nonzero(rows == 0) / n_strong,
        np.count_nonzero(np.abs(rows) == np.abs(columns)) / n_strong,
    ]
    energy = cells.sum(axis=2)
    coherence = cells.max(axis=2) / (energy + 1.0)
    values += np.log1p(np.quantile(energy, _CELL_QUANTILES) / mean).tolist()
    values += np.quantile(coherence, _CELL_QUANTILES).tolist()
    for axis, step in enumerate((row_step, column_step)):
        profile = np.abs(step).mean(axis=1 - axis, dtype=np.float32)
        values += profile_peaks(profile, 0.1 * mean)
    flat = magnitude.ravel()
    root_mean = np.sqrt(np.vdot(flat, flat) / flat.size) + 1e-3
    weak_share = np.count_nonzero(flat < 0.1 * mean) / flat.size
    values += [mean / root_mean, weak_share]
    return np.asarray(values, dtype=np.float32)


def _cell_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Sixteen pixels, or the whole side of a smaller frame."""
    return min(16, shape[0]), min(16, shape[1])


def _direction_histogram(
    rows: np.ndarray, columns: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    places = np.arctan2(rows, columns) * (_BINS / np.pi) + 1e-4
    bins = np.floor(places).astype(int) % _BINS
    return _share(np.bincount(bins, weights, minlength=_BINS).astype(float))


def _share(histogram: np.ndarray) -> np.ndarray:
    total = histogram.sum()
    return histogram / total if total > 0 else np.full(_BINS, 1 / _BINS)


def _entropy(histogram: np.ndarray) -> float:
    positive = histogram[histogram > 0]
    return float(-np.sum(positive * np.log(positive)))
