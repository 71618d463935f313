"""CIFAR in its binary and python forms, packed and unpacked."""

import hashlib
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from sklvyso.datasets import (
    _cifar,
    _download,
    _registry,
    fetch_cifar10,
    fetch_cifar100,
)
from sklvyso.datasets._cifar_forms import CIFAR10_FORMS, CIFAR100_FORMS, read_members
from sklvyso.datasets._cifar_records import (
    load_restricted,
    parse_binary10,
    parse_python10,
)


def pack_binary(images, *labels):
    """Write records by the format's description, one after the other."""
    records = []
    for row in range(len(images)):
        head = bytes(int(values[row]) for values in labels)
        records.append(
            head + b"".join(images[row, :, :, c].tobytes() for c in range(3))
        )
    return b"".join(records)


def pack_python2(images, **labels):
    """Write the pickle that Python 2 and an old NumPy wrote, opcode by opcode."""
    planes = images.transpose(0, 3, 1, 2).tobytes()
    text = lambda s: b"U" + bytes([len(s)]) + s.encode()  # noqa: E731
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        + text("b")
        + b"\x87R(K\x01J"
        + struct.pack("<i", len(images))
        + b"M\x00\x0c\x86cnumpy\ndtype\n"
        + text("u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text("|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<I", len(planes))
        + planes
        + b"tb"
    )
    content = b"\x80\x02}(" + text("data") + array
    for key, values in labels.items():
        content += (
            text(key) + b"](" + b"".join(b"K" + bytes([v]) for v in values) + b"e"
        )
    return content + b"u."


