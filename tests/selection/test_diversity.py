"""Greedy k-center: golden values, the plain algorithm, carried distances, memory."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix

from sklvyso.selection import k_center_greedy
from sklvyso.selection._nearest import NearestCentreFilter, squared_distances

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import selection as reference
from selection_cases import KINDS, rows_of, sparse_rows_of

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "drop_scorers.npz")


@st.composite
def problems(draw):
    n, d = draw(st.integers(1, 40)), draw(st.integers(1, 5))
    kind = draw(st.sampled_from(KINDS))
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    Z = rows_of(kind, draw(st.integers(0, 10**6)), n, d, dtype)
    return Z, draw(st.integers(0, n))


def check_picks(Z, indices, distances, selected=()):
    """Each pick is the farthest free row; the distances are those to the centres."""
    rows = np.asarray(Z, dtype=np.float64)
    free = np.ones(len(rows), dtype=bool)
    free[list(selected)] = False
    nearest = reference.k_center_passes(Z, 0, selected)[1]
    for position, pick in enumerate(indices):
        assert free[pick]
        if position or len(selected):
            farthest = nearest[free].max()
            np.testing.assert_allclose(nearest[pick], farthest, rtol=1e-12)
        free[pick] = False
        nearest = np.minimum(nearest, ((rows - rows[pick]) ** 2).sum(axis=1))
    np.testing.assert_allclose(distances, nearest, rtol=1e-12)


def test_golden_picks_from_all_rows():
    indices, _ = k_center_greedy(GOLDEN["embeddings"], 9)
    np.testing.assert_array_equal(
        np.sort(indices), GOLDEN["coreset_dp_n9"].nonzero()[0]
    )


def test_golden_picks_from_a_pool():
    pool = GOLDEN["al_pool_idx"]
    indices, _ = k_center_greedy(
        GOLDEN["embeddings"], 6, selected=GOLDEN["al_selected_idx"]
    )
    expected = pool[GOLDEN["al_coreset_n6"].nonzero()[0]]
    np.testing.assert_array_equal(np.sort(indices), expected)


@settings(deadline=None)
@given(problems())
def test_equals_the_plain_algorithm(problem):
    Z, n_select = problem
    indices, distances = k_center_greedy(Z, n_select)
    assert indices.dtype == np.int64 and distances.dtype == np.float64
    assert len(set(indices.tolist())) == n_select
    expected_indices, expected_distances = reference.k_center(Z, n_select)
    if n_select and indices[0] == expected_indices[0]:
        np.testing.assert_array_equal(indices, expected_indices)
        np.testing.assert_allclose(distances, expected_distances, rtol=1e-12)
    elif n_select:  # rows equally near to the mean, up to the rounding of sums
        to_mean = ((Z.astype(np.float64) - Z.astype(np.float64).mean(0)) ** 2).sum(1)
        np.testing.assert_allclose(
            to_mean[indices[0]], to_mean.min(), rtol=1e-9, atol=1e-20
        )
    check_picks(Z, indices, distances)


@settings(deadline=None)
@given(problems(), st.data())
def test_equals_the_plain_algorithm_with_rows_selected_before(problem, data):
    Z, n_selected = problem
    order = data.draw(st.permutations(range(len(Z))))
    selected = order[: max(1, n_selected)]
    n_select = data.draw(st.integers(0, len(Z) - len(selected)))
    indices, distances = k_center_greedy(Z, n_select, selected=selected)
    expected = reference.k_center(Z, n_select, selected)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_allclose(distances, expected[1], rtol=1e-12)
    check_picks(Z, indices, distances, selected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_plain_passes_to_the_last_bit_over_many_contests(kind, dtype):
    # Enough rows for contests of all sizes, several blocks and several chunks.
    Z = rows_of(kind, 3, 9000, 24, np.float64)
    if dtype == np.float16 and kind in ("offset", "heavy tails"):
        Z = Z / 100  # the range of half precision ends at 65504
    Z = Z.astype(dtype)
    start = [17]
    indices, distances = k_center_greedy(Z, 1500, selected=start)
    expected = reference.k_center_passes(Z, 1500, start)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_array_equal(distances, expected[1])


@pytest.mark.parametrize("d", [1, 2, 3, 7, 8, 31, 64, 65, 384])
def test_a_distance_is_the_same_to_the_last_bit_in_any_company(d):
    Z = rows_of("normal", d, 301, d, np.float32)
    centre = Z[5].astype(np.float64)
    together = squared_distances(Z, centre)
    alone = [squared_distances(Z[i : i + 1], centre)[0] for i in range(len(Z))]
    np.testing.assert_array_equal(together, alone)
    points, centres = Z.astype(np.float64), np.tile(centre, (len(Z), 1))
    out = np.empty_like(points)
    np.testing.assert_array_equal(squared_distances(points, centres), together)
    np.testing.assert_array_equal(squared_distances(points, centre, out=out), together)


@pytest.mark.parametrize("kind", KINDS)
def test_the_filter_lets_few_pairs_through(kind, monkeypatch):
    # One row far out must not make the products useless for the others.
    Z = rows_of(kind, 11, 2000, 32, np.float32)
    Z[7] *= 1e4
    n_pairs = 0

    def counted(rows, centres, *, out=None):
        nonlocal n_pairs
        n_pairs += len(rows)
        return squared_distances(rows, centres, out=out)

    monkeypatch.setattr("sklvyso.selection._nearest.squared_distances", counted)
    nearest = np.full(len(Z), np.inf)
    NearestCentreFilter(Z).lower(nearest, Z[:200].astype(np.float64))
    expected = reference.k_center_passes(Z, 0, range(200))[1]
    np.testing.assert_array_equal(nearest, expected)
    assert n_pairs < 10 * len(Z)  # of 200


@settings(deadline=None)
@given(problems(), st.data())
def test_fewer_picks_are_the_beginning_of_more(problem, data):
    Z, n_select = problem
    fewer = data.draw(st.integers(0, n_select))
    for random_state in (None, 5):
        more = k_center_greedy(Z, n_select, random_state=random_state)[0]
        some = k_center_greedy(Z, fewer, random_state=random_state)[0]
        np.testing.assert_array_equal(some, more[:fewer])


@settings(deadline=None)
@given(problems(), st.data())
def test_carried_distances_go_on_as_one_run(problem, data):
    Z, n_select = problem
    first = data.draw(st.integers(0, n_select))
    whole, whole_distances = k_center_greedy(Z, n_select)
    begun, distances = k_center_greedy(Z, first)
    kept = distances.copy()
    rest, carried = k_center_greedy(
        Z, n_select - first, selected=begun, distances=distances
    )
    np.testing.assert_array_equal(np.concatenate([begun, rest]), whole)
    np.testing.assert_array_equal(carried, whole_distances)
    np.testing.assert_array_equal(distances, kept)  # the input is left alone
    fresh = k_center_greedy(Z, n_select - first, selected=begun)
    np.testing.assert_array_equal(fresh[0], rest)
    np.testing.assert_array_equal(fresh[1], carried)


def test_distances_alone_belong_to_centres_outside():
    random = np.random.default_rng(0)
    labelled, pool = random.standard_normal((7, 3)), random.standard_normal((50, 3))
    both = np.vstack([labelled, pool])
    expected, all_distances = k_center_greedy(both, 10, selected=range(7))
    before = k_center_greedy(both, 0, selected=range(7))[1]
    indices, distances = k_center_greedy(pool, 10, distances=before[7:])
    np.testing.assert_array_equal(indices, expected - 7)
    np.testing.assert_array_equal(distances, all_distances[7:])


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.randoms())
def test_order_of_rows_does_not_matter_without_ties(seed, n, random):
    Z = rows_of("normal", seed, n, 3)
    order = list(range(n))
    random.shuffle(order)
    indices, distances = k_center_greedy(Z, n // 2, selected=[order[0]])
    moved, moved_distances = k_center_greedy(Z[order], n // 2, selected=[0])
    np.testing.assert_array_equal(np.array(order)[moved], indices)
    np.testing.assert_array_equal(moved_distances, distances[order])


@settings(deadline=None)
@given(problems())
def test_radius_is_within_twice_the_best_of_any_centres(problem):
    Z, n_select = problem
    indices, distances = k_center_greedy(Z, n_select)
    assert (distances[indices] == 0).all()
    if not 0 < n_select < len(Z):
        return
    # Of n_select + 1 rows this far apart two share a centre, whatever the centres.
    farthest = int(distances.argmax())
    apart = np.append(indices, farthest)
    between = [
        reference.squared_distance(Z[i], Z[j])
        for a, i in enumerate(apart)
        for j in apart[:a]
    ]
    assert min(between) >= distances[farthest] * (1 - 1e-12)


@pytest.mark.parametrize("n_select", [0, 1, 999, 1000])
def test_equal_rows_are_taken_once_each_in_order(n_select):
    Z = np.full((1000, 3), 0.1, dtype=np.float32)
    indices, distances = k_center_greedy(Z, n_select)
    np.testing.assert_array_equal(indices, np.arange(n_select))
    np.testing.assert_array_equal(distances, 0 if n_select else np.inf)


def test_random_state_breaks_only_exact_ties():
    Z = rows_of("normal", 0, 300, 4)
    np.testing.assert_array_equal(
        k_center_greedy(Z, 50, random_state=0)[0], k_center_greedy(Z, 50)[0]
    )
    square = np.array([[0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]])
    orders = {
        tuple(k_center_greedy(square, 5, random_state=seed)[0].tolist())
        for seed in range(60)
    }
    assert {order[0] for order in orders} == {0}
    assert {order[1] for order in orders} == {1, 2, 3, 4}
    assert orders == {
        tuple(k_center_greedy(square, 5, random_state=seed)[0].tolist())
        for seed in range(60)
    }
    same = np.zeros((2000, 2))
    picks = k_center_greedy(same, 2000, random_state=np.random.RandomState(0))[0]
    np.testing.assert_array_equal(np.sort(picks), np.arange(2000))
    assert not (np.diff(picks) > 0).all()


def test_random_ties_are_those_of_shuffled_rows():
    Z = rows_of("lattice", 12, 5000, 6)
    order = np.argsort(np.random.RandomState(3).permutation(len(Z)))
    indices, distances = k_center_greedy(Z, 900, random_state=3)
    shuffled, shuffled_distances = reference.k_center_passes(Z[order], 900)
    np.testing.assert_array_equal(indices, order[shuffled])
    np.testing.assert_array_equal(distances[order], shuffled_distances)


def test_global_random_numbers_are_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    k_center_greedy(np.eye(4), 2, random_state=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6])
def test_offset_does_not_cost_accuracy(offset):
    # In float32 the rows themselves are rounded; the distances between them are not.
    Z = (rows_of("normal", 1, 3000, 16) + offset).astype(np.float32)
    indices, distances = k_center_greedy(Z, 200, selected=[0])
    expected = reference.k_center_passes(Z, 200, [0])
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_array_equal(distances, expected[1])


def test_near_duplicates_are_told_apart():
    random = np.random.default_rng(2)
    base = random.standard_normal((100, 8))
    Z = np.vstack([base, base + 1e-6 * random.standard_normal(base.shape)])
    indices, distances = k_center_greedy(Z, 100)
    expected = reference.k_center_passes(Z, 100)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_array_equal(distances, expected[1])
    assert len(set((indices % 100).tolist())) == 100  # one of each pair
    assert 0 < distances[distances > 0].min() < 1e-9


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e-10, 1e10, 1e18, 1e25])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_does_not_matter(scale, dtype):
    Z = (rows_of("normal", 4, 500, 6) * scale).astype(dtype)
    indices, distances = k_center_greedy(Z, 60, selected=[3])
    expected = reference.k_center_passes(Z, 60, [3])
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_array_equal(distances, expected[1])


@pytest.mark.parametrize(
    "dtype",
    [np.int64, np.int8, np.uint8, np.bool_, np.float16, ">f4", np.longdouble, object],
)
def test_dtypes_give_the_picks_of_float64(dtype):
    numbers = np.random.default_rng(5).integers(0, 100, size=(400, 7)).astype(dtype)
    indices, distances = k_center_greedy(numbers, 50)
    expected = k_center_greedy(numbers.astype(np.float64), 50)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_array_equal(distances, expected[1])


def test_layout_and_container_do_not_matter(tmp_path):
    Z = rows_of("normal", 6, 400, 10, np.float32)
    expected = k_center_greedy(Z, 40)
    locked = Z.copy()
    locked.flags.writeable = False
    padded = np.zeros((800, 20), dtype=np.float32)
    padded[::2, ::2] = Z
    np.save(tmp_path / "Z.npy", Z)
    mapped = np.load(tmp_path / "Z.npy", mmap_mode="r")
    named = pd.DataFrame(Z, index=np.arange(400)[::-1])
    for same in (locked, np.asfortranarray(Z), padded[::2, ::2], mapped, named):
        indices, distances = k_center_greedy(same, 40)
        assert type(indices) is np.ndarray and type(distances) is np.ndarray
        np.testing.assert_array_equal(indices, expected[0])
        np.testing.assert_array_equal(distances, expected[1])
    np.testing.assert_array_equal(locked, Z)
    np.testing.assert_array_equal(k_center_greedy(Z.tolist(), 40)[0], expected[0])


def test_containers_of_selected_and_distances_do_not_matter():
    Z = rows_of("normal", 7, 60, 3)
    first, distances = k_center_greedy(Z, 5)
    expected = k_center_greedy(Z, 5, selected=first, distances=distances)
    for selected in (first.tolist(), tuple(first), first.astype(np.uint8)):
        found = k_center_greedy(
            Z, np.int32(5), selected=selected, distances=distances.tolist()
        )
        np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(
        k_center_greedy(Z, 5, selected=[])[0], k_center_greedy(Z, 5)[0]
    )


def test_nothing_to_choose():
    Z = rows_of("normal", 8, 10, 3)
    indices, distances = k_center_greedy(Z, 0)
    assert indices.shape == (0,) and np.isinf(distances).all()
    # Infinite distances go on as if there had been no call.
    np.testing.assert_array_equal(
        k_center_greedy(Z, 4, distances=distances)[0], k_center_greedy(Z, 4)[0]
    )
    indices, distances = k_center_greedy(Z, 0, selected=range(10))
    assert indices.shape == (0,) and (distances == 0).all()
    indices, distances = k_center_greedy(np.empty((0, 3)), 0)
    assert indices.shape == distances.shape == (0,)


@pytest.mark.parametrize("sparse", [csr_array, csr_matrix, csc_array, coo_array])
def test_sparse_rows_give_the_picks_of_dense_ones(sparse):
    Z = sparse_rows_of(13, 600, 40, np.float32)
    first, before = k_center_greedy(Z, 7)
    for options in ({}, {"selected": first}, {"selected": first, "distances": before}):
        indices, distances = k_center_greedy(sparse(Z), 50, **options)
        expected = k_center_greedy(Z, 50, **options)
        np.testing.assert_array_equal(indices, expected[0])
        np.testing.assert_allclose(distances, expected[1], rtol=1e-9)


def test_equal_sparse_rows_are_taken_last_in_order_of_ties():
    rows = sparse_rows_of(14, 20, 9)
    Z = csr_array(np.vstack([rows, rows]))
    n_distinct = len(np.unique(rows, axis=0))
    indices, distances = k_center_greedy(Z, 40)
    assert (distances == 0).all()
    _, radii = k_center_greedy(Z, n_distinct)
    assert (radii == 0).all()
    np.testing.assert_array_equal(indices[n_distinct:], np.sort(indices[n_distinct:]))
    shuffled = k_center_greedy(Z, 40, random_state=0)[0]
    assert (np.diff(shuffled[n_distinct:]) < 0).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_memory_stays_small(dtype):
    Z = (100 * rows_of("normal", 9, 20_000, 64)).astype(dtype)  # 5 MB in float32
    k_center_greedy(Z[:100], 5)
    tracemalloc.start()
    k_center_greedy(Z, 600)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6  # the whole of Z in float64 is 10 MB


def test_memory_stays_small_for_a_memory_map(tmp_path):
    shape = 60_000, 96  # 23 MB
    Z = np.lib.format.open_memmap(tmp_path / "Z.npy", "w+", np.float32, shape)
    Z[:] = rows_of("clusters", 10, *shape, np.float32)
    mapped = np.load(tmp_path / "Z.npy", mmap_mode="r")
    tracemalloc.start()
    first, distances = k_center_greedy(mapped, 20)
    k_center_greedy(mapped, 20, selected=first, distances=distances)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6


@pytest.mark.parametrize(
    "Z, error, message",
    [
        ([1.0, 2.0], ValueError, r"Z must have 2 dimensions.*\(2,\)"),
        ([[1.0, np.nan]], ValueError, r"Z must hold finite numbers"),
        ([[1.0], [-np.inf]], ValueError, r"Z must hold finite numbers"),
        ([[1e200], [-1e200]], ValueError, r"Z must have squared distances in the"),
        (np.empty((3, 0)), ValueError, r"Z must have at least one column"),
        ([[1.0, 2.0], [1.0]], ValueError, r"Z must be an array, its rows of equal"),
        ([["a"], ["b"]], TypeError, r"Z must be a dense array of real numbers"),
        ([[1j], [2j]], TypeError, r"dtype complex128"),
        (csr_array(np.eye(3) * 1j), TypeError, r"Z must hold real numbers.*csr_array"),
        (csr_array([[1.0, np.nan]]), ValueError, r"Z must hold finite numbers"),
        (csr_array((3, 0)), ValueError, r"Z must have at least one column"),
    ],
)
def test_bad_rows_are_named(Z, error, message):
    with pytest.raises(error, match=message):
        k_center_greedy(Z, 1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_found_wherever_work_begins(wrong, dtype):
    Z = rows_of("normal", 15, 500, 4, dtype)
    Z[[3, 321], 2] = wrong, -wrong
    for options in ({}, {"selected": [0]}, {"distances": np.ones(500)}):
        for n_select in (0, 2):
            with pytest.raises(ValueError, match="Z must hold finite numbers"):
                k_center_greedy(Z, n_select, **options)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"n_select": -1}, ValueError, r"n_select must be from 0 to 5.*Got -1"),
        ({"n_select": 6}, ValueError, r"n_select must be from 0 to 5.*Got 6"),
        ({"n_select": 4, "selected": [0, 1]}, ValueError, r"from 0 to 3.*Got 4"),
        ({"n_select": 2.0}, TypeError, r"n_select must be an integer. Got float"),
        ({"n_select": True}, TypeError, r"n_select must be an integer. Got bool"),
        ({"selected": [5]}, ValueError, r"selected must be positions from 0 to 4"),
        ({"selected": [1, -2]}, ValueError, r"positions from 0 to 4. Got -2"),
        ({"selected": [1, 1]}, ValueError, r"selected must be distinct"),
        ({"selected": [[1]]}, ValueError, r"selected must be one-dimensional"),
        ({"selected": [True] * 5}, TypeError, r"not a mask or labels. Got dtype bool"),
        ({"selected": [1.0]}, TypeError, r"selected must be positions"),
        ({"distances": [1.0] * 4}, ValueError, r"one value a row of Z, 5. Got 4"),
        ({"distances": [1, 1, 1, 1, -1]}, ValueError, r"distances must be >= 0.*-1.0"),
        ({"distances": [1, 1, 1, np.nan, 1]}, ValueError, r"distances must.*nan"),
        ({"distances": [[1.0]] * 5}, ValueError, r"distances must have 1 dim"),
        ({"distances": ["a"] * 5}, TypeError, r"distances must be a dense array"),
        ({"random_state": "a"}, ValueError, r"cannot be used to seed"),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        k_center_greedy(np.eye(5), **({"n_select": 1} | options))
