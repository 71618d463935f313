"""EffectiveSparsityPruner: budget, training under masks, composition, errors."""

import pickle
import warnings

import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklvyso import EffectiveSparsityPruner, NetworkClassifier
from sklvyso.networks import make_network
from sklvyso.sparsity import effective_masks, prune_module, sparsity_report

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
FAST = {"hidden_layer_sizes": (30, 20), "max_epochs": 3, "random_state": 0}


def network(**kwargs):
    return NetworkClassifier(**FAST | kwargs)


def pruner(net=None, **kwargs):
    settings = {"compression": 5, "random_state": 0} | kwargs
    return EffectiveSparsityPruner(net or network(), **settings)


def largest_pruned(fitted):
    """Largest magnitude among the weights that must be zero."""
    values = dict(fitted.module_.named_parameters())
    return max(
        float(values[name].detach()[torch.from_numpy(~mask)].abs().max())
        for name, mask in fitted.masks_.items()
        if not mask.all()
    )


@pytest.mark.parametrize(
    "method, quota",
    [
        ("synflow", None),
        ("random", None),
        ("random", "uniform"),
        ("random", "erk"),
        ("random", "synflow"),
        ("random", "snip"),
        ("magnitude", None),
        ("magnitude", "igq"),
        ("lamp", None),
        ("snip", None),
        ("grasp", None),
        ("force", None),
        ("snip_iterative", None),
        ("synflow", "igq"),
    ],
)
def test_reached_sparsity_is_the_largest_within_the_target(method, quota):
    fitted = pruner(
        pruner=method,
        quota=quota,
        n_iterations=20 if method in ("synflow", "force", "snip_iterative") else "auto",
        dense_epochs=1,
    )
    fitted.prune(X, y)
    report = fitted.report_
    assert report.n_active * 5 >= report.n_weights
    assert fitted.effective_sparsity_ <= 0.8 < fitted.effective_sparsity_next_
    found = effective_masks(fitted.module_, fitted.masks_, (64,))
    for name, mask in found.items():
        np.testing.assert_array_equal(mask, fitted.effective_masks_[name])


def test_direct_target_keeps_the_exact_number():
    fitted = pruner(pruner="random", quota="erk", target="direct").prune(X, y)
    n = fitted.report_.n_weights
    assert fitted.report_.n_kept == round(n / 5)
    assert np.isnan(fitted.effective_sparsity_next_)


def test_sparsity_zero_is_the_plain_network():
    net = network(random_state=3)
    dense = clone(net).fit(X, y)
    fitted = pruner(net, compression=None, sparsity=0.0).fit(X, y)
    np.testing.assert_array_equal(fitted.predict_proba(X), dense.predict_proba(X))


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1, "lr": 0.1},
        {"optimizer": "adam", "weight_decay": 0.1},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "rmsprop"},
        {"early_stopping": True, "max_epochs": 5},
        {"lr_schedule": "cosine"},
    ],
    ids=lambda s: "-".join(map(str, s.values())),
)
def test_pruned_weights_stay_exactly_zero(settings):
    fitted = pruner(network(**settings), pruner="random").fit(X, y)
    assert largest_pruned(fitted) == 0
    fitted.partial_fit(X, y)
    assert largest_pruned(fitted) == 0
    again = pickle.loads(pickle.dumps(fitted))
    again.partial_fit(X, y)
    assert largest_pruned(again) == 0
    again.set_params(warm_start=True).fit(X, y)
    assert largest_pruned(again) == 0
    again.estimator_.partial_fit(X, y)
    assert largest_pruned(again) == 0


def test_kept_weights_do_train():
    fitted = pruner(pruner="random").prune(X, y)
    before = {k: v.detach().clone() for k, v in fitted.module_.named_parameters()}
    fitted.partial_fit(X, y)
    for name, mask in fitted.masks_.items():
        after = dict(fitted.module_.named_parameters())[name].detach()
        changed = (after != before[name]).numpy()
        assert changed[mask].mean() > 0.5 and not changed[~mask].any()


