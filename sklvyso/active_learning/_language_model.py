"""What the two estimators of texts share: the language model behind them."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from numbers import Integral
from typing import Any

import torch
from sklearn.base import BaseEstimator

from sklvyso._compat import Interval, StrOptions
from sklvyso._versioned import VersionedEstimator
from sklvyso.active_learning._backbone import (
    Backbone,
    load_backbone,
    resolve_layers,
)
from sklvyso.active_learning._pooling import POOLINGS


class LanguageModelEstimator(VersionedEstimator, BaseEstimator):
    """Base of estimators of texts, by a model of transformers.

    Subclasses have the parameters below and list them.
    """

    _parameter_constraints: dict[str, list] = {
        "model": [str, os.PathLike, callable, None],
        "tokenizer": [str, os.PathLike, callable, None],
        "pooling": [StrOptions({*POOLINGS, "pooler"})],
        "layer": [Integral, tuple, list],
        "normalize": ["boolean"],
        "max_length": [Interval(Integral, 2, None, closed="left"), None],
        "text_columns": [str, Integral, "array-like", None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "local_files_only": ["boolean"],
        "revision": [str, None],
        "trust_remote_code": ["boolean"],
        "verbose": ["verbose"],
    }

    model: Any
    tokenizer: Any
    layer: Any
    local_files_only: bool
    revision: str | None
    trust_remote_code: bool

    def __sklearn_tags__(self):
        """Say that rows are texts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _check_model(self) -> None:
        if self.model is None:
            raise ValueError(
                "model must be the folder or the hub name of a pretrained model, or a "
                "callable that returns (tokenizer, module). Got None instead."
            )

    def _layers(self) -> int | tuple[int, ...]:
        return resolve_layers(self.layer)

    def _load(self) -> Backbone:
        return load_backbone(
            self.model,
            tokenizer=self.tokenizer,
            revision=self.revision,
            local_files_only=self.local_files_only,
            trust_remote_code=self.trust_remote_code,
            caller=type(self).__name__,
        )
