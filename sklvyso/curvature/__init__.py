"""How the loss of a network curves: Hessian, Gauss-Newton part, spectra, the zone."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklvyso.curvature._hyperplanes import (
    full_space_curvature,
    project_operator,
    projected_curvature,
    random_directions,
)
from sklvyso.curvature._measures import (
    expected_g_curvature,
    gamma_statistic,
    scale_parameters,
)
from sklvyso.curvature._norms import frobenius_norm, positive_curvature
from sklvyso.curvature._operators import (
    GaussNewtonOperator,
    HessianOperator,
    ResidualOperator,
)
from sklvyso.curvature._probe import GoldilocksProbe
from sklvyso.curvature._spectrum import (
    density_curve,
    eigenvalues,
    fraction_positive,
    spectral_density,
)
from sklvyso.curvature._trace import trace

__all__ = [
    "GaussNewtonOperator",
    "GoldilocksProbe",
    "HessianOperator",
    "ResidualOperator",
    "density_curve",
    "eigenvalues",
    "expected_g_curvature",
    "fraction_positive",
    "frobenius_norm",
    "full_space_curvature",
    "gamma_statistic",
    "positive_curvature",
    "project_operator",
    "projected_curvature",
    "random_directions",
    "scale_parameters",
    "spectral_density",
    "trace",
]
