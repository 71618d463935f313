"""Gaussian classes of unequal spread, with risks that can be written down."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from sklvyso._arguments import LARGEST_SIZE, read_array, read_numbers
from sklvyso._compat import Interval, validate_params


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, LARGEST_SIZE, closed="both"), "array-like"],
        "n_features": [Interval(Integral, 1, LARGEST_SIZE, closed="both")],
        "centers": ["array-like", None],
        "separation": [Interval(Real, 0, None, closed="left")],
        "sigmas": ["array-like"],
        "weights": ["array-like", None],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "return_centers": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_class_difficulty_blobs(
    n_samples: int | ArrayLike = 1000,
    *,
    n_features: int = 1,
    centers: ArrayLike | None = None,
    separation: float = 2.0,
    sigmas: ArrayLike = (0.5, 1.0),
    weights: ArrayLike | None = None,
    shuffle: bool = True,
    random_state: int | np.random.RandomState | None = None,
    return_centers: bool = False,
) -> Any:
    r"""Draw Gaussian classes of unequal spread: some are harder than others.

    Rows of class i are drawn from the normal distribution
    :math:`\mathcal{N}(\mu_i, \sigma_i^2 I)`. There are as many classes as `sigmas`.

    .. versionadded:: 0.1

    Parameters
    ----------
    n_samples : int or array-like of int of shape (n_classes,), default=1000
        Number of rows, or of rows of each class.

    n_features : int, default=1
        Number of features; ignored if `centers` is given.

    centers : array-like of shape (n_classes, n_features), default=None
        Means. None puts two classes at -separation/2 and +separation/2 on the first
        axis, more classes on a regular simplex around the origin if the features
        suffice (n_features >= n_classes - 1), otherwise evenly on the first axis.

    separation : float, default=2.0
        Distance of neighbouring means; ignored if `centers` is given.

    sigmas : array-like of shape (n_classes,), default=(0.5, 1.0)
        Standard deviation of each class, positive.

    weights : array-like of shape (n_classes,), default=None
        Shares of the classes, scaled to sum to one. None means equal shares. Counts
        follow by largest remainder, ties going to the lower class. Only where
        `n_samples` is an int.

    shuffle : bool, default=True
        Shuffle the rows; otherwise class 0 comes first.

    random_state : int, RandomState instance or None, default=None
        Seed of the draw.

    return_centers : bool, default=False
        If True, also return the means.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Features, float64.

    y : ndarray of shape (n_samples,), dtype=int64
        Classes, 0 to n_classes - 1.

    centers : ndarray of shape (n_classes, n_features)
        Means. Only if `return_centers` is True.

    Raises
    ------
    ValueError
        If a spread is not positive, or shapes disagree.

    See Also
    --------
    sklearn.datasets.make_blobs : Blobs of equal standing.

    Notes
    -----
    For two classes and one feature, the threshold t (class 1 above it) has the class
    risks :math:`R_0(t) = \Phi((\mu_0 - t) / \sigma_0)` and
    :math:`R_1(t) = \Phi((t - \mu_1) / \sigma_1)`. The worst of the two is least at
    :math:`t_w = (\mu_0 \sigma_1 + \mu_1 \sigma_0) / (\sigma_0 + \sigma_1)`, where both
    equal :math:`\Phi(-(\mu_1 - \mu_0) / (\sigma_0 + \sigma_1))`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.datasets import make_class_difficulty_blobs
    >>> X, y = make_class_difficulty_blobs(10, weights=(0.7, 0.3), random_state=0)
    >>> X.shape, np.bincount(y)
    ((10, 1), array([7, 3]))
    """
    spreads = _numbers("sigmas", sigmas)
    if spreads.ndim != 1 or not len(spreads) or not np.all(spreads > 0):
        raise ValueError(f"sigmas must be positive numbers. Got {sigmas!r} instead.")
    counts = _class_counts(n_samples, len(spreads), weights)
    if centers is None:
        means = _place_centers(len(spreads), int(n_features), float(separation))
    else:
        means = _numbers("centers", centers)
        means = means[:, np.newaxis] if means.ndim == 1 else means
    if means.ndim != 2 or len(means) != len(spreads):
        raise ValueError(
            f"centers must have one row for each of the {len(spreads)} sigmas. "
            f"Got shape {means.shape} instead."
        )
    generator = check_random_state(random_state)
    y = np.repeat(np.arange(len(spreads), dtype=np.int64), counts)
    noise = generator.standard_normal((len(y), means.shape[1]))
    X = means[y] + spreads[y, np.newaxis] * noise
    if shuffle:
        order = generator.permutation(len(y))
        X, y = X[order], y[order]
    return (X, y, means) if return_centers else (X, y)


def _numbers(name: str, values: ArrayLike) -> np.ndarray:
    try:
        numbers = read_numbers(name, values).astype(np.float64)
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} must hold finite numbers. Got {values!r} instead.")
    return numbers


def _class_counts(
    n_samples: int | ArrayLike, n_classes: int, weights: ArrayLike | None
) -> np.ndarray:
    """Rows of each class: as given, or by largest remainder."""
    if not isinstance(n_samples, Integral):
        counts = read_array("n_samples", n_samples)
        is_count = counts.shape == (n_classes,) and counts.dtype.kind in "iu"
        if not is_count or counts.min() < 0 or not counts.any() or weights is not None:
            raise ValueError(
                f"n_samples must be an int, or {n_classes} non-negative ints without "
                f"weights. Got {n_samples!r} and weights={weights!r} instead."
            )
        return counts
    shares = np.ones(n_classes) if weights is None else _numbers("weights", weights)
    is_share = shares.shape == (n_classes,) and np.all(np.isfinite(shares))
    if not is_share or shares.min() < 0 or shares.sum() <= 0:
        raise ValueError(
            f"weights must be {n_classes} non-negative numbers, not all zero. "
            f"Got {weights!r} instead."
        )
    exact = shares / shares.sum() * int(n_samples)
    # Rounding keeps what is equal on paper equal here: a tie stays a tie.
    exact = np.round(exact, 9)
    counts = np.floor(exact).astype(np.int64)
    n_left = int(n_samples) - counts.sum()
    largest = np.argsort(-np.round(exact - counts, 9), kind="stable")[:n_left]
    counts[largest] += 1
    return counts


def _place_centers(n_classes: int, n_features: int, separation: float) -> np.ndarray:
    centers = np.zeros((n_classes, n_features))
    if n_classes > 2 and n_features >= n_classes - 1:
        # The unit vectors of n_classes dimensions are a simplex of edge sqrt(2);
        # Helmert's rows span the space that it lies in.
        simplex = scipy.linalg.helmert(n_classes).T
        centers[:, : n_classes - 1] = simplex * (separation / np.sqrt(2))
    else:
        steps = np.arange(n_classes) - (n_classes - 1) / 2
        centers[:, 0] = steps * separation
    return centers
