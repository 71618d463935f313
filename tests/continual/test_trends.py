"""Trends of the papers on small real data, and a long stream."""

import pickle
import time

import numpy as np
import pytest
from scipy.ndimage import rotate
from sklearn.datasets import load_digits

from sklvyso import ImpressLearnClassifier

pytestmark = pytest.mark.slow
TRAIN, TEST = slice(0, 1300), slice(1300, None)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def turned(X, angle):
    images = rotate(X.reshape(-1, 8, 8), angle, axes=(1, 2), reshape=False, order=1)
    return images.reshape(len(X), -1)


def permuted(X, seed):
    return X[:, np.random.RandomState(seed).permutation(64)]


def later(learner, parts, y):
    scores = []
    for name, X in parts.items():
        learner.partial_fit(X[TRAIN], y[TRAIN], task=name)
        scores.append(learner.score(X[TEST], y[TEST], task=name))
    return float(np.mean(scores))


def learned(parts, y, **options):
    learner = ImpressLearnClassifier(
        n_impressions=len(parts), new_task="coefficients", random_state=0, **options
    )
    for name, X in parts.items():
        learner.partial_fit(X[TRAIN], y[TRAIN], task=name)
    return learner


def test_permutations_need_many_impressions(digits):
    X, y = digits
    options = {"max_epochs": 20, "coef_max_epochs": 20}
    unseen = {f"new {i}": permuted(X, 100 + i) for i in range(3)}
    by_count = {}
    for count in (2, 20):
        seen = {i: permuted(X, i) for i in range(count)}
        learner = learned(seen, y, **options)
        by_count[count] = later(learner, unseen, y)
    foreign = np.mean(
        [learner.score(Z[TEST], y[TEST], task=0) for Z in unseen.values()]
    )
    own = later(ImpressLearnClassifier(new_task="mask", random_state=0), unseen, y)
    assert own > by_count[20] > by_count[2] + 0.2
    assert by_count[20] > foreign + 0.3
    # What "auto" is for.
    auto = ImpressLearnClassifier(n_impressions=2, random_state=0, **options)
    for i in range(2):
        auto.partial_fit(permuted(X, i)[TRAIN], y[TRAIN], task=i)
    assert later(auto, unseen, y) > own - 0.05
    assert auto.n_impressions_ == 5


def test_rotations_within_the_range_are_as_good_as_masks(digits):
    X, y = digits
    options = {"max_epochs": 20, "coef_max_epochs": 20}
    seen = {angle: turned(X, angle) for angle in range(0, 100, 10)}
    unseen = {angle: turned(X, angle) for angle in (25, 45, 65)}
    combined = later(learned(seen, y, **options), unseen, y)
    own = later(ImpressLearnClassifier(new_task="mask", random_state=0), unseen, y)
    random = ImpressLearnClassifier(
        n_impressions=10,
        impressions="random",
        new_task="coefficients",
        random_state=0,
        **options,
    )
    assert combined > own - 0.05
    assert combined > later(random, unseen, y) + 0.1


def test_twenty_tasks_are_kept_bit_for_bit(digits):
    X, y = digits
    learner = ImpressLearnClassifier(n_impressions=5, max_impressions=8, random_state=0)
    kept = {}
    for number in range(20):
        Z = turned(X, 15 * number) if number % 3 else permuted(X, number)
        learner.partial_fit(Z[TRAIN], y[TRAIN], task=number)
        for task, (rows, proba) in kept.items():
            assert (learner.predict_proba(rows, task=task) == proba).all()
        kept[number] = Z[TEST], learner.predict_proba(Z[TEST], task=number)
    assert learner.n_impressions_ == 8
    assert set(learner.task_kinds_.values()) == {"mask", "coefficients"}


def test_five_hundred_tasks(digits):
    X, y = digits
    X, y = X[:60], y[:60]
    learner = ImpressLearnClassifier(
        hidden_layer_sizes=(100, 50),
        n_impressions=10,
        new_task="coefficients",
        max_epochs=1,
        coef_max_epochs=1,
        random_state=0,
    )
    sizes, seconds, first = {}, {}, None
    for task in range(500):
        learner.partial_fit(permuted(X, task), y, task=task)
        if task + 1 in (20, 500):
            sizes[task + 1] = len(pickle.dumps(learner))
            times = []
            for _ in range(30):
                start = time.perf_counter()
                proba = learner.predict_proba(X, task=3)
                times.append(time.perf_counter() - start)
            seconds[task + 1] = np.median(times)
            first = proba if first is None else first
    assert (proba == first).all()
    report = learner.memory_report()
    assert (report["total_bytes"][10:] == 4 * 3 * 10).all()
    # Name, classes, losses and what pickle itself needs come to as much again twice.
    assert sizes[500] - sizes[20] < 480 * 3.5 * 120
    assert sizes[500] < report["total_bytes"].sum() + 500 * 350
    # Not a bar, but a growth with the number of tasks would be 25-fold.
    assert seconds[500] < 5 * seconds[20]
