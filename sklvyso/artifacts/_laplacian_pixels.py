"""Statistics of frames on the grid of their pixels: edges, dots, strokes, fills.

The Laplacian of the 4-neighbour grid, and what lines up along rows and columns.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import numpy as np
from scipy import fft

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
    step = np.diff(plane, axis=0)
    values[:-1] -= step
    values[1:] += step
    step = np.diff(plane, axis=1)
    values[:, :-1] -= step
    values[:, 1:] += step
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
    bands = _eigenvalue_bands(*plane.shape, n_bands)
    sums = np.bincount(bands, energy.ravel(), minlength=n_bands)
    return sums / max(float(sums.sum()), 1e-3 * plane.size)


@functools.lru_cache(maxsize=16)
def _eigenvalue_bands(height: int, width: int, n_bands: int) -> np.ndarray:
    rows = 2 - 2 * np.cos(np.pi * np.arange(height) / height)
    columns = 2 - 2 * np.cos(np.pi * np.arange(width) / width)
    places = np.sqrt(rows[:, None] + columns) * (n_bands / np.sqrt(8))
    return np.minimum(places.astype(np.int32), n_bands - 1).ravel()


def pixel_statistics(planes: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Describe a frame on its pixel grid.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W), float32
        Scale 0..255.
    grey : ndarray of shape (H, W), float32
        Its luma.

    Returns
    -------
    values : ndarray of shape (len(NAMES),), float32
        Finite for every frame; sizes relative to the frame's own contrast, shares of
        its pixels.
    """
    sizes = [_jump_sizes(planes, axis) for axis in (0, 1)]
    profiles = [sizes[0].mean(axis=1), sizes[1].mean(axis=0)]
    contrast = float(sum(p.mean() if p.size else 0.0 for p in profiles)) / 2 + 1.0
    laplacian = grid_laplacian(grey)
    values: list[float] = []
    for profile in profiles:
        values += profile_peaks(profile, 0.2 * contrast)
    # A second difference stands for a line of one pixel, a first one for an edge.
    for axis in (0, 1):
        second = np.abs(np.diff(grey, 2, axis=axis)).mean(axis=1 - axis)
        values += profile_peaks(second, 0.2 * contrast)
    for profile in profiles:
        values += _periods(profile)
    jumps = [_jump_shares(sizes[0]), _jump_shares(sizes[1].T)]
    values += [jump[0] for jump in jumps] + [jump[1] for jump in jumps]
    strokes = [_strokes(grey), _strokes(grey.T)]
    values += [stroke[0] for stroke in strokes] + [stroke[1] for stroke in strokes]
    values += _isolated(grey)
    equal = [size == 0 for size in sizes]
    values += [float(e.mean()) if e.size else 0.0 for e in equal]
    values += _flat_shares(equal, grey.shape)
    values += _color_shares(planes)
    absolute = np.abs(laplacian)
    scale = float(absolute.mean()) + 0.5
    values += np.log1p(quantiles(absolute, QUANTILES) / scale).tolist()
    values.append(np.log(scale))
    variances = _tile_means(laplacian**2) / scale**2
    values += np.log1p(np.quantile(variances, (0, 0.1, 0.5, 0.9, 1))).tolist()
    values.append(float(np.mean(variances < 0.1 * np.median(variances) + 1e-6)))
    values += grid_spectrum(grey).tolist()
    return np.asarray(values, dtype=np.float32)


def _jump_sizes(planes: np.ndarray, axis: int) -> np.ndarray:
    """Return the largest channel's absolute difference of neighbours."""
    largest = np.abs(np.diff(planes[0], axis=axis))
    for plane in planes[1:]:
        step = np.diff(plane, axis=axis)
        np.maximum(largest, np.abs(step, out=step), out=largest)
    return largest


def _periods(profile: np.ndarray) -> list[float]:
    """Peaks in the spectrum of a profile: blocks of equal length, as in stuttering."""
    if len(profile) < 8:
        return [0.0] * len(_PERIOD_NAMES)
    power = np.abs(fft.rfft(profile - profile.mean()))[2:] ** 2
    mean = power.mean() + 1e-6
    top = np.sort(power)[::-1]
    flatness = np.exp(np.mean(np.log(power + 1e-6))) / mean
    return [np.log1p(top[0] / mean), np.log1p(top[1] / mean), float(flatness)]


