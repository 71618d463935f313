"""Worker processes, of joblib and of a Dask cluster, give what one process gives.

Bit for bit: every job has its own seed, and workers count with one thread as here.
"""

import subprocess
import sys

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sklvyso import (
    ArtifactDetector,
    ArtifactSimulator,
    DFTFeaturizer,
    DRoPSampler,
    EffectiveSparsityPruner,
    GoldilocksProbe,
    GraphLaplacianFeaturizer,
    HOGFeaturizer,
    ImpressLearnClassifier,
    NetworkClassifier,
    PixelPatternFeaturizer,
    PretrainedActiveLearner,
)
from sklvyso.artifacts import make_artifact_frames

X, Y = load_digits(return_X_y=True)
X, Y = X[:240].astype(np.float32) / 16, Y[:240]
LABELLED = make_artifact_frames(
    24, height=32, width=48, artifacts=["morse_code", "discoloration"], random_state=0
)
NETWORK = NetworkClassifier(
    hidden_layer_sizes=(16,), lr=0.02, batch_size=32, max_epochs=3, random_state=0
)
LINEAR = LogisticRegression(max_iter=200)


def light_detector(**options):
    return ArtifactDetector(
        experts=LogisticRegression(),
        featurizers=[DFTFeaturizer(statistics=True)],
        tiles=None,
        random_state=0,
        **options,
    )


