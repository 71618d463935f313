"""Trace of a symmetric operator: exact, from a dense matrix, or from random probes.

Hutchinson, "A Stochastic Estimator of the Trace of the Influence Matrix", 1990; Meyer
et al., "Hutch++", 2021; Epperly, Tropp, Webber, "XTrace", 2024.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from sklearn.utils import check_random_state

from sklvyso._arguments import is_choice, is_integer, read_array, read_numbers

# Up to here P products are cheap enough to write the matrix down.
DENSE_LIMIT = 2000
# Columns of one product, fewer where they would take more than BLOCK_BYTES.
BLOCK_COLUMNS = 32
BLOCK_BYTES = 2**28
# Largest |A - A'| relative to max |A| that rounding explains, in low precision too.
ASYMMETRY = 1e-3
# Squares of more leave float64, and so do sums of squares.
_LARGEST = 1e150
# Norms are taken of scaled entries, so that only their sums must not overflow.
LARGEST_IN_NORMS = 1e250
# Least products of a method: a standard error needs two samples.
LEAST_PROBES = {"auto": 2, "exact": 2, "hutchinson": 2, "hutch++": 4, "xtrace": 4}


def trace(
    operator: LinearOperator | ArrayLike,
    *,
    method: str = "auto",
    n_probes: int = 100,
    random_state: Any = None,
) -> tuple[float, float]:
    """Return the trace of a symmetric operator and its standard error.

    .. versionadded:: 0.1

    Parameters
    ----------
    operator : LinearOperator, array-like or sparse matrix of shape (P, P)
        Real and symmetric, known by its products with vectors.
    method : {"auto", "exact", "hutchinson", "hutch++", "xtrace"}, default="auto"
        ``"exact"``: the operator's own formula (``exact_trace``) or, for P <= 2000, the
        diagonal of the matrix. ``"hutchinson"``: the mean of ``v'Av``. ``"hutch++"``
        and ``"xtrace"``: exact on a subspace, probes for the rest; better where few
        eigenvalues dominate. ``"auto"``: exact where that applies, else Hutchinson.
    n_probes : int, default=100
        Products with the operator, >= 2; >= 4 for ``"hutch++"`` and ``"xtrace"``, which
        hold as many vectors in memory and are exact from P products on.
    random_state : int, RandomState instance or None, default=None
        Draws the probes. None draws anew each time; the global generator is not used.

    Returns
    -------
    value : float
        The trace.
    standard_error : float
        Estimated standard deviation of `value`; 0.0 where it is exact.

    Raises
    ------
    ValueError
        If `operator` is not square, real and finite, an argument is out of range, or
        nothing exact applies with ``method="exact"``.

    See Also
    --------
    frobenius_norm : The other half of the positive curvature.
    positive_curvature : Both in one.

    Notes
    -----
    With Rademacher probes Hutchinson's variance is ``2 (||A||_F^2 - sum_i A_ii^2) / m``
    [1]_. Relative to ``||A||_F`` the error is at most ``sqrt(2 / m)``; relative to the
    trace it has no bound: compare `standard_error` with the norm, not with `value`.
    Hutch++ [2]_ takes the trace on the range of ``A S`` and probes the complement; its
    standard error is that of the probes. XTrace [3]_ leaves each of its m / 2 vectors
    out in turn, estimates the trace from the others' range and that one vector, and
    averages. For Hessians at initialization, whose eigenvalues decay slowly, the gain
    is small.

    References
    ----------
    .. [1] Hutchinson, "A Stochastic Estimator of the Trace of the Influence Matrix for
       Laplacian Smoothing Splines", Communications in Statistics 19(2), 1990.
    .. [2] Meyer, Musco, Musco, Woodruff, "Hutch++: Optimal Stochastic Trace
       Estimation", SOSA 2021, Algorithm 1.
    .. [3] Epperly, Tropp, Webber, "XTrace: Making the Most of Every Sample in
       Stochastic Trace Estimation", SIAM J. Matrix Anal. Appl. 45(1), 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import LinearOperator
    >>> from sklvyso.curvature import trace
    >>> d = 1 / np.arange(1.0, 5001) ** 2
    >>> ones = np.ones(5000) / 50
    >>> operator = LinearOperator(
    ...     (5000, 5000), matvec=lambda v: d * v + ones * (ones @ v), dtype=np.float64
    ... )
    >>> value, error = trace(operator, method="xtrace", random_state=0)
    >>> bool(abs(value - d.sum() - 2) < 4 * error < 1e-2)
    True
    """
    operator = as_operator(operator)
    check_method(method, LEAST_PROBES)
    check_integer("n_probes", n_probes, LEAST_PROBES[method], f" for {method!r}")
    if method in ("auto", "exact"):
        value = exact_value(operator, "exact_trace", np.trace, method)
        if value is not None:
            return value, 0.0
    if method in ("hutch++", "xtrace") and n_probes >= operator.shape[0]:
        return float(np.trace(dense_matrix(operator))), 0.0
    estimate = ESTIMATES.get(method, _hutchinson)
    return estimate(operator, int(n_probes), random_generator(random_state))


def _hutchinson(operator, n_probes, random) -> tuple[float, float]:
    forms = []
    for probes in probe_blocks(operator.shape[0], n_probes, random):
        forms.append(_column_dots(probes, products(operator, probes)))
    return mean_and_error(np.concatenate(forms))


def _hutch_plus_plus(operator, n_probes, random) -> tuple[float, float]:
    """Return the trace on a sketched range plus Hutchinson's on its complement."""
    n = operator.shape[0]
    n_sketch = n_probes // 3
    sketch = np.concatenate(list(probe_blocks(n, n_sketch, random)), axis=1)
    basis = _range_of(products(operator, sketch))[0]
    inside = _column_dots(basis, products(operator, basis)).sum()
    forms = []
    for probes in probe_blocks(n, n_probes - 2 * n_sketch, random):
        outside = probes - basis @ (basis.T @ probes)
        forms.append(_column_dots(outside, products(operator, outside)))
    value, error = mean_and_error(np.concatenate(forms))
    return float(inside + value), error


