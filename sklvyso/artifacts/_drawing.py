"""What the artifact generators share: scaled lengths, colours, regions, change masks.

A generator takes a frame (H, W, 3), uint8 or float64 on the scale 0..255, a NumPy
generator, a severity in (0, 1] and the previous frame or None; it returns a new frame
of the same dtype and the mask of changed pixels.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy import ndimage
from skimage.draw import polygon

# The reference draws on frames of this height; starred lengths scale with it.
REFERENCE_HEIGHT = 1080
LUMA = np.array([0.299, 0.587, 0.114])

Result = tuple[np.ndarray, np.ndarray]


def scaled(length: float, height: int) -> int:
    """Return a length of a 1080-row frame on a frame of another height, >= 1."""
    return max(1, round(length * height / REFERENCE_HEIGHT))


def count(number: int, severity: float) -> int:
    """Return how many things are drawn at a severity, >= 1."""
    return max(1, round(number * severity))


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """Draw an integer from low to high, both included."""
    return int(rng.integers(low, high + 1))


def changed(before: np.ndarray, after: np.ndarray) -> Result:
    """Return the new frame and the mask of pixels that differ."""
    return after, (before != after).any(axis=2)


def like(values: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Clip values to 0..255 in the frame's dtype, rounded for uint8."""
    values = np.clip(values, 0, 255)
    if frame.dtype == np.uint8:
        return np.rint(values).astype(np.uint8)
    return values.astype(frame.dtype)


def luma(frame: np.ndarray) -> np.ndarray:
    """Return the grey values of an RGB frame, (H, W) float64."""
    return frame @ LUMA


def random_color(rng: np.random.Generator) -> np.ndarray:
    """Draw a colour, three floats from 0 to 255."""
    return rng.integers(0, 256, 3).astype(np.float64)


def fill_polygon(
    canvas: np.ndarray, rows: np.ndarray, columns: np.ndarray, color: np.ndarray | int
) -> None:
    """Fill a polygon in place; what lies outside of the canvas is cut off."""
    inside = polygon(rows, columns, canvas.shape[:2])
    canvas[inside] = color


def central_point(
    rng: np.random.Generator, height: int, width: int, share: float = 0.6
) -> tuple[float, float]:
    """Draw a point (row, column) of the central part of a frame."""
    edge = (1 - share) / 2
    row, column = rng.uniform(edge, 1 - edge, 2)
    return row * (height - 1), column * (width - 1)


def random_box(
    rng: np.random.Generator, height: int, width: int, row_share: float, share: float
) -> tuple[slice, slice]:
    """Draw the place of a box whose sides are shares of the frame's, >= 4 pixels."""
    box_height = min(height, max(4, round(row_share * height)))
    box_width = min(width, max(4, round(share * width)))
    top = between(rng, 0, height - box_height)
    left = between(rng, 0, width - box_width)
    return slice(top, top + box_height), slice(left, left + box_width)


def severity_box(
    rng: np.random.Generator, height: int, width: int, severity: float
) -> tuple[slice, slice]:
    """Draw a box that covers ``severity`` of the frame's area; all of it at 1."""
    side = np.sqrt(severity)
    return random_box(rng, height, width, side, side)


def object_mask(
    frame: np.ndarray, rng: np.random.Generator, severity: float
) -> np.ndarray:
    """Choose a region that looks like one surface of the scene.

    Parameters
    ----------
    frame : ndarray of shape (H, W, 3)
        Values from 0 to 255.
    rng : Generator
        Source of randomness.
    severity : float
        In (0, 1]; regions cover up to a quarter of the frame times this.

    Returns
    -------
    mask : bool ndarray of shape (H, W)
        A connected set of pixels of similar brightness or, where the scene offers
        none of fitting size, a convex quadrilateral.
    """
    height, width = frame.shape[:2]
    n_pixels = height * width
    smooth = ndimage.uniform_filter(luma(frame), scaled(25, height) | 1)
    cuts = np.quantile(smooth, rng.uniform([0.1, 0.4, 0.7], [0.3, 0.6, 0.9]))
    level = np.searchsorted(cuts, smooth.ravel()).reshape(smooth.shape)
    fitting: list[tuple[np.ndarray, int]] = []
    for value in range(len(cuts) + 1):
        labels, _ = ndimage.label(level == value)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        limits = (0.01 * severity * n_pixels, 0.25 * severity * n_pixels)
        fits = np.flatnonzero((sizes >= limits[0]) & (sizes <= limits[1]))
        fitting += [(labels, int(label)) for label in fits]
    if fitting:
        labels, label = fitting[rng.integers(len(fitting))]
        return ndimage.binary_fill_holes(labels == label)
    return quadrilateral_mask(rng, height, width, severity)


def quadrilateral_mask(
    rng: np.random.Generator, height: int, width: int, severity: float
) -> np.ndarray:
    """Draw a convex quadrilateral, like a wall seen at an angle."""
    rows, columns = random_box(rng, height, width, *rng.uniform(0.2, 0.5, 2) * severity)
    box = np.array([rows.start, columns.start, rows.stop, columns.stop], dtype=float)
    bend = rng.uniform(0, 0.3, 4) * (box[2] - box[0])
    mask = np.zeros((height, width), dtype=bool)
    corner_rows = [box[0] + bend[0], box[0] + bend[1], box[2] - bend[2]]
    corner_rows.append(box[2] - bend[3])
    corner_columns = [box[1], box[3], box[3], box[1]]
    mask[polygon(np.array(corner_rows), np.array(corner_columns), mask.shape)] = True
    return mask
