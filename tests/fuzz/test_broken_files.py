"""Caches and files that are cut, spoiled, locked or gone: healed, or refused."""

import functools
import io
import sqlite3
import threading
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sklvyso import DRoPSampler, PretrainedActiveLearner, PretrainedTextEncoder
from sklvyso.active_learning import _cache
from sklvyso.artifacts import iter_frames
from sklvyso.datasets import load_idx, load_text_csv
from sklvyso.sparsity import load_masks, save_masks
from tests.fuzz.cases import labels, rows
from tests.fuzz.rooms.active_learning import model_folder, taught

TEXTS = [f"good film {i}" if i % 2 else f"bad plot {i}" for i in range(12)]
# Where a file is cut, as a share of it, or which byte is spoiled and how.
SPOILING = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 0.999), st.just(0)),
    st.tuples(st.just("flip"), st.floats(0, 0.999), st.integers(1, 255)),
    st.tuples(st.just("garbage"), st.floats(0, 0.999), st.integers(0, 255)),
)
few = functools.partial(
    settings,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def spoiled(content, how):
    kind, share, byte = how
    place = int(share * len(content))
    if kind == "cut":
        return content[:place]
    if kind == "flip":
        return content[:place] + bytes([content[place] ^ byte]) + content[place + 1 :]
    return content[:place] + bytes([byte]) * (len(content) - place)


@functools.cache
def vectors():
    return PretrainedTextEncoder(model_folder()).fit_transform(TEXTS)


def encode(cache):
    """Return whatever happens, warnings aside, which say that a cache was damaged."""
    encoder = PretrainedTextEncoder(model_folder(), cache_dir=cache, batch_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        H = encoder.fit(TEXTS).transform(TEXTS)
    # Batches of other lengths round differently in float32.
    np.testing.assert_allclose(H, vectors(), atol=1e-5)
    return encoder


# -- the cache of vectors -------------------------------------------------------------


@few(max_examples=15)
@given(how=SPOILING)
def test_a_spoiled_cache_gives_right_vectors_and_heals(tmp_path_factory, how):
    folder = tmp_path_factory.mktemp("cache")
    encode(folder)
    path = folder / _cache.FILE_NAME
    path.write_bytes(spoiled(path.read_bytes(), how))
    encode(folder)
    encode(folder)
    assert encode(folder).cache_misses_ == 0


def test_a_locked_cache_is_done_without(tmp_path, monkeypatch):
    monkeypatch.setattr(_cache, "_SECONDS_TO_WAIT", 0.05)
    encode(tmp_path)
    holder = sqlite3.connect(tmp_path / _cache.FILE_NAME)
    # A lock of one connection holds off others as that of another process does.
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        encoder = PretrainedTextEncoder(model_folder(), cache_dir=tmp_path).fit(TEXTS)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            H = encoder.transform([*TEXTS, "new film"])
        np.testing.assert_allclose(H[:-1], vectors(), atol=1e-5)
        assert any("cannot be used now" in str(w.message) for w in caught)
    finally:
        holder.rollback()
        holder.close()
    assert encode(tmp_path).cache_misses_ == 0


def test_a_cache_that_vanishes_again_and_again(tmp_path):
    is_over = threading.Event()

    def vanish():
        while not is_over.wait(0.002):
            for path in tmp_path.iterdir():
                path.unlink(missing_ok=True)

    thread = threading.Thread(target=vanish)
    thread.start()
    try:
        for _ in range(5):
            encode(tmp_path)
    finally:
        is_over.set()
        thread.join()
    encode(tmp_path)
    assert encode(tmp_path).cache_misses_ == 0


# -- files that hold a state ----------------------------------------------------------


def saved_campaign(path):
    taught().save(path)


def saved_answers(path):
    taught().to_jsonl(path)


def saved_measurements(path):
    DRoPSampler(random_state=0, validation=2).fit(rows(30), labels(30)).save(path)


def saved_masks(path):
    save_masks({"0.weight": np.eye(3, dtype=bool)}, path)


def read_answers(path):
    learner = PretrainedActiveLearner(random_state=0).fit(rows(20, 3))
    return learner.from_jsonl(path)


def saved_idx(path):
    path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))


def saved_csv(path):
    path.write_text("text,label\nwell made,good\ntoo long,bad\n")


FILES = {
    "answers.jsonl": (saved_answers, read_answers),
    "measured.npz": (saved_measurements, DRoPSampler().load),
    "masks.safetensors": (saved_masks, load_masks),
    "labels-idx1-ubyte": (saved_idx, load_idx),
    "table.csv": (saved_csv, load_text_csv),
}


@functools.cache
def content_of(name, folder):
    path = folder / name
    FILES[name][0](path)
    return path.read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_a_spoiled_file_is_read_or_refused_by_a_value_error(name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    content, read = content_of(name, folder), FILES[name][1]

    @few(max_examples=40)
    @given(how=SPOILING)
    def try_one(how):
        path = folder / f"spoiled-{name}"
        path.write_bytes(spoiled(content, how))
        try:
            read(path)
        except (ValueError, TypeError) as error:
            assert "path" in str(error) or name in str(error), error

    try_one()


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9, 0.999])
def test_a_cut_campaign_is_refused_by_name(share, tmp_path):
    # Spoiled bytes of a pickle can run any code, so that only cuts are tried.
    saved_campaign(tmp_path / "campaign.pkl")
    content = (tmp_path / "campaign.pkl").read_bytes()
    (tmp_path / "cut.pkl").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"cut\.pkl must be a file that save\(\)"):
        PretrainedActiveLearner.load(tmp_path / "cut.pkl")


# -- images, animations, arrays -------------------------------------------------------


def frame_files():
    frame = np.arange(40 * 40 * 3, dtype=np.uint8).reshape(40, 40, 3)
    images = [Image.fromarray(np.roll(frame, i, axis=0)) for i in range(3)]
    for suffix in ("png", "jpeg", "bmp", "gif", "webp", "tiff"):
        stream = io.BytesIO()
        many = {"save_all": True, "append_images": images[1:]}
        images[0].save(stream, suffix, **(many if suffix in ("gif", "webp") else {}))
        yield f"frame.{suffix}", stream.getvalue()
    stream = io.BytesIO()
    np.save(stream, np.stack([np.asarray(image) for image in images]))
    yield "frame.npy", stream.getvalue()


@pytest.mark.parametrize("name, content", [*frame_files()], ids=lambda v: str(v)[:12])
def test_spoiled_frames_are_passed_over_or_named(name, content, tmp_path):
    @few(max_examples=40)
    @given(how=SPOILING)
    def try_one(how):
        path = tmp_path / name
        path.write_bytes(spoiled(content, how))
        good = np.zeros((40, 40, 3), np.uint8)
        # What can still be read is a frame; the others come whatever happens to it.
        found = list(iter_frames([good, path, good], on_error="skip"))
        assert len(found) >= 2 and not found[0].any() and not found[-1].any()
        try:
            list(iter_frames(path))
        except ValueError as error:
            assert name in str(error)

    try_one()
