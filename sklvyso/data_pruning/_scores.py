"""How hard each row is: scores from outputs, features and training dynamics.

All are plain arithmetic on arrays that any classifier or training loop can record.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from sklvyso._arguments import is_choice, is_integer, read_array, read_numbers
from sklvyso.data_pruning._score_inputs import (
    as_numbers,
    check_codes,
    check_finite_scores,
    check_probabilities,
    row_chunks,
)


def el2n(
    proba: ArrayLike, y: ArrayLike | None = None, *, unlabelled: str = "max"
) -> np.ndarray:
    """Return the L2 norm of the error vector of each row (EL2N).

    .. versionadded:: 0.1

    Parameters
    ----------
    proba : array-like of shape (n, n_classes)
        Class probabilities; each row sums to one.
    y : array-like of int of shape (n,), default=None
        Labels as columns of ``proba``, from 0 to ``n_classes - 1``; not every class
        has to occur. None where there are none.
    unlabelled : {"max", "avg"}, default="max"
        What takes the place of the label when ``y`` is None: ``"max"`` the most
        probable class, ``"avg"`` the expectation of the norm over the classes.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        From 0 to sqrt(2); high is hard.

    Raises
    ------
    ValueError
        If ``proba`` holds no probabilities or ``y`` no columns of it.
    TypeError
        If ``y`` holds no integers.

    See Also
    --------
    grand : The norm of the gradient, which this one approximates.

    Notes
    -----
    ``||p - e_y||`` with ``e_y`` the unit vector of class ``y``, averaged in [1]_ over
    several networks early in training. ``"avg"`` is ``sum_c p_c ||p - e_c||``.

    References
    ----------
    .. [1] Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet: Finding Important
       Examples Early in Training", NeurIPS 2021.

    Examples
    --------
    >>> from sklvyso.data_pruning import el2n
    >>> proba = [[0.7, 0.1, 0.2], [0.0, 1.0, 0.0]]
    >>> el2n(proba, [0, 2]).round(4)
    array([0.3742, 1.4142])
    >>> el2n(proba, unlabelled="avg").round(4)
    array([0.5912, 0.    ])
    """
    table = as_numbers("proba", proba, (2,))
    codes = None if y is None else check_codes(y, *table.shape)
    if not is_choice(unlabelled, ("max", "avg")):
        raise ValueError(
            f"unlabelled must be 'max' or 'avg'. Got {unlabelled!r} instead."
        )
    scores = np.empty(len(table))
    for rows in row_chunks(*table.shape):
        chunk = table[rows].astype(np.float64)
        check_probabilities("proba", chunk, rows_sum_to_one=True)
        if codes is not None:
            scores[rows] = _error_norm(chunk, codes[rows])
        elif unlabelled == "max":
            scores[rows] = _error_norm(chunk, chunk.argmax(axis=1))
        else:
            scores[rows] = _expected_error_norm(chunk)
    return scores


def _error_norm(proba: np.ndarray, codes: np.ndarray) -> np.ndarray:
    error = proba.copy()
    error[np.arange(len(error)), codes] -= 1.0
    return np.linalg.norm(error, axis=1)


def _expected_error_norm(proba: np.ndarray) -> np.ndarray:
    # The largest square is added last, so that it does not swallow the others: the
    # sum without it is what is left where the largest probability is nearly one.
    squares = proba**2
    largest = proba.argmax(axis=1)[:, np.newaxis]
    top = np.take_along_axis(squares, largest, axis=1)
    np.put_along_axis(squares, largest, 0.0, axis=1)
    rest = squares.sum(axis=1, keepdims=True)
    others = rest + top - squares
    np.put_along_axis(others, largest, rest, axis=1)
    return (proba * np.sqrt(others + (1.0 - proba) ** 2)).sum(axis=1)


def prototype_distance(Z: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Return the distance of each row to the mean of its class.

    .. versionadded:: 0.1

    Parameters
    ----------
    Z : array-like of shape (n, n_features)
        Features, for instance the inputs of the last layer of a network. Converted to
        float64 in chunks.
    y : array-like of shape (n,)
        Labels of any kind that can be sorted.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        Euclidean distances, >= 0; high is hard (atypical).

    Raises
    ------
    ValueError
        If ``Z`` is not a finite matrix or the lengths differ.

    See Also
    --------
    sklvyso.selection.k_center_greedy : Rows far from each other.
    DRoPSampler : Takes it by the name ``"prototype"``.

    Notes
    -----
    ``||z_i - mean(z_j : y_j = y_i)||``, the supervised prototypes that [1]_ compares
    with. Their self-supervised prototypes are means of clusters instead of classes.

    References
    ----------
    .. [1] Sorscher, Geirhos, Shekhar, Ganguli, Morcos, "Beyond neural scaling laws:
       beating power law scaling via data pruning", NeurIPS 2022.

    Examples
    --------
    >>> from sklvyso.data_pruning import prototype_distance
    >>> prototype_distance([[0, 0], [0, 2], [5, 5]], ["cat", "cat", "dog"])
    array([1., 1., 0.])
    """
    features = as_numbers("Z", Z, (2,))
    labels = read_array("y", y)
    if labels.shape != features.shape[:1]:
        raise ValueError(
            f"y must be one label a row of Z, shape ({len(features)},). Got shape "
            f"{labels.shape} instead."
        )
    try:
        _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    except TypeError as error:
        raise TypeError(
            "y must hold labels that can be sorted, all numbers or all texts. Got "
            f"{labels.dtype} instead: {error}"
        ) from error
    with np.errstate(over="ignore", invalid="ignore"):
        scores = _distances_to_means(features, codes, counts)
    check_finite_scores("Z", scores)
    return scores


