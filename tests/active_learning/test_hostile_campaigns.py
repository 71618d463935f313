"""What an outsider broke: classes that move, answers of odd kinds, changed models."""

import functools
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier

from sklvyso import (
    PretrainedActiveLearner,
    PretrainedTextEncoder,
    TransformerTextClassifier,
)
from sklvyso.plotting import ActiveLearningDisplay
from tests.active_learning.conftest import save_tiny_bert

FAST = {"max_epochs": 1, "min_steps": 0}


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["a", "b", "c"])[y]


@pytest.fixture
def learner(iris):
    X, y = iris
    rows = np.r_[0:5, 50:55, 100:105]
    return (
        PretrainedActiveLearner(n_initial=10, random_state=0)
        .fit(X)
        .teach(rows, y[rows])
    )


def check_columns(learner, X):
    proba = learner.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert proba.shape[1] == len(learner.classes_)
    np.testing.assert_array_equal(
        learner.classes_[proba.argmax(axis=1)], learner.predict(X)
    )


def test_columns_are_those_of_the_model_whatever_labels_do(iris, learner):
    X, y = iris
    learner.forget(range(5))
    check_columns(learner, X)
    learner.teach([0], ["d"], refit=False)
    check_columns(learner, X)
    learner.forget(range(100, 105))
    check_columns(learner, X)
    learner.teach([], [])
    check_columns(learner, X)
    assert learner.classes_.tolist() == ["b", "d"]
    learner.finalize(LogisticRegression())
    learner.teach([0], ["z"])
    check_columns(learner, X)
    simulated = PretrainedActiveLearner(
        oracle="y", n_initial=10, n_queries=0, random_state=0
    ).fit(X, y)
    rows = simulated.query(3)
    simulated.teach(rows, ["aa"] * 3)
    check_columns(simulated, X)
    assert simulated.classes_.tolist() == ["a", "aa", "b", "c"]


def test_scores_of_absent_classes(iris):
    X, y = iris
    learner = PretrainedActiveLearner(classes=["a", "b", "c", "d"]).fit(X)
    learner.teach([0, 1, 50, 51], ["a", "a", "b", "b"])
    decision = learner.decision_function(X)
    assert decision.shape == (150, 4) and np.isneginf(decision[:, 2:]).all()
    losses = PretrainedActiveLearner(
        oracle="y",
        n_initial=2,
        batch_size=2,
        n_queries=6,
        validation=(X, y),
        scoring="neg_log_loss",
        random_state=0,
    ).fit(X, y)
    scores = [entry["score"] for entry in losses.history_]
    assert np.isfinite(scores).all() and scores[-1] > scores[0]


def test_nan_among_strings_is_missing(iris, learner):
    X = iris[0]
    fitted = PretrainedActiveLearner().fit(X, ["a", np.nan, "b"] * 50)
    assert fitted.classes_.tolist() == ["a", "b"]
    assert len(fitted.labeled_indices_) == 100
    with pytest.raises(ValueError, match=r"labels must have .* string 'nan'"):
        learner.teach([10, 11], np.array(["a", np.nan]))
    with pytest.raises(ValueError, match=r"validation must have all labels"):
        PretrainedActiveLearner(
            validation=(X, ["a", np.nan, "b"] * 50), oracle="y"
        ).fit(*iris)


@pytest.mark.parametrize(
    "answers, error, message",
    [
        ({10: "a", 60: "b"}, TypeError, r"labels must be a sequence.* Got a dict"),
        ({"a", "b"}, TypeError, r"Got a set"),
        (pd.DataFrame({"x": ["a"] * 2, "y": ["b"] * 2}), TypeError, r"\['x', 'y'\]"),
        (np.zeros((2, 2)), ValueError, r"labels must be a sequence of labels"),
        ([1, 2], ValueError, r"labels must hold labels of one kind"),
        ([0.25, "a"], ValueError, r"labels must hold labels of one kind"),
        (["a"], ValueError, r"one label for each of 2 rows"),
    ],
)
def test_answers_without_order_are_refused_and_nothing_is_stored(
    learner, answers, error, message
):
    before = pickle.dumps(learner._campaign)
    with pytest.raises(error, match=message):
        learner.teach([10, 60], answers)
    assert pickle.dumps(learner._campaign) == before


def test_answers_in_one_column(iris, learner):
    learner.teach([10, 60], pd.DataFrame({"label": ["a", "b"]}))
    learner.teach([11, 61], np.array([["a"], ["b"]]))
    learner.teach([12, 62], (label for label in "ab"))
    assert learner.labeled_data()["label"].tolist()[-6:] == list("ab" * 3)


