"""Class and group measures against hand-worked cases and scikit-learn."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate

from sklvyso import metrics

# Class 0: 1 of 2, class 1: 3 of 4, class 2: 0 of 1; a prediction of an unknown class.
Y_TRUE = np.array([0, 0, 1, 1, 1, 1, 2])
Y_PRED = np.array([0, 1, 1, 1, 7, 1, 0])
GROUPS = np.array(["x", "y", "x", "x", "y", "y", "x"])

CLASS_METRICS = [metrics.worst_class_recall, metrics.recall_gap, metrics.recall_std]
GROUP_METRICS = [
    metrics.worst_group_accuracy,
    metrics.group_accuracy_gap,
    metrics.group_accuracy_std,
]


@st.composite
def predictions(draw, max_label=4):
    n = draw(st.integers(1, 40))
    labels = st.integers(-1, max_label)
    columns = [draw(hnp.arrays(np.int64, n, elements=labels)) for _ in range(3)]
    weight = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 3)))
    weight[draw(st.integers(0, n - 1))] = 1
    return *columns, weight


def test_hand_worked_class_measures():
    np.testing.assert_array_equal(
        metrics.class_recalls(Y_TRUE, Y_PRED), [0.5, 0.75, 0.0]
    )
    assert metrics.worst_class_recall(Y_TRUE, Y_PRED) == 0.0
    assert metrics.recall_gap(Y_TRUE, Y_PRED) == 0.75
    expected = np.sqrt((0.5**2 + 0.75**2) / 3 - (1.25 / 3) ** 2)
    assert metrics.recall_std(Y_TRUE, Y_PRED) == pytest.approx(expected)


def test_hand_worked_group_measures():
    accuracies = metrics.group_accuracies(Y_TRUE, Y_PRED, groups=GROUPS)
    np.testing.assert_array_equal(accuracies, [3 / 4, 1 / 3])
    assert metrics.worst_group_accuracy(Y_TRUE, Y_PRED, groups=GROUPS) == 1 / 3
    gap = metrics.group_accuracy_gap(Y_TRUE, Y_PRED, groups=GROUPS)
    assert gap == pytest.approx(5 / 12)
    std = metrics.group_accuracy_std(Y_TRUE, Y_PRED, groups=GROUPS)
    assert std == pytest.approx(5 / 24)


def test_hand_worked_weights():
    weight = [3, 1, 1, 0, 0, 1, 0]
    recalls = metrics.class_recalls(Y_TRUE, Y_PRED, sample_weight=weight)
    np.testing.assert_array_equal(recalls, [0.75, 1.0, np.nan])
    assert metrics.worst_class_recall(Y_TRUE, Y_PRED, sample_weight=weight) == 0.75
    assert metrics.recall_gap(Y_TRUE, Y_PRED, sample_weight=weight) == 0.25
    assert metrics.recall_std(Y_TRUE, Y_PRED, sample_weight=weight) == 0.125


def test_labels_choose_and_order_classes():
    recalls = metrics.class_recalls(Y_TRUE, Y_PRED, labels=[1, 9, 0, -5])
    np.testing.assert_array_equal(recalls, [0.75, np.nan, 0.5, np.nan])
    assert recalls.dtype == np.float64


@settings(deadline=None)
@given(predictions())
def test_class_recalls_equal_scikit_learn(data):
    y_true, y_pred, _, weight = data
    for sample_weight in (None, weight):
        expected = sklearn.metrics.recall_score(
            y_true,
            y_pred,
            labels=np.arange(-1, 5),
            average=None,
            sample_weight=sample_weight,
            zero_division=np.nan,
        )
        recalls = metrics.class_recalls(
            y_true, y_pred, labels=np.arange(-1, 5), sample_weight=sample_weight
        )
        np.testing.assert_allclose(recalls, expected, rtol=1e-12)


@settings(deadline=None)
@given(predictions())
def test_group_accuracies_equal_scikit_learn_group_by_group(data):
    y_true, y_pred, groups, _ = data
    expected = [
        sklearn.metrics.accuracy_score(y_true[groups == g], y_pred[groups == g])
        for g in np.unique(groups)
    ]
    accuracies = metrics.group_accuracies(y_true, y_pred, groups=groups)
    np.testing.assert_allclose(accuracies, expected, rtol=1e-12)


@given(predictions())
def test_classes_as_groups_give_recalls(data):
    y_true, y_pred, _, weight = data
    np.testing.assert_array_equal(
        metrics.class_recalls(y_true, y_pred, sample_weight=weight),
        metrics.group_accuracies(y_true, y_pred, groups=y_true, sample_weight=weight),
    )


@given(predictions())
def test_weights_are_repeated_rows(data):
    y_true, y_pred, groups, weight = data
    rows = np.repeat(np.arange(len(weight)), weight)
    for metric in CLASS_METRICS:
        one = metric(y_true, y_pred, sample_weight=weight)
        assert one == pytest.approx(metric(y_true[rows], y_pred[rows]), abs=1e-12)
    for metric in GROUP_METRICS:
        one = metric(y_true, y_pred, groups=groups, sample_weight=weight)
        other = metric(y_true[rows], y_pred[rows], groups=groups[rows])
        assert one == pytest.approx(other, abs=1e-12)


@given(predictions(), st.randoms(use_true_random=False))
def test_row_order_and_label_names_do_not_matter(data, random):
    y_true, y_pred, groups, _ = data
    rows = np.array(random.sample(range(len(y_true)), len(y_true)))
    names = np.array(random.sample(range(1000), 6))
    renamed = names[y_true + 1][rows], names[y_pred + 1][rows]
    for metric in CLASS_METRICS:
        one = metric(y_true, y_pred)
        assert one == pytest.approx(metric(*renamed), abs=1e-12)
    for metric in GROUP_METRICS:
        one = metric(y_true, y_pred, groups=groups)
        other = metric(*renamed, groups=names[groups + 1][rows])
        assert one == pytest.approx(other, abs=1e-12)


@pytest.mark.parametrize(
    "convert",
    [
        np.ndarray.tolist,
        pd.Series,
        lambda y: pd.Series(y, index=range(len(y), 0, -1)),
        lambda y: y.astype(str),
        lambda y: y.astype(str).astype(object),
        lambda y: y.astype(object),
        lambda y: pd.Categorical(y.astype(str)),
        lambda y: pd.array(y, dtype="Int64"),
        lambda y: pd.array(y.astype(str), dtype="string"),
        lambda y: y.astype("S"),
        lambda y: y.astype(np.float32),
        lambda y: y.astype(np.int8) * 18,
        lambda y: y.astype(np.uint8) * 36,
        lambda y: y.astype(np.uint64) + np.uint64(2**63),
        lambda y: y.astype(np.int64) * 2**59 - 2**60,
        lambda y: y * 1e300,
    ],
)
def test_container_and_type_of_labels_do_not_matter(convert):
    y_true, y_pred = convert(Y_TRUE), convert(Y_PRED)
    recalls = metrics.class_recalls(y_true, y_pred)
    np.testing.assert_array_equal(recalls, [0.5, 0.75, 0.0])
    known = convert(np.array([2, 1]))
    recalls = metrics.class_recalls(y_true, y_pred, labels=known)
    np.testing.assert_array_equal(recalls, [0.0, 0.75])
    accuracies = metrics.group_accuracies(Y_TRUE, Y_PRED, groups=y_true)
    np.testing.assert_array_equal(accuracies, [0.5, 0.75, 0.0])


def test_booleans_and_numbers_mix():
    y_true = np.array([True, False, False])
    np.testing.assert_array_equal(metrics.class_recalls(y_true, [1, 0, 1]), [0.5, 1])
    np.testing.assert_array_equal(metrics.class_recalls(y_true, [1.0, 0, 1]), [0.5, 1])


def test_single_class_has_no_gap():
    assert metrics.recall_gap([3, 3], [3, 0]) == 0.0
    assert metrics.recall_std([3, 3], [3, 0]) == 0.0
    assert metrics.worst_class_recall([3, 3], [3, 0]) == 0.5


@pytest.mark.parametrize(
    ("y_true", "y_pred", "kwargs", "message"),
    [
        ([0, 1], [0, 1, 1], {}, "y_true and y_pred must have the same length. Got 2"),
        ([], [], {}, "y_true must hold at least one label"),
        ([[0], [1]], [0, 1], {}, r"y_true must be one-dimensional. Got shape (2, 1)"),
        ([0, 1], [[0.3, 0.7], [0.1, 0.9]], {}, "y_pred must be one-dimensional"),
        ([0, 1], [0.3, 0.7], {}, "y_pred must hold class labels. Got continuous"),
        (1, 1, {}, "y_true must be one-dimensional. Got shape ()"),
        ([0, 1], ["0", "1"], {}, "of one kind. Got number and text"),
        ([0.0, np.nan], [0, 1], {}, "y_true must not hold NaN"),
        (np.array(["a", 1], dtype=object), ["a", "b"], {}, "Got ['int', 'str']"),
        (np.array(["a", None]), ["a", "b"], {}, "none missing"),
        (np.array(["2020", "2021"], "M8[Y]"), [0, 1], {}, "Got dtype datetime64"),
        ([0, 1], [0, 1], {"sample_weight": [1]}, "y_true and sample_weight must have"),
        ([0, 1], [0, 1], {"sample_weight": 1.0}, "sample_weight must be one-dim"),
        ([0, 1], [0, 1], {"sample_weight": [1, -1]}, "finite and non-negative"),
        ([0, 1], [0, 1], {"sample_weight": [1, np.nan]}, "finite and non-negative"),
        ([0, 1], [0, 1], {"sample_weight": [0, 0]}, "positive for at least one"),
        ([0, 1], [0, 1], {"labels": []}, "labels must hold at least one"),
        ([0, 1], [0, 1], {"labels": [1, 1]}, "labels must be distinct. Got [1, 1]"),
        ([0, 1], [0, 1], {"labels": ["1"]}, "y_true and labels must hold labels of"),
    ],
)
def test_unusable_input_is_named(y_true, y_pred, kwargs, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        metrics.class_recalls(y_true, y_pred, **kwargs)


@pytest.mark.parametrize("metric", GROUP_METRICS)
def test_unusable_groups_are_named(metric):
    with pytest.raises(ValueError, match="y_true and groups must have the same length"):
        metric([0, 1], [0, 1], groups=[1])
    with pytest.raises(ValueError, match="groups must be one-dimensional"):
        metric([0, 1], [0, 1], groups=[[1, 2], [3, 4]])


def test_search_over_all_scorers_refits_on_the_worst_class():
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(
        LogisticRegression(max_iter=1000),
        {"C": [1e-4, 1.0]},
        scoring=metrics.SCORERS,
        refit="worst_class_recall",
        cv=KFold(3, shuffle=True, random_state=0),
        error_score="raise",
    ).fit(X, y)
    results = search.cv_results_
    assert search.best_params_ == {"C": 1.0}
    for name in metrics.SCORERS:
        assert f"mean_test_{name}" in results
    assert (results["mean_test_recall_gap"] <= 0).all()
    assert (results["mean_test_recall_std"] <= 0).all()


@pytest.mark.parametrize("scorer", [*metrics.SCORERS, *metrics.GROUP_SCORERS])
def test_scorers_pickle_and_have_the_right_sign(scorer):
    scorer = pickle.loads(pickle.dumps(metrics.get_scorer(scorer)))
    model = DummyClassifier().fit(np.zeros((4, 1)), [0, 0, 0, 1])
    kwargs = {"groups": [0, 0, 0, 1]} if "group" in repr(scorer) else {}
    with config_context(enable_metadata_routing=True):
        score = scorer(model, np.zeros((4, 1)), [0, 0, 0, 1], **kwargs)
    expected = 0.0 if "worst" in repr(scorer) else -0.5 if "std" in repr(scorer) else -1
    assert score == expected


def test_groups_are_routed_to_the_group_scorers():
    X, y = load_iris(return_X_y=True)
    rng = np.random.default_rng(0)
    groups = rng.integers(3, size=len(y))
    cv = KFold(3, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=1000, C=0.01)
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            model,
            {"C": [1e-4, 0.01]},
            scoring={**metrics.SCORERS, **metrics.GROUP_SCORERS},
            refit="worst_group_accuracy",
            cv=cv,
            error_score="raise",
        ).fit(X, y, groups=groups)
        scores = cross_validate(
            model,
            X,
            y,
            cv=cv,
            scoring=metrics.worst_group_accuracy_scorer,
            params={"groups": groups},
        )["test_score"]
        own = sklearn.metrics.make_scorer(metrics.worst_group_accuracy)
        own = own.set_score_request(groups=True)
        again = cross_validate(
            model, X, y, cv=cv, scoring=own, params={"groups": groups}
        )["test_score"]
    expected = []
    for train, test in cv.split(X):
        y_pred = model.fit(X[train], y[train]).predict(X[test])
        expected.append(
            min(np.mean((y_pred == y[test])[groups[test] == g]) for g in range(3))
        )
    np.testing.assert_allclose(scores, expected)
    np.testing.assert_allclose(again, expected)
    at_model = search.cv_results_["mean_test_worst_group_accuracy"][1]
    assert at_model == pytest.approx(np.mean(expected))


def test_weights_are_routed_to_the_class_scorers():
    X, y = np.zeros((6, 1)), np.array([0, 0, 0, 0, 1, 1])
    model = DummyClassifier(strategy="constant", constant=0)
    weight = np.array([1.0, 1, 1, 1, 0, 0])
    with config_context(enable_metadata_routing=True):
        scorer = metrics.get_scorer("worst_class_recall")
        scorer.set_score_request(sample_weight=True)
        model.set_fit_request(sample_weight=False)
        scores = cross_validate(
            model,
            X,
            y,
            cv=KFold(2, shuffle=True, random_state=1),
            scoring=scorer,
            params={"sample_weight": weight},
        )["test_score"]
    np.testing.assert_array_equal(scores, [1.0, 1.0])


def test_get_scorer_returns_copies_and_falls_back_to_scikit_learn():
    scorer = metrics.get_scorer("recall_gap")
    assert scorer is not metrics.recall_gap_scorer
    assert repr(metrics.get_scorer("accuracy")) == repr(
        sklearn.metrics.get_scorer("accuracy")
    )
    assert metrics.get_scorer(scorer) is scorer
    with pytest.raises(ValueError, match=r"must be one of.*'worst_class_recall'.*'wor"):
        metrics.get_scorer("worst")


def test_importing_metrics_leaves_metadata_routing_as_it_was():
    assert not sklearn.get_config()["enable_metadata_routing"]


def test_all_names_exist():
    assert all(hasattr(metrics, name) for name in metrics.__all__)
