"""Cross-validation and scorers that know of tasks."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_consistent_length, column_or_1d

from sklvyso._arguments import check_flag
from sklvyso._compat import _MetadataRequester
from sklvyso._validation import check_classification_targets
from sklvyso.continual._inputs import rows_by_task, tasks_of_rows
from sklvyso.networks import take_column


class TaskStratifiedKFold(_MetadataRequester):
    """K folds that each hold rows of every class of every task.

    Plain folds can leave a whole task out of the training part, which no estimator can
    predict then. Works as ``cv`` of every search and of ``cross_val_score``.

    .. versionadded:: 0.1

    Parameters
    ----------
    n_splits : int, default=5
        Folds, >= 2.
    shuffle : bool, default=False
        Whether to shuffle rows of a stratum before splitting.
    random_state : int, RandomState instance or None, default=None
        Of the shuffling.
    task_column : int or str, default=None
        Column of ``X`` that holds the task, where it is not passed.

    See Also
    --------
    ImpressLearnClassifier : What it is for.

    Notes
    -----
    With metadata routing enabled ``task`` is requested, here and by the learner:
    ``cross_val_score(learner, X, y, cv=TaskStratifiedKFold(), params={"task": task})``.
    Without, pass
    ``groups=task``, or name the column.

    Strata with fewer rows than folds are left out of some training or test parts, as
    by :class:`sklearn.model_selection.StratifiedKFold`, which warns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.continual import TaskStratifiedKFold
    >>> X, y = np.zeros((8, 1)), np.array([0, 1] * 4)
    >>> task = np.array(["a"] * 4 + ["b"] * 4)
    >>> [test.tolist() for _, test in TaskStratifiedKFold(2).split(X, y, task)]
    [[0, 1, 4, 5], [2, 3, 6, 7]]
    """

    # Splitters get `groups` from scikit-learn, whatever is in there.
    __metadata_request__split = {"task": True, "groups": None}

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: int | np.random.RandomState | None = None,
        task_column: int | str | None = None,
    ):
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self.task_column = task_column

    def split(
        self,
        X: Any,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        task: ArrayLike | None = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions of the training and the test part of each fold.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Rows.
        y : array-like of shape (n,)
            Labels.
        groups, task : array-like of shape (n,), default=None
            Task of each row; either word will do.

        Yields
        ------
        train, test : ndarray of int
            Ascending.

        Raises
        ------
        ValueError
            If there is no task, or there are two.
        """
        if y is None:
            raise ValueError("y must be given: folds are stratified by it. Got None.")
        check_classification_targets(y)
        labels = column_or_1d(y)
        shuffle = check_flag("shuffle", self.shuffle)
        codes = self._task_codes(X, groups, task, len(labels))
        check_consistent_length(X, labels, codes)
        strata = np.unique(labels, return_inverse=True)[1] + codes * len(labels)
        folds = StratifiedKFold(
            self.n_splits,
            shuffle=shuffle,
            random_state=self.random_state if shuffle else None,
        )
        yield from folds.split(np.zeros(len(labels)), strata)

    def get_n_splits(
        self, X: Any = None, y: Any = None, groups: Any = None, *, task: Any = None
    ) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups, task : object, default=None
            Not used.

        Returns
        -------
        n_splits : int
            As given.
        """
        return self.n_splits

    def _task_codes(self, X, groups, task, n_rows) -> np.ndarray:
        given = [values for values in (groups, task) if values is not None]
        given += [] if self.task_column is None else [self.task_column]
        if len(given) != 1:
            raise ValueError(
                "TaskStratifiedKFold must be told of tasks once: by task=, by groups= "
                f"or by task_column. Got {len(given)} of them."
            )
        tasks = given[0]
        if self.task_column is not None:
            values = X if hasattr(X, "iloc") else np.asarray(X)
            tasks = take_column(values, self.task_column, parameter="task_column")[1]
        codes = np.zeros(n_rows, dtype=np.int64)
        rows = rows_by_task(tasks_of_rows(tasks, n_rows, None))
        for code, index in enumerate(rows.values()):
            codes[index] = code
        return codes

    def __repr__(self) -> str:
        return (
            f"TaskStratifiedKFold(n_splits={self.n_splits}, shuffle={self.shuffle}, "
            f"random_state={self.random_state}, task_column={self.task_column!r})"
        )


class TaskScorer(_MetadataRequester):
    """Scorer that hands the task to ``predict``: see :func:`task_scorer`.

    Parameters
    ----------
    metric : callable
        Takes true and predicted labels.
    sign : {1, -1}
        -1 where less is better.
    kwargs : dict
        Keyword arguments of the metric.
    """

    # The request is read off a method of this name.
    __metadata_request__score = {"task": True, "estimator": UNUSED}

    def __init__(self, metric: Callable, sign: int, kwargs: dict[str, Any]):
        self.metric = metric
        self.sign = sign
        self.kwargs = kwargs

    def score(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        task: Any = None,
    ) -> float:
        """Return the score of an estimator on rows of known or unknown tasks.

        Parameters
        ----------
        estimator : estimator
            Its ``predict`` takes ``X`` and ``task``.
        X : array-like
            Rows.
        y : array-like of shape (n,)
            True labels.
        sample_weight : array-like of shape (n,), default=None
            For the metric.
        task : array-like of shape (n,), default=None
            For ``predict``.

        Returns
        -------
        score : float
            Higher is better.
        """
        predicted = estimator.predict(X) if task is None else estimator.predict(X, task)
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        score = self.metric(y, predicted, **weight, **self.kwargs)
        if not isinstance(score, Real):
            raise TypeError(f"metric must return a number. It returned {score!r}.")
        return self.sign * float(score)

    def __call__(self, estimator: Any, X: Any, y_true: Any, **metadata: Any) -> float:
        """Return the score; see :meth:`score`."""
        return self.score(estimator, X, y_true, **metadata)

    def __repr__(self) -> str:
        return f"task_scorer({getattr(self.metric, '__name__', self.metric)})"


def task_scorer(
    metric: Callable = accuracy_score, *, greater_is_better: bool = True, **kwargs: Any
) -> TaskScorer:
    """Make a scorer that passes ``task`` on to ``predict``.

    ``scoring="accuracy"`` drops the task silently, so that tasks are inferred. This
    scorer requests it: ``cross_val_score(learner, X, y,
    scoring=task_scorer(accuracy_score), params={"task": task})`` with metadata routing
    enabled.

    .. versionadded:: 0.1

    Parameters
    ----------
    metric : callable, default=accuracy_score
        ``metric(y_true, y_pred, **kwargs)``.
    greater_is_better : bool, default=True
        False flips the sign.
    **kwargs : dict
        Keyword arguments of the metric.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, *, sample_weight=None, task=None)``.

    Raises
    ------
    TypeError
        If the metric cannot be called.

    See Also
    --------
    TaskStratifiedKFold : Splits that keep tasks and classes.
    ImpressLearnClassifier : What it scores.

    Examples
    --------
    >>> from sklearn.metrics import balanced_accuracy_score
    >>> from sklvyso.continual import task_scorer
    >>> task_scorer(balanced_accuracy_score)
    task_scorer(balanced_accuracy_score)
    """
    if not callable(metric):
        raise TypeError(
            "metric must be a function of true and predicted labels, such as "
            f"accuracy_score. Got {metric!r} instead."
        )
    is_score = check_flag("greater_is_better", greater_is_better)
    return TaskScorer(metric, 1 if is_score else -1, kwargs)
