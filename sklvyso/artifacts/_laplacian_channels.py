"""The colour-channel Laplacian: how unusual the colour of each pixel is.

Verdoja, Grangetto, "Graph Laplacian for Image Anomaly Detection", 2020.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import itertools

import numpy as np

from sklvyso.artifacts._frames import row_strips
from sklvyso.artifacts._masks import count_columns, count_rows, grow, share
from sklvyso.artifacts._profiles import QUANTILE_NAMES, QUANTILES, quantiles

_GRID = 8
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
    # Sums of rows are exact for bytes, and cheap.
    means = planes.sum(axis=2, dtype=np.float32).mean(axis=1, dtype=np.float64)
    means /= planes.shape[2]
    laplacian = channel_laplacian(means)
    origin = (means if center else np.zeros(3)).astype(np.float32)
    roots = np.sqrt(np.diag(laplacian)).astype(np.float32)
    anomaly = np.empty(planes.shape[1:], dtype=np.float32)
    for rows in row_strips(anomaly.shape):
        colors = [planes[c, rows] - origin[c] for c in range(3)]
        if normalize:
            colors = [color / root for color, root in zip(colors, roots, strict=True)]
        anomaly[rows] = _quadratic_form(colors, laplacian)
    return anomaly


def _quadratic_form(colors: list[np.ndarray], laplacian: np.ndarray) -> np.ndarray:
    # A sum over the three edges, instead of a product by matrices.
    total = np.zeros_like(colors[0])
    for a, b in _PAIRS:
        difference = colors[a] - colors[b]
        difference *= difference
        difference *= np.float32(-laplacian[a, b])
        total += difference
    return total


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
    mean, std = _mean_and_std(anomaly)
    is_unusual = anomaly > max(mean + n_std * std, threshold)
    grown = grow(is_unusual, dilation) if is_unusual.any() else is_unusual
    cells = np.sort(_cell_shares(is_unusual).ravel())[::-1]
    row_counts, column_counts = count_rows(grown), count_columns(grown)
    return np.array(
        [
            row_counts.max() / anomaly.shape[1],
            column_counts.max() / anomaly.shape[0],
            share(is_unusual),
            row_counts.sum() / anomaly.size,
            *np.log1p(quantiles(anomaly, QUANTILES)),
            np.log1p(std),
            cells[0],
            cells[min(3, len(cells) - 1)],
        ],
        dtype=np.float32,
    )


def _mean_and_std(values: np.ndarray) -> tuple[float, float]:
    mean = float(values.mean())
    squares = 0.0
    for rows in row_strips(values.shape):
        centred = (values[rows] - np.float32(mean)).ravel()
        squares += float(np.vdot(centred, centred))
    return mean, float(np.sqrt(squares / values.size))


def _cell_shares(mask: np.ndarray) -> np.ndarray:
    """Shares of the cells of a grid of at most 8 x 8."""
    edges = [np.linspace(0, n, min(n, _GRID) + 1).astype(int) for n in mask.shape]
    counts = [
        np.add.reduceat(count_columns(mask[top:bottom]), edges[1][:-1])
        for top, bottom in itertools.pairwise(edges[0])
    ]
    return np.array(counts) / np.outer(*(np.diff(edge) for edge in edges))
