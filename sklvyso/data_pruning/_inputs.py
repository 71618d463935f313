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
from sklearn.utils import _safe_indexing, check_consistent_length, column_or_1d

from sklvyso._arguments import read_numbers, untensored
from sklvyso._validation import check_array, check_classification_targets, validate_data
from sklvyso.networks import take_column, takes_images


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
    original : array-like of n rows
        As the user passed them.
    """

    rows: Any
    y: np.ndarray
    classes: np.ndarray
    class_codes: np.ndarray
    group_names: np.ndarray
    codes: np.ndarray
    by_group: bool
    image_shape: tuple[int, ...] | None
    original: Any = None

    def subset(self, positions: np.ndarray) -> PruningData:
        """Return some of the rows; a class or group that is gone is so named.

        Parameters
        ----------
        positions : ndarray of int
            Ascending.

        Returns
        -------
        data : PruningData
            Of these rows.

        Raises
        ------
        ValueError
            If one class is left.
        """
        classes, class_codes = np.unique(
            self.class_codes[positions], return_inverse=True
        )
        names, codes = np.unique(self.codes[positions], return_inverse=True)
        if len(classes) == 1:
            raise ValueError(
                "density leaves rows of 1 class only before the last step. Raise it, "
                "or min_per_class."
            )
        return PruningData(
            _safe_indexing(self.rows, positions),
            self.y[positions],
            self.classes[classes],
            class_codes,
            self.group_names[names],
            codes,
            self.by_group,
            self.image_shape,
            _safe_indexing(indexable(self.original), positions),
        )


def as_labels(y: Any) -> np.ndarray:
    """Return labels as an array of shape (n,); an indicator becomes classes."""
    return column_or_1d(_check_targets(y), warn=True)


def validate(
    sampler: Any, X: Any, y: Any, groups: Any, *, needs_numbers: bool
) -> PruningData:
    """Check rows, labels and groups; set ``n_features_in_`` and names.

    ``needs_numbers`` says that the default query model will be trained on ``X``; else
    mixed columns, missing values and texts are the business of the user's model.
    """
    y = _check_targets(y)
    rows, column, y, image_shape = _check_rows(
        sampler, X, y, needs_numbers=needs_numbers, reset=True
    )
    classes, class_codes = _encode(y)
    if len(classes) == 1:
        raise ValueError(
            f"The target 'y' needs to have more than 1 class. Got 1 class instead: "
            f"{classes.tolist()}."
        )
    groups = column if groups is None else groups
    names, codes = classes, class_codes
    if groups is not None:
        groups = _values(groups, len(y), "groups", "X")
        names, codes = _encode(groups)
    return PruningData(
        rows, y, classes, class_codes, names, codes, groups is not None, image_shape, X
    )


def _encode(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted distinct values, and the place of each row's among them."""
    names, codes = np.unique(values, return_inverse=True)
    return names, codes.astype(np.int32)


def _check_targets(y: Any) -> Any:
    """Check labels; an indicator of one class against all becomes classes."""
    y = untensored("y", y)
    check_classification_targets(y)
    return check_target_type(y, indicate_one_vs_all=True)[0]


def _check_rows(sampler, X, y, *, needs_numbers, reset):
    """Return rows for the query model, group column, labels, and shape of images.

    Labels are None for validation rows, which are compared with the training rows.
    """
    image_shape = None
    target: dict[str, Any] = {} if y is None else {"y": y}
    is_frame = hasattr(X, "iloc") and hasattr(X, "columns")
    has_column = sampler.group_column is not None
    numbers = {
        "accept_sparse": ["csr", "csc"],
        "ensure_all_finite": bool(needs_numbers),
    }
    if is_frame:
        validate_data(sampler, X, skip_check_array=True, reset=reset)
    elif _is_text(X):
        if needs_numbers:
            raise ValueError(
                "X holds texts, which the default query model does not read: pass an "
                "estimator that does, such as estimator=make_pipeline("
                "TfidfVectorizer(), LogisticRegression())."
            )
    else:
        X, image_shape = flatten_images(X)
        # A column of groups may hold texts, and so may the columns of the user's model.
        loosely = numbers | {"dtype": None, "ensure_all_finite": False}
        as_numbers = needs_numbers and not has_column
        how = numbers if as_numbers else loosely
        checked = validate_data(sampler, X, **target, **how, reset=reset)
        X, y = checked if target else (checked, None)
    column = None
    if has_column:
        X, column = take_column(X, sampler.group_column, parameter="group_column")
    if needs_numbers and (is_frame or has_column):
        X = _numbers_only(X, sampler, numbers)
    if y is not None:
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
    return X, column, y, image_shape