def _distances_to_means(
    features: np.ndarray, codes: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    sums = np.zeros((len(counts), features.shape[1]))
    for rows in row_chunks(*features.shape):
        chunk = features[rows].astype(np.float64)
        if not np.isfinite(chunk).all():
            raise ValueError("Z must be finite. Got NaN or infinity instead.")
        places = (codes[rows], np.arange(len(chunk)))
        member = csr_array(
            (np.ones(len(chunk)), places), shape=(len(counts), len(chunk))
        )
        sums += member @ chunk
    means = sums / counts[:, np.newaxis]
    scores = np.empty(len(features))
    for rows in row_chunks(*features.shape):
        scores[rows] = np.linalg.norm(features[rows] - means[codes[rows]], axis=1)
    return scores


def forgetting_events(
    correct: ArrayLike, *, never_learned: str = "hardest"
) -> np.ndarray:
    """Return how often each row was forgotten during training.

    .. versionadded:: 0.1

    Parameters
    ----------
    correct : array-like of bool of shape (n_epochs, n)
        Whether a row was classified correctly in each epoch.
    never_learned : {"hardest", "zero"}, default="hardest"
        Score of rows that were correct in no epoch, so that there was nothing to
        forget. ``"hardest"``: ``n_epochs + 1``, above all others, for [1]_ calls them
        infinitely forgettable. ``"zero"``: the count, which is 0, as for rows that were
        learned once and for all.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        Number of changes from correct to incorrect between consecutive epochs; high is
        hard.

    Raises
    ------
    ValueError
        If ``correct`` is not a matrix of truth values with an epoch at least.

    See Also
    --------
    record_training_dynamics : Records right and wrong answers.
    DRoPSampler : Takes it by the name ``"forgetting"``.

    Notes
    -----
    ``sum_t correct[t] and not correct[t + 1]``. The paper looks at a row when its batch
    is trained on; recorded in evaluation mode at the end of each epoch instead, the
    counts are a little lower.

    References
    ----------
    .. [1] Toneva, Sordoni, Tachet des Combes, Trischler, Bengio, Gordon, "An Empirical
       Study of Example Forgetting during Deep Neural Network Learning", ICLR 2019.

    Examples
    --------
    >>> from sklvyso.data_pruning import forgetting_events
    >>> correct = [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0]]  # epochs x rows
    >>> forgetting_events(correct)
    array([2., 0., 5.])
    """
    epochs = read_array("correct", correct)
    if epochs.ndim != 2 or not len(epochs):
        raise ValueError(
            "correct must be of shape (n_epochs, n) with an epoch at least. Got shape "
            f"{epochs.shape} instead."
        )
    if epochs.dtype.kind == "O":
        try:
            epochs = read_numbers("correct", epochs)
        except TypeError as error:
            raise ValueError(
                f"correct must be boolean, or 0 and 1, none missing: {error}"
            ) from error
    if epochs.dtype != bool and not np.isin(epochs, (0, 1)).all():
        raise ValueError(
            "correct must be boolean, or 0 and 1. Got other values of type "
            f"{epochs.dtype} instead."
        )
    if not is_choice(never_learned, ("hardest", "zero")):
        raise ValueError(
            f"never_learned must be 'hardest' or 'zero'. Got {never_learned!r} instead."
        )
    events = np.zeros(epochs.shape[1])
    for before, after in pairwise(epochs.astype(bool, copy=False)):
        events += before & ~after
    if never_learned == "hardest":
        events[~epochs.any(axis=0)] = len(epochs) + 1
    return events


def dynamic_uncertainty(p_true: ArrayLike, window: int = 10) -> np.ndarray:
    """Return how much the probability of the label moved during training.

    .. versionadded:: 0.1

    Parameters
    ----------
    p_true : array-like of shape (n_epochs, n)
        Probability that the network gave to the label of each row in each epoch.
    window : int, default=10
        Consecutive epochs over which the standard deviation is taken, from 2 to
        ``n_epochs``.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        Means over the windows, >= 0; high is hard.

    Raises
    ------
    ValueError
        If ``window`` is out of range or ``p_true`` holds no probabilities.

    See Also
    --------
    record_training_dynamics : Records the probabilities.
    DRoPSampler : Takes it by name.

    Notes
    -----
    The mean over all ``n_epochs - window + 1`` full windows of the sample standard
    deviation (divisor ``window - 1``). The code of DRoP leaves out an epoch of each
    window and the last one of training; rankings hardly differ.

    References
    ----------
    .. [1] He, Yang, Huang, Zhao, "Large-scale Dataset Pruning with Dynamic
       Uncertainty", CVPR Workshops 2024.

    Examples
    --------
    >>> from sklvyso.data_pruning import dynamic_uncertainty
    >>> p_true = [[0.1, 0.5], [0.3, 0.5], [0.9, 0.5]]  # epochs x rows
    >>> dynamic_uncertainty(p_true, window=2).round(4)
    array([0.2828, 0.    ])
    """
    epochs = as_numbers("p_true", p_true, (2,))
    n_epochs, n_rows = epochs.shape
    if not is_integer(window) or not 2 <= window <= n_epochs:
        raise ValueError(
            f"window must be an int from 2 to {n_epochs}, the number of epochs. Got "
            f"{window!r} instead."
        )
    n_windows = n_epochs - int(window) + 1
    scores = np.zeros(n_rows)
    for rows in row_chunks(n_rows, n_epochs):
        chunk = epochs[:, rows].astype(np.float64)
        check_probabilities("p_true", chunk)
        for first in range(n_windows):
            # Differences, so that rounding of the mean gives a constant no deviation.
            moves = chunk[first : first + window] - chunk[first]
            scores[rows] += moves.std(axis=0, ddof=1)
    return scores / n_windows


def area_under_margin(logits: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Return the mean margin of the label over training (AUM): low is hard.

    .. versionadded:: 0.1

    Parameters
    ----------
    logits : array-like of shape (n_epochs, n, n_classes) or (n, n_classes)
        Outputs before the softmax in each epoch, or in a single one; two classes at
        least.
    y : array-like of int of shape (n,)
        Labels as columns of the logits, from 0 to ``n_classes - 1``.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        **Low** is hard, negative probably mislabelled: the direction is opposite to
        that of all other scores.

    Raises
    ------
    ValueError
        If ``logits`` are not finite or have no two classes, or ``y`` holds no columns
        of them.
    TypeError
        If ``y`` holds no integers.

    See Also
    --------
    record_training_dynamics : Records the logits.
    forgetting_events : Of the same records.
    DRoPSampler : Takes it by the name ``"aum"``.

    Notes
    -----
    Mean over the epochs of ``logit_y - max(logit_c : c != y)``.

    References
    ----------
    .. [1] Pleiss, Zhang, Elenberg, Weinberger, "Identifying Mislabeled Data using the
       Area Under the Margin Ranking", NeurIPS 2020.

    Examples
    --------
    >>> from sklvyso.data_pruning import area_under_margin
    >>> logits = [[[4.0, 1.0], [0.0, 2.0]], [[6.0, 1.0], [3.0, 4.0]]]
    >>> area_under_margin(logits, [0, 0])
    array([ 4. , -1.5])
    """
    outputs = as_numbers("logits", logits, (2, 3))
    epochs = outputs[np.newaxis] if outputs.ndim == 2 else outputs
    n_epochs, n_rows, n_classes = epochs.shape
    if n_epochs < 1 or n_classes < 2:
        raise ValueError(
            "logits must have an epoch and two classes at least. Got shape "
            f"{outputs.shape} instead."
        )
    codes = check_codes(y, n_rows, n_classes)
    scores = np.empty(n_rows)
    for rows in row_chunks(n_rows, n_epochs * n_classes):
        chunk = epochs[:, rows].astype(np.float64)
        if not np.isfinite(chunk).all():
            raise ValueError("logits must be finite. Got NaN or infinity instead.")
        column = codes[np.newaxis, rows, np.newaxis]
        own = np.take_along_axis(chunk, column, axis=2)[..., 0]
        np.put_along_axis(chunk, column, -np.inf, axis=2)
        scores[rows] = (own - chunk.max(axis=2)).mean(axis=0)
    return scores
