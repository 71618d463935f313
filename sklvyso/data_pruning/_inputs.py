"""What DRoPSampler takes in: rows of any kind, labels, groups, given recalls."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from imblearn.utils import check_target_type
from scipy.sparse import issparse
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from sklvyso.networks import takes_images


@dataclass
class PruningData:
    """Validated training data.

    Attributes
    ----------
    rows : array-like of n rows
        For the query model; without the group column.
    y : ndarray of shape (n,)
        Labels.
    classes : ndarray
        Labels, sorted.
    class_codes : ndarray of int of shape (n,)
        Positions in ``classes``.
    group_names : ndarray
        Groups, sorted, or the classes.
    codes : ndarray of int of shape (n,)
        Positions in ``group_names``.
    by_group : bool
        Whether groups were given.
    image_shape : tuple of int or None
        Shape of one image, when images came in; ``rows`` are flat all the same.
    """

    rows: Any
    y: np.ndarray
    classes: np.ndarray
    class_codes: np.ndarray
    group_names: np.ndarray
    codes: np.ndarray
    by_group: bool
    image_shape: tuple[int, ...] | None


def validate(sampler: Any, X: Any, y: Any, groups: Any) -> PruningData:
    """Check rows, labels and groups; set ``n_features_in_`` and names."""
    check_classification_targets(y)
    y, _ = check_target_type(y, indicate_one_vs_all=True)
    image_shape = None
    is_own_model = sampler.estimator is not None or sampler.recalls is not None
    if is_own_model and (hasattr(X, "columns") or _is_text(X)):
        # Mixed columns and texts are the business of the user's model.
        X, y = _validate_loosely(sampler, X, y)
    else:
        X, image_shape = flatten_images(X)
        X, y = validate_data(
            sampler,
            X,
            y,
            accept_sparse=["csr", "csc"],
            ensure_all_finite=not is_own_model,
        )
    classes, class_codes = np.unique(y, return_inverse=True)
    if len(classes) == 1:
        raise ValueError(
            f"The target 'y' needs to have more than 1 class. Got 1 class instead: "
            f"{classes.tolist()}."
        )
    rows = X if sampler.group_column is None else _without(X, sampler.group_column)
    if groups is None and sampler.group_column is not None:
        groups = _column(X, sampler.group_column)
    names, codes = classes, class_codes
    if groups is not None:
        groups = column_or_1d(groups)
        check_consistent_length(y, groups)
        names, codes = np.unique(groups, return_inverse=True)
    return PruningData(
        rows, y, classes, class_codes, names, codes, groups is not None, image_shape
    )


def _validate_loosely(sampler, X, y):
    y = column_or_1d(y, warn=True)
    if hasattr(X, "columns"):
        validate_data(sampler, X, y, skip_check_array=True)
    check_consistent_length(X, y)
    return X, y


def _is_text(X: Any) -> bool:
    if isinstance(X, str) or issparse(X):
        return False
    values = np.asarray(X[:1] if hasattr(X, "__getitem__") else X)
    return values.ndim == 1 and bool(values.size) and isinstance(values.flat[0], str)


def validate_external(
    sampler: Any, data: PruningData, X_val: Any, y_val: Any, groups_val: Any
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Check validation rows; return them with labels and codes of class or group."""
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"X_val and y_val must be passed together. {missing} is None.")
    if not hasattr(X_val, "columns") and not _is_text(X_val):
        X_val, _ = flatten_images(X_val)
        X_val = validate_data(
            sampler,
            X_val,
            accept_sparse=["csr", "csc"],
            ensure_all_finite=sampler.estimator is None,
            reset=False,
        )
    y_val = column_or_1d(y_val)
    check_consistent_length(X_val, y_val)
    _codes(y_val, data.classes, "y_val", "classes of y")
    if not data.by_group:
        codes = _codes(y_val, data.group_names, "y_val", "classes of y")
    else:
        if groups_val is None and sampler.group_column is not None:
            groups_val = _column(X_val, sampler.group_column)
        if groups_val is None:
            raise ValueError(
                "groups_val must be passed with X_val when groups are given: recalls "
                "are measured by group. Got None instead."
            )
        groups_val = column_or_1d(groups_val)
        check_consistent_length(y_val, groups_val)
        codes = _codes(groups_val, data.group_names, "groups_val", "groups")
    if sampler.group_column is not None:
        X_val = _without(X_val, sampler.group_column)
    return X_val, y_val, codes


