"""Effective masks of wrapped, shared and odd modules; the module stays as it was."""

import copy
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize, prune

from sklvyso.sparsity import UnsupportedModuleError, effective_masks, sparsity_report

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from connectivity import Graph


def mlp():
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.Linear(5, 2))


SHAPES = {"0.weight": (5, 4), "2.weight": (5, 5), "3.weight": (2, 5)}


def random_masks(seed=3, density=0.35, shapes=None):
    rng = np.random.default_rng(seed)
    return {n: rng.random(s) < density for n, s in (shapes or SHAPES).items()}


MASKS = random_masks()
EXPECTED = effective_masks(mlp(), MASKS, (4,))


def assert_equal_masks(found, expected):
    assert list(found) == list(expected)
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name], mask, err_msg=name)


def test_weight_and_bias_may_both_be_parametrised():
    layer = nn.Linear(3, 2)
    for key in ("weight", "bias"):
        nn.utils.parametrize.register_parametrization(layer, key, nn.Identity())
    mask = np.array([[1, 0, 1], [0, 0, 0]], dtype=bool)
    found = effective_masks(nn.Sequential(layer), {"0.weight": mask}, (3,))
    np.testing.assert_array_equal(found["0.weight"], mask)
    assert nn.utils.parametrize.is_parametrized(layer, "bias")


def test_the_example_has_active_and_inactive_weights():
    n_kept, n_active = (
        sum(int(m.sum()) for m in masks.values()) for masks in (MASKS, EXPECTED)
    )
    assert 0 < n_active < n_kept


# -- masks of torch, parametrizations ---------------------------------------------


def put_masks(module, masks):
    for name, mask in masks.items():
        layer = module.get_submodule(name.rpartition(".")[0])
        prune.custom_from_mask(layer, "weight", torch.from_numpy(mask))
    return module


def test_masks_of_torch_are_read():
    assert_equal_masks(effective_masks(put_masks(mlp(), MASKS), None, (4,)), EXPECTED)


def test_masks_of_torch_and_given_ones_must_both_keep():
    first, second = random_masks(1, 0.6), random_masks(2, 0.6)
    both = {name: first[name] & second[name] for name in first}
    found = effective_masks(put_masks(mlp(), first), second, (4,))
    assert_equal_masks(found, effective_masks(mlp(), both, (4,)))


@pytest.mark.parametrize(
    "wrap",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        parametrizations.orthogonal,
    ],
    ids=["weight_norm", "spectral_norm", "orthogonal"],
)
@pytest.mark.filterwarnings("ignore:.*_reduction.*:FutureWarning")
def test_parametrised_weights_have_their_masks(wrap):
    module = mlp()
    for i in (0, 2, 3):
        wrap(module[i])
    assert_equal_masks(effective_masks(module, MASKS, (4,)), EXPECTED)
    assert all(parametrize.is_parametrized(module[i], "weight") for i in (0, 2, 3))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weights_of_old_hooks_have_their_masks():
    module = mlp()
    for i in (0, 3):
        nn.utils.weight_norm(module[i])
    assert_equal_masks(effective_masks(module, MASKS, (4,)), EXPECTED)


# -- sharing ----------------------------------------------------------------------


def test_shared_weight_is_active_if_any_use_is():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.second(self.first(x))

    mask = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=bool)
    # 0 -> 1 -> 2: each weight is of use in one of the layers.
    found = effective_masks(Shared(), {"first.weight": mask}, (3,))
    assert_equal_masks(found, {"first.weight": mask})
    graph = Graph({"first.weight": mask})
    x = graph.nodes((3,))
    y = graph.linear(graph.linear(x, "first.weight"), "first.weight")
    assert_equal_masks(found, graph.effective(x, y))


def test_weight_tied_to_an_embedding_is_one_weight():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(3, 2), nn.Linear(2, 3)
            self.out.weight = self.table.weight

        def forward(self, x):
            return self.out(self.table(x.long()).sum(1))

    mask = np.array([[1, 0], [0, 0], [1, 0]])
    found = effective_masks(Tied(), {"out.weight": mask}, (4,))
    assert_equal_masks(found, {"out.weight": mask != 0})


