"""Quotas of DRoP: golden values, the paper's loop, invariants, edge cases."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sklvyso.data_pruning import drop_densities, drop_quotas
from sklvyso.data_pruning._quotas import balanced_quotas, uniform_quotas, water_fill

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from drop_quotas import bisection, paper_loop

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "data" / "drop_quotas.json").read_text()
)["cases"]


@st.composite
def problems(draw, with_zero_errors=False):
    n_classes = draw(st.integers(1, 8))
    counts = draw(st.lists(st.integers(1, 300), min_size=n_classes, max_size=n_classes))
    top = 1.0 if with_zero_errors else 0.99
    recalls = draw(st.lists(st.floats(0, top), min_size=n_classes, max_size=n_classes))
    n_select = draw(st.integers(1, sum(counts)))
    return np.array(recalls), np.array(counts), n_select


def densities(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All recalls are 1")
        return drop_densities(*args, **kwargs)


def quotas(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All recalls are 1")
        return drop_quotas(*args, **kwargs)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['id']}-{c['family']}")
def test_golden_cases(case):
    arguments = case["recalls"], case["class_counts"], case["n_select"]
    counts = np.array(case["class_counts"])
    # The stored sizes are rounded to six decimals.
    np.testing.assert_allclose(
        densities(*arguments) * counts, case["paper_sizes"], atol=1e-6, rtol=0
    )
    np.testing.assert_array_equal(quotas(*arguments), case["expected_int_sizes"])
    if case.get("count_rule_sizes") is not None:
        np.testing.assert_allclose(
            densities(*arguments, allocation="count") * counts,
            case["count_rule_sizes"],
            atol=1e-6,
            rtol=0,
        )


@settings(deadline=None)
@given(problems())
def test_density_rule_equals_the_papers_loop_and_bisection(problem):
    recalls, counts, n_select = problem
    direct = drop_densities(recalls, counts, n_select) * counts
    loop = paper_loop(recalls.tolist(), counts.tolist(), n_select)
    np.testing.assert_allclose(direct, loop, atol=1e-9 * counts.sum(), rtol=0)
    weights = counts * (1 - recalls)
    halved = bisection(weights, np.zeros(len(counts)), counts, n_select)
    np.testing.assert_allclose(direct, halved, atol=1e-9 * counts.sum(), rtol=0)


@settings(deadline=None)
@given(problems(), st.integers(0, 5))
def test_water_filling_with_lower_bounds_equals_bisection(problem, least):
    recalls, counts, n_select = problem
    lower = np.minimum(least, counts).astype(float)
    total = max(n_select, lower.sum())
    weights = counts * (1 - recalls)
    np.testing.assert_allclose(
        water_fill(weights, lower, counts.astype(float), total),
        bisection(weights, lower, counts, total),
        atol=1e-9 * counts.sum(),
        rtol=0,
    )


@settings(deadline=None)
@given(
    problems(with_zero_errors=True),
    st.sampled_from(["density", "count"]),
    st.floats(0, 1),
    st.integers(0, 4),
)
def test_quotas_spend_the_budget_exactly_within_bounds(problem, allocation, mix, least):
    recalls, counts, n_select = problem
    needed = np.minimum(least, counts)
    assume(needed.sum() <= n_select)
    options = {
        "allocation": allocation,
        "uniform_mix": mix,
        "min_per_class": least,
    }
    real = densities(recalls, counts, n_select, **options) * counts
    kept = quotas(recalls, counts, n_select, **options)
    assert kept.dtype == np.int64
    assert kept.sum() == n_select
    assert (needed <= kept).all() and (kept <= counts).all()
    assert np.abs(kept - real).max() < 1 + 1e-8
    np.testing.assert_allclose(real.sum(), n_select, rtol=1e-9)


@settings(deadline=None)
@given(problems(), st.sampled_from(["density", "count"]), st.randoms())
def test_order_of_classes_and_scale_of_errors_do_not_matter(problem, rule, random):
    recalls, counts, n_select = problem
    real = drop_densities(recalls, counts, n_select, allocation=rule)
    order = list(range(len(counts)))
    random.shuffle(order)
    moved = drop_densities(recalls[order], counts[order], n_select, allocation=rule)
    np.testing.assert_allclose(moved, real[order], atol=1e-9)
    halved = drop_densities(1 - (1 - recalls) / 2, counts, n_select, allocation=rule)
    np.testing.assert_allclose(halved, real, atol=1e-9)


@settings(deadline=None)
@given(problems(with_zero_errors=True))
def test_density_falls_with_recall_and_rises_with_the_budget(problem):
    recalls, counts, n_select = problem
    real = densities(recalls, counts, n_select)
    order = np.argsort(recalls)
    assert (np.diff(real[order]) <= 1e-9).all()
    if n_select < counts.sum():
        assert (densities(recalls, counts, n_select + 1) >= real - 1e-9).all()


@settings(deadline=None)
@given(problems(), st.integers(1, 300))
def test_rules_agree_on_balanced_classes(problem, count):
    recalls, counts, _ = problem
    counts = np.full(len(counts), count)
    n_select = max(1, counts.sum() // 3)
    np.testing.assert_allclose(
        drop_densities(recalls, counts, n_select),
        drop_densities(recalls, counts, n_select, allocation="count"),
        atol=1e-9,
    )


@settings(deadline=None)
@given(problems(), st.floats(0, 1))
def test_uniform_mix_guarantees_its_share(problem, mix):
    recalls, counts, n_select = problem
    uniform = n_select * counts / counts.sum()
    kept = drop_quotas(recalls, counts, n_select, uniform_mix=mix)
    assert (kept >= np.floor(mix * uniform - 1e-9)).all()
    everything = drop_densities(recalls, counts, n_select, uniform_mix=1.0)
    np.testing.assert_allclose(everything, n_select / counts.sum(), rtol=1e-9)


def test_equal_recalls_give_uniform_density_or_equal_counts():
    counts = np.array([100, 50, 10])
    equal = [0.7, 0.7, 0.7]
    np.testing.assert_allclose(drop_densities(equal, counts, 40), 0.25)
    np.testing.assert_array_equal(
        drop_quotas(equal, counts, 40, allocation="count"), [15, 15, 10]
    )
    np.testing.assert_array_equal(uniform_quotas(counts, 40), [25, 13, 2])
    np.testing.assert_array_equal(balanced_quotas(counts, 40), [15, 15, 10])


def test_perfect_query_model_gives_uniform_density_and_warns():
    with pytest.warns(UserWarning, match="no class is harder"):
        kept = drop_quotas([1.0, 1.0], [100, 300], 40)
    np.testing.assert_array_equal(kept, [10, 30])


def test_perfect_classes_share_what_the_others_cannot_absorb():
    real = drop_densities([0.5, 1.0, 1.0], [10, 100, 300], 50)
    np.testing.assert_allclose(real, [1.0, 0.1, 0.1])


def test_perfect_class_keeps_nothing_or_its_minimum():
    np.testing.assert_array_equal(drop_quotas([0.5, 1.0], [50, 50], 20), [20, 0])
    np.testing.assert_array_equal(
        drop_quotas([0.5, 1.0], [50, 50], 20, min_per_class=3), [17, 3]
    )


def test_minimum_beats_uniform_mix_when_both_exceed_the_budget():
    kept = drop_quotas([0.5, 0.5, 0.5], [100, 2, 2], 10, uniform_mix=1, min_per_class=2)
    np.testing.assert_array_equal(kept, [6, 2, 2])


def test_the_worked_example_of_the_two_rules():
    arguments = [0.95, 0.9, 0.1, 0.0], [500, 300, 3, 1], 80
    counts = np.array(arguments[1])
    np.testing.assert_allclose(
        drop_densities(*arguments) * counts, [34.545454545, 41.454545455, 3, 1]
    )
    np.testing.assert_allclose(
        drop_densities(*arguments, allocation="count") * counts,
        [25.333333333, 50.666666667, 3, 1],
    )


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        (([0.5, np.nan], [5, 5], 4), {}, r"recalls must lie in \[0, 1\].*nan"),
        (([0.5, 1.5], [5, 5], 4), {}, r"recalls must lie in \[0, 1\].*1.5"),
        (([0.5], [5, 5], 4), {}, r"shapes \(1,\) and \(2,\)"),
        (([0.5, 0.5], [5, 0], 4), {}, r"class_counts must be integers >= 1"),
        (([0.5, 0.5], [5, 5], 0), {}, r"n_select must be an integer from 1"),
        (([0.5, 0.5], [5, 5], 11), {}, r"to 10, the number of rows. Got 11"),
        (([0.5, 0.5], [5, 5], 3), {"min_per_class": 2}, r"from 4 \(2 classes"),
        (([0.5, 0.5], [5, 5], 3), {"allocation": "x"}, r"allocation must be"),
        (([0.5, 0.5], [5, 5], 3), {"uniform_mix": 2}, r"uniform_mix must lie"),
        (([0.5, 0.5], [5, 5], 3), {"uniform_mix": "a"}, r"uniform_mix must lie"),
        ((["a", "b"], [5, 5], 3), {}, r"recalls must be a list of numbers"),
        (([0.5, 0.5], [[5], [5, 1]], 3), {}, r"class_counts must be a list"),
        (([0.5, 0.5], [5, 5], 3), {"min_per_class": -1}, r"min_per_class must be"),
    ],
)
def test_bad_arguments_are_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        drop_quotas(*arguments, **options)
