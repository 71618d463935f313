"""Seams, flat fills, dots and strokes: against plain loops and drawn examples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from sklvyso.artifacts import ArtifactSimulator, PixelPatternFeaturizer, _fills, _seams
from sklvyso.artifacts._generators_screen import block_sizes, exchange
from sklvyso.datasets import make_game_frames

FRAMES = make_game_frames(12, height=96, width=128, n_games=3, random_state=0).images
NAMES = PixelPatternFeaturizer().fit(FRAMES).get_feature_names_out().tolist()


def describe(frames):
    return PixelPatternFeaturizer().fit(FRAMES).transform(np.asarray(frames))


def column(features, name):
    return features[:, NAMES.index(f"pattern_{name}")]


def corrupted(artifact, seed=0):
    simulator = ArtifactSimulator(random_state=seed, on_unchanged="ignore")
    return np.stack(list(simulator.corrupt(FRAMES, artifact)))


def planes_of(frame):
    return np.ascontiguousarray(np.moveaxis(frame, 2, 0))


def smooth_frame(height=96, width=128, seed=0):
    """Texture with a scale of a few pixels: what neighbours share, seams break."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = ndimage.gaussian_filter(noise, (2, 2, 0))
    smooth = 128 + 40 * smooth / smooth.std()
    return np.clip(np.rint(smooth), 60, 255).astype(np.uint8)


@given(arrays(np.uint8, (3, 9, 7)))
def test_largest_jump_is_the_channels_largest_difference(planes):
    values = planes.astype(int)
    for axis in (0, 1):
        expected = np.abs(np.diff(values, axis=axis + 1)).max(axis=0)
        np.testing.assert_array_equal(_seams.largest_jump(planes, axis), expected)


@given(arrays(np.uint8, (3, 5, 6)))
def test_codes_hold_their_bytes(planes):
    codes = _fills.color_codes(planes)
    np.testing.assert_array_equal(
        _fills.split_codes(codes.ravel(), 3), planes.reshape(3, -1)
    )


def test_grey_codes_are_given_to_all_channels():
    codes = _fills.color_codes(np.array([[[7, 200]]], dtype=np.uint8))
    np.testing.assert_array_equal(_fills.split_codes(codes.ravel(), 1), [[7, 200]] * 3)


def plain_exchange_gains(grey):
    """Two least log ratios over all sizes of blocks, all rows, all columns."""
    gains = []
    for block in block_sizes(len(grey)).tolist():
        borders = list(range(block, len(grey), block))
        if not borders or 2 * block > len(grey):
            continue
        order = exchange(len(grey), block)
        values = grey.astype(float)
        before = np.mean([np.abs(values[b - 1] - values[b]).mean() for b in borders])
        after = np.mean(
            [np.abs(values[order[b - 1]] - values[order[b]]).mean() for b in borders]
        )
        gains.append(np.log((after + 0.5) / (before + 0.5)))
    return sorted(gains)[:2]


def test_exchange_gains_equal_a_plain_loop():
    # Few rows and columns: no borders and no lines are left out.
    grey = smooth_frame(48, 40)[..., 0]
    np.testing.assert_allclose(
        _seams.exchange_gains(grey), plain_exchange_gains(grey), rtol=1e-5
    )


@pytest.mark.parametrize("block", [1, 2, 3, 8, 24])
def test_undoing_an_exchange_of_blocks_is_a_gain(block):
    grey = smooth_frame()[..., 1]
    assert _seams.exchange_gains(grey)[0] > 0.3
    assert _seams.exchange_gains(grey[exchange(96, block)])[0] < -0.3


def test_a_tear_is_a_break_and_a_seam():
    whole, other = smooth_frame(seed=1), smooth_frame(seed=2)
    torn = whole.copy()
    torn[:40] = other[:40]
    features = describe([whole, torn])
    for name in ("rows_break_first", "rows_break_broken", "rows_seam_first"):
        clean, broken = column(features, name)
        assert broken > clean + 0.2, name
    assert column(features, "rows_break_place")[1] == pytest.approx(38 / 96, abs=0.02)


def test_noise_across_the_frame_is_a_rough_band():
    frame = smooth_frame()
    band = frame.copy()
    band[30:36] = np.random.default_rng(0).integers(0, 256, (6, 128, 3))
    clean, broken = column(describe([frame, band]), "rows_chroma_excess")
    assert broken > clean + 1


