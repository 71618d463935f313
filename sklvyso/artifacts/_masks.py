"""Counts over masks and tiles of a plane, and growing a mask.

NumPy sums a mask in eight bytes an entry; these stay with bytes, or bits.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np


def count_rows(mask: np.ndarray) -> np.ndarray:
    """Return how many entries of each row are set, (H,) integers."""
    return np.bitwise_count(np.packbits(mask, axis=1)).sum(axis=1, dtype=np.intp)


def count_columns(mask: np.ndarray) -> np.ndarray:
    """Return how many entries of each column are set, (W,) integers."""
    counts = np.zeros(mask.shape[1], dtype=np.intp)
    for start in range(0, len(mask), 255):  # as many as a byte counts
        part = mask[start : start + 255].view(np.uint8)
        counts += part.sum(axis=0, dtype=np.uint8)
    return counts


def share(mask: np.ndarray) -> float:
    """Return the share of entries that are set, 0 of none."""
    return np.count_nonzero(mask) / max(1, mask.size)


def grow(mask: np.ndarray, n_pixels: int) -> np.ndarray:
    """Return a mask that is set within a square of ``2 * n_pixels + 1`` of set ones."""
    for axis in (0, 1):
        reach = 0
        while reach < n_pixels:
            # A larger step would leave gaps at the border, outside of which is nothing.
            step = min(reach + 1, n_pixels - reach)
            reach += step
            mask = _spread(mask, axis, step)
    return mask


def _spread(mask: np.ndarray, axis: int, step: int) -> np.ndarray:
    """Set what is `step` before or after a set entry too."""
    spread = mask.copy()
    old, new = (m if axis == 0 else m.T for m in (mask, spread))
    new[step:] |= old[:-step]
    new[:-step] |= old[step:]
    return spread


def tile_sums(plane: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum over square tiles.

    Parameters
    ----------
    plane : ndarray of shape (H, W)
        A mask, or float32.
    side : int
        Of a tile, at most 64; what is left beyond the last whole tile joins it.

    Returns
    -------
    sums, areas : ndarray of shape (n_rows, n_columns), float32 and int
        Of the tiles.
    """
    if plane.dtype == bool:
        plane = plane.view(np.uint8)  # the rows of a tile are fewer than 255
    n_rows, n_columns = (max(1, n // side) for n in plane.shape)
    last = (n_rows - 1) * side
    rows = np.empty((n_rows, plane.shape[1]), dtype=np.float32)
    whole = plane[:last].reshape(n_rows - 1, side, plane.shape[1])
    rows[:-1] = whole.sum(axis=1, dtype=plane.dtype)
    rows[-1] = plane[last:].sum(axis=0, dtype=plane.dtype)
    starts = np.arange(n_columns) * side
    heights = np.full(n_rows, side)
    heights[-1] = plane.shape[0] - last
    widths = np.diff(np.append(starts, plane.shape[1]))
    return np.add.reduceat(rows, starts, axis=1), np.outer(heights, widths)


def tile_means(plane: np.ndarray, side: int) -> np.ndarray:
    """Return the means over square tiles; see :func:`tile_sums`."""
    sums, areas = tile_sums(plane, side)
    return sums / areas
