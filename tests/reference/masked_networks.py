"""Small networks from stored weights, and masks as bits."""

import numpy as np
import torch
from torch import nn


def mlp(weights):
    """Return a bias-free ReLU network with these weights, float64."""
    layers = []
    for values in weights:
        weight = torch.tensor(values, dtype=torch.float64)
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False).double()
        layer.weight.data = weight
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def packed(masks):
    """Return each mask of each impression as packed bits."""
    return [[np.packbits(np.array(mask, dtype=bool)) for mask in one] for one in masks]
