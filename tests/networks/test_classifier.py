"""NetworkClassifier: the same numbers as a plain loop, the habits of scikit-learn."""

import copy
import functools
import io
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import check_random_state
from skorch import callbacks as skorch_callbacks
from torch import nn

from sklvyso.networks import NetworkClassifier, make_network
from sklvyso.networks._fitting import split_rows


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600].astype(np.float32), y[:600]


def small(**changes):
    settings = {
        "hidden_layer_sizes": (16,),
        "max_epochs": 3,
        "lr": 0.01,
        "input_scale": 1 / 16,
        "random_state": 0,
    }
    return NetworkClassifier(**settings | changes)


class TwoLayers(nn.Module):
    """User module with the documented contract."""

    def __init__(self, n_inputs, n_outputs, width=8, batch_norm=False):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_inputs, width),
            nn.BatchNorm1d(width) if batch_norm else nn.Identity(),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(width, n_outputs),
        )

    def forward(self, x):
        return self.layers(x.flatten(1))


def conv_factory(input_shape, n_outputs):
    channels, height, width = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, 2, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * height * width, n_outputs),
    )


class WrongOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 3)

    def forward(self, x):
        return self.layer(x)


def double_batch(batch):
    return 2 * batch


# -- the same numbers as a loop written by hand --------------------------------------


def plain_loop(module_name, X, y, optimizer, *, shape, n_epochs, batch_size, seed=3):
    torch.manual_seed(check_random_state(seed).randint(2**31 - 1))
    module = make_network(module_name, shape, 10)
    optimizer = optimizer(module.parameters())
    X, y = torch.from_numpy(X).reshape(-1, *shape), torch.from_numpy(y)
    for _ in range(n_epochs):
        order = torch.randperm(len(X))
        for start in range(0, len(X), batch_size):
            batch = order[start : start + batch_size]
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(X[batch]), y[batch]).backward()
            optimizer.step()
    return module.state_dict()


@pytest.mark.parametrize("batch_size", [60, 128])
@pytest.mark.parametrize(
    "settings, optimizer",
    [
        ({"optimizer": "adam"}, functools.partial(torch.optim.Adam, lr=1e-3)),
        (
            {"optimizer": "sgd", "weight_decay": 1e-4},
            functools.partial(
                torch.optim.SGD, lr=1e-3, momentum=0.9, weight_decay=1e-4
            ),
        ),
    ],
)
@pytest.mark.parametrize(
    "name, shape, input_shape",
    [("lenet-300-100", (64,), None), ("lenet-5", (1, 32, 32), (32, 32))],
)
def test_weights_are_bit_equal_to_a_plain_loop(
    digits, name, shape, input_shape, settings, optimizer, batch_size
):
    X, y = digits
    if input_shape is not None:
        X = np.kron(X.reshape(-1, 8, 8), np.ones((4, 4), np.float32)).reshape(-1, 1024)
        X, y = X[:200], y[:200]
    expected = plain_loop(
        name, X, y, optimizer, shape=shape, n_epochs=2, batch_size=batch_size
    )
    net = NetworkClassifier(
        name,
        input_shape=input_shape,
        batch_size=batch_size,
        max_epochs=2,
        random_state=3,
        **settings,
    )
    fitted = net.fit(X, y).module_.state_dict()
    assert list(fitted) == list(expected)
    for key, value in expected.items():
        assert torch.equal(fitted[key], value), key


def test_lean_epoch_equals_skorch_epoch(digits):
    """A callback that listens to batches switches to skorch's own steps."""
    X, y = digits
    lean = small().fit(X, y)
    seen = []

    class Listener(skorch_callbacks.Callback):
        def on_batch_end(self, net, **kwargs):
            seen.append(kwargs["loss"].item())

    by_skorch = small(callbacks=[Listener()]).fit(X, y)
    assert len(by_skorch.net_.history[0, "batches"]) == 5
    np.testing.assert_array_equal(lean.loss_curve_, by_skorch.loss_curve_)
    np.testing.assert_array_equal(lean.predict_proba(X), by_skorch.predict_proba(X))


def test_integer_weights_equal_repeated_rows(digits):
    X, y = digits[0][:100], digits[1][:100]
    weight = np.random.RandomState(0).randint(0, 4, 100)
    settings = {"batch_size": -1, "max_epochs": 5, "optimizer": "sgd", "lr": 0.1}
    weighted = small(**settings).fit(X, y, sample_weight=weight)
    repeated = small(**settings).fit(np.repeat(X, weight, 0), np.repeat(y, weight))
    for one, other in zip(
        weighted.module_.parameters(), repeated.module_.parameters(), strict=True
    ):
        # float32 sums in another order
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_class_weight_equals_sample_weight(digits):
    X, y = digits
    by_class = small(class_weight={0: 5.0, 3: 0.5}).fit(X, y)
    weight = np.where(y == 0, 5.0, np.where(y == 3, 0.5, 1.0))
    by_sample = small().fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(
        by_class.predict_proba(X), by_sample.predict_proba(X), atol=1e-4
    )  # float32: weighted means are computed by two routines
    both = small(class_weight={0: 5.0}).fit(
        X, y, sample_weight=np.where(y == 3, 0.5, 1)
    )
    np.testing.assert_allclose(
        both.predict_proba(X), by_sample.predict_proba(X), atol=1e-4
    )


