"""iter_frames: every kind of source, lazily; errors by choice."""

import os

import numpy as np
import pytest
from PIL import Image

from sklvyso.artifacts import iter_frames

FRAMES = np.random.default_rng(0).integers(0, 256, (12, 20, 30, 3)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    for i, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"frame{i}.png")
    return tmp_path


def collect(*args, **kwargs):
    return np.stack(list(iter_frames(*args, **kwargs)))


def test_a_folder_is_read_in_natural_order(folder):
    np.testing.assert_array_equal(collect(folder), FRAMES)
    np.testing.assert_array_equal(collect(folder, step=5), FRAMES[::5])
    np.testing.assert_array_equal(collect(str(folder / "*1.png")), FRAMES[[1, 11]])
    np.testing.assert_array_equal(collect(folder / "frame3.png"), FRAMES[3:4])
    paths = [folder / "frame2.png", FRAMES[0]]
    np.testing.assert_array_equal(collect(paths), FRAMES[[2, 0]])


def test_arrays_and_memory_maps(tmp_path):
    np.testing.assert_array_equal(collect(FRAMES), FRAMES)
    np.testing.assert_array_equal(collect(FRAMES[0, :, :, 0]), FRAMES[:1, :, :, 0])
    np.save(tmp_path / "frames.npy", FRAMES)
    np.testing.assert_array_equal(collect(tmp_path / "frames.npy", step=3), FRAMES[::3])


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
def test_animations_give_all_frames(tmp_path, suffix):
    images = [Image.fromarray(np.full((16, 16, 3), v, np.uint8)) for v in (0, 90, 200)]
    options = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"clip.{suffix}"
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    assert [frame[0, 0, 0] for frame in iter_frames(path)] == [0, 90, 200]


@pytest.mark.parametrize(
    ("mode", "shape", "dtype"),
    [
        ("L", (8, 9), np.uint8),
        ("1", (8, 9), np.uint8),
        ("P", (8, 9, 3), np.uint8),
        ("RGBA", (8, 9, 3), np.uint8),
        ("I;16", (8, 9), np.uint16),
    ],
)
def test_colour_models(tmp_path, mode, shape, dtype):
    Image.new(mode, (9, 8)).save(tmp_path / "image.png")
    (frame,) = iter_frames(tmp_path)
    assert frame.shape == shape and frame.dtype == dtype


def test_frames_are_read_one_by_one(folder):
    frames = iter_frames(folder)
    next(frames)
    os.remove(folder / "frame1.png")
    with pytest.raises(FileNotFoundError):
        next(frames)


def test_resize_averages():
    (frame,) = iter_frames(np.arange(16, dtype=np.uint8).reshape(4, 4), resize=(2, 2))
    # 2.5, 4.5, 10.5 and 12.5, halves to even
    np.testing.assert_array_equal(frame, [[2, 4], [10, 12]])
    assert collect(FRAMES, resize=(10, 10)).shape == (12, 10, 10, 3)


def test_damaged_files(folder):
    path = folder / "frame5.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"frame5\.png must be a complete"):
        list(iter_frames(folder))
    assert len(collect(folder, on_error="skip")) == 11
    with pytest.warns(UserWarning, match="passed over"):
        assert len(collect(folder, on_error="warn")) == 11


@pytest.mark.parametrize(
    ("source", "settings", "error"),
    [
        ("nowhere", {}, FileNotFoundError),
        (3, {}, TypeError),
        (FRAMES, {"step": 0}, ValueError),
        (FRAMES, {"resize": (0, 3)}, ValueError),
        (FRAMES, {"resize": 3}, ValueError),
        (FRAMES, {"on_error": "ignore"}, ValueError),
        (np.zeros(3), {}, ValueError),
    ],
)
def test_errors_come_at_once(source, settings, error):
    with pytest.raises(error):
        iter_frames(source, **settings)


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="must hold images"):
        iter_frames(tmp_path)


def test_video_names_its_extra(tmp_path):
    try:
        import av  # noqa: F401
    except ImportError:
        (tmp_path / "clip.mp4").write_bytes(b"")
        with pytest.raises(ImportError, match=r"sklvyso\[video\]"):
            next(iter_frames(tmp_path / "clip.mp4"))
    else:
        pytest.skip("PyAV is installed")
