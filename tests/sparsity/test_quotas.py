"""Layerwise quotas: golden values, slow references, invariants, error texts."""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sklvyso.sparsity._quota_rules import RULES, igq_force
from sklvyso.sparsity._quotas import layer_quotas, reachable_sparsity

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import quotas as reference

GOLDEN = json.loads(
    (
        Path(__file__).parents[1] / "data" / "effective_sparsity" / "quotas.json"
    ).read_text()
)
CASES = [
    pytest.param(net["torch_shapes"], net["counts"], int(c), case, id=f"{name}-{c}")
    for name, net in GOLDEN.items()
    for c, case in net["quotas"].items()
]
LENET5 = [tuple(shape) for shape in GOLDEN["LeNet-5"]["torch_shapes"]]
MLP = [(300, 784), (100, 300), (10, 100)]

sides = st.integers(1, 12)
linear = st.tuples(sides, sides)
convolution = st.tuples(sides, sides, st.integers(1, 3), st.integers(1, 3))
nets = st.lists(st.one_of(linear, convolution), min_size=1, max_size=7)
conv_nets = st.builds(
    lambda first, middle, last: [first, *middle, last],
    convolution,
    st.lists(st.one_of(linear, convolution), min_size=1, max_size=5),
    linear,
)
inner = st.floats(1e-6, 1 - 1e-6)


def sizes(shapes):
    return np.array([math.prod(shape) for shape in shapes])


def pruned(shapes, sparsities):
    return sizes(shapes) @ sparsities / sizes(shapes).sum()


def within_reach(shapes, method, share):
    low, high = reachable_sparsity(shapes, method)
    return low + share * (high - low)


