"""Log-magnitude spectra of frames: what repeats, and how fine.

Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv 2011.15103.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy import fft

from sklvyso._compat import Interval, StrOptions
from sklvyso.artifacts._dft_statistics import STATISTIC_NAMES, dft_statistics
from sklvyso.artifacts._featurizer import FrameFeaturizer
from sklvyso.artifacts._frames import area_weights, grey_of, shrink

# Decibels of the natural logarithm, as in the paper.
_FACTOR = 20.0


class DFTFeaturizer(FrameFeaturizer):
    """Describe frames by their spectra, shrunken after the transform.

    The spectrum of the frame at full resolution is shrunken, not the frame: lines and
    dots that are one pixel wide survive. The number of features does not depend on
    the size of the frame.

    .. versionadded:: 0.1

    Parameters
    ----------
    output_shape : (int, int), default=(64, 64)
        Rows and columns of the whole spectrum after area averaging.
    channels : {"gray", "rgb"}, default="gray"
        Transform the luma, or red, green and blue one by one.
    log : bool, default=True
        Take ``20 * log(magnitude + eps)``, natural logarithm; otherwise magnitudes.
    eps : float, default=1.0
        Keeps the logarithm finite; on the scale 0..255, without the factor
        ``1 / sqrt(H * W)``.
    half_plane : bool, default=True
        Return the right half of the centred spectrum: of real frames the other half
        is its mirror image.
    center : bool, default=True
        Frequency zero in the middle; otherwise in the first row and column.
    highpass : float, default=None
        Also return the frame without frequencies below ``1 - highpass`` of the
        highest in either direction, in (0, 1), brought to `output_shape`.
    statistics : bool, default=False
        Return about ninety numbers that depend neither on the size nor on the contrast
        of the frame, instead of the shrunken spectrum; `log` to `highpass` do not act.
    preset : {"paper"}, default=None
        "paper" is the whole plane at 270 x 480 and overrules these parameters.
    tiles : (int, int), default=None
        Rows and columns of a grid of tiles that are described one by one.
    pool : {"none", "max", "mean", "max+mean"}, default="max+mean"
        How the features of tiles become those of the frame.
    input_shape : tuple (H, W) or (H, W, C), default=None
        How to fold rows of 2-d input; None takes a row as a frame of one row.
    value_range : "auto" or (float, float), default="auto"
        Values of black and white. "auto" is [0, 1] for floats and bool, 0..65535 for
        uint16, 0..255 for other integers.
    min_size : int, default=16
        Rows and columns that frames of N-d input must have at least.
    batch_size : int, default=32
        Frames in a chunk of parallel work.
    n_jobs : int, default=None
        Chunks in parallel.

    Attributes
    ----------
    input_shape_ : tuple
        Shape of the first frame in `fit`.
    n_features_in_ : int
        Values of a frame; not there after a list of frames.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, when ``X`` was a data frame with string columns.

    See Also
    --------
    HOGFeaturizer : Directions of edges.
    GraphLaplacianFeaturizer : What differs from its neighbours.

    Notes
    -----
    With F the discrete Fourier transform of the frame, features are area means of
    ``20 log(|F| + eps)``. Shifting the frame round its borders leaves ``|F|`` alone.

    References
    ----------
    .. [1] Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv
       2011.15103, 2020.

    Examples
    --------
    >>> from sklvyso.artifacts import DFTFeaturizer
    >>> from sklvyso.datasets import make_game_frames
    >>> frames = make_game_frames(2, random_state=0).images
    >>> DFTFeaturizer((16, 16)).fit_transform(frames).shape
    (2, 128)
    """

    _parameter_constraints: dict[str, list] = {
        "output_shape": [tuple],
        "channels": [StrOptions({"gray", "rgb"})],
        "log": ["boolean"],
        "eps": [Interval(Real, 0, np.float64(1e30), closed="right")],
        "half_plane": ["boolean"],
        "center": ["boolean"],
        "highpass": [Interval(Real, 0, 1, closed="neither"), None],
        "statistics": ["boolean"],
        "preset": [StrOptions({"paper"}), None],
        **FrameFeaturizer._parameter_constraints,
    }

    def __init__(
        self,
        output_shape: tuple[int, int] = (64, 64),
        *,
        channels: str = "gray",
        log: bool = True,
        eps: float = 1.0,
        half_plane: bool = True,
        center: bool = True,
        highpass: float | None = None,
        statistics: bool = False,
        preset: str | None = None,
        tiles: tuple[int, int] | None = None,
        pool: str = "max+mean",
        input_shape: tuple[int, ...] | None = None,
        value_range: str | tuple[float, float] = "auto",
        min_size: int = 16,
        batch_size: int = 32,
        n_jobs: int | None = None,
    ):
        self.output_shape = output_shape
        self.channels = channels
        self.log = log
        self.eps = eps
        self.half_plane = half_plane
        self.center = center
        self.highpass = highpass
        self.statistics = statistics
        self.preset = preset
        self.tiles = tiles
        self.pool = pool
        self.input_shape = input_shape
        self.value_range = value_range
        self.min_size = min_size
        self.batch_size = batch_size
        self.n_jobs = n_jobs

    def _check_settings(self) -> None:
        shape = self.output_shape
        if len(shape) != 2 or not all(isinstance(n, Integral) and n > 0 for n in shape):
            raise ValueError(
                "output_shape must be two integers >= 1, rows and columns. "
                f"Got {shape!r} instead."
            )

    def _layout(self) -> tuple[tuple[int, int], bool]:
        if self.preset == "paper":
            return (270, 480), False
        return self.output_shape, self.half_plane

    def _prefixes(self) -> list[str]:
        return ["dft"] if self.channels == "gray" else ["dft_r", "dft_g", "dft_b"]

    def _names(self, shape: tuple[int, ...]) -> list[str]:
        (height, width), is_half = self._layout()
        names = []
        for prefix in self._prefixes():
            if self.statistics:
                names += [f"{prefix}_{name}" for name in STATISTIC_NAMES]
                continue
            first = width // 2 if is_half else 0
            names += [
                f"{prefix}_{r}_{c}" for r in range(height) for c in range(first, width)
            ]
            if self.highpass is not None:
                names += [
                    f"{prefix}_high_{r}_{c}" for r, c in np.ndindex(height, width)
                ]
        return names

    def _describe(self, planes: np.ndarray) -> np.ndarray:
        if self.channels == "gray":
            planes = grey_of(planes)[np.newaxis]
        elif len(planes) == 1:
            planes = np.repeat(planes, 3, axis=0)
        planes = planes.astype(np.float32, copy=False)
        return np.concatenate([self._describe_plane(plane) for plane in planes])

    def _describe_plane(self, plane: np.ndarray) -> np.ndarray:
        if self.statistics:
            return dft_statistics(plane)
        shape, is_half = self._layout()
        spectrum = fft.rfft2(plane)
        log_eps = self.eps if self.log else None
        parts = [shrunken_spectrum(spectrum, plane.shape, shape, is_half, log_eps)]
        if not self.center:
            axes = 0 if is_half else (0, 1)
            parts[0] = fft.ifftshift(parts[0], axes=axes)
        if self.highpass is not None:
            high = highpass_frame(spectrum, plane.shape, self.highpass)
            parts.append(shrink(high, shape))
        return np.concatenate([part.ravel() for part in parts])


def shrunken_spectrum(
    spectrum: np.ndarray,
    shape: tuple[int, ...],
    output_shape: tuple[int, int],
    is_half: bool,
    log_eps: float | None,
) -> np.ndarray:
    """Return the centred log-magnitudes, area-averaged.

    Parameters
    ----------
    spectrum : complex ndarray of shape (H, W // 2 + 1)
        Result of ``rfft2``.
    shape : (int, int)
        Rows and columns of the frame.
    output_shape : (int, int)
        Of the whole plane.
    is_half : bool
        Return the columns from ``output_shape[1] // 2`` on only.
    log_eps : float or None
        Added before the logarithm; None takes magnitudes.

    Returns
    -------
    plane : ndarray of float32
        ``output_shape``, or its right half.
    """
    height, width = shape
    magnitude = np.abs(spectrum)
    if log_eps is not None:
        magnitude += np.float32(log_eps)
        np.log(magnitude, out=magnitude)
        magnitude *= np.float32(_FACTOR)
    right = fft.fftshift(magnitude, axes=0)[:, : (width + 1) // 2]
    # Columns left of frequency zero are the right ones turned by 180 degrees.
    turned = fft.fftshift(
        np.roll(magnitude[::-1], 1, axis=0)[:, width // 2 : 0 : -1], axes=0
    )
    first = output_shape[1] // 2 if is_half else 0
    columns = area_weights(width, output_shape[1])[first:]
    rows = area_weights(height, output_shape[0])
    if first * width >= width // 2 * output_shape[1]:
        shrunken = columns[:, width // 2 :] @ (rows @ right).T
    else:
        shrunken = columns @ (rows @ np.concatenate([turned, right], axis=1)).T
    return np.ascontiguousarray(shrunken.T, dtype=np.float32)


def highpass_frame(
    spectrum: np.ndarray, shape: tuple[int, ...], share: float
) -> np.ndarray:
    """Return a frame's part above ``1 - share`` of the highest frequency, both ways."""
    rows = np.abs(fft.fftfreq(shape[0])) >= 0.5 * (1 - share)
    columns = fft.rfftfreq(shape[1]) >= 0.5 * (1 - share)
    return fft.irfft2(spectrum * (rows[:, None] & columns), s=shape[:2])
