"""Graph Laplacians of frames: unusual colours, and pixels unlike their neighbours.

Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv 2011.15103.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklvyso._compat import Interval, StrOptions
from sklvyso.artifacts import (
    _frames,
    _laplacian_channels,
    _laplacian_moments,
    _laplacian_pixels,
    _laplacian_superpixels,
)
from sklvyso.artifacts._featurizer import FrameFeaturizer

GRAPHS = ("channels", "pixels", "weighted_pixels", "superpixels")


class GraphLaplacianFeaturizer(FrameFeaturizer):
    """Describe frames by Laplacians of graphs on channels, pixels or superpixels.

    - ``"channels"``: how unusual the colours of pixels are (the paper), and whether
      unusual ones fill a row or a column.
    - ``"pixels"``: jumps that line up, dots, strokes of one pixel, flat fills,
      sharpness and the graph's own spectrum.
    - ``"weighted_pixels"``: how the spectrum of the normalised Laplacian is spread
      when pixels of different colours are tied loosely; of the shrunken frame.
    - ``"superpixels"``: spectrum of the adjacency graph of regions; slower.

    Numbers do not depend on the size of the frame.

    .. versionadded:: 0.1

    Parameters
    ----------
    graph : {"channels", "pixels", "weighted_pixels", "superpixels"} or tuple of \
