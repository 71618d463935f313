"""A user's script: mypy checks it, strictly, against the installed package.

Run by ``scripts/check_package.sh``. Each ``type: ignore`` marks a mistake that a type
checker must see: mypy complains of one that is not needed.
"""

from collections.abc import Iterator

import numpy as np

import sklvyso
from sklvyso import (
    ArtifactDetector,
    DRoPSampler,
    EffectiveSparsityPruner,
    GoldilocksProbe,
    ImpressLearnClassifier,
    NetworkClassifier,
    PretrainedActiveLearner,
    PretrainedTextEncoder,
)
from sklvyso.artifacts import iter_frames
from sklvyso.data_pruning import drop_quotas
from sklvyso.metrics import worst_class_recall
from sklvyso.selection import entropy

rng = np.random.default_rng(0)
X: np.ndarray = rng.normal(size=(60, 4)).astype(np.float32)
y: np.ndarray = np.arange(60) % 3

classifier: NetworkClassifier = NetworkClassifier(max_epochs=2, random_state=0)
fitted: NetworkClassifier = classifier.fit(X, y)
proba: np.ndarray = fitted.predict_proba(X)
scores: np.ndarray = entropy(proba)
worst: float = worst_class_recall(y, fitted.predict(X))
quotas: np.ndarray = drop_quotas([0.9, 0.5], [30, 30], 20)
frames: Iterator[np.ndarray] = iter_frames(np.zeros((2, 8, 8), dtype=np.uint8))
version: str = sklvyso.__version__

estimators = [
    ArtifactDetector(random_state=0),
    DRoPSampler(density=0.5),
    EffectiveSparsityPruner(sparsity=0.5),
    GoldilocksProbe(scales=[1.0]),
    ImpressLearnClassifier(n_impressions=2),
    PretrainedActiveLearner(strategy="badge"),
    PretrainedTextEncoder("some/model", batch_size=8),
]


def mistakes() -> None:
    """Do what a type checker should catch; never called."""
    NetworkClassifier(max_epoch=2)  # type: ignore[call-arg]
    DRoPSampler(density="half")  # type: ignore[arg-type]
    EffectiveSparsityPruner(n_iterations=None)  # type: ignore[arg-type]
    GoldilocksProbe(n_probes="many")  # type: ignore[arg-type]
    ImpressLearnClassifier(n_impressions="five")  # type: ignore[arg-type]
    PretrainedActiveLearner(batch_size="all")  # type: ignore[arg-type]
    PretrainedTextEncoder(normalize=None)  # type: ignore[arg-type]
    ArtifactDetector(cv="four")  # type: ignore[arg-type]


if __name__ == "__main__":
    print(version, round(worst, 2), quotas.sum(), scores.shape, len(list(frames)))
