"""Build the section of feature selection (the paper's Fig. 3), on digits and on an embedding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from aeret.evaluation.feature_selection import TECHNIQUES
from aeret.evaluation.feature_selection.result import ENOUGH, FeatureSelection
from aeret.reporting.plots.feature_selection import feature_selection
from aeret.reporting.report import (
    Block,
    Cell,
    Column,
    Estimate,
    Fact,
    Facts,
    Figure,
    Notice,
    Prose,
    Report,
    Section,
    Table,
)

_COLUMNS = 6
_PAPER_PLATEAU = 0.75
_KINDS = {int: "count", float: "measure", str: "text"}


def section(found: FeatureSelection, anchor: str = "feature-selection") -> Section:
    """Return figure and table of each dataset, and what the numbers mean.

    Args:
        found: curves of the techniques.
        anchor: id of the section, and prefix of the ids in it.
    """
    blocks: list[Block] = [
        Prose(
            "Variables are chosen on one part of the examples and measured on another that no choice has seen; "
            "searches validate on a part of the former. All techniques end at the same value, that of all variables."
        )
    ]
    for name, subject in found.subjects.items():
        blocks.extend(_subject(found, name, subject, f"{anchor}-{name}"))
    orders = dict.fromkeys(order for name in found.subjects for order in found.orders(name))
    rows = [(order, TECHNIQUES[order].kind, TECHNIQUES[order].meaning) for order in orders]
    columns = (Column("order", "technique"), Column("kind", "kind"), Column("meaning", "what it does"))
    blocks.append(Table.of_rows(f"{anchor}-techniques", "Techniques", columns, rows, folded=True))
    return Section(anchor, "Feature selection", blocks)


def report(found: FeatureSelection, subtitle: str) -> Report:
    """Return a report of feature selection alone."""
    return Report("Feature selection", subtitle, (section(found),))


def remark(found: FeatureSelection) -> str:
    """Return how the curves on digits differ from the paper's; "" without these curves."""
    if not {"sequential", "random"} <= set(found.orders("digits")):
        return ""
    drawn, first = found.of("digits", "random"), found.of("digits", "sequential")
    whole = found.whole("digits")
    above = drawn.loc[drawn["mean"] >= _PAPER_PLATEAU, "dimensions"]
    gap = drawn["mean"].to_numpy() - first["mean"].to_numpy()
    widest = int(np.argmax(gap))
    reached = (
        f"with {int(above.min())} pixels the mean is past it, and with all of them {whole:.3f}"
        if len(above)
        else f"with all pixels the value is {whole:.3f}"
    )
    overtakes = "seen" if (gap < -0.005).any() else "not seen"
    return (
        "The paper (its pictures are not named; 28 x 28 pixels would fit) has sequential pixels flat at first, then "
        f"steep up to nearly 1, and random ones level off at about {_PAPER_PLATEAU}. The protocol is the same here, "
        f"the curves are not. Random subsets do not level off there: {reached}. They cannot: all pixels are one "
        "subset, however they were drawn. For the same number of pixels random subsets are better than sequential "
        f"ones by up to {gap[widest]:.3f} (at {int(drawn['dimensions'].iloc[widest])}), because neighbouring pixels "
        "tell much the same and the first rows are but the top of a digit. That a sequential choice overtakes a "
        f"random one, as the paper has it, is {overtakes} here."
    )


def _subject(found: FeatureSelection, name: str, subject: dict[str, Any], anchor: str) -> Iterator[Block]:
    yield _figure(found, name, subject, anchor)
    yield _table(found, name, subject, anchor)
    words = remark(found) if name == "digits" else ""
    if words:
        yield Notice(words, "note")
    facts = (*subject["facts"].items(), ("value without any variable", subject["floor"]))
    listed = [Fact(text, value, _KINDS[type(value)]) for text, value in facts]
    yield Facts(f"{anchor}-facts", "What was measured", listed, folded=True)


def _figure(found: FeatureSelection, name: str, subject: dict[str, Any], anchor: str) -> Figure:
    curves = found.curves[found.curves["dataset"] == name]
    drawn = found.of(name, "random")
    times = int(drawn["repetitions"].max()) if len(drawn) else 0
    caption = f"Measured: {subject['value']} on held-out examples. Dotted: without any {subject['variables']}." + (
        f" Grey: mean of {times} random subsets of each size and the central 95 % of them." if times else ""
    )
    if subject["facts"].get("compared by") == "cosine":
        caption += " By cosine one dimension alone tells its signs apart and no more, and ties go by gallery row."
    svg = feature_selection(curves, subject["floor"], subject["variables"], subject["value"], anchor)
    columns = (
        Column("order", "technique"),
        Column("dimensions", subject["variables"], "count"),
        Column("mean", "value", "measure"),
        *(Column(part, part, "measure") for part in ("sd", "low", "high")),
        Column("repetitions", "repetitions", "count"),
    )
    return Figure(f"{anchor}-plot", subject["title"], svg, caption).with_numbers(columns, curves)


def _table(found: FeatureSelection, name: str, subject: dict[str, Any], anchor: str) -> Table:
    counts = sorted(set(found.curves.loc[found.curves["dataset"] == name, "dimensions"]))
    # Techniques differ most with few variables, so the columns are spread by ratio.
    aims = np.geomspace(counts[0], counts[-1], _COLUMNS)
    shown = sorted({min(counts, key=lambda count: abs(np.log(count / aim))) for aim in aims})
    rows: list[tuple[Cell, ...]] = []
    for order in found.orders(name):
        curve = found.of(name, order).set_index("dimensions").loc[shown]
        cells = [
            Estimate(value, sd=sd) if np.isfinite(sd) else value
            for value, sd in zip(curve["mean"], curve["sd"], strict=True)
        ]
        rows.append((order, *cells, found.enough(name, order)))
    columns = (
        Column("order", "technique"),
        *(Column(f"at-{count}", f"{count}", "measure", f"with {count} {subject['variables']}") for count in shown),
        Column(
            "enough",
            f"for {ENOUGH:.0%}",
            "count",
            f"Least number of {subject['variables']} measured with {ENOUGH:.0%} of the value of all, above the floor.",
        ),
    )
    return Table.of_rows(
        f"{anchor}-table",
        f"By technique: {subject['value']}",
        columns,
        rows,
        row_kinds=["floor" if row[0] == "random" else "" for row in rows],
        caption=f"By number of {subject['variables']}; random: mean and standard deviation.",
    )
