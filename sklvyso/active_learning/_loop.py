"""The loop of simulations and oracles: ask, learn, look whether it is enough."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from tqdm.auto import tqdm

from sklvyso.active_learning._final_stage import refreshed_encoder
from sklvyso.active_learning._labels import plain_labels
from sklvyso.active_learning._rounds import _FINAL, _STOP_SET, Query
from sklvyso.active_learning._state import LearnerState
from sklvyso.active_learning._stopping import StopRules
from sklvyso.networks import draw_seed


class OracleLoop(LearnerState):
    """The looping part of :class:`PretrainedActiveLearner`."""

    def _loop(self, ask: Callable, labels: Any) -> None:
        rules = StopRules(self.stop, has_validation=self._judges is not None)
        watched = rules.stop_set(self._campaign.n_rows, self._rounds.stream(_STOP_SET))
        if self._campaign.labels:
            self._refit()
        has_started = bool(self._campaign.labels)
        n_done = 0
        bar = tqdm(total=self.n_queries, desc="query ", disable=not self.verbose)
        with bar:
            while True:
                reason = self._limit(n_done, has_started)
                if not reason and self._rounds.classifier is not None:
                    reason = rules.reason(
                        self.history_,
                        lambda: self._rounds.classifier.predict(self._pool()[watched]),
                    )
                if reason:
                    break
                query = self._next_batch(labels if not has_started else None)
                if not len(query.rows):
                    reason = "pool exhausted"
                    break
                self._ask(ask, query)
                n_done += has_started
                has_started = True
                self._refresh(n_done)
                if n_done:
                    bar.update()
                bar.set_postfix(self._shown(), refresh=False)
        self.stop_reason_ = reason
        if self._campaign.labels and self.final_estimator is not None:
            self.finalize()

    def _shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"labels": len(self._campaign.labels)}
        if self.history_ and self.history_[-1]["score"] is not None:
            shown["score"] = f"{self.history_[-1]['score']:.3f}"
        return shown

    def _limit(self, n_done: int, has_started: bool) -> str:
        if self.budget is not None and self._campaign.n_paid() >= self.budget:
            return "budget"
        if has_started and self.n_queries is not None and n_done >= self.n_queries:
            return "n_queries"
        return ""

    def _next_batch(self, labels: Any) -> Query:
        n_select = self._size_of_batch()
        if self.budget is not None:
            n_select = min(n_select, self.budget - self._campaign.n_paid())
        if self.initial == "stratified" and labels is not None:
            return self._stratified(labels, n_select)
        return self._rounds.query(n_select)

    def _size_of_batch(self) -> int:
        if not self._campaign.labels and self.n_initial:
            return self.n_initial
        return self.batch_size

    def _stratified(self, labels: np.ndarray, n_select: int) -> Query:
        start = time.perf_counter()
        rows = self._campaign.unlabeled
        classes = np.unique(plain_labels(labels[rows].tolist()))
        if len(classes) <= n_select < len(rows) - len(classes):
            try:
                rows, _ = train_test_split(
                    rows,
                    train_size=n_select,
                    stratify=plain_labels(labels[rows].tolist()),
                    random_state=self._rounds.stream(0, 0),
                )
            except ValueError as error:
                raise ValueError(
                    "initial='stratified' needs two rows of each class at least. "
                    f"Got: {error} Use initial='random'."
                ) from error
        seconds = time.perf_counter() - start
        return Query(np.sort(rows[:n_select]), None, "stratified", "", seconds)

    def _ask(self, ask: Callable, query: Query) -> None:
        self._remember(query)
        start = time.perf_counter()
        try:
            answers = self._sorted_answers(
                query.rows, ask(query.rows, self._take_raw(query.rows)), "oracle"
            )
        except BaseException:
            self.stop_reason_ = "oracle raised"
            raise
        seconds = time.perf_counter() - start
        self._accept(answers)
        if answers.rows:
            self._refit(oracle_seconds=seconds)
        else:
            self.n_rounds_ += 1

    def _refresh(self, n_done: int) -> None:
        if self.refresh_every is None or not n_done or n_done % self.refresh_every:
            return
        if len(self.classifier_.classes_) < 2:
            return  # nothing to tune the encoder for yet
        rows = self._campaign.labeled
        self.encoder_ = refreshed_encoder(
            self.encoder_,
            self.final_estimator,
            self._take_raw(rows),
            self._campaign.y,
            draw_seed(self._rounds.stream(_FINAL, n_done)),
            self.verbose,
        )
        self.representations_ = self.encoder_.transform(self._raw)
        for name in ("_scaled_pool", "_rounds"):
            self.__dict__.pop(name, None)
        self._judge_vectors = None
        self._fit_scaler()
        self._make_rounds().refit()
        self.classifier_ = self._rounds.classifier
