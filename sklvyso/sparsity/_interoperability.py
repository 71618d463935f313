"""Masks to and from other tools: modules, torch.nn.utils.prune, files."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn.utils import parametrize, prune

from sklvyso.sparsity._scored_copy import scored_copy, settle_parametrized
from sklvyso.sparsity._weights import (
    check_masks,
    check_module_type,
    maskable_weights,
    module_masks,
)


def pruned_copy(module: nn.Module, masks: Mapping[str, np.ndarray]) -> nn.Module:
    """Copy a module with its masks worked into plain weights.

    Parameters
    ----------
    module : torch.nn.Module
        Stays as it is.
    masks : mapping of str to ndarray of bool
        Kept weights.

    Returns
    -------
    copied : torch.nn.Module
        In evaluation mode, on the CPU, without hooks; masks of
        :mod:`torch.nn.utils.prune` and parametrisations are worked into the weights.
    """
    copied = scored_copy(module, "cpu").eval()
    for part in copied.modules():
        _settle_others(part)
        for name, value in vars(part).items():
            if "_hooks" in name and isinstance(value, OrderedDict):
                part.__dict__[name] = OrderedDict()
    with torch.no_grad():
        for name, mask in masks.items():
            path, _, key = name.rpartition(".")
            weight = getattr(copied.get_submodule(path), key)
            # Not a product, in which a weight that is not finite would survive.
            weight[~torch.from_numpy(np.array(mask))] = 0
    return copied


def _settle_others(part: nn.Module) -> None:
    """Work masks and parametrisations of biases and norms into plain parameters."""
    for key in list(getattr(part, "parametrizations", ())):
        settle_parametrized(part, key)
    for hook in list(part._forward_pre_hooks.values()):
        if isinstance(hook, prune.BasePruningMethod):
            prune.remove(part, hook._tensor_name)


def apply_masks(module: nn.Module, masks: Mapping[str, ArrayLike]) -> nn.Module:
    """Put masks on a module as :mod:`torch.nn.utils.prune` does.

    Each masked weight becomes ``weight_orig`` and ``weight_mask``; their product is
    computed at each forward pass. A mask that is there already is replaced.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    masks : dict of str to array-like
        Weight name to bools or zeros and ones.

    Returns
    -------
    module : torch.nn.Module
        The same.

    Raises
    ------
    ValueError
        If a name or a shape does not fit, or a weight is parametrised or shared by
        layers; no mask is put on then.

    See Also
    --------
    read_masks : The way back.
    remove_masks : Makes zeros permanent or takes masks off.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from sklvyso.sparsity import apply_masks, read_masks
    >>> net = apply_masks(nn.Linear(2, 1), {"weight": np.array([[1, 0]])})
    >>> bool(net.weight[0, 1] == 0), read_masks(net)
    (True, {'weight': array([[ True, False]])})
    """
    plain = check_module_type(module)
    weights = maskable_weights(plain)
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    checked = check_masks(masks, shapes)
    for name in checked:
        _check_maskable(plain, name)
    for name, mask in checked.items():
        path, _, key = name.rpartition(".")
        part = plain.get_submodule(path)
        tensor = torch.from_numpy(np.array(mask))
        if f"{key}_mask" in part._buffers:
            part._buffers[f"{key}_mask"].copy_(tensor)
        else:
            prune.custom_from_mask(part, key, tensor.to(weights[name].device))
        # Each forward pass computes it anew; with a history it could not be copied.
        weight, buffer = part._parameters[f"{key}_orig"], part._buffers[f"{key}_mask"]
        part.__dict__[key] = (weight * buffer).detach()
    return module


def _check_maskable(module: nn.Module, name: str) -> None:
    path, _, key = name.rpartition(".")
    part = module.get_submodule(path)
    if parametrize.is_parametrized(part, key):
        raise ValueError(
            f"masks must not name the parametrised weight {name!r}: "
            "torch.nn.utils.prune cannot mask it. Remove the parametrisation."
        )
    own = part._parameters.get(key)
    sharing = [
        f"{other}.{other_key}"
        for other, layer in module.named_modules()
        for other_key, value in layer._parameters.items()
        if own is not None and value is own
    ]
    if len(sharing) > 1:
        raise ValueError(
            f"masks must not name the shared weight {name!r}: torch.nn.utils.prune "
            f"masks one layer at a time, and {sharing} hold it. Give each a weight of "
            "its own."
        )


def read_masks(module: nn.Module) -> dict[str, np.ndarray]:
    """Read the masks that :mod:`torch.nn.utils.prune` put on a module.

    Parameters
    ----------
    module : torch.nn.Module
        Stays as it is.

    Returns
    -------
    masks : dict of str to ndarray of bool
        Weight name to kept weights, for weights that have a mask.

    See Also
    --------
    apply_masks : Puts masks on a module.
    save_masks : Writes masks to a file.
    """
    return module_masks(check_module_type(module))


def remove_masks(module: nn.Module) -> nn.Module:
    """Work the masks of :mod:`torch.nn.utils.prune` into plain weights.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.

    Returns
    -------
    module : torch.nn.Module
        The same, with zeros where weights were pruned.

    See Also
    --------
    apply_masks : Puts masks on a module.
    read_masks : Reads them.
    """
    plain = check_module_type(module)
    for name in read_masks(plain):
        path, _, key = name.rpartition(".")
        prune.remove(plain.get_submodule(path), key)
    return module
