"""Frames as users hold them, turned into planes on the scale 0..255.

Whatever the container, a frame is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), of which
the fourth channel (opacity) is dropped.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from sklvyso._arguments import read_array, read_numbers
from sklvyso._validation import check_array
from sklvyso.artifacts._reading import read_image

# Luma of red, green and blue (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# A float frame made from bytes is back on whole numbers within this.
_SNAP = 1e-3
_CHANNELS = (1, 3, 4)
# Squares of sums of pixels stay within float32.
_LARGEST = 1e12
# Light beyond white, in high dynamic range, stays below this.
_BRIGHTEST = 16.0
# Pixels of a strip: a few strips of float32 fit the second-level cache.
_STRIP = 1 << 15


def is_listed(X: Any) -> bool:
    """Say whether frames come one by one: a list of arrays or paths, or an iterator."""
    if isinstance(X, list | tuple) and len(X):
        first = X[0]
        return isinstance(first, str | os.PathLike) or read_array("X", first).ndim >= 2
    return isinstance(X, Iterator)


def paths_listed(X: Any) -> Any:
    """Return a column of paths (an array, a series) as a list, anything else as is."""
    if isinstance(X, str | os.PathLike):
        raise ValueError(
            f"X must be frames or a list of paths. Got one path, {str(X)!r:.100}: use "
            "[path], or list(iter_frames(path)) for a folder or a video."
        )
    if getattr(X, "ndim", 0) != 1 or not len(X):
        return X
    items = np.asarray(X, dtype=object).tolist()
    return items if isinstance(items[0], str | os.PathLike) else X


def listed_frames(X: Iterable) -> list:
    """Return arrays and paths in a list, the arrays checked."""
    frames = [x if isinstance(x, str | os.PathLike) else check_frame(x) for x in X]
    if not frames:
        raise ValueError("X must hold at least one frame. Got none.")
    return frames


def stacked_frames(X: Any, min_size: int) -> np.ndarray:
    """Check an array (n, H, W) or (n, H, W, C) and return it without a copy."""
    if getattr(getattr(X, "dtype", None), "kind", "") == "O":
        # As floats whole numbers would be taken for [0, 1].
        X = read_array("X", X.tolist())
    X = check_array(X, dtype="numeric", allow_nd=True, ensure_2d=False)
    if X.dtype.kind == "f" and float(abs(X).max(initial=0)) > _LARGEST:
        raise ValueError(
            f"X must hold frames of numbers up to {_LARGEST:g}. Got {abs(X).max():g}."
        )
    has_channels = X.ndim == 4 and X.shape[3] in _CHANNELS
    if X.ndim != 3 and not has_channels:
        raise ValueError(
            "X must be frames of shape (n, H, W) or (n, H, W, C) with C = 1, 3 or 4, "
            f"or a list of frames. Got shape {X.shape} instead."
        )
    check_size(X.shape[1:], min_size)
    return X


def folded_frames(X: np.ndarray, input_shape: Sequence[int]) -> np.ndarray:
    """Fold rows (n, H * W * C) into frames (n, H, W[, C])."""
    if int(np.prod(input_shape)) != X.shape[1]:
        raise ValueError(
            f"input_shape={tuple(input_shape)} must multiply to the number of columns, "
            f"{X.shape[1]}. Got {int(np.prod(input_shape))} instead."
        )
    return X.reshape(len(X), *input_shape)


def check_input_shape(input_shape: Any, min_size: int) -> tuple[int, ...]:
    """Return a frame's shape as a tuple of ints (H, W) or (H, W, C)."""
    try:
        shape = tuple(int(length) for length in input_shape)
    except (TypeError, ValueError):
        shape = ()
    fits = len(shape) == 2 or (len(shape) == 3 and shape[2] in _CHANNELS)
    if not fits or min(shape) < 1:
        raise ValueError(
            "input_shape must be (H, W) or (H, W, C) with C = 1, 3 or 4. "
            f"Got {input_shape!r} instead."
        )
    check_size(shape, min_size)
    return shape


def check_size(shape: Sequence[int], min_size: int) -> None:
    """Refuse frames that are too small to have a structure."""
    if min(shape[:2]) < min_size:
        raise ValueError(
            f"Frames must have at least {min_size} rows and columns. "
            f"Got frames of shape {tuple(shape)} instead; a single frame needs a "
            "leading axis, X[np.newaxis]."
        )


