"""Seconds for GraNd of 60,000 images: a loop, torch.func.vmap, ours.

``python -m benchmarks data_pruning``
"""

import time

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from benchmarks._harness import data_home, one_thread, side_by_side, store, table
from sklvyso.data_pruning import grand
from sklvyso.datasets import fetch_fashion_mnist
from sklvyso.networks import make_network

SEED = 0
EPOCHS = 1
# The best of 16, 32, 64, ..., 512 rows at once.
VMAP_BATCH = {"lenet-300-100": 16, "lenet-5": 128}


def trained(name, X, y):
    """Return the network after an epoch, as in the paper early in training."""
    torch.manual_seed(SEED)
    module = make_network(name, X.shape[1:], 10)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(X)).split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(X[batch]), y[batch]).backward()
            optimizer.step()
    return module.eval()


def plain_loop(module, X, y):
    """What a careful person writes by hand: a backward pass a row."""
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    parameters = list(module.parameters())
    norms = []
    for row, label in zip(X.split(1), y.split(1), strict=True):
        loss = nn.functional.cross_entropy(module(row), label)
        gradients = torch.autograd.grad(loss, parameters)
        norms.append(torch.cat([g.flatten() for g in gradients]).norm())
    return torch.stack(norms).numpy()


def plain_vmap(module, X, y, batch_size):
    """The recipe of PyTorch's documentation, in batches."""
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    parameters = {name: p.detach() for name, p in module.named_parameters()}

    def loss(parameters, row, label):
        logits = functional_call(module, parameters, (row[None],))
        return nn.functional.cross_entropy(logits, label[None])

    gradients_of = vmap(grad(loss), in_dims=(None, 0, 0))
    norms = []
    for rows, labels in zip(X.split(batch_size), y.split(batch_size), strict=True):
        gradients = gradients_of(parameters, rows, labels)
        squares = [g.flatten(1).square().sum(1) for g in gradients.values()]
        norms.append(torch.stack(squares).sum(0).sqrt())
    return torch.cat(norms).numpy()


def compare(name, X, y):
    """Return one row of the table."""
    module = trained(name, X, y)
    scores = {}

    def contender(key, compute):
        def work():
            scores[key] = compute(module, X, y)

        return work

    def vectorized(module, X, y):
        return plain_vmap(module, X, y, VMAP_BATCH[name])

    seconds = side_by_side(
        {"vmap": contender("vmap", vectorized), "ours": contender("ours", grand)},
        rounds=3,
    )
    # Long enough to be timed once, without a warm-up of its own.
    loop = contender("loop", plain_loop)
    start = time.perf_counter()
    loop()
    seconds["loop"] = time.perf_counter() - start
    exact = grand(module.double(), X, y)
    row = {"network": name, "rows": len(X)}
    row |= {key: seconds[key] for key in ("loop", "vmap", "ours")}
    row["loop / ours"] = seconds["loop"] / seconds["ours"]
    row["vmap / ours"] = seconds["vmap"] / seconds["ours"]
    for key in ("loop", "ours"):
        row[f"error of {key}"] = f"{relative_error(scores[key], exact):.0e}"
    return row


def relative_error(found, exact):
    """Return the largest error, over rows with norms that float32 can tell from 0."""
    large = exact > 1e-3
    return np.abs(found[large] / exact[large] - 1).max()


def run():
    one_thread()
    raw = fetch_fashion_mnist(subset="train", data_home=data_home())
    X = (raw.data / np.float32(255)).astype(np.float32).reshape(-1, 1, 28, 28)
    y = raw.target.astype(np.int64)
    rows = [compare(name, X, y) for name in VMAP_BATCH]
    print("Seconds for the GraNd scores of full Fashion-MNIST, one thread:")
    print(table(rows))
    store("data_pruning_grand", rows)


if __name__ == "__main__":
    run()
