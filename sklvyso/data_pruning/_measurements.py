"""What was measured once and may be used again: recalls, scores, records."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import json
import os
import struct
import tempfile
import tokenize
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sklvyso._arguments import check_path
from sklvyso._version import __version__
from sklvyso.data_pruning._choosers import CenterChooser
from sklvyso.data_pruning._recalls import HeldOutErrors
from sklvyso.data_pruning._training_dynamics import TrainingDynamics

_FORMAT = 1
_DYNAMICS = ("p_true", "correct", "margins")


@dataclass
class Measurements:
    """What a sampler knows of its training rows, without the rows.

    Attributes
    ----------
    classes : ndarray
        Labels, sorted.
    class_codes : ndarray of int32 of shape (n,)
        Positions in ``classes``.
    group_names : ndarray
        Groups, sorted, or the classes.
    codes : ndarray of int32 of shape (n,)
        Positions in ``group_names``.
    by_group : bool
        Whether groups were given.
    seed : int
        Of the selection.
    scored_by : str
        Name of the scorer, ``"callable"``, ``"array"`` or ``"random"``.
    errors : HeldOutErrors or None
        Counts of errors on held-out rows, without models and outputs.
    recalls : ndarray of shape (n_groups,) or None
        As the user gave them; no errors then.
    scores : ndarray of shape (n,) or None
        Higher means harder.
    features : ndarray of shape (n, d) or None
        For k-center.
    dynamics : list of TrainingDynamics
        Records of the trainings that the scores rest on.
    fingerprint : str or None
        Of data and parameters, for a warm start.
    """

    classes: np.ndarray
    class_codes: np.ndarray
    group_names: np.ndarray
    codes: np.ndarray
    by_group: bool
    seed: int
    scored_by: str = "random"
    errors: HeldOutErrors | None = None
    recalls: np.ndarray | None = None
    scores: np.ndarray | None = None
    features: np.ndarray | None = None
    dynamics: list[TrainingDynamics] = field(default_factory=list)
    fingerprint: str | None = None
    _centers: CenterChooser | None = field(default=None, repr=False)

    @property
    def counts(self) -> np.ndarray:
        """Rows of each class or group, shape (n_groups,), int64."""
        return np.bincount(self.codes, minlength=len(self.group_names))

    @property
    def y(self) -> np.ndarray:
        """Labels, shape (n,)."""
        return self.classes[self.class_codes]

    @property
    def knows_recalls(self) -> bool:
        """Whether there are recalls of any origin."""
        return self.errors is not None or self.recalls is not None

    def centers(self) -> CenterChooser:
        """Return the chooser of k-center, which remembers what it chose."""
        if self._centers is None:
            if self.features is None:
                raise ValueError("k-center needs features. None were measured.")
            self._centers = CenterChooser(self.features)
        return self._centers


def save(measured: Measurements, path: str | os.PathLike) -> None:
    """Write measurements to one NumPy archive, whole or not at all.

    Parameters
    ----------
    measured : Measurements
        What to write.
    path : path-like
        File; it is replaced if it exists.

    Raises
    ------
    TypeError
        If labels or groups are neither numbers nor texts.
    """
    arrays: dict[str, Any] = {
        "codes": measured.codes,
        "class_codes": measured.class_codes,
    }
    for name in ("classes", "group_names"):
        arrays[name] = _plain(getattr(measured, name), name)
    if measured.errors is not None:
        for name in ("n_wrong", "n_asked", "n_rows"):
            arrays[name] = getattr(measured.errors, name)
    for name in ("recalls", "scores", "features"):
        value = getattr(measured, name)
        if value is not None:
            arrays[name] = value
    for i, record in enumerate(measured.dynamics):
        arrays |= {f"dynamics_{i}_{key}": getattr(record, key) for key in _DYNAMICS}
    about = {
        "format": _FORMAT,
        "sklvyso": __version__,
        "by_group": measured.by_group,
        "seed": measured.seed,
        "scored_by": measured.scored_by,
        "fingerprint": measured.fingerprint,
        "n_dynamics": len(measured.dynamics),
    }
    path = Path(check_path("path", path))
    # Beside its final place, so that the move is atomic.
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            arrays["about"] = np.array(json.dumps(about))
            np.savez_compressed(stream, allow_pickle=False, **arrays)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike) -> Measurements:
    """Read measurements; nothing in the file is executed.

    Parameters
    ----------
    path : path-like
        File that :func:`save` wrote.

    Returns
    -------
    measured : Measurements
        As they were.

    Raises
    ------
    ValueError
        If the file is no such archive, or of a newer format.
    FileNotFoundError
        If there is none.
    """
    path = check_path("path", path)
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(str(arrays.pop("about")))
        if about["format"] == _FORMAT:
            return _from_arrays(about, arrays)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        LookupError,
        NotImplementedError,  # of a way to compress that there is none
        RuntimeError,  # of an archive that asks for a password
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
        tokenize.TokenError,
    ) as error:
        raise ValueError(
            f"path must name a file that DRoPSampler.save wrote. {os.fspath(path)!r} "
            f"is none, or is damaged: {error!r}"
        ) from error
    writer = about.get("sklvyso")
    fitting = (
        "the version of sklvyso that wrote it"
        if writer is None
        else (f"sklvyso {writer}, which wrote it")
    )
    raise ValueError(
        f"path must name a file of format {_FORMAT}. {os.fspath(path)!r} has format "
        f"{about['format']}: load it with {fitting}, or measure anew."
    )


def _from_arrays(about: dict[str, Any], arrays: dict[str, Any]) -> Measurements:
    errors = None
    if "n_wrong" in arrays:
        errors = HeldOutErrors(*(arrays[n] for n in ("n_wrong", "n_asked", "n_rows")))
    dynamics = [
        TrainingDynamics(*(arrays[f"dynamics_{i}_{key}"] for key in _DYNAMICS))
        for i in range(about["n_dynamics"])
    ]
    names = ("classes", "class_codes", "group_names", "codes")
    facts = ("by_group", "seed", "scored_by", "fingerprint")
    return Measurements(
        **{name: arrays[name] for name in names},
        **{name: about[name] for name in facts},
        errors=errors,
        recalls=arrays.get("recalls"),
        scores=arrays.get("scores"),
        features=arrays.get("features"),
        dynamics=dynamics,
    )


def _plain(values: np.ndarray, name: str) -> np.ndarray:
    """Return labels as an array that needs no pickle."""
    if values.dtype != object:
        return values
    kinds: set[Any] = {type(value) for value in values.tolist()}
    if kinds == {str}:
        return values.astype(str)
    plain = np.array(values.tolist())
    if plain.dtype == object or len(kinds) > 1:
        raise TypeError(
            f"{name} must be all numbers or all texts to be saved. Got "
            f"{sorted(kind.__name__ for kind in kinds)} instead."
        )
    return plain
