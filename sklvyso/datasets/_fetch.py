"""Find the files of a set in the data home, or download them once for everyone.

A cached set is read without any network access. Missing files are downloaded under a
lock, so that any number of processes asking at once cause one download.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import itertools
import os
import time
import warnings
from urllib.parse import urlsplit

from sklvyso.datasets import _lock
from sklvyso.datasets._download import DownloadError, download
from sklvyso.datasets._home import copies_of, get_data_home, is_writable
from sklvyso.datasets._registry import ImageSet, RemoteFile
from sklvyso.datasets._verify import find_wrong_digest, published_digest, remember

Corrupt = tuple[str, tuple[str, str]]  # path, (expected digest, found digest)


def ensure_files(
    image_set: ImageSet,
    remotes: tuple[RemoteFile, ...],
    *,
    data_home: str | os.PathLike | None = None,
    download_if_missing: bool = True,
    verify: bool | str = "auto",
    n_retries: int = 3,
    delay: float = 1.0,
) -> list[str]:
    """Give the local path of each file, downloading what is missing.

    Parameters
    ----------
    image_set : ImageSet
        The set that the files belong to.
    remotes : tuple of RemoteFile
        The files needed, all of them.
    data_home : str or path-like, default=None
        See :func:`get_data_home`.
    download_if_missing : bool, default=True
        If False, raise OSError rather than download.
    verify : bool or 'auto', default="auto"
        See :func:`find_wrong_digest`.
    n_retries : int, default=3
        Retries per URL.
    delay : float, default=1.0
        Seconds before the first retry.

    Returns
    -------
    paths : list of str
        One path a file, in order.

    Raises
    ------
    OSError
        If a file is missing or corrupt and cannot be downloaded.
    """
    home = get_data_home(data_home)
    off = why_off(download_if_missing)
    found: dict[RemoteFile, str] = {}
    corrupt: list[Corrupt] = []
    for remote in remotes:
        path = find_copy(home, image_set, remote, verify, off is None, corrupt)
        if path is not None:
            found[remote] = path
    missing = [remote for remote in remotes if remote not in found]
    if missing and off is not None:
        raise OSError(describe_missing(image_set, home, missing, off, corrupt))
    folder = os.path.join(home, image_set.name)
    for i, remote in enumerate(missing):
        try:
            found[remote] = _fetch_file(
                remote, folder, n_retries=n_retries, delay=delay, verify=verify
            )
        except DownloadError as error:
            reason = why_failed(error)
            text = describe_missing(image_set, home, missing[i:], reason, corrupt)
            raise OSError(text) from error
    return [found[remote] for remote in remotes]


def find_copy(
    home: str,
    image_set: ImageSet,
    remote: RemoteFile,
    verify: bool | str,
    can_replace: bool,
    corrupt: list[Corrupt],
) -> str | None:
    """Find the first good copy of a file.

    A corrupt copy is set aside if it can be replaced by a download, else noted in
    `corrupt`.
    """
    for path in copies_of(home, image_set, remote):
        if os.path.abspath(os.path.dirname(path)) == os.path.abspath(home):
            # Several sets share file names: only the hash says whose file this is.
            is_known = published_digest(path, remote) is not None
            if is_known and not find_wrong_digest(path, remote, home, verify or "auto"):
                return path
            continue
        digests = find_wrong_digest(path, remote, home, verify)
        if digests is None:
            return path
        if can_replace and is_writable(os.path.dirname(path)):
            set_aside(path, digests)
        else:
            corrupt.append((path, digests))
    return None


def set_aside(path: str, digests: tuple[str, str]) -> None:
    """Move a corrupt file to ``<file>.corrupt``: it may be the user's own."""
    for suffix in itertools.chain([""], (f".{i}" for i in itertools.count(1))):
        aside = f"{path}.corrupt{suffix}"
        if not os.path.exists(aside):
            break
    try:
        os.rename(path, aside)
    except FileNotFoundError:  # another process was faster
        return
    warnings.warn(
        f"{path} is corrupt: expected {digests[0]}, found {digests[1]}. It was moved "
        f"to {aside} and is downloaded again.",
        UserWarning,
        stacklevel=2,
    )


