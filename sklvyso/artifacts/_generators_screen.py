"""Artifacts of the whole screen: pop-in, triangulation, stuttering, tearing.

Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv 2011.15103.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy import ndimage

from sklvyso.artifacts._drawing import (
    Result,
    changed,
    like,
    random_box,
    severity_box,
)

# Mean squared difference of colours in [0, 1], summed over the channels, below which
# the two parts of a torn screen count as alike.
_TOO_ALIKE = 0.01
_N_TEARS = 8
_FEW_DIVISORS = 6


def texture_popin(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Blur a region, as if its full texture had not been loaded yet."""
    height, width = frame.shape[:2]
    sides = rng.uniform(0.25, 0.6, 2) * np.sqrt(severity)
    box = random_box(rng, height, width, *sides)
    sigma = max(1.0, severity * rng.uniform(4, 9) * height / 1080)
    blurred = ndimage.gaussian_filter(
        frame[box].astype(np.float64), (sigma, sigma, 0), mode="nearest"
    )
    out = frame.copy()
    out[box] = like(blurred, frame)
    return changed(frame, out)


def triangulation(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Replace the picture by a grid of flat triangles."""
    height, width = frame.shape[:2]
    side = max(4, round(rng.uniform(1 / 40, 1 / 25) * width))
    box = severity_box(rng, height, width, severity)
    out = frame.copy()
    out[box] = _flat_triangles(frame[box], side)
    return changed(frame, out)


def _flat_triangles(frame: np.ndarray, side: int) -> np.ndarray:
    """Cut squares by their diagonals and colour each triangle from four of its points.

    Parameters
    ----------
    frame : ndarray of shape (H, W, 3)
        Values from 0 to 255.
    side : int
        Of the squares, in pixels.

    Returns
    -------
    out : ndarray of shape (H, W, 3)
        0.85 of the colour at the centroid plus 0.05 of the colour at each vertex.
    """
    height, width = frame.shape[:2]
    tops, lefts = np.arange(0, height, side), np.arange(0, width, side)
    # Vertices of the top, right, bottom and left triangle in units of the side.
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], dtype=float)
    vertices = np.stack(
        [corners, np.roll(corners, -1, axis=0), np.full((4, 2), 0.5)], axis=1
    )
    points = np.concatenate([vertices.mean(axis=1, keepdims=True), vertices], axis=1)
    rows = tops[:, None, None] + points[None, :, :, 0] * side
    columns = lefts[:, None, None] + points[None, :, :, 1] * side
    rows = np.minimum(rows.astype(int), height - 1)[:, None]
    columns = np.minimum(columns.astype(int), width - 1)[None, :]
    weights = np.array([0.85, 0.05, 0.05, 0.05])
    colors = np.einsum("ijtpc,p->ijtc", frame[rows, columns].astype(float), weights)
    row, column = np.arange(height)[:, None], np.arange(width)[None, :]
    u, v = row % side, column % side
    is_above, is_above_other = u < v, u + v < side
    which = np.where(is_above, np.where(is_above_other, 0, 1), 0)
    which = np.where(is_above, which, np.where(is_above_other, 3, 2))
    return like(colors[row // side, column // side, which], frame)


def screen_stuttering(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Exchange neighbouring blocks of columns and of rows, one to four times."""
    height, width = frame.shape[:2]
    box = severity_box(rng, height, width, severity)
    part = frame[box]
    for _ in range(rng.choice([1, 2, 3, 4], p=[0.65, 0.2, 0.1, 0.05])):
        part = part[_exchanged(part.shape[0], part.shape[1], rng)]
    out = frame.copy()
    out[box] = part
    return changed(frame, out)


def _exchanged(
    height: int, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw block sizes, at least one of them smaller than its side."""
    while True:
        sizes = [int(rng.choice(block_sizes(side))) for side in (height, width)]
        if 2 * sizes[0] <= height or 2 * sizes[1] <= width:
            break
    rows, columns = exchange(height, sizes[0]), exchange(width, sizes[1])
    return rows[:, None], columns[None, :]


def exchange(length: int, block: int) -> np.ndarray:
    """Return the order of positions after neighbouring blocks changed places.

    Parameters
    ----------
    length : int
        Number of positions.
    block : int
        Length of a block. A block without a whole neighbour stays.

    Returns
    -------
    order : ndarray of int of shape (length,)
        Its own inverse.
    """
    positions = np.arange(length)
    n_moved = length // (2 * block) * 2 * block
    moved = positions[:n_moved].reshape(-1, 2, block)[:, ::-1].reshape(-1)
    return np.concatenate([moved, positions[n_moved:]])


def block_sizes(length: int) -> np.ndarray:
    """Return the divisors of a length, or of the next smaller one that has several."""
    for number in range(length, 0, -1):
        divisors = np.flatnonzero(number % np.arange(1, number + 1) == 0) + 1
        if len(divisors) >= _FEW_DIVISORS:
            break
    # The reference is a no-op where the block is the whole side.
    return divisors if number == length else np.append(divisors, length)


def screen_tearing(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Replace the top or the left part by that of another frame of the clip."""
    best, best_difference = frame, -1.0
    if previous is not None and np.array_equal(previous, frame):
        previous = None  # a clip that stands still cannot show a tear
    for _ in range(_N_TEARS):
        is_top = rng.random() < 0.6
        share = rng.uniform(0.1, 0.9) * severity
        shift = rng.uniform(0.03, 0.1) * rng.choice([-1, 1])
        other = _shifted(frame, shift) if previous is None else previous
        size = max(1, int(share * frame.shape[0 if is_top else 1]))
        part = (slice(0, size),) if is_top else (slice(None), slice(0, size))
        # Signed: the reference subtracts unsigned bytes, which wrap round.
        difference = (other[part].astype(np.float32) - frame[part]) / 255
        mean = 3 * float(np.mean(difference**2))
        if mean > best_difference:
            best, best_difference = frame.copy(), mean
            best[part] = other[part]
        if mean >= _TOO_ALIKE:
            break
    return changed(frame, best)


def _shifted(frame: np.ndarray, share: float) -> np.ndarray:
    """Move a frame sideways by a share of its width; what is missing is mirrored."""
    width = frame.shape[1]
    positions = np.arange(width) + (round(share * width) or 1)
    mirrored = np.abs(positions)
    mirrored = np.where(mirrored < width, mirrored, 2 * (width - 1) - mirrored)
    return frame[:, mirrored]
