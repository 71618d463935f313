"""Arguments that the functions of this room share."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from sklvyso.selection._arrays import as_numbers


def check_n_select(n_select: Any, n_free: int, free: str = "rows") -> int:
    """Return how many rows to choose, or raise with the number there are."""
    if isinstance(n_select, bool) or not isinstance(n_select, int | np.integer):
        raise TypeError(
            f"n_select must be an integer. Got {type(n_select).__name__} instead."
        )
    if not 0 <= n_select <= n_free:
        raise ValueError(
            f"n_select must be from 0 to {n_free}, the number of {free}. Got "
            f"{n_select} instead."
        )
    return int(n_select)


def check_scores(scores: ArrayLike, n_rows: int | None = None) -> np.ndarray:
    """Return one number a row, of any real dtype, without NaN."""
    values = as_numbers("scores", scores, 1)
    if n_rows is not None and len(values) != n_rows:
        raise ValueError(
            f"scores must have one value a row of Z, {n_rows}. Got {len(values)} "
            "instead."
        )
    is_missing = values != values  # only NaN differs from itself
    if is_missing.any():
        raise ValueError(
            "scores must be numbers that can be ordered. Got NaN at position "
            f"{is_missing.argmax()} instead."
        )
    return values


def random_generator(random_state: Any) -> np.random.RandomState:
    """Return a generator; None gives a fresh one, never NumPy's global one."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def tie_ranks(n_rows: int, random_state: Any) -> np.ndarray:
    """Return the order in which equal rows come, smallest first."""
    if random_state is None:
        return np.arange(n_rows)
    return check_random_state(random_state).permutation(n_rows)
