"""One artifact on one frame: dtype kept, change guaranteed, input untouched."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np

from sklvyso.artifacts._drawing import LUMA
from sklvyso.artifacts._frames import scale_to_bytes
from sklvyso.artifacts._registry import Generator

# A pixel counts as visibly changed from this step on, of 255.
VISIBLE = 8
_N_TRIES = 25


def corrupt_frame(
    frame: np.ndarray,
    generator: Generator,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
    min_changed: float,
    value_range: Any = "auto",
) -> np.ndarray | None:
    """Draw an artifact until enough of the frame has changed visibly.

    Parameters
    ----------
    frame : ndarray of shape (H, W) or (H, W, C)
        Any dtype that :func:`scale_to_bytes` knows.
    generator : callable
        See :func:`register_artifact`.
    rng : Generator
        The frame's own stream.
    severity : float
        In (0, 1].
    previous : ndarray or None
        Another frame of the clip, of the same shape and dtype.
    min_changed : float
        Share of pixels that must change by `VISIBLE` or more.
    value_range : "auto" or (low, high)
        Of the frame's values.

    Returns
    -------
    out : ndarray or None
        Like the frame, exactly equal to it where nothing was drawn. None if no draw
        changed enough, as where a constant frame should stutter.
    """
    colors = to_colors(frame, value_range)
    before = None if previous is None else to_colors(previous, value_range)
    for _ in range(_N_TRIES):
        drawn = generator(colors.copy(), rng, severity, before)
        drawn = np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn)
        if drawn.shape != colors.shape:
            raise ValueError(
                f"The generator {getattr(generator, '__name__', generator)!r} must "
                f"return a frame of shape {colors.shape}. Got {drawn.shape} instead."
            )
        out = _from_colors(drawn, colors, frame, value_range)
        if visible_share(frame, out, value_range) >= max(min_changed, 1e-12):
            return out
    return None


def to_colors(frame: np.ndarray, value_range: Any = "auto") -> np.ndarray:
    """Return (H, W, 3) on the scale 0..255: uint8 where it is so, float64 otherwise."""
    channels = frame[..., np.newaxis] if frame.ndim == 2 else frame[..., :3]
    if channels.shape[2] == 1:
        channels = np.repeat(channels, 3, axis=2)
    offset, factor = scale_to_bytes(frame.dtype, value_range)
    if frame.dtype == np.uint8 and (offset, factor) == (0.0, 1.0):
        return channels
    return (channels.astype(np.float64) - offset) * factor


def _from_colors(
    drawn: np.ndarray, colors: np.ndarray, frame: np.ndarray, value_range: Any
) -> np.ndarray:
    """Put the pixels that changed into a copy of the frame, in its own form."""
    is_changed = (drawn != colors).any(axis=2)
    values = drawn[is_changed].astype(np.float64)
    n_channels = 1 if frame.ndim == 2 else frame.shape[2]
    if n_channels == 1:
        # Of equal channels the weights give back the value itself, to the last digit
        # but one: stuttering and tearing move grey values without a change.
        is_grey = (values == values[:, :1]).all(axis=1)
        values = np.where(is_grey, values[:, 0], values @ LUMA)[:, np.newaxis]
    offset, factor = scale_to_bytes(frame.dtype, value_range)
    values = values / factor + offset
    if frame.dtype.kind in "ui":
        values = np.rint(values)
    elif frame.dtype.kind == "b":
        values = values >= 0.5
    out = frame.copy()
    if n_channels == 1:
        out.reshape(frame.shape[:2])[is_changed] = values[:, 0].astype(frame.dtype)
    else:
        out[..., :3][is_changed] = values.astype(frame.dtype)
    return out


def visible_share(
    frame: np.ndarray, out: np.ndarray, value_range: Any = "auto"
) -> float:
    """Return the share of pixels that differ by `VISIBLE` of 255 or more."""
    if frame.dtype == np.uint8 and isinstance(value_range, str):
        step = np.maximum(frame, out) - np.minimum(frame, out)
        step = step[..., np.newaxis] if step.ndim == 2 else step[..., :3]
        return float(np.mean(step.max(axis=2) >= VISIBLE))
    difference = to_colors(frame, value_range) - to_colors(out, value_range)
    return float(np.mean(np.abs(difference).max(axis=2) >= VISIBLE))


def changed_mask(frame: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Return which pixels differ, (H, W) bool."""
    differs = frame != out
    return differs.any(axis=2) if differs.ndim == 3 else differs
