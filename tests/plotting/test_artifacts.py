"""ArtifactDisplay: what is stored and drawn."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import roc_auc_score

from sklvyso.artifacts import ArtifactDetector, ArtifactSimulator
from sklvyso.datasets import make_game_frames
from sklvyso.plotting import ArtifactDisplay

matplotlib = pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
matplotlib.use("Agg")

NAMES = ["morse_code", "triangulation"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="module")
def games():
    return make_game_frames(12, height=64, width=96, n_games=2, random_state=0)


@pytest.fixture(scope="module")
def detector(games):
    return ArtifactDetector(
        artifacts=NAMES, n_simulated=2, tiles=(2, 3), cv=2, random_state=0
    ).fit(games.images, groups=games.group, clips=games.clip)


@pytest.fixture(scope="module")
def spoiled(games):
    return ArtifactSimulator(random_state=0).corrupt(games.images[:1], "morse_code")[0]


def test_frame_bars_and_title_are_those_of_the_detector(detector, spoiled):
    display = ArtifactDisplay.from_detector(detector, spoiled)
    np.testing.assert_array_equal(display.image_.get_array(), spoiled)
    [experts] = detector.predict_artifact_proba([spoiled])
    assert [bar.get_width() for bar in display.bars_] == pytest.approx(list(experts))
    labels = [tick.get_text() for tick in display.bars_ax_.get_yticklabels()]
    assert labels == NAMES
    [corrupted] = detector.corrupted_proba([spoiled])
    assert display.ax_.get_title() == f"corrupted: {corrupted:.2f}, flagged"
    assert display.figure_ is display.ax_.figure is display.bars_ax_.figure


def test_heat_map_covers_the_frame_and_is_of_the_likeliest_artifact(detector, spoiled):
    display = ArtifactDisplay.from_detector(detector, spoiled)
    [maps] = detector.heat_map([spoiled])
    np.testing.assert_allclose(display.heat_image_.get_array(), maps[0], atol=1e-12)
    assert display.heat_image_.get_extent() == [-0.5, 95.5, 63.5, -0.5]
    assert "morse_code" in display.ax_.get_xlabel()
    other = ArtifactDisplay.from_detector(detector, spoiled, artifact="triangulation")
    assert "triangulation" in other.ax_.get_xlabel()
    assert other.heat_map.max() < display.heat_map.max()


def test_outlines_surround_hot_tiles():
    heat = [[0.9, 0.1, 0.1], [0.1, 0.1, 0.1]]
    display = ArtifactDisplay(frame=np.zeros((20, 30), np.uint8), heat_map=heat).plot()
    segments = np.array(display.outlines_.get_segments())
    assert len(segments) == 4
    assert segments.min() == -0.5 and segments.max() == 9.5


def test_one_axes_gets_the_frame_and_two_get_both(detector, spoiled):
    _, axes = matplotlib.pyplot.subplots(1, 3)
    display = ArtifactDisplay.from_detector(detector, spoiled, ax=axes[0])
    assert display.ax_ is axes[0] and display.bars_ is None
    assert display.plot(axes[1:], name="frame 7") is display
    assert display.bars_ax_ is axes[2]
    assert display.ax_.get_title().startswith("frame 7\ncorrupted")
    with pytest.raises(ValueError, match=r"one or two axes. Got 3"):
        display.plot(axes)


def test_a_previous_frame_and_a_file_are_taken(detector, games, tmp_path):
    from skimage.io import imsave

    frame, before = games.images[0], games.images[1]
    display = ArtifactDisplay.from_detector(detector, frame, previous=before)
    [corrupted] = detector.corrupted_proba([frame], [before])
    assert display.corrupted == pytest.approx(corrupted)
    path = tmp_path / "frame.png"
    imsave(path, frame, check_contrast=False)
    from_file = ArtifactDisplay.from_detector(detector, path)
    np.testing.assert_array_equal(from_file.frame, frame)
    assert from_file.corrupted == pytest.approx(detector.corrupted_proba([frame])[0])


def test_a_frame_of_any_range_is_drawn_in_its_colours(detector, spoiled):
    for frame in (spoiled / 255, spoiled.astype(np.uint16) * 257):
        display = ArtifactDisplay.from_detector(detector, frame)
        np.testing.assert_allclose(display.frame, spoiled / 255)


def test_without_tiles_there_is_no_heat_map(games, spoiled):
    y = np.arange(12) % 2
    labelled = ArtifactDetector(cv=2, random_state=0).fit(games.images, y)
    display = ArtifactDisplay.from_detector(labelled, spoiled)
    assert display.heat_image_ is None and display.outlines_ is None
    assert len(display.bars_) == 1


def test_grey_and_float_frames_keep_their_brightness():
    for frame, limit in (
        (np.full((32, 40), 9, np.uint8), 255),
        (np.zeros((32, 40)), 1),
    ):
        display = ArtifactDisplay(frame=frame).plot()
        assert display.image_.get_clim() == (0, limit)
    assert (
        ArtifactDisplay(frame=np.zeros((32, 40, 1))).plot().image_.get_array().ndim == 2
    )


def test_curves_by_artifact_compare_with_all_normal_frames():
    artifact = np.array(["normal", "", "a", "a", "b", "normal"])
    scores = np.array([0.1, 0.5, 0.4, 0.7, 0.9, 0.2])
    display = ArtifactDisplay.from_predictions(artifact, scores, alpha=0.5)
    assert list(display.lines_) == ["b", "a", "all"]
    rows = artifact != "b"
    area = roc_auc_score(artifact[rows] == "a", scores[rows])
    assert display.lines_["a"].get_label() == f"a ({area:.2f})"
    assert display.lines_["a"].get_alpha() == 0.5
    assert display.ax_.get_xlabel() == "false-positive rate"


def test_curves_by_game_and_from_an_indicator():
    Y = np.array([[0, 0], [1, 0], [0, 1], [0, 0], [1, 0], [0, 1]])
    scores = np.array([0.5, 0.4, 0.9, 0.1, 0.2, 0.3])
    games = np.array(["x", "x", "x", "y", "y", "y"])
    display = ArtifactDisplay.from_predictions(Y, scores, games)
    labels = [line.get_label() for line in display.lines_.values()]
    assert labels == ["y (1.00)", "x (0.50)", "all (0.62)"]
    one = ArtifactDisplay.from_predictions(
        Y, scores, games, names=NAMES, artifact="triangulation"
    )
    assert one.lines_["x"].get_label() == "x (1.00)"
    pooled = ArtifactDisplay.from_predictions(Y, scores, names=NAMES)
    assert set(pooled.lines_) == {*NAMES, "all"}


def test_binary_labels_give_one_curve_and_many_artifacts_stay_apart():
    display = ArtifactDisplay.from_predictions([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.3])
    assert list(display.lines_) == ["corrupted"]
    names = [f"artifact{k}" for k in range(21)]
    scores = np.linspace(0, 1, 42)
    many = ArtifactDisplay.from_predictions(["normal"] * 21 + names, scores)
    looks = {(line.get_color(), line.get_linestyle()) for line in many.lines_.values()}
    assert len(looks) == 22


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"One of frame and curves must be given. Got neither"),
        ({"frame": [[1]], "curves": {"a": ([0], [1])}}, r"Got both"),
        ({"frame": np.zeros((2, 3, 2))}, r"frame must have shape .* Got shape \(2, 3,"),
        ({"frame": [[1]], "heat_map": [1]}, r"heat_map must have shape"),
    ],
)
def test_wrong_parts_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ArtifactDisplay(**options)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((["a", "normal"], [1, 0], ["x", "y"]), {}, r"'x' needs normal and corrupted"),
        ((["normal", ""], [1, 0]), {}, r"normal frames only"),
        ((["a", "normal"], [[1], [0]]), {}, r"one number for each frame"),
        ((["a", "normal"], [1, 0]), {"artifact": "b"}, r"one of \['a'\]. Got 'b'"),
        (([[1, 0], [0, 0]], [1, 0]), {"names": ["a"]}, r"the 2 columns .* Got 1"),
        ((["a", "normal"], [1]), {}, r"inconsistent numbers"),
    ],
)
def test_wrong_predictions_are_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        ArtifactDisplay.from_predictions(*arguments, **options)


def test_wrong_detectors_and_frames_are_named(detector, spoiled):
    other = DummyClassifier().fit([[0], [1]], [0, 1])
    with pytest.raises(TypeError, match=r"ArtifactDetector. Got DummyClassifier"):
        ArtifactDisplay.from_detector(other, spoiled)
    with pytest.raises(ValueError, match=r"artifact must be one of \['morse_code'"):
        ArtifactDisplay.from_detector(detector, spoiled, artifact="shader")
    with pytest.raises(TypeError, match=r"frame must be one frame.* Got list"):
        ArtifactDisplay.from_detector(detector, [spoiled])
    with pytest.raises(ValueError, match=r"A frame must be numbers of shape"):
        ArtifactDisplay.from_detector(detector, spoiled[np.newaxis])
