"""A valid call of a public function or method, by named arguments."""

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Case:
    """A public callable and a valid call of it.

    Attributes
    ----------
    room, name : str
        Where it is public, and what a report calls it.
    call : callable
        Takes the arguments by name; returns what is compared.
    arguments : callable
        Returns a fresh valid set of named arguments.
    paths : collection of str
        Arguments that name files: there an OSError is an answer.
    skip : mapping of str to str
        Arguments that are left alone, with the reason.
    unbounded : collection of str
        Whole numbers without a largest value, such as epochs: a huge one is an order
        to work for years, or a size that no memory holds, and not tried.
    callables : collection of str
        Arguments that may be functions of the user's, whose own errors are his.
    also : collection of str
        Other words that a message may name.
    missing : collection of str
        Arguments in which NaN or infinity is documented to be fine.
    ordered : collection of str
        Arguments whose content decides more than their numbers do, so that another
        container or dtype of the same numbers may mean something else.
    infinite : bool
        Whether NaN or infinity in the result is documented.
    rtol : float
        How far results of equivalent inputs may differ.
    cost : int
        Examples are divided by it.
    """

    room: str
    name: str
    call: Callable[..., Any]
    arguments: Callable[[], dict[str, Any]]
    paths: tuple[str, ...] = ()
    skip: Mapping[str, str] = field(default_factory=dict)
    unbounded: tuple[str, ...] = ()
    callables: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    infinite: bool = False
    rtol: float = 1e-9
    cost: int = 1

    @property
    def id(self) -> str:
        return f"{self.room}.{self.name}"

    def targets(self) -> list[str]:
        """Return the names of the arguments that may be replaced."""
        return [name for name in self.arguments() if name not in self.skip]


def fixed(**arguments: Any) -> Callable[[], dict[str, Any]]:
    """Return a factory of equal, fresh arguments."""
    return lambda: copy.deepcopy(arguments)


def fitting(
    room: str,
    estimator: type,
    params: Callable[[], dict[str, Any]],
    data: Callable[[], dict[str, Any]],
    outputs: Callable[[Any, dict[str, Any]], Any],
    *,
    method: str = "fit",
    **options: Any,
) -> Case:
    """Return the case of fit: constructor parameters and data, one as the other."""

    def arguments() -> dict[str, Any]:
        everything = estimator().get_params(deep=False) | params()
        return {**everything, **data()}

    def call(**given: Any) -> Any:
        rows = {name: given.pop(name) for name in list(given) if name in data()}
        fitted = estimator(**given)
        result = getattr(fitted, method)(**rows)
        return outputs(fitted, data()) if result is fitted else result

    return Case(room, f"{estimator.__name__}.{method}", call, arguments, **options)


def method_of(
    room: str,
    fitted: Callable[[], Any],
    name: str,
    arguments: Callable[[], dict[str, Any]],
    outputs: Callable[[Any], Any] | None = None,
    **options: Any,
) -> Case:
    """Return the case of a method of a fitted object, made once and copied."""
    cached = functools.cache(fitted)

    def call(**given: Any) -> Any:
        thing = copy.deepcopy(cached())
        result = getattr(thing, name)(**given)
        if outputs is not None:
            return outputs(thing)
        return None if result is thing else result

    owner = options.pop("owner")
    return Case(room, f"{owner}.{name}", call, arguments, **options)


def rows(n: int = 12, d: int = 3) -> np.ndarray:
    """Return eighths, which every float dtype holds, so that no copy rounds."""
    return np.random.RandomState(0).randint(-16, 17, size=(n, d)) / 8.0


def labels(n: int = 12, k: int = 3) -> np.ndarray:
    return np.arange(n) % k


def proba(n: int = 12, k: int = 4) -> np.ndarray:
    """Return rows of sixteenths that sum to one."""
    counts = np.random.RandomState(1).multinomial(16, np.full(k, 1 / k), size=n)
    return counts / 16.0
