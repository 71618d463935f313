"""No public name is left out of the fuzz suite without a reason."""

import importlib
import inspect

import pytest
from skorch.callbacks import Callback

from tests.fuzz.registry import ROOMS, cases_of

# Names that are tried inside the cases of others, or have nothing to replace.
WITHIN = {
    "data_pruning.TrainingDynamics": "its constructor, through scores",
    "data_pruning.TrainingDynamicsRecorder": "takes nothing; record_training_dynamics",
    "sparsity.SparsityReport": "a result that sparsity_report returns",
    "sparsity.UnsupportedModuleError": "an exception that effective_masks raises",
    "artifacts.ARTIFACTS": "a mapping, changed by register_artifact",
    "metrics.SCORERS": "a mapping of the scorers that are tried one by one",
    "metrics.GROUP_SCORERS": "a mapping of the scorers that are tried one by one",
    "networks.held_at_zero": "takes an optimizer at work; mask_weights feeds it",
}
METHODS_WITHIN = {
    "fit": "constructor parameters and data are tried through the first method",
    "get_params": "of scikit-learn",
    "set_params": "every parameter is tried at fit",
    "plot": "called by each case of a display",
    "score": "of scikit-learn's mixin where it is not the class's own",
    "exact_frobenius_norm": "takes nothing, and one of three operators has a formula",
}


def public_names():
    for room in ROOMS:
        module = importlib.import_module(f"sklvyso.{room}")
        for name in module.__all__:
            yield pytest.param(room, name, getattr(module, name), id=f"{room}.{name}")


def tried(room):
    """Return the names of the cases of a room, with those of their classes."""
    names = set()
    for case in cases_of(room):
        name = case.name.split(" ")[0]  # "prune_module by snip"
        names |= {name, name.split(".")[0]}
    return names


@pytest.mark.parametrize("room, name, value", list(public_names()))
def test_every_public_name_is_tried(room, name, value):
    if f"{room}.{name}" in WITHIN:
        assert name not in tried(room) or inspect.isclass(value)
        return
    assert name in tried(room)


def methods():
    for param in public_names():
        room, name, kind = param.values
        if not inspect.isclass(kind) or f"{room}.{name}" in WITHIN:
            continue
        if issubclass(kind, Callback):
            continue  # the hooks of a skorch callback have skorch's arguments
        for method, value in inspect.getmembers(kind):
            is_method = inspect.isfunction(value) or inspect.ismethod(value)
            is_own = is_method and value.__module__.startswith("sklvyso")
            if is_own and not method.startswith("_"):
                yield pytest.param(room, name, method, id=f"{param.id}.{method}")


@pytest.mark.parametrize("room, name, method", list(methods()))
def test_every_public_method_is_tried(room, name, method):
    known = tried(room)
    if f"{name}.{method}" in known:
        return
    assert method in METHODS_WITHIN, f"no case of {name}.{method}"
    assert name in known


def test_cases_have_names_of_their_own():
    for room in ROOMS:
        names = [case.name for case in cases_of(room)]
        assert len(names) == len(set(names))


def test_what_is_skipped_has_a_reason():
    for room in ROOMS:
        for case in cases_of(room):
            assert all(len(reason) > 10 for reason in case.skip.values())
            assert set(case.skip) <= set(case.arguments())
