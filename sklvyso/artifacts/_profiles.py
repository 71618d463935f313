"""Statistics of profiles: what sticks out of a smooth curve."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from scipy import ndimage

PROFILE_NAMES = ("max", "third", "tenth", "std", "place")
_ENOUGH = 100_000
_FEW = 10_000
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
QUANTILE_NAMES = tuple(f"q{100 * q:g}".replace(".", "_") for q in QUANTILES)


def profile_peaks(profile: np.ndarray, floor: float, width: int = 9) -> list[float]:
    """Describe how a profile exceeds its running median.

    Parameters
    ----------
    profile : ndarray of shape (n,)
        Not negative.
    floor : float
        Added to the median, so that noise near zero does not count as a peak.
    width : int, default=9
        Of the median.

    Returns
    -------
    values : list of float
        As `PROFILE_NAMES`: largest, third and tenth largest relative excess, its
        standard deviation, and the share of positions above half of the largest.
    """
    if not len(profile):
        return [0.0] * len(PROFILE_NAMES)
    middle = ndimage.median_filter(profile, width, mode="nearest")
    excess = (profile - middle) / (middle + floor)
    top = np.sort(excess)[::-1]
    picks = [float(top[min(i, len(top) - 1)]) for i in (0, 2, 9)]
    share = float(np.mean(excess > max(picks[0], 1e-6) / 2))
    return [*picks, float(excess.std()), share]


def quantiles(values: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Return quantiles without interpolation: the entries at ``floor(q * (n - 1))``.

    Of more than 200,000 values, every third, fifth, ... one speaks for all.
    """
    step = max(1, values.size // _ENOUGH) | 1
    thinned = values.ravel()[::step]
    places = (np.asarray(shares) * (thinned.size - 1)).astype(int)
    if thinned.dtype != np.float32:
        return np.partition(thinned, np.unique(places))[places]
    codes = _swap_order(thinned.view(np.int32))
    chosen = np.partition(codes, np.unique(places))[places]
    return _swap_order(chosen).view(np.float32)


def _swap_order(bits: np.ndarray) -> np.ndarray:
    """Turn the bits of float32 into integers of the same order, or back.

    Integers are selected in half the time. The bits of negative floats rise with
    their size, so that all but the sign are flipped.
    """
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def largest(values: np.ndarray, n_largest: int, floor: float) -> tuple[Any, np.ndarray]:
    """Find the largest values, exactly, without a pass of selection over all of them.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Of any order.
    n_largest : int
        How many are sought.
    floor : float
        Smaller ones do not count.

    Returns
    -------
    cut : float
        The `n_largest`-th largest value, `floor` if that is larger.
    places : ndarray of int
        Where values are at least the cut, in order.
    """
    thinned = values[:: max(1, len(values) // _FEW) | 1]
    share = min(1.0, 2 * n_largest / len(values))
    guess = float(quantiles(thinned, (1 - share,))[0])
    for low in (max(guess, floor), floor):
        places = np.flatnonzero(values >= low)
        if len(places) >= n_largest:
            chosen = values[places]
            cut = np.partition(chosen, -n_largest)[-n_largest]
            return cut, places[chosen >= cut]
    return floor, places
