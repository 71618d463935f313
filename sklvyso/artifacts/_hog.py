"""Histograms of oriented gradients of frames: equal to scikit-image's, and fast.

Dalal, Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from sklvyso._compat import Interval, StrOptions
from sklvyso.artifacts._featurizer import FrameFeaturizer
from sklvyso.artifacts._frames import shrink
from sklvyso.artifacts._gradients import gradients, orientation_histograms
from sklvyso.artifacts._hog_statistics import STATISTIC_NAMES, hog_statistics

# scikit-image's guard against division by zero.
_EPS = 1e-5
BLOCK_NORMS = ("L1", "L1-sqrt", "L2", "L2-Hys")


class HOGFeaturizer(FrameFeaturizer):
    """Describe frames by histograms of the directions of their edges.

    Equal to :func:`skimage.feature.hog` to 1e-6, several times as fast. With
    ``statistics=True`` about a hundred numbers that depend neither on the size nor on
    the contrast of the frame.

    .. versionadded:: 0.1

    Parameters
    ----------
    orientations : int, default=9
        Bins over 180 degrees.
    pixels_per_cell : (int, int), default=(16, 16)
        Rows and columns of a cell.
    cells_per_block : (int, int), default=(3, 3)
        Cells of a block, which moves by one cell.
    block_norm : {"L1", "L1-sqrt", "L2", "L2-Hys"}, default="L2"
        Normalisation of a block.
    transform_sqrt : bool, default=True
        Take the square root of the values first.
    resize : (int, int) or None, default=(270, 480)
        Rows and columns to which frames are brought by area averaging; None takes
        them as they are, and then all of one size.
    interpolate : bool, default=False
        Share the vote of a gradient between the two nearest bins.
    statistics : bool, default=False
        Return statistics of the full frame instead of the blocks; `orientations` and
        `transform_sqrt` act, cells and blocks do not.
    preset : {"paper"}, default=None
        "paper" is 10 orientations, cells of 10 x 10, blocks of 3 x 3, (270, 480),
        and overrules these parameters.
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
    DFTFeaturizer : What repeats in a frame.
    GraphLaplacianFeaturizer : What differs from its neighbours.
    skimage.feature.hog : The same for single images.

    Notes
    -----
    Of colour frames each pixel takes the channel with the largest gradient. Gradients
    are differences of the two neighbours, zero in the first and last row and column.
    The reference code brings frames to 270 x 480 by the nearest pixel; area averaging
    does not alias. Columns are ``hog_b<row>_<column>_c<row>_<column>_o<bin>``.

    References
    ----------
    .. [1] Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv
       2011.15103, 2020.
    .. [2] Dalal, Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR
       2005.

    Examples
    --------
    >>> from sklvyso.artifacts import HOGFeaturizer
    >>> from sklvyso.datasets import make_game_frames
    >>> frames = make_game_frames(2, random_state=0).images
    >>> HOGFeaturizer(resize=None).fit_transform(frames).shape
    (2, 1944)
    """

    _parameter_constraints: dict[str, list] = {
        "orientations": [Interval(Integral, 1, 360, closed="both")],
        "pixels_per_cell": [tuple],
        "cells_per_block": [tuple],
        "block_norm": [StrOptions(set(BLOCK_NORMS))],
        "transform_sqrt": ["boolean"],
        "resize": [tuple, None],
        "interpolate": ["boolean"],
        "statistics": ["boolean"],
        "preset": [StrOptions({"paper"}), None],
        **FrameFeaturizer._parameter_constraints,
    }

    def __init__(
        self,
        orientations: int = 9,
        *,
        pixels_per_cell: tuple[int, int] = (16, 16),
        cells_per_block: tuple[int, int] = (3, 3),
        block_norm: str = "L2",
        transform_sqrt: bool = True,
        resize: tuple[int, int] | None = (270, 480),
        interpolate: bool = False,
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
        self.orientations = orientations
        self.pixels_per_cell = pixels_per_cell
        self.cells_per_block = cells_per_block
        self.block_norm = block_norm
        self.transform_sqrt = transform_sqrt
        self.resize = resize
        self.interpolate = interpolate
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
        for name in ("pixels_per_cell", "cells_per_block", "resize"):
            value = getattr(self, name)
            if value is None:
                continue
            if len(value) != 2 or not all(
                isinstance(n, Integral) and int(n) >= 1 for n in value
            ):
                raise ValueError(
                    f"{name} must be two integers >= 1, rows and columns. "
                    f"Got {value!r} instead."
                )

    def _layout(self) -> tuple[int, Any, Any, Any]:
        if self.preset == "paper":
            return 10, (10, 10), (3, 3), (270, 480)
        return (
            int(self.orientations),
            self.pixels_per_cell,
            self.cells_per_block,
            self.resize,
        )

    def _names(self, shape: tuple[int, ...]) -> list[str]:
        if self.statistics:
            return [f"hog_{name}" for name in STATISTIC_NAMES]
        bins, cell, block, resize = self._layout()
        n_cells = [n // c for n, c in zip(resize or shape, cell, strict=False)]
        n_blocks = [n - b + 1 for n, b in zip(n_cells, block, strict=True)]
        if min(n_blocks) < 1:
            raise ValueError(
                f"A frame of {tuple(resize or shape)[:2]} must hold one block of "
                f"{block} cells of {cell} pixels. Pass smaller ones, or resize."
            )
        return [
            f"hog_b{r}_{c}_c{i}_{j}_o{o}"
            for r, c, i, j, o in np.ndindex(*n_blocks, *block, bins)
        ]

    def _describe(self, planes: np.ndarray) -> np.ndarray:
        if self.statistics:
            return hog_statistics(planes)
        bins, cell, block, resize = self._layout()
        if resize is not None:
            planes = np.stack([shrink(plane, resize) for plane in planes])
        planes = planes / np.float32(255)
        return hog(
            planes,
            orientations=bins,
            pixels_per_cell=cell,
            cells_per_block=block,
            block_norm=self.block_norm,
            transform_sqrt=self.transform_sqrt,
            interpolate=self.interpolate,
        )


def hog(
    planes: np.ndarray,
    *,
    orientations: int = 9,
    pixels_per_cell: tuple[int, int] = (16, 16),
    cells_per_block: tuple[int, int] = (3, 3),
    block_norm: str = "L2",
    transform_sqrt: bool = True,
    interpolate: bool = False,
) -> np.ndarray:
    """Return the block histograms of one frame.

    Parameters
    ----------
    planes : ndarray of shape (C, H, W)
        Channels of the frame, not negative.
    orientations, pixels_per_cell, cells_per_block, block_norm, transform_sqrt
        As in :class:`HOGFeaturizer`.
    interpolate : bool, default=False
        Share votes between two bins.

    Returns
    -------
    features : ndarray of float32
        In the order (block row, block column, cell row, cell column, orientation).
        Pixels beyond the last whole cell are ignored.
    """
    if transform_sqrt:
        planes = np.sqrt(np.maximum(planes, 0))
    row_step, column_step, magnitude = gradients(planes)
    cells = orientation_histograms(
        row_step, column_step, magnitude, orientations, pixels_per_cell, interpolate
    )
    windows = np.lib.stride_tricks.sliding_window_view(
        cells, cells_per_block, axis=(0, 1)
    )
    # (block row, block column, orientation, cell row, cell column) so far
    blocks = np.moveaxis(windows, 2, -1)
    return normalize_blocks(blocks, block_norm).ravel().astype(np.float32)


def normalize_blocks(blocks: np.ndarray, norm: str) -> np.ndarray:
    """Normalise over the last three axes, as scikit-image does."""
    axes = (2, 3, 4)
    if norm in ("L1", "L1-sqrt"):
        scaled = blocks / (blocks.sum(axis=axes, keepdims=True) + _EPS)
        return np.sqrt(scaled) if norm == "L1-sqrt" else scaled
    scaled = blocks / _length(blocks, axes)
    if norm == "L2-Hys":
        scaled = np.minimum(scaled, 0.2)
        scaled = scaled / _length(scaled, axes)
    return scaled


def _length(blocks: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.sqrt((blocks**2).sum(axis=axes, keepdims=True) + _EPS**2)
