"""Campaigns as files that other tools read: JSON lines, and whole learners."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sklvyso._arguments import check_path


def write_whole(path: str | os.PathLike, write: Any) -> None:
    """Write a file so that a crash leaves the old one or the new one.

    Parameters
    ----------
    path : str or path-like
        Where to.
    write : callable
        Gets a binary stream.
    """
    path = Path(os.path.expanduser(check_path("path", path)))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_pickle(path: str | os.PathLike, thing: Any) -> None:
    """Pickle to a file, whole or not at all."""
    write_whole(path, lambda stream: pickle.dump(thing, stream, protocol=5))


def write_lines(path: str | os.PathLike, records: Iterable[dict]) -> None:
    """Write one JSON object a line, UTF-8."""

    def write(stream):
        for record in records:
            line = json.dumps(record, ensure_ascii=False, default=_plain)
            stream.write(line.encode("utf-8", "surrogatepass") + b"\n")

    write_whole(path, write)


def read_lines(path: str | os.PathLike) -> Iterator[tuple[int, dict]]:
    """Yield the number of each line, from 1, and its object.

    Raises
    ------
    ValueError
        If a line is no JSON object.
    """
    with open(os.path.expanduser(check_path("path", path)), "rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line.decode("utf-8"))
            except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
                raise ValueError(
                    f"{path} must hold one JSON object a line. Line {number} is none: "
                    f"{error}."
                ) from error
            if not isinstance(record, dict):
                raise ValueError(
                    f"{path} must hold one JSON object a line. Line {number} holds a "
                    f"{type(record).__name__}."
                )
            yield number, record


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a NumPy scalar; text of anything else."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
