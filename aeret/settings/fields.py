"""Define the base of every section and the kinds of value that settings share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


def one_of(*registries: Iterable[str]) -> AfterValidator:
    """Return a check that a name is in one of the registries; the guide lists its ``names``."""
    known = tuple(name for registry in registries for name in registry)

    def check(name: str) -> str:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ValueError(f"there is no such name; {hint}")
        return name

    check.names = known  # type: ignore[attr-defined]
    return AfterValidator(check)


class Section(BaseModel):
    """Base of every section: frozen, strict about unknown keys, each field documented by the string under it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )
