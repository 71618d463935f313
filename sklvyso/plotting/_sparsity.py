"""Kept and active weights by layer; direct against effective compression."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import is_sequence, shown
from sklvyso._optional import import_optional
from sklvyso.plotting._arguments import check_curves, check_level
from sklvyso.plotting._axes import axes_for

KINDS = ("layers", "curve")


class SparsityDisplay:
    """What pruning left, as bars by layer or as a curve of compressions.

    Make one with :meth:`from_estimator`, :meth:`from_report` or :meth:`from_curves`.

    .. versionadded:: 0.1

    Parameters
    ----------
    layers : list of dict, default=None
        Layers with ``name``, ``n_weights``, ``kept`` and ``active``, such as
        ``report.layers`` of :func:`~sklvyso.sparsity.sparsity_report`.
    curves : dict of str to (array-like, array-like), default=None
        Name of a pruner to its direct and effective compressions.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn into.
    figure_ : matplotlib.figure.Figure
        Figure of ``ax_``.
    bars_ : dict of str to matplotlib.container.BarContainer
        Bars ``"weights"``, ``"kept"`` and ``"active"``.
    notes_ : dict of str to matplotlib.text.Annotation
        By the name of the layer: what a bar of length zero cannot show.
    lines_ : dict of str to matplotlib.lines.Line2D
        Curves by name.

    See Also
    --------
    sklvyso.sparsity.sparsity_report : The numbers behind the bars.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from sklvyso.plotting import SparsityDisplay
    >>> from sklvyso.sparsity import sparsity_report
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> report = sparsity_report(net, {"2.weight": np.array([[1, 1, 0]])}, (2,))
    >>> display = SparsityDisplay.from_report(report)
    >>> [int(bar.get_width()) for bar in display.bars_["active"]]
    [4, 2]
    """

    def __init__(
        self,
        *,
        layers: list[dict[str, Any]] | None = None,
        curves: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    ):
        if (layers is None) == (curves is None):
            raise ValueError("One of layers and curves must be given, not both.")
        if layers is not None:
            _check_layers(layers)
        if curves is not None:
            if isinstance(curves, Mapping) and not curves:
                raise ValueError("layers and curves must hold something. Got none.")
            parts = ("direct compressions", "effective compressions")
            curves = check_curves("curves", curves, parts)
        self.layers = layers
        self.curves = curves

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any):
        """Draw the layers of a fitted pruner.

        Parameters
        ----------
        estimator : EffectiveSparsityPruner
            Fitted, or pruned only.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``barh``.

        Returns
        -------
        display : SparsityDisplay
            Drawn.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "layer_report_"):
            raise TypeError(
                "estimator must be a fitted EffectiveSparsityPruner. Got "
                f"{shown(estimator)} instead."
            )
        return cls(layers=estimator.layer_report_).plot(ax, **kwargs)

    @classmethod
    def from_report(cls, report: Any, *, ax: Any = None, **kwargs: Any):
        """Draw the layers of a report.

        Parameters
        ----------
        report : SparsityReport
            Of :func:`~sklvyso.sparsity.sparsity_report`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``barh``.

        Returns
        -------
        display : SparsityDisplay
            Drawn.
        """
        if not hasattr(report, "layers"):
            raise TypeError(f"report must be a SparsityReport. Got {shown(report)}.")
        return cls(layers=report.layers).plot(ax, **kwargs)

    @classmethod
    def from_curves(
        cls,
        curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
        *,
        ax: Any = None,
        **kwargs: Any,
    ):
        """Draw effective against direct compression, one curve a pruner.

        Parameters
        ----------
        curves : dict of str to (array-like, array-like)
            Name to direct and effective compressions; inf is drawn at the upper edge.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        display : SparsityDisplay
            Drawn.
        """
        return cls(curves=curves).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            Title.
        **kwargs : dict
            Passed to ``barh`` or ``plot``.

        Returns
        -------
        display : SparsityDisplay
            This one.
        """
        height = 4.0 if self.layers is None else 1.6 + 0.28 * len(self.layers)
        self.ax_ = ax = axes_for(ax, "SparsityDisplay", height=height)
        self.figure_ = ax.figure
        if self.layers is not None:
            self._plot_layers(ax, self.layers, kwargs)
        else:
            self._plot_curves(ax, kwargs)
        if name is not None:
            ax.set_title(name)
        return self

    def _plot_layers(self, ax, layers, kwargs):
        places = np.arange(len(layers))
        styles = (
            ("weights", "n_weights", "0.88", 0.8),
            ("kept", "kept", "tab:orange", 0.6),
            ("active", "active", "tab:blue", 0.35),
        )
        self.bars_ = {}
        for label, key, color, height in styles:
            counts = [layer[key] for layer in layers]
            style = {"color": color, "height": height, "label": label} | kwargs
            self.bars_[label] = ax.barh(places, counts, **style)
        self.notes_ = {
            layer["name"]: self._note(ax, place, layer)
            for place, layer in zip(places, layers, strict=True)
            if not layer["active"]
        }
        ax.set_xscale("log")
        ax.set_xlim(left=0.7)
        ax.set_yticks(places, [layer["name"] for layer in layers])
        ax.set_ylim(len(layers) - 0.4, -0.6)  # input on top
        ax.set_xlabel("weights of the layer")
        self._legend_below(ax)
        ax.spines[["top", "right"]].set_visible(False)

    @staticmethod
    def _note(ax, place, layer):
        return ax.annotate(
            "none active" if layer["kept"] else "none kept",
            (layer["n_weights"], place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color="tab:blue" if layer["kept"] else "tab:orange",
        )

    @staticmethod
    def _legend_below(ax):
        """Put the legend under the label, however high the axes are."""
        transforms = import_optional(
            "matplotlib.transforms", extra="plot", caller="SparsityDisplay"
        )
        below = transforms.offset_copy(ax.transAxes, ax.figure, y=-34, units="points")
        ax.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=below,
            ncols=3,
            frameon=False,
        )

    def _plot_curves(self, ax, kwargs):
        curves = {
            label: tuple(np.asarray(values, dtype=float) for values in pair)
            for label, pair in (self.curves or {}).items()
        }
        finite = [e[np.isfinite(e)] for _, e in curves.values()]
        direct = np.concatenate([d for d, _ in curves.values()])
        top = 2 * max(direct.max(), *(e.max(initial=1) for e in finite))
        ax.axline((1, 1), (2, 2), color="0.6", linewidth=1, linestyle=":")
        self.lines_ = {}
        for label, (x, y) in curves.items():
            shown = np.where(np.isfinite(y), y, top)
            style = {"marker": ".", "label": label} | kwargs
            (self.lines_[label],) = ax.plot(x, shown, **style)
            dead = ~np.isfinite(y)
            color = self.lines_[label].get_color()
            ax.plot(x[dead], shown[dead], "x", color=color, clip_on=False)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_ylim(0.8, top)
        ax.set_xlabel("direct compression")
        ax.set_ylabel("effective compression (x: nothing left)")
        ax.legend(frameon=False, fontsize="small")
        ax.spines[["top", "right"]].set_visible(False)


def _check_layers(layers: Any) -> None:
    if not is_sequence(layers) or not len(layers):
        raise ValueError(
            f"layers must hold something, a dict a layer. Got {shown(layers)} instead."
        )
    needed = {"name", "n_weights", "kept", "active"}
    for layer in layers:
        if not isinstance(layer, Mapping) or needed - {*layer}:
            raise ValueError(
                f"layers must be dicts with {sorted(needed)}. Got {shown(layer)}."
            )
        for key in sorted(needed - {"name"}):
            check_level(f"layers[{layer['name']!r}][{key!r}]", layer[key])