def test_balanced_class_weight_raises_recall_of_a_rare_class():
    X, y = make_classification(
        600, weights=[0.95], class_sep=0.5, n_informative=4, random_state=0
    )
    plain = small(input_scale=None, max_epochs=10).fit(X, y)
    balanced = small(input_scale=None, max_epochs=10, class_weight="balanced").fit(X, y)
    rare = y == 1
    assert balanced.score(X[rare], y[rare]) > plain.score(X[rare], y[rare]) + 0.2


# -- input of every kind --------------------------------------------------------------


def test_uint8_equals_float32_and_images_equal_rows(digits):
    X, y = digits
    expected = small(input_shape=(8, 8)).fit(X, y)
    for other in (
        small(input_shape=(8, 8)).fit(X.astype(np.uint8), y),
        small().fit(X.reshape(-1, 8, 8), y),
        small().fit(torch.from_numpy(X).reshape(-1, 8, 8), y),
        small().fit(X.reshape(-1, 8, 8, 1), y),
    ):
        np.testing.assert_array_equal(
            other.predict_proba(X), expected.predict_proba(X.reshape(-1, 8, 8))
        )
        assert other.n_features_in_ == 64


def test_channels_go_last_outside_and_first_inside(digits):
    images = np.random.RandomState(0).rand(20, 6, 5, 3).astype(np.float32)
    seen = []

    def spy(batch):
        seen.append(batch.clone())
        return batch

    net = NetworkClassifier(
        conv_factory, augment=spy, batch_size=-1, max_epochs=1, random_state=0
    ).fit(images, np.arange(20) % 2)
    assert net.input_shape_ == (6, 5, 3)
    assert seen[0].shape == (20, 3, 6, 5)
    ours = {tuple(image.ravel().tolist()) for image in seen[0].permute(0, 2, 3, 1)}
    assert ours == {tuple(image.ravel().tolist()) for image in images}
    flat = net.predict_proba(images.reshape(20, -1))
    np.testing.assert_array_equal(net.predict_proba(images), flat)


@pytest.mark.parametrize(
    "labels",
    [np.array(["b", "a", "c"]), np.array([True, False]), [7, -1, 3], ["x", "y"]],
)
def test_labels_of_any_kind_come_back(digits, labels):
    X, y = digits
    named = np.asarray(labels)[y % len(labels)]
    net = small().fit(X, named)
    assert set(net.predict(X)) <= set(named)
    assert net.predict(X).dtype == named.dtype
    expected = net.classes_[net.predict_proba(X).argmax(axis=1)]
    np.testing.assert_array_equal(net.predict(X), expected)


def test_data_frame_names_are_kept_and_checked(digits):
    X, y = digits
    frame = pd.DataFrame(X, columns=[f"pixel_{i}" for i in range(64)])
    net = small().fit(frame, pd.Series(y))
    assert list(net.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame.rename(columns={"pixel_0": "other"}))


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="Linux says it in /proc"
)
def test_fit_on_a_memory_map_copies_nothing(tmp_path):
    """Peak memory of a fit on 200 MB of uint8 stays far below them."""
    script = textwrap.dedent(
        """
        import resource, sys
        import numpy as np, torch
        torch.set_num_threads(1)
        from sklvyso import NetworkClassifier
        path, n = sys.argv[1], 200_000
        np.lib.format.open_memmap(path, "w+", np.uint8, (n, 32, 32))[:] = 1
        X, y = np.load(path, mmap_mode="r"), np.arange(n) % 2
        fit = NetworkClassifier(hidden_layer_sizes=(4,), max_epochs=1, batch_size=1000,
                                early_stopping=True, random_state=0).fit
        fit(X[:2000], y[:2000])

        def anonymous():
            rows = open("/proc/self/smaps_rollup").read().splitlines()
            return sum(int(r.split()[1]) for r in rows if r.startswith("Anonymous:"))

        import threading, time
        def extra():
            peak, stop = [anonymous()], threading.Event()
            def watch():
                while not stop.is_set():
                    peak.append(anonymous()); time.sleep(0.01)
            thread = threading.Thread(target=watch); thread.start()
            fit(X, y); stop.set(); thread.join()
            return (max(peak) - peak[0]) // 1024

        # The kernel counts some pages late: the least of three is what a fit takes.
        print(min(extra() for _ in range(3)))
        """
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "X.npy")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(out.stdout) < 60


# -- the habits of scikit-learn -------------------------------------------------------


