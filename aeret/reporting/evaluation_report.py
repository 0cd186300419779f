"""Build the report of one run: the numbers that matter, then everything behind them."""

from __future__ import annotations

from collections.abc import Iterator

from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import ReportInputs
from aeret.reporting.pictures import map_colours
from aeret.reporting.report import Notice, Report, Section
from aeret.reporting.sections.autoencoder import autoencoder_section
from aeret.reporting.sections.clusters import cluster_section
from aeret.reporting.sections.headlines import headlines
from aeret.reporting.sections.layout import layout_section
from aeret.reporting.sections.measures import category_section, search_section
from aeret.reporting.sections.photo_tiles import RESULTS
from aeret.reporting.sections.provenance import convention_section, run_section
from aeret.reporting.sections.queries import query_section
from aeret.reporting.sections.training import training_section
from aeret.reporting.sections.waterfall import waterfall_section

_CLUSTER_PHOTOS = 120
_BUDGET = 3_500_000


def build_report(evaluation: Evaluation, inputs: ReportInputs) -> Report:
    """Build the report of one evaluation, for :func:`aeret.reporting.write`.

    Args:
        evaluation: the numbers.
        inputs: photos, layouts, trainings and records; the report says which parts are absent, or leaves them out.
    """
    return Report(
        inputs.title,
        _subtitle(evaluation, inputs),
        tuple(_sections(evaluation, inputs)),
        headlines(evaluation, inputs),
        [Notice(text) for text in inputs.warnings],
    )


def _sections(evaluation: Evaluation, inputs: ReportInputs) -> Iterator[Section]:
    side, colours = thumbnail_side(inputs), map_colours(inputs)
    yield run_section(evaluation, inputs)
    yield search_section(evaluation)
    yield layout_section(evaluation, inputs)
    yield query_section(evaluation, inputs, side, colours)
    yield cluster_section(evaluation, inputs, side)
    if not (evaluation.waterfall.empty and evaluation.spill.empty):
        yield waterfall_section(evaluation)
    if not evaluation.per_class.empty:
        yield category_section(evaluation)
    if inputs.autoencoder is not None:
        yield autoencoder_section(evaluation, inputs, inputs.autoencoder, colours)
    if inputs.trainings:
        yield training_section(inputs.trainings, inputs.settings)
    yield convention_section(evaluation, inputs)


def thumbnail_side(inputs: ReportInputs) -> int:
    """Return the longest side of a thumbnail, pixels, that keeps the page small for its number of photos."""
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
