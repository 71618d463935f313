"""Texts and pairs of texts as users have them."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping, Sequence, Set
from numbers import Integral, Real
from typing import Any

import numpy as np

# One text, or the two of a pair.
Text = str | tuple[str, str]


def as_texts(X: Any, text_columns: Any = None, *, name: str = "X") -> list[Text]:
    """Return texts or pairs of texts as a list.

    Parameters
    ----------
    X : sequence of str, of pairs of str, or data frame
        List, tuple, object or string array, series; pairs as a sequence of two-tuples,
        an (n, 2) array or a data frame of two text columns.
    text_columns : str, int, sequence of one or two of them, or None, default=None
        Columns of a data frame or a table that hold the texts. None takes all columns,
        which must then be one or two. Sequences of texts or pairs have no columns.
    name : str, default="X"
        What error messages call it.

    Returns
    -------
    texts : list of str, or list of tuple of two str
        In the order of the rows.

    Raises
    ------
    TypeError
        If it is one string, no sequence, or an item is no string.
    ValueError
        If there are no texts, text_columns are not in the table, a text is missing, or
        pairs and single texts are mixed.
    """
    if isinstance(X, Mapping | Set):
        raise TypeError(
            f"{name} must be a sequence of texts. Got a {type(X).__name__} instead: "
            "pass one of its columns, or a list."
        )
    if isinstance(X, str | bytes):
        raise TypeError(
            f"{name} must be a sequence of texts. Got one {type(X).__name__} instead: "
            f"use [{X[:20]!r}]."
        )
    if hasattr(X, "columns") and hasattr(X, "iloc"):
        return _of_columns(_frame_columns(X, text_columns, name), name)
    if getattr(X, "ndim", 1) == 2:
        return _of_columns(_array_columns(np.asarray(X), text_columns, name), name)
    # Without columns, rows are the texts already, such as those of a pool.
    if getattr(X, "ndim", 1) != 1:
        raise ValueError(
            f"{name} must be a sequence of texts or a table of them. Got an array of "
            f"shape {X.shape} instead."
        )
    try:
        items = list(X)
    except TypeError as error:
        raise TypeError(
            f"{name} must be a sequence of texts. Got a {type(X).__name__} instead."
        ) from error
    _check_some(items, name)
    first = items[0]
    if isinstance(first, list | tuple) or getattr(first, "ndim", 0) == 1:
        return [_pair(item, i, name) for i, item in enumerate(items)]
    return [_text(item, i, name) for i, item in enumerate(items)]


def _check_some(items: Sequence, name: str) -> None:
    if not len(items):
        raise ValueError(f"{name} must hold at least one text. Got 0 samples instead.")


def _text(item: Any, index: int, name: str) -> str:
    if isinstance(item, str):
        try:
            item.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{name} must hold valid Unicode. Got a text with a lone surrogate at "
                f"index {index}: use text.encode('utf-8', 'replace').decode()."
            ) from error
        return str(item)
    if _is_missing(item):
        raise ValueError(
            f"{name} must not hold missing texts. Got {item!r} at index {index}: drop "
            "the row or put an empty string."
        )
    raise TypeError(
        f"{name} must hold texts. Got {item!r} of type {type(item).__name__} at index "
        f"{index} instead."
    )


def _is_missing(item: Any) -> bool:
    if item is None or type(item).__name__ == "NAType":
        return True
    return isinstance(item, Real) and item != item


def _pair(item: Any, index: int, name: str) -> tuple[str, str]:
    if isinstance(item, str) or not hasattr(item, "__len__") or len(item) != 2:
        raise ValueError(
            f"{name} must hold pairs of texts throughout, as its first item is a pair. "
            f"Got {item!r} at index {index} instead."
        )
    return _text(item[0], index, name), _text(item[1], index, name)


def _of_columns(columns: list[Sequence], name: str) -> list[Text]:
    _check_some(columns[0], name)
    texts = [[_text(v, i, name) for i, v in enumerate(column)] for column in columns]
    if len(texts) == 1:
        return list(texts[0])
    return list(zip(*texts, strict=True))


def _wanted(text_columns: Any) -> list:
    if isinstance(text_columns, list | tuple | np.ndarray):
        return list(text_columns)
    return [text_columns]


def _frame_columns(frame: Any, text_columns: Any, name: str) -> list[Sequence]:
    known = list(frame.columns)
    wanted = known if text_columns is None else _wanted(text_columns)
    _check_number(wanted, text_columns, name)
    found = []
    for column in wanted:
        is_position = isinstance(column, Integral) and not isinstance(column, bool)
        if not isinstance(column, bool) and column in known:
            found.append(frame[column])
        elif is_position and -len(known) <= column < len(known):
            found.append(frame.iloc[:, int(column)])
        else:
            raise ValueError(
                f"text_columns must name columns of {name}, which has {known}. Got "
                f"{column!r} instead."
            )
    return [list(column) for column in found]


def _array_columns(table: np.ndarray, text_columns: Any, name: str) -> list[Sequence]:
    if table.ndim != 2:
        raise ValueError(
            f"{name} must be a sequence of texts or a table of them. Got shape "
            f"{table.shape} instead."
        )
    n_columns = table.shape[1]
    wanted = list(range(n_columns)) if text_columns is None else _wanted(text_columns)
    _check_number(wanted, text_columns, name)
    for column in wanted:
        is_position = isinstance(column, Integral) and not isinstance(column, bool)
        if not is_position or not 0 <= column < n_columns:
            raise ValueError(
                f"text_columns must be positions below {n_columns}, the number of "
                f"columns of {name}. Got {column!r} instead."
            )
    return [table[:, column].tolist() for column in wanted]


def _check_number(wanted: list, text_columns: Any, name: str) -> None:
    if len(wanted) in (1, 2):
        return
    if text_columns is None:
        raise ValueError(
            f"{name} must have one column of texts, or two for pairs. Got "
            f"{len(wanted)} columns: name the texts by text_columns."
        )
    raise ValueError(
        "text_columns must be one column, or two for pairs. Got "
        f"{text_columns!r} instead."
    )
