"""What may be passed as ``estimator=``."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklvyso.networks import (
    NetworkClassifier,
    adopt_estimator,
    make_network,
    set_seeds,
    takes_images,
)


def net():
    return NeuralNetClassifier(
        make_network,
        module__name="mlp",
        module__input_shape=(64,),
        module__n_outputs=10,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=15,
        train_split=None,
        verbose=0,
    )


class Linear(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize("need", ["classifier", "network"])
@pytest.mark.parametrize(
    "given",
    [
        None,
        "mlp",
        NetworkClassifier(),
        net(),
        Linear,
        Linear(64, 10),
        make_pipeline(StandardScaler(), NetworkClassifier()),
        make_pipeline(StandardScaler(), make_pipeline(NetworkClassifier())),
    ],
    ids=lambda given: type(given).__name__,
)
def test_networks_of_every_kind_learn_labels_of_every_kind(given, need):
    X, y = load_digits(return_X_y=True)
    X, y = X[:500] / 16, np.array(list("abcdefghij"))[y[:500]]
    model = adopt_estimator(given, caller="Test", need=need)
    set_seeds(model, np.random.RandomState(0))
    assert model is not given
    again = adopt_estimator(given, caller="Test", need=need)
    set_seeds(again, np.random.RandomState(0))
    predicted = model.fit(X, y).predict(X)
    assert (predicted == y).mean() > 0.5
    np.testing.assert_array_equal(again.fit(X, y).predict(X), predicted)
    if given is not None and hasattr(given, "get_params"):
        assert not hasattr(given, "classes_inferred_")


def test_any_classifier_is_cloned():
    forest = RandomForestClassifier(3)
    model = adopt_estimator(forest, caller="Test")
    assert isinstance(model, RandomForestClassifier) and model is not forest


@pytest.mark.parametrize(
    "given, need, message",
    [
        (
            RandomForestClassifier(),
            "network",
            r"Test needs a torch network.*RandomForestClassifier, which has no torch",
        ),
        (
            make_pipeline(StandardScaler(), LogisticRegression()),
            "network",
            "LogisticRegression, which has no torch module",
        ),
        (LinearRegression(), "classifier", "must be a classifier. Got LinearRegr"),
        (KMeans(), "classifier", "must be a classifier. Got KMeans"),
        (LogisticRegression, "classifier", r"write estimator=LogisticRegression\(\)"),
        (3, "classifier", "must be None, a classifier, a skorch net or an nn.Module"),
    ],
)
def test_what_does_not_fit_is_named(given, need, message):
    with pytest.raises(TypeError, match=message):
        adopt_estimator(given, caller="Test", need=need)


def test_seeds_go_where_there_are_none():
    pipe = make_pipeline(
        RandomForestClassifier(), LogisticRegression(random_state=7), KMeans()
    )
    set_seeds(pipe, np.random.RandomState(0))
    assert isinstance(pipe[0].random_state, int) and pipe[1].random_state == 7
    assert pipe[2].random_state != pipe[0].random_state


def test_images_by_tags():
    assert takes_images(NetworkClassifier())
    assert takes_images(adopt_estimator(net(), caller="Test"))
    assert not takes_images(LogisticRegression())
