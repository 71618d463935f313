"""The query model that DRoPSampler takes when the user names none."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from sklvyso.networks import NetworkClassifier

# A class must be learnable within the training: a query model stopped too early has
# recall 0 on rare classes, whatever their difficulty.
_LEAST_STEPS = 1000
_MOST_EPOCHS = 100
_EPOCHS = 16
_LARGEST_DENSE = 2**30  # bytes of float32


def default_query_model(rows: Any) -> tuple[Any, Any]:
    """Return a fast classifier for some rows, and the rows as it takes them.

    Parameters
    ----------
    rows : array-like or sparse matrix of shape (n, n_features)
        Numbers.

    Returns
    -------
    model : Pipeline
        Scaling and a network with one hidden layer of 128 units; a logistic regression
        for sparse rows too large to become dense.
    rows : array-like or sparse matrix
        Dense where they fit.
    """
    n_rows, n_columns = rows.shape
    if issparse(rows):
        if 4 * n_rows * n_columns > _LARGEST_DENSE:
            model = make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=1000))
            return model, rows
        rows = rows.astype(np.float32).toarray()
    batch_size = 128 if n_rows >= 5000 else 32
    epochs = math.ceil(_LEAST_STEPS * batch_size / n_rows)
    network = NetworkClassifier(
        hidden_layer_sizes=(128,),
        lr=2e-3,
        batch_size=batch_size,
        max_epochs=min(max(epochs, _EPOCHS), _MOST_EPOCHS),
    )
    return make_pipeline(StandardScaler(), network), rows
