"""Which task do rows belong to? The one whose own network is most certain of them.

Wortsman et al., "Supermasks in Superposition", NeurIPS 2020, sections 3.3 and 3.4.
Their rule superposes masks; here it superposes combinations of masks, of which a single
mask is a special case.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from sklvyso._arguments import (
    is_choice,
    is_integer,
    is_sequence,
    read_array,
    read_numbers,
    shown,
)
from sklvyso.continual._backbone import Backbone, set_weights
from sklvyso.continual._combination import MaskProducts, mask_products
from sklvyso.continual._masks import pack_mask
from sklvyso.networks import as_tensor

INFERENCE_METHODS = ("exhaustive", "one_shot", "binary")
OBJECTIVES = ("entropy", "superfluous")
GRADIENT_BATCH = 256  # rows whose products with all masks are held at once


def row_entropies(logits: Tensor) -> Tensor:
    """Return the entropy of each row's softmax, in nats, float64.

    Parameters
    ----------
    logits : tensor of shape (n, K)
        All outputs, superfluous ones too.

    Returns
    -------
    entropies : tensor of shape (n,)
        In [0, log(K)].
    """
    log_proba = torch.log_softmax(logits.double(), dim=1)
    return -(log_proba.exp() * log_proba).sum(1)


def row_objectives(logits: Tensor, objective: str, n_real: int | None) -> Tensor:
    """Return what task inference lowers, for each row, float64.

    Parameters
    ----------
    logits : tensor of shape (n, K)
        All outputs.
    objective : {"entropy", "superfluous"}
        ``"superfluous"``: log-sum-exp of the logits, of which only those from
        ``n_real`` on carry a gradient.
    n_real : int or None
        Outputs that classes use.

    Returns
    -------
    values : tensor of shape (n,)
        Low where a network is sure.
    """
    if objective == "entropy":
        return row_entropies(logits)
    logits = logits.double()
    parts = [logits[:, :n_real].detach(), logits[:, n_real:]]
    return torch.logsumexp(torch.cat(parts, dim=1), dim=1)


class Superposition:
    """A backbone under combinations of masks that may differ from row to row.

    Parameters
    ----------
    backbone : Backbone
        Frozen.
    products : sequence of MaskProducts
        Of each layer, for m masks.
    buffers : mapping or None
        Statistics to run with.
    """

    def __init__(
        self,
        backbone: Backbone,
        products: Sequence[MaskProducts],
        buffers: Any = None,
    ):
        self.products = products
        self.module = backbone.clone(buffers)
        self.layers = backbone.layers(self.module)

    def gradients(
        self, X: Tensor, coef: Tensor, objective: str, n_real: int | None
    ) -> Tensor:
        """Return derivatives of each row's objective by its coefficients.

        Parameters
        ----------
        X : tensor of shape (n, ...)
            Rows, as the module takes them.
        coef : tensor of shape (L, m) or (n, L, m)
            The same for all rows, or those of each row.
        objective, n_real
            As for :func:`row_objectives`.

        Returns
        -------
        gradients : tensor of shape (n, L, m), float64
            Of one forward and one backward pass.
        """
        if coef.ndim == 3:
            factors = coef.clone().requires_grad_()
            weights = [torch.zeros_like(part.weight) for part in self.products]
        else:
            # Around the weights of all rows, so that what passes on is one product.
            factors = torch.zeros(len(X), *coef.shape, dtype=X.dtype, device=X.device)
            factors.requires_grad_()
            weights = [
                part.combine(row)
                for part, row in zip(self.products, coef.to(X.dtype), strict=True)
            ]
        set_weights(self.layers, weights)
        with self._adding(factors, passes_on=coef.ndim == 3):
            logits = self.module(X)
        value = row_objectives(logits, objective, n_real).sum()
        return torch.autograd.grad(value, factors)[0].double()

    @contextmanager
    def _adding(self, factors: Tensor, *, passes_on: bool) -> Iterator[None]:
        """Add each mask's output, times the factor of the row, to that of the layer."""
        handles = [
            layer.register_forward_hook(
                _adder(part, factors[:, row], passes_on=passes_on)
            )
            for row, (layer, part) in enumerate(
                zip(self.layers, self.products, strict=True)
            )
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _adder(products: MaskProducts, factors: Tensor, *, passes_on: bool) -> Callable:
    def hook(layer, args, output):
        (given,) = args
        given = given if passes_on else given.detach()
        if len(given) != len(factors):
            raise ValueError(
                "task_inference must be 'exhaustive' for this module, whose layers do "
                f"not get one entry for each row. {type(layer).__name__} got "
                f"{len(given)} for {len(factors)} rows."
            )
        shape = len(given), *(1 for _ in output.shape[1:])
        for i in range(len(products.masks)):
            part = _apply(layer, given, products.product(i))
            output = output + factors[:, i].reshape(shape) * part
        return output

    return hook


def _apply(layer: nn.Module, given: Tensor, weight: Tensor) -> Tensor:
    if isinstance(layer, nn.Linear):
        return nn.functional.linear(given, weight)
    return layer._conv_forward(given, weight, None)  # type: ignore[operator]


def infer_by_gradient(
    superposition: Superposition,
    batches: Iterable[Tensor],
    coef: np.ndarray,
    groups: np.ndarray,
    *,
    method: str,
    objective: str = "entropy",
    n_real: int | None = None,
) -> np.ndarray:
    """Return the task of each group by one or several superpositions of all tasks.

    Parameters
    ----------
    superposition : Superposition
        For m masks.
    batches : iterable of tensor
        All rows, in order; iterated over anew in each round.
    coef : ndarray of shape (T, L, m)
        Of the tasks.
    groups : int ndarray of shape (n,)
        Positions of groups, 0 to n_groups - 1.
    method : {"one_shot", "binary"}
        Take the task whose share lowers the objective fastest; or keep the better half
        of the tasks until one is left.
    objective, n_real
        As for :func:`row_objectives`.

    Returns
    -------
    tasks : int ndarray of shape (n_groups,)
        Positions in ``coef``.
    """
    n_groups = int(groups.max()) + 1
    is_left = np.ones((n_groups, len(coef)), dtype=bool)
    while True:
        slopes = _group_slopes(
            superposition, batches, coef, groups, is_left, objective, n_real
        )
        slopes = np.where(is_left, slopes, np.inf)
        if method == "one_shot":
            return slopes.argmin(axis=1)
        is_left = better_half(slopes, is_left)
        if (is_left.sum(axis=1) == 1).all():
            return is_left.argmax(axis=1)


def better_half(slopes: np.ndarray, is_left: np.ndarray) -> np.ndarray:
    """Return which tasks remain after a round of binary inference.

    Parameters
    ----------
    slopes : ndarray of shape (n_groups, T)
        Infinite for tasks that are out.
    is_left : bool ndarray of shape (n_groups, T)
        Before the round.

    Returns
    -------
    is_left : bool ndarray of shape (n_groups, T)
        Those up to the lower median; the first smallest one where ties let none go.
    """
    n_left = is_left.sum(axis=1)
    ordered = np.sort(slopes, axis=1)
    bars = ordered[np.arange(len(slopes)), (n_left - 1) // 2]
    remains = is_left & (slopes <= bars[:, None])
    stuck = (remains.sum(axis=1) == n_left) & (n_left > 1)
    best = slopes.argmin(axis=1)
    remains[stuck] = False
    remains[stuck, best[stuck]] = True
    return remains


def _group_slopes(
    superposition, batches, coef, groups, is_left, objective, n_real
) -> np.ndarray:
    """Return mean derivatives by the share of each task, shape (n_groups, T)."""
    shares = is_left / is_left.sum(axis=1, keepdims=True)
    is_same = (is_left == is_left[0]).all()
    device = superposition.products[0].weight.device
    numbers = torch.as_tensor(coef, dtype=torch.float64, device=device)
    sums = np.zeros(is_left.shape)
    start = 0
    for X in batches:
        own = groups[start : start + len(X)]
        start += len(X)
        share = torch.as_tensor(shares[0] if is_same else shares[own], device=device)
        mixed = torch.tensordot(share, numbers, dims=1).to(X.dtype)
        by_mask = superposition.gradients(X, mixed, objective, n_real)
        by_task = torch.einsum("nlm,tlm->nt", by_mask, numbers)
        np.add.at(sums, own, by_task.cpu().numpy())
    return sums / np.bincount(groups, minlength=len(sums))[:, None]


def infer_task(
    module: nn.Module,
    masks: Sequence[Sequence[ArrayLike]],
    X: ArrayLike,
    *,
    coef: ArrayLike | None = None,
    method: str = "one_shot",
    objective: str = "entropy",
    n_real: int | None = None,
    groups: ArrayLike | None = None,
) -> np.ndarray:
    """Return the task that rows belong to, among tasks with stored masks.

    .. versionadded:: 0.1

    Parameters
    ----------
    module : torch.nn.Module
        Network with its frozen weights; without biases. It is only read.
    masks : sequence (m) of sequence (L) of bool array
        Masks of each impression for each linear layer or convolution.
    X : array-like of shape (n, ...)
        Rows, in the layout of the module.
    coef : array-like of shape (T, L, m), default=None
        Coefficients of each task. None: each mask is a task.
    method : {"one_shot", "binary", "exhaustive"}, default="one_shot"
        ``"one_shot"``: superpose all tasks with equal shares, and take the one whose
        share lowers the objective fastest; one forward and backward pass.
        ``"binary"``: keep the better half, and again. ``"exhaustive"``: run each task's
        own network and take the lowest objective.
    objective : {"entropy", "superfluous"}, default="entropy"
        Entropy of the softmax, or the log-sum-exp that only superfluous outputs move.
    n_real : int, default=None
        Outputs that classes use; for ``"superfluous"``.
    groups : array-like of shape (n,), default=None
        Rows of one group come from one task, and are decided together. None: each row
        alone.

    Returns
    -------
    tasks : int ndarray of shape (n,)
        Positions of tasks, 0 to T - 1.

    Raises
    ------
    ValueError
        If an argument is unknown or shapes do not fit.

    See Also
    --------
    ImpressLearnClassifier : Its ``predict_task``.

    Notes
    -----
    For tasks that are combinations the rule is ours: with shares p the weights are
    ``W * sum_i (sum_t p_t coef_t,i) M_i``; for one-hot coefficients it is SupSup's.

    References
    ----------
    .. [1] Wortsman et al., "Supermasks in Superposition", NeurIPS 2020, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklvyso.continual import infer_task
    >>> net = torch.nn.Linear(2, 2, bias=False)
    >>> net.weight.data = torch.tensor([[4.0, 4.0], [-4.0, -4.0]])
    >>> first, second = np.array([[1, 0], [1, 0]]), np.array([[0, 1], [0, 1]])
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> infer_task(net, [[first], [second]], X)
    array([0, 1])
    """
    _check_choice("method", method, INFERENCE_METHODS)
    _check_choice("objective", objective, OBJECTIVES)
    if objective == "superfluous" and n_real is None:
        raise ValueError("n_real must be given for objective='superfluous'. Got None.")
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module must be a torch.nn.Module. Got {type(module).__name__} instead."
        )
    backbone = Backbone(copy.deepcopy(module))
    packed = _packed(masks, backbone.shapes)
    n_layers = len(backbone.weights)
    numbers = np.eye(len(packed))[:, None].repeat(n_layers, 1) if coef is None else coef
    numbers = read_numbers("coef", numbers).astype(np.float64)
    if numbers.ndim != 3 or numbers.shape[1:] != (n_layers, len(packed)):
        raise ValueError(
            f"coef must have shape (n_tasks, {n_layers}, {len(packed)}): tasks, "
            f"layers, masks. Got {numbers.shape} instead."
        )
    if not np.isfinite(numbers).all():
        raise ValueError("coef must be finite. Got NaN or infinity.")
    if n_real is not None and (not is_integer(n_real) or n_real < 1):
        raise ValueError(f"n_real must be an int >= 1 or None. Got {shown(n_real)}.")
    rows = as_tensor(read_numbers("X", X)).to(backbone.weights[0].dtype)
    if not rows.ndim or not len(rows) or not torch.isfinite(rows).all():
        raise ValueError("X must hold rows of finite numbers.")
    codes = group_codes(groups, len(rows))
    products = mask_products(backbone.weights, packed)
    batches = rows.split(GRADIENT_BATCH)
    superposition = Superposition(backbone, products)
    set_weights(superposition.layers, [part.weight for part in products])
    _check_module(superposition.module, rows[:1])
    if method == "exhaustive":
        values = np.zeros((int(codes.max()) + 1, len(numbers)))
        for t, own in enumerate(torch.as_tensor(numbers).to(rows.dtype)):
            pairs = zip(products, own, strict=True)
            set_weights(superposition.layers, [part.combine(c) for part, c in pairs])
            with torch.no_grad():
                logits = torch.cat([superposition.module(batch) for batch in batches])
            row_values = row_objectives(logits, objective, n_real).numpy()
            values[:, t] = np.bincount(codes, row_values) / np.bincount(codes)
        found = values.argmin(axis=1)
    else:
        found = infer_by_gradient(
            superposition,
            batches,
            numbers,
            codes,
            method=method,
            objective=objective,
            n_real=n_real,
        )
    return found[codes]


def _check_module(module: nn.Module, row: Tensor) -> None:
    """Send a row through the module, whose own errors speak of matrices."""
    try:
        with torch.no_grad():
            logits = module(row)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"module could not process samples of X of shape {tuple(row.shape[1:])}: "
            f"{error}"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise ValueError(
            "module must give logits of shape (n, n_outputs) for the rows of X. Got "
            f"{tuple(getattr(logits, 'shape', ()))} for one row."
        )


def group_codes(groups: ArrayLike | None, n_rows: int) -> np.ndarray:
    """Return the position of each row's group; each row its own without groups.

    Parameters
    ----------
    groups : array-like of shape (n,) or None
        Labels of groups.
    n_rows : int
        Rows.

    Returns
    -------
    codes : int ndarray of shape (n,)
        From 0 on, without gaps.
    """
    if groups is None:
        return np.arange(n_rows)
    labels = read_array("groups", groups)
    if labels.shape != (n_rows,):
        raise ValueError(
            f"groups must have one label for each of the {n_rows} rows. Got shape "
            f"{labels.shape} instead."
        )
    if labels.dtype.kind == "O":
        places: dict[Any, int] = {}
        try:
            codes = [places.setdefault(label, len(places)) for label in labels.tolist()]
        except TypeError as error:
            raise TypeError(f"groups must be hashable labels: {error}") from error
        return np.array(codes)
    return np.unique(labels, return_inverse=True)[1]


def _packed(masks, shapes) -> list[list[np.ndarray]]:
    if not is_sequence(masks) or not all(map(is_sequence, masks)):
        raise TypeError(
            "masks must be a sequence of impressions, each a sequence of masks. Got "
            f"{shown(masks)} instead."
        )
    if not len(masks):
        raise ValueError("masks must hold the masks of one impression or more.")
    packed = []
    for one in masks:
        arrays = [read_numbers("masks", mask).astype(bool) for mask in one]
        if [array.shape for array in arrays] != list(shapes):
            raise ValueError(
                f"masks must have the shapes of the weights, {list(shapes)}. Got "
                f"{[array.shape for array in arrays]} instead."
            )
        packed.append([pack_mask(array) for array in arrays])
    return packed


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if not is_choice(value, choices):
        raise ValueError(f"{name} must be one of {list(choices)}. Got {value!r}.")
