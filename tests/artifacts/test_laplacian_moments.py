"""The weighted pixel graph against dense eigen-decompositions."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)

from sklvyso.artifacts import GraphLaplacianFeaturizer
from sklvyso.artifacts._laplacian_moments import (
    even_moments,
    heat_traces,
    normalized_edges,
    random_signs,
    state_density,
)
from sklvyso.datasets import make_game_frames

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import frames as reference

FRAMES = make_game_frames(4, n_games=2, random_state=0).images
FEATURIZER = GraphLaplacianFeaturizer("weighted_pixels", random_state=0)


def colors(channels=3, shape=(12, 14), seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (channels, *shape))


@pytest.fixture(scope="module")
def eigenvalues():
    return np.linalg.eigvalsh(reference.weighted_grid_laplacian(colors()))


def exact_moments(eigenvalues, n_moments):
    angles = np.arccos(np.clip(eigenvalues - 1, -1, 1))
    return [np.cos(k * angles).mean() for k in range(n_moments + 1)]


@parametrize_with_checks([FEATURIZER])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_parameter_constraints_are_complete():
    check_param_validation("GraphLaplacianFeaturizer", FEATURIZER)


@pytest.mark.parametrize("shape", [(12, 14), (5, 3), (1, 9), (9, 1), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_edges_are_the_matrixs(shape, channels):
    planes = colors(channels, shape)
    right, down = normalized_edges(planes)
    laplacian = reference.weighted_grid_laplacian(planes)
    width = shape[1]
    np.testing.assert_allclose(
        right.ravel()[:-1], -np.diag(laplacian, 1) if width > 1 else 0, atol=1e-12
    )
    if shape[0] > 1:
        below = -np.diag(laplacian, width)
        np.testing.assert_allclose(down[:-1].ravel(), below, atol=1e-12)


@pytest.mark.parametrize("shape", [(12, 14), (7, 1), (1, 8)])
def test_moments_of_the_identitys_columns_are_exact(shape):
    planes = colors(shape=shape)
    values = np.linalg.eigvalsh(reference.weighted_grid_laplacian(planes))
    expected = exact_moments(values, 30)
    moments = even_moments(*normalized_edges(planes), np.eye(values.size), 30)
    np.testing.assert_allclose(moments, expected[2::2], atol=1e-6)
    np.testing.assert_allclose(expected[1::2], 0, atol=1e-9)


def test_moments_of_random_signs_come_close(eigenvalues):
    expected = exact_moments(eigenvalues, 30)[2::2]
    edges = normalized_edges(colors())
    errors = []
    for n_probes in (16, 4096):
        signs = random_signs(n_probes, eigenvalues.size, (0, 12, 14))
        errors.append(np.abs(even_moments(*edges, signs, 30) - expected).max())
    # Of 4096 probes the standard deviation is below sqrt(2 / (168 * 4096)).
    assert errors[1] < 4 * np.sqrt(2 / (168 * 4096)) < errors[0]


def test_heat_traces_are_those_of_the_eigenvalues(eigenvalues):
    times = (0.5, 2.0, 10.0, 20.0)
    moments = np.array(exact_moments(eigenvalues, 60)[2::2])
    expected = [np.exp(-t * eigenvalues).mean() for t in times]
    np.testing.assert_allclose(heat_traces(moments, times), expected, rtol=1e-6)
    np.testing.assert_allclose(heat_traces(moments[:15], times), expected, rtol=1e-3)


def test_density_counts_eigenvalues(eigenvalues):
    moments = np.array(exact_moments(eigenvalues, 2000)[2::2])
    borders = 1 - np.cos(np.linspace(0, np.pi / 2, 9))
    counts, _ = np.histogram(eigenvalues, np.append(borders[:-1], 1 + 1e-9))
    shares = state_density(moments, 8)
    # The kernel still spreads an eigenvalue at a border to both sides.
    np.testing.assert_allclose(shares, 2 * counts / eigenvalues.size, atol=0.02)
    for n in (1, 15):
        assert state_density(moments[:n], 8).sum() == pytest.approx(1)
        assert (state_density(moments[:n], 8) >= 0).all()


def test_names_and_numbers_of_features():
    for n_moments in (2, 7, 30):
        featurizer = clone(FEATURIZER).set_params(n_moments=n_moments).fit(FRAMES)
        names = list(featurizer.get_feature_names_out())
        assert featurizer.transform(FRAMES).shape == (4, n_moments // 2 + 14)
        assert names[0] == "laplacian_weighted_pixels_moment02"
        assert names[-1] == "laplacian_weighted_pixels_density7"


def test_rows_depend_on_their_frame_and_the_seed_only():
    expected = clone(FEATURIZER).fit_transform(FRAMES)
    featurizer = clone(FEATURIZER).fit(FRAMES[2:])
    single = np.concatenate([featurizer.transform(x[None]) for x in FRAMES])
    np.testing.assert_array_equal(single, expected)
    np.testing.assert_allclose(
        featurizer.transform(FRAMES / 255), expected, rtol=1e-5, atol=1e-6
    )
    other = clone(FEATURIZER).set_params(random_state=1).fit_transform(FRAMES)
    assert (other != expected).any()
    np.testing.assert_allclose(other, expected, atol=0.02)


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("shape", [(16, 16), (33, 47, 3)])
def test_constant_frames_have_the_plain_grids_spectrum(value, shape):
    X = np.full((1, *shape), value, dtype=np.uint8)
    out = clone(FEATURIZER).fit_transform(X)
    dark = clone(FEATURIZER).fit_transform(np.zeros_like(X))
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out, dark)


def test_noise_cuts_the_graph():
    noise = np.random.default_rng(0).integers(0, 256, FRAMES[:1].shape, dtype=np.uint8)
    X = np.concatenate([FRAMES[:1], noise])
    featurizer = clone(FEATURIZER).fit(X)
    heat = list(featurizer.get_feature_names_out()).index(
        "laplacian_weighted_pixels_heat_t20"
    )
    out = featurizer.transform(X)[:, heat]
    assert out[1] != pytest.approx(out[0], abs=0.01)
