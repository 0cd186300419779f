"""Choose the five numbers that matter, each beside its floors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import ReportInputs
from aeret.reporting.report import Floor, Headline, Part, Report

LAYOUT, LABELS, ANY, MEAN_AP = "nDCG(rel=layout)@10", "nDCG(rel=jaccard)@10", "P(rel=any)@10", "AP(rel=any)"
REAL = "true_masks"
"""Flag of a photo whose masks are no pseudo-masks."""


def headlines(evaluation: Evaluation, inputs: ReportInputs) -> tuple[Headline, ...]:
    """Return at most five headlines of the lead method; numbers that the run lacks are left out.

    If some masks are pseudo-masks, the layout headlines also show the subset of :func:`subset_of_real_masks`.
    """
    subset = subset_of_real_masks(evaluation, inputs)
    found = [
        _measure(
            evaluation,
            LAYOUT,
            "Same things in the same places",
            "Results ranked by how well their masks overlap the query's, category by category; 1 is the ideal order.",
            _layout_part(evaluation, subset),
        ),
        _by_layout(evaluation, subset),
        _measure(
            evaluation,
            LABELS,
            "Same things",
            "Results ranked by the overlap of their labels with the query's, wherever it is; 1 is the ideal order.",
        ),
        _measure(
            evaluation,
            ANY,
            "Shares a category",
            "Of the first ten results, the share that has any category in common with the query.",
        ),
        _pairwise(evaluation),
        _measure(
            evaluation, MEAN_AP, "Average precision", "Relevant is what shares any category; over the whole ranking."
        ),
    ]
    return tuple([headline for headline in found if headline is not None][:5])


def headline_metrics(report: Report) -> list[dict[str, Any]]:
    """Return name, value and highest floor of each headline and, under ``part``, of its part."""
    rows: list[dict[str, Any]] = []
    for headline in report.headlines:
        name = f"{headline.name}, {headline.measure}"
        row = {"name": name, "measure": headline.measure, **_beside_best_floor(headline)}
        if headline.part is not None:
            row["part"] = {"name": headline.part.name, **_beside_best_floor(headline.part)}
        rows.append(row)
    return rows


def subset_of_real_masks(evaluation: Evaluation, inputs: ReportInputs) -> str:
    """Return the largest subset of queries that all have real masks, by the flag ``true_masks``.

    Returns "" if no subset qualifies, if all queries have real masks, or if the photos have no such flag.
    """
    real = None if inputs.queries is None else inputs.queries.flags.get(REAL)
    if real is None or real.all():
        return ""
    frame = evaluation.per_query
    columns = {str(c): frame[c].to_numpy(bool) for c in frame if str(c).startswith("subset:")}
    sizes = {name: int(flags.sum()) for name, flags in columns.items() if flags.any() and not (flags & ~real).any()}
    return max(sizes, key=lambda name: sizes[name]).removeprefix("subset:") if sizes else ""


def _beside_best_floor(number: Part) -> dict[str, Any]:
    floors = [floor for floor in number.floors if not floor.reference]
    best = max(floors, key=lambda floor: floor.value, default=None)
    return {
        "value": number.value,
        "floor": None if best is None else best.value,
        "floor_name": "" if best is None else best.name,
    }


def _measure(
    evaluation: Evaluation, measure: str, name: str, meaning: str, part: Part | None = None
) -> Headline | None:
    row, exact = evaluation.row(measure), evaluation.row(measure, "exhaustive")
    if row is None or not math.isfinite(row["value"]):
        return None
    floors = _floors(row)
    if evaluation.lead != "exhaustive" and exact is not None:
        floors.append(Floor("exhaustive", float(exact["value"]), reference=True))
    return Headline(
        name,
        float(row["value"]),
        floors,
        *_interval(row, "low", "high"),
        id="headline-" + measure.split("(")[0].lower() + "-" + measure.split("rel=")[-1].split(")")[0],
        meaning=meaning,
        measure=measure,
        part=part,
    )


def _layout_part(evaluation: Evaluation, subset: str) -> Part | None:
    """Return layout nDCG inside a subset; in the whole gallery if it is too small to be searched alone."""
    frame = evaluation.layout_subsets
    for gallery, words in ((subset, " alone"), ("all", "")):
        row = _row(frame[frame["method"] == evaluation.lead], subset, gallery, "value") if subset else None
        if row is not None:
            return Part(f"on {subset}{words}", float(row["value"]), _floors(row), *_interval(row, "low", "high"))
    return None


def _by_layout(evaluation: Evaluation, subset: str) -> Headline | None:
    frame = evaluation.query_by_layout
    first = _row(frame, "all", "all", "R@10")
    if first is None:
        return None
    # The own mask is the only one that matters here; candidates are predicted codes, whatever their masks.
    row = _row(frame, subset, "all", "R@10") if subset else None
    meaning = (
        "A photo's own mask is encoded and used as the query: how often the photo is among the first ten by its "
        f"predicted code (median rank {first['median_rank']:.0f} of {first['candidates']})."
    )
    return Headline(
        "Found by its layout",
        *_hits(first),
        id="headline-by-layout",
        meaning=meaning,
        measure="query by layout R@10",
        part=None if row is None else Part(f"on {subset}", *_hits(row)),
    )


def _pairwise(evaluation: Evaluation) -> Headline | None:
    frame = evaluation.pairs
    if frame.empty or not math.isfinite(frame["f"].iloc[0]):
        return None
    others = zip(frame["name"].iloc[1:], frame["f"].iloc[1:], strict=True)
    floors = [Floor(str(name), float(f), reference="oracle" in str(name)) for name, f in others]
    meaning = (
        "Pairs of photos that share a cluster against pairs that share a category. One single cluster is hard to beat."
    )
    value = float(frame["f"].iloc[0])
    return Headline("Clusters", value, floors, id="headline-pairwise", meaning=meaning, measure="pairwise F(rel=any)")


def _row(frame: pd.DataFrame, subset: str, gallery: str, value: str) -> Mapping[str, Any] | None:
    """Return the first row of a subset and a gallery whose value is a number."""
    chosen = frame[(frame["subset"] == subset) & (frame["gallery"] == gallery)]
    chosen = chosen[np.isfinite(chosen[value].astype(float))]
    return None if chosen.empty else {str(name): each for name, each in chosen.iloc[0].items()}


def _floors(row: Any) -> list[Floor]:
    return [Floor("random", float(row["floor_random"])), Floor("query-free", float(row["floor_query_free"]))]


def _hits(row: Mapping[str, Any]) -> tuple[float, list[Floor], float | None, float | None]:
    """Return R@10 of a row with its floor and interval."""
    chance = Floor("random", float(row["floor R@10"]))
    return float(row["R@10"]), [chance], *_interval(row, "R@10 low", "R@10 high")


def _interval(row: Any, low: str, high: str) -> tuple[float | None, float | None]:
    first, last = (float(row[end]) if math.isfinite(row[end]) else None for end in (low, high))
    return first, last
