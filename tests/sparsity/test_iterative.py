"""Iterative pruners: stored masks, slow references, orders, depth."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from sklvyso.networks import make_network
from sklvyso.sparsity._data_scores import mean_gradients, snip_scores
from sklvyso.sparsity._iterative import (
    FlatWeights,
    flow_gradients,
    force_scores,
    iterative_ranks,
    lowest,
    pruned_counts,
    synflow_scores,
)
from sklvyso.sparsity._score_arguments import labelled_rows
from sklvyso.sparsity._scores import prune_scores

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from scores import (
    TINY,
    LinearTwin,
    golden,
    lowest_pruned,
    sorted_snip_mask,
    sorted_synflow_mask,
    swapped_cross_entropy,
    tiny_data,
    tiny_network,
    weights_of,
)

GOLDEN = golden()
NETS = tuple(TINY)
CASES = [(net, c) for net in NETS for c in TINY[net]["compressions"]]


def flat(scores):
    return np.concatenate([array.ravel() for array in scores.values()])


def stored(net, key):
    return np.concatenate(
        [GOLDEN[f"{net}|{key}|{i}"].ravel() for i in range(len(TINY[net]["shapes"]))]
    )


def mlp(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)
    ).double()


def rows_of(n=12, seed=0):
    random = np.random.RandomState(seed)
    return random.randn(n, 6), random.randint(3, size=n)


# -- SynFlow -----------------------------------------------------------------------


@pytest.mark.parametrize(("net", "compression"), CASES)
def test_synflow_masks_equal_the_stored_ones(net, compression):
    sparsity = 1 - 1 / compression
    ranks = prune_scores(
        tiny_network(net, GOLDEN),
        "synflow",
        input_shape=TINY[net]["input"],
        sparsity=sparsity,
    )
    expected = stored(net, f"synflow100|{compression}")
    mask = lowest_pruned(ranks.values(), int(sparsity * len(expected)))
    np.testing.assert_array_equal(mask, expected)
    # The paper's code computes in float32: near ties may fall the other way.
    reference = stored(net, f"refmask|synflow|direct|{compression}")
    allowed = TINY[net]["agree"][str(compression)]["synflow_vs_own"]
    assert (mask != reference).sum() == allowed


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("sparsity", [0.3, 0.9, 0.97])
def test_synflow_equals_full_sorts(sparsity, seed):
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.MaxPool2d(2),
        nn.Conv2d(6, 5, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(20, 4),
    )  # fmt: skip
    weights = {n: w for n, w in weights_of(module).items() if w.ndim > 1}
    ranks = prune_scores(
        module, "synflow", input_shape=(2, 8, 8), sparsity=sparsity, n_iterations=20
    )
    twin = LinearTwin(module, (2, 8, 8))
    expected = sorted_synflow_mask(twin, weights, sparsity, 20)
    mask = lowest_pruned(ranks.values(), int((~expected).sum()))
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("name", ["mlp", "lenet-5", "vgg16"])
def test_synflow_of_each_layer_sums_to_the_flow(name):
    torch.manual_seed(0)
    options = {"width_multiplier": 0.05} if name == "vgg16" else {}
    shape = (3, 32, 32) if name != "mlp" else (6,)
    module = make_network(name, shape, 5, **options)
    scores = prune_scores(module, "synflow", input_shape=shape)
    sums = [array.sum() for array in scores.values()]
    assert len(sums) > 1 and sums[0] > 0
    np.testing.assert_allclose(sums, sums[0], rtol=1e-9)
    assert all((array >= 0).all() for array in scores.values())


def test_synflow_ranking_does_not_depend_on_the_scale_of_a_layer():
    module = mlp()
    options = {"input_shape": (6,), "sparsity": 0.9}
    one, steps = (
        flat(prune_scores(module, "synflow", **(options | extra)))
        for extra in ({"sparsity": None}, {})
    )
    with torch.no_grad():
        # A power of two, so that no rounding differs.
        module[2].weight *= 2.0**-20
    scaled = flat(prune_scores(module, "synflow", input_shape=(6,)))
    np.testing.assert_allclose(scaled * 2.0**20, one, rtol=1e-12)
    np.testing.assert_array_equal(
        flat(prune_scores(module, "synflow", **options)), steps
    )


def test_synflow_does_not_look_at_data_signs_or_biases():
    module = mlp()
    expected = flat(prune_scores(module, "synflow", input_shape=(6,)))
    X, y = rows_of()
    np.testing.assert_array_equal(flat(prune_scores(module, "synflow", X, y)), expected)
    with torch.no_grad():
        module[0].weight.neg_()
        module[2].bias.fill_(7.0)
    found = flat(prune_scores(module, "synflow", input_shape=(6,)))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [1e-12, 1e12], ids=["vanishing", "exploding"])
def test_synflow_survives_depths_beyond_float64(size):
    """Forty layers of weights around 1e-12 or 1e12: the flow is 1e-480 or 1e480."""
    torch.manual_seed(0)
    plain = nn.Sequential(*(nn.Linear(4, 4) for _ in range(40))).double()
    with torch.no_grad():
        for layer in plain:
            layer.weight.uniform_(0.1, 0.5)
    options = {"input_shape": (4,), "sparsity": 0.5, "n_iterations": 10}
    expected = flat(prune_scores(plain, "synflow", **options))
    with torch.no_grad():
        for layer in plain:
            layer.weight *= size
    found = flat(prune_scores(plain, "synflow", **options))
    agreement = np.corrcoef(found, expected)[0, 1]
    # Near ties may fall the other way, and later steps follow.
    assert agreement > 0.999


def test_rescaled_flow_is_one_factor_times_the_plain_flow():
    torch.manual_seed(0)
    module = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(30))).double()
    twin = LinearTwin(module, (4,))
    plain = flat(synflow_scores(twin, weights_of(module)))
    with torch.no_grad():
        for layer in module:
            layer.weight *= 1e-15
    rescaled = flat(synflow_scores(twin, weights_of(module)))
    assert np.isfinite(rescaled).all() and rescaled.min() > 0
    np.testing.assert_allclose(
        rescaled / rescaled.sum(), plain / plain.sum(), rtol=1e-9
    )


class Bypass(nn.Module):
    """A branch beside an identity, between two layers."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False)
        self.blocks = nn.ModuleList(nn.Linear(3, 3, bias=False) for _ in range(depth))
        self.last = nn.Linear(3, 2, bias=False)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


