"""Trends on real frames: what is easy, and what adapting and stacking are worth."""

import os

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from sklvyso.artifacts import ArtifactDetector, ArtifactSimulator
from sklvyso.artifacts._combining import combine_probabilities
from sklvyso.datasets import load_game_frames

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "SKLVYSO_DATA" not in os.environ,
        reason="real frames are in the folder that SKLVYSO_DATA names",
    ),
]
NEW = "supertuxkart"


@pytest.fixture(scope="module")
def bunch():
    return load_game_frames(n_per_game=40)


@pytest.fixture(scope="module")
def detector(bunch):
    known = bunch.group != NEW
    return ArtifactDetector(n_simulated=5, tiles=None, random_state=0, n_jobs=2).fit(
        bunch.images[known], groups=bunch.group[known], clips=bunch.clip[known]
    )


@pytest.fixture(scope="module")
def judged(bunch):
    """Frames of the new game, but for six clips: normal, and all artifacts."""
    own = np.flatnonzero(bunch.group == NEW)[12:]
    frames = bunch.images[own]
    previous = np.empty_like(frames)
    previous[::2], previous[1::2] = frames[1::2], frames[::2]
    simulator = ArtifactSimulator(random_state=1, on_unchanged="ignore")
    names = simulator.artifact_names
    versions, Y = [frames], [np.zeros((len(own), len(names)), dtype=int)]
    for k, name in enumerate(names):
        versions.append(simulator.corrupt(frames, name, previous=previous))
        Y.append(np.eye(len(names), dtype=int)[[k] * len(own)])
    return np.concatenate(versions), np.concatenate(Y), np.tile(previous, (12, 1, 1, 1))


def balanced(is_flagged, Y):
    """Mean recall of the artifacts against the share of normal frames left alone."""
    recalls = [is_flagged[Y[:, k] == 1].mean() for k in range(Y.shape[1])]
    return (np.mean(recalls) + 1 - is_flagged[~Y.any(axis=1)].mean()) / 2


def test_a_game_that_was_not_seen(detector, judged, bunch):
    X, Y, _ = judged
    corrupted, experts = detector.judge(X)
    before = balanced(corrupted >= detector.threshold_, Y)
    assert before > 0.75
    # Trend (a): lines and patterns are easy, shaders and single torn frames are not.
    recall = {
        name: (corrupted[Y[:, k] == 1] >= detector.threshold_).mean()
        for k, name in enumerate(detector.artifacts_)
    }
    for name in ("triangulation", "morse_code", "parallel_lines", "screen_stuttering"):
        assert recall[name] > 0.9, name
    for name in ("shader", "screen_tearing"):
        assert recall[name] < 0.6, name
    # Trend (c): stacking beats OR, whose false alarms add up.
    either = combine_probabilities(experts, "or", "proba", None) >= 0.5
    assert before > balanced(either, Y)
    clean = np.flatnonzero(bunch.group == NEW)[:12]
    detector.adapt(bunch.images[clean], clips=bunch.clip[clean])
    after = balanced(detector.corrupted_proba(X) >= detector.threshold_, Y)
    detector.adapt(None)
    assert after > 0.8
    assert after > before - 0.03


def test_tears_are_found_with_the_other_frame_of_the_clip(detector, judged):
    X, Y, previous = judged
    k = detector.artifacts_.index("screen_tearing")
    rows = np.flatnonzero((Y[:, k] == 1) | ~Y.any(axis=1))
    is_flagged = detector.predict_artifact_proba(X[rows], previous[rows])[:, k] >= 0.5
    assert balanced_accuracy_score(Y[rows, k], is_flagged) > 0.9
