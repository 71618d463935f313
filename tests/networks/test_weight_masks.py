"""Masked weights are exactly zero, whatever happens in training."""

import copy
import functools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from skorch import callbacks as skorch_callbacks
from torch import nn

from sklvyso.networks import NetworkClassifier, held_at_zero
from sklvyso.networks._weight_masks import apply_masks


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300].astype(np.float32), y[:300]


def small(**changes):
    parameters = {
        "hidden_layer_sizes": (12,),
        "max_epochs": 2,
        "lr": 0.01,
        "batch_size": 50,
        "input_scale": 1 / 16,
        "random_state": 0,
    }
    return NetworkClassifier(**parameters | changes)


def random_masks(module, density=0.3):
    rng = np.random.RandomState(0)
    return {
        name: rng.rand(*parameter.shape) < density
        for name, parameter in module.named_parameters()
        if name.endswith("weight")
    }


def masked(digits, **changes):
    net = small(**changes).initialize(*digits)
    return net.mask_weights(random_masks(net.module_))


def assert_held(net, masks=None):
    """What is masked is zero, to the bit of the sign, and what is not has moved."""
    masks = net.net_.weight_masks_ if masks is None else masks
    assert masks
    for name, mask in masks.items():
        weight = net.module_.get_parameter(name).detach()
        mask = torch.as_tensor(mask)
        assert not weight[~mask].any(), name
        assert not torch.signbit(weight[~mask]).any(), name
        assert weight[mask].all(), name


def hooks(optimizer):
    return [*optimizer._optimizer_step_post_hooks, *optimizer._optimizer_step_pre_hooks]


class Watch(skorch_callbacks.Callback):
    """Looks at the masked weights after each batch, by skorch's own steps."""

    def on_batch_end(self, net, training, **kwargs):
        for name, mask in net.weight_masks_.items():
            assert not net.module_.get_parameter(name)[~mask].any()


OPTIMIZERS = {
    "adam": {"optimizer": "adam", "weight_decay": 0.1},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "nadam": {"optimizer": "nadam"},
    "radam": {"optimizer": "radam"},
    "adagrad": {"optimizer": "adagrad"},
    "rmsprop": {"optimizer": "rmsprop", "momentum": 0.9},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01},
    "fused": {"optimizer": functools.partial(torch.optim.Adam, fused=True)},
    "plain": {"optimizer": functools.partial(torch.optim.SGD, foreach=False)},
    "lbfgs": {"optimizer": torch.optim.LBFGS, "batch_size": -1, "lr": 0.1},
    "wolfe": {
        "optimizer": functools.partial(
            torch.optim.LBFGS, line_search_fn="strong_wolfe"
        ),
        "batch_size": -1,
    },
}


