"""Why DRoP moves the threshold the right way: two Gaussian classes in closed form.

Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR 2025.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from sklvyso._arguments import check_flag, read_numbers

# Beyond it squares of standard deviations leave float64.
_WIDEST = 1e100


def gaussian_mixture_threshold(
    mu: ArrayLike,
    sigma: ArrayLike,
    priors: ArrayLike,
    *,
    global_minimum: bool = False,
) -> float:
    """Return the threshold between two Gaussian classes of least average risk.

    .. versionadded:: 0.1

    Parameters
    ----------
    mu : array-like of shape (2,)
        Means of class 0 and class 1, ``mu[0] < mu[1]``.
    sigma : array-like of shape (2,)
        Standard deviations, > 0, in the unit of ``mu``.
    priors : array-like of shape (2,)
        Probabilities of the classes, > 0, of sum 1.
    global_minimum : bool, default=False
        Whether to give up the finite minimiser where predicting the larger class
        always, whatever ``x``, has less risk. Only unequal ``sigma`` make that happen.

    Returns
    -------
    threshold : float
        The ``t`` of the rule "predict 1 if and only if x > t" at which the average risk
        has its finite local minimum; there is at most one. Where there is none the
        risk is monotone and the threshold is infinite: ``inf`` predicts class 0 always,
        ``-inf`` class 1. With ``global_minimum=True`` it is infinite, too, where the
        local minimum is higher than the smaller prior.

    Raises
    ------
    ValueError
        If an argument is not two numbers in its range.

    See Also
    --------
    gaussian_mixture_risks : Risks of both classes at a threshold.
    worst_class_threshold : Threshold of least risk of the worse class.

    Notes
    -----
    With ``D = mu[1] - mu[0]``, ``L = log(priors[0] sigma[1] / (priors[1] sigma[0]))``
    and ``Q = D**2 + 2 (sigma[1]**2 - sigma[0]**2) L``, the minimum exists for
    ``Q >= 0`` and lies at ::

        mu[0] + sigma[0] (D**2 + 2 sigma[1]**2 L) / (sigma[1] sqrt(Q) + sigma[0] D)

    This is the root of the quadratic equation in the paper's appendix without its
    division by ``sigma[1]**2 - sigma[0]**2``, so that it holds for equal deviations as
    well and is accurate for nearly equal ones.

    References
    ----------
    .. [1] Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR
       2025, theoretical section and Appendix B.

    Examples
    --------
    The narrow class 0 gets the smaller risk; equal risks need half as many of its rows
    as of class 1.

    >>> from sklvyso.data_pruning import gaussian_mixture_threshold
    >>> round(gaussian_mixture_threshold((-1, 1), (0.5, 1), (0.5, 0.5)), 4)
    -0.17
    >>> round(gaussian_mixture_threshold((-1, 1), (0.5, 1), (1 / 3, 2 / 3)), 4)
    -0.3333
    """
    mu, sigma, priors = _check_mu(mu), _check_sigma(sigma), _check_priors(priors)
    global_minimum = check_flag("global_minimum", global_minimum)
    always_larger = math.inf if priors[0] > priors[1] else -math.inf
    threshold = _local_minimiser(mu, sigma, priors)
    if threshold is None:
        return always_larger
    if global_minimum:
        risk = float(priors @ gaussian_mixture_risks(threshold, mu, sigma))
        if risk > priors.min():
            return always_larger
    return threshold


def worst_class_threshold(mu: ArrayLike, sigma: ArrayLike) -> float:
    """Return the threshold at which the worse of two Gaussian classes is best.

    .. versionadded:: 0.1

    Parameters
    ----------
    mu : array-like of shape (2,)
        Means of class 0 and class 1, ``mu[0] < mu[1]``.
    sigma : array-like of shape (2,)
        Standard deviations, > 0, in the unit of ``mu``.

    Returns
    -------
    threshold : float
        The ``t`` of the rule "predict 1 if and only if x > t" that minimises the larger
        risk, between the means. Priors have no say in it.

    Raises
    ------
    ValueError
        If an argument is not two numbers in its range.

    See Also
    --------
    gaussian_mixture_threshold : Threshold of least average risk.
    optimal_prior_ratio : Priors under which the two agree.

    Notes
    -----
    The risks are equal at ``(mu[0] sigma[1] + mu[1] sigma[0]) / (sigma[0] + sigma[1])``
    and amount to ``Phi(-(mu[1] - mu[0]) / (sigma[0] + sigma[1]))``, with ``Phi`` the
    standard normal distribution function.

    References
    ----------
    .. [1] Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR
       2025, theoretical section and Appendix B.

    Examples
    --------
    >>> from sklvyso.data_pruning import worst_class_threshold
    >>> round(worst_class_threshold((-1, 1), (0.5, 1)), 4)
    -0.3333
    """
    mu, sigma = _check_mu(mu), _check_sigma(sigma)
    return float(mu[0] + (mu[1] - mu[0]) * sigma[0] / sigma.sum())


def optimal_prior_ratio(sigma: ArrayLike) -> float:
    """Return the class ratio at which average and worst-class risk agree.

    .. versionadded:: 0.1

    Parameters
    ----------
    sigma : array-like of shape (2,)
        Standard deviations of class 0 and class 1, > 0.

    Returns
    -------
    ratio : float
        Rows of class 0 by rows of class 1, ``sigma[0] / sigma[1]``: the wider class
        gets more. The means have no say in it.

    Raises
    ------
    ValueError
        If ``sigma`` is not two positive numbers.

    See Also
    --------
    drop_prior_ratio : What DRoP aims at instead, from errors alone.

    Notes
    -----
    At this ratio the local minimiser of the average risk is the worst-class optimum.
    It is the global one only if the worst-class risk is at most ``min(sigma) /
    sum(sigma)``; it is not for classes that nearly coincide.

    References
    ----------
    .. [1] Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR
       2025, theoretical section and Appendix B.

    Examples
    --------
    >>> from sklvyso.data_pruning import optimal_prior_ratio
    >>> optimal_prior_ratio((0.5, 1))
    0.5
    """
    sigma = _check_sigma(sigma)
    return float(sigma[0] / sigma[1])


def gaussian_mixture_risks(
    threshold: ArrayLike, mu: ArrayLike, sigma: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Return the error rates of both Gaussian classes at a threshold.

    .. versionadded:: 0.1

    Parameters
    ----------
    threshold : float or array-like
        Where the rule "predict 1 if and only if x > threshold" cuts; may be infinite.
    mu : array-like of shape (2,)
        Means of class 0 and class 1, ``mu[0] < mu[1]``.
    sigma : array-like of shape (2,)
        Standard deviations, > 0, in the unit of ``mu``.

    Returns
    -------
    risk_0, risk_1 : ndarray of the shape of threshold, or float, dtype float64
        Share of each class on the wrong side, in [0, 1].

    Raises
    ------
    ValueError
        If an argument is not numbers in its range.

    See Also
    --------
    gaussian_mixture_threshold : Where their average is least.
    worst_class_threshold : Where their maximum is least.

    Notes
    -----
    ``Phi((mu[0] - t) / sigma[0])`` and ``Phi((t - mu[1]) / sigma[1])``, with ``Phi``
    the standard normal distribution function.

    Examples
    --------
    >>> from sklvyso.data_pruning import gaussian_mixture_risks
    >>> risk_0, risk_1 = gaussian_mixture_risks([-1, 0, 1], (-1, 1), (0.5, 1))
    >>> risk_0.round(4)
    array([0.5 , 0.0228, 0. ])
    >>> risk_1.round(4)
    array([0.0228, 0.1587, 0.5 ])
    """
    mu, sigma = _check_mu(mu), _check_sigma(sigma)
    cuts = _numbers("threshold", threshold, "numbers, not NaN")
    if np.isnan(cuts).any():
        raise ValueError(
            f"threshold must be numbers, not NaN. Got {threshold!r} instead."
        )
    with np.errstate(over="ignore"):  # infinitely many deviations away, rightly
        return ndtr((mu[0] - cuts) / sigma[0]), ndtr((cuts - mu[1]) / sigma[1])


