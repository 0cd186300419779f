"""``aeret metrics``: the measures there are, and what each means."""

from __future__ import annotations

import click

from aeret.cli.groups import SuggestingGroup


@click.group(cls=SuggestingGroup)
def command() -> None:
    """List and explain the measures that reports show.

    \b
    Example:
      aeret metrics list
      aeret metrics explain "nDCG(rel=layout)@10"
    """


@command.command("list")
def list_command() -> None:
    """List the measures: how each is written, what it is, its parameters.

    \b
    Example:
      aeret metrics list
    """
    from aeret.evaluation.metrics.explain import rows

    for written, title, parameters, names in rows():
        click.echo(f"{written:<9} {title:<42} {parameters}{f'  (also {names})' if names else ''}")


@command.command()
@click.argument("measure")
def explain(measure: str) -> None:
    """Explain MEASURE: definition, formula, conventions, bounds and a worked example.

    \b
    Example:
      aeret metrics explain "AP(denominator=hits)@5000"
      aeret metrics explain RPrec
    """
    from aeret.evaluation.metrics.explain import EXAMPLE_CUTOFF, explanation
    from aeret.evaluation.metrics.naming import parse
    from aeret.evaluation.metrics.registry import METRICS

    definition = METRICS.get(measure)
    if definition is not None and definition.cutoff == "needed":
        measure += f"@{EXAMPLE_CUTOFF}"
    click.echo(explanation(parse(measure)))
