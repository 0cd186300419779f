"""``aeret models``: the networks there are."""

from __future__ import annotations

import click

from aeret.cli.groups import SuggestingGroup


@click.group(cls=SuggestingGroup)
def command() -> None:
    """List the networks that ``cnn.backbone`` can name.

    \b
    Example:
      aeret models list
    """


@command.command("list")
def list_command() -> None:
    """List the backbones with native and smallest input size.

    \b
    Example:
      aeret models list
    """
    from aeret.models.backbones import BACKBONES

    for name, backbone in BACKBONES.items():
        sizes = f"native {backbone.native_size} px, smallest {backbone.smallest_size} px"
        click.echo(f"{name:<16} {sizes:<34} {backbone.paper}")
