"""What a fitted detector says of frames: probabilities, names, places, reasons."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, TransformerMixin, clone
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import read_array, read_numbers
from sklvyso._compat import _check_sample_weight
from sklvyso._validation import check_classification_targets
from sklvyso.artifacts import _detector_fit as fitting
from sklvyso.artifacts._detector_base import DetectorState
from sklvyso.artifacts._explaining import expert_importances, standing_out
from sklvyso.artifacts._reference import Reference
from sklvyso.artifacts._targets import is_all_normal

_CLOSEST = 1e-12


class DetectorPredictions(ClassifierMixin, TransformerMixin, DetectorState):
    """Methods of the fitted detector that judge frames."""

    _seed: int
    tiles: Any
    normal_label: Any

    def corrupted_proba(self, X: Any, previous: Any = None) -> np.ndarray:
        """Return the probability that each frame is corrupted.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames, of any size; or rows as in `fit`.
        previous : like X, default=None
            For each frame another one of its clip, or None in a list: tearing is then
            judged by what stands still, if `fit` knew the clips.

        Returns
        -------
        probability : ndarray of shape (n,)
            In [0, 1], at a prior of one half; flagged from ``threshold_`` on.

        Raises
        ------
        ValueError
            If frames are wrong or `previous` does not fit them.
        """
        _, Z, pairs = self._describe(X, previous)
        return self._experts_say(Z, pairs)[1]

    def predict_artifact_proba(self, X: Any, previous: Any = None) -> np.ndarray:
        """Return what each expert says of each frame.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames.
        previous : like X, default=None
            See :meth:`corrupted_proba`.

        Returns
        -------
        probabilities : ndarray of shape (n, n_artifacts)
            In [0, 1], each at a prior of one half; columns in the order of
            ``artifacts_``.
        """
        _, Z, pairs = self._describe(X, previous)
        return self._experts_say(Z, pairs)[0]

    def judge(self, X: Any, previous: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Return both of the above at the price of one.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames.
        previous : like X, default=None
            See :meth:`corrupted_proba`.

        Returns
        -------
        corrupted : ndarray of shape (n,)
            As :meth:`corrupted_proba`.
        artifacts : ndarray of shape (n, n_artifacts)
            As :meth:`predict_artifact_proba`.
        """
        _, Z, pairs = self._describe(X, previous)
        experts, corrupted = self._experts_say(Z, pairs)
        return corrupted, experts

    def transform(self, X: Any) -> np.ndarray:
        """Return the experts' probabilities, as features for what follows.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames.

        Returns
        -------
        probabilities : ndarray of shape (n, n_artifacts)
            See :meth:`predict_artifact_proba`.
        """
        return self.predict_artifact_proba(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of :meth:`transform`, ``artifacts_``.

        Parameters
        ----------
        input_features : ignored
            Not used.

        Returns
        -------
        names : ndarray of str objects of shape (n_artifacts,)
            In the order of the columns.
        """
        check_is_fitted(self)
        return np.array(self.artifacts_, dtype=object)

    def predict_artifacts(self, X: Any, previous: Any = None) -> np.ndarray:
        """Return which artifacts the experts see, each for itself.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames.
        previous : like X, default=None
            See :meth:`corrupted_proba`.

        Returns
        -------
        Y : ndarray of shape (n, n_artifacts), int64
            1 where an expert's probability is at least 0.5.
        """
        return (self.predict_artifact_proba(X, previous) >= 0.5).astype(np.int64)

    def predict_proba(self, X: Any, previous: Any = None) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames.
        previous : like X, default=None
            See :meth:`corrupted_proba`.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            Columns in the order of ``classes_``. That of a corrupted frame is shared
            among named artifacts by the odds of their experts.
        """
        _, Z, pairs = self._describe(X, previous)
        return self._class_probabilities(*self._experts_say(Z, pairs))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return scores that are positive for flagged frames.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames.

        Returns
        -------
        scores : ndarray of shape (n,), or (n, n_classes) for three or more classes
            Log odds of the second class above those of the threshold; log
            probabilities of the classes where there are more than two.
        """
        check_is_fitted(self)
        if len(self.classes_) > 2:
            return np.log(np.clip(self.predict_proba(X), _CLOSEST, 1))
        corrupted = np.clip(self.corrupted_proba(X), _CLOSEST, 1 - _CLOSEST)
        limit = np.clip(self.threshold_, _CLOSEST, 1 - _CLOSEST)
        sign = 1 if self.classes_[1] != self.normal_class_ else -1
        return sign * (
            np.log(corrupted / (1 - corrupted)) - np.log(limit / (1 - limit))
        )

    def predict(self, X: Any, previous: Any = None) -> np.ndarray:
        """Return the class of each frame.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames.
        previous : like X, default=None
            See :meth:`corrupted_proba`.

        Returns
        -------
        labels : ndarray of shape (n,)
            Members of ``classes_``: the normal one below ``threshold_``; otherwise
            corrupted, or the artifact whose expert is surest.
        """
        _, Z, pairs = self._describe(X, previous)
        experts, corrupted = self._experts_say(Z, pairs)
        is_flagged = corrupted >= self._threshold(pairs)
        if len(self.classes_) == 2:
            [other] = [c for c in self.classes_.tolist() if c != self.normal_class_]
            labels = np.array([other]).repeat(len(Z))
        else:
            labels = self._labels()[experts.argmax(axis=1)]
        labels = np.where(is_flagged, labels, self.normal_class_)
        return labels.astype(self.classes_.dtype)

    def score(
        self, X: Any, y: ArrayLike | None = None, sample_weight: Any = None
    ) -> float:
        """Return the balanced accuracy.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames; clean ones where `y` is None.
        y : array-like of shape (n,) or (n, n_artifacts), default=None
            Labels as in `fit`; of an indicator whether a row has any artifact, of names
            whether they are the normal one where `predict` answers 0 and 1. None
            corrupts half of the frames first, always in the same way.
        sample_weight : array-like of shape (n,), default=None
            Of the frames.

        Returns
        -------
        score : float
            Mean recall of the classes, in [0, 1].

        Raises
        ------
        ValueError
            If `y` is None and the detector was fitted with labels.
        """
        check_is_fitted(self)
        if y is None:
            if self.simulator_ is None:
                raise ValueError(
                    "y must hold labels: the detector was fitted with labels and has "
                    "no simulator. Got None."
                )
            simulator = clone(self.simulator_).set_params(
                random_state=self._seed, on_unchanged="ignore", return_mask=False
            )
            X, y = simulator.simulate(X)
        values = read_array("y", y)
        if not values.ndim:
            raise ValueError(f"y must hold a label for each frame. Got {y!r} instead.")
        if values.ndim == 1 or values.shape[1] == 1:
            check_classification_targets(values)
            values = values.ravel()
        check_consistent_length(X, values)
        if sample_weight is not None:
            sample_weight = read_numbers("sample_weight", sample_weight)
            sample_weight = _check_sample_weight(sample_weight, np.zeros(len(values)))
        if values.ndim == 2 and values.shape[1] > 1:
            is_flagged = self.corrupted_proba(X) >= self.threshold_
            return float(
                balanced_accuracy_score(
                    values.any(axis=1), is_flagged, sample_weight=sample_weight
                )
            )
        predicted = self.predict(X)
        if values.dtype.kind in "OUS" and self.classes_.tolist() == [0, 1]:
            is_normal = [is_all_normal([label], self.normal_label) for label in values]
            values = np.where(is_normal, *self.classes_)
        return float(
            balanced_accuracy_score(values, predicted, sample_weight=sample_weight)
        )

    def explain(
        self, X: Any, previous: Any = None, *, threshold: float | None = None
    ) -> list[list[dict[str, Any]]]:
        """Say why frames are flagged.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]) or (n, n_features), or list of frames or paths
            Frames.
        previous : like X, default=None
            See :meth:`corrupted_proba`.
        threshold : float, default=None
            Explain frames from this probability on; None is the detector's own.

        Returns
        -------
        explanations : list of list of dict
            For each frame the most probable artifact and others of probability 0.5 or
            more; empty where the frame is not flagged. Keys: "artifact",
            "probability", "features" (at most five dicts with "name", "value",
            "normal", the median on normal training frames, and "deviation" in units of
            their spread), and "heat_map", (rows, columns) of :meth:`heat_map` for the
            artifact, or None.
        """
        frames, Z, pairs = self._describe(X, previous)
        experts, corrupted = self._experts_say(Z, pairs)
        limit = self._threshold(pairs) if threshold is None else threshold
        if not isinstance(limit, Real):
            raise TypeError(
                f"threshold must be a number in [0, 1], or None. Got {threshold!r}."
            )
        is_flagged = corrupted >= limit
        return [
            self._explain(frames[i], Z[i], experts[i]) if is_flagged[i] else []
            for i in range(len(Z))
        ]

    def heat_map(self, X: Any) -> np.ndarray:
        """Return how probable each artifact is in each tile of each frame.

        Parameters
        ----------
        X : array of shape (n, H, W[, C]), or list of frames or paths
            Frames.

        Returns
        -------
        maps : ndarray of shape (n, n_artifacts, rows, columns)
            In [0, 1]; the grid is ``tiles``.

        Raises
        ------
        ValueError
            If the detector was fitted with labels or with ``tiles=None``.
        """
        check_is_fitted(self)
        if self.tile_expert_ is None:
            raise ValueError(
                "heat_map needs a detector that was fitted on clean frames, without "
                f"labels, and with tiles=(rows, columns). Got tiles={self.tiles!r}."
            )
        frames = self._read(X, reset=False)
        return np.stack([self.tile_expert_.heat_maps(frame) for frame in frames])

    # -- private ------------------------------------------------------------------

    def _class_probabilities(
        self, experts: np.ndarray, corrupted: np.ndarray
    ) -> np.ndarray:
        classes = self.classes_.tolist()
        normal = classes.index(self.normal_class_)
        probabilities = np.zeros((len(corrupted), len(classes)))
        probabilities[:, normal] = 1 - corrupted
        if len(classes) == 2:
            probabilities[:, 1 - normal] = corrupted
            return probabilities
        odds = np.clip(experts, 1e-6, 1 - 1e-6)
        odds = odds / (1 - odds)
        shares = odds / odds.sum(axis=1, keepdims=True)
        for k, label in enumerate(self._labels().tolist()):
            probabilities[:, classes.index(label)] = corrupted * shares[:, k]
        return probabilities

    def _explain(
        self, frame: Any, z: np.ndarray, experts: np.ndarray
    ) -> list[dict[str, Any]]:
        maps = None
        if self.tile_expert_ is not None:
            maps = self.tile_expert_.heat_maps(frame)
        order = np.argsort(-experts, kind="stable")
        n_shown = max(1, int((experts >= 0.5).sum()))
        return [
            {
                "artifact": self.artifacts_[k],
                "probability": float(experts[k]),
                "features": self._features(self.artifacts_[k], z),
                "heat_map": None if maps is None else maps[k],
            }
            for k in order[:n_shown].tolist()
        ]

    def _features(self, name: str, z: np.ndarray) -> list[dict[str, Any]]:
        ensemble = self._in_use.ensemble
        if name not in ensemble.columns:
            return []
        columns = ensemble.columns[name]
        importances = expert_importances(ensemble.experts_[name], len(columns))
        normal = Reference(self.normal_.center[columns], self.normal_.scale[columns])
        names = fitting.table_names(self.choice_, len(z))
        return standing_out(z[columns], names[columns], normal, importances)
