"""The command ``python -m sklvyso.artifacts scan``: find corrupted frames in files."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

import joblib
import numpy as np
from tqdm.auto import tqdm

from sklvyso.artifacts import _frames
from sklvyso.artifacts._detector import ArtifactDetector
from sklvyso.artifacts._reading import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    _files_of,
    _natural_order,
    iter_frames,
    read_image,
)
from sklvyso.artifacts._report import (
    ScanResult,
    counted,
    printable,
    write_report,
)
from sklvyso.artifacts._scanner import Scanner

_MIN_SIZE = 32
_MANY_FRAMES = (*VIDEO_SUFFIXES, ".npy")
_INTERRUPTED = 130
# From so many frames on, more than such a share is no longer a matter of single ones.
_FEWEST_TO_DOUBT, _DOUBTFUL_SHARE = 12, 1 / 3
_DESCRIPTION = """\
Find corrupted frames in images, animations, videos (pip install "sklvyso[video]") and
.npy arrays, and write a report that opens in any browser.

  train on clean frames, a subfolder a game, keep the model, and scan:
    python -m sklvyso.artifacts scan captures/ --report report.html \\
        --train clean/ --save-model model.pkl
  later, on a game that the model has never seen, with some clean frames of it:
    python -m sklvyso.artifacts scan run7.mp4 --report run7.html --stream \\
        --model model.pkl --adapt clean_frames_of_the_new_game/
"""
_NO_MODEL = (
    "pass --train FOLDER with clean frames of your games (a subfolder a game), or "
    "--model FILE that an earlier scan wrote with --save-model"
)
_PICKLE = (
    "WARNING: a model file can run any program when it is loaded, except if its name "
    "ends in .skops: load files from people whom you trust"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        What stands after ``python -m sklvyso.artifacts``; None takes ``sys.argv``.

    Returns
    -------
    code : int
        0, or 1 if no frame could be read, or 130 if interrupted. Wrong usage raises
        ``SystemExit(2)``.
    """
    options = parse(arguments)
    unreadable: list[tuple[str, str]] = []
    try:
        detector = make_detector(options, unreadable)
    except KeyboardInterrupt:
        print("Interrupted before the first frame: no report.", file=sys.stderr)
        return _INTERRUPTED
    except ValueError as error:
        fail(str(error))
    scanner = Scanner(detector, options.threshold, options.top, options.stream)
    result = scanner.result
    result.unreadable = unreadable
    with tqdm(
        total=expected_frames(options), unit="frames", disable=options.quiet
    ) as bar:
        for files in options.sources:
            frames = named_frames(files, unreadable)
            frames = itertools.islice(frames, 0, None, options.step)
            scanner.look_through(counting(frames, bar))
            if result.is_interrupted:
                break
    if not options.quiet:
        print_tables(result)
        if options.adapt is None:
            print_doubt(result)
    try:
        write_report(result, options.report, detector.artifacts_)
    except OSError as error:
        fail(f"the report could not be written: {error}")
    print(f"{result.summary()}; report: {printable(options.report)}")
    if result.is_interrupted:
        return _INTERRUPTED
    return 0 if result.n_frames else 1


