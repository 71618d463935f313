"""The download engine against a local host: one file, every kind of trouble."""

import hashlib
import io
import logging
import os
import urllib.request

import numpy as np
import pytest

from sklvyso.datasets import _download
from sklvyso.datasets._download import DownloadError, ThrottledError
from sklvyso.datasets._fetch import _fetch_file
from sklvyso.datasets._registry import RemoteFile

BODY = np.random.default_rng(0).bytes(200_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def remote(host):
    """A file that two places of the host hold."""
    host.files.update({"/a/file.bin": BODY, "/b/file.bin": BODY})
    urls = (f"{host.url}/a/file.bin", f"{host.url}/b/file.bin")
    return RemoteFile("file.bin", urls, len(BODY), SHA256)


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "home" / "someset")


def fetch(remote, folder, **options):
    return _fetch_file(remote, folder, delay=0, **options)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def paths_asked(host):
    return [path for path, _ in host.requests]


def plant_part(remote, folder, content):
    os.makedirs(folder)
    part = _download.part_path(os.path.join(folder, remote.name), remote)
    with open(part, "wb") as file:
        file.write(content)
    return part


def test_download_is_complete_and_leaves_nothing_else(remote, folder, host):
    path = fetch(remote, folder)
    assert read(path) == BODY
    assert os.listdir(folder) == ["file.bin"]
    assert paths_asked(host) == ["/a/file.bin"]
    assert host.requests[0][1]["User-Agent"].startswith("sklvyso/")


def test_existing_file_asks_nobody(remote, folder, host):
    fetch(remote, folder)
    host.requests.clear()
    fetch(remote, folder)
    assert host.requests == []


def test_cut_connection_is_resumed(remote, folder, host, behave):
    host.script["/a/file.bin"] = [behave.cut(70_000)]
    assert read(fetch(remote, folder)) == BODY
    assert host.ranges() == [None, "bytes=70000-"]
    assert host.requests[1][1]["If-Range"].startswith('"')
    assert os.listdir(folder) == ["file.bin"]


def test_200_in_answer_to_a_range_restarts(remote, folder, host, behave):
    host.script["/a/file.bin"] = [behave.cut(70_000), behave.ignore_range]
    assert read(fetch(remote, folder)) == BODY
    assert len(host.requests) == 2


def test_206_of_another_range_restarts(remote, folder, host, behave):
    host.script["/a/file.bin"] = [behave.cut(70_000), behave.wrong_span]
    assert read(fetch(remote, folder)) == BODY
    assert host.ranges() == [None, "bytes=70000-", None]


def test_416_of_a_complete_part_is_the_end(remote, folder, host):
    remote = RemoteFile(remote.name, remote.urls, None, SHA256)
    plant_part(remote, folder, BODY)
    assert read(fetch(remote, folder)) == BODY
    assert host.ranges() == [f"bytes={len(BODY)}-"]


def test_416_of_a_wrong_part_restarts(remote, folder, host):
    remote = RemoteFile(remote.name, remote.urls, None, SHA256)
    plant_part(remote, folder, BODY + b"more")
    assert read(fetch(remote, folder)) == BODY
    assert host.ranges()[1] is None


def test_complete_part_needs_no_request(remote, folder, host):
    plant_part(remote, folder, BODY)
    assert read(fetch(remote, folder)) == BODY
    assert host.requests == []


def test_resume_of_foreign_bytes_gets_a_clean_try(remote, folder, host):
    plant_part(remote, folder, b"\0" * 5000)
    assert read(fetch(remote, folder)) == BODY
    assert paths_asked(host) == ["/a/file.bin"] * 2


def test_part_of_an_older_version_restarts(remote, folder, host):
    part = plant_part(remote, folder, b"\0" * 5000)
    with open(part + ".etag", "w") as file:
        file.write(f'{remote.urls[0]}\n"older"')
    assert read(fetch(remote, folder)) == BODY
    assert host.requests[0][1]["If-Range"] == '"older"'
    assert len(host.requests) == 1


def test_etag_is_not_shown_to_another_host(remote, folder, host, behave):
    host.script["/a/file.bin"] = [behave.cut(70_000), behave.status(404)]
    assert read(fetch(remote, folder)) == BODY
    assert host.ranges() == [None, "bytes=70000-", "bytes=70000-"]
    assert ["If-Range" in headers for _, headers in host.requests] == [
        False,
        True,
        False,
    ]


def test_404_goes_to_the_next_url_without_retry(remote, folder, host, behave):
    host.script["/a/file.bin"] = [behave.status(404)]
    assert read(fetch(remote, folder)) == BODY
    assert paths_asked(host) == ["/a/file.bin", "/b/file.bin"]


def test_503_is_retried_with_growing_waits(remote, folder, host, behave, monkeypatch):
    waits = []
    monkeypatch.setattr(_download.time, "sleep", waits.append)
    host.script["/a/file.bin"] = [
        behave.status(503),
        behave.status(503, Retry_After="7"),
        behave.status(429),
    ]
    assert read(_fetch_file(remote, folder, delay=0.5)) == BODY
    assert paths_asked(host) == ["/a/file.bin"] * 4
    assert waits == [0.5, 7, 2.0]


