"""Curvature in a random low-dimensional hyperplane, and what it says about the whole.

Fort, Scherlis, "The Goldilocks Zone: Towards Better Understanding of Neural Network
Loss Landscapes", AAAI 2019.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from sklvyso._arguments import is_choice, read_numbers
from sklvyso.curvature._trace import (
    as_operator,
    block_columns,
    check_integer,
    check_size,
    check_symmetric,
    products,
    random_generator,
)


def random_directions(
    n_parameters: int,
    dimension: int,
    *,
    kind: str = "gaussian",
    random_state: Any = None,
) -> np.ndarray:
    """Return random directions that span a hyperplane of parameters.

    .. versionadded:: 0.1

    Parameters
    ----------
    n_parameters : int
        P, >= 1.
    dimension : int
        d, from 1 to P.
    kind : {"gaussian", "sparse"}, default="gaussian"
        ``"gaussian"``: an orthonormal basis of a uniformly distributed subspace.
        ``"sparse"``: entries +-1 with probability ``1 / sqrt(P)``, else 0, scaled to
        unit columns, as in the paper's reference code: orthogonal only on average.
    random_state : int, RandomState instance or None, default=None
        None draws anew each time; the global generator is not used.

    Returns
    -------
    directions : ndarray of shape (P, d), dtype float64
        R, with columns of norm 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    See Also
    --------
    project_operator : The operator in the hyperplane.

    Notes
    -----
    Gaussian columns are made orthonormal by a QR decomposition with a positive diagonal
    of R. Of sparse columns, empty ones, which occur for small P, are drawn again; the
    largest cosine between two of 50 is about 0.5 for P = 69, 0.01 for P = 266 200.

    References
    ----------
    .. [1] Fort, Scherlis, "The Goldilocks Zone", AAAI 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.curvature import random_directions
    >>> directions = random_directions(100, 3, random_state=0)
    >>> (directions.T @ directions).round(12) + 0.0
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    check_integer("n_parameters", n_parameters, 1, most=_LARGEST_SIZE)
    _check_dimension(dimension, n_parameters)
    if not is_choice(kind, ("gaussian", "sparse")):
        raise ValueError(f"kind must be 'gaussian' or 'sparse'. Got {kind!r} instead.")
    random = random_generator(random_state)
    draw = _gaussian_directions if kind == "gaussian" else _sparse_directions
    return draw(int(n_parameters), int(dimension), random)


def _gaussian_directions(n_parameters, dimension, random) -> np.ndarray:
    basis, triangle = np.linalg.qr(random.standard_normal((n_parameters, dimension)))
    return basis * np.where(np.diag(triangle) < 0, -1.0, 1.0)


def _sparse_directions(n_parameters, dimension, random) -> np.ndarray:
    directions = np.zeros((n_parameters, dimension))
    half = 1 / (2 * np.sqrt(n_parameters))
    for column in directions.T:
        while not column.any():
            draws = random.random_sample(n_parameters)
            column[draws < 2 * half] = -1.0
            column[draws < half] = 1.0
    return directions / np.linalg.norm(directions, axis=0)


def project_operator(
    operator: LinearOperator | ArrayLike, directions: ArrayLike
) -> np.ndarray:
    """Return a symmetric operator as a matrix within a hyperplane.

    .. versionadded:: 0.1

    Parameters
    ----------
    operator : LinearOperator, array-like or sparse matrix of shape (P, P)
        Real and symmetric, known by its products with vectors.
    directions : array-like of shape (P, d)
        R, finite, d <= P; as from :func:`random_directions`.

    Returns
    -------
    projected : ndarray of shape (d, d), dtype float64
        ``R'AR``, exactly symmetric: the second derivative along ``w`` at
        ``theta + R w`` when A is the one by ``theta``.

    Raises
    ------
    ValueError
        If shapes do not fit, or something is not real, symmetric or finite.

    See Also
    --------
    full_space_curvature : What its positive curvature says about the operator's.

    References
    ----------
    .. [1] Fort, Scherlis, "The Goldilocks Zone", AAAI 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.curvature import project_operator
    >>> project_operator(np.diag([1.0, 2.0, 3.0]), [[1, 0], [0, 1], [0, 0]])
    array([[1., 0.],
           [0., 2.]])
    """
    operator = as_operator(operator)
    basis = read_numbers("directions", directions).astype(np.float64)
    if basis.ndim != 2 or len(basis) != operator.shape[0] or not basis.size:
        raise ValueError(
            f"directions must have shape ({operator.shape[0]}, d), a column a "
            f"direction. Got {basis.shape} instead."
        )
    _check_dimension(basis.shape[1], len(basis))
    check_size("directions", basis)
    projected = np.empty((basis.shape[1], basis.shape[1]))
    step = block_columns(len(basis))
    for start in range(0, basis.shape[1], step):
        columns = slice(start, start + step)
        projected[:, columns] = basis.T @ products(operator, basis[:, columns])
    check_symmetric(abs(projected - projected.T).max(), abs(projected).max())
    return (projected + projected.T) / 2


