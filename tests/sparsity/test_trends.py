"""Published trends of the paper, small: sections 4 and 5."""

import warnings

import numpy as np
import pytest

from sklvyso import EffectiveSparsityPruner, NetworkClassifier
from sklvyso.datasets import fetch_fashion_mnist
from sklvyso.networks import make_network, torch_seed
from sklvyso.sparsity import prune_module, sparsity_report

SHAPE = (1, 28, 28)


def gap(method, compression, seed, **settings):
    """Return effective by direct compression."""
    with torch_seed(seed):
        net = make_network(
            "lenet-300-100", SHAPE, 10, initialization="variance_scaling"
        )
    masks = prune_module(
        net,
        method,
        sparsity=1 - 1 / compression,
        target="direct",
        input_shape=SHAPE,
        random_state=seed,
        **settings,
    )
    report = sparsity_report(net, masks, SHAPE)
    return report.effective_compression / report.direct_compression


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_gap_is_largest_for_uniform_then_erk_then_igq_then_synflow(seed):
    for compression in (100, 300):
        uniform, erk, igq = (
            gap("random", compression, seed, quota=quota)
            for quota in ("uniform", "erk", "igq")
        )
        synflow = gap("synflow", compression, seed)
        assert uniform > 2 * erk and erk > igq > synflow
        assert synflow < 1.02


@pytest.mark.slow
@pytest.mark.parametrize("quota", ["uniform", "erk", "igq"])
def test_no_gap_at_a_compression_of_ten(quota):
    assert gap("random", 10, 0, quota=quota) < 1.1


@pytest.mark.slow
def test_synflow_in_one_step_empties_layers():
    assert gap("synflow", 1000, 0, n_iterations=1) == np.inf
    assert gap("synflow", 1000, 0) < 1.02


@pytest.fixture(scope="module")
def accuracies(data_home):
    train = fetch_fashion_mnist(subset="train", data_home=data_home)
    test = fetch_fashion_mnist(subset="test", data_home=data_home)
    rows = np.random.RandomState(0).permutation(len(train.target))[:12_000]
    found = {}
    for name, settings in {
        "uniform": {"pruner": "random", "quota": "uniform"},
        "igq": {"pruner": "random", "quota": "igq"},
        "synflow": {"pruner": "synflow"},
    }.items():
        for target in ("direct", "effective"):
            scores = []
            for seed in range(3):
                net = NetworkClassifier(
                    "lenet-300-100",
                    input_shape=(28, 28),
                    input_scale=1 / 255,
                    module_params={"initialization": "variance_scaling"},
                    optimizer="sgd",
                    lr=0.1,
                    lr_schedule="cosine",
                    max_epochs=6,
                )
                model = EffectiveSparsityPruner(
                    net, compression=100, target=target, random_state=seed, **settings
                )
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    model.fit(train.data[rows], train.target[rows])
                scores.append(model.score(test.data, test.target))
            found[name, target] = np.mean(scores)
    return found


@pytest.mark.slow
def test_quotas_matter_less_on_the_effective_axis(accuracies):
    direct = accuracies["igq", "direct"] - accuracies["uniform", "direct"]
    effective = accuracies["igq", "effective"] - accuracies["uniform", "effective"]
    assert direct > 0.05
    assert effective < direct / 2


@pytest.mark.slow
def test_synflow_competes_at_a_compression_of_a_hundred(accuracies):
    assert accuracies["synflow", "effective"] > accuracies["igq", "effective"] - 0.01
