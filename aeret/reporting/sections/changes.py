"""What changed between two arms, apart from the means: settings, categories, and the queries that flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.evaluation.compare import class_changes, query_changes
from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import ReportInputs, Split
from aeret.reporting.pictures import Painter, map_colours, thumbnail
from aeret.reporting.sections.captions import aspect, held
from aeret.reporting.sections.headlines import LABELS, LAYOUT
from aeret.reporting.sections.provenance import flat
from aeret.reporting.values import Block, Cell, Column, Fact, Gallery, Notice, Section, Strip, Table, Tile, slug

RESULTS = 7
SIDE = 96
_FLIPPED = (LAYOUT, LABELS)
_WORDS = {LAYOUT: "Layout", LABELS: "Labels"}
_EACH_WAY = 4
_CLASSES = 10
_LISTED = 20


@dataclass(frozen=True)
class Behind:
    """What stands behind the evaluations of a comparison."""

    settings: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Arm to the settings of its runs, as recorded: they may be of an older schema."""
    photos: ReportInputs | None = None
    """Categories, query and gallery photos; found again by their ids."""


def setting_differences(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[str, ...]]:
    """Return the settings in which runs differ: dotted name, then the values of each arm, ``–`` where not recorded.

    A setting that only takes other values within an arm (its seeds) is listed too.
    """
    flattened = {arm: [dict(flat(each)) for each in group] for arm, group in settings.items()}
    names = list(dict.fromkeys(name for group in flattened.values() for each in group for name in each))
    rows = []
    for name in names:
        values = {arm: [each.get(name, "–") for each in group] for arm, group in flattened.items()}
        if len({str(value) for group in values.values() for value in group}) > 1:
            rows.append((name, *(", ".join(dict.fromkeys(map(str, group))) for group in values.values())))
    return rows


