"""Scores of rows: golden values, plain loops, invariants, edge cases."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sklvyso.data_pruning import (
    area_under_margin,
    dynamic_uncertainty,
    el2n,
    forgetting_events,
    prototype_distance,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from data_scores import (
    distance_to_class_mean,
    error_norm,
    forgotten,
    mean_margin,
    mean_window_deviation,
)

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "drop_scorers.npz")
# The reference works in float32.
FLOAT32 = {"atol": 1e-5, "rtol": 0}


def probabilities(n_rows, n_classes, seed=0, spread=3.0):
    logits = np.random.RandomState(seed).normal(size=(n_rows, n_classes)) * spread
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    return proba / proba.sum(axis=1, keepdims=True)


histories = hnp.arrays(
    np.float64,
    st.tuples(st.integers(2, 8), st.integers(1, 5)),
    elements=st.floats(0, 1),
)
truths = hnp.arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 5)))


def test_golden_scores_of_outputs_and_features():
    proba, pool = GOLDEN["proba"], GOLDEN["al_pool_idx"]
    expected = {
        "el2n_oracle": el2n(proba, GOLDEN["y"]),
        "al_el2n_max": el2n(proba[pool]),
        "al_el2n_avg": el2n(proba[pool], unlabelled="avg"),
        "sspy": prototype_distance(GOLDEN["embeddings"], GOLDEN["y"]),
    }
    for name, scores in expected.items():
        assert scores.dtype == np.float64
        np.testing.assert_allclose(scores, GOLDEN[name], err_msg=name, **FLOAT32)


def test_golden_scores_of_training_dynamics():
    np.testing.assert_allclose(
        dynamic_uncertainty(GOLDEN["p_true"], window=4),
        GOLDEN["dynunc_definition_J4"],
        **FLOAT32,
    )
    for n_epochs in range(1, 10):
        np.testing.assert_array_equal(
            forgetting_events(GOLDEN["correct"][:n_epochs], never_learned="zero"),
            GOLDEN["forgetting_after_each_epoch"][n_epochs - 1],
        )
    hardest = forgetting_events(GOLDEN["correct"])
    np.testing.assert_array_equal(hardest == 10, GOLDEN["never_learned"])


def test_margin_of_the_golden_logits_is_positive_where_they_are_correct():
    logits, y = GOLDEN["dyn_logits"], GOLDEN["y"]
    np.testing.assert_array_equal(
        area_under_margin(logits[-1], y) > 0, GOLDEN["correct"][-1]
    )
    np.testing.assert_allclose(
        area_under_margin(logits, y),
        np.mean([area_under_margin(epoch, y) for epoch in logits], axis=0),
        rtol=1e-12,
    )


@pytest.mark.parametrize("chunk_size", [1, 7, 2**21])
def test_every_score_equals_its_plain_loop(chunk_size, monkeypatch):
    monkeypatch.setattr("sklvyso.data_pruning._score_inputs._CHUNK_SIZE", chunk_size)
    random = np.random.RandomState(0)
    proba, y = probabilities(20, 4), random.randint(4, size=20)
    Z, logits = random.normal(size=(20, 3)), random.normal(size=(6, 20, 4))
    p_true, correct = random.uniform(size=(6, 20)), random.uniform(size=(6, 20)) < 0.3
    near = {"rtol": 1e-12, "atol": 1e-14}
    np.testing.assert_allclose(
        el2n(proba, y),
        [error_norm(p, c) for p, c in zip(proba, y, strict=True)],
        **near,
    )
    np.testing.assert_allclose(
        el2n(proba, unlabelled="avg"),
        [sum(p[c] * error_norm(p, c) for c in range(4)) for p in proba],
        **near,
    )
    np.testing.assert_allclose(
        prototype_distance(Z, y), distance_to_class_mean(Z, y), **near
    )
    np.testing.assert_allclose(
        dynamic_uncertainty(p_true, 3),
        [mean_window_deviation(column, 3) for column in p_true.T],
        **near,
    )
    np.testing.assert_allclose(
        area_under_margin(logits, y),
        [mean_margin(logits[:, i].tolist(), y[i]) for i in range(20)],
        **near,
    )
    np.testing.assert_array_equal(
        forgetting_events(correct, never_learned="zero"),
        [forgotten(column.tolist()) or 0 for column in correct.T],
    )


@settings(deadline=None)
@given(histories, st.data())
def test_window_deviation_is_that_of_numpy_at_any_level(p_true, data):
    window = data.draw(st.integers(2, len(p_true)))
    scores = dynamic_uncertainty(p_true, window)
    views = np.lib.stride_tricks.sliding_window_view(p_true, window, axis=0)
    np.testing.assert_allclose(
        scores, views.std(axis=-1, ddof=1).mean(axis=0), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        dynamic_uncertainty(1 - p_true, window), scores, rtol=1e-9, atol=1e-12
    )


@given(st.floats(0, 1), st.integers(2, 30), st.integers(1, 4))
def test_constant_probability_has_no_uncertainty(value, n_epochs, n_rows):
    p_true = np.full((n_epochs, n_rows), value)
    np.testing.assert_array_equal(dynamic_uncertainty(p_true, 2), 0.0)
    np.testing.assert_array_equal(dynamic_uncertainty(p_true, n_epochs), 0.0)


def test_small_moves_next_to_one_do_not_cancel():
    p_true = 1 - np.array([[1e-12], [3e-12], [1e-12]])
    np.testing.assert_allclose(
        dynamic_uncertainty(p_true, 2), np.sqrt(2) * 1e-12, rtol=1e-3
    )


@given(st.integers(1, 40), st.booleans())
def test_alternating_row_is_forgotten_every_other_epoch(n_epochs, starts_correct):
    history = (np.arange(n_epochs) % 2 == 0) == starts_correct
    expected = n_epochs // 2 if starts_correct else (n_epochs - 1) // 2
    scores = forgetting_events(history[:, None], never_learned="zero")
    np.testing.assert_array_equal(scores, [expected])


@given(truths)
def test_never_learned_rows_are_the_hardest_or_count_as_zero(correct):
    hardest = forgetting_events(correct)
    counted = forgetting_events(correct, never_learned="zero")
    never = ~correct.any(axis=0)
    assert (hardest[never] == len(correct) + 1).all()
    assert (counted[never] == 0).all()
    np.testing.assert_array_equal(hardest[~never], counted[~never])
    assert counted.max() <= len(correct) // 2
    np.testing.assert_array_equal(forgetting_events(correct.astype(int)), hardest)


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(1, 12), st.integers(2, 5))
def test_order_of_rows_does_not_matter(seed, n_rows, n_classes):
    random = np.random.RandomState(seed)
    order = random.permutation(n_rows)
    proba, y = probabilities(n_rows, n_classes, seed), random.randint(2, size=n_rows)
    history = random.uniform(size=(4, n_rows))
    logits = random.normal(size=(4, n_rows, n_classes))
    pairs = [
        (el2n(proba, y), el2n(proba[order], y[order])),
        (prototype_distance(proba, y), prototype_distance(proba[order], y[order])),
        (dynamic_uncertainty(history, 3), dynamic_uncertainty(history[:, order], 3)),
        (
            forgetting_events(history < 0.5),
            forgetting_events(history[:, order] < 0.5),
        ),
        (
            area_under_margin(logits, y),
            area_under_margin(logits[:, order], y[order]),
        ),
    ]
    for scores, moved in pairs:
        np.testing.assert_allclose(moved, scores[order], rtol=1e-12, atol=1e-14)


@given(st.integers(0, 200), st.integers(1, 6))
def test_el2n_lies_between_zero_and_the_root_of_two(seed, n_classes):
    proba = probabilities(9, n_classes, seed, spread=20.0)
    y = np.random.RandomState(seed).randint(n_classes, size=9)
    scores = el2n(proba, y)
    assert (scores >= 0).all() and (scores <= np.sqrt(2) + 1e-12).all()
    assert (el2n(proba) <= scores + 1e-12).all()  # the predicted label is the nearest


def test_el2n_of_certain_rows():
    certain = np.eye(3)
    np.testing.assert_array_equal(el2n(certain, [0, 1, 2]), 0.0)
    np.testing.assert_allclose(el2n(certain, [1, 2, 0]), np.sqrt(2))
    np.testing.assert_array_equal(el2n(certain, unlabelled="avg"), 0.0)


def test_average_el2n_of_nearly_certain_rows_does_not_cancel():
    small = 1e-10
    proba = [[1 - small, small / 2, small / 2]]
    expected = np.sqrt(1.5) * small + small * np.sqrt(2)
    np.testing.assert_allclose(el2n(proba, unlabelled="avg"), expected, rtol=1e-6)


def test_labels_are_columns_even_if_the_last_class_is_missing():
    proba = probabilities(5, 4)
    np.testing.assert_allclose(
        el2n(proba, np.zeros(5, dtype=np.uint8)),
        [error_norm(row, 0) for row in proba],
    )


def test_prototypes_of_text_labels_ignore_a_common_shift():
    random = np.random.RandomState(0)
    Z, y = random.normal(size=(30, 4)), np.array(["b", "a", "c"] * 10)
    scores = prototype_distance(Z, y)
    np.testing.assert_allclose(prototype_distance(Z + 1e6, y), scores, rtol=1e-8)
    np.testing.assert_array_equal(prototype_distance(Z[:3], y[:3]), 0.0)


def test_prototypes_hold_no_float64_copy_of_the_features():
    Z = np.ones((400_000, 32), dtype=np.float32)  # 51 MB; 102 MB in float64
    y = np.arange(len(Z)) % 10
    tracemalloc.start()
    prototype_distance(Z, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80e6  # chunks of 16 MB, and some numbers a row


def test_margin_is_low_for_a_wrong_label():
    logits = np.array([[5.0, 1.0, 0.0], [5.0, 1.0, 0.0]])
    np.testing.assert_array_equal(area_under_margin(logits, [0, 2]), [4.0, -5.0])


def test_inputs_stay_as_they_are():
    logits = np.random.RandomState(0).normal(size=(2, 4, 3))
    before = logits.copy()
    area_under_margin(logits, [0, 1, 2, 0])
    np.testing.assert_array_equal(logits, before)


PROBA = probabilities(2, 3)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: el2n(PROBA, [0, 3]), ValueError, "between 0 and 2.*Got 3"),
        (lambda: el2n(PROBA, [0, -1]), ValueError, "between 0 and 2.*Got -1"),
        (lambda: el2n(PROBA, [0]), ValueError, r"shape \(2,\). Got shape \(1,\)"),
        (lambda: el2n(PROBA, [0.5, 1]), TypeError, "y must hold integers"),
        (lambda: el2n(PROBA, ["a", "b"]), TypeError, "return_inverse"),
        (lambda: el2n(PROBA[0]), ValueError, "proba must have 2 dim"),
        (lambda: el2n([["a"]]), TypeError, "proba must be an array of real"),
        (lambda: el2n([[3.0, -2.0]]), ValueError, r"in \[0, 1\]. Got 3"),
        (lambda: el2n([[np.nan, 0.5]]), ValueError, "Got nan"),
        (lambda: el2n([[0.5, 0.2]]), ValueError, "rows that sum to 1"),
        (lambda: el2n(PROBA, unlabelled="min"), ValueError, "'max' or 'avg'"),
        (lambda: prototype_distance(PROBA, [0]), ValueError, "one label a row"),
        (lambda: prototype_distance([[np.inf]], [0]), ValueError, "Z must be finite"),
        (lambda: forgetting_events([True]), ValueError, r"Got shape \(1,\)"),
        (lambda: forgetting_events([[0.3]]), ValueError, "must be boolean"),
        (
            lambda: forgetting_events([[1]], never_learned="inf"),
            ValueError,
            "'hardest' or 'zero'. Got 'inf'",
        ),
        (lambda: dynamic_uncertainty(PROBA, 1), ValueError, "from 2 to 2.*Got 1"),
        (lambda: dynamic_uncertainty(PROBA), ValueError, "from 2 to 2.*Got 10"),
        (lambda: dynamic_uncertainty(PROBA, 2.0), ValueError, "Got 2.0"),
        (lambda: dynamic_uncertainty([[2.0], [0]], 2), ValueError, "Got 2.0"),
        (lambda: area_under_margin([[1.0]], [0]), ValueError, "two classes"),
        (lambda: area_under_margin([[1, np.nan]], [0]), ValueError, "be finite"),
        (lambda: area_under_margin([1.0], [0]), ValueError, "2 or 3 dimensions"),
        (lambda: area_under_margin(PROBA, [0, 5]), ValueError, "Got 5"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