def test_layers_beside_an_identity_are_not_rescaled():
    torch.manual_seed(0)
    module = Bypass(3).double()
    plain = flat(prune_scores(module, "synflow", input_shape=(3,)))
    with torch.no_grad():
        module.first.weight *= 1e-150
        module.last.weight *= 1e-150
    rescaled = flat(prune_scores(module, "synflow", input_shape=(3,)))
    np.testing.assert_allclose(
        rescaled / rescaled.sum(), plain / plain.sum(), rtol=1e-9
    )


def test_flow_beyond_float64_beside_an_identity_is_refused():
    torch.manual_seed(0)
    module = Bypass(60).double()
    with torch.no_grad():
        for block in module.blocks:
            block.weight.fill_(1e12)
    with pytest.raises(ValueError, match="SynFlow must be within float64"):
        prune_scores(module, "synflow", input_shape=(3,))


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_network_without_a_path_scores_zero(depth):
    module = nn.Sequential(*(nn.Linear(3, 3) for _ in range(depth)))
    with torch.no_grad():
        module[-1].weight.zero_()
    scores = flat(prune_scores(module, "synflow", input_shape=(3,)))
    np.testing.assert_array_equal(scores, 0)


def test_flow_gradients_reach_weights_that_the_flow_leaves_out():
    weights = {"a": torch.ones(2, 2, requires_grad=True)}
    weights["b"] = torch.ones(3, requires_grad=True)

    class Twin:
        def total(self, weights):
            return weights["a"].sum()

    gradients = flow_gradients(Twin(), weights)
    np.testing.assert_array_equal(gradients[0], 1)
    np.testing.assert_array_equal(gradients[1], 0)


# -- iterative SNIP and FORCE ------------------------------------------------------


@pytest.mark.parametrize("net", NETS)
def test_iterative_snip_equals_the_papers_code(net):
    """The papers' code sorts unstably, and took the last of equal scores first."""
    network = tiny_network(net, GOLDEN)
    weights, rows = weights_of(network), labelled_rows(*tiny_data(net, GOLDEN))

    def gradients(masked):
        return mean_gradients(network, masked, rows, 32, loss=swapped_cross_entropy)

    expected = stored(net, "refmask|itersnip|direct|2")
    n_pruned = len(expected) // 2
    last = sorted_snip_mask(gradients, weights, n_pruned, 0.5, 300, "last")
    np.testing.assert_array_equal(last, expected)
    parts = FlatWeights(weights)
    counts = pruned_counts(len(expected), 0.5, 300)
    ranks = iterative_ranks(lambda: gradients(parts.parts), parts, counts)
    first = sorted_snip_mask(gradients, weights, n_pruned, 0.5, 300, "first")
    np.testing.assert_array_equal(lowest_pruned(ranks.values(), n_pruned), first)


