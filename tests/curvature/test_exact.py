"""Exact traces and norms: golden values, dense references, proofs and refusals."""

import copy
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sklvyso.curvature import (
    GaussNewtonOperator,
    HessianOperator,
    ResidualOperator,
)
from sklvyso.curvature._exact import pair_distances, traces_at_temperatures
from sklvyso.curvature._piecewise import nonlinearity
from sklvyso.networks import make_network

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
sys.path.insert(0, str(Path(__file__).parent))
from curvature import dense_parts
from test_operators import CASES, GOLDEN, case, golden_net

SCALES = json.loads(
    (Path(__file__).parents[1] / "data/goldilocks/mlp_4_6_5_3.json").read_text()
)["scales"]
LINEAR_IN_PIECES = {"conv-bn", "dropout", "branched"}


@pytest.mark.parametrize("alpha", list(SCALES))
def test_golden_traces_and_norms(alpha):
    # The keys carry six digits of a quarter power of ten.
    net = golden_net(10 ** (np.round(4 * np.log10(float(alpha))) / 4))
    part = GaussNewtonOperator(net, GOLDEN["X"], GOLDEN["y"])
    expected = SCALES[alpha]["G"]
    if expected["fro"] < 1e-250:
        return
    np.testing.assert_allclose(part.exact_trace(), expected["trace"], rtol=1e-9)
    np.testing.assert_allclose(part.exact_frobenius_norm(), expected["fro"], rtol=1e-9)
    if float(alpha) < 10:  # above, the stored trace of H is rounding
        whole = HessianOperator(net, GOLDEN["X"], GOLDEN["y"]).exact_trace()
        np.testing.assert_allclose(whole, SCALES[alpha]["H"]["trace"], rtol=1e-9)
    assert ResidualOperator(net, GOLDEN["X"], GOLDEN["y"]).exact_trace() == 0.0


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_exact_values_equal_dense_ones(name, temperature):
    module, X, y = case(name)
    whole, part, _ = dense_parts(copy.deepcopy(module), X, y, temperature=temperature)
    options = {"temperature": temperature, "batch_size": 4}
    operator = GaussNewtonOperator(module, X, y, **options)
    for _ in range(2):
        np.testing.assert_allclose(operator.exact_trace(), np.trace(part), rtol=1e-10)
        np.testing.assert_allclose(
            operator.exact_frobenius_norm(), np.linalg.norm(part), rtol=1e-10
        )
    by_parameter = operator.exact_trace_by_parameter()
    for key, rows in operator.parameter_slices.items():
        np.testing.assert_allclose(
            by_parameter[key], np.trace(part[rows, rows]), rtol=1e-9, atol=1e-14
        )
    hessian = HessianOperator(module, X, y, **options)
    if name in LINEAR_IN_PIECES:
        np.testing.assert_allclose(hessian.exact_trace(), np.trace(whole), rtol=1e-10)
    else:
        with pytest.raises(ValueError, match="which is not proved here"):
            hessian.exact_trace()
        with pytest.raises(ValueError, match="which is not proved here"):
            ResidualOperator(module, X, y).exact_trace()


def test_a_subset_of_parameters_has_its_own_trace():
    module, X, y = case("conv-bn")
    whole = HessianOperator(module, X, y)
    for params in ("0", "1", "5"):
        np.testing.assert_allclose(
            whole.block(params).exact_trace(),
            sum(
                value
                for key, value in whole.exact_trace_by_parameter().items()
                if key.startswith(params)
            ),
            rtol=1e-12,
        )
    # The last layer alone is linear, whatever comes before.
    module, X, y = case("tanh")
    last = HessianOperator(module, X, y, params="2")
    np.testing.assert_allclose(
        last.exact_trace(), np.trace(last.to_dense()), rtol=1e-10
    )


def test_float32_is_right_to_its_digits():
    torch.manual_seed(0)
    net = make_network("lenet-5", (1, 28, 28), 10)
    X = np.random.RandomState(0).rand(40, 1, 28, 28)
    y = np.arange(40) % 10
    single = HessianOperator(net, X, y).exact_trace()
    double = HessianOperator(net.double(), X, y).exact_trace()
    np.testing.assert_allclose(single, double, rtol=1e-4)  # the bar of the method


