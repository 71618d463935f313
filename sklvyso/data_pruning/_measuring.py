"""Measure recalls of classes and scores of rows: all the training that there is."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import joblib
import numpy as np

from sklvyso.data_pruning import _inputs
from sklvyso.data_pruning._choosers import as_scores
from sklvyso.data_pruning._choosing import asks_recalls, effective_keep
from sklvyso.data_pruning._measurements import Measurements
from sklvyso.data_pruning._query import default_query_model
from sklvyso.data_pruning._recalls import (
    HeldOutErrors,
    external_errors,
    held_out_errors,
    make_splits,
)
from sklvyso.data_pruning._row_scores import (
    SCORERS,
    RowScores,
    check_model,
    is_network,
    mean_score,
    row_output,
    scorer_options,
    training_scores,
)
from sklvyso.data_pruning._scores import prototype_distance
from sklvyso.networks import adopt_estimator

# Parameters that say how to choose, not what to measure.
CHOICES = (
    "density",
    "quota",
    "allocation",
    "keep",
    "smoothing",
    "uniform_mix",
    "min_per_class",
    "sampling_strategy",
    "recalls",
)
_NOT_MEASURED = (*CHOICES, "n_jobs", "verbose", "warm_start", "scorer_params")


@dataclass
class Extras:
    """What may come with the rows beside labels and groups; each may be None.

    Attributes
    ----------
    X_val, y_val, groups_val
        Validation rows.
    features : ndarray of shape (n, d)
        For prototypes and k-center.
    scores : ndarray of shape (n,)
        Instead of a scorer.
    """

    X_val: Any = None
    y_val: Any = None
    groups_val: Any = None
    features: Any = None
    scores: Any = None


@dataclass
class Numbers:
    """Sources of seeds, one for each purpose.

    So that scores do not depend on whether recalls were measured before.
    """

    recalls: np.random.RandomState
    scores: np.random.RandomState


@dataclass
class Models:
    """The models that were trained."""

    query: list = field(default_factory=list)
    score: list = field(default_factory=list)


def scored_by(settings: Any, extras: Extras) -> str:
    """Return what scores the rows: a scorer's name, ``"array"`` or ``"callable"``."""
    if extras.scores is not None:
        return "array"
    if isinstance(settings.scorer, str):
        # CCS chooses otherwise, by the same scores.
        return "aum" if settings.scorer == "ccs" else settings.scorer
    return "callable" if callable(settings.scorer) else "array"


def asks_models(settings: Any, extras: Extras) -> bool:
    """Say whether anything has to be trained."""
    return asks_recalls(settings) or _asks_score_models(settings, extras)


def _asks_score_models(settings, extras) -> bool:
    name = scored_by(settings, extras)
    if name not in SCORERS or SCORERS[name].source == "nothing":
        return False
    return extras.features is None or SCORERS[name].source != "features"


def check_scoring(settings: Any, extras: Extras) -> None:
    """Refuse parameters of the scores that contradict each other.

    Raises
    ------
    ValueError
        Naming both.
    """
    name, keep = scored_by(settings, extras), effective_keep(settings)
    if extras.scores is None:
        scorer_options(settings.scorer, keep, settings.scorer_params)
    if keep != "hardest" and name in ("random", "k_center"):
        raise ValueError(
            "keep says which scores are kept, and must be 'hardest' for "
            f"scorer={name!r}, which gives no row a score. Got keep={keep!r} instead."
        )
    is_ccs = isinstance(settings.scorer, str) and settings.scorer == "ccs"
    if is_ccs and settings.keep not in ("hardest", "ccs"):
        raise ValueError(
            "keep must be left alone with scorer='ccs', which is the scorer 'aum' with "
            f"keep='ccs'. Got keep={settings.keep!r} instead."
        )