def test_layer_without_use_is_inactive():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return self.used(x)

    ones = np.ones((2, 3), dtype=bool)
    masks = {"used.weight": ones, "spare.weight": ones}
    found = effective_masks(Spare(), masks, (3,))
    assert_equal_masks(found, {"used.weight": ones, "spare.weight": ~ones})


# -- wrappers ---------------------------------------------------------------------


class InLists(nn.Module):
    def __init__(self, module):
        super().__init__()
        for name, part in module.named_children():
            self.add_module(name, part)
        self.steps = [{"layers": list(self.children())}]

    def forward(self, x):
        for layer in self.steps[0]["layers"]:
            x = layer(x)
        return x


class WithLock(InLists):
    def __init__(self, module):
        super().__init__(module)
        self.lock = threading.Lock()

    def forward(self, x):
        with self.lock:
            return super().forward(x)


class ByClosure(InLists):
    def __init__(self, module):
        super().__init__(module)
        layers = list(module)
        self.steps = lambda x: layers[3](layers[2](layers[1](layers[0](x))))

    def forward(self, x):
        return self.steps(x)


def patched(module):
    own = InLists(module)
    own.forward = types.MethodType(lambda self, x: InLists.forward(self, x), own)
    return own


def as_outputs(kind):
    class Outputs(InLists):
        def forward(self, x):
            return kind(super().forward(x))

    return Outputs


class Checkpointed(InLists):
    def forward(self, x):
        forward = super().forward
        return torch.utils.checkpoint.checkpoint(forward, x, use_reentrant=False)


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


WRAPPERS = {
    "plain_lists": InLists,
    "lock": WithLock,
    "closure": ByClosure,
    "patched_forward": patched,
    "symbolic_trace": torch.fx.symbolic_trace,
    "dict_output": as_outputs(lambda y: {"logits": y}),
    "tuple_output": as_outputs(lambda y: (y, None, 3)),
    "checkpoint": Checkpointed,
    "data_parallel": lambda m: nn.Sequential(*nn.DataParallel(m).module),
    "bfloat16": lambda m: m.bfloat16(),
    "half": lambda m: m.half(),
    "float64": lambda m: m.double(),
    "training": lambda m: m.train(),
    "compiled": torch.compile,
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrapped_modules_have_the_same_masks(wrapper):
    assert_equal_masks(effective_masks(WRAPPERS[wrapper](mlp()), MASKS, (4,)), EXPECTED)


def test_compiled_parts_are_seen_through():
    module = mlp()
    module[2] = torch.compile(module[2])
    masks = {n.replace("2.", "2._orig_mod."): m for n, m in MASKS.items()}
    found = effective_masks(module, masks, (4,))
    assert_equal_masks(dict(zip(MASKS, found.values(), strict=True)), EXPECTED)


def test_module_that_compiles_itself_is_seen_through():
    module = mlp()
    module.compile()
    assert_equal_masks(effective_masks(module, MASKS, (4,)), EXPECTED)


def test_function_with_its_own_gradient_is_followed_or_refused():
    class Binarised(InLists):
        def forward(self, x):
            return super().forward(Straight.apply(x))

    assert_equal_masks(effective_masks(Binarised(mlp()), MASKS, (4,)), EXPECTED)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.astype(float),
        lambda m: m.astype(np.int8),
        torch.from_numpy,
        lambda m: torch.from_numpy(m).float().requires_grad_(),
        lambda m: m.tolist(),
        lambda m: np.asfortranarray(m),
        lambda m: np.repeat(m, 2, axis=0)[::2],
        lambda m: np.frombuffer(m.tobytes(), dtype=bool).reshape(m.shape),
    ],
    ids="float int8 tensor float_tensor list fortran strided read_only".split(),
)
def test_masks_of_any_array_kind(change):
    masks = {name: change(mask) for name, mask in MASKS.items()}
    assert_equal_masks(effective_masks(mlp(), masks, (4,)), EXPECTED)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_masks_do_not_depend_on_the_mode_of_autograd(context):
    masks = {"0.weight": MASKS["0.weight"]}
    expected = effective_masks(mlp(), masks, (4,))
    with context():
        assert_equal_masks(effective_masks(mlp(), masks, (4,)), expected)
        assert_equal_masks(effective_masks(mlp(), MASKS, (4,)), EXPECTED)


