"""Build what changed between two arms: settings, categories, and the queries that flipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.evaluation.compare import class_changes, query_changes
from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import ReportInputs, Split
from aeret.reporting.pictures import Painter, map_colours
from aeret.reporting.report import Block, Column, Fact, Gallery, Notice, Section, Strip, Swatch, Table, Tile, slug
from aeret.reporting.sections.headlines import LABELS, LAYOUT
from aeret.reporting.sections.photo_tiles import RESULTS, TileMaker, held
from aeret.reporting.sections.provenance import flat

SIDE = 96
_WORDS = {LAYOUT: "Layout", LABELS: "Labels"}
_EACH_WAY = 4
_CLASSES = 10
_LISTED = 20


@dataclass(frozen=True)
class ComparedRuns:
    """Settings and photos of the runs that are compared; either may be absent."""

    settings: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Arm to the settings of its runs, as recorded: they may be of an older schema."""
    photos: ReportInputs | None = None
    """Categories, query and gallery photos, matched to the evaluations by their ids."""


@dataclass(frozen=True)
class Comparison:
    """Arms, one evaluation per seed each, and the arm the others are tested against."""

    arms: Mapping[str, Sequence[Evaluation]]
    baseline: str
    interval: str = "percentile"
    """Interval of the differences: ``percentile`` or ``bca``."""
    runs: ComparedRuns = ComparedRuns()

    @property
    def candidates(self) -> list[str]:
        """Names of the other arms."""
        return [name for name in self.arms if name != self.baseline]


