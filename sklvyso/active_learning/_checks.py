"""Settings of a learner that can be wrong together: found before a label is paid."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

from sklearn.base import is_regressor
from sklearn.metrics import get_scorer
from sklearn.utils.validation import has_fit_parameter

from sklvyso.active_learning._final_stage import (
    check_probe_parts,
    check_refreshing_parts,
)
from sklvyso.active_learning._strategies import ALIASES, MODEL_FREE


def check_settings(learner: Any, classifier: Any, *, has_weights: bool) -> None:
    """Raise where parameters contradict one another.

    Parameters
    ----------
    learner : PretrainedActiveLearner
        Its parameters are read.
    classifier : classifier
        The light one, defaults resolved.
    has_weights : bool
        Whether rows have weights.

    Raises
    ------
    ValueError
        Names the parameters.
    """
    if learner.budget is not None and learner.budget < learner.n_initial:
        raise ValueError(
            "budget must be at least n_initial. Got "
            f"budget={learner.budget} and n_initial={learner.n_initial}."
        )
    if learner.initial == "stratified" and not isinstance(learner.oracle, str):
        raise ValueError(
            "initial='stratified' needs the labels of a simulation (oracle='y'). "
            f"Got oracle={learner.oracle!r}."
        )
    if isinstance(learner.scoring, str):
        try:
            get_scorer(learner.scoring)
        except ValueError as error:
            raise ValueError(
                f"scoring must be the name of a scorer of scikit-learn, such as "
                f"'accuracy', or a callable. Got {learner.scoring!r} instead."
            ) from error
    if learner.refresh_every is not None:
        check_refreshing_parts(learner.encoder, learner.final_estimator)
    if learner.lp_ft and learner.final_estimator is not None:
        check_probe_parts(learner.encoder, learner.final_estimator)
    if has_weights and not has_fit_parameter(classifier, "sample_weight"):
        raise ValueError(
            "sample_weight needs a classifier whose fit takes it. Got "
            f"{type(classifier).__name__}, which does not."
        )
    _check_classifier(learner, classifier)


def _check_classifier(learner: Any, classifier: Any) -> None:
    if is_regressor(classifier):
        raise ValueError(
            f"classifier must be a classifier. Got the regressor {classifier!r}."
        )
    name = learner.strategy
    if isinstance(name, str) and ALIASES.get(name, name) in MODEL_FREE:
        return
    has_scores = any(
        hasattr(classifier, method) for method in ("predict_proba", "decision_function")
    )
    if learner.oracle is not None and not has_scores:
        raise ValueError(
            f"strategy={name!r} needs a classifier with predict_proba or "
            f"decision_function. Got {classifier!r}, which has neither: use another "
            "one, or strategy='random' or 'k_center'."
        )
