"""What may be passed as ``estimator=``."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch import callbacks as skorch_callbacks
from torch import nn

from sklvyso.networks import (
    NetworkClassifier,
    SkorchClassifier,
    adopt_estimator,
    make_network,
    scoring_batches,
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
        SkorchClassifier(net()),
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


# -- a skorch net, step by step --------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:200].astype(np.float32) / 16, y[:200]


def skorch_classifier(random_state=0, **changes):
    changed = net().set_params(max_epochs=3, iterator_train__shuffle=True, **changes)
    return SkorchClassifier(changed, random_state=random_state)


def assert_same(one, other):
    for key, value in one.module_.state_dict().items():
        assert torch.equal(value, other.module_.state_dict()[key]), key
    losses = [[e["train_loss"] for e in model.history_] for model in (one, other)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    "between",
    [lambda model: model, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["at once", "pickled"],
)
def test_fit_of_a_skorch_net_is_initialize_and_train(digits, between):
    fitted = skorch_classifier().fit(*digits)
    stepwise = skorch_classifier().initialize(*digits)
    assert (stepwise.n_iter_, stepwise.history_) == (0, [])
    assert stepwise.predict(digits[0]).shape == (200,)
    assert_same(between(stepwise).train(*digits), fitted)
    assert fitted.n_iter_ == 3
    assert fitted.input_shape_ == (64,)
    assert set(fitted.history_[0]) >= {"epoch", "train_loss"}
    assert "batches" not in fitted.history_[0]


def test_partial_fit_of_a_skorch_net_is_one_epoch(digits):
    X, y = digits
    once = skorch_classifier().partial_fit(X, y, classes=np.arange(12))
    stepwise = skorch_classifier().initialize(X, y, classes=np.arange(12))
    assert_same(stepwise.partial_fit(X, y), once)
    assert_same(copy.deepcopy(once).partial_fit(X, y), stepwise.partial_fit(X, y))
    assert stepwise.n_iter_ == 2
    with pytest.raises(ValueError, match="classes must be the same"):
        once.partial_fit(X, y, classes=np.arange(11))


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.LBFGS])
def test_masks_hold_in_a_skorch_net(digits, optimizer):
    model = skorch_classifier(optimizer=optimizer, lr=0.1).initialize(*digits)
    name, weight = next(iter(model.module_.named_parameters()))
    mask = np.random.RandomState(0).rand(*weight.shape) < 0.3
    model.mask_weights({name: mask})
    model = pickle.loads(pickle.dumps(model.train(*digits))).partial_fit(*digits)
    weight = model.module_.get_parameter(name).detach().numpy()
    np.testing.assert_array_equal(weight != 0, mask)
    assert not model.net_.optimizer_._optimizer_step_post_hooks
    model.mask_weights(None).train(*digits)
    # Pixels that are always dark move no weight.
    lit = digits[0].any(axis=0)
    assert model.module_.get_parameter(name).detach().numpy()[:, lit].any(axis=0).all()
    assert skorch_classifier().fit(*digits).net_.weight_masks_ is None


class PressControlC(skorch_callbacks.Callback):
    def on_batch_end(self, net, training, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


def test_interrupts_of_a_skorch_net_are_passed_on(digits):
    changes = {"callbacks": [("control_c", PressControlC())]}
    model = skorch_classifier(**changes).initialize(*digits)
    with pytest.raises(KeyboardInterrupt):
        model.train(*digits)
    assert model.n_iter_ == 2
    assert "fit_loop" not in vars(model.net_)
    two_epochs = skorch_classifier().set_params(net__max_epochs=2).fit(*digits)
    assert_same(model, two_epochs)
    unfitted = skorch_classifier(**changes)
    with pytest.raises(KeyboardInterrupt):
        unfitted.fit(*digits)
    assert not hasattr(unfitted, "net_")


def test_early_stopping_of_skorch_is_no_interrupt(digits):
    stop = skorch_callbacks.EarlyStopping(
        "train_loss", patience=1, threshold=100.0, threshold_mode="abs"
    )
    model = skorch_classifier(callbacks=[("stop", stop)]).fit(*digits)
    assert model.n_iter_ == 2


@pytest.mark.parametrize("method", ["fit", "partial_fit", "initialize", "train"])
def test_a_skorch_net_refuses_weights(digits, method):
    model = skorch_classifier().initialize(*digits)
    with pytest.raises(ValueError, match=r"sample_weight must be None.*NetworkClassif"):
        getattr(model, method)(*digits, sample_weight=np.ones(200))
    assert getattr(model, method)(*digits, sample_weight=None) is model


def test_a_skorch_net_must_be_there_and_get_the_same_samples(digits):
    X, y = digits
    with pytest.raises(NotFittedError):
        skorch_classifier().train(X, y)
    model = skorch_classifier().initialize(X.reshape(-1, 64, 1), y)
    with pytest.raises(ValueError, match=r"samples of shape \(64, 1\).*\(64, 2\)"):
        model.train(np.ones((4, 64, 2)), y[:4])


def test_scoring_batches_of_a_skorch_net(digits):
    X, y = digits
    pixels = (X * 16).astype(np.uint8)
    model = skorch_classifier().initialize(pixels, y)
    rows = np.arange(199, 49, -1)
    batches = scoring_batches(model, pixels, y, batch_size=64, rows=rows)
    assert batches.rows.all_X.dtype == torch.uint8
    parts = list(zip(*batches, strict=True))
    assert parts[0][0].dtype == torch.float32
    np.testing.assert_array_equal(torch.cat(parts[0]), pixels[rows])
    np.testing.assert_array_equal(torch.cat(parts[1]), y[rows])
    assert parts[2] == (None, None, None)
    with pytest.raises(ValueError, match="sample_weight must be None"):
        scoring_batches(model, X, y, np.ones(200), batch_size=64)
