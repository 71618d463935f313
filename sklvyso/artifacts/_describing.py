"""Several featurizers over the same frames, each frame read once."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklvyso.artifacts import _frames
from sklvyso.artifacts._featurizer import FrameFeaturizer


def describe_frames(
    featurizers: Sequence[FrameFeaturizer], frames: Sequence[Any], value_range: Any
) -> np.ndarray:
    """Return the features of frames by all featurizers, side by side.

    Parameters
    ----------
    featurizers : sequence of FrameFeaturizer
        Fitted.
    frames : sequence of ndarray or paths
        One after another, so that only one is in memory.
    value_range : "auto" or (float, float)
        Of the frames.

    Returns
    -------
    features : ndarray of shape (n, n_features), float32
        Columns in the order of the featurizers.
    """
    rows = []
    for item in frames:
        planes = _frames.planes_of(_frames.load_frame(item), value_range)
        rows.append(describe_planes(featurizers, planes))
    return np.stack(rows)


def describe_planes(
    featurizers: Sequence[FrameFeaturizer], planes: np.ndarray
) -> np.ndarray:
    """Return the features of one frame that is read already, float32."""
    parts = [featurizer.describe_planes(planes) for featurizer in featurizers]
    return np.concatenate(parts).astype(np.float32, copy=False)


def feature_names(featurizers: Sequence[FrameFeaturizer]) -> list[str]:
    """Return the names of the columns of :func:`describe_frames`."""
    return [str(name) for f in featurizers for name in f.get_feature_names_out()]
