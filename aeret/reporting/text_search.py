"""A text search, shown: the compiled boxes as text, and a page with the photos found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aeret.artifacts import write_text
from aeret.reporting.colours import colours_of
from aeret.reporting.html import render_html
from aeret.reporting.pictures import Painter, thumbnail
from aeret.reporting.values import Fact, Facts, Gallery, Notice, Picture, Report, Section, Strip, Tile
from aeret.retrieval.text.layout import Layout
from aeret.retrieval.text.scene import Scene
from aeret.retrieval.text.search import TextResult

_WIDTH, _HEIGHT = 48, 20
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CELLS = 64


class Photos(Protocol):
    """What a page needs of photos (:class:`aeret.data.prepared.PreparedSplit`)."""

    def photos(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return uint8 (b, S, S, 3)."""
        ...


def ascii_layout(layout: Layout, names: Sequence[str]) -> str:
    """Return the boxes of a layout as lines of text with a legend; later (smaller) boxes lie on top."""
    if not len(layout.boxes):
        return "(no layout: the query asks for no thing)"
    canvas = np.full((_HEIGHT, _WIDTH), " ")
    scale = np.array([_HEIGHT, _WIDTH, _HEIGHT, _WIDTH])
    for box, thing in zip(layout.boxes, layout.things, strict=True):
        y0, x0, y1, x1 = np.clip((box * scale).round().astype(int), 0, scale)
        y1, x1 = max(y1, y0 + 1), max(x1, x0 + 1)
        canvas[y0:y1, x0:x1] = _LETTERS[int(thing) % len(_LETTERS)]
    edge = "+" + "-" * _WIDTH + "+"
    legend = {int(thing): int(row) for thing, row in zip(layout.things, layout.categories, strict=True)}
    lines = [edge, *(f"|{''.join(line)}|" for line in canvas), edge]
    lines += [f"{_LETTERS[thing % len(_LETTERS)]} {names[row]}" for thing, row in sorted(legend.items())]
    return "\n".join(lines)


def text_search_page(
    text: str,
    scene: Scene,
    layout: Layout,
    names: Sequence[str],
    found: TextResult,
    captions: Sequence[str],
    photos: Photos | None,
) -> Report:
    """Return the page of one search.

    Args:
        text: the query.
        scene: as it was read.
        layout: as it was compiled.
        names: of the categories.
        found: the results.
        captions: file name of each result.
        photos: of the gallery; None where they are not at hand, and only names are shown.
    """
    facts = [Fact("Read as", scene.reading(tuple(names)))]
    facts += [Fact(f"Weight of {part}", weight, "measure") for part, weight in found.weights.items()]
    blocks: list[Facts | Gallery | Notice] = [Facts("query", "Query", tuple(facts))]
    shown = tuple(dict.fromkeys(names[row] for row in layout.categories.tolist()))
    masks = layout.coverage(_CELLS, len(names))[:, :, [names.index(name) for name in shown]]
    colours = colours_of(shown)
    painter = Painter(shown, [masks], [1.0], colours)
    tiles = [Tile(painter.paint(masks, f"layout of {text}"), "the layout asked for", "query")] if shown else []
    if photos is None:
        blocks.append(Notice("The photos of this run are not at hand, so only their names are shown.", "note"))
    rows, distances = found.ranking.rows[0], found.ranking.distances[0]
    pictures: Sequence[NDArray[np.uint8]] = () if photos is None else tuple(photos.photos(rows))
    for place, (name, distance) in enumerate(zip(captions, distances, strict=True), start=1):
        picture = _blank(name) if photos is None else thumbnail(pictures[place - 1], name)
        tiles.append(Tile(picture, f"{place}. {Path(name).name} ({distance:.2f})"))
    strip = Strip("results", "Results, best first", tuple(tiles), legend=painter.legend)
    blocks.append(Gallery("photos", "Photos", (strip,), "The number is the distance: smaller is better."))
    return Report(f"Search: {text}", f"{len(captions)} photos", (), (Section("search", "Search", tuple(blocks)),))


def write_text_search(path: Path, report: Report) -> None:
    """Write the page as one HTML file.

    Raises:
        AeretError: it cannot be written (:func:`aeret.artifacts.system_error`).
    """
    write_text(path, render_html(report))


def _blank(name: str) -> Picture:
    return thumbnail(np.full((16, 16, 3), 200, np.uint8), name)
