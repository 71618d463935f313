"""Batches as index slices of one tensor, without per-sample work."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset

from sklvyso.networks._arrays import as_tensor
from sklvyso.networks._device import fits_on_device


class TensorRows(Dataset):
    """Rows of one tensor with their labels and weights, taken many at a time.

    It is a skorch data set by name only, so that skorch's callbacks know it.

    Parameters
    ----------
    X : ndarray of shape (n, ...), any dtype that torch has
        Kept as it is: a ``uint8`` array stays ``uint8``, a memory map stays on disk.
    y : ndarray of shape (n,), dtype int64, or None
        Codes of the labels.
    sample_weight : ndarray of shape (n,), dtype float32, or None
        Weights of the rows.
    rows : ndarray of int or None
        The rows that belong to this set; None for all.
    device : str, default="cpu"
        Where the arrays go, as a whole when they fit, otherwise batch by batch.
    """

    X_indexing = y_indexing = None

    def __init__(self, X, y=None, sample_weight=None, *, rows=None, device="cpu"):
        self.device = torch.device(device)
        tensor = X if isinstance(X, torch.Tensor) else as_tensor(X)
        storage = device if fits_on_device(tensor.nbytes, device) else "cpu"
        self.all_X = tensor.to(storage)
        n_rows = len(tensor)
        self.all_y = self._column(np.zeros(n_rows, np.int64) if y is None else y)
        self.all_weight = None
        if sample_weight is not None:
            self.all_weight = self._column(sample_weight)
        self.rows = None if rows is None else self._column(rows)

    def _column(self, values) -> torch.Tensor:
        tensor = values if isinstance(values, torch.Tensor) else as_tensor(values)
        return tensor.to(self.all_X.device)

    def subset(self, rows) -> "TensorRows":
        """Return some of the rows; the arrays are shared, not copied."""
        return TensorRows(
            self.all_X, self.all_y, self.all_weight, rows=rows, device=self.device
        )

    def __len__(self) -> int:
        return len(self.all_X) if self.rows is None else len(self.rows)

    def take(self, index: torch.Tensor | slice) -> tuple[Any, torch.Tensor]:
        """Return one batch: ``(X, y)``, or ``({"X": X, "sample_weight": w}, y)``.

        Parameters
        ----------
        index : int64 tensor or slice
            Positions within this set.
        """
        if self.rows is not None:
            index = self.rows[index]
        X, y = self._pick(self.all_X, index), self._pick(self.all_y, index)
        if self.all_X.device != self.device and self.device.type == "cuda":
            X = X.pin_memory()
        if self.all_weight is None:
            return X, y
        return {"X": X, "sample_weight": self._pick(self.all_weight, index)}, y

    @staticmethod
    def _pick(tensor: torch.Tensor, index: torch.Tensor | slice) -> torch.Tensor:
        if isinstance(index, slice):
            # A module that works in place must not reach the user's array; other types
            # than float32 are copied when they are converted.
            part = tensor[index]
            return part.clone() if part.dtype == torch.float32 else part
        return tensor.index_select(0, index)

    def __getitem__(self, index: int) -> tuple[Any, torch.Tensor]:
        X, y = self.take(slice(index, index + 1))
        if isinstance(X, dict):
            return {name: value[0] for name, value in X.items()}, y[0]
        return X[0], y[0]

    # skorch's scoring callbacks look for these two.
    @property
    def X(self) -> Any:
        """All rows of this set, as the network takes them."""
        return self.take(slice(None))[0]

    @property
    def y(self) -> np.ndarray:
        """Label codes of this set, shape (n,), int64."""
        return self.take(slice(None))[1].cpu().numpy()


class BatchIterator:
    """Iterate over batches of a :class:`TensorRows`.

    Parameters
    ----------
    dataset : TensorRows
        What to iterate over.
    batch_size : int
        Rows of a batch; -1 for all.
    shuffle : bool, default=False
        Draw a new order each time, by one ``torch.randperm`` of the global generator.
    merge_last_row : bool, default=False
        Put a last batch of one row into the batch before it: batch normalisation
        cannot train on one row.
    """

    def __init__(self, dataset, *, batch_size, shuffle=False, merge_last_row=False):
        self.dataset = dataset
        self.batch_size = len(dataset) if batch_size == -1 else batch_size
        self.shuffle = shuffle
        self.merge_last_row = merge_last_row

    def _bounds(self) -> list[int]:
        n_rows = len(self.dataset)
        bounds = [*range(0, n_rows, self.batch_size), n_rows]
        if self.merge_last_row and len(bounds) > 2 and bounds[-1] - bounds[-2] == 1:
            del bounds[-2]
        return bounds

    def __len__(self) -> int:
        return len(self._bounds()) - 1

    def __iter__(self) -> Iterator[tuple[Any, torch.Tensor]]:
        bounds = self._bounds()
        order = None
        if self.shuffle:
            # Drawn on the CPU so that the order is the same on every device.
            order = torch.randperm(len(self.dataset)).to(self.dataset.all_X.device)
        for start, stop in pairwise(bounds):
            index = slice(start, stop) if order is None else order[start:stop]
            yield self.dataset.take(index)
