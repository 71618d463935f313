"""What the pages promise: their blocks run, and nothing that they name is missing."""

import re
import warnings
from pathlib import Path

import pytest

import sklvyso

DOCS = Path(__file__).parents[1] / "docs"
MADE = {"_build", "auto_examples", "generated", "sg_execution_times.rst"}
pytestmark = pytest.mark.skipif(
    not DOCS.is_dir(), reason="the documentation is in the source tree only"
)


def blocks_of(page):
    found = re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", page.read_text())
    return "\n".join(re.sub("^   ", "", block, flags=re.M) for block in found)


def test_getting_started_runs(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(blocks_of(DOCS / "getting_started.rst"), "page", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    accuracy, worst, pruned, _, kept, labelled, _ = lines
    assert float(accuracy) > 0.9 and float(worst) > 0.6
    assert float(kept) > 0.7 and float(labelled) > 0.7
    score, compression = map(float, pruned.split())
    assert score > 0.8 and compression >= 20


def test_every_public_name_is_in_the_reference():
    reference = (DOCS / "api.rst").read_text()
    names = [name for name in sklvyso.__all__ if callable(getattr(sklvyso, name))]
    missing = [name for name in names if not re.search(rf"\b{name}\b", reference)]
    assert missing == []


def test_every_page_is_in_a_table_of_contents():
    sources = [p for p in DOCS.rglob("*.rst") if p.parts[len(DOCS.parts)] not in MADE]
    pages = {p.relative_to(DOCS).with_suffix("").as_posix() for p in sources}
    named = set()
    for source in sources:
        found = re.findall(r"^   (?:.*<)?([\w/]+)>?$", source.read_text(), re.M)
        folder = source.parent.relative_to(DOCS)
        named |= {(folder / name).as_posix() for name in found}
    assert pages - {"index"} <= named
