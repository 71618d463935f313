"""Learning curves: accuracy against labels, several runs as mean and spread."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import is_sequence, read_numbers, shown
from sklvyso.plotting._arguments import (
    check_level,
    check_mapping,
    check_words,
    numbers,
)
from sklvyso.plotting._axes import axes_for


class ActiveLearningDisplay:
    """Scores of active learners against the number of labels.

    Make one with :meth:`from_estimator` (one learner) or :meth:`from_estimators`
    (strategies side by side, several seeds of each).

    .. versionadded:: 0.1

    Parameters
    ----------
    curves : mapping of str to (array of shape (n,), array of shape (n_runs, n))
        Name to numbers of labels and scores of each run.
    levels : mapping of str to float, default=None
        Horizontal lines, such as the score with all labels.
    score_name : str, default="score"
        Label of the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn into.
    figure_ : matplotlib.figure.Figure
        Figure of ``ax_``.
    lines_ : dict of str to matplotlib.lines.Line2D
        Mean curves and levels by name.
    bands_ : dict of str to matplotlib.collections.FillBetweenPolyCollection
        One standard deviation to either side, where there are several runs.

    See Also
    --------
    sklvyso.PretrainedActiveLearner : Makes the curves.

    Examples
    --------
    >>> from sklvyso.plotting import ActiveLearningDisplay
    >>> curves = {"margin": ([50, 100], [[0.7, 0.8], [0.72, 0.81]])}
    >>> display = ActiveLearningDisplay(curves=curves).plot()
    >>> sorted(display.lines_)
    ['margin']
    """

    def __init__(
        self,
        *,
        curves: Mapping[str, tuple[Any, Any]],
        levels: Mapping[str, float] | None = None,
        score_name: str = "score",
    ):
        check_words(score_name=score_name)
        self.curves = {}
        what = "pairs of numbers of labels and scores"
        for name, pair in check_mapping("curves", curves, what).items():
            if not is_sequence(pair) or len(pair) != 2:
                raise ValueError(
                    f"curves must map names to {what}. Got {shown(pair)} for {name!r}."
                )
            labels = numbers(f"curves[{name!r}]", pair[0], 1, is_finite=True)
            scores = read_numbers(f"curves[{name!r}]", pair[1])
            table = np.atleast_2d(scores.astype(np.float64))
            if table.shape[1:] != labels.shape:
                raise ValueError(
                    "curves must hold a score for each number of labels. Got "
                    f"{labels.shape} labels and scores of shape {table.shape} for "
                    f"{name!r}."
                )
            self.curves[name] = (labels, table)
        if levels is not None and not isinstance(levels, Mapping):
            raise TypeError(
                f"levels must map names to numbers. Got {shown(levels)} instead."
            )
        self.levels = {
            name: check_level(f"levels[{name!r}]", level)
            for name, level in (levels or {}).items()
        }
        self.score_name = score_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, ax: Any = None):
        """Draw the learning curve of one learner.

        Parameters
        ----------
        estimator : PretrainedActiveLearner
            Fitted with ``validation``.
        name : str, default=None
            In the legend; None takes the strategy.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ActiveLearningDisplay
            Drawn.
        """
        check_words(name=name)
        name = _name(estimator) if name is None else name
        return cls.from_estimators({name: [estimator]}, ax=ax)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Sequence[Any]],
        *,
        levels: Mapping[str, float] | None = None,
        score_name: str = "score",
        ax: Any = None,
    ):
        """Draw the mean curves of several learners each.

        Parameters
        ----------
        estimators : mapping of str to sequence of PretrainedActiveLearner
            Name to learners that were fitted with ``validation`` and differ in their
            seeds. Curves are cut to the numbers of labels that all of them reach and,
            where those differ, interpolated to those of the first.
        levels : mapping of str to float, default=None
            Horizontal lines.
        score_name : str, default="score"
            Label of the vertical axis.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ActiveLearningDisplay
            Drawn.
        """
        curves = {}
        what = "lists of learners"
        for name, learners in check_mapping("estimators", estimators, what).items():
            if not isinstance(learners, list | tuple) or not learners:
                raise TypeError(
                    "estimators must map names to lists of learners. Got "
                    f"{learners!r:.80} for {name!r}."
                )
            found = [_curve(learner) for learner in learners]
            curves[name] = _common(found)
        display = cls(curves=curves, levels=levels, score_name=score_name)
        return display.plot(ax)

    def plot(self, ax: Any = None, **kwargs: Any):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``plot`` of the axes for each mean curve.

        Returns
        -------
        self : ActiveLearningDisplay
            Drawn.
        """
        ax = axes_for(ax, type(self).__name__)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.bands_ = {}, {}
        for name, (labels, scores) in self.curves.items():
            mean = scores.mean(axis=0)
            (line,) = ax.plot(labels, mean, **{"marker": ".", "label": name} | kwargs)
            self.lines_[name] = line
            if len(scores) > 1:
                spread = scores.std(axis=0, ddof=1)
                self.bands_[name] = ax.fill_between(
                    labels,
                    mean - spread,
                    mean + spread,
                    color=line.get_color(),
                    alpha=0.15,
                    linewidth=0,
                )
        for name, level in self.levels.items():
            self.lines_[name] = ax.axhline(level, label=name, color="0.5", ls="--")
            # A level within the limits so far would lie on the frame.
            ax.update_datalim([(labels[0], level)])
        ax.autoscale_view()
        ax.set_xlabel("labels")
        ax.set_ylabel(self.score_name)
        ax.legend(frameon=False)
        return self


def _common(found: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, list]:
    """Return curves at the same numbers of labels."""
    low = max(labels.min() for labels, _ in found)
    high = min(labels.max() for labels, _ in found)
    first = found[0][0]
    grid = first[(first >= low) & (first <= high)]
    if not len(grid):
        raise ValueError(
            "estimators of one name must have numbers of labels in common. Got runs "
            f"that start at {low} and end at {high}."
        )
    return grid, [np.interp(grid, labels, scores) for labels, scores in found]


def _name(estimator: Any) -> str:
    strategy = getattr(estimator, "strategy", "learner")
    name = getattr(strategy, "__name__", type(strategy).__name__)
    return strategy if isinstance(strategy, str) else name


def _curve(estimator: Any) -> tuple[np.ndarray, np.ndarray]:
    check_is_fitted(estimator)
    history = getattr(estimator, "history_", None)
    if not history or "n_labeled" not in history[0]:
        raise TypeError(
            "estimator must be a fitted PretrainedActiveLearner. Got "
            f"{type(estimator).__name__} instead."
        )
    if history[0]["score"] is None:
        raise ValueError(
            "estimator must have scored its rounds: fit it with validation=(X, y) or a "
            "fraction. Got validation=None."
        )
    labels = np.array([entry["n_labeled"] for entry in history])
    return labels, np.array([entry["score"] for entry in history])