def drop_prior_ratio(mu: ArrayLike, sigma: ArrayLike, priors: ArrayLike) -> float:
    """Return the ratio of two Gaussian classes after DRoP has pruned them.

    .. versionadded:: 0.1

    Parameters
    ----------
    mu : array-like of shape (2,)
        Means of class 0 and class 1, ``mu[0] < mu[1]``.
    sigma : array-like of shape (2,)
        Standard deviations, > 0, in the unit of ``mu``.
    priors : array-like of shape (2,)
        Probabilities of the classes before pruning, > 0, of sum 1.

    Returns
    -------
    ratio : float
        Rows of class 0 by rows of class 1, >= 0. It is 0 or inf where the risk has no
        finite minimum and the query model never gets one class wrong.

    Raises
    ------
    ValueError
        If an argument is not two numbers in its range.

    See Also
    --------
    optimal_prior_ratio : The ratio at which average and worst-class risk agree.
    drop_quotas : The same rule for rows, with a budget.

    Notes
    -----
    The query model cuts at :func:`gaussian_mixture_threshold`; with its risks ``R`` the
    ratio is ``priors[0] R[0] / (priors[1] R[1])``, as long as no class is kept whole.
    It lies near the optimum and often beyond it: there is no theorem that it lowers the
    risk of the worse class.

    References
    ----------
    .. [1] Vysogorets, Ahuja, Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR
       2025, theoretical section and Appendix B.

    Examples
    --------
    >>> from sklvyso.data_pruning import drop_prior_ratio
    >>> round(drop_prior_ratio((-1, 1), (0.5, 1), (0.5, 0.5)), 4)
    0.4006
    """
    priors = _check_priors(priors)
    threshold = gaussian_mixture_threshold(mu, sigma, priors)
    errors = priors * gaussian_mixture_risks(threshold, mu, sigma)
    return float(errors[0] / errors[1]) if errors[1] > 0 else math.inf


