"""Tokenizers as the files that transformers writes, which need no pickle."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import tempfile
from pathlib import Path
from typing import Any


def pack_tokenizer(tokenizer: Any) -> Any:
    """Return the files of a tokenizer with its class; one of another make as it is.

    Fast tokenizers hold an object of Rust that skops cannot store, and pickles of them
    depend on the version of transformers more than their files do.

    Parameters
    ----------
    tokenizer : tokenizer
        Of transformers, or any callable.

    Returns
    -------
    packed : dict or tokenizer
        ``class`` and ``files``, names to bytes.
    """
    if not hasattr(tokenizer, "save_pretrained"):
        return tokenizer
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in paths
        }
    return {"class": type(tokenizer), "files": files}


def unpack_tokenizer(packed: Any) -> Any:
    """Return what :func:`pack_tokenizer` packed.

    Parameters
    ----------
    packed : dict or tokenizer
        As it was stored.

    Raises
    ------
    ValueError
        If a file would lie outside of the folder of the tokenizer.
    """
    if not isinstance(packed, dict):
        return packed
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for name, content in packed["files"].items():
            path = (root / name).resolve()
            if not path.is_relative_to(root):
                raise ValueError(
                    f"Files of a tokenizer must lie in its folder. Got {name!r}."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return packed["class"].from_pretrained(folder, local_files_only=True)
