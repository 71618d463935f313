"""A network is made first and trained later, with the numbers of one fit."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from skorch import callbacks as skorch_callbacks
from torch import nn

from sklvyso.networks import NetworkClassifier, scoring_batches


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:400].astype(np.float32), y[:400]


class WithDropout(nn.Module):
    """Draws random numbers in training, and holds buffers."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_inputs, 12),
            nn.BatchNorm1d(12),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(12, n_outputs),
        )

    def forward(self, x):
        return self.layers(x.flatten(1))


class Unlike:
    """A factory that is equal to nothing but itself."""

    def __call__(self, n_inputs, n_outputs):
        return WithDropout(n_inputs, n_outputs)


def small(**changes):
    parameters = {
        "module": WithDropout,
        "max_epochs": 3,
        "lr": 0.01,
        "input_scale": 1 / 16,
        "random_state": 0,
    }
    return NetworkClassifier(**parameters | changes)


def assert_same(one, other):
    """The same weights, buffers, optimiser state and record, bit for bit."""
    for key, value in one.module_.state_dict().items():
        assert torch.equal(value, other.module_.state_dict()[key]), key
    states = [net.net_.optimizer_.state_dict()["state"] for net in (one, other)]
    for entries in zip(*(state.values() for state in states), strict=True):
        for name, value in entries[0].items():
            assert np.array_equal(value, entries[1][name]), name
    losses = [
        [
            {key: value for key, value in epoch.items() if key != "dur"}
            for epoch in net.history_
        ]
        for net in (one, other)
    ]
    assert losses[0] == losses[1]


def through_pickle(net):
    return pickle.loads(pickle.dumps(net))


VARIANTS = {
    "plain": {},
    "early stopping": {"early_stopping": True, "max_epochs": 30, "patience": 2},
    "warm start": {"warm_start": True},
    "cosine": {"lr_schedule": "cosine"},
    "balanced": {"class_weight": "balanced"},
    "sgd": {"optimizer": "sgd", "weight_decay": 1e-3},
    "lbfgs": {"optimizer": torch.optim.LBFGS, "lr": 0.1, "batch_size": -1},
    "callback": {"callbacks": [skorch_callbacks.GradientNormClipping(1.0)]},
    "factory": {"module": Unlike()},
    "instance": {"module": WithDropout(64, 10)},
    "random state": {"random_state": np.random.RandomState(5)},
}


@pytest.mark.parametrize("between", [lambda net: net, through_pickle, copy.deepcopy])
@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_fit_is_initialize_and_train(digits, changes, between):
    X, y = digits
    weight = np.random.RandomState(0).rand(len(y))
    fitted = small(**copy.deepcopy(changes)).fit(X, y, weight)
    stepwise = small(**copy.deepcopy(changes)).initialize(X, y, weight)
    torch.rand(3)  # the global generator has no part in it
    assert_same(between(stepwise).train(X, y, weight), fitted)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**31 - 1),
    n_rows=st.integers(30, 80),
    batch_size=st.integers(2, 40),
    early_stopping=st.booleans(),
)
def test_fit_is_initialize_and_train_at_any_seed(
    seed, n_rows, batch_size, early_stopping
):
    X = np.random.RandomState(seed % 1000).rand(n_rows, 5).astype(np.float32)
    y = np.arange(n_rows) % 3
    net = small(
        input_scale=None,
        random_state=seed,
        batch_size=batch_size,
        early_stopping=early_stopping,
    )
    assert_same(clone(net).initialize(X, y).train(X, y), clone(net).fit(X, y))


def test_initialize_and_partial_fit_is_a_first_partial_fit(digits):
    X, y = digits
    once = small().partial_fit(X, y, classes=np.arange(12))
    stepwise = small().initialize(X, y, classes=np.arange(12))
    assert_same(through_pickle(stepwise).partial_fit(X, y), once)
    assert_same(stepwise.partial_fit(X, y).partial_fit(X, y), once.partial_fit(X, y))