def test_same_seed_same_weights_and_global_state_untouched(digits):
    X, y = digits
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global generator is what is tested
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one = small(module=TwoLayers).fit(X, y)
    proba = one.predict_proba(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    torch.manual_seed(2)
    np.testing.assert_array_equal(
        small(module=TwoLayers).fit(X, y).predict_proba(X), proba
    )
    other = small(module=TwoLayers, random_state=1).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), proba)


def test_grid_search_over_nested_parameters_is_the_same_in_two_processes(digits):
    X, y = digits
    pipe = make_pipeline(StandardScaler(), small(module=TwoLayers, input_scale=None))
    grid = {
        "networkclassifier__module__width": [4, 16],
        "networkclassifier__lr": [0.001, 0.01],
    }
    one = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    two = GridSearchCV(pipe, grid, cv=2, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    assert one.best_params_["networkclassifier__module__width"] == 16
    assert one.best_estimator_[-1].module_.layers[0].out_features == 16


def test_module_params_travel_through_get_set_and_clone():
    mine = {"width": 3}
    net = NetworkClassifier(TwoLayers, module_params=mine)
    assert net.get_params()["module__width"] == 3
    net.set_params(module__batch_norm=True, lr=0.5)
    assert net.module_params == {"width": 3, "batch_norm": True}
    assert mine == {"width": 3}
    assert clone(net).get_params()["module__batch_norm"] is True
    assert "module__width" not in net.get_params(deep=False)


@pytest.mark.parametrize(
    "copy_of",
    [
        lambda net: pickle.loads(pickle.dumps(net)),
        copy.deepcopy,
        lambda net: joblib.load(io.BytesIO(_joblib_bytes(net))),
        lambda net: _through_skops(net),
    ],
    ids=["pickle", "deepcopy", "joblib", "skops"],
)
def test_copies_predict_the_same(digits, copy_of):
    X, y = digits
    net = small(module=TwoLayers, early_stopping=True, lr_schedule="cosine").fit(X, y)
    again = copy_of(net)
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    assert again.n_iter_ == net.n_iter_


def _joblib_bytes(net):
    buffer = io.BytesIO()
    joblib.dump(net, buffer)
    return buffer.getvalue()


def _through_skops(net):
    dumped = skops.io.dumps(net)
    return skops.io.loads(dumped, trusted=skops.io.get_untrusted_types(data=dumped))


def test_pickle_holds_no_training_data(digits):
    X, y = digits
    sizes = [
        len(pickle.dumps(small(early_stopping=True, warm_start=True).fit(X[:n], y[:n])))
        for n in (200, 600)
    ]
    assert sizes[1] - sizes[0] < 2000


@pytest.mark.parametrize(
    "make",
    [
        lambda net: CalibratedClassifierCV(net, cv=2),
        lambda net: VotingClassifier(
            [("net", net), ("linear", LogisticRegression())], voting="soft"
        ),
        lambda net: BaggingClassifier(net, n_estimators=2, random_state=0),
        lambda net: AdaBoostClassifier(net, n_estimators=2, random_state=0),
        lambda net: SelfTrainingClassifier(net),
    ],
    ids=["calibrated", "voting", "bagging", "adaboost", "self-training"],
)
def test_works_inside_meta_estimators(digits, make):
    X, y = digits[0] / 16, digits[1]
    model = make(small(max_epochs=10, input_scale=None))
    labels = y.copy()
    if isinstance(model, SelfTrainingClassifier):
        labels[::3] = -1
    assert model.fit(X, labels).score(X, y) > 0.8


def test_works_with_model_selection_tools(digits):
    X, y = digits
    net = small(max_epochs=20)
    proba = cross_val_predict(net, X, y, cv=2, method="predict_proba")
    assert proba.shape == (600, 10)
    assert cross_val_score(net, X, y, cv=2).mean() > 0.7
    _, _, scores = learning_curve(net, X, y, cv=2, train_sizes=[0.2, 1.0])
    assert scores[1].mean() > scores[0].mean()


def test_sample_weight_is_routed(digits):
    X, y = digits
    with config_context(enable_metadata_routing=True):
        net = small().set_fit_request(sample_weight=True)
        net.set_score_request(sample_weight=True)
        search = GridSearchCV(net, {"lr": [0.01]}, cv=2)
        search.fit(X, y, sample_weight=np.where(y == 0, 0.0, 1.0))
    assert 0 not in search.predict(X)


def test_partial_fit_goes_on_and_checks_classes(digits):
    X, y = digits
    net = small(lr=0.01)
    for start in range(0, 600, 200):
        part = slice(start, start + 200)
        net.partial_fit(X[part], y[part], classes=np.arange(12))
    assert net.n_iter_ == 3
    assert net.predict_proba(X).shape == (600, 12)
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(
        net.partial_fit(X, y).predict_proba(X), again.partial_fit(X, y).predict_proba(X)
    )
    with pytest.raises(ValueError, match=r"y must hold only the classes.*99"):
        net.partial_fit(X[:2], [1, 99])
    with pytest.raises(ValueError, match="class_weight must be None or a dict"):
        small(class_weight="balanced").partial_fit(X, y)


def test_warm_start_continues_where_it_stopped(digits):
    X, y = digits
    net = small(warm_start=True, max_epochs=2).fit(X, y)
    first = net.loss_curve_.copy()
    net.fit(X, y)
    assert net.n_iter_ == 4
    np.testing.assert_array_equal(net.loss_curve_[:2], first)
    assert net.loss_curve_[2] < first[0]
    cold = small(max_epochs=2).fit(X, y)
    cold.fit(X, y)
    np.testing.assert_array_equal(cold.loss_curve_, first)


# -- training options -----------------------------------------------------------------


def test_learning_rate_schedules(digits):
    X, y = digits

    def rates(schedule, n_epochs=4):
        net = small(max_epochs=n_epochs, lr=1.0, optimizer="sgd", lr_schedule=schedule)
        net.set_params(lr=0.1).fit(X, y)
        return [epoch.get("lr", 0.1) for epoch in net.history_]

    assert rates(None) == [0.1] * 4
    half = 0.1 * 0.5 * (1 + np.cos(np.pi * np.arange(4) / 4))
    np.testing.assert_allclose(rates("cosine"), half, rtol=1e-12)
    np.testing.assert_allclose(rates({"step_size": 2}), [0.1, 0.1, 0.01, 0.01])
    drops = {"milestones": [0.25, 3], "gamma": 0.5}
    np.testing.assert_allclose(rates(drops), [0.1, 0.05, 0.05, 0.025])
    np.testing.assert_allclose(rates(lambda epoch: 1 / (1 + epoch))[3], 0.025)


@pytest.mark.parametrize(
    "schedule", [{}, {"step_size": 0}, {"milestones": "x"}, {"gamma": 1, "foo": 2}]
)
def test_bad_schedules_are_named(digits, schedule):
    with pytest.raises(ValueError, match="lr_schedule must be None"):
        small(lr_schedule=schedule).fit(*digits)


def test_optimizer_may_be_a_class_or_a_factory(digits):
    for optimizer in (
        torch.optim.Adamax,
        functools.partial(torch.optim.Adam, fused=True),
        torch.optim.LBFGS,
    ):
        settings = (
            {"lr": 0.1, "batch_size": -1} if optimizer is torch.optim.LBFGS else {}
        )
        net = small(optimizer=optimizer, max_epochs=5, **settings).fit(*digits)
        assert net.loss_curve_[-1] < net.loss_curve_[0]


def test_early_stopping_stops_and_keeps_the_best_epoch(digits):
    X, y = digits
    net = small(early_stopping=True, max_epochs=200, patience=2, lr=0.05).fit(X, y)
    assert net.n_iter_ < 200
    losses = [epoch["valid_loss"] for epoch in net.history_]
    assert np.argmin(losses) <= net.n_iter_ - 1 - 2
    assert 0 <= net.history_[-1]["valid_acc"] <= 1


def test_augment_acts_in_training_only(digits):
    X, y = digits
    net = small(augment=double_batch).fit(X, y)
    doubled = small(input_scale=2 / 16).fit(X, y)
    np.testing.assert_array_equal(net.loss_curve_, doubled.loss_curve_)
    np.testing.assert_array_equal(net.predict_proba(2 * X), doubled.predict_proba(X))


def test_skorch_callbacks_work(digits, tmp_path):
    X, y = digits
    scoring = skorch_callbacks.EpochScoring("accuracy", on_train=True, name="acc")
    net = small(
        max_epochs=4,
        early_stopping=True,
        callbacks=[
            ("clip", skorch_callbacks.GradientNormClipping(1.0)),
            scoring,
            skorch_callbacks.Checkpoint(dirname=str(tmp_path), monitor=None),
            skorch_callbacks.EarlyStopping(monitor="train_loss", patience=2),
            skorch_callbacks.LRScheduler("StepLR", step_size=1, gamma=0.5),
            skorch_callbacks.EpochScoring("balanced_accuracy", use_caching=False),
        ],
    ).fit(X, y)
    assert len(net.net_.history[:, "acc"]) == net.n_iter_
    assert net.net_.history[-1, "balanced_accuracy"] > 0.3
    assert (tmp_path / "params.pt").exists()
    assert not hasattr(scoring, "best_score_")  # the parameter itself stays as it was


def test_early_stopping_callback_of_skorch_ends_the_fit_without_error(digits):
    stop = skorch_callbacks.EarlyStopping(
        monitor="train_loss", patience=1, threshold=100.0, threshold_mode="abs"
    )
    net = small(max_epochs=50, callbacks=[stop]).fit(*digits)
    assert net.n_iter_ < 5


@pytest.mark.parametrize("module", [TwoLayers, conv_factory, "vgg16"])
def test_modules_of_every_kind(digits, module):
    X, y = digits
    settings = {}
    if module == "vgg16":
        X = np.kron(X.reshape(-1, 8, 8), np.ones((4, 4), np.float32))[:40]
        y = y[:40]
        settings = {"module_params": {"width_multiplier": 1 / 16}, "max_epochs": 1}
    images = X if X.ndim > 2 else X.reshape(-1, 8, 8)
    net = small(module=module, **settings).fit(images, y)
    assert net.predict(images).shape == y.shape


def test_module_instance_is_copied_and_starts_from_its_weights(digits):
    X, y = digits
    trained = small(max_epochs=10).fit(X, y)
    before = copy.deepcopy(trained.module_.state_dict())
    tuned = small(module=trained.module_, max_epochs=1, lr=1e-5).fit(X, y)
    assert tuned.score(X, y) > 0.8
    for key, value in trained.module_.state_dict().items():
        assert torch.equal(value, before[key])


# -- breakage -------------------------------------------------------------------------


class PressControlC(skorch_callbacks.Callback):
    """Interrupts in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training, **kwargs):
        if (
            training
            and len(net.history) == self.epoch
            and len(net.history[-1, "batches"]) == 2
        ):
            raise KeyboardInterrupt


def test_interrupt_raises_and_leaves_the_estimator_unfitted(digits):
    net = small(max_epochs=5, callbacks=[PressControlC(2)])
    with pytest.raises(KeyboardInterrupt):
        net.fit(*digits)
    with pytest.raises(ValueError, match="not fitted"):
        net.predict(digits[0])


def test_interrupt_with_warm_start_keeps_the_last_whole_epoch(digits):
    X, y = digits
    net = small(max_epochs=5, warm_start=True, callbacks=[PressControlC(3)])
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y)
    assert net.n_iter_ == 2
    two_epochs = small(max_epochs=2).fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X), two_epochs.predict_proba(X))
    assert net.net_.optimizer_.state_dict()["state"][0]["step"] == 10


def test_divergence_names_epoch_rate_and_remedies(digits):
    X, y = digits
    linear = {"activation": "identity"}  # dead ReLUs would stop the explosion
    net = small(optimizer="sgd", lr=1e6, max_epochs=20, module_params=linear)
    with pytest.raises(ValueError, match=r"epoch \d+ at lr=1000000.0.*smaller lr"):
        net.fit(X, y)
    with pytest.raises(ValueError, match="not fitted"):
        net.predict(X)
    warm = small(warm_start=True, module_params=linear, optimizer="sgd").fit(X, y)
    proba = warm.predict_proba(X)
    with pytest.raises(ValueError, match="Training diverged"):
        warm.set_params(lr=1e30).fit(X, y)
    np.testing.assert_array_equal(warm.predict_proba(X), proba)


def test_last_batch_of_one_row_with_batch_norm(digits):
    X, y = digits
    settings = {"module": TwoLayers, "module_params": {"batch_norm": True}}
    net = small(**settings, batch_size=32).fit(X[:97], y[:97])
    assert net.history_[0]["train_batch_count"] == 3
    with pytest.raises(ValueError, match=r"at least two rows in a batch.*batch_size=1"):
        small(**settings, batch_size=1).fit(X, y)


def test_lonely_class_with_early_stopping(digits):
    X, y = digits[0][:50], np.r_[np.zeros(49, int), 7]
    with pytest.raises(ValueError, match=r"two rows of each class.*\[7\]"):
        small(early_stopping=True).fit(X, y)


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"module": "lenet"}, ValueError, r"module must be one of .*Got 'lenet'"),
        ({"module": "lenet-5"}, ValueError, r"input_shape=\(8, 8\)"),
        ({"input_shape": (3, 3)}, ValueError, r"\(3, 3\) for rows of 64 values"),
        ({"input_shape": (8, 0)}, ValueError, "positive integers"),
        ({"module": WrongOutputs}, ValueError, r"shape \(n, 10\).*Got \(2, 3\)"),
        ({"module": TwoLayers, "module_params": {"depth": 2}}, TypeError, "depth"),
        ({"module": lambda: 3}, TypeError, "must return a torch.nn.Module"),
        ({"device": "abacus"}, ValueError, "device must be .*abacus"),
        (
            {"class_weight": {0: -1.0}},
            ValueError,
            "class_weight must hold numbers >= 0",
        ),
        ({"module_params": {"foo": 1}}, (TypeError, ValueError), "foo"),
    ],
)
def test_bad_parameters_are_named(digits, changes, error, message):
    with pytest.raises(error, match=message):
        small(**changes).fit(*digits)


def test_bad_data_is_named(digits):
    X, y = digits
    with pytest.raises(ValueError, match=r"\(n, H, W, C\). Got an array of shape"):
        small().fit(X.reshape(-1, 2, 2, 4, 4), y)
    net = small().fit(X.reshape(-1, 8, 8), y)
    with pytest.raises(ValueError, match=r"images of shape \(4, 16\)"):
        net.predict(X.reshape(-1, 4, 16))
    with pytest.raises(ValueError, match="features"):
        net.predict(X[:, :60])
    with pytest.raises(ValueError, match="non-zero"):
        small().fit(X, y, sample_weight=np.zeros(600))


@pytest.mark.parametrize("n_channels", [1, 3, 4])
def test_images_with_channels_first_are_refused(n_channels):
    X = np.random.RandomState(0).rand(8, n_channels, 16, 20).astype(np.float32)
    y = np.arange(8) % 2
    message = rf"channels last, X.transpose\(0, 2, 3, 1\).*\(n, {n_channels}, 16, 20\)"
    with pytest.raises(ValueError, match=message):
        small(module=conv_factory).fit(X, y)
    net = small(module=conv_factory).fit(X.transpose(0, 2, 3, 1), y)
    with pytest.raises(ValueError, match=message):
        net.predict(X)


def test_too_small_an_input_shape_is_shown_as_it_was_given():
    X, y = np.zeros((4, 3072), np.float32), [0, 1, 0, 1]
    with pytest.raises(ValueError, match=r"channels last .*here \(3, 32, 32\)"):
        small(module="lenet-5", input_shape=(3, 32, 32)).fit(X, y)


def test_a_softmax_at_the_end_is_noticed(digits):
    layers = nn.Linear(64, 10), nn.Softmax(dim=1)
    with pytest.warns(UserWarning, match="seems to end in a softmax; logits") as caught:
        small(module=nn.Sequential(*layers)).fit(*digits)
    assert len(caught) == 1 and caught[0].filename == __file__
    small(module=nn.Sequential(*layers[:1], nn.Sigmoid())).fit(*digits)  # no warning


class InPlace(nn.Module):
    """Changes its input."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)

    def forward(self, x):
        x -= 1
        return self.layer(x)


def test_modules_that_work_in_place_leave_the_data_alone(digits, tmp_path):
    X, y = digits
    np.save(tmp_path / "X.npy", X)
    stored = np.load(tmp_path / "X.npy", mmap_mode="r")
    before = X.copy()
    for data in (X, stored):
        net = small(module=InPlace, input_scale=None).fit(data, y)
        np.testing.assert_array_equal(net.predict_proba(data), net.predict_proba(X))
    np.testing.assert_array_equal(X, before)


def test_reversed_and_strided_arrays(digits):
    X, y = digits
    expected = small().fit(X[::-1].copy(), y[::-1].copy())
    net = small().fit(X[::-1], y[::-1])
    np.testing.assert_array_equal(net.loss_curve_, expected.loss_curve_)
    np.testing.assert_array_equal(
        net.predict_proba(X[::-1, :]), net.predict_proba(X)[::-1]
    )


def test_partial_fit_weighs_classes_that_come_later(digits):
    X, y = digits
    net = small(class_weight={0: 1.0, 1: 10.0, 2: 5.0})
    net.partial_fit(X[y == 0], y[y == 0], classes=np.arange(10))
    weight = net.net_.criterion_.weight.numpy()
    np.testing.assert_allclose(weight / weight[0], [1, 10, 5] + [1] * 7, rtol=1e-6)


def test_partial_fit_goes_back_after_interrupt_and_divergence(digits):
    X, y = digits
    net = small(callbacks=[PressControlC(2)]).partial_fit(X, y)
    proba = net.predict_proba(X)
    with pytest.raises(KeyboardInterrupt):
        net.partial_fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X), proba)
    assert net.n_iter_ == 1

    linear = {"activation": "identity"}
    net = small(module_params=linear, optimizer="sgd").partial_fit(X, y)
    proba = net.predict_proba(X)
    with pytest.raises(ValueError, match="Training diverged"):
        net.set_params(lr=1e30).partial_fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X), proba)
    assert net.set_params(lr=0.01).partial_fit(X, y).n_iter_ == 2


