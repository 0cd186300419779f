"""The report of one run: the numbers that matter, then everything behind them."""

from __future__ import annotations

from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import ReportInputs
from aeret.reporting.pictures import map_colours
from aeret.reporting.sections.autoencoder import autoencoder_section
from aeret.reporting.sections.clusters import cluster_section
from aeret.reporting.sections.headlines import headlines
from aeret.reporting.sections.layout import layout_section
from aeret.reporting.sections.measures import category_section, search_section
from aeret.reporting.sections.provenance import convention_section, run_section
from aeret.reporting.sections.queries import RESULTS, query_section
from aeret.reporting.sections.training import training_section
from aeret.reporting.sections.waterfall import waterfall_section
from aeret.reporting.values import Notice, Report, Section

_CLUSTER_PHOTOS = 120
_BUDGET = 3_500_000


def build_report(evaluation: Evaluation, inputs: ReportInputs) -> Report:
    """Build the report of one evaluation.

    Args:
        evaluation: the numbers.
        inputs: photos, layouts, trainings and records; a part that is absent is said to be, or left out.

    Returns:
        The report, for :func:`aeret.reporting.write`.
    """
    side, colours = thumbnail_side(inputs), map_colours(inputs)
    sections: list[Section] = [
        run_section(evaluation, inputs),
        search_section(evaluation),
        layout_section(evaluation, inputs),
        query_section(evaluation, inputs, side, colours),
        cluster_section(evaluation, inputs, side),
    ]
    if not (evaluation.waterfall.empty and evaluation.spill.empty):
        sections.append(waterfall_section(evaluation))
    if not evaluation.per_class.empty:
        sections.append(category_section(evaluation))
    if inputs.autoencoder is not None:
        sections.append(autoencoder_section(evaluation, inputs, inputs.autoencoder, colours))
    if inputs.trainings:
        sections.append(training_section(inputs.trainings, inputs.settings))
    sections.append(convention_section(evaluation, inputs))
    return Report(
        inputs.title,
        _subtitle(evaluation, inputs),
        headlines(evaluation, inputs),
        tuple(sections),
        tuple(Notice(text) for text in inputs.warnings),
    )


def thumbnail_side(inputs: ReportInputs) -> int:
    """Return the longest side of a thumbnail, pixels, that keeps the page small for the number of photos it shows."""
    photos = 2 * inputs.examples * (1 + RESULTS) + _CLUSTER_PHOTOS
    for side, typical_bytes in ((128, 6500), (96, 4200), (64, 2400)):
        if photos * typical_bytes <= _BUDGET:
            return side
    return 48


def _subtitle(evaluation: Evaluation, inputs: ReportInputs) -> str:
    facts = evaluation.facts
    parts = [
        f"{facts['n_queries']:,} queries in a gallery of {facts['n_gallery']:,} photos".replace(",", "\u202f"),
        inputs.classic or str(inputs.settings.get("cnn", {}).get("arm", "")),
        str(inputs.settings.get("data", {}).get("manifest", "")),
        f"seed {facts['seed']}" if "seed" in facts else "",
        inputs.date[:16].replace("T", " "),
    ]
    return " · ".join(part for part in parts if part)
