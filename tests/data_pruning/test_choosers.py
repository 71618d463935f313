"""Which rows are taken: ends and middle of scores, coverage, centres, global rules."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklvyso.data_pruning import coverage_selection
from sklvyso.data_pruning._choosers import (
    CenterChooser,
    CoverageChooser,
    RandomChooser,
    ScoreChooser,
)
from sklvyso.data_pruning._rules import (
    choose_rows,
    global_selection,
    normalized_by_class,
    normalized_quotas,
    rows_by_class,
)
from sklvyso.selection import k_center_greedy

SCORERS = Path(__file__).parents[1] / "data" / "drop_scorers.npz"
few_scores = st.lists(st.integers(-3, 3), min_size=1, max_size=25)


@given(few_scores, st.data())
def test_ends_of_the_scores_equal_a_stable_sort(values, data):
    scores = np.array(values, dtype=float)
    n_take = data.draw(st.integers(0, len(scores)))
    rows = np.arange(len(scores)) * 2 + 1  # positions among other rows
    all_scores = np.zeros(rows.max() + 1)
    all_scores[rows] = scores
    order = np.argsort(scores, kind="stable")

    def taken(keep):
        return set(ScoreChooser(all_scores, keep).choose(rows, n_take).tolist())

    assert taken("hardest") == set(rows[order[len(rows) - n_take :]].tolist())
    assert taken("easiest") == set(rows[order[:n_take]].tolist())
    first = (len(rows) - n_take) // 2
    assert taken("middle") == set(rows[order[first : first + n_take]].tolist())


def test_ties_go_to_the_later_row_as_in_the_reference():
    with np.load(SCORERS) as stored:
        scores = stored["el2n_oracle"].round(1)
        chooser = ScoreChooser(scores, "hardest")
        for n_take in (1, 7, 15):
            expected = stored[f"select_top{n_take}_of_rounded_el2n"]
            chosen = chooser.choose(np.arange(30), n_take)
            np.testing.assert_array_equal(np.sort(chosen), np.sort(expected))
        # The reference keeps all for a quota of 0; that is its defect.
        assert len(chooser.choose(np.arange(30), 0)) == 0


@pytest.mark.parametrize("keep", ["hardest", "easiest", "middle"])
def test_more_rows_hold_the_fewer(keep):
    rng = np.random.RandomState(0)
    chooser = ScoreChooser(rng.randint(0, 9, 50).astype(float), keep)
    chosen = [set(chooser.choose(np.arange(50), n).tolist()) for n in range(51)]
    assert all(a < b for a, b in pairwise(chosen))


def test_random_order_depends_on_seed_and_set():
    rows = np.arange(40)
    one = RandomChooser(3)
    assert set(one.choose(rows, 5)) < set(one.choose(rows, 9))
    assert set(one.choose(rows, 9)) != set(RandomChooser(4).choose(rows, 9))


def slow_coverage(scores, n_select, cutoff, n_strata):
    """Sizes taken of each stratum, by the letter of the paper's Algorithm 1."""
    n_hard = min(int(cutoff * len(scores)), len(scores) - n_select)
    order = sorted(range(len(scores)), key=lambda i: (scores[i], i))
    left = order[: len(scores) - n_hard]
    low, high = min(scores[i] for i in left), max(scores[i] for i in left)
    strata = [[] for _ in range(n_strata)]
    for i in left:
        place = 0 if high == low else (scores[i] - low) / (high - low) * n_strata
        strata[min(int(place), n_strata - 1)].append(i)
    strata = sorted((s for s in strata if s), key=len)
    sizes, rest = [], n_select
    for j, stratum in enumerate(strata):
        take = min(len(stratum), rest // (len(strata) - j))
        sizes.append((frozenset(stratum), take))
        rest -= take
    assert rest == 0
    return sizes


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 64), min_size=1, max_size=60),
    st.floats(0, 0.6),
    st.sampled_from([1, 2, 4, 8]),  # widths that floats divide exactly
    st.data(),
)
def test_coverage_takes_evenly_from_the_strata(values, cutoff, n_strata, data):
    scores = np.array(values, dtype=float)
    n_select = data.draw(st.integers(1, len(scores)))
    chosen = coverage_selection(
        scores, n_select, cutoff=cutoff, n_strata=n_strata, random_state=0
    )
    assert len(chosen) == len(set(chosen.tolist())) == n_select
    assert (np.diff(chosen) > 0).all()
    expected = slow_coverage(values, n_select, cutoff, n_strata)
    counts = sorted(len(stratum & set(chosen.tolist())) for stratum, _ in expected)
    assert counts == sorted(take for _, take in expected)


def test_coverage_drops_the_hardest_unless_they_are_needed():
    scores = np.r_[np.arange(90.0), np.full(10, 1e6)]
    chosen = coverage_selection(scores, 50, cutoff=0.1, random_state=0)
    assert chosen.max() < 90
    assert len(coverage_selection(scores, 95, cutoff=0.1, random_state=0)) == 95
    huge = np.array([-1.7e308, 0.0, 1.7e308, 1.0])
    assert len(coverage_selection(huge, 2, cutoff=0, n_strata=2)) == 2


