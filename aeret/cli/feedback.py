"""``aeret feedback``: does learning from clicks pay on this run? A simulation."""

from __future__ import annotations

from pathlib import Path

import click

from aeret.cli.options import run_option, runs_option


@click.command("feedback")
@run_option
@runs_option
@click.option(
    "--relevance",
    type=click.Choice(["any", "jaccard", "layout"]),
    default="layout",
    show_default=True,
    help="What the simulated users find relevant.",
)
@click.option("--rounds", default=4000, show_default=True, type=click.IntRange(min=1), help="Queries of each user.")
@click.option(
    "--noise", default=0.1, show_default=True, type=click.FloatRange(0, 0.49), help="Chance of a wrong click."
)
@click.option("--seed", default=0, show_default=True, help="Of queries, looks and clicks.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Write the regret curves as SVG.")
def command(name: str, root: Path, relevance: str, rounds: int, noise: float, seed: int, plot: Path | None) -> None:
    """Simulate users whose clicks re-weigh photo, layout and label channels (LinUCB), against fixed weights.

    Prints the value of each policy, its gain over equal weights with a paired p, and which weights were played.

    \b
    Example:
      aeret feedback --run latest --relevance layout --plot regret.svg
    """
    from aeret.artifacts import write_text
    from aeret.cli.report_lines import frame_text
    from aeret.pipeline.history import artifacts_of, find_run
    from aeret.retrieval.feedback.channels import CHANNELS
    from aeret.search.feedback import NEEDED, simulate_run

    found = simulate_run(artifacts_of(root, find_run(root, name), NEEDED), relevance, seed, rounds, noise)
    click.echo(f"Users find relevant: {relevance}; {rounds} queries of each of 8 users; value = expected click rate")
    click.echo(frame_text(found.summary))
    arms = found.arms.rename(columns={f"weight {number}": channel for number, channel in enumerate(CHANNELS)})
    click.echo("")
    click.echo(frame_text(arms))
    summary = found.summary.set_index("policy")
    learnt, fixed = summary.loc["linucb"], summary.loc["best fixed"]
    if not (learnt["gain low"] > 0 and learnt["p"] < 0.05):
        click.echo("LinUCB is not better than equal weights here.")
    elif learnt["value"] <= fixed["value"]:
        click.echo("LinUCB beats equal weights, but not one good choice of fixed weights.")
    if plot is not None:
        from aeret.reporting.plots.regret import regret_lines

        write_text(plot, regret_lines(found.regret, "regret"))
        click.echo(f"Plot: {plot.resolve()}")
