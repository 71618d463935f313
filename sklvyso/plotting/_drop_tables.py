"""Tables that DRoPDisplay draws: checked, and averaged over seeds."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sklvyso._arguments import is_choice, is_real, shown

METRICS = {
    "worst": "recall of the worst class",
    "average": "average accuracy",
    "gap": "gap between best and worst recall",
    "std": "standard deviation of the recalls",
}
COLUMNS = ("count", "recall", "density", "kept")


def names_of(report):
    """Return the names of the classes or groups."""
    return report["class" if "class" in report else "group"]


def check_metric(metric) -> None:
    """Raise unless the metric is known."""
    if not is_choice(metric, METRICS):
        raise ValueError(
            f"metric must be one of {', '.join(map(repr, METRICS))}. Got {metric!r} "
            "instead."
        )


def check_report(report) -> None:
    """Raise unless all columns are there, of one length."""
    missing = {*COLUMNS} - {*report}
    if missing or not {"class", "group"} & {*report}:
        raise ValueError(
            "report must have the columns 'class' or 'group', 'count', 'recall', "
            f"'density' and 'kept'. Got {list(report)} instead."
        )
    lengths = {column: len(report[column]) for column in COLUMNS}
    lengths["class"] = len(names_of(report))
    if len(set(lengths.values())) > 1 or not lengths["class"]:
        raise ValueError(
            "report must have columns of one length >= 1. Got the lengths "
            f"{lengths} instead."
        )


def curves_of(results, metric):
    """Return densities, means and standard errors over seeds by rule."""
    if not results:
        raise ValueError("results must hold something. Got none instead.")
    values: dict[str, dict[float, dict[Any, float]]] = {}
    for record in results:
        rule, density, seed, value = _fields(record, metric)
        seeds = values.setdefault(rule, {}).setdefault(density, {})
        if seed in seeds:
            raise ValueError(
                "results must hold each rule, density and seed once. Got rule "
                f"{rule!r}, density {density} and seed {seed!r} twice."
            )
        seeds[seed] = value
    return {rule: _summary(by_density) for rule, by_density in values.items()}


def _fields(record, metric):
    needed = ("rule", "density", "seed", metric)
    if not isinstance(record, Mapping) or {*needed} - {*record}:
        got = list(record) if isinstance(record, Mapping) else record
        raise ValueError(
            f"results must be dicts with {', '.join(map(repr, needed))}. Got {got!r} "
            "instead."
        )
    for name in ("density", metric):
        if not is_real(record[name]):
            raise TypeError(
                f"results must hold numbers as {name}. Got {shown(record[name])} "
                "instead."
            )
    density, value = float(record["density"]), float(record[metric])
    if not 0 < density <= 1:
        raise ValueError(f"density must lie in (0, 1]. Got {density} instead.")
    if not math.isfinite(value):
        raise ValueError(f"{metric} must be a finite number. Got {value} instead.")
    return str(record["rule"]), density, record["seed"], value


def _summary(by_density):
    densities = sorted(by_density)
    samples = [np.array(list(by_density[density].values())) for density in densities]
    means = np.array([sample.mean() for sample in samples])
    errors = np.array(
        [
            sample.std(ddof=1) / math.sqrt(len(sample)) if len(sample) > 1 else np.nan
            for sample in samples
        ]
    )
    return np.array(densities), means, errors
