"""Learning task after task: what combinations of masks reach, and what they do not.

Streams, each with three seeds:

- ``rotations``: Fashion-MNIST, impressions of 0 to 90 degrees in steps of 10, then 25,
  65, 95 and 125 degrees;
- ``permutations``: MNIST, ten fixed pixel permutations, then four others;
- ``split``: Fashion-MNIST, ten pairs of classes, then four others; and
- ``split_cifar10``: the same on CIFAR-10 (JPEG copy) with LeNet-5 and batch
  normalisation without scale and shift.

LeNet-300-100 where nothing else is said, 3,000 training and 1,000 test rows (pairs:
2,000 and 600; of CIFAR-10 800 and 240), ten epochs for masks, coefficients and plain
networks alike (of CIFAR-10 five).

``python -m benchmarks.continual [stream ...]`` resumes: each seed of a stream lands in
``benchmarks/studies/continual/<stream>.json`` when it is done. Tables:
``benchmarks/studies/continual.json``.
"""

import json
import pickle
import sys
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import rotate

from benchmarks._harness import STUDIES, data_home, machine, one_thread, table
from sklvyso import ImpressLearnClassifier, NetworkClassifier
from sklvyso.datasets import fetch_fashion_mnist, fetch_mnist, load_image_archive

FOLDER = STUDIES / "continual"
FILE = STUDIES / "continual.json"
SEEDS = range(3)
COUNTS = (1, 2, 5, 10)
N_EPOCHS = 10
BATCH_NORM = {"padding": "same", "batch_norm": "non-affine"}
NETWORKS = {
    "rotations": {},
    "permutations": {},
    "split": {},
    "split_cifar10": {"module": "lenet-5", "module_params": BATCH_NORM},
}


# -- streams --------------------------------------------------------------------------


def fashion():
    data = fetch_fashion_mnist(data_home=data_home())
    return data.data.astype(np.float32) / 255, data.target


def rotations(seed):
    X, y = drawn(*fashion(), 4000, seed)
    for angle in (*range(0, 100, 10), 25, 65, 95, 125):
        images = X.reshape(-1, 28, 28)
        turned = rotate(images, angle, axes=(1, 2), reshape=False, order=1)
        yield f"{angle} degrees", standard(turned.reshape(len(X), -1)), y


def permutations(seed):
    data = fetch_mnist(data_home=data_home())
    X, y = drawn(data.data.astype(np.float32) / 255, data.target, 4000, seed)
    random = np.random.RandomState(seed)
    for number in range(14):
        yield f"permutation {number}", standard(X)[:, random.permutation(784)], y


def pairs(X, y, seed, n_rows):
    random = np.random.RandomState(seed)
    every = [(a, b) for a in range(10) for b in range(a)]
    for k in random.permutation(len(every))[:14]:
        rows = random.permutation(np.flatnonzero(np.isin(y, every[k])))[:n_rows]
        yield f"{every[k][0]} or {every[k][1]}", standard(X[rows]), y[rows]


def split(seed):
    yield from pairs(*fashion(), seed, 2600)


def split_cifar10(seed):
    path = Path(data_home()) / "cifar10" / "cifar10-jpeg-folders.tar.xz"
    images = load_image_archive(path, subset="train", n_per_class=1300)
    X = np.asarray(images.images, dtype=np.float32) / 255
    yield from pairs(X, np.asarray(images.target), seed, 1040)


def drawn(X, y, n_rows, seed):
    rows = np.random.RandomState(seed).permutation(len(X))[:n_rows]
    return X[rows], y[rows]


def standard(X):
    return ((X - X.mean()) / X.std()).astype(np.float32)


STREAMS = {
    "rotations": rotations,
    "permutations": permutations,
    "split": split,
    "split_cifar10": split_cifar10,
}


class Parts:
    """Tasks cut into training and test rows."""

    def __init__(self, name, seed):
        self.tasks = [(task, *cut(X), *cut(y)) for task, X, y in STREAMS[name](seed)]
        self.seen, self.unseen = self.tasks[:10], self.tasks[10:]


def cut(values):
    n_test = len(values) // 4 if len(values) > 3000 else 3 * len(values) // 13
    return values[n_test:], values[:n_test]


# -- one seed -------------------------------------------------------------------------


def one_seed(name, seed):
    parts = Parts(name, seed)
    found = {"seed": seed, "unseen": {}, "tasks": [task[0] for task in parts.unseen]}
    found |= impressions_of_the_stream(name, seed, parts, found["unseen"])
    for kind in ("homogeneous", "random"):
        for n in counts_of(name)[1:]:
            learner = learn(name, seed, n, impressions=kind)
            first = parts.seen[0]
            learner.partial_fit(first[1], first[3], task=first[0])
            found["unseen"][f"{kind}, {n}"] = later(learner, parts)
    found |= plain_networks(name, seed, parts, found["unseen"])
    return found


def counts_of(name):
    return (1, 2, 10) if name == "split_cifar10" else COUNTS


def epochs_of(name):
    return N_EPOCHS // 2 if name == "split_cifar10" else N_EPOCHS


def learn(name, seed, n, **options):
    options = {"new_task": "coefficients"} | NETWORKS[name] | options
    return ImpressLearnClassifier(
        n_impressions=n,
        max_epochs=epochs_of(name),
        coef_max_epochs=epochs_of(name),
        n_outputs=2 if name.startswith("split") else 10,
        random_state=seed,
        **options,
    )


