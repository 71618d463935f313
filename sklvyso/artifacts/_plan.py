"""Which frame gets which artifact: balanced, and by the frame's number alone."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np

# Children of the seed: 0 are the streams of the frames, then those of the plan.
FRAMES, CORRUPTED, ORDER = range(3)
# Within a block of this many frames the corrupted share is as exact as it can be.
_BLOCK = 10


def frame_stream(seed: int, index: int) -> np.random.Generator:
    """Return the random stream of the frame with a given number."""
    sequence = np.random.SeedSequence(seed, spawn_key=(FRAMES, index))
    return np.random.default_rng(sequence)


def plan_artifacts(
    seed: int, indices: np.ndarray, p: float, n_names: int, n_artifacts: int, key: int
) -> list[list[int]]:
    """Choose the artifacts of frames.

    Parameters
    ----------
    seed : int
        Of the whole simulation.
    indices : ndarray of int of shape (n,)
        Numbers of the frames; the choice for one depends on its number alone.
    p : float
        Share of frames that get artifacts.
    n_names : int
        Artifacts to choose from.
    n_artifacts : int
        Different artifacts on a corrupted frame.
    key : int
        Another key gives an independent plan (one a group).

    Returns
    -------
    chosen : list of list of int
        For each frame the places of its artifacts, in drawing order; empty if normal.
        Of frames 0 to n - 1, p * n are corrupted to within 10 frames' rounding, and
        each artifact comes equally often to within one per cycle.
    """
    return [
        _artifacts_of(seed, int(index), p, n_names, n_artifacts, key)
        for index in indices
    ]


def _artifacts_of(
    seed: int, index: int, p: float, n_names: int, n_artifacts: int, key: int
) -> list[int]:
    block, place = divmod(index, _BLOCK)
    before = _n_corrupted(block * _BLOCK, p)
    within = _n_corrupted((block + 1) * _BLOCK, p) - before
    rank = int(_permutation(seed, CORRUPTED, key, block, _BLOCK)[place])
    if rank >= within:
        return []
    chosen: list[int] = []
    # Artifacts are dealt like cards: a shuffled deck after another.
    card = (before + rank) * n_artifacts
    while len(chosen) < n_artifacts:
        deck, position = divmod(card, n_names)
        name = int(_permutation(seed, ORDER, key, deck, n_names)[position])
        if name not in chosen:
            chosen.append(name)
        card += 1
    return chosen


def _n_corrupted(n_frames: int, p: float) -> int:
    return math.floor(n_frames * p + 1e-9)


def _permutation(seed: int, *key: int) -> np.ndarray:
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return np.random.default_rng(sequence).permutation(key[-1])
