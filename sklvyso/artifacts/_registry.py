"""The artifacts by name, and how users add their own."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sklvyso._arguments import check_sequence, is_choice
from sklvyso.artifacts import (
    _generators_extra,
    _generators_lines,
    _generators_regions,
    _generators_screen,
)

Generator = Callable[..., Any]

ARTIFACTS: dict[str, Generator] = {
    "shader": _generators_regions.shader,
    "shapes": _generators_regions.shapes,
    "discoloration": _generators_regions.discoloration,
    "random_patches": _generators_regions.random_patches,
    "dotted_lines": _generators_lines.dotted_lines,
    "parallel_lines": _generators_lines.parallel_lines,
    "square_patches": _generators_regions.square_patches,
    "texture_popin": _generators_screen.texture_popin,
    "triangulation": _generators_screen.triangulation,
    "line_pixelation": _generators_lines.line_pixelation,
    "screen_stuttering": _generators_screen.screen_stuttering,
    "screen_tearing": _generators_screen.screen_tearing,
    "morse_code": _generators_lines.morse_code,
    "missing_texture": _generators_extra.missing_texture,
    "placeholder_texture": _generators_extra.placeholder_texture,
    "low_res_texture": _generators_extra.low_res_texture,
    "stretched_texture": _generators_extra.stretched_texture,
    "color_banding": _generators_extra.color_banding,
    "block_loss": _generators_extra.block_loss,
    "channel_shift": _generators_extra.channel_shift,
    "overexposure": _generators_extra.overexposure,
}
# The authors left out the two classes that are often invisible.
PAPER = tuple(
    name
    for name in list(ARTIFACTS)[:13]
    if name not in ("square_patches", "texture_popin")
)


def register_artifact(name: str, generator: Generator) -> Generator:
    """Add an artifact under a new name.

    .. versionadded:: 0.1

    Parameters
    ----------
    name : str
        The new name, an identifier that is not taken yet.
    generator : callable
        ``generator(frame, rng, severity, previous)``: a copy of the frame, (H, W, 3),
        uint8 or float64 on the scale 0..255; a :class:`numpy.random.Generator`, its
        only source of randomness; the severity in (0, 1]; the previous frame or None.
        It returns the corrupted frame, or the pair of it and the mask of changed
        pixels, (H, W) bool.

    Returns
    -------
    generator : callable
        The same one.

    Raises
    ------
    ValueError
        If the name is taken or no identifier.
    TypeError
        If the generator cannot be called.

    See Also
    --------
    ArtifactSimulator : Puts artifacts on frames; also takes a dict of generators.

    Examples
    --------
    >>> from sklvyso.artifacts import ARTIFACTS, register_artifact
    >>> def negative(frame, rng, severity, previous):
    ...     return 255 - frame
    >>> _ = register_artifact("negative", negative)
    >>> list(ARTIFACTS)[-1]
    'negative'
    >>> del ARTIFACTS["negative"]
    """
    if not isinstance(name, str) or not name.isidentifier() or name in ARTIFACTS:
        raise ValueError(
            f"name must be an identifier that is not one of {list(ARTIFACTS)}. "
            f"Got {name!r} instead."
        )
    if not callable(generator):
        raise TypeError(
            "generator must be callable as generator(frame, rng, severity, previous). "
            f"Got {generator!r} instead."
        )
    ARTIFACTS[name] = generator
    return generator


def resolve_artifacts(
    artifacts: str | Iterable[str] | Mapping[str, Generator],
) -> dict[str, Generator]:
    """Return the generators that a user's choice of artifacts means.

    Parameters
    ----------
    artifacts : {"paper", "all"}, name, list of names or dict of generators
        See :class:`ArtifactSimulator`.

    Returns
    -------
    generators : dict of str to callable
        In the order given.

    Raises
    ------
    ValueError
        If a name is unknown or comes twice, or there is none.
    """
    if isinstance(artifacts, Mapping):
        chosen = dict(artifacts)
        bad = [name for name in chosen if not callable(chosen[name])]
        if bad or not chosen:
            raise ValueError(
                "artifacts as a dict must map names to callables. "
                f"Got {artifacts!r} instead."
            )
        return chosen
    if isinstance(artifacts, str):
        groups = {"paper": PAPER, "all": tuple(ARTIFACTS)}
        names = groups.get(artifacts, (artifacts,))
    else:
        names = check_sequence("artifacts", artifacts)
    unknown = [name for name in names if not is_choice(name, ARTIFACTS)]
    if unknown or not names or len(set(names)) < len(names):
        raise ValueError(
            "artifacts must be 'paper', 'all', or different names among "
            f"{list(ARTIFACTS)}. Got {artifacts!r} instead."
        )
    return {name: ARTIFACTS[name] for name in names}
