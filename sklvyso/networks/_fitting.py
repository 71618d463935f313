"""The steps of a fit: split, initialise, train, clean up."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import math
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback, EarlyStopping
from skorch.helper import predefined_split

from sklvyso.networks._batches import TensorRows
from sklvyso.networks._build import check_module
from sklvyso.networks._net import LastWholeEpoch, TrainingNet, diverged
from sklvyso.networks._random import torch_seed
from sklvyso.networks._training import ProgressBar, ScheduledRate, schedule_function


def split_rows(
    codes: np.ndarray, classes: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into a training and a validation part, stratified by class.

    Parameters
    ----------
    codes : ndarray of shape (n,), dtype int64
        Positions in ``classes``.
    classes : ndarray of shape (n_classes,)
        Labels, for the error message.
    fraction : float
        Share of the validation part; it gets one row a class at least.
    seed : int
        Seed of the split.

    Returns
    -------
    training, validation : ndarray of int
        Sorted positions.

    Raises
    ------
    ValueError
        If a class has one row only.
    """
    counts = np.bincount(codes, minlength=len(classes))
    if len(codes) < 2 or (counts == 1).any():
        lonely = classes[counts == 1].tolist()
        raise ValueError(
            "early_stopping=True needs at least two rows of each class, one to train "
            f"on and one to validate. Got 1 sample of {lonely} (n_samples = "
            f"{len(codes)}): add rows or use early_stopping=False."
        )
    n_present = int((counts > 0).sum())
    n_valid = max(math.ceil(fraction * len(codes)), n_present)
    n_valid = min(n_valid, len(codes) - n_present)
    training, validation = train_test_split(
        np.arange(len(codes)), test_size=n_valid, stratify=codes, random_state=seed
    )
    return np.sort(training), np.sort(validation)


def initialize(net: TrainingNet, rows: TensorRows, n_outputs: int) -> None:
    """Build module and optimiser and send one row through the module."""
    net.initialize()
    # The row must not move the random numbers that the training will use.
    with torch_seed(0, net.device):
        first, _ = rows.take(slice(0, 1))
        first = first["X"] if isinstance(first, dict) else first
        check_module(net.module_, net.prepare(first), n_outputs)


@contextlib.contextmanager
def _attached(net: TrainingNet, callbacks: list[tuple[str, Callback]]) -> Iterator:
    """Add callbacks for one training; they hold weights, bars and data sets."""
    permanent = net.callbacks_
    for _, callback in callbacks:
        callback.initialize()
    net.callbacks_ = [*permanent, *callbacks]
    try:
        yield
    finally:
        net.callbacks_ = permanent
        net.train_split = None


@contextlib.contextmanager
def _compiled(net: TrainingNet, wanted: bool) -> Iterator:
    """Train through torch.compile; what stays is the plain module, which pickles."""
    plain = net.module_
    if wanted:
        net.module_ = torch.compile(plain)
    try:
        yield
    finally:
        net.module_ = plain


def train(
    net: TrainingNet,
    training: TensorRows,
    validation: TensorRows | None,
    settings,
    n_epochs: int,
    whole_fit: bool,
) -> None:
    """Train an initialised net; on an error put it back to its last whole epoch.

    Parameters
    ----------
    net : TrainingNet
        Changed in place.
    training, validation : TensorRows
        Validation may be None.
    settings : NetworkClassifier
        ``lr``, ``lr_schedule``, ``patience``, ``warm_start``, ``compile`` and
        ``verbose`` are read.
    n_epochs : int
        Epochs to train.
    whole_fit : bool
        Whether the schedule starts anew; otherwise it goes on.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupted.
    ValueError
        If loss or weights are not finite.
    """
    net.lr = settings.lr
    for group in net.optimizer_.param_groups:  # lr may have been set anew
        group["lr"] = settings.lr
    n_before = len(net.history)
    own: list[tuple[str, Callback]] = []
    factor = schedule_function(settings.lr_schedule, settings.max_epochs)
    if settings.lr_schedule is not None:
        first_epoch = 0 if whole_fit else n_before
        own.append(("lr_schedule", ScheduledRate(factor, settings.lr, first_epoch)))
    if validation is not None:
        net.train_split = predefined_split(validation)
        own.append(
            (
                "early_stopping",
                EarlyStopping(patience=settings.patience, load_best=True, sink=_silent),
            )
        )
    last_whole = LastWholeEpoch() if settings.warm_start else None
    if last_whole is not None:
        own.append(("last_whole_epoch", last_whole))
    bar = None
    if settings.verbose and whole_fit:
        bar = ProgressBar(n_epochs, type(settings).__name__)
        own.append(("progress_bar", bar))
    try:
        with _attached(net, own), _compiled(net, settings.compile):
            net.partial_fit(training, None, epochs=n_epochs)
            _check_finite(net)
    except BaseException as error:
        if last_whole is not None and hasattr(last_whole, "state_"):
            last_whole.restore(net)
        if bar is not None and hasattr(bar, "bar_"):
            bar.on_train_end(net)
        if "Expected more than 1 value per channel" in str(error):
            raise ValueError(
                "Batch normalisation needs at least two rows in a batch. Got "
                f"batch_size={net.batch_size} and n_samples = {len(training)} (1 "
                "sample is not enough): raise them or leave out batch normalisation."
            ) from error
        raise


def _silent(*args, **kwargs) -> None:
    """Take messages of a callback without printing them."""


def _check_finite(net: TrainingNet) -> None:
    if net.interrupted_:
        raise KeyboardInterrupt
    for name, parameter in net.module_.named_parameters():
        if not torch.isfinite(parameter).all():
            raise diverged(
                len(net.history), net.lr, f"the weights {name!r} are not finite"
            )
