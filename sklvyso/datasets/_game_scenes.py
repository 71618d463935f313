"""How the scenes of made-up games are drawn: sky, ground, walls, sprites, HUD."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import colorsys
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

_TEXTURE = 64


class Look:
    """Palette and textures of one game.

    Parameters
    ----------
    rng : Generator
        Decides them.
    """

    def __init__(self, rng: np.random.Generator):
        self.hue = rng.random()
        self.brightness = rng.uniform(0.75, 1.0)
        self.sky = np.stack(
            [
                self.color(0.0, rng.uniform(0.3, 0.8), 0.9),
                self.color(0.05, rng.uniform(0.1, 0.3), 1.0),
            ]
        )
        self.ground = _texture(rng, self.color(0.35, 0.5, 0.5), rng.uniform(0.2, 0.5))
        self.wall = _bricks(rng, self.color(0.5, 0.4, 0.6))
        self.block = _bricks(rng, self.color(0.15, 0.6, 0.75))
        self.accents = np.stack(
            [self.color(d, 0.85, 0.95) for d in (0.1, 0.4, 0.55, 0.7)]
        )
        self.hud_style = int(rng.integers(2))

    def color(self, shift: float, saturation: float, value: float) -> np.ndarray:
        """Return a colour of the palette, three floats from 0 to 255."""
        hue = (self.hue + shift) % 1
        rgb = colorsys.hsv_to_rgb(hue, saturation, value * self.brightness)
        return 255 * np.array(rgb)


def _value_noise(rng: np.random.Generator, side: int) -> np.ndarray:
    """Draw smooth noise of several scales in [0, 1] that tiles without a seam."""
    noise = np.zeros((side, side))
    for scale, weight in ((32, 1.0), (8, 0.6), (2, 0.4)):
        layer = ndimage.gaussian_filter(
            rng.standard_normal((side, side)), scale / 3, mode="wrap"
        )
        noise += weight * layer / (layer.std() + 1e-9)
    return (noise - noise.min()) / np.ptp(noise)


def _texture(
    rng: np.random.Generator, color: np.ndarray, contrast: float
) -> np.ndarray:
    noise = _value_noise(rng, _TEXTURE) - 0.5
    return np.clip(color * (1 + 2 * contrast * noise[..., None]), 0, 255)


def _bricks(rng: np.random.Generator, color: np.ndarray) -> np.ndarray:
    """Draw a wall of stones in two bonds, with dark joints."""
    texture = _texture(rng, color, 0.25)
    rows, columns = np.indices((_TEXTURE, _TEXTURE))
    course = rows // 16
    is_joint = (rows % 16 < 2) | ((columns + course % 2 * 16) % 32 < 2)
    stone = rng.uniform(0.8, 1.15, (4, 2))
    texture *= stone[course, (columns + course % 2 * 16) // 32 % 2][..., None]
    texture[is_joint] *= 0.45
    return np.clip(texture, 0, 255)


def _sample(texture: np.ndarray, rows: Any, columns: Any) -> np.ndarray:
    return texture[rows.astype(int) % _TEXTURE, columns.astype(int) % _TEXTURE]


def _sky(look: Look, height: int, width: int) -> np.ndarray:
    share = np.linspace(0, 1, height)[:, None, None]
    return np.repeat(look.sky[0] * (1 - share) + look.sky[1] * share, width, axis=1)


def _disc(
    canvas: np.ndarray, row: float, column: float, radius: float, color: np.ndarray
) -> None:
    """Draw a shaded ball with a dark rim, in place."""
    height, width = canvas.shape[:2]
    rows = slice(max(0, int(row - radius) - 1), min(height, int(row + radius) + 2))
    columns = slice(
        max(0, int(column - radius) - 1), min(width, int(column + radius) + 2)
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    i, j = np.ogrid[rows, columns]
    distance = np.hypot(i - row, j - column) / radius
    light = 1.1 - 0.5 * np.hypot(i - row + radius / 3, j - column + radius / 3) / radius
    shade = np.where(distance > 0.85, 0.3, light)[..., None] * color
    region = canvas[rows, columns]
    region[distance <= 1] = np.clip(shade, 0, 255)[distance <= 1]


def _character(
    canvas: np.ndarray, look: Look, row: float, column: float, size: float
) -> None:
    """Draw somebody: body, head, two eyes."""
    _disc(canvas, row, column, 0.5 * size, look.accents[0])
    _disc(canvas, row - 0.6 * size, column, 0.32 * size, look.accents[1])
    for side in (-1, 1):
        place = column + 0.14 * side * size
        _disc(canvas, row - 0.65 * size, place, 0.09 * size, np.full(3, 250.0))


def _hud(canvas: np.ndarray, look: Look, rng: np.random.Generator) -> None:
    """Draw a score in block letters and a bar, where all frames of a game have it."""
    height, width = canvas.shape[:2]
    unit = max(1, height // 90)
    if look.hud_style:
        canvas[-7 * unit :] = 0.35 * canvas[-7 * unit :] + 0.3 * look.accents[2]
    top = height - 6 * unit if look.hud_style else 2 * unit
    for letter in range(6):
        glyph = rng.random((5, 3)) < 0.65
        glyph[:, 0] |= letter % 2 == 0
        pixels = glyph.repeat(unit, axis=0).repeat(unit, axis=1)
        left = (3 + 4 * letter) * unit
        region = canvas[top : top + 5 * unit, left : left + 3 * unit]
        region[pixels[: region.shape[0], : region.shape[1]]] = 245
    length = int(rng.uniform(0.1, 0.25) * width)
    rows = slice(top + unit, top + 4 * unit)
    canvas[rows, width - width // 4 - 3 * unit : width - 3 * unit] = 30
    start = width - width // 4 - 2 * unit
    canvas[top + 2 * unit : top + 3 * unit, start : start + length] = look.accents[3]


def platformer(
    look: Look, rng: np.random.Generator, time: float, height: int, width: int
) -> np.ndarray:
    """Draw hills, tiled ground and blocks seen from the side; the camera moves."""
    canvas = _sky(look, height, width)
    columns = np.arange(width)
    camera = rng.uniform(0, 1000) + time * rng.uniform(0.05, 0.2) * width
    for depth, shade in ((0.3, 0.75), (0.6, 0.55)):
        phase = (columns + depth * camera) / width
        phases = rng.uniform(0, 6, 2)
        top = height * (
            0.55
            + 0.15 * depth
            + 0.1 * np.sin(5 * phase + phases[0])
            + 0.04 * np.sin(17 * phase + phases[1])
        )
        is_hill = np.arange(height)[:, None] > top
        canvas[is_hill] = shade * look.color(0.3 * depth, 0.5, 0.8)
    tile = max(6, height // 9)
    scale = _TEXTURE / (2 * tile)
    world = (columns + camera)[None, :]
    floor = height - 2 * tile
    rows = np.arange(floor, height)[:, None]
    canvas[floor:] = _sample(look.block, (rows - floor) * scale, world * scale)
    canvas[floor : floor + max(2, tile // 4)] = look.color(0.35, 0.8, 0.7)
    cells = np.unique(world.astype(int) // (4 * tile))
    has_block = np.random.default_rng(int(rng.integers(2**31))).random(4096) < 0.5
    for cell in cells[has_block[cells % 4096]]:
        left = int(cell * 4 * tile - camera)
        top = floor - tile * (2 + cell % 3)
        region = canvas[max(0, top) : top + tile, max(0, left) : max(0, left + tile)]
        i, j = np.indices(region.shape[:2])
        region[:] = _sample(look.wall, i * scale, j * scale)
        _disc(canvas, top - tile, left + tile / 2, tile / 3, look.accents[3])
    hop = tile * abs(np.sin(rng.uniform(0, 3) + time))
    place = width * rng.uniform(0.3, 0.6)
    _character(canvas, look, floor - 0.5 * tile - hop, place, tile)
    _hud(canvas, look, rng)
    return canvas


def race(
    look: Look, rng: np.random.Generator, time: float, height: int, width: int
) -> np.ndarray:
    """Draw a road in perspective to the horizon, hills, trees and another car."""
    canvas = _sky(look, height, width)
    horizon = int(height * rng.uniform(0.38, 0.5))
    columns = np.arange(width)
    phase = rng.uniform(0, 6, 2) + 0.1 * time
    ridge = horizon - height * 0.08 * (
        1
        + np.sin(7 * columns / width + phase[0])
        * np.sin(23 * columns / width + phase[1])
    )
    rows = np.arange(height)[:, None]
    canvas[(rows >= ridge) & (rows < horizon)] = look.color(0.3, 0.4, 0.45)
    rows = np.arange(horizon, height)[:, None]
    depth = 1.0 / (rows - horizon + 1.5) * height / 3
    bend = rng.uniform(-0.5, 0.5) * width
    travel = rng.uniform(0, 100) + 3 * time
    distance = depth + travel
    middle = width / 2 + bend * (depth / depth.max()) ** 0.7
    offset = (columns[None, :] - middle) / width * depth
    ground = _sample(look.ground, distance * 40, offset * 120)
    lane = np.abs(offset)
    road = _sample(look.wall, distance * 40, offset * 60) * 0.35 + 60
    ground = np.where((lane < 0.45)[..., None], road, ground)
    is_line = (lane < 0.02) & (np.floor(distance * 2) % 2 == 0)
    is_curb = (lane > 0.42) & (lane < 0.45)
    ground[is_line] = 235
    stripe = (np.floor(distance * 2) % 2 == 0) & np.ones_like(is_curb)
    ground[is_curb & stripe] = look.accents[1]
    ground[is_curb & ~stripe] = 240
    haze = np.clip(depth / depth.max(), 0, 1)[..., None] ** 2
    canvas[horizon:] = ground * (1 - haze) + look.sky[1] * haze
    for near in np.sort(rng.uniform(0.15, 0.9, 8)):
        size = (near + 0.1 * time) * height * 0.25
        base = horizon + near * (height - horizon) * 0.7
        side = rng.choice([-1, 1]) * rng.uniform(0.25, 0.6) * width * (0.5 + near)
        column = width / 2 + side
        trunk = (
            slice(int(base - size), int(base)),
            slice(max(0, int(column - size / 12)), max(0, int(column + size / 12) + 1)),
        )
        canvas[trunk] = look.color(0.6, 0.5, 0.3)
        _disc(canvas, base - size, column, size / 2.5, look.color(0.35, 0.7, 0.5))
    row = height * 0.8
    for side in (-1, 1):
        _disc(
            canvas, row, width / 2 + side * height / 14, height / 22, np.full(3, 40.0)
        )
    _character(canvas, look, row - height / 20, width / 2 + 3 * time, height / 7)
    _hud(canvas, look, rng)
    return canvas


def corridor(
    look: Look, rng: np.random.Generator, time: float, height: int, width: int
) -> np.ndarray:
    """Draw a square room with pillars, by casting a ray for each column."""
    side = 8.0
    place = rng.uniform(2.5, 5.5, 2)
    facing = rng.uniform(0, 2 * np.pi) + 0.15 * time
    angles = facing + np.linspace(-0.6, 0.6, width)
    rays = np.stack([np.cos(angles), np.sin(angles)])
    place = place + 0.4 * time * np.array([np.cos(facing), np.sin(facing)])
    hits = [
        (np.where(ray > 0, side - p, p) / np.maximum(np.abs(ray), 1e-6))
        for ray, p in zip(rays, place, strict=True)
    ]
    distance = np.minimum(*hits)
    points = place[:, None] + rays * distance
    along = np.where(hits[0] < hits[1], points[1], points[0])
    light = np.where(hits[0] < hits[1], 1.0, 0.75)
    for center in rng.uniform(1, 7, (4, 2)):
        offset = place - center
        half = (rays * offset[:, None]).sum(axis=0)
        root = half**2 - (offset @ offset - 0.16)
        hit = -half - np.sqrt(np.maximum(root, 0))
        is_pillar = (root > 0) & (hit > 0.2) & (hit < distance)
        distance = np.where(is_pillar, hit, distance)
        along = np.where(is_pillar, 2 * np.sqrt(np.maximum(root, 0)), along)
        light = np.where(is_pillar, 1.2, light)
    flat = np.maximum(distance * np.cos(angles - facing), 0.2)
    half_height = height * 0.5 / flat
    rows = np.arange(height)[:, None] - height / 2 + 0.5
    share = rows / half_height
    fade = light / (1 + 0.15 * flat)
    walls = _sample(
        look.wall, (share + 1) * 32, np.broadcast_to(along * 32, share.shape)
    )
    reach = height * 0.5 / np.maximum(np.abs(rows), 0.5)
    floor_points = place[:, None, None] + rays[:, None, :] * (
        reach / np.cos(angles - facing)
    )
    floor = _sample(
        look.ground, floor_points[0] * 32 + 6400, floor_points[1] * 32 + 6400
    )
    floor = floor / (1 + 0.2 * reach[..., None])
    floor = np.where((rows < 0)[..., None], floor * 0.5, floor)
    canvas = np.where((np.abs(share) < 1)[..., None], walls * fade[:, None], floor)
    size = height / 5
    sway = 2 * np.sin(rng.uniform(0, 6) + 3 * time)
    _disc(
        canvas, height * 0.95, width / 2 + sway, size / 1.5, look.color(0.1, 0.2, 0.4)
    )
    _disc(canvas, height * 0.82, width / 2 + sway, size / 4, look.color(0.1, 0.2, 0.55))
    _hud(canvas, look, rng)
    return canvas


def shooter(
    look: Look, rng: np.random.Generator, time: float, height: int, width: int
) -> np.ndarray:
    """Draw a dark hull from above, stars, glowing shots and ships."""
    scroll = rng.uniform(0, 1000) + 0.2 * time * height
    rows, columns = np.indices((height, width), sparse=True)
    scale = 90 / height
    panel = _sample(look.wall, (rows - scroll) * scale, columns * scale)
    canvas = 0.22 * panel + 4
    margin = width // 6
    canvas[:, :margin] *= 0.4
    canvas[:, -margin:] *= 0.4
    for _ in range(40):
        place = rng.integers(height), rng.integers(width)
        canvas[int(place[0] + time * 3) % height, place[1]] += rng.uniform(40, 160)
    for _ in range(int(rng.integers(3, 8))):
        row = (rng.uniform(0, 1) + 0.1 * time) % 1 * height * 0.7
        _character(canvas, look, row, rng.uniform(0.15, 0.85) * width, height / 10)
    for _ in range(int(rng.integers(3, 9))):
        row = rng.uniform(0.1, 0.9) * height - 0.1 * time * height
        column = rng.uniform(0.2, 0.8) * width
        glow = np.exp(
            -((rows - row) ** 2 / 8 + (columns - column) ** 2) / (height / 45)
        )
        canvas = canvas + glow[..., None] * look.accents[int(rng.integers(4))]
    _character(canvas, look, 0.85 * height, (0.5 + 0.03 * time) * width, height / 8)
    _hud(canvas, look, rng)
    return canvas


def slope(
    look: Look, rng: np.random.Generator, time: float, height: int, width: int
) -> np.ndarray:
    """Draw a bright slope with mountains behind it, trees and tracks."""
    canvas = _sky(look, height, width)
    columns = np.arange(width)
    rows = np.arange(height)[:, None]
    ridge = np.full(width, height * 0.4)
    for frequency in (3, 7, 19, 41):
        phase = rng.uniform(0, 6) + 0.05 * time
        ridge -= (
            height
            * 0.3
            / frequency
            * np.abs(np.sin(frequency * columns / width + phase))
        )
    rock = _sample(look.wall, rows * 1.5, columns + rows) * 0.4 + 100
    is_rock = rows > ridge
    canvas[is_rock] = rock[is_rock]
    tilt = rng.uniform(-0.3, 0.3)
    edge = height * 0.45 + tilt * (columns - width / 2) * height / width
    travel = rng.uniform(0, 100) + 2 * time
    depth = height / np.maximum(rows - edge + 4, 2)
    snow = 205 + 0.2 * _sample(
        look.ground,
        (depth + travel) * 25,
        (columns - width / 2) / width * depth * 90 + 6400,
    )
    is_snow = rows > edge
    canvas[is_snow] = snow[is_snow]
    for near in np.sort(rng.uniform(0.1, 0.8, 6)):
        size = (near + 0.08 * time) * height * 0.35
        column = rng.uniform(0, 1) * width
        base = np.interp(column, columns, edge) + near * height * 0.4
        for layer in range(4):
            spread = size / 3 * (layer + 1) / 4
            level = slice(
                max(0, int(base - size + layer * size / 4)),
                max(0, int(base - size + (layer + 1.4) * size / 4)),
            )
            side = slice(max(0, int(column - spread)), max(0, int(column + spread) + 1))
            canvas[level, side] = look.color(0.35, 0.6, 0.3 + 0.05 * layer)
    _character(canvas, look, height * 0.75, width * (0.5 + 0.02 * time), height / 8)
    _hud(canvas, look, rng)
    return canvas


Scene = Callable[[Look, np.random.Generator, float, int, int], np.ndarray]
SCENES: tuple[Scene, ...] = (platformer, race, corridor, shooter, slope)
