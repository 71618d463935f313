"""Accuracy against direct and effective compression, after training.

LeNet-300-100 on all of Fashion-MNIST, the recipe of the paper made short (SGD with
momentum 0.9, learning rate 0.1 falling by a cosine, batches of 100, weight decay
5e-4), several seeds. Worst-class recall stands beside the average: pruning a network
has a bias of its own.

``python -m benchmarks.sparsity_accuracy`` resumes where it stopped; results in
``benchmarks/studies/sparsity_accuracy.json``.
"""

import json
import warnings

import numpy as np
from tqdm import tqdm

from benchmarks._harness import STUDIES, data_home, machine, one_thread, table
from sklvyso import EffectiveSparsityPruner, NetworkClassifier
from sklvyso.datasets import fetch_fashion_mnist
from sklvyso.metrics import class_recalls

FILE = STUDIES / "sparsity_accuracy.json"
SEEDS = range(3)
EPOCHS = 6
COMPRESSIONS = (10, 30, 100, 300, 1000, 3000)
PRUNERS = {
    "random, uniform": {"pruner": "random", "quota": "uniform"},
    "random, ERK": {"pruner": "random", "quota": "erk"},
    "random, IGQ": {"pruner": "random", "quota": "igq"},
    "magnitude, trained": {"pruner": "magnitude"},
    "SNIP": {"pruner": "snip", "n_score_samples": 10_000},
    "GraSP": {"pruner": "grasp"},
    "SynFlow": {"pruner": "synflow"},
}


def network(seed):
    return NetworkClassifier(
        "lenet-300-100",
        input_shape=(28, 28),
        input_scale=1 / 255,
        module_params={"initialization": "variance_scaling"},
        optimizer="sgd",
        lr=0.1,
        lr_schedule="cosine",
        weight_decay=5e-4,
        batch_size=100,
        max_epochs=EPOCHS,
        random_state=seed,
    )


def run_one(pruner, compression, seed, train, test):
    settings = (
        {"compression": compression, **PRUNERS[pruner]} if pruner else {"sparsity": 0.0}
    )
    model = EffectiveSparsityPruner(
        network(seed), target="direct", random_state=seed, **settings
    ).fit(train.data, train.target)
    recalls = class_recalls(test.target, model.predict(test.data))
    return {
        "active": model.report_.n_active,
        "kept": model.report_.n_kept,
        "n_weights": model.report_.n_weights,
        "accuracy": float(recalls.mean()),
        "worst": float(recalls.min()),
    }


def summarise(done):
    rows = []
    for pruner in ("", *PRUNERS):
        for compression in COMPRESSIONS if pruner else (1,):
            runs = [done.get(f"{pruner}/{compression}/{seed}") for seed in SEEDS]
            if None in runs:
                continue
            active = np.array([run["active"] for run in runs], dtype=float)
            with np.errstate(divide="ignore"):
                effective = runs[0]["n_weights"] / active
            accuracy = np.array([run["accuracy"] for run in runs])
            worst = np.array([run["worst"] for run in runs])
            rows.append(
                {
                    "pruner": pruner or "dense",
                    "direct": compression,
                    "effective": f"{np.median(effective):.4g}",
                    "accuracy": float(accuracy.mean()),
                    "lowest": float(accuracy.min()),
                    "highest": float(accuracy.max()),
                    "worst class": float(worst.mean()),
                    "worst, lowest": float(worst.min()),
                    "worst, highest": float(worst.max()),
                }
            )
    return rows


def run():
    one_thread()
    home = data_home()
    train, test = (
        fetch_fashion_mnist(subset=part, data_home=home) for part in ("train", "test")
    )
    FILE.parent.mkdir(exist_ok=True)
    stored = json.loads(FILE.read_text()) if FILE.exists() else {"runs": {}}
    done = stored["runs"]
    cells = [("", 1, seed) for seed in SEEDS] + [
        (pruner, compression, seed)
        for seed in SEEDS
        for compression in COMPRESSIONS
        for pruner in PRUNERS
    ]
    with warnings.catch_warnings():
        # Dead networks are part of the study.
        warnings.simplefilter("ignore", UserWarning)
        for cell in tqdm(cells):
            key = "/".join(map(str, cell))
            if key not in done:
                done[key] = run_one(*cell, train, test)
                FILE.write_text(json.dumps({**machine(), "runs": done}) + "\n")
    rows = summarise(done)
    print(f"Fashion-MNIST, LeNet-300-100, {EPOCHS} epochs, {len(SEEDS)} seeds:")
    print(table(rows))
    FILE.write_text(json.dumps({**machine(), "table": rows, "runs": done}) + "\n")


if __name__ == "__main__":
    run()