def test_a_refused_lesson_does_no_harm(iris):
    X = iris[0]
    learner = PretrainedActiveLearner(missing_label=-1).fit(X)
    for labels in ([0.25, 0.75, 0.5], [0.0, np.nan, 1.0], [0, True, 1]):
        with pytest.raises(ValueError, match=r"labels|continuous"):
            learner.teach([0, 1, 50], labels)
    assert not len(learner.labeled_indices_)
    learner.teach([0, 1, 50], [0, 0, 1])
    with pytest.raises(ValueError, match=r"one kind. Got \['bool', 'int'\]"):
        learner.teach([2], [True])


def test_k_center_does_not_take_strangers_for_centres():
    near, far = np.zeros((20, 2)), np.tile([10.0, 0.0], (20, 1))
    pool = np.concatenate([near, far]) + np.random.RandomState(0).rand(40, 2) / 10
    learner = PretrainedActiveLearner(strategy="k_center", scale=None).fit(pool)
    learner.teach([0, 1], ["a", "b"])
    assert learner.query(1, X=[[3.0, 0.0], [10.0, 0.0]]).tolist() == [1]
    simulated = PretrainedActiveLearner(
        strategy="k_center",
        scale=None,
        oracle="y",
        validation=0.3,
        n_initial=1,
        batch_size=1,
        n_queries=1,
    )
    for seed in range(5):
        simulated.set_params(random_state=seed).fit(pool, ["a"] * 20 + ["b"] * 20)
        first, second = simulated.labeled_indices_
        assert (first < 20) != (second < 20)
        assert not set(simulated.held_out_indices_) & {first, second}


def test_curves_at_different_labels_are_interpolated(iris):
    X, y = iris
    runs = [
        PretrainedActiveLearner(
            oracle="y",
            n_initial=n,
            batch_size=b,
            n_queries=4,
            validation=(X, y),
            random_state=0,
        ).fit(X, y)
        for n, b in ((20, 10), (25, 20))
    ]
    display = ActiveLearningDisplay.from_estimators({"x": runs})
    np.testing.assert_array_equal(display.lines_["x"].get_xdata(), [30, 40, 50, 60])
    labels, scores = (
        [entry[key] for entry in runs[1].history_] for key in ("n_labeled", "score")
    )
    second = np.interp([30, 40, 50, 60], labels, scores)
    np.testing.assert_allclose(display.curves["x"][1][1], second)
    with pytest.raises(TypeError, match=r"names to lists of learners"):
        ActiveLearningDisplay.from_estimators({"x": runs[0]})


# -- models -------------------------------------------------------------------------


