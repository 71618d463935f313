"""Compaction: smaller, the same outputs, and never silently wrong."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils._pytree import tree_leaves

from sklvyso.networks import make_network, torch_seed
from sklvyso.sparsity import apply_masks, compact, prune_module, sparsity_report
from sklvyso.sparsity._interoperability import pruned_copy


def shaken(module):
    """Give biases and statistics of norms random values."""
    with torch_seed(1), torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return module.eval()


def thin_masks(module, density, seed=0):
    rng = np.random.default_rng(seed)
    return {
        f"{path}.weight": rng.random(tuple(part.weight.shape)) < density
        for path, part in module.named_modules()
        if isinstance(part, nn.Linear | nn.modules.conv._ConvNd)
    }


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def check(module, masks, shape):
    """Return the smaller network after comparing it with the masked one."""
    state = {key: value.clone() for key, value in module.state_dict().items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*dead channels")
        small = compact(module, masks, shape)
    for key, value in module.state_dict().items():
        assert torch.equal(value, state[key])
    with torch_seed(0):
        sample = torch.randn(5, *shape)
    kept = {name: np.asarray(mask, dtype=bool) for name, mask in masks.items()}
    masked = pruned_copy(module, kept)
    assert type(small) is type(module) and not small.training
    with torch.no_grad():
        found, expected = tree_leaves(small(sample)), tree_leaves(masked(sample))
    # float32 sums of other numbers of terms
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    return small


NETWORKS = {
    "lenet-300-100": ((1, 28, 28), {}, 0.01),
    "lenet-5": ((3, 32, 32), {}, 0.03),
    "lenet-5-max": ((3, 32, 32), {"pooling": "max", "batch_norm": True}, 0.03),
    "vgg16": ((3, 32, 32), {"batch_norm": True, "width_multiplier": 0.25}, 0.01),
    "vgg19": ((3, 32, 32), {"width_multiplier": 0.25}, 0.01),
    "resnet18": ((3, 32, 32), {"batch_norm": True, "width": 16}, 0.01),
    "resnet50": ((3, 32, 32), {"bias": False, "width": 8}, 0.05),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", range(2))
def test_registered_networks_get_smaller_and_stay_the_same(name, seed):
    shape, settings, density = NETWORKS[name]
    net = make_network(name.removesuffix("-max"), shape, 10, **settings)
    masks = thin_masks(shaken(net), density, seed)
    small = check(net, masks, shape)
    assert n_parameters(small) < n_parameters(net)
    assert sparsity_report(net, masks, shape).n_active <= n_parameters(small)


@pytest.mark.parametrize("name", ["vgg16", "resnet18"])
def test_pruned_to_a_true_budget(name):
    shape = (3, 32, 32)
    net = shaken(make_network(name, shape, 10, batch_norm=True))
    masks = prune_module(
        net, "synflow", sparsity=0.99, input_shape=shape, n_iterations=10
    )
    small = check(net, masks, shape)
    assert n_parameters(small) < 0.6 * n_parameters(net)


def test_stored_weights_are_those_between_live_units():
    net = shaken(make_network("mlp", (20,), 4, hidden_layer_sizes=(30, 20)))
    masks = thin_masks(net, 0.05)
    small = check(net, masks, (20,))
    report = sparsity_report(net, masks, (20,))
    first, second, last = report.effective_masks.values()
    n_first = max(1, (first.any(1) | second.any(0)).sum())
    n_second = max(1, (second.any(1) | last.any(0)).sum())
    stored = 20 * n_first + n_first * n_second + n_second * 4
    assert n_parameters(small) == stored + n_first + n_second + 4
    assert report.n_active <= stored <= report.n_weights


def test_a_constant_moves_into_the_next_bias():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        net[0].bias.copy_(torch.tensor([0.5, 2.0, -1.0]))
    masks = {"0.weight": np.array([[1, 1], [0, 0], [1, 0]])}
    small = check(net, masks, (2,))
    assert small[0].weight.shape == (2, 2)
    expected = net[2].bias + 2.0 * net[2].weight[:, 1]
    torch.testing.assert_close(small[2].bias, expected)


def test_a_constant_before_zero_padding_stays_with_a_reason():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 3, padding=1))
    with torch.no_grad():
        net[0].bias.fill_(1.0)
    mask = np.ones((2, 1, 3, 3))
    mask[1] = 0
    with pytest.warns(UserWarning, match="dead channel.* stay"):
        small = compact(net, {"0.weight": mask}, (1, 8, 8))
    assert small[0].out_channels == 2
    with torch.no_grad():
        net[0].bias.fill_(0.0)
    assert check(net, {"0.weight": mask}, (1, 8, 8))[0].out_channels == 1


def test_one_constant_before_zero_padding_stands_for_all():
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 3, padding=1))
    with torch.no_grad():
        net[0].bias.copy_(torch.tensor([0.3, 1.0, 2.0, -1.0, 0.5, 0.7]))
    mask = np.ones((6, 1, 3, 3))
    mask[1:] = 0  # four constants above zero, one of zero
    assert check(net, {"0.weight": mask}, (1, 8, 8))[0].out_channels == 2


def test_without_padding_it_goes():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 3))
    with torch.no_grad():
        net[0].bias.fill_(1.0)
    mask = np.ones((2, 1, 3, 3))
    mask[1] = 0
    assert check(net, {"0.weight": mask}, (1, 8, 8))[0].out_channels == 1


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.first = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.project = nn.Conv2d(8, 12, 1)
        self.third = nn.Conv2d(8, 12, 3, padding=1)
        self.classifier = nn.Linear(12, 3)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = x + self.second(F.relu(self.norm(self.first(x))))
        x = F.relu(self.third(x) + self.project(x))
        return self.classifier(F.max_pool2d(x, 2).mean((2, 3)))


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 6, 3, padding=1)
        self.b = nn.Conv2d(6, 6, 3, padding=1)
        self.c = nn.Conv2d(12, 4, 1)
        self.d = nn.Linear(4 * 16, 3)

    def forward(self, x):
        x = F.relu(self.a(x))
        x = torch.cat([x, F.relu(self.b(x))], dim=1)
        x = F.avg_pool2d(self.c(x), 2)
        return self.d(x.view(x.size(0), -1))


class HardCoded(Dense):
    def forward(self, x):
        x = F.relu(self.a(x))
        x = torch.cat([x, F.relu(self.b(x))], dim=1)
        x = F.avg_pool2d(self.c(x), 2)
        return self.d(x.view(-1, 64))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 8, 3)
        self.gate = nn.Linear(8, 8)
        self.b = nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.a(x))
        gate = torch.sigmoid(self.gate(x.mean((2, 3))))
        return self.b((x * gate[:, :, None, None]).mean((2, 3)))


class Mobile(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(2, 8, 1),
            nn.BatchNorm2d(8),
            nn.PReLU(8),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.BatchNorm2d(8, affine=False),
            nn.ReLU6(),
            nn.Conv2d(8, 4, 1, bias=False),
            nn.AdaptiveMaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        )


class Transposed(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(2, 6, 3, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(6, 5, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(5, 3, 1),
        )


class Normed(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Flatten(),
            nn.Linear(128, 10),
            nn.LayerNorm(10),
            nn.GELU(),
            nn.Linear(10, 3),
        )


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(128, 8)
        self.b = nn.Linear(8, 8)
        self.c = nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.a(x.flatten(1)))
        return self.c(F.relu(self.b(F.relu(self.b(x)))))


@pytest.mark.parametrize(
    "kind",
    [Residual, Dense, HardCoded, Gated, Mobile, Transposed, Normed, Shared],
)
def test_modules_of_users_stay_the_same(kind):
    with torch_seed(0):
        net = shaken(kind())
    for seed in range(6):
        for density in (0.05, 0.2, 0.6):
            check(net, thin_masks(net, density, seed), (2, 8, 8))


@pytest.mark.parametrize("kind", [Residual, Dense, Mobile, Transposed])
def test_thin_modules_of_users_get_smaller(kind):
    with torch_seed(0):
        net = shaken(kind())
    sizes = [
        n_parameters(check(net, thin_masks(net, 0.05, seed), (2, 8, 8)))
        for seed in range(6)
    ]
    assert min(sizes) < 0.7 * n_parameters(net)


def test_a_dead_network_is_its_constant():
    net = shaken(make_network("lenet-5", (1, 28, 28), 10))
    masks = {name: np.zeros_like(m) for name, m in thin_masks(net, 0.5).items()}
    small = check(net, masks, (1, 28, 28))
    assert n_parameters(small) < 1000


def test_masks_of_torch_and_training_mode():
    net = shaken(make_network("mlp", (20,), 4, hidden_layer_sizes=(30,)))
    masks = thin_masks(net, 0.05)
    plain = compact(net, masks, (20,))
    masked = apply_masks(copy.deepcopy(net).train(), masks)
    small = compact(masked, None, (20,))
    assert masked.training and not small.training
    sample = torch.randn(3, 20)
    torch.testing.assert_close(small(sample), plain(sample))
    assert n_parameters(small) == n_parameters(plain)


def test_errors_name_the_parameter():
    net = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="masks"):
        compact(net, {"foo": np.ones((2, 3))}, (3,))
    with pytest.raises(TypeError, match="module"):
        compact(nn.Linear, {}, (3,))


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


def _pruned_bias(net):
    prune.random_unstructured(net[0], "bias", amount=0.5)
    prune.l1_unstructured(net[2], "bias", amount=0.5)
    net(torch.randn(2, 6))


def _parametrised(net):
    for key in ("weight", "bias"):
        parametrize.register_parametrization(net[2], key, Doubled())


def _weight_norm(net):
    parametrizations.weight_norm(net[2])


def _nested_masks(net):
    prune.ln_structured(net[2], "weight", amount=0.5, n=2, dim=0)
    prune.random_unstructured(net[2], "weight", amount=0.5)


def _hooks(net):
    net[0].register_forward_hook(lambda *args: None)
    net[2].register_forward_pre_hook(lambda *args: None)


@pytest.mark.parametrize(
    "change", [_pruned_bias, _parametrised, _weight_norm, _nested_masks, _hooks]
)
def test_modules_with_masks_hooks_and_parametrisations(change):
    with torch_seed(0):
        net = nn.Sequential(
            nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 15), nn.ReLU(), nn.Linear(15, 3)
        )
        change(net)
    shapes = {"0.weight": (20, 6), "2.weight": (15, 20), "4.weight": (3, 15)}
    rng = np.random.default_rng(0)
    masks = {name: rng.random(shape) < 0.1 for name, shape in shapes.items()}
    kinds = [type(part) for part in net.modules()]
    hooks = [list(part._forward_pre_hooks.values()) for part in net.modules()]
    small = check(net, masks, (6,))
    assert n_parameters(small) < 400
    assert [type(part) for part in net.modules()] == kinds
    assert [list(p._forward_pre_hooks.values()) for p in net.modules()] == hooks
    # What is left is plain: it can be copied and written.
    assert not any("_orig" in name for name in copy.deepcopy(small).state_dict())
    pickle.loads(pickle.dumps(small))


def test_masked_outputs_are_kept_as_the_user_computes_them():
    net = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3))
    apply_masks(net, thin_masks(net, 0.3))
    sample = torch.randn(5, 6)
    torch.testing.assert_close(compact(net, None, (6,))(sample), net(sample))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_dtypes(dtype):
    net = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 3)).to(dtype)
    small = compact(net, thin_masks(net, 0.1), (6,))
    expected = torch.float64 if dtype == torch.float64 else torch.float32
    assert all(p.dtype == expected for p in small.parameters())


class Functional(nn.Module):
    """Weights of layers that are never called, and shapes that are computed."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 8, 3, bias=False)
        self.b = nn.Conv2d(8, 6, 3, bias=False)
        self.scale = nn.Parameter(torch.randn(6, 1, 1))
        self.c = nn.Linear(6 * 16, 3)

    def forward(self, x):
        x = F.relu(F.conv2d(x, self.a.weight)) + 0.3
        x = F.conv2d(x, weight=self.b.weight) * self.scale
        return self.c(x.view(-1, x.shape[1] * x.shape[2] * x.shape[3]))


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(128, 20)
        self.first = nn.Linear(20, 3)
        self.second = nn.Linear(20, 2)

    def forward(self, x):
        x = torch.tanh(self.trunk(x.flatten(1)))
        return self.first(x), {"second": self.second(x)}


class SharedNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 8, 3)
        self.b = nn.Conv2d(8, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.c = nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.a(x)))
        return self.c(F.relu(self.norm(self.b(x))).mean((2, 3)))


class Reflected(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(2, 8, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 9, 3, padding=1, padding_mode="circular"),
            nn.BatchNorm2d(9, track_running_stats=False),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(36, 3),
        )


class ZeroShortcut(nn.Module):
    """Channels of zeros are joined to the shortcut."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 6, 3, padding=1)
        self.b = nn.Conv2d(6, 10, 3, padding=1)
        self.c = nn.Linear(10, 3)

    def forward(self, x):
        x = F.relu(self.a(x))
        zeros = torch.zeros(len(x), 4, *x.shape[2:]).to(x)
        return self.c(F.relu(self.b(x) + torch.cat([x, zeros], 1)).mean((2, 3)))


class Blocks(nn.Module):
    """A transformer block on tokens."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(64, 8)
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.first = nn.Linear(8, 32)
        self.second = nn.Linear(32, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.embed(x.flatten(2))
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + torch.softmax(q @ k.transpose(1, 2), -1) @ v
        x = x + self.second(F.gelu(self.first(x)))
        return self.head(x.mean(1))


class Scaled(nn.Module):
    """A tensor that no one registered has as many entries as there are units."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(128, 30)
        self.b = nn.Linear(30, 10)
        self.c = nn.Linear(10, 3)
        self.scale = torch.linspace(0.5, 2, 10)

    def forward(self, x):
        x = F.relu(self.b(F.relu(self.a(x.flatten(1)))))
        return self.c(x * self.scale.to(x))


OTHERS = [
    Functional,
    TwoHeads,
    SharedNorm,
    Reflected,
    ZeroShortcut,
    Blocks,
]


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("density", [0.0, 0.05, 0.3, 1.0])
def test_other_modules_of_users_stay_the_same(kind, density):
    with torch_seed(0):
        net = shaken(kind())
    sizes = [
        n_parameters(check(net, thin_masks(net, density, seed), (2, 8, 8)))
        for seed in range(3)
    ]
    assert max(sizes) <= n_parameters(net)
    if density == 0.05 and kind is not ZeroShortcut:
        assert min(sizes) < 0.8 * n_parameters(net)


def test_channels_with_sizes_in_the_code_stay_with_a_reason():
    with torch_seed(0):
        net = shaken(Scaled())
    masks = thin_masks(net, 0.02)
    with pytest.warns(UserWarning, match="dead channels of Scaled stay: without them"):
        small = compact(net, masks, (2, 8, 8))
    assert small.b.out_features == 10 and small.a.out_features < 30


def test_what_only_sizes_in_the_code_would_let_go_is_refused():
    class Rigid(nn.Sequential):
        def forward(self, x):
            return self[1](F.relu(self[0](x)) * torch.ones(5))

    mask = np.ones((5, 3))
    mask[0] = 0
    with pytest.raises(ValueError, match="module Rigid cannot be made smaller"):
        compact(Rigid(nn.Linear(3, 5), nn.Linear(5, 2)), {"0.weight": mask}, (3,))


def test_constants_of_constants_fold():
    net = nn.Sequential(
        nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)
    )
    first, second = np.ones((3, 2)), np.ones((3, 3))
    first[1] = 0  # a constant ...
    second[0] = [0, 1, 0]  # ... that alone feeds another
    small = check(net, {"0.weight": first, "2.weight": second}, (2,))
    assert [small[i].in_features for i in (0, 2, 4)] == [2, 2, 2]


def test_constants_that_differ_by_place_stay():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 1, 1)
    )
    with torch.no_grad():
        net[0].bias.fill_(1.0)
    first, second = np.ones((2, 1, 3, 3)), np.ones((2, 2, 3, 3))
    first[1] = 0  # constant, until the padding of the next layer sees it
    second[1, 0] = 0  # a channel of that constant only: not the same at the border
    with pytest.warns(UserWarning, match="does not add the same at all places"):
        small = compact(net, {"0.weight": first, "1.weight": second}, (1, 6, 6))
    assert [part.in_channels for part in small] == [1, 2, 2]
    check(net, {"0.weight": first, "1.weight": second}, (1, 6, 6))


def test_units_alive_but_read_through_pruned_weights_only_go():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    mask = np.ones((2, 4))
    mask[:, 2] = 0
    assert check(net, {"2.weight": mask}, (3,))[0].out_features == 3


def test_channels_alive_at_no_pixel_that_matters_go():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 3, stride=3))
    net[0].bias.data.zero_()
    padded = nn.Sequential(nn.ZeroPad2d((4, 0, 4, 0)), *net)
    masks = {"1.weight": np.ones((2, 1, 3, 3)), "3.weight": np.zeros((1, 2, 3, 3))}
    masks["3.weight"][0, 0] = 1
    masks["3.weight"][0, 1, 0, 0] = 1  # sees padding only
    small = check(padded, masks, (1, 3, 3))
    assert small[1].out_channels == 1


def test_rules_of_the_user():
    class Squared(nn.Module):
        def __init__(self, n_features):
            super().__init__()
            self.gain = nn.Parameter(torch.rand(n_features))

        def forward(self, x):
            return torch.sinc(x * self.gain)

    net = nn.Sequential(
        nn.Linear(6, 20), Squared(20), nn.Linear(20, 15), nn.ReLU(), nn.Linear(15, 3)
    )
    masks = thin_masks(net, 0.05)
    sample = torch.randn(5, 6)
    masked = pruned_copy(net, masks)
    for rule in ("identity", lambda module, x: x):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Some dead channels")
            small = compact(net, masks, (6,), rules={Squared: rule})
        torch.testing.assert_close(small(sample), masked(sample))
        assert small[2].out_features < 15 and small[0].out_features == 20
