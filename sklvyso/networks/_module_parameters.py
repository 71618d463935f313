"""Keyword arguments of a module as parameters of its estimator."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator

_PREFIX = "module__"


class ModuleParameters(BaseEstimator):
    """Makes each entry of ``module_params`` a parameter ``module__<name>``."""

    module_params: Mapping[str, Any] | None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, those of the module as ``module__<name>``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list the entries of ``module_params`` too.

        Returns
        -------
        params : dict
            Names and values.
        """
        params = super().get_params(deep=deep)
        if deep and isinstance(self.module_params, dict):
            params |= {f"{_PREFIX}{k}": v for k, v in self.module_params.items()}
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters; ``module__<name>`` sets one entry of ``module_params``.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : estimator
            This estimator.
        """
        of_module = {
            key.removeprefix(_PREFIX): params.pop(key)
            for key in list(params)
            if key.startswith(_PREFIX)
        }
        super().set_params(**params)
        if of_module:
            # A new dict: the old one may belong to the caller.
            before = self.module_params if isinstance(self.module_params, dict) else {}
            self.module_params = {**before, **of_module}
        return self
