"""skorch nets under Hugging Face Accelerate, on one process."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from skorch.hf import AccelerateMixin
from torch import nn

from sklvyso import DRoPSampler, EffectiveSparsityPruner, GoldilocksProbe
from sklvyso.networks import SkorchClassifier, make_network

accelerate = pytest.importorskip("accelerate", reason="needs Hugging Face Accelerate")
X, Y = load_digits(return_X_y=True)
X, Y = X[:300].astype(np.float32) / 16, Y[:300]


class AcceleratedNet(AccelerateMixin, NeuralNetClassifier):
    pass


def make_net(kind, **options):
    return kind(
        make_network,
        module__name="mlp",
        module__input_shape=(64,),
        module__n_outputs=10,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=2,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        **options,
    )


@pytest.fixture(scope="module")
def nets():
    """Return an accelerated net and the same one without."""
    accelerator = accelerate.Accelerator(cpu=True)
    accelerated = make_net(
        AcceleratedNet, accelerator=accelerator, callbacks__print_log__sink=print
    )
    return accelerated, make_net(NeuralNetClassifier)


def test_an_accelerated_net_learns_the_same(nets, capsys):
    one, other = (
        SkorchClassifier(net, random_state=0).fit(X, Y).train(X, Y) for net in nets
    )
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.score(X, Y) > 0.5 and one.n_iter_ == 4
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("pruner", ["synflow", "magnitude"])
def test_masks_hold_in_an_accelerated_net(nets, pruner):
    one, other = (
        EffectiveSparsityPruner(net, pruner=pruner, sparsity=0.8, random_state=0)
        for net in nets
    )
    one.fit(X, Y)
    other.fit(X, Y)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.effective_sparsity_ == pytest.approx(0.8, abs=0.01)


def test_query_models_may_be_accelerated(nets):
    one, other = (DRoPSampler(net, density=0.5, random_state=0) for net in nets)
    one.fit_resample(X, Y)
    other.fit_resample(X, Y)
    np.testing.assert_array_equal(one.sample_indices_, other.sample_indices_)


def test_curvature_of_an_accelerated_net(nets):
    one, other = (
        GoldilocksProbe(net, scales=[1.0], n_samples=50, random_state=0).fit(X, Y)
        for net in nets
    )
    np.testing.assert_array_equal(one.curvature_, other.curvature_)
