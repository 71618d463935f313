"""From what a user passes as ``estimator=`` to what a method works with."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline
from skorch import NeuralNet

from sklvyso._arguments import is_choice, shown
from sklvyso.networks._classifier import NetworkClassifier
from sklvyso.networks._random import draw_seed
from sklvyso.networks._registry import available_networks
from sklvyso.networks._skorch_classifier import SkorchClassifier

NEEDS = ("classifier", "network")


def adopt_estimator(
    estimator: Any, *, caller: str, need: str = "classifier", **defaults: Any
) -> Any:
    """Turn an ``estimator=`` argument into an unfitted estimator.

    Parameters
    ----------
    estimator : None, str, estimator, skorch net, or torch.nn.Module class or instance
        What the user passed. It is never fitted or changed.
    caller : str
        Class that asks, for error messages.
    need : {"classifier", "network"}, default="classifier"
        ``"classifier"``: anything with ``fit`` and ``predict`` on labels of any kind.
        ``"network"``: its last step must be a network, so that there is a module.
    **defaults : dict
        Parameters of the :class:`NetworkClassifier` that is made for None, a
        registered name or a module.

    Returns
    -------
    estimator : estimator
        A clone of a scikit-learn estimator; a skorch net, also as the last step of a
        Pipeline, inside :class:`SkorchClassifier`; otherwise a
        :class:`NetworkClassifier`.

    Raises
    ------
    TypeError
        If nothing of the kind can be made of it.

    See Also
    --------
    NetworkClassifier : What most things become.
    SkorchClassifier : What a skorch net becomes.
    """
    if not is_choice(need, NEEDS):
        raise ValueError(f"need must be one of {NEEDS}. Got {shown(need)} instead.")
    if estimator is None:
        return NetworkClassifier(**defaults)
    if isinstance(estimator, str) and estimator not in available_networks():
        raise ValueError(
            f"estimator of {caller} must be one of {available_networks()}, where it "
            f"is a name. Got {estimator!r} instead."
        )
    is_module_class = isinstance(estimator, type) and issubclass(
        estimator, torch.nn.Module
    )
    if is_module_class or isinstance(estimator, str | torch.nn.Module):
        return NetworkClassifier(estimator, **defaults)
    if isinstance(estimator, NeuralNet):
        return SkorchClassifier(clone(estimator))
    if isinstance(estimator, type):
        raise TypeError(
            f"estimator of {caller} must be an instance. Got the class "
            f"{estimator.__name__} instead: write estimator={estimator.__name__}()."
        )
    if not hasattr(estimator, "fit") or not hasattr(estimator, "get_params"):
        raise TypeError(
            f"estimator of {caller} must be None, a classifier, a skorch net or an "
            f"nn.Module. Got {estimator!r} instead."
        )
    last = final_step(estimator)
    networks = (NetworkClassifier, SkorchClassifier, NeuralNet)
    if need == "network" and not isinstance(last, networks):
        raise TypeError(
            f"{caller} needs a torch network: estimator must be a NetworkClassifier, "
            "a skorch net, an nn.Module, or a Pipeline that ends in one. Got "
            f"{type(last).__name__}, which has no torch module."
        )
    if not isinstance(last, NeuralNet) and not is_classifier(last):
        raise TypeError(
            f"estimator of {caller} must be a classifier. Got {type(last).__name__} "
            "instead."
        )
    return _wrap_last_net(clone(estimator))


def _wrap_last_net(estimator: Any) -> Any:
    """Put a skorch net at the end of a Pipeline into a SkorchClassifier, in place."""
    holder = estimator
    while isinstance(holder, Pipeline):
        name, last = holder.steps[-1]
        if isinstance(last, NeuralNet):
            holder.steps[-1] = (name, SkorchClassifier(last))
        holder = last
    return estimator


def final_step(estimator: Any) -> Any:
    """Return the last step of a Pipeline, or the estimator itself.

    Parameters
    ----------
    estimator : estimator
        Pipelines may be nested.

    Returns
    -------
    last : estimator
        What predicts.

    See Also
    --------
    adopt_estimator : Adopts what it finds.
    """
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def takes_images(estimator: Any) -> bool:
    """Say whether an estimator takes X with more than two axes.

    Parameters
    ----------
    estimator : estimator
        Its tags are read.

    Returns
    -------
    takes : bool
        Whether ``input_tags.three_d_array`` is set.

    See Also
    --------
    torch_shape : The shape of one sample.
    """
    tags = getattr(estimator, "__sklearn_tags__", None)
    return tags is not None and bool(tags().input_tags.three_d_array)


def set_seeds(estimator: Any, rng: np.random.RandomState) -> Any:
    """Give every ``random_state`` that is None a seed of its own.

    Parameters
    ----------
    estimator : estimator
        Changed in place, nested parameters too.
    rng : RandomState
        Source of the seeds.

    Returns
    -------
    estimator : estimator
        The same.

    See Also
    --------
    torch_seed : Seeds within a block only.
    """
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        raise TypeError(f"estimator must be an estimator. Got {shown(estimator)}.")
    seeds = {
        name: draw_seed(rng)
        for name, value in sorted(estimator.get_params(deep=True).items())
        if (name == "random_state" or name.endswith("__random_state")) and value is None
    }
    return estimator.set_params(**seeds) if seeds else estimator
