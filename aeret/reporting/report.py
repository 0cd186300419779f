"""Define a report: headlines and sections of text, tables, figures and photos.

A number is kept at full precision beside the kind that says how it is shown, so that no two formats can disagree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import pandas as pd

from aeret.errors import RunError
from aeret.registry import lookup
from aeret.reporting.formats import FORMATS


class Estimate(NamedTuple):
    """A value with the interval around it, and its standard deviation."""

    value: float
    low: float | None = None
    high: float | None = None
    sd: float | None = None


Cell = str | int | float | None | Estimate
"""One cell of a table. ``None`` means "no such number" and is shown as a dash; NaN becomes ``None``."""


@dataclass(frozen=True)
class Column:
    """A column of a frame and how it is shown; ``kind`` is a key of :data:`aeret.reporting.formats.FORMATS`."""

    name: str
    title: str
    kind: str = "text"
    note: str = ""
    bar: bool = False
    """Draw the value, a share in [0, 1], as a thin bar under the number (HTML only)."""


@dataclass(frozen=True, eq=False)
class Table:
    """A frame shown under typed columns; it may have more columns than are shown."""

    type: ClassVar[str] = "table"
    id: str
    title: str
    columns: Sequence[Column]
    frame: pd.DataFrame
    row_kinds: Sequence[str] = ()
    """For each row ``""``, ``"lead"`` (the run's own method) or ``"floor"`` (what a method must beat)."""
    caption: str = ""
    notes: Sequence[str] = ()
    folded: bool = False
    """Closed until the reader opens it (HTML only)."""

    def __post_init__(self) -> None:
        for column in self.columns:
            lookup(FORMATS, column.kind, "column kind")
        if self.row_kinds and len(self.row_kinds) != len(self.frame):
            raise RunError(f"Table {self.id!r}: {len(self.frame)} rows but {len(self.row_kinds)} row kinds.")
        object.__setattr__(self, "row_kinds", tuple(self.row_kinds) or ("",) * len(self.frame))

    @classmethod
    def of_rows(
        cls, id: str, title: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]], **options: Any
    ) -> Table:
        """Make a table of rows of cells, one cell per column."""
        rows = [tuple(row) for row in rows]
        if any(len(row) != len(columns) for row in rows):
            raise RunError(f"Table {id!r}: every row needs {len(columns)} cells, one per column.")
        names = pd.Index([column.name for column in columns])
        return cls(id, title, columns, pd.DataFrame(rows, columns=names, dtype=object), **options)

    @cached_property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """The cells as they are shown."""
        shown = (map(cell, self.frame[column.name].tolist()) for column in self.columns)
        return tuple(zip(*shown, strict=True))


@dataclass(frozen=True)
class Fact:
    """A name and a value; ``kind`` as for columns."""

    name: str
    value: Cell
    kind: str = "text"
    note: str = ""

    def __post_init__(self) -> None:
        lookup(FORMATS, self.kind, "fact kind")
        object.__setattr__(self, "value", cell(self.value))


@dataclass(frozen=True)
class Facts:
    """A list of facts."""

    type: ClassVar[str] = "facts"
    id: str
    title: str
    facts: Sequence[Fact]
    caption: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Prose:
    """One paragraph of plain text."""

    type: ClassVar[str] = "prose"
    text: str


@dataclass(frozen=True)
class Notice:
    """A remark on the numbers: a ``warning``, or a ``note``."""

    type: ClassVar[str] = "notice"
    text: str
    level: str = "warning"


@dataclass(frozen=True)
class Figure:
    """A plot as SVG text, with the numbers it shows."""

    type: ClassVar[str] = "figure"
    id: str
    title: str
    svg: str
    caption: str
    data: Table | None = None
    """Folded under the plot in HTML; shown in its place by the other formats."""

    def with_numbers(self, columns: Sequence[Column], frame: pd.DataFrame) -> Figure:
        """Return the figure with the table of its numbers."""
        data = Table(f"{self.id}-data", f"{self.title}: the numbers", columns, frame, folded=True)
        return replace(self, data=data)


