"""Networks and their training, shared by every method of the package."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.networks._adopt import (
    adopt_estimator,
    final_step,
    set_seeds,
    takes_images,
)
from sklvyso.networks._arrays import as_rows, torch_shape
from sklvyso.networks._arrays import as_tensor as as_tensor
from sklvyso.networks._arrays import resolve_input_shape as resolve_input_shape
from sklvyso.networks._batches import BatchIterator as BatchIterator
from sklvyso.networks._batches import TensorRows as TensorRows
from sklvyso.networks._build import build_module as build_module
from sklvyso.networks._build import check_module as check_module
from sklvyso.networks._classifier import NetworkClassifier
from sklvyso.networks._columns import take_column as take_column
from sklvyso.networks._device import resolve_device as resolve_device
from sklvyso.networks._fitting import split_off as split_off

# Shared by the rooms, not public.
from sklvyso.networks._gradient_squares import GRADIENT_METHODS as GRADIENT_METHODS
from sklvyso.networks._gradient_squares import check_finite_norms as check_finite_norms
from sklvyso.networks._gradient_squares import gradient_squares as gradient_squares
from sklvyso.networks._initialization import initialize
from sklvyso.networks._inspection import (
    dropout_layers,
    dropout_probabilities,
    logits_module,
    penultimate_features,
)
from sklvyso.networks._label_directions import Labels as Labels
from sklvyso.networks._label_directions import error_directions as error_directions
from sklvyso.networks._label_directions import every_class as every_class
from sklvyso.networks._label_directions import given as given
from sklvyso.networks._label_directions import most_probable as most_probable
from sklvyso.networks._labels import class_weights as class_weights
from sklvyso.networks._labels import encode as encode
from sklvyso.networks._labels import sample_weights as sample_weights
from sklvyso.networks._labels import unique_labels as unique_labels
from sklvyso.networks._layer_gradients import LayerwiseSquares as LayerwiseSquares
from sklvyso.networks._layer_gradients import NoClosedFormError as NoClosedFormError
from sklvyso.networks._module_training import PreparedRows as PreparedRows
from sklvyso.networks._module_training import inference_net as inference_net
from sklvyso.networks._module_training import module_net as module_net
from sklvyso.networks._module_training import train_net as train_net
from sklvyso.networks._net import TrainingNet as TrainingNet
from sklvyso.networks._net_making import is_same as is_same
from sklvyso.networks._random import draw_seed, torch_seed
from sklvyso.networks._registry import available_networks, make_network
from sklvyso.networks._row_gradients import OneByOneSquares as OneByOneSquares
from sklvyso.networks._row_gradients import borrowed as borrowed
from sklvyso.networks._row_gradients import trainable_parameters as trainable_parameters
from sklvyso.networks._scoring import scoring_batches
from sklvyso.networks._skorch_classifier import SkorchClassifier
from sklvyso.networks._subsets import stratified_rows as stratified_rows
from sklvyso.networks._training import OPTIMIZERS as OPTIMIZERS
from sklvyso.networks._weight_masks import held_at_zero

__all__ = [
    "NetworkClassifier",
    "SkorchClassifier",
    "adopt_estimator",
    "as_rows",
    "available_networks",
    "draw_seed",
    "dropout_layers",
    "dropout_probabilities",
    "final_step",
    "held_at_zero",
    "initialize",
    "logits_module",
    "make_network",
    "penultimate_features",
    "scoring_batches",
    "set_seeds",
    "takes_images",
    "torch_seed",
    "torch_shape",
]
