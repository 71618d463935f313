"""From the parameters of a classifier to a net with its initial weights."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from sklvyso.networks._arrays import as_tensor, torch_shape
from sklvyso.networks._build import build_module, check_module
from sklvyso.networks._device import resolve_device
from sklvyso.networks._labels import class_weights
from sklvyso.networks._net import TrainingNet
from sklvyso.networks._random import torch_seed
from sklvyso.networks._training import resolve_optimizer

# What makes the net; the rest may change while a training goes on.
_FIXED = (
    "module",
    "module_params",
    "hidden_layer_sizes",
    "input_shape",
    "input_scale",
    "optimizer",
    "momentum",
    "weight_decay",
    "callbacks",
    "precision",
    "device",
)


def fixed_parameters(settings: Any) -> dict[str, Any]:
    """Return the parameters that make the net, as they are now.

    Parameters
    ----------
    settings : NetworkClassifier
        Its parameters are read.

    Returns
    -------
    fixed : dict
        Names and values; containers are copied, because the user may change one of his
        in place.
    """
    fixed = {name: getattr(settings, name) for name in _FIXED}
    return {
        name: copy.copy(value) if isinstance(value, dict | list) else value
        for name, value in fixed.items()
    }


def new_net(settings: Any, codes: np.ndarray) -> TrainingNet:
    """Make a net that is not initialised.

    Parameters
    ----------
    settings : NetworkClassifier
        Its parameters, ``input_shape_`` and ``classes_`` are read.
    codes : ndarray of shape (n,), dtype int64
        Label codes of the training rows, for balanced class weights.

    Returns
    -------
    net : TrainingNet
        On the device of the settings.
    """
    device = resolve_device(settings.device)
    optimizer, optimizer_params = resolve_optimizer(
        settings.optimizer,
        momentum=float(settings.momentum),
        weight_decay=float(settings.weight_decay),
        device=device,
    )
    classes, scale = settings.classes_, settings.input_scale
    return TrainingNet(
        build_module,
        module__source=settings.module,
        module__input_shape=torch_shape(settings.input_shape_),
        module__n_outputs=len(classes),
        module__hidden_layer_sizes=tuple(settings.hidden_layer_sizes),
        module__module_params=settings.module_params,
        criterion=torch.nn.CrossEntropyLoss,
        criterion__weight=class_weights(settings.class_weight, classes, codes),
        optimizer=optimizer,
        lr=float(settings.lr),
        first_lr=float(settings.lr),
        **{f"optimizer__{key}": value for key, value in optimizer_params.items()},
        input_shape=settings.input_shape_,
        input_scale=None if scale is None else float(scale),
        augment=settings.augment,
        precision=settings.precision,
        batch_size=settings.batch_size,
        max_epochs=settings.max_epochs,
        classes=np.arange(len(classes)),
        callbacks=_copy_callbacks(settings.callbacks),
        device=device,
        verbose=0,
    )


def start_net(net: TrainingNet, first_row: np.ndarray, n_outputs: int) -> None:
    """Build module and optimiser and send one row through the module.

    Parameters
    ----------
    net : TrainingNet
        Initialised in place, left in evaluation mode.
    first_row : ndarray of shape (1, n_features)
        A raw row.
    n_outputs : int
        Number of classes.
    """
    net.initialize()
    for group in net.optimizer_.param_groups:
        group.setdefault("initial_lr", group["lr"])
    # The row must not move the random numbers that the training will use.
    with torch_seed(0, net.device):
        check_module(net.module_, net.prepare(as_tensor(first_row)), n_outputs)
    net.module_.eval()


def refresh_net(
    net: TrainingNet, settings: Any, before: dict[str, Any], codes: np.ndarray
) -> None:
    """Apply parameters that may change in mid-training; refuse the others.

    Parameters
    ----------
    net : TrainingNet
        Changed in place.
    settings : NetworkClassifier
        Its parameters are read.
    before : dict
        The :func:`fixed_parameters` that the net was made with.
    codes : ndarray of shape (n,), dtype int64
        Label codes of the training rows, for balanced class weights.

    Raises
    ------
    ValueError
        If a parameter changed that made the net.
    """
    for name, value in before.items():
        now = getattr(settings, name)
        if not is_same(now, value):
            raise ValueError(
                f"{name} cannot change in a training that goes on (train, warm_start "
                f"or partial_fit). Got {now!r} after {value!r}: fit with "
                "warm_start=False, or initialize, to start anew."
            )
    net.batch_size = settings.batch_size
    net.augment = settings.augment
    weight = class_weights(settings.class_weight, settings.classes_, codes)
    net.criterion_.weight = None if weight is None else weight.to(net.device)


def _copy_callbacks(callbacks: list | None) -> list | None:
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

    Parameters
    ----------
    now, before : object
        Values of a parameter.

    Returns
    -------
    is_same : bool
        Equal, or of equal ``repr``.
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
