"""Measure once, choose later: resample, warm start, save and load; routing; memory."""

import copy
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from sklvyso import DRoPSampler, NetworkClassifier
from sklvyso.datasets import make_class_difficulty_blobs

NETWORK = NetworkClassifier(hidden_layer_sizes=(8,), max_epochs=11, random_state=0)


@pytest.fixture(scope="module")
def blobs():
    return make_class_difficulty_blobs(
        300, n_features=4, sigmas=(0.5, 1.0, 2.0), random_state=0
    )


class Counted(ClassifierMixin, BaseEstimator):
    """Counts its fits."""

    n_fits = 0

    def fit(self, X, y):
        Counted.n_fits += 1
        self.model_ = LogisticRegression().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(X)

    def predict_proba(self, X):
        return self.model_.predict_proba(X)


CHOICES = [
    {"density": 0.1},
    {"density": 0.7},
    {"quota": "uniform", "density": 40},
    {"quota": "balanced"},
    {"quota": "auto", "min_per_class": 0},
    {"quota": "strategyq", "density": 0.2},
    {"quota": "normalize"},
    {"quota": {0: 3}},
    {"keep": "easiest"},
    {"keep": "ccs", "density": 0.3},
    {"allocation": "count", "uniform_mix": 0.0, "smoothing": 0},
    {"sampling_strategy": lambda y: {0: int((y == 0).sum() // 2)}},
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: "-".join(c))
def test_resample_equals_a_new_fit_and_trains_nothing(blobs, choice):
    sampler = DRoPSampler(Counted(), scorer="el2n", random_state=0).fit(*blobs)
    before, n_fits = sampler.get_params(), Counted.n_fits
    X_kept, y_kept = sampler.resample(**choice)
    assert Counted.n_fits == n_fits
    assert sampler.get_params() == before
    anew = clone(sampler).set_params(**choice)
    X_new, y_new = anew.fit_resample(*blobs)
    np.testing.assert_array_equal(X_kept, X_new)
    np.testing.assert_array_equal(y_kept, y_new)
    for name in ("quotas_", "class_densities_", "class_errors_", "sample_indices_"):
        np.testing.assert_array_equal(getattr(sampler, name), getattr(anew, name))
    assert sampler.sampling_strategy_ == anew.sampling_strategy_
    # And back again.
    sampler.resample()
    np.testing.assert_array_equal(
        sampler.sample_indices_, clone(sampler).fit(*blobs).sample_indices_
    )


def test_k_center_carries_on(blobs):
    sampler = DRoPSampler(NETWORK, scorer="k_center", density=0.1, random_state=0)
    sampler.fit(*blobs)
    for density in (0.5, 0.2):
        sampler.resample(density=density)
        anew = clone(sampler).set_params(density=density).fit(*blobs)
        np.testing.assert_array_equal(sampler.sample_indices_, anew.sample_indices_)


def test_rows_may_be_handed_in_again(blobs):
    X, y = blobs
    sampler = DRoPSampler(LogisticRegression(), random_state=0).fit(X, y)
    expected = sampler.resample(density=0.2)[0]
    for other in (pickle.loads(pickle.dumps(sampler)), copy.deepcopy(sampler)):
        assert "_data" not in vars(other)
        with pytest.raises(ValueError, match="X and y must be passed"):
            other.resample(density=0.2)
        np.testing.assert_array_equal(other.resample(X, y, density=0.2)[0], expected)
    frame = pd.DataFrame(X, columns=list("abcd"))
    kept, _ = sampler.resample(frame, pd.Series(y), density=0.2)
    pd.testing.assert_frame_equal(kept, frame.iloc[sampler.sample_indices_])


def test_resample_names_what_is_wrong(blobs):
    X, y = blobs
    sampler = DRoPSampler(LogisticRegression(), random_state=0)
    with pytest.raises(NotFittedError):
        sampler.resample(density=0.2)
    sampler.fit(X, y)
    for choice, error, message in (
        ({"density": 2.0}, ValueError, "'density' parameter"),
        ({"density": 0.001}, ValueError, "density must keep between 3 rows"),
        ({"scorer": "el2n"}, TypeError, r"Got \['scorer'\]: what is measured"),
        ({"X": X}, ValueError, "y is None"),
        ({"X": X[:5], "y": y[:5]}, ValueError, "must be the 300 rows of the fit"),
        ({"X": X, "y": y[::-1]}, ValueError, "Got other labels"),
        ({"X": X[:, :2], "y": y}, ValueError, "the 4 columns of the fit. Got 2"),
        ({"quota": "normalize"}, ValueError, "needs a score of each row"),
    ):
        before = sampler.sample_indices_
        with pytest.raises(error, match=message):
            sampler.resample(**choice)
        np.testing.assert_array_equal(sampler.sample_indices_, before)
    uniform = DRoPSampler(quota="uniform", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="needs the recall of each class"):
        uniform.resample(quota="drop")
    stepwise = DRoPSampler(LogisticRegression(), n_steps=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="n_steps must be 1 for resample and save"):
        stepwise.resample(density=0.2)


def test_recalls_may_come_later(blobs):
    sampler = DRoPSampler(quota="uniform", random_state=0).fit(*blobs)
    sampler.resample(quota="drop", recalls=[0.9, 0.5, 0.1])
    expected = DRoPSampler(recalls=[0.9, 0.5, 0.1], random_state=0).fit(*blobs)
    np.testing.assert_array_equal(sampler.quotas_, expected.quotas_)
    measured = DRoPSampler(Counted(), random_state=0).fit(*blobs)
    measured.set_params(recalls=[0.1, 0.5, 0.9]).resample()
    np.testing.assert_array_equal(measured.class_recalls_, [0.1, 0.5, 0.9])


def test_other_scores_than_the_measured_are_refused(blobs, tmp_path):
    sampler = DRoPSampler(Counted(), scorer="el2n", random_state=0).fit(*blobs)
    sampler.save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"was measured, 'el2n'.*Got 'grand'"):
        DRoPSampler(NETWORK, scorer="grand").load(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="Got 'margin': call fit_resample"):
        sampler.set_params(scorer="margin").resample()
    # The default takes what is in the file.
    anything = DRoPSampler(density=0.2).load(tmp_path / "a.npz")
    np.testing.assert_array_equal(anything.scores_, sampler.scores_)
    recalls = DRoPSampler(recalls=[0.1, 0.2, 0.3]).load(tmp_path / "a.npz")
    np.testing.assert_array_equal(recalls.class_recalls_, [0.1, 0.2, 0.3])


# -- warm start -----------------------------------------------------------------------


def test_warm_start_trains_only_what_is_missing(blobs):
    X, y = blobs
    sampler = DRoPSampler(Counted(), random_state=0, warm_start=True)
    sampler.fit_resample(X, y)

    def fits_of(work):
        before = Counted.n_fits
        work()
        return Counted.n_fits - before

    change = sampler.set_params
    assert fits_of(lambda: change(density=0.2).fit_resample(X, y)) == 0
    assert sampler.target_size_ == 60
    assert len(sampler.query_estimators_) == 5
    assert fits_of(lambda: change(quota="uniform").fit(X, y)) == 0
    assert fits_of(lambda: change(quota="drop", smoothing=0).fit(X, y)) == 0
    assert fits_of(lambda: sampler.fit(X.copy(), y.copy())) == 0
    assert fits_of(lambda: sampler.fit(X[:200], y[:200])) == 5
    assert fits_of(lambda: sampler.fit(X, y)) == 5
    assert fits_of(lambda: change(n_query=2).fit(X, y)) == 10
    assert fits_of(lambda: change(warm_start=False).fit(X, y)) == 10
    np.testing.assert_array_equal(
        sampler.sample_indices_, clone(sampler).fit(X, y).sample_indices_
    )


def test_warm_start_measures_recalls_once_the_quota_asks(blobs):
    sampler = DRoPSampler(
        Counted(),
        scorer="el2n",
        score_from="training",
        quota="auto",
        random_state=0,
        warm_start=True,
    ).fit(*blobs)
    scores, before = sampler.scores_, Counted.n_fits
    sampler.set_params(quota="drop").fit(*blobs)
    assert Counted.n_fits - before == 5
    assert sampler.scores_ is scores
    assert len(sampler.score_estimators_) == 1 and len(sampler.query_estimators_) == 5
    cold = clone(sampler).set_params(warm_start=False).fit(*blobs)
    np.testing.assert_array_equal(cold.scores_, scores)


# -- save and load --------------------------------------------------------------------


@pytest.mark.parametrize("scorer", ["random", "forgetting", "k_center", "el2n"])
@pytest.mark.parametrize("labels", ["int", "str", "object"])
def test_save_and_load_bring_back_all_that_was_measured(
    blobs, tmp_path, scorer, labels
):
    X, y = blobs
    names = np.array(["low", "mid", "top"])[y]
    y = {"int": y, "str": names, "object": names.astype(object)}[labels]
    groups = (np.arange(300) % 4 == 0) if labels == "int" else None
    sampler = DRoPSampler(NETWORK, scorer=scorer, validation=2, random_state=0)
    sampler.fit(X, y, groups=groups)
    path = tmp_path / "measured.npz"
    sampler.save(path)
    again = clone(sampler).load(path)
    np.testing.assert_array_equal(again.sample_indices_, sampler.sample_indices_)
    np.testing.assert_array_equal(again.class_recalls_, sampler.class_recalls_)
    assert again.query_estimators_ == []
    if sampler.training_dynamics_:
        np.testing.assert_array_equal(
            again.training_dynamics_[0].p_true, sampler.training_dynamics_[0].p_true
        )
    for density in (0.2, 0.6):
        np.testing.assert_array_equal(
            again.resample(X, y, density=density)[0],
            sampler.resample(density=density)[0],
        )
    assert list(again.quota_report_) == list(sampler.quota_report_)


def test_loaded_measurements_serve_a_warm_start(blobs, tmp_path):
    sampler = DRoPSampler(Counted(), random_state=0, warm_start=True).fit(*blobs)
    sampler.save(tmp_path / "a.npz")
    again, n_fits = clone(sampler).load(tmp_path / "a.npz"), Counted.n_fits
    again.set_params(density=0.2).fit(*blobs)
    assert Counted.n_fits == n_fits and again.target_size_ == 60


def test_files_that_are_none_are_named(blobs, tmp_path):
    sampler = DRoPSampler(LogisticRegression(), random_state=0).fit(*blobs)
    path = tmp_path / "a.npz"
    with pytest.raises(NotFittedError):
        clone(sampler).save(path)
    sampler.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    whole = path.read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"path must name a file that DRoPSampler"):
            sampler.load(path)
    np.savez(path, about=np.array('{"format": 99}'))
    with pytest.raises(ValueError, match="has format 99"):
        sampler.load(path)
    np.savez(path, about=np.array('{"format": 1}'), codes=np.zeros(3))
    with pytest.raises(ValueError, match="path must name a file"):
        sampler.load(path)
    with pytest.raises(FileNotFoundError):
        sampler.load(tmp_path / "nothing.npz")
    path.write_bytes(whole)
    assert sampler.load(path).target_size_ == 150


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_loading_runs_no_pickle(blobs, tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, about=np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="path must name a file"):
        DRoPSampler().load(path)


def test_mixed_labels_are_refused_by_name(tmp_path):
    from sklvyso.data_pruning._measurements import _plain

    with pytest.raises(TypeError, match="classes must be all numbers or all texts"):
        _plain(np.array([1, "a"], dtype=object), "classes")


# -- metadata -------------------------------------------------------------------------


def test_features_and_scores_are_routed_and_cut_by_folds(blobs):
    X, y = blobs
    with config_context(enable_metadata_routing=True):
        for name, values, scorer in (
            ("features", X[:, :2], "k_center"),
            ("scores", X[:, 0], "random"),
        ):
            sampler = DRoPSampler(
                LogisticRegression(), scorer=scorer, quota="uniform", random_state=0
            ).set_fit_resample_request(**{name: True})
            pipe = make_pipeline(StandardScaler(), sampler, LogisticRegression())
            search = GridSearchCV(pipe, {"dropsampler__density": [0.2, 0.4]}, cv=2)
            search.fit(X, y, **{name: values})
            kept = search.best_estimator_[1].sample_indices_
            direct = clone(sampler).set_params(
                density=search.best_params_["dropsampler__density"]
            )
            direct.fit(X, y, **{name: values})
            np.testing.assert_array_equal(kept, direct.sample_indices_)


# -- scale ----------------------------------------------------------------------------


def test_selection_takes_memory_in_proportion_to_the_rows():
    n_rows = 300_000
    rng = np.random.RandomState(0)
    y = rng.randint(0, 20, n_rows)
    X = np.zeros((n_rows, 1), dtype=np.float32)
    scores = rng.rand(n_rows)
    tracemalloc.start()
    sampler = DRoPSampler(recalls=np.linspace(0.5, 0.9, 20), scorer=scores)
    sampler.fit(X, y)
    for quota in ("auto", "strategyq", "normalize"):
        sampler.resample(quota=quota)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 * n_rows  # bytes: some arrays of eight
    assert len(sampler.sample_indices_) == n_rows // 2
