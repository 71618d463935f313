"""Texts and pairs of texts from csv files."""

import gzip
import os

import numpy as np
import pytest

from sklvyso.datasets import load_text_csv

TRAIN = 'text,label\n"a, b",x\n"two\nlines",y\n"say ""hé""",x\n'
PAIRS = "question,sentence,label\nq1,s1,no\nq2,s2,yes\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(TRAIN.encode()))
    (tmp_path / "test.csv").write_text("text,label\nlone,y\n", encoding="utf-8")
    (tmp_path / "pairs.csv").write_text(PAIRS, encoding="utf-8")
    return tmp_path


def test_texts_and_labels_are_read(folder):
    bunch = load_text_csv(folder, subset="train")
    assert bunch.data == ["a, b", "two\nlines", 'say "hé"']
    np.testing.assert_array_equal(bunch.target, [0, 1, 0])
    assert bunch.target.dtype == np.int64
    assert bunch.target_names == ["x", "y"]
    assert bunch.filenames == [str(folder / "train.csv.gz")]
    assert bunch.DESCR.startswith("3 rows of 2 classes")
    data, target = load_text_csv(folder / "train.csv.gz", return_X_y=True)
    assert (data, target.tolist()) == (bunch.data, [0, 1, 0])


def test_given_target_names_keep_codes_between_files(folder):
    assert load_text_csv(folder, subset="test").target.tolist() == [0]
    bunch = load_text_csv(folder, subset="test", target_names=["x", "y"])
    assert bunch.target.tolist() == [1]
    with pytest.raises(ValueError, match=r"must be among \['x'\]. Got 'y' instead"):
        load_text_csv(folder, subset="test", target_names=["x"])


def test_pairs_are_an_object_array(folder):
    bunch = load_text_csv(folder / "pairs.csv", text=("question", "sentence"))
    assert bunch.data.dtype == object
    assert bunch.data.tolist() == [["q1", "s1"], ["q2", "s2"]]
    assert bunch.feature_names == ["question", "sentence"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, r"subset must be one of \['pairs', 'test', 'train'\].*Got None"),
        ({"subset": "dev"}, "Got 'dev' instead"),
        ({"subset": "train", "text": "body"}, "Column 'body' must be among"),
        ({"subset": "train", "label": "class"}, "Column 'class' must be among"),
        ({"subset": "train", "text": ("a", "b", "c")}, "one or two column names"),
    ],
)
def test_bad_parameters_are_named(folder, options, text):
    with pytest.raises(ValueError, match=text):
        load_text_csv(folder, **options)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "must have a header line"),
        (b"text,label\na\n", "Row 0 of .* must have 2 fields. Got 1 instead"),
        (b"text,label\n\xff,x\n", "must be a complete UTF-8 csv file"),
        (b'text,label\n"open,x\n', "must be a complete UTF-8 csv file"),
        (
            gzip.compress(TRAIN.encode(), mtime=0)[:-5],
            "must be a complete UTF-8 csv file",
        ),
    ],
)
def test_broken_files_are_named(tmp_path, content, text):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text):
        load_text_csv(path)


def test_missing_file_and_needless_subset_are_named(folder):
    with pytest.raises(FileNotFoundError, match="must be a csv file or a folder"):
        load_text_csv(folder / "none")
    with pytest.raises(ValueError, match="subset must be None where path is a file"):
        load_text_csv(folder / "test.csv", subset="test")


@pytest.mark.parametrize(
    ("name", "n_train", "n_classes"),
    [("ag_news", 5000, 4), ("banking77", 10003, 77), ("trec", 5452, 6)],
)
def test_real_sets_have_their_published_sizes(real_home, name, n_train, n_classes):
    path = os.path.join(real_home, name)
    if not os.path.isdir(path):
        pytest.skip(f"needs {name} in the folder of real sets")
    bunch = load_text_csv(path, subset="train")
    assert len(bunch.data) == len(bunch.target) == n_train
    assert len(bunch.target_names) == n_classes
    assert all(isinstance(text, str) and text for text in bunch.data)
