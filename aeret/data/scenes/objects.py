"""The categories of the built-in collection: name, supercategory, drawing and natural height."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aeret.data.scenes import creatures, household, outdoors, vehicles
from aeret.data.scenes.shapes import Figure


@dataclass(frozen=True)
class Category:
    """One kind of thing that can be in a scene."""

    id: int
    """COCO category id; with gaps, as in COCO, so that nobody takes ids for rows."""
    supercategory: str
    draw: Callable[[np.random.Generator], Figure]
    height: float
    """In heights of a person standing at the same distance."""
    stands: bool = True
    """Throws a shadow on the ground."""


CATEGORIES: dict[str, Category] = {
    "person": Category(1, "creature", creatures.person, 1.0),
    "dog": Category(2, "creature", creatures.dog, 0.5),
    "horse": Category(3, "creature", creatures.horse, 1.15),
    "sheep": Category(4, "creature", creatures.sheep, 0.62),
    "bird": Category(5, "creature", creatures.bird, 0.3, stands=False),
    "car": Category(11, "vehicle", vehicles.car, 0.85),
    "bus": Category(12, "vehicle", vehicles.bus, 1.55),
    "bicycle": Category(13, "vehicle", vehicles.bicycle, 0.78),
    "boat": Category(14, "vehicle", vehicles.boat, 1.3, stands=False),
    "plane": Category(15, "vehicle", vehicles.plane, 1.2),
    "tree": Category(21, "outdoor", outdoors.tree, 2.3),
    "house": Category(22, "outdoor", outdoors.house, 2.4),
    "street lamp": Category(23, "outdoor", outdoors.street_lamp, 2.1),
    "chair": Category(31, "household", household.chair, 0.75),
    "table": Category(32, "household", household.table, 0.55),
    "floor lamp": Category(33, "household", household.floor_lamp, 1.05),
    "vase": Category(34, "household", household.vase, 0.34),
    "clock": Category(35, "household", household.clock, 0.3, stands=False),
}
