"""The simulator: streams, dtypes, visible changes, laws of single artifacts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.pipeline import Pipeline
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from sklvyso.artifacts import (
    ARTIFACTS,
    ArtifactSimulator,
    make_artifact_frames,
    register_artifact,
)
from sklvyso.artifacts._generators_screen import block_sizes, exchange
from sklvyso.artifacts._registry import PAPER
from sklvyso.datasets import make_game_frames

SIZES = [(32, 32), (240, 320), (479, 641)]
BUNCH = make_game_frames(12, n_games=3, height=64, width=96, random_state=0)
FRAMES = BUNCH.images
CLIPS = {
    size: make_game_frames(
        2, n_games=1, height=size[0], width=size[1], random_state=1
    ).images
    for size in [*SIZES, (1080, 1920)]
}


def test_registry_is_ordered_and_the_papers_set_is_known():
    assert list(ARTIFACTS)[:3] == ["shader", "shapes", "discoloration"]
    assert list(ARTIFACTS)[12] == "morse_code"
    assert len(PAPER) == 11
    assert not {"square_patches", "texture_popin"} & set(PAPER)
    assert ArtifactSimulator("all").artifact_names == list(ARTIFACTS)


@pytest.mark.parametrize("name", ARTIFACTS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("severity", [0.3, 1.0])
def test_every_artifact_works_at_every_size(name, size, severity):
    clean, other = CLIPS[size][:1], CLIPS[size][1:]
    for X, previous in ((clean, other), (clean[..., 1], None)):
        kept = X.copy()
        out, mask = ArtifactSimulator(
            severity=severity, return_mask=True, random_state=3
        ).corrupt(X, name, previous=previous)
        np.testing.assert_array_equal(X, kept)
        assert out.dtype == X.dtype and out.shape == X.shape
        difference = np.abs(out.astype(int) - X)
        difference = difference.max(axis=3) if X.ndim == 4 else difference
        np.testing.assert_array_equal(mask, difference > 0)
        assert np.mean(difference >= 8) >= 2e-4


@pytest.mark.parametrize("name", ARTIFACTS)
def test_every_artifact_works_in_full_hd(name):
    clean, other = CLIPS[1080, 1920][:1], CLIPS[1080, 1920][1:]
    out = ArtifactSimulator(random_state=0).corrupt(clean, name, previous=other)
    assert np.mean((out != clean).any(axis=3)) >= 2e-4


@given(seed=st.integers(0, 2**31 - 1), cut=st.integers(1, 11))
@settings(max_examples=5, deadline=None)
def test_batches_do_not_matter(seed, cut):
    simulator = ArtifactSimulator("all", severity=(0.3, 1.0), random_state=seed)
    X, Y = simulator.simulate(FRAMES)
    parts = [
        simulator.simulate(FRAMES[:cut]),
        simulator.simulate(FRAMES[cut:], start=cut),
    ]
    np.testing.assert_array_equal(np.concatenate([p[0] for p in parts]), X)
    np.testing.assert_array_equal(np.concatenate([p[1] for p in parts]), Y)


def test_jobs_do_not_matter():
    simulator = ArtifactSimulator(random_state=0)
    X, _ = simulator.simulate(FRAMES)
    again, _ = clone(simulator).set_params(n_jobs=2).simulate(FRAMES)
    np.testing.assert_array_equal(again, X)
    other, _ = ArtifactSimulator(random_state=1).simulate(FRAMES)
    assert not np.array_equal(other, X)


def test_a_random_state_instance_moves_on():
    simulator = ArtifactSimulator(random_state=np.random.RandomState(0))
    first, second = (simulator.corrupt(FRAMES, "shapes") for _ in range(2))
    assert not np.array_equal(first, second)


@given(seed=st.integers(0, 1000), p=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]))
@settings(max_examples=10, deadline=None)
def test_the_share_is_exact_and_artifacts_are_balanced(seed, p):
    X = np.repeat(FRAMES[:1, :32, :32], 40, axis=0)
    names = ["shapes", "morse_code", "overexposure", "discoloration"]
    _, Y = ArtifactSimulator(names, p=p, random_state=seed).simulate(X)
    assert Y.any(axis=1).sum() == 40 * p
    assert np.ptp(Y.sum(axis=0)) <= 1
    assert set(Y.sum(axis=1)) <= {0, 1}


def test_groups_are_balanced_each():
    groups = np.array(["b", "a"] * 20)
    X = np.repeat(FRAMES[:1, :32, :32], 40, axis=0)
    _, Y = ArtifactSimulator(["shapes", "morse_code"], random_state=0).simulate(
        X, groups
    )
    for group in "ab":
        np.testing.assert_array_equal(Y[groups == group].sum(axis=0), [5, 5])


def test_several_artifacts_on_a_frame():
    _, Y = ArtifactSimulator(n_artifacts=2, p=1.0, random_state=0).simulate(FRAMES)
    assert (Y.sum(axis=1) == 2).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["shapes", "screen_stuttering", "shader"])
def test_float_frames_follow_uint8_frames(name, dtype):
    simulator = ArtifactSimulator(random_state=0)
    whole = simulator.corrupt(FRAMES, name)
    X = (FRAMES / 255).astype(dtype)
    out = simulator.corrupt(X, name)
    assert out.dtype == dtype
    # Rounding to bytes is half a step.
    np.testing.assert_allclose(out * 255, whole, atol=0.51)
    same = (out == X).all(axis=3)
    assert same.any() and not same.all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@given(seed=st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_stuttering_moves_pixels(dtype, seed):
    X = FRAMES[:1, :, :, 0] if dtype == np.uint8 else FRAMES[:1, :, :, 0] / 255
    X = X.astype(dtype)
    out = ArtifactSimulator(random_state=seed).corrupt(X, "screen_stuttering")
    np.testing.assert_allclose(
        np.sort(out, axis=None), np.sort(X, axis=None), rtol=1e-15
    )


@given(st.integers(1, 200), st.integers(1, 200))
def test_an_exchange_undoes_itself(length, block):
    order = exchange(length, block)
    np.testing.assert_array_equal(np.sort(order), np.arange(length))
    np.testing.assert_array_equal(order[order], np.arange(length))
    assert (order == np.arange(length)).all() == (2 * block > length)


def test_block_sizes_are_divisors_or_near():
    np.testing.assert_array_equal(block_sizes(12), [1, 2, 3, 4, 6, 12])
    assert block_sizes(479)[-1] == 479 and len(block_sizes(479)) > 4


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_tearing_takes_pixels_of_two_frames(seed):
    clean, other = FRAMES[::2], FRAMES[1::2]
    out = ArtifactSimulator(random_state=seed).corrupt(
        clean, "screen_tearing", previous=other
    )
    is_old = (out == other).all(axis=3)
    is_new = (out == clean).all(axis=3)
    assert (is_old | is_new).all()
    assert (~is_new).any(axis=(1, 2)).all()


def test_parallel_lines_show_colors_of_the_frame():
    for seed in range(5):
        out = ArtifactSimulator(random_state=seed).corrupt(FRAMES, "parallel_lines")
        for before, after in zip(FRAMES, out, strict=True):
            known = set(map(tuple, before.reshape(-1, 3)))
            assert set(map(tuple, after.reshape(-1, 3))) <= known


def test_morse_code_is_sparse():
    for size in [(240, 320), (479, 641), (1080, 1920)]:
        X = np.zeros((4, *size), dtype=np.uint8)
        out = ArtifactSimulator(random_state=0).corrupt(X, "morse_code")
        assert np.mean(out > 0) <= 0.03


def test_dark_frames_discolour():
    X = (FRAMES // 8).astype(np.uint8)
    out = ArtifactSimulator(random_state=0).corrupt(X, "discoloration")
    assert ((out != X).any(axis=3).mean(axis=(1, 2)) > 0.01).all()


def test_what_cannot_show_is_said():
    black = np.zeros((2, 40, 40), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"screen_stuttering.*on_unchanged"):
        ArtifactSimulator().corrupt(black, "screen_stuttering")
    simulator = ArtifactSimulator(["screen_stuttering"], p=1, on_unchanged="warn")
    with pytest.warns(UserWarning, match="stays as it is"):
        X, Y = simulator.simulate(black)
    assert not Y.any() and not X.any()
    simulator.set_params(artifacts=["screen_stuttering", "morse_code"])
    _, Y = simulator.simulate(black)
    np.testing.assert_array_equal(Y, [[0, 1], [0, 1]])


def test_lists_of_sizes_and_gaps_in_previous():
    X = [FRAMES[0], FRAMES[1][:50, :60], FRAMES[2][..., 0]]
    simulator = ArtifactSimulator(random_state=0, return_mask=True)
    out, mask = simulator.corrupt(X, "screen_tearing", previous=[None, None, X[2]])
    assert [o.shape for o in out] == [x.shape for x in X]
    assert [m.shape for m in mask] == [x.shape[:2] for x in X]


def test_users_generators():
    def stripes(frame, rng, severity, previous):
        frame[:: int(rng.integers(2, 5))] = 255
        return frame

    register_artifact("stripes", stripes)
    try:
        assert ArtifactSimulator("all").artifact_names[-1] == "stripes"
        with pytest.raises(ValueError, match="stripes"):
            register_artifact("stripes", stripes)
    finally:
        del ARTIFACTS["stripes"]
    own = ArtifactSimulator({"stripes": stripes}, p=1.0, random_state=0)
    kept = FRAMES.copy()
    X, Y = own.simulate(FRAMES)
    assert Y.shape == (12, 1) and Y.all()
    assert (X != kept).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(FRAMES, kept)


@pytest.mark.parametrize("labels", ["binary", "names", "indicator"])
def test_sampler_in_a_pipeline(labels):
    X = FRAMES.reshape(12, -1)
    simulator = ArtifactSimulator(
        input_shape=(64, 96, 3), labels=labels, random_state=0
    )
    X_out, y_out = simulator.fit_resample(X, np.zeros(12))
    assert X_out.shape == X.shape and len(y_out) == 12
    if labels == "indicator":
        assert y_out.shape == (12, 11)
        return
    scale = FunctionTransformer(lambda X: X[:, ::97] / 255)
    model = Pipeline(
        [("simulate", simulator), ("scale", scale), ("model", LogisticRegression())]
    )
    model.fit(X, np.zeros(12))
    assert len(model.classes_) == (2 if labels == "binary" else 7)
    assert model.predict(X).shape == (12,)


@pytest.mark.parametrize(
    ("settings", "X", "match"),
    [
        ({"artifacts": ["nothing"]}, FRAMES, "artifacts must be"),
        ({"severity": (0.5, 2.0)}, FRAMES, "severity must be"),
        ({"severity": 0.0}, FRAMES, "severity"),
        ({"n_artifacts": 12}, FRAMES, "n_artifacts must be at most"),
        ({}, FRAMES[:, :16], "at least 32"),
        ({}, FRAMES.reshape(12, -1), "input_shape must be"),
        ({"input_shape": (5, 5)}, FRAMES.reshape(12, -1), "at least 32"),
        ({"value_range": (1, 0)}, FRAMES, "value_range must be"),
    ],
)
def test_errors_name_the_parameter(settings, X, match):
    with pytest.raises(ValueError, match=match):
        ArtifactSimulator(**settings).simulate(X)


def test_corrupted_labels_are_refused():
    with pytest.raises(ValueError, match="one label"):
        ArtifactSimulator().fit_resample(FRAMES, [0, 1] * 6)


def test_previous_must_fit():
    with pytest.raises(ValueError, match="one frame for each"):
        ArtifactSimulator().corrupt(FRAMES, "screen_tearing", previous=FRAMES[:3])
    with pytest.raises(ValueError, match="shape and dtype"):
        ArtifactSimulator().corrupt(FRAMES, "shapes", previous=FRAMES[:, :40])


def test_made_frames():
    bunch = make_artifact_frames(
        13, height=48, width=64, artifacts=["shapes"], corrupted=0.4, random_state=0
    )
    assert bunch.target.sum() == 5
    np.testing.assert_array_equal(bunch.artifact == "shapes", bunch.target == 1)
    np.testing.assert_array_equal(bunch.mask.any(axis=(1, 2)), bunch.target == 1)
    differs = (bunch.images != bunch.clean).any(axis=3)
    np.testing.assert_array_equal(differs, bunch.mask)
    again = make_artifact_frames(
        13, height=48, width=64, artifacts=["shapes"], corrupted=0.4, random_state=0
    )
    np.testing.assert_array_equal(again.images, bunch.images)
