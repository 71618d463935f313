"""The skorch net that every network of the package trains with."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
import traceback
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochTimer
from torch.nn.modules.batchnorm import _BatchNorm

from sklvyso.networks._arrays import fold
from sklvyso.networks._batches import BatchIterator, TensorRows
from sklvyso.networks._training import StopTraining

# How often a running epoch looks whether its loss is still a number: reading it waits
# for the device.
_CHECK_EVERY = 100
_SMALLEST_INFERENCE_BATCH = 512
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TrainingNet(NeuralNetClassifier):
    """A skorch classifier net whose batches are slices of whole tensors.

    It differs from :class:`skorch.NeuralNetClassifier` in that arrays become one
    tensor once, sample weights are understood, an interrupt is remembered, a loss that
    is not a number stops the training, and epochs run without per-batch bookkeeping
    unless a callback asks for batches.

    Parameters
    ----------
    module : callable
        Returns the module; it yields logits of shape (n, n_outputs).
    input_shape : tuple of int
        Shape of one sample, channels last.
    input_scale : float or None, default=None
        Factor on each batch.
    augment : callable or None, default=None
        Applied to each training batch, in torch's layout.
    precision : {"float32", "bf16", "fp16"}, default="float32"
        Autocast type on a GPU; the CPU always computes in float32.
    first_lr : float or None, default=None
        Learning rate that the optimiser is made with; ``lr`` may move on.
    penalty : callable or None, default=None
        Takes the module; what it returns is added to the loss of a training batch.
    **kwargs : dict
        Parameters of :class:`skorch.NeuralNetClassifier`.
    """

    def __init__(
        self,
        module,
        *,
        input_shape,
        input_scale=None,
        augment=None,
        precision="float32",
        first_lr=None,
        penalty=None,
        **kwargs,
    ):
        kwargs.setdefault("train_split", None)
        super().__init__(module, **kwargs)
        self.input_shape = input_shape
        self.input_scale = input_scale
        # skorch takes an nn.Module for a part that is trained.
        object.__setattr__(self, "augment", augment)
        self.precision = precision
        self.first_lr = first_lr
        self.penalty = penalty

    # Set by mask_weights of the classifier: parameter names to bool tensors.
    weight_masks_: dict[str, torch.Tensor] | None = None

    def __getstate__(self):
        state = super().__getstate__()
        if state.get("weight_masks_"):
            # skops stores arrays, no tensors.
            masks = state["weight_masks_"].items()
            state["weight_masks_"] = {name: mask.numpy() for name, mask in masks}
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if self.weight_masks_:
            self.weight_masks_ = {
                name: torch.tensor(mask) for name, mask in self.weight_masks_.items()
            }

    # Labels of the classifier, for callbacks that get rows of their own.
    class_labels_: np.ndarray | None = None
    interrupted_ = False
    wants_to_stop_ = False
    _scaler = None

    @property
    def _default_callbacks(self):
        # Losses and accuracies are recorded in run_single_epoch.
        return [("epoch_timer", EpochTimer())]

    def get_params_for_optimizer(self, prefix, named_parameters):
        """Hand plain parameters to the optimiser, not skorch's one group of them."""
        args, kwargs = super().get_params_for_optimizer(prefix, named_parameters)
        groups = args[0]
        if len(groups) == 1 and set(groups[0]) == {"params"}:
            args = (list(groups[0]["params"]), *args[1:])
        return args, kwargs

    def initialize_optimizer(self, *args, **kwargs):
        """Make the optimiser, or say that ``optimizer`` is none."""
        try:
            super().initialize_optimizer(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                f"optimizer could not be made of {self.optimizer!r}: {error}. It must "
                "take a list of parameters and lr."
            ) from error
        if not isinstance(self.optimizer_, torch.optim.Optimizer):
            raise TypeError(
                f"optimizer must make a torch optimiser. {self.optimizer!r} made "
                f"{self.optimizer_!r} instead."
            )
        return self

    # -- data ---------------------------------------------------------------------

    def check_data(self, X, y):
        """Accept a :class:`TensorRows` as it is."""
        if not isinstance(X, TensorRows):
            super().check_data(X, y)

    def get_dataset(self, X, y=None):
        """Turn arrays into one tensor; leave data sets alone."""
        if isinstance(X, dict) and set(X) == {"X", "sample_weight"}:
            return TensorRows(X["X"], y, X["sample_weight"], device=self.device)
        if isinstance(X, np.ndarray | torch.Tensor):
            return TensorRows(X, y, device=self.device)
        return super().get_dataset(X, y)

    def get_iterator(self, dataset, training=False):
        """Iterate over slices of a :class:`TensorRows`, else as skorch does."""
        if not isinstance(dataset, TensorRows):
            return super().get_iterator(dataset, training=training)
        if training:
            return BatchIterator(
                dataset,
                batch_size=self.batch_size,
                shuffle=True,
                merge_last_row=has_batch_norm(self.module_),
            )
        size = self.batch_size
        return BatchIterator(
            dataset,
            batch_size=size if size == -1 else max(size, _SMALLEST_INFERENCE_BATCH),
        )

    def prepare(self, batch: torch.Tensor) -> torch.Tensor:
        """Bring a raw batch to the device, to float32 and to torch's layout."""
        batch = batch.to(self.device, torch.float32, non_blocking=True)
        if self.input_scale is not None:
            batch = batch * self.input_scale
        return fold(batch, self.input_shape)

    def logits(
        self, X: np.ndarray, module: torch.nn.Module | None = None
    ) -> np.ndarray:
        """Logits of raw rows, in evaluation mode, shape (n, n_outputs), float32.

        Those of another module than the net's own where one is given.
        """
        module = self.module_ if module is None else module
        module.eval()
        iterator = self.get_iterator(self.get_dataset(X), training=False)
        with torch.no_grad():
            logits = torch.cat(
                [self._computed(module, self.prepare(Xi)).cpu() for Xi, _ in iterator]
            )
        if not torch.isfinite(logits).all():
            raise ValueError(
                "module returned logits that are not finite. Are the values of X far "
                "from those of the training rows?"
            )
        return logits.numpy()

    # -- one step -----------------------------------------------------------------

    def infer(self, x, **fit_params):
        """Logits of a raw batch."""
        batch = self.prepare(x["X"] if isinstance(x, dict) else x)
        if self.augment is not None and self.module_.training:
            batch = self._augmented(batch)
        return self._computed(self.module_, batch, **fit_params)

    def _computed(self, module, batch, **fit_params):
        dtype = _AUTOCAST.get(self.precision)
        if dtype is None or batch.device.type == "cpu":
            return module(batch, **fit_params)
        with torch.autocast(batch.device.type, dtype=dtype):
            return module(batch, **fit_params).float()

    def _augmented(self, batch):
        augmented = self.augment(batch)
        if (
            not isinstance(augmented, torch.Tensor)
            or augmented.shape != batch.shape
            or augmented.dtype != batch.dtype
        ):
            got = getattr(augmented, "shape", None)
            got = type(augmented).__name__ if got is None else f"shape {tuple(got)}"
            raise ValueError(
                f"augment must return a float32 tensor of shape {tuple(batch.shape)}, "
                f"as it got. It returned {got}."
            )
        return augmented

    def get_loss(self, y_pred, y_true, X=None, *args, **kwargs):
        """Mean cross-entropy, weighted by class and sample."""
        if not isinstance(y_pred, torch.Tensor) or len(y_pred) != len(y_true):
            raise ValueError(
                "module must return a tensor of logits, a row for each row of its "
                f"input, in training too. Got {type(y_pred).__name__} for "
                f"{len(y_true)} rows."
            )
        y_true = torch.as_tensor(y_true).to(self.device, non_blocking=True)
        weight = self.batch_weight(X, y_true)
        if weight is None:
            loss = self.criterion_(y_pred, y_true)
        else:
            # Not the criterion's own weights: a batch of total weight 0 has loss 0.
            losses = torch.nn.functional.cross_entropy(y_pred, y_true, reduction="none")
            loss = (losses * weight).sum() / weight.sum().clamp_min(
                torch.finfo(losses.dtype).tiny
            )
        if self.penalty is None or not self.module_.training:
            return loss
        return loss + self.penalty(self.module_)

    def batch_weight(self, X, y_true: torch.Tensor) -> torch.Tensor | None:
        """Weights of a batch by sample and class, shape (n,); None when all are 1."""
        class_weight = self.criterion_.weight
        if not isinstance(X, dict):
            return None if class_weight is None else class_weight[y_true]
        weight = X["sample_weight"].to(y_true.device, non_blocking=True)
        return weight if class_weight is None else weight * class_weight[y_true]

    def train_step_single(self, batch, **fit_params):
        """Forward and backward pass of one batch."""
        self._set_training(True)
        Xi, yi = batch
        y_pred = self.infer(Xi, **fit_params)
        loss = self.get_loss(y_pred, yi, X=Xi, training=True)
        if self._scaler is None:
            loss.backward()
        else:
            self._scaler.scale(loss).backward()
            # Callbacks that clip gradients see the true ones.
            self._scaler.unscale_(self.optimizer_)
        return {"loss": loss, "y_pred": y_pred}

    def _step_optimizer(self, step_fn):
        if self._scaler is None:
            super()._step_optimizer(step_fn)
            return
        step_fn()
        self._scaler.step(self.optimizer_)
        self._scaler.update()

    def notify(self, method_name, **cb_kwargs):
        """Tell all callbacks, and then stop if early stopping asked for it."""
        super().notify(method_name, **cb_kwargs)
        if method_name == "on_epoch_end" and self.wants_to_stop_:
            raise StopTraining

    # -- epochs -------------------------------------------------------------------

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train for some epochs; an interrupt is kept in ``interrupted_``."""
        self.interrupted_ = self.wants_to_stop_ = False
        self._scaler = self._make_scaler()
        try:
            return super().fit_loop(X, y, epochs=epochs, **fit_params)
        except KeyboardInterrupt as interrupt:
            # skorch will swallow it, so that the caller has to ask.
            self.interrupted_ = not asks_to_stop(interrupt)
            raise
        finally:
            self._scaler = None

    def _make_scaler(self):
        kind = torch.device(self.device).type
        if self.precision != "fp16" or kind == "cpu":
            return None
        return torch.amp.GradScaler(kind)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run over all batches and record mean loss and, in validation, accuracy."""
        if iterator is None:
            return
        notifies = self._wants_batches()
        if training and not notifies and not fit_params:
            step_fn = self._lean_train_step()
        sums = _EpochSums(self, counts_correct=not training)
        for batch in iterator:
            if notifies:
                self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            sums.add(batch, step)
            if notifies:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", len(batch[1]))
                self.notify("on_batch_end", batch=batch, training=training, **step)
            if training and len(sums.losses) % _CHECK_EVERY == 0:
                self._check_loss(sums.losses[-1].item())
        self._record(prefix, sums, training=training)

    def _record(self, prefix: str, sums: "_EpochSums", *, training: bool) -> None:
        loss = sums.mean_loss()
        if training:
            self._check_loss(loss)
        values = {"loss": loss} if training else {"loss": loss, "acc": sums.accuracy()}
        for key, value in values.items():
            name = f"{prefix}_{key}"
            before = [row[name] for row in self.history[:-1] if name in row]
            is_best = all(value > v if key == "acc" else value < v for v in before)
            self.history.record(name, value)
            self.history.record(f"{name}_best", is_best)
        self.history.record(f"{prefix}_batch_count", len(sums.losses))
        if not self.history[-1]["batches"]:
            # skorch's checkpoints look for a batch.
            self.history.new_batch()
            self.history.record_batch(f"{prefix}_loss", loss)

    def validation_loss(self, dataset: TensorRows) -> float:
        """Mean loss of a data set in evaluation mode."""
        sums = _EpochSums(self, counts_correct=False)
        for batch in self.get_iterator(dataset, training=False):
            sums.add(batch, self.validation_step(batch))
        return sums.mean_loss()

    def _wants_batches(self) -> bool:
        names = ("on_batch_begin", "on_batch_end", "on_grad_computed")
        return any(
            getattr(type(callback), name, None) is not getattr(Callback, name)
            for _, callback in self.callbacks_
            for name in names
        )

    def _lean_train_step(self):
        """Return a training step without skorch's bookkeeping.

        The same operations in the same order as ``train_step``.
        """
        if self._scaler is not None or isinstance(self.optimizer_, torch.optim.LBFGS):
            return self.train_step
        self._set_training(True)
        zero_grad, step = self.optimizer_.zero_grad, self.optimizer_.step

        def lean_step(batch):
            Xi, yi = batch
            zero_grad()
            loss = self.get_loss(self.infer(Xi), yi, X=Xi, training=True)
            loss.backward()
            step()
            return {"loss": loss}

        return lean_step

    def _check_loss(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise diverged(len(self.history), self.lr, f"the training loss is {loss}")


class _EpochSums:
    """Losses and hits of an epoch, kept on the device until it ends."""

    def __init__(self, net: TrainingNet, *, counts_correct: bool):
        self.net = net
        self.counts_correct = counts_correct
        self.losses: list[torch.Tensor] = []
        self.totals: list[Any] = []  # weight of each batch
        self.n_rows = 0
        self.n_correct: list[torch.Tensor] = []

    def add(self, batch, step) -> None:
        X, y = batch
        self.losses.append(step["loss"].detach())
        self.n_rows += len(y)
        weight = None
        if isinstance(X, dict) or self.net.criterion_.weight is not None:
            weight = self.net.batch_weight(X, y.to(self.net.device))
        self.totals.append(len(y) if weight is None else weight.sum())
        if self.counts_correct:
            hits = step["y_pred"].argmax(dim=1) == y.to(self.net.device)
            self.n_correct.append(hits.sum())

    def mean_loss(self) -> float:
        losses = torch.stack(self.losses).double().cpu().numpy()
        totals = np.array([float(total) for total in self.totals])
        return float((losses * totals).sum() / totals.sum()) if totals.any() else 0.0

    def accuracy(self) -> float:
        return torch.stack(self.n_correct).sum().item() / self.n_rows


def asks_to_stop(interrupt: KeyboardInterrupt) -> bool:
    """Say whether early stopping raised this, ours or skorch's, not Ctrl-C."""
    if isinstance(interrupt, StopTraining):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(interrupt.__traceback__)]
    return frames[-1].f_globals.get("__name__", "").startswith("skorch.callbacks")


def diverged(epoch: int, lr: float, what: str) -> ValueError:
    """Return the error of a training that left the finite numbers."""
    return ValueError(
        f"Training diverged in epoch {epoch} at lr={lr}: {what}. Usual remedies: a "
        "smaller lr (a tenth), scaled inputs (StandardScaler, or input_scale=1/255 for "
        "pixels), batch normalisation."
    )


def has_batch_norm(module: torch.nn.Module) -> bool:
    """Say whether a module holds batch normalisation of any kind."""
    return any(isinstance(layer, _BatchNorm) for layer in module.modules())
