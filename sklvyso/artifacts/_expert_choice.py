"""Which classifier looks for which artifact, in which features.

Davarmanesh et al., "Automating Artifact Detection in Video Games", arXiv 2011.15103.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklvyso._arguments import check_sequence
from sklvyso.artifacts._describing import feature_names
from sklvyso.artifacts._dft import DFTFeaturizer
from sklvyso.artifacts._featurizer import FrameFeaturizer
from sklvyso.artifacts._hog import HOGFeaturizer
from sklvyso.artifacts._laplacian import GraphLaplacianFeaturizer
from sklvyso.artifacts._pattern import PixelPatternFeaturizer

_N_TREES = 100


class ExpertChoice(NamedTuple):
    """Prototypes by artifact, all featurizers, and the blocks that each expert reads.

    ``blocks`` maps an artifact to places in ``featurizers``; ``is_default`` says whose
    features may be selected.
    """

    experts: dict[str, Any]
    featurizers: list[FrameFeaturizer]
    blocks: dict[str, list[int]]
    is_default: dict[str, bool]


class CoverageClassifier(ClassifierMixin, BaseEstimator):
    """Flag frames in which unusual colours fill most of a row or column; no training.

    Parameters
    ----------
    threshold : float, default=0.85
        Least share of a row or column.
    """

    def __init__(self, threshold: float = 0.85):
        self.threshold = threshold

    def fit(self, X: Any, y: Any) -> CoverageClassifier:
        """Learn the classes only."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return 0 or 1 from the first two columns, row and column coverage."""
        is_covered = (X[:, :2].max(axis=1) > self.threshold).astype(float)
        return np.column_stack([1 - is_covered, is_covered])

    def predict(self, X: Any) -> np.ndarray:
        """Return the classes."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def default_featurizers() -> list[FrameFeaturizer]:
    """Return the featurizers of the default detector."""
    return [
        PixelPatternFeaturizer(),
        GraphLaplacianFeaturizer(),
        DFTFeaturizer(statistics=True),
        HOGFeaturizer(statistics=True),
    ]


def default_expert(seed: int, class_weight: Any) -> ExtraTreesClassifier:
    """Return the default expert."""
    return ExtraTreesClassifier(
        _N_TREES,
        max_features=0.3,
        min_samples_leaf=3,
        class_weight=class_weight,
        random_state=seed,
    )


def paper_experts(seed: int) -> dict[str, Any]:
    """Return the paper's experts, on spectra and gradients of half its resolution."""
    spectrum = DFTFeaturizer(output_shape=(135, 240), half_plane=False)
    both = DFTFeaturizer(output_shape=(135, 240), half_plane=False, highpass=0.37)
    shape: dict[str, Any] = {"pixels_per_cell": (10, 10), "resize": (135, 240)}

    def reduced(n_components: int, last: Any) -> Pipeline:
        return make_pipeline(
            clone(spectrum), _CappedPCA(n_components, random_state=seed), last
        )

    def linear() -> Pipeline:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))

    return {
        "shapes": make_pipeline(both, linear()),
        "line_pixelation": make_pipeline(
            GraphLaplacianFeaturizer(preset="paper"), CoverageClassifier()
        ),
        "shader": make_pipeline(HOGFeaturizer(10, **shape), linear()),
        "morse_code": make_pipeline(clone(spectrum), StandardScaler(), _MarginSVC()),
        "parallel_lines": reduced(300, linear()),
        "dotted_lines": reduced(300, linear()),
        "screen_stuttering": reduced(300, linear()),
        "triangulation": reduced(400, LinearDiscriminantAnalysis()),
        "discoloration": reduced(500, linear()),
        "screen_tearing": make_pipeline(HOGFeaturizer(12, **shape), linear()),
    }


class _MarginSVC(SVC):
    """SVC whose margin is its log odds; the ensemble calibrates them."""

    def predict_proba(self, X: Any) -> np.ndarray:
        corrupted = expit(self.decision_function(X))
        return np.column_stack([1 - corrupted, corrupted])


