"""Who may import whom; where private names of other packages may come in."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sklvyso

ROOT = Path(sklvyso.__file__).parent
METHODS = {
    "data_pruning",
    "sparsity",
    "curvature",
    "continual",
    "active_learning",
    "artifacts",
}
SHARED = {"networks", "selection", "datasets", "metrics"}
ROOTLESS = {
    "_arguments",
    "_compat",
    "_images",
    "_optional",
    "_parallel",
    "_validation",
    "_version",
    "_versioned",
}
# What a room may import beside itself and ROOTLESS.
ALLOWED = {room: SHARED for room in METHODS} | {
    "networks": set(),
    "selection": set(),
    "datasets": set(),
    "metrics": set(),
    "plotting": set(),
}
FILES = sorted(ROOT.rglob("*.py"))


def room_of(path):
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    # metrics is one room in several files.
    return "metrics" if part in {"_hit_rates", "_group_metrics"} else part


def imports(path):
    """Yield (module, name) of every import, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_import_only_what_they_may(path):
    room = room_of(path)
    if room == "__init__":
        return
    for module, name in imports(path):
        parts = module.split(".")
        if parts[0] != "sklvyso":
            continue
        target = parts[1] if len(parts) > 1 else name
        target = "metrics" if target in {"_hit_rates", "_group_metrics"} else target
        if target == room or target in ROOTLESS:
            continue
        assert target in ALLOWED[room], f"{path} imports {module}"
        # Other rooms are entered through the front door.
        assert len(parts) == 2, f"{path} reaches into {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_private_names_of_scikit_learn_come_through_compat(path):
    if path.name == "_compat.py":
        return
    for module, name in imports(path):
        if module.split(".")[0] not in {"sklearn", "imblearn"}:
            continue
        private = [p for p in module.split(".") if p.startswith("_")]
        if name is not None and name.startswith("_") and name != "_safe_indexing":
            private.append(name)
        assert not private, f"{path} imports {module}.{name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_numerics_do_not_import_the_estimator_file(path):
    estimators = {"_sampler", "_classifier", "_pruner", "_probe", "_learner"}
    if path.name in {"__init__.py", "_adopt.py"}:
        return
    for module, _ in imports(path):
        assert not (
            module.startswith(f"sklvyso.{room_of(path)}.")
            and module.rsplit(".", 1)[1] in estimators
        ), f"{path} imports {module}"


def run(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_import_of_the_package_loads_nothing_heavy():
    loaded = run(
        "import sys, sklvyso, sklvyso as s; dir(s);"
        "print([m for m in ('torch', 'sklearn', 'scipy', 'skorch', 'imblearn',"
        "'pandas', 'transformers', 'matplotlib', 'skimage', 'numpy')"
        "if m in sys.modules])"
    )
    assert loaded == "[]"


def test_import_of_the_networks_loads_no_optional_package():
    loaded = run(
        "import sys; from sklvyso import NetworkClassifier, DRoPSampler;"
        "print([m for m in ('transformers', 'matplotlib') if m in sys.modules])"
    )
    assert loaded == "[]"


def test_import_is_fast():
    """Less than 0.1 s beyond NumPy's: by modules loaded, not by the clock alone."""
    out = run(
        "import sys, numpy; before = set(sys.modules);"
        "import time; start = time.process_time(); import sklvyso;"
        "print(len(set(sys.modules) - before), time.process_time() - start)"
    )
    n_modules, seconds = out.split()
    assert int(n_modules) < 10
    assert float(seconds) < 0.1
