"""DRoPSampler: exact sizes, held-out recalls, containers, pipelines, routing."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from imblearn.pipeline import Pipeline, make_pipeline
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline as sklearn_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklvyso import DRoPSampler, NetworkClassifier
from sklvyso.data_pruning import drop_quotas
from sklvyso.data_pruning._recalls import shrunken_errors
from sklvyso.datasets import make_class_difficulty_blobs
from sklvyso.networks import make_network

PAPER = {"smoothing": 0, "uniform_mix": 0.0, "min_per_class": 0}


@pytest.fixture(scope="module")
def blobs():
    return make_class_difficulty_blobs(
        600, n_features=3, sigmas=(0.5, 1.0, 2.0), random_state=0
    )


class Spy(ClassifierMixin, BaseEstimator):
    """Remembers every row that it was trained and tested on."""

    log: list = []

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.model_ = LogisticRegression().fit(X, y)
        self.rows_ = {row.tobytes() for row in np.asarray(X)}
        return self

    def predict(self, X):
        Spy.log.append(len({r.tobytes() for r in np.asarray(X)} & self.rows_))
        return self.model_.predict(X)


def test_recalls_come_from_rows_that_the_model_has_not_seen(blobs):
    Spy.log = []
    DRoPSampler(Spy(), random_state=0).fit(*blobs)
    assert Spy.log == [0] * 5


@pytest.mark.parametrize("validation", [3, 0.25, KFold(4)])
def test_every_kind_of_validation(blobs, validation):
    X, y = blobs
    sampler = DRoPSampler(
        LogisticRegression(), validation=validation, smoothing=0, random_state=0
    ).fit(X, y)
    expected = {3: 600, 0.25: 150}.get(validation, 600)
    assert sampler.quota_report_["n_validation"].sum() == expected
    assert sampler.class_recalls_[0] > sampler.class_recalls_[2]
    assert sampler.quotas_[0] < sampler.quotas_[2]


@pytest.mark.parametrize(
    "density, n_kept",
    [
        (0.1, 60),
        (0.3333, 200),
        (17, 17),
        (1.0, 600),
        (0.0575 / 3, 12),
    ],
)
def test_size_is_exact(blobs, density, n_kept):
    sampler = DRoPSampler(LogisticRegression(), density=density, random_state=0)
    X_kept, y_kept = sampler.fit_resample(*blobs)
    assert len(X_kept) == len(y_kept) == sampler.target_size_ == n_kept
    kept = sampler.sample_indices_
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(X_kept, blobs[0][kept])
    np.testing.assert_array_equal(
        np.unique(y_kept, return_counts=True)[1], sampler.quotas_
    )


def test_a_larger_quota_keeps_the_rows_of_a_smaller_one(blobs):
    model = LogisticRegression()
    little = DRoPSampler(model, density=0.1, random_state=0).fit(*blobs)
    more = DRoPSampler(model, density=0.4, random_state=0).fit(*blobs)
    assert set(little.sample_indices_) < set(more.sample_indices_)
    uniform = DRoPSampler(density=0.1, quota="uniform", random_state=0).fit(*blobs)
    for label in range(3):
        rows = [
            set(s.sample_indices_[blobs[1][s.sample_indices_] == label])
            for s in (little, uniform)
        ]
        assert rows[0] <= rows[1] or rows[1] <= rows[0]


def test_half_a_row_rounds_up():
    X, y = np.arange(10.0).reshape(5, 2), [0, 1, 0, 1, 0]
    assert len(DRoPSampler(density=0.5, quota="uniform").fit_resample(X, y)[1]) == 3


def test_paper_setting_is_the_bare_formula(blobs):
    X, y = blobs
    sampler = DRoPSampler(LogisticRegression(), density=0.4, random_state=0, **PAPER)
    sampler.fit(X, y)
    np.testing.assert_array_equal(
        sampler.quotas_, drop_quotas(sampler.class_recalls_, np.bincount(y), 240)
    )
    np.testing.assert_allclose(sampler.class_errors_, 1 - sampler.class_recalls_)


def test_given_recalls_train_nothing(blobs):
    X, y = blobs
    for recalls in ([0.9, 0.8, 0.5], {0: 0.9, 2: 0.5, 1: 0.8}):
        sampler = DRoPSampler(Spy(), recalls=recalls, density=160, **PAPER).fit(X, y)
        assert sampler.query_estimators_ == []
        np.testing.assert_array_equal(sampler.quotas_, [20, 40, 100])


def test_quota_rules(blobs):
    X, y = blobs[0][:450], blobs[1][:450]
    counts = np.bincount(y)

    def kept(quota, **options):
        sampler = DRoPSampler(
            LogisticRegression(), quota=quota, density=90, random_state=0, **options
        )
        return sampler.fit(X, y).quotas_

    np.testing.assert_allclose(kept("uniform"), counts * 90 / 450, atol=1)
    np.testing.assert_array_equal(kept("balanced"), [30, 30, 30])
    np.testing.assert_array_equal(kept({0: 3, 2: 5}), [3, counts[1], 5])
    seen = []

    def rule(recalls, class_counts, n_select):
        seen.append((recalls, class_counts, n_select))
        return np.array([1, 2, 3])

    np.testing.assert_array_equal(kept(rule), [1, 2, 3])
    assert seen[0][2] == 90 and 0 < seen[0][0].min() < 1
    np.testing.assert_array_equal(
        kept("drop", sampling_strategy={0: 3}), [3, counts[1], counts[2]]
    )
    by_function = kept(
        "drop", sampling_strategy=lambda y: {1: int((y == 0).sum() // 9)}
    )
    assert by_function[1] == counts[0] // 9


def test_seeds_and_global_state(blobs):
    np.random.seed(0)  # noqa: NPY002 - the global generator is what is tested
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, three = (
        DRoPSampler(random_state=seed).fit(*blobs).sample_indices_ for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


def test_parallel_fits_equal_serial_ones(blobs):
    model = RandomForestClassifier(5)
    serial = DRoPSampler(model, random_state=0, n_query=2).fit(*blobs)
    parallel = DRoPSampler(model, random_state=0, n_query=2, n_jobs=2).fit(*blobs)
    np.testing.assert_array_equal(serial.sample_indices_, parallel.sample_indices_)
    assert len(serial.query_estimators_) == 10
    seeds = {model.random_state for model in serial.query_estimators_}
    assert len(seeds) == 10


def test_containers_come_back_in_kind(blobs):
    X, y = blobs
    sampler = DRoPSampler(LogisticRegression(), random_state=0)
    expected = sampler.fit_resample(X, y)[0]
    kept = sampler.sample_indices_

    frame = pd.DataFrame(X, columns=list("abc"), index=np.arange(600) * 2)
    series = pd.Series(y, index=frame.index, name="label")
    X_frame, y_frame = clone(sampler).fit_resample(frame, series)
    pd.testing.assert_frame_equal(X_frame, frame.iloc[kept])
    pd.testing.assert_series_equal(y_frame, series.iloc[kept])

    X_list, y_list = clone(sampler).fit_resample(X.tolist(), y.tolist())
    assert X_list == expected.tolist() and isinstance(y_list, list)

    for kind in (
        scipy.sparse.csr_matrix,
        scipy.sparse.csc_array,
        scipy.sparse.coo_matrix,
    ):
        X_sparse, _ = clone(sampler).fit_resample(kind(X), y)
        assert scipy.sparse.issparse(X_sparse)
        np.testing.assert_array_equal(X_sparse.toarray(), expected)


def test_images_of_any_shape_keep_it():
    X, y = load_digits(return_X_y=True)
    images = X[:300].reshape(-1, 8, 8).astype(np.uint8)
    for model in (
        None,
        LogisticRegression(max_iter=2000),
        NetworkClassifier(
            "lenet-5", module_params={"padding": "same"}, max_epochs=3, random_state=0
        ),
    ):
        kept, labels = DRoPSampler(model, random_state=0).fit_resample(images, y[:300])
        assert kept.shape == (150, 8, 8) and kept.dtype == np.uint8
        assert len(labels) == 150


def test_mixed_columns_and_texts_go_to_the_users_model():
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"size": rng.rand(90), "colour": rng.choice(["r", "g"], 90)})
    y = np.where(frame["colour"] == "r", "red", "green")
    model = sklearn_pipeline(
        make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough"),
        LogisticRegression(),
    )
    kept, _ = DRoPSampler(model, random_state=0).fit_resample(frame, y)
    assert list(kept.columns) == ["size", "colour"] and len(kept) == 45

    texts = [f"{'good' if i % 2 else 'bad'} film {i}" for i in range(60)]
    model = sklearn_pipeline(TfidfVectorizer(), LogisticRegression())
    kept, labels = DRoPSampler(model, random_state=0).fit_resample(
        texts, [i % 2 for i in range(60)]
    )
    assert len(kept) == len(labels) == 30 and isinstance(kept[0], str)


def test_labels_of_any_kind(blobs):
    X, y = blobs
    names = np.array(["low", "mid", "top"], dtype=object)[y]
    sampler = DRoPSampler(LogisticRegression(), random_state=0).fit(X, names)
    assert list(sampler.sampling_strategy_) == ["low", "mid", "top"]
    plain = DRoPSampler(LogisticRegression(), random_state=0).fit(X, 10 * y - 3)
    np.testing.assert_array_equal(plain.sample_indices_, sampler.sample_indices_)


def test_a_class_of_one_row_is_kept():
    rng = np.random.RandomState(0)
    X, y = rng.randn(60, 2), np.r_[np.zeros(40, int), np.ones(19, int), 2]
    sampler = DRoPSampler(LogisticRegression(), random_state=0).fit(X, y)
    assert sampler.class_recalls_[2] == 0
    assert sampler.quotas_[2] == 1


def test_skorch_nets_and_modules_are_query_models(blobs):
    from skorch import NeuralNetClassifier
    from torch import nn

    X, y = blobs
    names = np.array(["a", "b", "c"])[y]
    net = NeuralNetClassifier(
        make_network,
        module__name="mlp",
        module__input_shape=(3,),
        module__n_outputs=3,
        criterion=nn.CrossEntropyLoss,
        lr=0.1,
        max_epochs=10,
        train_split=None,
        verbose=0,
    )
    for model in (net, "mlp"):
        first, second = (
            DRoPSampler(model, random_state=0).fit(X, names) for _ in range(2)
        )
        np.testing.assert_array_equal(first.sample_indices_, second.sample_indices_)
        assert first.quotas_[0] < first.quotas_[2]


# -- groups ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grouped():
    rng = np.random.RandomState(0)
    group = rng.choice(["easy", "hard"], 400, p=[0.8, 0.2])
    y = rng.randint(0, 2, 400)
    noise = np.where(group == "hard", 3.0, 0.3)
    X = np.c_[y + noise * rng.randn(400), rng.randn(400)]
    return X, y, group


def test_group_quotas_follow_group_errors(grouped):
    X, y, group = grouped
    sampler = DRoPSampler(LogisticRegression(), density=0.3, random_state=0)
    sampler.fit_resample(X, y, groups=group)
    assert list(sampler.groups_) == ["easy", "hard"]
    assert sampler.class_densities_[1] > 2 * sampler.class_densities_[0]
    kept = pd.Series(group[sampler.sample_indices_]).value_counts()
    assert kept.to_dict() == sampler.sampling_strategy_
    assert "group" in sampler.quota_report_


def test_group_column_equals_groups(grouped):
    X, y, group = grouped
    code = (group == "hard").astype(float)
    by_keyword = DRoPSampler(LogisticRegression(), density=0.3, random_state=0)
    by_keyword.fit(X, y, groups=code)
    model = clone(by_keyword).set_params(group_column=-1)
    kept, _ = model.fit_resample(np.c_[X, code], y)
    np.testing.assert_array_equal(model.sample_indices_, by_keyword.sample_indices_)
    assert kept.shape[1] == 3
    assert model.query_estimators_[0].n_features_in_ == 2

    frame = pd.DataFrame(X, columns=["a", "b"]).assign(site=group)
    model = clone(by_keyword).set_params(group_column="site").fit(frame, y)
    np.testing.assert_array_equal(model.sample_indices_, by_keyword.sample_indices_)
    default = DRoPSampler(group_column="site", random_state=0).fit(frame, y)
    assert list(default.groups_) == ["easy", "hard"]


def test_groups_and_validation_rows_are_routed_through_a_pipeline(grouped):
    X, y, group = grouped
    sampler = DRoPSampler(LogisticRegression(), density=0.3, random_state=0)
    with config_context(enable_metadata_routing=True):
        sampler.set_fit_resample_request(groups=True)
        pipe = make_pipeline(StandardScaler(), sampler, LogisticRegression())
        pipe.fit(X, y, groups=group)
        assert list(pipe[1].groups_) == ["easy", "hard"]
        search = GridSearchCV(pipe, {"dropsampler__density": [0.2, 0.4]}, cv=2)
        search.fit(X, y, groups=group)
        assert list(search.best_estimator_[1].groups_) == ["easy", "hard"]


def test_external_validation_rows_pass_the_scaler(grouped):
    X, y, _ = grouped
    X_val, y_val = X[300:], y[300:]
    X, y = X[:300], y[:300]
    scaled = StandardScaler().fit(X)
    direct = DRoPSampler(LogisticRegression(), random_state=0, n_query=2)
    direct.fit(scaled.transform(X), y, X_val=scaled.transform(X_val), y_val=y_val)
    assert direct.quota_report_["n_validation"].sum() == 100
    assert len(direct.query_estimators_) == 2
    assert direct.query_estimators_[0].n_iter_ > 0
    with config_context(enable_metadata_routing=True):
        sampler = clone(direct).set_fit_resample_request(X_val=True, y_val=True)
        pipe = Pipeline(
            [
                ("scale", StandardScaler()),
                ("drop", sampler),
                ("model", LogisticRegression()),
            ],
            transform_input=["X_val"],
        )
        pipe.fit(X, y, X_val=X_val, y_val=y_val)
        np.testing.assert_array_equal(
            pipe["drop"].sample_indices_, direct.sample_indices_
        )
        # The sampler as the last step is run by another method of the Pipeline.
        short = Pipeline(
            [("scale", StandardScaler()), ("drop", clone(sampler))],
            transform_input=["X_val"],
        )
        short.fit_resample(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(short["drop"].class_recalls_, direct.class_recalls_)


def test_data_frame_validation_rows_must_have_the_columns(grouped):
    X, y, _ = grouped
    frame = pd.DataFrame(X, columns=["a", "b"])
    for model in (None, LogisticRegression()):
        sampler = DRoPSampler(model, random_state=0)
        sampler.fit(frame, y, X_val=frame, y_val=y)
        by_array = clone(sampler).fit(X, y, X_val=X, y_val=y)
        np.testing.assert_allclose(sampler.class_recalls_, by_array.class_recalls_)
        with pytest.raises(ValueError, match="feature names"):
            sampler.fit(frame, y, X_val=frame[["b", "a"]], y_val=y)


class Overlapping(KFold):
    def split(self, X, y=None, groups=None):
        yield np.arange(len(y)), np.arange(5)


class NoPairs(KFold):
    def split(self, X, y=None, groups=None):
        yield np.arange(3), np.array([10_000])


@pytest.mark.parametrize(
    "validation, message",
    [
        (Overlapping(), "recalls on training rows say nothing"),
        (NoPairs(), "index arrays within the 600 rows"),
        (KFold(3), r"trains without \[0\]: use StratifiedKFold"),
        (KFold, r"validation=KFold\(\)"),
    ],
)
def test_unusable_splitters_are_named(blobs, validation, message):
    order = np.argsort(blobs[1], kind="stable")
    with pytest.raises((ValueError, TypeError), match=message):
        DRoPSampler(LogisticRegression(), validation=validation).fit(
            blobs[0][order], blobs[1][order]
        )


def test_repeats_do_not_count_as_new_rows(blobs):
    settings = {"random_state": 0, "smoothing": 5}
    once = DRoPSampler(LogisticRegression(), **settings).fit(*blobs)
    often = DRoPSampler(LogisticRegression(), n_query=4, **settings).fit(*blobs)
    splitter = RepeatedStratifiedKFold(n_splits=5, n_repeats=4, random_state=0)
    repeated = DRoPSampler(LogisticRegression(), validation=splitter, **settings).fit(
        *blobs
    )
    for sampler in (once, often, repeated):
        np.testing.assert_array_equal(sampler.quota_report_["n_validation"], [200] * 3)
        expected = (200 * (1 - sampler.class_recalls_) + 5) / 210
        np.testing.assert_allclose(sampler.class_errors_, expected)


def test_splitters_without_a_seed_get_one(blobs):
    splitter = StratifiedKFold(5, shuffle=True)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (
        DRoPSampler(LogisticRegression(), validation=splitter, random_state=0)
        .fit(*blobs)
        .class_recalls_
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert splitter.random_state is None


def test_object_arrays_keep_their_groups_and_columns(grouped):
    X, y, group = grouped
    mixed = np.empty((400, 3), dtype=object)
    mixed[:, :2], mixed[:, 2] = X, np.where(group == "hard", "01", "1")
    for model in (None, LogisticRegression()):
        sampler = DRoPSampler(model, group_column=2, random_state=0).fit(mixed, y)
        assert list(sampler.groups_) == ["01", "1"]
        by_keyword = DRoPSampler(model, random_state=0).fit(X, y, groups=mixed[:, 2])
        np.testing.assert_array_equal(
            sampler.sample_indices_, by_keyword.sample_indices_
        )
    model = sklearn_pipeline(
        make_column_transformer((OneHotEncoder(), [2]), remainder="passthrough"),
        LogisticRegression(),
    )
    assert DRoPSampler(model, random_state=0).fit(mixed, y).target_size_ == 200


def test_user_arrays_are_not_handed_out(blobs):
    given = np.array([0.9, 0.5, 0.3])

    def rule(recalls, counts, n_select):
        recalls[:] = 0
        counts //= 2
        return counts

    sampler = DRoPSampler(recalls=given, quota=rule).fit(*blobs)
    np.testing.assert_array_equal(given, [0.9, 0.5, 0.3])
    np.testing.assert_array_equal(sampler.class_counts_, [200] * 3)
    np.testing.assert_array_equal(sampler.quotas_, [100] * 3)
    assert not np.shares_memory(sampler.class_recalls_, given)


def test_recalls_as_a_series_go_by_label(blobs):
    series = pd.Series([0.3, 0.9, 0.5], index=[2, 0, 1])
    by_label = DRoPSampler(recalls=series).fit(*blobs)
    np.testing.assert_array_equal(by_label.class_recalls_, [0.9, 0.5, 0.3])
    names = np.array(["a", "b", "c"])[blobs[1]]
    by_place = DRoPSampler(recalls=pd.Series([0.9, 0.5, 0.3])).fit(blobs[0], names)
    np.testing.assert_array_equal(by_place.class_recalls_, [0.9, 0.5, 0.3])


def test_group_splitters_get_the_groups(grouped):
    X, y, _ = grouped
    sites = np.arange(400) % 8
    sampler = DRoPSampler(
        LogisticRegression(), validation=GroupKFold(4), random_state=0
    ).fit(X, y, groups=sites)
    assert len(sampler.query_estimators_) == 4


class Talker(LogisticRegression):
    def __init__(self, answer=None):
        super().__init__()
        self.answer = answer

    def predict(self, X):
        return self.answer if np.ndim(self.answer) else np.full(len(X), self.answer)


@pytest.mark.parametrize("answer", [None, "a", np.zeros(3)])
def test_predictions_that_are_no_labels_are_named(blobs, answer):
    with pytest.raises(ValueError, match=r"must predict one label of y.*Talker"):
        DRoPSampler(Talker(answer)).fit(*blobs)


def test_rules_without_a_model_take_any_rows(blobs):
    y = blobs[1]
    texts = [f"text {i}" for i in range(600)]
    frame = pd.DataFrame({"a": texts, "b": np.nan})
    for quota in ("uniform", "balanced", {0: 3}):
        for X in (texts, frame):
            kept, labels = DRoPSampler(quota=quota).fit_resample(X, y)
            assert len(kept) == len(labels) == (403 if isinstance(quota, dict) else 300)
    with pytest.raises(ValueError, match="TfidfVectorizer"):
        DRoPSampler().fit(texts, y)


# -- in pipelines ---------------------------------------------------------------------


def test_pipeline_grid_search_prunes_training_folds_only(blobs):
    X, y = blobs
    tested = []

    class Final(LogisticRegression):
        def score(self, X, y, sample_weight=None):
            tested.append(len(y))
            return super().score(X, y, sample_weight)

    pipe = make_pipeline(
        StandardScaler(), DRoPSampler(LogisticRegression(), random_state=0), Final()
    )
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.5
    assert tested == [200] * 3
    grid = {"dropsampler__density": [0.1, 0.5], "dropsampler__estimator__C": [0.1, 1.0]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    assert search.best_estimator_[1].target_size_ in (60, 300)


def test_pickle_and_clone(blobs):
    sampler = DRoPSampler(random_state=0).fit(*blobs)
    again = pickle.loads(pickle.dumps(sampler))
    np.testing.assert_array_equal(again.sample_indices_, sampler.sample_indices_)
    assert not hasattr(clone(sampler), "sample_indices_")


def test_report_is_a_table(blobs):
    sampler = DRoPSampler(LogisticRegression(), density=0.5, random_state=0).fit(*blobs)
    table = pd.DataFrame(sampler.quota_report_)
    assert list(table.columns) == [
        "class",
        "count",
        "recall",
        "n_validation",
        "error",
        "density",
        "kept",
    ]
    assert table["kept"].sum() == 300


def test_verbose_shows_a_bar(blobs, capfd):
    DRoPSampler(LogisticRegression(), random_state=0).fit(*blobs)
    assert capfd.readouterr() == ("", "")
    DRoPSampler(LogisticRegression(), random_state=0, verbose=1).fit(*blobs)
    assert "5/5" in capfd.readouterr().err


# -- steadied errors ------------------------------------------------------------------


def test_shrinking_equalises_noise_and_keeps_real_differences():
    noise = shrunken_errors(np.array([3, 2, 4, 3]), np.full(4, 90))
    np.testing.assert_allclose(noise, noise[0])
    real = shrunken_errors(np.array([30, 100, 400]), np.full(3, 1000))
    np.testing.assert_allclose(real, [0.03, 0.1, 0.4], atol=0.002)
    rare = shrunken_errors(np.array([30, 100, 2]), np.array([1000, 1000, 5]))
    # The rare class is trusted less: its 0.4 moves towards the others.
    assert 0.1 < rare[2] < 0.4


def test_shrunken_errors_never_touch_the_ends():
    errors = shrunken_errors(np.array([0, 50, 0]), np.array([50, 50, 1]))
    assert ((errors > 0) & (errors < 1)).all()


def test_starved_class_with_few_errors_is_warned_of():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], 200)
    X = np.c_[np.where(y == 0, -3, 0.5) + np.where(y == 0, 0.1, 3) * rng.randn(400), y]
    X = X[:, :1]
    with pytest.warns(UserWarning, match=r"Classes \[0\] keep less than a quarter"):
        DRoPSampler(
            LogisticRegression(),
            density=0.5,
            random_state=0,
            smoothing=0.5,
            uniform_mix=0.0,
        ).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DRoPSampler(LogisticRegression(), random_state=0).fit(X, y)


# -- errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        ({"density": 0.001}, r"density must keep between 3 rows.*density=0.001"),
        ({"density": 601}, r"all 600 rows. Got density=601"),
        ({"density": 1.5}, "'density' parameter"),
        ({"recalls": [0.5, 0.5]}, r"one entry for each of the 3 classes"),
        ({"recalls": [0.5, 0.5, 2]}, r"recalls must lie in \[0, 1\]"),
        ({"recalls": {0: 0.5, 1: 0.5, 7: 0.1}}, r"Missing: \[2\]; unknown: \[7\]"),
        ({"quota": {9: 1}}, r"quota must name classes or groups.*Got 9"),
        ({"sampling_strategy": lambda y: None}, r"must return a dict"),
        ({"quota": {0: 10_000}}, r"integer from 0 to 200"),
        ({"quota": {0: 0, 1: 0, 2: 0}}, r"at least one row"),
        ({"quota": lambda recalls, counts, n: [1]}, r"quota must return one integer"),
        ({"sampling_strategy": 0.5}, r"'sampling_strategy' parameter.*use density"),
        ({"group_column": 7}, r"group_column must be the position of one of the 3"),
        ({"group_column": "a"}, r"when X is not a data frame, an integer. Got 'a'"),
        ({"estimator": LinearRegression()}, r"must be a classifier. Got LinearReg"),
        ({"estimator": LogisticRegression}, r"estimator=LogisticRegression\(\)"),
        ({"validation": KFold(600)}, None),
        ({"quota": lambda r, c, n: c // 9, "min_per_class": 60}, None),
    ],
)
def test_bad_parameters_are_named(blobs, options, message):
    settings = {"estimator": LogisticRegression(), "random_state": 0} | options
    if message is None:
        DRoPSampler(**settings).fit(*blobs)
        return
    with pytest.raises((ValueError, TypeError), match=message):
        DRoPSampler(**settings).fit(*blobs)


def test_bad_data_are_named(blobs):
    X, y = blobs
    sampler = DRoPSampler(LogisticRegression())
    with pytest.raises(ValueError, match="more than 1 class"):
        sampler.fit(X, np.zeros(600))
    with pytest.raises(ValueError, match="y_val is None"):
        sampler.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match=r"y_val must hold only classes of y.*\[9\]"):
        sampler.fit(X, y, X_val=X[:2], y_val=[0, 9])
    with pytest.raises(ValueError, match=r"no validation sample of class \[2\]"):
        sampler.fit(X, y, X_val=X[y < 2], y_val=y[y < 2])
    with pytest.raises(ValueError, match="groups_val must be passed"):
        sampler.fit(X, y, groups=y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match=r"groups must have one entry.*600 rows"):
        sampler.fit(X, y, groups=y[:5])
    with pytest.raises(ValueError, match="groups must be all numbers or all texts"):
        sampler.fit(X, y, groups=[None, *y[1:]])
    with pytest.raises(ValueError, match="Got 1 missing of 600"):
        sampler.fit(X, y, groups=pd.Series([pd.NA, *y[1:]], dtype="object"))
    with pytest.raises(ValueError, match="groups must be all numbers or all texts"):
        sampler.fit(X, y, groups=np.where(y == 0, "NaT", "2020").astype("M8[ns]"))
    objects = np.array([np.int64(label) for label in y], dtype=object)
    assert len(sampler.fit(X, y, groups=objects).groups_) == 3
    with pytest.raises(TypeError, match="foo"):
        sampler.fit(X, y, foo=1)
    with pytest.raises(ValueError, match=r"at least two rows of every.*class \[3\]"):
        clone(sampler).set_params(validation=0.2).fit(X, np.r_[y[:-1], 3])


@pytest.mark.gpu
def test_gpu_query_models_load_without_gpu(blobs):
    model = NetworkClassifier(device="cuda", max_epochs=5, random_state=0)
    gpu = DRoPSampler(model, random_state=0).fit(*blobs)
    cpu = DRoPSampler(clone(model).set_params(device="cpu"), random_state=0).fit(*blobs)
    # A row at the boundary may be classified differently by another device.
    np.testing.assert_allclose(gpu.class_recalls_, cpu.class_recalls_, atol=0.02)
    assert pickle.loads(pickle.dumps(gpu)).target_size_ == 300
