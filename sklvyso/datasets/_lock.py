"""A lock file for downloads: waited for while fresh, stolen when stale."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from types import TracebackType

STALE_AGE = 600.0  # seconds without a heartbeat after which any lock is stolen
ORPHAN_AGE = 5.0  # the same where the owner is a dead process of this machine
HEARTBEAT = 2.0
POLL = 0.2


class FileLock:
    """Hold ``<path>.lock`` while one process downloads `path`.

    The lock is a file made with ``O_CREAT | O_EXCL``; it holds process id, host and
    time, and a thread touches it every few seconds. :meth:`acquire` never blocks:
    it returns False while another process holds a fresh lock.
    """

    def __init__(self, path: str) -> None:
        self.path = path + ".lock"
        self._token = uuid.uuid4().hex
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free or stale, and say whether we hold it."""
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            if self._is_stale():
                self._steal()
            return False
        owner = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "time": time.time(),
            "token": self._token,
        }
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(owner, file)
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return True

    def release(self) -> None:
        """Remove the lock if it is still ours."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if _read_owner(self.path).get("token") == self._token:
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path)

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def _is_stale(self) -> bool:
        try:
            age = time.time() - os.stat(self.path).st_mtime
        except FileNotFoundError:
            return False
        if age > STALE_AGE:
            return True
        return age > ORPHAN_AGE and _is_dead(_read_owner(self.path))

    def _steal(self) -> None:
        aside = f"{self.path}.{self._token}"
        try:
            os.rename(self.path, aside)
        except FileNotFoundError:
            return
        # Between our look and our rename another process may have stolen the stale
        # lock and made its own: that one is fresh and goes back.
        age = time.time() - os.stat(aside).st_mtime
        if age <= min(STALE_AGE, ORPHAN_AGE):
            with contextlib.suppress(OSError):
                os.link(aside, self.path)
        os.remove(aside)


def _read_owner(path: str) -> dict:
    try:
        with open(path, encoding="utf-8") as file:
            owner = json.load(file)
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _is_dead(owner: dict) -> bool:
    """Whether the owner surely is no more: only its own machine can tell."""
    # On Windows, os.kill(pid, 0) is no question but an interrupt.
    if os.name != "posix" or owner.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(owner["pid"]), 0)
    except ProcessLookupError:
        return True
    except (KeyError, ValueError, OSError):
        return False
    return False