def _numbers_only(X: Any, sampler: Any, numbers: dict[str, Any]) -> Any:
    """Return columns as the default query model reads them, or say which it cannot."""
    try:
        checked = check_array(X, estimator=sampler, **numbers)
        # scikit-learn 1.6 lets the texts of pandas 3 pass, as objects.
        return checked.astype(np.float64) if checked.dtype.kind == "O" else checked
    except (ValueError, TypeError) as error:
        if not hasattr(X, "dtypes"):
            raise
        texts = [
            name
            for name, kind in zip(X.columns.tolist(), X.dtypes, strict=True)
            if not getattr(kind, "_is_numeric", getattr(kind, "kind", "O") in "fiub")
        ]
        if not texts:
            raise
        raise type(error)(
            "estimator=None takes numeric columns without missing values. Columns "
            f"{texts} of X are not numbers: pass an estimator that encodes them, such "
            "as make_pipeline(make_column_transformer(...), LogisticRegression()). "
            f"({error})"
        ) from error


def _is_text(X: Any) -> bool:
    if not isinstance(X, list | tuple | np.ndarray) and not hasattr(X, "iloc"):
        return False
    if getattr(X, "ndim", 1) != 1 or not len(X):
        return False
    first = X.iloc[0] if hasattr(X, "iloc") else X[0]
    return isinstance(first, str)


def _values(values: Any, n_rows: int, name: str, of: str) -> np.ndarray:
    """Return one value a row, of one kind and none missing."""
    try:
        values = column_or_1d(untensored(name, values))
        _ = {*values.tolist()}  # what has no hash is no name
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must have one entry for each row of {of}: {error}"
        ) from error
    if len(values) != n_rows:
        raise ValueError(
            f"{name} must have one entry for each of the {n_rows} rows of {of}. "
            f"Got {len(values)} instead."
        )
    if values.dtype.kind not in "fOmM":
        return values
    missing = _missing(values) if values.dtype.kind == "O" else values != values
    kinds = {isinstance(value, str) for value in values[~missing].tolist()}
    if missing.any() or len(kinds) > 1:
        raise ValueError(
            f"{name} must be all numbers or all texts, and none may be missing. Got "
            f"{missing.sum()} missing of {n_rows}: give them a value of their own."
        )
    return values


def _missing(values: np.ndarray) -> np.ndarray:
    """Say which objects are None, NaN or pandas.NA."""
    return np.array([_is_missing(value) for value in values])


def _is_missing(value: Any) -> bool:
    try:
        return value is None or not bool(value == value)
    except TypeError:  # pandas.NA is neither true nor false
        return True


