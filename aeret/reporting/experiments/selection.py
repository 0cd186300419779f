"""Fig. 3: accuracy against the number of variables, of the first run that selected some."""

from __future__ import annotations

from aeret.evaluation.experiment import Experiment
from aeret.evaluation.feature_selection.result import FeatureSelection
from aeret.reporting.experiments.rows import id_of
from aeret.reporting.sections.feature_selection import section
from aeret.reporting.values import Block, Notice

STAGE = "feature-selection"


def selection_blocks(experiment: Experiment) -> list[Block]:
    """Return the figures and tables of the stage."""
    folder = next((t.artifacts[STAGE] for t in experiment.trials if STAGE in t.artifacts), None)
    if folder is None:
        return [Notice(f"No run of this experiment has the stage {STAGE}; add it to pipeline.stages.", "warning")]
    return list(section(FeatureSelection.open(folder), id_of(experiment, "selection")).blocks)
