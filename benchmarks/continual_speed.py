"""Speed of learning a task from coefficients, and of predicting a known task.

LeNet-300-100 without biases, 10 impressions, 6,000 rows of Fashion-MNIST, batch size
128, 5 epochs, one thread, all in one process. Plain training is NetworkClassifier, and
the bare loop that it is equal to, on the same rows.
"""

import numpy as np
import torch
from torch import nn

from benchmarks._harness import data_home, one_thread, side_by_side, store, table
from sklvyso import ImpressLearnClassifier, NetworkClassifier
from sklvyso.datasets import fetch_fashion_mnist

N_EPOCHS = 5


def rows():
    data = fetch_fashion_mnist(data_home=data_home())
    order = np.random.RandomState(0).permutation(len(data.data))
    X = ((data.data[order] / 255 - 0.286) / 0.353).astype(np.float32)
    y = data.target[order].astype(np.int64)
    return X, y


def bare_loop(X, y):
    """Train as one would by hand in torch."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(784, 300, bias=False),
        nn.ReLU(),
        nn.Linear(300, 100, bias=False),
        nn.ReLU(),
        nn.Linear(100, 10, bias=False),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    rows_, labels = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(N_EPOCHS):
        for index in torch.randperm(len(rows_)).split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(rows_[index]), labels[index]).backward()
            optimizer.step()
    return net


def training(X, y):
    learner = ImpressLearnClassifier(
        n_impressions=10,
        impressions="random",
        new_task="coefficients",
        coef_max_epochs=N_EPOCHS,
        random_state=0,
    ).fit(X[:256], y[:256], task="first")
    bare = {"bias": False}
    plain = NetworkClassifier(
        "lenet-300-100", module_params=bare, max_epochs=N_EPOCHS, random_state=0
    )
    names = iter(range(1000))
    seconds = side_by_side(
        {
            "coefficients": lambda: learner.partial_fit(X, y, task=next(names)),
            "NetworkClassifier": lambda: plain.fit(X, y),
            "bare loop": lambda: bare_loop(X, y),
        },
        rounds=5,
    )
    return [
        {"what": "training", "by": name, "seconds": value}
        | {"coefficients / this": seconds["coefficients"] / value}
        for name, value in seconds.items()
    ]


def predicting(X, y):
    learner = ImpressLearnClassifier(
        n_impressions=10,
        impressions="random",
        new_task="coefficients",
        coef_max_epochs=1,
        n_superfluous=0,
        random_state=0,
    ).fit(X[:2000], y[:2000], task="a")
    module = learner.task_module("a")
    plain = NetworkClassifier(
        "lenet-300-100", module_params={"bias": False}, max_epochs=1, random_state=0
    ).fit(X[:2000], y[:2000])
    batch = torch.from_numpy(X[:20_000])

    def by_hand():
        with torch.no_grad():
            return torch.cat([module(part).argmax(1) for part in batch.split(512)])

    seconds = side_by_side(
        {
            "known task": lambda: learner.predict(X[:20_000], task="a"),
            "bare network": by_hand,
            "NetworkClassifier": lambda: plain.predict(X[:20_000]),
        },
        rounds=11,
    )
    return [
        {"what": "predicting 20,000 rows", "by": name, "seconds": value}
        | {"known task / this": seconds["known task"] / value}
        for name, value in seconds.items()
    ]


def run():
    """Time both, print tables, store the numbers."""
    one_thread()
    X, y = rows()
    found = training(X[:6000], y[:6000])
    print(table(found))
    store("continual_training", found)
    found = predicting(X, y)
    print(table(found))
    store("continual_predicting", found)


if __name__ == "__main__":
    run()