def test_iterative_snip_through_the_front_equals_full_sorts():
    module, (X, y) = mlp(), rows_of()
    rows = labelled_rows(X, y)
    weights = weights_of(module)

    def gradients(masked):
        return mean_gradients(module, masked, rows, 128)

    total = sum(w.numel() for w in weights.values())
    expected = sorted_snip_mask(gradients, weights, int(0.8 * total), 0.8, 25, "first")
    ranks = prune_scores(module, "snip_iterative", X, y, sparsity=0.8, n_iterations=25)
    mask = lowest_pruned(ranks.values(), int(0.8 * total))
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("method", ["snip_iterative", "force", "synflow"])
def test_one_iteration_orders_as_the_scores(method):
    module, (X, y) = mlp(), rows_of()
    once = flat(prune_scores(module, method, X, y))
    one_step = flat(prune_scores(module, method, X, y, sparsity=0.5, n_iterations=1))
    np.testing.assert_array_equal(
        np.argsort(once, kind="stable"), np.argsort(one_step, kind="stable")
    )
    simple = "synflow" if method == "synflow" else "snip"
    np.testing.assert_array_equal(once, flat(prune_scores(module, simple, X, y)))


@pytest.mark.parametrize("method", ["snip_iterative", "force"])
def test_rows_of_each_step_follow_the_seed(method):
    module, (X, y) = mlp(), rows_of(40)
    options = {"sparsity": 0.8, "n_iterations": 5, "n_samples": 8}
    first, again, other, whole = (
        flat(prune_scores(module, method, X, y, **(options | extra)))
        for extra in (
            {"random_state": 0},
            {"random_state": 0},
            {"random_state": 1},
            {"n_samples": 40},
        )
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and (first != whole).any()


def test_each_step_draws_its_own_rows_without_replacement():
    rows = labelled_rows(np.arange(20.0)[:, None], np.zeros(20, dtype=int))
    random = np.random.RandomState(0)
    one, two = (rows.sample(8, random) for _ in range(2))
    assert len(set(one.X.ravel().tolist())) == 8
    assert one.X.ravel().tolist() != two.X.ravel().tolist()
    np.testing.assert_allclose(one.weight.sum(), 1)
    assert rows.sample(20, random) is rows


def test_force_scores_original_weights_at_the_mask():
    module, rows = mlp(), labelled_rows(*rows_of())
    weights = weights_of(module)
    counts = pruned_counts(sum(w.numel() for w in weights.values()), 0.9, 6)
    mask = {name: torch.ones_like(w) for name, w in weights.items()}
    for count in counts:
        masked = {
            name: (w.detach() * mask[name]).requires_grad_()
            for name, w in weights.items()
        }
        gradients = mean_gradients(module, masked, rows, 64)
        expected = [
            (w.detach() * g).abs().numpy()
            for w, g in zip(weights.values(), gradients, strict=True)
        ]
        kept = torch.from_numpy(lowest_pruned(expected, count).astype(float))
        pieces = kept.split([w.numel() for w in weights.values()])
        mask = {
            name: piece.view(w.shape)
            for (name, w), piece in zip(weights.items(), pieces, strict=True)
        }
    parts = FlatWeights(weights)
    found = force_scores(
        lambda: mean_gradients(module, parts.parts, rows, 64), parts, counts
    )
    for array, reference in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(array, reference)
    for name, part in parts.parts.items():
        np.testing.assert_array_equal(part.detach() != 0, mask[name] != 0)


def test_force_lets_weights_return():
    """One weight is pruned first and scores highest at the mask that follows."""
    parts = FlatWeights({"a": torch.tensor([1.0, 2.0, 3.0])})
    slopes = iter([[1.0, 1.0, 1.0], [9.0, 1.0, 1.0]])
    scores = force_scores(lambda: [torch.tensor(next(slopes))], parts, [1, 1])
    np.testing.assert_array_equal(scores["a"], [9, 2, 3])
    np.testing.assert_array_equal(parts.values, [1, 0, 3])


def test_iterative_snip_never_lets_weights_return():
    parts = FlatWeights({"a": torch.tensor([1.0, 2.0, 3.0])})
    slopes = iter([[1.0, 1.0, 1.0], [9.0, 9.0, 1.0]])
    ranks = iterative_ranks(lambda: [torch.tensor(next(slopes))], parts, [1, 2])
    np.testing.assert_array_equal(ranks["a"], [0, 2, 1])


# -- orders ------------------------------------------------------------------------


def test_ranks_keep_the_order_of_scores_of_very_different_size():
    """Step plus normalised score would make the first two equal, and out of order."""
    parts = FlatWeights({"a": torch.tensor([2e-30, 1e-30, 1.0, 5.0]).double()})
    ranks = iterative_ranks(lambda: [torch.ones(4)], parts, [3])
    np.testing.assert_array_equal(ranks["a"], [1, 0, 2, 3])


@settings(deadline=None)
@given(
    arrays(
        np.float64,
        st.integers(1, 40),
        elements=st.sampled_from([0.0, 1.0, 1.0 + 1e-15]) | st.floats(0, 1e300),
    ),
    st.data(),
)
def test_lowest_equals_a_stable_sort(scores, data):
    n_lowest = data.draw(st.integers(0, len(scores)))
    expected = np.zeros(len(scores), dtype=bool)
    expected[np.argsort(scores, kind="stable")[:n_lowest]] = True
    np.testing.assert_array_equal(lowest(scores, n_lowest), expected)


@settings(deadline=None)
@given(
    arrays(np.float64, st.integers(2, 30), elements=st.integers(0, 4).map(float)),
    st.floats(0, 1),
    st.integers(1, 12),
)
def test_ranks_are_a_permutation_that_respects_the_steps(scores, sparsity, steps):
    parts = FlatWeights({"a": torch.from_numpy(scores)})
    counts = pruned_counts(len(scores), sparsity, steps)
    ranks = iterative_ranks(lambda: [torch.ones(len(scores))], parts, counts)["a"]
    np.testing.assert_array_equal(np.sort(ranks), np.arange(len(scores)))
    # Constant gradients: the order is that of one stable sort.
    expected = np.argsort(scores, kind="stable")
    np.testing.assert_array_equal(np.argsort(ranks), expected)
    pruned = np.sort(expected[: counts[-1]])
    np.testing.assert_array_equal(parts.values[pruned], 0)


@settings(deadline=None)
@given(st.integers(1, 10**8), st.floats(0, 1), st.integers(1, 300))
def test_counts_rise_to_the_sparsity(total, sparsity, n_iterations):
    counts = pruned_counts(total, sparsity, n_iterations)
    assert len(counts) == n_iterations
    assert counts[0] >= 0 and (np.diff(counts) >= 0).all()
    assert counts[-1] < total or total == 0
    assert abs(counts[-1] - min(sparsity * total, total - 1)) <= 1


def test_counts_follow_the_exponential_schedule():
    assert pruned_counts(1000, 0.99, 2) == [900, 990]
    assert pruned_counts(1000, 0.75, 2) == [500, 750]
    assert pruned_counts(1000, 0.0, 3) == [0, 0, 0]
    # A schedule to nothing would prune all in its first step.
    assert pruned_counts(10000, 1.0, 4) == [9000, 9900, 9990, 9999]


@pytest.mark.parametrize("sparsity", [0, 1, 1.0])
@pytest.mark.parametrize("method", ["synflow", "snip_iterative", "force"])
def test_extreme_sparsities_give_an_order(method, sparsity):
    module, (X, y) = mlp(), rows_of()
    found = flat(prune_scores(module, method, X, y, sparsity=sparsity, n_iterations=4))
    assert np.isfinite(found).all()
    assert len(np.unique(found)) > 1


def test_flat_weights_share_memory_with_their_parts():
    weights = {"a": torch.ones(2, 3), "b": torch.full((4,), 2.0)}
    parts = FlatWeights(weights)
    parts.remove(np.array([1, 6, 9]))
    np.testing.assert_array_equal(parts.parts["a"].detach(), [[1, 0, 1], [1, 1, 1]])
    np.testing.assert_array_equal(parts.parts["b"].detach(), [0, 2, 2, 0])
    assert (weights["a"] == 1).all()
    found = parts.scores([torch.full((2, 3), -3.0), torch.ones(4)], np.array([0, 5, 7]))
    np.testing.assert_array_equal(found, [3, 3, 2])


def test_scores_that_are_no_numbers_name_the_layer_of_their_place():
    parts = FlatWeights({"a": torch.ones(2), "b": torch.ones(3)})
    bad = [torch.ones(2), torch.tensor([float("inf"), 1, 1])]
    with pytest.raises(ValueError, match="Those of 'b' hold NaN or infinity"):
        parts.scores(bad, np.arange(5))


def test_snip_of_masked_weights_is_zero_where_they_are_zero():
    module, rows = mlp(), labelled_rows(*rows_of())
    weights = weights_of(module)
    with torch.no_grad():
        weights["0.weight"][0] = 0
    scores = snip_scores(module, weights, rows, 64)
    assert (scores["0.weight"][0] == 0).all() and scores["0.weight"][1:].any()
