"""What happens to each row in the course of one training: recorded, kept, reused."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import clone
from skorch import NeuralNet
from skorch.callbacks import Callback

from sklvyso._arguments import is_choice
from sklvyso.data_pruning._scores import dynamic_uncertainty, forgetting_events
from sklvyso.networks import (
    SkorchClassifier,
    adopt_estimator,
    final_step,
    torch_seed,
)

# Name in DRoPSampler to what it is computed from.
DYNAMICS = ("forgetting", "dynamic_uncertainty", "aum")
_NAME = "training_dynamics"


@dataclass
class TrainingDynamics:
    """How each row was predicted after each epoch of one training.

    .. versionadded:: 0.1

    Parameters
    ----------
    p_true : ndarray of shape (n_epochs, n), dtype float32
        Probability of the row's own label.
    correct : ndarray of shape (n_epochs, n), dtype bool
        Whether the prediction was right.
    margins : ndarray of shape (n_epochs, n), dtype float32
        Logit of the row's label minus the largest other logit.

    See Also
    --------
    record_training_dynamics : Makes one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.data_pruning import TrainingDynamics
    >>> correct = np.array([[True, False], [False, True], [True, True]])
    >>> p_true = np.array([[0.9, 0.2], [0.3, 0.6], [0.8, 0.7]])
    >>> dynamics = TrainingDynamics(p_true, correct, margins=p_true - (1 - p_true))
    >>> dynamics.scores("forgetting")
    array([1., 0.])
    """

    p_true: np.ndarray
    correct: np.ndarray
    margins: np.ndarray

    def scores(self, name: str, **options: Any) -> np.ndarray:
        """Return one score a row from the record; higher means harder.

        Parameters
        ----------
        name : {"forgetting", "dynamic_uncertainty", "aum"}
            ``"aum"`` is minus the area under the margin, so that higher is harder as
            everywhere.
        **options : dict
            Keywords of :func:`forgetting_events` and :func:`dynamic_uncertainty`.

        Returns
        -------
        scores : ndarray of shape (n,), dtype float64
            Of the rows in the order of the training data.

        Raises
        ------
        ValueError
            If there is no such score.
        """
        if not is_choice(name, DYNAMICS):
            raise ValueError(
                f"name must be one of {list(DYNAMICS)}. Got {name!r} instead."
            )
        if name == "forgetting":
            return forgetting_events(self.correct, **options)
        if name == "dynamic_uncertainty":
            return dynamic_uncertainty(self.p_true, **options)
        return -self.margins.mean(axis=0, dtype=np.float64)


class TrainingDynamicsRecorder(Callback):
    """Skorch callback that records every training row after every epoch.

    Recorded in evaluation mode after the epoch, so that the record does not depend on
    the order of batches, dropout or augmentation; the training itself is not changed
    by it, bit for bit. One more pass over the rows an epoch, and 9 bytes a row and
    epoch. (The reference code of DRoP reads training-mode logits of each batch.)

    A :class:`~sklvyso.NetworkClassifier` trains with a copy of its callbacks: the
    record is ``dynamics_`` of the copy in ``net_.callbacks_``.
    :func:`record_training_dynamics` does all that.

    .. versionadded:: 0.1

    Attributes
    ----------
    dynamics_ : TrainingDynamics
        After a training.

    See Also
    --------
    record_training_dynamics : Trains and returns the record.
    """

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Start an empty record of the rows that come."""
        self._rows, self._epochs = X, []
        codes = X.y if y is None else y
        self._codes = torch.as_tensor(np.asarray(codes).astype(np.int64))

    def on_epoch_end(self, net, **kwargs):
        """Record all rows."""
        with torch_seed(0, net.device or "cpu"):  # data loaders draw numbers
            parts = list(net.forward_iter(self._rows, training=False, device="cpu"))
        outputs = [part[0] if isinstance(part, tuple) else part for part in parts]
        logits = torch.cat(outputs).float()
        if isinstance(net.criterion_, torch.nn.NLLLoss):  # probabilities
            logits = logits.clamp_min(torch.finfo(logits.dtype).tiny).log()
        self._epochs.append(_one_epoch(logits, self._codes))

    def on_train_end(self, net, **kwargs):
        """Put the record together; let go of the rows."""
        if self._epochs:
            self.dynamics_ = TrainingDynamics(
                *(np.stack(values) for values in zip(*self._epochs, strict=True))
            )
        del self._rows, self._epochs, self._codes


