"""Valid calls of sklvyso.continual."""

import functools

import numpy as np
import torch
from sklearn.metrics import accuracy_score

from sklvyso import ImpressLearnClassifier, continual
from tests.fuzz.cases import Case, fitting, fixed, labels, method_of, rows

ROOM = "continual"
X, Y = rows(16, 3), labels(16, 2)
TASK = np.repeat(["a", "b"], 8)
SMALL = {
    "hidden_layer_sizes": (4,),
    "n_impressions": 2,
    "max_epochs": 1,
    "coef_max_epochs": 1,
    "random_state": 0,
}
WEIGHT = rows(3, 4)


def two_masks():
    net = torch.nn.Linear(2, 2, bias=False).double()
    net.weight.data = torch.tensor([[4.0, 4.0], [-4.0, -4.0]]).double()
    return net


def cases():
    yield from functions()
    yield from folds()
    yield from learner()


def functions():
    for name, arguments in {
        "topk_mask": {"scores": WEIGHT, "density": 0.5, "mode": "topk_abs"},
        "signed_kaiming_constant": {"shape": (3, 4), "random_state": 0},
        "combine_masks": {
            "weight": WEIGHT,
            "masks": np.stack([WEIGHT > 0, WEIGHT < 1]),
            "coef": np.array([0.5, 0.25]),
        },
        "score_gradients": {
            "weight_grad": WEIGHT,
            "weight": WEIGHT[::-1].copy(),
            "scores": WEIGHT / 2,
            "mode": "topk_abs",
        },
    }.items():
        yield Case(ROOM, name, getattr(continual, name), fixed(**arguments))
    yield Case(
        ROOM,
        "infer_task",
        continual.infer_task,
        lambda: {
            "module": two_masks(),
            "masks": [[np.array([[1, 0], [1, 0]])], [np.array([[0, 1], [0, 1]])]],
            "X": np.eye(2),
            "coef": None,
            "method": "one_shot",
            "objective": "entropy",
            "n_real": None,
            "groups": np.array([0, 1]),
        },
        rtol=1e-6,
    )

    def scored(**given):
        model = fitted()
        return continual.task_scorer(**given)(model, X, Y, task=TASK)

    yield Case(
        ROOM,
        "task_scorer",
        scored,
        fixed(metric=accuracy_score, greater_is_better=True),
        callables=("metric",),
    )


def folds():
    def split(X, y, groups, task, **given):
        return list(
            continual.TaskStratifiedKFold(**given).split(X, y, groups, task=task)
        )

    yield Case(
        ROOM,
        "TaskStratifiedKFold.split",
        split,
        fixed(
            n_splits=2,
            shuffle=True,
            random_state=0,
            task_column=None,
            X=X,
            y=Y,
            groups=None,
            task=TASK,
        ),
        skip={"X": "only its number of rows counts"},
    )
    yield Case(
        ROOM,
        "TaskStratifiedKFold.get_n_splits",
        lambda n_splits: continual.TaskStratifiedKFold(n_splits).get_n_splits(),
        fixed(n_splits=2),
        infinite=True,  # given back as it came
    )


@functools.cache
def fitted():
    return ImpressLearnClassifier(**SMALL).fit(X, Y, task=TASK)


def learner():
    unbounded = (
        "max_epochs",
        "coef_max_epochs",
        "batch_size",
        "verbose",
        "n_impressions",
        "max_impressions",
        "n_superfluous",
        "n_outputs",
    )
    for method in ("fit", "partial_fit"):
        # partial_fit takes one task, by its name.
        task = TASK if method == "fit" else "a"
        more = {} if method == "fit" else {"classes": np.arange(2)}
        yield fitting(
            ROOM,
            ImpressLearnClassifier,
            fixed(**SMALL),
            fixed(X=X, y=Y, task=task, sample_weight=np.arange(1, 17) / 8.0, **more),
            lambda fitted, data: fitted.predict_proba(X, task="a"),
            method=method,
            callables=("lr_schedule",),
            unbounded=unbounded,
            cost=6,
            rtol=1e-4,
        )
    by_row = {"X": X, "task": TASK, "groups": None}
    for name, arguments in {
        "predict": by_row,
        "predict_proba": by_row,
        "decision_function": by_row,
        "predict_task": {"X": X, "groups": None},
        "task_log_entropy": {"X": X},
        "score": {"X": X, "y": Y, "sample_weight": None, "task": TASK},
        "mask": {"impression": 0},
        "memory_report": {},
        "remove_task": {"name": "a"},
        "task_module": {"task": "a"},
    }.items():
        yield method_of(
            ROOM,
            fitted,
            name,
            fixed(**arguments),
            owner="ImpressLearnClassifier",
            also=("task",),
            rtol=1e-4,
            infinite=name in ("decision_function", "task_log_entropy"),
        )