def test_effective_application_trains_active_weights_only():
    net = network(hidden_layer_sizes=(200, 50))
    settings = {"pruner": "random", "quota": "erk", "target": "direct"}
    fitted = pruner(net, compression=20, apply="effective", **settings).fit(X, y)
    assert fitted.report_.n_active < fitted.report_.n_kept
    values = dict(fitted.module_.named_parameters())
    for name, mask in fitted.effective_masks_.items():
        assert not values[name].detach().numpy()[~mask].any()


def test_prune_does_not_train():
    net = network()
    fitted = pruner(net).prune(X, y)
    start = clone(net).initialize(X, y)
    values = dict(start.module_.named_parameters())
    assert fitted.n_iter_ == 0 and fitted.history_ == []
    for name, mask in fitted.masks_.items():
        now = dict(fitted.module_.named_parameters())[name].detach().numpy()
        np.testing.assert_array_equal(now, values[name].detach().numpy() * mask)


def test_prune_then_warm_start_is_fit():
    whole = pruner().fit(X, y)
    steps = pruner(warm_start=True).prune(X, y).fit(X, y)
    np.testing.assert_array_equal(whole.predict_proba(X), steps.predict_proba(X))


def test_partial_fit_learns_classes_that_come_later():
    fitted = pruner().partial_fit(X[y < 5], y[y < 5], classes=np.arange(10))
    masks = fitted.masks_
    fitted.partial_fit(X, y)
    assert fitted.masks_ is masks and len(fitted.classes_) == 10


def test_rewinding_starts_from_the_initial_weights():
    net = network(max_epochs=2)
    settings = {"pruner": "magnitude", "dense_epochs": 2}
    rewound = pruner(net, **settings).prune(X, y)
    initial = clone(net).initialize(X, y).module_.state_dict()
    final = clone(net).fit(X, y).module_.state_dict()
    going_on = pruner(net, rewind="none", **settings).prune(X, y)
    early = pruner(net, rewind=1, **settings).prune(X, y)
    late = pruner(net, rewind=30, **settings).prune(X, y)  # two epochs of 15 steps
    for name, mask in rewound.masks_.items():
        np.testing.assert_array_equal(mask, going_on.masks_[name])

        def kept(fitted, name=name, mask=mask):
            return fitted.module_.state_dict()[name].numpy()[mask]

        np.testing.assert_array_equal(kept(rewound), initial[name].numpy()[mask])
        np.testing.assert_array_equal(kept(going_on), final[name].numpy()[mask])
        np.testing.assert_array_equal(kept(late), final[name].numpy()[mask])
        # The first step of Adam moves a weight by at most the learning rate.
        np.testing.assert_allclose(
            kept(early), initial[name].numpy()[mask], atol=1.01e-3
        )
        assert (kept(early) != kept(rewound)).any()


def test_dense_epochs_zero_ranks_initial_weights():
    net = network()
    fitted = pruner(net, pruner="magnitude", dense_epochs=0).prune(X, y)
    module = clone(net).initialize(X, y).module_
    masks = prune_module(module, "magnitude", sparsity=0.8, input_shape=(64,))
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, fitted.masks_[name])


def test_sample_weight_reaches_training_and_scores():
    weight = np.where(y == 3, 20.0, 1.0)
    plain = pruner(pruner="snip").fit(X, y)
    weighted = pruner(pruner="snip").fit(X, y, sample_weight=weight)
    name = next(iter(plain.scores_))
    assert not np.allclose(plain.scores_[name], weighted.scores_[name])
    assert (weighted.predict(X) == 3).sum() > (plain.predict(X) == 3).sum()


def test_weights_count_as_repeated_rows_in_scores():
    rows = np.repeat(np.arange(200), 1 + np.arange(200) % 3)
    weight = 1.0 + np.arange(200) % 3
    weighted = pruner(pruner="snip").prune(X[:200], y[:200], sample_weight=weight)
    repeated = pruner(pruner="snip").prune(X[rows], y[rows])
    for name, scores in weighted.scores_.items():
        # float32 gradients of 400 rows
        np.testing.assert_allclose(scores, repeated.scores_[name], rtol=1e-3, atol=1e-7)


