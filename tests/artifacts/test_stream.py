"""Frames in playing order: smoothing, chunks, previous frames, intervals."""

import pickle
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from sklvyso.artifacts import (
    ArtifactDetector,
    ArtifactSimulator,
    FrameStreamDetector,
    iter_frames,
)
from sklvyso.artifacts._voting import describe_runs, flagged_runs, smooth
from sklvyso.datasets import make_game_frames

SMALL = {
    "n_simulated": 2,
    "restyle": False,
    "tiles": (2, 3),
    "artifacts": ["triangulation", "morse_code", "screen_tearing"],
    "random_state": 0,
}
REDUCE = {"median": np.median, "mean": np.mean, "max": np.max}


@pytest.fixture(scope="session")
def clean():
    return make_game_frames(24, height=64, width=96, n_games=2, random_state=0)


@pytest.fixture(scope="session")
def detector(clean):
    return ArtifactDetector(**SMALL).fit(
        clean.images, groups=clean.group, clips=clean.clip
    )


@pytest.fixture(scope="session")
def frames(clean):
    """Twelve normal frames, eight triangulated ones, four normal ones."""
    simulator = ArtifactSimulator(random_state=1)
    frames = clean.images.copy()
    frames[12:20] = simulator.corrupt(frames[12:20], "triangulation")
    return frames


def slowly_smoothed(values, window, vote):
    half = window // 2
    return [
        REDUCE[vote](values[max(0, i - half) : i + half + 1])
        for i in range(len(values))
    ]


def slow_runs(is_flagged, min_length, max_gap):
    """Fill gaps between flagged frames, then read off runs, frame by frame."""
    filled = list(is_flagged)
    for i in range(len(filled)):
        for j in range(i + 1, min(len(filled), i + max_gap + 2)):
            if is_flagged[i] and is_flagged[j]:
                filled[i : j + 1] = [True] * (j + 1 - i)
    runs, start = [], None
    for i, flag in enumerate([*filled, False]):
        if flag and start is None:
            start = i
        if not flag and start is not None:
            runs.append((start, i))
            start = None
    return [run for run in runs if run[1] - run[0] >= min_length]


# -- numerics -------------------------------------------------------------------------


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.sampled_from([1, 3, 5, 9]),
    st.sampled_from(list(REDUCE)),
)
@settings(max_examples=60, deadline=None)
def test_smoothing_equals_a_slow_reference(values, window, vote):
    values = np.array(values)
    np.testing.assert_allclose(
        smooth(values, window, vote), slowly_smoothed(values, window, vote), atol=1e-12
    )


def test_smoothing_acts_on_each_column():
    values = np.random.RandomState(0).rand(11, 3)
    columns = [smooth(values[:, k], 5, "median") for k in range(3)]
    np.testing.assert_array_equal(
        smooth(values, 5, "median"), np.stack(columns, axis=1)
    )


@given(st.lists(st.booleans(), max_size=25), st.integers(1, 5), st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_runs_equal_a_slow_reference(is_flagged, min_length, max_gap):
    runs = flagged_runs(np.array(is_flagged, dtype=bool), min_length, max_gap)
    assert runs == slow_runs(is_flagged, min_length, max_gap)


def test_run_is_named_after_its_most_probable_artifact():
    artifacts = np.array([[0.9, 0.1], [0.1, 0.8], [0.1, 0.8], [0.9, 0.0]])
    [run] = describe_runs([(1, 3)], np.array([0, 0.6, 0.8, 0]), artifacts, ["a", "b"])
    assert run == (1, 3, "b", pytest.approx(0.7))


# -- detector -------------------------------------------------------------------------


@pytest.mark.parametrize("with_previous", [True, False])
def test_judge_equals_both_methods_of_the_detector(detector, frames, with_previous):
    previous = [None, *frames[:5]] if with_previous else None
    corrupted, artifacts = detector.judge(frames[:6], previous)
    np.testing.assert_array_equal(
        corrupted, detector.corrupted_proba(frames[:6], previous)
    )
    np.testing.assert_array_equal(
        artifacts, detector.predict_artifact_proba(frames[:6], previous)
    )


def test_window_of_one_and_no_previous_is_the_detector(detector, frames):
    stream = FrameStreamDetector.from_fitted(detector, window=1, use_previous=False)
    np.testing.assert_array_equal(
        stream.corrupted_proba(frames), detector.corrupted_proba(frames)
    )
    np.testing.assert_array_equal(stream.predict(frames), detector.predict(frames))
    np.testing.assert_array_equal(
        stream.predict_artifacts(frames), detector.predict_artifacts(frames)
    )


def test_previous_frame_is_the_one_before(detector, frames):
    stream = FrameStreamDetector.from_fitted(detector, window=1, batch_size=5)
    expected = detector.corrupted_proba(frames, previous=[None, *frames[:-1]])
    np.testing.assert_allclose(stream.corrupted_proba(frames), expected)
    without = clone(stream).set_params(use_previous=False).fit(None)
    assert not np.allclose(without.corrupted_proba(frames), expected)


def test_probabilities_are_smoothed(detector, frames):
    raw = FrameStreamDetector.from_fitted(detector, window=1).corrupted_proba(frames)
    stream = FrameStreamDetector.from_fitted(detector, window=3, vote="max")
    np.testing.assert_allclose(
        stream.corrupted_proba(frames), slowly_smoothed(raw, 3, "max"), atol=1e-12
    )


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_chunks_do_not_change_results(detector, frames, batch_size):
    frames = frames[8:18]
    expected = FrameStreamDetector.from_fitted(detector).corrupted_proba(frames)
    stream = FrameStreamDetector.from_fitted(detector, batch_size=batch_size)
    np.testing.assert_allclose(stream.corrupted_proba(frames), expected, atol=1e-12)


def test_all_containers_give_the_same(detector, frames, tmp_path):
    stream = FrameStreamDetector.from_fitted(detector)
    frames = frames[8:18]
    expected = stream.intervals(frames)
    assert expected
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"frame{i}.png")
    np.save(tmp_path / "frames.npy", frames)
    files = [tmp_path / f"frame{i}.png" for i in range(len(frames))]
    for same in (iter(frames), list(frames), files, str(tmp_path), iter_frames(frames)):
        assert stream.intervals(same) == expected
    assert stream.intervals(tmp_path / "frames.npy") == expected


