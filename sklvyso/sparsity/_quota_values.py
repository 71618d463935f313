"""At which value of its parameter a quota rule prunes each weight.

A rule with one parameter prunes ``r_l`` weights of layer l, a real number that grows
with the parameter. The weight that is the j-th of its layer to go (from 0) gets the
value at which ``r_l = j + 1/2``. Any function that rises with the parameter serves.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable

import numpy as np

from sklvyso.sparsity._quota_rules import (
    LAST_LAYER_LIMIT,
    Shapes,
    erk_weights,
    weight_counts,
)


def _middles(count):
    return np.arange(count, dtype=np.float64) + 0.5


def _uniform_values(shapes):
    return [_middles(count) / count for count in weight_counts(shapes)]


def _uniform_plus_values(shapes):
    # The sparsity of the middle layers orders all: the last layer has the same one
    # until it stops at its limit. Its rest and the first layer are beyond the reach.
    values = _uniform_values(shapes)
    values[-1][values[-1] > LAST_LAYER_LIMIT] += 2.0
    if len(values) > 1:
        values[0] += 4.0
    return values


def _igq_values(shapes):
    return [
        _middles(count) / (_middles(count)[::-1] * count)
        for count in weight_counts(shapes)
    ]


def _erk_values(shapes):
    # With j + 1/2 weights pruned, scale * weight = n - j - 1/2 are kept.
    return [
        -_middles(count)[::-1] / weight
        for count, weight in zip(
            weight_counts(shapes), erk_weights(shapes), strict=True
        )
    ]


MERGE_VALUES: dict[str, Callable[[Shapes], list[np.ndarray]]] = {
    "uniform": _uniform_values,
    "uniform_plus": _uniform_plus_values,
    "igq": _igq_values,
    "erk": _erk_values,
}


def family_values(counts: np.ndarray, quotas: np.ndarray) -> list[np.ndarray]:
    """Return values of the weights under the densities ``(1 - quotas) ** v``.

    Parameters
    ----------
    counts : ndarray of int of shape (L,)
        Weights of each layer.
    quotas : ndarray of shape (L,)
        Sparsities of the layers at v = 1.

    Returns
    -------
    values : list of ndarray of shape (n_l,), dtype float64
        ``-1 / v``, which keeps its digits at both ends; below all of these the layers
        of sparsity 1, above them those of sparsity 0.
    """
    values = []
    lowest = 0.0
    for count, quota in zip(counts, quotas, strict=True):
        if 0.0 < quota < 1.0:
            log_densities = np.log1p(-_middles(count) / count)
            values.append(-np.log1p(-quota) / log_densities)
            lowest = min(lowest, values[-1][0])
        else:
            values.append(_middles(count) / count)
    for place, quota in enumerate(quotas):
        if quota == 1.0:
            values[place] += np.floor(lowest) - 1.0
    return values
