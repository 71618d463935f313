import json
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.utils import check_random_state

from sklvyso import (
    NetworkClassifier,
    PretrainedActiveLearner,
    PretrainedTextEncoder,
    TransformerTextClassifier,
)
from sklvyso.active_learning._strategies import ALIASES, STRATEGIES
from tests.checks import text_estimator_checks

SECONDS = ("query_seconds", "oracle_seconds", "fit_seconds")
SMALL = {"n_initial": 10, "batch_size": 5, "n_queries": 4, "random_state": 0}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600], y[:600], X[600:1200], y[600:1200]


def facts(learner):
    """The history without what depends on the clock."""
    return [
        {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in entry.items()
            if key not in SECONDS
        }
        for entry in learner.history_
    ]


@pytest.mark.parametrize("check", text_estimator_checks(), ids=lambda c: c.__name__)
def test_text_checks(check, tiny_model, texts):
    check(PretrainedActiveLearner(PretrainedTextEncoder(tiny_model)), *texts)


# -- the four modes -----------------------------------------------------------------


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_simulation_is_interaction_is_oracle(digits, strategy):
    X, y = digits[:2]
    params = SMALL | {"strategy": strategy, "classes": range(10)}
    simulated = PretrainedActiveLearner(oracle="y", **params).fit(X, y)
    asked = []

    def oracle(indices, X_subset):
        np.testing.assert_array_equal(X_subset, X[indices])
        asked.extend(indices.tolist())
        return y[indices]

    by_oracle = PretrainedActiveLearner(oracle=oracle, **params).fit(X)
    by_hand = PretrainedActiveLearner(**params).fit(X)
    for _ in range(5):
        rows = by_hand.query()
        np.testing.assert_array_equal(rows, by_hand.query())  # changes nothing
        by_hand.teach(rows, y[rows])
    assert asked == simulated.labeled_indices_.tolist()
    for other in (by_oracle, by_hand):
        assert facts(other) == facts(simulated)
        np.testing.assert_array_equal(
            other.predict_proba(X), simulated.predict_proba(X)
        )
    assert len(set(asked)) == len(asked) == 30
    assert simulated.stop_reason_ == "n_queries" and simulated.n_rounds_ == 5


@pytest.mark.parametrize(
    "strategy", ["margin", "badge", "cluster_margin", "k_center", "bald"]
)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_labels_that_were_not_asked_have_no_influence(strategy, seed):
    rng = np.random.RandomState(seed)
    X, y = make_blobs(80, centers=4, random_state=seed)
    params = SMALL | {"strategy": strategy, "random_state": seed, "oracle": "y"}
    learner = PretrainedActiveLearner(classes=range(4), **params).fit(X, y)
    corrupt = y.copy()
    others = ~learner.labeled_mask_
    corrupt[others] = rng.randint(4, size=others.sum())
    again = PretrainedActiveLearner(classes=range(4), **params).fit(X, corrupt)
    assert facts(again) == facts(learner)
    np.testing.assert_array_equal(again.predict_proba(X), learner.predict_proba(X))


def test_without_oracle_it_is_a_classifier(digits):
    X, y, X_test, _ = digits
    learner = PretrainedActiveLearner(
        classifier=LogisticRegression(max_iter=1000), scale=None
    ).fit(X, y)
    plain = LogisticRegression(max_iter=1000).fit(X, y)
    np.testing.assert_array_equal(
        learner.predict_proba(X_test), plain.predict_proba(X_test)
    )
    assert learner.labeled_mask_.all() and len(learner.query()) == 0


@pytest.mark.parametrize(
    "y, missing_label",
    [
        ([0.0, np.nan, 1.0, np.nan, 0.0], np.nan),
        (np.array(["a", None, "b", np.nan, "a"], dtype=object), None),
        (pd.array([0, pd.NA, 1, pd.NA, 0], dtype="Int64"), np.nan),
        (pd.Series(["a", None, "b", None, "a"], dtype="string"), np.nan),
        (pd.Series([True, None, False, None, True], dtype="boolean"), np.nan),
        ([0, -1, 1, -1, 0], -1),
        (["a", "?", "b", "?", "a"], "?"),
    ],
    ids=range(7),
)
def test_missing_marks(y, missing_label):
    X = np.arange(10.0).reshape(5, 2)
    learner = PretrainedActiveLearner(missing_label=missing_label).fit(X, y)
    np.testing.assert_array_equal(learner.labeled_indices_, [0, 2, 4])
    np.testing.assert_array_equal(np.sort(learner.query()), [1, 3])
    assert learner.classes_.dtype.kind != "O" or isinstance(learner.classes_[0], str)
    label = learner.classes_[0]
    learner.teach([1, 3], [label, label])
    assert learner.labeled_mask_.all()


