"""Independent jobs through joblib, results one after the other where possible."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sklearn.utils.parallel import Parallel


def run_jobs(calls: Iterable[Any], n_jobs: int | None) -> Iterable[Any]:
    """Run calls and iterate over their results, in the order of the calls.

    Parameters
    ----------
    calls : iterable
        Of ``sklearn.utils.parallel.delayed``.
    n_jobs : int or None
        As in joblib: None follows ``joblib.parallel_config``.

    Returns
    -------
    results : iterable
        Ready results come before later jobs end, if the backend has it so.
    """
    try:
        parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    except ValueError:
        # The backends of Ray and of multiprocessing know lists only.
        parallel = Parallel(n_jobs=n_jobs)
    return parallel(calls)
