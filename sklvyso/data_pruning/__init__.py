"""Which rows of the training data to keep without hurting the worst class."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.data_pruning._quotas import drop_densities, drop_quotas
from sklvyso.data_pruning._sampler import DRoPSampler
from sklvyso.data_pruning._schedule import scaled_max_epochs

__all__ = ["DRoPSampler", "drop_densities", "drop_quotas", "scaled_max_epochs"]
