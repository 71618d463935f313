"""The training loss as a function of some parameters."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sklvyso._arguments import is_choice, is_integer, read_array, read_numbers, shown
from sklvyso.networks import as_tensor

_BATCH = 512  # rows whose graph is built at once
REDUCTIONS = ("mean", "sum")


class Problem:
    """Cross-entropy of a module on rows, at a copy of its parameters.

    Parameters
    ----------
    module : torch.nn.Module
        Gives logits of shape (n, K). It is read here and then left alone.
    X : array-like or tensor of shape (n, ...)
        Rows in the layout of the module.
    y : array-like of int of shape (n,)
        Outputs, 0 to K - 1.
    params : str, sequence of str, or None
        Names of parameters, or of modules for all of theirs; None for all that require
        a gradient.
    temperature : float
        Divides the logits.
    batch_size : int or None
        Rows of one graph; None for 512.
    reduction : {"mean", "sum"}
        Over rows.

    Attributes
    ----------
    names : list of str
        Parameters in the order of the module.
    module : torch.nn.Module
        A copy of the user's, in evaluation mode.
    tensors : list of tensor
        Parameters of the copy; they alone require gradients.
    n_parameters, n_rows, n_outputs : int
        Counts.
    dtype : torch.dtype
        Of parameters and products.
    device : torch.device
        Of the parameters.
    """

    def __init__(
        self,
        module: nn.Module,
        X: Any,
        y: Any,
        *,
        params: str | Sequence[str] | None,
        temperature: float,
        batch_size: int | None,
        reduction: str,
    ):
        _check_settings(module, temperature, batch_size, reduction)
        # Found once, by the exact formulas.
        self.squares: Any = None
        self.has_independent_rows = False
        self.reason: str | None = None
        self.names = parameter_names(module, params)
        self.module = _copied(module)
        named = dict(self.module.named_parameters())
        for name, value in named.items():
            value.requires_grad_(name in set(self.names))
            value.grad = None
        self.tensors = [named[name] for name in self.names]
        self.dtype, self.device = self.tensors[0].dtype, self.tensors[0].device
        self._check_types()
        self.n_parameters = sum(tensor.numel() for tensor in self.tensors)
        self.temperature = float(temperature)
        self.X = self._rows(X)
        self.n_rows = len(self.X)
        self.batch_size = min(_BATCH if batch_size is None else batch_size, self.n_rows)
        self.weight = 1.0 / self.n_rows if reduction == "mean" else 1.0
        with torch.no_grad():
            few = self.X[:2].clone()
            shape = self._first_logits(few).shape
        if len(shape) != 2 or shape[0] != len(few):
            raise ValueError(
                "module must give logits of shape (n, n_outputs). It gave "
                f"{tuple(shape)} for {len(few)} rows instead."
            )
        self.n_outputs = shape[1]
        self.y = _outputs(y, self.n_rows, self.n_outputs).to(self.device)

    def _check_types(self) -> None:
        types = {tensor.dtype for tensor in self.tensors}
        if len(types) > 1 or self.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                "module must have float32 or float64 parameters, all of one type. Got "
                f"{sorted(str(kind) for kind in types)} instead: call module.float()."
            )

    def _rows(self, X: Any) -> Tensor:
        try:
            if isinstance(X, Tensor) and not X.is_meta and X.layout is torch.strided:
                rows = X
            else:
                rows = as_tensor(read_numbers("X", X)).clone()
        except (TypeError, ValueError) as error:
            raise TypeError(f"X must hold numbers: {error}") from error
        if rows.ndim < 1 or len(rows) == 0:
            raise ValueError(
                f"X must hold rows. Got shape {tuple(rows.shape)} instead."
            )
        has_tokens = any(
            isinstance(layer, nn.Embedding | nn.EmbeddingBag)
            for layer in self.module.modules()
        )
        if rows.is_complex() or not (rows.is_floating_point() or has_tokens):
            if rows.is_complex():
                raise ValueError(f"X must be real. Got {rows.dtype} instead.")
            rows = rows.to(self.dtype)
        if rows.is_floating_point():
            rows = rows.to(self.dtype)
            if not torch.isfinite(rows).all():
                raise ValueError("X must be finite. Got NaN or infinity.")
        return rows.to(self.device)

    def logits(self, rows: Tensor) -> Tensor:
        """Return the logits of some rows, not divided by the temperature."""
        # The fused kernels of attention have no second derivative.
        with torch.random.fork_rng(devices=[]), sdpa_kernel(SDPBackend.MATH):
            logits = self.module(rows)
        if not isinstance(logits, Tensor) or not torch.isfinite(logits).all():
            raise ValueError(
                "module must give one tensor of finite logits. Are its weights too "
                "large?"
            )
        return logits

    def _first_logits(self, rows: Tensor) -> Tensor:
        try:
            return self.logits(rows)
        except (RuntimeError, IndexError, TypeError) as error:
            raise ValueError(
                "module could not process X, whose rows have shape "
                f"{tuple(rows.shape[1:])} and type {rows.dtype}: {error}"
            ) from error

    def subset(self, params: str | Sequence[str]) -> Problem:
        """Return the same loss as a function of fewer parameters.

        Parameters
        ----------
        params : str or sequence of str
            Names of parameters or modules, among those of this problem.

        Returns
        -------
        problem : Problem
            At the same values; the tensors are shared.
        """
        part = copy.copy(self)
        part.squares = part.reason = None
        part.has_independent_rows = False
        part.names = [
            name for name in parameter_names(self.module, params) if name in self.names
        ]
        if not part.names:
            raise ValueError(
                f"params must name parameters of the operator, {self.names}. Got "
                f"{params!r} instead."
            )
        part.module = _copied(self.module)
        named = dict(part.module.named_parameters())
        for name, value in named.items():
            value.requires_grad_(name in set(part.names))
        part.tensors = [named[name] for name in part.names]
        part.n_parameters = sum(tensor.numel() for tensor in part.tensors)
        return part

    def chunks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield rows and outputs, a batch at a time."""
        for start in range(0, self.n_rows, self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self.X[part], self.y[part]

    def split(self, vector: np.ndarray) -> list[Tensor]:
        """Return a vector of length P in the shapes of the parameters."""
        flat = torch.as_tensor(vector, dtype=self.dtype).to(self.device)
        parts = flat.split([tensor.numel() for tensor in self.tensors])
        return [
            part.view_as(tensor)
            for part, tensor in zip(parts, self.tensors, strict=True)
        ]

    def join(self, parts: Sequence[Tensor]) -> np.ndarray:
        """Return tensors in the shapes of the parameters as one vector."""
        return torch.cat([part.detach().reshape(-1) for part in parts]).cpu().numpy()

    def zeros(self) -> list[Tensor]:
        """Return zeros in the shapes of the parameters."""
        return [torch.zeros_like(tensor) for tensor in self.tensors]


def log_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Return log-probabilities in float64, shape (n, K)."""
    return torch.log_softmax(logits.detach().double() / temperature, dim=1)


def errors(log_proba: Tensor, y: Tensor) -> Tensor:
    """Return ``p - onehot(y)``, float64; exact where p of the label is nearly 1."""
    values = log_proba.exp()
    # 1 - p as the sum of the others would lose them next to 1.
    own = torch.expm1(log_proba.gather(1, y[:, None]))
    return values.scatter(1, y[:, None], own)


def parameter_names(module: nn.Module, params: str | Sequence[str] | None) -> list[str]:
    """Return the names of chosen parameters in the order of the module.

    Parameters
    ----------
    module : torch.nn.Module
        Has the parameters.
    params : str, sequence of str, or None
        Names of parameters or modules.

    Returns
    -------
    names : list of str
        At least one.

    Raises
    ------
    ValueError
        If a name is unknown, or there is nothing to differentiate.
    """
    named = dict(module.named_parameters())
    if params is None:
        names = [name for name, value in named.items() if value.requires_grad]
        if not names:
            raise ValueError(
                "module must have parameters that require a gradient. Got none: name "
                "some with params."
            )
        return names
    wanted = [params] if isinstance(params, str) else params
    is_single = getattr(wanted, "ndim", 1) == 0
    if not isinstance(wanted, Iterable) or isinstance(wanted, bytes) or is_single:
        raise TypeError(f"params must be a list of names. Got {shown(params)} instead.")
    wanted = [*wanted]
    chosen = set()
    for entry in wanted:
        if not isinstance(entry, str):
            raise TypeError(
                f"params must be a list of names. Got the entry {shown(entry)} instead."
            )
        own = {n for n in named if n == entry or n.startswith(f"{entry}.")}
        if not own:
            raise ValueError(
                "params must name parameters or modules of the module, such as "
                f"{list(named)[:6]}. Got {entry!r} instead."
            )
        chosen |= own
    if not chosen:
        raise ValueError("params must name at least one parameter. Got none.")
    return [name for name in named if name in chosen]


def _copied(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, so that the user's module is only read."""
    try:
        return copy.deepcopy(module).eval()
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            f"module must be such that copy.deepcopy can copy it. It could not: {error}"
        ) from error


