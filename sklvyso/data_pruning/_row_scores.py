"""Scores of rows by name: which model they need, how it is trained, what it yields."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import delayed
from tqdm.auto import tqdm

from sklvyso._parallel import run_jobs
from sklvyso.data_pruning._gradient_norms import grand
from sklvyso.data_pruning._scores import el2n, prototype_distance
from sklvyso.data_pruning._training_dynamics import TrainingDynamics, fit_recorded
from sklvyso.networks import (
    NetworkClassifier,
    SkorchClassifier,
    dropout_layers,
    dropout_probabilities,
    final_step,
    logits_module,
    penultimate_features,
    scoring_batches,
    set_seeds,
)
from sklvyso.selection import bald, entropy, least_confidence, margin

# Rows whose gradients are computed between two looks at the data.
_GRADIENT_ROWS = 8192


@dataclass(frozen=True)
class Scorer:
    """What a score is computed from.

    Attributes
    ----------
    source : {"nothing", "proba", "gradients", "dynamics", "features", "samples"}
        What the model yields.
    options : dict
        Keys of ``scorer_params`` and their defaults.
    """

    source: str
    options: dict[str, Any] = field(default_factory=dict)


_COVERAGE = {"cutoff": 0.1, "n_strata": 50}
SCORERS = {
    "random": Scorer("nothing"),
    # A tenth of the training, as in the paper.
    "el2n": Scorer("proba", {"epochs": 0.1}),
    "grand": Scorer("gradients", {"epochs": 0.1}),
    "forgetting": Scorer("dynamics", {"never_learned": "hardest"}),
    "dynamic_uncertainty": Scorer("dynamics", {"window": 10}),
    "aum": Scorer("dynamics"),
    "ccs": Scorer("dynamics", _COVERAGE),
    "prototype": Scorer("features", {"epochs": 1.0}),
    "k_center": Scorer("features", {"epochs": 1.0}),
    "least_confidence": Scorer("proba", {"epochs": 1.0}),
    "margin": Scorer("proba", {"epochs": 1.0}),
    "entropy": Scorer("proba", {"epochs": 1.0}),
    "bald": Scorer("samples", {"epochs": 1.0, "n_samples": 10}),
}
_OF_PROBA: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "el2n": el2n,
    "least_confidence": lambda proba, codes: least_confidence(proba),
    "margin": lambda proba, codes: margin(proba),
    "entropy": lambda proba, codes: entropy(proba),
}
_OPTION_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "epochs": (
        "a share of max_epochs in (0, 1] as a float, or a number of epochs >= 1 as an "
        "int",
        lambda value: value >= 1 if _is_int(value) else 0 < float(value) <= 1,
    ),
    "window": ("an int >= 2", lambda value: _is_int(value) and value >= 2),
    "never_learned": ("'hardest' or 'zero'", lambda v: v in ("hardest", "zero")),
    "cutoff": ("a float in [0, 1)", lambda value: 0 <= value < 1),
    "n_strata": ("an int >= 1", lambda value: _is_int(value) and value >= 1),
    "n_samples": ("an int >= 2", lambda value: _is_int(value) and value >= 2),
}


def _is_int(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def scorer_options(
    scorer: Any, keep: str, given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the options of a scorer, checked and with defaults.

    Parameters
    ----------
    scorer : str, callable or array-like
        As in DRoPSampler.
    keep : str
        As in DRoPSampler; ``"ccs"`` has options of its own.
    given : mapping or None
        ``scorer_params``.

    Returns
    -------
    options : dict
        One value for each option that acts.

    Raises
    ------
    ValueError
        If an option is unknown or out of range.
    """
    defaults = dict(SCORERS[scorer].options) if isinstance(scorer, str) else {}
    if keep == "ccs":
        defaults |= _COVERAGE
    unknown = sorted(set(given or {}) - set(defaults), key=str)
    if unknown:
        name = scorer if isinstance(scorer, str) else type(scorer).__name__
        raise ValueError(
            f"scorer_params must name options of scorer={name!r} with keep={keep!r}, "
            f"which are {sorted(defaults)}. Got {unknown} too."
        )
    for key, value in (given or {}).items():
        rule, holds = _OPTION_RULES[key]
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not (is_number or key == "never_learned") or not holds(value):
            raise ValueError(
                f"scorer_params[{key!r}] must be {rule}. Got {value!r} instead."
            )
    return defaults | dict(given or {})


