"""Six methods for people who train classifiers with scikit-learn habits.

Everything public is importable from here; a name loads its room on first use, so that
``import sklvyso`` itself loads neither torch nor scikit-learn.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
from typing import TYPE_CHECKING, Any

from sklvyso._version import __version__

# Type checkers see the names here; at run time they come from __getattr__.
if TYPE_CHECKING:
    from sklvyso import (
        active_learning,
        artifacts,
        continual,
        curvature,
        data_pruning,
        datasets,
        metrics,
        networks,
        plotting,
        selection,
        sparsity,
    )
    from sklvyso.active_learning import (
        PretrainedActiveLearner,
        PretrainedTextEncoder,
        TransformerTextClassifier,
    )
    from sklvyso.artifacts import (
        ArtifactDetector,
        ArtifactSimulator,
        DFTFeaturizer,
        FrameStreamDetector,
        GraphLaplacianFeaturizer,
        HOGFeaturizer,
        PixelPatternFeaturizer,
    )
    from sklvyso.continual import ImpressLearnClassifier
    from sklvyso.curvature import GoldilocksProbe
    from sklvyso.data_pruning import DRoPSampler
    from sklvyso.networks import NetworkClassifier
    from sklvyso.sparsity import EffectiveSparsityPruner

_ROOM_OF = {
    "ArtifactDetector": "artifacts",
    "ArtifactSimulator": "artifacts",
    "DFTFeaturizer": "artifacts",
    "DRoPSampler": "data_pruning",
    "EffectiveSparsityPruner": "sparsity",
    "GoldilocksProbe": "curvature",
    "GraphLaplacianFeaturizer": "artifacts",
    "FrameStreamDetector": "artifacts",
    "HOGFeaturizer": "artifacts",
    "ImpressLearnClassifier": "continual",
    "NetworkClassifier": "networks",
    "PixelPatternFeaturizer": "artifacts",
    "PretrainedActiveLearner": "active_learning",
    "PretrainedTextEncoder": "active_learning",
    "TransformerTextClassifier": "active_learning",
}
_ROOMS = (
    "active_learning",
    "artifacts",
    "continual",
    "curvature",
    "data_pruning",
    "datasets",
    "metrics",
    "networks",
    "plotting",
    "selection",
    "sparsity",
)

__all__ = [
    "ArtifactDetector",
    "ArtifactSimulator",
    "DFTFeaturizer",
    "DRoPSampler",
    "EffectiveSparsityPruner",
    "FrameStreamDetector",
    "GoldilocksProbe",
    "GraphLaplacianFeaturizer",
    "HOGFeaturizer",
    "ImpressLearnClassifier",
    "NetworkClassifier",
    "PixelPatternFeaturizer",
    "PretrainedActiveLearner",
    "PretrainedTextEncoder",
    "TransformerTextClassifier",
    "__version__",
    "active_learning",
    "artifacts",
    "continual",
    "curvature",
    "data_pruning",
    "datasets",
    "metrics",
    "networks",
    "plotting",
    "selection",
    "sparsity",
]


def __getattr__(name: str) -> Any:
    if name in _ROOM_OF:
        value = getattr(importlib.import_module(f"sklvyso.{_ROOM_OF[name]}"), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"sklvyso.{name}")
    else:
        raise AttributeError(f"module 'sklvyso' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