def test_train_after_fit_is_a_warm_start(digits):
    X, y = digits
    warm = small(warm_start=True, lr_schedule="cosine").fit(X, y)
    net = small(lr_schedule="cosine").fit(X, y)
    assert_same(through_pickle(net).train(X, y), warm.fit(X, y))
    assert warm.history_[3]["lr"] == 0.01  # the schedule starts anew
    assert_same(net.train(X, y).train(X, y), warm.fit(X, y))
    initialized = small(warm_start=True).initialize(X, y).fit(X, y)
    assert_same(initialized, small().fit(X, y))


def test_an_initialized_network_predicts_and_has_no_history(digits):
    X, y = digits
    names = np.array(list("abcdefghij"))[y]
    net = small().initialize(X, names)
    assert (net.n_iter_, net.history_, len(net.loss_curve_)) == (0, [], 0)
    assert set(net.predict(X)) <= set(names)
    assert not net.module_.training
    assert not net.net_.optimizer_.state_dict()["state"]
    batches = scoring_batches(net, X, names, batch_size=-1)
    (batch, _, _) = next(iter(batches))
    np.testing.assert_array_equal(
        torch.softmax(net.module_(batch), 1).detach().numpy(), net.predict_proba(X)
    )


def test_initialize_starts_anew(digits):
    X, y = digits
    net = small(early_stopping=True).fit(X, y)
    net.initialize(X[:, :32], y)
    assert net.n_features_in_ == 32
    assert net.n_iter_ == 0
    assert not hasattr(net, "best_epoch_")


def test_initialize_leaves_the_global_generators_alone(digits):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    small().initialize(*digits).train(*digits)
    assert torch.equal(torch.get_rng_state(), before)


