"""What users say about frames: nothing, corrupted or not, which artifact, several."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import unique_labels

from sklvyso._arguments import read_array
from sklvyso._validation import check_classification_targets

_NORMAL = (0, False, "normal", "0")


class Targets(NamedTuple):
    """Labels as an indicator.

    ``kind`` is "binary", "named" or "indicator"; ``Y`` (n, n_artifacts) bool;
    ``classes`` what `predict` returns; ``normal`` the label of normal frames.
    """

    kind: str
    names: list[str]
    Y: np.ndarray
    classes: np.ndarray
    normal: Any


def is_all_normal(y: Any, normal_label: Any) -> bool:
    """Say whether labels mean clean frames only, so that artifacts are simulated."""
    if y is None:
        return True
    y = read_array("y", y)
    if y.ndim == 2 and y.shape[1] > 1:
        return not y.any()
    labels = _alike(column_or_1d(y))
    check_classification_targets(labels)
    labels = np.unique(labels)
    if len(labels) != 1:
        return False
    label = labels[0].item() if hasattr(labels[0], "item") else labels[0]
    return label in _NORMAL or label == normal_label


def _alike(labels: np.ndarray) -> np.ndarray:
    """Refuse labels that are partly words and partly numbers."""
    kinds = {isinstance(label, str) for label in labels.tolist()}
    if len(kinds) > 1:
        raise ValueError(
            "y must hold words or numbers, not both. Got "
            f"{sorted({repr(label) for label in labels.tolist()})[:5]}."
        )
    return labels


def read_targets(
    y: Any, normal_label: Any, artifacts: Any, *, of_frames: bool = False
) -> Targets:
    """Turn labels of any of the three forms into an indicator.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_artifacts)
        Labels of two or more classes, or an indicator of 0 and 1.
    normal_label : label
        Of normal frames; where no row has it, the smallest label means normal.
    artifacts : list of str or None
        Names of the columns of an indicator.
    of_frames : bool, default=False
        Words must name the normal frames then: the first in the alphabet would be
        taken for normal, names of games too. Rows of numbers go through checks whose
        classes have any names.

    Returns
    -------
    targets : Targets
        See there.

    Raises
    ------
    ValueError
        If there is one class only, no word for normal frames, or no indicator.
    """
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] > 1:
        return _read_indicator(values, artifacts)
    values = _alike(column_or_1d(y, warn=True))
    if values.dtype.kind == "f":
        assert_all_finite(values, input_name="y")
    check_classification_targets(values)
    classes = unique_labels(values)
    if len(classes) < 2:
        raise ValueError(
            "y must hold normal and corrupted frames, two classes or more, or normal "
            f"ones only (labels 0 or {normal_label!r}), from which artifacts are "
            f"simulated. Got one class, {classes.tolist()}."
        )
    is_text = classes.dtype.kind in "OUS"
    known = [label for label in classes.tolist() if label == normal_label]
    if not known and is_text and of_frames:
        shown = classes.tolist()[:5]
        raise ValueError(
            f"y must say which frames are normal: no label is {normal_label!r}. Got "
            f"{shown}{' and more' if len(classes) > 5 else ''}. Name it by "
            "normal_label=, and pass games as groups=, not as y."
        )
    normal = known[0] if known else classes.tolist()[0]
    others = [label for label in classes.tolist() if label != normal]
    Y = np.stack([values == label for label in others], axis=1)
    if len(others) == 1 and not is_text:
        return Targets("binary", ["corrupted"], Y, classes, normal)
    kind = "binary" if len(others) == 1 else "named"
    return Targets(kind, [str(label) for label in others], Y, classes, normal)


def _read_indicator(values: np.ndarray, artifacts: Any) -> Targets:
    if values.dtype.kind not in "buif" or not np.isin(values, (0, 1)).all():
        raise ValueError(
            "y with several columns must be an indicator of 0 and 1, a column an "
            f"artifact. Got values of dtype {values.dtype}."
        )
    n_columns = values.shape[1]
    names = [f"artifact{k}" for k in range(n_columns)]
    if artifacts is not None and not isinstance(artifacts, str):
        names = list(artifacts)
        if len(names) != n_columns:
            raise ValueError(
                f"artifacts must name the {n_columns} columns of y. "
                f"Got {len(names)} names."
            )
    Y = values.astype(bool)
    if not Y.any(axis=1).any() or Y.any(axis=1).all():
        raise ValueError(
            "y must hold normal frames (rows of zeros) and corrupted ones. Got one "
            "class only."
        )
    return Targets("indicator", names, Y, np.array([0, 1]), 0)


def partners(clips: Any, groups: np.ndarray | None, n_frames: int) -> np.ndarray:
    """Return for each frame the row of the next one of its clip, -1 without one.

    Parameters
    ----------
    clips : array-like of shape (n_frames,) or None
        Clip of each frame, counted within its game.
    groups : ndarray of shape (n_frames,) or None
        Game of each frame.
    n_frames : int
        Number of frames.

    Returns
    -------
    rows : ndarray of int of shape (n_frames,)
        The last frame of a clip is given the one before it.
    """
    rows = np.full(n_frames, -1)
    if clips is None:
        return rows
    clips = column_or_1d(read_array("clips", clips))
    try:
        _ = {*clips.tolist()}
    except TypeError as error:
        raise TypeError(f"clips must be hashable names of clips: {error}") from error
    if len(clips) != n_frames:
        raise ValueError(
            f"clips must hold the clip of each of the {n_frames} frames. "
            f"Got {len(clips)}."
        )
    games: Sequence[Any] = [0] * n_frames if groups is None else groups.tolist()
    members: dict[Any, list[int]] = {}
    for row, key in enumerate(zip(games, clips.tolist(), strict=True)):
        members.setdefault(key, []).append(row)
    for clip in members.values():
        for place, row in enumerate(clip):
            if len(clip) > 1:
                rows[row] = (
                    clip[place + 1] if place + 1 < len(clip) else clip[place - 1]
                )
    return rows
