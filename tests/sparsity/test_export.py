"""Networks and masks to files and to torch.nn.utils.prune."""

import copy
import pickle
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from sklvyso.networks import make_network
from sklvyso.sparsity import (
    apply_masks,
    compact,
    effective_masks,
    export_module,
    load_masks,
    prune_module,
    read_masks,
    remove_masks,
    save_masks,
)

SHAPE = (1, 16, 16)


@pytest.fixture(scope="module")
def small():
    net = make_network("lenet-5", SHAPE, 10, padding="same", batch_norm=True).eval()
    masks = prune_module(
        net, "random", sparsity=0.95, input_shape=SHAPE, random_state=0
    )
    return compact(net, masks, SHAPE)


def outputs(module, sample):
    with torch.no_grad():
        return module(sample).numpy()


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_state_dict_loads_again(small, tmp_path, suffix):
    path = export_module(small, tmp_path / f"net.{suffix}", SHAPE)
    if suffix == "pt":
        state = torch.load(path, weights_only=True)
    else:
        from safetensors.torch import load_file

        state = load_file(path)
    for key, value in small.state_dict().items():
        assert torch.equal(state[key], value)


@pytest.mark.parametrize("n_rows", [1, 3, 64])
def test_torch_program_computes_the_same(small, tmp_path, n_rows):
    path = export_module(small, tmp_path / "net.pt2", SHAPE)
    program = torch.export.load(path).module()
    sample = torch.randn(n_rows, *SHAPE)
    # float32 kernels of another path
    np.testing.assert_allclose(
        outputs(program, sample), outputs(small, sample), atol=1e-5
    )


def test_onnx_computes_the_same(small, tmp_path):
    import onnx
    import onnxruntime

    path = export_module(small, tmp_path / "net.onnx", SHAPE)
    onnx.checker.check_model(onnx.load(path))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for n_rows in (1, 3, 64):
        sample = torch.randn(n_rows, *SHAPE)
        (found,) = session.run(["logits"], {"X": sample.numpy()})
        # another implementation of float32 convolutions
        np.testing.assert_allclose(found, outputs(small, sample), atol=1e-5)


def test_export_leaves_the_mode(small, tmp_path):
    small.train()
    try:
        export_module(small, tmp_path / "net.pt", SHAPE)
        assert small.training
    finally:
        small.eval()


def test_wrong_suffix(small, tmp_path):
    with pytest.raises(ValueError, match=r"path must end in one of.*Got .*net\.h5"):
        export_module(small, tmp_path / "net.h5", SHAPE)


def test_masks_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    masks = {"b.weight": rng.random((3, 4)) < 0.5, "a.weight": rng.random(5) < 0.5}
    path = save_masks(masks, tmp_path / "masks.safetensors")
    found = load_masks(path)
    assert list(found) == list(masks)
    for name, mask in masks.items():
        assert found[name].dtype == bool
        np.testing.assert_array_equal(found[name], mask)
    with pytest.raises(TypeError, match="masks must be a dict"):
        save_masks([1], tmp_path / "x")


# -- torch.nn.utils.prune ---------------------------------------------------------


def net():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def test_masks_go_on_as_torch_does_it():
    one, sample = net(), torch.randn(4, 6)
    mask = np.random.default_rng(0).random((5, 6)) < 0.5
    other = net()
    other.load_state_dict(one.state_dict())
    apply_masks(one, {"0.weight": mask})
    prune.custom_from_mask(other[0], "weight", torch.from_numpy(mask))
    assert torch.equal(one(sample), other(sample))
    assert one.state_dict().keys() == other.state_dict().keys()
    np.testing.assert_array_equal(read_masks(one)["0.weight"], mask)


def test_a_second_mask_replaces_the_first():
    one = apply_masks(net(), {"0.weight": np.zeros((5, 6))})
    apply_masks(one, {"0.weight": np.eye(5, 6)})
    np.testing.assert_array_equal(read_masks(one)["0.weight"], np.eye(5, 6) > 0)
    one(torch.randn(2, 6))
    assert (one[0].weight != 0).sum() == 5


def test_masks_that_torch_made_are_read():
    one = net()
    prune.global_unstructured(
        [(one[0], "weight"), (one[2], "weight")], prune.L1Unstructured, amount=0.5
    )
    prune.ln_structured(one[0], "weight", amount=1, n=2, dim=0)
    masks = read_masks(one)
    for layer in (0, 2):
        expected = one[layer].weight_mask.numpy() > 0
        np.testing.assert_array_equal(masks[f"{layer}.weight"], expected)
    found = effective_masks(one, None, (6,))
    given = effective_masks(net(), masks, (6,))
    for name in masks:
        np.testing.assert_array_equal(found[name], given[name])


def test_removed_masks_leave_exact_zeros_and_plain_weights():
    mask = np.eye(5, 6, dtype=bool)
    one = apply_masks(net(), {"0.weight": mask})
    optimizer = torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        one(torch.randn(8, 6)).square().sum().backward()
        optimizer.step()
    remove_masks(one)
    assert read_masks(one) == {}
    weight = dict(one.named_parameters())["0.weight"].detach().numpy()
    assert not weight[~mask].any() and weight[mask].all()