@pytest.mark.parametrize("callbacks", [None, [Watch()]], ids=["lean", "by skorch"])
@pytest.mark.parametrize("changes", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_masked_weights_stay_zero_under_any_optimizer(digits, changes, callbacks):
    net = masked(digits, callbacks=callbacks, **changes)
    assert_held(net)
    before = copy.deepcopy(net.module_.state_dict())
    net.train(*digits)
    assert_held(net)
    moved = [
        not torch.equal(value, before[key])
        for key, value in net.module_.state_dict().items()
    ]
    assert all(moved)
    net.partial_fit(*digits)
    assert_held(net)
    assert not hooks(net.net_.optimizer_)


def test_zero_weights_alone_would_move(digits):
    """The masks do the work: without them, zeroed weights are trained."""
    net = masked(digits)
    masks = net.net_.weight_masks_
    net.mask_weights(None).train(*digits)
    for name, mask in masks.items():
        assert net.module_.get_parameter(name)[~mask].any()


@pytest.mark.parametrize("callbacks", [None, [Watch()]], ids=["lean", "by skorch"])
def test_training_equals_a_plain_loop_with_masks(digits, callbacks):
    X, y = digits
    net = masked(digits, optimizer="sgd", batch_size=-1, callbacks=callbacks)
    module = copy.deepcopy(net.module_)
    masks = {name: mask.float() for name, mask in net.net_.weight_masks_.items()}
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
    torch.set_rng_state(torch.from_numpy(net._generator_states["cpu"]))
    for _ in range(2):
        order = torch.randperm(len(y))
        optimizer.zero_grad()
        logits = module(torch.from_numpy(X)[order] / 16)
        nn.functional.cross_entropy(logits, torch.from_numpy(y)[order]).backward()
        optimizer.step()
        with torch.no_grad():
            for name, mask in masks.items():
                module.get_parameter(name).mul_(mask)
    trained = net.train(X, y).module_.state_dict()
    for key, value in module.state_dict().items():
        assert torch.equal(trained[key], value), key


def test_masks_that_keep_everything_change_nothing(digits):
    expected = small().fit(*digits)
    net = small().initialize(*digits)
    net.mask_weights(random_masks(net.module_, density=2.0)).train(*digits)
    for key, value in expected.module_.state_dict().items():
        assert torch.equal(net.module_.state_dict()[key], value)


@pytest.mark.parametrize(
    "copy_of",
    [lambda net: pickle.loads(pickle.dumps(net)), copy.deepcopy],
    ids=["pickle", "deepcopy"],
)
def test_copies_hold_their_masks(digits, copy_of):
    again = copy_of(masked(digits).train(*digits))
    assert all(
        mask.dtype == torch.bool and mask.device.type == "cpu"
        for mask in again.net_.weight_masks_.values()
    )
    assert_held(again.train(*digits))


def test_a_warm_start_holds_masks_and_a_fresh_fit_drops_them(digits):
    net = masked(digits, warm_start=True)
    masks = net.net_.weight_masks_
    assert_held(net.fit(*digits))
    assert_held(net.fit(*digits))
    net.set_params(warm_start=False).fit(*digits)
    assert net.net_.weight_masks_ is None
    for name, mask in masks.items():
        assert net.module_.get_parameter(name)[~mask].all()


@pytest.mark.parametrize("nothing", [None, {}])
def test_masks_can_be_lifted_and_replaced(digits, nothing):
    # No unit is dead without ReLU.
    net = masked(digits, module_params={"activation": "identity"}).train(*digits)
    name = "classifier.weight"
    mask = net.net_.weight_masks_[name]
    net.mask_weights({name: ~mask}).train(*digits)
    assert_held(net, {name: ~mask})
    net.mask_weights(nothing).train(*digits)
    assert net.net_.weight_masks_ == {}
    assert net.module_.get_parameter(name).all()


class PressControlC(skorch_callbacks.Callback):
    """Interrupts in the middle of an epoch, between a step and its end."""

    def on_batch_end(self, net, training, **kwargs):
        if len(net.history) == 2:
            with torch.no_grad():
                for parameter in net.module_.parameters():
                    parameter.fill_(1.0)
            raise KeyboardInterrupt


def test_masks_hold_through_an_interrupt(digits):
    net = masked(digits, callbacks=[PressControlC()])
    with pytest.raises(KeyboardInterrupt):
        net.train(*digits)
    assert net.n_iter_ == 1
    assert_held(net)
    assert not hooks(net.net_.optimizer_)


class LoadOldWeights(skorch_callbacks.Callback):
    """Ends a training as a checkpoint with load_best does."""

    def on_train_end(self, net, **kwargs):
        with torch.no_grad():
            for parameter in net.module_.parameters():
                parameter.fill_(1.0)


def test_masks_hold_where_a_callback_loads_weights(digits):
    net = masked(digits, callbacks=[LoadOldWeights()]).train(*digits)
    assert_held(net)


def test_masks_hold_where_early_stopping_goes_back(digits):
    net = masked(digits, early_stopping=True, max_epochs=8, lr=0.3, patience=2)
    net.train(*digits)
    assert net.best_epoch_ < net.n_iter_
    assert_held(net)
    net.train(*digits)
    assert_held(net)


def test_divergence_is_still_seen_and_undone(digits):
    linear = {"activation": "identity"}
    net = masked(digits, optimizer="sgd", module_params=linear).train(*digits)
    proba = net.predict_proba(digits[0])
    with pytest.raises(ValueError, match="Training diverged"):
        net.set_params(lr=1e30).train(*digits)
    np.testing.assert_array_equal(net.predict_proba(digits[0]), proba)
    assert_held(net)


def test_the_masks_of_the_caller_are_copied(digits):
    net = small().initialize(*digits)
    mine = random_masks(net.module_)
    net.mask_weights(mine)
    kept = {name: mask.copy() for name, mask in mine.items()}
    for mask in mine.values():
        mask[:] = True
    assert_held(net.train(*digits), kept)


# -- the numerics ----------------------------------------------------------------------

KINDS = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64]


@settings(deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    shape=st.lists(st.integers(0, 5), max_size=4),
    seed=st.integers(0, 1000),
)
def test_apply_masks_equals_where_and_keeps_all_other_bits(kind, shape, seed):
    rng = np.random.RandomState(seed)
    odd = [np.nan, np.inf, -np.inf, -0.0, 1e-45, -1.5, 3.0]
    values = torch.from_numpy(rng.choice(odd, size=shape)).to(kind)
    mask = torch.from_numpy(np.asarray(rng.rand(*shape) < 0.5))
    module = nn.Module()
    module.weight = nn.Parameter(values.clone())
    apply_masks(module, {"weight": mask})
    expected = torch.where(mask, values, torch.zeros((), dtype=kind))
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[values.element_size()]
    assert torch.equal(module.weight.detach().view(bits), expected.view(bits))


