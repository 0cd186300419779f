"""Build pairwise F after k-means beside its floors and its ceiling (the paper's Table 1)."""

from __future__ import annotations

from functools import partial

import numpy as np

from aeret.errors import UsageError
from aeret.evaluation.experiment import Experiment, Trial, name_of
from aeret.evaluation.pair_bootstrap import FDifference, f_difference
from aeret.evaluation.result import Evaluation
from aeret.evaluation.significance import holm
from aeret.reporting.experiments.rows import LEVEL, NAMES, first_cells, id_of, mean_cell
from aeret.reporting.plots.intervals import Bar, intervals
from aeret.reporting.report import Block, Cell, Column, Estimate, Figure, Table

_PARTITIONS = ("single cluster", "random partition", "label oracle")
_MEASURES = ("precision", "recall", "f", "kappa")
_COLUMNS = (
    *NAMES,
    Column("precision", "precision", "measure", "TP / (TP + FP), of pairs in one cluster."),
    Column("recall", "recall", "measure", "TP / (TP + FN), of pairs that share a category."),
    Column("f", "F", "measure"),
    Column("kappa", "kappa", "signed", "F corrected for chance: 0 at chance, 1 when pairs and labels agree."),
    Column("difference", "F difference", "signed", "From the baseline of the same group, 95 % interval."),
    Column("p_holm", "adjusted p", "p", "Paired bootstrap over photos, Holm over this table."),
)


def pair_blocks(experiment: Experiment) -> list[Block]:
    """Return the table and its picture.

    Raises:
        UsageError: the runs were clustered with different k: F would compare the k.
    """
    numbers = {int(trial.evaluation.facts["clusters"]) for trial in experiment.trials}
    if len(numbers) > 1:
        raise UsageError(
            f"experiment {experiment.name}: pairwise F of runs with k = {sorted(numbers)} cannot be compared; give "
            "evaluation.clusters one value."
        )
    floors = {
        name: [float(np.mean([_pair(t.evaluation, column, name) for t in experiment.trials])) for column in _MEASURES]
        for name in _PARTITIONS
    }
    f_of = {name: cells[_MEASURES.index("f")] for name, cells in floors.items()}
    return [_table(experiment, floors, numbers.pop()), _figure(experiment, f_of)]


def _table(experiment: Experiment, floors: dict[str, list[float]], k: int) -> Table:
    differences = _differences(experiment)
    p_values = holm(np.array([each.p for each in differences.values()])) if differences else ()
    adjusted = dict(zip(differences, p_values, strict=True))
    rows: list[tuple[Cell, ...]] = []
    kinds: list[str] = []
    for group, arm, trials in experiment.rows():
        found, p = differences.get((group, arm)), adjusted.get((group, arm))
        measured = (mean_cell(trials, partial(_pair, column=name)) for name in _MEASURES)
        against = Estimate(found.difference, found.low, found.high) if found else None
        rows.append((*first_cells(group, arm, trials), *measured, against, p))
        kinds.append("lead" if p is not None and p < LEVEL else "")
    rows += [(name, None, *cells, None, None) for name, cells in floors.items()]
    kinds += ["floor"] * len(floors)
    caption = (
        f"Over all pairs of gallery photos, k-means with k = {k} throughout; mean ± sd over seeds. F is easily fooled: "
        "a single cluster has recall 1, so read kappa beside it. Bold: the difference stands at 0.05 after Holm. "
        "Differences are of at most 4,000 photos, drawn at random."
    )
    notes = ("The label oracle puts each photo into the cluster of its most frequent own label: a ceiling of a kind.",)
    title = "Pairwise precision, recall and F"
    return Table.of_rows(
        id_of(experiment, "pairs"), title, _COLUMNS, rows, row_kinds=kinds, caption=caption, notes=notes
    )


def _figure(experiment: Experiment, floors: dict[str, float]) -> Figure:
    bars = []
    for group, arm, trials in experiment.rows():
        values = [_pair(trial.evaluation, "f") for trial in trials]
        bars.append(Bar(name_of(group, arm), float(np.mean(values)), min(values), max(values), arm or "all"))
    shown = {"random partition": floors["random partition"]}
    svg = intervals(bars, id_of(experiment, "pairs-plot"), "pairwise F after k-means", shown)
    caption = (
        f"Dots are means over seeds, lines reach from the lowest to the highest seed. Not drawn: a single cluster has "
        f"F {floors['single cluster']:.3f}, the label oracle {floors['label oracle']:.3f}."
    )
    return Figure(id_of(experiment, "pairs-figure"), "Pairwise F by network and arm", svg, caption)


def _pair(evaluation: Evaluation, column: str, partition: str = "clusters") -> float:
    frame = evaluation.pairs
    return float(frame.loc[frame["name"] == partition, column].iloc[0])


def _differences(experiment: Experiment) -> dict[tuple[str, str], FDifference]:
    """Return group and arm to the difference of F from the baseline of the group."""
    found: dict[tuple[str, str], FDifference] = {}
    for group, arms in experiment.groups().items():
        base = arms.get(experiment.reference) if experiment.compare else None
        if not base:
            continue
        labels = base[0].opened().photo_sets()[1].labels
        for arm, trials in arms.items():
            if arm != experiment.reference:
                found[group, arm] = f_difference(labels, _assignments(base), _assignments(trials))
    return found


def _assignments(trials: list[Trial]) -> list[np.ndarray]:
    return [trial.evaluation.assignment for trial in trials]
