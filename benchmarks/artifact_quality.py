"""Does the detector find artifacts in games that it knows, and in others?

Real frames of five games (``SKLVYSO_DATA``), artifacts of the paper simulated on them
at severity 1, three on each judged frame; screens tear between the frames of a clip.
Balanced accuracy, the mean over artifacts of the recall against the share of normal
frames that are left alone:

``seen``
    Four folds by blocks of six clips, all games in training.
``new``
    Each game in turn is left out: purely inductive.
``clean``
    The same after ``adapt`` with 12 clean frames (six clips, which are not judged).
``stream``
    The same after ``adapt(assume="unlabelled")`` with the judged frames themselves.
``previous``
    As ``new``, with the other frame of the clip given.
``paper``
    The paper's experts and final estimator, ``seen`` (first fold) and ``new``, on every
    second clip.

Features of all frames are computed once, by the functions that ``fit`` itself calls,
and kept in the cache folder; every cell is a file in
``benchmarks/studies/artifact_quality/``, so that a run that broke goes on.

``python -m benchmarks.artifact_quality [seen] [new] [paper] [tables]``
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks._harness import STUDIES, data_home, machine, one_thread, table
from sklvyso.artifacts import ArtifactDetector, ArtifactSimulator
from sklvyso.artifacts import _detector_fit as fitting
from sklvyso.artifacts._combining import combine_probabilities
from sklvyso.artifacts._reference import measure_reference
from sklvyso.artifacts._targets import partners
from sklvyso.artifacts._training_frames import describe_simulated, plan_rounds
from sklvyso.datasets import load_game_frames

CELLS = STUDIES / "artifact_quality"
FILE = STUDIES / "artifact_quality.json"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sklvyso"
SEED = 0
N_SIMULATED = {"auto": 5, "paper": 4}
N_JUDGED = {"auto": 3, "paper": 2}
N_FOLDS = 4
BLOCK = 6
N_CLEAN_CLIPS = 6


class Frames:
    """All frames described once: as training rows and as rows to judge."""

    def __init__(self, experts):
        self.experts = experts
        self.bunch = load_game_frames(data_home())
        if experts == "paper":
            # Its features take half a megabyte a frame: every second clip.
            rows = self.bunch.clip % 2 == 0
            for name in ("images", "group", "clip", "frame"):
                self.bunch[name] = self.bunch[name][rows]
        self.games, self.codes = np.unique(self.bunch.group, return_inverse=True)
        self.detector = self.prototype(experts)
        self.simulator = self.detector._make_simulator()
        self.names = self.simulator.artifact_names
        self.detector._seed = SEED
        self.detector._is_table = False
        self.detector._choose(self.names, self.bunch.images[0])
        others = partners(self.bunch.clip, self.codes, len(self.codes))
        self.previous = [None if i < 0 else self.bunch.images[i] for i in others]
        self.rounds, self.n_judged = N_SIMULATED[experts], N_JUDGED[experts]
        self.training = self.cached(f"train-{experts}", self.describe_training)
        judged = self.cached(f"judge-{experts}", self.describe_judged)
        self.judged = fitting.TrainingRows(*judged, None, None)

    def prototype(self, experts):
        """Return an unfitted detector."""
        if experts == "auto":
            return ArtifactDetector(n_jobs=2, random_state=SEED, verbose=1)
        return ArtifactDetector(
            "paper",
            final_estimator=LogisticRegression(max_iter=1000),
            stack_method="binary",
            restyle=False,
            cv=2,
            n_jobs=1,
            random_state=SEED,
            verbose=1,
        )

    def cached(self, name, work):
        """Compute arrays, or read them."""
        path = CACHE / f"artifact-quality-{name}.npz"
        if path.exists():
            with np.load(path) as stored:
                return [stored[key] for key in ("Z", "pairs", "Y", "source")]
        Z, pairs, Y, source = work()[:4]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, Z=Z, pairs=pairs, Y=Y, source=source)
        return [Z, pairs, Y, source]

    def describe_training(self):
        """Describe what ``fit`` would: frames, artifacts, other looks."""
        return fitting.simulate_training_rows(
            self.bunch.images,
            self.previous,
            self.codes,
            self.detector.choice_,
            self.simulator,
            rounds=self.rounds,
            restyle=self.detector.restyle,
            seed=SEED,
            n_jobs=2,
            verbose=1,
        )

    def describe_judged(self):
        """Describe the same frames with other artifacts."""
        return describe_simulated(
            self.bunch.images,
            self.previous,
            self.detector.choice_.featurizers,
            self.simulator,
            plan_rounds(self.codes, self.names, self.n_judged, 1000),
            1000,
            n_jobs=2,
            verbose=1,
        )

    def fitted(self, is_known):
        """Return a detector that knows the given frames."""
        Z, pairs, Y, source = self.training
        rows = is_known[source]
        detector = self.prototype(self.experts)
        detector._seed = SEED
        detector.choice_ = self.detector.choice_
        detector.training_ = fitting.TrainingRows(
            Z[rows], pairs[rows], Y[rows], source[rows], self.codes[source[rows]], None
        )
        detector.simulator_, detector.artifacts_ = self.simulator, self.names
        detector.tile_expert_, detector._is_table = None, False
        detector.fitted_adapted_, detector.n_adapted_frames_ = None, 0
        detector._name_classes(None)
        detector.fitted_ = detector._fit_experts(detector.training_)
        is_normal = ~detector.training_.Y.any(axis=1)
        detector.normal_ = measure_reference(detector.training_.Z[is_normal])
        return detector

    def judge(self, detector, is_judged, with_pairs=False):
        """Return probabilities, those of experts, and the threshold on some frames."""
        rows = np.flatnonzero(is_judged[self.judged.source])
        pairs = self.judged.pairs[rows] if with_pairs else None
        experts, corrupted = detector._experts_say(self.judged.Z[rows], pairs)
        Y = self.judged.Y[rows]
        result = scores(Y, corrupted, experts, detector._threshold(pairs), self.names)
        result["combine"] = {
            rule: scores(
                Y,
                combine_probabilities(experts, rule, "proba", None),
                experts,
                0.5,
                self.names,
            )["balanced_accuracy"]
            for rule in ("or", "noisy_or", "mean")
        }
        return result


def scores(Y, corrupted, experts, threshold, names):
    """Return the numbers of one protocol on one game."""
    is_flagged = corrupted >= threshold
    is_normal = ~Y.any(axis=1)
    own = {}
    for k, name in enumerate(names):
        rows = Y[:, k] | is_normal
        own[name] = {
            "recall": float(is_flagged[Y[:, k]].mean()),
            "expert_auc": float(roc_auc_score(Y[rows, k], experts[rows, k])),
            "auc": float(roc_auc_score(Y[rows, k], corrupted[rows])),
            "named": float(np.mean(experts[Y[:, k]].argmax(axis=1) == k)),
        }
    false_alarms = float(is_flagged[is_normal].mean())
    recall = float(np.mean([entry["recall"] for entry in own.values()]))
    return {
        "balanced_accuracy": (recall + 1 - false_alarms) / 2,
        "auc": float(roc_auc_score(~is_normal, corrupted)),
        "false_positive_rate": false_alarms,
        "recall": recall,
        "artifacts": own,
    }


def compute(work, *key):
    """Compute a cell unless it is there."""
    path = CELLS / ("-".join(map(str, key)) + ".json")
    if path.exists():
        return json.loads(path.read_text())
    start = time.perf_counter()
    result = work()
    result["seconds"] = round(time.perf_counter() - start, 1)
    CELLS.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result) + "\n")
    print(*key, {k: v for k, v in result.items() if np.isscalar(v)}, flush=True)
    return result


def seen(frames, experts="auto", folds=range(N_FOLDS)):
    """Compute the cells of games that are known."""
    blocks = frames.bunch.clip // BLOCK % N_FOLDS
    for fold in folds:
        detector = None
        for code, game in enumerate(frames.games):
            is_judged = (frames.codes == code) & (blocks == fold)
            if (CELLS / f"{experts}-seen-{game}-{fold}.json").exists():
                continue
            detector = detector or frames.fitted(blocks != fold)
            compute(
                lambda d=detector, j=is_judged: frames.judge(d, j),
                *(experts, "seen", game, fold),
            )


def new(frames, experts="auto"):
    """Compute the cells of games that are left out."""
    protocols = (
        ("new",) if experts == "paper" else ("new", "previous", "clean", "stream")
    )
    for code, game in enumerate(frames.games):
        is_own = frames.codes == code
        left = [
            p
            for p in protocols
            if not (CELLS / f"{experts}-{p}-{game}-0.json").exists()
        ]
        if not left:
            continue
        clips = np.unique(frames.bunch.clip[is_own])
        places = np.linspace(0, len(clips) - 1, N_CLEAN_CLIPS).astype(int)
        is_clean = is_own & np.isin(frames.bunch.clip, clips[places])
        is_judged = is_own & ~is_clean
        detector = frames.fitted(~is_own)

        def judge(protocol, d=detector, j=is_judged, c=is_clean):
            if protocol == "clean":
                rows = np.flatnonzero(c)
                d.adapt(frames.bunch.images[rows], clips=frames.bunch.clip[rows])
            if protocol == "stream":
                d.adapt(judged_frames(frames, j), assume="unlabelled")
            return frames.judge(d, j, with_pairs=protocol == "previous")

        for protocol in left:
            compute(lambda p=protocol: judge(p), experts, protocol, game, 0)


def judged_frames(frames, is_judged, n_frames=120):
    """Return frames of the stream, half of them corrupted, evenly spread."""
    rows = np.flatnonzero(is_judged)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, n_frames).astype(int))]
    previous = [frames.previous[i] for i in rows]
    simulator = ArtifactSimulator(random_state=2000, on_unchanged="ignore")
    return simulator.simulate(frames.bunch.images[rows], previous=previous)[0]


def read_cells(experts, protocol):
    """Return cells of a protocol by game, means over folds."""
    cells = {}
    for path in sorted(CELLS.glob(f"{experts}-{protocol}-*.json")):
        game = path.stem.split("-")[2]
        cells.setdefault(game, []).append(json.loads(path.read_text()))
    return cells


def tables():
    """Print and store the tables."""
    quality, by_artifact, paper = [], [], []
    for experts, protocol in (
        *(("auto", p) for p in ("seen", "new", "previous", "clean", "stream")),
        *(("paper", p) for p in ("seen", "new")),
    ):
        cells = read_cells(experts, protocol)
        if not cells:
            continue
        own = {
            g: float(np.mean([c["balanced_accuracy"] for c in cells[g]])) for g in cells
        }
        every = [cell for found in cells.values() for cell in found]
        row = {"detector": experts, "protocol": protocol, **own}
        row["mean"] = float(np.mean(list(own.values())))
        row["AUC"] = float(np.mean([cell["auc"] for cell in every]))
        row["false positives"] = float(
            np.mean([c["false_positive_rate"] for c in every])
        )
        row["by OR"] = float(np.mean([c["combine"]["or"] for c in every]))
        quality.append(row)
        rows = by_artifact if experts == "auto" else paper
        for name in every[0]["artifacts"]:
            row = next((r for r in rows if r["artifact"] == name), None)
            if row is None:
                row = {"artifact": name}
                rows.append(row)
            numbers = [cell["artifacts"][name] for cell in every]
            areas = [number["expert_auc"] for number in numbers]
            row[f"{protocol}: recall"] = float(np.mean([n["recall"] for n in numbers]))
            row[f"{protocol}: expert AUC"] = float(np.mean(areas))
            row[f"{protocol}: least"] = float(np.min(areas))
    for rows in filter(None, (quality, by_artifact, paper)):
        print(table(rows), end="\n\n")
    result = {
        **machine(),
        "quality": quality,
        "by_artifact": by_artifact,
        "paper": paper,
    }
    FILE.write_text(json.dumps(result, indent=1) + "\n")


def run(parts=("seen", "new", "paper", "tables")):
    """Run the named parts."""
    one_thread()
    if {"seen", "new"} & set(parts):
        frames = Frames("auto")
        if "new" in parts:
            new(frames)
        if "seen" in parts:
            seen(frames)
    if "paper" in parts:
        frames = Frames("paper")
        new(frames, "paper")
        seen(frames, "paper", folds=(0,))
    if "tables" in parts:
        tables()


if __name__ == "__main__":
    run(sys.argv[1:] or ("seen", "new", "paper", "tables"))
