"""Extreme eigenvalues and the density of all eigenvalues of a symmetric operator.

Lanczos, 1950; Ubaru, Chen, Saad, "Fast Estimation of tr(f(A)) via Stochastic Lanczos
Quadrature", SIAM J. Matrix Anal. Appl. 38(4), 2017.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator
from sklearn.exceptions import ConvergenceWarning

from sklvyso._arguments import check_flag, is_choice, read_numbers
from sklvyso.curvature._lanczos import ORDERS, KrylovBasis, leading_pairs
from sklvyso.curvature._trace import (
    as_operator,
    check_finite,
    check_integer,
    check_size,
    dense_matrix,
    random_generator,
)

# Rows up to which all eigenvalues are computed; up to SHARE_ROWS for such a share.
DENSE_ROWS = 500
DENSE_SHARE = 0.2
SHARE_ROWS = 5000
# Steps of a density by default: how finely it resolves the spectrum.
DENSITY_STEPS = 80


class SignCounts(NamedTuple):
    """How many eigenvalues have which sign, and the fraction of positive ones."""

    fraction: float
    n_positive: float
    n_negative: float
    n_zero: float


def eigenvalues(
    operator: LinearOperator | ArrayLike,
    k: int,
    *,
    which: str = "LA",
    tol: float = 1e-5,
    max_steps: int | None = None,
    random_state: Any = None,
    return_vectors: bool = False,
    check_copies: bool = True,
) -> tuple[np.ndarray, ...]:
    """Return extreme eigenvalues of a symmetric operator and their residuals.

    .. versionadded:: 0.1

    Parameters
    ----------
    operator : LinearOperator, array-like or sparse matrix of shape (P, P)
        Real and symmetric.
    k : int
        How many, from 1 to P.
    which : {"LA", "SA", "LM"}, default="LA"
        Algebraically largest, algebraically smallest, or largest in magnitude.
    tol : float, default=1e-5
        Residual of a converged pair, relative to the largest magnitude of the k values;
        >= 0. Never asked to be below rounding in the operator's dtype.
    max_steps : int, default=None
        Products with the operator at most, >= k. None for ``min(P, max(20 k, 400))``.
    random_state : int, RandomState instance or None, default=None
        Draws starting vectors. None draws anew; NumPy's generator is not used.
    return_vectors : bool, default=False
        Whether to return the vectors too.
    check_copies : bool, default=True
        Whether to search for copies of multiple eigenvalues once the k values have
        converged. Without, fewer products are spent, and copies may be missing.

    Returns
    -------
    values : ndarray of shape (k,), dtype float64
        Descending for ``"LA"``, ascending for ``"SA"``, by magnitude, descending, for
        ``"LM"``.
    residuals : ndarray of shape (k,), dtype float64
        ``||A v - w v||``: an eigenvalue of A lies within this of the value.
    vectors : ndarray of shape (P, k), dtype float64
        Orthonormal columns; only with `return_vectors`.

    Raises
    ------
    ValueError
        If `operator` is not square, real, symmetric, finite, or k is out of range.

    Warns
    -----
    ConvergenceWarning
        If values have not converged within `max_steps`; the residuals tell which.

    See Also
    --------
    spectral_density : The whole spectrum, approximately.
    HessianOperator : What it measures.

    Notes
    -----
    Up to 500 rows, and for a fifth of all eigenvalues or more (up to 5000 rows), the
    matrix is written down. Otherwise Lanczos with full reorthogonalization in float64,
    whose projected matrix T gives values w and vectors s and the residuals
    ``|beta_m s_m|``. One starting vector sees one copy of a multiple eigenvalue. So a
    second one, outside of the space of the first, searches until a copy would have
    shown, for half as many products at most: it finds what is missing with high
    probability, unless that is hardly larger than the rest of the spectrum. The basis
    takes up to 1 GB (more where ``2 k + 50`` vectors do not fit), then thick restarts
    keep its best part [1]_.

    References
    ----------
    .. [1] Wu, Simon, "Thick-Restart Lanczos Method for Large Symmetric Eigenvalue
       Problems", SIAM J. Matrix Anal. Appl. 22(2), 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import LinearOperator
    >>> from sklvyso.curvature import eigenvalues
    >>> d = 1 / np.arange(1.0, 5001)
    >>> operator = LinearOperator(
    ...     (5000, 5000), matvec=lambda v: d * v, dtype=np.float64
    ... )
    >>> eigenvalues(operator, 3, random_state=0)[0].round(4)
    array([1.    , 0.5   , 0.3333])
    """
    return_vectors = check_flag("return_vectors", return_vectors)
    check_copies = check_flag("check_copies", check_copies)
    operator = as_operator(operator)
    n = operator.shape[0]
    _check_eigenvalues(k, n, which, tol, max_steps)
    if n <= DENSE_ROWS or (k >= DENSE_SHARE * n and n <= SHARE_ROWS):
        values, residuals, vectors = _dense_pairs(operator, k, which)
        return (values, residuals, vectors) if return_vectors else (values, residuals)
    pairs = leading_pairs(
        operator,
        k,
        which,
        tol=float(tol),
        max_steps=min(n, max(20 * k, 400)) if max_steps is None else max_steps,
        random=random_generator(random_state),
        check_copies=check_copies,
    )
    n_open = int((~pairs.is_converged).sum())
    if n_open:
        warnings.warn(
            f"{n_open} of {k} eigenvalues have not converged in "
            f"{pairs.basis.n_products} products: see their residuals. Increase "
            "max_steps or tol.",
            ConvergenceWarning,
            stacklevel=2,
        )
    if return_vectors:
        return pairs.values, pairs.residuals, pairs.vectors()
    return pairs.values, pairs.residuals


def _dense_pairs(operator, k, which):
    matrix = dense_matrix(operator)
    values, vectors = np.linalg.eigh(matrix)
    best = leading_values(values, k, which)
    values, vectors = values[best], vectors[:, best]
    residuals = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
    return values, residuals, vectors


def leading_values(values: np.ndarray, k: int, which: str) -> np.ndarray:
    """Return the positions of the k wanted values, best first.

    Parameters
    ----------
    values : ndarray of shape (n,)
        All eigenvalues.
    k : int
        How many.
    which : {"LA", "SA", "LM"}
        As for :func:`eigenvalues`.

    Returns
    -------
    positions : int ndarray of shape (k,)
        Equal values in their order.
    """
    return np.argsort(-ORDERS[which](values), kind="stable")[:k]


def spectral_density(
    operator: LinearOperator | ArrayLike,
    *,
    n_steps: int = DENSITY_STEPS,
    n_starts: int = 4,
    random_state: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights that stand for all eigenvalues of an operator.

    .. versionadded:: 0.1

    Parameters
    ----------
    operator : LinearOperator, array-like or sparse matrix of shape (P, P)
        Real and symmetric.
    n_steps : int, default=80
        Products for each start, >= 1: nodes a start, at most P.
    n_starts : int, default=4
        Random vectors to average over, >= 1.
    random_state : int, RandomState instance or None, default=None
        Draws starting vectors. None draws anew; NumPy's generator is not used.

    Returns
    -------
    nodes : ndarray of shape (n_nodes,), dtype float64
        Ascending.
    weights : ndarray of shape (n_nodes,), dtype float64
        Share of the P eigenvalues that each node stands for: >= 0, sum 1.

    Raises
    ------
    ValueError
        If `operator` is not square, real, symmetric, finite, or a number out of range.

    See Also
    --------
    density_curve : The same as a smooth curve.
    fraction_positive : What share lies above 0.

    Notes
    -----
    Stochastic Lanczos quadrature [1]_: for a random unit vector v, m steps give the
    Gauss quadrature of ``v' f(A) v`` with nodes ``theta_j``, the eigenvalues of T, and
    weights ``s_1j^2``, exact for polynomials up to degree ``2 m - 1``. So
    ``P sum w theta`` estimates the trace and ``P sum w theta^2`` the squared Frobenius
    norm; the error of a mean of f is about ``sqrt(2 / n_starts / P)`` of its size.
    Where P products suffice for the whole matrix, ``P <= n_steps * n_starts``, the
    nodes are the eigenvalues themselves, each of weight ``1 / P``.

    References
    ----------
    .. [1] Ubaru, Chen, Saad, "Fast Estimation of tr(f(A)) via Stochastic Lanczos
       Quadrature", SIAM J. Matrix Anal. Appl. 38(4), 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.curvature import spectral_density
    >>> spectral_density(np.diag([3.0, 1.0, 1.0, 0.0]))
    (array([0., 1., 1., 3.]), array([0.25, 0.25, 0.25, 0.25]))
    """
    operator = as_operator(operator)
    check_integer("n_steps", n_steps, 1)
    check_integer("n_starts", n_starts, 1)
    n = operator.shape[0]
    if n <= min(n_steps * n_starts, SHARE_ROWS):
        return np.linalg.eigvalsh(dense_matrix(operator)), np.full(n, 1 / n)
    random = random_generator(random_state)
    rules = [_quadrature(operator, n_steps, random) for _ in range(n_starts)]
    nodes, weights = np.concatenate(rules, axis=1)
    order = np.argsort(nodes, kind="stable")
    return nodes[order], weights[order] / weights.sum()


