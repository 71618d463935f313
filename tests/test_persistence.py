"""Every fitted estimator through pickle, joblib, copy.deepcopy and skops, and back."""

import collections
import contextlib
import copy
import dataclasses
import functools
import io
import os
import pickle
import re
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetClassifier
from torch import nn

import sklvyso
from sklvyso import (
    ArtifactDetector,
    ArtifactSimulator,
    DRoPSampler,
    EffectiveSparsityPruner,
    FrameStreamDetector,
    GoldilocksProbe,
    ImpressLearnClassifier,
    NetworkClassifier,
    PretrainedActiveLearner,
    PretrainedTextEncoder,
    TransformerTextClassifier,
)
from sklvyso.active_learning._cache import FILE_NAME
from sklvyso.datasets import make_game_frames
from sklvyso.networks import SkorchClassifier
from tests.active_learning.conftest import make_texts, save_tiny_bert
from tests.test_common import INSTANCES, WITHOUT_COLUMNS

SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}
FEW_EXPERTS = {
    "n_simulated": 2,
    "restyle": False,
    "tiles": (2, 3),
    "artifacts": ["triangulation", "morse_code"],
    "experts": LogisticRegression(),
    "random_state": 0,
}
OUTPUTS = (
    "predict",
    "predict_proba",
    "decision_function",
    "transform",
    "corrupted_proba",
    "predict_artifact_proba",
)
# Documented as of the process that trained.
NOT_STORED = {ImpressLearnClassifier: {"net_"}}


class TwoLayers(nn.Module):
    """A module of the user."""

    def __init__(self, bias=True, n_outputs=3):
        super().__init__()
        self.hidden = nn.Linear(64, 8, bias=bias)
        self.output = nn.Linear(8, n_outputs, bias=bias)

    def forward(self, x):
        return self.output(torch.relu(self.hidden(x)))


def absolute_weights(module, X=None, y=None):
    """Scores of the user."""
    return {n: p.detach().abs() for n, p in module.named_parameters() if p.ndim > 1}


def of_skorch(module=TwoLayers):
    return NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0
    )


def rows():
    rng = np.random.RandomState(0)
    X = rng.rand(75, 64).astype(np.float32)
    y = np.array(["cat", "dog", "eel"])[np.arange(75) % 3]
    X[y == "dog", :20] += 0.5
    X[y == "eel", 20:40] += 0.5
    return X, y


