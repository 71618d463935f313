"""Choose rows by class: which classes, and how many first rows of each."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np


def rank_within_class(target: np.ndarray) -> np.ndarray:
    """Count the earlier rows with the same label, for each row."""
    order = np.argsort(target, kind="stable")
    _, starts, counts = np.unique(target[order], return_index=True, return_counts=True)
    rank = np.empty(len(target), dtype=np.int64)
    rank[order] = np.arange(len(target)) - np.repeat(starts, counts)
    return rank


def class_code(label: Any, target_names: Sequence[str], what: str) -> int:
    """Code of a class given by code or name."""
    if isinstance(label, str) and label in target_names:
        return target_names.index(label)
    is_code = isinstance(label, Integral) and not isinstance(label, (bool, np.bool_))
    if is_code and 0 <= label < len(target_names):
        return int(label)
    valid = ", ".join(f"{code} ({name!r})" for code, name in enumerate(target_names))
    raise ValueError(f"{what} must be among {valid}. Got {label!r} instead.")


def select_rows(
    target: np.ndarray,
    target_names: Sequence[str],
    classes: Iterable[int | str] | None = None,
    n_per_class: int | Mapping[int | str, int] | None = None,
) -> np.ndarray:
    """Give the indices of the rows to keep, ascending.

    Parameters
    ----------
    target : ndarray of shape (n,), dtype=int64
        Class codes.
    target_names : sequence of str
        Name of each code.
    classes : iterable of int or str, default=None
        Codes or names to keep; None keeps all.
    n_per_class : int or mapping, default=None
        How many first rows of each kept class; a mapping speaks of the classes that it
        names, the others stay whole.

    Returns
    -------
    rows : ndarray of shape (n_kept,), dtype=int64
        Row indices.

    Raises
    ------
    ValueError
        If a class is unknown or has fewer rows than wanted.
    """
    n_classes = len(target_names)
    counts = np.bincount(target, minlength=n_classes)
    kept = set(range(n_classes))
    if classes is not None:
        if isinstance(classes, str) or getattr(classes, "ndim", 1) == 0:
            raise TypeError(
                f"classes must be a list of classes. Got {classes!r} instead."
            )
        kept = {class_code(label, target_names, "classes") for label in classes}
    quota = np.where(np.isin(np.arange(n_classes), list(kept)), counts, 0)
    for code, number in _wanted(n_per_class, target_names, kept).items():
        if number > counts[code]:
            raise ValueError(
                f"n_per_class of class {target_names[code]!r} must be at most "
                f"{counts[code]}, the rows available. Got {number} instead."
            )
        quota[code] = number
    return np.flatnonzero(rank_within_class(target) < quota[target])


def _wanted(
    n_per_class: int | Mapping[int | str, int] | None,
    target_names: Sequence[str],
    kept: set[int],
) -> dict[int, int]:
    if n_per_class is None:
        return {}
    if not isinstance(n_per_class, Mapping):
        return dict.fromkeys(sorted(kept), int(n_per_class))
    wanted: dict[int, int] = {}
    for label, number in n_per_class.items():
        code = class_code(label, target_names, "n_per_class keys")
        if code not in kept:
            raise ValueError(
                "n_per_class keys must be among the classes kept. "
                f"Got {label!r} instead."
            )
        if not isinstance(number, Integral) or isinstance(number, bool) or number < 0:
            raise ValueError(
                "n_per_class values must be non-negative integers. "
                f"Got {number!r} for {label!r} instead."
            )
        wanted[code] = int(number)
    return wanted
