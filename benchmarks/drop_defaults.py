"""Do DRoPSampler's defaults harm the worst class anywhere?

Nine cells: {digits, Fashion-MNIST, long-tailed Fashion-MNIST} x density {.5, .3, .1}.
In each, worst-class recall on test rows after training on rows kept by stratified
random pruning, by the paper's bare formula, by constants (Laplace 1, half uniform) and
by the defaults; all with the same permutation of the rows of each class.

``python -m benchmarks.drop_defaults`` resumes where it stopped; results in
``benchmarks/studies/drop_defaults.json``.
"""

import json
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from benchmarks._harness import STUDIES, data_home, machine, one_thread, table
from sklvyso import DRoPSampler, NetworkClassifier
from sklvyso.data_pruning import drop_quotas, scaled_max_epochs
from sklvyso.data_pruning._quotas import uniform_quotas
from sklvyso.data_pruning._recalls import HeldOutErrors, smoothed_errors
from sklvyso.data_pruning._sampler import select_rows
from sklvyso.datasets import fetch_fashion_mnist
from sklvyso.metrics import class_recalls

SEEDS = {"digits": range(36), "fashion_mnist": range(12), "long_tailed": range(12)}
DENSITIES = (0.5, 0.3, 0.1)
SETS = ("digits", "fashion_mnist", "long_tailed")
EPOCHS = 16
DEFAULTS = DRoPSampler().get_params()
RULES = {
    "paper": {"smoothing": 0, "uniform_mix": 0.0, "min_per_class": 0},
    "constants": {"smoothing": 1, "uniform_mix": 0.5, "min_per_class": 1},
    "default": {
        key: DEFAULTS[key] for key in ("smoothing", "uniform_mix", "min_per_class")
    },
}
FILE = STUDIES / "drop_defaults.json"


def make_data(name, seed, fashion):
    """Return training and test rows, and a factory of final models."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        parts = train_test_split(
            X / 16, y, train_size=900, stratify=y, random_state=seed
        )
        X, X_test, y, y_test = parts
        return X, y, X_test, y_test, lambda *_: LogisticRegression(max_iter=1000)
    train, test = fashion
    counts = np.full(10, 800)
    if name == "long_tailed":
        counts = np.floor(1000 * 20 ** (-np.arange(10) / 9)).astype(int)
    rows = select_rows(train.target, counts, np.random.RandomState(seed))
    reduce = PCA(50, random_state=0).fit(train.data[rows] / 255)
    X, X_test = (reduce.transform(part / 255) for part in (train.data[rows], test.data))

    def final(seed, n_kept):
        return NetworkClassifier(
            hidden_layer_sizes=(128,),
            lr=2e-3,
            max_epochs=scaled_max_epochs(EPOCHS, n_kept, len(rows)),
            random_state=seed,
        )

    return X, train.target[rows], X_test, test.target, final


def quotas_of(rule, errors, counts, n_kept):
    if rule == "random":
        return uniform_quotas(counts, n_kept, min_per_class=1)
    settings = dict(RULES[rule])
    steadied = smoothed_errors(errors, settings.pop("smoothing"))
    return drop_quotas(1 - steadied, counts, n_kept, **settings)


def run_one(name, seed, fashion):
    X, y, X_test, y_test, final = make_data(name, seed, fashion)
    sampler = DRoPSampler(random_state=seed).fit(X, y)
    report = sampler.quota_report_
    n_wrong = np.round((1 - report["recall"]) * report["n_validation"])
    n_rows = report["n_validation"].astype(float)
    errors = HeldOutErrors(n_wrong, n_rows, n_rows)
    results = {}
    for density in DENSITIES:
        n_kept = round(density * len(y))
        for rule in ("random", *RULES):
            quotas = quotas_of(rule, errors, report["count"], n_kept)
            kept = select_rows(y, quotas, np.random.RandomState(seed))
            model = final(seed, n_kept).fit(X[kept], y[kept])
            recalls = class_recalls(y_test, model.predict(X_test))
            results[f"{density}/{rule}"] = [float(recalls.min()), float(recalls.mean())]
    return results


def summarise(done):
    rows = []
    for name in SETS:
        runs = [done[f"{name}/{s}"] for s in SEEDS[name] if f"{name}/{s}" in done]
        for density in DENSITIES if runs else ():
            row = {"data": name, "seeds": len(runs), "density": density}
            values = {
                rule: np.array([run[f"{density}/{rule}"] for run in runs])
                for rule in ("random", *RULES)
            }
            for rule, value in values.items():
                row[rule] = float(value[:, 0].mean())
            gain = values["default"][:, 0] - values["random"][:, 0]
            row["gain"] = float(gain.mean())
            row["standard error"] = float(gain.std(ddof=1) / np.sqrt(len(gain)))
            row["average random"] = float(values["random"][:, 1].mean())
            row["average default"] = float(values["default"][:, 1].mean())
            rows.append(row)
    return rows


def run():
    one_thread()
    home = data_home()
    fashion = [
        fetch_fashion_mnist(subset=part, data_home=home) for part in ("train", "test")
    ]
    FILE.parent.mkdir(exist_ok=True)
    stored = json.loads(FILE.read_text()) if FILE.exists() else {"runs": {}}
    done = stored["runs"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for name, seed in tqdm([(n, s) for n in SETS for s in SEEDS[n]]):
            if f"{name}/{seed}" not in done:
                done[f"{name}/{seed}"] = run_one(name, seed, fashion)
                FILE.write_text(json.dumps({**machine(), "runs": done}) + "\n")
    rows = summarise(done)
    print("Worst-class recall, mean over seeds:")
    print(table(rows))
    FILE.write_text(json.dumps({**machine(), "table": rows, "runs": done}) + "\n")


if __name__ == "__main__":
    run()
