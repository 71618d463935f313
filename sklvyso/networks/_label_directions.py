"""Which derivatives of the logits make the gradient of the loss of each row."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable

import torch
from torch import Tensor

# From logits (n, K) and codes (n,) to weights (m, n) and directions (m, n, K).
Labels = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def given(logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Take the labels as they are.

    Parameters
    ----------
    logits : tensor of shape (n, K)
        Outputs.
    codes : int64 tensor of shape (n,)
        Labels.

    Returns
    -------
    weights : float64 tensor of shape (m, n)
        Of the directions.
    directions : tensor of shape (m, n, K)
        As from :func:`error_directions`, m = 1.
    """
    return error_directions(logits, codes[None])


def most_probable(logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Take the predicted class as the label.

    Parameters
    ----------
    logits : tensor of shape (n, K)
        Outputs.
    codes : int64 tensor of shape (n,)
        Labels, not used.

    Returns
    -------
    weights : float64 tensor of shape (m, n)
        Of the directions.
    directions : tensor of shape (m, n, K)
        As from :func:`error_directions`, m = 1.
    """
    return error_directions(logits, logits.argmax(-1)[None])


def least_probable(logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Take the label with the largest loss, whose gradient never vanishes.

    Parameters
    ----------
    logits : tensor of shape (n, K)
        Outputs.
    codes : int64 tensor of shape (n,)
        Labels, not used.

    Returns
    -------
    weights : float64 tensor of shape (m, n)
        Of the directions.
    directions : tensor of shape (m, n, K)
        As from :func:`error_directions`, m = 1.
    """
    return error_directions(logits, logits.argmin(-1)[None])


def every_class(logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Take each class as the label in turn, weighted with its probability.

    Parameters
    ----------
    logits : tensor of shape (n, K)
        Outputs.
    codes : int64 tensor of shape (n,)
        Labels, not used.

    Returns
    -------
    weights : float64 tensor of shape (m, n)
        Of the directions.
    directions : tensor of shape (m, n, K)
        As from :func:`error_directions`, m = K.
    """
    classes = torch.arange(logits.shape[1], device=logits.device)
    every = classes[:, None].expand(-1, len(logits))
    weights, directions = error_directions(logits, every)
    return weights * _proba(logits).T, directions


def error_directions(logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivative of the cross-entropy by the logits, normalized.

    Parameters
    ----------
    logits : tensor of shape (n, K)
        Outputs.
    codes : int64 tensor of shape (m, n)
        Labels, several of each row.

    Returns
    -------
    scales : float64 tensor of shape (m, n)
        Largest entry of ``p - e_y`` in absolute value.
    directions : tensor of shape (m, n, K), dtype of the logits
        ``(p - e_y) / scale``.

    Notes
    -----
    The gradient is linear in this derivative. Normalized, it does not underflow for
    rows that the network is sure of, and ``p_y - 1`` is computed as minus the sum of
    the other probabilities, which are not lost next to 1.
    """
    proba = _proba(logits)
    classes = torch.arange(logits.shape[1], device=logits.device)
    is_label = codes[..., None] == classes
    others = torch.where(is_label, 0.0, proba)
    errors = torch.where(is_label, -others.sum(-1, keepdim=True), others)
    scales = errors.abs().amax(-1)
    tiny = torch.finfo(scales.dtype).tiny
    directions = errors / scales.clamp_min(tiny)[..., None]
    return scales, directions.to(logits.dtype)


def _proba(logits: Tensor) -> Tensor:
    has_double = logits.device.type != "mps"
    return logits.to(torch.float64 if has_double else torch.float32).softmax(-1)