VARIANTS = {
    "initialised": GoldilocksProbe(NetworkClassifier(**SMALL), scales=[1.0]),
    "skorch net": SkorchClassifier(of_skorch(), random_state=0),
    "callables": EffectiveSparsityPruner(
        NetworkClassifier(TwoLayers, max_epochs=1, random_state=0),
        pruner=absolute_weights,
        compression=2,
        random_state=0,
    ),
    "pruned skorch net": EffectiveSparsityPruner(
        of_skorch(), compression=2, random_state=0
    ),
    "pruned images": EffectiveSparsityPruner(
        NetworkClassifier(
            "resnet18",
            module_params={"width": 4, "batch_norm": True},
            input_shape=(8, 8),
            max_epochs=1,
            random_state=0,
        ),
        pruner="synflow",
        compression=3,
        random_state=0,
    ),
    "class": ImpressLearnClassifier(
        TwoLayers,
        module_params={"bias": False, "n_outputs": 43},
        max_epochs=2,
        random_state=0,
    ),
    "images": ImpressLearnClassifier(
        "resnet18",
        module_params={"width": 4},
        input_shape=(8, 8),
        max_epochs=1,
        random_state=0,
    ),
    "frozen": GoldilocksProbe(
        FrozenEstimator(NetworkClassifier(**SMALL).fit(*rows())), scales=[1.0, 2.0]
    ),
    "network experts": ArtifactDetector(
        experts=NetworkClassifier(**SMALL), random_state=0
    ),
    "network": PretrainedActiveLearner(
        classifier=NetworkClassifier(**SMALL), random_state=0
    ),
}


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    pytest.importorskip("transformers", reason="needs the extra 'text'")
    return save_tiny_bert(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session")
def frames():
    return make_game_frames(12, height=64, width=96, n_games=2, random_state=0)


@pytest.fixture(scope="session")
def detector(frames):
    return ArtifactDetector(**FEW_EXPERTS).fit(frames.images, groups=frames.group)


@functools.cache
def fitted_on_rows(estimator):
    return fitted(estimator, *rows())


def fitted(estimator, X, y):
    estimator = clone(estimator)
    with warnings.catch_warnings():
        # Losses of two epochs are still falling, two scales have an edge.
        warnings.simplefilter("ignore")
        return estimator.fit(X, y)


def outputs(estimator, X, y):
    """Return what an estimator answers, by method."""
    found = {
        name: getattr(estimator, name)(X)
        for name in OUTPUTS
        if hasattr(estimator, name)
    }
    if isinstance(estimator, DRoPSampler):
        found["kept"] = estimator.sample_indices_
        if estimator.n_steps == 1:
            found["resample"] = estimator.resample(X, y, density=0.3)
    if isinstance(estimator, ArtifactSimulator):
        found["simulate"] = estimator.simulate(X)
    if isinstance(estimator, PretrainedActiveLearner):
        found["query"] = estimator.query()
    assert found
    return found


def public_state(estimator):
    left_out = NOT_STORED.get(type(estimator), set())
    return {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_") and name not in left_out
    }


def assert_same(one, other, where="it"):
    """Compare values, arrays, modules and the states of objects, bit for bit."""
    assert type(one) is type(other), where
    if isinstance(one, np.ndarray) and one.dtype != object:
        np.testing.assert_array_equal(one, other, err_msg=where)
        assert one.dtype == other.dtype, where
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif sparse.issparse(one):
        assert (one != other).nnz == 0, where
    elif isinstance(one, nn.Module):
        assert_same(one.state_dict(), other.state_dict(), where)
    elif isinstance(one, dict):
        assert set(one) == set(other), where
        for key in one:
            assert_same(one[key], other[key], f"{where}[{key!r}]")
    elif isinstance(one, list | tuple | np.ndarray):
        assert len(one) == len(other), where
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    elif isinstance(one, np.random.RandomState):
        assert_same(one.get_state(), other.get_state(), where)
    elif dataclasses.is_dataclass(one) or isinstance(one, BaseEstimator):
        assert_same(vars(one), vars(other), where)
    elif isinstance(one, str | int | float | np.generic | type | None):
        assert one == other or (one != one and other != other), where


def through_joblib(estimator):
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


def through_skops(estimator):
    stored = skops.io.dumps(estimator)
    trusted = skops.io.get_untrusted_types(data=stored)
    return skops.io.loads(stored, trusted=trusted)


ROADS = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "joblib": through_joblib,
    "deepcopy": copy.deepcopy,
    "skops": through_skops,
}


def without_addresses(estimator):
    return re.sub("0x[0-9a-f]+", "", repr(estimator))


def check_roads(estimator, X, y, roads=ROADS):
    expected = copy.deepcopy(public_state(estimator))
    answers = outputs(copy.deepcopy(estimator), X, y)
    for name in roads:
        again = ROADS[name](estimator)
        assert_same(public_state(again), expected, name)
        assert_same(outputs(again, X, y), answers, name)
        assert without_addresses(again) == without_addresses(estimator)


def named_instances():
    for number, estimator in enumerate(INSTANCES):
        yield pytest.param(estimator, id=f"{type(estimator).__name__}-{number}")
    for name, estimator in VARIANTS.items():
        yield pytest.param(estimator, id=f"{type(estimator).__name__}-{name}")


@pytest.mark.parametrize("estimator", list(named_instances()))
def test_fitted_estimators_come_back_the_same(estimator):
    check_roads(fitted_on_rows(estimator), *rows())


def test_stored_estimators_cover_the_package():
    stored = {type(estimator) for estimator in [*INSTANCES, *WITHOUT_COLUMNS]}
    names = {kind.__name__ for kind in stored}
    classes = {name for name in sklvyso.__all__ if name[0].isupper()}
    assert names == classes


def test_simulator_and_stream_come_back_the_same(detector, frames):
    some = frames.images[:2]
    check_roads(ArtifactSimulator(random_state=0).fit(some), some, None)
    check_roads(detector, some, None)
    stream = FrameStreamDetector.from_fitted(detector, window=3)
    check_roads(stream, some, None)


def test_text_encoder_comes_back_the_same(tiny_bert):
    texts, y = make_texts(20)
    check_roads(PretrainedTextEncoder(tiny_bert).fit(texts), texts, y)
    learner = PretrainedActiveLearner(
        PretrainedTextEncoder(tiny_bert), n_initial=6, batch_size=3, random_state=0
    )
    check_roads(learner.fit(texts, y), texts, y)


