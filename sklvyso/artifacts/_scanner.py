"""Scanner: looks through frames, remembers flagged ones, pictures of the worst."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import joblib
import numpy as np

from sklvyso.artifacts._detector import ArtifactDetector
from sklvyso.artifacts._report import Finding, ScanResult, add_pictures
from sklvyso.artifacts._voting import (
    describe_runs,
    flagged_runs,
    previous_frames,
    smooth,
)

_WINDOW = 5
_BATCH = 8


class Scanner:
    """Look through frames; remember what is flagged, and pictures of the worst.

    Parameters
    ----------
    detector : ArtifactDetector
        Fitted.
    threshold : float or None
        Flag from this probability on; None is the detector's threshold.
    n_top : int
        Flagged frames that keep pictures.
    is_stream : bool
        Frames are in playing order.
    """

    def __init__(
        self,
        detector: ArtifactDetector,
        threshold: float | None,
        n_top: int,
        is_stream: bool,
    ):
        self.detector = detector
        self.n_top = n_top
        self.is_stream = is_stream
        self.window = _WINDOW if is_stream else 1
        self.batch_size = _BATCH * max(1, joblib.effective_n_jobs(detector.n_jobs))
        if threshold is None:
            threshold = detector.threshold_
            if is_stream:
                threshold = detector.pair_threshold_
        self.result = ScanResult(threshold)
        self._top: list[tuple[float, int, Finding]] = []

    def look_through(self, frames: Iterable[tuple[str, np.ndarray]]) -> None:
        """Judge the frames of one stream, or those until Ctrl-C."""
        self._last: Any = None
        # Probabilities of frames whose neighbours are still to come, or are theirs.
        self._rows: list[np.ndarray] = []
        self._pending: deque[tuple[str, np.ndarray, Any]] = deque()
        self._names: list[str] = []
        self._votes: list[np.ndarray] = []
        frames = iter(frames)
        try:
            while chunk := list(itertools.islice(frames, self.batch_size)):
                self._judge(chunk)
        except KeyboardInterrupt:
            self.result.is_interrupted = True
        self._settle(is_last=True)
        if self.is_stream and self._votes:
            self._add_intervals()

    def _judge(self, chunk: Sequence[tuple[str, np.ndarray]]) -> None:
        frames = [frame for _, frame in chunk]
        before = previous_frames(frames, self._last) if self.is_stream else None
        corrupted, artifacts = self.detector.judge(frames, before)
        self._rows += list(np.column_stack([corrupted, artifacts]))
        others = before if before is not None else [None] * len(frames)
        self._pending += [
            (name, frame, other)
            for (name, frame), other in zip(chunk, others, strict=True)
        ]
        self._last = frames[-1]
        self._settle(is_last=False)

    def _settle(self, is_last: bool) -> None:
        """Decide on the frames all of whose neighbours are judged."""
        half = self.window // 2
        start = len(self._rows) - len(self._pending)
        stop = len(self._rows) if is_last else max(start, len(self._rows) - half)
        votes = smooth(np.array(self._rows), self.window, "median")[start:stop]
        settled = [self._pending.popleft() for _ in votes]
        del self._rows[: max(0, stop - half)]
        if self.is_stream:
            self._names += [name for name, _, _ in settled]
            self._votes += list(votes)
        self._illustrate(
            [
                (finding, frame, other)
                for (name, frame, other), vote in zip(settled, votes, strict=True)
                if (finding := self._flagged(name, vote)) is not None
                and self._enters_top(finding)
            ]
        )

    def _flagged(self, name: str, vote: np.ndarray) -> Finding | None:
        number = self.result.n_frames
        self.result.n_frames += 1
        if vote[0] < self.result.threshold:
            return None
        k = int(vote[1:].argmax())
        artifact = self.detector.artifacts_[k]
        finding = Finding(
            name, number, artifact, float(vote[0]), [(artifact, float(vote[1 + k]))]
        )
        self.result.flagged.append(finding)
        return finding

    def _enters_top(self, finding: Finding) -> bool:
        entry = (finding.probability, -finding.number, finding)
        if len(self._top) < self.n_top:
            heapq.heappush(self._top, entry)
            return True
        if not self._top or entry[:2] < self._top[0][:2]:
            return False
        left = heapq.heapreplace(self._top, entry)[2]
        left.picture = left.detail = left.heat_map = None
        return True

    def _illustrate(self, entered: list[tuple[Finding, np.ndarray, Any]]) -> None:
        in_top = {id(finding) for _, _, finding in self._top}
        entered = [item for item in entered if id(item[0]) in in_top]
        if not entered:
            return
        frames = [frame for _, frame, _ in entered]
        before = [other for _, _, other in entered] if self.is_stream else None
        # All of them: some are flagged by their neighbours only.
        explanations = self.detector.explain(frames, previous=before, threshold=0)
        for (finding, frame, _), explained in zip(entered, explanations, strict=True):
            finding.artifacts = [
                (found["artifact"], found["probability"]) for found in explained
            ]
            finding.features = explained[0]["features"]
            heat_map = explained[0]["heat_map"]
            add_pictures(finding, frame, heat_map, self.detector.value_range)

    def _add_intervals(self) -> None:
        votes = np.array(self._votes)
        runs = flagged_runs(votes[:, 0] >= self.result.threshold)
        for start, stop, artifact, probability in describe_runs(
            runs, votes[:, 0], votes[:, 1:], self.detector.artifacts_
        ):
            first, last = self._names[start], self._names[stop - 1]
            self.result.intervals.append(
                (first, last, stop - start, artifact, probability)
            )
