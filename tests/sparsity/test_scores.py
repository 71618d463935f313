"""Scores of weights: golden values, slow references, invariants, errors."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn
from torch.nn.utils import parametrizations, prune

from sklvyso.networks import make_network
from sklvyso.sparsity._data_scores import grasp_scores, mean_gradients, snip_scores
from sklvyso.sparsity._score_arguments import METHODS, labelled_rows
from sklvyso.sparsity._scored_copy import scored_copy
from sklvyso.sparsity._scores import lamp_scores, prune_scores
from sklvyso.sparsity._weights import prunable_weights

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from scores import (
    TINY,
    dense_grasp,
    golden,
    looped_lamp,
    lowest_pruned,
    row_gradients,
    swapped_cross_entropy,
    tiny_data,
    tiny_network,
    weights_of,
)

GOLDEN = golden()
NETS = tuple(TINY)
DATA = ("snip", "snip_iterative", "force", "grasp")
LOSS_SCORES = ("snip", "grasp")


def flat(scores):
    return np.concatenate([array.ravel() for array in scores.values()])


def stored(net, key):
    return np.concatenate(
        [GOLDEN[f"{net}|{key}|{i}"].ravel() for i in range(len(TINY[net]["shapes"]))]
    )


def scored(net, method, **kwargs):
    X, y = tiny_data(net, GOLDEN)
    module = tiny_network(net, GOLDEN)
    return prune_scores(
        module, method, X, y, input_shape=TINY[net]["input"], random_state=0, **kwargs
    )


def cnn(batch_norm=True):
    torch.manual_seed(0)
    norm = [nn.BatchNorm2d(3)] if batch_norm else []
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), *norm, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(0.3), nn.Linear(12, 4),
    )  # fmt: skip


def images(n=10, seed=0):
    random = np.random.RandomState(seed)
    return random.randn(n, 1, 6, 6), random.randint(4, size=n)


# -- golden values and slow references --------------------------------------------


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    ("method", "key"),
    [
        ("magnitude", "magnitude"),
        ("snip", "snip"),
        ("grasp", "grasp_keep"),
        ("synflow", "synflow"),
    ],
)
def test_scores_equal_the_stored_ones(net, method, key):
    scores = scored(net, method)
    expected = stored(net, f"score|{key}")
    np.testing.assert_allclose(
        flat(scores), expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max()
    )
    assert [list(array.shape) for array in scores.values()] == TINY[net]["shapes"]
    assert all(array.dtype == np.float64 for array in scores.values())


@pytest.mark.parametrize("net", NETS)
def test_snip_with_the_swapped_loss_equals_the_papers_code(net):
    network = tiny_network(net, GOLDEN)
    rows = labelled_rows(*tiny_data(net, GOLDEN))
    scores = snip_scores(
        network, weights_of(network), rows, 7, loss=swapped_cross_entropy
    )
    np.testing.assert_allclose(
        flat(scores), stored(net, "score|snip_swapped"), rtol=1e-9, atol=1e-12
    )
    for compression in TINY[net]["compressions"]:
        expected = stored(net, f"refmask|snip|direct|{compression}")
        mask = lowest_pruned(
            scores.values(), int((1 - 1 / compression) * len(expected))
        )
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("method", ["magnitude", "lamp"])
def test_masks_of_weights_alone_equal_the_papers_code(net, method):
    scores = scored(net, method)
    for compression in TINY[net]["compressions"]:
        expected = stored(net, f"refmask|{method}|direct|{compression}")
        mask = lowest_pruned(
            scores.values(), int((1 - 1 / compression) * len(expected))
        )
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("net", NETS)
def test_snip_equals_the_mean_over_single_rows(net):
    network = tiny_network(net, GOLDEN)
    X, y = tiny_data(net, GOLDEN)
    weight = np.linspace(0, 3, len(y))
    gradient = weight @ row_gradients(network, X, y) / weight.sum()
    expected = np.abs(gradient * stored(net, "weight"))
    found = flat(scored(net, "snip", sample_weight=weight, batch_size=5))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("net", NETS)
def test_grasp_equals_the_dense_hessian(net):
    network = tiny_network(net, GOLDEN)
    expected = dense_grasp(network, *tiny_data(net, GOLDEN))
    found = flat(scored(net, "grasp", batch_size=5))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize("temperature", [1.0, 200.0])
def test_grasp_equals_finite_differences_of_the_gradient(temperature):
    network = tiny_network("tinymlp", GOLDEN)
    rows = labelled_rows(*tiny_data("tinymlp", GOLDEN))

    def loss(logits, y):
        return nn.functional.cross_entropy(logits / temperature, y, reduction="none")

    weights = weights_of(network)
    found = flat(grasp_scores(network, weights, rows, 32, temperature=temperature))
    direction = mean_gradients(network, weights, rows, 32, loss=loss)
    step = 1e-5 / max(float(d.abs().max()) for d in direction)
    ends = []
    for sign in (1, -1):
        moved = {
            name: (w.detach() + sign * step * d).requires_grad_()
            for (name, w), d in zip(weights.items(), direction, strict=True)
        }
        ends.append(mean_gradients(network, moved, rows, 32, loss=loss))
    expected = np.concatenate(
        [
            (w.detach() * (a - b) / (2 * step)).numpy().ravel()
            for w, a, b in zip(weights.values(), *ends, strict=True)
        ]
    )
    # Central differences leave an error of the order of the squared step, and rounding
    # over the step.
    np.testing.assert_allclose(
        found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
    )


# -- invariants --------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.randoms(use_true_random=False))
@pytest.mark.parametrize("method", LOSS_SCORES)
def test_batches_and_order_of_rows_do_not_matter(method, batch_size, random):
    X, y = tiny_data("tinyconv", GOLDEN)
    weight = np.arange(1.0, len(y) + 1)
    module = tiny_network("tinyconv", GOLDEN)
    whole = flat(prune_scores(module, method, X, y, sample_weight=weight))
    rows = list(range(len(y)))
    random.shuffle(rows)
    pieces = prune_scores(
        module, method, X[rows], y[rows],
        sample_weight=weight[rows], batch_size=batch_size,
    )  # fmt: skip
    np.testing.assert_allclose(
        flat(pieces), whole, rtol=1e-9, atol=1e-12 * np.abs(whole).max()
    )


@pytest.mark.parametrize("method", LOSS_SCORES)
def test_weighted_rows_are_repeated_rows(method):
    X, y = tiny_data("tinyconv", GOLDEN)
    counts = np.arange(len(y)) % 3
    module = tiny_network("tinyconv", GOLDEN)
    weighted = flat(prune_scores(module, method, X, y, sample_weight=counts))
    rows = np.repeat(np.arange(len(y)), counts)
    repeated = flat(prune_scores(module, method, X[rows], y[rows], batch_size=6))
    np.testing.assert_allclose(
        weighted, repeated, rtol=1e-9, atol=1e-12 * np.abs(repeated).max()
    )


def test_snip_ratios_do_not_depend_on_the_scale_of_the_loss():
    network = tiny_network("tinyconv", GOLDEN)
    rows = labelled_rows(*tiny_data("tinyconv", GOLDEN))
    plain = flat(snip_scores(network, weights_of(network), rows, 32))

    def scaled(logits, y):
        return 1000 * nn.functional.cross_entropy(logits, y, reduction="none")

    large = flat(snip_scores(network, weights_of(network), rows, 32, loss=scaled))
    np.testing.assert_allclose(large / large.sum(), plain / plain.sum(), rtol=1e-9)


LAYERS = arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    elements=st.integers(-4, 4).map(float) | st.floats(-3, 3),
)


@settings(deadline=None)
@given(LAYERS.filter(lambda w: np.abs(w).max() > 1e-100))
def test_lamp_equals_its_definition(weight):
    np.testing.assert_allclose(
        lamp_scores(weight), looped_lamp(weight), rtol=1e-9, atol=1e-300
    )


@settings(deadline=None)
@given(LAYERS)
def test_lamp_gives_one_to_the_last_of_the_largest_and_keeps_the_order(weight):
    scores = lamp_scores(weight).ravel()
    magnitudes = np.abs(weight.ravel())
    largest = np.flatnonzero(magnitudes == magnitudes.max())[-1]
    assert scores[largest] == 1.0
    assert np.isfinite(scores).all() and (scores >= 0).all()
    order = np.argsort(magnitudes, kind="stable")
    assert (np.diff(scores[order]) >= 0).all()


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e150])
def test_lamp_does_not_depend_on_the_scale_of_the_layer(scale):
    weight = np.random.default_rng(0).normal(size=(4, 5))
    np.testing.assert_allclose(lamp_scores(weight * scale), lamp_scores(weight))


def test_lamp_of_zeros_is_that_of_equal_weights():
    expected = [1 / 4, 1 / 3, 1 / 2, 1]
    np.testing.assert_allclose(lamp_scores(np.zeros(4)), expected)
    np.testing.assert_allclose(lamp_scores(np.full(4, -0.7)), expected)


def test_random_scores_are_uniform_and_follow_the_seed():
    module = nn.Sequential(nn.Linear(100, 50), nn.Linear(50, 10))
    first, again, other = (
        prune_scores(module, "random", random_state=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(flat(first), flat(again))
    assert (flat(first) != flat(other)).all()
    assert flat(first).min() >= 0 and flat(first).max() < 1
    # Standard error of the mean of 5500 numbers is 0.004.
    assert abs(flat(first).mean() - 0.5) < 0.02


# -- the user's module -------------------------------------------------------------


class Recorder:
    """A forward hook that holds no tensor."""

    def __init__(self):
        self.n_calls = 0

    def __call__(self, module, inputs, output):
        self.n_calls += 1


def state_of(module):
    return {
        "values": {n: v.clone() for n, v in module.state_dict().items()},
        "grads": {
            n: None if p.grad is None else p.grad.clone()
            for n, p in module.named_parameters()
        },
        "requires": {n: p.requires_grad for n, p in module.named_parameters()},
        "modes": {n: m.training for n, m in module.named_modules()},
        "hooks": {n: list(m._forward_hooks) for n, m in module.named_modules()},
        "identity": {n: id(p) for n, p in module.named_parameters()},
        "random": torch.random.get_rng_state(),
    }


def assert_same(before, after):
    assert before.keys() == after.keys()
    for key, old in before.items():
        new = after[key]
        if isinstance(old, dict):
            assert_same(old, new)
        elif isinstance(old, torch.Tensor):
            assert torch.equal(old, new), key
        else:
            assert old == new, key


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("method", METHODS)
def test_module_comes_back_untouched(method, training):
    module = cnn().train(training)
    module[1].eval()
    X, y = images()
    loss = nn.functional.cross_entropy(
        module(torch.as_tensor(X).float()), torch.as_tensor(y)
    )
    loss.backward()
    module[0].weight.requires_grad_(False)
    hook = Recorder()
    module[0].register_forward_hook(hook)
    before = state_of(module)
    prune_scores(
        module, method, X, y, input_shape=(1, 6, 6), random_state=0,
        sparsity=0.5, batch_size=4,
    )  # fmt: skip
    assert_same(before, state_of(module))
    assert hook.n_calls == 0


def test_dropout_follows_the_seed_and_statistics_the_mode():
    module, (X, y) = cnn(), images()
    first, again, other = (
        flat(prune_scores(module, "snip", X, y, random_state=seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    evaluated = flat(prune_scores(module.eval(), "snip", X, y))
    by_row = flat(prune_scores(module, "snip", X, y, batch_size=1))
    # Sums of float32 in another order.
    np.testing.assert_allclose(evaluated, by_row, rtol=1e-4, atol=1e-7)


def test_training_mode_takes_statistics_of_batches_and_leaves_none_of_one_row():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    random = np.random.RandomState(0)
    X, y = random.randn(9, 3), random.randint(2, size=9)
    assert np.isfinite(flat(prune_scores(module, "snip", X, y, batch_size=4))).all()


@pytest.mark.parametrize("method", ["magnitude", "snip", "grasp", "synflow"])
def test_masks_of_torch_are_worked_in(method):
    module = cnn(batch_norm=False).eval()
    X, y = images()
    masked = copy.deepcopy(module)
    prune.random_unstructured(masked[0], "weight", 10)
    masked(torch.as_tensor(X).float())
    plain = copy.deepcopy(module)
    with torch.no_grad():
        plain[0].weight *= masked[0].weight_mask
    a, b = (
        prune_scores(m, method, X, y, input_shape=(1, 6, 6)) for m in (masked, plain)
    )
    assert a.keys() == b.keys() == prunable_weights(masked).keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    assert prune.is_pruned(masked)


@pytest.mark.parametrize("others", [(), ("bias",)], ids=["weight", "weight-and-bias"])
def test_parametrised_weights_score_as_their_values(others):
    module = cnn(batch_norm=False).eval()
    X, y = images()
    plain = prune_scores(module, "snip", X, y)
    for name in ("weight", *others):
        parametrizations.weight_norm(module[0], name)
    rows = torch.as_tensor(X).float()
    before, output = state_of(module), module(rows)
    found = prune_scores(module, "snip", X, y)
    for name in plain:
        # The value is computed from direction and length, in float32.
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-4, atol=1e-7)
    assert_same(before, state_of(module))
    # The class of a parametrised layer is made for it, and deepcopy shares it.
    assert torch.equal(module(rows), output)


def test_spectral_norm_does_not_move_on():
    module = cnn(batch_norm=False)
    parametrizations.spectral_norm(module[0])
    # Its estimate is of other weights now, so that one more step would show.
    module[0].parametrizations.weight.original.data.normal_()
    before = state_of(module)
    scores = prune_scores(module, "magnitude")
    assert_same(before, state_of(module))
    expected = module.eval()[0].weight.detach().abs().numpy()
    # The same product of float32, in eval mode.
    np.testing.assert_allclose(scores["0.weight"], expected, rtol=1e-6)


def test_read_only_and_reversed_rows_are_taken():
    module, (X, y) = cnn(batch_norm=False).eval(), images()
    expected = flat(prune_scores(module, "snip", X, y))
    X.setflags(write=False)
    np.testing.assert_array_equal(flat(prune_scores(module, "snip", X, y)), expected)
    found = flat(prune_scores(module, "snip", X[::-1], y[::-1]))
    # Sums of float32 in another order.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_weights_of_hooks_are_refused():
    module = cnn()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(module[0])
    with pytest.raises(ValueError, match=r"The weight of '0' is computed by a hook"):
        scored_copy(module)


def test_shared_weights_collect_the_gradients_of_all_uses():
    torch.manual_seed(0)
    first, second = nn.Linear(3, 3).double(), nn.Linear(3, 3).double()
    second.weight = first.weight
    module = nn.Sequential(first, nn.Tanh(), second)
    random = np.random.RandomState(0)
    X, y = random.randn(8, 3), random.randint(3, size=8)
    scores = prune_scores(module, "snip", X, y)
    loss = nn.functional.cross_entropy(module(torch.as_tensor(X)), torch.as_tensor(y))
    loss.backward()
    expected = (first.weight * first.weight.grad).abs().detach().numpy()
    assert list(scores) == ["0.weight"]
    np.testing.assert_allclose(scores["0.weight"], expected, rtol=1e-9)


def test_frozen_half_precision_and_autograd_turned_off():
    module, (X, y) = cnn(batch_norm=False).eval().requires_grad_(False), images()
    plain = flat(prune_scores(module, "snip", X, y))
    for off in (torch.no_grad, torch.inference_mode):
        with off():
            np.testing.assert_array_equal(
                plain, flat(prune_scores(module, "snip", X, y))
            )
    half = flat(prune_scores(module.bfloat16(), "snip", X, y))
    np.testing.assert_array_equal(
        half, flat(prune_scores(module.float(), "snip", X, y))
    )


def test_excluded_weights_get_no_score_but_take_part():
    X, y = tiny_data("tinyconv", GOLDEN)
    module = tiny_network("tinyconv", GOLDEN)
    for method in ("snip", "synflow"):
        whole = prune_scores(module, method, X, y)
        part = prune_scores(module, method, X, y, exclude=("9",))
        assert list(part) == list(whole)[:-1]
        for name in part:
            np.testing.assert_allclose(part[name], whole[name], rtol=1e-9, atol=1e-15)


def test_whole_numbers_are_taken_as_they_are():
    module, (X, y) = cnn(batch_norm=False).eval(), images()
    pixels = np.clip(128 + 40 * X, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(
        flat(prune_scores(module, "snip", pixels, y)),
        flat(prune_scores(module, "snip", pixels.astype(np.float32), y)),
    )


def test_tensors_arrays_and_lists_score_alike():
    module, (X, y) = cnn(batch_norm=False).eval(), images()
    expected = flat(prune_scores(module, "snip", X, y))
    for kind in (torch.as_tensor, np.ndarray.tolist):
        np.testing.assert_array_equal(
            flat(prune_scores(module, "snip", kind(X), kind(y))), expected
        )


# -- callables ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dict", "list", "tensors"])
def test_callable_scores_are_taken(kind):
    module, (X, y) = cnn(), images()

    def score(network, rows, labels):
        assert network is not module and rows is X and labels is y
        network[0].weight.data.zero_()
        arrays = {"6.weight": np.ones((4, 12)), "0.weight": np.full((3, 1, 3, 3), 2)}
        if kind == "tensors":
            return {name: torch.tensor(array) for name, array in arrays.items()}
        return arrays if kind == "dict" else list(arrays.values())[::-1]

    before = state_of(module)
    scores = prune_scores(module, score, X, y)
    assert_same(before, state_of(module))
    assert (scores["6.weight"] == 1).all() and (scores["0.weight"] == 2).all()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([np.ones((3, 1, 3, 3))], r"list of 2 arrays.* It returned list of 1\."),
        (np.ones(3), r"list of 2 arrays.* It returned ndarray\."),
        ({"0.weight": np.ones((3, 1, 3, 3))}, r"scores for \['0.weight', '6.weight'\]"),
        ([np.ones((3, 3)), np.ones((4, 12))], r"'0.weight' have \(3, 3\)"),
        (
            [np.full((3, 1, 3, 3), np.nan), np.ones((4, 12))],
            r"Those of '0.weight' hold",
        ),
    ],
    ids=["short", "array", "names", "shape", "nan"],
)
def test_unfit_returns_of_callables_are_refused(returned, message):
    with pytest.raises(ValueError, match=message):
        prune_scores(cnn(), lambda module, X, y: returned)


# -- errors ------------------------------------------------------------------------


@pytest.mark.parametrize("method", DATA)
@pytest.mark.parametrize("missing", ["X", "y"])
def test_missing_data_is_named(method, missing):
    X, y = images()
    data = {"X": X, "y": y} | {missing: None}
    with pytest.raises(ValueError, match=f"needs X and y. {missing} must not be None"):
        prune_scores(cnn(), method, **data)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "snap"}, ValueError, r"method must be one of \['random', .*'snap'"),
        ({"method": 3}, TypeError, r"or a callable. Got 3 instead"),
        ({"method": "synflow", "X": None}, ValueError, "needs input_shape"),
        ({"y": np.arange(9)}, ValueError, r"Got \(10, 1, 6, 6\) and \(9,\)"),
        (
            {"y": np.full(10, 4)},
            ValueError,
            "indices of the 4 outputs .* Got 4 instead",
        ),
        ({"y": np.full(10, -1)}, ValueError, r"whole numbers >= 0. Got \[-1\]"),
        ({"y": np.full(10, 0.5)}, ValueError, r"whole numbers >= 0. Got \[0.5\]"),
        ({"y": np.full(10, "a")}, ValueError, "encode labels first"),
        ({"X": np.full((10, 1, 6, 6), np.inf)}, ValueError, "X must hold finite"),
        ({"sample_weight": np.ones(3)}, ValueError, r"shape \(10,\).* Got \(3,\)"),
        ({"sample_weight": -np.ones(10)}, ValueError, "finite numbers >= 0, not all 0"),
        ({"sample_weight": np.zeros(10)}, ValueError, "finite numbers >= 0, not all 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1. Got 0"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an int"),
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1. Got 0"),
        (
            {"sparsity": 1.5},
            ValueError,
            "sparsity must be None or from 0 to 1. Got 1.5",
        ),
        (
            {"sparsity": float("nan")},
            ValueError,
            "sparsity must be None or from 0 to 1",
        ),
        ({"n_iterations": 5}, ValueError, r"'auto' or 1 for method='snip'"),
        ({"n_iterations": "many"}, TypeError, "n_iterations must be an int"),
        (
            {"method": "force", "n_iterations": 5},
            ValueError,
            "n_iterations=5 must come with sparsity",
        ),
        ({"exclude": ("9",)}, ValueError, "'9' matches none"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_errors_name_argument_and_mend(arguments, error, message):
    X, y = images()
    given_arguments = {"method": "snip", "X": X, "y": y} | arguments
    with pytest.raises(error, match=message):
        prune_scores(cnn(batch_norm=False), **given_arguments)


def test_weights_that_are_no_numbers_name_their_layer():
    module = cnn()
    module[6].weight.data[0, 0] = float("nan")
    for method in METHODS:
        with pytest.raises(ValueError, match=r"'6.weight' holds NaN"):
            prune_scores(module, method, *images(), input_shape=(1, 6, 6))


@pytest.mark.parametrize("method", DATA)
def test_scores_that_are_no_numbers_name_their_layer(method):
    module = cnn(batch_norm=False).eval()
    module[-1].bias.data[0] = float("nan")
    with pytest.raises(ValueError, match=r"Those of '0.weight' hold NaN"):
        prune_scores(module, method, *images(), sparsity=0.5)


def test_logits_are_asked_for():
    with pytest.raises(ValueError, match=r"logits of shape \(n, n_outputs\). It gave"):
        prune_scores(nn.Conv2d(1, 2, 3), "snip", *images())


def test_bar_stays_within_80_columns(capsys):
    X, y = images()
    module = cnn(batch_norm=False)
    prune_scores(module, "grasp", X, y, verbose=1, batch_size=3)
    prune_scores(module, "snip_iterative", X, y, verbose=1, sparsity=0.5)
    lines = capsys.readouterr().err.replace("\n", "\r").split("\r")
    assert any("4/4 batches" in line for line in lines)
    assert any("300/300 iterations" in line for line in lines)
    assert max(map(len, lines)) <= 80
    prune_scores(module, "grasp", X, y)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["lenet-5", "resnet18"])
@pytest.mark.parametrize("method", ["snip", "grasp", "synflow"])
def test_networks_of_the_package_score(name, method):
    torch.manual_seed(0)
    module = make_network(
        name, (3, 32, 32), 10, **({"width": 4} if name == "resnet18" else {})
    )
    X = torch.randn(8, 3, 32, 32)
    scores = prune_scores(module, method, X, torch.arange(8))
    assert list(scores) == list(prunable_weights(module))
    assert all(array.any() for array in scores.values())


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
def test_scores_on_the_gpu_equal_those_on_the_cpu(method):
    module, (X, y) = cnn().double().eval(), images()
    here, there = (
        prune_scores(
            module, method, X, y, input_shape=(1, 6, 6), random_state=0, device=device
        )
        for device in ("cpu", "cuda")
    )
    assert next(module.parameters()).device.type == "cpu"
    for name in here:
        np.testing.assert_allclose(there[name], here[name], rtol=1e-6, atol=1e-12)
