"""What fetchers return: selection, shapes, types, the real sets."""

import inspect
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.io
from sklearn.model_selection import PredefinedSplit

import sklvyso.datasets as datasets
from sklvyso.datasets import (
    _descriptions,
    _registry,
    _svhn,
    fetch_fashion_mnist,
    fetch_mnist,
    fetch_svhn,
)

FETCHERS = [name for name in datasets.__all__ if name.startswith("fetch_")]


@pytest.fixture
def home(tiny_mnist, tmp_path):
    tiny_mnist.fill(tmp_path / "home" / "mnist")
    return tmp_path / "home"


@pytest.fixture
def tiny(tiny_mnist, home):
    return tiny_mnist


def test_import_is_light():
    code = (
        "import sys, sklvyso.datasets\n"
        "heavy = {'torch', 'PIL', 'pandas', 'matplotlib', 'sklearn', 'skimage'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


def test_names_are_there_and_documented():
    for name in datasets.__all__:
        assert ".. versionadded:: 0.1" in getattr(datasets, name).__doc__
    assert dir(datasets) == sorted(datasets.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fetch_emnist'"):
        datasets.fetch_emnist  # noqa: B018


def test_fetchers_share_their_keywords():
    signatures = {inspect.signature(getattr(datasets, name)) for name in FETCHERS}
    assert len(signatures) == 1
    (signature,) = signatures
    assert {p.kind for p in signature.parameters.values()} == {
        inspect.Parameter.KEYWORD_ONLY
    }


@pytest.mark.parametrize("name", sorted(_registry.IMAGE_SETS))
def test_every_set_is_described(name):
    text = _descriptions.DESCRIPTIONS[name]
    for section in ("Counts", "Shape", "Caveats", "Licence", "Citation"):
        assert f"**{section}:** " in text


def test_bunch_holds_what_the_files_hold(tiny, home):
    bunch = fetch_mnist()
    np.testing.assert_array_equal(bunch.images, tiny.images["train"])
    np.testing.assert_array_equal(bunch.target, tiny.target["train"])
    assert bunch.data.dtype == np.uint8
    assert bunch.target.dtype == np.int64
    assert bunch.data.shape == (60, 784)
    assert bunch.data.flags.c_contiguous
    assert np.shares_memory(bunch.data, bunch.images)
    assert bunch.target_names == [str(i) for i in range(10)]
    assert bunch.feature_names[29] == "pixel_1_1"
    assert len(bunch.feature_names) == 784
    assert bunch.filenames == [
        str(home / "mnist" / f"train-{kind}-ubyte.gz")
        for kind in ("images-idx3", "labels-idx1")
    ]
    assert (bunch.pixel_mean, bunch.pixel_std) == (0.1307, 0.3081)
    assert "test_fold" not in bunch


@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"dtype": "float32"}])
def test_images_and_rows_share_memory(tiny, options):
    for as_images in (False, True):
        bunch = fetch_mnist(subset="all", as_images=as_images, **options)
        assert bunch.data.ndim == (3 if as_images else 2)
        assert np.shares_memory(bunch.data, bunch.images)


def test_return_X_y_gives_what_the_bunch_holds(tiny):
    for options in ({}, {"as_images": True}, {"shuffle": True, "n_per_class": 2}):
        bunch = fetch_mnist(**options)
        X, y = fetch_mnist(return_X_y=True, **options)
        np.testing.assert_array_equal(X, bunch.data)
        np.testing.assert_array_equal(y, bunch.target)


def test_all_is_train_then_test_with_a_fold(tiny):
    train, test, both = (fetch_mnist(subset=s) for s in ("train", "test", "all"))
    np.testing.assert_array_equal(both.data, np.vstack([train.data, test.data]))
    np.testing.assert_array_equal(both.target, np.r_[train.target, test.target])
    assert both.filenames == train.filenames + test.filenames
    split = PredefinedSplit(both.test_fold)
    assert split.get_n_splits() == 1
    ((train_rows, test_rows),) = split.split()
    np.testing.assert_array_equal(train_rows, np.arange(60))
    np.testing.assert_array_equal(test_rows, np.arange(60, 80))


def test_shuffle_moves_rows_with_labels_and_fold(tiny):
    plain = fetch_mnist(subset="all")
    mixed = fetch_mnist(subset="all", shuffle=True, random_state=3)
    again = fetch_mnist(subset="all", shuffle=True, random_state=3)
    other = fetch_mnist(subset="all", shuffle=True, random_state=4)
    np.testing.assert_array_equal(mixed.data, again.data)
    assert not np.array_equal(mixed.data, other.data)
    order = [np.flatnonzero((plain.data == row).all(1)).item() for row in mixed.data]
    np.testing.assert_array_equal(np.sort(order), np.arange(80))
    np.testing.assert_array_equal(mixed.target, plain.target[order])
    np.testing.assert_array_equal(mixed.test_fold, plain.test_fold[order])


def test_float_pixels_lie_between_zero_and_one(tiny):
    for dtype in ("float32", "float64"):
        X = fetch_mnist(dtype=dtype).data
        assert X.dtype == dtype
        expected = tiny.images["train"].reshape(60, -1).astype(dtype) / 255
        np.testing.assert_array_equal(X, expected.astype(dtype))