@dataclass(frozen=True)
class Picture:
    """An encoded image, its size in pixels, and the ratio of width to height that it is shown at."""

    data: bytes
    mime: str
    width: int
    height: int
    alt: str
    aspect: float = 1.0
    pixelated: bool = False


@dataclass(frozen=True)
class Tile:
    """One photo of a strip, with its layout map under it.

    ``mark`` is ``"query"``, ``"believed"``, ``"relevant"``, ``"irrelevant"`` or ``""``; a sign and a border show it.
    """

    photo: Picture
    caption: str
    mark: str = ""
    layout: Picture | None = None
    layout_caption: str = ""


@dataclass(frozen=True)
class Swatch:
    """A colour of a legend, ``#rrggbb``, and what it stands for."""

    colour: str
    name: str


@dataclass(frozen=True)
class Strip:
    """A row of tiles with what to see in it, and the legend of its maps."""

    id: str
    title: str
    tiles: Sequence[Tile]
    note: str = ""
    facts: Sequence[Fact] = ()
    legend: Sequence[Swatch] = ()


@dataclass(frozen=True)
class Gallery:
    """Strips of photos."""

    type: ClassVar[str] = "gallery"
    id: str
    title: str
    strips: Sequence[Strip]
    caption: str = ""


Block = Table | Facts | Prose | Notice | Figure | Gallery


@dataclass(frozen=True)
class Section:
    """A titled part of the report."""

    id: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Floor:
    """A number to beat or, as ``reference``, to compare with."""

    name: str
    value: float
    reference: bool = False


@dataclass(frozen=True)
class Part:
    """A number beside its floors; floors that are not finite are left out."""

    name: str
    value: float
    floors: Sequence[Floor]
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise RunError(f"Headline {self.name!r}: the value is {self.value}; leave the headline out instead.")
        object.__setattr__(self, "floors", tuple(floor for floor in self.floors if math.isfinite(floor.value)))

    def missed(self, floor: Floor) -> bool:
        """Tell whether the value fails to beat a floor; a reference need not be beaten."""
        return not floor.reference and self.value <= floor.value


@dataclass(frozen=True, kw_only=True)
class Headline(Part):
    """One of the few numbers that matter."""

    id: str
    meaning: str
    measure: str = ""
    """Full name with its convention, ``nDCG(rel=layout)@10``."""
    kind: str = "measure"
    part: Part | None = None
    """The same measure on those queries whose masks are real."""


@dataclass(frozen=True)
class Report:
    """A whole report; its ids are anchors, and unique."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    headlines: Sequence[Headline] = ()
    notices: Sequence[Notice] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for name in self._ids():
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
                raise RunError(f"{name!r} is no report id: use lower case letters, digits and single hyphens.")
            if name in seen:
                raise RunError(f"Report {self.title!r}: the id {name!r} is used twice; anchors must be unique.")
            seen.add(name)

    def tables(self) -> Iterator[tuple[Section, Table]]:
        """Yield every table in reading order; the numbers of a figure count as its table."""
        for section in self.sections:
            for block in section.blocks:
                table = block.data if isinstance(block, Figure) else block
                if isinstance(table, Table):
                    yield section, table

    def _ids(self) -> Iterator[str]:
        yield from (headline.id for headline in self.headlines)
        yield from (table.id for _, table in self.tables())
        for section in self.sections:
            yield section.id
            for block in section.blocks:
                if isinstance(block, Facts | Figure | Gallery):
                    yield block.id
                if isinstance(block, Gallery):
                    yield from (strip.id for strip in block.strips)


def cell(value: Any) -> Cell:
    """Return a value as a plain Python cell: NumPy scalars unwrapped, NaN and infinities as ``None``."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Estimate):
        number, *around = (_finite(part) for part in value)
        return None if number is None else Estimate(number, *around)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, int) else _finite(value)


def estimates(frame: pd.DataFrame, value: str, low: str = "", high: str = "", sd: str = "") -> pd.Series:
    """Return the estimates that columns of a frame hold, row by row; "" names a part that is absent."""
    parts = (frame[name] if name else [None] * len(frame) for name in (value, low, high, sd))
    return pd.Series([Estimate(*each) for each in zip(*parts, strict=True)], frame.index, dtype=object)


def slug(text: str) -> str:
    """Return a text as an id: lower case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
