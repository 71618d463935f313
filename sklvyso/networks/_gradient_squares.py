"""The fastest way to squared gradients of single rows that is right for a module."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklvyso.networks._label_directions import least_probable
from sklvyso.networks._layer_gradients import LayerwiseSquares
from sklvyso.networks._row_gradients import OneByOneSquares, VectorizedSquares

GRADIENT_METHODS: dict[str, Callable[[nn.Module], Any]] = {
    "layerwise": LayerwiseSquares,
    "vmap": VectorizedSquares,
    "loop": OneByOneSquares,
}
# Agreement of squared norms with those of single rows on which a method is trusted.
_TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-3}
_LOOSE = 2e-2  # half precision, and float32 on devices that multiply in less


def gradient_squares(
    module: nn.Module, method: str, some: Tensor, few: np.ndarray
) -> Any:
    """Return the asked or the fastest way that agrees with the loop on some rows.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode; gives logits of shape (n, n_classes).
    method : {"auto", "layerwise", "vmap", "loop"}
        ``"auto"`` is the first that agrees.
    some : tensor of shape (m, ...)
        A few rows to try it on.
    few : ndarray of int of shape (m,)
        Their positions, for error messages.

    Returns
    -------
    squares : callable
        From rows, label codes, and directions to label weights (m, n) and squared
        norms (m, n) by name of the parameter.

    Raises
    ------
    ValueError
        If the asked way does not apply, or norms are not finite.
    """
    loop = OneByOneSquares(module)
    if method == "loop":
        return loop
    # Autograd one row at a time is the judge, on the label with the largest loss.
    codes = torch.zeros(len(some), dtype=torch.int64, device=some.device)
    expected = loop(some.clone(), codes, least_probable)[1]
    check_finite_norms(torch.stack(list(expected.values())).sum((0, 1)), few)
    for name in ("layerwise", "vmap") if method == "auto" else (method,):
        # A failure of any kind means that the way does not suit the module.
        try:
            squares = GRADIENT_METHODS[name](module)
            found = squares(some.clone(), codes, least_probable)[1]
            _check_agreement(found, expected, some)
        except Exception as error:
            if method == name:
                raise ValueError(
                    f"method={name!r} does not apply to this module: {error}. Use "
                    "'auto' instead."
                ) from error
        else:
            return squares
    return loop


def _check_agreement(
    found: dict[str, Tensor], expected: dict[str, Tensor], X: Tensor
) -> None:
    """Complain if squares of single parameters differ by more than rounding."""
    values = next(iter(expected.values()))
    is_exact = X.device.type == "cpu" or values.dtype == torch.float64
    tolerance = _TOLERANCES.get(values.dtype, _LOOSE) if is_exact else _LOOSE
    total = sum(expected.values(), torch.zeros_like(values))
    for name, square in expected.items():
        gap = (found.get(name, torch.zeros_like(square)) - square).abs()
        if not (gap <= tolerance * (square + 1e-3 * total)).all():
            raise ValueError(f"the gradient of {name!r} differs from that of autograd")


def check_finite_norms(norms: Tensor, rows: np.ndarray) -> None:
    """Complain of norms that are NaN or infinite, naming the row.

    Parameters
    ----------
    norms : tensor of shape (n,)
        Of the gradients of rows.
    rows : ndarray of int of shape (n,)
        Their positions.

    Raises
    ------
    ValueError
        If one is not finite.
    """
    bad = (~norms.isfinite()).nonzero().flatten().tolist()
    if bad:
        raise ValueError(
            f"norms must be finite. Got {norms[bad[0]].item()} for row {rows[bad[0]]} "
            "instead: look for NaN or infinity in X, or in the weights of the module."
        )
