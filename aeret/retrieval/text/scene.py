"""Define the parsed form of a text query."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """One mention of a category in a query."""

    category: int
    """Row of the category."""
    count: int = 1
    """Smallest number of instances."""
    size: str = ""
    """``big``, ``small`` or empty."""
    places: tuple[str, ...] = ()
    """Places in the photo: ``left``, ``right``, ``top``, ``bottom``, ``middle``."""


@dataclass(frozen=True)
class Relation:
    """Spatial relation between two entries of :attr:`Scene.things`."""

    first: int
    kind: str
    """``left``, ``right``, ``above``, ``below``, ``on``, ``in`` or ``near``."""
    second: int


@dataclass(frozen=True)
class Scene:
    """Parsed query."""

    things: tuple[Thing, ...]
    relations: tuple[Relation, ...] = ()
    absent: tuple[int, ...] = ()
    """Rows of categories that must not be in the photo."""

    @property
    def says_where(self) -> bool:
        """Whether the query states a relation, place, size or count, and not labels alone."""
        return bool(self.relations) or any(thing.places or thing.size or thing.count > 1 for thing in self.things)

    @property
    def says_side(self) -> bool:
        """Whether the query distinguishes left from right."""
        sides = {place for thing in self.things for place in thing.places} | {each.kind for each in self.relations}
        return bool(sides & {"left", "right"})

    def reading(self, names: tuple[str, ...]) -> str:
        """Return the query as it was understood, in words, given the category names by row."""
        related = {each for relation in self.relations for each in (relation.first, relation.second)}
        parts = [
            f"{self._words(each.first, names)} {SPOKEN[each.kind]} {self._words(each.second, names)}"
            for each in self.relations
        ]
        parts += [self._words(number, names) for number in range(len(self.things)) if number not in related]
        return "; ".join(parts + [f"no {names[row]}" for row in self.absent])

    def _words(self, number: int, names: tuple[str, ...]) -> str:
        thing = self.things[number]
        twice = [each for each, other in enumerate(self.things) if other.category == thing.category]
        which = f" {chr(ord('A') + twice.index(number))}" if len(twice) > 1 else ""
        where = f" ({', '.join(thing.places)})" if thing.places else ""
        count = f"at least {thing.count} " if thing.count > 1 else ""
        return f"{count}{thing.size + ' ' if thing.size else ''}{names[thing.category]}{which}{where}"


SPOKEN = {
    "left": "left of",
    "right": "right of",
    "above": "above",
    "below": "below",
    "on": "on",
    "in": "in",
    "near": "near",
}
"""Words for each kind of relation."""
