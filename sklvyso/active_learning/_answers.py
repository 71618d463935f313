"""Answers of people and oracles, checked before they are believed."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping, Set
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sklvyso.active_learning._labels import (
    check_labels,
    missing_entries,
    object_labels,
    plain_labels,
)
from sklvyso.networks import unique_labels


class Answers(NamedTuple):
    """Labels with their rows, and the rows without one."""

    rows: list[int]
    labels: list
    skipped: list[int]


def sort_answers(
    rows: np.ndarray,
    answers: Any,
    name: str,
    *,
    before: list,
    classes: ArrayLike | None,
    missing_label: Any,
) -> Answers:
    """Sort the answers to some rows into labels and skips.

    Parameters
    ----------
    rows : ndarray of int of shape (n,)
        What was asked.
    answers : sequence of length n
        Labels, or the missing mark.
    name : str
        Whose answers, for error messages: a parameter.
    before : list
        Labels known so far, which must be of the same kind.
    classes : array-like or None
        The only labels that may come.
    missing_label : object
        The mark.

    Returns
    -------
    answers : Answers
        Nothing has been stored yet.

    Raises
    ------
    TypeError
        If answers have no order, or are a table of several columns.
    ValueError
        If they are too many or too few, or no labels of a classification.
    """
    labels = _as_column(answers, name)
    if len(labels) != len(rows):
        raise ValueError(
            f"{name} must give one label for each of {len(rows)} rows. Got "
            f"{len(labels)} instead."
        )
    is_missing = missing_entries(labels, missing_label)
    known = labels[~is_missing].tolist()
    if known:
        check_labels(plain_labels([*before, *known], name=name), name=name)
        if classes is not None:
            check_known(plain_labels(known, name=name), classes)
    return Answers(rows[~is_missing].tolist(), known, rows[is_missing].tolist())


def _as_column(answers: Any, name: str) -> np.ndarray:
    if isinstance(answers, Mapping | Set):
        raise TypeError(
            f"{name} must be a sequence in the order of the rows. Got a "
            f"{type(answers).__name__}: use [answers[row] for row in rows]."
        )
    if hasattr(answers, "columns"):
        if len(answers.columns) != 1:
            raise TypeError(
                f"{name} must be one column. Got a table with the columns "
                f"{list(answers.columns)[:10]}: name one of them."
            )
        answers = answers.iloc[:, 0]
    if isinstance(answers, str | bytes) or not hasattr(answers, "__iter__"):
        answers = [answers]
    labels = object_labels(answers, name=name)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(
            f"{name} must be a sequence of labels. Got an array of shape "
            f"{labels.shape} instead."
        )
    return labels


def check_known(labels: np.ndarray, classes: ArrayLike) -> None:
    """Raise unless all labels are among the classes."""
    known = unique_labels(classes)
    if known.dtype.names:
        raise TypeError(f"classes must be a list of labels. Got {classes!r} instead.")
    unknown = [label for label in np.unique(labels) if label not in known]
    if unknown:
        raise ValueError(
            f"classes must hold every label. Got {unknown[:5]}, which are not among "
            f"{known.tolist()[:20]}."
        )
