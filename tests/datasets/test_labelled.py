"""Rows and labels of the generators: one clear error for what does not fit."""

import numpy as np
import pytest

from sklvyso.datasets import (
    make_class_difficulty_blobs,
    make_long_tailed,
    make_permuted_tasks,
    make_rotated_tasks,
    make_split_tasks,
    make_spurious_groups,
)

IMAGES = np.zeros((6, 8, 8), np.uint8)
Y = np.arange(6) % 2


@pytest.mark.parametrize(
    "make",
    [
        make_long_tailed,
        make_permuted_tasks,
        make_rotated_tasks,
        make_split_tasks,
        make_spurious_groups,
    ],
)
@pytest.mark.parametrize(
    "X, y, message",
    [
        (IMAGES, Y[:5], "inconsistent"),
        (IMAGES, np.c_[Y, Y], "1d array"),
        (IMAGES, np.where(Y == 0, np.nan, 1.0), "missing"),
        (IMAGES[:0], Y[:0], "at least one row"),
    ],
)
def test_bad_labels_are_named(make, X, y, message):
    with pytest.raises(ValueError, match=message):
        make(X, y)


@pytest.mark.parametrize("cue", ["color", "patch"])
@pytest.mark.parametrize("dtype", [bool, np.int64])
def test_spurious_groups_want_pixels(cue, dtype):
    with pytest.raises(ValueError, match="images must be uint8, or floats"):
        make_spurious_groups(IMAGES.astype(dtype), Y, cue=cue)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"sigmas": (1.0, np.inf)}, "sigmas must hold finite numbers"),
        ({"sigmas": "ab"}, "sigmas"),
        ({"centers": [0.0, np.nan]}, "centers must hold finite numbers"),
        ({"weights": ["a", 1]}, "weights must hold finite numbers"),
        ({"n_samples": [0, 0]}, "n_samples must be"),
    ],
)
def test_blobs_want_finite_numbers(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_class_difficulty_blobs(**options)