def test_going_back_includes_batch_normalisation(digits):
    X, y = digits
    net = small(module_params={"batch_norm": True}).fit(X, y)
    proba = net.predict_proba(X)
    huge = X.copy()
    huge[:, 3] *= 1e30
    with pytest.raises(ValueError, match="Training diverged"):
        net.partial_fit(huge, y)
    assert net.n_iter_ == 3
    np.testing.assert_array_equal(net.predict_proba(X), proba)


def test_early_stopping_of_the_user_beside_ours(digits):
    stop = skorch_callbacks.EarlyStopping("train_loss", patience=2, threshold=0.5)
    net = small(early_stopping=True, max_epochs=50, patience=50, callbacks=[stop])
    net.fit(*digits)
    losses = [epoch["valid_loss"] for epoch in net.history_]
    assert len(losses) < 50 and net.best_epoch_ == np.argmin(losses) + 1


def test_best_epoch_goes_when_training_goes_on(digits):
    net = small(early_stopping=True).fit(*digits)
    assert net.best_epoch_ == 3
    assert not hasattr(net.partial_fit(*digits), "best_epoch_")


def test_validation_loss_that_is_never_finite_is_named(digits):
    X, y = digits
    net = small(early_stopping=True, module_params={"activation": "identity"})
    seed = check_random_state(0).randint(2**31 - 1)
    _, held_out = split_rows(y, np.arange(10), 0.1, seed)
    X = X.copy()
    X[held_out] = 3e38
    with pytest.raises(ValueError, match="validation loss of early stopping"):
        net.fit(X, y)