def measure(
    settings: Any,
    data: _inputs.PruningData,
    extras: Extras,
    numbers: Numbers,
    known: Measurements,
) -> tuple[Measurements, Models]:
    """Train what is needed and return what it measured.

    Parameters
    ----------
    settings : DRoPSampler
        Its parameters are read.
    data : PruningData
        Training rows.
    extras : Extras
        What came with them.
    numbers : Numbers
        Sources of seeds.
    known : Measurements
        Of the same rows; what is in there is not measured again.

    Returns
    -------
    measured : Measurements
        With all that the parameters ask for.
    models : Models
        The models that were trained for it now.
    """
    name = scored_by(settings, extras)
    is_scored = known.scored_by == name and name != "random"
    is_scored = is_scored and (known.scores is not None or known.features is not None)
    wants_score = not is_scored and _asks_score_models(settings, extras)
    wants_recalls = asks_recalls(settings) and known.errors is None
    measured = replace(known, scored_by=name, recalls=None)
    if not is_scored:
        measured.scores = measured.features = measured._centers = None
        measured.dynamics = []
    if settings.recalls is not None:
        recalls = _inputs.given_recalls(settings.recalls, data.group_names)
        measured.recalls = recalls
    models = Models()
    model = rows = None
    if wants_score or wants_recalls:
        model, rows = query_model(settings, data)
    road = _road(settings, name, model) if wants_score else "training"
    is_external = extras.X_val is not None or extras.y_val is not None
    if not is_scored and not wants_score:  # first, as it may fail at once
        _score_without_models(settings, name, data, extras, measured)
    output = None
    if wants_score and road == "held_out":
        output = partial(_held_out_output, name, data.class_codes, data.classes)
    if wants_recalls and is_external:
        errors = _ask_external(settings, model, rows, data, extras, numbers.recalls)
        _take_errors(measured, models, errors, data.group_names)
        wants_recalls = False
    if wants_recalls or output is not None:
        errors = _ask_folds(settings, model, rows, data, numbers.recalls, output)
        if measured.errors is None:
            _take_errors(measured, models, errors, data.group_names, wants_recalls)
        if output is not None:
            measured.scores = _held_out_scores(name, errors.outputs)
    if not is_scored:
        if wants_score and road == "training":
            fitted = models.query if is_external else []
            result = _score(settings, name, model, rows, data, numbers.scores, fitted)
            models.score = result.estimators
            measured.scores, measured.features = result.scores, result.features
            measured.dynamics = result.dynamics
    if measured.scores is not None and not is_scored:
        measured.scores = as_scores(measured.scores, f"scorer={name!r}", len(data.y))
    return measured, models


def query_model(settings: Any, data: _inputs.PruningData) -> tuple[Any, Any]:
    """Return the unfitted model and the rows as it takes them."""
    if settings.estimator is None:
        return default_query_model(data.rows)
    model = adopt_estimator(settings.estimator, caller=type(settings).__name__)
    return model, _inputs.for_model(model, data.rows, data.image_shape)


def _road(settings, name, model) -> str:
    """Say whose predictions score a row: models trained on it, or not."""
    road = settings.score_from
    if road == "auto":
        # In-sample probabilities of a forest or a neighbour say nothing.
        is_wanted = SCORERS[name].source in ("proba", "samples")
        road = "held_out" if is_wanted and not is_network(model) else "training"
    if road == "held_out" and isinstance(settings.validation, float):
        raise ValueError(
            f"validation must be a number of folds or a splitter for scorer={name!r}, "
            "so that every row is held out once and scored by a model that has not "
            f"seen it. Got {settings.validation!r} instead."
        )
    shown = settings.scorer if isinstance(settings.scorer, str) else name
    check_model(shown, model, road, settings.scorer_params or {})
    return road


def _take_errors(measured, models, errors, group_names, wants_recalls=True) -> None:
    _check_asked(errors, group_names, wants_recalls)
    models.query = errors.estimators
    measured.errors = HeldOutErrors(errors.n_wrong, errors.n_asked, errors.n_rows)


