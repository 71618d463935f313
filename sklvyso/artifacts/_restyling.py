"""Clean frames in other looks, so that experts do not learn those of a few games."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import io

import numpy as np

from sklvyso.artifacts import _frames

STYLES = ("palette", "pixels", "recolored", "compressed")


def to_bytes(frame: np.ndarray, value_range: object = "auto") -> np.ndarray:
    """Return a frame as uint8, (H, W) or (H, W, 3)."""
    planes = np.clip(np.rint(_frames.planes_of(frame, value_range)), 0, 255)
    planes = planes.astype(np.uint8)
    if len(planes) == 1:
        return planes[0]
    return np.ascontiguousarray(np.moveaxis(planes, 0, 2))


def restyle(frame: np.ndarray, style: str, rng: np.random.Generator) -> np.ndarray:
    """Return a clean frame as another game might show it.

    Parameters
    ----------
    frame : ndarray of shape (H, W) or (H, W, 3), uint8
        The frame.
    style : {"palette", "pixels", "recolored", "compressed"}
        Few exact colours; large pixels; other colours, brightness and contrast;
        traces of a codec.
    rng : Generator
        Draws the details; the same state gives frames of a clip the same look.

    Returns
    -------
    styled : ndarray of the same shape, uint8
        Also mirrored, every second time.
    """
    styled = frame[:, ::-1] if rng.random() < 0.5 else frame
    if style == "palette":
        # Colours on a grid, finer or coarser, as in old or drawn games.
        step = int(rng.integers(6, 25))
        styled = _recolored(styled, rng)
        styled = np.minimum(styled // step * step + step // 2, 255)
    elif style == "pixels":
        factor = int(rng.integers(2, 4))
        small = styled[::factor, ::factor]
        styled = small.repeat(factor, axis=0).repeat(factor, axis=1)
        styled = styled[: frame.shape[0], : frame.shape[1]]
    elif style == "recolored":
        styled = _recolored(styled, rng)
    else:
        styled = _compressed(_recolored(styled, rng), int(rng.integers(60, 96)))
    return np.ascontiguousarray(styled.astype(np.uint8))


def _recolored(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exchange channels; change gamma and contrast of each."""
    channels = frame[..., None] if frame.ndim == 2 else frame
    out = channels[..., rng.permutation(channels.shape[2])].copy()
    levels = np.linspace(0, 1, 256)
    gamma = np.exp(rng.uniform(-0.5, 0.5))
    for c in range(out.shape[2]):
        curve = levels ** (gamma * np.exp(rng.uniform(-0.15, 0.15)))
        low, high = rng.uniform(0, 0.08), rng.uniform(0.8, 1)
        table = np.rint(255 * (low + (high - low) * curve)).astype(np.uint8)
        out[..., c] = table[out[..., c]]
    return out.reshape(frame.shape)


def _compressed(frame: np.ndarray, quality: int) -> np.ndarray:
    from PIL import Image  # comes with scikit-image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "jpeg", quality=quality)
    return np.asarray(Image.open(buffer))