def test_equal_parameters_may_come_anew_in_a_continued_training(digits):
    listed = [skorch_callbacks.EpochTimer()]
    net = small(warm_start=True, callbacks=[("timer", *listed)], max_epochs=1)
    net.fit(*digits).set_params(hidden_layer_sizes=[16], momentum=np.float64(0.9))
    net.set_params(callbacks=copy.deepcopy(net.callbacks)).fit(*digits)
    assert net.n_iter_ == 2


def test_warm_start_refuses_what_it_cannot_change(digits):
    net = small(warm_start=True).fit(*digits)
    net.set_params(batch_size=7, class_weight={0: 2.0}, lr=0.001).fit(*digits)
    assert net.history_[-1]["train_batch_count"] == 86
    for change in ({"optimizer": "sgd"}, {"hidden_layer_sizes": (3,)}):
        with pytest.raises(ValueError, match=r"cannot change in a training that goes"):
            clone(net).fit(*digits).set_params(**change).fit(*digits)


def test_early_stopping_of_a_warm_fit_validates_on_the_same_rows(digits):
    X, y = digits
    net = small(warm_start=True, early_stopping=True, max_epochs=15).fit(X, y)
    loss = net.history_[net.best_epoch_ - 1]["valid_loss"]
    proba = net.predict_proba(X)
    # A rate that only does harm: the weights at the start are the best.
    net.set_params(lr=2.0, max_epochs=2).fit(X, y)
    assert all(epoch["valid_loss"] > loss for epoch in net.history_[15:])
    assert net.best_epoch_ <= 15
    np.testing.assert_array_equal(net.predict_proba(X), proba)