def test_class_weight_reaches_training():
    few = np.concatenate([np.flatnonzero(y == 8)[:10], np.flatnonzero(y != 8)])
    settings = {"lr": 1e-2, "max_epochs": 8}
    plain = pruner(network(**settings)).fit(X[few], y[few])
    balanced = pruner(network(class_weight="balanced", **settings))
    balanced.fit(X[few], y[few])
    assert (balanced.predict(X) == 8).sum() > (plain.predict(X) == 8).sum()


def test_a_skorch_net_is_pruned_too():
    class Flat(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 10))

    net = NeuralNetClassifier(
        Flat,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        lr=0.1,
        max_epochs=3,
        train_split=None,
        callbacks__print_log=None,
        verbose=0,
    )
    for method in ("synflow", "snip", "magnitude"):
        fitted = pruner(net, pruner=method, compression=3).fit(X, y.astype(str))
        assert largest_pruned(fitted) == 0
        assert fitted.score(X, y.astype(str)) > 0.6
    with pytest.raises(ValueError, match="sample_weight"):
        pruner(net).fit(X, y, sample_weight=np.ones(len(y)))
    with pytest.raises(ValueError, match="input_shape must be None"):
        pruner(net, input_shape=(8, 8)).fit(X, y)


def test_a_module_class_an_instance_and_a_name_are_taken():
    instance = make_network("mlp", (64,), 10, hidden_layer_sizes=(20,))
    before = {k: v.clone() for k, v in instance.state_dict().items()}
    for estimator in (instance, "mlp", None):
        fitted = EffectiveSparsityPruner(
            estimator, max_epochs=1, random_state=0, device="cpu"
        ).fit(X, y)
        assert fitted.n_iter_ == 1
    for key, value in instance.state_dict().items():
        assert torch.equal(value, before[key])


def test_images_fold_and_come_as_they_are():
    images = X.reshape(-1, 8, 8)
    net = NetworkClassifier(
        "lenet-5", module_params={"padding": "same"}, max_epochs=1, random_state=0
    )
    folded = pruner(net, input_shape=(8, 8)).fit(X, y)
    direct = pruner(net).fit(images, y)
    np.testing.assert_array_equal(folded.predict(X), direct.predict(images))
    assert direct.n_features_in_ == 64 and direct.input_shape_ == (8, 8)


def test_uint8_input_equals_float_input():
    raw = (X * 16).astype(np.uint8)
    settings = {"pruner": "snip"}
    one = pruner(network(input_scale=1 / 16), **settings).fit(raw, y)
    two = pruner(network(input_scale=1 / 16), **settings).fit(raw.astype(np.float32), y)
    np.testing.assert_array_equal(one.predict(raw), two.predict(raw))


def test_excluded_weights_are_neither_pruned_nor_counted():
    fitted = pruner(exclude=("classifier",)).fit(X, y)
    assert list(fitted.masks_) == ["layers.1.weight", "layers.3.weight"]
    assert fitted.report_.n_weights == 64 * 30 + 30 * 20


def test_given_layer_sparsities_have_their_own_total():
    quota = {"layers.1.weight": 0.9, "layers.3.weight": 0.5, "classifier.weight": 0.25}
    settings = {"pruner": "random", "target": "direct", "compression": None}
    fitted = pruner(quota=quota, **settings).prune(X, y)
    kept = [layer["kept"] for layer in fitted.layer_report_]
    assert kept == [192, 300, 150]
    as_list = pruner(quota=list(quota.values()), **settings).prune(X, y)
    assert [layer["kept"] for layer in as_list.layer_report_] == kept
    with pytest.raises(ValueError, match="sparsity and quota must agree"):
        pruner(quota=quota, pruner="random").prune(X, y)