def impressions_of_the_stream(name, seed, parts, unseen):
    """Masks of the first tasks; at some counts the unseen ones from coefficients."""
    learner = learn(name, seed, 10)
    times = []
    for number, (task, X, _, y, _) in enumerate(parts.seen, start=1):
        start = time.perf_counter()
        learner.partial_fit(X, y, task=task)
        times.append(time.perf_counter() - start)
        if number in counts_of(name):
            with_few = copied(learner).set_params(n_impressions=number)
            start = time.perf_counter()
            unseen[f"heterogeneous, {number}"] = later(with_few, parts)
            seconds = (time.perf_counter() - start) / len(parts.unseen)
    before = [learner.predict_proba(t[2], task=t[0]) for t in parts.seen]
    auto = copied(learner).set_params(new_task="auto")
    unseen["auto, 10"] = later(auto, parts)
    unseen["dedicated"] = later(copied(learner).set_params(new_task="mask"), parts)
    unseen["foreign mask"] = [
        max(learner.score(X, y, task=name) for name in learner.tasks_[:3])
        for _, _, X, _, y in parts.unseen
    ]
    unseen["first mask"] = [
        learner.score(X, y, task=learner.tasks_[0]) for _, _, X, _, y in parts.unseen
    ]
    after = [auto.predict_proba(t[2], task=t[0]) for t in parts.seen]
    report = auto.memory_report()
    last = copied(learner)
    later(last, parts)
    return {
        "own tasks": [learner.score(X, y, task=t) for t, _, X, _, y in parts.seen],
        "kept bit for bit": all(
            (a == b).all() for a, b in zip(before, after, strict=True)
        ),
        "auto kinds": [str(auto.task_kinds_[task[0]]) for task in parts.unseen],
        "seconds of a mask": float(np.median(times)),
        "seconds of a coefficient task": seconds,
        "bytes of a mask": int(report["total_bytes"][0]),
        "bytes of coefficients": int(last.memory_report()["coef_bytes"][-1]),
        "bytes of statistics": int(last.memory_report()["norm_bytes"][-1]),
    }


def plain_networks(name, seed, parts, unseen):
    """One network for each task; and one that goes from task to task and forgets."""
    options = {"max_epochs": epochs_of(name), "random_state": seed}
    network = NetworkClassifier(**options | NETWORKS[name])
    if name == "split_cifar10":
        network.set_params(module_params={"padding": "same", "batch_norm": True})
    unseen["separate networks"] = []
    for _, X, X_test, y, y_test in parts.unseen:
        unseen["separate networks"].append(network.fit(X, y).score(X_test, y_test))
    n_bytes = 4 * sum(p.numel() for p in network.module_.parameters())
    classes = np.unique(np.concatenate([task[3] for task in parts.tasks]))
    first = parts.tasks[0]
    network.initialize(first[1], first[3], classes=classes)
    at_once = []
    for _, X, X_test, y, y_test in parts.tasks:
        network.train(X, y)
        at_once.append(network.score(X_test, y_test))
    at_last = [network.score(X, y) for _, _, X, _, y in parts.tasks]
    return {
        "bytes of a network": n_bytes,
        "fine-tuning, each when learned": at_once,
        "fine-tuning, each at last": at_last,
    }


def later(learner, parts):
    scores = []
    for task, X, X_test, y, y_test in parts.unseen:
        learner.partial_fit(X, y, task=task)
        scores.append(learner.score(X_test, y_test, task=task))
    return scores


def copied(learner):
    return pickle.loads(pickle.dumps(learner))


# -- all ------------------------------------------------------------------------------


def run(names):
    one_thread()
    FOLDER.mkdir(exist_ok=True, parents=True)
    for name in names or STREAMS:
        path = FOLDER / f"{name}.json"
        cells = json.loads(path.read_text()) if path.exists() else []
        for seed in SEEDS:
            if seed not in [cell["seed"] for cell in cells]:
                cells.append(one_seed(name, seed))
                path.write_text(json.dumps(cells, indent=1) + "\n")
                print(name, seed, flush=True)
    summarise()


def summarise():
    """Write tables over all streams: rules, costs, and task inference."""
    cells = {
        path.stem: json.loads(path.read_text())
        for path in (FOLDER / f"{name}.json" for name in STREAMS)
        if path.exists()
    }
    rules = cells["rotations"][0]["unseen"]
    found = {
        "table": [{"rule": rule} | _means(cells, rule) for rule in rules],
        "costs": [_costs(name, seeds) for name, seeds in cells.items()],
        "by task": {
            name: {
                rule: np.mean([c["unseen"][rule] for c in seeds], axis=0).tolist()
                for rule in seeds[0]["unseen"]
            }
            for name, seeds in cells.items()
        },
        "seeds": {name: len(seeds) for name, seeds in cells.items()},
        "kept bit for bit": all(
            cell["kept bit for bit"] for seeds in cells.values() for cell in seeds
        ),
    }
    for rows in (found["table"], found["costs"]):
        print(table(rows))
    FILE.write_text(json.dumps(machine() | found, indent=1) + "\n")


def _means(cells, rule):
    return {
        name: float(np.mean([cell["unseen"][rule] for cell in seeds]))
        for name, seeds in cells.items()
        if rule in seeds[0]["unseen"]
    }


def _costs(name, seeds):
    first = seeds[0]
    kinds = [kind for cell in seeds for kind in cell["auto kinds"]]
    parts = ("a mask", "coefficients", "statistics", "a network")
    keys = [f"bytes of {part}" for part in parts]
    whole = {
        "when learned": "fine-tuning, each when learned",
        "at last": "fine-tuning, each at last",
    }
    return (
        {"stream": name}
        | {key: first[key] for key in keys}
        | {"masks that auto adds, of 4": 4 * kinds.count("mask") / len(kinds)}
        | {
            f"fine-tuned network, first tasks {label}": float(
                np.mean([cell[key][:10] for cell in seeds])
            )
            for label, key in whole.items()
        }
    )


if __name__ == "__main__":
    run(sys.argv[1:])
