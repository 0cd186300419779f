"""``feature-selection``: which pixels tell a digit, and which dimensions of the embedding carry the retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeret.progress import Progress
from aeret.settings import Settings
from aeret.stages.embedded import Embedded

if TYPE_CHECKING:
    from aeret.evaluation.feature_selection.subject import Subject

NAME = "feature-selection"
SUMMARY = "Choose variables by several techniques, and measure what each number of them is worth (the paper's Fig. 3)."
INPUTS = ("prepare", "embed")
SECTIONS = ("seed", "evaluation", "feature_selection")


def inputs(settings: Settings) -> tuple[str, ...]:
    """Return the stages read: none where the digits alone are asked."""
    return () if settings.feature_selection.datasets == "digits" else INPUTS


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Write ``curves.csv``, ``chosen.json`` and the report; ``parts/`` is what a killed run goes on from.

    Returns:
        For each dataset the value of all variables, and how many each technique needs for most of it.

    Raises:
        UsageError: the measure does not fit, or the photos are too few.
    """
    import pandas as pd

    from aeret.evaluation.feature_selection.curves import select_features
    from aeret.evaluation.feature_selection.result import FeatureSelection, described
    from aeret.evaluation.feature_selection.technique import Effort
    from aeret.reporting import write
    from aeret.reporting.sections.feature_selection import report

    section = settings.feature_selection
    curves, chosen, subjects = [], {}, {}
    for subject in _subjects(settings, inputs):
        effort = Effort(
            section.greedy_block or (1 if subject.choice.total <= 64 else subject.choice.total // 32),
            section.population,
            section.generations,
            section.threads,
        )
        frame, chosen[subject.name] = select_features(
            subject,
            section.methods,
            section.dimensions,
            section.repetitions if subject.name == "digits" else section.embedding_repetitions,
            effort,
            settings.seed,
            out / "parts",
            progress,
        )
        curves.append(frame)
        subjects[subject.name] = described(subject)
    found = FeatureSelection(pd.concat(curves, ignore_index=True), chosen, subjects)
    found.save(out)
    write(report(found, f"seed {settings.seed}"), out)
    return {
        name: {
            "all": found.whole(name),
            "floor": subjects[name]["floor"],
            "enough": {order: found.enough(name, order) for order in found.orders(name)},
        }
        for name in subjects
    }


def _subjects(settings: Settings, inputs: Mapping[str, Path]) -> list[Subject]:
    import numpy as np

    from aeret.evaluation.feature_selection.digits import digits
    from aeret.evaluation.feature_selection.retrieval import retrieval

    section, subjects = settings.feature_selection, []
    if section.datasets != "embedding":
        subjects.append(digits(settings.seed, section.l2))
    if section.datasets != "digits":
        embedded = Embedded(inputs)
        queries, gallery = ((np.asarray(photos.vectors), np.asarray(photos.labels)) for photos in embedded.photo_sets())
        subjects.append(
            retrieval(
                queries,
                gallery,
                embedded.leave_one_out,
                section.measure,
                settings.evaluation.similarity,
                section.photos,
                settings.seed,
            )
        )
    return subjects
