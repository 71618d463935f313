"""Network architectures: counts of the papers, shapes, errors, copies, tracing."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sklvyso.networks._layers import ACTIVATIONS
from sklvyso.networks._registry import available_networks, make_network

PAPER_WEIGHTS = [
    ("lenet-300-100", (1, 28, 28), 10, 266_200),
    ("lenet-5", (3, 32, 32), 10, 61_770),
    ("vgg16", (3, 32, 32), 10, 14_715_584),
    ("vgg19", (3, 32, 32), 100, 20_070_080),
    ("resnet18", (3, 64, 64), 200, 11_261_632),
    ("gem-resnet18", (3, 32, 32), 5, 1_090_940),
]

# name, torch shape of one sample, keywords that keep it small
SMALL = [
    ("mlp", (7,), {"hidden_layer_sizes": (5, 4), "dropout": 0.5}),
    ("mlp", (2, 3, 4), {"hidden_layer_sizes": ()}),
    ("lenet-300-100", (1, 8, 8), {}),
    ("lenet-5", (1, 28, 28), {}),
    ("lenet-5", (3, 16, 17), {"pooling": "max"}),
    ("lenet-5", (1, 8, 8), {"padding": "same"}),
    ("lenet-5", (2, 5, 9), {"padding": "same", "pooling": "max"}),
    ("vgg16", (3, 32, 32), {"width_multiplier": 0.0625}),
    ("vgg19", (1, 65, 33), {"width_multiplier": 0.03}),
    ("resnet18", (3, 32, 32), {"width": 4}),
    ("resnet18", (1, 3, 2), {"width": 4, "stem": "large"}),
    ("resnet50", (3, 16, 16), {"width": 4}),
    ("resnet50", (3, 128, 130), {"width": 2}),
    ("gem-resnet18", (3, 32, 32), {"width": 4}),
    ("gem-resnet18", (1, 8, 8), {}),
]
small_networks = pytest.mark.parametrize(
    ("name", "input_shape", "kwargs"), SMALL, ids=[f"{c[0]}-{c[1]}" for c in SMALL]
)


def weighted_layers(module):
    return [m for m in module.modules() if isinstance(m, nn.Linear | nn.Conv2d)]


def n_weights(module):
    return sum(layer.weight.numel() for layer in weighted_layers(module))


def n_values(module):
    """Parameters and running statistics, as Keras counts them."""
    buffers = (b.numel() for b in module.buffers() if b.is_floating_point())
    return sum(p.numel() for p in module.parameters()) + sum(buffers)


def batch(input_shape, n=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *input_shape, generator=generator)


@pytest.mark.parametrize(("name", "shape", "n_outputs", "count"), PAPER_WEIGHTS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_number_of_weights_is_that_of_the_paper(
    name, shape, n_outputs, count, batch_norm
):
    network = make_network(name, shape, n_outputs, batch_norm=batch_norm)
    assert n_weights(network) == count


@pytest.mark.parametrize(
    ("widths", "n_inputs", "n_outputs", "count"),
    [((32, 32), 2, 3, 1_184), ((1024, 1024), 784, 10, 1_861_632)],
)
def test_number_of_weights_of_other_fully_connected_networks(
    widths, n_inputs, n_outputs, count
):
    network = make_network("mlp", (n_inputs,), n_outputs, hidden_layer_sizes=widths)
    assert n_weights(network) == count


@pytest.mark.parametrize(
    ("name", "shape", "n_outputs", "total"),
    [
        ("lenet-300-100", (1, 28, 28), 10, 268_250),
        ("lenet-5", (3, 32, 32), 10, 62_950),
        ("vgg16", (3, 32, 32), 10, 14_736_754),
        ("vgg19", (3, 32, 32), 100, 20_098_100),
    ],
)
def test_total_count_is_that_of_the_reference(name, shape, n_outputs, total):
    # The reference also normalizes the logits (4 values each); we do not.
    network = make_network(name, shape, n_outputs, batch_norm=True)
    assert n_values(network) + 4 * n_outputs == total


def test_total_count_of_resnet18():
    network = make_network("resnet18", (3, 64, 64), 200, batch_norm=True, bias=False)
    n_normalized = 64 * 5 + 128 * 5 + 256 * 5 + 512 * 5
    assert n_values(network) == 11_261_632 + 4 * n_normalized


def test_layer_order_of_resnet18_is_that_of_the_paper():
    network = make_network("resnet18", (3, 64, 64), 200)
    shapes = [tuple(layer.weight.shape) for layer in weighted_layers(network)]
    assert shapes[:8] == [
        (64, 3, 3, 3),
        *[(64, 64, 3, 3)] * 4,
        (128, 64, 3, 3),
        (128, 128, 3, 3),
        (128, 64, 1, 1),
    ]
    assert shapes[-1] == (200, 512)
    assert sum(shape[2:] == (1, 1) for shape in shapes) == 3


def test_gem_resnet18_has_21_layers_and_1500_normalized_channels():
    network = make_network("gem-resnet18", (3, 32, 32), 5, batch_norm="non-affine")
    assert len(weighted_layers(network)) == 21
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(norm.num_features for norm in norms) == 1500
    assert isinstance(network.classifier, nn.Conv2d)


def test_resnet50_has_the_known_number_of_parameters():
    network = make_network("resnet50", (3, 224, 224), 1000, batch_norm=True, bias=True)
    assert sum(p.numel() for p in network.parameters()) == 25_557_032


def test_lenet_300_100_is_the_default_mlp():
    torch.manual_seed(0)
    one = make_network("lenet-300-100", (1, 28, 28), 10)
    torch.manual_seed(0)
    other = make_network("mlp", (784,), 10)
    X = batch((1, 28, 28))
    assert torch.equal(one(X), other(X))
    assert torch.equal(one(X), one(X.flatten(1)))


@small_networks
@pytest.mark.parametrize("batch_norm", [False, True, "non-affine"])
def test_network_is_a_plain_traceable_copyable_module(
    name, input_shape, kwargs, batch_norm
):
    torch.manual_seed(0)
    network = make_network(name, input_shape, 4, batch_norm=batch_norm, **kwargs)
    network.eval()
    X = batch(input_shape)
    logits = network(X)
    assert logits.shape == (3, 4)
    assert torch.isfinite(logits).all()
    assert torch.equal(torch.fx.symbolic_trace(network)(X), logits)
    assert torch.equal(pickle.loads(pickle.dumps(network))(X), logits)
    assert torch.equal(copy.deepcopy(network)(X), logits)
    assert network.classifier.weight.shape[0] == 4


@small_networks
def test_every_parameter_gets_a_gradient(name, input_shape, kwargs):
    torch.manual_seed(0)
    network = make_network(name, input_shape, 3, batch_norm=True, **kwargs)
    network(batch(input_shape, n=4)).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert network.classifier.weight.grad.abs().sum() > 0


@small_networks
def test_same_seed_gives_same_weights(name, input_shape, kwargs):
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(make_network(name, input_shape, 3, **kwargs).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert any(not torch.equal(states[0][key], states[2][key]) for key in states[0])


@small_networks
@pytest.mark.parametrize("batch_norm", [False, "non-affine"])
def test_bias_false_leaves_no_bias_anywhere(name, input_shape, kwargs, batch_norm):
    network = make_network(
        name, input_shape, 3, bias=False, batch_norm=batch_norm, **kwargs
    )
    names = [key for key, _ in network.named_parameters()]
    assert all(key.endswith("weight") for key in names)
    assert len(names) == len(weighted_layers(network))


@small_networks
def test_no_normalization_unless_asked(name, input_shape, kwargs):
    network = make_network(name, input_shape, 3, **kwargs)
    assert not list(network.buffers())
    biased = make_network(name, input_shape, 3, bias=True, **kwargs)
    assert all(layer.bias is not None for layer in weighted_layers(biased))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "gem-resnet18"])
def test_normalized_residual_convolutions_have_no_bias(name):
    network = make_network(name, (3, 8, 8), 3, batch_norm=True, width=4)
    *convolutions, classifier = weighted_layers(network)
    assert all(layer.bias is None for layer in convolutions)
    assert classifier.bias is not None


@pytest.mark.parametrize("activation", [*ACTIVATIONS, nn.Softplus])
def test_max_pooling_order_does_not_change_lenet(activation):
    torch.manual_seed(0)
    network = make_network(
        "lenet-5", (3, 32, 32), 4, pooling="max", activation=activation
    )
    act = (ACTIVATIONS.get(activation) or activation)()
    conv1, conv2, *linear = weighted_layers(network)
    X = batch((3, 32, 32))
    hidden = nn.functional.max_pool2d(act(conv1(X)), 2)
    hidden = nn.functional.max_pool2d(act(conv2(hidden)), 2).flatten(1)
    expected = linear[2](act(linear[1](act(linear[0](hidden)))))
    assert torch.equal(network(X), expected)


def test_average_pooling_follows_the_activation():
    network = make_network("lenet-5", (1, 28, 28), 3)
    kinds = [type(layer) for layer in network.layers[:3]]
    assert kinds == [nn.Conv2d, nn.ReLU, nn.AvgPool2d]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["average", "max"]),
)
def test_lenet_with_same_padding_takes_any_image_size(channels, height, width, pooling):
    shape = (channels, height, width)
    network = make_network("lenet-5", shape, 2, padding="same", pooling=pooling)
    assert network(batch(shape, n=2)).shape == (2, 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_lenet_with_valid_padding_needs_16_pixels(height, width):
    if min(height, width) < 16:
        with pytest.raises(ValueError, match=r"at least \(C, 16, 16\).*padding='same'"):
            make_network("lenet-5", (1, height, width), 2)
    else:
        network = make_network("lenet-5", (1, height, width), 2)
        assert network(batch((1, height, width))).shape == (3, 2)


def test_vgg_averages_maps_larger_than_one_place():
    for size, is_averaged in (((32, 63), False), ((32, 64), True), ((96, 64), True)):
        network = make_network("vgg16", (3, *size), 2, width_multiplier=0.25)
        kinds = [type(layer) for layer in network.layers]
        assert network.classifier.in_features == 128
        assert (nn.AdaptiveAvgPool2d in kinds) == is_averaged
        assert network(batch((3, *size))).shape == (3, 2)


def test_resnet50_stem_follows_the_image_size():
    small = make_network("resnet50", (3, 127, 200), 2, width=2)
    large = make_network("resnet50", (3, 128, 128), 2, width=2)
    assert small.stem[0].kernel_size == (3, 3)
    assert large.stem[0].kernel_size == (7, 7)
    assert make_network("resnet18", (3, 128, 128), 2, width=2).stem[0].stride == (1, 1)


VARIANCES = {
    "kaiming_normal": lambda fan_in, fan_out: 2 / fan_in,
    "kaiming_uniform": lambda fan_in, fan_out: 2 / fan_in,
    "signed_kaiming_constant": lambda fan_in, fan_out: 2 / fan_in,
    "xavier_normal": lambda fan_in, fan_out: 4 / (fan_in + fan_out),
    "variance_scaling": lambda fan_in, fan_out: 4 / (fan_in + fan_out),
}


@pytest.mark.parametrize("method", VARIANCES)
def test_initialization_has_its_variance_and_no_bias(method):
    torch.manual_seed(0)
    network = make_network(
        "vgg16", (3, 32, 32), 10, width_multiplier=0.5, initialization=method
    )
    for layer in weighted_layers(network):
        weight = layer.weight.detach().double()
        size = math.prod(weight.shape[2:])
        variance = VARIANCES[method](weight.shape[1] * size, weight.shape[0] * size)
        # Six standard errors of a mean square of normal draws (kurtosis 3).
        tolerance = 6 * math.sqrt(2 / weight.numel())
        assert weight.square().mean() == pytest.approx(variance, rel=tolerance)
        assert abs(weight.mean()) < 6 * math.sqrt(variance / weight.numel())
        assert not layer.bias.any()


def test_variance_scaling_is_cut_at_two_standard_deviations():
    torch.manual_seed(0)
    network = make_network("mlp", (784,), 10, initialization="variance_scaling")
    weight = network.layers[1].weight.detach()
    # 0.87962566103423978 is the standard deviation after the cut (Keras' constant).
    bound = 2 * math.sqrt(4 / 1084) / 0.87962566103423978
    assert 0.99 * bound < weight.abs().max() <= bound * (1 + 1e-6)


def test_signed_kaiming_constant_has_two_values_and_fair_signs():
    torch.manual_seed(0)
    network = make_network("mlp", (784,), 10, initialization="signed_kaiming_constant")
    weight = network.layers[1].weight.detach()
    np.testing.assert_allclose(weight.abs(), math.sqrt(2 / 784), rtol=1e-6)
    assert (weight > 0).float().mean() == pytest.approx(0.5, abs=0.01)


def test_no_initialization_draws_no_further_numbers():
    torch.manual_seed(0)
    make_network("mlp", (8,), 3, hidden_layer_sizes=(5,))
    after = torch.rand(1)
    torch.manual_seed(0)
    nn.Linear(8, 5), nn.Linear(5, 3)
    assert torch.equal(torch.rand(1), after)


def test_callable_initialization_gets_the_network_once():
    seen = []
    network = make_network("mlp", (8,), 3, initialization=seen.append)
    assert len(seen) == 1 and seen[0] is network


def test_initialization_resets_normalization_layers():
    from sklvyso.networks._initialization import initialize

    network = make_network("mlp", (8,), 3, batch_norm=True)
    fresh = copy.deepcopy(network.layers[2].state_dict())
    network.train()(batch((8,)))
    nn.init.constant_(network.layers[2].weight, 3.0)
    initialize(network, "kaiming_normal")
    state = network.layers[2].state_dict()
    assert all(torch.equal(state[key], fresh[key]) for key in fresh)


@pytest.mark.parametrize(
    ("name", "shape", "n_outputs", "kwargs", "error", "message"),
    [
        (
            "lenet5",
            (1, 28, 28),
            2,
            {},
            ValueError,
            r"name must be one of \['mlp'.*'len",
        ),
        (None, (4,), 2, {}, ValueError, "name must be one of"),
        ("mlp", (4,), 0, {}, ValueError, "n_outputs must be at least 1. Got 0"),
        ("mlp", (4,), 2.0, {}, TypeError, "n_outputs must be an int"),
        ("mlp", (4,), True, {}, TypeError, "n_outputs must be an int"),
        ("mlp", 4, 2, {}, TypeError, "input_shape must be"),
        ("mlp", (4.0,), 2, {}, TypeError, "input_shape must be"),
        ("mlp", (), 2, {}, ValueError, "input_shape must be"),
        ("mlp", (0,), 2, {}, ValueError, "input_shape must be"),
        ("lenet-5", (28, 28), 2, {}, ValueError, r"A grey image has.*\(1, H, W\)"),
        ("lenet-5", (784,), 2, {}, ValueError, r"\(C, H, W\): lenet-5.* needs images"),
        ("vgg16", (3, 32, 31), 2, {}, ValueError, r"at least \(C, 32, 32\)"),
        ("resnet18", (9,), 2, {}, ValueError, "resnet18 needs images"),
        ("mlp", (4,), 2, {"width": 3}, TypeError, r"'mlp' must be among \['hidden_la"),
        ("vgg16", (3, 32, 32), 2, {"depth": 19}, TypeError, r"Got \['depth'\] instead"),
        ("mlp", (4,), 2, {"bias": 1}, TypeError, "bias must be True or False"),
        ("mlp", (4,), 2, {"batch_norm": "affine"}, ValueError, "'non-affine'"),
        ("mlp", (4,), 2, {"batch_norm": 1}, ValueError, "'non-affine'"),
        ("mlp", (4,), 2, {"activation": "relu6"}, ValueError, "activation must be"),
        ("mlp", (4,), 2, {"activation": nn.ReLU()}, TypeError, "not an instance"),
        ("mlp", (4,), 2, {"initialization": "he"}, ValueError, "initialization must"),
        ("mlp", (4,), 2, {"initialization": 3}, TypeError, "initialization must"),
        ("mlp", (4,), 2, {"dropout": 1.0}, ValueError, r"dropout must be in \[0, 1\)"),
        ("mlp", (4,), 2, {"dropout": "a"}, TypeError, "dropout must be a float"),
        ("mlp", (4,), 2, {"hidden_layer_sizes": 9}, TypeError, "must be a sequence"),
        ("mlp", (4,), 2, {"hidden_layer_sizes": (0,)}, ValueError, "each of hidden"),
        ("lenet-5", (1, 28, 28), 2, {"pooling": "mean"}, ValueError, "pooling must be"),
        ("lenet-5", (1, 28, 28), 2, {"padding": 2}, ValueError, "padding must be one"),
        ("vgg16", (3, 32, 32), 2, {"width_multiplier": 0}, ValueError, "be positive"),
        ("resnet18", (3, 8, 8), 2, {"width": -1}, ValueError, "width must be at least"),
        ("resnet18", (3, 8, 8), 2, {"stem": "7x7"}, ValueError, "stem must be one of"),
        ("gem-resnet18", (3, 8, 8), 2, {"stem": "small"}, TypeError, "must be among"),
    ],
)
def test_error_names_argument_value_and_mend(
    name, shape, n_outputs, kwargs, error, message
):
    with pytest.raises(error, match=message):
        make_network(name, shape, n_outputs, **kwargs)


def test_numpy_scalars_are_taken():
    network = make_network(
        "mlp",
        np.array([3, 4, 5]),
        np.int64(2),
        bias=np.bool_(True),
        batch_norm=np.bool_(False),
        dropout=np.float32(0.5),
    )
    assert network(batch((3, 4, 5))).shape == (3, 2)


def test_available_networks_is_a_fresh_list():
    available_networks().clear()
    assert len(available_networks()) == 8
