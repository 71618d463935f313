"""Configuration of the documentation."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("MPLBACKEND", "Agg")

from sklvyso import __version__

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TABLES = Path(__file__).parent / "generated_tables"


def write_table(name, stored, rows, command, columns=None):
    """Write rows of a results file as a table with command, date and machine."""
    columns = columns or list(rows[0])
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [dict(zip(columns, columns, strict=True)), *rows]:
        for i, column in enumerate(columns):
            value = row.get(column, "")
            text = f"{value:.3f}" if isinstance(value, float) else str(value)
            lines.append(f"   {'*' if i == 0 else ' '} - {text}")
    lines += [
        "",
        f"``{command}``, {stored['date']}, {stored['machine']}, "
        f"torch {stored['torch']}, scikit-learn {stored['scikit-learn']}.",
    ]
    TABLES.mkdir(exist_ok=True)
    (TABLES / f"{name}.inc").write_text("\n".join(lines) + "\n")


for name in ("drop_defaults", "sparsity_compression", "sparsity_accuracy"):
    study = json.loads((BENCHMARKS / "studies" / f"{name}.json").read_text())
    write_table(name, study, study["table"], f"python -m benchmarks.{name}")
study = json.loads((BENCHMARKS / "studies" / "drop_study.json").read_text())
write_table(
    "drop_study",
    study,
    [row for row in study["table"] if row["density"] in (0.3, 1.0)],
    "python -m benchmarks.drop_study",
    list(max(study["table"], key=len)),
)
study = json.loads((BENCHMARKS / "studies" / "continual.json").read_text())
for part in ("table", "costs"):
    write_table(
        f"continual_{part}", study, study[part], "python -m benchmarks.continual"
    )
study = json.loads((BENCHMARKS / "studies" / "continual_inference.json").read_text())
command = "python -m benchmarks.continual_inference"
write_table(
    "continual_inference", study, study["table"], command, list(study["table"][-1])
)
study = json.loads((BENCHMARKS / "studies" / "continual_avalanche.json").read_text())
study = study["continual_avalanche"]
command = "python -m benchmarks.continual_avalanche"
write_table("continual_avalanche", study, study["rows"], command)
study = json.loads((BENCHMARKS / "studies" / "active_learning.json").read_text())
command = "python -m benchmarks.active_learning"
for part, rows in [*study["curves"].items(), ("final", study["final"])]:
    write_table(f"active_learning_{part}", study, rows, command)
study = json.loads((BENCHMARKS / "studies" / "artifact_quality.json").read_text())
command = "python -m benchmarks.artifact_quality"
write_table("artifacts_quality", study, study["quality"], command)
columns = ["artifact", "seen: recall", "new: recall", "clean: recall"]
columns += ["new: expert AUC", "new: least", "previous: expert AUC", "previous: least"]
write_table("artifacts_by_artifact", study, study["by_artifact"], command, columns)
command += " paper"
write_table("artifacts_paper", study, study["paper"], command)
results = json.loads((BENCHMARKS / "results.json").read_text())
SCRIPTS = {
    "artifacts": "artifacts",
    "continual_predicting": "continual_speed",
    "continual_training": "continual_speed",
    "curvature": "curvature",
    "data_pruning_grand": "data_pruning",
    "data_pruning_scale": "data_pruning_scale",
    "networks": "networks",
    "selection": "selection",
    "selection_large": "selection",
    "text_encoding": "text_encoding",
    "networks_predict": "networks",
    "sparsity": "sparsity",
    "sparsity_magnitude": "sparsity",
    "sparsity_scoring": "sparsity_pruning",
    "sparsity_training": "sparsity_pruning",
    "sparsity_compact": "sparsity_pruning",
}
for name, script in SCRIPTS.items():
    stored = results[name]
    command = f"python -m benchmarks {script}"
    # Rows of one table may have different cells.
    columns = list(dict.fromkeys(key for row in stored["rows"] for key in row))
    write_table(name, stored, stored["rows"], command, columns)

project = "sklvyso"
author = "The sklvyso developers"
copyright = "2026, The sklvyso developers"
version = release = __version__
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "myst_parser",
]
# Links to other projects need their inventories, which need a network.
intersphinx_mapping = {}
autosummary_generate = True
numpydoc_show_class_members = False
exclude_patterns = ["_build", "generated_tables", "auto_examples/**/*.ipynb"]
html_theme = "pydata_sphinx_theme"
html_title = "sklvyso"
# Pages without pages below them need no list of those.
html_sidebars = {
    name: [] for name in ("index", "getting_started", "what_reproduced", "benchmarks")
}
html_theme_options = {"header_links_before_dropdown": 7}
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"demo\.py|label_in_|_short_texts",
    "download_all_examples": False,
}
# Inherited docstrings point into scikit-learn's own site.
suppress_warnings = ["config.cache", "ref.ref"]