them, default=("channels", "pixels")
        Which graphs.
    normalize : bool, default=False
        Use the normalised channel Laplacian: the report, not its code.
    center : bool, default=True
        Subtract the channel means first: the code, not the report.
    threshold : float, default=6000.0
        Least anomaly of an unusual pixel, on the scale 0..255.
    n_std : float, default=2.0
        Standard deviations above the mean from which on a pixel is unusual.
    dilation : int or "auto", default="auto"
        By how many pixels unusual ones grow; "auto" is a fiftieth of the rows.
    n_segments : int, default=400
        Superpixels to aim at.
    n_moments : int, default=30
        Order of the highest Chebyshev moment of the graph of weighted pixels.
    n_probes : int, default=8
        Random vectors that its moments are estimated with.
    random_state : int, RandomState instance or None, default=None
        Determines those vectors, together with the shape of a frame; no other graph
        is random.
    preset : {"paper"}, default=None
        "paper" is the channel graph with the parameters of the reference code.
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
    HOGFeaturizer : Directions of edges.

    Notes
    -----
    With colour c of a pixel minus the mean colour, its anomaly is
    ``sum of w_ab (c_a - c_b)**2`` over the pairs of channels, with weights
    ``w_ab = 1 / (1 + ((mu_a - mu_b) / alpha)**2)`` from the channel means and alpha
    their mean. Grey frames have no anomalies.

    Weighted pixels are those of the frame at 120 rows at most, neighbours tied by
    ``exp(-d**2 / (2 * s**2))`` with d their distance in colour and s its mean over the
    frame, plus 1. Of their normalised Laplacian L features are the even Chebyshev
    moments ``trace(T_k(L - I)) / n`` by stochastic estimation [3]_ (odd ones are 0 on
    a grid), heat traces ``trace(exp(-t * L)) / n``, and the shares of eigenvalues in
    eight bins from 0 to 1, which those from 1 to 2 mirror [4]_.

    References
    ----------
    .. [1] Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv
       2011.15103, 2020.
    .. [2] Verdoja, Grangetto, "Graph Laplacian for Image Anomaly Detection", Machine
       Vision and Applications, 2020.
    .. [3] Hutchinson, "A Stochastic Estimator of the Trace of the Influence Matrix for
       Laplacian Smoothing Splines", Communications in Statistics, 1990.
    .. [4] Weisse et al., "The kernel polynomial method", Reviews of Modern Physics 78,
       2006.

    Examples
    --------
    >>> from sklvyso.artifacts import GraphLaplacianFeaturizer
    >>> from sklvyso.datasets import make_game_frames
    >>> frames = make_game_frames(2, random_state=0).images
    >>> featurizer = GraphLaplacianFeaturizer("channels").fit(frames)
    >>> featurizer.transform(frames).shape, featurizer.anomaly_map(frames).shape
    ((2, 13), (2, 90, 160))
    """

    _parameter_constraints: dict[str, list] = {
        "graph": [StrOptions(set(GRAPHS)), tuple],
        "normalize": ["boolean"],
        "center": ["boolean"],
        "threshold": [Interval(Real, 0, None, closed="left")],
        "n_std": [Interval(Real, 0, np.float64(1e30), closed="both")],
        "dilation": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "n_segments": [Interval(Integral, 2, None, closed="left")],
        "n_moments": [Interval(Integral, 2, None, closed="left")],
        "n_probes": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "preset": [StrOptions({"paper"}), None],
        **FrameFeaturizer._parameter_constraints,
    }

    def __init__(
        self,
        graph: str | tuple[str, ...] = ("channels", "pixels"),
        *,
        normalize: bool = False,
        center: bool = True,
        threshold: float = 6000.0,
        n_std: float = 2.0,
        dilation: int | str = "auto",
        n_segments: int = 400,
        n_moments: int = 30,
        n_probes: int = 8,
        random_state: Any = None,
        preset: str | None = None,
        tiles: tuple[int, int] | None = None,
        pool: str = "max+mean",
        input_shape: tuple[int, ...] | None = None,
        value_range: str | tuple[float, float] = "auto",
        min_size: int = 16,
        batch_size: int = 32,
        n_jobs: int | None = None,
    ):
        self.graph = graph
        self.normalize = normalize
        self.center = center
        self.threshold = threshold
        self.n_std = n_std
        self.dilation = dilation
        self.n_segments = n_segments
        self.n_moments = n_moments
        self.n_probes = n_probes
        self.random_state = random_state
        self.preset = preset
        self.tiles = tiles
        self.pool = pool
        self.input_shape = input_shape
        self.value_range = value_range
        self.min_size = min_size
        self.batch_size = batch_size
        self.n_jobs = n_jobs

    def anomaly_map(self, X: Any) -> Any:
        """Return how unusual the colour of each pixel is.

        Parameters
        ----------
        X : array of shape (n, H, W), (n, H, W, C) or (n, H * W * C), or list of frames
            Frames.

        Returns
        -------
        anomaly : ndarray of shape (n, H, W), float32; a list of them for a list
            Not negative; the scale is that of squared differences of bytes.
        """
        check_is_fitted(self)
        frames, _ = self._read(X, reset=False)
        maps = [
            self._anomaly(
                _frames.planes_of(_frames.load_frame(frame), self.value_range)
            )
            for frame in frames
        ]
        return maps if isinstance(frames, list) else np.stack(maps)

    def _check_settings(self) -> None:
        graphs = self._graphs()
        known = all(isinstance(g, str) and g in GRAPHS for g in graphs)
        if not known or not graphs or len(set(graphs)) < len(graphs):
            raise ValueError(
                f"graph must be one of {list(GRAPHS)}, or a tuple of different ones. "
                f"Got {self.graph!r} instead."
            )
        random = check_random_state(self.random_state)
        self._seed = int(random.randint(np.iinfo(np.int32).max))

    def _graphs(self) -> tuple[str, ...]:
        if self.preset == "paper":
            return ("channels",)
        return (self.graph,) if isinstance(self.graph, str) else tuple(self.graph)

    def _names(self, shape: tuple[int, ...]) -> list[str]:
        names = {
            "channels": _laplacian_channels.NAMES,
            "pixels": _laplacian_pixels.NAMES,
            "weighted_pixels": _laplacian_moments.moment_names(self.n_moments),
            "superpixels": _laplacian_superpixels.NAMES,
        }
        return [f"laplacian_{g}_{name}" for g in self._graphs() for name in names[g]]

    def _anomaly(self, planes: np.ndarray) -> np.ndarray:
        is_paper = self.preset == "paper"
        return _laplacian_channels.channel_anomaly(
            planes,
            normalize=self.normalize and not is_paper,
            center=self.center or is_paper,
        )

    def _describe(self, planes: np.ndarray) -> np.ndarray:
        return np.concatenate([self._describe_graph(g, planes) for g in self._graphs()])

    def _describe_graph(self, graph: str, planes: np.ndarray) -> np.ndarray:
        if graph == "superpixels":
            return _laplacian_superpixels.superpixel_statistics(planes, self.n_segments)
        if graph == "weighted_pixels":
            return _laplacian_moments.moment_statistics(
                planes, self.n_moments, self.n_probes, self._seed
            )
        if graph == "pixels":
            return _laplacian_pixels.pixel_statistics(planes, _frames.grey_of(planes))
        threshold, n_std, dilation = self.threshold, self.n_std, self.dilation
        if self.preset == "paper":
            threshold, n_std, dilation = 6000.0, 2.0, "auto"
        n_grown = planes.shape[1] // 50 if isinstance(dilation, str) else dilation
        return _laplacian_channels.channel_statistics(
            self._anomaly(planes), threshold, n_std, int(n_grown)
        )
