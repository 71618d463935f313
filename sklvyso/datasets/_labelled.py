"""Rows with labels as every generator takes them."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from sklvyso._arguments import is_integer, read_array, untensored


def labelled_rows(X: Any, y: Any, name: str = "X") -> tuple[np.ndarray, np.ndarray]:
    """Return rows and labels as arrays of the same length.

    Parameters
    ----------
    X : array-like of shape (n, ...)
        Rows or images.
    y : array-like of shape (n,)
        Labels.
    name : str, default="X"
        What error messages call the rows.

    Returns
    -------
    X, y : ndarray
        Without a copy where they are arrays already.

    Raises
    ------
    ValueError
        If there are no rows, lengths differ, or a label is missing.
    """
    X, y = read_array(name, X), column_or_1d(untensored("y", y))
    if not X.ndim:
        raise TypeError(f"{name} must be an array of rows or images. Got no rows.")
    if y.dtype.kind not in "biufUSOM":
        raise TypeError(f"y must hold labels. Got dtype {y.dtype} instead.")
    check_consistent_length(X, y)
    if not len(y):
        raise ValueError(
            f"{name} must have rows (at least one row) with a label each. "
            f"Got shape {np.shape(X)} instead."
        )
    try:
        missing = [label is None or label != label for label in np.unique(y).tolist()]
    except TypeError as error:
        raise TypeError(
            "y must hold labels that can be sorted, all numbers or all texts, none "
            f"missing: {error}"
        ) from error
    if y.dtype.kind == "O" and all(is_integer(label) for label in y.tolist()):
        y = y.astype(np.int64)  # objects and nullable columns of whole numbers
    if any(missing):
        raise ValueError("y must hold a label for each row. Got missing values.")
    return X, y


def check_class_order(class_order: Any, labels: np.ndarray) -> np.ndarray:
    """Return an order of all labels, or raise."""
    order = read_array("class_order", class_order)
    rule = f"class_order must name each of {labels.tolist()} once"
    if order.ndim != 1 or order.dtype.names:
        raise ValueError(f"{rule}. Got {order.tolist()} instead.")
    try:
        is_same = len(order) == len(labels) and np.array_equal(np.sort(order), labels)
    except TypeError as error:
        raise TypeError(f"{rule}. Got {order.tolist()} instead: {error}") from error
    if not is_same:
        raise ValueError(f"{rule}. Got {order.tolist()} instead.")
    # The labels themselves, so that 2.0 in the order is the label 2.
    return labels[np.searchsorted(labels, order)]
