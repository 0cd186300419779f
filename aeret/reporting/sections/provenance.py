"""What ran on what: collection, settings, seed, versions, time; and the convention of every number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import ReportInputs
from aeret.reporting.values import Block, Cell, Column, Fact, Facts, Section, Table

_NAMES = {
    "n_queries": "queries",
    "n_gallery": "gallery photos",
    "leave_one_out": "query is part of the gallery",
    "embedding_size": "embedding size",
    "lead": "lead method",
    "results": "results kept per query",
    "starts": "k-means starts",
    "mask_size": "mask side",
    "resamples": "query samples",
    "resample_fraction": "share of queries in a sample",
    "memory_estimate_bytes": "memory, estimated peak",
}


def run_section(evaluation: Evaluation, inputs: ReportInputs) -> Section:
    """Return what ran on what, with the time each stage took."""
    data = inputs.settings.get("data", {})
    cnn = inputs.settings.get("cnn", {})
    latent = inputs.settings.get("autoencoder", {})
    facts = [
        Fact("collection", data.get("manifest")),
        *_evaluation_facts(evaluation.facts),
        Fact("photo side", data.get("photo_size"), "count", "px, as stored"),
        *_background(data),
        Fact("classic feature", inputs.classic),
        Fact("network", cnn.get("backbone")),
        Fact("arm", cnn.get("arm")),
        Fact("latent loss", cnn.get("latent_loss")),
        Fact("lambda", cnn.get("latent_weight"), "number", "weight of the latent loss"),
        Fact("contrastive weight", cnn.get("contrastive_weight"), "number", "of the contrastive term under lambda"),
        Fact(
            "latent code", latent.get("latent_size"), "count", f"numbers, over {latent.get('mask_encoding', '?')} masks"
        ),
        Fact("date", inputs.date.replace("T", " ")),
    ]
    if inputs.categories and "categories" not in evaluation.facts:
        facts.append(Fact("categories", len(inputs.categories), "count"))
    blocks: list[Block] = [
        Facts("run-facts", "This run", tuple(fact for fact in facts if fact.value not in (None, "")))
    ]
    if inputs.records:
        blocks.append(_stages(inputs))
    return Section("run", "What ran on what", tuple(blocks))


def convention_section(evaluation: Evaluation, inputs: ReportInputs) -> Section:
    """Return the conventions, all settings and the versions."""
    rows = tuple((name, sentence) for name, sentence in evaluation.conventions.items())
    columns = (Column("name", "what"), Column("convention", "how it is defined"))
    blocks: list[Block] = [Table("convention-list", "How every number is defined", columns, rows)]
    if inputs.settings:
        facts = tuple(Fact(name, _plain(value)) for name, value in flat(inputs.settings))
        blocks.append(Facts("settings", "All settings", facts, folded=True))
    versions = {name: version for record in inputs.records.values() for name, version in record.versions.items()}
    if versions:
        facts = tuple(Fact(name, version) for name, version in versions.items())
        blocks.append(Facts("versions", "Versions", facts, folded=True))
    return Section("conventions", "Conventions, settings, versions", tuple(blocks))


def _background(data: Mapping[str, Any]) -> Iterator[Fact]:
    how = data.get("background", "keep")
    if how != "keep":
        whose = "of queries only" if data.get("background_splits") == "query" else "of all photos"
        yield Fact("background", f"{how}, filled with {data.get('background_fill')}", note=whose)


def _evaluation_facts(facts: Mapping[str, Any]) -> Iterator[Fact]:
    for name, value in facts.items():
        if not isinstance(value, str | int | float | bool):
            continue
        kind = "bytes" if name.endswith("bytes") else "count" if isinstance(value, int) else "number"
        yield Fact(_NAMES.get(name, name.replace("_", " ")), value, kind)


def _stages(inputs: ReportInputs) -> Table:
    columns = (
        Column("stage", "stage"),
        Column("seconds", "took", "seconds"),
        Column("attempts", "attempts", "count", "Starts; more than one where a killed run was resumed."),
        Column("started", "started"),
        Column("key", "artifact", note="Digest of everything that decides its content."),
        Column("code", "code", note="Digest of the source it depends on."),
    )
    rows: list[tuple[Cell, ...]] = [
        (stage, record.seconds, record.attempts, record.started, record.key, record.code)
        for stage, record in inputs.records.items()
    ]
    return Table("stages", "Stages before this one", columns, tuple(rows))


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of each setting."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)
