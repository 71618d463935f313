"""Operators: golden matrices, dense references, chunks, blocks; modules stay."""

import copy
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh
from torch import nn

from sklvyso.curvature import (
    GaussNewtonOperator,
    HessianOperator,
    ResidualOperator,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from curvature import dense_parts

GOLDEN = np.load(Path(__file__).parents[1] / "data/goldilocks/mlp_4_6_5_3.npz")
KINDS = {"H": HessianOperator, "G": GaussNewtonOperator, "Hf": ResidualOperator}


def golden_net(alpha=1.0):
    net = nn.Sequential(
        nn.Linear(4, 6, bias=False),
        nn.ReLU(),
        nn.Linear(6, 5, bias=False),
        nn.ReLU(),
        nn.Linear(5, 3, bias=False),
    ).double()
    with torch.no_grad():
        for layer, name in ((0, "W1"), (2, "W2"), (4, "W3")):
            net[layer].weight.copy_(torch.tensor(GOLDEN[name]) * alpha)
    return net


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("alpha", ["0.01", "1", "10", "100"])
@pytest.mark.parametrize("batch_size", [None, 1, 5])
def test_golden_matrices(kind, alpha, batch_size):
    operator = KINDS[kind](
        golden_net(float(alpha)), GOLDEN["X"], GOLDEN["y"], batch_size=batch_size
    )
    expected = GOLDEN[f"{kind}_{alpha}"]
    size = np.linalg.norm(expected)
    np.testing.assert_allclose(operator.to_dense(), expected, rtol=0, atol=1e-9 * size)


def test_hessian_is_the_sum_of_its_parts():
    net, X, y = golden_net(), GOLDEN["X"], GOLDEN["y"]
    v = np.random.RandomState(0).randn(69)
    whole, part, rest = (kind(net, X, y) @ v for kind in KINDS.values())
    np.testing.assert_allclose(whole, part + rest, atol=1e-14)


class Branched(nn.Module):
    """Residual, in-place activation, a parameter without influence."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 3)
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, X):
        return self.b(nn.functional.relu_(self.a(X)) + X)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.3, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, X):
        return self.head(self.layer(self.table(X)).mean(1))


def rows(*shape):
    return np.random.RandomState(0).randn(*shape)


def tied():
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(4, 3))


CASES = {
    "tanh": (
        lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)),
        (9, 4),
    ),
    "conv-bn": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3),
            nn.BatchNorm2d(2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2, 3),
        ),
        (9, 1, 4, 5),
    ),
    "dropout": (
        lambda: nn.Sequential(
            nn.Linear(4, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 3)
        ),
        (9, 4),
    ),
    "branched": (Branched, (9, 4)),
    "tied": (tied, (9, 4)),
    "attention": (Tokens, None),
}


def case(name):
    torch.manual_seed(1)
    make, shape = CASES[name]
    module = make().double()
    X = np.arange(36).reshape(9, 4) % 7 if shape is None else rows(*shape)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-1, 1)
            layer.running_var.uniform_(0.5, 2)
    return module, X, np.arange(9) % 3


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.3, "batch_size": 4}, {"reduction": "sum", "batch_size": 8}],
    ids=["plain", "temperature", "sum"],
)
def test_operators_equal_dense_derivatives(name, options):
    module, X, y = case(name)
    reference = {k: v for k, v in options.items() if k != "batch_size"}
    expected = dense_parts(copy.deepcopy(module), X, y, **reference)
    for kind, matrix in zip(KINDS.values(), expected, strict=True):
        dense = kind(module, X, y, **options).to_dense()
        size = np.linalg.norm(expected[0])
        np.testing.assert_allclose(dense, matrix, rtol=0, atol=1e-11 * size)


@pytest.mark.parametrize("name", list(CASES))
def test_the_module_is_only_read(name):
    module, X, y = case(name)
    module.train()
    next(module.parameters()).grad = torch.ones_like(next(module.parameters()))
    list(module.parameters())[-1].requires_grad_(False)
    before = {n: t.clone() for n, t in module.state_dict().items()}
    flags = [p.requires_grad for p in module.parameters()]
    random = torch.get_rng_state()
    for kind in KINDS.values():
        operator = kind(module, X, y)
        operator @ np.ones(operator.shape[0])
    assert torch.equal(random, torch.get_rng_state())
    assert all(layer.training for layer in module.modules())
    assert [p.requires_grad for p in module.parameters()] == flags
    assert torch.equal(
        next(module.parameters()).grad, torch.ones_like(next(module.parameters()))
    )
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key])
    # Frozen parameters are left out, and later changes do not reach the operator.
    assert list(module.state_dict())[-1] not in operator.parameter_names
    v = np.random.RandomState(0).randn(operator.shape[0])
    product = operator @ v
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(operator @ v, product)


def test_float32_products_are_close_to_float64():
    net = golden_net()
    exact = HessianOperator(net, GOLDEN["X"], GOLDEN["y"])
    single = HessianOperator(net.float(), GOLDEN["X"], GOLDEN["y"])
    assert single.dtype == np.float32 and exact.dtype == np.float64
    size = np.linalg.norm(exact.to_dense())
    # float32 has seven digits
    np.testing.assert_allclose(single.to_dense(), exact.to_dense(), atol=1e-5 * size)


@pytest.mark.parametrize("alpha", [10.0, 30.0])
def test_gauss_newton_does_not_cancel_when_saturated(alpha):
    """A PSD matrix has trace >= Frobenius norm; the reference's form yields .67."""
    for dtype in (torch.float32, torch.float64):
        net = golden_net(alpha).to(dtype)
        dense = GaussNewtonOperator(net, GOLDEN["X"], GOLDEN["y"]).to_dense()
        dense = dense.astype(np.float64)
        if np.linalg.norm(dense) > 1e-30:
            assert np.trace(dense) / np.linalg.norm(dense) > 1 - 1e-5


def test_subsets_and_blocks_are_parts_of_the_whole():
    module, X, y = case("tanh")
    whole = HessianOperator(module, X, y)
    dense = whole.to_dense()
    assert whole.parameter_names == ["0.weight", "0.bias", "2.weight", "2.bias"]
    for params, names in (
        ("0", ["0.weight", "0.bias"]),
        (["2.bias", "0.weight"], ["0.weight", "2.bias"]),
    ):
        index = np.concatenate(
            [np.arange(69)[whole.parameter_slices[name]] for name in names]
        )
        for part in (HessianOperator(module, X, y, params=params), whole.block(params)):
            assert part.parameter_names == names
            np.testing.assert_allclose(
                part.to_dense(), dense[np.ix_(index, index)], atol=1e-15
            )
    with pytest.raises(ValueError, match="params must name parameters of the operator"):
        whole.block("0").block("2")


def test_scipy_takes_them():
    operator = HessianOperator(golden_net(), GOLDEN["X"], GOLDEN["y"])
    values = eigsh(operator, k=3, which="LA", return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(values), GOLDEN["eig_H_1"][-3:], rtol=1e-9)
    both = (operator + 2 * operator) @ np.eye(69)
    np.testing.assert_allclose(both, 3 * GOLDEN["H_1"], atol=1e-12)
    np.testing.assert_allclose(operator.H @ np.eye(69), GOLDEN["H_1"], atol=1e-13)


def test_graphs_that_do_not_fit_are_built_anew(monkeypatch):
    import sklvyso.curvature._operators as operators

    module, X, y = case("conv-bn")
    expected = HessianOperator(module, X, y).to_dense()
    monkeypatch.setattr(operators, "_GRAPH_BYTES", 0)
    operator = HessianOperator(module, X, y, batch_size=2)
    np.testing.assert_allclose(operator.to_dense(), expected, atol=1e-14)
    assert operator._kept is None


def test_pickles_travel_without_graphs():
    operator = GaussNewtonOperator(golden_net(), GOLDEN["X"], GOLDEN["y"])
    product = operator @ np.ones(69)
    again = pickle.loads(pickle.dumps(operator))
    assert again._kept is None
    np.testing.assert_array_equal(again @ np.ones(69), product)


def test_a_linear_last_layer_has_no_residual():
    operator = ResidualOperator(golden_net(), GOLDEN["X"], GOLDEN["y"], params="4")
    assert abs(operator.to_dense()).max() == 0


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"module": "net"}, TypeError, "module must be a torch.nn.Module. Got str"),
        ({"X": np.zeros((0, 4))}, ValueError, "X must hold rows"),
        ({"X": np.full((16, 4), np.nan)}, ValueError, "X must be finite"),
        ({"X": np.zeros((16, 3))}, ValueError, r"could not process X.*\(3,\)"),
        ({"X": [["a"]] * 16}, TypeError, "X must hold numbers"),
        ({"y": np.zeros(3, int)}, ValueError, r"each of the 16 rows.*\(3,\)"),
        ({"y": np.full(16, 3)}, ValueError, r"the 3 outputs, 0 to 2. Got 3 to 3"),
        ({"y": np.full(16, -1)}, ValueError, "Got -1 to -1"),
        ({"y": np.full(16, 0.5)}, ValueError, "y must hold output indices.*float64"),
        ({"params": "nothing"}, ValueError, "params must name.*Got 'nothing'"),
        ({"params": []}, ValueError, "at least one"),
        ({"temperature": 0}, ValueError, "temperature must be a finite number > 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be an int >= 1"),
        ({"reduction": "max"}, ValueError, "reduction must be one of"),
        ({"module": golden_net().half()}, ValueError, "float32 or float64"),
        ({"module": golden_net(1e200)}, ValueError, "finite logits"),
        ({"module": nn.Flatten(0)}, ValueError, "require a gradient"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    arguments = {"module": golden_net(), "X": GOLDEN["X"], "y": GOLDEN["y"]} | change
    with pytest.raises(error, match=message):
        HessianOperator(**arguments)
