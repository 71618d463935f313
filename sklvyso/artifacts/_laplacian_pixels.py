"""Statistics of frames on the grid of their pixels: edges, dots, strokes, fills.

The Laplacian of the 4-neighbour grid, and what lines up along rows and columns.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import numpy as np
from scipy import fft

from sklvyso.artifacts._frames import row_strips
from sklvyso.artifacts._key_sums import KeySums
from sklvyso.artifacts._masks import count_columns, count_rows, share, tile_means
from sklvyso.artifacts._pixel_marks import (
    column_strokes,
    dots,
    row_strokes,
    second_differences,
)
from sklvyso.artifacts._profiles import (
    PROFILE_NAMES,
    QUANTILE_NAMES,
    QUANTILES,
    profile_peaks,
    quantiles,
)

_AXES = ("rows", "columns")
_PERIOD_NAMES = ("peak", "second", "flatness")
_TILE = 16
# By which a jump exceeds the jumps beside it.
_JUMP = 12
_SPECTRUM_BANDS = 8

NAMES = [
    *(f"{axis}_{name}" for axis in _AXES for name in PROFILE_NAMES),
    *(f"{axis}_line_{name}" for axis in _AXES for name in PROFILE_NAMES),
    *(f"{axis}_period_{name}" for axis in _AXES for name in _PERIOD_NAMES),
    *(f"{axis}_jump_max" for axis in _AXES),
    *(f"{axis}_jump_tenth" for axis in _AXES),
    *(f"{axis}_strokes" for axis in _AXES),
    *(f"{axis}_strokes_max" for axis in _AXES),
    "isolated",
    "isolated_tile_max",
    *(f"{axis}_equal" for axis in _AXES),
    "flat",
    "flat_tile_share",
    "top_color_share",
    "top_color_saturation",
    "second_color_share",
    "n_colors",
    "saturated",
    "near_black",
    "near_white",
    *(f"abs_{name}" for name in QUANTILE_NAMES),
    "log_scale",
    *(f"tile_variance_{name}" for name in ("min", "q10", "q50", "q90", "max")),
    "tile_smooth_share",
    *(f"dct_band{i}" for i in range(_SPECTRUM_BANDS)),
]


def grid_laplacian(plane: np.ndarray) -> np.ndarray:
    """Apply the Laplacian of the 4-neighbour grid: degree times value minus neighbours.

    Parameters
    ----------
    plane : ndarray of shape (H, W)
        One value a pixel.

    Returns
    -------
    values : ndarray of shape (H, W)
        They sum to zero; times the plane they sum to the squared edge differences.
    """
    values = np.zeros_like(plane)
    for rows in row_strips(plane.shape, 1):
        step, out = np.diff(plane[rows], axis=0), values[rows]
        out[:-1] -= step
        out[1:] += step
    for rows in row_strips(plane.shape):
        step, out = np.diff(plane[rows], axis=1), values[rows]
        out[:, :-1] -= step
        out[:, 1:] += step
    return values


def grid_spectrum(plane: np.ndarray, n_bands: int = _SPECTRUM_BANDS) -> np.ndarray:
    """Return the share of energy in bands of the grid Laplacian's eigenvalues.

    Eigenvectors of the grid are the cosines of the DCT-II, with eigenvalues
    ``4 - 2 cos(pi i / H) - 2 cos(pi j / W)`` from 0 to 8.

    Parameters
    ----------
    plane : ndarray of shape (H, W)
        One value a pixel.
    n_bands : int
        Bands of equal width in the square root of the eigenvalue.

    Returns
    -------
    shares : ndarray of shape (n_bands,)
        They sum to 1, or are all 0 for a constant plane.
    """
    energy = fft.dctn(plane, norm="ortho")
    energy *= energy
    energy[0, 0] = 0
    sums = _eigenvalue_bands(*plane.shape, n_bands).sums(energy)
    return sums / max(float(sums.sum()), 1e-3 * plane.size)


@functools.lru_cache(maxsize=4)
def _eigenvalue_bands(height: int, width: int, n_bands: int) -> KeySums:
    rows = 2 - 2 * np.cos(np.pi * np.arange(height) / height)
    columns = 2 - 2 * np.cos(np.pi * np.arange(width) / width)
    places = np.sqrt(rows[:, None] + columns) * (n_bands / np.sqrt(8))
    return KeySums(np.minimum(places.astype(np.int32), n_bands - 1), n_bands)


def pixel_statistics(planes: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Describe a frame on its pixel grid.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W), uint8 or float32
        Scale 0..255.
    grey : ndarray of shape (H, W), float32, contiguous
        Its luma.

    Returns
    -------
    values : ndarray of shape (len(NAMES),), float32
        Finite for every frame; sizes relative to the frame's own contrast, shares of
        its pixels.
    """
    sizes = [_jump_sizes(planes, axis) for axis in (0, 1)]
    profiles = [sizes[axis].mean(axis=1 - axis, dtype=np.float32) for axis in (0, 1)]
    contrast = float(sum(p.mean() if p.size else 0.0 for p in profiles)) / 2 + 1.0
    values: list[float] = []
    # A second difference stands for a line of one pixel, a first one for an edge.
    for profile in (*profiles, *second_differences(grey)):
        values += profile_peaks(profile, 0.2 * contrast)
    for profile in profiles:
        values += _periods(profile)
    jumps = [_jump_shares(sizes[axis], axis) for axis in (0, 1)]
    strokes = [row_strokes(grey), column_strokes(grey)]
    for pairs in (jumps, strokes):
        values += [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
    values += dots(grey)
    values += _flat_shares([size == 0 for size in sizes], grey.shape)
    values += _color_shares(planes)
    values += _sharpness(grid_laplacian(grey))
    values += grid_spectrum(grey).tolist()
    return np.asarray(values, dtype=np.float32)


def _jump_sizes(planes: np.ndarray, axis: int) -> np.ndarray:
    """Return the largest channel's absolute difference of neighbours."""
    largest = _differences(planes[0], axis)
    for plane in planes[1:]:
        np.maximum(largest, _differences(plane, axis), out=largest)
    return largest


def _differences(plane: np.ndarray, axis: int) -> np.ndarray:
    if axis == 0:
        first, second = plane[:-1], plane[1:]
    else:
        first, second = plane[:, :-1], plane[:, 1:]
    differences = np.maximum(first, second)
    differences -= np.minimum(first, second)  # bytes do not wrap
    return differences


def _periods(profile: np.ndarray) -> list[float]:
    """Peaks in the spectrum of a profile: blocks of equal length, as in stuttering."""
    if len(profile) < 8:
        return [0.0] * len(_PERIOD_NAMES)
    power = np.abs(fft.rfft(profile - profile.mean()))[2:] ** 2
    mean = power.mean() + 1e-6
    top = np.sort(power)[::-1]
    flatness = np.exp(np.mean(np.log(power + 1e-6))) / mean
    return [np.log1p(top[0] / mean), np.log1p(top[1] / mean), float(flatness)]


def _jump_shares(size: np.ndarray, axis: int) -> tuple[float, float]:
    """Lines along which the jump exceeds the jumps on both sides: tears and blocks."""
    if size.shape[axis] < 3:
        return 0.0, 0.0
    if axis == 0:
        before, middle, after = size[:-2], size[1:-1], size[2:]
    else:
        before, middle, after = size[:, :-2], size[:, 1:-1], size[:, 2:]
    sides = np.maximum(before, after)
    excess = np.maximum(middle, sides)
    excess -= sides  # bytes do not wrap
    count = count_rows if axis == 0 else count_columns
    shares = np.sort(count(excess > _JUMP))[::-1] / max(1, size.shape[1 - axis])
    return float(shares[0]), float(shares[min(9, len(shares) - 1)])


def _flat_shares(equal: list[np.ndarray], shape: tuple[int, ...]) -> list[float]:
    """Pixels equal to the next one each way, or both ways; tiles of the latter."""
    shares = [share(mask) for mask in equal]
    if min(shape) < 2:
        return [*shares, 0.0, 0.0]
    is_flat = equal[0][:, :-1] & equal[1][:-1]
    return [*shares, share(is_flat), share(tile_means(is_flat, _TILE) > 0.9)]


def _sharpness(laplacian: np.ndarray) -> list[float]:
    """Quantiles of the sizes, and of the tiles' variances, relative to the mean size.

    Overwrites the Laplacian.
    """
    absolute = np.abs(laplacian, out=laplacian)
    scale = float(absolute.mean()) + 0.5
    sizes = np.log1p(quantiles(absolute, QUANTILES) / scale)
    absolute *= absolute
    variances = tile_means(absolute, _TILE) / scale**2
    spread = np.log1p(np.quantile(variances, (0, 0.1, 0.5, 0.9, 1)))
    is_smooth = variances < 0.1 * np.median(variances) + 1e-6
    return [*sizes, np.log(scale), *spread, share(is_smooth)]


def _color_shares(planes: np.ndarray) -> list[float]:
    """How much of the frame the most frequent colours have, and extremes."""
    if planes.dtype != np.uint8:
        planes = np.clip(planes, 0, 255)
    high, low = planes.max(axis=0), planes.min(axis=0)
    extremes = [share(high - low > 180), share(high < 12), share(low > 243)]
    codes = np.zeros(high.shape, dtype=np.uint16)
    for plane in planes:
        codes <<= 5
        codes |= plane.astype(np.uint8, copy=False) >> 3
    counts = np.bincount(codes.ravel())
    top = int(counts.argmax())
    digits = [top // 32**i % 32 * 8 for i in range(len(planes))]
    top_share = counts[top] / codes.size
    n_colors = np.count_nonzero(counts) / codes.size
    counts[top] = 0
    return [
        top_share,
        (max(digits) - min(digits)) / 255,
        counts.max() / codes.size,
        np.log(n_colors + 1e-6),
        *extremes,
    ]
