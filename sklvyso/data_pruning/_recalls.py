"""Recalls on rows that the query model has not seen."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import delayed
from tqdm.auto import tqdm

from sklvyso._parallel import run_jobs
from sklvyso.networks import set_seeds

RowOutput = Callable[[Any, Any, np.ndarray], np.ndarray]


@dataclass
class HeldOutErrors:
    """Errors on held-out rows, counted by class or group.

    Attributes
    ----------
    n_wrong, n_asked : ndarray of shape (n_groups,), dtype float64
        Wrong answers and all answers on held-out rows, over all query models.
    n_rows : ndarray of shape (n_groups,), dtype float64
        Different rows that were asked about, which is what sampling noise goes by.
    estimators : list
        The fitted query models.
    outputs : list of ndarray of shape (n, ...)
        What was asked about each row beside its class, one array for each round of
        folds; NaN where no model held the row out.
    """

    n_wrong: np.ndarray
    n_asked: np.ndarray
    n_rows: np.ndarray
    estimators: list = field(default_factory=list)
    outputs: list = field(default_factory=list)

    @property
    def recalls(self) -> np.ndarray:
        """Share of right answers, shape (n_groups,)."""
        return 1.0 - self.n_wrong / self.n_asked

    @property
    def n_wrong_rows(self) -> np.ndarray:
        """Wrong answers in one asking of each row, shape (n_groups,)."""
        return self.n_wrong * self.n_rows / self.n_asked


def make_splits(
    validation: Any,
    X: Any,
    y: np.ndarray,
    groups: np.ndarray | None,
    strata: np.ndarray,
    seed: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split rows into training and validation parts.

    Parameters
    ----------
    validation : int, float or splitter
        Number of folds, share of one stratified hold-out, or a scikit-learn splitter.
    X, y, groups : array-like
        Data; only a splitter looks at them. ``groups`` may be None.
    strata : ndarray of int of shape (n,)
        What to stratify by.
    seed : int
        Of the shuffle.

    Returns
    -------
    splits : list of (training, validation) index arrays
        Folds in which a class is rarer than the folds are allowed: every row is
        validated once.

    Raises
    ------
    ValueError
        If the split cannot be made, or a splitter's parts are not usable.
    """
    if hasattr(validation, "split"):
        return _checked_splits(_seeded(validation, seed), X, y, groups)
    counts = np.bincount(strata)
    if isinstance(validation, float):
        if counts.min() < 2:
            lonely = np.unique(y[np.isin(strata, np.flatnonzero(counts < 2))]).tolist()
            raise ValueError(
                f"validation={validation} needs at least two rows of every class (in "
                f"every group). Got 1 of class {lonely}: use a number of folds, such "
                "as validation=5."
            )
        splitter = StratifiedShuffleSplit(1, test_size=validation, random_state=seed)
        try:
            return list(splitter.split(strata, strata))
        except ValueError as error:
            raise ValueError(
                f"validation={validation} cannot hold out a stratified part: {error} "
                "Use a number of folds, such as validation=5."
            ) from error
    n_folds = min(validation, counts.max())
    if n_folds < 2:
        raise ValueError(
            f"validation={validation} needs at least two rows of some class. Got at "
            "most 1 sample of each."
        )
    with warnings.catch_warnings():
        # A class rarer than the folds is what cross-validation is here for.
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        return list(folds.split(strata, strata))


def _seeded(splitter, seed: int):
    """Return a splitter whose shuffle, if any, has a seed; the user's is left alone."""
    shuffles = getattr(splitter, "shuffle", True)
    if not shuffles or getattr(splitter, "random_state", seed) is not None:
        return splitter
    splitter = copy.copy(splitter)
    splitter.random_state = seed
    return splitter


