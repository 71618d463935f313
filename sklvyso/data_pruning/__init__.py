"""Which rows of the training data to keep without hurting the worst class."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.data_pruning._choosers import coverage_selection
from sklvyso.data_pruning._class_difficulty import ClassDifficultyWeights
from sklvyso.data_pruning._gradient_norms import grand
from sklvyso.data_pruning._quotas import drop_densities, drop_quotas
from sklvyso.data_pruning._sampler import DRoPSampler
from sklvyso.data_pruning._schedule import pruning_sizes, scaled_max_epochs
from sklvyso.data_pruning._scores import (
    area_under_margin,
    dynamic_uncertainty,
    el2n,
    forgetting_events,
    prototype_distance,
)
from sklvyso.data_pruning._theory import (
    drop_prior_ratio,
    gaussian_mixture_risks,
    gaussian_mixture_threshold,
    optimal_prior_ratio,
    worst_class_threshold,
)
from sklvyso.data_pruning._training_dynamics import (
    TrainingDynamics,
    TrainingDynamicsRecorder,
    record_training_dynamics,
)

__all__ = [
    "ClassDifficultyWeights",
    "DRoPSampler",
    "TrainingDynamics",
    "TrainingDynamicsRecorder",
    "area_under_margin",
    "coverage_selection",
    "drop_densities",
    "drop_prior_ratio",
    "drop_quotas",
    "dynamic_uncertainty",
    "el2n",
    "forgetting_events",
    "gaussian_mixture_risks",
    "gaussian_mixture_threshold",
    "grand",
    "optimal_prior_ratio",
    "prototype_distance",
    "pruning_sizes",
    "record_training_dynamics",
    "scaled_max_epochs",
    "worst_class_threshold",
]
