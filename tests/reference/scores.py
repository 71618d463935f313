"""Scores of weights, slowly: one row, one weight, one full sort at a time."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

FOLDER = Path(__file__).parents[1] / "data" / "effective_sparsity"
TINY = json.loads((FOLDER / "tiny.json").read_text())


def golden():
    """Return the stored arrays: weights, data, scores, masks."""
    with np.load(FOLDER / "tiny.npz") as stored:
        return {name: stored[name] for name in stored.files if "brute" not in name}


def tiny_network(net, arrays):
    """Build a stored network in float64, without biases."""
    layers, n_weights = [], 0
    for kind, *sizes in TINY[net]["layers"]:
        if kind == "pool":
            layers.append(nn.AvgPool2d(2))
        elif kind == "flat":
            layers.append(nn.Flatten())
        else:
            weight = torch.from_numpy(arrays[f"{net}|weight|{n_weights}"])
            n_weights += 1
            if kind == "conv":
                layer = nn.Conv2d(*sizes[:3], padding=sizes[3], bias=False)
            else:
                layer = nn.Linear(*sizes, bias=False)
            layer.weight.data = weight.clone()
            layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double()


def tiny_data(net, arrays):
    """Return the stored rows in float64 and their output indices."""
    return arrays[f"{net}|X"].astype(np.float64), arrays[f"{net}|y"]


def swapped_cross_entropy(logits, y):
    """Return the loss of the paper's code, whose arguments are in the other order."""
    target = nn.functional.one_hot(y, logits.shape[1]).to(logits)
    return -(logits.softmax(1) * target.clip(1e-7, 1 - 1e-7).log()).sum(1)


class LinearTwin:
    """Plain nn.Sequential without activations, norms and biases; average pooling."""

    def __init__(self, network, input_shape):
        kept = (nn.Conv2d, nn.Linear, nn.Flatten, nn.AvgPool2d, nn.MaxPool2d)
        self.layers = [(n, x) for n, x in network.named_children() if type(x) in kept]
        self.input_shape = input_shape

    def total(self, weights):
        x = torch.ones(1, *self.input_shape).to(next(iter(weights.values())))
        for name, layer in self.layers:
            if isinstance(layer, nn.MaxPool2d):
                layer = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding)
            if isinstance(layer, nn.Conv2d):
                x = nn.functional.conv2d(
                    x, weights[f"{name}.weight"], None, layer.stride, layer.padding
                )
            elif isinstance(layer, nn.Linear):
                x = x @ weights[f"{name}.weight"].T
            else:
                x = layer(x)
        return x.sum()


def weights_of(network):
    """Return copies of the weights that require gradients."""
    return {
        name: parameter.detach().clone().requires_grad_()
        for name, parameter in network.named_parameters()
        if name.endswith("weight")
    }


def row_gradients(network, X, y):
    """Return the gradient of each row's cross-entropy, one row at a time."""
    weights = weights_of(network)
    rows = []
    for x, label in zip(torch.as_tensor(X), torch.as_tensor(y), strict=True):
        logits = functional_call(network, weights, (x[None],))
        loss = nn.functional.cross_entropy(logits, label[None])
        gradients = torch.autograd.grad(loss, list(weights.values()))
        rows.append(np.concatenate([g.numpy().ravel() for g in gradients]))
    return np.array(rows)


def dense_grasp(network, X, y, temperature=200.0):
    """Return w * (H g) as one vector, H in full."""
    weights = weights_of(network)
    sizes = [w.numel() for w in weights.values()]
    flat = torch.cat([w.detach().ravel() for w in weights.values()])

    def loss(vector):
        pieces = vector.split(sizes)
        used = {
            name: piece.view(weight.shape)
            for (name, weight), piece in zip(weights.items(), pieces, strict=True)
        }
        logits = functional_call(network, used, (torch.as_tensor(X),))
        return nn.functional.cross_entropy(logits / temperature, torch.as_tensor(y))

    gradient = torch.autograd.functional.jacobian(loss, flat)
    hessian = torch.autograd.functional.hessian(loss, flat)
    return (flat * (hessian @ gradient)).numpy()


def looped_lamp(weight):
    """Return LAMP scores by one sum a weight."""
    squares = [float(w) ** 2 for w in weight.ravel()]
    order = sorted(range(len(squares)), key=lambda i: squares[i])
    scores = [0.0] * len(squares)
    for position, i in enumerate(order):
        scores[i] = squares[i] / sum(squares[j] for j in reversed(order[position:]))
    return np.array(scores).reshape(weight.shape)


def lowest_pruned(scores, n_pruned):
    """Return the mask that a stable sort of all layers gives, as one vector."""
    flat = np.concatenate([array.ravel() for array in scores])
    mask = np.ones(len(flat), dtype=bool)
    mask[np.argsort(flat, kind="stable")[:n_pruned]] = False
    return mask


def sorted_synflow_mask(twin, weights, sparsity, n_iterations=100):
    """Return SynFlow's mask by full sorts, pruned weights below all scores."""
    magnitudes = {n: w.detach().abs().double() for n, w in weights.items()}
    total = sum(w.numel() for w in magnitudes.values())
    mask = np.ones(total, dtype=bool)
    for step in range(1, n_iterations + 1):
        flat = np.concatenate([w.numpy().ravel() for w in magnitudes.values()]) * mask
        used, start = {}, 0
        for name, w in magnitudes.items():
            piece = flat[start : start + w.numel()].reshape(w.shape)
            used[name] = torch.from_numpy(piece).requires_grad_()
            start += w.numel()
        gradients = torch.autograd.grad(twin.total(used), list(used.values()))
        slopes = np.concatenate([g.numpy().ravel() for g in gradients])
        scores = np.where(mask, flat * slopes, -1.0)
        mask = lowest_pruned(
            [scores], int(total - total * (1 - sparsity) ** (step / n_iterations))
        )
    return mask


def sorted_snip_mask(gradients, weights, n_pruned, sparsity, n_iterations, ties):
    """Return iterative SNIP's mask by full sorts.

    ``gradients`` takes masked weights; ``ties`` is "first" or "last", which of equal
    scores is pruned first.
    """
    sizes = [w.numel() for w in weights.values()]
    flat = torch.cat([w.detach().ravel() for w in weights.values()])
    alive = np.ones(len(flat), dtype=bool)
    places = np.arange(len(flat)) if ties == "first" else np.arange(len(flat))[::-1]
    for step in range(1, n_iterations + 1):
        pieces = (flat * torch.from_numpy(alive)).split(sizes)
        masked = {
            name: piece.reshape(w.shape).requires_grad_()
            for (name, w), piece in zip(weights.items(), pieces, strict=True)
        }
        slopes = torch.cat([g.ravel() for g in gradients(masked)])
        scores = np.where(alive, (flat * slopes).abs().numpy(), -1.0)
        order = places[np.argsort(scores[places], kind="stable")]
        share = 1 - (1 - sparsity) ** (step / n_iterations)
        n_now = n_pruned if step == n_iterations else int(len(flat) * share)
        alive[order[:n_now]] = False
    return alive