def test_fine_tuned_transformer_comes_back_the_same(tiny_bert):
    texts, y = make_texts(20)
    model = TransformerTextClassifier(
        tiny_bert, max_epochs=1, min_steps=2, random_state=0
    )
    check_roads(model.fit(texts, y), texts, y)


# -- versions -------------------------------------------------------------------------


def fitted_pruner():
    X, y = rows()
    return fitted(EffectiveSparsityPruner(NetworkClassifier(**SMALL)), X, y)


def stored_by(estimator, version):
    """Return a pickle as another version would have written it."""
    version = version.ljust(len(sklvyso.__version__)).encode()
    assert len(version) == len(sklvyso.__version__)
    return pickle.dumps(estimator).replace(sklvyso.__version__.encode(), version)


def loaded_from(state, kind, version="0.0.7"):
    """Return what a loader makes of a state that another version stored."""
    again = kind.__new__(kind)
    again.__setstate__({**state, "_sklvyso_version": version})
    return again


def test_another_version_warns_once_says_what_to_do_and_works():
    X, _ = rows()
    pruner = fitted_pruner()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        again = pickle.loads(stored_by(pruner, "0.0.7"))
    assert len(caught) == 1, "the pruner holds two network classifiers"
    assert issubclass(caught[0].category, InconsistentVersionWarning)
    assert caught[0].filename == __file__
    text = str(caught[0].message)
    assert "sklvyso 0.0.7" in text and f"by sklvyso {sklvyso.__version__}" in text
    assert "Fit anew, or install sklvyso==0.0.7" in text
    np.testing.assert_array_equal(again.predict(X), pruner.predict(X))


def test_versions_of_the_same_minor_are_alike():
    major, minor = sklvyso.__version__.split(".")[:2]
    pruner = fitted_pruner()
    for version in (sklvyso.__version__, f"{major}.{minor}.9"):
        assert not hasattr(pickle.loads(stored_by(pruner, version)), "_sklvyso_version")


def test_what_names_no_version_warns():
    net = NetworkClassifier()
    state = {k: v for k, v in net.__getstate__().items() if k != "_sklvyso_version"}
    with pytest.warns(InconsistentVersionWarning, match="an unreleased version"):
        NetworkClassifier().__setstate__(state)


def test_a_parameter_that_the_file_lacks_gets_its_default():
    state = NetworkClassifier(max_epochs=3).__getstate__()
    del state["input_scale"]
    with pytest.warns(InconsistentVersionWarning):
        again = loaded_from(state, NetworkClassifier)
    assert again.get_params() == NetworkClassifier(max_epochs=3).get_params()


def test_another_version_may_be_unfitted():
    for estimator in [*INSTANCES, *WITHOUT_COLUMNS]:
        state = clone(estimator).__getstate__()
        with pytest.warns(InconsistentVersionWarning):
            assert repr(loaded_from(state, type(estimator))) == repr(estimator)


def test_a_record_that_lacks_a_field_is_refused():
    X, y = rows()
    sampler = fitted(DRoPSampler(LogisticRegression(), random_state=0), X, y)
    state = copy.deepcopy(sampler.__getstate__())
    del state["_measured"].class_codes
    with (
        pytest.warns(InconsistentVersionWarning),
        pytest.raises(ValueError, match=r"lacks .*: Measurements.class_codes"),
    ):
        loaded_from(state, DRoPSampler)


def check_needed_state(estimator, X, y, also=()):
    """What is declared is there, is missed, and is enough."""
    kind, state = type(estimator), estimator.__getstate__()
    for name in kind._needed_state:
        rest = {key: value for key, value in state.items() if key != name}
        assert len(rest) < len(state), f"{name} is not stored"
        if len(kind._needed_state) == 1:
            continue  # without it the estimator is not fitted
        with (
            pytest.warns(InconsistentVersionWarning),
            pytest.raises(ValueError, match=rf"{kind.__name__} .*lacks .*: {name}\."),
        ):
            loaded_from(rest, kind)
    params = estimator.get_params(deep=False)
    enough = {"_sklvyso_version", *params, *kind._needed_state, *also}
    alone = kind.__new__(kind)
    alone.__setstate__({key: state[key] for key in enough if key in state})
    again = pickle.loads(pickle.dumps(estimator))
    assert_same(outputs(alone, X, y), outputs(again, X, y))


# Of a learner these are there once there are labels, and it says so itself.
WITH_LABELS = ("classifier_", "_classes")


@pytest.mark.parametrize("estimator", list(named_instances()))
def test_what_predictions_need_is_declared(estimator):
    check_needed_state(fitted_on_rows(estimator), *rows(), also=WITH_LABELS)


