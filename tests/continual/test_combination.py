"""Combinations of masks: golden forward passes, gradients and steps; backbones."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sklvyso.continual import combine_masks
from sklvyso.continual._backbone import Backbone, make_backbone, set_weights
from sklvyso.continual._combination import (
    CoefficientLearner,
    MaskProducts,
    effective_weights,
    one_hot,
)
from sklvyso.continual._masks import pack_mask

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from masked_networks import mlp, packed

FOLDER = Path(__file__).parents[1] / "data/impresslearn"
FORWARD = json.loads((FOLDER / "impress_forward.json").read_text())
CONV = json.loads((FOLDER / "impress_conv.json").read_text())


@pytest.mark.parametrize("case", FORWARD["cases"], ids=lambda c: c["init"])
def test_golden_combinations(case):
    backbone = Backbone(mlp(FORWARD["weights"]))
    masks = packed(FORWARD["masks"])
    coef = np.array(case["coef"])
    X = torch.tensor(FORWARD["x"], dtype=torch.float64)
    y = torch.tensor(FORWARD["y"]).long()
    learner = CoefficientLearner(backbone, masks, coef)
    for found, expected in zip(
        learner.effective_weights(), case["effective_weights"], strict=True
    ):
        np.testing.assert_allclose(found.detach(), expected, rtol=1e-6, atol=1e-7)
    for found, expected in zip(
        effective_weights(backbone, masks, coef), case["effective_weights"], strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(
        learner(X).detach(), case["logits"], rtol=1e-6, atol=1e-7
    )
    loss = nn.functional.cross_entropy(learner(X), y)
    np.testing.assert_allclose(loss.item(), case["loss"], rtol=1e-7)
    (gradient,) = torch.autograd.grad(loss, learner.coef)
    np.testing.assert_allclose(gradient, case["coef_grads"], rtol=1e-6, atol=1e-7)
    penalty = case["penalty"]["lam"] * learner.l1_excess().item()
    np.testing.assert_allclose(penalty, case["penalty"]["value"], rtol=1e-6, atol=1e-7)
    optimizer = torch.optim.Adam(learner.parameters(), lr=case["adam_lr"])
    for step in case["adam_steps"]:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(learner(X), y)
        np.testing.assert_allclose(loss.item(), step["loss_before"], rtol=1e-6)
        loss.backward()
        optimizer.step()
        np.testing.assert_allclose(learner.coef.detach(), step["coef"], rtol=1e-6)


def test_golden_convolution():
    weight = torch.tensor(CONV["weight"], dtype=torch.float64)
    layer = nn.Conv2d(3, 4, 3, padding=CONV["padding"], bias=False).double()
    layer.weight.data = weight
    backbone = Backbone(nn.Sequential(layer))
    masks = [[pack_mask(np.array(mask, dtype=bool))] for mask in CONV["masks"]]
    learner = CoefficientLearner(backbone, masks, np.array([CONV["coef"]]))
    X = torch.tensor(CONV["x"], dtype=torch.float64)
    output = learner(X).detach()
    np.testing.assert_allclose(output, CONV["output"], rtol=1e-6, atol=1e-7)
    effective = combine_masks(np.array(CONV["weight"]), CONV["masks"], CONV["coef"])
    np.testing.assert_allclose(
        effective, CONV["effective_weight"], rtol=1e-6, atol=1e-7
    )


def test_masks_unpacked_one_at_a_time_give_the_same():
    random = np.random.RandomState(0)
    weight = torch.tensor(random.standard_normal((5, 7)))
    masks = [pack_mask(random.rand(5, 7) < 0.5) for _ in range(3)]
    coef = torch.tensor(random.standard_normal(3), requires_grad=True)
    fast, slow = MaskProducts(weight, masks), MaskProducts(weight, masks)
    assert fast.expand(10**6) == 4 * 3 * 35 and slow.expand(10) == 0
    found = [part.combine(coef) for part in (fast, slow)]
    np.testing.assert_allclose(*(f.detach() for f in found), rtol=1e-12)
    along = torch.tensor(random.standard_normal((5, 7)))
    gradients = [torch.autograd.grad((f * along).sum(), coef)[0] for f in found]
    np.testing.assert_allclose(*gradients, rtol=1e-12)


def test_one_hot_coefficients_are_exactly_the_mask():
    random = np.random.RandomState(0)
    backbone = make_backbone(None, (6,), 5, (8,), None, seed=1)
    masks = packed([[random.rand(*s) < 0.5 for s in backbone.shapes] for _ in range(3)])
    weights = effective_weights(backbone, masks, one_hot(2, 3, 1))
    for found, frozen, bits in zip(weights, backbone.weights, masks[1], strict=True):
        kept = np.unpackbits(bits, count=frozen.numel()).reshape(frozen.shape)
        assert torch.equal(found, frozen * torch.tensor(kept))


def test_scaling_the_coefficients_of_a_layer_changes_no_prediction():
    random = np.random.RandomState(0)
    backbone = make_backbone(None, (6,), 5, (8, 7), None, seed=1)
    masks = packed([[random.rand(*s) < 0.5 for s in backbone.shapes] for _ in range(3)])
    coef = random.standard_normal((3, 3)).astype(np.float32)
    X = torch.tensor(random.standard_normal((50, 6)), dtype=torch.float32)
    module = backbone.clone()

    def predicted(numbers):
        weights = effective_weights(backbone, masks, numbers)
        set_weights(backbone.layers(module), weights)
        return module(X).argmax(1)

    scaled = coef * np.array([[3.0], [0.2], [7.0]], dtype=np.float32)
    assert torch.equal(predicted(coef), predicted(scaled))


def test_a_backbone_is_a_function_of_its_seed():
    first, again, other = (
        make_backbone(None, (6,), 5, (8,), None, seed) for seed in (1, 1, 2)
    )
    assert first.checksum() == again.checksum() != other.checksum()
    assert not any(p.requires_grad for p in first.module.parameters())


def test_gem_resnet_has_21_masked_layers_and_statistics_of_its_own():
    backbone = make_backbone("gem-resnet18", (3, 32, 32), 5, (), None, seed=0)
    assert len(backbone.names) == 21 and backbone.names[-1] == "classifier"
    assert sum(w.numel() for w in backbone.weights) == 1_090_940
    statistics = [b for name, b in backbone.buffers.items() if "running" in name]
    assert sum(b.numel() for b in statistics) == 2 * 1_500
    clone = backbone.clone()
    set_weights(backbone.layers(clone), backbone.weights)
    assert not backbone.changed_buffers(clone)
    clone.train()(torch.randn(4, 3, 32, 32))
    changed = backbone.changed_buffers(clone)
    assert set(changed) == set(backbone.buffers)
    for name, buffer in backbone.clone(changed).named_buffers():
        assert (buffer.numpy() == changed[name]).all()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Linear(4, 4, bias=False) for _ in range(2))
        self.b.weight = self.a.weight

    def forward(self, X):
        return self.b(self.a(X))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(3, 2), r"no trainable bias. Linear \(Linear\) has one.*bias=False"),
        (
            nn.Sequential(nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3)),
            r"without scale and shift. 1 \(BatchNorm1d\).*affine=False",
        ),
        (
            nn.Sequential(nn.Linear(3, 3, bias=False), nn.PReLU()),
            r"masks cannot stand for. 1 \(PReLU\).*requires_grad_\(False\)",
        ),
        (Tied(), r"must not share parameters between layers.*'b.weight'"),
        (nn.Flatten(), r"must have a linear layer or a convolution"),
    ],
    ids=["bias", "affine", "prelu", "tied", "nothing"],
)
def test_modules_that_masks_cannot_train_are_refused(module, message):
    with pytest.raises(ValueError, match=message):
        Backbone(module)


def test_frozen_parts_are_shared_by_clones_and_left_alone():
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    module[0].requires_grad_(False)
    backbone = Backbone(module)
    assert backbone.names == ["2"]
    assert backbone.clone()[0].weight is backbone.module[0].weight
