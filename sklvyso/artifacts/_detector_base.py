"""Reading, describing and hearing the experts: what the detector's methods share."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import read_array, untensored
from sklvyso._validation import validate_data
from sklvyso._versioned import VersionedEstimator
from sklvyso.artifacts import _detector_fit as fitting
from sklvyso.artifacts import _frames
from sklvyso.artifacts._expert_choice import ExpertChoice
from sklvyso.artifacts._reference import Reference
from sklvyso.artifacts._tile_expert import TileExpert
from sklvyso.artifacts._training_frames import describe_pairs

MIN_SIZE = 16


class DetectorState(VersionedEstimator, BaseEstimator):
    """Fitted state of the detector, and how frames become experts' probabilities."""

    _needed_state = (
        "_is_table",
        "artifacts_",
        "choice_",
        "classes_",
        "fitted_",
        "fitted_adapted_",
        "normal_class_",
    )

    input_shape: Any
    value_range: Any
    n_jobs: int | None
    verbose: int
    artifacts_: list[str]
    classes_: np.ndarray
    choice_: ExpertChoice
    fitted_: fitting.Fitted
    fitted_adapted_: fitting.Fitted | None
    normal_: Reference
    simulator_: Any
    tile_expert_: TileExpert | None
    n_features_in_: int
    _is_table: bool
    _averages: bool
    normal_class_: Any

    @property
    def _in_use(self) -> fitting.Fitted:
        return self.fitted_ if self.fitted_adapted_ is None else self.fitted_adapted_

    @property
    def experts_(self) -> dict[str, Any]:
        """Fitted experts by artifact, those of `adapt` once it was called."""
        return self._in_use.ensemble.experts_

    @property
    def final_estimator_(self) -> Any:
        """Fitted final estimator; None where `combine` is not "stack"."""
        return self._in_use.ensemble.final_estimator_

    @property
    def threshold_(self) -> float:
        """Probability of a corrupted frame from which on it is flagged."""
        return self._mean_threshold(lambda fitted: fitted.ensemble.threshold_)

    @property
    def pair_threshold_(self) -> float:
        """The threshold where the previous frame is given and clips were known."""
        return self._mean_threshold(
            lambda fitted: (fitted.pair_expert or fitted.ensemble).threshold_
        )

    def _mean_threshold(self, threshold: Callable[[fitting.Fitted], float]) -> float:
        limits = [threshold(self.fitted_)]
        if self.fitted_adapted_ is None:
            return limits[0]
        if not self._averages:
            return threshold(self.fitted_adapted_)
        both = np.array([limits[0], threshold(self.fitted_adapted_)])
        return float(_mean_odds(both[:1], both[1:])[0])

    @property
    def oof_scores_(self) -> dict[str, Any]:
        """Scores on training rows that were held out: games, or blocks of frames."""
        return self._in_use.ensemble.oof_scores_

    def _read(self, X: Any, reset: bool) -> Any:
        """Return frames (array or list), or a table (n, n_features)."""
        if not reset:
            check_is_fitted(self)
        if isinstance(X, list | tuple) and not len(X):
            raise ValueError("X must hold at least one frame. Got an empty list.")
        X = _frames.paths_listed(untensored("X", X))
        if _frames.is_listed(X):
            frames = _frames.listed_frames(X)
            _frames.check_float_range(frames, self.value_range)
            if reset:
                self._is_table = False
                if hasattr(self, "n_features_in_"):
                    del self.n_features_in_
            return frames
        if not hasattr(X, "ndim"):
            X = read_array("X", X)
        if X.ndim > 2:
            X = _frames.stacked_frames(X, MIN_SIZE)
            _frames.check_float_range(X, self.value_range)
            if reset:
                self.n_features_in_ = int(np.prod(X.shape[1:]))
                self._is_table = False
            return X
        X = validate_data(self, X, dtype="numeric", reset=reset)
        if reset:
            self._is_table = self.input_shape is None
        if self._is_table:
            return X
        shape = _frames.check_input_shape(self.input_shape, MIN_SIZE)
        return _frames.folded_frames(X, shape)

    def _describe(
        self, X: Any, previous: Any
    ) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """Return the frames, their features, and those of pairs if there are any."""
        frames = self._read(X, reset=False)
        if self._is_table:
            if previous is not None:
                raise ValueError(
                    "previous must be None where X is a table of features. "
                    f"Got {type(previous).__name__} instead."
                )
            return frames, np.asarray(frames, dtype=np.float64), None
        Z = fitting.describe_all(
            frames,
            self.choice_,
            self.value_range,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        if previous is None:
            return frames, Z, None
        return frames, Z, self._describe_pairs(frames, previous)

    def _describe_pairs(self, frames: Any, previous: Any) -> np.ndarray:
        is_list = isinstance(previous, list | tuple)
        if not is_list and not hasattr(previous, "ndim"):
            raise TypeError(
                "previous must be frames like X, or a list of them in which None "
                f"stands for no frame. Got {type(previous).__name__} instead."
            )
        previous = untensored("previous", previous)
        others = previous if is_list else self._read(previous, reset=False)
        if len(others) != len(frames):
            raise ValueError(
                f"previous must hold one frame, or None, for each of the {len(frames)} "
                f"in X. Got {len(others)}."
            )
        own = [_frames.load_frame(frame) for frame in frames]
        before = [
            None if o is None else _frames.check_frame(_frames.load_frame(o))
            for o in others
        ]
        for i, (frame, other) in enumerate(zip(own, before, strict=True)):
            if other is not None and np.shape(other) != frame.shape:
                raise ValueError(
                    f"The previous frame of frame {i} must have its shape, "
                    f"{frame.shape}. Got {np.shape(other)}."
                )
        return describe_pairs(own, before, self)

    def _experts_say(
        self, Z: np.ndarray, pairs: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the experts' probabilities, and that of a corrupted frame."""
        said = _say(self.fitted_, Z, pairs)
        if self.fitted_adapted_ is None:
            return said
        adapted = _say(self.fitted_adapted_, Z, pairs)
        if not self._averages:
            return adapted
        # Experts adapted to a dozen frames know the game, but little of its variety;
        # those of fit know variety.
        experts, corrupted = (
            _mean_odds(*both) for both in zip(said, adapted, strict=True)
        )
        return experts, corrupted

    def _threshold(self, pairs: np.ndarray | None) -> float:
        return self.threshold_ if pairs is None else self.pair_threshold_

    def _labels(self) -> np.ndarray:
        """Return the class of each artifact."""
        others = [c for c in self.classes_.tolist() if c != self.normal_class_]
        by_name = {str(label): label for label in others}
        return np.array([by_name[name] for name in self.artifacts_])


def _mean_odds(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the probability of mean log odds; 0 and 1 count as 1e-6 away."""
    odds = []
    for probability in (first, second):
        kept = np.clip(probability, 1e-6, 1 - 1e-6)
        odds.append(np.log(kept / (1 - kept)))
    mean: np.ndarray = 1 / (1 + np.exp(-(odds[0] + odds[1]) / 2))
    return mean


def _say(
    fitted: fitting.Fitted, Z: np.ndarray, pairs: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what one set of experts says, with the one on pairs where there are."""
    ensemble, pair_expert = fitted
    experts = ensemble.probabilities(Z)
    corrupted = ensemble.corrupted(experts)
    if pairs is None or pair_expert is None:
        return experts, corrupted
    rows = np.flatnonzero(~np.isnan(pairs[:, 0]))
    if len(rows):
        experts[rows] = pair_expert.replaced(experts[rows], pairs[rows])
        corrupted[rows] = pair_expert.corrupted(experts[rows], ensemble)
    return experts, corrupted
