"""One row from each cluster: references, distinct rows, sparse input, memory."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix
from sklearn.cluster import KMeans

from sklvyso.selection import (
    _clusters,
    _k_means,
    central_points,
    cluster_margin,
    k_center_greedy,
    top_scores,
    typical_points,
)
from sklvyso.selection._clusters import mean_neighbor_distances
from sklvyso.selection._k_means import k_means

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import selection as reference
from selection_cases import KINDS, rows_of, sparse_rows_of


def scores_of(Z):
    """Scores with ties, the same whatever the container of the rows."""
    return np.random.default_rng(len(np.shape(Z))).integers(0, 9, Z.shape[0])


def by_margin(Z, n_select, **options):
    return cluster_margin(Z, scores_of(Z), n_select, **options)


CHOOSERS = {
    "central_points": central_points,
    "typical_points": typical_points,
    "cluster_margin": by_margin,
    "cluster_margin, prefilter": lambda *args, **options: by_margin(
        *args, prefilter=2.5, **options
    ),
}
choosers = pytest.mark.parametrize("choose", CHOOSERS.values(), ids=CHOOSERS)


@st.composite
def problems(draw):
    n, d = draw(st.integers(1, 40)), draw(st.integers(1, 5))
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    seed = draw(st.integers(0, 10**6))
    Z = rows_of(draw(st.sampled_from(KINDS)), seed, n, d, dtype)
    return Z, draw(st.integers(0, n))


def blobs(n_clusters, n, seed=0):
    """Return rows in clusters far apart, of different sizes, and which one each is."""
    random = np.random.default_rng(seed)
    labels = np.minimum(random.geometric(0.3, n) - 1, n_clusters - 1)
    labels[:n_clusters] = np.arange(n_clusters)
    centres = 100 * random.standard_normal((n_clusters, 8))
    Z = centres[labels] + random.standard_normal((n, 8))
    return Z.astype(np.float32), labels


def largest_first(labels):
    """Return the members of each cluster; no two are of one size."""
    sizes = np.bincount(labels)
    assert len(set(sizes.tolist())) == len(sizes)
    return [np.flatnonzero(labels == label) for label in np.argsort(-sizes)]


@choosers
@settings(deadline=None)
@given(problem=problems(), seed=st.integers(0, 99))
def test_rows_are_distinct_and_as_many_as_asked_for(choose, problem, seed):
    Z, n_select = problem
    indices = choose(Z, n_select, random_state=seed)
    assert type(indices) is np.ndarray and indices.dtype == np.int64
    assert indices.shape == (n_select,)
    assert len(set(indices.tolist())) == n_select
    assert not n_select or 0 <= indices.min() <= indices.max() < len(Z)


@choosers
def test_each_cluster_gives_one_row(choose):
    Z, labels = blobs(7, 400)
    for seed in range(5):
        if choose is CHOOSERS["cluster_margin, prefilter"]:
            continue
        chosen = choose(Z, 7, random_state=seed)
        assert sorted(labels[chosen]) == list(range(7))


def test_central_points_are_nearest_to_the_means_of_clusters_largest_first():
    Z, labels = blobs(6, 300, seed=1)
    expected = []
    for members in largest_first(labels):
        mean = Z[members].astype(np.float64).mean(axis=0)
        gaps = [reference.squared_distance(Z[i], mean) for i in members]
        expected.append(members[np.argmin(gaps)])
    np.testing.assert_array_equal(central_points(Z, 6, random_state=0), expected)


@pytest.mark.parametrize("n_neighbors", [1, 5, 20])
def test_typical_points_have_the_nearest_neighbours_of_their_clusters(n_neighbors):
    Z, labels = blobs(6, 200, seed=2)
    expected = []
    for members in largest_first(labels):
        means = reference.neighbor_distances(Z, members, n_neighbors)
        expected.append(members[np.argmin(means)])
    indices = typical_points(Z, 6, n_neighbors=n_neighbors, random_state=0)
    np.testing.assert_array_equal(indices, expected)


@settings(deadline=None)
@given(problems(), st.integers(1, 30))
def test_neighbor_distances_equal_the_reference(problem, n_neighbors):
    Z, n_members = problem
    members = np.arange(len(Z))[::-1][:n_members]
    if not n_members:
        return
    found = mean_neighbor_distances(Z, members, n_neighbors)
    expected = reference.neighbor_distances(Z, members, n_neighbors)
    # Products lose distances below the root of what float64 loses of the squares.
    scale = np.abs(Z[members].astype(np.float64)).max()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * scale)


def test_typical_rows_lie_where_it_is_dense_not_at_the_mean():
    random = np.random.default_rng(3)
    dense = 0.1 * random.standard_normal((60, 2))
    wide = 5 * random.standard_normal((100, 2)) + [10, 0]
    Z = np.vstack([wide, dense])
    assert typical_points(Z, 1, random_state=0)[0] >= 100
    assert central_points(Z, 1, random_state=0)[0] < 100


@settings(deadline=None)
@given(problems(), st.integers(0, 99), st.sampled_from([None, 1, 1.5, 2, 1e9]))
def test_cluster_margin_takes_the_best_of_each_cluster(problem, seed, prefilter):
    Z, n_select = problem
    scores = np.random.default_rng(seed).integers(0, 6, len(Z)) / 4
    indices = cluster_margin(
        Z, scores, n_select, prefilter=prefilter, random_state=seed
    )
    n_best = len(Z)
    if prefilter is not None:
        n_best = int(min(len(Z), np.ceil(prefilter * n_select)))
    best = np.sort(top_scores(scores, n_best))
    if not 0 < n_select < n_best:
        expected = reference.top(scores, n_select)
    else:
        labels = k_means(Z[best], n_select, np.random.RandomState(seed)).labels
        chosen = reference.best_of_each(labels, scores[best], n_select)
        expected = best[chosen]
    np.testing.assert_array_equal(indices, expected)


def test_prefilter_keeps_low_scores_out():
    Z, labels = blobs(5, 200, seed=4)
    scores = np.where(labels == 4, -1.0, np.linspace(0, 1, 200))
    assert (labels[cluster_margin(Z, scores, 5, random_state=0)] == 4).any()
    taken = cluster_margin(Z, scores, 5, prefilter=4, random_state=0)
    assert set(taken) <= set(reference.top(scores, 20))
    assert 4 not in labels[taken]
    np.testing.assert_array_equal(
        cluster_margin(Z, scores, 5, prefilter=1), reference.top(scores, 5)
    )
    assert set(cluster_margin(Z, scores, 2, prefilter=1.2, random_state=0)) <= set(
        reference.top(scores, 3)
    )


def test_empty_clusters_are_filled():
    # Three rows differ, and five are asked for.
    Z = np.array([[0.0], [0.0], [5.0], [0.0], [9.0], [5.0], [0.0], [9.0]])
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.0, 0.0, 0.9, 0.1])
    # The best of each, 6, 2 and 7, and the next best two.
    found = cluster_margin(Z, scores, 5, random_state=0)
    assert found.tolist() == [6, 3, 2, 1, 7]
    for choose in (central_points, typical_points):
        chosen = choose(Z, 5, random_state=0)
        assert chosen[:3].tolist() == [0, 2, 4]
        more = k_center_greedy(Z, 2, selected=chosen[:3])[0]
        np.testing.assert_array_equal(chosen[3:], more)


@choosers
@pytest.mark.parametrize("n_select", [0, 1, 49, 50])
def test_equal_rows_are_taken_once_each(choose, n_select):
    Z = np.full((50, 3), 0.1, dtype=np.float32)
    chosen = choose(Z, n_select, random_state=0)
    assert len(np.unique(chosen)) == n_select


@choosers
def test_random_state_makes_the_choice(choose):
    Z = rows_of("normal", 5, 300, 4)
    first = choose(Z, 20, random_state=1)
    np.testing.assert_array_equal(choose(Z, 20, random_state=1), first)
    generator = np.random.RandomState(1)
    np.testing.assert_array_equal(choose(Z, 20, random_state=generator), first)
    assert (choose(Z, 20, random_state=generator) != first).any()
    assert len({tuple(choose(Z, 20).tolist()) for _ in range(3)}) > 1


@choosers
def test_global_random_numbers_are_left_alone(choose):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    position = np.random.get_state()[2]  # noqa: NPY002
    for random_state in (0, None):
        choose(rows_of("normal", 6, 60, 3), 4, random_state=random_state)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert np.random.get_state()[2] == position  # noqa: NPY002


@choosers
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float16, ">f4", object])
def test_dtypes_give_the_choice_of_float64(choose, dtype):
    numbers = np.random.default_rng(7).integers(0, 100, size=(200, 7))
    expected = choose(numbers.astype(np.float64), 30, random_state=0)
    found = choose(numbers.astype(dtype), 30, random_state=0)
    np.testing.assert_array_equal(found, expected)


@choosers
def test_layout_and_container_do_not_matter(choose, tmp_path):
    Z = rows_of("normal", 8, 400, 10, np.float32)
    expected = choose(Z, 40, random_state=0)
    locked = Z.copy()
    locked.flags.writeable = False
    padded = np.zeros((800, 20), dtype=np.float32)
    padded[::2, ::2] = Z
    np.save(tmp_path / "Z.npy", Z)
    mapped = np.load(tmp_path / "Z.npy", mmap_mode="r")
    named = pd.DataFrame(Z, index=np.arange(400)[::-1])
    for same in (locked, np.asfortranarray(Z), padded[::2, ::2], mapped, named):
        found = choose(same, 40, random_state=0)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(locked, Z)


@choosers
@pytest.mark.parametrize("sparse", [csr_array, csr_matrix, csc_array, coo_array])
def test_sparse_rows_give_the_choice_of_dense_ones(choose, sparse):
    Z = sparse_rows_of(9, 300, 30)
    np.testing.assert_array_equal(
        choose(sparse(Z), 40, random_state=0), choose(Z, 40, random_state=0)
    )


def test_equal_sparse_rows_are_filled_up():
    Z = np.repeat(sparse_rows_of(10, 3, 6), 4, axis=0)
    for choose in CHOOSERS.values():
        assert len(np.unique(choose(csr_array(Z), 7, random_state=0))) == 7


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6])
def test_offset_leaves_clusters_apart(offset):
    Z, labels = blobs(7, 400, seed=5)
    chosen = central_points(Z.astype(np.float64) + offset, 7, random_state=0)
    assert sorted(labels[chosen]) == list(range(7))


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10, 1e25])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_does_not_matter(scale, dtype):
    Z, labels = blobs(7, 300, seed=6)
    chosen = typical_points((Z * dtype(scale)).astype(dtype), 7, random_state=0)
    assert sorted(labels[chosen]) == list(range(7))


@choosers
def test_large_pools_are_clustered_from_a_sample(choose, monkeypatch):
    monkeypatch.setattr(_k_means, "SAMPLE_SIZE", 500)
    fitted = []
    plain = _k_means._fit

    def recorded(sample, n_centres, random):
        fitted.append(len(sample))
        return plain(sample, n_centres, random)

    monkeypatch.setattr(_k_means, "_fit", recorded)
    Z, labels = blobs(7, 5000, seed=7)
    chosen = choose(Z, 7, random_state=0)
    assert len(np.unique(chosen)) == 7
    if choose is CHOOSERS["cluster_margin, prefilter"]:
        assert fitted == [18]  # 2.5 times 7, rounded up
    else:
        assert fitted == [500]
        assert sorted(labels[chosen]) == list(range(7))


def test_large_clusters_are_compared_within_a_sample(monkeypatch):
    monkeypatch.setattr(_clusters, "LARGEST_REGION", 30)
    sizes = []

    def recorded(rows, members, n_neighbors):
        sizes.append(len(members))
        return mean_neighbor_distances(rows, members, n_neighbors)

    monkeypatch.setattr(_clusters, "mean_neighbor_distances", recorded)
    Z, labels = blobs(4, 500, seed=8)
    chosen = typical_points(Z, 4, random_state=0)
    assert sorted(labels[chosen]) == list(range(4))
    assert len(sizes) == 4 and max(sizes) == 30


def test_the_farthest_rows_begin_clusters_anew():
    labels, gaps = np.array([0, 0, 0, 2, 0]), np.array([0.0, 4.0, 9.0, 0.0, 1.0])
    found = _k_means._fill_empty(_k_means.Regions(labels, gaps), 4)
    assert found.tolist() == [0, 3, 1, 2, 0]
    still = _k_means._fill_empty(_k_means.Regions(labels, 0 * gaps), 4)
    assert still.tolist() == labels.tolist()


def test_k_means_comes_near_the_clusters_of_scikit_learn():
    Z = rows_of("normal", 11, 2000, 5)
    peer = KMeans(20, n_init=1, random_state=0).fit(Z).inertia_
    ours = k_means(Z, 20, np.random.RandomState(0)).distances.sum()
    assert ours < 1.05 * peer
    far_from_it = ((Z - Z.mean(axis=0)) ** 2).sum()
    assert peer < 0.6 * far_from_it


@choosers
def test_memory_stays_small_for_a_memory_map(choose, tmp_path):
    shape = 120_000, 96  # 46 MB
    Z = np.lib.format.open_memmap(tmp_path / "Z.npy", "w+", np.float32, shape)
    Z[:] = rows_of("clusters", 12, *shape, np.float32)
    mapped = np.load(tmp_path / "Z.npy", mmap_mode="r")
    tracemalloc.start()
    choose(mapped, 20, random_state=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30e6  # a sample, members of a cluster, their distances


@choosers
@pytest.mark.parametrize("n_select", [0, 1, 3])
@pytest.mark.parametrize(
    "Z, error, message",
    [
        ([1.0, 2.0, 1.0], ValueError, r"Z must have 2 dimensions"),
        (np.empty((3, 0)), ValueError, r"Z must have at least one column"),
        ([[1.0], [np.nan], [2.0]], ValueError, r"Z must hold finite numbers"),
        ([[1.0], [-np.inf], [2.0]], ValueError, r"Z must hold finite numbers"),
        ([[1.0], [1e200], [2.0]], ValueError, r"squared norms in the range"),
        ([["a"]] * 3, TypeError, r"Z must be a dense array of real numbers"),
        (csr_array(np.eye(3) * 1j), TypeError, r"Z must hold real numbers"),
    ],
)
def test_bad_rows_are_named(choose, Z, error, message, n_select):
    Z = Z if isinstance(Z, csr_array) else np.array(Z)
    with pytest.raises(error, match=message):
        choose(Z, n_select)


@choosers
@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"n_select": 6}, ValueError, r"n_select must be from 0 to 5.*rows. Got 6"),
        ({"n_select": -1}, ValueError, r"n_select must be from 0 to 5.*Got -1"),
        ({"n_select": 2.0}, TypeError, r"n_select must be an integer. Got float"),
        ({"random_state": "a"}, ValueError, r"cannot be used to seed"),
    ],
)
def test_bad_arguments_are_named(choose, options, error, message):
    with pytest.raises(error, match=message):
        choose(np.eye(5), **({"n_select": 1} | options))


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"scores": [1.0] * 4}, ValueError, r"one value a row of Z, 5. Got 4"),
        ({"scores": [1, 1, np.nan, 1, 1]}, ValueError, r"Got NaN at position 2"),
        ({"scores": [[1.0]] * 5}, ValueError, r"scores must have 1 dimensions"),
        ({"scores": ["a"] * 5}, TypeError, r"scores must be a dense array"),
        ({"prefilter": 0.5}, ValueError, r"prefilter must be at least 1.*Got 0.5"),
        ({"prefilter": np.nan}, ValueError, r"prefilter must be at least 1.*nan"),
        ({"prefilter": True}, TypeError, r"prefilter must be a number.*Got bool"),
        ({"prefilter": "2"}, TypeError, r"prefilter must be a number.*Got str"),
    ],
)
def test_bad_arguments_of_cluster_margin_are_named(options, error, message):
    with pytest.raises(error, match=message):
        cluster_margin(np.eye(5), **({"scores": [1.0] * 5, "n_select": 2} | options))


@pytest.mark.parametrize(
    "n_neighbors, error, message",
    [
        (0, ValueError, r"n_neighbors must be at least 1. Got 0"),
        (2.0, TypeError, r"n_neighbors must be an integer. Got float"),
        (True, TypeError, r"n_neighbors must be an integer. Got bool"),
    ],
)
def test_bad_counts_of_neighbors_are_named(n_neighbors, error, message):
    with pytest.raises(error, match=message):
        typical_points(np.eye(5), 2, n_neighbors=n_neighbors)
