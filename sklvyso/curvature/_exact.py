"""Trace and Frobenius norm of the Gauss-Newton part without probe vectors."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklvyso.curvature._piecewise import homogeneity, nonlinearity
from sklvyso.curvature._problem import Problem
from sklvyso.networks import (
    LayerwiseSquares,
    NoClosedFormError,
    borrowed,
    error_directions,
    gradient_squares,
)

# Entries of the Gram matrix of all rows and outputs, and bytes of a whole Jacobian.
_LARGEST_GRAM = 6000
_JACOBIAN_BYTES = 2**30
# Random rows that come with the ones whose independence is checked.
_OTHER_ROWS = 13
_DEPENDENT = (
    "Exact values of the Gauss-Newton part go row by row, and here the logits of a row "
    "depend on the other rows of its batch. Use method='hutchinson'."
)


def centred_directions(logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives ``e_k - p`` for each output k, with what they weigh.

    Parameters
    ----------
    logits : tensor of shape (n, K)
        Divided by the temperature.
    codes : int64 tensor of shape (n,)
        Not used: the Gauss-Newton part does not depend on labels.

    Returns
    -------
    weights : float64 tensor of shape (K, n)
        ``p_k`` times the square of what the directions were divided by.
    directions : tensor of shape (K, n, K), dtype of the logits
        ``p - e_k``, divided by their largest entry: nothing underflows.
    """
    classes = torch.arange(logits.shape[1], device=logits.device)
    scales, directions = error_directions(
        logits, classes[:, None].expand(-1, len(logits))
    )
    proba = logits.detach().double().softmax(-1).T
    return proba * scales.double() ** 2, directions


def trace_by_parameter(problem: Problem) -> dict[str, float]:
    """Return the exact trace of the Gauss-Newton part, split by parameter.

    Parameters
    ----------
    problem : Problem
        Any module.

    Returns
    -------
    traces : dict of str to float
        They add up to ``mean_i sum_k p_ik ||d z_ik - sum_l p_il d z_il||^2``.
    """
    totals = dict.fromkeys(problem.names, 0.0)
    for _, by_name in _weighted_squares(problem):
        for name, square in by_name.items():
            totals[name] += float(square.sum())
    return {name: total * problem.weight for name, total in totals.items()}


def trace_by_row(problem: Problem) -> np.ndarray:
    """Return what each row adds to the trace of the Gauss-Newton part.

    Parameters
    ----------
    problem : Problem
        Any module.

    Returns
    -------
    traces : ndarray of shape (n,), dtype float64
        ``sum_k p_ik ||d z_ik - sum_l p_il d z_il||^2``; their mean is the trace.
    """
    traces = np.zeros(problem.n_rows)
    for part, by_name in _weighted_squares(problem):
        for square in by_name.values():
            traces[part] += square.cpu().numpy()
    return traces


