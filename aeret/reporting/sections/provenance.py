"""Build the sections of what ran on what, and of conventions, settings and versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import ReportInputs
from aeret.reporting.report import Block, Column, Fact, Facts, Section, Table

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
    data, cnn, latent = (inputs.settings.get(part, {}) for part in ("data", "cnn", "autoencoder"))
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
    blocks: list[Block] = [Facts("run-facts", "This run", [fact for fact in facts if fact.value not in (None, "")])]
    if inputs.records:
        blocks.append(_stages(inputs))
    return Section("run", "What ran on what", blocks)


def convention_section(evaluation: Evaluation, inputs: ReportInputs) -> Section:
    """Return the conventions, all settings and the versions."""
    blocks: list[Block] = [convention_table(evaluation.conventions)]
    if inputs.settings:
        facts = [Fact(name, _plain(value)) for name, value in flat(inputs.settings)]
        blocks.append(Facts("settings", "All settings", facts, folded=True))
    versions = {name: version for record in inputs.records.values() for name, version in record.versions.items()}
    if versions:
        blocks.append(version_facts(versions))
    return Section("conventions", "Conventions, settings, versions", blocks)


def convention_table(conventions: Mapping[str, str]) -> Table:
    """Return the table of how every number is defined, given name to sentence."""
    columns = (Column("name", "what"), Column("convention", "how it is defined"))
    return Table.of_rows("convention-list", "How every number is defined", columns, conventions.items())


def version_facts(versions: Mapping[str, str]) -> Facts:
    """Return the versions of packages, folded."""
    return Facts("versions", "Versions", [Fact(name, version) for name, version in versions.items()], folded=True)


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of each setting."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


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
    rows = [
        {"stage": stage} | {column.name: getattr(record, column.name) for column in columns[1:]}
        for stage, record in inputs.records.items()
    ]
    return Table("stages", "Stages before this one", columns, pd.DataFrame(rows))


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