def test_one_set_of_products_serves_all_temperatures():
    module, X, y = case("conv-bn")
    problem = GaussNewtonOperator(module, X, y, batch_size=4).problem
    distances = pair_distances(problem)
    temperatures = np.array([0.05, 0.5, 1.0, 20.0])
    expected = [
        GaussNewtonOperator(module, X, y, temperature=t).exact_trace()
        for t in temperatures
    ]
    found = traces_at_temperatures(problem, distances, temperatures)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_residual_part_has_no_diagonal_where_that_is_proved():
    for name in CASES:
        module, X, y = case(name)
        dense = ResidualOperator(module, X, y).to_dense()
        is_zero = abs(np.diag(dense)).max() < 1e-14
        assert is_zero == (name in LINEAR_IN_PIECES)


def test_norms_that_are_too_large_are_named():
    X = np.random.RandomState(0).randn(2100, 4)
    net = nn.Linear(4, 3)
    with pytest.raises(ValueError, match="6300 rows, more than 6000"):
        GaussNewtonOperator(net, X, np.zeros(2100, int)).exact_frobenius_norm()
    with pytest.raises(ValueError, match=r"must be the Gauss-Newton part.*a HessianOp"):
        HessianOperator(net, X[:5], np.zeros(5, int)).exact_frobenius_norm()


# -- proofs ---------------------------------------------------------------------------


class Gated(nn.Module):
    def __init__(self, same):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)
        self.same = same

    def forward(self, X):
        left = self.a(X)
        right = left if self.same else self.b(X)
        return self.c(left * functional.relu(right))


class ByValue(nn.Module):
    """Takes a smooth path for some rows only."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 2)

    def forward(self, X):
        logits = self.a(X)
        return torch.tanh(logits) if (X > 5).any() else functional.relu(logits)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, X):
        return self.b(X + functional.linear(functional.relu(self.a(X)), self.a.weight))


PROVED = {
    "mlp": (lambda: make_network("lenet-300-100", (3,), 2), (4, 3)),
    "vgg": (
        lambda: make_network("vgg16", (3, 32, 32), 2, batch_norm=True),
        (2, 3, 32, 32),
    ),
    "resnet": (lambda: make_network("resnet18", (3, 32, 32), 2), (2, 3, 32, 32)),
    "gate of two layers": (lambda: Gated(False), (4, 3)),
    "prelu": (lambda: nn.Sequential(nn.Linear(3, 2), nn.PReLU()), (4, 3)),
    "leaky": (
        lambda: nn.Sequential(
            nn.Conv1d(1, 2, 2, padding=1, padding_mode="reflect"),
            nn.LeakyReLU(),
            nn.MaxPool1d(2),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Hardtanh(),
            nn.Linear(2, 2),
        ),
        (4, 1, 6),
    ),
}
REFUSED = {
    "gelu": (lambda: nn.Sequential(nn.Linear(3, 2), nn.GELU()), "'Gelu'"),
    "swish": (lambda: nn.Sequential(nn.Linear(3, 2), nn.SiLU()), "'Silu'"),
    "softmax": (lambda: nn.Sequential(nn.Linear(3, 2), nn.Softmax(1)), "'Softmax'"),
    "layer norm": (
        lambda: nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)),
        "'NativeLayerNorm'",
    ),
    "batch statistics": (
        lambda: nn.Sequential(
            nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False)
        ),
        "statistics of the batch",
    ),
    "gate of one layer": (lambda: Gated(True), "depend on the same parameter"),
    "by value": (ByValue, "'Tanh'"),
    "functional": (Functional, "used more than once"),
    "weight norm": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)),
        "",
    ),
}


@pytest.mark.parametrize("name", list(PROVED))
def test_piecewise_linear_networks_are_proved(name):
    torch.manual_seed(0)
    make, shape = PROVED[name]
    module = make().eval()
    X = torch.randn(shape)
    assert nonlinearity(module(X), list(module.parameters())) is None


@pytest.mark.parametrize("name", list(REFUSED))
def test_others_are_refused_with_a_reason(name):
    torch.manual_seed(0)
    make, reason = REFUSED[name]
    X = np.random.RandomState(0).randn(6, 3)
    X[5] = 7.0
    operator = HessianOperator(make(), X, np.zeros(6, int), batch_size=5)
    with pytest.raises(ValueError, match=f"not proved here: .*{reason}"):
        operator.exact_trace()
    # The Gauss-Newton part has its exact trace all the same, where rows have theirs.
    part = GaussNewtonOperator(make().double(), X, np.zeros(6, int))
    if name in ("batch statistics", "by value"):
        with pytest.raises(ValueError, match="other rows of its batch"):
            part.exact_trace()
        return
    np.testing.assert_allclose(part.exact_trace(), np.trace(part.to_dense()), rtol=1e-9)
