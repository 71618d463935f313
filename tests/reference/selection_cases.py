"""Pools of rows and tables of probabilities for the tests of selection."""

import numpy as np

KINDS = ("normal", "lattice", "clusters", "duplicates", "offset", "heavy tails")


def rows_of(kind, seed, n, d, dtype=np.float64):
    random = np.random.default_rng(seed)
    normal = random.standard_normal((n, d))
    if kind == "lattice":  # full of exact ties
        return random.integers(-1, 2, size=(n, d)).astype(dtype)
    if kind == "clusters":
        normal = 0.1 * normal + 10 * random.standard_normal((5, d))[np.arange(n) % 5]
    if kind == "duplicates":
        normal = normal[random.integers(max(1, n // 3), size=n)]
    if kind == "offset":
        normal += 1e4
    if kind == "heavy tails":
        normal = np.sign(normal) * np.abs(normal) ** 5
    return normal.astype(dtype)


def sparse_rows_of(seed, n, d, dtype=np.float64):
    """Rows of mostly zeros, as counts of words: a dense array."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, d)) * (random.random((n, d)) < 0.2)
    return rows.astype(dtype)


def probabilities(seed, shape, dtype=np.float64, sharpness=2.0):
    logits = sharpness * np.random.default_rng(seed).standard_normal(shape)
    unnormalised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (unnormalised / unnormalised.sum(axis=-1, keepdims=True)).astype(dtype)
