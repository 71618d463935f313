"""Accuracy of tasks over time, over the number of impressions, and memory."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import (
    check_sequence,
    is_sequence,
    read_numbers,
    shown,
)
from sklvyso.plotting._arguments import check_level, check_mapping, numbers
from sklvyso.plotting._axes import axes_for

_PARTS = {
    "mask_bytes": ("masks", "tab:blue"),
    "coef_bytes": ("coefficients", "tab:orange"),
    "norm_bytes": ("statistics", "tab:gray"),
}


class TaskDisplay:
    """Tasks that are learned one after the other: accuracy or memory.

    Make one with :meth:`from_estimator` (memory of each task), :meth:`from_matrix`
    (accuracy of each task after each step) or :meth:`from_counts` (accuracy against
    the number of impressions).

    .. versionadded:: 0.1

    Parameters
    ----------
    memory : mapping of str to array, default=None
        As from ``memory_report`` of an ``ImpressLearnClassifier``.
    accuracy : array-like of shape (n_steps, n_tasks), default=None
        Row i: accuracy of each task after step i; NaN before a task is learned.
    tasks : sequence of length n_tasks, default=None
        Names; None numbers them.
    counts : array-like of shape (n_counts,), default=None
        Numbers of impressions.
    curves : mapping of str to array or (array, array), default=None
        Name of a rule to its accuracy at each count, or to that and its standard
        errors; a single number is drawn as a level.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn into.
    figure_ : matplotlib.figure.Figure
        Figure of ``ax_``.
    image_ : matplotlib.image.AxesImage
        Of a matrix.
    bars_ : dict of str to matplotlib container
        Of memory, by what it is spent on.
    lines_ : dict of str to matplotlib.lines.Line2D
        Curves by name.

    See Also
    --------
    sklvyso.ImpressLearnClassifier : Learns the tasks.

    Examples
    --------
    >>> from sklvyso.plotting import TaskDisplay
    >>> display = TaskDisplay.from_counts(
    ...     [1, 5, 10], {"combined": [0.4, 0.7, 0.8], "own mask": 0.82}
    ... )
    >>> sorted(display.lines_)
    ['combined', 'own mask']
    """

    def __init__(
        self,
        *,
        memory: Mapping[str, ArrayLike] | None = None,
        accuracy: ArrayLike | None = None,
        tasks: Sequence[Any] | None = None,
        counts: ArrayLike | None = None,
        curves: Mapping[str, Any] | None = None,
    ):
        given = [value is not None for value in (memory, accuracy, counts)]
        if sum(given) != 1:
            raise ValueError(
                "One of memory, accuracy and counts must be given. Got "
                f"{sum(given)} of them."
            )
        if tasks is not None:
            tasks = check_sequence("tasks", tasks)
        if counts is not None:
            counts = numbers("counts", counts, 1, is_finite=True)
        if counts is not None and isinstance(curves, Mapping) and not curves:
            raise ValueError("curves must hold a curve of the counts. Got none.")
        if counts is not None:
            curves = {
                name: _task_curve(f"curves[{name!r}]", values, len(counts))
                for name, values in check_mapping("curves", curves, "values").items()
            }
        if memory is not None:
            _check_memory(memory)
        if accuracy is not None:
            accuracy = read_numbers("accuracy", accuracy).astype(np.float64)
            shape = accuracy.shape
            if len(shape) != 2 or (tasks is not None and shape[1] != len(tasks)):
                raise ValueError(
                    "accuracy must have shape (n_steps, n_tasks), a column for each of "
                    f"tasks. Got shape {shape}."
                )
        if accuracy is not None:
            accuracy = numbers("accuracy", accuracy, 2)
        self.memory = memory
        self.accuracy = accuracy
        self.tasks = tasks
        self.counts = counts
        self.curves = curves

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any):
        """Draw the bytes that each task of a learner takes.

        Parameters
        ----------
        estimator : ImpressLearnClassifier
            Fitted.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``bar`` of the axes.

        Returns
        -------
        display : TaskDisplay
            Drawn.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "memory_report"):
            raise TypeError(
                "estimator must be a fitted ImpressLearnClassifier. Got "
                f"{type(estimator).__name__} instead."
            )
        return cls(memory=estimator.memory_report()).plot(ax, **kwargs)

    @classmethod
    def from_matrix(
        cls,
        accuracy: ArrayLike,
        tasks: Sequence[Any] | None = None,
        *,
        ax: Any = None,
        **kwargs: Any,
    ):
        """Draw the accuracy of each task after each step.

        Parameters
        ----------
        accuracy : array-like of shape (n_steps, n_tasks)
            NaN before a task is learned.
        tasks : sequence of length n_tasks, default=None
            Names.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``imshow`` of the axes.

        Returns
        -------
        display : TaskDisplay
            Drawn.
        """
        return cls(accuracy=accuracy, tasks=tasks).plot(ax, **kwargs)

    @classmethod
    def from_counts(
        cls,
        counts: ArrayLike,
        curves: Mapping[str, Any],
        *,
        ax: Any = None,
        **kwargs: Any,
    ):
        """Draw accuracy against the number of impressions.

        Parameters
        ----------
        counts : array-like of shape (n_counts,)
            Numbers of impressions.
        curves : mapping of str to array or (array, array)
            Accuracies, or those and standard errors; a number is a level.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to ``plot`` of the axes.

        Returns
        -------
        display : TaskDisplay
            Drawn.
        """
        return cls(counts=counts, curves=curves).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            Title.
        **kwargs : dict
            Passed to ``bar``, ``imshow`` or ``plot`` of the axes.

        Returns
        -------
        display : TaskDisplay
            This one.
        """
        self.ax_ = ax = axes_for(ax, "TaskDisplay")
        self.figure_ = ax.figure
        if self.memory is not None:
            self._plot_memory(ax, kwargs)
        elif self.accuracy is not None:
            self._plot_matrix(ax, kwargs)
        else:
            self._plot_curves(ax, kwargs)
        if name is not None:
            ax.set_title(name)
        return self

    def _plot_memory(self, ax, kwargs):
        memory: Mapping[str, Any] = self.memory or {}
        names = ["no task" if task is None else str(task) for task in memory["task"]]
        places, floor = np.arange(len(names)), np.zeros(len(names))
        self.bars_ = {}
        for column, (label, color) in _PARTS.items():
            values = np.asarray(memory[column], dtype=float)
            if values.any():
                self.bars_[label] = ax.bar(
                    places,
                    values,
                    bottom=floor,
                    **{"color": color, "label": label} | kwargs,
                )
                floor = floor + values
        _name_ticks(ax, names)
        # A coefficient task is thousands of times smaller than a mask.
        ax.set_yscale("log")
        if floor.any():
            ax.set_ylim(floor[floor > 0].min() / 3, floor.max() * 3)  # room for names
        ax.set_ylabel("bytes")
        ax.legend(frameon=False)
        ax.spines[["top", "right"]].set_visible(False)

    def _plot_matrix(self, ax, kwargs):
        matrix = np.asarray(self.accuracy, dtype=float)
        style = {"cmap": "viridis", "vmin": 0.0, "vmax": 1.0, "aspect": "auto"}
        self.image_ = ax.imshow(matrix.T, **style | kwargs)
        for (step, task), value in np.ndenumerate(matrix):
            if np.isfinite(value) and matrix.size <= 200:
                ink = "black" if value > 0.6 else "white"
                ax.text(step, task, f"{value:.2f}", ha="center", va="center", color=ink)
        names = self.tasks if self.tasks is not None else range(matrix.shape[1])
        ax.set_yticks(range(matrix.shape[1]), [str(task) for task in names])
        ax.set_xticks(range(matrix.shape[0]), [str(i + 1) for i in range(len(matrix))])
        ax.set_xlabel("tasks learned")
        ax.set_ylabel("accuracy on")
        self.figure_.colorbar(self.image_, ax=ax)

    def _plot_curves(self, ax, kwargs):
        counts = np.asarray(self.counts, dtype=float)
        self.lines_ = {}
        for label, values in (self.curves or {}).items():
            if np.ndim(values) == 0:
                (line,) = ax.plot(
                    counts[[0, -1]], [values, values], "--", label=label, **kwargs
                )
            else:
                error = None
                if len(values) == 2 and np.ndim(values[0]) == 1:
                    values, error = values
                values = np.asarray(values, dtype=float)
                (line,) = ax.plot(
                    counts, values, **{"marker": ".", "label": label} | kwargs
                )
                if error is not None:
                    error = np.asarray(error, dtype=float)
                    ax.fill_between(
                        counts,
                        values - error,
                        values + error,
                        color=line.get_color(),
                        alpha=0.2,
                    )
            self.lines_[label] = line
        ax.set_xticks(counts, [f"{count:g}" for count in counts])
        ax.set_xlabel("impressions")
        ax.set_ylabel("accuracy on new tasks")
        ax.legend(frameon=False)
        ax.spines[["top", "right"]].set_visible(False)


def _name_ticks(ax, names):
    """Name as many bars as there is room for."""
    step = max(1, len(names) // 20)
    ax.set_xticks(range(0, len(names), step), names[::step], rotation=45, ha="right")


def _check_memory(memory: Any) -> None:
    if not isinstance(memory, Mapping) or {"task", *_PARTS} - {*memory}:
        raise TypeError(
            f"memory must map {['task', *_PARTS]} to columns, as memory_report does. "
            f"Got {shown(memory)} instead."
        )


def _task_curve(name: str, values: Any, n_counts: int) -> Any:
    """Return a number, or values for each count, or these with their errors."""
    if not is_sequence(values):
        return check_level(name, values)
    has_errors = len(values) == 2 and is_sequence(values[0])
    arrays = [numbers(name, v, 1) for v in (values if has_errors else [values])]
    if any(len(array) != n_counts for array in arrays):
        raise ValueError(
            f"{name} must have a value for each of the {n_counts} counts. Got "
            f"{len(arrays[0])}."
        )
    return tuple(arrays) if has_errors else arrays[0]
