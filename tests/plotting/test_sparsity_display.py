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
