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
from sklearn.base import clone
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import is_choice, read_array, read_numbers
from sklvyso._compat import HasMethods, Interval, StrOptions, _check_sample_weight
from sklvyso.artifacts import _detector_fit as fitting
from sklvyso.artifacts import _frames
from sklvyso.artifacts._combining import COMBINES
from sklvyso.artifacts._detector_predictions import DetectorPredictions
from sklvyso.artifacts._ensemble import Combination
from sklvyso.artifacts._expert_choice import choose_experts, default_expert
from sklvyso.artifacts._reference import measure_reference
from sklvyso.artifacts._simulate import ArtifactSimulator
from sklvyso.artifacts._targets import (
    Targets,
    is_all_normal,
    partners,
    read_targets,
)

_MIN_SIMULATED = 32
_FEWEST_FRAMES = 4
_N_UNLABELLED = 32
_UNLABELLED_SHARE = 0.4


class ArtifactDetector(DetectorPredictions):
    """Find corrupted game frames, name the artifact, show its place.

    Clean frames of a few games are enough: ``fit(frames)`` simulates the artifacts of
    broken graphics, trains an expert for each, and a final estimator on what the
    experts say of frames that they have not seen. Labels of real frames are taken too.

    .. versionadded:: 0.1

    Parameters
    ----------
    experts : {"auto", "paper"}, classifier or dict, default="auto"
        Who looks for which artifact. "auto": extremely randomised trees on the
        `n_selected` features that tell the artifact in all games. A classifier stands
        for every artifact; a dict maps names to classifiers, others stay "auto", None
        drops one. A classifier sees the features of `featurizers`; a
        :class:`~sklearn.pipeline.Pipeline` that begins with a featurizer of this
        package sees the frames through it (shared where equal), and may end in a
        :class:`~sklvyso.networks.NetworkClassifier`. "paper" is the paper's choice,
        see Notes.
    featurizers : "auto" or list of featurizers, default="auto"
        What experts see. "auto": :class:`PixelPatternFeaturizer`,
        :class:`GraphLaplacianFeaturizer`, and the statistics of
        :class:`DFTFeaturizer` and :class:`HOGFeaturizer`, none of which depends on the
        size of the frames. Each runs once a frame.
    final_estimator : classifier, default=None
        For ``combine="stack"``: trained on out-of-fold log odds of the experts. None:
        the mean of two logistic regressions, on all experts with the three surest
        ones, and on their mean odds, moved to the best balanced accuracy.
    combine : {"stack", "or", "max", "noisy_or", "mean"}, default="stack"
        How experts become one probability.
    stack_method : {"proba", "binary"}, default="proba"
        Whether the final estimator sees log odds, or 0 and 1 (the paper).
    cv : int, default=4
        Folds, at least 2: of games where `groups` has several, else of blocks of
        frames; of frames by stratum where they come with labels.
    artifacts : {"paper", "all"}, list of str or dict, default=None
        Which artifacts to simulate, see :class:`ArtifactSimulator`; None is what the
        simulator says, "paper" by default. With an indicator as `y`, the names of its
        columns.
    simulator : ArtifactSimulator, default=None
        Draws the artifacts; for another severity, for example.
    n_simulated : int or "auto", default="auto"
        Different artifacts on each clean frame. "auto" aims at 2,400 frames in all.
    restyle : bool, default=True
        Whether each clean frame also comes in another look (few colours, large pixels,
        other colours, traces of compression), so that experts do not learn the looks
        of a few games. Half as many artifacts are put on it.
    n_selected : int, default=40
        Features that an "auto" expert sees.
    normal_label : str or int, default="normal"
        Label of normal frames. Where no frame has it, the smallest number means normal
        (0 of 0 and 1); words are refused, but for rows of features, as scikit-learn
        checks them.
    threshold : float, default=0.5
        Probability from which on a frame is flagged, in [0, 1].
    target_fpr : float, default=None
        Share of normal frames that may be flagged, in [0, 1): puts the threshold where
        held-out training frames keep to it, instead of `threshold`. At the priors of
        production, where hardly a frame is corrupted, nearly all alarms are false
        unless this is small.
    class_weight : "balanced", dict or None, default="balanced"
        Of the "auto" experts.
    tiles : (int, int), default=(4, 6)
        Rows and columns of the heat maps; None trains no classifier of tiles.
    input_shape : tuple (H, W) or (H, W, C), default=None
        How to fold rows of 2-d input into frames. None takes them as tables of
        features, one row a frame; labels are needed then.
    value_range : "auto" or (float, float), default="auto"
        Values of black and white. "auto" is [0, 1] for floats and bool, 0..65535 for
        uint16, 0..255 for other integers.
    random_state : int, RandomState instance or None, default=None
        Seed of simulation, experts and folds.
    n_jobs : int, default=None
        Frames, in chunks, and experts in parallel.
    verbose : int, default=0
        1 shows progress bars on standard error.

    Attributes
    ----------
    artifacts_ : list of str
        Names, in the order of the columns of probabilities.
    classes_ : ndarray of shape (n_classes,)
        What :meth:`predict` returns: [0, 1] after ``fit(X)``, otherwise the labels.
    experts_ : dict of str to classifier
        Fitted on all frames.
    final_estimator_ : classifier
        Fitted; None where `combine` is not "stack".
    threshold_ : float
        Probability from which on a frame is flagged.
    pair_threshold_ : float
        The same where `previous` is given, if `fit` knew the clips.
    normal_class_ : label
        Which of ``classes_`` means normal.
    oof_scores_ : dict
        On training frames that were held out: "roc_auc" of each expert against normal
        frames, "balanced_accuracy" and "false_positive_rate".
    n_adapted_frames_ : int
        Frames of the last :meth:`adapt`, 0 without.
    n_features_in_ : int
        Values of a frame, or columns of a table; not there after a list of frames.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, when ``X`` was a data frame with string columns.

    See Also
    --------
    ArtifactSimulator : Draws the artifacts.
    FrameStreamDetector : Judges frames in playing order together.
    PixelPatternFeaturizer, GraphLaplacianFeaturizer : What most experts look at.
    sklvyso.plotting.ArtifactDisplay : Shows a frame, its heat map, ROC curves by game.

    Notes
    -----
    Departures from the paper: experts learn their artifact against normal frames *and
    all other artifacts*, which removes most of the cross-firing at which the paper
    lost its precision; their features are counts and contrasts relative to the frame
    instead of spectra, which know the look of a game; they are calibrated; the final
    estimator is trained out of fold instead of on games set aside; frames come in
    other looks. The paper: ``ArtifactDetector("paper", stack_method="binary",
    final_estimator=LogisticRegression(max_iter=1000), n_simulated=1, restyle=False)``,
    with spectra and gradients of half its resolution (give pipelines with
    ``DFTFeaturizer(preset="paper")`` for all of it: a megabyte a frame), and no expert
    of random patches, as there.

    A game that was not seen is judged by what other games look like. :meth:`adapt`
    takes a few clean frames of it (or the frames to be judged), simulates artifacts on
    these, and trains the experts again with them: worth it wherever more than a few
    frames are judged. Without it predictions stay inductive.

    ``fit`` keeps the features of its simulated frames for :meth:`adapt`, about 1.6 kB
    a frame.

    References
    ----------
    .. [1] Davarmanesh, Jiang, Ou, Vysogorets, Ivashkevich, Kiehn, Joshi, Malaya,
       "Automating Artifact Detection in Video Games", arXiv 2011.15103, 2020.

    Examples
    --------
    >>> from sklvyso.artifacts import ArtifactDetector, ArtifactSimulator
    >>> from sklvyso.datasets import make_game_frames
    >>> games = make_game_frames(16, height=64, width=96, random_state=0)
    >>> detector = ArtifactDetector(
    ...     artifacts=["triangulation", "morse_code"], tiles=None, random_state=0
    ... ).fit(games.images, groups=games.group)
    >>> new = make_game_frames(8, height=64, width=96, n_games=1, random_state=1).images
    >>> torn = ArtifactSimulator(random_state=0).corrupt(new, "morse_code")
    >>> detector.predict(torn).tolist()
    [1, 1, 1, 1, 1, 1, 1, 1]
    >>> detector.artifacts_[detector.predict_artifact_proba(torn)[0].argmax()]
    'morse_code'
    """

    _parameter_constraints: dict[str, Any] = {
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

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        *,
        clips: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> ArtifactDetector:
        """Learn from clean frames, or from labelled ones.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]), list of frames or of paths, or 2-d array
            Frames; of a list, of any sizes. Rows of a 2-d array are frames with
            `input_shape`, otherwise features of frames.
        y : array-like of shape (n,) or (n, n_artifacts), default=None
            None, or one label that means normal (0, "normal", `normal_label`), for
            clean frames: artifacts are simulated on them. Otherwise normal and
            corrupted, normal and names of artifacts, or an indicator, a column an
            artifact.
        groups : array-like of shape (n,), default=None
            The game of each frame: held-out frames are then of other games, as those
            that the detector will see. Worth giving.
        clips : array-like of shape (n,), default=None
            The clip of each frame within its game: screens then tear between frames of
            a clip, and `previous` can be used later.
        sample_weight : array-like of shape (n,), default=None
            Of the frames; those simulated on a frame weigh as much.

        Returns
        -------
        self : ArtifactDetector
            The fitted detector.

        Raises
        ------
        ValueError
            If a parameter or the input is wrong.
        """
        self._validate_params()
        _frames.check_value_range(self.value_range)
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 10))
        frames = self._read(X, reset=True)
        if y is not None:
            check_consistent_length(frames, y)
        weight = None
        if sample_weight is not None:
            weight = _checked_weights(sample_weight, len(frames))
        games = self._games(groups, len(frames))
        self.simulator_, self.tile_expert_ = None, None
        self.fitted_adapted_, self.n_adapted_frames_ = None, 0
        if is_all_normal(y, self.normal_label) and not self._is_table:
            self._fit_simulated(frames, y, games, clips, weight)
        else:
            self._fit_labelled(frames, y, games, clips, weight)
        self.fitted_ = self._fit_experts(self.training_)
        is_normal = ~self.training_.Y.any(axis=1)
        self.normal_ = measure_reference(self.training_.Z[is_normal])
        return self

    def adapt(
        self,
        X: Any,
        *,
        assume: str = "normal",
        clips: ArrayLike | None = None,
    ) -> ArtifactDetector:
        """Learn the look of a new game from a few of its frames.

        Artifacts are simulated on the frames, all of them on each, and experts, final
        estimator and threshold are fitted again with these, each weighing ten times
        as much as a frame of `fit`. Where the experts of `fit` judge these frames
        about as well as the adapted ones, the log odds of both are averaged.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]), list of frames or of paths, or None
            Frames of the game, at least 4, a dozen is good. None returns to the state
            after `fit`.
        assume : {"normal", "unlabelled"}, default="normal"
            "normal": known to be clean. "unlabelled": as they come; the 40 % that look
            most normal, at most 32, are taken for clean.
        clips : array-like of shape (n,), default=None
            As in `fit`.

        Returns
        -------
        self : ArtifactDetector
            The detector, adapted to this game only; an earlier adaptation is
            forgotten.

        Raises
        ------
        ValueError
            If there are too few frames, or the detector was fitted with labels.
        """
        check_is_fitted(self)
        if X is None:
            self.fitted_adapted_, self.n_adapted_frames_ = None, 0
            return self
        if not is_choice(assume, ("normal", "unlabelled")):
            raise ValueError(
                f"assume must be 'normal' or 'unlabelled'. Got {assume!r} instead."
            )
        if self.simulator_ is None:
            raise ValueError(
                "adapt needs a detector that was fitted on clean frames, fit(X) "
                "without labels: it simulates artifacts on the new frames."
            )
        frames = self._read(X, reset=False)
        others = partners(clips, None, len(frames))
        chosen = np.arange(len(frames))
        if assume == "unlabelled":
            chosen = self._most_normal(frames)
        if len(chosen) < _FEWEST_FRAMES:
            raise ValueError(
                f"X must hold at least {_FEWEST_FRAMES} frames that can be taken for "
                f"clean. Got {len(chosen)} of {len(frames)}, assume={assume!r}."
            )
        own = fitting.simulate_training_rows(
            [frames[i] for i in chosen],
            [None if others[i] < 0 else frames[others[i]] for i in chosen],
            None,
            self.choice_,
            self.simulator_,
            rounds=len(self.artifacts_),
            restyle=False,
            seed=self._seed + 3,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        rows = fitting.with_new_game(self.training_, own)
        adapted = self._fit_experts(rows, is_adapting=True)
        self._averages = fitting.is_worth_asking(self.fitted_, adapted, own)
        self.fitted_adapted_ = adapted
        self.n_adapted_frames_ = len(chosen)
        return self

    # -- private ------------------------------------------------------------------

    def _fit_simulated(
        self,
        frames: Any,
        y: Any,
        games: np.ndarray | None,
        clips: Any,
        sample_weight: np.ndarray | None,
    ) -> None:
        simulator = self._make_simulator()
        names = simulator.artifact_names
        if len(frames) < _FEWEST_FRAMES:
            raise ValueError(
                f"X must hold at least {_FEWEST_FRAMES} clean frames to simulate "
                f"artifacts on. Got {len(frames)}."
            )
        first = _frames.load_frame(frames[0])
        _frames.check_size(first.shape, _MIN_SIMULATED)
        if self.tiles is not None:
            fitting.check_tile_grid(self.tiles, first)
        self._choose(names, first)
        others = partners(clips, games, len(frames))
        previous = [None if row < 0 else frames[row] for row in others]
        self.training_ = fitting.simulate_training_rows(
            frames,
            previous,
            games,
            self.choice_,
            simulator,
            rounds=fitting.n_rounds(self.n_simulated, len(frames), len(names)),
            restyle=self.restyle,
            seed=self._seed,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        fitting.check_shown(self.training_.Y, names)
        if sample_weight is not None:
            weight = sample_weight[self.training_.source]
            self.training_ = self.training_._replace(weight=weight)
        self.simulator_, self.artifacts_ = simulator, names
        self._name_classes(y)
        if self.tiles is not None:
            self.tile_expert_ = fitting.fit_tiles(
                frames,
                previous,
                simulator,
                self.tiles,
                self._seed,
                n_jobs=self.n_jobs,
                verbose=self.verbose,
            )

    def _name_classes(self, y: Any) -> None:
        """Frames named "normal" ask for names; otherwise 0 and 1."""
        values = np.asarray(0 if y is None else y)
        normal = values.ravel().tolist()[0] if values.size else 0
        self.classes_, self.normal_class_ = np.array([0, 1]), 0
        if isinstance(normal, str) and normal not in self.artifacts_:
            self.normal_class_ = normal
            self.classes_ = np.unique([normal, *self.artifacts_])

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
                "artifacts can be simulated on frames only; pass input_shape=(H, W) or "
                "(H, W, C) if rows are frames. This estimator requires y to be passed, "
                "but the target y is None."
            )
        targets = read_targets(
            y, self.normal_label, self.artifacts, of_frames=not self._is_table
        )
        _check_enough(targets, sample_weight)
        first = None if self._is_table else _frames.load_frame(frames[0])
        self._choose(targets.names, first)
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
            others = partners(clips, games, len(frames))
            if (others >= 0).any():
                previous = [None if row < 0 else frames[row] for row in others]
                pairs = self._describe_pairs(frames, previous)
        self.training_ = fitting.labelled_rows(
            Z, targets.Y, games, sample_weight, pairs
        )
        self.classes_, self.normal_class_ = targets.classes, targets.normal
        self.artifacts_ = targets.names

    def _games(self, groups: Any, n_frames: int) -> np.ndarray | None:
        if groups is None:
            return None
        games = read_array("groups", groups)
        if games.ndim != 1 or len(games) != n_frames:
            raise ValueError(
                f"groups must hold the game of each of the {n_frames} frames. "
                f"Got {len(games) if games.ndim == 1 else f'shape {games.shape}'}."
            )
        try:
            return np.unique(games, return_inverse=True)[1]
        except TypeError as error:
            raise TypeError(
                f"groups must be names of games, all of one kind, none missing: {error}"
            ) from error

    def _make_simulator(self) -> ArtifactSimulator:
        if self.simulator is None:
            simulator = ArtifactSimulator("paper", value_range=self.value_range)
        else:
            simulator = clone(self.simulator)
        if self.artifacts is not None:
            simulator.set_params(artifacts=self.artifacts)
        return simulator.fit(None)

    def _default_expert(self) -> Any:
        return default_expert(self._seed, self.class_weight)

    def _choose(self, names: list[str], first: np.ndarray | None) -> None:
        """Choose experts; fit featurizers, which learn names only."""
        self.choice_ = choose_experts(
            self.experts, names, self.featurizers, self._default_expert(), self._seed
        )
        if first is None:
            self.choice_ = self.choice_._replace(featurizers=[])
        for featurizer in self.choice_.featurizers:
            featurizer.set_params(value_range=self.value_range)
            featurizer.fit([first])

    def _fit_experts(
        self, rows: fitting.TrainingRows, is_adapting: bool = False
    ) -> fitting.Fitted:
        return fitting.fit_ensemble(
            rows,
            self.artifacts_,
            self.choice_,
            Combination(
                self.combine,
                self.stack_method,
                self.final_estimator,
                self.threshold,
                self.target_fpr,
            ),
            only_normal=isinstance(self.experts, str) and self.experts == "paper",
            n_selected=self.n_selected,
            cv=self.cv,
            seed=self._seed,
            default=self._default_expert(),
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            is_adapting=is_adapting,
        )

    def _most_normal(self, frames: Any) -> np.ndarray:
        """Return rows that look normal to the experts of `fit`."""
        self.fitted_adapted_, self.n_adapted_frames_ = None, 0
        corrupted = self.corrupted_proba(frames)
        n_chosen = min(_N_UNLABELLED, int(_UNLABELLED_SHARE * len(frames)))
        return np.sort(np.argsort(corrupted, kind="stable")[:n_chosen])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _check_enough(targets: Targets, sample_weight: np.ndarray | None) -> None:
    """Refuse artifacts with too few frames to hold some out."""
    Y = targets.Y if sample_weight is None else targets.Y[sample_weight > 0]
    counts = dict(zip(targets.names, Y.sum(axis=0).tolist(), strict=True))
    counts["normal"] = int((~Y.any(axis=1)).sum())
    few = {name: n for name, n in counts.items() if n < 2}
    if few:
        raise ValueError(
            "y must hold at least 2 frames of each class, so that some can be held "
            f"out. Got {few}."
        )


def _checked_weights(sample_weight: Any, n_frames: int) -> np.ndarray:
    weight = read_numbers("sample_weight", sample_weight).astype(np.float64)
    weight = _check_sample_weight(
        weight if weight.ndim else np.full(n_frames, weight),
        np.zeros(n_frames),
        ensure_non_negative=True,
    )
    if ((weight > 1e15) | ((weight > 0) & (weight < 1e-15))).any():
        raise ValueError(
            "sample_weight must be 0 or from 1e-15 to 1e15, since only ratios count. "
            f"Got {weight.min()} to {weight.max()}."
        )
    return weight