# -- arguments ------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; its ``sources`` are lists of files."""
    parser = argparse.ArgumentParser(prog="python -m sklvyso.artifacts")
    command = parser.add_subparsers(required=True, metavar="scan").add_parser(
        "scan",
        help="find corrupted frames in files",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_arguments(command)
    options = parser.parse_args(arguments)
    if options.model is None and options.train is None:
        command.error(_NO_MODEL)
    if options.fpr is not None and options.train is None and options.adapt is None:
        command.error("--fpr needs --train or --adapt; else pass --threshold")
    for folder in (options.train, options.adapt):
        if folder is not None and not os.path.isdir(folder):
            command.error(f"there is no folder {printable(folder)}")
    if options.model is not None and not os.path.isfile(options.model):
        command.error(f"there is no file {printable(options.model)}")
    for file in (options.report, options.save_model):
        # Better now than after hours of scanning.
        if file is not None and not os.path.isdir(os.path.dirname(file) or "."):
            command.error(f"there is no folder for {printable(file)}")
        if file is not None and os.path.isdir(file):
            command.error(f"{printable(file)} must be a file, it is a folder")
    try:
        options.sources = [files for path in options.paths for files in sources(path)]
    except FileNotFoundError as error:
        command.error(str(error))
    return options


def _add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("paths", nargs="+", metavar="PATH", help="folder, file or pattern")
    add("--report", required=True, metavar="FILE", help="HTML file to write")
    models = command.add_mutually_exclusive_group()
    models.add_argument("--model", metavar="FILE", help=f"use this model. {_PICKLE}")
    models.add_argument(
        "--train", metavar="FOLDER", help="learn from clean frames, a subfolder a game"
    )
    add("--save-model", metavar="FILE", help="keep the model; .skops is safe to share")
    add("--adapt", metavar="FOLDER", help="clean frames of the game to be scanned")
    limits = command.add_mutually_exclusive_group()
    limits.add_argument(
        "--threshold", type=_share, metavar="T", help="flag from this probability on"
    )
    limits.add_argument(
        "--fpr", type=_share, metavar="F", help="share of clean frames to be flagged"
    )
    add("--step", type=_positive, default=1, metavar="N", help="every N-th frame")
    add(
        "--top",
        type=_not_negative,
        default=100,
        metavar="N",
        help="frames with pictures in the report (default: 100)",
    )
    add("--jobs", type=int, default=1, metavar="N", help="processes, -1 for all")
    add(
        "--stream",
        action="store_true",
        help="frames are in playing order: smooth over 5, use the one before",
    )
    add("--quiet", action="store_true", help="print the summary line only")


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be in [0, 1], got {text}")
    return value


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return value


def fail(message: str) -> NoReturn:
    """End with exit code 2 and a message."""
    print(f"python -m sklvyso.artifacts scan: error: {message}", file=sys.stderr)
    raise SystemExit(2)


# -- files ----------------------------------------------------------------------------


def sources(path: str) -> list[list[str]]:
    """Return the files of a path, each list the frames of one stream.

    Images of a folder are a stream, and those of each folder in it; every video and
    every array is one.
    """
    if not os.path.isdir(path):
        return _streams(_files_of(path))
    suffixes = (*IMAGE_SUFFIXES, *_MANY_FRAMES)
    found = []
    for folder, folders, names in os.walk(path):
        folders.sort(key=_natural_order)
        names = [name for name in names if name.lower().endswith(suffixes)]
        names.sort(key=_natural_order)
        found += _streams([os.path.join(folder, name) for name in names])
    return found


def _streams(files: Sequence[str]) -> list[list[str]]:
    alone = [[file] for file in files if file.lower().endswith(_MANY_FRAMES)]
    images = [file for file in files if not file.lower().endswith(_MANY_FRAMES)]
    return [images, *alone] if images else alone


def named_frames(
    files: Sequence[str], unreadable: list[tuple[str, str]]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and frames; add files that cannot be read, with the reason."""
    for file in files:
        is_numbered = file.lower().endswith(_MANY_FRAMES)
        try:
            for number, frame in enumerate(iter_frames(file)):
                name = f"{file}#{number}" if is_numbered or number else file
                yield name, _frames.check_frame(frame, _MIN_SIZE)
        except (ValueError, OSError, EOFError, ImportError) as error:
            unreadable.append((file, str(error)))


def counting(frames: Iterable[Any], bar: Any) -> Iterator[Any]:
    """Advance a progress bar by one for each frame."""
    for item in frames:
        yield item
        bar.update()


def expected_frames(options: argparse.Namespace) -> int | None:
    """Return how many frames there are, None where only reading would tell."""
    if any(files[0].lower().endswith(_MANY_FRAMES) for files in options.sources):
        return None
    return sum(-(-len(files) // options.step) for files in options.sources)


def clean_frames(
    folder: str, unreadable: list[tuple[str, str]]
) -> tuple[list[str], list[str]]:
    """Return readable image files of a folder and its subfolders, and their games."""
    files, games = [], []
    for stream in sources(folder):
        for file in stream:
            try:
                _frames.check_frame(read_image(file), _MIN_SIZE)
            except (ValueError, OSError) as error:
                unreadable.append((file, str(error)))
                continue
            files.append(file)
            games.append(os.path.relpath(file, folder).split(os.sep)[0])
    if not files:
        raise ValueError(
            f"{printable(folder)} must hold clean frames, images of at least "
            f"{_MIN_SIZE} rows and columns. Got {counted(len(unreadable), 'file')}, "
            "none of them readable."
        )
    # Files that lie in the folder itself are one game.
    games = [
        "" if os.path.isfile(os.path.join(folder, game)) else game for game in games
    ]
    return files, games


# -- model ----------------------------------------------------------------------------


def make_detector(
    options: argparse.Namespace, unreadable: list[tuple[str, str]]
) -> ArtifactDetector:
    """Load or train a detector, adapt and save it."""
    if options.model is not None:
        detector = load_model(options.model)
    else:
        detector = train(options, unreadable)
    detector.set_params(n_jobs=options.jobs, verbose=int(not options.quiet))
    if options.adapt is not None:
        if options.fpr is not None:
            detector.set_params(target_fpr=options.fpr)
        files, _ = clean_frames(options.adapt, unreadable)
        detector.adapt(files, clips=[0] * len(files) if options.stream else None)
    if options.save_model is not None:
        save_model(detector, options.save_model)
    return detector.set_params(verbose=0)


def train(
    options: argparse.Namespace, unreadable: list[tuple[str, str]]
) -> ArtifactDetector:
    """Fit a detector on clean frames.

    Parameters
    ----------
    options : argparse.Namespace
        Of :func:`parse`.
    unreadable : list of (str, str)
        Gets files that cannot be read, with the reason.

    Returns
    -------
    detector : ArtifactDetector
        Fitted; a subfolder was taken for a game.
    """
    files, games = clean_frames(options.train, unreadable)
    n_games = len(set(games))
    if not options.quiet:
        where = f"{counted(len(files), 'frame')} of {counted(n_games, 'game')}"
        print(f"Training on {where}.", file=sys.stderr)
    detector = ArtifactDetector(
        target_fpr=options.fpr,
        random_state=0,
        n_jobs=options.jobs,
        verbose=int(not options.quiet),
    )
    if options.threshold is not None:
        detector.set_params(threshold=options.threshold)
    return detector.fit(
        files,
        groups=games if n_games > 1 else None,
        clips=[0] * len(files) if options.stream else None,
    )


def load_model(path: str) -> ArtifactDetector:
    """Read a fitted detector."""
    try:
        model = _load_skops(path) if path.endswith(".skops") else joblib.load(path)
    except Exception as error:  # a file that is no pickle raises just about anything
        fail(f"{printable(path)} must be a model. Got: {error}")
    if not isinstance(model, ArtifactDetector):
        fail(
            f"{printable(path)} must hold an ArtifactDetector. "
            f"Got {type(model).__name__}."
        )
    return model


def _load_skops(path: str) -> Any:
    import skops.io  # optional, and slow to import

    found = skops.io.get_untrusted_types(file=path)
    strange = [name for name in found if not _is_trusted(name)]
    if strange:
        raise ValueError(f"it holds types that are not ours: {', '.join(strange)}")
    return skops.io.load(path, trusted=found)


def _is_trusted(name: str) -> bool:
    """Say whether a name is that of a class of this room: functions could be run."""
    if name == "sklearn.tree._tree.Tree":
        return True
    module, _, attribute = name.rpartition(".")
    if not re.fullmatch(r"sklvyso\.artifacts\._[a-z]\w*", module):
        return False
    try:
        kind = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(kind, type) and kind.__module__ == module


def save_model(detector: ArtifactDetector, path: str) -> None:
    """Write a fitted detector, by skops if the name ends so, else as a pickle."""
    if not path.endswith(".skops"):
        joblib.dump(detector, path, compress=3)
        return
    try:
        import skops.io
    except ImportError:
        fail("a .skops file needs skops: pip install skops")
    skops.io.dump(detector, path, compression=8)  # zipfile.ZIP_DEFLATED


# -- printing -------------------------------------------------------------------------


def print_tables(result: ScanResult) -> None:
    """Print flagged frames, intervals, and files that could not be read."""
    _print_table(
        ("frame", "artifact", "probability"),
        [
            (finding.name, finding.artifact, f"{finding.probability:.2f}")
            for finding in result.most_suspicious_first
        ],
    )
    _print_table(
        ("from", "to", "frames", "artifact", "probability"),
        [
            (first, last, str(n), artifact, f"{probability:.2f}")
            for first, last, n, artifact, probability in result.intervals
        ],
    )
    _print_table(("not readable", "reason"), result.unreadable)


def print_doubt(result: ScanResult) -> None:
    """Say what to do when so many frames are flagged that the model may be wrong."""
    n_flagged, n_frames = len(result.flagged), result.n_frames
    if n_frames >= _FEWEST_TO_DOUBT and n_flagged > _DOUBTFUL_SHARE * n_frames:
        print(
            f"Many frames are flagged, {n_flagged} of {n_frames}. If the game is "
            "unknown to the model, give a few clean frames of it: --adapt FOLDER."
        )


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    lines = [heads, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:<{n}}" for cell, n in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
    print()
