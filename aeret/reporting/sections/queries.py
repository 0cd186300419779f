"""The best and the worst queries with their results, true masks and decoded predicted layouts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import Layouts, ReportInputs, Split
from aeret.reporting.pictures import Painter, thumbnail
from aeret.reporting.sections.captions import aspect, held
from aeret.reporting.values import Block, Fact, Gallery, Notice, Section, Strip, Tile

RESULTS = 7
_ORDERED_BY = "nDCG(rel=jaccard)@10"
_SHOWN = ("nDCG(rel=jaccard)@10", "nDCG(rel=layout)@10", "P(rel=any)@10")


def best_and_worst(evaluation: Evaluation, examples: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the query rows shown as best and as worst, best and worst first, int64 (examples,) each.

    Ordered by the lead method's label nDCG; ties by row; no query is shown twice.
    """
    column = _ORDERED_BY if _ORDERED_BY in evaluation.per_query else _measures(evaluation)[0]
    values = evaluation.per_query[column].to_numpy(np.float64)
    order = np.argsort(-values, kind="stable")
    order = order[np.isfinite(values[order])]
    count = min(examples, len(order) // 2)
    worst = np.argsort(values, kind="stable")[:count]
    return order[:count].astype(np.int64), worst.astype(np.int64)


def query_section(evaluation: Evaluation, inputs: ReportInputs, side: int, colours: Mapping[str, str]) -> Section:
    """Return galleries of the best and the worst queries.

    Args:
        evaluation: the rankings and measures.
        inputs: photos, masks and layouts.
        side: longest side of a thumbnail, pixels.
        colours: of the names in the maps.
    """
    queries, gallery = inputs.queries, inputs.gallery
    if queries is None or gallery is None:
        text = "The photos of this run are not at hand, so queries and their results are not shown."
        return Section("queries", "Best and worst queries", (Notice(text, "note"),))
    best, worst = best_and_worst(evaluation, inputs.examples)
    decoded = inputs.layouts is not None
    reading = (
        "The query is framed in ink, its mask below it."
        + (
            " Next to it stands what the network believes, decoded from the code it predicted from the photo alone."
            if decoded
            else ""
        )
        + " Results follow in order: ✓ in a solid frame shares a category with the query, ✕ in a dashed frame shares"
        " none; the number is the overlap of labels (Jaccard). Below each result is its true mask. A name has one"
        " colour in all maps of this report."
    )
    blocks: list[Block] = []
    for name, title, rows in (("best", "Best queries", best), ("worst", "Worst queries", worst)):
        strips = tuple(_strip(evaluation, inputs, queries, gallery, name, int(row), side, colours) for row in rows)
        if strips:
            blocks.append(
                Gallery(f"queries-{name}", title, strips, reading if name == "best" else "Read like those above.")
            )
    if not blocks:
        blocks.append(Notice("There are too few queries to tell best from worst.", "note"))
    return Section("queries", "Best and worst queries", tuple(blocks))


def _strip(
    evaluation: Evaluation,
    inputs: ReportInputs,
    queries: Split,
    gallery: Split,
    group: str,
    row: int,
    side: int,
    colours: Mapping[str, str],
) -> Strip:
    names, layouts = inputs.categories, inputs.layouts
    results = evaluation.rankings[evaluation.lead].rows[row, :RESULTS]
    # An autoencoder over one channel tells no categories apart; show the true masks by category then.
    channels = layouts.names if layouts is not None and len(layouts.names) > 1 else names
    own = _maps(queries, np.array([row]), layouts, channels)[0]
    theirs = _maps(gallery, results, layouts, channels)
    believed = _believed(layouts, row, len(channels))
    maps = [own, *([] if believed is None else [believed]), *theirs]
    weights = [1000.0, *([] if believed is None else [10.0]), *([1.0] * len(theirs))]
    painter = Painter(channels, maps, weights, colours)

    shape = aspect(queries, row)
    text = held(queries.labels[row], names)
    photo = thumbnail(queries.photos(np.array([row]))[0], f"query photo: {text}", side, shape)
    tiles = [Tile(photo, "", "query", painter.paint(own, "true mask of the query", shape))]
    if believed is not None:
        picture = painter.paint(believed, "layout decoded from the predicted code", shape)
        tiles.append(Tile(picture, "predicted layout", "believed"))
    for result, picture, layout in zip(results, gallery.photos(results), theirs, strict=True):
        tiles.append(_result(queries.labels[row], gallery, int(result), picture, layout, painter, names, side))
    facts = [
        Fact(name, evaluation.per_query[name].iloc[row], "measure") for name in _SHOWN if name in evaluation.per_query
    ]
    if len(evaluation.layout_ranks) and evaluation.layout_ranks[row] > 0:
        facts.append(Fact("rank by its own layout", int(evaluation.layout_ranks[row]), "count"))
    title = f"Photo {queries.photo_ids[row]}: {text}"
    return Strip(f"query-{group}-{row}", title, tuple(tiles), facts=tuple(facts), legend=painter.legend)


def _believed(layouts: Layouts | None, row: int, channels: int) -> NDArray[np.float32] | None:
    """Return the map decoded from the code that was predicted from a query photo, where it has the shown channels."""
    if layouts is None:
        return None
    decoded = layouts.believed(row)
    return decoded if decoded.shape[-1] == channels else None


def _result(
    wanted: NDArray[np.bool_],
    gallery: Split,
    row: int,
    photo: NDArray[np.uint8],
    layout: NDArray[np.float32],
    painter: Painter,
    names: tuple[str, ...],
    side: int,
) -> Tile:
    labels, shape = gallery.labels[row], aspect(gallery, row)
    union = np.count_nonzero(wanted | labels)
    overlap = np.count_nonzero(wanted & labels) / union if union else 0.0
    text = held(labels, names) or "no label"
    mark = "relevant" if overlap > 0 else "irrelevant"
    picture = thumbnail(photo, f"result: {text}", side, shape)
    return Tile(picture, f"{overlap:.2f}", mark, painter.paint(layout, "true mask of the result", shape), text)


def _maps(
    split: Split, rows: NDArray[np.int64], layouts: Layouts | None, channels: tuple[str, ...]
) -> NDArray[np.float32]:
    """Return true masks in the channels that are shown, float32 (b, h, w, channels)."""
    dense = split.masks.dense(np.asarray(rows, np.int64))
    if layouts is not None and channels is layouts.names:
        return layouts.channels(dense)
    return dense.astype(np.float32)


def _measures(evaluation: Evaluation) -> list[str]:
    return [name for name in evaluation.per_query.columns if "(" in name]