def projected_curvature(curvature: ArrayLike, dimension: int) -> Any:
    """Return the positive curvature expected in a random hyperplane.

    .. versionadded:: 0.1

    Parameters
    ----------
    curvature : float or array-like of float
        c, ``Tr(A) / ||A||_F`` in the full space.
    dimension : int
        d of the hyperplane, >= 1 and far below the number of parameters.

    Returns
    -------
    projected_curvature : float or ndarray of the shape of `curvature`
        In ``[-sqrt(d), sqrt(d)]``; NaN for NaN.

    Raises
    ------
    ValueError
        If `dimension` is not an integer >= 1.

    See Also
    --------
    full_space_curvature : The inverse.

    Notes
    -----
    For a uniformly distributed hyperplane with ``d << P``, ``E Tr(R'AR) = (d / P) t``
    and ``E ||R'AR||_F^2 = (d (d + 1) ||A||_F^2 + d t^2) / P^2`` with ``t = Tr(A)``, so
    about ``c sqrt(d) / sqrt(d + 1 + c^2)``. A single hyperplane scatters around it,
    near c = 0 with standard deviation ``sqrt(2 / (d + 1))``.

    Examples
    --------
    >>> from sklvyso.curvature import projected_curvature
    >>> round(projected_curvature(4.989, 50), 2)
    4.05
    """
    check_integer("dimension", dimension, 1)
    size = float(dimension)
    full = read_numbers("curvature", curvature).astype(np.float64)
    with np.errstate(over="ignore"):  # of next to nothing, whose sine is 0
        slope = np.sqrt(size + 1) / np.where(full == 0, 1.0, full)
    return _plain(np.sqrt(size) * np.sign(full) / np.hypot(1.0, slope))


def full_space_curvature(projected_curvature: ArrayLike, dimension: int) -> Any:
    """Return the positive curvature that one in a random hyperplane stands for.

    .. versionadded:: 0.1

    Parameters
    ----------
    projected_curvature : float or array-like of float
        ``Tr / ||.||_F`` of the projected matrix.
    dimension : int
        d of the hyperplane, >= 1 and far below the number of parameters.

    Returns
    -------
    curvature : float or ndarray of the shape of `projected_curvature`
        Infinite at ``+-sqrt(d)``, the bound of the projected one, NaN beyond it and for
        NaN.

    Raises
    ------
    ValueError
        If `dimension` is not an integer >= 1.

    See Also
    --------
    projected_curvature : The inverse, with the formula.

    Notes
    -----
    ``c = p sqrt(d + 1) / sqrt(d - p^2)`` for p projected. With it curvatures from
    hyperplanes of different d compare.

    Examples
    --------
    >>> from sklvyso.curvature import full_space_curvature
    >>> round(full_space_curvature(4.05, 50), 2)
    4.99
    """
    check_integer("dimension", dimension, 1)
    size = float(dimension)
    part = read_numbers("projected_curvature", projected_curvature).astype(np.float64)
    part = part / np.sqrt(size)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        full = part * np.sqrt(size + 1) / np.sqrt((1 - part) * (1 + part))
    return _plain(full)


def _plain(values: Any) -> Any:
    """Return an array as it is, one without dimensions as a float."""
    return values if np.ndim(values) else float(values)


# What NumPy counts with.
_LARGEST_SIZE = 2**40


def _check_dimension(dimension: Any, n_parameters: int) -> None:
    check_integer("dimension", dimension, 1)
    if dimension > n_parameters:
        raise ValueError(
            f"dimension must be at most {n_parameters}, the number of parameters. Got "
            f"{dimension} instead."
        )
