"""Effective masks at a density of 1 %, against two dense float passes.

The naive prototype is what the method's text suggests: the network with its masks as
weights, no biases, norms and activations, average pooling; one dense forward and one
dense backward pass in float32, made 0/1 again after each layer.

``python -m benchmarks sparsity``
"""

import numpy as np
import torch
from torch import nn

from benchmarks._harness import one_thread, side_by_side, store, table
from sklvyso.networks import make_network, torch_seed
from sklvyso.sparsity import effective_masks, layer_quotas, prune_module
from sklvyso.sparsity._weights import prunable_weights

NETWORKS = {
    "lenet-300-100": ((1, 28, 28), 10),
    "lenet-5": ((3, 32, 32), 10),
    "vgg19": ((3, 32, 32), 100),
    "resnet18": ((3, 64, 64), 200),
}
DENSITY = 0.01


class Binary(torch.autograd.Function):
    """Zeros and ones, on the way there and back."""

    @staticmethod
    def forward(ctx, x):
        return (x > 0.5).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return (gradient > 0.5).to(gradient.dtype)


class ToBinary(nn.Module):
    def forward(self, x):
        return Binary.apply(x)


class SumPool(nn.Module):
    def __init__(self, pool):
        super().__init__()
        size = pool.kernel_size
        self.pool = nn.AvgPool2d(size, pool.stride, divisor_override=1)

    def forward(self, x):
        return Binary.apply(self.pool(x))


def naive_twin(name, shape, n_outputs):
    """The network as the prototype needs it."""
    net = make_network(name, shape, n_outputs, bias=False)
    for parent in list(net.modules()):
        for key, part in list(parent.named_children()):
            if isinstance(part, nn.ReLU | nn.Identity):
                setattr(parent, key, ToBinary())
            elif isinstance(part, nn.MaxPool2d | nn.AvgPool2d):
                setattr(parent, key, SumPool(part))
            elif isinstance(part, nn.AdaptiveAvgPool2d):
                size = nn.Module()
                size.kernel_size, size.stride = shape[1] // 8, None
                setattr(parent, key, SumPool(size))
    return net


def naive_masks(twin, masks, shape):
    weights = list(twin.parameters())
    with torch.no_grad():
        for weight, mask in zip(weights, masks.values(), strict=True):
            weight.copy_(torch.from_numpy(mask))
    output = Binary.apply(twin(torch.ones(1, *shape)))
    gradients = torch.autograd.grad(output.sum(), weights)
    return {
        name: mask & (gradient > 0.5).numpy()
        for (name, mask), gradient in zip(masks.items(), gradients, strict=True)
    }


def masks_of(net, kind, rng):
    weights = prunable_weights(net)
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    if kind == "uniform":
        return {name: rng.random(shape) < DENSITY for name, shape in shapes.items()}
    quotas = layer_quotas(shapes, 1 - DENSITY, kind)
    return {
        name: rng.random(shape) >= quota
        for (name, shape), quota in zip(shapes.items(), quotas, strict=True)
    }


def measurement():
    rng = np.random.default_rng(0)
    return [
        measure_one(name, kind, rng) for name in NETWORKS for kind in ("uniform", "igq")
    ]


def measure_one(name, kind, rng):
    shape, n_outputs = NETWORKS[name]
    net = make_network(name, shape, n_outputs)
    twin = naive_twin(name, shape, n_outputs)
    masks = masks_of(net, kind, rng)
    found = effective_masks(net, masks, shape)
    for key, expected in naive_masks(twin, masks, shape).items():
        assert (found[key] == expected).all()
    times = side_by_side(
        {
            "naive": lambda: naive_masks(twin, masks, shape),
            "pixel": lambda: effective_masks(net, masks, shape),
            "channel": lambda: effective_masks(
                net, masks, shape, granularity="channel"
            ),
        },
        rounds=15,
    )
    return {
        "network": name,
        "quota": kind,
        "naive, ms": times["naive"] * 1e3,
        "pixel, ms": times["pixel"] * 1e3,
        "times as fast": times["naive"] / times["pixel"],
        "channel, ms": times["channel"] * 1e3,
        "channel, times as fast": times["naive"] / times["channel"],
    }


def magnitude():
    """Prune 99 % of VGG-19 by magnitude, all layers together, here and in torch."""
    shape, n_outputs = NETWORKS["vgg19"]
    with torch_seed(0):
        net = make_network("vgg19", shape, n_outputs)

    def by_torch():
        layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        nn.utils.prune.global_unstructured(
            [(layer, "weight") for layer in layers],
            nn.utils.prune.L1Unstructured,
            amount=0.99,
        )
        for layer in layers:
            layer._forward_pre_hooks.clear()
            weight = layer._parameters.pop("weight_orig")
            del layer._buffers["weight_mask"]
            layer.__dict__.pop("weight", None)
            layer.weight = weight

    def by_us(target):
        prune_module(net, "magnitude", sparsity=0.99, target=target, input_shape=shape)

    times = side_by_side(
        {
            "torch.nn.utils.prune, direct": by_torch,
            "prune_module, direct, with both sparsities": lambda: by_us("direct"),
            "prune_module, effective": lambda: by_us("effective"),
        },
        rounds=3,
    )
    return [{"work": name, "seconds": value} for name, value in times.items()]


def run():
    one_thread()
    for name, work in (("sparsity", measurement), ("sparsity_magnitude", magnitude)):
        rows = work()
        print(f"{name}, one thread:")
        print(table(rows), end="\n\n")
        store(name, rows)


if __name__ == "__main__":
    run()
