"""``aeret run``: run a whole pipeline."""

from __future__ import annotations

from pathlib import Path

import click

from aeret.cli.options import runs_option, settings_options


@click.command("run")
@click.argument("pipeline", required=False, type=click.Path(path_type=Path))
@settings_options
@click.option("--dry-run", is_flag=True, help="Say what would run and what is up to date, and stop.")
@runs_option
def command(pipeline: Path | None, config: Path | None, overrides: tuple[str, ...], dry_run: bool, root: Path) -> None:
    """Run all stages of a pipeline file; skip what is up to date, resume what was killed.

    PIPELINE may also be given as --config.

    \b
    Example:
      aeret run pipelines/demo.yaml
      aeret run pipelines/coco.yaml --set data.manifest=my.yaml --set cnn.training.epochs=30
    """
    from aeret.cli.report_lines import headline_lines
    from aeret.pipeline import history
    from aeret.pipeline.graph import plan
    from aeret.pipeline.pipelines import read_pipeline
    from aeret.pipeline.run import run_pipeline

    if pipeline and config:
        raise click.UsageError(f"{pipeline} and --config {config} are both given; give one pipeline file.")
    path = pipeline or config
    if path is None:
        raise click.UsageError("Give a pipeline file, for example `aeret run pipelines/demo.yaml`.")
    plan_of_runs = read_pipeline(path, overrides)
    if dry_run:
        for cell in plan_of_runs.cells:
            click.echo(f"{plan_of_runs.name} {cell.label}".rstrip())
            for task in plan(cell.settings, plan_of_runs.stages, root):
                click.echo(f"  {task.stage:<13} {'up to date' if task.done else 'would run ':<10} {task.folder}")
        return
    runs = run_pipeline(plan_of_runs, root, click.echo)
    for run in runs:
        for line in headline_lines(run, history.folder_of(root, run)):
            click.echo(line)
    if plan_of_runs.compare:
        from aeret.cli.runs import compare_group

        compare_group(root, runs, plan_of_runs.compare, plan_of_runs.baseline)
