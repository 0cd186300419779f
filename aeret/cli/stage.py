"""``aeret stage``: run one stage."""

from __future__ import annotations

from pathlib import Path

import click

from aeret.cli.groups import SuggestingGroup
from aeret.cli.options import runs_option, settings_options
from aeret.stages import STAGES, load_stage


class StageGroup(SuggestingGroup):
    """One command per stage, made from the stage's own module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the stages in the order data flows."""
        return list(STAGES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of one stage."""
        return _stage_command(name) if name in STAGES else None


@click.command(cls=StageGroup)
def command() -> None:
    """Run one stage. Its inputs must have been made with the same settings.

    \b
    Example:
      aeret stage prepare --config pipelines/demo.yaml
      aeret stage train-ae --config pipelines/demo.yaml --set autoencoder.latent_size=64
    """


def _stage_command(name: str) -> click.Command:
    stage = load_stage(name)

    @click.command(name=name, help=_help(name), short_help=stage.SUMMARY)
    @settings_options
    @runs_option
    @click.option("--force", is_flag=True, help="Make the artifact again although it is up to date.")
    @click.option("--expect", default="", hidden=True, help="The artifact's key, from the run that started this stage.")
    @click.option("--quiet", is_flag=True, help="Print progress only, not where the artifact is.")
    def run_stage(
        config: Path | None, overrides: tuple[str, ...], root: Path, force: bool, expect: str, quiet: bool
    ) -> None:
        from aeret.errors import RunError
        from aeret.pipeline.execute import execute
        from aeret.pipeline.graph import plan
        from aeret.pipeline.pipelines import settings_of_file
        from aeret.pipeline.stage_process import die_with_parent
        from aeret.progress import terminal

        die_with_parent()
        settings = settings_of_file(config, overrides)
        task = plan(settings, [name], root)[-1]
        if expect and task.key != expect:
            raise RunError(
                f"stage {name}: aeret's code or the collection's files changed while the run was going, so this stage "
                f"would not belong to it (key {task.key}, expected {expect}). Start the run again."
            )
        if task.done and not force:
            if not quiet:
                click.echo(f"{name}: up to date: {task.folder}")
            return
        record = execute(task, settings, terminal, force=force)
        if not quiet:
            click.echo(f"{name}: {record.seconds:.1f} s: {task.folder}")

    return run_stage


def _help(name: str) -> str:
    stage = load_stage(name)
    inputs = f"Reads the artifacts of {', '.join(stage.INPUTS)}. " if stage.INPUTS else ""
    sections = ", ".join(stage.SECTIONS)
    return (
        f"{stage.SUMMARY}\n\n{inputs}Settings that decide its result: {sections}.\n\n"
        f"\b\nExample:\n  aeret stage {name} --config pipelines/demo.yaml --set seed=1"
    )
