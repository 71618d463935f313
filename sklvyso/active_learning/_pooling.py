"""From the states of all tokens to one vector a text."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable

import torch


def _first(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # The first that counts: texts may be padded on the left.
    return states[torch.arange(len(states)), mask.int().argmax(dim=1)]


def _last(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    last = mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1)
    return states[torch.arange(len(states)), last]


def _mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask[:, :, None].to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1.0)


def _max(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return states.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1)


POOLINGS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mean": _mean,
    "cls": _first,
    "max": _max,
    "last": _last,
}


def pool_tokens(states: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Pool the states of the tokens that count.

    Parameters
    ----------
    states : tensor of shape (n, n_tokens, d)
        States of one layer.
    mask : bool tensor of shape (n, n_tokens)
        True for tokens, special ones included; False for padding, which may lie on
        either side.
    pooling : {"mean", "cls", "max", "last"}
        What to take.

    Returns
    -------
    vectors : tensor of shape (n, d)
        One vector a text.
    """
    return POOLINGS[pooling](states, mask)