def test_retries_end(remote, folder, host, behave):
    host.script["/a/file.bin"] = [behave.status(500)] * 9
    assert read(fetch(remote, folder, n_retries=1)) == BODY
    assert paths_asked(host) == ["/a/file.bin"] * 2 + ["/b/file.bin"]


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        ("html", "a web page came back"),
        ("short", "got 1,024 of 200,000 bytes"),
        ("unannounced_length", "of 200,000 bytes"),
        ("wrong", f"expected {SHA256}"),
    ],
)
def test_wrong_body_goes_to_the_next_url(remote, folder, host, behave, behaviour, text):
    bad = getattr(behave, behaviour)
    host.script["/a/file.bin"] = [bad]
    assert read(fetch(remote, folder)) == BODY
    assert paths_asked(host) == ["/a/file.bin", "/b/file.bin"]

    os.remove(os.path.join(folder, "file.bin"))
    host.script.update({"/a/file.bin": [bad], "/b/file.bin": [bad]})
    with pytest.raises(DownloadError, match=text) as caught:
        fetch(remote, folder)
    assert not caught.value.is_unreachable
    assert os.listdir(folder) == []


def test_slow_host_is_left_and_its_bytes_are_kept(
    remote, folder, host, behave, monkeypatch
):
    monkeypatch.setattr(_download, "SLOW_WINDOW", 0.3)
    host.script["/a/file.bin"] = [behave.slow]
    assert read(fetch(remote, folder)) == BODY
    assert paths_asked(host) == ["/a/file.bin", "/b/file.bin"]
    assert int(host.ranges()[1][6:-1]) >= 2000


def test_only_host_is_used_however_slow(remote, folder, host, behave, monkeypatch):
    monkeypatch.setattr(_download, "SLOW_WINDOW", 0.1)
    monkeypatch.setattr(_download, "SLOW_SPEED", 10**9)
    remote = RemoteFile(remote.name, remote.urls[:1], len(BODY), SHA256)
    host.script["/a/file.bin"] = [lambda h, b: behave.slow(h, b, 20_000, 0.05)]
    assert read(fetch(remote, folder)) == BODY
    assert len(host.requests) == 1


def test_all_slow_raises_where_another_source_waits(
    remote, folder, host, behave, monkeypatch
):
    monkeypatch.setattr(_download, "SLOW_WINDOW", 0.2)
    host.script = {"/a/file.bin": [behave.slow], "/b/file.bin": [behave.slow]}
    with pytest.raises(ThrottledError):
        fetch(remote, folder, leave_if_slow=True)
    assert any(name.endswith(".part") for name in os.listdir(folder))


def test_unreachable_host_is_told_from_a_refusing_one(remote, folder):
    nowhere = RemoteFile("file.bin", ("http://127.0.0.1:1/file.bin",), 1, SHA256)
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:1.*refused") as caught:
        fetch(nowhere, folder, n_retries=0)
    assert caught.value.is_unreachable


def test_mirrors_of_the_user_come_first(remote, folder, host, monkeypatch):
    host.files["/own/someset/file.bin"] = BODY
    monkeypatch.setenv("SKLVYSO_MIRRORS", f"{host.url}/none; {host.url}/own/")
    assert read(fetch(remote, folder)) == BODY
    assert paths_asked(host) == ["/none/someset/file.bin", "/own/someset/file.bin"]


def test_mirror_must_be_an_http_address(remote, folder, monkeypatch):
    monkeypatch.setenv("SKLVYSO_MIRRORS", "file:///tmp")
    with pytest.raises(ValueError, match="SKLVYSO_MIRRORS must be http or https"):
        fetch(remote, folder)


def test_redirect_from_https_to_http_is_refused():
    handler = _download._NoDowngrade()
    request = urllib.request.Request("https://a.example/f")
    arguments = (io.BytesIO(), 302, "Found", {})
    with pytest.raises(_download._RejectedError, match="redirected from https"):
        handler.redirect_request(request, *arguments, "http://a.example/f")
    new = handler.redirect_request(request, *arguments, "https://b.example/f")
    assert new.full_url == "https://b.example/f"


def test_no_progress_and_one_log_line_by_default(remote, folder, capfd, caplog):
    with caplog.at_level(logging.INFO, logger="sklvyso.datasets"):
        fetch(remote, folder)
    assert [r.levelname for r in caplog.records] == ["INFO"]
    assert "200,000 bytes" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_progress_is_one_line_on_stderr(remote, folder, capfd):
    fetch(remote, folder, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("\rfile.bin: ")
    assert err.count("\n") == 1


def test_md5_counts_where_no_sha256_is_known(remote, folder, host, behave):
    md5 = hashlib.md5(BODY).hexdigest()
    remote = RemoteFile(remote.name, remote.urls, md5=md5)
    host.script["/a/file.bin"] = [behave.wrong]
    assert read(fetch(remote, folder)) == BODY
    assert paths_asked(host) == ["/a/file.bin", "/b/file.bin"]
