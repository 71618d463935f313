"""Frames from folders, globs, images, animations, arrays and videos, one by one."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import glob
import itertools
import os
import re
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from sklvyso._arguments import (
    LARGEST_SIZE,
    check_path,
    is_choice,
    is_integer,
    read_array,
)
from sklvyso._images import decoding
from sklvyso._optional import import_optional

IMAGE_SUFFIXES = (
    ".apng",
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".png",
    ".ppm",
    ".tga",
    ".tif",
    ".tiff",
    ".webp",
)
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
_ON_ERROR = ("raise", "warn", "skip")


def iter_frames(
    path_or_array: Any,
    *,
    step: int = 1,
    resize: tuple[int, int] | None = None,
    on_error: str = "raise",
) -> Iterator[np.ndarray]:
    """Yield frames one by one, from files or arrays, without loading all of them.

    .. versionadded:: 0.1

    Parameters
    ----------
    path_or_array : str, path-like, array, or iterable of them
        What holds the frames:

        - a folder: its image files in natural order (``frame2`` before ``frame10``);
        - a pattern with ``*``, ``?`` or ``[``: the files that match;
        - an image; an animated GIF, PNG or WebP gives each of its frames;
        - a ``.npy`` file (n, H, W) or (n, H, W, C), memory-mapped;
        - a video (``.mp4``, ``.mkv``, ``.webm``, ...), which needs the extra ``video``;
        - an array (n, H, W) or (n, H, W, C), or (H, W) for a single frame;
        - any iterable of paths and frames.
    step : int, default=1
        Take every `step`-th frame, beginning with the first.
    resize : (int, int), default=None
        Rows and columns of the frames yielded, by area averaging. None leaves them.
    on_error : {"raise", "warn", "skip"}, default="raise"
        What to do with a file that cannot be read: stop, or go on to the next, with a
        warning or without. Such a file counts as no frame. A path that does not exist
        always raises.

    Yields
    ------
    frame : ndarray of shape (H, W) or (H, W, 3)
        uint8 from image files (uint16 where they are 16-bit grey); the array's dtype
        from arrays.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If a parameter is wrong, or a file holds no frames.
    ImportError
        If a video is given and PyAV is not installed.

    See Also
    --------
    sklvyso.datasets.load_game_frames : Frames with games and clips.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.artifacts import iter_frames
    >>> frames = np.zeros((10, 48, 64, 3), dtype=np.uint8)
    >>> [frame.shape for frame in iter_frames(frames, step=4, resize=(24, 32))]
    [(24, 32, 3), (24, 32, 3), (24, 32, 3)]
    """
    if not is_integer(step) or not 1 <= step <= LARGEST_SIZE:
        raise ValueError(f"step must be an integer >= 1. Got {step!r} instead.")
    if not is_choice(on_error, _ON_ERROR):
        raise ValueError(f"on_error must be one of {_ON_ERROR}. Got {on_error!r}.")
    if resize is not None:
        resize = _checked_size(resize)
    frames = itertools.islice(_all_frames(path_or_array, on_error), 0, None, int(step))
    return frames if resize is None else (_resized(frame, resize) for frame in frames)


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Return the first frame of an image file, (H, W) or (H, W, 3)."""
    return next(_image_frames(os.fspath(path)))


def _all_frames(source: Any, on_error: str) -> Iterator[np.ndarray]:
    if isinstance(source, str | os.PathLike):
        files = _files_of(check_path("path_or_array", source))
        return _frames_of_files(files, on_error)
    if isinstance(source, np.ndarray) or hasattr(source, "__array__"):
        return _frames_of_array(read_array("path_or_array", source), "path_or_array")
    if isinstance(source, Iterable):
        return itertools.chain.from_iterable(_part(part, on_error) for part in source)
    raise TypeError(
        "path_or_array must be a path, an array, or an iterable of them. "
        f"Got {type(source).__name__} instead."
    )


def _part(part: Any, on_error: str) -> Iterator[np.ndarray]:
    """Frames of one element of an iterable: a path, or a single frame."""
    if isinstance(part, str | os.PathLike):
        return _all_frames(part, on_error)
    frame = read_array("path_or_array", part)
    if frame.dtype.kind not in "buif" or not frame.size:
        raise ValueError(
            f"path_or_array must hold frames of numbers. Got dtype {frame.dtype}, "
            f"shape {frame.shape} in it."
        )
    return iter([frame])


def _files_of(path: str) -> list[str]:
    """Files that a path means, at least one, in natural order."""
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        names = [n for n in os.listdir(path) if n.lower().endswith(IMAGE_SUFFIXES)]
        files = [os.path.join(path, name) for name in names]
        if not files:
            raise ValueError(
                f"{path} must hold images ({', '.join(IMAGE_SUFFIXES)}). Got none."
            )
    elif os.path.isfile(path):
        files = [path]
    else:
        # A folder's own name may hold brackets: a file that exists comes first.
        files = [file for file in glob.glob(path) if os.path.isfile(file)]
        if not files:
            raise FileNotFoundError(
                f"{path} must be a folder, a file or a pattern that matches files."
            )
    return sorted(files, key=_natural_order)


def _natural_order(path: str) -> list:
    parts = re.split(r"(\d+)", path)
    return [(int(p), p) if i % 2 else (0, p) for i, p in enumerate(parts)]


def _frames_of_files(files: list[str], on_error: str) -> Iterator[np.ndarray]:
    for file in files:
        suffix = os.path.splitext(file)[1].lower()
        try:
            if suffix == ".npy":
                yield from _frames_of_array(_mapped(file), file)
            elif suffix in VIDEO_SUFFIXES:
                yield from _video_frames(file)
            else:
                yield from _image_frames(file)
        except ValueError as error:
            if on_error == "raise":
                raise
            if on_error == "warn":
                warnings.warn(f"{error} It was passed over.", UserWarning, stacklevel=3)


def _mapped(path: str) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, PermissionError):
        raise
    except (
        ValueError,
        EOFError,
        OSError,
        SyntaxError,
        TypeError,
        OverflowError,
        LookupError,
        tokenize.TokenError,
    ) as error:
        raise ValueError(
            f"{path} must be a whole .npy file of numbers. Got: {error}."
        ) from error


