"""GraNd: autograd one row at a time, golden values, what becomes of the module."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from sklvyso.data_pruning import el2n, grand
from sklvyso.networks import make_network

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from data_scores import gradient_norms

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "drop_scorers.npz")
N_CLASSES = 3
METHODS = ("auto", "layerwise", "vmap", "loop")


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, N_CLASSES)

    def forward(self, x):
        x = self.first(x).relu_()
        x = x + self.norm(self.second(x))
        return self.head(x.relu_().mean((2, 3)))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = (nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3))
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.head(torch.tanh(self.b(torch.tanh(self.a(x)))))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared, self.head = nn.Linear(5, 5), nn.Linear(5, N_CLASSES)

    def forward(self, x):
        return self.head(torch.tanh(self.shared(torch.tanh(self.shared(x)))))


class Functional(nn.Module):
    """Calls a layer once, and uses its weight beside."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(5, 5), nn.Linear(5, N_CLASSES)

    def forward(self, x):
        x = torch.tanh(self.body(x))
        return self.head(torch.tanh(F.linear(x, self.body.weight)))


class Own(nn.Module):
    """Has a parameter outside layers."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 2, 5))
        self.head = nn.Linear(5, N_CLASSES)

    def forward(self, x):
        return self.head(x * self.scale)


class Tokens(nn.Module):
    def __init__(self, **settings):
        super().__init__()
        self.table = nn.Embedding(4, 5, **settings)
        self.body, self.norm = nn.Linear(5, 6), nn.LayerNorm(6)
        self.head = nn.Linear(6, N_CLASSES)

    def forward(self, x):
        x = self.norm(self.body(self.table(x)).relu_())
        return self.head(x.mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.LSTM(5, 4, batch_first=True), nn.Linear(4, N_CLASSES)

    def forward(self, x):
        return self.head(self.body(x)[0][:, -1])


class Branching(nn.Module):
    """Takes another path for some rows."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, N_CLASSES), nn.Linear(5, N_CLASSES)

    def forward(self, x):
        return torch.cat([self.a(r) if r.sum() > 0 else self.b(r) for r in x.split(1)])


class Cut(nn.Module):
    """Computes something that does not reach the logits."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(5, N_CLASSES), nn.Linear(5, 2)

    def forward(self, x):
        self.aside = self.unused(x)
        return self.used(x)


class BatchStatistics(nn.Module):
    """Mixes rows unless they come alone."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(5, 5), nn.Linear(5, N_CLASSES)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x) - x.mean(0)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.TransformerEncoderLayer(6, 2, 8, 0.1, batch_first=True)
        self.head = nn.Linear(6, N_CLASSES)

    def forward(self, x):
        return self.head(self.body(x).mean(1))


def flat(*layers, n):
    return nn.Sequential(*layers, nn.Tanh(), nn.Flatten(), nn.Linear(n, N_CLASSES))


def frozen():
    module = nn.Sequential(
        nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, N_CLASSES)
    )
    module[0].requires_grad_(False)
    module[2].weight.requires_grad_(False)
    module[4].bias.requires_grad_(False)
    return module


def parametrized():
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(5, 6)), nn.Tanh(), nn.Linear(6, 3)
    )


def pruned():
    module = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, N_CLASSES))
    prune.random_unstructured(module[0], "weight", 0.5)
    return module


def doubling_hook():
    module = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, N_CLASSES))
    module[0].register_forward_hook(lambda layer, args, output: output * 2)
    return module


def inplace_mlp():
    return nn.Sequential(
        nn.Linear(5, 8), nn.ReLU(inplace=True), nn.Linear(8, 8), nn.ReLU(inplace=True),
        nn.Linear(8, N_CLASSES),
    )  # fmt: skip


