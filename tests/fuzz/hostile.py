"""Hostile variants of a valid argument, each a function of it and a position."""

import collections
import datetime
import decimal
import fractions
import pathlib

import numpy as np
import pandas as pd
import torch
from hypothesis import strategies as st
from scipy import sparse

HUGE = 10**30


class Weird:
    """An object that is nothing in particular."""


def answers_nothing(*args, **kwargs):
    return None


# What stands in for anything at all.
UNIVERSAL = {
    "none": lambda: None,
    "empty text": lambda: "",
    "text": lambda: "abc",
    "unicode": lambda: "ünïcødé\u202e\x00☃",
    "bytes": lambda: b"abc",
    "minus one": lambda: -1,
    "a million squared": lambda: HUGE,
    "minus a million squared": lambda: -HUGE,
    "half": lambda: 0.5,
    "minus half": lambda: -0.5,
    "one and a half": lambda: 1.5,
    "two as a float": lambda: 2.0,
    "nan": lambda: np.nan,
    "inf": lambda: np.inf,
    "minus inf": lambda: -np.inf,
    "largest float": lambda: np.finfo(float).max,
    "smallest float": lambda: 5e-324,
    "zero": lambda: 0,
    "seven": lambda: 7,
    "true": lambda: True,
    "false": lambda: False,
    "numpy true": lambda: np.True_,
    "numpy int": lambda: np.int8(2),
    "numpy float": lambda: np.float16(0.5),
    "nat": lambda: np.datetime64("NaT"),
    "missing": lambda: pd.NA,
    "complex": lambda: 1j,
    "decimal": lambda: decimal.Decimal("0.5"),
    "fraction": lambda: fractions.Fraction(1, 2),
    "date": lambda: datetime.date(2020, 1, 1),
    "empty list": lambda: [],
    "empty tuple": lambda: (),
    "empty dict": lambda: {},
    "empty set": lambda: set(),
    "empty array": lambda: np.empty(0),
    "empty table": lambda: np.empty((0, 0)),
    "zero-dimensional": lambda: np.array(1.0),
    "list of none": lambda: [None],
    "list of texts": lambda: ["a", "b"],
    "list of lists": lambda: [[], []],
    "ragged": lambda: [[1, 2], [3]],
    "nested": lambda: [[[[[[[1]]]]]]],
    "dict": lambda: {"a": 1},
    "dict of numbers": lambda: {0: -1.0, 1: np.nan},
    "ordered dict": lambda: collections.OrderedDict(a=[1]),
    "set": lambda: {1, 2},
    "range": lambda: range(3),
    "generator": lambda: (i for i in range(3)),
    "object": Weird,
    "class": lambda: Weird,
    "callable": lambda: answers_nothing,
    "tensor": lambda: torch.tensor([1.0, 2.0]),
    "scalar tensor": lambda: torch.tensor(2.0),
    "module": lambda: torch.nn.Linear(2, 2),
    "series": lambda: pd.Series([1.0, None]),
    "frame": lambda: pd.DataFrame({"ä": [1], "b": ["x"]}),
    "sparse": lambda: sparse.eye_array(3).tocsr(),
    "datetimes": lambda: np.array(["2020-01-01"] * 3, dtype="M8[D]"),
    "structured": lambda: np.zeros(3, dtype=[("a", int), ("b", float)]),
    "path": lambda: pathlib.Path("does") / "not" / "exist",
    "slice": lambda: slice(None),
    "ellipsis": lambda: ...,
}


def _changed(array, position, value):
    out = np.array(array, dtype=object if array.dtype.kind in "OSUT" else None)
    if out.dtype.kind in "iub":
        out = out.astype(float)
    if out.size:
        out.flat[position % out.size] = value
    return out


def _strided(array):
    wide = np.repeat(array, 2, axis=-1)
    return wide[..., ::2]


def _read_only(array):
    copy = array.copy()
    copy.setflags(write=False)
    return copy


def _numbers(function):
    """Apply to numbers only; texts stay as they are."""

    def apply(array, position):
        with np.errstate(all="ignore"):
            return function(array) if array.dtype.kind in "iufb" else array[:0]

    return apply


def _float(array):
    return array.astype(float)