def test_weights_with_other_strides_are_masked_in_place():
    conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    strides = conv.weight.stride()
    mask = torch.rand(conv.weight.shape) < 0.5
    expected = conv.weight.detach() * mask
    apply_masks(conv, {"weight": mask})
    assert torch.equal(conv.weight, expected)
    assert conv.weight.stride() == strides


def test_frozen_and_shared_weights_are_held():
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    module[1].weight = module[0].weight
    frozen = nn.Linear(4, 4).requires_grad_(False)
    module.append(frozen)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, weight_decay=0.1)
    masks = {"0.weight": np.eye(4) > 0, "2.weight": np.eye(4) > 0}
    with held_at_zero(optimizer, module.named_parameters(), masks):
        module(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    off_diagonal = ~torch.eye(4, dtype=torch.bool)
    for layer in module:
        assert not layer.weight[off_diagonal].any()


def test_hooks_are_removed_after_an_error():
    layer = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    mask = torch.tensor([[True, False], [False, True]])

    def failing():
        with held_at_zero(optimizer, layer.named_parameters(), {"weight": mask}):
            assert hooks(optimizer)
            with torch.no_grad():
                layer.weight.fill_(torch.nan)
            raise RuntimeError("from the block")

    with pytest.raises(RuntimeError, match="from the block"):
        failing()
    assert not hooks(optimizer)
    assert torch.equal(layer.weight == 0, ~mask)


def test_lbfgs_does_not_move_masked_weights_within_a_step():
    layer = nn.Linear(3, 1)
    mask = torch.tensor([[True, False, True]])
    optimizer = torch.optim.LBFGS(layer.parameters(), lr=0.5, max_iter=8)
    X, y = (
        torch.randn(20, 3, generator=torch.Generator().manual_seed(0)),
        torch.ones(20),
    )
    seen = []

    def closure():
        optimizer.zero_grad()
        seen.append(layer.weight[0, 1].item())
        loss = ((layer(X)[:, 0] - y * X.sum(1)) ** 2).mean()
        loss.backward()
        return loss

    with held_at_zero(optimizer, dict(layer.named_parameters()), {"weight": mask}):
        optimizer.step(closure=closure)
        optimizer.step(closure)
    assert len(seen) > 3
    assert not any(seen)


def test_no_masks_are_no_hook():
    layer = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    for nothing in (None, {}):
        with held_at_zero(optimizer, layer.named_parameters(), nothing):
            assert not hooks(optimizer)


@pytest.mark.parametrize(
    "masks, error, message",
    [
        ([np.ones((12, 64), bool)], TypeError, "must be a dict of parameter names"),
        ({"w": np.ones(3, bool)}, ValueError, r"Got 'w' instead; there are \['layers"),
        ({"classifier.weight": np.ones((10, 12))}, TypeError, "pass mask != 0"),
        (
            {"classifier.weight": np.ones((12, 10), bool)},
            ValueError,
            r"\(10, 12\). Got",
        ),
    ],
    ids=["list", "unknown name", "float", "transposed"],
)
def test_bad_masks_are_named_and_change_nothing(digits, masks, error, message):
    net = small().initialize(*digits)
    proba = net.predict_proba(digits[0])
    if isinstance(masks, dict):
        masks = {"layers.1.weight": np.zeros((12, 64), bool)} | masks
    with pytest.raises(error, match=message):
        net.mask_weights(masks)
    np.testing.assert_array_equal(net.predict_proba(digits[0]), proba)
    assert net.net_.weight_masks_ is None


def test_lazy_and_wide_parameters_are_named():
    lazy = nn.LazyLinear(2)
    with pytest.raises(ValueError, match="lazy layer: send one batch"):
        apply_masks(lazy, {"weight": np.ones((2, 2), bool)})
    wide = nn.Linear(2, 2, dtype=torch.complex128)
    with pytest.raises(ValueError, match="at most 8 bytes a value"):
        apply_masks(wide, {"weight": np.ones((2, 2), bool)})


@pytest.mark.gpu
def test_masks_hold_on_the_gpu_and_after_a_move(digits):
    for precision in ("float32", "bf16", "fp16"):
        net = masked(digits, device="cuda", precision=precision)
        assert_held(pickle.loads(pickle.dumps(net)).train(*digits))
