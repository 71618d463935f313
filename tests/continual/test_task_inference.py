"""Task inference: golden gradients, row by row against loops, ties, groups."""

import copy
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sklvyso.continual import combine_masks, infer_task
from sklvyso.continual._backbone import Backbone
from sklvyso.continual._combination import MaskProducts
from sklvyso.continual._task_inference import (
    Superposition,
    _group_slopes,
    better_half,
    group_codes,
    row_entropies,
    row_objectives,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from masked_networks import mlp, packed

FOLDER = Path(__file__).parents[1] / "data/impresslearn"
GOLDEN = json.loads((FOLDER / "task_inference.json").read_text())
MASKS = packed(GOLDEN["masks"])
ONE_HOT = np.eye(len(MASKS))[:, None].repeat(2, axis=1)


def superposition(module, masks):
    backbone = Backbone(module)
    products = [
        MaskProducts(weight, [one[i] for one in masks])
        for i, weight in enumerate(backbone.weights)
    ]
    for part in products:
        part.expand(10**9)
    return Superposition(backbone, products)


@pytest.mark.parametrize(
    "case", GOLDEN["cases"], ids=lambda c: f"{c['objective']}-{len(c['x'])}"
)
def test_golden_inference(case):
    X = torch.tensor(case["x"], dtype=torch.float64)
    groups = np.zeros(len(X), dtype=int)
    objective, n_real = case["objective"], case["n_real"]
    parts = superposition(mlp(GOLDEN["weights"]), MASKS)
    is_left = np.ones((1, len(MASKS)), dtype=bool)
    slopes = _group_slopes(parts, [X], ONE_HOT, groups, is_left, objective, n_real)
    np.testing.assert_allclose(slopes[0], case["grad"], rtol=1e-6, atol=1e-7)
    for step in case["binary_trace"]:
        slopes = _group_slopes(parts, [X], ONE_HOT, groups, is_left, objective, n_real)
        found = slopes[0][is_left[0]]
        expected = np.array(step["grad"])
        expected = expected[is_left[0]] if len(expected) == len(MASKS) else expected
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
        is_left = better_half(np.where(is_left, slopes, np.inf), is_left)
        assert np.flatnonzero(is_left[0]).tolist() == step["alive"]
    for method in ("one_shot", "binary"):
        found = infer_task(
            mlp(GOLDEN["weights"]),
            GOLDEN["masks"],
            case["x"],
            method=method,
            objective=objective,
            n_real=n_real,
            groups=groups,
        )
        assert (found == case[method]).all()


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.head = nn.Linear(48, 4, bias=False)

    def forward(self, X):
        return self.head(self.conv(X).relu().flatten(1))


@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize("objective", ["entropy", "superfluous"])
def test_gradients_of_rows_equal_a_loop_over_rows(kind, objective):
    torch.manual_seed(0)
    random = np.random.RandomState(0)
    if kind == "mlp":
        module, shape = mlp([random.standard_normal(s) for s in ((7, 6), (4, 7))]), (6,)
    else:
        module, shape = Convolutional().double(), (2, 4, 4)
    frozen = [p.detach().clone() for p in module.parameters()]
    arrays = [[random.rand(*w.shape) < 0.5 for w in frozen] for _ in range(3)]
    X = torch.tensor(random.standard_normal((5, *shape)))
    for coef in (random.standard_normal((2, 3)), random.standard_normal((5, 2, 3))):
        parts = superposition(copy.deepcopy(module), packed(arrays))
        found = parts.gradients(X, torch.tensor(coef), objective, 2)
        for i, row in enumerate(X):
            numbers = torch.tensor(coef if coef.ndim == 2 else coef[i]).requires_grad_()
            weights = {
                name: weight
                * sum(numbers[j, k] * torch.tensor(arrays[k][j]) for k in range(3))
                for j, (name, weight) in enumerate(
                    zip(dict(module.named_parameters()), frozen, strict=True)
                )
            }
            logits = torch.func.functional_call(module, weights, (row[None],))
            value = row_objectives(logits, objective, 2).sum()
            (expected,) = torch.autograd.grad(value, numbers)
            np.testing.assert_allclose(found[i], expected, rtol=1e-9, atol=1e-12)


def test_rows_are_decided_alone_and_groups_together():
    random = np.random.RandomState(1)
    net = mlp([random.standard_normal(s) for s in ((20, 6), (5, 20))])
    arrays = [[random.rand(*s) < 0.5 for s in ((20, 6), (5, 20))] for _ in range(4)]
    coef = random.standard_normal((6, 2, 4))
    X = random.standard_normal((9, 6))
    groups = np.array([2, 2, 0, 0, 0, 1, 1, 1, 1])
    for method in ("one_shot", "binary", "exhaustive"):
        alone = infer_task(net, arrays, X, coef=coef, method=method)
        for i in range(len(X)):
            assert infer_task(net, arrays, X[[i]], coef=coef, method=method) == alone[i]
        together = infer_task(net, arrays, X, coef=coef, method=method, groups=groups)
        for label in range(3):
            rows = groups == label
            assert len(set(together[rows])) == 1
            apart = infer_task(
                net,
                arrays,
                X[rows],
                coef=coef,
                method=method,
                groups=np.zeros(rows.sum()),
            )
            assert (apart == together[rows]).all()


def test_exhaustive_inference_takes_the_least_entropy():
    random = np.random.RandomState(2)
    weights = [random.standard_normal(s) for s in ((9, 6), (5, 9))]
    arrays = [[random.rand(*w.shape) < 0.5 for w in weights] for _ in range(3)]
    coef = random.standard_normal((4, 2, 3))
    X = random.standard_normal((20, 6))
    values = []
    for own in coef:
        first, second = (
            combine_masks(w, [m[i] for m in arrays], own[i])
            for i, w in enumerate(weights)
        )
        logits = np.maximum(X @ first.T, 0) @ second.T
        values.append(row_entropies(torch.tensor(logits)).numpy())
    found = infer_task(mlp(weights), arrays, X, coef=coef, method="exhaustive")
    assert (found == np.argmin(values, axis=0)).all()
    # A copy of a task does not make a third one win.
    copied = np.concatenate([coef, coef[:1]])
    again = infer_task(mlp(weights), arrays, X, coef=copied, method="exhaustive")
    assert (again == found).all()


def test_one_task_is_always_the_one():
    net = mlp([np.ones((3, 2))])
    for method in ("one_shot", "binary", "exhaustive"):
        assert infer_task(
            net, [[np.ones((3, 2))]], np.ones((2, 2)), method=method
        ).tolist() == [0, 0]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(-2, 2), min_size=1, max_size=9))
