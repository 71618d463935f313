"""Check files against published hashes, and remember which ones were checked."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import hashlib
import json
import os
import uuid
import zlib
from typing import Any

from sklvyso.datasets._home import is_writable
from sklvyso.datasets._registry import RemoteFile

MEMORY_NAME = ".sklvyso-verified.json"

# For read-only homes, which cannot hold the memory file.
_CHECKED_HERE: dict[str, list] = {}


def new_hash(algorithm: str) -> Any:
    """Hash object; FIPS machines refuse MD5 unless told that it guards no secret."""
    return hashlib.new(algorithm, usedforsecurity=False)


def file_digest(path: str, algorithm: str) -> str:
    """Hexadecimal digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: new_hash(algorithm)).hexdigest()


def published_digest(path: str, remote: RemoteFile) -> tuple[str, str] | None:
    """Give algorithm and value to expect of a file, packed or gunzipped."""
    if os.path.basename(path) == os.path.basename(remote.name):
        return remote.digest
    return ("md5", remote.content_md5) if remote.content_md5 else None


def find_wrong_digest(
    path: str, remote: RemoteFile, home: str, verify: bool | str = "auto"
) -> tuple[str, str] | None:
    """Compare an existing file with what is published of it.

    Parameters
    ----------
    path : str
        The file, packed as published or gunzipped.
    remote : RemoteFile
        What is published.
    home : str
        The data home, which holds the memory of earlier checks.
    verify : bool or 'auto', default="auto"
        'auto' hashes a file once and then trusts its size and time, True hashes at
        every call, False never.

    Returns
    -------
    digests : tuple of two str or None
        Expected and found digest if the file is wrong, None if it is right or cannot
        be judged.
    """
    expected = published_digest(path, remote)
    if expected is None or verify is False:
        return None
    algorithm, value = expected
    if verify == "auto" and _is_remembered(path, home, f"{algorithm}:{value}"):
        return None
    found = file_digest(path, algorithm)
    if found != value and not _has_same_content(path, remote):
        return f"{algorithm} {value}", f"{algorithm} {found}"
    remember(path, home, f"{algorithm}:{value}")
    return None


def remember(path: str, home: str, checked: str) -> None:
    """Note that a file was checked, in the home if that can be written."""
    key, entry = _memory_item(path, home, checked)
    _CHECKED_HERE[os.path.abspath(path)] = entry
    if not is_writable(home):
        return
    memory = _read_memory(home)
    memory[key] = entry
    # A lost entry costs one more hash; a failed note must never cost the data.
    with contextlib.suppress(OSError):
        temporary = os.path.join(home, f"{MEMORY_NAME}.{uuid.uuid4().hex}")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(memory, file, indent=1, sort_keys=True)
        os.replace(temporary, os.path.join(home, MEMORY_NAME))


def _is_remembered(path: str, home: str, checked: str) -> bool:
    key, entry = _memory_item(path, home, checked)
    if _CHECKED_HERE.get(os.path.abspath(path)) == entry:
        return True
    return _read_memory(home).get(key) == entry


def _memory_item(path: str, home: str, checked: str) -> tuple[str, list]:
    status = os.stat(path)
    # Relative, because one home may be mounted at different places.
    key = os.path.relpath(path, home).replace(os.sep, "/")
    return key, [status.st_size, status.st_mtime_ns, checked]


def _read_memory(home: str) -> dict[str, list]:
    try:
        with open(os.path.join(home, MEMORY_NAME), encoding="utf-8") as file:
            memory = json.load(file)
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}


def _has_same_content(path: str, remote: RemoteFile) -> bool:
    """Whether a repackaged ``.gz`` (another header, another level) holds our bytes."""
    if remote.content_md5 is None:
        return False
    content = new_hash("md5")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                content.update(unpacker.decompress(chunk))
    except (OSError, zlib.error):
        return False
    return unpacker.eof and content.hexdigest() == remote.content_md5
