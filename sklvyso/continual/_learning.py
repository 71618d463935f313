"""Learn one task: a mask, coefficients, or whichever a validation part favours."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sklvyso.continual._backbone import Backbone
from sklvyso.continual._combination import (
    CoefficientLearner,
    Impression,
    MaskLearner,
    uniform_coefficients,
)
from sklvyso.continual._masks import (
    initial_scores,
    layer_densities,
    pack_mask,
    random_mask,
    topk_mask,
)
from sklvyso.networks import module_net, stratified_rows, train_net

# Rows that a validation part needs to tell a mask from coefficients.
_FEWEST_VALIDATION_ROWS = 20
# Share of the epochs of a mask that the quick one of a comparison gets.
_QUICK_SHARE = 0.5
# Standard errors of the paired difference that a mask has to be better by.
_CLEARLY = 2.0

# Purposes of random numbers.
_SCORES, _ORDER = 1, 2


class Rows(NamedTuple):
    """Training rows of one task."""

    X: np.ndarray  # (n, n_features), raw
    codes: np.ndarray  # (n,), int64, outputs
    sample_weight: np.ndarray | None

    def take(self, index: np.ndarray) -> Rows:
        """Return some of the rows."""
        weight = self.sample_weight
        return Rows(
            self.X[index], self.codes[index], None if weight is None else weight[index]
        )


class Learned(NamedTuple):
    """What a training gave."""

    masks: Impression | None  # of a mask
    coef: np.ndarray | None  # of a combination
    output_mask: np.ndarray | None
    buffers: dict[str, np.ndarray]
    loss_curve: np.ndarray
    net: Any


class Learner:
    """Learns tasks on one backbone, each from random numbers of its own.

    Parameters
    ----------
    backbone : Backbone
        Frozen.
    settings : ImpressLearnClassifier
        Its parameters and ``input_shape_`` are read.
    seed : int
        Of all random numbers but those of the backbone.
    device : str
        Where to train.
    """

    def __init__(self, backbone: Backbone, settings: Any, seed: int, device: str):
        self.backbone = backbone
        self.settings = settings
        self.seed = seed
        self.device = device
        self.densities = layer_densities(
            backbone.shapes,
            density=settings.density,
            allocation=settings.density_allocation,
            budget=settings.density_budget,
        )

    def stream(self, *key: int) -> int:
        """Return a seed for one purpose, independent of all others."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=key)
        return int(sequence.generate_state(1)[0] >> 1)

    def random_impressions(self, n_masks: int) -> list[Impression]:
        """Return masks that nothing is learned for."""
        random = np.random.RandomState(self.stream(0, _SCORES))
        mode = self.settings.mask_mode
        return [
            [
                pack_mask(random_mask(shape, density, mode, random))
                for shape, density in zip(
                    self.backbone.shapes, self.densities, strict=True
                )
            ]
            for _ in range(n_masks)
        ]

    def learn_mask(
        self, rows: Rows, key: tuple[int, ...], label: str, share: float = 1.0
    ) -> Learned:
        """Learn scores of a mask.

        Parameters
        ----------
        rows : Rows
            Of one task.
        key : tuple of int
            Task and number of the mask: decide scores and order of rows.
        label : str
            Of the progress bar.
        share : float, default=1.0
            Of ``max_epochs``.

        Returns
        -------
        learned : Learned
            With ``masks``.
        """
        settings = self.settings
        random = np.random.RandomState(self.stream(*key, _SCORES))
        dtype = self.backbone.weights[0].cpu().numpy().dtype
        scores = [
            initial_scores(shape, random).astype(dtype)
            for shape in self.backbone.shapes
        ]
        learner = MaskLearner(
            self.backbone, scores, self.densities.tolist(), settings.mask_mode
        )
        net = self._trained(
            learner,
            rows,
            key,
            label,
            lr=settings.lr,
            max_epochs=max(1, math.ceil(share * settings.max_epochs)),
        )
        masks = [
            pack_mask(topk_mask(values.detach(), density, mode=settings.mask_mode))
            for values, density in zip(learner.scores, self.densities, strict=True)
        ]
        return self._learned(net, learner, masks=masks)

    def learn_coefficients(
        self,
        rows: Rows,
        impressions: Sequence[Impression],
        key: tuple[int, ...],
        label: str,
        start: np.ndarray | None = None,
        output_mask: np.ndarray | None = None,
        buffers: dict[str, np.ndarray] | None = None,
    ) -> Learned:
        """Learn a combination of masks.

        Parameters
        ----------
        rows : Rows
            Of one task.
        impressions : sequence of list of ndarray
            Masks to combine.
        key : tuple of int
            Task and training: decide the order of rows.
        label : str
            Of the progress bar.
        start : ndarray, default=None
            Coefficients to go on from, in the scope that they have; None for equal
            ones.
        output_mask : ndarray, default=None
            Packed mask of the output layer that a task goes on with; it stays.
        buffers : dict of str to ndarray, default=None
            Statistics to go on from.

        Returns
        -------
        learned : Learned
            With ``coef`` and, where the output layer has a mask of its own, that.
        """
        settings = self.settings
        n_layers = len(self.backbone.weights)
        coef = start
        if coef is None:
            coef = uniform_coefficients(n_layers, len(impressions), settings.coef_scope)
        is_by_layer = len(coef) == n_layers
        scores = None
        if start is None and settings.dedicated_output:
            random = np.random.RandomState(self.stream(*key, _SCORES))
            scores = initial_scores(self.backbone.shapes[-1], random)
        has_own_output = scores is not None or output_mask is not None
        if has_own_output and is_by_layer:
            coef = coef[: n_layers - 1]
        learner = CoefficientLearner(
            self.backbone,
            impressions,
            coef,
            scores=scores,
            output_mask=output_mask,
            density=self.densities[-1],
            mode=settings.mask_mode,
            buffers=buffers,
        )
        net = self._trained(
            learner,
            rows,
            key,
            label,
            lr=settings.coef_lr,
            max_epochs=settings.coef_max_epochs,
            weight_decay=settings.coef_weight_decay,
            penalty=_Penalty(settings.coef_l1) if settings.coef_l1 else None,
        )
        found = learner.coef.detach().cpu().numpy().astype(np.float32)
        if learner.scores is not None:
            mask = topk_mask(
                learner.scores.detach(), self.densities[-1], mode=settings.mask_mode
            )
            output_mask = pack_mask(mask)
        if has_own_output and is_by_layer:
            found = np.vstack([found, np.zeros_like(found[:1])])
        return self._learned(net, learner, coef=found, output_mask=output_mask)

    def wants_mask(
        self,
        rows: Rows,
        impressions: Sequence[Impression],
        key: tuple[int, ...],
        label: str,
    ) -> tuple[bool, dict[str, float]]:
        """Say whether a mask of its own would do clearly better for a task.

        Parameters
        ----------
        rows : Rows
            Of the task; a fifth of them is held out.
        impressions : sequence of list of ndarray
            Masks to combine.
        key : tuple of int
            Decides the split.
        label : str
            Of the progress bar.

        Returns
        -------
        is_wanted : bool
            Whether it is better by more than ``mask_tolerance`` and by two standard
            errors.
        scores : dict of str to float
            Accuracies on the rows held out; empty where there are too few.
        """
        parts = _split(rows.codes, self.settings.validation_fraction, self.stream(*key))
        if parts is None:
            return False, {}
        training, held_out = (rows.take(part) for part in parts)
        tolerance = self.settings.mask_tolerance
        by_coef = self.learn_coefficients(training, impressions, key, f"{label} trial ")
        hits = self._hits(by_coef, held_out)
        weight = held_out.sample_weight
        weight = np.ones(len(hits)) if weight is None else weight
        if not weight.any():
            return False, {}
        share = weight / weight.sum()
        scores = {"coefficients": float(share @ hits)}
        if scores["coefficients"] + tolerance >= 1:
            return False, scores
        quick = self.learn_mask(training, key, f"{label} trial ", _QUICK_SHARE)
        gain = self._hits(quick, held_out) - hits
        mean = float(share @ gain)
        scores["mask"] = mean + scores["coefficients"]
        error = math.sqrt(share**2 @ (gain - mean) ** 2)
        return mean > tolerance and mean > _CLEARLY * error, scores

    def _hits(self, learned: Learned, rows: Rows) -> np.ndarray:
        """Return 1 for each row that a net just trained gets right."""
        n_real = int(self.settings.n_outputs_)
        logits = learned.net.logits(rows.X)[:, :n_real]
        return (logits.argmax(axis=1) == rows.codes).astype(float)

    def _trained(self, module, rows, key, label, *, lr, max_epochs, **options):
        settings = self.settings
        scale = settings._built_with["input_scale"]
        net = module_net(
            module,
            input_shape=settings.input_shape_,
            n_outputs=settings._n_logits,
            device=self.device,
            input_scale=None if scale is None else float(scale),
            optimizer=settings.optimizer,
            lr=lr,
            batch_size=settings.batch_size,
            max_epochs=max_epochs,
            **options,
        )
        train_net(
            net,
            *rows,
            seed=self.stream(*key, _ORDER),
            lr_schedule=settings.lr_schedule,
            verbose=settings.verbose,
            description=label,
        )
        return net

    def _learned(self, net, learner, *, masks=None, coef=None, output_mask=None):
        curve = np.array([epoch["train_loss"] for epoch in net.history])
        buffers = self.backbone.changed_buffers(learner.clone)
        return Learned(masks, coef, output_mask, buffers, curve, net)


class _Penalty:
    """``weight * sum_l (||coef_l||_1 - 1)^2``."""

    def __init__(self, weight: float):
        self.weight = weight

    def __call__(self, module: CoefficientLearner):
        return self.weight * module.l1_excess()


def _split(codes, fraction, seed) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a training and a validation part; None for too few rows."""
    n_held_out = math.ceil(fraction * len(codes))
    if n_held_out < _FEWEST_VALIDATION_ROWS or len(codes) - n_held_out < 2:
        return None
    training = stratified_rows(codes, len(codes) - n_held_out, seed)
    return training, np.setdiff1d(np.arange(len(codes)), training)
