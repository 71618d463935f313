"""A folder of its own for each test, and the count of inputs at the end."""

import os

import matplotlib
import pytest

from tests.fuzz.trial import COUNTS

KEY = "hostile_inputs"


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path, monkeypatch):
    """Hostile paths are relative; the user's data home and cache are out of reach."""
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SKLVYSO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SKLVYSO_OFFLINE", "1")
    for name in ("SKLVYSO_MIRRORS", "SCIKIT_LEARN_DATA"):
        monkeypatch.delenv(name, raising=False)
    yield
    # A hostile path must not have left the folder.
    assert os.getcwd() == str(tmp_path)


def pytest_sessionfinish(session):
    output = getattr(session.config, "workeroutput", None)
    if output is not None:  # a worker of pytest-xdist tells the one that started it
        output[KEY] = dict(COUNTS)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node, error):
    COUNTS.update(getattr(node, "workeroutput", {}).get(KEY, {}))


def pytest_terminal_summary(terminalreporter):
    if not COUNTS or hasattr(terminalreporter.config, "workerinput"):
        return
    rooms = ", ".join(f"{room} {COUNTS[room]:,}" for room in sorted(COUNTS))
    terminalreporter.write_line(
        f"hostile inputs tried: {sum(COUNTS.values()):,} ({rooms})"
    )
