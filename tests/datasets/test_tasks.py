"""Task sets: permuted, rotated, split."""

import numpy as np
import pytest
import scipy.ndimage
from sklearn.datasets import load_digits

from sklvyso.datasets import (
    make_permuted_tasks,
    make_rotated_tasks,
    make_split_tasks,
)


@pytest.fixture(scope="module")
def digits():
    bunch = load_digits()
    return bunch.images.astype(np.uint8)[:200], bunch.target[:200]


@pytest.fixture(scope="module")
def colors():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (30, 4, 5, 3)).astype(np.uint8)
    return images, generator.integers(0, 3, 30)


# Permuted tasks


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("ndim", [2, 3, 4])
def test_inverse_permutation_restores_the_images(digits, colors, ndim, per_channel):
    images, y = colors if ndim == 4 else digits
    X = images.reshape(len(images), -1) if ndim == 2 else images
    tasks = make_permuted_tasks(X, y, 3, per_channel=per_channel, random_state=0)
    assert tasks.data.dtype == np.uint8
    assert tasks.data.shape == (3 * len(X), *X.shape[1:])
    for t in range(3):
        part = tasks.data[tasks.task == t]
        flat = part.reshape(len(X), tasks.params.shape[1], -1)
        restored = flat[:, np.argsort(tasks.params[t])].reshape(X.shape)
        np.testing.assert_array_equal(restored, X)
        np.testing.assert_array_equal(tasks.target[tasks.task == t], y)


def test_flat_rows_follow_the_formula(digits):
    X, y = digits[0].reshape(200, -1), digits[1]
    tasks = make_permuted_tasks(X, y, 2, random_state=0)
    np.testing.assert_array_equal(tasks.data[:200], X)
    np.testing.assert_array_equal(tasks.data[200:], X[:, tasks.params[1]])
    np.testing.assert_array_equal(np.sort(tasks.data[200:], axis=1), np.sort(X, axis=1))


def test_first_task_may_be_permuted_too(digits):
    tasks = make_permuted_tasks(*digits, 2, first_identity=False, random_state=0)
    assert not np.array_equal(tasks.params[0], np.arange(64))


def test_channels_move_together_unless_told(colors):
    images, y = colors
    together = make_permuted_tasks(images, y, 2, random_state=0).data[30:]
    pixels = {tuple(p) for p in images[0].reshape(-1, 3)}
    assert {tuple(p) for p in together[0].reshape(-1, 3)} == pixels
    alone = make_permuted_tasks(images, y, 2, per_channel=True, random_state=0).data[
        30:
    ]
    assert {tuple(p) for p in alone[0].reshape(-1, 3)} != pixels
    np.testing.assert_array_equal(
        np.sort(alone.reshape(30, -1, 3), axis=1),
        np.sort(images.reshape(30, -1, 3), axis=1),
    )


@pytest.mark.parametrize("per_channel", [False, True])
def test_test_rows_share_the_permutations_of_training_rows(colors, per_channel):
    images, y = colors
    whole = make_permuted_tasks(images, y, 3, per_channel=per_channel, random_state=0)
    test = make_permuted_tasks(images[20:], y[20:], permutations=whole.params)
    assert test.n_tasks == 3
    for t in range(3):
        np.testing.assert_array_equal(
            test.data[test.task == t], whole.data[whole.task == t][20:]
        )


def test_more_tasks_begin_with_the_same_ones(digits):
    few = make_permuted_tasks(*digits, 2, random_state=5)
    many = make_permuted_tasks(*digits, 4, random_state=5)
    np.testing.assert_array_equal(few.params, many.params[:2])
    other = make_permuted_tasks(*digits, 2, random_state=6)
    assert not np.array_equal(few.params, other.params)


@pytest.mark.parametrize("make", [make_permuted_tasks, make_rotated_tasks])
def test_partition_is_disjoint_stratified_and_in_order(digits, make):
    y = digits[1]
    tagged = np.repeat(np.arange(200), 64).reshape(200, 8, 8)
    options = (
        {"random_state": 0} if make is make_permuted_tasks else {"angles": [0] * 3}
    )
    tasks = make(tagged, y, 3, sampling="partition", **options)
    rows = [tasks.data[tasks.task == t, 0, 0] for t in range(3)]
    assert all(np.all(np.diff(r) > 0) for r in rows)
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(200))
    np.testing.assert_array_equal(tasks.target, y[np.concatenate(rows)])
    counts = np.array([np.bincount(y[r], minlength=10) for r in rows])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1
    with pytest.raises(ValueError, match="at most the number of rows, 2, with"):
        make(tagged[:2], y[:2], 3, sampling="partition", **options)


@pytest.mark.parametrize(
    ("permutations", "text"),
    [
        ([[0, 1]], r"must have shape \(n_tasks, 64\). Got \(1, 2\) instead"),
        (np.zeros((2, 64), int), "must hold each position once a task"),
        (np.empty((0, 64), int), r"Got \(0, 64\) instead"),
    ],
)
def test_permutations_must_be_permutations(digits, permutations, text):
    with pytest.raises(ValueError, match=text):
        make_permuted_tasks(*digits, permutations=permutations)


def test_permuted_images_need_rows():
    with pytest.raises(ValueError, match=r"X must have rows .* Got shape \(0, 4\)"):
        make_permuted_tasks(np.empty((0, 4)), [])


# Rotated tasks


