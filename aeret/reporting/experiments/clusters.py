"""Fig. 4: clusters as galleries, of the run whose clusters agree best with the labels."""

from __future__ import annotations

from dataclasses import replace

from aeret.evaluation.experiment import Experiment
from aeret.evaluation.result import Evaluation
from aeret.reporting.experiments.rows import id_of
from aeret.reporting.sections.clusters import cluster_galleries
from aeret.reporting.values import Block, Gallery, Notice

_SIDE = 72


def cluster_blocks(experiment: Experiment) -> list[Block]:
    """Return the galleries."""
    best = max(experiment.trials, key=lambda trial: _kappa(trial.evaluation))
    opened = best.opened()
    galleries = cluster_galleries(best.evaluation, opened.gallery, opened.categories, _SIDE)
    text = f"Clusters of {best.run}: of all runs of this experiment, those whose pairs agree best with the labels."
    return [Notice(text, "note"), *(_renamed(block, id_of(experiment, "")) for block in galleries)]


def _renamed(gallery: Gallery, mark: str) -> Gallery:
    """Return the gallery under ids that no other section of the report has."""
    strips = tuple(replace(strip, id=f"{mark}-{strip.id}") for strip in gallery.strips)
    return replace(gallery, id=f"{mark}-{gallery.id}", strips=strips)


def _kappa(evaluation: Evaluation) -> float:
    return float(evaluation.pairs.loc[evaluation.pairs["name"] == "clusters", "kappa"].iloc[0])
