"""What broken graphics draw pixel by pixel: seams, flat fills, dots, strokes."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np

from sklvyso.artifacts import _fills, _seams
from sklvyso.artifacts._featurizer import FrameFeaturizer
from sklvyso.artifacts._frames import grey_of


class PixelPatternFeaturizer(FrameFeaturizer):
    """Describe what broken graphics draw pixel by pixel, in numbers of no game.

    - Seams: rows and columns that the texture does not cross (tears); whether an
      exchange of neighbouring blocks, undone, makes the picture go on (stuttering);
      rows and columns of noise; colour fades in steps.
    - Single colours, to the last bit: the most frequent ones, flat fills that are one
      convex piece (triangles), bright objects filled with one colour, pixels and
      strokes one pixel wide that share a colour (dotted lines, Morse code), channels
      whose brightest pixels have one colour (discoloration).

    The numbers do not depend on the size of the frame. Exact colours are what rendered
    and filmed textures hardly repeat; a codec after the corruption blurs them.

    .. versionadded:: 0.1

    Parameters
    ----------
    tiles : (int, int), default=None
        Rows and columns of a grid of tiles that are described one by one.
    pool : {"none", "max", "mean", "max+mean"}, default="max+mean"
        How the features of tiles become those of the frame.
    input_shape : tuple (H, W) or (H, W, C), default=None
        How to fold rows of 2-d input; None takes a row as a frame of one row.
    value_range : "auto" or (float, float), default="auto"
        Values of black and white. "auto" is [0, 1] for floats and bool, 0..65535 for
        uint16, 0..255 for other integers. Frames are rounded to bytes.
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
    ArtifactDetector : Learns from these features which artifact a frame shows.
    GraphLaplacianFeaturizer : Unusual colours, edges and sharpness.

    Notes
    -----
    The features are ours; the artifacts that they are made for are those of the paper.

    References
    ----------
    .. [1] Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv
       2011.15103, 2020.

    Examples
    --------
    >>> from sklvyso.artifacts import ArtifactSimulator, PixelPatternFeaturizer
    >>> from sklvyso.datasets import make_game_frames
    >>> frames = make_game_frames(8, random_state=0).images
    >>> dotted = ArtifactSimulator(random_state=0).corrupt(frames, "dotted_lines")
    >>> featurizer = PixelPatternFeaturizer().fit(frames)
    >>> names = featurizer.get_feature_names_out().tolist()
    >>> j = names.index("pattern_dots_top")  # log share of the dots' main colour
    >>> clean, broken = (featurizer.transform(X)[:, j] for X in (frames, dotted))
    >>> bool(broken.min() > clean.max())
    True
    """

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
        values = _seams.seam_statistics(whole, grey, jumps)
        values += _fills.fill_statistics(whole, grey, jumps)
        return np.asarray(values, dtype=np.float32)
