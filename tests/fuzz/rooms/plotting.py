"""Valid calls of sklvyso.plotting."""

import functools

import matplotlib.pyplot as plt
import numpy as np

from sklvyso import DRoPSampler, PretrainedActiveLearner, plotting
from sklvyso.plotting import (
    ActiveLearningDisplay,
    ArtifactDisplay,
    CurvatureDisplay,
    DRoPDisplay,
    SparsityDisplay,
    TaskDisplay,
)
from sklvyso.sparsity import sparsity_report
from tests.fuzz.cases import Case, fixed, labels, rows
from tests.fuzz.rooms import artifacts, continual, curvature, sparsity

ROOM = "plotting"
AX = {"ax": None}


def drawing(function):
    """Call, draw what came, and close it."""

    def call(**given):
        try:
            display = function(**given)
            display.figure_.canvas.draw()
        finally:
            plt.close("all")

    return call


def plotted(kind):
    return drawing(lambda **given: kind(**given).plot())


@functools.cache
def campaign():
    learner = PretrainedActiveLearner(
        oracle="y", n_initial=4, batch_size=2, n_queries=2, random_state=0
    ).set_params(validation=(rows(), labels(12, 2)))
    return learner.fit(rows(), labels(12, 2))


@functools.cache
def sampler():
    return DRoPSampler(random_state=0, validation=2).fit(rows(30), labels(30))


@functools.cache
def probe():
    from sklvyso import GoldilocksProbe

    return GoldilocksProbe(
        curvature.estimator(), scales=[0.5, 2.0], n_probes=4, random_state=0
    ).fit(curvature.X, curvature.Y)


@functools.cache
def pruner():
    from sklvyso import EffectiveSparsityPruner, NetworkClassifier

    network = NetworkClassifier(hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    model = EffectiveSparsityPruner(network, sparsity=0.5, random_state=0)
    return model.fit(rows(), labels(12, 2))


def report():
    return sparsity_report(sparsity.network(), sparsity.masks(), (3,))


CURVE = {"a": (np.array([0.1, 1.0, 10.0]), np.array([0.1, 0.1, 0.1]))}
STUDY = [
    {"rule": "drop", "density": density, "seed": seed, "worst": density + seed / 8}
    for density in (0.25, 0.5)
    for seed in (0, 1)
]
LINES = {"drop": ([0.25, 0.5], [0.5, 0.75], [0.125, 0.125])}


def cases():
    yield from constructors()
    yield from from_things()


def constructors():
    for kind, arguments in {
        ActiveLearningDisplay: {
            "curves": {"margin": ([50, 100], [[0.5, 0.75], [0.5, 0.75]])},
            "levels": {"all": 0.75},
            "score_name": "score",
        },
        ArtifactDisplay: {
            "frame": artifacts.FEW[0],
            "probabilities": {"shader": 0.5},
            "heat_map": np.full((32, 40), 0.5),
            "artifact": "shader",
            "corrupted": 0.5,
            "is_flagged": True,
            "curves": None,
        },
        CurvatureDisplay: {
            "scales": np.array([0.1, 1.0, 10.0]),
            "curves": CURVE,
            "zone": (1.0, 1.0),
            "nodes": None,
            "weights": None,
            "xlabel": "scale",
        },
        DRoPDisplay: {"report": None, "curves": LINES, "metric": "worst"},
        SparsityDisplay: {"layers": report().layers, "curves": None},
        TaskDisplay: {
            "memory": None,
            "accuracy": np.array([[0.5, np.nan], [0.5, 0.75]]),
            "tasks": ["a", "b"],
            "counts": None,
            "curves": None,
        },
    }.items():
        yield Case(
            ROOM,
            kind.__name__,
            plotted(kind),
            fixed(**arguments),
            cost=6,
            missing=("accuracy", "scales", "frame", "heat_map"),
        )


def from_things():
    things = {
        "ActiveLearningDisplay.from_estimator": lambda: {
            "estimator": campaign(),
            "name": "mine",
        },
        "ActiveLearningDisplay.from_estimators": lambda: {
            "estimators": {"mine": [campaign()]},
            "levels": None,
            "score_name": "score",
        },
        "ArtifactDisplay.from_detector": lambda: {
            "detector": artifacts.fitted_detector(),
            "frame": artifacts.FEW[0],
            "previous": artifacts.FEW[1],
            "artifact": None,
        },
        "ArtifactDisplay.from_predictions": fixed(
            y_artifact=np.array(["normal", "normal", "shader", "shader"]),
            scores=np.array([0.125, 0.25, 0.5, 0.75]),
            groups=np.array([0, 1, 0, 1]),
            names=None,
            artifact=None,
        ),
        "CurvatureDisplay.from_estimator": lambda: {
            "estimator": probe(),
            "parts": ("h", "g", "f"),
        },
        "CurvatureDisplay.from_spectrum": fixed(
            nodes=np.array([0.0, 1.0]), weights=np.array([0.5, 0.5])
        ),
        "DRoPDisplay.from_estimator": lambda: {"sampler": sampler()},
        "DRoPDisplay.from_study": fixed(results=STUDY, metric="worst"),
        "SparsityDisplay.from_curves": fixed(
            curves={"a": (np.array([1.0, 10.0]), np.array([1.0, 20.0]))}
        ),
        "SparsityDisplay.from_estimator": lambda: {"estimator": pruner()},
        "SparsityDisplay.from_report": lambda: {"report": report()},
        "TaskDisplay.from_counts": fixed(
            counts=np.array([1, 5]), curves={"a": np.array([0.5, 0.75]), "b": 0.5}
        ),
        "TaskDisplay.from_estimator": lambda: {"estimator": continual.fitted()},
        "TaskDisplay.from_matrix": fixed(
            accuracy=np.array([[0.5, np.nan], [0.5, 0.75]]), tasks=["a", "b"]
        ),
    }
    for name, arguments in things.items():
        kind, method = name.split(".")
        yield Case(
            ROOM,
            name,
            drawing(getattr(getattr(plotting, kind), method)),
            lambda arguments=arguments: {**arguments(), **AX},
            cost=6,
            paths=("frame", "previous"),
            also=("frames", "Frames", "input_shape", "value_range"),
            missing=("accuracy", "scores", "nodes", "weights", "counts"),
        )
    yield Case(
        ROOM,
        "SparsityDisplay.plot",
        drawing(lambda **given: SparsityDisplay(layers=report().layers).plot(**given)),
        fixed(ax=None, name="mine"),
        cost=6,
    )
