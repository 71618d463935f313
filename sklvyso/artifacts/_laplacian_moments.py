"""The weighted graph of the pixels: how the spectrum of its Laplacian is spread.

Weisse et al., "The kernel polynomial method", Reviews of Modern Physics 78, 2006.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import numpy as np
from scipy import special

from sklvyso.artifacts._frames import shrink

# The graph is that of a frame of at most this many rows.
_ROWS = 120
_TIMES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
_BINS = 8
# Below it a pixel has no neighbour.
_LEAST_DEGREE = 1e-12


def moment_names(n_moments: int) -> list[str]:
    """Return the names of the values of :func:`moment_statistics`."""
    return [
        *(f"moment{k:02d}" for k in range(2, n_moments + 1, 2)),
        *(f"heat_t{t:g}".replace(".", "_") for t in _TIMES),
        *(f"density{b}" for b in range(_BINS)),
    ]


def moment_statistics(
    planes: np.ndarray, n_moments: int, n_probes: int, seed: int
) -> np.ndarray:
    """Describe the spectrum of the weighted pixel graph of a frame.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W), uint8 or float32
        Scale 0..255.
    n_moments : int
        Order of the highest Chebyshev moment, at least 2.
    n_probes : int
        Random vectors that the traces are estimated with.
    seed : int
        With the shape of the frame it determines those vectors.

    Returns
    -------
    values : ndarray of shape (len(moment_names(n_moments)),), float32
        Even Chebyshev moments, heat traces, density of states.
    """
    height, width = planes.shape[1:]
    factor = max(1.0, height / _ROWS)
    shape = max(1, round(height / factor)), max(1, round(width / factor))
    right, down = normalized_edges(np.stack([shrink(plane, shape) for plane in planes]))
    probes = random_signs(n_probes, right.size, (seed, *shape))
    moments = even_moments(right, down, probes, n_moments)
    values = [*moments, *heat_traces(moments, _TIMES), *state_density(moments, _BINS)]
    return np.asarray(values, dtype=np.float32)


def normalized_edges(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the normalised adjacency ``D**-1/2 @ W @ D**-1/2`` of the pixel grid.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W), floats
        Scale 0..255.

    Returns
    -------
    right, down : ndarray of shape (H, W)
        Entries between a pixel and the next one in its row, in its column; 0 in the
        last column of `right` and the last row of `down`. Weights are
        ``exp(-d**2 / (2 s**2))``, d the root mean square over channels of the
        difference of neighbours, s the mean of d over the frame plus 1.
    """
    right, down = np.zeros_like(planes[0]), np.zeros_like(planes[0])
    edges = right[:, :-1], down[:-1]
    for axis, edge in ((1, edges[0]), (0, edges[1])):
        edge[:] = np.mean(np.diff(planes, axis=axis + 1) ** 2, axis=0)
    n_edges = max(1, edges[0].size + edges[1].size)
    scale = sum(float(np.sqrt(edge).sum()) for edge in edges) / n_edges + 1.0
    for edge in edges:
        edge[:] = np.exp(edge / (-2 * scale**2))
    degree = right + down
    degree[:, 1:] += edges[0]
    degree[1:] += edges[1]
    roots = 1 / np.sqrt(np.maximum(degree, _LEAST_DEGREE))
    right[:, :-1] *= roots[:, :-1] * roots[:, 1:]
    down[:-1] *= roots[:-1] * roots[1:]
    return right, down


@functools.lru_cache(maxsize=4)
def random_signs(n_vectors: int, length: int, seed: tuple[int, ...]) -> np.ndarray:
    """Return vectors of -1 and 1 (n_vectors, length), float32; do not write to them."""
    bits = np.random.default_rng(seed).integers(
        0, 2, (n_vectors, length), dtype=np.int8
    )
    return (2 * bits - 1).astype(np.float32)


def even_moments(
    right: np.ndarray, down: np.ndarray, probes: np.ndarray, n_moments: int
) -> np.ndarray:
    """Estimate even Chebyshev moments of the normalised Laplacian, less the identity.

    Parameters
    ----------
    right, down : ndarray of shape (H, W)
        See :func:`normalized_edges`.
    probes : ndarray of shape (n_probes, H * W)
        With the columns of the identity the result is exact, with random signs its
        error falls with the root of their number and of the pixels.
    n_moments : int
        Highest order.

    Returns
    -------
    moments : ndarray of shape (n_moments // 2,), float64
        ``trace(T_k(L - I)) / n`` for k = 2, 4, .... Odd ones vanish: a grid has no
        odd cycles, so that its eigenvalues lie symmetrically about 1.
    """
    width = right.shape[1]
    moments = np.zeros(n_moments // 2)
    for probe in probes:
        before, now = probe, _multiply(right.ravel(), down.ravel(), probe, width)
        norm = float(probe @ probe)
        for k in range(len(moments)):
            # T_2k = 2 T_k**2 - 1: half of the products suffice. The sign of L - I,
            # which is minus the adjacency, does not matter to them either.
            moments[k] += 2 * float(now @ now) / norm - 1
            after = _multiply(right.ravel(), down.ravel(), now, width)
            after *= 2
            after -= before
            before, now = now, after
    return moments / len(probes)


def _multiply(
    right: np.ndarray, down: np.ndarray, vector: np.ndarray, width: int
) -> np.ndarray:
    """Multiply the normalised adjacency by a vector, all of them flat."""
    product = np.zeros_like(vector)
    for entries, step in ((right, 1), (down, width)):
        # No edge leaves a row or the frame: there the entries are 0.
        edges = entries[:-step]
        product[:-step] += edges * vector[step:]
        product[step:] += edges * vector[:-step]
    return product


def heat_traces(moments: np.ndarray, times: tuple[float, ...]) -> np.ndarray:
    """Return ``trace(exp(-t * L)) / n`` from even moments.

    Parameters
    ----------
    moments : ndarray of shape (n,)
        See :func:`even_moments`.
    times : tuple of float
        The error is negligible up to t about the highest order.

    Returns
    -------
    traces : ndarray of shape (len(times),), float64
        Between 0 and 1, up to the error of the moments.
    """
    orders = 2 * np.arange(len(moments) + 1)
    factors = special.ive(orders, np.asarray(times)[:, None])
    factors[:, 1:] *= 2
    return factors @ np.append(1.0, moments)


def state_density(moments: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the shares of eigenvalues in bins from 0 to 1 from even moments.

    Parameters
    ----------
    moments : ndarray of shape (n,)
        See :func:`even_moments`.
    n_bins : int
        Bins of equal angles: borders are ``1 - cos(i * pi / (2 * n_bins))``.

    Returns
    -------
    shares : ndarray of shape (n_bins,), float64
        They sum to 1, since eigenvalues from 1 to 2 mirror them. Jackson's kernel
        smooths them.
    """
    orders = 2 * np.arange(1, len(moments) + 1)
    n = orders[-1] + 2
    angle = np.pi / n
    damping = (n - orders) * np.cos(orders * angle)
    damping = (damping + np.sin(orders * angle) / np.tan(angle)) / n
    # Over angles the density is (1 + 2 * sum of moments times cosines) / pi.
    borders = np.linspace(0, np.pi / 2, n_bins + 1)[:, None]
    below = borders[:, 0] + 2 * np.sin(orders * borders) @ (damping * moments / orders)
    return np.diff(below) * (2 / np.pi)