def test_what_chose_the_masks_may_not_change_in_training_that_goes_on():
    fitted = pruner(warm_start=True).fit(X, y)
    fitted.fit(X, y)
    with pytest.raises(ValueError, match="compression cannot change"):
        fitted.set_params(compression=7).fit(X, y)
    with pytest.raises(ValueError, match="compression cannot change"):
        fitted.partial_fit(X, y)


def test_verbose_tells_what_is_left(capsys):
    pruner(verbose=1).fit(X, y)
    captured = capsys.readouterr()
    assert "active" in captured.err and captured.out == ""


def test_min_per_layer_rules_out_collapse():
    settings = {"pruner": "magnitude", "dense_epochs": 0, "target": "direct"}
    with pytest.warns(UserWarning, match="dead"):
        bare = pruner(network(), compression=2000, **settings).prune(X, y)
    assert bare.collapsed_layers_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        fitted = pruner(compression=400, min_per_layer=1, **settings).prune(X, y)
    assert fitted.collapsed_layers_ == []


def test_a_dead_network_is_told_before_training():
    settings = {"pruner": "random", "quota": "uniform", "target": "direct"}
    dead = pruner(network(max_epochs=10_000), compression=1000, **settings)

    class Stop(Exception):
        pass

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The pruned network is dead")
        with pytest.raises(UserWarning, match=r"layers .*weight"):
            dead.fit(X, y)


def test_cut_off_classes_are_told():
    with pytest.warns(UserWarning, match="of the network's outputs are cut off"):
        fitted = pruner(
            pruner="random", quota="uniform", target="direct", compression=60
        ).prune(X, y)
    assert 0 < fitted.n_disconnected_outputs_ < 10


def test_composes_with_pipeline_and_grid_search():
    pipe = make_pipeline(MinMaxScaler(), pruner(compression=None))
    search = GridSearchCV(
        pipe,
        {
            "effectivesparsitypruner__compression": [2, 10],
            "effectivesparsitypruner__pruner": ["random", "synflow"],
            "effectivesparsitypruner__quota": ["erk", "igq"],
            "effectivesparsitypruner__estimator__lr": [1e-4, 3e-2],
        },
        cv=2,
        error_score="raise",
    ).fit(X[:800], y[:800])
    assert search.best_score_ > 0.5
    assert search.best_params_["effectivesparsitypruner__estimator__lr"] == 3e-2
    assert cross_val_score(pruner(), X[:200], y[:200], cv=2).shape == (2,)


def test_same_seed_same_result_and_global_generators_rest():
    state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    net = network(random_state=None)
    for method in ("random", "synflow", "grasp"):
        one = pruner(net, pruner=method).fit(X, y)
        two = pruner(net, pruner=method).fit(X, y)
        np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    other = pruner(net, pruner="random", random_state=1).fit(X, y)
    same = pruner(net, pruner="random").fit(X, y)
    assert any((other.masks_[k] != m).any() for k, m in same.masks_.items())
    assert torch.equal(torch.random.get_rng_state(), state[0])
    assert (np.random.get_state()[1] == state[1]).all()  # noqa: NPY002


def test_a_callable_scores():
    def by_place(module, X, y):
        return [
            torch.arange(w.numel()).reshape(w.shape).double()
            for name, w in module.named_parameters()
            if name.endswith("weight")
        ]

    settings = {"quota": "uniform", "target": "direct"}
    with pytest.warns(UserWarning, match="cut off"):
        fitted = pruner(pruner=by_place, **settings).prune(X, y)
    for mask in fitted.masks_.values():
        flat = mask.ravel()
        assert flat[np.argmax(flat) :].all()


def test_report_and_frame():
    fitted = pruner().fit(X, y)
    frame = fitted.report()
    assert list(frame.index) == list(fitted.masks_)
    assert frame["active"].sum() == fitted.report_.n_active
    assert fitted.direct_compression_ == pytest.approx(
        1 / (1 - fitted.direct_sparsity_)
    )
    again = sparsity_report(fitted.module_, fitted.masks_, (64,))
    assert again.layers == fitted.layer_report_


