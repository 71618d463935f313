"""Modules that look simpler than they are: no exact value of them may be wrong."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklvyso.curvature import (
    GaussNewtonOperator,
    HessianOperator,
    ResidualOperator,
    trace,
)
from sklvyso.curvature._piecewise import homogeneity, nonlinearity


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.o = nn.Linear(4, 4), nn.Linear(4, 3)


class UsedTwice(TwoLayers):
    def forward(self, x):
        return self.o(self.a(x)) + F.linear(x, self.o.weight)


class UsedTwiceBySome(TwoLayers):
    """The row that decides is none of those that formulas are tried on."""

    def forward(self, x):
        extra = F.linear(x, self.o.weight) * (x[:, :1] > 1.5)
        return self.o(self.a(x)) + (extra if (x[:, 0] > 1.5).any() else 0)


class Sorting(TwoLayers):
    def forward(self, x):
        order = x[:, 0].argsort()
        return self.o(self.a(x[order]).relu())[order.argsort()]


class Centring(TwoLayers):
    def forward(self, x):
        hidden = self.a(x)
        return self.o((hidden - hidden.mean(0)).relu())


class Complex(TwoLayers):
    def forward(self, x):
        return self.o((self.a(x) + 1j * self.a(2 * x + 1).detach()).abs())


class Linear(torch.autograd.Function):
    """A square by the name of a layer."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0] * grad


class Custom(TwoLayers):
    def forward(self, x):
        return self.o(Linear.apply(self.a(x)))


def scripted():
    return torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3)))


def centring_with_a_zero_head():
    module = Centring()
    nn.init.zeros_(module.o.weight)
    nn.init.zeros_(module.o.bias)
    return module


MODULES = {
    "used twice": UsedTwice,
    "used twice by some rows": UsedTwiceBySome,
    "sorting": Sorting,
    "centring": Centring,
    "centring, zero head": centring_with_a_zero_head,
    "complex": Complex,
    "custom": Custom,
    "scripted": scripted,
}


def rows():
    X = np.random.RandomState(0).standard_normal((12, 4))
    X[4, 0] = 2.0
    # Those that formulas are tried on are in order already.
    X[[0, 6, 11], 0] = [-1.0, 0.0, 1.0]
    return X, np.arange(12) % 3


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("kind", [HessianOperator, GaussNewtonOperator])
def test_exact_values_are_right_or_refused(name, kind):
    torch.manual_seed(0)
    operator = kind(MODULES[name]().double(), *rows())
    dense = operator.to_dense()
    for method, expected in (
        ("exact_trace", np.trace(dense)),
        ("exact_frobenius_norm", np.linalg.norm(dense)),
    ):
        try:
            found = getattr(operator, method)()
        except ValueError:
            continue
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    # What is left is the diagonal of the matrix, or probes.
    np.testing.assert_allclose(trace(operator)[0], np.trace(dense), rtol=1e-9)


def test_a_frozen_or_zero_bias_is_no_factor():
    X = torch.randn(5, 4)
    for module, degree in (
        (
            nn.Sequential(
                nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 3, bias=False)
            ),
            2,
        ),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3, bias=False)), None),
        (nn.Linear(4, 3), 1),
        (
            nn.Sequential(
                nn.Linear(4, 4, bias=False), nn.ReLU6(), nn.Linear(4, 3, bias=False)
            ),
            None,
        ),
        (
            nn.Sequential(
                nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 3, bias=False)
            ),
            None,
        ),
    ):
        tensors = list(module.parameters())
        if degree is None and len(tensors) == 3:
            nn.init.zeros_(module[0].bias)
        found = homogeneity(module(X), tensors)
        # Layer by layer: a bias of degree 1 fits a product of degree 1.
        expected = 2 if len(tensors) == 3 else degree
        assert found == expected
    module[0].weight.requires_grad_(False)
    frozen = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3, bias=False))
    frozen[0].bias.requires_grad_(False)
    assert (
        homogeneity(frozen(X), [p for p in frozen.parameters() if p.requires_grad])
        is None
    )
    image = torch.randn(2, 1, 6, 6)
    for bias, degree in ((False, 2), (True, None)):
        net = nn.Sequential(
            nn.Conv2d(1, 2, 3, bias=False),
            nn.MaxPool2d(2),
            nn.Conv2d(2, 3, 2, bias=bias),
            nn.Flatten(),
        )
        assert homogeneity(net(image), list(net.parameters())) == degree


def test_leaves_that_are_no_parameters_end_a_proof():
    layer, other = nn.Linear(4, 3), torch.ones(3, requires_grad=True)
    outputs = layer(torch.randn(2, 4)) * other
    assert "ends in something else" in nonlinearity(outputs, list(layer.parameters()))


def test_weight_norm_is_refused_where_torch_is_wrong():
    module = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
        nn.ReLU(),
        nn.Linear(4, 3),
    ).double()
    X, y = rows()
    for kind in (HessianOperator, ResidualOperator):
        with pytest.raises(ValueError, match=r"weight_norm.*remove_parametrizations"):
            kind(module, X, y) @ np.ones(39)
    G = GaussNewtonOperator(module, X, y)
    dense = G.to_dense()
    jacobian = torch.autograd.functional.jacobian
    tensors = dict(module.named_parameters())

    def logits(*values):
        weights = dict(zip(tensors, values, strict=True))
        return torch.func.functional_call(module, weights, (torch.tensor(X),))

    with torch.no_grad():
        p = logits(*tensors.values()).softmax(1)
    parts = jacobian(logits, tuple(t.detach() for t in tensors.values()))
    J = torch.cat([part.flatten(2) for part in parts], dim=2)
    S = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    expected = torch.einsum("nkp,nkl,nlq->pq", J, S, J) / len(X)
    np.testing.assert_allclose(dense, expected, atol=1e-12)


def test_operators_work_without_gradients_and_on_complex_vectors():
    X, y = rows()
    torch.manual_seed(0)
    net = nn.Linear(4, 3).double()
    operator = HessianOperator(net, X, y)
    v, w = np.random.RandomState(0).standard_normal((2, 15))
    expected = operator @ v
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            inside = HessianOperator(net, X, y)
            np.testing.assert_allclose(inside @ v, expected, rtol=1e-12)
            assert inside.exact_trace() == pytest.approx(operator.exact_trace())
    np.testing.assert_allclose(operator @ (v + 1j * w), expected + 1j * (operator @ w))
    both = operator @ np.stack([1j * v, w + 0j], axis=1)
    np.testing.assert_allclose(both[:, 0], 1j * expected)


def test_small_norms_do_not_underflow():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 30), nn.ReLU(), nn.Linear(30, 3)).double()
    X, y = rows()
    net[2].bias.data = torch.tensor([400.0, 0.0, 0.0], dtype=torch.float64)
    norm = GaussNewtonOperator(net, X, y).exact_frobenius_norm()
    total = GaussNewtonOperator(net, X, y).exact_trace()
    assert 0 < norm <= total < 1e-150
