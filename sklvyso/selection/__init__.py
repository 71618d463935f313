"""Which rows to take: scores of uncertainty and picks of diverse rows."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.selection._diversity import k_center_greedy
from sklvyso.selection._uncertainty import (
    bald,
    entropy,
    least_confidence,
    margin,
    variation_ratio,
)

__all__ = [
    "bald",
    "entropy",
    "k_center_greedy",
    "least_confidence",
    "margin",
    "variation_ratio",
]