def test_n_per_class_takes_the_first_rows_of_each_class(tiny):
    target = tiny.target["train"]
    for k in range(1, 7):
        expected = np.sort(
            np.concatenate([np.flatnonzero(target == c)[:k] for c in range(10)])
        )
        bunch = fetch_mnist(n_per_class=k)
        np.testing.assert_array_equal(bunch.images, tiny.images["train"][expected])
        np.testing.assert_array_equal(bunch.target, target[expected])


def test_n_per_class_counts_each_subset(tiny):
    both = fetch_mnist(subset="all", n_per_class=2)
    np.testing.assert_array_equal(np.bincount(both.test_fold + 1), [20, 20])


def test_n_per_class_mapping_makes_a_tail(tiny):
    bunch = fetch_mnist(n_per_class={0: 1, "1": 2, 2: 0})
    np.testing.assert_array_equal(np.bincount(bunch.target), [1, 2, 0] + [6] * 7)


def test_classes_keep_their_labels_and_order(tiny):
    bunch = fetch_mnist(classes=["7", 2])
    rows = np.isin(tiny.target["train"], [2, 7])
    np.testing.assert_array_equal(bunch.images, tiny.images["train"][rows])
    np.testing.assert_array_equal(bunch.target, tiny.target["train"][rows])
    assert len(bunch.target_names) == 10


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"classes": ["ten"]}, r"classes must be among 0 \('0'\), .*Got 'ten'"),
        ({"classes": [10]}, "classes must be among .* Got 10 instead"),
        ({"classes": [True]}, "classes must be among .* Got True instead"),
        ({"classes": "7"}, "'classes' parameter of fetch_mnist must be"),
        ({"n_per_class": 7}, "must be at most 6, the rows available. Got 7 instead"),
        ({"n_per_class": 0}, "'n_per_class' parameter of fetch_mnist must be"),
        ({"n_per_class": {0: -1}}, "must be non-negative integers. Got -1"),
        ({"n_per_class": {0: 1}, "classes": [1]}, "among the classes kept. Got 0"),
        ({"subset": "dev"}, "'subset' parameter of fetch_mnist must be"),
        ({"dtype": "int8"}, "'dtype' parameter of fetch_mnist must be"),
        ({"verify": "never"}, "'verify' parameter of fetch_mnist must be"),
    ],
)
def test_bad_parameters_are_named(tiny, options, text):
    with pytest.raises(ValueError, match=text):
        fetch_mnist(**options)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.arange(59) % 10, r"must be as many as the images, 60. Got shape \(59,\)"),
        (np.arange(60) % 11, "must be 0 to 9. Got 0 to 10"),
    ],
)
def test_labels_must_fit_the_images(tiny, home, idx_bytes, labels, text):
    path = home / "mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(idx_bytes(labels.astype(np.uint8)))
    with pytest.raises(ValueError, match=text):
        fetch_mnist(verify=False)


def test_images_must_be_images(tiny, home, idx_bytes):
    path = home / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(idx_bytes(np.zeros((60, 28), dtype=np.uint8)))
    with pytest.raises(ValueError, match="must hold uint8 images of shape"):
        fetch_mnist(verify=False)


def test_svhn_is_transposed_and_ten_is_zero(tmp_path):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (12, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(12) % 10 + 1
    folder = tmp_path / "home" / "svhn"
    folder.mkdir(parents=True)
    stored = {"X": images.transpose(1, 2, 3, 0), "y": labels[:, None].astype(np.uint8)}
    scipy.io.savemat(folder / "train_32x32.mat", stored)
    bunch = fetch_svhn(verify=False)
    np.testing.assert_array_equal(bunch.images, images)
    np.testing.assert_array_equal(bunch.target, labels % 10)
    assert bunch.feature_names[:4] == [
        "pixel_0_0_R",
        "pixel_0_0_G",
        "pixel_0_0_B",
        "pixel_0_1_R",
    ]
    scipy.io.savemat(folder / "train_32x32.mat", {"Z": labels})
    with pytest.raises(ValueError, match=r"must hold 'X', .* Got \[\('Z', .* instead"):
        _svhn._read_part(str(folder / "train_32x32.mat"))


MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.parametrize(
    ("fetch", "train", "test"),
    [
        (fetch_mnist, MNIST_TRAIN, MNIST_TEST),
        (fetch_fashion_mnist, [6000] * 10, [1000] * 10),
    ],
)
def test_real_histograms_and_pixel_statistics(real_home, fetch, train, test):
    bunch = fetch(subset="all")
    is_train = bunch.test_fold == -1
    np.testing.assert_array_equal(np.bincount(bunch.target[is_train]), train)
    np.testing.assert_array_equal(np.bincount(bunch.target[~is_train]), test)
    counts = np.bincount(bunch.data[is_train].ravel(), minlength=256) / (60000 * 784)
    grey = np.arange(256) / 255
    mean = counts @ grey
    std = np.sqrt(counts @ (grey - mean) ** 2)
    assert mean == pytest.approx(bunch.pixel_mean, abs=5e-5)
    assert std == pytest.approx(bunch.pixel_std, abs=5e-5)


@pytest.mark.slow
def test_real_fashion_mnist_is_read_within_a_second(real_home):
    fetch_fashion_mnist(n_per_class=1)
    start = time.perf_counter()
    fetch_fashion_mnist(verify=True)
    assert time.perf_counter() - start < 1