def test_quarter_turns_are_exact_and_counter_clockwise(digits, colors):
    for images, y in (digits, (colors[0][:, :, :4], colors[1])):
        tasks = make_rotated_tasks(images, y, 4)
        for t in range(4):
            np.testing.assert_array_equal(
                tasks.data[tasks.task == t], np.rot90(images, t, axes=(1, 2))
            )


def test_four_rotations_by_a_quarter_restore_the_images(digits):
    images, y = digits
    turned = images
    for _ in range(4):
        turned = make_rotated_tasks(turned, y, angles=[90]).data
    np.testing.assert_array_equal(turned, images)


def test_half_turns_of_oblong_images_are_exact(colors):
    images, y = colors
    tasks = make_rotated_tasks(images, y, angles=[0, 180, -360])
    np.testing.assert_array_equal(tasks.data[:30], images)
    np.testing.assert_array_equal(tasks.data[30:60], images[:, ::-1, ::-1])
    np.testing.assert_array_equal(tasks.data[60:], images)


def test_other_angles_turn_the_same_way_as_quarters():
    images = np.zeros((1, 9, 9))
    images[0, 4, 7] = 1  # right of the centre
    near = make_rotated_tasks(images, [0], angles=[80, 90, 100]).data
    for turned in near:
        assert turned[1].sum() > 0.2  # above the centre


def test_interpolated_images_keep_their_type(digits):
    images, y = digits
    for dtype in (np.uint8, np.int32, np.float32, np.float64):
        tasks = make_rotated_tasks(images.astype(dtype), y, angles=[30])
        assert tasks.data.dtype == dtype
        exact = scipy.ndimage.rotate(
            images.astype(float), 30, axes=(1, 2), reshape=False, order=1
        )
        tolerance = 0.5001 if np.issubdtype(dtype, np.integer) else 1e-4
        np.testing.assert_allclose(tasks.data, exact, rtol=0, atol=tolerance)


def test_default_angles_divide_the_circle(digits):
    tasks = make_rotated_tasks(*digits, 3)
    np.testing.assert_allclose(tasks.params, [0, 120, 240])
    assert tasks.task_names[1] == "rotation by 120 degrees"


def test_tasks_can_be_a_list(digits):
    bunch = make_rotated_tasks(*digits, 2)
    parts = make_rotated_tasks(*digits, 2, return_tasks=True)
    assert len(parts) == 2
    for t, (X, y) in enumerate(parts):
        np.testing.assert_array_equal(X, bunch.data[bunch.task == t])
        np.testing.assert_array_equal(y, bunch.target[bunch.task == t])


@pytest.mark.parametrize(
    ("images", "options", "text"),
    [
        (np.zeros((2, 4)), {}, "images must have 3 or 4 dimensions. Got 2"),
        (np.zeros((2, 4, 4)), {"angles": [np.nan]}, "angles must be finite numbers"),
        (np.zeros((2, 4, 4)), {"angles": []}, "angles must be finite numbers"),
        (np.zeros((2, 4, 4)), {"sampling": "half"}, "'sampling' parameter of"),
    ],
)
def test_bad_rotations_are_named(images, options, text):
    with pytest.raises(ValueError, match=text):
        make_rotated_tasks(images, [0, 1], **options)


# Split tasks


@pytest.mark.parametrize("options", [{"n_tasks": 5}, {"classes_per_task": 2}])
def test_split_tasks_partition_classes_and_rows(digits, options):
    images, y = digits
    tasks = make_split_tasks(images, y, **options)
    assert tasks.n_tasks == 5
    assert [group.tolist() for group in tasks.params] == [
        [0, 1],
        [2, 3],
        [4, 5],
        [6, 7],
        [8, 9],
    ]
    rows = np.concatenate([np.flatnonzero(y // 2 == t) for t in range(5)])
    np.testing.assert_array_equal(tasks.data, images[rows])
    np.testing.assert_array_equal(tasks.target, y[rows])
    np.testing.assert_array_equal(tasks.task, y[rows] // 2)
    assert tasks.task_names[1] == "classes 2, 3"


def test_relabelled_classes_are_places_in_the_class_list(digits):
    images, y = digits
    order = [9, 3, 0, 1, 2, 8, 7, 6, 5, 4]
    tasks = make_split_tasks(
        images, y, n_tasks=2, class_order=order, relabel=True, return_tasks=True
    )
    plain = make_split_tasks(images, y, n_tasks=2, class_order=order, return_tasks=True)
    for t in range(2):
        group = order[5 * t : 5 * t + 5]
        np.testing.assert_array_equal(
            tasks[t][1], [group.index(label) for label in plain[t][1]]
        )
        np.testing.assert_array_equal(tasks[t][0], plain[t][0])


def test_string_labels_split_too():
    y = np.array(["b", "a", "d", "c", "a"])
    tasks = make_split_tasks(np.arange(5), y, n_tasks=2)
    assert tasks.target.tolist() == ["b", "a", "a", "d", "c"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "Exactly one of n_tasks and classes_per_task .* Got None and None"),
        ({"n_tasks": 2, "classes_per_task": 5}, "Got 2 and 5 instead"),
        ({"n_tasks": 3}, "n_tasks must divide the number of classes, 10. Got 3"),
        ({"classes_per_task": 4}, "classes_per_task must divide .* Got 4"),
        ({"n_tasks": 2, "class_order": [0, 1]}, "class_order must name each of"),
        ({"n_tasks": 2, "class_order": [0] * 10}, "class_order must name each of"),
    ],
)
def test_bad_splits_are_named(digits, options, text):
    with pytest.raises(ValueError, match=text):
        make_split_tasks(*digits, **options)
