"""What a report is made of: frozen values, which every writer renders with the same numbers.

A report is headlines and sections; a section is blocks (prose, facts, tables, figures, galleries). A number is kept at
full precision together with the *kind* that says how it is shown, so HTML, Markdown, CSV and JSON cannot disagree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from aeret.errors import RunError
from aeret.registry import lookup
from aeret.reporting.formats import FORMATS


class Interval(NamedTuple):
    """An interval from ``low`` to ``high`` (the column's note says of what)."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A value with the interval around it, and the standard deviation behind it where there is one."""

    value: float
    low: float | None = None
    high: float | None = None
    sd: float | None = None


Cell = str | int | float | None | Interval | Estimate
"""One cell of a table. ``None`` means "there is no such number", shown as a dash; NaN becomes ``None``."""


@dataclass(frozen=True)
class Column:
    """A typed column; ``kind`` is a key of :data:`aeret.reporting.formats.FORMATS`."""

    name: str
    title: str
    kind: str = "text"
    note: str = ""
    bar: bool = False
    """Draw the value, a share in [0, 1], as a thin bar under the number (HTML only)."""


@dataclass(frozen=True)
class Table:
    """Rows under typed columns."""

    type: ClassVar[str] = "table"
    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    row_kinds: tuple[str, ...] = ()
    """For each row ``""``, ``"lead"`` (the run's own method) or ``"floor"`` (what no method must lose against)."""
    caption: str = ""
    notes: tuple[str, ...] = ()
    folded: bool = False
    """Closed until the reader opens it (HTML only)."""

    def __post_init__(self) -> None:
        _check_id(self.id)
        for column in self.columns:
            lookup(FORMATS, column.kind, "column kind")
        rows = tuple(tuple(cell(value) for value in row) for row in self.rows)
        if any(len(row) != len(self.columns) for row in rows):
            raise RunError(f"Table {self.id!r}: every row needs {len(self.columns)} cells, one per column.")
        if self.row_kinds and len(self.row_kinds) != len(rows):
            raise RunError(f"Table {self.id!r}: {len(rows)} rows but {len(self.row_kinds)} row kinds.")
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "row_kinds", tuple(self.row_kinds) or ("",) * len(rows))


@dataclass(frozen=True)
class Fact:
    """One name and value; ``kind`` as for columns."""

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
    facts: tuple[Fact, ...]
    caption: str = ""
    folded: bool = False

    def __post_init__(self) -> None:
        _check_id(self.id)


@dataclass(frozen=True)
class Prose:
    """One paragraph of plain text."""

    type: ClassVar[str] = "prose"
    text: str


@dataclass(frozen=True)
class Notice:
    """Something the reader must know before believing a number (``warning``), or may want to know (``note``)."""

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
    """The numbers behind the picture; folded under it in HTML, and what the other formats show in its place."""

    def __post_init__(self) -> None:
        _check_id(self.id)


@dataclass(frozen=True)
class Picture:
    """An encoded image."""

    data: bytes
    mime: str
    width: int
    height: int
    """Of the encoded image, pixels."""
    alt: str
    aspect: float = 1.0
    """Width over height that it is shown at."""
    pixelated: bool = False


@dataclass(frozen=True)
class Tile:
    """One photo of a strip, with its layout map under it where there is one."""

    photo: Picture
    caption: str
    mark: str = ""
    """``"query"``, ``"believed"``, ``"relevant"``, ``"irrelevant"`` or ``""``; shown by sign and border, not
    by colour alone."""
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
    tiles: tuple[Tile, ...]
    note: str = ""
    facts: tuple[Fact, ...] = ()
    legend: tuple[Swatch, ...] = ()

    def __post_init__(self) -> None:
        _check_id(self.id)


@dataclass(frozen=True)
class Gallery:
    """Strips of photos."""

    type: ClassVar[str] = "gallery"
    id: str
    title: str
    strips: tuple[Strip, ...]
    caption: str = ""

    def __post_init__(self) -> None:
        _check_id(self.id)


Block = Table | Facts | Prose | Notice | Figure | Gallery


