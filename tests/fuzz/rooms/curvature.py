"""Valid calls of sklvyso.curvature."""

import functools

import numpy as np
import torch

from sklvyso import GoldilocksProbe, NetworkClassifier, curvature
from tests.fuzz.cases import Case, fitting, fixed, labels, method_of, proba, rows

ROOM = "curvature"
X, Y = rows(8, 3), labels(8, 3)
RANDOM = {"n_probes": 4, "random_state": 0}


def network(activation=torch.nn.Tanh):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 2), activation(), torch.nn.Linear(2, 3)
    ).double()


def matrix():
    table = rows(5, 5)
    return table + table.T


def cases():
    yield from operators()
    yield from of_operators()
    yield from of_numbers()
    yield from probe()


def operators():
    for name in ("HessianOperator", "GaussNewtonOperator", "ResidualOperator"):
        kind = getattr(curvature, name)
        yield Case(
            ROOM,
            name,
            lambda kind=kind, **given: kind(**given) @ np.arange(17.0),
            lambda: {
                "module": network(),
                "X": X,
                "y": Y,
                "params": None,
                "temperature": 1.0,
                "batch_size": 5,
                "reduction": "mean",
            },
            unbounded=("batch_size",),
        )
        # The formulas are for networks that are linear in pieces.
        made = functools.partial(kind, network(torch.nn.ReLU), X, Y)
        for method in (
            "to_dense",
            "exact_trace",
            "exact_frobenius_norm",
            "exact_trace_by_parameter",
        ):
            if method == "exact_frobenius_norm" and name != "GaussNewtonOperator":
                continue  # there is no formula
            yield Case(
                ROOM,
                f"{name}.{method}",
                lambda made=made, method=method: getattr(made(), method)(),
                dict,
            )
        yield Case(
            ROOM,
            f"{name}.block",
            lambda params, made=made: made().block(params).to_dense(),
            fixed(params=["0.weight"]),
        )


def of_operators():
    for name, more in {
        "trace": {},
        "positive_curvature": {},
        "frobenius_norm": {"n_deflate": 1},
    }.items():
        for method in ("auto", "hutchinson"):
            yield Case(
                ROOM,
                name if method == "auto" else f"{name} by {method}",
                getattr(curvature, name),
                lambda more=more, method=method: {
                    "operator": matrix(),
                    "method": method,
                    **RANDOM,
                    **more,
                },
                unbounded=("n_probes",),
                infinite=True,  # of a matrix of zeros there is no ratio
            )
    yield Case(
        ROOM,
        "eigenvalues",
        curvature.eigenvalues,
        lambda: {
            "operator": matrix(),
            "k": 2,
            "which": "LA",
            "tol": 1e-5,
            "max_steps": None,
            "random_state": 0,
            "return_vectors": False,
            "check_copies": True,
        },
        rtol=1e-6,  # of tol
        unbounded=("max_steps",),
    )
    yield Case(
        ROOM,
        "spectral_density",
        curvature.spectral_density,
        lambda: {"operator": matrix(), "n_steps": 4, "n_starts": 2, "random_state": 0},
        rtol=1e-6,
        unbounded=("n_steps", "n_starts"),
    )
    yield Case(
        ROOM,
        "project_operator",
        curvature.project_operator,
        lambda: {"operator": matrix(), "directions": np.eye(5)[:, :2]},
    )


def of_numbers():
    for name, arguments in {
        "density_curve": {
            "nodes": np.array([0.0, 2.0]),
            "weights": np.array([0.75, 0.25]),
            "grid": np.arange(-2.0, 5.0),
            "sigma": 0.5,
            "n_points": 7,
        },
        "expected_g_curvature": {
            "mean_variance": 0.5,
            "noise_variance": 1.0,
            "gamma": 3.0,
            "dimension": 100,
        },
        "fraction_positive": {
            "values": np.array([2.0, 1.0, 0.0, -0.5]),
            "weights": np.array([0.25, 0.25, 0.25, 0.25]),
            "tolerance": 0.125,
        },
        "full_space_curvature": {"projected_curvature": 4.0, "dimension": 50},
        "projected_curvature": {"curvature": 4.0, "dimension": 50},
        "gamma_statistic": {"proba": proba()},
        "random_directions": {
            "n_parameters": 10,
            "dimension": 3,
            "kind": "gaussian",
            "random_state": 0,
        },
    }.items():
        yield Case(
            ROOM,
            name,
            getattr(curvature, name),
            fixed(**arguments),
            infinite="curvature" in name,  # at its bound and beyond it
            missing=("curvature", "projected_curvature"),
        )
    yield Case(
        ROOM,
        "scale_parameters",
        curvature.scale_parameters,
        lambda: {"module": network(), "alpha": 2.0},
    )


def estimator():
    return NetworkClassifier(hidden_layer_sizes=(2,), max_epochs=1, random_state=0)


def measured(probe, data):
    return probe.transform(data["X"])


def probe():
    params = lambda: {"estimator": estimator(), "n_probes": 4, "random_state": 0}  # noqa: E731
    yield fitting(
        ROOM,
        GoldilocksProbe,
        params,
        fixed(X=X, y=Y),
        lambda fitted, data: fitted.results_ if hasattr(fitted, "results_") else None,
        cost=5,
        infinite=True,
        rtol=1e-4,
        unbounded=(
            "n_probes",
            "n_init",
            "batch_size",
            "n_projections",
            "density_steps",
            "verbose",
        ),
    )
    fitted = functools.cache(lambda: GoldilocksProbe(**params()).fit(X, Y))
    for name, data in {
        "transform": {"X": X},
        "score": {"X": X, "y": Y},
        "get_feature_names_out": {"input_features": None},
    }.items():
        yield method_of(
            ROOM, fitted, name, fixed(**data), owner="GoldilocksProbe", rtol=1e-4
        )
