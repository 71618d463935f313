"""How sparse a pruned network is, by count and in effect."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from sklvyso._optional import import_optional
from sklvyso.sparsity._connectivity import Connectivity, Measurement, kept_weights
from sklvyso.sparsity._kept import KeptWeights
from sklvyso.sparsity._trace import Rule


@dataclass(frozen=True, repr=False)
class SparsityReport:
    """Direct and effective sparsity of a network, as a whole and by layer.

    .. versionadded:: 0.1

    Parameters
    ----------
    layers : list of dict
        One entry a layer, in order: ``name``, ``shape``, ``n_weights``, ``kept``,
        ``active`` (kept weights on a way from input to output), ``direct_sparsity``,
        ``effective_sparsity``.
    n_disconnected_inputs : int
        Input values from which no output can be reached.
    n_disconnected_outputs : int
        Outputs that no input value reaches.
    blocked_layers : list of str
        Layers that signal enters but does not leave.
    masks : dict of str to ndarray of bool
        Kept weights.
    effective_masks : dict of str to ndarray of bool
        Active weights.

    Attributes
    ----------
    n_weights, n_kept, n_active : int
        Number of prunable weights in all, kept, and active.
    direct_sparsity, effective_sparsity : float
        Shares of weights that are pruned, and that carry no signal, in [0, 1].
    direct_compression, effective_compression : float
        ``n_weights / n_kept`` and ``n_weights / n_active``; inf when nothing is left.
    collapsed_layers : list of str
        Layers without any kept weight.

    See Also
    --------
    sparsity_report : Makes one.
    sklvyso.plotting.SparsityDisplay : Draws one.
    """

    layers: list[dict[str, Any]]
    n_disconnected_inputs: int
    n_disconnected_outputs: int
    blocked_layers: list[str] = field(default_factory=list)
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    effective_masks: dict[str, np.ndarray] = field(default_factory=dict)

    def _sum(self, key):
        return sum(layer[key] for layer in self.layers)

    @property
    def n_weights(self) -> int:
        """Number of prunable weights."""
        return self._sum("n_weights")

    @property
    def n_kept(self) -> int:
        """Number of kept weights."""
        return self._sum("kept")

    @property
    def n_active(self) -> int:
        """Number of kept weights on a way from input to output."""
        return self._sum("active")

    @property
    def direct_sparsity(self) -> float:
        """Share of weights that are pruned."""
        return 1 - self.n_kept / self.n_weights

    @property
    def effective_sparsity(self) -> float:
        """Share of weights that carry no signal."""
        return 1 - self.n_active / self.n_weights

    @property
    def direct_compression(self) -> float:
        """Weights in all by kept weights."""
        return self.n_weights / self.n_kept if self.n_kept else np.inf

    @property
    def effective_compression(self) -> float:
        """Weights in all by active weights."""
        return self.n_weights / self.n_active if self.n_active else np.inf

    @property
    def collapsed_layers(self) -> list[str]:
        """Names of layers without any kept weight."""
        return [layer["name"] for layer in self.layers if not layer["kept"]]

    def to_frame(self):
        """Return the layers as a pandas data frame, one row a layer."""
        pandas = import_optional("pandas", extra="frame", caller="SparsityReport")
        return pandas.DataFrame(self.layers).set_index("name")

    def __repr__(self):
        width = max(len("all"), *(len(layer["name"]) for layer in self.layers))
        rows = [f"{'layer':<{width}} {'weights':>11} {'kept':>11} {'active':>11}"]
        rows += [
            f"{layer['name']:<{width}} {layer['n_weights']:>11} {layer['kept']:>11} "
            f"{layer['active']:>11}"
            for layer in self.layers
        ]
        rows.append(
            f"{'all':<{width}} {self.n_weights:>11} {self.n_kept:>11} "
            f"{self.n_active:>11}"
        )
        rows.append(
            f"compression: direct {self.direct_compression:.4g}, "
            f"effective {self.effective_compression:.4g}"
        )
        cut = [
            f"{n} of the {kind} are disconnected"
            for kind, n in (
                ("inputs", self.n_disconnected_inputs),
                ("outputs", self.n_disconnected_outputs),
            )
            if n
        ]
        if self.collapsed_layers:
            cut.append(f"layers without weights: {', '.join(self.collapsed_layers)}")
        if not self.n_active and self.blocked_layers:
            cut.append(f"signal ends in: {', '.join(self.blocked_layers)}")
        return "\n".join(rows + cut)


def sparsity_report(
    module: nn.Module,
    masks: Mapping[str, ArrayLike] | None,
    input_shape: Sequence[int],
    *,
    granularity: str = "pixel",
    rules: Mapping[Any, Rule] | None = None,
    norm: str = "identity",
) -> SparsityReport:
    """Count the weights that a pruned network keeps, and those that carry signal.

    Parameters
    ----------
    module : torch.nn.Module
        Any network; only its structure is read. It comes back as it was.
    masks : dict of str to array-like or None
        Weight name to bools or zeros and ones in the shape of the weight. Prunable
        weights that are not named are dense. None reads the masks of
        :mod:`torch.nn.utils.prune`.
    input_shape : sequence of int
        Torch shape of one sample, ``(C, H, W)`` or ``(n_features,)``.
    granularity : {"pixel", "channel"}, default="pixel"
        As in :func:`effective_masks`.
    rules : dict or None, default=None
        As in :func:`effective_masks`.
    norm : {"identity", "mix"}, default="identity"
        As in :func:`effective_masks`.

    Returns
    -------
    report : SparsityReport
        Prints as a table; ``to_frame()`` is a data frame.

    Raises
    ------
    ValueError, TypeError, UnsupportedModuleError
        As :func:`effective_masks`.

    See Also
    --------
    effective_masks : The masks that it counts.
    sklvyso.plotting.SparsityDisplay : Draws the report.

    Examples
    --------
    A hidden unit without input and a connection to nowhere:

    >>> import numpy as np
    >>> from torch import nn
    >>> from sklvyso.sparsity import sparsity_report
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> masks = {
    ...     "0.weight": np.array([[1, 0], [0, 0], [1, 1]]),
    ...     "2.weight": np.array([[1, 1, 0]]),
    ... }
    >>> sparsity_report(net, masks, (2,))
    layer        weights        kept      active
    0.weight           6           3           1
    2.weight           3           2           1
    all                9           5           2
    compression: direct 1.8, effective 4.5
    1 of the inputs are disconnected
    """
    connectivity = Connectivity(
        module, input_shape, granularity=granularity, rules=rules, norm=norm
    )
    kept = kept_weights(module, masks, connectivity)
    for name in connectivity.prunable:
        kept.setdefault(name, KeptWeights.all_of(connectivity.shapes[name]))
    kept = {name: kept[name] for name in connectivity.shapes if name in kept}
    return report_of(kept, connectivity.measure(kept))


def report_of(
    kept: Mapping[str, KeptWeights], measurement: Measurement
) -> SparsityReport:
    """Put a measurement into a report.

    Parameters
    ----------
    kept : mapping of str to KeptWeights
        What was measured.
    measurement : Measurement
        The result.

    Returns
    -------
    report : SparsityReport
        The report.
    """
    layers = []
    for name, weights in kept.items():
        n_active = measurement.active[name].count
        layers.append(
            {
                "name": name,
                "shape": weights.shape,
                "n_weights": weights.size,
                "kept": weights.count,
                "active": n_active,
                "direct_sparsity": 1 - weights.count / weights.size,
                "effective_sparsity": 1 - n_active / weights.size,
            }
        )
    return SparsityReport(
        layers,
        measurement.n_disconnected_inputs,
        measurement.n_disconnected_outputs,
        measurement.blocked_layers,
        {name: weights.mask for name, weights in kept.items()},
        {name: weights.mask for name, weights in measurement.active.items()},
    )