def test_stairs_of_a_fade_are_seen_over_texture():
    texture = smooth_frame(432, 160)  # bands of four rows
    stairs = (np.arange(432) // 4)[:, None, None]
    scores = []
    for opacity in (0, 0.5, 0.9):
        faded = (1 - opacity) * texture + opacity * (20 + 1.5 * stairs)
        faded = np.clip(faded, 0, 255).astype(np.uint8)
        scores.append(_seams._fades(planes_of(faded), 0, 4))
    firsts = [score[0] for score in scores]
    assert firsts[0] < 1 < firsts[2]
    assert firsts == sorted(firsts)
    assert scores[0][3] == 0
    assert scores[2][3] > 0.3


def test_one_colour_in_the_brightest_pixels_is_discoloration():
    features = describe([*FRAMES, *corrupted("discoloration")])
    shares = np.max(
        [column(features, f"channel{c}_top_q0_4") for c in range(3)], axis=0
    )
    np.testing.assert_array_equal(shares[12:], 1)


@pytest.mark.parametrize(
    ("artifact", "name"),
    [("dotted_lines", "dots_top"), ("morse_code", "upright_top")],
)
def test_dots_and_strokes_share_a_colour(artifact, name):
    values = column(describe([*FRAMES, *corrupted(artifact)]), name)
    assert values[12:].min() > values[:12].max()


def test_thin_masks_by_hand():
    frame = np.full((1, 7, 9), 100, dtype=np.uint8)
    frame[0, 2, 6] = 200  # a dot
    frame[0, 1:6, 1] = 200  # an upright stroke
    frame[0, 5, 4:8] = 200  # a level one
    jumps = (_seams.largest_jump(frame, 0), _seams.largest_jump(frame, 1))
    dots, upright, level = _fills.thin_masks(jumps, (7, 9))
    assert dots[2, 6]
    assert upright[1:6, 1].all()
    assert level[5, 4:8].all()
    assert upright.sum() == 5
    assert level.sum() == 4


def test_a_triangle_is_one_convex_piece_of_half_its_box():
    frame = smooth_frame()
    rows, columns = np.mgrid[:40, :40]
    frame[20:60, 30:70][columns <= rows] = (20, 5, 40)
    features = describe([frame])
    assert column(features, "dark0_fill")[0] == pytest.approx(0.5, abs=0.03)
    assert column(features, "dark0_convex")[0] > 0.99
    assert column(features, "dark_triangles")[0] == 1
    assert column(features, "dark0_share")[0] == pytest.approx(
        np.log(820 / frame[..., 0].size + 1e-5), abs=1e-3
    )


def test_bright_objects_of_one_colour_have_darker_surroundings():
    frame = smooth_frame() // 3 + 20
    frame[10:30, 10:40] = frame[50:80, 60:90] = (250, 0, 250)
    features = describe([frame])
    assert column(features, "patch0_darker")[0] == 1
    assert column(features, "patch0_saturation")[0] == pytest.approx(250 / 255)


@settings(max_examples=25, deadline=None)
@given(
    arrays(
        np.uint8,
        st.tuples(st.integers(16, 40), st.integers(16, 40), st.sampled_from([1, 3])),
        elements=st.sampled_from([0, 1, 100, 128, 255]),
    )
)
def test_features_are_finite_for_every_frame(frame):
    features = PixelPatternFeaturizer().fit([frame]).transform([frame])
    assert features.shape == (1, len(NAMES))
    assert np.isfinite(features).all()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_frames_have_no_seams_and_no_dots(value):
    features = describe(np.full((1, 64, 64, 3), value, dtype=np.uint8))
    for name in ("rows_seam_first", "rows_break_first", "columns_rough_max"):
        assert column(features, name)[0] == 0
    for name in ("dots_share", "dots_top", "upright_top"):
        assert column(features, name)[0] == pytest.approx(np.log(1e-5))


def test_transposed_frames_exchange_rows_and_columns():
    frame = FRAMES[0]
    features = describe([frame, np.swapaxes(frame, 0, 1)[:, :, ::1]][:1])
    turned = describe([np.ascontiguousarray(np.swapaxes(frame, 0, 1))])
    for name in ("seam_first", "break_first", "rough_excess", "chroma_max"):
        assert column(features, f"rows_{name}") == column(turned, f"columns_{name}")
        assert column(features, f"columns_{name}") == column(turned, f"rows_{name}")
