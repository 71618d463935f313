"""scikit-learn's and imbalanced-learn's own checks over every public estimator."""

import inspect

import pytest
from imblearn.utils import estimator_checks as imblearn_checks
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

import sklvyso
from sklvyso import (
    ArtifactDetector,
    ArtifactSimulator,
    DFTFeaturizer,
    DRoPSampler,
    EffectiveSparsityPruner,
    FrameStreamDetector,
    GoldilocksProbe,
    GraphLaplacianFeaturizer,
    HOGFeaturizer,
    ImpressLearnClassifier,
    NetworkClassifier,
    PixelPatternFeaturizer,
    PretrainedActiveLearner,
    PretrainedTextEncoder,
    TransformerTextClassifier,
)

FLOAT32 = {
    "check_sample_weight_equivalence_on_dense_data": (
        "float32 training does not reach the check's 1e-7; "
        "tests/networks/test_classifier.py compares weights with repeated rows"
    )
}
EXPERTS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "the check wants folds as cv, and trees count the rows of a leaf; "
        "tests/artifacts/test_experts.py compares weights with repeated rows"
    ),
    "check_class_weight_classifiers": (
        "class_weight is that of the experts, each for or against one artifact; what "
        "follows weighs both alike, and threshold or target_fpr move the answer"
    ),
}
SMALL = {"hidden_layer_sizes": (32,), "lr": 0.02, "batch_size": 64, "random_state": 0}

INSTANCES = [
    NetworkClassifier(**SMALL),
    NetworkClassifier(
        "lenet-5",
        input_shape=(1, -1),
        module_params={"padding": "same"},
        lr=0.005,
        random_state=0,
    ),
    NetworkClassifier(**SMALL | {"lr": 0.1}, optimizer="sgd", lr_schedule="cosine"),
    NetworkClassifier(**SMALL, early_stopping=True, max_epochs=40),
    DRoPSampler(LogisticRegression(max_iter=1000), random_state=0),
    DRoPSampler(validation=2, random_state=0),
    DRoPSampler(
        NetworkClassifier(**SMALL),
        scorer="grand",
        quota="auto",
        warm_start=True,
        random_state=0,
    ),
    DRoPSampler(
        LogisticRegression(max_iter=1000),
        scorer="el2n",
        keep="middle",
        n_steps=2,
        random_state=0,
    ),
    DRoPSampler(
        LogisticRegression(), scorer="k_center", quota="strategyq", random_state=0
    ),
    EffectiveSparsityPruner(NetworkClassifier(**SMALL), sparsity=0.5, random_state=0),
    EffectiveSparsityPruner(
        NetworkClassifier(**SMALL),
        pruner="magnitude",
        quota="erk",
        compression=2,
        dense_epochs=2,
        min_per_layer=1,
        random_state=0,
    ),
    EffectiveSparsityPruner(
        NetworkClassifier(**SMALL),
        pruner="snip",
        sparsity=0.5,
        target="direct",
        apply="effective",
        random_state=0,
    ),
]
INSTANCES += [
    GoldilocksProbe(
        NetworkClassifier(hidden_layer_sizes=(4,)), scales=[0.5, 2.0], random_state=0
    ),
    ImpressLearnClassifier(hidden_layer_sizes=(64, 32), random_state=0),
    ImpressLearnClassifier(
        "lenet-300-100",
        impressions="homogeneous",
        n_impressions=2,
        mask_mode="threshold",
        lr=0.01,
        random_state=0,
    ),
    ImpressLearnClassifier(
        hidden_layer_sizes=(64,),
        n_impressions=20,
        impressions="random",
        new_task="coefficients",
        dedicated_output=True,
        random_state=0,
    ),
]
INSTANCES += [
    PretrainedActiveLearner(random_state=0),
    PretrainedActiveLearner(
        classifier=LogisticRegression(max_iter=1000),
        oracle="y",
        strategy="margin",
        n_initial=20,
        batch_size=10,
        random_state=0,
    ),
    PretrainedActiveLearner(classifier=NetworkClassifier(**SMALL), random_state=0),
    DFTFeaturizer((8, 8)),
    DFTFeaturizer(statistics=True),
    HOGFeaturizer(resize=(48, 48)),
    HOGFeaturizer(statistics=True),
    PixelPatternFeaturizer(),
    ArtifactDetector(random_state=0),
    GraphLaplacianFeaturizer(),
    GraphLaplacianFeaturizer(("channels", "pixels", "superpixels"), n_segments=30),
]
# scikit-learn's suite leaves texts and frames out; tests/active_learning runs that of
# checks.py, tests/artifacts one of its own.
WITHOUT_COLUMNS = [
    ArtifactSimulator(),
    FrameStreamDetector(),
    PretrainedTextEncoder(),
    TransformerTextClassifier(),
]
SAMPLERS = [e for e in INSTANCES if hasattr(e, "fit_resample")]


def public_estimators():
    named = {name: getattr(sklvyso, name) for name in sklvyso.__all__}
    return {
        name: value
        for name, value in named.items()
        if inspect.isclass(value) and issubclass(value, BaseEstimator)
    }


def expected_failed_checks(estimator):
    if isinstance(estimator, ArtifactDetector):
        return EXPERTS
    networks = NetworkClassifier | EffectiveSparsityPruner
    # Masks do not depend on the last digits; coefficients do.
    trains_numbers = getattr(estimator, "new_task", None) == "coefficients"
    is_network = isinstance(estimator, networks) or isinstance(
        getattr(estimator, "classifier", None), networks
    )
    return FLOAT32 if is_network or trains_numbers else {}


def test_every_public_estimator_is_checked():
    checked = {type(e).__name__ for e in [*INSTANCES, *WITHOUT_COLUMNS]}
    assert checked == set(public_estimators())


@parametrize_with_checks(INSTANCES, expected_failed_checks=expected_failed_checks)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def imblearn_cases():
    # imbalanced-learn's own decorator hands pytest a generator: pytest 9 warns of it.
    for sampler in SAMPLERS:
        yield from imblearn_checks.estimator_checks_generator(sampler)


def check_name(value):
    function = getattr(value, "func", value)
    return getattr(function, "__name__", type(function).__name__)


@pytest.mark.parametrize("estimator, check", list(imblearn_cases()), ids=check_name)
def test_imbalanced_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", WITHOUT_COLUMNS, ids=lambda e: type(e).__name__)
def test_parameter_constraints_without_columns_are_complete(estimator):
    check_param_validation(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", INSTANCES, ids=lambda e: type(e).__name__)
def test_parameter_constraints_are_complete(estimator):
    name = type(estimator).__name__
    check_param_validation(name, estimator)
    check_dataframe_column_names_consistency(name, estimator)
    if estimator in SAMPLERS:
        imblearn_checks.check_param_validation(name, estimator)