def test_minus_one_is_an_ordinary_label():
    X = np.arange(8.0)[:, None]
    learner = PretrainedActiveLearner().fit(X, [-1, -1, -1, -1, 1, 1, 1, 1])
    assert learner.classes_.tolist() == [-1, 1] and learner.labeled_mask_.all()


def test_cold_start_by_hand(digits):
    X, y = digits[:2]
    learner = PretrainedActiveLearner(**SMALL).fit(X)
    with pytest.raises(NotFittedError, match=r"no label yet: call query\(\)"):
        learner.predict(X)
    rows = learner.query()
    assert len(rows) == 10
    learner.teach(rows, y[rows], refit=False)
    with pytest.raises(NotFittedError, match=r"not fitted on them: call teach\(\)"):
        learner.predict(X)
    assert len(learner.query()) == 5
    learner.teach([0 if 0 not in rows else 1], [y[0 if 0 not in rows else 1]])
    assert learner.score(X, y) > 0.4
    assert learner.history_[-1]["n_labeled"] == 11


# -- edges --------------------------------------------------------------------------


def test_small_pools_and_empty_loops(digits):
    X, y = digits[:2]
    few = PretrainedActiveLearner(oracle="y", n_initial=50).fit(X[:20], y[:20])
    assert few.stop_reason_ == "pool exhausted" and few.labeled_mask_.all()
    none = PretrainedActiveLearner(
        oracle="y", n_initial=20, n_queries=0, random_state=0
    ).fit(X, y)
    assert len(none.labeled_indices_) == 20 and none.stop_reason_ == "n_queries"
    start = PretrainedActiveLearner(
        oracle="y", n_initial=0, batch_size=7, n_queries=1, random_state=0
    ).fit(X, y)
    assert len(start.labeled_indices_) == 14
    one = PretrainedActiveLearner(oracle="y", n_initial=5, batch_size=5)
    one.fit(X[:30], np.zeros(30, int))
    assert set(one.predict(X)) == {0} and one.labeled_mask_.all()
    known = PretrainedActiveLearner(oracle=lambda rows, X: 1 / 0).fit(X, y)
    assert known.stop_reason_ == "pool exhausted" and known.labeled_mask_.all()


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_one_class_seed_falls_back_and_is_recorded(strategy):
    X, y = make_blobs([40, 6], centers=[[0, 0], [9, 9]], random_state=0)
    learner = PretrainedActiveLearner(
        strategy=strategy, batch_size=3, random_state=0
    ).fit(X)
    learner.teach(np.flatnonzero(y == 0)[:5], [0] * 5)
    assert set(learner.predict(X)) == {0}
    rows = learner.query()
    learner.teach(rows, y[rows])
    falls_back = strategy not in ("random", "k_center")
    assert learner.history_[-1]["fallback"] == ("k_center" if falls_back else "")
    if falls_back:
        assert y[rows[0]] == 1  # the farthest row is of the other class


def test_many_classes_from_few_labels():
    X, y = make_blobs(3000, centers=150, n_features=20, random_state=0)
    learner = PretrainedActiveLearner(
        oracle="y",
        n_initial=20,
        initial="typiclust",
        batch_size=40,
        n_queries=6,
        random_state=0,
    ).fit(X, y)
    assert learner.predict_proba(X[:5]).shape == (5, 150)
    np.testing.assert_allclose(learner.predict_proba(X[:5]).sum(axis=1), 1)
    assert len(np.unique(y[learner.labeled_indices_])) > 90


