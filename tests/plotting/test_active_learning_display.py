import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sklvyso import PretrainedActiveLearner
from sklvyso.plotting import ActiveLearningDisplay

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")


@pytest.fixture(scope="module")
def learners():
    X, y = load_digits(return_X_y=True)
    return [
        PretrainedActiveLearner(
            oracle="y",
            n_queries=n,
            batch_size=10,
            validation=(X[600:900], y[600:900]),
            random_state=n,
        ).fit(X[:600], y[:600])
        for n in (3, 4)
    ]


def test_one_learner(learners):
    display = ActiveLearningDisplay.from_estimator(learners[0])
    line = display.lines_["badge"]
    np.testing.assert_array_equal(line.get_xdata(), [50, 60, 70, 80])
    scores = [entry["score"] for entry in learners[0].history_]
    np.testing.assert_array_equal(line.get_ydata(), scores)
    assert not display.bands_ and display.figure_ is display.ax_.figure


def test_several_runs_are_cut_to_the_shortest_and_averaged(learners):
    display = ActiveLearningDisplay.from_estimators(
        {"ours": learners}, levels={"all labels": 0.9}, score_name="accuracy"
    )
    scores = [[e["score"] for e in learner.history_][:4] for learner in learners]
    np.testing.assert_allclose(
        display.lines_["ours"].get_ydata(), np.mean(scores, axis=0)
    )
    assert set(display.lines_) == {"ours", "all labels"} and "ours" in display.bands_
    assert display.ax_.get_ylabel() == "accuracy"


def test_levels_do_not_lie_on_the_frame():
    curves = {"a": ([10, 20], [[0.2, 0.8], [0.3, 0.83]])}
    for level in (0.05, 0.86, 0.99):
        display = ActiveLearningDisplay(curves=curves, levels={"all": level}).plot()
        low, high = display.ax_.get_ylim()
        assert low + 0.02 * (high - low) < level < high - 0.02 * (high - low)


def test_what_has_no_curve():
    X, y = load_digits(return_X_y=True)
    with pytest.raises(ValueError, match=r"fit it with validation"):
        ActiveLearningDisplay.from_estimator(PretrainedActiveLearner().fit(X, y))
    with pytest.raises(TypeError, match=r"must be a fitted PretrainedActiveLearner"):
        ActiveLearningDisplay.from_estimator(
            LogisticRegression(max_iter=5000).fit(X[:50], y[:50])
        )
    with pytest.raises(ValueError, match=r"at least one curve"):
        ActiveLearningDisplay(curves={})
    with pytest.raises(ValueError, match=r"a score for each number of labels"):
        ActiveLearningDisplay(curves={"a": ([1, 2], [[1, 2, 3]])})
