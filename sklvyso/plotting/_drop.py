"""What DRoP keeps of each class, and how pruning rules compare over densities."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import shown
from sklvyso._optional import import_optional
from sklvyso.plotting._arguments import check_curves
from sklvyso.plotting._axes import axes_for
from sklvyso.plotting._drop_tables import (
    COLUMNS,
    METRICS,
    check_metric,
    check_report,
    curves_of,
    names_of,
)

_MARKERS = "osD^vP*X"


class DRoPDisplay:
    """Kept rows by class, or a measure of the classes by density and pruning rule.

    Make one with :meth:`from_estimator` or :meth:`from_study`.

    .. versionadded:: 0.1

    Parameters
    ----------
    report : dict of str to array-like, default=None
        Columns ``class`` or ``group``, ``count``, ``recall`` (NaN where it was not
        measured), ``density`` and ``kept``, such as ``quota_report_`` of
        :class:`~sklvyso.DRoPSampler`.
    curves : dict of str to (array-like, array-like, array-like), default=None
        Name of a pruning rule to its densities, means and standard errors (NaN where
        there is one seed).
    metric : {"worst", "average", "gap", "std"}, default="worst"
        What the means of ``curves`` are, for the label.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn into.
    twin_ax_ : matplotlib.axes.Axes
        Of a report: the axis of recalls and densities, above the bars.
    figure_ : matplotlib.figure.Figure
        Figure of ``ax_``.
    bars_ : dict of str to matplotlib.container.BarContainer
        Bars ``"count"`` and ``"kept"`` of a report.
    lines_ : dict of str to matplotlib.lines.Line2D
        ``"recall"`` (if any was measured), ``"density"`` and ``"overall"`` of a report;
        the curves of a study by rule.
    bands_ : dict of str to matplotlib.artist.Artist
        Standard errors of a study by rule, where there are several seeds.

    See Also
    --------
    sklvyso.DRoPSampler : Makes the report.
    sklvyso.metrics.worst_class_recall : What a study measures.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso import DRoPSampler
    >>> from sklvyso.plotting import DRoPDisplay
    >>> X, y = np.zeros((40, 1)), np.repeat(["cat", "dog"], [10, 30])
    >>> sampler = DRoPSampler(recalls=[0.6, 0.8], density=0.5, uniform_mix=0)
    >>> display = DRoPDisplay.from_estimator(sampler.fit(X, y))
    >>> [float(bar.get_height()) for bar in display.bars_["kept"]]
    [8.0, 12.0]
    """

    def __init__(
        self,
        *,
        report: Mapping[str, ArrayLike] | None = None,
        curves: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]] | None = None,
        metric: str = "worst",
    ):
        if (report is None) == (curves is None):
            raise ValueError("One of report and curves must be given, not both.")
        given = report if curves is None else curves
        if not isinstance(given, Mapping):
            raise TypeError(
                "report and curves must be mappings of names to columns. Got "
                f"{shown(given)} instead."
            )
        if not given:
            raise ValueError("report and curves must hold something. Got none instead.")
        if report is not None:
            check_report(report)
        if curves is not None:
            parts = ("densities", "means", "errors")
            curves = check_curves("curves", curves, parts)
        check_metric(metric)
        self.report = report
        self.curves = curves
        self.metric = metric

    @classmethod
    def from_estimator(cls, sampler: Any, *, ax: Any = None, **kwargs: Any):
        """Draw what a fitted sampler keeps of each class or group.

        Parameters
        ----------
        sampler : DRoPSampler
            Fitted.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``bar``.

        Returns
        -------
        display : DRoPDisplay
            Drawn.
        """
        check_is_fitted(sampler)
        if not hasattr(sampler, "quota_report_"):
            raise TypeError(
                "sampler must have a quota_report_, as a fitted DRoPSampler has. Got "
                f"{type(sampler).__name__} instead."
            )
        return cls(report=sampler.quota_report_).plot(ax, **kwargs)

    @classmethod
    def from_study(
        cls,
        results: Iterable[Mapping[str, Any]],
        *,
        metric: str = "worst",
        ax: Any = None,
        **kwargs: Any,
    ):
        """Draw a measure against the density, one line a rule.

        Parameters
        ----------
        results : list of dict
            One a fitted model, with ``rule`` (its name), ``density`` in (0, 1],
            ``seed``, and the measure under the name that ``metric`` gives. Rules with
            the one density 1 (full data) are drawn as horizontal dashed lines.
        metric : {"worst", "average", "gap", "std"}, default="worst"
            What to draw: means over the seeds, with bands of one standard error.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        display : DRoPDisplay
            Drawn.
        """
        check_metric(metric)
        if not isinstance(results, Iterable) or getattr(results, "ndim", 1) == 0:
            raise TypeError(f"results must be a list of dicts. Got {shown(results)}.")
        curves = curves_of(list(results), metric)
        return cls(curves=curves, metric=metric).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            Title.
        **kwargs : dict
            Passed to ``bar`` (report) or ``plot`` (study).

        Returns
        -------
        display : DRoPDisplay
            This one.
        """
        ax = self._make_axes() if ax is None else axes_for(ax, "DRoPDisplay")
        self.ax_, self.figure_ = ax, ax.figure
        self.bars_: dict[str, Any] = {}
        self.lines_: dict[str, Any] = {}
        self.bands_: dict[str, Any] = {}
        if self.report is not None:
            pad = self._plot_report(ax, self.report, kwargs)
        else:
            pad = self._plot_curves(ax, self.curves or {}, kwargs)
        if name is not None:
            ax.set_title(name, pad=pad)
        return self

    def _make_axes(self):
        width = 6.4
        if self.report is not None:
            width = float(np.clip(0.14 * len(names_of(self.report)), 6.4, 16.0))
        return axes_for(None, "DRoPDisplay", width=width, height=4.2)

    @staticmethod
    def _legend_above(ax, artists) -> float:
        """Hide no data whatever the size of the axes; return the pad of the title."""
        room = ax.get_window_extent().width / ax.figure.dpi * 72
        needed = sum(28 + 4.5 * len(artist.get_label()) for artist in artists)
        n_columns = math.ceil(len(artists) / math.ceil(needed / room))
        ax.legend(
            handles=artists,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=n_columns,
            columnspacing=1.2,
            handletextpad=0.5,
            frameon=False,
            fontsize="small",
        )
        return 12 + 14 * math.ceil(len(artists) / n_columns)

    # -- report -------------------------------------------------------------------

    def _plot_report(self, ax, report, kwargs) -> float:
        """Draw bars below and fractions above; return the pad of the title."""
        count, recall, density, kept = (
            np.asarray(report[column], dtype=float) for column in COLUMNS
        )
        places = np.arange(len(count))
        styles = {"count": (count, "0.85", "all rows"), "kept": (kept, "C0", "kept")}
        for key, (heights, color, label) in styles.items():
            style = {"color": color, "width": 0.8, "label": label} | kwargs
            self.bars_[key] = ax.bar(places, heights, **style)
        self.twin_ax_ = twin = ax.twinx()
        self._plot_fractions(twin, places, recall, density, kept.sum() / count.sum())
        self._share_height(ax, twin, count.max())
        ax.set_xlim(-0.6, len(count) - 0.4)
        ax.set_xlabel("class" if "class" in report else "group")
        self._label_classes(ax, [str(name) for name in names_of(report)])
        return self._legend_above(ax, [*self.bars_.values(), *self.lines_.values()])

    def _plot_fractions(self, twin, places, recall, density, overall):
        size = float(np.clip(240 / len(places), 3, 6))
        style = {"linestyle": "none", "markersize": size, "clip_on": False}
        if np.isfinite(recall).any():
            (self.lines_["recall"],) = twin.plot(
                places, recall, "o", color="C1", label="recall", **style
            )
        (self.lines_["density"],) = twin.plot(
            places, density, "D", color="C0", label="density", **style
        )
        self.lines_["overall"] = twin.axhline(
            overall, color="C0", linewidth=1, linestyle=":", label="overall density"
        )

    @staticmethod
    def _share_height(ax, twin, highest):
        """Leave the upper half to the fractions, so that no mark hides a bar."""
        ax.set_ylim(0, 2.2 * highest)
        ticks = import_optional("matplotlib.ticker", extra="plot", caller="DRoPDisplay")
        values = ticks.MaxNLocator(4, integer=True).tick_values(0, highest)
        ax.set_yticks(values[(values >= 0) & (values <= highest)])
        ax.set_ylabel("rows", y=0.23)
        twin.set_ylim(-1.1, 1.05)
        twin.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
        twin.grid(axis="y", color="0.92")
        twin.set_axisbelow(True)
        twin.set_ylabel("fraction", y=0.75)
        for axes in (ax, twin):
            axes.spines[["top", "left", "right"]].set_visible(False)
        for spine, top in ((ax.spines["left"], highest), (twin.spines["right"], 1)):
            spine.set_visible(True)
            spine.set_bounds(0, top)

    @staticmethod
    def _label_classes(ax, names):
        """Label all classes if they fit, turned if need be; else every n-th."""
        room = ax.get_window_extent().width / ax.figure.dpi * 72 / len(names)
        longest = max(map(len, names))
        width, height = 6.0 * (longest + 1), 11.0  # points, in the small font
        is_turned = width > room and longest > 3  # short ones are rather left out
        step = max(1, math.ceil((height if is_turned else width) / room))
        ax.set_xticks(
            range(0, len(names), step),
            names[::step],
            rotation=90 if is_turned else 0,
            fontsize="small",
        )

    # -- study --------------------------------------------------------------------

    def _plot_curves(self, ax, curves, kwargs) -> float:
        densities: set[float] = set()
        for i, (rule, curve) in enumerate(curves.items()):
            x, mean, error = (np.asarray(values, dtype=float) for values in curve)
            style = {"color": f"C{i}", "label": rule} | kwargs
            if x.tolist() == [1.0]:
                self._plot_reference(ax, rule, mean[0], error[0], style)
                continue
            densities.update(x)
            style = {"marker": _MARKERS[i % len(_MARKERS)]} | style
            (self.lines_[rule],) = ax.plot(x, mean, **style)
            if np.isfinite(error).any():
                band = {"color": self.lines_[rule].get_color(), "alpha": 0.15}
                edges = mean - error, mean + error
                self.bands_[rule] = ax.fill_between(x, *edges, linewidth=0, **band)
        self._scale_densities(ax, sorted(densities))
        ax.set_xlabel("density (kept fraction)")
        ax.set_ylabel(METRICS[self.metric])
        ax.spines[["top", "right"]].set_visible(False)
        return self._legend_above(ax, [*self.lines_.values()])

    def _plot_reference(self, ax, rule, mean, error, style):
        style = style | {"linestyle": "--", "marker": ""}
        self.lines_[rule] = ax.axhline(mean, **style)
        if np.isfinite(error):
            band = {"color": self.lines_[rule].get_color(), "alpha": 0.1}
            edges = mean - error, mean + error
            self.bands_[rule] = ax.axhspan(*edges, linewidth=0, **band)

    @staticmethod
    def _scale_densities(ax, densities):
        """Tick the densities that there are; take logarithms if they span a decade."""
        if not densities:
            ax.set_xlim(0, 1)
            return
        places = np.array(densities)
        if densities[-1] >= 10 * densities[0]:
            ax.set_xscale("log")
            places = np.log(places)
        ticks, last = [], -np.inf
        for density, place in zip(densities, places, strict=True):
            if place - last >= 0.09 * np.ptp(places):  # a label's width
                ticks.append(density)
                last = place
        labels = [f"{density:.3g}" for density in ticks]
        ax.set_xticks(ticks, labels, fontsize="small")
        ax.minorticks_off()
