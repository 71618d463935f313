"""Gradients of frames and the histograms of their directions."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import numpy as np

from sklvyso.artifacts._frames import row_strips

# Differences of bytes: -255 to 255.
_N_STEPS = 511
# In units of a bin; single precision is off by a tenth of it at most.
_EDGE = 2e-5


def gradients(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the strongest channel's gradient at each pixel.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W)
        Channels, bytes or floats.

    Returns
    -------
    row_step, column_step : ndarray of shape (H, W)
        Differences of the neighbours below and above, right and left; 0 at borders.
        int16 for bytes, otherwise of the type of `planes`.
    magnitude : ndarray of shape (H, W)
        Their length; float32 for bytes.
    """
    is_bytes = planes.dtype == np.uint8
    shape = planes.shape[1:]
    row_step = np.empty(shape, dtype=np.int16 if is_bytes else planes.dtype)
    column_step = np.empty_like(row_step)
    magnitude = np.empty(shape, dtype=np.float32 if is_bytes else planes.dtype)
    for rows in row_strips(shape):
        steps = row_step[rows], column_step[rows]
        steps[0][:], steps[1][:] = _channel_gradients(planes[0], rows)
        best = _squares(*steps)
        for plane in planes[1:]:
            others = _channel_gradients(plane, rows)
            squares = _squares(*others)
            is_larger = squares > best
            for step, other in zip(steps, others, strict=True):
                _replace(step, other, is_larger)
            np.maximum(best, squares, out=best)
        np.sqrt(best.astype(magnitude.dtype, copy=False), out=magnitude[rows])
    return row_step, column_step, magnitude


