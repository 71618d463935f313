"""Patterns that broken graphics draw pixel by pixel: seams, flat fills, dots, strokes."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np

from sklvyso.artifacts import _fills, _seams
from sklvyso.artifacts._featurizer import FrameFeaturizer
from sklvyso.artifacts._frames import grey_of


class PixelPatternFeaturizer(FrameFeaturizer):
    """Describe what is drawn pixel by pixel (to be documented)."""

    def __init__(
        self,
        *,
        tiles: tuple[int, int] | None = None,
        pool: str = "max+mean",
        input_shape: tuple[int, ...] | None = None,
        value_range: str | tuple[float, float] = "auto",
        min_size: int = 16,
        batch_size: int = 32,
        n_jobs: int | None = None,
    ):
        self.tiles = tiles
        self.pool = pool
        self.input_shape = input_shape
        self.value_range = value_range
        self.min_size = min_size
        self.batch_size = batch_size
        self.n_jobs = n_jobs

    def _names(self, shape: tuple[int, ...]) -> list[str]:
        return [f"pattern_{name}" for name in (*_seams.NAMES, *_fills.NAMES)]

    def _describe(self, planes: np.ndarray) -> np.ndarray:
        grey = np.rint(grey_of(planes)).astype(np.uint8)
        whole = planes
        if planes.dtype != np.uint8:
            whole = np.clip(np.rint(planes), 0, 255).astype(np.uint8)
        jumps = (_seams.largest_jump(whole, 0), _seams.largest_jump(whole, 1))
        values = _seams.seam_statistics(whole, grey)
        values += _fills.fill_statistics(whole, jumps)
        return np.asarray(values, dtype=np.float32)
