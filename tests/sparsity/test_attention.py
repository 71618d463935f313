"""Effective masks of attention, softmax, norms, reductions and embeddings, by hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklvyso.sparsity import effective_masks


class Net(nn.Module):
    def __init__(self, forward, **layers):
        super().__init__()
        self.run = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.run(self, x)


def linear(n_in, n_out):
    return nn.Linear(n_in, n_out, bias=False)


def active(module, masks, input_shape, **kwargs):
    masks = {f"{name}.weight": np.array(mask) for name, mask in masks.items()}
    found = effective_masks(module, masks, input_shape, **kwargs)
    return {n.removesuffix(".weight"): m.astype(int).tolist() for n, m in found.items()}


# -- attention --------------------------------------------------------------------


def by_matmul(q, k, v):
    scores = (q @ k.transpose(-2, -1)) / q.shape[-1] ** 0.5
    return F.dropout(scores.softmax(-1), 0.1, False) @ v


def by_einsum(q, k, v):
    weights = torch.softmax(torch.einsum("bid,bjd->bij", q, k), dim=2)
    return torch.einsum("bij,bjd->bid", weights, v)


def by_function(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def by_heads(q, k, v):
    q, k, v = (x.reshape(x.shape[1], 1, -1).transpose(0, 1) for x in (q, k, v))
    weights = torch.bmm(q, k.mT).softmax(-1).view(1, 1, *q.shape[1:2] * 2)
    return torch.bmm(weights.view(-1, *weights.shape[2:]), v)


def by_sum(q, k, v):
    scores = (q[:, :, None] * k[:, None]).sum(-1)
    return (scores.softmax(2)[..., None] * v[:, None]).sum(2)


def transposed(q, k, v):
    return (v.mT @ (k @ q.mT).softmax(1)).mT


FORMS = (by_matmul, by_einsum, by_function, by_heads, by_sum, transposed)
each_form = pytest.mark.parametrize("form", FORMS)
NOTHING, ONES = [[0, 0], [0, 0]], [[1, 1], [1, 1]]


def attention(form):
    return Net(
        lambda n, x: n.out(form(n.q(x), n.k(x), n.v(x))),
        **{name: linear(2, 2) for name in ("q", "k", "v", "out")},
    )


@each_form
def test_value_flows_on_where_query_and_key_are_dead(form):
    masks = {"q": NOTHING, "k": NOTHING, "v": [[1, 0], [0, 0]], "out": ONES}
    found = active(attention(form), masks, (3, 2))
    expected = masks | {"out": [[1, 0], [1, 0]]}
    assert found == expected


@each_form
def test_query_and_key_count_in_pairs(form):
    masks = {"q": [[1, 0], [0, 1]], "k": [[1, 1], [0, 0]], "v": ONES, "out": ONES}
    found = active(attention(form), masks, (3, 2))
    assert found == masks | {"q": [[1, 0], [0, 0]]}


@each_form
def test_scores_end_where_there_is_no_value(form):
    masks = {"q": ONES, "k": ONES, "v": NOTHING, "out": ONES}
    found = active(attention(form), masks, (3, 2))
    assert found == dict.fromkeys(masks, NOTHING)


def test_last_softmax_connects_each_place_with_itself():
    module = Net(lambda n, x: n.a(x).softmax(-1)[:, :1], a=linear(2, 2))
    assert active(module, {"a": ONES}, (2,)) == {"a": [[1, 1], [0, 0]]}


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_multi_head_attention_prunes_its_projection(batch_first, frozen):
    layer = nn.MultiheadAttention(4, 2, batch_first=batch_first)
    layer.requires_grad_(not frozen)
    module = Net(
        lambda n, x: n.out(n.attention(n.a(x), n.a(x), n.a(x))[0]),
        a=linear(2, 4),
        attention=layer,
        out=linear(4, 1),
    )
    masks = {
        "a": [[1, 0], [0, 0], [0, 0], [0, 0]],
        "attention.out_proj": np.eye(4, dtype=int).tolist(),
        "out": [[0, 0, 1, 0]],
    }
    found = active(module, masks, (3, 2))
    projection = np.zeros((4, 4), dtype=int)
    projection[2, 2] = 1
    assert found == masks | {"attention.out_proj": projection.tolist()}


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_encoder_layer_has_a_shortcut(norm_first, frozen):
    layer = nn.TransformerEncoderLayer(
        4, 2, 3, batch_first=True, norm_first=norm_first
    ).requires_grad_(not frozen)
    module = Net(
        lambda n, x: n.out(n.layer(n.a(x))),
        a=linear(2, 4),
        layer=layer,
        out=linear(4, 1),
    )
    masks = {
        "a": [[1, 0], [0, 0], [0, 0], [0, 0]],
        "layer.self_attn.out_proj": np.zeros((4, 4), dtype=int).tolist(),
        "layer.linear1": [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]],
        "layer.linear2": [[0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]],
        "out": [[1, 1, 0, 0]],
    }
    found = active(module, masks, (3, 2))
    assert found == masks | {
        "layer.linear1": [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        "layer.linear2": [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]],
    }


# -- gates, choices ---------------------------------------------------------------


def test_gate_needs_both_sides():
    module = Net(
        lambda n, x: n.out(n.a(x) * n.gate(x).sigmoid()),
        a=linear(2, 2),
        gate=linear(2, 2),
        out=linear(2, 1),
    )
    masks = {"a": [[1, 0], [1, 0]], "gate": [[0, 1], [0, 0]], "out": [[1, 1]]}
    found = active(module, masks, (2,))
    assert found == {"a": [[1, 0], [0, 0]], "gate": [[0, 1], [0, 0]], "out": [[1, 0]]}


@pytest.mark.parametrize("by_function", [True, False])
def test_gated_linear_unit_pairs_its_halves(by_function):
    glu = (lambda x: F.glu(input=x, dim=1)) if by_function else nn.GLU()
    module = Net(lambda n, x: glu(n.a(x)), a=linear(2, 4))
    masks = {"a": [[1, 0], [0, 1], [0, 0], [1, 1]]}
    assert active(module, masks, (2,)) == {"a": [[0, 0], [0, 1], [0, 0], [1, 1]]}


def choose(n, x):
    return torch.where(n.test(x) > 0, n.a(x), torch.zeros(2))


def choose_by_keywords(n, x):
    condition = n.test(x) > 0
    return torch.where(condition=condition, input=n.a(x), other=torch.zeros(2))


def fill(n, x):
    return n.a(x).masked_fill(n.test(x) > 0, -1.0)


@pytest.mark.parametrize("form", [choose, choose_by_keywords, fill])
def test_choice_counts_where_there_is_something_to_choose(form):
    module = Net(form, a=linear(2, 2), test=linear(2, 2))
    masks = {"a": [[1, 0], [0, 0]], "test": [[0, 1], [1, 1]]}
    assert active(module, masks, (2,)) == {
        "a": [[1, 0], [0, 0]],
        "test": [[0, 1], [0, 0]],
    }
    assert active(module, masks | {"test": NOTHING}, (2,))["a"] == masks["a"]


def test_values_of_constants_never_count():
    module = Net(
        lambda n, x: torch.where(
            torch.tensor([True, False]), n.a(x) * n.b.zeros, n.b(x)
        ),
        a=linear(2, 2),
        b=linear(2, 2),
    )
    module.b.register_buffer("zeros", torch.zeros(2))
    assert active(module, {"a": ONES, "b": ONES}, (2,)) == {"a": ONES, "b": ONES}


# -- norms, reductions ------------------------------------------------------------

NORMS = {
    "layer": (nn.LayerNorm(4), [0, 1, 2, 3]),
    "rms": (nn.RMSNorm(4), [0, 1, 2, 3]),
    "group": (nn.GroupNorm(2, 4), [0, 1]),
    "unit_length": (Net(lambda n, x: F.normalize(x, dim=1)), [0, 1, 2, 3]),
    "unit_length_by_keywords": (
        Net(lambda n, x: F.normalize(input=x, dim=-1)),
        [0, 1, 2, 3],
    ),
    "batch": (nn.BatchNorm1d(4), [0]),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_connect_what_they_average_over(name):
    norm, group = NORMS[name]
    module = Net(lambda n, x: n.norm(n.a(x))[:, :1], a=linear(1, 4), norm=norm)
    masks = {"a": [[1]] * 4}
    assert active(module, masks, (1,)) == {"a": [[1], [0], [0], [0]]}
    assert active(module, masks, (1,), norm="mix") == {
        "a": [[int(i in group)] for i in range(4)]
    }


REDUCTIONS = {
    "amax": lambda x: x.amax(1),
    "amax_of_all": lambda x: torch.amax(input=x, dim=(1, 2)),
    "max": lambda x: x.max(1).values,
    "max_by_keywords": lambda x: torch.max(input=x, dim=1, keepdim=True)[0],
    "logsumexp": lambda x: torch.logsumexp(x, -2),
    "mean": lambda x: x.mean(dim=[1]),
    "norm": lambda x: x.norm(2, 1),
    "std": lambda x: x.std(1, unbiased=False),
    "sum": lambda x: x.sum(-2),
    "var": lambda x: torch.var(x, 1),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_connect_every_place(name):
    reduce = REDUCTIONS[name]
    first = (
        (lambda x: x) if name == "amax_of_all" else (lambda x: x.reshape(1, 2)[:, :1])
    )
    module = Net(
        lambda n, x: first(reduce(n.a(x).view(1, 3, 2))), a=nn.Linear(1, 6, bias=False)
    )
    is_used = [1] * 6 if name == "amax_of_all" else [1, 0] * 3
    assert active(module, {"a": [[1]] * 6}, (1,)) == {"a": [[i] for i in is_used]}


# -- embeddings -------------------------------------------------------------------


def test_every_kept_entry_of_an_embedding_is_an_input():
    module = Net(
        lambda n, x: n.out(n.table(x.long()).sum(1)),
        table=nn.Embedding(3, 2),
        out=linear(2, 2),
    )
    masks = {"table": [[0, 0], [1, 0], [0, 0]], "out": ONES}
    assert active(module, masks, (4,)) == masks | {"out": [[1, 0], [1, 0]]}


def test_positions_are_constants():
    def forward(n, x):
        places = n.places(torch.arange(3, device=x.device))
        return n.out(n.a(x.view(1, 3, 2)) + places)

    module = Net(forward, a=linear(2, 2), places=nn.Embedding(3, 2), out=linear(2, 2))
    masks = {"a": [[1, 0], [0, 0]], "places": [[1, 1]] * 3, "out": ONES}
    assert active(module, masks, (6,)) == {
        "a": [[1, 0], [0, 0]],
        "places": [[0, 0]] * 3,
        "out": [[1, 0], [1, 0]],
    }