@pytest.mark.parametrize("strategy", ["margin", "badge", "cluster_margin"])
def test_rare_class_is_found(strategy):
    centers = np.random.RandomState(0).normal(size=(3, 5)) * 4
    X, y = make_blobs([900, 60, 20], centers=centers, random_state=0)
    learner = PretrainedActiveLearner(
        strategy=strategy, oracle="y", n_initial=20, batch_size=10, n_queries=5
    )
    for seed in range(3):
        learner.set_params(random_state=seed).fit(X, y)
        counts = np.bincount(y[learner.labeled_indices_], minlength=3)
        # Two of 70 random rows would be of the rarest class.
        assert counts[2] >= 4


@pytest.mark.parametrize("initial", ["random", "kmeans", "typiclust", "stratified"])
def test_first_batches(digits, initial):
    X, y = digits[:2]
    learner = PretrainedActiveLearner(
        oracle="y", initial=initial, n_initial=20, n_queries=0, random_state=0
    ).fit(X, y)
    assert len(learner.labeled_indices_) == 20
    assert learner.history_[0]["strategy"] == initial
    if initial != "random":
        assert len(np.unique(y[learner.labeled_indices_])) >= 9


def test_budget_and_held_out_rows(digits):
    X, y = digits[:2]
    learner = PretrainedActiveLearner(
        oracle="y", budget=63, validation=0.05, n_initial=20, batch_size=9
    ).fit(X, y)
    # 30 of 600 rows are held out and paid for.
    assert len(learner.labeled_indices_) == 33 and learner.stop_reason_ == "budget"
    held = learner._campaign.held_out
    assert len(held) == 30 and not held & set(learner.labeled_indices_)
    assert all(0 <= entry["score"] <= 1 for entry in learner.history_)


def test_rules_that_stop(digits):
    X, y, X_test, y_test = digits
    params = {"oracle": "y", "n_queries": None, "random_state": 0}
    validation = (X_test, y_test)

    def reason(**more):
        return PretrainedActiveLearner(**params | more).fit(X, y).stop_reason_

    goal = {"target_score": 0.85}
    assert reason(stop=goal, validation=validation) == "target_score"
    assert reason(stop={"max_time": 0.0}) == "max_time"
    assert reason(stop={"kappa": 0.9, "patience": 2}, batch_size=20) == "stabilized"
    assert reason(stop=lambda history: len(history) == 3) == "stop"
    assert reason() == "pool exhausted"
    with pytest.raises(ValueError, match=r"needs validation=\(X, y\)"):
        reason(stop=goal)
    with pytest.raises(ValueError, match=r"unknown \['target'\]"):
        reason(stop={"target": 1})
    with pytest.raises(ValueError, match=r"stop\['patience'\] must be an integer"):
        reason(stop={"patience": 0})


def test_skips(digits):
    X, y = digits[:2]
    learner = PretrainedActiveLearner(
        oracle=lambda rows, X: [None] * len(rows), n_queries=None, batch_size=100
    ).fit(X)
    assert learner.stop_reason_ == "pool exhausted"
    assert len(learner.skipped_indices_) == 600 and len(learner.labeled_indices_) == 0
    with pytest.raises(NotFittedError):
        learner.predict(X)

    def half(rows, X_subset):
        return [None if row % 2 else y[row] for row in rows]

    learner = PretrainedActiveLearner(oracle=half, **SMALL).fit(X)
    assert (learner.labeled_indices_ % 2 == 0).all()
    assert (learner.skipped_indices_ % 2 == 1).all()
    assert len(learner.labeled_indices_) + len(learner.skipped_indices_) == 30
    row = learner.skipped_indices_[0]
    learner.teach([row], [y[row]])
    assert row not in learner.skipped_indices_ and row in learner.labeled_indices_


def test_an_oracle_that_breaks_loses_nothing(digits):
    X, y = digits[:2]
    calls = []

    def oracle(rows, X_subset):
        calls.append(rows)
        if len(calls) == 4:
            raise RuntimeError("the line is dead")
        return y[rows]

    learner = PretrainedActiveLearner(oracle=oracle, **SMALL)
    with pytest.raises(RuntimeError, match=r"the line is dead"):
        learner.fit(X)
    assert learner.stop_reason_ == "oracle raised"
    np.testing.assert_array_equal(learner.labeled_indices_, np.concatenate(calls[:3]))
    np.testing.assert_array_equal(learner.query(), calls[3])
    learner.teach(calls[3], y[calls[3]])
    rows = learner.query()
    learner.teach(rows, y[rows])
    whole = PretrainedActiveLearner(oracle="y", **SMALL).fit(X, y)
    np.testing.assert_array_equal(whole.labeled_indices_, learner.labeled_indices_)


