"""Trace, norm, eigenvalues, density, hyperplanes of any symmetric operator."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from sklearn.exceptions import ConvergenceWarning

from sklvyso.curvature import (
    density_curve,
    eigenvalues,
    fraction_positive,
    frobenius_norm,
    full_space_curvature,
    positive_curvature,
    project_operator,
    projected_curvature,
    random_directions,
    spectral_density,
    trace,
)

FOLDER = Path(__file__).parents[1] / "data/goldilocks"
GOLDEN = np.load(FOLDER / "mlp_4_6_5_3.npz")
METRICS = json.loads((FOLDER / "mlp_4_6_5_3.json").read_text())
MATRICES = ("H", "G", "Hf")
SCALES = ("0.01", "1", "10")


class Products(LinearOperator):
    """A matrix known by its products only."""

    def __init__(self, matrix):
        self.matrix, self.n_products = matrix, 0
        super().__init__(dtype=matrix.dtype, shape=matrix.shape)

    def _matvec(self, x):
        self.n_products += 1
        return self.matrix @ x.reshape(-1)


def symmetric(n, seed, spectrum=None):
    rng = np.random.RandomState(seed)
    basis, _ = np.linalg.qr(rng.randn(n, n))
    values = rng.randn(n) if spectrum is None else np.asarray(spectrum, float)
    return (basis * values) @ basis.T


@pytest.mark.parametrize("alpha", SCALES)
@pytest.mark.parametrize("name", MATRICES)
def test_golden_values(alpha, name):
    matrix, expected = GOLDEN[f"{name}_{alpha}"], METRICS["scales"][alpha][name]
    size = expected["fro"]
    value, error = trace(matrix)
    np.testing.assert_allclose(value, expected["trace"], atol=1e-12 * size, rtol=1e-9)
    assert error == 0
    value, error = frobenius_norm(matrix)
    np.testing.assert_allclose(value, expected["fro"], rtol=1e-9)
    if abs(expected["trace"]) > 1e-9 * size:
        value, error = positive_curvature(matrix)
        np.testing.assert_allclose(value, expected["curvature"], rtol=1e-9)
    for which, order in (("LA", slice(None, -6, -1)), ("SA", slice(0, 5))):
        values, residuals = eigenvalues(matrix, 5, which=which)
        expected_values = GOLDEN[f"eig_{name}_{alpha}"][order]
        np.testing.assert_allclose(values, expected_values, atol=1e-9 * size)
        assert (residuals <= 1e-5 * size).all()
    counts = fraction_positive(GOLDEN[f"eig_{name}_{alpha}"])
    assert counts.n_positive == expected["n_pos"]
    assert counts.n_negative == expected["n_neg"]
    assert counts.n_zero == expected["n_zero"]


def test_golden_values_in_a_hyperplane():
    for name in MATRICES:
        inside = project_operator(GOLDEN[f"{name}_1"], GOLDEN["R"])
        expected = METRICS["subspace"]["1"][name]
        np.testing.assert_allclose(np.trace(inside), expected["trace"], rtol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(inside), expected["fro"], rtol=1e-9)


def test_variance_of_hutchinson_is_as_the_law_says():
    matrix = GOLDEN["H_1"]
    value, error = trace(matrix, method="hutchinson", n_probes=2000, random_state=0)
    assert abs(value - np.trace(matrix)) < 4 * error
    law = 2 * (np.linalg.norm(matrix) ** 2 - (np.diag(matrix) ** 2).sum())
    # Fifteen per cent: the spread of a variance of 2000 samples with heavy tails.
    np.testing.assert_allclose(error**2 * 2000, law, rtol=0.15)


@pytest.mark.parametrize("method", ["hutchinson", "hutch++", "xtrace"])
def test_estimates_of_the_trace_cover_the_truth(method):
    matrix = symmetric(300, 0, 10.0 / (1 + np.arange(300)) ** 1.5)
    hits = 0
    for seed in range(20):
        value, error = trace(
            Products(matrix), method=method, n_probes=60, random_state=seed
        )
        hits += abs(value - np.trace(matrix)) < 3 * error + 1e-9
    assert hits >= 17
    assert trace(matrix, method=method, n_probes=60, random_state=0) == trace(
        matrix, method=method, n_probes=60, random_state=0
    )


def test_estimates_of_norm_and_curvature_cover_the_truth():
    matrix = symmetric(300, 1)
    norm = np.linalg.norm(matrix)
    for options in ({}, {"n_deflate": 10}):
        value, error = frobenius_norm(
            Products(matrix),
            method="hutchinson",
            n_probes=200,
            random_state=0,
            **options,
        )
        assert abs(value - norm) < 4 * error
    value, error = positive_curvature(
        Products(matrix), method="hutchinson", n_probes=200, random_state=0
    )
    assert abs(value - np.trace(matrix) / norm) < 4 * error


def test_zero_has_no_curvature():
    with pytest.warns(UserWarning, match="not defined"):
        value, _ = positive_curvature(np.zeros((3, 3)))
    assert np.isnan(value)


# -- eigenvalues ----------------------------------------------------------------------

SPECTRA = {
    "random": lambda rng, n: rng.randn(n),
    "clustered": lambda rng, n: np.r_[[5.0, 5.0, 5.0 + 1e-7, 4.0], rng.rand(n - 4)],
    "low rank": lambda rng, n: np.r_[[3.0, 2.0, -1.0], np.zeros(n - 3)],
    "equal": lambda rng, n: np.full(n, 2.0),
    "zero": lambda rng, n: np.zeros(n),
    "negative": lambda rng, n: -rng.rand(n) - 1,
    "decaying": lambda rng, n: 0.8 ** np.arange(n),
}


@pytest.mark.parametrize("spectrum", list(SPECTRA))
@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
@pytest.mark.parametrize("n", [40, 700])
def test_lanczos_equals_a_dense_solver(spectrum, which, n):
    values = SPECTRA[spectrum](np.random.RandomState(0), n)
    operator = Products(symmetric(n, 1, values))
    found, residuals = eigenvalues(operator, 6, which=which, random_state=0)
    order = {
        "LA": np.argsort(-values),
        "SA": np.argsort(values),
        "LM": np.argsort(-abs(values), kind="stable"),
    }[which][:6]
    size = max(abs(values).max(), 1e-300)
    if which == "LM":  # of equal size, either sign may come first
        np.testing.assert_allclose(abs(found), abs(values[order]), atol=2e-5 * size)
    else:
        np.testing.assert_allclose(found, values[order], atol=2e-5 * size)
    assert (residuals <= 2e-5 * size).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_lanczos_on_random_matrices(seed, k):
    rng = np.random.RandomState(seed)
    values = rng.choice([0.0, 1.0, 1.0, -2.0, rng.randn()], 600) * rng.rand()
    matrix = symmetric(600, seed, values)
    found, _ = eigenvalues(aslinearoperator(matrix), k, random_state=seed)
    size = max(abs(values).max(), 1e-300)
    np.testing.assert_allclose(found, np.sort(values)[::-1][:k], atol=2e-5 * size)


def test_vectors_and_what_does_not_converge_is_said():
    matrix = symmetric(800, 0, np.linspace(0, 1, 800))
    values, residuals, vectors = eigenvalues(
        Products(matrix), 3, random_state=0, return_vectors=True
    )
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-8)
    true = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
    np.testing.assert_allclose(true, residuals, atol=1e-6)
    with pytest.warns(ConvergenceWarning):
        values, residuals = eigenvalues(
            Products(matrix), 8, max_steps=12, random_state=0
        )
    assert residuals.max() > 1e-5


def test_few_products_beyond_need():
    values = np.r_[np.linspace(50, 5, 10), 0.9 ** np.arange(3000)]
    operator = Products(np.diag(values))
    found, _ = eigenvalues(operator, 10, random_state=0)
    np.testing.assert_allclose(found, values[:10], rtol=1e-5)
    assert operator.n_products < 60


# -- density and signs ----------------------------------------------------------------


def test_moments_of_the_density():
    matrix = symmetric(300, 3)
    nodes, weights = spectral_density(matrix, n_steps=60, n_starts=30, random_state=0)
    assert (np.diff(nodes) >= 0).all() and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(), 1)
    spread = np.sqrt(2 * np.linalg.norm(matrix) ** 2 / 30)
    assert abs(300 * weights @ nodes - np.trace(matrix)) < 4 * spread
    second = 300 * weights @ nodes**2
    np.testing.assert_allclose(second, np.linalg.norm(matrix) ** 2, rtol=0.15)
    grid, density = density_curve(nodes, weights)
    np.testing.assert_allclose(np.trapezoid(density, grid), 1, rtol=0.02)


def test_signs_with_a_tolerance():
    counts = fraction_positive([3.0, 1e-14, -1e-14, 0.0, -1.0])
    assert (counts.n_positive, counts.n_negative, counts.n_zero) == (1, 1, 3)


# -- hyperplanes ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gaussian", "sparse"])
def test_directions_are_unit_vectors(kind):
    R = random_directions(400, 12, kind=kind, random_state=0)
    np.testing.assert_allclose(np.linalg.norm(R, axis=0), 1)
    if kind == "gaussian":
        np.testing.assert_allclose(R.T @ R, np.eye(12), atol=1e-12)
    again = random_directions(400, 12, kind=kind, random_state=0)
    np.testing.assert_array_equal(R, again)
    few = random_directions(12, 12, kind="sparse", random_state=0)
    assert np.isfinite(few).all() and (np.linalg.norm(few, axis=0) > 0.99).all()


def test_hyperplanes_link_to_the_whole_space():
    matrix = symmetric(
        600, 0, np.r_[np.full(40, 3.0), np.random.RandomState(0).randn(560)]
    )
    curvature = np.trace(matrix) / np.linalg.norm(matrix)
    d, found = 30, []
    for seed in range(30):
        R = random_directions(600, d, random_state=seed)
        inside = project_operator(matrix, R)
        found.append(np.trace(inside) / np.linalg.norm(inside))
    expected = projected_curvature(curvature, d)
    # Formula (6) is for d << P; the mean of 30 has a standard error of .05.
    assert abs(np.mean(found) - expected) < 0.2
    np.testing.assert_allclose(full_space_curvature(expected, d), curvature)


# -- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: trace(np.ones((2, 3))),
        lambda: trace(np.eye(3) * 1j),
        lambda: trace(np.eye(3), n_probes=0, method="hutchinson"),
        lambda: trace(np.eye(3), method="magic"),
        lambda: eigenvalues(np.eye(3), 0),
        lambda: eigenvalues(np.eye(3), 4),
        lambda: eigenvalues(np.eye(3), 1, which="XX"),
        lambda: trace(Products(np.full((3000, 3000), np.nan)), random_state=0),
        lambda: spectral_density(np.eye(3), n_steps=0),
        lambda: random_directions(5, 6),
        lambda: random_directions(5, 2, kind="magic"),
        lambda: trace(Products(np.eye(2500)), method="exact"),
    ],
)
def test_bad_arguments_are_named(call):
    with pytest.raises((ValueError, TypeError)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call()


def test_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    operator = Products(symmetric(2100, 0))
    trace(operator)
    eigenvalues(operator, 1)
    spectral_density(operator, n_steps=5, n_starts=1)
    random_directions(10, 2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
