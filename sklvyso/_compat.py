"""Private names of scikit-learn and imbalanced-learn, imported here and nowhere else.

When one of them moves upstream, this file is the only one to mend.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

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
    "_check_sample_weight",
    "validate_params",
]
