"""A column of X that says something about the rows and is no feature."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from scipy.sparse import issparse


def take_column(X: Any, column: int | str, *, parameter: str) -> tuple[Any, np.ndarray]:
    """Return X without a column, and the column.

    Parameters
    ----------
    X : array, sparse matrix or data frame of shape (n, n_features)
        Two columns or more.
    column : int or str
        Position, or name in a data frame.
    parameter : str
        What it is called, for errors, such as ``"group_column"``.

    Returns
    -------
    X : of the kind that came
        Without the column.
    values : ndarray of shape (n,)
        The column.

    Raises
    ------
    ValueError
        If there is no such column, or no other.
    """
    if getattr(X, "ndim", 1) != 2:
        instead = {"group_column": "groups"}.get(parameter, "task")
        raise ValueError(
            f"{parameter}={column!r} needs an X with columns. Got texts or images "
            f"instead: pass {instead}."
        )
    if isinstance(column, bool):
        raise ValueError(f"{parameter} must be a name or position. Got {column!r}.")
    if X.shape[1] < 2:
        raise ValueError(
            f"X must have a column beside {parameter}={column!r}. Got 1 column."
        )
    is_frame = hasattr(X, "iloc")
    if isinstance(column, str):
        if not is_frame:
            raise ValueError(
                f"{parameter} must be the name of a column of X or, when X is not a "
                f"data frame, an integer. Got {column!r}, but X arrived as an array "
                "without column names. Behind a ColumnTransformer give it "
                'verbose_feature_names_out=False and set_output(transform="pandas"), '
                f"or use {parameter}=-1 where it is the last column."
            )
        names = list(X.columns)
        if column not in names:
            raise ValueError(
                f"{parameter} must be the name of a column of X or, when X is not a "
                f"data frame, an integer. Got {column!r}; columns: {names}."
            )
        column = names.index(column)
    if not -X.shape[1] <= column < X.shape[1]:
        raise ValueError(
            f"{parameter} must be the position of one of the {X.shape[1]} columns of "
            f"X. Got {column!r} instead."
        )
    others = np.delete(np.arange(X.shape[1]), column)
    if is_frame:
        return X.iloc[:, others], X.iloc[:, column].to_numpy()
    values = X[:, [column]]
    values = values.toarray() if issparse(values) else np.asarray(values)
    return X[:, others], values.ravel()
