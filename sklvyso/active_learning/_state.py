"""What the parts of a learner know of one another."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from typing import Any

import numpy as np

from sklvyso.active_learning._campaign import Campaign
from sklvyso.active_learning._rounds import Query, Rounds


class LearnerState:
    """Names that the parts of :class:`PretrainedActiveLearner` share."""

    # Parameters.
    batch_size: int
    budget: int | None
    classes: Any
    encoder: Any
    final_estimator: Any
    initial: str
    n_initial: int
    n_queries: int | None
    predict_with: str
    refresh_every: int | None
    scale: str | None
    stop: Any
    store_representations: bool
    verbose: int
    # Fitted.
    classifier_: Any
    encoder_: Any
    final_estimator_: Any
    history_: list[dict]
    n_rounds_: int
    representations_: Any
    scaler_: Any
    stop_reason_: str
    _asked_by: dict[int, tuple[str, float | None]]
    _campaign: Campaign
    _classes: np.ndarray
    _is_stale: bool
    _judge_vectors: Any
    _judges: Any
    _last_query: Query | None
    _pending: list[int]
    _raw: Any
    _rounds: Rounds
    _row_labels: np.ndarray | None
    _scaled_pool: Any
    _seed: int
    _weight: np.ndarray | None
    # Done by one part for the others.
    finalize: Callable
    _accept: Callable
    _active_model: Callable
    _check_has_labels: Callable
    _check_numbers: Callable
    _drop_representations: Callable
    _fit_scaler: Callable
    _make_rounds: Callable
    _model_and_input: Callable
    _number_twins: Callable
    _pool: Callable
    _prototype: Callable
    _raw_rows: Callable
    _refit: Callable
    _remember: Callable
    _rows_like_the_pool: Callable
    _size_of_batch: Callable
    _sorted_answers: Callable
    _take_raw: Callable
    _validate_params: Callable
    _vectors: Callable
