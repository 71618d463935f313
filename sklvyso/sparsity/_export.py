"""Networks and masks to files."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from sklvyso._optional import import_optional
from sklvyso.sparsity._connectivity import check_sample_shape

SUFFIXES = (".pt", ".safetensors", ".pt2", ".onnx")


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
        If the suffix is another one.
    FileNotFoundError
        If there is no such folder.
    ImportError
        If safetensors, or onnx and onnxscript, are not installed.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"path must end in one of {list(SUFFIXES)}. Got {str(path)!r} instead."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path must lie in a folder that exists. Got {str(path)!r} instead."
        )
    mode = module.training
    module.eval()
    try:
        _WRITERS[path.suffix](module, path, check_sample_shape(input_shape))
    finally:
        module.train(mode)
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
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    sample = torch.zeros(2, *shape, device=device)
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
    # The exporter reports its steps on standard output.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
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
    arrays = {}
    for name, mask in masks.items():
        if isinstance(mask, torch.Tensor):
            mask = mask.detach().cpu().numpy()
        arrays[str(name)] = np.ascontiguousarray(np.asarray(mask) != 0)
    safetensors.save_file(arrays, Path(path))
    return Path(path)


def load_masks(path: str | Path) -> dict[str, np.ndarray]:
    """Read masks from a safetensors file.

    Parameters
    ----------
    path : str or Path
        As written by :func:`save_masks`, or any file of zeros and ones.

    Returns
    -------
    masks : dict of str to ndarray of bool
        Weight name to kept weights.
    """
    safetensors = import_optional(
        "safetensors.numpy", extra="export", caller="load_masks"
    )
    return {
        name: array != 0 for name, array in sorted(safetensors.load_file(path).items())
    }
