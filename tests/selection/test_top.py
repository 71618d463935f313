"""Highest scores: the order of a full stable sort, ties, dtypes, errors."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklvyso.selection import top_scores

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import selection as reference

# Few values give many ties.
score_lists = st.lists(st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 0.25, 2.0, np.inf]))


@settings(deadline=None)
@given(score_lists, st.data())
def test_equals_a_stable_sort(scores, data):
    n_select = data.draw(st.integers(0, len(scores)))
    indices = top_scores(scores, n_select)
    assert indices.dtype == np.int64
    assert indices.tolist() == reference.top(scores, n_select)


@settings(deadline=None)
@given(score_lists, st.data(), st.integers(0, 99))
def test_random_ties_are_those_of_shuffled_scores(scores, data, seed):
    n_select = data.draw(st.integers(0, len(scores)))
    order = np.argsort(np.random.RandomState(seed).permutation(len(scores)))
    shuffled = [scores[i] for i in order]
    indices = top_scores(scores, n_select, random_state=seed)
    assert indices.tolist() == order[reference.top(shuffled, n_select)].tolist()


def test_random_ties_are_spread_evenly():
    scores = [1.0, 0.0, 1.0, 1.0, 1.0]
    first = [top_scores(scores, 1, random_state=seed)[0] for seed in range(2000)]
    shares = np.bincount(first, minlength=5) / 2000
    np.testing.assert_allclose(shares, [0.25, 0, 0.25, 0.25, 0.25], atol=0.04)


@settings(deadline=None)
@given(st.permutations(range(12)), st.integers(0, 12))
def test_order_of_rows_does_not_matter_without_ties(order, n_select):
    scores = np.linspace(-1, 1, 12) ** 3
    moved = top_scores(scores[order], n_select)
    np.testing.assert_array_equal(np.array(order)[moved], top_scores(scores, n_select))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.bool_, np.float16, ">f4"])
def test_dtypes_keep_their_order(dtype):
    scores = np.random.default_rng(0).integers(0, 9, 200).astype(dtype)
    assert top_scores(scores, 70).tolist() == reference.top(scores, 70)


def test_large_integers_are_not_rounded():
    scores = np.array([2**60, 2**60 + 1, 2**60 + 2])
    assert top_scores(scores, 3).tolist() == [2, 1, 0]


def test_layout_and_container_do_not_matter():
    scores = np.random.default_rng(1).integers(0, 5, 60).astype(np.float64)
    expected = top_scores(scores, 20)
    padded = np.zeros(120)
    padded[::2] = scores
    locked = scores.copy()
    locked.flags.writeable = False
    series = pd.Series(scores, index=np.arange(60)[::-1])
    for same in (padded[::2], locked, series, scores.tolist()):
        np.testing.assert_array_equal(top_scores(same, np.int32(20)), expected)
    np.testing.assert_array_equal(locked, scores)


def test_global_random_numbers_are_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    top_scores(np.zeros(700), 3, random_state=0)
    top_scores(np.zeros(700), 3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    "scores, n_select, error, message",
    [
        ([1.0], 2, ValueError, r"n_select must be from 0 to 1, the number of scores"),
        ([1.0], -1, ValueError, r"n_select must be from 0 to 1.*Got -1"),
        ([1.0], 1.0, TypeError, r"n_select must be an integer. Got float"),
        ([1.0, np.nan], 1, ValueError, r"scores must.*Got NaN at position 1"),
        ([[1.0]], 1, ValueError, r"scores must have 1 dimensions.*\(1, 1\)"),
        (["a"], 1, TypeError, r"scores must be a dense array of real numbers"),
    ],
)
def test_bad_arguments_are_named(scores, n_select, error, message):
    with pytest.raises(error, match=message):
        top_scores(scores, n_select)
