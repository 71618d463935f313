"""Chunks of texts on several worker processes give the vectors of one process."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from sklvyso import PretrainedTextEncoder


def encode_in_chunks(encoder, texts, n_chunks=4):
    chunks = np.array_split(np.array(texts, dtype=object), n_chunks)
    return np.concatenate(
        Parallel()(delayed(encoder.transform)(list(chunk)) for chunk in chunks)
    )


def test_chunks_of_texts_give_the_same_vectors(
    tiny_model, texts, tmp_path, two_workers
):
    X, _ = texts
    encoder = PretrainedTextEncoder(tiny_model, device="cpu").fit(X)
    here = encode_in_chunks(encoder, X)
    with two_workers():
        there = encode_in_chunks(encoder, X)
    np.testing.assert_array_equal(there, here)
    # Other neighbours in a batch round differently in single precision.
    np.testing.assert_allclose(there, encoder.transform(X), atol=1e-6)


def test_workers_fill_one_cache(tiny_model, texts, tmp_path, two_workers):
    X, _ = texts
    encoder = PretrainedTextEncoder(
        tiny_model, cache_dir=tmp_path / "cache", device="cpu"
    ).fit(X)
    with two_workers():
        there = encode_in_chunks(encoder, X)
    whole = clone(encoder).fit(X)
    np.testing.assert_array_equal(whole.transform(X), there)
    assert whole.cache_misses_ == 0 and whole.cache_hits_ == len(set(X))
