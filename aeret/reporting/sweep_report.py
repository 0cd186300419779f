"""The report of a sweep over the number of clusters: table, plot, and which k each criterion would choose."""

from __future__ import annotations

import pandas as pd

from aeret.evaluation.cluster_sweep import CRITERIA, choices
from aeret.reporting.plots.cluster_sweep import cluster_sweep
from aeret.reporting.values import Block, Column, Fact, Facts, Figure, Notice, Prose, Report, Section, Table

TITLES = {
    "inertia": "inertia",
    "silhouette": "silhouette",
    "davies_bouldin": "Davies-Bouldin",
    "f": "pairwise F",
    "kappa": "pairwise kappa",
    "nmi": "NMI",
    "ari": "ARI",
}


def sweep_report(
    sweep: pd.DataFrame, conventions: dict[str, str], title: str, subtitle: str, settings: dict[str, int]
) -> Report:
    """Return the report of what :func:`aeret.evaluation.cluster_sweep.sweep_clusters` found.

    Args:
        sweep: a row per k.
        conventions: name to sentence.
        title: of the page.
        subtitle: of the page.
        settings: name to number, shown as facts.
    """
    chosen = choices(sweep)
    shown = {name: text for name, text in TITLES.items() if sweep[name].notna().any()}
    columns = (
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
    rows = tuple(sweep[[column.name for column in columns]].itertuples(index=False, name=None))
    blocks: list[Block] = [
        Notice(
            "Inertia falls with every further cluster, and pairwise F favours few large ones: one single cluster has "
            "recall 1. Compare k by kappa, or by what search needs: smaller clusters are scanned faster and lose more.",
            "note",
        ),
        Table("sweep", "A clustering per k", columns, rows),
        Figure(
            "sweep-plot",
            "Measures against k",
            cluster_sweep(sweep, shown, chosen, "sweep"),
            "Ringed: what the criterion would choose.",
        ),
        Table(
            "choices",
            "Which k each criterion would choose",
            (Column("criterion", "criterion"), Column("rule", "rule"), Column("k", "k", "count")),
            tuple((TITLES[name], rule, chosen.get(name)) for name, rule in CRITERIA.items()),
        ),
    ]
    facts = Facts("settings", "What was swept", tuple(Fact(name, value, "count") for name, value in settings.items()))
    words: list[Block] = [Prose(f"{name}: {sentence}") for name, sentence in conventions.items()]
    return Report(
        title,
        subtitle,
        (),
        (
            Section("clusters", "Clusters by k", tuple(blocks)),
            Section("conventions", "How the numbers are defined", (facts, *words)),
        ),
    )