SEARCHES = {
    "NetworkClassifier": (NETWORK, {"lr": [0.001, 0.05]}, X, Y),
    "DRoPSampler": (
        make_pipeline(DRoPSampler(LINEAR, validation=2, random_state=0), LINEAR),
        {"dropsampler__density": [0.2, 0.7]},
        X,
        Y,
    ),
    "EffectiveSparsityPruner": (
        EffectiveSparsityPruner(NETWORK, random_state=0),
        {"sparsity": [0.2, 0.95]},
        X,
        Y,
    ),
    "GoldilocksProbe": (
        GoldilocksProbe(
            NetworkClassifier(hidden_layer_sizes=(4,)), scales=(), random_state=0
        ),
        {"scale": [1.0, 20.0]},
        X,
        Y,
    ),
    "ImpressLearnClassifier": (
        ImpressLearnClassifier(hidden_layer_sizes=(32,), random_state=0),
        {"density": [0.02, 0.5]},
        X,
        Y,
    ),
    "PretrainedActiveLearner": (
        PretrainedActiveLearner(
            classifier=LINEAR,
            oracle="y",
            n_initial=10,
            batch_size=10,
            n_queries=3,
            random_state=0,
        ),
        {"strategy": ["margin", "badge"]},
        X,
        Y,
    ),
    "ArtifactDetector": (
        light_detector(),
        {"combine": ["stack", "max"]},
        LABELLED.images,
        np.where(LABELLED.artifact == "", "normal", LABELLED.artifact),
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_grid_searches_give_the_same(name, two_workers):
    estimator, grid, X, y = SEARCHES[name]
    here = GridSearchCV(clone(estimator), grid, cv=2, error_score="raise").fit(X, y)
    with two_workers():
        there = GridSearchCV(clone(estimator), grid, cv=2, error_score="raise")
        there.fit(X, y)
    scores = [f"split{k}_test_score" for k in range(2)]
    for score in scores:
        np.testing.assert_array_equal(
            there.cv_results_[score], here.cv_results_[score], err_msg=score
        )
    # Candidates differ, so that scores in another order would be seen.
    assert any(np.ptp(here.cv_results_[score]) > 0 for score in scores)
    assert there.best_params_ == here.best_params_


@pytest.mark.parametrize(
    "options",
    [
        {"validation": 3, "n_query": 2},
        {"scorer": "el2n", "n_query": 2, "validation": 2},
        {"scorer": "forgetting", "n_query": 2, "validation": 2},
    ],
    ids=lambda options: options.get("scorer", "folds"),
)
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_query_fits_keep_the_same_rows(options, n_jobs, two_workers):
    here = DRoPSampler(NETWORK, density=0.4, random_state=0, **options)
    there = clone(here).set_params(n_jobs=n_jobs)
    here.fit_resample(X, Y)
    with two_workers():
        there.fit_resample(X, Y)
    np.testing.assert_array_equal(there.sample_indices_, here.sample_indices_)
    np.testing.assert_array_equal(there.class_recalls_, here.class_recalls_)


def test_query_fits_on_validation_rows_keep_the_same_rows(two_workers):
    here = DRoPSampler(NETWORK, density=0.4, n_query=2, random_state=0)
    there = clone(here)
    here.fit_resample(X[:160], Y[:160], X_val=X[160:], y_val=Y[160:])
    with two_workers():
        there.fit_resample(X[:160], Y[:160], X_val=X[160:], y_val=Y[160:])
    np.testing.assert_array_equal(there.sample_indices_, here.sample_indices_)


@pytest.mark.parametrize(
    "featurizer",
    [
        DFTFeaturizer((8, 8), batch_size=5),
        HOGFeaturizer(statistics=True, batch_size=5),
        PixelPatternFeaturizer(batch_size=5),
        GraphLaplacianFeaturizer(batch_size=5),
    ],
    ids=lambda featurizer: type(featurizer).__name__,
)
def test_features_of_frames_are_the_same(featurizer, two_workers):
    here = featurizer.fit_transform(LABELLED.images)
    with two_workers():
        there = clone(featurizer).fit_transform(LABELLED.images)
    np.testing.assert_array_equal(there, here)


def test_simulated_artifacts_are_the_same(two_workers):
    simulator = ArtifactSimulator(random_state=0)
    here, labels = simulator.fit_resample(LABELLED.images)
    with two_workers():
        there, same_labels = clone(simulator).fit_resample(LABELLED.images)
    np.testing.assert_array_equal(there, here)
    np.testing.assert_array_equal(same_labels, labels)


def test_detector_on_clean_frames_is_the_same(two_workers):
    frames = LABELLED.images[LABELLED.target == 0]
    here = light_detector(artifacts=["morse_code"], n_simulated=2, restyle=False)
    there = clone(here)
    here.fit(frames)
    expected = here.predict_proba(LABELLED.images)
    with two_workers():
        probabilities = there.fit(frames).predict_proba(LABELLED.images)
    np.testing.assert_array_equal(probabilities, expected)
    assert there.threshold_ == here.threshold_


def test_a_memory_mapped_pool_is_searched_the_same(tmp_path, two_workers):
    """Larger than joblib's 1 MB, from which on its workers map it themselves."""
    np.save(tmp_path / "pool.npy", np.tile(X, (20, 1)))
    pool, y = np.load(tmp_path / "pool.npy", mmap_mode="r"), np.tile(Y, 20)
    network = clone(NETWORK).set_params(max_epochs=1)
    search = GridSearchCV(network, {"lr": [0.0001, 0.02]}, cv=2, error_score="raise")
    here = clone(search).fit(pool, y).cv_results_["mean_test_score"]
    with two_workers():
        there = clone(search).fit(pool, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(there, here)
    assert here[0] < here[1]


def test_backends_that_give_lists_only_work_too():
    """joblib's multiprocessing, and Ray's, which is built on it."""
    # On its own, because such workers are forked.
    code = """
import joblib, numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklvyso import DRoPSampler

X, y = load_digits(return_X_y=True)
kept = []
for backend in ("sequential", "multiprocessing"):
    sampler = DRoPSampler(LogisticRegression(max_iter=100), random_state=0)
    with joblib.parallel_config(backend, n_jobs=2):
        sampler.fit_resample(X[:200], y[:200])
    kept.append(sampler.sample_indices_)
print(np.array_equal(*kept))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "True", done.stderr