def test_compact_predicts_the_same(tmp_path):
    fitted = pruner(compression=30).fit(X, y)
    small = fitted.compact()
    n_before = sum(p.numel() for p in fitted.module_.parameters())
    assert sum(p.numel() for p in small.parameters()) < n_before
    with torch.no_grad():
        proba = torch.softmax(small(torch.from_numpy(X)), dim=1).numpy()
    # float32 sums in another order
    np.testing.assert_allclose(proba, fitted.predict_proba(X), atol=1e-5)
    path = fitted.export(tmp_path / "net.pt")
    small.load_state_dict(torch.load(path, weights_only=True))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"sparsity": 0.5}, "sparsity and compression exclude each other"),
        ({"compression": 0.5}, "compression"),
        ({"compression": None, "sparsity": 1.5}, "sparsity"),
        ({"pruner": "foo"}, "pruner"),
        ({"quota": "foo"}, "quota"),
        ({"target": "foo"}, "target"),
        ({"rewind": 10_000, "pruner": "magnitude"}, "rewind must be at most"),
        ({"exclude": ("nothing",)}, "exclude"),
        ({"quota": "uniform_plus", "pruner": "random"}, "quota='uniform_plus'"),
        ({"quota": [0.5], "compression": None}, r"quota=\[0.5\] does not fit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_bad_parameters_get_one_clear_error(settings, message):
    with pytest.raises(ValueError, match=message):
        pruner(**settings).fit(X, y)


class Recurrent(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.recurrent = nn.LSTM(8, 16, batch_first=True)
        self.classifier = nn.Linear(16, n_outputs)

    def forward(self, x):
        states, _ = self.recurrent(x.view(len(x), 8, 8))
        return self.classifier(states[:, -1])


def test_a_rule_may_leave_out_what_nobody_reads():
    with pytest.raises(ValueError, match=r"LSTM 'recurrent'.*rules="):
        pruner(Recurrent, max_epochs=1).fit(X, y)

    def rule(module, x):
        return x.sum((1, 2), keepdim=True).expand(1, 8, 16), None

    settings = {"max_epochs": 1, "compression": 2, "rules": {nn.LSTM: rule}}
    fitted = pruner(Recurrent, **settings).fit(X, y)
    assert list(fitted.masks_) == ["classifier.weight"]


def test_rules_have_classes_or_functions_as_keys():
    for key in ("LSTM", nn.ReLU(), int):
        with pytest.raises(TypeError, match=r"rules must have nn\.Module classes"):
            pruner(rules={key: "identity"}).fit(X, y)


def test_goes_through_skops_with_its_masks():
    fitted = pruner().fit(X, y)
    stored = skops.io.dumps(fitted)
    trusted = skops.io.get_untrusted_types(data=stored)
    again = skops.io.loads(stored, trusted=trusted)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    again.partial_fit(X, y)
    assert largest_pruned(again) == 0


def test_estimators_without_a_network_are_refused():
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(TypeError, match="needs a torch network"):
        EffectiveSparsityPruner(LogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match="at the end of the Pipeline"):
        EffectiveSparsityPruner(make_pipeline(MinMaxScaler(), network())).fit(X, y)


def test_unfitted_errors():
    for method in ("predict", "predict_proba", "compact", "report"):
        call = getattr(pruner(), method)
        with pytest.raises(NotFittedError):
            call(X) if "predict" in method else call()


def test_a_failed_fit_leaves_no_half_network():
    fitted = pruner().fit(X, y)
    with pytest.raises(ValueError, match="diverged"):
        fitted.set_params(estimator=network(lr=1e20, optimizer="sgd")).fit(X, y)
    with pytest.raises(NotFittedError):
        fitted.predict(X)


@pytest.mark.gpu
def test_fits_on_the_gpu():
    cpu = pruner(network(device="cpu")).fit(X, y)
    gpu = pruner(network(device="cuda")).fit(X, y)
    for name, mask in cpu.masks_.items():
        np.testing.assert_array_equal(mask, gpu.masks_[name])
    # Three epochs of float32 on another device.
    np.testing.assert_allclose(cpu.predict_proba(X), gpu.predict_proba(X), atol=1e-2)
