"""Scores and picks of `sklvyso.selection`, one row at a time in plain Python."""

import math

import numpy as np


def least_confidence(proba):
    return [1 - max(map(float, row)) for row in proba]


def margin(proba):
    scores = []
    for row in proba:
        ordered = sorted(map(float, row), reverse=True)
        scores.append(ordered[1] - ordered[0] if len(ordered) > 1 else -ordered[0])
    return scores


def entropy(proba):
    return [-sum(p * math.log(p) for p in map(float, row) if p > 0) for row in proba]


def variation_ratio(votes):
    scores = []
    for i in range(len(votes[0])):
        labels = [member[i] for member in votes]
        commonest = max(labels.count(label) for label in labels)
        scores.append(1 - commonest / len(labels))
    return scores


def bald(proba_samples):
    samples = np.asarray(proba_samples, dtype=np.float64)
    scores = []
    for i in range(samples.shape[1]):
        rows = samples[:, i]
        mean = [sum(column) / len(rows) for column in zip(*rows.tolist(), strict=True)]
        scores.append(entropy([mean])[0] - sum(entropy(rows)) / len(rows))
    return scores


def squared_distance(a, b):
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def k_center(Z, n_select, selected=()):
    """Return (indices, distances) of the plain algorithm; ties to the lowest."""
    rows = np.asarray(Z, dtype=np.float64).tolist()
    n_rows = len(rows)
    chosen = list(selected)
    indices = []
    if not chosen and n_select:
        mean = [sum(column) / n_rows for column in zip(*rows, strict=True)]
        to_mean = [squared_distance(row, mean) for row in rows]
        indices.append(to_mean.index(min(to_mean)))
        chosen.append(indices[0])
    distances = [
        min((squared_distance(row, rows[j]) for j in chosen), default=math.inf)
        for row in rows
    ]
    while len(indices) < n_select:
        free = [i for i in range(n_rows) if i not in chosen]
        best = max(free, key=lambda i: (distances[i], -i))
        chosen.append(best)
        indices.append(best)
        for i in range(n_rows):
            distances[i] = min(distances[i], squared_distance(rows[i], rows[best]))
    return indices, distances


def k_center_passes(Z, n_select, selected=()):
    """Return the same from whole passes over the rows, for more of them."""
    rows = np.asarray(Z, dtype=np.float64)
    distances = np.full(len(rows), np.inf)
    free = np.ones(len(rows), dtype=bool)
    indices = []

    def add(i):
        free[i] = False
        difference = rows - rows[i]
        np.minimum(
            distances, np.einsum("ij,ij->i", difference, difference), out=distances
        )

    for i in selected:
        add(i)
    if not len(selected) and n_select:
        difference = rows - rows.mean(axis=0)
        indices.append(int((difference**2).sum(axis=1).argmin()))
        add(indices[0])
    while len(indices) < n_select:
        indices.append(int(np.where(free, distances, -1).argmax()))
        add(indices[-1])
    return np.array(indices, dtype=int), distances


def top(scores, n_select):
    """Return positions of the highest scores; ties to the lowest."""
    return sorted(range(len(scores)), key=lambda i: (-float(scores[i]), i))[:n_select]


def gradients(Z, proba):
    """Return the gradient of each row's last layer, (n, n_classes * (d + 1))."""
    table = []
    for row, p in zip(np.asarray(Z, float), np.asarray(proba, float), strict=True):
        likeliest = np.zeros(len(p))
        likeliest[p.argmax()] = 1
        table.append(np.outer(p - likeliest, np.append(row, 1)).ravel())
    return np.array(table)


def spread_probabilities(points, first, n_select):
    """Return the probability of each order of choice of k-means++, as a dict."""
    orders = {(first,): 1.0}
    for _ in range(n_select - 1):
        longer = {}
        for order, probability in orders.items():
            weights = [
                min(squared_distance(point, points[j]) for j in order)
                for point in points
            ]
            for i, weight in enumerate(weights):
                if weight:
                    longer[*order, i] = probability * weight / sum(weights)
        orders = longer
    return orders


def neighbor_distances(Z, members, n_neighbors):
    """Return the mean distance of each member to its nearest others."""
    means = []
    for i in members:
        others = [math.sqrt(squared_distance(Z[i], Z[j])) for j in members if j != i]
        nearest = sorted(others)[:n_neighbors]
        means.append(sum(nearest) / len(nearest) if nearest else 0.0)
    return means


def best_of_each(labels, scores, n_select):
    """Return the best row of each cluster, then the best others, all by score."""
    order = top(scores, len(scores))
    best = {}
    for i in order:
        best.setdefault(labels[i], i)
    chosen = set(best.values())
    others = [i for i in order if i not in chosen]
    chosen |= set(others[: n_select - len(chosen)])
    return [i for i in order if i in chosen]
