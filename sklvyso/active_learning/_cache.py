"""Vectors by text on disk, in SQLite: safe against crashes and other writers."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import hashlib
import os
import sqlite3
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sklvyso._arguments import check_path
from sklvyso.active_learning._texts import Text

FILE_NAME = "representations-1.sqlite3"
_SECONDS_TO_WAIT = 60.0
# SQLite's smallest limit on the variables of a statement is 999.
_KEYS_AT_ONCE = 500
# A table by row number: one by key would spread large rows over pages of their own.
_TABLE = """
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB PRIMARY KEY, truncated INTEGER, checksum INTEGER, vector BLOB
)
"""
# Bytes; several vectors fill a page well. It counts when the file is made.
_PAGE_SIZE = 16_384


class Entry(NamedTuple):
    """What is kept of a text."""

    vector: np.ndarray  # (d,), float32
    is_truncated: bool


def text_key(fingerprint: bytes, text: Text) -> bytes:
    """Return the key of a text under a model, 32 bytes.

    Parameters
    ----------
    fingerprint : bytes
        Of everything else that decides the vector.
    text : str or pair of str
        Lengths keep ``("ab", "c")`` and ``("a", "bc")`` apart.
    """
    digest = hashlib.sha256(fingerprint)
    parts = (text,) if isinstance(text, str) else text
    digest.update(bytes([len(parts)]))
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


class VectorCache:
    """A file of vectors in a folder.

    Parameters
    ----------
    folder : str or path-like
        Made when it is missing. Several processes may use it at the same time; a
        network file system must support locks.

    Notes
    -----
    Each entry carries a checksum: a damaged one counts as missing. A file that is no
    data base is put aside as ``*.corrupt`` with a warning.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(os.path.expanduser(check_path("cache_dir", folder)))
        self.path = self.folder / FILE_NAME

    def read(self, keys: Sequence[bytes], width: int) -> dict[bytes, Entry]:
        """Return the entries that are there and sound.

        Parameters
        ----------
        keys : sequence of bytes
            Of :func:`text_key`.
        width : int
            Numbers of a vector.
        """
        if not self.path.exists():
            return {}
        return self._surviving(lambda: self._read(keys, width)) or {}

    def write(self, keys: Iterable[bytes], entries: Iterable[Entry]) -> None:
        """Add entries in one transaction; those that are there are replaced."""
        rows = [
            (key, int(entry.is_truncated), zlib.crc32(data), data)
            for key, entry in zip(keys, entries, strict=True)
            for data in [np.ascontiguousarray(entry.vector, "<f4").tobytes()]
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._surviving(lambda: self._write(rows))

    def _read(self, keys, width) -> dict[bytes, Entry]:
        found, n_damaged = {}, 0
        with self._open() as connection:
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                some = keys[start : start + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(some))
                for key, truncated, checksum, data in connection.execute(
                    "SELECT key, truncated, checksum, vector FROM vectors "
                    f"WHERE key IN ({marks})",
                    some,
                ):
                    is_sound = isinstance(data, bytes) and len(data) == 4 * width
                    if not is_sound or zlib.crc32(data) != checksum:
                        n_damaged += 1
                        continue
                    vector = np.frombuffer(data, "<f4")
                    found[bytes(key)] = Entry(vector, bool(truncated))
        if n_damaged:
            warnings.warn(
                f"{n_damaged} damaged entries of {self.path} are computed anew.",
                UserWarning,
                stacklevel=4,
            )
        return found

    def _write(self, rows) -> None:
        with self._open() as connection, connection:
            connection.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows
            )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # A connection must not cross a fork or a thread, and opening takes 1 ms.
        connection = sqlite3.connect(self.path, timeout=_SECONDS_TO_WAIT)
        try:
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute(f"PRAGMA page_size={_PAGE_SIZE}")
                # Readers do not wait for writers; read-only folders stay as they are.
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute(_TABLE)
            yield connection
        finally:
            connection.close()

    def _surviving(self, work):
        """Run ``work``; put a file that is no data base aside, and try once more."""
        try:
            return work()
        except sqlite3.OperationalError as error:
            warnings.warn(
                f"The cache {self.path} cannot be used now ({error}); vectors are "
                "computed without it.",
                UserWarning,
                stacklevel=4,
            )
            return None
        except sqlite3.DatabaseError as error:
            aside = self.path.with_suffix(".corrupt")
            with contextlib.suppress(OSError):
                os.replace(self.path, aside)
                for suffix in ("-wal", "-shm"):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            warnings.warn(
                f"The cache {self.path} was damaged ({error}); it was put aside as "
                f"{aside.name} and begins anew.",
                UserWarning,
                stacklevel=4,
            )
        return work()
