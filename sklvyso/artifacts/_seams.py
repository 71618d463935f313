"""Seams of frames: lines along which the picture does not go on.

Tears, exchanged blocks, bands of noise, steps of banded colour fades.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import numpy as np

from sklvyso.artifacts._generators_screen import block_sizes, exchange

_AXES = ("rows", "columns")
_SEAM_NAMES = ("first", "second", "tenth", "mean")
_BREAK_NAMES = (*_SEAM_NAMES, "broken", "textured", "place")
_BAND_NAMES = ("max", "excess", "share")
_FADE_NAMES = ("first", "fourth", "quarter", "share")
_CHUNKS = 16
# Stairs of a fade in a window.
_STAIRS = 12
# Lines of pixels that the exchange of blocks is tried on.
_N_LINES = 120
_Pair = tuple[np.ndarray, np.ndarray]

NAMES = [
    *(f"{axis}_exchange_{name}" for axis in _AXES for name in ("least", "second")),
    *(f"{axis}_seam_{name}" for axis in _AXES for name in _SEAM_NAMES),
    *(f"{axis}_break_{name}" for axis in _AXES for name in _BREAK_NAMES),
    *(f"{axis}_rough_{name}" for axis in _AXES for name in _BAND_NAMES),
    *(f"{axis}_chroma_{name}" for axis in _AXES for name in _BAND_NAMES),
    *(f"{axis}_step_{name}" for axis in _AXES for name in ("share", "phase")),
    *(f"{axis}_fade_{name}" for axis in _AXES for name in _FADE_NAMES),
]


def seam_statistics(
    planes: np.ndarray, grey: np.ndarray, jumps: tuple[np.ndarray, np.ndarray]
) -> list[float]:
    """Describe the seams of a frame.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W), uint8
        The frame.
    grey : ndarray of shape (H, W), uint8
        Its luma.
    jumps : (ndarray of shape (H - 1, W), ndarray of shape (H, W - 1)), uint8
        Of :func:`largest_jump`, for both axes.

    Returns
    -------
    values : list of float of length len(NAMES)
        Finite for every frame.
    """
    # Everything below runs along the second axis of a contiguous array.
    upright = [jumps[0], np.ascontiguousarray(jumps[1].T)]
    greys = [grey, np.ascontiguousarray(grey.T)]
    values: list[float] = []
    for plane in greys:
        values += exchange_gains(plane)
    for jump in upright:
        values += _seams(jump)
    for plane in greys:
        values += _breaks(plane)
    for jump, axis in ((jumps[1], 1), (jumps[0], 0)):
        values += _bands(_means(jump, axis))
    for profile in _chroma_profiles(planes):
        values += _bands(profile)
    period = max(1, round(10 * grey.shape[0] / 1080))
    for jump in upright:
        values += _steps(jump, period)
    for axis in (0, 1):
        values += _fades(planes, axis, period)
    return values


def _means(values: np.ndarray, axis: int) -> np.ndarray:
    """Return means along an axis; none of a frame of a single row or column."""
    if not values.shape[axis]:
        return np.zeros(0, dtype=np.float32)
    return np.asarray(values.mean(axis=axis, dtype=np.float32))


def largest_jump(planes: np.ndarray, axis: int) -> np.ndarray:
    """Return the largest channel's absolute difference of neighbours, uint8."""
    first = planes[:, :-1] if axis == 0 else planes[:, :, :-1]
    second = planes[:, 1:] if axis == 0 else planes[:, :, 1:]
    return (np.maximum(first, second) - np.minimum(first, second)).max(axis=0)


