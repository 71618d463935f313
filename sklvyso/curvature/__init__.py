"""How the loss of a network curves: Hessian, Gauss-Newton part, spectra, the zone."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.curvature._operators import (
    GaussNewtonOperator,
    HessianOperator,
    ResidualOperator,
)

__all__ = ["GaussNewtonOperator", "HessianOperator", "ResidualOperator"]