def settings_block(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> Block:
    """Return the table of the settings in which the arms differ."""
    rows = setting_differences(settings)
    if not rows:
        return Notice(
            "The runs were made with the same settings; only code, data or chance can tell them apart.", "note"
        )
    columns = (Column("setting", "setting"), *(Column(f"arm{place}", arm) for place, arm in enumerate(settings)))
    caption = "As the runs recorded them; a dash: that run knew no such setting."
    return Table("settings-table", "Settings that differ", columns, tuple(rows), caption=caption)


def class_blocks(baseline: Sequence[Evaluation], candidate: Sequence[Evaluation], mark: str) -> list[Block]:
    """Return the categories that gained and lost most, and all of them, folded."""
    frame = class_changes(baseline, candidate)
    if frame.empty:
        return []
    change = frame["P@10 difference"]
    gains, losses = frame[change > 0], frame[change < 0].iloc[::-1]
    caption = (
        f"P@10 is the share of a query's first ten results that hold the category. Of {len(frame)} categories "
        f"{len(gains)} gained and {len(losses)} lost. Few queries move much by chance: read the counts."
    )
    blocks: list[Block] = []
    for name, title, rows in (
        ("gains", "Categories that gained most", gains),
        ("losses", "Categories that lost most", losses),
    ):
        if not rows.empty:
            table = _class_table(f"class-{name}-{mark}", title, rows.iloc[:_CLASSES], caption if not blocks else "")
            blocks.append(table)
    blocks.append(_class_table(f"class-all-{mark}", "All categories", frame, "", folded=True))
    return blocks


def flip_section(arms: Mapping[str, Sequence[Evaluation]], baseline: str, name: str, behind: Behind) -> Section | None:
    """Return the queries whose lead measures changed most, both ways, with the results of both arms side by side."""
    mark = slug(name)
    measures = [
        measure for measure in _FLIPPED if all(measure in each.per_query for a in (baseline, name) for each in arms[a])
    ]
    if not measures:
        return None
    blocks: list[Block] = []
    for measure in measures:
        frame = query_changes(arms[baseline], arms[name], measure)
        short = f"{_WORDS[measure].lower()}-{mark}"
        up, down = frame[frame["difference"] > 0], frame[frame["difference"] < 0].iloc[::-1]
        if up.empty and down.empty:
            blocks.append(Notice(f"{measure}: no query changed.", "note"))
            continue
        blocks.append(_listing(f"flips-{short}", measure, frame, up, down))
        if behind.photos is not None:
            for way, word, rows in (("gains", "gained", up), ("losses", "lost", down)):
                blocks += _gallery(f"{way}-{short}", f"{_WORDS[measure]}: who {word} most", arms, baseline, name,
                                   measure, rows.iloc[:_EACH_WAY], behind.photos)  # fmt: skip
    if behind.photos is None:
        blocks.append(Notice("The prepared photos of these runs are not at hand, so results are not shown.", "note"))
    return Section(f"flips-{mark}", f"Queries that flipped: {name}", tuple(blocks))


def _class_table(name: str, title: str, frame: pd.DataFrame, caption: str, folded: bool = False) -> Table:
    columns = (
        Column("category", "category"),
        Column("queries", "queries", "count", "Queries that hold the category."),
        *(
            Column(slug(f"{measure}-{part}"), f"{measure} {title}", "signed" if part == "difference" else "measure")
            for measure in ("P@10", "AP")
            for part, title in (("baseline", "baseline"), ("candidate", "this arm"), ("difference", "difference"))
        ),
    )
    names = [str(column) for column in frame if column not in ("category", "queries")]
    rows = tuple((row["category"], row["queries"], *(row[part] for part in names)) for _, row in frame.iterrows())
    return Table(name, title, columns, rows, caption=caption, folded=folded)


def _listing(name: str, measure: str, frame: pd.DataFrame, up: pd.DataFrame, down: pd.DataFrame) -> Table:
    columns = (
        Column("photo", "photo"),
        Column("baseline", "baseline", "measure"),
        Column("candidate", "this arm", "measure"),
        Column("difference", "difference", "signed"),
    )
    shown = pd.concat([up.iloc[:_LISTED], down.iloc[:_LISTED].iloc[::-1]])
    rows: list[tuple[Cell, ...]] = [
        (str(int(row["photo_id"])), row["baseline"], row["candidate"], row["difference"]) for _, row in shown.iterrows()
    ]
    caption = (
        f"{measure}: of {len(frame)} queries {len(up)} are answered better and {len(down)} worse by this arm; the "
        f"{min(_LISTED, len(up))} largest gains and {min(_LISTED, len(down))} largest losses."
    )
    return Table(name, f"{_WORDS[measure]}: largest changes", columns, tuple(rows), caption=caption, folded=True)


def _gallery(
    identity: str,
    title: str,
    arms: Mapping[str, Sequence[Evaluation]],
    baseline: str,
    name: str,
    measure: str,
    rows: pd.DataFrame,
    photos: ReportInputs,
) -> list[Block]:
    queries, gallery = photos.queries, photos.gallery
    if rows.empty or queries is None or gallery is None:
        return []
    colours = map_colours(photos)
    strips: list[Strip] = []
    for place, (_, row) in enumerate(rows.iterrows()):
        photo = int(row["photo_id"])
        for column, arm in (("baseline", baseline), ("candidate", name)):
            own = _position(queries.photo_ids, photo)
            tiles, legend = _tiles(arms[arm][0], photo, own, queries, gallery, photos.categories, colours)
            what = held(queries.labels[own], photos.categories) or "no label"
            facts = [Fact(measure, row[column], "measure")]
            if column == "candidate":
                facts.append(Fact("change", row["difference"], "signed"))
            strips.append(
                Strip(
                    f"{identity}-{place}-{column}",
                    f"{arm} · photo {photo}: {what}",
                    tiles,
                    facts=tuple(facts),
                    legend=legend,
                )
            )
    caption = (
        f"Each query twice, first as {baseline} answers it, then as {name} does. The query is framed in ink, its true "
        "mask below it; ✓ shares a category with it, ✕ shares none; the number is the overlap of labels (Jaccard)."
    )
    if max(len(arms[baseline]), len(arms[name])) > 1:
        caption += " Values are means over seeds; the results shown are those of the first."
    return [Gallery(identity, title, tuple(strips), caption)]


def _tiles(
    evaluation: Evaluation,
    photo: int,
    own: int,
    queries: Split,
    gallery: Split,
    names: tuple[str, ...],
    colours: Mapping[str, str],
) -> tuple[tuple[Tile, ...], Any]:
    row = _position(evaluation.per_query["photo_id"].to_numpy(np.int64), photo)
    found = evaluation.rankings[evaluation.lead].rows[row, :RESULTS]
    places = np.array([_position(gallery.photo_ids, int(each)) for each in evaluation.gallery_ids[found]], np.int64)
    mine = queries.masks.dense(np.array([own]))[0].astype(np.float32)
    theirs = gallery.masks.dense(places).astype(np.float32)
    painter = Painter(names, [mine, *theirs], [1000.0, *([1.0] * len(theirs))], colours)
    shape = aspect(queries, own)
    text = held(queries.labels[own], names)
    picture = thumbnail(queries.photos(np.array([own]))[0], f"query photo: {text}", SIDE, shape)
    tiles = [Tile(picture, "", "query", painter.paint(mine, "true mask of the query", shape))]
    for place, pixels, mask in zip(places.tolist(), gallery.photos(places), theirs, strict=True):
        labels, shape = gallery.labels[place], aspect(gallery, place)
        union = np.count_nonzero(queries.labels[own] | labels)
        overlap = np.count_nonzero(queries.labels[own] & labels) / union if union else 0.0
        what = held(labels, names) or "no label"
        mark = "relevant" if overlap > 0 else "irrelevant"
        picture = thumbnail(pixels, f"result: {what}", SIDE, shape)
        tiles.append(Tile(picture, f"{overlap:.2f}", mark, painter.paint(mask, "true mask of the result", shape), what))
    return tuple(tiles), painter.legend


def _position(ids: NDArray[np.int64], photo: int) -> int:
    return int(np.flatnonzero(np.asarray(ids) == photo)[0])