@pytest.mark.parametrize(("shapes", "counts", "c", "case"), CASES)
def test_golden_igq(shapes, counts, c, case):
    quotas = layer_quotas(shapes, 1 - 1 / c, "igq")
    # Near sparsity 1 the golden root sees the rounding of 1 - 1/c.
    np.testing.assert_allclose(quotas, case["igq_exact"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        igq_force(counts, 1 - 1 / c), float(case["igq_exact_F"]), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(("shapes", "counts", "c", "case"), CASES)
def test_golden_erk_and_uniform(shapes, counts, c, case):
    for method, key in (("erk", "erk_capped"), ("uniform", "uniform")):
        quotas = layer_quotas(shapes, 1 - 1 / c, method)
        np.testing.assert_allclose(quotas, case[key], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("shapes", "counts", "c", "case"), CASES)
def test_redistributing_erk_equals_the_references_where_it_is_valid(
    shapes, counts, c, case
):
    if c > 1 and not case["erk_official_valid"]:
        with pytest.raises(ValueError, match="for quota 'erk_redistribute'"):
            layer_quotas(shapes, 1 - 1 / c, "erk_redistribute")
        return
    quotas = layer_quotas(shapes, 1 - 1 / c, "erk_redistribute")
    golden = case["erk_official"] if c > 1 else np.zeros(len(shapes))
    # The reference rounds to nine decimals.
    np.testing.assert_allclose(quotas, golden, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("shapes", "counts", "c", "case"),
    [case for case in CASES if "uniform_plus_official" in case.values[3]],
)
def test_uniform_plus_equals_the_references_where_it_is_valid(shapes, counts, c, case):
    if not case["uniform_plus_official_valid"]:
        with pytest.raises(ValueError, match="for quota 'uniform_plus'"):
            layer_quotas(shapes, 1 - 1 / c, "uniform_plus")
        return
    quotas = layer_quotas(shapes, 1 - 1 / c, "uniform_plus")
    golden = case["uniform_plus_official"]
    np.testing.assert_allclose(quotas, golden, atol=1e-9, rtol=0)


@settings(deadline=None)
@given(nets, inner)
def test_igq_and_erk_equal_the_slow_references(shapes, sparsity):
    np.testing.assert_allclose(
        layer_quotas(shapes, sparsity, "igq"),
        reference.igq(sizes(shapes).tolist(), sparsity),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        layer_quotas(shapes, sparsity, "erk"),
        reference.erk(shapes, sparsity),
        atol=1e-9,
        rtol=0,
    )


@settings(deadline=None)
@given(conv_nets, st.floats(0.01, 0.99))
def test_uniform_plus_and_smart_equal_the_slow_references(shapes, share):
    sparsity = within_reach(shapes, "uniform_plus", share)
    np.testing.assert_allclose(
        layer_quotas(shapes, sparsity, "uniform_plus"),
        reference.uniform_plus(shapes, sparsity),
        atol=1e-12,
    )
    for method, is_vgg in (("smart", False), ("smart_vgg", True)):
        sparsity = within_reach(shapes, method, share)
        np.testing.assert_allclose(
            layer_quotas(shapes, sparsity, method),
            reference.smart(shapes, sparsity, is_vgg),
            atol=1e-12,
        )


@settings(deadline=None)
@given(conv_nets, st.sampled_from(sorted(RULES)), st.floats(0, 1))
def test_every_rule_spends_the_budget_exactly_all_over_its_reach(shapes, rule, share):
    sparsity = within_reach(shapes, rule, share)
    quotas = layer_quotas(shapes, sparsity, rule)
    assert quotas.dtype == np.float64
    assert ((quotas >= 0) & (quotas <= 1)).all()
    np.testing.assert_allclose(pruned(shapes, quotas), sparsity, atol=1e-12)


@settings(deadline=None)
@given(nets, st.floats(1e-9, 1 - 1e-9))
def test_igq_meets_the_budget_and_follows_the_order_of_sizes(shapes, sparsity):
    counts = sizes(shapes)
    force = igq_force(counts, sparsity)
    pressed = force * counts
    np.testing.assert_allclose(
        (counts * pressed / (1 + pressed)).sum(), sparsity * counts.sum(), rtol=1e-12
    )
    quotas = layer_quotas(shapes, sparsity, "igq")
    order = np.argsort(counts, kind="stable")
    assert (np.diff(quotas[order]) >= 0).all()
    equal = np.diff(counts[order]) == 0
    assert (np.diff(quotas[order])[equal] == 0).all()


@settings(deadline=None)
@given(nets, st.sampled_from(["uniform", "erk", "igq"]), st.floats(0, 1), st.randoms())
def test_shuffled_layers_get_shuffled_quotas(shapes, rule, sparsity, random):
    shuffle = list(range(len(shapes)))
    random.shuffle(shuffle)
    quotas = layer_quotas(shapes, sparsity, rule)
    shuffled = layer_quotas([shapes[place] for place in shuffle], sparsity, rule)
    np.testing.assert_allclose(shuffled, quotas[shuffle], atol=1e-12)


@settings(deadline=None)
@given(nets, st.sampled_from(["uniform", "erk", "igq"]), st.floats(0, 1), inner)
def test_quotas_of_one_parameter_grow_with_sparsity(shapes, rule, share, sparsity):
    less = layer_quotas(shapes, share * sparsity, rule)
    assert (less <= layer_quotas(shapes, sparsity, rule) + 1e-12).all()


@pytest.mark.parametrize("rule", sorted(RULES))
def test_sparsity_zero_and_one_leave_nothing_to_divide(rule):
    np.testing.assert_array_equal(layer_quotas(LENET5, 0, rule), np.zeros(5))
    np.testing.assert_array_equal(layer_quotas(LENET5, 1, rule), np.ones(5))


def test_force_is_zero_for_nothing_and_infinite_for_everything():
    assert igq_force([3, 4], 0) == 0
    assert igq_force([3, 4], 1) == math.inf


@settings(deadline=None)
@given(nets, inner)
def test_redistributing_erk_equals_capped_where_no_layer_overflows(shapes, sparsity):
    counts, weights = sizes(shapes), np.array([sum(shape) for shape in shapes])
    scale = (1 - sparsity) * counts.sum() / weights.sum()
    assume((scale * weights < counts).all())
    np.testing.assert_allclose(
        layer_quotas(shapes, sparsity, "erk_redistribute"),
        layer_quotas(shapes, sparsity, "erk"),
        atol=1e-12,
    )


def test_smart_by_hand():
    # 90 + 90 + 40 weights; the linear layer keeps 12; raw 12, 6 of L = 3 layers.
    shapes = [(10, 1, 3, 3), (10, 1, 3, 3), (4, 10)]
    kept = np.array([48 * 12 / 18, 48 * 6 / 18, 12])
    quotas = layer_quotas(shapes, 1 - 60 / 220, "smart")
    np.testing.assert_allclose(quotas, 1 - kept / [90, 90, 40])
    # The excess of the first goes to the second.
    kept = np.array([90, 58, 12])
    quotas = layer_quotas(shapes, 1 - 160 / 220, "smart")
    np.testing.assert_allclose(quotas, 1 - kept / [90, 90, 40], atol=1e-15)
    # VGG: raw 12 and 6 / 4.
    kept = np.array([48 * 12 / 13.5, 48 * 1.5 / 13.5, 12])
    quotas = layer_quotas(shapes, 1 - 60 / 220, "smart_vgg")
    np.testing.assert_allclose(quotas, 1 - kept / [90, 90, 40])


def range_of(message):
    pairs = re.findall(r"\[([\d.]+), ([\d.]+|inf)\]", message)
    return [float(end) for pair in pairs for end in pair]


@pytest.mark.parametrize(
    ("rule", "sparsity"),
    [
        ("uniform_plus", 0.995),
        ("erk_redistribute", 0.1),
        ("smart", 0.9999),
        ("smart", 0.01),
    ],
)
def test_unreachable_budgets_name_the_range_and_its_ends_are_reached(rule, sparsity):
    with pytest.raises(ValueError, match=f"for quota '{rule}'") as info:
        layer_quotas(LENET5, sparsity, rule)
    low, high, least, most = range_of(str(info.value))
    assert not low <= sparsity <= high
    for end, compression in ((low, least), (high, most)):
        if 0 < end < 1:
            np.testing.assert_allclose(1 / (1 - end), compression, rtol=1e-5)
            np.testing.assert_allclose(
                pruned(LENET5, layer_quotas(LENET5, end, rule)), end, rtol=1e-12
            )


def test_shapes_by_name_equal_shapes_in_order():
    named = {"a.weight": (4, 3, 2, 2), "b.weight": (5, 4)}
    np.testing.assert_array_equal(
        layer_quotas(named, 0.7, "igq"), layer_quotas([*named.values()], 0.7, "igq")
    )


def test_custom_sparsities_are_returned_as_they_are():
    given = np.array([0.9, 0.5, 0.0])
    quotas = layer_quotas(MLP, 0.7, given)
    np.testing.assert_array_equal(quotas, given)
    assert not np.shares_memory(quotas, given)
    named = {"c": 0.0, "a": 0.9, "b": 0.5}
    from_mapping = layer_quotas(MLP, 0.7, named, names=["a", "b", "c"])
    np.testing.assert_array_equal(from_mapping, given)
    seen = []

    def rule(shapes, sparsity):
        seen.append((shapes, sparsity))
        return named

    shapes = dict(zip("abc", MLP, strict=True))
    np.testing.assert_array_equal(layer_quotas(shapes, 0.7, rule), given)
    assert seen == [(MLP, 0.7)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MLP, 0.5, "best"), "method must be one of .*'igq'.* Got 'best' instead"),
        ((MLP, 0.5, "synflow"), "Pass quota='synflow' to prune_module"),
        ((MLP, 0.5, "snip"), "Pass quota='snip' to prune_module"),
        ((MLP, 0.5, "uniform_plus"), "must have a convolution as the first layer"),
        ((MLP, 1.5, "igq"), r"sparsity must lie in \[0, 1\]. Got 1.5 instead"),
        ((MLP, float("nan"), "igq"), r"sparsity must lie in \[0, 1\]. Got nan"),
        ((MLP, 0.5, [0.5, 0.5]), "one sparsity for each of 3 layers"),
        ((MLP, 0.5, [0.5, 0.5, 1.5]), r"method must hold sparsities in \[0, 1\]"),
        ((MLP, 0.5, lambda *_: [0.5, 0.5, np.nan]), "the result of method must hold"),
        ((MLP, 0.5, {"a": 0.5}), "pass the names of the layers"),
        (({"a": (2, 3), "b": (2, 2)}, 0.5, {"a": 0.5, "c": 1}), r"Missing: \['b'\]. U"),
        (([], 0.5, "igq"), "at least one layer"),
        (([(3,)], 0.5, "igq"), r"Got \(3,\) for layer 0"),
        (([(3, 0)], 0.5, "igq"), r"Got \(3, 0\) for layer 0"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_wrong_values_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        layer_quotas(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MLP, "0.5", "igq"), "sparsity must be a number"),
        ((MLP, True, "igq"), "sparsity must be a number"),
        ((MLP, 0.5, object()), "must be an array of sparsities or a mapping"),
    ],
    ids=["text", "bool", "object"],
)
def test_wrong_types_are_named(arguments, message):
    with pytest.raises(TypeError, match=message):
        layer_quotas(*arguments)


def test_names_must_fit_the_layers():
    with pytest.raises(ValueError, match="Got 1 for 3 layers"):
        layer_quotas(MLP, 0.5, "igq", names=["a"])
    with pytest.raises(ValueError, match="names must be None"):
        layer_quotas({"a": (2, 2)}, 0.5, "igq", names=["a"])


def test_one_layer_gets_the_sparsity_of_the_whole():
    for rule in ("uniform", "igq", "erk", "erk_redistribute"):
        np.testing.assert_allclose(layer_quotas([(7, 5)], 0.37, rule), [0.37])
