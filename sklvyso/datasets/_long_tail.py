"""Cut a balanced set down to a long tail of classes."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from sklvyso._compat import Interval, StrOptions, validate_params
from sklvyso.datasets._labelled import check_class_order, labelled_rows
from sklvyso.datasets._subsets import rank_within_class


@validate_params(
    {
        "X": ["array-like"],
        "y": ["array-like"],
        "imbalance_factor": [Interval(Real, 1, None, closed="left")],
        "kind": [StrOptions({"exp", "step"})],
        "class_order": ["array-like", None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_long_tailed(
    X: Any,
    y: ArrayLike,
    *,
    imbalance_factor: float = 100,
    kind: str = "exp",
    class_order: Sequence[Any] | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Keep ever fewer rows of the later classes.

    .. versionadded:: 0.1

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Features or images.

    y : array-like of shape (n_samples,)
        Labels.

    imbalance_factor : float, default=100
        Size of the first class over size of the last, at least 1.

    kind : {'exp', 'step'}, default='exp'
        'exp': sizes fall geometrically. 'step': the first half of the classes (the
        larger half, if their number is odd) stays whole, the second half is cut.

    class_order : sequence of labels, default=None
        All labels, from head to tail. None means ascending.

    random_state : int, RandomState instance or None, default=None
        Seed of the choice of rows. None keeps the first rows of each class.

    Returns
    -------
    X : ndarray of shape (n_kept, ...)
        Rows kept, in their old order.

    y : ndarray of shape (n_kept,)
        Their labels.

    indices : ndarray of shape (n_kept,), dtype=int64
        Their places in the input.

    Raises
    ------
    ValueError
        If `class_order` does not name every label once.

    See Also
    --------
    fetch_mnist : Its `n_per_class` takes any class sizes.

    Notes
    -----
    With K classes and n_max rows in the smallest one, class i of the order keeps
    :math:`\lfloor n_{max} \, f^{-i/(K-1)} \rfloor` rows ('exp', [1]_), or n_max and
    :math:`\lfloor n_{max} / f \rfloor` ('step', [2]_), and at least one. Taking the
    smallest class for n_max makes the factor exact on unbalanced sets too.

    References
    ----------
    .. [1] Y. Cui, M. Jia, T.-Y. Lin, Y. Song, S. Belongie, "Class-balanced loss based
       on effective number of samples", CVPR 2019, section 5.1.
    .. [2] M. Buda, A. Maki, M. A. Mazurowski, "A systematic study of the class
       imbalance problem in convolutional neural networks", Neural Networks 106, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.datasets import make_long_tailed
    >>> y = np.repeat([0, 1, 2], 100)
    >>> X_tail, y_tail, indices = make_long_tailed(np.arange(300), y)
    >>> np.bincount(y_tail)
    array([100,  10,   1])
    """
    X, y = labelled_rows(X, y)
    labels, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    order = np.arange(len(labels))
    if class_order is not None:
        order = np.searchsorted(labels, check_class_order(class_order, labels))
    quota = np.empty(len(labels), dtype=np.int64)
    quota[order] = tail_sizes(counts.min(), len(labels), float(imbalance_factor), kind)
    if random_state is None:
        rank = rank_within_class(codes)
    else:
        shuffled = check_random_state(random_state).permutation(len(y))
        rank = np.empty(len(y), dtype=np.int64)
        rank[shuffled] = rank_within_class(codes[shuffled])
    indices = np.flatnonzero(rank < quota[codes])
    return X[indices], y[indices], indices


def tail_sizes(n_max: int, n_classes: int, factor: float, kind: str) -> np.ndarray:
    """Rows of each class from head to tail."""
    place = np.arange(n_classes)
    if kind == "exp":
        power = place / max(n_classes - 1, 1)
    else:
        power = (place >= n_classes - n_classes // 2).astype(float)
    # A floor of 9.999999 is 10 that came out of pow.
    sizes = np.floor(n_max / factor**power + 1e-9)
    return np.maximum(sizes, 1).astype(np.int64)
