"""Show the clusters of the run whose clusters agree best with the labels (the paper's Fig. 4)."""

from __future__ import annotations

from dataclasses import replace

from aeret.evaluation.experiment import Experiment, Trial
from aeret.reporting.experiments.rows import id_of
from aeret.reporting.report import Block, Gallery, Notice
from aeret.reporting.sections.clusters import cluster_galleries

_SIDE = 72


def cluster_blocks(experiment: Experiment) -> list[Block]:
    """Return the galleries."""
    best = max(experiment.trials, key=_kappa)
    opened = best.opened()
    galleries = cluster_galleries(best.evaluation, opened.gallery, opened.categories, _SIDE)
    text = f"Clusters of {best.run}: of all runs of this experiment, those whose pairs agree best with the labels."
    return [Notice(text, "note"), *(_renamed(gallery, id_of(experiment, "")) for gallery in galleries)]


def _renamed(gallery: Gallery, mark: str) -> Gallery:
    """Return the gallery under ids that no other section of the report has."""
    strips = [replace(strip, id=f"{mark}-{strip.id}") for strip in gallery.strips]
    return replace(gallery, id=f"{mark}-{gallery.id}", strips=strips)


def _kappa(trial: Trial) -> float:
    pairs = trial.evaluation.pairs
    return float(pairs.loc[pairs["name"] == "clusters", "kappa"].iloc[0])
