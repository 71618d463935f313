"""The command that scans files: findings, bad files, exit codes, the report."""

import base64
import html.parser
import io
import os
import re
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
from PIL import Image

from sklvyso.artifacts import ArtifactDetector, ArtifactSimulator
from sklvyso.artifacts._report import printable
from sklvyso.artifacts._scan import main
from sklvyso.datasets import make_game_frames

EVIL = '<script>alert("1 & 2")<script>.png'


@pytest.fixture(scope="session")
def clean():
    return make_game_frames(24, height=64, width=96, n_games=2, random_state=0)


@pytest.fixture(scope="session")
def detector(clean):
    return ArtifactDetector(
        n_simulated=2,
        restyle=False,
        tiles=(2, 3),
        artifacts=["triangulation", "morse_code", "screen_tearing"],
        random_state=0,
    ).fit(clean.images, groups=clean.group)


@pytest.fixture(scope="session")
def model(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.pkl"
    joblib.dump(detector, path)
    return str(path)


@pytest.fixture
def folder(clean, tmp_path):
    """Eight normal frames, then four triangulated ones, one with an evil name."""
    folder = tmp_path / "captures"
    folder.mkdir()
    corrupted = ArtifactSimulator(random_state=1).corrupt(
        clean.images[8:12], "triangulation"
    )
    for i, frame in enumerate([*clean.images[:8], *corrupted]):
        Image.fromarray(frame).save(folder / f"frame{i}.png")
    os.rename(folder / "frame10.png", folder / EVIL)
    return folder


def scan(capsys, *arguments):
    code = main(["scan", *map(str, arguments)])
    return code, capsys.readouterr().out


class Page(html.parser.HTMLParser):
    """What a browser would make of a report."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def pictures(self, kind):
        sources = [found["src"] for tag, found in self.tags if tag == "img"]
        head = f"data:image/{kind};base64,"
        return [
            Image.open(io.BytesIO(base64.b64decode(source.removeprefix(head))))
            for source in sources
            if source.startswith(head)
        ]


def test_finds_and_names_corrupted_frames(capsys, folder, model, tmp_path):
    report = tmp_path / "out.html"
    code, out = scan(capsys, folder, "--report", report, "--model", model)
    assert code == 0
    lines = [line.split() for line in out.splitlines() if ".png" in line]
    assert {f"frame{i}.png" for i in (8, 9, 11)} <= {
        os.path.basename(line[0]) for line in lines if "triangulation" in line
    }
    probabilities = [float(line[-1]) for line in lines]
    assert probabilities == sorted(probabilities, reverse=True)
    summary = out.splitlines()[-1]
    assert summary.startswith(f"12 frames, {len(lines)} flagged (triangulation 4")
    assert summary.endswith(f"report: {report}")


def test_probabilities_are_those_of_the_detector(
    capsys, folder, model, detector, tmp_path
):
    code, out = scan(
        capsys, folder, "--report", tmp_path / "o.html", "--model", model,
        "--threshold", 0,
    )  # fmt: skip
    shown = {
        os.path.basename(line.rsplit(None, 2)[0]): float(line.split()[-1])
        for line in out.splitlines()
        if line.startswith(str(folder))
    }
    names = sorted(os.listdir(folder))
    expected = detector.corrupted_proba([folder / name for name in names])
    assert code == 0
    np.testing.assert_allclose([shown[name] for name in names], expected, atol=0.006)


def test_report_needs_nothing_else(capsys, folder, model, tmp_path):
    report = tmp_path / "out.html"
    scan(capsys, folder, "--report", report, "--model", model)
    page = Page(report)
    text = re.sub(r"base64,[^\"]*", "", report.read_text())
    assert not re.search(r"https?:|//|@import|url\(", text)
    assert not {"script", "link", "iframe", "a"} & {tag for tag, _ in page.tags}
    assert all(
        found["src"].startswith("data:image/")
        for tag, found in page.tags
        if tag == "img"
    )
    thumbnails, heat_maps = page.pictures("jpeg"), page.pictures("png")
    assert len(thumbnails) == len(heat_maps) >= 4
    assert thumbnails[0].size == (96, 64) and heat_maps[0].size == (3, 2)
    assert "laplacian" in page.text or "pattern" in page.text or "dft" in page.text


def test_file_names_mean_nothing_to_the_browser(capsys, folder, model, tmp_path):
    report = tmp_path / "out.html"
    scan(capsys, folder, "--report", report, "--model", model)
    assert "<script" not in report.read_text()
    page = Page(report)
    assert EVIL in page.text
    assert any(EVIL in found.get("alt", "") for _, found in page.tags)


def test_control_characters_do_not_reach_the_terminal():
    assert printable("a\x1b[31m\n.png") == r"a\x1b[31m\n.png"
    assert printable(os.fsdecode(b"caf\xe9.png")) == r"caf\udce9.png"


def test_bad_files_are_listed_and_not_fatal(capsys, folder, model, tmp_path):
    (folder / "frame3.png").write_bytes((folder / "frame3.png").read_bytes()[:300])
    (folder / "frame1.png").write_text("no image")
    Image.new("RGB", (8, 8)).save(folder / "frame0.png")
    report = tmp_path / "out.html"
    code, out = scan(capsys, folder, "--report", report, "--model", model)
    assert code == 0
    assert "9 frames" in out and "3 files not readable" in out
    page = Page(report)
    for name, reason in (
        ("frame0.png", "at least 32 rows"),
        ("frame1.png", "must be a complete image file"),
        ("frame3.png", "must be a complete image file"),
    ):
        for text in (out, page.text):
            assert re.search(rf"{name}.*\s.*{reason}", text)


def test_only_the_most_suspicious_keep_pictures(capsys, folder, model, tmp_path):
    report = tmp_path / "out.html"
    options = ("--report", report, "--model", model, "--threshold", 0)
    _, out = scan(capsys, folder, *options, "--top", 3)
    page = Page(report)
    assert "12 flagged" in out and len(page.pictures("jpeg")) == 3
    titles = [found["alt"] for tag, found in page.tags if found.get("alt")]
    first = [line.rsplit(None, 2)[0] for line in out.splitlines()[1:4]]
    assert titles == first
    scan(capsys, folder, *options, "--top", 0)
    assert not Page(report).pictures("jpeg")


def test_arrays_steps_and_streams(capsys, clean, model, tmp_path):
    frames = clean.images.copy()
    frames[10:18] = ArtifactSimulator(random_state=1).corrupt(
        frames[10:18], "triangulation"
    )
    np.save(tmp_path / "run.npy", frames)
    report = tmp_path / "out.html"
    options = ("--report", report, "--model", model)
    code, out = scan(capsys, tmp_path / "run.npy", *options, "--step", 5)
    assert code == 0 and "5 frames" in out and "run.npy#10" in out
    code, out = scan(capsys, tmp_path / "run.npy", *options, "--stream")
    assert re.search(r"run.npy#1[01] +\S+run.npy#1[678] +\d +triangulation", out)
    assert "Intervals" in Page(report).text


def test_stream_equals_the_stream_detector(capsys, clean, detector, model, tmp_path):
    from sklvyso.artifacts import FrameStreamDetector

    np.save(tmp_path / "run.npy", clean.images)
    code, out = scan(
        capsys, tmp_path / "run.npy", "--report", tmp_path / "o.html", "--model",
        model, "--stream", "--threshold", 0,
    )  # fmt: skip
    lines = [line.split() for line in out.splitlines() if "run.npy#" in line][:24]
    shown = {int(line[0].split("#")[1]): float(line[-1]) for line in lines}
    stream = FrameStreamDetector.from_fitted(detector)
    expected = stream.corrupted_proba(clean.images)
    assert code == 0
    np.testing.assert_allclose([shown[i] for i in range(24)], expected, atol=0.006)


def test_many_flagged_frames_raise_a_doubt(capsys, folder, model, tmp_path):
    options = (folder, "--report", tmp_path / "out.html", "--model", model)
    advice = "Many frames are flagged, 12 of 12."
    lines = scan(capsys, *options, "--threshold", 0)[1].splitlines()
    assert lines[-2].startswith(advice) and lines[-2].endswith("--adapt FOLDER.")
    assert advice not in scan(capsys, *options, "--threshold", 0, "--quiet")[1]
    (folder / "frame0.png").unlink()  # too few to tell
    assert "Many frames" not in scan(capsys, *options, "--threshold", 0)[1]


def test_nothing_flagged_is_a_result(capsys, folder, model, tmp_path):
    report = tmp_path / "out.html"
    options = ("--report", report, "--model", model, "--threshold", 1, "--quiet")
    code, out = scan(capsys, folder, *options)
    assert code == 0
    assert out == f"12 frames, 0 flagged; report: {report}\n"
    assert "No frame was flagged" in Page(report).text


def test_no_readable_frame_is_exit_code_1(capsys, model, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    report = tmp_path / "out.html"
    assert scan(capsys, empty, "--report", report, "--model", model)[0] == 1
    (empty / "bad.png").write_text("no image")
    code, out = scan(capsys, empty, "--report", report, "--model", model)
    assert code == 1 and "bad.png" in out and "bad.png" in Page(report).text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}"], "pass --train FOLDER with clean frames"),
        (["nowhere.png", "--model", "{model}"], "nowhere.png must be"),
        (["{folder}", "--model", "nothing.pkl"], "there is no file nothing.pkl"),
        (["{folder}", "--train", "nowhere"], "there is no folder nowhere"),
        (["{folder}", "--train", "{empty}"], "must hold clean frames"),
        (["{folder}", "--model", "{folder}/frame1.png"], "must be a model"),
        (["{folder}", "--model", "{model}", "--fpr", "0.1"], "--fpr needs"),
        (["{folder}", "--model", "{model}", "--threshold", "2"], "must be in"),
        (["{folder}", "--model", "{model}", "--step", "0"], "must be 1 or more"),
        (["{folder}", "--model", "{model}", "--train", "{folder}"], "not allowed"),
        (["{folder}", "--model", "{model}", "--report", "no/o.html"], "no folder for"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    capsys, folder, model, tmp_path, arguments, message
):
    (tmp_path / "empty").mkdir()
    places = {"folder": folder, "model": model, "empty": tmp_path / "empty"}
    report = tmp_path / "out.html"
    with pytest.raises(SystemExit) as error:
        main(
            ["scan", "--report", str(report), *(a.format(**places) for a in arguments)]
        )
    assert error.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not report.exists()


def test_interrupted_run_reports_what_was_done(capsys, folder, model, tmp_path):
    is_watching = True

    def press_ctrl_c(event, arguments):
        # The file is in the second batch of eight. A signal would be taken at some
        # later instruction, perhaps in a destructor, whose exceptions are dropped.
        nonlocal is_watching
        if is_watching and event == "open" and str(arguments[0]).endswith("frame9.png"):
            is_watching = False
            raise KeyboardInterrupt

    sys.addaudithook(press_ctrl_c)
    report = tmp_path / "out.html"
    code, out = scan(
        capsys, folder, "--report", report, "--model", model, "--threshold", 0
    )
    is_watching = False
    assert code == 130
    assert "8 frames, 8 flagged" in out and "interrupted" in out
    page = Page(report)
    assert "Interrupted" in page.text and len(page.pictures("jpeg")) == 8


def test_adapted_model_is_saved_and_read_again(capsys, clean, folder, model, tmp_path):
    pytest.importorskip("skops")
    good = tmp_path / "good"
    good.mkdir()
    for i in range(4):
        Image.fromarray(clean.images[i]).save(good / f"{i}.png")
    (good / "bad.png").write_text("no image")
    options = ("--report", tmp_path / "out.html", "--threshold", 0)
    saved = tmp_path / "model.skops"
    adapting = ("--model", model, "--adapt", good, "--save-model", saved)
    _, first = scan(capsys, folder, *options, *adapting)
    assert "1 file not readable" in first
    _, again = scan(capsys, folder, *options, "--model", saved)
    flagged = [line for line in first.splitlines() if str(folder) in line]
    assert flagged == [line for line in again.splitlines() if str(folder) in line]


def test_strange_types_in_a_model_are_refused(capsys, folder, tmp_path):
    skops_io = pytest.importorskip("skops.io")
    skops_io.dump({"a": threading.Timer}, tmp_path / "evil.skops")
    with pytest.raises(SystemExit):
        scan(
            capsys, folder, "--report", tmp_path / "o.html", "--model",
            tmp_path / "evil.skops",
        )  # fmt: skip
    assert "types that are not ours: threading.Timer" in capsys.readouterr().err


def test_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "sklvyso.artifacts", "scan", "--help"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "WARNING: a model file can run any program" in " ".join(done.stdout.split())
