"""Train a module that a room has built, with the net that trains everything."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from sklvyso.networks import _fitting
from sklvyso.networks._batches import BatchIterator, TensorRows
from sklvyso.networks._net import TrainingNet
from sklvyso.networks._random import torch_seed
from sklvyso.networks._training import resolve_optimizer


def module_net(
    module: torch.nn.Module,
    *,
    input_shape: tuple[int, ...],
    n_outputs: int,
    device: str,
    input_scale: float | None = None,
    penalty: Any = None,
    optimizer: Any = "adam",
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    batch_size: int = 128,
    max_epochs: int = 10,
    net_class: type[TrainingNet] = TrainingNet,
    **net_params: Any,
) -> TrainingNet:
    """Return an initialised net around a module, which is not copied.

    Parameters
    ----------
    module : torch.nn.Module
        Gives logits of shape (n, n_outputs); moved to the device.
    input_shape : tuple of int
        Shape of one sample, channels last.
    n_outputs : int
        Logits.
    device : str
        Resolved.
    input_scale : float or None, default=None
        Factor on each batch.
    penalty : callable or None, default=None
        Added to the loss of each training batch: ``penalty(module)``, a tensor of one
        number.
    optimizer : str, class or callable, default="adam"
        As for :class:`NetworkClassifier`.
    lr, weight_decay, batch_size, max_epochs
        As for :class:`NetworkClassifier`.
    net_class : type, default=TrainingNet
        A subclass, where batches are not images or rows.
    **net_params : dict
        Further parameters of the net, such as ``precision`` or ``criterion__weight``.

    Returns
    -------
    net : TrainingNet
        In evaluation mode.
    """
    made_by, optimizer_params = resolve_optimizer(
        optimizer, momentum=0.9, weight_decay=weight_decay, device=device
    )
    net = net_class(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=made_by,
        lr=lr,
        first_lr=lr,
        **{f"optimizer__{key}": value for key, value in optimizer_params.items()},
        input_shape=input_shape,
        input_scale=input_scale,
        penalty=penalty,
        batch_size=batch_size,
        max_epochs=max_epochs,
        classes=np.arange(n_outputs),
        device=device,
        verbose=0,
        **net_params,
    )
    net.initialize()
    for group in net.optimizer_.param_groups:
        group.setdefault("initial_lr", group["lr"])
    net.module_.eval()
    return net


def train_net(
    net: TrainingNet,
    X: np.ndarray,
    codes: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    seed: int,
    lr_schedule: Any = None,
    validation: TensorRows | None = None,
    patience: int | None = None,
    callbacks: Mapping[str, Callback] | None = None,
    verbose: int = 0,
    description: str = "fit ",
) -> int | None:
    """Train a new net on rows, for its ``max_epochs``.

    Parameters
    ----------
    net : TrainingNet
        From :func:`module_net`; changed in place.
    X : ndarray of shape (n, n_features), dtype float32 or uint8
        Raw rows.
    codes : ndarray of shape (n,), dtype int64
        Outputs.
    sample_weight : ndarray of shape (n,), dtype float32, or None, default=None
        Weights of the rows, >= 0.
    seed : int
        Of the order of the rows and of dropout; torch's generators come back as they
        were.
    lr_schedule : None, "cosine", dict or callable, default=None
        As for :class:`NetworkClassifier`.
    validation : TensorRows or None, default=None
        Rows whose loss decides which epoch is kept.
    patience : int or None, default=None
        Epochs without a lower validation loss before the training stops.
    callbacks : mapping of str to callback or None, default=None
        skorch callbacks of this training; none of them stays with the net.
    verbose : int, default=0
        1 shows a bar over the epochs.
    description : str, default="fit "
        Text before the bar.

    Returns
    -------
    best_epoch : int or None
        With validation rows, the epoch that was gone back to, from 1. The net is in
        evaluation mode; its ``history`` has the losses.

    Raises
    ------
    ValueError
        If loss or weights are not finite.
    KeyboardInterrupt
        If the user interrupted.
    """
    settings = SimpleNamespace(
        lr=net.lr,
        lr_schedule=lr_schedule,
        max_epochs=net.max_epochs,
        patience=patience,
        compile=False,
        verbose=verbose,
        description=description,
    )
    rows = TensorRows(X, codes, sample_weight, device=net.device)
    with torch_seed(seed, net.device):
        return _fitting.train(
            net,
            rows,
            validation,
            settings,
            n_epochs=net.max_epochs,
            whole_fit=True,
            goes_back=False,
            callbacks=callbacks,
        )


def inference_net(
    *,
    input_shape: tuple[int, ...],
    device: str,
    input_scale: float | None = None,
    batch_size: int = 128,
) -> TrainingNet:
    """Return a net without a module of its own, to run modules on raw rows.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample, channels last.
    device : str
        Resolved.
    input_scale : float or None, default=None
        Factor on each batch.
    batch_size : int, default=128
        At least 512 rows are taken at once in any case.

    Returns
    -------
    net : TrainingNet
        For ``net.logits(X, module)`` and ``net.prepare(batch)``; not initialised.
    """
    return TrainingNet(
        torch.nn.Identity,
        input_shape=input_shape,
        input_scale=input_scale,
        batch_size=batch_size,
        device=device,
    )


class PreparedRows:
    """Raw rows, prepared batch by batch each time they are iterated over.

    Parameters
    ----------
    net : TrainingNet
        Prepares them.
    X : ndarray of shape (n, n_features)
        Raw rows.
    batch_size : int
        Rows of a batch.
    """

    def __init__(self, net: TrainingNet, X: np.ndarray, batch_size: int):
        self.net = net
        self.X = X
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[torch.Tensor]:
        rows = TensorRows(self.X, device=self.net.device)
        for batch, _ in BatchIterator(rows, batch_size=self.batch_size):
            yield self.net.prepare(batch)
