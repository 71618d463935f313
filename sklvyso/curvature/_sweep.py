"""From measures at single scales to a table of a sweep and its zone."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from typing import Any

import numpy as np

# The peak of a zone has to be above 0 by that many standard errors.
SIGNIFICANT = 3.0
# What is no number of a table but an array, or a pair of them.
SPECTRA = ("eigenvalues", "ritz_residuals", "density")


def average(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean of measures of several initialisations or hyperplanes.

    Parameters
    ----------
    rows : sequence of dict
        All with the same names, at least one.

    Returns
    -------
    mean : dict
        Standard errors are those between the rows, or those of the only one. Of
        residuals the largest count; densities are pooled.
    """
    if len(rows) == 1:
        return dict(rows[0])
    mean: dict[str, Any] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name == "density":
            nodes, weights = (
                np.concatenate(part) for part in zip(*values, strict=True)
            )
            order = np.argsort(nodes, kind="stable")
            mean[name] = nodes[order], weights[order] / len(rows)
        elif name == "ritz_residuals":
            mean[name] = np.max(values, axis=0)
        elif name.endswith("_stderr"):
            between = np.std(
                [row[name.removesuffix("_stderr")] for row in rows], ddof=1
            )
            mean[name] = float(between) / np.sqrt(len(rows))
        else:
            mean[name] = np.mean(values, axis=0)
    return mean


def table(rows: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return the numbers of all scales as columns, spectra left out.

    Parameters
    ----------
    rows : sequence of dict
        Measures of a scale each.

    Returns
    -------
    columns : dict of str to ndarray of shape (n_scales,)
        A standard error stands next to its measure.
    """
    columns = {}
    for name in rows[0] if rows else ():
        if name not in SPECTRA and not name.endswith("_stderr"):
            for key in (name, f"{name}_stderr"):
                if key in rows[0]:
                    columns[key] = np.array([row[key] for row in rows])
    return columns


def find_zone(
    scales: np.ndarray, curvature: np.ndarray, error: np.ndarray, threshold: float
) -> tuple[float, tuple[float, float] | None]:
    """Return the scale of the peak, and the range around it that counts as the zone.

    Parameters
    ----------
    scales : ndarray of shape (n_scales,)
        Ascending.
    curvature, error : ndarray of shape (n_scales,)
        With NaN where there is none.
    threshold : float
        Share of the peak that bounds the zone.

    Returns
    -------
    best_scale : float
        NaN without any curvature.
    zone : tuple of float or None
        None where the peak is not above 0 by three standard errors.
    """
    if not len(scales) or np.isnan(curvature).all():
        return float("nan"), None
    peak = int(np.nanargmax(curvature))
    if not curvature[peak] > SIGNIFICANT * np.nan_to_num(error[peak]):
        return float(scales[peak]), None
    inside = np.nan_to_num(curvature, nan=-np.inf) >= threshold * curvature[peak]
    low = high = peak
    while low > 0 and inside[low - 1]:
        low -= 1
    while high < len(scales) - 1 and inside[high + 1]:
        high += 1
    return float(scales[peak]), (float(scales[low]), float(scales[high]))
