"""Random hyperplanes: directions, projections, the formula that links to the whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from sklvyso.curvature import (
    fraction_positive,
    full_space_curvature,
    positive_curvature,
    project_operator,
    projected_curvature,
    random_directions,
)

FOLDER = Path(__file__).parents[1] / "data" / "goldilocks"
GOLDEN = np.load(FOLDER / "mlp_4_6_5_3.npz")
METRICS = json.loads((FOLDER / "mlp_4_6_5_3.json").read_text())


@pytest.mark.parametrize("name", ["H", "G", "Hf"])
@pytest.mark.parametrize("alpha", ["0.01", "1", "10", "100"])
@pytest.mark.parametrize("form", [np.array, csr_array, aslinearoperator])
def test_golden_projections(name, alpha, form):
    expected = METRICS["subspace"][alpha][name]
    inside = project_operator(form(GOLDEN[f"{name}_{alpha}"]), GOLDEN["R"])
    np.testing.assert_array_equal(inside, inside.T)
    size = expected["fro"]
    np.testing.assert_allclose(np.linalg.norm(inside), size, rtol=1e-9)
    np.testing.assert_allclose(
        np.trace(inside), expected["trace"], rtol=1e-9, atol=1e-12 * size
    )
    values = np.linalg.eigvalsh(inside)
    for key, value in (("eig_max", values[-1]), ("eig_min", values[0])):
        np.testing.assert_allclose(value, expected[key], rtol=1e-9, atol=1e-12 * size)
    if size:
        counts = fraction_positive(values)
        assert counts[1:] == tuple(
            expected[key] for key in ("n_pos", "n_neg", "n_zero")
        )
        np.testing.assert_allclose(
            positive_curvature(inside)[0], expected["curvature"], rtol=1e-9
        )


@pytest.mark.parametrize("kind", ["gaussian", "sparse"])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (7, 7), (12, 5), (500, 50)])
def test_directions_are_unit_vectors(kind, n, d):
    directions = random_directions(n, d, kind=kind, random_state=0)
    assert directions.shape == (n, d) and directions.dtype == np.float64
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1, rtol=1e-12)


def test_gaussian_directions_are_orthonormal_and_uniform():
    directions = random_directions(300, 40, random_state=0)
    np.testing.assert_allclose(directions.T @ directions, np.eye(40), atol=1e-13)
    # Of a uniform direction each coordinate has mean 0 and variance 1 / P.
    draws = np.array([random_directions(5, 2, random_state=s) for s in range(2000)])
    assert abs(draws.mean(axis=0)).max() < 4 / np.sqrt(5 * 2000)
    np.testing.assert_allclose((draws**2).mean(axis=0), 0.2, atol=0.02)


def test_sparse_directions_have_the_density_and_signs_of_the_reference():
    directions = random_directions(10_000, 50, kind="sparse", random_state=0)
    filled = directions != 0
    np.testing.assert_allclose(filled.mean(), 0.01, rtol=0.05)
    assert abs(np.sign(directions[filled]).mean()) < 4 / np.sqrt(filled.sum())
    sizes = [np.unique(abs(column[column != 0])).size for column in directions.T]
    assert set(sizes) == {1}


def test_empty_columns_are_drawn_again():
    for seed in range(50):
        directions = random_directions(4, 4, kind="sparse", random_state=seed)
        assert np.isfinite(directions).all() and directions.any(axis=0).all()


@pytest.mark.parametrize("kind", ["gaussian", "sparse"])
def test_random_state_decides_and_the_global_one_is_left_alone(kind):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draw = [random_directions(60, 4, kind=kind, random_state=s) for s in (0, 0, 1)]
    random_directions(60, 4, kind=kind)
    np.testing.assert_array_equal(draw[0], draw[1])
    assert (draw[0] != draw[2]).any()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_projection_takes_one_product_a_direction():
    shapes, values = [], np.linspace(-1, 1, 50)
    operator = LinearOperator(
        (50, 50),
        matvec=None,
        matmat=lambda V: shapes.append(V.shape) or values[:, None] * V,
        dtype=float,
    )
    directions = random_directions(50, 40, random_state=0)
    inside = project_operator(operator, directions)
    assert shapes == [(50, 32), (50, 8)]
    expected = (directions.T * values) @ directions
    np.testing.assert_allclose(inside, expected, atol=1e-14)


@pytest.mark.parametrize("curvature", [0.0, 2.0, -8.0])
def test_formula_by_monte_carlo(curvature):
    n, d, n_draws = 4000, 20, 200
    rng = np.random.default_rng(0)
    values = rng.standard_normal(n)
    values = (values - values.mean()) / values.std()
    mean = curvature / np.sqrt(n - curvature**2)  # c = sqrt(P) m / sqrt(s^2 + m^2)
    values += mean
    found = values.sum() / np.linalg.norm(values)
    np.testing.assert_allclose(found, curvature, atol=1e-12)
    found = []
    for seed in range(n_draws):
        R = random_directions(n, d, random_state=seed)
        found.append(positive_curvature((R.T * values) @ R)[0])
    found = np.array(found)
    error = found.std() / np.sqrt(n_draws)
    # The formula itself is good to the order of d / P and 1 / d^2.
    expected = projected_curvature(curvature, d)
    assert abs(found.mean() - expected) < 4 * error + abs(expected) / d
    if curvature == 0:
        np.testing.assert_allclose(found.std(), np.sqrt(2 / (d + 1)), rtol=0.2)


def test_values_of_the_specification():
    measured = [projected_curvature(c, 50) for c in (4.989, 4.741, 3.690, 1.995)]
    np.testing.assert_allclose(measured, [4.05, 3.91, 3.25, 1.89], atol=0.06)


@given(st.floats(-1e3, 1e3), st.integers(1, 500))
def test_the_inverse_undoes_the_formula(curvature, d):
    inside = projected_curvature(curvature, d)
    assert type(inside) is float and abs(inside) <= np.sqrt(d)
    # Near the bound the inverse magnifies rounding by (1 + c^2 / (d + 1)).
    scale = 1 + curvature**2 / (d + 1)
    np.testing.assert_allclose(
        full_space_curvature(inside, d), curvature, rtol=1e-12 * scale, atol=1e-14
    )


def test_the_bound_is_honest():
    assert full_space_curvature(2.0, 4) == np.inf
    assert full_space_curvature(-2.0, 4) == -np.inf
    assert np.isnan(full_space_curvature([2.1, -3.0, np.nan], 4)).all()
    assert projected_curvature(np.inf, 4) == 2.0
    assert projected_curvature(-np.inf, 4) == -2.0
    assert np.isnan(projected_curvature(np.nan, 4))
    np.testing.assert_array_equal(projected_curvature([0.0, np.inf], 9), [0.0, 3.0])


BAD = {
    "dimension must be at most 5.*Got 6": lambda: random_directions(5, 6),
    "dimension must be an integer >= 1.*Got 0": lambda: random_directions(5, 0),
    "n_parameters must be an integer >= 1": lambda: random_directions(0, 1),
    "kind must be 'gaussian' or 'sparse'": lambda: random_directions(5, 2, kind="x"),
    "directions must have shape .3, d.": lambda: project_operator(np.eye(3), np.eye(4)),
    "dimension must be at most 3": lambda: project_operator(np.eye(3), np.ones((3, 4))),
    "directions must be finite": lambda: project_operator(np.eye(2), [[np.nan], [1]]),
    "operator must be symmetric": lambda: project_operator(
        aslinearoperator(np.triu(np.ones((3, 3)))), np.eye(3)
    ),
    "dimension must be an integer": lambda: projected_curvature(1.0, 2.5),
    "dimension must be an integer >= 1": lambda: full_space_curvature(1.0, 0),
}


@pytest.mark.parametrize("message", list(BAD))
def test_errors_name_what_is_wrong(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