def test_a_model_that_changes_after_fit_is_refused(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra 'text'")
    folder, cache = tmp_path / "model", tmp_path / "cache"
    save_tiny_bert(folder)
    encoder = PretrainedTextEncoder(str(folder), cache_dir=cache).fit(["good film"])
    save_tiny_bert(tmp_path / "other", seed=1)
    weights = "model.safetensors"
    shutil.copy(tmp_path / "other" / weights, folder / weights)
    with pytest.raises(ValueError, match=r"has changed since fit.*Call fit again"):
        encoder.transform(["good film"])
    encoder.fit(["good film"]).transform(["good film"])


def test_refreshed_rounds_are_scored_on_their_own_vectors(tiny_model, texts):
    X, y = texts
    learner = PretrainedActiveLearner(
        PretrainedTextEncoder(tiny_model),
        oracle="y",
        n_initial=20,
        batch_size=10,
        n_queries=3,
        refresh_every=1,
        validation=(X, y),
        final_estimator=TransformerTextClassifier(
            tiny_model, max_epochs=2, min_steps=0, lr=3e-3
        ),
        random_state=0,
    ).fit(X[:60], y[:60])
    assert "stabilized" != learner.stop_reason_
    score = learner._score_of_round()
    learner.set_params(predict_with="classifier")
    assert score == pytest.approx(learner.score(X, y))


def test_probe_head_of_another_model_is_refused(tiny_model, texts, tmp_path):
    other = save_tiny_bert(tmp_path / "other", seed=1)
    same = save_tiny_bert(tmp_path / "same")
    params = {"encoder": PretrainedTextEncoder(tiny_model), "lp_ft": True}
    final = TransformerTextClassifier(other, **FAST)
    with pytest.raises(ValueError, match=r"one model for encoder and final_estimator"):
        PretrainedActiveLearner(final_estimator=final, **params).fit(*texts)
    final = TransformerTextClassifier(same, **FAST)
    PretrainedActiveLearner(final_estimator=final, **params).fit(*texts).finalize()


def test_probe_head_of_a_refreshed_model(tiny_model, texts):
    X, y = texts
    learner = PretrainedActiveLearner(
        PretrainedTextEncoder(tiny_model),
        oracle="y",
        n_initial=30,
        batch_size=10,
        n_queries=2,
        refresh_every=2,
        lp_ft=True,
        final_estimator=TransformerTextClassifier(
            tiny_model, max_epochs=3, min_steps=0, lr=1e-3
        ),
        random_state=0,
    ).fit(X, y)
    final = learner.final_estimator.set_params(lr=1e-12)
    learner.finalize(final)
    proba = learner.predict_proba(X)
    light = learner.set_params(predict_with="classifier").predict_proba(X)
    np.testing.assert_allclose(proba, light, atol=1e-5)


def test_tokenizer_object_with_a_pretrained_head(tiny_model, tiny_callable, texts):
    classifier = TransformerTextClassifier(
        tiny_model, tokenizer=tiny_callable.tokenizer, head="pretrained", **FAST
    )
    assert set(classifier.fit(*texts).predict(texts[0])) <= {"good", "bad"}


# -- settings -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "params, message",
    [
        ({"scoring": "acc"}, r"scoring must be the name of a scorer.*'acc'"),
        (
            {"classifier": Ridge()},
            r"must be a classifier. Got the regressor",
        ),
        (
            {"classifier": VotingClassifier([("a", LogisticRegression())])},
            r"needs a classifier with predict_proba or decision_function",
        ),
        ({"budget": 60, "validation": 0.5}, r"budget must pay for the 75 rows"),
        ({"stop": {}}, r"empty dict"),
        ({"stop": {"kappa": 5}}, r"stop\['kappa'\] must lie in"),
        ({"stop": {"max_time": -1}}, r"stop\['max_time'\] must be seconds >= 0"),
        (
            {"final_estimator": KNeighborsClassifier(), "lp_ft": True},
            r"lp_ft=True needs a TransformerTextClassifier",
        ),
    ],
)
def test_settings_are_checked_before_labels_are_paid(iris, params, message):
    asked = []

    def oracle(rows, X):
        asked.append(rows)
        return iris[1][rows]

    source = "y" if "validation" in params else oracle
    y = iris[1] if "validation" in params else None
    with pytest.raises(ValueError, match=message):
        PretrainedActiveLearner(oracle=source, n_initial=10, **params).fit(iris[0], y)
    assert not asked


def test_ensembles_and_pandas_output(iris, tiny_model, texts):
    X, y = iris
    forest = RandomForestClassifier(10, random_state=0)
    learner = PretrainedActiveLearner(classifier=forest, oracle="y", n_queries=1)
    assert learner.fit(X, y).score(X, y) > 0.9
    with config_context(transform_output="pandas"):
        encoder = PretrainedTextEncoder(tiny_model)
        learner = PretrainedActiveLearner(encoder, oracle="y", n_initial=20)
        assert learner.fit(*texts).score(*texts) > 0.5
        assert len(PretrainedActiveLearner().fit(X, y).predict(X)) == 150


def test_a_table_stays_a_table():
    frame = pd.DataFrame({"t": ["good film", "bad plot"] * 10, "n": range(20)})
    encoder = ColumnTransformer([("t", TfidfVectorizer(), "t")])
    learner = PretrainedActiveLearner(encoder, random_state=0).fit(frame[:10])
    learner.add_to_pool(frame[10:])
    rows = learner.query(20)
    learner.teach(rows, np.array(["x", "y"])[rows % 2])
    assert isinstance(learner.pool_rows([0, 15]), pd.DataFrame)
    assert learner.score(frame, np.array(["x", "y"] * 10)) == 1.0


def test_pairs_stay_pairs(tiny_model, texts):
    frame = pd.DataFrame({"q": texts[0], "s": texts[0][::-1], "id": range(120)})
    encoder = PretrainedTextEncoder(tiny_model, text_columns=["q", "s"])
    learner = PretrainedActiveLearner(encoder, n_initial=20).fit(frame)
    rows = learner.query()
    pairs = learner.pool_rows(rows)
    learner.teach(rows, texts[1][rows])
    np.testing.assert_array_equal(
        learner.predict(pairs), learner.predict(frame.iloc[rows])
    )
    for call in (learner.add_to_pool, learner.predict):
        with pytest.raises(ValueError, match=r"pairs of texts, as the pool does"):
            call(["single"])


