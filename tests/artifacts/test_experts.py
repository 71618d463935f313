"""What the detector is made of: labels, folds, experts, stacker, pairs, other looks."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, logit
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvyso.artifacts import (
    ArtifactSimulator,
    DFTFeaturizer,
    GraphLaplacianFeaturizer,
)
from sklvyso.artifacts._combining import (
    COMBINES,
    combine_probabilities,
    expert_logits,
    fit_expert,
    make_folds,
    out_of_fold,
    positive_probability,
    stack_inputs,
)
from sklvyso.artifacts._describing import describe_frames, feature_names
from sklvyso.artifacts._ensemble import (
    Combination,
    ExpertEnsemble,
    _alike_heavy,
    finish,
    fit_calibration,
)
from sklvyso.artifacts._expert_choice import (
    CoverageClassifier,
    _CappedPCA,
    block_columns,
    choose_experts,
)
from sklvyso.artifacts._explaining import expert_importances, standing_out
from sklvyso.artifacts._pair_expert import PairExpert, can_learn
from sklvyso.artifacts._pairs import PAIR_NAMES, pair_statistics
from sklvyso.artifacts._reference import Reference, measure_reference, relative_to
from sklvyso.artifacts._restyling import STYLES, restyle, to_bytes
from sklvyso.artifacts._selecting import areas_under_curve, consistent_features
from sklvyso.artifacts._stacking import ExpertStacker
from sklvyso.artifacts._targets import is_all_normal, partners, read_targets
from sklvyso.artifacts._tile_expert import TileExpert
from sklvyso.artifacts._training_frames import (
    corrupted_versions,
    describe_pairs,
    describe_simulated,
    plan_rounds,
)
from sklvyso.datasets import make_game_frames

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import frames as reference

FRAMES = make_game_frames(12, n_games=3, height=48, width=64, random_state=0).images
NAMES = ["shapes", "morse_code", "screen_tearing"]
STACK = Combination("stack", "proba", None, 0.5, None)


def made_table(n=160, n_artifacts=3, n_noise=4, seed=0):
    """Make a table in which each artifact moves one column, with its labels."""
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.arange(n) % (2 * n_artifacts))
    Y = kinds[:, None] == np.arange(n_artifacts)
    Z = rng.normal(size=(n, n_artifacts + n_noise))
    Z[:, :n_artifacts] += 2.5 * Y
    return Z, Y


# -- selection of features --------------------------------------------------------


@given(data=st.data(), n=st.integers(2, 40), n_values=st.integers(1, 30))
def test_areas_are_those_of_scikit_learn(data, n, n_values):
    values = st.integers(0, n_values)  # few values: ties
    Z = data.draw(hnp.arrays(np.float64, (n, 3), elements=values))
    is_positive = np.arange(n) < data.draw(st.integers(1, n - 1))
    expected = [roc_auc_score(is_positive, column) for column in Z.T]
    np.testing.assert_allclose(areas_under_curve(Z, is_positive), expected)


@given(seed=st.integers(0, 1000), n_selected=st.integers(1, 7))
@settings(max_examples=25)
def test_consistent_features_follow_the_slow_form(seed, n_selected):
    Z, Y = made_table(90, n_noise=5, seed=seed)
    groups = np.random.default_rng(seed).integers(0, 3, len(Z))
    is_normal = ~Y.any(axis=1)
    expected = reference.consistent_columns(Z, Y[:, 0], is_normal, groups)
    found = consistent_features(Z, Y[:, 0], is_normal, groups, n_selected)
    np.testing.assert_array_equal(found, expected[:n_selected])


def test_features_that_turn_round_are_left_out():
    rng = np.random.default_rng(0)
    n = 200
    is_positive, games = np.arange(n) % 2 == 1, np.arange(n) // 100
    weak, strong, noise = rng.normal(size=(3, n))
    weak += is_positive
    strong += 9 * np.where(games == 0, is_positive, ~is_positive)
    Z = np.column_stack([noise, strong, weak])
    assert consistent_features(Z, is_positive, ~is_positive, games, 1).tolist() == [2]
    # Within one game the strong one is best.
    rows = games == 0
    found = consistent_features(
        Z[rows], is_positive[rows], ~is_positive[rows], games[rows], 1
    )
    assert found.tolist() == [1]


def test_few_features_all_stay_in_order():
    Z, Y = made_table()
    is_normal = ~Y.any(axis=1)
    found = consistent_features(Z, Y[:, 0], is_normal, None, Z.shape[1])
    assert found.tolist() == list(range(Z.shape[1]))
    nothing = np.zeros(len(Z), dtype=bool)
    assert consistent_features(Z, nothing, is_normal, None, 2).tolist() == [0, 1]


def test_other_artifacts_do_not_count_for_the_selection():
    Z, Y = made_table()
    is_normal = ~Y.any(axis=1)
    expected = consistent_features(Z, Y[:, 0], is_normal, None, 3)
    Z[Y[:, 1]] += 1e6
    np.testing.assert_array_equal(
        consistent_features(Z, Y[:, 0], is_normal, None, 3), expected
    )


# -- folds ------------------------------------------------------------------------


def check_partition(folds, n):
    tests = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(np.sort(tests), np.arange(n))
    for train, test in folds:
        assert len(train) and len(test)
        np.testing.assert_array_equal(np.union1d(train, test), np.arange(n))
        assert not np.intersect1d(train, test).size


@given(
    n_frames=st.integers(2, 30),
    n_copies=st.integers(1, 4),
    n_games=st.integers(1, 6),
    cv=st.integers(2, 6),
    seed=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_no_frame_and_no_game_is_on_both_sides(n_frames, n_copies, n_games, cv, seed):
    rng = np.random.default_rng(seed)
    source = rng.permutation(np.repeat(np.arange(n_frames), n_copies + 1))
    games = rng.integers(0, n_games, n_frames)[source]
    Y = rng.random((len(source), 3)) < 0.3
    for groups in (games, None):
        folds = make_folds(Y, groups, source, cv, seed)
        check_partition(folds, len(source))
        assert 2 <= len(folds) <= cv
        for train, test in folds:
            assert not np.intersect1d(source[train], source[test]).size
            if groups is not None and len(np.unique(groups)) > 1:
                assert not np.intersect1d(groups[train], groups[test]).size


def test_neighbouring_frames_of_one_game_stay_together():
    source = np.repeat(np.arange(64), 3)
    folds = make_folds(np.zeros((192, 2), bool), None, source, 4, 0)
    for train, test in folds:
        # 16 blocks of 4 frames, each whole.
        assert not np.intersect1d(source[train] // 4, source[test] // 4).size


@given(n=st.integers(12, 60), cv=st.integers(2, 5), seed=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_folds_of_labelled_frames_are_stratified(n, cv, seed):
    kinds = np.arange(n) % 4
    Y = kinds[:, None] == np.arange(3)
    folds = make_folds(Y, None, np.arange(n), cv, seed)
    check_partition(folds, n)
    for _, test in folds:
        counts = np.bincount(kinds[test], minlength=4)
        assert np.ptp(counts) <= 2
    again = make_folds(Y, None, np.arange(n), cv, seed)
    for (_, first), (_, second) in zip(folds, again, strict=True):
        np.testing.assert_array_equal(first, second)


def test_rare_labels_get_fewer_folds():
    Y = np.arange(20)[:, None] < 2
    folds = make_folds(Y, None, np.arange(20), 5, 0)
    assert len(folds) == 2
    assert all(Y[test].sum() == 1 for _, test in folds)


# -- experts out of fold ----------------------------------------------------------


@pytest.mark.parametrize("has_weight", [False, True])
def test_out_of_fold_is_a_plain_loop(has_weight):
    Z, Y = made_table()
    expert = make_pipeline(StandardScaler(), LogisticRegression())
    forest = ExtraTreesClassifier(5, random_state=0)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(Z)) if has_weight else None
    folds = make_folds(Y, None, np.arange(len(Z)), 3, 0)
    jobs = [(expert, Z, Y[:, 0].astype(int)), (forest, Z[:, :2], Y[:, 1].astype(int))]
    found = np.full((len(Z), 2), np.nan)
    for job, rows, probability in out_of_fold(jobs, [folds, folds], weight, None):
        found[rows, job] = probability
    expected = reference.out_of_fold(jobs, folds, weight)
    np.testing.assert_array_equal(found, expected)


def test_weights_reach_experts_that_take_them():
    Z, Y = made_table()
    y = Y[:, 0].astype(int)
    weight = np.where(y == 1, 100.0, 1.0)
    last = LogisticRegression()
    for expert in (last, make_pipeline(last)):
        light = positive_probability(fit_expert(expert, Z, y, None), Z).mean()
        assert positive_probability(fit_expert(expert, Z, y, weight), Z).mean() > light
    # This one takes none, and is fitted all the same.
    assert fit_expert(CoverageClassifier(), Z, y, weight).classes_.tolist() == [0, 1]


def test_an_expert_that_saw_no_artifact_says_zero():
    Z, _ = made_table()
    expert = fit_expert(ExtraTreesClassifier(3), Z, np.zeros(len(Z), int), None)
    assert positive_probability(expert, Z).tolist() == [0.0] * len(Z)


# -- calibration ------------------------------------------------------------------


def test_calibration_gives_back_the_odds():
    rng = np.random.default_rng(0)
    truth = rng.normal(scale=2, size=20000)
    y = rng.random(len(truth)) < expit(truth)
    # An expert whose log odds are half of the right ones, and shifted.
    raw = expit(0.5 * truth - 1)[:, None]
    [(slope, offset)] = fit_calibration(raw, y[:, None], [0], None)
    # Three standard errors of the regression.
    assert slope == pytest.approx(2, abs=0.1)
    assert offset == pytest.approx(2, abs=0.15)


def test_calibration_is_at_a_prior_of_one_half():
    rng = np.random.default_rng(0)
    y = np.arange(4000) % 20 == 0
    raw = expit(rng.normal(loc=np.where(y, 1, -1)))[:, None]
    [(slope, offset)] = fit_calibration(raw, y[:, None], [0], None)
    calibrated = expit(slope * logit(raw[:, 0]) + offset)
    means = calibrated[y].mean(), calibrated[~y].mean()
    assert np.mean(means) == pytest.approx(0.5, abs=0.01)


def test_experts_without_skill_become_constant():
    y = np.arange(100) % 2 == 0
    raw = np.where(y, 0.2, 0.8)[:, None]
    calibration = fit_calibration(
        np.hstack([raw, raw]), np.stack([y, ~y], 1), [0], None
    )
    assert calibration.tolist() == [[0, 0], [1, 0]]


def test_calibration_takes_weights_for_repeated_rows():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3 == 0
    raw = rng.uniform(0, 1, (60, 1)) * 0.5 + 0.4 * y[:, None]
    weight = rng.integers(1, 4, 60)
    weighted = fit_calibration(raw, y[:, None], [0], weight)
    repeated = fit_calibration(
        raw.repeat(weight, axis=0), y.repeat(weight)[:, None], [0], None
    )
    np.testing.assert_allclose(weighted, repeated, rtol=1e-3)


# -- combination ------------------------------------------------------------------

PROBABILITIES = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(0, 1),
)


@given(PROBABILITIES)
def test_rules_follow_their_formulas(probabilities):
    def combined(rule):
        return combine_probabilities(probabilities, rule, "proba", None)

    for i, row in enumerate(probabilities.tolist()):
        assert combined("or")[i] == float(any(p >= 0.5 for p in row))
        assert combined("max")[i] == max(row)
        assert combined("mean")[i] == pytest.approx(sum(row) / len(row))
        miss = 1.0
        for p in row:
            miss *= 1 - p
        assert combined("noisy_or")[i] == pytest.approx(1 - miss)


@given(PROBABILITIES)
def test_rules_are_ordered_and_do_not_depend_on_the_order_of_experts(probabilities):
    values = {
        rule: combine_probabilities(probabilities, rule, "proba", None)
        for rule in COMBINES
        if rule != "stack"
    }
    # One rounding of a product or a mean.
    assert (values["mean"] <= values["max"] + 1e-15).all()
    assert (values["max"] <= values["noisy_or"] + 1e-15).all()
    for rule, expected in values.items():
        found = combine_probabilities(probabilities[:, ::-1], rule, "proba", None)
        np.testing.assert_allclose(found, expected, atol=1e-15)
        assert (expected >= 0).all() and (expected <= 1).all()


def test_what_the_final_estimator_sees():
    probabilities = np.array([[0.0, 0.5], [0.4999, 1.0]])
    assert stack_inputs(probabilities, "binary").tolist() == [[0, 1], [0, 1]]
    limit = np.log(999)
    np.testing.assert_allclose(
        stack_inputs(probabilities, "proba"),
        [[-limit, 0], [np.log(0.4999 / 0.5001), limit]],
        atol=1e-12,
    )


@given(
    labels=hnp.arrays(bool, (30, 4)),
    weight=hnp.arrays(np.float64, 30, elements=st.floats(0.1, 10)),
)
def test_artifacts_are_alike_heavy(labels, weight):
    found = _alike_heavy(labels, weight)
    kinds = np.where(labels.any(axis=1), labels.argmax(axis=1), -1)
    sums = [found[kinds == k].sum() for k in np.unique(kinds[kinds >= 0])]
    if sums:
        np.testing.assert_allclose(sums, 15 / len(sums))
    if (kinds < 0).any():
        assert found[kinds < 0].sum() == pytest.approx(15)
    for k in np.unique(kinds):
        # Within a kind the given weights keep their proportions.
        ratio = found[kinds == k] / weight[kinds == k]
        np.testing.assert_allclose(ratio, ratio[0])


# -- stacker ----------------------------------------------------------------------


def log_odds(n=600, n_experts=5, seed=0, share=0.5, step=4.0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    X = rng.normal(-3, 1, (n, n_experts))
    X[np.arange(n), rng.integers(0, n_experts, n)] += step * y
    return X, y


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_one_half_is_where_balanced_accuracy_is_best(share):
    X, y = log_odds(share=share, n=2000, step=2.5)
    stacker = ExpertStacker().fit(X, y)
    scores = stacker.decision_function(X)
    best = max(balanced_accuracy_score(y, scores >= limit) for limit in scores)
    assert balanced_accuracy_score(y, stacker.predict(X)) > best - 0.02
    assert best > 0.7
    np.testing.assert_allclose(stacker.predict_proba(X)[:, 1], expit(scores))
    np.testing.assert_array_equal(stacker.predict(X), (scores >= 0).astype(int))


def test_stacker_weighs_both_classes_alike():
    X, y = log_odds()
    stacker = ExpertStacker().fit(X, y)
    # One class ten times as heavy: the same.
    weight = np.where(y == 1, 10.0, 1.0)
    other = ExpertStacker().fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(
        other.decision_function(X), stacker.decision_function(X), atol=1e-9
    )


def test_stacker_takes_weights_for_repeated_rows():
    X, y = log_odds(n=400)
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    weighted = ExpertStacker().fit(X, y, sample_weight=weight)
    repeated = ExpertStacker().fit(X.repeat(weight, axis=0), y.repeat(weight))
    # Regressions: the penalty weighs against the sum of the weights, which is the
    # number of rows in one case, of repeated rows in the other; limits are quantiles.
    ratio = len(y) / weight.sum()
    stronger = ExpertStacker(C=0.3 / ratio).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(
        stronger.regressions_[0].coef_, repeated.regressions_[0].coef_, atol=1e-3
    )
    agree = weighted.predict(X) == repeated.predict(X)
    assert agree.mean() > 0.98


def test_stacker_of_one_or_two_experts():
    for n_experts in (1, 2, 3, 4):
        X, y = log_odds(n_experts=n_experts)
        stacker = ExpertStacker().fit(X, y)
        assert balanced_accuracy_score(y, stacker.predict(X)) > 0.8
        assert stacker.regressions_[0].n_features_in_ == n_experts + 3 * (n_experts > 3)


def test_stacker_hears_a_sure_expert_among_many():
    X, y = log_odds(n_experts=11)
    stacker = ExpertStacker().fit(X, y)
    quiet = np.full((1, 11), -3.0)
    sure = quiet.copy()
    sure[0, 4] = 3.0
    assert stacker.predict_proba(quiet)[0, 1] < 0.5 < stacker.predict_proba(sure)[0, 1]


def test_an_unfitted_stacker_says_so():
    with pytest.raises(NotFittedError):
        ExpertStacker().predict_proba(np.zeros((1, 3)))


# -- ensemble ---------------------------------------------------------------------


def fitted_ensemble(names, experts, combination=STACK, only_normal=False, weight=None):
    Z, Y = made_table()
    columns = {name: np.arange(Z.shape[1]) for name in experts}
    folds = make_folds(Y, None, np.arange(len(Z)), 3, 0)
    ensemble = ExpertEnsemble(names, experts, columns, combination, only_normal)
    return ensemble.fit(Z, Y, folds, weight), Z, Y, folds


def test_dropping_an_expert_keeps_the_others():
    forest = ExtraTreesClassifier(10, random_state=0)
    experts = dict.fromkeys(NAMES, forest)
    whole, Z, _, _ = fitted_ensemble(NAMES, experts)
    fewer, _, _, _ = fitted_ensemble(NAMES, {n: forest for n in NAMES if n != NAMES[1]})
    first, second = whole.probabilities(Z), fewer.probabilities(Z)
    np.testing.assert_array_equal(second[:, [0, 2]], first[:, [0, 2]])
    np.testing.assert_array_equal(second[:, 1], 0)
    np.testing.assert_array_equal(fewer.oof_[:, [0, 2]], whole.oof_[:, [0, 2]])
    assert list(fewer.oof_scores_["roc_auc"]) == [NAMES[0], NAMES[2]]
    assert fewer.corrupted(second).shape == (len(Z),)


@pytest.mark.parametrize("only_normal", [False, True])
def test_ensemble_learns_out_of_fold(only_normal):
    expert = LogisticRegression()
    experts = dict.fromkeys(NAMES, expert)
    ensemble, Z, Y, folds = fitted_ensemble(NAMES, experts, only_normal=only_normal)
    is_normal = ~Y.any(axis=1)
    for k in range(3):
        own = Y[:, k] | is_normal if only_normal else np.ones(len(Z), bool)
        trains = [(train[own[train]], test) for train, test in folds]
        raw = reference.out_of_fold([(expert, Z, Y[:, k].astype(int))], trains, None)
        slope, offset = ensemble.calibration_[k]
        expected = expit(slope * expert_logits(raw[:, 0]) + offset)
        np.testing.assert_allclose(ensemble.oof_[:, k], expected)
        alone = LogisticRegression().fit(Z[own], Y[own, k].astype(int))
        np.testing.assert_array_equal(ensemble.experts_[NAMES[k]].coef_, alone.coef_)
    scores = ensemble.oof_scores_
    expected = roc_auc_score(
        Y[Y[:, 0] | is_normal, 0], ensemble.oof_[Y[:, 0] | is_normal, 0]
    )
    assert scores["roc_auc"][NAMES[0]] == expected > 0.9
    assert scores["balanced_accuracy"] > 0.8


@given(
    seed=st.integers(0, 1000),
    target=st.sampled_from([0.0, 0.01, 0.1, 0.3]),
    rule=st.sampled_from(["max", "mean", "noisy_or", "or", "stack"]),
)
@settings(max_examples=40, deadline=None)
def test_target_fpr_is_kept_on_held_out_rows(seed, target, rule):
    rng = np.random.default_rng(seed)
    Y = np.arange(80)[:, None] % 6 == np.arange(3)
    probabilities = rng.random(Y.shape).round(1)  # ties
    combination = Combination(rule, "proba", None, 0.5, target)
    final, threshold, scores = finish(
        probabilities, Y, [0, 1, 2], NAMES, combination, None
    )
    corrupted = combine_probabilities(probabilities, rule, "proba", final)
    rate = np.mean(corrupted[~Y.any(axis=1)] >= threshold)
    assert rate <= target
    assert scores["false_positive_rate"] == rate
    # The threshold is the least of the kind: a step further down and more are flagged.
    next_lower = corrupted[~Y.any(axis=1) & (corrupted < threshold)].max()
    assert np.mean(corrupted[~Y.any(axis=1)] >= next_lower) > target


def test_threshold_is_the_given_one_without_a_target():
    combination = Combination("max", "proba", None, 0.37, None)
    ensemble, _, _, _ = fitted_ensemble(
        NAMES, dict.fromkeys(NAMES, LogisticRegression()), combination
    )
    assert ensemble.threshold_ == 0.37 and ensemble.final_estimator_ is None


# -- choice of experts ------------------------------------------------------------


def test_equal_featurizers_run_once():
    first = make_pipeline(DFTFeaturizer((8, 8)), LogisticRegression())
    second = make_pipeline(
        DFTFeaturizer((8, 8)), StandardScaler(), LogisticRegression()
    )
    third = make_pipeline(DFTFeaturizer((8, 9)), LogisticRegression())
    experts = dict(zip(NAMES, (first, second, third), strict=True))
    choice = choose_experts(experts, NAMES, "auto", LogisticRegression(), 0)
    # Nobody reads the common ones.
    assert [f.output_shape for f in choice.featurizers] == [(8, 8), (8, 9)]
    assert choice.blocks == {NAMES[0]: [0], NAMES[1]: [0], NAMES[2]: [1]}
    assert len(choice.experts[NAMES[1]]) == 2
    assert not any(choice.is_default.values())
    assert first[0] is not choice.featurizers[0]


def test_defaults_fill_up_and_none_drops():
    default = LogisticRegression()
    own = {NAMES[0]: None, NAMES[1]: make_pipeline(DFTFeaturizer(), default)}
    choice = choose_experts(own, NAMES, [GraphLaplacianFeaturizer()], default, 0)
    assert list(choice.experts) == NAMES[1:]
    assert choice.is_default == {NAMES[1]: False, NAMES[2]: True}
    assert choice.blocks == {NAMES[1]: [1], NAMES[2]: [0]}


def test_columns_of_blocks_follow_each_other():
    featurizers = [
        f.fit(FRAMES) for f in (DFTFeaturizer((4, 4)), GraphLaplacianFeaturizer())
    ]
    names = feature_names(featurizers)
    columns = block_columns(featurizers, {"a": [1], "b": [0, 1], "c": [0]})
    assert [names[j] for j in columns["c"]] == feature_names(featurizers[:1])
    assert [names[j] for j in columns["a"]] == feature_names(featurizers[1:])
    np.testing.assert_array_equal(columns["b"], np.arange(len(names)))
    Z = describe_frames(featurizers, list(FRAMES), "auto")
    np.testing.assert_array_equal(Z[:, columns["a"]], featurizers[1].transform(FRAMES))


def test_the_papers_experts_have_the_artifacts_names():
    names = ArtifactSimulator("paper").artifact_names
    choice = choose_experts("paper", names, "auto", None, 0)
    # As in the paper, random patches have no expert of their own.
    assert set(names) - set(choice.experts) == {"random_patches"}
    assert len(choice.featurizers) == 5


def test_choices_that_cannot_be_are_refused():
    default = LogisticRegression()
    with pytest.raises(ValueError, match=r"named after artifacts.*Got 'shades'"):
        choose_experts({"shades": None}, NAMES, "auto", default, 0)
    with pytest.raises(ValueError, match="experts must hold one for at least one"):
        choose_experts(dict.fromkeys(NAMES), NAMES, "auto", default, 0)
    for featurizers in ([], [StandardScaler()]):
        with pytest.raises(ValueError, match="list of frame featurizers"):
            choose_experts("auto", NAMES, featurizers, default, 0)


def test_coverage_needs_no_training():
    X = np.array([[0.9, 0.1, 5], [0.1, 0.86, 5], [0.85, 0.85, 5]])
    coverage = CoverageClassifier().fit(X, [0, 1, 1])
    assert coverage.predict(X).tolist() == [1, 1, 0]
    np.testing.assert_array_equal(coverage.predict_proba(X)[:, 1], [1, 1, 0])


def test_components_are_at_most_half_of_the_rows():
    X = np.random.default_rng(0).normal(size=(10, 30))
    capped = _CappedPCA(300, random_state=0)
    assert capped.fit_transform(X).shape == (10, 5)
    assert capped.n_components == 300
    assert _CappedPCA(2).fit_transform(X).shape == (10, 2)


# -- pairs ------------------------------------------------------------------------


def pair_names():
    return {name: i for i, name in enumerate(PAIR_NAMES)}


def noise_planes(seed, height=40, width=60):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (3, height, width)).astype(np.uint8)


@given(share=st.floats(0.05, 0.95), axis=st.sampled_from(["rows", "columns"]))
@settings(max_examples=30)
def test_the_part_that_stands_still_is_the_torn_one(share, axis):
    frame, previous = noise_planes(0), noise_planes(1)
    n = frame.shape[1 if axis == "rows" else 2]
    size = max(1, int(share * n))
    torn = frame.copy()
    part = (slice(None), slice(0, size)) if axis == "rows" else (..., slice(0, size))
    torn[part] = previous[part]
    values = pair_statistics(torn, previous)
    places = pair_names()
    other = "columns" if axis == "rows" else "rows"
    assert values[places[f"pair_{axis}_still"]] == np.float32(size / n)
    assert values[places[f"pair_{other}_still"]] == 0
    split, back = (values[places[f"pair_{axis}_{k}"]] for k in ("split", "split_back"))
    assert split > 2 > back


def test_equal_frames_give_zeros_but_for_what_stands_still():
    frame = noise_planes(0)
    values = pair_statistics(frame, frame)
    ones = {"pair_rows_still", "pair_columns_still", "pair_equal"}
    for name, value in zip(PAIR_NAMES, values, strict=True):
        assert value == (name in ones)


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_pairs_are_symmetric(seed):
    first, second = noise_planes(seed), noise_planes(seed + 1)
    second[:, :13] = first[:, :13]
    values = pair_statistics(first, second)
    np.testing.assert_array_equal(values, pair_statistics(second, first))
    # Turned by 90 degrees rows and columns change places.
    turned = pair_statistics(*(np.swapaxes(p, 1, 2) for p in (first, second)))
    expected = np.concatenate([values[5:10], values[:5], values[10:]])
    np.testing.assert_allclose(turned, expected, rtol=1e-5)


@given(st.integers(0, 1000), st.integers(2, 30), st.integers(2, 30))
@settings(max_examples=25)
def test_pair_statistics_follow_the_slow_form(seed, height, width):
    rng = np.random.default_rng(seed)
    first = noise_planes(seed, height, width)
    second = np.clip(first + rng.integers(-1, 2, first.shape), 0, 255).astype(np.uint8)
    second[:, : height // 2] = first[:, : height // 2]
    values = pair_statistics(first, second)
    expected = reference.pair_statistics(first, second)
    assert list(expected) == PAIR_NAMES
    np.testing.assert_allclose(values, list(expected.values()), rtol=1e-4, atol=1e-6)


def test_pairs_of_frames_in_any_scale():
    frames, previous = FRAMES[:3], [FRAMES[1], None, FRAMES[0]]
    simulator = ArtifactSimulator()
    whole = describe_pairs(frames, previous, simulator)
    assert np.isnan(whole[1]).all() and np.isfinite(whole[[0, 2]]).all()
    scaled = [None if p is None else p / 255 for p in previous]
    np.testing.assert_array_equal(
        describe_pairs(frames / 255, scaled, simulator), whole
    )


def made_pairs(seed=0, n=90):
    """Make torn and moving pairs, some rows without; single frames say nothing."""
    rng = np.random.default_rng(seed)
    Z, Y = made_table(n, seed=seed)
    Z[:, 2] = rng.normal(size=n)  # the expert of tearing is blind
    pairs = np.full((n, len(PAIR_NAMES)), np.nan, dtype=np.float32)
    for i in range(0, n - n // 6):
        frame, previous = noise_planes(2 * i, 20, 30), noise_planes(2 * i + 1, 20, 30)
        if Y[i, 2]:
            frame[:, : 3 + i % 15] = previous[:, : 3 + i % 15]
        pairs[i] = pair_statistics(frame, previous)
    return Z, Y, pairs


def test_pairs_show_what_single_frames_do_not():
    Z, Y, pairs = made_pairs()
    forest = ExtraTreesClassifier(30, random_state=0)
    folds = make_folds(Y, None, np.arange(len(Z)), 3, 0)
    columns = {name: np.arange(Z.shape[1]) for name in NAMES}
    ensemble = ExpertEnsemble(
        NAMES, dict.fromkeys(NAMES, forest), columns, STACK, False
    ).fit(Z, Y, folds)
    assert can_learn(pairs, Y, NAMES, "screen_tearing")
    expert = PairExpert(forest, "screen_tearing").fit(pairs, Y, folds, ensemble)
    single = ensemble.oof_scores_["roc_auc"]["screen_tearing"]
    assert single < 0.8
    assert expert.oof_scores_["roc_auc"]["screen_tearing"] > 0.95
    assert (
        expert.oof_scores_["balanced_accuracy"]
        > ensemble.oof_scores_["balanced_accuracy"]
    )
    # On new pairs, the columns of the other experts stay.
    Z_new, Y_new, pairs_new = made_pairs(seed=7)
    rows = np.flatnonzero(~np.isnan(pairs_new[:, 0]))
    before = ensemble.probabilities(Z_new[rows])
    kept = before.copy()
    after = expert.replaced(before, pairs_new[rows])
    np.testing.assert_array_equal(before, kept)
    np.testing.assert_array_equal(after[:, :2], before[:, :2])
    assert roc_auc_score(Y_new[rows, 2], after[:, 2]) > 0.95
    corrupted = expert.corrupted(after, ensemble)
    assert roc_auc_score(Y_new[rows].any(axis=1), corrupted) > 0.85


def test_weights_reach_the_expert_on_pairs():
    Z, Y, pairs = made_pairs()
    folds = make_folds(Y, None, np.arange(len(Z)), 3, 0)
    expert = LogisticRegression(max_iter=1000)
    columns = {name: np.arange(Z.shape[1]) for name in NAMES}
    ensemble = ExpertEnsemble(
        NAMES, dict.fromkeys(NAMES, expert), columns, STACK, False
    ).fit(Z, Y, folds)
    weight = np.where(Y[:, 2], 1.0, 50.0)
    found = [
        PairExpert(expert, "screen_tearing").fit(pairs, Y, folds, ensemble, w).expert_
        for w in (None, weight)
    ]
    assert found[1].intercept_ != found[0].intercept_
    rows = ~np.isnan(pairs[:, 0])
    alone = LogisticRegression(max_iter=1000).fit(
        pairs[rows], Y[rows, 2].astype(int), weight[rows]
    )
    np.testing.assert_allclose(found[1].coef_, alone.coef_)


def test_few_pairs_are_not_learned_from():
    _, Y, pairs = made_pairs()
    assert not can_learn(pairs, Y, NAMES[:2], "screen_tearing")
    torn = np.flatnonzero(Y[:, 2])[9:]
    pairs[torn] = np.nan
    assert not can_learn(pairs, Y, NAMES, "screen_tearing")
    pairs[:] = np.nan
    assert not can_learn(pairs, Y, NAMES, "screen_tearing")


# -- reference of a game ----------------------------------------------------------


def test_reference_of_normal_numbers():
    Z = np.random.default_rng(0).normal([5, -2], [1, 3], (4000, 2))
    center, scale = measure_reference(Z)
    np.testing.assert_allclose(center, [5, -2], atol=0.15)
    # 15 and 85 % are 1.036 standard deviations from the middle.
    np.testing.assert_allclose(scale, [1.036, 3.109], rtol=0.05)
    relative = relative_to(Z, Reference(center, scale))
    assert relative.dtype == np.float32
    np.testing.assert_allclose(np.median(relative, axis=0), 0, atol=1e-6)


@given(
    Z=hnp.arrays(np.float64, (12, 3), elements=st.floats(-1e6, 1e6)),
    factor=st.floats(0.1, 10),
)
def test_references_are_finite_and_relative_values_bounded(Z, factor):
    reference_ = measure_reference(Z)
    assert (reference_.scale > 0).all()
    relative = relative_to(Z, reference_)
    assert np.isfinite(relative).all() and (np.abs(relative) <= 30).all()
    # What is far from the rest does not move the reference.
    far = Z.copy()
    far[np.argmax(Z[:, 0]), 0] += 1e5 * factor
    assert measure_reference(far).center[0] == reference_.center[0]


def test_constant_features_have_a_scale():
    center, scale = measure_reference(np.full((5, 2), [0.0, 100.0]))
    np.testing.assert_allclose(center, [0, 100])
    np.testing.assert_allclose(scale, [1e-6, 0.100001], rtol=1e-5)


def test_what_stands_out_is_ordered_by_importance_times_deviation():
    normal = Reference(np.zeros(4), np.array([1.0, 1.0, 2.0, 1.0]))
    z = np.array([3.0, -4.0, 10.0, 0.0])
    names = np.array(["a", "b", "c", "d"])
    found = standing_out(z, names, normal, np.array([0.1, 0.7, 0.1, 0.1]))
    assert [f["name"] for f in found] == ["b", "c", "a", "d"]
    assert found[1] == {"name": "c", "value": 10.0, "normal": 0.0, "deviation": 5.0}
    many = Reference(np.zeros(9), np.ones(9))
    assert len(standing_out(np.zeros(9), np.arange(9), many, np.ones(9))) == 5


def test_experts_that_do_not_say_use_all_columns_alike():
    assert expert_importances(LogisticRegression(), 4).tolist() == [0.25] * 4
    Z, Y = made_table()
    forest = ExtraTreesClassifier(5).fit(Z, Y[:, 0])
    importances = expert_importances(forest, Z.shape[1])
    assert importances.sum() == pytest.approx(1) and importances.argmax() == 0
    assert expert_importances(forest, 3).tolist() == [1 / 3] * 3


# -- other looks ------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "frame",
    [FRAMES[0], FRAMES[1, :, :, 0], FRAMES[0, :1, :1], FRAMES[0, :3, :5, 1]],
    ids=["rgb", "grey", "pixel", "tiny"],
)
def test_other_looks_keep_the_form(style, frame):
    kept = frame.copy()
    looks = [restyle(frame, style, np.random.default_rng(s)) for s in (0, 0, *range(9))]
    for styled in looks:
        assert styled.shape == frame.shape and styled.dtype == np.uint8
        assert styled.flags.c_contiguous
    np.testing.assert_array_equal(frame, kept)
    np.testing.assert_array_equal(looks[0], looks[1])
    if frame.size > 3:
        assert any((styled != looks[0]).any() for styled in looks)


@given(seed=st.integers(0, 10000))
@settings(max_examples=25)
def test_looks_are_what_they_say(seed):
    frame = FRAMES[seed % len(FRAMES)]

    def styled(style):
        return restyle(frame, style, np.random.default_rng(seed))

    levels = np.unique(styled("palette"))
    levels = levels[levels < 255]
    assert any((levels % step == step // 2).all() for step in range(6, 25))
    pixels = styled("pixels")
    grids = [pixels[::f, ::f].repeat(f, 0).repeat(f, 1)[:48, :64] for f in (2, 3)]
    assert any(np.array_equal(pixels, grid) for grid in grids)
    known = {tuple(c) for c in frame.reshape(-1, 3)}
    assert {tuple(c) for c in pixels.reshape(-1, 3)} <= known
    # Recolouring maps each channel by one rising curve: equal pixels stay equal.
    new = styled("recolored")
    n_before = len(np.unique(frame.reshape(-1, 3), axis=0))
    assert len(np.unique(new.reshape(-1, 3), axis=0)) <= n_before
    assert min(new.reshape(-1, 3).std(axis=0)) > 0


def test_bytes_of_any_frame():
    for X in (FRAMES[0], FRAMES[0] / 255, (FRAMES[0] / 255).astype(np.float32)):
        np.testing.assert_array_equal(to_bytes(X), FRAMES[0])
    np.testing.assert_array_equal(to_bytes(FRAMES[0, :, :, :1]), FRAMES[0, :, :, 0])
    wide = FRAMES[0].astype(np.float32)
    np.testing.assert_array_equal(to_bytes(wide, (0, 255)), FRAMES[0])


# -- simulated training frames ----------------------------------------------------


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    n_simulated=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_rounds_are_balanced_within_games(sizes, n_simulated, seed):
    names = ["a", "b", "c", "d"]
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    plan = plan_rounds(groups, names, n_simulated, seed)
    assert all(len(set(own)) == len(own) == n_simulated for own in plan)
    for game, n in enumerate(sizes):
        own = [plan[row] for row in np.flatnonzero(groups == game)]
        # Exact to the block of ten frames that the deck is dealt to.
        dealt = [name for names_ in own[: n // 10 * 10] for name in names_]
        counts = [dealt.count(name) for name in names]
        if n_simulated in (1, 4):
            assert max(counts) - min(counts) <= 1
        # A frame that would get an artifact twice takes the next one instead, so that
        # of two decks at least one gives its card.
        assert 2 * min(counts) >= len(dealt) // len(names)
    # A game's plan depends neither on other games nor on frames that follow.
    rows = np.flatnonzero(groups == 0)
    alone = plan_rounds(np.zeros(len(rows) + 3, int), names, n_simulated, seed)
    assert [plan[row] for row in rows] == alone[: len(rows)]


def described(n_jobs=None, frames=FRAMES, **options):
    featurizers = [GraphLaplacianFeaturizer().fit(FRAMES)]
    simulator = ArtifactSimulator(NAMES)
    plan = plan_rounds(np.zeros(len(FRAMES), int), NAMES, 2, 3)[: len(frames)]
    previous = [None if i % 3 == 0 else FRAMES[i - 1] for i in range(len(frames))]
    return describe_simulated(
        frames, previous, featurizers, simulator, plan, 3, n_jobs=n_jobs, **options
    )


@pytest.mark.parametrize("restyled", [False, True])
def test_simulation_does_not_depend_on_jobs_and_chunks(restyled, monkeypatch):
    from sklvyso.artifacts import _training_frames

    kept = FRAMES.copy()
    expected = described(restyle=restyled)
    np.testing.assert_array_equal(FRAMES, kept)
    cases = [described(n_jobs=2, restyle=restyled)]
    cases.append(described(frames=list(FRAMES), restyle=restyled))
    monkeypatch.setattr(_training_frames, "_CHUNK", 5)
    cases.append(described(restyle=restyled))
    for case in cases:
        for found, wanted in zip(case, expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    # The first frames alone: their rows.
    monkeypatch.undo()
    rows = expected.source < 5
    for found, wanted in zip(
        described(frames=FRAMES[:5], restyle=restyled), expected, strict=True
    ):
        np.testing.assert_array_equal(found, wanted[rows])


def test_each_frame_comes_clean_and_as_planned():
    Z, pairs, Y, source = described()
    plan = plan_rounds(np.zeros(len(FRAMES), int), NAMES, 2, 3)
    featurizer = GraphLaplacianFeaturizer().fit(FRAMES)
    for i, own in enumerate(plan):
        rows = np.flatnonzero(source == i)
        found = [
            [n for n, is_on in zip(NAMES, Y[r], strict=True) if is_on] for r in rows
        ]
        assert found == [[], *([name] for name in own)]
        np.testing.assert_array_equal(Z[rows[0]], featurizer.transform(FRAMES[[i]])[0])
        assert np.isnan(pairs[rows]).all() == (i % 3 == 0)


def test_restyled_frames_have_no_pairs():
    own, styled = described(), described(restyle=True)
    assert np.isnan(styled.pairs).all()
    assert not np.allclose(own.Z[own.source == 0][0], styled.Z[styled.source == 0][0])


@pytest.mark.parametrize("restyled", [False, True])
def test_simulation_is_the_same_in_other_scales(restyled):
    expected = described(restyle=restyled)
    # Previous frames must have the frame's dtype: none here.
    featurizers = [GraphLaplacianFeaturizer().fit(FRAMES)]
    plan = plan_rounds(np.zeros(len(FRAMES), int), ["shapes"], 1, 3)
    nothing = [None] * len(FRAMES)
    cases = [(FRAMES, "auto"), (FRAMES / 255, "auto"), (FRAMES.astype(float), (0, 255))]
    found = []
    for frames, value_range in cases:
        for featurizer in featurizers:
            featurizer.set_params(value_range=value_range)
        simulator = ArtifactSimulator(["shapes"], value_range=value_range)
        found.append(
            describe_simulated(
                frames, nothing, featurizers, simulator, plan, 3, restyle=restyled
            )
        )
    for case in found[1:]:
        np.testing.assert_allclose(case.Z, found[0].Z, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(case.Y, found[0].Y)
    assert expected.Z.shape[1] == found[0].Z.shape[1]


def test_artifacts_that_do_not_show_are_left_out():
    black = np.zeros((40, 50, 3), dtype=np.uint8)
    simulator = ArtifactSimulator(["screen_stuttering", "morse_code"])
    names = simulator.artifact_names
    versions, Y = corrupted_versions(black, None, simulator, names, names, 0, 0)
    assert len(versions) == 2
    np.testing.assert_array_equal(Y, [[False, False], [False, True]])
    assert not black.any()


def test_streams_of_frames_are_their_own():
    simulator = ArtifactSimulator(NAMES)
    versions = [
        corrupted_versions(FRAMES[0], None, simulator, NAMES, NAMES, 0, number)[0]
        for number in (0, 0, 1)
    ]
    for k, (first, second, third) in enumerate(zip(*versions, strict=True)):
        np.testing.assert_array_equal(first, second)
        assert (first != third).any() == (k > 0)


# -- tiles ------------------------------------------------------------------------


def test_tiles_show_the_place():
    artifacts = ["morse_code", "triangulation"]
    simulator = ArtifactSimulator(artifacts)
    plan = [artifacts] * 8
    expert = TileExpert((2, 2), artifacts)
    expert.fit(list(FRAMES[:8]), [None] * 8, simulator, plan, 0)
    broken = ArtifactSimulator(random_state=5).corrupt(FRAMES[8:], "triangulation")
    halves = FRAMES[8:].copy()
    halves[:, :, 32:] = broken[:, :, 32:]
    maps = np.stack([expert.heat_maps(frame) for frame in halves])
    assert maps.shape == (4, 2, 2, 2)
    assert (maps >= 0).all() and (maps <= 1).all()
    clean = np.stack([expert.heat_maps(frame) for frame in FRAMES[8:]])
    np.testing.assert_array_equal(maps[..., 0], clean[..., 0])
    gain = maps[:, 1, :, 1].mean() - clean[:, 1, :, 1].mean()
    assert gain > 0.2 and maps[:, 1, :, 1].mean() > maps[:, 1, :, 0].mean() + 0.1


# -- labels -----------------------------------------------------------------------


def test_targets_of_every_form():
    binary = read_targets([0, 1, 1, 0], "normal", None)
    assert (binary.kind, binary.names, binary.normal) == ("binary", ["corrupted"], 0)
    np.testing.assert_array_equal(binary.Y[:, 0], [False, True, True, False])
    named = read_targets(["b", "normal", "a", "b"], "normal", None)
    assert (named.kind, named.names, named.normal) == ("named", ["a", "b"], "normal")
    np.testing.assert_array_equal(named.Y, [[0, 1], [0, 0], [1, 0], [0, 1]])
    assert named.classes.tolist() == ["a", "b", "normal"]
    matrix = read_targets([[0, 0], [1, 1], [0, 1]], "normal", None)
    assert (matrix.kind, matrix.normal) == ("indicator", 0)
    assert matrix.names == ["artifact0", "artifact1"]
    assert matrix.classes.tolist() == [0, 1]
    own = read_targets([[0, 0], [1, 0]], "normal", ["x", "y"])
    assert own.names == ["x", "y"]


@pytest.mark.parametrize(
    ("y", "normal_label", "normal"),
    [
        ([False, True], "normal", False),
        ([2.0, 5.0], "normal", 2.0),
        ([1, 0], 1, 1),
        (["ok", "bad"], "ok", "ok"),
        (["ok", "bad"], "normal", "bad"),  # the smallest
        ([0, 1, 2, 3], "normal", 0),
        (np.array(["normal", "torn"], dtype=object), "normal", "normal"),
        ([-1, 1], "normal", -1),
    ],
)
def test_which_label_is_normal(y, normal_label, normal):
    targets = read_targets(y, normal_label, None)
    assert targets.normal == normal
    np.testing.assert_array_equal(targets.Y.any(axis=1), np.asarray(y) != normal)
    np.testing.assert_array_equal(targets.classes, np.unique(y))
    others = [str(label) for label in np.unique(y).tolist() if label != normal]
    is_binary_number = len(others) == 1 and not isinstance(normal, str)
    assert targets.names == (["corrupted"] if is_binary_number else others)


@pytest.mark.parametrize(
    ("y", "artifacts", "match"),
    [
        ([1, 1, 1], None, "two classes or more.*Got one class"),
        (["torn"] * 3, None, "Got one class"),
        ([0.5, 1.5, 2.25], None, "continuous"),
        ([0.0, np.nan, 1.0], None, "NaN"),
        ([0.0, np.inf], None, "infinity"),
        ([[0, 2], [1, 0]], None, "indicator of 0 and 1"),
        ([["a", "b"], ["a", "a"]], None, "indicator of 0 and 1"),
        ([[0, 1], [1, 0]], None, "normal frames"),
        ([[0, 0], [0, 0]], None, "one class"),
        ([[0, 0], [1, 0]], ["x"], r"name the 2 columns of y. Got 1 names"),
    ],
)
def test_labels_that_cannot_be_are_refused(y, artifacts, match):
    with pytest.raises(ValueError, match=match):
        read_targets(y, "normal", artifacts)


@pytest.mark.parametrize(
    ("y", "normal_label", "expected"),
    [
        (None, "normal", True),
        ([0, 0], "normal", True),
        ([0.0, 0.0], "normal", True),
        ([False, False], "normal", True),
        (["normal"] * 2, "normal", True),
        (["ok"] * 2, "ok", True),
        (["ok"] * 2, "normal", False),
        ([1, 1], "normal", False),
        ([True, True], "normal", False),
        ([7, 7], 7, True),
        ([0, 1], "normal", False),
        ([[0, 0], [0, 0]], "normal", True),
        ([[0, 1], [0, 0]], "normal", False),
        ([[0], [0]], "normal", True),
    ],
)
def test_labels_that_mean_clean_frames(y, normal_label, expected):
    assert is_all_normal(y, normal_label) == expected


# -- clips ------------------------------------------------------------------------


@given(
    keys=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=25
    ),
    with_games=st.booleans(),
)
def test_partners_are_of_the_same_clip(keys, with_games):
    games, clips = np.array(keys).T
    rows = partners(clips, games if with_games else None, len(clips))
    own = list(zip(games, clips, strict=True)) if with_games else clips.tolist()
    for row, other in enumerate(rows.tolist()):
        mates = [i for i in range(len(own)) if own[i] == own[row]]
        if mates == [row]:
            assert other == -1
            continue
        after = [i for i in mates if i > row]
        assert other == (after[0] if after else mates[-2])


def test_partners_of_nothing():
    assert partners(None, None, 3).tolist() == [-1] * 3
    assert partners(["a", "b", "a"], None, 3).tolist() == [2, -1, 0]
    with pytest.raises(ValueError, match=r"clip of each of the 4 frames. Got 3"):
        partners([0, 0, 1], None, 4)


def test_no_pair_of_rules_is_the_same():
    probabilities = np.random.default_rng(0).random((50, 4))
    rules = [rule for rule in COMBINES if rule != "stack"]
    values = {r: combine_probabilities(probabilities, r, "proba", None) for r in rules}
    for first, second in itertools.combinations(rules, 2):
        assert not np.allclose(values[first], values[second])