def _is_index(value: Any) -> bool:
    return is_integer(value) and abs(value) < 2**63


def _outputs(y: ArrayLike, n_rows: int, n_outputs: int) -> Tensor:
    values = read_array("y", y)
    # 2**63 and more stay objects, which are refused below.
    if values.dtype.kind == "O" and all(_is_index(value) for value in values.flat):
        values = values.astype(np.int64)
    if values.shape != (n_rows,):
        raise ValueError(
            f"y must have one entry for each of the {n_rows} rows of X. Got shape "
            f"{values.shape} instead."
        )
    if values.dtype.kind == "b" or values.dtype.kind not in "iu":
        raise ValueError(
            f"y must hold output indices, 0 to {n_outputs - 1}, as integers. Got dtype "
            f"{values.dtype} instead: np.unique(y, return_inverse=True)[1] makes them."
        )
    if values.min() < 0 or values.max() >= n_outputs:
        raise ValueError(
            f"y must hold indices of the {n_outputs} outputs, 0 to {n_outputs - 1}. "
            f"Got {values.min()} to {values.max()} instead."
        )
    return torch.tensor(values.astype(np.int64))


def _check_settings(module, temperature, batch_size, reduction) -> None:
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module must be a torch.nn.Module. Got {type(module).__name__} instead: "
            "pass net.module_ of a fitted network."
        )
    is_number = isinstance(temperature, Real) and not isinstance(temperature, bool)
    if not is_number or not 1e-100 <= float(temperature) <= 1e100:
        raise ValueError(
            "temperature must be a finite number > 0, whose square float64 holds. Got "
            f"{temperature!r} instead."
        )
    if batch_size is not None and (
        not isinstance(batch_size, Integral)
        or isinstance(batch_size, bool)
        or batch_size < 1
    ):
        raise ValueError(
            f"batch_size must be an int >= 1 or None. Got {batch_size!r} instead."
        )
    if not is_choice(reduction, tuple(REDUCTIONS)):
        raise ValueError(
            f"reduction must be one of {list(REDUCTIONS)}. Got {reduction!r} instead."
        )
