"""ArtifactDetector: what goes in, what comes out, what is refused."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvyso.artifacts import (
    ArtifactDetector,
    ArtifactSimulator,
    DFTFeaturizer,
    GraphLaplacianFeaturizer,
    make_artifact_frames,
)
from sklvyso.artifacts._combining import combine_probabilities
from sklvyso.datasets import make_game_frames
from sklvyso.networks import NetworkClassifier

ARTIFACTS = ["triangulation", "morse_code", "screen_tearing", "discoloration"]
BUNCH = make_game_frames(32, height=64, width=96, n_games=4, random_state=0)
FRAMES, GAMES, CLIPS = BUNCH.images, BUNCH.group, BUNCH.clip
# A game that no detector has seen.
NEW, OWN = np.split(
    make_game_frames(26, height=64, width=96, n_games=1, random_state=11).images, [16]
)
LABELLED = make_artifact_frames(
    40, height=64, width=96, artifacts=ARTIFACTS, random_state=0
)
NAMED = np.where(LABELLED.artifact == "", "normal", LABELLED.artifact)
FOREST = ExtraTreesClassifier(20, min_samples_leaf=2, random_state=0)


def light(**options):
    """Make a detector that is fitted in a second."""
    settings = {
        "experts": FOREST,
        "featurizers": [DFTFeaturizer(statistics=True)],
        "artifacts": ARTIFACTS[:2],
        "n_simulated": 2,
        "restyle": False,
        "tiles": None,
        "random_state": 0,
    }
    return ArtifactDetector(**settings | options)


def light_labelled(**options):
    return light(artifacts=None, **options)


def corrupted(artifact, X=NEW, **options):
    return ArtifactSimulator(random_state=7).corrupt(X, artifact, **options)


@pytest.fixture(scope="module")
def detector():
    """Return the default experts, fitted on clean frames of four games."""
    return ArtifactDetector(
        artifacts=ARTIFACTS, n_simulated=3, restyle=False, tiles=(2, 3), random_state=0
    ).fit(FRAMES, groups=GAMES, clips=CLIPS)


@pytest.fixture(scope="module")
def clean():
    """Return the light detector."""
    return light().fit(FRAMES[::2])


@pytest.fixture(scope="module")
def named():
    return ArtifactDetector(random_state=0).fit(LABELLED.images, NAMED)


# -- clean frames are enough ------------------------------------------------------


def test_clean_frames_are_enough(detector):
    assert detector.classes_.tolist() == [0, 1]
    assert detector.artifacts_ == ARTIFACTS
    assert list(detector.experts_) == ARTIFACTS
    assert detector.n_features_in_ == 64 * 96 * 3
    areas = detector.oof_scores_["roc_auc"]
    assert list(areas) == ARTIFACTS
    # Of games that were held out.
    assert min(areas[name] for name in ("triangulation", "morse_code")) > 0.95
    assert detector.oof_scores_["balanced_accuracy"] > 0.75
    assert detector.n_adapted_frames_ == 0


def test_predictions_follow_the_threshold(detector):
    X = np.concatenate([NEW, corrupted("morse_code"), corrupted("discoloration")])
    probabilities = detector.predict_proba(X)
    assert probabilities.shape == (48, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities >= 0).all()
    np.testing.assert_array_equal(detector.corrupted_proba(X), probabilities[:, 1])
    expected = probabilities[:, 1] >= detector.threshold_
    np.testing.assert_array_equal(detector.predict(X), expected)
    np.testing.assert_array_equal(detector.decision_function(X) >= 0, expected)
    assert 0 < expected.sum() < len(X)


def test_columns_are_in_the_order_of_the_artifacts(detector):
    for k in (0, 1, 3):
        probabilities = detector.predict_artifact_proba(corrupted(ARTIFACTS[k]))
        assert probabilities.shape == (16, 4)
        assert np.mean(probabilities.argmax(axis=1) == k) > 0.7
        indicator = detector.predict_artifacts(corrupted(ARTIFACTS[k]))
        np.testing.assert_array_equal(indicator, probabilities >= 0.5)
        assert indicator.dtype == np.int64
        others = detector.predict_artifact_proba(NEW)[:, k]
        y = np.repeat([1, 0], 16)
        assert roc_auc_score(y, np.append(probabilities[:, k], others)) > 0.9


def test_transform_names_its_columns(detector):
    np.testing.assert_array_equal(
        detector.transform(NEW), detector.predict_artifact_proba(NEW)
    )
    assert detector.get_feature_names_out().tolist() == ARTIFACTS
    table = copy.copy(detector).set_output(transform="pandas").transform(NEW[:3])
    assert list(table.columns) == ARTIFACTS and table.shape == (3, 4)


@pytest.mark.parametrize("combine", ["stack", "or", "max", "noisy_or", "mean"])
def test_combine_is_the_rule(clean, combine):
    model = light(combine=combine).fit(FRAMES[::2])
    experts = model.predict_artifact_proba(NEW)
    expected = combine_probabilities(experts, combine, "proba", model.final_estimator_)
    np.testing.assert_array_equal(model.corrupted_proba(NEW), expected)
    assert (model.final_estimator_ is None) == (combine != "stack")
    # The experts do not depend on it.
    np.testing.assert_array_equal(clean.predict_artifact_proba(NEW), experts)


def test_own_final_estimator_on_binary_outputs():
    final = LogisticRegression()
    model = light(final_estimator=final, stack_method="binary").fit(FRAMES[::2])
    assert isinstance(model.final_estimator_, LogisticRegression)
    assert not hasattr(final, "coef_")
    experts = model.predict_artifact_proba(NEW) >= 0.5
    expected = model.final_estimator_.predict_proba(experts.astype(float))[:, 1]
    np.testing.assert_array_equal(model.corrupted_proba(NEW), expected)


@pytest.mark.parametrize("target", [0.0, 0.1])
def test_target_fpr_is_reached_out_of_fold(target):
    model = light(target_fpr=target).fit(FRAMES)
    ensemble = model.fitted_.ensemble
    is_normal = ~model.training_.Y.any(axis=1)
    assert is_normal.sum() == 32
    probability = ensemble.corrupted(ensemble.oof_)[is_normal]
    rate = np.mean(probability >= model.threshold_)
    assert rate == model.oof_scores_["false_positive_rate"] <= target
    # One more frame would be too many.
    assert rate + 1 / 32 > target


def test_threshold_moves_the_answer():
    strict, lax = (light(threshold=t).fit(FRAMES[::4]) for t in (1.0, 0.0))
    assert strict.threshold_ == 1.0
    assert not strict.predict(FRAMES).any() and lax.predict(FRAMES).all()


def test_names_of_clean_frames_ask_for_names():
    model = light().fit(FRAMES[::2], ["normal"] * 16)
    assert model.classes_.tolist() == sorted(["normal", *ARTIFACTS[:2]])
    predicted = model.predict(corrupted("triangulation"))
    assert np.mean(predicted == "triangulation") > 0.7
    probabilities = model.predict_proba(NEW)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    own = light(normal_label=7).fit(FRAMES[::2], [7] * 16)
    assert own.classes_.tolist() == [0, 1]
    np.testing.assert_allclose(own.predict_proba(NEW)[:, 1], 1 - probabilities[:, 1])


# -- labels -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("normal", "other"),
    [(0, 1), (False, True), (2.0, 5.0), ("fine", "ugly"), ("normal", "bad"), (-1, 1)],
)
def test_two_labels_of_any_kind(normal, other):
    y = np.where(LABELLED.target == 1, other, normal)
    named = {"normal_label": normal} if isinstance(normal, str) else {}
    model = light_labelled(**named).fit(LABELLED.images, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    predicted = model.predict(LABELLED.images)
    assert predicted.dtype == y.dtype and set(predicted) == {normal, other}
    place = model.classes_.tolist().index(other)
    probability = model.predict_proba(LABELLED.images)[:, place]
    np.testing.assert_array_equal(predicted == other, probability >= model.threshold_)
    decision = model.decision_function(LABELLED.images)
    np.testing.assert_array_equal(decision > 0, predicted == model.classes_[1])
    assert balanced_accuracy_score(y, predicted) > 0.75
    is_text = isinstance(other, str)
    assert model.artifacts_ == [other if is_text else "corrupted"]


def test_names_of_artifacts(named):
    assert named.artifacts_ == sorted(ARTIFACTS)
    assert named.classes_.tolist() == sorted([*ARTIFACTS, "normal"])
    probabilities = named.predict_proba(NEW)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    place = named.classes_.tolist().index("normal")
    np.testing.assert_allclose(1 - probabilities[:, place], named.corrupted_proba(NEW))
    # The share of an artifact follows its expert.
    experts = named.predict_artifact_proba(NEW)
    others = np.delete(probabilities, place, axis=1)
    np.testing.assert_array_equal(others.argmax(axis=1), experts.argmax(axis=1))
    predicted = named.predict(LABELLED.images)
    is_flagged = named.corrupted_proba(LABELLED.images) >= named.threshold_
    np.testing.assert_array_equal(predicted != "normal", is_flagged)
    assert np.mean(predicted == NAMED) > 0.8
    assert named.decision_function(NEW).shape == (16, 5)


def test_an_indicator_of_several_artifacts():
    names = sorted(ARTIFACTS)
    Y = (NAMED[:, None] == np.array(names)).astype(int)
    own = light(artifacts=names).fit(LABELLED.images, Y)
    assert own.artifacts_ == names and own.classes_.tolist() == [0, 1]
    assert own.predict_artifacts(NEW).shape == (16, 4)
    assert set(own.predict(LABELLED.images)) == {0, 1}
    expected = balanced_accuracy_score(Y.any(axis=1), own.predict(LABELLED.images))
    assert own.score(LABELLED.images, Y) == expected
    # Experts of an indicator and of names are the same.
    by_name = light_labelled().fit(LABELLED.images, NAMED)
    np.testing.assert_allclose(
        own.predict_artifact_proba(NEW), by_name.predict_artifact_proba(NEW)
    )


# -- a new game -------------------------------------------------------------------


@pytest.mark.parametrize("assume", ["normal", "unlabelled"])
def test_adaptation_helps_on_a_new_game(detector, assume):
    model = copy.deepcopy(detector)
    score = model.score(NEW)
    assert model.adapt(OWN, assume=assume) is model
    assert model.n_adapted_frames_ == {"normal": 10, "unlabelled": 4}[assume]
    assert model.score(NEW) >= score
    assert list(model.experts_) == ARTIFACTS


def test_adaptation_is_to_the_last_game_only(clean):
    model = copy.deepcopy(clean)
    expected = model.adapt(OWN[:5]).predict_proba(NEW)
    assert not np.array_equal(expected, clean.predict_proba(NEW))
    model.adapt(FRAMES[:5])
    assert not np.array_equal(model.predict_proba(NEW), expected)
    np.testing.assert_array_equal(model.adapt(OWN[:5]).predict_proba(NEW), expected)
    model.adapt(None)
    np.testing.assert_array_equal(model.predict_proba(NEW), clean.predict_proba(NEW))
    assert model.n_adapted_frames_ == 0


def test_fitting_forgets_the_adaptation(clean):
    model = clone(clean).fit(FRAMES[::2]).adapt(NEW[:6])
    expected = clean.predict_proba(NEW)
    assert not np.array_equal(model.predict_proba(NEW), expected)
    np.testing.assert_array_equal(model.fit(FRAMES[::2]).predict_proba(NEW), expected)
    assert model.n_adapted_frames_ == 0


def test_adaptation_that_cannot_be_is_refused(clean, named):
    model = copy.deepcopy(clean)
    with pytest.raises(ValueError, match=r"at least 4 frames.*Got 3"):
        model.adapt(NEW[:3])
    with pytest.raises(ValueError, match=r"Got 3 of 8, assume='unlabelled'"):
        model.adapt(NEW[:8], assume="unlabelled")
    assert model.n_adapted_frames_ == 0
    with pytest.raises(ValueError, match="assume must be"):
        model.adapt(NEW, assume="clean")
    with pytest.raises(ValueError, match="clip of each"):
        model.adapt(NEW, clips=[0, 1])
    with pytest.raises(ValueError, match="fitted on clean frames"):
        named.adapt(NEW)


# -- pairs ------------------------------------------------------------------------


def test_the_previous_frame_shows_tears(detector):
    frames, before = NEW[::2], NEW[1::2]
    torn = corrupted("screen_tearing", frames, previous=before)
    X, previous = np.concatenate([frames, torn]), np.concatenate([before, before])
    y, k = np.repeat([0, 1], 8), ARTIFACTS.index("screen_tearing")
    with_pair = detector.predict_artifact_proba(X, previous)[:, k]
    assert roc_auc_score(y, with_pair) >= 0.95
    assert roc_auc_score(y, with_pair) > roc_auc_score(
        y, detector.predict_artifact_proba(X)[:, k]
    )
    corrupted_ = detector.corrupted_proba(X, previous)
    assert roc_auc_score(y, corrupted_) > 0.9
    np.testing.assert_array_equal(detector.predict_proba(X, previous)[:, 1], corrupted_)
    # Other experts do not look at it.
    np.testing.assert_array_equal(
        detector.predict_artifact_proba(X, previous)[:, :2],
        detector.predict_artifact_proba(X)[:, :2],
    )


def test_frames_without_a_previous_one_are_judged_alone(detector):
    gaps = [None, *NEW[:3]]
    found = detector.corrupted_proba(NEW[:4], previous=gaps)
    # The number of rows moves the last digit.
    np.testing.assert_allclose(found[:1], detector.corrupted_proba(NEW[:1]))
    np.testing.assert_allclose(
        found[1:], detector.corrupted_proba(NEW[1:4], previous=NEW[:3])
    )
    alone = detector.corrupted_proba(NEW[:2])
    np.testing.assert_array_equal(
        detector.corrupted_proba(NEW[:2], previous=[None, None]), alone
    )


def test_previous_is_of_no_use_without_clips(clean):
    np.testing.assert_array_equal(
        clean.predict_proba(NEW[1:], previous=NEW[:-1]), clean.predict_proba(NEW[1:])
    )


def test_labelled_clips_teach_tears():
    first, second = FRAMES[::2], FRAMES[1::2]
    torn = corrupted("screen_tearing", first, previous=second)
    X = np.empty((64, *FRAMES.shape[1:]), np.uint8)
    # Each clip twice, in one of them the first frame is torn.
    X[0::4], X[1::4], X[2::4], X[3::4] = first, second, torn, second
    y = np.tile(["normal", "normal", "screen_tearing", "normal"], 16)
    clips = np.repeat(np.arange(32), 2)
    model = light_labelled().fit(X, y, clips=clips)
    new = corrupted("screen_tearing", NEW[::2], previous=NEW[1::2])
    judged, previous = np.concatenate([NEW[::2], new]), np.tile(NEW[1::2], (2, 1, 1, 1))
    scores = model.corrupted_proba(judged, previous)
    assert roc_auc_score(np.repeat([0, 1], 8), scores) >= 0.95


# -- reasons and places -----------------------------------------------------------


def test_explanations_have_a_structure(detector):
    X = np.concatenate([NEW[:4], corrupted("triangulation")[:4]])
    explanations = detector.explain(X)
    probabilities = detector.predict_artifact_proba(X)
    maps = detector.heat_map(X)
    for i, found in enumerate(explanations):
        assert bool(found) == bool(detector.predict(X)[i])
        for place, reason in enumerate(found):
            k = ARTIFACTS.index(reason["artifact"])
            assert reason["probability"] == probabilities[i, k]
            assert place == 0 or reason["probability"] >= 0.5
            np.testing.assert_array_equal(reason["heat_map"], maps[i, k])
            assert 0 < len(reason["features"]) <= 5
            for feature in reason["features"]:
                assert set(feature) == {"name", "value", "normal", "deviation"}
                assert isinstance(feature["name"], str)
        values = [reason["probability"] for reason in found]
        assert values == sorted(values, reverse=True)
    assert [found[0]["artifact"] for found in explanations[4:]] == ["triangulation"] * 4


@pytest.mark.parametrize("artifact", ["triangulation", "morse_code"])
@pytest.mark.parametrize("half", ["left", "right"])
def test_heat_maps_point_at_the_changed_half(detector, artifact, half):
    columns = slice(0, 48) if half == "left" else slice(48, 96)
    broken = NEW.copy()
    broken[:, :, columns] = corrupted(artifact)[:, :, columns]
    maps = detector.heat_map(broken)[:, ARTIFACTS.index(artifact)]
    assert maps.shape == (16, 2, 3) and (maps >= 0).all() and (maps <= 1).all()
    left, right = maps[:, :, 0].max(axis=1), maps[:, :, 2].max(axis=1)
    points = left > right if half == "left" else right > left
    assert points.mean() > 0.8


def test_explanations_without_tiles_and_of_tables(named):
    [found] = named.explain(corrupted("triangulation")[:1])
    assert found[0]["artifact"] == "triangulation" and found[0]["heat_map"] is None
    Z = DFTFeaturizer(statistics=True).fit_transform(LABELLED.images)
    table = light_labelled().fit(Z, NAMED)
    reasons = [found for found in table.explain(Z) if found]
    assert reasons and reasons[0][0]["features"][0]["name"].startswith("x")
    with pytest.raises(ValueError, match=r"heat_map needs.*without labels"):
        named.heat_map(NEW)


# -- score ------------------------------------------------------------------------


def test_score_is_balanced_accuracy(detector, named):
    X, y = LABELLED.images, LABELLED.target
    predicted = detector.predict(X)
    assert detector.score(X, y) == balanced_accuracy_score(y, predicted)
    weight = np.random.default_rng(0).random(40)
    assert detector.score(X, y, weight) == balanced_accuracy_score(
        y, predicted, sample_weight=weight
    )
    assert detector.score(X, NAMED) == detector.score(X, y)
    assert named.score(X, NAMED) == balanced_accuracy_score(NAMED, named.predict(X))
    with pytest.raises(ValueError, match="no simulator"):
        named.score(X)


def test_score_without_labels_corrupts_frames_first(detector):
    score = detector.score(NEW)
    assert 0.6 < score <= 1
    assert detector.score(NEW) == score
    assert detector.score(list(NEW)) == score


# -- persistence and repetition ---------------------------------------------------


def test_copies_predict_alike(detector, tmp_path):
    expected = detector.predict_proba(NEW)
    joblib.dump(detector, tmp_path / "detector.joblib")
    for same in (
        pickle.loads(pickle.dumps(detector)),
        joblib.load(tmp_path / "detector.joblib"),
        copy.deepcopy(detector),
    ):
        np.testing.assert_array_equal(same.predict_proba(NEW), expected)
        np.testing.assert_array_equal(
            same.heat_map(NEW[:2]), detector.heat_map(NEW[:2])
        )
    empty = clone(detector)
    assert not [name for name in vars(empty) if name.endswith("_")]
    assert repr(empty) == repr(detector)


def test_the_same_seed_gives_the_same_detector():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    kept = FRAMES.copy()
    model = light(restyle=True, tiles=(2, 2)).fit(FRAMES[::4], groups=GAMES[::4])
    np.testing.assert_array_equal(FRAMES, kept)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    expected, maps = model.predict_proba(NEW), model.heat_map(NEW[:4])
    again = clone(model).set_params(n_jobs=2).fit(FRAMES[::4], groups=GAMES[::4])
    np.testing.assert_array_equal(again.predict_proba(NEW), expected)
    np.testing.assert_array_equal(again.heat_map(NEW[:4]), maps)
    other = clone(model).set_params(random_state=1).fit(FRAMES[::4], groups=GAMES[::4])
    assert not np.array_equal(other.predict_proba(NEW), expected)


def test_rows_do_not_depend_on_each_other(detector):
    expected = detector.predict_proba(NEW[:11])
    single = np.concatenate([detector.predict_proba(x[None]) for x in NEW[:11]])
    # The number of rows moves the last digit.
    np.testing.assert_allclose(single, expected)


def test_games_have_any_names():
    found = light().fit(FRAMES[::2], groups=np.array(list("abcd"))[GAMES[::2]])
    expected = light().fit(FRAMES[::2], groups=GAMES[::2] * 10 - 3)
    np.testing.assert_array_equal(found.predict_proba(NEW), expected.predict_proba(NEW))
    whole = light().fit(FRAMES[::2])
    assert whole.oof_scores_ != found.oof_scores_


def test_progress_is_shown_on_request_only(capsys):
    light().fit(FRAMES[:8])
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    light(verbose=1).fit(FRAMES[:8])
    captured = capsys.readouterr()
    assert captured.out == "" and "simulating" in captured.err


# -- containers of frames ---------------------------------------------------------


def test_containers_give_the_same_answer(tmp_path):
    X, X_new = FRAMES[::4], NEW[:6]
    expected = light().fit(X).predict_proba(X_new)
    paths = []
    for i, frame in enumerate(X):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(frame).save(paths[-1])
    frozen, frozen_new = X.copy(), X_new.copy()
    frozen.flags.writeable = frozen_new.flags.writeable = False
    flat = {"input_shape": (64, 96, 3)}
    cases = [
        ({}, paths, X_new),
        ({}, [str(path) for path in paths], list(X_new)),
        ({}, list(X), iter(X_new)),
        ({}, frozen, frozen_new),
        (flat, X.reshape(len(X), -1), X_new.reshape(len(X_new), -1)),
    ]
    for options, container, new in cases:
        found = light(**options).fit(container).predict_proba(new)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("X_new", "value_range"),
    [
        (NEW / 255, "auto"),
        ((NEW / 255).astype(np.float32), "auto"),
        (NEW.astype(np.float32), (0, 255)),
    ],
    ids=["float64", "float32", "0..255"],
)
def test_float_frames_are_judged_like_bytes(X_new, value_range):
    model = light(featurizers="auto", tiles=(2, 2), value_range=value_range)
    model.fit(FRAMES[::4])
    expected = model.predict_proba(NEW)
    np.testing.assert_allclose(model.predict_proba(X_new), expected, atol=1e-5)
    np.testing.assert_allclose(
        model.heat_map(X_new[:3]), model.heat_map(NEW[:3]), atol=1e-5
    )


def test_learning_from_float_frames(clean):
    model = light().fit(FRAMES[::2] / 255)
    X = np.concatenate([NEW, corrupted("triangulation")]) / 255
    scores = model.corrupted_proba(X)
    assert roc_auc_score(np.repeat([0, 1], 16), scores) > 0.9
    # Artifacts are not rounded to bytes: nearly the same frames.
    assert np.mean(model.predict(X) == clean.predict(X)) > 0.9


def test_grey_frames():
    grey = FRAMES[..., 1]
    model = light(featurizers="auto", tiles=(2, 2)).fit(grey[::4])
    expected = model.predict_proba(NEW[..., 1])
    np.testing.assert_array_equal(model.predict_proba(NEW[..., 1:2]), expected)
    broken = corrupted("triangulation", NEW[..., 1])
    assert model.predict(broken).mean() > 0.7
    assert model.heat_map(broken[:2]).shape == (2, 2, 2, 2)


def test_frames_of_different_sizes():
    X = [*FRAMES[:16:4], *FRAMES[16::4, :48, :80]]
    model = light(tiles=(2, 2), featurizers="auto").fit(X)
    assert not hasattr(model, "n_features_in_")
    mixed = [NEW[0], NEW[1, :40, :56], NEW[2]]
    found = model.predict_proba(mixed)
    np.testing.assert_array_equal(found[[0, 2]], model.predict_proba(NEW[[0, 2]]))
    assert model.heat_map(mixed).shape == (3, 2, 2, 2)
    assert len(model.explain(mixed)) == 3


# -- experts ----------------------------------------------------------------------


def test_experts_of_every_kind():
    network = NetworkClassifier(
        hidden_layer_sizes=(8,), max_epochs=5, lr=0.01, random_state=0
    )
    experts = {
        "triangulation": make_pipeline(StandardScaler(), network),
        "morse_code": make_pipeline(
            GraphLaplacianFeaturizer(), StandardScaler(), LogisticRegression()
        ),
        "screen_tearing": None,
    }
    model = light(experts=experts, artifacts=ARTIFACTS).fit(FRAMES[::2])
    assert list(model.experts_) == ["triangulation", "morse_code", "discoloration"]
    assert isinstance(model.experts_["triangulation"][-1], NetworkClassifier)
    assert model.experts_["morse_code"][-1].n_features_in_ == len(
        GraphLaplacianFeaturizer().fit(FRAMES).get_feature_names_out()
    )
    assert isinstance(model.experts_["discoloration"], ExtraTreesClassifier)
    probabilities = model.predict_artifact_proba(NEW)
    np.testing.assert_array_equal(probabilities[:, 2], 0)
    assert not hasattr(experts["morse_code"][-1], "coef_")
    broken = model.predict_artifact_proba(corrupted("morse_code"))[:, 1]
    y = np.repeat([0, 1], 16)
    assert roc_auc_score(y, np.append(probabilities[:, 1], broken)) > 0.8
    same = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(same.predict_artifact_proba(NEW), probabilities)
    assert model.explain(corrupted("morse_code")[:3])


def test_dropping_an_expert_keeps_the_others():
    experts = dict.fromkeys(ARTIFACTS, FOREST)
    fewer = experts | {"morse_code": None}
    first, second = (
        light(artifacts=ARTIFACTS, experts=own)
        .fit(FRAMES[::2])
        .predict_artifact_proba(NEW)
        for own in (experts, fewer)
    )
    np.testing.assert_array_equal(first[:, [0, 2, 3]], second[:, [0, 2, 3]])
    np.testing.assert_array_equal(second[:, 1], 0)


def test_the_papers_experts():
    artifacts = ["triangulation", "morse_code", "line_pixelation", "random_patches"]
    model = ArtifactDetector(
        "paper",
        stack_method="binary",
        final_estimator=LogisticRegression(max_iter=1000),
        artifacts=artifacts,
        n_simulated=2,
        restyle=False,
        tiles=None,
        random_state=0,
    ).fit(FRAMES[::2], groups=GAMES[::2])
    # Random patches have no expert of their own, as in the paper.
    assert list(model.experts_) == artifacts[:3]
    X = np.concatenate([FRAMES[1::2], corrupted("triangulation", FRAMES[1::2])])
    y = np.repeat([0, 1], 16)
    assert roc_auc_score(y, model.predict_artifact_proba(X)[:, 0]) > 0.9
    assert set(model.predict(X)) <= {0, 1}


def negative(frame, rng, severity, previous):
    return 255 - frame


def stripes(frame, rng, severity, previous):
    out = frame.copy()
    out[:: int(rng.integers(3, 6))] = rng.integers(0, 256, 3)
    return out


def test_artifacts_of_the_user():
    own = {"negative": negative, "stripes": stripes}
    model = light(artifacts=own).fit(FRAMES[::2])
    assert model.artifacts_ == ["negative", "stripes"]
    broken = ArtifactSimulator(own, random_state=3).corrupt(NEW, "stripes")
    assert model.predict(broken).mean() > 0.8
    assert pickle.loads(pickle.dumps(model)).predict(broken).mean() > 0.8
    simulator = ArtifactSimulator(own, severity=0.5)
    by_simulator = light(artifacts=None, simulator=simulator).fit(FRAMES[::4])
    assert by_simulator.artifacts_ == ["negative", "stripes"]
    assert not hasattr(simulator, "random_state_")


# -- weights ----------------------------------------------------------------------


@pytest.mark.parametrize("has_labels", [False, True])
def test_frames_of_no_weight_are_absent(has_labels):
    if has_labels:
        X, y, rows = LABELLED.images, NAMED, np.arange(40) % 5 > 0
        weight = rows.astype(float)
        found = light_labelled().fit(X, y, sample_weight=weight)
        expected = light_labelled().fit(X[rows], y[rows])
    else:
        rows = np.arange(32) < 24  # streams and plan go by the number of the frame
        found = light().fit(FRAMES, groups=GAMES, sample_weight=rows)
        expected = light().fit(FRAMES[rows], groups=GAMES[rows])
    np.testing.assert_allclose(
        found.predict_proba(NEW), expected.predict_proba(NEW), atol=1e-6
    )


def test_weights_reach_the_experts():
    weight = np.where(LABELLED.target == 1, 1.0, 1e-3)
    weight[::7] *= 5
    expert = make_pipeline(StandardScaler(), LogisticRegression())
    model = light_labelled(experts=expert).fit(
        LABELLED.images, LABELLED.target, sample_weight=weight
    )
    Z = DFTFeaturizer(statistics=True).fit_transform(LABELLED.images)
    alone = clone(expert).fit(
        Z, LABELLED.target, logisticregression__sample_weight=weight
    )
    np.testing.assert_allclose(
        model.experts_["corrupted"][-1].coef_, alone[-1].coef_, rtol=1e-3, atol=1e-6
    )


# -- with the rest of scikit-learn ------------------------------------------------


def test_grid_search_over_the_rule():
    search = GridSearchCV(
        light_labelled(), {"combine": ["stack", "max"]}, cv=GroupKFold(2)
    )
    search.fit(LABELLED.images, NAMED, groups=LABELLED.group)
    assert search.best_params_["combine"] in ("stack", "max")
    scores = search.cv_results_["mean_test_score"]
    assert search.best_score_ == scores.max() > 0.3  # of five classes
    assert search.predict(NEW).shape == (16,)


def test_cross_validation_over_games():
    X, y, cv = LABELLED.images, LABELLED.target, GroupKFold(2)
    scores = cross_val_score(light_labelled(), X, y, groups=LABELLED.group, cv=cv)
    expected = [
        light_labelled().fit(X[train], y[train]).score(X[test], y[test])
        for train, test in cv.split(X, y, LABELLED.group)
    ]
    np.testing.assert_array_equal(scores, expected)


def test_a_table_of_features_in_a_pipeline():
    model = make_pipeline(
        DFTFeaturizer(statistics=True), ArtifactDetector(random_state=0)
    )
    model.fit(LABELLED.images, NAMED)
    assert model[-1].artifacts_ == sorted(ARTIFACTS)
    assert model.classes_.tolist() == sorted([*ARTIFACTS, "normal"])
    assert model.score(LABELLED.images, NAMED) > 0.8
    assert model.predict_proba(NEW).shape == (16, 5)


def test_refitting_on_something_else():
    model = light_labelled().fit(LABELLED.images, NAMED)
    Z = DFTFeaturizer(statistics=True).fit_transform(LABELLED.images)
    model.fit(Z, LABELLED.target)
    assert model.n_features_in_ == Z.shape[1] and model.classes_.tolist() == [0, 1]
    with pytest.raises(ValueError, match="features"):
        model.predict(Z[:, :-1])
    with pytest.raises(ValueError, match="previous must be None"):
        model.predict(Z, previous=Z)
    model.set_params(artifacts=ARTIFACTS[:2]).fit(FRAMES)
    assert model.n_features_in_ == 64 * 96 * 3 and model.artifacts_ == ARTIFACTS[:2]


# -- what is refused --------------------------------------------------------------

BROKEN = FRAMES / 255
BROKEN[1, 2, 3, 0] = np.nan


@pytest.mark.parametrize(
    ("options", "X", "match"),
    [
        ({}, FRAMES[:3], "at least 4 clean frames"),
        ({}, BROKEN, "NaN"),
        ({}, list(BROKEN), "NaN or infinity"),
        ({}, FRAMES[:, :20], "at least 32 rows and columns"),
        ({}, FRAMES[0], "single frame needs a leading axis"),
        ({}, FRAMES[:0], "minimum of 1"),
        ({}, np.ones((9, 5)), "y must hold a label for each row"),
        ({"tiles": (65, 2)}, FRAMES, r"tiles=\(65, 2\) must not exceed"),
        ({"tiles": (2,)}, FRAMES, "tiles must be None or"),
        ({"tiles": (0, 2)}, FRAMES, "tiles must be None or"),
        ({"experts": {"shades": None}}, FRAMES, "named after artifacts"),
        (
            {"experts": {"triangulation": None, "screen_stuttering": None}},
            FRAMES,
            "experts must hold one for at least one",
        ),
        ({"experts": "best"}, FRAMES, "'experts' parameter"),
        ({"featurizers": []}, FRAMES, "list of frame featurizers"),
        ({"artifacts": ["shades"]}, FRAMES, "artifacts must be"),
        ({"threshold": 1.5}, FRAMES, "'threshold' parameter"),
        ({"threshold": -0.1}, FRAMES, "'threshold' parameter"),
        ({"target_fpr": 1.0}, FRAMES, "'target_fpr' parameter"),
        ({"cv": 1}, FRAMES, "'cv' parameter"),
        ({"n_simulated": 0}, FRAMES, "'n_simulated' parameter"),
        ({"value_range": (1, 0)}, FRAMES, "value_range must be"),
        ({"simulator": LogisticRegression()}, FRAMES, "'simulator' parameter"),
        ({}, np.zeros((8, 64, 96, 3), np.uint8), "must show on at least 2 frames"),
        ({"input_shape": (5, 5)}, FRAMES.reshape(32, -1), "at least 16"),
        ({"input_shape": (64, 96)}, FRAMES.reshape(32, -1), "number of columns"),
    ],
)
def test_parameters_and_frames_that_cannot_be_are_refused(options, X, match):
    with pytest.raises(ValueError, match=match) as caught:
        light(**{"artifacts": ["triangulation", "screen_stuttering"]} | options).fit(X)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("y", "options", "match"),
    [
        (None, {"groups": GAMES[:5]}, "game of each of the 32 frames. Got 5"),
        (None, {"clips": CLIPS[:5]}, "clip of each of the 32 frames. Got 5"),
        (None, {"sample_weight": np.ones(5)}, "sample_weight"),
        (None, {"sample_weight": -np.ones(32)}, "Negative values"),
        (None, {"sample_weight": np.zeros(32)}, "zero"),
        (np.zeros(5), {}, "inconsistent numbers of samples"),
        (np.ones(32), {}, "two classes or more"),
        (["torn"] * 32, {}, "two classes or more"),
        (np.arange(32) < 1, {}, r"at least 2 frames of each class.*\{'corrupted': 1\}"),
        (np.linspace(0, 1, 32), {}, "continuous"),
        (
            np.arange(32) % 2,
            {"sample_weight": np.arange(32) % 2},
            r"each class.*\{'normal': 0\}",
        ),
        (np.arange(32) % 2, {"clips": CLIPS[:5]}, "clip of each"),
    ],
)
def test_labels_that_cannot_be_are_refused(y, options, match):
    with pytest.raises(ValueError, match=match):
        light().fit(FRAMES, y, **options)


@pytest.mark.parametrize(
    ("previous", "match"),
    [
        (NEW[:, :48], r"previous frame of frame 0 must have its shape, \(64, 96, 3\)"),
        ([None, NEW[0, :48], *NEW[:14]], "previous frame of frame 1"),
        (NEW[:3], "one frame, or None, for each of the 16 in X. Got 3"),
        (NEW[0], "leading axis"),
    ],
)
def test_previous_frames_that_do_not_fit_are_refused(detector, previous, match):
    with pytest.raises(ValueError, match=match):
        detector.predict(NEW, previous=previous)


@pytest.mark.parametrize(
    "method",
    [
        "predict",
        "predict_proba",
        "predict_artifacts",
        "predict_artifact_proba",
        "corrupted_proba",
        "decision_function",
        "transform",
        "explain",
        "heat_map",
        "score",
        "adapt",
    ],
)
def test_an_unfitted_detector_says_so(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(ArtifactDetector(), method)(FRAMES)


def test_nothing_is_fitted_before_fit():
    model = ArtifactDetector()
    for name in ("threshold_", "experts_", "final_estimator_", "oof_scores_"):
        assert not hasattr(model, name)
    with pytest.raises(NotFittedError):
        model.get_feature_names_out()


def test_frames_that_cannot_be_judged_are_refused(detector):
    with pytest.raises(ValueError, match="NaN"):
        detector.predict(BROKEN)
    with pytest.raises(ValueError, match="at least 16"):
        detector.predict(FRAMES[:, :10])


@pytest.mark.parametrize(
    ("data", "kwargs", "match"),
    [
        ([], {}, "X must hold at least one frame"),
        (
            FRAMES,
            {"groups": FRAMES},
            r"groups must hold .* Got shape \(32, 64, 96, 3\)",
        ),
        (
            FRAMES.astype(float),
            {},
            r"value_range='auto' .* pass value_range=\(0, 255\)",
        ),
        (list(FRAMES.astype(float)), {}, "value_range='auto' takes floats"),
        (FRAMES, {"y": np.array(["normal", 1] * 16, dtype=object)}, "words or numbers"),
    ],
)
def test_input_that_would_mislead_is_refused(data, kwargs, match):
    with pytest.raises(ValueError, match=match):
        ArtifactDetector().fit(data, **kwargs)


def test_arguments_of_the_wrong_type_are_named(detector):
    with pytest.raises(TypeError, match="previous must be frames like X"):
        detector.predict(NEW, previous="before")
    with pytest.raises(TypeError, match="threshold must be a number"):
        detector.explain(NEW[:1], threshold="low")


@pytest.mark.parametrize("words", [("ok", "broken"), ("chromium", "supertux")])
def test_words_must_say_which_frames_are_normal(words):
    y = np.array(words)[LABELLED.target]
    message = r"no label is 'normal'.*normal_label=, and pass games as groups="
    with pytest.raises(ValueError, match=message):
        light().fit(LABELLED.images, y)


def test_columns_of_paths(clean, tmp_path):
    paths = [str(tmp_path / f"{k}.png") for k in range(3)]
    for path, frame in zip(paths, NEW, strict=False):
        Image.fromarray(frame).save(path)
    expected = clean.corrupted_proba(NEW[:3])
    for column in (pd.Series(paths, index=[7, 8, 9]), np.array(paths)):
        np.testing.assert_array_equal(clean.corrupted_proba(column), expected)
    with pytest.raises(ValueError, match=r"Got one path.*use \[path\], or list\(iter_"):
        clean.predict(paths[0])