def _quadrature(operator, n_steps, random) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes and weights of one random vector."""
    basis = KrylovBasis(operator, n_steps, random)
    basis.start()
    while basis.boundary and basis.size < basis.capacity:
        basis.expand(0)
    values, vectors, _ = basis.ritz()
    return values * basis.unit, vectors[0] ** 2


def density_curve(
    nodes: ArrayLike,
    weights: ArrayLike,
    grid: ArrayLike | None = None,
    *,
    sigma: float | None = None,
    n_points: int = 400,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a spectral density as a curve: nodes smoothed by a Gaussian.

    .. versionadded:: 0.1

    Parameters
    ----------
    nodes, weights : array-like of shape (n_nodes,)
        As from :func:`spectral_density`.
    grid : array-like of shape (n_points,), default=None
        Where to evaluate the curve. None for `n_points` from 4 `sigma` below the least
        node to 4 above the largest.
    sigma : float, default=None
        Standard deviation of the Gaussian, > 0. None for 1/80 of the range of the
        nodes, what 80 steps resolve (of the magnitude of a single node, or of 1).
    n_points : int, default=400
        Points of the grid, >= 2; not used when `grid` is given.

    Returns
    -------
    grid : ndarray of shape (n_points,), dtype float64
        Eigenvalues.
    density : ndarray of shape (n_points,), dtype float64
        >= 0; its integral is the sum of the weights.

    Raises
    ------
    ValueError
        If an argument is not finite or out of range, or shapes differ.

    See Also
    --------
    spectral_density : Nodes and weights to smooth.
    sklvyso.plotting.CurvatureDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.curvature import density_curve
    >>> grid, density = density_curve([0.0, 2.0], [0.75, 0.25])
    >>> round(float(np.trapezoid(density, grid)), 3)
    1.0
    """
    centres, shares = _check_nodes("nodes", nodes, weights)
    check_integer("n_points", n_points, 2)
    if sigma is None:
        spread = np.ptp(centres) or abs(centres[0]) or 1.0
        sigma = spread / DENSITY_STEPS
    width = _check_number("sigma", sigma, above=True)
    if grid is None:
        ends = centres.min() - 4 * width, centres.max() + 4 * width
        points = np.linspace(*ends, n_points)
    else:
        points = read_numbers("grid", grid).astype(np.float64)
        check_finite("grid", points)
    density = np.zeros(points.shape)
    for start in range(0, len(centres), 512):
        part = slice(start, start + 512)
        with np.errstate(over="ignore"):  # far away, where the density is 0
            distances = (points[..., None] - centres[part]) / width
            density += np.exp(-(distances**2) / 2) @ shares[part]
    if width < np.finfo(np.float64).tiny:
        raise ValueError(
            f"sigma must be a normal number of float64. Got {width!r} instead."
        )
    return points, density / width / np.sqrt(2 * np.pi)


