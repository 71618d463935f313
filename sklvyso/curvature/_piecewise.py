"""Proof, from autograd's own graph, that logits are piecewise linear in each tensor.

Then ``d^2 z / dW dW = 0`` almost everywhere for each parameter tensor W, the residual
part of the Hessian has a zero diagonal, and ``Tr(H) = Tr(G)`` exactly.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from torch import Tensor

# Linear in all their inputs together.
_LINEAR = """
Add Sub Neg View UnsafeView ReshapeAlias T Transpose Permute Expand Squeeze Unsqueeze
Cat Stack Slice Select Index IndexSelect Gather TakeAlongDim Mean Sum AvgPool1D
AvgPool2D AvgPool3D AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D
MkldnnAdaptiveAvgPool2D ConstantPadNd ReflectionPad1D ReflectionPad2D ReflectionPad3D
ReplicationPad1D ReplicationPad2D ReplicationPad3D Clone ToCopy Flip Roll Split
SplitWithSizes Unbind Alias AsStrided Embedding EmbeddingBag Unfold Im2Col Col2Im
PixelShuffle PixelUnshuffle ChannelShuffle UpsampleNearest1D UpsampleNearest2D
UpsampleNearest3D UpsampleLinear1D UpsampleBilinear2D UpsampleBicubic2D
UpsampleTrilinear3D Repeat Cumsum Tril Triu Diagonal Movedim Contiguous Identity
"""
# Linear in pieces.
_PIECEWISE = """
Relu LeakyRelu Threshold Hardtanh MaxPool2DWithIndices MaxPool3DWithIndices
AdaptiveMaxPool2D AdaptiveMaxPool3D FractionalMaxPool2D FractionalMaxPool3D Abs Clamp
ClampMin ClampMax Maximum Minimum Max Min Amax Amin Where MaskedFill RreluWithNoise Sort
Topk Median SoftShrink HardShrink Softshrink Hardshrink
"""
# Linear in each factor; what is listed as added comes beside the product.
_ADDED = {
    "Mul": (),
    "Mm": (),
    "Bmm": (),
    "Mv": (),
    "Dot": (),
    "Prelu": (),
    "PreluKernel": (),
    "Addmm": (0,),
    "Addmv": (0,),
    "Addbmm": (0,),
    "Baddbmm": (0,),
    "Linear": (2,),
    "MkldnnLinear": (2,),
    "Convolution": (2,),
    "ConvolutionOverrideable": (2,),
    "CudnnConvolution": (),
    "NativeBatchNorm": (2,),
    "CudnnBatchNorm": (2,),
    "MiopenBatchNorm": (2,),
}
# Of the same degree as what they get, none of them with constants of their own.
_KEEPING = set(
    """
