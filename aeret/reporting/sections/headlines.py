"""The five numbers that matter, each beside its floors."""

from __future__ import annotations

import math
from typing import Any

from aeret.evaluation.result import Evaluation
from aeret.reporting.values import Floor, Headline, Report

LAYOUT, LABELS, ANY, MEAN_AP = "nDCG(rel=layout)@10", "nDCG(rel=jaccard)@10", "P(rel=any)@10", "AP(rel=any)"


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """Return at most five headlines, of the lead method; a number that the run does not have is left out."""
    found = [
        _measure(
            evaluation,
            LAYOUT,
            "Same things in the same places",
            "Results ranked by how well their masks overlap the query's, category by category; 1 is the ideal order.",
        ),
        _by_layout(evaluation),
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
    """Return what the command line prints: name, value and the highest floor of each headline."""
    rows: list[dict[str, Any]] = []
    for headline in report.headlines:
        floors = [floor for floor in headline.floors if not floor.reference]
        best = max(floors, key=lambda floor: floor.value, default=None)
        rows.append(
            {
                "name": f"{headline.name}, {headline.measure}",
                "measure": headline.measure,
                "value": headline.value,
                "floor": None if best is None else best.value,
                "floor_name": "" if best is None else best.name,
            }
        )
    return rows


def _measure(evaluation: Evaluation, measure: str, name: str, meaning: str) -> Headline | None:
    frame = evaluation.measures
    chosen = frame[(frame["measure"] == measure) & (frame["method"] == evaluation.lead)]
    if chosen.empty or not math.isfinite(chosen["value"].iloc[0]):
        return None
    row = chosen.iloc[0]
    floors: tuple[Floor, ...] = (
        Floor("random", float(row["floor_random"])),
        Floor("query-free", float(row["floor_query_free"])),
    )
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
    )


def _by_layout(evaluation: Evaluation) -> Headline | None:
    frame = evaluation.query_by_layout
    if frame.empty:
        return None
    row = frame[(frame["subset"] == "all") & (frame["gallery"] == "all")]
    if row.empty or not math.isfinite(row["R@10"].iloc[0]):
        return None
    first = row.iloc[0]
    meaning = (
        "A photo's own mask is encoded and used as the query: how often the photo is among the first ten by its "
        f"predicted code (median rank {first['median_rank']:.0f} of {first['candidates']})."
    )
    floors = (Floor("random", float(first["floor R@10"])),)
    return Headline(
        "headline-by-layout", "Found by its layout", float(first["R@10"]), floors, meaning, "query by layout R@10"
    )


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
