"""Decoded images of an archive as a mapped ``.npy`` file, labels in json beside it."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import hashlib
import json
import os
import uuid
from typing import Any

import numpy as np

from sklvyso.datasets._home import get_data_home, is_writable

Loaded = tuple[np.ndarray, np.ndarray, list[str], list[str]]


class ArchiveCache:
    """Cache of one archive read with one group of settings.

    It lies in ``<archive>.<hash>.npy`` and ``.json``, where the hash covers settings,
    place, size and time of the archive (of all files, where it is a folder).
    """

    def __init__(self, path: str, settings: tuple) -> None:
        path = os.path.abspath(path)
        key = json.dumps([_plain(settings), path, _stamp(path)], default=str)
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        name = f"{os.path.basename(path)}.{digest}"
        folders = (os.path.dirname(path), os.path.join(get_data_home(), "archives"))
        self._stems = [os.path.join(folder, name) for folder in folders]

    def load(self) -> Loaded | None:
        """Map what an earlier call saved, None if there is nothing whole."""
        for stem in self._stems:
            with contextlib.suppress(OSError, ValueError, KeyError):
                with open(stem + ".json", encoding="utf-8") as file:
                    notes = json.load(file)
                images = np.load(stem + ".npy", mmap_mode="r", allow_pickle=False)
                target = np.array(notes["target"], dtype=np.int64)
                if len(images) == len(target):
                    return images, target, notes["target_names"], notes["filenames"]
        return None

    def save(
        self,
        images: np.ndarray,
        target: np.ndarray,
        target_names: list[str],
        filenames: list[str],
    ) -> Loaded:
        """Save to the first place that can be written, and give the mapped images."""
        notes = {
            "target": target.tolist(),
            "target_names": target_names,
            "filenames": filenames,
        }
        for stem in self._stems:
            if not is_writable(os.path.dirname(stem)):
                continue
            # A full disk costs the cache, never the data.
            with contextlib.suppress(OSError):
                _write(stem, images, notes)
                return self.load() or (images, target, target_names, filenames)
        return images, target, target_names, filenames


def _write(stem: str, images: np.ndarray, notes: dict[str, Any]) -> None:
    os.makedirs(os.path.dirname(stem), exist_ok=True)
    temporary = f"{stem}.{uuid.uuid4().hex}"
    try:
        with open(temporary, "wb") as file:
            np.save(file, images, allow_pickle=False)
        os.replace(temporary, stem + ".npy")
        with open(temporary, "w", encoding="utf-8") as text:
            json.dump(notes, text)
        os.replace(temporary, stem + ".json")
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def _plain(settings: tuple) -> list:
    """Turn settings into plain values that always print alike."""
    return [
        sorted((repr(k), int(v)) for k, v in value.items())
        if hasattr(value, "items")
        else [repr(v) for v in value]
        if isinstance(value, (list, tuple, np.ndarray))
        else value
        for value in settings
    ]


def _stamp(path: str) -> list:
    """Size and time of an archive, or of every file in a folder."""
    if os.path.isfile(path):
        status = os.stat(path)
        return [status.st_size, status.st_mtime_ns]
    stamps = []
    for folder, _, files in os.walk(path):
        for file in files:
            status = os.stat(os.path.join(folder, file))
            name = os.path.relpath(os.path.join(folder, file), path)
            stamps.append([name, status.st_size, status.st_mtime_ns])
    return sorted(stamps)
