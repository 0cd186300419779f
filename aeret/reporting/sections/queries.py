"""Build the section of the best and worst queries with their results, masks and decoded layouts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import Layouts, Maps, ReportInputs, Split
from aeret.reporting.pictures import Painter
from aeret.reporting.report import Block, Fact, Gallery, Notice, Section, Strip, Tile
from aeret.reporting.sections.photo_tiles import RESULTS, TileMaker, aspect, held

_ORDERED_BY = "nDCG(rel=jaccard)@10"
_SHOWN = ("nDCG(rel=jaccard)@10", "nDCG(rel=layout)@10", "P(rel=any)@10")


def best_and_worst(evaluation: Evaluation, examples: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the best and of the worst queries, int64 (examples,) each.

    Ordered by the lead method's label nDCG; ties by row; no query is in both.
    """
    measures = [name for name in evaluation.per_query.columns if "(" in name]
    column = _ORDERED_BY if _ORDERED_BY in measures else measures[0]
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
        colours: name in the maps to colour.
    """
    queries, gallery = inputs.queries, inputs.gallery
    if queries is None or gallery is None:
        text = "The photos of this run are not available, so queries and their results are not shown."
        return Section("queries", "Best and worst queries", (Notice(text, "note"),))
    decoded = (
        " Next to it stands what the network believes, decoded from the code it predicted from the photo alone."
        if inputs.layouts is not None
        else ""
    )
    reading = (
        f"The query is framed in ink, its mask below it.{decoded} Results follow in order: ✓ in a solid frame shares a "
        "category with the query, ✕ in a dashed frame shares none; the number is the overlap of labels (Jaccard). "
        "Below each result is its true mask. A name has one colour in all maps of this report."
    )
    best, worst = best_and_worst(evaluation, inputs.examples)
    blocks: list[Block] = []
    for name, rows, caption in (("best", best, reading), ("worst", worst, "Read like those above.")):
        strips = [
            _strip(evaluation, inputs, (queries, gallery), f"query-{name}-{row}", int(row), side, colours)
            for row in rows
        ]
        if strips:
            blocks.append(Gallery(f"queries-{name}", f"{name.capitalize()} queries", strips, caption))
    if not blocks:
        blocks.append(Notice("There are too few queries to tell best from worst.", "note"))
    return Section("queries", "Best and worst queries", blocks)


def _strip(
    evaluation: Evaluation,
    inputs: ReportInputs,
    splits: tuple[Split, Split],
    name: str,
    row: int,
    side: int,
    colours: Mapping[str, str],
) -> Strip:
    (queries, gallery), layouts = splits, inputs.layouts
    results = evaluation.rankings[evaluation.lead].rows[row, :RESULTS]
    # An autoencoder with one channel tells no categories apart; show the true masks by category then.
    channels = layouts.names if layouts is not None and len(layouts.names) > 1 else inputs.categories
    own = _maps(queries, np.array([row]), layouts, channels)[0]
    theirs = _maps(gallery, results, layouts, channels)
    believed = _believed(layouts, row, len(channels))
    guessed = [] if believed is None else [believed]
    weights = [1000.0, *([10.0] * len(guessed)), *([1.0] * len(theirs))]
    painter = Painter(channels, [own, *guessed, *theirs], weights, colours)

    make = TileMaker(inputs.categories, painter, side)
    tiles = [make.query(queries, row, own)]
    if believed is not None:
        picture = painter.paint(believed, "layout decoded from the predicted code", aspect(queries, row))
        tiles.append(Tile(picture, "predicted layout", "believed"))
    tiles += make.results(queries.labels[row], gallery, results, theirs)
    measured = evaluation.per_query.iloc[row]
    facts = [Fact(measure, measured[measure], "measure") for measure in _SHOWN if measure in measured]
    if len(evaluation.layout_ranks) and evaluation.layout_ranks[row] > 0:
        facts.append(Fact("rank by its own layout", int(evaluation.layout_ranks[row]), "count"))
    title = f"Photo {queries.photo_ids[row]}: {held(queries.labels[row], inputs.categories)}"
    return Strip(name, title, tiles, facts=facts, legend=painter.legend)


def _believed(layouts: Layouts | None, row: int, channels: int) -> NDArray[np.float32] | None:
    """Return the map decoded from the predicted code of a query, if it has the shown channels."""
    if layouts is None:
        return None
    decoded = layouts.believed(row)
    return decoded if decoded.shape[-1] == channels else None


def _maps(split: Split, rows: NDArray[np.int64], layouts: Layouts | None, channels: tuple[str, ...]) -> Maps:
    """Return true masks in the channels that are shown."""
    dense = split.masks.dense(np.asarray(rows, np.int64))
    if layouts is not None and channels is layouts.names:
        return layouts.channels(dense)
    return dense.astype(np.float32)
