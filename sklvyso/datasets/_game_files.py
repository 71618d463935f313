"""Frames of real games from the data home."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import re
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklvyso._arguments import check_sequence, shown
from sklvyso._compat import Interval, validate_params
from sklvyso._images import decoding
from sklvyso.datasets._home import get_data_home

_FOLDER = "game_frames"
_NAME = re.compile(r"clip(\d+)_(\d+)\.(?:webp|png|bmp)")


@validate_params(
    {
        "data_home": [str, os.PathLike, None],
        "games": ["array-like", str, None],
        "n_per_game": [Interval(Integral, 1, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def load_game_frames(
    data_home: str | os.PathLike | None = None,
    *,
    games: Sequence[str] | str | None = None,
    n_per_game: int | None = None,
) -> Bunch:
    """Load frames of real games from ``<data_home>/game_frames/<game>``.

    Files are called ``clip<number>_<0 or 1>.webp`` (or .png, .bmp): two frames a clip,
    clips in playing order. Nothing is downloaded.

    .. versionadded:: 0.1

    Parameters
    ----------
    data_home : str or path-like, default=None
        The data home, see :func:`get_data_home`.

    games : str or list of str, default=None
        Which games; None takes all folders, sorted.

    n_per_game : int, default=None
        Frames of each game, whole clips spread evenly over the game; None takes all.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes:

        images : ndarray of shape (n, H, W, 3), dtype=uint8, or list of them
            The frames; a list where their sizes differ.
        group : ndarray of str of shape (n,)
            The game.
        clip : ndarray of shape (n,), dtype=int64
            Number of the clip within the game.
        frame : ndarray of shape (n,), dtype=int64
            0 or 1, the place in the clip.
        filenames : list of str
            The files.

    Raises
    ------
    FileNotFoundError
        If the folder is missing.
    ValueError
        If a game is unknown or holds no frames, or a file is damaged.

    See Also
    --------
    make_game_frames : Frames without files.

    Notes
    -----
    Neighbouring clips often show the same level: split by game, or by blocks of clips.

    Examples
    --------
    >>> import os, tempfile
    >>> from skimage.io import imsave
    >>> from sklvyso.datasets import load_game_frames, make_game_frames
    >>> with tempfile.TemporaryDirectory() as home:
    ...     folder = os.path.join(home, "game_frames", "pong")
    ...     os.makedirs(folder)
    ...     for i, image in enumerate(make_game_frames(2, random_state=0).images):
    ...         imsave(os.path.join(folder, f"clip000_{i}.png"), image)
    ...     bunch = load_game_frames(home)
    >>> bunch.images.shape, bunch.group.tolist(), bunch.frame.tolist()
    ((2, 90, 160, 3), ['pong', 'pong'], [0, 1])
    """
    home = os.path.join(get_data_home(data_home), _FOLDER)
    if not os.path.isdir(home):
        raise FileNotFoundError(
            f"{home} must be a folder with one folder a game. Set data_home, or the "
            "environment variable SKLVYSO_DATA, to the folder that holds it."
        )
    known = sorted(n for n in os.listdir(home) if os.path.isdir(os.path.join(home, n)))
    if games is None or isinstance(games, str):
        chosen = known if games is None else [games]
    else:
        chosen = [*check_sequence("games", games)]
        if not all(isinstance(game, str) for game in chosen):
            raise TypeError(f"games must hold names. Got {shown(games)} instead.")
    unknown = [game for game in chosen if game not in known]
    if unknown or not len(chosen):
        raise ValueError(
            f"games must be among {known}, the folders in {home}. "
            f"Got {unknown or chosen!r} instead."
        )
    records = [
        (game, *record)
        for game in chosen
        for record in _files_of(os.path.join(home, game), n_per_game)
    ]
    images: Any = [_read(path) for *_, path in records]
    if len({image.shape for image in images}) == 1:
        images = np.stack(images)
    return Bunch(
        images=images,
        group=np.array([record[0] for record in records]),
        clip=np.array([record[1] for record in records], dtype=np.int64),
        frame=np.array([record[2] for record in records], dtype=np.int64),
        filenames=[record[3] for record in records],
    )


def _files_of(folder: str, n_frames: int | None) -> list[tuple[int, int, str]]:
    """Return (clip, frame, path), sorted, at most so many."""
    found = []
    for name in os.listdir(folder):
        match = _NAME.fullmatch(name)
        if match:
            clip, frame = (int(number) for number in match.groups())
            found.append((clip, frame, os.path.join(folder, name)))
    if not found:
        raise ValueError(
            f"{folder} must hold frames named clip<number>_<0 or 1>.webp. Got none."
        )
    found.sort()
    if n_frames is None or n_frames >= len(found):
        return found
    clips = sorted({record[0] for record in found})
    n_clips = min(len(clips), -(-n_frames // 2))
    places = np.arange(n_clips) * len(clips) // n_clips
    kept = {clips[place] for place in places}
    return [record for record in found if record[0] in kept][:n_frames]


def _read(path: str) -> np.ndarray:
    from PIL import Image  # heavy, and needed here only

    with decoding(path), Image.open(path) as image:
        return np.array(image.convert("RGB"))
