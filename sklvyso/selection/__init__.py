"""Which rows to take: scores of uncertainty and picks of diverse rows."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.selection._badge import badge
from sklvyso.selection._clusters import central_points, cluster_margin, typical_points
from sklvyso.selection._diversity import k_center_greedy
from sklvyso.selection._top import top_scores
from sklvyso.selection._uncertainty import (
    bald,
    entropy,
    least_confidence,
    margin,
    variation_ratio,
)

__all__ = [
    "badge",
    "bald",
    "central_points",
    "cluster_margin",
    "entropy",
    "k_center_greedy",
    "least_confidence",
    "margin",
    "top_scores",
    "typical_points",
    "variation_ratio",
]
