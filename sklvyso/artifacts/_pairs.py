"""A frame against another one of its clip: which part of it is that other frame."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

_AXES = ("rows", "columns")
_NAMES = ("still", "rest", "split", "split_back", "edge")

PAIR_NAMES = [
    *(f"pair_{axis}_{name}" for axis in _AXES for name in _NAMES),
    "pair_equal",
    "pair_difference",
]


def pair_statistics(frame: np.ndarray, previous: np.ndarray) -> np.ndarray:
    """Describe how a frame differs from another one of its clip.

    Parameters
    ----------
    frame, previous : ndarray of shape (C, H, W), uint8
        Both on the scale 0..255.

    Returns
    -------
    values : ndarray of shape (len(PAIR_NAMES),), float32
        For rows and for columns: the share of lines from the first one on that stand
        still, the mean difference of the others, the log ratio of mean differences
        after and before the best split and in the other direction, and the largest
        step of the difference from a line to the next. All 0 for equal frames.
    """
    difference = (np.maximum(frame, previous) - np.minimum(frame, previous)).max(axis=0)
    values: list[float] = []
    for axis in (1, 0):
        values += _along(difference.mean(axis=axis, dtype=np.float32))
    values += [float(np.mean(difference == 0)), float(np.log1p(difference.mean()))]
    return np.asarray(values, dtype=np.float32)


def _along(profile: np.ndarray) -> list[float]:
    n = len(profile)
    moves = np.flatnonzero(profile > 0.25)
    n_still = int(moves[0]) if len(moves) else n
    rest = float(profile[n_still:].mean()) if n_still < n else 0.0
    before = np.cumsum(profile)[:-1]
    lengths = np.arange(1, n)
    after = (before[-1] + profile[-1] - before) / (n - lengths) + 0.5
    ratios = np.log(after / (before / lengths + 0.5))
    # Splits near the border are means of few lines.
    margin = max(1, n // 20)
    inner = ratios[margin - 1 : n - margin] if n > 2 * margin else ratios
    edge = float(np.abs(np.diff(profile)).max()) if n > 1 else 0.0
    return [
        n_still / n,
        float(np.log1p(rest)),
        float(inner.max(initial=0.0)),
        float(-inner.min(initial=0.0)),
        float(np.log1p(edge)),
    ]
