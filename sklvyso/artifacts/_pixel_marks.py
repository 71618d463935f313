"""Marks of single pixels on the luma of a frame: lines, strokes, dots.

Each is found strip by strip; see :func:`sklvyso.artifacts._frames.row_strips`.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from sklvyso.artifacts._frames import row_strips
from sklvyso.artifacts._masks import count_columns, count_rows, share, tile_means

# Luma by which a stroke differs from both sides, they from each other, and it along.
_STROKE, _SIDES, _ALONG = 20, 15, 10
# Luma by which a dot differs from its neighbours, and they from each other.
_DOT, _NEIGHBOURS = 30, 25
_TILE = 64


def second_differences(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean absolute second differences of rows and columns, across each.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32, contiguous
        Luma.

    Returns
    -------
    rows : ndarray of shape (max(H - 2, 0),)
        Of each row from the rows above and below.
    columns : ndarray of shape (max(W - 2, 0),)
        Of each column from the columns on the left and right.
    """
    height, width = grey.shape
    rows = [_bend(grey[r], 0).mean(axis=1) for r in row_strips(grey.shape, 2)]
    columns = np.zeros(max(width - 2, 0))
    if width > 2:
        for r in row_strips(grey.shape):
            columns += _bend(grey[r], 1).sum(axis=0)
    return np.concatenate(rows or [np.zeros(0)]), columns / height


def _bend(strip: np.ndarray, axis: int) -> np.ndarray:
    bend = _step(_step(strip, axis), axis)
    return np.abs(bend, out=bend)


def _step(strip: np.ndarray, axis: int, distance: int = 1) -> np.ndarray:
    """Return differences of neighbours, or of those `distance` apart."""
    if axis == 0:
        return strip[distance:] - strip[:-distance]
    # One long row is faster than many; what crosses from row to row is cut off.
    step = np.empty(strip.shape, dtype=strip.dtype)
    long = strip.ravel()
    np.subtract(long[distance:], long[:-distance], out=step.ravel()[:-distance])
    return step[:, :-distance]


def row_strokes(grey: np.ndarray) -> tuple[float, float]:
    """Strokes one pixel high: unlike above and below, like the pixel to the left.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32, contiguous
        Luma.

    Returns
    -------
    share, largest : float
        Share of the pixels on strokes, and the largest share of a row.
    """
    height, width = grey.shape
    if height < 3 or width < 2:
        return 0.0, 0.0
    counts = []
    for rows in row_strips(grey.shape, 2):
        strip = grey[rows]
        differs = np.abs(_step(strip, 0)) > _STROKE
        is_line = differs[:-1] & differs[1:]
        is_line &= np.abs(_step(strip, 0, 2)) < _SIDES
        is_stroke = is_line[:, 1:] & is_line[:, :-1]
        is_stroke &= np.abs(_step(strip[1:-1], 1)) < _ALONG
        counts.append(count_rows(is_stroke))
    shares = np.concatenate(counts) / (width - 1)
    return float(shares.mean()), float(shares.max())


def column_strokes(grey: np.ndarray) -> tuple[float, float]:
    """Strokes one pixel wide: :func:`row_strokes` of the transposed frame."""
    height, width = grey.shape
    if width < 3 or height < 2:
        return 0.0, 0.0
    counts = np.zeros(width - 2)
    for rows in row_strips(grey.shape, 1):
        strip = grey[rows]
        differs = np.abs(_step(strip, 1)) > _STROKE
        is_line = differs[:, :-1] & differs[:, 1:]
        is_line &= np.abs(_step(strip, 1, 2)) < _SIDES
        is_stroke = is_line[1:] & is_line[:-1]
        is_stroke &= (np.abs(_step(strip, 0)) < _ALONG)[:, 1:-1]
        counts += count_columns(is_stroke)
    shares = counts / (height - 1)
    return float(shares.mean()), float(shares.max())


def dots(grey: np.ndarray) -> tuple[float, float]:
    """Pixels unlike their four neighbours, which agree.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32, contiguous
        Luma.

    Returns
    -------
    share, largest : float
        Share of the inner pixels, and the largest share of a tile.
    """
    if min(grey.shape) < 3:
        return 0.0, 0.0
    is_dot = np.concatenate([_dots(grey[rows]) for rows in row_strips(grey.shape, 2)])
    return share(is_dot), float(tile_means(is_dot, _TILE).max())


def _dots(strip: np.ndarray) -> np.ndarray:
    height, width = strip.shape
    # One long row; the first and last pixel of each row are cut off at the end.
    long = strip.ravel()
    n = (height - 2) * width - 2
    up, left, middle, right, down = (
        long[first : first + n]
        for first in (1, width, width + 1, width + 2, 2 * width + 1)
    )
    high = np.maximum(up, down)
    low = np.minimum(up, down)
    for side in (left, right):
        np.maximum(high, side, out=high)
        np.minimum(low, side, out=low)
    high -= low
    mean = up + down
    mean += left
    mean += right
    mean *= np.float32(0.25)
    mean -= middle
    is_dot = np.zeros((height - 2, width), dtype=bool)
    inner = is_dot.ravel()[:n]
    np.greater(np.abs(mean, out=mean), _DOT, out=inner)
    inner &= high < _NEIGHBOURS
    return is_dot[:, :-2]
