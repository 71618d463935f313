"""Rotated tasks: the same images, turned by another fixed angle each task."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import ArrayLike

from sklvyso._arguments import LARGEST_SIZE, read_numbers
from sklvyso._compat import Interval, StrOptions, validate_params
from sklvyso.datasets._labelled import labelled_rows
from sklvyso.datasets._task_rows import stack_tasks, task_rows


@validate_params(
    {
        "images": ["array-like"],
        "y": ["array-like"],
        "n_tasks": [Interval(Integral, 1, LARGEST_SIZE, closed="both")],
        "angles": ["array-like", None],
        "sampling": [StrOptions({"copy", "partition"})],
        "return_tasks": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_rotated_tasks(
    images: ArrayLike,
    y: ArrayLike,
    n_tasks: int = 5,
    *,
    angles: Sequence[float] | None = None,
    sampling: str = "copy",
    return_tasks: bool = False,
) -> Any:
    """Make a sequence of tasks by rotating all images by one angle a task.

    .. versionadded:: 0.1

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width) or \
            (n_samples, height, width, n_channels)
        Images. uint8 stays uint8, rounded; floats keep their type.

    y : array-like of shape (n_samples,)
        Labels.

    n_tasks : int, default=5
        Number of tasks; ignored if `angles` is given.

    angles : sequence of float, default=None
        Angle of each task in degrees, counter-clockwise. None turns task t by
        360 * t / n_tasks.

    sampling : {'copy', 'partition'}, default='copy'
        'copy': every task sees all rows, so that memory grows with the number of tasks.
        'partition': disjoint stratified parts, whose rows keep their order.

    return_tasks : bool, default=False
        If True, return a list of (X_t, y_t) instead of a Bunch.

    Returns
    -------
    tasks : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes, rows of task 0 first:

        data : ndarray of shape (n_rows, ...)
            Rotated images, of the shape of `images`.
        target : ndarray of shape (n_rows,)
            Labels.
        task : ndarray of shape (n_rows,), dtype=int64
            Number of the task of each row.
        task_names : list of str
            Name of each task.
        n_tasks : int
            Number of tasks.
        params : ndarray of shape (n_tasks,)
            The angles.

    list of (X_t, y_t) : list of tuple of ndarray
        If `return_tasks` is True.

    Raises
    ------
    ValueError
        If `images` has another number of dimensions, or an angle is not finite.

    See Also
    --------
    make_permuted_tasks : Tasks by permutation of pixels.
    make_split_tasks : Tasks by disjoint classes.

    Notes
    -----
    Half turns of any image, and quarter turns of square ones, are exact
    (:func:`numpy.rot90`). Other angles interpolate linearly around the centre and fill
    with zeros (:func:`scipy.ndimage.rotate`).

    References
    ----------
    .. [1] D. Lopez-Paz, M. Ranzato, "Gradient episodic memory for continual learning",
       NeurIPS 2017, section 5.1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.datasets import make_rotated_tasks
    >>> images = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
    >>> tasks = make_rotated_tasks(images, [7], n_tasks=4)
    >>> tasks.params
    array([  0.,  90., 180., 270.])
    >>> tasks.data[1]
    array([[1, 3],
           [0, 2]], dtype=uint8)
    """
    images, y = labelled_rows(images, y, "images")
    if images.ndim not in (3, 4):
        raise ValueError(
            f"images must have 3 or 4 dimensions. Got {images.ndim} instead."
        )
    if angles is None:
        turns = 360.0 * np.arange(n_tasks) / n_tasks
    else:
        turns = read_numbers("angles", angles).astype(np.float64)
    if turns.ndim != 1 or not len(turns) or not np.all(np.isfinite(turns)):
        raise ValueError(f"angles must be finite numbers. Got {angles!r} instead.")

    def rotate(task: int, part: np.ndarray, out: np.ndarray) -> None:
        out[...] = rotate_images(part, float(turns[task]))

    names = [f"rotation by {angle:g} degrees" for angle in turns]
    rows = task_rows(y, len(turns), sampling)
    return stack_tasks(images, y, rows, rotate, names, turns, return_tasks)


def rotate_images(images: np.ndarray, angle: float) -> np.ndarray:
    """Rotate all images counter-clockwise by one angle in degrees."""
    n_quarters, rest = divmod(angle % 360.0, 90.0)
    is_square = images.shape[1] == images.shape[2]
    if rest == 0 and (is_square or n_quarters % 2 == 0):
        return np.rot90(images, k=int(n_quarters), axes=(1, 2))
    is_float = np.issubdtype(images.dtype, np.floating)
    rotated = scipy.ndimage.rotate(
        images,
        angle,
        axes=(1, 2),
        reshape=False,
        output=images.dtype if is_float else _float_for(images.dtype),
        order=1,
        cval=0,
    )
    if is_float:
        return rotated
    limits = np.iinfo(images.dtype)
    return np.clip(np.rint(rotated), limits.min, limits.max).astype(images.dtype)


def _float_for(dtype: np.dtype) -> type:
    """Give the smaller float type that holds all values of an integer type."""
    return np.float32 if dtype.itemsize <= 2 else np.float64
