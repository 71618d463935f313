"""How the detector learns: from clean frames, from labels, and from a new game."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.parallel import delayed

from sklvyso._parallel import run_jobs
from sklvyso.artifacts import _frames
from sklvyso.artifacts._combining import make_folds
from sklvyso.artifacts._describing import describe_frames, feature_names
from sklvyso.artifacts._ensemble import Combination, ExpertEnsemble
from sklvyso.artifacts._expert_choice import ExpertChoice, block_columns
from sklvyso.artifacts._pair_expert import PAIRED, PairExpert, can_learn
from sklvyso.artifacts._pairs import PAIR_NAMES
from sklvyso.artifacts._selecting import consistent_features
from sklvyso.artifacts._simulate import ArtifactSimulator
from sklvyso.artifacts._tile_expert import TileExpert
from sklvyso.artifacts._training_frames import (
    DescribedFrames,
    describe_simulated,
    plan_rounds,
    progress,
)

_CHUNK = 8
_N_ROWS = 2400
_N_TILE_FRAMES = 80
# How heavy a frame of the game that the detector adapts to is, against one of fit.
ADAPTED_WEIGHT = 10.0
_BLOCK = 4
# Of balanced accuracy on a dozen frames.
_TOLERANCE = 0.05


class TrainingRows(NamedTuple):
    """The table that experts learn from.

    ``groups`` are codes of the games, or None; ``source`` numbers clean frames;
    ``weight`` is (n,) or None.
    """

    Z: np.ndarray
    pairs: np.ndarray
    Y: np.ndarray
    source: np.ndarray
    groups: np.ndarray | None
    weight: np.ndarray | None


class Fitted(NamedTuple):
    """Experts on single frames, and the one on pairs if there is one."""

    ensemble: ExpertEnsemble
    pair_expert: PairExpert | None


def n_rounds(n_simulated: int | str, n_frames: int, n_artifacts: int) -> int:
    """Return how many artifacts to simulate on each frame."""
    if isinstance(n_simulated, str):
        n_simulated = max(2, math.ceil(_N_ROWS / n_frames))
    return min(int(n_simulated), n_artifacts)


def simulate_training_rows(
    frames: Sequence[Any],
    previous: Sequence[Any],
    groups: np.ndarray | None,
    choice: ExpertChoice,
    simulator: ArtifactSimulator,
    rounds: int,
    restyle: bool,
    seed: int,
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> TrainingRows:
    """Simulate artifacts on clean frames, also in other looks, and describe all.

    Parameters
    ----------
    frames, previous : sequences
        Clean frames, and another frame of the clip of each, or None.
    groups : ndarray of int of shape (n,) or None
        Games.
    choice : ExpertChoice
        With fitted featurizers.
    simulator : ArtifactSimulator
        Draws the artifacts.
    rounds : int
        Artifacts a frame.
    restyle : bool
        Whether every frame also comes in another look, with half of the artifacts.
    seed : int
        Of plan and simulation.
    n_jobs, verbose : int
        As in the detector.
    """
    codes = np.zeros(len(frames), dtype=int) if groups is None else groups
    names = simulator.artifact_names
    parts = []
    for is_restyled in (False, True)[: 1 + restyle]:
        n_own = max(1, math.ceil(rounds / 2)) if is_restyled else rounds
        plan = plan_rounds(codes, names, n_own, seed + is_restyled)
        parts.append(
            describe_simulated(
                frames,
                # Tears of shifted copies come from here, real ones from above.
                [None] * len(frames) if is_restyled else previous,
                choice.featurizers,
                simulator,
                plan,
                seed + is_restyled,
                restyle=is_restyled,
                n_jobs=n_jobs,
                verbose=verbose,
            )
        )
    both = DescribedFrames(
        *(np.concatenate(columns) for columns in zip(*parts, strict=True))
    )
    own = None if groups is None else groups[both.source]
    return TrainingRows(*both, own, None)


def describe_all(
    frames: Sequence[Any],
    choice: ExpertChoice,
    value_range: Any,
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> np.ndarray:
    """Return the features of frames, in chunks, (n, n_features)."""
    starts = range(0, len(frames), _CHUNK)
    calls = (
        delayed(describe_frames)(
            choice.featurizers,
            [frames[i] for i in range(start, min(start + _CHUNK, len(frames)))],
            value_range,
        )
        for start in starts
    )
    chunks = run_jobs(calls, n_jobs)
    return np.concatenate(list(progress(chunks, len(starts), "frames", verbose)))


def labelled_rows(
    Z: np.ndarray,
    Y: np.ndarray,
    groups: np.ndarray | None,
    sample_weight: np.ndarray | None,
    pairs: np.ndarray | None = None,
) -> TrainingRows:
    """Return the table of frames that users labelled."""
    if pairs is None:
        pairs = np.full((len(Z), len(PAIR_NAMES)), np.nan, dtype=np.float32)
    return TrainingRows(Z, pairs, Y, np.arange(len(Z)), groups, sample_weight)


def fit_ensemble(
    rows: TrainingRows,
    names: Sequence[str],
    choice: ExpertChoice,
    combination: Combination,
    *,
    only_normal: bool,
    n_selected: int,
    cv: int,
    seed: int,
    default: Any,
    n_jobs: int | None = None,
    verbose: int = 0,
    is_adapting: bool = False,
) -> Fitted:
    """Select features, fit experts out of fold and in full, combine.

    Parameters
    ----------
    rows : TrainingRows
        What to learn from.
    names : sequence of str
        Artifacts.
    choice : ExpertChoice
        Experts and their blocks of columns.
    combination : Combination
        What comes after the experts.
    only_normal : bool
        See :class:`ExpertEnsemble`.
    n_selected : int
        Features of default experts.
    cv, seed, n_jobs, verbose : int
        As in the detector.
    default : classifier
        Prototype of the expert on pairs.
    is_adapting : bool, default=False
        Split by blocks of frames although games are known: the game at hand is among
        them.
    """
    if rows.weight is not None:
        # Rows of no weight are as good as absent, so that no fold consists of them.
        kept = rows.weight > 0
        rows = TrainingRows(
            rows.Z[kept],
            rows.pairs[kept],
            rows.Y[kept],
            rows.source[kept],
            None if rows.groups is None else rows.groups[kept],
            rows.weight[kept],
        )
    columns = _columns(rows, names, choice, n_selected)
    keys = rows.groups
    if is_adapting:
        keys = _blocks(rows, seed)
    folds = make_folds(rows.Y, keys, rows.source, cv, seed)
    ensemble = ExpertEnsemble(names, choice.experts, columns, combination, only_normal)
    ensemble.fit(rows.Z, rows.Y, folds, rows.weight, n_jobs=n_jobs, verbose=verbose)
    pair_expert = None
    for name in PAIRED:
        if name in choice.experts and can_learn(rows.pairs, rows.Y, list(names), name):
            pair_expert = PairExpert(default, name).fit(
                rows.pairs, rows.Y, folds, ensemble, rows.weight
            )
    return Fitted(ensemble, pair_expert)


def fit_tiles(
    frames: Sequence[Any],
    previous: Sequence[Any],
    simulator: ArtifactSimulator,
    tiles: tuple[int, int],
    seed: int,
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> TileExpert:
    """Fit the classifier of tiles on frames spread over those given."""
    places = np.linspace(0, len(frames) - 1, min(len(frames), _N_TILE_FRAMES))
    places = np.unique(places.astype(int))
    names = simulator.artifact_names
    # Of few frames each shows several artifacts, so that all of them come.
    n_own = min(len(names), max(1, math.ceil(_N_TILE_FRAMES / len(places))))
    plan = plan_rounds(np.zeros(len(places), dtype=int), names, n_own, seed + 2)
    return TileExpert(tiles, names).fit(
        [frames[i] for i in places],
        [previous[i] for i in places],
        simulator,
        plan,
        seed + 2,
        n_jobs=n_jobs,
        verbose=verbose,
    )


def is_worth_asking(known: Fitted, adapted: Fitted, own: TrainingRows) -> bool:
    """Say whether the experts of fit still help on a new game.

    Parameters
    ----------
    known, adapted : Fitted
        Before and after the game's frames were learned.
    own : TrainingRows
        These frames, the last ones that the adapted experts learned from.

    Returns
    -------
    helps : bool
        Whether the balanced accuracy of the former on them is at most 0.05 below that
        of the latter, out of fold.
    """
    is_corrupted = own.Y.any(axis=1)
    scores = []
    for ensemble, probabilities in (
        (known.ensemble, known.ensemble.probabilities(own.Z)),
        (adapted.ensemble, adapted.ensemble.oof_[-len(own.Z) :]),
    ):
        is_flagged = ensemble.corrupted(probabilities) >= ensemble.threshold_
        scores.append(balanced_accuracy_score(is_corrupted, is_flagged))
    return bool(scores[0] >= scores[1] - _TOLERANCE)


def with_new_game(rows: TrainingRows, own: TrainingRows) -> TrainingRows:
    """Return the table with the frames of a new game, which weigh more."""
    n_games = 1 if rows.groups is None else int(rows.groups.max()) + 1
    groups = np.zeros(len(rows.Z), dtype=int) if rows.groups is None else rows.groups
    weight = np.ones(len(rows.Z)) if rows.weight is None else rows.weight
    return TrainingRows(
        np.concatenate([rows.Z, own.Z]),
        np.concatenate([rows.pairs, own.pairs]),
        np.concatenate([rows.Y, own.Y]),
        np.concatenate([rows.source, own.source + rows.source.max() + 1]),
        np.concatenate([groups, np.full(len(own.Z), n_games)]),
        np.concatenate([weight, np.full(len(own.Z), ADAPTED_WEIGHT * weight.mean())]),
    )


def _columns(
    rows: TrainingRows, names: Sequence[str], choice: ExpertChoice, n_selected: int
) -> dict[str, np.ndarray]:
    """Columns of each expert's blocks; of default ones the best for their artifact."""
    if choice.featurizers:
        columns = block_columns(choice.featurizers, choice.blocks)
    else:
        columns = {name: np.arange(rows.Z.shape[1]) for name in choice.experts}
    is_normal = np.asarray(~rows.Y.any(axis=1))
    for k, name in enumerate(names):
        if choice.is_default.get(name):
            own = columns[name]
            best = consistent_features(
                rows.Z[:, own], rows.Y[:, k], is_normal, rows.groups, n_selected
            )
            columns[name] = own[best]
    return columns