def is_network(model: Any) -> bool:
    """Say whether an adopted estimator ends in a torch network."""
    return isinstance(final_step(model), NetworkClassifier | SkorchClassifier)


def check_model(
    name: str, model: Any, score_from: str, options: Mapping[str, Any]
) -> None:
    """Refuse a scorer that the model cannot serve, before anything is trained.

    Parameters
    ----------
    name : str
        Scorer.
    model : estimator
        Adopted.
    score_from : {"training", "held_out"}
        Which models score.
    options : mapping
        ``scorer_params`` as given.

    Raises
    ------
    TypeError
        If it has no network or no probabilities.
    ValueError
        If the score cannot come from rows that were not trained on.
    """
    source = SCORERS[name].source
    last = type(final_step(model)).__name__
    if source in ("gradients", "dynamics") and not is_network(model):
        what = {"gradients": "gradients", "dynamics": "the epochs of a training"}
        raise TypeError(
            f"scorer={name!r} rests on {what[source]}: estimator must be a "
            "NetworkClassifier, a skorch net, an nn.Module, or a Pipeline that ends in "
            f"one. Got {last}. Any classifier with predict_proba serves 'el2n', "
            "'margin', 'entropy' and 'least_confidence'."
        )
    if source in ("proba", "samples") and not hasattr(model, "predict_proba"):
        raise TypeError(
            f"scorer={name!r} rests on probabilities: estimator must have "
            f"predict_proba. Got {last}, which has none."
        )
    if source == "dynamics":
        _check_training(name, final_step(model), options)
    if score_from == "held_out" and source not in ("proba", "samples"):
        raise ValueError(
            f"score_from must be 'training' or 'auto' for scorer={name!r}, which is "
            f"computed on the rows of its own training. Got {score_from!r} instead."
        )


def _check_training(name: str, last: Any, options: Mapping[str, Any]) -> None:
    """Refuse a training of which no such record can come."""
    is_ours = isinstance(last, NetworkClassifier)
    if is_ours and last.early_stopping:
        raise ValueError(
            f"estimator must train on all rows for scorer={name!r}, so that each has "
            "its record. Got early_stopping=True, which holds some out: set it to "
            "False."
        )
    n_epochs = last.max_epochs if is_ours else last.net.max_epochs
    window = options.get("window", SCORERS["dynamic_uncertainty"].options["window"])
    if name == "dynamic_uncertainty" and window > n_epochs:
        raise ValueError(
            f"scorer_params['window'] must be at most max_epochs={n_epochs} of the "
            f"estimator. Got {window!r}: train longer, or pass scorer_params="
            f"{{'window': {max(2, n_epochs // 2)}}}."
        )


def shortened(model: Any, epochs: float) -> Any:
    """Return a network, in place, that trains for a share or number of epochs.

    Parameters
    ----------
    model : estimator
        Unfitted; ends in a network.
    epochs : float or int
        Share of its ``max_epochs``, or their number. Learning-rate drops at given
        epochs move along, as in the reference code.

    Returns
    -------
    model : estimator
        The same.
    """
    last = final_step(model)
    is_ours = isinstance(last, NetworkClassifier)
    full = last.max_epochs if is_ours else last.net.max_epochs
    n_epochs = int(epochs) if isinstance(epochs, Integral) else int(epochs * full)
    n_epochs = max(1, n_epochs)
    if not is_ours:
        return _set(last, model, net=clone(last.net).set_params(max_epochs=n_epochs))
    schedule = last.lr_schedule
    if isinstance(schedule, dict):
        schedule = _scaled_schedule(schedule, n_epochs / full)
    return _set(last, model, max_epochs=n_epochs, lr_schedule=schedule)


