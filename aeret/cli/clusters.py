"""Cluster the gallery of a finished run for several k."""

from __future__ import annotations

from pathlib import Path

import click

from aeret.cli.groups import SuggestingGroup
from aeret.cli.options import progress_of, run_option, runs_option


class Counts(click.ParamType):  # type: ignore[type-arg]
    """Whole numbers separated by commas."""

    name = "numbers"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers."""
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers; write e.g. 10,20,40.", param, ctx)


@click.group(cls=SuggestingGroup)
def command() -> None:
    """Cluster the gallery of a finished run for other numbers of clusters.

    \b
    Example:
      aeret clusters sweep --k 10,20,40,80,160
    """


@command.command("sweep")
@click.option("--k", "clusters", type=Counts(), default="10,20,40,80,160", show_default=True, help="Values of k.")
@run_option
@click.option(
    "--sample",
    default=1000,
    show_default=True,
    type=click.IntRange(min=2),
    help="Number of photos that the silhouette averages over.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write the report into.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@runs_option
def sweep_command(clusters: tuple[int, ...], name: str, sample: int, out: Path | None, quiet: bool, root: Path) -> None:
    """Cluster the gallery for several k and print the best k by each criterion.

    Prints inertia, silhouette, Davies-Bouldin, NMI, ARI, pairwise F and kappa, and writes them with a plot.

    \b
    Example:
      aeret clusters sweep --k 10,20,40,80,160 --run latest
    """
    from aeret.cli.report_lines import frame_text
    from aeret.pipeline.history import artifacts_of, find_run, settings_of
    from aeret.search.cluster_sweep import NEEDED, sweep_run

    run = find_run(root, name)
    inputs = artifacts_of(root, run, NEEDED)
    target = out or root / "sweeps" / run.id
    settings = settings_of(run)
    sweep, chosen = sweep_run(inputs, settings, clusters, run.id, sample, target, progress_of(quiet))
    click.echo(frame_text(sweep))
    click.echo("")
    for criterion, k in chosen.items():
        click.echo(f"{criterion:<15} chooses k = {k}")
    click.echo(f"Report: {(target / 'report.html').resolve()}")
