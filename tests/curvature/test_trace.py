"""Trace: golden values, laws of the estimates, exact formulas, hostile operators."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, dok_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from sklvyso.curvature import trace
from sklvyso.curvature._trace import (
    _xtrace,
    block_columns,
    probe_blocks,
    products,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import curvature_estimates as reference

FOLDER = Path(__file__).parents[1] / "data" / "goldilocks"
GOLDEN = np.load(FOLDER / "mlp_4_6_5_3.npz")
METRICS = json.loads((FOLDER / "mlp_4_6_5_3.json").read_text())
ESTIMATES = ("hutchinson", "hutch++", "xtrace")


def symmetric(values, seed=0):
    basis, _ = np.linalg.qr(
        np.random.default_rng(seed).standard_normal([len(values)] * 2)
    )
    matrix = (basis * np.asarray(values, dtype=float)) @ basis.T
    return (matrix + matrix.T) / 2


def diagonal(values, **methods):
    """Return an operator of which SciPy knows a function of one vector only."""
    values = np.asarray(values)
    n = len(values)
    operator = LinearOperator((n, n), matvec=lambda v: values * v, dtype=values.dtype)
    for name, value in methods.items():
        setattr(operator, name, value)
    return operator


@pytest.mark.parametrize("name", ["H", "G", "Hf"])
@pytest.mark.parametrize("alpha", ["0.01", "1", "10", "100"])
@pytest.mark.parametrize("form", [np.array, csr_array, dok_array, aslinearoperator])
def test_golden_traces(name, alpha, form):
    expected = METRICS["scales"][alpha][name]
    value, error = trace(form(GOLDEN[f"{name}_{alpha}"]))
    np.testing.assert_allclose(
        value, expected["trace"], rtol=1e-9, atol=1e-12 * expected["fro"]
    )
    assert error == 0.0 and type(value) is float


@pytest.mark.parametrize("alpha", ["0.01", "1", "10"])
def test_hutchinson_obeys_its_variance_law(alpha):
    expected = METRICS["scales"][alpha]
    operator = aslinearoperator(GOLDEN[f"H_{alpha}"])
    value, error = trace(operator, method="hutchinson", n_probes=2000, random_state=0)
    assert abs(value - expected["H"]["trace"]) < 4 * error
    np.testing.assert_allclose(
        error**2 * 2000, expected["hutch_var_trace_rademacher"], rtol=0.15
    )


def test_hutchinson_is_exact_on_a_diagonal():
    value, error = trace(diagonal(np.arange(5.0)), method="hutchinson", n_probes=2)
    assert (value, error) == (10.0, 0.0)


@pytest.mark.parametrize("method", ESTIMATES)
def test_estimates_are_unbiased_and_their_errors_true(method):
    matrix = symmetric(np.r_[20.0, 10.0, -5.0, np.linspace(-1, 1.5, 97)])
    runs = np.array(
        [trace(matrix, method=method, n_probes=30, random_state=s) for s in range(200)]
    )
    errors = runs[:, 0] - np.trace(matrix)
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(200)
    # Root mean squares over 200 runs scatter by 5 %, more for few residual probes.
    ratio = np.sqrt((runs[:, 1] ** 2).mean() / (errors**2).mean())
    assert 0.75 < ratio < 1.3


@pytest.mark.parametrize("method", ["hutch++", "xtrace"])
def test_a_decaying_spectrum_needs_few_products(method):
    values = 0.7 ** np.arange(300)
    value, error = trace(symmetric(values), method=method, n_probes=60, random_state=0)
    assert abs(value - values.sum()) < 1e-2
    plain = trace(symmetric(values), method="hutchinson", n_probes=60, random_state=0)
    assert error < plain[1] / 20


@pytest.mark.parametrize("rank", [0, 1, 5, 15])
@pytest.mark.parametrize("method", ["hutch++", "xtrace"])
def test_low_rank_is_exact(rank, method):
    values = np.r_[np.arange(1.0, rank + 1), np.zeros(200 - rank)]
    value, error = trace(symmetric(values), method=method, n_probes=60, random_state=0)
    np.testing.assert_allclose([value, error], [values.sum(), 0], atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(12, 40), st.integers(2, 5), st.integers(0, 8))
def test_xtrace_equals_leaving_each_vector_out(seed, n, n_vectors, rank):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(n)
    values[min(rank, n) or n :] = 0.0
    matrix = symmetric(values, seed)
    operator = aslinearoperator(matrix)
    found = _xtrace(operator, 2 * n_vectors, np.random.RandomState(seed))
    vectors = np.random.RandomState(seed).standard_normal((n_vectors, n)).T
    samples = reference.xtrace(matrix, vectors)
    error = samples.std(ddof=1) / np.sqrt(n_vectors)
    np.testing.assert_allclose(found, [samples.mean(), error], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", ["hutch++", "xtrace"])
@pytest.mark.parametrize("n", [1, 3, 60])
def test_with_enough_products_the_matrix_is_known(method, n):
    matrix = symmetric(np.arange(float(n)))
    value, error = trace(matrix, method=method, n_probes=60)
    np.testing.assert_allclose(value, np.trace(matrix), atol=1e-12)
    assert error == 0.0


@pytest.mark.parametrize("method", ESTIMATES)
@pytest.mark.parametrize("n_probes", [20, 61, 100])
def test_no_more_products_than_asked_for(method, n_probes):
    count = []
    values = np.linspace(0, 1, 500)
    operator = LinearOperator(
        (500, 500), matvec=lambda v: count.append(1) or values * v.ravel(), dtype=float
    )
    trace(operator, method=method, n_probes=n_probes, random_state=0)
    assert n_probes - 1 <= len(count) <= n_probes


def test_auto_asks_the_operator_first():
    values = np.ones(3000)
    assert trace(diagonal(values, exact_trace=lambda: 7.0)) == (7.0, 0.0)
    assert trace(diagonal(values[:50])) == (50.0, 0.0)
    value, error = trace(diagonal(values, exact_trace=refuse), n_probes=4)
    assert value == 3000 and error == 0  # a diagonal has no noise


def refuse():
    raise ValueError("tanh is not piecewise linear")


def test_exact_says_why_it_is_not():
    with pytest.raises(ValueError, match=r"tanh is not piecewise.*Got 'exact' instead"):
        trace(diagonal(np.ones(2001), exact_trace=refuse), method="exact")
    with pytest.raises(ValueError, match="has no exact_trace"):
        trace(diagonal(np.ones(2001)), method="exact")
    assert trace(diagonal(np.ones(2000), exact_trace=refuse), method="exact")[0] == 2000


def test_a_large_matrix_at_hand_is_exact():
    values = np.arange(5000.0)
    sparse = csr_array((values, (range(5000), range(5000))), shape=(5000, 5000))
    assert trace(sparse, method="exact") == (values.sum(), 0.0)


@pytest.mark.parametrize("method", ESTIMATES)
def test_random_state_decides(method):
    matrix = symmetric(np.linspace(0, 1, 80))
    draw = [trace(matrix, method=method, n_probes=9, random_state=s) for s in (3, 3, 4)]
    assert draw[0] == draw[1] != draw[2]
    generator = np.random.RandomState(3)
    assert trace(matrix, method=method, n_probes=9, random_state=generator) == draw[0]


@pytest.mark.parametrize("method", ESTIMATES)
def test_float32_operators(method):
    matrix = symmetric(np.linspace(-1, 3, 200)).astype(np.float32)
    operator = aslinearoperator(matrix)
    value, error = trace(operator, method=method, n_probes=100, random_state=0)
    double = trace(matrix.astype(float), method=method, n_probes=100, random_state=0)
    np.testing.assert_allclose([value, error], double, rtol=1e-4)


def test_probes_come_in_blocks():
    assert block_columns(1000) == 32
    assert block_columns(2**24) == 2
    assert block_columns(2**40) == 1
    blocks = list(probe_blocks(50, 70, np.random.RandomState(0)))
    assert [block.shape for block in blocks] == [(50, 32), (50, 32), (50, 6)]
    assert all((abs(block) == 1).all() for block in blocks)


def test_products_use_matmat_where_there_is_one():
    calls = []
    operator = LinearOperator(
        (4, 4),
        matvec=None,
        matmat=lambda V: calls.append(V.shape) or 2 * V,
        dtype=float,
    )
    np.testing.assert_array_equal(products(operator, np.ones((4, 40))), 2.0)
    assert calls == [(4, 32), (4, 8)]


def test_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for method in ESTIMATES:
        trace(np.eye(200), method=method, n_probes=10)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


BAD = {
    "must be square.*(2, 3)": lambda: trace(np.ones((2, 3))),
    "must be square.*(2, 1)": lambda: trace(aslinearoperator(np.ones((2, 1)))),
    "must be square.*(0, 0)": lambda: trace(np.ones((0, 0))),
    "must be square.*(3,)": lambda: trace([1.0, 2.0, 3.0]),
    "must be real.*complex": lambda: trace(np.eye(2) * 1j),
    "must be real": lambda: trace(aslinearoperator(np.eye(2) * 1j)),
    "must be of numbers": lambda: trace(np.array([["a"]])),
    "must be symmetric": lambda: trace(np.array([[1.0, 2.0], [0.0, 1.0]])),
    "Entries of operator must be finite": lambda: trace(np.diag([1.0, np.inf])),
    "Products of operator _CustomLinearOperator must be finite.*nan": lambda: trace(
        diagonal(np.r_[np.ones(2500), np.nan])
    ),
    "exact_trace of operator .* must be finite": lambda: trace(
        diagonal(np.ones(3), exact_trace=lambda: np.nan)
    ),
    "method must be one of 'auto'.*Got 'magic'": lambda: trace(
        np.eye(2), method="magic"
    ),
    "n_probes must be an integer >= 2.*Got 1": lambda: trace(np.eye(2), n_probes=1),
    "n_probes must be an integer.*Got 2.5": lambda: trace(np.eye(2), n_probes=2.5),
    "n_probes must be an integer >= 4 for 'xtrace'": lambda: trace(
        np.eye(9), n_probes=3, method="xtrace"
    ),
}


@pytest.mark.parametrize("message", list(BAD))
def test_errors_name_what_is_wrong(message):
    pattern = message.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=pattern):
        BAD[message]()


@pytest.mark.parametrize("method", ["exact", "hutchinson"])
def test_entries_whose_squares_overflow_are_refused(method):
    with pytest.raises(ValueError, match=r"must be at most 1e\+150"):
        trace(np.eye(4) * 1e200, method=method)
