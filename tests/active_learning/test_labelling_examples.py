"""The two ways to label by hand, without a terminal and without widgets."""

import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest

from sklvyso import PretrainedActiveLearner, PretrainedTextEncoder
from tests.active_learning.conftest import make_texts

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    path = EXAMPLES / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def call(tmp_path, tiny_model, monkeypatch, capsys):
    terminal = load("label_in_the_terminal")
    (tmp_path / "texts.txt").write_text("\n".join(make_texts(40)[0]))

    def call(keys, *more):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(keys) + "\n"))
        terminal.main(
            [
                str(tmp_path / "texts.txt"),
                *("--classes", "bad", "good", "--encoder", tiny_model),
                *("--campaign", str(tmp_path / "campaign.pkl"), *more),
            ]
        )
        return capsys.readouterr().out

    return call


def test_keys_label_skip_undo_and_go_on(call, tmp_path):
    shown = call("12su1x" + "12" * 4 + "q")
    assert "No such key: 'x'" in shown and "11 labels, 0 skipped" in shown
    assert "(guess: " in shown
    shown = call("1s", "--export", str(tmp_path / "labels.jsonl"))  # the input ends
    assert "Going on with" in shown and "12 labels, 1 skipped" in shown
    lines = (tmp_path / "labels.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["label"] for record in records[:3]] == ["bad", "good", "bad"]
    assert sum(record["skipped"] for record in records) == 1


def test_everything_may_be_labelled(call):
    assert "Everything is labelled" in call("1" * 60)


def test_wrong_arguments_are_named(call, capsys):
    terminal = load("label_in_the_terminal")
    for arguments, message in [
        (["no-such-file"], "there is no file no-such-file"),
        (["--classes", "a"], "2 to 9 different names"),
    ]:
        with pytest.raises(SystemExit):
            terminal.main(arguments)
        assert message in capsys.readouterr().err


def test_notebook_session(tiny_model, texts, tmp_path):
    notebook = load("label_in_a_notebook")
    X, y = texts
    learner = PretrainedActiveLearner(
        PretrainedTextEncoder(tiny_model), classes=["bad", "good"], n_initial=5
    ).fit(X)
    path = tmp_path / "campaign.pkl"
    session = notebook.Session(learner, batch=5, save_to=path)
    truth = dict(zip(X, y, strict=True))
    for _ in range(11):
        session.answer(truth[session.text])
    session.answer(None)
    again = PretrainedActiveLearner.load(path)
    assert len(again.labeled_indices_) == 11 and len(again.skipped_indices_) == 1
    rows = again.labeled_indices_
    np.testing.assert_array_equal(
        again.labeled_data()["label"], [truth[X[i]] for i in rows]
    )
    assert session.state() == "11 labels"