def test_what_texts_and_frames_need_is_declared(tiny_bert, detector, frames):
    texts, y = make_texts(20)
    check_needed_state(PretrainedTextEncoder(tiny_bert).fit(texts), texts, y)
    model = TransformerTextClassifier(tiny_bert, max_epochs=1, min_steps=2)
    # Where all labels are the same there is no tokenizer.
    check_needed_state(model.fit(texts, y), texts, y, also=["tokenizer_"])
    check_needed_state(model.fit(texts, ["a"] * 20), texts, y)
    stream = FrameStreamDetector.from_fitted(detector)
    check_needed_state(stream, frames.images[:2], None)


def test_a_campaign_without_labels_stores_what_it_needs():
    X, _ = rows()
    learner = PretrainedActiveLearner(random_state=0).fit(X)
    assert set(PretrainedActiveLearner._needed_state) <= set(learner.__getstate__())


# -- formats of our own ---------------------------------------------------------------


def test_measurements_of_another_format_say_who_wrote_them(tmp_path):
    path = tmp_path / "measured.npz"
    np.savez(path, about=np.array('{"format": 2, "sklvyso": "9.1.0"}'))
    with pytest.raises(ValueError, match=r"has format 2: load it with sklvyso 9\.1\.0"):
        DRoPSampler().load(path)


def test_a_saved_learner_whose_parts_are_gone_says_what_to_do(tmp_path):
    X, y = rows()
    learner = fitted(PretrainedActiveLearner(random_state=0), X, y)
    learner.save(tmp_path / "learner")
    stored = (tmp_path / "learner").read_bytes()
    assert b"_campaign" in stored
    for old, new in (
        (b"sklvyso.active_learning._campaign", b"sklvyso.active_learning._campaigN"),
        (b"Campaign", b"CampaigN"),
    ):
        (tmp_path / "learner").write_bytes(stored.replace(old, new))
        with pytest.raises(ValueError, match=r"needs what is not there .* to_jsonl"):
            PretrainedActiveLearner.load(tmp_path / "learner")


def test_a_saved_learner_of_another_version_warns(tmp_path):
    X, y = rows()
    learner = fitted(PretrainedActiveLearner(random_state=0), X, y)
    (tmp_path / "learner").write_bytes(stored_by(learner, "0.0.7"))
    with pytest.warns(InconsistentVersionWarning, match=r"sklvyso==0\.0\.7"):
        again = PretrainedActiveLearner.load(tmp_path / "learner")
    np.testing.assert_array_equal(again.query(), learner.query())


def test_a_newer_format_of_impresslearn_is_refused():
    X, y = rows()
    state = fitted(VARIANTS["class"], X, y).__getstate__()
    with pytest.raises(ValueError, match=r"stored in format 9.*upgrade sklvyso"):
        ImpressLearnClassifier().__setstate__(state | {"_format_version": 9})


def test_a_text_cache_of_another_format_is_not_touched(tiny_bert, tmp_path):
    texts, _ = make_texts(5)
    others = [tmp_path / "representations-2.sqlite3", tmp_path / FILE_NAME]
    for path in others:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE vectors (a, b)")
    encoder = PretrainedTextEncoder(tiny_bert, cache_dir=tmp_path).fit(texts)
    with pytest.warns(UserWarning, match="cannot be used now .*computed without it"):
        found = encoder.transform(texts)
    expected = PretrainedTextEncoder(tiny_bert).fit_transform(texts)
    np.testing.assert_array_equal(found, expected)
    for path in others:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            columns = connection.execute("PRAGMA table_info(vectors)").fetchall()
        assert [column[1] for column in columns] == ["a", "b"]


# -- from the GPU to the CPU ----------------------------------------------------------


def held_by_torch(value, where, seen):
    """Yield the places of tensors, modules and optimisers that skorch does not map."""
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, torch.Tensor | nn.Module | torch.optim.Optimizer):
        yield where
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from held_by_torch(part, f"{where}[{key!r}]", seen)
    elif isinstance(value, list | tuple | set):
        for i, part in enumerate(value):
            yield from held_by_torch(part, f"{where}[{i}]", seen)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        # What is stored, not what is held.
        yield from held_by_torch(value.__getstate__(), f"{where}.", seen)


@pytest.mark.parametrize("estimator", list(named_instances()))
def test_only_nets_hold_what_lives_on_a_device(estimator):
    assert not list(held_by_torch(fitted_on_rows(estimator), "", {}))


