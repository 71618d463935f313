"""What importing the room loads."""

import subprocess
import sys

import skimage
from packaging.version import Version

import sklvyso.artifacts


def test_import_loads_nothing_heavy():
    code = (
        "import sys, sklvyso.artifacts as a; dir(a); from sklvyso.artifacts import "
        "iter_frames; print([m for m in ('torch', 'matplotlib', 'PIL', 'pandas')"
        "if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "[]"


def test_featurizers_load_neither_torch_nor_pillow():
    code = (
        "import sys; from sklvyso.artifacts import *;"
        "print([m for m in ('torch', 'matplotlib', 'PIL') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    # scikit-image before 0.25 imports matplotlib itself, which imports Pillow.
    is_old = Version(skimage.__version__) < Version("0.25")
    assert out.stdout.strip() == ("['matplotlib', 'PIL']" if is_old else "[]")


def test_every_name_is_there():
    for name in sklvyso.artifacts.__all__:
        assert getattr(sklvyso.artifacts, name) is not None
