"""scikit-learn's validation, for tensors and huge numbers and mixed labels too."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from sklearn.utils import multiclass, validation

from sklvyso._arguments import untensored


def validate_data(
    estimator: Any, X: Any = "no_validation", y: Any = "no_validation", **options: Any
) -> Any:
    """Validate as :func:`sklearn.utils.validation.validate_data` does.

    Tensors with gradients count as arrays. A number too large for the dtype wanted
    raises scikit-learn's ValueError without a warning of NumPy before it.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_``.
    X, y : array-like
        As scikit-learn takes them.
    **options : dict
        Of scikit-learn's function.

    Returns
    -------
    validated : ndarray or tuple of ndarray
        As scikit-learn returns them.

    Raises
    ------
    ValueError, TypeError
        As scikit-learn words them.
    """
    X, y = untensored("X", X), untensored("y", y)
    with np.errstate(over="ignore", invalid="ignore"):
        return validation.validate_data(estimator, X, y, **options)


def check_array(array: Any, **options: Any) -> Any:
    """Validate as :func:`sklearn.utils.check_array` does, with the same additions.

    Parameters
    ----------
    array : array-like
        Numbers.
    **options : dict
        Of scikit-learn's function.

    Returns
    -------
    checked : ndarray
        As scikit-learn returns it.
    """
    array = untensored(options.get("input_name") or "X", array)
    with np.errstate(over="ignore", invalid="ignore"):
        return validation.check_array(array, **options)


def check_classification_targets(y: Any) -> None:
    """Refuse what are no labels, labels of several kinds among them.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.

    Raises
    ------
    ValueError
        If they are numbers of a regression.
    TypeError
        If they cannot be sorted.
    """
    try:
        with np.errstate(invalid="ignore"):  # NaN is refused in a moment
            multiclass.check_classification_targets(y)
    except TypeError as error:
        try:
            kinds = sorted({type(value).__name__ for value in np.ravel(y).tolist()})
        except (TypeError, ValueError, RuntimeError):
            kinds = [type(y).__name__]
        raise TypeError(
            "y must hold labels that can be sorted, all numbers or all texts. Got "
            f"{kinds} instead."
        ) from error
