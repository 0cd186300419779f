"""Options of re-rankers: a default, a meaning, and a check that says what was expected."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aeret.errors import UsageError
from aeret.registry import lookup


@dataclass(frozen=True)
class Option:
    """One option."""

    default: Any
    meaning: str
    check: Callable[[Any], Any]
    """Returns the value as it is used; raises ValueError with what was expected."""


def whole(default: int, low: int, meaning: str) -> Option:
    """Return an option that is a whole number from ``low`` up."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < low:
            raise ValueError(f"a whole number from {low} up")
        return int(value)

    return Option(default, meaning, check)


def real(default: float, low: float, high: float, meaning: str) -> Option:
    """Return an option that is a number in [low, high]; either may be infinite."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= float(value) <= high:
            raise ValueError(f"a number from {low:g} up" if math.isinf(high) else f"a number from {low:g} to {high:g}")
        if math.isinf(float(value)):
            raise ValueError("a finite number")
        return float(value)

    return Option(default, meaning, check)


def choice(default: str, names: tuple[str, ...], meaning: str) -> Option:
    """Return an option that is one of some names."""

    def check(value: Any) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return str(value)

    return Option(default, meaning, check)


def per_query(meaning: str) -> Option:
    """Return an option that has one entry a query, or is None; the re-ranker checks the entries."""

    def check(value: Any) -> Any:
        if value is not None and (isinstance(value, str) or not isinstance(value, Sequence | np.ndarray)):
            raise ValueError("a sequence with one entry per query, or None")
        return value

    return Option(None, f"{meaning}, per query", check)


def checked_options(options: Mapping[str, Option], given: Mapping[str, Any], reranker: str) -> dict[str, Any]:
    """Return every option's value: what was given, checked, or the default.

    Raises:
        UnknownNameError: there is no such option.
        UsageError: a value is not what the option expects.
    """
    for name in given:
        lookup(options, name, f"option of the re-ranker {reranker!r}:")
    values = {}
    for name, option in options.items():
        value = given.get(name, option.default)
        try:
            values[name] = option.check(value)
        except ValueError as error:
            raise UsageError(
                f"The option {name!r} of the re-ranker {reranker!r} is {option.meaning}: expected {error}, "
                f"got {value!r}."
            ) from None
    return values
