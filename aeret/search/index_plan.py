"""Compare indexes on the queries of a finished run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aeret.progress import Progress
from aeret.settings import Settings
from aeret.stages.embedded import Embedded

NEEDED = ("prepare", "embed")


def plan_index(
    inputs: Mapping[str, Path],
    settings: Settings,
    measure: str,
    megabytes: float,
    milliseconds: float,
    kinds: Sequence[str],
    most_queries: int,
    out: Path,
    progress: Progress,
    note: Callable[[str], None],
) -> str:
    """Measure indexes on a run's queries, report and return the text.

    Args:
        inputs: the artifacts of ``prepare`` and ``embed``.
        settings: of the run; ``evaluation`` says what is compared, and how many results a search returns.
        measure: what is chosen by, e.g. ``nDCG(rel=jaccard)@10``.
        megabytes: the budget of memory, 10^6 bytes for the gallery.
        milliseconds: the budget of time, of one query on one thread.
        kinds: indexes to try; all where none is named.
        most_queries: of a larger number, a seeded sample of so many is asked.
        out: folder of ``report.html`` and its like.
        progress: shows the work.
        note: told what is left out, and why.

    Raises:
        UsageError: the measure does not parse, or is one of rankings that these photos do not allow.
    """
    import numpy as np

    from aeret.evaluation.metrics.evaluator import measure as measured
    from aeret.evaluation.metrics.judge import Judge
    from aeret.evaluation.metrics.naming import parse
    from aeret.evaluation.planning import Budget, Question, plan
    from aeret.evaluation.relevance import Truth
    from aeret.reporting.plan_report import write_plan
    from aeret.rng import generator

    asked = parse(measure)
    embedded = Embedded(inputs)
    queries, gallery = embedded.photo_sets()
    rows = np.arange(len(queries.ids))
    if len(rows) > most_queries:
        rows = np.sort(generator(settings.seed, "plan").choice(len(rows), most_queries, replace=False))
    exclude = embedded.exclude()[rows]
    masks = None if queries.masks is None else queries.masks.take(rows)
    # Totals over the gallery are summed once, not for every trial.
    judge = Judge(Truth(queries.labels[rows], gallery.labels, exclude, masks, gallery.masks))
    section, notes = settings.evaluation, list[str]()

    def keep(text: str) -> None:
        notes.append(text)
        note(text)

    budget = Budget(megabytes, milliseconds)
    question = Question(
        np.asarray(queries.vectors)[rows],
        np.asarray(gallery.vectors),
        exclude,
        min(section.results, len(gallery.ids) - int(embedded.leave_one_out)),
        lambda ranking: measured([asked], ranking, judge)[asked],
        section.similarity,
        settings.seed,
    )
    trials = plan(question, budget, kinds, progress=progress, note=keep)
    return write_plan(trials, str(asked), budget, notes, out)


def gallery_vectors(inputs: Mapping[str, Path]) -> tuple[Any, Any]:
    """Return the gallery's embeddings float32 (n, d), memory-mapped, and its photo ids int64 (n,)."""
    embedded = Embedded(inputs)
    return embedded.gallery_set.vectors, embedded.gallery_set.ids