def check_frame(frame: Any, min_size: int = 1) -> np.ndarray:
    """Return one frame as a finite array (H, W) or (H, W, C)."""
    frame = read_array("A frame", frame)
    if frame.dtype.kind == "O" and frame.ndim:
        frame = read_array("A frame", frame.tolist())
    has_channels = frame.ndim == 3 and frame.shape[2] in _CHANNELS
    if frame.dtype.kind not in "buif" or (frame.ndim != 2 and not has_channels):
        raise ValueError(
            "A frame must be numbers of shape (H, W) or (H, W, C) with C = 1, 3 or 4. "
            f"Got shape {frame.shape} of dtype {frame.dtype} instead."
        )
    check_size(frame.shape, min_size)
    if frame.dtype.kind == "f" and not np.isfinite(frame).all():
        raise ValueError(
            f"A frame must hold finite numbers. Got NaN or infinity in {frame.shape}."
        )
    if frame.dtype.kind == "f" and float(abs(frame).max()) > _LARGEST:
        raise ValueError(
            f"A frame must hold numbers up to {_LARGEST:g}. Got {abs(frame).max():g}."
        )
    return frame


def check_planes(planes: Any) -> np.ndarray:
    """Return planes (1 or 3, H, W) as uint8 or float32, or raise."""
    planes = read_numbers("planes", planes)
    if planes.ndim != 3 or planes.shape[0] not in (1, 3) or not planes.size:
        raise ValueError(
            f"planes must have shape (1 or 3, H, W). Got {planes.shape} instead."
        )
    if planes.dtype == np.uint8:
        return planes
    planes = planes.astype(np.float64)
    if not (abs(planes) <= _LARGEST).all():  # NaN fails too
        raise ValueError(f"planes must hold finite numbers up to {_LARGEST:g}.")
    return planes.astype(np.float32)


def check_float_range(frames: Any, value_range: Any) -> None:
    """Refuse floats that are far from [0, 1] where that is what they are taken for.

    Which range frames have is never guessed from their values; but floats up to 255
    read as [0, 1] would be judged as all white.
    """
    if not isinstance(value_range, str):
        return
    arrays = [frames] if isinstance(frames, np.ndarray) else frames
    for array in arrays:
        if isinstance(array, np.ndarray) and array.dtype.kind == "f":
            highest = float(array.max(initial=0))
            if highest > _BRIGHTEST:
                raise ValueError(
                    "value_range='auto' takes floats for [0, 1]. Got values up to "
                    f"{highest:g}; pass value_range=(0, 255), or what their black and "
                    "white are."
                )


def load_frame(item: Any) -> np.ndarray:
    """Return a frame that is an array already, or read it from its file."""
    if isinstance(item, str | os.PathLike):
        return check_frame(read_image(item))
    return item


def scale_to_bytes(dtype: np.dtype, value_range: Any) -> tuple[float, float]:
    """Return (offset, factor) that bring values of a dtype to the scale 0..255.

    Parameters
    ----------
    dtype : dtype
        Of the frame.
    value_range : {"auto"} or (low, high)
        ``"auto"`` is [0, 1] for floats and bool, 0..65535 for uint16, 0..255 for other
        integers. It depends on the dtype alone, so that no batch changes another.

    Returns
    -------
    offset, factor : float
        ``(values - offset) * factor`` lies in 0..255.
    """
    if not isinstance(value_range, str):
        low, high = (float(limit) for limit in value_range)
        return low, 255 / (high - low)
    if dtype == np.uint16:
        return 0.0, 255 / 65535
    return 0.0, 255.0 if dtype.kind in "fb" else 1.0


def check_value_range(value_range: Any) -> None:
    """Refuse what is neither "auto" nor two increasing numbers."""
    if isinstance(value_range, str) and value_range == "auto":
        return
    try:
        low, high = (float(limit) for limit in value_range)
        is_range = bool(np.isfinite([low, high]).all()) and low < high
    except (TypeError, ValueError):
        is_range = False
    if not is_range:
        raise ValueError(
            "value_range must be 'auto' or (low, high) with low < high. "
            f"Got {value_range!r} instead."
        )


