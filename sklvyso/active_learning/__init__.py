"""Which texts to label next, on frozen representations of a language model."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.active_learning._finetune import TransformerTextClassifier

__all__ = ["TransformerTextClassifier"]
