"""The idx reader."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sklvyso.datasets import load_idx

DTYPES = ["u1", "i1", "i2", "i4", "f4", "f8"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
    )
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@given(array=ARRAYS, is_packed=st.booleans())
@settings(max_examples=60, deadline=None)
def test_round_trip(array, is_packed, folder, idx_bytes):
    content = idx_bytes(array)
    path = folder / "values"
    path.write_bytes(gzip.compress(content) if is_packed else content)
    loaded = load_idx(path)
    assert loaded.dtype == array.dtype
    assert loaded.dtype.isnative
    assert loaded.flags.writeable
    np.testing.assert_array_equal(loaded, array)


@pytest.mark.parametrize("is_packed", [True, False])
@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda b: b[:-1], "truncated: the payload .* must be 24 bytes. Got 23"),
        (lambda b: b + b"\0", "too long: the payload .* must be 24 bytes. Got 25"),
        (lambda b: b[:9], "truncated: the header must be 12 bytes. Got 9"),
        (lambda b: b"", "must start with an idx magic number"),
        (lambda b: b"\1" + b[1:], "must start with an idx magic number"),
        (lambda b: b[:2] + b"\x0a" + b[3:], "must start with an idx magic number"),
        (lambda b: b[:3] + b"\0" + b[4:], "1 to 4 dimensions"),
        (lambda b: b[:3] + b"\5" + b[4:], "1 to 4 dimensions"),
    ],
)
def test_broken_file_is_named(tmp_path, idx_bytes, is_packed, spoil, text):
    content = spoil(idx_bytes(np.arange(6, dtype="i4").reshape(2, 3)))
    path = tmp_path / "broken-idx"
    path.write_bytes(gzip.compress(content) if is_packed else content)
    with pytest.raises(ValueError, match=f"broken-idx.*{text}"):
        load_idx(path)


@pytest.mark.parametrize("n_cut", [1, 9, 25])
def test_cut_gzip_file_is_named(tmp_path, idx_bytes, n_cut):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(9, dtype="u1")))[:-n_cut])
    with pytest.raises(ValueError, match=r"cut.gz must be a complete gzip file"):
        load_idx(path)


def test_gzip_of_two_members_is_one_file(tmp_path, idx_bytes):
    content = idx_bytes(np.arange(9, dtype="u1"))
    path = tmp_path / "two.gz"
    path.write_bytes(gzip.compress(content[:7]) + gzip.compress(content[7:]))
    np.testing.assert_array_equal(load_idx(path), np.arange(9))


def test_lying_gzip_trailer_is_caught(tmp_path, idx_bytes):
    content = bytearray(gzip.compress(idx_bytes(np.arange(9, dtype="u1"))))
    content[-4:] = b"\xff\xff\xff\xff"
    path = tmp_path / "liar.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"liar.gz must be a complete gzip file"):
        load_idx(path)