# name: (module, shape of a row); layers that have closed forms
LAYERWISE = {
    "mlp": (lambda: make_network("mlp", (5,), N_CLASSES), (5,)),
    "biasless": (lambda: nn.Sequential(nn.Linear(5, 3, bias=False)), (5,)),
    "inplace relu": (inplace_mlp, (5,)),
    "batch norm": (
        lambda: nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)),
        (5,),
    ),
    "lenet-5": (lambda: make_network("lenet-5", (1, 16, 16), N_CLASSES), (1, 16, 16)),
    "lenet-5 batch norm": (
        lambda: make_network("lenet-5", (1, 16, 16), N_CLASSES, batch_norm=True),
        (1, 16, 16),
    ),
    "vgg16": (lambda: make_network("vgg16", (3, 32, 32), N_CLASSES), (3, 32, 32)),
    "resnet18": (lambda: make_network("resnet18", (3, 8, 8), N_CLASSES), (3, 8, 8)),
    "residual": (Residual, (2, 5, 5)),
    "grouped": (
        lambda: flat(nn.Conv2d(4, 6, 3, groups=2, bias=False), n=54),
        (4, 5, 5),
    ),
    "depthwise": (
        lambda: flat(nn.Conv2d(4, 8, 3, groups=4, padding="same"), n=200),
        (4, 5, 5),
    ),
    "strided and dilated": (
        lambda: flat(
            nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(2, 1), dilation=(1, 2)),
            n=72,
        ),
        (2, 6, 8),
    ),
    "circular": (
        lambda: flat(
            nn.Conv2d(2, 3, (4, 3), padding="same", padding_mode="circular"), n=75
        ),
        (2, 5, 5),
    ),
    "reflected and valid": (
        lambda: flat(
            nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="reflect"),
            nn.Conv2d(3, 3, 3, padding="valid"),
            n=45,
        ),
        (2, 5, 5),
    ),
    "gram convolution": (lambda: flat(nn.Conv2d(20, 30, 3), n=120), (20, 4, 4)),
    "conv1d": (lambda: flat(nn.Conv1d(2, 3, 3, stride=2), n=12), (2, 9)),
    "conv3d": (lambda: flat(nn.Conv3d(2, 3, 2, dilation=(1, 2, 1)), n=36), (2, 3, 4, 4)),
    "strided batch": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 3)), (2, 3)),
    "many positions": (
        lambda: flat(nn.Linear(3, 2), nn.LayerNorm((4, 2)), n=32),
        (4, 4, 3),
    ),
    "few positions": (
        lambda: flat(nn.Linear(9, 8), nn.ReLU(inplace=True), n=16),
        (2, 9),
    ),
    "group norm": (lambda: flat(nn.Conv2d(2, 4, 2), nn.GroupNorm(2, 4), n=64), (2, 5, 5)),
    "tokens": (Tokens, "tokens"),
    "padded tokens": (lambda: Tokens(padding_idx=1), "tokens"),
    "frozen": (frozen, (5,)),
    "cut off": (Cut, (5,)),
    "doubling hook": (doubling_hook, (5,)),
}  # fmt: skip
OTHERS = {
    "tied": (Tied, (5,), "shares a parameter"),
    "called twice": (Twice, (5,), "called 2 times"),
    "functional use": (Functional, (5,), "differs from that of autograd"),
    "own parameter": (Own, (5,), "parameters without a rule"),
    "parametrized": (parametrized, (5,), "without a rule"),
    "pruned": (pruned, (5,), "makes its weight of other"),
    "attention": (Attention, (4, 6), "without a rule"),
    "recurrent": (Recurrent, (4, 5), "without a rule"),
    "branching": (Branching, (5,), "called [23] times|gets 1 rows"),
    "mixing rows": (BatchStatistics, (5,), "differs from that of autograd"),
    "renormalizing": (lambda: Tokens(max_norm=1.0), "tokens", "rescales"),
    "instance norm": (
        lambda: flat(nn.Conv2d(2, 3, 2), nn.InstanceNorm2d(3, affine=True), n=48),
        (2, 5, 5),
        "without a rule",
    ),
}
CASES = LAYERWISE | OTHERS


def make(name, *, dtype=torch.float64, n_rows=7):
    """Return a trained-looking module with rows and labels."""
    torch.manual_seed(0)
    build, shape, *_ = CASES[name]
    module = build()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
        if isinstance(layer, nn.modules.batchnorm._NormBase | nn.LayerNorm):
            nn.init.normal_(layer.weight), nn.init.normal_(layer.bias)
    if shape == "tokens":
        X = torch.randint(4, (n_rows, 6))
    else:
        X = torch.randn(n_rows, *shape, dtype=dtype)
    return module.to(dtype), X, torch.randint(N_CLASSES, (n_rows,))


def everything(module):
    """Describe all that must not change."""
    state = {"rng": torch.get_rng_state()}
    for name, layer in module.named_modules():
        state[name, "attributes"] = {
            key: dict(value) if isinstance(value, dict) else value
            for key, value in vars(layer).items()
        }
        for key, tensor in layer.named_parameters(recurse=False):
            state[name, key] = tensor.detach().clone()
            state[name, key, "flag"] = tensor.requires_grad
            state[name, key, "grad"] = tensor.grad
        for key, tensor in layer.named_buffers(recurse=False):
            state[name, key] = tensor.clone()
    return state


def assert_same(before, after):
    assert before.keys() == after.keys()
    for key, value in before.items():
        if not isinstance(value, torch.Tensor):
            assert value is after[key] or repr(value) == repr(after[key]), key
        else:
            assert torch.equal(value, after[key]), key


@pytest.mark.parametrize("name", CASES)
def test_norms_are_those_of_autograd_one_row_at_a_time(name):
    module, X, y = make(name)
    expected = gradient_norms(module, X, y)
    # Rows that are not multiples of the batches, and one batch.
    for batch_size in (3, 512):
        found = grand(module, X, y, batch_size=batch_size)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("name", LAYERWISE)
