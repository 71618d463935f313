"""Batches on which a method computes losses of a fitted network itself."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import read_array
from sklvyso.networks._batches import BatchIterator, TensorRows
from sklvyso.networks._stepwise import StepwiseTraining, module_device

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]


class ScoringBatches:
    """Batches of rows, label codes and weights, made anew at each iteration.

    Parameters
    ----------
    rows : TensorRows
        All rows that come, in their order.
    batch_size : int
        Rows of a batch; -1 for all.
    prepare : callable
        From a raw batch to what the module takes.
    class_weight : float32 tensor of shape (n_classes,) or None
        On the device.
    device : torch.device
        Where the batches go.
    """

    def __init__(
        self,
        rows: TensorRows,
        batch_size: int,
        prepare: Callable[[torch.Tensor], torch.Tensor],
        class_weight: torch.Tensor | None,
        device: torch.device,
    ):
        self.rows = rows
        self.prepare = prepare
        self.class_weight = class_weight
        self.device = device
        self._batches = BatchIterator(rows, batch_size=batch_size)

    @property
    def n_rows(self) -> int:
        """Rows of all batches together."""
        return len(self.rows)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        for raw, raw_codes in self._batches:
            codes = raw_codes.to(self.device, non_blocking=True)
            weight = None if self.class_weight is None else self.class_weight[codes]
            if isinstance(raw, dict):
                own = raw["sample_weight"].to(self.device, non_blocking=True)
                weight = own if weight is None else own * weight
                raw = raw["X"]
            yield self.prepare(raw), codes, weight


def scoring_batches(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    batch_size: int,
    rows: ArrayLike | None = None,
) -> ScoringBatches:
    """Return batches as the module of a fitted network takes them.

    They are what the network trains on, without its random order and augmentation, for
    a method that computes losses and gradients itself. One batch is converted at a
    time: a ``uint8`` memory map stays on disk.

    Parameters
    ----------
    estimator : NetworkClassifier or SkorchClassifier
        Fitted, or initialised only.
    X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
        Rows or images as the estimator takes them: a :class:`SkorchClassifier` takes
        arrays in the module's own layout.
    y : array-like of shape (n,)
        Labels, all in ``estimator.classes_``.
    sample_weight : array-like of shape (n,), default=None
        Weights >= 0 of the rows; None only for a skorch net.
    batch_size : int
        Rows of a batch, >= 1; -1 for one batch of all. The last batch may be smaller.
    rows : array-like of int of shape (n_rows,), default=None
        Which rows come, in this order; they may repeat. None is all, in order.

    Returns
    -------
    batches : ScoringBatches
        An iterable that can be run over many times, with ``len`` (the number of
        batches) and ``n_rows``. It yields ``(X, codes, weight)`` on the device of the
        module:

        - ``X``: float32 tensor in torch's layout, times ``input_scale``;
        - ``codes``: int64 tensor of shape (n_batch,), positions in ``classes_``;
        - ``weight``: float32 tensor of shape (n_batch,), weight of the row times weight
          of its class by the estimator's ``class_weight``, or None where all rows count
          the same. Only ratios count: the largest weight of each kind is 1.

    Raises
    ------
    TypeError
        If the estimator has no network.
    NotFittedError
        If there is no network yet.
    ValueError
        If the data are not like those that the network was made for, or ``rows`` or
        ``batch_size`` are out of range.

    See Also
    --------
    NetworkClassifier : Predicts in the same batches.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from sklvyso.networks import NetworkClassifier, scoring_batches
    >>> X, y = load_digits(return_X_y=True)
    >>> network = NetworkClassifier(input_scale=1 / 16, random_state=0).initialize(X, y)
    >>> batches = scoring_batches(network, X, y, batch_size=1000)
    >>> for batch, codes, weight in batches:
    ...     print(tuple(batch.shape), batch.max().item(), weight)
    (1000, 64) 1.0 None
    (797, 64) 1.0 None
    """
    if not isinstance(estimator, StepwiseTraining):
        raise TypeError(
            "estimator must be a NetworkClassifier or a SkorchClassifier. Got "
            f"{type(estimator).__name__} instead: pass the last step of a Pipeline."
        )
    check_is_fitted(estimator)
    is_size = isinstance(batch_size, Integral) and not isinstance(batch_size, bool)
    if not is_size or (batch_size < 1 and batch_size != -1):
        raise ValueError(
            f"batch_size must be an int >= 1, or -1 for all. Got {batch_size!r} "
            "instead."
        )
    device = module_device(estimator.net_)
    data, codes, weight, class_weight = estimator._scoring_data(X, y, sample_weight)
    order = None if rows is None else _check_rows(rows, len(data))
    return ScoringBatches(
        TensorRows(data, codes, weight, rows=order, device=str(device)),
        int(batch_size),
        estimator._prepare,
        None if class_weight is None else class_weight.to(device),
        device,
    )


def _check_rows(rows: ArrayLike, n_rows: int) -> np.ndarray:
    """Return positions of rows, int64."""
    positions = read_array("rows", rows)
    if (
        positions.ndim != 1
        or positions.dtype.kind not in "iu"
        or len(positions) == 0
        or positions.min() < 0
        or positions.max() >= n_rows
    ):
        raise ValueError(
            f"rows must be a list of positions from 0 to {n_rows - 1}, not empty. Got "
            f"{rows!r} instead: np.flatnonzero makes positions of a mask."
        )
    return positions.astype(np.int64)
