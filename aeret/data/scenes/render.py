"""Draw one scene from its plan to a photo and its annotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from aeret.data.scenes.backdrop import paint_backdrop, paint_foreground
from aeret.data.scenes.canvas import UNOWNED, Canvas
from aeret.data.scenes.layout import KINDS, Placement, Plan, plan_scene
from aeret.data.scenes.objects import CATEGORIES
from aeret.data.scenes.outlines import compressed, outlines, polygon_area, runs
from aeret.data.scenes.textures import noise_bank
from aeret.rng import generator

SMALLEST_VISIBLE = 16
"""Fewest visible pixels of an annotated thing."""
SMALLEST_SHARE = 0.12
"""Least visible share of the part of an annotated thing that lies inside the photo."""

_SHAPES = (4 / 3, 4 / 3, 3 / 2, 1.0, 3 / 4)


@dataclass(frozen=True)
class Scene:
    """A drawn scene."""

    kind: str
    photo: npt.NDArray[np.uint8]
    """uint8 (height, width, 3), RGB."""
    annotations: list[dict[str, Any]]
    """COCO annotations without ``id`` and ``image_id``; masks are the visible part."""
    masks: npt.NDArray[np.bool_]
    """bool (annotations, height, width): the pixels each annotation was traced from."""


def draw_scene(seed: int, index: int, size: tuple[int, int]) -> Scene:
    """Draw scene ``index`` of a collection.

    Args:
        seed: of the collection.
        index: which scene; the same pair always gives the same bytes.
        size: smallest and largest longer side, pixels.
    """
    rng = generator(seed, "scenes", "photo", index)
    longer = int(rng.integers(size[0], size[1] + 1))
    shape = _SHAPES[int(rng.integers(len(_SHAPES)))]
    width, height = (longer, round(longer / shape)) if shape >= 1 else (round(longer * shape), longer)
    kind = list(KINDS)[int(rng.integers(len(KINDS)))]
    plan = plan_scene(rng, kind)
    turn = rng.uniform(0, np.pi)
    light = float(np.cos(turn)), -abs(float(np.sin(turn)))
    canvas = Canvas(height, width, light, noise_bank(seed), rng)
    paint_backdrop(rng, canvas, plan)
    painted = [_paint(rng, canvas, item, number, plan) for number, item in enumerate(plan.placements)]
    paint_foreground(rng, canvas, plan)
    annotations, masks = _annotate(canvas, plan.placements, painted)
    return Scene(kind, _expose(rng, canvas), annotations, masks)


def _paint(rng: np.random.Generator, canvas: Canvas, item: Placement, number: int, plan: Plan) -> int:
    """Paint one thing, or all members of a crowd; return the pixels covered inside the photo."""
    category = CATEGORIES[item.category]
    members = [(0.0, 0.0, item.mirrored)]
    if item.crowd:
        count = int(rng.integers(7, 15))
        places = rng.normal(0, (1.6, 0.3), (count, 2))
        members = [(float(x), float(y), bool(rng.random() < 0.5)) for x, y in places[np.argsort(places[:, 1])]]
    covered = 0
    haze = 0.0 if plan.kind == "room" else float(np.clip(0.3 - 0.6 * max(item.depth, 0.0), 0.0, 0.3))
    tall = max(item.height * canvas.height, 5.0)
    for x, y, mirrored in members:
        figure = category.draw(rng)
        figure = figure.mirrored() if mirrored else figure
        wide = figure.aspect * tall
        left = item.x * canvas.width - wide / 2 + x * tall
        top = item.base * canvas.height - tall + y * tall
        if category.stands and item.depth >= 0:
            reach = left + wide / 2 - canvas.light[0] * 0.12 * wide
            canvas.shadow(reach, top + tall * 0.985, wide * 0.55, tall * 0.07 + 1, 0.5)
        covered += canvas.paint(figure, left, top, tall, number, haze)
    return covered


def _annotate(
    canvas: Canvas, placements: tuple[Placement, ...], painted: list[int]
) -> tuple[list[dict[str, Any]], npt.NDArray[np.bool_]]:
    annotations, masks = [], []
    seen = np.bincount(canvas.owner.ravel() - UNOWNED, minlength=len(placements) + 1)[1:].tolist()
    for number, item in enumerate(placements):
        if seen[number] < SMALLEST_VISIBLE or seen[number] < SMALLEST_SHARE * painted[number]:
            continue
        mask = canvas.owner == number
        drawn = _segmentation(mask, item.crowd)
        if drawn is None:
            continue
        segmentation, area, bbox = drawn
        annotations.append(
            {
                "category_id": CATEGORIES[item.category].id,
                "segmentation": segmentation,
                "area": area,
                "bbox": bbox,
                "iscrowd": int(item.crowd),
            }
        )
        masks.append(mask)
    return annotations, np.array(masks, dtype=bool).reshape(-1, canvas.height, canvas.width)


def _segmentation(mask: npt.NDArray[np.bool_], crowd: bool) -> tuple[Any, float, list[float]] | None:
    """Return segmentation, area and box, or None if only the smallest parts are left.

    The segmentation is polygons, compressed runs if the mask has holes, or uncompressed runs for a crowd.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    size, box = [mask.shape[0], mask.shape[1]], [float(left), float(top), float(right - left), float(bottom - top)]
    if crowd:
        return {"size": size, "counts": runs(mask).tolist()}, float(mask.sum()), box
    parts, holes = outlines(mask[top:bottom, left:right], left, top)
    if holes:
        return {"size": size, "counts": compressed(mask)}, float(mask.sum()), box
    area = sum(map(polygon_area, parts))
    if area < SMALLEST_VISIBLE / 2:
        return None
    points = np.concatenate(parts)
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    return [part.ravel().tolist() for part in parts], round(area, 2), [*low.tolist(), *span.tolist()]


def _expose(rng: np.random.Generator, canvas: Canvas) -> npt.NDArray[np.uint8]:
    """Apply light and camera: direction, brightness, colour, contrast, vignette, blur, noise."""
    height, width = canvas.height, canvas.width
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    brightness = float(np.exp(rng.normal(0, 0.18)))
    side = 1 + 0.14 * rng.uniform(0.2, 1.0) * (canvas.light[0] * across + 0.4 * canvas.light[1] * down)
    vignette = 1 - rng.uniform(0.0, 0.22) * (across**2 + down**2) / 2
    warmth = rng.normal(0, 0.07)
    gains = np.array([1 + warmth, 1 + rng.normal(0, 0.015), 1 - warmth], np.float32)
    photo = canvas.colour * (brightness * side * vignette)[..., None] * gains
    contrast = rng.uniform(0.78, 1.12)
    photo = 118 + (photo - 118) * contrast
    level = float(rng.gamma(2.0, 1.2))
    for channel in range(3):
        photo[..., channel] += level * canvas.patch("grain", height, width)
    exposed = np.clip(photo, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        soft = Image.fromarray(exposed).filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 0.9))))
        exposed = np.asarray(soft)
    return exposed
