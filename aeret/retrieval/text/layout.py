"""Compile a text query into boxes that satisfy its relations.

Each box starts with the median size and centre of its category. Projections onto one constraint after the other
(Kaczmarz 1937) move the centres until all constraints hold; if they never do, all boxes shrink and it starts again.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.retrieval.text.geometry import STEP, THIRD, areas
from aeret.retrieval.text.scene import Relation, Scene
from aeret.retrieval.text.typical import Typical

Floats = NDArray[np.float64]

_SWEEPS, _SHRINKS, _SHRINK = 400, 16, 0.85
_SLACK = 2e-3
_LARGEST = 0.95
_SINK = 0.3  # for "A on B": how far A's bottom edge lies below B's top, relative to B's height
_ROOM = 0.7  # for "A in B": largest side of A relative to B's


@dataclass(frozen=True)
class Layout:
    """Boxes that one query was compiled to."""

    boxes: NDArray[np.float32]
    """float32 (b, 4): y0, x0, y1, x1, relative to the photo."""
    things: NDArray[np.int64]
    """The query's thing that each box belongs to, int64 (b,); a thing with a count has several boxes."""
    categories: NDArray[np.int64]
    """Category of each box, int64 (b,)."""

    def coverage(self, size: int, categories: int) -> NDArray[np.float32]:
        """Return how much of each cell a category covers, float32 (size, size, categories)."""
        result = np.zeros((size, size, categories), np.float32)
        edges = np.arange(size)
        for box, category in zip(self.boxes.astype(np.float64) * size, self.categories, strict=True):
            down = np.clip(np.minimum(edges + 1, box[2]) - np.maximum(edges, box[0]), 0, 1)
            across = np.clip(np.minimum(edges + 1, box[3]) - np.maximum(edges, box[1]), 0, 1)
            result[:, :, category] += down[:, None] * across[None, :]
        return np.minimum(result, 1)


def compile_layout(scene: Scene, typical: Typical) -> Layout:
    """Place the things of a query; unrelated things stand side by side in query order.

    Args:
        scene: the query.
        typical: sizes and centres of the categories in the train split.

    Raises:
        UsageError: no layout satisfies all places and relations.
    """
    sizes, counts = _sizes(scene, typical), np.array([thing.count for thing in scene.things], np.int64)
    beside = _beside(scene)
    for relations in ((*scene.relations, *beside), scene.relations):
        for step in range(_SHRINKS):
            now = sizes * _SHRINK**step
            outer = now * np.stack([np.ones(len(counts)), counts], axis=1)
            centres = _place(scene, relations, outer, typical)
            if centres is not None:
                return _boxes(scene, now, centres)
        if not beside:
            break
    raise UsageError("The query contradicts itself: no layout satisfies all of its places and relations.")


def _sizes(scene: Scene, typical: Typical) -> Floats:
    """Return the height and width of one instance of each thing."""
    sizes = np.array([typical.sizes[thing.category] for thing in scene.things], np.float64).reshape(-1, 2)
    for number, thing in enumerate(scene.things):
        area = float(np.prod(sizes[number]))
        wanted = {"big": 1.2 * typical.big[thing.category], "small": 0.8 * typical.small[thing.category]}
        sizes[number] *= np.sqrt(wanted.get(thing.size, area) / area)
        if thing.places:  # a wider box cannot have its centre in one third of the photo
            sizes[number] = np.minimum(sizes[number], 2 * THIRD - 0.05)
        sizes[number] = np.minimum(sizes[number], _LARGEST)
        sizes[number] *= min(1.0, _LARGEST / (thing.count * sizes[number, 1]))
    for relation in scene.relations:
        if relation.kind == "in":
            room = _ROOM * sizes[relation.second]
            sizes[relation.first] = np.minimum(sizes[relation.first], room)
    return sizes


def _beside(scene: Scene) -> tuple[Relation, ...]:
    """Return relations that join the query's unrelated groups of things."""
    group = list(range(len(scene.things)))
    for relation in scene.relations:
        old, new = group[relation.second], group[relation.first]
        group = [new if each == old else each for each in group]
    heads = [group.index(each) for each in dict.fromkeys(group)]
    return tuple(Relation(first, "beside", second) for first, second in itertools.pairwise(heads))


def _spreads(scene: Scene, sizes: Floats) -> Floats:
    """Return the horizontal offset of the outermost instance in each thing's row, float64 (t,)."""
    counts = np.array([thing.count for thing in scene.things], np.float64)
    return np.asarray(sizes[:, 1] * (counts - 1) / (2 * np.maximum(counts, 1)))