def test_coverage_of_few_rows_is_spread_over_the_range():
    """The reference keeps the hardest block here: its strata give none but the last."""
    scores = np.arange(1000.0)
    ranks = [
        coverage_selection(scores, 20, random_state=seed).mean() / 1000
        for seed in range(30)
    ]
    # Even below the cutoff of a tenth: .45, with a standard error of .01.
    assert abs(np.mean(ranks) - 0.45) < 0.05
    chosen = {
        tuple(coverage_selection(scores[:30], 3, random_state=seed))
        for seed in range(6)
    }
    assert len(chosen) > 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_select": 11}, r"n_select must be an integer from 0 to 10.*Got 11"),
        ({"n_select": 2.0}, "n_select must be an integer"),
        ({"cutoff": 1.0}, r"cutoff must lie in \[0, 1\)"),
        ({"n_strata": 0}, "n_strata must be an integer >= 1"),
        ({"scores": [[1.0, 2.0]]}, r"one number a row. Got shape \(1, 2\)"),
        ({"scores": [np.nan] * 10}, "scores must be finite. Got 10 of 10"),
        ({"scores": ["a"] * 10}, "scores must be numbers"),
    ],
)
def test_bad_coverage_arguments_are_named(options, message):
    arguments = {"scores": np.arange(10.0), "n_select": 3} | options
    with pytest.raises(ValueError, match=message):
        coverage_selection(**arguments)


def test_centers_are_those_of_each_class_and_carry_on():
    rng = np.random.RandomState(0)
    Z = rng.randn(60, 3).astype(np.float32)
    codes = rng.randint(0, 3, 60)
    chooser = CenterChooser(Z)
    for quotas in ([2, 3, 4], [5, 3, 9]):  # the second carries on
        kept = choose_rows(codes, np.array(quotas), chooser)
        for code, quota in enumerate(quotas):
            rows = np.flatnonzero(codes == code)
            order, _ = k_center_greedy(Z[rows], quota)
            expected = np.sort(rows[order])
            np.testing.assert_array_equal(kept[codes[kept] == code], expected)


def test_centers_equal_the_reference_on_all_rows():
    with np.load(SCORERS) as stored:
        chosen = CenterChooser(stored["embeddings"]).choose(np.arange(30), 9)
        np.testing.assert_array_equal(
            np.sort(chosen), np.flatnonzero(stored["coreset_dp_n9"])
        )


# -- rules among all rows -------------------------------------------------------------


def test_rows_by_class_are_a_partition():
    codes = np.array([2, 0, 2, 4, 0], dtype=np.int32)
    parts = rows_by_class(codes, 5)
    assert [part.tolist() for part in parts] == [[1, 4], [], [0, 2], [], [3]]


@given(st.integers(0, 10_000), st.integers(0, 4))
def test_global_selection_is_the_top_unless_a_class_falls_short(seed, least):
    rng = np.random.RandomState(seed)
    codes = np.r_[0, 1, 2, rng.randint(0, 3, 20)]
    counts = np.bincount(codes, minlength=3)
    scores = rng.randint(0, 6, 23).astype(float) + 3 * (codes == 1)
    needed = int(np.minimum(least, counts).sum())
    n_select = int(rng.randint(max(1, needed), 24))
    rows = global_selection(
        codes, counts, n_select, ScoreChooser(scores, "hardest"), min_per_class=least
    )
    assert len(set(rows.tolist())) == n_select
    kept = np.bincount(codes[rows], minlength=3)
    assert (kept >= np.minimum(least, counts)).all()
    top = np.argsort(scores, kind="stable")[23 - n_select :]
    if (np.bincount(codes[top], minlength=3) >= np.minimum(least, counts)).all():
        np.testing.assert_array_equal(rows, np.sort(top))


def test_normalized_quotas_equal_the_reference():
    with np.load(SCORERS) as stored:
        scores, y = stored["el2n_oracle"].astype(float), stored["y"]
        quotas = normalized_quotas(
            scores, y, np.bincount(y), 12, "hardest", min_per_class=0
        )
        # The reference stores fractions of the twelve rows.
        expected = np.round(stored["normalize_quota_el2n_n12"] * 12)
        np.testing.assert_array_equal(quotas, expected)


def test_normalized_scores_span_each_class():
    scores = np.array([1.0, 3.0, 2.0, -5.0, 7.0, 7.0])
    codes = np.array([0, 0, 0, 1, 1, 2])
    np.testing.assert_allclose(normalized_by_class(scores, codes), [0, 1, 0.5, 0, 1, 0])


def test_coverage_chooser_works_inside_classes():
    rng = np.random.RandomState(0)
    codes = rng.randint(0, 3, 90)
    scores = rng.rand(90)
    kept = choose_rows(codes, np.array([5, 0, 9]), CoverageChooser(scores, 0.1, 5, 0))
    np.testing.assert_array_equal(np.bincount(codes[kept], minlength=3), [5, 0, 9])
