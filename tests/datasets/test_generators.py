"""Blobs of unequal spread, long tails, spurious groups."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import norm

from sklvyso.datasets import (
    make_class_difficulty_blobs,
    make_long_tailed,
    make_spurious_groups,
)
from sklvyso.datasets._long_tail import tail_sizes

# Blobs


@pytest.mark.parametrize("seed", range(3))
def test_risks_at_the_worst_class_optimum_follow_the_formula(seed):
    n, (s0, s1) = 20_000, (0.5, 1.0)
    X, y, centers = make_class_difficulty_blobs(
        [n, n], sigmas=(s0, s1), random_state=seed, return_centers=True
    )
    m0, m1 = centers.ravel()
    threshold = (m0 * s1 + m1 * s0) / (s0 + s1)
    risk = norm.cdf(-(m1 - m0) / (s0 + s1))
    error = 4 * np.sqrt(risk * (1 - risk) / n)
    predicted = X[:, 0] > threshold
    assert np.mean(predicted[y == 0]) == pytest.approx(risk, abs=error)
    assert np.mean(~predicted[y == 1]) == pytest.approx(risk, abs=error)


@pytest.mark.parametrize(
    ("n_samples", "weights", "counts"),
    [
        (10, None, [4, 3, 3]),
        (11, None, [4, 4, 3]),
        (10, (0.5, 0.25, 0.25), [5, 3, 2]),
        (7, (0, 1, 6), [0, 1, 6]),
        ([1, 0, 4], None, [1, 0, 4]),
    ],
)
def test_counts_are_exact(n_samples, weights, counts):
    X, y = make_class_difficulty_blobs(
        n_samples, sigmas=(1, 1, 1), weights=weights, n_features=3
    )
    assert np.bincount(y, minlength=3).tolist() == counts
    assert X.shape == (sum(counts), 3)
    assert y.dtype == np.int64


def test_ties_go_to_the_lower_class():
    # More than 16 classes: short sorts are stable whatever their kind.
    _, y = make_class_difficulty_blobs(25, sigmas=[1] * 50)
    np.testing.assert_array_equal(np.sort(y), np.arange(25))


def test_seed_decides():
    first, again, other = (
        make_class_difficulty_blobs(50, random_state=s)[0] for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_unshuffled_rows_are_sorted_by_class():
    _, y = make_class_difficulty_blobs(9, shuffle=False)
    np.testing.assert_array_equal(y, [0] * 5 + [1] * 4)


@pytest.mark.parametrize(("n_classes", "n_features"), [(3, 2), (4, 3), (5, 9)])
def test_many_classes_sit_on_a_simplex(n_classes, n_features):
    *_, centers = make_class_difficulty_blobs(
        n_features=n_features,
        sigmas=[1] * n_classes,
        separation=3,
        return_centers=True,
    )
    np.testing.assert_allclose(pdist(centers), 3)
    np.testing.assert_allclose(centers.mean(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("n_classes", "n_features", "expected"),
    [(1, 1, [0]), (2, 1, [-1, 1]), (2, 3, [-1, 1]), (4, 2, [-3, -1, 1, 3])],
)
def test_other_centers_lie_on_the_first_axis(n_classes, n_features, expected):
    *_, centers = make_class_difficulty_blobs(
        n_features=n_features, sigmas=[1] * n_classes, return_centers=True
    )
    np.testing.assert_allclose(centers[:, 0], expected)
    np.testing.assert_array_equal(centers[:, 1:], 0)


def test_spread_of_each_class_is_its_sigma():
    X, y, centers = make_class_difficulty_blobs(
        [20_000, 20_000],
        centers=[[5, 0], [0, 5]],
        sigmas=(0.1, 2),
        random_state=0,
        return_centers=True,
    )
    for k, sigma in enumerate((0.1, 2)):
        # Standard error of a standard deviation: sigma / sqrt(2 n).
        tolerance = 4 * sigma / np.sqrt(40_000)
        np.testing.assert_allclose(X[y == k].std(axis=0), sigma, atol=tolerance)
        np.testing.assert_allclose(X[y == k].mean(axis=0), centers[k], atol=0.06)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sigmas": (1, 0)}, "sigmas must be positive numbers"),
        ({"sigmas": ()}, "sigmas must be positive numbers"),
        ({"centers": [[0], [1], [2]]}, "one row for each of the 2 sigmas"),
        ({"weights": (1, -1)}, "weights must be 2 non-negative numbers"),
        ({"weights": (1, 1, 1)}, "weights must be 2 non-negative numbers"),
        ({"n_samples": [1]}, "n_samples must be an int, or 2 non-negative ints"),
        ({"n_samples": [1.5, 2]}, "n_samples must be an int, or 2 non-negative ints"),
        ({"n_samples": [1, 2], "weights": (1, 1)}, "ints without weights"),
        ({"n_samples": 0}, "'n_samples' parameter of"),
    ],
)
def test_bad_blobs_are_named(options, text):
    with pytest.raises(ValueError, match=text):
        make_class_difficulty_blobs(**options)


# Long tails


@pytest.fixture
def balanced():
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 200))
    return np.arange(2000)[:, np.newaxis], y


@pytest.mark.parametrize("factor", [1, 10, 100, 1000])
def test_exponential_counts_follow_the_formula(balanced, factor):
    _, y, indices = make_long_tailed(*balanced, imbalance_factor=factor)
    exact = [200 * factor ** (-i / 9) for i in range(10)]
    expected = [max(1, int(v + 1e-9)) for v in exact]
    np.testing.assert_array_equal(np.bincount(y), expected)
    np.testing.assert_array_equal(y, balanced[1][indices])


def test_counts_are_floors_of_the_exact_value():
    for factor in (2, 3, 5, 7, 10, 27, 50, 64, 100, 125, 216, 343, 1000):
        for n_classes in range(2, 12):
            for n_max in (49, 64, 200, 1000, 5000):
                sizes = tail_sizes(n_max, n_classes, factor, "exp")
                power = n_classes - 1
                for i, m in enumerate(sizes.tolist()):
                    # m = floor(n_max f^(-i / power)), in whole numbers.
                    assert m == 1 or m**power * factor**i <= n_max**power
                    assert (m + 1) ** power * factor**i > n_max**power


def test_step_cuts_the_second_half(balanced):
    _, y, _ = make_long_tailed(*balanced, imbalance_factor=20, kind="step")
    np.testing.assert_array_equal(np.bincount(y), [200] * 5 + [10] * 5)
    odd = balanced[1] < 3
    _, y, _ = make_long_tailed(
        balanced[0][odd], balanced[1][odd], imbalance_factor=20, kind="step"
    )
    np.testing.assert_array_equal(np.bincount(y), [200, 200, 10])


def test_smallest_class_bounds_all(balanced):
    X, y = balanced
    kept = np.flatnonzero((y != 4) | (np.cumsum(y == 4) <= 100))
    _, tail, _ = make_long_tailed(X[kept], y[kept], imbalance_factor=10)
    assert np.bincount(tail)[[0, 9]].tolist() == [100, 10]


def test_first_rows_are_kept_without_a_seed(balanced):
    X, y = balanced
    X_tail, y_tail, indices = make_long_tailed(X, y)
    np.testing.assert_array_equal(X_tail[:, 0], indices)
    assert np.all(np.diff(indices) > 0)
    for k in range(10):
        first = np.flatnonzero(y == k)[: np.sum(y_tail == k)]
        np.testing.assert_array_equal(indices[y_tail == k], first)


def test_seed_chooses_rows_but_not_counts(balanced):
    runs = [make_long_tailed(*balanced, random_state=s) for s in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0][2], runs[1][2])
    assert not np.array_equal(runs[0][2], runs[2][2])
    np.testing.assert_array_equal(np.bincount(runs[0][1]), np.bincount(runs[2][1]))


def test_class_order_names_head_and_tail(balanced):
    X, y = balanced
    names = np.array(list("abcdefghij"))[y]
    _, tail, _ = make_long_tailed(X, names, class_order=list("jihgfedcba"))
    assert (np.sum(tail == "j"), np.sum(tail == "a")) == (200, 2)
    with pytest.raises(ValueError, match="class_order must name each of"):
        make_long_tailed(X, y, class_order=[0, 1])
    with pytest.raises(ValueError, match="'imbalance_factor' parameter of"):
        make_long_tailed(X, y, imbalance_factor=0.5)


def test_one_class_stays_whole():
    assert len(make_long_tailed([1, 2, 3], [5, 5, 5])[1]) == 3


# Spurious groups


@pytest.fixture
def grey():
    images = np.random.default_rng(0).integers(1, 256, (400, 14, 14)).astype(np.uint8)
    return images, np.repeat([0, 1, 2, 3], 100)


@pytest.mark.parametrize("cue", ["color", "patch"])
@pytest.mark.parametrize("correlation", [0, 0.25, 0.955, 1])
def test_share_of_agreeing_cues_is_exact_in_each_class(grey, cue, correlation):
    images, y = grey
    bunch = make_spurious_groups(
        images, y, correlation=correlation, cue=cue, random_state=0
    )
    agrees = [np.sum(bunch.cue[y == k] == k) for k in range(4)]
    assert agrees == [int(correlation * 100 + 0.5)] * 4
    np.testing.assert_array_equal(bunch.group, y * 4 + bunch.cue)
    assert np.shares_memory(bunch.data, bunch.images)
    assert bunch.images.dtype == np.uint8


def test_other_cues_are_uniform():
    y = np.repeat([0, 1], 6000)
    bunch = make_spurious_groups(
        np.ones((12000, 4, 4), np.uint8), y, correlation=0.25, n_cues=4, random_state=0
    )
    counts = np.bincount(bunch.cue[:6000], minlength=4)
    assert counts[0] == 1500
    # Each other cue: binomial(4500, 1/3), four standard deviations.
    np.testing.assert_allclose(counts[1:], 1500, atol=4 * np.sqrt(1000))


@pytest.mark.parametrize("n_cues", [2, 3, 10])
def test_cues_can_be_read_off_the_images(grey, n_cues):
    images, y = grey
    options = {"correlation": 0.5, "n_cues": n_cues, "random_state": 0}
    for cue in ("color", "patch"):
        bunch = make_spurious_groups(images // 2 + 1, y, cue=cue, **options)
        if cue == "color":
            assert bunch.images.shape == (400, 14, 14, 3)
            mark = (
                bunch.images.sum(axis=(1, 2))
                / bunch.images.sum(axis=(1, 2, 3))[:, None]
            )
        else:
            assert bunch.images.shape == images.shape
            mark = (bunch.images == 255).reshape(400, -1)
        means = np.stack([mark[bunch.cue == c].mean(axis=0) for c in range(n_cues)])
        nearest = np.abs(mark[:, None] - means).sum(axis=2).argmin(axis=1)
        np.testing.assert_array_equal(nearest, bunch.cue)


def test_float_and_colour_images_keep_their_type():
    images = np.random.default_rng(0).random((6, 8, 8, 3), dtype=np.float32)
    for cue in ("color", "patch"):
        bunch = make_spurious_groups(images, [0, 1] * 3, cue=cue, random_state=0)
        assert bunch.images.dtype == np.float32
        assert bunch.images.shape == images.shape
        assert bunch.images.max() <= 1
    np.testing.assert_array_equal(bunch.target, [0, 1] * 3)


def test_seed_decides_the_cues(grey):
    runs = [make_spurious_groups(*grey, random_state=s).cue for s in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


@pytest.mark.parametrize(
    ("shape", "options", "text"),
    [
        ((4, 9), {}, r"images must have shape .* Got \(4, 9\) instead"),
        ((4, 9, 9, 4), {}, r"images must have shape .* Got \(4, 9, 9, 4\) instead"),
        ((4, 3, 3), {"cue": "patch", "n_cues": 10}, "n_cues must leave each patch"),
        ((4, 9, 9), {"correlation": 1.1}, "'correlation' parameter of"),
        ((4, 9, 9), {"n_cues": 1}, "'n_cues' parameter of"),
    ],
)
def test_bad_groups_are_named(shape, options, text):
    with pytest.raises(ValueError, match=text):
        make_spurious_groups(np.zeros(shape), [0, 1, 0, 1], **options)