def _checked_splits(splitter, X, y, groups):
    """Take the parts of a user's splitter; none may be seen in training."""
    n_rows, splits = len(y), []
    often = {label for label, n in Counter(y.tolist()).items() if n > 1}
    try:
        pairs = [tuple(map(np.asarray, pair)) for pair in splitter.split(X, y, groups)]
    except TypeError as error:
        raise TypeError(
            "validation must be a splitter whose split(X, y, groups) yields pairs of "
            f"index arrays. Got {splitter!r}: {error}"
        ) from error
    for pair in pairs:
        if len(pair) != 2 or any(
            part.ndim != 1
            or part.dtype.kind not in "iu"
            or not len(part)
            or part.min() < 0
            or part.max() >= n_rows
            for part in pair
        ):
            raise ValueError(
                f"validation.split must yield pairs of index arrays within the {n_rows}"
                f" rows of X. Got {pair!r} instead."
            )
        training, held_out = pair
        if len(np.intersect1d(training, held_out)):
            raise ValueError(
                "validation must hold out rows that are not trained on. The parts of "
                f"{splitter!r} overlap: recalls on training rows say nothing."
            )
        missing = often - set(y[training].tolist())
        if missing:
            raise ValueError(
                f"validation must leave rows of each class to train on. {splitter!r} "
                f"trains without {sorted(missing, key=str)}: use StratifiedKFold("
                "shuffle=True) or an integer."
            )
        splits.append((training, held_out))
    if not splits:
        raise ValueError(f"validation must yield a split. {splitter!r} yields none.")
    return splits


def held_out_errors(
    estimator: Any,
    X: Any,
    y: np.ndarray,
    groups: np.ndarray,
    n_groups: int,
    *,
    splits_of: Callable[[int], list[tuple[np.ndarray, np.ndarray]]],
    n_query: int,
    rng: np.random.RandomState,
    n_jobs: int | None,
    verbose: int,
    row_output: RowOutput | None = None,
) -> HeldOutErrors:
    """Fit query models on parts of the rows and count errors on the others.

    Parameters
    ----------
    estimator : classifier
        Cloned for each split; each None among its seeds is drawn from ``rng``.
    X : array-like of shape (n, ...)
        Rows.
    y : ndarray of shape (n,)
        Labels.
    groups : ndarray of int of shape (n,)
        Code of the class or group by which errors are counted.
    n_groups : int
        Number of codes.
    splits_of : callable
        Seed to a list of (training, validation) index arrays.
    n_query : int
        How often to split and fit anew.
    rng : RandomState
        Source of all seeds.
    n_jobs : int or None
        Fits in parallel.
    verbose : int
        1 shows a bar over the fits.
    row_output : callable, default=None
        ``row_output(model, rows, positions)`` returns more about held-out rows, an
        array of one entry a row.

    Returns
    -------
    errors : HeldOutErrors
        Counts, fitted models, and outputs.
    """
    tasks = []
    for turn in range(n_query):
        for training, validation in splits_of(rng.randint(np.iinfo(np.int32).max)):
            model = set_seeds(clone(estimator), rng)
            tasks.append((turn, model, training, validation))
    calls = (
        delayed(_fit_and_check)(model, X, y, training, validation, row_output)
        for _, model, training, validation in tasks
    )
    errors = _no_errors(n_groups)
    is_asked = np.zeros(len(y), dtype=bool)
    results = _with_bar(run_jobs(calls, n_jobs), len(tasks), verbose)
    for (turn, _, _, validation), (model, wrong, output) in zip(
        tasks, results, strict=True
    ):
        errors.estimators.append(model)
        if output is not None:
            if turn == len(errors.outputs):
                shape = (len(y), *output.shape[1:])
                errors.outputs.append(np.full(shape, np.nan, output.dtype))
            errors.outputs[turn][validation] = output
        errors.n_wrong += np.bincount(groups[validation][wrong], minlength=n_groups)
        errors.n_asked += np.bincount(groups[validation], minlength=n_groups)
        is_asked[validation] = True
    errors.n_rows += np.bincount(groups[is_asked], minlength=n_groups)
    return errors


def external_errors(
    estimator: Any,
    X: Any,
    y: np.ndarray,
    X_val: Any,
    y_val: np.ndarray,
    groups_val: np.ndarray,
    n_groups: int,
    *,
    n_query: int,
    rng: np.random.RandomState,
    n_jobs: int | None,
    verbose: int,
) -> HeldOutErrors:
    """Fit query models on all rows and count errors on validation rows.

    Parameters and result are those of :func:`held_out_errors`; ``groups_val`` holds
    the codes of the validation rows.
    """
    models = [set_seeds(clone(estimator), rng) for _ in range(n_query)]
    calls = (delayed(_fit)(model, X, y) for model in models)
    errors = _no_errors(n_groups)
    for model in _with_bar(run_jobs(calls, n_jobs), n_query, verbose):
        wrong = _predict(model, X_val, len(y_val), y) != y_val
        errors.estimators.append(model)
        errors.n_wrong += np.bincount(groups_val[wrong], minlength=n_groups)
        errors.n_asked += np.bincount(groups_val, minlength=n_groups)
    errors.n_rows += np.bincount(groups_val, minlength=n_groups)
    return errors


