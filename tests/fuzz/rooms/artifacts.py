"""Valid calls of sklvyso.artifacts."""

import dataclasses
import functools

import numpy as np

from sklvyso import artifacts
from sklvyso.artifacts import (
    ArtifactDetector,
    ArtifactSimulator,
    DFTFeaturizer,
    FrameStreamDetector,
    GraphLaplacianFeaturizer,
    HOGFeaturizer,
    PixelPatternFeaturizer,
)
from sklvyso.datasets import make_game_frames
from tests.fuzz.cases import Case, fitting, fixed, method_of

ROOM = "artifacts"
CLEAN = make_game_frames(6, height=32, width=40, n_games=2, random_state=0)
FRAMES, GAMES = CLEAN.images, CLEAN.group
FEW = FRAMES[:3]
DETECTOR = {
    "artifacts": ["triangulation", "dotted_lines"],
    "featurizers": [PixelPatternFeaturizer()],
    "n_simulated": 1,
    "restyle": False,
    "cv": 2,
    "tiles": (2, 2),
    "random_state": 0,
}
# A list of texts is a list of files.
ALSO = (
    "X",
    "path_or_array",
    "frame",
    "frames",
    "Frames",
    "input_shape",
    "value_range",
    "image",
)
SLOW = "None trains the default detector, which takes longer than the limit"
# Featurizers compute in float32.
FLOAT32 = 1e-4


def cases():
    for group in (functions, featurizers, simulator, detector, stream):
        for case in group():
            # A message says what is wrong with a frame of X, or with all frames.
            paths = (*case.paths, "X", "previous")
            yield dataclasses.replace(case, also=ALSO, paths=paths)


def functions():
    yield Case(
        ROOM,
        "iter_frames",
        lambda **given: list(artifacts.iter_frames(**given)),
        fixed(path_or_array=FRAMES, step=2, resize=(24, 32), on_error="raise"),
        paths=("path_or_array",),
    )
    yield Case(
        ROOM,
        "make_artifact_frames",
        artifacts.make_artifact_frames,
        fixed(
            n_frames=2,
            height=32,
            width=40,
            n_games=1,
            artifacts=["dotted_lines"],
            corrupted=0.5,
            severity=1.0,
            random_state=0,
        ),
        cost=3,
    )

    def register(name, generator):
        before = dict(artifacts.ARTIFACTS)
        try:
            artifacts.register_artifact(name, generator)
        finally:
            artifacts.ARTIFACTS.clear()
            artifacts.ARTIFACTS.update(before)

    yield Case(
        ROOM,
        "register_artifact",
        register,
        lambda: {"name": "mine", "generator": lambda frame, *more: 255 - frame},
    )


def featurizers():
    for kind, params in {
        DFTFeaturizer: {"output_shape": (8, 8)},
        HOGFeaturizer: {"resize": (48, 48)},
        GraphLaplacianFeaturizer: {"n_moments": 4, "random_state": 0},
        PixelPatternFeaturizer: {},
    }.items():
        name = kind.__name__
        yield fitting(
            ROOM,
            kind,
            fixed(**params),
            fixed(X=FEW, y=None),
            lambda fitted, data: fitted.transform(FEW),
            rtol=FLOAT32,
            cost=3,
            unbounded=("batch_size", "n_jobs", "n_moments", "n_probes", "n_segments"),
        )
        fitted = functools.cache(
            lambda kind=kind, params=params: kind(**params).fit(FEW)
        )
        for method, arguments in {
            "transform": {"X": FEW},
            "get_feature_names_out": {"input_features": None},
            "describe_planes": {"planes": FEW[0].transpose(2, 0, 1).astype(np.float32)},
            "anomaly_map": {"X": FEW},
        }.items():
            if hasattr(kind, method):
                yield method_of(
                    ROOM,
                    fitted,
                    method,
                    fixed(**arguments),
                    owner=name,
                    rtol=FLOAT32,
                    cost=2,
                )


def simulator():
    params = fixed(artifacts=["dotted_lines"], random_state=0)
    for method, data in {
        "fit": {"X": FEW, "y": None},
        "fit_resample": {"X": FEW, "y": np.repeat("normal", 3)},
        "simulate": {"X": FEW, "groups": GAMES[:3], "previous": FEW[::-1], "start": 0},
        "corrupt": {
            "X": FEW,
            "artifact": "dotted_lines",
            "previous": FEW[::-1],
            "start": 0,
        },
    }.items():
        yield fitting(
            ROOM,
            ArtifactSimulator,
            params,
            fixed(**data),
            lambda fitted, data: None,
            method=method,
            cost=2,
            unbounded=("n_jobs", "start"),
        )


@functools.cache
def fitted_detector():
    return ArtifactDetector(**DETECTOR).fit(FRAMES, groups=GAMES)


def detector():
    yield fitting(
        ROOM,
        ArtifactDetector,
        fixed(**DETECTOR),
        fixed(
            X=FRAMES,
            y=np.repeat("normal", 6),
            groups=GAMES,
            clips=np.arange(6) // 2,
            sample_weight=np.arange(1, 7) / 8.0,
        ),
        lambda fitted, data: fitted.predict_proba(FEW),
        cost=40,
        rtol=FLOAT32,
        unbounded=("n_jobs", "verbose", "n_simulated", "n_selected", "cv"),
    )
    by_frame = {"X": FEW, "previous": FEW[::-1]}
    for name, arguments in {
        "predict": by_frame,
        "predict_proba": by_frame,
        "predict_artifacts": by_frame,
        "predict_artifact_proba": by_frame,
        "corrupted_proba": by_frame,
        "judge": by_frame,
        "explain": {**by_frame, "threshold": 0.5},
        "decision_function": {"X": FEW},
        "heat_map": {"X": FEW},
        "transform": {"X": FEW},
        "score": {"X": FEW, "y": np.array([0, 0, 1]), "sample_weight": None},
        "get_feature_names_out": {"input_features": None},
        "adapt": {"X": FRAMES, "assume": "normal", "clips": np.arange(6) // 2},
    }.items():
        outputs = (lambda e: e.predict_proba(FEW)) if name == "adapt" else None
        yield method_of(
            ROOM,
            fitted_detector,
            name,
            fixed(**arguments),
            outputs,
            owner="ArtifactDetector",
            rtol=FLOAT32,
            cost=6,
        )


def stream():
    small = {"detector": ArtifactDetector(**DETECTOR), "window": 3}
    yield fitting(
        ROOM,
        FrameStreamDetector,
        fixed(**small),
        fixed(X=FRAMES, y=None, groups=GAMES, clips=np.arange(6) // 2),
        lambda fitted, data: fitted.corrupted_proba(FEW),
        skip={"detector": SLOW},
        cost=40,
        rtol=FLOAT32,
        unbounded=("batch_size", "window", "min_length", "max_gap", "verbose"),
    )
    made = functools.cache(
        lambda: FrameStreamDetector.from_fitted(fitted_detector(), window=3)
    )
    for name in (
        "predict",
        "corrupted_proba",
        "predict_artifacts",
        "predict_artifact_proba",
        "intervals",
    ):
        yield method_of(
            ROOM,
            made,
            name,
            fixed(frames=FEW),
            owner="FrameStreamDetector",
            rtol=FLOAT32,
            paths=("frames",),
            cost=6,
        )
    yield Case(
        ROOM,
        "FrameStreamDetector.from_fitted",
        lambda **given: FrameStreamDetector.from_fitted(**given) and None,
        lambda: {"detector": fitted_detector(), "window": 3, "vote": "median"},
    )
