"""The data home: where real sets lie, which of its folders are looked into."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import glob
import os
from collections.abc import Iterator

from sklvyso._arguments import check_path, is_choice
from sklvyso.datasets._registry import IMAGE_SETS, ImageSet, RemoteFile


def get_data_home(data_home: str | os.PathLike | None = None) -> str:
    """Say where real data sets are looked for and stored.

    The argument comes first, then the environment variable ``SKLVYSO_DATA``, then the
    folder ``sklvyso`` in scikit-learn's data home (environment variable
    ``SCIKIT_LEARN_DATA``, else ``~/scikit_learn_data``). ``~`` is expanded. Unlike
    :func:`sklearn.datasets.get_data_home`, nothing is created: the folder appears when
    a download is about to be written.

    .. versionadded:: 0.1

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder to use. None takes the environment's choice.

    Returns
    -------
    data_home : str
        Path of the folder, which may not exist yet.

    See Also
    --------
    clear_data_home : Remove downloaded files.

    Examples
    --------
    >>> from sklvyso.datasets import get_data_home
    >>> get_data_home("my_data")
    'my_data'
    """
    if data_home is None:
        data_home = os.environ.get("SKLVYSO_DATA") or None
    if data_home is None:
        parent = os.environ.get("SCIKIT_LEARN_DATA") or "~/scikit_learn_data"
        data_home = os.path.join(parent, "sklvyso")
    return os.path.expanduser(check_path("data_home", data_home))


def clear_data_home(
    name: str | None = None, data_home: str | os.PathLike | None = None
) -> None:
    """Remove downloaded files of known sets from the data home.

    Only ``<home>/<name>/<file>`` is removed, where `file` is one that our fetchers
    download, with what an interrupted download left of it. Other files stay, and so do
    folders that other libraries made.

    .. versionadded:: 0.1

    Parameters
    ----------
    name : str, default=None
        Which set: 'mnist', 'fashion_mnist', 'kmnist', 'cifar10', 'cifar100' or 'svhn'.
        None means all of them.

    data_home : str or path-like, default=None
        The data home, see :func:`get_data_home`.

    Raises
    ------
    ValueError
        If no set has this name.

    See Also
    --------
    get_data_home : Where real sets lie.

    Examples
    --------
    >>> import tempfile
    >>> from sklvyso.datasets import clear_data_home
    >>> with tempfile.TemporaryDirectory() as home:
    ...     clear_data_home("mnist", data_home=home)
    """
    if name is not None and not is_choice(name, IMAGE_SETS):
        raise ValueError(
            f"name must be None or one of {sorted(IMAGE_SETS)}. Got {name!r} instead."
        )
    home = get_data_home(data_home)
    for set_name in IMAGE_SETS if name is None else [name]:
        folder = os.path.join(home, set_name)
        for remote in IMAGE_SETS[set_name].files_of(("train", "test")):
            path = os.path.join(folder, remote.name)
            leftovers = glob.glob(glob.escape(path) + ".*.part*")
            for file in (path, path + ".lock", *leftovers):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(file)
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def is_writable(folder: str) -> bool:
    """Say whether files may be created in a folder, or in its nearest existing parent.

    A folder without any write bit counts as read-only for root as well, whom mode bits
    do not bind: who marks a shared home read-only means it.
    """
    folder = os.path.abspath(folder)
    while not os.path.isdir(folder):
        parent = os.path.dirname(folder)
        if parent == folder or os.path.lexists(folder):
            return False
        folder = parent
    return bool(os.stat(folder).st_mode & 0o222) and os.access(folder, os.W_OK)


def set_folders(home: str, image_set: ImageSet) -> list[str]:
    """Folders in which a set's files are looked for, the flat home last."""
    own = os.path.join(home, image_set.name)
    others = [os.path.join(home, folder, "raw") for folder in image_set.folders]
    return [own, os.path.join(own, "raw"), *others, home]


def copies_of(home: str, image_set: ImageSet, remote: RemoteFile) -> Iterator[str]:
    """Existing copies of a file, packed or not, in order of preference."""
    names = [remote.name]
    if remote.name.endswith("-ubyte.gz"):
        names.append(remote.name.removesuffix(".gz"))
    for folder in set_folders(home, image_set):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                yield path
