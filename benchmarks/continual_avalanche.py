"""Avalanche's Naive, EWC and PackNet on the streams of ``benchmarks.continual``.

Run it in an environment of its own, where ``avalanche-lib`` 0.6 is installed beside
this package's requirements: ``python -m benchmarks.continual_avalanche``. Its
torchvision is built for CUDA; beside the CPU build of torch its operators are declared
here, so that it imports (nothing of it is used).

The networks are 784-300-100-10 with biases, Adam at 1e-3, batch size 128, ten epochs a
task, one seed. PackNet is told the task, as ours is, and prunes such that each of the
14 tasks has a share.
"""

import logging
import re
import sys
import time
import warnings

import numpy as np
import torch
from torch import nn

from benchmarks._harness import STUDIES, one_thread, store, table
from benchmarks.continual import N_EPOCHS, Parts

FILE = STUDIES / "continual_avalanche.json"


def import_avalanche():
    operators = torch.library.Library("torchvision", "DEF")
    while True:
        try:
            import avalanche.training  # noqa: F401
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+)", str(error))
            if missing is None:
                raise
            operators.define(f"{missing[1]}(Tensor a) -> Tensor")
            for name in [n for n in sys.modules if n.split(".")[0] in _RELOADED]:
                del sys.modules[name]
        else:
            return operators


_RELOADED = ("torchvision", "avalanche")


def mlp():
    return nn.Sequential(
        nn.Linear(784, 300),
        nn.ReLU(),
        nn.Linear(300, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


def strategy(name, n_tasks):
    from avalanche import training
    from avalanche.models.packnet import PackNetModel
    from avalanche.training.plugins import EvaluationPlugin

    options = {"train_mb_size": 128, "train_epochs": N_EPOCHS, "eval_mb_size": 512}
    options["evaluator"] = EvaluationPlugin(loggers=[])
    kind, *penalty = name.split()
    model = PackNetModel(mlp()) if kind == "PackNet" else mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    options |= {"model": model, "optimizer": optimizer}
    options["criterion"] = nn.CrossEntropyLoss()
    if kind == "Naive":
        return training.Naive(**options)
    if kind == "EWC":
        return training.EWC(ewc_lambda=float(penalty[0]), **options)
    # The share pruned after each task, so that the last has as much as the first.
    share = 1 - 1 / n_tasks
    return training.PackNet(
        post_prune_epochs=N_EPOCHS // 3, prune_proportion=share, **options
    )


def one_run(stream, name, seed):
    from avalanche.benchmarks import tensors_benchmark

    torch.manual_seed(seed)
    parts = Parts(stream, seed)
    tensors = [
        [(torch.from_numpy(X), torch.from_numpy(y).long()) for X, y in pairs]
        for pairs in (
            [(task[1], task[3]) for task in parts.tasks],
            [(task[2], task[4]) for task in parts.tasks],
        )
    ]
    numbers = list(range(len(parts.tasks)))
    labels = numbers if name == "PackNet" else [0] * len(numbers)
    benchmark = tensors_benchmark(*tensors, task_labels=labels)
    learner = strategy(name, len(parts.tasks))
    start = time.perf_counter()
    for experience in benchmark.train_stream:
        learner.train(experience)
    seconds = (time.perf_counter() - start) / len(parts.tasks)
    model = learner.model.eval()
    scores = []
    with torch.no_grad():
        for number, (X, y) in zip(numbers, tensors[1], strict=True):
            given = (torch.full((len(X),), number),) if name == "PackNet" else ()
            scores.append(float((model(X, *given).argmax(1) == y).double().mean()))
    return scores, seconds


def run():
    one_thread()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    operators = import_avalanche()  # kept alive
    rows = []
    for stream in ("rotations", "permutations"):
        for name in ("Naive", "EWC 100", "EWC 10000", "PackNet"):
            scores, seconds = one_run(stream, name, seed=0)
            rows.append(
                {
                    "stream": stream,
                    "rule": name,
                    "all 14 tasks at last": float(np.mean(scores)),
                    "first ten": float(np.mean(scores[:10])),
                    "last four": float(np.mean(scores[10:])),
                    "seconds a task": seconds,
                }
            )
            print(rows[-1], flush=True)
            store("continual_avalanche", rows, path=FILE)
    print(table(rows))
    del operators


if __name__ == "__main__":
    run()
