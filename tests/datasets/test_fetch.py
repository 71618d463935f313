"""Homes, verification, locks and processes: what happens around a download."""

import dataclasses
import gzip
import json
import os
import pathlib
import socket

import numpy as np
import pytest

from sklvyso.datasets import (
    _registry,
    _verify,
    clear_data_home,
    fetch_fashion_mnist,
    fetch_mnist,
    get_data_home,
)

IMAGES = "train-images-idx3-ubyte.gz"
LABELS = "train-labels-idx1-ubyte.gz"


def snapshot(folder):
    """Every file below a folder with its size and time."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in pathlib.Path(folder).rglob("*")
    }


def flip_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    return bytes(content)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


# Homes


def test_home_is_argument_then_variable_then_scikit_learn(monkeypatch, tmp_path):
    monkeypatch.setenv("SKLVYSO_DATA", str(tmp_path / "b"))
    assert get_data_home(tmp_path / "a") == str(tmp_path / "a")
    assert get_data_home() == str(tmp_path / "b")
    monkeypatch.delenv("SKLVYSO_DATA")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "c"))
    assert get_data_home() == str(tmp_path / "c" / "sklvyso")
    monkeypatch.delenv("SCIKIT_LEARN_DATA")
    assert get_data_home() == os.path.expanduser("~/scikit_learn_data/sklvyso")
    assert get_data_home("~/x") == os.path.expanduser("~/x")
    assert not list(tmp_path.iterdir())


def test_clear_removes_only_files_of_the_registry(tiny_mnist, home):
    tiny_mnist.fill(home / "mnist" / "raw")
    tiny_mnist.fill(home / "mnist")
    (home / "mnist" / "notes.txt").write_text("mine")
    (home / "mnist" / f"{IMAGES}.12345678.part").write_text("half")
    (home / "cifar10").mkdir()
    (home / "cifar10" / "cifar-10-binary.tar.gz").write_text("")
    clear_data_home("mnist")
    assert sorted(os.listdir(home / "mnist")) == ["notes.txt", "raw"]
    assert len(os.listdir(home / "mnist" / "raw")) == 4
    assert os.listdir(home / "cifar10") != []
    clear_data_home()
    assert not (home / "cifar10").exists()
    with pytest.raises(ValueError, match="name must be None or one of"):
        clear_data_home("mnits")


@pytest.mark.parametrize("place", ["mnist", "mnist/raw", "MNIST/raw", "."])
@pytest.mark.parametrize("is_packed", [True, False])
def test_copies_of_other_libraries_are_found(tiny_mnist, home, host, place, is_packed):
    tiny_mnist.fill(home / place)
    if not is_packed:
        for path in (home / place).iterdir():
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
    X, y = fetch_mnist(as_images=True, return_X_y=True)
    np.testing.assert_array_equal(X, tiny_mnist.images["train"])
    np.testing.assert_array_equal(y, tiny_mnist.target["train"])
    assert host.requests == []


@pytest.mark.parametrize("ending", ["", os.sep])
def test_flat_file_of_another_set_is_left_alone(
    tiny_mnist, home, host, monkeypatch, ending
):
    monkeypatch.setenv("SKLVYSO_DATA", str(home) + ending)
    home.mkdir()
    (home / IMAGES).write_bytes(b"Fashion-MNIST has a file of this name, too")
    fetch_mnist()
    assert len(host.requests) == 2
    assert (home / IMAGES).exists()


def test_only_files_of_the_subset_are_fetched(tiny_mnist, home, host):
    fetch_mnist(subset="test")
    assert sorted(os.listdir(home / "mnist")) == [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ]


# Offline


@pytest.mark.parametrize("reason", ["SKLVYSO_OFFLINE=1", "download_if_missing=False"])
def test_offline_error_says_what_goes_where(monkeypatch, home, reason):
    if reason == "SKLVYSO_OFFLINE=1":
        monkeypatch.setenv("SKLVYSO_OFFLINE", "1")
    with pytest.raises(OSError) as caught:
        fetch_fashion_mnist(download_if_missing=reason == "SKLVYSO_OFFLINE=1")
    assert str(caught.value) == (
        f"Fashion-MNIST was not found and downloading is off ({reason}).\n"
        "Looked in:\n"
        f"  {home}/fashion_mnist\n"
        "Missing:\n"
        "  train-images-idx3-ubyte.gz  26,421,880 bytes  sha256 3aede38d…\n"
        "  train-labels-idx1-ubyte.gz      29,515 bytes  sha256 a04f1713…\n"
        "Get them on a machine with a network from\n"
        "  http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/\n"
        "and put them there, or set SKLVYSO_DATA (or data_home=) to a folder that has "
        "a fashion_mnist/ sub-folder with them."
    )
    assert not home.exists()


def test_offline_error_names_only_what_is_missing(tiny_mnist, home, monkeypatch):
    tiny_mnist.fill(home / "mnist")
    (home / "mnist" / LABELS).unlink()
    monkeypatch.setenv("SKLVYSO_OFFLINE", "true")
    with pytest.raises(OSError, match=LABELS) as caught:
        fetch_mnist()
    assert IMAGES not in str(caught.value)


def test_failed_connection_gives_the_offline_error(tiny_mnist, monkeypatch):
    files = {
        subset: tuple(
            dataclasses.replace(remote, urls=("http://127.0.0.1:1/" + remote.name,))
            for remote in remotes
        )
        for subset, remotes in tiny_mnist.image_set.files.items()
    }
    image_set = dataclasses.replace(tiny_mnist.image_set, files=files)
    monkeypatch.setattr(_registry, "MNIST", image_set)
    with pytest.raises(OSError, match=r"downloading is off \(no connection: http"):
        fetch_mnist(n_retries=0)


def test_refusing_host_is_no_missing_connection(tiny_mnist, host):
    host.files.clear()
    with pytest.raises(OSError, match=r"\(no URL worked: .*HTTP 404"):
        fetch_mnist()


def test_cached_set_opens_no_socket(tiny_mnist, home, monkeypatch):
    tiny_mnist.fill(home / "mnist")

    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    assert fetch_mnist().data.shape == (60, 784)


# Verification


def test_corrupt_file_is_set_aside_and_downloaded_again(tiny_mnist, home):
    tiny_mnist.fill(home / "mnist")
    for n_before in (0, 1):
        bad = flip_byte(home / "mnist" / IMAGES)
        with pytest.warns(
            UserWarning, match="is corrupt: expected sha256 .* found"
        ) as w:
            bunch = fetch_mnist()
        assert len(w) == 1
        np.testing.assert_array_equal(bunch.images, tiny_mnist.images["train"])
        aside = f"{IMAGES}.corrupt" + (f".{n_before}" if n_before else "")
        assert (home / "mnist" / aside).read_bytes() == bad


def test_corrupt_file_offline_raises_with_both_hashes(tiny_mnist, home, monkeypatch):
    tiny_mnist.fill(home / "mnist")
    bad = flip_byte(home / "mnist" / LABELS)
    monkeypatch.setenv("SKLVYSO_OFFLINE", "yes")
    expected = tiny_mnist.image_set.files["train"][1].sha256
    found = _verify.file_digest(str(home / "mnist" / LABELS), "sha256")
    with pytest.raises(OSError, match=f"expected sha256 {expected}, found .*{found}"):
        fetch_mnist()
    assert (home / "mnist" / LABELS).read_bytes() == bad


def test_repackaged_file_is_the_same_file(tiny_mnist, home, host):
    tiny_mnist.fill(home / "mnist")
    path = home / "mnist" / IMAGES
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=5))
    fetch_mnist()
    assert host.requests == []


def test_auto_hashes_once_and_again_after_a_change(tiny_mnist, home, monkeypatch):
    tiny_mnist.fill(home / "mnist")
    hashed = []
    digest = _verify.file_digest
    monkeypatch.setattr(
        _verify, "file_digest", lambda *a: hashed.append(a[0]) or digest(*a)
    )

    def n_hashed(**options):
        hashed.clear()
        _verify._CHECKED_HERE.clear()  # as in a new process
        fetch_mnist(**options)
        return len(hashed)

    assert n_hashed() == 2
    assert n_hashed() == 0
    os.utime(home / "mnist" / IMAGES, ns=(1, 1))
    assert n_hashed() == 1
    assert n_hashed(verify=True) == 2
    assert n_hashed(verify=False) == 0
    (home / _verify.MEMORY_NAME).write_text("no json")
    assert n_hashed() == 2
    assert len(json.loads((home / _verify.MEMORY_NAME).read_text())) == 2


def test_never_verified_file_is_still_parsed_with_care(tiny_mnist, home):
    tiny_mnist.fill(home / "mnist")
    (home / "mnist" / IMAGES).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=f"{IMAGES} must start with an idx magic"):
        fetch_mnist(verify=False)


def test_read_only_home_is_read_and_not_written(tiny_mnist, home, host):
    tiny_mnist.fill(home / "mnist")
    # Root may write here all the same: that nothing changes is our own doing.
    for folder in (home / "mnist", home):
        folder.chmod(0o555)
    before = snapshot(home)
    fetch_mnist(subset="all")
    fetch_mnist(subset="all", verify=True)
    assert snapshot(home) == before
    assert host.requests == []


def test_missing_file_in_a_read_only_home_is_an_error(tiny_mnist, home, host):
    tiny_mnist.fill(home / "mnist")
    (home / "mnist" / LABELS).unlink()
    for folder in (home / "mnist", home):
        folder.chmod(0o555)
    before = snapshot(home)
    with pytest.raises(OSError, match=r"cannot be written"):
        fetch_mnist()
    assert snapshot(home) == before
    assert host.requests == []
