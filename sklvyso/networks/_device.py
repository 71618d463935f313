"""Where tensors live."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import torch

# A training set that fills more of the free memory than this stays on the host.
_LARGEST_SHARE = 0.5


def resolve_device(device: str | torch.device) -> str:
    """Turn ``"auto"`` into ``"cuda"`` or ``"cpu"`` and check any other device.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"``, or what :class:`torch.device` takes.

    Returns
    -------
    device : str
        A device that can be used now.

    Raises
    ------
    ValueError
        If torch knows no such device, or it is not available on this machine.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' or another device that torch "
            f"knows. Got {device!r} instead."
        ) from error
    is_there = {
        "cpu": lambda: True,
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "xpu": torch.xpu.is_available,
    }.get(resolved.type, lambda: False)
    if not is_there():
        raise ValueError(
            f"device must be available on this machine. Got {device!r}, but torch "
            f"sees no such device here: use device='auto' or device='cpu'."
        )
    return str(resolved)


def fits_on_device(n_bytes: int, device: str) -> bool:
    """Say whether an array of ``n_bytes`` may be moved to ``device`` as a whole."""
    if torch.device(device).type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return n_bytes <= _LARGEST_SHARE * free
