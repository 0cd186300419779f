"""List the categories of the built-in collection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aeret.data.scenes.creatures import bird, dog, horse, person, sheep
from aeret.data.scenes.household import chair, clock, floor_lamp, table, vase
from aeret.data.scenes.outdoors import house, street_lamp, tree
from aeret.data.scenes.shapes import Figure
from aeret.data.scenes.vehicles import bicycle, boat, bus, car, plane


@dataclass(frozen=True)
class Category:
    """One category of things in scenes."""

    id: int
    """COCO category id, with gaps as in COCO."""
    supercategory: str
    draw: Callable[[np.random.Generator], Figure]
    height: float
    """Relative to a person at the same distance."""
    stands: bool = True
    """Throws a shadow on the ground."""


CATEGORIES: dict[str, Category] = {
    "person": Category(1, "creature", person, 1.0),
    "dog": Category(2, "creature", dog, 0.5),
    "horse": Category(3, "creature", horse, 1.15),
    "sheep": Category(4, "creature", sheep, 0.62),
    "bird": Category(5, "creature", bird, 0.3, stands=False),
    "car": Category(11, "vehicle", car, 0.85),
    "bus": Category(12, "vehicle", bus, 1.55),
    "bicycle": Category(13, "vehicle", bicycle, 0.78),
    "boat": Category(14, "vehicle", boat, 1.3, stands=False),
    "plane": Category(15, "vehicle", plane, 1.2),
    "tree": Category(21, "outdoor", tree, 2.3),
    "house": Category(22, "outdoor", house, 2.4),
    "street lamp": Category(23, "outdoor", street_lamp, 2.1),
    "chair": Category(31, "household", chair, 0.75),
    "table": Category(32, "household", table, 0.55),
    "floor lamp": Category(33, "household", floor_lamp, 1.05),
    "vase": Category(34, "household", vase, 0.34),
    "clock": Category(35, "household", clock, 0.3, stands=False),
}
