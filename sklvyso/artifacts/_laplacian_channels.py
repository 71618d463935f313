"""The colour-channel Laplacian: how unusual the colour of each pixel is.

Verdoja, Grangetto, "Graph Laplacian for Image Anomaly Detection", 2020.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy import ndimage

from sklvyso.artifacts._profiles import QUANTILE_NAMES, QUANTILES, quantiles

_PAIRS = ((0, 1), (0, 2), (1, 2))
NAMES = [
    "coverage_row",
    "coverage_column",
    "share",
    "share_dilated",
    *(f"log_{name}" for name in QUANTILE_NAMES),
    "log_std",
    "grid_max",
    "grid_fourth",
]


def channel_laplacian(means: np.ndarray) -> np.ndarray:
    """Return the Laplacian of the graph of the channels.

    Parameters
    ----------
    means : ndarray of shape (3,)
        Mean of each channel.

    Returns
    -------
    laplacian : ndarray of shape (3, 3), float64
        D - W with Cauchy weights ``1 / (1 + ((mu_a - mu_b) / alpha)**2)``, alpha the
        mean of the means; all weights 1 for a black frame.
    """
    means = np.asarray(means, dtype=np.float64)
    alpha = means.mean()
    distance = (means[:, None] - means) / alpha if alpha > 0 else np.zeros((3, 3))
    weights = 1 / (1 + distance**2)
    np.fill_diagonal(weights, 0)
    return np.diag(weights.sum(axis=1)) - weights


def channel_anomaly(
    planes: np.ndarray, *, normalize: bool = False, center: bool = True
) -> np.ndarray:
    """Return the anomaly ``c @ L @ c`` of the colour c of each pixel.

    Parameters
    ----------
    planes : ndarray of shape (3, H, W) or (1, H, W)
        Scale 0..255; a grey frame has no unusual colours.
    normalize : bool, default=False
        Use ``D**-1/2 @ L @ D**-1/2`` (the report) instead of L (its code).
    center : bool, default=True
        Subtract the channel means first (the code).

    Returns
    -------
    anomaly : ndarray of shape (H, W), float32
        Not negative.
    """
    if len(planes) == 1:
        return np.zeros(planes.shape[1:], dtype=np.float32)
    means = planes.reshape(3, -1).mean(axis=1, dtype=np.float64)
    laplacian = channel_laplacian(means)
    colors = planes
    if center:
        colors = colors - means.astype(np.float32)[:, None, None]
    if normalize:
        roots = np.sqrt(np.diag(laplacian)).astype(np.float32)
        colors = colors / roots[:, None, None]
    # A sum over the three edges, instead of a product by matrices.
    anomaly = np.zeros(planes.shape[1:], dtype=np.float32)
    for a, b in _PAIRS:
        difference = colors[a] - colors[b]
        difference *= difference
        difference *= np.float32(-laplacian[a, b])
        anomaly += difference
    return anomaly


def channel_statistics(
    anomaly: np.ndarray, threshold: float, n_std: float, dilation: int
) -> np.ndarray:
    """Summarise a map of anomalies.

    Parameters
    ----------
    anomaly : ndarray of shape (H, W)
        See :func:`channel_anomaly`.
    threshold, n_std : float
        A pixel is unusual above ``max(mean + n_std * std, threshold)``.
    dilation : int
        Unusual pixels grow by this to each side.

    Returns
    -------
    values : ndarray of shape (len(NAMES),), float32
        Coverage is the largest share of a row, or a column, after dilation.
    """
    std = float(anomaly.std())
    is_unusual = anomaly > max(float(anomaly.mean()) + n_std * std, threshold)
    side = 2 * dilation + 1
    grown = is_unusual
    if is_unusual.any():
        grown = ndimage.maximum_filter(is_unusual, side, mode="constant")
    edges = [np.linspace(0, n, min(n, 8) + 1).astype(int)[:-1] for n in anomaly.shape]
    sums = np.add.reduceat(is_unusual.astype(np.float32), edges[0], axis=0)
    sums = np.add.reduceat(sums, edges[1], axis=1)
    areas = np.outer(
        *(
            np.diff(np.append(edge, n))
            for edge, n in zip(edges, anomaly.shape, strict=True)
        )
    )
    cells = np.sort((sums / areas).ravel())[::-1]
    return np.array(
        [
            grown.mean(axis=1).max(),
            grown.mean(axis=0).max(),
            is_unusual.mean(),
            grown.mean(),
            *np.log1p(quantiles(anomaly, QUANTILES)),
            np.log1p(std),
            cells[0],
            cells[min(3, len(cells) - 1)],
        ],
        dtype=np.float32,
    )
