"""Find a form of CIFAR in the data home, or download the one that comes fastest."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections import deque

from sklvyso.datasets._cifar_forms import CifarForm
from sklvyso.datasets._download import DownloadError, ThrottledError
from sklvyso.datasets._fetch import (
    Corrupt,
    _fetch_file,
    describe_missing,
    find_copy,
    set_aside,
    why_failed,
    why_off,
)
from sklvyso.datasets._home import get_data_home, is_writable, set_folders
from sklvyso.datasets._registry import ImageSet
from sklvyso.datasets._verify import find_wrong_digest


def ensure_form(
    image_set: ImageSet,
    forms: tuple[CifarForm, ...],
    subsets: tuple[str, ...],
    *,
    data_home: str | os.PathLike | None,
    download_if_missing: bool,
    verify: bool | str,
    n_retries: int,
    delay: float,
) -> tuple[CifarForm, str]:
    """Give one form of the set that is at hand, and its archive or folder.

    Parameters
    ----------
    image_set : ImageSet
        CIFAR10 or CIFAR100.
    forms : tuple of CifarForm
        Its forms, the preferred one first.
    subsets : tuple of str
        The parts that will be read: an unpacked folder needs no more than these.
    data_home, download_if_missing, verify, n_retries, delay
        As in :func:`fetch_mnist`.

    Returns
    -------
    form : CifarForm
        The form found or downloaded.
    path : str
        Its archive or unpacked folder.

    Raises
    ------
    OSError
        If no form is there and none can be downloaded.
    """
    home = get_data_home(data_home)
    off = why_off(download_if_missing)
    corrupt: list[Corrupt] = []
    for form in forms:
        path = _find_folder(
            home, image_set, form, subsets, verify, off is None, corrupt
        ) or find_copy(home, image_set, form.archive, verify, off is None, corrupt)
        if path is not None:
            return form, path
    archives = [form.archive for form in forms]
    if off is not None:
        text = describe_missing(image_set, home, archives, off, corrupt, any_of=True)
        raise OSError(text)
    try:
        return _download_any(home, image_set, forms, verify, n_retries, delay)
    except DownloadError as error:
        reason = why_failed(error)
        text = describe_missing(image_set, home, archives, reason, corrupt, any_of=True)
        raise OSError(text) from error


def _find_folder(
    home: str,
    image_set: ImageSet,
    form: CifarForm,
    subsets: tuple[str, ...],
    verify: bool | str,
    can_replace: bool,
    corrupt: list[Corrupt],
) -> str | None:
    for place in set_folders(home, image_set):
        folder = os.path.join(place, form.folder)
        members = form.members_of(subsets)
        if not all(os.path.isfile(os.path.join(folder, m.name)) for m in members):
            continue
        is_good = True
        for member in members:
            path = os.path.join(folder, member.name)
            digests = find_wrong_digest(path, member, home, verify)
            if digests is None:
                continue
            is_good = False
            if can_replace and is_writable(folder):
                set_aside(path, digests)
            else:
                corrupt.append((path, digests))
        if is_good:
            return folder
    return None


def _download_any(
    home: str,
    image_set: ImageSet,
    forms: tuple[CifarForm, ...],
    verify: bool | str,
    n_retries: int,
    delay: float,
) -> tuple[CifarForm, str]:
    """Download the first form that comes; a throttled one is left for the next."""
    folder = os.path.join(home, image_set.name)
    queue = deque((form, form is not forms[-1]) for form in forms)
    errors: list[DownloadError] = []
    while queue:
        form, leave_if_slow = queue.popleft()
        try:
            path = _fetch_file(
                form.archive,
                folder,
                n_retries=n_retries,
                delay=delay,
                verify=verify,
                leave_if_slow=leave_if_slow,
            )
        except ThrottledError:
            queue.append((form, False))
        except DownloadError as error:
            errors.append(error)
        else:
            return form, path
    raise DownloadError(
        [str(error) for error in errors], all(error.is_unreachable for error in errors)
    )
