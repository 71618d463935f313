"""GoldilocksProbe: golden sweep on rings, exact measures, zone, score, transform."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklvyso import GoldilocksProbe, NetworkClassifier
from sklvyso.curvature import (
    HessianOperator,
    eigenvalues,
    expected_g_curvature,
    gamma_statistic,
    positive_curvature,
    scale_parameters,
)
from sklvyso.curvature._measures import curvature_measures, homogeneity_degree
from sklvyso.curvature._sweep import average, find_zone
from sklvyso.networks import SkorchClassifier, make_network

FOLDER = Path(__file__).parents[1] / "data/goldilocks"
RINGS = np.load(FOLDER / "rings.npz")
RINGS_GOLDEN = json.loads((FOLDER / "rings.json").read_text())["seeds"]["0"]
PLAIN = {"bias": False, "initialization": "kaiming_normal"}
SMALL = NetworkClassifier(hidden_layer_sizes=(12, 8), module_params=PLAIN)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:150] / 16, y[:150]


def rings_net(theta):
    net = nn.Sequential(
        nn.Linear(2, 32, bias=False),
        nn.ReLU(),
        nn.Linear(32, 32, bias=False),
        nn.ReLU(),
        nn.Linear(32, 3, bias=False),
    ).double()
    nn.utils.vector_to_parameters(torch.tensor(theta), net.parameters())
    return net


def rings_at(alpha, temperature=1.0, **options):
    settings = {
        "params": None,
        "temperature": temperature,
        "batch_size": None,
        "method": "auto",
        "n_probes": 30,
        "n_eigenvalues": 1,
        "density_steps": 0,
        "directions": RINGS["R_0"].astype(float),
        "random": np.random.RandomState(0),
    }
    net = scale_parameters(rings_net(RINGS["theta_0"]), alpha)
    X, y = RINGS["X"].astype(float), RINGS["y"].astype(int)
    return curvature_measures(net, X, y, **settings | options)


@pytest.mark.parametrize("row", RINGS_GOLDEN[::4], ids=lambda r: str(r.get("alpha")))
def test_golden_sweep_in_a_hyperplane(row):
    found = rings_at(row["alpha"])
    for name, key in (("loss", "loss"), ("confidence", "conf"), ("gamma", "gamma")):
        np.testing.assert_allclose(found[name], row[key], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["grad_norm"], row["grad_norm"], rtol=1e-7)
    np.testing.assert_allclose(found["curvature_h"], row["H"], rtol=1e-7)
    np.testing.assert_allclose(found["spectral_norm_h"], row["snorm_H"], rtol=1e-7)
    np.testing.assert_allclose(found["frac_positive"], row["frac_pos"])
    if row["G"] is not None and row["alpha"] < 30:
        np.testing.assert_allclose(found["curvature_g"], row["G"], rtol=1e-7)


def test_temperature_is_a_scale():
    """T4: at alpha, and at T = alpha^-3, all is the same but for norms."""
    for alpha in (0.3, 1.0, 2.5):
        by_scale, by_heat = rings_at(alpha), rings_at(1.0, alpha**-3.0)
        for name in ("loss", "gamma", "curvature_h", "curvature_g", "curvature_f"):
            np.testing.assert_allclose(by_scale[name], by_heat[name], rtol=1e-9)
        np.testing.assert_allclose(
            by_scale["fro_norm_h"] * alpha**2, by_heat["fro_norm_h"], rtol=1e-9
        )


def test_spectral_norms_follow_their_powers():
    """T3: at small scales F goes with alpha^(L-2) = alpha, G with alpha^(2L-2)."""
    low, high = (rings_at(alpha) for alpha in (0.01, 0.02))
    ratio = {n: high[f"spectral_norm_{n}"] / low[f"spectral_norm_{n}"] for n in "gf"}
    np.testing.assert_allclose(ratio["g"], 2.0**4, rtol=1e-3)
    np.testing.assert_allclose(ratio["f"], 2.0, rtol=1e-3)


def test_estimates_agree_with_the_whole_matrix():
    exact = rings_at(1.0, directions=None)
    estimated = rings_at(
        1.0,
        directions=None,
        method="hutchinson",
        n_probes=400,
        random=np.random.RandomState(1),
    )
    for part in "hgf":
        for name in ("trace", "fro_norm", "curvature"):
            key = f"{name}_{part}"
            gap = abs(exact[key] - estimated[key])
            assert gap < 4 * estimated[f"{key}_stderr"] + 1e-9
            assert exact[f"{key}_stderr"] == 0.0


def test_spectra_of_a_small_network_are_those_of_its_matrix(digits):
    X, y = digits
    network = clone(SMALL).set_params(hidden_layer_sizes=(6, 5))
    probe = GoldilocksProbe(
        network, scales=[0.5, 1.0], n_eigenvalues=4, density_steps=5, random_state=0
    ).fit(X, y)
    assert probe.n_parameters_ < 2000
    module = probe.estimator_.module_.double()
    for row, scale in enumerate(probe.scales_):
        operator = HessianOperator(scale_parameters(module, scale), X, y)
        values = np.linalg.eigvalsh(operator.to_dense())
        nodes, weights = probe.density_[row]
        np.testing.assert_allclose(nodes, values, atol=1e-9 * abs(values).max())
        np.testing.assert_allclose(weights, 1 / len(values))
        by_size = values[np.argsort(-abs(values))][:4]
        np.testing.assert_allclose(probe.eigenvalues_[row], by_size, rtol=1e-9)
    assert (probe.ritz_residuals_ == 0).all()
    assert "eigenvalues" not in probe.results_
    none = GoldilocksProbe(network, scales=[1.0], random_state=0).fit(X, y)
    assert none.eigenvalues_.shape == (1, 0) and none.density_ == []
    with pytest.raises(
        ValueError, match=r"n_eigenvalues must be at most 20, .* Got 30"
    ):
        none.set_params(projection=20, n_eigenvalues=30).fit(X, y)


@pytest.mark.parametrize(
    "options",
    [
        {"bias": True, "initialization": "kaiming_normal"},
        {"bias": False, "activation": torch.nn.ReLU6},
        {"bias": False, "initialization": "kaiming_normal"},
        {"bias": True},
    ],
    ids=["zero biases", "relu6", "homogeneous", "biases"],
)
def test_traces_of_a_sweep_are_those_of_each_scale(digits, options):
    X, y = digits
    network = NetworkClassifier(hidden_layer_sizes=(40,), module_params=options)
    scales = [0.01, 1.0, 30.0]
    probe = GoldilocksProbe(network, scales=scales, n_probes=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        probe.fit(X, y)
    assert probe.n_parameters_ > 2000
    module = probe.estimator_.module_.double()
    for scale, found in zip(scales, probe.trace_, strict=True):
        operator = HessianOperator(scale_parameters(module, scale), X, y)
        np.testing.assert_allclose(found, operator.exact_trace(), rtol=1e-9)


def test_what_the_probe_refuses(digits):
    X, y = digits
    net = NeuralNetClassifier(nn.Linear(64, 10), criterion=nn.MultiMarginLoss)
    with pytest.raises(ValueError, match=r"cross-entropy.*MultiMarginLoss"):
        GoldilocksProbe(net, scales=[1.0]).fit(X, y)
    with pytest.raises(ValueError, match=r"method='exact'.*projection=5"):
        GoldilocksProbe(SMALL, method="exact", projection=5).fit(X, y)
    with pytest.warns(UserWarning, match=r"largest at the edge of scales"):
        GoldilocksProbe(SMALL, scales=[2.0, 3.0, 5.0, 9.0], random_state=0).fit(X, y)
    double = nn.Linear(64, 10).double()
    assert GoldilocksProbe(double, scales=[1.0]).fit(X, y).curvature_[0] > 0


def test_hyperplanes_are_averaged(digits):
    X, y = digits
    options = {"scales": [1.0], "projection": 8, "random_state": 0}
    one = GoldilocksProbe(SMALL, **options).fit(X, y)
    np.testing.assert_allclose(one.curvature_stderr_, np.sqrt(2 / 9))
    three = GoldilocksProbe(
        SMALL, **options, n_projections=3, n_eigenvalues=2, density_steps=1
    ).fit(X, y)
    # The first hyperplane is the same.
    assert 0 < three.curvature_stderr_[0] < 1
    assert three.curvature_[0] != one.curvature_[0]
    assert len(three.density_[0][0]) == 24
    np.testing.assert_allclose(three.density_[0][1].sum(), 1.0)
    assert three.score(X, y) == pytest.approx(three.curvature_[0])
    rows = [{"a": 1.0, "a_stderr": 5.0}, {"a": 3.0, "a_stderr": 5.0}]
    assert average(rows) == {"a": 2.0, "a_stderr": pytest.approx(1.0)}
    assert average(rows[:1]) == rows[0]


# -- small functions ------------------------------------------------------------------


def test_gamma_by_hand():
    assert gamma_statistic(np.full((3, 5), 0.2)) == pytest.approx(2.0)
    assert gamma_statistic(np.eye(4)) == 0.0
    nearly = np.array([[1 - 1e-18, 1e-18, 0.0]])
    assert gamma_statistic(nearly) == pytest.approx(1.0)
    for bad in ([[np.nan]], [0.5], np.ones((2, 2)) * 2):
        with pytest.raises(ValueError, match="proba must"):
            gamma_statistic(bad)


def test_expected_curvature_by_hand():
    assert expected_g_curvature(1.0, 0.0, 2.0, 100) == pytest.approx(2.0)
    assert expected_g_curvature(1.0, 1.0, 0.5, 100) == 0.0
    assert np.isnan(expected_g_curvature(0.0, 0.0, 2.0, 100))


def test_scaling_leaves_the_module_and_what_is_frozen():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net[0].bias.requires_grad_(False)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    scaled = scale_parameters(net, 3.0)
    for key, value in scaled.state_dict().items():
        factor = 3.0 if key in ("0.weight", "1.weight", "1.bias") else 1
        assert torch.equal(value, before[key] * factor)
        assert torch.equal(net.state_dict()[key], before[key])
    with pytest.raises(ValueError, match="alpha must be a finite number"):
        scale_parameters(net, np.inf)


@pytest.mark.parametrize(
    "options, degree",
    [
        ({"bias": False}, 3.0),
        ({"bias": True}, np.nan),
        ({"bias": False, "activation": "tanh"}, np.nan),
        ({"bias": False, "activation": "leaky_relu"}, 3.0),
        # Shifts are 0 at first, and so are biases by some initialisations: the logits
        # scale by a power, but not their derivatives.
        ({"bias": False, "batch_norm": True}, np.nan),
        ({"bias": True, "initialization": "kaiming_normal"}, np.nan),
        ({"bias": False, "activation": torch.nn.ReLU6}, np.nan),
    ],
)
def test_degree_of_homogeneity(options, degree):
    torch.manual_seed(0)
    net = make_network("mlp", (4,), 3, hidden_layer_sizes=(6, 5), **options).eval()
    found = homogeneity_degree(net.double(), torch.randn(9, 4).double())
    np.testing.assert_allclose(found, degree)


def test_zone_by_hand():
    scales = np.array([1.0, 2, 3, 4, 5])
    none = np.zeros(5)
    assert find_zone(scales, np.array([0, 3, 4, 1, 3]), none, 0.5) == (3.0, (2.0, 3.0))
    noisy = np.array([0.1, 0.2, 0.1, 0.0, 0.1])
    assert find_zone(scales, noisy, none + 0.1, 0.5) == (2.0, None)
    best, zone = find_zone(scales, none + np.nan, none, 0.5)
    assert np.isnan(best) and zone is None
    gap = np.array([np.nan, 2, 2, np.nan, 2])
    assert find_zone(scales, gap, none, 0.5) == (2.0, (2.0, 3.0))


# -- the estimator --------------------------------------------------------------------


def test_sweep_is_exact_for_small_networks(digits):
    probe = GoldilocksProbe(SMALL, scales=[0.1, 1.0, 30.0], random_state=0).fit(*digits)
    assert probe.n_parameters_ == 64 * 12 + 12 * 8 + 8 * 10
    assert probe.is_homogeneous_ and probe.degree_ == pytest.approx(3)
    assert probe.is_exact_trace_
    np.testing.assert_array_equal(probe.curvature_stderr_, 0)
    module = probe.estimator_.module_.double()
    for i, scale in enumerate(probe.scales_):
        operator = HessianOperator(scale_parameters(module, scale), *digits)
        value, _ = positive_curvature(operator)
        np.testing.assert_allclose(probe.curvature_[i], value, rtol=1e-6, atol=1e-9)
    assert probe.best_scale_ == 1.0
    np.testing.assert_allclose(
        probe.results_["trace_h"],
        probe.results_["trace_g"] + probe.results_["trace_f"],
        rtol=1e-9,
        atol=1e-12,
    )


def test_large_networks_have_exact_traces_and_honest_errors(digits):
    X, y = digits
    wide = NetworkClassifier(hidden_layer_sizes=(64, 32), module_params=PLAIN)
    probe = GoldilocksProbe(wide, scales=[0.1, 1.0, 3.0], random_state=0).fit(X, y)
    assert (probe.curvature_stderr_ > 0).all()
    module = probe.estimator_.module_.double()
    for i, scale in enumerate(probe.scales_):
        operator = HessianOperator(scale_parameters(module, scale), X, y)
        np.testing.assert_allclose(probe.trace_[i], operator.exact_trace(), rtol=1e-9)
    many = clone(probe).set_params(n_probes=200).fit(X, y)
    gap = abs(many.curvature_ - probe.curvature_)
    assert (gap < 5 * probe.curvature_stderr_ + 1e-9).all()
    assert (probe.results_["curvature_g"] >= 1 - 1e-9).all()


def test_temperatures_mirror_scales(digits):
    scales = np.array([0.2, 0.7, 1.0, 3.0])
    by_scale = GoldilocksProbe(SMALL, scales=scales, random_state=0).fit(*digits)
    by_heat = GoldilocksProbe(
        SMALL, scales=scales**-3, scale_by="temperature", random_state=0
    ).fit(*digits)
    np.testing.assert_allclose(by_heat.curvature_[::-1], by_scale.curvature_, rtol=1e-6)


def test_initialisations_are_averaged(digits):
    probe = GoldilocksProbe(SMALL, scales=[1.0], n_init=3, random_state=0).fit(*digits)
    assert probe.curvature_stderr_[0] > 0.01
    again = clone(probe).fit(*digits)
    np.testing.assert_array_equal(probe.curvature_, again.curvature_)
    other = clone(probe).set_params(random_state=1).fit(*digits)
    assert other.curvature_[0] != probe.curvature_[0]


def test_score_is_what_grid_search_climbs(digits):
    probe = GoldilocksProbe(SMALL, scales=(), random_state=0)
    search = GridSearchCV(probe, {"scale": [0.05, 1.0, 50.0]}, cv=2).fit(*digits)
    assert search.best_params_ == {"scale": 1.0}
    fitted = search.best_estimator_
    assert fitted.zone_ is None and np.isnan(fitted.best_scale_)
    assert fitted.results_["scale"].size == 0
    sweep = GoldilocksProbe(SMALL, scales=[1.0], random_state=0).fit(*digits)
    np.testing.assert_allclose(sweep.score(*digits), sweep.curvature_[0])


def test_rows_add_up_to_the_trace(digits):
    probe = GoldilocksProbe(SMALL, scales=[1.0], random_state=0).fit(*digits)
    features = probe.transform(digits[0])
    assert list(probe.get_feature_names_out()) == [
        "confidence",
        "entropy",
        "logit_rms",
        "trace_g",
    ]
    np.testing.assert_allclose(features[:, 3].mean(), probe.results_["trace_g"][0])
    np.testing.assert_allclose(features[:, 0].mean(), probe.results_["confidence"][0])
    frame = probe.set_output(transform="pandas").transform(digits[0])
    assert list(frame.columns)[3] == "trace_g"
    pipe = make_pipeline(StandardScaler(), probe, LogisticRegression(max_iter=5000))
    assert len(pipe.fit(*digits).predict(digits[0])) == 150


def test_given_weights_are_measured_and_left_alone(digits):
    X, y = digits
    trained = clone(SMALL).set_params(max_epochs=5, random_state=0).fit(X, y)
    state = {k: v.clone() for k, v in trained.module_.state_dict().items()}
    module = trained.module_
    expected, _ = positive_curvature(HessianOperator(scale_parameters(module, 1), X, y))
    for given in (FrozenEstimator(trained), module):
        probe = GoldilocksProbe(given, scales=[1.0], random_state=0).fit(X, y)
        np.testing.assert_allclose(probe.curvature_[0], expected, rtol=1e-4)  # float32
    for key, value in module.state_dict().items():
        assert torch.equal(value, state[key])
    fresh = GoldilocksProbe(trained, scales=[1.0], random_state=0).fit(X, y)
    assert abs(fresh.curvature_[0] - expected) > 1e-3
    with pytest.raises(TypeError, match=r"FrozenEstimator. Got LogisticRegression"):
        GoldilocksProbe(FrozenEstimator(LogisticRegression().fit(X, y))).fit(X, y)


class TokenTransformer(nn.Module):
    """Codes of words, attention, 2,600 parameters: matrix-vector products only."""

    def __init__(self, n_words=40, width=16):
        super().__init__()
        self.table = nn.Embedding(n_words, width)
        self.layer = nn.TransformerEncoderLayer(width, 2, 16, batch_first=True)
        self.head = nn.Linear(width, 3)

    def forward(self, X):
        return self.head(self.layer(self.table(X.long())).mean(1))


def test_a_small_transformer_fresh_and_trained():
    X = np.random.RandomState(0).randint(0, 40, (60, 8))
    y = (X < 13).sum(1) % 3
    options = {
        "scales": [1.0],
        "n_probes": 20,
        "n_eigenvalues": 3,
        "density_steps": 10,
        "random_state": 0,
    }
    fresh = GoldilocksProbe(TokenTransformer, **options).fit(X, y)
    assert fresh.results_["trace_h_stderr"][0] > 0  # attention: no exact trace of H
    assert fresh.results_["trace_g_stderr"][0] == 0 and np.isnan(fresh.degree_)
    trained = NetworkClassifier(
        TokenTransformer, max_epochs=30, lr=0.01, random_state=0
    ).fit(X, y)
    assert trained.score(X, y) > 0.8
    probe = GoldilocksProbe(FrozenEstimator(trained), **options).fit(X, y)
    operator = HessianOperator(trained.module_, X, y)
    largest, _ = eigenvalues(operator, 3, which="LM", random_state=0)
    np.testing.assert_allclose(probe.eigenvalues_[0], largest, rtol=1e-3)  # float32
    sharpness = probe.results_["spectral_norm_h"][0]
    assert sharpness == abs(probe.eigenvalues_[0, 0])
    assert probe.ritz_residuals_.max() < 1e-4 * sharpness
    nodes, weights = probe.density_[0]
    assert abs(nodes).max() <= sharpness * (1 + 1e-6) and len(nodes) == 4 * 10
    np.testing.assert_allclose(weights.sum(), 1.0)
    assert probe.results_["loss"][0] < fresh.results_["loss"][0] / 2


def test_images_skorch_nets_and_labels_of_any_kind(digits):
    X, y = digits
    names = np.array([f"digit {label}" for label in y])
    lenet = NetworkClassifier("lenet-5", module_params={"padding": "same"})
    probe = GoldilocksProbe(
        lenet, scales=[1.0], n_samples=40, n_probes=5, random_state=0
    )
    probe.fit(X.reshape(-1, 8, 8), names)
    assert probe.classes_[0] == "digit 0" and probe.curvature_[0] > 0
    net = NeuralNetClassifier(
        make_network,
        module__name="mlp",
        module__input_shape=(64,),
        module__n_outputs=10,
        module__hidden_layer_sizes=(8,),
        criterion=nn.CrossEntropyLoss,
        verbose=0,
    )
    for estimator in (net, SkorchClassifier(net)):
        probe = GoldilocksProbe(estimator, scales=[1.0], random_state=0).fit(X, y)
        assert probe.curvature_[0] > 0


def test_smooth_networks_are_estimated_and_exactness_is_refused(digits):
    tanh = NetworkClassifier(
        hidden_layer_sizes=(64,), module_params={"activation": "tanh"}
    )
    probe = GoldilocksProbe(tanh, scales=[1.0], random_state=0).fit(*digits)
    assert not probe.is_exact_trace_ and not probe.is_homogeneous_
    assert probe.results_["trace_h_stderr"][0] > 0
    assert probe.results_["trace_g_stderr"][0] == 0
    with pytest.raises(ValueError, match=r"method=.exact. does not apply.*Tanh"):
        clone(probe).set_params(method="exact").fit(*digits)


def test_hyperplanes_and_subsets_of_parameters(digits):
    probe = GoldilocksProbe(
        SMALL, scales=[1.0], projection=20, n_eigenvalues=1, random_state=0
    ).fit(*digits)
    assert abs(probe.curvature_[0]) <= np.sqrt(20)
    assert 0 <= probe.results_["frac_positive"][0] <= 1
    last = GoldilocksProbe(
        SMALL, scales=[1.0], params="classifier", random_state=0
    ).fit(*digits)
    assert last.n_parameters_ == 80
    # The last layer alone has no residual part.
    np.testing.assert_allclose(last.curvature_, last.curvature_g_)
    with pytest.raises(ValueError, match=r"dimension|projection"):
        clone(probe).set_params(projection=5000).fit(*digits)


def test_a_network_of_zeros_has_no_curvature(digits):
    module = make_network("mlp", (64,), 10, hidden_layer_sizes=(6,), bias=False)
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    probe = GoldilocksProbe(module, scales=[1.0, 2.0], random_state=0)
    with pytest.warns(UserWarning, match="not defined at scales"):
        probe.fit(*digits)
    assert np.isnan(probe.curvature_).all() and probe.zone_ is None


def test_tiny_scales_do_not_underflow(digits):
    probe = GoldilocksProbe(SMALL, scales=[1e-100], random_state=0).fit(*digits)
    assert abs(probe.curvature_[0]) < 1e-9 and probe.fro_norm_[0] > 0


def test_global_generators_and_pickles(digits):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    probe = GoldilocksProbe(SMALL, scales=[1.0], random_state=0).fit(*digits)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    again = pickle.loads(pickle.dumps(probe))
    assert again.score(*digits) == probe.score(*digits)


@pytest.mark.parametrize(
    "options, error, message",
    [
        (
            {"scales": [1.0, -1.0]},
            ValueError,
            "scales must be a list of finite numbers",
        ),
        ({"scales": ["a"]}, ValueError, "scales must be numbers"),
        ({"scales": [1e200]}, ValueError, "logits stay finite. At 1e"),
        ({"scale": 0}, ValueError, "'scale' parameter"),
        ({"estimator": LogisticRegression()}, TypeError, "needs a torch network"),
        ({"params": "nothing"}, ValueError, "params must name"),
        (
            {"estimator": make_pipeline(StandardScaler(), SMALL)},
            TypeError,
            "put GoldilocksProbe at the end of the Pipeline",
        ),
    ],
)
def test_bad_parameters_are_named(digits, options, error, message):
    settings = {"estimator": SMALL, "scales": [1.0], "random_state": 0} | options
    with pytest.raises(error, match=message):
        GoldilocksProbe(**settings).fit(*digits)


def test_verbose_shows_a_bar(digits, capfd):
    GoldilocksProbe(SMALL, scales=[1.0, 2.0], random_state=0, verbose=1).fit(*digits)
    assert "2/2" in capfd.readouterr().err


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(digits):
    X, y = digits
    options = {"scales": [0.5, 1.0], "n_eigenvalues": 1, "random_state": 0}
    found = [
        GoldilocksProbe(clone(SMALL).set_params(device=device), **options).fit(X, y)
        for device in ("cuda", "cpu")
    ]
    for name in ("curvature_", "trace_", "fro_norm_", "eigenvalues_"):
        values = [getattr(probe, name) for probe in found]
        # The initial weights are drawn on the CPU; products are float64.
        np.testing.assert_allclose(*values, rtol=1e-5)
    assert pickle.loads(pickle.dumps(found[0])).curvature_.shape == (2,)
