"""Build the report of a sweep over the number of clusters."""

from __future__ import annotations

import pandas as pd

from aeret.evaluation.cluster_sweep import CRITERIA, choices
from aeret.reporting.plots.cluster_sweep import cluster_sweep
from aeret.reporting.report import Column, Fact, Facts, Figure, Notice, Prose, Report, Section, Table

_COLUMNS = (
    Column("k", "k", "count"),
    Column("inertia", "inertia", "number"),
    Column("silhouette", "silhouette", "signed"),
    Column("davies_bouldin", "Davies-Bouldin", "number"),
    Column("f", "pairwise F", "measure", bar=True),
    Column("kappa", "kappa", "signed"),
    Column("nmi", "NMI", "measure"),
    Column("ari", "ARI", "signed"),
    Column("imbalance", "imbalance", "number"),
    Column("seconds", "k-means s", "number"),
)
TITLES = {column.name: column.title for column in _COLUMNS[1:8]} | {"kappa": "pairwise kappa"}


def sweep_report(
    sweep: pd.DataFrame, conventions: dict[str, str], title: str, subtitle: str, settings: dict[str, int]
) -> Report:
    """Return the report of :func:`aeret.evaluation.cluster_sweep.sweep_clusters`.

    Args:
        sweep: one row per k.
        conventions: name to sentence.
        title: title of the page.
        subtitle: subtitle of the page.
        settings: name to number, shown as facts.
    """
    chosen = choices(sweep)
    shown = {name: text for name, text in TITLES.items() if sweep[name].notna().any()}
    warning = (
        "Inertia falls with every further cluster, and pairwise F favours few large ones: one single cluster has "
        "recall 1. Compare k by kappa, or by what search needs: smaller clusters are scanned faster and lose more."
    )
    svg, caption = cluster_sweep(sweep, shown, chosen, "sweep"), "Ringed: what the criterion would choose."
    columns = (Column("criterion", "criterion"), Column("rule", "rule"), Column("k", "k", "count"))
    rows = [(TITLES[name], rule, chosen.get(name)) for name, rule in CRITERIA.items()]
    blocks = (
        Notice(warning, "note"),
        Table("sweep", "A clustering per k", _COLUMNS, sweep),
        Figure("sweep-plot", "Measures against k", svg, caption),
        Table.of_rows("choices", "Which k each criterion would choose", columns, rows),
    )
    facts = Facts("settings", "What was swept", [Fact(name, value, "count") for name, value in settings.items()])
    words = (Prose(f"{name}: {sentence}") for name, sentence in conventions.items())
    return Report(
        title,
        subtitle,
        (
            Section("clusters", "Clusters by k", blocks),
            Section("conventions", "How the numbers are defined", (facts, *words)),
        ),
    )