def _frames_of_array(array: np.ndarray, name: str) -> Iterator[np.ndarray]:
    if array.ndim == 2:
        array = array[np.newaxis]
    has_channels = array.ndim == 4 and array.shape[3] in (1, 3, 4)
    if array.dtype.kind not in "buif" or not (array.ndim == 3 or has_channels):
        raise ValueError(
            f"{name} must hold frames of shape (n, H, W) or (n, H, W, C) with C = 1, 3 "
            f"or 4. Got shape {array.shape} of dtype {array.dtype} instead."
        )
    return (np.asarray(frame) for frame in array)


def _image_frames(path: str) -> Iterator[np.ndarray]:
    from PIL import Image  # comes with scikit-image; needed for files only

    with contextlib.ExitStack() as stack:
        with decoding(path):
            image = stack.enter_context(Image.open(path))
            n_frames = getattr(image, "n_frames", 1)
        for i in range(n_frames):
            with decoding(path):
                image.seek(i)
                frame = _pixels(image)
            yield frame


def _pixels(image: Any) -> np.ndarray:
    """Convert palettes, opacity and other colour models to grey or RGB."""
    if image.mode.startswith("I;16"):
        return np.array(image)
    if image.mode in ("1", "L", "LA"):
        return np.array(image.convert("L"))
    return np.array(image.convert("RGB"))


def _video_frames(path: str) -> Iterator[np.ndarray]:
    av = import_optional("av", extra="video", caller="iter_frames")
    try:
        with av.open(path) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(
            f"{path} must be a complete video file. Got: {error}."
        ) from error


def _checked_size(resize: Any) -> tuple[int, int]:
    try:
        height, width = (int(length) for length in resize)
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        raise ValueError(
            f"resize must be (rows, columns), both >= 1. Got {resize!r} instead."
        )
    return height, width


def _resized(frame: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    from sklvyso.artifacts._frames import shrink  # it reads files through this module

    if frame.ndim not in (2, 3):
        raise ValueError(
            "path_or_array must hold frames (H, W) or (H, W, C) to be resized. Got one "
            f"of shape {frame.shape}."
        )
    planes = frame[..., np.newaxis] if frame.ndim == 2 else frame
    resized = np.stack(
        [
            shrink(plane.astype(np.float64), shape)
            for plane in np.moveaxis(planes, 2, 0)
        ],
        axis=2,
    )
    if frame.dtype.kind in "ui":
        resized = np.rint(resized)
    return resized.reshape(*shape, *frame.shape[2:]).astype(frame.dtype)