def pack_tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def batches():
    """Five training batches and a test batch of seven images each."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (6, 7, 32, 32, 3)).astype(np.uint8)
    return images, generator.integers(0, 10, (6, 7)), generator.integers(0, 20, (6, 7))


@pytest.fixture
def members10(batches):
    images, labels, _ = batches
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    rows = list(zip(names, images, labels, strict=True))
    return {
        "binary": {
            f"cifar-10-batches-bin/{name}.bin": pack_binary(x, y) for name, x, y in rows
        },
        "python": {
            f"cifar-10-batches-py/{name}": pack_python2(x, labels=y.tolist())
            for name, x, y in rows
        },
    }


FINE = [f"fine{i}" for i in range(100)]
COARSE = [f"coarse{i}" for i in range(20)]


@pytest.fixture
def members100(batches):
    images, fine, coarse = batches
    rows = [
        ("train", images[0], fine[0], coarse[0]),
        ("test", images[1], *fine[1:2], coarse[1]),
    ]
    binary = {f"cifar-100-binary/{s}.bin": pack_binary(x, c, f) for s, x, f, c in rows}
    python = {
        f"cifar-100-python/{s}": pack_python2(
            x, fine_labels=f.tolist(), coarse_labels=c.tolist()
        )
        for s, x, f, c in rows
    }
    binary["cifar-100-binary/fine_label_names.txt"] = "\n".join(FINE).encode() + b"\n"
    binary["cifar-100-binary/coarse_label_names.txt"] = "\n".join(COARSE).encode()
    meta = {"fine_label_names": FINE, "coarse_label_names": COARSE}
    python["cifar-100-python/meta"] = pickle.dumps(meta, protocol=2)
    return {"binary": binary, "python": python}


def place(home, name, members, form, is_packed):
    stem = name.replace("cifar", "cifar-")
    folder = home / name
    folder.mkdir(parents=True)
    if is_packed:
        pack_tar(folder / f"{stem}-{form}.tar.gz", members[form])
        return
    for member, content in members[form].items():
        path = folder / member
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize("form", ["binary", "python"])
@pytest.mark.parametrize("is_packed", [True, False])
def test_cifar10_is_read_from_every_form(tmp_path, batches, members10, form, is_packed):
    place(tmp_path / "home", "cifar10", members10, form, is_packed)
    images, labels, _ = batches
    bunch = fetch_cifar10(subset="all", verify=False)
    np.testing.assert_array_equal(bunch.images, images.reshape(-1, 32, 32, 3))
    np.testing.assert_array_equal(bunch.target, labels.ravel())
    np.testing.assert_array_equal(bunch.test_fold, [-1] * 35 + [0] * 7)
    assert np.shares_memory(bunch.data, bunch.images)
    assert bunch.data.flags.c_contiguous
    assert bunch.target_names[3] == "cat"
    assert len(bunch.pixel_mean) == 3


@pytest.mark.parametrize("form", ["binary", "python"])
@pytest.mark.parametrize("is_packed", [True, False])
def test_cifar100_is_read_from_every_form(
    tmp_path, batches, members100, form, is_packed
):
    place(tmp_path / "home", "cifar100", members100, form, is_packed)
    images, fine, coarse = batches
    bunch = fetch_cifar100(subset="all", verify=False, shuffle=True, random_state=1)
    order = np.random.RandomState(1).permutation(14)
    np.testing.assert_array_equal(
        bunch.images, images[:2].reshape(-1, 32, 32, 3)[order]
    )
    np.testing.assert_array_equal(bunch.target, fine[:2].ravel()[order])
    np.testing.assert_array_equal(bunch.coarse_target, coarse[:2].ravel()[order])
    assert bunch.target_names == FINE
    assert bunch.coarse_target_names == COARSE


def test_unpacked_folder_needs_only_the_batches_of_the_subset(tmp_path, members10):
    members = {
        "binary": {k: v for k, v in members10["binary"].items() if "test_batch" in k}
    }
    place(tmp_path / "home", "cifar10", members, "binary", False)
    assert len(fetch_cifar10(subset="test").target) == 7
    with pytest.raises(OSError, match=r"Missing \(any one will do\):") as caught:
        fetch_cifar10(download_if_missing=False)
    assert "cifar-10-binary.tar.gz  170,052,171 bytes  md5 c32a1d4a…" in str(
        caught.value
    )
    assert "cifar-10-python.tar.gz  170,498,071 bytes  sha256 6d958b" in str(
        caught.value
    )


def test_corrupt_batch_of_a_folder_is_told(tmp_path, members10):
    place(tmp_path / "home", "cifar10", members10, "python", False)
    with pytest.raises(
        OSError, match=r"Corrupt:\n.*data_batch_1  expected md5 c99cafc1"
    ):
        fetch_cifar10(download_if_missing=False)


def test_throttled_binary_archive_yields_to_the_python_one(
    tmp_path, batches, members10, host, behave, monkeypatch
):
    forms = []
    for form, name in zip(CIFAR10_FORMS, ("binary", "python"), strict=True):
        path = tmp_path / f"{name}.tar.gz"
        pack_tar(path, members10[name])
        content = path.read_bytes()
        host.files[f"/{name}"] = content
        archive = _registry.RemoteFile(
            form.archive.name,
            (f"{host.url}/{name}",),
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
        forms.append(type(form)(**{**vars(form), "archive": archive}))
    monkeypatch.setattr(_cifar, "CIFAR10_FORMS", tuple(forms))
    monkeypatch.setattr(_download, "SLOW_WINDOW", 0.2)
    host.script["/binary"] = [behave.slow]
    bunch = fetch_cifar10()
    np.testing.assert_array_equal(bunch.target, batches[1][:5].ravel())
    assert [path for path, _ in host.requests] == ["/binary", "/python"]
    assert bunch.filenames[0].endswith("cifar-10-python.tar.gz")


@pytest.mark.parametrize("n_bytes", [0, 3072, 3074])
def test_binary_length_must_be_whole_records(n_bytes):
    with pytest.raises(ValueError, match=r"batch must be a multiple of 3,073 bytes"):
        parse_binary10(b"\0" * n_bytes, "batch")


def test_binary_labels_must_be_classes():
    with pytest.raises(ValueError, match=r"must be 0 to 9. Got 10 to 10"):
        parse_binary10(b"\x0a" + b"\0" * 3072, "batch")


class Evil:
    def __init__(self, call, *args):
        self.reduced = call, args

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize(
    "call",
    [
        (os.system, "true"),
        (eval, "1"),
        (getattr, "a", "b"),
        (np.load, "x"),
        (bytearray,),
    ],
    ids=lambda call: call[0].__name__,
)
def test_unpickler_refuses_everything_but_arrays(call, protocol):
    content = pickle.dumps({"data": Evil(*call)}, protocol=protocol)
    with pytest.raises(pickle.UnpicklingError, match=r"batch: .* is not allowed"):
        load_restricted(content, "batch")


def test_unpickler_reads_new_pickles_too(batches):
    images, labels, _ = batches
    planes = images[0].transpose(0, 3, 1, 2).reshape(7, -1)
    batch = {"data": np.ascontiguousarray(planes), "labels": labels[0].tolist()}
    records = parse_python10(pickle.dumps(batch, protocol=4), "batch")
    np.testing.assert_array_equal(records.images, images[0])


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        ([1], "must hold a dictionary. Got list"),
        ({}, r"'data' in batch must be uint8 of shape \(n, 3072\). Got NoneType"),
        ({"data": np.zeros((2, 3072))}, "must be uint8"),
        ({"data": np.zeros((2, 3072), np.uint8)}, "'labels' in batch must be a list"),
    ],
)
def test_batches_of_another_make_are_refused(batch, text):
    with pytest.raises(ValueError, match=text):
        parse_python10(pickle.dumps(batch, protocol=4), "batch")
    with pytest.raises(ValueError, match="batch must be a whole pickle"):
        parse_python10(pickle.dumps(batch, protocol=4)[:-3], "batch")


def test_broken_or_incomplete_archives_are_named(tmp_path, members10):
    path = tmp_path / "a.tar.gz"
    pack_tar(path, {"cifar-10-batches-bin/other": b""})
    with pytest.raises(ValueError, match=r"a.tar.gz must hold x/test.bin"):
        read_members(str(path), "x", ["test.bin"])
    pack_tar(path, members10["binary"])
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"a.tar.gz must be a complete tar.gz"):
        read_members(str(path), "cifar-10-batches-bin", ["test_batch.bin"])


def test_members_that_point_outside_write_nothing(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    path = inside / "a.tar.gz"
    pack_tar(path, {"../escaped": b"x", "/escaped": b"x", "f/batch": b"content"})
    assert read_members(str(path), "f", ["batch"]) == {"batch": b"content"}
    assert sorted(os.listdir(tmp_path)) == ["inside"]
    assert os.listdir(inside) == ["a.tar.gz"]


def test_cifar100_names_must_be_complete(tmp_path, members100):
    members100["binary"]["cifar-100-binary/coarse_label_names.txt"] = b"one two"
    path = tmp_path / "a.tar.gz"
    pack_tar(path, members100["binary"])
    with pytest.raises(
        ValueError, match=r"must name 100 fine and 20 coarse .* 100 and 2"
    ):
        CIFAR100_FORMS[0].read(str(path), ("test",))


def test_lossless_images_survive_packing(real_home):
    from PIL import Image

    folder = os.path.join(real_home, "cifar10")
    if not os.path.exists(os.path.join(folder, "cifar10-lossless-labels.txt")):
        pytest.skip("needs the lossless CIFAR-10 images in the folder of real sets")
    labels = np.loadtxt(
        os.path.join(folder, "cifar10-lossless-labels.txt"), dtype=np.int64
    )
    for i in range(4):
        with Image.open(os.path.join(folder, f"cifar10-lossless-batch{i}.png")) as file:
            rows = np.asarray(file.convert("RGB")).reshape(1000, 32, 32, 3)
        target = labels[1000 * i : 1000 * (i + 1)]
        records = parse_binary10(pack_binary(rows, target), "packed")
        np.testing.assert_array_equal(records.images, rows)
        np.testing.assert_array_equal(records.target, target)
        pickled = parse_python10(pack_python2(rows, labels=target.tolist()), "packed")
        np.testing.assert_array_equal(pickled.images, rows)
