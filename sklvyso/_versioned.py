"""Estimators that remember which version of the package stored them."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import dataclasses
import inspect
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning

from sklvyso._version import __version__

_KEY = "_sklvyso_version"
_UNKNOWN = "an unreleased version"


class StoredByAnotherVersionWarning(InconsistentVersionWarning):
    """An estimator comes from a file of another version of sklvyso.

    Its text names no class: Python shows equal warnings of a place once, so that an
    estimator in which others lie warns once.
    """

    def __init__(self, stored_by: str):
        super().__init__(
            estimator_name="sklvyso",
            current_sklearn_version=__version__,
            original_sklearn_version=stored_by,
        )
        self.stored_by = stored_by

    def __str__(self) -> str:
        return (
            f"A file of sklvyso {self.stored_by} is loaded by sklvyso {__version__}: "
            "what it holds may act otherwise than before. Fit anew, or install "
            f"{_requirement(self.stored_by)} to load it, then filter this warning."
        )


class VersionedEstimator:
    """Mixin of estimators, left of ``BaseEstimator``.

    What is stored carries the version of the package. A file of another minor version
    warns when it is loaded; parameters that it lacks get their defaults, and where it
    lacks what predictions need, loading is refused.

    Attributes
    ----------
    _needed_state : tuple of str
        Attributes that every fitted estimator of the class needs to predict or
        transform. tests/test_persistence.py proves the list.
    """

    _needed_state: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), _KEY: __version__}  # type: ignore[dict-item]

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        stored_by = state.pop(_KEY, _UNKNOWN)
        if _minor(stored_by) != _minor(__version__):
            # The caller of pickle.load, which has no frame of its own.
            warnings.warn(StoredByAnotherVersionWarning(stored_by), stacklevel=2)
            _refuse_incomplete(self, state, stored_by)
            state = _defaults(type(self)) | state
        super().__setstate__(state)  # type: ignore[misc]


def _minor(version: str) -> list[str]:
    """Return what decides whether files are alike: 0.1.0.dev0 and 0.1.3 are."""
    return version.split(".")[:2]


def _requirement(version: str) -> str:
    return "that version" if version == _UNKNOWN else f"sklvyso=={version}"


def _refuse_incomplete(estimator: Any, state: dict, stored_by: str) -> None:
    needed = type(estimator)._needed_state
    is_fitted = any(name in state for name in needed)
    missing = [name for name in needed if is_fitted and name not in state]
    missing += dict.fromkeys(_missing_fields(state))
    if missing:
        raise ValueError(
            f"This {type(estimator).__name__} was stored by sklvyso {stored_by} and "
            f"lacks what sklvyso {__version__} needs: {', '.join(missing)}. Fit anew, "
            f"or install {_requirement(stored_by)} to use it."
        )


def _missing_fields(value: Any) -> Iterator[str]:
    """Yield fields that our records inside of a state do not have."""
    if isinstance(value, Mapping):
        parts = list(value.values())
    elif isinstance(value, list | tuple):
        parts = list(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        names = [field.name for field in dataclasses.fields(value)]
        yield from (f"{kind.__name__}.{n}" for n in names if not hasattr(value, n))
        parts = list(vars(value).values())
    else:
        return
    for part in parts:
        yield from _missing_fields(part)


def _defaults(kind: type) -> dict[str, Any]:
    """Return the parameters of a class with defaults."""
    parameters = inspect.signature(kind).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}