def _how(settings, rng) -> dict[str, Any]:
    return {
        "n_query": settings.n_query,
        "rng": rng,
        "n_jobs": settings.n_jobs,
        "verbose": settings.verbose,
    }


def _ask_external(settings, model, rows, data, extras, rng) -> HeldOutErrors:
    X_val, y_val, codes_val = _inputs.validate_external(
        settings, data, extras.X_val, extras.y_val, extras.groups_val
    )
    X_val = _inputs.like(rows, _inputs.for_model(model, X_val, data.image_shape))
    return external_errors(
        model,
        rows,
        data.y,
        X_val,
        y_val,
        codes_val,
        len(data.group_names),
        **_how(settings, rng),
    )


def _ask_folds(settings, model, rows, data, rng, row_output) -> HeldOutErrors:
    strata = data.codes.astype(np.int64) * len(data.classes) + data.class_codes
    strata = np.unique(strata, return_inverse=True)[1]
    groups = data.group_names[data.codes] if data.by_group else None
    splits_of = partial(make_splits, settings.validation, rows, data.y, groups, strata)
    return held_out_errors(
        model,
        rows,
        data.y,
        data.codes,
        len(data.group_names),
        splits_of=splits_of,
        row_output=row_output,
        **_how(settings, rng),
    )


def _check_asked(errors, group_names, wants_recalls) -> None:
    unseen = group_names[errors.n_asked == 0].tolist()
    if unseen and wants_recalls:
        raise ValueError(
            f"There is no validation sample of class {unseen}, so that its recall "
            "is unknown. Add rows of it to X_val, use validation=5 (every row is "
            "validated once), or pass recalls."
        )


def _held_out_output(name, codes, classes, model, rows, positions):
    return row_output(name, model, rows, codes[positions], classes)


def _held_out_scores(name: str, outputs: list[np.ndarray]) -> np.ndarray:
    scores = mean_score(name, outputs)
    n_missing = int(np.isnan(scores).sum())
    if n_missing:
        raise ValueError(
            "score_from='held_out' needs every row held out once. validation left "
            f"{n_missing} of {len(scores)} rows unasked: use a number of folds, such "
            "as validation=5."
        )
    return scores


def _score(settings, name, model, rows, data, rng, fitted) -> RowScores:
    return training_scores(
        name,
        model,
        rows,
        data.y,
        data.class_codes,
        data.classes,
        options=scorer_options(name, effective_keep(settings), settings.scorer_params),
        n_query=settings.n_query,
        rng=rng,
        n_jobs=settings.n_jobs,
        verbose=settings.verbose,
        fitted=fitted,
    )


def _score_without_models(settings, name, data, extras, measured) -> None:
    """Take scores from arrays, a callable, or given features."""
    n_rows = len(data.y)
    if name == "array":
        parameter = "scorer" if extras.scores is None else "scores"
        given = settings.scorer if extras.scores is None else extras.scores
        measured.scores = as_scores(given, parameter, n_rows)
    elif name == "callable":
        values = settings.scorer(data.original, data.y)
        measured.scores = as_scores(values, "what scorer returns", n_rows)
    elif name == "prototype":
        measured.scores = prototype_distance(extras.features, data.class_codes)
    elif name == "k_center":
        measured.features = extras.features


def fingerprint(settings: Any, *arrays: Any) -> str | None:
    """Return a hash of data and of the parameters that measure; None without one."""
    params = {
        name: value
        for name, value in settings.get_params(deep=False).items()
        if name not in _NOT_MEASURED
    }
    own = settings.scorer_params or {}
    params["scorer_params"] = {
        key: value for key, value in own.items() if key not in ("cutoff", "n_strata")
    }
    if params["scorer"] == "ccs":
        params["scorer"] = "aum"
    try:
        return joblib.hash((params, arrays))
    except (pickle.PicklingError, TypeError, AttributeError):
        return None
