"""Cluster the gallery of a finished run for several k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aeret.progress import Progress
from aeret.settings import Settings
from aeret.stages.embedded import Embedded

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("prepare", "embed")


def sweep_run(
    inputs: Mapping[str, Path],
    settings: Settings,
    clusters: Sequence[int],
    name: str,
    sample: int,
    out: Path,
    progress: Progress,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Cluster a run's gallery for every k and write the report.

    Args:
        inputs: the artifacts of ``prepare`` and ``embed``.
        settings: the run's settings; ``evaluation`` gives the similarity and the starts of k-means.
        clusters: values of k.
        name: the run's id, for the title.
        sample: number of photos that the silhouette averages over.
        out: folder of the report.
        progress: shows the work.

    Raises:
        UsageError: a k exceeds what this gallery allows.
    """
    import numpy as np

    from aeret.embeddings.normalise import l2_normalise
    from aeret.evaluation.cluster_sweep import choices, sweep_clusters
    from aeret.evaluation.conventions import cluster_conventions
    from aeret.reporting import write
    from aeret.reporting.sweep_report import sweep_report

    section = settings.evaluation
    gallery = Embedded(inputs).photo_sets()[1]
    vectors = np.asarray(gallery.vectors)
    if section.similarity == "cosine":
        vectors = l2_normalise(vectors)
    kmeans = {"starts": section.starts, "iterations": section.iterations}
    sweep = sweep_clusters(vectors, gallery.labels, clusters, settings.seed, sample, progress, **kmeans)
    subtitle = f"{len(vectors):,} gallery photos \u00b7 {section.similarity} \u00b7 seed {settings.seed}".replace(
        ",", "\u202f"
    )
    facts = {
        "photos": len(vectors),
        "photos with exactly one label": int((gallery.labels.sum(axis=1) == 1).sum()),
        "starts of k-means": section.starts,
    }
    out.mkdir(parents=True, exist_ok=True)
    write(sweep_report(sweep, cluster_conventions(sample), f"Clusters by k: {name}", subtitle, facts), out)
    return sweep, choices(sweep)
