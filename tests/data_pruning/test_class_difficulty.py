"""CDB-W: class weights of each epoch come from recalls on validation rows."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from skorch import NeuralNetClassifier
from torch import nn

from sklvyso import NetworkClassifier
from sklvyso.data_pruning import ClassDifficultyWeights
from sklvyso.datasets import make_class_difficulty_blobs
from sklvyso.metrics import class_recalls


@pytest.fixture(scope="module")
def blobs():
    return make_class_difficulty_blobs(
        400, n_features=4, sigmas=(0.5, 1.0, 2.0), random_state=0
    )


def network(callback, **options):
    settings = {"hidden_layer_sizes": (16,), "max_epochs": 4, "random_state": 0}
    return NetworkClassifier(callbacks=[callback], **settings | options)


def weights_of(fitted):
    return np.array([epoch["class_weights"] for epoch in fitted.history_])


def test_weights_are_one_minus_the_recalls_of_the_epoch_before(blobs):
    X, y = blobs
    X_val, y_val = X[:90], y[:90]
    weights = weights_of(
        network(ClassDifficultyWeights(X_val=X_val, y_val=y_val)).fit(X, y)
    )
    np.testing.assert_array_equal(weights[0], [1, 1, 1])
    # Shorter trainings are the same up to their end.
    for epoch in (1, 2, 3):
        short = network(
            ClassDifficultyWeights(X_val=X_val, y_val=y_val), max_epochs=epoch
        ).fit(X, y)
        recalls = class_recalls(y_val, short.predict(X_val))
        np.testing.assert_allclose(
            weights[epoch], np.maximum(1 - recalls, 1e-3), rtol=1e-6
        )


def test_weights_enter_the_loss(blobs):
    X, y = blobs
    plain = network(ClassDifficultyWeights(X_val=X, y_val=y), max_epochs=1).fit(X, y)
    fixed = NetworkClassifier(
        hidden_layer_sizes=(16,), max_epochs=2, random_state=0, warm_start=True
    )
    fixed.set_params(max_epochs=1).fit(X, y)
    np.testing.assert_array_equal(plain.predict_proba(X), fixed.predict_proba(X))
    both = network(ClassDifficultyWeights(X_val=X, y_val=y), max_epochs=2).fit(X, y)
    one = NetworkClassifier(hidden_layer_sizes=(16,), max_epochs=2, random_state=0).fit(
        X, y
    )
    assert not np.allclose(both.predict_proba(X), one.predict_proba(X))


def test_a_part_is_held_out_and_stratified(blobs):
    fitted = network(ClassDifficultyWeights(0.25)).fit(*blobs)
    assert "valid_loss" in fitted.history_[0]
    assert fitted.history_[0]["train_batch_count"] == 3  # of 300 rows
    assert fitted.net_.train_split is None
    assert fitted.net_.criterion_.weight is None
    stopping = network(ClassDifficultyWeights(), early_stopping=True, max_epochs=3)
    assert len(weights_of(stopping.fit(*blobs))) == 3


def test_seeded_and_picklable(blobs):
    one, two = (network(ClassDifficultyWeights()).fit(*blobs) for _ in range(2))
    np.testing.assert_array_equal(weights_of(one), weights_of(two))
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.predict(blobs[0]), one.predict(blobs[0]))
    (callback,) = (
        c for n, c in one.net_.callbacks_ if "Difficulty" in type(c).__name__
    )
    np.testing.assert_array_equal(callback.weights_, weights_of(one))
    assert clone(one).callbacks[0].validation_fraction == 0.1


def test_validation_labels_go_by_name(blobs):
    X, y = blobs
    names = np.array(list("abc"))[y]
    by_name = network(ClassDifficultyWeights(X_val=X, y_val=names)).fit(X, names)
    by_code = network(ClassDifficultyWeights(X_val=X, y_val=y)).fit(X, y)
    np.testing.assert_array_equal(weights_of(by_name), weights_of(by_code))
    for y_val in (np.where(names == "a", "zz", names), y + 1):
        with pytest.raises(ValueError, match=r"y_val must hold each class of y"):
            network(ClassDifficultyWeights(X_val=X, y_val=y_val)).fit(X, names)
    with pytest.raises(ValueError, match="X_val must hold 4 values a row"):
        network(ClassDifficultyWeights(X_val=X[:, :2], y_val=y)).fit(X, y)


def test_other_nets_are_named(blobs):
    net = NeuralNetClassifier(
        nn.Linear,
        module__in_features=4,
        module__out_features=3,
        criterion=nn.CrossEntropyLoss,
        callbacks=[ClassDifficultyWeights()],
        verbose=0,
    )
    with pytest.raises(TypeError, match="needs the net of a NetworkClassifier"):
        net.fit(blobs[0].astype(np.float32), blobs[1])


def test_class_weights_of_the_user_come_back(blobs):
    fitted = network(ClassDifficultyWeights(), class_weight={0: 2.0}).fit(*blobs)
    # Only ratios count: the largest weight is 1.
    np.testing.assert_allclose(fitted.net_.criterion_.weight.numpy(), [1, 0.5, 0.5])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"validation_fraction": 1.0}, r"validation_fraction must lie in \(0, 1\)"),
        ({"min_weight": -1}, "min_weight must lie"),
        ({"X_val": np.zeros((3, 4))}, "y_val is None"),
        (
            {"X_val": np.zeros((3, 4)), "y_val": [0, 0, 1]},
            r"y_val must hold each class of y.*Missing: \[2\]",
        ),
    ],
)
def test_bad_parameters_are_named(blobs, options, message):
    with pytest.raises(ValueError, match=message):
        network(ClassDifficultyWeights(**options)).fit(*blobs)
