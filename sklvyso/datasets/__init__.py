"""Real sets, your own files, synthetic sets: ``fetch_*``, ``load_*``, ``make_*``.

A name loads its module on first use, so that importing the room loads neither torch
nor Pillow nor pandas.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklvyso.datasets._archive import load_image_archive
    from sklvyso.datasets._blobs import make_class_difficulty_blobs
    from sklvyso.datasets._cifar import fetch_cifar10, fetch_cifar100
    from sklvyso.datasets._game_files import load_game_frames
    from sklvyso.datasets._game_frames import make_game_frames
    from sklvyso.datasets._groups import make_spurious_groups
    from sklvyso.datasets._home import clear_data_home, get_data_home
    from sklvyso.datasets._idx import load_idx
    from sklvyso.datasets._kmnist import fetch_kmnist
    from sklvyso.datasets._long_tail import make_long_tailed
    from sklvyso.datasets._mnist import fetch_fashion_mnist, fetch_mnist
    from sklvyso.datasets._permuted_tasks import make_permuted_tasks
    from sklvyso.datasets._rotated_tasks import make_rotated_tasks
    from sklvyso.datasets._split_tasks import make_split_tasks
    from sklvyso.datasets._svhn import fetch_svhn
    from sklvyso.datasets._text import load_text_csv

_MODULE_OF = {
    "clear_data_home": "_home",
    "fetch_cifar10": "_cifar",
    "fetch_cifar100": "_cifar",
    "fetch_fashion_mnist": "_mnist",
    "fetch_kmnist": "_kmnist",
    "fetch_mnist": "_mnist",
    "fetch_svhn": "_svhn",
    "get_data_home": "_home",
    "load_game_frames": "_game_files",
    "load_idx": "_idx",
    "load_image_archive": "_archive",
    "load_text_csv": "_text",
    "make_class_difficulty_blobs": "_blobs",
    "make_game_frames": "_game_frames",
    "make_long_tailed": "_long_tail",
    "make_permuted_tasks": "_permuted_tasks",
    "make_rotated_tasks": "_rotated_tasks",
    "make_split_tasks": "_split_tasks",
    "make_spurious_groups": "_groups",
}

__all__ = [
    "clear_data_home",
    "fetch_cifar10",
    "fetch_cifar100",
    "fetch_fashion_mnist",
    "fetch_kmnist",
    "fetch_mnist",
    "fetch_svhn",
    "get_data_home",
    "load_game_frames",
    "load_idx",
    "load_image_archive",
    "load_text_csv",
    "make_class_difficulty_blobs",
    "make_game_frames",
    "make_long_tailed",
    "make_permuted_tasks",
    "make_rotated_tasks",
    "make_split_tasks",
    "make_spurious_groups",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'sklvyso.datasets' has no attribute {name!r}")
    module = importlib.import_module(f"sklvyso.datasets.{_MODULE_OF[name]}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
