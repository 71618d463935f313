"""Rows that are uncertain and different: k-means++ on gradient embeddings.

Ash, Zhang, Krishnamurthy, Langford, Agarwal, "Deep Batch Active Learning by Diverse,
Uncertain Gradient Lower Bounds", ICLR 2020.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklvyso.selection._arguments import check_n_select, random_generator
from sklvyso.selection._rows import (
    Rows,
    as_rows,
    chunks_of,
    read_rows,
    row_products,
    squared_norms,
    zero_tolerance,
)
from sklvyso.selection._spread import RowSpace, spread_sample
from sklvyso.selection._uncertainty import as_probabilities, check_probabilities


def badge(
    Z: ArrayLike, proba: ArrayLike, n_select: int, *, random_state: Any = None
) -> np.ndarray:
    """Return rows whose labels would move a linear model far and differently.

    .. versionadded:: 0.1

    Parameters
    ----------
    Z : array-like or sparse of shape (n, d), any real dtype
        Finite features of the rows to choose from, the input of the last layer. A
        memory-mapped array is read a few rows at a time, sparse ones stay sparse.
    proba : array-like of shape (n, n_classes), any real dtype
        Class probabilities in [0, 1]; each row sums to 1 within 0.001.
    n_select : int
        Rows to choose, from 0 to n.
    random_state : int, RandomState instance or None, default=None
        Makes the choice reproducible. None draws anew at each call.

    Returns
    -------
    indices : ndarray of shape (n_select,), dtype int64
        Distinct positions in the order of choice, so that a smaller `n_select` gives
        the beginning with the same integer `random_state`.

    Raises
    ------
    TypeError
        If `Z` or `proba` does not hold real numbers, or `n_select` is no integer.
    ValueError
        If `Z` is not a finite table with at least one column, `proba` not a table of
        probabilities for its rows, or `n_select` out of range.

    See Also
    --------
    k_center_greedy : Different rows, whatever the model says of them.
    cluster_margin : One uncertain row from each region.

    Notes
    -----
    With ``a = p - onehot(argmax p)``, the gradient of the log-loss for the likeliest
    label with respect to the weights and the intercepts of the last layer is the outer
    product of ``a`` and ``[z, 1]``. The first choice is the row with the largest
    gradient, at equal ones the lowest position. Each other choice is drawn with
    probability proportional to the squared distance between its gradient and the
    nearest chosen one: k-means++. A row with the gradient of a chosen one has
    probability 0. Once no other rows are left, as with probabilities of 0 and 1 alone,
    the remaining rows are drawn uniformly.

    Gradients are never formed: ``(a . b) (z . w + 1)`` is the inner product of those
    of two rows. Distances are computed in float64, and zero within their rounding. The
    distribution is exactly the one of the plain algorithm, which passes over all rows
    for each choice; here a few passes bound the distances, and only those of drawn
    candidates are brought up to date. Memory beyond `Z` and `proba` is O(n) and a few
    MB.

    References
    ----------
    .. [1] Ash, Zhang, Krishnamurthy, Langford, Agarwal, "Deep Batch Active Learning by
       Diverse, Uncertain Gradient Lower Bounds", ICLR 2020, Algorithm 1.
    .. [2] Arthur, Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA
       2007, section 2.2.

    Examples
    --------
    Row 3 moves the model most. Row 4 equals it and is left over.

    >>> from sklvyso.selection import badge
    >>> Z = [[0.0], [1.0], [9.0], [-3.0], [-3.0]]
    >>> proba = [[0.6, 0.4], [0.4, 0.6], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5]]
    >>> badge(Z, proba, 4, random_state=0)
    array([3, 1, 2, 0])
    """
    rows = as_rows(Z)
    table = as_probabilities("proba", proba)
    if len(table) != rows.shape[0]:
        raise ValueError(
            f"proba must have one row for each row of Z, {rows.shape[0]}. Got "
            f"{len(table)} instead."
        )
    n_select = check_n_select(n_select, len(table))
    random = random_generator(random_state)
    space = GradientSpace(rows, table)
    if not n_select:
        return np.empty(0, dtype=np.int64)
    return spread_sample(space, int(space.norms.argmax()), n_select, random)


class GradientSpace(RowSpace):
    """Gradients of the last layer for the likeliest label, one a row, never formed.

    Parameters
    ----------
    rows : ndarray or CSR array of shape (n, d)
        Finite features.
    proba : ndarray of shape (n, n_classes)
        Class probabilities.
    """

    def __init__(self, rows: Rows, proba: np.ndarray) -> None:
        self.proba = proba
        super().__init__(rows)
        self.tolerance = zero_tolerance(rows.shape[1] + 1 + proba.shape[1])

    def chunks(self, n_more: int = 0):
        """Return slices that cover the rows, a few MB each with what is read."""
        return chunks_of(self.rows, n_more + 2 * self.proba.shape[1])

    def measure(self, chunk: slice) -> np.ndarray:
        """Return the squared norms of some gradients; check their probabilities."""
        check_probabilities("proba", self.proba[chunk].astype(np.float64))
        rows, residuals = self.read(chunk)
        return squared_norms(residuals) * (squared_norms(rows) + 1.0)

    def read(self, index: slice | np.ndarray):
        """Return the two factors of some gradients: rows, and residuals."""
        residuals = self.proba[index].astype(np.float64)
        residuals[np.arange(len(residuals)), residuals.argmax(axis=1)] -= 1.0
        return read_rows(self.rows, index), residuals

    def products(self, points, centres) -> np.ndarray:
        """Return the inner products of gradients, both from `read`."""
        products = row_products(points[0], centres[0])
        products += 1.0
        products *= row_products(points[1], centres[1])
        return products
