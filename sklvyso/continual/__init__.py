"""Continual learning: task after task on one frozen network."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.continual._classifier import ImpressLearnClassifier
from sklvyso.continual._masks import (
    combine_masks,
    score_gradients,
    signed_kaiming_constant,
    topk_mask,
)
from sklvyso.continual._model_selection import TaskStratifiedKFold, task_scorer
from sklvyso.continual._task_inference import infer_task

__all__ = [
    "ImpressLearnClassifier",
    "TaskStratifiedKFold",
    "combine_masks",
    "infer_task",
    "score_gradients",
    "signed_kaiming_constant",
    "task_scorer",
    "topk_mask",
]
