"""Raw rows of a pool: texts, tables, arrays."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from scipy import sparse

from sklvyso._optional import import_optional


def is_text(item: Any) -> bool:
    """Say whether a row is a text or a pair of texts."""
    return isinstance(item, str) or (
        isinstance(item, tuple) and all(isinstance(part, str) for part in item)
    )


def holds_texts(X: Any) -> bool:
    """Say whether rows are texts by the look of the first one."""
    if isinstance(X, list | tuple) and len(X):
        return is_text(X[0])
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind in ("U", "S"):
        return True
    if kind == "O" and getattr(X, "ndim", 0) == 1 and len(X):
        return isinstance(np.asarray(X)[0], str)
    return False


def check_same_kind(first: Any, X: Any) -> None:
    """Raise if texts are single where the pool has pairs, or the other way round."""
    if not (isinstance(X, list) and X and is_text(first)):
        return
    kinds = ("pairs of texts", "single texts")
    wanted, got = (kinds[isinstance(item, str)] for item in (first, X[0]))
    if wanted != got:
        raise ValueError(f"X must hold {wanted}, as the pool does. Got {got} instead.")


def stack(first: Any, second: Any) -> Any:
    """Put rows under rows, sparse ones too."""
    if sparse.issparse(second) and not sparse.issparse(first):
        second = second.toarray()
    if sparse.issparse(first):
        return sparse.vstack([first, second], format="csr")
    return np.concatenate([first, second])


def append_rows(rows: Any, new: Any) -> Any:
    """Put new raw rows under those of a pool, in its kind of container."""
    if isinstance(rows, list):
        return [*rows, *new]
    if hasattr(rows, "iloc"):
        pandas = import_optional("pandas", extra="frame", caller="add_to_pool")
        return pandas.concat([rows, new], ignore_index=True)
    return stack(rows if sparse.issparse(rows) else np.asarray(rows), new)


def plain_vectors(H: Any) -> Any:
    """Return vectors as an array or a CSR matrix, whatever set_output makes of them."""
    if hasattr(H, "iloc"):
        return H.to_numpy()
    return H.tocsr() if sparse.issparse(H) else np.asarray(H)


def row_labels(X: Any) -> np.ndarray | None:
    """Return the index of a table or series where it is not 0, 1, 2, ..."""
    index = getattr(X, "index", None)
    if index is None or callable(index) or len(index) != len(X):
        return None
    labels = np.asarray(index)
    is_plain = labels.dtype.kind in "iu" and np.array_equal(labels, range(len(labels)))
    return None if is_plain else labels


def check_positions_were_meant(
    labels: Any, rows: np.ndarray, pool_labels: np.ndarray | None
) -> None:
    """Refuse ``y[rows]`` of a pandas series, which looks rows up by its index.

    With an index that is a permutation of 0, 1, 2, ... (a shuffled table) pandas finds
    other rows than those that were asked for, and says nothing.
    """
    if pool_labels is None or row_labels(labels) is None:
        return
    own = np.asarray(labels.index)
    is_inside = rows < len(pool_labels)
    meant = pool_labels[rows[is_inside]]
    if np.array_equal(own, rows) and not np.array_equal(own[is_inside], meant):
        raise ValueError(
            "labels must belong to the rows at the positions `indices`. Got a series "
            "whose index holds the positions themselves, while the pool has another "
            "index: take y.iloc[indices], not y[indices]."
        )
