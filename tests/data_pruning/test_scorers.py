"""DRoPSampler's scorers: each by name, by hand, from given arrays; quota rules."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklvyso import DRoPSampler, NetworkClassifier
from sklvyso.data_pruning import (
    area_under_margin,
    coverage_selection,
    dynamic_uncertainty,
    el2n,
    forgetting_events,
    grand,
    prototype_distance,
    record_training_dynamics,
)
from sklvyso.data_pruning._row_scores import SCORERS
from sklvyso.datasets import make_class_difficulty_blobs
from sklvyso.networks import make_network, penultimate_features
from sklvyso.selection import bald, entropy, k_center_greedy, least_confidence, margin

ALONE = {"quota": "auto", "min_per_class": 0}
NETWORK = NetworkClassifier(
    hidden_layer_sizes=(16,), max_epochs=12, lr=0.01, random_state=0
)


@pytest.fixture(scope="module")
def blobs():
    return make_class_difficulty_blobs(
        300, n_features=4, sigmas=(0.5, 1.0, 2.0), random_state=0
    )


def scored(blobs, scorer, estimator=NETWORK, **options):
    options = ALONE | {"density": 0.3, "random_state": 0} | options
    return DRoPSampler(estimator, scorer=scorer, **options).fit(*blobs)


# -- networks -------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(SCORERS) - {"random", "bald"}))
@pytest.mark.parametrize("quota", ["auto", "drop"])
def test_every_scorer_keeps_the_exact_size(blobs, name, quota):
    sampler = scored(blobs, name, quota=quota)
    assert len(sampler.sample_indices_) == sampler.target_size_ == 90
    assert sampler.quotas_.sum() == 90
    has_scores = name != "k_center"
    assert (sampler.scores_ is not None) == has_scores
    if has_scores:
        assert np.isfinite(sampler.scores_).all() and sampler.scores_.shape == (300,)


def test_el2n_is_that_of_a_tenth_of_the_training(blobs):
    X, y = blobs
    sampler = scored(blobs, "el2n")
    model = clone(NETWORK).set_params(max_epochs=1).fit(X, y)
    np.testing.assert_allclose(sampler.scores_, el2n(model.predict_proba(X), y))
    assert sampler.score_estimators_[0].n_iter_ == 1
    top = np.argsort(sampler.scores_, kind="stable")[-90:]
    np.testing.assert_array_equal(sampler.sample_indices_, np.sort(top))


@pytest.mark.parametrize("epochs, n_epochs", [(0.5, 6), (3, 3), (0.01, 1), (1.0, 12)])
def test_epochs_before_scoring(blobs, epochs, n_epochs):
    sampler = scored(blobs, "el2n", scorer_params={"epochs": epochs})
    assert sampler.score_estimators_[0].n_iter_ == n_epochs


def test_drops_of_the_learning_rate_move_along(blobs):
    model = clone(NETWORK).set_params(lr_schedule={"milestones": [4, 0.9]})
    sampler = scored(blobs, "el2n", model, scorer_params={"epochs": 0.5})
    schedule = sampler.score_estimators_[0].lr_schedule
    assert schedule == {"milestones": [2, 0.9]}
    assert model.lr_schedule == {"milestones": [4, 0.9]}


def test_scores_are_means_over_n_query(blobs):
    X, y = blobs
    model = clone(NETWORK).set_params(random_state=None)
    sampler = scored(blobs, "el2n", model, n_query=3)
    one = [el2n(m.predict_proba(X), y) for m in sampler.score_estimators_]
    assert len({m.random_state for m in sampler.score_estimators_}) == 3
    np.testing.assert_allclose(sampler.scores_, np.mean(one, axis=0))


def test_grand_goes_through_scaling_and_the_whole_net(blobs):
    X, y = blobs
    model = make_pipeline(StandardScaler(), NETWORK)
    sampler = scored(blobs, "grand", model)
    fitted = sampler.score_estimators_[0]
    rows = fitted[0].transform(X).astype(np.float32)
    expected = grand(fitted[1].module_, rows, y, method="loop")
    np.testing.assert_allclose(sampler.scores_, expected, rtol=1e-5)  # float32


def test_dynamics_are_of_one_training_and_kept(blobs):
    X, y = blobs
    dynamics, fitted = record_training_dynamics(NETWORK, X, y)
    plain = clone(NETWORK).fit(X, y)
    np.testing.assert_array_equal(fitted.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_allclose(
        dynamics.p_true[-1], plain.predict_proba(X)[np.arange(300), y], rtol=1e-5
    )
    for name, expected in {
        "forgetting": forgetting_events(dynamics.correct),
        "dynamic_uncertainty": dynamic_uncertainty(dynamics.p_true),
        "aum": -dynamics.margins.mean(axis=0, dtype=np.float64),
    }.items():
        sampler = scored(blobs, name)
        np.testing.assert_allclose(sampler.scores_, expected)
        np.testing.assert_array_equal(
            sampler.training_dynamics_[0].correct, dynamics.correct
        )
    reused = scored(blobs, dynamics.scores("forgetting"), None)
    forgetting = scored(blobs, "forgetting")
    np.testing.assert_array_equal(reused.sample_indices_, forgetting.sample_indices_)
    assert reused.score_estimators_ == []


def test_options_of_dynamics(blobs):
    dynamics, _ = record_training_dynamics(NETWORK, *blobs)
    sampler = scored(blobs, "dynamic_uncertainty", scorer_params={"window": 4})
    expected = dynamic_uncertainty(dynamics.p_true, window=4)
    np.testing.assert_allclose(sampler.scores_, expected)
    sampler = scored(blobs, "forgetting", scorer_params={"never_learned": "zero"})
    expected = forgetting_events(dynamics.correct, never_learned="zero")
    np.testing.assert_array_equal(sampler.scores_, expected)
    with pytest.raises(ValueError, match=r"at most max_epochs=12.*Got 13"):
        scored(blobs, "dynamic_uncertainty", scorer_params={"window": 13})


def test_ccs_is_aum_with_coverage(blobs):
    by_name = scored(blobs, "ccs", scorer_params={"cutoff": 0.2, "n_strata": 10})
    by_keep = scored(
        blobs, "aum", keep="ccs", scorer_params={"cutoff": 0.2, "n_strata": 10}
    )
    np.testing.assert_array_equal(by_name.sample_indices_, by_keep.sample_indices_)
    seed = by_name._measured.seed
    expected = coverage_selection(
        by_name.scores_, 90, cutoff=0.2, n_strata=10, random_state=seed
    )
    np.testing.assert_array_equal(by_name.sample_indices_, expected)


def test_features_of_the_network(blobs):
    X, y = blobs
    model = clone(NETWORK).fit(X, y)
    Z = penultimate_features(model, X)
    sampler = scored(blobs, "prototype")
    np.testing.assert_allclose(sampler.scores_, prototype_distance(Z, y))
    sampler = scored(blobs, "k_center")
    order, _ = k_center_greedy(Z, 90)
    np.testing.assert_array_equal(sampler.sample_indices_, np.sort(order))


def test_given_features_train_nothing(blobs):
    X, y = blobs
    Z = np.random.RandomState(0).randn(300, 2)
    for scorer in ("prototype", "k_center"):
        sampler = DRoPSampler(NETWORK, scorer=scorer, random_state=0, **ALONE)
        kept, _ = sampler.fit_resample(X, y, features=Z)
        assert len(kept) == 150
        assert sampler.query_estimators_ == sampler.score_estimators_ == []
    np.testing.assert_array_equal(
        sampler.sample_indices_, np.sort(k_center_greedy(Z, 150)[0])
    )
    with pytest.raises(ValueError, match="one row for each of the 300 rows"):
        sampler.fit(X, y, features=Z[:5])
    with pytest.raises(ValueError, match="features must be numbers"):
        sampler.fit(X, y, features=[["a"]] * 300)


def test_doubt_is_that_of_the_whole_training(blobs):
    X, _ = blobs
    proba = clone(NETWORK).fit(*blobs).predict_proba(X)
    for name, score in {
        "least_confidence": least_confidence,
        "margin": margin,
        "entropy": entropy,
    }.items():
        np.testing.assert_allclose(scored(blobs, name).scores_, score(proba))


def test_bald_by_dropout_and_by_committee(blobs):
    X, _ = blobs
    model = clone(NETWORK).set_params(module_params={"dropout": 0.4})
    one, two = (scored(blobs, "bald", model).scores_ for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one >= 0).all() and one.max() > 0.01
    committee = clone(NETWORK).set_params(random_state=None)
    sampler = scored(blobs, "bald", committee, n_query=3)
    proba = np.stack([m.predict_proba(X) for m in sampler.score_estimators_])
    np.testing.assert_allclose(sampler.scores_, bald(proba))
    with pytest.raises(ValueError, match="dropout, or a committee: n_query must be"):
        scored(blobs, "bald")


def test_images_and_skorch_nets_are_scored():
    X, y = load_digits(return_X_y=True)
    images, y = (X[:200] / 16).reshape(-1, 8, 8), y[:200]
    lenet = NetworkClassifier(
        "lenet-5", module_params={"padding": "same"}, max_epochs=2, random_state=0
    )
    net = NeuralNetClassifier(
        make_network,
        module__name="mlp",
        module__input_shape=(64,),
        module__n_outputs=10,
        criterion=nn.CrossEntropyLoss,
        max_epochs=10,
        lr=0.1,
        verbose=0,
        train_split=None,
    )
    flat = images.reshape(200, -1).astype(np.float32)
    for scorer in ("grand", "el2n", "aum", "prototype"):
        kept, _ = DRoPSampler(lenet, scorer=scorer, random_state=0).fit_resample(
            images, y
        )
        assert kept.shape == (100, 8, 8)
        for model in (net, make_pipeline(StandardScaler(), net)):
            sampler = DRoPSampler(model, scorer=scorer, random_state=0, **ALONE)
            assert len(sampler.fit_resample(flat, y)[0]) == 100


class Softmaxed(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.Softmax(-1))


def test_nets_that_give_probabilities_are_scored_by_their_loss(blobs):
    X, y = blobs
    net = NeuralNetClassifier(Softmaxed, max_epochs=4, verbose=0, train_split=None)
    X = X.astype(np.float32)
    sampler = scored((X, y), "grand", net)
    module = sampler.score_estimators_[0].module_
    expected = grand(
        nn.Sequential(*list(module)[:3]), X, y
    )  # the softmax and the log make the same loss
    np.testing.assert_allclose(sampler.scores_, expected, rtol=1e-4)  # float32
    dynamics, fitted = record_training_dynamics(net, X, y)
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(dynamics.p_true[-1], proba[np.arange(300), y], rtol=1e-5)
    expected = area_under_margin(np.log(proba), y)
    np.testing.assert_allclose(dynamics.margins[-1], expected, atol=1e-4)  # float32


# -- other classifiers ----------------------------------------------------------------


def test_other_classifiers_score_rows_they_have_not_seen(blobs):
    X, y = blobs
    folds = StratifiedKFold(5, shuffle=True, random_state=3)
    model = LogisticRegression()
    sampler = scored(blobs, "el2n", model, validation=folds)
    proba = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
    np.testing.assert_allclose(sampler.scores_, el2n(proba, y))
    assert len(sampler.query_estimators_) == 5 and sampler.score_estimators_ == []
    inside = scored(blobs, "el2n", model, score_from="training")
    proba = model.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(inside.scores_, el2n(proba, y))
    both = scored(blobs, "margin", model, quota="drop", n_query=2)
    assert len(both.query_estimators_) == 10 and both.score_estimators_ == []
    assert not np.isnan(both.class_recalls_).any()


def test_networks_may_score_rows_they_have_not_seen(blobs):
    sampler = scored(blobs, "entropy", score_from="held_out")
    assert len(sampler.query_estimators_) == 5 and sampler.score_estimators_ == []


def test_committee_of_folds_is_bald(blobs):
    sampler = scored(blobs, "bald", RandomForestClassifier(5), n_query=2)
    assert sampler.scores_.max() > 0
    with pytest.raises(ValueError, match="n_query must be >= 2"):
        scored(blobs, "bald", RandomForestClassifier(5))


def test_features_of_other_models_are_the_columns_they_see(blobs):
    X, y = blobs
    sampler = scored(blobs, "prototype", LogisticRegression())
    np.testing.assert_allclose(sampler.scores_, prototype_distance(X, y))
    model = make_pipeline(StandardScaler(), LogisticRegression())
    sampler = scored(blobs, "prototype", model)
    Z = StandardScaler().fit_transform(X)
    np.testing.assert_allclose(sampler.scores_, prototype_distance(Z, y))


def test_parallel_scores_equal_serial_ones(blobs):
    model = RandomForestClassifier(5)
    one, two = (
        scored(blobs, "el2n", model, n_query=2, n_jobs=n, quota="drop").sample_indices_
        for n in (None, 2)
    )
    np.testing.assert_array_equal(one, two)
    one, two = (scored(blobs, "grand", n_query=2, n_jobs=n).scores_ for n in (None, 2))
    np.testing.assert_array_equal(one, two)


def test_external_validation_models_score_too(blobs):
    X, y = blobs
    sampler = DRoPSampler(NETWORK, scorer="margin", random_state=0)
    sampler.fit(X, y, X_val=X[:60], y_val=y[:60])
    assert sampler.score_estimators_ == sampler.query_estimators_


@pytest.mark.parametrize("scorer", ["el2n", "margin", "bald"])
def test_rows_are_scored_held_out_beside_external_validation(blobs, scorer):
    X, y = blobs
    folds = StratifiedKFold(5, shuffle=True, random_state=3)
    model = RandomForestClassifier(20, random_state=0)
    sampler = DRoPSampler(
        model, scorer=scorer, validation=folds, n_query=2, random_state=0
    ).fit(X, y, X_val=X[:60], y_val=y[:60])
    assert len(sampler.query_estimators_) == 2
    assert sampler.quota_report_["n_validation"].sum() == 60
    if scorer == "margin":
        proba = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
        np.testing.assert_allclose(sampler.scores_, margin(proba))
    inside = clone(sampler).set_params(score_from="training")
    inside.fit(X, y, X_val=X[:60], y_val=y[:60])
    assert inside.score_estimators_ == inside.query_estimators_


# -- arrays and callables -------------------------------------------------------------


@pytest.mark.parametrize("keep", ["hardest", "easiest", "middle"])
def test_array_callable_and_keyword_are_the_same(blobs, keep):
    X, y = blobs
    scores = np.random.RandomState(0).rand(300)
    options = {"keep": keep, "density": 0.2, "random_state": 0, **ALONE}
    by_array = DRoPSampler(scorer=scores, **options).fit(X, y)
    by_call = DRoPSampler(scorer=lambda X, y: scores.tolist(), **options).fit(X, y)
    by_keyword = DRoPSampler(**options).fit(X, y, scores=scores)
    order = np.argsort(scores)
    first = {"hardest": 240, "easiest": 0, "middle": 120}[keep]
    for sampler in (by_array, by_call, by_keyword):
        np.testing.assert_array_equal(
            sampler.sample_indices_, np.sort(order[first : first + 60])
        )
        assert sampler.query_estimators_ == sampler.score_estimators_ == []


def test_scores_do_not_depend_on_the_quota(blobs):
    model = clone(NETWORK).set_params(random_state=None)
    one, two = (scored(blobs, "el2n", model, quota=q).scores_ for q in ("auto", "drop"))
    np.testing.assert_array_equal(one, two)


def test_strategyq_takes_counts_of_the_scores_and_draws(blobs):
    alone = scored(blobs, "el2n")
    drawn = scored(blobs, "el2n", quota="strategyq")
    np.testing.assert_array_equal(alone.quotas_, drawn.quotas_)
    assert not np.array_equal(alone.sample_indices_, drawn.sample_indices_)
    uniform = scored(blobs, "random", quota="uniform")
    for label in range(3):  # the same order of drawing as every other rule
        rows = [
            set(s.sample_indices_[blobs[1][s.sample_indices_] == label])
            for s in (drawn, uniform)
        ]
        assert rows[0] <= rows[1] or rows[1] <= rows[0]


def test_random_among_all_rows_leaves_classes_where_they_fall(blobs):
    sampler = scored(blobs, "random")
    assert sampler.quotas_.sum() == 90 and len(set(sampler.quotas_)) > 1
    more = scored(blobs, "random", density=0.5)
    assert set(sampler.sample_indices_) < set(more.sample_indices_)


def test_fixed_numbers_are_taken_by_score(blobs):
    scores = np.arange(300.0)
    sampler = scored(blobs, scores, quota={0: 5, 1: 0, 2: 7})
    rows = np.flatnonzero(blobs[1] == 0)[-5:]
    np.testing.assert_array_equal(
        sampler.sample_indices_[blobs[1][sampler.sample_indices_] == 0], rows
    )


# -- steps ----------------------------------------------------------------------------


def test_steps_measure_anew_on_what_is_left(blobs):
    X, y = blobs
    seen = []

    def scorer(X, y):
        seen.append(len(X))
        return X[:, 0]

    sampler = DRoPSampler(
        LogisticRegression(), scorer=scorer, density=0.25, n_steps=3, random_state=0
    ).fit(X, y)
    assert seen == [300, 225, 150]
    assert len(sampler.sample_indices_) == sampler.quotas_.sum() == 75
    np.testing.assert_array_equal(
        np.bincount(y[sampler.sample_indices_]), sampler.quotas_
    )
    assert np.isnan(sampler.scores_).sum() == 150
    kept = sampler.sample_indices_
    np.testing.assert_array_equal(sampler.scores_[kept], X[kept, 0])
    np.testing.assert_array_equal(sampler.class_counts_, [100, 100, 100])
    seen.clear()
    clone(sampler).set_params(schedule="exponential").fit(X, y)
    assert seen == [300, 189, 119]


def test_steps_by_array_and_groups(blobs):
    X, y = blobs
    groups = np.array(["a", "b"])[(np.arange(300) % 5 == 0).astype(int)]
    scores = np.arange(300.0)
    sampler = DRoPSampler(
        LogisticRegression(), scorer=scores, density=60, n_steps=2, random_state=0
    ).fit(X, y, groups=groups)
    assert len(sampler.sample_indices_) == 60
    for group, quota in sampler.sampling_strategy_.items():
        rows = np.flatnonzero(groups == group)
        kept = sampler.sample_indices_[groups[sampler.sample_indices_] == group]
        np.testing.assert_array_equal(kept, rows[len(rows) - quota :])


def test_steps_need_something_to_measure(blobs):
    for options in ({"recalls": [0.5, 0.5, 0.5]}, {"quota": {0: 3}}):
        with pytest.raises(ValueError, match="n_steps must be 1"):
            DRoPSampler(n_steps=2, **options).fit(*blobs)


# -- errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"scorer": "foo"}, ValueError, "'scorer' parameter"),
        ({"scorer": [1.0, 2.0]}, ValueError, r"300 numbers, one a row. Got shape \(2,"),
        ({"scorer": lambda X, y: [np.nan] * 300}, ValueError, "Got 300 of 300"),
        ({"scorer": lambda X, y: None}, ValueError, "what scorer returns must be"),
        ({"scorer": np.ones(300) * 1j}, ValueError, "scorer must be.*complex"),
        (
            {"scorer": "grand", "estimator": LogisticRegression()},
            TypeError,
            "rests on gradients: estimator must be.*Got LogisticRegression",
        ),
        (
            {"scorer": "aum", "estimator": RandomForestClassifier()},
            TypeError,
            "the epochs of a training.*Got RandomForest",
        ),
        (
            {"scorer": "el2n", "estimator": Perceptron()},
            TypeError,
            "must have predict_proba. Got Perceptron",
        ),
        (
            {"scorer": "grand", "score_from": "held_out"},
            ValueError,
            "score_from must be 'training' or 'auto' for scorer='grand'",
        ),
        (
            {
                "scorer": "el2n",
                "estimator": LogisticRegression(),
                "validation": 0.2,
            },
            ValueError,
            "validation must be a number of folds.*Got 0.2",
        ),
        ({"keep": "easiest"}, ValueError, "keep says.*scorer='random'"),
        ({"scorer": "k_center", "keep": "ccs"}, ValueError, "scorer='k_center'"),
        ({"scorer": "ccs", "keep": "easiest"}, ValueError, "left alone with scorer="),
        ({"quota": "normalize"}, ValueError, "quota='normalize' needs a score"),
        (
            {"scorer": "el2n", "scorer_params": {"window": 3}},
            ValueError,
            r"options of scorer='el2n'.*which are \['epochs'\]. Got \['window'\]",
        ),
        (
            {"scorer": "el2n", "scorer_params": {"epochs": 1.5}},
            ValueError,
            r"scorer_params\['epochs'\] must be a share.*Got 1.5",
        ),
        (
            {"scorer": "ccs", "scorer_params": {"cutoff": "a"}},
            ValueError,
            r"scorer_params\['cutoff'\]",
        ),
        (
            {
                "scorer": "aum",
                "estimator": NetworkClassifier(early_stopping=True, max_epochs=2),
            },
            ValueError,
            "Got early_stopping=True, which holds some out",
        ),
    ],
)
def test_bad_scorers_are_named(blobs, options, error, message):
    settings = {"estimator": NETWORK, "random_state": 0} | ALONE | options
    with pytest.raises(error, match=message):
        DRoPSampler(**settings).fit(*blobs)


def test_a_failed_fit_leaves_the_last_one(blobs):
    X, y = blobs
    sampler = DRoPSampler(LogisticRegression(), scorer="el2n", random_state=0)
    sampler.fit(X, y)
    before = {name: vars(sampler)[name] for name in vars(sampler) if name.endswith("_")}
    sampler.set_params(scorer=lambda X, y: [1.0])
    with pytest.raises(ValueError, match="what scorer returns"):
        sampler.fit(X, y)
    for name, value in before.items():
        assert vars(sampler)[name] is value
    sampler.set_params(scorer="el2n").resample(density=0.2)
    assert sampler.target_size_ == 60


def test_a_failed_fit_on_other_columns_leaves_the_last_one(blobs):
    X, y = blobs
    frame = pd.DataFrame(X, columns=list("abcd"))
    sampler = DRoPSampler(LogisticRegression(), density=0.3, random_state=0)
    sampler.fit(frame, y)
    before = dict(vars(sampler))
    bad = pd.DataFrame({"p": np.full(300, np.nan), "q": 1.0})
    with pytest.raises(ValueError, match="NaN"):
        sampler.fit(bad, y)
    assert vars(sampler) == before
    fresh = clone(sampler)
    with pytest.raises(ValueError, match="NaN"):
        fresh.fit(bad, y)
    assert not hasattr(fresh, "n_features_in_")


def test_scores_of_the_user_are_copied(blobs):
    scores = np.arange(300.0)
    sampler = DRoPSampler(scorer=scores, quota="auto", random_state=0).fit(*blobs)
    kept = sampler.sample_indices_
    scores *= -1
    sampler.resample()
    np.testing.assert_array_equal(sampler.sample_indices_, kept)


def test_text_columns_without_an_estimator_are_named(blobs):
    frame = pd.DataFrame(blobs[0][:, :2], columns=["a", "b"]).assign(colour="red")
    with pytest.raises(ValueError, match=r"Columns \['colour'\] of X are not numbers"):
        DRoPSampler().fit(frame, blobs[1])


def test_groups_come_one_way(blobs):
    X, y = blobs
    sampler = DRoPSampler(LogisticRegression(), group_column=0)
    with pytest.raises(ValueError, match="groups must be left out where group_column"):
        sampler.fit(X, y, groups=y)
    with pytest.raises(ValueError, match="groups_val must come with X_val"):
        sampler.set_params(group_column=None).fit(X, y, groups=y, groups_val=y)
    with pytest.raises(ValueError, match=r"must be a name or position. Got True"):
        sampler.set_params(group_column=True).fit(X, y)


def test_steps_that_drop_nothing_are_left_out(blobs):
    calls = []

    def scorer(X, y):
        calls.append(len(y))
        return X[:, 0]

    DRoPSampler(
        LogisticRegression(), scorer=scorer, quota="auto", density=298, n_steps=1000
    ).fit(*blobs)
    assert calls == [300, 299] or calls == [300, 300, 299]


def test_labels_that_cannot_be_sorted_are_named(blobs):
    mixed = np.array(["a", 1, 2.5], dtype=object)[np.sort(blobs[1])]
    with pytest.raises(TypeError, match="y must hold labels that can be sorted"):
        DRoPSampler(quota="uniform").fit(blobs[0], mixed)
