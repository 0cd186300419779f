"""``aeret run``: run a whole pipeline."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aeret.cli.options import runs_option, settings_options

if TYPE_CHECKING:
    from aeret.pipeline.history import Run
    from aeret.pipeline.pipelines import Pipeline


@click.command("run")
@click.argument("pipeline", required=False, type=click.Path(path_type=Path))
@settings_options
@click.option(
    "--preset", default="", help="One of the file's presets (smoke, small, full); its own choice when absent."
)
@click.option("--dry-run", is_flag=True, help="Say what would run and what is up to date, and stop.")
@runs_option
def command(
    pipeline: Path | None, config: Path | None, overrides: tuple[str, ...], preset: str, dry_run: bool, root: Path
) -> None:
    """Run all stages of a pipeline file; skip what is up to date, resume what was killed.

    PIPELINE may also be given as --config.

    \b
    Example:
      aeret run pipelines/demo.yaml
      aeret run pipelines/coco.yaml --set data.manifest=my.yaml --set cnn.training.epochs=30
      aeret run pipelines/paper.yaml --preset small
    """
    from aeret.cli.report_lines import headline_lines
    from aeret.errors import RunError
    from aeret.pipeline import history
    from aeret.pipeline.graph import Sources, plan
    from aeret.pipeline.pipelines import read_pipeline
    from aeret.pipeline.run import parts_of, run_pipeline

    if pipeline and config:
        raise click.UsageError(f"{pipeline} and --config {config} are both given; give one pipeline file.")
    path = pipeline or config
    if path is None:
        raise click.UsageError("Give a pipeline file, for example `aeret run pipelines/demo.yaml`.")
    pipeline_read = read_pipeline(path, overrides, preset)
    parts = pipeline_read.experiments or (pipeline_read,)
    if pipeline_read.preset:
        click.echo(f"Preset {pipeline_read.preset}: {_preset_about(parts)}".rstrip(": "))
    if dry_run:
        known: Sources = {}
        for part in parts_of(pipeline_read, root, known):
            for cell in part.cells:
                click.echo(f"{part.name} {cell.label}".rstrip())
                for task in plan(cell.settings, part.stages, root, known):
                    click.echo(f"  {task.stage:<13} {'up to date' if task.done else 'would run ':<10} {task.folder}")
        return
    runs = run_pipeline(pipeline_read, root, click.echo)
    if not pipeline_read.experiments:
        for run in runs:
            for line in headline_lines(run, history.folder_of(root, run)):
                click.echo(line)
    failed = [run.id for run in runs if run.status != "done"]
    if pipeline_read.experiments or pipeline_read.shows:
        _report(pipeline_read, runs, failed, root, _command(path, preset, overrides, root))
    elif pipeline_read.compare:
        from aeret.cli.runs import compare_group

        target = root / "comparisons" / runs[0].group
        own = [run for run in runs if run.pipeline == pipeline_read.name]  # the source's has no place in the matrix
        compare_group(root, own, pipeline_read.compare, pipeline_read.baseline, target)
    if failed:
        raise RunError(
            f"{len(failed)} of {len(runs)} runs failed, and the report is without them: {', '.join(failed)}. What "
            "went wrong is said above; fix it and start the same command, which keeps what is done."
        )


def _preset_about(parts: Sequence[Pipeline]) -> str:
    return next((part.preset_about for part in parts if part.preset_about), "")


def _command(path: Path, preset: str, overrides: Sequence[str], root: Path) -> str:
    """Return the command line that makes the report again."""
    words = ["aeret", "run", str(path), *(["--preset", preset] if preset else [])]
    for text in overrides:
        words += ["--set", text]
    return shlex.join([*words, *([] if root == Path("runs") else ["--runs", str(root)])])


def _report(pipeline: Pipeline, runs: Sequence[Run], failed: Sequence[str], root: Path, command: str) -> None:
    """Write the report of the experiments beside the comparisons, and say where."""
    from datetime import datetime

    from aeret.cli.options import progress_of
    from aeret.evaluation.experiment import Experiment
    from aeret.pipeline.history import artifacts_of
    from aeret.search.experiments import finished_trial, report_experiments

    parts = pipeline.experiments or (pipeline,)
    experiments = []
    for part in parts:
        trials = tuple(
            finished_trial(run.id, run.values, artifacts_of(root, run, [entry["stage"] for entry in run.stages]))
            for run in runs
            if run.pipeline == part.name and run.status == "done"
        )
        experiments.append(
            Experiment(part.name, part.title, part.about, part.shows, part.compare, part.baseline, trials)
        )
    manifests = dict.fromkeys(str(run.settings["data"]["manifest"]) for run in runs)
    seeds = dict.fromkeys(str(run.settings["seed"]) for run in runs)
    facts = {
        "collection": ", ".join(manifests),
        "command": command,
        "preset": f"{pipeline.preset}: {_preset_about(parts)}" if pipeline.preset else "none",
        "seeds": ", ".join(seeds),
        "group": runs[0].group,
        "date": datetime.now().astimezone().isoformat(sep=" ", timespec="minutes"),
    }
    target = root / "comparisons" / runs[0].group
    warnings = []
    if failed:
        warnings = [f"{len(failed)} of {len(runs)} runs failed and are not in this report: {', '.join(failed)}."]
    report_experiments(experiments, pipeline.title, pipeline.about, facts, warnings, target, progress_of(False))
    click.echo("")
    click.echo(f"Report: {(target / 'report.html').resolve()}")