def _local_minimiser(mu, sigma, priors) -> float | None:
    """Return the finite local minimiser of the average risk, None without one."""
    # In units of the distance, so that squares neither overflow nor vanish.
    distance = mu[1] - mu[0]
    first, second = (sigma / distance).tolist()
    if max(first, second) > _WIDEST:
        raise ValueError(
            f"sigma must be at most {_WIDEST:g} times the distance of mu. Got "
            f"sigma={sigma.tolist()} and mu={mu.tolist()}."
        )
    log_ratio = math.log(priors[0] / priors[1]) + math.log(sigma[1] / sigma[0])
    discriminant = 1 + 2 * (second - first) * (second + first) * log_ratio
    if discriminant < 0:
        return None
    step = first * (1 + 2 * second * (second * log_ratio))
    return float(mu[0] + distance * step / (second * math.sqrt(discriminant) + first))


def _check_mu(mu) -> np.ndarray:
    rule = "two finite numbers, the first smaller than the second"
    values = _numbers("mu", mu, rule)
    if values.shape != (2,) or not np.isfinite(values).all() or values[0] >= values[1]:
        raise ValueError(f"mu must be {rule}. Got {mu!r} instead.")
    return values


def _check_sigma(sigma) -> np.ndarray:
    rule = "two finite numbers > 0"
    values = _numbers("sigma", sigma, rule)
    if values.shape != (2,) or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"sigma must be {rule}. Got {sigma!r} instead.")
    return values


def _check_priors(priors) -> np.ndarray:
    rule = "two numbers > 0 of sum 1"
    values = _numbers("priors", priors, rule)
    if values.shape != (2,) or not (values > 0).all() or abs(values.sum() - 1) > 1e-9:
        raise ValueError(f"priors must be {rule}. Got {priors!r} instead.")
    return values


def _numbers(name, values, rule) -> np.ndarray:
    try:
        return read_numbers(name, values).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be {rule}. Got {values!r} instead.") from error
