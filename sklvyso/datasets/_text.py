"""Read labelled texts, or pairs of texts, from csv files."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import csv
import gzip
import io
import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklvyso._arguments import check_sequence
from sklvyso._compat import validate_params

_SUFFIXES = (".csv.gz", ".csv")


@validate_params(
    {
        "path": [str, os.PathLike],
        "text": ["array-like", str],
        "label": [str],
        "subset": [str, None],
        "target_names": ["array-like", None],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_text_csv(
    path: str | os.PathLike,
    text: str | Sequence[str] = ("text",),
    label: str = "label",
    subset: str | None = None,
    *,
    target_names: Sequence[str] | None = None,
    return_X_y: bool = False,
) -> Any:
    r"""Load labelled texts from a csv file, or from a folder of them.

    Files are UTF-8 with a header line, gzipped if they start like a gzip file.

    .. versionadded:: 0.1

    Parameters
    ----------
    path : str or path-like
        A csv file, or a folder that holds ``<subset>.csv.gz`` or ``<subset>.csv``.

    text : str or sequence of one or two str, default=("text",)
        Names of the columns that hold the texts: one, or two for pairs.

    label : str, default="label"
        Name of the column that holds the labels.

    subset : str, default=None
        Which file of a folder, such as 'train', 'dev' or 'test'. None where `path` is
        a file.

    target_names : sequence of str, default=None
        Label of each code. None takes the sorted labels of this file; pass those of
        the training file where a test file may lack a class.

    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes:

        data : list of str, or ndarray of shape (n_samples, 2), dtype=object
            Texts, or pairs of texts.
        target : ndarray of shape (n_samples,), dtype=int64
            Codes of the labels.
        target_names : list of str
            Label of each code.
        feature_names : list of str
            The columns read.
        filenames : list of str
            The file read.
        DESCR : str
            What was read, and the text of a README file beside it.

    (data, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is missing, a row is short, or a label is not in `target_names`.

    See Also
    --------
    load_image_archive : The same for images.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklvyso.datasets import load_text_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "train.csv")
    ...     with open(path, "w", encoding="utf-8") as file:
    ...         _ = file.write("text,label\nwell made,good\ntoo long,bad\n")
    ...     bunch = load_text_csv(folder, subset="train")
    >>> bunch.data
    ['well made', 'too long']
    >>> bunch.target, bunch.target_names
    (array([1, 0]), ['bad', 'good'])
    """
    columns = [text] if isinstance(text, str) else [*check_sequence("text", text)]
    if len(columns) not in (1, 2):
        raise ValueError(f"text must be one or two column names. Got {text!r} instead.")
    file = _find_file(os.fspath(path), subset)
    *texts, labels = _read_columns(file, [*columns, label])
    if target_names is None:
        names = sorted(set(labels))
    else:
        names = [str(name) for name in check_sequence("target_names", target_names)]
    code_of = {name: code for code, name in enumerate(names)}
    unknown = sorted(set(labels) - code_of.keys())
    if unknown:
        raise ValueError(
            f"target_names lack a label: those in {file} must be among {names}. Got "
            f"{unknown[0]!r} instead."
        )
    target = np.array([code_of[value] for value in labels], dtype=np.int64)
    data = texts[0] if len(texts) == 1 else _as_pairs(*texts)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=names,
        feature_names=columns,
        filenames=[file],
        DESCR=_describe(file, len(labels), names),
    )


def _find_file(path: str, subset: str | None) -> str:
    if os.path.isfile(path):
        if subset is not None:
            raise ValueError(
                "subset must be None where path is a file. "
                f"Got {subset!r} and {path} instead."
            )
        return path
    if not os.path.isdir(path):
        raise FileNotFoundError(f"{path} must be a csv file or a folder of them.")
    for suffix in _SUFFIXES:
        file = os.path.join(path, f"{subset}{suffix}")
        if subset is not None and os.path.isfile(file):
            return file
    there = sorted(
        {
            name.removesuffix(suffix)
            for name in os.listdir(path)
            for suffix in _SUFFIXES
            if name.endswith(suffix)
        }
    )
    raise ValueError(
        f"subset must be one of {there}, the csv files in {path}. "
        f"Got {subset!r} instead."
    )


def _read_columns(path: str, columns: list[str]) -> list[list[str]]:
    with open(path, "rb") as file:
        content = file.read()
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        # newline="" leaves line ends inside quoted texts alone, as csv wants it.
        lines = io.StringIO(content.decode("utf-8-sig"), newline="")
        header, *rows = csv.reader(lines, strict=True)
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error) as error:
        raise ValueError(
            f"{path} must be a complete UTF-8 csv file. Got: {error}."
        ) from error
    except ValueError:
        raise ValueError(f"{path} must have a header line. Got no line.") from None
    for column in columns:
        if column not in header:
            raise ValueError(
                f"Column {column!r} must be among those of {path}, {header}. "
                "Got no such column."
            )
    rows = [row for row in rows if row]
    for i, row in enumerate(rows):
        if len(row) != len(header):
            raise ValueError(
                f"Row {i} of {path} must have {len(header)} fields. "
                f"Got {len(row)} instead."
            )
    places = [header.index(column) for column in columns]
    return [[row[place] for row in rows] for place in places]


def _as_pairs(first: list[str], second: list[str]) -> np.ndarray:
    pairs = np.empty((len(first), 2), dtype=object)
    pairs[:, 0], pairs[:, 1] = first, second
    return pairs


def _describe(path: str, n_rows: int, names: list[str]) -> str:
    text = f"{n_rows:,} rows of {len(names)} classes, read from {path}.\n"
    readme = os.path.join(os.path.dirname(path), "README.md")
    if os.path.isfile(readme):
        with open(readme, encoding="utf-8", errors="replace") as file:
            text += "\n" + file.read()
    return text
