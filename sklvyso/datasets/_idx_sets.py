"""The road that MNIST and its relatives share: find, read, check, wrap."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from typing import Any

import numpy as np

from sklvyso.datasets import _registry
from sklvyso.datasets._descriptions import DESCRIPTIONS
from sklvyso.datasets._fetch import ensure_files
from sklvyso.datasets._idx import load_idx
from sklvyso.datasets._images import (
    RawPart,
    check_labels,
    make_image_bunch,
    subsets_of,
)


def fetch_idx_set(
    image_set: _registry.ImageSet,
    *,
    subset: str,
    data_home: str | os.PathLike | None,
    download_if_missing: bool,
    verify: bool | str,
    n_retries: int,
    delay: float,
    **options: Any,
) -> Any:
    """Find, read and wrap a set in idx format; `options` shape the result."""
    subsets = subsets_of(subset)
    paths = ensure_files(
        image_set,
        image_set.files_of(subsets),
        data_home=data_home,
        download_if_missing=download_if_missing,
        verify=verify,
        n_retries=n_retries,
        delay=delay,
    )
    pairs = zip(paths[::2], paths[1::2], strict=True)
    n_classes = len(image_set.target_names)
    parts = {
        name: _read_part(images_path, labels_path, n_classes)
        for name, (images_path, labels_path) in zip(subsets, pairs, strict=True)
    }
    return make_image_bunch(
        parts,
        target_names=image_set.target_names,
        descr=DESCRIPTIONS[image_set.name],
        subset=subset,
        pixel_mean=image_set.pixel_mean,
        pixel_std=image_set.pixel_std,
        **options,
    )


def _read_part(images_path: str, labels_path: str, n_classes: int) -> RawPart:
    images, target = load_idx(images_path), load_idx(labels_path).astype(np.int64)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"{images_path} must hold uint8 images of shape (n, height, width). "
            f"Got {images.dtype} of shape {images.shape} instead."
        )
    check_labels(target, len(images), n_classes, labels_path)
    return RawPart(images, target, [images_path, labels_path])