def test_masks_do_not_depend_on_the_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        found = effective_masks(mlp().float(), MASKS, (4,))
    finally:
        torch.set_default_dtype(torch.float32)
    assert_equal_masks(found, EXPECTED)


# -- the module stays as it was ---------------------------------------------------


class Counting(nn.Module):
    """Changes its own state whenever it runs."""

    def __init__(self, by_value):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
        self.register_buffer("n_calls", torch.zeros(()))
        self.by_value = by_value
        self.calls = []
        self.shift = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        self.n_calls += 1
        self.calls.append(len(x))
        self.layers[0].weight.data.clamp_(-0.1, 0.1)
        self.shift.data.add_(1)
        if self.by_value and x.sum() > 1e9:
            return x
        noise = torch.rand(4)
        return self.layers(F.dropout(x + noise + self.shift))


@pytest.mark.parametrize("by_value", [False, True], ids=["traced", "by_value"])
def test_module_and_generators_come_back_bit_identical(by_value):
    fired = []
    module = Counting(by_value)
    module.layers[1].eval()
    module.layers[0].weight.requires_grad_(False)
    hook = module.layers[0].register_forward_hook(lambda *a: fired.append(a))
    module.register_forward_pre_hook(lambda *a: fired.append(a))
    module.layers[2].weight.grad = torch.ones(2, 5)
    before = copy.deepcopy(module.state_dict())
    ids = [id(p) for p in module.parameters()]
    modes = [m.training for m in module.modules()]
    calls, random_state = list(module.calls), torch.get_rng_state()
    sparsity_report(module, None, (4,))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not fired
    assert hook.id in module.layers[0]._forward_hooks
    assert module.calls == calls
    assert [id(p) for p in module.parameters()] == ids
    assert [m.training for m in module.modules()] == modes
    assert not module.layers[0].weight.requires_grad
    assert torch.equal(module.layers[2].weight.grad, torch.ones(2, 5))
    after = module.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


# -- rules of the user ------------------------------------------------------------


class Flip(nn.Module):
    """A function that is not known."""

    def forward(self, x):
        return torch.fft.irfft(torch.fft.rfft(x), n=x.shape[-1])


def flipped():
    module = mlp()
    module[1] = Flip()
    return module


@pytest.mark.parametrize(
    "rules",
    [
        {Flip: "identity"},
        {Flip: lambda module, x: x},
        {torch.fft.rfft: lambda x: x, torch.fft.irfft: lambda x, n: x},
    ],
    ids=["identity", "function", "torch_functions"],
)
def test_rules_stand_for_what_is_not_known(rules):
    found = effective_masks(flipped(), MASKS, (4,), rules=rules)
    assert_equal_masks(found, EXPECTED)


def test_rule_computes_with_the_masks_of_its_module():
    class Own(nn.Linear):
        def forward(self, x):
            return torch.fft.rfft(x).real @ self.weight.T

    module = mlp()
    module[2] = Own(5, 5)
    rules = {Own: lambda module, x: F.linear(x, module.weight)}
    assert_equal_masks(effective_masks(module, MASKS, (4,), rules=rules), EXPECTED)


def test_rule_that_mixes_connects_all():
    rules = {Flip: lambda module, x: x.mean(-1, keepdim=True).expand_as(x)}
    found = effective_masks(flipped(), MASKS, (4,), rules=rules)
    way_in = MASKS["0.weight"].any(1)
    assert way_in.any()
    np.testing.assert_array_equal(found["0.weight"], MASKS["0.weight"])


# -- errors -----------------------------------------------------------------------


