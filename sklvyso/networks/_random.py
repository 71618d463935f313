"""Seeds without touching the global generators of the user."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.utils import check_random_state

from sklvyso._arguments import is_integer, shown


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Draw one integer seed, the same for the same integer ``random_state``.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        An instance moves on by one draw; None takes NumPy's global generator, as
        everywhere in scikit-learn.

    Returns
    -------
    seed : int
        In [0, 2**31 - 1).

    See Also
    --------
    torch_seed : Uses it.
    """
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


@contextlib.contextmanager
def torch_seed(seed: int, device: str | torch.device = "cpu") -> Iterator[None]:
    """Run a block with torch's generators seeded, then put them back.

    Parameters
    ----------
    seed : int
        Seed of the CPU generator and, on CUDA, of the one of ``device``.
    device : str or torch.device, default="cpu"
        Where the block computes.

    Yields
    ------
    None
        The block runs.

    See Also
    --------
    draw_seed : Draws one.

    Notes
    -----
    The state of torch's generators belongs to the whole process, so that two threads
    that fit at the same time may disturb each other's random numbers (not the results'
    validity).
    """
    if not is_integer(seed) or not 0 <= seed < 2**63:
        raise ValueError(
            f"seed must be an int from 0 to 2**63 - 1. Got {shown(seed)} instead."
        )
    seed = int(seed)
    if not isinstance(device, str | torch.device):
        raise TypeError(
            f"device must be a str or torch.device. Got {shown(device)} instead."
        )
    try:
        device = torch.device(device)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"device must be one that torch knows, such as 'cpu' or 'cuda:0'. Got "
            f"{device!r} instead."
        ) from error
    gpus = []
    if device.type == "cuda":
        gpus = [torch.cuda.current_device() if device.index is None else device.index]
    # Without `devices` fork_rng would save every GPU, and torch.manual_seed would
    # reseed the ones that are not saved.
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield
