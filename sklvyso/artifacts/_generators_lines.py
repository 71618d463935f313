"""Artifacts made of lines: dotted, parallel, pixelated, Morse code.

Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv 2011.15103.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from skimage.draw import line

from sklvyso.artifacts._drawing import (
    Result,
    between,
    central_point,
    changed,
    count,
    like,
    random_color,
    scaled,
)


def dotted_lines(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Draw dotted lines of one direction, or rays of dots from one point."""
    height, width = frame.shape[:2]
    row, column = central_point(rng, height, width)
    if rng.random() < 0.5:
        n_lines = count(between(rng, 15, 36), severity)
        angles = rng.uniform(15, 345) + rng.uniform(-20, 20, n_lines)
        rows = row + rng.uniform(-0.2, 0.2, n_lines) * height
        columns = column + rng.uniform(-0.2, 0.2, n_lines) * width
    else:
        n_lines = count(between(rng, 30, 60), severity)
        angles = np.arange(n_lines) * 360 / n_lines + rng.uniform(-10, 10)
        angles = angles + rng.uniform(-5, 5, n_lines)
        rows, columns = np.full(n_lines, row), np.full(n_lines, column)
    color = random_color(rng)
    # The reference steps 3..6 px sideways whatever the angle, which tears steep lines
    # into far-away dots; the step is along the line's longer axis here.
    angles = np.deg2rad(angles)
    directions = np.stack([np.sin(angles), np.cos(angles)])
    directions /= np.abs(directions).max(axis=0)
    steps = directions * rng.integers(3, 7, n_lines)
    dots = np.arange(50)
    n_dots = rng.integers(20, 51, n_lines)
    is_dot = (dots < n_dots[:, None]).ravel()
    dot_rows = (rows[:, None] + steps[0][:, None] * dots).ravel()[is_dot]
    dot_columns = (columns[:, None] + steps[1][:, None] * dots).ravel()[is_dot]
    places = np.stack([dot_rows, dot_columns]).round().astype(int)
    to_left, upwards = (rng.random(places.shape[1]) < 0.1 for _ in range(2))
    places = np.concatenate(
        [
            places,
            places[:, to_left] - np.array([[0], [1]]),
            places[:, upwards] - np.array([[1], [0]]),
        ],
        axis=1,
    )
    limits = np.array([[height], [width]])
    is_inside = ((places >= 0) & (places < limits)).all(axis=0)
    out = frame.copy()
    out[tuple(places[:, is_inside])] = color
    return changed(frame, out)


def parallel_lines(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Smear colours of the frame along parallel lines to one border."""
    height, width = frame.shape[:2]
    slope = np.tan(np.deg2rad(rng.uniform(10, 34))) * rng.choice([-1, 1])
    end_column = rng.choice([0, width - 1])
    n_lines = count(between(rng, 60, 100), severity)
    # Starts whose line leaves the frame on the way are drawn again: more of them
    # than needed, and the first that fit.
    rows = rng.uniform(0.2, 0.8, 40 * n_lines) * (height - 1)
    columns = rng.uniform(0.3, 0.6, 40 * n_lines) * (width - 1)
    end_rows = rows + slope * np.abs(end_column - columns)
    fits = np.flatnonzero((end_rows >= 0) & (end_rows <= height - 1))
    if not len(fits):  # so wide a frame that no line reaches the border
        fits = np.arange(n_lines)
        end_rows = np.clip(end_rows, 0, height - 1)
    out = frame.copy()
    for i in fits[:n_lines]:
        start = int(rows[i]), int(columns[i])
        line_rows, line_columns = line(*start, int(end_rows[i]), int(end_column))
        for offset in range(scaled(between(rng, 1, 3), height)):
            shifted = np.minimum(line_rows + offset, height - 1)
            out[shifted, line_columns] = frame[start]
    return changed(frame, out)


def line_pixelation(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Cover a band of the frame with stripes of randomly coloured cells."""
    is_vertical = rng.random() < 0.5
    out = frame.copy()
    view = out.swapaxes(0, 1) if is_vertical else out
    height, width = view.shape[:2]
    spread = 2 * frame.shape[0] / 1080
    n_stripes = count(between(rng, 1, 1 + abs(int(rng.normal(20, 20)))), severity)
    cell_height = max(1, abs(int(rng.normal(frame.shape[0] / 200, spread))))
    cell_width = max(1, abs(int(rng.normal(cell_height, spread))))
    n_stripes = max(1, min(n_stripes, height // cell_height))
    top = between(rng, 0, height - min(height, n_stripes * cell_height))
    n_cells = -(-width // cell_width)
    cells = rng.integers(0, 256, (n_stripes, n_cells, 3)).astype(np.float64)
    if rng.random() < 0.5:
        share = between(rng, 0, 10) / 10
        is_flat = rng.random((n_stripes, n_cells)) < share
        cells[is_flat] = 255.0 * rng.integers(0, 2)
    is_drawn = np.ones(n_stripes, dtype=bool)
    if n_stripes > 2 and rng.random() < 0.5:
        is_drawn[1:-1] = rng.random(n_stripes - 2) < 0.5
    band = cells.repeat(cell_height, axis=0).repeat(cell_width, axis=1)[:, :width]
    if rng.random() < 0.5:
        band = band + rng.normal(0, 10, band.shape[:2])[..., None]
    rows = top + np.flatnonzero(is_drawn.repeat(cell_height))
    rows = rows[rows < height]
    view[rows] = like(band[rows - top], frame)
    if rng.random() < 1 / 8:
        _glow(view, top if rng.random() < 0.5 else rows[-1], cell_height, rng)
    return changed(frame, out)


def _glow(
    view: np.ndarray, row: int, cell_height: int, rng: np.random.Generator
) -> None:
    """Let a coloured light fade to both sides of a stripe, in place."""
    distance = np.abs(np.arange(view.shape[0]) - row)
    reach = 4 * cell_height + 4
    near = np.flatnonzero(distance < reach)
    strength = 0.7 * (1 - distance[near] / reach)[:, None, None]
    lit = view[near] + strength * (random_color(rng) - view[near])
    view[near] = like(lit, view)


def morse_code(
    frame: np.ndarray,
    rng: np.random.Generator,
    severity: float,
    previous: np.ndarray | None,
) -> Result:
    """Draw vertical columns of dots and dashes in one colour."""
    height, width = frame.shape[:2]
    period = max(8, round(0.04 * height))
    unit = max(1, period // 8)
    # One period: two dots, a dash, two dots.
    is_on = np.zeros(period, dtype=bool)
    is_on[[0, unit, 5 * unit, 6 * unit]] = True
    is_on[2 * unit : 4 * unit] = True
    spacing = max(2, -(-width // 100))
    columns = np.arange(rng.integers(spacing), width, spacing)
    n_columns = count(round(0.25 * len(columns)), severity)
    columns = np.sort(rng.choice(columns, n_columns, replace=False))
    n_periods = -(-height // period)
    is_sent = rng.random((n_periods, n_columns)) >= 0.4
    pattern = (is_on[:, None] & is_sent[:, None, :]).reshape(-1, n_columns)[:height]
    # Four columns in a row share a phase, and patterns wrap round.
    phases = rng.integers(0, height, -(-n_columns // 4)).repeat(4)[:n_columns]
    source = (np.arange(height)[:, None] - phases) % height
    rows, places = np.nonzero(np.take_along_axis(pattern, source, axis=0))
    out = frame.copy()
    out[rows, columns[places]] = random_color(rng)
    return changed(frame, out)
