"""Frobenius norm and positive curvature: golden values, laws, deflation, edges."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from sklvyso.curvature import frobenius_norm, positive_curvature, trace
from sklvyso.curvature._norms import curvature_of_samples

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import curvature_estimates as reference

FOLDER = Path(__file__).parents[1] / "data" / "goldilocks"
GOLDEN = np.load(FOLDER / "mlp_4_6_5_3.npz")
METRICS = json.loads((FOLDER / "mlp_4_6_5_3.json").read_text())


def symmetric(values, seed=0):
    n = len(values)
    basis, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    matrix = (basis * np.asarray(values, dtype=float)) @ basis.T
    return (matrix + matrix.T) / 2


def diagonal(values, **methods):
    values = np.asarray(values)
    n = len(values)
    operator = LinearOperator((n, n), matvec=lambda v: values * v, dtype=values.dtype)
    for name, value in methods.items():
        setattr(operator, name, value)
    return operator


def refuse():
    raise ValueError("no formula for this net")


@pytest.mark.parametrize("name", ["H", "G", "Hf"])
@pytest.mark.parametrize("alpha", ["0.01", "1", "10"])
@pytest.mark.parametrize("form", [np.array, csr_array, aslinearoperator])
def test_golden_norms_and_curvatures(name, alpha, form):
    expected = METRICS["scales"][alpha][name]
    operator = form(GOLDEN[f"{name}_{alpha}"])
    norm, error = frobenius_norm(operator)
    np.testing.assert_allclose(norm, expected["fro"], rtol=1e-9)
    assert error == 0.0 and type(norm) is float
    curvature, error = positive_curvature(operator)
    np.testing.assert_allclose(curvature, expected["curvature"], rtol=1e-9, atol=1e-12)
    assert error == 0.0 and type(curvature) is float


def test_golden_matrix_that_underflowed_has_no_curvature():
    assert METRICS["scales"]["100"]["G"]["curvature"] is None
    with pytest.warns(UserWarning, match="operator is zero"):
        value, error = positive_curvature(GOLDEN["G_100"])
    assert np.isnan(value) and np.isnan(error)


@pytest.mark.parametrize("method", ["auto", "exact", "hutchinson"])
def test_zero_is_nan_never_infinite(method):
    assert frobenius_norm(np.zeros((4, 4)), method=method) == (0.0, 0.0)
    with pytest.warns(UserWarning, match="saturated softmax"):
        value, error = positive_curvature(np.zeros((4, 4)), method=method)
    assert np.isnan([value, error]).all()


@pytest.mark.parametrize("method", ["exact", "hutchinson"])
@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_squares_neither_underflow_nor_overflow(method, size):
    matrix = symmetric(np.linspace(-1, 2, 30))
    options = {"method": method, "random_state": 0}
    norm, error = frobenius_norm(matrix * size, **options)
    plain = frobenius_norm(matrix, **options)
    np.testing.assert_allclose([norm / size, error / size], plain, rtol=1e-12)
    curvature = positive_curvature(matrix * size, **options)
    np.testing.assert_allclose(curvature, positive_curvature(matrix, **options))
    deflated = frobenius_norm(matrix * size, n_deflate=3, **options)[0]
    np.testing.assert_allclose(deflated / size, plain[0], rtol=0.1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_exact_values_equal_the_reference(seed, n):
    matrix = symmetric(np.random.default_rng(seed).standard_normal(n), seed)
    total, norm, curvature, _ = reference.metrics(matrix)
    np.testing.assert_allclose(trace(matrix)[0], total, atol=1e-12)
    np.testing.assert_allclose(frobenius_norm(matrix)[0], norm, rtol=1e-12)
    found = positive_curvature(matrix)[0]
    np.testing.assert_allclose(found, curvature, rtol=1e-9, atol=1e-12)
    assert abs(found) <= np.sqrt(n) * (1 + 1e-12)
    np.testing.assert_allclose(positive_curvature(3 * matrix)[0], found, atol=1e-12)


@pytest.mark.parametrize("n_deflate", [0, 4, 20])
def test_norm_is_unbiased_and_its_error_true(n_deflate):
    matrix = symmetric(np.r_[8.0, -6.0, 4.0, 3.0, np.linspace(-1, 1, 96)])
    runs = np.array(
        [
            frobenius_norm(
                matrix,
                method="hutchinson",
                n_probes=20,
                n_deflate=n_deflate,
                random_state=seed,
            )
            for seed in range(200)
        ]
    )
    errors = runs[:, 0] - np.linalg.norm(matrix)
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(200)
    ratio = np.sqrt((runs[:, 1] ** 2).mean() / (errors**2).mean())
    assert 0.8 < ratio < 1.25  # 5 % for 200 runs, more for 20 probes a run


def test_deflation_takes_the_noise_of_large_eigenvalues_out():
    matrix = symmetric(np.r_[50.0, -40.0, 30.0, np.linspace(-1, 1, 197)])
    options = {"method": "hutchinson", "n_probes": 30, "random_state": 0}
    plain = frobenius_norm(matrix, **options)
    deflated = frobenius_norm(matrix, n_deflate=3, **options)
    assert deflated[1] < plain[1] / 50
    assert abs(deflated[0] - np.linalg.norm(matrix)) < 4 * deflated[1]


def test_deflation_of_a_low_rank_operator_is_exact():
    values = np.r_[5.0, -4.0, 3.0, np.zeros(97)]
    value, error = frobenius_norm(
        symmetric(values), method="hutchinson", n_deflate=3, random_state=0
    )
    np.testing.assert_allclose([value, error], [np.sqrt(50), 0], atol=1e-10)


@pytest.mark.parametrize("known", ["nothing", "trace", "norm"])
def test_curvature_is_unbiased_and_its_error_true(known):
    values = np.r_[8.0, 5.0, 4.0, np.linspace(-1, 1.5, 97)]
    matrix = symmetric(values)
    truth = values.sum() / np.linalg.norm(values)
    x_known = np.trace(matrix) if known == "trace" else None
    s_known = np.linalg.norm(matrix) if known == "norm" else None
    runs = []
    for seed in range(300):
        probes = np.random.default_rng(seed).choice([-1.0, 1.0], (100, 20))
        images = matrix @ probes
        x = (probes * images).sum(axis=0) if x_known is None else np.full(20, x_known)
        length = np.linalg.norm(images, axis=0)
        length = length if s_known is None else np.full(20, s_known)
        runs.append(curvature_of_samples(x, length))
    runs = np.array(runs)
    errors = runs[:, 0] - truth
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(300)
    ratio = np.sqrt((runs[:, 1] ** 2).mean() / (errors**2).mean())
    assert 0.8 < ratio < 1.25


def test_curvature_agrees_with_the_jackknife():
    matrix = symmetric(np.linspace(-1, 2, 80))
    probes = np.random.default_rng(0).choice([-1.0, 1.0], (80, 400))
    images = matrix @ probes
    x, s = (probes * images).sum(axis=0), (images**2).sum(axis=0)
    found = curvature_of_samples(x, np.sqrt(s))
    value, error = reference.jackknife_curvature(x, s)
    np.testing.assert_allclose(found[0], value, rtol=1e-4)
    np.testing.assert_allclose(found[1], error, rtol=0.02)


def test_both_parts_share_their_products():
    n, count = 2500, []
    operator = LinearOperator(
        (n, n), matvec=lambda v: count.append(1) or 2 * v.ravel(), dtype=float
    )
    value, error = positive_curvature(operator, n_probes=40, random_state=0)
    assert len(count) == 40
    np.testing.assert_allclose([value, error], [50.0, 0.0], atol=1e-10)


def test_formulas_of_the_operator_come_first():
    values = np.ones(2500)
    operator = diagonal(
        values, exact_trace=lambda: 3.0, exact_frobenius_norm=lambda: 4.0
    )
    assert frobenius_norm(operator) == (4.0, 0.0)
    assert positive_curvature(operator) == (0.75, 0.0)
    half = diagonal(values, exact_trace=lambda: 0.0, exact_frobenius_norm=refuse)
    assert positive_curvature(half, n_probes=5) == (0.0, 0.0)
    # Estimated on demand, whatever is known.
    value, _ = positive_curvature(operator, method="hutchinson", n_probes=5)
    np.testing.assert_allclose(value, 50.0)


def test_the_matrix_is_written_down_once():
    class Dense(LinearOperator):
        n_calls = 0

        def _matvec(self, x):
            raise AssertionError

        def to_dense(self):
            self.n_calls += 1
            return 2 * np.eye(9)

    operator = Dense(np.dtype(float), (9, 9))
    assert positive_curvature(operator) == (3.0, 0.0)
    assert operator.n_calls == 1


def test_exact_says_why_it_is_not():
    operator = diagonal(np.ones(2001), exact_frobenius_norm=refuse)
    with pytest.raises(ValueError, match="no formula for this net"):
        frobenius_norm(operator, method="exact")
    with pytest.raises(ValueError, match="has no exact_trace"):
        positive_curvature(operator, method="exact")
    operator.exact_trace = lambda: 1.0
    with pytest.raises(ValueError, match="no formula for this net"):
        positive_curvature(operator, method="exact")


def test_random_state_decides_and_the_global_one_is_left_alone():
    matrix = symmetric(np.linspace(0, 1, 60))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for function in (frobenius_norm, positive_curvature):
        draw = [
            function(matrix, method="hutchinson", random_state=s) for s in (1, 1, 2)
        ]
        assert draw[0] == draw[1] != draw[2]
        function(matrix, method="hutchinson")
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_float32_operators():
    matrix = symmetric(np.linspace(-1, 3, 100))
    single = aslinearoperator(matrix.astype(np.float32))
    for function in (frobenius_norm, positive_curvature):
        for method in ("exact", "hutchinson"):
            found = function(single, method=method, random_state=0)
            expected = function(matrix, method=method, random_state=0)
            np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_no_warning_without_a_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert positive_curvature(symmetric([-1.0, 1.0]))[0] == pytest.approx(0)


BAD = {
    "method must be one of": lambda: frobenius_norm(np.eye(2), method="xtrace"),
    "n_deflate must be less than 2": lambda: frobenius_norm(np.eye(2), n_deflate=2),
    "n_deflate must be an integer >= 0": lambda: frobenius_norm(
        np.eye(2), n_deflate=-1
    ),
    "n_probes must be an integer >= 2": lambda: positive_curvature(
        np.eye(2), n_probes=1
    ),
    "must be square": lambda: positive_curvature(np.ones((2, 3))),
    "Products of operator": lambda: positive_curvature(diagonal(np.full(2500, np.nan))),
}


@pytest.mark.parametrize("message", list(BAD))
def test_errors_name_what_is_wrong(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
