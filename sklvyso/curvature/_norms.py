"""Frobenius norm of a symmetric operator, and its trace over that: the curvature.

Fort, Scherlis, "The Goldilocks Zone", AAAI 2019; Vysogorets, Dawid, Kempe,
"Deconstructing the Goldilocks Zone of Neural Network Initialization", ICML 2024.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from sklvyso.curvature._lanczos import leading_pairs
from sklvyso.curvature._trace import (
    DENSE_LIMIT,
    LARGEST_IN_NORMS,
    as_operator,
    check_integer,
    check_method,
    dense_matrix,
    exact_value,
    formula_value,
    frobenius,
    mean_and_error,
    probe_blocks,
    products,
    random_generator,
)

METHODS = ("auto", "exact", "hutchinson")


def frobenius_norm(
    operator: LinearOperator | ArrayLike,
    *,
    method: str = "auto",
    n_probes: int = 100,
    n_deflate: int = 0,
    random_state: Any = None,
) -> tuple[float, float]:
    """Return the Frobenius norm of a symmetric operator and its standard error.

    .. versionadded:: 0.1

    Parameters
    ----------
    operator : LinearOperator, array-like or sparse matrix of shape (P, P)
        Real and symmetric, known by its products with vectors.
    method : {"auto", "exact", "hutchinson"}, default="auto"
        ``"exact"``: the operator's own formula (``exact_frobenius_norm``) or, for
        P <= 2000, the matrix. ``"hutchinson"``: from products with random vectors.
        ``"auto"``: exact where that applies, else the estimate.
    n_probes : int, default=100
        Products for the estimate, >= 2.
    n_deflate : int, default=0
        Eigenpairs, largest in magnitude, that the estimate takes out and counts
        exactly, from 0 to P - 1. They cost up to ``2 * n_deflate + 20`` products more
        and pay where a few eigenvalues make most of the norm.
    random_state : int, RandomState instance or None, default=None
        Draws the probes. None draws anew each time; the global generator is not used.

    Returns
    -------
    value : float
        The norm, >= 0.
    standard_error : float
        Estimated standard deviation of `value`; 0.0 where it is exact.

    Raises
    ------
    ValueError
        If `operator` is not square, real and finite, an argument is out of range, or
        nothing exact applies with ``method="exact"``.

    See Also
    --------
    trace : The sum of the eigenvalues; this is the root of the sum of their squares.

    Notes
    -----
    ``||A||_F^2 = E ||A v||^2`` for Rademacher v. The root of the mean of m samples is
    low by ``var / (8 m mean^2)`` of itself, which is made good; its standard error is
    that of the mean over ``2 ||A||_F``. With Ritz vectors V, ``A V = V diag(w) + R``
    and ``Q = I - V V'``, whether converged or not,

    ``||A||_F^2 = sum_j w_j^2 + 2 ||R||_F^2 + E ||Q A Q v||^2``.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import LinearOperator
    >>> from sklvyso.curvature import frobenius_norm
    >>> d = 1 / np.arange(1.0, 5001)
    >>> operator = LinearOperator(
    ...     (5000, 5000), matvec=lambda v: d * v, dtype=np.float64
    ... )
    >>> value, error = frobenius_norm(operator, n_deflate=5, random_state=0)
    >>> bool(abs(value - np.linalg.norm(d)) < 0.01)
    True
    """
    operator = as_operator(operator, LARGEST_IN_NORMS)
    check_method(method, METHODS)
    check_integer("n_probes", n_probes, 2)
    check_integer("n_deflate", n_deflate, 0)
    if n_deflate >= operator.shape[0]:
        raise ValueError(
            f"n_deflate must be less than {operator.shape[0]}, the number of rows. Got "
            f"{n_deflate} instead."
        )
    if method != "hutchinson":
        value = exact_value(operator, "exact_frobenius_norm", frobenius, method)
        if value is not None:
            return value, 0.0
    random = random_generator(random_state)
    return _estimated_norm(operator, int(n_probes), int(n_deflate), random)


def positive_curvature(
    operator: LinearOperator | ArrayLike,
    *,
    method: str = "auto",
    n_probes: int = 100,
    random_state: Any = None,
) -> tuple[float, float]:
    """Return trace over Frobenius norm of an operator, and the standard error.

    .. versionadded:: 0.1

    Parameters
    ----------
    operator : LinearOperator, array-like or sparse matrix of shape (P, P)
        Real and symmetric, known by its products with vectors.
    method : {"auto", "exact", "hutchinson"}, default="auto"
        ``"exact"``: by the operator's own formulas (``exact_trace``,
        ``exact_frobenius_norm``) or, for P <= 2000, from the matrix. ``"hutchinson"``:
        both from the same products with random vectors. ``"auto"``: each exact where
        that applies, else estimated.
    n_probes : int, default=100
        Products for the estimate, >= 2.
    random_state : int, RandomState instance or None, default=None
        Draws the probes. None draws anew each time; the global generator is not used.

    Returns
    -------
    value : float
        In ``[-sqrt(P), sqrt(P)]``, but for the noise of an estimate; 0 for a spectrum
        symmetric about 0, ``sqrt(P)`` for the identity, >= 1 for a positive
        semi-definite matrix. NaN where the norm is 0.
    standard_error : float
        Estimated standard deviation of `value`; 0.0 where it is exact, NaN where
        `value` is.

    Raises
    ------
    ValueError
        If `operator` is not square, real and finite, an argument is out of range, or
        nothing exact applies with ``method="exact"``.

    Warns
    -----
    UserWarning
        If the norm is 0, so that there is no curvature.

    See Also
    --------
    trace, frobenius_norm : The two parts.
    full_space_curvature : The same from a random hyperplane.

    Notes
    -----
    ``c(A) = Tr(A) / ||A||_F = sum w / sqrt(sum w^2)`` for eigenvalues w [1]_. Probes
    give ``x_i = v_i' A v_i`` and ``s_i = ||A v_i||^2``, their means t and s give
    ``t / sqrt(s)``; its bias of second order, ``3/8 t s^(-5/2) var(s) - 1/2 s^(-3/2)
    cov(t, s)``, is taken off, and the standard error is that of the mean of
    ``x_i / sqrt(s) - t s_i / (2 s^(3/2))`` (delta method, with the covariance). A part
    that is exact does not vary.

    References
    ----------
    .. [1] Vysogorets, Dawid, Kempe, "Deconstructing the Goldilocks Zone of Neural
       Network Initialization", ICML 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.curvature import positive_curvature
    >>> positive_curvature(np.eye(4))
    (2.0, 0.0)
    """
    operator = as_operator(operator, LARGEST_IN_NORMS)
    check_method(method, METHODS)
    check_integer("n_probes", n_probes, 2)
    total, norm = None, None
    if method != "hutchinson":
        total, norm = _exact_parts(operator, method)
    if total is not None and norm is not None:
        value, error = (total / norm, 0.0) if norm else (np.nan, np.nan)
    else:
        random = random_generator(random_state)
        value, error = _estimated_curvature(
            operator, total, norm, int(n_probes), random
        )
    if np.isnan(value):
        warnings.warn(
            "The operator is zero, so that its positive curvature is not defined: NaN. "
            "With a network, look for zero weights or a saturated softmax.",
            UserWarning,
            stacklevel=2,
        )
    return value, error


def _exact_parts(operator, method) -> tuple[float | None, float | None]:
    """Return trace and norm, each None where only an estimate is left."""
    total = formula_value(operator, "exact_trace")[0]
    norm = formula_value(operator, "exact_frobenius_norm")[0]
    if None not in (total, norm):
        return total, norm
    if operator.shape[0] <= DENSE_LIMIT:
        matrix = dense_matrix(operator)
        if total is None:
            total = float(np.trace(matrix))
        return total, frobenius(matrix) if norm is None else norm
    if method == "exact":  # raise, with the reason of what is missing
        exact_value(operator, "exact_trace", np.trace, method)
        exact_value(operator, "exact_frobenius_norm", frobenius, method)
    return total, norm


def _estimated_norm(operator, n_probes, n_deflate, random) -> tuple[float, float]:
    basis, known = np.zeros((operator.shape[0], 0)), np.zeros(0)
    if n_deflate:
        # Any Ritz vectors will do: their residuals are counted.
        pairs = leading_pairs(
            operator,
            n_deflate,
            "LM",
            tol=1e-2,
            max_steps=min(2 * n_deflate + 20, operator.shape[0]),
            random=random,
            check_copies=False,
        )
        basis = pairs.vectors()
        known = np.append(pairs.values, np.sqrt(2) * pairs.residuals)
    lengths = np.concatenate(
        [_column_norms(image) for _, image in _probe(operator, n_probes, random, basis)]
    )
    scale = max(lengths.max(), abs(known).max(initial=0.0))
    if not scale:
        return 0.0, 0.0
    constant = ((known / scale) ** 2).sum()
    mean, error = mean_and_error(constant + (lengths / scale) ** 2)
    value = scale * np.sqrt(mean) * (1 + error**2 / (8 * mean**2))
    return float(value), float(scale * error / (2 * np.sqrt(mean)))


def _estimated_curvature(operator, total, norm, n_probes, random):
    """Return the ratio of two means of the same probes; a known part is constant."""
    forms, lengths = [], []
    for probes, images in _probe(operator, n_probes, random):
        forms.append(np.einsum("ij,ij->j", probes, images))
        lengths.append(_column_norms(images))
    x, length = np.concatenate(forms), np.concatenate(lengths)
    if total is not None:
        x = np.full(n_probes, total)
    if norm is not None:
        length = np.full(n_probes, norm)
    return curvature_of_samples(x, length)


def curvature_of_samples(x: np.ndarray, length: np.ndarray) -> tuple[float, float]:
    """Return curvature and standard error from the forms and lengths of probes.

    Parameters
    ----------
    x : ndarray of shape (m,)
        ``v' A v``; constant where the trace is known.
    length : ndarray of shape (m,)
        ``||A v||``; constant where the norm is known.

    Returns
    -------
    value, standard_error : float
        NaN where all lengths are 0.
    """
    n_probes = len(x)
    scale = length.max()
    if not scale:
        return np.nan, np.nan
    x, s = x / scale, (length / scale) ** 2
    x_mean, s_mean = x.mean(), s.mean()
    covariance = np.cov(x, s) / n_probes
    bias = (
        0.375 * x_mean * s_mean**-2.5 * covariance[1, 1]
        - 0.5 * s_mean**-1.5 * covariance[0, 1]
    )
    slopes = x / np.sqrt(s_mean) - x_mean * s / (2 * s_mean**1.5)
    error = mean_and_error(slopes)[1]
    return float(x_mean / np.sqrt(s_mean) - bias), error


def _probe(
    operator: LinearOperator,
    n_probes: int,
    random: np.random.RandomState,
    basis: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of probes and products, on the complement of a basis if any."""
    for probes in probe_blocks(operator.shape[0], n_probes, random):
        if basis is None or not basis.shape[1]:
            yield probes, products(operator, probes)
            continue
        probes -= basis @ (basis.T @ probes)
        images = products(operator, probes)
        yield probes, images - basis @ (basis.T @ images)


def _column_norms(block: np.ndarray) -> np.ndarray:
    """Return the norms of the columns, where squares would underflow too."""
    sizes = abs(block).max(axis=0)
    safe = np.where(sizes > 0, sizes, 1.0)
    return sizes * np.linalg.norm(block / safe, axis=0)
