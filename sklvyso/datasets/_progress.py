"""Progress of a download for who watches a terminal."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import sys
import time

from sklvyso.datasets._registry import RemoteFile


class ProgressLine:
    """One line on standard error, rewritten at most five times a second."""

    def __init__(self, remote: RemoteFile, wanted: bool | None) -> None:
        self._is_on = sys.stderr.isatty() if wanted is None else wanted
        self._remote = remote
        self._last = 0.0

    def show(self, n_got: int) -> None:
        """Say how many bytes are there."""
        if not self._is_on or time.monotonic() - self._last < 0.2:
            return
        self._last = time.monotonic()
        total = f" of {self._remote.size:,}" if self._remote.size else ""
        print(
            f"\r{self._remote.name}: {n_got:,}{total} bytes",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """End the line, if one was begun."""
        if self._is_on and self._last:
            print(file=sys.stderr)