def test_closed_forms_apply_and_are_exact(name, monkeypatch):
    monkeypatch.setattr("sklvyso.data_pruning._layer_squares._CHUNK_SIZE", 300)
    module, X, y = make(name)
    found = grand(module, X, y, method="layerwise")
    np.testing.assert_allclose(found, gradient_norms(module, X, y), rtol=1e-9)


@pytest.mark.parametrize("name", OTHERS)
def test_closed_forms_say_why_they_do_not_apply(name):
    module, X, y = make(name)
    reason = OTHERS[name][2]
    with pytest.raises(ValueError, match=f"method='layerwise' does not.*({reason})"):
        grand(module, X, y, method="layerwise")


@pytest.mark.parametrize("name", ["lenet-5", "tied", "parametrized", "attention"])
@pytest.mark.parametrize("method", ["vmap", "loop"])
def test_other_methods_give_the_same(name, method):
    module, X, y = make(name)
    found = grand(module, X, y, method=method, batch_size=4)
    np.testing.assert_allclose(found, gradient_norms(module, X, y), rtol=1e-9)


@pytest.mark.parametrize("name", ["branching", "recurrent"])
def test_vmap_is_refused_where_it_fails_or_is_wrong(name):
    module, X, y = make(name)
    with pytest.raises(ValueError, match="method='vmap' does not apply"):
        grand(module, X, y, method="vmap")


@pytest.mark.parametrize("method", METHODS)
def test_golden_values(method):
    module = nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3)
    )
    names = {"0": "extractor.0", "2": "extractor.3", "4": "classifier"}
    module.load_state_dict(
        OrderedDict(
            (f"{own}.{kind}", torch.from_numpy(GOLDEN[f"w__{name}.{kind}"]))
            for own, name in names.items()
            for kind in ("weight", "bias")
        )
    )
    X, pool = GOLDEN["X"], GOLDEN["al_pool_idx"]
    # The reference works in float32.
    np.testing.assert_allclose(
        grand(module, X, GOLDEN["y"], method=method), GOLDEN["grand_oracle"], rtol=1e-5
    )
    np.testing.assert_allclose(
        grand(module, X[pool], method=method), GOLDEN["al_grand_max"], rtol=1e-5
    )


@pytest.mark.parametrize("method", METHODS)
def test_without_labels_the_mean_over_the_classes_or_the_most_probable(method):
    module, X, _ = make("lenet-5")
    with torch.no_grad():
        proba = module.eval()(X).softmax(1).numpy()
    every = [gradient_norms(module, X, [c] * len(X)) for c in range(N_CLASSES)]
    np.testing.assert_allclose(
        grand(module, X, unlabelled="avg", method=method),
        (proba.T * every).sum(axis=0),
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        grand(module, X, method=method),
        np.array(every)[proba.argmax(1), np.arange(len(X))],
        rtol=1e-9,
    )


def test_linear_classifier_gives_el2n_times_the_norm_of_its_input():
    module, X, y = nn.Linear(5, 4), torch.randn(9, 5), torch.arange(9) % 4
    with torch.no_grad():
        proba = module(X).softmax(1).numpy()
    expected = el2n(proba, y) * np.sqrt((X.numpy() ** 2).sum(axis=1) + 1)
    np.testing.assert_allclose(grand(module, X, y), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["mlp", "lenet-5 batch norm", "residual", "attention"])
def test_float32_is_near_float64(name):
    module, X, y = make(name)
    expected = grand(module, X, y)
    found = grand(module.float(), X.float(), y)
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # float32


@pytest.mark.parametrize("method", METHODS)
def test_rows_the_network_is_sure_of_do_not_underflow(method):
    module = nn.Linear(2, 2, bias=False)
    module.weight.data.copy_(torch.eye(2))
    gap = 80.0  # p = exp(-80), whose square is no float32
    X, y = np.array([[gap, 0.0]]), [0]
    expected = np.sqrt(2) * np.exp(-gap) * gap
    np.testing.assert_allclose(grand(module, X, y, method=method), expected, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["lenet-5 batch norm", "pruned", "renormalizing"])
def test_module_comes_back_as_it_was(name, method):
    module, X, y = make(name)
    module.train()
    next(module.children()).eval()
    first = next(module.parameters())
    first.grad = torch.ones_like(first)
    handle = module.register_forward_hook(lambda layer, args, output: None)
    before = everything(module)
    try:
        grand(module, X, y, method=method)
    except ValueError:
        assert method == "layerwise" and name in OTHERS or method == "vmap"
    assert_same(before, everything(module))
    handle.remove()


