"""Bring one file over HTTP: mirrors, retries, resumption, hash, throttled hosts."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import email.utils
import http.client
import logging
import os
import ssl
import time
import urllib.error
import urllib.request
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from sklvyso._version import __version__
from sklvyso.datasets._progress import ProgressLine
from sklvyso.datasets._registry import RemoteFile
from sklvyso.datasets._verify import file_digest, new_hash

logger = logging.getLogger("sklvyso.datasets")

CHUNK = 1 << 16
SLOW_WINDOW = 20.0  # seconds over which a host's speed is judged
SLOW_SPEED = 100_000  # bytes a second below which another host is tried
LONGEST_WAIT = 60.0

# Not OSError as a whole: a full disk must not look like a bad connection.
_CONNECTION_ERRORS = (
    urllib.error.URLError,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
    http.client.HTTPException,
)


class DownloadError(OSError):
    """No URL gave the file; `is_unreachable` if not one host could be talked to."""

    def __init__(self, reasons: list[str], is_unreachable: bool) -> None:
        super().__init__("; ".join(reasons))
        self.is_unreachable = is_unreachable


class ThrottledError(OSError):
    """Every URL left is slow; the part file is kept."""


class _RejectedError(Exception):
    """One URL will not give the file, however often it is asked."""

    is_unreachable = False


class _InterruptedError(Exception):
    """Asking again may help."""

    def __init__(self, reason: str, *, wait: float = 0, no_host: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.is_unreachable = no_host


class _SlowError(Exception):
    """The host is throttled and there is another one."""


def download(
    remote: RemoteFile,
    path: str,
    urls: list[str],
    *,
    n_retries: int,
    delay: float,
    timeout: float,
    progress: bool | None = None,
    leave_if_slow: bool = False,
) -> None:
    """Download `remote` to `path` from the first URL that gives the right bytes.

    The bytes go to a part file, which survives interruptions and is resumed; the final
    name appears by one atomic rename of a complete, verified, flushed file.

    Parameters
    ----------
    remote : RemoteFile
        Size and hash to insist on.
    path : str
        Final file name.
    urls : list of str
        Where to ask, in order.
    n_retries : int
        How often a failing URL is asked again.
    delay : float
        Seconds before the first retry; doubles with each.
    timeout : float
        Seconds without any byte after which a connection counts as cut.
    progress : bool, default=None
        Show one line on standard error; None shows it on a terminal only.
    leave_if_slow : bool, default=False
        Raise ThrottledError, rather than stay, when all URLs turn out slow.

    Raises
    ------
    DownloadError
        If no URL gave the file.
    ThrottledError
        See `leave_if_slow`.
    """
    part = part_path(path, remote)
    queue, slow, reasons, unreachable = deque(urls), set[str](), [], []
    while queue:
        url = queue.popleft()
        has_other = leave_if_slow or any(other not in slow for other in queue)
        patience = None if url in slow or not has_other else SLOW_WINDOW
        line = ProgressLine(remote, progress)
        try:
            _download_from(url, remote, part, n_retries, delay, timeout, patience, line)
        except _SlowError:
            slow.add(url)
            queue.append(url)
            if leave_if_slow and slow.issuperset(queue):
                raise ThrottledError(f"{remote.name}: every host is slow") from None
        except (_RejectedError, _InterruptedError) as error:
            reasons.append(f"{url}: {error}")
            unreachable.append(error.is_unreachable)
        else:
            os.replace(part, path)
            _remove(part + ".etag")
            size = os.path.getsize(path)
            logger.info("Downloaded %s (%s bytes) from %s", path, f"{size:,}", url)
            return
        finally:
            line.close()
    raise DownloadError(reasons, bool(unreachable) and all(unreachable))


def part_path(path: str, remote: RemoteFile) -> str:
    """Name of the part file: it carries the hash, so that versions never mix."""
    return f"{path}.{remote.digest[1][:8] if remote.digest else 'nohash'}.part"


def _download_from(
    url: str,
    remote: RemoteFile,
    part: str,
    n_retries: int,
    delay: float,
    timeout: float,
    patience: float | None,
    line: ProgressLine,
) -> None:
    """Ask one URL, again after interruptions, until the part file is right."""
    for attempt in range(n_retries + 1):
        try:
            found, is_resumed = _transfer(url, remote, part, timeout, patience, line)
            _check_digest(remote, part, found, is_resumed)
        except _InterruptedError as error:
            if attempt == n_retries:
                raise
            time.sleep(max(delay * 2**attempt, min(error.wait, LONGEST_WAIT)))
        else:
            return


def _check_digest(
    remote: RemoteFile, part: str, found: str | None, is_resumed: bool
) -> None:
    if remote.digest is None or found == remote.digest[1]:
        return
    _remove(part, part + ".etag")
    reason = f"{remote.digest[0]} is {found}, expected {remote.digest[1]}"
    if is_resumed:
        # The old part file may be to blame: this URL gets a clean try.
        raise _InterruptedError(reason)
    raise _RejectedError(reason)


def _transfer(
    url: str,
    remote: RemoteFile,
    part: str,
    timeout: float,
    patience: float | None,
    line: ProgressLine,
) -> tuple[str | None, bool]:
    """Fill the part file by one request; digest of it and whether it was resumed."""
    n_have = os.path.getsize(part) if os.path.exists(part) else 0
    if remote.size is not None and n_have > remote.size:
        _remove(part, part + ".etag")
        n_have = 0
    if n_have and n_have == remote.size:
        return _part_digest(part, remote), True
    request = urllib.request.Request(url, headers=_headers(url, part, n_have))
    try:
        with _opener().open(request, timeout=timeout) as response:
            n_start, n_total = _agree_on_range(response, remote, part, n_have)
            _save_etag(url, response, part, n_start)
            hasher = new_hash(remote.digest[0]) if remote.digest else None
            n_got = _stream(response, part, n_start, hasher, patience, remote, line)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and n_have and _range_of(error)[1] == n_have:
                return _part_digest(part, remote), True
            raise _judge_status(error, part) from None
    except _CONNECTION_ERRORS as error:
        raise _judge_connection(error) from error
    _check_length(n_got, n_total, remote, part)
    if n_start:
        return _part_digest(part, remote), True
    return hasher.hexdigest() if hasher else None, False


def _headers(url: str, part: str, n_have: int) -> dict[str, str]:
    headers = {"User-Agent": f"sklvyso/{__version__}"}
    if n_have:
        headers["Range"] = f"bytes={n_have}-"
        with contextlib.suppress(OSError, ValueError):
            with open(part + ".etag", encoding="utf-8") as file:
                saved_url, etag = file.read().split("\n")
            # An ETag means nothing to another host; there, the hash decides.
            if saved_url == url:
                headers["If-Range"] = etag
    return headers


def _save_etag(url: str, response: Any, part: str, n_start: int) -> None:
    etag = response.headers.get("ETag", "")
    if n_start:
        return
    _remove(part + ".etag")
    if etag.startswith('"'):  # weak ones may not be used with If-Range
        with open(part + ".etag", "w", encoding="utf-8") as file:
            file.write(f"{url}\n{etag}")


def _agree_on_range(
    response: Any, remote: RemoteFile, part: str, n_have: int
) -> tuple[int, int | None]:
    """First byte that the host sends and the length of the whole, if it says so."""
    if response.headers.get_content_type() == "text/html":
        raise _RejectedError("a web page came back (portal, login or quota notice?)")
    length = response.headers.get("Content-Length", "")
    n_start, n_total = 0, int(length) if length.isdigit() else None
    if response.status == 206:
        n_start, n_total = _range_of(response)
        if n_start != n_have:
            _remove(part, part + ".etag")
            raise _InterruptedError(f"asked for byte {n_have:,}, got {n_start:,}")
    elif response.status != 200:
        raise _RejectedError(f"HTTP {response.status}")
    if None not in (remote.size, n_total) and n_total != remote.size:
        raise _RejectedError(f"got {n_total:,} of {remote.size:,} bytes")
    return n_start, n_total


def _range_of(response: Any) -> tuple[int, int | None]:
    """Start and total of ``Content-Range: bytes start-end/total``."""
    value = response.headers.get("Content-Range", "").removeprefix("bytes ")
    span, _, total = value.partition("/")
    start = span.partition("-")[0]
    return (
        int(start) if start.isdigit() else -1,
        int(total) if total.isdigit() else None,
    )


def _stream(
    response: Any,
    part: str,
    n_start: int,
    hasher: Any,
    patience: float | None,
    remote: RemoteFile,
    line: ProgressLine,
) -> int:
    """Write the body to the part file; number of bytes that it now holds."""
    n_got, n_mark, t_mark = n_start, n_start, time.monotonic()
    with open(part, "ab" if n_start else "wb") as file:
        while chunk := response.read1(CHUNK):
            file.write(chunk)
            n_got += len(chunk)
            if hasher is not None:
                hasher.update(chunk)
            line.show(n_got)
            if remote.size is not None and n_got > remote.size:
                break
            elapsed = time.monotonic() - t_mark
            if patience is not None and elapsed >= patience:
                if n_got - n_mark < SLOW_SPEED * elapsed:
                    raise _SlowError
                n_mark, t_mark = n_got, time.monotonic()
        file.flush()
        os.fsync(file.fileno())
    return n_got


def _check_length(
    n_got: int, n_total: int | None, remote: RemoteFile, part: str
) -> None:
    n_expected = n_total if remote.size is None else remote.size
    if n_expected is None or n_got == n_expected:
        return
    reason = f"got {n_got:,} of {n_expected:,} bytes"
    if n_got < n_expected:
        raise _InterruptedError(reason)
    _remove(part, part + ".etag")
    raise _RejectedError(reason)


def _judge_status(
    error: urllib.error.HTTPError, part: str
) -> _InterruptedError | _RejectedError:
    reason = f"HTTP {error.code}"
    if error.code == 416:
        _remove(part, part + ".etag")
        return _InterruptedError(reason)
    if error.code in (408, 429) or error.code >= 500:
        return _InterruptedError(reason, wait=_retry_after(error))
    return _RejectedError(reason)


def _judge_connection(error: Exception) -> _InterruptedError | _RejectedError:
    cause = getattr(error, "reason", error)
    reason = f"{type(cause).__name__}: {cause}" if not isinstance(cause, str) else cause
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _RejectedError(reason)
    return _InterruptedError(reason, no_host=isinstance(error, urllib.error.URLError))


def _retry_after(error: urllib.error.HTTPError) -> float:
    value = error.headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    with contextlib.suppress(TypeError, ValueError):
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    return 0.0


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Refuse to be redirected from https to http."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            fp.close()
            raise _RejectedError(f"redirected from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoDowngrade)


def _part_digest(part: str, remote: RemoteFile) -> str | None:
    return file_digest(part, remote.digest[0]) if remote.digest else None


def _remove(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
