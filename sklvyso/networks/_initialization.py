"""Weight initializations that the papers behind sklvyso start from."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

Initialization = str | Callable[[nn.Module], Any] | None

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)

# Standard deviation of a standard normal cut at -2 and 2.
_STD_CUT_AT_TWO = math.sqrt(
    1 - 4 * math.exp(-2) / (math.sqrt(2 * math.pi) * math.erf(math.sqrt(2)))
)


def initialize(module: nn.Module, method: Initialization) -> nn.Module:
    r"""Draw the weights of a network anew, in place.

    The named methods fill the weight of every linear and convolution layer, set all
    their biases to zero, and give batch normalization layers their fresh state (scale
    1, shift 0, running mean 0, running variance 1). Everything else stays as it is.

    Parameters
    ----------
    module : torch.nn.Module
        The network. Changed in place.
    method : str, callable or None
        How to draw a weight with ``fan_in`` inputs and ``fan_out`` outputs (times the
        kernel size in convolutions):

        - ``"kaiming_normal"``: normal, variance :math:`2 / fan_{in}`;
        - ``"kaiming_uniform"``: uniform, variance :math:`2 / fan_{in}`;
        - ``"xavier_normal"``: normal, variance
          :math:`4 / (fan_{in} + fan_{out})`, that is, gain :math:`\sqrt 2`;
        - ``"variance_scaling"``: normal cut at two standard deviations of the uncut
          law, variance :math:`4 / (fan_{in} + fan_{out})` after the cut;
        - ``"signed_kaiming_constant"``: :math:`\pm\sqrt{2 / fan_{in}}` with fair
          random signs, never zero;
        - a callable gets the whole network once and changes it in place;
        - ``None`` leaves the network as torch built it and draws nothing.

    Returns
    -------
    module : torch.nn.Module
        The same object.

    Raises
    ------
    TypeError
        If ``module`` is no ``torch.nn.Module``, or ``method`` neither a str, a
        callable nor None.
    ValueError
        If ``method`` is an unknown name.

    See Also
    --------
    NetworkClassifier : Its ``initialize``.
    torch_seed : The seed of it.

    Notes
    -----
    All numbers come from torch's global generator; seed it first for repeatable
    weights.

    .. versionadded:: 0.1

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", ICCV 2015,
       section 2.2 (``kaiming_*``).
    .. [2] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep
       feedforward neural networks", AISTATS 2010, section 4.2 (``xavier_normal``).
    .. [3] A. Vysogorets, J. Kempe, "Connectivity Matters: Neural Network Pruning
       Through the Lens of Effective Sparsity", JMLR 24(99), 2023
       (``variance_scaling``).
    .. [4] V. Ramanujan et al., "What's Hidden in a Randomly Weighted Neural
       Network?", CVPR 2020, section 4 (``signed_kaiming_constant``).

    Examples
    --------
    >>> import torch
    >>> from sklvyso.networks._initialization import initialize
    >>> layer = initialize(torch.nn.Linear(8, 3), "signed_kaiming_constant")
    >>> sorted(set(layer.weight.abs().flatten().tolist()))
    [0.5]
    >>> layer.bias.tolist()
    [0.0, 0.0, 0.0]
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module. Got {module!r} instead.")
    return draw_weights(module, method, "method")


def draw_weights(module: nn.Module, method: Initialization, name: str) -> nn.Module:
    """Do what :func:`initialize` says; errors call the method by another name."""
    if method is None:
        return module
    if isinstance(method, str):
        if method not in _FILL:
            raise ValueError(
                f"{name} must be one of {sorted(_FILL)}, a callable or None. "
                f"Got {method!r} instead."
            )
        _fill_layers(module, _FILL[method])
        return module
    if not callable(method):
        raise TypeError(
            f"{name} must be one of {sorted(_FILL)}, a callable or None. "
            f"Got {method!r} instead."
        )
    method(module)
    return module


def _fill_layers(module: nn.Module, fill: Callable[[Tensor], Any]) -> None:
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, WEIGHTED):
                fill(layer.weight)
                if layer.bias is not None:
                    layer.bias.zero_()
            elif isinstance(layer, _NormBase):
                layer.reset_parameters()


def fans(weight: Tensor) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight ``(out, in, *kernel)``."""
    n_out, n_in = weight.shape[:2]
    size = weight[0, 0].numel()
    return n_in * size, n_out * size


def _kaiming_normal(weight: Tensor) -> None:
    weight.normal_(0.0, math.sqrt(2 / fans(weight)[0]))


def _kaiming_uniform(weight: Tensor) -> None:
    bound = math.sqrt(6 / fans(weight)[0])
    weight.uniform_(-bound, bound)


def _xavier_normal(weight: Tensor) -> None:
    weight.normal_(0.0, math.sqrt(4 / sum(fans(weight))))


def _variance_scaling(weight: Tensor) -> None:
    # The cut shrinks the variance, so the uncut law has to be wider.
    std = math.sqrt(4 / sum(fans(weight))) / _STD_CUT_AT_TWO
    nn.init.trunc_normal_(weight, 0.0, std, -2 * std, 2 * std)


def _signed_kaiming_constant(weight: Tensor) -> None:
    constant = math.sqrt(2 / fans(weight)[0])
    weight.bernoulli_(0.5).mul_(2 * constant).sub_(constant)


_FILL: dict[str, Callable[[Tensor], Any]] = {
    "kaiming_normal": _kaiming_normal,
    "kaiming_uniform": _kaiming_uniform,
    "signed_kaiming_constant": _signed_kaiming_constant,
    "variance_scaling": _variance_scaling,
    "xavier_normal": _xavier_normal,
}
