"""A new task of the stream, or one that goes on: which way it is learned."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sklvyso.continual._combination import Impression
from sklvyso.continual._learning import Learned, Learner, Rows
from sklvyso.continual._tasks import MASK, Task

# Purposes of random numbers of a task.
_FIRST, _TRIAL, _FURTHER = 0, 1, 2


def add_task(
    learner: Learner, task: Task, rows: Rows, impressions: Sequence[Impression]
) -> tuple[Task, list[Impression], Learned]:
    """Learn a new task by a mask or by coefficients.

    Parameters
    ----------
    learner : Learner
        Its settings tell which.
    task : Task
        Name, classes and position.
    rows : Rows
        Of the task.
    impressions : sequence of list of ndarray
        Masks so far; not changed.

    Returns
    -------
    task : Task
        With what was learned.
    impressions : list of list of ndarray
        Masks now.
    learned : Learned
        Of the task, with the net that trained.
    """
    settings, masks = learner.settings, list(impressions)
    if settings.impressions == "random" and not masks:
        masks = learner.random_impressions(settings.n_impressions)
    n_missing = settings.n_impressions - len(masks)
    wants_mask = n_missing > 0
    scores: dict[str, float] = {}
    if not wants_mask and _may_add_mask(settings, masks):
        wants_mask = settings.new_task == "mask"
        if settings.new_task == "auto":
            key = task.position, _TRIAL
            wants_mask, scores = learner.wants_mask(rows, masks, key, _label(task))
    if wants_mask:
        is_source_of_all = n_missing > 0 and settings.impressions == "homogeneous"
        found = [
            learner.learn_mask(rows, (task.position, _FIRST, number), _label(task))
            for number in range(n_missing if is_source_of_all else 1)
        ]
        learned = found[0]
        task = replace(task, mask=len(masks))
        masks += [one.masks for one in found if one.masks is not None]
    else:
        key = task.position, _FIRST
        if len(masks) == 1:
            warnings.warn(
                "With one impression coefficients only rescale layers: a new task is "
                "no better than the old mask. Increase n_impressions.",
                UserWarning,
                stacklevel=5,  # where the user calls fit or partial_fit
            )
        learned = learner.learn_coefficients(rows, masks, key, _label(task))
        task = replace(task, coef=learned.coef, output_mask=learned.output_mask)
    task = replace(
        task, buffers=learned.buffers, loss_curve=learned.loss_curve, scores=scores
    )
    return task, masks, learned


def go_on(
    learner: Learner,
    task: Task,
    rows: Rows,
    impressions: Sequence[Impression],
    *,
    refines: bool,
) -> tuple[Task, Learned]:
    """Train a known task further, by coefficients of the masks that it knows.

    Parameters
    ----------
    learner : Learner
        Trains.
    task : Task
        With its classes now.
    rows : Rows
        Of the task.
    impressions : sequence of list of ndarray
        All masks; they stay.
    refines : bool
        Whether a task with a mask of its own may become a combination.

    Returns
    -------
    task : Task
        With what was learned.
    learned : Learned
        With the net that trained.

    Raises
    ------
    ValueError
        If the task has a mask of its own, and is not to be refined.
    """
    settings, output_mask, coef = learner.settings, task.output_mask, task.coef
    if task.kind == MASK and not refines:
        raise ValueError(
            f"Task {task.name!r} is known and has a mask of its own, which other "
            "tasks may combine. Use on_known_task='refine' to go on with "
            "coefficients, another name for another task, or remove_task first."
        )
    if coef is None:
        coef = task.coefficients(len(learner.backbone.weights), len(impressions))
        coef = coef if settings.coef_scope == "layer" else coef[:1]
        if settings.dedicated_output:
            output_mask = impressions[task.mask][-1]  # type: ignore[index]
    masks = impressions[: coef.shape[1]]
    if len(masks) == 1:
        warnings.warn(
            f"Task {task.name!r} is known and hardly learns from these rows: its mask "
            "is frozen, and coefficients of one mask only rescale layers. All rows of "
            "a task belong into one call: learn it anew by fit, or by remove_task and "
            "partial_fit where there are others; another task needs another name.",
            UserWarning,
            stacklevel=5,  # where the user calls partial_fit
        )
    learned = learner.learn_coefficients(
        rows,
        masks,
        (task.position, _FURTHER, task.n_trainings),
        _label(task),
        start=coef,
        output_mask=output_mask,
        buffers=task.buffers,
    )
    new = replace(
        task,
        coef=learned.coef,
        mask=None,
        output_mask=learned.output_mask,
        buffers=task.buffers | learned.buffers,
        loss_curve=np.concatenate([task.loss_curve, learned.loss_curve]),
        n_trainings=task.n_trainings + 1,
    )
    return new, learned


def _may_add_mask(settings: Any, masks: list[Impression]) -> bool:
    bound = settings.max_impressions
    return settings.new_task != "coefficients" and (bound is None or len(masks) < bound)


def _label(task: Task) -> str:
    return f"task {task.name} "