def _no_errors(n_groups: int) -> HeldOutErrors:
    return HeldOutErrors(np.zeros(n_groups), np.zeros(n_groups), np.zeros(n_groups))


def _with_bar(results: Iterable, total: int, verbose: int) -> Iterable:
    if not verbose:
        return results
    return tqdm(results, total=total, desc="DRoPSampler query models", unit="fit")


def _fit_and_check(model, X, y, training, validation, row_output):
    model = _fit(model, _safe_indexing(X, training), y[training])
    held_out = _safe_indexing(X, validation)
    predicted = _predict(model, held_out, len(validation), y)
    output = None if row_output is None else row_output(model, held_out, validation)
    return model, predicted != y[validation], output


def _predict(model, X, n_rows, y):
    """Return predictions after a look whether they are labels of ``y``."""
    predicted = np.asarray(model.predict(X))
    if predicted.shape == (n_rows, 1):
        predicted = predicted[:, 0]
    if predicted.shape != (n_rows,) or not (
        set(predicted.tolist()) & set(np.unique(y).tolist())
    ):
        raise ValueError(
            f"estimator must predict one label of y for each of {n_rows} rows. "
            f"{type(model).__name__}.predict returned {predicted!r} instead."
        )
    return predicted


def _fit(model, X, y):
    if len(np.unique(y)) == 1:  # many classifiers refuse a single class
        model = DummyClassifier(strategy="most_frequent")
    model.fit(X, y)
    return model


def smoothed_errors(errors: HeldOutErrors, smoothing: float | str) -> np.ndarray:
    """Return the error rates that enter the quotas, shape (n_groups,), float64.

    Parameters
    ----------
    errors : HeldOutErrors
        Counts.
    smoothing : float or "auto"
        A number ``a`` is Laplace's: ``(wrong + a) / (rows + 2 a)``; 0 is the raw
        error. ``"auto"`` is :func:`shrunken_errors`.
    """
    wrong, rows = errors.n_wrong_rows, errors.n_rows
    if isinstance(smoothing, str):
        return shrunken_errors(wrong, rows)
    # Infinite smoothing is one half; twice the largest float would be infinite.
    smoothing = min(float(smoothing), 1e300)
    return (wrong + smoothing) / (rows + 2 * smoothing)


def shrunken_errors(
    n_wrong: np.ndarray, n_rows: np.ndarray, *, doubt: float = 3.0
) -> np.ndarray:
    """Pull error rates together as far as they are sampling noise.

    Parameters
    ----------
    n_wrong, n_rows : ndarray of shape (n_groups,)
        Misclassified and all held-out rows.
    doubt : float, default=3.0
        Standard deviations of chance that count as no difference.

    Returns
    -------
    errors : ndarray of shape (n_groups,), dtype float64
        In (0, 1). Equal when the rates do not differ more than chance would have them;
        nearly the raw rates when they differ by far more.

    Notes
    -----
    Each rate (with half an error and one row added, so that none is 0) is a weighted
    mean of itself and the common mean, ``B_k m + (1 - B_k) e_k`` with
    ``B_k = s_k^2 / (s_k^2 + t^2)``. ``s_k^2 = p (1 - p) / rows_k`` is the sampling
    variance at the pooled rate p, ``t^2 >= 0`` the variance between groups by the
    moments of DerSimonian and Laird [1]_, a random-effects model, where the statistic
    Q counts only as far as it exceeds its mean under pure chance, K - 1, by more than
    ``doubt`` of its standard deviations ``sqrt(2 (K - 1))``. This is not in the DRoP
    paper.

    References
    ----------
    .. [1] DerSimonian, Laird, "Meta-analysis in clinical trials", Controlled Clinical
       Trials 7(3), 1986, pp. 177-188.
    """
    rates = (n_wrong + 0.5) / (n_rows + 1.0)
    pooled = (n_wrong.sum() + 0.5) / (n_rows.sum() + 1.0)
    noise = pooled * (1 - pooled) / n_rows
    weights = 1 / noise
    mean = np.average(rates, weights=weights)
    freedom = len(rates) - 1
    chance = freedom + doubt * np.sqrt(2 * freedom)
    excess = (weights * (rates - mean) ** 2).sum() - chance
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    between = max(0.0, excess / scale) if scale > 0 else 0.0
    mean = np.average(rates, weights=1 / (noise + between))
    trust = between / (noise + between)
    return trust * rates + (1 - trust) * mean
