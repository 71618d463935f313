"""Procedural game frames, a part of them corrupted."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state

from sklvyso._arguments import LARGEST_SIZE
from sklvyso._compat import Interval, validate_params
from sklvyso.artifacts._corrupting import changed_mask
from sklvyso.artifacts._simulate import ArtifactSimulator
from sklvyso.datasets import make_game_frames


@validate_params(
    {
        "n_frames": [Interval(Integral, 1, LARGEST_SIZE, closed="both")],
        "height": [Interval(Integral, 32, LARGEST_SIZE, closed="both")],
        "width": [Interval(Integral, 32, LARGEST_SIZE, closed="both")],
        "n_games": [Interval(Integral, 1, LARGEST_SIZE, closed="both")],
        "artifacts": [str, "array-like", dict, None],
        "corrupted": [Interval(Real, 0, 1, closed="both")],
        "severity": [Interval(Real, 0, 1, closed="right"), tuple],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_artifact_frames(
    n_frames: int = 100,
    *,
    height: int = 90,
    width: int = 160,
    n_games: int = 4,
    artifacts: str | Sequence[str] | None = None,
    corrupted: float = 0.5,
    severity: float | tuple[float, float] = 1.0,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Make procedural game frames and corrupt a part of them.

    .. versionadded:: 0.1

    Parameters
    ----------
    n_frames : int, default=100
        Frames in all.
    height, width : int, default=90, 160
        Rows and columns, >= 32.
    n_games : int, default=4
        Different games.
    artifacts : "paper", "all", list of str or dict, default=None
        Which artifacts, see :class:`ArtifactSimulator`. None is "paper".
    corrupted : float, default=0.5
        Share of corrupted frames, in [0, 1]; ``round(corrupted * n_frames)`` of them.
    severity : float or (float, float), default=1.0
        See :class:`ArtifactSimulator`.
    random_state : int, RandomState instance or None, default=None
        Seed of frames and artifacts.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes:

        images : ndarray of shape (n_frames, height, width, 3), dtype=uint8
            The frames.
        clean : ndarray like images
            The frames before.
        target : ndarray of shape (n_frames,), dtype=int64
            1 for corrupted.
        artifact : ndarray of str of shape (n_frames,)
            Name of the artifact, "" for normal frames.
        mask : ndarray of bool of shape (n_frames, height, width)
            Pixels that changed.
        group, clip, frame : ndarray of int of shape (n_frames,)
            As in :func:`sklvyso.datasets.make_game_frames`.

    See Also
    --------
    sklvyso.datasets.make_game_frames : The frames without artifacts.
    ArtifactSimulator : Does the corrupting.

    Examples
    --------
    >>> from sklvyso.artifacts import make_artifact_frames
    >>> bunch = make_artifact_frames(12, random_state=0)
    >>> bunch.images.shape, int(bunch.target.sum()), bunch.artifact[:2]
    ((12, 90, 160, 3), 6, array(['', ''], dtype='<U17'))
    """
    generator = check_random_state(random_state)
    bunch = make_game_frames(
        n_frames,
        height=height,
        width=width,
        n_games=n_games,
        random_state=generator,
    )
    simulator = ArtifactSimulator(
        "paper" if artifacts is None else artifacts,
        p=1.0,
        severity=severity,
        random_state=generator,
    )
    n_frames = int(n_frames)
    n_corrupted = int(np.floor(float(corrupted) * n_frames + 0.5))
    rows = np.sort(generator.permutation(n_frames)[:n_corrupted])
    clean, images = bunch.images, bunch.images.copy()
    names = np.array(["", *simulator.artifact_names])
    artifact = np.zeros(n_frames, dtype=int)
    if n_corrupted:
        # The other frame of the clip, where there is one.
        partners = _partners(bunch)[rows]
        previous = [None if p < 0 else clean[p] for p in partners]
        images[rows], Y = simulator.simulate(clean[rows], previous=previous)
        artifact[rows] = Y.argmax(axis=1) + 1
    bunch.update(
        images=images,
        clean=clean,
        target=(artifact > 0).astype(np.int64),
        artifact=names[artifact],
        mask=np.stack(list(map(changed_mask, clean, images))),
    )
    return bunch


def _partners(bunch: Bunch) -> np.ndarray:
    """Return the row of the other frame of each frame's clip, -1 without one."""
    keys = list(zip(bunch.group, bunch.clip, bunch.frame, strict=True))
    row_of = {key: row for row, key in enumerate(keys)}
    return np.array([row_of.get((g, c, 1 - f), -1) for g, c, f in keys])