def validate_external(
    sampler: Any, data: PruningData, X_val: Any, y_val: Any, groups_val: Any
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Check validation rows; return them with labels and codes of class or group."""
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"X_val and y_val must be passed together. {missing} is None.")
    rows, column, _, image_shape = _check_rows(
        sampler, X_val, None, needs_numbers=sampler.estimator is None, reset=False
    )
    if image_shape is not None and image_shape != data.image_shape:
        raise ValueError(
            f"X_val must hold images of the shape of those in X, {data.image_shape}. "
            f"Got {image_shape} instead."
        )
    n_rows = rows.shape[0] if hasattr(rows, "shape") else len(rows)
    try:
        y_val, _ = check_target_type(
            untensored("y_val", y_val), indicate_one_vs_all=True
        )
    except TypeError as error:
        raise TypeError(
            "y_val must hold labels that can be sorted, all numbers or all texts: "
            f"{error}"
        ) from error
    y_val = _values(y_val, n_rows, "y_val", "X_val")
    codes = _codes(y_val, data.classes, "y_val", "classes of y")
    if data.by_group:
        groups_val = column if groups_val is None else groups_val
        if groups_val is None:
            raise ValueError(
                "groups_val must be passed with X_val when groups are given: recalls "
                "are measured by group. Got None instead."
            )
        groups_val = _values(groups_val, n_rows, "groups_val", "X_val")
        codes = _codes(groups_val, data.group_names, "groups_val", "groups")
    return rows, y_val, codes


def _codes(values, names, parameter, what) -> np.ndarray:
    unknown = sorted(set(values.tolist()) - set(names.tolist()), key=str)
    if unknown:
        raise ValueError(
            f"{parameter} must hold only {what}, {names.tolist()}. Got {unknown} too."
        )
    return np.searchsorted(names, values)


def flatten_images(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return images as rows with the shape of one; everything else as it is."""
    X = untensored("X", X)
    if isinstance(X, list | tuple):
        try:
            X = np.asarray(X) if np.ndim(X) > 2 else X
        except ValueError:  # ragged: scikit-learn words it
            return X, None
    if issparse(X) or hasattr(X, "columns") or getattr(X, "ndim", 2) <= 2:
        return X, None
    return X.reshape(X.shape[0], math.prod(X.shape[1:])), tuple(X.shape[1:])


def for_model(model: Any, rows: Any, image_shape: tuple[int, ...] | None) -> Any:
    """Return rows as a query model takes them.

    Images if it knows images; the sparse columns of a data frame dense unless it knows
    sparse rows.
    """
    if hasattr(rows, "sparse") and not _takes_sparse(model):
        rows = rows.sparse.to_dense()
    if image_shape is None or not takes_images(model):
        return rows
    return rows.reshape(rows.shape[0], *image_shape)


def _takes_sparse(model: Any) -> bool:
    tags = getattr(model, "__sklearn_tags__", None)
    return tags is None or bool(tags().input_tags.sparse)


def like(rows: Any, others: Any) -> Any:
    """Return ``others`` dense where ``rows`` are."""
    return others.toarray() if issparse(others) and not issparse(rows) else others


def indexable(X: Any) -> Any:
    """Return what rows can be picked from by position."""
    return X.tocsr() if issparse(X) and X.format not in ("csr", "csc") else X


def given_features(features: Any, n_rows: int) -> np.ndarray:
    """Return the user's features, shape (n_rows, d), float32 or float64."""
    try:
        values = check_array(
            features, dtype=(np.float64, np.float32), input_name="features"
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"features must be numbers, a row a row of X: {error}") from (
            error
        )
    if len(values) != n_rows:
        raise ValueError(
            f"features must have one row for each of the {n_rows} rows of X. Got "
            f"{len(values)} instead."
        )
    return values


def given_recalls(recalls: Any, groups: np.ndarray) -> np.ndarray:
    """Return the user's recalls in the order of the groups, shape (n_groups,)."""
    if hasattr(recalls, "to_dict") and getattr(recalls, "ndim", 0) == 1:
        # A pandas Series goes by its labels, unless it merely counts its rows.
        by_label = recalls.to_dict()
        counts = list(by_label) == list(range(len(recalls)))
        recalls = recalls.to_numpy() if counts else by_label
    if isinstance(recalls, Mapping):
        missing = [name for name in groups.tolist() if name not in recalls]
        unknown = [name for name in recalls if name not in set(groups.tolist())]
        if missing or unknown:
            raise ValueError(
                f"recalls must have one entry for each class, {groups.tolist()}. "
                f"Missing: {missing}; unknown: {unknown}."
            )
        recalls = [recalls[name] for name in groups.tolist()]
    try:
        values = read_numbers("recalls", recalls).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"recalls must be numbers. Got {recalls!r} instead."
        ) from error
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
    try:
        values = np.asarray(quotas)
    except ValueError:  # ragged
        values = np.empty(0)
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
