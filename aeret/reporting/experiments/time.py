"""Build top-1 and top-10 accuracy, the share of relevant results, beside the time of a query."""

from __future__ import annotations

import numpy as np

from aeret.evaluation.experiment import Experiment
from aeret.reporting.experiments.rows import NAMES, first_cells, id_of, measure_cells
from aeret.reporting.report import Block, Cell, Column, Table

_TOP = (1, 10)


def time_blocks(experiment: Experiment) -> list[Block]:
    """Return the table."""
    searches = list(dict.fromkeys(name for trial in experiment.trials for name in trial.evaluation.timings))
    columns = (
        *NAMES,
        *(Column(f"top{n}", f"top-{n} accuracy", "measure", "Mean share of relevant results.") for n in _TOP),
        *(Column(f"t{place}", f"{name}, ms", "number") for place, name in enumerate(searches)),
    )
    rows: list[tuple[Cell, ...]] = []
    for group, arm, trials in experiment.rows():
        tops = measure_cells(trials, (f"P(rel=any)@{n}" for n in _TOP))
        times = (
            float(np.median([trial.evaluation.timings.get(name, np.nan) for trial in trials])) for name in searches
        )
        rows.append((*first_cells(group, arm, trials), *tops, *times))
    caption = (
        "Milliseconds of one query: a search of all queries at once, over their number; median over seeds, and the "
        "machine's load is in them. To embed a photo, and to remove its background, comes before and is not in them. "
        "Relevant is what shares a category."
    )
    return [Table.of_rows(id_of(experiment, "time"), "Accuracy and retrieval time", columns, rows, caption=caption)]