def test_early_stopping_takes_any_gain(digits):
    net = small(early_stopping=True, max_epochs=15, lr=1e-7, patience=2).fit(*digits)
    losses = [epoch["valid_loss"] for epoch in net.history_]
    assert (np.diff(losses) < 0).all()
    assert net.n_iter_ == net.best_epoch_ == 15


def test_both_parts_of_a_split_hold_every_class():
    codes = np.r_[np.zeros(1000, int), 1, 1, np.full(40, 2)]
    training, validation = split_rows(codes, np.arange(3), 0.1, 0)
    assert set(codes[training]) == set(codes[validation]) == {0, 1, 2}
    np.testing.assert_array_equal(
        np.sort(np.r_[training, validation]), np.arange(len(codes))
    )


def test_recorded_losses_are_weighted_means(digits):
    X, y = digits
    weight = np.where(np.arange(600) % 7 == 0, 1.0, 1e-4)
    net = small(lr=1e-12, batch_size=50, max_epochs=2, early_stopping=True).fit(
        X, y, sample_weight=weight
    )
    losses = -np.log(net.predict_proba(X)[np.arange(600), y])
    kept, held_out = split_rows(y, np.arange(10), 0.1, net._seed)
    for key, rows in (("train_loss", kept), ("valid_loss", held_out)):
        expected = np.average(losses[rows], weights=weight[rows])
        np.testing.assert_allclose(net.history_[-1][key], expected, rtol=1e-5)


