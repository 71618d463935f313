"""Networks and their training, shared by every method of the package."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.networks._classifier import NetworkClassifier
from sklvyso.networks._registry import available_networks, make_network

__all__ = ["NetworkClassifier", "available_networks", "make_network"]
