"""GraNd: how much each row alone would move the weights of a network.

Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet: Finding Important Examples
Early in Training", NeurIPS 2021.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from sklvyso._arguments import untensored
from sklvyso.data_pruning._score_inputs import as_numbers, check_codes
from sklvyso.networks import (
    GRADIENT_METHODS,
    Labels,
    NoClosedFormError,
    OneByOneSquares,
    borrowed,
    check_finite_norms,
    every_class,
    given,
    gradient_squares,
    most_probable,
    trainable_parameters,
)

_UNLABELLED: dict[str, Labels] = {"max": most_probable, "avg": every_class}


def grand(
    module: nn.Module,
    X: ArrayLike | Tensor,
    y: ArrayLike | Tensor | None = None,
    *,
    unlabelled: str = "max",
    batch_size: int = 512,
    method: str = "auto",
) -> np.ndarray:
    """Return the norm of the gradient of the loss of each row (GraNd).

    .. versionadded:: 0.1

    Parameters
    ----------
    module : torch.nn.Module
        Gives logits of shape (n, n_classes) for a batch. Used in evaluation mode, where
        it lives, and left as it was: weights, ``grad``, modes, hooks, and torch's
        random state.
    X : array-like or tensor of shape (n, ...)
        Rows in the layout of the module. A batch at a time is copied to its device and
        floating-point type, so that a memory map stays on disk; integers stay integers
        where the first layer is an embedding.
    y : array-like of int of shape (n,), default=None
        Labels as columns of the logits, from 0 to ``n_classes - 1``. None where there
        are none.
    unlabelled : {"max", "avg"}, default="max"
        What takes the place of the label when ``y`` is None: ``"max"`` the most
        probable class, ``"avg"`` the expectation of the norm over the classes, at the
        price of a backward pass a class.
    batch_size : int, default=512
        Rows at once, at most; fewer where activations or gradients take much memory.
    method : {"auto", "layerwise", "vmap", "loop"}, default="auto"
        ``"layerwise"``: closed forms from one batched pass, the fastest. They exist for
        linear layers, convolutions, batch, layer and group normalization and
        embeddings, each called once in a forward pass with parameters of its own.
        ``"vmap"``: :func:`torch.func.vmap`, for most other modules.
        ``"loop"``: a row at a time, for all. ``"auto"``: the first of them that agrees
        with the loop on up to three rows.

    Returns
    -------
    scores : ndarray of shape (n,), dtype float64
        Norms over all parameters that require a gradient; high is hard.

    Raises
    ------
    TypeError
        If ``module`` is no module, or ``X`` or ``y`` hold no numbers.
    ValueError
        If arguments are out of range or do not fit together, if ``method`` does not
        apply to the module, or if a norm is not finite.

    See Also
    --------
    el2n : Its cheap approximation, without gradients.

    Notes
    -----
    ``||d CE(f(x), y) / d theta||`` with the running statistics of batch normalization
    and without dropout, averaged in [1]_ over several networks early in training. For a
    linear layer, with inputs ``a`` and gradient ``delta`` by its outputs, the squared
    norm is ``||delta||^2 (||a||^2 + 1)`` [2]_; where weights are shared over positions
    ``t``, ``||sum_t delta_t a_t^T||^2``, or the same as ``sum_ts (delta_t . delta_s)
    (a_t . a_s)`` [3]_, whichever is cheaper.

    A module whose path depends on the values in a batch as a whole needs ``"loop"``.

    References
    ----------
    .. [1] Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet: Finding Important
       Examples Early in Training", NeurIPS 2021.
    .. [2] Goodfellow, "Efficient Per-Example Gradient Computations", 2015.
    .. [3] Rochette, Manoel, Tramel, "Efficient Per-Example Gradient Computations in
       Convolutional Neural Networks", 2019.

    Examples
    --------
    >>> import torch
    >>> from sklvyso.data_pruning import grand
    >>> module = torch.nn.Linear(2, 2)
    >>> _ = torch.nn.init.zeros_(module.weight), torch.nn.init.zeros_(module.bias)
    >>> grand(module, [[0.0, 0.0], [3.0, 4.0]], [0, 1]).round(4)
    array([0.7071, 3.6056])
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module must be a torch.nn.Module. Got {type(module).__name__} instead."
        )
    _check_options(unlabelled, batch_size, method)
    parameters = trainable_parameters(module)
    if not parameters:
        raise ValueError("module must have parameters that require a gradient.")
    like = next(iter(parameters.values()))
    rows = _Rows(module, X, like)
    with borrowed(module, like.device), warnings.catch_warnings():
        # Of vmap, for some layers; to the user "auto" promises no particular speed.
        warnings.filterwarnings("ignore", message="There is a performance drop")
        few = np.unique([0, len(rows) // 2, len(rows) - 1])
        some = rows.take(few)
        codes = rows.codes(y, _n_classes(module, some))
        squares = gradient_squares(module, method, some, few)
        labels = _UNLABELLED[unlabelled] if y is None else given
        step = min(int(batch_size), squares.batch_size(some))
        scores = np.empty(len(rows))
        for start in range(0, len(rows), step):
            batch = slice(start, start + step)
            try:
                norms = _norms(squares, rows.take(batch), codes[batch], labels)
            except NoClosedFormError:
                if method != "auto":
                    raise
                # These rows take another path than those that it was tried on.
                squares = OneByOneSquares(module)
                norms = _norms(squares, rows.take(batch), codes[batch], labels)
            check_finite_norms(norms, np.arange(start, len(rows)))
            scores[batch] = norms.cpu().numpy()
    return scores


class _Rows:
    """Rows that become tensors a batch at a time.

    Parameters
    ----------
    module : torch.nn.Module
        Takes them.
    X : array-like or tensor of shape (n, ...)
        All rows.
    like : tensor
        On the device and of the type that the module works with.
    """

    def __init__(self, module: nn.Module, X: Any, like: Tensor):
        if isinstance(X, Tensor) and (X.is_meta or X.layout is not torch.strided):
            untensored("X", X)  # which says what it cannot be
        self.data: Any = X.detach() if isinstance(X, Tensor) else as_numbers("X", X)
        if not self.data.ndim or not len(self.data):
            raise ValueError(
                "X must hold at least one row. Got shape "
                f"{tuple(self.data.shape)} instead."
            )
        self.like = like
        self.keeps_integers = _begins_with_tokens(module)

    def __len__(self) -> int:
        return len(self.data)

    def take(self, rows: slice | np.ndarray) -> Tensor:
        """Return a copy, which the module may change."""
        device, dtype = self.like.device, self.like.dtype
        if isinstance(self.data, Tensor):
            if not isinstance(rows, slice):
                rows = torch.as_tensor(rows, device=self.data.device)
            batch = self.data[rows]
        else:
            # A copy of its own, as torch wants neither read-only nor swapped memory.
            part = np.array(self.data[rows])
            batch = torch.from_numpy(part.astype(part.dtype.newbyteorder("="), "C"))
        if self.keeps_integers and not batch.is_floating_point():
            return batch.to(device=device, dtype=torch.int64, copy=True)
        return batch.to(device=device, dtype=dtype, copy=isinstance(self.data, Tensor))

    def codes(self, y: Any, n_classes: int) -> Tensor:
        """Return labels on the device; zeros where there are none."""
        if y is None:
            return torch.zeros(len(self), dtype=torch.int64, device=self.like.device)
        codes = check_codes(y, len(self), n_classes)
        return torch.from_numpy(codes).to(self.like.device)


def _begins_with_tokens(module: nn.Module) -> bool:
    """Return whether the first layer that has parameters is an embedding."""
    for layer in module.modules():
        if next(layer.parameters(recurse=False), None) is not None:
            return isinstance(layer, nn.Embedding | nn.EmbeddingBag)
    return False


def _n_classes(module: nn.Module, X: Tensor) -> int:
    try:
        with torch.no_grad():
            logits = module(X.clone())
    except Exception as error:  # whatever the user's forward may raise
        raise ValueError(
            f"module {type(module).__name__} could not process rows of X of shape "
            f"{tuple(X.shape[1:])}: {error}"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(X):
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits)
        raise ValueError(
            f"module must give logits of shape (n, n_classes) for {len(X)} rows. It "
            f"gave {found} instead."
        )
    return logits.shape[1]


def _norms(squares: Any, X: Tensor, codes: Tensor, labels: Labels) -> Tensor:
    weights, parts = squares(X, codes, labels)
    total = sum(part.to(weights.dtype) for part in parts.values())
    return (weights * torch.as_tensor(total).sqrt()).sum(0).detach()


def _check_options(unlabelled: Any, batch_size: Any, method: Any) -> None:
    if not isinstance(unlabelled, str) or unlabelled not in _UNLABELLED:
        raise ValueError(
            f"unlabelled must be 'max' or 'avg'. Got {unlabelled!r} instead."
        )
    is_integer = isinstance(batch_size, Integral) and not isinstance(batch_size, bool)
    if not is_integer or batch_size < 1:
        raise ValueError(f"batch_size must be an int >= 1. Got {batch_size!r} instead.")
    if not isinstance(method, str) or method not in ("auto", *GRADIENT_METHODS):
        raise ValueError(
            "method must be 'auto', 'layerwise', 'vmap' or 'loop'. Got "
            f"{method!r} instead."
        )
