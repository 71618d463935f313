"""Simulated training frames, described at once and never kept."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils.parallel import delayed
from tqdm.auto import tqdm

from sklvyso._parallel import run_jobs
from sklvyso.artifacts import _frames
from sklvyso.artifacts._describing import describe_frames
from sklvyso.artifacts._featurizer import FrameFeaturizer
from sklvyso.artifacts._pairs import PAIR_NAMES, pair_statistics
from sklvyso.artifacts._plan import plan_artifacts
from sklvyso.artifacts._restyling import STYLES, to_bytes
from sklvyso.artifacts._restyling import restyle as restyle_frame
from sklvyso.artifacts._simulate import ArtifactSimulator

_CHUNK = 8
# Within 80 columns, where tqdm cuts lines off.
_BAR_FORMAT = "{desc}|{bar:8}|{n_fmt}/{total_fmt} {unit}, {elapsed_s:.1f} s"


class DescribedFrames(NamedTuple):
    """Features of frames: (n, n_features), and pairs (n, n_pair_features), NaN without.

    ``Y`` is (n, n_artifacts) bool; ``source`` the number of the clean frame of each.
    """

    Z: np.ndarray
    pairs: np.ndarray
    Y: np.ndarray
    source: np.ndarray


def progress(items: Any, total: int, description: str, verbose: int) -> Iterator[Any]:
    """Go through items with a bar if ``verbose``."""
    yield from tqdm(
        items,
        total=total,
        desc=description,
        unit="chunks",
        bar_format=_BAR_FORMAT,
        disable=not verbose,
    )


def describe_simulated(
    frames: Sequence[Any],
    previous: Sequence[Any],
    featurizers: Sequence[FrameFeaturizer],
    simulator: ArtifactSimulator,
    plan: Sequence[Sequence[str]],
    seed: int,
    *,
    restyle: bool = False,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> DescribedFrames:
    """Describe clean frames and simulated artifacts on each of them.

    Parameters
    ----------
    frames : sequence of ndarray or paths
        Clean frames.
    previous : sequence of ndarray, paths or None
        For each frame another one of its clip.
    featurizers : sequence of FrameFeaturizer
        Fitted.
    simulator : ArtifactSimulator
        Draws the artifacts; its random state is not used.
    plan : sequence of sequences of str
        Artifacts to put on each frame, one after another on a clean copy.
    seed : int
        Of the simulation; each frame has its own stream by its number.
    restyle : bool, default=False
        Whether frames come in another look, see :func:`restyle`.
    n_jobs : int, default=None
        Chunks of frames in parallel.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    described : DescribedFrames
        First the clean frame, then its corrupted copies, frame after frame. Artifacts
        that do not show on a frame are left out.
    """
    names = simulator.artifact_names
    starts = range(0, len(frames), _CHUNK)
    calls = (
        delayed(_describe_chunk)(
            [frames[i] for i in range(start, min(start + _CHUNK, len(frames)))],
            previous[start : start + _CHUNK],
            featurizers,
            simulator,
            plan[start : start + _CHUNK],
            names,
            seed,
            start,
            restyle,
        )
        for start in starts
    )
    chunks = run_jobs(calls, n_jobs)
    label = "restyled" if restyle else "simulating"
    parts = list(progress(chunks, len(starts), label, verbose))
    return DescribedFrames(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def plan_rounds(
    groups: np.ndarray, names: Sequence[str], n_simulated: int, seed: int
) -> list[list[str]]:
    """Deal artifacts to frames, equally often within each game.

    Parameters
    ----------
    groups : ndarray of int of shape (n,)
        The game of each frame.
    names : sequence of str
        Artifacts.
    n_simulated : int
        Different artifacts for each frame.
    seed : int
        Of the deal.

    Returns
    -------
    plan : list of list of str
        For each frame ``n_simulated`` names.
    """
    plan: list[list[str]] = [[] for _ in groups]
    for game in np.unique(groups):
        rows = np.flatnonzero(groups == game)
        dealt = plan_artifacts(
            seed, np.arange(len(rows)), 1.0, len(names), n_simulated, int(game)
        )
        for row, chosen in zip(rows, dealt, strict=True):
            plan[row] = [names[k] for k in chosen]
    return plan


def _describe_chunk(
    frames: list[Any],
    previous: Sequence[Any],
    featurizers: Sequence[FrameFeaturizer],
    simulator: ArtifactSimulator,
    plan: Sequence[Sequence[str]],
    names: list[str],
    seed: int,
    start: int,
    is_restyled: bool,
) -> tuple[np.ndarray, ...]:
    described, pairs, labels, source = [], [], [], []
    for i, (item, other, artifacts) in enumerate(
        zip(frames, previous, plan, strict=True)
    ):
        frame = _frames.load_frame(item)
        before = None if other is None else _frames.load_frame(other)
        if is_restyled:
            frame, before = _in_other_look(frame, simulator, seed, start + i), None
        versions, Y = corrupted_versions(
            frame, before, simulator, artifacts, names, seed, start + i
        )
        described.append(describe_frames(featurizers, versions, simulator.value_range))
        pairs.append(describe_pairs(versions, [before] * len(versions), simulator))
        labels.append(Y)
        source.append(np.full(len(versions), start + i))
    return tuple(map(np.concatenate, (described, pairs, labels, source)))


def _in_other_look(
    frame: np.ndarray, simulator: ArtifactSimulator, seed: int, number: int
) -> np.ndarray:
    rng = np.random.default_rng([seed, number])
    whole = to_bytes(frame, simulator.value_range)
    styled = restyle_frame(whole, STYLES[int(rng.integers(len(STYLES)))], rng)
    if frame.dtype == np.uint8 and isinstance(simulator.value_range, str):
        return styled
    # In the frame's own scale, which simulator and featurizers expect.
    offset, factor = _frames.scale_to_bytes(frame.dtype, simulator.value_range)
    values = styled / factor + offset
    values = np.rint(values) if frame.dtype.kind in "ui" else values
    if frame.ndim == 3 and values.ndim == 2:
        values = values[..., np.newaxis]
    return values.astype(frame.dtype if frame.dtype.kind != "b" else np.float32)


def corrupted_versions(
    frame: np.ndarray,
    previous: np.ndarray | None,
    simulator: ArtifactSimulator,
    artifacts: Sequence[str],
    names: list[str],
    seed: int,
    number: int,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return a clean frame and its corrupted copies, and what is on each."""
    versions, labels = [frame], [np.zeros(len(names), dtype=bool)]
    before = None if previous is None else [previous]
    for k, artifact in enumerate(artifacts):
        own = clone(simulator).set_params(
            random_state=(seed + 7919 * k) % 2**31,
            on_unchanged="ignore",
            return_mask=False,
        )
        [version] = own.corrupt([frame], artifact, previous=before, start=number)
        if (version != frame).any():
            versions.append(version)
            labels.append(np.array([name == artifact for name in names]))
    return versions, np.array(labels)


def describe_pairs(
    frames: Sequence[np.ndarray], previous: Sequence[Any], simulator: Any
) -> np.ndarray:
    """Return how frames differ from others of their clips; NaN without another."""
    values = np.full((len(frames), len(PAIR_NAMES)), np.nan, dtype=np.float32)
    for i, (frame, other) in enumerate(zip(frames, previous, strict=True)):
        if other is not None:
            pair = [
                np.rint(_frames.planes_of(item, simulator.value_range)).astype(np.uint8)
                for item in (frame, other)
            ]
            values[i] = pair_statistics(*pair)
    return values
