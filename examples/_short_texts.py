"""Real short texts that every machine has: one-line summaries of library functions."""

import importlib
import inspect
import os
import warnings

import numpy as np

LIBRARIES = {
    "matplotlib": ("axes", "figure", "patches", "collections", "pyplot", "ticker"),
    "scipy": ("stats", "signal", "optimize", "sparse", "linalg", "ndimage", "special"),
    "sklearn": (
        "cluster",
        "decomposition",
        "ensemble",
        "linear_model",
        "metrics",
        "model_selection",
        "preprocessing",
        "feature_selection",
    ),
    "torch": ("nn", "nn.functional", "optim", "distributions", "linalg", "utils.data"),
}


def load_short_texts():
    """Return texts, labels and the name of the data.

    Questions by what they ask for (TREC) when ``SKLVYSO_DATA`` names a folder that has
    them; otherwise one-line summaries of functions, by the library they come from.
    """
    folder = os.path.join(os.environ.get("SKLVYSO_DATA", ""), "trec")
    if os.path.isdir(folder):
        from sklvyso.datasets import load_text_csv

        bunch = load_text_csv(folder, subset="train")
        names = np.array(bunch.target_names)
        return bunch.data, names[bunch.target], "TREC questions"
    return *summaries(), "function summaries"


def summaries():
    """Collect the first lines of docstrings, without names that give them away."""
    found = {}
    for library, parts in LIBRARIES.items():
        for part in parts:
            module = importlib.import_module(f"{library}.{part}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for name in dir(module):
                    for summary in _lines_of(getattr(module, name, None)):
                        found.setdefault(summary, library)
    texts = sorted(found)
    return texts, np.array([found[text] for text in texts])


def _lines_of(thing):
    """Yield the summaries of a function, or of a class and its methods."""
    things = [thing] if inspect.isfunction(thing) else []
    if inspect.isclass(thing):
        things = [thing, *vars(thing).values()]
    for each in things:
        doc = inspect.getdoc(each) if callable(each) else None
        line = (doc or "").strip().split("\n\n")[0].replace("\n", " ")
        names = (*LIBRARIES, "Axes", "Tensor", "tensor", "estimator", "artist")
        if 25 < len(line) < 160 and not any(name in line for name in names):
            yield line
