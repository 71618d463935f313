"""Prune in several steps, each with models trained on the rows that are left."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from sklvyso.data_pruning import _inputs, _measuring
from sklvyso.data_pruning._choosing import Choice, choose
from sklvyso.data_pruning._measurements import Measurements
from sklvyso.data_pruning._measuring import Extras, Models, Numbers
from sklvyso.data_pruning._schedule import pruning_sizes


def choose_by_steps(
    settings: Any,
    data: _inputs.PruningData,
    extras: Extras,
    numbers: Numbers,
    known: Measurements,
    n_select: int,
) -> tuple[Measurements, Models, Choice]:
    """Measure and choose again and again, from all rows down to ``n_select``.

    Parameters
    ----------
    settings : DRoPSampler
        Its parameters are read.
    data : PruningData
        All rows.
    extras : Extras
        What came with them.
    numbers : Numbers
        Sources of seeds.
    known : Measurements
        Classes and groups of all rows.
    n_select : int
        Rows to keep in the end.

    Returns
    -------
    measured : Measurements
        Of all rows, with what the last step measured: scores are NaN for rows that
        were gone by then.
    models : Models
        Of the last step.
    choice : Choice
        Positions among all rows.
    """
    n_rows = len(data.y)
    sizes = pruning_sizes(
        n_rows, n_select / n_rows, settings.n_steps, schedule=settings.schedule
    )
    # A step that drops no row would train for nothing.
    sizes = np.unique(sizes)[::-1]
    left = np.arange(n_rows)
    for n_kept in tqdm(
        sizes, desc="DRoPSampler steps", unit="step", disable=not settings.verbose
    ):
        part = data.subset(left)
        start = replace(
            known,
            classes=part.classes,
            class_codes=part.class_codes,
            group_names=part.group_names,
            codes=part.codes,
        )
        here = _subset(extras, left, settings)
        measured, models = _measuring.measure(settings, part, here, numbers, start)
        choice = choose(settings, measured, int(n_kept))
        before, left = left, left[choice.rows]
    scores = None
    if measured.scores is not None:
        scores = np.full(n_rows, np.nan)
        scores[before] = measured.scores
    place = np.searchsorted(known.group_names, measured.group_names)
    whole = Choice(
        np.bincount(known.codes[left], minlength=len(known.group_names)),
        left,
        _spread(choice.recalls, place, len(known.group_names)),
        _spread(choice.errors, place, len(known.group_names)),
    )
    return replace(known, scores=scores, dynamics=measured.dynamics), models, whole


def _subset(extras: Extras, rows: np.ndarray, settings: Any) -> Extras:
    part = copy.copy(extras)
    scores = extras.scores
    if scores is None and _measuring.scored_by(settings, extras) == "array":
        scores = settings.scorer
    part.scores = None if scores is None else np.asarray(scores)[rows]
    part.features = None if extras.features is None else extras.features[rows]
    return part


def _spread(values: np.ndarray, place: np.ndarray, n_groups: int) -> np.ndarray:
    """Return one value a group of all rows; NaN for those that are gone."""
    spread = np.full(n_groups, np.nan)
    spread[place] = values
    return spread