def test_the_mask_of_an_embedding_is_read_and_removed():
    one = nn.Sequential(nn.Embedding(4, 3), nn.Flatten(), nn.Linear(6, 2))
    mask = np.eye(4, 3, dtype=bool)
    apply_masks(one, {"0.weight": mask})
    np.testing.assert_array_equal(read_masks(one)["0.weight"], mask)
    remove_masks(one)
    assert read_masks(one) == {}
    assert not one[0].weight.detach().numpy()[~mask].any()


def test_errors_of_masks():
    with pytest.raises(ValueError, match=r"masks must have names.*'foo'"):
        apply_masks(net(), {"foo": np.ones(3)})
    with pytest.raises(ValueError, match="shape"):
        apply_masks(net(), {"0.weight": np.ones((6, 5))})


def test_masks_survive_state_dict_pickle_and_copies():
    mask = np.eye(5, 6, dtype=bool)
    one, sample = apply_masks(net(), {"0.weight": mask}), torch.randn(4, 6)
    other = apply_masks(net(), {"0.weight": np.ones((5, 6))})
    other.load_state_dict(one.state_dict())
    twins = [other, copy.deepcopy(one), pickle.loads(pickle.dumps(one))]
    for twin in twins:
        assert torch.equal(twin(sample), one(sample))
        np.testing.assert_array_equal(read_masks(twin)["0.weight"], mask)


def test_training_under_masks_keeps_zeros():
    mask = np.eye(5, 6, dtype=bool)
    one = apply_masks(net(), {"0.weight": mask})
    optimizer = torch.optim.Adam(one.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        one(torch.randn(8, 6)).square().sum().backward()
        optimizer.step()
        one(torch.randn(2, 6))
        assert not one[0].weight.detach().numpy()[~mask].any()


def test_effective_masks_go_in_and_change_nothing():
    one, sample = net(), torch.randn(4, 6)
    one[0].bias.data.zero_()
    rng = np.random.default_rng(0)
    masks = {"0.weight": rng.random((5, 6)) < 0.2, "2.weight": rng.random((3, 5)) < 0.4}
    expected = apply_masks(copy.deepcopy(one), masks)(sample)
    found = apply_masks(one, effective_masks(one, masks, (6,)))(sample)
    torch.testing.assert_close(found, expected)


def test_no_mask_goes_on_where_one_cannot():
    one = net()
    parametrizations.weight_norm(one[2])
    masks = {"0.weight": np.ones((5, 6)), "2.weight": np.ones((3, 5))}
    with pytest.raises(ValueError, match=r"parametrised weight '2\.weight'"):
        apply_masks(one, masks)
    assert read_masks(one) == {}
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    with pytest.raises(ValueError, match=r"shared weight '0\.weight'"):
        apply_masks(tied, {"0.weight": np.eye(4)})


# -- errors of files --------------------------------------------------------------


def test_a_broken_export_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = export_module(nn.Linear(3, 2), tmp_path / "net.pt", (3,))
    before = path.read_bytes()

    def break_down(state, file):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", break_down)
    with pytest.raises(OSError, match="disk full"):
        export_module(nn.Linear(3, 2), path, (3,))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("suffix", "package"),
    [("safetensors", "safetensors.torch"), ("onnx", "onnx"), ("onnx", "onnxscript")],
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, suffix, package):
    monkeypatch.setitem(sys.modules, package, None)
    name = package.partition(".")[0]
    with pytest.raises(ImportError, match=rf"needs '{name}'.*sklvyso\[export\]"):
        export_module(nn.Linear(3, 2), tmp_path / f"net.{suffix}", (3,))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="path must lie in a folder"):
        export_module(nn.Linear(3, 2), tmp_path / "none" / "net.pt", (3,))
    with pytest.raises(FileNotFoundError, match="path must lie in a folder"):
        save_masks({"weight": np.ones((2, 3))}, tmp_path / "none" / "masks")


@pytest.mark.parametrize("suffix", ["pt2", "onnx"])
def test_samples_that_do_not_fit(tmp_path, suffix):
    with pytest.raises(
        ValueError, match=r"Linear could not process.*input_shape=\(4,\)"
    ):
        export_module(nn.Linear(3, 2), tmp_path / f"net.{suffix}", (4,))


def test_export_leaves_the_mode_of_each_part(tmp_path):
    one = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    one[0].eval()
    export_module(one, tmp_path / "net.pt2", (3,))
    assert [part.training for part in one.modules()] == [True, False, True]


def test_export_in_float64(tmp_path):
    one = nn.Linear(3, 2).double()
    path = export_module(one, tmp_path / "net.pt2", (3,))
    sample = torch.randn(5, 3, dtype=torch.float64)
    program = torch.export.load(path).module()
    np.testing.assert_allclose(outputs(program, sample), outputs(one, sample))


def test_files_that_hold_no_masks(tmp_path):
    path = tmp_path / "masks.safetensors"
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="path must be a safetensors file of masks"):
        load_masks(path)
    export_module(nn.Linear(3, 2), path, (3,))
    with pytest.raises(ValueError, match="must hold zeros and ones"):
        load_masks(path)
    with pytest.raises(ValueError, match="must hold zeros and ones"):
        save_masks({"weight": np.array([0, 2])}, path)
