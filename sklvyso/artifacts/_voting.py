"""Frames in playing order: the frame before, votes of neighbours, runs of flags."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

VOTES: dict[str, Any] = {"median": np.median, "mean": np.mean, "max": np.max}


class FrameInterval(NamedTuple):
    """Consecutive frames that show an artifact.

    Frames `start` to `stop` - 1, counted from 0; `artifact` is the one with the largest
    mean probability inside, `probability` the mean one of a corrupted frame, in [0, 1].

    .. versionadded:: 0.1
    """

    start: int
    stop: int
    artifact: str
    probability: float


def previous_frames(frames: Sequence[np.ndarray], last: Any) -> list[Any]:
    """Return the frame before each frame, None where there is none of its shape."""
    return [
        other if other is not None and other.shape == frame.shape else None
        for other, frame in zip([last, *frames[:-1]], frames, strict=True)
    ]


def smooth(values: np.ndarray, window: int, vote: str) -> np.ndarray:
    """Return the votes of neighbours over an odd window on values (n, ...).

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.artifacts._voting import smooth
    >>> smooth(np.array([0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0]), 3, "median").tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    """
    n, half = len(values), window // 2
    smoothed = np.array(values, dtype=np.float64)
    if half == 0:
        return smoothed
    if n >= window:
        views = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
        smoothed[half : n - half] = VOTES[vote](views, axis=-1)
    for i in range(n):
        if i < half or i >= n - half:
            smoothed[i] = VOTES[vote](values[max(0, i - half) : i + half + 1], axis=0)
    return smoothed


def flagged_runs(
    is_flagged: ArrayLike, min_length: int = 1, max_gap: int = 0
) -> list[tuple[int, int]]:
    """Return runs (start, stop) of flagged frames.

    Gaps of at most `max_gap` frames are bridged; then runs of fewer than `min_length`
    frames, gaps included, are dropped.

    Examples
    --------
    >>> from sklvyso.artifacts._stream import flagged_runs
    >>> flagged_runs([1, 1, 0, 1, 0, 0, 1], min_length=2, max_gap=1)
    [(0, 4)]
    """
    flagged = np.flatnonzero(is_flagged)
    parts = np.split(flagged, np.flatnonzero(np.diff(flagged) > max_gap + 1) + 1)
    runs = [(int(part[0]), int(part[-1]) + 1) for part in parts if len(part)]
    return [(start, stop) for start, stop in runs if stop - start >= min_length]


def describe_runs(
    runs: Sequence[tuple[int, int]],
    corrupted: np.ndarray,
    artifacts: np.ndarray,
    names: Sequence[str],
) -> list[FrameInterval]:
    """Name the artifact of each run, and how probable it is that it is corrupted."""
    return [
        FrameInterval(
            start,
            stop,
            names[int(artifacts[start:stop].mean(axis=0).argmax())],
            float(corrupted[start:stop].mean()),
        )
        for start, stop in runs
    ]
