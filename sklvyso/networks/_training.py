"""Learning-rate schedules, optimisers and the progress bar."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
import time
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import torch
from skorch.callbacks import Callback
from tqdm.auto import tqdm

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
_WITH_MOMENTUM = ("sgd", "rmsprop")
_WITH_FUSED = ("adam", "adamw", "adagrad", "sgd")


def resolve_optimizer(
    optimizer: Any, *, momentum: float, weight_decay: float, device: str
) -> tuple[Any, dict[str, Any]]:
    """Return the optimiser class and its keyword arguments, ``lr`` aside.

    Parameters
    ----------
    optimizer : str or callable
        A name of ``OPTIMIZERS``, or a class or factory that takes parameters and
        ``lr``; it gets ``weight_decay`` only when that is not zero.
    momentum, weight_decay : float
        Used where the named optimiser has them.
    device : str
        Named optimisers are fused on CUDA. On the CPU they work on all parameters at
        once (``foreach``): the same bits as torch's plain loop over parameters, which
        fused kernels do not give.
    """
    if not isinstance(optimizer, str):
        return optimizer, {"weight_decay": weight_decay} if weight_decay else {}
    kwargs: dict[str, Any] = {"weight_decay": weight_decay}
    if optimizer in _WITH_MOMENTUM:
        kwargs["momentum"] = momentum
    if optimizer in _WITH_FUSED and torch.device(device).type == "cuda":
        kwargs["fused"] = True
    else:
        kwargs["foreach"] = True
    return OPTIMIZERS[optimizer], kwargs


def schedule_function(lr_schedule: Any, max_epochs: int) -> Callable[[int], float]:
    """Return the factor on the learning rate as a function of the epoch, from 0.

    Parameters
    ----------
    lr_schedule : None, "cosine", dict or callable
        As the parameter of :class:`~sklvyso.networks.NetworkClassifier`.
    max_epochs : int
        Length of the training.

    Raises
    ------
    ValueError
        If a dict has unknown keys or values out of range.
    """
    if lr_schedule is None:
        return lambda epoch: 1.0
    if callable(lr_schedule):
        return lr_schedule
    if isinstance(lr_schedule, Mapping):
        milestones, gamma = _check_step(lr_schedule, max_epochs)
        return lambda epoch: gamma ** sum(epoch >= drop for drop in milestones)
    return lambda epoch: 0.5 * (1 + math.cos(math.pi * min(epoch / max_epochs, 1)))


def _check_step(schedule: Mapping, max_epochs: int) -> tuple[list[float], float]:
    rule = (
        'lr_schedule must be None, "cosine", a callable, or a dict with "milestones" '
        '(epochs, or fractions of max_epochs below 1) or "step_size" (epochs), and '
        'optionally "gamma" > 0 (default 0.1)'
    )
    keys = set(schedule) - {"gamma"}
    gamma = schedule.get("gamma", 0.1)
    problem = ValueError(f"{rule}. Got {dict(schedule)!r} instead.")
    if len(keys) != 1 or not isinstance(gamma, int | float) or not gamma > 0:
        raise problem
    if keys == {"step_size"}:
        step = schedule["step_size"]
        if not isinstance(step, Integral) or step < 1:
            raise problem
        return list(range(int(step), max_epochs, int(step))), float(gamma)
    if keys != {"milestones"}:
        raise problem
    try:
        milestones = [float(m) for m in schedule["milestones"]]
    except (TypeError, ValueError):
        raise problem from None
    if any(not m > 0 for m in milestones):
        raise problem
    return [m * max_epochs if m < 1 else m for m in milestones], float(gamma)


class ScheduledRate(Callback):
    """Set the learning rate at the start of each epoch.

    Parameters
    ----------
    factor : callable
        Epoch of this training, from 0, to a factor on ``lr``.
    lr : float
        Base learning rate.
    first_epoch : int, default=0
        Epochs done before this training, as ``partial_fit`` does one at a time.
    """

    def __init__(self, factor, lr, first_epoch=0):
        self.factor = factor
        self.lr = lr
        self.first_epoch = first_epoch

    def on_train_begin(self, net, **kwargs):
        """Start counting."""
        self.epoch_ = self.first_epoch

    def on_epoch_begin(self, net, **kwargs):
        """Set the rate of this epoch."""
        rate = self.lr * self.factor(self.epoch_)
        for group in net.optimizer_.param_groups:
            group["lr"] = rate
        net.history.record("lr", float(rate))
        self.epoch_ += 1


class ProgressBar(Callback):
    """One bar over the epochs: loss, validation score, seconds.

    Parameters
    ----------
    n_epochs : int
        Length of the bar.
    description : str
        Text before the bar.
    """

    def __init__(self, n_epochs, description):
        self.n_epochs = n_epochs
        self.description = description

    def on_train_begin(self, net, **kwargs):
        """Open the bar."""
        self.bar_ = tqdm(total=self.n_epochs, desc=self.description, unit="epoch")
        self.start_ = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        """Show the epoch that ended."""
        row = net.history[-1]
        shown = {"loss": f"{row['train_loss']:.4g}"}
        if "valid_loss" in row:
            shown["valid_loss"] = f"{row['valid_loss']:.4g}"
            shown["valid_acc"] = f"{row['valid_acc']:.3f}"
        shown["seconds"] = f"{time.perf_counter() - self.start_:.1f}"
        self.bar_.set_postfix(shown, refresh=False)
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        """Close the bar, also when the training stopped early."""
        self.bar_.close()
        del self.bar_