def unsupported(forward, **layers):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(6, 6)
            for name, layer in layers.items():
                setattr(self, name, layer)

        def forward(self, x):
            return forward(self, self.first(x))

    return nn.Sequential(Odd())


def assign_slice(net, x):
    y = torch.zeros(1, 6)
    y[:, :3] = x[:, 3:]
    return y


def change_view(net, x):
    x[:, :3].add_(net.first(x)[:, 3:])
    return x


def change_viewed(net, x):
    view = x.view(1, 2, 3)
    x += net.first(x)
    return view


UNSUPPORTED = {
    "fft": (lambda n, x: torch.fft.fft(x).real, "'fft_fft'"),
    "topk": (lambda n, x: x.topk(2).values, "'topk'"),
    "out": (lambda n, x: torch.add(x, x, out=torch.empty(1, 6)), "out="),
    "assigned_slice": (assign_slice, "'setitem'"),
    "changed_view": (change_view, "in place"),
    "changed_viewed": (change_viewed, "in place"),
    "argmax": (lambda n, x: x * x.argmax(1, keepdim=True), "argmax"),
    "only_argmax": (lambda n, x: x.argmax(1), "computed from its input"),
    "picked_by_values": (lambda n, x: x.gather(1, (x > 0).long()), "'gather'"),
    "weight_as_factor": (lambda n, x: x * n.first.weight, "outside its layer"),
    "weight_transposed": (lambda n, x: F.linear(x, n.first.weight.T), "computed from"),
    "pool_with_indices": (
        lambda n, x: F.max_pool1d(x[None], 2, return_indices=True)[0],
        "indices",
    ),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_unknown_steps_are_refused_with_their_place(name):
    forward, text = UNSUPPORTED[name]
    with pytest.raises(UnsupportedModuleError) as caught:
        effective_masks(unsupported(forward), None, (6,))
    message = str(caught.value)
    assert text in message
    assert "Register a rule" in message


def test_recurrent_layer_is_refused_by_name():
    module = unsupported(
        lambda net, x: net.lstm(x[None])[0], lstm=nn.LSTM(6, 3, batch_first=True)
    )
    with pytest.raises(UnsupportedModuleError, match=r"LSTM '0\.lstm'.*'lstm'"):
        effective_masks(module, None, (6,))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((mlp(), MASKS, (3, 7)), ValueError, r"could not process .*\(3, 7\)"),
        ((mlp(), MASKS, ()), ValueError, "input_shape must be"),
        ((mlp(), MASKS, (0,)), ValueError, "input_shape must be"),
        ((mlp(), MASKS, 4), TypeError, "input_shape must be"),
        ((mlp(), {"1.weight": [1]}, (4,)), ValueError, "masks must have names"),
        ((mlp(), {"3.weight": np.ones((5, 2))}, (4,)), ValueError, "the shape"),
        ((mlp(), {"3.weight": np.full((2, 5), 2)}, (4,)), ValueError, "zeros and ones"),
        ((mlp(), {"3.weight": np.full((2, 5), np.nan)}, (4,)), ValueError, "zeros and"),
        ((mlp(), [np.ones((5, 4))], (4,)), TypeError, "masks must be a dict"),
        ((nn.Linear, None, (4,)), TypeError, r"write Linear\(...\)"),
        (("net", None, (4,)), TypeError, "must be a torch.nn.Module"),
        ((nn.ReLU(), None, (4,)), ValueError, "to prune"),
        ((nn.LazyLinear(3), None, (4,)), ValueError, "lazy"),
    ],
    ids=[
        *("sample", "no_shape", "zero_shape", "int_shape", "name", "mask_shape"),
        *("values", "nan", "no_dict", "class", "no_module", "no_weight", "lazy"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, text):
    with pytest.raises(error, match=text):
        effective_masks(*arguments)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("nested", [False, True])
def test_scripted_modules_are_refused(nested):
    scripted = torch.jit.script(nn.Linear(4, 4))
    module = nn.Sequential(scripted, nn.Linear(4, 2)) if nested else scripted
    with pytest.raises(TypeError, match="TorchScript"):
        effective_masks(module, None, (4,))
