"""Decide from true masks in which photos a text query holds."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.retrieval.text.geometry import areas, placed, related
from aeret.retrieval.text.scene import Scene
from aeret.retrieval.text.things import Things
from aeret.retrieval.text.typical import Typical

_MOST_CHOICES = 200_000
"""Assignments tried in one photo (about a second) before giving up with an error."""


def holds(scene: Scene, things: Things, typical: Typical) -> NDArray[np.bool_]:
    """Return whether a query holds in each photo, bool (n,).

    Each thing of the query must match a different thing of the photo that satisfies all of its conditions. A counted
    thing ("two cars below a traffic light") needs that many matches, each with the relation; between two counted
    things, each match of one needs the relation to some match of the other.

    Args:
        scene: the query.
        things: components of the photos' masks.
        typical: area thresholds of ``big`` and ``small``.

    Raises:
        UsageError: a photo has too many possible assignments to try them all.
    """
    present = np.zeros((len(things), len(typical.small)), bool)
    photo = np.repeat(np.arange(len(things)), np.diff(things.offsets))
    present[photo, things.category] = True
    wanted = [thing.category for thing in scene.things]
    absent = present[:, list(scene.absent)].any(axis=1)
    result: NDArray[np.bool_] = np.asarray(present[:, wanted].all(axis=1) & ~absent)
    if scene.says_where or len(set(wanted)) < len(wanted):
        for row in np.flatnonzero(result):
            result[row] = _holds(scene, *things.of(int(row)), typical)
    return result


def _holds(scene: Scene, category: NDArray[np.int16], boxes: NDArray[np.float32], typical: Typical) -> bool:
    fitting = []
    for thing in scene.things:
        fits = category == thing.category
        if thing.size:
            area = areas(boxes)
            small, big = typical.small[thing.category], typical.big[thing.category]
            fits &= area >= big if thing.size == "big" else area <= small
        for place in thing.places:
            fits &= placed(place, boxes)
        if np.count_nonzero(fits) < thing.count:
            return False
        fitting.append(fits)
    tables = {kind: related(kind, boxes, boxes) for kind in {relation.kind for relation in scene.relations}}
    for table in tables.values():
        np.fill_diagonal(table, False)
    single = [number for number, thing in enumerate(scene.things) if thing.count == 1]
    choices = itertools.product(*(np.flatnonzero(fitting[number]).tolist() for number in single))
    for number, choice in enumerate(choices):
        if number == _MOST_CHOICES:
            raise UsageError(
                f"cannot tell whether the query holds in a photo of {len(category)} things: none of the first "
                f"{_MOST_CHOICES:,} choices of things for it fits, and there are more; ask for fewer things at once."
            )
        if len(set(choice)) == len(choice) and _fits(scene, dict(zip(single, choice, strict=True)), fitting, tables):
            return True
    return False


def _fits(
    scene: Scene, chosen: dict[int, int], fitting: list[NDArray[np.bool_]], tables: dict[str, NDArray[np.bool_]]
) -> bool:
    groups = {number: fits.copy() for number, fits in enumerate(fitting) if number not in chosen}
    for fits in groups.values():
        fits[list(chosen.values())] = False
    for relation in scene.relations:
        table = tables[relation.kind]
        first, second = relation.first, relation.second
        if first in chosen and second in chosen:
            if not table[chosen[first], chosen[second]]:
                return False
        elif first in chosen:
            groups[second] &= table[chosen[first]]
        elif second in chosen:
            groups[first] &= table[:, chosen[second]]
    for relation in scene.relations:  # between groups, once each is cut down to what the single things allow
        if relation.first in groups and relation.second in groups:
            table, first_fits, second_fits = tables[relation.kind], groups[relation.first], groups[relation.second]
            groups[relation.first] = first_fits & table[:, second_fits].any(axis=1)
            groups[relation.second] = second_fits & table[first_fits].any(axis=0)
    return all(np.count_nonzero(fits) >= scene.things[number].count for number, fits in groups.items())
