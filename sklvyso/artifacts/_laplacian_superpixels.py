"""The graph of superpixels: spectrum of its normalised Laplacian."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy import linalg
from skimage.segmentation import slic

from sklvyso.artifacts._frames import shrink

# Segments are sought on a frame of at most this many rows.
_ROWS = 180
_QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
_TIMES = (0.5, 1.0, 2.0, 4.0, 8.0)

NAMES = [
    *(f"eigenvalue_q{100 * q:g}" for q in _QUANTILES),
    *(f"heat_t{t:g}".replace(".", "_") for t in _TIMES),
    "edge_mean",
    "edge_std",
    "weight_min",
    "n_segments_share",
]


def superpixel_statistics(planes: np.ndarray, n_segments: int) -> np.ndarray:
    """Describe the region adjacency graph of a frame.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W), uint8 or float32
        Scale 0..255.
    n_segments : int
        Superpixels to aim at.

    Returns
    -------
    values : ndarray of shape (len(NAMES),), float32
        Quantiles of the eigenvalues in [0, 2] of the normalised Laplacian with weights
        ``exp(-|c_a - c_b|**2 / (2 s**2))``, s the mean colour distance of neighbours;
        heat traces ``mean(exp(-t * eigenvalue))``; statistics of distances.
    """
    height, width = planes.shape[1:]
    factor = max(1.0, height / _ROWS)
    shape = max(1, round(height / factor)), max(1, round(width / factor))
    small = np.stack([shrink(plane, shape) for plane in planes], axis=2)
    if min(shape) < 2:
        return np.zeros(len(NAMES), dtype=np.float32)
    labels = slic(
        small / 255,
        n_segments=n_segments,
        compactness=0.1,
        convert2lab=False,
        start_label=0,
        channel_axis=2,
        enforce_connectivity=False,
    )
    _, flat = np.unique(labels, return_inverse=True)
    labels = flat.reshape(shape)
    n_found = int(labels.max()) + 1
    if n_found < 2:
        return np.zeros(len(NAMES), dtype=np.float32)
    sizes = np.bincount(labels.ravel())
    colors = np.stack(
        [
            np.bincount(labels.ravel(), c.ravel()) / sizes
            for c in small.transpose(2, 0, 1)
        ],
        axis=1,
    )
    first, second = _neighbours(labels)
    distances = np.linalg.norm(colors[first] - colors[second], axis=1)
    scale = float(distances.mean()) + 1.0
    weights = np.zeros((n_found, n_found))
    weights[first, second] = np.exp(-((distances / scale) ** 2) / 2)
    weights += weights.T
    roots = 1 / np.sqrt(np.maximum(weights.sum(axis=1), 1e-12))
    laplacian = np.eye(n_found) - roots[:, None] * weights * roots
    eigenvalues = np.clip(linalg.eigvalsh(laplacian), 0, 2)
    values = [
        *np.quantile(eigenvalues, _QUANTILES),
        *(np.exp(-time * eigenvalues).mean() for time in _TIMES),
        np.log1p(distances.mean()),
        distances.std() / scale,
        weights[first, second].min(),
        n_found / n_segments,
    ]
    return np.asarray(values, dtype=np.float32)


def _neighbours(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of different labels side by side, each once, the smaller first."""
    pairs = np.concatenate(
        [
            np.stack([labels[:-1].ravel(), labels[1:].ravel()]),
            np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()]),
        ],
        axis=1,
    )
    pairs = np.sort(pairs[:, pairs[0] != pairs[1]], axis=0)
    first, second = np.unique(pairs, axis=1)
    return first, second
