"""Look up names in registries and suggest the nearest."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from aeret.errors import UnknownNameError

T = TypeVar("T")


def lookup(registry: Mapping[str, T], name: str, kind: str) -> T:
    """Return ``registry[name]``.

    Args:
        registry: names to things; the room's own plain dict.
        name: what the user asked for.
        kind: what the things are, in the words of the message ("backbone", "optimizer").

    Raises:
        UnknownNameError: ``name`` is not a key; the message lists the keys and the nearest one.
    """
    try:
        return registry[name]
    except KeyError:
        near = difflib.get_close_matches(name, registry, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        known = ", ".join(sorted(registry))
        raise UnknownNameError(f"There is no {kind} {name!r}.{hint} Known: {known}.") from None
