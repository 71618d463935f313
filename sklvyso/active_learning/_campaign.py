"""The state of a labelling campaign: what was asked, what was answered, when."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np

from sklvyso.active_learning._labels import plain_labels


class Campaign:
    """Labels of a pool, in the order in which they came.

    Parameters
    ----------
    n_rows : int
        Size of the pool.
    """

    def __init__(self, n_rows: int):
        self.n_rows = n_rows
        self.labels: dict[int, Any] = {}  # by row, in the order of arrival
        self.origin: dict[int, tuple[int, str, float | None]] = {}
        self.skipped: dict[int, None] = {}
        self.held_out: set[int] = set()
        self.corrections: list[tuple[int, Any, Any]] = []
        self.round = 0
        # Rows of one number are the same row; None where each stands for itself.
        self.twins: np.ndarray | None = None

    # -- what happens -------------------------------------------------------------

    def add(self, row: int, label: Any, strategy: str, score: float | None) -> None:
        """Take a label; a second one for a row corrects the first."""
        if row in self.labels:
            if self.labels[row] != label:
                self.corrections.append((row, self.labels[row], label))
            self.labels[row] = label
            return
        self.skipped.pop(row, None)
        self.labels[row] = label
        self.origin[row] = (self.round, strategy, score)

    def skip(self, row: int) -> None:
        """Take a row out of the pool."""
        if row not in self.labels:
            self.skipped[row] = None

    def forget(self, row: int) -> None:
        """Put a row back into the pool."""
        for known in (self.labels, self.origin, self.skipped):
            known.pop(row, None)  # type: ignore[attr-defined]

    # -- what is so ---------------------------------------------------------------

    @property
    def labeled(self) -> np.ndarray:
        """Rows with a label, in the order of arrival, int64."""
        return np.fromiter(self.labels, np.int64, len(self.labels))

    @property
    def asked(self) -> np.ndarray:
        """Rows that will not be asked again, int64."""
        others = self.held_out.difference(self.labels)
        rows = [*self.labels, *self.skipped, *sorted(others)]
        return np.array(rows, dtype=np.int64)

    @property
    def centres(self) -> np.ndarray:
        """Rows that a person has seen, int64: their surroundings are covered."""
        return np.array([*self.labels, *self.skipped], dtype=np.int64)

    @property
    def unlabeled(self) -> np.ndarray:
        """Rows that may be asked, ascending, int64."""
        free = np.ones(self.n_rows, bool)
        asked = self.asked
        free[asked] = False
        if self.twins is None:
            return np.flatnonzero(free)
        free &= ~np.isin(self.twins, self.twins[asked])
        rows = np.flatnonzero(free)
        _, first = np.unique(self.twins[rows], return_index=True)
        return rows[np.sort(first)]

    @property
    def y(self) -> np.ndarray:
        """Labels in the order of arrival."""
        return plain_labels(list(self.labels.values()))

    @property
    def n_asked(self) -> int:
        """How many were labelled or skipped; it tells the queries apart."""
        return len(self.labels) + len(self.skipped)

    def n_paid(self) -> int:
        """Labels that were paid for, those of held-out rows too."""
        return len(self.held_out.union(self.labels))
