import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from sklvyso import PretrainedTextEncoder, TransformerTextClassifier
from sklvyso.active_learning._text_net import WarmUpAndDecay
from tests.checks import text_estimator_checks

FAST = {"max_epochs": 1, "min_steps": 0, "random_state": 0}


@pytest.mark.parametrize("check", text_estimator_checks(), ids=lambda c: c.__name__)
def test_text_checks(check, tiny_model, texts):
    check(TransformerTextClassifier(tiny_model, **FAST), *texts)


def test_it_learns(tiny_model, texts):
    classifier = TransformerTextClassifier(
        tiny_model, lr=1e-3, max_epochs=10, random_state=0
    )
    X, y = texts
    assert classifier.fit(X[:90], y[:90]).score(X[90:], y[90:]) > 0.8
    losses = [epoch["train_loss"] for epoch in classifier.history_]
    assert losses[-1] < 0.5 * losses[0]
    proba = classifier.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    decision = classifier.decision_function(X)
    assert decision.shape == (len(X),)
    np.testing.assert_array_equal(decision > 0, classifier.predict(X) == "good")


def test_same_seed_same_bits_and_no_global_state(tiny_model, texts):
    check_random_state(None).seed(5)
    torch.manual_seed(5)
    before = torch.get_rng_state(), check_random_state(None).get_state()[1].copy()
    first = TransformerTextClassifier(tiny_model, **FAST).fit(*texts)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], before[1])
    torch.manual_seed(77)
    second = TransformerTextClassifier(tiny_model, **FAST).fit(*texts)
    for a, b in zip(
        first.module_.parameters(), second.module_.parameters(), strict=True
    ):
        assert torch.equal(a, b)
    other = TransformerTextClassifier(tiny_model, **FAST | {"random_state": 1})
    assert not np.array_equal(
        other.fit(*texts).predict_proba(texts[0]), first.predict_proba(texts[0])
    )


@pytest.mark.parametrize(
    "y",
    [
        lambda y: y,
        lambda y: (y == "good").astype(int) * 7 - 3,
        lambda y: y == "good",
        lambda y: y.astype(object),
    ],
)
def test_labels_of_any_kind(tiny_model, texts, y):
    X, labels = texts[0], y(texts[1])
    classifier = TransformerTextClassifier(tiny_model, **FAST).fit(X, labels)
    np.testing.assert_array_equal(classifier.classes_, np.unique(labels))
    assert set(classifier.predict(X)) <= set(labels.tolist())


def test_a_single_class_is_predicted_always(tiny_model, texts):
    classifier = TransformerTextClassifier(tiny_model, **FAST)
    classifier.fit(texts[0][:3], ["x"] * 3)
    assert classifier.predict(["a", "b"]).tolist() == ["x", "x"]
    assert classifier.predict_proba(["a"]).tolist() == [[1.0]]


def test_min_steps_makes_more_epochs(tiny_model, texts):
    classifier = TransformerTextClassifier(
        tiny_model, max_epochs=1, min_steps=20, random_state=0
    ).fit(*texts)
    assert classifier.n_iter_ == 3 and classifier.n_steps_ == 24  # 8 steps an epoch


def test_rate_rises_and_falls():
    class Net:
        pass

    net = Net()
    net.optimizer_ = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    net.optimizer_.param_groups[0]["initial_lr"] = 2.0
    schedule = WarmUpAndDecay(10, 0.2)
    schedule.on_train_begin(net)
    rates = []
    for _ in range(10):
        schedule.on_batch_begin(net, training=True)
        rates.append(net.optimizer_.param_groups[0]["lr"])
    expected = [1.0, 2.0, 2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25]
    np.testing.assert_allclose(rates, expected)


def changed(tiny_model, texts, **params):
    from transformers import AutoModel

    classifier = TransformerTextClassifier(tiny_model, **FAST | params).fit(*texts)
    before = AutoModel.from_pretrained(tiny_model).state_dict()
    after = classifier.module_.language_model.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_frozen_parts_keep_still(tiny_model, texts):
    words = "embeddings.word_embeddings.weight"
    assert words in changed(tiny_model, texts)
    still = changed(tiny_model, texts, freeze_embeddings=True)
    assert words not in still and "embeddings.LayerNorm.weight" in still
    top = changed(tiny_model, texts, freeze_layers=1)
    assert top and all(name.startswith("encoder.layer.1.") for name in top)
    with pytest.raises(ValueError, match=r"at most the number of layers, 2. Got 3"):
        changed(tiny_model, texts, freeze_layers=3)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_probe_head_starts_as_the_linear_classifier(
    tiny_model, texts, scaled, n_classes
):
    X = texts[0]
    y = np.arange(len(X)) % n_classes
    H = PretrainedTextEncoder(tiny_model).fit_transform(X)
    scaler = StandardScaler(with_mean=scaled, with_std=scaled).fit(H)
    linear = LogisticRegression(C=10, max_iter=1000).fit(scaler.transform(H), y)
    coef = linear.coef_ / (scaler.scale_ if scaled else 1.0)
    intercept = linear.intercept_ - (coef @ scaler.mean_ if scaled else 0.0)
    classifier = TransformerTextClassifier(
        tiny_model,
        init_head=(coef, intercept),
        normalize=True,
        lr=1e-12,  # no training
        **FAST,
    ).fit(X, y)
    np.testing.assert_allclose(
        classifier.predict_proba(X),
        linear.predict_proba(scaler.transform(H)),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "head, message",
    [
        ((np.zeros((1, 5)), np.zeros(1)), r"on 32 features and 2 classes. Got shapes"),
        ((np.full((2, 32), np.nan), np.zeros(2)), r"must be finite"),
        ((1, 2, 3), r"pair \(coef, intercept\). Got 3 entries"),
    ],
)
def test_bad_heads(tiny_model, texts, head, message):
    with pytest.raises(ValueError, match=message):
        TransformerTextClassifier(tiny_model, init_head=head, **FAST).fit(*texts)


