"""Valid calls of sklvyso.metrics."""

import numpy as np
from sklearn import config_context
from sklearn.dummy import DummyClassifier

from sklvyso import metrics
from tests.fuzz.cases import Case, fixed, labels, rows

Y_TRUE, Y_PRED = labels(12, 3), np.roll(labels(12, 3), 2) // 2
TEXTS = np.array(["ä", "b", "c"])
WEIGHT = np.arange(1, 13) / 8.0
GROUPS = labels(12, 4)
MODEL = DummyClassifier().fit(rows(), Y_TRUE)


def cases():
    for name in ("class_recalls", "worst_class_recall", "recall_gap", "recall_std"):
        function = getattr(metrics, name)
        more = {"labels": np.arange(3)} if name == "class_recalls" else {}
        yield Case(
            "metrics",
            name,
            function,
            fixed(y_true=Y_TRUE, y_pred=Y_PRED, sample_weight=WEIGHT, **more),
            infinite=name == "class_recalls",  # NaN for a class without weight
        )
    yield Case(
        "metrics",
        "class_recalls of texts",
        metrics.class_recalls,
        fixed(y_true=TEXTS[Y_TRUE], y_pred=TEXTS[Y_PRED]),
    )
    for name in (
        "group_accuracies",
        "worst_group_accuracy",
        "group_accuracy_gap",
        "group_accuracy_std",
    ):
        yield Case(
            "metrics",
            name,
            getattr(metrics, name),
            fixed(y_true=Y_TRUE, y_pred=Y_PRED, groups=GROUPS, sample_weight=WEIGHT),
            infinite=name == "group_accuracies",
        )
    yield Case("metrics", "get_scorer", metrics.get_scorer, fixed(scoring="accuracy"))
    for name in metrics.__all__:
        if name.endswith("_scorer") and name != "get_scorer":
            groups = {"groups": GROUPS} if "group" in name else {}
            yield Case(
                "metrics",
                name,
                _scoring(getattr(metrics, name)),
                fixed(X=rows(), y_true=Y_TRUE, sample_weight=WEIGHT, **groups),
                skip={"X": "DummyClassifier looks at its number of rows alone"},
            )


def _scoring(scorer):
    def call(X, y_true, **more):
        with config_context(enable_metadata_routing=True):  # groups need it
            return scorer(MODEL, X, y_true, **more)

    return call
