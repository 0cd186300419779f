"""Print measures as ``nDCG(rel=layout)@10`` and read them back."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NoReturn

from aeret.errors import UnknownNameError, UsageError
from aeret.evaluation.metrics.definition import Definition
from aeret.evaluation.metrics.registry import ALIASES, METRICS

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WORD = re.compile(r"[A-Za-z0-9_. +-]+")


@dataclass(frozen=True)
class Measure:
    """One measure with its conventions and its cut-off; equal values print alike.

    Made by :func:`parse`; ``changed`` holds the parameters that differ from their defaults, in the registry's order.
    """

    name: str
    rel: str = "any"
    changed: tuple[tuple[str, str], ...] = ()
    cutoff: int | None = None

    def __str__(self) -> str:
        parts = [f"rel={self.rel}"]
        for name, value in self.changed:
            parts.append(name if self.definition.parameters[name].flag and value == "yes" else f"{name}={value}")
        return f"{self.name}({','.join(parts)})" + ("" if self.cutoff is None else f"@{self.cutoff}")

    @property
    def definition(self) -> Definition:
        """Entry of the registry."""
        return METRICS[self.name]

    @cached_property
    def options(self) -> Mapping[str, str]:
        """All parameters, the defaults too."""
        defaults = {name: parameter.default for name, parameter in self.definition.parameters.items()}
        return defaults | {"rel": self.rel} | dict(self.changed)

    def at(self, cutoff: int) -> Measure:
        """Return the same measure with another cut-off."""
        return Measure(self.name, self.rel, self.changed, cutoff)


@lru_cache(maxsize=4096)
def parse(text: str) -> Measure:
    """Read a measure.

    Args:
        text: such as ``P@10``, ``AP(rel=any,denominator=hits)@5000`` or ``R(capped)@5``; parameters in any order.

    Raises:
        UnknownNameError: no such measure, parameter or value; shows where, and suggests the nearest.
        UsageError: anything else that does not fit; shows where.
    """
    match = _NAME.match(text)
    if not match:
        _refuse(text, 0, "A measure begins with its name")
    name = ALIASES.get(match[0], match[0])
    if name not in METRICS:
        _unknown(text, 0, "measure", match[0], (*METRICS, *ALIASES))
    definition, place = METRICS[name], match.end()
    given: dict[str, str] = {}
    if text[place : place + 1] == "(":
        place = _parameters(text, place + 1, name, definition, given)
    cutoff = None
    if place < len(text):
        cutoff = _cutoff(text, place, name, definition)
    elif definition.cutoff == "needed":
        _refuse(text, place, f"{name} needs a number of results, such as {name}@10")
    if given.get("average") == "class" and given.get("rel", "any") != "any":
        _refuse(text, text.index("average"), "average=class asks whether a photo has the class: it goes with rel=any")
    changed = tuple(
        (key, given[key])
        for key, parameter in definition.parameters.items()
        if key in given and key != "rel" and given[key] != parameter.default
    )
    return Measure(name, given.get("rel", "any"), changed, cutoff)


def _parameters(text: str, place: int, name: str, definition: Definition, given: dict[str, str]) -> int:
    """Read parameters up to the closing bracket and return the place after it."""
    while True:
        match = _NAME.match(text, place)
        if not match:
            _refuse(text, place, f"A parameter of {name} was expected ({', '.join(definition.parameters)})")
        key, start = match[0], place
        if key not in definition.parameters:
            _unknown(text, place, f"parameter of {name}", key, tuple(definition.parameters))
        if key in given:
            _refuse(text, place, f"{key} is given twice")
        parameter, place = definition.parameters[key], match.end()
        value = "yes" if parameter.flag else ""
        if text[place : place + 1] == "=":
            found = _WORD.match(text, place + 1)
            if not found:
                _refuse(text, place + 1, f"A value of {key} was expected")
            value, start, place = found[0], place + 1, found.end()
        elif not parameter.flag:
            _refuse(text, place, f"{key} needs a value ({'|'.join(parameter.choices) or 'a name'})")
        if parameter.choices and value not in parameter.choices:
            _unknown(text, start, f"value of {key}", value, parameter.choices)
        given[key] = value
        mark = text[place : place + 1]
        if mark not in (",", ")") or not mark:
            _refuse(text, place, "A comma or the closing bracket was expected")
        place += 1
        if mark == ")":
            return place


def _cutoff(text: str, place: int, name: str, definition: Definition) -> int:
    if text[place] != "@":
        _refuse(text, place, "A bracket with parameters, @ with a number of results or the end was expected")
    if definition.cutoff == "none":
        _refuse(text, place, f"{name} has no cut-off")
    digits = text[place + 1 :]
    if not digits.isascii() or not digits.isdigit() or int(digits) < 1:
        _refuse(text, place + 1, "The number of results must be a whole number of at least 1")
    return int(digits)


def _pointed(text: str, place: int) -> str:
    return f"\n  {text}\n  {' ' * place}^"


def _refuse(text: str, place: int, what: str) -> NoReturn:
    raise UsageError(f"{what}:{_pointed(text, place)}")


def _unknown(text: str, place: int, kind: str, given: str, known: Sequence[str]) -> NoReturn:
    by_case = [each for each in known if each.lower() == given.lower()]
    near = by_case or difflib.get_close_matches(given, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownNameError(f"There is no {kind} {given!r}.{hint} Known: {', '.join(known)}.{_pointed(text, place)}")
