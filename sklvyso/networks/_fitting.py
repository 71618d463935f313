"""The steps of a fit: split, initialise, train, clean up."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback
from skorch.helper import predefined_split

from sklvyso.networks._batches import TensorRows
from sklvyso.networks._build import check_module
from sklvyso.networks._net import TrainingNet, diverged
from sklvyso.networks._random import torch_seed
from sklvyso.networks._training import (
    LastWholeEpoch,
    ProgressBar,
    ScheduledRate,
    StopEarly,
    schedule_function,
)


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
        Share of the validation part; both parts get one row a class at least.
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
    parts = train_test_split(
        np.arange(len(codes)), test_size=n_valid, stratify=codes, random_state=seed
    )
    for to, source in ((1, 0), (0, 1)):
        # Stratification rounds rare classes away from one side.
        for code in np.setdiff1d(np.flatnonzero(counts), codes[parts[to]]):
            row = parts[source][codes[parts[source]] == code][:1]
            parts[source] = np.setdiff1d(parts[source], row)
            parts[to] = np.append(parts[to], row)
    return np.sort(parts[0]), np.sort(parts[1])


def copy_callbacks(callbacks: list | None) -> list | None:
    """Copy the user's callbacks, so that his instances stay as they are.

    Parameters
    ----------
    callbacks : list or None
        Callbacks, or pairs of name and callback.

    Returns
    -------
    copies : list or None
        Deep copies.

    Raises
    ------
    TypeError
        If one is no skorch callback or cannot be copied.
    """
    for entry in callbacks or []:
        pair = entry if isinstance(entry, tuple) else ("", entry)
        is_callback = isinstance(pair[-1], Callback) or (
            isinstance(pair[-1], type) and issubclass(pair[-1], Callback)
        )
        if len(pair) != 2 or not isinstance(pair[0], str) or not is_callback:
            raise TypeError(
                "callbacks must hold skorch callbacks, or pairs of a name and one. Got "
                f"{entry!r}."
            )
    try:
        return copy.deepcopy(callbacks)
    except TypeError as error:
        raise TypeError(
            f"callbacks must be such that copy.deepcopy can copy them: {error}."
        ) from error


def is_same(now: Any, before: Any) -> bool:
    """Say whether a parameter is what it was when the net was made.

    Callbacks of one kind count as the same: they are copied anyway.
    """
    if now is before:
        return True
    if isinstance(now, list | tuple) and isinstance(before, list | tuple):
        return len(now) == len(before) and all(map(is_same, now, before))
    if isinstance(now, Callback):
        return type(now) is type(before)
    try:
        return bool(now == before) or repr(now) == repr(before)
    except (TypeError, ValueError):
        return repr(now) == repr(before)


def start_net(net: TrainingNet, rows: TensorRows, n_outputs: int) -> None:
    """Build module and optimiser and send one row through the module."""
    net.initialize()
    for group in net.optimizer_.param_groups:
        group.setdefault("initial_lr", group["lr"])
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
    # First, because an EarlyStopping of the user ends the round.
    net.callbacks_ = [*callbacks, *permanent]
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
) -> int | None:
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

    Returns
    -------
    best_epoch : int or None
        The epoch that early stopping went back to, from 1.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupted.
    ValueError
        If loss or weights are not finite.
    """
    scale = settings.lr / net.first_lr
    net.lr = settings.lr
    for group in net.optimizer_.param_groups:
        group["lr"] = group["initial_lr"] * scale
    n_before = len(net.history)
    # On an error a continued training goes back, a new one is thrown away.
    last_whole = LastWholeEpoch() if settings.warm_start or n_before else None
    stop_early = bar = None
    own: list[tuple[str, Callback]] = []
    if settings.lr_schedule is not None:
        factor = schedule_function(settings.lr_schedule, settings.max_epochs)
        first_epoch = 0 if whole_fit else n_before
        rate = ScheduledRate(factor, settings.lr, scale, first_epoch)
        own.append(("our_lr_schedule", rate))
    if last_whole is not None:
        own.append(("our_last_whole_epoch", last_whole))
    if settings.verbose and whole_fit:
        bar = ProgressBar(n_epochs, "fit ")
        own.append(("our_progress_bar", bar))
    if validation is not None:
        net.train_split = predefined_split(validation)
        stop_early = StopEarly(settings.patience, validation)
        own.append(("our_early_stopping", stop_early))
    try:
        with _attached(net, own), _compiled(net, settings.compile):
            net.partial_fit(training, None, epochs=n_epochs)
        if net.interrupted_:
            raise KeyboardInterrupt
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
    finally:
        net.module_.eval()
    return None if stop_early is None else stop_early.best_epoch_


def _check_finite(net: TrainingNet) -> None:
    values = [*net.module_.named_parameters(), *net.module_.named_buffers()]
    for name, value in values:
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise diverged(len(net.history), net.lr, f"{name!r} is not finite")
