"""Permuted tasks: the same images, their pixels in another fixed order each task."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from sklvyso._arguments import LARGEST_SIZE, read_numbers
from sklvyso._compat import Interval, StrOptions, validate_params
from sklvyso.datasets._labelled import labelled_rows
from sklvyso.datasets._task_rows import stack_tasks, task_rows


@validate_params(
    {
        "X": ["array-like"],
        "y": ["array-like"],
        "n_tasks": [Interval(Integral, 1, LARGEST_SIZE, closed="both")],
        "first_identity": ["boolean"],
        "per_channel": ["boolean"],
        "sampling": [StrOptions({"copy", "partition"})],
        "random_state": ["random_state"],
        "permutations": ["array-like", None],
        "return_tasks": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_permuted_tasks(
    X: ArrayLike,
    y: ArrayLike,
    n_tasks: int = 5,
    *,
    first_identity: bool = True,
    per_channel: bool = False,
    sampling: str = "copy",
    random_state: int | np.random.RandomState | None = None,
    permutations: ArrayLike | None = None,
    return_tasks: bool = False,
) -> Any:
    """Make a sequence of tasks by permuting pixel positions.

    Task t shows every row with one fixed permutation of its pixels [1]_: for flat rows
    ``X_t[:, j] = X[:, params[t, j]]``. uint8 stays uint8.

    .. versionadded:: 0.1

    Parameters
    ----------
    X : array-like of shape (n_samples, n_pixels), (n_samples, height, width) or \
            (n_samples, height, width, n_channels)
        Images. Each column of flat rows counts as a pixel.

    y : array-like of shape (n_samples,)
        Labels.

    n_tasks : int, default=5
        Number of tasks; ignored if `permutations` is given.

    first_identity : bool, default=True
        Leave task 0 as it is.

    per_channel : bool, default=False
        Give each channel its own permutation, instead of moving channels together.

    sampling : {'copy', 'partition'}, default='copy'
        'copy': every task sees all rows, so that memory grows with the number of tasks.
        'partition': disjoint stratified parts, whose rows keep their order.

    random_state : int, RandomState instance or None, default=None
        Seed of the permutations. More tasks with the same seed begin with the same
        permutations.

    permutations : array-like of shape (n_tasks, n_positions), default=None
        The permutations to use: an array, or the `params` of an earlier call. Train and
        test rows of one benchmark must share theirs.

    return_tasks : bool, default=False
        If True, return a list of (X_t, y_t) instead of a Bunch.

    Returns
    -------
    tasks : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes, rows of task 0 first:

        data : ndarray of shape (n_rows, ...)
            Permuted rows, of the shape of `X`.
        target : ndarray of shape (n_rows,)
            Labels.
        task : ndarray of shape (n_rows,), dtype=int64
            Number of the task of each row.
        task_names : list of str
            Name of each task.
        n_tasks : int
            Number of tasks.
        params : ndarray of shape (n_tasks, n_positions)
            The permutations. Positions are pixels, or single values (pixel-major) if
            `per_channel` is True.

    list of (X_t, y_t) : list of tuple of ndarray
        If `return_tasks` is True.

    Raises
    ------
    ValueError
        If `permutations` are none, or do not fit the images.

    See Also
    --------
    make_rotated_tasks : Tasks by rotation.
    make_split_tasks : Tasks by disjoint classes.

    References
    ----------
    .. [1] I. J. Goodfellow, M. Mirza, D. Xiao, A. Courville, Y. Bengio, "An empirical
       investigation of catastrophic forgetting in gradient-based neural networks",
       ICLR 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.datasets import make_permuted_tasks
    >>> X, y = np.arange(8).reshape(2, 4), np.array([0, 1])
    >>> train = make_permuted_tasks(X, y, n_tasks=3, random_state=0)
    >>> train.data.shape, train.task
    ((6, 4), array([0, 0, 1, 1, 2, 2]))
    >>> test = make_permuted_tasks(X + 1, y, permutations=train.params)
    >>> np.array_equal(test.data, train.data + 1)
    True
    """
    X, y = labelled_rows(X, y)
    if X.ndim not in (2, 3, 4) or not X.size:
        raise ValueError(
            f"X must have rows and 2, 3 or 4 dimensions. Got shape {X.shape} instead."
        )
    n_channels = X.shape[3] if X.ndim == 4 else 1
    n_pixels = X[0].size // n_channels
    if permutations is None:
        generator = check_random_state(random_state)
        orders = _draw_orders(
            generator,
            int(n_tasks),
            n_pixels,
            n_channels if per_channel else 1,
            first_identity,
        )
    else:
        orders = _check_orders(permutations, {n_pixels, n_pixels * n_channels})
    # Flat rows of single values, or of whole pixels with their channels.
    flat_shape = (-1, orders.shape[1], X[0].size // orders.shape[1])

    def permute(task: int, part: np.ndarray, out: np.ndarray) -> None:
        flat_out = out.reshape(flat_shape)
        np.take(part.reshape(flat_shape), orders[task], 1, flat_out, "clip")

    names = [f"permutation {task}" for task in range(len(orders))]
    rows = task_rows(y, len(orders), sampling)
    return stack_tasks(X, y, rows, permute, names, orders, return_tasks)


def _draw_orders(
    generator: np.random.RandomState,
    n_tasks: int,
    n_pixels: int,
    n_moving: int,
    first_identity: bool,
) -> np.ndarray:
    """Permutations of positions, `n_moving` independent channels interleaved."""
    orders = np.empty((n_tasks, n_pixels, n_moving), dtype=np.int64)
    for task, order in enumerate(orders):
        for channel in range(n_moving):
            is_identity = task == 0 and first_identity
            pixels = np.arange(n_pixels)
            pixels = pixels if is_identity else generator.permutation(n_pixels)
            order[:, channel] = pixels * n_moving + channel
    return orders.reshape(n_tasks, -1)


def _check_orders(permutations: ArrayLike, widths: set[int]) -> np.ndarray:
    orders = read_numbers("permutations", permutations)
    if orders.ndim != 2 or orders.shape[1] not in widths or not len(orders):
        raise ValueError(
            f"permutations must have shape (n_tasks, {max(widths)}). "
            f"Got {orders.shape} instead."
        )
    if not np.all(np.sort(orders, axis=1) == np.arange(orders.shape[1])):
        raise ValueError(
            "permutations must hold each position once a task. Got others instead."
        )
    return orders.astype(np.int64)
