"""From raw image arrays to the Bunch that every image fetcher returns."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from sklvyso._compat import Interval, StrOptions
from sklvyso.datasets._subsets import select_rows

FETCH_CONSTRAINTS: dict[str, list] = {
    "subset": [StrOptions({"train", "test", "all"})],
    "n_per_class": [Interval(Integral, 1, None, closed="left"), Mapping, None],
    "classes": ["array-like", None],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "as_images": ["boolean"],
    "dtype": [StrOptions({"uint8", "float32", "float64"})],
    "data_home": [str, os.PathLike, None],
    "download_if_missing": ["boolean"],
    "return_X_y": ["boolean"],
    "verify": [StrOptions({"auto"}), "boolean"],
    "n_retries": [Interval(Integral, 0, None, closed="left")],
    "delay": [Interval(Real, 0, None, closed="left")],
}


@dataclass
class RawPart:
    """One subset as it lies in its files.

    `images` are uint8 (n, H, W) or (n, H, W, 3), `target` int64 codes, `extra` further
    arrays with one entry a row.
    """

    images: np.ndarray
    target: np.ndarray
    filenames: list[str]
    extra: dict[str, np.ndarray] = field(default_factory=dict)


def subsets_of(subset: str) -> tuple[str, ...]:
    """Parts to read, training rows first."""
    return ("train", "test") if subset == "all" else (subset,)


def check_labels(target: np.ndarray, n_images: int, n_classes: int, path: str) -> None:
    """Refuse labels that do not belong to these images."""
    if target.shape != (n_images,):
        raise ValueError(
            f"The labels in {path} must be as many as the images, {n_images}. "
            f"Got shape {target.shape} instead."
        )
    if n_images and not 0 <= target.min() <= target.max() < n_classes:
        raise ValueError(
            f"The labels in {path} must be 0 to {n_classes - 1}. "
            f"Got {target.min()} to {target.max()} instead."
        )


def make_image_bunch(
    parts: Mapping[str, RawPart],
    *,
    target_names: Sequence[str],
    descr: str,
    subset: str,
    n_per_class: int | Mapping[int | str, int] | None,
    classes: Sequence[int | str] | None,
    shuffle: bool,
    random_state: int | np.random.RandomState | None,
    as_images: bool,
    dtype: str,
    return_X_y: bool,
    **attributes: Any,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Select, shuffle, scale, and wrap the parts of an image set.

    Parameters
    ----------
    parts : mapping of str to RawPart
        The subsets read, training rows first.
    target_names : sequence of str
        Name of each class code.
    descr : str
        Text for `DESCR`.
    subset, n_per_class, classes, shuffle, random_state, as_images, dtype, return_X_y
        As in :func:`fetch_mnist`.
    **attributes : object
        More entries of the Bunch.

    Returns
    -------
    bunch : Bunch or tuple (X, y)
        See :func:`fetch_mnist`.
    """
    rows = [
        select_rows(part.target, target_names, classes, n_per_class)
        for part in parts.values()
    ]
    fold = np.repeat([-1 if s == "train" else 0 for s in parts], [len(r) for r in rows])
    order = np.arange(len(fold))
    if shuffle:
        check_random_state(random_state).shuffle(order)
    images = scale_pixels(_gather([p.images for p in parts.values()], rows), dtype)
    target = _gather([part.target for part in parts.values()], rows)
    if shuffle:
        images, target, fold = images[order], target[order], fold[order]
    data = images if as_images else images.reshape(len(images), -1)
    if return_X_y:
        return data, target
    for key in next(iter(parts.values())).extra:
        extra = _gather([part.extra[key] for part in parts.values()], rows)
        attributes[key] = extra[order]
    if subset == "all":
        attributes["test_fold"] = fold
    return Bunch(
        data=data,
        target=target,
        target_names=list(target_names),
        images=images,
        feature_names=pixel_names(images.shape[1:]),
        filenames=[name for part in parts.values() for name in part.filenames],
        DESCR=descr,
        **attributes,
    )


def scale_pixels(images: np.ndarray, dtype: str) -> np.ndarray:
    """Keep uint8, or divide by 255 into [0, 1]."""
    if dtype == "uint8":
        return images
    return np.divide(images, np.dtype(dtype).type(255), dtype=dtype)


def pixel_names(shape: tuple[int, ...]) -> list[str]:
    """Names of the columns of flattened images: ``pixel_r_c`` or ``pixel_r_c_R``."""
    height, width, *channels = shape
    suffixes = ["_R", "_G", "_B"] if channels else [""]
    return [
        f"pixel_{row}_{column}{suffix}"
        for row in range(height)
        for column in range(width)
        for suffix in suffixes
    ]


def _gather(arrays: list[np.ndarray], rows: list[np.ndarray]) -> np.ndarray:
    """Chosen rows of several arrays, in one contiguous array; no copy of a whole."""
    if len(arrays) == 1 and len(rows[0]) == len(arrays[0]):
        return np.ascontiguousarray(arrays[0])
    n_rows = sum(map(len, rows))
    out = np.empty((n_rows, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    start = 0
    for array, chosen in zip(arrays, rows, strict=True):
        # mode="raise" would buffer the whole output.
        np.take(array, chosen, 0, out[start : start + len(chosen)], "clip")
        start += len(chosen)
    return out
