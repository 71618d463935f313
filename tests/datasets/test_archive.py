"""Images in folders and archives: layout, order, cache, broken and hostile files."""

import io
import os
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from sklvyso.datasets import load_image_archive


def encode(image, ending="png"):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG" if ending == "jpg" else ending)
    return buffer.getvalue()


@pytest.fixture
def images():
    """Two subsets, three classes, two files each; stored in no good order."""
    generator = np.random.default_rng(0)
    return {
        f"{subset}/{label}/{i}.png": generator.integers(0, 256, (4, 5, 3), np.uint8)
        for subset in ("train", "test")
        for label in ("cat", "ant", "bee")
        for i in (1, 0)
    }


def pack(folder, kind, contents):
    """Write named contents as a folder or an archive of the given kind."""
    if kind == "folder":
        for name, content in contents.items():
            path = folder / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / "set"
    path = folder / f"set.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        return path
    mode = "w:" + kind.partition(".")[2]
    with tarfile.open(path, mode) as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def encode_all(images):
    return {name: encode(image) for name, image in images.items()}


KINDS = ["folder", "zip", "tar", "tar.gz", "tar.xz", "tar.bz2"]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_sorted_by_class_and_name(tmp_path, images, kind):
    contents = encode_all(images)
    contents["train/ant/.hidden.png"] = b"no image"
    contents["__MACOSX/train/ant/0.png"] = b"no image"
    contents["train/ant/readme.txt"] = b"no image"
    path = pack(tmp_path, kind, contents)
    bunch = load_image_archive(path, subset="train", cache=False)
    names = [f"train/{c}/{i}.png" for c in ("ant", "bee", "cat") for i in (0, 1)]
    assert bunch.filenames == names
    np.testing.assert_array_equal(bunch.images, [images[name] for name in names])
    np.testing.assert_array_equal(bunch.target, [0, 0, 1, 1, 2, 2])
    assert bunch.target_names == ["ant", "bee", "cat"]
    assert np.shares_memory(bunch.data, bunch.images)
    assert bunch.data.shape == (6, 60)
    assert "ant 2, bee 2, cat 2" in bunch.DESCR


def test_wrapping_folder_is_no_subset_to_choose(tmp_path, images):
    contents = {
        name.replace("train/", "my-set/"): content
        for name, content in encode_all(images).items()
        if name.startswith("train/")
    }
    path = pack(tmp_path, "zip", contents)
    assert len(load_image_archive(path, cache=False).target) == 6


def test_classes_and_n_per_class_choose_first_files(tmp_path, images):
    path = pack(tmp_path, "tar.gz", encode_all(images))
    bunch = load_image_archive(
        path, subset="test", classes=["cat", 0], n_per_class=1, cache=False
    )
    assert bunch.filenames == ["test/ant/0.png", "test/cat/0.png"]
    np.testing.assert_array_equal(bunch.target, [0, 2])
    X, y = load_image_archive(path, subset="test", return_X_y=True, cache=False)
    assert X.shape == (6, 60)
    assert len(y) == 6


def test_grey_mode_has_no_channel_axis(tmp_path, images):
    path = pack(tmp_path, "zip", encode_all(images))
    bunch = load_image_archive(path, subset="test", mode="L", cache=False)
    assert bunch.images.shape == (6, 4, 5)
    assert bunch.feature_names[-1] == "pixel_3_4"


def test_jpeg_is_close_to_its_original(tmp_path):
    ramp = np.tile(np.arange(0, 240, 15, dtype=np.uint8), (16, 1))
    image = np.stack([ramp] * 3, axis=-1)
    path = pack(tmp_path, "zip", {"a/0.jpg": encode(image, "jpg")})
    loaded = load_image_archive(path, cache=False).images[0].astype(int)
    assert np.abs(loaded - image).max() < 12


