"""Parse the batches of CIFAR: binary records, and pickles without the danger."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklvyso.datasets._images import check_labels

N_PIXEL_BYTES = 3 * 32 * 32

# What a pickled array needs. Files may be placed by anyone, so that even a right hash
# would be no reason to let a pickle call more than this.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


@dataclass
class CifarRecords:
    """Images, channel last, with their labels; `extra` may hold the coarse labels."""

    images: np.ndarray
    target: np.ndarray
    extra: dict[str, np.ndarray] = field(default_factory=dict)


def parse_binary10(content: bytes, path: str) -> CifarRecords:
    """Read CIFAR-10 records: a label byte, then 1,024 red, green, blue bytes each."""
    records = _split_records(content, 1, path)
    target = records[:, 0].astype(np.int64)
    check_labels(target, len(records), 10, path)
    return CifarRecords(to_channel_last(records[:, 1:]), target)


def parse_binary100(content: bytes, path: str) -> CifarRecords:
    """Read CIFAR-100 records: coarse label, fine label, then the pixels."""
    records = _split_records(content, 2, path)
    coarse, fine = records[:, :2].astype(np.int64).T
    check_labels(fine, len(records), 100, path)
    check_labels(coarse, len(records), 20, path)
    images = to_channel_last(records[:, 2:])
    return CifarRecords(images, fine.copy(), {"coarse_target": coarse.copy()})


def parse_python10(content: bytes, path: str) -> CifarRecords:
    """Read one pickled batch of CIFAR-10."""
    batch = load_restricted(content, path)
    images, target = _pixels_of(batch, path), _labels_of(batch, "labels", path)
    check_labels(target, len(images), 10, path)
    return CifarRecords(images, target)


def parse_python100(content: bytes, path: str) -> CifarRecords:
    """Read one pickled batch of CIFAR-100."""
    batch = load_restricted(content, path)
    images = _pixels_of(batch, path)
    fine = _labels_of(batch, "fine_labels", path)
    coarse = _labels_of(batch, "coarse_labels", path)
    check_labels(fine, len(images), 100, path)
    check_labels(coarse, len(images), 20, path)
    return CifarRecords(images, fine, {"coarse_target": coarse})


def to_channel_last(planes: np.ndarray) -> np.ndarray:
    """Rows of red, green, blue planes -> contiguous (n, 32, 32, 3)."""
    images = planes.reshape(len(planes), 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images)


def join_records(records: Sequence[CifarRecords]) -> CifarRecords:
    """Several batches as one."""
    if len(records) == 1:
        return records[0]
    return CifarRecords(
        np.concatenate([r.images for r in records]),
        np.concatenate([r.target for r in records]),
        {
            key: np.concatenate([r.extra[key] for r in records])
            for key in records[0].extra
        },
    )


class _ForbiddenError(pickle.UnpicklingError):
    """A pickle wants to call what an array does not need."""


class _ArrayUnpickler(pickle.Unpickler):
    """Build containers, strings, numbers and NumPy arrays; refuse all else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _ForbiddenError(f"{module}.{name} is not allowed")
        # NumPy 2 moved the module that old pickles name.
        module = module.replace("numpy.core", "numpy._core")
        return getattr(importlib.import_module(module), name)


def load_restricted(content: bytes, path: str) -> dict[str, Any]:
    """Unpickle a dictionary of arrays and lists.

    Parameters
    ----------
    content : bytes
        The pickle, as Python 2 wrote it or newer.
    path : str
        Where it comes from, for messages.

    Returns
    -------
    batch : dict
        The content.

    Raises
    ------
    pickle.UnpicklingError
        If the pickle wants anything but NumPy arrays and plain containers.
    ValueError
        If it is broken or holds no dictionary.
    """
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except _ForbiddenError as error:
        raise pickle.UnpicklingError(f"{path}: {error}") from error
    except Exception as error:  # a broken pickle can raise nearly anything
        raise ValueError(f"{path} must be a whole pickle. Got: {error}.") from error
    if not isinstance(batch, dict):
        raise ValueError(
            f"{path} must hold a dictionary. Got {type(batch).__name__} instead."
        )
    return batch


def _split_records(content: bytes, n_label_bytes: int, path: str) -> np.ndarray:
    n_bytes = n_label_bytes + N_PIXEL_BYTES
    if not content or len(content) % n_bytes:
        raise ValueError(
            f"The length of {path} must be a multiple of {n_bytes:,} bytes. "
            f"Got {len(content):,} instead."
        )
    return np.frombuffer(content, np.uint8).reshape(-1, n_bytes)


def _pixels_of(batch: dict[str, Any], path: str) -> np.ndarray:
    data = batch.get("data")
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.ndim != 2
        or data.shape[1] != N_PIXEL_BYTES
    ):
        raise ValueError(
            f"'data' in {path} must be uint8 of shape (n, {N_PIXEL_BYTES}). "
            f"Got {getattr(data, 'shape', type(data).__name__)} instead."
        )
    return to_channel_last(data)


def _labels_of(batch: dict[str, Any], key: str, path: str) -> np.ndarray:
    labels = batch.get(key)
    if not isinstance(labels, list) or not all(type(v) is int for v in labels):
        raise ValueError(
            f"{key!r} in {path} must be a list of integers. "
            f"Got {type(labels).__name__} instead."
        )
    return np.array(labels, dtype=np.int64)
