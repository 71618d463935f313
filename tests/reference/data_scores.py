"""Scores of rows one row, epoch and window at a time, in float64."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn


def error_norm(proba, label):
    """EL2N of one row."""
    return math.sqrt(sum((p - (k == label)) ** 2 for k, p in enumerate(proba)))


def distance_to_class_mean(Z, y):
    """Return the distance of each row to the mean of the rows with its label."""
    scores = []
    for row, label in zip(Z, y, strict=True):
        members = [z for z, other in zip(Z, y, strict=True) if other == label]
        mean = [
            math.fsum(column) / len(members) for column in zip(*members, strict=True)
        ]
        scores.append(math.dist(row, mean))
    return scores


def forgotten(history):
    """How often one row goes from correct to incorrect; None if never correct."""
    if not any(history):
        return None
    return sum(1 for before, after in pairwise(history) if before and not after)


def mean_window_deviation(history, window):
    """Dynamic uncertainty of one row."""
    deviations = [
        np.std(history[first : first + window], ddof=1)
        for first in range(len(history) - window + 1)
    ]
    return math.fsum(deviations) / len(deviations)


def mean_margin(history, label):
    """Area under the margin of one row, ``history`` being logits of each epoch."""
    margins = []
    for logits in history:
        others = [value for k, value in enumerate(logits) if k != label]
        margins.append(logits[label] - max(others))
    return math.fsum(margins) / len(margins)


def gradient_norms(module, X, y):
    """GraNd of all rows, by an ordinary backward pass a row."""
    module.eval()
    norms = []
    for i, label in enumerate(y):
        module.zero_grad(set_to_none=True)
        logits = module(X[i : i + 1].clone())
        nn.functional.cross_entropy(logits, torch.tensor([int(label)])).backward()
        squares = [
            float((parameter.grad.double() ** 2).sum())
            for parameter in module.parameters()
            if parameter.grad is not None
        ]
        norms.append(math.sqrt(math.fsum(squares)))
    module.zero_grad(set_to_none=True)
    return np.array(norms)
