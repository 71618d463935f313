"""How unsure a classifier is of each row: scores from predicted probabilities.

Settles, "Active Learning Literature Survey", 2009; Houlsby, Huszár, Ghahramani,
Lengyel, "Bayesian Active Learning for Classification and Preference Learning", 2011.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklvyso._arguments import read_array
from sklvyso.selection._arrays import as_numbers, row_chunks

# Probabilities in half precision sum to 1 within this.
SUM_TOLERANCE = 1e-3
_FEW_CLASSES = 16


def least_confidence(proba: ArrayLike) -> np.ndarray:
    """Return how far the most probable class is from certain.

    .. versionadded:: 0.1

    Parameters
    ----------
    proba : array-like of shape (n, n_classes), any real dtype
        Class probabilities in [0, 1]; each row sums to 1 within 0.001.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        ``1 - max(p)`` in [0, 1 - 1 / n_classes]; higher = take first. A single class
        scores 0.

    Raises
    ------
    TypeError
        If `proba` does not hold real numbers.
    ValueError
        If it is not a table of probabilities with at least one class.

    See Also
    --------
    margin : The two largest probabilities.
    entropy : All of them.
    top_scores : The rows with the largest scores.

    References
    ----------
    .. [1] Lewis, Gale, "A Sequential Algorithm for Training Text Classifiers", SIGIR
       1994.

    Examples
    --------
    >>> from sklvyso.selection import least_confidence
    >>> least_confidence([[1.0, 0.0], [0.75, 0.25], [0.5, 0.5]])
    array([0.  , 0.25, 0.5 ])
    """
    return _score_rows(proba, lambda rows: np.maximum(1.0 - rows.max(axis=1), 0.0))


def margin(proba: ArrayLike) -> np.ndarray:
    """Return how close the second most probable class is to the first.

    .. versionadded:: 0.1

    Parameters
    ----------
    proba : array-like of shape (n, n_classes), any real dtype
        Class probabilities in [0, 1]; each row sums to 1 within 0.001.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        ``-(p1 - p2)`` of the two largest probabilities, in [-1, 0]; higher = take
        first. With a single class the second probability is 0, and the score -1.

    Raises
    ------
    TypeError
        If `proba` does not hold real numbers.
    ValueError
        If it is not a table of probabilities with at least one class.

    See Also
    --------
    least_confidence : One minus the largest probability.
    entropy : All probabilities.
    top_scores : The rows with the largest scores.

    References
    ----------
    .. [1] Scheffer, Decomain, Wrobel, "Active Hidden Markov Models for Information
       Extraction", IDA 2001.

    Examples
    --------
    >>> from sklvyso.selection import margin
    >>> margin([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [0.375, 0.25, 0.375]])
    array([-1.  , -0.25,  0.  ])
    """
    return _score_rows(proba, _negative_gap)


def _negative_gap(rows: np.ndarray) -> np.ndarray:
    if rows.shape[1] == 1:
        return -rows[:, 0]
    if rows.shape[1] > _FEW_CLASSES:
        # In place, since the chunk is a copy: the two largest end up last, in order.
        rows.partition(rows.shape[1] - 2, axis=1)
        return rows[:, -2] - rows[:, -1]
    second, first = np.minimum(*rows[:, :2].T), np.maximum(*rows[:, :2].T)
    for column in rows[:, 2:].T:
        np.maximum(second, np.minimum(first, column), out=second)
        np.maximum(first, column, out=first)
    return second - first


def entropy(proba: ArrayLike) -> np.ndarray:
    """Return the entropy of each row's class probabilities in nats.

    .. versionadded:: 0.1

    Parameters
    ----------
    proba : array-like of shape (n, n_classes), any real dtype
        Class probabilities in [0, 1]; each row sums to 1 within 0.001.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        ``-sum(p * log(p))`` in [0, log(n_classes)], where ``0 * log(0)`` is 0; higher
        = take first. A single class scores 0.

    Raises
    ------
    TypeError
        If `proba` does not hold real numbers.
    ValueError
        If it is not a table of probabilities with at least one class.

    See Also
    --------
    least_confidence : One minus the largest probability.
    margin : The two largest only.
    top_scores : The rows with the largest scores.

    References
    ----------
    .. [1] Shannon, "A Mathematical Theory of Communication", Bell System Technical
       Journal 27, 1948.

    Examples
    --------
    >>> from sklvyso.selection import entropy
    >>> entropy([[1.0, 0.0], [0.75, 0.25], [0.5, 0.5]]).round(4)
    array([0.    , 0.5623, 0.6931])
    """
    return _score_rows(proba, _entropies)


def _entropies(proba: np.ndarray) -> np.ndarray:
    """Return the entropy over the last axis, in nats."""
    logarithms = np.log(np.maximum(proba, np.finfo(np.float64).tiny))
    # A sum of 1 + 1e-7 would make certain rows slightly negative.
    logarithms *= proba
    return np.maximum(-logarithms.sum(axis=-1), 0.0)


def variation_ratio(votes: ArrayLike) -> np.ndarray:
    """Return the share of a committee that disagrees with its commonest vote.

    .. versionadded:: 0.1

    Parameters
    ----------
    votes : array-like of shape (n_members, n)
        The label that each member gives each row: numbers, strings or any other
        hashable objects, without NaN.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        1 - the share of the commonest vote, in [0, 1 - 1 / n_members]; higher = take
        first. A single member scores 0.

    Raises
    ------
    ValueError
        If `votes` is not a table of at least one member, or holds NaN.

    See Also
    --------
    bald : Disagreement of probabilities instead of labels.
    top_scores : The rows with the largest scores.

    References
    ----------
    .. [1] Freeman, "Elementary Applied Statistics", 1965.
    .. [2] Gal, Islam, Ghahramani, "Deep Bayesian Active Learning with Image Data", ICML
       2017, section 3.

    Examples
    --------
    >>> from sklvyso.selection import variation_ratio
    >>> votes = [["cat", "cat", "cat"], ["cat", "dog", "dog"], ["cat", "cat", "cow"]]
    >>> variation_ratio(votes).round(4)
    array([0.    , 0.3333, 0.6667])
    """
    labels = read_array("votes", votes)
    if labels.ndim != 2 or not len(labels):
        raise ValueError(
            "votes must have shape (n_members, n) with at least one member. Got shape "
            f"{labels.shape} instead."
        )
    scores = np.empty(labels.shape[1])
    for columns in row_chunks(labels.shape[1], len(labels)):
        commonest = _longest_runs(_sorted_votes(labels[:, columns]))
        scores[columns] = (len(labels) - commonest) / len(labels)
    return scores


def _sorted_votes(labels: np.ndarray) -> np.ndarray:
    """Return each column with equal labels side by side."""
    if labels.dtype.kind == "O":  # labels of several types have no order
        codes: dict = {}
        try:
            # Neither NaN nor a missing value of pandas equals itself.
            is_missing = any(not bool(label == label) for label in labels.flat)
            flat = [codes.setdefault(label, len(codes)) for label in labels.flat]
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"votes must be hashable labels, none missing: {error}"
            ) from error
    else:
        is_missing, flat = bool((labels != labels).any()), None
    if is_missing:
        raise ValueError("votes must be labels. Got NaN instead.")
    if flat is not None:
        labels = np.array(flat, dtype=np.int64).reshape(labels.shape)
    return np.sort(labels, axis=0)


def _longest_runs(ordered: np.ndarray) -> np.ndarray:
    """Return the length of the longest run of equal values in each column."""
    run = np.ones(ordered.shape[1], dtype=np.int64)
    longest = run.copy()
    for above, below in pairwise(ordered):
        run = np.where(above == below, run + 1, 1)
        np.maximum(longest, run, out=longest)
    return longest


def bald(proba_samples: ArrayLike) -> np.ndarray:
    """Return the information that a label would give about the model, in nats.

    .. versionadded:: 0.1

    Parameters
    ----------
    proba_samples : array-like of shape (n_samples, n, n_classes), any real dtype
        Class probabilities of each row under sampled models (dropout masks, members of
        an ensemble), in [0, 1]; those of a row sum to 1 within 0.001.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        Entropy of the mean minus mean of the entropies, in [0, log(n_classes)];
        higher = take first. One sample, or a single class, scores 0.

    Raises
    ------
    TypeError
        If `proba_samples` does not hold real numbers.
    ValueError
        If it does not hold probabilities with at least one sample and one class.

    See Also
    --------
    entropy : Uncertainty whatever its source, from one model.

    References
    ----------
    .. [1] Houlsby, Huszár, Ghahramani, Lengyel, "Bayesian Active Learning for
       Classification and Preference Learning", 2011, equation 2.

    Examples
    --------
    >>> from sklvyso.selection import bald
    >>> agree, differ = [0.5, 0.5], [1.0, 0.0]
    >>> bald([[agree, differ], [agree, differ[::-1]]]).round(4)
    array([0.    , 0.6931])
    """
    samples = as_numbers("proba_samples", proba_samples, 3)
    n_samples, n_rows, n_classes = samples.shape
    if not n_samples or not n_classes:
        raise ValueError(
            "proba_samples must have at least one sample and one class. Got shape "
            f"{samples.shape} instead."
        )
    scores = np.empty(n_rows)
    for rows in row_chunks(n_rows, n_samples * n_classes):
        chunk = samples[:, rows].astype(np.float64, order="C")
        check_probabilities("proba_samples", chunk)
        information = _entropies(chunk.mean(axis=0)) - _entropies(chunk).mean(axis=0)
        scores[rows] = np.maximum(information, 0.0)
    return scores


def _score_rows(
    proba: ArrayLike, score: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the score of each row, from copies in float64 of a few rows at a time."""
    table = as_probabilities("proba", proba)
    scores = np.empty(len(table))
    for rows in row_chunks(*table.shape):
        # Reductions over a few classes run along whole columns.
        order: Any = "F" if table.shape[1] <= _FEW_CLASSES else "C"
        chunk = table[rows].astype(np.float64, order=order)
        check_probabilities("proba", chunk)
        scores[rows] = score(chunk)
    return scores


def as_probabilities(name: str, values: ArrayLike) -> np.ndarray:
    """Return a table with at least one class; its numbers are not looked at yet."""
    table = as_numbers(name, values, 2)
    if not table.shape[1]:
        raise ValueError(
            f"{name} must have at least one class. Got shape {table.shape} instead."
        )
    return table


def check_probabilities(name: str, chunk: np.ndarray) -> None:
    """Raise unless the rows, in float64, are probabilities that sum to 1."""
    low, high = chunk.min(), chunk.max()
    if not (low >= 0 and high <= 1 + SUM_TOLERANCE):  # NaN fails too
        wrong = low if not low >= 0 else high
        raise ValueError(f"{name} must lie in [0, 1]. Got {wrong} instead.")
    sums = chunk.sum(axis=-1)
    deviations = np.abs(sums - 1.0)
    if deviations.max() > SUM_TOLERANCE:
        worst = sums.flat[deviations.argmax()]
        raise ValueError(
            f"{name} must sum to 1 over the classes, within {SUM_TOLERANCE}. Got a sum "
            f"of {worst} instead."
        )