def _fetch_file(
    remote: RemoteFile,
    folder: str,
    *,
    n_retries: int = 3,
    delay: float = 1.0,
    timeout: float = 30,
    progress: bool | None = None,
    verify: bool | str = "auto",
    download_if_missing: bool = True,
    leave_if_slow: bool = False,
) -> str:
    """Give the path of a file in ``<home>/<set name>``, downloading it if missing.

    Parameters
    ----------
    remote : RemoteFile
        The file wanted.
    folder : str
        Where it lies or shall lie: the set's own folder in the data home.
    n_retries : int, default=3
        Retries per URL.
    delay : float, default=1.0
        Seconds before the first retry; doubles with each.
    timeout : float, default=30
        Seconds without a byte after which a connection counts as cut.
    progress : bool, default=None
        One line on standard error; None shows it on a terminal only.
    verify : bool or 'auto', default="auto"
        See :func:`find_wrong_digest`.
    download_if_missing : bool, default=True
        If False, raise OSError rather than download.
    leave_if_slow : bool, default=False
        Raise ThrottledError when all hosts turn out slow.

    Returns
    -------
    path : str
        The verified file.
    """
    path = os.path.join(folder, remote.name)
    home = os.path.dirname(folder)
    while True:
        digests = None
        if os.path.exists(path):
            digests = find_wrong_digest(path, remote, home, verify)
            if digests is None:
                return path
        off = why_off(download_if_missing)
        if off is not None:
            raise DownloadError([off], True)
        if not is_writable(folder):
            raise DownloadError([f"{folder} cannot be written"], False)
        os.makedirs(folder, exist_ok=True)
        lock = _lock.FileLock(path)
        if not lock.acquire():
            time.sleep(_lock.POLL)
            continue
        with lock:
            if digests is not None:
                set_aside(path, digests)
            if os.path.exists(path):
                continue
            download(
                remote,
                path,
                [*mirror_urls(remote, os.path.basename(folder)), *remote.urls],
                n_retries=n_retries,
                delay=delay,
                timeout=timeout,
                progress=progress,
                leave_if_slow=leave_if_slow,
            )
            if remote.digest and verify == "auto":
                remember(path, home, ":".join(remote.digest))
            return path


def mirror_urls(remote: RemoteFile, set_name: str) -> list[str]:
    """URLs of the user's own mirrors, from the variable ``SKLVYSO_MIRRORS``."""
    bases = [b.strip() for b in os.environ.get("SKLVYSO_MIRRORS", "").split(";")]
    for base in filter(None, bases):
        if urlsplit(base).scheme not in ("http", "https"):
            raise ValueError(
                "SKLVYSO_MIRRORS must be http or https addresses separated by ';'. "
                f"Got {base!r} instead."
            )
    return [f"{b.rstrip('/')}/{set_name}/{remote.name}" for b in bases if b]


def why_off(download_if_missing: bool) -> str | None:
    """Reason why nothing may be downloaded, None if it may."""
    if os.environ.get("SKLVYSO_OFFLINE", "").strip().lower() in ("1", "true", "yes"):
        return "SKLVYSO_OFFLINE=1"
    return None if download_if_missing else "download_if_missing=False"


def why_failed(error: DownloadError) -> str:
    """Reason of a failed download, for the user's eyes."""
    return f"{'no connection' if error.is_unreachable else 'no URL worked'}: {error}"


def describe_missing(
    image_set: ImageSet,
    home: str,
    missing: list[RemoteFile],
    reason: str,
    corrupt: list[Corrupt],
    *,
    any_of: bool = False,
) -> str:
    """Say which files are missing, where they are looked for, where to get them."""
    wide = max(len(remote.name) for remote in missing)
    sizes = [f"{r.size:,}" if r.size is not None else "?" for r in missing]
    wide_size = max(map(len, sizes))
    rows = [
        f"  {remote.name:<{wide}}  {size:>{wide_size}} bytes{_short_digest(remote)}"
        for remote, size in zip(missing, sizes, strict=True)
    ]
    bad = [f"  {p}  expected {want}, found {got}" for p, (want, got) in corrupt]
    hosts = [
        remote.urls[0].removesuffix(remote.name) for remote in missing if remote.urls
    ]
    return "\n".join(
        [
            f"{image_set.title} was not found and downloading is off ({reason}).",
            "Looked in:",
            f"  {os.path.join(home, image_set.name)}",
            *(["Corrupt:", *bad] if bad else []),
            "Missing (any one will do):" if any_of else "Missing:",
            *rows,
            "Get them on a machine with a network from",
            *[f"  {host}" for host in dict.fromkeys(hosts)],
            "and put them there, or set SKLVYSO_DATA (or data_home=) to a folder that "
            f"has a {image_set.name}/ sub-folder with them.",
        ]
    )


def _short_digest(remote: RemoteFile) -> str:
    if remote.digest is None:
        return ""
    return f"  {remote.digest[0]} {remote.digest[1][:8]}…"