def _jump_shares(size: np.ndarray) -> tuple[float, float]:
    """Lines along which the jump exceeds the jumps on both sides: tears and blocks."""
    if size.shape[0] < 3:
        return 0.0, 0.0
    is_jump = size[1:-1] > np.maximum(size[:-2], size[2:]) + 12
    shares = np.sort(is_jump.mean(axis=1))[::-1]
    return float(shares[0]), float(shares[min(9, len(shares) - 1)])


def _strokes(grey: np.ndarray) -> tuple[float, float]:
    """Strokes one pixel high: unlike above and below, like the pixel to the left."""
    if grey.shape[0] < 3 or grey.shape[1] < 2:
        return 0.0, 0.0
    middle, above, below = grey[1:-1], grey[:-2], grey[2:]
    is_line = np.abs(middle - above) > 20
    is_line &= np.abs(middle - below) > 20
    is_line &= np.abs(above - below) < 15
    is_line &= (middle > above) == (middle > below)
    is_stroke = is_line[:, 1:] & is_line[:, :-1]
    is_stroke &= np.abs(middle[:, 1:] - middle[:, :-1]) < 10
    return float(is_stroke.mean()), float(is_stroke.mean(axis=1).max())


def _isolated(grey: np.ndarray) -> list[float]:
    """Pixels unlike their four neighbours, which agree: dots."""
    if min(grey.shape) < 3:
        return [0.0, 0.0]
    middle = grey[1:-1, 1:-1]
    sides = (grey[:-2, 1:-1], grey[2:, 1:-1], grey[1:-1, :-2], grey[1:-1, 2:])
    high = np.maximum(np.maximum(sides[0], sides[1]), np.maximum(sides[2], sides[3]))
    low = np.minimum(np.minimum(sides[0], sides[1]), np.minimum(sides[2], sides[3]))
    mean = (sides[0] + sides[1] + sides[2] + sides[3]) / 4
    is_dot = (np.abs(middle - mean) > 30) & (high - low < 25)
    tiles = _tile_means(is_dot.astype(np.float32), 4 * _TILE)
    return [float(is_dot.mean()), float(tiles.max())]


def _flat_shares(equal: list[np.ndarray], shape: tuple[int, ...]) -> list[float]:
    """Pixels equal to the next ones in both directions; tiles made of such pixels."""
    if min(shape) < 2:
        return [0.0, 0.0]
    is_flat = (equal[0][:, :-1] & equal[1][:-1]).astype(np.float32)
    return [float(is_flat.mean()), float(np.mean(_tile_means(is_flat) > 0.9))]


def _color_shares(planes: np.ndarray) -> list[float]:
    """How much of the frame the most frequent colours have, and extremes."""
    high, low = planes.max(axis=0), planes.min(axis=0)
    codes = np.zeros(high.shape, dtype=np.int32)
    for plane in planes:
        codes = codes * 32 + np.clip(plane, 0, 255).astype(np.int32) // 8
    counts = np.bincount(codes.ravel())
    top = int(counts.argmax())
    digits = [top // 32**i % 32 * 8 for i in range(len(planes))]
    share = counts[top] / codes.size
    n_colors = np.count_nonzero(counts) / codes.size
    counts[top] = 0
    return [
        share,
        (max(digits) - min(digits)) / 255,
        counts.max() / codes.size,
        np.log(n_colors + 1e-6),
        float(np.mean(high - low > 180)),
        float(np.mean(high < 12)),
        float(np.mean(low > 243)),
    ]


def _tile_means(plane: np.ndarray, side: int = _TILE) -> np.ndarray:
    """Means over tiles; what is left beyond the last whole tile joins it."""
    starts = [np.arange(max(1, n // side)) * side for n in plane.shape]
    sums = np.add.reduceat(plane, starts[0], axis=0)
    sums = np.add.reduceat(sums, starts[1], axis=1)
    lengths = [
        np.diff(np.append(s, n)) for s, n in zip(starts, plane.shape, strict=True)
    ]
    return sums / np.outer(*lengths)
