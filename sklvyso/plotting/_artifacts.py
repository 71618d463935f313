"""A frame with what a detector says about it, and ROC curves by artifact or game."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import auc, roc_curve
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import (
    check_flag,
    check_path,
    is_choice,
    read_array,
    read_numbers,
    shown,
)
from sklvyso._images import decoding
from sklvyso._optional import import_optional
from sklvyso.plotting._arguments import (
    check_curves,
    check_level,
    check_mapping,
    check_words,
)
from sklvyso.plotting._axes import axes_for

_NORMAL = ("", "normal", "0", "False")
# Tiles that look normal are dimmed: colours laid over a frame would hide its own, and
# those are what many artifacts change. It must stay recognisable in the dark.
_DIMMED = 0.6
_FROM = 0.5
_COLORS = {"likeliest": "tab:red", "other": "0.65"}
_MANY_CURVES = 6


class ArtifactDisplay:
    """What an artifact detector says about a frame, or how well it says it.

    Make one with :meth:`from_detector` (the frame, where it looks corrupted, and the
    probability of each artifact) or :meth:`from_predictions` (ROC curves by artifact
    or by game).

    .. versionadded:: 0.1

    Parameters
    ----------
    frame : array-like of shape (H, W), (H, W, 1) or (H, W, 3), default=None
        uint8, or floats in [0, 1].
    probabilities : mapping of str to float, default=None
        Artifact to its probability on the frame.
    heat_map : array-like of shape (n_rows, n_columns), default=None
        Probability that each tile of the frame shows the artifact, rather than none.
    artifact : str, default=None
        What the heat map shows.
    corrupted : float, default=None
        Probability that the frame is corrupted.
    is_flagged : bool, default=None
        Whether that is above the detector's threshold.
    curves : mapping of str to (array of shape (n,), array of shape (n,)), default=None
        Name to false-positive and true-positive rates.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        With the frame or the curves.
    bars_ax_ : matplotlib.axes.Axes
        With the probabilities, None without them.
    figure_ : matplotlib.figure.Figure
        Figure of ``ax_``.
    image_ : matplotlib.image.AxesImage
        The frame.
    heat_image_ : matplotlib.image.AxesImage
        The heat map, None without one.
    outlines_ : matplotlib.collections.LineCollection
        Round the tiles of probability 0.5 or more, None without a heat map.
    bars_ : matplotlib.container.BarContainer
        Probabilities of artifacts, None where they are not drawn.
    lines_ : dict of str to matplotlib.lines.Line2D
        Curves by name.

    See Also
    --------
    sklvyso.artifacts.ArtifactDetector : Says what is drawn here.
    sklearn.metrics.RocCurveDisplay : One ROC curve.

    Examples
    --------
    >>> from sklvyso.plotting import ArtifactDisplay
    >>> artifact = ["normal", "normal", "shader", "shader", "morse_code"]
    >>> display = ArtifactDisplay.from_predictions(artifact, [0.1, 0.4, 0.3, 0.6, 0.9])
    >>> [line.get_label() for line in display.lines_.values()]
    ['morse_code (1.00)', 'shader (0.75)', 'all (0.83)']
    """

    def __init__(
        self,
        *,
        frame: ArrayLike | None = None,
        probabilities: Mapping[str, float] | None = None,
        heat_map: ArrayLike | None = None,
        artifact: str | None = None,
        corrupted: float | None = None,
        is_flagged: bool | None = None,
        curves: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    ):
        if curves is not None and not isinstance(curves, Mapping):
            raise TypeError(f"curves must map names to pairs. Got {shown(curves)}.")
        check_words(artifact=artifact)
        if (frame is None) == (not curves):
            raise ValueError(
                "One of frame and curves must be given. Got "
                f"{'neither' if frame is None else 'both'} of them."
            )
        if frame is not None:
            frame = read_numbers("frame", frame)
            if frame.dtype.kind == "f" and not np.isfinite(frame).all():
                raise ValueError("frame must be finite. Got NaN or infinity.")
            shape = frame.shape
            if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3)):
                raise ValueError(
                    "frame must have shape (H, W), (H, W, 1) or (H, W, 3). Got shape "
                    f"{shape} instead."
                )
            if 0 in shape:
                raise ValueError(f"frame must hold pixels. Got shape {shape} instead.")
            if heat_map is not None:
                heat_map = read_numbers("heat_map", heat_map)
            if heat_map is not None and not np.isfinite(heat_map).all():
                raise ValueError("heat_map must be finite. Got NaN or infinity.")
            if heat_map is not None and (heat_map.ndim != 2 or not heat_map.size):
                raise ValueError(
                    "heat_map must have shape (n_rows, n_columns). Got shape "
                    f"{np.shape(heat_map)} instead."
                )
        if probabilities is not None:
            what = "probabilities"
            probabilities = {
                name: check_level(f"probabilities[{name!r}]", value)
                for name, value in check_mapping(what, probabilities, what).items()
            }
        if corrupted is not None:
            corrupted = check_level("corrupted", corrupted)
        if is_flagged is not None:
            is_flagged = check_flag("is_flagged", is_flagged)
        if curves:
            parts = ("false-positive rates", "true-positive rates")
            curves = check_curves("curves", curves, parts)
        self.frame = frame
        self.probabilities = probabilities
        self.heat_map = heat_map
        self.artifact = artifact
        self.corrupted = corrupted
        self.is_flagged = is_flagged
        self.curves = curves

    @classmethod
    def from_detector(
        cls,
        detector: Any,
        frame: Any,
        *,
        previous: Any = None,
        artifact: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ):
        """Draw a frame and what a detector says about it.

        Parameters
        ----------
        detector : ArtifactDetector
            Fitted on frames. The heat map needs one that was fitted on clean frames
            with ``tiles``; without it frame and probabilities are drawn.
        frame : ndarray of shape (H, W) or (H, W, C), or path
            One frame.
        previous : like frame, default=None
            The frame before it.
        artifact : str, default=None
            Whose heat map; None takes the most probable one.
        ax : matplotlib.axes.Axes or two of them, default=None
            Where to draw frame and bars; one gets the frame only, None makes a figure
            of two.
        **kwargs : dict
            Passed to ``imshow`` of the axes for the heat map.

        Returns
        -------
        display : ArtifactDisplay
            Drawn.

        Raises
        ------
        TypeError
            If the detector is none.
        ValueError
            If `frame` is no single frame, or `artifact` is unknown.
        """
        check_is_fitted(detector)
        if not hasattr(detector, "predict_artifact_proba"):
            raise TypeError(
                "detector must be a fitted ArtifactDetector. Got "
                f"{type(detector).__name__} instead."
            )
        image = _pixels(frame, detector.value_range)
        names = list(detector.artifacts_)
        if artifact is not None and not is_choice(artifact, names):
            raise ValueError(
                f"artifact must be one of {names}. Got {artifact!r} instead."
            )
        before = None if previous is None else [previous]
        [experts] = detector.predict_artifact_proba([frame], before)
        [corrupted] = detector.corrupted_proba([frame], before)
        [findings] = detector.explain([frame], before)
        k = int(experts.argmax()) if artifact is None else names.index(artifact)
        heat_map = None
        if detector.tile_expert_ is not None:
            [maps] = detector.heat_map([frame])
            heat_map = maps[k]
        display = cls(
            frame=image,
            probabilities=dict(zip(names, experts.tolist(), strict=True)),
            heat_map=heat_map,
            artifact=names[k],
            corrupted=float(corrupted),
            # A frame below the threshold has no findings.
            is_flagged=bool(findings),
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_artifact: ArrayLike,
        scores: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        names: Sequence[str] | None = None,
        artifact: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ):
        """Draw a ROC curve for each artifact, or for each game.

        Every curve compares corrupted frames with all normal ones, of its game where
        games are given. The legend holds the areas under the curves.

        Parameters
        ----------
        y_artifact : array-like of shape (n,) or (n, n_artifacts)
            What each frame shows: the artifact's name, with "", "normal" or 0 for
            normal frames; or an indicator, as from ``ArtifactSimulator.simulate``.
        scores : array-like of shape (n,)
            ``detector.corrupted_proba(X)``, or the probability of one artifact.
        groups : array-like of shape (n,), default=None
            The game of each frame. Given, there is a curve for each game; without it,
            for each artifact over all games.
        names : sequence of length n_artifacts, default=None
            Columns of an indicator; None numbers them.
        artifact : str, default=None
            Keep frames with this artifact, and normal ones.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``plot`` of the axes for each curve.

        Returns
        -------
        display : ArtifactDisplay
            Drawn.

        Raises
        ------
        ValueError
            If lengths differ, `artifact` is unknown, or a curve would lack normal or
            corrupted frames.
        """
        scores = read_numbers("scores", scores).astype(np.float64)
        check_words(artifact=artifact)
        if scores.ndim != 1 or not np.isfinite(scores).all():
            raise ValueError(
                "scores must hold one number for each frame, all finite. Got shape "
                f"{scores.shape} instead."
            )
        y_artifact = read_array("y_artifact", y_artifact)
        games = None if groups is None else read_array("groups", groups)
        if y_artifact.ndim < 1 or (games is not None and games.ndim != 1):
            raise ValueError("y_artifact and groups must have an entry for each frame.")
        check_consistent_length(y_artifact, scores, games)
        rows_of = _shown(y_artifact, names)
        is_normal = ~np.any(list(rows_of.values()), axis=0)
        if artifact is not None:
            if artifact not in rows_of:
                raise ValueError(
                    f"artifact must be one of {list(rows_of)}. "
                    f"Got {artifact!r} instead."
                )
            rows_of = {artifact: rows_of[artifact]}
        is_corrupted = np.any(list(rows_of.values()), axis=0)
        if games is None:
            curves = {
                name: _curve(scores, is_positive, is_normal, name)
                for name, is_positive in rows_of.items()
            }
        else:
            curves = {
                str(game): _curve(
                    scores,
                    is_corrupted & (games == game),
                    is_normal & (games == game),
                    str(game),
                )
                for game in _distinct(games)
            }
        if len(curves) > 1:
            curves["all"] = _curve(scores, is_corrupted, is_normal, "all")
        return cls(curves=curves).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or two of them, default=None
            Where to draw; None makes a figure. Of a frame, two axes get frame and
            bars, one gets the frame only.
        name : str, default=None
            Title, or its first line.
        **kwargs : dict
            Passed to ``imshow`` of the axes for the heat map, or to ``plot`` for each
            curve.

        Returns
        -------
        self : ArtifactDisplay
            Drawn.
        """
        self.bars_ax_ = self.bars_ = self.heat_image_ = self.outlines_ = None
        if self.frame is None:
            self.ax_ = axes_for(ax, type(self).__name__, width=6.4, height=4.4)
            self._plot_curves(self.ax_, kwargs)
            if name is not None:
                self.ax_.set_title(name)
        else:
            self.ax_, self.bars_ax_ = self._two_axes(ax)
            self._plot_frame(self.ax_, name, kwargs)
            if self.bars_ax_ is not None:
                self._plot_bars(self.bars_ax_)
        self.figure_ = self.ax_.figure
        return self

    def _two_axes(self, ax: Any) -> tuple[Any, Any]:
        if ax is None and self.probabilities:
            pyplot = import_optional(
                "matplotlib.pyplot", extra="plot", caller=type(self).__name__
            )
            _, axes = pyplot.subplots(
                1,
                2,
                figsize=(9.6, max(3.4, 0.9 + 0.19 * len(self.probabilities))),
                width_ratios=(2, 1),
                layout="constrained",
            )
            return tuple(axes)
        if isinstance(ax, list | tuple | np.ndarray) and np.ndim(ax):
            if len(ax) != 2:
                raise ValueError(f"ax must be one or two axes. Got {len(ax)} of them.")
            return tuple(axes_for(one, type(self).__name__) for one in ax)
        return axes_for(ax, type(self).__name__), None

    def _plot_frame(self, ax: Any, name: str | None, kwargs: dict[str, Any]) -> None:
        pixels = np.asarray(self.frame)
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[..., 0]
        height, width = pixels.shape[:2]
        # Without limits matplotlib would stretch a dark grey frame to full contrast.
        limit = 1.0 if pixels.dtype.kind in "fb" else np.iinfo(pixels.dtype).max
        self.image_ = ax.imshow(pixels, cmap="gray", vmin=0, vmax=limit)
        if self.heat_map is not None:
            heat = np.clip(np.asarray(self.heat_map, dtype=np.float64), 0, 1)
            style = {
                "cmap": "gray",
                # All black: only the opacity tells tiles apart.
                "vmin": 1.0,
                "vmax": 2.0,
                "alpha": _DIMMED * (1 - heat),
                "interpolation": "nearest",
                "extent": (-0.5, width - 0.5, height - 0.5, -0.5),
            }
            self.heat_image_ = ax.imshow(heat, **style | kwargs)
            self.outlines_ = _outline(ax, heat >= _FROM, height, width)
            what = self.artifact or "corrupted"
            ax.set_xlabel(
                f"outlined: {what} from {_FROM:g} on; dimmed: less", fontsize="small"
            )
        ax.set(xticks=[], yticks=[])
        lines = [] if name is None else [name]
        if self.corrupted is not None:
            flagged = {None: "", True: ", flagged", False: ", not flagged"}
            lines.append(f"corrupted: {self.corrupted:.2f}{flagged[self.is_flagged]}")
        ax.set_title("\n".join(lines))

    def _plot_bars(self, ax: Any) -> None:
        probabilities: Mapping[str, float] = self.probabilities or {}
        names, values = list(probabilities), list(probabilities.values())
        colors = [_COLORS["other"]] * len(names)
        if values:
            colors[int(np.argmax(values))] = _COLORS["likeliest"]
        self.bars_ = ax.barh(names, values, color=colors)
        ax.bar_label(self.bars_, fmt="%.2f", padding=2, fontsize="small")
        ax.invert_yaxis()
        ax.set_xlim(0, 1.2)  # room for the number beside a full bar
        ax.set_xticks([0, 0.5, 1])
        ax.set_xlabel("probability")
        ax.spines[["top", "right"]].set_visible(False)

    def _plot_curves(self, ax: Any, kwargs: dict[str, Any]) -> None:
        curves = {
            name: tuple(np.asarray(rates, dtype=np.float64) for rates in pair)
            for name, pair in (self.curves or {}).items()
        }
        areas = {name: auc(*curves[name]) for name in curves}
        order = sorted(curves, key=lambda name: (name == "all", -areas[name]))
        self.lines_ = {}
        for place, name in enumerate(order):
            style: dict[str, Any] = {
                "label": f"{name} ({areas[name]:.2f})",
                "color": f"C{place % 10}",
                # Ten colours, then the same ten dashed and dotted.
                "linestyle": ("-", "--", ":")[place // 10 % 3],
            }
            if name == "all":
                style |= {"color": "black", "linewidth": 2, "linestyle": "-"}
            (self.lines_[name],) = ax.plot(*curves[name], **style | kwargs)
        ax.plot([0, 1], [0, 1], color="0.8", linewidth=1, zorder=0)
        ax.set_xlim(-0.02, 1.02)
        ax.set_ylim(-0.02, 1.02)
        ax.set_xlabel("false-positive rate")
        ax.set_ylabel("true-positive rate")
        ax.spines[["top", "right"]].set_visible(False)
        if len(order) > _MANY_CURVES:
            ax.legend(
                frameon=False,
                loc="center left",
                bbox_to_anchor=(1, 0.5),
                fontsize="small",
            )
        else:
            ax.legend(frameon=False, loc="lower right")


def _outline(ax: Any, is_hot: np.ndarray, height: int, width: int) -> Any:
    """Draw the borders between hot tiles and others, and those of the frame."""
    n_rows, n_columns = is_hot.shape
    padded = np.pad(is_hot, 1)
    rows, columns = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    level = [((c, r), (c + 1, r)) for r, c in zip(rows, columns, strict=True)]
    rows, columns = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    upright = [((c, r), (c, r + 1)) for r, c in zip(rows, columns, strict=True)]
    corners = np.array(level + upright, dtype=np.float64).reshape(-1, 2, 2)
    corners = corners * (width / n_columns, height / n_rows) - 0.5
    collections = import_optional(
        "matplotlib.collections", extra="plot", caller="ArtifactDisplay"
    )
    # Two colours, so that one of them shows on any frame.
    ax.add_collection(collections.LineCollection(corners, colors="black", lw=3))
    lines = collections.LineCollection(corners, colors="yellow", lw=1.2)
    return ax.add_collection(lines)


def _pixels(frame: Any, value_range: Any) -> np.ndarray:
    """Return one frame from a path or an array as uint8 or in [0, 1], not opacity."""
    if isinstance(frame, np.ndarray):
        pixels = read_numbers("frame", frame)
    elif hasattr(frame, "__fspath__") or isinstance(frame, str):
        from skimage.io import imread  # slow to import; for paths only

        path = check_path("frame", frame)
        with decoding(path):
            pixels = imread(path)
    else:
        raise TypeError(
            "frame must be one frame, an array or a path. Got "
            f"{type(frame).__name__} instead."
        )
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[..., :3]
    is_auto = isinstance(value_range, str)
    if is_auto and pixels.dtype == np.uint8:
        return pixels
    whole = {"f": 1, "b": 1}.get(
        pixels.dtype.kind, 65535 if pixels.dtype == np.uint16 else 255
    )
    low, high = (0, whole) if is_auto else value_range
    return np.clip((pixels.astype(np.float64) - low) / (high - low), 0, 1)


def _distinct(games: np.ndarray) -> np.ndarray:
    try:
        return np.unique(games)
    except TypeError as error:
        raise TypeError(
            f"groups must be names of games, all of one kind, none missing: {error}"
        ) from error


def _shown(y_artifact: np.ndarray, names: Sequence[str] | None) -> dict[str, Any]:
    """Return for each artifact which frames show it."""
    if y_artifact.ndim == 2:
        columns = range(y_artifact.shape[1])
        labels = [f"artifact{k}" for k in columns] if names is None else list(names)
        if len(labels) != y_artifact.shape[1]:
            raise ValueError(
                f"names must name the {y_artifact.shape[1]} columns of y_artifact. Got "
                f"{len(labels)} names."
            )
        return {label: y_artifact[:, k] != 0 for k, label in enumerate(labels)}
    try:
        values = y_artifact.astype(str)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"y_artifact must hold a name or a number for each frame: {error}"
        ) from error
    found = [name for name in np.unique(values).tolist() if name not in _NORMAL]
    if not found:
        raise ValueError(
            "y_artifact must hold artifacts beside normal frames. Got normal frames "
            "only."
        )
    if found in (["1"], ["True"]):
        return {"corrupted": values == found[0]}
    return {name: values == name for name in found}


def _curve(
    scores: np.ndarray, is_positive: np.ndarray, is_normal: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return false-positive and true-positive rates."""
    if not is_positive.any() or not is_normal.any():
        raise ValueError(
            f"The curve {name!r} needs normal and corrupted frames in y_artifact. Got "
            f"{int(is_normal.sum())} normal and {int(is_positive.sum())} corrupted."
        )
    rows = is_positive | is_normal
    false_positives, true_positives, _ = roc_curve(is_positive[rows], scores[rows])
    return false_positives, true_positives
