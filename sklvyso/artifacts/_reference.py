"""What is normal for a game: centre and scale of every feature."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np

# Half of the range between these quantiles is one standard deviation of a normal
# distribution, and a few corrupted frames among the clean ones do not move it.
_QUANTILES = (0.15, 0.85)
_LIMIT = 30.0


class Reference(NamedTuple):
    """Robust centre and scale of features, both of shape (n_features,)."""

    center: np.ndarray
    scale: np.ndarray


def measure_reference(Z: np.ndarray) -> Reference:
    """Return median and half of the 15-85 % range of each feature.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features)
        Features of frames of one game, most of them normal.

    Returns
    -------
    reference : Reference
        The scale is never 0.
    """
    center = np.median(Z, axis=0)
    low, high = np.quantile(Z, _QUANTILES, axis=0)
    floor = 1e-3 * np.abs(center) + 1e-6
    return Reference(
        center.astype(np.float32),
        np.maximum((high - low) / 2, floor).astype(np.float32),
    )


def relative_to(Z: np.ndarray, reference: Reference) -> np.ndarray:
    """Return features relative to a game's reference, within +-30, float32."""
    relative = (Z - reference.center) / reference.scale
    return np.clip(relative, -_LIMIT, _LIMIT).astype(np.float32)