# -- books --------------------------------------------------------------------------


def test_history_adds_up(iris):
    X, y = iris
    learner = PretrainedActiveLearner(strategy="margin", n_initial=10).fit(X)
    rows = learner.query(10)
    learner.teach(rows[:5], y[rows[:5]]).teach(rows[5:], y[rows[5:]])
    learner.forget(rows[:1]).teach([], []).teach([149], ["c"])
    rows = learner.query(6)
    learner.teach(rows, [None, None, *y[rows[2:]]])
    books = learner.history_
    assert [entry["n_labeled"] for entry in books] == [5, 10, 9, 10, 14]
    assert [len(entry["indices"]) for entry in books] == [5, 5, 0, 1, 4]
    assert books[3]["strategy"] == "given" and books[4]["strategy"] == "margin"
    assert len(books[4]["scores"]) == 4
    assert books[1]["query_seconds"] == 0.0 < books[0]["query_seconds"]
    assert (
        learner.labeled_data()["strategy"].tolist()[-5:] == ["given"] + ["margin"] * 4
    )


def test_query_changes_nothing_even_before_the_first_fit(iris):
    X, y = iris
    one, two = (
        PretrainedActiveLearner(n_initial=6, batch_size=4, random_state=0).fit(X)
        for _ in range(2)
    )
    for learner in (one, two):
        learner.teach([0, 60], y[[0, 60]], refit=False)
    one.query()
    for learner in (one, two):
        learner.teach([110, 1], y[[110, 1]])
    np.testing.assert_array_equal(one.query(), two.query())
    skipped = PretrainedActiveLearner(n_initial=6).fit(X).skip([3])
    assert len(skipped.query()) == 6


def test_dropped_vectors_stay_dropped():
    learner = PretrainedActiveLearner(
        TfidfVectorizer(), store_representations=False, n_initial=4
    ).fit(["good film", "bad plot", "good plot", "dull"] * 5)
    rows = learner.query()
    learner.teach(rows, np.arange(len(rows)) % 2)
    learner.query()
    assert not hasattr(learner, "representations_")
    kept = PretrainedActiveLearner(oracle="y", n_queries=1).fit(
        np.random.RandomState(0).rand(2000, 50), np.arange(2000) % 3
    )
    assert len(pickle.dumps(kept)) < 1.3 * 2000 * 50 * 8


def test_save_names_what_cannot_be_saved(iris, tmp_path):
    X, y = iris
    learner = PretrainedActiveLearner(
        oracle=lambda rows, X: y[rows], n_initial=5, n_queries=1
    ).fit(X)
    with pytest.raises(TypeError, match=r"set_params\(oracle=None\)"):
        learner.save(tmp_path / "c")
    learner.set_params(oracle=None).save(tmp_path / "c")
    (tmp_path / "c").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"must be a file that save\(\) wrote"):
        PretrainedActiveLearner.load(tmp_path / "c")
    with pytest.raises(ValueError, match=r"'strategy' parameter"):
        learner.set_params(strategy="bogus").query()


def test_partial_strategies_have_a_name(iris):
    X, y = iris

    def score(proba, Z, Z_labeled, random, sign):
        return sign * proba.max(axis=1)

    learner = PretrainedActiveLearner(
        strategy=functools.partial(score, sign=-1), oracle="y", validation=(X, y)
    ).fit(X, y)
    display = ActiveLearningDisplay.from_estimator(learner)
    assert list(display.lines_) == ["partial"]


def test_labels_that_pandas_looked_up_by_index_are_refused():
    X, y = load_iris(return_X_y=True)
    order = np.random.RandomState(0).permutation(150)
    table = pd.DataFrame(X, index=order)
    labels = pd.Series(y, index=order)
    learner = PretrainedActiveLearner(n_initial=10, random_state=0).fit(table)
    rows = learner.query()
    with pytest.raises(ValueError, match=r"take y\.iloc\[indices\]"):
        learner.teach(rows, labels[rows])
    learner.teach(rows, labels.iloc[rows])
    assert sorted(rows) == sorted(learner.labeled_indices_)
    # Answers with an index of their own, or that of a pool without one, are taken.
    rows = learner.query()
    learner.teach(rows, pd.Series(y[rows]))
