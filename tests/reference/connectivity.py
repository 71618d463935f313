"""Which weights are active, slowly: graphs of single values, and positive gradients."""

import copy
import itertools

import networkx as nx
import numpy as np
import torch
from torch import nn


class Graph:
    """Activations as nodes, products of a weight and an activation as edges.

    A layer gets and returns an array of nodes without a batch axis. Nodes that multiply
    need every one of their ``all_of`` parts; all others need one predecessor.
    """

    def __init__(self, masks):
        self.masks = masks
        self.edges = []  # (from, to, (weight, position) or None)
        self.pairs = {}  # product node -> its two factors
        self.n_nodes = 0

    def nodes(self, shape):
        first = self.n_nodes
        self.n_nodes += int(np.prod(shape))
        return np.arange(first, self.n_nodes).reshape(shape)

    def connect(self, source, target, weight=None):
        if weight is None or self.masks[weight[0]][weight[1]]:
            self.edges.append((int(source), int(target), weight))

    def effective(self, inputs, outputs):
        """Masks of the weights on a way from ``inputs`` to ``outputs``."""
        alive = self._alive(inputs)
        graph = nx.DiGraph()
        graph.add_nodes_from(["out"])
        graph.add_edges_from(
            (b, a) for a, b, _ in self.edges if self._is_open(a, b, alive)
        )
        graph.add_edges_from(("out", int(node)) for node in outputs.ravel())
        reaching = nx.descendants(graph, "out")
        active = {name: np.zeros_like(mask) for name, mask in self.masks.items()}
        for a, b, weight in self.edges:
            on_way = a in alive and b in reaching and self._is_open(a, b, alive)
            if weight is not None and on_way:
                active[weight[0]][weight[1]] = True
        return active

    def _is_open(self, a, b, alive):
        """A factor counts where the other one is alive."""
        if b not in self.pairs:
            return True
        first, second = self.pairs[b]
        return (second if a == first else first) in alive

    def _alive(self, inputs):
        graph = nx.DiGraph()
        graph.add_node("in")
        graph.add_edges_from(("in", int(node)) for node in inputs.ravel())
        graph.add_edges_from((a, b) for a, b, _ in self.edges if b not in self.pairs)
        while True:  # products join as soon as both of their factors are alive
            alive = nx.descendants(graph, "in")
            new = [
                product
                for product, factors in self.pairs.items()
                if product not in alive and all(f in alive for f in factors)
            ]
            if not new:
                return alive
            graph.add_edges_from(("in", product) for product in new)

    # -- layers -------------------------------------------------------------------

    def linear(self, x, name):
        mask = self.masks[name]
        y = self.nodes((*x.shape[:-1], mask.shape[0]))
        for place in np.ndindex(*x.shape[:-1]):
            for o, i in np.ndindex(*mask.shape):
                self.connect(x[(*place, i)], y[(*place, o)], (name, (o, i)))
        return y

    def convolution(self, x, name, stride, padding, dilation, groups):
        mask = self.masks[name]
        n_out, n_local, *kernel = mask.shape
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                x.shape[1:], padding, dilation, kernel, stride, strict=True
            )
        ]
        y = self.nodes((n_out, *size))
        for o, i, *k in np.ndindex(*mask.shape):
            channel = o // (n_out // groups) * n_local + i
            for place in np.ndindex(*size):
                source = [
                    s * q + d * e - p
                    for s, q, d, e, p in zip(
                        stride, place, dilation, k, padding, strict=True
                    )
                ]
                if all(0 <= q < n for q, n in zip(source, x.shape[1:], strict=True)):
                    self.connect(
                        x[(channel, *source)], y[(o, *place)], (name, (o, i, *k))
                    )
        return y

    def transposed(self, x, name, stride, padding, output_padding, dilation, groups):
        mask = self.masks[name]
        n_in, n_local, *kernel = mask.shape
        size = [
            (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
            for n, s, p, d, k, extra in zip(
                *(x.shape[1:], stride, padding, dilation, kernel, output_padding),
                strict=True,
            )
        ]
        y = self.nodes((n_local * groups, *size))
        for i, o, *k in np.ndindex(*mask.shape):
            channel = i // (n_in // groups) * n_local + o
            for place in np.ndindex(*x.shape[1:]):
                target = [
                    s * q + d * e - p
                    for s, q, d, e, p in zip(
                        stride, place, dilation, k, padding, strict=True
                    )
                ]
                if all(0 <= q < n for q, n in zip(target, size, strict=True)):
                    self.connect(
                        x[(i, *place)], y[(channel, *target)], (name, (i, o, *k))
                    )
        return y

    def pool(self, x, kernel, stride, padding, dilation, size):
        """Windows of fixed size; ``size`` of the result is given."""
        y = self.nodes((len(x), *size))
        for c, *place in np.ndindex(*y.shape):
            for k in np.ndindex(*kernel):
                source = [
                    s * q + d * e - p
                    for s, q, d, e, p in zip(
                        stride, place, dilation, k, padding, strict=True
                    )
                ]
                if all(0 <= q < n for q, n in zip(source, x.shape[1:], strict=True)):
                    self.connect(x[(c, *source)], y[(c, *place)])
        return y

    def adaptive_pool(self, x, size):
        y = self.nodes((len(x), *size))
        for c, *place in np.ndindex(*y.shape):
            spans = [
                range(q * n // m, -(-(q + 1) * n // m))
                for q, n, m in zip(place, x.shape[1:], size, strict=True)
            ]
            for source in itertools.product(*spans):
                self.connect(x[(c, *source)], y[(c, *place)])
        return y

    def add(self, *sources):
        shape = np.broadcast_shapes(*(x.shape for x in sources))
        y = self.nodes(shape)
        for x in sources:
            for a, b in zip(np.broadcast_to(x, shape).flat, y.flat, strict=True):
                self.connect(a, b)
        return y

    def multiply(self, first, second):
        shape = np.broadcast_shapes(first.shape, second.shape)
        y = self.nodes(shape)
        factors = (np.broadcast_to(x, shape) for x in (first, second))
        for a, b, c in zip(*(x.flat for x in factors), y.flat, strict=True):
            self.pairs[int(c)] = (int(a), int(b))
            self.connect(a, c)
            if a != b:
                self.connect(b, c)
        return y

    def mix(self, x, axes):
        """Every value depends on all that differ from it along ``axes``."""
        y = self.nodes(x.shape)
        spans = [range(n) for n in x.shape]
        for place in np.ndindex(*x.shape):
            window = [
                spans[axis] if axis in axes else (place[axis],)
                for axis in range(x.ndim)
            ]
            for source in itertools.product(*window):
                self.connect(x[source], y[place])
        return y

    def pad(self, x, widths, mode):
        """Surround with nodes that nothing feeds, or with nodes of ``x``."""
        widths = [(0, 0), *widths]
        if mode != "zeros":
            modes = {"replicate": "edge", "circular": "wrap", "reflect": "reflect"}
            return np.pad(x, widths, mode=modes[mode])
        y = self.nodes([n + sum(w) for n, w in zip(x.shape, widths, strict=True)])
        inner = tuple(
            slice(w[0], w[0] + n) for w, n in zip(widths, x.shape, strict=True)
        )
        y[inner] = x
        return y


def positive_gradients(module, masks, input_shape, seed=0):
    """Effective masks by one pass of float64 gradients of positive random weights.

    Exact for networks so small that the products neither vanish nor overflow, whose
    activations and norms are modules. The module itself runs, with average pooling
    for maximum; tokens and biases are zeros.
    """
    copied = copy.deepcopy(module).double()
    generator = torch.Generator().manual_seed(seed)
    for name, part in list(copied.named_modules()):
        if type(part).__name__ in _NOTHING:
            _put(copied, name, nn.Identity())
        elif type(part).__name__ in _POOLS:
            stride = part.stride
            pool = getattr(nn, _POOLS[type(part).__name__])
            _put(copied, name, pool(part.kernel_size, stride, part.padding))
    parameters = dict(copied.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            is_weight = name in masks or ("token" not in name and parameter.dim() > 1)
            is_weight = is_weight or name.endswith("scale")
            noise = torch.rand(parameter.shape, generator=generator, dtype=float) + 0.5
            parameter.copy_(noise if is_weight else torch.zeros_like(parameter))
        for name, mask in masks.items():
            parameters[name].mul_(torch.as_tensor(mask))
    found = copied(torch.ones(1, *input_shape, dtype=float))
    outputs = found if isinstance(found, tuple | list) else [found]
    total = sum(output.sum() for output in outputs)
    kept = [parameters[name] for name in masks]
    gradients = torch.autograd.grad(total, kept, allow_unused=True)
    return {
        name: np.zeros(np.shape(mask), dtype=bool)
        if gradient is None
        else (gradient.numpy() > 0) & np.asarray(mask, dtype=bool)
        for (name, mask), gradient in zip(masks.items(), gradients, strict=True)
    }


_NOTHING = frozenset(
    "ReLU ReLU6 GELU SiLU Sigmoid Tanh Hardswish Hardsigmoid BatchNorm1d BatchNorm2d "
    "BatchNorm3d LayerNorm GroupNorm Dropout LeakyReLU".split()
)
_POOLS = {f"MaxPool{n}d": f"AvgPool{n}d" for n in (1, 2, 3)}


def _put(module, path, part):
    parent, _, key = path.rpartition(".")
    setattr(module.get_submodule(parent), key, part)
