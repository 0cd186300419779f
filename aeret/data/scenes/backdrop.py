"""Paint the surroundings: sky, ground, walls, and clutter that no annotation names."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aeret.data.scenes.canvas import Canvas
from aeret.data.scenes.layout import Plan
from aeret.data.scenes.paint import choose, jitter, mix, shade
from aeret.data.scenes.shapes import Colour, Figure, box, bumpy, ellipse, limb, polygon, smooth

_SKIES: list[tuple[Colour, Colour]] = [
    ((92, 146, 208), (196, 218, 234)),
    ((120, 160, 200), (226, 226, 220)),
    ((150, 158, 168), (206, 208, 208)),
    ((70, 96, 150), (240, 190, 150)),
    ((110, 100, 140), (244, 204, 160)),
]
_GRASS: list[Colour] = [(104, 138, 62), (126, 140, 70), (82, 122, 58), (150, 146, 84)]
_ASPHALT: list[Colour] = [(104, 104, 106), (122, 118, 114), (90, 92, 98)]
_WATER: list[Colour] = [(70, 116, 142), (92, 134, 148), (60, 98, 112), (110, 140, 160)]
_SAND: list[Colour] = [(206, 186, 142), (190, 170, 132), (170, 160, 140)]
_PAINTED: list[Colour] = [
    (222, 212, 190),
    (190, 204, 206),
    (214, 190, 170),
    (176, 190, 164),
    (226, 222, 216),
    (150, 160, 180),
]
_FLOORS: list[Colour] = [(156, 112, 72), (184, 150, 110), (120, 92, 72), (170, 166, 160)]
_STONES: list[Colour] = [(128, 124, 118), (150, 140, 124), (104, 100, 98)]


def paint_backdrop(rng: np.random.Generator, canvas: Canvas, plan: Plan) -> None:
    """Fill the canvas with the surroundings of a planned scene."""
    horizon = round(plan.horizon * canvas.height)
    if plan.kind == "room":
        _wall(rng, canvas, horizon)
        _floor(rng, canvas, horizon)
        _pictures(rng, canvas, horizon)
        return
    _sky(rng, canvas, horizon)
    _skyline(rng, canvas, horizon, built=plan.kind in {"street", "airfield"})
    ground = choose(rng, {"street": _STONES, "airfield": _GRASS, "lake": _SAND}.get(plan.kind, _GRASS))
    _ground(rng, canvas, horizon, ground, "leaves" if ground[1] > ground[0] else "grain", 0.12)
    _features(rng, canvas, plan, horizon)
    _tufts(rng, canvas, horizon, ground)


def paint_foreground(rng: np.random.Generator, canvas: Canvas, plan: Plan) -> None:
    """Paint unannotated things in front of all others."""
    if rng.random() < 0.1:
        colour = choose(rng, _STONES if plan.kind != "room" else _PAINTED)
        post = Figure(0.05, "bark", 0.08)
        post.add(box(0, 0, 0.05, 1), shade(colour, 0.6))
        canvas.paint(post, rng.uniform(0.1, 0.9) * canvas.width, -4, canvas.height * 1.1)
    if plan.kind in {"field", "garden", "park"} and rng.random() < 0.2:
        _fence(rng, canvas)
    if plan.kind != "room" and rng.random() < 0.16:
        corner = Figure(1.2, "leaves", 0.25)
        green = choose(rng, _GRASS)
        corner.add(bumpy(rng, 0.6, 0.5, 0.6, 0.5, 11, 0.35), shade(green, 0.6))
        corner.add(bumpy(rng, 0.5, 0.6, 0.4, 0.35, 9, 0.35), shade(green, 0.8))
        size = rng.uniform(0.25, 0.4) * canvas.height
        left = rng.choice([-0.5 * size, canvas.width - 0.7 * size])
        canvas.paint(corner, left, canvas.height - rng.uniform(0.4, 0.7) * size, size)


def _fill(canvas: Canvas, top: int, bottom: int, colours: npt.NDArray[np.float32]) -> None:
    top, bottom = max(top, 0), min(bottom, canvas.height)
    if bottom > top:
        canvas.colour[top:bottom] = colours


def _sky(rng: np.random.Generator, canvas: Canvas, horizon: int) -> None:
    rows = int(np.clip(horizon, 0, canvas.height))
    if rows == 0:
        return
    high, low = _SKIES[int(rng.integers(len(_SKIES)))]
    high, low = jitter(rng, high, 12), jitter(rng, low, 8)
    share = (np.linspace(0, 1, rows, dtype=np.float32) ** 1.3)[:, None, None]
    sky = np.array(high, np.float32) * (1 - share) + np.array(low, np.float32) * share
    cover = rng.uniform(-0.4, 1.6)
    cloud = np.clip((canvas.patch("cloud", rows, canvas.width) - cover) * 0.7, 0, 0.85)[..., None]
    _fill(canvas, 0, rows, sky + cloud * (np.array(mix(low, (250, 250, 250), 0.6), np.float32) - sky))


def _skyline(rng: np.random.Generator, canvas: Canvas, horizon: int, built: bool) -> None:
    """Hills, woods or far blocks along the horizon, pale with distance."""
    if horizon < 4 or rng.random() < 0.15:
        return
    tall = rng.uniform(0.06, 0.2) * canvas.height
    wide = canvas.width / tall
    far = Figure(wide, "leaves", 0.05)
    below = mix(jitter(rng, (110, 126, 140), 14), (190, 200, 206), rng.uniform(0.1, 0.6))
    if built:
        x = 0.0
        while x < wide:
            step = rng.uniform(0.3, 1.1)
            far.add(box(x, rng.uniform(0.0, 0.7), x + step, 1.0), shade(below, rng.uniform(0.85, 1.1)))
            x += step
    else:
        knots = np.linspace(0, wide, 9)
        ridge = np.column_stack([knots, rng.uniform(0.05, 0.8, 9)])
        shape = np.concatenate([ridge, [[wide, 1.0], [0.0, 1.0]]])
        far.add(shape, below)
        if rng.random() < 0.6:
            near = np.column_stack([np.linspace(0, wide, 25), rng.uniform(0.55, 0.9, 25)])
            far.add(np.concatenate([near, [[wide, 1.0], [0.0, 1.0]]]), mix(below, (70, 100, 66), 0.5))
    canvas.paint(far, 0, horizon - tall + 1, tall)


def _ground(rng: np.random.Generator, canvas: Canvas, horizon: int, colour: Colour, texture: str, rough: float) -> None:
    top = max(horizon, 0)
    rows = canvas.height - top
    if rows <= 0:
        return
    noise = canvas.ground(texture, rows, canvas.width)[..., None]
    broad = canvas.patch("cloud", rows, canvas.width)[..., None]
    nearness = np.linspace(1.08, 0.88, rows, dtype=np.float32)[:, None, None]
    _fill(canvas, top, canvas.height, np.array(colour, np.float32) * nearness * (1 + rough * noise + 0.06 * broad))


def _features(rng: np.random.Generator, canvas: Canvas, plan: Plan, horizon: int) -> None:
    """The road, path, runway or water of the kind."""
    rows = canvas.height - horizon
    if rows < 4:
        return
    if plan.kind == "lake":
        shore = min(canvas.height, horizon + int(rows * rng.uniform(0.72, 0.9)))
        top = max(horizon, 0)
        if shore > top:
            ripple = canvas.ground("streaks", shore - top, canvas.width)[..., None]
            colour = np.array(choose(rng, _WATER), np.float32)
            depth = np.linspace(1.25, 0.85, shore - top, dtype=np.float32)[:, None, None]
            canvas.colour[top:shore] = colour * depth * (1 + 0.13 * ripple)
        return
    if plan.kind not in {"street", "park", "airfield"} or (plan.kind == "park" and rng.random() < 0.3):
        return
    wide = canvas.width / rows
    middle = wide * rng.uniform(0.42, 0.58)
    road = Figure(wide, "grain", 0.08)
    surface = choose(rng, _SAND if plan.kind == "park" else _ASPHALT)
    far, near = {"street": (0.12, 0.75), "airfield": (0.3, 1.2), "park": (0.05, 0.3)}[plan.kind]
    bend = middle + rng.uniform(-0.25, 0.25) * wide
    road.add(
        polygon(
            (bend - far * wide, 0.0), (bend + far * wide, 0.0), (middle + near * wide, 1.0), (middle - near * wide, 1.0)
        ),
        surface,
    )
    if plan.kind != "park":
        for start in np.linspace(0.06, 0.8, 5):
            end = start + 0.06 + 0.12 * start
            x0, x1 = (bend + (middle - bend) * place for place in (start, end))
            half = 0.012 + 0.03 * start
            road.add(limb((x0, start, half * 0.8), (x1, end, half)), (222, 220, 208))
    canvas.paint(road, 0, horizon, rows)


def _tufts(rng: np.random.Generator, canvas: Canvas, horizon: int, ground: Colour) -> None:
    """Stones, bushes and tufts, smaller far away."""
    for _ in range(int(rng.integers(2, 9))):
        down = rng.uniform(0.02, 1.0)
        size = canvas.height * (0.02 + 0.08 * down) * rng.uniform(0.6, 1.5)
        thing = Figure(1.6, "leaves", 0.12)
        green = ground[1] >= ground[0]
        colour = shade(ground, rng.uniform(0.6, 0.9)) if green and rng.random() < 0.6 else choose(rng, _STONES, 4)
        thing.add(bumpy(rng, 0.8, 0.55, 0.75, 0.42, int(rng.integers(4, 9)), rng.uniform(0.05, 0.4)), colour)
        y = horizon + down * (canvas.height - horizon)
        canvas.paint(thing, rng.uniform(-0.05, 1.0) * canvas.width, y - size, size)


def _fence(rng: np.random.Generator, canvas: Canvas) -> None:
    height = rng.uniform(0.16, 0.26) * canvas.height
    wide = canvas.width / height
    wood = choose(rng, [(130, 100, 70), (210, 206, 196), (96, 76, 60)])
    fence = Figure(wide, "bark", 0.1)
    for y in (0.25, 0.65):
        fence.add(box(0, y, wide, y + 0.09), wood)
    for x in np.arange(rng.uniform(0, 0.5), wide, rng.uniform(0.7, 1.2)):
        fence.add(box(float(x), 0.0, float(x) + 0.12, 1.0), shade(wood, 0.85))
    canvas.paint(fence, 0, canvas.height * rng.uniform(0.84, 0.95) - height, height)


def _wall(rng: np.random.Generator, canvas: Canvas, foot: int) -> None:
    rows = int(np.clip(foot, 0, canvas.height))
    if rows == 0:
        return
    paint = np.array(choose(rng, _PAINTED), np.float32)
    wall = np.ones((rows, canvas.width, 1), np.float32) * (
        1 + 0.02 * canvas.patch("cloth", rows, canvas.width)[..., None]
    )
    if rng.random() < 0.5:
        period = rng.uniform(8, 20)
        stripe = np.sin(2 * np.pi * np.arange(canvas.width) / period) > rng.uniform(-0.5, 0.7)
        wall *= np.where(stripe, 1.0, rng.uniform(0.88, 0.97)).astype(np.float32)[None, :, None]
    _fill(canvas, 0, rows, paint * wall)
    _fill(canvas, max(rows - max(2, canvas.height // 40), 0), rows, np.array(shade((236, 234, 228), 0.96), np.float32))


def _floor(rng: np.random.Generator, canvas: Canvas, foot: int) -> None:
    colour = choose(rng, _FLOORS)
    _ground(rng, canvas, foot, colour, "streaks" if rng.random() < 0.6 else "cloth", 0.06)
    rows = canvas.height - max(foot, 0)
    if rows > 8 and rng.random() < 0.5:
        rug = Figure(canvas.width / rows, "cloth", 0.06)
        wide = canvas.width / rows
        tint = choose(rng, [(150, 60, 56), (60, 80, 120), (190, 176, 150), (90, 110, 90)])
        rug.add(polygon((0.25 * wide, 0.25), (0.75 * wide, 0.25), (0.88 * wide, 0.85), (0.12 * wide, 0.85)), tint)
        rug.add(
            polygon((0.3 * wide, 0.33), (0.7 * wide, 0.33), (0.79 * wide, 0.76), (0.21 * wide, 0.76)), shade(tint, 1.2)
        )
        canvas.paint(rug, 0, max(foot, 0), rows)


def _pictures(rng: np.random.Generator, canvas: Canvas, foot: int) -> None:
    """A window, pictures and a shelf on the wall."""
    if foot < 20:
        return
    if rng.random() < 0.55:
        window = Figure(0.9, "cloud", 0.06)
        sky = choose(rng, [high for high, _ in _SKIES])
        window.add(box(0, 0, 0.9, 1), (236, 236, 232))
        for x in (0.06, 0.48):
            window.add(box(x, 0.06, x + 0.36, 0.94), mix(sky, (255, 255, 255), 0.35))
            window.add(
                smooth([(x, 0.94), (x, 0.7), (x + 0.18, 0.62), (x + 0.36, 0.72), (x + 0.36, 0.94)]), (116, 140, 96)
            )
        size = foot * rng.uniform(0.45, 0.65)
        canvas.paint(window, rng.uniform(0.4, 0.75) * canvas.width, foot * 0.12, size)
    for _ in range(int(rng.integers(0, 3))):
        picture = Figure(rng.uniform(0.7, 1.4), "cloud", 0.3)
        picture.add(box(0, 0, picture.aspect, 1), choose(rng, [(60, 50, 44), (190, 160, 90), (230, 230, 226)]))
        picture.add(box(0.1, 0.1, picture.aspect - 0.1, 0.9), jitter(rng, (140, 140, 130), 45))
        picture.add(ellipse(picture.aspect / 2, 0.6, 0.2, 0.2), jitter(rng, (140, 120, 110), 50))
        size = foot * rng.uniform(0.18, 0.34)
        canvas.paint(picture, rng.uniform(0.02, 0.8) * canvas.width, foot * rng.uniform(0.1, 0.45), size)
    if rng.random() < 0.3:
        shelf = Figure(2.2, "streaks", 0.08)
        shelf.add(box(0, 0.85, 2.2, 1.0), choose(rng, _FLOORS))
        x = 0.05
        while x < 2.0:
            step = rng.uniform(0.08, 0.2)
            shelf.add(box(x, rng.uniform(0.1, 0.4), x + step, 0.85), jitter(rng, (130, 110, 100), 50))
            x += step + 0.01
        size = foot * rng.uniform(0.15, 0.22)
        canvas.paint(shelf, rng.uniform(0.0, 0.6) * canvas.width, foot * 0.3, size)
