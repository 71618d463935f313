"""Estimates of trace, norm, eigenvalues and density, slowly, vector by vector."""

import math

import numpy as np


def metrics(matrix):
    """Return trace, Frobenius norm, curvature and ascending eigenvalues."""
    matrix = np.asarray(matrix, dtype=np.float64)
    values = np.linalg.eigvalsh(matrix)
    total = math.fsum(matrix[i, i] for i in range(len(matrix)))
    norm = math.sqrt(math.fsum(float(x) ** 2 for x in matrix.ravel()))
    return total, norm, (total / norm if norm else math.nan), values


def wanted(values, k, which):
    """Return k eigenvalues in the order in which they are wanted."""
    values = np.sort(values)
    if which == "SA":
        return values[:k]
    keys = values if which == "LA" else abs(values)
    return values[np.argsort(-keys, kind="stable")[:k]]


def xtrace(matrix, vectors):
    """Return the leave-one-out estimates of XTrace, each from its own QR."""
    n, n_vectors = vectors.shape
    estimates = []
    for i in range(n_vectors):
        others = np.delete(vectors, i, axis=1)
        left, sizes, _ = np.linalg.svd(matrix @ others, full_matrices=False)
        basis = left[:, sizes > 1e-12 * max(sizes.max(), 1e-300)]
        outside = vectors[:, i] - basis @ (basis.T @ vectors[:, i])
        squared = outside @ outside
        form = outside @ matrix @ outside
        radius = (n - basis.shape[1]) / squared if squared else 0.0
        estimates.append(np.trace(basis.T @ matrix @ basis) + radius * form)
    return np.array(estimates)


def quadrature(matrix, start, n_steps):
    """Return nodes and weights of plain Lanczos, each vector made orthogonal to all."""
    basis = [start / np.linalg.norm(start)]
    projected = np.zeros((n_steps, n_steps))
    for step in range(n_steps):
        image = matrix @ basis[step]
        for other, vector in enumerate(basis):
            projected[other, step] = projected[step, other] = vector @ image
        for vector in basis + basis:
            image = image - (vector @ image) * vector
        if step + 1 == n_steps:
            break
        basis.append(image / np.linalg.norm(image))
    nodes, vectors = np.linalg.eigh(projected)
    return nodes, vectors[0] ** 2


def jackknife_curvature(forms, squares):
    """Return the ratio of means, bias and error by leaving each probe out."""
    forms, squares = np.asarray(forms), np.asarray(squares)
    m = len(forms)
    whole = forms.mean() / math.sqrt(squares.mean())
    parts = np.array(
        [
            np.delete(forms, i).mean() / math.sqrt(np.delete(squares, i).mean())
            for i in range(m)
        ]
    )
    value = m * whole - (m - 1) * parts.mean()
    error = math.sqrt((m - 1) / m * ((parts - parts.mean()) ** 2).sum())
    return value, error
