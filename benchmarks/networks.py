"""Seconds an epoch: a plain loop, NetworkClassifier, skorch, scikit-learn's MLP.

``python -m benchmarks networks``
"""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from benchmarks._harness import data_home, one_thread, side_by_side, store, table
from sklvyso.datasets import fetch_fashion_mnist
from sklvyso.networks import NetworkClassifier, make_network

EPOCHS = 1  # of each timed fit, set-up included
SEED = 0
SHAPES = {"lenet-300-100": (784,), "lenet-5": (1, 28, 28)}


def plain_loop(name, X, y, batch_size):
    """The tight loop that a careful person writes by hand."""
    torch.manual_seed(np.random.RandomState(SEED).randint(2**31 - 1))
    module = make_network(name, SHAPES[name], 10)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    X, y = torch.from_numpy(X).reshape(-1, *SHAPES[name]), torch.from_numpy(y)
    for _ in range(EPOCHS):
        order = torch.randperm(len(X))
        for start in range(0, len(X), batch_size):
            batch = order[start : start + batch_size]
            optimizer.zero_grad()
            loss = criterion(module(X.index_select(0, batch)), y.index_select(0, batch))
            loss.backward()
            optimizer.step()
    return module


def ours(name, X, y, batch_size, **settings):
    return NetworkClassifier(
        name,
        input_shape=(28, 28) if name == "lenet-5" else None,
        batch_size=batch_size,
        max_epochs=EPOCHS,
        random_state=SEED,
        device="cpu",
        **settings,
    ).fit(X, y)


def fused_adam(parameters, lr):
    return torch.optim.Adam(parameters, lr=lr, fused=True)


def skorch_default(name, X, y, batch_size):
    return NeuralNetClassifier(
        make_network,
        module__name=name,
        module__input_shape=SHAPES[name],
        module__n_outputs=10,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=batch_size,
        max_epochs=EPOCHS,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    ).fit(X.reshape(-1, *SHAPES[name]), y)


def scikit_learn(X, y, batch_size):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier(
            (300, 100), batch_size=batch_size, max_iter=EPOCHS, random_state=SEED
        ).fit(X, y)


def is_bit_equal(name, X, y, batch_size):
    plain = plain_loop(name, X, y, batch_size).state_dict()
    fitted = ours(name, X, y, batch_size).module_.state_dict()
    return all(torch.equal(plain[key], fitted[key]) for key in plain)


def prediction_row(name, X, y):
    fitted = ours(name, X[:2000], y[:2000], 128)
    images = torch.from_numpy(X).reshape(-1, *SHAPES[name])
    module = fitted.module_.eval()

    def bare():
        with torch.no_grad():
            return torch.cat([module(batch) for batch in images.split(512)])

    seconds = side_by_side({"bare": bare, "ours": lambda: fitted.predict_proba(X)})
    return {
        "network": name,
        "bare forward": seconds["bare"],
        "predict_proba": seconds["ours"],
        "ratio": seconds["ours"] / seconds["bare"],
    }


def run():
    one_thread()
    raw = fetch_fashion_mnist(data_home=data_home())
    X = (raw.data / np.float32(255)).astype(np.float32)
    y = raw.target
    rows = []
    for name in SHAPES:
        for batch_size in (128, 60):
            work = {
                "plain loop": lambda n=name, b=batch_size: plain_loop(n, X, y, b),
                "ours": lambda n=name, b=batch_size: ours(n, X, y, b),
                "ours, fused": lambda n=name, b=batch_size: ours(
                    n, X, y, b, optimizer=fused_adam
                ),
                "ours, uint8": lambda n=name, b=batch_size: ours(
                    n, raw.data, y, b, input_scale=1 / 255
                ),
                "skorch": lambda n=name, b=batch_size: skorch_default(n, X, y, b),
            }
            if name == "lenet-300-100":
                work["scikit-learn"] = lambda b=batch_size: scikit_learn(X, y, b)
            seconds = side_by_side(work, rounds=5 if name == "lenet-300-100" else 3)
            row = {"network": name, "batch": batch_size}
            row |= {key: value / EPOCHS for key, value in seconds.items()}
            row["ours / plain"] = seconds["ours"] / seconds["plain loop"]
            row["fused / plain"] = seconds["ours, fused"] / seconds["plain loop"]
            row["bit-equal"] = is_bit_equal(name, X[:5000], y[:5000], batch_size)
            rows.append(row)
    predictions = [prediction_row(name, X, y) for name in SHAPES]
    columns = list(rows[0])
    print("Seconds an epoch of full Fashion-MNIST, Adam, one thread:")
    print(table(rows, columns))
    print("\nSeconds for 60,000 rows:")
    print(table(predictions))
    store("networks", rows)
    store("networks_predict", predictions)


if __name__ == "__main__":
    run()
