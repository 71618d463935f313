"""Gradients of frames and the histograms of their directions."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import numpy as np

# In units of a bin; single precision is off by a tenth of it at most.
_EDGE = 2e-5


def gradients(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the strongest channel's gradient at each pixel.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W)
        Channels.

    Returns
    -------
    row_step, column_step : ndarray of shape (H, W)
        Differences of the neighbours below and above, right and left; 0 at borders.
    magnitude : ndarray of shape (H, W)
        Their length.
    """
    row_step, column_step = _channel_gradients(planes[0])
    best = row_step * row_step
    best += column_step * column_step
    for plane in planes[1:]:
        rows, columns = _channel_gradients(plane)
        squares = rows * rows
        squares += columns * columns
        is_larger = squares > best
        row_step = np.where(is_larger, rows, row_step)
        column_step = np.where(is_larger, columns, column_step)
        np.maximum(best, squares, out=best)
    return row_step, column_step, np.sqrt(best, out=best)


def _channel_gradients(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.empty_like(plane), np.empty_like(plane)
    np.subtract(plane[2:], plane[:-2], out=rows[1:-1])
    np.subtract(plane[:, 2:], plane[:, :-2], out=columns[:, 1:-1])
    rows[:1] = rows[-1:] = columns[:, :1] = columns[:, -1:] = 0
    return rows, columns


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
    shape = row_step.shape
    n_cells = tuple(n // c for n, c in zip(shape, pixels_per_cell, strict=True))
    cut = tuple(slice(0, n * c) for n, c in zip(n_cells, pixels_per_cell, strict=True))
    weights = magnitude[cut].ravel()
    first = _cell_numbers(n_cells, pixels_per_cell) * np.int32(orientations)
    size = n_cells[0] * n_cells[1] * orientations
    rows, columns = row_step[cut].ravel(), column_step[cut].ravel()
    places = _bin_places(rows, columns, orientations)
    if interpolate:
        places -= 0.5
        lower = np.floor(places).astype(np.int32)
        share = places - lower
        sums = np.bincount(
            first + lower % orientations, (1 - share) * weights, minlength=size
        )
        sums += np.bincount(
            first + (lower + 1) % orientations, share * weights, minlength=size
        )
    else:
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
        bins += first
        sums = np.bincount(bins, weights, minlength=size)
    means = sums / (pixels_per_cell[0] * pixels_per_cell[1])
    return means.reshape(*n_cells, orientations)


def _bin_places(rows: np.ndarray, columns: np.ndarray, orientations: int) -> np.ndarray:
    """Return the direction of gradients in units of a bin, from 0 to `orientations`."""
    places = np.rad2deg(np.arctan2(rows, columns))
    np.add(places, 180, out=places, where=places < 0)
    return np.divide(places, 180 / orientations, out=places)


@functools.lru_cache(maxsize=16)
def _cell_numbers(
    n_cells: tuple[int, int], pixels_per_cell: tuple[int, int]
) -> np.ndarray:
    rows = np.arange(n_cells[0], dtype=np.int32).repeat(pixels_per_cell[0])
    columns = np.arange(n_cells[1], dtype=np.int32).repeat(pixels_per_cell[1])
    return (rows[:, None] * np.int32(n_cells[1]) + columns).ravel()