def test_pretrained_head(tiny_model, texts):
    classifier = TransformerTextClassifier(tiny_model, head="pretrained", **FAST)
    classifier.fit(*texts)
    assert (
        "ForSequenceClassification" in type(classifier.module_.language_model).__name__
    )
    assert set(classifier.predict(texts[0])) <= {"good", "bad"}
    with pytest.raises(ValueError, match=r"init_head needs head='linear'"):
        clone(classifier).set_params(init_head=(0, 0)).fit(*texts)


def test_early_stopping_goes_back(tiny_model, texts):
    classifier = TransformerTextClassifier(
        tiny_model,
        lr=3e-3,
        max_epochs=12,
        early_stopping=True,
        validation_fraction=0.3,
        patience=2,
        random_state=0,
    ).fit(*texts)
    losses = [epoch["valid_loss"] for epoch in classifier.history_]
    assert classifier.best_epoch_ == 1 + int(np.argmin(losses))


def test_weights_count(tiny_model, texts):
    X, y = texts
    keep = np.arange(len(X)) % 2 == 0
    weight = keep.astype(float)
    both = [
        TransformerTextClassifier(
            tiny_model, batch_size=200, dropout=0.0, max_grad_norm=None, **FAST
        ),
        TransformerTextClassifier(
            tiny_model, batch_size=200, dropout=0.0, max_grad_norm=None, **FAST
        ),
    ]
    both[0].fit(X, y, sample_weight=weight)
    both[1].fit([x for x, k in zip(X, keep, strict=True) if k], y[keep])
    # One step of Adam moves each weight by lr; dropout inside draws other numbers.
    a, b = (c.predict_proba(X) for c in both)
    assert np.abs(a - b).max() < 0.02
    unbalanced = TransformerTextClassifier(
        tiny_model, class_weight={"good": 1e-6, "bad": 1.0}, lr=1e-2, max_epochs=8
    ).set_params(min_steps=0, random_state=0)
    assert set(unbalanced.fit(X, y).predict(X)) == {"bad"}


def test_a_shared_module_is_not_trained(tiny_callable, texts):
    before = [p.clone() for p in tiny_callable.module.parameters()]
    classifier = TransformerTextClassifier(tiny_callable, **FAST).fit(*texts)
    assert all(
        torch.equal(a, b)
        for a, b in zip(before, tiny_callable.module.parameters(), strict=True)
    )
    assert classifier.module_.language_model is not tiny_callable.module


def test_pickle_holds_no_optimiser_state(tiny_model, texts):
    classifier = TransformerTextClassifier(tiny_model, **FAST).fit(*texts)
    n_bytes = sum(4 * p.numel() for p in classifier.module_.parameters())
    data = pickle.dumps(classifier)
    assert len(data) < 1.5 * n_bytes + 40_000
    again = pickle.loads(data)
    np.testing.assert_array_equal(
        again.predict_proba(texts[0]), classifier.predict_proba(texts[0])
    )


def test_pairs_and_grid_search(tiny_model, texts):
    X = list(zip(texts[0], texts[0][::-1], strict=True))
    search = GridSearchCV(
        TransformerTextClassifier(tiny_model, **FAST),
        {"pooling": ["mean", "cls"]},
        cv=2,
        error_score="raise",
    ).fit(X, texts[1])
    assert search.best_params_["pooling"] in ("mean", "cls")


@pytest.mark.parametrize(
    "params, y, message",
    [
        ({"model": None}, None, r"model must be the folder"),
        ({}, "none", r"y must be the labels of the texts. Got None"),
        ({}, np.linspace(0, 1, 120), r"continuous"),
        ({}, ["a"] * 3, r"inconsistent numbers of samples"),
        ({"lr": 0}, None, r"'lr' parameter"),
        ({"lr": 1e6, "max_grad_norm": None}, None, r"diverged|not finite"),
    ],
)
def test_bad_input(tiny_model, texts, params, y, message):
    labels = {"none": None}.get(y, y) if isinstance(y, str) else y
    labels = texts[1] if y is None else labels
    with pytest.raises(ValueError, match=message):
        TransformerTextClassifier(**{"model": tiny_model, **FAST} | params).fit(
            texts[0], labels
        ).predict(texts[0])


@pytest.mark.gpu
def test_gpu_predicts_like_the_cpu(tiny_model, texts):
    on_gpu = TransformerTextClassifier(tiny_model, device="cuda", **FAST).fit(*texts)
    again = pickle.loads(pickle.dumps(on_gpu))
    again.net_.set_params(device="cpu")
    again.net_.module_.to("cpu")
    np.testing.assert_allclose(
        again.predict_proba(texts[0]), on_gpu.predict_proba(texts[0]), atol=1e-4
    )
