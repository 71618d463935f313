"""The public surface: names, docstrings, signatures."""

import importlib
import inspect
import tomllib
from pathlib import Path

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback

import sklvyso

ROOMS = (
    "active_learning",
    "artifacts",
    "continual",
    "curvature",
    "data_pruning",
    "datasets",
    "metrics",
    "networks",
    "plotting",
    "selection",
    "sparsity",
)


# Texts and frames of any size have no columns.
WITHOUT_COLUMNS = {
    "ArtifactSimulator",
    "PretrainedTextEncoder",
    "TransformerTextClassifier",
}


def public_objects():
    for room in ROOMS:
        module = importlib.import_module(f"sklvyso.{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield pytest.param(value, id=f"{room}.{name}")


def methods():
    for param in public_objects():
        if not inspect.isclass(param.values[0]):
            continue
        # The hooks of a skorch callback have skorch's arguments.
        hooks = "on_" if issubclass(param.values[0], Callback) else "_"
        for name, value in inspect.getmembers(param.values[0], inspect.isfunction):
            # Of parent classes only those that are ours.
            is_ours = value.__module__.startswith("sklvyso")
            if is_ours and not name.startswith(("_", hooks)):
                yield pytest.param(value, id=f"{param.id}.{name}")


def documented(doc, section="Parameters"):
    names = []
    for entry in doc[section]:
        names += [name.strip().lstrip("*") for name in entry.name.split(",")]
    return names


def accepted(function):
    parameters = inspect.signature(function).parameters
    return [name for name in parameters if name not in ("self", "cls")]


def test_everything_in_all_exists():
    for name in sklvyso.__all__:
        assert getattr(sklvyso, name) is not None
    assert set(sklvyso.__all__) <= set(dir(sklvyso))
    with pytest.raises(AttributeError, match="no attribute 'foo'"):
        sklvyso.foo  # noqa: B018


def test_version_is_the_one_that_is_packaged():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["version"]["path"] == "sklvyso/_version.py"
    assert sklvyso.__version__.count(".") >= 2


@pytest.mark.parametrize("thing", list(public_objects()))
def test_docstrings_are_complete(thing):
    is_class = inspect.isclass(thing)
    doc = ClassDoc(thing) if is_class else FunctionDoc(thing)
    assert doc["Summary"], "no summary"
    assert len(doc["Summary"][0]) <= 79
    assert documented(doc) == accepted(thing)
    for entry in doc["Parameters"]:
        assert entry.desc, f"{entry.name} lacks a description"
        assert entry.type or entry.name.startswith("*"), f"{entry.name} lacks a type"
    text = inspect.getdoc(thing)
    assert "versionadded" in text or not is_class
    if not is_class and inspect.signature(thing).return_annotation is not None:
        assert doc["Returns"] or doc["Yields"], "no Returns section"


@pytest.mark.parametrize("thing", list(public_objects()))
def test_everything_names_its_neighbours(thing, request):
    doc = ClassDoc(thing) if inspect.isclass(thing) else FunctionDoc(thing)
    names = [name for functions, _ in doc["See Also"] for name, _ in functions]
    assert names
    own_room = "sklvyso." + request.node.callspec.id.split(".")[0]
    for name in names:
        room, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(room or own_room), last), name


@pytest.mark.parametrize("method", list(methods()))
def test_methods_are_documented(method):
    doc = FunctionDoc(method)
    assert doc["Summary"]
    assert documented(doc) == accepted(method)


def estimators():
    for param in public_objects():
        if inspect.isclass(param.values[0]) and issubclass(
            param.values[0], BaseEstimator
        ):
            yield param


@pytest.mark.parametrize("estimator", list(estimators()))
def test_constructors_are_keyword_only_after_the_first(estimator):
    parameters = list(inspect.signature(estimator).parameters.values())
    for parameter in parameters[1:]:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert not isinstance(parameter.default, list | dict | set)
    assert set(estimator._parameter_constraints) == {p.name for p in parameters}


@pytest.mark.parametrize("estimator", list(estimators()))
def test_estimators_document_attributes_examples_and_source(estimator):
    doc = ClassDoc(estimator)
    attributes = documented(doc, "Attributes")
    if estimator.__name__ not in WITHOUT_COLUMNS:
        assert {"n_features_in_", "feature_names_in_"} <= set(attributes)
    assert doc["Examples"] and doc["See Also"]


def test_binding_signatures():
    from sklvyso import data_pruning, networks, selection, sparsity

    expected = {
        data_pruning.drop_densities: "(recalls, class_counts, n_select, *, "
        "allocation='density', uniform_mix=0.0, min_per_class=0)",
        data_pruning.drop_quotas: "(recalls, class_counts, n_select, *, "
        "allocation='density', uniform_mix=0.0, min_per_class=0)",
        data_pruning.scaled_max_epochs: "(max_epochs, n_selected, n_total)",
        data_pruning.forgetting_events: "(correct, *, never_learned='hardest')",
        data_pruning.dynamic_uncertainty: "(p_true, window=10)",
        data_pruning.prototype_distance: "(Z, y)",
        data_pruning.area_under_margin: "(logits, y)",
        data_pruning.worst_class_threshold: "(mu, sigma)",
        data_pruning.optimal_prior_ratio: "(sigma)",
        selection.least_confidence: "(proba)",
        selection.margin: "(proba)",
        selection.entropy: "(proba)",
        selection.variation_ratio: "(votes)",
        selection.bald: "(proba_samples)",
        selection.k_center_greedy: "(Z, n_select, *, selected=None, distances=None, "
        "random_state=None)",
        networks.make_network: "(name, input_shape, n_outputs, *, bias=True, "
        "batch_norm=False, **kwargs)",
        sparsity.layer_quotas: "(shapes, sparsity, method, *, names=None)",
    }
    leading = {
        data_pruning.el2n: ["proba", "y"],
        data_pruning.grand: ["module", "X", "y"],
        data_pruning.gaussian_mixture_threshold: ["mu", "sigma", "priors"],
        sparsity.effective_masks: ["module", "masks", "input_shape"],
        sparsity.sparsity_report: ["module", "masks", "input_shape"],
        sparsity.prune_scores: ["module", "method", "X", "y"],
        sparsity.prune_module: ["module", "method"],
        sparsity.compact: ["module", "masks", "input_shape"],
    }
    for function, names in leading.items():
        parameters = inspect.signature(function).parameters.values()
        assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == (
            names
        )
    for function, text in expected.items():
        bare = inspect.signature(function)
        bare = bare.replace(
            parameters=[
                p.replace(annotation=inspect.Parameter.empty)
                for p in bare.parameters.values()
            ],
            return_annotation=inspect.Signature.empty,
        )
        assert str(bare) == text
