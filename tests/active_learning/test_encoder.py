import pickle
import sqlite3
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state

from sklvyso import PretrainedTextEncoder
from sklvyso.active_learning._cache import FILE_NAME, Entry, VectorCache, text_key
from sklvyso.active_learning._pooling import pool_tokens
from tests.active_learning.conftest import make_texts, save_tiny_bert
from tests.checks import text_estimator_checks


@pytest.mark.parametrize("check", text_estimator_checks(), ids=lambda c: c.__name__)
def test_text_checks(check, tiny_model, texts):
    check(PretrainedTextEncoder(tiny_model), *texts)


def reference(folder, texts, pooling, layer=-1, max_length=64):
    """One text at a time, by transformers alone."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = (
        AutoTokenizer.from_pretrained(folder),
        AutoModel.from_pretrained(folder).eval(),
    )
    rows = []
    for text in texts:
        parts = (text,) if isinstance(text, str) else text
        inputs = tokenizer(
            *parts, return_tensors="pt", truncation=True, max_length=max_length
        )
        with torch.no_grad():
            out = model(**inputs, output_hidden_states=True)
        if pooling == "pooler":
            rows.append(out.pooler_output[0])
            continue
        layers = [layer] if isinstance(layer, int) else layer
        states = sum(out.hidden_states[i] for i in layers)[0] / len(layers)
        rows.append(
            {
                "mean": states.mean(dim=0),
                "cls": states[0],
                "last": states[-1],
                "max": states.max(dim=0).values,
            }[pooling]
        )
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("pooling", ["mean", "cls", "last", "max", "pooler"])
def test_vectors_are_those_of_transformers(tiny_model, texts, pooling):
    X = texts[0][:20]
    encoder = PretrainedTextEncoder(tiny_model, pooling=pooling, normalize=False)
    expected = reference(tiny_model, X, pooling)
    # float32 through two layers, batches of several lengths.
    np.testing.assert_allclose(encoder.fit_transform(X), expected, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 1, -2, (0, 2), [1, -1]])
def test_layers_and_pairs(tiny_model, texts, layer):
    X = list(zip(texts[0][:9], texts[0][9:18], strict=True))
    encoder = PretrainedTextEncoder(tiny_model, layer=layer, normalize=False)
    expected = reference(tiny_model, X, "mean", layer)
    np.testing.assert_allclose(encoder.fit_transform(X), expected, atol=1e-5)


def test_pair_is_not_the_joined_text(tiny_model):
    encoder = PretrainedTextEncoder(tiny_model).fit([("good", "film")])
    pair = encoder.transform([("good", "film")])
    joined = encoder.transform([("good film", "")])
    assert np.abs(pair - joined).max() > 1e-3


def test_pooling_is_right_on_either_side_of_the_padding():
    states = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    right = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    left = right.flip(1)
    for pooling in ("mean", "cls", "last", "max"):
        a = pool_tokens(states, right, pooling)
        shifted = torch.stack([states[0].roll(2, 0), states[1]])
        assert torch.allclose(pool_tokens(shifted, left, pooling), a)
    assert torch.equal(pool_tokens(states, right, "last")[0], states[0, 2])


def test_batches_and_order_do_not_count(tiny_model, texts):
    X = texts[0]
    one = PretrainedTextEncoder(tiny_model, batch_size=1).fit_transform(X)
    many = PretrainedTextEncoder(tiny_model, batch_size=64).fit(X)
    np.testing.assert_allclose(many.transform(X), one, atol=1e-5)
    order = np.random.RandomState(0).permutation(len(X))
    shuffled = many.transform([X[i] for i in order])
    np.testing.assert_allclose(shuffled, one[order], atol=1e-5)


def test_normalised_and_not(tiny_model, texts):
    raw = PretrainedTextEncoder(tiny_model, normalize=False).fit_transform(texts[0])
    unit = PretrainedTextEncoder(tiny_model).fit_transform(texts[0])
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, raw / lengths, atol=1e-6)


def test_equal_texts_are_encoded_once(tiny_model):
    encoder = PretrainedTextEncoder(tiny_model).fit(["a"])
    H = encoder.transform(["good", "", "good", "bad", ""])
    assert (encoder.cache_misses_, encoder.cache_hits_) == (3, 0)
    np.testing.assert_array_equal(H[[0, 1]], H[[2, 4]])


def test_truncation_is_counted_and_reported(tiny_model):
    X = ["good " * 10, "bad", "good " * 10]
    encoder = PretrainedTextEncoder(tiny_model, max_length=6).fit(X)
    expected = reference(tiny_model, X, "mean", max_length=6)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.transform(X), expected, atol=1e-5)
    assert encoder.n_truncated_ == 2
    with pytest.warns(UserWarning, match=r"2 of 3 texts are longer than max_length=6"):
        encoder.set_params(on_truncation="warn").transform(X)
    with pytest.raises(ValueError, match=r"the first at index 0"):
        encoder.set_params(on_truncation="error").transform(X)


def test_the_model_limits_the_length(tiny_model):
    X = ["good " * 100]
    expected = reference(tiny_model, X, "mean", max_length=64)
    for max_length in (None, 128):
        encoder = PretrainedTextEncoder(
            tiny_model, max_length=max_length, normalize=False
        )
        np.testing.assert_allclose(encoder.fit_transform(X), expected, atol=1e-5)
        assert encoder.n_truncated_ == 1


def test_a_module_of_the_user_comes_back_as_it_was(tiny_callable, texts):
    module = tiny_callable.module
    module.train()
    module.encoder.layer[0].eval()
    module.requires_grad_(True)
    modes = [part.training for part in module.modules()]
    encoder = PretrainedTextEncoder(tiny_callable).fit(texts[0])
    first = encoder.transform(texts[0])
    np.testing.assert_array_equal(encoder.transform(texts[0]), first)  # no dropout
    assert modes == [part.training for part in module.modules()]
    assert all(p.requires_grad and p.grad is None for p in module.parameters())


def test_global_random_numbers_are_left_alone(tiny_model, texts):
    torch.manual_seed(3)
    np_state = check_random_state(None).get_state()[1].copy()
    torch_state = torch.get_rng_state()
    PretrainedTextEncoder(tiny_model).fit_transform(texts[0][:5])
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], np_state)


def test_pickle_has_no_module(tiny_model, texts):
    encoder = PretrainedTextEncoder(tiny_model).fit(texts[0])
    H = encoder.transform(texts[0])
    data = pickle.dumps(encoder)
    assert len(data) < 5000
    np.testing.assert_array_equal(pickle.loads(data).transform(texts[0]), H)
    encoder.release()
    np.testing.assert_array_equal(encoder.transform(texts[0]), H)


def test_threads_load_the_model_once(tiny_model, texts, monkeypatch):
    encoder = PretrainedTextEncoder(tiny_model).fit(texts[0])
    expected = PretrainedTextEncoder(tiny_model).fit_transform(texts[0])
    results = [None] * 4

    def work(i):
        results[i] = encoder.transform(texts[0])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_in_a_pipeline(tiny_model, texts):
    pipeline = make_pipeline(
        PretrainedTextEncoder(tiny_model), LogisticRegression(C=100)
    )
    assert pipeline.fit(*texts).score(*texts) > 0.8
    names = pipeline[:1].get_feature_names_out()
    assert list(names[:2]) == ["emb0", "emb1"] and len(names) == 32


@pytest.mark.parametrize(
    "params, error, message",
    [
        ({"model": None}, ValueError, r"model must be the folder or the hub name"),
        ({"model": "/no/such/folder"}, OSError, r"no folder '/no/such/folder'"),
        ({"layer": 3}, ValueError, r"layer must lie in \[-3, 2\]"),
        ({"layer": ()}, ValueError, r"layer must lie"),
        ({"pooling": "sum"}, ValueError, r"'pooling' parameter"),
        ({"device": "nowhere"}, ValueError, r"device must be"),
    ],
)
def test_bad_parameters(tiny_model, params, error, message):
    with pytest.raises(error, match=message):
        PretrainedTextEncoder(**{"model": tiny_model} | params).fit_transform(["a"])


def test_missing_hub_model_says_that_downloads_are_off(monkeypatch, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra 'text'")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OSError, match=r"no such folder.*local_files_only=True"):
        PretrainedTextEncoder("nobody/no-such-model").fit(["a"])


def test_model_without_pooler(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra 'text'")
    save_tiny_bert(tmp_path)
    from transformers import AutoModel, AutoTokenizer

    def make():
        module = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False)
        return AutoTokenizer.from_pretrained(tmp_path), module

    with pytest.raises(ValueError, match=r"needs a model with a pooler"):
        PretrainedTextEncoder(make, pooling="pooler").fit(["a"])
    with pytest.raises(TypeError, match=r"pair of tokenizer and torch module"):
        PretrainedTextEncoder(lambda: 3).fit(["a"])


# -- the cache ----------------------------------------------------------------------


def test_cached_vectors_are_the_same_bits(tiny_model, texts, tmp_path):
    plain = PretrainedTextEncoder(tiny_model).fit_transform(texts[0])
    encoder = PretrainedTextEncoder(tiny_model, cache_dir=tmp_path).fit(texts[0])
    np.testing.assert_array_equal(encoder.transform(texts[0]), plain)
    n_different = len(set(texts[0]))
    assert (encoder.cache_misses_, encoder.cache_hits_) == (n_different, 0)
    again = clone(encoder).fit(texts[0])
    np.testing.assert_array_equal(again.transform(texts[0]), plain)
    assert (again.cache_misses_, again.cache_hits_) == (0, n_different)
    assert "_backbone" not in vars(again)  # not even loaded
    more = [*texts[0], "story of light"]
    again.transform(more)
    assert again.cache_misses_ == 1


def test_fingerprint_follows_what_decides_a_vector(tiny_model, tmp_path):
    def fingerprint(model=tiny_model, **params):
        return PretrainedTextEncoder(model, **params).fit(["a"]).fingerprint_

    base = fingerprint()
    for params in ({"pooling": "cls"}, {"layer": 1}, {"max_length": 60}):
        assert fingerprint(**params) != base
    for params in ({"batch_size": 1}, {"device": "cpu"}, {"normalize": False}):
        assert fingerprint(**params) == base
    save_tiny_bert(tmp_path / "same")
    save_tiny_bert(tmp_path / "other", seed=1)
    assert fingerprint(str(tmp_path / "same")) == base
    assert fingerprint(str(tmp_path / "other")) != base


def test_fingerprint_of_a_module_follows_its_weights(tiny_callable):
    encoder = PretrainedTextEncoder(tiny_callable)
    before = encoder.fit(["a"]).fingerprint_
    weight = tiny_callable.module.encoder.layer[0].output.dense.weight
    with torch.no_grad():
        weight[0, 0] += 1
        assert encoder.fit(["a"]).fingerprint_ != before
        weight[0, 0] -= 1


def test_keys_keep_parts_apart():
    keys = {
        text_key(b"f", text)
        for text in ("ab", ("ab", ""), ("a", "b"), ("", "ab"), ("ab", "ab"))
    }
    assert len(keys) == 5
    assert text_key(b"f", "ab") != text_key(b"g", "ab")
    text_key(b"f", "\ud800")  # a lone surrogate is no crash


def test_damaged_entries_are_computed_anew(tiny_model, texts, tmp_path):
    encoder = PretrainedTextEncoder(tiny_model, cache_dir=tmp_path).fit(texts[0])
    H = encoder.transform(texts[0])
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        keys = connection.execute("SELECT key FROM vectors LIMIT 2").fetchall()
        connection.execute("UPDATE vectors SET vector=? WHERE key=?", (b"x", *keys[0]))
        connection.execute(
            "UPDATE vectors SET checksum=checksum+1 WHERE key=?", keys[1]
        )
    with pytest.warns(UserWarning, match=r"2 damaged entries"):
        np.testing.assert_allclose(encoder.transform(texts[0]), H, atol=1e-6)
    assert encoder.cache_misses_ == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.transform(texts[0])
    assert encoder.cache_misses_ == 0


@pytest.mark.parametrize("content", [b"", b"no data base at all" * 1000])
def test_a_file_that_is_no_data_base_is_put_aside(tiny_model, texts, tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    encoder = PretrainedTextEncoder(tiny_model, cache_dir=tmp_path).fit(texts[0])
    if content:
        with pytest.warns(UserWarning, match=r"was damaged .* put aside"):
            encoder.transform(texts[0])
        assert list(tmp_path.glob("*.corrupt"))
    else:
        encoder.transform(texts[0])
    encoder.transform(texts[0])
    assert encoder.cache_misses_ == 0


def test_an_interrupt_keeps_what_was_computed(tiny_model, texts, tmp_path):
    from sklvyso.active_learning._backbone import Backbone

    encoder = PretrainedTextEncoder(tiny_model, cache_dir=tmp_path, batch_size=10)
    encoder.fit(texts[0])
    states, calls = Backbone.states, []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return states(self, *args)

    Backbone.states = interrupted
    try:
        with pytest.raises(KeyboardInterrupt):
            encoder.transform(texts[0])
    finally:
        Backbone.states = states
    encoder.transform(texts[0])
    assert encoder.cache_hits_ == 40


_WRITER = """
from sklvyso import PretrainedTextEncoder
texts = {texts!r}
encoder = PretrainedTextEncoder({model!r}, cache_dir={cache!r}, batch_size=8)
encoder.fit(texts).transform(texts)
"""


def test_three_processes_fill_one_cache(tiny_model, tmp_path):
    cache = str(tmp_path / "cache")
    parts = [make_texts(300, seed=seed)[0] for seed in (0, 0, 1)]
    writers = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                _WRITER.format(texts=part, model=tiny_model, cache=cache),
            ]
        )
        for part in parts
    ]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0, 0]
    texts = [text for part in parts for text in part]
    encoder = PretrainedTextEncoder(tiny_model, cache_dir=cache).fit(texts)
    H = encoder.transform(texts)
    assert encoder.cache_misses_ == 0
    plain = PretrainedTextEncoder(tiny_model).fit_transform(texts)
    np.testing.assert_allclose(H, plain, atol=1e-5)


def test_an_entry_takes_little_more_than_its_vector(tmp_path):
    cache = VectorCache(tmp_path)
    vectors = np.random.default_rng(0).random((4000, 384), dtype=np.float32)
    for start in range(0, 4000, 500):
        rows = range(start, start + 500)
        keys = [text_key(b"f", str(row)) for row in rows]
        cache.write(keys, [Entry(vectors[row], False) for row in rows])
    n_bytes = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert n_bytes / 4000 < 1.2 * 4 * 384


def test_entries_of_another_width_do_not_count(tmp_path):
    cache = VectorCache(tmp_path)
    vector = np.arange(3, dtype=np.float32)
    cache.write([b"k"], [Entry(vector, True)])
    found = cache.read([b"k", b"other"], 3)
    np.testing.assert_array_equal(found[b"k"].vector, vector)
    assert found[b"k"].is_truncated and len(found) == 1
    with pytest.warns(UserWarning, match=r"damaged"):
        assert cache.read([b"k"], 4) == {}  # of another width