def _set(last: Any, model: Any, **params: Any) -> Any:
    last.set_params(**params)
    return model


def _scaled_schedule(schedule: dict, factor: float) -> dict:
    scaled = dict(schedule)
    if "milestones" in scaled:  # those below 1 are shares already
        scaled["milestones"] = [
            value if value < 1 else max(1, int(value * factor))
            for value in scaled["milestones"]
        ]
    if "step_size" in scaled:
        scaled["step_size"] = max(1, int(scaled["step_size"] * factor))
    return scaled


def last_step_input(model: Any, rows: Any) -> tuple[Any, Any]:
    """Return the last step of a fitted model and the rows as it sees them."""
    if not isinstance(model, Pipeline):
        return model, rows
    inner, rows = model.steps[-1][1], model[:-1].transform(rows)
    return last_step_input(inner, rows)


def aligned_proba(model: Any, rows: Any, classes: np.ndarray) -> np.ndarray:
    """Return probabilities of all classes; 0 for those the model does not know.

    Parameters
    ----------
    model : classifier
        Fitted.
    rows : array-like
        What to predict.
    classes : ndarray of shape (n_classes,)
        Sorted; they hold those of the model.

    Returns
    -------
    proba : ndarray of shape (n, n_classes)
        Columns in the order of ``classes``.
    """
    proba = np.asarray(model.predict_proba(rows))
    known = np.asarray(getattr(model, "classes_", classes))
    if proba.ndim != 2 or proba.shape[1] != len(known):
        raise ValueError(
            "estimator must predict one probability a class. "
            f"{type(model).__name__}.predict_proba returned shape {proba.shape} for "
            f"{len(known)} classes."
        )
    if np.array_equal(known, classes):
        return proba
    wide = np.zeros((len(proba), len(classes)), dtype=proba.dtype)
    wide[:, np.searchsorted(classes, known)] = proba
    return wide


@dataclass
class RowScores:
    """Scores of all rows and what they came from.

    Attributes
    ----------
    scores : ndarray of shape (n,), dtype float64, or None
        Mean over the models.
    features : ndarray of shape (n, d) or None
        For k-center, which has no score of a row by itself.
    estimators : list
        The fitted models.
    dynamics : list of TrainingDynamics
        Where the score rests on them.
    """

    scores: np.ndarray | None
    features: np.ndarray | None = None
    estimators: list = field(default_factory=list)
    dynamics: list[TrainingDynamics] = field(default_factory=list)


def training_scores(
    name: str,
    model: Any,
    rows: Any,
    y: np.ndarray,
    codes: np.ndarray,
    classes: np.ndarray,
    *,
    options: dict[str, Any],
    n_query: int,
    rng: np.random.RandomState,
    n_jobs: int | None,
    verbose: int,
    fitted: Iterable[Any] = (),
) -> RowScores:
    """Train models on all rows and score the rows with them.

    Parameters
    ----------
    name : str
        Scorer.
    model : estimator
        Cloned for each fit; each None among its seeds is drawn from ``rng``.
    rows, y : array-like
        Training data.
    codes : ndarray of int of shape (n,)
        Positions of the labels in ``classes``.
    classes : ndarray of shape (n_classes,)
        Labels, sorted.
    options : dict
        Of the scorer.
    n_query : int
        Models; the scores are averaged. k-center takes one.
    rng : RandomState
        Source of all seeds.
    n_jobs, verbose : int
        Fits in parallel; whether to show a bar.
    fitted : iterable of estimators
        Models already trained on all rows, if they do.

    Returns
    -------
    result : RowScores
        Higher means harder.
    """
    n_models = 1 if name == "k_center" else n_query
    # Only networks can stop early; others have trained as long as they do.
    is_whole = options.get("epochs", 0) == 1.0 or not is_network(model)
    models = list(fitted)[:n_models] if is_whole else []
    is_fitted = bool(models)
    if not models:
        models = [set_seeds(clone(model), rng) for _ in range(n_models)]
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(models))
    calls = (
        delayed(_fit_and_score)(
            name, one, rows, y, codes, classes, options, int(seed), is_fitted
        )
        for one, seed in zip(models, seeds, strict=True)
    )
    results = run_jobs(calls, n_jobs)
    if verbose:
        results = tqdm(
            results, total=len(models), desc=f"DRoPSampler {name}", unit="fit"
        )
    estimators, outputs, dynamics = zip(*results, strict=True)
    return RowScores(
        scores=None if name == "k_center" else mean_score(name, outputs),
        features=outputs[0] if name == "k_center" else None,
        estimators=list(estimators),
        dynamics=[record for record in dynamics if record is not None],
    )


