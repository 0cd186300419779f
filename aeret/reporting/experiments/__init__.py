"""Build the report of experiments from the tables and figures that a pipeline file asks for."""

from collections.abc import Callable, Sequence

from aeret.evaluation.experiment import Experiment
from aeret.reporting.experiments.clusters import cluster_blocks
from aeret.reporting.experiments.cutoffs import cutoff_blocks
from aeret.reporting.experiments.effects import effect_blocks
from aeret.reporting.experiments.growth import growth_blocks
from aeret.reporting.experiments.pairs import pair_blocks
from aeret.reporting.experiments.selection import selection_blocks
from aeret.reporting.experiments.time import time_blocks
from aeret.reporting.experiments.trade_off import trade_off_blocks
from aeret.reporting.report import Block

SHOWS: dict[str, Callable[[Experiment], Sequence[Block]]] = {
    "pairs": pair_blocks,
    "cutoffs": cutoff_blocks,
    "growth": growth_blocks,
    "clusters": cluster_blocks,
    "effects": effect_blocks,
    "trade-off": trade_off_blocks,
    "time": time_blocks,
    "selection": selection_blocks,
}
"""Names in ``pipeline.shows`` to the functions that build their blocks."""

__all__ = ["SHOWS"]
