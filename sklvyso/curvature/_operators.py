"""Hessian of the training loss, its Gauss-Newton part and the rest, as operators.

Vysogorets, Dawid, Kempe, "Deconstructing the Goldilocks Zone of Neural Network
Initialization", ICML 2024.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn

from sklvyso.curvature import _exact
from sklvyso.curvature._piecewise import refuse_wrong_derivatives
from sklvyso.curvature._problem import Problem, errors, log_probabilities
from sklvyso.curvature._trace import check_symmetric

# Bytes of the graphs of all batches that an operator keeps between products.
_GRAPH_BYTES = 2**31

# From the parts of a vector to the parts of its product, for one batch.
Product = Callable[[list[Tensor]], Sequence[Tensor]]


class CurvatureOperator(LinearOperator):
    """A symmetric matrix of second derivatives, known by its products with vectors.

    Parameters
    ----------
    module, X, y, params, temperature, batch_size, reduction
        As for :class:`HessianOperator`.
    """

    def __init__(
        self,
        module: nn.Module,
        X: Any,
        y: Any,
        *,
        params: str | Sequence[str] | None = None,
        temperature: float = 1.0,
        batch_size: int | None = None,
        reduction: str = "mean",
    ):
        with torch.inference_mode(False), torch.enable_grad():
            self._start(
                Problem(
                    module,
                    X,
                    y,
                    params=params,
                    temperature=temperature,
                    batch_size=batch_size,
                    reduction=reduction,
                )
            )

    @property
    def parameter_names(self) -> list[str]:
        """Parameters in the order of the rows of the matrix."""
        return list(self.problem.names)

    @property
    def parameter_slices(self) -> dict[str, slice]:
        """Rows and columns of each parameter."""
        slices, start = {}, 0
        for name, tensor in zip(self.problem.names, self.problem.tensors, strict=True):
            slices[name] = slice(start, start + tensor.numel())
            start += tensor.numel()
        return slices

    def to_dense(self) -> np.ndarray:
        """Return the matrix, symmetrised, shape (P, P), in the type of the module.

        Returns
        -------
        matrix : ndarray of shape (P, P)
            By P products: meant for a few thousand parameters.
        """
        dense = self.matmat(np.eye(self.shape[0], dtype=self.dtype))
        # What is not symmetric is a second derivative that torch gets wrong.
        check_symmetric(abs(dense - dense.T).max(), abs(dense).max())
        return (dense + dense.T) / 2

    def block(self, params: str | Sequence[str]) -> CurvatureOperator:
        """Return the diagonal block of some parameters.

        Parameters
        ----------
        params : str or sequence of str
            Names of parameters, or of modules for all of theirs.

        Returns
        -------
        operator : CurvatureOperator
            Of the same kind, at the same weights.
        """
        other = object.__new__(type(self))
        other._start(self.problem.subset(params))
        return other

    def _start(self, problem: Problem) -> None:
        self.problem = problem
        n = problem.n_parameters
        dtype = np.float64 if problem.dtype == torch.float64 else np.float32
        LinearOperator.__init__(self, dtype=np.dtype(dtype), shape=(n, n))
        self._kept: list[Product] | None = None

    def exact_trace_by_parameter(self) -> dict[str, float]:
        """Return the exact trace, split by parameter, without probe vectors.

        Returns
        -------
        traces : dict of str to float
            They add up to the trace.

        Raises
        ------
        ValueError
            If no exact formula is proved to apply; the message says why.
        """
        raise NotImplementedError

    def exact_trace(self) -> float:
        """Return the exact trace without probe vectors.

        Returns
        -------
        trace : float
            To rounding.

        Raises
        ------
        ValueError
            If no exact formula is proved to apply; the message says why.
        """
        with torch.inference_mode(False), torch.enable_grad():
            return float(sum(self.exact_trace_by_parameter().values()))

    def exact_frobenius_norm(self) -> float:
        """Return the exact Frobenius norm without probe vectors.

        Returns
        -------
        norm : float
            To rounding.

        Raises
        ------
        ValueError
            Unless this is the Gauss-Newton part of few rows and outputs.
        """
        raise ValueError(
            "operator must be the Gauss-Newton part for an exact Frobenius norm. Got "
            f"a {type(self).__name__}."
        )

    def _refuse_unless_piecewise_linear(self) -> None:
        reason = _exact.why_not_exact(self.problem)
        if reason is not None:
            raise ValueError(
                "The trace has an exact formula where logits are linear in pieces in "
                f"each parameter tensor, which is not proved here: {reason}. Use "
                "method='hutchinson', or 'auto'."
            )

    # -- products -----------------------------------------------------------------

    def _matvec(self, x):
        x = np.asarray(x).reshape(-1)
        if np.iscomplexobj(x):
            return self._matvec(x.real) + 1j * self._matvec(x.imag)
        with torch.inference_mode(False), torch.enable_grad():
            parts = self.problem.split(x)
            total = self.problem.zeros()
            for product in self._products():
                total = [a + b for a, b in zip(total, product(parts), strict=True)]
        return self.problem.join(total)

    def _matmat(self, X):
        if np.iscomplexobj(X):
            return self._matmat(X.real) + 1j * self._matmat(X.imag)
        # Columns in one piece: apart they cost as much as a product to read.
        rows = np.ascontiguousarray(np.asarray(X, dtype=self.dtype).T)
        images = [self._matvec(row) for row in rows]
        return np.stack(images).T if images else np.zeros_like(X)

    def _adjoint(self):
        return self

    def _transpose(self):
        return self

    def _products(self) -> Iterator[Product]:
        """Yield the product of each batch; their graphs are kept if they fit."""
        if self._kept is not None:
            yield from self._kept
            return
        chunks = list(self.problem.chunks())
        keeps = self._bytes_of_graph(*chunks[0]) * len(chunks) <= _GRAPH_BYTES
        kept = []
        for X, y in chunks:
            product = self._batch_product(X, y)
            if keeps:
                kept.append(product)
            yield product
        if keeps:
            self._kept = kept

    def _bytes_of_graph(self, X: Tensor, y: Tensor) -> int:
        """Return what the graph of a batch takes; the graph is thrown away."""
        sizes: dict[int, int] = {}

        def pack(tensor):
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()  # no cycle that nobody frees

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            self._batch_product(X, y)
        return sum(sizes.values())

    def _batch_product(self, X: Tensor, y: Tensor) -> Product:
        raise NotImplementedError

    def __getstate__(self):
        state = dict(self.__dict__)
        state["_kept"] = None  # graphs do not travel
        return state


class HessianOperator(CurvatureOperator):
    """Hessian of the mean cross-entropy, by its products with vectors.

    ``H = d^2 L / d theta^2`` with ``L = mean_i CE(f(x_i) / T, y_i)`` in evaluation
    mode. A SciPy :class:`~scipy.sparse.linalg.LinearOperator`: ``operator @ v``,
    ``operator @ V``, ``eigsh(operator)``.

    - ``to_dense()`` is the matrix, ``block(params)`` the block of some parameters,
      ``exact_trace()`` and ``exact_trace_by_parameter()`` need no random vectors.
    - The weights are copied when the operator is made; the module is left as it was:
      weights, ``grad``, modes, random numbers.
    - The graph of the gradient is built once and kept while it fits (2 GB); otherwise
      it is built anew, batch by batch, for each product.

    .. versionadded:: 0.1

    Parameters
    ----------
    module : torch.nn.Module
        Gives logits of shape (n, K); parameters float32 or float64.
    X : array-like or tensor of shape (n, ...)
        Rows in the layout of the module.
    y : array-like of int of shape (n,)
        Outputs, 0 to K - 1; a class may be absent.
    params : str or sequence of str, default=None
        Names of parameters, or of modules for all of theirs; None for all that require
        a gradient. The order is that of ``module.named_parameters()``.
    temperature : float, default=1.0
        T, divides the logits; > 0.
    batch_size : int, default=None
        Rows of one graph; None for 512. The result does not depend on it but for
        rounding.
    reduction : {"mean", "sum"}, default="mean"
        Over rows.

    Attributes
    ----------
    shape : tuple of int
        (P, P), P the number of parameters.
    dtype : numpy.dtype
        float32 or float64, that of the module.
    parameter_names : list of str
        In the order of the rows.
    parameter_slices : dict of str to slice
        Rows of each parameter.

    Raises
    ------
    TypeError
        If ``module`` is none.
    ValueError
        If data or parameters are not valid, or logits are not finite.

    See Also
    --------
    GaussNewtonOperator : The part that is positive semi-definite.
    ResidualOperator : The other part.
    trace, frobenius_norm, eigenvalues, spectral_density : What to do with it.

    Notes
    -----
    Where a pre-activation of ReLU is exactly 0, autograd's one-sided derivative counts.

    References
    ----------
    .. [1] Pearlmutter, "Fast Exact Multiplication by the Hessian", Neural Computation
       6(1), 1994.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklvyso.curvature import HessianOperator
    >>> net = torch.nn.Linear(2, 3, dtype=torch.float64)
    >>> X, y = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([0, 2])
    >>> operator = HessianOperator(net, X, y)
    >>> operator.shape, (operator @ np.zeros(9)).sum().item()
    ((9, 9), 0.0)
    """

    def exact_trace_by_parameter(self) -> dict[str, float]:
        """Return the exact trace, split by parameter, without probe vectors.

        That of the Gauss-Newton part, where the rest is proved to have none: where
        logits are linear in pieces in each parameter tensor.

        Returns
        -------
        traces : dict of str to float
            They add up to the trace.

        Raises
        ------
        ValueError
            If that is not proved (smooth activations, tensors used twice, attention);
            the message says why.
        """
        self._refuse_unless_piecewise_linear()
        return _exact.trace_by_parameter(self.problem)

    def _batch_product(self, X, y):
        problem = self.problem
        logits = problem.logits(X) / problem.temperature
        loss = torch.nn.functional.cross_entropy(logits, y, reduction="sum")
        return _second_derivative(loss * problem.weight, problem.tensors)


class ResidualOperator(CurvatureOperator):
    """Hessian less its Gauss-Newton part, by its products with vectors.

    ``F = mean_i sum_k (p_ik - y_ik) d^2 z_ik / d theta^2`` with ``z = f / T``; computed
    as such, not as a difference. All else is as for :class:`HessianOperator`.

    .. versionadded:: 0.1

    Parameters
    ----------
    module : torch.nn.Module
        Gives logits of shape (n, K); parameters float32 or float64.
    X : array-like or tensor of shape (n, ...)
        Rows in the layout of the module.
    y : array-like of int of shape (n,)
        Outputs, 0 to K - 1.
    params : str or sequence of str, default=None
        Names of parameters or modules.
    temperature : float, default=1.0
        T, divides the logits; > 0.
    batch_size : int, default=None
        Rows of one graph; None for 512.
    reduction : {"mean", "sum"}, default="mean"
        Over rows.

    See Also
    --------
    HessianOperator : The whole.
    GaussNewtonOperator : The other part.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklvyso.curvature import ResidualOperator
    >>> net = torch.nn.Linear(2, 3, dtype=torch.float64)  # linear: there is no rest
    >>> operator = ResidualOperator(net, np.ones((4, 2)), np.zeros(4, dtype=int))
    >>> float(abs(operator @ np.ones(9)).max())
    0.0
    """

    def exact_trace_by_parameter(self) -> dict[str, float]:
        """Return zeros where logits are linear in pieces in each parameter tensor.

        Returns
        -------
        traces : dict of str to float
            All 0.

        Raises
        ------
        ValueError
            If that is not proved; the message says why.
        """
        self._refuse_unless_piecewise_linear()
        return dict.fromkeys(self.problem.names, 0.0)

    def _batch_product(self, X, y):
        problem = self.problem
        logits = problem.logits(X)
        log_proba = log_probabilities(logits, problem.temperature)
        slopes = errors(log_proba, y) * (problem.weight / problem.temperature)
        return _second_derivative(
            (logits * slopes.to(logits.dtype)).sum(), problem.tensors
        )


class GaussNewtonOperator(CurvatureOperator):
    """Gauss-Newton part of the Hessian, by its products with vectors.

    ``G = mean_i J_i^T S_i J_i`` with ``J = d z / d theta``, ``z = f / T`` and
    ``S = diag(p) - p p^T``: positive semi-definite, and the Fisher information of the
    cross-entropy. All else is as for :class:`HessianOperator`.

    .. versionadded:: 0.1

    Parameters
    ----------
    module : torch.nn.Module
        Gives logits of shape (n, K); parameters float32 or float64.
    X : array-like or tensor of shape (n, ...)
        Rows in the layout of the module.
    y : array-like of int of shape (n,)
        Outputs, 0 to K - 1; G does not depend on them.
    params : str or sequence of str, default=None
        Names of parameters or modules.
    temperature : float, default=1.0
        T, divides the logits; > 0.
    batch_size : int, default=None
        Rows of one graph; None for 512.
    reduction : {"mean", "sum"}, default="mean"
        Over rows.

    See Also
    --------
    HessianOperator : The whole.
    ResidualOperator : The other part.

    Notes
    -----
    Products with S are centred on both sides (``v = u - p.u``, ``w = p v``,
    ``S u = w - p sum(w)``): with a saturated softmax nothing cancels.

    References
    ----------
    .. [1] Schraudolph, "Fast Curvature Matrix-Vector Products for Second-Order Gradient
       Descent", Neural Computation 14(7), 2002.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklvyso.curvature import GaussNewtonOperator
    >>> net = torch.nn.Linear(2, 3, dtype=torch.float64)
    >>> operator = GaussNewtonOperator(net, np.ones((4, 2)), np.zeros(4, dtype=int))
    >>> bool(np.linalg.eigvalsh(operator.to_dense()).min() > -1e-15)
    True
    """

    def exact_trace_by_parameter(self) -> dict[str, float]:
        """Return the exact trace, split by parameter, for any module.

        Returns
        -------
        traces : dict of str to float
            They add up to ``mean_i sum_k p_ik ||d z_ik - sum_l p_il d z_il||^2``; layer
            by layer in closed form where there is one.

        Raises
        ------
        ValueError
            If the logits of a row depend on the rest of its batch.
        """
        return _exact.trace_by_parameter(self.problem)

    def exact_frobenius_norm(self) -> float:
        """Return the exact Frobenius norm by the Gram matrix of rows and outputs.

        Returns
        -------
        norm : float
            To rounding.

        Raises
        ------
        ValueError
            If rows times outputs are more than 6,000, or layers are not linear and the
            Jacobian would take more than 1 GB.
        """
        with torch.inference_mode(False), torch.enable_grad():
            return _exact.frobenius_norm(self.problem)

    def _batch_product(self, X, y):
        problem = self.problem
        tensors = problem.tensors
        logits = problem.logits(X)
        proba = log_probabilities(logits, problem.temperature).exp()
        scale = problem.weight / problem.temperature**2
        # Linear in the probe, so that its derivative along v is J v.
        probe = torch.zeros_like(logits, requires_grad=True)
        pulled = _gradients(logits, tensors, probe, create_graph=True)

        def product(parts):
            along = torch.stack(
                [(a * b).sum() for a, b in zip(pulled, parts, strict=True)]
            ).sum()
            (pushed,) = torch.autograd.grad(
                along, probe, retain_graph=True, materialize_grads=True
            )
            centred = pushed.double()
            centred = centred - (proba * centred).sum(1, keepdim=True)
            weighted = proba * centred
            weighted = weighted - proba * weighted.sum(1, keepdim=True)
            weighted = (weighted * scale).to(logits.dtype)
            return _gradients(logits, tensors, weighted, create_graph=False)

        return product


def _gradients(
    outputs: Tensor, tensors: Sequence[Tensor], along: Tensor | None, *, create_graph
) -> tuple[Tensor, ...]:
    """Return derivatives by parameters; zeros where there is no dependence."""
    return torch.autograd.grad(
        outputs,
        tensors,
        along,
        create_graph=create_graph,
        retain_graph=True,
        materialize_grads=True,
    )


def _second_derivative(value: Tensor, tensors: Sequence[Tensor]) -> Product:
    """Return products with the Hessian of a number; the graph of its gradient stays."""
    refuse_wrong_derivatives(value)
    gradients = _gradients(value, tensors, None, create_graph=True)
    # Zeros of parameters without influence are no part of the graph.
    live = [g for g in gradients if g.requires_grad]

    def product(parts):
        if not live:
            return [torch.zeros_like(tensor) for tensor in tensors]
        directions = [
            part for part, g in zip(parts, gradients, strict=True) if g.requires_grad
        ]
        return torch.autograd.grad(
            live,
            tensors,
            directions,
            retain_graph=True,
            materialize_grads=True,
        )

    return product
