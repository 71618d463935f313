"""Slow, obviously right forms of what the frame featurizers compute."""

import numpy as np
from sklearn.base import clone


def grid_laplacian_matrix(height, width):
    """Dense Laplacian D - A of the 4-neighbour grid."""
    n = height * width
    matrix = np.zeros((n, n))
    for i in range(height):
        for j in range(width):
            for k, m in ((i + 1, j), (i, j + 1)):
                if k < height and m < width:
                    a, b = i * width + j, k * width + m
                    matrix[a, a] += 1
                    matrix[b, b] += 1
                    matrix[a, b] -= 1
                    matrix[b, a] -= 1
    return matrix


def channel_anomaly(planes, normalize, center):
    """Evaluate c^T L c at each pixel with the matrix of the channel graph."""
    mean = planes.reshape(3, -1).mean(axis=1)
    alpha = mean.mean()
    weights = np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            if a != b:
                weights[a, b] = 1 / (1 + ((mean[a] - mean[b]) / alpha) ** 2)
    degree = np.diag(weights.sum(axis=1))
    laplacian = degree - weights
    if normalize:
        root = np.diag(1 / np.sqrt(np.diag(degree)))
        laplacian = root @ laplacian @ root
    out = np.zeros(planes.shape[1:])
    for i, j in np.ndindex(*out.shape):
        color = planes[:, i, j] - (mean if center else 0)
        out[i, j] = color @ laplacian @ color
    return out


def area_mean(plane, shape):
    """Average over cells, by integrating the piecewise constant plane."""
    height, width = plane.shape
    sides = int(np.lcm(height, shape[0])), int(np.lcm(width, shape[1]))
    fine = plane.repeat(sides[0] // height, axis=0).repeat(sides[1] // width, axis=1)
    cells = fine.reshape(shape[0], sides[0] // shape[0], shape[1], -1)
    return cells.mean(axis=(1, 3))


def centred_log_spectrum(plane, eps):
    """Whole centred plane by the complex transform."""
    return 20 * np.log(np.abs(np.fft.fftshift(np.fft.fft2(plane))) + eps)


def weighted_grid_laplacian(planes):
    """Dense normalised Laplacian of the pixel grid with weights from colours."""
    height, width = planes.shape[1:]
    n = height * width
    pixels = planes.reshape(len(planes), n).T
    edges = [(i, i + 1) for i in range(n) if (i + 1) % width]
    edges += [(i, i + width) for i in range(n - width)]
    distances = [np.sqrt(np.mean((pixels[i] - pixels[j]) ** 2)) for i, j in edges]
    scale = (np.mean(distances) if edges else 0) + 1
    weights = np.zeros((n, n))
    for (i, j), distance in zip(edges, distances, strict=True):
        weights[i, j] = weights[j, i] = np.exp(-(distance**2) / (2 * scale**2))
    roots = 1 / np.sqrt(np.maximum(weights.sum(axis=1), 1e-12))
    return np.eye(n) - roots[:, None] * weights * roots


def consistent_columns(Z, is_positive, is_normal, groups):
    """Columns by mean less half deviation, over games, of pairwise comparisons."""
    scores = []
    for column in Z.T:
        areas = []
        for game in np.unique(groups):
            own = column[is_positive & (groups == game)]
            normal = column[is_normal & (groups == game)]
            if len(own) and len(normal):
                wins = [(a > b) + (a == b) / 2 for a in own for b in normal]
                areas.append(np.mean(wins) - 0.5)
        scores.append(abs(np.mean(areas)) - np.std(areas) / 2)
    return sorted(range(Z.shape[1]), key=lambda j: -scores[j])


def out_of_fold(jobs, folds, weight):
    """Fit a clone of each expert on each training part, one after another."""
    probabilities = np.zeros((len(jobs[0][1]), len(jobs)))
    for k, (expert, Z, y) in enumerate(jobs):
        for train, test in folds:
            fitted = clone(expert)
            options = {}
            if weight is not None:
                name = "sample_weight"
                if hasattr(fitted, "steps"):
                    name = f"{fitted.steps[-1][0]}__{name}"
                options = {name: weight[train]}
            fitted.fit(Z[train], y[train], **options)
            probabilities[test, k] = fitted.predict_proba(Z[test])[:, 1]
    return probabilities


def pair_statistics(frame, previous):
    """Differences of two frames, line by line."""
    difference = np.abs(frame.astype(float) - previous).max(axis=0)
    values = {}
    for axis, lines in (("rows", difference), ("columns", difference.T)):
        profile = [line.mean() for line in lines]
        n = len(profile)
        still = 0
        while still < n and profile[still] <= 0.25:
            still += 1
        margin = max(1, n // 20)
        splits = range(margin, n - margin + 1) if n > 2 * margin else range(1, n)
        ratios = [
            np.log((np.mean(profile[k:]) + 0.5) / (np.mean(profile[:k]) + 0.5))
            for k in splits
        ]
        steps = [abs(profile[k + 1] - profile[k]) for k in range(n - 1)]
        values |= {
            f"pair_{axis}_still": still / n,
            f"pair_{axis}_rest": np.log1p(np.mean(profile[still:] or [0])),
            f"pair_{axis}_split": max([0, *ratios]),
            f"pair_{axis}_split_back": max([0, *(-r for r in ratios)]),
            f"pair_{axis}_edge": np.log1p(max(steps)),
        }
    values["pair_equal"] = np.mean(difference == 0)
    values["pair_difference"] = np.log1p(difference.mean())
    return values