def test_only_nets_of_texts_hold_what_lives_on_a_device(tiny_bert):
    texts, y = make_texts(20)
    model = TransformerTextClassifier(tiny_bert, max_epochs=1, min_steps=2)
    assert not list(held_by_torch(model.fit(texts, y), "", {}))


def test_the_search_for_tensors_finds_them():
    held = {"a": [1, {"b": torch.nn.ReLU()}], "c": torch.optim.SGD([torch.ones(1)])}
    assert list(held_by_torch(held, "", {})) == ["['a'][1]['b']", "['c']"]


@pytest.mark.gpu
@pytest.mark.parametrize(
    "estimator",
    [
        NetworkClassifier(device="cuda", lr_schedule="cosine", random_state=0),
        EffectiveSparsityPruner(
            NetworkClassifier(device="cuda", max_epochs=2, random_state=0),
            compression=4,
            random_state=0,
        ),
        GoldilocksProbe(NetworkClassifier(device="cuda", **SMALL), scales=[1.0]),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_what_was_trained_on_a_gpu_predicts_without_one(estimator):
    X, y = rows()
    on_gpu = fitted(estimator, X, y)
    method = "transform" if hasattr(on_gpu, "transform") else "predict_proba"
    script = (
        "import pickle, sys, warnings; warnings.simplefilter('ignore');"
        "import torch; assert not torch.cuda.is_available();"
        "estimator, X = pickle.load(sys.stdin.buffer);"
        f"pickle.dump(estimator.{method}(X), sys.stdout.buffer)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps((on_gpu, X)),
        capture_output=True,
        check=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    # float32 in another order on another device
    np.testing.assert_allclose(
        pickle.loads(done.stdout), getattr(on_gpu, method)(X), rtol=1e-3, atol=1e-3
    )


# -- the guide ------------------------------------------------------------------------

GUIDE = Path(__file__).parents[1] / "docs" / "user_guide" / "persistence.rst"


def documented_types():
    """Return the types to trust by estimator, as the user guide lists them."""
    block = GUIDE.read_text(encoding="utf-8").split("proves this block\n")[1]
    block = block.split(".. code-block:: text\n")[1]
    lists, names = {}, []
    for line in block.splitlines():
        if line and not line.startswith("   "):
            break
        if line.startswith("       "):
            for name in names:
                lists[name].append(line.strip())
        elif line.strip():
            names = line.strip().split(", ")
            lists |= {name: [] for name in names}
    return lists


def with_parts(name, lists):
    """Return the types of a list, and of the lists that it names."""
    types = set()
    for line in lists[name]:
        types |= {line} if "." in line else with_parts(line, lists)
    return types


def test_types_to_trust_are_documented(tiny_bert, detector, frames):
    texts, y = make_texts(20)
    found = collections.defaultdict(set)
    model = TransformerTextClassifier(tiny_bert, max_epochs=1, min_steps=2)
    for estimator in [
        *map(fitted_on_rows, INSTANCES),
        detector,
        FrameStreamDetector.from_fitted(detector),
        ArtifactSimulator().fit(frames.images),
        PretrainedTextEncoder(tiny_bert).fit(texts),
        model.fit(texts, y),
    ]:
        stored = skops.io.dumps(estimator)
        trusted = skops.io.get_untrusted_types(data=stored)
        found[type(estimator).__name__].update(trusted)
    lists = documented_types()
    assert set(found) == set(lists) - {"networks"}
    assert set(lists["networks"]) <= found["NetworkClassifier"]
    for name, types in found.items():
        types = {kind for kind in types if not kind.startswith("transformers.")}
        assert types <= with_parts(name, lists), name
        assert {line for line in lists[name] if "." in line} <= types, name


def test_modules_as_parameters_do_not_go_through_skops():
    """When this fails, skops stores tensors: mend the guide."""
    with pytest.raises(RuntimeError, match="TensorBase"):
        skops.io.dumps(NetworkClassifier(TwoLayers()))
    with pytest.raises(RuntimeError, match="TensorBase"):
        skops.io.dumps(torch.nn.Linear(2, 1))


def test_weights_go_through_safetensors_as_the_guide_says(tmp_path):
    pytest.importorskip("safetensors")
    X, y = rows()
    net = NetworkClassifier(**SMALL).fit(X, y)
    net.net_.save_params(tmp_path / "weights.safetensors", use_safetensors=True)
    other = NetworkClassifier(**SMALL | {"random_state": 1}).initialize(X, y)
    other.net_.load_params(tmp_path / "weights.safetensors", use_safetensors=True)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
