"""Build precision and recall of the first N over samples of the queries (the paper's Table 2)."""

from __future__ import annotations

import pandas as pd

from aeret.evaluation.experiment import Experiment, name_of
from aeret.evaluation.result import Evaluation
from aeret.reporting.experiments.rows import FLOORS, NAMES, first_cells, id_of
from aeret.reporting.plots.growth import POINTS, growth_lines
from aeret.reporting.report import Block, Cell, Column, Estimate, Figure, Table

_TITLES = {"P": "precision at N", "R": "recall at N"}


def cutoff_blocks(experiment: Experiment) -> list[Block]:
    """Return the table and its picture."""
    first = experiment.trials[0].evaluation
    wanted = [(measure, int(n)) for measure in _TITLES for n in first.facts["cutoffs"]]
    columns = (*NAMES, *(Column(f"{m.lower()}{n}", f"{m}@{n}", "measure") for m, n in wanted))
    rows: list[tuple[Cell, ...]] = []
    points = []
    for group, arm, trials in experiment.rows():
        found = pd.concat([_lead(trial.evaluation) for trial in trials]).groupby(level=[0, 1])[["mean", "sd"]].mean()
        means, sds = (found.loc[wanted][part].tolist() for part in ("mean", "sd"))
        cells = [Estimate(mean, sd=sd) for mean, sd in zip(means, sds, strict=True)]
        points += [(group, arm, _TITLES[m], n, mean) for (m, n), mean in zip(wanted, means, strict=True)]
        rows.append((*first_cells(group, arm, trials), *cells))
    kinds = [*[""] * len(rows), *["floor"] * len(FLOORS)]
    rows += [(title, None, *_lead(first).loc[wanted][column]) for title, column in FLOORS.items()]
    caption = (
        f"Relevant is what shares a category. Mean, and sd over {first.facts['resamples']} random samples of "
        f"{100 * first.facts['resample_fraction']:.0f} % of the queries; both averaged over seeds. {first.lead} search."
    )
    name, title = id_of(experiment, "cutoffs"), "Precision and recall of the first N"
    frame = pd.DataFrame(points, columns=pd.Index(POINTS))
    svg = growth_lines(frame, id_of(experiment, "cutoffs-plot"), "N", logarithmic=False)
    names = ", ".join(dict.fromkeys(name_of(group, "") for group, _, _ in experiment.rows()))
    note = f"Thin lines: {names}. Bold: their mean, an arm each." if len(experiment.groups()) > 1 else ""
    return [
        Table.of_rows(name, title, columns, rows, row_kinds=kinds, caption=caption),
        Figure(id_of(experiment, "cutoffs-figure"), "Precision and recall against N", svg, note),
    ]


def _lead(evaluation: Evaluation) -> pd.DataFrame:
    """Return the cut-offs of the lead method by measure and N."""
    frame = evaluation.cutoffs
    return frame[frame["method"] == evaluation.lead].set_index(["measure", "n"])
