"""Private matters of scikit-learn and imbalanced-learn, here and nowhere else.

When one of them moves upstream, this file is the only one to mend.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
from typing import Any

from sklearn.utils._metadata_requests import _MetadataRequester
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    InvalidParameterError,
    Options,
    RealNotInt,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "HasMethods",
    "Hidden",
    "Interval",
    "InvalidParameterError",
    "Options",
    "RealNotInt",
    "StrOptions",
    "_MetadataRequester",
    "_check_sample_weight",
    "transformed_metadata",
    "validate_params",
]


def transformed_metadata(name: str, value: Any) -> Any:
    """Return metadata of a sampler as the Pipeline's earlier steps transform it.

    ``imblearn.pipeline.Pipeline`` (0.14.2) computes the transformed metadata of
    ``transform_input`` for every step but hands samplers the untransformed ones. Where
    a sampler runs inside such a Pipeline, this takes the transformed value from the
    Pipeline's running ``_fit``; everywhere else, and once upstream is mended, it
    returns ``value``.

    Parameters
    ----------
    name : str
        Keyword of ``fit_resample``.
    value : object
        What the sampler received.

    Returns
    -------
    value : object
        What it should have received.
    """
    if value is None:
        return None
    from imblearn.pipeline import Pipeline  # heavy, and needed here only

    running = (Pipeline._fit.__code__, inspect.unwrap(Pipeline.fit_resample).__code__)
    frame = inspect.currentframe()
    while frame is not None and frame.f_code not in running:
        frame = frame.f_back
    if frame is None:
        return value
    pipeline, found = frame.f_locals["self"], frame.f_locals
    step = found.get("step_idx", len(pipeline) - 1)  # the last one runs outside _fit
    received = found["routed_params"][pipeline.steps[step][0]]["fit_resample"]
    # Once upstream hands over what it transformed, `value` is it already.
    is_raw = received.get(name) is value
    if step == 0 or not is_raw or name not in (pipeline.transform_input or ()):
        return value
    return pipeline[:step].transform(value)
