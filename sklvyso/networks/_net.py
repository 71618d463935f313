"""The skorch net that every network of the package trains with."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
import traceback

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochTimer
from torch.nn.modules.batchnorm import _BatchNorm

from sklvyso.networks._arrays import fold
from sklvyso.networks._batches import BatchIterator, TensorRows

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
        **kwargs,
    ):
        kwargs.setdefault("train_split", None)
        super().__init__(module, **kwargs)
        self.input_shape = input_shape
        self.input_scale = input_scale
        self.augment = augment
        self.precision = precision

    interrupted_ = False
    _scaler = None

    @property
    def _default_callbacks(self):
        # Losses and accuracies are recorded in run_single_epoch.
        return [("epoch_timer", EpochTimer())]

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

    def logits(self, X: np.ndarray) -> np.ndarray:
        """Logits of raw rows, in evaluation mode, shape (n, n_outputs), float32."""
        self._set_training(False)
        iterator = self.get_iterator(self.get_dataset(X), training=False)
        with torch.no_grad():
            return torch.cat([self.infer(Xi).cpu() for Xi, _ in iterator]).numpy()

    # -- one step -----------------------------------------------------------------

    def infer(self, x, **fit_params):
        """Logits of a raw batch."""
        batch = self.prepare(x["X"] if isinstance(x, dict) else x)
        if self.augment is not None and self.module_.training:
            batch = self.augment(batch)
        dtype = _AUTOCAST.get(self.precision)
        if dtype is None or batch.device.type == "cpu":
            return self.module_(batch, **fit_params)
        with torch.autocast(batch.device.type, dtype=dtype):
            return self.module_(batch, **fit_params).float()

    def get_loss(self, y_pred, y_true, X=None, *args, **kwargs):
        """Mean cross-entropy, weighted by class and sample."""
        y_true = torch.as_tensor(y_true).to(self.device, non_blocking=True)
        if not isinstance(X, dict):
            return self.criterion_(y_pred, y_true)
        losses = torch.nn.functional.cross_entropy(y_pred, y_true, reduction="none")
        weight = self._batch_weight(X, y_true).to(losses)
        return (losses * weight).sum() / weight.sum().clamp_min(
            torch.finfo(losses.dtype).tiny
        )

    def _batch_weight(self, X, y_true: torch.Tensor) -> torch.Tensor:
        weight = X["sample_weight"].to(y_true.device, non_blocking=True)
        class_weight = self.criterion_.weight
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

    # -- epochs -------------------------------------------------------------------

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train for some epochs; an interrupt is kept in ``interrupted_``."""
        self.interrupted_ = False
        self._scaler = self._make_scaler()
        try:
            return super().fit_loop(X, y, epochs=epochs, **fit_params)
        except KeyboardInterrupt as interrupt:
            # skorch will swallow it, so that the caller has to ask.
            self.interrupted_ = not _asks_to_stop(interrupt)
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
        if training and not self._wants_batches() and not fit_params:
            step_fn = self._lean_train_step()
        n_correct: list[torch.Tensor] = []
        losses, sizes = [], []
        wants_batches = self._wants_batches()
        for batch in iterator:
            if wants_batches:
                self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            losses.append(step["loss"].detach())
            sizes.append(len(batch[1]))
            if not training:
                target = batch[1].to(self.device, non_blocking=True)
                n_correct.append((step["y_pred"].argmax(dim=1) == target).sum())
            if wants_batches:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", sizes[-1])
                self.notify("on_batch_end", batch=batch, training=training, **step)
            if training and len(losses) % _CHECK_EVERY == 0:
                self._check_loss(losses[-1].item())
        mean_loss = np.average(torch.stack(losses).cpu().numpy(), weights=sizes)
        if training:
            self._check_loss(mean_loss)
        else:
            accuracy = torch.stack(n_correct).sum().item() / sum(sizes)
            self.history.record(f"{prefix}_acc", accuracy)
        self.history.record(f"{prefix}_loss", float(mean_loss))
        self.history.record(f"{prefix}_batch_count", len(losses))

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


def _asks_to_stop(interrupt: KeyboardInterrupt) -> bool:
    """Say whether skorch's own EarlyStopping raised this, not the user's Ctrl-C."""
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


class LastWholeEpoch(Callback):
    """Keep a copy of weights and optimiser as of the last whole epoch."""

    def on_train_begin(self, net, **kwargs):
        """Remember where a continued training starts."""
        self._store(net)

    def on_epoch_end(self, net, **kwargs):
        """Remember the epoch that ended."""
        self._store(net)

    def _store(self, net):
        self.state_ = copy.deepcopy(
            (net.module_.state_dict(), net.optimizer_.state_dict())
        )
        self.n_epochs_ = len(net.history)

    def restore(self, net):
        """Put the net back to the last whole epoch."""
        module_state, optimizer_state = self.state_
        net.module_.load_state_dict(module_state)
        net.optimizer_.load_state_dict(optimizer_state)
        del net.history[self.n_epochs_ :]
