"""Scores of uncertainty: golden values, the reference, bounds, dtypes, errors."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sklvyso.selection import bald, entropy, least_confidence, margin, variation_ratio

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import selection as reference
from selection_cases import probabilities

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "drop_scorers.npz")
SCORES = {
    "least_confidence": least_confidence,
    "margin": margin,
    "entropy": entropy,
}
score_functions = pytest.mark.parametrize("name", SCORES)


@st.composite
def tables(draw):
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 7))
    sharpness = draw(st.sampled_from([0.0, 0.5, 5.0, 500.0]))
    dtype = draw(st.sampled_from([np.float64, np.float32, np.float16]))
    return probabilities(draw(st.integers(0, 10**6)), shape, dtype, sharpness)


def test_golden_entropy_of_the_pool():
    proba = GOLDEN["proba"][GOLDEN["al_pool_idx"]]
    # The reference implementation works in float32.
    np.testing.assert_allclose(entropy(proba), GOLDEN["al_entropy"], atol=1e-5)


def test_golden_bald():
    samples = GOLDEN["bald_mc_proba"].transpose(1, 0, 2)  # stored rows first
    np.testing.assert_allclose(bald(samples), GOLDEN["bald_scores"], atol=1e-6)
    entropies = np.stack([entropy(sample) for sample in samples], axis=1)
    np.testing.assert_allclose(entropies, GOLDEN["bald_entropies"], atol=1e-6)


@score_functions
@settings(deadline=None)
@given(proba=tables())
def test_scores_equal_the_reference(name, proba):
    scores = SCORES[name](proba)
    assert scores.dtype == np.float64 and scores.shape == (len(proba),)
    expected = np.array(getattr(reference, name)(proba))
    if name != "margin":
        expected = np.maximum(expected, 0)  # half precision may sum to more than 1
    np.testing.assert_allclose(scores, expected, atol=1e-14)


@settings(deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([0.0, 1.0, 5.0, 500.0]),
    st.integers(0, 10**6),
)
def test_bald_equals_the_reference_and_stays_in_bounds(members, n, classes, sharp, s):
    samples = probabilities(s, (members, n, classes), sharpness=sharp)
    scores = bald(samples)
    np.testing.assert_allclose(scores, reference.bald(samples), atol=1e-14)
    assert (scores >= 0).all()
    assert (scores <= np.log(classes) + 1e-12).all()
    if members == 1 or classes == 1 or sharp == 0:
        np.testing.assert_allclose(scores, 0, atol=1e-14)


@settings(deadline=None)
@given(
    st.integers(1, 7),
    st.integers(0, 9),
    st.integers(1, 4),
    st.sampled_from(["int", "str", "object", "bool", "float", "mixed"]),
    st.integers(0, 10**6),
)
def test_variation_ratio_equals_the_reference(members, n, n_labels, kind, seed):
    codes = np.random.default_rng(seed).integers(n_labels, size=(members, n))
    names = {
        "int": np.array([7, -3, 0, 2]),
        "str": np.array(["cat", "a longer name", "", "dog"]),
        "object": np.array(["cat", "dog", "cow", "hen"], dtype=object),
        "bool": np.array([True, False, True, False]),
        "float": np.array([0.5, 1.5, -1.0, 2.0]),
        "mixed": np.array(["cat", 1, None, (2, 3)], dtype=object),
    }[kind]
    votes = names[codes]
    scores = variation_ratio(votes)
    assert scores.dtype == np.float64 and scores.shape == (n,)
    if n:
        np.testing.assert_allclose(
            scores, reference.variation_ratio(votes.tolist()), atol=1e-15
        )


def test_certain_rows_score_lowest_and_uniform_rows_highest():
    proba = np.vstack([np.eye(4), np.full((1, 4), 0.25)])
    np.testing.assert_array_equal(least_confidence(proba), [0, 0, 0, 0, 0.75])
    np.testing.assert_array_equal(margin(proba), [-1, -1, -1, -1, 0])
    np.testing.assert_allclose(entropy(proba), [0, 0, 0, 0, np.log(4)], rtol=1e-15)
    assert not np.signbit(entropy(proba)).any()  # 0, not -0


def test_a_single_class_is_certain():
    proba = np.ones((3, 1))
    np.testing.assert_array_equal(least_confidence(proba), 0)
    np.testing.assert_array_equal(margin(proba), -1)
    np.testing.assert_array_equal(entropy(proba), 0)
    np.testing.assert_array_equal(bald([proba, proba]), 0)


def test_members_who_agree_and_members_who_differ():
    np.testing.assert_array_equal(variation_ratio([[1, 1], [1, 2]]), [0, 0.5])
    np.testing.assert_array_equal(variation_ratio([[1, 1]]), [0, 0])
    certain = np.eye(2)
    np.testing.assert_allclose(bald([certain, certain[::-1]]), np.log(2))


def test_no_rows_give_no_scores():
    for score in SCORES.values():
        assert score(np.empty((0, 3))).shape == (0,)
    assert bald(np.empty((2, 0, 3))).shape == (0,)
    assert variation_ratio(np.empty((2, 0), dtype=int)).shape == (0,)


@score_functions
def test_layout_and_container_do_not_matter(name):
    score = SCORES[name]
    proba = probabilities(0, (50, 6), np.float32)
    expected = score(proba)
    locked = proba.copy()
    locked.flags.writeable = False
    before = locked.copy()
    for same in (locked, np.asfortranarray(proba), proba.tolist(), pd.DataFrame(proba)):
        np.testing.assert_array_equal(score(same), expected)
    np.testing.assert_array_equal(locked, before)
    np.testing.assert_array_equal(score(proba[::-2]), expected[::-2])
    np.testing.assert_allclose(score(proba[:, ::-1]), expected, atol=1e-15)
    np.testing.assert_array_equal(score(np.eye(3, dtype=int)), score(np.eye(3)))
    np.testing.assert_array_equal(score(np.eye(3, dtype=bool)), score(np.eye(3)))
    np.testing.assert_array_equal(score(proba.astype(object)), expected)


@score_functions
def test_many_chunks_equal_one_row_at_a_time(name):
    proba = probabilities(1, (70_000, 5), np.float32)
    scores = SCORES[name](proba)
    some = np.arange(0, len(proba), 997)
    one_by_one = [SCORES[name](proba[i : i + 1])[0] for i in some]
    np.testing.assert_allclose(scores[some], one_by_one, atol=1e-15)


def test_many_chunks_of_samples_and_votes_equal_one_row_at_a_time():
    samples = probabilities(2, (4, 20_000, 5), np.float32)
    votes = samples.argmax(axis=2)
    some = np.arange(0, 20_000, 997)
    np.testing.assert_allclose(
        bald(samples)[some],
        [bald(samples[:, i : i + 1])[0] for i in some],
        atol=1e-15,
    )
    np.testing.assert_array_equal(
        variation_ratio(np.repeat(votes, 3, axis=1))[::3], variation_ratio(votes)
    )


@score_functions
def test_a_large_table_is_not_copied(name):
    proba = probabilities(3, (100_000, 40), np.float32)  # 16 MB, 32 MB in float64
    tracemalloc.start()
    SCORES[name](proba)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6


@score_functions
@pytest.mark.parametrize(
    "proba, error, message",
    [
        ([0.5, 0.5], ValueError, r"proba must have 2 dimensions.*\(2,\)"),
        ([[0.5, np.nan]], ValueError, r"proba must lie in \[0, 1\]. Got nan"),
        ([[0.5, np.inf]], ValueError, r"proba must lie in \[0, 1\]. Got inf"),
        ([[1.5, -0.5]], ValueError, r"proba must lie in \[0, 1\]. Got -0.5"),
        ([[1.5, 0.0]], ValueError, r"proba must lie in \[0, 1\]. Got 1.5"),
        ([[0.5, 0.5], [0.5, 0.4]], ValueError, r"proba must sum to 1.*sum of 0.9"),
        (np.empty((3, 0)), ValueError, r"at least one class.*\(3, 0\)"),
        ([[0.5, 0.5], [1.0]], ValueError, r"rows of equal length. Got a list"),
        ([["a", "b"]], TypeError, r"proba must be a dense array of real numbers"),
        ([[1j, 1.0]], TypeError, r"real numbers. Got a list of dtype complex128"),
        (csr_array(np.eye(2)), TypeError, r"dense array.*Got a csr_array"),
    ],
)
def test_bad_probabilities_are_named(name, proba, error, message):
    with pytest.raises(error, match=message):
        SCORES[name](proba)


@pytest.mark.parametrize(
    "samples, error, message",
    [
        (np.eye(2), ValueError, r"proba_samples must have 3 dimensions"),
        (np.empty((0, 2, 3)), ValueError, r"at least one sample and one class"),
        (np.empty((2, 2, 0)), ValueError, r"at least one sample and one class"),
        ([[[0.5, 0.4]]], ValueError, r"proba_samples must sum to 1.*sum of 0.9"),
        ([[[0.5, np.nan]]], ValueError, r"proba_samples must lie in \[0, 1\]"),
        ([[["a"]]], TypeError, r"proba_samples must be a dense array"),
    ],
)
def test_bad_samples_are_named(samples, error, message):
    with pytest.raises(error, match=message):
        bald(samples)


@pytest.mark.parametrize(
    "votes, message",
    [
        ([1, 2], r"votes must have shape \(n_members, n\).*\(2,\)"),
        (np.empty((0, 3)), r"at least one member"),
        ([[1.0, np.nan]], r"votes must be labels. Got NaN"),
        (np.array([["a", np.nan]], dtype=object), r"votes must be labels. Got NaN"),
        ([["a"], ["a", "b"]], r"votes must be an array, its rows of equal length"),
    ],
)
def test_bad_votes_are_named(votes, message):
    with pytest.raises(ValueError, match=message):
        variation_ratio(votes)
