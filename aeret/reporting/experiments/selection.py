"""Show accuracy against the number of variables, of the first run that selected some (the paper's Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence

from aeret.evaluation.experiment import Experiment
from aeret.evaluation.feature_selection.result import FeatureSelection
from aeret.reporting.experiments.rows import id_of
from aeret.reporting.report import Block, Notice
from aeret.reporting.sections.feature_selection import section

STAGE = "feature-selection"


def selection_blocks(experiment: Experiment) -> Sequence[Block]:
    """Return the figures and tables of the stage."""
    folder = next((t.artifacts[STAGE] for t in experiment.trials if STAGE in t.artifacts), None)
    if folder is None:
        return [Notice(f"No run of this experiment has the stage {STAGE}; add it to pipeline.stages.", "warning")]
    return section(FeatureSelection.open(folder), id_of(experiment, "selection")).blocks