def exchange_gains(grey: np.ndarray) -> list[float]:
    """Try to undo exchanges of neighbouring blocks of rows.

    For each size of block, the jumps across its borders are compared before and after
    such an exchange; where blocks were exchanged, undoing it makes them smaller.

    Parameters
    ----------
    grey : ndarray of shape (H, W), uint8
        The frame.

    Returns
    -------
    gains : list of two floats
        The two least log ratios of jumps after to jumps before.
    """
    height, width = grey.shape
    if height < 4:
        return [0.0, 0.0]
    step = max(1, width // _N_LINES)
    lines = np.ascontiguousarray(grey[:, ::step]).astype(np.int16)
    gains = []
    for before, after in _block_borders(height):
        jumps = [
            np.abs(lines[pair[0]] - lines[pair[1]]).mean(dtype=np.float32)
            for pair in (before, after)
        ]
        gains.append(float(np.log((jumps[1] + 0.5) / (jumps[0] + 0.5))))
    gains.sort()
    return [*gains, 0.0, 0.0][:2]


@functools.lru_cache(maxsize=32)
def _block_borders(length: int) -> list[tuple[_Pair, _Pair]]:
    """Rows on both sides of the borders of blocks, as they are and exchanged."""
    pairs = []
    for block in block_sizes(length):
        borders = np.arange(block, length, block)
        if not len(borders) or 2 * block > length:
            continue
        order = exchange(length, int(block))
        # Of small blocks a sample of the borders says enough.
        borders = borders[:: max(1, len(borders) // 60)]
        borders = np.unique(np.concatenate([borders, borders + block]))
        borders = borders[borders < length]
        pairs.append(
            ((borders - 1, borders), (order[borders - 1], order[borders])),
        )
    return pairs


def _seams(jump: np.ndarray) -> list[float]:
    """Rows along which the jump clearly exceeds the jumps on both sides."""
    if jump.shape[0] < 12:
        return [0.0] * len(_SEAM_NAMES)
    sides = np.maximum(jump[:-2], jump[2:])
    limit = np.minimum(sides, 200) + (sides >> 1) + 6
    return _top((jump[1:-1] > limit).mean(axis=1, dtype=np.float32))


def _breaks(grey: np.ndarray) -> list[float]:
    """Rows that the texture does not cross: tears, and the borders of panels.

    Contrast along the row counts, not brightness, in chunks of the row, so that one
    strong edge does not speak for all. A chunk breaks at a row where the rows above
    are alike, the rows below are alike, and no row above is like one below.
    """
    height, width = grey.shape
    if height < 16 or width < _CHUNKS + 1:
        return [0.0] * len(_BREAK_NAMES)
    steps = np.diff(grey.astype(np.float32), axis=1)
    energy = _chunk_sums(steps * steps)
    alike = [_likeness(steps, energy, lag) for lag in (1, 2, 3)]
    n = height - 3
    within = np.minimum(alike[0][: n - 1], alike[0][2 : n + 1])
    across = np.maximum(alike[0][1:n], alike[1][1:n])
    across = np.maximum(np.maximum(across, alike[1][: n - 1]), alike[2][: n - 1])
    is_textured = np.minimum(energy[1:n], energy[2 : n + 1]) > 16 * width / _CHUNKS
    depth = np.clip(within - np.maximum(across, 0), 0, None) * is_textured
    n_textured = is_textured.sum(axis=1)
    share = depth.sum(axis=1) / np.maximum(n_textured, 3)
    broken = (depth > 0.4).sum(axis=1) / np.maximum(n_textured, 3)
    order = np.sort(share)[::-1]
    return [
        float(order[0]),
        float(order[1]),
        float(order[9]),
        float(share.mean()),
        float(broken.max()),
        float(n_textured[share.argmax()] / _CHUNKS),
        float(share.argmax() / height),
    ]


def _likeness(steps: np.ndarray, energy: np.ndarray, lag: int) -> np.ndarray:
    """Return the correlation of each chunk of a row with the one ``lag`` rows on."""
    product = _chunk_sums(steps[lag:] * steps[:-lag])
    scale = np.sqrt(energy + np.float32(steps.shape[1] / _CHUNKS))
    return product / (scale[lag:] * scale[:-lag])


def _chunk_sums(values: np.ndarray) -> np.ndarray:
    starts = np.linspace(0, values.shape[1], _CHUNKS + 1).astype(int)[:-1]
    return np.add.reduceat(values, starts, axis=1)


def _bands(profile: np.ndarray) -> list[float]:
    """Rows that are much rougher than the others: noise across the frame."""
    if not len(profile):
        return [0.0] * len(_BAND_NAMES)
    middle = float(np.median(profile))
    top = float(profile.max())
    share = float(np.mean(profile > (top + middle) / 2))
    return [np.log1p(top), np.log((top + 1) / (middle + 1)), share]


def _chroma_profiles(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean jump of colour, without brightness, along each row and each column."""
    if len(planes) == 1:
        height, width = planes.shape[1:]
        return np.zeros(height, np.float32), np.zeros(width, np.float32)
    red, green, blue = planes.astype(np.int16)
    profiles = []
    for axis in (1, 0):
        total: np.ndarray | float = 0.0
        for difference in (red - green, blue - green):
            jump = np.abs(np.diff(difference, axis=axis))
            total = total + _means(jump, axis)
        profiles.append(np.asarray(total))
    return profiles[0], profiles[1]


def _steps(jump: np.ndarray, period: int) -> list[float]:
    """Small steps between flat rows, and whether they keep a period.

    A colour that fades in bands makes them, where it covers the frame.
    """
    if jump.shape[0] < 3 * period + 3:
        return [0.0, 0.0]
    is_step = (jump[1:-1] > 0) & (jump[1:-1] <= 6) & (jump[:-2] == 0) & (jump[2:] == 0)
    counts = is_step.sum(axis=1, dtype=np.float32)
    n = len(counts) // period * period
    phases = counts[:n].reshape(-1, period).sum(axis=0)
    share = float(counts.sum()) / is_step.size
    rest = (phases.sum() - phases.max()) / max(period - 1, 1)
    phase = np.log((phases.max() + 5) / (rest + 5))
    return [np.log(share + 1e-5), float(phase)]


def _fades(planes: np.ndarray, axis: int, period: int) -> list[float]:
    """Whether brightness changes by steps of one sign, one period after another.

    A colour that fades in bands lays such stairs over any texture, while the block
    grid of a codec has steps of both signs.
    """
    n_lines = planes.shape[axis + 1] - 1
    n_windows = n_lines // (_STAIRS * period)
    if n_windows < 1 or period < 2 or planes.shape[2 - axis] < _CHUNKS:
        return [0.0] * len(_FADE_NAMES)
    length = planes.shape[2 - axis]
    starts = np.linspace(0, length, _CHUNKS + 1).astype(int)[:-1]
    width = length / _CHUNKS
    scores = []
    for plane in planes:
        lines = plane if axis == 0 else plane.T
        means = np.add.reduceat(lines, starts, axis=1, dtype=np.float32) / width
        steps = np.diff(means, axis=0)[: n_windows * _STAIRS * period]
        scores.append(_stairs(steps.reshape(n_windows, _STAIRS, period, _CHUNKS)))
    score = np.max(scores, axis=0)
    order = np.sort(score.ravel())[::-1]
    n_strong = float(np.mean(score > 4))
    return [float(order[0]), float(order[3]), float(order[len(order) // 4]), n_strong]


def _stairs(steps: np.ndarray) -> np.ndarray:
    """Return the best phase's t statistic against the others, (windows, chunks)."""
    n_stairs, period = steps.shape[1:3]
    by_phase = steps.mean(axis=1)
    spread = steps.var(axis=1).mean(axis=1, keepdims=True)
    rest = (by_phase.sum(axis=1, keepdims=True) - by_phase) / (period - 1)
    t = (by_phase - rest) / np.sqrt((spread + 0.02) / n_stairs)
    # The same sign, stair after stair.
    agree = np.abs(np.sign(np.round(steps, 1)).mean(axis=1))
    return (np.abs(t) * agree).max(axis=1)


def _top(values: np.ndarray) -> list[float]:
    ordered = np.sort(values)[::-1]
    return [
        float(ordered[0]),
        float(ordered[1]),
        float(ordered[9]),
        float(values.mean()),
    ]
