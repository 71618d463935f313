"""ArtifactDetector: one expert an artifact, and a final estimator that hears them all.

Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv 2011.15103.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from sklvyso._compat import HasMethods, Interval, StrOptions, _check_sample_weight
from sklvyso.artifacts import _detector_fit as fitting
from sklvyso.artifacts import _frames
from sklvyso.artifacts._combining import COMBINES
from sklvyso.artifacts._ensemble import Combination
from sklvyso.artifacts._expert_choice import choose_experts, default_expert
from sklvyso.artifacts._explaining import expert_importances, standing_out
from sklvyso.artifacts._reference import Reference, measure_reference
from sklvyso.artifacts._simulate import ArtifactSimulator
from sklvyso.artifacts._targets import is_all_normal, partners, read_targets
from sklvyso.artifacts._training_frames import describe_pairs

_MIN_SIZE = 32
_N_UNLABELLED = 32
_UNLABELLED_SHARE = 0.4


class ArtifactDetector(ClassifierMixin, BaseEstimator):
    """Find corrupted frames and name the artifact (documented below)."""

    _parameter_constraints: dict[str, list] = {
        "experts": [
            StrOptions({"auto", "paper"}),
            dict,
            HasMethods(["fit", "predict_proba"]),
        ],
        "featurizers": [StrOptions({"auto"}), "array-like"],
        "final_estimator": [HasMethods(["fit", "predict_proba"]), None],
        "combine": [StrOptions(set(COMBINES))],
        "stack_method": [StrOptions({"proba", "binary"})],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "artifacts": [str, "array-like", dict, None],
        "simulator": [HasMethods(["corrupt", "simulate"]), None],
        "n_simulated": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "restyle": ["boolean"],
        "n_selected": [Interval(Integral, 1, None, closed="left")],
        "normal_label": "no_validation",
        "threshold": [Interval(Real, 0, 1, closed="both")],
        "target_fpr": [Interval(Real, 0, 1, closed="left"), None],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "tiles": [tuple, None],
        "input_shape": ["array-like", None],
        "value_range": [StrOptions({"auto"}), "array-like"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        experts: Any = "auto",
        *,
        featurizers: Any = "auto",
        final_estimator: Any = None,
        combine: str = "stack",
        stack_method: str = "proba",
        cv: int = 4,
        artifacts: Any = None,
        simulator: ArtifactSimulator | None = None,
        n_simulated: int | str = "auto",
        restyle: bool = True,
        n_selected: int = 40,
        normal_label: Any = "normal",
        threshold: float = 0.5,
        target_fpr: float | None = None,
        class_weight: Any = "balanced",
        tiles: tuple[int, int] | None = (4, 6),
        input_shape: tuple[int, ...] | None = None,
        value_range: str | tuple[float, float] = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.experts = experts
        self.featurizers = featurizers
        self.final_estimator = final_estimator
        self.combine = combine
        self.stack_method = stack_method
        self.cv = cv
        self.artifacts = artifacts
        self.simulator = simulator
        self.n_simulated = n_simulated
        self.restyle = restyle
        self.n_selected = n_selected
        self.normal_label = normal_label
        self.threshold = threshold
        self.target_fpr = target_fpr
        self.class_weight = class_weight
        self.tiles = tiles
        self.input_shape = input_shape
        self.value_range = value_range
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    # -- learning -----------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        *,
        clips: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> ArtifactDetector:
        """Learn."""
        self._validate_params()
        _frames.check_value_range(self.value_range)
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 10))
        frames = self._read(X, reset=True)
        if y is not None:
            check_consistent_length(frames, np.asarray(y))
        games = self._games(groups, len(frames))
        if is_all_normal(y, self.normal_label) and not self._is_table:
            self._fit_simulated(frames, games, clips, y)
        else:
            self._fit_labelled(frames, y, games, clips, sample_weight)
        self.normal_ = self._measure_normal()
        self.fitted_adapted_ = None
        self.n_adapted_frames_ = 0
        return self

    def _fit_simulated(
        self, frames: Any, games: np.ndarray | None, clips: Any, y: Any
    ) -> None:
        simulator = self._make_simulator()
        names = simulator.artifact_names
        for frame in frames[:1]:
            _frames.check_size(_frames.load_frame(frame).shape, _MIN_SIZE)
        if len(frames) < 4:
            raise ValueError(
                "X must hold at least 4 clean frames to simulate artifacts on. "
                f"Got {len(frames)}."
            )
        self._choose(names, frames)
        rows = partners(clips, games, len(frames))
        previous = [None if row < 0 else frames[row] for row in rows]
        rounds = fitting.n_rounds(self.n_simulated, len(frames), len(names))
        self.training_ = fitting.simulate_training_rows(
            frames,
            previous,
            games,
            self.choice_,
            simulator,
            rounds,
            self.restyle,
            self._seed,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        self.simulator_ = simulator
        normal = 0 if y is None else np.unique(np.asarray(y)).tolist()[0]
        self._kind = "binary"
        self.classes_ = np.array([0, 1]) if normal == 0 else self._named(normal, names)
        self._normal_class = normal
        self.artifacts_ = names
        self.fitted_ = self._fit_experts(self.training_)
        self.tile_expert_ = None
        if self.tiles is not None:
            fitting.check_tile_grid(self.tiles, frames[0])
            self.tile_expert_ = fitting.fit_tiles(
                frames,
                previous,
                simulator,
                self.tiles,
                self._seed,
                n_jobs=self.n_jobs,
                verbose=self.verbose,
            )

    def _named(self, normal: Any, names: list[str]) -> np.ndarray:
        """Classes where normal frames came with a name: artifacts have theirs."""
        if not isinstance(normal, str):
            return np.array([0, 1])
        self._kind = "named"
        return np.unique([normal, *names])

    def _fit_labelled(
        self,
        frames: Any,
        y: Any,
        games: np.ndarray | None,
        clips: Any,
        sample_weight: Any,
    ) -> None:
        if y is None:
            raise ValueError(
                "y must hold a label for each row where X is a table of features: "
                "artifacts can be simulated on frames only. Pass input_shape=(H, W) or "
                "(H, W, C) if rows are frames. This classifier requires y to be "
                "passed, but the target y is None."
            )
        targets = read_targets(y, self.normal_label, self.artifacts)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, np.zeros(len(frames)))
        self._check_enough(targets)
        self._choose(targets.names, frames)
        pairs = None
        if self._is_table:
            Z = np.asarray(frames, dtype=np.float64)
        else:
            Z = fitting.describe_all(
                frames,
                self.choice_,
                self.value_range,
                n_jobs=self.n_jobs,
                verbose=self.verbose,
            )
            rows = partners(clips, games, len(frames))
            before = [
                None if row < 0 else _frames.load_frame(frames[row]) for row in rows
            ]
            own = (
                [_frames.load_frame(frame) for frame in frames]
                if clips is not None
                else []
            )
            if clips is not None:
                pairs = describe_pairs(own, before, self)
        self.training_ = fitting.labelled_rows(
            Z, targets.Y, games, sample_weight, pairs
        )
        self.simulator_ = None
        self.tile_expert_ = None
        self._kind, self.classes_ = targets.kind, targets.classes
        self._normal_class = targets.normal
        self.artifacts_ = targets.names
        self.fitted_ = self._fit_experts(self.training_)

    def adapt(
        self,
        X: Any,
        *,
        assume: str = "normal",
        clips: ArrayLike | None = None,
    ) -> ArtifactDetector:
        """Adapt."""
        check_is_fitted(self)
        if X is None:
            self.fitted_adapted_, self.n_adapted_frames_ = None, 0
            return self
        if assume not in ("normal", "unlabelled"):
            raise ValueError(
                f"assume must be 'normal' or 'unlabelled'. Got {assume!r} instead."
            )
        if self.simulator_ is None:
            raise ValueError(
                "adapt needs a detector that was fitted on clean frames only, "
                "fit(X) without y: it simulates artifacts on the new frames."
            )
        frames = self._read(X, reset=False)
        rows = partners(clips, None, len(frames))
        chosen = np.arange(len(frames))
        if assume == "unlabelled":
            chosen = self._most_normal(frames)
        if len(chosen) < 4:
            raise ValueError(
                f"adapt needs at least 4 frames to learn from. Got {len(chosen)}."
            )
        previous = [None if rows[i] < 0 else frames[rows[i]] for i in chosen]
        own = fitting.simulate_training_rows(
            [frames[i] for i in chosen],
            previous,
            None,
            self.choice_,
            self.simulator_,
            len(self.artifacts_),
            False,
            self._seed + 3,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        rows_ = fitting.with_new_game(self.training_, own)
        self.fitted_adapted_ = self._fit_experts(rows_, is_adapting=True)
        self.n_adapted_frames_ = len(chosen)
        return self

    # -- predicting ---------------------------------------------------------------

    def predict_artifact_proba(self, X: Any, previous: Any = None) -> np.ndarray:
        """Return each expert's probability."""
        Z, pairs = self._describe(X, previous)
        return self._experts_say(Z, pairs)[0]

    def transform(self, X: Any) -> np.ndarray:
        """Return expert probabilities."""
        return self.predict_artifact_proba(X)

    def predict_artifacts(self, X: Any, previous: Any = None) -> np.ndarray:
        """Return indicator."""
        return (self.predict_artifact_proba(X, previous) >= 0.5).astype(np.int64)

    def corrupted_proba(self, X: Any, previous: Any = None) -> np.ndarray:
        """Return probability of corrupted."""
        Z, pairs = self._describe(X, previous)
        return self._experts_say(Z, pairs)[1]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class."""
        Z, pairs = self._describe(X, None)
        experts, corrupted = self._experts_say(Z, pairs)
        return self._class_probabilities(experts, corrupted)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return log odds."""
        if self._kind == "named" and len(self.classes_) > 2:
            return np.log(np.clip(self.predict_proba(X), 1e-12, 1))
        corrupted = np.clip(self.corrupted_proba(X), 1e-12, 1 - 1e-12)
        limit = np.clip(self.threshold_, 1e-12, 1 - 1e-12)
        sign = 1 if self.classes_[1] != self._normal_class else -1
        return sign * (
            np.log(corrupted / (1 - corrupted)) - np.log(limit / (1 - limit))
        )

    def predict(self, X: Any, previous: Any = None) -> np.ndarray:
        """Return classes."""
        Z, pairs = self._describe(X, previous)
        experts, corrupted = self._experts_say(Z, pairs)
        threshold = self._threshold(pairs is not None)
        is_flagged = corrupted >= threshold
        if self._kind == "indicator" or len(self.classes_) == 2:
            other = [c for c in self.classes_.tolist() if c != self._normal_class][0]
            values = np.where(is_flagged, other, self._normal_class)
            return values.astype(self.classes_.dtype)
        labels = self._labels()
        return np.where(
            is_flagged, labels[experts.argmax(axis=1)], self._normal_class
        ).astype(self.classes_.dtype)

    def score(
        self, X: Any, y: ArrayLike | None = None, sample_weight: Any = None
    ) -> float:
        """Return balanced accuracy."""
        check_is_fitted(self)
        if y is None:
            if self.simulator_ is None:
                raise ValueError("score needs y: the detector was fitted with labels.")
            simulator = clone(self.simulator_).set_params(
                random_state=self._seed, on_unchanged="ignore", return_mask=False
            )
            X, Y = simulator.simulate(X)
            is_flagged = self.corrupted_proba(X) >= self.threshold_
            return float(balanced_accuracy_score(Y.any(axis=1), is_flagged))
        values = np.asarray(y)
        if values.ndim == 2 and values.shape[1] > 1:
            values = values.any(axis=1).astype(int)
        return float(
            balanced_accuracy_score(
                values, self.predict(X), sample_weight=sample_weight
            )
        )

    def explain(self, X: Any, previous: Any = None) -> list[list[dict[str, Any]]]:
        """Explain."""
        frames = self._read(X, reset=False)
        Z, pairs = self._describe(X, previous)
        experts, corrupted = self._experts_say(Z, pairs)
        limit = self._threshold(pairs is not None)
        result = []
        for i in range(len(Z)):
            order = np.argsort(-experts[i], kind="stable")
            n_shown = 1 + int((experts[i][order[1:]] >= 0.5).sum())
            if corrupted[i] < limit:
                result.append([])
                continue
            maps = None
            if self.tile_expert_ is not None:
                maps = self.tile_expert_.heat_maps(frames[i])
            result.append(
                [
                    self._explanation(int(k), experts[i, k], Z[i], maps)
                    for k in order[:n_shown]
                ]
            )
        return result

    def heat_map(self, X: Any) -> np.ndarray:
        """Return tile probabilities."""
        check_is_fitted(self)
        if self.tile_expert_ is None:
            raise ValueError(
                "heat_map needs a detector that was fitted on clean frames with "
                f"tiles=(rows, columns). Got tiles={self.tiles!r}"
                + ("." if self.simulator_ is not None else " and labels in fit.")
            )
        frames = self._read(X, reset=False)
        maps = [self.tile_expert_.heat_maps(frame) for frame in frames]
        return np.stack(maps)

    # -- fitted attributes of the experts in use ----------------------------------

    @property
    def _in_use(self) -> fitting.Fitted:
        return self.fitted_ if self.fitted_adapted_ is None else self.fitted_adapted_

    @property
    def experts_(self) -> dict[str, Any]:
        """Fitted experts by artifact."""
        return self._in_use.ensemble.experts_

    @property
    def final_estimator_(self) -> Any:
        """Fitted final estimator, None without."""
        return self._in_use.ensemble.final_estimator_

    @property
    def threshold_(self) -> float:
        """From which probability on a frame is flagged."""
        return self._in_use.ensemble.threshold_

    @property
    def oof_scores_(self) -> dict[str, Any]:
        """Scores on held-out training rows."""
        return self._in_use.ensemble.oof_scores_

    # -- private ------------------------------------------------------------------

    def _read(self, X: Any, reset: bool) -> Any:
        """Return frames (array or list), or a table (n, n_features)."""
        if not reset:
            check_is_fitted(self)
        if _frames.is_listed(X):
            frames = _frames.listed_frames(X)
            if reset:
                self._is_table = False
                if hasattr(self, "n_features_in_"):
                    del self.n_features_in_
            return frames
        if not hasattr(X, "ndim"):
            X = np.asarray(X)
        if X.ndim > 2:
            X = _frames.stacked_frames(X, 16)
            if reset:
                self.n_features_in_ = int(np.prod(X.shape[1:]))
                self._is_table = False
            return X
        X = validate_data(self, X, dtype="numeric", reset=reset)
        if reset:
            self._is_table = self.input_shape is None
        if self._is_table:
            return X
        shape = _frames.check_input_shape(self.input_shape, 16)
        return _frames.folded_frames(X, shape)

    def _games(self, groups: Any, n_frames: int) -> np.ndarray | None:
        if groups is None:
            return None
        games = column_or_1d(groups)
        if len(games) != n_frames:
            raise ValueError(
                f"groups must hold the game of each of the {n_frames} frames. "
                f"Got {len(games)}."
            )
        return np.unique(games, return_inverse=True)[1]

    def _make_simulator(self) -> ArtifactSimulator:
        if self.simulator is None:
            simulator = ArtifactSimulator("paper", value_range=self.value_range)
        else:
            simulator = clone(self.simulator)
        if self.artifacts is not None:
            simulator.set_params(artifacts=self.artifacts)
        return simulator.fit(None)

    def _default_expert(self) -> Any:
        return default_expert(self._seed % 2**31, self.class_weight)

    def _choose(self, names: list[str], frames: Any) -> None:
        self.choice_ = choose_experts(
            self.experts, names, self.featurizers, self._default_expert(), self._seed
        )
        if self._is_table:
            self.choice_ = self.choice_._replace(featurizers=[])
            return
        for featurizer in self.choice_.featurizers:
            featurizer.set_params(value_range=self.value_range)
            featurizer.fit([_frames.load_frame(frames[0])])

    def _check_enough(self, targets: Any) -> None:
        """Refuse artifacts with too few frames to hold some out."""
        counts = targets.Y.sum(axis=0)
        n_normal = int((~targets.Y.any(axis=1)).sum())
        counts = dict(zip([*targets.names, "normal"], [*counts, n_normal], strict=True))
        few = {name: int(n) for name, n in counts.items() if n < 2}
        if few:
            raise ValueError(
                "y must hold at least 2 frames of each class, so that some can be held "
                f"out. Got {few}."
            )

    def _fit_experts(
        self, rows: fitting.TrainingRows, is_adapting: bool = False
    ) -> fitting.Fitted:
        combination = Combination(
            self.combine,
            self.stack_method,
            self.final_estimator,
            self.threshold,
            self.target_fpr,
        )
        return fitting.fit_ensemble(
            rows,
            self.artifacts_,
            self.choice_,
            combination,
            only_normal=self.experts == "paper"
            if isinstance(self.experts, str)
            else False,
            n_selected=self.n_selected,
            cv=self.cv,
            seed=self._seed,
            default=self._default_expert(),
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            is_adapting=is_adapting,
        )

    def _measure_normal(self) -> Reference:
        return measure_reference(self.training_.Z[~self.training_.Y.any(axis=1)])

    def _most_normal(self, frames: Any) -> np.ndarray:
        """Rows that look normal to the experts of fit."""
        in_use, self.fitted_adapted_ = self.fitted_adapted_, None
        try:
            corrupted = self.corrupted_proba(frames)
        finally:
            self.fitted_adapted_ = in_use
        n_chosen = min(_N_UNLABELLED, int(_UNLABELLED_SHARE * len(frames)))
        return np.sort(np.argsort(corrupted, kind="stable")[:n_chosen])

    def _describe(self, X: Any, previous: Any) -> tuple[np.ndarray, Any]:
        frames = self._read(X, reset=False)
        if self._is_table:
            return np.asarray(frames, dtype=np.float64), None
        Z = fitting.describe_all(
            frames,
            self.choice_,
            self.value_range,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        if previous is None:
            return Z, None
        return Z, self._describe_pairs(frames, previous)

    def _describe_pairs(self, frames: Any, previous: Any) -> np.ndarray:
        has_gaps = isinstance(previous, list | tuple)
        others = previous if has_gaps else self._read(previous, reset=False)
        if len(others) != len(frames):
            raise ValueError(
                f"previous must hold one frame for each of the {len(frames)} in X. "
                f"Got {len(others)}."
            )
        own = [_frames.load_frame(frame) for frame in frames]
        before = [None if o is None else _frames.load_frame(o) for o in others]
        for i, (frame, other) in enumerate(zip(own, before, strict=True)):
            if other is not None and other.shape != frame.shape:
                raise ValueError(
                    f"The previous frame of frame {i} must have its shape, "
                    f"{frame.shape}. Got {other.shape}."
                )
        return describe_pairs(own, before, self)

    def _experts_say(
        self, Z: np.ndarray, pairs: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the experts' probabilities, and that of a corrupted frame."""
        ensemble, pair_expert = self._in_use
        experts = ensemble.probabilities(Z)
        corrupted = ensemble.corrupted(experts)
        if pairs is None or pair_expert is None:
            return experts, corrupted
        rows = np.flatnonzero(~np.isnan(pairs[:, 0]))
        if len(rows):
            experts[rows] = pair_expert.replaced(experts[rows], pairs[rows])
            corrupted[rows] = pair_expert.corrupted(experts[rows], ensemble)
        return experts, corrupted

    def _threshold(self, with_pairs: bool) -> float:
        ensemble, pair_expert = self._in_use
        if with_pairs and pair_expert is not None:
            return pair_expert.threshold_
        return ensemble.threshold_

    def _labels(self) -> np.ndarray:
        """Class of each artifact."""
        others = [c for c in self.classes_.tolist() if c != self._normal_class]
        by_name = {str(label): label for label in others}
        return np.array([by_name[name] for name in self.artifacts_])

    def _class_probabilities(
        self, experts: np.ndarray, corrupted: np.ndarray
    ) -> np.ndarray:
        normal = self.classes_.tolist().index(self._normal_class)
        probabilities = np.zeros((len(corrupted), len(self.classes_)))
        probabilities[:, normal] = 1 - corrupted
        if len(self.classes_) == 2:
            probabilities[:, 1 - normal] = corrupted
            return probabilities
        odds = np.clip(experts, 1e-6, 1 - 1e-6)
        odds = odds / (1 - odds)
        shares = odds / odds.sum(axis=1, keepdims=True)
        labels = self._labels()
        for k, label in enumerate(labels.tolist()):
            column = self.classes_.tolist().index(label)
            probabilities[:, column] = corrupted * shares[:, k]
        return probabilities

    def _explanation(
        self, k: int, probability: float, z: np.ndarray, maps: Any
    ) -> dict[str, Any]:
        ensemble = self._in_use.ensemble
        name = self.artifacts_[k]
        features: list[dict[str, Any]] = []
        if name in ensemble.columns:
            columns = ensemble.columns[name]
            names = fitting.table_names(self.choice_, len(z))
            importances = expert_importances(ensemble.experts_[name], len(columns))
            normal = Reference(
                self.normal_.center[columns], self.normal_.scale[columns]
            )
            features = standing_out(z[columns], names[columns], normal, importances)
        return {
            "artifact": name,
            "probability": float(probability),
            "features": features,
            "heat_map": None if maps is None else maps[k],
        }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
