"""Features, logits and dropout samples of fitted networks."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from sklvyso import NetworkClassifier
from sklvyso.datasets import make_class_difficulty_blobs
from sklvyso.networks import (
    SkorchClassifier,
    dropout_layers,
    dropout_probabilities,
    logits_module,
    penultimate_features,
)


@pytest.fixture(scope="module")
def blobs():
    X, y = make_class_difficulty_blobs(90, n_features=4, random_state=0)
    return X.astype(np.float32), y


def fitted(blobs, **params):
    return NetworkClassifier(
        hidden_layer_sizes=(7, 5), module_params=params, max_epochs=2, random_state=0
    ).fit(*blobs)


def test_features_give_the_logits_by_the_last_layer(blobs):
    network = fitted(blobs, dropout=0.5, batch_norm=True)
    Z = penultimate_features(network, blobs[0])
    assert Z.shape == (90, 5) and Z.dtype == np.float32
    head = network.module_.classifier
    logits = Z @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    proba = torch.softmax(torch.tensor(logits), 1).numpy()
    np.testing.assert_allclose(proba, network.predict_proba(blobs[0]), atol=1e-6)
    assert not network.module_.training
    assert not any(layer._forward_hooks for layer in network.module_.modules())


def test_images_are_folded_and_scaled():
    X = np.random.RandomState(0).randint(0, 255, (20, 12, 12)).astype(np.uint8)
    network = NetworkClassifier(
        "lenet-5",
        module_params={"padding": "same"},
        input_scale=1 / 255,
        max_epochs=1,
        random_state=0,
    ).fit(X, np.arange(20) % 3)
    assert len(penultimate_features(network, X)) == 20


class Convolutional(nn.Sequential):
    def __init__(self, input_shape, n_outputs):
        super().__init__(
            nn.Unflatten(1, (1, -1)), nn.Conv1d(1, n_outputs, 4), nn.Flatten()
        )


def test_networks_without_a_linear_head_are_named(blobs):
    network = NetworkClassifier(Convolutional, max_epochs=1, random_state=0)
    with pytest.raises(ValueError, match=r"must end in a torch.nn.Linear.*Convolut"):
        penultimate_features(network.fit(*blobs), blobs[0])


def test_dropout_samples_are_seeded_and_average_to_something_sensible(blobs):
    network = fitted(blobs, dropout=0.3, batch_norm=True)
    before = torch.get_rng_state()
    one, two, three = (
        dropout_probabilities(network, blobs[0], n_samples=200, seed=s)
        for s in (0, 0, 1)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert one.shape == (200, 90, 2)
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)
    np.testing.assert_allclose(one.sum(axis=2), 1, atol=1e-5)
    # Masks are independent: two halves of the passes agree up to noise.
    np.testing.assert_allclose(one.mean(axis=0), three.mean(axis=0), atol=0.1)
    assert len(dropout_layers(network.module_)) == 2
    assert not any(layer.training for layer in network.module_.modules())


def test_networks_without_dropout_are_named(blobs):
    with pytest.raises(ValueError, match="must hold dropout layers"):
        dropout_probabilities(fitted(blobs), blobs[0])
    assert dropout_layers(nn.Dropout(0.0)) == []


class Softmaxed(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 3), nn.Softmax(dim=-1))


def test_probabilities_become_logits(blobs):
    net = NeuralNetClassifier(Softmaxed, max_epochs=1, train_split=None, verbose=0)
    classifier = SkorchClassifier(net, random_state=0).fit(*blobs)
    logits = logits_module(classifier)(torch.tensor(blobs[0]))
    np.testing.assert_allclose(
        torch.softmax(logits, 1).detach().numpy(),
        classifier.predict_proba(blobs[0]),
        atol=1e-6,
    )
    network = fitted(blobs)
    assert logits_module(network) is network.module_
