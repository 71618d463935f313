"""One display a result, drawn with matplotlib."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.plotting._active_learning import ActiveLearningDisplay
from sklvyso.plotting._artifacts import ArtifactDisplay
from sklvyso.plotting._curvature import CurvatureDisplay
from sklvyso.plotting._drop import DRoPDisplay
from sklvyso.plotting._sparsity import SparsityDisplay
from sklvyso.plotting._tasks import TaskDisplay

__all__ = [
    "ActiveLearningDisplay",
    "ArtifactDisplay",
    "CurvatureDisplay",
    "DRoPDisplay",
    "SparsityDisplay",
    "TaskDisplay",
]
