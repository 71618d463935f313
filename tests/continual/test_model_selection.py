"""Folds and scorers that know of tasks."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss

from sklvyso.continual import TaskStratifiedKFold, task_scorer


def rows():
    random = np.random.RandomState(0)
    return np.zeros((60, 2)), random.randint(3, size=60), random.randint(2, size=60)


@pytest.mark.parametrize("road", ["task", "groups", "column"])
def test_every_fold_holds_every_class_of_every_task(road):
    X, y, task = rows()
    folds = TaskStratifiedKFold(3, task_column=1 if road == "column" else None)
    X[:, 1] = task
    given = {} if road == "column" else {road: task}
    tested = []
    for train, test in folds.split(X, y, **given):
        assert not set(train) & set(test)
        for part in (train, test):
            assert len(set(zip(y[part], task[part], strict=True))) == 6
        tested += test.tolist()
    assert sorted(tested) == list(range(60)) and folds.get_n_splits(X, y) == 3


def test_shuffled_folds_follow_their_seed():
    X, y, task = rows()
    first, again, other = (
        [
            t.tolist()
            for _, t in TaskStratifiedKFold(3, shuffle=True, random_state=s).split(
                X, y, task
            )
        ]
        for s in (0, 0, 1)
    )
    assert first == again != other


def test_tasks_have_to_be_told_once():
    X, y, task = rows()
    with pytest.raises(ValueError, match=r"told of tasks once.*Got 0"):
        next(TaskStratifiedKFold().split(X, y))
    with pytest.raises(ValueError, match=r"Got 2"):
        next(TaskStratifiedKFold().split(X, y, task, task=task))
    with pytest.raises(ValueError, match=r"y must be given"):
        next(TaskStratifiedKFold().split(X, None, task))


class Echo:
    """Predicts the task, or -1 where there is none."""

    def predict(self, X, task=None):
        return np.full(len(X), -1) if task is None else np.asarray(task)


def test_scorers_hand_the_task_on():
    X, _, task = rows()
    assert task_scorer()(Echo(), X, task, task=task) == 1.0
    assert task_scorer()(Echo(), X, task) == 0.0
    weighted = task_scorer(balanced_accuracy_score)
    weight = np.ones(len(X))
    assert weighted(Echo(), X, task, task=task, sample_weight=weight) == 1.0
    loss = task_scorer(lambda y, p: 3.0, greater_is_better=False)
    assert loss(Echo(), X, task) == -3.0
    assert repr(task_scorer(log_loss)) == "task_scorer(log_loss)"
    with pytest.raises(TypeError, match=r"metric must be a function"):
        task_scorer("accuracy")
