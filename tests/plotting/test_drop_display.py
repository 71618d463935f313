"""DRoPDisplay: arrays and artists, not pixels."""

from itertools import pairwise

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from sklvyso import DRoPSampler
from sklvyso.plotting import DRoPDisplay


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def make_report(n_classes=3, *, name="class", labels=None):
    count = np.arange(n_classes, 0, -1) * 10
    kept = count // 2
    return {
        name: np.arange(n_classes) if labels is None else labels,
        "count": count,
        "recall": np.linspace(0.5, 1, n_classes),
        "density": kept / count,
        "kept": kept,
    }


def make_results(rules=("random", "DRoP"), densities=(0.2, 0.5), n_seeds=3):
    return [
        {
            "rule": rule,
            "density": density,
            "seed": seed,
            "worst": 0.5 + 0.1 * i + 0.1 * density + 0.01 * seed,
            "average": 0.9,
        }
        for i, rule in enumerate(rules)
        for density in densities
        for seed in range(n_seeds)
    ]


def heights(bars):
    return [bar.get_height() for bar in bars]


def labels_of(display):
    return [text.get_text() for text in display.ax_.get_xticklabels()]


# -- report ---------------------------------------------------------------------------


def test_bars_and_marks_are_the_columns_of_the_report():
    X, y = load_digits(return_X_y=True)
    sampler = DRoPSampler(
        LogisticRegression(max_iter=1000), density=0.3, validation=0.3, random_state=0
    )
    with pytest.raises(NotFittedError):
        DRoPDisplay.from_estimator(sampler)
    display = DRoPDisplay.from_estimator(sampler.fit(X / 16, y))
    report = sampler.quota_report_
    assert display.report is report
    for column in ("count", "kept"):
        assert heights(display.bars_[column]) == report[column].tolist()
    for column in ("recall", "density"):
        np.testing.assert_array_equal(
            display.lines_[column].get_ydata(), report[column]
        )
    overall = display.lines_["overall"].get_ydata()[0]
    assert overall == pytest.approx(sampler.target_size_ / len(y))
    assert labels_of(display) == [str(label) for label in range(10)]
    assert display.ax_.get_xlabel() == "class"


def test_recalls_that_were_not_measured_are_left_out():
    y = np.repeat([0, 1], 10)
    sampler = DRoPSampler(density=0.5, quota="uniform", random_state=0)
    display = DRoPDisplay.from_estimator(sampler.fit(np.zeros((20, 1)), y))
    assert set(display.lines_) == {"density", "overall"}
    shown = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert shown == ["all rows", "kept", "density", "overall density"]


def test_groups_are_named_as_groups():
    report = make_report(2, name="group", labels=["land", "water"])
    display = DRoPDisplay(report=report).plot(name="Birds")
    assert display.ax_.get_xlabel() == "group"
    assert labels_of(display) == ["land", "water"]
    assert display.ax_.get_title() == "Birds"


@pytest.mark.parametrize("n_classes", [1, 2, 10, 100])
def test_marks_lie_above_all_bars(n_classes):
    display = DRoPDisplay(report=make_report(n_classes)).plot()
    display.figure_.canvas.draw()
    count = np.asarray(display.report["count"])
    top_of_bars = display.ax_.transData.transform((0, count.max()))[1]
    bottom_of_marks = display.twin_ax_.transData.transform((0, 0))[1]
    assert top_of_bars < bottom_of_marks


@pytest.mark.parametrize(
    "labels", [list(range(100)), [f"class {i}" for i in range(40)]]
)
def test_class_labels_do_not_overlap(labels):
    report = make_report(len(labels), labels=labels)
    display = DRoPDisplay(report=report).plot()
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.ax_.get_xticklabels()]
    assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))
    assert labels_of(display)[0] == str(labels[0])


@pytest.mark.parametrize("n_columns", [1, 2])
def test_given_axes_are_used_and_the_title_clears_the_legend(n_columns):
    figure, axes = plt.subplots(1, n_columns, squeeze=False, layout="constrained")
    ax = axes[0, 0]
    display = DRoPDisplay(report=make_report()).plot(ax, name="A title")
    assert display.ax_ is ax and display.figure_ is figure
    figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    title = ax.title.get_window_extent()
    assert ax.get_window_extent().y1 <= legend.y0 + 1 and legend.y1 <= title.y0


def test_keywords_reach_the_bars():
    display = DRoPDisplay(report=make_report()).plot(alpha=0.5)
    assert display.bars_["kept"][0].get_alpha() == 0.5


# -- study ----------------------------------------------------------------------------


def test_lines_are_means_over_seeds_with_bands_of_standard_errors():
    values = {0.5: [0.6, 0.8], 0.2: [0.3, 0.5]}
    results = [
        {"rule": "DRoP", "density": density, "seed": seed, "worst": value}
        for density, seeds in values.items()
        for seed, value in enumerate(seeds)
    ]
    display = DRoPDisplay.from_study(results)
    x, y = display.lines_["DRoP"].get_data()
    np.testing.assert_allclose(x, [0.2, 0.5])
    np.testing.assert_allclose(y, [0.4, 0.7])
    # Two values .2 apart: deviation .2 / sqrt 2, standard error .1.
    np.testing.assert_allclose(display.curves["DRoP"][2], [0.1, 0.1])
    edges = display.bands_["DRoP"].get_paths()[0].get_extents()
    assert (edges.y0, edges.y1) == pytest.approx((0.3, 0.8))
    assert display.ax_.get_ylabel() == "recall of the worst class"


