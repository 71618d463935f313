"""Representations of texts from a frozen language model, computed once."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from sklvyso._compat import StrOptions
from sklvyso.active_learning._backbone import (
    Backbone,
    find_model,
    fingerprint_backbone,
    fingerprint_folder,
    in_evaluation_mode,
    resolve_max_length,
)
from sklvyso.active_learning._cache import Entry, VectorCache, text_key
from sklvyso.active_learning._language_model import LanguageModelEstimator
from sklvyso.active_learning._texts import Text, as_texts
from sklvyso.active_learning._tokens import TokenRows, pad, tokenize
from sklvyso.networks import resolve_device

# Changes whenever the same settings would give other vectors.
_FORMAT = "sklvyso-representations-1"
# Texts that are tokenised and sorted by length at a time.
_TEXTS_AT_ONCE = 16_384
# A crash loses no more than this.
_TEXTS_PER_WRITE = 512
_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


class PretrainedTextEncoder(TransformerMixin, LanguageModelEstimator):
    """Vectors of texts from a frozen pretrained language model.

    The model is never trained: ``fit`` reads what it is, ``transform`` runs each
    different text through it once. With ``cache_dir`` the vectors stay on disk, by
    text: a repeated run, the folds of a cross-validation and a pool that grew compute
    only what is new.

    - Texts are a list, array or Series of str; pairs are two-tuples, an (n, 2) array or
      a data frame of two columns.
    - Equal texts are encoded once; batches hold texts of similar length. A vector does
      not depend on the other texts beyond rounding in single precision.
    - The language model is loaded when a text is not in the cache, and is never part of
      a pickle: the copy loads it again.

    .. versionadded:: 0.1

    Parameters
    ----------
    model : str, path-like or callable, default=None
        Folder of a model of transformers (as ``save_pretrained`` writes it), name of a
        model of the Hugging Face hub, or a callable without arguments that returns
        ``(tokenizer, module)``.
    tokenizer : str, path-like or tokenizer, default=None
        Another tokenizer than the one of the model.
    pooling : {"mean", "cls", "max", "last", "pooler"}, default="mean"
        How the states of the tokens become one vector: their mean, special tokens
        included, the first, the largest of each feature, the last, or the model's own
        pooler.
    layer : int or tuple of int, default=-1
        Whose states: -1 is the last layer, 0 the embeddings; several are averaged.
    normalize : bool, default=True
        Whether vectors are scaled to length 1.
    max_length : int, default=128
        Longest text in tokens; the rest is cut off. None, like any larger number, is
        the limit of the model.
    text_columns : str, int or sequence of two of them, default=None
        Columns of a table that hold the texts. None takes all of them.
    batch_size : int, default=32
        Texts that run through the model at once.
    device : str or torch.device, default="auto"
        ``"auto"`` is the GPU when there is one.
    dtype : {"float32", "float16", "bfloat16"}, default="float32"
        Type in which the model computes. Half precision pays on a GPU; on a CPU it is
        slower. Vectors are float32 always.
    cache_dir : str or path-like, default=None
        Folder of the cache on disk; None keeps none. Several processes may share it.
    on_truncation : {"ignore", "warn", "error"}, default="ignore"
        What to do about texts longer than ``max_length``; they are counted in any case.
    local_files_only : bool, default=True
        Whether a model of the hub must be on this machine already. False downloads it.
    revision : str, default=None
        Branch, tag or commit of the hub.
    trust_remote_code : bool, default=False
        Whether code of the model's folder may run.
    verbose : int, default=0
        1 shows a progress bar on standard error.

    Attributes
    ----------
    n_features_out_ : int
        Length of a vector.
    fingerprint_ : str
        Digest of what decides a vector: weights, tokenizer, pooling, layer, max_length,
        dtype. Batch size, device and ``normalize`` do not count.
    n_truncated_ : int
        Texts of the last ``transform`` that were cut.
    cache_hits_ : int
        Different texts of the last ``transform`` that were in the cache.
    cache_misses_ : int
        Different texts of the last ``transform`` that ran through the model.
    encode_seconds_ : float
        Wall time of the last ``transform``.

    See Also
    --------
    PretrainedActiveLearner : Asks for labels on these vectors.
    TransformerTextClassifier : Fine-tunes the model.

    Notes
    -----
    The cache is one SQLite file, 1.8 kB a text at 384 features. Vectors are kept before
    they are normalised.

    References
    ----------
    .. [1] Vysogorets, Gopal, "Towards Efficient Active Learning in NLP via Pretrained
       Representations", 2024, arXiv:2402.15613.
    .. [2] Reimers, Gurevych, "Sentence-BERT", EMNLP 2019, section 3 (pooling).

    Examples
    --------
    >>> from sklvyso import PretrainedTextEncoder
    >>> encoder = PretrainedTextEncoder("path/to/all-MiniLM-L6-v2")
    >>> encoder.fit_transform(["a fine film", "dull"]).shape  # doctest: +SKIP
    (2, 384)
    """

    _needed_state = ("fingerprint_", "n_features_out_")
    _parameter_constraints: dict[str, list] = {
        **LanguageModelEstimator._parameter_constraints,
        "dtype": [StrOptions(set(_DTYPES))],
        "cache_dir": [str, os.PathLike, None],
        "on_truncation": [StrOptions({"ignore", "warn", "error"})],
    }

    def __init__(
        self,
        model: Any = None,
        *,
        tokenizer: Any = None,
        pooling: str = "mean",
        layer: int | Sequence[int] = -1,
        normalize: bool = True,
        max_length: int | None = 128,
        text_columns: Any = None,
        batch_size: int = 32,
        device: str | torch.device = "auto",
        dtype: str = "float32",
        cache_dir: str | os.PathLike | None = None,
        on_truncation: str = "ignore",
        local_files_only: bool = True,
        revision: str | None = None,
        trust_remote_code: bool = False,
        verbose: int = 0,
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.layer = layer
        self.normalize = normalize
        self.max_length = max_length
        self.text_columns = text_columns
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.cache_dir = cache_dir
        self.on_truncation = on_truncation
        self.local_files_only = local_files_only
        self.revision = revision
        self.trust_remote_code = trust_remote_code
        self.verbose = verbose

    def __getstate__(self):
        state = dict(super().__getstate__())
        # The model is on disk, and a lock does not pickle.
        state.pop("_backbone", None)
        state.pop("_lock", None)
        return state

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "fingerprint_")

    # -- public -------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> PretrainedTextEncoder:
        """Check parameters and texts, and read what the model is.

        Parameters
        ----------
        X : sequence of n texts or pairs of texts
            Only checked.
        y : object, default=None
            Not used.

        Returns
        -------
        self : PretrainedTextEncoder
            The fitted encoder.

        Raises
        ------
        OSError
            If the model is not there.
        ValueError
            If parameters or texts are not valid, or the model has no such layer or
            pooler.
        """
        self._validate_params()
        self._check_model()
        resolve_device(self.device)
        if self.cache_dir is not None and Path(self.cache_dir).expanduser().is_file():
            raise ValueError(
                f"cache_dir must be a folder. Got the file {str(self.cache_dir)!r}."
            )
        as_texts(X, self.text_columns)
        self.release()
        self._read_model()
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the vectors of texts.

        Parameters
        ----------
        X : sequence of n texts or pairs of texts
            Texts.

        Returns
        -------
        H : ndarray of shape (n, n_features_out_), dtype float32
            A vector for each text, in the order of the texts.

        Raises
        ------
        ValueError
            If a text is missing, or too long with ``on_truncation="error"``.
        """
        check_is_fitted(self)
        texts = as_texts(X, self.text_columns)
        start = time.perf_counter()
        different = list(dict.fromkeys(texts))
        row_of = {text: row for row, text in enumerate(different)}
        vectors, is_truncated = self._look_up_or_encode(different)
        rows = np.fromiter((row_of[text] for text in texts), np.int64, len(texts))
        self.n_truncated_ = int(is_truncated[rows].sum())
        self._report_truncation(texts, is_truncated[rows])
        if len(different) < len(texts) or not np.array_equal(rows, range(len(rows))):
            vectors = vectors[rows]
        if self.normalize:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors /= np.maximum(lengths, np.finfo(np.float32).tiny)
        self.encode_seconds_ = time.perf_counter() - start
        return vectors

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns: ``emb0``, ``emb1``, ...

        Parameters
        ----------
        input_features : object, default=None
            Not used.

        Returns
        -------
        names : ndarray of shape (n_features_out_,), dtype object
            Names.
        """
        check_is_fitted(self)
        return np.array([f"emb{i}" for i in range(self.n_features_out_)], dtype=object)

    def release(self) -> None:
        """Give the memory of the language model back; it is loaded again on demand."""
        self.__dict__.pop("_backbone", None)

    # -- the model ----------------------------------------------------------------

    def _read_model(self) -> None:
        """Set the fingerprint and the width, without loading weights if possible."""
        self.__dict__.pop("fingerprint_", None)
        # What the configuration file says is enough for the usual questions.
        width = None if callable(self.model) else self._width_of(self._folder())
        if width is None:
            backbone = self._loaded()
            backbone.check_output(self.pooling, self._layers())
            width = backbone.width
        self.fingerprint_ = self._fingerprint()
        self.n_features_out_ = width

    def _folder(self) -> Path:
        return find_model(
            self.model, revision=self.revision, local_files_only=self.local_files_only
        )

    def _fingerprint(self) -> str:
        """Digest of everything that decides a vector, as it is now."""
        if callable(self.model):
            content = fingerprint_backbone(self._backbone_in_memory())
        else:
            content = fingerprint_folder(self._folder())
        settings = {
            "format": _FORMAT,
            "model": content,
            "tokenizer": self._tokenizer_digest(),
            "pooling": self.pooling,
            "layer": self._layers(),
            "max_length": None if self.max_length is None else int(self.max_length),
            "dtype": self.dtype,
        }
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _backbone_in_memory(self) -> Backbone:
        # Not through the lock, which the one who asks may hold.
        return self.__dict__.get("_backbone") or self._loaded()

    def _width_of(self, folder) -> int | None:
        """Read the width from a folder where nothing else needs the model."""
        if self.pooling == "pooler" or self._layers() != -1:
            return None
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        width = config.get("hidden_size")
        return width if isinstance(width, int) else None

    def _tokenizer_digest(self) -> str:
        if self.tokenizer is None:
            return ""
        if isinstance(self.tokenizer, str | os.PathLike):
            place = find_model(
                self.tokenizer, revision=None, local_files_only=self.local_files_only
            )
            return fingerprint_folder(place)
        return fingerprint_backbone(self._backbone_in_memory())

    def _loaded(self) -> Backbone:
        """Return the model, loaded once even if several threads ask."""
        lock = self.__dict__.setdefault("_lock", threading.Lock())
        with lock:
            if "_backbone" not in self.__dict__:
                self._backbone = self._load()
                self._check_unchanged()
        return self._backbone

    def _check_unchanged(self) -> None:
        """Refuse other weights than those of fit: the cache is keyed by those."""
        if (
            not hasattr(self, "fingerprint_")
            or self._fingerprint() == self.fingerprint_
        ):
            return
        del self._backbone
        raise ValueError(
            f"model {self.model!r} has changed since fit: its vectors would not fit to "
            "the earlier ones. Call fit again."
        )

    # -- encoding -----------------------------------------------------------------

    def _look_up_or_encode(self, texts: list[Text]) -> tuple[np.ndarray, np.ndarray]:
        """Return vectors and whether they were cut, for different texts."""
        vectors = np.empty((len(texts), self.n_features_out_), np.float32)
        is_truncated = np.zeros(len(texts), bool)
        keys: list[bytes] = []
        cache = None if self.cache_dir is None else VectorCache(self.cache_dir)
        missing = np.arange(len(texts))
        if cache is not None:
            fingerprint = bytes.fromhex(self.fingerprint_)
            keys = [text_key(fingerprint, text) for text in texts]
            found = cache.read(keys, self.n_features_out_)
            for row, key in enumerate(keys):
                if key in found:
                    vectors[row], is_truncated[row] = found[key]
            missing = np.array([i for i in missing if keys[i] not in found], np.int64)
        self.cache_hits_ = len(texts) - len(missing)
        self.cache_misses_ = len(missing)
        if not len(missing):
            return vectors, is_truncated
        backbone = self._loaded()
        longest = resolve_max_length(self.max_length, backbone)
        bar = tqdm(
            total=len(missing), desc="encode ", unit="text", disable=not self.verbose
        )
        with bar, in_evaluation_mode(backbone.module):
            for start in range(0, len(missing), _TEXTS_AT_ONCE):
                some = missing[start : start + _TEXTS_AT_ONCE]
                rows = tokenize(backbone.tokenizer, [texts[i] for i in some], longest)
                is_truncated[some] = rows.is_truncated
                done: list[np.ndarray] = []
                try:
                    for positions, part in self._encoded(backbone, rows):
                        vectors[some[positions]] = part
                        done.append(some[positions])
                        bar.update(len(positions))
                        if sum(map(len, done)) >= _TEXTS_PER_WRITE:
                            _store(cache, keys, vectors, is_truncated, done)
                            done = []
                finally:
                    # An interrupt keeps what was computed.
                    _store(cache, keys, vectors, is_truncated, done)
        return vectors, is_truncated

    def _encoded(self, backbone: Backbone, rows: TokenRows):
        """Yield positions and their vectors, batch by batch, short texts last."""
        device, dtype = resolve_device(self.device), _DTYPES[self.dtype]
        module, layer = backbone.module, self._layers()
        before = next(module.parameters())
        module.to(device=device, dtype=dtype)
        try:
            # The longest first: if memory is short, it shows at once.
            order = np.argsort(-rows.lengths(), kind="stable")
            for start in range(0, len(order), self.batch_size):
                positions = order[start : start + self.batch_size]
                tokens = torch.from_numpy(pad(rows, positions)).to(device)
                with torch.inference_mode():
                    part = backbone.states(tokens, layer, self.pooling)
                part = part.float().cpu().numpy()
                if not np.isfinite(part).all():
                    raise ValueError(
                        f"model gave vectors that are not finite with dtype="
                        f"{self.dtype!r}: use dtype='float32'."
                    )
                yield positions, part
        finally:
            if callable(self.model):
                # It is the user's.
                module.to(device=before.device, dtype=before.dtype)

    def _report_truncation(self, texts: list[Text], is_truncated: np.ndarray) -> None:
        if self.on_truncation == "ignore" or not is_truncated.any():
            return
        first = int(is_truncated.argmax())
        message = (
            f"{self.n_truncated_} of {len(texts)} texts are longer than max_length="
            f"{self.max_length} tokens (the first at index {first}): raise max_length, "
            "or accept that their ends are not seen (on_truncation='ignore')."
        )
        if self.on_truncation == "error":
            raise ValueError(message)
        warnings.warn(message, UserWarning, stacklevel=3)


def _store(cache, keys, vectors, is_truncated, done) -> None:
    """Write the vectors of some rows to the cache, if there is one."""
    if cache is None or not done:
        return
    rows = np.concatenate(done)
    entries = [Entry(vectors[i], bool(is_truncated[i])) for i in rows]
    cache.write([keys[i] for i in rows], entries)
