"""What is measured at one set of weights: outputs, gradient, curvature of each part."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import math
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from sklvyso._arguments import is_real, read_numbers, shown
from sklvyso.curvature import _exact
from sklvyso.curvature._hyperplanes import project_operator
from sklvyso.curvature._norms import curvature_of_samples
from sklvyso.curvature._operators import GaussNewtonOperator, ResidualOperator
from sklvyso.curvature._problem import Problem, errors, log_probabilities
from sklvyso.curvature._spectrum import (
    eigenvalues,
    fraction_positive,
    leading_values,
    spectral_density,
)
from sklvyso.curvature._trace import DENSE_LIMIT, mean_and_error, probe_blocks

PARTS = ("h", "g", "f")
_FACTORS = (2.0, 0.5, 1e3, 1e-3)


def gamma_statistic(proba: ArrayLike) -> float:
    """Return the confidence statistic of predicted probabilities.

    .. versionadded:: 0.1

    Parameters
    ----------
    proba : array-like of shape (n, n_outputs)
        Rows of probabilities, each summing to 1.

    Returns
    -------
    gamma : float
        ``Tr(M) / ||M||_F`` with ``M = mean_i (diag(p_i) - p_i p_i^T)``: ``sqrt(K - 1)``
        for uniform rows, 1 where all rows hesitate between the same two outputs, and 0
        where every row is certain.

    Raises
    ------
    ValueError
        If ``proba`` is not two-dimensional, finite and in [0, 1].

    See Also
    --------
    expected_g_curvature : Curvature that it predicts.
    GoldilocksProbe : Measures it at each scale.

    Notes
    -----
    The diagonal of M is computed as minus the sum of the rest of its row, so that
    nothing cancels for nearly certain rows.

    References
    ----------
    .. [1] Vysogorets, Dawid, Kempe, "Deconstructing the Goldilocks Zone of Neural
       Network Initialization", ICML 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.curvature import gamma_statistic
    >>> round(gamma_statistic(np.full((5, 10), 0.1)), 6)
    3.0
    """
    values = read_numbers("proba", proba).astype(np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            "proba must have one row of probabilities for each sample. Got shape "
            f"{values.shape} instead."
        )
    if not ((values >= 0) & (values <= 1 + 1e-6)).all():
        raise ValueError("proba must lie in [0, 1]. Got values outside, or NaN.")
    M = -(values.T @ values) / len(values)
    np.fill_diagonal(M, 0.0)
    np.fill_diagonal(M, -M.sum(axis=1))
    scale = abs(M).max()
    if not scale:
        return 0.0
    return float(np.trace(M / scale) / np.linalg.norm(M / scale))


# Squares of more leave float64.
_LARGEST = 1e100


def expected_g_curvature(
    mean_variance: float, noise_variance: float, gamma: float, dimension: int
) -> float:
    """Return the curvature of a Gauss-Newton part with random logit gradients.

    .. versionadded:: 0.1

    Parameters
    ----------
    mean_variance : float
        Variance of the entries of the mean logit gradients, >= 0.
    noise_variance : float
        Variance of the entries of the rest, >= 0.
    gamma : float
        See :func:`gamma_statistic`.
    dimension : int
        Parameters, or dimensions of the hyperplane, >= 1.

    Returns
    -------
    curvature : float
        ``sqrt(d) (vE + vC) / sqrt(vE^2 + 2 vE vC + d vC^2 / gamma^2)``; 0 where
        ``gamma`` is below 1, NaN where both variances are 0.

    See Also
    --------
    positive_curvature : Measured on an operator.
    gamma_statistic : The other closed form.

    Notes
    -----
    A rough model: it gives the trend, not the level.

    Examples
    --------
    >>> from sklvyso.curvature import expected_g_curvature
    >>> expected_g_curvature(0.0, 1.0, gamma=3.0, dimension=100)
    10.0
    """
    given = {
        "mean_variance": mean_variance,
        "noise_variance": noise_variance,
        "gamma": gamma,
        "dimension": dimension,
    }
    for name, value in given.items():
        least = 1 if name == "dimension" else 0
        if not is_real(value) or not least <= float(value) <= _LARGEST:
            raise ValueError(
                f"{name} must be a number from {least} to {_LARGEST:g}. Got "
                f"{shown(value)} instead."
            )
    mean, noise, kept, size = map(float, given.values())
    if kept < 1:
        return 0.0
    spread = noise**2 + 2 * noise * mean + size * mean**2 / kept**2
    if not spread:
        return math.nan
    return math.sqrt(size) * (noise + mean) / math.sqrt(spread)


def scale_parameters(module: nn.Module, alpha: float) -> nn.Module:
    """Return a copy of a module with all trainable parameters multiplied.

    .. versionadded:: 0.1

    Parameters
    ----------
    module : torch.nn.Module
        It is only read.
    alpha : float
        Finite factor.

    Returns
    -------
    scaled : torch.nn.Module
        Buffers, such as running statistics, and frozen parameters stay.

    Raises
    ------
    ValueError
        If ``alpha`` is no finite number.

    See Also
    --------
    GoldilocksProbe : Measures over a range of scales.
    HessianOperator : Curvature of the copy.

    Examples
    --------
    >>> import torch
    >>> from sklvyso.curvature import scale_parameters
    >>> layer = torch.nn.Linear(2, 1)
    >>> scaled = scale_parameters(layer, 2.0)
    >>> bool((scaled.weight == 2 * layer.weight).all())
    True
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module. Got {shown(module)}.")
    is_number = isinstance(alpha, Real) and not isinstance(alpha, bool)
    if not is_number or not math.isfinite(alpha):
        raise ValueError(f"alpha must be a finite number. Got {alpha!r} instead.")
    try:
        scaled = copy.deepcopy(module)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            "module must be such that copy.deepcopy can copy it; after "
            f"torch.nn.utils.prune call prune.remove first. It could not: {error}"
        ) from error
    with torch.no_grad():
        for parameter in scaled.parameters():
            if parameter.requires_grad:
                parameter.mul_(float(alpha))
    return scaled


def homogeneity_degree(module: nn.Module, X: torch.Tensor) -> float:
    """Return L if ``f(a theta) = a^L f(theta)`` on some rows, else NaN.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    X : tensor of shape (n, ...)
        Rows.

    Returns
    -------
    degree : float
        Measured at a = 2, 1/2, 1000 and 1/1000.
    """
    # At weights nearby: what is 0 by chance may break it.
    module = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator).to(parameter)
                size = float(parameter.abs().mean()) or 1.0
                parameter.add_(noise, alpha=0.1 * size)
        base = module(X).double()
        size = float(base.abs().max())
        if not size:
            return math.nan
        degrees = []
        for factor in _FACTORS:
            other = scale_parameters(module, factor)(X).double()
            degree = math.log(float(other.norm() / base.norm())) / math.log(factor)
            gap = float((other - factor**degree * base).abs().max())
            tolerance = 1e-9 if X.dtype == torch.float64 else 1e-4
            if not math.isfinite(degree) or gap > tolerance * factor**degree * size:
                return math.nan
            degrees.append(degree)
    is_same = max(degrees) - min(degrees) < 1e-3
    return float(np.mean(degrees)) if is_same else math.nan


def output_measures(problem: Problem) -> dict[str, float]:
    """Return loss, accuracy, confidence and gradient at one set of weights.

    Parameters
    ----------
    problem : Problem
        Its loss is measured in nats, as a mean over rows.

    Returns
    -------
    measures : dict of str to float
        One number each.
    """
    chunks = list(problem.chunks())
    logits = [problem.logits(X) for X, _ in chunks]
    gradient = problem.zeros()
    for value, (_, y) in zip(logits, chunks, strict=True):
        log_proba = log_probabilities(value, problem.temperature)
        along = errors(log_proba, y) / (problem.temperature * problem.n_rows)
        parts = torch.autograd.grad(
            value, problem.tensors, along.to(value.dtype), materialize_grads=True
        )
        gradient = [a + b for a, b in zip(gradient, parts, strict=True)]
    z = torch.cat([value.detach().double() for value in logits])
    z = z / problem.temperature
    log_proba = torch.log_softmax(z, dim=1)
    proba = log_proba.exp()
    y = problem.y
    entropy = -torch.where(proba > 0, proba * log_proba, 0.0).sum(1)
    frequencies = torch.bincount(y, minlength=problem.n_outputs) / len(y)
    return {
        "loss": float(-log_proba.gather(1, y[:, None]).mean()),
        "accuracy": float((z.argmax(1) == y).double().mean()),
        "confidence": float(proba.amax(1).mean()),
        "entropy": float(entropy.mean()),
        "gamma": gamma_statistic(proba.cpu().numpy()),
        "logit_rms": float(z.square().mean().sqrt()),
        "zero_logit_fraction": float((z == 0).double().mean()),
        "grad_norm": float(np.linalg.norm(problem.join(gradient).astype(np.float64))),
        "prior_mismatch": float((proba.mean(0) - frequencies).norm()),
    }


