"""One hostile call, and what is wrong with its outcome."""

import collections
import copy
import functools
import warnings

import numpy as np

from tests.fuzz.compare import difference, is_finite, same_input
from tests.fuzz.hostile import make, variants_of
from tests.fuzz.oracle import complaint, observe, where

COUNTS: collections.Counter[str] = collections.Counter()
PROCESSES = (
    "minus one",
    "seven",
    "true",
    "numpy true",
    "numpy int",
    "a million squared",
    "minus a million squared",
)
# float32 keeps seven digits, and sums of a few dozen numbers lose two of them.
FLOAT32_RTOL = 1e-4
# float16 and bfloat16 arrays of eighths are exact, so that they need no tolerance.


@functools.cache
def valid_result(case):
    """Return what the valid call gives; it must give something."""
    outcome = observe(case.call, case.arguments())
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def choices(case, name, value):
    """Return the labels of the variants of one argument."""
    names = variants_of(
        value, is_path=name in case.paths, is_unbounded=name in case.unbounded
    )
    if name == "n_jobs":  # processes take seconds to start
        names = [n for n in names if n.removeprefix("any:") not in PROCESSES]
    if name in case.callables:
        names = [n for n in names if n not in ("any:class", "any:module")]
    return names


def is_finite_input(value):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # complex numbers lose their second part
            return bool(np.isfinite(np.asarray(value, dtype=float)).all())
    except (TypeError, ValueError, RuntimeError):  # RuntimeError: a tensor in training
        return True


def attempt(case, changes):
    """Call with some arguments replaced; return a finding or None.

    Parameters
    ----------
    case : Case
        The valid call.
    changes : dict
        Name of an argument to ``(variant, value)``.
    """
    arguments = case.arguments()
    arguments.update({name: value for name, (_, value) in changes.items()})
    arrays = {
        name: value.copy()
        for name, value in arguments.items()
        if isinstance(value, np.ndarray)
    }
    COUNTS[case.room] += 1
    outcome = observe(case.call, arguments)
    is_path = any(name in case.paths for name in changes)
    wrong = complaint(outcome, {*arguments, *case.also}, may_be_os_error=is_path)
    if wrong is not None:
        place = "" if outcome.error is None else f" at {where(outcome.error)}"
        return f"{wrong}{place}"
    if any(not same_input(arrays[name], arguments[name]) for name in arrays):
        return "writes into its argument"
    if outcome.error is not None:
        return None
    return _check_value(case, changes, outcome.value)


def _check_value(case, changes, value):
    kinds = [variant for variant, _ in changes.values()]
    if all(kind.startswith("same:") for kind in kinds):
        is_single = any("float32" in kind for kind in kinds)
        rtol = max(case.rtol, FLOAT32_RTOL if is_single else 0.0)
        if any(name in case.ordered for name in changes):
            return None
        apart = difference(valid_result(case), value, rtol)
        return None if apart is None else f"silent difference: {apart}"
    finite = all(is_finite_input(given) for _, given in changes.values())
    if finite and not case.infinite and not is_finite(value):
        if is_finite(valid_result(case)):
            return "NaN or infinity from finite input"
    for name, (kind, _) in changes.items():
        spoiled = kind in ("spoiled:one nan", "spoiled:all nan", "spoiled:one inf")
        array = case.arguments()[name]
        if spoiled and array.dtype.kind in "f" and name not in case.missing:
            if is_finite(value):
                return "finite answer from NaN or infinity"
    return None


def exhaust(case):
    """Yield every single replacement of every argument, with its finding."""
    valid_result(case)
    for name in case.targets():
        value = case.arguments()[name]
        for variant in choices(case, name, value):
            replaced = make(copy.deepcopy(value), variant)
            yield name, variant, attempt(case, {name: (variant, replaced)})