# What is wrong with the content of an array.
SPOILED = {
    "one nan": lambda a, i: _changed(a, i, np.nan),
    "one inf": lambda a, i: _changed(a, i, np.inf),
    "one minus inf": lambda a, i: _changed(a, i, -np.inf),
    "all nan": _numbers(lambda a: np.full(a.shape, np.nan)),
    "one none": lambda a, i: _changed(a.astype(object), i, None),
    "one missing": lambda a, i: _changed(a.astype(object), i, pd.NA),
    "one text": lambda a, i: _changed(a.astype(object), i, "x"),
    "one list": lambda a, i: _with_list(a, i),
    "texts": lambda a, i: a.astype(str),
    "unicode texts": lambda a, i: np.char.add("☃", a.astype(str)),
    "byte texts": lambda a, i: np.char.encode(a.astype(str), "utf-8"),
    "no rows": lambda a, i: a[:0],
    "one row": lambda a, i: a[:1],
    "a row less": lambda a, i: a[:-1],
    "a row more": lambda a, i: np.concatenate([a, a[:1]]),
    "one kind": lambda a, i: np.repeat(a[:1], len(a), axis=0),
    "no columns": lambda a, i: a[..., :0],
    "one column": lambda a, i: a[..., :1],
    "a column more": lambda a, i: np.concatenate([a, a[..., :1]], axis=-1),
    "an axis more": lambda a, i: a[..., np.newaxis],
    "an axis more in front": lambda a, i: a[np.newaxis],
    "turned": lambda a, i: a.T,
    "flat": lambda a, i: a.ravel(),
    "times 1e300": _numbers(lambda a: _float(a) * 1e300),
    "times 1e-300": _numbers(lambda a: _float(a) * 1e-300),
    "times 1e30": _numbers(lambda a: _float(a) * 1e30),
    "negated": _numbers(lambda a: -_float(a)),
    "zeros": _numbers(lambda a: np.zeros_like(a)),
    "doubled": _numbers(lambda a: _float(a) * 2),
    "shifted": _numbers(lambda a: _float(a) + 1000),
    "complex numbers": _numbers(lambda a: a + 1j),
    "truths": _numbers(lambda a: a > 0),
    "bytes 0 to 255": _numbers(lambda a: a.astype(np.int64).astype(np.uint8)),
    "half precision": _numbers(lambda a: a.astype(np.float16)),
    "dates": _numbers(lambda a: a.astype(np.int64).astype("M8[D]")),
    "named fields": lambda a, i: np.zeros(len(a), dtype=[("a", int), ("b", "U3")]),
    "ragged rows": lambda a, i: (
        [row[: 1 + n % 2] for n, row in enumerate(a.tolist())]
        if a.ndim > 1
        else [*a.tolist()[:-1], a.tolist()]
    ),
    "sparse": _numbers(lambda a: _sparse(_float(a))),
    "sparse tensor": _numbers(lambda a: torch.tensor(_float(a)).to_sparse()),
    "tensor on meta": _numbers(lambda a: torch.empty(a.shape, device="meta")),
    "half tensor": _numbers(lambda a: torch.tensor(_float(a)).bfloat16()),
    "nullable with a gap": lambda a, i: (
        _frame(pd.DataFrame(np.atleast_2d(a.T).T).convert_dtypes(), i)
        if a.ndim < 3
        else a[:0]
    ),
    "scalar": lambda a, i: a.flat[0] if a.size else 0,
    "dict of columns": lambda a, i: dict(enumerate(a.tolist())),
    "iterator": lambda a, i: iter(a.tolist()),
}


def _sparse(array):
    if array.ndim > 2:
        return sparse.coo_array(array)
    return sparse.csr_array(np.atleast_2d(array))


def _with_list(array, position):
    out = array.astype(object)
    if out.size:
        out.flat[position % out.size] = [1, 2]
    return out


def _frame(frame, position):
    frame = frame.astype(object).where(frame.notna(), None).convert_dtypes()
    frame.iloc[position % len(frame), position % frame.shape[1]] = pd.NA
    return frame if frame.shape[1] > 1 else frame.iloc[:, 0]


def _pandas(array, nullable):
    if array.ndim > 2:
        return array
    thing = pd.Series(array) if array.ndim == 1 else pd.DataFrame(array)
    if array.ndim == 2:
        thing.columns = [f"ü{i}" for i in range(array.shape[1])]
    thing.index = range(100, 100 + len(array))  # an index of its own
    if nullable:
        kinds = {"f": "Float64", "i": "Int64", "b": "boolean"}
        return thing.astype(kinds.get(array.dtype.kind, "string"))
    return thing


def _as_tensor(array, **options):
    if array.dtype.kind not in "iufb":
        return array
    return torch.tensor(array, **options)


# The same numbers in other clothes: an answer must be the same answer.
EQUIVALENT = {
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(a.tolist()),
    "list of rows": lambda a: list(a),
    "read-only": _read_only,
    "every second": _strided,
    "reversed twice": lambda a: a[::-1].copy()[::-1],
    "Fortran order": np.asfortranarray,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "float32": lambda a: a.astype(np.float32) if a.dtype.kind == "f" else a,
    "long double": lambda a: a.astype(np.longdouble) if a.dtype.kind == "f" else a,
    "int32": lambda a: a.astype(np.int32) if a.dtype.kind == "i" else a,
    "objects": lambda a: a.astype(object),
    "pandas": lambda a: _pandas(a, nullable=False),
    "nullable pandas": lambda a: _pandas(a, nullable=True),
    "tensor": _as_tensor,
    "tensor with gradient": lambda a: _as_tensor(a, requires_grad=a.dtype.kind == "f"),
    "subclass": lambda a: a.view(type("Array", (np.ndarray,), {})),
}


def variants_of(value, *, is_path=False, is_unbounded=False):
    """Return the labels of what can stand in for a valid value."""
    names = [f"any:{name}" for name in UNIVERSAL]
    if is_path:
        # A small integer is an open file of this very process.
        closed = ("true", "false", "zero", "seven", "numpy true", "numpy int")
        names = [n for n in names if n.removeprefix("any:") not in closed]
    if is_unbounded:
        names = [n for n in names if "a million squared" not in n or "minus" in n]
        names = [n for n in names if "largest float" not in n and n != "any:inf"]
    if isinstance(value, np.ndarray):
        names += [f"spoiled:{name}" for name in SPOILED]
        names += [f"same:{name}" for name in EQUIVALENT]
    return names


def make(value, variant, position=0):
    """Return what stands in for a valid value."""
    kind, name = variant.split(":", 1)
    if kind == "any":
        return UNIVERSAL[name]()
    if kind == "spoiled":
        return SPOILED[name](value, position)
    return EQUIVALENT[name](value)


# Beyond the tables: what nobody thought of.
ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 300),
        st.floats(width=16),
        st.floats(),
        st.text(max_size=5),
        st.binary(max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=8,
)
