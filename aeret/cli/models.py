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
@click.option("--size", type=click.IntRange(min=1), help="Side of the photos in pixels; default: each network's own.")
@click.option("--measure", is_flag=True, help="Time each network on this machine; takes a minute or two.")
def list_command(size: int | None, measure: bool) -> None:
    """List the backbones with their parameters, map, embedding and paper.

    Parameters are counted with the network's own classifier of 1,000 classes, as the literature counts them; the
    embedding is what that classifier sees last. With --measure, photos/s is how fast the map of a batch of 16 photos is
    made, forward only, in float32.

    \b
    Example:
      aeret models list
      aeret models list --size 96 --measure
    """
    from aeret.models.backbones import BACKBONES
    from aeret.models.backbones.description import describe, photos_per_second

    def line(*cells: str) -> str:
        name, side, smallest, parameters, shape, embedding, speed, paper = cells
        speed = f"{speed:>9}  " if measure else ""
        return f"{name:<19} {side:>5} {smallest:>8} {parameters:>12} {shape:>11} {embedding:>9}  {speed}{paper}"

    click.echo(line("backbone", "size", "smallest", "parameters", "map", "embedding", "photos/s", "paper"))
    for name, backbone in BACKBONES.items():
        side = size or backbone.native_size
        counted = ["-", "-", "-", "-"]
        if side >= backbone.smallest_size:
            found = describe(backbone, side)
            shape = "x".join(map(str, found.map_shape))
            speed = f"{photos_per_second(backbone, side):.1f}" if measure else ""
            counted = [f"{found.parameters:,}", shape, str(found.embedding_size), speed]
        click.echo(line(name, str(side), str(backbone.smallest_size), *counted, backbone.paper))
