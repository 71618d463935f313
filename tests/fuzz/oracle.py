"""What a public callable may do with hostile input, and what it may not."""

import contextlib
import re
import signal
import threading
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import sklvyso

PACKAGE = str(Path(sklvyso.__file__).parent)
# Where scikit-learn and imbalanced-learn word their complaints about input.
VALIDATION = re.compile(
    r"/(sklearn/(utils|base\.py|metrics/_scorer|model_selection/_split)|imblearn/(utils|base)|joblib/_parallel_backends)"
)
# How NumPy, torch and Python themselves complain.
INTERNAL = re.compile(
    r"^(setting an array element|could not convert|unsupported operand|"
    r"'[\w.]+' (object|"
    r"not supported)|'[<>=!]+' not supported|object of type|can't convert|can only|"
    r"must be real number|invalid literal|The truth value|ufunc|operands could not|"
    r"only (integer|length|0-dim)|unhashable|cannot (convert|unpack|reshape|use)|"
    r"float\(\) argument|int\(\) argument|argument of type|bad operand|too many values|"
    r"not enough values|zero-size array|need at least|all the input|expected |new\(\)|"
    r"[\w.]+\(\) (got|missing|takes|argument|received)|array must not|mat1|shape "
    r"mismatch|loop of ufunc|buffer|Cannot cast|data type|iteration over|list indices|"
    r"slice indices|string indices|boolean value|negative dimensions|Maximum allowed|"
    r"a must be|p must|len\(\)|Expected|No loop|Invalid|object )"
)
FORBIDDEN = (
    np.linalg.LinAlgError,
    np.exceptions.AxisError,
    ArithmeticError,
    LookupError,
    RuntimeError,
)
SECONDS = 20


class Hang(BaseException):
    """A call did not return in time."""


@dataclass(frozen=True)
class Outcome:
    """What a call did."""

    value: object = None
    error: BaseException | None = None
    warned: tuple = ()


@contextlib.contextmanager
def time_limit(seconds=SECONDS):
    """Raise :class:`Hang` in the main thread after so many seconds."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(signum, frame):
        raise Hang(f"no answer in {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def observe(call, arguments):
    """Call, and keep whatever happens."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with time_limit():
                value = call(**arguments)
        except (Exception, Hang) as error:
            return Outcome(error=error, warned=tuple(caught))
    return Outcome(value=value, warned=tuple(caught))


def complaint(outcome, names, *, may_be_os_error=False):
    """Return what is wrong with an error or a warning, or None.

    Parameters
    ----------
    outcome : Outcome
        Of a call.
    names : collection of str
        Parameters that a message may name.
    may_be_os_error : bool
        Whether a path was replaced.
    """
    for warning in outcome.warned:
        is_internal = not warning.filename.startswith(PACKAGE) or issubclass(
            warning.category, RuntimeWarning
        )
        text = str(warning.message)
        if outcome.error is not None and "/sklearn/" in warning.filename:
            continue  # on its way to a complaint
        if "torch.jit" in str(warning.message):
            continue  # torch.compile imports torch's own deprecated scripting
        if issubclass(warning.category, RuntimeWarning | DeprecationWarning) or (
            is_internal and "not writable" in text
        ):
            return f"warning {warning.category.__name__}: {text}"
    error = outcome.error
    if error is None:
        return None
    if isinstance(error, OSError) and may_be_os_error:
        return None
    if isinstance(error, ImportError):
        return f"ImportError: {error}"
    if not isinstance(error, ValueError | TypeError) or isinstance(error, FORBIDDEN):
        return f"{type(error).__name__}: {first_line(error)}"
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if VALIDATION.search(frames[-1]) or any(
        frame.endswith("sklearn/utils/validation.py") for frame in frames
    ):
        return None
    if not frames[-1].startswith(PACKAGE):
        place, kind = short(frames[-1]), type(error).__name__
        return f"raised in {place}, {kind}: {first_line(error)}"
    if INTERNAL.search(str(error)):
        return f"not worded by us, {type(error).__name__}: {first_line(error)}"
    if "estimator" in names:
        names = {*names, "module"}  # where the estimator is made from a module
    if not any(re.search(rf"\b{re.escape(name)}\b", str(error)) for name in names):
        return f"names no parameter, {type(error).__name__}: {first_line(error)}"
    return None


def first_line(error):
    return str(error).split("\n")[0][:160]


def short(path):
    return "/".join(Path(path).parts[-3:])


def where(error):
    """Return the last line of the package that an error went through."""
    lines = [
        f"{short(frame.filename)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(PACKAGE)
    ]
    return lines[-1] if lines else "outside"
