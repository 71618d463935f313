"""TaskDisplay: what is stored and drawn."""

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from sklvyso import ImpressLearnClassifier
from sklvyso.plotting import TaskDisplay

mpl.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    mpl.pyplot.close("all")


def test_memory_is_that_of_the_report():
    X, y = load_digits(return_X_y=True)
    learner = ImpressLearnClassifier(
        hidden_layer_sizes=(20,), n_impressions=2, max_epochs=1, coef_max_epochs=1
    )
    for task in "abc":
        learner.set_params(new_task="coefficients").partial_fit(X, y, task=task)
    display = TaskDisplay.from_estimator(learner, alpha=0.5)
    report = learner.memory_report()
    heights = [bar.get_height() for bar in display.bars_["masks"]]
    assert heights == report["mask_bytes"].tolist()
    assert display.bars_["coefficients"][2].get_height() == 2 * 2 * 4
    assert set(display.bars_) == {"masks", "coefficients"}
    labels = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert labels == ["a", "b", "c"]
    with pytest.raises(TypeError, match=r"ImpressLearnClassifier. Got StandardScaler"):
        TaskDisplay.from_estimator(StandardScaler().fit(X))


def test_a_matrix_is_drawn_by_task():
    matrix = np.array([[0.9, np.nan], [0.9, 0.4]])
    display = TaskDisplay.from_matrix(matrix, ["a", "b"])
    np.testing.assert_array_equal(display.image_.get_array().filled(np.nan), matrix.T)
    assert [text.get_text() for text in display.ax_.texts] == ["0.90", "0.90", "0.40"]
    again = display.plot(name="accuracy")
    assert again is display and display.ax_.get_title() == "accuracy"


def test_curves_levels_and_bands():
    curves = {"a": [0.1, 0.5], "b": ([0.2, 0.3], [0.01, 0.02]), "level": 0.9}
    display = TaskDisplay.from_counts([1, 5], curves)
    assert display.lines_["a"].get_ydata().tolist() == [0.1, 0.5]
    assert display.lines_["level"].get_ydata().tolist() == [0.9, 0.9]
    assert len(display.ax_.collections) == 1
    labels = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert labels == ["1", "5"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"One of memory, accuracy and counts must be given. Got 0"),
        ({"counts": [1], "accuracy": [[1]]}, r"Got 2 of them"),
        ({"counts": [1]}, r"curves must hold a curve"),
        ({"accuracy": [[1, 2]], "tasks": ["a"]}, r"a column for each of tasks"),
    ],
)
def test_errors_name_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        TaskDisplay(**options)
