"""Initialise a net, train it, train it on: what the classifiers of this room share."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklvyso.networks._random import torch_seed
from sklvyso.networks._training import plain_module
from sklvyso.networks._weight_masks import apply_masks, check_weight_masks

_OF_THE_NET = ("net_", "n_iter_", "history_", "loss_curve_", "best_epoch_")


class StepwiseTraining:
    """A classifier around a skorch net that is made first and trained later.

    A class that inherits makes the net within ``_numbers_of_start``, hands it to
    ``_keep``, trains it within ``_numbers_of_training``, and says in ``_scoring_data``
    and ``_prepare`` what its module takes.
    """

    net_: Any
    n_iter_: int
    history_: list[dict[str, Any]]
    _seed: int
    _later_seeds: np.random.RandomState
    _generator_states: dict[str, np.ndarray] | None

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    @property
    def module_(self) -> torch.nn.Module:
        """The fitted module."""
        check_is_fitted(self)
        return plain_module(self.net_)

    def mask_weights(self, masks: Mapping[str, ArrayLike | torch.Tensor] | None) -> Any:
        """Hold weights at exactly zero, now and in all training to come.

        They are zero at once, after every step of the optimiser in ``train``,
        ``partial_fit`` and ``fit`` with a warm start, after errors and interrupts, and
        in pickles and copies. A new network, made by ``initialize`` or by ``fit``
        without a warm start, has no masks.

        Parameters
        ----------
        masks : dict of str to array-like or tensor of bool, or None
            Names as in ``module_.named_parameters()`` to masks in the shape of the
            parameter: True where a weight may be other than 0. They take the place of
            all earlier masks. None or an empty dict lets all weights move again, from
            where they are.

        Returns
        -------
        self : estimator
            With ``net_.weight_masks_``, bool tensors on the CPU.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        TypeError
            If ``masks`` is no dict, or a mask does not hold bools.
        ValueError
            If a name is unknown or a mask has another shape than its parameter.
        """
        checked = check_weight_masks(masks, dict(self.module_.named_parameters()))
        apply_masks(self.module_, checked)
        self.net_.weight_masks_ = checked
        return self

    def _scoring_data(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, ...]:
        """Return checked rows, label codes, weights of rows, weights of classes."""
        raise NotImplementedError

    def _prepare(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn a batch of checked rows into what the module takes."""
        raise NotImplementedError

    def _forget(self) -> None:
        """Be unfitted."""
        for name in _OF_THE_NET:
            self.__dict__.pop(name, None)

    @contextlib.contextmanager
    def _numbers_of_start(self, seed: int, device: Any) -> Iterator[None]:
        """Run the making of a net; its random numbers are taken up by the training."""
        with torch_seed(seed, device):
            yield
            self._generator_states = _generator_states(device)
        self._seed = seed
        self._later_seeds = np.random.RandomState(seed)

    @contextlib.contextmanager
    def _numbers_of_training(self) -> Iterator[None]:
        """Run a training, the first one with the numbers that follow on the start."""
        states = self._generator_states
        seed = self._seed
        if states is None:
            # A continued training must not repeat its random numbers.
            seed = int(self._later_seeds.randint(np.iinfo(np.int32).max))
        device = module_device(self.net_)
        with torch_seed(seed, device):
            if states is not None:
                _set_generator_states(states, device)
            yield

    def _keep(self, net: Any) -> None:
        """Take a net with whole epochs only as the fitted one."""
        self.net_ = net
        self.history_ = [
            {key: value for key, value in epoch.items() if key != "batches"}
            for epoch in net.history
        ]
        self.n_iter_ = len(self.history_)
        if self.n_iter_:
            self._generator_states = None


def module_device(net: Any) -> torch.device:
    """Return where the module of a skorch net computes; the CPU without parameters."""
    parameter = next(iter(net.module_.parameters()), None)
    return torch.device("cpu") if parameter is None else parameter.device


def _generator_states(device: Any) -> dict[str, np.ndarray]:
    # skops stores arrays, no tensors.
    states = {"cpu": torch.get_rng_state().numpy()}
    if torch.device(device).type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device).numpy()
    return states


def _set_generator_states(states: dict[str, np.ndarray], device: Any) -> None:
    torch.set_rng_state(torch.as_tensor(states["cpu"]))
    # A net that was made on a GPU may be trained on a machine without one.
    if torch.device(device).type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(torch.as_tensor(states["cuda"]), device)
