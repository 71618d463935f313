"""Reports of direct and effective sparsity."""

import numpy as np
import pytest
from torch import nn
from torch.nn.utils import prune

from sklvyso.sparsity import sparsity_report


def mlp():
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))


MASKS = {"0.weight": [[1, 0], [0, 0], [1, 1]], "2.weight": [[1, 1, 0]]}


def report(masks=MASKS, **kwargs):
    masks = masks and {name: np.array(mask) for name, mask in masks.items()}
    return sparsity_report(mlp(), masks, (2,), **kwargs)


def test_counts_of_layers_and_of_all():
    found = report()
    assert found.layers == [
        {
            "name": "0.weight",
            "shape": (3, 2),
            "n_weights": 6,
            "kept": 3,
            "active": 1,
            "direct_sparsity": 0.5,
            "effective_sparsity": 1 - 1 / 6,
        },
        {
            "name": "2.weight",
            "shape": (1, 3),
            "n_weights": 3,
            "kept": 2,
            "active": 1,
            "direct_sparsity": 1 - 2 / 3,
            "effective_sparsity": 1 - 1 / 3,
        },
    ]
    assert (found.n_weights, found.n_kept, found.n_active) == (9, 5, 2)
    assert (found.direct_sparsity, found.effective_sparsity) == (1 - 5 / 9, 1 - 2 / 9)
    assert (found.direct_compression, found.effective_compression) == (1.8, 4.5)
    assert found.collapsed_layers == []
    assert found.blocked_layers == []


def test_masks_come_with_the_report():
    found = report()
    for name, mask in MASKS.items():
        np.testing.assert_array_equal(found.masks[name], np.array(mask, dtype=bool))
    assert found.effective_masks["0.weight"].tolist() == [
        [True, False],
        [False, False],
        [False, False],
    ]


def test_weights_without_a_mask_are_dense_and_counted():
    found = report({"2.weight": [[1, 0, 0]]})
    assert [layer["kept"] for layer in found.layers] == [6, 1]
    assert [layer["active"] for layer in found.layers] == [2, 1]


def test_layers_come_in_the_order_of_the_module():
    found = report(dict(reversed(MASKS.items())))
    assert [layer["name"] for layer in found.layers] == list(MASKS)


def test_dense_network_is_wholly_active():
    found = report(None)
    assert found.n_active == found.n_weights == 9
    assert found.direct_sparsity == found.effective_sparsity == 0
    assert found.n_disconnected_inputs == found.n_disconnected_outputs == 0


def test_disconnected_inputs_and_outputs_are_counted():
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 4))
    masks = {
        "0.weight": np.array([[1, 0, 0], [0, 1, 0]]),
        "1.weight": np.array([[1, 0], [0, 0], [1, 0], [0, 0]]),
    }
    found = sparsity_report(module, masks, (3,))
    assert (found.n_disconnected_inputs, found.n_disconnected_outputs) == (2, 2)
    assert "2 of the inputs are disconnected" in repr(found)
    assert "2 of the outputs are disconnected" in repr(found)


def test_network_that_is_cut_has_infinite_compression_and_names_the_place():
    found = report({"0.weight": [[1, 1], [0, 0], [0, 0]], "2.weight": [[0, 1, 1]]})
    assert found.n_active == 0
    assert found.effective_sparsity == 1
    assert found.effective_compression == np.inf
    assert found.blocked_layers == ["2.weight"]
    assert found.collapsed_layers == []
    assert "signal ends in: 2.weight" in repr(found)


def test_empty_network_has_infinite_compression_and_names_its_layers():
    found = report({name: np.zeros_like(mask) for name, mask in MASKS.items()})
    assert found.direct_compression == found.effective_compression == np.inf
    assert found.collapsed_layers == list(MASKS)
    assert "layers without weights: 0.weight, 2.weight" in repr(found)


def test_table_has_one_row_a_layer():
    frame = report().to_frame()
    assert list(frame.index) == list(MASKS)
    assert frame.active.tolist() == [1, 1]
    assert frame.kept.sum() == 5


def test_masks_of_torch_are_read():
    module = mlp()
    prune.random_unstructured(module[0], "weight", amount=4)
    assert [layer["kept"] for layer in sparsity_report(module, None, (2,)).layers] == [
        2,
        3,
    ]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"granularity": "kernel"}, r"granularity must be one of \['pixel', 'channel'"),
        ({"norm": "layer"}, r"norm must be one of \['identity', 'mix'\]"),
        ({"rules": {nn.ReLU: "copy"}}, 'rules must map to "identity" or a function'),
    ],
    ids=["granularity", "norm", "rules"],
)
def test_unknown_options_are_named(option, text):
    with pytest.raises(ValueError, match=text):
        report(**option)