def fraction_positive(
    values: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    tolerance: float | None = None,
) -> SignCounts:
    """Return the fraction of positive eigenvalues, and the counts of all signs.

    .. versionadded:: 0.1

    Parameters
    ----------
    values : array-like of shape (n,), float64 or float32
        Eigenvalues, or the nodes of a density.
    weights : array-like of shape (n,), default=None
        What each value counts, >= 0, as from a density. None for 1.
    tolerance : float, default=None
        Magnitudes up to this share of the largest one count as zero; >= 0. None for
        1e-10, or 1e-5 for float32.

    Returns
    -------
    counts : tuple (fraction, n_positive, n_negative, n_zero)
        Named. The counts add up to n, or to the sum of the weights; the fraction is
        ``n_positive`` over that sum.

    Raises
    ------
    ValueError
        If an argument is empty, not finite or out of range, or shapes differ.

    See Also
    --------
    positive_curvature : Trace over Frobenius norm.
    spectral_density : What it integrates.

    Examples
    --------
    >>> from sklvyso.curvature import fraction_positive
    >>> fraction_positive([2.0, 1.0, 1e-17, -0.5])
    SignCounts(fraction=0.5, n_positive=2, n_negative=1, n_zero=1)
    """
    is_single = getattr(values, "dtype", None) in (np.float16, np.float32)
    counted = np.ones(np.shape(values), dtype=int) if weights is None else weights
    checked, shares = _check_nodes("values", values, counted)
    if tolerance is None:
        tolerance = 1e-5 if is_single else 1e-10
    # More than all of it is all of it, and does not overflow.
    bar = min(_check_number("tolerance", tolerance), 2.0) * abs(checked).max()
    masks = checked > bar, checked < -bar, abs(checked) <= bar
    positive, negative, zero = (shares[mask].sum().item() for mask in masks)
    return SignCounts(
        float(positive / (positive + negative + zero)), positive, negative, zero
    )