def test_batches_without_weight_do_no_harm(digits):
    X, y = digits
    net = small(class_weight={0: 0.0}, batch_size=1, max_epochs=1).fit(X, y)
    assert np.isfinite(net.loss_curve_).all()
    weight = np.where(y == 0, 0, 1e38)
    small().fit(X, y, sample_weight=weight)


class Lazy(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.layer = nn.LazyLinear(n_outputs)

    def forward(self, x):
        return self.layer(x)


def test_lazy_modules_are_seeded_by_the_fit(digits):
    one, same, other = (
        small(module=Lazy, lr=1e-9, random_state=seed)
        .fit(*digits)
        .predict_proba(digits[0])
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def two_rates(parameters, lr):
    parameters = list(parameters)
    groups = [{"params": parameters[:2], "lr": 0.0}, {"params": parameters[2:]}]
    return torch.optim.SGD(groups, lr=lr)


def test_rates_of_parameter_groups_are_kept(digits):
    net = small(optimizer=two_rates, lr_schedule=lambda epoch: 0.5).fit(*digits)
    assert [group["lr"] for group in net.net_.optimizer_.param_groups] == [0.0, 0.005]


def test_checkpoints_of_skorch_work(digits, tmp_path):
    for i, checkpoint in enumerate(
        (
            skorch_callbacks.TrainEndCheckpoint(dirname=str(tmp_path / "0")),
            skorch_callbacks.Checkpoint(dirname=str(tmp_path / "1")),
            skorch_callbacks.Checkpoint(
                dirname=str(tmp_path / "2"), monitor="train_loss_best"
            ),
        )
    ):
        small(early_stopping=True, callbacks=[checkpoint]).fit(*digits)
        assert list((tmp_path / str(i)).iterdir())


class ShortInTraining(TwoLayers):
    def forward(self, x):
        out = super().forward(x)
        return out[:-1] if self.training else out


class Frozen(TwoLayers):
    def __init__(self, n_inputs, n_outputs):
        super().__init__(n_inputs, n_outputs)
        self.requires_grad_(False)


class NotANumberAtLast(TwoLayers):
    def forward(self, x):
        out = super().forward(x)
        return out if self.training or len(x) == 2 else out * float("nan")


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"module": ShortInTraining}, ValueError, "a row for each row of its input"),
        ({"module": Frozen}, ValueError, "there is nothing to train"),
        ({"augment": lambda b: None}, ValueError, "augment must return a float32"),
        ({"augment": lambda b: b[:1]}, ValueError, r"shape \(1, 64\)"),
        ({"lr_schedule": lambda e: None}, ValueError, "lr_schedule must return a fin"),
        ({"lr_schedule": lambda e: -1}, ValueError, "factor >= 0. It returned -1"),
        ({"lr_schedule": {"milestones": "12"}}, ValueError, "lr_schedule must be"),
        ({"optimizer": torch.nn.Linear}, TypeError, "optimizer could not be made"),
        ({"optimizer": lambda p, lr: None}, TypeError, "must make a torch optimiser"),
        ({"hidden_layer_sizes": ("a",)}, TypeError, "^each of hidden_layer_sizes"),
        ({"callbacks": [1]}, TypeError, "callbacks must hold skorch callbacks"),
        ({"module_params": {1: 1}}, ValueError, "must have names as keys"),
        ({"module_params": {"n_outputs": 1}}, ValueError, "come from the data"),
        ({"device": "meta"}, ValueError, "device must be available"),
    ],
)
def test_bad_callables_are_named(digits, changes, error, message):
    with pytest.raises(error, match=message):
        small(**changes).fit(*digits)


