import numpy as np
import pandas as pd
import pytest

from sklvyso.active_learning._texts import as_texts

TEXTS = ["a", "", "ç 漢字"]
PAIRS = [("a", "b"), ("", "c")]


@pytest.mark.parametrize(
    "X",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS)[:, None],
        pd.Series(TEXTS, index=[5, 3, 9]),
        pd.Series(TEXTS, dtype="string"),
        pd.DataFrame({"t": TEXTS}),
    ],
    ids=lambda X: type(X).__name__,
)
def test_all_forms_of_texts_are_the_same(X):
    assert as_texts(X) == TEXTS
    assert all(type(text) is str for text in as_texts(X))


@pytest.mark.parametrize(
    "X",
    [PAIRS, [list(p) for p in PAIRS], np.array(PAIRS), pd.DataFrame(PAIRS)],
    ids=lambda X: type(X).__name__,
)
def test_all_forms_of_pairs_are_the_same(X):
    assert as_texts(X) == PAIRS


def test_columns_are_named():
    frame = pd.DataFrame({"id": [1, 2], "q": ["a", ""], "s": ["b", "c"]})
    assert as_texts(frame, ["q", "s"]) == PAIRS
    assert as_texts(frame, ("q", 2)) == PAIRS
    assert as_texts(frame, "s") == ["b", "c"]
    assert as_texts(frame.to_numpy(), [1, 2]) == PAIRS
    with pytest.raises(ValueError, match=r"3 columns: name the texts by text_columns"):
        as_texts(frame)
    with pytest.raises(ValueError, match=r"has \['id', 'q', 's'\]. Got 'x'"):
        as_texts(frame, ["q", "x"])
    assert as_texts(frame, np.int64(1)) == ["a", ""]
    assert as_texts(TEXTS, "q") == TEXTS and as_texts(PAIRS, ["q", "s"]) == PAIRS
    with pytest.raises(ValueError, match=r"Got True"):
        as_texts(frame, True)


@pytest.mark.parametrize(
    "X, error, message",
    [
        ("one text", TypeError, r"sequence of texts. Got one str .*use \['one text'\]"),
        ([], ValueError, r"at least one text. Got 0 samples"),
        (["a", None], ValueError, r"missing texts. Got None at index 1"),
        (["a", float("nan")], ValueError, r"missing texts. Got nan at index 1"),
        (["a", 3], TypeError, r"Got 3 of type int at index 1"),
        ([("a", "b"), "c"], ValueError, r"pairs of texts throughout.*'c' at index 1"),
        (3, TypeError, r"Got a int instead"),
        ({"text": ["a"]}, TypeError, r"Got a dict instead: pass one of its columns"),
        ({"a", "b"}, TypeError, r"Got a set instead"),
        (["a", "\ud800"], ValueError, r"lone surrogate at index 1"),
        (np.zeros((2, 2, 2)), ValueError, r"shape \(2, 2, 2\)"),
        (pd.Series(["a", pd.NA]), ValueError, r"missing texts"),
    ],
)
def test_bad_texts_are_refused_by_name(X, error, message):
    with pytest.raises(error, match=message):
        as_texts(X)
