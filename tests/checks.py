"""Checks for estimators of texts, which scikit-learn's suite leaves out.

``for check in text_estimator_checks(): check(estimator, texts, y)``
"""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError


def check_clone_and_params(estimator, texts, y):
    copy = clone(estimator)
    assert copy is not estimator
    assert repr(copy) == repr(estimator)
    params = estimator.get_params(deep=False)
    assert repr(clone(estimator).set_params(**params)) == repr(estimator)
    assert not [name for name in vars(copy) if name.endswith("_")]


def check_unfitted(estimator, texts, y):
    for method in ("predict", "predict_proba", "transform"):
        if hasattr(estimator, method):
            with pytest.raises(NotFittedError):
                getattr(clone(estimator), method)(texts)


def _output(estimator, texts):
    method = "transform" if hasattr(estimator, "transform") else "predict"
    return np.asarray(getattr(estimator, method)(texts))


def check_fit_is_repeatable(estimator, texts, y):
    fitted = clone(estimator).fit(texts, y)
    first = _output(fitted, texts)
    np.testing.assert_array_equal(_output(fitted.fit(texts, y), texts), first)


def check_pickle(estimator, texts, y):
    fitted = clone(estimator).fit(texts, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(_output(again, texts), _output(fitted, texts))


def check_sample_order(estimator, texts, y):
    fitted = clone(estimator).fit(texts, y)
    order = np.random.RandomState(0).permutation(len(texts))
    shuffled = _output(fitted, [texts[i] for i in order])
    # Batches of other lengths may round differently in float32.
    if shuffled.dtype.kind == "f":
        np.testing.assert_allclose(shuffled, _output(fitted, texts)[order], atol=1e-5)
    else:
        np.testing.assert_array_equal(shuffled, _output(fitted, texts)[order])


def check_bad_texts(estimator, texts, y):
    for bad in ("one string", [1, 2], [], [None, "a"]):
        with pytest.raises((ValueError, TypeError)):
            clone(estimator).fit(bad, y[: len(bad)])


def text_estimator_checks():
    """Return all checks."""
    return [
        check_clone_and_params,
        check_unfitted,
        check_fit_is_repeatable,
        check_pickle,
        check_sample_order,
        check_bad_texts,
    ]
