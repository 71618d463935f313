"""From texts to rows of token numbers, padded as far as a batch needs."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sklvyso.active_learning._texts import Text

# No token has it: every vocabulary starts at 0.
PADDING = -1


class TokenRows(NamedTuple):
    """Texts as numbers, ragged."""

    ids: list[list[int]]
    types: list[list[int]] | None  # which text of a pair; None where models ignore it
    is_truncated: np.ndarray  # (n,), bool

    def lengths(self) -> np.ndarray:
        """Tokens of each text, shape (n,)."""
        return np.array([len(row) for row in self.ids], dtype=np.int64)


def tokenize(tokenizer: Any, texts: Sequence[Text], max_length: int) -> TokenRows:
    """Tokenise texts or pairs, cut at ``max_length`` tokens.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Adds its special tokens.
    texts : sequence of str or of pairs of str
        Not empty.
    max_length : int
        Longest row; the longer text of a pair is cut first.

    Returns
    -------
    rows : TokenRows
        In the order of the texts.
    """
    rows = _numbers(tokenizer, texts)
    ids, types = rows["input_ids"], rows.get("token_type_ids")
    is_truncated = np.array([len(row) > max_length for row in ids])
    if is_truncated.any():
        long = np.flatnonzero(is_truncated)
        cut = _numbers(
            tokenizer,
            [texts[int(i)] for i in long],
            truncation=True,
            max_length=max_length,
        )
        for position, i in enumerate(long):
            ids[i] = cut["input_ids"][position]
            if types is not None:
                types[i] = cut["token_type_ids"][position]
    return TokenRows(ids, types, is_truncated)


def _numbers(tokenizer: Any, texts: Sequence[Text], **cutting: Any) -> dict:
    arguments: tuple[list, ...] = (list(texts),)
    if not isinstance(texts[0], str):
        arguments = tuple([pair[part] for pair in texts] for part in (0, 1))
    return dict(
        tokenizer(
            *arguments,
            add_special_tokens=True,
            return_attention_mask=False,
            verbose=False,
            **cutting,
        )
    )


def pad(rows: TokenRows, indices: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return some rows as one array, padded to the longest of them.

    Parameters
    ----------
    rows : TokenRows
        Ragged rows.
    indices : sequence of int
        Which ones.

    Returns
    -------
    tokens : ndarray of shape (n, 2, n_tokens), dtype int32
        Token numbers, padded by -1, and which text of a pair they belong to.
    """
    longest = max((len(rows.ids[i]) for i in indices), default=0)
    tokens = np.full((len(indices), 2, max(longest, 1)), PADDING, dtype=np.int32)
    tokens[:, 1] = 0
    for row, i in enumerate(indices):
        tokens[row, 0, : len(rows.ids[i])] = rows.ids[i]
        if rows.types is not None:
            tokens[row, 1, : len(rows.types[i])] = rows.types[i]
    return tokens
