"""What README promises: its code runs and prints what it shows."""

import contextlib
import io
import re
import warnings
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_first_block_prints_what_is_shown():
    code = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    shown = re.search(r"```text\n(.*?)```", README, re.S).group(1)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        exec(compile(code, "README.md", "exec"), {})
    # Float kernels of other processors may move a recall by a row.
    for ours, theirs in zip(
        printed.getvalue().splitlines(), shown.splitlines(), strict=True
    ):
        ours, theirs = (re.split(r"(\d\.\d\d)", line) for line in (ours, theirs))
        assert ours[::2] == theirs[::2]
        for a, b in zip(ours[1::2], theirs[1::2], strict=True):
            assert abs(float(a) - float(b)) <= 0.05


def test_the_two_commands_are_named():
    assert "make demo" in README and "make test" in README


def test_links_lead_to_files():
    root = Path(__file__).parents[1]
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (root / link).exists()] == []
