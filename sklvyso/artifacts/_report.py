"""The report of a scan: one HTML file that needs nothing else."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import base64
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from sklvyso.artifacts import _frames

_WIDTH = 480
# A frame that much wider than its thumbnail also shows its worst tile in full size.
_DETAIL_FROM = 1.5
_HEAT_COLOUR = (255, 0, 110)
_HEAT_OPACITY = 110
# Below this probability of the worst tile the heat map fades, instead of being
# stretched until noise looks like an artifact.
_FAINT = 0.25


@dataclass
class Finding:
    """A flagged frame.

    ``picture`` and ``detail`` are JPEG files, ``heat_map`` is a PNG file; all None
    where the frame is not among the most suspicious. ``artifacts`` and ``features`` are
    those of :meth:`ArtifactDetector.explain`.
    """

    name: str
    number: int
    artifact: str
    probability: float
    artifacts: list[tuple[str, float]]
    features: list[dict[str, Any]] = field(default_factory=list)
    picture: bytes | None = None
    detail: bytes | None = None
    heat_map: bytes | None = None


@dataclass
class ScanResult:
    """What a scan found.

    ``flagged`` is in playing order; ``unreadable`` holds (file, reason); ``intervals``
    (first frame, last frame, number of frames, artifact, probability).
    """

    threshold: float
    n_frames: int = 0
    flagged: list[Finding] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    intervals: list[tuple[str, str, int, str, float]] = field(default_factory=list)
    is_interrupted: bool = False

    @property
    def most_suspicious_first(self) -> list[Finding]:
        """Flagged frames by probability, in playing order where it is the same."""
        return sorted(self.flagged, key=lambda finding: -finding.probability)

    def summary(self) -> str:
        """Return the result in one line."""
        text = f"{counted(self.n_frames, 'frame')}, {len(self.flagged)} flagged"
        counts = Counter(finding.artifact for finding in self.flagged).most_common()
        if counts:
            text += f" ({', '.join(f'{name} {n}' for name, n in counts)})"
        if self.unreadable:
            text += f", {counted(len(self.unreadable), 'file')} not readable"
        return text + (", interrupted" if self.is_interrupted else "")


def counted(n: int, thing: str) -> str:
    """Return "1 frame" or "2 frames"."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def printable(name: str) -> str:
    """Return a file name without control characters and undecodable bytes."""
    name = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in name
    )


def add_pictures(
    finding: Finding, frame: np.ndarray, heat_map: Any, value_range: Any
) -> None:
    """Add thumbnail, heat map and the worst tile in full size to a finding.

    Parameters
    ----------
    finding : Finding
        Gets the pictures.
    frame : ndarray of shape (H, W) or (H, W, C)
        Its frame.
    heat_map : ndarray of shape (rows, columns) or None
        Probability of the artifact in each tile.
    value_range : "auto" or (float, float)
        Of the frame's values.
    """
    pixels = np.moveaxis(_frames.planes_of(frame, value_range), 0, 2)
    pixels = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    finding.picture = _jpeg(pixels, _WIDTH)
    if heat_map is None:
        return
    strength = np.clip(heat_map / max(float(heat_map.max()), _FAINT), 0, 1)
    colours = np.empty((*heat_map.shape, 4), dtype=np.uint8)
    colours[..., :3] = _HEAT_COLOUR
    colours[..., 3] = np.rint(strength * _HEAT_OPACITY)
    finding.heat_map = _encoded(colours, "PNG")
    if pixels.shape[1] >= _DETAIL_FROM * _WIDTH:
        tiles = _frames.tile_slices(pixels.shape[:2], heat_map.shape)
        finding.detail = _jpeg(pixels[tiles[int(heat_map.argmax())]], _WIDTH)


def _jpeg(pixels: np.ndarray, width: int) -> bytes:
    return _encoded(pixels.squeeze(), "JPEG", width)


def _encoded(pixels: np.ndarray, kind: str, width: int | None = None) -> bytes:
    from PIL import Image  # comes with scikit-image; needed for files only

    image = Image.fromarray(pixels)
    if width is not None:
        image.thumbnail((width, width))
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=85, optimize=True)
    return buffer.getvalue()


