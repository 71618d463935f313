"""Colours of frames as exact codes: flat fills, thin strokes and dots of one colour.

Rendered and filmed textures hardly repeat a colour to the last bit; what broken
graphics draw does.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np
from scipy import ndimage

_N_COLORS = 3
_N_FILLS = 3
_LEVELS = (0.004, 0.03)
_BRIGHT = 140
_COLOR_NAMES = ("share", "saturation", "bright")
_THIN = ("dots", "upright", "level")
_THIN_NAMES = ("share", "top", "top_share", "top_lines", "colors", "saturation")
_FILL_NAMES = ("share", "fill", "convex", "saturation", "bright", "contrast")
# Of its box, from which share on a colour can be one piece.
_LEAST_COMPACT = 0.04
_N_PATCHES = 2
_PATCH_NAMES = ("share", "darker", "edges", "saturation", "bright", "compact")
# Luma of what the artifact fills; around it the frame is darker.
_BRIGHT_OBJECT = 127

NAMES = [
    *(f"color{k}_{name}" for k in range(_N_COLORS) for name in _COLOR_NAMES),
    *(f"pure{k}_{name}" for k in range(2) for name in ("share", "bright")),
    *(f"channel{c}_top_{i}" for c in range(3) for i in ("q0_4", "q3", "bright")),
    *(f"{thin}_{name}" for thin in _THIN for name in _THIN_NAMES),
    *(f"dark{k}_{name}" for k in range(_N_FILLS) for name in _FILL_NAMES),
    *(f"fill{k}_{name}" for k in range(_N_FILLS) for name in _FILL_NAMES),
    *(f"patch{k}_{name}" for k in range(_N_PATCHES) for name in _PATCH_NAMES),
    "patches_share",
    "patches_number",
    "dark_triangles",
    "triangles",
    "flat_share",
]
_NO_FILL = [float(np.log(1e-5)), 0.0, 0.0, 0.0, 0.0, 0.0]
_NO_PATCH = [float(np.log(1e-5)), 0.0, 0.0, 0.0, 0.0, 0.0]


class FlatColors(NamedTuple):
    """Colours of flat fills, all of shape (n_colors,).

    Codes, pixels, share of the bounding box, edges to the right and below, and the
    share of these edges beyond which the frame is not bright.
    """

    colors: np.ndarray
    counts: np.ndarray
    compactness: np.ndarray
    n_edges: np.ndarray
    darker: np.ndarray


_NONE = FlatColors(np.zeros(0, dtype=np.int32), *(np.zeros(0) for _ in range(4)))


def color_codes(planes: np.ndarray) -> np.ndarray:
    """Return one int32 a pixel, which holds its bytes."""
    codes = planes[0].astype(np.int32)
    for plane in planes[1:]:
        codes <<= 8
        codes |= plane
    return codes


def row_step(height: int) -> int:
    """Return which rows count colours: all below 405, every second below 675, ..."""
    return max(1, round(height / 270))


def split_codes(codes: np.ndarray, n_channels: int) -> np.ndarray:
    """Return the bytes of codes, (n_channels, n)."""
    shifts = 8 * np.arange(n_channels)[::-1]
    bytes_ = (np.asarray(codes)[None] >> shifts[:, None]) & 255
    return bytes_ if n_channels == 3 else np.repeat(bytes_, 3, axis=0)


def fill_statistics(
    planes: np.ndarray,
    grey: np.ndarray,
    jumps: tuple[np.ndarray, np.ndarray],
) -> list[float]:
    """Describe what is drawn in single colours.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W), uint8
        The frame.
    grey : ndarray of shape (H, W), uint8
        Its luma.
    jumps : (ndarray of shape (H - 1, W), ndarray of shape (H, W - 1)), uint8
        Largest channel's difference to the next row and the next column.

    Returns
    -------
    values : list of float of length len(NAMES)
        Finite for every frame.
    """
    codes = color_codes(planes)
    n_channels = len(planes)
    sample = codes[:: row_step(len(codes))]
    colors, counts = np.unique(sample, return_counts=True)
    channels = split_codes(colors, n_channels)
    values = _top_colors(channels, counts, sample.size)
    values += _top_of_channels(channels, counts, sample.size)
    for mask in thin_masks(jumps, codes.shape):
        values += _thin(codes, mask, n_channels)
    values += _fills(planes, grey, codes, jumps)
    return values


def _top_colors(channels: np.ndarray, counts: np.ndarray, n: int) -> list[float]:
    """Describe the most frequent colours, and the most frequent saturated ones."""
    high, low = channels.max(axis=0), channels.min(axis=0)
    order = np.argsort(-counts, kind="stable")[:_N_COLORS]
    values = []
    for k in range(_N_COLORS):
        if k >= len(order):
            values += [0.0, 0.0, 0.0]
            continue
        i = order[k]
        values += [
            _log_share(counts[i], n),
            float(high[i] - low[i]) / 255,
            float(high[i]) / 255,
        ]
    strong = counts * (high - low > 40)
    order = np.argsort(-strong, kind="stable")[:2]
    for k in range(2):
        if k < len(order) and strong[order[k]]:
            values += [_log_share(strong[order[k]], n), float(high[order[k]]) / 255]
        else:
            values += [_log_share(0, n), 0.0]
    return values


def _top_of_channels(channels: np.ndarray, counts: np.ndarray, n: int) -> list[float]:
    """Of the pixels with most of a channel, the share of one colour.

    Where all of them were given one colour, it is 1.
    """
    values = []
    for channel in channels:
        # Pixels from the brightest value down to each one.
        mass = np.bincount(channel, counts, minlength=256)[::-1].cumsum()
        for level in _LEVELS:
            lowest = 255 - int(np.searchsorted(mass, level * n))
            top = counts[channel >= lowest]
            values.append(float(top.max() / top.sum()))
        bright = counts[channel > _BRIGHT]
        values.append(float(bright.max() / bright.sum()) if len(bright) else 0.0)
    return values


def thin_masks(
    jumps: tuple[np.ndarray, np.ndarray], shape: tuple[int, ...], step: int = 8
) -> list[np.ndarray]:
    """Return pixels that stand alone, that are one pixel wide, one pixel high."""
    is_row_jump, is_column_jump = jumps[0] > step, jumps[1] > step
    masks = [np.zeros(shape, dtype=bool) for _ in range(2)]
    masks[0][:, 1:-1] = is_column_jump[:, 1:] & is_column_jump[:, :-1]
    masks[1][1:-1] = is_row_jump[1:] & is_row_jump[:-1]
    upright, level = masks
    dots = upright & level
    # A stroke goes on in the same colour.
    equal_rows, equal_columns = jumps[0] == 0, jumps[1] == 0
    goes_on = np.zeros(shape, dtype=bool)
    goes_on[1:] = equal_rows
    goes_on[:-1] |= equal_rows
    upright &= goes_on
    goes_on[:] = False
    goes_on[:, 1:] = equal_columns
    goes_on[:, :-1] |= equal_columns
    level &= goes_on
    return [dots, upright, level]


def _thin(codes: np.ndarray, mask: np.ndarray, n_channels: int) -> list[float]:
    """How many pixels are thin, and how much of them has one colour."""
    places = np.flatnonzero(mask)
    if not len(places):
        return [_log_share(0, codes.size), np.log(1e-5), 0.0, 0.0, 0.0, 0.0]
    thin = codes.ravel()[places]
    colors, counts = np.unique(thin, return_counts=True)
    top = int(counts.argmax())
    columns = places[thin == colors[top]] % codes.shape[1]
    channels = split_codes(colors[top : top + 1], n_channels)
    return [
        _log_share(len(places), codes.size),
        _log_share(counts[top], codes.size),
        float(counts[top] / len(places)),
        float(len(np.unique(columns)) / len(columns)),
        float(np.log1p(np.count_nonzero(counts >= 30))),
        float(np.ptp(channels)) / 255,
    ]


def _fills(
    planes: np.ndarray,
    grey: np.ndarray,
    codes: np.ndarray,
    jumps: tuple[np.ndarray, np.ndarray],
) -> list[float]:
    """Describe the most compact dark fills, the most compact others, and patches."""
    height, width = codes.shape
    if min(height, width) < 3:
        return [
            *(_NO_FILL * 2 * _N_FILLS),
            *_patches(_NONE, codes.size, 1),
            0.0,
            0.0,
            0.0,
        ]
    # A pixel whose left and upper neighbours have its colour lies inside a fill.
    inside = np.zeros(codes.shape, dtype=bool)
    inside[1:, 1:] = (jumps[0][:, 1:] == 0) & (jumps[1][1:] == 0)
    flat = _flat_colors(codes, grey, inside)
    colors, score = flat.colors, flat.counts * flat.compactness
    channels = split_codes(colors, len(planes))
    high, low = channels.max(axis=0), channels.min(axis=0)
    is_dark = (high < 50) & (high > 0)
    is_other = (high - low > 10) & ~is_dark
    is_compact = flat.compactness > _LEAST_COMPACT
    values: list[float] = []
    n_triangles = []
    for chosen in (is_dark & is_compact, is_other & is_compact):
        # A piece of its own fills its box; a texture's colour is all over the frame.
        order = np.argsort(-score[chosen], kind="stable")
        best = colors[chosen][order[: _N_FILLS + 1]]
        fills = [_fill(planes, codes, int(color)) for color in best]
        n_triangles.append(
            float(sum(fill[1] < 0.56 and fill[2] > 0.9 for fill in fills))
        )
        # What looks most like one convex piece comes first.
        fills.sort(key=lambda fill: -fill[2] * np.exp(0.25 * fill[0]))
        fills += [_NO_FILL] * _N_FILLS
        values += [number for fill in fills[:_N_FILLS] for number in fill]
    bright = FlatColors(*(part[~is_dark] for part in flat))
    values += _patches(bright, codes.size, len(planes))
    return [*values, *n_triangles, float(inside.mean())]


def _flat_colors(codes: np.ndarray, grey: np.ndarray, inside: np.ndarray) -> FlatColors:
    """Return the colours of flat fills, and what is to the right of and below them."""
    step = row_step(len(codes))
    height, width = codes.shape
    places = np.flatnonzero(inside[::step])
    # Sorting colour and place as one number is several times faster than argsort.
    keys = codes[::step].ravel()[places].astype(np.int64) << 32
    keys |= places
    keys.sort()
    flat, places = (keys >> 32).astype(codes.dtype), keys & 0xFFFFFFFF
    starts = np.flatnonzero(np.diff(flat, prepend=-1))
    counts = step * np.diff(starts, append=len(flat))
    is_large = counts >= max(8, 1e-4 * codes.size)
    if not is_large.any():
        empty = np.zeros(0)
        return FlatColors(np.zeros(0, dtype=codes.dtype), empty, empty, empty, empty)
    rows, columns = np.divmod(places, width)
    rows *= step
    sides = [
        np.maximum.reduceat(line, starts) - np.minimum.reduceat(line, starts) + 1
        for line in (rows, columns)
    ]
    n_edges, n_darker = np.zeros(len(starts)), np.zeros(len(starts))
    places = rows * width + columns
    for offset, has_next in ((1, columns < width - 1), (width, rows < height - 1)):
        neighbours = np.where(has_next, places + offset, places)
        is_edge = codes.ravel()[neighbours] != flat
        n_edges += np.add.reduceat(is_edge, starts, dtype=np.int32)
        is_edge &= grey.ravel()[neighbours] <= _BRIGHT_OBJECT
        n_darker += np.add.reduceat(is_edge, starts, dtype=np.int32)
    return FlatColors(
        flat[starts][is_large],
        counts[is_large],
        (counts / (sides[0] * sides[1]))[is_large],
        (step * n_edges)[is_large],
        (n_darker / np.maximum(n_edges, 1))[is_large],
    )


def _patches(fills: FlatColors, n: int, n_channels: int) -> list[float]:
    """Objects filled with one colour: bright ones, so that what is around is darker."""
    shares = fills.counts / n
    bytes_ = split_codes(fills.colors, n_channels)
    saturation = np.ptp(bytes_, axis=0) / 255
    # Of dark frames everything is surrounded by dark; strong colours stand out.
    score = fills.darker * shares**0.25 * (0.1 + saturation)
    order = np.argsort(-score, kind="stable")[:_N_PATCHES]
    values: list[float] = []
    for i in order:
        values += [
            _log_share(fills.counts[i], n),
            float(fills.darker[i]),
            float(fills.n_edges[i] / fills.counts[i]),
            float(saturation[i]),
            float(bytes_[:, i].max()) / 255,
            float(fills.compactness[i]),
        ]
    values += _NO_PATCH * (_N_PATCHES - len(order))
    is_patch = (fills.darker > 0.98) & (saturation > 0.3)
    values.append(_log_share(float(fills.counts[is_patch].sum()), n))
    values.append(float(np.log1p(np.count_nonzero(is_patch))))
    return values


def _fill(planes: np.ndarray, codes: np.ndarray, color: int) -> list[float]:
    """Describe the largest piece of one colour."""
    is_color = codes == color
    rows = np.flatnonzero(is_color.any(axis=1))
    columns = np.flatnonzero(is_color[rows[0] : rows[-1] + 1].any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    labels, _ = ndimage.label(is_color[box])
    sizes = np.bincount(labels.ravel())[1:]
    total = int(sizes.sum())
    piece = labels == sizes.argmax() + 1
    size = int(sizes.max())
    row_counts, column_counts = piece.sum(axis=1), piece.sum(axis=0)
    n_rows, n_columns = np.count_nonzero(row_counts), np.count_nonzero(column_counts)
    spans = [_spans(piece), _spans(piece.T)]
    convex = size / max(*spans, 1) * (size / total) ** 0.5
    red_green_blue = split_codes(np.array([color]), len(planes))
    edge = _grown(piece) & ~piece
    around = np.stack([plane[box][edge] for plane in planes]).astype(np.int16)
    own = red_green_blue[: len(planes)]
    contrast = float(np.median(np.abs(around - own).max(axis=0))) if edge.any() else 0.0
    return [
        _log_share(size, codes.size),
        size / (n_rows * n_columns),
        float(convex),
        float(np.ptp(red_green_blue)) / 255,
        float(red_green_blue.max()) / 255,
        contrast / 255,
    ]


def _grown(piece: np.ndarray) -> np.ndarray:
    """Return a piece with the four neighbours of its pixels."""
    grown = piece.copy()
    grown[1:] |= piece[:-1]
    grown[:-1] |= piece[1:]
    grown[:, 1:] |= piece[:, :-1]
    grown[:, :-1] |= piece[:, 1:]
    return grown


def _spans(piece: np.ndarray) -> int:
    """Pixels between the first and the last one of each row, all in all."""
    rows = piece.any(axis=1)
    first = piece[rows].argmax(axis=1)
    last = piece.shape[1] - piece[rows][:, ::-1].argmax(axis=1)
    return int((last - first).sum())


def _log_share(count: float, n: int) -> float:
    return float(np.log(count / n + 1e-5))
