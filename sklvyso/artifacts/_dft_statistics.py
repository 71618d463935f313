"""Spectra in numbers that depend on neither size nor contrast of the frame.

Moisan, "Periodic plus Smooth Image Decomposition", 2011, for what the borders of the
frame would add to its spectrum.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import numpy as np
from scipy import fft, ndimage

from sklvyso.artifacts._frames import row_strips
from sklvyso.artifacts._key_sums import KeySums
from sklvyso.artifacts._profiles import quantiles

_RINGS = 16
_ANGLES = 18
_BANDS = ((0.02, 0.1), (0.1, 0.25), (0.25, 0.5))
_TOP_RANKS = (0, 2, 9)
_TAILS = (0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999, 1.0)
_TAIL_NAMES = ("q0_1", "q1", "q5", "q50", "q95", "q99", "q99_9", "max")

STATISTIC_NAMES = [
    *(f"r{i:02d}_mean" for i in range(_RINGS)),
    *(f"r{i:02d}_var" for i in range(_RINGS)),
    *(f"band{b}_a{i:02d}" for b in range(2) for i in range(_ANGLES)),
    *(
        f"{axis}_{name}"
        for axis in ("rows", "columns", "vertical_line", "horizontal_line")
        for name in ("max", "third", "tenth", "std")
    ),
    *(
        f"{axis}_axis_band{b}"
        for axis in ("vertical", "horizontal")
        for b in range(len(_BANDS))
    ),
    *(f"residual_{name}" for name in _TAIL_NAMES),
    *(f"peaks_{name}" for name in ("share", "strong_share")),
    "slope",
    "curvature",
    "border",
]


def dft_statistics(grey: np.ndarray) -> np.ndarray:
    """Describe the spectrum of a frame.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32
        Scale 0..255.

    Returns
    -------
    values : ndarray of shape (len(STATISTIC_NAMES),), float32
        Finite for every frame. Powers are those of the frame's periodic part divided
        by its variance, in natural logarithms.
    """
    spectrum = fft.rfft2(grey)
    border_power = _subtract_smooth_part(spectrum, grey)
    spectrum[0, 0] = 0
    power = spectrum.real**2
    power += spectrum.imag**2
    mean_power = float(power.mean()) + 1e-6 * grey.size
    border_share = np.sqrt(border_power / mean_power)
    power /= np.float32(mean_power)
    power += np.float32(1e-6)
    log_power = np.log(power, out=power)
    rings, directions = _places(*grey.shape)
    means = rings.means(log_power)
    residual = log_power.ravel()
    residual -= rings.spread(means.astype(np.float32))
    residual[0] = 0  # the mean of the frame is no part of its spectrum
    values = [*means, *rings.means(residual * residual), *directions.means(residual)]
    plane = residual.reshape(log_power.shape)
    for axis in (1, 0):
        values += _marginal_peaks(plane.mean(axis=axis))
    # Bars that run straight across have all their power on one of the axes.
    for line in (plane[:, 0], plane[0]):
        values += _marginal_peaks(line)
    values += _axis_excess(plane, grey.shape)
    values += quantiles(residual, _TAILS).tolist()
    values += [np.count_nonzero(residual > cut) / residual.size for cut in (3, 5)]
    values += _trend(means, rings.totals)
    values.append(np.log1p(border_share))
    return np.asarray(values, dtype=np.float32)


def _subtract_smooth_part(spectrum: np.ndarray, grey: np.ndarray) -> float:
    """Take away what jumps from border to opposite border cause; return its power.

    The jumps live on four lines, so that one-dimensional transforms suffice.
    """
    rows = fft.rfft(grey[-1] - grey[0])
    columns = fft.fft(grey[:, -1] - grey[:, 0])[:, None]
    row_phase, column_phase, inverse = _border_factors(*grey.shape)
    total = 0.0
    for strip in row_strips(spectrum.shape):
        smooth = row_phase[strip] * rows
        smooth += columns[strip] * column_phase
        smooth *= inverse[strip]
        spectrum[strip] -= smooth
        total += float(np.vdot(smooth, smooth).real)
    return total / spectrum.size


@functools.lru_cache(maxsize=4)
def _border_factors(
    height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Phases of the two pairs of borders, and the inverse Laplacian, 0 for the mean."""
    u, v = np.arange(height)[:, None], np.arange(width // 2 + 1)
    row_phase = (1 - np.exp(2j * np.pi * u / height)).astype(np.complex64)
    column_phase = (1 - np.exp(2j * np.pi * v / width)).astype(np.complex64)
    cosines = 2 * np.cos(2 * np.pi * u / height) + 2 * np.cos(2 * np.pi * v / width) - 4
    cosines[0, 0] = np.inf
    return row_phase, column_phase, (1 / cosines).astype(np.float32)


@functools.lru_cache(maxsize=4)
def _places(height: int, width: int) -> tuple[KeySums, KeySums]:
    """Rings, and directions in each of two bands, of the half plane's frequencies."""
    u = fft.fftfreq(height)[:, None]
    v = fft.rfftfreq(width)[None, :]
    radius = np.hypot(u, v)
    rings = np.minimum((radius * 2 * _RINGS).astype(np.int32), _RINGS - 1)
    # The mean is no frequency; it sits in a ring of its own.
    rings[0, 0] = _RINGS
    angles = np.floor(np.arctan2(u, v) * (_ANGLES / np.pi) + 1e-6).astype(np.int32)
    bands = np.digitize(radius, [0.02, 0.15, 0.5]).astype(np.int32)
    bands[(np.abs(u) * height < 0.5) | (np.abs(v) * width < 0.5)] = 0
    is_known = (bands == 1) | (bands == 2)
    directions = np.where(
        is_known, (bands - 1) * _ANGLES + angles % _ANGLES, 2 * _ANGLES
    )
    # Frequencies whose mirror is not in the half plane count twice.
    weights = np.full(radius.shape, 2.0)
    weights[:, 0] = 1
    if width % 2 == 0:
        weights[:, -1] = 1
    return KeySums(rings, _RINGS, weights), KeySums(directions, 2 * _ANGLES, weights)


def _marginal_peaks(profile: np.ndarray) -> list[float]:
    """Peaks of a mean over one frequency axis: patterns that repeat."""
    excess = profile - ndimage.median_filter(profile, 9, mode="nearest")
    top = np.sort(excess)[::-1]
    picks = [float(top[min(i, len(top) - 1)]) for i in _TOP_RANKS]
    return [*picks, float(excess.std())]


def _axis_excess(plane: np.ndarray, shape: tuple[int, ...]) -> list[float]:
    """Mean residual on the two axes by band: straight horizontal, vertical edges."""
    values = []
    for frequency, line in (
        (np.abs(fft.fftfreq(shape[0])), plane[:, 0]),
        (fft.rfftfreq(shape[1]), plane[0]),
    ):
        for low, high in _BANDS:
            chosen = line[(frequency >= low) & (frequency <= high)]
            values.append(float(chosen.mean()) if len(chosen) else 0.0)
    return values


def _trend(means: np.ndarray, sums: np.ndarray) -> list[float]:
    """Slope and curvature of the radial profile against log frequency."""
    known = sums > 0
    if np.count_nonzero(known) < 3:
        return [0.0, 0.0]
    x = np.log(np.arange(_RINGS)[known] + 0.5)
    curvature, slope, _ = np.polyfit(x - x.mean(), means[known], 2)
    return [float(slope), float(curvature)]
