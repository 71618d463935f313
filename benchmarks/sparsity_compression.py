"""Direct against effective compression, without any training.

Random pruning with three quotas, magnitude at initialisation, SNIP, GraSP and SynFlow
on the paper's four networks, pruned to direct compressions up to 10,000. How many of
the weights that are kept lie on a way from input to output? Data for SNIP and GraSP:
Fashion-MNIST, resized to the network's input, grey in all channels.

``python -m benchmarks.sparsity_compression`` resumes where it stopped; results in
``benchmarks/studies/sparsity_compression.json``.
"""

import functools
import json
import math

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from benchmarks._harness import STUDIES, data_home, machine, one_thread, table
from sklvyso.datasets import fetch_fashion_mnist
from sklvyso.networks import make_network, torch_seed
from sklvyso.sparsity import prune_scores
from sklvyso.sparsity._connectivity import Connectivity
from sklvyso.sparsity._kept import KeptWeights
from sklvyso.sparsity._prune_module import prune

FILE = STUDIES / "sparsity_compression.json"
# Network: torch shape of a sample, outputs, seeds, rows for SNIP, rows for GraSP.
NETWORKS = {
    "lenet-300-100": ((1, 28, 28), 10, 3, 5000, 250),
    "lenet-5": ((3, 32, 32), 10, 3, 5000, 250),
    "vgg19": ((3, 32, 32), 100, 1, 1280, 100),
    "resnet18": ((3, 64, 64), 200, 1, 640, 100),
}
COMPRESSIONS = (10, 30, 100, 300, 1000, 3000, 10_000)
PRUNERS = {
    "random, uniform": ("random", "uniform"),
    "random, ERK": ("random", "erk"),
    "random, IGQ": ("random", "igq"),
    "magnitude": ("magnitude", None),
    "SNIP": ("snip", None),
    "GraSP": ("grasp", None),
    "SynFlow": ("synflow", None),
}


def rows_for(shape, n_rows, fashion, seed):
    """Draw rows of Fashion-MNIST in the shape of the network's input."""
    rows = np.random.RandomState(seed).permutation(len(fashion.target))[:n_rows]
    images = torch.from_numpy(fashion.data[rows].reshape(-1, 1, 28, 28) / 255).float()
    images = (images - 0.2860) / 0.3530  # mean and deviation of the training pixels
    if shape[1:] != (28, 28):
        images = F.interpolate(images, size=shape[1:], mode="bilinear")
    return images.expand(-1, shape[0], -1, -1), fashion.target[rows]


@functools.lru_cache(maxsize=1)
def build(network, seed):
    shape, n_outputs, *_ = NETWORKS[network]
    with torch_seed(seed):
        return make_network(
            network, shape, n_outputs, initialization="variance_scaling"
        )


@functools.lru_cache(maxsize=1)
def scores_on_data(network, method, seed):
    """Scores that do not depend on the compression."""
    shape, _, _, n_snip, n_grasp = NETWORKS[network]
    fashion = fetch_fashion_mnist(subset="train", data_home=data_home())
    n_rows = n_snip if method == "snip" else n_grasp
    X, y = rows_for(shape, n_rows, fashion, seed)
    return prune_scores(build(network, seed), method, X, y, batch_size=64)


def run_one(network, pruner, compression, seed):
    shape = NETWORKS[network][0]
    module = build(network, seed)
    method, quota = PRUNERS[pruner]
    if method in ("snip", "grasp"):
        scores = scores_on_data(network, method, seed)
        method = lambda module, X, y: scores  # noqa: E731
    found = prune(
        module,
        method,
        sparsity=1 - 1 / compression,
        target="direct",
        quota=quota,
        input_shape=shape,
        random_state=seed,
    )
    report = found.report
    by_channel = Connectivity(module, shape, granularity="channel")
    kept = {name: KeptWeights.from_mask(mask) for name, mask in found.masks.items()}
    return {
        "kept": report.n_kept,
        "active": report.n_active,
        "active_by_channel": by_channel.measure(kept).count,
        "n_weights": report.n_weights,
    }


def summarise(done):
    rows = []
    for network, (_, _, n_seeds, _, _) in NETWORKS.items():
        for pruner in PRUNERS:
            row = {"network": network, "pruner": pruner}
            for compression in COMPRESSIONS:
                runs = [
                    done.get(f"{network}/{pruner}/{compression}/{seed}")
                    for seed in range(n_seeds)
                ]
                if None in runs:
                    continue
                actives = [run["active"] for run in runs]
                found = [
                    run["n_weights"] / run["active"] if run["active"] else math.inf
                    for run in runs
                ]
                middle = float(np.median(found))
                row[str(compression)] = f"{middle:.4g}" + (
                    f" ({actives.count(0)} dead)"
                    if 0 < actives.count(0) < n_seeds
                    else ""
                )
            if len(row) > 2:
                rows.append(row)
    return rows


def run():
    one_thread()
    FILE.parent.mkdir(exist_ok=True)
    stored = json.loads(FILE.read_text()) if FILE.exists() else {"runs": {}}
    done = stored["runs"]
    cells = [
        (network, pruner, compression, seed)
        for network, (_, _, n_seeds, _, _) in NETWORKS.items()
        for pruner in PRUNERS
        for seed in range(n_seeds)
        for compression in COMPRESSIONS
    ]
    for cell in tqdm(cells):
        key = "/".join(map(str, cell))
        if key not in done:
            done[key] = run_one(*cell)
            FILE.write_text(json.dumps({**machine(), "runs": done}) + "\n")
    rows = summarise(done)
    print("Effective compression by direct compression, median over seeds:")
    print(table(rows, ["network", "pruner", *map(str, COMPRESSIONS)]))
    FILE.write_text(json.dumps({**machine(), "table": rows, "runs": done}) + "\n")


if __name__ == "__main__":
    run()
