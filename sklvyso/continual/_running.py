"""Run the network of a task, and keep the ones that ran last."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from sklvyso.continual._backbone import Backbone, set_weights
from sklvyso.continual._combination import (
    PRODUCT_BYTES,
    Impression,
    effective_weights,
    mask_numbers,
    mask_products,
)
from sklvyso.continual._task_inference import (
    GRADIENT_BATCH,
    Superposition,
    infer_by_gradient,
    row_entropies,
)
from sklvyso.continual._tasks import Task
from sklvyso.networks import PreparedRows, inference_net

# Networks of tasks kept ready; each takes as much memory as the backbone.
_KEPT = 8


class Runner:
    """Networks of tasks, made when needed.

    Parameters
    ----------
    backbone : Backbone
        On the device.
    input_shape : tuple of int
        Of a sample, channels last.
    input_scale : float or None
        Factor on each batch.
    batch_size : int
        Of predictions.
    device : str
        Resolved.
    """

    def __init__(self, backbone, input_shape, input_scale, batch_size, device):
        self.backbone: Backbone = backbone
        self.net = inference_net(
            input_shape=input_shape,
            input_scale=input_scale,
            batch_size=batch_size,
            device=device,
        )
        self._lock = threading.Lock()
        self._ready: OrderedDict[int, tuple[Task, nn.Module]] = OrderedDict()

    def module(self, task: Task, impressions: Sequence[Impression]) -> nn.Module:
        """Return the network of a task, to be run in evaluation mode only."""
        with self._lock:
            found = self._ready.get(id(task))
            if found is not None:
                self._ready.move_to_end(id(task))
                return found[1]
        module = self.fresh_module(task, impressions)
        with self._lock:
            # The task is held, so that its id belongs to no other.
            self._ready[id(task)] = task, module
            while len(self._ready) > _KEPT:
                self._ready.popitem(last=False)
        return module

    def fresh_module(self, task: Task, impressions: Sequence[Impression]) -> nn.Module:
        """Return a new module with the weights and statistics of a task."""
        module = self.backbone.clone()
        self._load(module, task, impressions)
        return module

    def logits(
        self, task: Task, impressions: Sequence[Impression], X: np.ndarray
    ) -> np.ndarray:
        """Return all logits of raw rows under a task, superfluous ones too."""
        return self.net.logits(X, self.module(task, impressions))

    def entropies(
        self, tasks: Sequence[Task], impressions: Sequence[Impression], X: np.ndarray
    ) -> np.ndarray:
        """Return the entropy of each row under each task, shape (n, T), in nats."""
        # One module runs the tasks that are not ready, which may be very many.
        spare = self.backbone.clone()
        unpacked = self._unpacked(impressions, len(tasks))
        columns = []
        for task in tasks:
            with self._lock:
                ready = self._ready.get(id(task))
            module = spare if ready is None else ready[1]
            if ready is None:
                self._load(spare, task, impressions, unpacked)
            logits = torch.from_numpy(self.net.logits(X, module))
            columns.append(row_entropies(logits).numpy())
        return np.stack(columns, axis=1)

    def _unpacked(self, impressions, n_tasks):
        """Return masks as numbers, where they fit and are used again and again."""
        n_bytes = 4 * len(impressions) * sum(w.numel() for w in self.backbone.weights)
        if n_bytes > PRODUCT_BYTES or n_tasks < 3:
            return None
        return [
            [
                mask_numbers(bits, weight)
                for bits, weight in zip(masks, self.backbone.weights, strict=True)
            ]
            for masks in impressions
        ]

    def _load(self, module, task, impressions, unpacked=None) -> None:
        """Give a clone the weights and statistics of a task."""
        coef = task.coefficients(len(self.backbone.weights), len(impressions))
        weights = effective_weights(
            self.backbone, impressions, coef, task.output_mask, unpacked
        )
        set_weights(self.backbone.layers(module), weights)
        self.backbone.load_buffers(module, task.buffers)

    def infer(
        self,
        tasks: Sequence[Task],
        impressions: Sequence[Impression],
        X: np.ndarray,
        groups: np.ndarray,
        method: str,
    ) -> np.ndarray:
        """Return the position of the task of each group.

        Parameters
        ----------
        tasks : sequence of Task
            To choose from.
        impressions : sequence of list of ndarray
            All masks.
        X : ndarray of shape (n, n_features)
            Raw rows.
        groups : int ndarray of shape (n,)
            Positions of groups.
        method : {"exhaustive", "one_shot", "binary"}
            How.

        Returns
        -------
        positions : int ndarray of shape (n_groups,)
            In ``tasks``.
        """
        if len(tasks) == 1:
            return np.zeros(int(groups.max()) + 1, dtype=np.intp)
        if method == "exhaustive":
            rows = self.entropies(tasks, impressions, X)
            sums = np.zeros((int(groups.max()) + 1, len(tasks)))
            np.add.at(sums, groups, rows)
            return (sums / np.bincount(groups)[:, None]).argmin(axis=1)
        n_layers = len(self.backbone.weights)
        coef = np.stack([t.coefficients(n_layers, len(impressions)) for t in tasks])
        products = mask_products(self.backbone.weights, impressions)
        superposition = Superposition(self.backbone, products, _mean_buffers(tasks))
        batches = PreparedRows(self.net, X, GRADIENT_BATCH)
        return infer_by_gradient(superposition, batches, coef, groups, method=method)


def _mean_buffers(tasks: Sequence[Task]) -> dict[str, np.ndarray]:
    """Return the mean statistics of tasks: one pass has to serve all of them."""
    names = {name for task in tasks for name in task.buffers}
    means = {}
    for name in names:
        values = [task.buffers[name] for task in tasks if name in task.buffers]
        means[name] = np.mean(values, axis=0).astype(values[0].dtype)
    return means
