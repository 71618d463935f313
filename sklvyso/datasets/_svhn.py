"""Fetch SVHN, the street view house numbers, from its MATLAB files."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.io

from sklvyso._compat import validate_params
from sklvyso.datasets import _registry
from sklvyso.datasets._descriptions import DESCRIPTIONS
from sklvyso.datasets._fetch import ensure_files
from sklvyso.datasets._images import (
    FETCH_CONSTRAINTS,
    RawPart,
    check_labels,
    make_image_bunch,
    subsets_of,
)


@validate_params(FETCH_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_svhn(
    *,
    subset: str = "train",
    n_per_class: int | Mapping[int | str, int] | None = None,
    classes: Sequence[int | str] | None = None,
    shuffle: bool = False,
    random_state: int | np.random.RandomState | None = 0,
    as_images: bool = False,
    dtype: str = "uint8",
    data_home: str | os.PathLike | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    verify: bool | str = "auto",
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load the street view house numbers (SVHN), downloading them once.

    73,257 training and 26,032 test digits cut from photographs, 32 x 32 colour pixels
    [1]_, ten classes of unequal size. A full download is 246 MB.

    .. versionadded:: 0.1

    Parameters
    ----------
    subset : {'train', 'test', 'all'}, default='train'
        Official part to load; 'all' gives the training rows first, then the test rows.

    n_per_class : int or mapping of class to int, default=None
        Keep the first rows of each class in file order, in each part. A mapping, with
        labels or names as keys, speaks of the classes that it names; the others stay
        whole. None keeps all rows.

    classes : sequence of int or str, default=None
        Labels or names of the classes to keep. Labels are not renumbered. None keeps
        all classes.

    shuffle : bool, default=False
        Shuffle the rows, last of all.

    random_state : int, RandomState instance or None, default=0
        Seed of the shuffle.

    as_images : bool, default=False
        If True, `data` has shape (n_samples, 32, 32, 3); otherwise its rows are
        flat, in the order row, column, channel.

    dtype : {'uint8', 'float32', 'float64'}, default='uint8'
        'uint8' keeps pixels as stored, 0 to 255; the others divide by 255 into [0, 1].

    data_home : str or path-like, default=None
        Where the files lie or shall lie, see :func:`get_data_home`.

    download_if_missing : bool, default=True
        If False, raise OSError if files are missing, rather than download them. The
        environment variable ``SKLVYSO_OFFLINE=1`` does the same.

    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    verify : bool or 'auto', default='auto'
        Check of the files' hashes: 'auto' once and again when a file changes, True at
        each call, False never.

    n_retries : int, default=3
        Retries of each address when a connection fails.

    delay : float, default=1.0
        Seconds before the first retry; doubles with each.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes:

        data : ndarray of shape (n_samples, 3072) or (n_samples, 32, 32, 3)
            Pixels; shares its memory with `images`.
        target : ndarray of shape (n_samples,), dtype=int64
            Digit, 0 to 9; the files call digit 0 class 10.
        target_names : list of str
            Name of each label.
        images : ndarray of shape (n_samples, 32, 32, 3)
            Pixels as images.
        feature_names : list of str of length 3072
            ``pixel_<row>_<column>_<R, G or B>``.
        filenames : list of str
            Files that were read.
        pixel_mean, pixel_std : tuple of float
            None: not measured for this set.
        test_fold : ndarray of shape (n_samples,)
            Only with ``subset='all'``: -1 for training rows, 0 for test rows, as
            :class:`~sklearn.model_selection.PredefinedSplit` takes it.
        DESCR : str
            Origin, counts, caveats, licence, citation.

    (data, target) : tuple of ndarray
        If `return_X_y` is True.

    Raises
    ------
    OSError
        If files are missing or corrupt and cannot be downloaded; the text names the
        files, their hashes and where to put them.
    ValueError
        If a parameter is out of range, a class unknown or too small, or a file is not
        what its format demands.

    See Also
    --------
    fetch_mnist : Digits without a background.

    References
    ----------
    .. [1] Y. Netzer et al., "Reading digits in natural images with unsupervised feature
       learning", NIPS workshop on deep learning, 2011.

    Examples
    --------
    >>> from sklvyso.datasets import fetch_svhn
    >>> X, y = fetch_svhn(n_per_class=100, return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (1000, 3072)
    """
    return _fetch_svhn(
        _registry.SVHN,
        subset=subset,
        n_per_class=n_per_class,
        classes=classes,
        shuffle=shuffle,
        random_state=random_state,
        as_images=as_images,
        dtype=dtype,
        data_home=data_home,
        download_if_missing=download_if_missing,
        return_X_y=return_X_y,
        verify=verify,
        n_retries=n_retries,
        delay=delay,
    )


def _fetch_svhn(
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
    """Find, read and wrap SVHN; `options` shape the result."""
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
    return make_image_bunch(
        {name: _read_part(path) for name, path in zip(subsets, paths, strict=True)},
        target_names=image_set.target_names,
        descr=DESCRIPTIONS[image_set.name],
        subset=subset,
        pixel_mean=image_set.pixel_mean,
        pixel_std=image_set.pixel_std,
        **options,
    )


def _read_part(path: str) -> RawPart:
    content = scipy.io.loadmat(path, variable_names=("X", "y"))
    pixels, labels = content.get("X"), content.get("y")
    if (
        pixels is None
        or labels is None
        or pixels.shape[:-1] != (32, 32, 3)
        or pixels.dtype != np.uint8
    ):
        raise ValueError(
            f"{path} must hold 'X', uint8 of shape (32, 32, 3, n), and 'y'. "
            f"Got {scipy.io.whosmat(path)} instead."
        )
    images = np.ascontiguousarray(pixels.transpose(3, 0, 1, 2))
    target = labels.ravel().astype(np.int64)
    target[target == 10] = 0
    check_labels(target, len(images), 10, path)
    return RawPart(images, target, [path])
