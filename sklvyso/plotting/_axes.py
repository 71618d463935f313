"""Axes to draw into."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

from sklvyso._arguments import shown
from sklvyso._optional import import_optional


def axes_for(ax: Any, caller: str, *, width: float = 6.4, height: float = 4.0) -> Any:
    """Return the given axes, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        From the user.
    caller : str
        Display, for the error where matplotlib is missing.
    width, height : float
        Of a new figure, in inches.

    Returns
    -------
    ax : matplotlib.axes.Axes
        To draw into.
    """
    pyplot = import_optional("matplotlib.pyplot", extra="plot", caller=caller)
    if ax is not None and not (hasattr(ax, "figure") and hasattr(ax, "plot")):
        raise TypeError(f"ax must be matplotlib axes. Got {shown(ax)} instead.")
    if ax is None:
        _, ax = pyplot.subplots(figsize=(width, height), layout="constrained")
    return ax
