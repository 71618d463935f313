"""Trace, Frobenius norm, top eigenvalues and density of a Hessian, against the peers.

LeNet-300-100 without biases on 512 images of Fashion-MNIST, float32, one thread, all in
one process; errors against float64. The peers (extra ``bench``): PyHessian 0.1, whose
density calls ``torch.eig``, gone from torch, and is given ``torch.linalg.eig`` here;
hessian-eigenthings 1.0.0a5; curvlinops 3.0.
"""

import warnings

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch import nn

from benchmarks._harness import data_home, one_thread, side_by_side, store, table
from sklvyso.curvature import (
    HessianOperator,
    eigenvalues,
    frobenius_norm,
    spectral_density,
    trace,
)
from sklvyso.datasets import fetch_fashion_mnist
from sklvyso.networks import make_network

N_PROBES = 100


def setting():
    torch.manual_seed(0)
    net = make_network(
        "lenet-300-100", (784,), 10, bias=False, initialization="kaiming_normal"
    )
    data = fetch_fashion_mnist(data_home=data_home())
    X = ((data.data[:512] / 255 - 0.286) / 0.353).astype(np.float32)
    return net, X, data.target[:512].astype(np.int64)


def peers(net, X, y):
    """Return the operators of the peers."""
    import curvlinops
    import hessian_eigenthings
    import pyhessian

    def eig(matrix, eigenvectors=False):
        values, vectors = torch.linalg.eig(matrix)
        return torch.stack([values.real, values.imag], 1), vectors.real

    torch.eig = eig  # what is there now only raises
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y)
    loss = nn.CrossEntropyLoss()
    parameters = [p for p in net.parameters() if p.requires_grad]
    return {
        "PyHessian": pyhessian.hessian(net, loss, data=(inputs, targets), cuda=False),
        "hessian-eigenthings": hessian_eigenthings.HessianOperator(
            net, [(inputs, targets)], lambda m, batch: loss(m(batch[0]), batch[1])
        ),
        "curvlinops": curvlinops.HessianLinearOperator(
            net, loss, parameters, [(inputs, targets)], check_deterministic=False
        ),
    }


def measured(contenders, truth, what, rounds):
    """Time contenders, and tell how far off the last answer of each is."""
    answers = {}

    def remembering(name, work):
        def run():
            answers[name] = work()

        return run

    seconds = side_by_side(
        {name: remembering(name, work) for name, work in contenders.items()},
        rounds=rounds,
    )
    rows = []
    for name in contenders:
        answer = np.asarray(answers[name], dtype=float)
        error = float((abs(answer - truth) / abs(truth)).max())
        rows.append(
            {
                "what": what,
                "by": name,
                "seconds": seconds[name],
                "times ours": seconds[name] / seconds[next(iter(contenders))],
                "relative error": f"{error:.1e}",
            }
        )
    return rows


def traces(operator, other, truth):
    import curvlinops
    import hessian_eigenthings as eigenthings

    return measured(
        {
            "ours, exact": lambda: trace(operator)[0],
            "ours, 100 probes": lambda: trace(
                operator, method="hutchinson", n_probes=N_PROBES, random_state=0
            )[0],
            "PyHessian, stops by itself": lambda: np.mean(
                other["PyHessian"].trace(maxIter=N_PROBES)
            ),
            "PyHessian, 100 probes": lambda: np.mean(
                other["PyHessian"].trace(maxIter=N_PROBES, tol=0.0)
            ),
            "hessian-eigenthings, 100 probes": lambda: (
                eigenthings.hutchinson(
                    other["hessian-eigenthings"], num_samples=N_PROBES, seed=0
                ).estimate
            ),
            "curvlinops, 100 probes": lambda: float(
                curvlinops.hutchinson_trace(other["curvlinops"], N_PROBES)
            ),
        },
        truth,
        "trace",
        3,
    )


def norms(operator, other, truth):
    from curvlinops.norm.hutchinson import hutchinson_squared_fro

    return measured(
        {
            "ours, 100 probes": lambda: frobenius_norm(
                operator, n_probes=N_PROBES, random_state=0
            )[0],
            "curvlinops, 100 probes": lambda: (
                float(hutchinson_squared_fro(other["curvlinops"], N_PROBES)) ** 0.5
            ),
        },
        truth,
        "Frobenius norm",
        3,
    )


def top_ten(operator, other, truth):
    import hessian_eigenthings as eigenthings

    def descending(values):
        return np.sort(np.asarray(values, dtype=float))[::-1]

    return measured(
        {
            "ours": lambda: eigenvalues(operator, 10, random_state=0)[0],
            "PyHessian": lambda: descending(
                other["PyHessian"].eigenvalues(top_n=10)[0]
            ),
            "hessian-eigenthings": lambda: descending(
                eigenthings.lanczos(
                    other["hessian-eigenthings"], k=10, which="LA", seed=0
                ).eigenvalues
            ),
            "eigsh over curvlinops": lambda: descending(
                eigsh(
                    other["curvlinops"].to_scipy(),
                    k=10,
                    which="LA",
                    tol=1e-5,
                    return_eigenvectors=False,
                )
            ),
        },
        truth,
        "top 10 eigenvalues",
        3,
    )


def densities(operator, other, truth):
    """Second moment of the density, which is the squared norm over P."""
    import hessian_eigenthings as eigenthings

    def ours():
        nodes, weights = spectral_density(
            operator, n_steps=80, n_starts=4, random_state=0
        )
        return weights @ nodes**2

    def pyhessian():
        nodes, weights = other["PyHessian"].density(iter=80, n_v=4)
        nodes, weights = np.array(nodes), np.array(weights)
        return (weights * nodes**2).sum() / len(weights)

    def things():
        found = eigenthings.spectral_density(
            other["hessian-eigenthings"], num_runs=4, lanczos_steps=80, seed=0
        )
        grid, density = np.asarray(found.grid), np.asarray(found.density)
        return np.trapezoid(density * grid**2, grid) / np.trapezoid(density, grid)

    return measured(
        {"ours": ours, "PyHessian": pyhessian, "hessian-eigenthings": things},
        truth,
        "density, 4 x 80 steps",
        1,
    )


def run():
    one_thread()
    net, X, y = setting()
    double = HessianOperator(net.double(), X, y)
    true_trace = double.exact_trace()
    true_top = np.sort(
        eigsh(double, k=10, which="LA", tol=1e-10, return_eigenvectors=False)
    )[::-1]
    true_norm = frobenius_norm(double, n_probes=1000, n_deflate=20, random_state=1)[0]
    operator = HessianOperator(net.float(), X, y)
    other = peers(net, X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = traces(operator, other, true_trace)
        rows += norms(operator, other, true_norm)
        rows += top_ten(operator, other, true_top)
        rows += densities(operator, other, true_norm**2 / operator.shape[0])
    print(table(rows))
    store("curvature", rows)


if __name__ == "__main__":
    run()
