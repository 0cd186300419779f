"""Build the section of layout: query by layout, subsets, and how well the code is predicted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.evaluation.layouts import HITS
from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import Layouts, ReportInputs
from aeret.reporting.plots.code_spectrum import code_spectrum
from aeret.reporting.report import Block, Column, Figure, Notice, Section, Table, estimates

_AXES = (0, 1, 2, 3, 5, 7, 11, 15, 23, 31, 47, 63, 95, 127, 191, 255, 511)
_HITS = tuple(f"R@{n}" for n in HITS)
_INTERVAL = "With its 95 % bootstrap interval."
_DIRECTION_ONLY = (
    "This run's latent loss teaches the direction of a code, not its length. Code R2 above is of the predictions as "
    "they are and may be far below zero; in the figure below they are scaled by the one factor that fits these queries "
    "best. Layouts are decoded at the mean length of the true codes. Search by layout, where it compares by cosine, is "
    "not touched by length."
)
_READ_OUT = (
    "This arm learns labels alone. Its codes come from a linear read-out that was fitted on the finished network: what "
    "of the layout an embedding made for labels happens to hold."
)
_CLASSIC = (
    "No network was trained. The codes come from a linear read-out that was fitted to the classic feature on train: "
    "what of the layout the feature happens to hold."
)


def layout_section(evaluation: Evaluation, inputs: ReportInputs) -> Section:
    """Return query by layout, the layout measures on subsets, and the spectrum of the code."""
    return Section("layout", "Layout: what is where", tuple(_blocks(evaluation, inputs)))


def _blocks(evaluation: Evaluation, inputs: ReportInputs) -> Iterator[Block]:
    if evaluation.query_by_layout.empty:
        yield Notice("This run has no latent head, so photos cannot be searched by a painted layout.", "note")
    else:
        yield _by_layout(evaluation.query_by_layout)
        if inputs.settings.get("cnn", {}).get("arm") == "labels-only":
            yield Notice(_READ_OUT, "note")
        elif inputs.classic:
            yield Notice(_CLASSIC, "note")
    if inputs.layouts is not None:
        if not inputs.layouts.length_is_learnt:
            yield Notice(_DIRECTION_ONLY, "note")
        yield _spectrum(inputs.layouts)
    subsets = evaluation.layout_subsets[evaluation.layout_subsets["subset"] != "all"]
    if not subsets.empty:
        yield _subsets(subsets)


def principal_axes(
    true: NDArray[np.float32], predicted: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split the code's variance, and the R2 of its prediction, along the principal axes of the true code.

    Args:
        true: codes of the photos' own masks, float32 (q, m).
        predicted: codes predicted from the photos, float32 (q, m).

    Returns:
        Share of the true code's variance and R2 along each axis, both float64 (m,), most variance first. R2 is
        0 for a prediction that is always the mean of the true codes, and 0 on an axis without variance.
    """
    centre = true.mean(axis=0, dtype=np.float64)
    spread, error = true - centre, np.asarray(true, np.float64) - predicted
    _, axes = np.linalg.eigh(spread.T @ spread)
    axes = axes[:, ::-1]
    energy = ((spread @ axes) ** 2).sum(axis=0)
    lost = ((error @ axes) ** 2).sum(axis=0)
    total = energy.sum()
    flat = energy <= 1e-9 * max(total, 1e-30)
    share = energy / total if total > 0 else np.zeros_like(energy)
    return share, np.where(flat, 0.0, 1 - lost / np.where(flat, 1.0, energy))


def _by_layout(frame: pd.DataFrame) -> Table:
    columns = (
        Column("order", "ordered by"),
        Column("subset", "queries from"),
        Column("gallery", "searched in"),
        Column("queries", "queries", "count"),
        Column("candidates", "photos", "count"),
        *(Column(name, name, "measure", _INTERVAL, bar=True) for name in _HITS),
        Column("median_rank", "median rank", "number"),
        Column(
            "code_r2",
            "code R2",
            "measure",
            "Share of the true code's variance that the prediction explains; 0: its mean.",
        ),
    )
    hits = {name: estimates(frame, name, f"{name} low", f"{name} high") for name in _HITS}
    floors = {name: frame[f"floor {name}"] for name in (*_HITS, "median_rank")}
    rows = [frame.assign(order="predicted code", **hits), frame.assign(order="floor: chance", code_r2=0.0, **floors)]
    caption = (
        "Each query photo's own mask is encoded and compared with the codes predicted from the photos alone; R@k is "
        "how often the photo itself is among the first k. Chance is a random order of n photos, R@k = k / n with "
        "median rank (n + 1) / 2; for code R2 it is the mean code."
    )
    kinds = ("", "floor") * len(frame)
    return Table("by-layout", "Query by layout", columns, pd.concat(rows).sort_index(kind="stable"), kinds, caption)


def _spectrum(layouts: Layouts) -> Figure:
    variance, r2 = principal_axes(layouts.true_codes, layouts.query_codes * np.float32(layouts.scale))
    caption = (
        "The true codes of the query photos along their principal axes, most variance first. The CNN predicts "
        f"{int((r2 > 0).sum())} of {len(r2)} axes better than their mean; bars below zero are worse than the mean "
        "(cut at -0.5)."
    )
    if not layouts.length_is_learnt:
        caption += f" Predictions are scaled by {layouts.scale:.3g}, see above."
    columns = (
        Column("axis", "axis", "count"),
        Column("variance", "share of variance", "measure"),
        Column("r2", "R2", "signed"),
    )
    svg = code_spectrum(variance, r2, "spectrum")
    figure = Figure("code-spectrum", "How much of the code can be predicted", svg, caption)
    frame = pd.DataFrame({"axis": np.arange(1, len(r2) + 1), "variance": variance, "r2": r2})
    return figure.with_numbers(columns, frame.iloc[[axis for axis in _AXES if axis < len(r2)]])


def _subsets(frame: pd.DataFrame) -> Table:
    columns = (
        Column("subset", "queries from"),
        Column("gallery", "searched in"),
        Column("method", "method"),
        Column("measure", "measure"),
        Column("queries", "queries", "count"),
        Column("value", "value", "measure", _INTERVAL, bar=True),
        Column("floor_random", "random", "measure"),
        Column("floor_query_free", "query-free", "measure"),
    )
    caption = (
        "Layout measures where they can be trusted: on named subsets of the queries, against the whole gallery and "
        "against the subset alone, where every mask compared belongs to the subset."
    )
    shown = frame.assign(value=estimates(frame, "value", "low", "high"))
    return Table("layout-subsets", "Layout measures on subsets", columns, shown, caption=caption)
