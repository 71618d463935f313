"""Is a game frame corrupted, by what, and where: simulator, featurizers, reading.

A name loads its module on first use, so that importing the room loads neither torch
nor Pillow nor pandas (which scikit-learn loads where it is installed).
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklvyso.artifacts._dft import DFTFeaturizer
    from sklvyso.artifacts._hog import HOGFeaturizer
    from sklvyso.artifacts._laplacian import GraphLaplacianFeaturizer
    from sklvyso.artifacts._made_frames import make_artifact_frames
    from sklvyso.artifacts._reading import iter_frames
    from sklvyso.artifacts._registry import ARTIFACTS, register_artifact
    from sklvyso.artifacts._simulate import ArtifactSimulator

_MODULE_OF = {
    "ARTIFACTS": "_registry",
    "ArtifactSimulator": "_simulate",
    "DFTFeaturizer": "_dft",
    "GraphLaplacianFeaturizer": "_laplacian",
    "HOGFeaturizer": "_hog",
    "iter_frames": "_reading",
    "make_artifact_frames": "_made_frames",
    "register_artifact": "_registry",
}

__all__ = [
    "ARTIFACTS",
    "ArtifactSimulator",
    "DFTFeaturizer",
    "GraphLaplacianFeaturizer",
    "HOGFeaturizer",
    "iter_frames",
    "make_artifact_frames",
    "register_artifact",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'sklvyso.artifacts' has no attribute {name!r}")
    module = importlib.import_module(f"sklvyso.artifacts.{_MODULE_OF[name]}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
