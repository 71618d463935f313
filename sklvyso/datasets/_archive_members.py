"""List and decode the images of a folder, a zip file or a tar archive, in memory."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# Bytes of one packed image: far more than any camera writes, and little enough that an
# archive which unpacks to a thousand times its size cannot fill the memory.
LARGEST_FILE = 2**28
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_BROKEN_ARCHIVE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
)


@dataclass(frozen=True)
class ImageMember:
    """One image file: its name in the archive, its class, its subset or ''."""

    name: str
    label: str
    subset: str


def list_images(path: str) -> list[ImageMember]:
    """List the image files of a folder or archive that lie in a class folder."""
    if os.path.isdir(path):
        names = _walk(path)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    else:
        names = [member.name for _, member in _tar_files(path)]
    members = []
    for name in dict.fromkeys(names):
        *folders, file = [part for part in name.split("/") if part not in ("", ".")]
        is_hidden = any(p.startswith(".") or p == "__MACOSX" for p in (*folders, file))
        if folders and not is_hidden and file.lower().endswith(IMAGE_ENDINGS):
            subset = folders[-2] if len(folders) > 1 else ""
            members.append(ImageMember(name, folders[-1], subset))
    return members


def read_images(
    path: str,
    members: Sequence[ImageMember],
    size: tuple[int, int] | None,
    mode: str,
) -> np.ndarray:
    """Decode images into one array.

    Parameters
    ----------
    path : str
        Folder or archive.
    members : sequence of ImageMember
        What to read, in the order of the result.
    size : tuple (height, width) or None
        Size to resize to; None demands equal sizes.
    mode : {'RGB', 'L'}
        Colour or grey.

    Returns
    -------
    images : ndarray of shape (n, height, width[, 3]), dtype=uint8
        The pixels.
    """
    row_of = {member.name: row for row, member in enumerate(members)}
    images: np.ndarray | None = None
    first = ""
    for name, content in _contents(path, row_of):
        image = decode_image(content, f"{path}: {name}", size, mode)
        if images is None:
            images, first = np.empty((len(members), *image.shape), np.uint8), name
        if image.shape != images.shape[1:]:
            raise ValueError(
                f"Images in {path} must have one size unless size=(height, width) is "
                f"given. Got {images.shape[1:3]} for {first} and {image.shape[:2]} for "
                f"{name} instead."
            )
        images[row_of[name]] = image
    if images is None:
        raise ValueError(
            f"classes and n_per_class must leave an image of {path}. Got none."
        )
    return images


def decode_image(
    content: bytes, name: str, size: tuple[int, int] | None, mode: str
) -> np.ndarray:
    """Decode one image; errors carry its name."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as file:
            image = file.convert(mode)
    except Exception as error:  # decoders raise nearly anything on broken files
        raise ValueError(f"{name} must be a whole image. Got: {error}.") from error
    if size is not None and image.size != size[::-1]:
        # Pillow widens the filter where it shrinks: that is the antialiasing.
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(image)


def _walk(path: str) -> list[str]:
    return [
        os.path.relpath(os.path.join(folder, file), path).replace(os.sep, "/")
        for folder, _, files in os.walk(path)
        for file in files
    ]


def _contents(path: str, wanted: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the wanted members, in whatever order is cheap."""
    if os.path.isdir(path):
        for name in wanted:
            with open(os.path.join(path, name), "rb") as file:
                yield name, file.read()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in wanted:
                _check_size(path, name, archive.getinfo(name).file_size)
                try:
                    content = archive.read(name)
                except _BROKEN_ARCHIVE as error:
                    raise _broken(f"{path}: {name}", error) from error
                yield name, content
    else:
        left = set(wanted)
        for tar, member in _tar_files(path):
            if member.name in left:
                left.remove(member.name)
                _check_size(path, member.name, member.size)
                stream = tar.extractfile(member)
                yield member.name, stream.read() if stream else b""
            if not left:  # a compressed rest takes seconds to skip
                break


def _tar_files(path: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Plain files of a tar archive in stored order; links and devices are no files."""
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                if member.isfile():
                    yield archive, member
    except _BROKEN_ARCHIVE as error:
        raise _broken(path, error) from error


def _check_size(path: str, name: str, n_bytes: int) -> None:
    if n_bytes > LARGEST_FILE:
        raise ValueError(
            f"{path}: {name} must be at most {LARGEST_FILE:,} bytes. Got {n_bytes:,}: "
            "if it is an image indeed, unpack the archive and pass the folder."
        )


def _broken(name: str, error: Exception) -> ValueError:
    return ValueError(
        f"{name} must be a complete zip or tar archive. Got: {error or 'a cut one'}."
    )
