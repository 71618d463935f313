"""Cost-sensitive training on all rows: the baseline that pruning is compared with."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback

from sklvyso._arguments import is_real, read_array, read_numbers
from sklvyso.networks import torch_seed


class ClassDifficultyWeights(Callback):
    """Weigh classes in the loss by their validation error, anew each epoch (CDB-W).

    A callback of :class:`~sklvyso.NetworkClassifier`: after each epoch the weight of a
    class becomes 1 minus its recall on validation rows; in the first epoch all weigh 1.
    The loss of a batch is the weighted mean.

    .. versionadded:: 0.1

    Parameters
    ----------
    validation_fraction : float, default=0.1
        Part of the training rows that is held out, stratified, in (0, 1); with
        ``early_stopping=True`` of the network its validation rows serve instead.
    X_val : array-like, default=None
        Validation rows of your own, as the network takes them in ``fit``; then nothing
        is held out.
    y_val : array-like of shape (n_val,), default=None
        Their labels; each class of the training must occur.
    min_weight : float, default=1e-3
        No weight falls below; the paper's 0 makes the loss 0 / 0 once all recalls of a
        batch are 1.
    random_state : int, default=0
        Of the held-out part.

    Attributes
    ----------
    weights_ : ndarray of shape (n_epochs, n_classes), dtype float64
        Weights that each epoch was trained with.

    See Also
    --------
    sklvyso.DRoPSampler : Changes the data instead of the loss.

    Notes
    -----
    The network trains with a copy of its callbacks: ``weights_`` is in
    ``net_.callbacks_``, and each epoch of ``history_`` has its ``class_weights``. The
    validation rows are seen after each epoch by the training and are no test data. With
    a handful of them a class, weights jump between 0 and 1 from epoch to epoch and do
    harm: give rows of your own then.

    References
    ----------
    .. [1] Sinha, Ohashi, Nakamura, "Class-Wise Difficulty-Balanced Loss for Solving
       Class-Imbalance", ACCV 2020, with exponent 1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklvyso import NetworkClassifier
    >>> from sklvyso.data_pruning import ClassDifficultyWeights
    >>> X, y = load_iris(return_X_y=True)
    >>> network = NetworkClassifier(
    ...     callbacks=[ClassDifficultyWeights()], max_epochs=5, random_state=0
    ... )
    >>> network.fit(X, y).history_[0]["class_weights"]
    [1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        validation_fraction: float = 0.1,
        *,
        X_val: Any = None,
        y_val: Any = None,
        min_weight: float = 1e-3,
        random_state: int = 0,
    ):
        self.validation_fraction = validation_fraction
        self.X_val = X_val
        self.y_val = y_val
        self.min_weight = min_weight
        self.random_state = random_state

    def on_train_begin(self, net, **kwargs):
        """Check the parameters; hold out rows unless there are some."""
        self._check()
        if getattr(net, "class_labels_", None) is None:
            raise TypeError(
                "ClassDifficultyWeights needs the net of a NetworkClassifier, whose "
                f"loss knows weights of classes. Got a {type(net).__name__}."
            )
        self._own_weight = net.criterion_.weight
        self._n_classes = len(net.classes)
        self._epochs = []
        self._holds_out = self.X_val is None and net.train_split is None
        if self._holds_out:
            net.train_split = self._split
        self._validation = None
        if self.X_val is not None:
            self._validation = self._own_rows(net)

    def _check(self):
        if (self.X_val is None) != (self.y_val is None):
            missing = "X_val" if self.X_val is None else "y_val"
            raise ValueError(
                f"X_val and y_val must be passed together. {missing} is None."
            )
        for name, holds, rule in (
            ("validation_fraction", lambda v: 0 < v < 1, "in (0, 1)"),
            ("min_weight", lambda v: 0 <= v <= 1, "in [0, 1]"),
        ):
            value = getattr(self, name)
            if not is_real(value) or not holds(value):
                raise ValueError(f"{name} must lie {rule}. Got {value!r} instead.")

    def _own_rows(self, net):
        """Return the user's validation rows as a data set of the net."""
        labels = net.class_labels_
        given = read_array("y_val", self.y_val)
        found = np.unique(given)
        missing = sorted(set(labels.tolist()) - set(found.tolist()), key=str)
        unknown = sorted(set(found.tolist()) - set(labels.tolist()), key=str)
        if missing or unknown:
            raise ValueError(
                f"y_val must hold each class of y, {labels.tolist()}, and no other. "
                f"Missing: {missing}; unknown: {unknown}."
            )
        rows = read_numbers("X_val", self.X_val)
        if len(rows) != len(given):
            raise ValueError(
                f"y_val must have one entry for each of the {len(rows)} rows of X_val. "
                f"Got {len(given)} instead."
            )
        rows = rows.reshape(len(rows), -1)
        n_values = int(np.prod(net.input_shape))
        if rows.shape[1] != n_values:
            raise ValueError(
                f"X_val must hold {n_values} values a row, as X does. Got "
                f"{rows.shape[1]} instead."
            )
        return net.get_dataset(rows, np.searchsorted(labels, given))

    def _split(self, dataset, y=None, **kwargs):
        codes = dataset.y
        parts = train_test_split(
            np.arange(len(codes)),
            test_size=float(self.validation_fraction),
            stratify=codes,
            random_state=self.random_state,
        )
        kept, held_out = (np.sort(part) for part in parts)
        if dataset.rows is not None:
            kept, held_out = (dataset.rows.cpu().numpy()[p] for p in (kept, held_out))
        return dataset.subset(kept), dataset.subset(held_out)

    def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
        """Note the weights of this epoch."""
        weight = net.criterion_.weight
        weights = np.ones(self._n_classes) if weight is None else weight.cpu().numpy()
        self._epochs.append(np.asarray(weights, dtype=np.float64))
        net.history.record("class_weights", self._epochs[-1].tolist())

    def on_epoch_end(self, net, dataset_valid=None, **kwargs):
        """Set the weights of the next epoch."""
        rows: Any = dataset_valid if self._validation is None else self._validation
        with torch_seed(0, net.device):
            parts = list(net.forward_iter(rows, training=False, device="cpu"))
        predicted = torch.cat(parts).argmax(dim=1).numpy()
        recalls = _recalls(np.asarray(rows.y), predicted, self._n_classes)
        weights = np.maximum(1.0 - recalls, float(self.min_weight))
        net.criterion_.weight = torch.tensor(
            weights, dtype=torch.float32, device=net.device
        )

    def on_train_end(self, net, **kwargs):
        """Leave the loss as it was; let go of the rows."""
        self.weights_ = np.array(self._epochs)
        net.criterion_.weight = self._own_weight
        if self._holds_out:
            net.train_split = None
        del self._validation, self._epochs, self._own_weight


def _recalls(codes: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the recall of each class; 0 for one without rows, which then weighs 1."""
    counts = np.bincount(codes, minlength=n_classes)
    hits = np.bincount(codes[predicted == codes], minlength=n_classes)
    return hits / np.maximum(counts, 1)
