"""A host on 127.0.0.1 that misbehaves on demand, tiny sets, the real sets if any."""

import dataclasses
import gzip
import hashlib
import http.server
import os
import socket
import struct
import threading
import time

import numpy as np
import pytest

from sklvyso.datasets import _registry, _verify

REAL_HOME = os.environ.get("SKLVYSO_DATA")


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch, tmp_path):
    """No setting of the caller counts, and no host but 127.0.0.1 is reached."""
    for name in ("SKLVYSO_OFFLINE", "SKLVYSO_MIRRORS", "SCIKIT_LEARN_DATA"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SKLVYSO_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(_verify, "_CHECKED_HERE", {})
    connect = socket.create_connection

    def connect_locally(address, *args, **kwargs):
        assert address[0] == "127.0.0.1", f"a test reached for {address}"
        return connect(address, *args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", connect_locally)


@pytest.fixture
def real_home(monkeypatch):
    """The folder of real sets; tests that need it are skipped without one."""
    if not REAL_HOME:
        pytest.skip("needs real sets: set SKLVYSO_DATA to a folder that holds them")
    monkeypatch.setenv("SKLVYSO_DATA", REAL_HOME)
    monkeypatch.setenv("SKLVYSO_OFFLINE", "1")
    return REAL_HOME


class Host:
    """A scripted HTTP server.

    `files` maps paths to bodies; `script` maps paths to lists of behaviours, used up
    one a request; without one the file is served as it should be.
    """

    def __init__(self):
        self.files, self.script, self.requests = {}, {}, []
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host.requests.append((self.path, dict(self.headers)))
                behaviours = host.script.get(self.path, [])
                behaviour = behaviours.pop(0) if behaviours else serve
                if self.path in host.files:
                    behaviour(self, host.files[self.path])
                else:
                    status(404)(self, b"")

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,)).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def ranges(self):
        return [headers.get("Range") for _, headers in self.requests]


def reply(handler, code, body, n_write=None, **headers):
    handler.send_response(code)
    headers.setdefault("Content-Length", len(body))
    headers.setdefault("Content-Type", "application/octet-stream")
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body if n_write is None else body[:n_write])


def serve(handler, body, n_write=None):
    """Behave: answer ranges by 206 or 416, with an ETag."""
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    wanted = handler.headers.get("Range")
    if handler.headers.get("If-Range", etag) != etag:
        wanted = None
    if wanted is None:
        return reply(handler, 200, body, n_write, ETag=etag)
    start = int(wanted.removeprefix("bytes=").rstrip("-"))
    if start >= len(body):
        return reply(handler, 416, b"", Content_Range=f"bytes */{len(body)}")
    span = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return reply(handler, 206, body[start:], n_write, ETag=etag, Content_Range=span)


def cut(n_write):
    return lambda handler, body: serve(handler, body, n_write)


def status(code, **headers):
    return lambda handler, body: reply(handler, code, b"", **headers)


def ignore_range(handler, body):
    reply(handler, 200, body)


def wrong_span(handler, body):
    reply(handler, 206, body, Content_Range=f"bytes 0-{len(body) - 1}/{len(body)}")


def html(handler, body):
    reply(handler, 200, b"<html>log in</html>", Content_Type="text/html")


def short(handler, body):
    reply(handler, 200, body[:1024])


def unannounced_length(handler, body):
    """Send too much and say no length."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(body + b"more")


def wrong(handler, body):
    reply(handler, 200, bytes(255 - b for b in body))


def slow(handler, body, n_chunk=2000, pause=0.05):
    reply(handler, 200, body, 0)
    for start in range(0, len(body), n_chunk):
        handler.wfile.write(body[start : start + n_chunk])
        handler.wfile.flush()
        time.sleep(pause)


BEHAVIOURS = {
    "cut": cut,
    "html": html,
    "ignore_range": ignore_range,
    "serve": serve,
    "short": short,
    "slow": slow,
    "status": status,
    "unannounced_length": unannounced_length,
    "wrong": wrong,
    "wrong_span": wrong_span,
}


@pytest.fixture
def behave():
    """The behaviours by name, as attributes."""
    return type("Behaviours", (), {k: staticmethod(v) for k, v in BEHAVIOURS.items()})


@pytest.fixture
def host():
    host = Host()
    yield host
    host.close()


def idx_bytes(array):
    """Pack an array as idx, by the format's description."""
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    head = bytes([0, 0, code[array.dtype.str[1:]], array.ndim])
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return head + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(name="idx_bytes", scope="session")
def _idx_bytes():
    return idx_bytes


@dataclasses.dataclass
class TinySet:
    """A stand-in for MNIST: 60 + 20 rows, all ten classes, files of its own."""

    images: dict
    target: dict
    packed: dict
    image_set: _registry.ImageSet

    def fill(self, folder):
        os.makedirs(folder, exist_ok=True)
        for name, content in self.packed.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        return str(folder)


@pytest.fixture
def tiny_mnist(monkeypatch, host):
    """Let `fetch_mnist` speak of a tiny set that the local host serves."""
    generator = np.random.default_rng(0)
    images, target, packed, files = {}, {}, {}, {}
    names = iter(remote.name for remote in _registry.MNIST.files_of(("train", "test")))
    for subset, n_rows in (("train", 60), ("test", 20)):
        images[subset] = generator.integers(0, 256, (n_rows, 28, 28)).astype(np.uint8)
        target[subset] = generator.permutation(np.arange(n_rows) % 10)
        remotes = []
        for array in (images[subset], target[subset].astype(np.uint8)):
            name, content = next(names), idx_bytes(array)
            packed[name] = gzip.compress(content, mtime=0)
            host.files["/" + name] = packed[name]
            remotes.append(
                _registry.RemoteFile(
                    name,
                    (f"{host.url}/{name}",),
                    len(packed[name]),
                    hashlib.sha256(packed[name]).hexdigest(),
                    content_md5=hashlib.md5(content).hexdigest(),
                )
            )
        files[subset] = tuple(remotes)
    image_set = dataclasses.replace(_registry.MNIST, files=files)
    monkeypatch.setattr(_registry, "MNIST", image_set)
    monkeypatch.setitem(_registry.IMAGE_SETS, "mnist", image_set)
    return TinySet(images, target, packed, image_set)
