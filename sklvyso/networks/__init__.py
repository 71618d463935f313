"""Networks and their training, shared by every method of the package."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.networks._adopt import (
    adopt_estimator,
    final_step,
    set_seeds,
    takes_images,
)
from sklvyso.networks._classifier import NetworkClassifier
from sklvyso.networks._initialization import initialize
from sklvyso.networks._random import draw_seed, torch_seed
from sklvyso.networks._registry import available_networks, make_network

__all__ = [
    "NetworkClassifier",
    "adopt_estimator",
    "available_networks",
    "draw_seed",
    "final_step",
    "initialize",
    "make_network",
    "set_seeds",
    "takes_images",
    "torch_seed",
]
