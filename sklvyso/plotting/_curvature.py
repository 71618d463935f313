"""Curvature over scales with the zone shaded; spectra of matrices."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import check_sequence, is_choice, read_numbers
from sklvyso.plotting._arguments import check_curves, check_words, numbers
from sklvyso.plotting._axes import axes_for

_NAMES = {"h": "Hessian", "g": "Gauss-Newton part", "f": "rest"}
_COLORS = {"h": "tab:blue", "g": "tab:orange", "f": "tab:gray"}


class CurvatureDisplay:
    """Positive curvature over scales with standard errors, or a spectrum.

    Make one with :meth:`from_estimator` or :meth:`from_spectrum`.

    .. versionadded:: 0.1

    Parameters
    ----------
    scales : array-like of shape (n_scales,), default=None
        Scales of a sweep.
    curves : dict of str to (array-like, array-like), default=None
        Name of a curve to its values and standard errors.
    zone : tuple of float, default=None
        First and last scale to shade.
    nodes, weights : array-like of shape (n_nodes,), default=None
        A spectrum: eigenvalues, and the share of each.
    xlabel : str, default="scale"
        What the scales are.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn into.
    figure_ : matplotlib.figure.Figure
        Figure of ``ax_``.
    lines_ : dict of str to matplotlib.lines.Line2D
        Curves by name; ``"density"`` of a spectrum.
    bands_ : dict of str to matplotlib artists
        Bands of one standard error by name of the curve.
    zone_ : matplotlib artist or None
        The shaded zone.
    stems_ : matplotlib.collections.LineCollection
        Nodes of a spectrum.

    See Also
    --------
    sklvyso.GoldilocksProbe : Measures what is drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.plotting import CurvatureDisplay
    >>> display = CurvatureDisplay(
    ...     scales=[0.1, 1.0, 10.0],
    ...     curves={"Hessian": ([0.0, 2.0, 0.1], [0.1, 0.1, 0.1])},
    ...     zone=(1.0, 1.0),
    ... ).plot()
    >>> display.ax_.get_xscale()
    'log'
    """

    def __init__(
        self,
        *,
        scales: ArrayLike | None = None,
        curves: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
        zone: tuple[float, float] | None = None,
        nodes: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        xlabel: str = "scale",
    ):
        is_sweep, is_spectrum = scales is not None, nodes is not None
        if is_sweep == is_spectrum:
            raise ValueError("One of scales and nodes must be given, not both.")
        check_words(xlabel=xlabel)
        if is_sweep:
            if curves is not None and isinstance(curves, Mapping) and not curves:
                raise ValueError("curves must hold a curve of the scales. Got none.")
            scales = numbers("scales", scales, 1, is_finite=True)
            if not (scales > 0).all():
                raise ValueError(f"scales must be > 0. Got {scales.min()} instead.")
            curves = check_curves("curves", curves, ("values", "errors"))
            for label, (values, _) in curves.items():
                if len(values) != len(scales):
                    raise ValueError(
                        f"curves must have a value for each of the {len(scales)} "
                        f"scales. Got {len(values)} for {label!r}."
                    )
            if zone is not None:
                zone = tuple(numbers("zone", zone, 1, is_finite=True).tolist())
            if zone is not None and (len(zone) != 2 or min(zone) <= 0):
                raise ValueError(f"zone must be two scales > 0. Got {zone} instead.")
        if is_spectrum:
            nodes = read_numbers("nodes", nodes).astype(np.float64)
            weights = read_numbers("weights", weights).astype(np.float64)
            if nodes.shape != weights.shape or nodes.ndim != 1:
                raise ValueError(
                    "weights must have one entry for each node. Got shapes "
                    f"{weights.shape} and {nodes.shape}."
                )
            if not (weights > 0).any():
                raise ValueError("weights must be above 0 for one node or more.")
            nodes = numbers("nodes", nodes, 1, is_finite=True)
            weights = numbers("weights", weights, 1, is_finite=True)
        self.scales = scales
        self.curves = curves
        self.zone = zone
        self.nodes = nodes
        self.weights = weights
        self.xlabel = xlabel

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        parts: tuple[str, ...] = ("h", "g", "f"),
        ax: Any = None,
        **kwargs: Any,
    ):
        """Draw the sweep of a fitted probe.

        Parameters
        ----------
        estimator : GoldilocksProbe
            Fitted with scales.
        parts : tuple of str, default=("h", "g", "f")
            Which curves: of the Hessian, its Gauss-Newton part, and the rest.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``plot`` of the axes.

        Returns
        -------
        display : CurvatureDisplay
            Drawn.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "curvature_"):
            raise TypeError(
                "estimator must be a fitted GoldilocksProbe. Got "
                f"{type(estimator).__name__} instead."
            )
        parts = check_sequence("parts", parts)
        unknown = [part for part in parts if not is_choice(part, _NAMES)]
        if unknown or not len(parts):
            raise ValueError(
                f"parts must be some of {tuple(_NAMES)}. Got {tuple(parts)!r} instead."
            )
        results = estimator.results_
        if not len(estimator.scales_):
            raise ValueError(
                "estimator must have been fitted with scales. It skipped the sweep."
            )
        curves = {
            _NAMES[part]: (
                results[f"curvature_{part}"],
                results[f"curvature_{part}_stderr"],
            )
            for part in parts
        }
        display = cls(
            scales=estimator.scales_,
            curves=curves,
            zone=estimator.zone_,
            xlabel="temperature" if estimator.scale_by == "temperature" else "scale",
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_spectrum(
        cls, nodes: ArrayLike, weights: ArrayLike, *, ax: Any = None, **kwargs: Any
    ):
        """Draw a spectral density.

        Parameters
        ----------
        nodes, weights : array-like of shape (n_nodes,)
            Of :func:`~sklvyso.curvature.spectral_density`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``vlines`` of the axes.

        Returns
        -------
        display : CurvatureDisplay
            Drawn.
        """
        return cls(nodes=nodes, weights=weights).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            Title.
        **kwargs : dict
            Passed to ``plot`` or ``vlines`` of the axes.

        Returns
        -------
        display : CurvatureDisplay
            This one.
        """
        self.ax_ = ax = axes_for(ax, "CurvatureDisplay")
        self.figure_ = ax.figure
        if self.scales is not None:
            self._plot_sweep(ax, kwargs)
        else:
            self._plot_spectrum(ax, kwargs)
        ax.spines[["top", "right"]].set_visible(False)
        if name is not None:
            ax.set_title(name)
        return self

    def _plot_sweep(self, ax, kwargs):
        scales = np.asarray(self.scales, dtype=float)
        self.lines_, self.bands_, self.zone_ = {}, {}, None
        if self.zone is not None:
            low, high = self.zone
            # Half a step to each side, so that one scale has a width too.
            step = np.diff(np.log(scales)).min() / 2 if len(scales) > 1 else 0.1
            self.zone_ = ax.axvspan(
                low * np.exp(-step),
                high * np.exp(step),
                color="tab:green",
                alpha=0.12,
                label="zone",
            )
        colors = {_NAMES[part]: color for part, color in _COLORS.items()}
        for label, (values, error) in (self.curves or {}).items():
            values = np.asarray(values, dtype=float)
            error = np.nan_to_num(np.asarray(error, dtype=float))
            style = {"marker": ".", "label": label, "color": colors.get(label)}
            (line,) = ax.plot(scales, values, **style | kwargs)
            self.lines_[label] = line
            self.bands_[label] = ax.fill_between(
                scales,
                values - error,
                values + error,
                color=line.get_color(),
                alpha=0.2,
            )
        ax.axhline(0, color="0.7", linewidth=0.8)
        ax.set_xscale("log")
        ax.set_xlabel(self.xlabel)
        ax.set_ylabel("positive curvature, Tr / Frobenius norm")
        ax.legend(frameon=False)

    def _plot_spectrum(self, ax, kwargs):
        nodes = np.asarray(self.nodes, dtype=float)
        weights = np.asarray(self.weights, dtype=float)
        shown = weights > 0
        style = {"color": "tab:blue", "linewidth": 1.2} | kwargs
        floor = weights[shown].min() / 3
        self.stems_ = ax.vlines(nodes[shown], floor, weights[shown], **style)
        (line,) = ax.plot(nodes[shown], weights[shown], ".", color="tab:blue")
        self.lines_ = {"density": line}
        ax.axvline(0, color="0.7", linewidth=0.8)
        ax.set_yscale("log")
        # A power of ten, where matplotlib puts the first numbers next to 0.
        largest = max(abs(nodes).max(), 1e-290)
        threshold = 10.0 ** np.floor(np.log10(largest) - 2)
        ax.set_xscale("symlog", linthresh=threshold)
        ax.set_xlabel("eigenvalue")
        ax.set_ylabel("share of the spectrum")
