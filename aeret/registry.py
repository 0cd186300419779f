"""Look up names in registries and suggest the nearest."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import TypeVar

from aeret.errors import UnknownNameError

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Map names to objects that are imported on first use."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """Hold names as ``"module:object"``, from :mod:`aeret.names`."""
        self._names = names

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._names[name].partition(":")
        found: T = getattr(importlib.import_module(module), attribute)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


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