def curvature_measures(
    module: nn.Module,
    X: Any,
    y: Any,
    *,
    params: Any,
    temperature: float,
    batch_size: int | None,
    method: str,
    n_probes: int,
    n_eigenvalues: int,
    density_steps: int,
    directions: np.ndarray | None,
    random: np.random.RandomState,
    trace_g: float | None = None,
) -> dict[str, Any]:
    """Return all measures at one set of weights.

    Parameters
    ----------
    module, X, y, params, temperature, batch_size
        As for the operators.
    method : {"auto", "exact", "hutchinson"}
        ``"exact"`` refuses what it would have to estimate.
    n_probes : int
        Products for estimates, shared by the parts.
    n_eigenvalues : int
        How many of H, largest in magnitude; 0 leaves out the spectral norms, too.
    density_steps : int
        Lanczos steps of the density of H; 0 leaves it out.
    directions : ndarray of shape (P, d) or None
        Of a hyperplane; then all is measured in it.
    random : RandomState
        Draws the probes.
    trace_g : float or None
        Exact trace of the Gauss-Newton part, if known.

    Returns
    -------
    measures : dict of str to float
        For the parts ``h``, ``g`` and ``f``: trace, norm and curvature, with standard
        errors; H is the sum of the two others. ``eigenvalues``, ``ritz_residuals`` and
        ``density``, of H, hold arrays.
    """
    options = {"params": params, "temperature": temperature, "batch_size": batch_size}
    G = GaussNewtonOperator(module, X, y, **options)
    F = ResidualOperator(module, X, y, **options)
    n_rows = G.shape[0] if directions is None else directions.shape[1]
    if n_eigenvalues > n_rows:
        raise ValueError(
            f"n_eigenvalues must be at most {n_rows}, the number of parameters or the "
            f"dimension of the hyperplane. Got {n_eigenvalues} instead."
        )
    measures: dict[str, Any] = output_measures(G.problem)
    if directions is not None:
        inside_g, inside_f = (project_operator(part, directions) for part in (G, F))
        measures |= _dense_measures(inside_g, inside_f, n_eigenvalues, density_steps)
        # How far the curvature in a random hyperplane strays at the edges of the zone.
        strays = math.sqrt(2 / (n_rows + 1)) if n_rows < G.shape[0] else 0.0
        return measures | {f"curvature_{name}_stderr": strays for name in PARTS}
    if method != "hutchinson" and n_rows <= DENSE_LIMIT:
        dense_g, dense_f = G.to_dense(), F.to_dense()
        return measures | _dense_measures(
            dense_g, dense_f, n_eigenvalues, density_steps
        )
    measures |= _estimated_measures(G, F, method, n_probes, random, trace_g)
    if n_eigenvalues:
        for name, operator in (("h", G + F), ("g", G), ("f", F)):
            k = n_eigenvalues if name == "h" else 1
            found = eigenvalues(operator, k, which="LM", random_state=random)
            measures[f"spectral_norm_{name}"] = float(abs(found[0][0]))
            if name == "h":
                measures["eigenvalues"], measures["ritz_residuals"] = found
    if density_steps:
        measures["density"] = spectral_density(
            G + F, n_steps=density_steps, random_state=random
        )
    return measures


