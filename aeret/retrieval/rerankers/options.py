"""Describe and check the options of re-rankers."""

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
    """One option of a re-ranker."""

    default: Any
    meaning: str
    expected: str
    """The values that are valid, in words."""
    valid: Callable[[Any], bool]


def whole(default: int, low: int, meaning: str) -> Option:
    """Return an option that is a whole number from ``low`` up."""
    return Option(default, meaning, f"a whole number from {low} up", lambda v: _is(v, numbers.Integral) and v >= low)


def real(default: float, low: float, high: float, meaning: str) -> Option:
    """Return an option that is a finite number in [low, high]."""
    expected = f"a finite number from {low:g}" + ("" if math.isinf(high) else f" to {high:g}")
    return Option(default, meaning, expected, lambda v: _is(v, numbers.Real) and low <= v <= high and math.isfinite(v))


def choice(default: str, names: tuple[str, ...], meaning: str) -> Option:
    """Return an option that is one of some names."""
    return Option(default, meaning, f"one of {', '.join(names)}", lambda v: v in names)


def per_query(meaning: str) -> Option:
    """Return an option that holds one entry per query, or None."""

    def valid(value: Any) -> bool:
        return value is None or (isinstance(value, Sequence | np.ndarray) and not isinstance(value, str))

    return Option(None, f"{meaning}, per query", "a sequence with one entry per query, or None", valid)


def checked_options(options: Mapping[str, Option], given: Mapping[str, Any], reranker: str) -> dict[str, Any]:
    """Return the value of every option: the given one, checked, or the default.

    Raises:
        UnknownNameError: an option does not exist.
        UsageError: a value is not valid.
    """
    for name, value in given.items():
        option = lookup(options, name, f"option of the re-ranker {reranker!r}:")
        if not option.valid(value):
            raise UsageError(
                f"The option {name!r} of the re-ranker {reranker!r} is {option.meaning}: expected {option.expected}, "
                f"got {value!r}."
            )
    return {name: given.get(name, option.default) for name, option in options.items()}


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
