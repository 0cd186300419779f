"""The artifacts of one finished run, for commands that read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def inputs_of(root: Path, name: str, stages: Sequence[str]) -> dict[str, Path]:
    """Return the artifact folder of each stage of one run.

    Args:
        root: the folder of all runs.
        name: an id, a unique prefix or ``latest``.
        stages: whose artifacts are needed.

    Raises:
        UsageError: the name is no run or several, or the run has not got that far.
    """
    from aeret.errors import UsageError
    from aeret.pipeline.history import artifact_of, find_runs

    runs = find_runs(root, name)
    if len(runs) > 1:
        raise UsageError(f"--run {name} is {len(runs)} runs; name one of {', '.join(run.id for run in runs)}.")
    found = {stage: artifact_of(root, runs[0], stage) for stage in stages}
    missing = [stage for stage, folder in found.items() if folder is None or not (folder / "artifact.json").is_file()]
    if missing:
        raise UsageError(f"run {runs[0].id} has no {' and no '.join(missing)} yet; finish it with `aeret run` first.")
    return {stage: folder for stage, folder in found.items() if folder is not None}