View UnsafeView ReshapeAlias T Transpose Permute Expand Squeeze Unsqueeze Mean Sum Neg
AvgPool1D AvgPool2D AvgPool3D AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D
MkldnnAdaptiveAvgPool2D Clone ToCopy Select Slice Alias Add Sub Cat Relu LeakyRelu Abs
MaxPool2DWithIndices MaxPool3DWithIndices AdaptiveMaxPool2D AdaptiveMaxPool3D
""".split()
)
_FACTORS = {"Mm", "Bmm", "Mv", "Dot", "Addmm", "Convolution"}
_NORMS = {"NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm"}
_SIMPLE = {*_LINEAR.split(), *_PIECEWISE.split()}
_LEAF = "AccumulateGrad"


def nonlinearity(outputs: Tensor, tensors: Sequence[Tensor]) -> str | None:
    """Say what stands against piecewise linearity in each of some tensors.

    Parameters
    ----------
    outputs : tensor
        With its graph.
    tensors : sequence of tensor
        Leaves of the graph.

    Returns
    -------
    reason : str or None
        None when it is proved: every operation on the way is linear, linear in pieces,
        or a product of factors that depend on different tensors, and every tensor
        enters once.
    """
    if outputs.grad_fn is None:
        return None
    if not all(tensor.is_leaf for tensor in tensors):
        return "a parameter is no leaf of the graph, as those of TorchScript"
    nodes = _from_inputs_to_outputs(outputs.grad_fn)
    entries: Counter[Any] = Counter(
        after for node in nodes for after, _ in node.next_functions if after is not None
    )
    place = {id(tensor): i for i, tensor in enumerate(tensors)}
    reached: dict[Any, frozenset[int]] = {}
    for node in nodes:
        kind = _kind(node)
        if kind == _LEAF:
            own = place.get(id(node.variable))
            if own is None:
                return "the graph ends in something else than the parameters"
            reached[node] = frozenset({own})
            if entries[node] > 1:
                return "a parameter is used more than once"
            continue
        groups = [reached.get(after, frozenset()) for after, _ in node.next_functions]
        reason = _reason(node, kind, groups)
        if reason is not None:
            return reason
        reached[node] = frozenset().union(*groups)
    return None


def _reason(node: Any, kind: str, groups: list[frozenset[int]]) -> str | None:
    if not any(groups):
        return None
    if not _is_built_in(node):
        return f"the operation {kind!r} is a custom one"
    if any(meta.dtype.is_complex for meta in node._input_metadata):
        return "an operation on complex numbers"
    if kind in _SIMPLE:
        return None
    if kind == "Div":
        if len(groups) > 1 and groups[1]:
            return "a division by what depends on parameters"
        return None
    if kind not in _ADDED:
        return f"the operation {kind!r} is not linear in pieces"
    if kind in _NORMS and _normalizes_by_batch(node):
        return "a normalization by statistics of the batch"
    factors = [g for i, g in enumerate(groups) if i not in _ADDED[kind]]
    if sum(map(len, factors)) > len(frozenset().union(*factors)):
        return f"a product ({kind!r}) of factors that depend on the same parameter"
    return None


def _normalizes_by_batch(node: Any) -> bool:
    return bool(getattr(node, "_saved_training", True))


def _kind(node: Any) -> str:
    """Return the name of an operation without "Backward0"."""
    return node.name().rsplit("::", 1)[-1].split("Backward")[0]


def refuse_wrong_derivatives(outputs: Tensor) -> None:
    """Raise where torch's own second derivative is known to be wrong.

    Parameters
    ----------
    outputs : tensor
        With its graph.

    Raises
    ------
    ValueError
        For ``weight_norm``: the second derivative of its kernel (torch 2.13) fails
        ``torch.autograd.gradgradcheck``.
    """
    if outputs.grad_fn is None:
        return
    kinds = {_kind(node) for node in _from_inputs_to_outputs(outputs.grad_fn)}
    if "WeightNormInterface" in kinds:
        raise ValueError(
            "module must not hold weight_norm, whose second derivative torch gets "
            "wrong. Call torch.nn.utils.parametrize.remove_parametrizations(layer, "
            "'weight') on each such layer first."
        )


def _is_built_in(node: Any) -> bool:
    """Say whether torch made the node; those of custom functions have no number."""
    return re.search(r"Backward\d+$", node.name()) is not None


def homogeneity(outputs: Tensor, tensors: Sequence[Tensor]) -> int | None:
    """Return L if outputs are positively homogeneous of degree L, by proof.

    Then ``f(a theta) = a^L f(theta)`` for all a > 0 and all values of the parameters,
    so that derivatives are homogeneous too. A bias of 0 by chance stands against it.

    Parameters
    ----------
    outputs : tensor
        With its graph.
    tensors : sequence of tensor
        Leaves of the graph, scaled together.

    Returns
    -------
    degree : int or None
        None where there is no proof.
    """
    if outputs.grad_fn is None or nonlinearity(outputs, tensors) is not None:
        return None
    degrees: dict[Any, int] = {None: 0}
    for node in _from_inputs_to_outputs(outputs.grad_fn):
        kind = _kind(node)
        given = [degrees[after] for after, _ in node.next_functions]
        if kind == _LEAF:
            degrees[node] = 1
        elif kind in _KEEPING:
            # All that is put together must scale alike.
            if len(set(given)) != 1:
                return None
            degrees[node] = given[0]
        elif kind in _FACTORS:
            others = [given[i] for i in _added(node, kind)]
            factors = [d for i, d in enumerate(given) if i not in _ADDED[kind]]
            if any(degree != sum(factors) for degree in others):
                return None
            degrees[node] = sum(factors)
        else:
            return None
    return degrees[outputs.grad_fn]


def _added(node: Any, kind: str) -> tuple[int, ...]:
    """Return where a product node gets what it adds; a convolution may add nothing."""
    if kind == "Convolution":
        sizes = getattr(node, "_saved_bias_sym_sizes_opt", None)
        if sizes is not None and sum(sizes) == 0:
            return ()
    return _ADDED[kind]


def _from_inputs_to_outputs(last: Any) -> list[Any]:
    """Return the nodes of a graph, each after all that it depends on."""
    order: list[Any] = []
    seen = {last}
    stack = [(last, iter(last.next_functions))]
    while stack:
        node, ahead = stack[-1]
        for after, _ in ahead:
            if after is not None and after not in seen:
                seen.add(after)
                stack.append((after, iter(after.next_functions)))
                break
        else:
            order.append(node)
            stack.pop()
    return order
