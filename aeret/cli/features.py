"""Run feature selection by ``aeret features``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aeret.cli.groups import SuggestingGroup
from aeret.cli.options import progress_of, runs_option, set_option

if TYPE_CHECKING:
    from aeret.pipeline.history import Run
    from aeret.settings import Settings


@click.group(cls=SuggestingGroup)
def command() -> None:
    """Feature selection over the embedding of a finished run, and over handwritten digits.

    \b
    Example:
      aeret features select --run latest
    """


@command.command("select")
@click.option("--run", "name", default="latest", show_default=True, help="Which run: an id or a unique prefix.")
@set_option("feature_selection.repetitions=50")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the report.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@runs_option
def select_command(name: str, overrides: tuple[str, ...], out: Path | None, quiet: bool, root: Path) -> None:
    """Choose variables by several techniques, and measure what each number of them is worth.

    Says how many variables each technique needs for most of the value of all, and writes curves and choices with a
    plot. Ended early, the same command goes on where it was.

    \b
    Example:
      aeret features select --run latest --set feature_selection.datasets=embedding
      aeret features select --set "feature_selection.methods=[random, lasso]" --set feature_selection.repetitions=50
    """
    from aeret.artifacts import digest, locked
    from aeret.pipeline.graph import deciding
    from aeret.pipeline.history import artifacts_of, find_run
    from aeret.stages import feature_selection

    run = find_run(root, name)
    settings = _settings(run, feature_selection.SECTIONS, overrides)
    inputs = artifacts_of(root, run, feature_selection.inputs(settings))
    values = settings.model_dump(mode="json")
    # Other settings are another folder, so what a killed command left is never mixed with them.
    key = digest(
        [
            {section: deciding(section, values[section]) for section in feature_selection.SECTIONS},
            [str(path) for path in inputs.values()],
        ]
    )
    target = out / key if out else root / "features" / run.id / key
    target.mkdir(parents=True, exist_ok=True)
    with locked(target):
        metrics = feature_selection.run(settings, inputs, target, progress_of(quiet))
    for dataset, found in metrics.items():
        click.echo(f"{dataset}: {found['all']:.3f} with all variables, {found['floor']:.3f} without any")
        for order, count in found["enough"].items():
            click.echo(f"  {order:<17} has most of it with {count}")
    click.echo(f"Report: {(target / 'report.html').resolve()}")


def _settings(run: Run, sections: tuple[str, ...], overrides: tuple[str, ...]) -> Settings:
    """Return the settings of a run, reading some sections only, as an older aeret may have recorded it.

    Raises:
        SettingsError: one of these sections, or an override, is not valid in this aeret.
    """
    from ruamel.yaml.comments import CommentedMap

    from aeret.errors import SettingsError
    from aeret.settings import settings_from

    recorded = CommentedMap({section: run.settings[section] for section in sections if section in run.settings})
    try:
        return settings_from(recorded, overrides, source=f"run {run.id}")
    except SettingsError as error:
        if f"run {run.id}: " not in str(error):
            raise
        raise SettingsError(
            f"{error}\nAn older aeret may have recorded this run: change with --set what is refused, or run its "
            "pipeline again."
        ) from None
