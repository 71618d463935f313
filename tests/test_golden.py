"""One number at the end of each method, whole, on data that every machine has.

What changes a method without meaning to changes its number. Float kernels of other
processors round differently, which moves single rows: hence the tolerances.
"""

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklvyso import (
    ArtifactDetector,
    ArtifactSimulator,
    DRoPSampler,
    EffectiveSparsityPruner,
    GoldilocksProbe,
    ImpressLearnClassifier,
    NetworkClassifier,
    PretrainedActiveLearner,
)
from sklvyso.datasets import make_game_frames, make_long_tailed
from sklvyso.metrics import worst_class_recall


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)


def network(**params):
    return NetworkClassifier(
        input_scale=1 / 16, batch_size=32, max_epochs=30, random_state=0, **params
    )


def test_data_pruning(digits):
    X, X_test, y, y_test = digits
    X, y, _ = make_long_tailed(X, y, imbalance_factor=12)
    pipe = make_pipeline(DRoPSampler(density=0.5, random_state=0), network())
    predicted = pipe.fit(X, y).predict(X_test)
    counts = np.bincount(y[pipe[0].sample_indices_])
    np.testing.assert_array_equal(counts, [27, 23, 35, 31, 21, 26, 10, 9, 10, 8])
    assert worst_class_recall(y_test, predicted) == pytest.approx(0.557, abs=0.05)


def test_network_pruning(digits):
    X, X_test, y, y_test = digits
    pruner = EffectiveSparsityPruner(network(), compression=20, random_state=0)
    pruner.fit(X, y)
    assert int(pruner.report_.n_active) == 2510
    assert pruner.score(X_test, y_test) == pytest.approx(0.936, abs=0.02)


def test_curvature(digits):
    X, _, y, _ = digits
    probe = GoldilocksProbe(
        network(hidden_layer_sizes=(16,)), scales=[1.0], n_samples=128, random_state=0
    ).fit(X, y)
    # 1,210 parameters: the whole matrix, in float64, without random vectors.
    assert probe.curvature_[0] == pytest.approx(1.6334883, rel=1e-5)


def test_continual_learning(digits):
    X, X_test, y, y_test = digits
    learner = ImpressLearnClassifier(n_impressions=2, random_state=0)
    scores = []
    for angle in (0, 40, 20):
        turned = [
            rotate(part.reshape(-1, 8, 8), angle, axes=(1, 2), reshape=False, order=1)
            for part in (X, X_test)
        ]
        X_task, X_new = (part.reshape(len(part), -1) / 16 for part in turned)
        learner.partial_fit(X_task, y, task=angle)
        scores.append(learner.score(X_new, y_test, task=angle))
    assert scores == pytest.approx([0.940, 0.922, 0.765], abs=0.02)


def test_active_learning(digits):
    X, X_test, y, y_test = digits
    learner = PretrainedActiveLearner(
        n_initial=20, batch_size=20, n_queries=4, oracle="y", random_state=0
    ).fit(X, y)
    assert learner.score(X_test, y_test) == pytest.approx(0.919, abs=0.02)


def test_artifacts():
    games = make_game_frames(64, n_games=4, random_state=0)
    detector = ArtifactDetector(n_simulated=2, tiles=None, cv=2, random_state=0)
    detector.fit(games.images, groups=games.group)
    new = make_game_frames(96, n_games=4, random_state=1).images
    frames, shown = ArtifactSimulator(random_state=0).simulate(new)
    assert detector.score(frames, shown) == pytest.approx(0.8125, abs=0.03)