@dataclass(frozen=True)
class Floor:
    """What a number must beat (or, as ``reference``, what it is measured against)."""

    name: str
    value: float
    reference: bool = False


@dataclass(frozen=True)
class Part:
    """A headline's number on part of the queries, beside its own floors."""

    name: str
    """``on truemasks``."""
    value: float
    floors: tuple[Floor, ...]
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "floors", tuple(floor for floor in self.floors if math.isfinite(floor.value)))

    def missed(self, floor: Floor) -> bool:
        """Whether the value fails to beat a floor; a reference need not be beaten."""
        return not floor.reference and self.value <= floor.value


@dataclass(frozen=True)
class Headline:
    """One of the few numbers that matter, beside its floors."""

    id: str
    name: str
    value: float
    floors: tuple[Floor, ...]
    meaning: str
    measure: str = ""
    """Full name with its convention, ``nDCG(rel=layout)@10``."""
    low: float | None = None
    high: float | None = None
    kind: str = "measure"
    part: Part | None = None
    """The same on the queries where it can be trusted, where that is not all of them."""

    def __post_init__(self) -> None:
        _check_id(self.id)
        if not math.isfinite(self.value):
            raise RunError(f"Headline {self.id!r}: the value is {self.value}; leave the headline out instead.")
        object.__setattr__(self, "floors", tuple(floor for floor in self.floors if math.isfinite(floor.value)))

    def missed(self, floor: Floor) -> bool:
        """Whether the value fails to beat a floor; a reference need not be beaten."""
        return not floor.reference and self.value <= floor.value


@dataclass(frozen=True)
class Section:
    """A titled part of the report."""

    id: str
    title: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        _check_id(self.id)


@dataclass(frozen=True)
class Report:
    """A whole report; ids are unique in it, because they are its anchors."""

    title: str
    subtitle: str
    headlines: tuple[Headline, ...]
    sections: tuple[Section, ...]
    notices: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for name in _ids(self):
            if name in seen:
                raise RunError(f"Report {self.title!r}: the id {name!r} is used twice; anchors must be unique.")
            seen.add(name)


def cell(value: Any) -> Cell:
    """Return ``value`` as a plain Python cell: NumPy scalars unwrapped, NaN and infinities as ``None``."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Estimate):
        if cell(value.value) is None:
            return None
        return Estimate(float(value.value), *(_finite(part) for part in value[1:]))
    if isinstance(value, Interval):
        low, high = _finite(value.low), _finite(value.high)
        return None if low is None or high is None else Interval(low, high)
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    return _finite(value)


def numbers(value: Cell) -> Iterator[tuple[str, float | int | None]]:
    """Yield the named numbers of a cell, ``("", 3)`` or ``("low", 0.1), ("high", 0.2)``; text yields none."""
    if isinstance(value, Interval | Estimate):
        for name, part in zip(value._fields, value, strict=True):
            if part is not None:
                yield name, part
    elif not isinstance(value, str):
        yield "", value


def tables(report: Report) -> Iterator[tuple[Section, Table]]:
    """Yield every table of a report in reading order; a figure's numbers count as its table."""
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                yield section, block
            elif isinstance(block, Figure) and block.data is not None:
                yield section, block.data


def slug(text: str) -> str:
    """Return ``text`` as an id: lower case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def with_data(figure: Figure, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Figure:
    """Return the figure with the table of its numbers, folded under it."""
    title = f"{figure.title}: the numbers"
    data = Table(f"{figure.id}-data", title, tuple(columns), tuple(tuple(row) for row in rows), folded=True)
    return replace(figure, data=data)


def _ids(report: Report) -> Iterator[str]:
    yield from (headline.id for headline in report.headlines)
    for section in report.sections:
        yield section.id
        for block in section.blocks:
            if not isinstance(block, Prose | Notice):
                yield block.id
            if isinstance(block, Figure) and block.data is not None:
                yield block.data.id
            if isinstance(block, Gallery):
                yield from (strip.id for strip in block.strips)


def _check_id(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise RunError(f"{name!r} is no report id: use lower case letters, digits and single hyphens.")


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
