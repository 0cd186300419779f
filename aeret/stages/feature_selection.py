"""Run the stage ``feature-selection``: which variables carry the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeret.progress import Progress
from aeret.settings import Settings
from aeret.stages.embedded import Embedded

if TYPE_CHECKING:
    from aeret.evaluation.feature_selection.technique import Subject

NAME = "feature-selection"
SUMMARY = "Choose variables by several techniques, and measure what each number of them is worth (the paper's Fig. 3)."
INPUTS = ("prepare", "embed")
SECTIONS = ("seed", "evaluation", "feature_selection")


def inputs(settings: Settings) -> tuple[str, ...]:
    """Return the stages read: none if the digits alone are asked."""
    return () if settings.feature_selection.datasets == "digits" else INPUTS


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Write a :class:`~aeret.evaluation.feature_selection.result.FeatureSelection` and its report.

    Returns:
        For each dataset the value of all variables, and how many each technique needs for most of it.

    Raises:
        UsageError: the measure does not fit, or there are too few photos.
    """
    from aeret.evaluation.feature_selection.result import FeatureSelection
    from aeret.reporting import write
    from aeret.reporting.sections.feature_selection import report

    found = FeatureSelection.make(_subjects(settings, inputs), settings.feature_selection, settings.seed, out, progress)
    found.save(out)
    write(report(found, f"seed {settings.seed}"), out)
    return {
        name: {
            "all": found.whole(name),
            "floor": subject["floor"],
            "enough": {order: found.enough(name, order) for order in found.orders(name)},
        }
        for name, subject in found.subjects.items()
    }


def _subjects(settings: Settings, inputs: Mapping[str, Path]) -> Iterator[Subject]:
    import numpy as np

    from aeret.evaluation.feature_selection.digits import digits
    from aeret.evaluation.feature_selection.retrieval import retrieval

    section = settings.feature_selection
    if section.datasets != "embedding":
        yield digits(settings.seed, section.l2)
    if section.datasets != "digits":
        embedded = Embedded(inputs)
        queries, gallery = ((np.asarray(photos.vectors), np.asarray(photos.labels)) for photos in embedded.photo_sets())
        asked = (section.measure, settings.evaluation.similarity, section.photos, settings.seed)
        yield retrieval(queries, gallery, embedded.leave_one_out, *asked)
