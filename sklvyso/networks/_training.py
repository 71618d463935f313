"""Learning-rate schedules, optimisers and the progress bar."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
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


def complete_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Give LBFGS back what torch leaves out when it pickles or copies an optimiser.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Changed in place when it is an incomplete LBFGS.
    """
    if isinstance(optimizer, torch.optim.LBFGS) and not hasattr(optimizer, "_params"):
        optimizer._params = optimizer.param_groups[0]["params"]
        optimizer._numel_cache = None


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
    if len(keys) != 1 or not isinstance(gamma, Real) or not 0 < float(gamma) < math.inf:
        raise problem
    if keys == {"step_size"}:
        step = schedule["step_size"]
        if not isinstance(step, Integral) or step < 1:
            raise problem
        return list(range(int(step), max_epochs, int(step))), float(gamma)
    if keys != {"milestones"}:
        raise problem
    if isinstance(schedule["milestones"], str):
        raise problem
    try:
        milestones = [float(m) for m in schedule["milestones"]]
    except (TypeError, ValueError):
        raise problem from None
    if any(not m > 0 for m in milestones):
        raise problem
    return [m * max_epochs if m < 1 else m for m in milestones], float(gamma)


# Within 80 columns, where tqdm cuts lines off.
_BAR_FORMAT = "{desc}|{bar:8}|{n_fmt}/{total_fmt} epochs, {elapsed_s:.1f} s{postfix}"


class ScheduledRate(Callback):
    """Set the learning rate of each parameter group at the start of each epoch.

    Parameters
    ----------
    factor : callable
        Epoch of this training, from 0, to a factor on the rates.
    lr : float
        Base learning rate, for the record.
    scale : float, default=1.0
        Base learning rate now by the one that the optimiser was made with.
    first_epoch : int, default=0
        Epochs done before this training, as ``partial_fit`` does one at a time.
    """

    def __init__(self, factor, lr, scale=1.0, first_epoch=0):
        self.factor = factor
        self.lr = lr
        self.scale = scale
        self.first_epoch = first_epoch

    def on_train_begin(self, net, **kwargs):
        """Start counting."""
        self.epoch_ = self.first_epoch

    def on_epoch_begin(self, net, **kwargs):
        """Set the rate of this epoch."""
        factor = self.factor(self.epoch_)
        if not isinstance(factor, Real) or not 0 <= float(factor) < math.inf:
            raise ValueError(
                "lr_schedule must return a finite factor >= 0. It returned "
                f"{factor!r} for epoch {self.epoch_}."
            )
        for group in net.optimizer_.param_groups:
            group["lr"] = group["initial_lr"] * self.scale * float(factor)
        net.history.record("lr", self.lr * float(factor))
        self.epoch_ += 1


class StopTraining(KeyboardInterrupt):
    """Ends a training without error; skorch ends one by an interrupt."""


class StopEarly(Callback):
    """Stop when the validation loss does not fall, and go back to the best epoch.

    skorch's EarlyStopping asks for a relative gain; here any gain counts, and the
    weights at the start of a continued training compete.

    Parameters
    ----------
    patience : int
        Epochs without a gain before stopping.
    validation : TensorRows
        Evaluated at the start of a continued training.
    """

    def __init__(self, patience, validation):
        self.patience = patience
        self.validation = validation

    def on_train_begin(self, net, **kwargs):
        """Take the weights of a continued training as the ones to beat."""
        self.best_loss_, self.best_epoch_ = math.inf, len(net.history)
        self.misses_ = 0
        if len(net.history):
            self._keep(net, net.validation_loss(self.validation))

    def on_epoch_end(self, net, **kwargs):
        """Compare the epoch that ended with the best one."""
        loss = net.history[-1]["valid_loss"]
        if loss < self.best_loss_:
            self.misses_ = 0
            self._keep(net, loss)
            return
        self.misses_ += 1
        net.wants_to_stop_ = self.misses_ >= self.patience

    def _keep(self, net, loss):
        self.best_loss_, self.best_epoch_ = loss, len(net.history)
        self.state_ = copy.deepcopy(plain_module(net).state_dict())

    def on_train_end(self, net, **kwargs):
        """Go back to the best weights."""
        if hasattr(self, "state_"):
            plain_module(net).load_state_dict(self.state_)
        elif len(net.history) and "valid_loss" in net.history[-1]:
            raise ValueError(
                "The validation loss of early stopping was not finite in any epoch. "
                "Are there rows with values far from the others? Scale or clip them."
            )


class LastWholeEpoch(Callback):
    """Keep a copy of weights and optimiser as of the last whole epoch."""

    def on_train_begin(self, net, **kwargs):
        """Remember where a continued training starts."""
        self._store(net)

    def on_epoch_end(self, net, **kwargs):
        """Remember the epoch that ended, unless it ended in numbers that are none."""
        # Buffers too: batch normalisation may be the first to leave the finite numbers.
        values = plain_module(net).state_dict().values()
        if all(torch.isfinite(v).all() for v in values if v.is_floating_point()):
            self._store(net)

    def _store(self, net):
        self.state_ = copy.deepcopy(
            (plain_module(net).state_dict(), net.optimizer_.state_dict())
        )
        self.n_epochs_ = len(net.history)

    def restore(self, net):
        """Put the net back to the last whole epoch."""
        module_state, optimizer_state = self.state_
        plain_module(net).load_state_dict(module_state)
        net.optimizer_.load_state_dict(optimizer_state)
        del net.history[self.n_epochs_ :]


def plain_module(net) -> torch.nn.Module:
    """Return the module beneath torch.compile."""
    return getattr(net.module_, "_orig_mod", net.module_)


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
        self.bar_ = tqdm(
            total=self.n_epochs, desc=self.description, bar_format=_BAR_FORMAT
        )

    def on_epoch_end(self, net, **kwargs):
        """Show the epoch that ended."""
        row = net.history[-1]
        shown = {"loss": f"{row['train_loss']:.3g}"}
        if "valid_loss" in row:
            shown["valid_loss"] = f"{row['valid_loss']:.3g}"
            shown["valid_acc"] = f"{row['valid_acc']:.3f}"
        self.bar_.set_postfix(shown, refresh=False)
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        """Close the bar, also when the training stopped early."""
        self.bar_.close()
        del self.bar_
