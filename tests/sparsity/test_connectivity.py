"""Effective masks: stored masks, explicit graphs, invariants."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sklvyso.networks import make_network
from sklvyso.sparsity import effective_masks

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from connectivity import Graph

FOLDER = Path(__file__).parents[1] / "data" / "effective_sparsity"
DENSITIES = (0.1, 0.25, 0.5, 0.9)
seeds = st.integers(0, 2**32 - 1)


def case_list(kind):
    return json.loads((FOLDER / f"masks_{kind}.json").read_text())


def prune_randomly(shapes, density, rng):
    return {name: rng.random(shape) < density for name, shape in shapes.items()}


def shapes_of(module):
    layers = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear)
    return {
        f"{path}.weight": tuple(part.weight.shape)
        for path, part in module.named_modules()
        if isinstance(part, layers)
    }


def assert_equal_masks(found, expected):
    assert list(found) == list(expected)
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name], mask, err_msg=name)


# -- stored masks -----------------------------------------------------------------

NETWORKS = {
    "lenet300100": ("lenet-300-100", (1, 28, 28), 10),
    "lenet5": ("lenet-5", (3, 32, 32), 10),
    "vgg16": ("vgg16", (3, 32, 32), 10),
    "vgg19": ("vgg19", (3, 32, 32), 100),
    "resnet18": ("resnet18", (3, 64, 64), 200),
}


class SamePadding(nn.Conv2d):
    """A 3x3 convolution of stride 2 that pads after the last pixels only."""

    def forward(self, x):
        return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))


def stored_network(net):
    name, input_shape, n_outputs = NETWORKS[net]
    module = make_network(name, input_shape, n_outputs)
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and part.stride == (2, 2) and net == "resnet18":
            if part.kernel_size == (3, 3):
                part.__class__, part.padding = SamePadding, (0, 0)
    return module, input_shape


def forward_order(module, shapes):
    """Names of the weights in the order of the stored shapes."""
    names = shapes_of(module)
    found = list(names)
    if [names[n] for n in found] == shapes:
        return found
    ordered = []
    for shape in shapes:
        ordered.append(next(n for n in found if names[n] == shape))
        found.remove(ordered[-1])
    return ordered


def stored_masks(case, arrays, names):
    """Kept and active weights of one stored case."""
    index = np.cumsum(arrays[f"{case['case']}|kept"].astype(np.int64))
    n_kept = len(index)
    kept = np.zeros(case["N"], dtype=bool)
    kept[index] = True
    bits = {"pixel": arrays[f"{case['case']}|active"]}
    bits["channel"] = arrays.get(f"{case['case']}|active_channel", bits["pixel"])
    found = []
    for chosen in (np.ones(n_kept, dtype=bool), *map(np.unpackbits, bits.values())):
        flat = np.zeros(case["N"], dtype=bool)
        flat[index[chosen[:n_kept].astype(bool)]] = True
        parts = np.split(flat, np.cumsum([np.prod(s) for s in case["shapes"]])[:-1])
        found.append(
            {
                name: part.reshape(shape)
                for name, part, shape in zip(names, parts, case["shapes"], strict=True)
            }
        )
    return found


STORED = [(kind, case) for kind in ("small", "big") for case in case_list(kind)]


@pytest.mark.parametrize(("kind", "case"), STORED, ids=[c["case"] for _, c in STORED])
def test_masks_equal_the_stored_ones(kind, case):
    module, input_shape = stored_network(case["net"])
    names = forward_order(module, [tuple(s) for s in case["shapes"]])
    with np.load(FOLDER / f"masks_{kind}.npz") as arrays:
        kept, active, by_channel = stored_masks(case, dict(arrays), names)
    assert_equal_masks(effective_masks(module, kept, input_shape), active)
    found = effective_masks(module, kept, input_shape, granularity="channel")
    assert_equal_masks(found, by_channel)
    assert [mask.sum() for mask in found.values()] == case["active_channel_level"]


@pytest.mark.parametrize(
    "case",
    [c for _, c in STORED if "active_exact_padding1" in c],
    ids=[c["case"] for _, c in STORED if "active_exact_padding1" in c],
)
def test_counts_of_symmetric_padding_equal_the_stored_ones(case):
    module = make_network("resnet18", (3, 64, 64), 200)
    names = forward_order(module, [tuple(s) for s in case["shapes"]])
    with np.load(FOLDER / "masks_big.npz") as arrays:
        kept, _, _ = stored_masks(case, dict(arrays), names)
    found = effective_masks(module, kept, (3, 64, 64))
    assert [mask.sum() for mask in found.values()] == case["active_exact_padding1"]


def tiny_module(net):
    layers = []
    for kind, *sizes in json.loads((FOLDER / "tiny.json").read_text())[net]["layers"]:
        if kind == "conv":
            layers.append(nn.Conv2d(*sizes[:3], padding=sizes[3]))
        elif kind == "fc":
            layers.append(nn.Linear(*sizes))
        else:
            layers.append(nn.MaxPool2d(2) if kind == "pool" else nn.Flatten())
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("net", "input_shape"), [("tinymlp", (12,)), ("tinyconv", (2, 8, 8))]
)
def test_masks_equal_those_of_complete_search(net, input_shape):
    module = tiny_module(net)
    names = list(shapes_of(module))
    with np.load(FOLDER / "tiny.npz") as stored:
        arrays = {k: v for k, v in stored.items() if k.startswith(f"{net}|brute")}
    assert len(arrays) == 40 * 2 * len(names)
    for k in range(40):
        kept, active = (
            {n: arrays[f"{net}|brute_{what}|{k}|{i}"] for i, n in enumerate(names)}
            for what in ("mask", "active")
        )
        found = effective_masks(module, kept, input_shape)
        assert_equal_masks(found, {n: mask != 0 for n, mask in active.items()})


# -- explicit graphs --------------------------------------------------------------


def convolution(rng, shape):
    """A random convolution that fits, and what it does to a graph."""
    n_dims = len(shape) - 1
    kernel = [int(rng.integers(1, 4)) for _ in range(n_dims)]
    dilation = [int(rng.integers(1, 3)) for _ in range(n_dims)]
    padding = [int(rng.integers(0, 3)) for _ in range(n_dims)]
    mode = str(rng.choice(["zeros", "zeros", "reflect", "replicate", "circular"]))
    if mode in ("reflect", "circular"):
        padding = [min(p, n - 1) for p, n in zip(padding, shape[1:], strict=True)]
    for i, n in enumerate(shape[1:]):
        while dilation[i] * (kernel[i] - 1) + 1 > n + 2 * padding[i]:
            kernel[i] -= 1
    stride = [int(rng.integers(1, 4)) for _ in range(n_dims)]
    groups = int(rng.choice([g for g in (1, 2, 3) if shape[0] % g == 0]))
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n_dims - 1](
        shape[0],
        groups * int(rng.integers(1, 3)),
        kernel,
        stride,
        padding,
        dilation,
        groups,
        padding_mode=mode,
    )

    def act(graph, x, name):
        y = graph.pad(x, [(p, p) for p in padding], mode)
        return graph.convolution(y, name, stride, [0] * n_dims, dilation, groups)

    return layer, act


def same_convolution(rng, shape):
    """As Keras and torch pad it: an odd row comes last."""
    n_dims = len(shape) - 1
    kernel = [int(rng.integers(1, 5)) for _ in range(n_dims)]
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n_dims - 1](
        shape[0], 2, kernel, padding="same"
    )

    def act(graph, x, name):
        y = graph.pad(x, [((k - 1) // 2, k // 2) for k in kernel], "zeros")
        ones, zeros = [1] * n_dims, [0] * n_dims
        return graph.convolution(y, name, ones, zeros, ones, 1)

    return layer, act


def transposed_convolution(rng, shape):
    n_dims = len(shape) - 1
    kernel = [int(rng.integers(1, 4)) for _ in range(n_dims)]
    stride = [int(rng.integers(1, 4)) for _ in range(n_dims)]
    dilation = [int(rng.integers(1, 3)) for _ in range(n_dims)]
    extra = [
        int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True)
    ]
    padding = [
        int(rng.integers(0, min(2, d * (k - 1)) + 1))
        if (n - 1) * s + d * (k - 1) + e + 1 > 4
        else 0
        for d, k, n, s, e in zip(
            dilation, kernel, shape[1:], stride, extra, strict=True
        )
    ]
    groups = int(rng.choice([g for g in (1, 2, 3) if shape[0] % g == 0]))
    kind = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[n_dims - 1]
    layer = kind(
        *(shape[0], groups * int(rng.integers(1, 3)), kernel, stride, padding, extra),
        groups=groups,
        dilation=dilation,
    )

    def act(graph, x, name):
        return graph.transposed(x, name, stride, padding, extra, dilation, groups)

    return layer, act


def pooling(rng, shape):
    n_dims = len(shape) - 1
    kernel = [int(rng.integers(1, min(4, n + 1))) for n in shape[1:]]
    stride = [int(rng.integers(1, 4)) for _ in range(n_dims)]
    if rng.random() < 0.3:
        stride = list(kernel)
    padding = [int(rng.integers(0, k // 2 + 1)) for k in kernel]
    is_max, ceil = bool(rng.random() < 0.6), bool(rng.random() < 0.5)
    dilation = [1] * n_dims
    if is_max:
        room = zip(kernel, shape[1:], padding, strict=True)
        dilation = [1 + (2 * (k - 1) < n + 2 * p) for k, n, p in room]
        kind = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[n_dims - 1]
        layer = kind(kernel, stride, padding, dilation, ceil_mode=ceil)
    else:
        kind = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[n_dims - 1]
        layer = kind(kernel, stride, padding, ceil)
    size = layer(torch.ones(1, *shape)).shape[2:]
    return layer, lambda graph, x, name: graph.pool(
        x, kernel, stride, padding, dilation, size
    )


def adaptive_pooling(rng, shape):
    n_dims = len(shape) - 1
    size = [int(rng.integers(1, n + 2)) for n in shape[1:]]
    kind = str(rng.choice(["Max", "Avg"]))
    layer = getattr(nn, f"Adaptive{kind}Pool{n_dims}d")(
        size[0] if n_dims == 1 else size
    )
    return layer, lambda graph, x, name: graph.adaptive_pool(x, size)


def tokens(rng, shape):
    """A linear layer on the last axis of what may be a sequence."""
    layer = nn.Linear(shape[-1], int(rng.integers(1, 4)))
    return layer, lambda graph, x, name: graph.linear(x, name)


class Shift(nn.Module):
    """The last two axes swap; halves too; then a border and a crop."""

    def forward(self, x):
        x = x.transpose(-1, -2)
        first, second = x.split([x.shape[-1] // 2, -(-x.shape[-1] // 2)], dim=-1)
        x = torch.cat(tensors=[second, first], dim=-1)
        x = nn.functional.pad(x, (1, -1, 0, 1))
        return x[..., 1:, :].flip(-1)


def shift(rng, shape):
    def act(graph, x, name):
        x = x.swapaxes(-1, -2)
        half = x.shape[-1] // 2
        x = np.concatenate([x[..., half:], x[..., :half]], axis=-1)
        y = graph.nodes((*x.shape[:-2], x.shape[-2] + 1, x.shape[-1]))
        y[..., :-1, 1:] = x[..., :-1]
        return y[..., 1:, ::-1]

    return Shift(), act


class Block(nn.Module):
    """Two ways that are joined."""

    def __init__(self, first, second, join):
        super().__init__()
        self.first, self.second, self.join = first, second, join

    def forward(self, x):
        return self.join(self.first(x), self.second(x))


def joined(rng, shape):
    """A residual sum, with or without projection, or a product of two ways."""
    n_dims = len(shape) - 1
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n_dims - 1]
    first = kind(shape[0], shape[0], 3, padding=1)
    has_projection = bool(rng.random() < 0.5)
    is_product = bool(rng.random() < 0.5)
    second = kind(shape[0], shape[0], 1) if has_projection else nn.Identity()
    join = torch.mul if is_product else torch.add
    ones, zeros = [1] * n_dims, [0] * n_dims

    def act(graph, x, name):
        y = graph.convolution(x, f"{name}.first.weight", ones, ones, ones, 1)
        if has_projection:
            x = graph.convolution(x, f"{name}.second.weight", ones, zeros, ones, 1)
        return graph.multiply(y, x) if is_product else graph.add(y, x)

    return Block(first, second, join), act


def twice(rng, shape):
    """One layer that is used two times."""
    n_dims = len(shape) - 1
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n_dims - 1]
    layer = kind(shape[0], shape[0], 2, padding=1)
    ones = [1] * n_dims

    def act(graph, x, name):
        for _ in range(2):
            x = graph.convolution(x, f"{name}.0.weight", ones, ones, ones, 1)
        return x

    return nn.Sequential(layer, nn.ReLU(), layer), act


KINDS = {
    f.__name__: f
    for f in (
        convolution,
        same_convolution,
        transposed_convolution,
        pooling,
        adaptive_pooling,
        tokens,
        shift,
        joined,
        twice,
    )
}


def random_twin(kinds, n_dims, rng):
    """A module of the given kinds of layers, and its function of a graph."""
    shape = (int(rng.integers(1, 4)), *rng.integers(3, 7 - n_dims, n_dims).tolist())
    input_shape, layers, acts = shape, [], []
    for kind in (convolution, *kinds):
        if np.prod(shape) > 400:
            break
        layer, act = kind(rng, shape)
        layers.append(layer)
        acts.append(act)
        shape = tuple(layer(torch.ones(1, *shape)).shape[1:])
        layers.append(nn.ReLU())
    layers += [nn.Flatten(), nn.Linear(int(np.prod(shape)), 2)]
    module = nn.Sequential(*layers)

    def run(graph):
        x = inputs = graph.nodes(input_shape)
        for i, act in enumerate(acts):
            path = str(2 * i)
            is_layer = hasattr(layers[2 * i], "weight")
            x = act(graph, x, f"{path}.weight" if is_layer else path)
        return inputs, graph.linear(x.reshape(-1), f"{len(layers) - 1}.weight")

    return module, input_shape, run


def check_twin(kinds, n_dims, seed):
    rng = np.random.default_rng(seed)
    module, input_shape, run = random_twin(kinds, n_dims, rng)
    shapes = shapes_of(module)
    masks = prune_randomly(shapes, rng.choice(DENSITIES), rng)
    graph = Graph(masks)
    expected = graph.effective(*run(graph))
    assert_equal_masks(effective_masks(module, masks, input_shape), expected)


# torch's own remark about even kernels
same_even = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")


@same_even
@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(seed=seeds, n_dims=st.sampled_from([1, 2, 3]))
def test_masks_of_each_kind_of_layer_equal_the_graphs(kind, seed, n_dims):
    check_twin([KINDS[kind]], n_dims, seed)


@same_even
@settings(deadline=None, max_examples=60)
@given(
    seed=seeds,
    n_dims=st.sampled_from([1, 2]),
    kinds=st.lists(st.sampled_from(list(KINDS)), min_size=2, max_size=4),
)
def test_masks_of_compositions_equal_the_graphs(seed, n_dims, kinds):
    check_twin([KINDS[kind] for kind in kinds], n_dims, seed)