def setting_differences(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[str, ...]]:
    """Return the settings in which runs differ: dotted name, then the values of each arm, ``–`` if not recorded.

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
    return Table.of_rows("settings-table", "Settings that differ", columns, rows, caption=caption)


def class_section(comparison: Comparison, name: str) -> Section | None:
    """Return the categories that gained and lost most under an arm, and all of them, folded."""
    frame = class_changes(comparison.arms[comparison.baseline], comparison.arms[name])
    if frame.empty:
        return None
    mark, change = slug(name), frame["P@10 difference"]
    gains, losses = frame[change > 0], frame[change < 0].iloc[::-1]
    caption = (
        f"P@10 is the share of a query's first ten results that hold the category. Of {len(frame)} categories "
        f"{len(gains)} gained and {len(losses)} lost. Few queries move much by chance: read the counts."
    )
    blocks: list[Block] = []
    for way, title, rows in (
        ("gains", "Categories that gained most", gains),
        ("losses", "Categories that lost most", losses),
    ):
        if not rows.empty:
            table = _class_table(f"class-{way}-{mark}", title, rows.iloc[:_CLASSES], caption if not blocks else "")
            blocks.append(table)
    blocks.append(_class_table(f"class-all-{mark}", "All categories", frame, "", folded=True))
    return Section(f"classes-{mark}", f"Categories: {name}", blocks)


def flip_section(comparison: Comparison, name: str) -> Section | None:
    """Return the queries that changed most under an arm, both ways, with the results of both arms."""
    arms = [*comparison.arms[comparison.baseline], *comparison.arms[name]]
    measures = [measure for measure in _WORDS if all(measure in each.per_query for each in arms)]
    if not measures:
        return None
    blocks = [block for measure in measures for block in _flips(comparison, name, measure)]
    if comparison.runs.photos is None:
        blocks.append(Notice("The prepared photos of these runs are not available, so results are not shown.", "note"))
    return Section(f"flips-{slug(name)}", f"Queries that flipped: {name}", blocks)


def _flips(comparison: Comparison, name: str, measure: str) -> Iterator[Block]:
    frame = query_changes(comparison.arms[comparison.baseline], comparison.arms[name], measure)
    up, down = frame[frame["difference"] > 0], frame[frame["difference"] < 0].iloc[::-1]
    if up.empty and down.empty:
        yield Notice(f"{measure}: no query changed.", "note")
        return
    short = f"{_WORDS[measure].lower()}-{slug(name)}"
    caption = (
        f"{measure}: of {len(frame)} queries {len(up)} are answered better and {len(down)} worse by this arm; the "
        f"{min(_LISTED, len(up))} largest gains and {min(_LISTED, len(down))} largest losses."
    )
    yield _listing(f"flips-{short}", f"{_WORDS[measure]}: largest changes", up, down, caption)
    for way, word, rows in (("gains", "gained", up), ("losses", "lost", down)):
        title = f"{_WORDS[measure]}: who {word} most"
        gallery = _gallery(comparison, name, f"{way}-{short}", title, measure, rows.iloc[:_EACH_WAY])
        if gallery is not None:
            yield gallery


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
    return Table(name, title, columns, frame.rename(columns=slug), caption=caption, folded=folded)


def _listing(name: str, title: str, up: pd.DataFrame, down: pd.DataFrame, caption: str) -> Table:
    columns = (
        Column("photo", "photo"),
        Column("baseline", "baseline", "measure"),
        Column("candidate", "this arm", "measure"),
        Column("difference", "difference", "signed"),
    )
    shown = pd.concat([up.iloc[:_LISTED], down.iloc[:_LISTED].iloc[::-1]])
    shown = shown.assign(photo=shown["photo_id"].astype(int).astype(str))
    return Table(name, title, columns, shown, caption=caption, folded=True)


def _gallery(
    comparison: Comparison, name: str, identity: str, title: str, measure: str, rows: pd.DataFrame
) -> Gallery | None:
    photos, baseline = comparison.runs.photos, comparison.baseline
    if rows.empty or photos is None or photos.queries is None or photos.gallery is None:
        return None
    splits, colours = (photos.queries, photos.gallery), map_colours(photos)
    strips: list[Strip] = []
    for place, row in enumerate(rows.to_dict("records")):
        photo = int(row["photo_id"])
        own = _position(photos.queries.photo_ids, photo)
        what = held(photos.queries.labels[own], photos.categories) or "no label"
        for column, arm in (("baseline", baseline), ("candidate", name)):
            results = _result_ids(comparison.arms[arm][0], photo)
            tiles, legend = _tiles(splits, own, results, photos.categories, colours)
            facts = [Fact(measure, row[column], "measure")]
            if column == "candidate":
                facts.append(Fact("change", row["difference"], "signed"))
            heading = f"{arm} · photo {photo}: {what}"
            strips.append(Strip(f"{identity}-{place}-{column}", heading, tiles, facts=facts, legend=legend))
    caption = (
        f"Each query twice, first as {baseline} answers it, then as {name} does. The query is framed in ink, its true "
        "mask below it; ✓ shares a category with it, ✕ shares none; the number is the overlap of labels (Jaccard)."
    )
    if max(len(comparison.arms[baseline]), len(comparison.arms[name])) > 1:
        caption += " Values are means over seeds; the results shown are those of the first."
    return Gallery(identity, title, strips, caption)


def _tiles(
    splits: tuple[Split, Split],
    own: int,
    results: NDArray[np.int64],
    names: tuple[str, ...],
    colours: Mapping[str, str],
) -> tuple[list[Tile], Sequence[Swatch]]:
    """Return the tiles of a query, by row, and of its results, by id, with the legend of their maps."""
    queries, gallery = splits
    places = np.array([_position(gallery.photo_ids, int(each)) for each in results], np.int64)
    mine = queries.masks.dense(np.array([own]))[0].astype(np.float32)
    theirs = gallery.masks.dense(places).astype(np.float32)
    painter = Painter(names, [mine, *theirs], [1000.0, *([1.0] * len(theirs))], colours)
    make = TileMaker(names, painter, SIDE)
    tiles = [make.query(queries, own, mine), *make.results(queries.labels[own], gallery, places, theirs)]
    return tiles, painter.legend


def _result_ids(evaluation: Evaluation, photo: int) -> NDArray[np.int64]:
    """Return the photo ids of the first results of a query, by the lead method."""
    row = _position(evaluation.per_query["photo_id"].to_numpy(np.int64), photo)
    return evaluation.gallery_ids[evaluation.rankings[evaluation.lead].rows[row, :RESULTS]]


def _position(ids: NDArray[np.int64], photo: int) -> int:
    return int(np.flatnonzero(np.asarray(ids) == photo)[0])
