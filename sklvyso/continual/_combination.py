"""What trains: scores of a mask, or the coefficients of a combination of masks."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from sklvyso.continual._backbone import Backbone, set_weights
from sklvyso.continual._masks import StraightThrough, unpack_mask

# Memory for masks times weights as numbers; beyond, masks are unpacked one at a time.
PRODUCT_BYTES = 2**29

# Masks of one impression: packed bits of each layer.
Impression = list[np.ndarray]


class MaskLearner(nn.Module):
    """The backbone under a mask that is selected by scores, which train.

    Parameters
    ----------
    backbone : Backbone
        Frozen.
    scores : sequence of array
        To start from, in the shapes of the weights.
    densities : sequence of float
        Fraction kept in each layer.
    mode : {"topk_abs", "topk", "threshold"}
        How scores select.
    """

    def __init__(
        self,
        backbone: Backbone,
        scores: Sequence[np.ndarray],
        densities: Sequence[float],
        mode: str,
    ):
        super().__init__()
        self.clone = backbone.clone()
        self._layers = backbone.layers(self.clone)
        self._weights = backbone.weights
        self.scores = nn.ParameterList([torch.tensor(values) for values in scores])
        self.densities = [float(density) for density in densities]
        self.mode = mode

    def forward(self, X: Tensor) -> Tensor:
        """Return logits."""
        weights = [
            StraightThrough.apply(scores, weight, density, self.mode)
            for scores, weight, density in zip(
                self.scores, self._weights, self.densities, strict=True
            )
        ]
        set_weights(self._layers, weights)
        return self.clone(X)


class CoefficientLearner(nn.Module):
    """The backbone under a combination of masks, whose coefficients train.

    Parameters
    ----------
    backbone : Backbone
        Frozen.
    impressions : sequence of list of ndarray
        Packed masks, m of them.
    coef : ndarray of shape (L, m) or (1, m)
        To start from; one row serves all layers of a network-wide scope.
    scores : ndarray, default=None
        Of a mask of the output layer alone, which trains beside the coefficients of
        the others.
    output_mask : ndarray, default=None
        Packed mask of the output layer alone, which stays as it is.
    density, mode
        Of that mask.
    buffers : mapping of str to array, default=None
        Statistics to start from, of a task that goes on.
    """

    def __init__(
        self,
        backbone: Backbone,
        impressions: Sequence[Impression],
        coef: np.ndarray,
        *,
        scores: np.ndarray | None = None,
        output_mask: np.ndarray | None = None,
        density: float = 0.5,
        mode: str = "topk_abs",
        buffers: Mapping[str, np.ndarray] | None = None,
    ):
        super().__init__()
        self.clone = backbone.clone(buffers)
        self._layers = backbone.layers(self.clone)
        self._weights = backbone.weights
        self._output: Tensor | None = None
        if output_mask is not None:
            own = MaskProducts(self._weights[-1], [output_mask])
            self._output = own.product(0)
        has_own_output = scores is not None or output_mask is not None
        n_combined = len(self._weights) - has_own_output
        self._products = mask_products(self._weights[:n_combined], impressions)
        self.coef = nn.Parameter(torch.tensor(coef, dtype=self._weights[0].dtype))
        self.scores = None if scores is None else nn.Parameter(torch.tensor(scores))
        self.density, self.mode = density, mode

    def forward(self, X: Tensor) -> Tensor:
        """Return logits."""
        set_weights(self._layers, self.effective_weights())
        return self.clone(X)

    def effective_weights(self) -> list[Tensor]:
        """Return the weights of each layer, in the graph of what trains."""
        rows = self.coef.expand(len(self._products), -1)
        weights = [
            products.combine(numbers)
            for products, numbers in zip(self._products, rows, strict=True)
        ]
        if self._output is not None:
            weights.append(self._output)
        if self.scores is not None:
            weights.append(
                StraightThrough.apply(
                    self.scores, self._weights[-1], self.density, self.mode
                )
            )
        return weights

    def l1_excess(self) -> Tensor:
        """Return ``sum_l (||coef_l||_1 - 1)^2``."""
        rows = self.coef.expand(len(self._products), -1)
        return (rows.abs().sum(1) - 1).square().sum()


class MaskProducts:
    """Masks of one layer times its frozen weights, to be combined again and again.

    Parameters
    ----------
    weight : tensor
        Frozen.
    masks : sequence of ndarray
        Packed, m of them.
    """

    def __init__(self, weight: Tensor, masks: Sequence[np.ndarray]):
        self.weight = weight
        self.masks = masks
        self.table: Tensor | None = None

    def expand(self, budget: int) -> int:
        """Write the products down, if that takes no more bytes; return what it took."""
        n_bytes = 4 * len(self.masks) * self.weight.numel()
        if n_bytes > budget:
            return 0
        self.table = torch.stack([self.mask(i) for i in range(len(self.masks))])
        self.table *= self.weight
        self.table = self.table.flatten(1)
        return n_bytes

    def mask(self, i: int) -> Tensor:
        """Return one mask as numbers, in the shape of the weight."""
        return mask_numbers(self.masks[i], self.weight)

    def product(self, i: int) -> Tensor:
        """Return one mask times the weight."""
        if self.table is None:
            return self.mask(i) * self.weight
        return self.table[i].view_as(self.weight)

    def combine(self, coef: Tensor) -> Tensor:
        """Return ``weight * sum_i coef_i mask_i`` for a tensor of shape (m,)."""
        if self.table is None:
            return _OneAtATime.apply(coef, self)
        return (coef @ self.table).view_as(self.weight)


def mask_products(
    weights: Sequence[Tensor], impressions: Sequence[Impression]
) -> list[MaskProducts]:
    """Return the products of each layer, written down while they fit in memory.

    Parameters
    ----------
    weights : sequence of tensor
        Frozen weights of the first layers, or of all.
    impressions : sequence of list of ndarray
        Packed masks.

    Returns
    -------
    products : list of MaskProducts
        One for each of the weights.
    """
    products = [
        MaskProducts(weight, [masks[i] for masks in impressions])
        for i, weight in enumerate(weights)
    ]
    budget = PRODUCT_BYTES
    for part in products:
        budget -= part.expand(budget)
    return products


class _OneAtATime(torch.autograd.Function):
    """Combination of masks of which one at a time is unpacked."""

    @staticmethod
    def forward(ctx, coef, products):
        ctx.products = products
        total = torch.zeros_like(products.weight)
        for i, number in enumerate(coef.tolist()):
            total.add_(products.mask(i), alpha=number)
        return total * products.weight

    @staticmethod
    def backward(ctx, grad):
        products = ctx.products
        along = grad * products.weight
        dots = [(along * products.mask(i)).sum() for i in range(len(products.masks))]
        return torch.stack(dots), None


def mask_numbers(bits: np.ndarray, weight: Tensor) -> Tensor:
    """Return a packed mask as numbers like a weight."""
    return torch.from_numpy(unpack_mask(bits, weight.shape)).to(weight)


def effective_weights(
    backbone: Backbone,
    impressions: Sequence[Impression],
    coef: np.ndarray,
    output_mask: np.ndarray | None = None,
    unpacked: Sequence[Sequence[Tensor]] | None = None,
) -> list[Tensor]:
    """Return the weights that a task runs with.

    Parameters
    ----------
    backbone : Backbone
        Frozen.
    impressions : sequence of list of ndarray
        Packed masks; at least as many as coefficients.
    coef : ndarray of shape (L, m)
        One-hot rows give exactly the weights under that mask.
    output_mask : ndarray, default=None
        Packed; then the last row of ``coef`` is not used.
    unpacked : sequence of sequence of tensor, default=None
        Masks as numbers, to spare unpacking them for one task after the other.

    Returns
    -------
    weights : list of tensor
        Contiguous, without graph.
    """
    weights = []
    for i, weight in enumerate(backbone.weights):
        total = torch.zeros_like(weight)
        if output_mask is not None and i == len(backbone.weights) - 1:
            total += mask_numbers(output_mask, weight)
        else:
            for k, number in enumerate(coef[i].tolist()):
                if number:
                    mask = (
                        mask_numbers(impressions[k][i], weight)
                        if unpacked is None
                        else unpacked[k][i]
                    )
                    total.add_(mask, alpha=number)
        weights.append(total * weight)
    return weights


def uniform_coefficients(n_layers: int, n_masks: int, scope: str) -> np.ndarray:
    """Return what a new task starts from: 1 / m everywhere.

    Parameters
    ----------
    n_layers, n_masks : int
        L and m.
    scope : {"layer", "network"}
        A row for each layer, or one for all.

    Returns
    -------
    coef : ndarray of shape (L, m) or (1, m), dtype float32
        Each row sums to 1.
    """
    rows = n_layers if scope == "layer" else 1
    return np.full((rows, n_masks), 1 / n_masks, dtype=np.float32)


def one_hot(n_layers: int, n_masks: int, which: int) -> np.ndarray:
    """Return the coefficients of one mask alone, shape (L, m), float32."""
    coef = np.zeros((n_layers, n_masks), dtype=np.float32)
    coef[:, which] = 1.0
    return coef
