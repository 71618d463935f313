"""Epochs on pruned data and sizes of the steps of pruning."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklvyso import DRoPSampler
from sklvyso.data_pruning import pruning_sizes, scaled_max_epochs

DATA = Path(__file__).parents[1] / "data"
GOLDEN = json.loads((DATA / "drop_epochs.json").read_text())
GOLDEN_SIZES = json.loads((DATA / "drop_schedulers.json").read_text())


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_epochs(case):
    epochs = scaled_max_epochs(case["epochs"], case["selected"], case["full_size"])
    assert epochs == case["ref_epochs"]


@pytest.mark.parametrize("arguments", [(0, 1, 2), (5, 0, 2), (5, 3, 2), (1.5, 1, 2)])
def test_bad_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=r"must be an integer >= 1"):
        scaled_max_epochs(*arguments)


@pytest.mark.parametrize("case", GOLDEN_SIZES)
def test_golden_sizes(case):
    total, density = case["full_size"], case["final_frac"]
    n_steps, schedule = case["iterations"], case["name"].lower()
    sizes = pruning_sizes(total, density, n_steps, schedule=schedule)
    # The golden table rounds halves to even, we round them up.
    halves = [
        np.floor(size) + 1 if size % 1 == 0.5 else golden
        for size, golden in zip(
            real_sizes(total, density, n_steps, schedule),
            case["nearest_int"],
            strict=True,
        )
    ]
    assert sizes.tolist() == halves
    assert sizes.dtype == np.int64


def real_sizes(total, density, n_steps, schedule):
    kept = Fraction(str(density))
    for step in range(1, n_steps + 1):
        if schedule == "linear":
            yield total * (1 - step * (1 - kept) / n_steps)
        elif step == n_steps:
            yield total * kept
        else:
            yield total * density ** (step / n_steps)


@pytest.mark.parametrize(
    "schedule, expected",
    [("linear", [85, 70, 55, 40]), ("exponential", [80, 63, 50, 40])],
)
def test_equal_steps_in_rows_or_in_fractions(schedule, expected):
    sizes = pruning_sizes(100, 0.4, 4, schedule=schedule)
    assert sizes.tolist() == expected


@pytest.mark.parametrize("schedule", ["linear", "exponential"])
def test_halves_are_rounded_up_despite_float_noise(schedule):
    assert pruning_sizes(100, 0.145, schedule=schedule).tolist() == [15]  # 14.49...98
    assert pruning_sizes(100, 0.285, schedule=schedule).tolist() == [29]  # 28.49...96
    assert pruning_sizes(1797, 0.5, schedule=schedule).tolist() == [899]


@given(
    st.integers(1, 10**6),
    st.floats(1e-3, 1),
    st.integers(1, 40),
    st.sampled_from(["linear", "exponential"]),
)
def test_sizes_never_increase_and_end_at_the_density(total, density, steps, schedule):
    total = max(total, 1000)
    sizes = pruning_sizes(total, density, steps, schedule=schedule)
    assert sizes.shape == (steps,)
    assert (np.diff(sizes) <= 0).all() and 1 <= sizes[-1] and sizes[0] <= total
    assert sizes[-1] == pruning_sizes(total, density)[0]
    assert abs(sizes[-1] - density * total) <= 0.5 + 1e-9


@given(st.integers(1, 999))
def test_last_size_is_the_target_of_the_sampler(thousandths):
    density = thousandths / 1000
    y = np.arange(500) % 2
    sampler = DRoPSampler(density=density, quota="uniform", min_per_class=0)
    if 500 * density < 0.5:
        return
    sampler.fit(np.zeros((500, 1)), y)
    assert pruning_sizes(500, density)[0] == sampler.target_size_


def test_density_one_keeps_everything():
    for schedule in ("linear", "exponential"):
        assert pruning_sizes(7, 1, 3, schedule=schedule).tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    "arguments, match",
    [
        ((0, 0.5), "n_total must be an integer >= 1. Got 0"),
        ((10.0, 0.5), "n_total must be an integer >= 1. Got 10.0"),
        ((10, 0.5, 0), "n_steps must be an integer >= 1. Got 0"),
        ((10, 0.0), r"density must lie in \(0, 1\]. Got 0.0"),
        ((10, 1.5), r"density must lie in \(0, 1\]. Got 1.5"),
        ((10, float("nan")), r"density must lie in \(0, 1\]. Got nan"),
        ((10, "half"), r"density must lie in \(0, 1\]. Got 'half'"),
        ((10, 0.01), "density must keep at least one of n_total=10 rows. Got 0.01"),
    ],
)
def test_bad_sizes_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        pruning_sizes(*arguments)


def test_unknown_schedules_are_refused():
    with pytest.raises(ValueError, match="schedule must be 'linear' or 'exponential'"):
        pruning_sizes(10, 0.5, schedule="cosine")