def _xtrace(operator, n_probes, random) -> tuple[float, float]:
    """Return the mean of leave-one-out estimates and their standard error.

    Without vector i the range loses one direction s_i, or none where the others span
    it all. The vector's part outside is uniform on a sphere, whose radius is set to its
    mean.
    """
    n = operator.shape[0]
    vectors = random.standard_normal((n_probes // 2, n)).T
    images = products(operator, vectors)
    basis, sizes, right = _range_of(images)
    core = basis.T @ products(operator, basis)  # A on the range
    lost = right / sizes[:, None]
    is_needed = (right**2).sum(axis=0) > 1 - 1e-8
    norms = np.linalg.norm(lost, axis=0)
    lost = np.where(is_needed, lost / np.where(norms > 0, norms, 1.0), 0.0)
    parts = basis.T @ vectors
    parts -= lost * _column_dots(lost, parts)
    inside = np.trace(core) - _column_dots(lost, core @ lost)
    forms = (
        _column_dots(vectors, images)
        - 2 * _column_dots(parts, sizes[:, None] * right)
        + _column_dots(parts, core @ parts)
    )
    squares = _column_dots(vectors, vectors) - _column_dots(parts, parts)
    n_outside = n - len(sizes) + is_needed
    radii = np.where(n_outside > 0, n_outside / np.where(squares > 0, squares, 1.0), 0)
    return mean_and_error(inside + radii * forms)


ESTIMATES = {
    "hutchinson": _hutchinson,
    "hutch++": _hutch_plus_plus,
    "xtrace": _xtrace,
}


def _range_of(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Q, s, W with ``images = Q diag(s) W``: an SVD without what is rounding."""
    basis, triangle = np.linalg.qr(images)
    left, sizes, right = np.linalg.svd(triangle)
    rank = int((sizes > 1e-13 * sizes[0]).sum())  # none for a zero operator
    return basis @ left[:, :rank], sizes[:rank], right[:rank]


def _column_dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", a, b)


def mean_and_error(samples: np.ndarray) -> tuple[float, float]:
    """Return the mean of independent samples and its standard error."""
    error = samples.std(ddof=1) / np.sqrt(len(samples))
    return float(samples.mean()), float(error)


# -- what the estimators of this room share ------------------------------------------


class MatrixOperator(LinearOperator):
    """A matrix at hand, with the exact values that estimators ask an operator for."""

    def __init__(self, matrix: Any):
        super().__init__(np.dtype(np.float64), matrix.shape)
        self.matrix = matrix

    def _matmat(self, X):
        return self.matrix @ X

    def _adjoint(self):
        return self

    def to_dense(self) -> np.ndarray:
        return self.matrix.toarray() if issparse(self.matrix) else self.matrix

    def exact_trace(self) -> float:
        return float(self.matrix.diagonal().sum())

    def exact_frobenius_norm(self) -> float:
        entries = self.matrix.data if issparse(self.matrix) else self.matrix
        return frobenius(entries)


def as_operator(operator: Any, largest: float = _LARGEST) -> LinearOperator:
    """Return a checked operator; matrices of entries up to `largest` become one."""
    if not isinstance(operator, LinearOperator):
        is_operator = hasattr(operator, "matvec") and hasattr(operator, "shape")
        operator = (
            aslinearoperator(operator)
            if is_operator
            else MatrixOperator(_symmetric_matrix(operator, largest))
        )
    if operator.shape[0] != operator.shape[1] or not operator.shape[0]:
        raise ValueError(
            "operator must be square, with one row or more. Got shape "
            f"{tuple(operator.shape)} instead."
        )
    _check_real(operator.dtype)
    return operator


def _symmetric_matrix(values: Any, largest: float) -> Any:
    matrix = values
    if not issparse(values):
        matrix = read_array("operator", values)
        if matrix.dtype.kind == "O":
            matrix = read_numbers("operator", values)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.shape[0]:
        raise ValueError(
            "operator must be square, with one row or more. Got shape "
            f"{matrix.shape} instead."
        )
    _check_real(matrix.dtype)
    if matrix.dtype.kind not in "fiub":
        raise ValueError(f"operator must be of numbers. Got {matrix.dtype} instead.")
    matrix = (
        csr_array(matrix, dtype=float) if issparse(matrix) else matrix.astype(float)
    )
    entries: Any = matrix.data if issparse(matrix) else matrix
    check_size("Entries of operator", entries, largest)
    check_symmetric(abs(matrix - matrix.T).max(), abs(matrix).max())
    return matrix


def _check_real(dtype: Any) -> None:
    if dtype is not None and np.issubdtype(dtype, np.complexfloating):
        raise ValueError(f"operator must be real. Got dtype {dtype} instead.")


def check_finite(what: str, values: np.ndarray) -> None:
    """Raise unless all values are finite."""
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)][0]
        raise ValueError(f"{what} must be finite. Got {wrong} instead.")


def check_symmetric(difference: float, size: float) -> None:
    """Raise if A and its transpose differ by more than rounding."""
    if difference > ASYMMETRY * size:
        raise ValueError(
            "operator must be symmetric. Got entries that differ from the transposed "
            f"ones by {difference:.2g}, the largest being {size:.2g}, instead."
        )


def check_method(method: str, methods: Any) -> None:
    """Raise unless the method is one of those."""
    if not is_choice(method, tuple(methods)):
        names = ", ".join(repr(name) for name in methods)
        raise ValueError(f"method must be one of {names}. Got {method!r} instead.")


def check_size(what: str, values: np.ndarray, most: float = _LARGEST) -> None:
    """Raise unless all values are finite and small enough to calculate with."""
    check_finite(what, values)
    largest = abs(values).max(initial=0.0)
    if largest > most:
        raise ValueError(
            f"{what} must be at most {most:g}, so that float64 holds what is made of "
            f"them. Got {largest} instead."
        )


def check_integer(
    name: str, value: Any, least: int, where: str = "", most: int | None = None
) -> None:
    """Raise unless the value is an integer of at least so much."""
    if most is not None and is_integer(value) and value > most:
        raise ValueError(f"{name} must be at most {most}. Got {value!r} instead.")
    if not is_integer(value) or value < least:
        raise ValueError(
            f"{name} must be an integer >= {least}{where}. Got {value!r} instead."
        )


def random_generator(random_state: Any) -> np.random.RandomState:
    """Return a generator; None gives a fresh one, never NumPy's global one."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def products(operator: LinearOperator, block: np.ndarray) -> np.ndarray:
    """Return the products with the columns of a block, finite float64."""
    n_rows, n_columns = block.shape
    images = np.empty((n_columns, n_rows)).T
    step = block_columns(n_rows)
    for start in range(0, n_columns, step):
        columns = slice(start, start + step)
        image = np.asarray(_multiply(operator, block[:, columns]))
        _check_real(image.dtype)
        check_finite(f"Products of operator {type(operator).__name__}", image)
        images[:, columns] = image
    return images


def _multiply(operator: LinearOperator, block: np.ndarray) -> np.ndarray:
    if block.shape[1] == 1:
        return operator.matvec(block[:, 0])[:, None]
    try:
        return operator.matmat(block)
    except ValueError:
        # Without a matmat SciPy hands columns of shape (P, 1) to the user's matvec,
        # where v -> d * v fails.
        return np.stack([operator.matvec(column) for column in block.T], axis=1)


def block_columns(n_rows: int) -> int:
    """Return how many columns a product takes at a time."""
    return int(np.clip(BLOCK_BYTES // (8 * n_rows), 1, BLOCK_COLUMNS))


def probe_blocks(
    n_rows: int, n_probes: int, random: np.random.RandomState
) -> Iterator[np.ndarray]:
    """Yield blocks of Rademacher vectors as columns, ``n_probes`` in all."""
    step = block_columns(n_rows)
    for start in range(0, n_probes, step):
        size = min(step, n_probes - start), n_rows
        yield 2.0 * random.randint(2, size=size, dtype=np.int8).T - 1.0


def exact_value(
    operator: LinearOperator,
    formula: str,
    from_dense: Callable[[np.ndarray], Any],
    method: str,
) -> float | None:
    """Return a value by the operator's formula or densely; None where P is too large.

    With ``method="exact"`` there is no None but an error that says why.
    """
    value, reason = formula_value(operator, formula)
    if value is not None:
        return value
    if operator.shape[0] <= DENSE_LIMIT:
        return float(from_dense(dense_matrix(operator)))
    if method == "exact":
        raise ValueError(
            f"method must be an estimate for {operator.shape[0]} rows, more than "
            f"{DENSE_LIMIT}, where no formula applies ({reason}). Got 'exact' instead."
        )
    return None


def formula_value(
    operator: LinearOperator, formula: str
) -> tuple[float | None, str | None]:
    """Return what a formula of the operator gives, or None and why it does not."""
    if not hasattr(operator, formula):
        return None, f"{type(operator).__name__} has no {formula}"
    try:
        value = float(getattr(operator, formula)())
    except ValueError as error:
        return None, str(error)
    check_finite(f"{formula} of operator {type(operator).__name__}", np.array([value]))
    return value, None


def dense_matrix(operator: LinearOperator) -> np.ndarray:
    """Return the matrix in float64, its symmetric part where rounding left another."""
    n = operator.shape[0]
    if hasattr(operator, "to_dense"):
        matrix = np.asarray(operator.to_dense(), dtype=np.float64)
        check_finite(f"Products of operator {type(operator).__name__}", matrix)
    else:
        matrix = products(operator, np.eye(n))
    check_symmetric(abs(matrix - matrix.T).max(), abs(matrix).max())
    return (matrix + matrix.T) / 2


def frobenius(entries: np.ndarray) -> float:
    """Return the root of the sum of squares, where squares would underflow too."""
    largest = abs(entries).max(initial=0.0)
    if not largest:
        return 0.0
    return float(largest * np.linalg.norm((entries / largest).ravel()))