def _dense_measures(G, F, n_eigenvalues, density_steps) -> dict[str, Any]:
    measures: dict[str, Any] = {}
    for name, matrix in (("h", G + F), ("g", G), ("f", F)):
        values = np.linalg.eigvalsh(matrix.astype(np.float64))
        size = float(abs(values).max())  # squares of small ones would underflow
        norm = size * float(np.linalg.norm(values / size)) if size else 0.0
        total = float(np.trace(matrix.astype(np.float64)))
        measures[f"trace_{name}"], measures[f"fro_norm_{name}"] = total, norm
        measures[f"curvature_{name}"] = total / norm if norm else math.nan
        for key in ("trace", "fro_norm", "curvature"):
            measures[f"{key}_{name}_stderr"] = 0.0
        if not norm:
            measures[f"curvature_{name}_stderr"] = math.nan
        if n_eigenvalues:
            measures[f"spectral_norm_{name}"] = size
        if name == "h":
            counts = fraction_positive(values)
            measures["frac_positive"] = counts.n_positive / len(values)
            if n_eigenvalues:
                best = leading_values(values, n_eigenvalues, "LM")
                measures["eigenvalues"] = values[best]
                measures["ritz_residuals"] = np.zeros(n_eigenvalues)
            if density_steps:
                measures["density"] = values, np.full(len(values), 1 / len(values))
    return measures


def _estimated_measures(G, F, method, n_probes, random, trace_g) -> dict[str, float]:
    """Measure G and F by the same probes; each trace exactly where that is proved."""
    known: dict[str, float | None] = {"g": trace_g, "h": None, "f": None}
    reason = None
    if method != "hutchinson":
        if trace_g is None:
            known["g"] = G.exact_trace()
        reason = _exact.why_not_exact(G.problem)
        if reason is None:
            known["f"], known["h"] = 0.0, known["g"]
    if method == "exact":
        what = reason or "the Frobenius norm of so many parameters is estimated"
        raise ValueError(
            f"method='exact' does not apply here: {what}. Use method='auto'."
        )
    norm_g = None if method == "hutchinson" else _exact_norm(G)
    samples: dict[str, list] = {name: [] for name in PARTS}
    for probes in probe_blocks(G.shape[0], n_probes, random):
        images = {"g": G.matmat(probes), "f": F.matmat(probes)}
        images["h"] = images["g"].astype(np.float64) + images["f"]
        for name, image in images.items():
            forms = np.einsum("ij,ij->j", probes, image, dtype=np.float64)
            lengths = np.linalg.norm(image.astype(np.float64), axis=0)
            samples[name].append((forms, lengths))
    measures = {}
    for name in PARTS:
        forms, lengths = (np.concatenate(v) for v in zip(*samples[name], strict=True))
        exact = known[name]
        if exact is not None:
            forms = np.full(n_probes, exact)
        if name == "g" and norm_g is not None:
            lengths = np.full(n_probes, norm_g)
        total, total_error = mean_and_error(forms)
        size = lengths.max() or 1.0  # squares of small ones would underflow
        square, square_error = mean_and_error((lengths / size) ** 2)
        norm, square_error = math.sqrt(square), square_error * size
        value, error = curvature_of_samples(forms, lengths)
        measures[f"trace_{name}"] = total
        measures[f"trace_{name}_stderr"] = 0.0 if exact is not None else total_error
        measures[f"fro_norm_{name}"] = norm * size
        measures[f"fro_norm_{name}_stderr"] = square_error / (2 * norm) if norm else 0.0
        measures[f"curvature_{name}"] = value
        measures[f"curvature_{name}_stderr"] = error
    return measures


def _exact_norm(G: GaussNewtonOperator) -> float | None:
    """Return the exact norm of the Gauss-Newton part where the Gram matrix is small."""
    try:
        return G.exact_frobenius_norm()
    except ValueError:
        return None
