"""Two Gaussian classes: closed forms against golden values, brute force, samples."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sklvyso.data_pruning import (
    drop_prior_ratio,
    drop_quotas,
    gaussian_mixture_risks,
    gaussian_mixture_threshold,
    optimal_prior_ratio,
    worst_class_threshold,
)

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "data" / "drop_theory.json").read_text()
)
FINITE = [case for case in GOLDEN if case["risk_minimizer"] == "finite"]
INFINITE = [case for case in GOLDEN if case["risk_minimizer"] != "finite"]
PAPER = {"mu": (-1.0, 1.0), "sigma": (0.5, 1.0)}


def mixture(case):
    mu, sigma = (case["mu0"], case["mu1"]), (case["sigma0"], case["sigma1"])
    return mu, sigma, (case["phi0"], 1 - case["phi0"])


def priors_of(ratio):
    return ratio / (1 + ratio), 1 / (1 + ratio)


def average_risk(threshold, mu, sigma, priors):
    return np.asarray(priors) @ gaussian_mixture_risks(threshold, mu, sigma)


def slope(threshold, mu, sigma, priors):
    """Return the derivative of the average risk and the size of its two terms."""
    z = (threshold - np.asarray(mu)) / sigma
    terms = np.asarray(priors) * np.exp(-(z**2) / 2) / sigma
    return terms[1] - terms[0], terms.sum()


@st.composite
def mixtures(draw):
    low = draw(st.floats(-5, 5))
    mu = (low, low + draw(st.floats(0.2, 6)))
    sigma = (draw(st.floats(0.2, 3)), draw(st.floats(0.2, 3)))
    first = draw(st.floats(0.05, 0.95))
    return mu, sigma, (first, 1 - first)


# -- golden values --------------------------------------------------------------------


def test_golden_values_cover_all_sorts_of_mixtures():
    assert len(GOLDEN) == 40 and len(FINITE) == 35
    assert {case["risk_minimizer"] for case in INFINITE} == {"always_0", "always_1"}
    signs = {np.sign(case["sigma1"] - case["sigma0"]) for case in GOLDEN}
    assert signs == {-1, 0, 1}


@pytest.mark.parametrize("case", FINITE)
def test_golden_threshold_and_its_risks(case):
    threshold = gaussian_mixture_threshold(*mixture(case))
    assert threshold == pytest.approx(case["t_star"], abs=1e-9)
    risks = gaussian_mixture_risks(threshold, *mixture(case)[:2])
    assert risks == pytest.approx(
        (case["R0_at_t_star"], case["R1_at_t_star"]), abs=1e-9
    )
    risk = average_risk(threshold, *mixture(case))
    assert risk == pytest.approx(case["min_risk"], abs=1e-9)
    # A search finds a minimum to the root of the machine precision only.
    assert threshold == pytest.approx(case["numeric_argmin"], abs=1e-6)


@pytest.mark.parametrize("global_minimum", [False, True])
@pytest.mark.parametrize("case", INFINITE)
def test_golden_mixtures_of_monotone_risk_have_an_infinite_threshold(
    case, global_minimum
):
    expected = math.inf if case["risk_minimizer"] == "always_0" else -math.inf
    threshold = gaussian_mixture_threshold(
        *mixture(case), global_minimum=global_minimum
    )
    assert threshold == expected
    assert average_risk(threshold, *mixture(case)) == pytest.approx(case["min_risk"])


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_worst_class_threshold_and_risk(case):
    mu, sigma, _ = mixture(case)
    threshold = worst_class_threshold(mu, sigma)
    assert threshold == pytest.approx(case["t_worst"], abs=1e-9)
    assert threshold == pytest.approx(case["t_worst_numeric"], abs=1e-9)
    risks = gaussian_mixture_risks(threshold, mu, sigma)
    assert risks == pytest.approx((case["worst_class_risk"],) * 2, abs=1e-9)


@pytest.mark.parametrize("case", GOLDEN)
def test_optimal_ratio_moves_the_average_minimiser_to_the_worst_class_optimum(case):
    mu, sigma, _ = mixture(case)
    ratio = optimal_prior_ratio(sigma)
    assert ratio == pytest.approx(case["robust_prior_ratio"], abs=1e-9)
    local = gaussian_mixture_threshold(mu, sigma, priors_of(ratio))
    assert local == pytest.approx(case["t_star_at_robust_ratio"], abs=1e-9)
    assert local == pytest.approx(worst_class_threshold(mu, sigma), abs=1e-9)
    best = gaussian_mixture_threshold(mu, sigma, priors_of(ratio), global_minimum=True)
    assert (best == local) == case["robust_ratio_is_global_min"]


@pytest.mark.parametrize("case", FINITE)
def test_golden_ratio_and_threshold_after_drop(case):
    mu, sigma, priors = mixture(case)
    ratio = drop_prior_ratio(mu, sigma, priors)
    assert ratio == pytest.approx(case["drop_prior_ratio"], rel=1e-9)
    after = gaussian_mixture_threshold(mu, sigma, priors_of(ratio), global_minimum=True)
    # The golden table has no threshold where the new minimum is not finite.
    assert math.isfinite(after) == ("t_after_drop" in case)
    if "t_after_drop" in case:
        assert after == pytest.approx(case["t_after_drop"], abs=1e-9)
        before = gaussian_mixture_threshold(mu, sigma, priors)
        worst = [max(gaussian_mixture_risks(t, mu, sigma)) for t in (before, after)]
        expected = case["worst_before"], case["worst_after_drop"]
        assert worst == pytest.approx(expected, abs=1e-9)


def test_golden_mixtures_show_that_drop_helps_often_but_not_always():
    cases = [case for case in GOLDEN if "t_after_drop" in case]
    lower = [case["worst_after_drop"] < case["worst_before"] for case in cases]
    assert 0.8 * len(cases) < sum(lower) < len(cases)


# -- exact cases ----------------------------------------------------------------------


def test_example_of_the_paper_overshoots():
    equal = (0.5, 0.5)
    before = gaussian_mixture_threshold(**PAPER, priors=equal)
    assert before == pytest.approx(-0.17005, abs=5e-6)
    risks = gaussian_mixture_risks(before, **PAPER)
    assert risks == pytest.approx((0.0485, 0.1210), abs=5e-5)
    ratio = drop_prior_ratio(**PAPER, priors=equal)
    assert ratio == pytest.approx(0.4006, abs=5e-5)
    after = gaussian_mixture_threshold(**PAPER, priors=priors_of(ratio))
    assert after == pytest.approx(-0.38996, abs=5e-6)
    risks = gaussian_mixture_risks(after, **PAPER)
    assert risks == pytest.approx((0.1112, 0.0823), abs=5e-5)
    best = worst_class_threshold(**PAPER)
    assert best == pytest.approx(-1 / 3)
    risks = gaussian_mixture_risks(best, **PAPER)
    assert risks == pytest.approx((0.0912, 0.0912), abs=5e-5)
    assert after < best < before


def test_symmetric_classes_are_cut_half_way():
    mu, sigma, equal = (2, 6), (1.5, 1.5), (0.5, 0.5)
    assert gaussian_mixture_threshold(mu, sigma, equal) == 4
    assert worst_class_threshold(mu, sigma) == 4
    assert optimal_prior_ratio(sigma) == 1
    assert drop_prior_ratio(mu, sigma, equal) == 1


def test_equal_deviations_follow_their_own_formula():
    mu, sigma, priors = (-1, 2), 0.7, (0.8, 0.2)
    expected = 0.5 + sigma**2 / 3 * math.log(0.8 / 0.2)
    threshold = gaussian_mixture_threshold(mu, (sigma, sigma), priors)
    assert threshold == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("change", [1e-9, -1e-9, 1e-12, -1e-15])
@pytest.mark.parametrize("first", [0.5, 0.03, 0.97])
def test_nearly_equal_deviations_change_next_to_nothing(change, first):
    mu, sigma, priors = (-1, 2), 0.7, (first, 1 - first)
    equal = gaussian_mixture_threshold(mu, (sigma, sigma), priors)
    nearly = gaussian_mixture_threshold(mu, (sigma, sigma * (1 + change)), priors)
    assert abs(nearly - equal) <= 3 * abs(change) + 1e-14


def test_threshold_moves_with_the_unit_and_the_origin():
    sigma, priors = np.array([0.5, 1.0]), (0.3, 0.7)
    threshold = gaussian_mixture_threshold((-1, 1), sigma, priors)
    for unit in (1e-100, 1e100):
        scaled = gaussian_mixture_threshold((-unit, unit), sigma * unit, priors)
        assert scaled == pytest.approx(threshold * unit)
    moved = gaussian_mixture_threshold((9, 11), sigma, priors)
    assert moved == pytest.approx(threshold + 10)


def test_where_the_local_minimum_is_not_the_global_one():
    mu, sigma, priors = (0, 0.5), (1, 3), (0.3, 0.7)
    local = gaussian_mixture_threshold(mu, sigma, priors)
    assert math.isfinite(local)
    assert average_risk(local, mu, sigma, priors) > 0.3
    assert gaussian_mixture_threshold(mu, sigma, priors, global_minimum=True) == (
        -math.inf
    )


def test_ratio_after_drop_without_a_finite_minimum():
    mu, sigma = (0, 1), (2, 1)
    assert gaussian_mixture_threshold(mu, sigma, (0.95, 0.05)) == math.inf
    assert drop_prior_ratio(mu, sigma, (0.95, 0.05)) == 0
    mu, sigma = (0, 1), (1, 2)
    assert gaussian_mixture_threshold(mu, sigma, (0.05, 0.95)) == -math.inf
    assert drop_prior_ratio(mu, sigma, (0.05, 0.95)) == math.inf


def test_risks_have_the_shape_of_the_thresholds():
    cuts = np.array([[-np.inf, 0.0, np.inf]])
    risks = gaussian_mixture_risks(cuts, **PAPER)
    assert risks[0].shape == risks[1].shape == (1, 3)
    np.testing.assert_array_equal(risks[0][0, [0, 2]], [1, 0])
    np.testing.assert_array_equal(risks[1][0, [0, 2]], [0, 1])
    assert np.ndim(gaussian_mixture_risks(0, **PAPER)[0]) == 0


# -- invariants -----------------------------------------------------------------------


@given(mixtures())
def test_threshold_is_a_minimum_of_the_average_risk(problem):
    threshold = gaussian_mixture_threshold(*problem)
    assume(math.isfinite(threshold))
    derivative, size = slope(threshold, *problem)
    assume(size > 1e-200)
    # The exponents lose digits far outside: up to some hundred units in the last place.
    assert abs(derivative) <= 1e-9 * size
    distance = problem[0][1] - problem[0][0]
    near = threshold + distance * np.array([-1e-3, 1e-3])
    assert slope(near[0], *problem)[0] <= 1e-9 * size
    assert slope(near[1], *problem)[0] >= -1e-9 * size


@given(mixtures())
def test_no_threshold_has_less_risk_than_the_global_minimum(problem):
    mu, sigma, _ = problem
    threshold = gaussian_mixture_threshold(*problem, global_minimum=True)
    reach = 10 * max(sigma)
    cuts = np.linspace(mu[0] - reach, mu[1] + reach, 2001)
    least = average_risk(cuts, *problem).min()
    assert average_risk(threshold, *problem) <= least + 1e-12


@given(mixtures())
def test_worst_class_threshold_equalises_the_risks_at_their_least_maximum(problem):
    mu, sigma, _ = problem
    threshold = worst_class_threshold(mu, sigma)
    first, second = gaussian_mixture_risks(threshold, mu, sigma)
    assert first == pytest.approx(second, rel=1e-9)
    cuts = np.linspace(mu[0], mu[1], 501)
    worst = np.maximum(*gaussian_mixture_risks(cuts, mu, sigma))
    assert first <= worst.min() + 1e-12


@given(mixtures(), st.booleans())
def test_mirrored_mixture_has_the_mirrored_thresholds(problem, global_minimum):
    mu, sigma, priors = problem
    mirrored = (-mu[1], -mu[0]), sigma[::-1], priors[::-1]
    threshold = gaussian_mixture_threshold(*problem, global_minimum=global_minimum)
    image = gaussian_mixture_threshold(*mirrored, global_minimum=global_minimum)
    # Local and global minimum may tie within rounding.
    assume(math.isfinite(threshold) == math.isfinite(image))
    assert image == pytest.approx(-threshold, abs=1e-6)
    assert worst_class_threshold(*mirrored[:2]) == pytest.approx(
        -worst_class_threshold(mu, sigma), abs=1e-12
    )
    assert optimal_prior_ratio(sigma[::-1]) == pytest.approx(
        1 / optimal_prior_ratio(sigma)
    )


@given(mixtures())
def test_ratio_after_drop_is_the_ratio_of_drop_quotas(problem):
    """Ten million rows of either class stand for the mixture itself."""
    mu, sigma, _ = problem
    equal = (0.5, 0.5)
    threshold = gaussian_mixture_threshold(mu, sigma, equal)
    risks = np.array(gaussian_mixture_risks(threshold, mu, sigma))
    assume(risks.min() > 1e-3)
    quotas = drop_quotas(1 - risks, [10**7, 10**7], 10**6)
    assert quotas[0] / quotas[1] == pytest.approx(
        drop_prior_ratio(mu, sigma, equal), rel=1e-3
    )


# -- samples --------------------------------------------------------------------------


def empirical_minimiser(first, second):
    """Return the threshold of fewest errors on a sample of each class."""
    values = np.concatenate([first, second])
    order = np.argsort(values)
    # Cutting after a row of class 0 mends an error, after one of class 1 makes one.
    change = np.where(order < len(first), -1, 1)
    return values[order[np.argmin(np.cumsum(change))]]


@pytest.mark.parametrize("radius", [0.2, 0.4])
def test_prototype_pruning_leaves_the_threshold_where_random_pruning_moves_it(radius):
    """At 400 000 rows a class an empirical minimiser errs by less than .02."""
    rng = np.random.RandomState(0)
    classes = [
        rng.normal(mu, sigma, 400_000)
        for mu, sigma in zip(*PAPER.values(), strict=True)
    ]
    threshold = gaussian_mixture_threshold(**PAPER, priors=(0.5, 0.5))
    assert empirical_minimiser(*classes) == pytest.approx(threshold, abs=0.02)

    far = [
        x[np.abs(x - mu) > radius] for x, mu in zip(classes, PAPER["mu"], strict=True)
    ]
    assert empirical_minimiser(*far) == pytest.approx(threshold, abs=0.02)

    drawn = [rng.permutation(x)[: len(f)] for x, f in zip(classes, far, strict=True)]
    ratio = len(far[0]) / len(far[1])
    moved = gaussian_mixture_threshold(**PAPER, priors=priors_of(ratio))
    assert empirical_minimiser(*drawn) == pytest.approx(moved, abs=0.02)
    best = worst_class_threshold(**PAPER)
    assert best < moved < threshold - 0.04


# -- errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mu", [(1, 0), (1, 1), (0, np.inf), (np.nan, 1), (0, 1, 2), 3, ("a", "b"), None]
)
def test_bad_means_are_named(mu):
    with pytest.raises(ValueError, match="mu must be two finite numbers"):
        gaussian_mixture_threshold(mu, (1, 1), (0.5, 0.5))
    with pytest.raises(ValueError, match="mu must be two finite numbers"):
        worst_class_threshold(mu, (1, 1))


@pytest.mark.parametrize("sigma", [(0, 1), (1, -1), (1, np.inf), (np.nan, 1), (1,), 1])
def test_bad_deviations_are_named(sigma):
    with pytest.raises(ValueError, match="sigma must be two finite numbers > 0"):
        optimal_prior_ratio(sigma)
    with pytest.raises(ValueError, match="sigma must be two finite numbers > 0"):
        gaussian_mixture_risks(0, (0, 1), sigma)


@pytest.mark.parametrize(
    "priors", [(0, 1), (0.5, 0.6), (1.5, -0.5), (0.5, np.nan), (0.5, np.inf), (1,)]
)
def test_bad_priors_are_named(priors):
    with pytest.raises(ValueError, match="priors must be two numbers > 0 of sum 1"):
        drop_prior_ratio((0, 1), (1, 1), priors)


@pytest.mark.parametrize("threshold", [np.nan, [0, np.nan], "x"])
def test_bad_thresholds_are_named(threshold):
    with pytest.raises(ValueError, match="threshold must be numbers, not NaN"):
        gaussian_mixture_risks(threshold, (0, 1), (1, 1))