def test_intervals_find_the_artifact(detector, frames):
    stream = FrameStreamDetector.from_fitted(detector, window=3, use_previous=False)
    [interval] = stream.set_params(min_length=4, max_gap=1).intervals(iter(frames))
    assert interval.artifact == "triangulation"
    assert abs(interval.start - 12) <= 1 and abs(interval.stop - 20) <= 1
    assert 0.5 < interval.probability <= 1


def test_intervals_are_the_predicted_frames(detector, frames):
    stream = FrameStreamDetector.from_fitted(detector)
    covered = np.zeros(len(frames), dtype=int)
    for interval in stream.intervals(frames):
        covered[interval.start : interval.stop] = 1
    np.testing.assert_array_equal(stream.predict(frames), covered)


def test_at_most_two_chunks_are_in_memory(detector, frames):
    read, most = [], []

    def camera():
        for k in range(16):
            frame = frames[k].copy()
            read.append(weakref.ref(frame))
            yield frame
            most.append(sum(reference() is not None for reference in read))

    FrameStreamDetector.from_fitted(detector, batch_size=4).corrupted_proba(camera())
    assert 4 < max(most) <= 2 * 4


def test_change_of_size_starts_anew(detector, frames):
    mixed = [*frames[:3], *frames[3:6, :48, :80]]
    stream = FrameStreamDetector.from_fitted(detector, window=1)
    expected = detector.corrupted_proba(
        mixed, previous=[None, *mixed[:2], None, *mixed[3:5]]
    )
    np.testing.assert_allclose(stream.corrupted_proba(mixed), expected)


# -- as an estimator ------------------------------------------------------------------


def test_fit_fits_a_clone(clean):
    small = {"artifacts": ["triangulation"], "n_simulated": 1, "tiles": None}
    detector = ArtifactDetector(**SMALL | small)
    stream = FrameStreamDetector(detector).fit(clean.images[:8], clips=[0] * 8)
    assert not hasattr(detector, "artifacts_")
    assert stream.artifacts_ == ["triangulation"]
    assert stream.n_features_in_ == 64 * 96 * 3
    np.testing.assert_array_equal(stream.classes_, [0, 1])


def test_frozen_detector_is_used_as_it_is(detector, clean):
    stream = FrameStreamDetector(FrozenEstimator(detector)).fit(clean.images[:2])
    assert stream.detector_.estimator is detector
    assert clone(stream).fit(None).detector_.estimator is detector


def test_names_come_back_as_classes(clean, frames):
    names = np.array(["normal", "odd", "torn"])
    k = np.arange(24)
    y = names[np.where(k // 4 % 2, 2, k % 2)]
    detector = ArtifactDetector(restyle=False, random_state=0, cv=2)
    stream = FrameStreamDetector(detector, window=1, use_previous=False)
    stream.fit(clean.images, y, clips=clean.clip)
    np.testing.assert_array_equal(
        stream.predict(frames), stream.detector_.predict(frames)
    )


def test_pickle_round_trip(detector, frames):
    stream = FrameStreamDetector.from_fitted(detector)
    again = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(
        stream.corrupted_proba(frames), again.corrupted_proba(frames)
    )


def test_errors_say_what_to_do(detector, frames):
    with pytest.raises(ValueError, match=r"window must be odd.*Got 4"):
        FrameStreamDetector.from_fitted(detector, window=4)
    with pytest.raises(ValueError, match="'vote' parameter"):
        FrameStreamDetector.from_fitted(detector, vote="loudest")
    with pytest.raises(ValueError, match="at least one frame"):
        FrameStreamDetector.from_fitted(detector).predict(iter([]))
    with pytest.raises(NotFittedError):
        FrameStreamDetector(detector).predict(frames)
    with pytest.raises(NotFittedError):
        FrameStreamDetector.from_fitted(ArtifactDetector())
