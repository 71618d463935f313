"""ArtifactSimulator: put the artifacts of broken graphics on clean frames.

Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv 2011.15103.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.parallel import Parallel, delayed

from sklvyso._arguments import is_choice, is_integer, read_array, shown
from sklvyso._compat import Interval, StrOptions
from sklvyso._validation import check_classification_targets
from sklvyso._versioned import VersionedEstimator
from sklvyso.artifacts import _frames
from sklvyso.artifacts._corrupting import changed_mask, corrupt_frame
from sklvyso.artifacts._plan import frame_stream, plan_artifacts
from sklvyso.artifacts._registry import Generator, resolve_artifacts

# Below this a scaled artifact no longer looks like itself.
_MIN_SIZE = 32


class ArtifactSimulator(VersionedEstimator, BaseEstimator):
    """Put artifacts of broken graphics on clean game frames.

    Real corrupted frames are rare, so that detectors learn from synthetic ones. The
    thirteen classes of the paper and eight more are drawn with random places, colours
    and sizes; lengths scale with the height of the frame.

    - The input is never modified; dtype, shape and container are kept.
    - Each frame has its own random stream, by its number: the result depends neither
      on batches nor on ``n_jobs``.
    - A drawn artifact is visible: at least ``min_changed`` of the pixels change by 8
      of 255 or more, else it is drawn again.
    - Frames may be grey or RGB, uint8 or float, and of different sizes in a list.

    .. versionadded:: 0.1

    Parameters
    ----------
    artifacts : {"paper", "all"}, str, list of str or dict, default="paper"
        Which artifacts :meth:`simulate` draws from: the 11 of the paper's test sets,
        every name in ``ARTIFACTS``, some of these names, or a dict that maps names to
        generators of your own (see :func:`register_artifact`).
    severity : float or (float, float), default=1.0
        How strong artifacts are, in (0, 1]: it multiplies counts, sizes and opacity,
        and 1 is the paper. Of a pair (low, high) each frame draws its own.
    p : float, default=0.5
        Share of frames that :meth:`simulate` corrupts, in [0, 1]; exact to within one
        frame in ten.
    n_artifacts : int, default=1
        Different artifacts on a corrupted frame.
    min_changed : float, default=2e-4
        Share of pixels that must change visibly, in [0, 1).
    on_unchanged : {"raise", "warn", "ignore"}, default="raise"
        What to do where an artifact cannot be seen (a black frame cannot stutter).
        :meth:`simulate` first tries the other artifacts; with "warn" and "ignore" a
        frame on which none shows stays as it is, and is labelled so.
    labels : {"binary", "names", "indicator"}, default="binary"
        Labels that :meth:`fit_resample` returns: 1 for corrupted; the artifact's name
        or "normal" (one artifact a frame); or the matrix of :meth:`simulate`.
    return_mask : bool, default=False
        Whether :meth:`corrupt` and :meth:`simulate` also return which pixels changed.
    input_shape : tuple (H, W) or (H, W, C), default=None
        How to fold rows of 2-d input into frames.
    value_range : "auto" or (float, float), default="auto"
        Values of black and white. "auto" is [0, 1] for floats and bool, 0..65535 for
        uint16, 0..255 for other integers.
    random_state : int, RandomState instance or None, default=None
        Seed of plan and streams. With an int each call repeats the last one.
    n_jobs : int, default=None
        Frames in parallel, in chunks.

    See Also
    --------
    make_artifact_frames : Procedural frames that went through this.
    register_artifact : Add a generator of your own.
    sklvyso.datasets.load_game_frames : Real clean frames.

    Notes
    -----
    ``severity``, visibility and scaling are ours; so are some repairs of the reference
    code: triangles start in the darkest part of the frame, not in its transposed
    place; torn parts are compared with signs; block exchanges that do nothing are
    drawn again, and sides with few divisors take those of a slightly shorter side;
    dark frames discolour at their 95 % quantile; dots keep their distance whatever the
    angle of the line.

    There is no state to fit. In an :class:`imblearn.pipeline.Pipeline` the simulator
    is a sampler: it acts in ``fit`` and leaves frames alone in ``predict``.

    References
    ----------
    .. [1] Davarmanesh, Jiang, Ou, Vysogorets, Ivashkevich, Kiehn, Joshi, Malaya,
       "Automating Artifact Detection in Video Games", arXiv 2011.15103, 2020.

    Examples
    --------
    >>> from sklvyso import artifacts, datasets
    >>> frames = datasets.make_game_frames(8, random_state=0).images
    >>> simulator = artifacts.ArtifactSimulator(p=0.5, random_state=0)
    >>> corrupted, Y = simulator.simulate(frames)
    >>> corrupted.shape, Y.shape, int(Y.any(axis=1).sum())
    ((8, 90, 160, 3), (8, 11), 4)
    >>> torn, mask = simulator.set_params(return_mask=True).corrupt(
    ...     frames[::2], "screen_tearing", previous=frames[1::2]
    ... )
    >>> bool(((torn != frames[::2]).any(axis=3) == mask).all())
    True
    """

    _parameter_constraints: dict[str, list] = {
        "artifacts": [str, "array-like", dict],
        "severity": [Interval(Real, 0, 1, closed="right"), tuple],
        "p": [Interval(Real, 0, 1, closed="both")],
        "n_artifacts": [Interval(Integral, 1, None, closed="left")],
        "min_changed": [Interval(Real, 0, 1, closed="left")],
        "on_unchanged": [StrOptions({"raise", "warn", "ignore"})],
        "labels": [StrOptions({"binary", "names", "indicator"})],
        "return_mask": ["boolean"],
        "input_shape": ["array-like", None],
        "value_range": [StrOptions({"auto"}), "array-like"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        artifacts: Any = "paper",
        *,
        severity: float | tuple[float, float] = 1.0,
        p: float = 0.5,
        n_artifacts: int = 1,
        min_changed: float = 2e-4,
        on_unchanged: str = "raise",
        labels: str = "binary",
        return_mask: bool = False,
        input_shape: tuple[int, ...] | None = None,
        value_range: str | tuple[float, float] = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ):
        self.artifacts = artifacts
        self.severity = severity
        self.p = p
        self.n_artifacts = n_artifacts
        self.min_changed = min_changed
        self.on_unchanged = on_unchanged
        self.labels = labels
        self.return_mask = return_mask
        self.input_shape = input_shape
        self.value_range = value_range
        self.random_state = random_state
        self.n_jobs = n_jobs

    @property
    def artifact_names(self) -> list[str]:
        """Names of the artifacts, in the order of the columns of ``Y``."""
        return list(resolve_artifacts(self.artifacts))

    def corrupt(
        self,
        X: Any,
        artifact: str,
        previous: Any = None,
        *,
        start: int = 0,
    ) -> Any:
        """Put one artifact on every frame.

        Parameters
        ----------
        X : array of shape (n, H, W) or (n, H, W, C), list of frames or of paths
            Clean frames.
        artifact : str
            A name in ``ARTIFACTS``, or in ``artifacts`` where that is a dict.
        previous : like X, default=None
            For each frame another one of the same clip, for tearing and lost blocks;
            of a list, entries may be None. Without it tearing shows a shifted copy.
        start : int, default=0
            Number of the first frame: batches with their own `start` give what one
            call over all frames gives.

        Returns
        -------
        X_out : like X
            Corrupted frames.
        mask : bool ndarray of shape (n, H, W), or list of (H, W)
            Pixels that changed; only if ``return_mask``.

        Raises
        ------
        ValueError
            If a parameter or a frame is wrong, or, with ``on_unchanged="raise"``, the
            artifact cannot be seen on a frame.
        """
        start = _checked_start(start)
        frames, before, generators = self._prepare(X, previous)
        if not is_choice(artifact, generators):
            generators |= resolve_artifacts([artifact])
        seed = self._seed()
        plan = [[artifact]] * len(frames)
        out, _ = self._draw(frames, before, plan, generators, seed, start, [])
        return self._returned(X, frames, out)

    def simulate(
        self,
        X: Any,
        groups: ArrayLike | None = None,
        previous: Any = None,
        *,
        start: int = 0,
    ) -> Any:
        """Corrupt a share of the frames, all artifacts equally often.

        Parameters
        ----------
        X : array of shape (n, H, W) or (n, H, W, C), list of frames or of paths
            Clean frames.
        groups : array-like of shape (n,), default=None
            The game of each frame. Given, share and artifacts are balanced within
            each game.
        previous : like X, default=None
            See :meth:`corrupt`.
        start : int, default=0
            Number of the first frame; without `groups` only, whose plan counts frames
            by group.

        Returns
        -------
        X_out : like X
            Frames, some of them corrupted.
        Y : ndarray of shape (n, n_names), dtype int64
            1 where a frame has an artifact; columns as in ``artifact_names``. A row
            of zeros is a normal frame.
        mask : bool ndarray of shape (n, H, W), or list of (H, W)
            Pixels that changed; only if ``return_mask``.

        Raises
        ------
        ValueError
            If a parameter or a frame is wrong, or, with ``on_unchanged="raise"``, no
            artifact can be seen on a frame.
        """
        start = _checked_start(start)
        frames, before, generators = self._prepare(X, previous)
        names = list(generators)
        if self.n_artifacts > len(names):
            raise ValueError(
                f"n_artifacts must be at most the number of artifacts, {len(names)}. "
                f"Got {self.n_artifacts} instead."
            )
        seed = self._seed()
        plan = self._plan(len(frames), groups, seed, names, start)
        out, drawn = self._draw(frames, before, plan, generators, seed, start, names)
        Y = np.array(
            [[int(name in on_frame) for name in names] for on_frame in drawn],
            dtype=np.int64,
        )
        X_out, *mask = self._returned(X, frames, out, always_tuple=True)
        return (X_out, Y, *mask)

    def fit(self, X: Any, y: Any = None) -> ArtifactSimulator:
        """Check the parameters; there is nothing to learn.

        Parameters
        ----------
        X : ignored
            Not used.
        y : ignored
            Not used.

        Returns
        -------
        self : ArtifactSimulator
            The simulator.
        """
        self._check_parameters()
        return self

    def fit_resample(self, X: Any, y: ArrayLike | None = None) -> tuple[Any, Any]:
        """Corrupt a share of clean frames, as a step of imbalanced-learn's Pipeline.

        Parameters
        ----------
        X : array of shape (n, H, W), (n, H, W, C) or (n, H * W * C), or list of frames
            Clean frames.
        y : array-like of shape (n,), default=None
            One label for all: frames that are corrupted already would get a wrong one.

        Returns
        -------
        X_out : like X
            Frames, some of them corrupted.
        y_out : ndarray of shape (n,) or (n, n_names)
            What ``labels`` says: int64, or str for "names".

        Raises
        ------
        ValueError
            If `y` holds several labels.
        """
        if y is not None:
            check_consistent_length(X, y)
            check_classification_targets(y)
            if len(np.unique(column_or_1d(y))) > 1:
                raise ValueError(
                    "y must hold one label: the simulator wants normal frames only. "
                    f"Got {np.unique(column_or_1d(y)).tolist()[:5]} instead; pass the "
                    "normal frames, or None."
                )
        self._check_parameters()
        if self.labels == "names" and self.n_artifacts > 1:
            raise ValueError(
                "labels='names' needs n_artifacts=1, because a frame has one name. "
                f"Got n_artifacts={self.n_artifacts} instead."
            )
        X_out, Y, *_ = self.simulate(X)
        if self.labels == "indicator":
            return X_out, Y
        is_corrupted = Y.any(axis=1)
        if self.labels == "binary":
            return X_out, is_corrupted.astype(np.int64)
        names = np.array(self.artifact_names)
        return X_out, np.where(is_corrupted, names[Y.argmax(axis=1)], "normal")

    # -- private ------------------------------------------------------------------

    def _check_parameters(self) -> dict[str, Generator]:
        self._validate_params()
        _frames.check_value_range(self.value_range)
        low, high = self._severities()
        if not 0 < low <= high <= 1:
            raise ValueError(
                "severity must be a number in (0, 1] or a pair (low, high) of them. "
                f"Got {self.severity!r} instead."
            )
        return resolve_artifacts(self.artifacts)

    def _severities(self) -> tuple[float, float]:
        if isinstance(self.severity, tuple):
            return self.severity if len(self.severity) == 2 else (0.0, 0.0)
        return self.severity, self.severity

    def _prepare(self, X: Any, previous: Any) -> tuple[Any, Any, dict[str, Generator]]:
        generators = self._check_parameters()
        frames = self._read(X)
        before = [None] * len(frames)
        if previous is not None:
            before = self._read(previous) if not _has_gaps(previous) else previous
            if len(before) != len(frames):
                raise ValueError(
                    f"previous must hold one frame for each of the {len(frames)} in X. "
                    f"Got {len(before)} instead."
                )
        return frames, before, generators

    def _read(self, X: Any) -> Any:
        X = _frames.paths_listed(X)
        if _frames.is_listed(X):
            return _frames.listed_frames(X)
        X = read_array("X", X)
        if X.ndim == 2 and self.input_shape is None:
            raise ValueError(
                "input_shape must be (H, W) or (H, W, C) where frames are rows of a "
                f"table. Got None and X of shape {X.shape}; a single frame needs a "
                "leading axis, X[np.newaxis]."
            )
        if X.ndim == 2:
            shape = _frames.check_input_shape(self.input_shape, _MIN_SIZE)
            X = _frames.folded_frames(X, shape)
        return _frames.stacked_frames(X, _MIN_SIZE)

    def _seed(self) -> int:
        generator = check_random_state(self.random_state)
        return int(generator.randint(np.iinfo(np.int32).max))

    def _plan(
        self,
        n_frames: int,
        groups: ArrayLike | None,
        seed: int,
        names: list[str],
        start: int,
    ) -> list[list[str]]:
        codes = np.zeros(n_frames, dtype=int)
        if groups is not None:
            games = _names_of_games(groups)
            if len(games) != n_frames or start:
                raise ValueError(
                    f"groups must name the game of each of the {n_frames} frames, with "
                    f"start=0. Got {len(games)} and start={start} instead."
                )
            codes = np.unique(games, return_inverse=True)[1]
        plan: list[list[str]] = [[]] * n_frames
        for code in np.unique(codes):
            rows = np.flatnonzero(codes == code)
            numbers = np.arange(start, start + len(rows))
            chosen = plan_artifacts(
                seed, numbers, self.p, len(names), self.n_artifacts, int(code)
            )
            for row, places in zip(rows, chosen, strict=True):
                plan[row] = [names[place] for place in places]
        return plan

    def _draw(
        self,
        frames: Any,
        before: Any,
        plan: list[list[str]],
        generators: Mapping[str, Generator],
        seed: int,
        start: int,
        spare: list[str],
    ) -> tuple[list[np.ndarray], list[list[str]]]:
        settings = {
            "severities": self._severities(),
            "min_changed": self.min_changed,
            "value_range": self.value_range,
        }
        results = Parallel(n_jobs=self.n_jobs)(
            delayed(_draw_frame)(
                frame, previous, names, generators, seed, start + i, spare, settings
            )
            for i, (frame, previous, names) in enumerate(
                zip(frames, before, plan, strict=True)
            )
        )
        for i, (_, drawn) in enumerate(results):
            if len(drawn) < len(plan[i]):
                self._complain(start + i, plan[i])
        return [out for out, _ in results], [drawn for _, drawn in results]

    def _complain(self, number: int, names: list[str]) -> None:
        text = (
            f"Frame {number} must show {' and '.join(names)}, which changes fewer than "
            f"min_changed={self.min_changed} of its pixels visibly."
        )
        if self.on_unchanged == "raise":
            raise ValueError(
                f"{text} Leave the frame out, or pass on_unchanged='warn' to keep it "
                "as it is."
            )
        if self.on_unchanged == "warn":
            warnings.warn(f"{text} It stays as it is.", UserWarning, stacklevel=4)

    def _returned(
        self, X: Any, frames: Any, out: list[np.ndarray], always_tuple: bool = False
    ) -> Any:
        """Bring frames back into the container of X, with masks if wanted."""
        is_stack = isinstance(frames, np.ndarray)
        result: Any = np.stack(out) if is_stack else out
        masks: list[Any] = []
        if self.return_mask:
            pairs = zip(map(_frames.load_frame, frames), out, strict=True)
            mask = [changed_mask(frame, new) for frame, new in pairs]
            masks.append(np.stack(mask) if is_stack else mask)
        if is_stack and np.ndim(X) == 2:
            result = result.reshape(len(out), -1)
        return (result, *masks) if masks or always_tuple else result

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def _has_gaps(previous: Any) -> bool:
    return isinstance(previous, list | tuple) and any(p is None for p in previous)


def _draw_frame(
    item: Any,
    previous: Any,
    names: list[str],
    generators: Mapping[str, Generator],
    seed: int,
    number: int,
    spare: list[str],
    settings: Mapping[str, Any],
) -> tuple[np.ndarray, list[str]]:
    """Draw the planned artifacts, or others where one does not show."""
    frame = _frames.load_frame(item)
    if not names:
        return frame.copy(), []
    _frames.check_size(frame.shape, _MIN_SIZE)
    before = None if previous is None else _frames.load_frame(previous)
    if before is not None and (before.shape, before.dtype) != (
        frame.shape,
        frame.dtype,
    ):
        raise ValueError(
            f"The previous frame of frame {number} must have its shape and dtype, "
            f"{frame.shape} {frame.dtype}. Got {before.shape} {before.dtype} instead."
        )
    rng = frame_stream(seed, number)
    severity = rng.uniform(*settings["severities"])
    out = frame
    drawn: list[str] = []
    left = [name for name in spare if name not in names]
    candidates = [*names, *rng.permutation(left).tolist()]
    for name in candidates:
        if len(drawn) == len(names):
            break
        new = corrupt_frame(
            out,
            generators[name],
            rng,
            severity,
            before,
            settings["min_changed"],
            settings["value_range"],
        )
        if new is not None:
            out = new
            drawn.append(name)
    return (out if drawn else frame.copy()), drawn


def _checked_start(start: Any) -> int:
    if not is_integer(start) or not 0 <= start < 2**62:
        raise ValueError(
            f"start must be an integer >= 0, a frame's number. Got {shown(start)}."
        )
    return int(start)


def _names_of_games(groups: Any) -> np.ndarray:
    games = column_or_1d(read_array("groups", groups))
    try:
        np.unique(games)
    except TypeError as error:
        raise TypeError(
            f"groups must be names of games, all of one kind, none missing: {error}"
        ) from error
    return games
