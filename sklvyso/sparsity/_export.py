"""Networks and masks to files."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from sklvyso._arguments import check_path
from sklvyso._optional import import_optional
from sklvyso.sparsity._connectivity import check_sample_shape
from sklvyso.sparsity._weights import check_masks, check_module_type

SUFFIXES = (".pt", ".safetensors", ".pt2", ".onnx")
_ORDER = "order"


def export_module(
    module: nn.Module, path: str | Path, input_shape: Sequence[int]
) -> Path:
    """Write a network to a file; the suffix says how.

    Parameters
    ----------
    module : torch.nn.Module
        In any mode; it is written in evaluation mode and comes back as it was.
    path : str or Path
        ``.pt`` (state dict by :func:`torch.save`), ``.safetensors`` (state dict),
        ``.pt2`` (program by :func:`torch.export.export`) or ``.onnx``. The last two
        take batches of any size.
    input_shape : sequence of int
        Torch shape of one sample.

    Returns
    -------
    path : Path
        Where it lies.

    Raises
    ------
    ValueError
        If the suffix is another one, or the network cannot process such samples.
    FileNotFoundError
        If there is no such folder.
    ImportError
        If safetensors, or onnx and onnxscript, are not installed.

    See Also
    --------
    compact : Takes dead units out first.
    save_masks : Masks alone.

    Notes
    -----
    A file is replaced only when the new one is complete.
    """
    path = Path(check_path("path", path))
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"path must end in one of {list(SUFFIXES)}. Got {str(path)!r} instead."
        )
    module, shape = check_module_type(module), check_sample_shape(input_shape)
    write = _WRITERS[path.suffix]
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        return _whole(path, lambda unfinished: write(module, unfinished, shape))
    finally:
        for part, mode in modes:
            part.training = mode


def _whole(path: Path, write: Callable[[Path], None]) -> Path:
    """Write a file under another name, then rename it: half a file never remains."""
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path must lie in a folder that exists. Got {str(path)!r} instead."
        )
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        unfinished = Path(folder) / path.name
        write(unfinished)
        os.replace(unfinished, path)
    return path


def _write_state(module, path, shape):
    torch.save(module.state_dict(), path)


def _write_safetensors(module, path, shape):
    safetensors = import_optional(
        "safetensors.torch", extra="export", caller="export to safetensors"
    )
    state = {k: v.contiguous().clone() for k, v in module.state_dict().items()}
    safetensors.save_file(state, path)


def _program(module, shape):
    weight = next(module.parameters(), torch.zeros(1))
    sample = torch.zeros(2, *shape, device=weight.device, dtype=weight.dtype)
    try:
        with torch.no_grad():
            module(sample)
    except Exception as error:  # whatever the user's forward may raise
        raise ValueError(
            f"module {type(module).__name__} could not process samples of shape "
            f"input_shape={shape}: {error}"
        ) from error
    # Two samples stand for any number; one would be taken for a constant.
    dynamic = ({0: torch.export.Dim("batch", min=1)},)
    return sample, dynamic


def _write_program(module, path, shape):
    sample, dynamic = _program(module, shape)
    program = torch.export.export(module, (sample,), dynamic_shapes=dynamic)
    torch.export.save(program, path)


def _write_onnx(module, path, shape):
    for package in ("onnx", "onnxscript"):
        import_optional(package, extra="export", caller="export to ONNX")
    sample, dynamic = _program(module, shape)
    with _quiet():
        torch.onnx.export(
            module,
            (sample,),
            path,
            input_names=["X"],
            output_names=["logits"],
            dynamic_shapes=dynamic,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


@contextmanager
def _quiet():
    """Hold back the steps that the exporter reports, and what it does not find."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


_WRITERS = {
    ".pt": _write_state,
    ".safetensors": _write_safetensors,
    ".pt2": _write_program,
    ".onnx": _write_onnx,
}


def save_masks(masks: Mapping[str, ArrayLike], path: str | Path) -> Path:
    """Write masks to a safetensors file, one bool tensor a weight.

    Parameters
    ----------
    masks : dict of str to array-like
        Weight name to bools or zeros and ones.
    path : str or Path
        Any name.

    Returns
    -------
    path : Path
        Where it lies.

    Raises
    ------
    TypeError
        If ``masks`` is no dict.
    ValueError
        If a mask holds other values than zeros and ones.
    FileNotFoundError
        If there is no such folder.

    See Also
    --------
    save_masks : Writes the file.
    apply_masks : Puts masks on a module.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from sklvyso.sparsity import load_masks, save_masks
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "masks.safetensors"
    >>> path = save_masks({"0.weight": np.eye(2, dtype=bool)}, path)
    >>> load_masks(path)["0.weight"].astype(int)
    array([[1, 0],
           [0, 1]])
    >>> folder.cleanup()
    """
    safetensors = import_optional(
        "safetensors.numpy", extra="export", caller="save_masks"
    )
    if not isinstance(masks, Mapping):
        raise TypeError(
            "masks must be a dict of weight name to array. Got "
            f"{type(masks).__name__} instead."
        )
    shapes = {
        name: tuple(mask.shape if hasattr(mask, "shape") else np.shape(mask))
        for name, mask in masks.items()
    }
    arrays = {
        str(name): np.ascontiguousarray(mask)
        for name, mask in check_masks(masks, shapes).items()
    }
    # The format has an order of its own.
    order = {_ORDER: json.dumps(list(arrays))}
    return _whole(
        Path(check_path("path", path)),
        lambda unfinished: safetensors.save_file(arrays, unfinished, metadata=order),
    )


def load_masks(path: str | Path) -> dict[str, np.ndarray]:
    """Read masks from a safetensors file.

    Parameters
    ----------
    path : str or Path
        As written by :func:`save_masks`, or any file of zeros and ones.

    Returns
    -------
    masks : dict of str to ndarray of bool
        Weight name to kept weights, in the order in which they were saved.

    Raises
    ------
    ValueError
        If it is no safetensors file, or holds other values than zeros and ones.

    See Also
    --------
    save_masks : Writes the file.
    apply_masks : Puts masks on a module.
    """
    safetensors = import_optional("safetensors", extra="export", caller="load_masks")
    path = check_path("path", path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            known = (file.metadata() or {}).get(_ORDER)
            names = json.loads(known) if known else sorted(file.keys())
            arrays = {name: file.get_tensor(name) for name in names}
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(
            f"path must be a safetensors file of masks. Got {str(path)!r}, which "
            f"cannot be read: {error}"
        ) from error
    return check_masks(arrays, {name: array.shape for name, array in arrays.items()})