def mean_score(name: str, outputs: Any) -> np.ndarray:
    """Average scores over models; a committee's probabilities become BALD."""
    if outputs[0].ndim == 1:
        return np.asarray(np.mean(outputs, axis=0, dtype=np.float64))
    if len(outputs) < 2:
        raise ValueError(
            f"scorer={name!r} needs a network with dropout, or a committee: n_query "
            "must be >= 2 for an estimator without dropout. Got n_query=1 instead."
        )
    return bald(np.stack(outputs))


def _fit_and_score(name, model, rows, y, codes, classes, options, seed, is_fitted):
    """Fit one model unless it is; return it, its output, and its record if any."""
    source = SCORERS[name].source
    if source == "dynamics":
        dynamics, model = fit_recorded(model, rows, y)
        names = SCORERS[name].options
        own = {key: options[key] for key in names if key not in _COVERAGE}
        return model, dynamics.scores(name, **own), dynamics
    if not is_fitted:
        model = _fit(name, model, rows, y, options)
    if source == "gradients":
        return model, _gradient_norms(model, rows, y), None
    if source == "features":
        Z = own_features(model, rows)
        return model, Z if name == "k_center" else prototype_distance(Z, codes), None
    if source == "samples" and is_network(model):
        last, inputs = last_step_input(model, rows)
        if dropout_layers(last.module_):
            samples = dropout_probabilities(
                last, inputs, n_samples=options["n_samples"], seed=seed
            )
            return model, bald(samples), None
    return model, row_output(name, model, rows, codes, classes), None


def _fit(name, model, rows, y, options):
    if not is_network(model):
        if SCORERS[name].source == "features":
            # The rows as the last step sees them: it need not be trained for that.
            has_steps = isinstance(model, Pipeline) and len(model) > 1
            return model[:-1].fit(rows, y) if has_steps else model
        return model.fit(rows, y)
    return shortened(model, options["epochs"]).fit(rows, y)


def row_output(
    name: str, model: Any, rows: Any, codes: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """Return scores from probabilities, or for BALD the probabilities themselves."""
    proba = aligned_proba(model, rows, classes)
    return proba if name == "bald" else _OF_PROBA[name](proba, codes)


def own_features(model: Any, rows: Any) -> np.ndarray:
    """Return penultimate features of a network; of others what the last step sees."""
    if is_network(model):
        return penultimate_features(*last_step_input(model, rows))
    if isinstance(model, Pipeline):
        steps = model[:-1] if hasattr(model.steps[-1][1], "predict") else model
        rows = steps.transform(rows) if len(steps) else rows
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    values = np.asarray(rows)
    if values.dtype.kind not in "fiub":
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise type(error)(
                "X must be numbers where features come from its columns: pass "
                "features, or an estimator with steps that make numbers of it "
                f"({error})."
            ) from error
    return values.reshape(len(values), -1)


def _gradient_norms(model: Any, rows: Any, y: np.ndarray) -> np.ndarray:
    last, inputs = last_step_input(model, rows)
    module = logits_module(last)
    batches = scoring_batches(last, inputs, y, batch_size=_GRADIENT_ROWS)
    return np.concatenate([grand(module, X, codes) for X, codes, _ in batches])
