"""Artifacts that fill regions: shader, shapes, discoloration, patches.

Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv 2011.15103.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy import ndimage

from sklvyso.artifacts._drawing import (
    Result,
    between,
    central_point,
    changed,
    count,
    fill_polygon,
    like,
    luma,
    random_color,
    scaled,
)

# A patch covers no more of the frame than this, unless there is no smaller one.
_LARGEST_PATCH = 0.35


def shader(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Lay polygons of two fading colours over the frame, like broken geometry."""
    height, width = frame.shape[:2]
    margin = 300 * height / 1080
    n_polygons = count(between(rng, 1, 3), severity)
    # Which polygon is on top at each pixel, and its colours at both ends of the fade.
    which = np.full((height, width), -1)
    starts, ends = np.empty((n_polygons, 3)), np.empty((n_polygons, 3))
    for k in range(n_polygons):
        n_vertices = between(rng, 3, 6)
        rows = rng.uniform(-margin, height + margin, n_vertices)
        columns = rng.uniform(-margin, width + margin, n_vertices)
        rows[0] = rng.uniform(0, height - 1)
        columns[0] = rng.uniform(0, width - 1)
        # Smaller at low severity: the other vertices move towards the first.
        rows[1:] = rows[0] + severity * (rows[1:] - rows[0])
        columns[1:] = columns[0] + severity * (columns[1:] - columns[0])
        middle = rows[1:3].mean(), columns[1:3].mean()
        starts[k] = _color_near(frame, (rows[0], columns[0]), rng)
        ends[k] = _color_near(frame, middle, rng)
        fill_polygon(which, rows, columns, k)
    inside = np.nonzero(which >= 0)
    polygons = which[inside]
    fade = _bands(0.95, height, width, rng)[inside][:, None]
    overlay = fade * starts[polygons] + (1 - fade) * ends[polygons]
    opacity = severity * _bands(0.98, height, width, rng)[inside][:, None]
    out = frame.copy()
    out[inside] = like(frame[inside] + opacity * (overlay - frame[inside]), frame)
    return changed(frame, out)


def _color_near(
    frame: np.ndarray, place: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Return the frame's colour at a place, or at the nearest inside, varied."""
    row, column = np.clip(place, 0, np.array(frame.shape[:2]) - 1).astype(int)
    return np.clip(frame[row, column] + rng.integers(-30, 30, 3), 0, 255)


def _bands(
    base: float, height: int, width: int, rng: np.random.Generator
) -> np.ndarray:
    """Return base**k for the k-th band from one of the four sides, (H, W)."""
    is_vertical, is_reversed = rng.integers(0, 2, 2)
    positions = np.arange(height if is_vertical else width)
    values = base ** (positions // scaled(10, height))
    if is_reversed:
        values = values[::-1]
    values = values[:, None] if is_vertical else values[None, :]
    return np.broadcast_to(values, (height, width))


def shapes(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Draw near-black triangles that start in the darkest part of the frame."""
    height, width = frame.shape[:2]
    grey = luma(frame)
    row_edges = np.linspace(0, height, 5).astype(int)
    column_edges = np.linspace(0, width, 7).astype(int)
    sums = np.add.reduceat(
        np.add.reduceat(grey, row_edges[:-1], axis=0), column_edges[:-1], axis=1
    )
    means = sums / np.outer(np.diff(row_edges), np.diff(column_edges))
    i, j = np.unravel_index(means.argmin(), means.shape)
    row = between(rng, int(row_edges[i]), int(row_edges[i + 1]) - 1)
    column = between(rng, int(column_edges[j]), int(column_edges[j + 1]) - 1)
    out = frame.copy()
    for _ in range(count(between(rng, 2, 5), severity)):
        length = max(2.0, severity * between(rng, 40, 99) * height / 1080)
        direction = rng.integers(-5, 5, 2)
        first = np.array([row, column]) + direction * length
        second = first + rng.integers(1, 12, 2) / 5 * direction[0] * length
        vertices = np.array([[row, column], first, second])
        fill_polygon(out, vertices[:, 0], vertices[:, 1], rng.integers(0, 50, 3))
    return changed(frame, out)


def discoloration(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Turn all pixels with much of one channel into one pure colour."""
    threshold, value = between(rng, 100, 139), between(rng, 200, 255)
    channel = between(rng, 0, 5)
    # Channels 3..5 stand for "any colour", which the reference ties to blue.
    source = frame[..., min(channel, 2)]
    is_hit = source > threshold
    if is_hit.mean() < 0.005:
        # A dark frame: without this it would be labelled corrupted, yet unchanged.
        threshold = np.quantile(source, 0.95)
        is_hit = source > threshold
        if not is_hit.any():
            is_hit = source >= threshold
    if channel < 3:
        color = np.zeros(3)
        color[channel] = value
    else:
        color = rng.integers(value, 256, 3).astype(np.float64)
    blend = like(frame[is_hit] + severity * (color - frame[is_hit]), frame)
    out = frame.copy()
    out[is_hit] = blend
    return changed(frame, out)


def random_patches(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Fill bright objects with one flat colour."""
    grey = luma(frame)
    is_bright = grey > 127
    if not is_bright.any():
        is_bright = grey >= np.quantile(grey, 0.75)
    labels, _ = ndimage.label(is_bright)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
    small = order[sizes[order] <= _LARGEST_PATCH * severity * grey.size]
    chosen = (small if len(small) else order[-1:])[: count(between(rng, 3, 20), 1)]
    chosen = chosen[: count(len(chosen), severity)]
    if rng.random() < 0.5:
        color = np.zeros(3)
        color[rng.integers(3)] = 250
    else:
        color = random_color(rng)
    out = frame.copy()
    out[np.isin(labels, chosen)] = color
    return changed(frame, out)


def square_patches(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Scatter a few tiny squares of similar colour round one point."""
    height, width = frame.shape[:2]
    row, column = central_point(rng, height, width)
    base = random_color(rng)
    out = frame.copy()
    for _ in range(count(between(rng, 2, 15), severity)):
        # The reference keeps to 2..5 px, which nobody sees on a large frame.
        side = round(between(rng, 2, 5) * max(1.0, height / 480))
        top = int(np.clip(row + rng.uniform(-0.1, 0.1) * height, 0, height - side))
        left = int(np.clip(column + rng.uniform(-0.1, 0.1) * width, 0, width - side))
        color = np.clip(base + rng.integers(-30, 31, 3), 0, 255)
        out[top : top + side, left : left + side] = color
    return changed(frame, out)