def test_better_half_ends_and_keeps_the_best(values):
    slopes = np.array([values], dtype=float)
    is_left = np.ones_like(slopes, dtype=bool)
    rounds = 0
    while is_left.sum() > 1:
        before = is_left.sum()
        is_left = better_half(np.where(is_left, slopes, np.inf), is_left)
        assert 0 < is_left.sum() < before
        rounds += 1
    assert slopes[is_left][0] == min(values) and rounds <= 9


def test_entropy_of_sure_and_unsure_rows():
    logits = torch.tensor([[0.0, 0.0], [800.0, 0.0], [3.0, 1.0]])
    p = 1 / (1 + np.exp(-2.0))
    expected = [np.log(2), 0.0, -p * np.log(p) - (1 - p) * np.log(1 - p)]
    np.testing.assert_allclose(row_entropies(logits), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "best"}, r"method must be one of"),
        ({"objective": "loss"}, r"objective must be one of"),
        ({"objective": "superfluous"}, r"n_real must be given"),
        ({"coef": np.ones((2, 1, 3))}, r"coef must have shape \(n_tasks, 1, 2\)"),
        ({"groups": [1]}, r"one label for each of the 2 rows"),
        ({"masks": []}, r"masks must hold"),
        ({"masks": [[np.ones((2, 2))]]}, r"masks must have the shapes of the weights"),
    ],
)
def test_errors_name_what_is_wrong(options, message):
    arguments = {"masks": [[np.ones((3, 2))]] * 2} | options
    with pytest.raises(ValueError, match=message):
        infer_task(mlp([np.ones((3, 2))]), X=np.ones((2, 2)), **arguments)


def test_input_is_checked():
    with pytest.raises(TypeError, match=r"module must be a torch.nn.Module"):
        infer_task("mlp", [[np.ones((3, 2))]], np.ones((2, 2)))
    for X in (np.full((2, 2), np.nan), np.ones((0, 2))):
        with pytest.raises(ValueError, match=r"X must hold rows of finite numbers"):
            infer_task(mlp([np.ones((3, 2))]), [[np.ones((3, 2))]], X)


def test_groups_become_positions():
    mixed = np.array(["b", None, "b"], dtype=object)
    assert group_codes(mixed, 3).tolist() == [0, 1, 0]
    assert group_codes(["b", "a", "b"], 3).tolist() == [1, 0, 1]
    assert group_codes(None, 3).tolist() == [0, 1, 2]
