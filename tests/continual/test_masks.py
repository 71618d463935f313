"""Masks: golden selections and gradients, densities, ties, storage."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklvyso.continual import (
    combine_masks,
    score_gradients,
    signed_kaiming_constant,
    topk_mask,
)
from sklvyso.continual._masks import (
    StraightThrough,
    _kept,
    initial_scores,
    layer_densities,
    n_dropped,
    pack_mask,
    random_mask,
    unpack_mask,
)

FOLDER = Path(__file__).parents[1] / "data/impresslearn"
SELECTIONS = json.loads((FOLDER / "edge_popup_masks.json").read_text())
STRAIGHT = json.loads((FOLDER / "straight_through.json").read_text())
ACCOUNTING = json.loads((FOLDER / "accounting.json").read_text())


FIRST_SIGNS = [0, 1, 1, 1, 0, 0, 1, 0]


def reference(values, density):
    """Sort, stably, and drop the first ones."""
    order = np.argsort(values, kind="stable")
    mask = np.ones(len(values), dtype=bool)
    mask[order[: math.floor((1 - density) * len(values) + 1e-9)]] = False
    return mask


@pytest.mark.parametrize(
    "case", SELECTIONS, ids=lambda c: f"{c['mode']}-{c['density']}"
)
@pytest.mark.parametrize("kind", [np.array, torch.tensor], ids=["array", "tensor"])
def test_golden_selections(case, kind):
    mask = topk_mask(kind(case["scores"]), case["density"], mode=case["mode"])
    assert (np.asarray(mask) == np.array(case["mask"], dtype=bool)).all()
    assert mask.sum() == case["n_kept"]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(-4, 4), min_size=1, max_size=60),
    st.floats(0, 1),
)
def test_selection_equals_a_stable_sort(values, density):
    scores = np.array(values, dtype=float)
    for mode, keys in (("topk", scores), ("topk_abs", abs(scores))):
        mask = topk_mask(scores, density, mode=mode)
        assert (mask == reference(keys, density)).all()
        assert mask.sum() == len(values) - n_dropped(density, len(values))
    # What a GPU would run.
    assert (
        _kept(torch.tensor(scores), density).numpy() == reference(scores, density)
    ).all()


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**31 - 1), st.floats(0, 1))
def test_selection_is_invariant(seed, density):
    scores = np.random.RandomState(seed).standard_normal((3, 7))
    plain = topk_mask(scores, density, mode="topk")
    assert (plain == topk_mask(np.exp(scores / 2), density, mode="topk")).all()
    by_size = topk_mask(scores, density)
    flips = np.random.RandomState(seed).choice([-1, 1], scores.shape)
    assert (by_size == topk_mask(scores * flips, density)).all()


def test_whole_and_empty_masks_and_rounding():
    scores = np.arange(10.0)
    assert topk_mask(scores, 1.0).all() and not topk_mask(scores, 0.0).any()
    assert topk_mask(scores, 0.9).sum() == 9  # (1 - .9) * 10 is below 1


@pytest.mark.parametrize("case", STRAIGHT, ids=lambda c: c["mode"])
def test_golden_straight_through_gradients(case):
    weights = [torch.tensor(w, dtype=torch.float64) for w in case["weights"]]
    scores = [
        torch.tensor(s, dtype=torch.float64, requires_grad=True) for s in case["scores"]
    ]
    hidden = torch.tensor(case["x"], dtype=torch.float64)
    for i, (weight, score) in enumerate(zip(weights, scores, strict=True)):
        masked = StraightThrough.apply(score, weight, case["density"], case["mode"])
        hidden = hidden @ masked.T
        hidden = hidden.relu() if i + 1 < len(weights) else hidden
    np.testing.assert_allclose(hidden.detach(), case["logits"], rtol=1e-6, atol=1e-7)
    loss = torch.nn.functional.cross_entropy(hidden, torch.tensor(case["y"]).long())
    np.testing.assert_allclose(loss.item(), case["loss"], rtol=1e-9)
    for found, expected in zip(
        torch.autograd.grad(loss, scores), case["score_grads"], strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("mode", ["topk_abs", "topk", "threshold"])
def test_dropped_entries_get_a_gradient(mode):
    random = np.random.RandomState(0)
    weight, scores, grad = random.standard_normal((3, 4, 5))
    found = score_gradients(grad, weight, scores, mode=mode)
    expected = grad * weight * (np.sign(scores) if mode == "topk_abs" else 1)
    np.testing.assert_array_equal(found, expected)
    assert (found[~topk_mask(scores, 0.5, mode=mode)] != 0).all()
    tensors = map(torch.tensor, (grad, weight, scores))
    np.testing.assert_array_equal(score_gradients(*tensors, mode=mode), expected)


@pytest.mark.parametrize("case", ACCOUNTING, ids=lambda c: f"{c['arch']}-{c['er_c']}")
def test_golden_accounting(case):
    shapes = case["layer_shapes"]
    found = layer_densities(shapes, allocation="erdos_renyi", budget=case["er_c"])
    np.testing.assert_allclose(found, case["er_density"], rtol=1e-12)
    sizes = [math.prod(shape) for shape in shapes]
    kept = [n - n_dropped(k, n) for n, k in zip(sizes, found, strict=True)]
    assert kept == case["er_kept"]
    for shape, constant in zip(shapes, case["signed_constant"], strict=True):
        weight = signed_kaiming_constant(shape, random_state=0)
        np.testing.assert_allclose(np.unique(abs(weight)), [constant], rtol=1e-6)
    packed = [len(pack_mask(np.ones(shape, bool))) for shape in shapes]
    assert packed == case["mask_bytes_packed_per_layer"]


def test_backbone_weights_are_balanced_signs_of_a_seed():
    weight = signed_kaiming_constant((100, 50), random_state=3)
    assert weight.dtype == np.float32 and weight.shape == (100, 50)
    assert set(np.unique(weight)) == {np.float32(-0.2), np.float32(0.2)}
    assert abs((weight > 0).mean() - 0.5) < 0.03  # 4 standard deviations of 5,000 coins
    again = signed_kaiming_constant((100, 50), random_state=3)
    assert (weight == again).all()
    # The stream is NumPy's legacy one, which is promised to stay.
    signs = (weight[0, :8] > 0).tolist()
    assert signs == [bool(bit) for bit in FIRST_SIGNS]


def test_scores_start_uniform_and_random_masks_have_the_density():
    scores = initial_scores((200, 25), np.random.RandomState(0))
    assert scores.dtype == np.float32 and abs(scores).max() <= 0.2
    assert abs(scores.std() - 0.2 / 3**0.5) < 0.004
    mask = random_mask((30, 10), 0.1, "topk", np.random.RandomState(0))
    assert mask.sum() == 30


@settings(deadline=None, max_examples=50)
@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_packed_masks_come_back(bits):
    mask = np.array(bits).reshape(1, -1)
    packed = pack_mask(mask)
    assert packed.nbytes == math.ceil(mask.size / 8)
    assert (unpack_mask(packed, mask.shape) == mask).all()


def test_combination_is_linear_and_one_hot_is_the_mask():
    random = np.random.RandomState(0)
    weight = random.standard_normal((4, 6))
    masks = random.rand(3, 4, 6) < 0.5
    a, b = random.standard_normal((2, 3))
    both = combine_masks(weight, masks, 2 * a - b)
    apart = 2 * combine_masks(weight, masks, a) - combine_masks(weight, masks, b)
    np.testing.assert_allclose(both, apart, atol=1e-12)
    assert (combine_masks(weight, masks, [0, 1, 0]) == weight * masks[1]).all()
    order = [2, 0, 1]
    np.testing.assert_allclose(
        combine_masks(weight, masks[order], a[order]), combine_masks(weight, masks, a)
    )
    doubled = combine_masks(weight, [*masks, masks[0]], [a[0] / 2, *a[1:], a[0] / 2])
    np.testing.assert_allclose(doubled, combine_masks(weight, masks, a))
    tensors = combine_masks(torch.tensor(weight), [torch.tensor(m) for m in masks], a)
    np.testing.assert_allclose(tensors, combine_masks(weight, masks, a))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: topk_mask([1.0], 1.5), r"density, the fraction kept.*Got 1.5"),
        (lambda: topk_mask([1.0], True), r"density"),
        (lambda: topk_mask([1.0]), r"density must be given for mode='topk_abs'"),
        (lambda: topk_mask([np.nan], 0.5), r"scores must be finite"),
        (lambda: topk_mask([1.0], 0.5, mode="top"), r"mode must be one of"),
        (lambda: signed_kaiming_constant((3,)), r"shape must have two axes"),
        (lambda: combine_masks(np.ones(2), [np.ones(2)], [1, 2]), r"2 for 1 masks"),
        (
            lambda: layer_densities([(2, 2)], allocation="erdos_renyi"),
            r"density_budget must be a number",
        ),
    ],
)
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_any_number_type_will_do():
    for dtype in (torch.bfloat16, torch.float16, torch.int8):
        scores = torch.tensor([1, -128, 3, 2]).to(dtype)
        assert topk_mask(scores, 0.5).tolist() == [False, True, True, False]
    masks = np.array([[[1, 0]], [[1, 1]]], dtype=bool)
    expected = [[0.75, -0.5]]
    for weight in (np.array([[1, -2]]), torch.tensor([[1, -2]])):
        assert combine_masks(weight, masks, [0.5, 0.25]).tolist() == expected
    with pytest.raises(ValueError, match=r"shape of weight, \(3, 2\)"):
        combine_masks(np.ones((3, 2)), masks, [0.5, 0.25])
