"""Why a frame was flagged: artifact, probability, features that stand out, place."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np

from sklvyso.artifacts._reference import Reference, relative_to

_N_FEATURES = 5


def expert_importances(expert: Any, n_columns: int) -> np.ndarray:
    """Return how much an expert uses each of its columns, alike if it does not say."""
    importances = getattr(expert, "feature_importances_", None)
    if importances is None or len(importances) != n_columns:
        return np.full(n_columns, 1 / max(n_columns, 1))
    return np.asarray(importances)


def standing_out(
    z: np.ndarray, names: np.ndarray, normal: Reference, importances: np.ndarray
) -> list[dict[str, Any]]:
    """Return the features of a frame that stand out where the expert looks.

    Parameters
    ----------
    z : ndarray of shape (n_columns,)
        The expert's features of the frame.
    names : ndarray of str of shape (n_columns,)
        Their names.
    normal : Reference
        Centre and scale of these features on normal frames.
    importances : ndarray of shape (n_columns,)
        Of the expert.

    Returns
    -------
    features : list of dict
        With keys "name", "value", "normal" (median of normal frames) and "deviation"
        (in units of their spread), largest importance times deviation first.
    """
    deviation = relative_to(z[None], normal)[0]
    order = np.argsort(-np.abs(deviation) * importances, kind="stable")[:_N_FEATURES]
    return [
        {
            "name": str(names[j]),
            "value": float(z[j]),
            "normal": float(normal.center[j]),
            "deviation": float(deviation[j]),
        }
        for j in order
    ]