def test_module_comes_back_as_it_was_after_an_error():
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(2, 2)
            self.register_buffer("n_calls", torch.zeros(()))
            self.n_failed = 0

        def forward(self, x):
            self.n_calls += 1
            torch.rand(1)
            if len(x) == 4:
                self.n_failed += 1
                raise RuntimeError("four rows")
            return self.body(x)

    module = Failing()
    before = everything(module)
    with pytest.raises(RuntimeError, match="four rows"):
        grand(module, torch.randn(4, 2), [0, 1, 0, 1], method="layerwise")
    assert_same(before, everything(module))


@pytest.mark.parametrize("method", METHODS)
def test_rows_stay_as_they_are(method):
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(3, 2)

        def forward(self, x):
            return self.body(x.mul_(2))

    module = InPlace().double()
    X = torch.randn(6, 3, dtype=torch.float64)
    before, y = X.clone(), [0, 1, 0, 1, 0, 1]
    found = grand(module, X, y, method=method)
    assert torch.equal(X, before)
    np.testing.assert_allclose(found, gradient_norms(module, X, y), rtol=1e-9)
    grand(module, X.numpy(), y, method=method)
    assert torch.equal(X, before)


def test_rows_may_come_as_integers_lists_maps_and_transposed(tmp_path):
    module, _, y = make("lenet-5", dtype=torch.float32)
    X = np.random.RandomState(0).randint(256, size=(7, 1, 16, 16)).astype(np.uint8)
    expected = grand(module, X.astype(np.float32), y)
    np.save(tmp_path / "X.npy", X)
    forms = {
        "uint8": X,
        "map": np.load(tmp_path / "X.npy", mmap_mode="r"),
        "list": X.tolist(),
        "tensor": torch.from_numpy(X),
        "big-endian": X.astype(">f8"),
        "transposed": np.asfortranarray(X),
        "reversed": X[::-1][::-1],
    }
    for form, rows in forms.items():
        np.testing.assert_array_equal(grand(module, rows, y), expected, err_msg=form)
    np.testing.assert_array_equal(grand(module, X, y.numpy()), expected)


def test_gradients_may_be_switched_off_around_it():
    module, X, y = make("lenet-5")
    expected = grand(module, X, y)
    with torch.no_grad():
        np.testing.assert_array_equal(grand(module, X, y), expected)
    with torch.inference_mode():
        np.testing.assert_array_equal(grand(module, X, y), expected)


def test_dead_rows_have_no_gradient():
    module = nn.Sequential(nn.Linear(2, 1), nn.Tanh())
    np.testing.assert_array_equal(grand(module, [[1.0, 2.0]], [0]), [0.0])  # one class


def test_order_of_rows_does_not_matter():
    module, X, y = make("residual")
    order = torch.randperm(len(X))
    np.testing.assert_allclose(
        grand(module, X[order], y[order]), grand(module, X, y)[order], rtol=1e-9
    )


MODULE = nn.Linear(2, 3)
ROWS = np.zeros((4, 2), dtype=np.float32)
LABELS = [0, 1, 2, 0]


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: grand(lambda x: x, ROWS), TypeError, "module must be a torch.nn.Mod"),
        (lambda: grand(nn.ReLU(), ROWS), ValueError, "require a gradient"),
        (lambda: grand(MODULE, ROWS, [0, 1, 2, 3]), ValueError, "between 0 and 2"),
        (lambda: grand(MODULE, ROWS, [0, 1, 2, -1]), ValueError, "Got -1"),
        (lambda: grand(MODULE, ROWS, [0, 1]), ValueError, r"shape \(4,\)"),
        (lambda: grand(MODULE, ROWS, [0.5] * 4), TypeError, "y must hold integers"),
        (lambda: grand(MODULE, ROWS[:0], []), ValueError, "at least one row"),
        (lambda: grand(MODULE, [["a", "b"]]), TypeError, "X must be an array of real"),
        (
            lambda: grand(MODULE, ROWS[:, None], LABELS),
            ValueError,
            r"logits of shape \(n, n_classes\).*gave \(3, 1, 3\)",
        ),
        (lambda: grand(nn.LSTM(2, 3), ROWS, LABELS), ValueError, "gave.*tuple"),
        (lambda: grand(MODULE, ROWS, LABELS, method="x"), ValueError, "Got 'x'"),
        (lambda: grand(MODULE, ROWS, batch_size=0), ValueError, "batch_size must"),
        (lambda: grand(MODULE, ROWS, unlabelled="min"), ValueError, "'max' or 'avg'"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("row", [0, 3, 8])
@pytest.mark.parametrize("method", METHODS)
def test_rows_without_finite_norm_are_named(row, method):
    module, X = copy.deepcopy(MODULE), np.zeros((9, 2))
    X[row, 0] = np.nan
    with pytest.raises(ValueError, match=f"Got nan for row {row} instead"):
        grand(module, X, [0] * 9, method=method, batch_size=2)
