"""Clean frames of games that exist only here: five kinds of scene, many looks."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_random_state

from sklvyso._arguments import LARGEST_SIZE
from sklvyso._compat import Interval, validate_params
from sklvyso.datasets._game_scenes import SCENES, Look


@validate_params(
    {
        "n_frames": [Interval(Integral, 1, LARGEST_SIZE, closed="both")],
        "height": [Interval(Integral, 32, LARGEST_SIZE, closed="both")],
        "width": [Interval(Integral, 32, LARGEST_SIZE, closed="both")],
        "n_games": [Interval(Integral, 1, LARGEST_SIZE, closed="both")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_game_frames(
    n_frames: int = 100,
    *,
    height: int = 90,
    width: int = 160,
    n_games: int = 4,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Draw clean frames of made-up games, two frames a clip.

    Each game has a kind of scene (platformer, race track, corridor, top-down shooter,
    slope), a palette and textures; each clip a place in it; its second frame shows it
    a moment later.

    .. versionadded:: 0.1

    Parameters
    ----------
    n_frames : int, default=100
        Frames in all, spread evenly over the games.
    height : int, default=90
        Rows, >= 32.
    width : int, default=160
        Columns, >= 32.
    n_games : int, default=4
        Different games.
    random_state : int, RandomState instance or None, default=None
        Seed of the games and clips.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes:

        images : ndarray of shape (n_frames, height, width, 3), dtype=uint8
            The frames, game after game.
        group : ndarray of shape (n_frames,), dtype=int64
            The game, 0 to n_games - 1.
        clip : ndarray of shape (n_frames,), dtype=int64
            The clip within the game.
        frame : ndarray of shape (n_frames,), dtype=int64
            0 or 1, the place in the clip.

    See Also
    --------
    load_game_frames : Frames of real games.
    sklvyso.artifacts.make_artifact_frames : These frames with artifacts.

    Examples
    --------
    >>> from sklvyso.datasets import make_game_frames
    >>> bunch = make_game_frames(10, n_games=2, random_state=0)
    >>> bunch.images.shape, bunch.group
    ((10, 90, 160, 3), array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]))
    """
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    n_frames, n_games = int(n_frames), int(n_games)
    group = np.sort(np.arange(n_frames) % n_games)
    # Number of a frame within its game
    number = np.arange(n_frames) - np.searchsorted(group, group)
    clip, frame = number // 2, number % 2
    images = np.empty((n_frames, height, width, 3), dtype=np.uint8)
    looks = [
        Look(np.random.default_rng([seed, game]))
        for game in range(min(n_games, n_frames))
    ]
    for row in range(n_frames):
        game = int(group[row])
        scene = SCENES[game % len(SCENES)]
        # Both frames of a clip draw the same things, at another time.
        rng = np.random.default_rng([seed, game, int(clip[row])])
        picture = scene(looks[game], rng, float(frame[row]), height, width)
        images[row] = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return Bunch(
        images=images,
        group=group.astype(np.int64),
        clip=clip.astype(np.int64),
        frame=frame.astype(np.int64),
    )
