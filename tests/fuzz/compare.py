"""Are two results the same, and is a result finite?"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from scipy import sparse


def leaves(value, depth=0):
    """Yield every array and scalar inside a result."""
    if depth > 6 or value is None or isinstance(value, str | bytes | bool):
        yield value
    elif isinstance(value, torch.nn.Module):
        yield from leaves(value.state_dict(), depth + 1)
    elif isinstance(value, torch.Tensor):
        is_half = value.dtype is torch.bfloat16  # which NumPy has not
        value = value.detach().float() if is_half else value.detach()
        yield "meta" if value.is_meta else value.cpu().to_dense().numpy()
    elif sparse.issparse(value):
        yield value.toarray()
    elif isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        yield from leaves(value.to_numpy(), depth + 1)
    elif isinstance(value, Mapping):
        for key in value:
            yield from leaves(value[key], depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        table = _as_table(value)
        if table is not None:
            yield table
            return
        for item in value:
            yield from leaves(item, depth + 1)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from leaves(vars(value), depth + 1)
    elif isinstance(value, np.ndarray | np.generic | int | float | complex):
        yield np.asarray(value)


def _as_table(value):
    """Return nested numbers as an array, so that a list equals an array."""
    if isinstance(value, set | frozenset) or not len(value):
        return None
    try:
        table = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return table if table.dtype.kind in "biuf" else None


def is_finite(value):
    """Say whether no number of a result is NaN or infinite."""
    for leaf in leaves(value):
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fc":
            if not np.isfinite(leaf).all():
                return False
    return True


def difference(one, other, rtol):
    """Return how two results differ, or None."""
    first, second = list(leaves(one)), list(leaves(other))
    if len(first) != len(second):
        return f"{len(first)} and {len(second)} parts"
    for a, b in zip(first, second, strict=True):
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            if a.shape != b.shape:
                return f"shapes {a.shape} and {b.shape}"
            numbers = a.dtype.kind in "biufc" and b.dtype.kind in "biufc"
            if numbers:
                scale = np.abs(a[np.isfinite(a)]).max(initial=0.0)
                equal = np.allclose(
                    a, b, rtol=rtol, atol=rtol * max(1.0, scale), equal_nan=True
                )
            else:
                equal = [str(x) for x in a.ravel()] == [str(x) for x in b.ravel()]
            if not equal:
                return f"{a.ravel()[:4]} and {b.ravel()[:4]}"
        elif isinstance(a, np.ndarray) != isinstance(b, np.ndarray) or a != b:
            return f"{a!r} and {b!r}"
    return None


def same_input(before, after):
    """Say whether an argument still holds what it held."""
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        if before.dtype != after.dtype or before.shape != after.shape:
            return False
        if before.dtype.kind in "fc":
            return np.array_equal(before, after, equal_nan=True)
        return before.tobytes() == after.tobytes() or before.dtype.kind == "O"
    return True
