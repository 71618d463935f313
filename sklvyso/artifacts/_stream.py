"""FrameStreamDetector: frames in playing order, judged together with their neighbours.

Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv 2011.15103,
judge frames one by one; streams are ours.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from sklvyso._arguments import read_array, shown, untensored
from sklvyso._compat import HasMethods, Interval, StrOptions
from sklvyso._versioned import VersionedEstimator
from sklvyso.artifacts import _frames
from sklvyso.artifacts._detector import ArtifactDetector
from sklvyso.artifacts._reading import iter_frames
from sklvyso.artifacts._voting import (
    VOTES,
    FrameInterval,
    describe_runs,
    flagged_runs,
    previous_frames,
    smooth,
)


class FrameStreamDetector(VersionedEstimator, BaseEstimator):
    """Find corrupted frames of a video or a running game, and when they came.

    Frames are judged one by one by an :class:`ArtifactDetector`, each with the frame
    before it at hand; then the probabilities of neighbouring frames vote, so that a
    single doubtful frame neither raises nor ends an alarm.

    - Frames may come from an iterator of any length: they are read in chunks, and at
      most two chunks are in memory.
    - Where the size of frames changes, the first frame of the new size has no frame
      before it.
    - All methods take what :func:`iter_frames` takes, and frames in playing order.

    .. versionadded:: 0.1

    Parameters
    ----------
    detector : ArtifactDetector, FrozenEstimator or None, default=None
        Judges single frames; :meth:`fit` clones and fits it. None is
        ``ArtifactDetector()``. One that is fitted already is used as it is when
        wrapped, ``sklearn.frozen.FrozenEstimator(detector)``; :meth:`from_fitted` does
        so, and spares the call of :meth:`fit`.
    window : int, default=5
        Frames that vote on each frame, odd: the frame, and as many before as after
        it. At both ends of the stream there are fewer. 1 leaves probabilities alone.
    vote : {"median", "mean", "max"}, default="median"
        How they vote. The median drops artifacts shorter than half a window, "max"
        keeps all of them and widens them by half a window on either side.
    use_previous : bool, default=True
        Hand each frame's predecessor to the detector, which helps with tearing. It
        does so only if the detector was fitted with `clips`, see Notes.
    min_length : int, default=1
        Shorter intervals are dropped by :meth:`intervals`.
    max_gap : int, default=0
        So many frames that are not flagged do not end an interval.
    batch_size : int, default=16
        Frames in a chunk. It does not change results.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    detector_ : ArtifactDetector or FrozenEstimator
        The fitted detector.
    artifacts_ : list of str
        Names of the artifacts, in the order of columns.
    classes_ : ndarray of shape (n_classes,)
        What :meth:`predict` returns.
    threshold_ : float
        From which smoothed probability on a frame is flagged: the detector's, for
        pairs of frames where it judges pairs.
    n_features_in_ : int
        Values of a frame, if the detector was fitted on an array.
    feature_names_in_ : ndarray of str
        Names of columns, if the detector was fitted on a data frame of features.

    See Also
    --------
    ArtifactDetector : Judges frames one by one.
    iter_frames : Frames of folders and videos, one by one.

    Notes
    -----
    The detector learns from pairs of frames of one clip, in the supplied data about
    half a second apart, while the frame before another in a stream is about 1/30 s
    older. There most of a scene stands still, and a tear is fainter. Fit on clips at
    the rate of the streams to be judged, or pass every n-th frame,
    ``iter_frames(path, step=n)``, if tears matter; else ``use_previous=False``.

    Probabilities are smoothed, not decisions: the vote of the median is that of the
    majority for any threshold.

    References
    ----------
    .. [1] Davarmanesh, Jiang, Ou, Vysogorets, Ivashkevich, Kiehn, Joshi, Malaya,
       "Automating Artifact Detection in Video Games", arXiv 2011.15103, 2020.

    Examples
    --------
    >>> from sklvyso import artifacts, datasets
    >>> clean = datasets.make_game_frames(16, height=48, width=64, random_state=0)
    >>> detector = artifacts.ArtifactDetector(
    ...     artifacts=["triangulation"], restyle=False, n_simulated=1, tiles=None,
    ...     random_state=0,
    ... ).fit(clean.images)
    >>> frames = clean.images.copy()
    >>> simulator = artifacts.ArtifactSimulator(random_state=0)
    >>> frames[6:12] = simulator.corrupt(frames[6:12], "triangulation")
    >>> stream = artifacts.FrameStreamDetector.from_fitted(detector, window=3)
    >>> [(i.start, i.stop, i.artifact) for i in stream.intervals(iter(frames))]
    [(6, 12, 'triangulation')]
    """

    _needed_state = ("detector_",)
    _parameter_constraints: dict[str, list] = {
        "detector": [HasMethods(["fit", "predict_artifact_proba"]), None],
        "window": [Interval(Integral, 1, None, closed="left")],
        "vote": [StrOptions(set(VOTES))],
        "use_previous": ["boolean"],
        "min_length": [Interval(Integral, 1, None, closed="left")],
        "max_gap": [Interval(Integral, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        detector: Any = None,
        *,
        window: int = 5,
        vote: str = "median",
        use_previous: bool = True,
        min_length: int = 1,
        max_gap: int = 0,
        batch_size: int = 16,
        verbose: int = 0,
    ):
        self.detector = detector
        self.window = window
        self.vote = vote
        self.use_previous = use_previous
        self.min_length = min_length
        self.max_gap = max_gap
        self.batch_size = batch_size
        self.verbose = verbose

    @classmethod
    def from_fitted(cls, detector: Any, **parameters: Any) -> FrameStreamDetector:
        """Return a stream detector that is ready to use a fitted detector.

        Parameters
        ----------
        detector : ArtifactDetector
            Fitted. It is neither copied nor fitted again, here or in :meth:`fit`.
        **parameters : dict
            Of the stream detector.

        Returns
        -------
        stream : FrameStreamDetector
            Fitted.

        Raises
        ------
        NotFittedError
            If the detector is not fitted.
        ValueError
            If a parameter is wrong.
        """
        check_is_fitted(detector)
        if not isinstance(detector, FrozenEstimator):
            detector = FrozenEstimator(detector)
        return cls(detector, **parameters).fit(None)

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        clips: ArrayLike | None = None,
    ) -> FrameStreamDetector:
        """Fit the detector, see :meth:`ArtifactDetector.fit`.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames to learn from, clean ones if there are no labels. With a detector in
            a ``FrozenEstimator`` X and all else is ignored.
        y : array-like of shape (n,) or (n, n_artifacts), default=None
            Labels, if there are any.
        groups : array-like of shape (n,), default=None
            The game of each frame.
        clips : array-like of shape (n,), default=None
            The clip of each frame within its game, whose frames are in playing order.
            Without it previous frames are of no use.

        Returns
        -------
        self : FrameStreamDetector
            Fitted.

        Raises
        ------
        ValueError
            If a parameter, a frame or a label is wrong.
        """
        self._check_parameters()
        detector = ArtifactDetector() if self.detector is None else clone(self.detector)
        self.detector_ = detector.fit(X, y, groups=groups, clips=clips)
        return self

    # -- predicting ---------------------------------------------------------------

    def corrupted_proba(self, frames: Any) -> np.ndarray:
        """Return how probably each frame is corrupted, its neighbours considered.

        Parameters
        ----------
        frames : iterator, array of shape (n, H, W[, C]), list of frames or paths, path
            Frames in playing order; or a table (n, n_features), if fitted on one.

        Returns
        -------
        corrupted : ndarray of shape (n,), float64
            In [0, 1].

        Raises
        ------
        ValueError
            If there is no frame, or a frame is wrong.
        """
        return self._judged(frames)[0]

    def predict_artifact_proba(self, frames: Any) -> np.ndarray:
        """Return how probable each artifact is on each frame, neighbours considered.

        Parameters
        ----------
        frames : iterator, array of shape (n, H, W[, C]), list of frames or paths, path
            See :meth:`corrupted_proba`.

        Returns
        -------
        probabilities : ndarray of shape (n, n_artifacts), float64
            In [0, 1], columns as in ``artifacts_``.
        """
        return self._judged(frames)[1]

    def predict_artifacts(self, frames: Any) -> np.ndarray:
        """Say which artifacts each frame shows, neighbours considered.

        Parameters
        ----------
        frames : iterator, array of shape (n, H, W[, C]), list of frames or paths, path
            See :meth:`corrupted_proba`.

        Returns
        -------
        indicator : ndarray of shape (n, n_artifacts), int64
            1 where the smoothed probability is 0.5 or more.
        """
        return (self.predict_artifact_proba(frames) >= 0.5).astype(np.int64)

    def predict(self, frames: Any) -> np.ndarray:
        """Return the class of each frame, neighbours considered.

        Parameters
        ----------
        frames : iterator, array of shape (n, H, W[, C]), list of frames or paths, path
            See :meth:`corrupted_proba`.

        Returns
        -------
        labels : ndarray of shape (n,)
            Members of ``classes_``: 1 where a frame is corrupted, or the artifact, as
            the detector's `predict`.
        """
        corrupted, artifacts = self._judged(frames)
        normal = self.detector_.normal_class_
        others = [label for label in self.classes_.tolist() if label != normal]
        if len(others) == 1:
            found = np.full(len(corrupted), others[0])
        else:
            by_name = {str(label): label for label in others}
            found = np.array([by_name[name] for name in self.artifacts_])
            found = found[artifacts.argmax(axis=1)]
        is_flagged = corrupted >= self.threshold_
        return np.where(is_flagged, found, normal).astype(self.classes_.dtype)

    def intervals(self, frames: Any) -> list[FrameInterval]:
        """Return when artifacts begin and end.

        Parameters
        ----------
        frames : iterator, array of shape (n, H, W[, C]), list of frames or paths, path
            See :meth:`corrupted_proba`.

        Returns
        -------
        intervals : list of FrameInterval
            In playing order: tuples (start, stop, artifact, probability), frames from
            0, `stop` not included.
        """
        corrupted, artifacts = self._judged(frames)
        is_flagged = corrupted >= self.threshold_
        runs = flagged_runs(is_flagged, self.min_length, self.max_gap)
        return describe_runs(runs, corrupted, artifacts, self.artifacts_)

    # -- fitted attributes of the detector ----------------------------------------

    @property
    def artifacts_(self) -> list[str]:
        """Names of the artifacts."""
        return self.detector_.artifacts_

    @property
    def classes_(self) -> np.ndarray:
        """Classes that `predict` returns."""
        return self.detector_.classes_

    @property
    def threshold_(self) -> float:
        """From which probability on a frame is flagged."""
        if self.use_previous:
            return self.detector_.pair_threshold_
        return self.detector_.threshold_

    @property
    def n_features_in_(self) -> int:
        """Values of a frame, if the detector was fitted on an array."""
        return self.detector_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of columns, if the detector was fitted on a data frame."""
        return self.detector_.feature_names_in_

    # -- private ------------------------------------------------------------------

    def _check_parameters(self) -> None:
        self._validate_params()
        if self.window % 2 == 0:
            raise ValueError(
                "window must be odd, so that it is centred on a frame. "
                f"Got {self.window} instead."
            )

    def _judged(self, frames: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return smoothed probabilities, (n,) and (n, n_artifacts)."""
        check_is_fitted(self)
        # They matter here, and may have been set after fit.
        self._check_parameters()
        parts = []
        last = None
        with tqdm(unit="frames", disable=not self.verbose) as bar:
            for chunk in _chunks(frames, self.batch_size, self.detector_.input_shape):
                is_frames = len(chunk) > 0 and np.ndim(chunk[0]) > 1
                parts.append(self._judge_chunk(chunk, last, is_frames))
                last = chunk[-1] if is_frames else None
                bar.update(len(parts[-1][0]))
        if not parts:
            raise ValueError("frames must hold at least one frame. Got none.")
        corrupted, artifacts = map(np.concatenate, zip(*parts, strict=True))
        return (
            smooth(corrupted, self.window, self.vote),
            smooth(artifacts, self.window, self.vote),
        )

    def _judge_chunk(
        self, chunk: Any, last: Any, is_frames: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        # The list of previous frames must not outlive this call: it holds the last
        # frame of the chunk before, and the next one is about to be read.
        before = None
        if self.use_previous and is_frames:
            before = previous_frames(chunk, last)
        return self.detector_.judge(chunk, before)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _chunks(frames: Any, n_frames: int, input_shape: Any) -> Iterator[Any]:
    """Yield lists of frames, parts of an array, or a table of features at once."""
    if isinstance(frames, str | os.PathLike) or _frames.is_listed(frames):
        source = iter_frames(frames)
        while chunk := list(itertools.islice(source, n_frames)):
            yield chunk
        return
    if hasattr(frames, "iloc") or not hasattr(frames, "ndim"):
        frames = read_array("frames", frames)
    frames = untensored("frames", frames)
    if not frames.ndim or hasattr(frames, "nnz"):
        raise ValueError(f"frames must be an array of frames. Got {shown(frames)}.")
    if frames.ndim == 2 and input_shape is not None:
        frames = _frames.folded_frames(np.asarray(frames), input_shape)
    if frames.ndim < 3:
        yield frames
        return
    for start in range(0, len(frames), n_frames):
        yield frames[start : start + n_frames]
