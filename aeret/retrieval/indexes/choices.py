"""Check options and knobs of an index against their defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aeret.errors import UsageError
from aeret.registry import lookup


def chosen(
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    what: str,
    values: Mapping[str, tuple[float | str, ...]] | None = None,
) -> dict[str, Any]:
    """Return all defaults, and in their place what is given.

    Args:
        given: name to value.
        defaults: name to value, of the type that is expected.
        what: the names are, for messages.
        values: of knobs, name to the values to try: a word must be among them, and a number may be infinite.

    Raises:
        UnknownNameError: a name or a word is unknown.
        UsageError: a value is of another type or below 0.
    """
    for name, value in given.items():
        usual = lookup(defaults, name, what)
        if isinstance(usual, str):
            if not isinstance(value, str):
                raise UsageError(f"{name}, a {what}, must be a word, got {value!r}.")
            if values is not None:
                lookup(dict.fromkeys(map(str, values[name])), value, name)
        elif not _is_like(value, usual, endless=values is not None):
            raise UsageError(f"{name}, a {what}, must be a number like {usual!r}, not below 0; got {value!r}.")
    return {**defaults, **given}


def _is_like(value: object, usual: object, endless: bool) -> bool:
    if isinstance(value, bool) or isinstance(usual, bool):
        return isinstance(value, bool) and isinstance(usual, bool)
    if not isinstance(value, int | float) or not value >= 0:
        return False
    return (endless and math.isinf(value)) or isinstance(usual, float) or int(value) == value
