"""Reading image files: one error, whatever a decoder raises on a broken one."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import struct
import warnings
import zlib
from collections.abc import Iterator

# What Pillow's decoders were seen to let through.
_DECODING_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@contextlib.contextmanager
def decoding(path: str) -> Iterator[None]:
    """Decode inside; a broken image is a ValueError that names the file.

    Parameters
    ----------
    path : str
        Of the file, for the message.

    Yields
    ------
    None
        Pillow's warnings of a broken file are not shown.

    Raises
    ------
    ValueError
        If the image is not whole, or so large that it looks like an attack.
    FileNotFoundError
        If there is no such file.
    """
    from PIL import Image  # comes with scikit-image; needed for files only

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    except (FileNotFoundError, PermissionError):
        raise
    except (*_DECODING_ERRORS, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} must be a complete image file. Got: {error}."
        ) from error
