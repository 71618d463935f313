"""Pruning of networks, measured and aimed by what is truly left."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.sparsity._connectivity import effective_masks
from sklvyso.sparsity._errors import UnsupportedModuleError
from sklvyso.sparsity._report import SparsityReport, sparsity_report

__all__ = [
    "SparsityReport",
    "UnsupportedModuleError",
    "effective_masks",
    "sparsity_report",
]