def test_rules_keep_their_order_and_their_own_marker():
    display = DRoPDisplay.from_study(make_results(("b", "a", "c")))
    assert list(display.lines_) == ["b", "a", "c"]
    looks = {(line.get_color(), line.get_marker()) for line in display.lines_.values()}
    assert len(looks) == 3
    shown = {text.get_text() for text in display.ax_.get_legend().get_texts()}
    assert shown == {"a", "b", "c"}


def test_rules_at_density_one_only_are_dashed_horizontal_lines():
    results = [*make_results(), *make_results(["full data"], [1.0])]
    display = DRoPDisplay.from_study(results)
    line = display.lines_["full data"]
    assert line.get_linestyle() == "--" and len(set(line.get_ydata())) == 1
    assert line.get_ydata()[0] == pytest.approx(0.61)
    assert display.lines_["DRoP"].get_linestyle() == "-"
    assert set(display.bands_) == {"random", "DRoP", "full data"}
    assert max(display.ax_.get_xticks()) == 0.5


def test_full_data_alone_can_be_drawn():
    display = DRoPDisplay.from_study(make_results(["full data"], [1.0]))
    assert display.ax_.get_xlim() == (0, 1)


def test_one_seed_has_no_band():
    display = DRoPDisplay.from_study(make_results(n_seeds=1))
    assert display.bands_ == {}


@pytest.mark.parametrize(
    "densities, scale", [([0.1, 0.9], "linear"), ([0.05, 0.5], "log")]
)
def test_densities_over_a_decade_are_on_a_logarithmic_scale(densities, scale):
    display = DRoPDisplay.from_study(make_results(densities=densities))
    assert display.ax_.get_xscale() == scale
    assert labels_of(display) == [str(density) for density in densities]


def test_tick_labels_of_many_densities_do_not_overlap():
    densities = np.geomspace(0.01, 0.9, 40)
    display = DRoPDisplay.from_study(make_results(densities=densities))
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.ax_.get_xticklabels()]
    assert 5 < len(boxes) < 40
    assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))


@pytest.mark.parametrize("metric", ["worst", "average"])
def test_metric_picks_what_is_drawn(metric):
    _, ax = plt.subplots()
    display = DRoPDisplay.from_study(make_results(), metric=metric, ax=ax, linewidth=3)
    assert display.ax_ is ax and display.metric == metric
    assert display.lines_["DRoP"].get_linewidth() == 3
    expected = 0.9 if metric == "average" else 0.63
    assert display.lines_["DRoP"].get_ydata()[0] == pytest.approx(expected)


def test_plotting_again_draws_the_same_into_other_axes():
    first = DRoPDisplay.from_study(make_results())
    _, ax = plt.subplots()
    data = first.lines_["DRoP"].get_data()
    again = first.plot(ax)
    assert again is first and again.ax_ is ax
    np.testing.assert_array_equal(again.lines_["DRoP"].get_data(), data)


# -- errors ---------------------------------------------------------------------------


def test_one_of_report_and_curves():
    with pytest.raises(ValueError, match="One of report and curves"):
        DRoPDisplay()
    with pytest.raises(ValueError, match="One of report and curves"):
        DRoPDisplay(report=make_report(), curves={})
    with pytest.raises(ValueError, match="must hold something"):
        DRoPDisplay(curves={})


def test_estimators_without_a_report_are_refused():
    model = LogisticRegression().fit([[0], [1]], [0, 1])
    with pytest.raises(TypeError, match=r"quota_report_.*Got LogisticRegression"):
        DRoPDisplay.from_estimator(model)


@pytest.mark.parametrize("missing", ["class", "count", "recall", "density", "kept"])
def test_missing_columns_are_named(missing):
    report = make_report()
    del report[missing]
    with pytest.raises(ValueError, match="report must have the columns"):
        DRoPDisplay(report=report)


@pytest.mark.parametrize("column, values", [("kept", [1]), ("class", [0])])
def test_columns_of_different_lengths_are_refused(column, values):
    with pytest.raises(ValueError, match="columns of one length >= 1"):
        DRoPDisplay(report=make_report() | {column: values})


@pytest.mark.parametrize(
    "curve", [([0.1], [0.2]), ([0.1], [0.2], [0.1, 0.2]), (0.1, 0.2, 0.3)]
)
def test_curves_must_be_three_arrays_of_one_length(curve):
    with pytest.raises(ValueError, match="curves must hold densities, means and err"):
        DRoPDisplay(curves={"DRoP": curve})


def test_unknown_metrics_are_refused():
    with pytest.raises(ValueError, match="metric must be one of 'worst', 'average'"):
        DRoPDisplay.from_study(make_results(), metric="best")
    with pytest.raises(ValueError, match="Got 'best' instead"):
        DRoPDisplay(report=make_report(), metric="best")


@pytest.mark.parametrize(
    "change, match",
    [
        ({"density": 0.0}, r"density must lie in \(0, 1\]. Got 0.0"),
        ({"density": 30}, r"density must lie in \(0, 1\]. Got 30"),
        ({"worst": np.nan}, "worst must be a finite number. Got nan"),
    ],
)
def test_bad_values_are_named(change, match):
    results = make_results()
    results[1] |= change
    with pytest.raises(ValueError, match=match):
        DRoPDisplay.from_study(results)


def test_bad_records_are_named():
    with pytest.raises(ValueError, match="must hold something"):
        DRoPDisplay.from_study([])
    with pytest.raises(ValueError, match="results must be dicts with 'rule'"):
        DRoPDisplay.from_study([0.5])
    with pytest.raises(ValueError, match=r"'gap'. Got \['rule'"):
        DRoPDisplay.from_study(make_results(), metric="gap")
    with pytest.raises(ValueError, match="each rule, density and seed once"):
        DRoPDisplay.from_study(make_results() + make_results())