def _channel_gradients(plane: np.ndarray, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Differences of a strip of rows, from a plane that has its neighbours."""
    top = max(rows.start - 1, 0)
    strip = np.ascontiguousarray(plane[top : rows.stop + 1])
    if strip.dtype == np.uint8:
        strip = strip.astype(np.int16)
    inner = strip[rows.start - top :][: rows.stop - rows.start]
    row_step, column_step = np.zeros_like(inner), np.empty_like(inner)
    first = max(1 - rows.start, 0)
    steps = row_step[first : first + max(len(strip) - 2, 0)]
    np.subtract(strip[2:], strip[:-2], out=steps)
    # One long row is faster than many; where rows meet is the border, which is 0.
    long = inner.ravel()
    np.subtract(long[2:], long[:-2], out=column_step.ravel()[1:-1])
    column_step[:, :1] = column_step[:, -1:] = 0
    return row_step, column_step


def _squares(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    if rows.dtype == np.int16:
        rows, columns = rows.astype(np.int32), columns.astype(np.int32)
    squares = rows * rows
    squares += columns * columns
    return squares


def _replace(values: np.ndarray, others: np.ndarray, mask: np.ndarray) -> None:
    """Take other values where the mask is set, in place."""
    # All bits of -1 are set, none of 0: no branch, so that noise costs nothing.
    kind = np.dtype(f"i{values.itemsize}")
    bits = np.negative(mask, dtype=kind)
    values, others = values.view(kind), others.view(kind)
    values ^= (values ^ others) & bits


def orientation_histograms(
    row_step: np.ndarray,
    column_step: np.ndarray,
    magnitude: np.ndarray,
    orientations: int,
    pixels_per_cell: tuple[int, int],
    interpolate: bool = False,
) -> np.ndarray:
    """Return the mean magnitude of each direction in each cell.

    Parameters
    ----------
    row_step, column_step, magnitude : ndarray of shape (H, W)
        See :func:`gradients`.
    orientations : int
        Bins over 180 degrees.
    pixels_per_cell : (int, int)
        Rows and columns of a cell; pixels beyond the last whole cell are left out.
    interpolate : bool
        Share votes between the two bins whose centres are nearest.

    Returns
    -------
    histograms : ndarray of shape (n_rows, n_columns, orientations), float64
        Sums of magnitudes over pixels, divided by the size of a cell.
    """
    height, width = pixels_per_cell
    n_rows, n_columns = row_step.shape[0] // height, row_step.shape[1] // width
    vote = _shared_votes if interpolate else _whole_votes
    histograms = np.empty((n_rows, n_columns, orientations))
    columns = slice(0, n_columns * width)
    for rows in row_strips((n_rows * height, n_columns * width), multiple=height):
        strip = histograms[rows.start // height : rows.stop // height]
        steps = row_step[rows, columns].ravel(), column_step[rows, columns].ravel()
        first = _cell_numbers((len(strip), n_columns), pixels_per_cell, orientations)
        weights = magnitude[rows, columns].ravel()
        strip[:] = vote(*steps, weights, orientations, first).reshape(strip.shape)
    return np.divide(histograms, height * width, out=histograms)


def _whole_votes(
    rows: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    orientations: int,
    first: np.ndarray,
) -> np.ndarray:
    """Sum the votes of pixels for the bin of their direction."""
    bins = _bins(rows, columns, orientations) + first
    size = int(first[-1]) + orientations
    return np.bincount(bins, weights, minlength=size)


def _shared_votes(
    rows: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    orientations: int,
    first: np.ndarray,
) -> np.ndarray:
    """Sum the votes of pixels for the two bins whose centres are nearest."""
    places = _bin_places(rows, columns, orientations) - 0.5
    lower = np.floor(places).astype(np.int32)
    share = places - lower
    size = int(first[-1]) + orientations
    sums = np.bincount(first + lower % orientations, (1 - share) * weights, size)
    upper = first + (lower + 1) % orientations
    return sums + np.bincount(upper, share * weights, size)


def _bins(rows: np.ndarray, columns: np.ndarray, orientations: int) -> np.ndarray:
    """Return the bin of directions."""
    if rows.dtype == np.int16:
        # Negative places count from the end of the table.
        places = np.multiply(rows, _N_STEPS, dtype=np.intp)
        places += columns
        return _byte_bins(orientations).take(places)
    places = _bin_places(rows, columns, orientations)
    bins = places.astype(np.int32)
    if places.dtype == np.float32:
        # At the edge of a bin the last digit decides: there, and only there, the
        # double precision that scikit-image uses. Zero is exact already.
        is_near = np.abs(places - np.rint(places)) < _EDGE
        is_near &= places != 0
        near = np.flatnonzero(is_near)
        bins[near] = _bin_places(
            rows[near].astype(np.float64),
            columns[near].astype(np.float64),
            orientations,
        )
    bins[bins >= orientations] = 0  # 180 degrees are 0
    return bins


@functools.lru_cache(maxsize=4)
def _byte_bins(orientations: int) -> np.ndarray:
    """Return the bin of each pair of differences of bytes, flat."""
    steps = np.fft.ifftshift(np.arange(-255.0, 256.0))
    # Of row step r and column step c the place is r * n + c, modulo n * n: a negative
    # column step borrows from the row.
    rows = np.repeat(steps, _N_STEPS)
    columns = np.tile(steps, _N_STEPS)
    places = (rows * _N_STEPS + columns).astype(np.int64)
    table = np.empty(_N_STEPS**2, dtype=np.min_scalar_type(orientations))
    table[places] = _bins(rows, columns, orientations)
    return table


def _bin_places(rows: np.ndarray, columns: np.ndarray, orientations: int) -> np.ndarray:
    """Return the direction of gradients in units of a bin, from 0 to `orientations`."""
    places = np.rad2deg(np.arctan2(rows, columns))
    np.add(places, 180, out=places, where=places < 0)
    return np.divide(places, 180 / orientations, out=places)


@functools.lru_cache(maxsize=16)
def _cell_numbers(
    n_cells: tuple[int, int], pixels_per_cell: tuple[int, int], step: int
) -> np.ndarray:
    """Return the number of each pixel's cell, times `step`, flat."""
    rows = np.arange(n_cells[0], dtype=np.intp).repeat(pixels_per_cell[0])
    columns = np.arange(n_cells[1], dtype=np.intp).repeat(pixels_per_cell[1])
    numbers = rows[:, None] * n_cells[1] + columns
    return (numbers * step).ravel()
