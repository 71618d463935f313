"""What holds for effective masks of any network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sklvyso.networks import make_network
from sklvyso.sparsity import effective_masks

seeds = st.integers(0, 2**32 - 1)
IMAGE = (2, 6, 6)


def conv_network(pool=nn.MaxPool2d):
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), pool(2)),
        *(nn.Conv2d(4, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)),
    )


def mlp():
    layers = (nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    return nn.Sequential(*layers)


NETWORKS = {"conv": (conv_network, IMAGE), "mlp": (mlp, (5,))}
every_network = pytest.mark.parametrize("network", NETWORKS)


def masks_of(module, rng, density=None):
    density = density or rng.choice([0.1, 0.2, 0.4, 0.8])
    return {
        name: rng.random(tuple(weight.shape)) < density
        for name, weight in module.named_parameters()
        if weight.dim() > 1
    }


def assert_equal_masks(found, expected):
    assert list(found) == list(expected)
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name], mask, err_msg=name)


def is_within(smaller, larger):
    return all((smaller[name] <= larger[name]).all() for name in larger)


@every_network
@settings(deadline=None, max_examples=50)
@given(seed=seeds)
def test_active_weights_are_kept_nested_and_found_again(network, seed):
    make, shape = NETWORKS[network]
    module, rng = make(), np.random.default_rng(seed)
    first, second = masks_of(module, rng), masks_of(module, rng)
    both = {name: first[name] | second[name] for name in first}
    active = {
        key: effective_masks(module, masks, shape)
        for key, masks in (("first", first), ("second", second), ("both", both))
    }
    assert is_within(active["first"], first)
    assert_equal_masks(effective_masks(module, active["first"], shape), active["first"])
    assert is_within(active["first"], active["both"])
    assert is_within(active["second"], active["both"])


@every_network
def test_dense_masks_are_active(network):
    make, shape = NETWORKS[network]
    dense = {name: np.ones_like(m) for name, m in _some_masks(make()).items()}
    assert_equal_masks(effective_masks(make(), dense, shape), dense)


def _some_masks(module):
    return masks_of(module, np.random.default_rng(0))


@every_network
@settings(deadline=None, max_examples=50)
@given(seed=seeds)
def test_channels_bound_pixels_from_above(network, seed):
    make, shape = NETWORKS[network]
    module = make()
    masks = masks_of(module, np.random.default_rng(seed))
    pixel = effective_masks(module, masks, shape)
    channel = effective_masks(module, masks, shape, granularity="channel")
    assert is_within(pixel, channel)
    if network == "mlp":
        assert_equal_masks(channel, pixel)


def test_channels_are_more_than_pixels_where_a_kernel_sees_only_padding():
    module = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1), nn.Flatten()
    )
    corner = np.zeros((1, 1, 3, 3), dtype=bool)
    corner[..., 0, 0] = True
    masks = {"0.weight": corner, "1.weight": corner}
    for size, granularity, expected in (
        (2, "pixel", 0),
        (3, "pixel", 2),
        (2, "channel", 2),
    ):
        found = effective_masks(module, masks, (1, size, size), granularity=granularity)
        assert sum(mask.sum() for mask in found.values()) == expected


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_permuted_units_permute_the_masks(seed):
    module, rng = conv_network(), np.random.default_rng(seed)
    masks = masks_of(module, rng)
    order = rng.permutation(4)
    permuted = masks | {
        "0.weight": masks["0.weight"][order],
        "4.weight": masks["4.weight"][:, order],
    }
    active = effective_masks(module, masks, IMAGE)
    expected = active | {
        "0.weight": active["0.weight"][order],
        "4.weight": active["4.weight"][:, order],
    }
    assert_equal_masks(effective_masks(module, permuted, IMAGE), expected)


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_isolated_unit_changes_nothing(seed):
    masks = masks_of(mlp(), np.random.default_rng(seed))
    active = effective_masks(mlp(), masks, (5,))
    wider = mlp()
    wider[0], wider[2] = nn.Linear(5, 7), nn.Linear(7, 5)

    def widen(given):
        return given | {
            "0.weight": np.pad(given["0.weight"], ((0, 1), (0, 0))),
            "2.weight": np.pad(given["2.weight"], ((0, 0), (0, 1))),
        }

    assert_equal_masks(effective_masks(wider, widen(masks), (5,)), widen(active))


@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_values_never_count(seed):
    module = conv_network()
    masks = masks_of(module, np.random.default_rng(seed))
    expected = effective_masks(module, masks, IMAGE)
    for value in (0.0, -1.0, float("nan")):
        with torch.no_grad():
            for tensor in module.parameters():
                tensor.fill_(value)
        assert_equal_masks(effective_masks(module, masks, IMAGE), expected)


@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_maximum_pools_as_average(seed):
    masks = masks_of(conv_network(), np.random.default_rng(seed))
    expected = effective_masks(conv_network(nn.AvgPool2d), masks, IMAGE)
    assert_equal_masks(effective_masks(conv_network(), masks, IMAGE), expected)


@settings(deadline=None, max_examples=25)
@given(seed=seeds)
def test_weights_without_a_way_out_never_change_the_output(seed):
    rng = np.random.default_rng(seed)
    module = conv_network().double().eval()
    masks = masks_of(module, rng, 0.3)
    dense_inputs = {
        n: np.ones_like(m) if n == "0.weight" else m for n, m in masks.items()
    }
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, mask in dense_inputs.items():
            parameters[name].mul_(torch.from_numpy(mask))
    active = effective_masks(module, dense_inputs, IMAGE)
    x = torch.from_numpy(rng.normal(size=(3, *IMAGE)))
    before = module(x)
    # The first layer is dense: what is inactive in it leads nowhere.
    with torch.no_grad():
        parameters["0.weight"].mul_(torch.from_numpy(active["0.weight"]))
    assert torch.equal(module(x), before)


@settings(deadline=None, max_examples=25)
@given(seed=seeds)
def test_inputs_act_through_active_weights_only(seed):
    rng = np.random.default_rng(seed)
    module = nn.Sequential(*[m for m in mlp() if isinstance(m, nn.Linear)]).double()
    masks = masks_of(module, rng, 0.4)
    active = effective_masks(module, masks, (5,))
    parameters = dict(module.named_parameters())
    x = torch.from_numpy(rng.normal(size=(5,)))

    def jacobian(kept):
        with torch.no_grad():
            for name, mask in masks.items():
                values = np.random.default_rng(1).normal(size=mask.shape)
                parameters[name].copy_(torch.from_numpy(values * kept[name]))
        return torch.autograd.functional.jacobian(module, x).numpy()

    expected = jacobian(masks)
    np.testing.assert_allclose(jacobian(active), expected, rtol=1e-12, atol=1e-14)
    # No sum of two ways of random weights cancels.
    assert ((expected != 0).any(0) == active["0.weight"].any(0)).all()


@pytest.mark.parametrize("granularity", ["pixel", "channel"])
def test_chain_of_single_ways_is_alive(granularity):
    depth = 60
    convs = [nn.Conv2d(8, 8, 3, padding=1) for _ in range(depth)]
    module = nn.Sequential(*convs, nn.Flatten(), nn.Linear(8 * 16, 4))
    rng = np.random.default_rng(0)
    masks, channel = {}, 0
    for i in range(depth):
        masks[f"{i}.weight"] = np.zeros((8, 8, 3, 3), dtype=bool)
        following = rng.integers(8)
        masks[f"{i}.weight"][following, channel, 1, 1] = True
        channel = following
    masks[f"{depth + 1}.weight"] = np.zeros((4, 8 * 16), dtype=bool)
    masks[f"{depth + 1}.weight"][2, channel * 16 + 5] = True
    found = effective_masks(module, masks, (8, 4, 4), granularity=granularity)
    assert_equal_masks(found, masks)


@pytest.mark.filterwarnings("error")
def test_wide_deep_network_is_wholly_active():
    layers = [nn.Linear(1000, 1000, bias=False) for _ in range(60)]
    with torch.no_grad():
        for layer in layers:
            layer.weight.fill_(1e30)
    module = nn.Sequential(*layers)
    dense = {f"{i}.weight": np.ones((1000, 1000), dtype=bool) for i in range(60)}
    found = effective_masks(module, dense, (1000,))
    assert all(mask.all() for mask in found.values())


def test_empty_layer_cuts_the_network():
    module = make_network("lenet-5", (3, 32, 32), 10)
    masks = {
        name: np.full(tuple(weight.shape), i != 2)
        for i, (name, weight) in enumerate(
            (n, w) for n, w in module.named_parameters() if w.dim() > 1
        )
    }
    found = effective_masks(module, masks, (3, 32, 32))
    assert not any(mask.any() for mask in found.values())
