"""Where on a frame an artifact is: a classifier of tiles, from simulated masks."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.utils.parallel import delayed

from sklvyso._parallel import run_jobs
from sklvyso.artifacts import _frames
from sklvyso.artifacts._corrupting import changed_mask
from sklvyso.artifacts._describing import describe_planes
from sklvyso.artifacts._featurizer import FrameFeaturizer
from sklvyso.artifacts._laplacian import GraphLaplacianFeaturizer
from sklvyso.artifacts._pattern import PixelPatternFeaturizer
from sklvyso.artifacts._simulate import ArtifactSimulator
from sklvyso.artifacts._training_frames import corrupted_versions, progress

# Of a tile, from which share of changed pixels on it counts as corrupted.
_MIN_CHANGED = 0.01
_N_TREES = 100
_CHUNK = 4


class TileExpert:
    """Classify tiles of frames as normal or as showing one of the artifacts.

    Parameters
    ----------
    tiles : (int, int)
        Rows and columns of the grid.
    names : sequence of str
        Artifacts.
    """

    def __init__(self, tiles: tuple[int, int], names: Sequence[str]):
        self.tiles = tiles
        self.names = list(names)

    def fit(
        self,
        frames: Sequence[Any],
        previous: Sequence[Any],
        simulator: ArtifactSimulator,
        plan: Sequence[Sequence[str]],
        seed: int,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> TileExpert:
        """Learn from simulated artifacts; see :func:`describe_simulated`."""
        self.featurizers_ = [
            featurizer.fit([self._first_tile(frames[0], simulator.value_range)])
            for featurizer in (
                PixelPatternFeaturizer(min_size=1),
                GraphLaplacianFeaturizer(min_size=1),
            )
        ]
        self.value_range_ = simulator.value_range
        starts = range(0, len(frames), _CHUNK)
        calls = (
            delayed(self._describe_chunk)(
                [frames[i] for i in range(start, min(start + _CHUNK, len(frames)))],
                previous[start : start + _CHUNK],
                simulator,
                plan[start : start + _CHUNK],
                seed,
                start,
            )
            for start in starts
        )
        chunks = run_jobs(calls, n_jobs)
        parts = list(progress(chunks, len(starts), "tiles", verbose))
        Z, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
        self.forest_ = ExtraTreesClassifier(
            _N_TREES,
            max_features=0.2,
            min_samples_leaf=3,
            class_weight="balanced",
            random_state=seed % 2**31,
        ).fit(Z, labels)
        return self

    def heat_maps(self, item: Any) -> np.ndarray:
        """Return how probable each artifact is in each tile, against a normal tile.

        Parameters
        ----------
        item : ndarray or path
            A frame.

        Returns
        -------
        maps : ndarray of shape (n_artifacts, rows, columns)
            In [0, 1].
        """
        planes = _frames.planes_of(_frames.load_frame(item), self.value_range_)
        probabilities = self.forest_.predict_proba(self._describe_tiles(planes))
        maps = np.zeros((len(self.names), len(probabilities)))
        classes = self.forest_.classes_.tolist()
        normal = np.full(len(probabilities), 1e-6)
        if 0 in classes:
            normal += probabilities[:, classes.index(0)]
        # Of a tile the probabilities of all artifacts sum to one with that of none:
        # against none alone, 0.5 means as likely as not, however many there are.
        for column, label in enumerate(classes):
            if label > 0:
                own = probabilities[:, column]
                maps[label - 1] = own / (own + normal)
        return maps.reshape(len(self.names), *self.tiles)

    # -- private ------------------------------------------------------------------

    def _first_tile(self, item: Any, value_range: Any) -> np.ndarray:
        planes = _frames.planes_of(_frames.load_frame(item), value_range)
        rows, columns = _frames.tile_slices(planes.shape[1:], self.tiles)[0]
        return np.moveaxis(planes[:, rows, columns], 0, 2).astype(np.uint8)

    def _describe_tiles(self, planes: np.ndarray) -> np.ndarray:
        featurizers: list[FrameFeaturizer] = self.featurizers_
        return np.stack(
            [
                describe_planes(featurizers, np.ascontiguousarray(planes[:, r, c]))
                for r, c in _frames.tile_slices(planes.shape[1:], self.tiles)
            ]
        )

    def _describe_chunk(
        self,
        frames: list[Any],
        previous: Sequence[Any],
        simulator: ArtifactSimulator,
        plan: Sequence[Sequence[str]],
        seed: int,
        start: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        rows, labels = [], []
        for i, (item, other, artifacts) in enumerate(
            zip(frames, previous, plan, strict=True)
        ):
            frame = _frames.load_frame(item)
            before = None if other is None else _frames.load_frame(other)
            versions, Y = corrupted_versions(
                frame, before, simulator, artifacts, self.names, seed, start + i
            )
            for version, y in zip(versions, Y, strict=True):
                planes = _frames.planes_of(version, simulator.value_range)
                rows.append(self._describe_tiles(planes))
                changed = changed_mask(frame, version)
                shares = np.array(
                    [
                        changed[r, c].mean()
                        for r, c in _frames.tile_slices(changed.shape, self.tiles)
                    ]
                )
                artifact = y.argmax() + 1 if y.any() else 0
                labels.append(np.where(shares >= _MIN_CHANGED, artifact, 0))
        return np.concatenate(rows), np.concatenate(labels)
