"""SparsityDisplay: arrays and artists, not pixels."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from torch import nn

from sklvyso import EffectiveSparsityPruner
from sklvyso.plotting import SparsityDisplay
from sklvyso.sparsity import sparsity_report


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_bars_are_the_counts_of_the_report():
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    report = sparsity_report(net, {"0.weight": np.eye(2, 3)}, (3,))
    display = SparsityDisplay.from_report(report)
    for label, key in (("weights", "n_weights"), ("kept", "kept"), ("active",) * 2):
        widths = [bar.get_width() for bar in display.bars_[label]]
        assert widths == [layer[key] for layer in report.layers]
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == ["0.weight", "2.weight"]


def test_given_axes_are_used_and_a_fitted_pruner_is_taken():
    X, y = load_digits(return_X_y=True)
    pruner = EffectiveSparsityPruner(random_state=0)
    with pytest.raises(NotFittedError):
        SparsityDisplay.from_estimator(pruner)
    figure, ax = plt.subplots()
    display = SparsityDisplay.from_estimator(pruner.prune(X, y), ax=ax)
    assert display.ax_ is ax and display.figure_ is figure


def test_curves_show_infinity_at_the_upper_edge():
    curves = {"a": ([1, 10, 100], [1, 20, np.inf])}
    display = SparsityDisplay.from_curves(curves)
    x, y = display.lines_["a"].get_data()
    np.testing.assert_array_equal(x, [1, 10, 100])
    np.testing.assert_array_equal(y[:2], [1, 20])
    assert y[2] == display.ax_.get_ylim()[1]


def test_one_of_layers_and_curves():
    with pytest.raises(ValueError, match="One of layers and curves"):
        SparsityDisplay()


def test_layers_without_active_weights_are_marked():
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    masks = {"0.weight": np.zeros((2, 3)), "2.weight": np.eye(2)}
    display = SparsityDisplay.from_report(sparsity_report(net, masks, (3,)))
    notes = {name: note.get_text() for name, note in display.notes_.items()}
    assert notes == {"0.weight": "none kept", "2.weight": "none active"}
    report = sparsity_report(net, {}, (3,))
    assert SparsityDisplay.from_report(report).notes_ == {}


@pytest.mark.parametrize("n_layers", [2, 17])
def test_the_legend_lies_under_the_label_and_in_the_figure(n_layers):
    layers = [
        {"name": f"{i}.weight", "n_weights": 100, "kept": 10, "active": i}
        for i in range(n_layers)
    ]
    display = SparsityDisplay(layers=layers).plot()
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend().get_window_extent()
    label = display.ax_.xaxis.label.get_window_extent()
    assert 0 <= legend.y0 and legend.y1 <= label.y0
    assert label.y0 - legend.y1 < 20  # pixels


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="must hold something"):
        SparsityDisplay(curves={})
