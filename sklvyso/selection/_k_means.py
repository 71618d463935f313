"""Regions of a pool: k-means of a sample, then every row to its nearest centre.

Lloyd, "Least Squares Quantization in PCM", 1982.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sklvyso.selection._rows import (
    Rows,
    check_norms,
    chunks_of,
    read_rows,
    row_products,
    squared_norms,
    zero_tolerance,
)
from sklvyso.selection._spread import RowSpace, spread_sample

# The centres are those of a random sample of so many rows, at least so many a centre.
SAMPLE_SIZE, SAMPLE_PER_CENTRE = 8192, 32
# It ends when less than this share of the sample moves to another centre.
MOVING_SHARE = 1e-3
MOST_ITERATIONS = 50


class Regions(NamedTuple):
    """The nearest of some centres to each row."""

    labels: np.ndarray  # (n,), which centre
    distances: np.ndarray  # (n,), squared Euclidean distance to it


def k_means(rows: Rows, n_centres: int, random: np.random.RandomState) -> Regions:
    """Return the regions of the centres that k-means finds.

    Parameters
    ----------
    rows : ndarray or CSR array of shape (n, d)
        Finite; read a few rows at a time and never copied whole, beyond the sample.
    n_centres : int
        From 1 to n.
    random : RandomState
        Moves on.

    Returns
    -------
    regions : Regions
        Some are empty when fewer rows than centres differ.
    """
    n_rows = rows.shape[0]
    size = min(n_rows, max(SAMPLE_SIZE, SAMPLE_PER_CENTRE * n_centres))
    if size < n_rows:
        # In ascending order, in which a memory-mapped array is read fastest.
        sampled = np.sort(random.choice(n_rows, size, replace=False))
        centres = _fit(rows[sampled], n_centres, random)
    else:
        centres = _fit(rows, n_centres, random)
    return _assign(rows, centres)


def _fit(sample: Rows, n_centres: int, random: np.random.RandomState) -> np.ndarray:
    """Return the centres, shape (n_centres, d), of k-means begun by k-means++."""
    n_rows = sample.shape[0]
    first = random.randint(n_rows)
    begin = spread_sample(RowSpace(sample), first, n_centres, random)
    centres = _dense(read_rows(sample, begin))
    labels = np.full(n_rows, -1)
    for _ in range(MOST_ITERATIONS):
        regions = _assign(sample, centres)
        n_moved = np.count_nonzero(regions.labels != labels)
        if n_moved <= MOVING_SHARE * n_rows:
            break
        labels = _fill_empty(regions, n_centres)
        centres = _means(sample, labels, centres)
    return centres


def _assign(rows: Rows, centres: np.ndarray) -> Regions:
    labels = np.empty(rows.shape[0], dtype=np.int64)
    distances = np.empty(rows.shape[0])
    centre_norms = squared_norms(centres)
    tolerance = zero_tolerance(rows.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for chunk in chunks_of(rows, len(centres)):
            block = read_rows(rows, chunk)
            norms = squared_norms(block)
            check_norms(norms)
            products = row_products(block, centres)
            products -= centre_norms / 2
            nearest = products.argmax(axis=1)
            gaps = norms - 2 * products[np.arange(len(nearest)), nearest]
            gaps[gaps <= tolerance * (norms + centre_norms[nearest])] = 0.0
            labels[chunk], distances[chunk] = nearest, gaps
    return Regions(labels, distances)


def _fill_empty(regions: Regions, n_centres: int) -> np.ndarray:
    """Return the labels, with the rows farthest from theirs given to empty ones."""
    labels = regions.labels.copy()
    empty = np.flatnonzero(np.bincount(labels, minlength=n_centres) == 0)
    if len(empty):
        farthest = np.argsort(-regions.distances, kind="stable")[: len(empty)]
        farthest = farthest[regions.distances[farthest] > 0]
        labels[farthest] = empty[: len(farthest)]
    return labels


def _means(sample: Rows, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the mean of each region, or the old centre of an empty one."""
    means = np.zeros_like(centres)
    for chunk in chunks_of(sample):
        members = labels[chunk]
        places = np.arange(len(members))
        shape = len(centres), len(members)
        is_member = csr_array((np.ones(len(members)), (members, places)), shape=shape)
        means += _dense(is_member @ read_rows(sample, chunk))
    counts = np.bincount(labels, minlength=len(centres))
    means[counts > 0] /= counts[counts > 0, None]
    means[counts == 0] = centres[counts == 0]
    return means


def _dense(block: Rows) -> np.ndarray:
    return block.toarray() if isinstance(block, csr_array) else block