class _CappedPCA(PCA):
    """PCA with no more components than half of the rows."""

    n_components: Any

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        wanted = self.n_components
        self.n_components = min(wanted, max(1, min(X.shape) // 2))
        try:
            return super().fit_transform(X, y)
        finally:
            self.n_components = wanted


def choose_experts(
    experts: Any,
    names: Sequence[str],
    featurizers: Any,
    default: Any,
    seed: int,
) -> ExpertChoice:
    """Resolve the detector's parameters into prototypes and their inputs.

    Parameters
    ----------
    experts : {"auto", "paper"}, classifier or dict of str to classifier or None
        See the detector.
    names : sequence of str
        Artifacts.
    featurizers : "auto" or sequence of FrameFeaturizer
        Of experts that do not bring their own.
    default : classifier
        For artifacts without an own expert.
    seed : int
        Of the paper's experts.

    Returns
    -------
    choice : ExpertChoice
        Featurizers that are equal are listed once.
    """
    own = _own_experts(experts, names, seed)
    base = default_featurizers() if isinstance(featurizers, str) else None
    if base is None:
        base = [*check_sequence("featurizers", featurizers)]
    if not base or not all(isinstance(f, FrameFeaturizer) for f in base):
        raise ValueError(
            "featurizers must be 'auto' or a list of frame featurizers, such as "
            f"DFTFeaturizer(). Got {featurizers!r} instead."
        )
    all_featurizers = [clone(featurizer) for featurizer in base]
    chosen: dict[str, Any] = {}
    blocks: dict[str, list[int]] = {}
    is_default: dict[str, bool] = {}
    for name in names:
        expert = own.get(name, default)
        if expert is None:
            continue
        is_default[name] = name not in own
        blocks[name] = list(range(len(base)))
        if isinstance(expert, Pipeline) and isinstance(expert[0], FrameFeaturizer):
            blocks[name] = [_place(all_featurizers, expert[0])]
            expert = expert[1:]
        chosen[name] = expert
    if not chosen:
        raise ValueError(
            f"experts must hold one for at least one of the artifacts {list(names)}. "
            f"Got {experts!r}."
        )
    if not any(set(blocks[name]) & set(range(len(base))) for name in blocks):
        # Nobody reads the common features: they are not computed.
        all_featurizers = all_featurizers[len(base) :]
        blocks = {name: [b - len(base) for b in own] for name, own in blocks.items()}
    return ExpertChoice(chosen, all_featurizers, blocks, is_default)


def _own_experts(experts: Any, names: Sequence[str], seed: int) -> Mapping[str, Any]:
    if isinstance(experts, str):
        if experts == "auto":
            return {}
        paper = paper_experts(seed)
        return {name: paper.get(name) for name in names}
    if not isinstance(experts, Mapping):
        return dict.fromkeys(names, experts)
    unknown = [name for name in experts if name not in names]
    if unknown:
        raise ValueError(
            f"experts must be named after artifacts, {list(names)}. Got {unknown[0]!r}."
        )
    return experts


def _place(featurizers: list[FrameFeaturizer], featurizer: FrameFeaturizer) -> int:
    """Return where an equal featurizer stands; append it where there is none."""
    for place, other in enumerate(featurizers):
        if type(other) is type(featurizer) and repr(other) == repr(featurizer):
            return place
    featurizers.append(clone(featurizer))
    return len(featurizers) - 1


def block_columns(
    featurizers: Sequence[FrameFeaturizer], blocks: Mapping[str, Sequence[int]]
) -> dict[str, np.ndarray]:
    """Return the columns of each expert's blocks in the table of all featurizers."""
    lengths = [len(feature_names([featurizer])) for featurizer in featurizers]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
    return {
        name: np.concatenate([np.arange(starts[b], starts[b + 1]) for b in own])
        for name, own in blocks.items()
    }
