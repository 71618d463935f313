"""Rows of a dense or sparse table, read a few at a time in float64."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse

from sklvyso.selection._arrays import as_numbers, row_chunks

# Beyond it the squares of double precision may overflow.
LARGEST_NORM = 1e150

Rows: TypeAlias = np.ndarray | csr_array


def as_rows(Z: ArrayLike | Any) -> Rows:
    """Return features as an array, or as CSR if sparse, without a needless copy.

    Parameters
    ----------
    Z : array-like or sparse matrix of shape (n, d)
        Features of any real dtype; what error messages call "Z".

    Returns
    -------
    rows : ndarray or csr_array of shape (n, d)
        Of the dtype of `Z`.

    Raises
    ------
    TypeError
        If `Z` does not hold real numbers.
    ValueError
        If it is not a table with at least one column.
    """
    rows = _as_csr(Z) if issparse(Z) else as_numbers("Z", Z, 2)
    if not rows.shape[1]:
        raise ValueError(
            f"Z must have at least one column. Got shape {rows.shape} instead."
        )
    return rows


def _as_csr(Z: Any) -> csr_array:
    if Z.ndim != 2:
        raise ValueError(
            f"Z must have 2 dimensions. Got a sparse array of shape {Z.shape} instead."
        )
    if Z.dtype.kind not in "biuf":
        raise TypeError(
            f"Z must hold real numbers. Got a {type(Z).__name__} of dtype {Z.dtype} "
            "instead."
        )
    return csr_array(Z)


def read_rows(rows: Rows, index: slice | np.ndarray) -> Rows:
    """Return a copy of some rows in float64, an array or CSR as the whole is."""
    block = rows[index]
    if isinstance(block, csr_array):
        return block.astype(np.float64)
    return block.astype(np.float64, order="C")


def row_size(rows: Rows) -> int:
    """Return how many numbers a row holds; of sparse rows only the stored ones."""
    n_rows, n_features = rows.shape
    if isinstance(rows, csr_array):
        return int(rows.nnz // max(1, n_rows) + 1)
    return n_features


def chunks_of(rows: Rows, n_more: int = 0) -> Iterator[slice]:
    """Yield slices that cover the rows, with ``n_more`` numbers held besides a row."""
    return row_chunks(rows.shape[0], row_size(rows) + n_more)


def row_products(rows: Rows, others: Rows) -> np.ndarray:
    """Return the dot product of each row with each of the others, a dense table."""
    products = rows @ others.T
    return products.toarray() if isinstance(products, csr_array) else products


def squared_norms(rows: Rows) -> np.ndarray:
    """Return the squared Euclidean norm of each row of a block, shape (n,)."""
    if isinstance(rows, csr_array):
        return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", rows, rows)


def check_norms(norms: np.ndarray) -> None:
    """Refuse squared norms of rows that float64 cannot hold."""
    is_large = ~(norms <= LARGEST_NORM**2)  # NaN too
    if is_large.any():
        raise ValueError(
            "Z must hold finite numbers, with squared norms in the range of float64. "
            f"Got a row with the squared norm {norms[is_large][0]} instead."
        )


def check_rows(rows: Rows) -> None:
    """Refuse rows that are not finite, a few at a time."""
    for chunk in chunks_of(rows):
        with np.errstate(over="ignore", invalid="ignore"):
            norms = squared_norms(read_rows(rows, chunk))
        check_norms(norms)


def zero_tolerance(n_terms: int) -> float:
    """Return below which share of two squared norms a distance is rounding alone.

    It bounds the error of two sums of ``n_terms`` products in float64, so that equal
    rows are at distance 0 whatever the order of summation.
    """
    return float((2 * n_terms + 16) * np.finfo(np.float64).eps)
