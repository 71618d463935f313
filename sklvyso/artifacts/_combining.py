"""From the experts' probabilities to one: corrupted or normal.

Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv 2011.15103.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import delayed
from sklearn.utils.validation import has_fit_parameter

from sklvyso._parallel import run_jobs

COMBINES = ("stack", "or", "max", "noisy_or", "mean")
_CLOSEST = 1e-3


def expert_logits(probabilities: np.ndarray) -> np.ndarray:
    """Return log odds of probabilities, which are kept 0.001 away from 0 and 1."""
    kept = np.clip(probabilities, _CLOSEST, 1 - _CLOSEST)
    return np.asarray(np.log(kept / (1 - kept)))


def stack_inputs(probabilities: np.ndarray, stack_method: str) -> np.ndarray:
    """Return what the final estimator sees of the experts: log odds, or 0 and 1."""
    if stack_method == "binary":
        return (probabilities >= 0.5).astype(np.float64)
    return expert_logits(probabilities)


def combine_probabilities(
    probabilities: np.ndarray, combine: str, stack_method: str, final_estimator: Any
) -> np.ndarray:
    """Return the probability that each frame is corrupted.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_artifacts)
        Of the experts.
    combine : {"stack", "or", "max", "noisy_or", "mean"}
        "or" is 1 where an expert says at least 0.5, otherwise 0.
    stack_method : {"proba", "binary"}
        See :func:`stack_inputs`.
    final_estimator : classifier
        Fitted; for "stack" only.

    Returns
    -------
    probability : ndarray of shape (n,), float64
        In [0, 1].
    """
    if combine == "stack":
        inputs = stack_inputs(probabilities, stack_method)
        return np.asarray(final_estimator.predict_proba(inputs)[:, 1])
    if combine == "or":
        return np.asarray((probabilities >= 0.5).any(axis=1), dtype=np.float64)
    if combine == "max":
        return probabilities.max(axis=1)
    if combine == "mean":
        return probabilities.mean(axis=1)
    return 1 - np.prod(1 - probabilities, axis=1)


def make_folds(
    Y: np.ndarray, groups: np.ndarray | None, source: np.ndarray, cv: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split rows so that no frame, and no game where games are known, is on both sides.

    Parameters
    ----------
    Y : ndarray of bool of shape (n, n_artifacts)
        What is on each row.
    groups : ndarray of int of shape (n,) or None
        The game of each row; of one game it is its blocks of frames that are split.
    source : ndarray of int of shape (n,)
        Number of the clean frame that a row comes from.
    cv : int
        Folds at most.
    seed : int
        Of the shuffling, where rows do not come from common frames.

    Returns
    -------
    folds : list of (train, test)
        Row numbers.
    """
    if groups is None and len(np.unique(source)) == len(source):
        strata = np.where(Y.any(axis=1), Y.argmax(axis=1) + 1, 0)
        smallest = int(np.bincount(np.unique(strata, return_inverse=True)[1]).min())
        n_splits = min(cv, max(2, smallest))
        splitter: Any = StratifiedKFold(n_splits, shuffle=True, random_state=seed)
        return list(splitter.split(strata, strata))
    keys = groups
    if keys is None or len(np.unique(keys)) < 2:
        # Neighbouring frames stay together.
        places = np.unique(source, return_inverse=True)[1]
        keys = places * min(4 * cv, places.max() + 1) // (places.max() + 1)
    n_splits = min(cv, len(np.unique(keys)))
    return list(GroupKFold(n_splits).split(keys, groups=keys))


def fit_expert(
    expert: Any, Z: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None
) -> Any:
    """Fit a clone of an expert, with weights where it takes them."""
    fitted = clone(expert)
    if sample_weight is None:
        return fitted.fit(Z, y)
    if isinstance(fitted, Pipeline):
        last = fitted.steps[-1][0]
        if has_fit_parameter(fitted[-1], "sample_weight"):
            return fitted.fit(Z, y, **{f"{last}__sample_weight": sample_weight})
        return fitted.fit(Z, y)
    if has_fit_parameter(fitted, "sample_weight"):
        return fitted.fit(Z, y, sample_weight=sample_weight)
    return fitted.fit(Z, y)


def positive_probability(expert: Any, Z: np.ndarray) -> np.ndarray:
    """Return an expert's probability of its artifact, 0 where it saw none."""
    classes = list(expert.classes_)
    if 1 not in classes:
        return np.zeros(len(Z))
    return expert.predict_proba(Z)[:, classes.index(1)]


def out_of_fold(
    jobs: Sequence[tuple[Any, np.ndarray, np.ndarray]],
    folds: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]],
    sample_weight: np.ndarray | None,
    n_jobs: int | None,
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (expert, rows, probability) for each expert and fold.

    Parameters
    ----------
    jobs : sequence of (expert, Z, y)
        One an artifact.
    folds : sequence of sequences of (train, test)
        Row numbers, for each expert.
    sample_weight : ndarray of shape (n,) or None
        Of the rows.
    n_jobs : int or None
        Fits in parallel.
    """
    tasks = [(k, fold) for k, own in enumerate(folds) for fold in own]
    calls = (
        delayed(_fold_probability)(*jobs[k], *fold, sample_weight) for k, fold in tasks
    )
    results = run_jobs(calls, n_jobs)
    for (k, (_, test)), probability in zip(tasks, results, strict=True):
        yield k, test, probability


def _fold_probability(
    expert: Any,
    Z: np.ndarray,
    y: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    sample_weight: np.ndarray | None,
) -> np.ndarray:
    weight = None if sample_weight is None else sample_weight[train]
    fitted = fit_expert(expert, Z[train], y[train], weight)
    return positive_probability(fitted, Z[test])
