"""Read images that lie in one folder a class, packed in an archive or not."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklvyso._compat import Interval, StrOptions, validate_params
from sklvyso.datasets._archive_cache import ArchiveCache
from sklvyso.datasets._archive_members import ImageMember, list_images, read_images
from sklvyso.datasets._images import pixel_names
from sklvyso.datasets._subsets import select_rows


@validate_params(
    {
        "path": [str, os.PathLike],
        "subset": [str, None],
        "classes": ["array-like", None],
        "n_per_class": [Interval(Integral, 1, None, closed="left"), Mapping, None],
        "size": [tuple, list, None],
        "mode": [StrOptions({"RGB", "L"})],
        "cache": ["boolean"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_image_archive(
    path: str | os.PathLike,
    *,
    subset: str | None = None,
    classes: Sequence[int | str] | None = None,
    n_per_class: int | Mapping[int | str, int] | None = None,
    size: tuple[int, int] | None = None,
    mode: str = "RGB",
    cache: bool = True,
    return_X_y: bool = False,
) -> Any:
    """Load images that are sorted into one folder a class.

    Files are ``<class>/<file>`` or ``<subset>/<class>/<file>`` with the endings jpg,
    jpeg, png, webp or bmp; hidden files and ``__MACOSX`` are passed over. Archives are
    read in memory: nothing is extracted to disk.

    .. versionadded:: 0.1

    Parameters
    ----------
    path : str or path-like
        A folder, or an archive: zip, tar, tar.gz, tar.xz or tar.bz2.

    subset : str, default=None
        Which subset to read, such as 'train'. None where there is only one.

    classes : sequence of int or str, default=None
        Labels or names of the classes to keep. Labels are not renumbered. None keeps
        all classes.

    n_per_class : int or mapping of class to int, default=None
        Keep the first images of each class, by file name. None keeps all.

    size : tuple of two int, default=None
        Height and width to resize to, with antialiasing. None keeps images as they
        are; they must have one size.

    mode : {'RGB', 'L'}, default='RGB'
        Colour or grey.

    cache : bool, default=True
        Keep the decoded images in a ``.npy`` file beside the archive, or in the data
        home if that cannot be written, and map it read-only into memory from then on.
        A changed archive or another setting makes a new file.

    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes:

        data : ndarray of shape (n_samples, height * width * n_channels), dtype=uint8
            Flat images; shares its memory with `images`.
        target : ndarray of shape (n_samples,), dtype=int64
            Label: the place of the class among the sorted class names.
        target_names : list of str
            Name of each label.
        images : ndarray of shape (n_samples, height, width[, 3])
            Pixels as images, classes in order, files of a class sorted by name.
        feature_names : list of str
            ``pixel_<row>_<column>`` or ``pixel_<row>_<column>_<R, G or B>``.
        filenames : list of str
            Path of each image inside the folder or archive.
        DESCR : str
            What was read.

    (data, target) : tuple of ndarray
        If `return_X_y` is True.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or archive.
    ValueError
        If an image is broken, sizes differ, or a subset or class is unknown; the text
        names the file.

    See Also
    --------
    fetch_cifar10 : The original of a set that is often passed on in folders.

    Examples
    --------
    >>> import os, tempfile
    >>> from PIL import Image
    >>> from sklvyso.datasets import load_image_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         os.mkdir(os.path.join(folder, name))
    ...         Image.new("RGB", (4, 3)).save(os.path.join(folder, name, "0.png"))
    ...     bunch = load_image_archive(folder, cache=False)
    >>> bunch.images.shape, bunch.target, bunch.target_names
    ((2, 3, 4, 3), array([0, 1]), ['cat', 'dog'])
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"path must be a folder or an archive. Got {path}.")
    if size is not None:
        size = _check_size(size)
    store = None
    if cache:
        settings = (subset, classes, n_per_class, size, mode)
        store = ArchiveCache(path, settings)
    loaded = store.load() if store else None
    if loaded is None:
        members, names = _choose(path, subset, classes, n_per_class)
        images = read_images(path, members, size, mode)
        target = np.array([names.index(m.label) for m in members], dtype=np.int64)
        filenames = [member.name for member in members]
        loaded = images, target, names, filenames
        if store:
            loaded = store.save(*loaded)
    images, target, names, filenames = loaded
    data = images.reshape(len(images), -1)
    if return_X_y:
        return data, target
    counts = ", ".join(
        f"{name} {n}"
        for name, n in zip(
            names, np.bincount(target, minlength=len(names)), strict=True
        )
    )
    return Bunch(
        data=data,
        target=target,
        target_names=names,
        images=images,
        feature_names=pixel_names(images.shape[1:]),
        filenames=filenames,
        DESCR=f"{len(images):,} images read from {path}.\nCounts: {counts}.\n",
    )


def _check_size(size: Sequence[int]) -> tuple[int, int]:
    is_int = all(isinstance(v, Integral) and v > 0 for v in size)
    if len(size) != 2 or not is_int:
        raise ValueError(f"size must be two positive integers. Got {size!r} instead.")
    return int(size[0]), int(size[1])


def _choose(
    path: str,
    subset: str | None,
    classes: Sequence[int | str] | None,
    n_per_class: int | Mapping[int | str, int] | None,
) -> tuple[list[ImageMember], list[str]]:
    """Members to read, sorted by class and name, and all class names."""
    members = list_images(path)
    subsets = sorted({member.subset for member in members})
    if not members:
        raise ValueError(
            f"{path} must hold images as <class>/<file> or <subset>/<class>/<file>. "
            "Got none."
        )
    if (subset is None and len(subsets) > 1) or subset not in (None, *subsets):
        raise ValueError(
            f"subset must be one of {subsets}, those of {path}. Got {subset!r} instead."
        )
    if subset is not None:
        members = [member for member in members if member.subset == subset]
    members.sort(key=lambda member: (member.label, member.name))
    names = sorted({member.label for member in members})
    codes = np.array([names.index(member.label) for member in members])
    rows = select_rows(codes, names, classes, n_per_class)
    return [members[row] for row in rows], names
