"""Nested pruning orders: slow references, closeness to the quotas, ties, errors."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from sklvyso.sparsity._counts import n_kept
from sklvyso.sparsity._orders import (
    borrowed_order,
    global_order,
    layer_ranks,
    masks_from_order,
    quota_order,
    random_ranks,
)
from sklvyso.sparsity._quota_rules import RULES
from sklvyso.sparsity._quotas import layer_quotas, reachable_sparsity

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import quotas as reference

GOLDEN = json.loads(
    (
        Path(__file__).parents[1] / "data" / "effective_sparsity" / "quotas.json"
    ).read_text()
)
LENET5 = [tuple(shape) for shape in GOLDEN["LeNet-5"]["torch_shapes"]]
SMALL = [(4, 3, 2, 2), (5, 4, 2, 2), (6, 20), (3, 6)]

sides = st.integers(1, 6)
layers = st.one_of(
    st.tuples(sides, sides), st.tuples(sides, sides, st.just(2), st.just(2))
)
nets = st.lists(layers, min_size=1, max_size=5)
seeds = st.integers(0, 2**16)


def sizes(shapes):
    return np.array([math.prod(shape) for shape in shapes])


def shuffled(shapes, seed):
    return random_ranks(sizes(shapes), np.random.default_rng(seed))


def pruned_counts(order, shapes):
    """Pruned weights of each layer after every prefix, shape (N + 1, L)."""
    layer = np.repeat(np.arange(len(shapes)), sizes(shapes))[order]
    one_hot = layer[:, None] == np.arange(len(shapes))
    return np.vstack([np.zeros(len(shapes), int), np.cumsum(one_hot, axis=0)])


def in_reach(shapes, method, share=0.6):
    low, high = reachable_sparsity(shapes, method)
    return low + share * (high - low)


@settings(deadline=None)
@given(nets, st.sampled_from(["uniform", "igq", "erk"]), seeds)
def test_quota_order_equals_the_exact_slow_merge(shapes, rule, seed):
    within = shuffled(shapes, seed)
    order = quota_order(within, shapes, rule, 0.5)
    assert order.dtype == np.int64
    expected = reference.merged_order(within, shapes, reference.MERGE_VALUES[rule])
    counts = pruned_counts(order, shapes)
    # Equal fractions may differ in floats: then the layers of a tie change places.
    slow = pruned_counts(np.array(expected), shapes)
    same = (counts == slow).all(axis=1)
    if rule == "uniform":  # quotients of whole numbers are rounded alike
        np.testing.assert_array_equal(order, expected)
    assert np.abs(counts - slow).max() <= 1
    assert same[0] and same[-1]
    for place, ranks in enumerate(within):
        start = sizes(shapes)[:place].sum()
        inside = (order >= start) & (order < start + len(ranks))
        np.testing.assert_array_equal(order[inside] - start, ranks)


@pytest.mark.parametrize("rule", ["uniform", "igq", "erk", "uniform_plus"])
def test_each_prefix_is_within_half_a_weight_of_the_quotas_of_one_budget(rule):
    # The last layer is large, for uniform_plus to move much of it to the middle.
    shapes = [(4, 3, 2, 2), (5, 4, 2, 2), (6, 20), (12, 16)]
    counts = sizes(shapes)
    pruned = pruned_counts(quota_order(shuffled(shapes, 0), shapes, rule, 0.5), shapes)
    high = reachable_sparsity(shapes, rule)[1]
    reached = np.floor(counts @ layer_quotas(shapes, high, rule)).astype(int)

    for k in range(1, min(reached, counts.sum())):
        layer = np.flatnonzero(pruned[k] > pruned[k - 1])[0]
        middle = pruned[k][layer] - 0.5

        def gap(sparsity, layer=layer, middle=middle):
            quotas = layer_quotas(shapes, sparsity, rule)
            return counts[layer] * quotas[layer] - middle

        if gap(high) < 0:
            break
        budget = brentq(gap, 0.0, high, xtol=1e-14)
        real = counts * layer_quotas(shapes, budget, rule)
        assert np.abs(pruned[k] - real).max() <= 0.5 + 1e-6
    assert k > 0.6 * high * counts.sum()


@settings(deadline=None)
@given(nets, st.sampled_from(["uniform", "igq", "erk"]), seeds)
def test_each_prefix_is_near_the_quotas_of_its_own_budget(shapes, rule, seed):
    total = sizes(shapes).sum()
    pruned = pruned_counts(quota_order(shuffled(shapes, seed), shapes, rule, 0), shapes)
    for k in range(total + 1):
        real = sizes(shapes) * layer_quotas(shapes, k / total, rule)
        # Half a weight by its own rounding, half a weight by that of each layer.
        assert np.abs(pruned[k] - real).max() <= (len(shapes) + 1) / 2 + 1e-6


@pytest.mark.parametrize("rule", [*sorted(RULES), "array", "callable"])
def test_order_is_at_the_quotas_where_the_target_is(rule):
    shapes, counts = LENET5, sizes(LENET5)
    method = {
        "array": [0.2, 0.6, 0.95, 0.9, 0.0],
        "callable": lambda _, sparsity: [sparsity, 0.3, sparsity, 0.8, 1.0],
    }.get(rule, rule)
    sparsity = in_reach(shapes, rule) if rule in RULES else 0.7
    quotas = layer_quotas(shapes, sparsity, method)
    order = quota_order(shuffled(shapes, 1), shapes, method, sparsity)
    np.testing.assert_array_equal(np.sort(order), np.arange(counts.sum()))
    k = counts.sum() - n_kept(counts.sum(), counts @ quotas / counts.sum())
    pruned = pruned_counts(order[:k], shapes)[-1]
    # One weight by rounding; the rounding of other layers is small beside this one's.
    assert np.abs(pruned - counts * quotas).max() <= 1 + 1e-6


def test_rules_without_a_parameter_run_from_dense_through_powers_of_the_densities():
    shapes, counts = SMALL, sizes(SMALL)
    quotas = np.array([0.3, 0.8, 0.95, 0.5])
    pruned = pruned_counts(
        quota_order(shuffled(shapes, 2), shapes, quotas, 0.5), shapes
    )
    for power in (0.1, 0.5, 1.0, 2.0, 3.7):
        real = counts * (1 - (1 - quotas) ** power)
        assert (np.abs(pruned - real) <= 0.5 + 1e-6).all(axis=1).any()


def test_layers_to_lose_all_go_first_and_layers_to_keep_whole_last():
    shapes = [(5, 4), (6, 4), (2, 5), (5, 5)]
    order = quota_order(shuffled(shapes, 3), shapes, [0.0, 0.5, 1.0, 0.0], 0.5)
    pruned = pruned_counts(order, shapes)
    np.testing.assert_array_equal(pruned[10], [0, 0, 10, 0])
    np.testing.assert_array_equal(pruned[34], [0, 24, 10, 0])
    # Those that are whole share evenly once they must be pruned.
    np.testing.assert_array_equal(pruned[34 + 18], [8, 24, 10, 10])


def test_uniform_plus_beyond_its_reach_prunes_the_last_layer_then_the_first():
    counts = sizes(SMALL)
    order = quota_order(shuffled(SMALL, 4), SMALL, "uniform_plus", 0.5)
    pruned = pruned_counts(order, SMALL)
    first = pruned[counts[1:].sum()]
    np.testing.assert_array_equal(first, [0, *counts[1:]])
    reach = counts[1:-1].sum() + round(0.8 * counts[-1])
    np.testing.assert_array_equal(pruned[reach][:-1], [0, *counts[1:-1]])


@pytest.mark.parametrize("rule", ["uniform", "igq", "erk", "smart"])
def test_layers_of_equal_shape_never_differ_by_more_than_one(rule):
    shapes = [(4, 3, 3, 3), (5, 20), (5, 20), (5, 20), (7, 11)]
    if rule == "smart":  # its convolutions differ by depth, its linear layers do not
        shapes[4] = (5, 20)
    order = quota_order(shuffled(shapes, 5), shapes, rule, in_reach(shapes, rule))
    pruned = pruned_counts(order, shapes)[:, 1:4]
    assert (pruned.max(axis=1) - pruned.min(axis=1)).max() == 1


def test_shuffled_layers_get_the_shuffled_order():
    shapes = [(7, 11), (5, 13), (3, 17)]  # no ties
    shuffle = [2, 0, 1]
    for rule in ("igq", "erk", [0.3, 0.55, 0.8]):
        moved = rule if isinstance(rule, str) else [rule[place] for place in shuffle]
        straight = pruned_counts(
            quota_order(shuffled(shapes, 6), shapes, rule, 0.5), shapes
        )
        turned_shapes = [shapes[place] for place in shuffle]
        turned = pruned_counts(
            quota_order(shuffled(turned_shapes, 7), turned_shapes, moved, 0.5),
            turned_shapes,
        )
        np.testing.assert_array_equal(turned, straight[:, shuffle])


@settings(deadline=None)
@given(nets, st.sampled_from(["igq", "erk", "array"]), st.integers(0, 4), seeds)
def test_the_last_weights_of_each_layer_survive_longest(shapes, rule, least, seed):
    method = np.linspace(0.2, 0.9, len(shapes)) if rule == "array" else rule
    within = shuffled(shapes, seed)
    free = quota_order(within, shapes, method, 0.5)
    held = quota_order(within, shapes, method, 0.5, min_per_layer=least)
    kept = np.minimum(sizes(shapes), least)
    before = sizes(shapes).sum() - kept.sum()
    np.testing.assert_array_equal(
        pruned_counts(held[:before], shapes)[-1], sizes(shapes) - kept
    )
    assert set(held) == set(free)
    is_late = np.isin(free, held[before:])
    np.testing.assert_array_equal(held, [*free[~is_late], *free[is_late]])


@settings(deadline=None)
@given(nets, seeds, st.sampled_from([np.float32, np.float64]), st.integers(0, 3))
def test_global_order_is_the_stable_sort_with_the_last_moved(
    shapes, seed, dtype, least
):
    rng = np.random.default_rng(seed)
    # Few values, both signs and both zeros: many ties.
    values = np.array([-1.0, -0.5, -0.0, 0.0, 0.5, 1.0], dtype)
    scores = [rng.choice(values, shape) for shape in shapes]
    order = global_order(scores, min_per_layer=least)
    assert order.dtype == np.int64
    flat = np.concatenate([layer.ravel() for layer in scores])
    plain = np.array(sorted(range(len(flat)), key=lambda place: flat[place]), int)
    late, start = set(), 0
    for count in sizes(shapes):
        own = [place for place in plain if start <= place < start + count]
        late |= set(own[max(0, count - least) :])
        start += count
    is_late = np.array([place in late for place in plain])
    np.testing.assert_array_equal(order, [*plain[~is_late], *plain[is_late]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_scores_are_ordered(dtype):
    small, large = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    scores = np.array([large, 0.0, small, -0.0, -large, -small, 1.0], dtype)
    np.testing.assert_array_equal(layer_ranks(scores), [4, 5, 1, 3, 2, 6, 0])
    np.testing.assert_array_equal(global_order([scores]), layer_ranks(scores))


@settings(deadline=None)
@given(nets, seeds)
def test_borrowed_order_equals_the_slow_reference(shapes, seed):
    within = shuffled(shapes, seed)
    other = np.random.default_rng(seed + 1).permutation(sizes(shapes).sum())
    order = borrowed_order(within, other, sizes(shapes))
    expected = reference.borrowed_order(within, other.tolist(), sizes(shapes).tolist())
    np.testing.assert_array_equal(order, expected)
    np.testing.assert_array_equal(
        pruned_counts(order, shapes), pruned_counts(other, shapes)
    )


@settings(deadline=None)
@given(nets, seeds, st.floats(0, 1))
def test_masks_of_an_order_are_nested_with_exact_totals(shapes, seed, share):
    order = quota_order(shuffled(shapes, seed), shapes, "igq", 0.5)
    k = int(share * len(order))
    masks = masks_from_order(order, k, shapes)
    assert [mask.shape for mask in masks] == shapes
    flat = np.concatenate([mask.ravel() for mask in masks])
    assert flat.dtype == bool
    np.testing.assert_array_equal(np.flatnonzero(~flat), np.sort(order[:k]))
    if k:
        more = masks_from_order(order, k - 1, shapes)
        assert all((few <= many).all() for few, many in zip(masks, more, strict=True))


def test_random_orders_follow_their_seed():
    first, again, other = (
        random_ranks([50, 30], np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(np.sort(one), np.arange(len(one)))
        assert (one != three).any()


def test_non_finite_scores_name_the_layer():
    scores = [np.ones(3), np.array([1.0, np.nan])]
    with pytest.raises(ValueError, match=r"Layer 'fc\.weight' has NaN"):
        global_order(scores, names=["conv.weight", "fc.weight"])
    with pytest.raises(ValueError, match="Layer 0 has NaN or infinite"):
        global_order([np.array([np.inf])])


def test_wrong_arguments_are_named():
    within = shuffled(SMALL, 0)
    with pytest.raises(ValueError, match="within must hold one order for each layer"):
        quota_order(within[:-1], SMALL, "igq", 0.5)
    with pytest.raises(ValueError, match="for quota 'uniform_plus'"):
        quota_order(within, SMALL, "uniform_plus", 0.999)
    with pytest.raises(ValueError, match="within and order_of_other must have"):
        borrowed_order(within, np.arange(3), sizes(SMALL))
    order = np.arange(sizes(SMALL).sum())
    with pytest.raises(ValueError, match="k must be <= "):
        masks_from_order(order, len(order) + 1, SMALL)
    with pytest.raises(ValueError, match="k must be >= 0"):
        masks_from_order(order, -1, SMALL)
    with pytest.raises(ValueError, match="order must have the"):
        masks_from_order(order[:-1], 1, SMALL)
    with pytest.raises(ValueError, match="min_per_layer must be >= 0"):
        global_order([np.ones(3)], min_per_layer=-1)
