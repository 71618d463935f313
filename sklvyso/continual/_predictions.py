"""What a fitted learner says: labels, probabilities, tasks, masks, bytes."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import is_integer, read_array
from sklvyso._validation import check_classification_targets
from sklvyso.continual._backbone import Backbone
from sklvyso.continual._inputs import (
    check_groups,
    checked_rows,
    is_one_name,
    task_name,
    tasks_of_rows,
)
from sklvyso.continual._masks import unpack_mask
from sklvyso.continual._running import Runner
from sklvyso.continual._task_inference import group_codes
from sklvyso.continual._tasks import Task, memory_table

# Score of classes that a task does not have.
_FOREIGN = -1e9


class TaskPredictions(ClassifierMixin):
    """Methods of the fitted learner that change nothing."""

    task_inference: str
    _tasks: list[Task]
    _backbone: Backbone
    _runner: Runner

    def predict(
        self, X: ArrayLike, task: Any = None, groups: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the most likely label of each row under its task.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images.
        task : str, int or array-like of shape (n,), default=None
            Task of all or of each row. None, and missing entries, are inferred.
        groups : array-like of shape (n,), default=None
            Rows with the same label share a task that is unknown, and are decided
            together. None: each row alone, whatever the other rows are.

        Returns
        -------
        labels : ndarray of shape (n,)
            Each from the classes of the row's task.

        Raises
        ------
        ValueError
            If a task is unknown; the message names those that are known.
        """
        rows, positions = self._rows_and_tasks(X, task, groups)
        labels = np.empty(len(rows), dtype=self.classes_.dtype)
        for where, logits, own in self._logits_by_task(rows, positions):
            labels[where] = own.classes[logits.argmax(axis=1)]
        return labels

    def predict_proba(
        self, X: ArrayLike, task: Any = None, groups: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the probabilities of the classes of each row's task.

        Parameters
        ----------
        X, task, groups
            As for :meth:`predict`.

        Returns
        -------
        proba : ndarray of shape (n, n_classes), dtype float32
            Columns in the order of ``classes_``; 0 for classes of other tasks. Rows sum
            to 1: the softmax goes over the classes of the task.
        """
        rows, positions = self._rows_and_tasks(X, task, groups)
        proba = np.zeros((len(rows), len(self.classes_)), dtype=np.float32)
        for where, logits, own in self._logits_by_task(rows, positions):
            softmax = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
            proba[np.ix_(where, self._columns(own))] = softmax
        return proba

    def decision_function(
        self, X: ArrayLike, task: Any = None, groups: ArrayLike | None = None
    ) -> np.ndarray:
        """Return logits of the classes of each row's task.

        Parameters
        ----------
        X, task, groups
            As for :meth:`predict`.

        Returns
        -------
        scores : ndarray of shape (n, n_classes), or (n,) with two classes, float32
            -1e9 for classes of other tasks. With two classes in all, the difference of
            their logits.
        """
        rows, positions = self._rows_and_tasks(X, task, groups)
        scores = np.full((len(rows), len(self.classes_)), _FOREIGN, dtype=np.float32)
        for where, logits, own in self._logits_by_task(rows, positions):
            scores[np.ix_(where, self._columns(own))] = logits
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_task(self, X: ArrayLike, groups: ArrayLike | None = None) -> np.ndarray:
        """Return the task that each row seems to come from.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images; a task column is not looked at.
        groups : array-like of shape (n,), default=None
            As for :meth:`predict`.

        Returns
        -------
        tasks : ndarray of shape (n,)
            Names.
        """
        check_is_fitted(self)
        rows, _, _ = checked_rows(self, X, None, None, reset=False, needs_y=False)
        positions = self._inferred(rows, groups)
        return _names(self.tasks_)[positions]

    def task_log_entropy(self, X: ArrayLike) -> np.ndarray:
        """Return how uncertain the network of each task is of each row.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images.

        Returns
        -------
        log_entropies : ndarray of shape (n, n_tasks), dtype float64
            Logarithm of the entropy in nats of all outputs, superfluous ones too;
            columns in the order of ``tasks_``. The exhaustive inference takes the
            least. At least -745.
        """
        check_is_fitted(self)
        rows, _, _ = checked_rows(self, X, None, None, reset=False, needs_y=False)
        entropies = self._runner.entropies(self._tasks, self.impressions_, rows)
        return np.log(np.maximum(entropies, np.nextafter(0, 1)))

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        task: Any = None,
    ) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        task : str, int or array-like of shape (n,), default=None
            As for :meth:`predict`.

        Returns
        -------
        accuracy : float
            In [0, 1].
        """
        predicted = self.predict(X, task)
        check_classification_targets(y)
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def _rows_and_tasks(self, X, task, groups):
        """Return checked rows and the position of each one's task."""
        check_is_fitted(self)
        rows, _, task = checked_rows(self, X, None, task, reset=False, needs_y=False)
        if task is None:
            return rows, self._inferred(rows, groups)
        if is_one_name(task):
            check_groups(groups, np.ones(1, dtype=bool))
            return rows, np.full(len(rows), self._position(task))
        names = tasks_of_rows(task, len(rows), None)
        known = {name: self._position(name) for name in set(names) - {None}}
        positions = np.array([known.get(name, -1) for name in names], dtype=np.intp)
        check_groups(groups, positions >= 0)
        missing = np.flatnonzero(positions < 0)
        if len(missing):
            own = None if groups is None else read_array("groups", groups)[missing]
            positions[missing] = self._inferred(rows[missing], own)
        return rows, positions

    def _inferred(self, rows, groups) -> np.ndarray:
        codes = group_codes(groups, len(rows))
        if len(self._tasks) == 1:
            return np.zeros(len(rows), dtype=np.intp)
        has_own_output = any(task.output_mask is not None for task in self._tasks)
        method = self.task_inference
        method = "exhaustive" if method == "auto" else method
        if method != "exhaustive" and has_own_output:
            raise ValueError(
                "task_inference must be 'exhaustive' with dedicated_output, whose "
                f"masks cannot be superposed. Got {method!r} instead."
            )
        found = self._runner.infer(self._tasks, self.impressions_, rows, codes, method)
        return found[codes]

    def _logits_by_task(self, rows, positions):
        """Yield rows, logits of their task's classes, and the task."""
        present = np.unique(positions)
        for position in present:
            task = self._tasks[position]
            where = np.flatnonzero(positions == position)
            part = rows if len(present) == 1 else rows[where]
            logits = self._runner.logits(task, self.impressions_, part)
            yield where, logits[:, : len(task.classes)], task

    def _columns(self, task: Task) -> np.ndarray:
        return np.searchsorted(self.classes_, task.classes)

    def _position(self, name: Any) -> int:
        name = task_name(name)
        if name not in self.tasks_:
            known = ", ".join(repr(task) for task in self.tasks_[:20])
            more = ", ..." if len(self.tasks_) > 20 else ""
            raise ValueError(
                f"task must be one that was learned: {known}{more}. Got {name!r}: "
                "partial_fit learns a new one, task=None infers."
            )
        return self.tasks_.index(name)

    # -- looking inside -----------------------------------------------------------

    def memory_report(self) -> dict[str, np.ndarray]:
        """Return the bytes that each task takes, as columns of a table.

        Returns
        -------
        table : dict of str to ndarray of shape (n_rows,)
            ``task``, ``kind``, ``mask_bytes`` (packed bits), ``coef_bytes``,
            ``norm_bytes`` (statistics of normalisation layers) and ``total_bytes``,
            ready for ``pandas.DataFrame``. A last row of kind ``"impressions"`` holds
            masks that belong to no task, if there are any. The frozen network costs a
            seed; the one of a user's module is stored whole, and is not counted.
        """
        check_is_fitted(self)
        return memory_table(self._tasks, self.impressions_)

    def mask(self, impression: int) -> list[np.ndarray]:
        """Return the masks of an impression.

        Parameters
        ----------
        impression : int
            Position in ``impressions_``.

        Returns
        -------
        masks : list of bool ndarray
            For each layer, in the shapes of ``mask_shapes_``.

        Raises
        ------
        ValueError
            If there is no such impression.
        """
        check_is_fitted(self)
        if not is_integer(impression) or impression not in range(self.n_impressions_):
            raise ValueError(
                "impression must be a position in impressions_, from 0 to "
                f"{self.n_impressions_ - 1}. Got {impression!r} instead."
            )
        packed = self.impressions_[impression]
        return [
            unpack_mask(bits, shape).astype(bool)
            for bits, shape in zip(packed, self.mask_shapes_, strict=True)
        ]

    def task_module(self, task: Any) -> torch.nn.Module:
        """Return the network of a task as a plain torch module.

        Parameters
        ----------
        task : str or int
            Task.

        Returns
        -------
        module : torch.nn.Module
            A copy with the effective weights as frozen parameters, in evaluation mode.
            It gives all outputs; those of the task's classes come first.
        """
        check_is_fitted(self)
        own = self._tasks[self._position(task)]
        module = self._runner.fresh_module(own, self.impressions_)
        for layer in self._backbone.layers(module):
            weight = layer.__dict__.pop("weight")
            layer.weight = torch.nn.Parameter(weight, requires_grad=False)
        return module


def _names(names: list[Any]) -> np.ndarray:
    """Return names as an array: of their own type where they have one."""
    if len({type(name) for name in names}) == 1 and isinstance(names[0], str | int):
        return np.array(names)
    array = np.empty(len(names), dtype=object)
    array[:] = names
    return array