def _weighted_squares(problem: Problem) -> Iterator[tuple[slice, dict[str, Tensor]]]:
    """Yield rows, and what each parameter adds to the trace of each of them."""

    def labels(logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        return centred_directions(logits / problem.temperature, codes)

    # functional_call (torch 2.13) leaves a layer that has two names with other weights.
    with borrowed(problem.module, problem.device), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")
        squares = _squares(problem)
        step = min(problem.batch_size, squares.batch_size(problem.X[:2].clone()))
        for start in range(0, problem.n_rows, step):
            part = slice(start, start + step)
            weights, by_name = squares(problem.X[part].clone(), problem.y[part], labels)
            weights = weights / problem.temperature**2
            yield (
                part,
                {
                    name: (weights * square.double()).sum(0)
                    for name, square in by_name.items()
                },
            )


def _squares(problem: Problem) -> Any:
    """Return the verified way to squared gradients; it is found once."""
    if problem.squares is None:
        few = _few_rows(problem)
        _check_rows_are_independent(problem)
        some = problem.X[few].clone()
        squares = gradient_squares(problem.module, "auto", some, few)
        if isinstance(squares, LayerwiseSquares):
            squares = _trusted(problem, squares, some, few)
        problem.squares = squares
    return problem.squares


def _trusted(problem: Problem, squares: LayerwiseSquares, some: Tensor, few) -> Any:
    """Return the closed forms if they hold for all rows, else a way by single rows."""
    step = min(problem.batch_size, squares.batch_size(some))
    try:
        for start in range(0, problem.n_rows, step):
            squares.check_rows(problem.X[start : start + step].clone())
    except NoClosedFormError:
        try:
            return gradient_squares(problem.module, "vmap", some, few)
        except ValueError:
            return gradient_squares(problem.module, "loop", some, few)
    return squares


def _few_rows(problem: Problem) -> np.ndarray:
    """Return the rows that formulas are tried on."""
    return np.unique([0, problem.n_rows // 2, problem.n_rows - 1])


def _check_rows_are_independent(problem: Problem) -> None:
    """Refuse modules whose logits of a row depend on the batch it comes in, once."""
    if problem.has_independent_rows:
        return
    step = problem.batch_size
    for i in _few_rows(problem):
        start = i // step * step
        with torch.no_grad():
            batch = problem.logits(problem.X[start : start + step].clone())
            alone = _alone(problem, i)
        gap = torch.inf if alone is None else (batch[i - start] - alone).abs().max()
        if gap > 1e-3 * batch.abs().max():
            raise ValueError(_DEPENDENT)
    _check_gradients_are_independent(problem)
    problem.has_independent_rows = True


def _check_gradients_are_independent(problem: Problem) -> None:
    """Do the same for derivatives: logits may all be 0 before any training."""
    few = _few_rows(problem)
    others = np.random.RandomState(0).randint(problem.n_rows, size=_OTHER_ROWS)
    rows = np.concatenate([few, others])
    batch = problem.logits(problem.X[rows].clone())
    generator = torch.Generator().manual_seed(0)
    along = torch.randn(batch.shape[1], generator=generator).to(batch)
    for place, i in enumerate(few):
        alone = _alone(problem, i)
        if alone is None:
            raise ValueError(_DEPENDENT)
        pairs = [
            torch.autograd.grad(
                values @ along,
                problem.tensors,
                retain_graph=True,
                materialize_grads=True,
            )
            for values in (batch[place], alone)
        ]
        size = max(float(part.abs().max()) for part in pairs[1])
        for together, apart in zip(*pairs, strict=True):
            if float((together - apart).abs().max()) > 1e-3 * size:
                raise ValueError(_DEPENDENT)


def _alone(problem: Problem, i: int) -> Tensor | None:
    """Return the logits of a row without company; None where there are none."""
    try:
        return problem.logits(problem.X[i : i + 1].clone())[0]
    except (ValueError, RuntimeError):  # batch statistics of one row
        return None


def why_not_exact(problem: Problem) -> str | None:
    """Say why the trace of the residual part is not zero by proof; None if it is.

    Parameters
    ----------
    problem : Problem
        Every batch is looked at: a path may depend on values.

    Returns
    -------
    reason : str or None
        Found once.
    """
    if problem.reason is None:
        problem.reason = ""
        for X, _ in problem.chunks():
            problem.reason = nonlinearity(problem.logits(X), problem.tensors) or ""
            if problem.reason:
                break
    return problem.reason or None


def proved_degree(problem: Problem) -> int | None:
    """Return L if logits are proved to be homogeneous of degree L in the weights.

    Parameters
    ----------
    problem : Problem
        Of all trainable parameters; every batch is looked at.

    Returns
    -------
    degree : int or None
        None where there is no proof.
    """
    trainable = [p for p in problem.module.parameters() if p.requires_grad]
    if len(trainable) != len(problem.tensors):
        return None
    degrees = {
        homogeneity(problem.logits(X), problem.tensors) for X, _ in problem.chunks()
    }
    return degrees.pop() if len(degrees) == 1 else None


def pair_distances(problem: Problem) -> np.ndarray:
    """Return ``||d f_ik - d f_il||^2`` of each row and each pair of outputs.

    From these the trace of the Gauss-Newton part follows at every temperature.

    Parameters
    ----------
    problem : Problem
        Its layers must have closed forms.

    Returns
    -------
    distances : ndarray of shape (n, K, K), dtype float64
        Symmetric, zero on the diagonal.

    Raises
    ------
    NoClosedFormError
        If a layer has none.
    """
    squares = LayerwiseSquares(problem.module)
    K = problem.n_outputs
    distances = np.zeros((problem.n_rows, K, K))
    step = min(problem.batch_size, squares.batch_size(problem.X[:2]))
    for start in range(0, problem.n_rows, step):
        rows = problem.X[start : start + step].clone()
        calls, deltas = _unit_deltas(squares, rows, K)
        for k in range(K):
            for m in range(k):
                total = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
                for name, call in calls.items():
                    if deltas[k][name] is None or deltas[m][name] is None:
                        continue
                    step_ = deltas[k][name] - deltas[m][name]
                    for square in squares.squares(name, call, step_).values():
                        total += square.double()
                distances[start : start + len(rows), k, m] = total.cpu().numpy()
    return distances + distances.transpose(0, 2, 1)


def _unit_deltas(squares: LayerwiseSquares, rows: Tensor, n_outputs: int):
    """Return what the layers took, and derivatives of the logits by their outputs."""
    logits, calls = squares.forward(rows)
    edges = [call.edge for call in calls.values()]
    deltas = []
    for k in range(n_outputs):
        direction = torch.zeros_like(logits)
        direction[:, k] = 1.0
        parts = torch.autograd.grad(
            logits,
            edges,
            direction,
            retain_graph=k + 1 < n_outputs,
            allow_unused=True,
        )
        deltas.append(dict(zip(calls, parts, strict=True)))
    return calls, deltas


def traces_at_temperatures(
    problem: Problem, distances: np.ndarray, temperatures: np.ndarray
) -> np.ndarray:
    """Return exact traces of the Gauss-Newton part at many temperatures.

    Parameters
    ----------
    problem : Problem
        Gives the logits.
    distances : ndarray of shape (n, K, K)
        Of :func:`pair_distances`.
    temperatures : ndarray of shape (n_temperatures,)
        Each > 0.

    Returns
    -------
    traces : ndarray of shape (n_temperatures,), dtype float64
        ``mean_i sum_{k<l} p_ik p_il ||d f_ik - d f_il||^2 / T^2``.
    """
    with torch.no_grad():
        logits = torch.cat([problem.logits(X).double() for X, _ in problem.chunks()])
    traces = []
    for temperature in temperatures:
        proba = torch.softmax(logits / float(temperature), dim=1).cpu().numpy()
        value = np.einsum("ik,ikl,il->", proba, distances, proba, optimize=True) / 2
        traces.append(value * problem.weight / float(temperature) ** 2)
    return np.array(traces)


def frobenius_norm(problem: Problem) -> float:
    """Return the exact Frobenius norm of the Gauss-Newton part by its Gram matrix.

    Parameters
    ----------
    problem : Problem
        With at most 6,000 rows times outputs.

    Returns
    -------
    norm : float
        ``||A A^T||_F`` with rows ``sqrt(p_ik) (d z_ik - sum_l p_il d z_il)``, which has
        the non-zero eigenvalues of G.

    Raises
    ------
    ValueError
        If the matrix is too large, or neither closed forms nor a whole Jacobian do.
    """
    size = problem.n_rows * problem.n_outputs
    if size > _LARGEST_GRAM:
        raise ValueError(
            f"The Gram matrix of {problem.n_rows} rows and {problem.n_outputs} outputs "
            f"would have {size} rows, more than {_LARGEST_GRAM}."
        )
    scale = problem.weight / problem.temperature**2
    _check_rows_are_independent(problem)
    try:
        gram, factor = _gram_by_layers(problem)
    except NoClosedFormError:
        if size * problem.n_parameters * 8 > _JACOBIAN_BYTES:
            raise ValueError(
                "The Gram matrix needs linear layers on single vectors, or a Jacobian "
                f"of less than {_JACOBIAN_BYTES // 2**20} MB. This one has "
                f"{size} x {problem.n_parameters} entries."
            ) from None
        jacobian = _centred_jacobian(problem)
        largest = abs(jacobian).max() or 1.0
        jacobian /= largest
        gram, factor = jacobian @ jacobian.T, largest**2
    return float(np.linalg.norm(gram)) * factor * scale


def _gram_by_layers(problem: Problem) -> tuple[np.ndarray, float]:
    """Sum ``(delta delta^T) (a a^T + 1)`` over linear layers; order is row, output.

    The second number is a factor that was left out, so that no square underflows.
    """
    squares = LayerwiseSquares(problem.module)
    if any(not isinstance(layer, torch.nn.Linear) for layer in squares.layers.values()):
        raise NoClosedFormError("a layer is not linear")
    logits, calls = squares.forward(problem.X.clone())
    if any(call.inputs.ndim != 2 for call in calls.values()):
        raise NoClosedFormError("a layer works on several vectors a row")
    weights, directions = centred_directions(
        logits.detach() / problem.temperature, problem.y
    )
    squares.check_rows(problem.X.clone())
    factor = float(weights.max()) or 1.0
    weights = weights / factor
    edges = [call.edge for call in calls.values()]
    stacked: list[list[Tensor]] = [[] for _ in edges]
    for k, direction in enumerate(directions):
        parts = torch.autograd.grad(
            logits, edges, direction, retain_graph=k + 1 < len(directions)
        )
        for own, part in zip(stacked, parts, strict=True):
            own.append(part.double() * weights[k].sqrt()[:, None])
    K, n = len(directions), problem.n_rows
    gram = torch.zeros((n * K, n * K), dtype=torch.float64, device=logits.device)
    for call, own, layer in zip(
        calls.values(), stacked, squares.layers.values(), strict=True
    ):
        delta = torch.stack(own, dim=1).reshape(n * K, -1)
        inputs = call.inputs.double()
        similar = torch.zeros((n, n), dtype=torch.float64, device=logits.device)
        if layer.weight.requires_grad:
            similar += inputs @ inputs.T
        if layer.bias is not None and layer.bias.requires_grad:
            similar += 1.0
        products = (delta @ delta.T).view(n, K, n, K)
        products *= similar[:, None, :, None]
        gram += products.view(n * K, n * K)
    return gram.cpu().numpy(), factor


def _centred_jacobian(problem: Problem) -> np.ndarray:
    """Return the rows ``sqrt(p_ik) (d f_ik - sum_l p_il d f_il)``, float64."""
    rows = []
    for X, y in problem.chunks():
        for i in range(len(X)):
            logits = problem.logits(X[i : i + 1])
            weights, directions = centred_directions(
                logits.detach() / problem.temperature, y[i : i + 1]
            )
            for weight, direction in zip(weights, directions, strict=True):
                parts = torch.autograd.grad(
                    logits,
                    problem.tensors,
                    direction,
                    retain_graph=True,
                    materialize_grads=True,
                )
                rows.append(
                    problem.join(parts).astype(np.float64) * weight.sqrt().item()
                )
    return np.stack(rows)
