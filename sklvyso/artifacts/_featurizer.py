"""What the three frame featurizers share: reading, tiles, chunks, names."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import is_sequence, read_array, shown, untensored
from sklvyso._compat import Interval, StrOptions
from sklvyso._validation import validate_data
from sklvyso._versioned import VersionedEstimator
from sklvyso.artifacts import _frames

_POOLS = {
    "none": (),
    "max": ("max",),
    "mean": ("mean",),
    "max+mean": ("max", "mean"),
}


class FrameFeaturizer(TransformerMixin, VersionedEstimator, BaseEstimator):
    """Base of transformers that describe each frame by itself.

    Subclasses implement ``_names(shape)`` and ``_describe(planes)`` for the planes
    (1 or 3, H, W), bytes or float32, of one frame or tile, and list their parameters.
    """

    _needed_state = ("_feature_names_out", "input_shape_")
    _parameter_constraints: dict[str, list] = {
        "tiles": [tuple, None],
        "pool": [StrOptions(set(_POOLS))],
        "input_shape": ["array-like", None],
        "value_range": [StrOptions({"auto"}), "array-like"],
        "min_size": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    tiles: tuple[int, int] | None
    pool: str
    input_shape: Any
    value_range: Any
    min_size: int
    batch_size: int
    n_jobs: int | None
    n_features_in_: int

    def fit(self, X: Any, y: Any = None) -> Any:
        """Check the parameters and learn the names of the features.

        Parameters
        ----------
        X : array of shape (n, H, W), (n, H, W, C) or (n, H * W * C), or list of frames
            Frames; see the class.
        y : ignored
            Not used.

        Returns
        -------
        self : object
            The fitted featurizer.
        """
        self._validate_params()
        _frames.check_value_range(self.value_range)
        self._check_tiles()
        self._check_settings()
        frames, _ = self._read(X, reset=True)
        self.input_shape_ = _frames.load_frame(frames[0]).shape
        names = self._tile_names(self._names(self._tile_shape(self.input_shape_)))
        self._feature_names_out = np.array(names, dtype=object)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Describe frames.

        Parameters
        ----------
        X : array of shape (n, H, W), (n, H, W, C) or (n, H * W * C), or list of frames
            Frames; their size may differ from that in `fit`.

        Returns
        -------
        features : ndarray of shape (n, n_features), float32
            One row a frame, which depends on that frame only; float64 where `X` is.
        """
        check_is_fitted(self)
        frames, dtype = self._read(X, reset=False)
        chunks = Parallel(n_jobs=self.n_jobs)(
            delayed(self._describe_all)(frames[rows])
            for rows in gen_batches(len(frames), self.batch_size)
        )
        features = np.concatenate(chunks)
        if features.shape[1] != len(self._feature_names_out):
            raise ValueError(
                f"Frames must give {len(self._feature_names_out)} features, as those "
                f"of shape {self.input_shape_} in fit. Got {features.shape[1]} "
                "instead; pass resize=(H, W), or statistics=True, for frames of any "
                "size."
            )
        return features.astype(dtype, copy=False)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against the columns of `fit`, otherwise not used.

        Returns
        -------
        names : ndarray of str objects of shape (n_features,)
            In the order of the columns.
        """
        check_is_fitted(self)
        if input_features is not None:
            if not is_sequence(input_features):
                raise ValueError(
                    "input_features should be a list of names. Got "
                    f"{shown(input_features)} instead."
                )
            known = getattr(self, "feature_names_in_", None)
            if known is not None and list(known) != list(input_features):
                raise ValueError("input_features is not equal to feature_names_in_")
            if len(input_features) != getattr(self, "n_features_in_", None):
                raise ValueError(
                    "input_features should have length equal to number of features "
                    f"({getattr(self, 'n_features_in_', None)}), "
                    f"got {len(input_features)}"
                )
        return self._feature_names_out.copy()

    # -- to implement -------------------------------------------------------------

    def _check_settings(self) -> None:
        """Refuse parameters that do not go together."""

    def _names(self, shape: tuple[int, ...]) -> list[str]:
        raise NotImplementedError

    def _describe(self, planes: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    # -- private ------------------------------------------------------------------

    def _read(self, X: Any, reset: bool) -> tuple[Any, np.dtype]:
        """Return frames, as an array or a list, and the dtype of the features."""
        X = _frames.paths_listed(X)
        if _frames.is_listed(X):
            frames = _frames.listed_frames(X)
            if reset and hasattr(self, "n_features_in_"):
                del self.n_features_in_
            return frames, np.dtype(np.float32)
        X = untensored("X", X)
        if not hasattr(X, "ndim"):
            X = read_array("X", X)
        if X.ndim > 2:
            X = _frames.stacked_frames(X, self.min_size)
            if reset:
                self.n_features_in_ = int(np.prod(X.shape[1:]))
        else:
            X = validate_data(self, X, dtype="numeric", reset=reset)
            X = _frames.folded_frames(X, self._row_shape(X.shape[1], reset))
        return X, np.dtype(np.float64 if X.dtype == np.float64 else np.float32)

    def _row_shape(self, n_columns: int, reset: bool) -> tuple[int, ...]:
        if not reset:
            return self.input_shape_
        if self.input_shape is None:
            return (1, n_columns)
        return _frames.check_input_shape(self.input_shape, self.min_size)

    def _check_tiles(self) -> None:
        if self.tiles is None:
            return
        if len(self.tiles) != 2 or not all(
            isinstance(n, Integral) and n >= 1 for n in self.tiles
        ):
            raise ValueError(
                "tiles must be None or (rows, columns), both integers >= 1. "
                f"Got {self.tiles!r} instead."
            )

    def _tile_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.tiles is None:
            return shape
        rows, columns = _frames.tile_slices((shape[0], shape[1]), self.tiles)[0]
        return (rows.stop, columns.stop, *shape[2:])

    def _tile_names(self, names: list[str]) -> list[str]:
        if self.tiles is None:
            return names
        if self.pool == "none":
            ends = [f"t{r}_{c}" for r, c in np.ndindex(*self.tiles)]
        else:
            ends = list(_POOLS[self.pool])
        return [f"{name}_{end}" for end in ends for name in names]

    def _describe_all(self, frames: Any) -> np.ndarray:
        return np.stack([self._describe_frame(frame) for frame in frames])

    def _describe_frame(self, item: Any) -> np.ndarray:
        return self.describe_planes(
            _frames.planes_of(_frames.load_frame(item), self.value_range)
        )

    def describe_planes(self, planes: np.ndarray) -> np.ndarray:
        """Describe one frame that is read already.

        Parameters
        ----------
        planes : ndarray of shape (1 or 3, H, W), uint8 or float32
            Scale 0..255.

        Returns
        -------
        features : ndarray of shape (n_features,), float32
            One row of :meth:`transform`.
        """
        planes = _frames.check_planes(planes)
        if self.tiles is None:
            return self._describe(planes)
        slices = _frames.tile_slices(planes.shape[1:], self.tiles)
        rows = np.stack([self._describe(planes[:, r, c]) for r, c in slices])
        if self.pool == "none":
            return rows.ravel()
        return np.concatenate(
            [getattr(rows, name)(axis=0) for name in _POOLS[self.pool]]
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