def _one_epoch(logits: torch.Tensor, codes: torch.Tensor) -> tuple[np.ndarray, ...]:
    """Return probability of the label, whether it won, and its margin."""
    own = logits.gather(1, codes[:, None])
    p_true = (own - logits.logsumexp(dim=1, keepdim=True)).exp()[:, 0]
    correct = logits.argmax(dim=1) == codes
    others = logits.scatter(1, codes[:, None], -torch.inf).amax(dim=1)
    return p_true.numpy(), correct.numpy(), (own[:, 0] - others).numpy()


def record_training_dynamics(
    estimator: Any, X: ArrayLike, y: ArrayLike
) -> tuple[TrainingDynamics, Any]:
    """Train a network and record each row after each epoch.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : NetworkClassifier, skorch net, nn.Module, str, or Pipeline ending in one
        Cloned. It must train on all rows: without early stopping.
    X : array-like of n rows
        Training rows as the estimator takes them.
    y : array-like of shape (n,)
        Labels.

    Returns
    -------
    dynamics : TrainingDynamics
        The record, of ``n_epochs`` by ``n`` entries.
    fitted : estimator
        The trained clone; it does not hold the record.

    Raises
    ------
    TypeError
        If the estimator has no network.
    ValueError
        If it held out rows.

    See Also
    --------
    forgetting_events : Right answers that became wrong.
    dynamic_uncertainty : Spread of the label's probability.
    area_under_margin : Mean margin over epochs.

    References
    ----------
    .. [1] Toneva et al., "An Empirical Study of Example Forgetting during Deep Neural
       Network Learning", ICLR 2019.
    .. [2] Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin
       Ranking", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklvyso import NetworkClassifier
    >>> from sklvyso.data_pruning import record_training_dynamics
    >>> X, y = load_iris(return_X_y=True)
    >>> network = NetworkClassifier(max_epochs=12, random_state=0)
    >>> dynamics, fitted = record_training_dynamics(network, X, y)
    >>> dynamics.p_true.shape
    (12, 150)
    """
    model = adopt_estimator(
        estimator, caller="record_training_dynamics", need="network"
    )
    return fit_recorded(model, X, y)


def fit_recorded(model: Any, X: Any, y: Any) -> tuple[TrainingDynamics, Any]:
    """Fit an unfitted network in place and return its record with it."""
    last = final_step(model)
    if isinstance(last, SkorchClassifier):
        last.set_params(net=_with_recorder(clone(last.net)))
    else:
        _with_recorder(last)
    model.fit(X, y)
    net = last if isinstance(last, NeuralNet) else last.net_
    recorded = [c for _, c in net.callbacks_ if isinstance(c, TrainingDynamicsRecorder)]
    net.callbacks_ = [pair for pair in net.callbacks_ if pair[1] not in recorded]
    dynamics = recorded[-1].dynamics_
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if dynamics.p_true.shape[1] != n_rows:
        raise ValueError(
            "estimator must train on all rows, so that each of them has its record. "
            f"It held out {n_rows - dynamics.p_true.shape[1]} of {n_rows}: set "
            "early_stopping=False."
        )
    return dynamics, model


def _with_recorder(holder: Any) -> Any:
    """Add a recorder to the callbacks of a classifier or skorch net."""
    own = holder.callbacks
    recorder = (_NAME, TrainingDynamicsRecorder())
    if isinstance(own, list | tuple) or own is None:
        return holder.set_params(callbacks=[*(own or []), recorder])
    raise ValueError(
        "callbacks of the estimator must be a list, so that training dynamics can be "
        f"recorded. Got {own!r} instead."
    )
