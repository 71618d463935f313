"""What the three featurizers share, and what each of them computes."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, maximum_filter
from skimage.feature import hog as scikit_image_hog
from skimage.io import imsave
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from sklvyso.artifacts import (
    DFTFeaturizer,
    GraphLaplacianFeaturizer,
    HOGFeaturizer,
)
from sklvyso.artifacts._dft import highpass_frame
from sklvyso.artifacts._frames import grey_of, planes_of, row_strips, shrink
from sklvyso.artifacts._hog import hog
from sklvyso.artifacts._hog_statistics import hog_statistics
from sklvyso.artifacts._key_sums import KeySums
from sklvyso.artifacts._laplacian_channels import channel_anomaly, channel_laplacian
from sklvyso.artifacts._laplacian_pixels import (
    grid_laplacian,
    grid_spectrum,
    pixel_statistics,
)
from sklvyso.artifacts._masks import count_columns, count_rows, grow, tile_means
from sklvyso.artifacts._pixel_marks import column_strokes, row_strokes
from sklvyso.artifacts._profiles import largest, quantiles
from sklvyso.datasets import make_game_frames

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import frames as reference

FRAMES = make_game_frames(6, n_games=3, random_state=0).images
ALL_GRAPHS = ("channels", "pixels", "weighted_pixels", "superpixels")
INSTANCES = [
    DFTFeaturizer((8, 8)),
    DFTFeaturizer((8, 8), channels="rgb", half_plane=False, highpass=0.2),
    DFTFeaturizer(statistics=True),
    HOGFeaturizer(resize=(48, 48)),
    HOGFeaturizer(statistics=True),
    GraphLaplacianFeaturizer(),
    GraphLaplacianFeaturizer(ALL_GRAPHS, n_segments=30, random_state=0),
]
TILED = [
    DFTFeaturizer((8, 8), tiles=(2, 2), pool="none"),
    GraphLaplacianFeaturizer(tiles=(2, 3)),
    HOGFeaturizer(statistics=True, tiles=(1, 2), pool="max"),
]


def names_of(featurizer):
    return {n: i for i, n in enumerate(featurizer.get_feature_names_out())}


def label(value):
    name = type(value).__name__
    return name if name.endswith("Featurizer") else None


@parametrize_with_checks(INSTANCES)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", INSTANCES, ids=label)
def test_parameter_constraints_are_complete(estimator):
    check_param_validation(type(estimator).__name__, estimator)
    check_dataframe_column_names_consistency(type(estimator).__name__, estimator)


@pytest.mark.parametrize("featurizer", INSTANCES + TILED, ids=label)
def test_containers_give_the_same_features(featurizer, tmp_path):
    featurizer = clone(featurizer)
    expected = featurizer.fit_transform(FRAMES)
    names = featurizer.get_feature_names_out()
    assert expected.shape == (6, len(names)) and len(set(names)) == len(names)
    assert expected.dtype == np.float32 and np.isfinite(expected).all()
    for X in (FRAMES / 255, (FRAMES / 255).astype(np.float32), FRAMES.astype(int)):
        np.testing.assert_allclose(featurizer.transform(X), expected, atol=1e-5)
    np.testing.assert_array_equal(featurizer.transform(list(FRAMES)), expected)
    path = tmp_path / "frame.png"
    imsave(path, FRAMES[0])
    np.testing.assert_array_equal(featurizer.transform([path]), expected[:1])
    flat = clone(featurizer).set_params(input_shape=(90, 160, 3))
    rows = flat.fit_transform(FRAMES.reshape(6, -1))
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("featurizer", INSTANCES + TILED, ids=label)
def test_rows_do_not_depend_on_each_other(featurizer):
    featurizer = clone(featurizer)
    expected = featurizer.fit_transform(FRAMES)
    single = np.concatenate([featurizer.transform(x[None]) for x in FRAMES])
    np.testing.assert_array_equal(single, expected)
    featurizer.set_params(batch_size=4)
    np.testing.assert_array_equal(featurizer.transform(FRAMES), expected)


def test_jobs_do_not_matter():
    featurizer = GraphLaplacianFeaturizer(batch_size=2)
    expected = featurizer.fit_transform(FRAMES)
    featurizer.set_params(n_jobs=2)
    np.testing.assert_array_equal(featurizer.transform(FRAMES), expected)


@pytest.mark.parametrize("featurizer", [*INSTANCES, TILED[1]], ids=label)
def test_other_sizes_at_transform(featurizer):
    featurizer = clone(featurizer).fit(FRAMES)
    n_features = len(featurizer.get_feature_names_out())
    for X in (FRAMES[:, :71, :83], FRAMES[:, :, :, 0], FRAMES[..., :1]):
        assert featurizer.transform(X).shape == (6, n_features)


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("featurizer", INSTANCES, ids=label)
def test_constant_frames_are_finite(featurizer, value):
    X = np.full((1, 33, 47, 3), value, dtype=np.uint8)
    assert np.isfinite(clone(featurizer).fit_transform(X)).all()


@pytest.mark.parametrize("featurizer", INSTANCES, ids=label)
def test_pandas_output(featurizer):
    out = clone(featurizer).set_output(transform="pandas").fit_transform(FRAMES)
    assert out.shape[0] == 6 and all(isinstance(c, str) for c in out.columns)


def test_pooling_of_tiles():
    make = GraphLaplacianFeaturizer
    parts = make("channels", tiles=(2, 2), pool="none").fit_transform(FRAMES)
    both = make("channels", tiles=(2, 2), pool="max+mean").fit_transform(FRAMES)
    tiles = parts.reshape(6, 4, -1)
    expected = np.concatenate([tiles.max(axis=1), tiles.mean(axis=1)], axis=1)
    np.testing.assert_allclose(both, expected, rtol=1e-6)
    corner = make("channels").fit_transform(FRAMES[:, :45, 80:])
    np.testing.assert_allclose(tiles[:, 1], corner, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("featurizer", "X", "match"),
    [
        (DFTFeaturizer(), FRAMES[0], "leading axis"),
        (DFTFeaturizer(), FRAMES[:, :8], "at least 16"),
        (DFTFeaturizer(), np.full((2, 20, 20), np.nan), "NaN"),
        (DFTFeaturizer(), [], "Expected 2D array|at least one"),
        (DFTFeaturizer((0, 4)), FRAMES, "output_shape"),
        (HOGFeaturizer(resize=(20, 20)), FRAMES, "one block"),
        (HOGFeaturizer(pixels_per_cell=(0, 4)), FRAMES, "pixels_per_cell"),
        (GraphLaplacianFeaturizer(("pixels", "pixels")), FRAMES, "graph must be"),
        (GraphLaplacianFeaturizer(tiles=(0, 2)), FRAMES, "tiles must be"),
        (DFTFeaturizer(value_range=(2, 1)), FRAMES, "value_range"),
        (DFTFeaturizer(input_shape=(20, 20)), np.zeros((2, 300)), "input_shape"),
    ],
)
def test_errors_name_the_parameter(featurizer, X, match):
    with pytest.raises(ValueError, match=match):
        featurizer.fit(X)


def test_hog_of_another_size_needs_resize():
    featurizer = HOGFeaturizer(resize=None).fit(FRAMES)
    with pytest.raises(ValueError, match="resize="):
        featurizer.transform(FRAMES[:, :64])


# Spectra


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (64, 31), (40, 40)])
@pytest.mark.parametrize("output", [(8, 8), (7, 5), (16, 10)])
def test_spectrum_follows_the_complex_transform(size, output):
    plane = np.random.default_rng(0).uniform(0, 255, size)
    full = reference.area_mean(reference.centred_log_spectrum(plane, 1.0), output)
    make = DFTFeaturizer(output, value_range=(0, 255), half_plane=False)
    out = make.fit_transform(plane[None])[0].reshape(output)
    np.testing.assert_allclose(out, full, rtol=1e-4)
    half = make.set_params(half_plane=True).fit_transform(plane[None])[0]
    np.testing.assert_allclose(half.reshape(output[0], -1), out[:, output[1] // 2 :])


def test_magnitudes_keep_the_energy():
    plane = np.random.default_rng(0).uniform(0, 255, (24, 36))
    make = DFTFeaturizer((24, 36), value_range=(0, 255), half_plane=False, log=False)
    magnitudes = make.fit_transform(plane[None])[0].astype(np.float64)
    energy = np.sum(magnitudes**2) / plane.size
    assert energy == pytest.approx(np.sum(plane**2), rel=1e-5)


@given(st.integers(0, 89), st.integers(0, 159))
@settings(max_examples=10, deadline=None)
def test_spectrum_ignores_circular_shifts(down, right):
    moved = np.roll(FRAMES[:1], (down, right), axis=(1, 2))
    featurizer = DFTFeaturizer().fit(FRAMES)
    # Of magnitudes near zero float32 keeps few digits; eps is 1.
    np.testing.assert_allclose(
        featurizer.transform(moved), featurizer.transform(FRAMES[:1]), atol=0.05
    )


def test_highpass_of_everything_is_the_frame():
    plane = FRAMES[0, :, :, 0].astype(np.float32)
    spectrum = np.fft.rfft2(plane)
    np.testing.assert_allclose(
        highpass_frame(spectrum, plane.shape, 1.0), plane, atol=1e-3
    )
    flat = highpass_frame(np.fft.rfft2(np.ones((20, 30))), (20, 30), 0.2)
    np.testing.assert_allclose(flat, 0, atol=1e-12)


def test_statistics_ignore_contrast():
    X = FRAMES[:1] / 255
    featurizer = DFTFeaturizer(statistics=True).fit(X)
    names = featurizer.get_feature_names_out()
    rows = featurizer.transform(np.concatenate([X, X * 0.6 + 0.1]))
    steady = [not name.endswith(("q0_1", "q1")) for name in names]
    np.testing.assert_allclose(rows[0][steady], rows[1][steady], atol=0.05)


def test_statistics_see_a_period():
    X = FRAMES[:1].copy()
    X[:, :, ::8] = 255
    featurizer = DFTFeaturizer(statistics=True).fit(X)
    peak = names_of(featurizer)["dft_horizontal_line_max"]
    striped, clean = featurizer.transform(np.concatenate([X, FRAMES[:1]]))[:, peak]
    assert striped > clean + 1


# Histograms of oriented gradients


@pytest.mark.parametrize("norm", ["L1", "L1-sqrt", "L2", "L2-Hys"])
@pytest.mark.parametrize(
    ("size", "cell", "block", "bins"),
    [
        ((64, 80), (16, 16), (3, 3), 9),
        ((71, 53), (10, 10), (3, 3), 12),
        ((45, 66), (8, 6), (2, 3), 10),
        ((40, 40), (8, 8), (1, 1), 7),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transform_sqrt", [True, False])
def test_hog_is_scikit_images(
    norm, size, cell, block, bins, channels, dtype, transform_sqrt
):
    rng = np.random.default_rng(0)
    # Bytes: many gradients lie exactly on the edge of a bin.
    planes = (rng.integers(0, 256, (channels, *size)) / 255).astype(dtype)
    expected = scikit_image_hog(
        np.moveaxis(planes, 0, 2),
        orientations=bins,
        pixels_per_cell=cell,
        cells_per_block=block,
        block_norm=norm,
        transform_sqrt=transform_sqrt,
        channel_axis=2,
    )
    out = hog(
        planes,
        orientations=bins,
        pixels_per_cell=cell,
        cells_per_block=block,
        block_norm=norm,
        transform_sqrt=transform_sqrt,
    )
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_hog_features_of_real_looking_frames():
    out = HOGFeaturizer(resize=None).fit_transform(FRAMES)
    for row, frame in zip(out, FRAMES, strict=True):
        expected = scikit_image_hog(
            (frame / np.float32(255)).astype(np.float32),
            pixels_per_cell=(16, 16),
            block_norm="L2",
            transform_sqrt=True,
            channel_axis=2,
        )
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_half_a_turn_permutes_cells():
    plane = np.random.default_rng(0).uniform(size=(1, 48, 64))
    settings = {"pixels_per_cell": (16, 16), "cells_per_block": (1, 1)}
    out = hog(plane, **settings).reshape(3, 4, 9)
    turned = hog(plane[:, ::-1, ::-1], **settings).reshape(3, 4, 9)
    np.testing.assert_allclose(turned, out[::-1, ::-1], atol=1e-6)


def test_interpolated_votes_are_shared():
    # 46 degrees between the centres 30 and 50 of bins of 20 degrees.
    rows, columns = np.indices((32, 32))
    angle = np.deg2rad(46)
    plane = (rows * np.sin(angle) + columns * np.cos(angle))[None]
    votes = hog(
        plane,
        pixels_per_cell=(32, 32),
        cells_per_block=(1, 1),
        block_norm="L1",
        transform_sqrt=False,
        interpolate=True,
    )
    inner = votes[1:3] / votes[1:3].sum()
    np.testing.assert_allclose(inner, [0.2, 0.8], atol=1e-6)
    assert votes[1:3].sum() > 0.85


def test_paper_presets_have_the_papers_sizes():
    hog_names = HOGFeaturizer(preset="paper").fit(FRAMES).get_feature_names_out()
    assert len(hog_names) == 103_500
    dft_names = DFTFeaturizer(preset="paper").fit(FRAMES).get_feature_names_out()
    assert len(dft_names) == 129_600


# Graph Laplacians


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("center", [False, True])
def test_channel_anomaly_is_the_quadratic_form(normalize, center, seed):
    planes = np.random.default_rng(seed).uniform(0, 255, (3, 6, 7))
    expected = reference.channel_anomaly(planes, normalize, center)
    out = channel_anomaly(planes.astype(np.float32), normalize=normalize, center=center)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=0.01)
    assert (out >= 0).all()


def test_grey_frames_have_no_unusual_colors():
    grey = np.repeat(FRAMES[..., :1], 3, axis=3)
    featurizer = GraphLaplacianFeaturizer("channels").fit(grey)
    np.testing.assert_allclose(featurizer.anomaly_map(grey), 0, atol=1e-3)
    assert not featurizer.anomaly_map(FRAMES[..., 0]).any()


def test_order_of_channels_does_not_matter():
    featurizer = GraphLaplacianFeaturizer("channels").fit(FRAMES)
    np.testing.assert_allclose(
        featurizer.transform(FRAMES[..., [2, 0, 1]]),
        featurizer.transform(FRAMES),
        rtol=1e-3,
    )


@given(st.lists(st.floats(0, 255), min_size=3, max_size=3))
def test_channel_laplacian_is_one(means):
    laplacian = channel_laplacian(np.array(means))
    np.testing.assert_allclose(laplacian.sum(axis=0), 0, atol=1e-12)
    roots = 1 / np.sqrt(np.diag(laplacian))
    values = np.linalg.eigvalsh(roots[:, None] * laplacian * roots)
    assert values.min() > -1e-12 and values.max() < 2


@given(st.integers(2, 8), st.integers(2, 8), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_grid_laplacian_is_the_matrix(height, width, seed):
    plane = np.random.default_rng(seed).standard_normal((height, width))
    out = grid_laplacian(plane)
    matrix = reference.grid_laplacian_matrix(height, width)
    np.testing.assert_allclose(out.ravel(), matrix @ plane.ravel(), atol=1e-12)
    assert out.sum() == pytest.approx(0, abs=1e-10)
    edges = np.sum(np.diff(plane, axis=0) ** 2) + np.sum(np.diff(plane, axis=1) ** 2)
    assert np.sum(plane * out) == pytest.approx(edges)


def test_grid_spectrum_is_the_matrixs():
    height, width, n_bands = 6, 7, 3
    plane = np.random.default_rng(0).standard_normal((height, width))
    values, vectors = np.linalg.eigh(reference.grid_laplacian_matrix(height, width))
    energy = (vectors.T @ plane.ravel()) ** 2
    bands = np.minimum((np.sqrt(np.maximum(values, 0) / 8) * n_bands).astype(int), 2)
    bands, energy = bands[1:], energy[1:]  # without the constant
    expected = np.bincount(bands, energy, minlength=n_bands) / energy.sum()
    np.testing.assert_allclose(grid_spectrum(plane, n_bands), expected, atol=1e-9)


def test_pixels_see_dots_and_coverage_sees_stripes():
    X = np.full((3, 100, 120, 3), 90, dtype=np.uint8)
    rng = np.random.default_rng(0)
    rows, columns = np.meshgrid(np.arange(2, 98, 6), np.arange(2, 118, 6))
    X[1, rows, columns] = 200
    X[2, 40:60] = rng.integers(0, 2, (20, 120, 3)) * 255
    featurizer = GraphLaplacianFeaturizer().fit(X)
    place, out = names_of(featurizer), featurizer.transform(X)
    isolated = out[:, place["laplacian_pixels_isolated"]]
    assert isolated[1] == pytest.approx(rows.size / (98 * 118))
    assert isolated[0] == 0
    coverage = out[:, place["laplacian_channels_coverage_row"]]
    assert coverage[0] == 0 and coverage[2] > 0.85


def test_pixels_see_a_tear():
    smooth = gaussian_filter(FRAMES[[0, 4]].astype(float), (0, 3, 3, 0))
    smooth = smooth.astype(np.uint8)
    torn = smooth[:1].copy()
    torn[:, :40] = smooth[1, :40]
    featurizer = GraphLaplacianFeaturizer("pixels").fit(smooth)
    place = names_of(featurizer)["laplacian_pixels_rows_jump_max"]
    clean = featurizer.transform(smooth)[:, place]
    assert featurizer.transform(torn)[0, place] > clean.max() + 0.2


# Planes


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_shrinking_averages_areas(height, width, rows, columns):
    plane = np.random.default_rng(0).uniform(0, 255, (height, width))
    expected = reference.area_mean(plane, (rows, columns))
    np.testing.assert_allclose(shrink(plane, (rows, columns)), expected, rtol=1e-5)


def test_value_ranges_depend_on_the_dtype():
    for value, expected in (
        (np.uint8(7), 7),
        (np.uint16(65535), 255),
        (np.int64(7), 7),
        (np.float32(1), 255),
        (True, 255),
    ):
        plane = planes_of(np.full((2, 2), value))
        np.testing.assert_allclose(plane, expected)
    np.testing.assert_allclose(planes_of(np.full((2, 2), 0.5), (-1, 1)), 191.25)


def test_whole_frames_become_bytes():
    frame = FRAMES[0]
    for same in (frame, frame / 255, frame.astype(np.int64), frame.astype(np.uint16)):
        value_range = (0, 255) if same.dtype == np.uint16 else "auto"
        planes = planes_of(same, value_range)
        assert planes.dtype == np.uint8 and planes.flags.c_contiguous
        np.testing.assert_array_equal(planes, np.moveaxis(frame, 2, 0))
    for other in (frame / 300, frame / 255 + 1, -frame.astype(int)):
        assert planes_of(other).dtype == np.float32


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=20, deadline=None)
def test_bytes_and_floats_give_the_same(seed, is_noise):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 90, 2)
    # Where few levels occur, neighbours are often equal and jumps often at a limit.
    levels = rng.integers(0, 256, 256 if is_noise else 4, dtype=np.uint8)
    planes = rng.choice(levels, (rng.choice([1, 3]), height, width))
    floats = planes.astype(np.float32)
    grey = grey_of(planes)
    np.testing.assert_array_equal(grey_of(floats), grey)
    np.testing.assert_allclose(
        pixel_statistics(floats, grey), pixel_statistics(planes, grey), rtol=1e-5
    )
    np.testing.assert_allclose(hog_statistics(floats), hog_statistics(planes), 1e-4)


def test_column_strokes_are_row_strokes_on_the_side():
    grey = grey_of(planes_of(FRAMES[0]))
    grey[::7] += 60
    grey[:, ::9] += 60
    turned = np.ascontiguousarray(grey.T)
    assert row_strokes(grey)[0] > 0 and column_strokes(grey)[0] > 0
    np.testing.assert_allclose(column_strokes(grey), row_strokes(turned))
    np.testing.assert_allclose(row_strokes(grey), column_strokes(turned))


# Counts and sums


@pytest.mark.parametrize("n_overlap", [0, 1, 2])
@pytest.mark.parametrize("n_rows", [1, 2, 3, 100])
def test_strips_follow_each_other(n_overlap, n_rows):
    values = np.arange(n_rows)
    strips = [values[rows] for rows in row_strips((n_rows, 5000), n_overlap)]
    inner = [strip[: len(strip) - n_overlap] for strip in strips]
    expected = values[: max(0, n_rows - n_overlap)]
    np.testing.assert_array_equal(np.concatenate([*inner, values[:0]]), expected)


@given(st.integers(1, 300), st.integers(1, 90), st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_masks_are_counted_and_grown(height, width, n_pixels):
    mask = np.random.default_rng(0).uniform(size=(height, width)) < 0.03
    np.testing.assert_array_equal(count_rows(mask), mask.sum(axis=1))
    np.testing.assert_array_equal(count_columns(mask), mask.sum(axis=0))
    expected = maximum_filter(mask, 2 * n_pixels + 1, mode="constant")
    np.testing.assert_array_equal(grow(mask, n_pixels), expected)
    means = tile_means(mask, 16)
    assert means.shape == (max(1, height // 16), max(1, width // 16))
    last = mask[(len(means) - 1) * 16 :, (means.shape[1] - 1) * 16 :]
    assert means[-1, -1] == pytest.approx(last.mean())


def test_sums_of_runs_are_weighted_counts():
    rng = np.random.default_rng(0)
    keys = np.sort(rng.integers(0, 6, (30, 40)), axis=1)
    weights = np.where(np.arange(40) == 0, 1.0, 2.0) * np.ones((30, 1))
    values = rng.standard_normal((30, 40))
    sums = KeySums(keys, 5, weights)
    expected = np.bincount(keys.ravel(), (weights * values).ravel())[:5]
    np.testing.assert_allclose(sums.sums(values), expected)
    means = sums.means(values)
    np.testing.assert_allclose(means * sums.totals, expected)
    np.testing.assert_array_equal(sums.spread(means), np.append(means, 0)[keys.ravel()])


@given(st.integers(1, 3000), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_selection_is_that_of_sorting(n, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(n).round(1).astype(np.float32)
    shares = (0.0, 0.01, 0.5, 0.99, 1.0)
    places = (np.array(shares) * (n - 1)).astype(int)
    np.testing.assert_array_equal(quantiles(values, shares), np.sort(values)[places])
    n_largest = max(1, n // 20)
    cut, where = largest(values, n_largest, 1.0)
    assert cut == max(np.sort(values)[-n_largest], 1)
    np.testing.assert_array_equal(where, np.flatnonzero(values >= cut))
