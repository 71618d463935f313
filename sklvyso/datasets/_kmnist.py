"""Fetch Kuzushiji-MNIST: ten cursive characters of 28 x 28 grey pixels."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklvyso._compat import validate_params
from sklvyso.datasets import _registry
from sklvyso.datasets._idx_sets import fetch_idx_set
from sklvyso.datasets._images import FETCH_CONSTRAINTS


@validate_params(FETCH_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_kmnist(
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
    """Load Kuzushiji-MNIST, downloading it once.

    60,000 training and 10,000 test images of cursive Japanese characters, 28 x 28 grey
    pixels [1]_, 6,000 and 1,000 for each of ten classes.

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
        If True, `data` has shape (n_samples, 28, 28); otherwise its rows are
        flat, in the order row, column.

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

        data : ndarray of shape (n_samples, 784) or (n_samples, 28, 28)
            Pixels; shares its memory with `images`.
        target : ndarray of shape (n_samples,), dtype=int64
            Character, 0 to 9.
        target_names : list of str
            Name of each label.
        images : ndarray of shape (n_samples, 28, 28)
            Pixels as images.
        feature_names : list of str of length 784
            ``pixel_<row>_<column>``.
        filenames : list of str
            Files that were read.
        pixel_mean, pixel_std : float
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
    fetch_mnist : Easier images in the same format.
    load_idx : Read one file of this format.

    References
    ----------
    .. [1] T. Clanuwat et al., "Deep learning for classical Japanese literature",
       arXiv:1812.01718, 2018.

    Examples
    --------
    >>> from sklvyso.datasets import fetch_kmnist
    >>> X, y = fetch_kmnist(n_per_class=100, return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (1000, 784)
    """
    return fetch_idx_set(
        _registry.KMNIST,
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
