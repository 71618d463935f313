"""The search for the effective target, and the report."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sklvyso.networks import make_network
from sklvyso.sparsity import sparsity_report
from sklvyso.sparsity._connectivity import Connectivity
from sklvyso.sparsity._search import NestedMasks, as_fraction, largest_step
from sklvyso.sparsity._weights import prunable_weights

FOLDER = Path(__file__).parents[1] / "data" / "effective_sparsity"
CASES = json.loads((FOLDER / "effective_target.json").read_text())
NETWORKS = {
    "LeNet-5": ("lenet-5", (3, 32, 32)),
    "LeNet-300-100": ("lenet-300-100", (1, 28, 28)),
}


def shapes_of(net):
    return {name: tuple(weight.shape) for name, weight in prunable_weights(net).items()}


@pytest.mark.parametrize(
    "case", CASES, ids=lambda c: f"{c['net']}-{c['kind']}-{c['target_compression']}"
)
def test_step_equals_the_stored_one(case):
    name, shape = NETWORKS[case["net"]]
    net = make_network(name, shape, 10)
    rng = np.random.default_rng(case["seed"])
    scores = []
    for weight_shape in shapes_of(net).values():
        layer = rng.random(weight_shape)
        if case["kind"] == "fan":
            layer /= np.sqrt(np.prod(weight_shape[1:]))
        scores.append(layer.ravel())
    nested = NestedMasks(
        np.argsort(np.concatenate(scores), kind="stable"), shapes_of(net)
    )
    k, at_k, at_next = largest_step(
        nested, Connectivity(net, shape), 1 - 1 / case["target_compression"]
    )
    exact = case["exact"]
    assert k == exact["n_pruned"]
    kept = [weights.count for weights in nested.at(k).values()]
    assert kept == exact["kept_per_layer"]
    active = [weights.count for weights in at_k.active.values()]
    assert active == exact["active_per_layer"]
    assert at_next.count == exact["active_at_next_k"]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_step_equals_that_of_trying_all(seed, sparsity):
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    order = np.random.default_rng(seed).permutation(18)
    nested = NestedMasks(order, shapes_of(net))
    connectivity = Connectivity(net, (4,))
    counts = [connectivity.measure(nested.at(k)).count for k in range(19)]
    target = as_fraction(sparsity)
    fits = [k for k in range(19) if Fraction(18 - counts[k], 18) <= target]
    k, at_k, at_next = largest_step(nested, connectivity, sparsity)
    assert k == max(fits) and at_k.count == counts[k]
    assert at_next.count == counts[min(k + 1, 18)]


@pytest.mark.parametrize("compression", [3, 7, 10, 61_770, 266_200])
def test_sparsity_of_a_compression_is_the_fraction_that_was_meant(compression):
    meant = 1 - Fraction(1, compression)
    assert as_fraction(1 - 1 / compression) == meant


def test_report_by_hand():
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    masks = {
        "0.weight": np.array([[1, 0, 0], [0, 1, 0]]),
        "2.weight": np.array([[1, 0], [1, 0]]),
    }
    report = sparsity_report(net, masks, (3,))
    assert (report.n_weights, report.n_kept, report.n_active) == (10, 4, 3)
    assert report.direct_sparsity == 0.6 and report.effective_sparsity == 0.7
    assert report.direct_compression == 2.5
    assert report.n_disconnected_inputs == 2
    assert report.n_disconnected_outputs == 0
    assert [layer["active"] for layer in report.layers] == [1, 2]
    frame = report.to_frame()
    assert frame.loc["0.weight", "kept"] == 2


def test_report_names_what_is_cut():
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    report = sparsity_report(net, {"0.weight": np.zeros((2, 3))}, (3,))
    assert report.collapsed_layers == report.blocked_layers == ["0.weight"]
    assert report.effective_compression == np.inf
    crossed = {
        "0.weight": np.array([[1, 1, 1], [0, 0, 0]]),
        "2.weight": np.array([[0, 1], [0, 1]]),
    }
    report = sparsity_report(net, crossed, (3,))
    assert report.collapsed_layers == [] and report.blocked_layers == ["2.weight"]
    assert "signal ends in: 2.weight" in repr(report)
