"""CurvatureDisplay: stored arrays and artists."""

import numpy as np
import pytest

from sklvyso import GoldilocksProbe, NetworkClassifier
from sklvyso.plotting import CurvatureDisplay

pytest.importorskip("matplotlib").use("Agg")


@pytest.fixture
def probe():
    rng = np.random.RandomState(0)
    X, y = rng.randn(40, 3), np.arange(40) % 3
    network = NetworkClassifier(hidden_layer_sizes=(5,), module_params={"bias": False})
    return GoldilocksProbe(
        network, scales=[0.1, 1.0, 10.0], n_init=2, random_state=0
    ).fit(X, y)


def test_sweep_has_curves_bands_and_zone(probe):
    display = CurvatureDisplay.from_estimator(probe)
    assert list(display.lines_) == ["Hessian", "Gauss-Newton part", "rest"]
    line = display.lines_["Hessian"]
    np.testing.assert_array_equal(line.get_xdata(), probe.scales_)
    np.testing.assert_array_equal(line.get_ydata(), probe.curvature_)
    band = display.bands_["Hessian"].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(
        (probe.curvature_ + probe.curvature_stderr_).max()
    )
    assert (display.zone_ is None) == (probe.zone_ is None)
    assert display.ax_.get_xlabel() == "scale"
    only = CurvatureDisplay.from_estimator(probe, parts=("h",), ax=display.ax_)
    assert list(only.lines_) == ["Hessian"] and only.ax_ is display.ax_


def test_spectrum_has_a_stem_a_node():
    nodes, weights = np.array([-1.0, 0.0, 5.0]), np.array([0.2, 0.7, 0.1])
    display = CurvatureDisplay.from_spectrum(nodes, weights)
    np.testing.assert_array_equal(display.lines_["density"].get_ydata(), weights)
    assert len(display.stems_.get_segments()) == 3


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "One of scales and nodes"),
        ({"scales": [1.0]}, "curves must hold"),
        ({"nodes": [1.0], "weights": [1.0, 2.0]}, "one entry for each node"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        CurvatureDisplay(**options)


def test_a_probe_without_a_sweep_is_named(probe):
    skipped = GoldilocksProbe("mlp", scales=(), random_state=0)
    skipped.fit(np.eye(6), np.arange(6) % 2)
    with pytest.raises(ValueError, match="skipped the sweep"):
        CurvatureDisplay.from_estimator(skipped)
