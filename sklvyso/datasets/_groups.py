"""Plant a cue that goes with the class, most of the time."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import colorsys
from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch, check_random_state

from sklvyso._arguments import LARGEST_SIZE
from sklvyso._compat import Interval, StrOptions, validate_params
from sklvyso.datasets._labelled import labelled_rows


@validate_params(
    {
        "images": ["array-like"],
        "y": ["array-like"],
        "correlation": [Interval(Real, 0, 1, closed="both")],
        "cue": [StrOptions({"color", "patch"})],
        "n_cues": [Interval(Integral, 2, LARGEST_SIZE, closed="both"), None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_spurious_groups(
    images: ArrayLike,
    y: ArrayLike,
    *,
    correlation: float = 0.95,
    cue: str = "color",
    n_cues: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Add a cue that agrees with the class for most images of each class.

    The cue of class k (in sorted order) is ``k % n_cues``. For the share `correlation`
    of each class the image carries that cue, otherwise a uniformly random other one: a
    classifier that learns the cue fails on these.

    .. versionadded:: 0.1

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width) or \
            (n_samples, height, width, 3)
        Grey or colour images, uint8 or float in [0, 1].

    y : array-like of shape (n_samples,)
        Labels.

    correlation : float, default=0.95
        Share of each class whose cue agrees; the count is rounded, halves up. With
        1 / n_cues the cue tells nothing of the class.

    cue : {'color', 'patch'}, default='color'
        'color' tints the image with one of `n_cues` hues; grey images become colour
        images. 'patch' sets a small bright square whose place near the border is the
        cue.

    n_cues : int, default=None
        Number of cues, at least 2. None means the number of classes (at least 2).

    random_state : int, RandomState instance or None, default=None
        Seed of the choice of images and of their other cues.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes:

        data : ndarray of shape (n_samples, n_pixels)
            Images with cues, flat; shares its memory with `images`.
        images : ndarray of shape (n_samples, height, width[, 3])
            Images with cues, in the type of the input.
        target : ndarray of shape (n_samples,)
            The labels given.
        cue : ndarray of shape (n_samples,), dtype=int64
            Cue of each image, 0 to n_cues - 1.
        group : ndarray of shape (n_samples,), dtype=int64
            ``k * n_cues + cue`` for class k.
        n_cues : int
            Number of cues.

    Raises
    ------
    ValueError
        If `images` is neither grey nor colour, or too small for so many patches.

    See Also
    --------
    make_long_tailed : Rare classes instead of rare groups.
    make_class_difficulty_blobs : Classes of different difficulty.

    References
    ----------
    .. [1] S. Sagawa, P. W. Koh, T. B. Hashimoto, P. Liang, "Distributionally robust
       neural networks for group shifts", ICLR 2020, section 2.
    .. [2] M. Arjovsky, L. Bottou, I. Gulrajani, D. Lopez-Paz, "Invariant risk
       minimization", arXiv:1907.02893, section 5.2 (coloured digits).

    Examples
    --------
    >>> import numpy as np
    >>> from sklvyso.datasets import make_spurious_groups
    >>> images = np.full((20, 8, 8), 255, dtype=np.uint8)
    >>> y = np.repeat([0, 1], 10)
    >>> bunch = make_spurious_groups(images, y, correlation=0.9, random_state=0)
    >>> bunch.images.shape, np.bincount(bunch.group)
    ((20, 8, 8, 3), array([9, 1, 1, 9]))
    """
    images, y = labelled_rows(images, y, "images")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise ValueError(
            "images must have shape (n, height, width) or (n, height, width, 3). "
            f"Got {images.shape} instead."
        )
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            "images must be uint8, or floats in [0, 1]. "
            f"Got dtype {images.dtype} instead."
        )
    if images.dtype != np.uint8 and not np.isfinite(images).all():
        raise ValueError("images must be finite. Got NaN or infinity.")
    labels, codes = np.unique(y, return_inverse=True)
    n_cues = max(2, len(labels)) if n_cues is None else int(n_cues)
    cues = draw_cues(codes, n_cues, float(correlation), random_state)
    changed = _CUES[cue](images, cues, n_cues)
    return Bunch(
        data=changed.reshape(len(changed), -1),
        images=changed,
        target=y,
        cue=cues,
        group=codes.astype(np.int64) * n_cues + cues,
        n_cues=n_cues,
    )


def draw_cues(
    codes: np.ndarray,
    n_cues: int,
    correlation: float,
    random_state: int | np.random.RandomState | None,
) -> np.ndarray:
    """Draw a cue for each row, agreeing in an exact number of rows of each class."""
    generator = check_random_state(random_state)
    own = codes.astype(np.int64) % n_cues
    # A shift of 1 to n_cues - 1 is a uniformly random other cue.
    shift = generator.randint(1, n_cues, size=len(codes))
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        n_agree = int(np.floor(correlation * len(rows) + 0.5))
        shift[generator.permutation(rows)[:n_agree]] = 0
    return (own + shift) % n_cues


def tint(images: np.ndarray, cues: np.ndarray, n_cues: int) -> np.ndarray:
    """Multiply each image by the colour of its cue; hues are evenly spaced."""
    palette = np.array([colorsys.hsv_to_rgb(i / n_cues, 1, 1) for i in range(n_cues)])
    palette = palette.astype(np.float32)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    out = np.empty((*images.shape[:3], 3), dtype=images.dtype)
    for cue, color in enumerate(palette):
        rows = np.flatnonzero(cues == cue)
        tinted = images[rows] * color
        is_float = np.issubdtype(images.dtype, np.floating)
        out[rows] = tinted if is_float else np.rint(tinted)
    return out


def add_patch(images: np.ndarray, cues: np.ndarray, n_cues: int) -> np.ndarray:
    """Brighten a small square in the cell of a border grid that the cue names."""
    height, width = images.shape[1:3]
    n_cells = max(2, -(-n_cues // 4) + 1)  # a border of g x g cells has 4 (g - 1)
    if n_cells > min(height, width):
        raise ValueError(
            f"n_cues must leave each patch a pixel of {height} x {width} images. "
            f"Got {n_cues} instead."
        )
    border = [
        (row, column)
        for row in range(n_cells)
        for column in range(n_cells)
        if row in (0, n_cells - 1) or column in (0, n_cells - 1)
    ]
    side = max(1, min(height, width) // (2 * n_cells))
    is_float = np.issubdtype(images.dtype, np.floating)
    bright = 1.0 if is_float else np.iinfo(images.dtype).max
    out = images.copy()
    for cue, (row, column) in enumerate(border[:n_cues]):
        top = _center(row, n_cells, height, side)
        left = _center(column, n_cells, width, side)
        out[cues == cue, top : top + side, left : left + side] = bright
    return out


def _center(cell: int, n_cells: int, length: int, side: int) -> int:
    """Start of a patch of `side` pixels in the middle of a cell."""
    return (2 * cell + 1) * length // (2 * n_cells) - side // 2


_CUES: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "color": tint,
    "patch": add_patch,
}
