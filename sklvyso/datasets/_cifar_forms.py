"""The four official forms of CIFAR: binary and python, of 10 and of 100 classes."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from sklvyso.datasets import _registry
from sklvyso.datasets._cifar_records import (
    CifarRecords,
    join_records,
    load_restricted,
    parse_binary10,
    parse_binary100,
    parse_python10,
    parse_python100,
)
from sklvyso.datasets._registry import RemoteFile

ClassNames = dict[str, list[str]]
# Bytes. The largest, the training rows of CIFAR-100, has 155 million: no file of an
# archive that unpacks to a thousand times its size may fill the memory.
_LARGEST_FILE = 2**28


@dataclass(frozen=True)
class CifarForm:
    """One form of a set: its archive, what that holds, how to read it.

    `batches` maps each subset to its members, `name_members` hold class names, which
    `parse_names` reads.
    """

    archive: RemoteFile
    folder: str
    batches: dict[str, tuple[RemoteFile, ...]]
    parse: Callable[[bytes, str], CifarRecords]
    name_members: tuple[str, ...] = ()
    parse_names: Callable[[list[bytes], str], ClassNames] | None = None

    def members_of(self, subsets: tuple[str, ...]) -> tuple[RemoteFile, ...]:
        """Members that a reader of these subsets needs."""
        names = tuple(RemoteFile(name) for name in self.name_members)
        return tuple(m for subset in subsets for m in self.batches[subset]) + names

    def read(
        self, path: str, subsets: tuple[str, ...]
    ) -> tuple[list[CifarRecords], ClassNames]:
        """Read the subsets, one each, and the class names that the form brings."""
        wanted = [member.name for member in self.members_of(subsets)]
        content = read_members(path, self.folder, wanted)
        records = [
            join_records(
                [
                    self.parse(content.pop(member.name), f"{path}: {member.name}")
                    for member in self.batches[subset]
                ]
            )
            for subset in subsets
        ]
        if self.parse_names is None:
            return records, {}
        blobs = [content[name] for name in self.name_members]
        return records, self.parse_names(blobs, path)


def read_members(path: str, folder: str, names: list[str]) -> dict[str, bytes]:
    """Read files of an unpacked folder, or of a tar archive, into memory.

    Nothing is ever extracted to disk, so that no member can escape from anywhere.
    """
    if os.path.isdir(path):
        return {name: _read_file(os.path.join(path, name)) for name in names}
    content: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.removeprefix("./").removeprefix(f"{folder}/")
                if member.isfile() and name in names:
                    if member.size > _LARGEST_FILE:
                        raise ValueError(
                            f"{path}: {name} must be at most {_LARGEST_FILE:,} bytes. "
                            f"Got {member.size:,} instead."
                        )
                    file = archive.extractfile(member)
                    content[name] = file.read() if file else b""
                if len(content) == len(names):
                    break
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path} must be a complete tar.gz archive. Got: {error}."
        ) from error
    missing = [name for name in names if name not in content]
    if missing:
        raise ValueError(f"{path} must hold {folder}/{missing[0]}. Got no such member.")
    return content


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _parse_text_names(blobs: list[bytes], path: str) -> ClassNames:
    fine, coarse = (blob.decode("utf-8").split() for blob in blobs)
    return _check_names(fine, coarse, path)


def _parse_meta(blobs: list[bytes], path: str) -> ClassNames:
    meta = load_restricted(blobs[0], f"{path}: meta")
    fine, coarse = meta.get("fine_label_names"), meta.get("coarse_label_names")
    return _check_names(fine or [], coarse or [], path)


def _check_names(fine: list[str], coarse: list[str], path: str) -> ClassNames:
    if (len(fine), len(coarse)) != (100, 20):
        raise ValueError(
            f"{path} must name 100 fine and 20 coarse classes. "
            f"Got {len(fine)} and {len(coarse)} instead."
        )
    return {"target_names": fine, "coarse_target_names": coarse}


_TRAIN_MD5 = (
    "c99cafc152244af753f735de768cd75f",
    "d4bba439e000b95fd0a9bffe97cbabec",
    "54ebc095f3ab1f0389bbae665268c751",
    "634d18415352ddfa80567beed471001a",
    "482c414d41f54cd18b22e5b47cb7c3cb",
)

# The binary form comes first: it needs no pickle.
CIFAR10_FORMS = (
    CifarForm(
        archive=_registry.CIFAR10_BINARY,
        folder="cifar-10-batches-bin",
        batches={
            "train": tuple(RemoteFile(f"data_batch_{i}.bin") for i in range(1, 6)),
            "test": (RemoteFile("test_batch.bin"),),
        },
        parse=parse_binary10,
    ),
    CifarForm(
        archive=_registry.CIFAR10_PYTHON,
        folder="cifar-10-batches-py",
        batches={
            "train": tuple(
                RemoteFile(f"data_batch_{i}", md5=md5)
                for i, md5 in enumerate(_TRAIN_MD5, start=1)
            ),
            "test": (RemoteFile("test_batch", md5="40351d587109b95175f43aff81a1287e"),),
        },
        parse=parse_python10,
    ),
)

CIFAR100_FORMS = (
    CifarForm(
        archive=_registry.CIFAR100_BINARY,
        folder="cifar-100-binary",
        batches={
            "train": (RemoteFile("train.bin"),),
            "test": (RemoteFile("test.bin"),),
        },
        parse=parse_binary100,
        name_members=("fine_label_names.txt", "coarse_label_names.txt"),
        parse_names=_parse_text_names,
    ),
    CifarForm(
        archive=_registry.CIFAR100_PYTHON,
        folder="cifar-100-python",
        batches={
            "train": (RemoteFile("train", md5="16019d7e3df5f24257cddd939b257f8d"),),
            "test": (RemoteFile("test", md5="f0ef6b0ae62326f3e7ffdfab6717acfc"),),
        },
        parse=parse_python100,
        name_members=("meta",),
        parse_names=_parse_meta,
    ),
)