# -- interactive --------------------------------------------------------------------


def test_corrections_and_bad_lessons(digits):
    learner = PretrainedActiveLearner(classes=range(10), **SMALL).fit(digits[0])
    learner.teach([3, 4, 5], [1, 2, 3])
    learner.teach([4], [7])
    assert learner.corrections_ == [(4, 2, 7)]
    assert learner.labeled_data()["label"].tolist() == [1, 7, 3]
    for indices, labels, message in [
        ([600], [1], r"in \[0, 599\], the rows of the pool. Got \[600\]"),
        ([-1], [1], r"in \[0, 599\]"),
        ([1, 1], [1, 1], r"different rows"),
        ([1, 2], [1], r"one label for each of 2 rows. Got 1"),
        ([1], [77], r"classes must hold every label. Got \[(np.int64\()?77"),
        ([1], ["x"], r"one kind|classes must hold"),
        ([0.5], [1], r"positions in the pool"),
    ]:
        with pytest.raises(ValueError, match=message):
            learner.teach(indices, labels)
    assert len(learner.labeled_indices_) == 3


def test_labels_are_taken_back(digits):
    X, y = digits[:2]
    learner = PretrainedActiveLearner(**SMALL).fit(X)
    first = learner.query()
    learner.teach(first, y[first])
    second = learner.query()
    learner.teach(second, y[second]).skip(learner.query()[:1])
    learner.forget(second).forget(learner.skipped_indices_).teach([], [])
    np.testing.assert_array_equal(learner.labeled_indices_, first)
    np.testing.assert_array_equal(learner.query(), second)
    np.testing.assert_array_equal(learner.pool_rows(second), X[second])
    learner.teach(second, y[second])
    assert learner.labeled_data()["strategy"].tolist()[-5:] == ["badge"] * 5
    learner.forget(second)
    learner.forget(first)
    np.testing.assert_array_equal(learner.query(), first)
    with pytest.raises(NotFittedError):
        learner.predict(X)


def test_a_campaign_goes_on_in_another_process(digits, tmp_path):
    X, y = digits[:2]
    learner = PretrainedActiveLearner(**SMALL).fit(X)
    for _ in range(3):
        rows = learner.query()
        learner.teach(rows, y[rows])
        learner.skip(learner.query()[:2])
    learner.save(tmp_path / "campaign")
    again = PretrainedActiveLearner.load(tmp_path / "campaign")
    for _ in range(2):
        rows = learner.query()
        np.testing.assert_array_equal(again.query(), rows)
        learner.teach(rows, y[rows])
        again.teach(rows, y[rows])
    np.testing.assert_array_equal(again.predict_proba(X), learner.predict_proba(X))
    assert facts(again) == facts(learner)
    with open(tmp_path / "other", "wb") as stream:
        pickle.dump({}, stream)
    with pytest.raises(ValueError, match=r"must hold a PretrainedActiveLearner"):
        PretrainedActiveLearner.load(tmp_path / "other")


