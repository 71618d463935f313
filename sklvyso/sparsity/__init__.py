"""Pruning of networks, measured and aimed by what is truly left."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.sparsity._compact import compact
from sklvyso.sparsity._connectivity import effective_masks
from sklvyso.sparsity._errors import UnsupportedModuleError
from sklvyso.sparsity._export import export_module, load_masks, save_masks
from sklvyso.sparsity._interoperability import apply_masks, read_masks, remove_masks
from sklvyso.sparsity._prune_module import prune_module
from sklvyso.sparsity._pruner import EffectiveSparsityPruner
from sklvyso.sparsity._quotas import layer_quotas
from sklvyso.sparsity._report import SparsityReport, sparsity_report
from sklvyso.sparsity._scores import prune_scores

__all__ = [
    "EffectiveSparsityPruner",
    "SparsityReport",
    "UnsupportedModuleError",
    "apply_masks",
    "compact",
    "effective_masks",
    "export_module",
    "layer_quotas",
    "load_masks",
    "prune_module",
    "prune_scores",
    "read_masks",
    "remove_masks",
    "save_masks",
    "sparsity_report",
]
