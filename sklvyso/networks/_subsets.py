"""Parts of the rows, stratified by class where that can be."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.model_selection import train_test_split


def stratified_rows(y: np.ndarray, n_samples: int, seed: int) -> np.ndarray:
    """Draw rows by class, in the order of the data.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    n_samples : int
        How many, from 1 to n - 1.
    seed : int
        Decides which.

    Returns
    -------
    rows : int ndarray of shape (n_samples,)
        Ascending; drawn without regard to classes where some are too small.
    """
    labels, counts = np.unique(y, return_counts=True)
    can = counts.min() > 1 and len(labels) <= min(n_samples, len(y) - n_samples)
    kept, _ = train_test_split(
        np.arange(len(y)),
        train_size=n_samples,
        stratify=y if can else None,
        random_state=seed,
    )
    return np.sort(kept)
