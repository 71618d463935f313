"""Scores of weights for pruning: the lowest are pruned first.

Lee et al., "Layer-adaptive Sparsity for the Magnitude-based Pruning", ICLR 2021 (LAMP);
the other methods are in _data_scores and _iterative.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from torch import nn

from sklvyso._arguments import read_numbers
from sklvyso.networks import draw_seed, torch_seed
from sklvyso.sparsity._data_scores import (
    grasp_scores,
    mean_gradients,
    progress,
    snip_scores,
)
from sklvyso.sparsity._iterative import (
    FlatWeights,
    flow_gradients,
    flow_weights,
    force_scores,
    iterative_ranks,
    pruned_counts,
    synflow_scores,
)
from sklvyso.sparsity._linear import LinearNetwork
from sklvyso.sparsity._score_arguments import (
    DATA_METHODS,
    ITERATIONS,
    check_count,
    check_method,
    check_steps,
    required_rows,
    required_shape,
)
from sklvyso.sparsity._scored_copy import scored_copy
from sklvyso.sparsity._weights import prunable_weights

Scores = dict[str, np.ndarray]


def prune_scores(
    module: nn.Module,
    method: str | Callable[..., Any],
    X: ArrayLike | torch.Tensor | None = None,
    y: ArrayLike | torch.Tensor | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    input_shape: Sequence[int] | None = None,
    batch_size: int = 128,
    n_iterations: int | str = "auto",
    sparsity: float | None = None,
    n_samples: int | None = None,
    exclude: Sequence[str] = (),
    rules: Any = None,
    device: str | torch.device | None = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> Scores:
    """Score the weights of a network for pruning: higher means keep.

    Prune the lowest scores of all layers together, of equal ones the first in order
    of layers and places, or the lowest of each layer.

    .. versionadded:: 0.1

    Parameters
    ----------
    module : torch.nn.Module
        Gives logits of shape (n, n_outputs). It is scored with the weights it has, and
        comes back untouched: all work is done on a copy.
    method : str or callable
        ``"random"``: uniform in [0, 1). ``"magnitude"``: ``|w|``. ``"lamp"``: ``w^2``
        over the sum of the squares in its layer that are not smaller. ``"snip"``:
        ``|w dL/dw|``. ``"snip_iterative"``, ``"force"``: SNIP step by step, without or
        with return of pruned weights. ``"grasp"``: ``w (H g)``, logits divided by 200.
        ``"synflow"``: ``|w| dR/d|w|``, R the flow of ones through the linear network;
        no data. A callable gets a copy of the module, X and y as they are, and returns
        a dict of name to array, or a list of arrays in the order of
        the prunable weights.
    X : array-like or tensor of shape (n, ...) or None, default=None
        Rows in torch's layout, finite. Needed by SNIP, FORCE and GraSP.
    y : array-like or tensor of shape (n,) or None, default=None
        Index of the output of each row, whole numbers >= 0.
    sample_weight : array-like of shape (n,) or None, default=None
        Weight of each row in the mean loss, >= 0.
    input_shape : sequence of int or None, default=None
        Torch shape of one sample, for SynFlow; None takes that of X.
    batch_size : int, default=128
        Rows at once. Changes time and memory, not the scores, unless batch
        normalization is in training mode.
    n_iterations : int or "auto", default="auto"
        Steps of SynFlow, iterative SNIP and FORCE on the way to ``sparsity``: 100, 300
        and 10. Without ``sparsity`` they score once.
    sparsity : float or None, default=None
        Fraction of weights that the iterative methods prune, in [0, 1].
    n_samples : int or None, default=None
        Rows drawn anew in each step of iterative SNIP and FORCE; None draws
        ``batch_size``.
    exclude : sequence of str, default=()
        Regular expressions; weights whose name matches one from its start get no score.
    rules : object or None, default=None
        Rules for modules of other kinds, handed to the linear network of SynFlow.
    device : str, torch.device or None, default=None
        Where to compute; None stays where the module is.
    random_state : int, RandomState instance or None, default=None
        Seed of random scores, of the rows drawn, and of dropout in training mode.
    verbose : int, default=0
        Whether to show a bar over batches or iterations.

    Returns
    -------
    scores : dict of str to ndarray of float64
        ``"<layer>.weight"`` to finite scores in the shape of the weight, in order of
        registration.

    Raises
    ------
    TypeError
        If module is not an nn.Module, or an argument is of the wrong kind.
    ValueError
        If the method is unknown or lacks data, an argument is out of range, or scores
        are not finite.

    See Also
    --------
    prune_module : Prunes by them.
    layer_quotas : How layers share the budget.

    Notes
    -----
    *Mode.* The copy computes in the mode that the module is in: batch normalization in
    training mode, as in the papers, takes the statistics of each batch; call
    ``module.eval()`` first for stored statistics and for no dropout.

    *Iterative methods* with ``sparsity`` return an order rather than magnitudes.
    SynFlow and iterative SNIP: 0 for the weight pruned first, 1 for the next, and so
    on, survivors on top by their last score, so that masks at all smaller sparsities
    are nested. FORCE: the scores of its last step, which define its final mask.

    Weights under a mask of :mod:`torch.nn.utils.prune` count as zero.

    References
    ----------
    .. [1] A. Vysogorets, J. Kempe, "Connectivity Matters: Neural Network Pruning
       Through the Lens of Effective Sparsity", JMLR 24(99), 2023, section 3.

    Examples
    --------
    >>> import torch
    >>> from sklvyso.sparsity._scores import prune_scores
    >>> layer = torch.nn.Linear(3, 2)
    >>> with torch.no_grad():
    ...     _ = layer.weight.copy_(torch.tensor([[1.0, -3.0, 2.0], [0.0, 5.0, -4.0]]))
    >>> prune_scores(layer, "magnitude")["weight"]
    array([[1., 3., 2.],
           [0., 5., 4.]])
    """
    check_method(method)
    batch_size = check_count(batch_size, "batch_size")
    n_steps = check_steps(method, n_iterations, sparsity)
    n_rows = batch_size if n_samples is None else check_count(n_samples, "n_samples")
    # Autograd works even where the caller has turned it off.
    with torch.inference_mode(False), torch.enable_grad():
        network = scored_copy(module, device)
        if callable(method):
            with torch_seed(draw_seed(random_state), _device_of(network)):
                return _called_scores(method, network, X, y, exclude)
        weights = _finite_weights(network, exclude)
        counts = None
        if sparsity is not None and method in ITERATIONS:
            total = sum(weight.numel() for weight in weights.values())
            counts = pruned_counts(total, sparsity, n_steps)
        if method in DATA_METHODS:
            rows = required_rows(method, X, y, sample_weight)
            seed = draw_seed(random_state)
            with torch_seed(seed, _device_of(network)):
                scores = _loss_scores(
                    method,
                    network,
                    weights,
                    rows,
                    batch_size,
                    counts,
                    n_rows,
                    seed,
                    verbose,
                )
        elif method == "synflow":
            shape = required_shape(input_shape, X)
            twin = LinearNetwork(network, shape, rules)
            scores = _flow_scores(twin, weights, counts, verbose)
        else:
            scores = _weight_scores(method, weights, random_state)
    return _checked(scores, weights)


def random_scores(
    shapes: Mapping[str, tuple[int, ...]],
    random_state: int | np.random.RandomState | None = None,
) -> Scores:
    """Return uniform scores in [0, 1): the order is a random permutation."""
    random = check_random_state(random_state)
    return {name: random.random_sample(shape) for name, shape in shapes.items()}


def lamp_scores(weight: np.ndarray) -> np.ndarray:
    """Return w^2 over the sum of the squares that come no earlier in the layer (LAMP).

    Parameters
    ----------
    weight : ndarray
        Weights of one layer, finite.

    Returns
    -------
    scores : ndarray of float64
        In the shape of ``weight``, in [0, 1]; exactly 1 for the largest magnitude, of
        equal ones the last.

    Notes
    -----
    With squares in ascending order (equal ones in order of their places),
    ``score_i = w_i^2 / sum_{j >= i} w_j^2``. No constant is added to the sum, so that
    the scale of the layer does not matter; a layer of zeros scores as one of equal
    weights.
    """
    magnitudes = np.abs(weight.ravel().astype(np.float64))
    largest = magnitudes.max(initial=0.0)
    # Squares of tiny weights would vanish.
    squares = (magnitudes / largest) ** 2 if largest > 0 else np.ones(weight.size)
    order = np.argsort(squares, kind="stable")
    ascending = squares[order]
    sums = np.cumsum(ascending[::-1])[::-1]
    scores = np.empty(weight.size)
    scores[order] = ascending / sums
    return scores.reshape(weight.shape)


def _weight_scores(method, weights, random_state) -> Scores:
    if method == "random":
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        return random_scores(shapes, random_state)
    arrays = {n: w.detach().double().cpu().numpy() for n, w in weights.items()}
    if method == "magnitude":
        return {name: np.abs(array) for name, array in arrays.items()}
    return {name: lamp_scores(array) for name, array in arrays.items()}


def _loss_scores(
    method, network, weights, rows, batch_size, counts, n_rows, seed, verbose
) -> Scores:
    if method == "grasp":
        return grasp_scores(network, weights, rows, batch_size, verbose=verbose)
    if counts is None:
        return snip_scores(network, weights, rows, batch_size, verbose=verbose)
    flat = FlatWeights(weights)
    random = np.random.RandomState(seed)

    def gradients():
        sample = rows.sample(n_rows, random)
        return mean_gradients(network, flat.parts, sample, batch_size)

    prune = iterative_ranks if method == "snip_iterative" else force_scores
    return prune(gradients, flat, _steps(counts, method, verbose))


def _flow_scores(twin, weights, counts, verbose) -> Scores:
    if counts is None:
        return synflow_scores(twin, weights)
    flat = flow_weights(weights)
    gradients = functools.partial(flow_gradients, twin, flat.parts)
    return iterative_ranks(gradients, flat, _steps(counts, "synflow", verbose))


def _steps(counts, method, verbose):
    return progress(counts, len(counts), method, "iterations", verbose)


def _called_scores(method, network, X, y, exclude) -> Scores:
    weights = prunable_weights(network, exclude)
    scores = method(network, X, y)
    if not isinstance(scores, Mapping):
        if not isinstance(scores, Sequence) or len(scores) != len(weights):
            raise ValueError(
                "method must return a dict of weight name to array, or a list of "
                f"{len(weights)} arrays, one for each of {list(weights)}. It returned "
                f"{type(scores).__name__}"
                + (f" of {len(scores)}." if isinstance(scores, Sequence) else ".")
            )
        scores = dict(zip(weights, scores, strict=True))
    if set(scores) != set(weights):
        raise ValueError(
            f"method must return scores for {list(weights)}. It returned "
            f"{list(scores)} instead."
        )
    arrays = {}
    for name in weights:
        array = scores[name]
        read = read_numbers(f"the scores of {name!r} by method", array)
        arrays[name] = read.astype(np.float64)
    return _checked(arrays, weights)


def _checked(scores: Scores, weights: Mapping[str, torch.Tensor]) -> Scores:
    for name, array in scores.items():
        shape = tuple(weights[name].shape)
        if array.shape != shape:
            raise ValueError(
                f"Scores must have the shapes of the weights. Those of {name!r} have "
                f"{array.shape}, the weight has {shape}."
            )
        if not np.isfinite(array).all():
            raise ValueError(
                f"Scores must be finite. Those of {name!r} hold NaN or infinity: are "
                "the weights and the loss of the module finite?"
            )
    return scores


def _finite_weights(network, exclude) -> dict[str, torch.Tensor]:
    weights = prunable_weights(network, exclude)
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise ValueError(
                f"Weights of module must be finite. {name!r} holds NaN or infinity."
            )
    return {name: w.detach().requires_grad_() for name, w in weights.items()}


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
