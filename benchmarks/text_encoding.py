"""What encoding, its cache, a light round and a fine-tuning round cost.

SST-2, all-MiniLM-L6-v2, 64 tokens, one thread: 2,000 texts encoded, the same again from
the cache (a new encoder each time, model not loaded), logistic regression on 500
vectors, and fine-tuning on 500 texts for three epochs with word embeddings kept still.
"""

import os
import tempfile
import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks._harness import data_home, one_thread, side_by_side, store, table
from benchmarks._language_models import minilm_l6
from sklvyso import PretrainedTextEncoder, TransformerTextClassifier
from sklvyso.datasets import load_text_csv


def run():
    """Time, print, store."""
    one_thread()
    bunch = load_text_csv(os.path.join(data_home(), "sst2"), subset="train")
    texts, y = bunch.data[:2000], bunch.target[:2000]
    with tempfile.TemporaryDirectory() as folder:

        def encoder():
            return PretrainedTextEncoder(minilm_l6(), max_length=64, cache_dir=folder)

        start = time.perf_counter()
        H = encoder().fit_transform(texts)
        first = time.perf_counter() - start
        again = side_by_side({"again": lambda: encoder().fit_transform(texts)})
        assert np.array_equal(encoder().fit_transform(texts), H)
    light = side_by_side(
        {"light": lambda: LogisticRegression(C=10, max_iter=1000).fit(H[:500], y[:500])}
    )
    start = time.perf_counter()
    TransformerTextClassifier(
        minilm_l6(),
        max_epochs=3,
        min_steps=0,
        max_length=64,
        freeze_embeddings=True,
        random_state=0,
    ).fit(texts[:500], y[:500])
    tuned = time.perf_counter() - start
    rows = [
        {"work": "encode 2,000 texts", "seconds": first, "ratio": 1.0},
        {
            "work": "encode them again, from the cache",
            "seconds": again["again"],
            "ratio": again["again"] / first,
        },
        {"work": "fine-tune on 500 texts", "seconds": tuned, "ratio": 1.0},
        {
            "work": "fit the light classifier on 500 vectors",
            "seconds": light["light"],
            "ratio": light["light"] / tuned,
        },
    ]
    for row in rows:
        row["ratio"] = f"{row['ratio']:.5f}"
    print(table(rows))
    store("text_encoding", rows)


if __name__ == "__main__":
    run()
