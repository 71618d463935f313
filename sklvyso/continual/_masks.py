"""Masks on frozen random weights: selection, densities, gradients, packed storage.

Ramanujan et al., "What's Hidden in a Randomly Weighted Neural Network?", CVPR 2020;
Wortsman et al., "Supermasks in Superposition", NeurIPS 2020.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from sklvyso._arguments import (
    is_choice,
    is_integer,
    is_sequence,
    read_numbers,
    shown,
    untensored,
)
from sklvyso.networks import as_tensor

MASK_MODES = ("topk_abs", "topk", "threshold")
ALLOCATIONS = ("uniform", "erdos_renyi")
# A product such as (1 - 0.9) * 10 is a hair below its integer.
_ROUNDING = 1e-9
# Density that the Erdos-Renyi rule never exceeds.
_LARGEST_ERDOS_RENYI = 0.5


def n_dropped(density: float, size: int) -> int:
    """Return how many of ``size`` entries a mask of some density drops.

    Parameters
    ----------
    density : float
        Fraction kept, in [0, 1].
    size : int
        Entries, >= 0.

    Returns
    -------
    count : int
        ``floor((1 - density) * size)``, but for rounding of the product.
    """
    return math.floor((1 - density) * size + _ROUNDING)


def topk_mask(
    scores: ArrayLike | torch.Tensor,
    density: float | None = None,
    *,
    mode: str = "topk_abs",
) -> Any:
    """Return the mask that scores select.

    .. versionadded:: 0.1

    Parameters
    ----------
    scores : array-like or tensor of any shape
        One for each weight, finite.
    density : float, default=None
        Fraction kept, in [0, 1]; not used by ``"threshold"``.
    mode : {"topk_abs", "topk", "threshold"}, default="topk_abs"
        Drop those of the smallest magnitude, the smallest ones, or the negative ones.

    Returns
    -------
    mask : bool ndarray, or bool tensor where ``scores`` is one
        True where a weight is kept. ``floor((1 - density) * size)`` entries are
        dropped; of equal ones the first in C order go first.

    Raises
    ------
    ValueError
        If ``mode`` is unknown, a density is missing or not in [0, 1], or scores are not
        finite.

    See Also
    --------
    score_gradients : How scores learn.
    combine_masks : Several masks at once.

    Notes
    -----
    "Sparsity" in the code of the papers is the fraction kept, our density.

    References
    ----------
    .. [1] Ramanujan et al., "What's Hidden in a Randomly Weighted Neural Network?",
       CVPR 2020.

    Examples
    --------
    >>> from sklvyso.continual import topk_mask
    >>> topk_mask([0.1, -3.0, 2.0, -0.2], 0.5)
    array([False,  True,  True, False])
    >>> topk_mask([0.1, -3.0, 2.0, -0.2], 0.5, mode="topk")
    array([ True, False,  True, False])
    """
    check_mode(mode)
    values: Any = None
    if isinstance(scores, torch.Tensor):
        if scores.is_meta:
            untensored("scores", scores)  # which says that it holds no data
        _check_tensor("scores", scores)
        values = scores.detach()
        if values.dtype not in (torch.float32, torch.float64):
            values = values.float()
    is_tensor = values is not None
    values = values if is_tensor else read_numbers("scores", scores).astype(float)
    _check_finite("scores", values)
    if mode == "threshold":
        return values >= 0
    if density is None:
        raise ValueError(f"density must be given for mode={mode!r}. Got None instead.")
    check_density(density)
    values = abs(values) if mode == "topk_abs" else values
    if is_tensor and values.device.type == "cpu":
        kept = _kept(values.reshape(-1).numpy(), float(density))
        return torch.from_numpy(kept).reshape(values.shape)
    return _kept(values.reshape(-1), float(density)).reshape(values.shape)


def _kept(values: Any, density: float) -> Any:
    """Return which of flat values are kept; a selection, not a sort."""
    size = len(values)
    count = n_dropped(density, size)
    if not count:
        return values == values
    if isinstance(values, np.ndarray):
        bar: Any = np.partition(values, count - 1)[count - 1]
    else:
        bar = torch.kthvalue(values, count).values
    kept = values > bar
    n_above = int(kept.sum())
    if n_above + 1 + count > size:  # no tie: the bar itself is the last to go
        return kept
    # Of those at the bar the first go.
    at_bar = (values == bar).nonzero()
    positions: Any = at_bar[0] if isinstance(values, np.ndarray) else at_bar[:, 0]
    kept[positions[len(positions) - (size - count - n_above) :]] = True
    return kept


# More than any machine holds, less than NumPy counts to.
_MOST_WEIGHTS = 2**40


def signed_kaiming_constant(
    shape: Sequence[int],
    *,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """Return frozen random weights of one magnitude.

    .. versionadded:: 0.1

    Parameters
    ----------
    shape : sequence of int
        As of a torch weight, ``(out, in)`` or ``(out, in, kh, kw)``.
    random_state : int, RandomState instance or None, default=None
        Draws the signs. NumPy promises the same numbers for the same seed for ever.

    Returns
    -------
    weight : ndarray of shape ``shape``, dtype float32
        ``+c`` or ``-c`` with ``c = sqrt(2 / fan_in)``, ``fan_in = in * kh * kw``.

    Raises
    ------
    ValueError
        If the shape has fewer than two axes.

    See Also
    --------
    topk_mask : Chooses among these weights.
    combine_masks : Combines masks over them.

    References
    ----------
    .. [1] Ramanujan et al., "What's Hidden in a Randomly Weighted Neural Network?",
       CVPR 2020, "signed Kaiming constant".

    Examples
    --------
    >>> from sklvyso.continual import signed_kaiming_constant
    >>> abs(signed_kaiming_constant((3, 8), random_state=0)).max().item()
    0.5
    """
    if not is_sequence(shape) or not all(map(is_integer, shape)):
        raise TypeError(
            "shape must be a sequence of ints, (out, in, ...). Got "
            f"{shown(shape)} instead."
        )
    sizes = tuple(int(size) for size in shape)
    if len(sizes) < 2 or min(sizes) < 1 or math.prod(sizes) > _MOST_WEIGHTS:
        raise ValueError(
            "shape must have two axes or more, (out, in, ...), all >= 1 and of at most "
            "2**40 numbers in all. Got "
            f"{tuple(shape)} instead."
        )
    random = check_random_state(random_state)
    bits = random.randint(2, size=sizes, dtype=np.int8)
    constant = np.float32(math.sqrt(2 / math.prod(sizes[1:])))
    return np.where(bits, constant, -constant)


def initial_scores(shape: Sequence[int], random: np.random.RandomState) -> np.ndarray:
    """Return scores to start from, uniform in ``+-1 / sqrt(fan_in)``, float32.

    Parameters
    ----------
    shape : sequence of int
        Of the weight.
    random : RandomState
        Draws them.

    Returns
    -------
    scores : ndarray of shape ``shape``, dtype float32
        Kaiming uniform with ``a = sqrt(5)``.
    """
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return random.uniform(-bound, bound, size=tuple(shape)).astype(np.float32)


def random_mask(
    shape: Sequence[int],
    density: float | None,
    mode: str,
    random: np.random.RandomState,
) -> np.ndarray:
    """Return a mask that nothing was learned for, as untrained scores select it.

    Parameters
    ----------
    shape : sequence of int
        Of the weight.
    density : float or None
        Fraction kept; not used by ``"threshold"``.
    mode : {"topk_abs", "topk", "threshold"}
        How scores select.
    random : RandomState
        Draws the scores.

    Returns
    -------
    mask : bool ndarray of shape ``shape``
        Of the density that learned masks have.
    """
    return topk_mask(initial_scores(shape, random), density, mode=mode)


def score_gradients(
    weight_grad: Any, weight: Any, scores: Any, *, mode: str = "topk_abs"
) -> Any:
    """Return the straight-through gradient of the loss by the scores.

    .. versionadded:: 0.1

    Parameters
    ----------
    weight_grad : ndarray or tensor
        Derivatives of the loss by the effective weight, ``weight * mask``.
    weight : ndarray or tensor of the same shape
        Frozen weights.
    scores : ndarray or tensor of the same shape
        Only their signs count, and only for ``"topk_abs"``.
    mode : {"topk_abs", "topk", "threshold"}, default="topk_abs"
        How the mask was selected.

    Returns
    -------
    gradient : ndarray or tensor of the same shape
        ``weight_grad * weight``, for kept and dropped entries alike; for ``"topk_abs"``
        times the sign of the score.

    See Also
    --------
    topk_mask : The mask of the scores.
    ImpressLearnClassifier : Trains by them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.continual import score_gradients
    >>> score_gradients(np.array([1.0, 1.0]), np.array([2.0, 2.0]), np.array([-1, 1.0]))
    array([-2.,  2.])
    """
    check_mode(mode)
    weight_grad = _numbers("weight_grad", weight_grad)
    weight, scores = _numbers("weight", weight), _numbers("scores", scores)
    _check_finite("scores", scores)
    shapes = [tuple(array.shape) for array in (weight_grad, weight, scores)]
    if len({*shapes}) > 1:
        raise ValueError(
            "weight_grad, weight and scores must have one shape. Got "
            f"{', '.join(map(str, shapes))} instead."
        )
    if len({isinstance(a, torch.Tensor) for a in (weight_grad, weight, scores)}) > 1:
        raise TypeError(
            "weight_grad, weight and scores must be all arrays or all tensors."
        )
    gradient = weight_grad * weight
    if mode != "topk_abs":
        return gradient
    if isinstance(scores, torch.Tensor):
        return gradient * torch.sign(scores)
    return gradient * np.sign(scores.astype(float))


class StraightThrough(torch.autograd.Function):
    """``weight * mask(scores)``, with the gradient of :func:`score_gradients`."""

    @staticmethod
    def forward(ctx, scores, weight, density, mode):
        ctx.save_for_backward(scores, weight)
        ctx.mode = mode
        return weight * topk_mask(scores, density, mode=mode)

    @staticmethod
    def backward(ctx, grad):
        scores, weight = ctx.saved_tensors
        return score_gradients(grad, weight, scores, mode=ctx.mode), None, None, None


def combine_masks(weight: Any, masks: Any, coef: ArrayLike) -> Any:
    """Return the effective weight of a combination of masks.

    .. versionadded:: 0.1

    Parameters
    ----------
    weight : ndarray or tensor of shape (out, in, ...)
        Frozen weights of one layer.
    masks : sequence of array of that shape, or array of shape (n, out, in, ...)
        Masks of the layer, one for each impression.
    coef : array-like of shape (n,)
        A real number for each mask.

    Returns
    -------
    effective : ndarray or tensor of the shape of ``weight``
        ``weight * sum_i coef_i masks_i``.

    Raises
    ------
    ValueError
        If the numbers of masks and coefficients differ, or a mask has another shape.

    See Also
    --------
    topk_mask : Makes a mask.
    ImpressLearnClassifier : Learns masks and coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.continual import combine_masks
    >>> masks = np.array([[[1, 0]], [[1, 1]]], dtype=bool)
    >>> combine_masks(np.array([[1.0, -2.0]]), masks, [0.5, 0.25])
    array([[ 0.75, -0.5 ]])
    """
    weight = _numbers("weight", weight)
    if not is_sequence(masks) or not len(masks):
        raise TypeError(
            f"masks must be a sequence of masks, one at least. Got {shown(masks)}."
        )
    masks = [_numbers(f"masks[{i}]", mask) for i, mask in enumerate(masks)]
    if not isinstance(coef, torch.Tensor) or not isinstance(weight, torch.Tensor):
        coef = read_numbers("coef", coef)
    _check_finite("weight", weight)
    _check_finite("coef", coef)
    if np.ndim(coef) != 1:
        raise ValueError(
            f"coef must be one-dimensional. Got shape {tuple(np.shape(coef))} instead."
        )
    if len(masks) != len(coef):  # type: ignore[arg-type]
        raise ValueError(
            "coef must have one number for each mask. Got "
            f"{len(coef)} for {len(masks)} masks."  # type: ignore[arg-type]
        )
    shapes = {tuple(np.shape(mask)) for mask in masks}
    if shapes != {tuple(np.shape(weight))}:
        raise ValueError(
            f"masks must have the shape of weight, {tuple(np.shape(weight))}. Got "
            f"{sorted(shapes)} instead."
        )
    if isinstance(weight, torch.Tensor):
        weight = weight if weight.is_floating_point() else weight.float()
        stacked = torch.stack(
            [
                mask if isinstance(mask, torch.Tensor) else as_tensor(mask)
                for mask in masks
            ]
        )
        numbers = torch.as_tensor(coef, dtype=weight.dtype, device=weight.device)
        return weight * torch.tensordot(numbers, stacked.to(weight), dims=1)
    values = weight if weight.dtype.kind == "f" else weight.astype(float)
    numbers = np.asarray(coef, dtype=values.dtype)
    stacked = np.stack([untensored("masks", mask) for mask in masks])
    with np.errstate(over="ignore", invalid="ignore"):
        combined = values * np.tensordot(numbers, stacked.astype(values.dtype), axes=1)
    _check_finite("The product of weight and coef", combined)
    return combined


def _check_tensor(name: str, values: torch.Tensor) -> None:
    if values.layout is not torch.strided or values.is_complex():
        raise TypeError(
            f"{name} must be a dense tensor of real numbers. Got {values.dtype}, "
            f"{values.layout} instead."
        )


def _numbers(name: str, values: Any) -> Any:
    """Return a tensor as it is, anything else as an array of numbers."""
    if isinstance(values, torch.Tensor):
        _check_tensor(name, values)
        return values
    return read_numbers(name, values)


def _check_finite(name: str, values: Any) -> None:
    if isinstance(values, torch.Tensor):
        is_finite = values.is_meta or bool(torch.isfinite(values).all())
    else:
        is_finite = bool(np.isfinite(values).all())
    if not is_finite:
        raise ValueError(f"{name} must be finite. Got NaN or infinity.")


def layer_densities(
    shapes: Sequence[Sequence[int]],
    *,
    density: float = 0.5,
    allocation: str = "uniform",
    budget: float | None = None,
) -> np.ndarray:
    """Return the fraction of weights that a mask keeps in each layer.

    Parameters
    ----------
    shapes : sequence of shapes
        ``(out, in, ...)`` of each layer.
    density : float, default=0.5
        The one of all layers for ``"uniform"``.
    allocation : {"uniform", "erdos_renyi"}, default="uniform"
        ``"erdos_renyi"``: ``min(0.5, budget * (out + in) / (out * in * kh * kw))``.
    budget : float, default=None
        > 0, such as 1 to 75; for ``"erdos_renyi"`` only.

    Returns
    -------
    densities : ndarray of shape (n_layers,)
        In [0, 1].
    """
    if allocation == "uniform":
        return np.full(len(shapes), float(density))
    if budget is None:
        raise ValueError(
            "density_budget must be a number > 0, such as 20, for "
            "density_allocation='erdos_renyi'. Got None instead."
        )
    shares = [budget * (s[0] + s[1]) / math.prod(s) for s in map(tuple, shapes)]
    return np.minimum(_LARGEST_ERDOS_RENYI, shares)


def pack_mask(mask: Any) -> np.ndarray:
    """Return a mask as bits, uint8 of shape (ceil(size / 8),), in C order.

    Parameters
    ----------
    mask : bool array or tensor
        Of any shape.

    Returns
    -------
    bits : ndarray of uint8
        The first entry is the highest bit of the first byte.
    """
    flat = mask.cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask)
    return np.packbits(flat.reshape(-1))


def unpack_mask(bits: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return a mask from its bits.

    Parameters
    ----------
    bits : ndarray of uint8
        Of :func:`pack_mask`.
    shape : sequence of int
        Of the mask.

    Returns
    -------
    mask : ndarray of shape ``shape``, uint8
        0 and 1.
    """
    return np.unpackbits(bits, count=math.prod(shape)).reshape(tuple(shape))


def kept_fractions(
    impressions: Sequence[Sequence[np.ndarray]], shapes: Sequence[Sequence[int]]
) -> np.ndarray:
    """Return the fraction of weights that packed masks keep in each layer.

    Parameters
    ----------
    impressions : sequence (n) of sequence (L) of ndarray of uint8
        Packed masks, at least one.
    shapes : sequence (L) of shapes
        Of the layers.

    Returns
    -------
    fractions : ndarray of shape (L,)
        Means over impressions.
    """
    counts = [[np.bitwise_count(bits).sum() for bits in one] for one in impressions]
    return np.mean(counts, axis=0) / [math.prod(shape) for shape in shapes]


def check_mode(mode: Any) -> None:
    """Raise unless this is a way to select masks."""
    if not is_choice(mode, MASK_MODES):
        raise ValueError(f"mode must be one of {list(MASK_MODES)}. Got {mode!r}.")


def check_density(density: Any) -> None:
    """Raise unless this is a number in [0, 1]."""
    is_number = isinstance(density, Real | Integral) and not isinstance(density, bool)
    if not is_number or not 0 <= float(density) <= 1:
        raise ValueError(
            f"density, the fraction kept, must lie in [0, 1]. Got {density!r} instead."
        )