def test_json_lines_there_and_back(tiny_model, texts, tmp_path):
    X, y = texts
    encoder = PretrainedTextEncoder(tiny_model)
    learner = PretrainedActiveLearner(encoder, **SMALL).fit(X)
    rows = learner.query()
    learner.to_jsonl(tmp_path / "ask.jsonl", rows)
    written = (tmp_path / "ask.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in written]
    assert [line["text"] for line in lines] == [X[i] for i in rows]
    for line in lines[:-1]:
        line["label"] = y[line["index"]]
    lines[-1]["skipped"] = True
    (tmp_path / "done.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    learner.from_jsonl(tmp_path / "done.jsonl")
    np.testing.assert_array_equal(learner.labeled_indices_, rows[:-1])
    np.testing.assert_array_equal(learner.skipped_indices_, rows[-1:])
    learner.to_jsonl(tmp_path / "all.jsonl")
    fresh = PretrainedActiveLearner(encoder, **SMALL).fit(X)
    fresh.from_jsonl(tmp_path / "all.jsonl")
    np.testing.assert_array_equal(fresh.labeled_indices_, learner.labeled_indices_)
    for content, message in [
        ('{"index": 999, "label": "good"}', r"Got 999 in line 1"),
        ('{"index": 0, "text": "other", "label": "good"}', r"another text for index 0"),
        ("no json", r"Line 1 is none"),
        ("[1]", r"Line 1 holds a list"),
    ]:
        (tmp_path / "bad.jsonl").write_text(content)
        with pytest.raises(ValueError, match=message):
            learner.from_jsonl(tmp_path / "bad.jsonl")


def test_a_pool_that_grows(digits):
    X, y, X_new, y_new = digits
    learner = PretrainedActiveLearner(scale=None, **SMALL).fit(X[:100])
    rows = learner.query()
    learner.teach(rows, y[rows])
    new = learner.add_to_pool(X_new)
    np.testing.assert_array_equal(new, np.arange(100, 700))
    asked = learner.query(300)
    assert (asked >= 100).any()
    labels = np.concatenate([y[:100], y_new])
    learner.teach(asked, labels[asked])
    assert learner.score(X_new, y_new) > 0.85
    others = learner.query(7, X=X_new)
    assert len(others) == 7 and others.max() < 600


def test_labeled_data_and_curve(tiny_model, texts):
    X, y = texts
    learner = PretrainedActiveLearner(
        PretrainedTextEncoder(tiny_model),
        oracle="y",
        strategy="margin",
        validation=(X, y),
        **SMALL,
    ).fit(X, y)
    table = learner.labeled_data()
    assert table["text"].tolist() == [X[i] for i in learner.labeled_indices_]
    assert table["label"].tolist() == y[learner.labeled_indices_].tolist()
    assert table["round"].tolist() == [0] * 10 + [
        r for r in (1, 2, 3, 4) for _ in "12345"
    ]
    assert table["score"][10:].between(-1, 0).all()
    curve = learner.learning_curve_
    assert curve["n_labeled"].tolist() == [10, 15, 20, 25, 30]
    assert curve["score"].between(0, 1).all()


def test_equal_texts_are_asked_once_on_request(tiny_model):
    X = ["good film", "bad plot", "good film", "dull", "bad plot", "good film"] * 3
    encoder = PretrainedTextEncoder(tiny_model)
    plain = PretrainedActiveLearner(encoder, n_initial=20).fit(X)
    assert len(plain.query()) == 18
    learner = plain.set_params(deduplicate=True).fit(X)
    rows = learner.query()
    assert sorted(X[i] for i in rows) == ["bad plot", "dull", "good film"]
    learner.teach(rows[:1], ["x"])
    assert {X[i] for i in learner.query(9)} == {X[i] for i in rows[1:]}
    learner.skip(rows[1:])
    assert len(learner.query()) == 0
    learner.add_to_pool(["dull", "a story"])
    assert [X[i] if i < 18 else i for i in learner.query()] == [19]
    with pytest.raises(ValueError, match=r"deduplicate=True needs texts"):
        PretrainedActiveLearner(deduplicate=True).fit(np.eye(3))


def test_representations_may_be_dropped(tiny_model, texts):
    X, y = texts
    params = {"encoder": PretrainedTextEncoder(tiny_model), **SMALL}
    kept = PretrainedActiveLearner(**params).fit(X)
    dropped = PretrainedActiveLearner(store_representations=False, **params).fit(X)
    assert not hasattr(dropped, "representations_")
    for _ in range(2):
        rows = kept.query()
        np.testing.assert_array_equal(dropped.query(), rows)
        kept.teach(rows, y[rows])
        dropped.teach(rows, y[rows])


# -- the last stage -----------------------------------------------------------------


def test_final_stage_sees_raw_rows_of_acquired_labels_only(tiny_model, texts):
    X, y = texts
    seen = []

    class Recorder(TransformerTextClassifier):
        def fit(self, X, y, sample_weight=None):
            seen.append((list(X), list(y)))
            return super().fit(X, y)

    final = Recorder(tiny_model, max_epochs=1, min_steps=0)
    learner = PretrainedActiveLearner(
        PretrainedTextEncoder(tiny_model), oracle="y", final_estimator=final, **SMALL
    ).fit(X, y)
    rows = learner.labeled_indices_
    assert seen == [([X[i] for i in rows], y[rows].tolist())]
    np.testing.assert_array_equal(
        learner.predict(X), learner.final_estimator_.predict(X)
    )
    learner.set_params(predict_with="classifier")
    assert not np.array_equal(
        learner.predict_proba(X), learner.final_estimator_.predict_proba(X)
    )
    other = learner.finalize(LogisticRegressionOnLengths())
    np.testing.assert_array_equal(
        learner.set_params(predict_with="final").predict(X), other.predict(X)
    )


def test_encoder_and_final_stage_show_progress_too(tiny_model, texts, capsys):
    X, y = texts
    encoder = PretrainedTextEncoder(tiny_model)
    final = TransformerTextClassifier(tiny_model, max_epochs=1, min_steps=0)
    learner = PretrainedActiveLearner(encoder, final_estimator=final, verbose=1)
    learner.fit(X, y)
    assert "encode" in capsys.readouterr().err
    learner.finalize()
    assert "1/1" in capsys.readouterr().err
    assert learner.encoder_.verbose == learner.final_estimator_.verbose == 1
    assert encoder.verbose == final.verbose == 0
    assert learner.encoder is encoder and learner.final_estimator is final


class LogisticRegressionOnLengths(LogisticRegression):
    def fit(self, X, y):
        return super().fit(np.array([[len(x)] for x in X]), y)

    def predict(self, X):
        return super().predict(np.array([[len(x)] for x in X]))


@pytest.mark.parametrize("scale", ["auto", "standard", "maxabs", None])
@pytest.mark.parametrize("normalize", [True, False])
def test_probe_then_fine_tune_starts_as_the_light_classifier(
    tiny_model, texts, scale, normalize
):
    X, y = texts
    learner = PretrainedActiveLearner(
        PretrainedTextEncoder(tiny_model, normalize=normalize),
        oracle="y",
        scale=scale,
        lp_ft=True,
        final_estimator=TransformerTextClassifier(
            tiny_model, lr=1e-12, max_epochs=1, min_steps=0
        ),
        **SMALL,
    ).fit(X, y)
    final = learner.predict_proba(X)
    light = learner.set_params(predict_with="classifier").predict_proba(X)
    np.testing.assert_allclose(final, light, atol=1e-5)


def test_probe_head_needs_the_right_parts(tiny_model, texts):
    X, y = texts
    encoder = PretrainedTextEncoder(tiny_model)
    final = TransformerTextClassifier(tiny_model, max_epochs=1, min_steps=0)
    for params, message in [
        (
            {"encoder": encoder, "final_estimator": LogisticRegressionOnLengths()},
            r"needs a TransformerTextClassifier",
        ),
        (
            {"encoder": TfidfVectorizer(), "final_estimator": final},
            r"needs a PretrainedTextEncoder",
        ),
        (
            {"encoder": encoder, "final_estimator": final, "classifier": GaussianNB()},
            r"needs a linear classifier",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            PretrainedActiveLearner(lp_ft=True, oracle="y", **params, **SMALL).fit(X, y)
    with pytest.raises(ValueError, match=r"finalize needs an estimator"):
        PretrainedActiveLearner(encoder).fit(X, y).finalize()


def test_refreshed_representations(tiny_model, texts):
    X, y = texts
    learner = PretrainedActiveLearner(
        PretrainedTextEncoder(tiny_model),
        oracle="y",
        refresh_every=2,
        final_estimator=TransformerTextClassifier(
            tiny_model, max_epochs=2, min_steps=0, lr=1e-3
        ),
        **SMALL,
    ).fit(X, y)
    frozen = PretrainedTextEncoder(tiny_model).fit_transform(X)
    assert np.abs(learner.representations_ - frozen).max() > 1e-3
    learner.set_params(predict_with="classifier")
    expected = learner.classifier_.predict(learner.representations_)
    np.testing.assert_array_equal(learner.predict(X), expected)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(learner)).predict(X), expected
    )


# -- composition --------------------------------------------------------------------


def test_grid_search_over_simulations_of_texts(tiny_model, texts, tmp_path):
    X, y = texts
    search = GridSearchCV(
        PretrainedActiveLearner(
            PretrainedTextEncoder(tiny_model, cache_dir=tmp_path),
            classifier=LogisticRegression(),
            oracle="y",
            **SMALL,
        ),
        {
            "strategy": ["margin", "random"],
            "encoder__pooling": ["mean", "cls"],
            "classifier__C": [10.0],
        },
        cv=3,
        error_score="raise",
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_in_a_pipeline_and_with_missing_labels(digits):
    X, y = digits[:2]
    learner = PretrainedActiveLearner(oracle="y", **SMALL)
    assert Pipeline([("al", learner)]).fit(X, y).score(X, y) > 0.4
    some = y.astype(float)
    some[::2] = np.nan
    kept = ~np.isnan(some)
    scores = cross_val_score(
        PretrainedActiveLearner(),
        X,
        some,
        cv=KFold(3),
        scoring=lambda e, X, y: e.score(X[~np.isnan(y)], y[~np.isnan(y)]),
        error_score="raise",
    )
    assert kept.sum() == 300 and (scores > 0.75).all()


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_sparse_rows(texts, strategy):
    X, y = texts
    tfidf = TfidfVectorizer()
    params = SMALL | {"strategy": strategy, "oracle": "y"}
    by_hand = PretrainedActiveLearner(**params).fit(tfidf.fit_transform(X), y)
    assert sparse.issparse(by_hand.representations_)
    inside = PretrainedActiveLearner(TfidfVectorizer(), **params).fit(X, y)
    assert inside.score(X, y) > 0.6 and by_hand.score(tfidf.transform(X), y) > 0.6


@pytest.mark.parametrize(
    "classifier",
    [
        NetworkClassifier(hidden_layer_sizes=(16,), max_epochs=20, lr=0.01),
        LinearSVC(),
        GaussianNB(),
    ],
    ids=lambda c: type(c).__name__,
)
@pytest.mark.parametrize("strategy", ["cluster_margin", "bald"])
def test_any_classifier(digits, classifier, strategy):
    X, y = digits[:2]
    learner = PretrainedActiveLearner(
        classifier=classifier, strategy=strategy, committee_size=3, oracle="y", **SMALL
    ).fit(X, y)
    assert learner.score(X, y) > 0.4
    assert hasattr(learner, "predict_proba") == hasattr(classifier, "predict_proba")
    assert classifier.__dict__.keys() == clone(classifier).__dict__.keys()  # unfitted


def test_two_classes_rank_the_same_by_three_strategies(digits):
    X, y = digits[0], digits[1] % 2
    picks = [
        PretrainedActiveLearner(oracle="y", **SMALL | {"strategy": strategy})
        .fit(X, y)
        .labeled_indices_
        for strategy in ("margin", "entropy", "least_confidence")
    ]
    np.testing.assert_array_equal(picks[0], picks[1])
    np.testing.assert_array_equal(picks[0], picks[2])


@pytest.mark.parametrize("strategy", ["margin", "entropy", "k_center"])
def test_shuffling_the_pool_changes_nothing(digits, strategy):
    X, y = digits[0][:200] + np.random.RandomState(0).rand(200, 64), digits[1][:200]
    given_rows = np.arange(40)
    order = np.random.RandomState(1).permutation(200)
    place = np.argsort(order)

    def asked(X, y, known):
        hidden = np.full(len(y), np.nan)
        hidden[known] = y[known]
        learner = PretrainedActiveLearner(
            strategy=strategy, classifier=LogisticRegression(C=1e-4), scale=None
        )
        return learner.fit(X, hidden).query(12)

    plain = asked(X, y, given_rows)
    shuffled = asked(X[order], y[order], place[given_rows])
    assert set(order[shuffled]) == set(plain)


def test_own_strategies(digits):
    X, y = digits[:2]

    def brightest(proba, Z, Z_labeled, random):
        assert proba.shape[0] == Z.shape[0] and len(Z_labeled) >= 10
        return Z.sum(axis=1)

    learner = PretrainedActiveLearner(
        strategy=brightest, scale=None, oracle="y", **SMALL
    ).fit(X, y)
    assert learner.history_[-1]["strategy"] == "brightest"
    best = learner.history_[1]["indices"]
    others = np.setdiff1d(np.arange(600), learner.labeled_indices_)
    assert X[best].sum(axis=1).min() >= X[others].sum(axis=1).max()
    with pytest.raises(ValueError, match=r"one score for each of 590 rows"):
        learner.set_params(strategy=lambda *a: np.zeros(3)).fit(X, y)


def test_aliases_subsample_and_prefilter(digits):
    X, y = digits[:2]
    for alias, name in ALIASES.items():
        a, b = (
            PretrainedActiveLearner(oracle="y", **SMALL | {"strategy": s}).fit(X, y)
            for s in (alias, name)
        )
        np.testing.assert_array_equal(a.labeled_indices_, b.labeled_indices_)
    for strategy in ("k_center", "badge", "cluster_margin"):
        learner = PretrainedActiveLearner(
            strategy=strategy, prefilter=2.0, **SMALL
        ).fit(X)
        rows = learner.query()
        learner.teach(rows, y[rows])
        learner.set_params(strategy="margin")
        uncertain = set(learner.query(10))
        assert set(learner.set_params(strategy=strategy).query(5)) <= uncertain
    few = PretrainedActiveLearner(
        oracle="y", pool_subsample=20, **SMALL | {"strategy": "k_center"}
    ).fit(X, y)
    assert len(few.labeled_indices_) == 30


def test_seeds_and_global_state(digits):
    X, y = digits[:2]
    check_random_state(None).seed(3)
    before = check_random_state(None).get_state()[1].copy()
    runs = [
        PretrainedActiveLearner(oracle="y", **SMALL | {"random_state": seed}).fit(X, y)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], before)
    np.testing.assert_array_equal(runs[0].labeled_indices_, runs[1].labeled_indices_)
    assert not np.array_equal(runs[0].labeled_indices_, runs[2].labeled_indices_)


def test_weights_reach_the_classifier(digits):
    X, y = digits[:2]
    weight = (np.arange(600) % 3 > 0).astype(float)
    learner = PretrainedActiveLearner(scale=None).fit(X, y, sample_weight=weight)
    plain = LogisticRegression(max_iter=1000).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(learner.predict_proba(X), plain.predict_proba(X))
    from sklearn.neighbors import KNeighborsClassifier

    with pytest.raises(ValueError, match=r"whose fit takes it. Got KNeighbors"):
        PretrainedActiveLearner(classifier=KNeighborsClassifier()).fit(X, y, weight)


@pytest.mark.parametrize(
    "params, X, y, message",
    [
        ({"strategy": "marginal"}, None, None, r"'strategy' parameter.*'margin'"),
        ({"batch_size": 0}, None, None, r"'batch_size' parameter"),
        ({"n_initial": -1}, None, None, r"'n_initial' parameter"),
        (
            {"budget": 5, "n_initial": 10},
            None,
            None,
            r"budget must be at least n_initial",
        ),
        ({"oracle": "y"}, None, "none", r"requires y to be passed"),
        ({"oracle": "y"}, None, "some", r"needs all labels: y must have no missing"),
        ({}, None, "all", r"at least one label. Got missing marks only"),
        ({}, None, "continuous", r"continuous"),
        ({}, None, "mixed", r"one kind"),
        (
            {},
            ["a", "b"],
            ["x", "y"],
            r"X must hold numbers when encoder=None. Got texts",
        ),
        ({"validation": 0.5}, None, None, r"outside a simulation"),
        ({"initial": "stratified"}, None, None, r"needs the labels of a simulation"),
        ({"refresh_every": 2}, None, None, r"refresh_every needs"),
        ({"classes": [0, 1]}, None, None, r"classes must hold every label"),
        ({"scale": "log"}, None, None, r"'scale' parameter"),
    ],
)
def test_bad_input(digits, params, X, y, message):
    labels = {
        "none": None,
        "some": np.where(np.arange(600) < 9, np.nan, 1.0),
        "all": np.full(600, np.nan),
        "continuous": np.linspace(0, 1, 600),
        "mixed": np.array([1, "a"] * 300, dtype=object),
    }
    y = digits[1] if y is None else labels[y] if isinstance(y, str) else y
    X = digits[0] if X is None else X
    with pytest.raises(ValueError, match=message):
        PretrainedActiveLearner(**params).fit(X, y)
