"""From measurements and parameters to quotas and rows; trains nothing."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from sklvyso.data_pruning import _inputs
from sklvyso.data_pruning._choosers import (
    Chooser,
    CoverageChooser,
    RandomChooser,
    ScoreChooser,
)
from sklvyso.data_pruning._measurements import Measurements
from sklvyso.data_pruning._quotas import (
    balanced_quotas,
    drop_quotas,
    uniform_quotas,
)
from sklvyso.data_pruning._recalls import smoothed_errors
from sklvyso.data_pruning._row_scores import scorer_options
from sklvyso.data_pruning._rules import (
    GLOBAL_RULES,
    choose_rows,
    global_selection,
    normalized_quotas,
    select_rows,
)


@dataclass
class Choice:
    """Quotas and rows.

    Attributes
    ----------
    quotas : ndarray of int of shape (n_groups,)
        Kept rows of each class or group.
    rows : ndarray of int64
        Ascending positions of the kept rows.
    recalls, errors : ndarray of shape (n_groups,)
        What the quotas rest on; NaN where nothing was measured.
    """

    quotas: np.ndarray
    rows: np.ndarray
    recalls: np.ndarray
    errors: np.ndarray


def choose(
    settings: Any, measured: Measurements, n_select: int | None = None
) -> Choice:
    """Choose rows.

    Parameters
    ----------
    settings : DRoPSampler
        Its parameters are read.
    measured : Measurements
        Of the training rows.
    n_select : int or None, default=None
        Rows to keep, instead of what ``density`` says.

    Returns
    -------
    choice : Choice
        Its size is exact, unless a dict or a callable says otherwise.
    """
    _check_scorer(settings, measured)
    recalls, errors = _recalls_and_errors(settings, measured)
    quotas = fixed_quotas(settings, measured)
    chooser = make_chooser(settings, measured)
    rows = None
    if quotas is None:
        if n_select is None:
            n_select = target_size(settings, measured.counts)
        if settings.quota in GLOBAL_RULES:
            rows, quotas = _by_global_rule(settings, measured, chooser, n_select)
        else:
            quotas = _quotas(settings, measured, errors, recalls, n_select)
        if settings.quota == "strategyq":
            chooser = None
    if rows is None:
        rows = _rows(measured, quotas, chooser)
    return Choice(quotas, rows, recalls, errors)


def _check_scorer(settings, measured) -> None:
    """Refuse scores other than those that ``scorer`` asks for.

    The default, ``"random"``, stands for whatever was measured: scores may have come as
    metadata or from a file.
    """
    wanted = settings.scorer
    if isinstance(wanted, str):
        wanted = "aum" if wanted == "ccs" else wanted
    else:
        wanted = "callable" if callable(wanted) else "array"
    if wanted not in ("random", measured.scored_by):
        raise ValueError(
            f"scorer must be the one that was measured, {measured.scored_by!r}, or be "
            f"left at 'random', which takes what there is. Got {settings.scorer!r}: "
            "call fit_resample to measure anew."
        )


def _rows(measured, quotas, chooser) -> np.ndarray:
    if chooser is not None:
        return choose_rows(measured.codes, quotas, chooser)
    rng = np.random.RandomState(measured.seed)
    return select_rows(measured.codes, quotas, rng)


def _recalls_and_errors(settings, measured):
    recalls = measured.recalls
    if settings.recalls is not None:
        recalls = _inputs.given_recalls(settings.recalls, measured.group_names)
    if recalls is not None:
        return recalls, 1.0 - recalls
    if measured.errors is None:
        nothing = np.full(len(measured.group_names), np.nan)
        return nothing, nothing.copy()
    with np.errstate(invalid="ignore"):  # a class may not have been asked about
        recalls = measured.errors.recalls
    if np.isnan(recalls).any():
        return recalls, np.full(len(recalls), np.nan)
    return recalls, smoothed_errors(measured.errors, settings.smoothing)


def make_chooser(settings: Any, measured: Measurements) -> Chooser | None:
    """Return what chooses rows inside a class; None chooses at random."""
    if measured.scored_by == "random":
        return None
    keep = effective_keep(settings)
    if measured.scored_by == "k_center":
        return measured.centers()
    if measured.scores is None:
        raise ValueError("scores are missing from the measurements.")
    if keep == "ccs":
        options = scorer_options(settings.scorer, keep, settings.scorer_params)
        return CoverageChooser(
            measured.scores, options["cutoff"], options["n_strata"], measured.seed
        )
    return ScoreChooser(measured.scores, keep)


def effective_keep(settings: Any) -> str:
    """Return ``keep``, which the scorer ``"ccs"`` implies."""
    is_ccs = isinstance(settings.scorer, str) and settings.scorer == "ccs"
    return "ccs" if is_ccs else settings.keep


def _by_global_rule(settings, measured, chooser, n_select):
    """Return rows and quotas of ``"auto"``; only quotas of the two others."""
    counts, codes = measured.counts, measured.codes
    least = {"min_per_class": settings.min_per_class}
    if settings.quota == "normalize":
        keep = effective_keep(settings)
        if measured.scores is None or keep == "ccs":
            raise ValueError(
                "quota='normalize' needs a score of each row, and keep='hardest', "
                f"'easiest' or 'middle'. Got scorer={settings.scorer!r} and "
                f"keep={keep!r} instead."
            )
        quotas = normalized_quotas(
            measured.scores, codes, counts, n_select, keep, **least
        )
        return None, quotas
    everywhere = RandomChooser(measured.seed) if chooser is None else chooser
    rows = global_selection(codes, counts, n_select, everywhere, **least)
    quotas = np.bincount(codes[rows], minlength=len(counts))
    return (rows if settings.quota == "auto" else None), quotas


def _quotas(settings, measured, errors, recalls, n_select):
    counts = measured.counts
    least = {"min_per_class": settings.min_per_class}
    if settings.quota == "drop" and np.isnan(errors).any():
        raise ValueError(
            "quota='drop' needs the recall of each class, and the sampler was fitted "
            "without. Call fit_resample with quota='drop', or resample with recalls."
        )
    if callable(settings.quota):
        return _inputs.check_quotas(
            settings.quota(recalls.copy(), counts.copy(), n_select), counts
        )
    if settings.quota == "uniform":
        return uniform_quotas(counts, n_select, **least)
    if settings.quota == "balanced":
        return balanced_quotas(counts, n_select, **least)
    return drop_quotas(
        1.0 - errors,
        counts,
        n_select,
        allocation=settings.allocation,
        uniform_mix=settings.uniform_mix,
        **least,
    )


def target_size(settings: Any, counts: np.ndarray) -> int:
    """Return how many rows ``density`` means.

    Parameters
    ----------
    settings : DRoPSampler
        Its parameters are read.
    counts : ndarray of int of shape (n_groups,)
        Rows of each class or group.

    Returns
    -------
    n_select : int
        Rows to keep.

    Raises
    ------
    ValueError
        If they are more than there are, or fewer than the classes need.
    """
    n_rows = int(counts.sum())
    density = settings.density
    if isinstance(density, Integral) and not isinstance(density, bool):
        # 1 as an integer would be one row; nobody means that.
        n_select = n_rows if density == 1 else int(density)
    else:
        # 0.145 * 100 is 14.499999999999998 in binary
        n_select = math.floor(round(density * n_rows, 9) + 0.5)
    if callable(settings.quota):  # it may keep what it wants
        return min(max(n_select, 1), n_rows)
    least = sum(min(settings.min_per_class, count) for count in counts.tolist())
    if not max(least, 1) <= n_select <= n_rows:
        raise ValueError(
            f"density must keep between {max(least, 1)} rows "
            f"(min_per_class={settings.min_per_class} of {len(counts)} classes) "
            f"and all {n_rows} rows. Got density={density!r}, that is "
            f"{n_select} rows."
        )
    return n_select


def fixed_quotas(settings: Any, measured: Measurements) -> np.ndarray | None:
    """Return the quotas that the user gave by number, else None."""
    wanted, name = settings.sampling_strategy, "sampling_strategy"
    if callable(wanted):
        wanted = wanted(measured.y)
        if not isinstance(wanted, dict):
            raise ValueError(
                "sampling_strategy must return a dict of labels and numbers. It "
                f"returned {wanted!r}."
            )
    if isinstance(wanted, str):
        wanted, name = settings.quota, "quota"
    if not isinstance(wanted, dict):
        return None
    quotas = measured.counts.copy()
    position = {label: i for i, label in enumerate(measured.group_names.tolist())}
    for label, number in wanted.items():
        key = label.item() if isinstance(label, np.generic) else label
        if key not in position:
            raise ValueError(
                f"{name} must name classes or groups of the data, "
                f"{list(position)}. Got {label!r}."
            )
        here = position[key]
        if not isinstance(number, int | np.integer) or not 0 <= number <= quotas[here]:
            raise ValueError(
                f"{name} of class {label!r} must be an integer from 0 to "
                f"{quotas[here]}, its number of rows. Got {number!r} instead."
            )
        quotas[here] = number
    if not quotas.any():
        raise ValueError(f"{name} must keep at least one row. Got {wanted!r}.")
    return quotas


def asks_recalls(settings: Any) -> bool:
    """Say whether the quotas rest on recalls that have to be measured."""
    return (
        settings.sampling_strategy == "auto"
        and settings.recalls is None
        and (settings.quota == "drop" or callable(settings.quota))
    )
