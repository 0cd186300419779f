"""Run ``cluster-eval``: from embeddings to clusters, rankings, measures and the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aeret.progress import Progress
from aeret.settings import Settings

NAME = "cluster-eval"
SUMMARY = "Cluster the gallery, search it cluster-first, measure what is found, and write the report."
INPUTS = ("prepare", "train-ae", "encode-masks", "train-cnn", "embed")
SECTIONS = ("seed", "evaluation")
HEADLINE = True


def inputs(settings: Settings) -> tuple[str, ...]:
    """Return the stages read; a classic feature has no training of its own."""
    return INPUTS if settings.embed.features == "cnn" else tuple(each for each in INPUTS if each != "train-cnn")


def demand_fit(settings: Settings, inputs: Mapping[str, Path]) -> None:
    """Check that the prepared gallery holds enough photos for the clusters.

    Raises:
        UsageError: it holds fewer.
    """
    from aeret.artifacts import read_record
    from aeret.data.manifest import load_manifest
    from aeret.data.selection import demand_gallery

    if "prepare" in inputs:
        photos = read_record(inputs["prepare"]).metrics["photos"]["gallery"]
        demand_gallery(load_manifest(settings.data.manifest), photos, settings.evaluation.clusters)


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Write the evaluation, its clusters and the report; a killed run goes on from what it finished.

    Returns:
        ``headline``: the numbers that matter with the highest floor of each, as the command line prints them;
        ``measures``: every measure of the lead method; ``memory_estimate_bytes``; ``ms_per_query``: search to
        milliseconds of one query if all are asked in one batch, the one value that no seed decides.

    Raises:
        UsageError: embeddings of a folder of photos, which have no labels to measure against.
        RunError: the machine has less memory than the evaluation needs.
    """
    from datetime import datetime

    from aeret.errors import UsageError
    from aeret.evaluation.evaluate import Evaluation, EvaluationOptions, LayoutCodes, evaluate
    from aeret.reporting import write
    from aeret.reporting.evaluation_report import build_report
    from aeret.reporting.sections.headlines import headline_metrics
    from aeret.stages.embedded import Embedded
    from aeret.stages.encode_masks import MaskCodes
    from aeret.stages.report_inputs import report_inputs

    if settings.embed.photos:
        raise UsageError(
            f"embed.photos={settings.embed.photos}: a folder of photos has no labels to measure against; leave it "
            "empty to evaluate the query and gallery splits."
        )
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    photos = Embedded(inputs)
    codes = LayoutCodes(MaskCodes.open(inputs["encode-masks"]).of("query"), photos.query_set.matrices["codes"])
    if Evaluation.is_in(out):
        evaluation = Evaluation.open(out)
    else:
        options = EvaluationOptions(settings.evaluation, settings.seed, photos.leave_one_out, progress=progress)
        sets = photos.photo_sets()
        evaluation = evaluate(*sets, photos.categories, options, codes=codes, clustering=out / "clusters")
        evaluation.save(out)
    with progress("report", 2, unit="step") as step:
        report = build_report(evaluation, report_inputs(settings, photos, codes, started))
        step(1)
        write(report, out)
        step(1)
    lead = evaluation.measures[evaluation.measures["method"] == evaluation.lead].dropna(subset="value")
    return {
        "headline": headline_metrics(report),
        "measures": dict(zip(lead["measure"], lead["value"].astype(float).tolist(), strict=True)),
        "memory_estimate_bytes": evaluation.facts["memory_estimate_bytes"],
        "ms_per_query": {name: round(value, 5) for name, value in evaluation.timings.items()},
    }
