"""What a person does with a campaign: ask, answer, take back, carry to other tools."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
import pickle
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import check_flag, check_path, read_array
from sklvyso._optional import import_optional
from sklvyso.active_learning import _exchange
from sklvyso.active_learning._campaign import Campaign
from sklvyso.active_learning._pool_rows import (
    append_rows,
    check_positions_were_meant,
    is_text,
    plain_vectors,
    stack,
)
from sklvyso.active_learning._rounds import Query, Rounds
from sklvyso.active_learning._state import LearnerState


class InteractiveCampaign(LearnerState):
    """The interactive half of :class:`PretrainedActiveLearner`."""

    def query(
        self, n: int | None = None, X: Any = None, return_scores: bool = False
    ) -> Any:
        """Choose the rows to label next; nothing changes.

        Parameters
        ----------
        n : int, default=None
            How many; None is ``n_initial`` for the first batch, then ``batch_size``.
            Fewer come back when the pool has no more.
        X : rows like those of fit, default=None
            Choose among these instead of the pool; positions in ``X`` come back.
        return_scores : bool, default=False
            Whether to return the scores too.

        Returns
        -------
        indices : ndarray of shape (n,), dtype int64
            Positions in the pool, the first to be asked first.
        scores : ndarray of shape (n,) or None
            Only with ``return_scores``: higher was taken first. None where the strategy
            has no scores.

        Raises
        ------
        NotFittedError
            If there is no pool yet.
        """
        self._validate_params()
        check_is_fitted(self, "history_")
        if n is None:
            n = self._size_of_batch()
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 0:
            raise ValueError(f"n must be an integer >= 0. Got {n!r} instead.")
        return_scores = check_flag("return_scores", return_scores)
        if X is not None:
            query = self._query_others(X, int(n))
        else:
            query = self._make_rounds().query(int(n))
            self._remember(query)
        self._drop_representations()
        return (query.rows, query.scores) if return_scores else query.rows

    def _query_others(self, X: Any, n: int) -> Query:
        others = self._vectors(X)
        n_pool = self._campaign.n_rows
        together = Campaign(n_pool + others.shape[0])
        together.labels = dict(self._campaign.labels)
        free = [row for row in range(n_pool) if row not in together.labels]
        together.held_out = set(free)
        rounds = Rounds(
            self,
            self._prototype(),
            stack(self._pool(), others),
            together,
            seed=self._seed,
            sample_weight=None,
        )
        rounds.classifier = getattr(self, "classifier_", None)
        query = rounds.query(n)
        return query._replace(rows=query.rows - n_pool)

    def teach(self, indices: ArrayLike, labels: ArrayLike, refit: bool = True) -> Self:
        """Take labels of rows of the pool.

        Parameters
        ----------
        indices : array-like of int of shape (n,)
            Positions in the pool, from :meth:`query` or others. A row that has a label
            is corrected.
        labels : array-like of shape (n,)
            Their labels; the missing mark skips a row. Of a pandas series
            ``y.iloc[indices]``: positions, not its index.
        refit : bool, default=True
            Whether to fit the light classifier anew. False for small deliveries: the
            next one with True uses them all.

        Returns
        -------
        self : PretrainedActiveLearner
            The learner.

        Raises
        ------
        ValueError
            If an index is not in the pool or comes twice, or a label is not known.
        """
        self._validate_params()
        check_is_fitted(self, "history_")
        refit = check_flag("refit", refit)
        rows = self._check_indices(indices)
        check_positions_were_meant(labels, rows, getattr(self, "_row_labels", None))
        self._accept(self._sorted_answers(rows, labels, "labels"))
        is_due = self._pending or self._is_stale or not hasattr(self, "classifier_")
        if refit and self._campaign.labels and is_due:
            self._refit()
        self._drop_representations()
        return self

    def skip(self, indices: ArrayLike) -> Self:
        """Take rows out of the pool without a label.

        Parameters
        ----------
        indices : array-like of int of shape (n,)
            Positions in the pool. Rows with a label keep it. :meth:`teach` takes a
            skipped row back.

        Returns
        -------
        self : PretrainedActiveLearner
            The learner.
        """
        check_is_fitted(self, "history_")
        for row in self._check_indices(indices):
            self._campaign.skip(int(row))
        return self

    def forget(self, indices: ArrayLike) -> Self:
        """Take labels or skips back: the rows are in the pool again.

        Parameters
        ----------
        indices : array-like of int of shape (n,)
            Positions in the pool. The light classifier is fitted anew at the next
            :meth:`teach`.

        Returns
        -------
        self : PretrainedActiveLearner
            The learner.
        """
        check_is_fitted(self, "history_")
        rows = self._check_indices(indices).tolist()
        for row in rows:
            self._campaign.forget(row)
        self._pending = [row for row in self._pending if row not in rows]
        self._is_stale = True
        if not self._campaign.labels:
            self.__dict__.pop("classifier_", None)
            self.__dict__.pop("_rounds", None)
        return self

    def pool_rows(self, indices: ArrayLike) -> Any:
        """Return raw rows of the pool, such as the texts of a :meth:`query`.

        Parameters
        ----------
        indices : array-like of int of shape (n,)
            Positions in the pool.

        Returns
        -------
        rows : list of texts, or array-like
            In the order of the indices.
        """
        check_is_fitted(self, "history_")
        return self._take_raw(self._check_indices(indices))

    def _check_indices(self, indices: ArrayLike) -> np.ndarray:
        rows = np.atleast_1d(read_array("indices", indices))
        if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
            raise ValueError(
                "indices must be a sequence of positions in the pool. Got "
                f"{indices!r:.100} instead."
            )
        rows = rows.astype(np.int64)
        n_rows = self._campaign.n_rows
        outside = rows[(rows < 0) | (rows >= n_rows)]
        if len(outside):
            raise ValueError(
                f"indices must lie in [0, {n_rows - 1}], the rows of the pool. Got "
                f"{outside[:5].tolist()}."
            )
        if len(np.unique(rows)) < len(rows):
            raise ValueError("indices must be different rows. Got one of them twice.")
        return rows

    def add_to_pool(self, X: Any) -> np.ndarray:
        """Add rows without labels to the pool.

        Parameters
        ----------
        X : rows like those of fit
            New rows; only they are encoded.

        Returns
        -------
        indices : ndarray of int64
            Their positions in the pool.
        """
        check_is_fitted(self, "history_")
        if self.encoder_ is None:
            H = self._check_numbers(X, reset=False)
            self._raw = stack(self._raw, H.astype(self._raw.dtype))
            if hasattr(self, "representations_"):
                self.representations_ = self._raw
        else:
            new = self._rows_like_the_pool(X)
            H = plain_vectors(self.encoder_.transform(new))
            self._raw = append_rows(self._raw, new)
            if hasattr(self, "representations_"):
                self.representations_ = stack(self.representations_, H)
        n_before = self._campaign.n_rows
        self._campaign.n_rows += int(H.shape[0])
        self._number_twins()
        if self._weight is not None:
            self._weight = np.concatenate([self._weight, np.ones(H.shape[0])])
        self.__dict__.pop("_scaled_pool", None)
        self.__dict__.pop("_rounds", None)
        return np.arange(n_before, self._campaign.n_rows)

    def labeled_data(self) -> Any:
        """Return all labels with their rows and how they came.

        Returns
        -------
        table : pandas.DataFrame
            Columns index, text (or text and text_pair; neither for other rows than
            texts), label, round, strategy, score, in the order of the labels.
        """
        check_is_fitted(self, "history_")
        pandas = import_optional("pandas", extra="frame", caller="labeled_data")
        columns = ["label", "round", "strategy", "score"]
        rows = [self._record(int(row)) for row in self._campaign.labeled]
        table = pandas.DataFrame(rows, columns=None if rows else ["index", *columns])
        return table.drop(columns=["skipped"], errors="ignore")

    def _record(self, row: int) -> dict[str, Any]:
        record: dict[str, Any] = {"index": row}
        if isinstance(self._raw, list) and is_text(self._raw[row]):
            text = self._raw[row]
            if isinstance(text, str):
                record["text"] = text
            else:
                record["text"], record["text_pair"] = text
        campaign = self._campaign
        record["label"] = campaign.labels.get(row)
        origin = campaign.origin.get(row, (None, None, None))
        record["round"], record["strategy"], record["score"] = origin
        record["skipped"] = row in campaign.skipped
        return record

    def to_jsonl(
        self, path: str | os.PathLike, indices: ArrayLike | None = None
    ) -> None:
        """Write rows of the campaign as JSON lines, for tools that annotate.

        Parameters
        ----------
        path : str or path-like
            File that is written, whole or not at all. One object a line: index, text
            (and text_pair), label (null where there is none), round, strategy, score,
            skipped.
        indices : array-like of int, default=None
            Rows, such as those of :meth:`query`. None takes all that were labelled or
            skipped.
        """
        check_is_fitted(self, "history_")
        if indices is None:
            rows = [*self._campaign.labels, *self._campaign.skipped]
        else:
            rows = self._check_indices(indices).tolist()
        _exchange.write_lines(path, (self._record(row) for row in rows))

    def from_jsonl(self, path: str | os.PathLike, refit: bool = True) -> Self:
        """Take the labels of a file that :meth:`to_jsonl` wrote and a tool filled in.

        Parameters
        ----------
        path : str or path-like
            Lines with index and label; lines without label are left alone, those with
            ``"skipped": true`` are skipped. A text that is there must be that of the
            pool.
        refit : bool, default=True
            Whether to fit the light classifier anew.

        Returns
        -------
        self : PretrainedActiveLearner
            The learner.

        Raises
        ------
        ValueError
            If a line is no object, lacks the index, or its text is another one; then
            no label of the file is taken.
        """
        check_is_fitted(self, "history_")
        labels: dict[int, Any] = {}
        skipped = []
        for number, record in _exchange.read_lines(path):
            row: Any = record.get("index")
            is_row = isinstance(row, int) and not isinstance(row, bool)
            if not is_row or not 0 <= row < self._campaign.n_rows:
                raise ValueError(
                    f"{path} must name rows of the pool by 'index', below "
                    f"{self._campaign.n_rows}. Got {row!r} in line {number}."
                )
            own = self._record(row)
            for name in ("text", "text_pair"):
                if name in record and name in own and record[name] != own[name]:
                    raise ValueError(
                        f"{path} must belong to this pool. Line {number} has another "
                        f"{name} for index {row}: {record[name]!r:.60}."
                    )
            label = record.get("label")
            if isinstance(label, dict | list):
                raise ValueError(
                    f"{path} must hold one label a line. Got {label!r:.60} in line "
                    f"{number}."
                )
            if row in labels and label is not None and label != labels[row]:
                raise ValueError(
                    f"{path} must label each index once. Line {number} has another "
                    f"label for index {row}."
                )
            if label is not None:
                labels[row] = label
            elif record.get("skipped"):
                skipped.append(row)
        self.teach(np.array(list(labels), np.int64), list(labels.values()), refit=refit)
        return self.skip(np.array(skipped, np.int64))

    def save(self, path: str | os.PathLike) -> None:
        """Write the learner to a file, whole or not at all.

        Parameters
        ----------
        path : str or path-like
            A pickle. The language model of a PretrainedTextEncoder is not in it, unless
            it was refreshed; a final estimator is.
        """
        try:
            _exchange.write_pickle(path, self)
        except (AttributeError, pickle.PicklingError) as error:
            raise TypeError(
                f"save cannot pickle a part of the learner ({error}). A lambda or a "
                "function inside a function, as oracle, strategy or stop, is none that "
                "can be saved: define it in a module, or set_params(oracle=None) first."
            ) from error

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a learner that :meth:`save` wrote, and go on.

        Parameters
        ----------
        path : str or path-like
            A file that you trust: unpickling can run any code.

        Returns
        -------
        learner : PretrainedActiveLearner
            As it was.
        """
        path = check_path("path", path)
        with open(os.path.expanduser(path), "rb") as stream:
            try:
                learner = pickle.load(stream)
            except (pickle.UnpicklingError, EOFError) as error:
                raise ValueError(
                    f"path {path} must be a file that save() wrote, whole. It cannot "
                    f"be read: {error}."
                ) from error
            except (AttributeError, ImportError) as error:
                raise ValueError(
                    f"path {path} needs what is not there ({error}): load it with the "
                    "packages, in the versions, with which it was saved; or read its "
                    "labels from to_jsonl() into a new campaign."
                ) from error
        if not isinstance(learner, cls):
            raise ValueError(
                f"{path} must hold a {cls.__name__}. Got a {type(learner).__name__}."
            )
        return learner
