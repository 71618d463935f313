"""Is a game frame corrupted, by what, and where: simulator, featurizers, reading.

A name loads its module on first use, so that importing the room loads neither torch
nor Pillow nor pandas (which scikit-learn loads where it is installed).
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklvyso.artifacts._detector import ArtifactDetector
    from sklvyso.artifacts._dft import DFTFeaturizer
    from sklvyso.artifacts._hog import HOGFeaturizer
    from sklvyso.artifacts._laplacian import GraphLaplacianFeaturizer
    from sklvyso.artifacts._made_frames import make_artifact_frames
    from sklvyso.artifacts._pattern import PixelPatternFeaturizer
    from sklvyso.artifacts._reading import iter_frames
    from sklvyso.artifacts._registry import ARTIFACTS, register_artifact
    from sklvyso.artifacts._simulate import ArtifactSimulator
    from sklvyso.artifacts._stream import FrameStreamDetector

_MODULE_OF = {
    "ARTIFACTS": "_registry",
    "ArtifactDetector": "_detector",
    "ArtifactSimulator": "_simulate",
    "DFTFeaturizer": "_dft",
    "FrameStreamDetector": "_stream",
    "GraphLaplacianFeaturizer": "_laplacian",
    "HOGFeaturizer": "_hog",
    "PixelPatternFeaturizer": "_pattern",
    "iter_frames": "_reading",
    "make_artifact_frames": "_made_frames",
    "register_artifact": "_registry",
}

__all__ = [
    "ARTIFACTS",
    "ArtifactDetector",
    "ArtifactSimulator",
    "DFTFeaturizer",
    "FrameStreamDetector",
    "GraphLaplacianFeaturizer",
    "HOGFeaturizer",
    "PixelPatternFeaturizer",
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