def _check_nodes(name, values, weights) -> tuple[np.ndarray, np.ndarray]:
    checked = read_numbers(name, values).astype(np.float64)
    shares = read_numbers("weights", weights)
    if checked.ndim != 1 or checked.shape != shares.shape or not len(checked):
        raise ValueError(
            f"{name} and weights must be one-dimensional, of the same length >= 1. Got "
            f"shapes {checked.shape} and {shares.shape} instead."
        )
    check_size(name, checked)
    if not (shares >= 0).all() or not 0 < shares.sum() < np.inf:  # NaN fails too
        raise ValueError(
            "weights must be finite, >= 0 and not all 0. Got weights from "
            f"{shares.min()} to {shares.max()} instead."
        )
    return checked, shares


def _check_number(name: str, value: Any, above: bool = False) -> float:
    """Return a finite number >= 0, or > 0."""
    least = np.nextafter(0, 1) if above else 0.0
    if not isinstance(value, Real) or not least <= float(value) < np.inf:
        rule = "> 0" if above else ">= 0"
        raise ValueError(f"{name} must be finite and {rule}. Got {value!r} instead.")
    return float(value)


def _check_eigenvalues(k, n, which, tol, max_steps) -> None:
    check_integer("k", k, 1)
    if k > n:
        raise ValueError(f"k must be at most {n}, the number of rows. Got {k} instead.")
    if not is_choice(which, tuple(ORDERS)):
        raise ValueError(f"which must be 'LA', 'SA' or 'LM'. Got {which!r} instead.")
    _check_number("tol", tol)
    if max_steps is not None:
        check_integer("max_steps", max_steps, k)
