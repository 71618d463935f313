"""Pruning of networks, measured and aimed by what is truly left."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

__all__: list[str] = []
