"""Rows with labels as every generator takes them."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d


def labelled_rows(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and labels as arrays of the same length.

    Parameters
    ----------
    X : array-like of shape (n, ...)
        Rows or images.
    y : array-like of shape (n,)
        Labels.

    Returns
    -------
    X, y : ndarray
        Without a copy where they are arrays already.

    Raises
    ------
    ValueError
        If there are no rows, lengths differ, or a label is missing.
    """
    y = column_or_1d(y)
    check_consistent_length(X, y)
    if not len(y):
        raise ValueError(
            "X must have rows (at least one row) with a label each. "
            f"Got shape {np.shape(X)} instead."
        )
    missing = [label is None or label != label for label in np.unique(y).tolist()]
    if any(missing):
        raise ValueError("y must hold a label for each row. Got missing values.")
    return np.asarray(X), y