def _codes(values, names, parameter, what) -> np.ndarray:
    unknown = np.setdiff1d(values, names)
    if len(unknown):
        raise ValueError(
            f"{parameter} must hold only {what}, {names.tolist()}. "
            f"Got {unknown.tolist()} too."
        )
    return np.searchsorted(names, values)


def flatten_images(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return images as rows with the shape of one; everything else as it is."""
    if isinstance(X, list | tuple):
        try:
            X = np.asarray(X) if np.ndim(X) > 2 else X
        except ValueError:  # ragged: scikit-learn words it
            return X, None
    if issparse(X) or hasattr(X, "columns") or getattr(X, "ndim", 2) <= 2:
        return X, None
    return X.reshape(X.shape[0], math.prod(X.shape[1:])), tuple(X.shape[1:])


def for_model(model: Any, rows: Any, image_shape: tuple[int, ...] | None) -> Any:
    """Return rows as a query model takes them: images if it knows images."""
    if image_shape is None or not takes_images(model):
        return rows
    return rows.reshape(rows.shape[0], *image_shape)


def like(rows: Any, others: Any) -> Any:
    """Return ``others`` dense where ``rows`` are."""
    return others.toarray() if issparse(others) and not issparse(rows) else others


def indexable(X: Any) -> Any:
    """Return what rows can be picked from by position."""
    return X.tocsr() if issparse(X) and X.format not in ("csr", "csc") else X


def _column(X: Any, column: int | str) -> np.ndarray:
    if hasattr(X, "columns"):
        if isinstance(column, str):
            if column not in X.columns:
                raise ValueError(
                    f"group_column must be a column of X, {list(X.columns)}. "
                    f"Got {column!r} instead."
                )
            return X[column].to_numpy()
        return X.iloc[:, _position(X, column)].to_numpy()
    values = X[:, _position(X, column)]
    return values.toarray().ravel() if issparse(values) else np.asarray(values)


def _position(X: Any, column: int | str) -> int:
    if isinstance(column, str):
        raise ValueError(
            "group_column must be an integer when X is not a data frame. "
            f"Got {column!r} instead."
        )
    if not -X.shape[1] <= column < X.shape[1]:
        raise ValueError(
            f"group_column must be the position of one of the {X.shape[1]} columns of "
            f"X. Got {column!r} instead."
        )
    return int(column) % X.shape[1]


def _without(X: Any, column: int | str) -> Any:
    if hasattr(X, "columns") and isinstance(column, str):
        return X.drop(columns=column) if column in X.columns else X
    if hasattr(X, "columns"):
        return X.drop(columns=X.columns[_position(X, column)])
    kept = np.delete(np.arange(X.shape[1]), _position(X, column))
    return X[:, kept]


def given_recalls(recalls: Any, groups: np.ndarray) -> np.ndarray:
    """Return the user's recalls in the order of the groups, shape (n_groups,)."""
    if isinstance(recalls, Mapping):
        missing = [name for name in groups.tolist() if name not in recalls]
        unknown = [name for name in recalls if name not in set(groups.tolist())]
        if missing or unknown:
            raise ValueError(
                f"recalls must have one entry for each class, {groups.tolist()}. "
                f"Missing: {missing}; unknown: {unknown}."
            )
        recalls = [recalls[name] for name in groups.tolist()]
    values = check_array(
        recalls, ensure_2d=False, dtype=np.float64, ensure_all_finite=False
    )
    if values.shape != groups.shape:
        raise ValueError(
            f"recalls must have one entry for each of the {len(groups)} classes. Got "
            f"shape {values.shape} instead."
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"recalls must lie in [0, 1]. Got {values.tolist()} instead.")
    return values


def check_quotas(quotas: Any, counts: np.ndarray) -> np.ndarray:
    """Check what a quota callable returned."""
    values = np.asarray(quotas)
    if (
        values.shape != counts.shape
        or not np.issubdtype(values.dtype, np.integer)
        or not ((values >= 0) & (values <= counts)).all()
        or not values.any()
    ):
        raise ValueError(
            "quota must return one integer a class between 0 and its count, "
            f"{counts.tolist()}, not all 0. It returned {quotas!r}."
        )
    return values.astype(np.int64)
