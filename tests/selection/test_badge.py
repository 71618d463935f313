"""BADGE: explicit gradients, the exact distribution, duplicates, memory, errors."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix
from scipy.stats import chisquare

from sklvyso.selection import _spread, badge
from sklvyso.selection._badge import GradientSpace
from sklvyso.selection._spread import RowSpace, spread_sample

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import selection as reference
from selection_cases import KINDS, probabilities, rows_of, sparse_rows_of

DTYPES = [np.float64, np.float32, np.float16]


@st.composite
def problems(draw):
    n, d = draw(st.integers(1, 40)), draw(st.integers(1, 5))
    seed = draw(st.integers(0, 10**6))
    Z = rows_of(draw(st.sampled_from(KINDS)), seed, n, d, np.float32)
    sharpness = draw(st.sampled_from([0.0, 2.0, 500.0]))
    proba = probabilities(seed, (n, draw(st.integers(1, 5))), sharpness=sharpness)
    proba[proba < 1e-100] = 0  # float64 has no digits for the squares of less
    if draw(st.booleans()):  # pairs with equal gradients
        Z, proba = np.tile(Z, (2, 1)), np.tile(proba, (2, 1))
    return Z, proba, draw(st.integers(0, len(Z)))


def gaps_of(gradients):
    """Return the squared distances between all rows, from differences."""
    return ((gradients[:, None] - gradients[None]) ** 2).sum(axis=2)


@settings(deadline=None)
@given(problems())
def test_distances_equal_those_of_explicit_gradients(problem):
    Z, proba, _ = problem
    gradients = reference.gradients(Z, proba)
    space = GradientSpace(Z, proba)
    points = space.read(np.arange(len(Z)))
    scale = (gradients**2).sum(axis=1)
    np.testing.assert_allclose(space.norms, scale, rtol=1e-12)
    found = space.distances(points, space.norms, points, space.norms)
    expected = gaps_of(gradients)
    bound = 1e-12 * (scale[:, None] + scale)
    assert (np.abs(found - expected) <= np.maximum(bound, 1e-5 * expected)).all()
    assert (found >= 0).all() and (np.diag(found) == 0).all()
    nearest = np.full(len(Z), np.inf)
    space.lower(nearest, np.arange(0, len(Z), 2))
    np.testing.assert_allclose(nearest, found[:, ::2].min(axis=1), atol=bound.max())


@settings(deadline=None)
@given(problems(), st.integers(0, 99))
def test_rows_are_distinct_and_the_largest_gradient_is_first(problem, seed):
    Z, proba, n_select = problem
    indices = badge(Z, proba, n_select, random_state=seed)
    assert indices.dtype == np.int64 and indices.shape == (n_select,)
    assert len(set(indices.tolist())) == n_select
    assert not n_select or 0 <= indices.min() <= indices.max() < len(Z)
    if n_select:
        norms = (reference.gradients(Z, proba) ** 2).sum(axis=1)
        np.testing.assert_allclose(norms[indices[0]], norms.max(), rtol=1e-12)


@settings(deadline=None)
@given(problems(), st.integers(0, 99))
def test_equal_gradients_come_last(problem, seed):
    Z, proba, _ = problem
    indices = badge(Z, proba, len(Z), random_state=seed)
    gradients = reference.gradients(Z, proba)
    gaps, norms = gaps_of(gradients), (gradients**2).sum(axis=1)
    # Beyond rounding a row that differs from all chosen ones comes before one that
    # equals a chosen one.
    is_last = False
    for position, row in enumerate(indices[1:], start=1):
        chosen = indices[:position]
        scale = norms[row] + norms[chosen]
        is_equal = (gaps[row, chosen] <= 1e-16 * scale).any()
        is_other = (gaps[row, chosen] > 1e-12 * scale).all()
        assert not (is_last and is_other)
        is_last |= is_equal


def pool(n=6):
    Z = rows_of("clusters", 3, n, 2, np.float32) / 10
    return Z, probabilities(4, (n, 3))


@pytest.mark.parametrize(
    "n_candidates, cost",
    [(64, 32), (64, 0), (1, 0), (2, 3)],
    ids=["always up to date", "stale", "stale, one by one", "in turns"],
)
def test_choices_have_the_probabilities_of_plain_k_means_plus_plus(
    n_candidates, cost, monkeypatch
):
    monkeypatch.setattr(_spread, "N_CANDIDATES", n_candidates)
    monkeypatch.setattr(_spread, "CANDIDATE_COST", cost)
    Z, proba = pool()
    gradients = reference.gradients(Z, proba)
    first = int((gradients**2).sum(axis=1).argmax())
    expected = reference.spread_probabilities(gradients, first, 4)
    n_draws = 3000
    counts = dict.fromkeys(expected, 0)
    for seed in range(n_draws):
        order = badge(Z, proba, 4, random_state=seed)
        counts[tuple(order.tolist())] += 1
    likely = [order for order, p in expected.items() if p * n_draws >= 5]
    found = [counts[order] for order in likely]
    wanted = [expected[order] * n_draws for order in likely]
    assert len(likely) > 20
    rest = n_draws - np.sum(found), n_draws - np.sum(wanted)
    test = chisquare([*found, rest[0]], [*wanted, rest[1]])
    assert test.pvalue > 0.01
    # The same counts refute choices that ignore the distances.
    even = np.full(len(found), np.mean(found))
    assert chisquare(found, even).pvalue < 1e-6


def test_later_choices_have_the_probabilities_of_a_larger_pool(monkeypatch):
    # Most candidates are refused: the first choices lie in groups far apart.
    monkeypatch.setattr(_spread, "CANDIDATE_COST", 0)
    Z = np.zeros((60, 2), dtype=np.float32)
    Z[:20, 0], Z[20:40, 1] = 50, 50
    Z += 0.5 * np.random.default_rng(0).standard_normal(Z.shape)
    n_draws = 3000
    fourth = np.zeros(60)
    expected = np.zeros(60)
    rows = Z.astype(np.float64)
    gaps = ((rows[:, None] - rows) ** 2).sum(axis=2)
    for seed in range(n_draws):
        order = spread_sample(RowSpace(Z), 0, 4, np.random.RandomState(seed))
        nearest = gaps[order[:3]].min(axis=0)
        expected += nearest / nearest.sum()
        fourth[order[3]] += 1
    keep = expected >= 5
    test = chisquare(
        [*fourth[keep], fourth[~keep].sum() + 1],
        [*expected[keep], expected[~keep].sum() + 1],
    )
    assert test.pvalue > 0.01


def test_few_distances_are_computed(monkeypatch):
    Z, proba = rows_of("normal", 5, 20_000, 8), probabilities(5, (20_000, 4))
    n_pairs = 0
    plain = RowSpace.distances

    def counted(self, points, norms, centres, centre_norms):
        nonlocal n_pairs
        n_pairs += len(norms) * len(centre_norms)
        return plain(self, points, norms, centres, centre_norms)

    monkeypatch.setattr(RowSpace, "distances", counted)
    badge(Z, proba, 50, random_state=0)
    assert n_pairs < 5 * len(Z)  # the plain algorithm computes 50


@settings(deadline=None)
@given(problems(), st.data())
def test_fewer_choices_are_the_beginning_of_more(problem, data):
    Z, proba, n_select = problem
    fewer = data.draw(st.integers(0, n_select))
    more = badge(Z, proba, n_select, random_state=5)
    some = badge(Z, proba, fewer, random_state=5)
    np.testing.assert_array_equal(some, more[:fewer])


def test_many_choices_go_through_several_passes():
    Z, proba = rows_of("clusters", 6, 3000, 24), probabilities(6, (3000, 3))
    indices = badge(Z, proba, 3000, random_state=0)
    np.testing.assert_array_equal(np.sort(indices), np.arange(3000))
    assert (np.diff(indices) < 0).any()


def test_certain_rows_are_drawn_evenly():
    Z = rows_of("normal", 7, 8, 3)
    proba = np.eye(2)[[0, 1] * 4]
    orders = [badge(Z, proba, 3, random_state=seed) for seed in range(1500)]
    assert all(order[0] == 0 for order in orders)  # all gradients are 0
    second = np.bincount([order[1] for order in orders], minlength=8)
    assert second[0] == 0
    assert chisquare(second[1:]).pvalue > 0.01
    np.testing.assert_array_equal(
        np.sort(badge(Z, proba, 8, random_state=0)), np.arange(8)
    )


def test_one_uncertain_row_among_certain_ones_is_first():
    Z = rows_of("normal", 8, 9, 3)
    proba = np.eye(2)[[0] * 9]
    proba[6] = [0.6, 0.4]
    firsts = {badge(Z, proba, 1, random_state=seed)[0] for seed in range(20)}
    assert firsts == {6}


def test_equal_classes_count_as_the_first():
    # Residuals (-.5, .5) for both rows: the second equals the first.
    indices = badge([[1.0], [1.0], [0.5]], [[0.5, 0.5]] * 3, 2, random_state=0)
    assert indices.tolist() == [0, 2]


def test_random_state_makes_the_choice():
    Z, proba = rows_of("normal", 9, 300, 4), probabilities(9, (300, 3))
    first = badge(Z, proba, 20, random_state=1)
    np.testing.assert_array_equal(badge(Z, proba, 20, random_state=1), first)
    generator = np.random.RandomState(1)
    np.testing.assert_array_equal(badge(Z, proba, 20, random_state=generator), first)
    again = badge(Z, proba, 20, random_state=generator)
    assert (again != first).any()
    drawn = {tuple(badge(Z, proba, 20).tolist()) for _ in range(3)}
    assert len(drawn) == 3


def test_global_random_numbers_are_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    position = np.random.get_state()[2]  # noqa: NPY002
    Z, proba = pool()
    for random_state in (0, None):
        badge(Z, proba, 4, random_state=random_state)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert np.random.get_state()[2] == position  # noqa: NPY002


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6])
def test_offset_leaves_rows_apart(offset):
    # Half of the rows equal the others; no offset may hide which.
    Z = np.tile(rows_of("normal", 10, 60, 16), (2, 1)) + offset
    proba = np.tile(probabilities(10, (60, 3)), (2, 1))
    indices = badge(Z, proba, 60, random_state=0)
    assert len(set((indices % 60).tolist())) == 60


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10, 1e25])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_of_the_rows_is_no_obstacle(scale, dtype):
    Z = (rows_of("normal", 11, 50, 4) * scale).astype(dtype)
    indices = badge(Z, probabilities(11, (50, 3)), 50, random_state=0)
    np.testing.assert_array_equal(np.sort(indices), np.arange(50))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float16, ">f4", object])
def test_dtypes_give_the_choice_of_float64(dtype):
    numbers = np.random.default_rng(12).integers(0, 100, size=(200, 7))
    proba = np.array([[0.5, 0.25, 0.25], [0.0, 0.75, 0.25]])[[0, 1] * 100]
    expected = badge(numbers.astype(np.float64), proba, 30, random_state=0)
    for table in (proba, proba.astype(np.float16), proba.astype(object)):
        found = badge(numbers.astype(dtype), table, 30, random_state=0)
        np.testing.assert_array_equal(found, expected)


def test_layout_and_container_do_not_matter(tmp_path):
    Z = rows_of("normal", 13, 400, 10, np.float32)
    proba = probabilities(13, (400, 4), np.float32)
    expected = badge(Z, proba, 40, random_state=0)
    locked = Z.copy()
    locked.flags.writeable = False
    padded = np.zeros((800, 20), dtype=np.float32)
    padded[::2, ::2] = Z
    np.save(tmp_path / "Z.npy", Z)
    mapped = np.load(tmp_path / "Z.npy", mmap_mode="r")
    named = pd.DataFrame(Z, index=np.arange(400)[::-1])
    for same in (locked, np.asfortranarray(Z), padded[::2, ::2], mapped, named):
        found = badge(same, np.asfortranarray(proba), 40, random_state=0)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, expected)
    named = pd.DataFrame(proba)
    found = badge(Z.tolist(), named, np.int32(40), random_state=0)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(locked, Z)


@pytest.mark.parametrize("sparse", [csr_array, csr_matrix, csc_array, coo_array])
def test_sparse_rows_give_the_choice_of_dense_ones(sparse):
    Z = sparse_rows_of(14, 500, 60, np.float32)
    proba = probabilities(14, (500, 3))
    np.testing.assert_array_equal(
        badge(sparse(Z), proba, 80, random_state=0), badge(Z, proba, 80, random_state=0)
    )


def test_sparse_entries_given_twice_are_added():
    parts = np.array([1.0, 2.0, 4.0]), np.array([0, 0, 1]), np.array([0, 2, 3])
    twice = csr_array(parts, shape=(2, 2))
    space = GradientSpace(twice, np.full((2, 2), 0.5))
    np.testing.assert_allclose(space.norms, [0.5 * (9 + 1), 0.5 * (16 + 1)])
    assert twice.nnz == 3  # the caller's array is left alone


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_stays_small_for_a_memory_map(dtype, tmp_path):
    shape = 60_000, 96  # 23 MB in float32
    Z = np.lib.format.open_memmap(tmp_path / "Z.npy", "w+", dtype, shape)
    Z[:] = rows_of("normal", 15, *shape)
    mapped = np.load(tmp_path / "Z.npy", mmap_mode="r")
    proba = probabilities(15, (len(Z), 20), np.float32)  # 9 MB in float64
    tracemalloc.start()
    badge(mapped, proba, 300, random_state=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6


def test_nothing_to_choose():
    Z, proba = pool()
    assert badge(Z, proba, 0).shape == (0,)
    assert badge(np.empty((0, 3)), np.empty((0, 2)), 0).shape == (0,)
    assert badge([[1.0]], [[1.0]], 1).tolist() == [0]


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"n_select": 6}, ValueError, r"n_select must be from 0 to 5.*rows. Got 6"),
        ({"n_select": -1}, ValueError, r"n_select must be from 0 to 5.*Got -1"),
        ({"n_select": 2.0}, TypeError, r"n_select must be an integer. Got float"),
        ({"Z": [1.0, 2.0]}, ValueError, r"Z must have 2 dimensions"),
        ({"Z": np.empty((5, 0))}, ValueError, r"Z must have at least one column"),
        ({"Z": np.full((5, 1), np.nan)}, ValueError, r"Z must hold finite numbers"),
        ({"Z": np.full((5, 1), 1e200)}, ValueError, r"squared norms in the range"),
        ({"Z": [["a"]] * 5}, TypeError, r"Z must be a dense array of real numbers"),
        ({"Z": csr_array(np.eye(5) * 1j)}, TypeError, r"Z must hold real numbers"),
        ({"proba": [[1.0]] * 4}, ValueError, r"one row for each row of Z, 5. Got 4"),
        ({"proba": [1.0] * 5}, ValueError, r"proba must have 2 dimensions"),
        ({"proba": np.empty((5, 0))}, ValueError, r"proba must have at least one cl"),
        ({"proba": [[0.7, 0.7]] * 5}, ValueError, r"proba must sum to 1"),
        ({"proba": [[1.5, -0.5]] * 5}, ValueError, r"proba must lie in \[0, 1\]"),
        ({"proba": [[np.nan, 1.0]] * 5}, ValueError, r"proba must lie in.*nan"),
        ({"proba": csr_array(np.eye(5))}, TypeError, r"proba must be a dense array"),
        ({"random_state": "a"}, ValueError, r"cannot be used to seed"),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    arguments = {"Z": np.eye(5), "proba": [[0.5, 0.5]] * 5, "n_select": 1} | options
    with pytest.raises(error, match=message):
        badge(**arguments)