def test_sizes_must_agree_unless_a_size_is_given(tmp_path):
    stripes = np.zeros((8, 8, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    contents = {"a/0.png": encode(stripes), "a/1.png": encode(stripes[:4])}
    path = pack(tmp_path, "zip", contents)
    with pytest.raises(ValueError, match=r"one size unless .*\(8, 8\) for a/0.png and"):
        load_image_archive(path, cache=False)
    images = load_image_archive(path, size=(4, 2), cache=False).images
    assert images.shape == (2, 4, 2, 3)
    # Stripes narrower than a new pixel blur to grey: no aliasing.
    assert np.abs(images.astype(int) - 127).max() < 40


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.xz"])
def test_cache_is_mapped_and_follows_archive_and_settings(tmp_path, images, kind):
    path = pack(tmp_path, kind, encode_all(images))
    first = load_image_archive(path, subset="train")
    assert isinstance(first.images, np.memmap)
    assert not first.images.flags.writeable
    files = sorted(p.name for p in tmp_path.iterdir())
    assert [name.rpartition(".")[2] for name in files if name != path.name] == [
        "json",
        "npy",
    ]
    again = load_image_archive(path, subset="train")
    for key in ("data", "images", "target"):
        np.testing.assert_array_equal(again[key], first[key])
    assert again.filenames == first.filenames
    assert again.target_names == first.target_names
    assert len(load_image_archive(path, subset="train", n_per_class=1).target) == 3

    name = "train/ant/0.png"
    pack(tmp_path, kind, encode_all({**images, name: 255 - images[name]}))
    changed = load_image_archive(path, subset="train")
    np.testing.assert_array_equal(changed.images[0], 255 - first.images[0])


def test_cached_archive_is_not_decoded_again(tmp_path, images, monkeypatch):
    path = pack(tmp_path, "zip", encode_all(images))
    load_image_archive(path, subset="train")
    monkeypatch.setattr(Image, "open", None)
    assert len(load_image_archive(path, subset="train").target) == 6


def test_read_only_folder_caches_in_the_data_home(tmp_path, images):
    folder = tmp_path / "shared"
    folder.mkdir()
    path = pack(folder, "zip", encode_all(images))
    folder.chmod(0o555)
    bunch = load_image_archive(path, subset="train")
    assert os.listdir(folder) == ["set.zip"]
    assert len(list((tmp_path / "home" / "archives").iterdir())) == 2
    assert isinstance(bunch.images, np.memmap)

    (tmp_path / "home").chmod(0o555)
    (tmp_path / "home" / "archives").chmod(0o555)
    other = load_image_archive(path, subset="test")
    assert not isinstance(other.images, np.memmap)
    assert len(list((tmp_path / "home" / "archives").iterdir())) == 2


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
def test_broken_image_is_named(tmp_path, images, kind):
    contents = encode_all(images)
    contents["train/bee/1.png"] = contents["train/bee/1.png"][:40]
    path = pack(tmp_path, kind, contents)
    with pytest.raises(ValueError, match=r"train/bee/1.png must be a whole image"):
        load_image_archive(path, subset="train", cache=False)
    assert len(load_image_archive(path, subset="test", cache=False).target) == 6


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_cut_archive_is_named(tmp_path, images, kind):
    path = pack(tmp_path, kind, encode_all(images))
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ValueError, match=rf"set.{kind} must be a complete"):
        load_image_archive(path, subset="train", cache=False)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_that_point_outside_write_nothing(tmp_path, images, kind):
    image = encode(images["train/ant/0.png"])
    inside = tmp_path / "inside"
    inside.mkdir()
    path = pack(inside, kind, {"../../up/0.png": image, "/abs/0.png": image})
    assert load_image_archive(path, cache=False).filenames == ["/abs/0.png"]
    assert os.listdir(tmp_path) == ["inside"]
    assert os.listdir(inside) == [path.name]


def test_links_in_a_tar_are_no_images(tmp_path, images):
    path = tmp_path / "set.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("a/0.png", tarfile.SYMTYPE), ("a/1.png", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/hostname"
            archive.addfile(info)
    with pytest.raises(ValueError, match="must hold images as"):
        load_image_archive(path, cache=False)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, r"subset must be one of \['test', 'train'\].* Got None instead"),
        ({"subset": "dev"}, "subset must be one of .* Got 'dev' instead"),
        ({"subset": "test", "classes": ["dog"]}, r"classes must be among 0 \('ant'\)"),
        ({"subset": "test", "n_per_class": 3}, "must be at most 2, the rows available"),
        ({"subset": "test", "size": (3,)}, "size must be two positive integers"),
        ({"subset": "test", "mode": "CMYK"}, "'mode' parameter of load_image_archive"),
    ],
)
def test_bad_parameters_are_named(tmp_path, images, options, text):
    path = pack(tmp_path, "zip", encode_all(images))
    with pytest.raises(ValueError, match=text):
        load_image_archive(path, cache=False, **options)


def test_missing_archive_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder or an archive. Got .*no.zip"):
        load_image_archive(tmp_path / "no.zip")
