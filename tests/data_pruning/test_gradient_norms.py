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

from sklvyso.data_pruning import el2n, grand

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from data_scores import gradient_norms
from gradient_cases import CASES, LAYERWISE, N_CLASSES, OTHERS, Longer, make

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "drop_scorers.npz")
METHODS = ("auto", "layerwise", "vmap", "loop")


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
    monkeypatch.setattr("sklvyso.networks._layer_squares._CHUNK_SIZE", 300)
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
        assert (method == "layerwise" and name in OTHERS) or method == "vmap"
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

    module, X = Failing(), torch.randn(4, 2)
    before = everything(module)
    with pytest.raises(RuntimeError, match="four rows"):
        grand(module, X, [0, 1, 0, 1], method="layerwise")
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


def test_another_path_of_later_rows_is_taken_one_by_one():
    module = Longer().double()
    X, y = torch.randn(9, 5, dtype=torch.float64), torch.arange(9) % N_CLASSES
    X[6] = 20  # the first, the middle and the last row are tried
    expected = gradient_norms(module, X, y)
    np.testing.assert_allclose(grand(module, X, y), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="'body' is called 2 times"):
        grand(module, X, y, method="layerwise")


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["lenet-5", "tied", "recurrent"])
def test_norms_on_the_gpu_are_those_on_the_cpu(name):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    module, X, y = make(name)
    expected = grand(module, X, y)
    module = module.cuda()
    np.testing.assert_allclose(grand(module, X, y), expected, rtol=1e-9)
    np.testing.assert_allclose(grand(module, X.cuda(), y.cuda()), expected, rtol=1e-9)


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
