"""Made and real game frames."""

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from sklvyso.datasets import load_game_frames, make_game_frames


@pytest.mark.parametrize("size", [(32, 32), (90, 160), (71, 333)])
def test_frames_of_all_kinds_at_all_sizes(size):
    bunch = make_game_frames(
        23, height=size[0], width=size[1], n_games=10, random_state=0
    )
    assert bunch.images.shape == (23, *size, 3) and bunch.images.dtype == np.uint8
    counts = np.bincount(bunch.group)
    assert len(counts) == 10 and np.ptp(counts) <= 1
    assert (bunch.images.std(axis=(1, 2)).max(axis=1) > 8).all()


def test_clips_have_two_frames_with_motion():
    bunch = make_game_frames(20, n_games=5, random_state=0)
    np.testing.assert_array_equal(bunch.frame, [0, 1] * 10)
    np.testing.assert_array_equal(bunch.clip, [0, 0, 1, 1] * 5)
    first, second = bunch.images[::2].astype(int), bunch.images[1::2].astype(int)
    within = np.abs(first - second).mean(axis=(1, 2, 3))
    between = np.abs(first[::2] - first[1::2]).mean(axis=(1, 2, 3))
    assert (within > 0.5).all()
    assert within.mean() < between.mean()


def test_seed_decides():
    make = [make_game_frames(6, random_state=s).images for s in (0, 0, 1)]
    np.testing.assert_array_equal(make[0], make[1])
    assert not np.array_equal(make[0], make[2])


def test_games_have_looks_of_their_own():
    bunch = make_game_frames(80, height=45, width=80, n_games=4, random_state=0)
    codes = (bunch.images // 64 @ [16, 4, 1]).reshape(80, -1)
    histograms = np.stack([np.bincount(row, minlength=64) for row in codes]) / 3600
    model = LogisticRegression(C=1000, max_iter=2000)
    scores = cross_val_score(model, histograms, bunch.group, cv=4)
    assert scores.mean() > 0.9


def fill(home, games=("a", "b"), n_clips=5, suffix="png"):
    for game in games:
        folder = home / "game_frames" / game
        folder.mkdir(parents=True)
        for clip in range(n_clips):
            for frame in range(2):
                image = np.full((20, 30, 3), 10 * clip + frame, np.uint8)
                Image.fromarray(image).save(folder / f"clip{clip:03d}_{frame}.{suffix}")


def test_real_frames_are_read_in_order(tmp_path):
    fill(tmp_path)
    bunch = load_game_frames(tmp_path)
    assert bunch.images.shape == (20, 20, 30, 3)
    np.testing.assert_array_equal(bunch.group, ["a"] * 10 + ["b"] * 10)
    np.testing.assert_array_equal(
        bunch.images[:, 0, 0, 0], 10 * bunch.clip + bunch.frame
    )
    assert len(bunch.filenames) == 20 and bunch.filenames[3].endswith("clip001_1.png")


def test_some_frames_of_some_games(tmp_path):
    fill(tmp_path)
    bunch = load_game_frames(tmp_path, games="b", n_per_game=4)
    np.testing.assert_array_equal(bunch.clip, [0, 0, 2, 2])
    assert set(bunch.group) == {"b"}
    assert len(load_game_frames(tmp_path, games=["a"], n_per_game=99).clip) == 10


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="SKLVYSO_DATA"):
        load_game_frames(tmp_path)
    fill(tmp_path, games=("a",))
    with pytest.raises(ValueError, match="games must be among"):
        load_game_frames(tmp_path, games=["z"])
    (tmp_path / "game_frames" / "a" / "clip000_0.png").write_bytes(b"no")
    with pytest.raises(ValueError, match="complete image"):
        load_game_frames(tmp_path)
    (tmp_path / "game_frames" / "empty").mkdir()
    with pytest.raises(ValueError, match="must hold frames"):
        load_game_frames(tmp_path, games=["empty"])


def test_supplied_frames(real_home):
    bunch = load_game_frames(n_per_game=2)
    assert bunch.images.shape == (10, 480, 640, 3)
    assert len(np.unique(bunch.group)) == 5