class PressControlC(skorch_callbacks.Callback):
    """Interrupts in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training, **kwargs):
        in_epoch = training and len(net.history) == self.epoch
        if in_epoch and len(net.history[-1, "batches"]) == 2:
            self.epoch = 0
            raise KeyboardInterrupt


@pytest.mark.parametrize("epoch", [1, 3])
def test_train_goes_back_to_the_last_whole_epoch(digits, epoch):
    X, y = digits
    net = small(callbacks=[PressControlC(epoch)]).initialize(X, y)
    initial = copy.deepcopy(net.module_.state_dict())
    with pytest.raises(KeyboardInterrupt):
        net.train(X, y)
    assert net.n_iter_ == epoch - 1
    if epoch == 1:
        for key, value in net.module_.state_dict().items():
            assert torch.equal(value, initial[key]), key
        # Nothing was trained yet, so that this is the first training.
        assert_same(net.train(X, y), small().fit(X, y))
    else:
        assert_same(net, small(max_epochs=2).fit(X, y))
        assert net.train(X, y).n_iter_ == 5


def test_a_failed_fit_leaves_nothing_but_a_failed_train_the_start(digits):
    X, y = digits[0][:50], np.r_[np.zeros(49, int), 7]
    net = small(early_stopping=True)
    with pytest.raises(ValueError, match="two rows of each class"):
        net.fit(X, y)
    for name in ("net_", "n_iter_", "history_", "loss_curve_"):
        assert not hasattr(net, name)
    net.initialize(X, y)
    with pytest.raises(ValueError, match="two rows of each class"):
        net.train(X, y)
    assert net.predict(X).shape == (50,)


@pytest.mark.parametrize("method", ["train", "mask_weights"])
def test_there_must_be_a_network(digits, method):
    arguments = digits if method == "train" else ({},)
    with pytest.raises(NotFittedError):
        getattr(small(), method)(*arguments)


def test_train_refuses_other_data_and_other_networks(digits):
    X, y = digits
    net = small().initialize(X, y)
    with pytest.raises(ValueError, match="64 features"):
        net.train(X[:, :32], y)
    with pytest.raises(ValueError, match="y must hold only the classes"):
        net.train(X, y + 5)
    with pytest.raises(ValueError, match=r"optimizer cannot change.*initialize"):
        net.set_params(optimizer="sgd").train(X, y)


# -- batches for methods that compute losses -------------------------------------------


def test_scoring_batches_are_what_the_network_trains_on(digits):
    X, y = digits
    images = X.reshape(-1, 8, 8).astype(np.uint8)
    weight = np.random.RandomState(0).rand(400) * 3
    net = small(class_weight={3: 0.25, 4: 2.0}).initialize(images, y)
    order = np.random.RandomState(1).permutation(400)[:170]
    batches = scoring_batches(net, images, y, weight, batch_size=50, rows=order)
    assert (len(batches), batches.n_rows) == (4, 170)
    for _ in range(2):  # the batches can be gone through again
        parts = [torch.cat(part) for part in zip(*batches, strict=True)]
    batch, codes, weights = parts
    assert (batch.dtype, codes.dtype, weights.dtype) == (
        torch.float32,
        torch.int64,
        torch.float32,
    )
    np.testing.assert_array_equal(batch[:, 0], images[order] * np.float32(1 / 16))
    np.testing.assert_array_equal(codes, y[order])
    expected = weight * np.select([y == 3, y == 4], [0.25, 2.0], 1.0)
    ratio = weights.numpy() / expected[order]
    # float32 weights
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


def test_scoring_batches_give_the_loss_of_the_training(digits):
    X, y = digits
    weight = np.random.RandomState(0).rand(400)
    net = small(batch_size=-1, class_weight="balanced", optimizer="sgd", lr=1e-9)
    net.set_params(module="mlp", max_epochs=1).fit(X, y, weight)
    total = mass = 0.0
    for batch, codes, weights in scoring_batches(net, X, y, weight, batch_size=64):
        losses = nn.functional.cross_entropy(
            net.module_(batch), codes, reduction="none"
        )
        total += (losses * weights).sum().item()
        mass += weights.sum().item()
    # float32 sums in another order
    assert total / mass == pytest.approx(net.loss_curve_[0], rel=1e-5)


def test_scoring_batches_of_equal_rows_have_no_weights(digits):
    X, y = digits
    net = small().initialize(X, y)
    batch, codes, weight = next(iter(scoring_batches(net, X, y, batch_size=7)))
    assert weight is None
    assert codes.tolist() == y[:7].tolist()
    batch.zero_()
    assert X[:7].any()  # the batch is a copy


def test_scoring_batches_read_a_memory_map_batch_by_batch(digits, tmp_path):
    X, y = digits
    np.save(tmp_path / "X.npy", X.astype(np.uint8))
    stored = np.load(tmp_path / "X.npy", mmap_mode="r")
    batches = scoring_batches(small().initialize(X, y), stored, y, batch_size=100)
    tensor = batches.rows.all_X
    assert tensor.data_ptr() == stored.ctypes.data
    assert tensor.dtype == torch.uint8


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"estimator": 3}, TypeError, "estimator must be a NetworkClassifier or a"),
        ({"estimator": NetworkClassifier()}, NotFittedError, "not fitted"),
        ({"batch_size": 0}, ValueError, "batch_size must be an int >= 1, or -1"),
        ({"batch_size": 2.5}, ValueError, "batch_size must be .* Got 2.5"),
        ({"rows": [0, 400]}, ValueError, "positions from 0 to 399"),
        ({"rows": [-1]}, ValueError, "positions from 0 to 399"),
        ({"rows": []}, ValueError, "not empty"),
        ({"rows": np.ones(400, bool)}, ValueError, "np.flatnonzero"),
        ({"y": np.full(400, 11)}, ValueError, "only the classes that are known"),
        ({"sample_weight": np.zeros(400)}, ValueError, "non-zero"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_bad_requests_for_batches_are_named(digits, changes, error, message):
    X, y = digits
    arguments = {"estimator": small().initialize(X, y), "X": X, "y": y}
    with pytest.raises(error, match=message):
        scoring_batches(**arguments | {"batch_size": 8} | changes)
