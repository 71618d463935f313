"""The steps of a training: split, train, clean up."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.helper import predefined_split

from sklvyso.networks._batches import TensorRows
from sklvyso.networks._net import TrainingNet, asks_to_stop, diverged
from sklvyso.networks._training import (
    LastWholeEpoch,
    ProgressBar,
    ScheduledRate,
    StopEarly,
    complete_optimizer,
    schedule_function,
)
from sklvyso.networks._weight_masks import held_at_zero


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


def split_off(
    rows: TensorRows,
    codes: np.ndarray,
    weight: np.ndarray | None,
    classes: np.ndarray,
    fraction: float,
    seed: int,
) -> tuple[TensorRows, TensorRows]:
    """Split off validation rows, none of weight zero.

    Parameters
    ----------
    rows : TensorRows
        All rows.
    codes : ndarray of shape (n,), dtype int64
        Positions in ``classes``.
    weight : ndarray of shape (n,) or None
        Weights of the rows.
    classes, fraction, seed
        As for :func:`split_rows`.

    Returns
    -------
    training, validation : TensorRows
        The arrays are shared.
    """
    usable = np.arange(len(codes)) if weight is None else np.flatnonzero(weight)
    _, held_out = split_rows(codes[usable], classes, fraction, seed)
    held_out = usable[held_out]
    kept = np.setdiff1d(np.arange(len(codes)), held_out)
    return rows.subset(kept), rows.subset(held_out)


@contextlib.contextmanager
def attached(net: Any, callbacks: list[tuple[str, Callback]]) -> Iterator[None]:
    """Add callbacks for one training; they hold weights, bars and data sets.

    Parameters
    ----------
    net : skorch.NeuralNet
        Has its own callbacks only after the block.
    callbacks : list of pairs of str and callback
        They come before those of the net.

    Yields
    ------
    None
        The block runs.
    """
    permanent = net.callbacks_
    for _, callback in callbacks:
        callback.initialize()
    # First, because an EarlyStopping of the user ends the round.
    net.callbacks_ = [*callbacks, *permanent]
    try:
        yield
    finally:
        net.callbacks_ = permanent


@contextlib.contextmanager
def passing_on_interrupts(net: NeuralNet) -> Iterator[None]:
    """Raise at the end a KeyboardInterrupt that skorch swallowed.

    One that a callback of skorch raised to end the training is no interrupt.

    Parameters
    ----------
    net : skorch.NeuralNet
        It may train once in the block.

    Yields
    ------
    None
        The block runs.

    Raises
    ------
    KeyboardInterrupt
        If there was one.
    """
    fit_loop = net.fit_loop
    interrupts: list[KeyboardInterrupt] = []

    def remembering(*args: Any, **kwargs: Any) -> Any:
        try:
            return fit_loop(*args, **kwargs)
        except KeyboardInterrupt as interrupt:
            if not asks_to_stop(interrupt):
                interrupts.append(interrupt)
            raise

    net.__dict__["fit_loop"] = remembering
    try:
        yield
    finally:
        del net.__dict__["fit_loop"]
    if interrupts:
        raise interrupts[0]


@contextlib.contextmanager
def _compiled(net: TrainingNet, wanted: bool) -> Iterator[None]:
    """Train through torch.compile; what stays is the plain module, which pickles."""
    plain = net.module_
    if wanted:
        net.module_ = torch.compile(plain)
    try:
        yield
    finally:
        net.module_ = plain


@contextlib.contextmanager
def _validating(net: TrainingNet, validation: TensorRows | None) -> Iterator[None]:
    """Lend the validation rows to a net, which holds no data otherwise."""
    if validation is not None:
        net.train_split = predefined_split(validation)
    try:
        yield
    finally:
        net.train_split = None


def train(
    net: TrainingNet,
    training: TensorRows,
    validation: TensorRows | None,
    settings: Any,
    *,
    n_epochs: int,
    whole_fit: bool,
    goes_back: bool,
    callbacks: Mapping[str, Callback] | None = None,
) -> int | None:
    """Train an initialised net; on an error put it back to its last whole epoch.

    Parameters
    ----------
    net : TrainingNet
        Changed in place. Its masked weights stay zero.
    training, validation : TensorRows
        Validation may be None.
    settings : NetworkClassifier
        ``lr``, ``lr_schedule``, ``max_epochs``, ``patience``, ``compile`` and
        ``verbose`` are read.
    n_epochs : int
        Epochs to train.
    whole_fit : bool
        Whether the schedule starts anew; otherwise it goes on.
    goes_back : bool
        Whether an error puts the net back; otherwise it is to be thrown away.
    callbacks : mapping of str to callback or None, default=None
        Further callbacks, for this training only.

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
    complete_optimizer(net.optimizer_)
    scale = settings.lr / net.first_lr
    net.lr = settings.lr
    for group in net.optimizer_.param_groups:
        group["lr"] = group["initial_lr"] * scale
    own: dict[str, Callback] = dict(callbacks or {})
    if settings.lr_schedule is not None:
        factor = schedule_function(settings.lr_schedule, settings.max_epochs)
        first_epoch = 0 if whole_fit else len(net.history)
        own["lr_schedule"] = ScheduledRate(factor, settings.lr, scale, first_epoch)
    if goes_back:
        own["last_whole_epoch"] = LastWholeEpoch()
    if settings.verbose and whole_fit:
        description = getattr(settings, "description", "fit ")
        own["progress_bar"] = ProgressBar(n_epochs, description)
    if validation is not None:
        own["early_stopping"] = StopEarly(settings.patience, validation)
    try:
        with (
            held_at_zero(
                net.optimizer_, net.module_.named_parameters(), net.weight_masks_
            ),
            attached(net, [(f"our_{name}", own[name]) for name in own]),
            _validating(net, validation),
            _compiled(net, settings.compile),
        ):
            net.partial_fit(training, None, epochs=n_epochs)
        if net.interrupted_:
            raise KeyboardInterrupt
        _check_finite(net)
    except BaseException as error:
        _clean_up(net, own)
        if "Expected more than 1 value per channel" in str(error):
            raise ValueError(
                "Batch normalisation needs at least two rows in a batch. Got "
                f"batch_size={net.batch_size} and n_samples = {len(training)} (1 "
                "sample is not enough): raise them or leave out batch normalisation."
            ) from error
        raise
    finally:
        net.module_.eval()
    return own["early_stopping"].best_epoch_ if "early_stopping" in own else None


def _clean_up(net: TrainingNet, own: dict[str, Callback]) -> None:
    """After an error, go back to the last whole epoch and close the bar."""
    if hasattr(own.get("last_whole_epoch"), "state_"):
        own["last_whole_epoch"].restore(net)
    if hasattr(own.get("progress_bar"), "bar_"):
        own["progress_bar"].on_train_end(net)


def _check_finite(net: TrainingNet) -> None:
    values = [*net.module_.named_parameters(), *net.module_.named_buffers()]
    for name, value in values:
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise diverged(len(net.history), net.lr, f"{name!r} is not finite")
