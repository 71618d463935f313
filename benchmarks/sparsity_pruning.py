"""What pruning costs: scores, the search for a true budget, masks in training; and
what a smaller network gains.

``python -m benchmarks sparsity_pruning``
"""

import statistics
import time

import numpy as np
import torch

from benchmarks._harness import one_thread, side_by_side, store, table
from sklvyso.networks import held_at_zero, make_network, torch_seed
from sklvyso.sparsity import compact, prune_module, prune_scores
from sklvyso.sparsity._connectivity import Connectivity
from sklvyso.sparsity._search import NestedMasks, largest_step
from sklvyso.sparsity._weights import prunable_weights

STEPS = 12


def build(name, shape, n_outputs, **kwargs):
    with torch_seed(0):
        return make_network(
            name, shape, n_outputs, initialization="variance_scaling", **kwargs
        )


def seconds(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def scoring():
    """SynFlow in 100 rounds, then the step that meets an effective compression."""
    shape = (3, 32, 32)
    net = build("vgg19", shape, 100)
    took, scores = seconds(
        lambda: prune_scores(net, "synflow", sparsity=0.99, input_shape=shape)
    )
    rows = [{"work on VGG-19": "SynFlow, 100 rounds to 0.99", "seconds": took}]
    took, order = seconds(
        lambda: np.argsort(
            np.concatenate([s.ravel() for s in scores.values()]), kind="stable"
        )
    )
    rows.append({"work on VGG-19": "sorting 20 million scores", "seconds": took})
    rng = np.random.default_rng(0)
    shapes = {name: tuple(w.shape) for name, w in prunable_weights(net).items()}
    by_fan = np.concatenate(
        [
            rng.random(shape).ravel() / np.sqrt(np.prod(shape[1:]))
            for shape in shapes.values()
        ]
    )
    random_order = np.argsort(by_fan, kind="stable")
    for name, chosen in (("SynFlow", order), ("random", random_order)):
        for compression in (10, 100):
            took, _ = seconds(
                lambda c=compression, o=chosen: largest_step(
                    NestedMasks(o, shapes), Connectivity(net, shape), 1 - 1 / c
                )
            )
            label = f"search, {name}, effective compression {compression}"
            rows.append({"work on VGG-19": label, "seconds": took})
    return rows


def training():
    """One step of the optimiser with and without masks, alternating."""
    rows = []
    for name, shape, kwargs, batch in (
        ("vgg16", (3, 32, 32), {"batch_norm": True}, 32),
        ("lenet-300-100", (1, 28, 28), {}, 128),
    ):
        for optimizer in ("sgd", "adam"):
            rows.append(step_overhead(name, shape, kwargs, batch, optimizer))
    return rows


def step_overhead(name, shape, kwargs, batch, optimizer):
    net = build(name, shape, 10, **kwargs)
    steppers = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p),
    }
    rng = np.random.default_rng(0)
    masks = {
        key: torch.from_numpy(rng.random(tuple(w.shape)) < 0.1)
        for key, w in prunable_weights(net).items()
    }
    X, y = torch.randn(batch, *shape), torch.randint(0, 10, (batch,))
    times = {"plain": [], "masked": []}
    n_steps = STEPS if name == "vgg16" else 40 * STEPS
    stepper = steppers[optimizer](list(net.parameters()))

    def step():
        stepper.zero_grad()
        torch.nn.functional.cross_entropy(net(X), y).backward()
        stepper.step()

    step()
    block = max(1, n_steps // 12)
    # Blocks in turns: the machine's moods hit both alike, and masks are made ready once
    # in a training, not in every step.
    for turn in range(2 * (n_steps // block)):
        if turn % 2:
            with held_at_zero(stepper, dict(net.named_parameters()), masks):
                times["masked"] += [seconds(step)[0] for _ in range(block)]
        else:
            times["plain"] += [seconds(step)[0] for _ in range(block)]
    plain, masked = (statistics.median(times[key]) for key in ("plain", "masked"))
    return {
        "network": name,
        "batch": batch,
        "optimizer": optimizer,
        "plain step, ms": plain * 1e3,
        "masked step, ms": masked * 1e3,
        "overhead, %": 100 * (masked / plain - 1),
    }


def smaller():
    """Time of a forward pass of 64 images before and after compaction."""
    rows = []
    shape = (3, 32, 32)
    for name, compression in (
        ("vgg16", 100),
        ("vgg16", 1000),
        ("resnet18", 100),
        ("resnet18", 1000),
    ):
        net = build(name, shape, 10, batch_norm=True).eval()
        masks = prune_module(
            net,
            "synflow",
            sparsity=1 - 1 / compression,
            input_shape=shape,
            n_iterations=30,
        )
        took, small = seconds(lambda n=net, m=masks: compact(n, m, shape))
        X = torch.randn(64, *shape)
        with torch.no_grad():
            times = side_by_side(
                {"before": lambda n=net, x=X: n(x), "after": lambda s=small, x=X: s(x)},
                rounds=5,
            )
        rows.append(
            {
                "network": name,
                "effective compression": compression,
                "parameters before": sum(p.numel() for p in net.parameters()),
                "after": sum(p.numel() for p in small.parameters()),
                "forward before, ms": times["before"] * 1e3,
                "forward after, ms": times["after"] * 1e3,
                "times as fast": times["before"] / times["after"],
                "compact, s": took,
            }
        )
    return rows


def run():
    one_thread()
    for name, work in (
        ("sparsity_scoring", scoring),
        ("sparsity_training", training),
        ("sparsity_compact", smaller),
    ):
        rows = work()
        print(f"{name}, one thread:")
        print(table(rows), end="\n\n")
        store(name, rows)


if __name__ == "__main__":
    run()
