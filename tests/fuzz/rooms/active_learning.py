"""Valid calls of sklvyso.active_learning."""

import functools
import tempfile

import numpy as np
from sklearn.linear_model import LogisticRegression

from sklvyso import (
    PretrainedActiveLearner,
    PretrainedTextEncoder,
    TransformerTextClassifier,
)
from tests.active_learning.conftest import save_tiny_bert
from tests.fuzz.cases import Case, fitting, fixed, method_of, rows

ROOM = "active_learning"
X = rows(20, 3)
Y = np.array(["ä", "b"])[(X[:, 0] > 0).astype(int)]
TEXTS = np.array(["good film", "bad plot ☃", "a", "not very good"], dtype=object)
KINDS = np.array(["x", "y", "x", "y"])
NO_CALLBACK = "a name of a public model; without a network there is only a folder"


@functools.cache
def model_folder():
    folder = tempfile.TemporaryDirectory()
    _KEPT.append(folder)  # until the process ends
    return save_tiny_bert(folder.name)


_KEPT: list[tempfile.TemporaryDirectory] = []


def cases():
    yield from learner_fits()
    yield from learner_methods()
    yield from texts()


def learner_fits():
    base = {"n_initial": 4, "batch_size": 3, "n_queries": 1, "random_state": 0}
    unbounded = ("n_queries", "committee_size", "verbose", "refresh_every", "n_initial")
    unbounded += ("batch_size", "prefilter", "pool_subsample", "budget")
    for oracle, name in ((None, "fit"), ("y", "fit by oracle")):
        case = fitting(
            ROOM,
            PretrainedActiveLearner,
            lambda oracle=oracle: {**base, "oracle": oracle},
            fixed(X=X, y=Y, sample_weight=np.arange(1, 21) / 8.0),
            lambda fitted, data: np.array(fitted.labeled_indices_),
            unbounded=unbounded,
            callables=("strategy", "stop", "oracle", "scoring"),
            rtol=1e-5,  # a list of numbers becomes float32
            cost=3,
        )
        yield Case(**{**vars(case), "name": f"PretrainedActiveLearner.{name}"})


@functools.cache
def taught():
    learner = PretrainedActiveLearner(n_initial=4, batch_size=3, random_state=0).fit(X)
    return learner.teach(np.arange(6), Y[:6])


def learner_methods():
    for name, arguments in {
        "query": {"n": 3, "X": None, "return_scores": False},
        "predict": {"X": X},
        "predict_proba": {"X": X},
        "decision_function": {"X": X},
        "pool_rows": {"indices": np.array([0, 3])},
        "labeled_data": {},
    }.items():
        yield method_of(
            ROOM,
            taught,
            name,
            fixed(**arguments),
            owner="PretrainedActiveLearner",
            rtol=1e-5,  # a list of numbers becomes float32
            unbounded=("n",),
        )
    state = lambda learner: learner.labeled_data()  # noqa: E731
    for name, arguments in {
        "add_to_pool": {"X": X},
        "teach": {"indices": np.array([7, 9]), "labels": Y[[7, 9]], "refit": True},
        "forget": {"indices": np.array([0, 1])},
        "skip": {"indices": np.array([10, 11])},
        "finalize": {"estimator": LogisticRegression()},
    }.items():
        yield method_of(
            ROOM,
            taught,
            name,
            fixed(**arguments),
            state,
            owner="PretrainedActiveLearner",
        )
    files = {"save": "campaign.pkl", "to_jsonl": "rows.jsonl"}
    for name, path in files.items():
        more = {} if name == "save" else {"indices": np.array([0, 1])}
        yield method_of(
            ROOM,
            taught,
            name,
            fixed(path=path, **more),
            outputs=lambda e: None,
            owner="PretrainedActiveLearner",
            paths=("path",),
        )

    def load(path):
        taught().save("saved.pkl")
        return PretrainedActiveLearner.load(path).labeled_data()

    yield Case(
        ROOM,
        "PretrainedActiveLearner.load",
        load,
        fixed(path="saved.pkl"),
        paths=("path",),
    )

    def exchange(path, refit):
        taught().to_jsonl("rows.jsonl")
        learner = PretrainedActiveLearner(random_state=0).fit(X)
        return learner.from_jsonl(path, refit=refit).labeled_data()

    yield Case(
        ROOM,
        "PretrainedActiveLearner.from_jsonl",
        exchange,
        fixed(path="rows.jsonl", refit=True),
        paths=("path",),
    )


def texts():
    skip = {
        "model": NO_CALLBACK,
        "tokenizer": NO_CALLBACK,
        "revision": NO_CALLBACK,
        "local_files_only": "False would reach for the network",
        "trust_remote_code": "True would run code of a model",
    }
    yield fitting(
        ROOM,
        PretrainedTextEncoder,
        lambda: {"model": model_folder()},
        fixed(X=TEXTS, y=None),
        lambda fitted, data: fitted.transform(data["X"]),
        paths=("cache_dir",),
        skip=skip,
        unbounded=("batch_size", "max_length", "verbose"),
        cost=4,
        rtol=1e-4,
    )
    encoder = functools.cache(lambda: PretrainedTextEncoder(model_folder()).fit(TEXTS))
    for name, arguments in {
        "transform": {"X": TEXTS},
        "get_feature_names_out": {"input_features": None},
        "release": {},
    }.items():
        yield method_of(
            ROOM,
            encoder,
            name,
            fixed(**arguments),
            owner="PretrainedTextEncoder",
            rtol=1e-4,
            cost=2,
        )
    small = {"max_epochs": 1, "min_steps": 0, "random_state": 0}
    yield fitting(
        ROOM,
        TransformerTextClassifier,
        lambda: {"model": model_folder(), **small},
        fixed(X=TEXTS, y=KINDS, sample_weight=np.arange(1, 5) / 8.0),
        lambda fitted, data: fitted.predict_proba(TEXTS),
        skip=skip,
        unbounded=(
            *("max_epochs", "min_steps", "batch_size", "verbose", "patience"),
            "max_length",
        ),
        cost=8,
        rtol=1e-3,  # steps of Adam enlarge what float32 rounds
    )
    classifier = functools.cache(
        lambda: TransformerTextClassifier(model_folder(), **small).fit(TEXTS, KINDS)
    )
    for name in ("predict", "predict_proba", "decision_function"):
        yield method_of(
            ROOM,
            classifier,
            name,
            fixed(X=TEXTS),
            owner="TransformerTextClassifier",
            rtol=1e-4,
            cost=4,
        )
