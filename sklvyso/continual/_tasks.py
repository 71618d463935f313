"""What is stored of each task, and what it takes."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sklvyso.continual._backbone import norm_bytes
from sklvyso.continual._combination import Impression, one_hot

MASK, COEFFICIENTS = "mask", "coefficients"


@dataclass(frozen=True)
class Task:
    """A learned task. Never changed in place: others may hold it.

    Attributes
    ----------
    name : object
        What the user calls it.
    classes : ndarray of shape (n_classes,)
        Labels in the order of their outputs.
    position : int
        How many tasks had been learned before; decides its random numbers.
    coef : ndarray of shape (L, m) or (1, m), float32, or None
        Coefficients of the first m impressions; one row where all layers share it. None
        for a task with a mask of its own.
    mask : int or None
        Position of its own mask among the impressions.
    output_mask : ndarray of uint8 or None
        Packed mask of the output layer alone.
    buffers : dict of str to ndarray
        Statistics of normalisation layers.
    loss_curve : ndarray of shape (n_epochs,)
        Training loss of each epoch.
    scores : dict of str to float
        Validation accuracies that decided between coefficients and a mask.
    n_trainings : int
        How often it was trained.
    """

    name: Any
    classes: np.ndarray
    position: int
    coef: np.ndarray | None = None
    mask: int | None = None
    output_mask: np.ndarray | None = None
    buffers: dict[str, np.ndarray] = field(default_factory=dict)
    loss_curve: np.ndarray = field(default_factory=lambda: np.empty(0))
    scores: dict[str, float] = field(default_factory=dict)
    n_trainings: int = 1

    @property
    def kind(self) -> str:
        """``"mask"`` or ``"coefficients"``."""
        return COEFFICIENTS if self.coef is not None else MASK

    def coefficients(self, n_layers: int, n_masks: int) -> np.ndarray:
        """Return its coefficients for all layers and impressions, shape (L, n)."""
        if self.coef is None:
            return one_hot(n_layers, n_masks, self.mask)  # type: ignore[arg-type]
        coef = np.zeros((n_layers, n_masks), dtype=np.float32)
        coef[:, : self.coef.shape[1]] = self.coef
        if self.output_mask is not None:
            coef[-1] = 0.0
        return coef


def without_task(
    tasks: Sequence[Task],
    impressions: Sequence[Impression],
    name: Any,
    *,
    keeps_all: bool = False,
) -> tuple[list[Task], list[Impression]]:
    """Forget a task, and the masks that no task has or combines any more.

    Parameters
    ----------
    tasks : sequence of Task
        All tasks.
    impressions : sequence of list of ndarray
        All masks.
    name : object
        Task to forget.
    keeps_all : bool, default=False
        Whether masks that no task uses yet are meant to be used later.

    Returns
    -------
    tasks : list of Task
        The others; positions of masks are those in the new list.
    impressions : list of list of ndarray
        Masks that are still needed.
    """
    gone = next(task for task in tasks if task.name == name)
    left = [task for task in tasks if task is not gone]
    n_combined = max((t.coef.shape[1] for t in left if t.coef is not None), default=0)
    owned = {task.mask for task in left}
    kept = [i for i in range(len(impressions)) if keeps_all or i in owned]
    kept = sorted({*kept, *range(n_combined)})
    place = {old: new for new, old in enumerate(kept)}
    moved = [
        task if task.mask is None else replace(task, mask=place[task.mask])
        for task in left
    ]
    return moved, [impressions[i] for i in kept]


def memory_table(
    tasks: Sequence[Task], impressions: Sequence[Impression]
) -> dict[str, np.ndarray]:
    """Return the bytes that each task takes, as columns.

    Parameters
    ----------
    tasks : sequence of Task
        All tasks.
    impressions : sequence of list of ndarray
        All masks.

    Returns
    -------
    table : dict of str to ndarray of shape (n_rows,)
        ``task``, ``kind``, ``mask_bytes``, ``coef_bytes``, ``norm_bytes`` and
        ``total_bytes``. A last row of kind ``"impressions"`` holds masks that belong
        to no task, if there are any.
    """
    owned = {task.mask for task in tasks if task.mask is not None}
    rows: list[tuple] = []
    for task in tasks:
        own = _bytes_of(impressions[task.mask]) if task.mask is not None else 0
        own += 0 if task.output_mask is None else task.output_mask.nbytes
        coef = 0 if task.coef is None else task.coef.nbytes
        rows.append((task.name, task.kind, own, coef, norm_bytes(task.buffers)))
    common = [m for i, m in enumerate(impressions) if i not in owned]
    if common:
        rows.append((None, "impressions", sum(map(_bytes_of, common)), 0, 0))
    names, kinds, *counts = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    labels = np.empty(len(names), dtype=object)
    labels[:] = names
    columns = dict(
        zip(
            ("mask_bytes", "coef_bytes", "norm_bytes"),
            (np.array(count, dtype=np.int64) for count in counts),
            strict=True,
        )
    )
    return {
        "task": labels,
        "kind": np.array(kinds, dtype=object),
        **columns,
        "total_bytes": sum(columns.values(), np.zeros(len(names), dtype=np.int64)),
    }


def _bytes_of(masks: Impression) -> int:
    return sum(bits.nbytes for bits in masks)