def _blocks(rows: TrainingRows, seed: int) -> np.ndarray:
    """Codes of blocks of neighbouring clean frames, in random order."""
    blocks = np.unique(rows.source // _BLOCK, return_inverse=True)[1]
    order = np.random.RandomState(seed % 2**31).permutation(blocks.max() + 1)
    return order[blocks]


def table_names(choice: ExpertChoice, n_columns: int) -> np.ndarray:
    """Return the names of the features, or x0, x1, ... of a table."""
    if choice.featurizers:
        return np.array(feature_names(choice.featurizers), dtype=object)
    return np.array([f"x{k}" for k in range(n_columns)], dtype=object)


def check_shown(Y: np.ndarray, names: Sequence[str]) -> None:
    """Refuse simulated artifacts that are on too few frames to hold some out."""
    few = {n: int(k) for n, k in zip(names, Y.sum(axis=0), strict=True) if k < 2}
    if few:
        raise ValueError(
            "Each artifact must show on at least 2 frames. "
            f"Got {few}; pass more frames, a larger n_simulated or fewer artifacts."
        )


def check_tile_grid(tiles: Any, frame: Any) -> None:
    """Refuse a grid of tiles that is none, or finer than the frames."""
    if (
        not isinstance(tiles, tuple)
        or len(tiles) != 2
        or not all(isinstance(n, int | np.integer) and n >= 1 for n in tiles)
    ):
        raise ValueError(
            f"tiles must be None or (rows, columns), both >= 1. Got {tiles!r} instead."
        )
    _frames.tile_slices(_frames.load_frame(frame).shape[:2], tiles)
