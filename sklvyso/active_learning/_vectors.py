"""Raw rows, their vectors, and what comes between these and the classifier."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import MaxAbsScaler, Normalizer, StandardScaler
from sklearn.utils import get_tags

from sklvyso._arguments import is_integer
from sklvyso._validation import validate_data
from sklvyso.active_learning._pool_rows import (
    check_same_kind,
    holds_texts,
    plain_vectors,
    row_labels,
)
from sklvyso.active_learning._state import LearnerState
from sklvyso.active_learning._texts import as_texts

_SCALERS: dict[str, Callable[[], Any]] = {
    "l2": Normalizer,
    "standard": StandardScaler,
    "maxabs": MaxAbsScaler,
}


def talking_clone(estimator: Any, verbose: int) -> Any:
    """Return a clone that shows its progress where the learner does.

    Parameters
    ----------
    estimator : estimator
        It stays as it is, also where its clone is itself.
    verbose : int
        Of the learner.

    Returns
    -------
    estimator : estimator
        With that ``verbose`` where it has such a number, and it is 0.
    """
    copied = clone(estimator)
    if not verbose or copied is estimator or not hasattr(copied, "get_params"):
        return copied
    own = copied.get_params(deep=False).get("verbose")
    # A pipeline's or an SVC's is a truth value, and means another kind of output.
    if is_integer(own) and own == 0:
        copied.set_params(verbose=int(verbose))
    return copied


class PoolVectors(LearnerState):
    """The part of :class:`PretrainedActiveLearner` that holds its pool."""

    encode_seconds_: float

    def _start_pool(self, X: Any) -> int:
        """Encode the pool; return how many rows it has."""
        start = time.perf_counter()
        self._row_labels = row_labels(X)
        if self.encoder is None:
            self.encoder_ = None
            self._raw = self._check_numbers(X, reset=True)
            self.representations_ = self._raw
        else:
            self._raw = self._raw_rows(X)
            encoder = talking_clone(self.encoder, self.verbose)
            self.encoder_ = encoder.fit(self._raw)
            self.representations_ = plain_vectors(self.encoder_.transform(self._raw))
        self.encode_seconds_ = time.perf_counter() - start
        return int(self.representations_.shape[0])

    def _check_numbers(self, X: Any, *, reset: bool) -> Any:
        if isinstance(X, str) or holds_texts(X):
            raise ValueError(
                "X must hold numbers when encoder=None. Got texts: pass "
                "encoder=PretrainedTextEncoder(model), or another transformer of texts."
            )
        return validate_data(
            self, X, accept_sparse="csr", dtype=(np.float32, np.float64), reset=reset
        )

    def _raw_rows(self, X: Any) -> Any:
        if get_tags(self.encoder).input_tags.string or holds_texts(X):
            return as_texts(X, getattr(self.encoder, "text_columns", None))
        return X

    def _rows_like_the_pool(self, X: Any) -> Any:
        rows = self._raw_rows(X)
        if isinstance(self._raw, list):
            check_same_kind(self._raw[0], rows)
        return rows

    def _fit_scaler(self) -> None:
        H, weight = self.representations_, self._weight
        is_sparse = hasattr(H, "tocsr")
        scale = self.scale
        if scale == "auto":
            scale = "standard" if not is_sparse else "maxabs"
            if self.encoder is not None:
                scale = "l2"
        has_unit_length = getattr(self.encoder_, "normalize", False) is True
        self.scaler_ = None
        if scale is None or (scale == "l2" and has_unit_length):
            return
        scaler = _SCALERS[scale]().set_output(transform="default")
        if weight is not None and not weight.all():
            # A row of weight 0 is as good as absent.
            H, weight = H[np.flatnonzero(weight)], weight[weight > 0]
        if scale == "standard":
            scaler.set_params(with_mean=not is_sparse)
            self.scaler_ = scaler.fit(H, sample_weight=weight)
        else:
            self.scaler_ = scaler.fit(H)

    def _scaled(self, H: Any) -> Any:
        if self.scaler_ is None:
            return H
        if sparse.issparse(H) and getattr(self.scaler_, "with_mean", False):
            H = H.toarray()  # rows like those of the pool, stored in another way
        return self.scaler_.transform(H)

    def _pool(self) -> Any:
        """Scaled vectors of the pool, kept until the learner is pickled."""
        if "_scaled_pool" not in self.__dict__:
            if not hasattr(self, "representations_"):
                self.representations_ = self._raw
                if self.encoder_ is not None:
                    self.representations_ = plain_vectors(
                        self.encoder_.transform(self._raw)
                    )
            self._scaled_pool = self._scaled(self.representations_)
        return self._scaled_pool

    def _drop_representations(self) -> None:
        """Drop the vectors of the pool where they are not to be stored."""
        if self.store_representations:
            return
        for name in ("representations_", "_scaled_pool", "_rounds"):
            self.__dict__.pop(name, None)

    def _vectors(self, X: Any) -> Any:
        """Scaled vectors of other rows."""
        if self.encoder_ is None:
            return self._scaled(self._check_numbers(X, reset=False))
        H = self.encoder_.transform(self._rows_like_the_pool(X))
        return self._scaled(plain_vectors(H))
