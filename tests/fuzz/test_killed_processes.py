"""Processes killed at random points: nothing finished is lost, the next run heals."""

import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from PIL import Image

from sklvyso import DRoPSampler, PretrainedActiveLearner, PretrainedTextEncoder
from sklvyso.active_learning._cache import FILE_NAME
from sklvyso.artifacts._scan import main
from sklvyso.datasets import load_image_archive
from tests.fuzz.cases import labels, rows
from tests.fuzz.rooms.active_learning import model_folder
from tests.fuzz.rooms.artifacts import FRAMES, fitted_detector

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds on a busy machine
# A kill costs the seconds in which a process imports torch.
KILLS = int(os.environ.get("SKLVYSO_FUZZ", "1"))


@pytest.fixture
def start(tmp_path):
    """Start a process that runs some code, from the root of the project."""
    children = []

    def start_child(code):
        (tmp_path / "errors").touch()
        with open(tmp_path / "errors", "ab") as errors:
            children.append(
                subprocess.Popen(
                    [sys.executable, "-c", code],
                    cwd=ROOT,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                )
            )
        return children[-1]

    yield start_child
    for child in children:
        child.kill()
        child.wait()


def wait_for(condition, child):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.002)


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.wait()


# -- the cache of vectors -------------------------------------------------------------

TEXTS = [f"good film {i}" for i in range(6000)]
ENCODE = """
from sklvyso import PretrainedTextEncoder
texts = [f"good film {{i}}" for i in range(6000)]
encoder = PretrainedTextEncoder({model!r}, cache_dir={cache!r}, batch_size=8)
encoder.fit(texts).transform(texts)
"""


def n_cached(folder):
    path = folder / FILE_NAME
    if not path.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
    except sqlite3.OperationalError:  # the table is being made
        return 0


def test_encoding_goes_on_where_it_was_killed(start, tmp_path):
    cache, least = tmp_path / "cache", 0
    code = ENCODE.format(model=model_folder(), cache=str(cache))
    for seed in range(KILLS):
        wanted = least + random.Random(seed).randint(1, 600)
        child = start(code)
        wait_for(lambda wanted=wanted: n_cached(cache) >= wanted, child)
        kill(child)
        # What was committed is still there.
        assert n_cached(cache) >= wanted
        least = n_cached(cache)
    encoder = PretrainedTextEncoder(model_folder(), cache_dir=cache).fit(TEXTS)
    H = encoder.transform(TEXTS)
    assert encoder.cache_hits_ >= least
    plain = PretrainedTextEncoder(model_folder()).fit_transform(TEXTS)
    # Batches of other lengths round differently in float32.
    np.testing.assert_allclose(H, plain, atol=1e-5)


# -- files that are written as a whole ------------------------------------------------

SAVE = """
import pickle
with open({states!r}, "rb") as file:
    one, two = pickle.load(file)
while True:
    one.save({path!r})
    two.save({path!r})
"""


def campaigns():
    X, y = rows(400, 30), labels(400, 2)
    for n in (6, 20):
        learner = PretrainedActiveLearner(n_initial=4, random_state=0).fit(X)
        yield learner.teach(np.arange(n), y[:n])


def samplers():
    for seed in (0, 1):
        sampler = DRoPSampler(random_state=seed, validation=2)
        yield sampler.fit(rows(600, 3), labels(600, 3))


def of_campaign(path):
    return len(PretrainedActiveLearner.load(path).labeled_data()["label"])


def of_sampler(path):
    sampler = DRoPSampler().load(path)
    return sampler.resample(rows(600, 3), labels(600, 3))[0].tobytes()


@pytest.mark.parametrize(
    "states, read, name",
    [(campaigns, of_campaign, "campaign.pkl"), (samplers, of_sampler, "measured.npz")],
    ids=["campaign", "sampler"],
)
def test_a_file_is_always_one_state_or_the_other(states, read, name, start, tmp_path):
    both = [*states()]
    path, known = tmp_path / "saved" / name, []
    path.parent.mkdir()
    for state in both:
        state.save(path)
        known.append(read(path))
    with open(tmp_path / "states", "wb") as file:
        pickle.dump(both, file)
    code = SAVE.format(states=str(tmp_path / "states"), path=str(path))
    for seed in range(KILLS):
        before = os.stat(path).st_ino
        child = start(code)
        wait_for(lambda before=before: os.stat(path).st_ino != before, child)
        time.sleep(random.Random(seed).random() / 20)
        kill(child)
        assert read(path) in known
    both[0].save(path)
    assert read(path) == known[0]


# -- data sets ------------------------------------------------------------------------

DECODE = """
import shutil
from sklvyso.datasets import load_image_archive
while True:
    load_image_archive({folder!r}, size=(64, 64), cache=True)
    for path in __import__("pathlib").Path({home!r}).rglob("*"):
        if path.is_file():
            path.unlink(missing_ok=True)
"""


def test_decoding_an_archive_that_was_killed_heals(start, tmp_path, monkeypatch):
    home, folder = tmp_path / "home", tmp_path / "images"
    home.mkdir()
    monkeypatch.setenv("SKLVYSO_DATA", str(home))
    for label, shade in (("cat", 40), ("dog", 200)):
        (folder / label).mkdir(parents=True)
        for i in range(20):
            image = Image.new("RGB", (128, 128), (shade, i, 0))
            image.save(folder / label / f"{i}.png")
    plain = load_image_archive(folder, size=(64, 64), cache=False)
    code = DECODE.format(folder=str(folder), home=str(home))
    for seed in range(KILLS):
        child = start(code)
        time.sleep(2 + random.Random(seed).random())
        kill(child)
        for _ in range(2):
            again = load_image_archive(folder, size=(64, 64), cache=True)
            np.testing.assert_array_equal(again.images, plain.images)
            np.testing.assert_array_equal(again.target, plain.target)
    assert "Error" not in (tmp_path / "errors").read_text()


# -- a scan ---------------------------------------------------------------------------

SCAN = """
from sklvyso.artifacts._scan import main
main({arguments!r})
"""


def test_a_killed_scan_leaves_the_old_report_and_the_next_one_is_whole(
    start, tmp_path, capsys
):
    frames, report = tmp_path / "frames", tmp_path / "report.html"
    frames.mkdir()
    joblib.dump(fitted_detector(), tmp_path / "model.pkl")
    for i in range(60):
        Image.fromarray(FRAMES[i % 6]).save(frames / f"{i}.png")
    Image.fromarray(FRAMES[0]).save(frames / "cut.png")
    content = (frames / "cut.png").read_bytes()
    (frames / "cut.png").write_bytes(content[: len(content) // 2])
    arguments = ["scan", str(frames), "--report", str(report), "--quiet"]
    arguments += ["--model", str(tmp_path / "model.pkl")]
    assert main(arguments) == 0
    whole = report.read_text()
    assert whole.rstrip().endswith("</html>")
    for seed in range(KILLS):
        child = start(SCAN.format(arguments=arguments))
        time.sleep(2 + 2 * random.Random(seed).random())
        kill(child)
        assert report.read_text().rstrip().endswith("</html>")
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "60 frames" in out and "1 file not readable" in out
    assert report.read_text().rstrip().endswith("</html>")
