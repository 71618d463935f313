"""Trends of the papers on small real data."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sklvyso import GoldilocksProbe, NetworkClassifier

pytestmark = pytest.mark.slow
PLAIN = {"bias": False, "initialization": "kaiming_normal"}


@pytest.fixture(scope="module")
def sweep():
    X, y = load_digits(return_X_y=True)
    network = NetworkClassifier(
        hidden_layer_sizes=(64, 32), module_params=PLAIN, input_scale=1 / 16
    )
    return GoldilocksProbe(
        network,
        scales=np.logspace(-2, 2, 17),
        n_samples=256,
        n_init=3,
        n_eigenvalues=1,
        random_state=0,
    ).fit(X, y)


def test_curvature_is_flat_at_the_ends_and_peaks_near_one(sweep):
    """T1; the peak lies between 10^0 and 10^0.5 in the paper."""
    assert abs(sweep.curvature_[[0, 1, -2, -1]]).max() < 0.05
    assert 1.0 <= sweep.best_scale_ <= 10**0.5
    assert sweep.curvature_.max() > 1.5


def test_the_zone_is_where_the_gauss_newton_part_is_larger(sweep):
    """T2: where ||G|| exceeds ||F||; c(F) is 0, c(G) falls to 1 when saturated."""
    larger = sweep.results_["spectral_norm_g"] > sweep.results_["spectral_norm_f"]
    low, high = sweep.zone_
    inside = (sweep.scales_ >= low) & (sweep.scales_ <= high)
    assert larger[inside].all()
    assert not larger[[0, 1, 2, -3, -2, -1]].any()
    np.testing.assert_array_equal(sweep.curvature_f_, 0)
    assert np.ptp(sweep.curvature_g_[:5]) < 0.1
    assert 1 - 1e-9 <= np.nanmin(sweep.curvature_g_) < 1.2


def test_curvature_goes_with_entropy_and_against_loss():
    """T5, over 25 initialisations at scale 1."""
    X, y = load_digits(return_X_y=True)
    rows = []
    for seed in range(25):
        network = NetworkClassifier(
            hidden_layer_sizes=(16, 16), module_params=PLAIN, input_scale=1 / 16
        )
        probe = GoldilocksProbe(
            network, scales=[1.0], n_samples=200, random_state=seed
        ).fit(X, y)
        results = probe.results_
        rows.append(
            [
                results[key][0]
                for key in (
                    "curvature_h",
                    "entropy",
                    "loss",
                    "grad_norm",
                    "prior_mismatch",
                )
            ]
        )
    table = np.corrcoef(np.array(rows).T)
    assert table[0, 1] > 0.2  # with entropy
    assert table[0, 2] < -0.2  # against loss
    assert table[3, 4] > 0.2  # T6: gradient norm with prior mismatch
