"""What the scores of weights take: methods, steps, labelled rows."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklvyso._arguments import read_array, read_numbers
from sklvyso.networks import as_tensor

METHODS = (
    "random",
    "magnitude",
    "lamp",
    "snip",
    "snip_iterative",
    "force",
    "grasp",
    "synflow",
)
DATA_METHODS = ("snip", "snip_iterative", "force", "grasp")
# Iterations towards a sparsity, of the papers.
ITERATIONS = {"synflow": 100, "snip_iterative": 300, "force": 10}


@dataclass(frozen=True)
class LabelledRows:
    """Rows with output indices, and weights that sum to one.

    Parameters
    ----------
    X : tensor of shape (n, *input_shape)
        Rows in torch's layout.
    y : tensor of shape (n,), dtype int64
        Index of the output of each row.
    weight : tensor of shape (n,), dtype float64
        Positive; sums to one.
    """

    X: Tensor
    y: Tensor
    weight: Tensor

    def __len__(self):
        return len(self.y)

    def n_batches(self, batch_size: int) -> int:
        """Return the number of batches of at most ``batch_size`` rows."""
        return math.ceil(len(self) / batch_size)

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the rows in batches whose sizes differ by one at most.

        A short last batch would carry noisier statistics of batch normalisation, and
        one of a single row none.
        """
        n_batches = self.n_batches(batch_size)
        ends = [len(self) * i // n_batches for i in range(n_batches + 1)]
        for start, end in itertools.pairwise(ends):
            yield self.X[start:end], self.y[start:end], self.weight[start:end]

    def sample(self, n_rows: int, random: np.random.RandomState) -> "LabelledRows":
        """Draw rows without replacement; all in their order if there are no more."""
        if n_rows >= len(self):
            return self
        rows = torch.from_numpy(random.permutation(len(self))[:n_rows])
        weight = self.weight[rows]
        return LabelledRows(self.X[rows], self.y[rows], weight / weight.sum())


def labelled_rows(X: Any, y: Any, sample_weight: Any = None) -> LabelledRows:
    """Check data and turn it into tensors on the CPU or where its tensors are.

    Parameters
    ----------
    X : array-like or tensor of shape (n, *input_shape)
        Finite numbers.
    y : array-like or tensor of shape (n,)
        Whole numbers >= 0.
    sample_weight : array-like of shape (n,) or None, default=None
        Numbers >= 0, not all 0. Rows of weight 0 are left out.

    Returns
    -------
    rows : LabelledRows
        Rows of positive weight.

    Raises
    ------
    ValueError
        If shapes do not agree or values are out of range.
    """
    if not isinstance(X, Tensor) or X.is_meta or X.layout is not torch.strided:
        X = as_tensor(np.ascontiguousarray(read_numbers("X", X)))
    rows = X.detach()
    labels = read_array("y", y)
    if labels.dtype.kind == "O":
        labels = read_numbers("y", y)
    if labels.ndim != 1 or rows.ndim < 2 or len(labels) != len(rows) or not len(rows):
        raise ValueError(
            "X and y must have shapes (n, *input_shape) and (n,) with n >= 1. Got "
            f"{tuple(rows.shape)} and {labels.shape} instead."
        )
    if labels.dtype.kind not in "iuf" or not _are_indices(labels):
        is_number = labels.dtype.kind in "iuf"
        wrong = np.unique(labels) if is_number else labels
        raise ValueError(
            "y must hold indices of outputs, whole numbers >= 0. Got "
            f"{wrong[:5].tolist()!r}...: encode labels first."
        )
    if rows.is_floating_point() and not torch.isfinite(rows).all():
        raise ValueError("X must hold finite numbers. Got NaN or infinity.")
    weight = _check_weights(sample_weight, len(rows))
    codes = torch.from_numpy(labels.astype(np.int64))
    used = torch.from_numpy(weight > 0)
    weight = weight / weight.sum()
    if not used.all():
        where = used.to(rows.device)
        return LabelledRows(rows[where], codes[used], torch.from_numpy(weight)[used])
    return LabelledRows(rows, codes, torch.from_numpy(weight))


def _check_weights(sample_weight: Any, n_rows: int) -> np.ndarray:
    if sample_weight is None:
        return np.ones(n_rows)
    weight = read_numbers("sample_weight", sample_weight).astype(np.float64)
    if weight.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one number a row. Got "
            f"{weight.shape} instead."
        )
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise ValueError(
            "sample_weight must hold finite numbers >= 0, not all 0. Got "
            f"minimum {weight.min()} and maximum {weight.max()}."
        )
    return weight


def _are_indices(labels: np.ndarray) -> bool:
    if labels.dtype.kind == "f":
        labels = labels.astype(np.float64)  # half precision ends before 2**31
    is_index = np.isfinite(labels) & (labels >= 0) & (labels < 2**31)
    return bool(is_index.all()) and not (labels % 1).any()


def check_method(method: Any) -> None:
    """Raise unless ``method`` is a name of ``METHODS`` or a callable."""
    if callable(method) or (isinstance(method, str) and method in METHODS):
        return
    problem = ValueError if isinstance(method, str) else TypeError
    raise problem(
        f"method must be one of {list(METHODS)} or a callable. Got {method!r} instead."
    )


def check_count(value: Any, name: str) -> int:
    """Return ``value`` as an int of at least 1 or raise with its ``name``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an int of at least 1. Got {value!r} instead.")
    if value < 1:
        raise ValueError(f"{name} must be at least 1. Got {value!r} instead.")
    return int(value)


def check_steps(method: Any, n_iterations: Any, sparsity: Any) -> int:
    """Return the number of iterations, and check the sparsity beside it."""
    if sparsity is not None and (
        isinstance(sparsity, bool)
        or not isinstance(sparsity, Real)
        or not 0 <= float(sparsity) <= 1
    ):
        raise ValueError(
            f"sparsity must be None or from 0 to 1. Got {sparsity!r} instead."
        )
    if isinstance(n_iterations, str) and n_iterations == "auto":
        return ITERATIONS.get(method, 1) if sparsity is not None else 1
    n_steps = check_count(n_iterations, "n_iterations")
    if n_steps > 1 and method not in ITERATIONS:
        raise ValueError(
            f"n_iterations must be 'auto' or 1 for method={method!r}, which scores "
            f"once. Got {n_iterations!r} instead; {list(ITERATIONS)} score repeatedly."
        )
    if n_steps > 1 and sparsity is None:
        raise ValueError(
            f"n_iterations={n_iterations!r} must come with sparsity, the fraction that "
            "the iterations prune. Got sparsity=None."
        )
    return n_steps


def required_rows(method: str, X: Any, y: Any, sample_weight: Any) -> LabelledRows:
    """Return the checked data, or say which is missing."""
    missing = [name for name, data in (("X", X), ("y", y)) if data is None]
    if missing:
        raise ValueError(
            f"method={method!r} scores with data and needs X and y. "
            f"{' and '.join(missing)} must not be None."
        )
    return labelled_rows(X, y, sample_weight)


def required_shape(input_shape: Sequence[int] | None, X: Any) -> tuple[int, ...]:
    """Return the torch shape of one sample as given, or as X has it."""
    if input_shape is not None:
        return tuple(input_shape)
    if X is None:
        raise ValueError(
            "method='synflow' needs input_shape, the torch shape of one sample, or X. "
            "Got None for both."
        )
    return tuple(getattr(X, "shape", None) or read_array("X", X).shape)[1:]
