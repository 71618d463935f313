"""Artifacts beyond the paper: textures that are wrong, and video faults.

The four texture classes are those of Ling, Tollmar, Gisslén, "Using Deep Convolutional
Neural Networks to Detect Rendered Glitches in Video Games", AIIDE 2020.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy import ndimage

from sklvyso.artifacts._drawing import (
    Result,
    between,
    changed,
    like,
    object_mask,
    random_box,
    scaled,
)

_MAGENTA = np.array([255.0, 0.0, 255.0])


def missing_texture(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Show one surface in flat magenta, an engine's sign of a lost texture."""
    out = frame.copy()
    out[object_mask(frame, rng, severity)] = _MAGENTA
    return changed(frame, out)


def placeholder_texture(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Show one surface in the checkerboard of a placeholder."""
    height, width = frame.shape[:2]
    side = max(2, scaled(between(rng, 20, 60), height))
    bright = np.array([_MAGENTA, [255.0] * 3, [0.0, 255.0, 0.0]])[rng.integers(3)]
    slant = rng.uniform(-0.5, 0.5)
    rows, columns = np.indices((height, width), sparse=True)
    is_dark = (rows // side + np.floor((columns + slant * rows) / side)) % 2 == 0
    board = np.where(is_dark[..., None], 0.0, bright)
    mask = object_mask(frame, rng, severity)
    out = frame.copy()
    out[mask] = board[mask]
    return changed(frame, out)


def low_res_texture(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Show one surface at a fraction of its resolution."""
    height, width = frame.shape[:2]
    factor = max(3, round(severity * scaled(between(rng, 16, 40), height)))
    rows = np.minimum(np.arange(height) // factor * factor + factor // 2, height - 1)
    columns = np.minimum(np.arange(width) // factor * factor + factor // 2, width - 1)
    smooth = ndimage.uniform_filter(
        frame.astype(np.float64), (factor, factor, 0), mode="nearest"
    )
    mask = object_mask(frame, rng, severity)
    out = frame.copy()
    out[mask] = like(smooth[rows[:, None], columns], frame)[mask]
    return changed(frame, out)


def stretched_texture(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Smear one surface along its rows or columns from its edge."""
    mask = object_mask(frame, rng, severity)
    out = frame.copy()
    is_vertical = rng.random() < 0.5
    view, where = (out.swapaxes(0, 1), mask.T) if is_vertical else (out, mask)
    # Each run of masked pixels shows the value of its first one.
    positions = np.arange(where.shape[1])
    is_start = where & ~np.pad(where, ((0, 0), (1, 0)))[:, :-1]
    starts = np.maximum.accumulate(np.where(is_start, positions, 0), axis=1)
    rows, columns = np.nonzero(where)
    view[rows, columns] = view[rows, starts[rows, columns]]
    return changed(frame, out)


def color_banding(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Leave a few levels of each channel, as a wrong pixel format does."""
    step = 255 / (between(rng, 2, 5) + round(4 * (1 - severity)))
    return changed(frame, like(np.rint(frame / step) * step, frame))


def block_loss(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Lose macroblocks of a stream: grey, or filled from a wrong place."""
    height, width = frame.shape[:2]
    side = max(4, scaled(32, height))
    rows, columns = random_box(
        rng, height, width, *rng.uniform(0.2, 0.5, 2) * np.sqrt(severity)
    )
    tops = np.arange(rows.start // side * side, min(rows.stop, height), side)
    lefts = np.arange(columns.start // side * side, min(columns.stop, width), side)
    source = frame if previous is None else previous
    out = frame.copy()
    for top in tops:
        for left in lefts[rng.random(len(lefts)) < 0.6]:
            block = (slice(top, top + side), slice(left, left + side))
            if rng.random() < 0.3:
                out[block] = 128
                continue
            shape = out[block].shape
            row = between(rng, 0, height - shape[0])
            column = between(rng, 0, width - shape[1])
            out[block] = source[row : row + shape[0], column : column + shape[1]]
    return changed(frame, out)


def channel_shift(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Move red and blue apart."""
    width = frame.shape[1]
    shift = max(1, round(severity * rng.uniform(0.008, 0.025) * width))
    columns = np.arange(width)
    out = frame.copy()
    out[..., 0] = frame[:, np.clip(columns + shift, 0, width - 1), 0]
    out[..., 2] = frame[:, np.clip(columns - shift, 0, width - 1), 2]
    return changed(frame, out)


def overexposure(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Brighten the frame until its lights burn out."""
    gain = 1 + severity * rng.uniform(1, 2.5)
    offset = severity * rng.uniform(20, 60)
    return changed(frame, like(frame * gain + offset, frame))
