"""Modules whose per-row gradients are wanted, with and without closed forms."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from sklvyso.networks import make_network

N_CLASSES = 3


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


class Longer(nn.Module):
    """Takes a longer path for large rows, with other layers called otherwise."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(5, 5), nn.Linear(5, N_CLASSES)

    def forward(self, x):
        again = self.body(x) if x.abs().max() > 10 else x
        return self.head(torch.tanh(self.body(again)))


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
            n=96,
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
    "conv3d": (
        lambda: flat(nn.Conv3d(2, 3, 2, dilation=(1, 2, 1)), n=36),
        (2, 3, 4, 4),
    ),
    "strided batch": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 3)), (2, 3)),
    "many positions": (
        lambda: flat(nn.Linear(3, 2), nn.LayerNorm((4, 2)), n=32),
        (4, 4, 3),
    ),
    "few positions": (
        lambda: flat(nn.Linear(9, 8), nn.ReLU(inplace=True), n=16),
        (2, 9),
    ),
    "group norm": (
        lambda: flat(nn.Conv2d(2, 4, 2), nn.GroupNorm(2, 4), n=64),
        (2, 5, 5),
    ),
    "tokens": (Tokens, "tokens"),
    "padded tokens": (lambda: Tokens(padding_idx=1), "tokens"),
    "frozen": (frozen, (5,)),
    "cut off": (Cut, (5,)),
    "doubling hook": (doubling_hook, (5,)),
}
OTHERS = {
    "tied": (Tied, (5,), "shares a parameter"),
    "called twice": (Twice, (5,), "called 2 times"),
    "functional use": (Functional, (5,), "differs from that of autograd"),
    "own parameter": (Own, (5,), "parameters without a rule"),
    "parametrized": (parametrized, (5,), "without a rule"),
    "pruned": (pruned, (5,), "makes its weight of other"),
    "attention": (Attention, (4, 6), "without a rule"),
    "recurrent": (Recurrent, (4, 5), "without a rule"),
    "branching": (Branching, (5,), "where the module gets 3 rows"),
    "mixing rows": (BatchStatistics, (5,), "differs from that of autograd"),
    "renormalizing": (lambda: Tokens(max_norm=1.0), "tokens", "rescales"),
    "instance norm": (
        lambda: flat(nn.Conv2d(2, 3, 2), nn.InstanceNorm2d(3, affine=True), n=48),
        (2, 5, 5),
        "without a rule",
    ),
}
CASES = LAYERWISE | OTHERS


def make(name, *, dtype=torch.float64):
    """Return a trained-looking module with rows and labels."""
    torch.manual_seed(0)
    build, shape, *_ = CASES[name]
    n_rows = 4 if name == "vgg16" else 7
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
