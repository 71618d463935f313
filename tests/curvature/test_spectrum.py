"""Eigenvalues by Lanczos, densities, signs: dense solvers, hard spectra, edges."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, aslinearoperator, eigsh
from sklearn.exceptions import ConvergenceWarning

from sklvyso.curvature import (
    _lanczos,
    density_curve,
    eigenvalues,
    fraction_positive,
    spectral_density,
)
from sklvyso.curvature._lanczos import KrylovBasis, leading_pairs

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import curvature_estimates as reference

FOLDER = Path(__file__).parents[1] / "data" / "goldilocks"
GOLDEN = np.load(FOLDER / "mlp_4_6_5_3.npz")
METRICS = json.loads((FOLDER / "mlp_4_6_5_3.json").read_text())
SCALES = list(METRICS["scales"])
ORDERS = ("LA", "SA", "LM")

SPECTRA = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "positive": lambda rng, n: rng.random(n),
    "negative": lambda rng, n: -1 - rng.random(n),
    "equal": lambda rng, n: np.full(n, 2.0),
    "zero": lambda rng, n: np.zeros(n),
    "two values": lambda rng, n: rng.choice([1.0, -1.0], n),
    "few values": lambda rng, n: rng.integers(-3, 4, n).astype(float),
    "doubles": lambda rng, n: np.repeat(rng.standard_normal(n), 2)[:n],
    "triples": lambda rng, n: np.repeat(rng.standard_normal(n), 3)[:n],
    "cluster": lambda rng, n: np.r_[5 + 1e-9 * np.arange(5), rng.random(n)][:n],
    "low rank": lambda rng, n: np.r_[4.0, 4.0, -3.0, 1.0, np.zeros(n)][:n],
    "geometric": lambda rng, n: 0.6 ** np.arange(n),
    "tiny": lambda rng, n: 1e-200 * rng.standard_normal(n),
    "huge": lambda rng, n: 1e200 * rng.standard_normal(n),
}


def symmetric(values, seed=0):
    n = len(values)
    basis, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    size = abs(values).max() or 1.0
    matrix = (basis * (values / size)) @ basis.T
    return size * ((matrix + matrix.T) / 2)


def diagonal(values, dtype=np.float64):
    """Return an operator that counts its products, and the list it counts in."""
    count, values = [], np.asarray(values, dtype=dtype)
    n = len(values)
    operator = LinearOperator(
        (n, n), matvec=lambda v: count.append(1) or values * v, dtype=dtype
    )
    return operator, count


def check_pairs(matrix, k, which, tol, seed, max_steps=None):
    """Compare Lanczos itself, below the sizes that go dense, with a dense solver."""
    pairs = leading_pairs(
        aslinearoperator(matrix),
        k,
        which,
        tol=tol,
        max_steps=max_steps or len(matrix),
        random=np.random.RandomState(seed),
    )
    true = reference.wanted(np.linalg.eigvalsh(matrix), k, which)
    found = pairs.values
    if which == "LM":  # of equal magnitude either sign may come first
        true, found = abs(true), abs(found)
    size = abs(matrix).max() or 1.0
    largest = abs(true).max()
    assert pairs.is_converged.all()
    np.testing.assert_allclose(found, true, atol=4 * tol * largest + 1e-12 * size)
    vectors = pairs.vectors()
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(k), atol=1e-11)
    residual = np.linalg.norm(
        (matrix @ vectors - vectors * pairs.values) / size, axis=0
    )
    np.testing.assert_allclose(pairs.residuals / size, residual, atol=1e-12)
    return pairs


@pytest.mark.parametrize("name", ["H", "G", "Hf"])
@pytest.mark.parametrize("alpha", ["0.01", "1", "10", "100"])
@pytest.mark.parametrize("which", ORDERS)
def test_golden_eigenvalues(name, alpha, which):
    golden = GOLDEN[f"eig_{name}_{alpha}"]
    size = abs(golden).max()
    for k in (1, 7, 69):
        values, residuals = eigenvalues(GOLDEN[f"{name}_{alpha}"], k, which=which)
        np.testing.assert_allclose(
            abs(values) if which == "LM" else values,
            abs(reference.wanted(golden, k, "LM"))
            if which == "LM"
            else reference.wanted(golden, k, which),
            rtol=1e-9,
            atol=1e-12 * size,
        )
        assert (residuals <= 1e-13 * size).all()


@pytest.mark.parametrize("name", ["H", "G"])
def test_golden_eigenvalues_by_lanczos(name):
    for which in ORDERS:
        check_pairs(GOLDEN[f"{name}_1"], 6, which, 1e-10, 0)


@pytest.mark.parametrize("spectrum", list(SPECTRA))
@pytest.mark.parametrize("which", ORDERS)
@pytest.mark.parametrize("n", [1, 2, 20, 60, 300])
def test_lanczos_equals_a_dense_solver(spectrum, which, n):
    values = SPECTRA[spectrum](np.random.default_rng(n), n)
    for k in {1, min(5, n), min(10, n)}:
        check_pairs(symmetric(values), k, which, 1e-8, 0)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(list(SPECTRA)),
    st.sampled_from(ORDERS),
    st.integers(0, 10**6),
    st.integers(1, 120),
    st.integers(1, 12),
    st.sampled_from([1e-4, 1e-6, 1e-10]),
)
def test_lanczos_on_random_matrices(spectrum, which, seed, n, k, tol):
    values = SPECTRA[spectrum](np.random.default_rng(seed), n)
    check_pairs(symmetric(values, seed), min(k, n), which, tol, seed)


@pytest.mark.parametrize("spectrum", ["normal", "few values", "cluster", "low rank"])
@pytest.mark.parametrize("which", ORDERS)
def test_thick_restarts_keep_what_was_found(spectrum, which, monkeypatch):
    monkeypatch.setattr(_lanczos, "BASIS_BYTES", 0)  # 2 k + 50 vectors
    values = SPECTRA[spectrum](np.random.default_rng(0), 600)
    pairs = check_pairs(symmetric(values), 5, which, 1e-6, 0, max_steps=4000)
    assert pairs.basis.capacity == 60 and len(pairs.basis.vectors) <= 60
    if spectrum == "normal" and which == "LA":
        assert pairs.basis.n_products > 60


@pytest.mark.parametrize("copies", [2, 3, 6])
def test_copies_of_multiple_eigenvalues_are_found(copies):
    values = np.r_[np.repeat([9.0, 7.0, 5.0], copies), np.linspace(-1, 1, 3000)]
    for seed in range(5):
        operator, _ = diagonal(values)
        found, _ = eigenvalues(operator, 3 * copies, random_state=seed)
        np.testing.assert_allclose(found, np.repeat([9.0, 7.0, 5.0], copies), rtol=1e-6)


def test_a_float32_operator_takes_half_the_memory():
    values = 1 / np.arange(1.0, 2001)
    for dtype, size in ((np.float64, 8), (np.float32, 4)):
        operator, _ = diagonal(values.astype(dtype), dtype)
        random = np.random.RandomState(0)
        pairs = leading_pairs(operator, 3, "LA", tol=1e-5, max_steps=90, random=random)
        assert pairs.basis.vectors.itemsize == size
        vectors = pairs.vectors()
        assert vectors.dtype == np.float64
        error = abs(vectors.T @ vectors - np.eye(3)).max()
        assert error < 20 * np.finfo(dtype).eps


def test_products_are_not_wasted():
    n = 20_000
    values = np.r_[10 * 0.8 ** np.arange(12), 0.5 / np.sqrt(np.arange(1, n - 11))]
    true = np.sort(values)[::-1][:10]
    operator, count = diagonal(values)
    found, _ = eigenvalues(operator, 10, random_state=0, check_copies=False)
    ours = len(count)
    np.testing.assert_allclose(found, true, rtol=1e-5)
    count.clear()
    start = np.random.RandomState(0).standard_normal(n)
    eigsh(operator, 10, which="LA", tol=1e-5, v0=start, return_eigenvectors=False)
    assert ours <= len(count)
    # The search for copies adds no more than half.
    operator, count = diagonal(values)
    eigenvalues(operator, 10, random_state=0)
    assert len(count) <= 1.5 * ours + 1


def test_one_value_needs_no_search():
    counts = []
    for check_copies in (True, False):
        operator, count = diagonal(np.linspace(0, 1, 2000) ** 3)
        eigenvalues(operator, 1, random_state=0, check_copies=check_copies)
        counts.append(len(count))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("which", ORDERS)
def test_vectors_and_residuals(which):
    matrix = symmetric(np.random.default_rng(0).standard_normal(700))
    values, residuals, vectors = eigenvalues(
        matrix, 4, which=which, random_state=0, return_vectors=True
    )
    assert values.shape == residuals.shape == (4,) and vectors.shape == (700, 4)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(4), atol=1e-12)
    true = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
    np.testing.assert_allclose(residuals, true, atol=1e-12)
    assert (residuals <= 1e-5 * abs(values).max()).all()


def test_what_has_not_converged_is_said():
    operator, count = diagonal(np.linspace(0, 1, 3000))
    with pytest.warns(ConvergenceWarning, match="of 5 eigenvalues have not converged"):
        values, residuals = eigenvalues(operator, 5, max_steps=30, random_state=0)
    assert len(count) == 30
    assert residuals.max() > 1e-5 * values.max()
    # Each residual bounds the distance to some eigenvalue all the same.
    gaps = abs(values[:, None] - np.linspace(0, 1, 3000)).min(axis=1)
    assert (gaps <= residuals + 1e-12).all()


def test_an_operator_that_is_not_symmetric_is_found_out():
    matrix = np.triu(np.random.default_rng(0).standard_normal((600, 600)))
    for k in (3, 400):
        with pytest.raises(ValueError, match="operator must be symmetric"):
            eigenvalues(aslinearoperator(matrix), k)


@pytest.mark.parametrize("which", ORDERS)
def test_float32_operators(which):
    values = np.r_[np.linspace(5, 2, 5), -4.0, -3.0, np.linspace(-1, 1, 693)]
    matrix = symmetric(values).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, residuals = eigenvalues(
            aslinearoperator(matrix), 3, which=which, tol=0, random_state=0
        )
    assert found.dtype == residuals.dtype == np.float64
    true = reference.wanted(np.linalg.eigvalsh(matrix.astype(float)), 3, which)
    np.testing.assert_allclose(found, true, rtol=1e-5)


def test_basis_stays_orthonormal_beyond_convergence():
    matrix = symmetric(0.5 ** np.arange(200))
    basis = KrylovBasis(aslinearoperator(matrix), 150, np.random.RandomState(0))
    while basis.size < 150:
        if not basis.boundary:
            basis.start()
        basis.expand(0)
    V = basis.vectors[:150]
    np.testing.assert_allclose(V @ V.T, np.eye(150), atol=1e-13)
    np.testing.assert_allclose(
        basis.unit * basis.projected, V @ matrix @ V.T, atol=1e-13
    )


def test_random_state_decides_and_the_global_one_is_left_alone():
    operator, _ = diagonal(np.random.default_rng(0).standard_normal(900))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for function in (lambda s: eigenvalues(operator, 3, random_state=s), density):
        first, again, other = (np.array(function(s)) for s in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert (first[-1] != other[-1]).any()
    eigenvalues(operator, 2)
    spectral_density(operator, n_steps=5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def density(seed):
    operator, _ = diagonal(np.linspace(0, 1, 900))
    return spectral_density(operator, n_steps=10, n_starts=2, random_state=seed)


# -- density --------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 25))
def test_density_equals_plain_lanczos(seed, n_steps):
    values = np.random.default_rng(seed).standard_normal(200)
    matrix = symmetric(values, seed)
    nodes, weights = spectral_density(
        aslinearoperator(matrix), n_steps=n_steps, n_starts=1, random_state=seed
    )
    start = np.random.RandomState(seed).standard_normal(200)
    expected = reference.quadrature(matrix, start, n_steps)
    np.testing.assert_allclose(nodes, expected[0], atol=1e-9)
    np.testing.assert_allclose(weights, expected[1], atol=1e-9)


@pytest.mark.parametrize("spectrum", [s for s in SPECTRA if s not in ("tiny", "huge")])
def test_moments_of_the_density(spectrum):
    n, n_starts = 1000, 8
    values = SPECTRA[spectrum](np.random.default_rng(0), n)
    nodes, weights = spectral_density(
        diagonal(values)[0], n_steps=60, n_starts=n_starts, random_state=0
    )
    assert (np.diff(nodes) >= 0).all() and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-12)
    for power in (1, 2):
        moments = values**power
        # Variance of v' f(A) v for v uniform on the sphere, n_starts of them.
        spread = np.sqrt(2 * (moments.var() + 1e-24) * n / n_starts)
        found = n * weights @ nodes**power
        assert abs(found - moments.sum()) < 5 * spread + 1e-9


@pytest.mark.parametrize("n_steps", [3, 40, 80])
def test_quadrature_is_exact_for_polynomials(n_steps):
    rng = np.random.default_rng(1)
    values = rng.standard_normal(400)
    nodes, weights = spectral_density(
        diagonal(values)[0], n_steps=n_steps, n_starts=1, random_state=2
    )
    start = np.random.RandomState(2).standard_normal(400)
    start /= np.linalg.norm(start)
    for power in range(min(2 * n_steps, 12)):
        expected = start**2 @ values**power
        np.testing.assert_allclose(weights @ nodes**power, expected, rtol=1e-9)


@pytest.mark.parametrize("n", [1, 69, 320])
def test_density_is_exact_where_products_suffice(n):
    matrix = symmetric(np.random.default_rng(0).standard_normal(n))
    nodes, weights = spectral_density(matrix)
    np.testing.assert_allclose(nodes, np.linalg.eigvalsh(matrix), atol=1e-13)
    np.testing.assert_allclose(n * weights @ nodes, np.trace(matrix), atol=1e-11)
    squared = np.linalg.norm(matrix) ** 2
    np.testing.assert_allclose(n * weights @ nodes**2, squared, rtol=1e-12)


def test_density_of_a_low_rank_operator_ends_early():
    operator, count = diagonal(np.r_[3.0, 2.0, np.zeros(998)])
    nodes, weights = spectral_density(operator, n_starts=3, random_state=0)
    assert len(count) == len(nodes) == 9  # two values and zero, for each start
    np.testing.assert_allclose(np.unique(nodes.round(8) + 0.0), [0, 2, 3])
    counts = fraction_positive(nodes, weights)
    np.testing.assert_allclose(counts.n_zero, 0.998, atol=0.004)


def test_curve_integrates_to_one():
    nodes, weights = density(0)
    for options in ({}, {"sigma": 0.01}, {"n_points": 2000}):
        grid, curve = density_curve(nodes, weights, **options)
        assert (curve >= 0).all() and len(grid) == options.get("n_points", 400)
        np.testing.assert_allclose(np.trapezoid(curve, grid), 1, atol=1e-3)


def test_curve_of_one_node_is_a_gaussian():
    grid = np.array([1.0, 2.0, 4.0])
    points, curve = density_curve([2.0], [1.0], grid, sigma=1.0)
    np.testing.assert_array_equal(points, grid)
    expected = np.exp(-((grid - 2) ** 2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(curve, expected)
    for node in (0.0, -3.0, 1e-30):
        points, curve = density_curve([node, node], [0.5, 0.5])
        np.testing.assert_allclose(np.trapezoid(curve, points), 1, atol=1e-3)


# -- signs ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["H", "G", "Hf"])
@pytest.mark.parametrize("alpha", SCALES)
def test_golden_counts(name, alpha):
    expected = METRICS["scales"][alpha][name]
    values = GOLDEN[f"eig_{name}_{alpha}"]
    fraction, *counts = fraction_positive(values)
    assert counts == [expected[key] for key in ("n_pos", "n_neg", "n_zero")]
    assert fraction == expected["n_pos"] / 69


def test_tolerance_depends_on_the_precision():
    values = np.array([1.0, 1e-7, -1e-7])
    assert fraction_positive(values) == (2 / 3, 2, 1, 0)
    assert fraction_positive(values.astype(np.float32)) == (1 / 3, 1, 0, 2)
    assert fraction_positive(values, tolerance=1e-3) == (1 / 3, 1, 0, 2)
    assert fraction_positive([0.0, 0.0]) == (0.0, 0, 0, 2)


def test_weights_count():
    counts = fraction_positive([-1.0, 0.0, 2.0], [0.5, 0.25, 0.25])
    assert counts == (0.25, 0.25, 0.5, 0.25)


# -- bad input ------------------------------------------------------------------------

EYE = np.eye(3)
BAD = {
    "must be square": lambda: eigenvalues(np.ones((2, 3)), 1),
    "must be real": lambda: eigenvalues(EYE * 1j, 1),
    "must be symmetric": lambda: eigenvalues(np.triu(np.ones((3, 3))), 1),
    "k must be an integer >= 1.*Got 0": lambda: eigenvalues(EYE, 0),
    "k must be an integer >= 1.*Got 1.5": lambda: eigenvalues(EYE, 1.5),
    "k must be at most 3.*Got 4": lambda: eigenvalues(EYE, 4),
    "which must be 'LA', 'SA' or 'LM'": lambda: eigenvalues(EYE, 1, which="BE"),
    "tol must be finite and >= 0": lambda: eigenvalues(EYE, 1, tol=-1),
    "tol must be finite": lambda: eigenvalues(EYE, 1, tol=np.nan),
    "max_steps must be an integer >= 2": lambda: eigenvalues(EYE, 2, max_steps=1),
    "Products of operator .* must be finite": lambda: eigenvalues(
        diagonal(np.full(900, np.nan))[0], 1
    ),
    "Products of operator _Cust.* must be finite": lambda: spectral_density(
        diagonal(np.full(900, np.inf))[0]
    ),
    "n_steps must be an integer >= 1": lambda: spectral_density(EYE, n_steps=0),
    "n_starts must be an integer >= 1": lambda: spectral_density(EYE, n_starts=0),
    "nodes and weights must be one-dim": lambda: density_curve([1.0], [1.0, 2.0]),
    "nodes must be finite": lambda: density_curve([np.nan], [1.0]),
    "weights must be finite, >= 0": lambda: density_curve([1.0, 2.0], [1.0, -1.0]),
    "sigma must be finite and > 0": lambda: density_curve([1.0], [1.0], sigma=0),
    "n_points must be an integer >= 2": lambda: density_curve([1.0], [1.0], n_points=1),
    "grid must be finite": lambda: density_curve([1.0], [1.0], [np.inf]),
    "values and weights must be one-dim": lambda: fraction_positive([]),
    "values must be finite": lambda: fraction_positive([np.nan]),
    "tolerance must be finite and >= 0": lambda: fraction_positive([1.0], tolerance=-1),
}


@pytest.mark.parametrize("message", list(BAD))
def test_errors_name_what_is_wrong(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
