"""What a text query says: things, how they lie to each other, and what must not be there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """One mention of a category."""

    category: int
    """Row of the category."""
    count: int = 1
    """At least so many of them."""
    size: str = ""
    """``big``, ``small`` or empty."""
    places: tuple[str, ...] = ()
    """Where in the photo: ``left``, ``right``, ``top``, ``bottom``, ``middle``."""


@dataclass(frozen=True)
class Relation:
    """How a thing lies to another one, by their place in :attr:`Scene.things`."""

    first: int
    kind: str
    """``left``, ``right``, ``above``, ``below``, ``on``, ``in`` or ``near``."""
    second: int


@dataclass(frozen=True)
class Scene:
    """A query, read."""

    things: tuple[Thing, ...]
    relations: tuple[Relation, ...] = ()
    absent: tuple[int, ...] = ()
    """Rows of categories that must not be in the photo."""

    @property
    def says_where(self) -> bool:
        """Whether anything is said of where things are, of their size or number: else labels say it all."""
        return bool(self.relations) or any(thing.places or thing.size or thing.count > 1 for thing in self.things)

    @property
    def says_side(self) -> bool:
        """Whether left and right differ: the mirrored photo would be another answer."""
        sides = {place for thing in self.things for place in thing.places} | {each.kind for each in self.relations}
        return bool(sides & {"left", "right"})

    def reading(self, names: tuple[str, ...]) -> str:
        """Return the query as it was understood, in words.

        Args:
            names: of the categories, by row.
        """
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
"""Kind of relation to the words for it."""
