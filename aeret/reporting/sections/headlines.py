"""The five numbers that matter, each beside its floors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import ReportInputs
from aeret.reporting.values import Floor, Headline, Part, Report

LAYOUT, LABELS, ANY, MEAN_AP = "nDCG(rel=layout)@10", "nDCG(rel=jaccard)@10", "P(rel=any)@10", "AP(rel=any)"


REAL = "true_masks"
"""Flag of a photo whose masks are no pseudo-masks."""


def headlines(evaluation: Evaluation, inputs: ReportInputs) -> tuple[Headline, ...]:
    """Return at most five headlines, of the lead method; a number that the run does not have is left out.

    Where masks are partly pseudo-masks, the layout headlines show beside them what :func:`subset_of_real_masks` gives.
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
    """Return what the command line prints: name, value and the highest floor of each headline, and under ``part`` the
    same of the part of the queries that stands beside it."""
    rows: list[dict[str, Any]] = []
    for headline in report.headlines:
        row = {"name": f"{headline.name}, {headline.measure}", "measure": headline.measure, **_printed(headline)}
        if headline.part is not None:
            row["part"] = {"name": headline.part.name, **_printed(headline.part)}
        rows.append(row)
    return rows


def subset_of_real_masks(evaluation: Evaluation, inputs: ReportInputs) -> str:
    """Return the largest subset of the queries whose every photo has real masks, by the flag ``true_masks``.

    "" where there is no such subset, where all queries have real masks, or where nothing is said of them.
    """
    real = None if inputs.queries is None else inputs.queries.flags.get(REAL)
    if real is None or real.all():
        return ""
    frame = evaluation.per_query
    columns = {str(c): frame[c].to_numpy(bool) for c in frame if str(c).startswith("subset:")}
    sizes = {name: int(flags.sum()) for name, flags in columns.items() if flags.any() and not (flags & ~real).any()}
    return max(sizes, key=lambda name: sizes[name]).removeprefix("subset:") if sizes else ""


def _printed(number: Headline | Part) -> dict[str, Any]:
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
    frame = evaluation.measures
    chosen = frame[(frame["measure"] == measure) & (frame["method"] == evaluation.lead)]
    if chosen.empty or not math.isfinite(chosen["value"].iloc[0]):
        return None
    row = {str(column): each for column, each in chosen.iloc[0].items()}
    floors = _floors(row)
    reference = frame[(frame["measure"] == measure) & (frame["method"] == "exhaustive")]
    if evaluation.lead != "exhaustive" and not reference.empty:
        floors += (Floor("exhaustive", float(reference["value"].iloc[0]), reference=True),)
    identity = "headline-" + measure.split("(")[0].lower() + "-" + measure.split("rel=")[-1].split(")")[0]
    return Headline(
        identity,
        name,
        float(row["value"]),
        floors,
        meaning,
        measure,
        _finite(row["low"]),
        _finite(row["high"]),
        part=part,
    )


def _layout_part(evaluation: Evaluation, subset: str) -> Part | None:
    """Return layout nDCG inside a subset, where no other mask is compared; in the whole gallery where it is too small
    to be searched alone."""
    frame = evaluation.layout_subsets
    for gallery, words in ((subset, " alone"), ("all", "")):
        row = _row(frame[frame["method"] == evaluation.lead], subset, gallery, "value") if subset else None
        if row is not None:
            return Part(
                f"on {subset}{words}", float(row["value"]), _floors(row), _finite(row["low"]), _finite(row["high"])
            )
    return None


def _by_layout(evaluation: Evaluation, subset: str) -> Headline | None:
    frame = evaluation.query_by_layout
    first = _row(frame, "all", "all", "R@10")
    if first is None:
        return None
    # The own mask is the only one that matters here; candidates are predicted codes, whatever their masks.
    row = _row(frame, subset, "all", "R@10") if subset else None
    part = None if row is None else Part(f"on {subset}", float(row["R@10"]), _chance(row), *_hit_interval(row))
    meaning = (
        "A photo's own mask is encoded and used as the query: how often the photo is among the first ten by its "
        f"predicted code (median rank {first['median_rank']:.0f} of {first['candidates']})."
    )
    return Headline(
        "headline-by-layout",
        "Found by its layout",
        float(first["R@10"]),
        _chance(first),
        meaning,
        "query by layout R@10",
        *_hit_interval(first),
        part=part,
    )


def _row(frame: pd.DataFrame, subset: str, gallery: str, value: str) -> Mapping[str, Any] | None:
    """Return the first row of a subset and a gallery whose value is a number."""
    chosen = frame[(frame["subset"] == subset) & (frame["gallery"] == gallery)]
    chosen = chosen[np.isfinite(chosen[value].astype(float))]
    return None if chosen.empty else {str(name): each for name, each in chosen.iloc[0].items()}


def _floors(row: Mapping[str, Any]) -> tuple[Floor, ...]:
    return (
        Floor("random", float(row["floor_random"])),
        Floor("query-free", float(row["floor_query_free"])),
    )


def _chance(row: Mapping[str, Any]) -> tuple[Floor, ...]:
    return (Floor("random", float(row["floor R@10"])),)


def _hit_interval(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    return _finite(row["R@10 low"]), _finite(row["R@10 high"])


def _pairwise(evaluation: Evaluation) -> Headline | None:
    frame = evaluation.pairs
    if frame.empty or not math.isfinite(frame["f"].iloc[0]):
        return None
    floors = tuple(
        Floor(str(row["name"]), float(row["f"]), reference="oracle" in str(row["name"]))
        for _, row in frame.iloc[1:].iterrows()
    )
    meaning = (
        "Pairs of photos that share a cluster against pairs that share a category. One single cluster is hard to beat."
    )
    return Headline("headline-pairwise", "Clusters", float(frame["f"].iloc[0]), floors, meaning, "pairwise F(rel=any)")


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
