"""Effective masks of modules of every kind: architectures, wrappers, errors."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklvyso.sparsity import effective_masks

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from connectivity import positive_gradients

LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear)


def linear(n_in, n_out):
    return nn.Linear(n_in, n_out, bias=False)


class Net(nn.Module):
    """A forward function over named layers."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.run = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.run(self, x)


def random_masks(module, seed, density=None):
    rng = np.random.default_rng(seed)
    density = density or rng.choice([0.08, 0.15, 0.3, 0.7])
    return {
        f"{path}.weight": rng.random(tuple(part.weight.shape)) < density
        for path, part in module.named_modules()
        if isinstance(part, LAYERS)
    }


def assert_equal_masks(found, expected):
    assert list(found) == list(expected)
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name], mask, err_msg=name)


def check_gradients(module, input_shape, n_masks=12):
    """Compare with positive gradients; some masks leave ways open, some weights out."""
    kinds = set()
    for seed in range(n_masks):
        masks = random_masks(module, seed)
        expected = positive_gradients(module, masks, input_shape)
        assert_equal_masks(effective_masks(module, masks, input_shape), expected)
        for name, mask in masks.items():
            kinds |= set(expected[name][mask].tolist())
    assert kinds == {False, True}


def two(forward, n_in=6, n_hidden=6, n_out=3, **layers):
    """First and last linear layer, and what is between."""
    return Net(forward, a=linear(n_in, n_hidden), z=linear(n_hidden, n_out), **layers)


# -- functions, written in many ways ----------------------------------------------


def accumulate(net, x):
    total = torch.zeros(1, 6, dtype=x.dtype)
    total += net.a(x)
    total += net.b(x)
    return net.z(total)


def keyword_arguments(net, x):
    x = F.conv2d(input=x, weight=net.a.weight, stride=(2, 1), padding=1)
    x = F.avg_pool2d(input=F.relu(input=x), kernel_size=2, stride=1)
    x = F.adaptive_avg_pool2d(input=x, output_size=2)
    x = F.pad(input=x, pad=(1, 0, -1, 0))
    x = torch.permute(input=x, dims=(0, 2, 3, 1))
    x = torch.add(input=torch.mul(input=x, other=x), other=x, alpha=2)
    x = torch.flatten(input=torch.mean(input=x, dim=(1, 2)), start_dim=1)
    return F.linear(input=x, weight=net.z.weight)


def shuffle(net, x):
    x = net.a(x)
    b, c, h, w = x.shape
    x = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)
    return net.z(net.b(x).flatten(1))


def merge_batch(net, x):
    n = x.shape[0]
    return net.z(net.b(net.a(x.view(-1, 1, *x.shape[2:]))).reshape(n, -1))


def rows(net, x):
    total = 0
    for row in net.a(x.view(1, 3, 2)).transpose(0, 1):
        total = total + row
    return net.z(total)


def control_flow(net, x):
    x = net.a(x)
    if x.sum().item() > -1e9 and float(x.detach().mean()) < 1e9:
        x = net.b(x)
    return net.z(x) if (x == x).all() else x


def drop_in_place(net, x):
    x = net.a(x)
    dropped = F.dropout(x, 0.5, net.training)
    # In evaluation mode dropout returns the tensor that it got: x changes too.
    dropped += net.b(x.clone())
    return net.z(x)


def added_matrix(net, x):
    return net.z(torch.addmm(input=net.a(x), mat1=net.b(x), mat2=net.p))


def token(net, x):
    x = torch.cat([net.token.expand(1, -1, -1), x.view(1, 3, 2)], dim=1)
    return net.z(net.a(x).flatten(1))


