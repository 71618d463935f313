"""What pyproject.toml promises agrees with what is tested and shipped."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import sklvyso

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def pins(name):
    """Return the exact releases that a constraints file names."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def lower_bounds(requirements):
    pairs = [re.match(r"([\w.-]+)>=([\w.]+)$", text) for text in requirements]
    return {pair[1]: pair[2] for pair in pairs if pair}


def release(version):
    """Return a version without trailing zeros: 1.6.0 is 1.6."""
    return re.sub(r"(\.0)+$", "", version)


def test_the_lower_bounds_are_those_that_are_tested():
    tested = pins("constraints-minimum.txt")
    assert tested.pop("torch") == pins("constraints.txt")["torch"]
    needed = lower_bounds(PROJECT["project"]["dependencies"])
    assert len(needed) == len(PROJECT["project"]["dependencies"])
    del needed["torch"]
    assert set(needed) <= set(tested)
    optional = lower_bounds(chain(*EXTRAS.values()))
    for name, version in tested.items():
        assert release(version) == release((needed | optional)[name]), name


def test_all_is_every_extra_of_users():
    tools = {"test", "docs", "bench", "dev", "demo", "package", "all"}
    named = re.fullmatch(r"sklvyso\[(.*)\]", EXTRAS["all"][0])[1].split(",")
    assert set(named) == set(EXTRAS) - tools


def test_an_extra_that_code_names_exists():
    named = set()
    for path in Path(sklvyso.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r'extra="(\w+)"', text))
    assert named and named <= set(EXTRAS)