def write_report(
    result: ScanResult, path: str | os.PathLike, artifacts: Sequence[str]
) -> None:
    """Write the report, in one step: an old one is whole until the new one is.

    Parameters
    ----------
    result : ScanResult
        What to report.
    path : path
        HTML file.
    artifacts : sequence of str
        What the detector was looking for.
    """
    unfinished = f"{os.fspath(path)}.unfinished"
    with open(unfinished, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(_page(result, artifacts))
    os.replace(unfinished, path)


def _page(result: ScanResult, artifacts: Sequence[str]) -> Iterable[str]:
    yield _HEAD
    yield "<header><h1>Artifact scan</h1>\n"
    yield f"<p class=summary>{escape(result.summary())}.</p>\n"
    yield (
        f"<p>Frames with a probability of {result.threshold:.3g} or more are flagged. "
        f"Looked for: {escape(', '.join(artifacts))}.</p></header>\n"
    )
    if result.is_interrupted:
        yield "<p class=note>Interrupted: this is what was found until then.</p>\n"
    shown = [f for f in result.most_suspicious_first if f.picture is not None]
    if any(finding.heat_map for finding in shown):
        yield "<input type=checkbox id=heat checked>"
        yield "<label for=heat> Mark where (not under the pointer)</label>"
    yield "<main>\n"
    yield from _interval_table(result)
    if shown:
        yield f"<h2>Most suspicious</h2>\n<div class=cards>\n{_cards(shown)}</div>\n"
    yield from _flagged_table(result)
    yield from _unreadable_table(result)
    yield "</main></body></html>\n"


def _cards(findings: Sequence[Finding]) -> str:
    return "".join(_card(finding) for finding in findings)


def _card(finding: Finding) -> str:
    name = _shown(finding.name)
    heat = ""
    if finding.heat_map is not None:
        heat = f'<img class=heat alt="" src="{_inline(finding.heat_map, "png")}">'
    detail = ""
    if finding.detail is not None:
        detail = (
            "<details><summary>Worst tile</summary>"
            f'<img alt="" src="{_inline(finding.detail, "jpeg")}"></details>'
        )
    bars = "".join(_bar(name, share) for name, share in finding.artifacts)
    return (
        "<article>\n<div class=picture>"
        f'<img alt="{name}" src="{_inline(finding.picture, "jpeg")}">{heat}</div>\n'
        f"<h3>{name}</h3>\n<dl>{_bar('corrupted', finding.probability)}{bars}</dl>\n"
        f"{_features(finding)}{detail}</article>\n"
    )


def _bar(label: str, probability: float) -> str:
    bar = f"<progress value={probability:.3f}></progress> {probability:.0%}"
    return f"<dt>{_shown(label)}</dt><dd>{bar}</dd>"


def _features(finding: Finding) -> str:
    if not finding.features:
        return ""
    rows = [
        (f["name"], f"{f['value']:.3g}", f"{f['normal']:.3g}", f"{f['deviation']:+.1f}")
        for f in finding.features
    ]
    table = _table(("feature", "here", "normal", "spreads off"), rows)
    return f"<details><summary>What stands out</summary>{table}</details>"


def _interval_table(result: ScanResult) -> Iterable[str]:
    if result.intervals:
        yield "<h2>Intervals</h2>\n"
        rows = [
            (first, last, str(n), artifact, f"{probability:.2f}")
            for first, last, n, artifact, probability in result.intervals
        ]
        yield _table(("from", "to", "frames", "artifact", "probability"), rows)


def _flagged_table(result: ScanResult) -> Iterable[str]:
    if not result.flagged:
        yield "<p>No frame was flagged.</p>\n"
        return
    yield f"<details><summary>All {len(result.flagged):,} flagged</summary>\n"
    rows = [
        (finding.name, finding.artifact, f"{finding.probability:.2f}")
        for finding in result.flagged
    ]
    yield _table(("frame", "artifact", "probability"), rows) + "</details>\n"


def _unreadable_table(result: ScanResult) -> Iterable[str]:
    if result.unreadable:
        yield "<h2>Not readable</h2>\n"
        yield _table(("file", "reason"), result.unreadable)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{head}" for head in heads)]
    lines += ["<tr>" + "".join(f"<td>{_shown(cell)}" for cell in row) for row in rows]
    return "<div class=table><table>\n" + "\n".join(lines) + "\n</table></div>\n"


def _shown(text: str) -> str:
    """Return text that means nothing to a browser, not even as an attribute."""
    return escape(printable(text), quote=True)


def _inline(picture: bytes | None, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture or b'').decode()}"


# The policy makes browsers refuse anything from outside, should a bug let it in.
_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Artifact scan</title>
<style>
:root { color-scheme: light dark; --card: #fff; --page: #f3f4f6; --line: #d5d8dd;
  --quiet: #5b6370; }
@media (prefers-color-scheme: dark) {
  :root { --card: #1f2329; --page: #14171b; --line: #363c45; --quiet: #a3abb8; } }
body { font: 16px/1.5 system-ui, sans-serif; background: var(--page); margin: 0 auto;
  max-width: 80rem; padding: 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 1.5rem 0 .5rem; }
h3 { font-size: .95rem; margin: .6rem 0 .3rem; overflow-wrap: anywhere; }
.summary { font-size: 1.15rem; margin: .3rem 0; } header p + p { color: var(--quiet); }
.note { border-left: 4px solid #d97706; padding: .2rem .8rem; }
.cards { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
article { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .7rem; min-width: 0; }
.picture { position: relative; } img { width: 100%; display: block; }
.heat { position: absolute; inset: 0; height: 100%; image-rendering: pixelated; }
.picture:hover .heat, #heat:not(:checked) ~ main .heat { display: none; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0 .8rem; margin: 0; }
dd { margin: 0; white-space: nowrap; } progress { width: 5rem; max-width: 50%;
  accent-color: #d6006e; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
summary { cursor: pointer; margin: .3rem 0; }
</style></head><body>
"""
