"""Locks, and processes that fetch the same set at once or are killed doing so."""

import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from sklvyso.datasets import _fetch, _lock, fetch_mnist

IMAGES = "train-images-idx3-ubyte.gz"


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def one_file(tiny_mnist, home):
    """A remote file, the folder for it, the path it will have."""
    remote = tiny_mnist.image_set.files["train"][0]
    folder = home / "mnist"
    folder.mkdir(parents=True)
    return remote, str(folder), str(folder / remote.name)


def test_fresh_lock_is_waited_for(one_file, host, tiny_mnist):
    remote, folder, path = one_file
    lock = _lock.FileLock(path)
    assert lock.acquire()
    results = []
    waiter = threading.Thread(
        target=lambda: results.append(_fetch._fetch_file(remote, folder))
    )
    waiter.start()
    time.sleep(0.5)
    assert not results
    assert host.requests == []
    pathlib.Path(path).write_bytes(tiny_mnist.packed[remote.name])
    lock.release()
    waiter.join(10)
    assert results == [path]
    assert host.requests == []


def test_heartbeat_keeps_a_lock_fresh(one_file, monkeypatch):
    monkeypatch.setattr(_lock, "HEARTBEAT", 0.05)
    with _lock.FileLock(one_file[2]) as lock:
        assert lock.acquire()
        os.utime(lock.path, (1, 1))
        deadline = time.monotonic() + 10
        while os.stat(lock.path).st_mtime < 1e9:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert not os.path.exists(lock.path)


@pytest.mark.parametrize("content", ["", '{"pid": 1, "host": "elsewhere"}'])
def test_stale_lock_is_stolen(one_file, content):
    remote, folder, path = one_file
    pathlib.Path(path + ".lock").write_text(content)
    os.utime(path + ".lock", (time.time() - 601,) * 2)
    assert _fetch._fetch_file(remote, folder) == path
    assert os.listdir(folder) == [remote.name]


def test_old_lock_of_a_living_process_here_is_kept(one_file):
    path = one_file[2]
    owner = {"pid": os.getpid(), "host": socket.gethostname()}
    pathlib.Path(path + ".lock").write_text(json.dumps(owner))
    os.utime(path + ".lock", (time.time() - 60,) * 2)
    assert not _lock.FileLock(path).acquire()
    assert os.path.exists(path + ".lock")


def test_stolen_lock_that_turns_out_fresh_goes_back(one_file):
    path = one_file[2]
    holder, thief = _lock.FileLock(path), _lock.FileLock(path)
    assert holder.acquire()
    thief._steal()
    assert os.listdir(one_file[1]) == [os.path.basename(path) + ".lock"]
    holder.release()
    assert os.listdir(one_file[1]) == []


def test_lock_goes_when_the_download_fails(one_file, host):
    host.files.clear()
    with pytest.raises(OSError, match="404"):
        _fetch._fetch_file(one_file[0], one_file[1], delay=0)
    assert os.listdir(one_file[1]) == []


CHILD = """
import dataclasses, hashlib, json, sys
from sklvyso.datasets import _registry, _lock, fetch_mnist
_lock.ORPHAN_AGE = 0.5
files = {
    subset: tuple(
        _registry.RemoteFile(**remote | {"urls": tuple(remote["urls"])})
        for remote in remotes
    )
    for subset, remotes in json.loads(sys.argv[1]).items()
}
_registry.MNIST = dataclasses.replace(_registry.MNIST, files=files)
X, y = fetch_mnist(subset="all", return_X_y=True)
print(hashlib.sha256(X.tobytes() + y.tobytes()).hexdigest())
"""


@pytest.fixture
def start_child(tiny_mnist):
    """Start a process that fetches the tiny set and prints its hash."""
    files = {
        subset: [dataclasses.asdict(remote) for remote in remotes]
        for subset, remotes in tiny_mnist.image_set.files.items()
    }
    children = []

    def start():
        children.append(
            subprocess.Popen(
                [sys.executable, "-c", CHILD, json.dumps(files)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_four_processes_cause_one_download(tiny_mnist, start_child, home, host, behave):
    for path in host.files:
        host.script[path] = [lambda h, b: behave.slow(h, b, 10_000, 0.2)]
    children = [start_child() for _ in range(4)]
    outputs = [child.communicate(timeout=60) for child in children]
    assert [err for _, err in outputs] == [""] * 4
    X, y = fetch_mnist(subset="all", return_X_y=True)
    assert len({out for out, _ in outputs}) == 1
    assert len(X) == len(y) == 80
    assert sorted(path for path, _ in host.requests) == sorted(host.files)
    assert sorted(os.listdir(home / "mnist")) == sorted(tiny_mnist.packed)


def test_killed_download_is_resumed_past_its_lock(
    tiny_mnist, start_child, home, host, behave
):
    host.script["/" + IMAGES] = [lambda h, b: behave.slow(h, b, 5000, 0.3)]
    child = start_child()
    deadline = time.monotonic() + 30
    while not any(
        path.stat().st_size >= 5000 for path in (home / "mnist").glob("*.part")
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    assert (home / "mnist" / f"{IMAGES}.lock").exists()
    assert not (home / "mnist" / IMAGES).exists()

    out, err = start_child().communicate(timeout=60)
    assert (err, len(out.strip())) == ("", 64)
    assert sorted(os.listdir(home / "mnist")) == sorted(tiny_mnist.packed)
    assert any(host.ranges())
