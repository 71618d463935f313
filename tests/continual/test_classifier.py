"""ImpressLearnClassifier: retention bit for bit, streams, storage, tasks, errors."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

from sklvyso import ImpressLearnClassifier
from sklvyso.continual import TaskStratifiedKFold, task_scorer
from sklvyso.continual._tasks import Task, memory_table, without_task

FAST = {
    "hidden_layer_sizes": (100, 50),
    "lr": 0.02,
    "n_impressions": 2,
    "max_epochs": 3,
    "coef_max_epochs": 3,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:600] / 16).astype(np.float32), y[:600]


def permuted(X, seed):
    return X[:, np.random.RandomState(seed).permutation(X.shape[1])]


def stream(digits, n_tasks):
    X, y = digits
    parts = [
        (permuted(X[i::n_tasks], i), y[i::n_tasks], f"t{i}") for i in range(n_tasks)
    ]
    return parts


def learned(parts, **options):
    learner = ImpressLearnClassifier(**FAST | {"n_outputs": 10} | options)
    for X, y, task in parts:
        learner.partial_fit(X, y, task=task)
    return learner


CONFIGURATIONS = {
    "coefficients": {"new_task": "coefficients"},
    "masks": {"new_task": "mask"},
    "auto": {},
    "homogeneous": {"impressions": "homogeneous", "new_task": "coefficients"},
    "random": {"impressions": "random", "new_task": "coefficients"},
    "threshold": {"mask_mode": "threshold", "new_task": "coefficients"},
    "own output": {"dedicated_output": True, "new_task": "coefficients"},
    "network-wide": {"coef_scope": "network", "new_task": "coefficients"},
    "statistics": {
        "module": "mlp",
        "module_params": {"batch_norm": "non-affine"},
        "new_task": "coefficients",
    },
    "all": {
        "dedicated_output": True,
        "coef_scope": "network",
        "mask_mode": "topk",
        "density_allocation": "erdos_renyi",
        "density_budget": 10,
        "coef_l1": 0.005,
        "coef_weight_decay": 0.01,
    },
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_nothing_is_forgotten_bit_for_bit(digits, name):
    parts = stream(digits, 6)
    learner = ImpressLearnClassifier(**FAST, n_outputs=10, **CONFIGURATIONS[name])
    before = {}
    for X, y, task in parts:
        learner.partial_fit(X, y, task=task)
        for old, (rows, proba, kind) in before.items():
            assert (learner.predict_proba(rows, task=old) == proba).all()
            assert learner.task_kinds_[old] == kind
        before[task] = X, learner.predict_proba(X, task=task), learner.task_kinds_[task]
    loaded = pickle.loads(pickle.dumps(learner))
    for old, (rows, proba, _) in before.items():
        assert (loaded.predict_proba(rows, task=old) == proba).all()
    # The stored estimator goes on as the first would.
    X, y = digits
    for other in (learner, loaded):
        other.partial_fit(permuted(X, 99), y, task="later")
    assert (learner.coef_ == loaded.coef_).all()
    assert (learner.predict_proba(X, "later") == loaded.predict_proba(X, "later")).all()


@pytest.mark.parametrize("name", ["coefficients", "auto", "homogeneous", "random"])
def test_task_by_task_equals_all_at_once(digits, name):
    parts = stream(digits, 4)
    one_by_one = learned(parts, **CONFIGURATIONS[name])
    X = np.concatenate([part[0] for part in parts])
    y = np.concatenate([part[1] for part in parts])
    task = np.repeat([part[2] for part in parts], [len(part[1]) for part in parts])
    at_once = ImpressLearnClassifier(**FAST, n_outputs=10, **CONFIGURATIONS[name])
    at_once.fit(X, y, task=task)
    assert at_once.tasks_ == one_by_one.tasks_
    assert (at_once.coef_ == one_by_one.coef_).all()
    proba = at_once.predict_proba(X, task=task)
    assert (proba == one_by_one.predict_proba(X, task=task)).all()
    again = clone(at_once).fit(X, y, task=task)
    assert (again.predict_proba(X, task=task) == proba).all()


def test_kinds_coefficients_and_memory(digits):
    learner = learned(stream(digits, 5), new_task="coefficients")
    kinds = list(learner.task_kinds_.values())
    assert kinds == ["mask"] * 2 + ["coefficients"] * 3
    assert learner.coef_.shape == (5, 3, 2) and learner.n_impressions_ == 2
    assert (learner.coef_[0] == [1, 0]).all() and (learner.coef_[1] == [0, 1]).all()
    table = pd.DataFrame(learner.memory_report())
    shapes = [(100, 64), (50, 100), (50, 50)]
    assert learner.mask_shapes_ == shapes
    n_bytes = sum(-(-a * b // 8) for a, b in shapes)
    assert table.mask_bytes.tolist() == [n_bytes] * 2 + [0] * 3
    assert table.coef_bytes.tolist() == [0, 0] + [4 * 3 * 2] * 3
    assert table.total_bytes.sum() == 2 * n_bytes + 3 * 24
    for layer, shape in zip(learner.mask(0), shapes, strict=True):
        assert layer.shape == shape
        assert layer.sum() == layer.size - int(0.5 * layer.size)
    np.testing.assert_array_equal(learner.density_, 0.5)
    losses = learner.loss_curves_["t4"]
    assert len(losses) == 3 and losses[-1] < losses[0]


def test_unrelated_tasks_get_masks_and_related_ones_do_not(digits):
    X, y = digits
    options = FAST | {"max_epochs": 10, "coef_max_epochs": 10}
    learner = ImpressLearnClassifier(**options)
    learner.partial_fit(X, y, task="a").partial_fit(X[:, ::-1], y, task="b")
    learner.partial_fit(X * 0.9, y, task="darker")
    learner.partial_fit(permuted(X, 1), y, task="permuted")
    assert learner.task_kinds_["darker"] == "coefficients"
    assert learner.task_kinds_["permuted"] == "mask" and learner.n_impressions_ == 3
    found = learner.task_scores_["permuted"]
    assert found["mask"] > found["coefficients"] + 0.05
    assert learner.coef_.shape == (4, 3, 3)
    assert (learner.coef_[2, :, 2] == 0).all()
    bounded = ImpressLearnClassifier(**options, max_impressions=2)
    for rows, name in ((X, "a"), (X[:, ::-1], "b"), (permuted(X, 1), "c")):
        bounded.partial_fit(rows, y, task=name)
    assert bounded.n_impressions_ == 2 and not bounded.task_scores_


def test_predictions_stay_within_the_classes_of_a_task(digits):
    X, y = digits
    low = y < 5
    names = np.array([f"digit {label}" for label in y])
    learner = ImpressLearnClassifier(**FAST)
    learner.partial_fit(X[low], names[low], task="low")
    learner.partial_fit(X[~low], names[~low], task="high")
    assert learner.classes_.tolist() == [f"digit {i}" for i in range(10)]
    proba = learner.predict_proba(X, task="high")
    assert proba.dtype == np.float32 and (proba[:, :5] == 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
    assert np.isin(learner.predict(X, "high"), learner.task_classes_["high"]).all()
    both = learner.predict_proba(X, task=np.where(low, "low", "high"))
    assert (both[low][:, 5:] == 0).all() and (both[~low] == proba[~low]).all()
    scores = learner.decision_function(X, "high")
    assert (scores[:, :5] == -1e9).all()
    assert (learner.classes_[scores.argmax(1)] == learner.predict(X, "high")).all()


@pytest.mark.parametrize("method", ["exhaustive", "one_shot", "binary"])
def test_unknown_tasks_are_inferred_row_by_row(digits, method):
    parts = stream(digits, 4)
    options = {"max_epochs": 25, "new_task": "mask", "task_inference": method}
    learner = learned(parts, **options)
    for X, _, task in parts:
        tasks = learner.predict_task(X)
        assert (tasks == task).mean() > 0.7  # of four
        for i in range(5):
            assert learner.predict_task(X[[i]])[0] == tasks[i]
        order = np.random.RandomState(0).permutation(len(X))
        assert (learner.predict_task(X[order]) == tasks[order]).all()
        together = learner.predict_task(X, groups=np.zeros(len(X)))
        assert (together == task).all()
        inferred = learner.predict(X)
        assert (inferred == learner.predict(X, task=tasks)).all()
        assert (
            learner.predict(X, groups=np.ones(len(X))) == learner.predict(X, task)
        ).all()
    entropies = learner.task_log_entropy(parts[0][0])
    assert entropies.shape == (len(parts[0][0]), 4)
    if method == "exhaustive":
        best = np.array(learner.tasks_)[entropies.argmin(axis=1)]
        assert (best == learner.predict_task(parts[0][0])).all()


def test_coefficient_tasks_are_inferred_too(digits):
    X, y = digits
    parts = [(permuted(X, i), y, i) for i in range(5)]
    options = {"n_impressions": 3, "max_epochs": 30, "coef_max_epochs": 15}
    learner = learned(parts, new_task="coefficients", **options)
    hits = [(learner.predict_task(rows) == task).mean() for rows, _, task in parts]
    assert min(hits[:3]) > 0.6 and np.mean(hits) > 0.5  # chance .2


def test_a_column_holds_the_task(digits):
    X, y = digits
    task = np.where(y < 5, "low", "high")
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    frame.insert(3, "site", task)
    options = FAST | {"max_epochs": 8}
    by_column = ImpressLearnClassifier(**options, task_column="site").fit(frame, y)
    by_keyword = ImpressLearnClassifier(**options).fit(X, y, task=task)
    expected = by_keyword.predict_proba(X, task=task)
    assert (by_column.predict_proba(frame) == expected).all()
    assert by_column.n_features_in_ == 65 and "site" in by_column.feature_names_in_
    numbers = np.column_stack([X, y < 5])
    coded = ImpressLearnClassifier(**options, task_column=-1).fit(numbers, y)
    assert set(coded.tasks_) == {0, 1}
    assert coded.score(numbers, y) > 0.8
    # A missing entry is inferred.
    frame.loc[:9, "site"] = None
    assert (
        by_column.predict(frame)[10:] == by_keyword.predict(X[10:], task[10:])
    ).all()
    with pytest.raises(ValueError, match=r"missing in 10 rows"):
        by_column.fit(frame, y)
    with pytest.raises(ValueError, match=r"task must be left out where task_column="):
        by_column.predict(frame, task="low")


def test_known_tasks_go_on(digits):
    parts = stream(digits, 4)
    learner = learned(parts, new_task="coefficients")
    X, y, task = parts[3]
    before = {name: learner.predict_proba(rows, task=name) for rows, _, name in parts}
    loss = learner.loss_curves_[task][-1]
    learner.partial_fit(X, y, task=task)
    assert len(learner.loss_curves_[task]) == 6
    assert learner.loss_curves_[task][-1] < loss
    with pytest.raises(ValueError, match=r"'t0' is known and has a mask.*refine"):
        learner.partial_fit(parts[0][0], parts[0][1], task="t0")
    learner.set_params(on_known_task="refine")
    learner.partial_fit(parts[0][0], parts[0][1], task="t0")
    assert learner.task_kinds_["t0"] == "coefficients"
    assert learner.memory_report()["kind"][-1] == "impressions"
    for rows, _, name in parts[1:3]:
        assert (learner.predict_proba(rows, task=name) == before[name]).all()
    # A class that comes later takes the next output.
    some = (X[y < 5], y[y < 5], "a"), parts[1]
    short = learned(some, new_task="mask", on_known_task="refine")
    assert short.predict(X, "a").max() <= 4
    short.partial_fit(X, y, task="a")
    assert short.task_classes_["a"].tolist() == list(range(10))


def test_tasks_are_removed(digits):
    parts = stream(digits, 4)
    learner = learned(parts, new_task="coefficients")
    before = {name: learner.predict_proba(rows, task=name) for rows, _, name in parts}
    learner.remove_task("t0").remove_task("t3")
    assert learner.tasks_ == ["t1", "t2"] and learner.n_impressions_ == 2
    for rows, _, name in parts[1:3]:
        assert (learner.predict_proba(rows, task=name) == before[name]).all()
    learner.remove_task("t2")
    assert learner.n_impressions_ == 1  # no task combines that of t0 any more
    for rows, _, name in parts[1:2]:
        assert (learner.predict_proba(rows, task=name) == before[name]).all()
    with pytest.raises(ValueError, match=r"'t1' is the only task"):
        learner.remove_task("t1")
    with pytest.raises(ValueError, match=r"task must be one that was learned: 't1'"):
        learner.remove_task("t0")


def test_masks_that_nothing_combines_are_removed():
    masks = [[np.full(2, i, np.uint8)] for i in range(3)]
    tasks = [Task(i, np.arange(2), i, mask=i) for i in range(3)]
    left, kept = without_task(tasks, masks, 1)
    assert [task.mask for task in left] == [0, 1] and [m[0][0] for m in kept] == [0, 2]
    combined = [*tasks, Task(3, np.arange(2), 3, coef=np.ones((1, 2), np.float32))]
    left, kept = without_task(combined, masks, 1)
    assert len(kept) == 3 and [task.mask for task in left[:2]] == [0, 2]
    table = memory_table(left, kept)
    assert table["mask_bytes"].tolist() == [2, 2, 0, 2]
    assert table["kind"].tolist() == ["mask", "mask", "coefficients", "impressions"]


def test_a_failure_leaves_the_estimator_as_it_was(digits):
    X, y = digits
    learner = learned(stream(digits, 3), new_task="coefficients")
    before = pickle.dumps(learner)
    state = {k: v for k, v in vars(learner).items()}
    weight = np.zeros(len(y))
    bad = X.copy()
    bad[3, 3] = np.nan
    for call in (
        lambda: learner.partial_fit(bad, y, task="x"),
        lambda: learner.partial_fit(X, y, task="x", sample_weight=weight),
        lambda: learner.partial_fit(X[:, :5], y, task="x"),
        lambda: learner.fit(bad, y),
        # One task is fine, the next has too many classes.
        lambda: learner.partial_fit(
            np.r_[X, X],
            np.r_[y, np.arange(len(y)) % 30],
            task=np.repeat(["x", "z"], len(y)),
        ),
        lambda: learner.set_params(coef_lr=1e30).partial_fit(X, y, task="x"),
    ):
        with pytest.raises(ValueError):
            call()
        learner.set_params(coef_lr=0.05)
        assert vars(learner).keys() == state.keys()
        assert learner.tasks_ == ["t0", "t1", "t2"]
        assert pickle.dumps(learner) == before


def test_an_interrupt_leaves_the_estimator_as_it_was(digits):
    X, y = digits
    learner = learned(stream(digits, 2))

    def interrupting(parameters, lr, **kwargs):
        raise KeyboardInterrupt

    learner.set_params(optimizer=interrupting)
    with pytest.raises(KeyboardInterrupt):
        learner.partial_fit(X, y, task="x")
    assert learner.tasks_ == ["t0", "t1"]


def test_the_global_generators_are_left_alone(digits):
    parts = stream(digits, 3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    learned(parts).predict(parts[0][0])
    after = np.random.get_state()[1], torch.get_rng_state()  # noqa: NPY002
    assert (before[0] == after[0]).all() and torch.equal(before[1], after[1])


def test_frozen_weights_never_change(digits):
    learner = learned(stream(digits, 4))
    assert learner._backbone.checksum() == learner.backbone_checksum_
    assert not any(weight.requires_grad for weight in learner._backbone.weights)
    state = learner.__getstate__()
    assert not {"_backbone", "_runner", "net_"} & set(state)
    with pytest.raises(ValueError, match=r"checksum"):
        ImpressLearnClassifier().__setstate__(state | {"backbone_seed_": 1})
    with pytest.raises(ValueError, match=r"stored in format 99"):
        ImpressLearnClassifier().__setstate__(state | {"_format_version": 99})


def test_a_pickle_holds_bits_and_coefficients_only(digits):
    parts = stream(digits, 3)
    learner = learned(parts, new_task="coefficients", hidden_layer_sizes=(300, 100))
    n_weights = sum(a * b for a, b in learner.mask_shapes_)
    size = len(pickle.dumps(learner))
    assert size < 2 * n_weights / 8 + 8_000
    unfitted = pickle.loads(pickle.dumps(ImpressLearnClassifier(lr=0.5)))
    assert unfitted.lr == 0.5 and not hasattr(unfitted, "tasks_")


class Own(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.first = nn.Linear(n_inputs, 30, bias=False)
        self.norm = nn.BatchNorm1d(30, affine=False)
        self.last = nn.Linear(30, n_outputs, bias=False)

    def forward(self, X):
        return self.last(self.norm(self.first(X)).relu())


@pytest.mark.parametrize("kind", ["class", "instance"])
def test_modules_of_the_user(digits, kind):
    torch.manual_seed(3)
    module = Own if kind == "class" else Own(64, 50)
    parts = stream(digits, 4)
    learner = learned(parts, module=module, new_task="coefficients", max_epochs=10)
    weight = learner._backbone.weights[0]
    if kind == "instance":
        assert torch.equal(weight, module.first.weight.detach())
    else:
        assert len(weight.abs().unique()) == 1
    X, y, task = parts[0]
    assert learner.score(X, y, task=task) > 0.7
    table = learner.memory_report()
    assert (table["norm_bytes"] == 30 * 4 * 2 + 8).all()
    loaded = pickle.loads(pickle.dumps(learner))
    assert (loaded.predict_proba(X, task) == learner.predict_proba(X, task)).all()
    wrong = Own(64, 10)
    with pytest.raises(ValueError, match=r"must return 50 logits, n_outputs=10"):
        learned(parts[:1], module=wrong)


def test_images_and_convolutions(digits):
    X, y = digits
    images = X.reshape(-1, 8, 8)
    params = {"padding": "same", "batch_norm": "non-affine"}
    options = FAST | {"module": "lenet-5", "module_params": params, "max_epochs": 30}
    learner = ImpressLearnClassifier(**options)
    learner.partial_fit(images, y, task="plain")
    learner.partial_fit(images.transpose(0, 2, 1), y, task="turned")
    learner.partial_fit(1 - images, y, task="inverse")
    assert learner.score(images, y, task="plain") > 0.8
    assert len(learner.mask_shapes_) == 5
    folded = ImpressLearnClassifier(**options, input_shape=(8, 8))
    folded.partial_fit(X, y, task="plain")
    proba = folded.predict_proba(X, "plain")
    assert (proba == learner.predict_proba(images, "plain")).all()
    for method in ("one_shot", "binary"):
        learner.set_params(task_inference=method)
        assert learner.predict_task(images[:7]).shape == (7,)


def test_the_network_of_a_task_is_a_plain_module(digits):
    parts = stream(digits, 3)
    learner = learned(parts, new_task="coefficients")
    X, _, task = parts[2]
    module = copy.deepcopy(learner.task_module(task))
    logits = module(torch.from_numpy(X))[:, :10]
    proba = torch.softmax(logits, 1).numpy()
    np.testing.assert_allclose(
        proba, learner.predict_proba(X, task), rtol=1e-5, atol=1e-7
    )
    assert len(module.state_dict()) == 3
    assert learner.net_.module_ is learner._runner.module(
        learner._tasks[-1], learner.impressions_
    )


def test_only_networks_that_ran_last_are_kept(digits):
    X, y = digits
    learner = ImpressLearnClassifier(**FAST, new_task="coefficients", n_outputs=10)
    for i in range(12):
        learner.partial_fit(X[:80], y[:80], task=i)
    assert len(learner._runner._ready) == 8
    first = learner.predict_proba(X, task=0)
    assert (learner.predict_proba(X, task=0) == first).all()
    learner.predict(X, task=None)
    assert len(learner._runner._ready) == 8


def test_sample_weights_count(digits):
    X, y = digits
    weight = (y < 5).astype(float)
    options = FAST | {"max_epochs": 15}
    learner = ImpressLearnClassifier(**options).fit(X, y, sample_weight=weight)
    assert learner.score(X, y, sample_weight=weight) > 0.85
    assert learner.score(X[y >= 5], y[y >= 5]) < 0.1


def test_works_at_the_end_of_a_pipeline(digits):
    X, y = digits
    task = np.where(y < 5, "low", "high")
    pipe = make_pipeline(
        StandardScaler(), ImpressLearnClassifier(**FAST | {"max_epochs": 8})
    )
    pipe.fit(X, y, impresslearnclassifier__task=task)
    assert pipe.predict(X, task="low").max() < 5


STRUCTURE = {
    "module": "lenet-300-100",
    "hidden_layer_sizes": (32,),
    "module_params": {"activation": "tanh"},
    "input_shape": (8, 8),
    "input_scale": 0.5,
    "n_superfluous": 3,
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_what_makes_the_network_cannot_change(digits, name):
    X, y = digits
    learner = learned([(X, y, "a")])
    before = learner.predict_proba(X, "a")
    learner.set_params(**{name: STRUCTURE[name]})
    loaded = pickle.loads(pickle.dumps(learner))
    for other in (learner, loaded, copy.deepcopy(learner)):
        assert (other.predict_proba(X, "a") == before).all()
        with pytest.raises(ValueError, match=rf"{name} cannot change once tasks are"):
            other.partial_fit(X, y, task="b")
    learner.fit(X, y)  # starts anew


def test_a_mask_of_the_output_goes_on(digits):
    parts = stream(digits, 4)
    options = {"dedicated_output": True, "on_known_task": "refine", "max_epochs": 10}
    for scope in ("layer", "network"):
        learner = learned(parts, new_task="coefficients", coef_scope=scope, **options)
        scores = [learner.score(X, y, task=task) for X, y, task in parts]
        learner.set_params(coef_max_epochs=1, coef_lr=1e-9, coef_scope="layer")
        for (X, y, task), score in zip(parts, scores, strict=True):
            learner.partial_fit(X, y, task=task)
            assert learner.score(X, y, task=task) == pytest.approx(score, abs=0.01)


class OutputFirst(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.last = nn.Linear(16, n_outputs, bias=False)
        self.first = nn.Linear(n_inputs, 16, bias=False)

    def forward(self, X):
        return self.last(self.first(X).relu())


@pytest.mark.parametrize(
    "options",
    [{"hidden_layer_sizes": ()}, {"module": OutputFirst}],
    ids=["one", "order"],
)
def test_an_output_layer_of_its_own_needs_a_place(digits, options):
    with pytest.raises(ValueError, match=r"dedicated_output needs a hidden layer"):
        learned(stream(digits, 1), dedicated_output=True, **options)


def test_groups_serve_rows_without_a_task(digits):
    X, y = digits
    parts = [(permuted(X, i), y, i) for i in range(3)]
    learner = learned(parts, new_task="mask", max_epochs=20)
    rows = np.concatenate([part[0] for part in parts])
    groups = np.repeat(["a", "b", "c"], len(X)).astype(object)
    task = np.repeat([0.0, np.nan, 2.0], len(X))
    found = learner.predict(rows, task=task, groups=groups)
    expected = np.concatenate([learner.predict(Z, task=i) for Z, _, i in parts])
    assert (found == expected).all()
    column = ImpressLearnClassifier(**FAST, task_column=64, new_task="mask")
    column.fit(np.column_stack([rows, np.repeat([0, 1, 2], len(X))]), np.tile(y, 3))
    unknown = np.column_stack([rows, np.full(len(rows), np.nan)])
    assert len(set(column.predict(unknown, groups=groups))) > 1


def test_masks_that_nothing_uses_any_more_go(digits):
    X, y = digits
    learner = ImpressLearnClassifier(
        **FAST | {"max_epochs": 1, "coef_max_epochs": 1},
        new_task="mask",
        on_known_task="refine",
    )
    for task in range(5):
        learner.partial_fit(X[:100], y[:100], task=task)
    learner.partial_fit(X[:100], y[:100], task=4)
    for task in range(1, 5):
        learner.remove_task(task)
    assert learner.tasks_ == [0] and learner.n_impressions_ == 1


def test_weights_count_for_each_task_and_in_the_trial(digits):
    X, y = digits
    task = np.repeat(["a", "b"], 300)
    with pytest.raises(ValueError, match=r"above 0 for one row of each task.*'b'"):
        learned([]).fit(X, y, task=task, sample_weight=np.repeat([1.0, 0.0], 300))
    # Rows without weight and with wrong labels do not move the trial.
    options = {"max_epochs": 10, "coef_max_epochs": 10}
    weight = np.ones(len(y))
    weight[::2] = 0
    wrong = np.where(weight == 0, (y + 3) % 10, y)
    scores = []
    for labels in (y, wrong):
        learner = learned([(X, y, "a"), (X[:, ::-1], y, "b")], **options)
        learner.partial_fit(permuted(X, 5), labels, task="c", sample_weight=weight)
        scores.append(learner.task_scores_["c"])
    assert scores[0]["coefficients"] == pytest.approx(
        scores[1]["coefficients"], abs=0.2
    )


@pytest.mark.parametrize("name", [True, b"a", frozenset(), (1, 2), 1j])
def test_names_are_text_or_numbers(digits, name):
    X, y = digits
    names = np.empty(len(y), dtype=object)
    names[:] = [name] * len(y)
    with pytest.raises(TypeError, match=r"task must hold str or int names"):
        ImpressLearnClassifier().fit(X, y, task=names)


def test_attributes_tell_the_truth_and_cannot_be_written(digits):
    X, y = digits
    learner = learned([(X, y, "a")], mask_mode="threshold", density=0.1)
    kept = [mask.mean() for mask in learner.mask(0)]
    np.testing.assert_allclose(learner.density_, kept)
    assert min(kept) > 0.4
    for array in (learner.task_classes_["a"], learner.impressions_[0][0]):
        with pytest.raises(ValueError, match=r"read-only"):
            array[:] = 0


def test_metadata_are_routed_by_default(digits):
    X, y = digits
    task = np.where(y < 5, "low", "high")
    learner = ImpressLearnClassifier(**FAST | {"max_epochs": 8}, n_outputs=5)
    with sklearn.config_context(enable_metadata_routing=True):
        for scoring in (None, task_scorer(balanced_accuracy_score)):
            options = {"cv": TaskStratifiedKFold(2), "scoring": scoring}
            scores = cross_val_score(learner, X, y, params={"task": task}, **options)
            assert scores.min() > 0.8
        dropped = cross_val_score(
            learner,
            X,
            y,
            params={"task": task},
            cv=TaskStratifiedKFold(2),
            scoring="accuracy",
        )
        assert dropped.max() < scores.min()
        search = GridSearchCV(
            learner,
            {"lr": [1e-5, 0.02]},
            scoring=task_scorer(),
            cv=TaskStratifiedKFold(2),
            n_jobs=2,
        ).fit(X, y, task=task)
        assert search.best_params_ == {"lr": 0.02}
        assert search.score(X, y, task=task) > 0.8


def test_one_impression_warns(digits):
    X, y = digits
    learner = ImpressLearnClassifier(
        **FAST | {"n_impressions": 1}, new_task="coefficients"
    )
    learner.partial_fit(X, y, task=0)
    with pytest.warns(UserWarning, match=r"With one impression coefficients only"):
        learner.partial_fit(permuted(X, 1), y, task=1)
    # What it was: the mask of the other task.
    rows = permuted(X, 1)
    assert (
        learner.predict(rows, task=1) == learner.predict(rows, task=0)
    ).mean() > 0.99


def test_batches_of_one_task_warn_that_its_mask_is_frozen(digits):
    X, y = digits
    learner = ImpressLearnClassifier(**FAST).partial_fit(X[:300], y[:300])
    with pytest.warns(UserWarning, match=r"^Task 0 is known .* one call") as caught:
        learner.partial_fit(X[300:], y[300:])
    assert len(caught) == 1 and caught[0].filename == __file__


def test_a_task_column_behind_a_column_transformer(digits):
    X, y = digits
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    frame.insert(0, "site", np.where(y < 5, "low", "high"))
    scale = ("scale", MinMaxScaler(), list(frame.columns[1:]))
    learner = ImpressLearnClassifier(**FAST, task_column="site")
    bare = ColumnTransformer([scale], remainder="passthrough")
    with pytest.raises(ValueError, match=r"as an array without.*pandas.*_column=-1"):
        make_pipeline(bare, learner).fit(frame, y)
    by_place = make_pipeline(bare, clone(learner).set_params(task_column=-1))
    named = clone(bare).set_params(verbose_feature_names_out=False)
    by_name = make_pipeline(named.set_output(transform="pandas"), learner)
    expected = by_place.fit(frame, y).predict_proba(frame)
    assert (by_name.fit(frame, y).predict_proba(frame) == expected).all()
    assert set(by_name[-1].tasks_) == {"low", "high"}


@pytest.mark.parametrize(
    ("options", "call", "message"),
    [
        ({}, lambda e, X, y: e.predict(X, task="c"), r"learned: 'a', 'b'. Got 'c'"),
        ({}, lambda e, X, y: e.predict(X, task=["a"]), r"one for each of the 600 rows"),
        (
            {},
            lambda e, X, y: e.predict(X, task="a", groups=y),
            r"groups must be left out where task is given",
        ),
        ({}, lambda e, X, y: e.predict(X, groups=[1]), r"groups must have one label"),
        (
            {},
            lambda e, X, y: e.partial_fit(X, y + 20, task="c", classes=[0, 1]),
            r"classes must hold all labels of y",
        ),
        (
            {},
            lambda e, X, y: e.partial_fit(X, np.arange(600) % 30, task="c"),
            r"'c' has 30 classes, more than.*n_outputs=30",
        ),
        (
            {},
            lambda e, X, y: e.partial_fit(X, y.astype(str), task="c"),
            r"labels of one kind in all tasks",
        ),
        ({"density": 1.5}, lambda e, X, y: e.fit(X, y), r"density"),
        ({"optimizer": "adamm"}, lambda e, X, y: e.fit(X, y), r"'optimizer'.*'adamm'"),
        ({}, lambda e, X, y: e.mask(9), r"impression must be .* from 0 to 1. Got 9"),
        (
            {"density_allocation": "erdos_renyi"},
            lambda e, X, y: e.fit(X, y),
            r"density_budget must be a number > 0",
        ),
        (
            {"max_impressions": 1},
            lambda e, X, y: e.fit(X, y),
            r"max_impressions must be at least n_impressions=2",
        ),
        (
            {"module": "mlp", "module_params": {"bias": True}},
            lambda e, X, y: e.fit(X, y),
            r"must have no trainable bias",
        ),
        (
            {"dedicated_output": True, "task_inference": "one_shot"},
            lambda e, X, y: e.partial_fit(X, y, task="c").predict(X),
            r"task_inference must be 'exhaustive' with dedicated_output",
        ),
    ],
)
def test_errors_name_what_is_wrong(digits, options, call, message):
    X, y = digits
    learner = ImpressLearnClassifier(**FAST, new_task="coefficients", n_outputs=10)
    learner.partial_fit(X, y, task="a").partial_fit(X, y, task="b")
    learner.set_params(**options)
    with pytest.raises(ValueError, match=message):
        call(learner, X, y)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu_and_loads_without_gpu(digits):
    parts = stream(digits, 4)
    gpu = learned(parts, new_task="coefficients", device="cuda")
    cpu = learned(parts, new_task="coefficients", device="cpu")
    X, _, task = parts[3]
    # float32 in another order: single entries of a mask may differ.
    gap = gpu.predict_proba(X, task) - cpu.predict_proba(X, task)
    assert abs(gap).mean() < 0.05
    for method in ("exhaustive", "one_shot", "binary"):
        gpu.set_params(task_inference=method)
        assert gpu.predict_task(X).shape == (len(X),)
    script = (
        "import sys, pickle, warnings; warnings.simplefilter('ignore');"
        "print(pickle.load(sys.stdin.buffer)._runner.net.device)"
    )
    out = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(gpu),
        capture_output=True,
        check=True,
        env={"CUDA_VISIBLE_DEVICES": "", "PATH": ""},
    )
    assert out.stdout.strip() == b"cpu"
