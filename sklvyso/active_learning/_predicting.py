"""Predictions of a learner, and what it tells of its campaign."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklvyso._optional import import_optional
from sklvyso.active_learning._campaign import Campaign
from sklvyso.active_learning._rounds import AlignedClassifier
from sklvyso.active_learning._state import LearnerState
from sklvyso.networks import unique_labels


def _active_model_has(method: str) -> Callable[[Any], bool]:
    def check(learner: Any) -> bool:
        if hasattr(learner, "classifier_"):
            model = learner._active_model()
        else:
            model = learner._prototype()
        # A single class is predicted by a dummy, which has probabilities.
        return hasattr(model, method)

    return check


class LearnerPredictions(LearnerState):
    """The predicting part of :class:`PretrainedActiveLearner`."""

    def _active_model(self) -> Any:
        has_final = hasattr(self, "final_estimator_")
        if self.predict_with == "final" and not has_final:
            raise ValueError(
                "predict_with='final' needs a final estimator: call finalize() first."
            )
        if has_final and self.predict_with != "classifier":
            return self.final_estimator_
        return self.classifier_

    def _check_has_labels(self) -> None:
        if self._campaign.labels:
            return
        check_is_fitted(
            self,
            "_never",
            msg="This %(name)s has no label yet: call query() and teach() first.",
        )

    def _check_is_trained(self) -> None:
        check_is_fitted(self, "history_")
        if hasattr(self, "classifier_"):
            return
        self._check_has_labels()
        check_is_fitted(
            self,
            "_never",
            msg="This %(name)s has labels but was not fitted on them: call teach() "
            "with refit=True, teach([], []) if there are no more.",
        )

    def _model_and_input(self, X: Any) -> tuple[Any, Any]:
        self._check_is_trained()
        model = self._active_model()
        if model is self.classifier_:
            return model, self._vectors(X)
        if self.encoder_ is None:
            return model, self._check_numbers(X, reset=False)
        return model, self._rows_like_the_pool(X)

    @property
    def classes_(self) -> np.ndarray:
        """Labels, sorted, as of the last fit."""
        if "_classes" not in self.__dict__:
            if "_campaign" in self.__dict__ and self.classes is not None:
                return unique_labels(self.classes)
            raise AttributeError("There are no classes before there are labels.")
        return self._classes

    def predict(self, X: Any) -> np.ndarray:
        """Most probable classes.

        Parameters
        ----------
        X : rows like those of fit
            Rows.

        Returns
        -------
        y : ndarray of shape (n,)
            Labels.

        Raises
        ------
        NotFittedError
            If there is no label yet.
        """
        model, Z = self._model_and_input(X)
        return model.predict(Z)

    @available_if(_active_model_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : rows like those of fit
            Rows.

        Returns
        -------
        proba : ndarray of shape (n, n_classes)
            In the order of ``classes_``; 0 for classes that have not been seen.
        """
        model, Z = self._model_and_input(X)
        return AlignedClassifier(model, self.classes_).predict_proba(Z)

    @available_if(_active_model_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of the classes.

        Parameters
        ----------
        X : rows like those of fit
            Rows.

        Returns
        -------
        scores : ndarray of shape (n,) for two classes, otherwise (n, n_classes)
            As the active model gives them; -inf for classes that it has not seen.
        """
        model, Z = self._model_and_input(X)
        return AlignedClassifier(model, self.classes_).decision_function(Z)

    # -- the campaign -------------------------------------------------------------

    @property
    def labeled_indices_(self) -> np.ndarray:
        """Rows with a label, in the order of the labels."""
        return self._campaign_of("labeled_indices_").labeled

    @property
    def labeled_mask_(self) -> np.ndarray:
        """Which rows have a label."""
        campaign = self._campaign_of("labeled_mask_")
        mask = np.zeros(campaign.n_rows, bool)
        mask[campaign.labeled] = True
        return mask

    @property
    def skipped_indices_(self) -> np.ndarray:
        """Rows that were skipped."""
        return np.array(list(self._campaign_of("skipped_indices_").skipped), np.int64)

    @property
    def held_out_indices_(self) -> np.ndarray:
        """Rows of the pool that score the rounds of a simulation."""
        return np.array(
            sorted(self._campaign_of("held_out_indices_").held_out), np.int64
        )

    @property
    def corrections_(self) -> list[tuple]:
        """Labels that were changed."""
        return list(self._campaign_of("corrections_").corrections)

    def _campaign_of(self, name: str) -> Campaign:
        if "history_" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} has no {name} before fit.")
        return self._campaign

    @property
    def learning_curve_(self) -> Any:
        """The history as a table."""
        self._campaign_of("learning_curve_")
        pandas = import_optional("pandas", extra="frame", caller="learning_curve_")
        hidden = ("indices", "scores")
        rows = [
            {name: value for name, value in entry.items() if name not in hidden}
            for entry in self.history_
        ]
        return pandas.DataFrame(rows)
