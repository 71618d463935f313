"""From what a user trains on to checked rows, label codes and weights."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklvyso._validation import check_classification_targets, validate_data
from sklvyso.networks._arrays import as_rows, resolve_input_shape
from sklvyso.networks._labels import encode, sample_weights, unique_labels


def validate_training(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: ArrayLike | None = None,
    *,
    reset: bool,
    classes: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Check the data of a NetworkClassifier.

    Parameters
    ----------
    estimator : NetworkClassifier
        With ``reset`` it gets ``classes_``, ``input_shape_`` and ``n_features_in_``.
    X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
        Rows or images.
    y : array-like of shape (n,)
        Labels.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights >= 0.
    reset : bool
        Whether these are the first data; otherwise they must be like the first ones.
    classes : array-like of shape (n_classes,) or None, default=None
        All labels; None takes those of ``y``.

    Returns
    -------
    X : ndarray of shape (n, n_features), dtype float32 or uint8
        Rows, without a copy where there need be none.
    codes : ndarray of shape (n,), dtype int64
        Positions in ``classes_``.
    sample_weight : ndarray of shape (n,), dtype float32, or None
        The largest is 1.

    Raises
    ------
    ValueError
        If the data are not valid, or not like the first ones.
    """
    X, image_shape = as_rows(X)
    X, y = validate_data(estimator, X, y, dtype=(np.float32, np.uint8), reset=reset)
    check_classification_targets(y)
    shape = resolve_input_shape(
        estimator.input_shape if reset else estimator.input_shape_,
        image_shape,
        X.shape[1],
    )
    if reset:
        estimator.input_shape_ = shape
        estimator.classes_ = np.unique(y if classes is None else unique_labels(classes))
    elif classes is not None:
        check_same_classes(classes, estimator.classes_)
    if sample_weight is not None:
        sample_weight = sample_weights(sample_weight, X)
    return X, encode(y, estimator.classes_), sample_weight


def check_same_classes(classes: ArrayLike, before: np.ndarray) -> None:
    """Refuse other classes than those of the first call."""
    if not np.array_equal(unique_labels(classes), before):
        raise ValueError(
            "classes must be the same as at the first call. Got "
            f"{unique_labels(classes).tolist()} after {before.tolist()}."
        )