def planes_of(frame: np.ndarray, value_range: Any = "auto") -> np.ndarray:
    """Return a frame as contiguous planes (1 or 3, H, W) on the scale 0..255.

    Parameters
    ----------
    frame : ndarray of shape (H, W) or (H, W, C)
        See :func:`check_frame`.
    value_range : {"auto"} or (low, high), default="auto"
        See :func:`scale_to_bytes`.

    Returns
    -------
    planes : ndarray of shape (1 or 3, H, W), uint8 or float32
        Bytes where all values are whole and within 0..255: arithmetic on them is
        several times as fast, but wraps.
    """
    planes = frame[np.newaxis] if frame.ndim == 2 else np.moveaxis(frame[..., :3], 2, 0)
    planes = np.ascontiguousarray(planes)
    offset, factor = scale_to_bytes(frame.dtype, value_range)
    if (offset, factor) != (0.0, 1.0):
        values = (planes.astype(np.float64) - offset) * factor
        # Bytes that went through [0, 1] must meet the same thresholds as bytes.
        whole = np.rint(values)
        planes = np.where(np.abs(values - whole) < _SNAP, whole, values)
    if planes.dtype != np.uint8:
        planes = _bytes_if_whole(planes.astype(np.float32))
    return planes


def _bytes_if_whole(planes: np.ndarray) -> np.ndarray:
    # The first row alone tells most frames that are not whole.
    for part in (planes[:, :1], planes):
        if part.min() < 0 or part.max() > 255 or (part != np.rint(part)).any():
            return planes
    return planes.astype(np.uint8)


def grey_of(planes: np.ndarray) -> np.ndarray:
    """Return the luma (H, W) of planes (C, H, W), float32, contiguous."""
    if len(planes) == 1:
        return np.ascontiguousarray(planes[0], dtype=np.float32)
    grey = np.empty(planes.shape[1:], dtype=np.float32)
    for rows in row_strips(grey.shape):
        strip = grey[rows]
        np.multiply(planes[0, rows], LUMA[0], out=strip)
        strip += LUMA[1] * planes[1, rows]
        strip += LUMA[2] * planes[2, rows]
    return grey


def row_strips(
    shape: Sequence[int], n_overlap: int = 0, multiple: int = 1
) -> Iterator[slice]:
    """Cut rows into strips that fit the processor's cache.

    A chain of element-wise operations on a strip is several times as fast as on a
    large frame, where each of them waits for the memory.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    n_overlap : int, default=0
        Rows that a strip shares with the next one. Results of a stencil that is
        ``n_overlap + 1`` rows high then follow each other without gaps.
    multiple : int, default=1
        Strips start at multiples of this.

    Yields
    ------
    rows : slice
        None for frames of at most `n_overlap` rows.
    """
    n_rows = max(1, _STRIP // (multiple * max(1, shape[1]))) * multiple
    n_starts = shape[0] - n_overlap
    for start in range(0, n_starts, n_rows):
        yield slice(start, min(start + n_rows, n_starts) + n_overlap)


@functools.lru_cache(maxsize=64)
def area_weights(n_in: int, n_out: int) -> sparse.csr_array:
    """Return the matrix (n_out, n_in) that averages over cells of equal length.

    Each output is the mean of the piecewise constant input over its cell, so that
    shrinking does not alias; growing repeats values and blends at the borders.
    """
    edges = np.arange(n_out + 1) * (n_in / n_out)
    cuts = np.unique(np.concatenate([edges, np.arange(n_in + 1)]).round(9))
    middles = (cuts[1:] + cuts[:-1]) / 2
    outputs = np.minimum((middles * n_out / n_in).astype(int), n_out - 1)
    inputs = np.minimum(middles.astype(int), n_in - 1)
    weights = np.diff(cuts) * n_out / n_in
    return sparse.csr_array(
        (weights.astype(np.float32), (outputs, inputs)), shape=(n_out, n_in)
    )


def shrink(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a plane (H, W) by area averaging, float32."""
    if plane.dtype == np.uint8:
        plane = plane.astype(np.float32)
    if plane.shape == tuple(shape):
        return plane
    rows = area_weights(plane.shape[0], shape[0]) @ plane
    columns = area_weights(plane.shape[1], shape[1])
    return np.ascontiguousarray((columns @ rows.T).T)


def tile_slices(
    shape: tuple[int, int], tiles: tuple[int, int]
) -> list[tuple[slice, slice]]:
    """Cut a frame into (rows, columns) tiles, row by row."""
    if tiles[0] > shape[0] or tiles[1] > shape[1]:
        raise ValueError(
            f"tiles={tiles} must not exceed the rows and columns of a frame. "
            f"Got a frame of {shape[0]} x {shape[1]}."
        )
    edges = [
        np.linspace(0, n, t + 1).astype(int) for n, t in zip(shape, tiles, strict=True)
    ]
    return [
        (slice(top, bottom), slice(left, right))
        for top, bottom in zip(edges[0][:-1], edges[0][1:], strict=True)
        for left, right in zip(edges[1][:-1], edges[1][1:], strict=True)
    ]
