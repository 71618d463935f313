"""Valid calls of sklvyso.data_pruning."""

import numpy as np
import torch

from sklvyso import DRoPSampler, NetworkClassifier, data_pruning
from sklvyso.data_pruning import TrainingDynamics
from tests.fuzz.cases import Case, fitting, fixed, labels, method_of, proba, rows

ROOM = "data_pruning"
P_TRUE = proba(5, 4).repeat(2, axis=1)[:, :6]
RECALLS, COUNTS = np.array([0.875, 0.5, 0.25]), np.array([10, 8, 6])
GAUSSIANS = {"mu": np.array([-1.0, 1.0]), "sigma": np.array([0.5, 1.0])}
CALLABLES = ("scorer", "quota", "sampling_strategy")
X, Y = rows(30, 3), labels(30, 3)


def network():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 4)


def cases():
    yield from functions()
    yield from theory()
    yield from sampler()
    yield from dynamics()


def functions():
    quotas = {
        "recalls": RECALLS,
        "class_counts": COUNTS,
        "n_select": 12,
        "allocation": "density",
        "uniform_mix": 0.25,
        "min_per_class": 1,
    }
    for name in ("drop_densities", "drop_quotas"):
        yield Case(ROOM, name, getattr(data_pruning, name), fixed(**quotas))
    yield Case(
        ROOM,
        "el2n",
        data_pruning.el2n,
        fixed(proba=proba(), y=labels(12, 4), unlabelled="max"),
    )
    yield Case(
        ROOM,
        "grand",
        data_pruning.grand,
        lambda: {
            "module": network(),
            "X": rows(),
            "y": labels(12, 4),
            "unlabelled": "max",
            "batch_size": 5,
            "method": "auto",
        },
        rtol=1e-5,  # the network computes in float32
    )
    yield Case(
        ROOM,
        "forgetting_events",
        data_pruning.forgetting_events,
        fixed(correct=P_TRUE > 0.25, never_learned="hardest"),
        infinite=True,
    )
    yield Case(
        ROOM,
        "dynamic_uncertainty",
        data_pruning.dynamic_uncertainty,
        fixed(p_true=P_TRUE, window=3),
    )
    yield Case(
        ROOM,
        "prototype_distance",
        data_pruning.prototype_distance,
        fixed(Z=rows(), y=labels()),
    )
    yield Case(
        ROOM,
        "area_under_margin",
        data_pruning.area_under_margin,
        fixed(logits=np.stack([rows(), rows()[::-1]]), y=labels()),
    )
    yield Case(
        ROOM,
        "coverage_selection",
        data_pruning.coverage_selection,
        fixed(
            scores=np.arange(20) % 7 / 8.0,
            n_select=6,
            cutoff=0.125,
            n_strata=4,
            random_state=0,
        ),
    )
    yield Case(
        ROOM,
        "scaled_max_epochs",
        data_pruning.scaled_max_epochs,
        fixed(max_epochs=10, n_selected=50, n_total=100),
    )
    yield Case(
        ROOM,
        "pruning_sizes",
        data_pruning.pruning_sizes,
        fixed(n_total=100, density=0.25, n_steps=3, schedule="linear"),
        unbounded=("n_steps",),
    )
    yield Case(
        ROOM,
        "record_training_dynamics",
        lambda estimator, X, y: vars(
            data_pruning.record_training_dynamics(estimator, X, y)[0]
        ),
        lambda: {
            "estimator": NetworkClassifier(
                hidden_layer_sizes=(4,), max_epochs=2, random_state=0
            ),
            "X": rows(),
            "y": labels(),
        },
        infinite=True,  # margins of a single class
        cost=3,
    )


def theory():
    yield Case(
        ROOM,
        "gaussian_mixture_threshold",
        data_pruning.gaussian_mixture_threshold,
        fixed(priors=np.array([0.25, 0.75]), global_minimum=False, **GAUSSIANS),
        infinite=True,  # where one class is always predicted
    )
    yield Case(
        ROOM,
        "worst_class_threshold",
        data_pruning.worst_class_threshold,
        fixed(**GAUSSIANS),
    )
    yield Case(
        ROOM,
        "optimal_prior_ratio",
        data_pruning.optimal_prior_ratio,
        fixed(sigma=GAUSSIANS["sigma"]),
    )
    yield Case(
        ROOM,
        "drop_prior_ratio",
        data_pruning.drop_prior_ratio,
        fixed(priors=np.array([0.5, 0.5]), **GAUSSIANS),
        infinite=True,
    )
    yield Case(
        ROOM,
        "gaussian_mixture_risks",
        data_pruning.gaussian_mixture_risks,
        fixed(threshold=np.array([0.0, 0.5]), **GAUSSIANS),
        missing=("threshold",),
    )


def fitted():
    return DRoPSampler(random_state=0, validation=2).fit(X, Y)


def kept(sampler, data):
    return sampler.sample_indices_


def sampler():
    params = fixed(random_state=0, validation=2)
    yield fitting(
        ROOM,
        DRoPSampler,
        params,
        fixed(X=X, y=Y),
        kept,
        callables=CALLABLES,
        cost=4,
        unbounded=("n_query", "n_steps", "n_jobs", "verbose"),
    )
    yield fitting(
        ROOM,
        DRoPSampler,
        params,
        fixed(
            X=X,
            y=Y,
            groups=labels(30, 2),
            X_val=X[:9],
            y_val=Y[:9],
            groups_val=labels(9, 2),
            features=X,
            scores=np.arange(30) / 8.0,
        ),
        kept,
        method="fit_resample",
        callables=CALLABLES,
        cost=4,
        unbounded=("n_query", "n_steps", "n_jobs", "verbose"),
    )
    yield method_of(
        ROOM,
        fitted,
        "resample",
        fixed(X=X, y=Y, density=0.25, quota="drop"),
        callables=CALLABLES,
        missing=("X",),  # rows are picked, not read
        owner="DRoPSampler",
    )
    yield method_of(
        ROOM,
        fitted,
        "save",
        fixed(path="saved.npz"),
        paths=("path",),
        owner="DRoPSampler",
    )

    def loading(path):
        fitted().save("saved.npz")
        return DRoPSampler(random_state=0).load(path).resample(X, Y)

    yield Case(
        ROOM, "DRoPSampler.load", loading, fixed(path="saved.npz"), paths=("path",)
    )


def dynamics():
    tables = fixed(p_true=P_TRUE, correct=P_TRUE > 0.25, margins=P_TRUE * 2 - 1)

    def call(name, window, **given):
        return TrainingDynamics(**given).scores(name, window=window)

    yield Case(
        ROOM,
        "TrainingDynamics.scores",
        call,
        lambda: {"name": "dynamic_uncertainty", "window": 3, **tables()},
        missing=("correct", "margins"),  # which this score does not read
    )

    def weigh(X, y, **given):
        callback = data_pruning.ClassDifficultyWeights(**given)
        network = NetworkClassifier(
            hidden_layer_sizes=(4,), max_epochs=1, random_state=0, callbacks=[callback]
        )
        return network.fit(X, y).history_[0]["class_weights"]

    yield Case(
        ROOM,
        "ClassDifficultyWeights",
        weigh,
        lambda: {
            "X": X,
            "y": Y,
            "validation_fraction": 0.25,
            "X_val": None,
            "y_val": None,
            "min_weight": 0.125,
            "random_state": 0,
        },
        cost=3,
        also=("callbacks",),
        rtol=1e-5,
    )