CONV = nn.Conv2d
FORMS = {
    "accumulate": (two(accumulate, b=linear(6, 6)), (6,)),
    "added_matrix": (two(added_matrix, b=linear(6, 6), p=linear(6, 6).weight), (6,)),
    "channel_shuffle": (
        Net(
            shuffle,
            a=CONV(4, 4, 3, padding=1, groups=2),
            b=CONV(4, 4, 3, groups=2),
            z=linear(16, 2),
        ),
        (4, 4, 4),
    ),
    "constant_of_a_shape": (
        two(lambda n, x: n.z(n.a(x) + n.a(torch.zeros(6).to(x).expand_as(x)))),
        (6,),
    ),
    "control_flow": (two(control_flow, b=linear(6, 6)), (6,)),
    "drop_in_place": (two(drop_in_place, b=linear(6, 6)).eval(), (6,)),
    "einsum": (
        Net(
            lambda n, x: n.z(
                torch.einsum("bid,bjd->bij", n.a(x.view(1, 3, 2)), n.b(x.view(1, 3, 2)))
            ),
            a=linear(2, 4),
            b=linear(2, 4),
            z=linear(3, 2),
        ),
        (6,),
    ),
    "expanded_constant": (
        Net(
            lambda n, x: n.z(torch.cat([torch.zeros(1, 1).expand_as(x), n.a(x)], 1)),
            a=linear(6, 6),
            z=linear(12, 3),
        ),
        (6,),
    ),
    "gate_of_zeros_and_ones": (
        two(lambda n, x: n.z(n.a(x) * (n.a(x) >= 0).to(x.dtype))),
        (6,),
    ),
    "index": (
        two(
            lambda n, x: n.z(
                n.a(x).index_select(1, torch.arange(6, device=x.device).flip(0))
            )
        ),
        (6,),
    ),
    "keyword_arguments": (
        Net(keyword_arguments, a=CONV(2, 3, 3, bias=False), z=linear(3, 2)),
        (2, 5, 5),
    ),
    "layer_made_of_data": (
        Net(
            lambda n, x: n.z(F.linear(n.a(x), n.b(x).view(2, 3))),
            a=linear(6, 3),
            b=linear(6, 6),
            z=linear(2, 2),
        ),
        (6,),
    ),
    "leaky_by_hand": (
        two(lambda n, x: n.z(torch.where(n.a(x) > 0, n.a(x), 0.1 * n.a(x)))),
        (6,),
    ),
    "merged_batch": (
        Net(
            merge_batch,
            a=CONV(1, 2, 3, padding=1),
            b=nn.ConvTranspose2d(2, 1, 2, 2),
            z=linear(256, 2),
        ),
        (4, 4, 4),
    ),
    "outer_product": (
        Net(
            lambda n, x: n.z((n.a(x)[:, None] * n.b(x)[..., None]).flatten(1)),
            a=linear(6, 6),
            b=linear(6, 3),
            z=linear(18, 3),
        ),
        (6,),
    ),
    "product_over_axis": (
        Net(
            lambda n, x: n.z(n.a(x).view(-1, 3, 2).prod(2)),
            a=linear(6, 6),
            z=linear(3, 3),
        ),
        (6,),
    ),
    "rows": (Net(rows, a=linear(2, 4), z=linear(4, 2)), (6,)),
    "square_by_transpose": (
        Net(
            lambda n, x: n.z(n.a(x.view(1, 3, 2)) @ n.a(x.view(1, 3, 2)).mT),
            a=linear(2, 3),
            z=linear(3, 3),
        ),
        (6,),
    ),
    "strides": (
        Net(
            lambda n, x: (
                n.z(n.a(x)[..., 1::2]) + n.b(n.a(x)[:, -2:]) + n.b(n.a(x)[:, [0, 3]])
            ),
            a=linear(6, 6),
            b=linear(2, 3),
            z=linear(3, 3),
        ),
        (6,),
    ),
    "token": (
        Net(
            token,
            a=linear(2, 2),
            z=linear(8, 3),
            token=nn.Parameter(torch.ones(1, 1, 2)),
        ),
        (6,),
    ),
    "two_outputs": (two(lambda n, x: (n.z(n.a(x)), n.b(x)), b=linear(6, 2)), (6,)),
    "unfold": (
        Net(
            lambda n, x: n.z(
                n.a(x.unfold(2, 3, 1).permute(0, 2, 1, 3).flatten(2)).flatten(1)
            ),
            a=linear(9, 2),
            z=linear(8, 2),
        ),
        (3, 6),
    ),
    "upsampled": (
        Net(
            lambda n, x: n.z(
                n.b(F.interpolate(n.a(x), scale_factor=3, mode="bilinear")).flatten(1)
            ),
            a=CONV(3, 2, 3, stride=2, padding=1),
            b=CONV(2, 1, 2),
            z=linear(25, 2),
        ),
        (3, 4, 4),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_masks_equal_positive_gradients(form):
    check_gradients(*FORMS[form])


# -- architectures ----------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self, *layers, scale=None):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


class Dense(nn.Module):
    def __init__(self, n_in, growth):
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(n_in), nn.ReLU(), CONV(n_in, growth, 3, padding=1)
        )

    def forward(self, x):
        return torch.cat([x, self.layers(x)], 1)


class Squeeze(nn.Module):
    """Channels are weighed by what all pixels say."""

    def __init__(self, n, n_small):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            CONV(n, n_small, 1),
            nn.ReLU(),
            CONV(n_small, n, 1),
            nn.Sigmoid(),
        )
        self.layers = nn.Sequential(CONV(n, n, 3, padding=1), nn.BatchNorm2d(n))

    def forward(self, x):
        y = self.layers(x)
        return F.relu(x + y * self.gate(y))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = CONV(1, 2, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.deep = CONV(2, 3, 3, padding=1)
        self.up = nn.ConvTranspose2d(3, 2, 2, 2)
        self.out = CONV(4, 1, 3)

    def forward(self, x):
        x = F.relu(self.down(x), inplace=True)
        return self.out(torch.cat((x, self.up(F.relu(self.deep(self.pool(x))))), dim=1))


class ConvNeXt(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.dwconv = CONV(n, n, 3, padding=1, groups=n)
        self.norm = nn.LayerNorm(n)
        self.pwconv1, self.pwconv2 = linear(n, 2 * n), linear(2 * n, n)
        self.layer_scale = nn.Parameter(1e-6 * torch.ones(n))

    def forward(self, x):
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.layer_scale * self.pwconv2(F.gelu(self.pwconv1(y), approximate="tanh"))
        return x + y.permute(0, 3, 1, 2)


class Head(nn.Sequential):
    """Images to three outputs."""

    def __init__(self, n_features):
        super().__init__(nn.Flatten(), linear(n_features, 3))


ARCHITECTURES = {
    "densenet": (
        nn.Sequential(Dense(2, 2), Dense(4, 2), nn.AvgPool2d(2), Head(24)),
        (2, 4, 4),
    ),
    "mobilenet": (
        nn.Sequential(
            CONV(2, 3, 3, 2, 1),
            nn.ReLU6(inplace=True),
            Residual(
                CONV(3, 6, 1),
                nn.BatchNorm2d(6),
                nn.ReLU6(inplace=True),
                CONV(6, 6, 3, padding=1, groups=6),
                nn.ReLU6(inplace=True),
                CONV(6, 3, 1),
            ),
            Head(27),
        ),
        (2, 6, 6),
    ),
    "unet": (UNet(), (1, 6, 6)),
    "squeeze": (nn.Sequential(CONV(2, 3, 3), Squeeze(3, 2), Head(12)), (2, 4, 4)),
    "temporal": (
        nn.Sequential(
            nn.ConstantPad1d((2, 0), 0.0),
            nn.Conv1d(2, 3, 2, dilation=2),
            nn.ReLU(),
            Residual(nn.ConstantPad1d((1, 0), 0.0), nn.Conv1d(3, 3, 2), nn.ReLU()),
            nn.MaxPool1d(2),
            Head(9),
        ),
        (2, 7),
    ),
    "video": (
        nn.Sequential(
            nn.Conv3d(1, 2, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
            nn.MaxPool3d(2),
            nn.Conv3d(2, 2, 2),
            Head(2),
        ),
        (1, 4, 4, 4),
    ),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_equal_positive_gradients(name):
    check_gradients(*ARCHITECTURES[name])


def test_layer_scale_and_last_axis_norm_equal_positive_gradients():
    class Exact(ConvNeXt):  # as positive_gradients needs it: gelu shrinks small values
        def forward(self, x):
            y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
            y = self.layer_scale * self.pwconv2(self.pwconv1(y))
            return x + y.permute(0, 3, 1, 2)

    ours, exact = (
        nn.Sequential(CONV(2, 3, 2), kind(3), Head(27)) for kind in (ConvNeXt, Exact)
    )
    for seed in range(8):
        masks = random_masks(ours, seed)
        expected = positive_gradients(exact, masks, (2, 4, 4))
        assert_equal_masks(effective_masks(ours, masks, (2, 4, 4)), expected)
