"""Lanczos with full reorthogonalisation, restarts and a search for missed copies.

Wu, Simon, "Thick-Restart Lanczos Method for Large Symmetric Eigenvalue Problems", SIAM
J. Matrix Anal. Appl. 22(2), 2000.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator

from sklvyso.curvature._trace import check_symmetric, products

# What a residual of rounding alone amounts to, relative to the largest product.
BREAKDOWN = 100 * np.finfo(np.float64).eps
# Memory for the basis; 2 k + EXTRA_ROWS vectors are kept in any case.
BASIS_BYTES = 2**30
EXTRA_ROWS = 50
# Products that are spent at most on one search for missed copies, or half of those
# before where that is more.
SEARCH_STEPS = 20

# What has to be large for an eigenvalue to be wanted.
ORDERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "LA": lambda values: values,
    "SA": lambda values: -values,
    "LM": abs,
}


class KrylovBasis:
    """Orthonormal V that grows by a product at a time, with ``A V = V H + B C``.

    B holds the vectors to multiply next, orthonormal and orthogonal to V: one for each
    chain, that is for each random vector that was started from and has not yet led to
    an invariant subspace. The eigenpairs (w, s) of H give Ritz pairs (w, V s) of A with
    residual norm ``||C s||``, for plain chains, several chains and after restarts. H
    and C are those of A over ``unit``, so that squares do not underflow. V is stored in
    the precision of the operator, B in double.

    Parameters
    ----------
    operator : LinearOperator of shape (P, P)
        Real and symmetric.
    capacity : int
        Columns of V at most.
    random : RandomState
        Draws the vectors that chains start from.
    """

    def __init__(
        self, operator: LinearOperator, capacity: int, random: np.random.RandomState
    ):
        self.operator = operator
        self.capacity = min(capacity, operator.shape[0])
        self.random = random
        self.size = 0
        self.n_products = 0
        self.unit = 1.0  # a power of two, about the size of the first product
        self.scale = 0.0  # of the products so far, at most ||A|| / unit
        # What single precision multiplies need not be orthogonal beyond it; reading V
        # costs about as much as a product.
        is_single = operator.dtype in (np.float16, np.float32)
        self.dtype = np.float32 if is_single else np.float64
        rows = min(self.capacity, 32)
        self.vectors = np.empty((rows, operator.shape[0]), self.dtype)  # V'
        self.projected = np.zeros((self.capacity, self.capacity))  # H
        self.boundary: list[np.ndarray] = []  # columns of B
        self.coupling: list[np.ndarray] = []  # rows of C
        self.first_rows: list[int] = []  # of V, where each chain starts; -1: lost

    @property
    def is_complete(self) -> bool:
        """Whether V spans the whole space."""
        return self.size == self.operator.shape[0]

    def start(self, vector: np.ndarray | None = None) -> None:
        """Begin a chain with a vector, by default a random one outside V and B."""
        if self.size + len(self.boundary) == self.operator.shape[0]:
            return
        if vector is None:
            vector = self.random.standard_normal(self.operator.shape[0])
        vector = vector / np.linalg.norm(vector)
        self._orthogonalize(vector)
        self.boundary.append(vector / np.linalg.norm(vector))
        self.coupling.append(np.zeros(self.capacity))
        self.first_rows.append(self.size)

    def mix(self) -> None:
        """Give the newest chain an equal part of all of B, by a reflection of B.

        So it searches all that is outside of V, and takes the other chains on.
        """
        n_chains = len(self.boundary)
        if n_chains < 2:
            return
        normal = np.full(n_chains, -1 / np.sqrt(n_chains))
        normal[-1] += 1.0
        reflection = np.eye(n_chains) - 2 * np.outer(normal, normal) / (normal @ normal)
        self.boundary = list(reflection @ np.array(self.boundary))
        self.coupling = list(reflection @ np.array(self.coupling))

    def expand(self, chain: int) -> bool:
        """Move the boundary vector of a chain to V; return whether the chain goes on.

        V must be below its capacity.
        """
        row = self.size
        vector, known = self.boundary.pop(chain), self.coupling.pop(chain)
        first = self.first_rows.pop(chain)
        image = self._multiply(vector)
        self.scale = max(self.scale, float(np.linalg.norm(image)))
        # What must come out, in few operations: what is left to remove is rounding.
        used = np.flatnonzero(known[:row])
        image -= self._along(known[used], self.vectors[used])
        middle = vector @ image
        image -= middle * vector
        self._append(vector)
        inside, across = self._orthogonalize(image)
        check_symmetric(abs(inside[:row]).max(initial=0.0), self.scale)
        self.projected[row, :row] = self.projected[:row, row] = known[:row]
        self.projected[row, row] = middle + inside[row]
        for coupling, amount in zip(self.coupling, across, strict=True):
            coupling[row] = amount
        length = np.linalg.norm(image)
        has_room = self.size + len(self.boundary) < self.operator.shape[0]
        if length <= BREAKDOWN * self.scale or not has_room:
            return False
        self.boundary.insert(chain, image / length)
        self.coupling.insert(chain, np.zeros(self.capacity))
        self.coupling[chain][row] = length
        self.first_rows.insert(chain, first)
        return True

    def ritz(self, start: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return values, vectors in V and residual norms, of V from a column on."""
        part = slice(start, self.size)
        values, weights = np.linalg.eigh(self.projected[part, part])
        if not self.coupling:
            return values, weights, np.zeros(len(values))
        coupling = np.array(self.coupling)[:, part]
        return values, weights, np.linalg.norm(coupling @ weights, axis=0)

    def compress(self, values: np.ndarray, weights: np.ndarray) -> None:
        """Keep only some Ritz pairs: a thick restart."""
        n_kept = len(values)
        for start in range(0, self.vectors.shape[1], 2**14):
            columns = slice(start, start + 2**14)
            block = self._along(weights.T, self.vectors[: self.size, columns])
            self.vectors[:n_kept, columns] = block
        for coupling in self.coupling:
            coupling[:n_kept] = coupling[: self.size] @ weights
            coupling[n_kept:] = 0.0
        self.projected[:] = 0.0
        self.projected[range(n_kept), range(n_kept)] = values
        self.size = n_kept
        self.first_rows = [-1] * len(self.boundary)

    def combine(self, weights: np.ndarray) -> np.ndarray:
        """Return V times weights, shape (P, n)."""
        return self._along(weights.T, self.vectors[: self.size]).T.astype(np.float64)

    def _along(self, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
        # NumPy would copy rows in single precision to multiply in double.
        return weights.astype(self.dtype, copy=False) @ rows

    def _multiply(self, vector: np.ndarray) -> np.ndarray:
        image = products(self.operator, vector[:, None])[:, 0]
        if not self.n_products:
            exponent = np.frexp(abs(image).max())[1]
            self.unit = float(np.ldexp(1.0, np.clip(exponent, -1000, 1000)))
        self.n_products += 1
        image /= self.unit
        return image

    def _append(self, vector: np.ndarray) -> None:
        if self.size == len(self.vectors):
            rows = min(2 * self.size, self.capacity)
            grown = np.empty((rows, self.vectors.shape[1]), self.dtype)
            grown[: self.size] = self.vectors
            self.vectors = grown
        self.vectors[self.size] = vector
        self.size += 1

    def _orthogonalize(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take V and B out of a vector, in place; return the parts along them.

        As often as a pass takes out much of what was left; three times are enough.
        """
        basis = self.vectors[: self.size]
        inside, across = np.zeros(self.size), np.zeros(len(self.boundary))
        length = np.linalg.norm(vector)
        for _ in range(3):
            part = basis @ vector.astype(self.dtype, copy=False)
            vector -= part @ basis
            inside += part
            for index, other in enumerate(self.boundary):
                amount = other @ vector
                vector -= amount * other
                across[index] += amount
            before, length = length, np.linalg.norm(vector)
            if length > 0.7 * before:
                break
        return inside, across


class LeadingPairs(NamedTuple):
    """The wanted Ritz pairs, best first."""

    values: np.ndarray  # (k,)
    residuals: np.ndarray  # (k,)
    is_converged: np.ndarray  # (k,)
    chain: int | None  # which to grow; None if nothing else may turn out better
    weights: np.ndarray  # (size, k), the vectors in the basis
    basis: KrylovBasis

    def vectors(self) -> np.ndarray:
        """Return the Ritz vectors, shape (P, k)."""
        return self.basis.combine(self.weights)

    def in_full_units(self) -> "LeadingPairs":
        """Return the same with values and residuals of A, no longer of A over unit."""
        return self._replace(
            values=self.values * self.basis.unit,
            residuals=self.residuals * self.basis.unit,
        )


def leading_pairs(
    operator: LinearOperator,
    k: int,
    which: str,
    *,
    tol: float,
    max_steps: int,
    random: np.random.RandomState,
    check_copies: bool = True,
) -> LeadingPairs:
    """Return k extreme Ritz pairs after at most ``max(k, max_steps)`` products.

    Parameters
    ----------
    operator : LinearOperator of shape (P, P)
        Real and symmetric.
    k : int
        From 1 to P.
    which : {"LA", "SA", "LM"}
        Algebraically largest, smallest, or largest in magnitude.
    tol : float
        A pair has converged with a residual of at most ``tol`` times the largest
        magnitude of the k, or of the size of rounding.
    max_steps : int
        Products at most.
    random : RandomState
        Draws starting vectors.
    check_copies : bool, default=True
        Whether to search for copies of multiple eigenvalues. For k = 1 there is no
        need.

    Returns
    -------
    pairs : LeadingPairs
        Values descending, ascending for ``"SA"``, by magnitude for ``"LM"``.

    Notes
    -----
    The space of one vector holds one copy of an eigenvalue only, and its Ritz values
    converge without a sign that a copy is missing. So another random vector, outside
    that space, is multiplied a few times, until Chebyshev's bound says that a copy
    would have shown, or half as often as the first. If one does, both spaces grow on.
    """
    max_steps = max(k, max_steps)
    capacity = max(BASIS_BYTES // (8 * operator.shape[0]), 2 * k + EXTRA_ROWS)
    basis = KrylovBasis(operator, min(capacity, max_steps), random)
    first = -1  # row of V where the last search starts
    while True:
        pairs = _grow(basis, k, which, tol, max_steps)
        is_done = pairs.chain is not None or basis.is_complete
        if is_done or k == 1 or not check_copies:
            return pairs.in_full_units()
        n_steps = max(SEARCH_STEPS, basis.n_products // 2)
        if basis.size + n_steps > basis.capacity < operator.shape[0]:
            pairs = _restart(basis, k, which, tol)
        last = min(basis.capacity, basis.size + n_steps)
        last = min(last, basis.size + max_steps - basis.n_products)
        # What a search found may not be all that its vector leads to.
        goes_on = first >= 0 and basis.first_rows[-1:] == [first]
        if goes_on and _finds_more(basis, pairs, first, last, which, tol):
            continue
        first = basis.size
        basis.start()
        basis.mix()
        if not _finds_more(basis, pairs, first, last, which, tol):
            # V has grown, but the pairs are combinations of its first columns.
            rows = basis.size - len(pairs.weights)
            weights = np.pad(pairs.weights, ((0, rows), (0, 0)))
            return pairs._replace(weights=weights).in_full_units()


def _grow(basis, k, which, tol, max_steps) -> LeadingPairs:
    """Multiply until the wanted pairs converge or the products are spent."""
    chain, next_check, n_rows = 0, k, basis.operator.shape[0]
    while True:
        is_spent = basis.n_products >= max_steps or basis.is_complete
        if basis.size >= k and (basis.size >= next_check or is_spent):
            pairs = _wanted(basis, k, which, tol)
            # With the space almost full no search has room, but its rest costs little.
            is_full = n_rows - SEARCH_STEPS <= basis.size < basis.capacity == n_rows
            if is_spent or (pairs.chain is None and not is_full):
                return pairs
            chain = pairs.chain or 0
            next_check = basis.size + max(1, basis.size // 20)
        if basis.size == basis.capacity:
            _restart(basis, k, which, tol)
            next_check = basis.size + 1
        if not basis.boundary:
            basis.start()
        if not basis.expand(chain):
            chain = 0


def _wanted(basis, k, which, tol) -> LeadingPairs:
    """Return the best pairs of the basis as it is."""
    values, weights, residuals = basis.ritz()
    keys = ORDERS[which](values)
    best = np.argsort(-keys, kind="stable")[:k]
    is_single = basis.operator.dtype in (np.float16, np.float32)
    precision = np.finfo(np.float32 if is_single else np.float64).eps
    bar = max(tol * abs(values[best]).max(), 10 * precision * basis.scale)
    # What may still turn out to be an eigenvalue better than the last of the best.
    is_open = keys + residuals > keys[best[-1]] + bar
    is_open[best] = residuals[best] > bar
    return LeadingPairs(
        values[best],
        residuals[best],
        ~is_open[best],
        _chain_to_grow(basis, weights[:, is_open]),
        weights[:, best],
        basis,
    )


def _chain_to_grow(basis, open_weights) -> int | None:
    """Return the chain that holds most of the residuals of open pairs.

    None if no pair is open.
    """
    if not open_weights.shape[1]:
        return None
    coupling = np.array(basis.coupling)[:, : basis.size]
    return int(np.linalg.norm(coupling @ open_weights, axis=1).argmax())


def _restart(basis, k, which, tol) -> LeadingPairs:
    """Keep the wanted pairs and as many of the next best; return the wanted ones."""
    values, weights, _ = basis.ritz()
    n_kept = min(k + max(k, 10), basis.size)
    best = np.argsort(-ORDERS[which](values), kind="stable")[:n_kept]
    basis.compress(values[best], weights[:, best])
    return _wanted(basis, k, which, tol)


def _finds_more(basis, pairs, first, last, which, tol) -> bool:
    """Search with the newest chain for eigenvalues that belong to the wanted ones.

    The chain starts in row ``first`` of V, and ``last`` bounds the size of V. Those
    wanted that it has led to before are known.
    """
    order, n_rows = ORDERS[which], basis.operator.shape[0]
    least = order(pairs.values).min()
    slack = tol * abs(pairs.values).max() + BREAKDOWN * basis.scale
    before = order(basis.ritz(first)[0])
    n_own = (before >= least - slack).sum()  # steps of the newest chain, and as many
    while True:
        values, weights, residuals = basis.ritz(first)
        keys = order(values)
        if (keys > least + slack).sum() > (before > least + slack).sum():
            return True
        if not basis.boundary or basis.size >= last:
            return False
        newest = chain = len(basis.boundary) - 1
        rest = np.flatnonzero(keys < least - slack)
        if len(rest):
            best = rest[(keys + residuals)[rest].argmax()]
            edge = keys[best] + residuals[best]
            low = -edge if which == "LM" else keys.min()
            n_steps = n_own - (len(keys) - len(rest))  # the others took one each
            if n_steps >= _steps_to_show(least, low, edge, n_rows):
                return False
            coupling = np.array(basis.coupling)[:, first : basis.size]
            chain = int(abs(coupling @ weights[:, best]).argmax())
        basis.expand(chain)
        n_own += chain == newest


def _steps_to_show(wanted: float, low: float, edge: float, n_rows: int) -> float:
    """Return after how many steps an eigenvalue above [low, edge] has shown.

    A random vector has a share of about ``1 / sqrt(P)`` in it, which s steps multiply
    by ``T_{s-1}(1 + 2 (wanted - edge) / (edge - low))``; 100 times more for bad luck.
    """
    if wanted <= edge or edge <= low:
        return np.inf
    gap = (wanted - edge) / (edge - low)
    return float(1 + np.arccosh(100 * np.sqrt(n_rows)) / np.arccosh(1 + 2 * gap))