def _constraints(relations: tuple[Relation, ...], sizes: Floats, spreads: Floats) -> list[tuple[int, int, int, float]]:
    """Return (axis, i, j, gap): j's centre is at least ``gap`` after i's along the axis (0 down, 1 across)."""
    found: list[tuple[int, int, int, float]] = []
    for relation in relations:
        kind, i, j = relation.kind, relation.first, relation.second
        if kind in ("right", "below"):
            i, j, kind = j, i, {"right": "left", "below": "above"}[kind]
        half = (sizes[i] + sizes[j]) / 2
        apart = np.maximum(half, 1.5 * STEP)
        if kind in ("left", "above"):
            # Every instance in a row must satisfy the relation, so the row's extent counts too.
            axis, row = int(kind == "left"), spreads[i] + spreads[j]
            gap = max(apart[axis], 1.2 * row)
            aside = 0.9 * (gap - row) if axis else 0.9 * gap - row
            found += [(axis, i, j, gap), (1 - axis, i, j, -aside), (1 - axis, j, i, -aside)]
        elif kind == "beside":
            found += [(1, i, j, half[1])]
        elif kind == "near":
            found += [(1, i, j, half[1]), (1, j, i, -half[1] - 0.02), (0, i, j, -half[0] / 2), (0, j, i, -half[0] / 2)]
        elif kind == "on":
            below = sizes[i, 0] / 2 + (0.5 - _SINK) * sizes[j, 0]
            found += [(0, i, j, below), (0, j, i, -below), (1, i, j, 0.0), (1, j, i, 0.0)]
        else:  # in
            found += [(axis, *pair, 0.0) for axis in (0, 1) for pair in ((i, j), (j, i))]
    return found


def _place(scene: Scene, relations: tuple[Relation, ...], sizes: Floats, typical: Typical) -> Floats | None:
    """Return the centres, float64 (t, 2), or None if the constraints cannot all hold."""
    low, high = sizes / 2, 1 - sizes / 2
    spreads = _spreads(scene, sizes)
    for number, thing in enumerate(scene.things):
        for place in thing.places:
            for axis in (0, 1):
                start, stop = _bounds(place, axis)
                start, stop = start + axis * spreads[number], stop - axis * spreads[number]
                low[number, axis], high[number, axis] = max(low[number, axis], start), min(high[number, axis], stop)
    if (low > high + _SLACK).any():
        return None
    constraints = _constraints(relations, sizes, spreads)
    at = np.array([typical.centres[thing.category] for thing in scene.things], np.float64).reshape(-1, 2)
    at = np.minimum(np.maximum(at, low), high)
    for _ in range(_SWEEPS):
        worst = 0.0
        for axis, i, j, gap in constraints:
            missing = gap - (at[j, axis] - at[i, axis])
            if missing > 0:
                worst = max(worst, missing)
                at[i, axis] -= missing / 2
                at[j, axis] += missing / 2
        outside = np.minimum(np.maximum(at, low), high)
        worst = max(worst, float(np.abs(outside - at).max(initial=0.0)))
        at = outside
        if worst < _SLACK:
            return at
    return None


def _bounds(place: str, axis: int) -> tuple[float, float]:
    margin = 0.01
    if place == "middle":
        return 0.5 - THIRD / 2 + margin, 0.5 + THIRD / 2 - margin
    if {"top": 0, "bottom": 0, "left": 1, "right": 1}[place] != axis:
        return 0.0, 1.0
    return (0.0, THIRD - margin) if place in ("top", "left") else (1 - THIRD + margin, 1.0)


def _boxes(scene: Scene, sizes: Floats, centres: Floats) -> Layout:
    """Return the boxes; instances of a counted thing stand in a row."""
    boxes, owners = [], []
    for number, thing in enumerate(scene.things):
        height, width = sizes[number]
        for place in range(thing.count):
            y, x = centres[number, 0], centres[number, 1] + (place - (thing.count - 1) / 2) * width
            # Leave a gap within a row, or the instances would merge into one.
            side = width * (0.9 if thing.count > 1 else 1.0)
            boxes.append([y - height / 2, x - side / 2, y + height / 2, x + side / 2])
            owners.append(number)
    whole = np.clip(np.array(boxes, np.float32).reshape(-1, 4), 0, 1)
    things = np.array(owners, np.int64)
    categories = np.array([scene.things[number].category for number in owners], np.int64)
    order = np.argsort(-areas(whole), kind="stable")  # the largest first, as a painter would
    return Layout(whole[order], things[order], categories[order])