def test_logits_that_are_not_finite_are_named(digits):
    net = small(module=NotANumberAtLast).fit(*digits)
    with pytest.raises(ValueError, match="logits that are not finite"):
        net.predict(digits[0])


@pytest.mark.parametrize("classes", [[], [0, None], [np.nan, 1.0]])
def test_bad_classes_are_named(digits, classes):
    with pytest.raises(ValueError, match="classes must"):
        small().partial_fit(*digits, classes=classes)


def test_module_is_left_in_evaluation_mode(digits):
    net = small(module=TwoLayers).fit(*digits)
    assert not net.module_.training
    with pytest.raises(NotFittedError):
        small().module_  # noqa: B018


def test_verbose_shows_one_bar_and_silence_is_the_default(digits, capfd):
    small().fit(*digits)
    assert capfd.readouterr() == ("", "")
    small(verbose=1, early_stopping=True).fit(*digits)
    out, err = capfd.readouterr()
    assert out == ""
    assert "3/3" in err
    for word in ("loss=", "valid_acc=", " s, "):
        assert word in err


@pytest.mark.slow
def test_compiled_training_is_close_and_pickles(digits):
    X, y = digits
    plain, compiled = small().fit(X, y), small(compile=True).fit(X, y)
    # another order of float32 operations
    np.testing.assert_allclose(
        compiled.predict_proba(X), plain.predict_proba(X), atol=1e-3
    )
    assert type(compiled.module_) is type(plain.module_)
    pickle.loads(pickle.dumps(compiled))


@pytest.mark.gpu
def test_gpu_agrees_with_cpu_and_loads_without_gpu(digits):
    X, y = digits
    gpu = small(device="cuda").fit(X, y)
    cpu = small(device="cpu").fit(X, y)
    # float32 in another order on another device
    np.testing.assert_allclose(gpu.predict_proba(X), cpu.predict_proba(X), atol=1e-2)
    for precision in ("bf16", "fp16"):
        half = small(device="cuda", precision=precision, max_epochs=10).fit(X, y)
        assert half.score(X, y) > 0.9
    script = (
        "import sys, pickle, warnings; warnings.simplefilter('ignore');"
        "print(pickle.load(sys.stdin.buffer).net_.device)"
    )
    out = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(gpu),
        capture_output=True,
        check=True,
        env={"CUDA_VISIBLE_DEVICES": "", "PATH": ""},
    )
    assert out.stdout.strip() == b"cpu"
