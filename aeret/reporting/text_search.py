"""Show a text search: its compiled boxes as text, and a page with the photos found."""

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
from aeret.reporting.report import Block, Fact, Facts, Gallery, Notice, Report, Section, Strip, Tile
from aeret.retrieval.text.layout import Layout
from aeret.retrieval.text.scene import Scene
from aeret.retrieval.text.search import TextResult

_WIDTH, _HEIGHT = 48, 20
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CELLS = 64


class GalleryPhotos(Protocol):
    """The photos of a gallery (:class:`aeret.data.prepared.PreparedSplit`)."""

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
    photos: GalleryPhotos | None,
) -> Report:
    """Return the page of one search.

    Args:
        text: the query.
        scene: the query as it was read.
        layout: the query as it was compiled.
        names: names of the categories.
        found: the results.
        captions: file name of each result.
        photos: photos of the gallery; None shows names alone.
    """
    facts = [Fact("Read as", scene.reading(tuple(names)))]
    facts += [Fact(f"Weight of {part}", weight, "measure") for part, weight in found.weights.items()]
    blocks: list[Block] = [Facts("query", "Query", facts)]
    if photos is None:
        blocks.append(Notice("The photos of this run are not available, so only their names are shown.", "note"))
    shown = tuple(dict.fromkeys(names[row] for row in layout.categories.tolist()))
    masks = layout.coverage(_CELLS, len(names))[:, :, [names.index(name) for name in shown]]
    painter = Painter(shown, [masks], [1.0], colours_of(shown))
    tiles = [Tile(painter.paint(masks, f"layout of {text}"), "the layout asked for", "query")] if shown else []
    rows, distances = found.ranking.rows[0], found.ranking.distances[0]
    pictures = np.full((len(rows), 16, 16, 3), 200, np.uint8) if photos is None else photos.photos(rows)
    for place, (name, distance, picture) in enumerate(zip(captions, distances, pictures, strict=True), start=1):
        tiles.append(Tile(thumbnail(picture, name), f"{place}. {Path(name).name} ({distance:.2f})"))
    strip = Strip("results", "Results, best first", tiles, legend=painter.legend)
    blocks.append(Gallery("photos", "Photos", (strip,), "The number is the distance: smaller is better."))
    return Report(f"Search: {text}", f"{len(captions)} photos", (Section("search", "Search", blocks),))


def write_text_search(path: Path, report: Report) -> None:
    """Write the page as one HTML file.

    Raises:
        AeretError: the file cannot be written.
    """
    write_text(path, render_html(report))
