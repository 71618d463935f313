"""Whole numbers of kept weights: exact totals, bounds, ties."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklvyso.sparsity._counts import kept_counts, n_kept
from sklvyso.sparsity._orders import masks_from_order, quota_order, random_ranks
from sklvyso.sparsity._quotas import layer_quotas

nets = st.lists(
    st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=8
)


def sizes(shapes):
    return np.array([out * inputs for out, inputs in shapes])


@pytest.mark.parametrize("total", [266_200, 61_770, 14_715_584, 20_070_080, 11_261_632])
def test_compressions_give_the_exactly_rounded_total(total):
    for compression in [*range(1, 200), 300, 1000, 3000, 10_000, 100_000]:
        expected = round(Fraction(total, compression))
        assert n_kept(total, 1 - 1 / compression) == expected


def test_totals_may_be_numpy_integers():
    assert n_kept(np.int64(61_770), np.float64(0.9)) == 6177


def test_halves_go_to_the_even_number_whatever_the_float_noise():
    assert n_kept(61_770, 1 - 1 / 10) == 6177
    assert n_kept(61_770, 1 - 1 / 20) == 3088  # 3088.5; the float product is above it
    assert n_kept(9, 1 - 1 / 6) == 2  # 1.5; the float product is below it
    assert (1 - (1 - 1 / 6)) * 9 < 1.5


@settings(deadline=None)
@given(st.integers(0, 10**8), st.floats(0, 1))
def test_total_is_within_half_a_weight_of_the_budget(total, sparsity):
    kept = n_kept(total, sparsity)
    assert isinstance(kept, int)
    exact = (1 - Fraction(sparsity)) * total
    assert abs(kept - exact) <= Fraction(1, 2) + Fraction(total, 2**52)


@settings(deadline=None)
@given(
    nets, st.sampled_from(["uniform", "erk", "igq"]), st.floats(0, 1), st.integers(0, 3)
)
def test_counts_keep_the_exact_total_within_bounds(shapes, rule, sparsity, least):
    counts = sizes(shapes)
    quotas = layer_quotas(shapes, sparsity, rule)
    total = n_kept(int(counts.sum()), sparsity)
    needed = np.minimum(counts, least)
    if total < needed.sum():
        with pytest.raises(ValueError, match=f"must be >= {needed.sum()} to keep"):
            kept_counts(counts, quotas, total, min_per_layer=least)
        return
    kept = kept_counts(counts, quotas, total, min_per_layer=least)
    assert kept.dtype == np.int64
    assert kept.sum() == total
    assert (kept >= needed).all() and (kept <= counts).all()
    real = counts * (1 - quotas)
    if (real >= needed).all():
        assert np.abs(kept - real).max() < 1 + 1e-6
    # Only layers that had too little grow by more than the rounding.
    assert (kept[real >= needed] < real[real >= needed] + 1 + 1e-6).all()


def test_largest_remainders_by_hand_with_ties_to_the_earlier_layer():
    kept = kept_counts([10, 10, 10], [0.75, 0.27, 0.75], 12)
    np.testing.assert_array_equal(kept, [3, 7, 2])
    kept = kept_counts([10, 10, 10], [0.75, 0.75, 0.75], 8)
    np.testing.assert_array_equal(kept, [3, 3, 2])


def test_float_noise_neither_floors_whole_numbers_nor_breaks_ties():
    # 10 (1 - 0.9) is 0.9999999999999998, 30 (1 - 0.95) is 1.5000000000000013.
    np.testing.assert_array_equal(kept_counts([10, 10], [0.9, 0.9], 2), [1, 1])
    np.testing.assert_array_equal(kept_counts([10, 30], [0.65, 0.95], 5), [4, 1])


def test_layers_below_the_minimum_are_raised_and_the_others_make_room():
    kept = kept_counts([100, 10, 10], [0.8, 1.0, 0.0], 30, min_per_layer=3)
    np.testing.assert_array_equal(kept, [18, 3, 9])


@pytest.mark.parametrize(
    ("shapes", "rule", "pruned", "layer"),
    [
        pytest.param([(8, 12), (6, 8), (3, 6)], "igq", 17, 2, id="12-8-6-3"),
        pytest.param(
            [(6, 75), (16, 150), (120, 400), (84, 120), (10, 84)],
            "uniform",
            8,
            1,
            id="lenet-5",
        ),
    ],
)
def test_rounding_each_budget_anew_is_not_nested(shapes, rule, pruned, layer):
    # The Alabama paradox: with one more pruned weight a layer gets one back. This is
    # why masks of a search come from one order.
    counts = sizes(shapes)
    total = int(counts.sum())
    fewer, more = (
        kept_counts(counts, layer_quotas(shapes, k / total, rule), total - k)
        for k in (pruned, pruned + 1)
    )
    assert more.sum() == fewer.sum() - 1
    assert more[layer] == fewer[layer] + 1
    within = random_ranks(counts, np.random.default_rng(0))
    order = quota_order(within, shapes, rule, 0.5)
    kept = [
        [mask.sum() for mask in masks_from_order(order, k, shapes)]
        for k in (pruned, pruned + 1)
    ]
    assert np.sum(kept, axis=1).tolist() == [total - pruned, total - pruned - 1]
    assert (np.array(kept[1]) <= kept[0]).all()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"quotas must keep n_kept=7 of 20 weights"):
        kept_counts([10, 10], [0.5, 0.5], 7)
    with pytest.raises(ValueError, match=r"a sparsity of 0\.5 of the whole"):
        kept_counts([10, 10], [0.5, 0.5], 7)
    with pytest.raises(ValueError, match="min_per_layer must be >= 0"):
        kept_counts([10, 10], [0.5, 0.5], 10, min_per_layer=-1)
    with pytest.raises(TypeError, match="n_kept must be an integer"):
        kept_counts([10, 10], [0.5, 0.5], 10.0)
    with pytest.raises(ValueError, match="sparsity must lie"):
        n_kept(10, -0.1)
