"""Spectra in numbers that depend on neither size nor contrast of the frame.

Moisan, "Periodic plus Smooth Image Decomposition", 2011, for what the borders of the
frame would add to its spectrum.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import numpy as np
from scipy import fft, ndimage

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
    border = _smooth_part(grey)
    total = float(np.sqrt(np.mean(np.abs(border) ** 2)))
    spectrum -= border
    spectrum[0, 0] = 0
    power = spectrum.real**2
    power += spectrum.imag**2
    mean_power = float(power.mean()) + 1e-6 * grey.size
    border_share = total / np.sqrt(mean_power)
    log_power = np.log(power / mean_power + 1e-6)
    rings, angles, bands, weights = _places(*grey.shape)
    ring_sums = np.bincount(rings, weights, minlength=_RINGS + 1)[:_RINGS]
    flat = log_power.ravel()
    means = _mean(rings, weights, flat, ring_sums)
    residual = flat - np.append(means, 0.0)[rings]
    residual[0] = 0  # the mean of the frame is no part of its spectrum
    variances = _mean(rings, weights, residual**2, ring_sums)
    values = [*means, *variances]
    for band in (1, 2):
        key = np.where(bands == band, angles, _ANGLES)
        sums = np.bincount(key, weights, minlength=_ANGLES + 1)[:_ANGLES]
        values += _mean(key, weights, residual, sums).tolist()
    plane = residual.reshape(log_power.shape)
    for axis in (1, 0):
        values += _marginal_peaks(plane.mean(axis=axis))
    # Bars that run straight across have all their power on one of the axes.
    for line in (plane[:, 0], plane[0]):
        values += _marginal_peaks(line)
    values += _axis_excess(plane, grey.shape)
    values += quantiles(residual, _TAILS).tolist()
    values += [float(np.mean(residual > 3.0)), float(np.mean(residual > 5.0))]
    values += _trend(means, ring_sums)
    values.append(np.log1p(border_share))
    return np.asarray(values, dtype=np.float32)


def _smooth_part(grey: np.ndarray) -> np.ndarray:
    """Return the spectrum of what jumps from border to opposite border cause.

    The jumps live on four lines, so that one-dimensional transforms suffice.
    """
    height, width = grey.shape
    rows = fft.rfft(grey[-1] - grey[0])
    columns = fft.fft(grey[:, -1] - grey[:, 0])
    u, v = np.arange(height), np.arange(width // 2 + 1)
    row_phase = (1 - np.exp(2j * np.pi * u / height)).astype(np.complex64)
    column_phase = (1 - np.exp(2j * np.pi * v / width)).astype(np.complex64)
    jumps = row_phase[:, None] * rows + columns[:, None] * column_phase
    cosines = 2 * np.cos(2 * np.pi * u / height)[:, None]
    cosines = (cosines + 2 * np.cos(2 * np.pi * v / width) - 4).astype(np.float32)
    cosines[0, 0] = 1
    smooth = jumps / cosines
    smooth[0, 0] = 0
    return smooth


@functools.lru_cache(maxsize=16)
def _places(height: int, width: int) -> tuple[np.ndarray, ...]:
    """Ring, angle, band and weight of each frequency of the half plane, flat."""
    u = fft.fftfreq(height)[:, None]
    v = fft.rfftfreq(width)[None, :]
    radius = np.hypot(u, v)
    rings = np.minimum((radius * 2 * _RINGS).astype(np.int32), _RINGS - 1)
    # The mean is no frequency; it sits in a ring of its own.
    rings[0, 0] = _RINGS
    angles = np.floor(np.arctan2(u, v) * (_ANGLES / np.pi) + 1e-6).astype(np.int32)
    bands = np.digitize(radius, [0.02, 0.15, 0.5]).astype(np.int32)
    bands[(np.abs(u) * height < 0.5) | (np.abs(v) * width < 0.5)] = 0
    # Frequencies whose mirror is not in the half plane count twice.
    weights = np.full(radius.shape, 2.0)
    weights[:, 0] = 1
    if width % 2 == 0:
        weights[:, -1] = 1
    return rings.ravel(), (angles % _ANGLES).ravel(), bands.ravel(), weights.ravel()


def _mean(
    key: np.ndarray, weights: np.ndarray, values: np.ndarray, sums: np.ndarray
) -> np.ndarray:
    totals = np.bincount(key, weights * values, minlength=len(sums) + 1)
    return totals[: len(sums)] / np.maximum(sums, 1e-9)


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
