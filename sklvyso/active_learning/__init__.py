"""Which texts to label next, on frozen representations of a language model."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.active_learning._encoder import PretrainedTextEncoder
from sklvyso.active_learning._finetune import TransformerTextClassifier
from sklvyso.active_learning._learner import PretrainedActiveLearner

__all__ = [
    "PretrainedActiveLearner",
    "PretrainedTextEncoder",
    "TransformerTextClassifier",
]
